"""WFDB: a header .hea and one .dat in format 16 or 212 (PhysioNet, pages header(5) and signal(5))."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from hub.model import FloatArray
from hub.records.record import Record, lay_out, mismatch, number_or_none, parse_count, parse_number

DEFAULT_GAIN: Final = 200.0
"""Gain of a signal whose header gives none, by the format's definition."""
DEFAULT_FS_HZ: Final = 250.0

_SIGNAL_LINE = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d+)(?P<unusual>[x:]\d+)?(?:\+(?P<offset>\d+))?"
    r"(?:\s+(?P<gain>[\d.eE+-]+)(?:\((?P<baseline>-?\d+)\))?(?:/(?P<units>\S+))?"
    r"(?:\s+\d+(?:\s+(?P<zero>-?\d+)(?:\s+-?\d+(?:\s+-?\d+(?:\s+\d+(?:\s+(?P<name>.+))?)?)?)?)?)?)?",
    re.ASCII,
)
_COMMENT_VALUE = re.compile(r"#\s*(?P<key>[^#\s].*?)\s{2,}(?P<value>-?\d+(?:\.\d+)?|NaN)\s*", re.ASCII)


def read_wfdb(path: Path) -> Record:
    """Read a record by its header or its data file.

    Raises
    ------
    RecordError
        If the header is not understood, or the data are of another format or length.
    """
    header = path.with_suffix(".hea")
    lines = header.read_text(encoding="utf-8").splitlines()
    content = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    first = content[0].split() if content else []
    if len(first) < 2 or not first[1].isdecimal() or "/" in first[0]:
        raise mismatch(header, "'record n_signals [fs [n_samples]]'", repr(" ".join(first)))
    n_signals = parse_count(first[1], header, "n_signals")
    fs = parse_number(re.split(r"[/(]", first[2])[0], header, "fs") if len(first) > 2 else DEFAULT_FS_HZ
    rows = _read_signal_lines(header, content[1:], n_signals)
    data = header.with_name(rows[0]["file"])
    offset = parse_count(rows[0]["offset"] or "0", header, "the byte offset")
    number = parse_count(rows[0]["format"], header, "the format")
    digital = _decode_samples(data.read_bytes()[offset:], number, n_signals, data)
    if len(first) > 3 and digital.shape[1] != parse_count(first[3], header, "n_samples"):
        raise mismatch(data, f"{first[3]} samples a signal", digital.shape[1])
    columns = {
        (row["name"] or "").strip().lower(): _to_physical(header, row, values)
        for row, values in zip(rows, digital, strict=True)
    }
    outcome = {
        found["key"]: number_or_none(float(found["value"]))
        for found in map(_COMMENT_VALUE.fullmatch, lines)
        if found is not None
    }
    stage2 = outcome.get("Pos. II.st.")
    return lay_out(
        header,
        columns,
        fs,
        outcome=outcome,
        stage2_start=int(stage2) if stage2 and stage2 > 0 else None,
        start=_read_start(header, first),
    )


def _read_start(header: Path, first: list[str]) -> datetime | None:
    """Read base time and date behind the number of samples; a time without its day is no start."""
    if len(first) < 6:
        return None
    for form in ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S.%f"):
        try:
            return datetime.strptime(f"{first[5]} {first[4]}", form)  # noqa: DTZ007  # the format knows no zone
        except ValueError:
            continue
    raise mismatch(header, "a base time HH:MM:SS and date DD/MM/YYYY", f"{first[4]} {first[5]}")


def _read_signal_lines(header: Path, lines: list[str], n_signals: int) -> list[re.Match[str]]:
    found = [_SIGNAL_LINE.fullmatch(line) for line in lines[:n_signals]]
    rows = [row for row in found if row is not None]
    if len(rows) != n_signals or n_signals == 0:
        raise mismatch(header, f"{n_signals} signal lines", f"{len(rows)} readable ones")
    stored = {(row["file"], row["format"], row["offset"], row["unusual"]) for row in rows}
    if len(stored) != 1 or rows[0]["unusual"]:
        raise mismatch(header, "all signals in one .dat at one rate", sorted(map(str, stored)))
    return rows


def _to_physical(header: Path, row: re.Match[str], values: FloatArray) -> FloatArray:
    gain = (parse_number(row["gain"], header, "a gain") if row["gain"] else 0.0) or DEFAULT_GAIN
    baseline = float(row["baseline"] if row["baseline"] is not None else row["zero"] or 0)
    return (values - baseline) / gain


def _decode_samples(body: bytes, number: int, n_signals: int, path: Path) -> FloatArray:
    """Undo format 16 or 212; shape (n_signals, n_samples), NaN for the format's invalid value."""
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
        raise mismatch(path, "WFDB format 16 or 212", number)
    raw = raw[: raw.size // n_signals * n_signals]
    values = np.where(raw == invalid, np.nan, raw.astype(np.float64))
    return values.reshape(-1, n_signals).T
