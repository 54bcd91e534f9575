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

NEAR_BPM: Final = 3 * rules.COINCIDENCE_BPM.value
"""Once on the maternal rate, the trace counts as still on it within this distance (E)."""
SWITCH_MIN_S: Final = 5.0
ALONG_MIN_S: Final = 10.0
REMEMBERED_S: Final = 60.0
MEMORY_S: Final = 1200.0
OWN_LEVEL_TOLERANCE: Final = 0.1
OWN_LEVEL_SHARE: Final = 0.1
LEFT_LANDING: Final = 0.25
STABLE_S: Final = 20.0
STABLE_SD_BPM: Final = 8.0
LANDING_S: Final = 3.0
JUMP_S: Final = 1.5
"""Doubling and halving appear in one step; a fall of the heart takes longer (clinical rules 6)."""

PROBABILITY_COINCIDENT: Final = 0.9
PROBABILITY_SWITCHED: Final = 0.7
PROBABILITY_ALONG: Final = 0.6
"""Came close without a step; long enough that a trace that only crosses the maternal rate has gone on."""
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
    shown: FloatArray | None = None
    """Probability for the eye, where it differs from the one that the analysis goes by."""


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
    the share is under 30 % for a whole 60 s [1]_.  Where the maternal rate stops,
    its last value stands in to clear, and for a minute to follow a stretch, never
    to raise.  The mark covers the whole stretch within 15 beats/min.  A step of 25
    beats/min within 5 s that lands on the maternal rate is a candidate switch at
    once, and a stretch that keeps within 5 beats/min for most of 10 s is marked
    without a step too, with less certainty.
    Doubling and halving: within 7 % of twice or half of the last stable value, in
    one step [1]_, until the rate leaves that level by a quarter.  A step back to a
    level held for a tenth of the last 20 min is the end of a deceleration.
    Halving is suspected above 180 beats/min only: below, a fall to half is
    taken for what it looks like.

    References
    ----------
    .. [1] Clinical rules section 6, engineering choices without a published source.
    """
    is_checked: BoolArray = np.asarray(np.isfinite(mhr).any(axis=-1))
    coincident = np.zeros(fhr.shape, dtype=bool)
    probability = np.where(np.isfinite(fhr), 0.0, np.nan)
    if is_checked.any():
        coincident[is_checked] = _find_coincidence(fhr[is_checked], mhr[is_checked])
        part = probability[is_checked]
        _mark_maternal(part, fhr[is_checked], mhr[is_checked], coincident[is_checked])
        probability[is_checked] = part
    doubling = np.zeros(fhr.shape, dtype=bool)
    for bed in np.flatnonzero(np.isfinite(fhr).any(axis=-1)):
        _mark_doubling(fhr[bed], probability[bed], doubling[bed])
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
    trace, mother = bridge_gaps(fhr), _remember(mhr)
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
        elif stop - start >= ALONG_MIN_S * FS_HZ:
            mark = PROBABILITY_ALONG
        else:
            continue
        part = probability[bed, start:stop]
        part[part < mark] = mark


def _remember(mhr: FloatArray) -> FloatArray:
    """Bridge the maternal rate, and let its last value stand for a minute where it stops."""
    valid = np.isfinite(mhr)
    index = np.arange(mhr.shape[-1])
    age = index - np.maximum.accumulate(np.where(valid, index, -mhr.shape[-1]), axis=-1)
    bridged = bridge_gaps(mhr)
    is_recent = np.isnan(bridged) & (age <= REMEMBERED_S * FS_HZ)
    return np.where(is_recent, hold_last(mhr), bridged)


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
    in_one_step = np.diff(valid) <= JUMP_S * FS_HZ
    steps = np.flatnonzero(in_one_step & (np.abs(np.diff(rate)) >= rules.SWITCH_STEP_BPM.value)) + 1
    done = 0
    for step in steps[steps >= done]:
        jump = _read_jump(fhr, int(valid[step])) if step >= done else None
        if jump is None:
            continue
        mark, landing_bpm = jump
        left = np.flatnonzero(np.abs(rate[step:] / landing_bpm - 1) > LEFT_LANDING)
        done = int(step + left[0]) if left.size else rate.size
        start, stop = int(valid[step]), int(valid[done]) if done < rate.size else fhr.size
        # A level held for 10 min after the jump is a new baseline: from then on it is the fetus' own.
        stop = min(stop, start + round(rules.SEGMENT_S.value * FS_HZ))
        part = probability[start:stop]
        part[part < mark] = mark
        doubling[start:stop] = True


def _read_jump(fhr: FloatArray, at: int) -> tuple[float, float] | None:
    """Give the probability to mark and the level reached, or None for a jump of another kind."""
    before = fhr[max(at - round(STABLE_S * FS_HZ), 0) : at]
    before = before[np.isfinite(before)]
    after = fhr[at : at + round(LANDING_S * FS_HZ)]
    after = after[np.isfinite(after)]
    if (
        before.size < STABLE_S * FS_HZ / 2
        or after.size < LANDING_S * FS_HZ / 2
        or before.std() > STABLE_SD_BPM
    ):
        return None
    origin_bpm, landing_bpm = float(np.median(before)), float(np.median(after))
    lately = fhr[max(at - round(MEMORY_S * FS_HZ), 0) : at]
    lately = lately[np.isfinite(lately)]
    if (np.abs(lately / landing_bpm - 1) <= OWN_LEVEL_TOLERANCE).mean() >= OWN_LEVEL_SHARE:
        return None
    tolerance = rules.DOUBLING_TOLERANCE.value
    if abs(landing_bpm / (2 * origin_bpm) - 1) <= tolerance:
        return PROBABILITY_DOUBLED, landing_bpm
    is_high = origin_bpm > rules.DOPPLER_HALVED_ABOVE_BPM.value
    if is_high and abs(2 * landing_bpm / origin_bpm - 1) <= tolerance:
        return PROBABILITY_HALVED, landing_bpm
    return None
