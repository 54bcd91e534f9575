"""Peaks of one curve by distance and prominence, with the places where they have fallen part of the way.

The definitions are those of `scipy.signal.find_peaks`, and the tests hold this against it; that
package alone would take a tenth of the hub's memory.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from hub.model import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Arrays of shape (n_peaks,), in the order of time."""

    at: npt.NDArray[np.intp]
    """Index of each; of a flat top its middle."""
    prominence: FloatArray
    left: FloatArray
    """Where the curve, going back, has fallen by the asked share of the prominence; between two samples."""
    right: FloatArray


def find_peaks(curve: FloatArray, *, prominence: float, distance: float, rel_height: float) -> Peaks:
    """Find the peaks that rise by `prominence` and lie `distance` samples apart, the higher before the lower.

    Parameters
    ----------
    curve : ndarray, shape (n_samples,)
        NaN is higher than nothing and lower than nothing: it ends what is looked at.
    prominence : float
        Least height above the higher of the two lows that lie before the next higher samples.
    distance : float
        Least distance in samples.
    rel_height : float
        Share of the prominence by which the curve has fallen at `left` and `right`.
    """
    at, rises, left, right = [], [], [], []
    for peak in _keep_apart(curve, _find_tops(curve), ceil(distance)):
        height = curve[peak]
        # Both sides from the peak outwards, each up to the first sample that is higher.
        before, after = _cut(curve[peak::-1], height), _cut(curve[peak:], height)
        rise = height - max(before.min(), after.min())
        if rise < prominence:
            continue
        level = height - rise * rel_height
        at.append(peak)
        rises.append(rise)
        left.append(peak - _reach(before, level))
        right.append(peak + _reach(after, level))
    return Peaks(np.array(at, np.intp), *(np.array(x, np.float64) for x in (rises, left, right)))


def _find_tops(curve: FloatArray) -> npt.NDArray[np.intp]:
    """Give the middle of each stretch of equal samples that both neighbours are lower than."""
    starts = np.flatnonzero(np.concatenate(([True], curve[1:] != curve[:-1])))
    value = curve[starts]
    tops = np.flatnonzero((value[1:-1] > value[:-2]) & (value[1:-1] > value[2:])) + 1
    return np.asarray((starts[tops] + starts[tops + 1] - 1) // 2, np.intp)


def _keep_apart(curve: FloatArray, tops: npt.NDArray[np.intp], distance: int) -> list[int]:
    """Leave out each top that lies too near to a higher one that is kept."""
    kept: npt.NDArray[np.bool_] = np.ones(tops.size, np.bool_)
    for index in np.argsort(curve[tops])[::-1].tolist():
        if kept[index]:
            kept &= np.abs(tops - tops[index]) >= distance
            kept[index] = True
    chosen: list[int] = tops[kept].tolist()
    return chosen


def _cut(side: FloatArray, height: float) -> FloatArray:
    is_lower = side <= height
    end = int(is_lower.argmin())
    return side if is_lower[end] else side[:end]


def _reach(side: FloatArray, level: float) -> float:
    """Say how far from the peak a side has fallen to a level; no further than to its low."""
    is_above = side > level
    last = int(is_above.argmin())
    if is_above[last]:
        last = int(side.argmin())
    if side[last] < level:
        return last - float((level - side[last]) / (side[last - 1] - side[last]))
    return float(last)
