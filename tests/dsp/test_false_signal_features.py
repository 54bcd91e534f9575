"""What the learned detector sees is finite, causal and the same however the signal was cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dsp.false_signal_features import N_FEATURES, STEP_FEATURES, FeatureStream
from hub.dsp.running import Float32Array, RateHistory
from hub.model import FloatArray

MIN = 240


def traces(minutes: int = 6, n_beds: int = 2, seed: int = 0) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    n = minutes * MIN
    fhr = 140 + 12 * np.sin(np.arange(n) / 190) + rng.normal(0, 2, (n_beds, n))
    mhr = 85 + 6 * np.sin(np.arange(n) / 350) + rng.normal(0, 1, (n_beds, n))
    toco = 20 + 15 * np.sin(np.arange(n) / 300) + rng.normal(0, 1, (n_beds, n))
    fhr[rng.random((n_beds, n)) < 0.1] = np.nan
    fhr[:, 700:790] = np.nan
    fhr[:, 900:1000] = mhr[:, 900:1000]
    mhr[1, 400:800] = np.nan
    return fhr, mhr, toco


def describe(fhr: FloatArray, mhr: FloatArray, toco: FloatArray) -> dict[str, Float32Array]:
    described = FeatureStream(fhr.shape[0]).push(fhr, mhr, toco)
    return {name: described[..., k] for k, name in enumerate(STEP_FEATURES)}


def test_every_step_gets_all_features_and_none_is_lost_to_nan():
    fhr, mhr, toco = traces()
    described = FeatureStream(2).push(fhr, mhr, toco)
    assert described.shape == (2, fhr.shape[-1] // 8, N_FEATURES)
    assert np.isfinite(described).all()


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_channel_that_is_not_there_is_no_nan(channel: int):
    signals = list(traces())
    signals[channel] = np.full_like(signals[channel], np.nan)
    assert np.isfinite(FeatureStream(2).push(*signals)).all()


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 180), max_size=5))
def test_how_the_signal_is_cut_does_not_matter(cuts: list[int]):
    signals = traces()
    whole = FeatureStream(2).push(*signals)
    stream, at = FeatureStream(2), [0, *sorted(cuts), 180]
    parts = [stream.push(*(x[:, 8 * a : 8 * b] for x in signals)) for a, b in pairwise(at)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_what_comes_later_changes_nothing():
    fhr, mhr, toco = traces()
    before = FeatureStream(2).push(fhr, mhr, toco)
    fhr[:, 800:], mhr[:, 800:], toco[:, 800:] = 60, 60, 0
    after = FeatureStream(2).push(fhr, mhr, toco)
    np.testing.assert_array_equal(before[:, :100], after[:, :100])


def test_a_bed_does_not_know_of_the_others():
    fhr, mhr, toco = traces()
    together = FeatureStream(2).push(fhr, mhr, toco)
    alone = FeatureStream(1).push(fhr[1:], mhr[1:], toco[1:])
    np.testing.assert_array_equal(together[1], alone[0])


def test_the_signals_are_not_changed():
    signals = traces()
    copies = [x.copy() for x in signals]
    FeatureStream(2).push(*signals)
    for signal, copy in zip(signals, copies, strict=True):
        np.testing.assert_array_equal(signal, copy)


def test_half_a_step_is_refused():
    with pytest.raises(ValueError, match="steps of 8"):
        FeatureStream(1).push(*(np.zeros((1, 12)) for _ in range(3)))


def test_coincidence_is_one_on_the_maternal_rate_and_none_far_from_it():
    n = 2 * MIN
    fhr, mhr = np.full((1, n), 140.0), np.full((1, n), 80.0)
    fhr[:, MIN:] = 80
    seen = describe(fhr, mhr, np.full((1, n), np.nan))
    assert seen["coincident_60"][0, 29] == pytest.approx(0, abs=1e-6)
    assert seen["coincident"][0, 31] == pytest.approx(1)
    assert 0.5 < seen["coincident_60"][0, -1] < 1


def test_a_step_of_the_trace_is_remembered_with_what_was_before_it():
    n = 2 * MIN
    fhr = np.full((1, n), 140.0)
    fhr[:, MIN:] = 80
    seen = describe(fhr, np.full((1, n), np.nan), np.full((1, n), np.nan))
    assert seen["jump"][0, 29] == 0
    assert seen["jump"][0, -1] * 40 == pytest.approx(-60)
    assert seen["from_before_jump"][0, -1] * 30 == pytest.approx(-60)
    assert np.expm1(seen["since_jump"][0, -1] * 4) == pytest.approx(60, abs=0.5)


def test_the_level_of_the_fetus_outlasts_a_minute_of_the_mother():
    n = 10 * MIN
    fhr, mhr = np.full((1, n), 140.0), np.full((1, n), 80.0)
    fhr[:, 9 * MIN :] = 80
    seen = describe(fhr, mhr, np.full((1, n), np.nan))
    assert seen["level"][0, -1] * 25 + 140 == pytest.approx(140, abs=4)


def test_a_history_gives_the_median_of_what_it_was_told():
    rate = np.full((1, 60), 140.0, np.float32)
    rate[:, ::3] = 90
    seen = RateHistory(1, memory_s=1e6).push(rate, np.ones((1, 60), np.float32))
    assert seen.mass[0, 9] == 0
    assert seen.mass[0, -1] == pytest.approx(50, rel=1e-3)
    assert 140 <= seen.median_bpm[0, -1] <= 145
    assert seen.share_here[0, -1] == pytest.approx(33 / 50, abs=0.02)
