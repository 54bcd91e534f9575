"""Baseline variability: how far the rate swings within a minute, away from events."""

from typing import Final

import numpy as np

from hub.dsp import rules
from hub.model import FS_HZ, BoolArray, FloatArray

PIECE_S: Final = rules.VARIABILITY_PIECE_S.value
MIN_READABLE_S: Final = 30.0
"""Of a 1-minute piece, not necessarily in one stretch."""


def compute_variability(
    fhr: FloatArray, baseline: FloatArray, is_excluded: BoolArray, *, start: int = 0
) -> FloatArray:
    """Compute the peak-to-trough amplitude of each 1-minute piece.

    Parameters
    ----------
    fhr : ndarray, shape (n_beds, n_samples)
        Heart rate in beats/min at 4 Hz.  NaN marks signal loss; a bridged gap must
        still be NaN here, because a straight line has no variability.
    baseline : ndarray, shape (n_beds, n_samples)
        Baseline in beats/min; its slope is not variability.
    is_excluded : ndarray of bool, shape (n_beds, n_samples)
        Accelerations and decelerations.
    start : int, optional
        First sample of the first piece.

    Returns
    -------
    ndarray, shape (n_beds, n_pieces)
        Amplitude in beats/min; NaN where less than 30 s of the piece are readable.

    Notes
    -----
    The rate is averaged over 1 s first: the guideline reads the amplitude by eye,
    and the eye passes over single beats.  Pieces of one minute, peak to trough,
    are an engineering form of the definition [1]_.

    References
    ----------
    .. [1] Clinical rules section 1.2, after the JSOG definitions of 2003.

    Examples
    --------
    >>> t = np.arange(480) / 4.0
    >>> fhr = 140.0 + 5.0 * np.sin(2 * np.pi * t / 20.0)[None]
    >>> none = np.zeros(fhr.shape, dtype=bool)
    >>> compute_variability(fhr, np.full(fhr.shape, 140.0), none).round(0)
    array([[10., 10.]])
    """
    size = round(FS_HZ)
    per_piece = round(PIECE_S)
    swing = np.where(is_excluded, np.nan, fhr - baseline)[:, start:]
    n_pieces = swing.shape[-1] // (size * per_piece)
    cube = swing[:, : n_pieces * size * per_piece].reshape(fhr.shape[0], n_pieces, per_piece, size)
    valid = np.isfinite(cube)
    count = valid.sum(axis=-1)
    second = np.where(valid, cube, 0.0).sum(axis=-1) / np.maximum(count, 1)
    is_second = count >= size / 2
    highest = np.max(second, axis=-1, where=is_second, initial=-np.inf)
    lowest = np.min(second, axis=-1, where=is_second, initial=np.inf)
    readable = is_second.sum(axis=-1) >= MIN_READABLE_S
    return np.where(readable, highest - lowest, np.nan)


def spread_pieces(pieces: FloatArray, n_samples: int, *, start: int = 0) -> FloatArray:
    """Lay the amplitude of each piece over its samples; NaN before, after and where not assessable.

    Examples
    --------
    >>> spread_pieces(np.array([[8.0]]), 242)[0, [0, 239, 240]]
    array([ 8.,  8., nan])
    """
    size = round(PIECE_S * FS_HZ)
    spread = np.full((pieces.shape[0], n_samples), np.nan)
    spread[:, start : start + pieces.shape[-1] * size] = np.repeat(pieces, size, axis=-1)
    return spread
