"""Bytes to values and back: wave frames, fill and batch containers, JSON messages, topics.  No I/O.

The protocol is written down in `docs/protocol.md`.  Whatever is wrong with an
input raises `WireError` and nothing else.
"""

import binascii
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from hub.errors import WireError, WireFault
from hub.model import (
    HEART_RATES,
    Channel,
    ChannelSamples,
    FloatArray,
    FrameFlag,
    MonitorStatus,
    SignalQuality,
    TimeExchange,
    Transducer,
    WaveEntry,
    WaveFrame,
)

T = TypeVar("T")
Raw = npt.NDArray[np.uint16] | npt.NDArray[np.uint8] | npt.NDArray[np.int16]

MAX_FRAME_BYTES: Final = 64 * 1024 - 1
"""What the length before a frame in a fill message or a wave batch can say."""
MAX_FILL_BYTES: Final = 1024 * 1024
"""Most that a fill message may hold after decompression."""
MAX_FILL_FRAMES: Final = 1200
"""Most frames of a fill message: 20 minutes of one bed, and a few ms of work."""
MAX_JSON_BYTES: Final = 16 * 1024
LATEST_MS: Final = 7_258_118_400_000
"""2200-01-01: a later time is a broken clock, and would not fit a calendar date for long."""

_MAGIC = 0xC7
_VERSION = 1
_HEADER = struct.Struct(">BBIIHIBBBB")  # t0 is 48 bits wide: its upper 16, then its lower 32
_TIMES = struct.Struct(">3Q")
_HR_MISSING = 0x8000
_HR_VALUE = 0x07FF
_MEASURED: Final[dict[int, tuple[np.dtype[Any], float, int]]] = {
    Channel.TOCO: (np.dtype(np.uint8), 0.5, 255),
    Channel.IUP: (np.dtype(">i2"), 0.5, -0x8000),
    Channel.FSPO2: (np.dtype(np.uint8), 1.0, 255),
}
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {}
_CHANNELS = {int(c): c for c in Channel}
_TRANSDUCERS = {int(t): t for t in Transducer}


# ----------------------------------------------------------------- wave frame v1


def decode_wave(payload: bytes, *, site: str, bed: str) -> WaveFrame:
    """Decode one wave frame; unknown channels are left out.  Raises WireError."""
    if len(payload) > MAX_FRAME_BYTES:
        raise WireError(
            WireFault.SIZE, f"{site}/{bed}: expected at most {MAX_FRAME_BYTES} bytes, got {len(payload)}"
        )
    if len(payload) < _HEADER.size:
        raise WireError(
            WireFault.SHORT, f"{site}/{bed}: expected a {_HEADER.size}-byte header, got {len(payload)} bytes"
        )
    magic, version_flags, epoch, seq, t0_hi, t0_lo, n_ticks, period, n_channels, status = _HEADER.unpack_from(
        payload
    )
    where = f"{site}/{bed} seq {seq}"
    if magic != _MAGIC:
        raise WireError(WireFault.MAGIC, f"{site}/{bed}: expected first byte C7, got {magic:02X}")
    if version_flags >> 4 != _VERSION:
        raise WireError(
            WireFault.VERSION, f"{site}/{bed}: expected version {_VERSION}, got {version_flags >> 4}"
        )
    flags = FrameFlag(version_flags & 0x0F)
    t0_ms = t0_hi << 32 | t0_lo
    if n_ticks == 0 or period == 0:
        raise WireError(
            WireFault.TICKS, f"{where}: expected 1-255 ticks of 10-2550 ms, got {n_ticks} of {period * 10} ms"
        )
    if t0_ms > LATEST_MS:
        raise WireError(WireFault.TIME, f"{where}: expected a time before the year 2200, got {t0_ms} ms")
    stop = _check_crc(payload, where) if FrameFlag.CRC in flags else len(payload)
    channels = _decode_channels(payload[:stop], n_channels, n_ticks, where)
    return WaveFrame(
        site, bed, epoch, seq, t0_ms, period * 10, n_ticks, flags, MonitorStatus(status), channels
    )


