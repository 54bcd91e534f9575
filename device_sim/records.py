"""Reads recordings: WFDB (formats 16 and 212), CSV and NPZ; `RecordError` for anything else.

Whatever the form, the answer is a `Record`: rates in bpm with NaN where there is no
signal, contractions in monitor units.
"""

import csv
import json
import math
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub.errors import RecordError
from hub.model import FloatArray

_SHIPPED: Final = Path(__file__).with_name("recordings")
_FETAL: Final = {"fhr": 0, "fhr1": 0, "hr1": 0, "fhr2": 1, "hr2": 1, "fhr3": 2, "hr3": 2}
_TOCO: Final = ("toco", "uc", "ua")
_MATERNAL: Final = ("mhr", "maternal")

_WFDB_GAIN: Final = 200.0
"""Gain of a WFDB signal whose header gives none, by the format's definition."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One recording; `fhr` has shape (n_fetuses, n_samples), `toco` and `mhr` (n_samples,) or None.

    `outcome` holds what the file says of mother and newborn, by the file's own names;
    `stage2_start` is the first sample of the second stage, None if unknown.
    """

    name: str
    fs: float
    fhr: FloatArray
    toco: FloatArray | None = None
    mhr: FloatArray | None = None
    outcome: dict[str, float | None] = field(default_factory=dict)
    stage2_start: int | None = None

    @property
    def duration_s(self) -> float:
        return float(self.fhr.shape[-1] / self.fs)


def read_record(path: Path) -> Record:
    """Read a recording by the ending of its name: .hea or .dat, .csv, .npz.

    Raises
    ------
    RecordError
        If the file is missing, damaged, or not of a form read here.
    """
    readers = {".hea": _read_wfdb, ".dat": _read_wfdb, ".csv": _read_csv, ".npz": _read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _bad(path, ".hea, .dat, .csv or .npz", path.suffix or "no ending")
    try:
        return reader(path)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise _bad(path, f"a readable {path.suffix} file", error) from error
    except UnicodeDecodeError as error:
        raise _bad(path, "text", f"bytes: {error}") from error


def list_shipped() -> list[str]:
    """Names of the recordings that come with the simulator."""
    return sorted(path.stem for path in _SHIPPED.glob("*.npz"))


def read_shipped(name: str) -> Record:
    """Read a recording that comes with the simulator.

    Raises
    ------
    RecordError
        If there is none of that name.
    """
    if name not in list_shipped():
        raise _bad(_SHIPPED, "one of " + ", ".join(list_shipped()), name)
    return read_record(_SHIPPED / f"{name}.npz")


# --------------------------------------------------------------------------- WFDB


_SIGNAL_LINE = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d+)(?P<unusual>[x:]\d+)?(?:\+(?P<offset>\d+))?"
    r"(?:\s+(?P<gain>[\d.eE+-]+)(?:\((?P<baseline>-?\d+)\))?(?:/(?P<units>\S+))?"
    r"(?:\s+\d+(?:\s+(?P<zero>-?\d+)(?:\s+-?\d+(?:\s+-?\d+(?:\s+\d+(?:\s+(?P<name>.+))?)?)?)?)?)?)?"
)
_COMMENT_VALUE = re.compile(r"#\s*(?P<key>[^#\s].*?)\s{2,}(?P<value>-?\d+(?:\.\d+)?|NaN)\s*")


