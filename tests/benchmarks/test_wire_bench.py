"""How many wave frames a second one core decodes and encodes."""

from typing import Any

import numpy as np

from hub.model import Channel, FrameFlag, MonitorStatus, Transducer, WaveFrame
from hub.wire import decode_wave, encode_wave, samples_from_values

Benchmark = Any
"""pytest-benchmark's fixture: a fixture function without types."""


def one_second() -> WaveFrame:
    """FHR1, MHR and toco, as most beds send them."""
    rate = np.array([140.0, 140.25, 141.0, 141.5])
    return WaveFrame(
        "h012",
        "bed3",
        7,
        12345,
        1_763_610_000_000,
        250,
        4,
        FrameFlag.NONE,
        MonitorStatus.ON,
        (
            samples_from_values(Channel.FHR1, rate, transducer=Transducer.ULTRASOUND),
            samples_from_values(Channel.MHR, rate / 2, transducer=Transducer.EXTERNAL),
            samples_from_values(Channel.TOCO, rate / 5, transducer=Transducer.EXTERNAL),
        ),
    )


def test_decoding_a_frame(benchmark: Benchmark):
    payload = encode_wave(one_second())
    frame = benchmark(decode_wave, payload, site="h012", bed="bed3")
    assert frame.seq == 12345
    benchmark.extra_info["frames_per_s"] = round(1 / benchmark.stats.stats.median)


def test_encoding_a_frame(benchmark: Benchmark):
    frame = one_second()
    payload = benchmark(encode_wave, frame)
    assert decode_wave(payload, site="h012", bed="bed3").seq == 12345
    benchmark.extra_info["frames_per_s"] = round(1 / benchmark.stats.stats.median)
