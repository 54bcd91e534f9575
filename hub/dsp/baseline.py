"""The line to which the FHR returns between its events, found for all beds at once.

Two stages.  A shortest path through a slowly changing histogram of the rate gives a
coarse line that follows the rate held most of the time and pays for each beat/min it
moves.  A reweighted smoother then draws a smooth line near it, with samples that lie
away from the line, that is in events, losing their weight.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d, uniform_filter1d

from hub.dsp import rules
from hub.dsp.baseline_choice import Blocks, choose_ends, load_choice
from hub.dsp.event_features import IntArray
from hub.dsp.event_model import Forest
from hub.model import FS_HZ, BoolArray, FloatArray

BLOCK_S: Final = 2.0
"""Grid of the smoother."""
STEP_S: Final = 10.0
"""Grid of the path."""
BIN_BPM: Final = 2.0
LOWEST_BPM: Final = 30.0
N_BINS: Final = 106
"""Up to 240 beats/min."""

SPREAD_S: Final = 20.0
SPREAD_SCALE_BPM: Final = 4.0
"""A stretch of 20 s with this standard deviation counts half in the histogram."""
TIME_BOX: Final = 25
"""Steps of a running mean; three of them are close to a Gaussian of 2 min."""
RATE_BLUR_BINS: Final = 1.5
PRIOR_MASS: Final = 0.05
DOUBTED_BELOW_BPM: Final = 120.0
DOUBT_PER_BPM: Final = 0.05
DOUBT_MAX: Final = 1.0
"""Between two rates held about equally long the lower one is the fall, not the baseline: each
beat/min below this counts against a rate.  A fetus that is slow throughout is not affected."""
COST_PER_BPM: Final = 4.0
COST_MAX: Final = 150.0

EVENT_MAX_S: Final = rules.DECELERATION_BASELINE_CHANGE_S.value
EVENT_MIN_BPM: Final = rules.PROLONGED_MIN_DROP_BPM.value

STIFFNESS_S: Final = 40.0
SCALES_BPM: Final = (12.0, 8.0, 6.0)
"""Distance from the line at which a sample keeps a quarter of its weight, in three rounds."""
PATH_REACH_BPM: Final = 20.0
"""A sample farther than this from the path belongs to an event."""
LONG_FALL_SMOOTHING_S: Final = 10.0
LONG_FALL_BPM: Final = rules.PROLONGED_MIN_DROP_BPM.value
LONG_FALL_S: Final = rules.PROLONGED_MIN_S.value - LONG_FALL_SMOOTHING_S
"""So does one in a fall below the path that is so deep and long: the line follows no prolonged fall."""
PATH_WEIGHT: Final = 3e-3
EVENT_PATH_WEIGHT: Final = 0.06
"""Hold the line on the path: a little everywhere, more inside events, whose samples have no say."""

FIXED_WEIGHT: Final = 1e4
"""Hold a continued line on the two blocks from which on it is drawn again."""
REDRAWN_S: Final = 180.0
"""A continued line is drawn again from so far before: what holds it was drawn with less foresight."""

RATES_BPM: Final[FloatArray] = LOWEST_BPM + BIN_BPM * np.arange(N_BINS, dtype=np.float64)
_CLIMB: Final[FloatArray] = COST_PER_BPM * BIN_BPM * np.arange(N_BINS, dtype=np.float64)

_BLOCK: Final = round(BLOCK_S * FS_HZ)
_BLOCKS_PER_STEP: Final = round(STEP_S / BLOCK_S)
_TIME_REACH: Final = 3 * (TIME_BOX // 2)
_REDRAWN_STEPS: Final = round(REDRAWN_S / STEP_S)
_BLUR_STEPS: Final = 16
"""Products of matrices this small stay on one core; larger ones would wait for the others at every bed."""


class BaselinePast(NamedTuple):
    """What the baseline so far leaves to its continuation, rows first."""

    cost: FloatArray
    """Of the best path into each bin of the last step, shape (n_beds, n_bins)."""
    path: FloatArray
    """Path of the last 10 min, shape (n_beds, n_steps)."""
    line: FloatArray
    """Smooth line of at least the last 3 min, shape (n_beds, n_blocks); NaN: none."""


class BaselineCourse(NamedTuple):
    """A stretch of the baseline, and what its continuation will ask for."""

    baseline: FloatArray
    """Shape (n_beds, n_samples)."""
    line: FloatArray
    """The same by block of 2 s."""
    path: FloatArray
    """Rate that is held most of the time, by step of 10 s."""
    is_bridged: BoolArray
    """By step: the path is in an event here."""
    cost: FloatArray
    """Of the best path into each bin, shape (n_beds, n_steps, n_bins)."""


def estimate_baseline(fhr: FloatArray) -> FloatArray:
    """Estimate the FHR baseline of each bed.

    Parameters
    ----------
    fhr : ndarray, shape (n_beds, n_samples)
        Heart rate in beats/min at 4 Hz, within 30 to 240.  NaN marks signal loss
        and samples that are not the fetus.

    Returns
    -------
    ndarray, shape (n_beds, n_samples)
        Baseline in beats/min.  It is drawn through gaps too, so whoever shows it
        must say where there was signal.  NaN for a bed without any signal.

    Notes
    -----
    A fall or rise of the path by 15 beats/min or more that lasts less than 10 min
    is taken out again, because by definition it is an event and not a baseline
    change [1]_; so is one that is still going on at the end.  The smoother
    minimises ``sum w (x - b)**2 + k sum (second difference of b)**2`` [2]_ with
    Geman-McClure weights ``w`` from the line before.  The constants were chosen
    on the 44 development records of FHRMA [3]_.

    References
    ----------
    .. [1] Clinical rules sections 1.4 and 1.5, after the JSOG definitions of 2003.
    .. [2] P. H. C. Eilers, A perfect smoother, Anal. Chem. 75:3631-3636, 2003.
    .. [3] A. Houze de l'Aulnoit et al., Biomed. Signal Process. Control
       49:113-123, 2019.

    Examples
    --------
    >>> fhr = np.full((1, 4800), 140.0)
    >>> fhr[0, 2000:2240] = 100.0  # a fall of 1 min at 4 Hz
    >>> bool(np.all(np.abs(estimate_baseline(fhr) - 140.0) < 1.5))
    True
    """
    if fhr.shape[-1] == 0:
        return np.empty(fhr.shape)
    return continue_baseline(fhr, choice=load_choice()).baseline


def continue_baseline(
    fhr: FloatArray, past: BaselinePast | None = None, *, choice: Forest | None = None, context: int = 0
) -> BaselineCourse:
    """Estimate the baseline of a stretch that continues an earlier one; see `estimate_baseline`.

    Where the path may have two ends `choice` says which; without it, the cheaper one is taken.
    The first `context` samples of `fhr`, a multiple of 10 s and 6.5 min for an exact
    answer, only tell the surroundings; everything returned begins behind them.
    """
    blocks = _weigh_blocks(fhr)
    rate, support, weight = blocks
    skipped = context // (_BLOCK * _BLOCKS_PER_STEP)
    has_signal = support.any(axis=-1)
    cost: FloatArray = -np.log(_estimate_density(rate, weight, skipped=skipped))
    _add_costs(cost, None if past is None else past.cost)
    path = _trace_path(cost, choose_ends(choice, blocks, cost, RATES_BPM))
    before = path[:, :0] if past is None else past.path
    bridged = _bridge_events(np.concatenate((before, path), axis=1))
    is_bridged = bridged != np.concatenate((before, path), axis=1)
    redrawn = min(skipped, before.shape[-1], _REDRAWN_STEPS)
    width = redrawn * _BLOCKS_PER_STEP
    bridged, is_event = (x[:, before.shape[-1] - redrawn :] for x in (bridged, is_bridged))
    rate, support = (x[:, skipped * _BLOCKS_PER_STEP - width :] for x in (rate, support))
    coarse, is_event = (
        np.repeat(x, _BLOCKS_PER_STEP, axis=-1)[:, : rate.shape[-1]] for x in (bridged, is_event)
    )
    is_event |= (np.abs(rate - coarse) > PATH_REACH_BPM) | _find_long_falls(coarse - rate, support > 0)
    hold = np.where(is_event & (support > 0), EVENT_PATH_WEIGHT, PATH_WEIGHT)
    support = np.where(is_event, 0.0, support)
    if past is not None:
        edge = past.line[:, past.line.shape[-1] - width - 2 : past.line.shape[-1] - width]
        is_fixed = np.isfinite(edge)
        has_signal |= is_fixed.any(axis=-1)
        edge = np.where(is_fixed, edge, coarse[:, :1])
        width += edge.shape[-1]
        rate, coarse = (np.concatenate((edge, x), axis=1) for x in (rate, coarse))
        support = np.concatenate((np.zeros(edge.shape), support), axis=1)
        hold = np.concatenate((np.where(is_fixed, FIXED_WEIGHT, PATH_WEIGHT), hold), axis=1)
    line = _draw_smooth(rate, support, coarse, hold)
    line[~has_signal] = np.nan
    samples = to_samples(line, fhr.shape[-1] - context + width * _BLOCK)[:, width * _BLOCK :]
    return BaselineCourse(samples, line[:, width:], path, is_bridged[:, before.shape[-1] :], cost)


def _weigh_blocks(fhr: FloatArray) -> Blocks:
    """Average the rate by blocks of 2 s, and weigh them."""
    rate, support = _average_blocks(fhr)
    return Blocks(rate, support, support / (1 + _local_variance(rate, support) / SPREAD_SCALE_BPM**2))


def _average_blocks(fhr: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean rate of each block (0 without signal) and the share of it that carries signal."""
    n_beds, n = fhr.shape
    n_blocks = -(-n // _BLOCK)
    padded = np.full((n_beds, n_blocks * _BLOCK), np.nan)
    padded[:, :n] = fhr
    cube = padded.reshape(n_beds, n_blocks, _BLOCK)
    valid = np.isfinite(cube)
    count = valid.sum(axis=-1)
    total = np.where(valid, cube, 0.0).sum(axis=-1)
    return total / np.maximum(count, 1), count / _BLOCK


def _add_costs(cost: FloatArray, before: FloatArray | None) -> None:
    """Add up, in place: the `cost` of each step alone becomes that of the best way there."""
    for t in range(cost.shape[1]):
        if t > 0:
            cost[:, t] += _cheapest_arrival(cost[:, t - 1], _CLIMB)
        elif before is not None:
            cost[:, t] += _cheapest_arrival(before, _CLIMB)


def _trace_path(cost: FloatArray, ends: IntArray) -> FloatArray:
    """Find the best way into some bin at the end of each bed."""
    n_beds, n_steps, _ = cost.shape
    path = np.empty((n_beds, n_steps), dtype=np.intp)
    path[:, -1] = ends
    move = np.minimum(np.abs(_CLIMB - _CLIMB[:, None]), COST_MAX)
    for t in range(n_steps - 2, -1, -1):
        path[:, t] = (cost[:, t] + move[path[:, t + 1]]).argmin(axis=-1)
    return np.asarray(RATES_BPM[path], np.float64)


def _estimate_density(rate: FloatArray, weight: FloatArray, *, skipped: int = 0) -> FloatArray:
    """Share of the time around each step spent in each bin, steady stretches first, low rates doubted.

    The first `skipped` steps only lend their time to those behind them.
    """
    n_beds, n_blocks = rate.shape
    n_steps = -(-n_blocks // _BLOCKS_PER_STEP)
    position = np.clip((rate - LOWEST_BPM) / BIN_BPM, 0, N_BINS - 1.001)
    lower = position.astype(np.intp)
    share = position - lower
    step = np.arange(n_blocks) // _BLOCKS_PER_STEP
    cell = ((np.arange(n_beds)[:, None] * n_steps + step) * N_BINS + lower).ravel()
    size = n_beds * n_steps * N_BINS
    flat = np.bincount(cell, (weight * (1 - share)).ravel(), size)
    flat += np.bincount(cell + 1, (weight * share).ravel(), size)
    mass = _blur(np.asarray(flat.reshape(n_beds, n_steps, N_BINS), np.float64), skipped)
    density: FloatArray = (mass + PRIOR_MASS / N_BINS) / (mass.sum(axis=-1, keepdims=True) + PRIOR_MASS)
    doubted: FloatArray = density * np.exp(
        -(DOUBT_PER_BPM * (DOUBTED_BELOW_BPM - RATES_BPM)).clip(0.0, DOUBT_MAX)
    )
    return doubted


def _blur(mass: FloatArray, skipped: int) -> FloatArray:
    """Spread the mass over time and rate; as products of matrices this is faster than as filters."""
    n_steps, n_bins = mass.shape[1:]
    over_rate = gaussian_filter1d(np.eye(n_bins), RATE_BLUR_BINS, axis=1, mode="constant")
    blurred = np.empty((mass.shape[0], n_steps - skipped, n_bins))
    for first in range(skipped, n_steps, _BLUR_STEPS):
        last = min(first + _BLUR_STEPS, n_steps)
        before, after = min(first, _TIME_REACH), min(n_steps - last, _TIME_REACH)
        over_time = _time_blur(before, last - first, after)
        around = mass[:, first - before : last + after]
        blurred[:, first - skipped : last - skipped] = over_time @ around @ over_rate
    return np.maximum(blurred, 0.0)


@lru_cache(maxsize=256)
def _time_blur(n_before: int, n: int, n_after: int) -> FloatArray:
    """Matrix of three running means over `n` steps, with what there is on either side; nothing beyond."""
    at = np.arange(n_before + n + n_after)
    box = np.where(np.abs(at[:, None] - at) <= TIME_BOX // 2, 1.0, 0.0)
    thrice = np.linalg.matrix_power(box / TIME_BOX, 3)
    return np.asarray(thrice[n_before : n_before + n], np.float64)


def _local_variance(rate: FloatArray, support: FloatArray) -> FloatArray:
    width = round(SPREAD_S / BLOCK_S) + 1
    centred = np.where(support > 0, rate - 140.0, 0.0)

    def running(x: FloatArray) -> FloatArray:
        return np.asarray(uniform_filter1d(x, width, axis=-1, mode="constant"), np.float64)

    share = np.maximum(running(support), 1e-9)
    mean = running(support * centred) / share
    variance: FloatArray = np.maximum(running(support * centred**2) / share - mean**2, 0.0)
    return variance


def _cheapest_arrival(before: FloatArray, climb: FloatArray) -> FloatArray:
    """Cost of the best way into each bin: with a linear price of a move, two running minima."""
    upward = np.minimum.accumulate(before - climb, axis=-1) + climb
    downward = np.minimum.accumulate((before + climb)[:, ::-1], axis=-1)[:, ::-1] - climb
    jump = before.min(axis=-1, keepdims=True) + COST_MAX
    cheapest: FloatArray = np.minimum(np.minimum(upward, downward), jump)
    return cheapest


def _bridge_events(path: FloatArray) -> FloatArray:
    """Take out falls, then rises, that are too short to be a baseline change."""
    closed = _close_valleys(path)
    path = np.where(closed - path >= EVENT_MIN_BPM, closed, path)
    opened = -_close_valleys(-path)
    return np.where(path - opened >= EVENT_MIN_BPM, opened, path)


def _close_valleys(path: FloatArray) -> FloatArray:
    """Fill valleys narrower than 10 min to their lower shoulder; beyond the ends counts as high."""
    width = round(EVENT_MAX_S / STEP_S) - 1
    beyond = np.full((path.shape[0], width), np.inf)
    filled = np.concatenate((beyond, path, beyond), axis=1)
    filled = minimum_filter1d(maximum_filter1d(filled, width, axis=1), width, axis=1)[:, width:-width]
    return np.where(np.isfinite(filled), filled, path)


def _find_long_falls(below: FloatArray, seen: BoolArray) -> BoolArray:
    """Mark falls that may be prolonged decelerations; a gap neither ends nor begins one."""
    width = round(LONG_FALL_SMOOTHING_S / BLOCK_S)
    share = uniform_filter1d(seen.astype(np.float64), width, axis=-1, mode="nearest")
    mean = uniform_filter1d(np.where(seen, below, 0.0), width, axis=-1, mode="nearest")
    is_fall = mean >= LONG_FALL_BPM * np.maximum(share, 1e-9)
    long, longest = (_open(is_fall, round(x / BLOCK_S)) for x in (LONG_FALL_S, EVENT_MAX_S))
    return long & ~longest


def _open(mask: BoolArray, n: int) -> BoolArray:
    """Keep what is marked for `n` blocks and more."""
    core = minimum_filter1d(mask.astype(np.uint8), n, axis=-1, mode="constant")
    return np.asarray(
        maximum_filter1d(core, n, axis=-1, mode="constant", origin=0 if n % 2 else -1), np.bool_
    )


def _draw_smooth(rate: FloatArray, support: FloatArray, coarse: FloatArray, hold: FloatArray) -> FloatArray:
    n_beds, n_blocks = rate.shape
    stiffness = (STIFFNESS_S / BLOCK_S) ** 4 * _second_difference_bands(_find_bends(coarse), n_blocks)
    line = coarse
    for scale in SCALES_BPM:
        weight = support / (1 + ((rate - line) / scale) ** 2) ** 2
        bands = stiffness.copy()
        bands[0] += weight + hold
        # The bands between one bed's last block and the next bed's first are zero, so the
        # beds are solved in one call and still do not touch one another.
        target = (weight * rate + hold * coarse).ravel()
        solved = solveh_banded(bands.reshape(3, -1), target, lower=True, check_finite=False)
        line = np.asarray(solved, np.float64).reshape(n_beds, n_blocks)
    return line


def _find_bends(coarse: FloatArray) -> FloatArray:
    """Give 1 where the line is to be stiff and 0 where the path jumps to another baseline."""
    jump = np.abs(np.diff(coarse, axis=-1)) >= EVENT_MIN_BPM
    is_bend: BoolArray = jump[:, 1:] | jump[:, :-1]
    return np.where(is_bend, 0.0, 1.0)


def _second_difference_bands(stiff: FloatArray, n: int) -> FloatArray:
    """Lower bands of D'KD for each bed, with D the second difference and K the diagonal `stiff`."""
    bands = np.zeros((3, stiff.shape[0], n))
    if n < 3:
        return bands
    for shift, coefficient in enumerate((1.0, 4.0, 1.0)):
        bands[0, :, shift : n - 2 + shift] += coefficient * stiff
    bands[1, :, : n - 2] -= 2 * stiff
    bands[1, :, 1 : n - 1] -= 2 * stiff
    bands[2, :, : n - 2] += stiff
    return bands


def to_samples(line: FloatArray, n: int) -> FloatArray:
    """Draw the line of blocks through `n` samples."""
    last = line.shape[-1] - 1
    position = np.clip((np.arange(n) - (_BLOCK - 1) / 2) / _BLOCK, 0, last)
    lower = np.minimum(position.astype(np.intp), max(last - 1, 0))
    share = position - lower
    return line[:, lower] * (1 - share) + line[:, np.minimum(lower + 1, last)] * share
