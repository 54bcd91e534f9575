"""Ticks are spaced by the monotonic clock; a wrong wall clock is known, shown and never hidden."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import TimeExchange
from site_agent.clock import OffsetFilter, SiteClock, Synchrony

T0_MS = 1_780_000_000_000


def exchange(
    offset_ms: float, there_ms: float, back_ms: float, at_ms: int = T0_MS
) -> tuple[TimeExchange, float]:
    received = at_ms + there_ms + offset_ms
    return TimeExchange(at_ms, round(received), round(received + 5)), at_ms + there_ms + 5 + back_ms


def test_a_step_of_the_wall_clock_is_followed_at_once_and_told():
    clock = SiteClock()
    assert clock.label(100.0, T0_MS) == T0_MS
    assert clock.label(101.0, T0_MS + 1000) == T0_MS + 1000
    assert clock.label(102.0, T0_MS - 298_000) == T0_MS - 298_000
    assert clock.steps == [-300_000.0]


def test_a_small_difference_is_slewed():
    clock = SiteClock()
    clock.label(100.0, T0_MS)
    labels = [clock.label(100.0 + k, T0_MS + 1000 * k + 400) for k in range(1, 101)]
    assert max(b - a for a, b in itertools.pairwise(labels)) <= 1005.0001
    assert labels[-1] == pytest.approx(T0_MS + 100_400)
    assert clock.steps == []


def test_the_exchange_of_least_delay_counts():
    offsets = OffsetFilter()
    for there, back in ((10, 900), (20, 20), (900, 10)):
        answer, came_ms = exchange(300.0, there, back)
        assert offsets.push(answer, came_ms)
    assert offsets.offset_ms == pytest.approx(300.0)
    assert offsets.delay_ms == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("offset_ms", "says"),
    [
        (0, Synchrony.GOOD),
        (-250, Synchrony.WARNING),
        (900, Synchrony.WARNING),
        (-1500, Synchrony.UNSYNCHRONISED),
    ],
)
def test_how_far_a_clock_is_off_is_said_in_words(offset_ms: float, says: Synchrony):
    offsets = OffsetFilter()
    assert offsets.synchrony is Synchrony.UNKNOWN
    offsets.push(*exchange(offset_ms, 10, 10))
    assert offsets.synchrony is says


def test_an_answer_from_before_a_step_of_the_clock_is_left_out():
    offsets = OffsetFilter()
    answer, came_ms = exchange(0.0, 10, 10)
    assert not offsets.push(answer, came_ms - 300_000)
    assert not offsets.push(answer, came_ms + 300_000)
    assert not offsets.push(TimeExchange(T0_MS), came_ms), "an own question is no answer"
    assert offsets.offset_ms is None


@given(
    st.lists(st.tuples(st.floats(0, 3000), st.floats(0, 3000)), min_size=1, max_size=20), st.floats(-1e6, 1e6)
)
def test_the_error_is_at_most_half_the_delay(paths: list[tuple[float, float]], offset_ms: float):
    offsets = OffsetFilter()
    for there, back in paths:
        offsets.push(*exchange(offset_ms, there, back))
    assert offsets.offset_ms is not None
    assert offsets.delay_ms is not None
    assert abs(offsets.offset_ms - offset_ms) <= max(0.0, offsets.delay_ms) / 2 + 2


def test_a_clock_that_drifts_is_measured_by_what_came_last():
    offsets = OffsetFilter()
    for second in range(0, 40, 5):
        offsets.push(*exchange(-10.0 * second, 10 + second % 2, 10, T0_MS + second * 1000))
    assert offsets.offset_ms == pytest.approx(-350.0, abs=1.0)
