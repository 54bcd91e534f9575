"""Runs of wave frames as one compressible block, and back to the exact bytes.  Pure.

A segment holds frames of one bed and epoch that share their shape: ticks,
period, channel ids, CRC or none.  All that may differ from frame to frame is
laid out as planes of bytes over the whole run, coded as differences, so that
PostgreSQL's own compression finds long repeats and plain SQL can read them
(`segment_samples` in the migrations; `docs/store.md` has the table).
"""

import binascii
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import FrameFlag, Lane
from hub.store.rows import FrameRow

ARRIVAL_PRECISION_MS: Final = 1000
"""Time of arrival comes back from a segment to within this; everything else is exact."""

_HEADER: Final = struct.Struct(">BBIIHIBBBB")
_MAGIC: Final = 0xC7
_VERSION: Final = 1
_CRC_BYTES: Final = 2
_LARGEST_CLOCK_STEP_MS: Final = 0x7FFF
_LARGEST_SEQ_STEP: Final = 0xFFFF

_FILL: Final = 1
_ARRIVED_AT: Final = 2
"""Kinds of a span of arrivals: its lane, and whether its ms is a time or a delay after each frame's end."""

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames of one bed and epoch, in order of seq.  `ticks` 0: one frame, kept as it is in `body`."""

    site: str
    bed: str
    epoch: int
    first_seq: int
    last_seq: int
    start_ms: int
    end_ms: int
    frames: int
    ticks: int
    period_ms: int
    has_crc: bool
    channels: bytes
    arrivals: list[int]
    body: bytes


def encode_segments(rows: Sequence[FrameRow]) -> list[Segment]:
    """Pack frames of one bed and epoch into as few segments as their shapes allow."""
    ordered = sorted(rows, key=lambda row: row.seq)
    by_shape: dict[_Shape | None, list[FrameRow]] = {}
    for row in ordered:
        by_shape.setdefault(_shape_of(row), []).append(row)
    segments = [_encode_raw(row) for row in by_shape.pop(None, [])]
    for shape, alike in by_shape.items():
        if shape is not None:
            segments.extend(_encode_run(shape, run) for run in _regular_runs(shape, alike))
    return segments


def decode_segment(segment: Segment) -> list[FrameRow]:
    """Unpack the frames of a segment, byte for byte, in order of seq."""
    if segment.ticks == 0:
        frames = [(segment.first_seq, segment.start_ms, segment.end_ms, segment.body)]
    else:
        frames = _decode_run(segment)
    rows = []
    for (seq, t0_ms, end_ms, payload), (kind, ms) in zip(frames, _decode_arrivals(segment), strict=True):
        arrived_ms = ms if kind & _ARRIVED_AT else end_ms + ms
        lane = Lane.FILL if kind & _FILL else Lane.LIVE
        rows.append(
            FrameRow(segment.site, segment.bed, segment.epoch, seq, t0_ms, end_ms, lane, arrived_ms, payload)
        )
    return rows


def frame_core(payload: bytes) -> bytes:
    """Give the part of a frame that a second sending must repeat: no backfill flag, no CRC."""
    if len(payload) < _HEADER.size or payload[0] != _MAGIC:
        return payload
    flags = payload[1]
    stop = len(payload) - (_CRC_BYTES if flags & FrameFlag.CRC else 0)
    return bytes((payload[0], flags & (0xFF ^ FrameFlag.BACKFILL))) + payload[2:stop]


# ------------------------------------------------------------------------ shape


@dataclass(frozen=True, slots=True)
class _Shape:
    """What frames must have in common to share a segment."""

    ticks: int
    period_ms: int
    has_crc: bool
    channels: bytes
    length: int

    @property
    def widths(self) -> list[int]:
        return [sample_width(channel) for channel in self.channels]


def sample_width(channel: int) -> int:
    """Bytes per sample of a channel id, known or not, by the rule of the wire."""
    return 2 if channel < 0x20 or channel & 1 else 1


def _shape_of(row: FrameRow) -> _Shape | None:
    """Shape of a frame; None if its bytes do not say exactly what the row says of it."""
    payload = row.payload
    if len(payload) < _HEADER.size:
        return None
    magic, version_flags, epoch, seq, t0_high, t0_low, ticks, period, count, _ = _HEADER.unpack_from(payload)
    t0_ms = t0_high << 32 | t0_low
    is_ours = (magic, version_flags >> 4) == (_MAGIC, _VERSION) and ticks > 0 and period > 0
    if not is_ours or (epoch, seq, t0_ms, t0_ms + ticks * period * 10) != (
        row.epoch,
        row.seq,
        row.t0_ms,
        row.end_ms,
    ):
        return None
    has_crc = bool(version_flags & FrameFlag.CRC)
    stop = len(payload) - (_CRC_BYTES if has_crc else 0)
    if has_crc and payload[stop:] != _crc(payload[:stop]):
        return None
    channels = bytearray()
    offset = _HEADER.size
    for _ in range(count):
        if offset + 2 > stop:
            return None
        channels.append(payload[offset])
        offset += 2 + ticks * sample_width(payload[offset])
    if offset != stop:
        return None
    return _Shape(ticks, period * 10, has_crc, bytes(channels), len(payload))


def _crc(body: bytes) -> bytes:
    return binascii.crc_hqx(body, 0).to_bytes(_CRC_BYTES, "big")


def _regular_runs(shape: _Shape, rows: Sequence[FrameRow]) -> Iterator[list[FrameRow]]:
    """Cut where the site's clock or seq jumps further than its plane can hold."""
    frame_ms = shape.ticks * shape.period_ms
    run: list[FrameRow] = []
    for row in rows:
        if run:
            expected_ms = run[0].t0_ms + (row.seq - run[0].seq) * frame_ms
            is_near = abs(row.t0_ms - expected_ms) <= _LARGEST_CLOCK_STEP_MS
            if not is_near or row.t0_ms < run[0].t0_ms or row.seq - run[-1].seq - 1 > _LARGEST_SEQ_STEP:
                yield run
                run = []
        run.append(row)
    yield run


