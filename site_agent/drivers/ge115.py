"""GE Corometrics "Model 115", as the 120 and 170 series speak it on their RS-232 ports.

After the service manuals of both series.  In Update mode, which is assumed unless told otherwise, the
monitor sends everything and listens to nothing, so that a cable with its receiving line alone
serves.  There is no checksum: a damaged digit that is still a digit cannot be noticed.

What a mode letter means is not in what is published: a transducer is therefore UNKNOWN, toco
and intrauterine pressure cannot be told apart, and each modes message is refused by name.
"""

import re
from enum import StrEnum
from typing import Final

import numpy as np

from hub.model import GRID_MS, Channel, ChannelSamples, EventKind, MonitorStatus, SignalQuality, Transducer
from site_agent.device import DeviceEvent, DriverItem, Reject, TickBlock, TimeBase
from site_agent.drivers.cutter import NOISE, WAIT, Cut, Cutter

ETX: Final = 0x03
MAX_TEXT: Final = 255
"""Longest annotation taken; the manuals give no limit."""
SILENCE_MS: Final = 2500.0
_ALL_TYPES: Final = b"`abcdefg"
_START: Final = re.compile(rb"9[`-g]0")
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]*")
_GAP_MS: Final = 1000.0
_HIGHEST_BPM: Final = 300
_PEN_LIFT_UA: Final = 128
_MISSING: Final = 0x8000
_QUALITY_BITS: Final = int(SignalQuality.UNKNOWN) << 13
_MOVEMENT_BIT: Final = 1 << 11
_FORMS: Final = {
    "`": (re.compile(r"\d{2,3}", re.ASCII), "2 or 3 digits"),
    "a": (re.compile(r"\d{2,3}", re.ASCII), "2 or 3 digits"),
    "b": (re.compile(r".{2}"), "2 characters"),
    "c": (re.compile(r".*"), "text"),
    "d": (re.compile(r""), "nothing"),
    "e": (re.compile(r"\d{2,3}", re.ASCII), "2 or 3 digits"),
    "f": (re.compile(r"[0124]"), "0, 1, 2 or 4"),
    "g": (re.compile(r"[01]"), "0 or 1"),
}


class Mode115(StrEnum):
    """How the monitor is set up: whether it sends by itself or is asked."""

    UPDATE = "update"
    TRANSMIT_RECEIVE = "transmit-receive"


def encode_message(kind: str, text: str = "") -> bytes:
    """Give one message as a monitor sends it."""
    return f"9{kind}0{text}\x03".encode("ascii")


REQUEST_ALL: Final = b"9" + _ALL_TYPES + bytes([ETX])


def cut(buffer: bytearray) -> Cut:
    """Look at the front of the buffer for one message."""
    start = buffer.find(b"9")
    if start != 0:
        return Cut(len(buffer) if start < 0 else start, NOISE)
    head = bytes(buffer[:3])
    if not _START.fullmatch(head):
        may_become = len(head) == 1 or (len(head) == 2 and head[1] in _ALL_TYPES)
        return WAIT if may_become else Cut(1, NOISE)
    found = _PRINTABLE.match(buffer, 3, 3 + MAX_TEXT + 1)
    end = found.end() if found else 3
    if end - 3 > MAX_TEXT:
        return Cut(3, "overflow", f"expected at most {MAX_TEXT} characters and ETX, got more")
    if end == len(buffer):
        return WAIT
    inner = _START.search(buffer, 3, end)
    if inner is not None:
        return Cut(inner.start(), "aborted", "expected ETX, got the start of the next message")
    if buffer[end] != ETX:
        return Cut(end, "illegal", f"expected text and ETX, got {buffer[end]:02x}")
    return Cut(end + 1)


