"""One port of devices: bytes in, frames and events out to the outbox, the state of each bed beside it."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from hub.model import BedEvent, BedState, DeviceState, EventKind
from site_agent.config import BedConfig, line_settings
from site_agent.device import (
    DeviceEvent,
    DeviceIdentity,
    Driver,
    DriverItem,
    Reject,
    Reply,
    TickBlock,
    TimeBase,
)
from site_agent.drivers.registry import make_driver
from site_agent.framer import Framer
from site_agent.port import Clock, Port, PortState, Received, Turn
from site_agent.ports import open_port
from site_agent.raw_log import RawLog
from site_agent.stock import Draft
from site_agent.ulid import make_ulid

_log = logging.getLogger(__name__)

PUMP_S: Final = 0.25
SILENT_S: Final = 5.0
"""A device whose port is open and that has sent no ticks for this long is stale."""
ANSWERED: Final = 256
"""Messages of a port that are remembered, over its connections too, to know one that is sent again."""
BATCH: Final = 500
"""Frames of one piece of a large file: a commit, and a turn of the event loop, between each two."""

Keep = Callable[[Sequence[Draft], Sequence[tuple[str, BedEvent]]], Awaitable[None]]


class Bed:
    """What the agent knows of one bed."""

    def __init__(self, site: str, config: BedConfig) -> None:
        self.config = config
        self.name = config.name
        self.framer = Framer(site, config.name, is_test=config.test)
        self.ticks_s: float | None = None
        """When ticks of this moment last came, on the monotonic clock."""
        self.opened_s: float | None = None
        self.device: str | None = None
        self.anchors = 1
        self.state = self._describe(DeviceState.DISCONNECTED, 0)

    def judge(self, port: Port, now_s: float, now_ms: int) -> bool:
        """Say anew how the device stands; True if that changed."""
        state = self._find_state(port, now_s)
        if (state, self.device) == (self.state.state, self.state.device):
            return False
        since_ms = now_ms if state is not self.state.state else self.state.since_ms
        self.state = self._describe(state, since_ms or now_ms)
        return True

    def _find_state(self, port: Port, now_s: float) -> DeviceState:
        if port.state is not PortState.OPEN:
            self.opened_s = None
            return DeviceState.DISCONNECTED
        if self.opened_s is None:
            self.opened_s = now_s
        if self.ticks_s is not None and self.ticks_s >= self.opened_s and now_s - self.ticks_s <= SILENT_S:
            return DeviceState.OK
        if now_s - max(self.ticks_s or 0.0, self.opened_s) > SILENT_S:
            return DeviceState.STALE
        return self.state.state  # just opened: nothing is known yet

    def _describe(self, state: DeviceState, since_ms: int) -> BedState:
        config = self.config
        return BedState(
            state=state,
            since_ms=since_ms,
            driver=config.driver,
            device=self.device,
            label=config.label,
            gestational_weeks=config.weeks,
            is_twin=config.is_twin,
        )


class PortReader:
    """Reads one port for ever; `keep` returns once what it was given is on the disk."""

    def __init__(
        self,
        beds: Sequence[Bed],
        *,
        clock: Clock,
        keep: Keep,
        on_state: Callable[[Bed], None],
        is_unsynchronised: Callable[[], bool],
        raw_folder: Path,
        raw_bytes: int,
    ) -> None:
        self.beds = beds
        self.rejected: dict[str, int] = {}
        """By driver and fault, since the start."""
        config = beds[0].config
        self._config = config
        self._clock = clock
        self._keep = keep
        self._on_state = on_state
        self._is_unsynchronised = is_unsynchronised
        self._raw_log = RawLog(raw_folder, keep_bytes=raw_bytes)
        self._port = open_port(config.port, clock=clock, line=line_settings(config))
        self._drivers: dict[int, Driver] = {}
        self._answered: deque[bytes] = deque(maxlen=ANSWERED)
        self._by_source = {bed.config.source: bed for bed in beds}

    async def run(self) -> None:
        """Read until the port ends, which only a replay does, or until cancelled."""
        try:
            async with self._port as port, asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(port), name=f"{port.spec} pump")
                async for received in port:
                    await self._receive(port, received)
                pump.cancel()
                await self._take_out_all()
        finally:
            self._raw_log.close()
        _log.info("port %s has come to its end", self._port.spec)
        await asyncio.Event().wait()

    async def _receive(self, port: Port, received: Received) -> None:
        self._raw_log.append(received)
        match received.turn:
            case Turn.OPENED:
                self._drivers[received.connection] = make_driver(self._config.driver, self._config.options)
            case Turn.CLOSED:
                self._drivers.pop(received.connection, None)
                if not self._drivers:
                    await self._take_out_all()
            case Turn.DATA:
                driver = self._drivers.get(received.connection)
                if driver is not None:
                    await self._take(port, received.connection, driver.feed(received.data, received.t_ms))

    async def _take(self, port: Port, connection: int, items: Sequence[DriverItem]) -> None:
        """Bring everything to the disk in its order; a reply goes out when what was before it is there."""
        drafts: list[Draft] = []
        events: list[tuple[str, BedEvent]] = []
        for item in self._leave_out_repeats(items):
            match item:
                case Reply(data, message):
                    await self._keep(drafts, events)
                    drafts, events = [], []
                    if message is not None and message not in self._answered:
                        self._answered.append(message)
                    await port.write(data, connection)
                case TickBlock():
                    drafts += self._frame(item)
                case DeviceEvent():
                    events += self._note(item)
                case DeviceIdentity():
                    self._name_device(item)
                case Reject():
                    self._reject(item.fault, item.detail)
            if len(drafts) >= BATCH:
                await self._keep(drafts, events)
                drafts, events = [], []
        if drafts or events:
            await self._keep(drafts, events)

    def _leave_out_repeats(self, items: Sequence[DriverItem]) -> list[DriverItem]:
        """Leave only the answer of a message whose last answer did not reach its sender."""
        kept: list[DriverItem] = []
        of_message: list[DriverItem] = []
        for item in items:
            of_message.append(item)
            if isinstance(item, Reply):
                is_repeat = item.message is not None and item.message in self._answered
                kept += [item] if is_repeat else of_message
                of_message = []
        return kept + of_message

    def _frame(self, block: TickBlock) -> list[Draft]:
        bed = self._find(block.source)
        if bed is None:
            return []
        now_ms = self._clock.now_ms()
        drafts = bed.framer.push(block, now_ms, is_unsynchronised=self._is_unsynchronised())
        if block.time_base is TimeBase.ARRIVAL or any(draft.is_live for draft in drafts):
            bed.ticks_s = self._clock.now_s()
        self._tell_anchors(bed)
        return drafts

    def _tell_anchors(self, bed: Bed) -> None:
        anchors_ms = bed.framer.fit.anchors_ms
        for step_ms in anchors_ms[bed.anchors :]:
            _log.warning("%s: time of its ticks jumped by %+.1f s", bed.name, step_ms / 1000)
        bed.anchors = max(bed.anchors, len(anchors_ms))

    def _note(self, event: DeviceEvent) -> list[tuple[str, BedEvent]]:
        bed = self._find(event.source)
        if bed is None:
            return []
        t_ms = round(event.t_ms)
        values = {name: float(value) for name, value in event.values.items()}
        return [
            (
                bed.name,
                BedEvent(id=make_ulid(t_ms), kind=event.kind, t_ms=t_ms, text=event.text, values=values),
            )
        ]

    def _name_device(self, identity: DeviceIdentity) -> None:
        bed = self._find(identity.source)
        if bed is not None:
            words = (identity.model, identity.serial, identity.revision)
            bed.device = " ".join(word for word in words if word)

    def _find(self, source: str | None) -> Bed | None:
        if len(self.beds) == 1 and self._config.source is None:
            return self.beds[0]
        bed = self._by_source.get(source)
        if bed is None:
            self._reject("unknown-bed", f"expected a source of the configuration, got {source!r}")
        return bed

    def _reject(self, fault: str, detail: str) -> None:
        key = f"{self._config.driver}/{fault}"
        self.rejected[key] = self.rejected.get(key, 0) + 1
        if self.rejected[key] == 1:
            _log.warning("port %s: %s: %s (counted from now on)", self._port.spec, key, detail)

    async def finish(self) -> None:
        """Bring to the disk what still waits for company: the agent ends."""
        await self._take_out_all()

    async def _take_out_all(self) -> None:
        now_ms = self._clock.now_ms()
        drafts = [draft for bed in self.beds for draft in bed.framer.end(now_ms)]
        if drafts:
            await self._keep(drafts, ())

    async def _pump(self, port: Port) -> NoReturn:
        """Four times a second: what drivers want to ask, frames that waited, the state of each bed."""
        while True:
            now_ms = self._clock.now_ms()
            for connection, driver in list(self._drivers.items()):
                if data := driver.due(now_ms):
                    await port.write(data, connection)
            drafts: list[Draft] = []
            for bed in self.beds:
                drafts += bed.framer.tick(now_ms, is_unsynchronised=self._is_unsynchronised())
                if bed.judge(port, self._clock.now_s(), round(now_ms)):
                    self._on_state(bed)
            if drafts:
                await self._keep(drafts, ())
            await asyncio.sleep(PUMP_S)


def failure(text: str, t_ms: int) -> BedEvent:
    """Make the event of a technical failure of the site itself."""
    return BedEvent(id=make_ulid(t_ms), kind=EventKind.FAILURE, t_ms=t_ms, text=text)
