"""Samples hear what is said of their piece of the trace, and of no other."""

import numpy as np

from hub.dsp.false_signal_pieces import find_breaks, listen_to_pieces
from hub.model import FloatArray

CHUNK = 600


def trace() -> FloatArray:
    """A fetus at 140 with a gap of 8 s, the mother at 90, the fetus again, also behind a gap of 20 s."""
    fhr = np.full((1, 2000), 140.0)
    fhr[0, 100:132] = np.nan
    fhr[0, 400:640] = 90.0
    fhr[0, 1000:1080] = np.nan
    return fhr


def test_a_piece_begins_with_the_signal_at_a_step_and_behind_a_long_gap():
    np.testing.assert_array_equal(np.flatnonzero(find_breaks(trace())), [0, 400, 640, 1080])


def test_lost_samples_begin_no_piece_and_a_slow_fall_is_none():
    fhr = np.linspace(150, 70, 400)[None]
    assert find_breaks(fhr).sum() == 1
    assert not find_breaks(np.full((2, 50), np.nan)).any()


def test_each_sample_hears_its_own_piece_from_15_s_before_to_the_end_of_its_chunk():
    fhr = trace()
    logit = np.random.default_rng(0).normal(0, 3, fhr.shape)
    heard = listen_to_pieces(logit, fhr, CHUNK)
    starts = [0, 400, 640, 1080, 2000]
    for at in (0, 50, 140, 399, 400, 599, 600, 639, 640, 700, 999, 1080, 1199, 1200, 1799, 1999):
        k = np.searchsorted(starts, at, side="right")
        part = slice(max(starts[k - 1], at - 60), min(starts[k], (at // CHUNK + 1) * CHUNK))
        mean = logit[0, part][np.isfinite(fhr[0, part])].mean()
        np.testing.assert_allclose(heard[0, at], 0.2 * logit[0, at] + 0.8 * mean)


def test_what_is_lost_is_left_as_it_is():
    fhr = trace()
    logit = np.random.default_rng(0).normal(0, 3, fhr.shape)
    lost = np.isnan(fhr)
    np.testing.assert_array_equal(listen_to_pieces(logit, fhr, CHUNK)[lost], logit[lost])
