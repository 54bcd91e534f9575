"""`ctg-agent probe PORT`: listens to a port and says which protocol it hears, and what it decodes.

First it only listens, with the line settings of each driver in turn; then, if nothing was
understood, it sends the requests that drivers send anyway, which read and change nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from hub.errors import SettingsError
from hub.model import Channel
from hub.wire import to_values
from site_agent.device import DeviceEvent, DeviceIdentity, Driver, DriverItem, Reject, TickBlock
from site_agent.drivers.line import LineSettings
from site_agent.drivers.registry import DRIVERS, DriverKind, make_driver
from site_agent.now import AgentClock
from site_agent.port import Port, Turn
from site_agent.ports import open_port

_PUMP_S: Final = 0.25
_SAMPLE_BYTES: Final = 32
_MIN_SHARE: Final = 0.5
"""At least this part of what came must have been of use: without a checksum garbage has a few lucky bytes."""
_PROBED_OPTIONS: Final[dict[str, tuple[dict[str, object], ...]]] = {
    "ge115": ({}, {"mode": "transmit-receive"}),
    # Times without a zone are enough to know the protocol; nothing is stored.
    "hl7-mllp": ({"utc_offset_min": 0},),
    "file-drop": ({"utc_offset_min": 0},),
}


@dataclass(kw_only=True)
class Hearing:
    """What one driver made of what came."""

    driver: str
    options: dict[str, object]
    line: LineSettings | None
    was_asked: bool
    n_bytes: int = 0
    n_rejected: int = 0
    n_ticks: int = 0
    n_events: int = 0
    identity: str | None = None
    faults: Counter[str] = field(default_factory=Counter)
    example: str | None = None
    """The newest values decoded."""
    reason: str | None = None
    """The first thing that was refused, in words."""

    @property
    def is_understood(self) -> bool:
        """Whether this is the protocol of the port."""
        has_items = bool(self.n_ticks or self.n_events or self.identity)
        return has_items and self.n_bytes - self.n_rejected >= _MIN_SHARE * self.n_bytes

    def take(self, items: Iterable[DriverItem]) -> None:
        """Count what a driver gave."""
        for item in items:
            match item:
                case TickBlock():
                    self.n_ticks += item.n_ticks
                    self.example = _describe(item)
                case DeviceEvent():
                    self.n_events += 1
                case DeviceIdentity():
                    self.identity = " ".join(filter(None, (item.model, item.serial, item.revision)))
                case Reject():
                    self.faults[item.fault] += 1
                    self.n_rejected += item.n_bytes
                    self.reason = self.reason or item.detail


@dataclass(kw_only=True)
class ProbeReport:
    """What was heard on a port, best first."""

    port: str
    hearings: list[Hearing]
    n_bytes: int
    sample: bytes
    why: str
    """How the port stood at the end."""

    @property
    def driver(self) -> str | None:
        """Name of the driver that understands the port."""
        return self.hearings[0].driver if self.hearings and self.hearings[0].is_understood else None

    def lines(self) -> list[str]:
        """Give the report for people."""
        if self.driver is not None:
            return self._describe_found(self.hearings[0])
        if self.n_bytes == 0:
            return [f"{self.port}: nothing heard; port {self.why}", *_advise(self.port)]
        told = [f"{self.port}: {self.n_bytes} bytes, and no driver understands them"]
        told.append(f"  they look like {_guess(self.sample)}: {self.sample[:_SAMPLE_BYTES].hex(' ')}")
        for hearing in self.hearings:
            faults = ", ".join(f"{name} {n}" for name, n in hearing.faults.most_common(4))
            if hearing.n_bytes:
                told.append(f"  {_name(hearing)}: {faults or 'nothing'}; {hearing.reason or ''}")
        return told

    @property
    def has_ticks(self) -> bool:
        """Whether any driver made ticks of what was heard."""
        return any(hearing.n_ticks for hearing in self.hearings)

    def _describe_found(self, best: Hearing) -> list[str]:
        told = [
            f"{self.port}: {_name(best)}" + (", after asking" if best.was_asked else ", by listening alone")
        ]
        told.append(f"  {best.n_bytes} bytes: {best.n_ticks} ticks, {best.n_events} events")
        if best.identity:
            told.append(f"  device: {best.identity}")
        if best.example:
            told.append(f"  newest: {best.example}")
        if best.faults:
            faults = ", ".join(f"{name} {n}" for name, n in best.faults.most_common())
            told.append(f"  refused: {faults} ({best.n_rejected} bytes); {best.reason}")
        told.append(f"  in the configuration: driver = {best.driver!r}, options = {best.options}")
        return told


async def probe_port(port: str, seconds: float) -> ProbeReport:
    """Listen to a port for `seconds` with each line setting, silently and then asking.

    Raises
    ------
    SettingsError
        If no driver takes a port of that name.
    """
    kinds = [kind for kind in DRIVERS.values() if port.partition(":")[0] in kind.ports]
    if not kinds:
        msg = f"port: expected one that a driver takes, got {port!r}"
        raise SettingsError(msg)
    report = ProbeReport(port=port, hearings=[], n_bytes=0, sample=b"", why="not opened")
    for may_ask in (False, True):
        # A line without ticks may be a device that waits to be asked, also one that has just said who it is;
        # a folder or a recording cannot be asked.
        if may_ask and (report.has_ticks or port.startswith(("folder:", "replay:"))):
            break
        for line, group in groupby(sorted(kinds, key=_baud), key=lambda kind: kind.line):
            if may_ask:
                for kind in group:
                    await _listen(report, [kind], line, seconds, may_ask=True)
                    if report.has_ticks:
                        return report
            else:
                await _listen(report, list(group), line, seconds, may_ask=False)
    return report


async def _listen(
    report: ProbeReport, kinds: list[DriverKind], line: LineSettings | None, seconds: float, *, may_ask: bool
) -> None:
    hearings = [
        Hearing(driver=kind.name, options=options, line=line, was_asked=may_ask)
        for kind in kinds
        for options in _PROBED_OPTIONS.get(kind.name, ({},))[slice(-1, None) if may_ask else slice(0, 1)]
    ]
    drivers: dict[int, list[Driver]] = {}
    async with open_port(report.port, clock=AgentClock(), line=line) as port:
        asking = asyncio.create_task(_ask(port, drivers)) if may_ask else None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _hear(port, report, hearings, drivers)
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        report.why = port.why
    report.hearings += hearings
    report.hearings.sort(key=lambda h: (h.is_understood, h.n_bytes - h.n_rejected, h.n_ticks), reverse=True)


async def _hear(
    port: Port, report: ProbeReport, hearings: list[Hearing], drivers: dict[int, list[Driver]]
) -> None:
    async for received in port:
        if received.turn is Turn.OPENED:
            drivers[received.connection] = [make_driver(h.driver, h.options) for h in hearings]
        elif received.turn is Turn.CLOSED:
            drivers.pop(received.connection, None)
        else:
            report.n_bytes += len(received.data)
            report.sample = (report.sample + received.data)[:4096]
            for hearing, driver in zip(hearings, drivers.get(received.connection, ()), strict=False):
                hearing.n_bytes += len(received.data)
                hearing.take(driver.feed(received.data, received.t_ms))


async def _ask(port: Port, drivers: dict[int, list[Driver]]) -> None:
    """Write what the one driver asks; answers to what came are never sent, since nothing is stored."""
    clock = AgentClock()
    while True:
        for number, probed in list(drivers.items()):
            await port.write(probed[0].due(clock.now_ms()), number)
        await asyncio.sleep(_PUMP_S)


def _baud(kind: DriverKind) -> int:
    return kind.line.baud if kind.line else 0


def _name(hearing: Hearing) -> str:
    line = f" at {hearing.line}" if hearing.line else ""
    return f"{hearing.driver} ({DRIVERS[hearing.driver].summary}){line}"


def _describe(block: TickBlock) -> str:
    parts = []
    for samples in block.channels:
        name = samples.channel.name.lower() if samples.channel is not Channel.FSPO2 else "fSpO2"
        values = " ".join("-" if v != v else f"{v:g}" for v in to_values(samples)[-4:])  # NaN is loss
        parts.append(f"{name} {values}")
    return "; ".join(parts) + (f" [{block.source}]" if block.source else "")


def _guess(sample: bytes) -> str:
    """Say what bytes look like that no driver understands."""
    edges = sum(byte in (0x00, 0x80, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC, 0xFE, 0xFF) for byte in sample)
    printable = sum(0x20 <= byte < 0x7F or byte in (9, 10, 13) for byte in sample)
    if edges > 0.5 * len(sample):
        return "a line at another speed"
    if printable > 0.9 * len(sample):
        return "text"
    return "another protocol, or another parity or speed"


def _advise(port: str) -> list[str]:
    if port.startswith("serial:"):
        return [
            "  is the monitor on, its port set to a protocol, and are send and receive not crossed wrongly?"
        ]
    return []
