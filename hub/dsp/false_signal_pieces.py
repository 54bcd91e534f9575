"""A trace changes hands at a step or behind a gap: what is said of whole pieces, not of single samples."""

from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp.running import RealArray, find_last
from hub.model import FS_HZ, BoolArray, FloatArray

STEP_BPM: Final = 15.0
GAP_S: Final = 10.0
"""A step this large, or signal behind a longer gap, begins a new piece (E)."""
BACK_S: Final = 15.0
"""So far back a piece is listened to (E)."""
SHARE: Final = 0.8
"""Say of the piece, beside that of the sample itself (E)."""


def find_breaks(fhr: RealArray) -> BoolArray:
    """Say which samples begin a piece: the first, and those behind a step or a long gap.

    `fhr` has shape (n_beds, n_samples), NaN where there is no signal.
    """
    valid = np.isfinite(fhr)
    last = find_last(valid)
    before = np.concatenate((np.full_like(last[:, :1], -1), last[:, :-1]), axis=-1)
    step = np.abs(fhr - np.take_along_axis(fhr, np.maximum(before, 0), axis=-1))
    gap = np.arange(fhr.shape[-1], dtype=np.int32) - before
    return np.asarray(valid & ((before < 0) | (step >= STEP_BPM) | (gap > GAP_S * FS_HZ)))


def listen_to_pieces(logit: FloatArray, fhr: RealArray, chunk: int) -> FloatArray:
    """Let each sample hear what is said of its piece of the trace.

    Parameters
    ----------
    logit : ndarray, shape (n_beds, n_samples)
        What is said of each sample.
    fhr : ndarray, shape (n_beds, n_samples)
        Heart rate in beats/min at 4 Hz, NaN where there is no signal.
    chunk : int
        Samples decided at a time.

    Returns
    -------
    ndarray, shape (n_beds, n_samples)
        Mean of the logit over the samples with signal of the same piece, from 15 s
        before to the end of the chunk, which knows no more than its first sample may;
        a fifth of the say stays with the sample itself.
    """
    n = fhr.shape[-1]
    at = np.arange(n, dtype=np.int32)
    breaks, valid = find_breaks(fhr), np.isfinite(fhr)
    first = np.maximum(np.maximum(find_last(breaks), at - round(BACK_S * FS_HZ)), 0)
    end = np.minimum(_find_next(breaks), np.minimum((at // chunk + 1) * chunk, n))
    total, count = _sum_before(np.where(valid, logit, 0.0)), _sum_before(valid.astype(np.float64))

    def between(sums: FloatArray) -> FloatArray:
        return np.take_along_axis(sums, end, axis=-1) - np.take_along_axis(sums, first, axis=-1)

    mean = between(total) / np.maximum(between(count), 1.0)
    return np.asarray(np.where(valid, (1 - SHARE) * logit + SHARE * mean, logit))


def _find_next(is_event: BoolArray) -> npt.NDArray[np.int32]:
    """Index of the first True after each sample, the length behind the last."""
    n = is_event.shape[-1]
    later = n - 1 - find_last(is_event[:, ::-1])[:, ::-1]
    return np.concatenate((later[:, 1:], np.full_like(later[:, :1], n)), axis=-1)


def _sum_before(values: FloatArray) -> FloatArray:
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=-1, out=total[:, 1:])
    return total
