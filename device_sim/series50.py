"""A Series 50 fetal monitor as bytes: what it sends by itself and what it answers.  Pure.

Written from the protocol's description and not from the agent's driver, so that one can find
the other's mistakes.
"""

import binascii
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from device_sim.signals import Signals, SignalSource
from hub.model import FloatArray

TICKS: Final = 4
_HEAD, _TAIL = b"\x10\x02", b"\x10\x03"
_GREEN, _YELLOW = 2 << 13, 1 << 13
_ON, _INSERTED, _DELETED, _MOVEMENT_PROFILE = 1 << 15, 1 << 14, 1 << 13, 1
_ULTRASOUND, _EXTERNAL_MHR = 1, 4
_EXTERNAL_TOCO = 0x08
_EVENTS: Final = (
    b"MM",
    b"P" + b"".join(n.to_bytes(2, "big") for n in (118, 72, 88, 0xFFFF)),
    b"S\xbe" + (85 * 4).to_bytes(2, "big"),
    b"T\x78",
    b"N\x00left side",
)
"""Marker, blood pressure, maternal saturation, temperature and a note, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPlan:
    """What the monitor does besides its blocks, each after so many seconds; 0 is never."""

    events_every_s: int = 0
    failure_every_s: int = 0
    insert_every_s: int = 0
    delete_every_s: int = 0


class Series50Monitor:
    """One monitor; `tick` is called four times a second while it has power."""

    def __init__(self, source: SignalSource, plan: MonitorPlan, *, serial: str = "3512G00123") -> None:
        self._source = source
        self._plan = plan
        self._serial = serial
        self._heard = b""
        self._is_sending = False
        self._n_ticks = 0
        self._shift = 0
        self._n_events = 0
        self.n_blocks = 0
        """`C` blocks sent so far."""

    def power_on(self) -> bytes:
        """Say who it is; nothing is sent by itself before it is asked."""
        self._is_sending = False
        self._heard = b""
        return self._identify()

    def hear(self, data: bytes) -> bytes:
        """Answer what the host says; what is no request is passed over."""
        *requests, self._heard = self._split(self._heard + data)
        out = b""
        for request in requests:
            if request == b"G":
                self._is_sending = True
            elif request == b"H":
                self._is_sending = False
            elif request == b"?C":
                self._is_sending = False  # as the guide says, polling ends the sending
                out += self._make_block()
            elif request == b"?I":
                out += self._identify()
        return out

    def tick(self) -> bytes:
        """Let 250 ms go by, and give what is sent then."""
        self._n_ticks += 1
        if self._n_ticks % TICKS:
            return b""
        second = self._n_ticks // TICKS
        out = self._make_block() if self._is_sending else b""
        if _is_due(second, self._plan.events_every_s):
            out += frame(_EVENTS[self._n_events % len(_EVENTS)])
            self._n_events += 1
        if _is_due(second, self._plan.failure_every_s):
            out += frame(b"F502")
            self._is_sending = False
        return out

    def skip(self) -> None:
        """Let 250 ms go by without power: the patient's time goes on."""
        self._n_ticks += 1

    def _identify(self) -> bytes:
        return frame(b"IM1350AA30A.01.05" + self._serial.encode("ascii").ljust(10)[:10])

    def _make_block(self) -> bytes:
        second = self._n_ticks // TICKS
        status = _ON
        is_inserted = _is_due(second, self._plan.insert_every_s)
        if is_inserted:
            status |= _INSERTED
            self._shift -= 1
        elif _is_due(second, self._plan.delete_every_s):
            status |= _DELETED
            self._shift += 1
        stop = max(self._n_ticks + self._shift, TICKS)
        signals = self._source.samples(stop - TICKS, stop)
        self.n_blocks += 1
        return frame(encode_ctg(signals, status=status, is_inserted=is_inserted))

    @staticmethod
    def _split(data: bytes) -> list[bytes]:
        """Give the requests with a good CRC, and last what may be the beginning of one."""
        found: list[bytes] = []
        while True:
            start = data.find(_HEAD)
            end = data.find(_TAIL, start + 2)
            if start < 0 or end < 0 or len(data) < end + 4:
                return [*found, data[max(start, 0) :][-64:]]
            whole = data[start : end + 4]
            if binascii.crc_hqx(whole, 0) == 0:
                found.append(whole[2:-4].replace(b"\x10\x10", b"\x10"))
                data = data[end + 4 :]
            else:
                data = data[start + 2 :]


def frame(content: bytes) -> bytes:
    """Put a type and its data on the wire."""
    body = _HEAD + content.replace(b"\x10", b"\x10\x10") + _TAIL
    return body + binascii.crc_hqx(body, 0).to_bytes(2, "big")


def encode_ctg(signals: Signals, *, status: int = _ON, is_inserted: bool = False) -> bytes:
    """Give the `C` block of four ticks; an inserted tick is blank and stands first."""
    movement: npt.NDArray[np.uint16] = np.zeros(TICKS, np.uint16)
    if signals.movement is not None:
        status |= _MOVEMENT_PROFILE
        movement = signals.movement.astype(np.uint16) * np.uint16(1 << 11)
    blank = np.full(TICKS, np.nan)
    second = signals.fhr[1] if len(signals.fhr) > 1 else None
    rates = [
        _rate_words(signals.fhr[0]) | movement,
        _rate_words(blank if second is None else second),
        _rate_words(blank if signals.mhr is None else signals.mhr),
    ]
    if is_inserted:
        for words in rates:
            words[0] = 0
    modes = _ULTRASOUND << 13
    modes |= 0 if second is None else _ULTRASOUND << 9
    modes |= 0 if signals.mhr is None else _EXTERNAL_MHR << 5
    # A monitor sends no "missing" for toco: without a signal the transducer is not there.
    has_toco = signals.toco is not None and bool(np.isfinite(signals.toco).all())
    steps = np.round(signals.toco * 2) if has_toco and signals.toco is not None else np.zeros(TICKS)
    return b"".join(
        (
            b"C",
            status.to_bytes(2, "big"),
            *(words.astype(">u2").tobytes() for words in rates),
            steps.clip(0, 254).astype(np.uint8).tobytes(),
            modes.to_bytes(2, "big"),
            bytes((_EXTERNAL_TOCO if has_toco else 0, 0)),
        )
    )


def _rate_words(rate: FloatArray) -> npt.NDArray[np.uint16]:
    lost = np.isnan(rate)
    quality = _YELLOW if lost.any() else _GREEN
    steps = np.round(np.nan_to_num(rate) * 4).clip(0, 1200).astype(np.uint16)
    return np.where(lost, np.uint16(0), steps | np.uint16(quality)).astype(np.uint16)


def _is_due(second: int, every_s: int) -> bool:
    return every_s > 0 and second > 0 and second % every_s == 0
