"""From the serial byte on: a simulated monitor, a real pseudo-terminal or TCP, port, driver, ticks."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from device_sim.__main__ import app
from device_sim.device import Device, Pty, listen
from device_sim.ge115 import Ge115Monitor
from device_sim.line_faults import FaultyLine, LinePlan
from device_sim.records import read_shipped
from device_sim.replay import Replay
from device_sim.series50 import MonitorPlan, Series50Monitor
from device_sim.signals import Signals
from hub.model import Channel, EventKind, FloatArray, MonitorStatus
from hub.stages import Clock
from hub.wire import to_values
from site_agent.device import DeviceEvent, DeviceIdentity, Driver, DriverItem, Reject, TickBlock
from site_agent.drivers.registry import find_driver, make_driver
from site_agent.ports import Turn, open_port

SPEED = 25.0


class FastClock:
    """A clock on which the simulated device runs at its own speed."""

    def __init__(self, speed: float) -> None:
        self._clock = Clock()
        self._speed = speed
        self._start_ms, self._start_s = self._clock.now_ms(), self._clock.now_s()

    def now_ms(self) -> float:
        return self._start_ms + (self._clock.now_s() - self._start_s) * 1000 * self._speed

    def now_s(self) -> float:
        return self._clock.now_s()


class Ramp:
    """Each sample says which one it is: the index of a tick is 4 x (its rate less 100 bpm)."""

    def samples(self, start: int, stop: int) -> Signals:
        index = np.arange(start, stop, dtype=float)
        return Signals(fhr=(100 + index / 4)[None, :], toco=index % 200 / 2, mhr=60 + index % 80 / 4)


def indices(block: TickBlock) -> list[int]:
    return [round((bpm - 100) * 4) if np.isfinite(bpm) else -1 for bpm in to_values(block.channels[0])]


class Site:
    """What an agent does with one port: feeds the driver and writes what is due."""

    def __init__(self, driver_name: str, spec: str, *, speed: float = SPEED) -> None:
        self.items: list[DriverItem] = []
        self.turns: list[Turn] = []
        self.arrivals: list[float] = []
        self._name = driver_name
        self._spec = spec
        self._clock = FastClock(speed)
        self._driver: Driver | None = None

    async def run_until(self, is_enough: Callable[["Site"], bool], *, timeout_s: float = 20.0) -> None:
        line = find_driver(self._name).line
        async with (
            asyncio.timeout(timeout_s),
            open_port(self._spec, clock=self._clock, line=line) as port,
        ):
            asking = asyncio.create_task(self._ask(port.write))
            try:
                async for received in port:
                    self.turns.append(received.turn)
                    if received.turn is Turn.OPENED:
                        self._driver = make_driver(self._name)
                    elif received.turn is Turn.DATA and self._driver is not None:
                        self.arrivals.append(received.t_ms)
                        self.items += self._driver.feed(received.data, received.t_ms)
                    if is_enough(self):
                        return
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        while True:
            if self._driver is not None:
                await write(self._driver.due(self._clock.now_ms()))
            await asyncio.sleep(0.02)

    @property
    def blocks(self) -> list[TickBlock]:
        return [item for item in self.items if isinstance(item, TickBlock)]

    @property
    def ticks(self) -> list[int]:
        return [index for block in self.blocks for index in indices(block)]

    def of(self, kind: type) -> list[DriverItem]:
        return [item for item in self.items if isinstance(item, kind)]


@contextlib.asynccontextmanager
async def running(device: Device) -> AsyncIterator[Device]:
    task = asyncio.create_task(device.run())
    try:
        yield device
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def monitor(**plan: int) -> Series50Monitor:
    return Series50Monitor(Ramp(), MonitorPlan(**plan))


def enough(n_blocks: int) -> Callable[[Site], bool]:
    return lambda site: len(site.blocks) >= n_blocks


async def test_over_a_pseudo_terminal_no_tick_is_lost_or_made_up() -> None:
    async with running(Device(monitor=monitor(), speed=SPEED)) as device:
        with Pty(device) as pty:
            site = Site("series50", f"serial:{pty.path}")
            await site.run_until(enough(30))
    assert site.ticks == list(range(site.ticks[0], site.ticks[0] + len(site.ticks)))
    block = site.blocks[-1]
    expected = Ramp().samples(indices(block)[0], indices(block)[-1] + 1)
    by_channel = {c.channel: to_values(c) for c in block.channels}
    np.testing.assert_array_equal(by_channel[Channel.MHR], expected.mhr)
    np.testing.assert_array_equal(by_channel[Channel.TOCO], expected.toco)
    assert site.of(Reject) == []
    [who] = site.of(DeviceIdentity)
    assert isinstance(who, DeviceIdentity)
    assert (who.model, who.serial) == ("M1350A", "3512G00123")


async def test_over_tcp_a_real_recording_arrives_as_it_is() -> None:
    record = read_shipped("1017")
    source = Replay(record, offset_s=600)
    device = Device(monitor=Series50Monitor(source, MonitorPlan()), speed=SPEED)
    async with running(device), await listen(device, "127.0.0.1", 0) as server:
        site = Site("series50", f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await site.run_until(enough(30))
    found = np.concatenate([to_values(block.channels[0]) for block in site.blocks])
    whole = source.samples(0, 4 * 200)
    rates: FloatArray = np.round(whole.fhr[0] * 4) / 4
    starts = [
        a for a in range(0, 4 * 150, 4) if np.array_equal(rates[a : a + found.size], found, equal_nan=True)
    ]
    assert starts
    toco = np.concatenate([_toco(block) for block in site.blocks])
    assert whole.toco is not None
    np.testing.assert_array_equal(toco, np.round(whole.toco[starts[0] : starts[0] + toco.size] * 2) / 2)


def _toco(block: TickBlock) -> FloatArray:
    found = [to_values(c) for c in block.channels if c.channel is Channel.TOCO]
    return found[0] if found else np.full(block.n_ticks, np.nan)


async def test_every_event_of_the_protocol_comes_through() -> None:
    device = Device(monitor=monitor(events_every_s=1, failure_every_s=7), speed=SPEED)
    async with running(device):
        with Pty(device) as pty:
            site = Site("series50", f"serial:{pty.path}")
            await site.run_until(lambda s: len({e.kind for e in s.of(DeviceEvent)}) >= 6)  # type: ignore[union-attr]
    events = [item for item in site.items if isinstance(item, DeviceEvent)]
    told = {event.kind: event for event in events}
    assert told[EventKind.NIBP].values["systolic_mmhg"] == 118
    assert told[EventKind.NOTE].text == "left side"
    assert told[EventKind.FAILURE].text == "device failure 502"


async def test_inserted_and_deleted_ticks_are_flagged_where_they_are() -> None:
    device = Device(monitor=monitor(insert_every_s=5, delete_every_s=7), speed=SPEED)
    async with running(device):
        with Pty(device) as pty:
            site = Site("series50", f"serial:{pty.path}")
            await site.run_until(enough(30))
    inserted = [b for b in site.blocks if MonitorStatus.TICKS_INSERTED in b.status]
    deleted = [b for b in site.blocks if MonitorStatus.TICKS_DELETED in b.status]
    assert inserted
    assert deleted
    assert all(indices(block)[0] == -1 for block in inserted)
    others = [
        b for b in site.blocks if not b.status & (MonitorStatus.TICKS_INSERTED | MonitorStatus.TICKS_DELETED)
    ]
    assert all(np.diff(indices(block)).tolist() == [1, 1, 1] for block in others)


async def test_on_a_bad_line_ticks_are_missing_but_never_wrong() -> None:
    plan = LinePlan(byte_loss=0.003, bit_flip=0.003, garbage=0.05)
    device = Device(monitor=monitor(), plan=plan, seed=3, speed=2 * SPEED)
    async with running(device):
        with Pty(device) as pty:
            site = Site("series50", f"serial:{pty.path}")
            await site.run_until(lambda s: device.monitor.n_blocks > 120)
    assert device.line.n_harmed > 20
    assert site.of(Reject)
    assert len(site.blocks) >= device.monitor.n_blocks - device.line.n_harmed - 2
    assert all(np.diff(indices(block)).tolist() == [1, 1, 1] for block in site.blocks)
    assert np.all(np.diff([indices(block)[0] for block in site.blocks]) > 0)


async def test_a_monitor_switched_off_and_on_is_asked_again_at_once() -> None:
    plan = LinePlan(power_every_s=20, power_off_s=8)
    device = Device(monitor=monitor(), plan=plan, speed=SPEED)
    async with running(device):
        with Pty(device) as pty:
            site = Site("series50", f"serial:{pty.path}")
            await site.run_until(lambda s: len(s.ticks) > 0 and s.ticks[-1] > 4 * 45)
    jumps = np.diff([indices(block)[0] for block in site.blocks])
    gaps = jumps[jumps > 4]
    assert len(gaps) == 2
    assert len(site.of(DeviceIdentity)) >= 2
    # 8 s without power; the answer to its first word may cost two blocks of this fast time.
    assert np.all((gaps >= 32) & (gaps <= 32 + 4 * 4))


async def test_at_1200_baud_a_block_is_stamped_with_its_first_byte() -> None:
    device = Device(monitor=monitor(), baud=1200)
    async with running(device):
        with Pty(device) as pty:
            site = Site("series50", f"serial:{pty.path}", speed=1.0)
            await site.run_until(enough(3), timeout_s=15)
    # 46 bytes take 383 ms; the stamp must lie that long before the last of them came.
    last_byte_ms = site.arrivals[-1]
    newest_ms = site.blocks[-1].t0_ms + 750
    assert last_byte_ms - newest_ms > 200
    steps = np.diff([block.t0_ms for block in site.blocks])
    assert np.all(np.abs(steps - 1000) < 150)


async def test_an_adapter_that_is_pulled_and_put_back_is_found_again(tmp_path: Path) -> None:
    link = tmp_path / "ttyUSB0"
    site = Site("series50", f"serial:{link}")
    async with running(Device(monitor=monitor(), speed=SPEED)) as device:
        reading = asyncio.create_task(site.run_until(lambda s: s.turns.count(Turn.CLOSED) == 2))
        for n_blocks in (5, 10):
            with Pty(device, link):
                await wait_for(lambda n=n_blocks: len(site.blocks) >= n)  # type: ignore[misc]  # bound now
            await wait_for(lambda: site.turns[-1] is Turn.CLOSED)
        await reading
    assert site.turns.count(Turn.OPENED) == 2
    assert all(np.diff(indices(block)).tolist() == [1, 1, 1] for block in site.blocks)


async def wait_for(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not is_so():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.02)


async def test_a_corometrics_monitor_is_read_without_a_word_to_it() -> None:
    heard: list[bytes] = []

    class Mute(Ge115Monitor):
        def hear(self, data: bytes) -> bytes:
            heard.append(data)
            return b""

    class Whole:
        def samples(self, start: int, stop: int) -> Signals:
            index = np.arange(start, stop, dtype=float)
            return Signals(fhr=(100 + index % 100)[None, :], toco=index % 100)

    async with running(Device(monitor=Mute(Whole()), speed=SPEED)) as device:
        with Pty(device) as pty:
            site = Site("ge115", f"serial:{pty.path}")
            await site.run_until(enough(60))
    rates = [to_values(block.channels[0])[0] for block in site.blocks]
    assert heard == []
    assert set(np.diff(rates) % 100) == {1.0}
    assert {round(to_values(b.channels[1])[0] - to_values(b.channels[0])[0]) for b in site.blocks[1:]} == {
        -100
    }


def test_the_same_seed_harms_the_same_bytes() -> None:
    plan = LinePlan(byte_loss=0.1, bit_flip=0.1, garbage=0.1)
    block = os.urandom(46)
    first, second = ([FaultyLine(plan, 5).carry(block) for _ in range(20)] for _ in range(2))
    assert first == second
    line = FaultyLine(plan, 5)
    assert len({line.carry(block) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    "plan", [{"byte_loss": 1.5}, {"bit_flip": -0.1}, {"cable_every_s": 5, "cable_out_s": 5}]
)
def test_faults_that_make_no_sense_are_refused(plan: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        LinePlan(**plan)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--port pty"),
        (["--port", "pty", "--listen", "4001"], "--port pty"),
        (["--port", "pty", "--cable-out", "5/9"], "cable"),
        (["--port", "pty", "--power-off", "often"], "EVERY/LENGTH"),
        (["--listen", "here"], "PORT"),
        (["--protocol", "hl7-mllp"], "--connect"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(options: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["device", "scenario:twins", *options])
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())
