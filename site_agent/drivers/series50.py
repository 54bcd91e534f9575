"""Philips/HP Series 50 Digital Interface Protocol, as the M1350 family and the Corometrics 250cx speak it.

After the programmer's guide M1350-9074S (2002).  Frames are DLE STX, a type and data with each
DLE doubled, DLE ETX, and a CRC over all of that.  The driver asks for one `C` block a second
(`G`) and never polls `?C`, which would cancel that; it never prints notes or changes the monitor.
"""

import binascii
import struct
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.model import GRID_MS, Channel, ChannelSamples, EventKind, MonitorStatus, Transducer
from site_agent.device import DeviceEvent, DeviceIdentity, DriverItem, Reject, TickBlock, TimeBase
from site_agent.drivers.cutter import NOISE, WAIT, Cut, Cutter

DLE: Final = 0x10
STX: Final = 0x02
ETX: Final = 0x03
MAX_DATA: Final = 512
"""A type and 0 to 511 bytes, after each doubled DLE counts once."""
SILENCE_MS: Final = 2500.0
"""Without a `C` block for this long the monitor is asked again."""
RENEGOTIATE_MS: Final = 5000.0
"""Without one for this long it is also asked who it is."""
TICKS: Final = 4
FIRST_TICK_MS: Final = (TICKS - 1) * GRID_MS
"""The newest tick of a block is as old as the block's first byte."""

_LENGTH: Final = "length"
_TYPE: Final = "type"
_RANGE: Final = "range"
_BLANK: Final = 0
_HIGHEST_RATE: Final = 1200
_RATE_BITS: Final = 0x07FF
_MOVEMENT_BITS: Final = 0x1800
_QUALITY_BITS: Final = 0x6000
_MISSING: Final = 0x8000
_HIGHEST_TOCO: Final = 254
_NOT_SUPPORTED: Final = 0xFFFF
_IDENTITY_TRIES: Final = 3
_IDENTITY_EVERY_MS: Final = 10_000.0
_ANSWER_MS: Final = 3000.0
_START: Final = bytes((DLE, STX))
_CTG: Final = struct.Struct(">cH4H4H4H4BHB")

_STATUS: Final = {
    1 << 15: MonitorStatus.ON,
    1 << 14: MonitorStatus.TICKS_INSERTED,
    1 << 13: MonitorStatus.TICKS_DELETED,
    1 << 9: MonitorStatus.TELEMETRY,
    1 << 8: MonitorStatus.COINCIDENCE,
    1 << 5: MonitorStatus.DECG_LOGIC,
    1 << 1: MonitorStatus.TWIN_OFFSET,
    1 << 0: MonitorStatus.MOVEMENT_PROFILE,
}
_HAS_FSPO2: Final = 1 << 11
_HR_TYPES: Final = {
    0: Transducer.NONE,
    1: Transducer.ULTRASOUND,
    2: Transducer.DECG,
    3: Transducer.MECG,
    4: Transducer.EXTERNAL,
    7: Transducer.UNKNOWN,
}
_TOCO_TYPES: Final = {
    0: Transducer.NONE,
    4: Transducer.EXTERNAL,
    5: Transducer.IUP,
    7: Transducer.UNKNOWN,
}


def encode_block(content: bytes) -> bytes:
    """Frame a type and its data."""
    body = _START + content.replace(b"\x10", b"\x10\x10") + bytes((DLE, ETX))
    return body + binascii.crc_hqx(body, 0).to_bytes(2, "big")


def decode_block(frame: bytes) -> bytes:
    """Give the type and data of a whole frame."""
    return frame[2:-4].replace(b"\x10\x10", b"\x10")


AUTO_SEND: Final = encode_block(b"G")
STOP: Final = encode_block(b"H")
IDENTIFY: Final = encode_block(b"?I")
ASK_ONE: Final = encode_block(b"?C")
SPEAK_A20: Final = encode_block(b"VA20")