def encode_wave(frame: WaveFrame) -> bytes:
    """Encode one wave frame; the CRC is added when the flag asks for it."""
    if not 1 <= frame.n_ticks <= 255 or frame.period_ms % 10 or not 10 <= frame.period_ms <= 2550:
        msg = (
            f"expected 1-255 ticks of 10-2550 ms in steps of 10, got {frame.n_ticks} of {frame.period_ms} ms"
        )
        raise ValueError(msg)
    parts = [
        _HEADER.pack(
            _MAGIC,
            _VERSION << 4 | frame.flags,
            frame.epoch,
            frame.seq,
            frame.t0_ms >> 32,
            frame.t0_ms & 0xFFFFFFFF,
            frame.n_ticks,
            frame.period_ms // 10,
            len(frame.channels),
            frame.status,
        )
    ]
    for block in frame.channels:
        if block.raw.shape != (frame.n_ticks,):
            msg = f"{block.channel.name}: expected {frame.n_ticks} samples, got shape {block.raw.shape}"
            raise ValueError(msg)
        parts.append(bytes((block.channel, block.transducer << 4 | block.is_inop)))
        parts.append(block.raw.astype(_dtype(block.channel)).tobytes())
    body = b"".join(parts)
    return body + binascii.crc_hqx(body, 0).to_bytes(2, "big") if FrameFlag.CRC in frame.flags else body


def with_backfill_flag(payload: bytes) -> bytes:
    """Give the same frame its backfill flag, as it travels on `wave/fill`; a CRC is made anew."""
    flagged = bytearray(payload)
    flagged[1] |= FrameFlag.BACKFILL
    if flagged[1] & FrameFlag.CRC:
        flagged[-2:] = binascii.crc_hqx(bytes(flagged[:-2]), 0).to_bytes(2, "big")
    return bytes(flagged)


def _check_crc(payload: bytes, where: str) -> int:
    stop = len(payload) - 2
    expected, got = binascii.crc_hqx(payload[:stop], 0), int.from_bytes(payload[stop:], "big")
    if expected != got:
        raise WireError(WireFault.CRC, f"{where}: expected CRC {expected:04X}, got {got:04X}")
    return stop


def _decode_channels(body: bytes, count: int, n_ticks: int, where: str) -> tuple[ChannelSamples, ...]:
    channels: list[ChannelSamples] = []
    offset = _HEADER.size
    seen: set[int] = set()
    for index in range(count):
        if offset + 2 > len(body):
            raise WireError(WireFault.SHORT, f"{where}: expected {count} channels, got {index}")
        number, mode = body[offset], body[offset + 1]
        dtype = _dtype(number)
        offset += 2
        end = offset + n_ticks * dtype.itemsize
        if end > len(body):
            raise WireError(
                WireFault.SHORT,
                f"{where}: expected {n_ticks} samples of channel {number:02X}, "
                f"got {(len(body) - offset) // dtype.itemsize}",
            )
        if number in seen:
            raise WireError(WireFault.CHANNEL, f"{where}: channel {number:02X} comes twice")
        seen.add(number)
        channel = _CHANNELS.get(number)
        if channel is not None:
            raw: Any = np.frombuffer(body, dtype, n_ticks, offset).astype(dtype.newbyteorder("="))
            transducer = _TRANSDUCERS.get(mode >> 4, Transducer.UNKNOWN)
            channels.append(ChannelSamples(channel, transducer, bool(mode & 1), raw))
        offset = end
    if offset != len(body):
        raise WireError(
            WireFault.LONG, f"{where}: expected {offset} bytes for {count} channels, got {len(body)}"
        )
    return tuple(channels)


@cache
def _dtype(channel: int) -> np.dtype[Any]:
    """Sample type of a channel.  The rule for unknown ids lets a receiver step over them."""
    known = _MEASURED.get(channel)
    if known is not None:
        return known[0]
    return np.dtype(">u2") if channel < 0x20 or channel & 1 else np.dtype(np.uint8)


# ------------------------------------------------------- words to values and back


def to_values(block: ChannelSamples) -> FloatArray:
    """Values of one channel in bpm, monitor units, mmHg or %, shape (n_ticks,); NaN is signal loss."""
    if block.is_inop:
        return np.full(block.raw.shape, np.nan)
    if block.channel in HEART_RATES:
        word = block.raw.astype(np.uint16)
        value = word & _HR_VALUE
        return np.where((word & _HR_MISSING != 0) | (value == 0), np.nan, value * 0.25)
    _, step, missing = _MEASURED[block.channel]
    return np.where(block.raw == missing, np.nan, block.raw * step)


def to_quality(block: ChannelSamples) -> npt.NDArray[np.uint8]:
    """`SignalQuality` of each tick, shape (n_ticks,); UNKNOWN for channels that carry none."""
    if block.channel not in HEART_RATES:
        return np.full(block.raw.shape, SignalQuality.UNKNOWN, np.uint8)
    return (block.raw.astype(np.uint16) >> 13 & 3).astype(np.uint8)


