"""The age of a bed's data follows from the site's own clock, however wrong that clock is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.pipeline.lag import LagEstimator


def play(seconds: range, *, offset_ms: int = 0, delay_ms: int = 0, drift: float = 0.0) -> LagEstimator:
    lag = LagEstimator()
    for second in seconds:
        site_ms = round(offset_ms + second * 1000 * (1 + drift))
        lag.push(site_ms - 1000, site_ms, second * 1000 + delay_ms, is_in_sequence=True)
    return lag


def test_a_bed_without_a_live_frame_has_no_age():
    assert LagEstimator().age_ms(0.0) is None


@given(st.integers(-10_000_000, 10_000_000), st.integers(0, 5000))
def test_the_age_does_not_depend_on_the_sites_clock(offset_ms: int, delay_ms: int):
    lag = play(range(1, 61), offset_ms=offset_ms, delay_ms=delay_ms)
    assert lag.age_ms(60_000 + delay_ms) == 0
    assert lag.age_ms(63_500 + delay_ms) == 3500


def test_a_line_that_slows_down_makes_the_data_old_though_frames_arrive():
    lag = play(range(1, 61))
    lag.push(60_000, 61_000, 69_000, is_in_sequence=True)
    assert 7_900 <= (lag.age_ms(69_000) or 0) <= 8_000


def test_a_line_that_stays_a_minute_late_is_not_taken_for_live_soon():
    lag = play(range(1, 61))
    for second in range(61, 661):
        lag.push(second * 1000 - 1000, second * 1000, second * 1000 + 60_000, is_in_sequence=True)
    assert (lag.age_ms(720_000) or 0) > 50_000


def test_a_site_clock_set_back_or_forward_is_not_taken_for_age():
    for step_ms in (-300_000, 300_000):
        lag = play(range(1, 61))
        lag.push(60_000 + step_ms, 61_000 + step_ms, 61_000, is_in_sequence=True)
        assert lag.age_ms(61_200) == 200


@pytest.mark.parametrize("drift", [-0.01, 0.01])
def test_a_drift_of_one_percent_never_looks_stale(drift: float):
    lag = LagEstimator()
    worst_ms = 0
    for second in range(1, 3600):
        site_ms = round(second * 1000 * (1 + drift))
        lag.push(site_ms - 1000, site_ms, second * 1000.0, is_in_sequence=True)
        worst_ms = max(worst_ms, lag.age_ms(second * 1000.0) or 0)
    assert worst_ms < 2000
