"""Contractions from the external tocodynamometer or the intrauterine catheter."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, percentile_filter, uniform_filter1d

from hub.dsp import rules
from hub.dsp.contraction_model import MIN_PROMINENCE as LEAST_PROMINENCE
from hub.dsp.contraction_model import NOISE_REACH_S, ContractionModel, describe_peaks
from hub.dsp.peaks import find_peaks
from hub.model import FS_HZ, BoolArray, Contraction, FloatArray

GRID_S: Final = 2.0
SMOOTHING_S: Final = 12.0
RESTING_GRID_S: Final = 10.0
RESTING_PERCENTILE: Final = 30.0
"""Higher than the 10th of clinical rules section 5: measured after smoothing, it finds more of the annotated
contractions with fewer false ones."""
MIN_PROMINENCE: Final = 9.0
"""Of the smoothed curve, which keeps about 60 % of the height: about 15 units of the raw one."""
MIN_DISTANCE_S: Final = 35.0
WIDTH_FRACTION: Final = 0.4
"""Of the prominence of the smoothed curve, which is wider than the raw one: there it crosses where
annotators put the ends, which one fifth of the raw height means to describe."""
PEAK_REACH_S: Final = 10.0
BEGUN_MAX_S: Final = 180.0
"""A contraction under way began within this time (the longest one of clinical rules section 5, E)."""

KNOWN_WINDOW_S: Final = 600.0
KNOWN_MIN_FRACTION: Final = 0.5
FLAT_SD: Final = 0.5
HIGHEST: Final = 1000.0
"""No toco unit and no pressure in mmHg is larger; beyond it is loss."""
SATURATED_AT: Final = 127.0
SATURATED_FRACTION: Final = 0.3


class _Shape(NamedTuple):
    """Of the peaks of one bed: prominence in toco units, and the ends of the width in grid steps."""

    prominence: FloatArray
    left: FloatArray
    right: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class UterineActivity:
    """Contractions of each bed, and when the sensor was able to show any."""

    contractions: list[list[Contraction]]
    is_known: BoolArray
    """Shape (n_beds, n_samples): the 10 min around this sample would have shown a contraction."""


def find_contractions(
    toco: FloatArray,
    *,
    are_units_mmhg: BoolArray | None = None,
    model: ContractionModel | None = None,
) -> UterineActivity:
    """Find contractions in the uterine activity of each bed.

    Parameters
    ----------
    toco : ndarray, shape (n_beds, n_samples)
        External tocodynamometer in monitor units (0 to 127.5), or intrauterine
        pressure in mmHg, at 4 Hz.  NaN marks loss.
    are_units_mmhg : ndarray of bool, shape (n_beds,), optional
        True for intrauterine pressure, which may exceed the upper stop of a toco.
    model : ContractionModel, optional
        Decides on peaks of the toco from 5 units on, in the place of the 9.

    Returns
    -------
    UterineActivity
        `onset_s` and `end_s` are where the smoothed curve crosses two fifths of
        its prominence; `amplitude` is the unsmoothed peak above the resting
        tone, in the units given.

    Notes
    -----
    Gaussian smoothing (12 s), less the running 30th percentile of 10 min, then
    peaks at least 9 units prominent and 35 s apart.  "Unknown" is an answer: less
    than half of the 10 min readable, a flat line, or a sensor at its upper stop
    for 30 % of the time (engineering choices [1]_).  Without a single contraction
    a line that moves still counts as known.

    References
    ----------
    .. [1] Clinical rules section 5 (E).
    """
    size = round(GRID_S * FS_HZ)
    level, support = _grid_means(toco, size)
    smooth = _smooth(level, support)
    resting = _resting_tone(smooth)
    known = _is_known(toco, level, support, are_units_mmhg=are_units_mmhg)
    found = [
        _find_in_bed(
            smooth[bed],
            resting[bed],
            np.where(support[bed] > 0, level[bed], -np.inf),
            known[bed],
            model if are_units_mmhg is None or not are_units_mmhg[bed] else None,
        )
        for bed in range(toco.shape[0])
    ]
    return UterineActivity(found, np.repeat(known, size, axis=-1)[:, : toco.shape[-1]])


def _grid_means(signal: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    n_beds, n = signal.shape
    n_grid = -(-n // size)
    padded = np.full((n_beds, n_grid * size), np.nan)
    with np.errstate(invalid="ignore"):
        padded[:, :n] = np.where(np.abs(signal) <= HIGHEST, signal, np.nan)
    cube = padded.reshape(n_beds, n_grid, size)
    count = np.isfinite(cube).sum(axis=-1)
    return np.nansum(cube, axis=-1) / np.maximum(count, 1), count / size


def _smooth(level: FloatArray, support: FloatArray) -> FloatArray:
    sigma = SMOOTHING_S / GRID_S
    weighted = gaussian_filter1d(level * support, sigma, axis=-1, mode="constant")
    weight = gaussian_filter1d(support, sigma, axis=-1, mode="constant")
    return np.asarray(np.where(weight > 1e-3, weighted / np.maximum(weight, 1e-3), 0.0), np.float64)


def _resting_tone(smooth: FloatArray) -> FloatArray:
    """Take the running percentile on a coarse grid because the curve is smooth already."""
    stride = round(RESTING_GRID_S / GRID_S)
    coarse = smooth[:, ::stride]
    width = round(rules.CONTRACTION_RESTING_WINDOW_S.value / RESTING_GRID_S) + 1
    low = np.asarray(
        percentile_filter(coarse, RESTING_PERCENTILE, size=(1, width), mode="nearest"), np.float64
    )
    return np.repeat(low, stride, axis=-1)[:, : smooth.shape[-1]]


def _is_known(
    toco: FloatArray, level: FloatArray, support: FloatArray, *, are_units_mmhg: BoolArray | None
) -> BoolArray:
    width = round(KNOWN_WINDOW_S / GRID_S)

    def running(x: FloatArray) -> FloatArray:
        # Divided by the share of the window that lies inside the record.
        inside = uniform_filter1d(np.ones(x.shape), width, axis=-1, mode="constant")
        return np.asarray(uniform_filter1d(x, width, axis=-1, mode="constant") / inside, np.float64)

    share = running(support)
    mean = running(level * support) / np.maximum(share, 1e-9)
    spread = np.maximum(running(level**2 * support) / np.maximum(share, 1e-9) - mean**2, 0.0)
    known: BoolArray = (share >= KNOWN_MIN_FRACTION) & (spread > FLAT_SD**2)
    at_stop, _ = _grid_means(np.where(toco >= SATURATED_AT, 1.0, 0.0), round(GRID_S * FS_HZ))
    is_saturated = running(at_stop) >= SATURATED_FRACTION
    if are_units_mmhg is not None:
        is_saturated &= ~are_units_mmhg[:, None]
    known &= ~is_saturated
    return known


def _find_in_bed(
    smooth: FloatArray,
    resting: FloatArray,
    level: FloatArray,
    known: BoolArray,
    model: ContractionModel | None,
) -> list[Contraction]:
    if not known.any():
        return []
    found = find_peaks(
        smooth - resting,
        prominence=MIN_PROMINENCE if model is None else LEAST_PROMINENCE,
        distance=MIN_DISTANCE_S / GRID_S,
        rel_height=1 - WIDTH_FRACTION,
    )
    is_seen = known[found.at]
    at = found.at[is_seen]
    shape = _Shape(found.prominence[is_seen], found.left[is_seen], found.right[is_seen])
    is_event: BoolArray = np.ones(at.size, dtype=bool)
    if model is not None and at.size:
        is_event = model.accept(_describe(at, shape, smooth, resting, level))
    reach = round(PEAK_REACH_S / GRID_S)
    contractions = [
        Contraction(
            onset_s=float((shape.left[k] + 0.5) * GRID_S),
            peak_s=float((peak + 0.5) * GRID_S),
            end_s=float((shape.right[k] + 0.5) * GRID_S),
            amplitude=float(
                max(level[max(peak - reach, 0) : peak + reach + 1].max(), smooth[peak]) - resting[peak]
            ),
        )
        for k, peak in enumerate(at)
        if is_event[k]
    ]
    begun = _find_begun(smooth - resting, contractions) if known[-1] else None
    return contractions if begun is None else [*contractions, begun]


def _find_begun(curve: FloatArray, contractions: list[Contraction]) -> Contraction | None:
    """Find a contraction that is under way at the end: risen by the least prominence, not yet fallen by it.

    A fall that comes with it is early as far as can be told; without it no contraction would
    be known, and every early deceleration would be read as late until its contraction has ended.
    """
    begin = max(
        curve.size - round(BEGUN_MAX_S / GRID_S),
        round(contractions[-1].end_s / GRID_S) if contractions else 0,
        0,
    )
    tail = curve[begin:]
    if tail.size == 0:
        return None
    peak = int(tail.argmax())
    low = float(tail[: peak + 1].min())
    if tail[peak] - low < MIN_PROMINENCE or tail[peak] - tail[-1] >= MIN_PROMINENCE:
        return None
    edge = low + WIDTH_FRACTION * (tail[peak] - low)
    onset = int(np.flatnonzero(tail[: peak + 1] <= edge)[-1])
    return Contraction(
        onset_s=float((begin + onset + 0.5) * GRID_S),
        peak_s=float((begin + peak + 0.5) * GRID_S),
        end_s=float(curve.size * GRID_S),
        amplitude=float(tail[peak] - low),
    )


def _describe(
    at: npt.NDArray[np.intp], shape: _Shape, smooth: FloatArray, resting: FloatArray, level: FloatArray
) -> FloatArray:
    detail = np.where(np.isfinite(level), np.abs(level - smooth), 0.0)
    total = np.concatenate(([0.0], np.cumsum(detail)))
    reach = round(NOISE_REACH_S / GRID_S)
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach, smooth.size)
    return describe_peaks(
        np.asarray((at + 0.5) * GRID_S, np.float64),
        prominence=shape.prominence,
        width_s=(shape.right - shape.left) * GRID_S,
        height=(smooth - resting)[at],
        noise=(total[last] - total[first]) / (last - first),
    )
