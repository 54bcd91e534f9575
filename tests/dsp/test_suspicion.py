"""Rules and network together: what stands, what gives way, and what is never marked."""

import numpy as np
import pytest

from hub.dsp.false_signal import estimate_false_signal
from hub.dsp.suspicion import count_low_rates, find_own_bradycardia, join_learned
from hub.model import BoolArray, FloatArray

MIN = 240
N = 20 * MIN
NONE = np.full((1, N), np.nan)
NO_MARK = np.zeros((1, N), dtype=bool)


def trace(level: float, seed: int = 0) -> FloatArray:
    noise = np.convolve(np.random.default_rng(seed).normal(0, 1.5, N + 8), np.ones(8) / 3, "valid")[:N]
    return level + noise[None]


def falling(to_bpm: float, over_s: float) -> FloatArray:
    """140 beats/min for 10 min, then a fall over some seconds."""
    fall = np.clip((np.arange(N) - 10 * MIN) / (over_s * 4), 0, 1)
    return trace(140.0) - fall * (140.0 - to_bpm)


def marked_from(start: int) -> BoolArray:
    return (np.arange(N) >= start)[None]


def test_a_fall_in_one_piece_is_the_fetus_own():
    own = find_own_bradycardia(falling(75, over_s=30), NONE, marked_from(10 * MIN + 60))
    assert own[0, 11 * MIN :].all()
    assert not own[0, : 10 * MIN].any()


@pytest.mark.parametrize("over_s", [0.25, 2.0])
def test_a_switch_is_not_a_fall(over_s: float):
    assert not find_own_bradycardia(falling(75, over_s=over_s), NONE, marked_from(10 * MIN)).any()


def test_a_low_rate_behind_a_gap_that_is_elsewhere_is_not_the_same_fall():
    fhr = falling(75, over_s=30)
    fhr[0, 12 * MIN : 12 * MIN + 40] = np.nan
    fhr[0, 12 * MIN + 40 :] += 12
    own = find_own_bradycardia(fhr, NONE, marked_from(10 * MIN))
    assert own[0, 11 * MIN : 12 * MIN].all()
    assert not own[0, 12 * MIN + 40 :].any()


def test_a_gap_in_a_bradycardia_does_not_end_it():
    fhr = falling(75, over_s=30)
    fhr[0, 12 * MIN : 12 * MIN + 40] = np.nan
    assert find_own_bradycardia(fhr, NONE, marked_from(10 * MIN))[0, 12 * MIN + 40 :].all()


def test_a_suspected_trace_has_no_fall_of_its_own():
    assert not find_own_bradycardia(falling(75, over_s=30), NONE, marked_from(0)).any()


def test_a_fall_onto_the_maternal_rate_and_along_it_may_be_marked():
    own = find_own_bradycardia(falling(75, over_s=30), trace(75.0), marked_from(10 * MIN + 60))
    assert not own[0, 12 * MIN :].any()


def test_a_low_rate_apart_from_the_mother_is_the_fetus_own_from_the_start():
    own = find_own_bradycardia(trace(75.0), trace(110.0, seed=1), marked_from(0))
    assert own[0, 2 * MIN :].all()


def test_a_low_rate_with_no_maternal_rate_may_be_marked():
    assert not find_own_bradycardia(trace(75.0), NONE, marked_from(0)).any()


def test_half_the_maternal_rate_is_not_apart_from_it():
    assert not find_own_bradycardia(trace(100.0), trace(50.0), marked_from(0)).any()


def test_nothing_later_decides_about_a_sample():
    fhr, mhr = falling(75, over_s=30), trace(95.0, seed=2)
    before = find_own_bradycardia(fhr, mhr, marked_from(10 * MIN))
    fhr[0, 15 * MIN :], mhr[0, 15 * MIN :] = 60, 60
    after = find_own_bradycardia(fhr, mhr, marked_from(10 * MIN))
    np.testing.assert_array_equal(before[:, : 15 * MIN], after[:, : 15 * MIN])


