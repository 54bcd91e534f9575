"""Short-term variation: hand-worked values, what is left out, and sources that are too coarse."""

import numpy as np
import pytest

from hub.dsp.stv import StvRefusal, compute_stv, estimate_resolution
from hub.model import FloatArray

MIN = 240
EPOCH = 15


def alternating(minutes: int, low_ms: float = 430.0, high_ms: float = 436.0) -> FloatArray:
    """Epochs of two lengths in turn, with a ripple far below the resolution of the result."""
    i = np.arange(minutes * MIN)
    fhr: FloatArray = 60000.0 / np.where(i // EPOCH % 2, low_ms, high_ms) + 0.01 * (i % 2)
    return fhr


def test_the_value_is_the_mean_difference_of_neighbouring_epochs():
    stv = compute_stv(alternating(60))
    assert stv.stv_ms == pytest.approx(6.0, abs=0.01)
    assert (stv.minutes, stv.low_min, stv.high_min) == (60, 60, 0)


def test_intervals_are_averaged_not_rates():
    i = np.arange(60 * MIN)
    # In each second epoch the rate swings between 100 and 150: 500 ms on average, not 480.
    swing = np.where(i % 2, 100.0, 150.0) + 0.01 * (i % 3)
    fhr = np.where(i // EPOCH % 2, swing, 120.0 + 0.01 * (i % 3))
    of_odd_epoch_ms = (7 * 600 + 8 * 400) / 15, (8 * 600 + 7 * 400) / 15
    expected = np.mean([abs(500 - x) for x in of_odd_epoch_ms])
    stv = compute_stv(fhr)
    assert stv.stv_ms == pytest.approx(expected, abs=0.1)


def test_a_minute_that_touches_a_deceleration_is_left_out():
    fhr = alternating(10)
    fhr[3 * MIN : 4 * MIN] = np.where(np.arange(MIN) // EPOCH % 2, 80.3, 140.7)
    falls = np.zeros(fhr.size, dtype=bool)
    falls[3 * MIN + 5 : 3 * MIN + 10] = True
    stv = compute_stv(fhr, falls)
    assert stv.minutes == 9
    assert stv.stv_ms == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize(("lost_epochs", "minutes"), [(8, 10), (9, 9)])
def test_a_minute_may_lose_half_of_its_epochs(lost_epochs: int, minutes: int):
    fhr = alternating(10)
    fhr[: lost_epochs * EPOCH] = np.nan
    assert compute_stv(fhr).minutes == minutes


def test_a_difference_never_reaches_over_a_gap():
    fhr = alternating(1)
    fhr[5 * EPOCH : 6 * EPOCH] = np.nan
    fhr[6 * EPOCH :] += 30.0
    stv = compute_stv(fhr)
    assert stv.stv_ms is not None
    assert stv.stv_ms < 7.0


def test_under_an_hour_the_value_is_marked_early():
    assert compute_stv(alternating(59)).is_early
    assert not compute_stv(alternating(60)).is_early


def test_episodes_of_high_variation_are_counted():
    fhr = np.concatenate((alternating(20), alternating(10, 400.0, 440.0)))
    stv = compute_stv(fhr)
    assert stv.high_min >= 10
    assert stv.low_min >= 20
    assert stv.high_min + stv.low_min <= 30 + 2


@pytest.mark.parametrize(
    ("step", "refusal"), [(1.0, StvRefusal.STEP), (0.5, StvRefusal.STEP), (0.25, None), (0.05, None)]
)
def test_a_source_in_coarse_steps_has_no_value(step: float, refusal: StvRefusal | None):
    fhr = 140 + 5 * np.random.default_rng(2).standard_normal(60 * MIN)
    stv = compute_stv(np.round(fhr / step) * step)
    assert stv.refusal is refusal
    assert (stv.stv_ms is None) == (refusal is not None)


@pytest.mark.parametrize("repeat", [2, 4])
def test_a_slow_source_that_was_repeated_has_no_value(repeat: int):
    fhr = np.round((140 + 5 * np.random.default_rng(2).standard_normal(60 * MIN // repeat)) * 4) / 4
    stv = compute_stv(fhr.repeat(repeat))
    assert stv.refusal is StvRefusal.RATE
    assert stv.source_fs == 4.0 / repeat


def test_a_slow_array_has_no_value():
    fhr = 140 + 5 * np.random.default_rng(2).standard_normal(3600)
    assert compute_stv(fhr, fs=1.0).refusal is StvRefusal.RATE


def test_another_rate_gives_the_same_value():
    i = np.arange(60 * 600)
    fhr = 60000.0 / np.where(i / 10 // 3.75 % 2, 430.0, 436.0) + 0.001 * (i % 3)
    assert compute_stv(fhr, fs=10.0).stv_ms == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize("fhr", [np.full(MIN * 60, np.nan), np.zeros(0), np.array([140.3])])
def test_nothing_gives_no_value(fhr: FloatArray):
    stv = compute_stv(fhr)
    assert stv.stv_ms is None
    assert stv.refusal is StvRefusal.SIGNAL


@pytest.mark.parametrize(
    ("weeks", "line"), [(25.9, None), (26, 2.6), (31.9, 3.0), (33, 3.5), (39, 4.5), (None, None)]
)
def test_the_line_to_compare_with_goes_by_age(weeks: float | None, line: float | None):
    assert compute_stv(alternating(60), gestational_weeks=weeks).reference_ms == line


def test_the_resolution_survives_gaps():
    fhr = np.round(140 + 5 * np.random.default_rng(2).standard_normal(1200)).repeat(2)
    fhr[100:300] = np.nan
    assert estimate_resolution(fhr, fs=4.0) == (1.0, 2.0)


def test_shapes_and_rates_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="share one shape"):
        compute_stv(np.full(10, 140.0), np.zeros(9, dtype=bool))
    with pytest.raises(ValueError, match="fs must be positive"):
        compute_stv(np.full(10, 140.0), fs=0.0)
