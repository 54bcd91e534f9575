"""Which samples are probably not the fetus: the mother's rate, a doubled or a halved rate.

Rules only.  What they find is data for the level ("no level") and for the eye; no
value is ever replaced.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.dsp import rules
from hub.dsp.quality import bridge_gaps, find_runs, hold_last
from hub.model import FS_HZ, BoolArray, FloatArray

NEAR_BPM: Final = 2 * rules.COINCIDENCE_BPM.value
"""Once on the maternal rate, the trace counts as still on it within this distance (E)."""
SWITCH_MIN_S: Final = 5.0
STABLE_S: Final = 20.0
STABLE_SD_BPM: Final = 8.0
LANDING_S: Final = 3.0
JUMP_S: Final = 1.5
"""Doubling and halving appear in one step; a fall of the heart takes longer (clinical rules 6)."""

PROBABILITY_COINCIDENT: Final = 0.9
PROBABILITY_SWITCHED: Final = 0.7
PROBABILITY_DOUBLED: Final = 0.8
PROBABILITY_HALVED: Final = 0.4
"""Below one half on purpose: a halved rate and a true deep fall look alike, and the fall must count."""


@dataclass(frozen=True, slots=True, eq=False)
class FalseSignal:
    """What is suspected of the FHR of each bed; arrays of shape (n_beds, n_samples)."""

    probability: FloatArray
    """That the sample is not the fetus; NaN where there is no sample."""
    is_coincident: BoolArray
    """The trace has kept to the maternal rate, by the 60-second rule."""
    is_doubling_halving: BoolArray
    is_checked: BoolArray
    """A maternal rate was there to compare with, shape (n_beds,)."""


def estimate_false_signal(fhr: FloatArray, mhr: FloatArray) -> FalseSignal:
    """Estimate which samples of the FHR are probably not the fetus.

    Parameters
    ----------
    fhr, mhr : ndarray, shape (n_beds, n_samples)
        Fetal and maternal heart rate in beats/min at 4 Hz, within 30 to 240.
        NaN marks signal loss; an absent maternal channel is all NaN.

    Returns
    -------
    FalseSignal
        Probabilities are marks of the rule that fired, not calibrated figures.

    Notes
    -----
    Coincidence: the rates differ by at most 5 beats/min in at least 60 % of the
    valid pairs of 60 s, of which there must be 30 (pairs of 1 s); it clears once
    the share is under 30 % for a whole 60 s [1]_.  While the maternal rate is
    missing its last value stands in, for clearing only.  The mark reaches back to
    where the trace came within 10 beats/min.  A step of 25 beats/min within 5 s
    that lands on the maternal rate is a candidate switch at once.
    Doubling and halving: within 7 % of twice or half of the last stable value, in
    one step [1]_.

    References
    ----------
    .. [1] Clinical rules section 6, engineering choices without a published source.
    """
    coincident = _find_coincidence(fhr, mhr)
    probability = np.where(np.isfinite(fhr), 0.0, np.nan)
    _mark_maternal(probability, fhr, mhr, coincident)
    doubling = np.zeros(fhr.shape, dtype=bool)
    for bed in np.flatnonzero(np.isfinite(fhr).any(axis=-1)):
        _mark_doubling(fhr[bed], probability[bed], doubling[bed])
    is_checked: BoolArray = np.asarray(np.isfinite(mhr).any(axis=-1))
    return FalseSignal(probability, coincident, doubling, is_checked)


def _find_coincidence(fhr: FloatArray, mhr: FloatArray) -> BoolArray:
    """Follow the 60-second rule on 1-second means; nothing after a sample enters its state."""
    fhr_s, mhr_s = _second_means(fhr), _second_means(mhr)
    raised_share, raised_pairs = _share_close(fhr_s, mhr_s)
    clear_share, clear_pairs = _share_close(fhr_s, hold_last(mhr_s))
    enough = rules.COINCIDENCE_MIN_PAIRS.value
    is_raised = (raised_share >= rules.COINCIDENCE_RAISE_FRACTION.value) & (raised_pairs >= enough)
    is_cleared = (clear_share < rules.COINCIDENCE_CLEAR_FRACTION.value) & (clear_pairs >= enough)
    turn = np.where(is_raised, 1.0, np.where(is_cleared, 0.0, np.nan))
    state = hold_last(turn) == 1.0
    return np.repeat(state, round(FS_HZ), axis=-1)[:, : fhr.shape[-1]]


def _second_means(rate: FloatArray) -> FloatArray:
    size = round(FS_HZ)
    n = -(-rate.shape[-1] // size)
    padded = np.full((rate.shape[0], n * size), np.nan)
    padded[:, : rate.shape[-1]] = rate
    cube = padded.reshape(rate.shape[0], n, size)
    count = np.isfinite(cube).sum(axis=-1)
    mean: FloatArray = np.nansum(cube, axis=-1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _share_close(fhr_s: FloatArray, mhr_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of close pairs, and number of pairs, in the 60 s that end with each second."""
    distance = np.abs(fhr_s - mhr_s)
    pairs = _trailing_sum(np.isfinite(distance))
    close = _trailing_sum(distance <= rules.COINCIDENCE_BPM.value)
    return close / np.maximum(pairs, 1.0), pairs


