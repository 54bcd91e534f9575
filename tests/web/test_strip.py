"""Frames on the grid, and thinned out."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hub.model import Channel, ChannelSamples, Lane, Transducer, WaveEntry, WaveFrame
from hub.web.backend import StripData
from hub.web.strip import decimate, render_strip, snap_span
from hub.wire import encode_wave, samples_from_values
from tests.web.conftest import T0_MS, make_frame


def entry(frame: WaveFrame, arrived_ms: int | None = None) -> WaveEntry:
    return WaveEntry(frame.site, frame.bed, arrived_ms or frame.end_ms + 40, encode_wave(frame))


def render(
    *frames: tuple[WaveFrame, Lane] | WaveFrame, span_s: float = 4, step_ms: int | None = None
) -> dict[str, Any]:
    pairs = [item if isinstance(item, tuple) else (item, Lane.LIVE) for item in frames]
    data = StripData(entries=tuple((entry(frame), lane) for frame, lane in pairs))
    body = render_strip("h012", "bed3", T0_MS, T0_MS + round(span_s * 1000), data, step_ms=step_ms)
    strip: dict[str, Any] = json.loads(body)
    return strip


def fhr(*values: float | None) -> tuple[ChannelSamples, ...]:
    samples = [np.nan if value is None else value for value in values]
    return (samples_from_values(Channel.FHR1, samples, transducer=Transducer.ULTRASOUND),)


def test_a_missing_frame_is_null_and_nothing_joins_over_it():
    strip = render(make_frame(0), make_frame(2))
    values = strip["channels"]["fhr1"]
    assert len(values) == 16
    assert values[4:8] == [None] * 4
    assert values[12:] == [None] * 4
    assert None not in values[:4] + values[8:12]


def test_a_channel_that_never_came_is_absent():
    assert set(render(make_frame(0))["channels"]) == {"fhr1", "toco"}
    assert render()["channels"] == {}


def test_a_frame_that_reaches_out_of_the_span_is_cut():
    late = replace(make_frame(0), t0_ms=T0_MS - 500, channels=fhr(1.0, 2.0, 3.0, 4.0))
    assert render(late, span_s=1)["channels"]["fhr1"] == [3.0, 4.0, None, None]


def test_a_site_clock_that_is_smoothed_tears_no_hole():
    frames = [
        replace(make_frame(0), channels=fhr(1.0, 2.0, 3.0, 4.0)),
        replace(make_frame(1), t0_ms=T0_MS + 1130, channels=fhr(5.0, 6.0, 7.0, 8.0)),
        replace(make_frame(2), t0_ms=T0_MS + 2010, channels=fhr(9.0, 10.0, 11.0, 12.0)),
    ]
    assert render(*frames)["channels"]["fhr1"] == [float(n) for n in range(1, 13)] + [None] * 4


def test_a_slower_source_holds_each_value_for_its_period():
    slow = replace(make_frame(0), period_ms=500, n_ticks=2, channels=fhr(140.0, 150.0))
    assert render(slow, span_s=1)["channels"]["fhr1"] == [140.0, 140.0, 150.0, 150.0]


def test_what_arrived_later_replaces_what_stood_there():
    first = replace(make_frame(0), channels=fhr(1.0, 2.0, 3.0, 4.0))
    second = replace(make_frame(0), epoch=8, channels=fhr(5.0, 6.0, 7.0, 8.0))
    data = StripData(
        entries=((entry(second, T0_MS + 9000), Lane.FILL), (entry(first, T0_MS + 1000), Lane.LIVE))
    )
    strip = json.loads(render_strip("h012", "bed3", T0_MS, T0_MS + 1000, data))
    assert strip["channels"]["fhr1"] == [5.0, 6.0, 7.0, 8.0]


def test_late_spans_are_joined_and_say_when_their_last_part_came():
    strip = render(
        make_frame(0), (make_frame(1), Lane.FILL), (make_frame(2), Lane.FILL), (make_frame(9), Lane.FILL)
    )
    assert strip["late"] == [
        {"from_ms": T0_MS + 1000, "to_ms": T0_MS + 3000, "arrived_ms": T0_MS + 3040},
    ]


def test_spans_with_a_gap_between_them_stay_apart():
    strip = render((make_frame(0), Lane.FILL), (make_frame(2), Lane.FILL))
    assert [(span["from_ms"] - T0_MS, span["to_ms"] - T0_MS) for span in strip["late"]] == [
        (0, 1000),
        (2000, 3000),
    ]


def test_a_step_says_least_and_greatest():
    strip = render(replace(make_frame(0), channels=fhr(140.0, None, 150.0, 130.0)), span_s=2, step_ms=500)
    assert strip["period_ms"] == 500
    assert strip["channels"]["fhr1"] == {
        "min": [140.0, 130.0, None, None],
        "max": [140.0, 150.0, None, None],
    }


@given(
    arrays(np.float64, st.integers(1, 200), elements=st.floats(0, 300) | st.just(np.nan)), st.integers(2, 50)
)
def test_decimation_is_the_least_and_greatest_of_each_step(values: np.ndarray[Any, Any], n: int):
    low, high = decimate(values, n)
    bins = [values[i : i + n] for i in range(0, values.size, n)]
    for got, one in zip(zip(low, high, strict=True), bins, strict=True):
        valid = one[~np.isnan(one)]
        expected = (valid.min(), valid.max()) if valid.size else (np.nan, np.nan)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("span", "snapped"), [((0, 1000), (0, 1000)), ((1, 999), (0, 1000)), ((250, 251), (250, 500))]
)
def test_a_span_is_widened_to_the_grid(span: tuple[int, int], snapped: tuple[int, int]):
    assert snap_span(*span) == snapped
