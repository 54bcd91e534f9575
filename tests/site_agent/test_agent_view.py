"""What an agent says of itself while no broker is there: it reads on, shows on, keeps what it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hub.model import Advice, BedEvent, CommandKind, DeviceState, EventKind, SiteCommand
from hub.wire import decode_wave
from site_agent.agent import Agent, NewFrame
from site_agent.commands import ReloadError
from site_agent.config import read_config
from site_agent.outbox import Outbox
from tests.site_agent.rig import Monitor, free_port
from tests.site_agent.test_outbox import draft

pytestmark = pytest.mark.system


@pytest.fixture
def config(tmp_path: Path):
    monitor = Monitor()
    path = tmp_path / "agent.toml"
    path.write_text(
        f'site = "h012"\nname = "Clinic"\ndata_dir = "data"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {free_port()}\n'
        f'[[beds]]\nname = "bed1"\ndriver = "series50"\nport = "tcp://127.0.0.1:{monitor.port}"\n',
        encoding="utf-8",
    )
    yield path
    monitor.close()


@contextlib.asynccontextmanager
async def running(path: Path) -> AsyncIterator[Agent]:
    agent = Agent(read_config(path))
    task = asyncio.create_task(agent.run())
    try:
        yield agent
        assert not task.done()
    finally:
        if not task.done():
            await agent.stop()
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], bool], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  # what is waited for is what anyone would see, not an event
            await asyncio.sleep(0.05)


async def test_a_site_without_its_line_reads_keeps_and_shows_on(config: Path):
    frames: list[NewFrame] = []
    events: list[tuple[str, BedEvent]] = []
    async with running(config) as agent:
        agent.on_frame.append(frames.append)
        agent.on_event.append(lambda bed, event: events.append((bed, event)))
        await until(lambda: len(frames) >= 3)
        now = agent.snapshot()
        assert (now.is_live_up, now.is_fill_up, now.hub_heard_s) == (False, False, None)
        assert now.backlog_frames == now.beds[0].backlog_frames >= 3
        assert now.beds[0].state.state is DeviceState.OK
        assert now.beds[0].ticks_age_s is not None
        assert now.beds[0].ticks_age_s < 3.0
        new = list(frames)
        shown = [decode_wave(one.payload, site="h012", bed="bed1") for one in new]
        assert [frame.seq for frame in shown] == list(range(len(shown)))
        assert all(one.is_live for one in new)
        assert await agent.read_frames("bed1", 0, shown[-1].t0_ms + 1) == [one.payload for one in new]
        assert await agent.read_frames("bed1", 0, shown[0].t0_ms) == []


async def test_advice_is_kept_over_a_restart_and_its_confirmation_waits_for_the_line(config: Path):
    async with running(config) as agent:
        await until(lambda: agent.snapshot().beds[0].state.state is DeviceState.OK)
        for _ in range(2):
            agent._uplink.on_advice("bed1", Advice(id="a1", t_ms=5, author="Dr. Sato", text="左側臥位"))
        assert [shown.advice.text for shown in agent.snapshot().advice] == ["左側臥位"]
        with pytest.raises(KeyError):
            await agent.confirm_advice("a2", "田中")
        await agent.confirm_advice("a1", "田中")
    async with running(config) as again:
        await until(lambda: len(again.snapshot().advice) == 1)
        (shown,) = again.snapshot().advice
        assert (shown.bed, shown.confirmed_by) == ("bed1", "田中")
        (waiting,) = again._uplink.events._waiting.values()
        assert b'"advice_confirmed"' in waiting.payload
        assert b'"a1"' in waiting.payload


async def test_a_reload_takes_a_right_configuration_and_leaves_a_wrong_one(config: Path):
    good = config.read_text()  # noqa: ASYNC240  # a few hundred bytes
    agent = Agent(read_config(config))
    task = asyncio.create_task(agent.run())
    await until(lambda: agent.snapshot().beds[0].state.state is DeviceState.OK)
    config.write_text(good.replace("series50", "nonsense"))  # noqa: ASYNC240
    agent._uplink.on_command(SiteCommand(id="1", kind=CommandKind.RELOAD))
    await asyncio.sleep(0.5)
    assert not task.done()
    config.write_text(good.replace("Clinic", "Maternity"))  # noqa: ASYNC240
    agent._uplink.on_command(SiteCommand(id="1", kind=CommandKind.RELOAD))
    agent._uplink.on_command(SiteCommand(id="2", kind=CommandKind.RELOAD))
    with pytest.raises(ReloadError) as reload:
        await asyncio.wait_for(task, 10)
    assert reload.value.config.name == "Maternity"
    Agent(reload.value.config)._lock.close()  # the folder is free again


async def test_ticks_that_find_no_room_are_shown_counted_and_told(config: Path):
    frames: list[NewFrame] = []
    async with running(config) as agent:
        agent.on_frame.append(frames.append)
        await until(lambda: len(frames) >= 2)
        await agent._committer.ask(fill_up)
        await until(lambda: agent.refused_ticks >= 8, within_s=15)
        before = len(frames)
        await until(lambda: len(frames) > before + 1)
        told = [waiting.payload for waiting in agent._uplink.events._waiting.values()]
        assert any(EventKind.FAILURE.encode() in payload and b"not kept" in payload for payload in told)
        await agent._committer.ask(
            lambda outbox: outbox._db.execute("PRAGMA max_page_count = 100000").fetchone()
        )
        await until(lambda: "full" not in agent._failing)
        refused = agent.refused_ticks
        await until(lambda: agent.snapshot().beds[0].backlog_frames >= 4)
        assert agent.refused_ticks == refused


def fill_up(outbox: Outbox) -> None:
    """Leave the database no page to grow into, and none with room for one frame more."""
    pages = outbox._db.execute("PRAGMA page_count").fetchone()[0]
    outbox._db.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    size = 40
    while size:
        if not outbox.append([draft(second=k) for k in range(size)])[0].is_stored:
            size //= 2