# ------------------------------------------------------------------------ planes


def _encode_raw(row: FrameRow) -> Segment:
    return Segment(
        row.site, row.bed, row.epoch, row.seq, row.seq, row.t0_ms, row.end_ms,
        1, 0, 0, False, b"", _encode_arrivals([row]), row.payload,
    )  # fmt: skip


def _encode_run(shape: _Shape, rows: Sequence[FrameRow]) -> Segment:
    n, ticks = len(rows), shape.ticks
    first = rows[0]
    octets = np.frombuffer(b"".join(row.payload for row in rows), np.uint8).reshape(n, shape.length)
    seqs = np.array([row.seq for row in rows], np.int64)
    t0s = np.array([row.t0_ms for row in rows], np.int64)
    clock = t0s - first.t0_ms - (seqs - first.seq) * (ticks * shape.period_ms)
    steps = np.diff(seqs, prepend=seqs[0] - 1) - 1
    planes = [*_split(steps, 2), *_split(_to_differences(clock, 2), 2)]
    planes += [_to_differences(octets[:, 1], 1), _to_differences(octets[:, 19], 1)]
    blocks = list(_channel_blocks(shape))
    planes += [_to_differences(octets[:, offset + 1], 1) for offset, _ in blocks]
    for offset, width in blocks:
        block = octets[:, offset + 2 : offset + 2 + ticks * width].reshape(n * ticks, width)
        samples = block[:, 0].astype(np.int64) << 8 | block[:, 1] if width == 2 else block[:, 0]
        # The upper bytes come first: mostly zeros, they keep PostgreSQL's compressor from giving up early.
        planes += _split(_to_differences(samples, width), width)[::-1]
    return Segment(
        first.site, first.bed, first.epoch, first.seq, rows[-1].seq, first.t0_ms,
        max(row.end_ms for row in rows), n, ticks, shape.period_ms, shape.has_crc, shape.channels,
        _encode_arrivals(rows), b"".join(plane.astype(np.uint8).tobytes() for plane in planes),
    )  # fmt: skip


def _decode_run(segment: Segment) -> list[tuple[int, int, int, bytes]]:
    n, frame_ms = segment.frames, segment.ticks * segment.period_ms
    body = np.frombuffer(segment.body, np.uint8)
    per_frame = body[: n * (6 + len(segment.channels))].reshape(-1, n)
    seqs = segment.first_seq + np.cumsum(_join(per_frame[0], per_frame[1]) + 1) - 1
    clock = _from_differences(_join(per_frame[2], per_frame[3]), 2)
    clock = (clock ^ 0x8000) - 0x8000  # 16 bits, signed
    t0s = segment.start_ms + (seqs - segment.first_seq) * frame_ms + clock

    columns: list[Bytes] = [_header_columns(segment, seqs, t0s, per_frame)]
    for channel, words, modes in channel_words(segment):
        samples = (
            words.astype(">u2" if sample_width(channel) == 2 else np.uint8).view(np.uint8).reshape(n, -1)
        )
        columns += [np.full((n, 1), channel, np.uint8), modes.astype(np.uint8)[:, None], samples]
    octets = np.concatenate(columns, axis=1)
    payloads = [row.tobytes() for row in octets]
    if segment.has_crc:
        payloads = [payload + _crc(payload) for payload in payloads]
    return [
        (int(seq), int(t0), int(t0) + frame_ms, payload)
        for seq, t0, payload in zip(seqs, t0s, payloads, strict=True)
    ]


