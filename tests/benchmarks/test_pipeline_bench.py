"""What one core analyses, whole and live, and what a second of many beds costs the event loop."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from device_sim.records import list_shipped, read_shipped
from hub import dsp
from hub.dsp.live import LiveAnalysis, Plan, Signals
from hub.model import FloatArray, Lane
from hub.pipeline import Pipeline, run_analysis
from hub.pipeline.analysis import GROUP
from hub.wire import decode_wave, encode_wave
from tests.benchmarks.test_wire_bench import one_second

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Time on a core, so that other work on the machine does not count."""

Benchmark = Any
"""pytest-benchmark's fixture: a fixture function without types."""

MIN = 240
WINDOW = 20 * MIN
T0 = 1_763_610_000 * 4


def windows(beds: int, n: int = WINDOW) -> tuple[FloatArray, FloatArray]:
    """The first minutes of the shipped recordings, again and again, each time a little later."""
    fhr, toco = [], []
    for number in range(beds):
        record = read_shipped(list_shipped()[number % 12])
        first = number // 12 * 20 % (6 * MIN)
        fhr.append(record.fhr[0, first : first + n])
        toco.append(record.toco[first : first + n] if record.toco is not None else np.full(n, np.nan))
    return np.array(fhr), np.array(toco)


@pytest.mark.parametrize("beds", [1, 12, 200])
def test_analysing_20_minutes_of_beds_at_once(benchmark: Benchmark, beds: int):
    fhr, toco = windows(beds)
    analyses = benchmark.pedantic(
        lambda: dsp.analyse_beds(fhr, toco, None, fs=4.0), rounds=5, warmup_rounds=1
    )
    assert len(analyses) == beds
    benchmark.extra_info["beds_per_core_second"] = round(beds / benchmark.stats.stats.median)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("beds", [64, 500])
def test_ten_more_seconds_of_live_beds(benchmark: Benchmark, beds: int):
    """Every bed has 10 s of new samples and is brought up to date, through 4 min of busy recordings.

    All are due in the same second, as a tenth of the beds of a hub is; two of the 24 rounds read far back.
    """
    fhr, toco = windows(beds, 46 * MIN)
    live = LiveAnalysis(beds)
    rows = [live.past.open_row(0) for _ in range(beds)]

    def bring_up_to(n: int) -> int:
        groups: dict[tuple[int, int, bool], list[tuple[int, Plan]]] = {}
        for bed, row in enumerate(rows):
            plan = live.plan(row, first=T0 + max(0, n - 40 * MIN), head=T0 + n)
            if plan is not None:
                groups.setdefault(plan.shape, []).append((bed, plan))
        for group in groups.values():
            for first in range(0, len(group), GROUP):
                some = group[first : first + GROUP]
                spans = [(bed, slice(p.end - p.n_samples - T0, p.end - T0)) for bed, p in some]
                signals = Signals(
                    fhr=np.array([fhr[bed, span] for bed, span in spans]),
                    toco=np.array([toco[bed, span] for bed, span in spans]),
                    mhr=np.full((len(some), some[0][1].n_samples), np.nan),
                    iup=np.full((len(some), some[0][1].n_samples), np.nan),
                    gestational_weeks=[None] * len(some),
                )
                live.push([plan for _, plan in some], signals)
        return sum(len(group) for group in groups.values())

    bring_up_to(40 * MIN)
    bring_up_to(42 * MIN)
    ends = iter(range(42 * MIN + 40, 46 * MIN + 1, 40))
    updated: list[int] = []
    benchmark.pedantic(lambda: updated.append(bring_up_to(next(ends))), rounds=24)
    assert updated == [beds] * 24
    mean_s = benchmark.stats.stats.mean / beds
    benchmark.extra_info["ms_per_bed"] = round(mean_s * 1000, 2)
    benchmark.extra_info["beds_on_one_core_at_10_s"] = round(10 / mean_s)
    benchmark.extra_info["kB_per_bed"] = round(live.past.bytes_per_row / 1000)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("beds", [200, 5000])
def test_one_second_of_raw_rates_and_technical_checks(benchmark: Benchmark, beds: int):
    """All of a second's checks and views; the application does a tenth of the checks at a time."""
    pipeline = Pipeline(boot_id="bench", capacity_beds=beds)
    payload = encode_wave(one_second())
    first = decode_wave(payload, site="h012", bed="bed0")
    for second in range(3):
        for number in range(beds):
            frame = replace(first, bed=f"bed{number}", seq=second, t0_ms=first.t0_ms + 1000 * second)
            pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=1.0 + second)
    keys = pipeline.bed_keys()

    def check() -> None:
        for part in range(10):
            pipeline.tick(first.t0_ms + 3000, 3.0, part=part, parts=10)

    def view() -> None:
        for start in range(0, beds, 500):
            pipeline.views(keys[start : start + 500], now_s=3.0, with_analysis=False)

    def check_and_view() -> None:
        check()
        view()

    benchmark.pedantic(check_and_view, rounds=10, warmup_rounds=2)
    benchmark.extra_info["ms_per_second"] = round(benchmark.stats.stats.median * 1000, 1)


@pytest.mark.parametrize("beds", [500])
def test_handing_out_a_round_of_64(benchmark: Benchmark, beds: int):
    """What the event loop does for a round of analysis before it goes to its thread."""
    pipeline = Pipeline(boot_id="bench", capacity_beds=beds)
    first = decode_wave(encode_wave(one_second()), site="h012", bed="bed0")
    for second in range(12):
        for number in range(beds):
            frame = replace(first, bed=f"bed{number}", seq=second, t0_ms=first.t0_ms + 1000 * second)
            pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=1.0 + second)
    while due := pipeline.due_windows(most=64):
        pipeline.accept(run_analysis(due), first.t0_ms)
    for second in range(12, 34):  # each bed has its own second of ten: by now every one is due
        for number in range(64):
            frame = replace(first, bed=f"bed{number}", seq=second, t0_ms=first.t0_ms + 1000 * second)
            pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=1.0 + second)
    rounds = []

    def hand_out() -> None:
        rounds.append(pipeline.due_windows(most=64))

    benchmark.pedantic(hand_out, rounds=1)
    benchmark.extra_info["fetuses"] = len(rounds[0])
    assert len(rounds[0]) >= 32
