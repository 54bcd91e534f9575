"""A stage that has work and stands still is started again; a failure is never swallowed."""

import asyncio

import pytest

from hub.stages import Clock, Stage


async def test_a_stage_with_work_that_does_not_move_is_started_again():
    stage = Stage("writer", Clock(), pending=lambda: 1)
    starts: list[int] = []
    restarted = asyncio.Event()

    async def hang() -> None:
        starts.append(len(starts))
        if len(starts) == 2:
            restarted.set()
        await asyncio.Event().wait()

    keeper = asyncio.create_task(stage.keep_running(hang, stuck_s=0.2))
    await asyncio.wait_for(restarted.wait(), 5)
    assert stage.restarts == 1
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


async def test_a_stage_without_work_is_left_alone():
    stage = Stage("writer", Clock(), pending=lambda: 0)
    starts: list[int] = []

    async def idle() -> None:
        starts.append(1)
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stage.keep_running(idle, stuck_s=0.1), 0.6)
    assert len(starts) == 1


async def test_a_failure_inside_a_stage_goes_up():
    stage = Stage("writer", Clock())

    async def fail() -> None:
        msg = "unforeseen"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="unforeseen"):
        await stage.keep_running(fail)


def test_a_standstill_counts_from_when_something_waited_or_last_went_through():
    clock = HandClock()
    waiting = [0]
    stage = Stage("writer", clock, pending=lambda: waiting[0])
    clock.s += 100.0
    assert stage.standstill_s == 0.0
    waiting[0] = 1
    stage.begin()
    clock.s += 2.0
    assert stage.standstill_s == 2.0
    stage.beat()
    assert stage.standstill_s == 0.0
    stage.turn()
    clock.s += 3.0
    assert stage.standstill_s == 3.0


class HandClock(Clock):
    def __init__(self) -> None:
        self.s = 0.0

    def now_s(self) -> float:
        return self.s
