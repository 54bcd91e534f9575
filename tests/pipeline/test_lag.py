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


def test_an_exchange_of_clocks_keeps_a_line_that_stays_late_from_being_taken_for_live():
    lag = play(range(1, 61), offset_ms=300_000, delay_ms=50)
    lag.bound(-300_010, -299_990, 60_050)
    for second in range(61, 1861):
        lag.push(
            300_000 + second * 1000 - 1000,
            300_000 + second * 1000,
            second * 1000 + 8_000,
            is_in_sequence=True,
        )
        lag.bound(-304_000, -296_000, second * 1000 + 8_000)  # the exchange suffers from the line as well
    assert (lag.age_ms(1_868_000) or 0) > 7_500


def test_a_line_that_is_late_from_the_first_frame_on_is_late_as_soon_as_clocks_were_exchanged():
    lag = play(range(1, 31), delay_ms=9_000)
    assert lag.age_ms(39_000) == 0
    lag.bound(-1_000, 1_000, 39_000)
    assert lag.age_ms(39_000) == 8_000


@pytest.mark.parametrize("drift", [-0.01, 0.01])
def test_a_drift_that_the_exchange_shows_never_looks_stale(drift: float):
    lag = LagEstimator()
    worst_ms = 0.0
    for second in range(1, 3600):
        site_ms = round(second * 1000 * (1 + drift))
        lag.push(site_ms - 1000, site_ms, second * 1000.0 + 60, is_in_sequence=True)
        if second % 30 == 0:
            seen_s = second - 5  # the exchange was some seconds ago
            lag.bound(-seen_s * 1000 * drift - 20, -seen_s * 1000 * drift + 20, second * 1000.0)
        worst_ms = max(worst_ms, lag.age_ms(second * 1000.0 + 60) or 0)
    assert worst_ms < 1000


def test_a_site_clock_set_back_is_not_bound_by_what_was_measured_before():
    lag = play(range(1, 61))
    lag.bound(-10, 10, 60_000)
    lag.push(-240_000, -239_000, 61_000, is_in_sequence=True)
    assert lag.age_ms(61_200) == 200
