"""The command `ctg-hub analyse`: a recording in, lines of text out, picture and document if asked for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.errors import RecordError
from hub.records import read_record
from hub.report.document import to_document
from hub.report.picture import draw_strip
from hub.report.printed import write_report
from hub.report.reading import read_traces
from hub.report.words import Language, Words


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyseOrder:
    """What is asked for; `to_s` None is the end of the recording."""

    record: Path
    language: Language = "ja"
    gestational_weeks: float | None = None
    from_s: float = 0.0
    to_s: float | None = None
    is_antenatal: bool = False
    is_one_fetus: bool = False
    picture: Path | None = None
    dpi: int = 150
    document: Path | None = None


def carry_out(order: AnalyseOrder) -> Iterator[str]:
    """Analyse a recording; gives the report's lines once picture and document are written.

    Raises
    ------
    RecordError
        If the recording cannot be read or the document not be written.
    PictureError
        If the picture cannot be drawn.
    """
    readings = read_traces(
        read_record(order.record),
        from_s=order.from_s,
        to_s=order.to_s,
        gestational_weeks=order.gestational_weeks,
        is_antenatal=order.is_antenatal,
        is_one_fetus=order.is_one_fetus,
    )
    for reading in readings:
        if order.picture is not None:
            draw_strip(
                reading, _numbered(order.picture, reading.trace, len(readings)), order.language, dpi=order.dpi
            )
    if order.document is not None:
        text = json.dumps(to_document(readings), ensure_ascii=False, allow_nan=False, indent=1)
        try:
            order.document.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            msg = f"{order.document}: expected to write a document, got {error}"
            raise RecordError(msg) from error
    return write_report(readings, Words(order.language))


def _numbered(path: Path, number: int, count: int) -> Path:
    """`strip.png` for one trace, `strip-1.png`, `strip-2.png` for several."""
    return path if count == 1 else path.with_stem(f"{path.stem}-{number}")
