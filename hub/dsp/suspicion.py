"""What rules and the network together say of a trace: what is kept of each, and what is never marked."""

from dataclasses import replace
from typing import Final

import numpy as np

from hub.dsp.false_signal import (
    PROBABILITY_ALONG,
    PROBABILITY_SWITCHED,
    FalseSignal,
)
from hub.dsp.features import FALSE_AT
from hub.dsp.learned import AlongStream, count_last
from hub.dsp.quality import hold_last
from hub.dsp.running import find_last
from hub.model import FS_HZ, BoolArray, FloatArray

LOW_BPM: Final = 110.0
OWN_S: Final = 60.0
OWN_SHARE: Final = 0.8
FALL_STEP_BPM: Final = 15.0
FALL_BPM_PER_S: Final = 12.0
FALL_GAP_S: Final = 2.0
FALL_GAP_BPM: Final = 8.0
APART_BPM: Final = 15.0
APART_TWICE_BPM: Final = 10.0
APART_SHARE: Final = 0.95
DENIED: Final = 0.05
"""So little is said only of a trace that has a clear course of its own: it lies near the mother by chance."""
UNCHECKED_AT: Final = 0.6
"""So much is needed to mark a trace while there is no maternal rate to take it for: it keeps false episodes
as rare as with one (E)."""
PROBABILITY_DIGITS: Final = 2
"""More would be noise: matrix products of other shapes differ in the seventh digit."""
PROBABILITY_OWN: Final = 0.4
"""Suspected, but not taken out of the analysis."""


def join_learned(false: FalseSignal, learned: FloatArray, fhr: FloatArray, mhr: FloatArray) -> FalseSignal:
    """Join what the network says of some beds to what the rules found.

    Parameters
    ----------
    false : FalseSignal
        By `estimate_false_signal`.
    learned : ndarray, shape (n_beds, n_samples)
        Probabilities by `estimate_learned`, NaN where there is no sample.
    fhr, mhr : ndarray, shape (n_beds, n_samples)
        Heart rates in beats/min at 4 Hz.  NaN marks signal loss; an absent channel is
        all NaN.

    Returns
    -------
    FalseSignal
        The rules' marks for coincidence and doubling stand unless the network is
        sure of the fetus; their quicker guesses give way to its probability, which
        must reach 0.6 where there was no maternal rate for a minute.  A
        bradycardia that is the fetus' own by `find_own_bradycardia` is never marked
        by the network.  What the rules say of the state of coincidence is left alone.
    """
    learned = np.round(learned, PROBABILITY_DIGITS)
    is_weak = (learned >= FALSE_AT) & (learned < UNCHECKED_AT)
    if is_weak.any():
        learned = np.where(is_weak & _is_unchecked(mhr), PROBABILITY_OWN, learned)
    probability = learned.copy()
    low = np.flatnonzero(((learned >= FALSE_AT) & (fhr < LOW_BPM)).any(axis=-1))
    if low.size:
        own = find_own_bradycardia(fhr[low], mhr[low], learned[low] >= FALSE_AT)
        probability[low] = np.where(own, np.minimum(learned[low], PROBABILITY_OWN), learned[low])
    is_guess = (false.probability == PROBABILITY_SWITCHED) | (false.probability == PROBABILITY_ALONG)
    is_denied = (false.probability >= FALSE_AT) & (learned < DENIED)
    kept = np.where(is_guess | is_denied, 0.0, false.probability)
    return replace(false, probability=np.fmax(probability, kept))


def count_low_rates(false: FalseSignal, fhr: FloatArray, mhr: FloatArray) -> FalseSignal:
    """Let low rates count while no mother is there to take them for.

    A rate under 110 beats/min that was suspected is not taken out of the analysis
    while there was no maternal rate for a minute: what looks like the mother may be a
    bradycardia, and that must be read as one.  What is shown stays as it was.
    """
    is_low = (false.probability >= FALSE_AT) & (fhr < LOW_BPM)
    if not is_low.any():
        return false
    capped = np.minimum(false.probability, PROBABILITY_OWN)
    counted = np.where(is_low & _is_unchecked(mhr), capped, false.probability)
    return replace(false, probability=counted, shown=false.probability)


