"""The annotated strip as a picture on CTG paper, true to scale in the resolution of the file.

Needs the optional extra `plots`.  Only `matplotlib.figure` is used: no window, no
global state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hub.errors import PictureError
from hub.model import Classification, Deceleration, FloatArray, Severity
from hub.report.printed import compared, title_of, verdict_of
from hub.report.reading import Reading
from hub.report.words import Language, Words, clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CM_PER_MIN: Final = 3.0
BPM_PER_CM: Final = 30.0
UNITS_PER_CM: Final = 25.0
FHR_AXIS: Final = (30.0, 240.0)
TOCO_AXIS: Final = (0.0, 100.0)
ROW_S: Final = 600.0
"""A row of paper is one segment of 10 minutes."""
MAX_ROWS: Final = 24
"""Of one image; a PDF has pages instead."""
ROWS_PER_PAGE: Final = 2
PAGE_CM: Final = (42.0, 29.7)
"""A3 across: the smallest common sheet that holds 10 minutes at 3 cm/min."""

_ROW_CM: Final = ROW_S / 60 * CM_PER_MIN
_FHR_CM: Final = (FHR_AXIS[1] - FHR_AXIS[0]) / BPM_PER_CM
_TOCO_CM: Final = (TOCO_AXIS[1] - TOCO_AXIS[0]) / UNITS_PER_CM
_LEFT_CM, _RIGHT_CM, _HEAD_CM, _FOOT_CM = 1.2, 0.5, 1.3, 0.7
_TITLE_CM, _GAP_CM, _BELOW_CM = 0.75, 0.55, 0.6
_STRIP_CM: Final = _TITLE_CM + _FHR_CM + _GAP_CM + _TOCO_CM + _BELOW_CM
_CM_PER_INCH: Final = 2.54

_INK, _SOFT = "#0b161d", "#56656f"
_PAPER, _BAND, _BAND_EDGE = "#fefefc", "#e9f3ec", "#a9c4b2"
_GRID, _GRID_MAIN, _GRID_MINUTE = "#ebeeef", "#d3dadd", "#98a5ad"
_BASELINE, _MATERNAL, _TOCO, _TOCO_FILL = "#7a35b5", "#8a4b00", "#2b4a63", "#dce5ec"
_FALL, _FALL_INK, _RISE, _RISE_INK, _FALSE = "#f3dce3", "#9c2e55", "#d8ecdc", "#1c6e40", "#9ca8b0"
_LEVELS: Final = {1: "#2c7a4b", 2: "#1d5fae", 3: "#f5c400", 4: "#ee7f12", 5: "#c00f2d", None: "#5b6a74"}
_DARK_INK: Final = (3, 4)
"""Levels whose colour wants dark letters."""

_JAPANESE_FONTS: Final = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "IPAGothic",
    "TakaoGothic",
    "Hiragino Sans",
    "Yu Gothic",
    "Meiryo",
    "MS Gothic",
)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One image or page: which rows of the strip stand on it, and its size."""

    rows: range
    width_cm: float
    height_cm: float
    left_cm: float

    def rect(
        self, x_cm: float, top_cm: float, width_cm: float, height_cm: float
    ) -> tuple[float, float, float, float]:
        """Place a box, measured from the left margin and from the top, in the figure's own fractions."""
        bottom = self.height_cm - top_cm - height_cm
        return (
            (self.left_cm + x_cm) / self.width_cm,
            bottom / self.height_cm,
            width_cm / self.width_cm,
            height_cm / self.height_cm,
        )


