"""What is taken for the mother's rate, and what for a doubled one."""

import numpy as np
import pytest

from hub.dsp.false_signal import estimate_false_signal
from hub.model import FloatArray

MIN = 240
NONE = np.full((1, 20 * MIN), np.nan)


def trace(level: float, minutes: int = 20, seed: int = 0) -> FloatArray:
    return level + np.random.default_rng(seed).normal(0, 1.5, (1, minutes * MIN))


def test_two_rates_apart_are_not_suspected():
    found = estimate_false_signal(trace(140), trace(85, seed=1))
    assert not found.is_coincident.any()
    assert (found.probability == 0).all()


def test_a_trace_on_the_maternal_rate_is_coincident_within_a_minute_and_marked_from_its_start():
    fhr, mhr = trace(140), trace(85, seed=1)
    fhr[0, 10 * MIN :] = mhr[0, 10 * MIN :] + 1.0
    found = estimate_false_signal(fhr, mhr)
    assert not found.is_coincident[0, : 10 * MIN].any()
    assert found.is_coincident[0, 11 * MIN :].all()
    assert (found.probability[0, 10 * MIN :] >= 0.5).all()
    assert (found.probability[0, : 10 * MIN] == 0).all()


def test_coincidence_clears_within_a_minute_of_parting():
    fhr, mhr = trace(140), trace(85, seed=1)
    fhr[0, 5 * MIN : 10 * MIN] = mhr[0, 5 * MIN : 10 * MIN]
    found = estimate_false_signal(fhr, mhr)
    assert found.is_coincident[0, 10 * MIN - 1]
    assert not found.is_coincident[0, 11 * MIN + 4 :].any()


def test_coincidence_stays_while_the_maternal_rate_is_missing():
    fhr, mhr = trace(85), trace(85, seed=1)
    mhr[0, 5 * MIN :] = np.nan
    assert estimate_false_signal(fhr, mhr).is_coincident[0, -1]


def test_crossing_the_maternal_rate_is_no_coincidence():
    fhr, mhr = trace(140), trace(100, seed=1)
    fhr[0, 2000:2160] = np.concatenate((np.linspace(140, 70, 80), np.linspace(70, 140, 80)))
    assert (estimate_false_signal(fhr, mhr).probability[0] < 0.5).all()


def test_a_step_onto_the_maternal_rate_is_marked_before_the_minute_is_over():
    fhr, mhr = trace(140), trace(85, seed=1)
    fhr[0, -80:] = mhr[0, -80:]
    found = estimate_false_signal(fhr, mhr)
    assert not found.is_coincident.any()
    assert (found.probability[0, -80:] >= 0.5).all()


def test_without_a_maternal_rate_nothing_was_checked():
    assert not estimate_false_signal(trace(140), NONE).is_checked[0]
    assert estimate_false_signal(trace(140), trace(85)).is_checked[0]


def test_a_jump_to_twice_the_rate_is_doubling_until_it_ends():
    fhr = trace(75)
    fhr[0, 5 * MIN : 6 * MIN] *= 2
    found = estimate_false_signal(fhr, NONE)
    assert found.is_doubling_halving[0, 5 * MIN : 6 * MIN].all()
    assert (found.probability[0, 5 * MIN : 6 * MIN] >= 0.5).all()
    assert not found.is_doubling_halving[0, 6 * MIN :].any()


def test_the_return_from_a_deep_fall_is_not_doubling():
    fhr = trace(140)
    fhr[0, 10 * MIN : 12 * MIN] -= 70
    found = estimate_false_signal(fhr, NONE)
    assert (found.probability[0] < 0.5).all()
    assert not found.is_doubling_halving.any()


@pytest.mark.parametrize(("level", "is_suspected"), [(140.0, False), (190.0, True)])
def test_a_fall_to_half_is_suspected_only_above_180_and_never_taken_out(level: float, is_suspected: bool):
    fhr = trace(level)
    fhr[0, 10 * MIN :] /= 2
    found = estimate_false_signal(fhr, NONE)
    assert found.is_doubling_halving.any() == is_suspected
    assert (found.probability[0] < 0.5).all()


def test_lost_samples_have_no_probability():
    fhr = trace(140)
    fhr[0, :100] = np.nan
    assert np.isnan(estimate_false_signal(fhr, NONE).probability[0, :100]).all()