def _is_unchecked(mhr: FloatArray) -> BoolArray:
    """Say where there was no maternal rate for a minute."""
    last = find_last(np.isfinite(mhr))
    return np.asarray((last < 0) | (np.arange(mhr.shape[-1]) - last > OWN_S * FS_HZ))


def find_own_bradycardia(fhr: FloatArray, mhr: FloatArray, is_marked: BoolArray) -> BoolArray:
    """Find low rates that must be taken for the fetus' own.

    Parameters
    ----------
    fhr, mhr : ndarray, shape (n_beds, n_samples)
        Fetal and maternal heart rate in beats/min at 4 Hz.  NaN marks signal loss.
    is_marked : ndarray of bool, shape (n_beds, n_samples)
        What is otherwise suspected.

    Returns
    -------
    ndarray of bool, shape (n_beds, n_samples)
        True below 110 beats/min in two cases, as long as the trace does not lie on
        the maternal rate.  The trace fell in one piece: it had been at 110 or more and
        unsuspected for 48 s of a minute, and since then there was no step of 15
        beats/min, no change of 12 beats/min in 1 s, and no gap over 2 s behind which
        it lies more than 8 beats/min off.  Or for a minute there was no step, and the
        maternal rate is known and lies more than 15 beats/min away, its double more
        than 10.

    Notes
    -----
    A switch to the mother is a step; a bradycardia is a fall.  Nothing after a sample
    decides about it.  Engineering choices: on the labelled records they give up three
    in a thousand of the false samples found.
    """
    width = round(OWN_S * FS_HZ)
    valid = np.isfinite(fhr)
    is_low = valid & (fhr < LOW_BPM)
    held = hold_last(fhr)
    before = np.concatenate((np.full_like(held[:, :1], np.nan), held[:, :-1]), axis=-1)
    tick = np.arange(fhr.shape[-1])
    last = find_last(valid)
    gap = tick - np.concatenate((np.full_like(last[:, :1], -1), last[:, :-1]), axis=-1)
    step = np.where(valid, np.abs(fhr - before), 0.0)
    is_step = ~(step < FALL_STEP_BPM)
    is_break = is_step | (valid & (gap > FALL_GAP_S * FS_HZ) & (step > FALL_GAP_BPM)) | _is_fast(held)
    is_own = valid & ~is_low & ~is_marked & (_count(valid & ~is_low & ~is_marked, width) >= OWN_SHARE * width)
    anchor = find_last(is_own)
    fell = (anchor >= 0) & (anchor >= find_last(is_break))
    distance = np.abs(fhr - mhr)
    is_far = (distance > APART_BPM) & (np.abs(fhr - 2 * mhr) > APART_TWICE_BPM)
    n_pairs = _count(np.isfinite(distance), width)
    is_apart = (n_pairs >= OWN_SHARE * width) & (_count(is_far, width) >= APART_SHARE * n_pairs)
    is_apart &= _count(is_step & valid, width) == 0
    is_along = AlongStream(fhr.shape[0]).push(fhr, mhr)
    return np.asarray(is_low & (fell | is_apart) & ~is_along)


def _is_fast(held: FloatArray) -> BoolArray:
    second = round(FS_HZ)
    fast = np.zeros(held.shape, dtype=bool)
    fast[:, second:] = np.abs(held[:, second:] - held[:, :-second]) >= FALL_BPM_PER_S
    return fast


def _count(mask: BoolArray, width: int) -> FloatArray:
    """Count what is marked in the `width` samples that end with each."""
    before = np.zeros((mask.shape[0], width), dtype=bool)
    return count_last(np.concatenate((before, mask), axis=-1), width).astype(np.float64)