def to_movement(block: ChannelSamples) -> npt.NDArray[np.uint8]:
    """Fetal-movement bits of each tick, shape (n_ticks,); 0 for channels that carry none."""
    if block.channel not in HEART_RATES:
        return np.zeros(block.raw.shape, np.uint8)
    return (block.raw.astype(np.uint16) >> 11 & 3).astype(np.uint8)


def samples_from_values(
    channel: Channel,
    values: npt.ArrayLike,
    *,
    transducer: Transducer,
    quality: npt.ArrayLike = SignalQuality.GREEN,
    movement: npt.ArrayLike = 0,
) -> ChannelSamples:
    """Round values, shape (n_ticks,), to the steps of the wire; NaN and what does not fit become missing."""
    x = np.asarray(values, np.float64)
    if channel in HEART_RATES:
        steps = np.round(np.where(np.isfinite(x), x, 0.0).clip(-1e6, 1e6) * 4)
        is_missing = (steps < 1) | (steps > _HR_VALUE)
        bits = np.asarray(quality).astype(np.uint16) << 13 | np.asarray(movement).astype(np.uint16) << 11
        word = np.where(is_missing, _HR_MISSING | bits, steps.clip(0, _HR_VALUE).astype(np.uint16) | bits)
        return ChannelSamples(channel, transducer, False, word.astype(np.uint16))
    dtype, step, missing = _MEASURED[channel]
    low, high = (0, 254) if dtype == np.uint8 else (-0x7FFF, 0x7FFF)
    steps = np.round(np.where(np.isfinite(x), x, 1e6).clip(-1e6, 1e6) / step)
    raw = np.where((steps < low) | (steps > high), missing, steps.clip(low, high))
    return ChannelSamples(channel, transducer, False, raw.astype(dtype.newbyteorder("=")))


# -------------------------------------------------------------- fill and batches


def encode_fill(payloads: Sequence[bytes]) -> bytes:
    """Pack wave frames for `wave/fill`: each with its length before it, all deflated."""
    return zlib.compress(b"".join(len(p).to_bytes(2, "big") + p for p in payloads))


def decode_fill(payload: bytes) -> list[bytes]:
    """Unpack a fill message into wave frames, still encoded.  Raises WireError."""
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(payload, MAX_FILL_BYTES)
    except zlib.error as error:
        raise WireError(
            WireFault.FILL, f"expected deflated frames, got {len(payload)} bytes: {error}"
        ) from error
    if inflater.unconsumed_tail:
        raise WireError(WireFault.SIZE, f"fill message: expected at most {MAX_FILL_BYTES} bytes inflated")
    if not inflater.eof or inflater.unused_data:
        raise WireError(WireFault.FILL, f"expected one whole deflate stream, got {len(payload)} bytes")
    frames: list[bytes] = []
    offset = 0
    while offset < len(body):
        start = offset + 2
        end = start + int.from_bytes(body[offset:start], "big")
        if start > len(body) or end > len(body):
            raise WireError(
                WireFault.FILL, f"frame {len(frames)}: expected {end - start} bytes, got {len(body) - start}"
            )
        if len(frames) == MAX_FILL_FRAMES:
            raise WireError(WireFault.FILL, f"expected at most {MAX_FILL_FRAMES} frames")
        frames.append(body[start:end])
        offset = end
    return frames


_BATCH = struct.Struct(">BBIHI")
_BATCH_MAGIC = 0xC8


def encode_batch(seq: int, t_ms: int, entries: Sequence[WaveEntry]) -> bytes:
    """Pack wave frames of many beds for one binary message of the live push."""
    parts = [_BATCH.pack(_BATCH_MAGIC, 1, seq & 0xFFFFFFFF, t_ms >> 32, t_ms & 0xFFFFFFFF)]
    for entry in entries:
        site, bed = entry.site.encode("ascii"), entry.bed.encode("ascii")
        parts.append(b"%c%b%c%b" % (len(site), site, len(bed), bed))
        parts.append(entry.arrived_ms.to_bytes(6, "big") + len(entry.payload).to_bytes(2, "big"))
        parts.append(entry.payload)
    return b"".join(parts)


