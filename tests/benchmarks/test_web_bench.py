"""What the live push costs: frames delivered to consoles, and the JSON of a second."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hub.model import BedView
from hub.web.board import Board
from hub.web.limits import LiveLimits
from hub.web.outbox import Outbox
from tests.web.conftest import Console, Rig, make_frame, serving

BEDS = [f"bed{n}" for n in range(1, 37)]
SECONDS = 50
"""Seconds of 36 beds, pushed as fast as every console acknowledges."""


async def _count_frames(console: Console, n_frames: int) -> None:
    while n_frames > 0:
        message = await console.read()
        n_frames -= len(message) if isinstance(message, list) else 0
        await console.ack()


async def _deliver(n_clients: int) -> float:
    limits = LiveLimits(flush_s=0.0, messages_per_s=10**6)
    async with serving(Rig(live_limits=limits)) as rig, AsyncExitStack() as stack:
        rig.run(1, beds=BEDS)
        consoles = [await stack.enter_async_context(rig.client()) for _ in range(n_clients)]
        for console in consoles:
            await console.read_json()
        # The same second again and again: what the pipeline costs is measured with the pipeline.
        entries = [rig.push(make_frame(rig.seq, bed=bed), publish=False) for bed in BEDS]
        views = rig.pipeline.views(None, now_s=rig.now_s, with_analysis=False)
        start_s = time.perf_counter()
        for _ in range(SECONDS):
            for entry in entries:
                rig.feed.publish_wave(entry)
            rig.feed.publish_second(rig.now_ms, views)
            async with asyncio.TaskGroup() as tasks:
                for console in consoles:
                    tasks.create_task(_count_frames(console, len(BEDS)))
        return SECONDS * len(BEDS) * n_clients / (time.perf_counter() - start_s)


@pytest.mark.parametrize(("n_clients", "least_per_s"), [(1, 36 * 10), (20, 20 * 36 * 2)])
def test_consoles_are_served_faster_than_the_beds_send(
    benchmark: BenchmarkFixture, n_clients: int, least_per_s: int
):
    """Server and all consoles share one core here."""
    frames_per_s = benchmark(lambda: asyncio.run(_deliver(n_clients)))
    benchmark.extra_info["frames_per_s"] = round(frames_per_s)
    assert frames_per_s > least_per_s


def _region() -> tuple[list[BedView], list[BedView]]:
    """200 beds with the analysis of 30 minutes: all of it, and a second in which 20 are new."""
    rig = Rig()
    rig.run(1800)
    rig.analyse()
    (view,) = rig.pipeline.views(None, now_s=rig.now_s, with_analysis=True)
    assert view.analysis is not None
    beds = [replace(view, bed=f"bed{n}") for n in range(200)]
    return beds, [bed if n < 20 else replace(bed, analysis=None) for n, bed in enumerate(beds)]


@pytest.mark.parametrize("n_clients", [1, 20])
def test_a_second_of_two_hundred_beds_is_encoded_in_a_fraction_of_it(
    benchmark: BenchmarkFixture, n_clients: int
):
    complete, second = _region()
    board = Board(lambda keys, full: complete, lambda: 0)
    outboxes = [
        Outbox(LiveLimits(message_bytes=10**7), board, lambda key, span_s: [], "boot")
        for _ in range(n_clients)
    ]
    keys = board.load(None)
    now_s = took_s = 0.0

    def encode_second() -> int:
        nonlocal now_s, took_s
        start_s = time.perf_counter()
        now_s += 1.0
        board.put(second, 0)
        n_bytes = 0
        for outbox in outboxes:
            outbox.push_views(keys[20:], with_analysis=False)
            outbox.push_views(keys[:20], with_analysis=True)
            message = outbox.next_message(now_s, 0)
            assert message is not None
            n_bytes += len(message)
            outbox.flight.acknowledge(outbox.flight.seq)
        took_s += time.perf_counter() - start_s
        return n_bytes

    benchmark.extra_info["bytes_per_client"] = benchmark(encode_second) // n_clients
    assert took_s / now_s < 0.050