def _read_wfdb(path: Path) -> Record:
    header = path.with_suffix(".hea")
    lines = header.read_text(encoding="utf-8").splitlines()
    content = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    first = content[0].split() if content else []
    if len(first) < 2 or not first[1].isdigit() or "/" in first[0]:
        raise _bad(header, "'record n_signals [fs [n_samples]]'", repr(" ".join(first)))
    n_signals = int(first[1])
    fs = _parse_number(first[2].split("/")[0].split("(")[0], header, "fs") if len(first) > 2 else 250.0
    rows = [_SIGNAL_LINE.fullmatch(line) for line in content[1 : 1 + n_signals]]
    matches = [row for row in rows if row is not None]
    if len(matches) != n_signals or n_signals == 0:
        raise _bad(header, f"{n_signals} signal lines", f"{len(matches)} readable ones")
    stored = {(row["file"], row["format"], row["offset"], row["unusual"]) for row in matches}
    if len(stored) != 1 or matches[0]["unusual"]:
        raise _bad(header, "all signals in one .dat at one rate", sorted(map(str, stored)))
    data = header.with_name(matches[0]["file"])
    digital = _decode_samples(
        data.read_bytes()[int(matches[0]["offset"] or 0) :], int(matches[0]["format"]), n_signals, data
    )
    if len(first) > 3 and digital.shape[1] != int(first[3]):
        raise _bad(data, f"{first[3]} samples a signal", digital.shape[1])
    columns: dict[str, FloatArray] = {}
    for row, values in zip(matches, digital, strict=True):
        gain = float(row["gain"] or 0) or _WFDB_GAIN
        baseline = float(row["baseline"] if row["baseline"] is not None else row["zero"] or 0)
        columns[(row["name"] or "").strip().lower()] = (values - baseline) / gain
    outcome = {
        found["key"]: _number_or_none(float(found["value"]))
        for found in map(_COMMENT_VALUE.fullmatch, lines)
        if found is not None
    }
    stage2 = outcome.get("Pos. II.st.")
    return _lay_out(
        header, columns, fs, outcome=outcome, stage2_start=int(stage2) if stage2 and stage2 > 0 else None
    )