def channel_words(segment: Segment) -> Iterator[tuple[int, Integers, Integers]]:
    """Give the channels of a segment with `ticks` > 0: id, all sample words, the mode of each frame."""
    n, ticks = segment.frames, segment.ticks
    body = np.frombuffer(segment.body, np.uint8)
    offset = n * (6 + len(segment.channels))
    modes = body[6 * n : offset].reshape(-1, n)
    for channel, mode in zip(segment.channels, modes, strict=True):
        width = sample_width(channel)
        planes = body[offset : offset + width * n * ticks].reshape(width, n * ticks)
        offset += planes.size
        words = _from_differences(_join(planes[-1], planes[0]) if width == 2 else planes[0], width)
        yield channel, words, _from_differences(mode, 1)


def _header_columns(segment: Segment, seqs: Integers, t0s: Integers, per_frame: Bytes) -> Bytes:
    n = segment.frames
    header = np.empty(n, np.dtype([("magic", "u1"), ("version", "u1"), ("epoch", ">u4"), ("seq", ">u4"),
                                   ("t0_high", ">u2"), ("t0_low", ">u4"), ("ticks", "u1"), ("period", "u1"),
                                   ("count", "u1"), ("status", "u1")]))  # fmt: skip
    header["magic"] = _MAGIC
    header["version"] = _from_differences(per_frame[4], 1)
    header["epoch"] = segment.epoch
    header["seq"] = seqs
    header["t0_high"] = t0s >> 32
    header["t0_low"] = t0s & 0xFFFFFFFF
    header["ticks"] = segment.ticks
    header["period"] = segment.period_ms // 10
    header["count"] = len(segment.channels)
    header["status"] = _from_differences(per_frame[5], 1)
    return header.view(np.uint8).reshape(n, _HEADER.size)


def _channel_blocks(shape: _Shape) -> Iterator[tuple[int, int]]:
    """Offset of each channel block in a frame, and bytes per sample."""
    offset = _HEADER.size
    for width in shape.widths:
        yield offset, width
        offset += 2 + shape.ticks * width


def _to_differences(values: npt.NDArray[np.integer], width: int) -> Integers:
    """Differences modulo the word, small ones of either sign as small numbers (zigzag)."""
    bits = 8 * width
    half = 1 << bits - 1
    wide = values.astype(np.int64)
    signed = (np.diff(wide, prepend=0) + half) % (1 << bits) - half
    return signed << 1 ^ signed >> 63


def _from_differences(coded: npt.NDArray[np.integer], width: int) -> Integers:
    wide = coded.astype(np.int64)
    signed = wide >> 1 ^ -(wide & 1)
    return np.cumsum(signed) & (1 << 8 * width) - 1


def _split(words: Integers, width: int) -> list[Integers]:
    """Words as planes of bytes, the lowest first."""
    return [words >> 8 * index & 0xFF for index in range(width)]


def _join(low: Bytes, high: Bytes) -> Integers:
    return low.astype(np.int64) | high.astype(np.int64) << 8


# ---------------------------------------------------------------------- arrivals


def _encode_arrivals(rows: Sequence[FrameRow]) -> list[int]:
    """Arrivals as spans (index of the first frame, kind, ms), flat.

    A live span has one delay after the end of each frame, a burst one time of
    arrival: whichever covers more frames within the precision.
    """
    spans: list[int] = []
    start = 0
    for _, group in groupby(rows, key=lambda row: row.lane):
        lane = list(group)
        fill = _FILL if lane[0].lane is Lane.FILL else 0
        while lane:
            delayed, delay_ms = _longest_span([row.arrived_ms - row.end_ms for row in lane])
            at_once, time_ms = _longest_span([row.arrived_ms for row in lane])
            if delayed >= at_once:
                spans += (start, fill, delay_ms)
            else:
                spans += (start, fill | _ARRIVED_AT, time_ms)
            covered = max(delayed, at_once)
            start += covered
            lane = lane[covered:]
    return spans


def _longest_span(values: Sequence[int]) -> tuple[int, int]:
    """How many of the first values lie within the precision of one value, and that value."""
    low = high = values[0]
    for count, value in enumerate(values):
        if max(high, value) - min(low, value) > 2 * ARRIVAL_PRECISION_MS:
            return count, (low + high) // 2
        low, high = min(low, value), max(high, value)
    return len(values), (low + high) // 2


def _decode_arrivals(segment: Segment) -> Iterator[tuple[int, int]]:
    """Kind and ms of each frame."""
    starts = segment.arrivals[::3]
    for start, stop, kind, ms in zip(
        starts, [*starts[1:], segment.frames], segment.arrivals[1::3], segment.arrivals[2::3], strict=True
    ):
        for _ in range(start, stop):
            yield kind, ms
