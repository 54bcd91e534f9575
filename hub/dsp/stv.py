"""Short-term variation in ms, where the source is fine enough for it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from hub.dsp import rules
from hub.model import FS_HZ, BoolArray, FloatArray

EPOCHS_PER_MIN: Final = round(60.0 / rules.STV_EPOCH_S.value)
WINDOW_MIN: Final = 6
ON_GRID: Final = {1.0: 0.6, 0.5: 0.75}
"""Share of the values on a coarser grid from which the source is taken to have that step (E): quarters of
a beat that mean something lie on whole beats in one of four cases and on halves in one of two."""
ONE_PHASE: Final = 0.95
"""Share of the changes at one phase from which a slower source is taken to have been repeated (E)."""


class StvRefusal(StrEnum):
    """Why there is no value."""

    RATE = "rate"
    STEP = "step"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stv:
    """Short-term variation of one stretch; `stv_ms` is None where `refusal` says why.

    `is_early` marks a stretch under 60 min, whose value must not be read yet.
    `minutes` were used; of them `high_min` lie in episodes of high variation and
    `low_min` in episodes of low variation.  `reference_ms` is the line to compare with
    in early growth restriction at this age, None outside it.
    """

    stv_ms: float | None
    refusal: StvRefusal | None = None
    is_early: bool = True
    minutes: int = 0
    high_min: int = 0
    low_min: int = 0
    step_bpm: float
    source_fs: float
    reference_ms: float | None = None


def compute_stv(
    fhr: FloatArray,
    is_excluded: BoolArray | None = None,
    *,
    fs: float = FS_HZ,
    gestational_weeks: float | None = None,
) -> Stv:
    """Compute the short-term variation of one fetus before labour.

    Parameters
    ----------
    fhr : ndarray, shape (n_samples,)
        Heart rate in beats/min.  NaN marks signal loss.
    is_excluded : ndarray of bool, shape (n_samples,), optional
        Decelerations: no minute that touches one is used.
    fs : float, optional
        Sampling frequency in Hz.
    gestational_weeks : float, optional
        Gestational age, for the line to compare with only.

    Returns
    -------
    Stv
        Without a value if the source is coarser than 0.25 beats/min or 4 Hz (E), or no
        minute is usable.

    Raises
    ------
    ValueError
        If the shapes differ or `fs` is not positive.

    Notes
    -----
    Rates become pulse intervals before they are averaged, over epochs of 3.75 s (V2);
    an epoch counts if half of it is readable (E).  The variation of a minute is the
    mean difference of neighbouring epochs, and a minute counts if at most half of its
    epochs are lost and no deceleration touches it (K) [1]_.  Not for labour.  The
    criteria that the same makers attach to the value are not computed here.

    References
    ----------
    .. [1] Huntleigh Sonicaid Team manuals, after J. Pardey, M. Moulden and
       C. W. G. Redman, Am. J. Obstet. Gynecol. 186:1095-1103, 2002.

    Examples
    --------
    >>> i = np.arange(14400)  # an hour; epochs of 3.75 s have alternately 430 and 436 ms
    >>> stv = compute_stv(60000.0 / np.where(i // 15 % 2, 430.0, 436.0) + 0.01 * (i % 2))
    >>> round(stv.stv_ms, 2), stv.minutes, stv.is_early
    (6.0, 60, False)
    """
    excluded = np.zeros(fhr.shape, dtype=bool) if is_excluded is None else is_excluded
    if fhr.ndim != 1 or excluded.shape != fhr.shape:
        msg = f"fhr {fhr.shape} and is_excluded {excluded.shape} must share one shape (n_samples,)"
        raise ValueError(msg)
    if not fs > 0:
        msg = f"fs must be positive, got {fs} Hz"
        raise ValueError(msg)
    step_bpm, source_fs = estimate_resolution(fhr, fs=fs)
    intervals = _epoch_intervals(fhr, fs)
    is_valid = np.isfinite(intervals)
    is_used = ~_touched_minutes(excluded, fs, len(intervals))
    is_used &= (~is_valid).mean(axis=1) <= rules.STV_MAX_LOST_FRACTION.value
    differences = np.abs(np.diff(intervals, axis=1))
    count = np.isfinite(differences).sum(axis=1)
    is_used &= count > 0
    refusal = None
    if source_fs < rules.STV_LOWEST_FS_HZ.value:
        refusal = StvRefusal.RATE
    elif step_bpm > rules.STV_COARSEST_STEP_BPM.value:
        refusal = StvRefusal.STEP
    elif not is_used.any():
        refusal = StvRefusal.SIGNAL
    if refusal is not None:
        return Stv(stv_ms=None, refusal=refusal, step_bpm=step_bpm, source_fs=source_fs)
    minute_ms = np.nansum(differences[is_used], axis=1) / count[is_used]
    range_ms = np.full(len(intervals), np.nan)
    range_ms[is_used] = np.nanmax(intervals[is_used], axis=1) - np.nanmin(intervals[is_used], axis=1)
    return Stv(
        stv_ms=float(minute_ms.mean()),
        is_early=fhr.size / fs < rules.STV_MIN_RECORD_S.value,
        minutes=int(is_used.sum()),
        high_min=_count_episode_minutes(range_ms >= rules.STV_HIGH_RANGE_MS.value),
        low_min=_count_episode_minutes(range_ms <= rules.STV_LOW_RANGE_MS.value),
        reference_ms=_reference(gestational_weeks),
        step_bpm=step_bpm,
        source_fs=source_fs,
    )


def estimate_resolution(fhr: FloatArray, *, fs: float) -> tuple[float, float]:
    """Estimate how fine the source of a heart rate was before it was stored.

    Parameters
    ----------
    fhr : ndarray, shape (n_samples,)
        Heart rate in beats/min.  NaN marks signal loss.
    fs : float
        Sampling frequency in Hz of the array.

    Returns
    -------
    step_bpm : float
        1, 0.5, or 0.25 for that and finer.
    source_fs : float
        `fs`, or less if each value was repeated.

    Notes
    -----
    An engineering estimate (E).  A slow source that was interpolated, or one that
    averages over many beats, is not recognised.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> estimate_resolution(np.round(140 + 5 * rng.standard_normal(2400)).repeat(2), fs=4.0)
    (1.0, 2.0)
    """
    valid = fhr[np.isfinite(fhr)]
    step_bpm = rules.STV_COARSEST_STEP_BPM.value
    for step, share in ON_GRID.items():
        if valid.size and np.mean(np.abs(valid / step - np.round(valid / step)) < 1e-6) >= share:
            step_bpm = step
            break
    with np.errstate(invalid="ignore"):
        changes = np.flatnonzero(np.abs(np.diff(fhr)) > 0)
    for repeat in range(int(fs), 1, -1):
        if changes.size and np.bincount(changes % repeat).max() >= ONE_PHASE * changes.size:
            return step_bpm, fs / repeat
    return step_bpm, fs


def _epoch_intervals(fhr: FloatArray, fs: float) -> FloatArray:
    """Mean pulse interval in ms of each epoch, shape (n_minutes, 16); NaN where half of it is lost."""
    n_minutes = int(fhr.size / fs / 60.0)
    n = n_minutes * EPOCHS_PER_MIN
    epoch = (np.arange(fhr.size) / fs / rules.STV_EPOCH_S.value + 1e-9).astype(np.intp)
    is_valid = np.isfinite(fhr) & (fhr > 0)
    interval_ms = np.where(is_valid, 60000.0 / np.where(is_valid, fhr, 1.0), 0.0)
    total = np.bincount(epoch, interval_ms, minlength=n)[:n]
    count = np.bincount(epoch, is_valid, minlength=n)[:n]
    is_enough = count >= 0.5 * rules.STV_EPOCH_S.value * fs
    means = np.where(is_enough, total / np.maximum(count, 1), np.nan)
    return means.reshape(n_minutes, EPOCHS_PER_MIN)


def _touched_minutes(excluded: BoolArray, fs: float, n_minutes: int) -> BoolArray:
    minute = (np.flatnonzero(excluded) / fs / 60.0).astype(np.intp)
    touched = np.zeros(n_minutes, dtype=bool)
    touched[minute[minute < n_minutes]] = True
    return touched


def _count_episode_minutes(holds: BoolArray) -> int:
    """Minutes that lie in any six in a row of which five hold."""
    if holds.size < WINDOW_MIN:
        return 0
    windows = np.lib.stride_tricks.sliding_window_view(holds, WINDOW_MIN).sum(axis=1)
    inside = np.zeros(holds.size, dtype=bool)
    for start in np.flatnonzero(windows >= rules.STV_EPISODE_MIN.value):
        inside[start : start + WINDOW_MIN] = True
    return int(inside.sum())


def _reference(gestational_weeks: float | None) -> float | None:
    if gestational_weeks is None:
        return None
    return next(
        (bound.value for weeks, bound in rules.STV_REFERENCES_MS if weeks.holds(gestational_weeks)), None
    )
