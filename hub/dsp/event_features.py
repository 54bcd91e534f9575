"""What a rise or fall of the FHR looks like, in numbers: from these the event model decides.

Nothing farther than `REACH_S` from either end of a stretch is looked at.  So an answer is
final two minutes after the end, and a live update that begins two minutes before an
event says of it what the whole record says.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from hub.model import FS_HZ, BoolArray, FloatArray

IntArray = npt.NDArray[np.intp]

REACH_S: Final = 120
MIN_PEAK_BPM: Final = 10.0
MIN_DURATION_S: Final = 10.0
"""Below these a stretch is not even looked at.  Two thirds of the clinical 15 beats/min and 15 s, they are no
limits of their own: a baseline that is uncertain by several beats/min may leave so little of an event."""

NEAR_S: Final = (20, 60, REACH_S)
HEIGHTS_BPM: Final = (8.0, 12.0, 15.0, 20.0)
BESIDE_S: Final = (40, REACH_S)
LARGE_BPM: Final = 12.0
SLOPE_S: Final = 10
DETAIL_S: Final = 15
"""Faster than this the rate varies; slower it swings."""
USUAL_SPREAD_BPM: Final = 5.0
"""Said of surroundings without signal."""
USUAL_LEVEL_BPM: Final = 140.0

FEATURES: Final = (
    "peak_bpm",
    "log_duration",
    "mean_bpm",
    "log_area",
    *(f"time_above_{height:.0f}" for height in HEIGHTS_BPM),
    "log_rise",
    "log_fall",
    "steepest_up",
    "steepest_down",
    "readable",
    "detail_inside",
    "detail_beside",
    *(f"{side}_{near}" for near in NEAR_S for side in ("before", "after")),
    "swing_before",
    "swing_after",
    "swing_around",
    *(
        f"{side}_{way}_{beside}"
        for beside in BESIDE_S
        for way in ("against", "along")
        for side in ("pre", "post")
    ),
    "share_along",
    "share_against",
    "level",
    "baseline_change",
    "gap_before",
    "gap_after",
)
"""Names of the columns; weights are bound to their order."""

_TICKS: Final = round(FS_HZ)


def measure_peaks(runs: IntArray, departure: FloatArray) -> FloatArray:
    """Give the largest distance from the baseline within each stretch.

    Examples
    --------
    >>> measure_peaks(np.array([[0, 1, 3]]), np.array([[0.0, 6.0, 9.0, 0.0]]))
    array([9.])
    """
    return _max_within(departure, *runs.T)


def is_worth_a_look(runs: IntArray, peak_bpm: FloatArray) -> BoolArray:
    """Say which stretches are large and long enough to be described."""
    is_long: BoolArray = runs[:, 2] - runs[:, 1] >= MIN_DURATION_S * FS_HZ
    return is_long & (peak_bpm >= MIN_PEAK_BPM)


def describe_stretches(
    runs: IntArray, departure: FloatArray, swing: FloatArray, baseline: FloatArray
) -> npt.NDArray[np.float32]:
    """Describe stretches by their shape and their surroundings.

    Parameters
    ----------
    runs : ndarray, shape (n_stretches, 3)
        Bed, start and stop sample, by bed and time.
    departure : ndarray, shape (n_beds, n_samples)
        The smoothed distance from the baseline in which the stretches were found.
    swing : ndarray, shape (n_beds, n_samples)
        The same distance, in the same direction, not smoothed; NaN marks loss.
    baseline : ndarray, shape (n_beds, n_samples)
        Baseline in beats/min.

    Returns
    -------
    ndarray of float32, shape (n_stretches, len(FEATURES))
        One row for each stretch.
    """
    bed, start, stop = runs.T
    first, last = start // _TICKS, -(-stop // _TICKS)
    smooth, _ = _seconds(departure)
    raw, seen = _seconds(swing)
    span = np.maximum(last - first, 1).astype(np.float64)
    at = start + np.array([departure[b, i:j].argmax() for b, i, j in runs], dtype=np.intp)
    signal = _Sums(seen, bed)
    swings = _Means(raw, seen, signal, bed)

    climb = np.zeros_like(smooth)
    half = SLOPE_S // 2
    climb[:, half:-half] = smooth[:, SLOPE_S:] - smooth[:, :-SLOPE_S]
    detail = np.abs(raw - uniform_filter1d(raw, DETAIL_S, axis=-1))
    details = _Means(np.minimum(detail, 10.0), seen, signal, bed)
    calm = uniform_filter1d(raw, 5, axis=-1)
    duration_s = (stop - start) / FS_HZ
    area = _Sums(smooth, bed).within(first, last)
    columns = [
        measure_peaks(runs, departure),
        np.log(duration_s),
        area / duration_s,
        np.log(np.maximum(area, 10.0)),
    ]
    for height in HEIGHTS_BPM:
        above = (smooth > height).astype(np.float64)
        columns.append(np.sqrt(_Sums(above, bed).within(first, last)))
    columns += [
        np.log(3.0 + (at - start) / FS_HZ),
        np.log(3.0 + (stop - at) / FS_HZ),
        _max_within(climb, bed, first, last),
        _max_within(-climb, bed, first, last),
        signal.within(first, last) / span,
        details.within(first, last, 2.0),
        details.within(first - REACH_S, first, 2.0),
    ]
    for near in NEAR_S:
        columns += [swings.within(first - near, first, 0.0), swings.within(last, last + near, 0.0)]
    size = _Means(np.abs(raw), seen, signal, bed)
    power = _Means(np.minimum(raw**2, 900.0), seen, signal, bed)
    columns += [
        size.within(first - REACH_S, first, USUAL_SPREAD_BPM),
        size.within(last, last + REACH_S, USUAL_SPREAD_BPM),
        np.sqrt(power.within(first - REACH_S, last + REACH_S, USUAL_SPREAD_BPM**2)),
    ]
    for beside in BESIDE_S:
        for way in (-calm, calm):
            columns += [
                _max_within(way, bed, first - beside, first),
                _max_within(way, bed, last, last + beside),
            ]
    around = np.maximum(signal.within(first - REACH_S, first) + signal.within(last, last + REACH_S), 60.0)
    for way in (calm, -calm):
        large = _Sums((way > LARGE_BPM).astype(np.float64), bed)
        beside_s = large.within(first - REACH_S, first) + large.within(last, last + REACH_S)
        columns.append(np.sqrt(beside_s / around))
    n = departure.shape[-1]
    gap_before, gap_after = _gaps(runs)
    columns += [
        (baseline[bed, at] - USUAL_LEVEL_BPM) / 10.0,
        baseline[bed, np.minimum(stop, n - 1)] - baseline[bed, start],
        gap_before,
        gap_after,
    ]
    table: npt.NDArray[np.float32] = np.nan_to_num(np.stack(columns, axis=1)).astype(np.float32)
    return table


class _Sums:
    """Sums of a signal over windows of whole seconds, those of the stretches' own beds."""

    def __init__(self, value: FloatArray, bed: IntArray) -> None:
        self._bed = bed
        self._last = value.shape[-1]
        self._total = np.zeros((value.shape[0], self._last + 1))
        np.cumsum(value, axis=-1, out=self._total[:, 1:])

    def within(self, first: IntArray, last: IntArray) -> FloatArray:
        begin, end = first.clip(0, self._last), last.clip(0, self._last)
        return np.asarray(self._total[self._bed, end] - self._total[self._bed, begin], np.float64)


