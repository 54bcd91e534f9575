"""MFER (ISO 22077-1): tags with lengths, as Japanese systems archive waveforms.

Read is what a CTG needs: one stretch of 16-bit trend samples whose channels are named by
labels, since the standard has no lead codes for a fetus.  Any other coding is refused by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import numpy as np

from hub.model import FloatArray
from hub.records.record import FETAL, IUP, MATERNAL, TOCO, Record, lay_out, mismatch

TREND: Final = 26
PRIVATE: Final = range(49152, 65536)
"""Waveform kinds that a maker may use for its own; a CTG has no other."""
_UINT16: Final = 1
_SECOND: Final = 1
_MAX_CHANNELS: Final = 64
_END: Final = 0x80
_CHANNEL: Final = 0x3F
_PER_MINUTE: Final = 9
_PERCENT: Final = 7

_COUNTS: Final = {0x04: "n_block", 0x05: "n_channels", 0x06: "n_sequences", 0x0A: "sample", 0x12: "null"}

_Order = Literal["big", "little"]


@dataclass(slots=True)
class _Channel:
    label: str = ""
    unit: int | None = None
    step: float = 1.0
    null: int | None = None


@dataclass(slots=True)
class _Head:
    order: _Order = "big"
    kind: int | None = None
    interval_s: float | None = None
    n_block: int | None = None
    n_channels: int | None = None
    n_sequences: int = 1
    sample: int | None = None
    start: datetime | None = None
    null: int | None = None
    channels: dict[int, _Channel] = field(default_factory=dict)


def read_mfer(path: Path) -> Record:
    """Read an MFER file by its channel labels: FHR or FHR1-3, TOCO or UC, MHR.

    Raises
    ------
    RecordError
        If it is damaged, or coded in a way that is not read here.
    """
    content = path.read_bytes()
    if content[:1] != b"\x40" or content[2:5] != b"MFR":
        raise mismatch(path, "an MFER preamble 'MFR'", repr(content[:8]))
    head = _Head()
    waves: list[bytes] = []
    for tag, number, value in _split_tags(content, path):
        if tag == 0x1E:
            waves.append(value)
        elif waves and tag in (0x01, 0x04, 0x05, 0x06, 0x0A, 0x0B, _CHANNEL, 0x85):
            raise mismatch(path, "one stretch of one layout", f"tag {tag:02x} behind the samples")
        else:
            _take(head, tag, number, value, path)
    return _lay_out(head, b"".join(waves), path)


def _split_tags(content: bytes, path: Path, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Give each tag, the channel it is for (-1: all), and its value."""
    at = start
    while at < len(content):
        tag, number = content[at], -1
        at += 1
        if tag == 0x00:  # padding
            continue
        if tag == _CHANNEL:
            number = content[at] if at < len(content) else _MAX_CHANNELS
            at += 1
            if number >= _MAX_CHANNELS:
                raise mismatch(path, f"channels 0 to {_MAX_CHANNELS - 1}", number)
        length, at = _read_length(content, at, path)
        if tag == _END:
            return
        if at + length > len(content):
            raise mismatch(path, f"{length} bytes of tag {tag:02x}", f"{len(content) - at}")
        yield tag, number, content[at : at + length]
        at += length


def _read_length(content: bytes, at: int, path: Path) -> tuple[int, int]:
    first = content[at] if at < len(content) else 0
    if first < 0x80:
        return first, at + 1
    n_bytes = first & 0x7F
    if not 1 <= n_bytes <= 4:
        raise mismatch(path, "a length of 1 to 4 bytes", f"{first:02x}")
    return int.from_bytes(content[at + 1 : at + 1 + n_bytes], "big"), at + 1 + n_bytes


def _take(head: _Head, tag: int, number: int, value: bytes, path: Path) -> None:
    """Keep what one tag in front of the samples says; one that is not known here is passed over."""
    whole = int.from_bytes(value, head.order)
    match tag:
        case 0x01:
            head.order = "little" if whole == 1 else "big"
        case 0x08:
            head.kind = int.from_bytes(value[:2], head.order)
        case 0x04 | 0x05 | 0x06 | 0x0A | 0x12:
            setattr(head, _COUNTS[tag], whole)
        case 0x0B:
            unit, head.interval_s = _read_scaled(value, head.order, path)
            if unit != _SECOND:
                raise mismatch(path, "an interval in seconds", f"unit {unit}")
        case 0x0D | 0x0E if whole != 0:
            raise mismatch(path, "samples without offset and compression", f"tag {tag:02x} = {whole}")
        case 0x85:
            head.start = _read_time(value, head.order, path)
        case 0x3F:
            channel = head.channels.setdefault(number, _Channel())
            for inner, _, content in _split_tags(value, path):
                _take_channel(channel, inner, content, head.order, path)