def draw_strip(reading: Reading, path: Path, language: Language, *, dpi: int = 150) -> None:
    """Write the strip as .png, .svg or .pdf; a PDF has pages of 20 minutes on A3.

    Raises
    ------
    PictureError
        If the extra `plots` or a Japanese font is missing, the ending is another one,
        the stretch is too long for one image, or the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in (".png", ".svg", ".pdf"):
        msg = f"{path}: expected a picture named .png, .svg or .pdf, got {ending or 'no ending'}"
        raise PictureError(msg)
    try:
        import matplotlib as mpl
    except ImportError as error:
        msg = f"{path}: pictures need matplotlib, which is not installed; try: pip install 'ctg-hub[plots]'"
        raise PictureError(msg) from error
    words = Words(language)
    family = _find_fonts(language, path)
    n_rows = max(int(np.ceil(reading.duration_s / ROW_S - 1e-9)), 1)
    # A fixed salt makes the same strip the same file.
    with mpl.rc_context({"font.family": family, "font.size": 8, "svg.hashsalt": "ctg-hub"}):
        try:
            if ending == ".pdf":
                _write_pages(reading, path, words, n_rows)
            else:
                _write_image(reading, path, words, n_rows, dpi)
        except OSError as error:
            msg = f"{path}: expected to write a picture, got {error}"
            raise PictureError(msg) from error


def _find_fonts(language: Language, path: Path) -> list[str]:
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    japanese = [name for name in _JAPANESE_FONTS if name in there]
    if language == "ja" and not japanese:
        msg = (
            f"{path}: expected a Japanese font such as {_JAPANESE_FONTS[0]}, got none; use --language en"
            " or install one (Debian: fonts-noto-cjk)"
        )
        raise PictureError(msg)
    return [*japanese[:1], "DejaVu Sans"] if language == "ja" else ["DejaVu Sans", *japanese[:1]]


def _write_image(reading: Reading, path: Path, words: Words, n_rows: int, dpi: int) -> None:
    if n_rows > MAX_ROWS:
        msg = (
            f"{path}: expected at most {MAX_ROWS * ROW_S / 60:.0f} min in one image,"
            f" got {reading.duration_s / 60:.0f}; choose with --from and --to, or write a .pdf"
        )
        raise PictureError(msg)
    height_cm = _HEAD_CM + n_rows * _STRIP_CM + _FOOT_CM
    sheet = _Sheet(range(n_rows), _LEFT_CM + _ROW_CM + _RIGHT_CM, height_cm, _LEFT_CM)
    metadata = {"Description": _describe(reading)} | ({"Date": None} if path.suffix.lower() == ".svg" else {})
    _draw_sheet(reading, sheet, words).savefig(path, dpi=dpi, metadata=metadata)


def _write_pages(reading: Reading, path: Path, words: Words, n_rows: int) -> None:
    from matplotlib.backends.backend_pdf import PdfPages

    left_cm = (PAGE_CM[0] - _ROW_CM) / 2
    with PdfPages(path, metadata={"Subject": _describe(reading), "CreationDate": None}) as pages:
        for first in range(0, n_rows, ROWS_PER_PAGE):
            rows = range(first, min(first + ROWS_PER_PAGE, n_rows))
            pages.savefig(_draw_sheet(reading, _Sheet(rows, *PAGE_CM, left_cm), words))


def _describe(reading: Reading) -> str:
    return f"{reading.name}, reading aid only; {reading.analysis.algorithm}; 3 cm/min, 30 bpm/cm"


def _draw_sheet(reading: Reading, sheet: _Sheet, words: Words) -> "Figure":
    from matplotlib.figure import Figure

    size = (sheet.width_cm / _CM_PER_INCH, sheet.height_cm / _CM_PER_INCH)
    figure = Figure(figsize=size, facecolor="white")
    head = figure.add_axes(sheet.rect(0, 0, _ROW_CM, _HEAD_CM))
    head.set_axis_off()
    head.text(0, 0.55, title_of(reading, words), size=11, weight="bold", va="center")
    head.text(1, 0.55, words("ui.reading_aid"), size=11, ha="right", va="center", color=_FALL_INK)
    foot = figure.add_axes(sheet.rect(0, sheet.height_cm - _FOOT_CM, _ROW_CM, _FOOT_CM))
    foot.set_axis_off()
    note = f"{words('ui.not_a_diagnosis')} · {words('ui.version', version=reading.analysis.algorithm)}"
    foot.text(0, 0.5, note, va="center", color=_SOFT)
    foot.text(1, 0.5, words("report.scale"), ha="right", va="center", color=_SOFT)
    for position, row in enumerate(sheet.rows):
        top = _HEAD_CM + position * _STRIP_CM
        title = figure.add_axes(sheet.rect(0, top, _ROW_CM, _TITLE_CM))
        _draw_title(title, reading, row, words)
        fhr = figure.add_axes(sheet.rect(0, top + _TITLE_CM, _ROW_CM, _FHR_CM))
        _draw_rates(fhr, reading, row, words)
        toco = figure.add_axes(sheet.rect(0, top + _TITLE_CM + _FHR_CM + _GAP_CM, _ROW_CM, _TOCO_CM))
        _draw_toco(toco, reading, row, words)
    return figure


def _draw_title(axes: "Axes", reading: Reading, row: int, words: Words) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, _ROW_CM)
    window = _window_of(reading, row)
    if window is None:
        return
    ink = _INK if window.level in _DARK_INK else "white"
    chip = {"facecolor": _LEVELS[window.level], "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    numeral = "–" if window.level is None else str(window.level)
    axes.text(0.25, 0.45, numeral, size=11, weight="bold", color=ink, bbox=chip, ha="center", va="center")
    told = {reason.code: words.reason(reason) for reason in window.reasons}
    parts = [verdict_of(window, words), *(told[code] for code in ("baseline", "variability") if code in told)]
    if window.is_poor_signal:
        parts.append(words("ui.poor_signal"))
    parts.append(compared(window, words))
    axes.text(0.75, 0.45, "   ".join(parts), size=8.5, va="center")


def _window_of(reading: Reading, row: int) -> Classification | None:
    return next((c for c in reading.analysis.segments if round(c.start_s / ROW_S) == row), None)


def _draw_rates(axes: "Axes", reading: Reading, row: int, words: Words) -> None:
    _rule_paper(axes, reading, row, FHR_AXIS, major=30.0, minor=10.0)
    axes.axhspan(110, 160, color=_BAND, zorder=0.2)
    for edge in (110, 160):
        axes.axhline(edge, color=_BAND_EDGE, linewidth=0.8, zorder=1.1)
    axes.set_yticks(np.arange(60, 241, 30))
    found = reading.analysis
    for rise in found.accelerations:
        _shade(axes, rise.onset_s, rise.end_s, _RISE, _RISE_INK)
        _letter(axes, (rise.onset_s + rise.end_s) / 2, row, words("letter.acceleration"), _RISE_INK)
    for fall in found.decelerations:
        _shade(axes, fall.onset_s, fall.end_s, _FALL, _FALL_INK)
        _letter(axes, (fall.onset_s + fall.end_s) / 2, row, _letters_of(fall, words), _FALL_INK)
    for start_s, end_s in reading.false_spans:
        axes.axvspan(start_s, end_s, facecolor="none", edgecolor=_FALSE, hatch="///", linewidth=0, zorder=0.6)
        _letter(axes, (start_s + end_s) / 2, row, "?", _SOFT)
    t, part = _times_of(reading, row)
    axes.plot(t, found.baseline_bpm[part], color=_BASELINE, linewidth=0.9, zorder=2)
    if reading.mhr is not None:
        _trace(axes, t, reading.mhr[part], _MATERNAL)
    _trace(axes, t, reading.fhr[part], _INK)


def _draw_toco(axes: "Axes", reading: Reading, row: int, words: Words) -> None:
    _rule_paper(axes, reading, row, TOCO_AXIS, major=25.0, minor=25.0)
    axes.set_yticks(np.arange(0, 101, 25))
    axes.tick_params(labelbottom=False)
    if reading.toco is None:
        axes.text(row * ROW_S + 5, 50, words("ui.contractions_unknown"), color=_SOFT, va="center")
        return
    t, part = _times_of(reading, row)
    values = reading.toco[part]
    for contraction in reading.analysis.contractions:
        inside = (t >= contraction.onset_s) & (t <= contraction.end_s)
        if inside.any():
            axes.fill_between(t, 0, values, where=inside, color=_TOCO_FILL, linewidth=0, zorder=0.5)
        if t[0] <= contraction.peak_s <= t[-1]:
            axes.plot([contraction.peak_s] * 2, [94, 100], color=_TOCO, linewidth=1.4, zorder=2)
    _trace(axes, t, values, _TOCO)
    window = _window_of(reading, row)
    is_known = reading.are_contractions_known if window is None else window.contractions_per_10min is not None
    if not is_known:
        axes.text(row * ROW_S + 5, 90, words("ui.contractions_unknown"), color=_SOFT, va="center")


def _times_of(reading: Reading, row: int) -> tuple[FloatArray, slice]:
    """Give the times of a row's samples and where they lie; one more than fits, so that lines go on."""
    start = round(row * ROW_S * reading.fs)
    stop = min(round((row + 1) * ROW_S * reading.fs) + 1, reading.fhr.size)
    return np.arange(start, stop) / reading.fs, slice(start, stop)


