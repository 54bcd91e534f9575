"""Which samples are signal: impossible rates and spikes go, short gaps are bridged here and nowhere else."""

from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.model import FS_HZ, BoolArray, FloatArray

LOWEST_RATE_BPM: Final = 30.0
HIGHEST_RATE_BPM: Final = 240.0
"""Range of the FHR axis; a rate outside it is loss (clinical rules 7, K)."""
SPIKE_BPM: Final = rules.SWITCH_STEP_BPM.value
"""A jump this large and back again within `SPIKE_MAX_SAMPLES` is no heart (E)."""
SPIKE_RETURN_BPM: Final = 12.0
SPIKE_MAX_SAMPLES: Final = 4
BRIDGE_S: Final = rules.MAX_BRIDGE_S.value


def remove_impossible(rate: FloatArray) -> FloatArray:
    """Replace rates that no heart has by loss.

    Parameters
    ----------
    rate : ndarray, shape (n_beds, n_samples)
        Fetal or maternal heart rate in beats/min.  NaN marks signal loss.

    Returns
    -------
    ndarray, shape (n_beds, n_samples)
        A copy in which everything outside 30 to 240 beats/min, infinite values
        included, is NaN.

    Examples
    --------
    >>> remove_impossible(np.array([[140.0, 0.0, 260.0, np.inf]]))
    array([[140.,  nan,  nan,  nan]])
    """
    with np.errstate(invalid="ignore"):
        return np.where((rate >= LOWEST_RATE_BPM) & (rate <= HIGHEST_RATE_BPM), rate, np.nan)


def find_spikes(rate: FloatArray) -> BoolArray:
    """Mark samples that leave the trace and are back within a second.

    Parameters
    ----------
    rate : ndarray, shape (n_beds, n_samples)
        Heart rate in beats/min at 4 Hz.  NaN marks signal loss.

    Returns
    -------
    ndarray of bool, shape (n_beds, n_samples)
        True for runs of at most 4 samples that step away by 25 beats/min or more
        and come back to within 12 beats/min of where they left.

    Notes
    -----
    A run that borders on a gap is left alone: what follows it is not known.
    """
    spikes = np.zeros(rate.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        jump = np.abs(np.diff(rate, axis=-1)) >= SPIKE_BPM
    for width in range(1, SPIKE_MAX_SAMPLES + 1):
        if rate.shape[-1] < width + 2:
            break
        with np.errstate(invalid="ignore"):
            is_back = np.abs(rate[:, width + 1 :] - rate[:, : -width - 1]) <= SPIKE_RETURN_BPM
        found = jump[:, : jump.shape[-1] - width] & jump[:, width:] & is_back
        for k in range(1, width + 1):
            spikes[:, k : k + found.shape[-1]] |= found
    return spikes


def bridge_gaps(signal: FloatArray, *, longest_s: float = BRIDGE_S) -> FloatArray:
    """Join short gaps by a straight line.

    Parameters
    ----------
    signal : ndarray, shape (n_beds, n_samples)
        Any signal at 4 Hz.  NaN marks signal loss.
    longest_s : float
        Gaps longer than this stay NaN; 15 s at most for anything [1]_.

    Returns
    -------
    ndarray, shape (n_beds, n_samples)
        A copy with the short inner gaps filled.  Gaps at either end stay.

    Raises
    ------
    ValueError
        If `longest_s` is negative or above 15 s.

    References
    ----------
    .. [1] Clinical rules section 6: not above 3 s for variability, not above 15 s
       for anything.  An engineering choice.

    Examples
    --------
    >>> bridge_gaps(np.array([[np.nan, 140.0, np.nan, 142.0]]))
    array([[ nan, 140., 141., 142.]])
    """
    if not 0 <= longest_s <= BRIDGE_S:
        msg = f"longest_s must lie in 0 to {BRIDGE_S} s, got {longest_s}"
        raise ValueError(msg)
    bridged = signal.copy()
    gaps = find_runs(~np.isfinite(signal))
    length = gaps[:, 2] - gaps[:, 1]
    is_inner = (gaps[:, 1] > 0) & (gaps[:, 2] < signal.shape[-1])
    gaps, length = (x[is_inner & (length <= longest_s * FS_HZ)] for x in (gaps, length))
    left, right = signal[gaps[:, 0], gaps[:, 1] - 1], signal[gaps[:, 0], gaps[:, 2]]
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    bed, start, step = (np.repeat(x, length) for x in (gaps[:, 0], gaps[:, 1], (right - left) / (length + 1)))
    bridged[bed, start + within] = np.repeat(left, length) + step * (within + 1)
    return bridged


def hold_last(signal: FloatArray) -> FloatArray:
    """Repeat the last value through every gap; NaN before the first one.

    Examples
    --------
    >>> hold_last(np.array([[np.nan, 140.0, np.nan]]))
    array([[ nan, 140., 140.]])
    """
    index = np.arange(signal.shape[-1])
    before = np.maximum.accumulate(np.where(np.isfinite(signal), index, -1), axis=-1)
    held = np.take_along_axis(signal, np.maximum(before, 0), axis=-1)
    return np.where(before >= 0, held, np.nan)


def find_runs(mask: BoolArray) -> npt.NDArray[np.intp]:
    """Find the runs of True of each bed.

    Parameters
    ----------
    mask : ndarray of bool, shape (n_beds, n_samples)
        What is looked for.

    Returns
    -------
    ndarray, shape (n_runs, 3)
        Bed, start (inclusive) and stop (exclusive) of each run, by bed and time.

    Examples
    --------
    >>> find_runs(np.array([[True, True, False], [False, False, True]]))
    array([[0, 0, 2],
           [1, 2, 3]])
    """
    n_beds, n = mask.shape
    framed = np.zeros((n_beds, n + 2), dtype=bool)
    framed[:, 1:-1] = mask
    edges = np.flatnonzero(framed.ravel()[1:] != framed.ravel()[:-1])
    bed, at = np.divmod(edges.reshape(-1, 2), n + 2)
    return np.column_stack((bed[:, 0], at))