def _decode_samples(body: bytes, number: int, n_signals: int, path: Path) -> FloatArray:
    """Undo WFDB format 16 or 212; shape (n_signals, n_samples), NaN for the format's invalid value."""
    if number == 16:
        raw = np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.int64)
        invalid = -0x8000
    elif number == 212:
        triples = np.frombuffer(body[: len(body) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int64)
        pairs = [triples[:, 0] | (triples[:, 1] & 0x0F) << 8, triples[:, 2] | (triples[:, 1] & 0xF0) << 4]
        raw = np.stack(pairs, axis=1).ravel()
        raw = np.where(raw >= 0x800, raw - 0x1000, raw)
        invalid = -0x800
    else:
        raise _bad(path, "WFDB format 16 or 212", number)
    raw = raw[: raw.size // n_signals * n_signals]
    values = np.where(raw == invalid, np.nan, raw.astype(np.float64))
    return values.reshape(-1, n_signals).T


# ---------------------------------------------------------------------------- CSV


def _read_csv(path: Path) -> Record:
    """Columns by name: time_s (or a column or a line `# fs=4`), fhr or fhr1-3, toco or uc, mhr."""
    fs: float | None = None
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = []
        for line in file:
            if line.startswith("#"):
                if found := re.search(r"\bfs\s*=\s*([\d.]+)", line):
                    fs = _parse_number(found[1], path, "fs")
            elif line.strip():
                rows.append(line)
    reader = csv.reader(rows)
    names = [name.strip().lower() for name in next(reader, [])]
    cells = list(reader)
    if not names or not cells:
        raise _bad(path, "a line of column names and samples", f"{len(rows)} lines")
    ragged = next((i for i, row in enumerate(cells) if len(row) != len(names)), None)
    if ragged is not None:
        raise _bad(path, f"{len(names)} values in row {ragged + 2}", len(cells[ragged]))
    table = np.array([[_parse_cell(cell, path) for cell in row] for row in cells]).T
    columns = dict(zip(names, table, strict=True))
    time_s, fs_column = columns.pop("time_s", None), columns.pop("fs", None)
    if fs_column is not None:
        fs = float(fs_column[0])
    if fs is None and time_s is not None:
        fs = _rate_of(time_s, path)
    if fs is None:
        raise _bad(path, "a column time_s or fs, or a line '# fs=4'", ", ".join(names))
    return _lay_out(path, columns, fs)


def _rate_of(time_s: FloatArray, path: Path) -> float:
    steps = np.diff(time_s)
    if steps.size == 0 or not steps.min() > 0 or np.ptp(steps) > 0.01 * steps.mean():
        raise _bad(path, "time_s in equal steps", f"steps from {steps.min(initial=0)}")
    return float(round(1.0 / steps.mean(), 6))


def _parse_cell(cell: str, path: Path) -> float:
    return _parse_number(cell, path, "a sample") if cell.strip() else math.nan


# ---------------------------------------------------------------------------- NPZ


def _read_npz(path: Path) -> Record:
    """Arrays fhr, toco, mhr with fs; integers are the steps of the wire (¼ bpm, 0 lost; ½ unit, 255 lost)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    except ValueError as error:
        raise _bad(path, "an npz archive without objects", error) from error
    if "fhr" not in arrays or "fs" not in arrays:
        raise _bad(path, "arrays fhr and fs", ", ".join(sorted(arrays)) or "none")
    columns = {name: _widen(name, arrays[name]) for name in arrays if name in (*_FETAL, *_TOCO, *_MATERNAL)}
    try:
        outcome = json.loads(str(arrays.get("outcome", "{}")))
    except json.JSONDecodeError as error:
        raise _bad(path, "outcome as JSON", error) from error
    stage2 = int(arrays.get("stage2_start", -1))
    name = str(arrays.get("record", path.stem))
    return _lay_out(
        path,
        columns,
        float(arrays["fs"]),
        name=name,
        outcome={key: _number_or_none(value) for key, value in outcome.items()},
        stage2_start=stage2 if stage2 >= 0 else None,
    )


def _widen(name: str, stored: Any) -> FloatArray:  # noqa: ANN401  an array of whatever the archive holds
    if stored.dtype == np.uint16:
        return np.where(stored == 0, np.nan, stored * 0.25)
    if stored.dtype == np.uint8 and name in _TOCO:
        return np.where(stored == 255, np.nan, stored * 0.5)
    return np.asarray(stored, np.float64)


# ------------------------------------------------------------------------- shared


def _bad(where: object, expected: str, got: object) -> RecordError:
    return RecordError(f"{where}: expected {expected}, got {got}")


def _lay_out(
    path: Path,
    columns: dict[str, FloatArray],
    fs: float,
    *,
    name: str | None = None,
    outcome: dict[str, float | None] | None = None,
    stage2_start: int | None = None,
) -> Record:
    fetal = sorted((_FETAL[key], key) for key in columns if key in _FETAL)
    if not fetal or [number for number, _ in fetal] != list(range(len(fetal))):
        raise _bad(path, "fhr, or fhr1 to fhr3", ", ".join(columns) or "no columns")
    if not fs > 0:
        raise _bad(path, "fs above 0 Hz", fs)
    toco = next((columns[key] for key in _TOCO if key in columns), None)
    mhr = next((columns[key] for key in _MATERNAL if key in columns), None)
    lengths = {array.shape for array in (*(columns[key] for _, key in fetal), toco, mhr) if array is not None}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1 or next(iter(lengths)) == (0,):
        raise _bad(path, "channels of one length", f"shapes {sorted(lengths)}")
    return Record(
        name=name or path.stem,
        fs=fs,
        fhr=np.stack([_blank_to_nan(columns[key]) for _, key in fetal]),
        toco=toco,
        mhr=None if mhr is None else _blank_to_nan(mhr),
        outcome=outcome or {},
        stage2_start=stage2_start,
    )


def _blank_to_nan(rate: FloatArray) -> FloatArray:
    # Monitors and the databases made from them write 0 where the trace is blank.
    return np.where(rate > 0, rate, np.nan)


def _parse_number(text: str, path: Path, what: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _bad(path, f"a number for {what}", repr(text[:40])) from error


def _number_or_none(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