def _rule_paper(
    axes: "Axes", reading: Reading, row: int, axis: tuple[float, float], *, major: float, minor: float
) -> None:
    start_s = row * ROW_S
    axes.set_xlim(start_s, start_s + ROW_S)
    axes.set_ylim(*axis)
    axes.set_facecolor(_PAPER)
    for x in np.arange(start_s, start_s + ROW_S + 1, 20):
        is_minute = x % 60 == 0
        axes.axvline(
            x, color=_GRID_MINUTE if is_minute else _GRID, linewidth=0.7 if is_minute else 0.5, zorder=1
        )
    for y in np.arange(axis[0], axis[1] + 1, minor):
        is_main = (y - axis[0]) % major == 0
        axes.axhline(y, color=_GRID_MAIN if is_main else _GRID, linewidth=0.7 if is_main else 0.5, zorder=1)
    minutes = np.arange(start_s, start_s + ROW_S + 1, 60)
    axes.set_xticks(minutes, [clock(reading.start_s + x) for x in minutes])
    axes.tick_params(length=2, labelsize=7, colors=_SOFT, pad=1.5)
    for spine in axes.spines.values():
        spine.set_color(_GRID_MINUTE)


def _trace(axes: "Axes", t: FloatArray, values: FloatArray, color: str) -> None:
    """Draw a signal with its gaps left open; a value alone between two gaps becomes a dot."""
    axes.plot(t, values, color=color, linewidth=0.8, zorder=3)
    there = np.concatenate(([False], np.isfinite(values), [False]))
    alone = there[1:-1] & ~there[:-2] & ~there[2:]
    if alone.any():
        axes.plot(t[alone], values[alone], ".", color=color, markersize=1.5, zorder=3)


def _shade(axes: "Axes", start_s: float, end_s: float, fill: str, edge: str) -> None:
    axes.axvspan(start_s, end_s, color=fill, linewidth=0, zorder=0.5)
    for t_s in (start_s, end_s):
        axes.axvline(t_s, color=edge, linewidth=0.5, alpha=0.5, zorder=1.2)


def _letter(axes: "Axes", t_s: float, row: int, text: str, color: str) -> None:
    if row * ROW_S <= t_s < (row + 1) * ROW_S:
        axes.text(
            t_s, FHR_AXIS[1] - 4, text, color=color, size=8, weight="bold", ha="center", va="top", zorder=4
        )


def _letters_of(fall: Deceleration, words: Words) -> str:
    return "".join(_letter_parts(fall, words))


def _letter_parts(fall: Deceleration, words: Words) -> Iterator[str]:
    yield words(f"letter.{fall.kind}")
    if fall.severity is Severity.SEVERE:
        yield "\n" + words("severity.severe")
    if fall.is_provisional:
        yield "?"