def cut(buffer: bytearray) -> Cut:
    """Look at the front of the buffer for one frame."""
    start = buffer.find(DLE)
    if start != 0:
        return Cut(len(buffer) if start < 0 else start, NOISE)
    if len(buffer) < 2:
        return WAIT
    if buffer[1] != STX:
        return Cut(1, NOISE)
    at, n_data = 2, 0
    while True:
        dle = buffer.find(DLE, at)
        n_data += (dle if dle >= 0 else len(buffer)) - at
        if n_data > MAX_DATA:
            return Cut(2, "overflow", f"expected at most {MAX_DATA} bytes in a block, got more")
        if dle < 0 or dle + 1 >= len(buffer):
            return WAIT
        follower = buffer[dle + 1]
        if follower == DLE:
            n_data += 1
            at = dle + 2
        elif follower == ETX:
            return _check_end(buffer, dle + 4)
        elif follower == STX:
            return _drop(buffer, dle, "aborted", "expected the end of a block, got the start of the next")
        else:
            return _drop(buffer, dle, "escape", f"expected DLE, STX or ETX behind DLE, got {follower:02x}")


def _check_end(buffer: bytearray, end: int) -> Cut:
    if len(buffer) < end:
        return WAIT
    if binascii.crc_hqx(buffer[:end], 0) == 0:
        return Cut(end)
    expected = binascii.crc_hqx(buffer[: end - 2], 0)
    detail = f"block {chr(buffer[2])!r}: expected CRC {expected:04x}, got {buffer[end - 2 : end].hex()}"
    # The last byte of a false end may be the first of the next frame.
    return _drop(buffer, end - 1 if buffer[end - 1] == DLE else end, "crc", detail)


def _drop(buffer: bytearray, end: int, fault: str, detail: str) -> Cut:
    """Drop a bad frame, but not a good one that its first bytes may have swallowed."""
    inside = buffer.find(_START, 1, end)
    return Cut(inside if inside > 0 else end, fault, detail)