class Ge115:
    """One connection of one monitor; a `Driver`.  Each HR1 message makes one tick of 250 ms.

    Uterine activity comes 8 times a second: of the two values of a tick the second is kept.
    The second rate appears from its first value on, since a monitor without one sends blanks.
    """

    def __init__(self, *, mode: str = Mode115.UPDATE) -> None:
        self._mode = Mode115(mode)
        self._cutter = Cutter(cut, expected="'9', a type and '0'", gap_ms=_GAP_MS, has_checksum=False)
        self._heard_ms: float | None = None
        self._toco: int | None = None
        self._second: int | None = None
        self._has_second = False
        self._is_moving = False
        self._has_movement = False
        self._is_paper_out = False

    def feed(self, data: bytes, t_ms: float) -> list[DriverItem]:
        """Take bytes that came at `t_ms`; what is no good comes back as `Reject`."""
        items: list[DriverItem] = []
        for piece in self._cutter.push(data, t_ms):
            if isinstance(piece, Reject):
                items.append(piece)
                continue
            kind, text = chr(piece.data[1]), piece.data[3:-1].decode("ascii")
            form, expected = _FORMS[kind]
            if not form.fullmatch(text):
                items.append(
                    Reject("data", f"message {kind}: expected {expected}, got {text[:20]!r}", len(piece.data))
                )
                continue
            items += self._take(kind, text, piece.t_ms, len(piece.data))
        return items

    def due(self, t_ms: float) -> bytes:
        """Ask for everything at the start and in silence, where the monitor wants to be asked."""
        if self._mode is Mode115.UPDATE:
            return b""
        if self._heard_ms is not None and 0 <= t_ms - self._heard_ms < SILENCE_MS:
            return b""
        self._heard_ms = t_ms
        return REQUEST_ALL

    def _take(self, kind: str, text: str, t_ms: float, n_bytes: int) -> list[DriverItem]:
        match kind:
            case "`":
                return self._make_tick(text, t_ms, n_bytes)
            case "e":
                self._second = int(text)
                self._has_second = self._has_second or self._second > 0
            case "a":
                self._toco = int(text)
                if self._toco > _PEN_LIFT_UA:
                    self._toco = None
                    return [Reject("range", f"uterine activity: expected 0-128, got {text}", n_bytes)]
            case "f":
                self._has_movement, self._is_moving = text in "01", text == "1"
            case "b":
                detail = (
                    f"modes {text!r}: the tables of mode letters are not published; transducers are unknown"
                )
                return [Reject("mode-table", detail, n_bytes)]
            case "c":
                return [DeviceEvent(EventKind.NOTE, t_ms, text=text.strip())]
            case "d":
                return [DeviceEvent(EventKind.MARKER, t_ms)]
            case "g":
                was_out, self._is_paper_out = self._is_paper_out, text == "1"
                if self._is_paper_out and not was_out:
                    return [DeviceEvent(EventKind.NOTE, t_ms, text="paper out")]
        return []

    def _make_tick(self, text: str, t_ms: float, n_bytes: int) -> list[DriverItem]:
        self._heard_ms = t_ms
        items: list[DriverItem] = []
        movement = _MOVEMENT_BIT if self._is_moving else 0
        channels = [_rate(Channel.FHR1, int(text), movement)]
        if int(text) > _HIGHEST_BPM:
            items.append(Reject("range", f"heart rate 1: expected up to 300 bpm, got {text}", n_bytes))
        if self._has_second:
            channels.append(_rate(Channel.FHR2, self._second or 0))
        # Always there, so that one lost message does not change what the ticks consist of.
        raw = 255 if self._toco in (None, _PEN_LIFT_UA) else (self._toco or 0) * 2
        channels.append(ChannelSamples(Channel.TOCO, Transducer.UNKNOWN, False, np.array([raw], np.uint8)))
        self._toco = self._second = None
        items.append(
            TickBlock(
                t0_ms=t_ms,
                time_base=TimeBase.ARRIVAL,
                period_ms=GRID_MS,
                n_ticks=1,
                status=MonitorStatus.ON
                | (MonitorStatus.MOVEMENT_PROFILE if self._has_movement else MonitorStatus.NONE),
                channels=tuple(channels),
            )
        )
        return items


def _rate(channel: Channel, bpm: int, movement: int = 0) -> ChannelSamples:
    """Give whole bpm as a word; 00 is a lifted pen, and what no heart does is missing."""
    word = (bpm * 4 if bpm <= _HIGHEST_BPM else _MISSING) | _QUALITY_BITS | movement
    return ChannelSamples(channel, Transducer.UNKNOWN, False, np.array([word], np.uint16))