class _Means:
    """Means over windows of whole seconds, of what was seen there."""

    def __init__(self, value: FloatArray, seen: FloatArray, sums_seen: _Sums, bed: IntArray) -> None:
        self._value, self._seen = _Sums(value * seen, bed), sums_seen

    def within(self, first: IntArray, last: IntArray, unseen: float) -> FloatArray:
        """Mean over what was seen; `unseen` where that is no more than 2 s."""
        weight = self._seen.within(first, last)
        return np.where(weight > 2.0, self._value.within(first, last) / np.maximum(weight, 1e-9), unseen)


def _seconds(signal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of each second (0 without signal) and the share of it that carries signal."""
    n_beds, n = signal.shape
    n_seconds = -(-n // _TICKS)
    padded = np.full((n_beds, n_seconds * _TICKS), np.nan)
    padded[:, :n] = signal
    cube = padded.reshape(n_beds, n_seconds, _TICKS)
    valid = np.isfinite(cube)
    count = valid.sum(axis=-1)
    return np.where(valid, cube, 0.0).sum(axis=-1) / np.maximum(count, 1), count / _TICKS


def _max_within(x: FloatArray, bed: IntArray, first: IntArray, last: IntArray) -> FloatArray:
    """Largest value from `first` up to before `last` in each bed; 0 where nothing lies between."""
    n = x.shape[-1]
    low, high = np.clip(first, 0, n), np.clip(last, 0, n)
    if not bed.size or n == 0:
        return np.zeros(bed.size)
    # One value behind the end, so that the last window of the last bed may close there.
    flat = np.append(x.ravel(), 0.0)
    ends = (bed * n)[:, None] + np.stack((np.minimum(low, n - 1), np.maximum(high, low + 1)), axis=1)
    ends = np.minimum(ends, flat.size - 1)
    return np.where(high > low, np.maximum.reduceat(flat, ends.ravel())[::2], 0.0)


def _gaps(runs: IntArray) -> tuple[FloatArray, FloatArray]:
    """Logarithm of the seconds to the stretch before and to the one behind."""
    before = np.full(len(runs), float(REACH_S))
    after = before.copy()
    same = runs[1:, 0] == runs[:-1, 0]
    between = np.where(same, np.minimum((runs[1:, 1] - runs[:-1, 2]) / FS_HZ, REACH_S), REACH_S)
    before[1:], after[:-1] = between, between
    return np.log(5.0 + before), np.log(5.0 + after)
