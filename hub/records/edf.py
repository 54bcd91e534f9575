"""EDF and EDF+: numbered blocks of 16-bit samples with times and remarks beside them.

After Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82:391-393, 1992 (EDF), and
Kemp and Olivan, Clin. Neurophysiol. 114:1755-1761, 2003 (EDF+).  EDF knows no missing
value: a rate of 0 is loss, and so is what a remark `signal loss [channel]` spans.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import BoolArray, FloatArray
from hub.records.record import NAMES, Record, Remark, lay_out, mismatch, parse_count, parse_number

MAX_DURATION_S: Final = 14 * 86400.0
"""A gap in EDF+D may claim any length; more than this is a damaged time, not a recording."""
MAX_SAMPLES: Final = 50_000_000
"""The same for a damaged rate: ten times as many as two weeks at 4 Hz."""

_FIXED: Final = 256
_FIELDS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
_ANNOTATIONS: Final = "edf annotations"
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14")
_LOSS = re.compile(r"signal loss\b\s*(?P<channel>\w*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Signal:
    label: str
    low: float
    high: float
    digital_low: float
    digital_high: float
    n: int
    """Samples in each block."""

    def to_physical(self, digital: npt.NDArray[np.int16]) -> FloatArray:
        step = (self.high - self.low) / (self.digital_high - self.digital_low)
        return (digital.astype(np.float64) - self.digital_low) * step + self.low


@dataclass(frozen=True, slots=True)
class _Header:
    n_bytes: int
    is_plus: bool
    is_interrupted: bool
    n_blocks: int | None
    block_s: float
    signals: tuple[_Signal, ...]
    start: datetime | None


@dataclass(frozen=True, slots=True)
class _Spanned:
    onset_s: float
    duration_s: float
    text: str


def read_edf(path: Path) -> Record:
    """Read an EDF, EDF+C or EDF+D file by its labels: FHR or FHR1-3, TOCO or UC, IUP, MHR.

    Raises
    ------
    RecordError
        If the header is damaged, the file is shorter than it says, or the channels
        are sampled at different rates.
    """
    content = path.read_bytes()
    header = _read_header(content, path)
    blocks = _split_blocks(content, header, path)
    starts = np.cumsum([0, *(signal.n for signal in header.signals)])
    pieces = {
        signal.label: blocks[:, a:b]
        for signal, a, b in zip(header.signals, starts[:-1], starts[1:], strict=True)
    }
    known = {signal.label: signal for signal in header.signals if signal.label in NAMES}
    rates = {signal.n for signal in known.values()}
    if len(rates) > 1:
        raise mismatch(path, "channels at one rate", {s.label: s.n / header.block_s for s in known.values()})
    n_per_block = rates.pop() if rates else 1
    fs = n_per_block / header.block_s
    onsets: FloatArray = np.arange(len(blocks), dtype=np.float64) * header.block_s
    remarks: list[_Spanned] = []
    begin_s = 0.0
    if header.is_plus and _ANNOTATIONS in pieces:
        begin_s, marked, remarks = _read_remarks(pieces[_ANNOTATIONS], path)
        onsets = marked if header.is_interrupted else onsets
    elif header.is_interrupted:
        raise mismatch(path, "a signal 'EDF Annotations' in EDF+D", "none")
    at = _place_blocks(onsets, n_per_block, fs, path)
    n = int(at[-1]) + n_per_block
    columns: dict[str, FloatArray] = {}
    for label, signal in known.items():
        column = np.full(n, np.nan)
        column[at[:, None] + np.arange(n_per_block)] = signal.to_physical(pieces[label])
        columns[label] = np.where(_is_lost(label, remarks, n, fs), np.nan, column)
    start = None if header.start is None else header.start + timedelta(seconds=begin_s)
    words = tuple(Remark(float(one.onset_s), one.text) for one in remarks if not _LOSS.match(one.text))
    return replace(lay_out(path, columns, fs, start=start), remarks=words)


def _read_header(content: bytes, path: Path) -> _Header:
    try:
        fixed = content[:_FIXED].decode("ascii")
        n_signals = parse_count(fixed[252:256].strip(), path, "the number of signals")
        table = content[_FIXED : _FIXED + _FIXED * n_signals].decode("ascii")
    except UnicodeDecodeError as error:
        raise mismatch(path, "an EDF header in ASCII", error) from error
    if len(fixed) < _FIXED or fixed[:8].strip() != "0" or len(table) < _FIXED * n_signals or not n_signals:
        raise mismatch(path, "an EDF header of version 0", f"{len(content)} bytes from {fixed[:8]!r}")
    block_s = parse_number(fixed[244:252], path, "the length of a block")
    if not 0 < block_s <= MAX_DURATION_S:
        raise mismatch(path, "blocks of more than 0 s", f"{block_s} s")
    n_blocks = fixed[236:244].strip()
    return _Header(
        n_bytes=parse_count(fixed[184:192].strip(), path, "the length of the header"),
        is_plus=fixed[192:197] in ("EDF+C", "EDF+D"),
        is_interrupted=fixed[192:197] == "EDF+D",
        n_blocks=None if n_blocks == "-1" else parse_count(n_blocks, path, "the number of blocks"),
        block_s=block_s,
        signals=_read_signals(table, n_signals, path),
        start=_read_start(fixed[168:184]),
    )


def _read_start(text: str) -> datetime | None:
    """Read dd.mm.yyhh.mm.ss; two digits count from 1985, and its first day stands for "not told"."""
    try:
        start = datetime.strptime(text, "%d.%m.%y%H.%M.%S")  # noqa: DTZ007  # the format knows no zone
    except ValueError:
        return None
    if start.year < 1985:
        start = start.replace(year=start.year + 100)
    return None if (start.day, start.month, start.year) == (1, 1, 1985) else start


def _read_signals(table: str, n_signals: int, path: Path) -> tuple[_Signal, ...]:
    columns: list[list[str]] = []
    at = 0
    for width in _FIELDS:
        columns.append([table[at + i * width : at + (i + 1) * width].strip() for i in range(n_signals)])
        at += width * n_signals
    signals = []
    for label, low, high, digital_low, digital_high, n in zip(
        columns[0], columns[3], columns[4], columns[5], columns[6], columns[8], strict=True
    ):
        bounds = [
            parse_number(x, path, f"a bound of {label}") for x in (low, high, digital_low, digital_high)
        ]
        if not np.isfinite(bounds).all() or bounds[2] == bounds[3]:
            raise mismatch(path, f"two digital bounds for {label}", f"{digital_low} and {digital_high}")
        count = parse_count(n, path, f"the samples of {label} in a block")
        signals.append(_Signal(label.lower(), bounds[0], bounds[1], bounds[2], bounds[3], count))
    if any(signal.n == 0 for signal in signals):
        raise mismatch(path, "samples of every signal in a block", "none")
    return tuple(signals)


def _split_blocks(content: bytes, header: _Header, path: Path) -> npt.NDArray[np.int16]:
    per_block = sum(signal.n for signal in header.signals)
    body = content[header.n_bytes :]
    n_whole = len(body) // (2 * per_block)
    n_blocks = n_whole if header.n_blocks is None else header.n_blocks
    if n_whole < n_blocks or n_blocks == 0:
        raise mismatch(path, f"{max(n_blocks, 1)} blocks of {2 * per_block} bytes", f"{n_whole} whole ones")
    return np.frombuffer(body, "<i2", count=n_blocks * per_block).reshape(n_blocks, per_block)


def _read_remarks(pieces: npt.NDArray[np.int16], path: Path) -> tuple[float, FloatArray, list[_Spanned]]:
    """Read when the first block begins, then, counted from it, each block, and the remarks."""
    remarks: list[_Spanned] = []
    onsets = np.empty(len(pieces))
    for i, piece in enumerate(pieces):
        lists = [text for text in piece.tobytes().split(b"\x00") if text]
        first = _ONSET.match(lists[0]) if lists else None
        if first is None:
            raise mismatch(path, f"the time of block {i} in its annotations", lists[:1])
        onsets[i] = float(first[1])
        for text in lists:
            found = _ONSET.match(text)
            if found is not None:
                words = text[found.end() :].decode("utf-8", "replace").split("\x14")
                span = float(found[1]), float(found[2] or 0)
                remarks += [_Spanned(span[0], span[1], word) for word in words if word]
    start = onsets[0]
    return float(start), onsets - start, [_Spanned(r.onset_s - start, r.duration_s, r.text) for r in remarks]


def _place_blocks(onsets: FloatArray, n_per_block: int, fs: float, path: Path) -> npt.NDArray[np.intp]:
    """Give the first sample of each block; the time between blocks that do not join is loss."""
    if onsets[-1] > MAX_DURATION_S:
        raise mismatch(path, f"a recording of at most {MAX_DURATION_S / 86400:g} days", f"{onsets[-1]} s")
    if onsets[-1] * fs > MAX_SAMPLES:
        raise mismatch(path, f"at most {MAX_SAMPLES:,} samples", f"{onsets[-1] * fs:.3g}")
    joined = np.arange(onsets.size) * n_per_block
    late = np.round(onsets * fs).astype(np.intp) - joined
    # Written times are rounded, so a block may seem to begin one sample early.
    settled = np.maximum.accumulate(late)
    if np.any(settled - late > 1):
        raise mismatch(path, "blocks one after the other", "blocks that overlap")
    return joined + settled


def _is_lost(label: str, remarks: list[_Spanned], n: int, fs: float) -> BoolArray:
    lost = np.zeros(n, dtype=bool)
    for remark in remarks:
        found = _LOSS.match(remark.text)
        if found is not None and found["channel"].lower() in ("", label):
            a = max(round(remark.onset_s * fs), 0)
            lost[a : max(round((remark.onset_s + remark.duration_s) * fs), a)] = True
    return lost