def test_the_network_cannot_take_a_bradycardia_out():
    fhr = falling(75, over_s=30)
    learned = np.where(marked_from(10 * MIN + 60), 0.97, 0.02)
    joined = join_learned(estimate_false_signal(fhr, NONE), learned, fhr, NONE)
    assert (joined.probability[0, 11 * MIN :] < 0.5).all()


def test_coincidence_by_the_rules_stands_unless_the_network_is_sure_of_the_fetus():
    fhr, mhr = trace(140.0), trace(85.0, seed=1)
    fhr[0, 10 * MIN :] = mhr[0, 10 * MIN :]
    rules_only = estimate_false_signal(fhr, mhr)
    doubtful, sure = (join_learned(rules_only, np.full((1, N), learned), fhr, mhr) for learned in (0.1, 0.01))
    assert (doubtful.probability[0, 11 * MIN :] >= 0.5).all()
    assert (sure.probability < 0.5).all()
    assert sure.is_coincident[0, 11 * MIN :].all()


def test_the_quick_guess_of_the_rules_gives_way_to_the_network():
    fhr, mhr = trace(140.0), trace(85.0, seed=1)
    fhr[0, -80:] = mhr[0, -80:]
    rules_only = estimate_false_signal(fhr, mhr)
    assert (rules_only.probability[0, -60:] >= 0.5).all()
    joined = join_learned(rules_only, np.full((1, N), 0.1), fhr, mhr)
    assert (joined.probability[0, -60:] < 0.5).all()


def test_lost_samples_stay_without_probability():
    fhr = trace(140.0)
    fhr[0, :100] = np.nan
    learned = np.where(np.isfinite(fhr), 0.1, np.nan)
    joined = join_learned(estimate_false_signal(fhr, NONE), learned, fhr, NONE)
    np.testing.assert_array_equal(np.isnan(joined.probability), np.isnan(fhr))


def test_a_low_rate_counts_while_no_mother_is_there_to_check_it_and_stays_shown():
    fhr = trace(75.0)
    suspected = join_learned(estimate_false_signal(fhr, NONE), np.full((1, N), 0.9), fhr, NONE)
    counted = count_low_rates(suspected, fhr, NONE)
    assert (counted.probability < 0.5).all()
    assert counted.shown is not None
    assert (counted.shown >= 0.5).all()


def test_a_low_rate_near_a_known_mother_does_not_count():
    fhr, mhr = trace(75.0), trace(77.0, seed=1)
    mhr[0, 10 * MIN :] = np.nan
    suspected = join_learned(estimate_false_signal(fhr, mhr), np.full((1, N), 0.9), fhr, mhr)
    counted = count_low_rates(suspected, fhr, mhr).probability[0]
    assert (counted[: 11 * MIN] >= 0.5).all()
    assert (counted[11 * MIN + 4 :] < 0.5).all()


def test_suspected_signal_in_the_usual_range_is_taken_out_with_or_without_a_mother():
    fhr = trace(135.0)
    suspected = join_learned(estimate_false_signal(fhr, NONE), np.full((1, N), 0.9), fhr, NONE)
    assert count_low_rates(suspected, fhr, NONE) is suspected


@pytest.mark.parametrize(("probability", "is_marked"), [(0.55, False), (0.65, True)])
def test_without_a_maternal_rate_more_is_needed_to_suspect(probability: float, is_marked: bool):
    fhr, learned = trace(140.0), np.full((1, N), probability)
    joined = join_learned(estimate_false_signal(fhr, NONE), learned, fhr, NONE)
    assert ((joined.probability >= 0.5) == is_marked).all()
    mhr = trace(80.0, seed=1)
    checked = join_learned(estimate_false_signal(fhr, mhr), learned, fhr, mhr)
    assert (checked.probability[0, MIN:] >= 0.5).all()