def _trailing_sum(mask: BoolArray) -> FloatArray:
    width = round(rules.COINCIDENCE_WINDOW_S.value)
    total = np.cumsum(mask, axis=-1, dtype=np.float64)
    total[:, width:] = total[:, width:] - total[:, :-width]
    return total


def _mark_maternal(probability: FloatArray, fhr: FloatArray, mhr: FloatArray, coincident: BoolArray) -> None:
    """Mark whole stretches near the maternal rate: by the 60-second rule, or by how they began."""
    trace, mother = bridge_gaps(fhr), bridge_gaps(mhr)
    distance = np.abs(trace - mother)
    near = distance <= NEAR_BPM
    if not near.any():
        return
    back = round(rules.COINCIDENCE_WINDOW_S.value * FS_HZ)
    reach = round(rules.SWITCH_STEP_S.value * FS_HZ)
    for bed, start, stop in find_runs(near):
        is_close = distance[bed, start:stop] <= rules.COINCIDENCE_BPM.value
        if is_close.mean() < rules.COINCIDENCE_RAISE_FRACTION.value:
            continue
        if coincident[bed, start : stop + back].any():
            mark = PROBABILITY_COINCIDENT
        elif stop - start >= SWITCH_MIN_S * FS_HZ and _began_with_step(trace[bed], start, reach):
            mark = PROBABILITY_SWITCHED
        else:
            continue
        part = probability[bed, start:stop]
        part[part < mark] = mark


def _began_with_step(trace: FloatArray, start: int, reach: int) -> bool:
    before = trace[max(start - reach, 0) : start]
    after = trace[start : start + round(FS_HZ)]
    if not (np.isfinite(before).any() and np.isfinite(after).any()):
        return False
    return bool(np.nanmax(np.abs(before - np.nanmedian(after))) >= rules.SWITCH_STEP_BPM.value)


def _mark_doubling(fhr: FloatArray, probability: FloatArray, doubling: BoolArray) -> None:
    """Mark stretches that begin with a jump to twice or half the last stable value."""
    valid = np.flatnonzero(np.isfinite(fhr))
    rate = fhr[valid]
    jump = np.diff(rate)
    in_one_step = (np.diff(valid) <= JUMP_S * FS_HZ) & (np.abs(jump) >= rules.SWITCH_STEP_BPM.value)
    steps = np.flatnonzero(in_one_step) + 1
    done = 0
    for step in steps:
        if step < done:
            continue
        factor = _jump_factor(fhr, int(valid[step]))
        if factor is None:
            continue
        origin = rate[step - 1]
        later = steps[steps > step]
        returned = later[np.abs(rate[later] - origin) <= 0.15 * origin]
        done = int(returned[0]) if returned.size else rate.size
        start, stop = int(valid[step]), int(valid[done]) if done < rate.size else fhr.size
        # A level held for 10 min after the jump is a new baseline: from then on it is the fetus' own.
        stop = min(stop, start + round(rules.SEGMENT_S.value * FS_HZ))
        part = probability[start:stop]
        part[part < factor] = factor
        doubling[start:stop] = True


def _jump_factor(fhr: FloatArray, at: int) -> float | None:
    """Probability to mark, or None where the jump is no doubling or halving."""
    before = fhr[max(at - round(STABLE_S * FS_HZ), 0) : at]
    before = before[np.isfinite(before)]
    after = fhr[at : at + round(LANDING_S * FS_HZ)]
    after = after[np.isfinite(after)]
    if before.size < STABLE_S * FS_HZ / 2 or after.size < LANDING_S * FS_HZ / 2:
        return None
    if before.std() > STABLE_SD_BPM:
        return None
    ratio = float(np.median(after) / np.median(before))
    tolerance = rules.DOUBLING_TOLERANCE.value
    if abs(ratio / 2 - 1) <= tolerance:
        return PROBABILITY_DOUBLED
    if abs(ratio * 2 - 1) <= tolerance:
        return PROBABILITY_HALVED
    return None