def _take_channel(channel: _Channel, tag: int, value: bytes, order: _Order, path: Path) -> None:
    match tag:
        case 0x09:
            channel.label = value[2:].split(b"\x00")[0].decode("ascii", "replace").strip()
        case 0x0C:
            channel.unit, channel.step = _read_scaled(value, order, path)
        case 0x12:
            channel.null = int.from_bytes(value, order)
        case 0x04 | 0x06 | 0x0A | 0x0B:
            raise mismatch(path, "all channels of one layout", f"tag {tag:02x} in {channel.label or 'one'}")
        case 0x0D | 0x0E if any(value):
            raise mismatch(path, "samples without offset and compression", f"tag {tag:02x}")


def _read_scaled(value: bytes, order: _Order, path: Path) -> tuple[int, float]:
    """Read a unit and a number as exponent and mantissa."""
    if len(value) < 3:
        raise mismatch(path, "a unit, an exponent and a mantissa", f"{len(value)} bytes")
    exponent = int.from_bytes(value[1:2], "big", signed=True)
    if not -12 <= exponent <= 12:
        raise mismatch(path, "an exponent from -12 to 12", exponent)
    return value[0], int.from_bytes(value[2:], order) * 10.0**exponent


def _read_time(value: bytes, order: _Order, path: Path) -> datetime:
    try:
        year, (month, day, hour, minute, second) = int.from_bytes(value[:2], order), value[2:7]
        ms, us = (int.from_bytes(value[a : a + 2], order) for a in (7, 9))
        start = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # the format knows no zone
        return start + timedelta(milliseconds=ms, microseconds=us)
    except (ValueError, OverflowError) as error:
        raise mismatch(path, "a start time of 7 or 11 bytes", value.hex(" ")) from error


def _lay_out(head: _Head, wave: bytes, path: Path) -> Record:
    if head.kind is not None and head.kind != TREND and head.kind not in PRIVATE:
        raise mismatch(path, f"a waveform of kind {TREND} (trend)", head.kind)
    if head.sample != _UINT16:
        raise mismatch(path, "samples of type 1 (uint16)", "none" if head.sample is None else head.sample)
    if not head.interval_s:
        raise mismatch(path, "a sampling interval", "none")
    n_channels, n_block, n_sequences = head.n_channels or 0, head.n_block or 0, head.n_sequences
    n_samples = n_channels * n_block * n_sequences
    if not 0 < n_channels <= _MAX_CHANNELS or n_samples * 2 != len(wave):
        layout = f"{n_sequences} x {n_channels} x {n_block} samples of 2 bytes"
        raise mismatch(path, layout, f"{len(wave)} bytes")
    stored = np.frombuffer(wave, ">u2" if head.order == "big" else "<u2")
    rows = stored.reshape(n_sequences, n_channels, n_block).transpose(1, 0, 2).reshape(n_channels, -1)
    columns: dict[str, FloatArray] = {}
    for number, row in enumerate(rows):
        channel = head.channels.get(number, _Channel())
        name = channel.label.lower()
        if not name:
            continue
        if name in columns:
            raise mismatch(path, "labels that differ", f"{channel.label} twice")
        _check_unit(name, channel, path)
        null = head.null if channel.null is None else channel.null
        values = row * channel.step
        columns[name] = values if null is None else np.where(row == null, np.nan, values)
    return lay_out(path, columns, 1.0 / head.interval_s, start=head.start)


def _check_unit(name: str, channel: _Channel, path: Path) -> None:
    if name in FETAL or name in MATERNAL:
        expected = _PER_MINUTE
    elif name in TOCO:
        expected = _PERCENT
    elif name in IUP:
        raise mismatch(
            path, "rates and toco", f"{channel.label}: the unit code of pressure is not known here"
        )
    else:
        return
    if channel.unit != expected:
        raise mismatch(path, f"unit code {expected} for {channel.label}", channel.unit)
