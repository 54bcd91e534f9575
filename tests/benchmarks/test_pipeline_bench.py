"""What one core analyses, and what the second of many beds costs the event loop."""

from typing import Any

import numpy as np
import pytest

from device_sim.records import list_shipped, read_shipped
from hub import dsp
from hub.model import FloatArray, Lane
from hub.pipeline import Pipeline
from hub.wire import decode_wave, encode_wave
from tests.benchmarks.test_wire_bench import one_second

Benchmark = Any
"""pytest-benchmark's fixture: a fixture function without types."""

WINDOW = 20 * 60 * 4


def windows(beds: int) -> tuple[FloatArray, FloatArray]:
    """The first 20 minutes of the shipped recordings, again and again."""
    fhr, toco = [], []
    for name in list_shipped():
        record = read_shipped(name)
        fhr.append(record.fhr[0, :WINDOW])
        toco.append(record.toco[:WINDOW] if record.toco is not None else np.full(WINDOW, np.nan))
    index = np.arange(beds) % len(fhr)
    return np.array(fhr)[index], np.array(toco)[index]


@pytest.mark.parametrize("beds", [1, 12, 200])
def test_analysing_20_minutes_of_beds_at_once(benchmark: Benchmark, beds: int):
    fhr, toco = windows(beds)
    analyses = benchmark.pedantic(
        lambda: dsp.analyse_beds(fhr, toco, None, fs=4.0), rounds=5, warmup_rounds=1
    )
    assert len(analyses) == beds
    benchmark.extra_info["beds_per_core_second"] = round(beds / benchmark.stats.stats.median)


@pytest.mark.parametrize("beds", [12, 200])
def test_one_second_of_raw_rates_and_technical_checks(benchmark: Benchmark, beds: int):
    pipeline = Pipeline(boot_id="bench", capacity_beds=beds)
    payload = encode_wave(one_second())
    for number in range(beds):
        frame = decode_wave(payload, site="h012", bed=f"bed{number}")
        pipeline.push_frame(frame, lane=Lane.LIVE, arrived_ms=frame.end_ms, now_s=1.0)
    benchmark.pedantic(lambda: pipeline.tick(1_763_610_001_000, 1.0), rounds=20, warmup_rounds=2)
    benchmark.extra_info["ms_per_tick"] = round(benchmark.stats.stats.median * 1000, 2)