def decode_batch(payload: bytes) -> tuple[int, int, list[WaveEntry]]:
    """Unpack a wave batch into its seq, its time and its frames, still encoded.  Raises WireError."""
    if len(payload) < _BATCH.size:
        raise WireError(
            WireFault.SHORT, f"wave batch: expected a {_BATCH.size}-byte header, got {len(payload)} bytes"
        )
    magic, version, seq, t_hi, t_lo = _BATCH.unpack_from(payload)
    if (magic, version) != (_BATCH_MAGIC, 1):
        raise WireError(WireFault.MAGIC, f"wave batch: expected C8 01, got {magic:02X} {version:02X}")
    entries: list[WaveEntry] = []
    offset = _BATCH.size
    while offset < len(payload):
        site, offset = _take(payload, offset, 1)
        bed, offset = _take(payload, offset, 1)
        arrived_ms = int.from_bytes(payload[offset : offset + 6], "big")
        frame, offset = _take(payload, offset + 6, 2)
        if not (site.isascii() and bed.isascii()):
            raise WireError(WireFault.TOPIC, f"wave batch entry {len(entries)}: expected ASCII site and bed")
        entries.append(WaveEntry(site.decode(), bed.decode(), arrived_ms, frame))
    return seq, t_hi << 32 | t_lo, entries


def _take(payload: bytes, offset: int, width: int) -> tuple[bytes, int]:
    start = offset + width
    end = start + int.from_bytes(payload[offset:start], "big")
    if start > len(payload) or end > len(payload):
        raise WireError(WireFault.SHORT, f"wave batch: expected {end} bytes, got {len(payload)}")
    return payload[start:end], end


# ------------------------------------------------------------------ JSON messages


def encode_json(message: object) -> bytes:
    """Encode a message of `hub.model` as JSON: field names as in the model, NaN as null."""
    return msgspec.json.encode(message, enc_hook=_plain)


def _plain(value: object) -> object:
    """Let a NumPy scalar that slipped into a finding through: the live push must not end over it."""
    if isinstance(value, np.generic):
        return value.item()
    msg = f"expected a value of the model, got {type(value).__name__}"
    raise NotImplementedError(msg)


def decode_json(payload: bytes | str, kind: type[T], *, max_bytes: int = MAX_JSON_BYTES) -> T:
    """Decode a JSON message; unknown fields are ignored.  Raises WireError."""
    if len(payload) > max_bytes:
        raise WireError(
            WireFault.SIZE, f"{kind.__name__}: expected at most {max_bytes} bytes, got {len(payload)}"
        )
    try:
        decoder = _DECODERS.get(kind) or _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
        message: T = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(WireFault.JSON, f"{kind.__name__}: {error}") from error
    return message


# ------------------------------------------------------------------- time exchange


def encode_time(exchange: TimeExchange) -> bytes:
    """Encode a question or an answer of the clock exchange: three u64, Unix ms UTC."""
    return _TIMES.pack(exchange.asked_ms, exchange.received_ms, exchange.answered_ms)


def decode_time(payload: bytes) -> TimeExchange:
    """Decode a question or an answer of the clock exchange.  Raises WireError."""
    if len(payload) != _TIMES.size:
        raise WireError(WireFault.SIZE, f"time: expected {_TIMES.size} bytes, got {len(payload)}")
    exchange = TimeExchange(*_TIMES.unpack(payload))
    if max(exchange.asked_ms, exchange.received_ms, exchange.answered_ms) > LATEST_MS:
        raise WireError(WireFault.TIME, f"time: expected Unix ms before 2200, got {exchange}")
    return exchange


# ------------------------------------------------------------------------- topics


class TopicKind(StrEnum):
    """What a topic of the tree `ctg/v1/` carries."""

    STATUS = "status"
    HEALTH = "health"
    TIME = "time"
    CMD = "cmd"
    STATE = "state"
    WAVE_LIVE = "wave/live"
    WAVE_FILL = "wave/fill"
    EVENT = "event"
    ACK = "ack"
    ADVICE = "advice"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic taken apart; `bed` is None for what concerns the whole site."""

    site: str
    bed: str | None
    kind: TopicKind


_NAME = r"[A-Za-z0-9_-]{1,32}"
_SITE_TOPIC = re.compile(rf"ctg/v1/({_NAME})/(status|health|time|cmd|credit)")
_BED_TOPIC = re.compile(rf"ctg/v1/({_NAME})/({_NAME})/(state|wave/live|wave/fill|event|ack|advice)")


def parse_topic(topic: str) -> Topic:
    """Take a topic apart.  Raises WireError for one that is not in the tree."""
    if match := _BED_TOPIC.fullmatch(topic):
        return Topic(match[1], match[2], TopicKind(match[3]))
    if match := _SITE_TOPIC.fullmatch(topic):
        return Topic(match[1], None, TopicKind(match[2]))
    raise WireError(WireFault.TOPIC, f"expected ctg/v1/site[/bed]/kind, got {topic[:120]!r}")


def topic(site: str, bed: str | None, kind: TopicKind) -> str:
    """Build the topic of a site (bed None) or of a bed."""
    return f"ctg/v1/{site}/{kind}" if bed is None else f"ctg/v1/{site}/{bed}/{kind}"
