"""The line between the events."""

import numpy as np
import pytest

from hub.dsp.baseline import estimate_baseline
from hub.model import FloatArray

MIN = 240


def trace(level: float = 140.0, minutes: int = 40, seed: int = 0) -> FloatArray:
    return level + np.random.default_rng(seed).normal(0, 2.0, (1, minutes * MIN))


def test_a_steady_rate_is_its_own_baseline():
    assert np.abs(estimate_baseline(trace(137.0)) - 137.0).max() < 2.0


@pytest.mark.parametrize("minutes", [1, 4, 8])
@pytest.mark.parametrize("change", [-70.0, -40.0, 35.0])
def test_a_change_of_under_ten_minutes_leaves_the_baseline_where_it_was(minutes: int, change: float):
    fhr = trace()
    fhr[0, 15 * MIN : (15 + minutes) * MIN] += change
    assert np.abs(estimate_baseline(fhr) - 140.0).max() < 6.0


@pytest.mark.parametrize("minutes", [2, 5, 8])
def test_a_fall_that_still_goes_on_leaves_the_baseline_where_it_was(minutes: int):
    fhr = trace()
    fhr[0, -minutes * MIN :] -= 40.0
    assert np.abs(estimate_baseline(fhr) - 140.0).max() < 6.0


def test_a_fall_of_over_ten_minutes_is_a_new_baseline():
    fhr = trace()
    fhr[0, -12 * MIN :] = trace(70.0, 12)
    line = estimate_baseline(fhr)[0]
    assert np.abs(line[: -13 * MIN] - 140.0).max() < 6.0
    assert np.abs(line[-9 * MIN :] - 70.0).max() < 6.0


def test_a_slow_drift_is_followed():
    drift = np.linspace(150.0, 130.0, 40 * MIN)
    fhr = trace() - 140.0 + drift
    assert np.abs(estimate_baseline(fhr)[0] - drift).max() < 5.0


def test_the_baseline_is_drawn_through_a_gap():
    fhr = trace()
    fhr[0, 10 * MIN : 14 * MIN] = np.nan
    assert np.abs(estimate_baseline(fhr) - 140.0).max() < 3.0


def test_no_signal_has_no_baseline():
    assert np.isnan(estimate_baseline(np.full((2, 1000), np.nan))).all()


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 17, 100])
def test_any_length_is_answered(n: int):
    line = estimate_baseline(np.full((2, n), 120.0))
    assert line.shape == (2, n)
    assert np.allclose(line, 120.0, atol=2.0)


def test_a_bed_does_not_feel_its_neighbours():
    beds = np.concatenate([trace(140), trace(90, seed=1), np.full((1, 40 * MIN), np.nan), trace(170, seed=2)])
    together = estimate_baseline(beds)
    for bed in range(4):
        assert np.array_equal(together[bed], estimate_baseline(beds[bed : bed + 1])[0], equal_nan=True)


def test_the_input_is_left_as_it_was():
    fhr = trace(minutes=5)
    before = fhr.copy()
    estimate_baseline(fhr)
    assert np.array_equal(fhr, before)


@pytest.mark.parametrize("level", [60.0, 80.0, 100.0])
def test_long_falls_that_come_again_never_become_the_baseline(level: float):
    """Falls of 200 s every 490 s: the rate is low, and steady, for two fifths of the time."""
    fhr = trace(140.0, 40)
    t_s = np.arange(40 * MIN) / 4 % 490
    fhr[0, (t_s > 60) & (t_s < 260)] -= 140.0 - level
    for stop in range(15 * MIN, 40 * MIN, MIN):
        assert np.abs(estimate_baseline(fhr[:, :stop]) - 140.0).max() < 12.0