class Series50:
    """One connection of one monitor; a `Driver`.

    `has_fspo2` says A.02.00 to a monitor that knows it, which then sends fetal SpO2.
    """

    def __init__(self, *, has_fspo2: bool = False) -> None:
        self._cutter = Cutter(cut, expected="DLE STX")
        self._has_fspo2 = has_fspo2
        self._decoders: dict[int, Callable[[bytes, float], Iterator[DriverItem]]] = {
            ord("C"): self._decode_ctg,
            ord("I"): self._decode_identity,
            ord("M"): _decode_marker,
            ord("N"): _decode_note,
            ord("P"): _decode_nibp,
            ord("S"): _decode_spo2,
            ord("T"): _decode_temperature,
            ord("F"): self._decode_failure,
        }
        self._must_ask = True
        self._must_say_version = False
        self._ctg_ms: float | None = None
        self._asked_ms: float | None = None
        self._silent_since_ms: float | None = None
        self._identity_asked_ms: float | None = None
        self._identity_tries = 0
        self._is_known = False

    def feed(self, data: bytes, t_ms: float) -> list[DriverItem]:
        """Take bytes that came at `t_ms`; what is no good comes back as `Reject`."""
        items: list[DriverItem] = []
        for piece in self._cutter.push(data, t_ms):
            if isinstance(piece, Reject):
                items.append(piece)
            else:
                items += self._decode(decode_block(piece.data), len(piece.data), piece.t_ms)
        return items

    def due(self, t_ms: float) -> bytes:
        """Ask for blocks at the start, after a power-on or failure, and in silence; and who it is."""
        heard_ms = max((x for x in (self._ctg_ms, self._asked_ms) if x is not None), default=None)
        if heard_ms is not None and t_ms < heard_ms:  # the clock was set back
            self._ctg_ms = self._asked_ms = heard_ms = t_ms
        if self._silent_since_ms is None or t_ms < self._silent_since_ms:
            self._silent_since_ms = t_ms
        out = b""
        if self._must_say_version:
            self._must_say_version = False
            out += SPEAK_A20
        if t_ms - self._silent_since_ms >= RENEGOTIATE_MS:
            self._silent_since_ms = t_ms
            self._identity_asked_ms = t_ms
            out += IDENTIFY
        elif self._wants_identity(t_ms):
            self._identity_asked_ms = t_ms
            self._identity_tries += 1
            out += IDENTIFY
        if self._must_ask or heard_ms is None or t_ms - heard_ms >= SILENCE_MS:
            self._must_ask = False
            self._asked_ms = t_ms
            out += AUTO_SEND
        return out

    def _wants_identity(self, t_ms: float) -> bool:
        if self._is_known or self._ctg_ms is None or self._identity_tries >= _IDENTITY_TRIES:
            return False  # a 250cx answers no `?I`, so it is not asked for ever
        return self._identity_asked_ms is None or abs(t_ms - self._identity_asked_ms) >= _IDENTITY_EVERY_MS

    def _decode(self, content: bytes, n_bytes: int, t_ms: float) -> Iterator[DriverItem]:
        kind = content[:1]
        decoder = self._decoders.get(kind[0]) if kind else None
        if decoder is not None:
            try:
                yield from decoder(content, t_ms)
            except _BlockError as error:
                yield Reject(error.fault, f"block {kind.decode()}: {error}", n_bytes)
        elif kind in (b"?", b"G", b"H", b"V"):
            yield Reject("echo", f"expected a monitor's block, got our own request {content[:4]!r}", n_bytes)
        else:
            yield Reject(_TYPE, f"expected a block of C I M N P S T F, got {content[:4]!r}", n_bytes)

    def _decode_ctg(self, content: bytes, t_ms: float) -> Iterator[DriverItem]:
        _expect_length(content, _CTG.size)
        fields = _CTG.unpack_from(content)
        status, modes, toco_mode = fields[1], fields[18], fields[19]
        self._ctg_ms = t_ms
        self._silent_since_ms = None
        faults: list[Reject] = []
        channels = []
        for channel, words, shift in (
            (Channel.FHR1, fields[2:6], 12),
            (Channel.FHR2, fields[6:10], 8),
            (Channel.MHR, fields[10:14], 4),
        ):
            samples = _read_rates(channel, words, modes >> shift, faults)
            if channel is Channel.FHR1 or samples.transducer or samples.is_inop or samples.raw.any():
                channels.append(samples)
        toco = np.array(fields[14:18], np.uint8)
        toco_type = _TOCO_TYPES.get(toco_mode >> 1 & 7)
        if toco_type is None:
            faults.append(Reject("mode", f"expected a toco mode 00, 08, 0a or 0e, got {toco_mode:02x}", 1))
            toco_type = Transducer.UNKNOWN
        if toco_type or toco.any():
            channels.append(_read_toco(toco, toco_type))
        if status & _HAS_FSPO2 and len(content) > _CTG.size:
            channels.append(_read_fspo2(content[_CTG.size], faults))
        yield from faults
        flags = MonitorStatus.NONE
        for bit, flag in _STATUS.items():
            if status & bit:
                flags |= flag
        yield TickBlock(
            t0_ms=t_ms - FIRST_TICK_MS,
            time_base=TimeBase.ARRIVAL,
            period_ms=GRID_MS,
            n_ticks=TICKS,
            status=flags,
            channels=tuple(channels),
        )

    def _decode_identity(self, content: bytes, t_ms: float) -> Iterator[DriverItem]:
        _expect_length(content, 27)
        model, protocol, software, serial = (
            _read_text(content[a:b]) for a, b in ((1, 7), (7, 10), (10, 17), (17, 27))
        )
        self._is_known = True
        is_answer = self._identity_asked_ms is not None and 0 <= t_ms - self._identity_asked_ms <= _ANSWER_MS
        if not is_answer:
            self._must_ask = True  # the monitor says so at power-on, and then sends nothing by itself
        if self._has_fspo2 and protocol >= "A20":
            self._must_say_version = True
        yield DeviceIdentity(
            model=model or "Series 50",
            serial=serial or None,
            revision=f"{software} (protocol {protocol})",
        )

    def _decode_failure(self, content: bytes, t_ms: float) -> Iterator[DriverItem]:
        _expect_length(content, 4)
        self._must_ask = True  # a fatal failure starts the monitor again
        yield DeviceEvent(EventKind.FAILURE, t_ms, text=f"device failure {_read_text(content[1:4])}")


