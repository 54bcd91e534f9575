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
    starts, ends, heights = _find_turns(curve)
    inner = range(1, len(heights) - 1)
    tops = [k for k in inner if heights[k - 1] < heights[k] > heights[k + 1]]
    samples = curve.tolist()
    at, rises, left, right = [], [], [], []
    middles = [(starts[k] + ends[k]) // 2 for k in tops]
    for index in _keep_apart(middles, [heights[k] for k in tops], ceil(distance)):
        top, peak = tops[index], middles[index]
        height = heights[top]
        before, after = _find_low(heights, top, -1), _find_low(heights, top, 1)
        rise = height - max(heights[before], heights[after])
        if rise < prominence:
            continue
        level = height - rise * rel_height
        at.append(peak)
        rises.append(rise)
        left.append(_find_fall(samples, peak, ends[before], -1, level))
        right.append(_find_fall(samples, peak, starts[after], 1, level))
    return Peaks(np.array(at, np.intp), *(np.array(x, np.float64) for x in (rises, left, right)))


def _find_turns(curve: FloatArray) -> tuple[list[int], list[int], list[float]]:
    """Give first index, last index and height of the stretches of equal samples at which a curve turns."""
    starts = np.flatnonzero(np.concatenate(([True], curve[1:] != curve[:-1])))
    ends = np.concatenate((starts[1:], [curve.size])) - 1
    height = curve[starts]
    rises, falls = height[1:] > height[:-1], height[1:] < height[:-1]
    is_turn = np.ones(starts.size, np.bool_)
    is_turn[1:-1] = ~((rises[1:] & rises[:-1]) | (falls[1:] & falls[:-1]))
    return starts[is_turn].tolist(), ends[is_turn].tolist(), height[is_turn].tolist()


def _keep_apart(at: list[int], heights: list[float], distance: int) -> list[int]:
    """Leave out each top that lies too near to a higher one that is kept; give the numbers of the others."""
    is_kept = [True] * len(at)
    for index in np.argsort(heights)[::-1].tolist():
        if not is_kept[index]:
            continue
        for others in (range(index - 1, -1, -1), range(index + 1, len(at))):
            for other in others:
                if abs(at[other] - at[index]) >= distance:
                    break
                is_kept[other] = False
    return [index for index, kept in enumerate(is_kept) if kept]


def _find_low(heights: list[float], top: int, step: int) -> int:
    """Go from a top in one direction up to what is higher, and say which turn on the way is lowest."""
    low, at = top, top + step
    while 0 <= at < len(heights) and heights[at] <= heights[top]:
        if heights[at] < heights[low]:
            low = at
        at += step
    return low


def _find_fall(samples: list[float], peak: int, low: int, step: int, level: float) -> float:
    """Say where between a peak and the low beside it the curve has fallen to a level."""
    at = peak
    while at != low and level < samples[at]:
        at += step
    if samples[at] < level:
        return at - step * (level - samples[at]) / (samples[at - step] - samples[at])
    return float(at)
