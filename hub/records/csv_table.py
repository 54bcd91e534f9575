"""CSV: a line of channel names, then one line of values for each sample."""

import csv
import math
import re
from datetime import datetime
from pathlib import Path

import numpy as np

from hub.model import FloatArray
from hub.records.record import Record, lay_out, mismatch, parse_number, parse_start


def read_csv(path: Path) -> Record:
    """Read columns by name: fhr or fhr1-3, toco or uc, iup, mhr; empty or 0 is a lost rate.

    The sampling rate comes from a column time_s in equal steps, a column fs, or a line
    `# fs=4`.  A line `# start=2026-11-20T10:00:00+09:00` gives the time of the first sample.

    Raises
    ------
    RecordError
        If a row has another length than the names, a value is no number, or the
        sampling rate cannot be told.
    """
    fs, start, rows = _split_comments(path)
    try:
        reader = csv.reader(rows)
        names = [name.strip().lower() for name in next(reader, [])]
        cells = list(reader)
    except csv.Error as error:
        raise mismatch(path, "comma-separated values", error) from error
    if not names or not cells:
        raise mismatch(path, "a line of column names and samples", f"{len(rows)} lines")
    ragged = next((i for i, row in enumerate(cells) if len(row) != len(names)), None)
    if ragged is not None:
        raise mismatch(path, f"{len(names)} values in row {ragged + 2}", len(cells[ragged]))
    table = np.array([[_parse_cell(cell, path) for cell in row] for row in cells]).T
    columns = dict(zip(names, table, strict=True))
    time_s, fs_column = columns.pop("time_s", None), columns.pop("fs", None)
    if fs_column is not None:
        fs = float(fs_column[0])
    if fs is None and time_s is not None:
        fs = _rate_of(time_s, path)
    if fs is None:
        raise mismatch(path, "a column time_s or fs, or a line '# fs=4'", ", ".join(names))
    return lay_out(path, columns, fs, start=start)


def _split_comments(path: Path) -> tuple[float | None, datetime | None, list[str]]:
    fs: float | None = None
    start: datetime | None = None
    rows = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line in file:
            if line.startswith("#"):
                if found := re.search(r"\bfs\s*=\s*([\d.]+)", line, re.ASCII):
                    fs = parse_number(found[1], path, "fs")
                if found := re.search(r"\bstart\s*=\s*(\S+)", line):
                    start = parse_start(found[1], path)
            elif line.strip():
                rows.append(line)
    return fs, start, rows


def _rate_of(time_s: FloatArray, path: Path) -> float:
    steps = np.diff(time_s)
    if steps.size == 0 or not steps.min() > 0 or not np.ptp(steps) <= 0.01 * steps.mean():
        raise mismatch(path, "time_s in equal steps", f"steps from {steps.min(initial=0)}")
    return float(round(1.0 / steps.mean(), 6))


def _parse_cell(cell: str, path: Path) -> float:
    return parse_number(cell, path, "a sample") if cell.strip() else math.nan