class _BlockError(ValueError):
    """A whole block whose content is not what its type says."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def _expect_length(content: bytes, shortest: int) -> None:
    if len(content) < shortest:
        raise _BlockError(_LENGTH, f"expected at least {shortest} bytes, got {len(content)}")


def _read_text(raw: bytes) -> str:
    """Printable ASCII; other characters are not in the guide and show as �."""
    return "".join(chr(c) if 0x20 <= c < 0x7F else "\ufffd" for c in raw.rstrip(b"\x00 ")).strip()


def _read_rates(channel: Channel, words: tuple[int, ...], mode: int, faults: list[Reject]) -> ChannelSamples:
    raw: npt.NDArray[np.uint16] = np.array(words, np.uint16)
    rate, quality, movement = raw & _RATE_BITS, raw & _QUALITY_BITS, raw & _MOVEMENT_BITS
    # Only HR1 tells movement, and only "one movement" is defined.
    movement = np.where(movement == 1 << 11, movement, 0) if channel is Channel.FHR1 else movement * 0
    is_beyond = (rate > _HIGHEST_RATE) | (raw & _MISSING != 0)
    if is_beyond.any():
        came = " ".join(f"{w:04x}" for w in words)
        faults.append(Reject(_RANGE, f"{channel.name}: expected words up to 300 bpm, got {came}", 8))
    words_out = np.where(is_beyond, _MISSING | quality, rate | quality) | movement
    transducer = _HR_TYPES.get(mode >> 1 & 7)
    if transducer is None:
        faults.append(Reject("mode", f"{channel.name}: expected a type 0-4 or 7, got {mode >> 1 & 7}", 1))
        transducer = Transducer.UNKNOWN
    return ChannelSamples(channel, transducer, bool(mode & 1), words_out.astype(np.uint16))


def _read_toco(raw: npt.NDArray[np.uint8], transducer: Transducer) -> ChannelSamples:
    if transducer is Transducer.IUP:
        pressure = np.where(raw > _HIGHEST_TOCO, -0x8000, raw.astype(np.int16))
        return ChannelSamples(Channel.IUP, transducer, False, pressure.astype(np.int16))
    return ChannelSamples(Channel.TOCO, transducer, False, raw)  # 255 is beyond 127 units, and missing


def _read_fspo2(percent: int, faults: list[Reject]) -> ChannelSamples:
    """Hold the one value of the second for its ticks; 0 is invalid."""
    if percent > 100:
        faults.append(Reject(_RANGE, f"FSpO2: expected 0-100 %, got {percent}", 1))
    value = percent if 0 < percent <= 100 else 255
    return ChannelSamples(Channel.FSPO2, Transducer.UNKNOWN, False, np.full(TICKS, value, np.uint8))


def _decode_marker(content: bytes, t_ms: float) -> Iterator[DriverItem]:
    if content[1:2] != b"M":
        raise _BlockError(_TYPE, f"expected MM, got {content[:4]!r}")
    yield DeviceEvent(EventKind.MARKER, t_ms)


def _decode_note(content: bytes, t_ms: float) -> Iterator[DriverItem]:
    _expect_length(content, 2)
    start = 2 + content[1]
    _expect_length(content, start)
    yield DeviceEvent(EventKind.NOTE, t_ms, text=_read_text(content[start:]))


def _decode_nibp(content: bytes, t_ms: float) -> Iterator[DriverItem]:
    _expect_length(content, 9)
    systolic, diastolic, mean, pulse = struct.unpack_from(">4H", content, 1)
    values: dict[str, float] = {
        "systolic_mmhg": systolic,
        "diastolic_mmhg": diastolic,
        "mean_mmhg": mean,
    }
    yield DeviceEvent(EventKind.NIBP, t_ms, values=values | _read_pulse(pulse))


def _decode_spo2(content: bytes, t_ms: float) -> Iterator[DriverItem]:
    _expect_length(content, 4)
    saturation, pulse = struct.unpack_from(">BH", content, 1)
    if saturation > 200:
        raise _BlockError(_RANGE, f"expected SpO2 up to 100 %, got {saturation / 2} %")
    values = {"spo2_percent": saturation / 2} | _read_pulse(pulse)
    yield DeviceEvent(EventKind.SPO2, t_ms, values=values)


def _read_pulse(word: int) -> dict[str, float]:
    return {} if word in (_BLANK, _NOT_SUPPORTED) else {"pulse_bpm": (word & _RATE_BITS) / 4}


def _decode_temperature(content: bytes, t_ms: float) -> Iterator[DriverItem]:
    _expect_length(content, 2)
    yield DeviceEvent(EventKind.TEMPERATURE, t_ms, values={"temperature_c": round(content[1] * 0.1 + 25, 1)})
