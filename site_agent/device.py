"""What a device driver is and gives: bytes in, blocks of ticks and events out.  No I/O, no clock.

A driver holds the state of one connection of one device.  Whoever owns the port hands
it bytes with the time they came, writes to the device what `due` says, and opens a
fresh driver for each new connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hub.model import ChannelSamples, EventKind, MonitorStatus


class TimeBase(StrEnum):
    """Who stamped a block of ticks."""

    ARRIVAL = "arrival"
    """The device sends no time: `t0_ms` comes from the arrival of the block's first byte."""
    DEVICE = "device"
    """The device or file says when: `t0_ms` is that time, and may lie in the past."""


@dataclass(frozen=True, slots=True, eq=False)
class TickBlock:
    """Consecutive ticks of one bed, each channel as words of the wire (`ChannelSamples`)."""

    t0_ms: float
    """Of the first tick, Unix ms UTC on the site's clock."""
    time_base: TimeBase
    period_ms: int
    n_ticks: int
    status: MonitorStatus
    channels: tuple[ChannelSamples, ...]
    source: str | None = None
    """The device's own name of the bed where one connection carries several, else None."""


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened at the bed."""

    kind: EventKind
    t_ms: float
    text: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    source: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What the device says it is."""

    model: str
    serial: str | None = None
    revision: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Bytes that were not used, and why: where, what was expected, what came."""

    fault: str
    """Short and the same for the same fault, so that repeats can be counted: `crc`, `length` …"""
    detail: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes that go to the device once everything before them in the list is on the site's disk."""

    data: bytes
    message: bytes | None = None
    """Name of the message that it answers: all since the last `Reply` is of that.  The same name again is the
    same message, sent again because no answer came: it is answered and not stored a second time."""


DriverItem = TickBlock | DeviceEvent | DeviceIdentity | Reject | Reply


class Driver(Protocol):
    """One connection of one device."""

    def feed(self, data: bytes, t_ms: float) -> list[DriverItem]:
        """Take bytes that came at `t_ms` (site's clock, Unix ms UTC); never raises, whatever they are."""

    def due(self, t_ms: float) -> bytes:
        """Give what is to be written to the device now; asked about four times a second."""
