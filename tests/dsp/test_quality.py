"""Which samples count as signal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hub.dsp.quality import bridge_gaps, find_runs, find_spikes, hold_last, remove_impossible
from hub.model import BoolArray, FloatArray

RATES = hnp.arrays(
    np.float64, (2, 80), elements=st.one_of(st.floats(-10, 400), st.just(np.nan), st.just(np.inf))
)
MASKS = hnp.arrays(np.bool_, (3, 50))


@given(RATES)
def test_what_remains_is_a_rate_that_a_heart_can_have(rate: FloatArray):
    kept = remove_impossible(rate)
    seen = np.isfinite(kept)
    assert ((kept[seen] >= 30) & (kept[seen] <= 240)).all()
    assert np.array_equal(kept[seen], rate[seen])


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_jump_there_and_back_within_a_second_is_a_spike(width: int):
    rate = np.full((1, 40), 140.0)
    rate[0, 10 : 10 + width] = 190.0
    assert np.flatnonzero(find_spikes(rate)[0]).tolist() == list(range(10, 10 + width))


def test_a_fall_that_lasts_is_no_spike():
    rate = np.full((1, 40), 140.0)
    rate[0, 10:16] = 90.0
    assert not find_spikes(rate).any()


def test_a_jump_beside_a_gap_is_left_alone():
    rate = np.full((1, 40), 140.0)
    rate[0, 10:12] = 90.0
    rate[0, 12:20] = np.nan
    assert not find_spikes(rate).any()


@pytest.mark.parametrize(("length", "is_bridged"), [(1, True), (60, True), (61, False)])
def test_gaps_are_bridged_up_to_fifteen_seconds(length: int, is_bridged: bool):
    rate = np.full((1, 200), 140.0)
    rate[0, 50 : 50 + length] = np.nan
    assert np.isfinite(bridge_gaps(rate)).all() == is_bridged


def test_the_ends_are_never_bridged():
    rate = np.array([[np.nan, 140.0, 141.0, np.nan]])
    assert np.isnan(bridge_gaps(rate)[0, [0, 3]]).all()


def test_a_longer_bridge_than_fifteen_seconds_is_refused():
    with pytest.raises(ValueError, match="longest_s"):
        bridge_gaps(np.full((1, 4), 140.0), longest_s=15.1)


@given(RATES)
def test_bridging_changes_no_sample_that_was_there(rate: FloatArray):
    rate = remove_impossible(rate)
    seen = np.isfinite(rate)
    assert np.array_equal(bridge_gaps(rate)[seen], rate[seen])
    assert np.array_equal(hold_last(rate)[seen], rate[seen])


@given(MASKS)
def test_the_runs_are_the_mask(mask: BoolArray):
    again = np.zeros_like(mask)
    for bed, start, stop in find_runs(mask):
        assert not again[bed, max(start - 1, 0) : stop].any()
        again[bed, start:stop] = True
    assert np.array_equal(again, mask)
