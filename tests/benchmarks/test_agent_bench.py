"""How fast a site's disk takes frames, how fast frames are made, and how fast a backlog is packed."""

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from hub.model import Ack, Channel, ChannelSamples, Lane, MonitorStatus, Transducer
from site_agent.device import TickBlock, TimeBase
from site_agent.framer import Framer
from site_agent.happenings import Acked, Answered, Credited, LineUp, Restored, SendFill, Tick
from site_agent.outbox import Outbox
from site_agent.stock import Draft
from site_agent.uplink import pack_fill
from site_agent.window import Window

Benchmark = Any
"""pytest-benchmark's fixture: a fixture function without types."""
T0_MS = 1_780_000_000_000
BEDS = 20


def block(second: int) -> TickBlock:
    rate = np.array([16944, 16945, 16946, 16947], np.uint16)
    return TickBlock(
        T0_MS + 1000.0 * second,
        TimeBase.ARRIVAL,
        250,
        4,
        MonitorStatus.ON,
        (
            ChannelSamples(Channel.FHR1, Transducer.ULTRASOUND, False, rate),
            ChannelSamples(Channel.MHR, Transducer.MECG, False, rate),
            ChannelSamples(Channel.TOCO, Transducer.EXTERNAL, False, np.full(4, 40, np.uint8)),
        ),
    )


def drafts(bed: str, seconds: int) -> list[Draft]:
    framer = Framer("h012", bed)
    made = [draft for k in range(seconds) for draft in framer.push(block(k), T0_MS + 1000 * k + 1000)]
    return made + framer.end(T0_MS + 1000 * seconds)


def test_making_the_frames_of_a_second(benchmark: Benchmark):
    framer = Framer("h012", "bed1")
    seconds = iter(range(10**9))

    def one_second() -> int:
        second = next(seconds)
        return len(framer.push(block(second), T0_MS + 1000 * second + 1000))

    benchmark(one_second)
    benchmark.extra_info["frames_per_s"] = round(1 / benchmark.stats.stats.median)


def test_committing_a_second_of_twenty_beds(benchmark: Benchmark, tmp_path: Path):
    outbox = Outbox(tmp_path, "h012", 7)
    (one,) = drafts("bed0", 1)
    batch = [Draft(f"bed{k}", one.body, one.t0_ms, one.end_ms) for k in range(BEDS)]
    kept = benchmark(outbox.append, batch)
    assert len(kept) == BEDS
    benchmark.extra_info["commits_per_s"] = round(1 / benchmark.stats.stats.median)
    benchmark.extra_info["frames_per_s"] = round(BEDS / benchmark.stats.stats.median)


def test_finding_and_packing_an_outage_of_eight_hours(benchmark: Benchmark, tmp_path: Path):
    """20 beds: 576,000 frames from the outbox into fill messages, without the line itself."""
    outbox = Outbox(tmp_path, "h012", 7)
    hours, rows = 8, drafts("bed0", 3600)
    top = hours * 3600 - 1
    for bed in range(BEDS):
        of_bed = [Draft(f"bed{bed}", one.body, one.t0_ms, one.end_ms) for one in rows]
        for _ in range(hours):
            outbox.append(of_bed)
    outbox.close()

    def drain() -> tuple[int, int]:
        again = Outbox(tmp_path, "h012", 8)
        again._seqs = {}
        window, now_s = Window(), 100.0
        for stock in again.unacked():
            window.push(Restored(stock.bed, stock.epoch, tuple(stock.unacked)), now_s)
        window.push(LineUp(Lane.FILL), now_s)
        frames = octets = 0
        while frames < hours * 3600 * BEDS:
            now_s += 0.2
            window.push(Credited(20_000.0, 30.0), now_s)
            actions = deque(window.push(Tick(), now_s))
            while actions:
                action = actions.popleft()
                if isinstance(action, SendFill):
                    payload, absent = pack_fill(again, action)
                    assert payload is not None
                    assert not absent
                    octets += len(payload)
                    actions += window.push(Answered(action.token), now_s)
                    for epoch, first, last in action.parts:
                        frames += last - first + 1
                        ack = Ack(epoch=epoch, contiguous=-1, missing=((0, first - 1),), highest=top)
                        actions += window.push(Acked(action.bed, ack), now_s)
        again.close()
        return frames, octets

    frames, octets = benchmark.pedantic(drain, rounds=1)
    benchmark.extra_info["frames_per_s"] = round(frames / benchmark.stats.stats.median)
    benchmark.extra_info["bytes_per_frame"] = round(octets / frames, 1)
