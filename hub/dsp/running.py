"""What a bed's past leaves behind: running sums, rates it has had, values held.  Causal, state carried."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating[Any]]
"""Of either width; Python numbers widen only in the eyes of the type checker."""

BedIndex = npt.NDArray[np.intp] | slice

STEP_SAMPLES: Final = 8
STEP_S: Final = 2.0
"""The learned detector moves in steps of 2 s, which are 8 samples at 4 Hz."""

_BIN_LOWEST_BPM: Final = 40.0
_BIN_BPM: Final = 5.0
_BINS: Final = 40
_TICK_STEPS: Final = 10
"""The histograms are renewed every 20 s: a level of minutes does not need more."""


class Rows(Protocol):
    """What is carried on of several beds side by side, from block to block."""

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the arrays that are carried, the bed first; writing into them changes what is carried."""


def copy_rows(source: Rows, source_rows: BedIndex, target: Rows, target_rows: BedIndex) -> None:
    """Carry on in some rows of `target` what is carried in rows of `source`."""
    for old, new in zip(source.parts(), target.parts(), strict=True):
        new[target_rows] = old[source_rows]


class RunningSums:
    """Exponentially forgetting sums of several quantities of each bed.

    Parameters
    ----------
    n_beds, n_quantities : int
        How many are followed side by side.
    memory_s : float
        Time constant.

    Notes
    -----
    All start at zero, so a mean is the quotient of two of them: the weighted values
    over the weights.  Loss then simply has no weight.
    """

    def __init__(self, n_beds: int, n_quantities: int, *, memory_s: float) -> None:
        self._kept = np.float32(np.exp(-STEP_S / memory_s))
        self._state = np.zeros((n_beds, n_quantities), np.float32)
        """What is left of the sums at the next step."""

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        return [self._state]

    def push(self, quantities: Float32Array) -> Float32Array:
        """Add a block of shape (n_beds, n_quantities, n_steps); give the sums after each step."""
        sums: Float32Array = quantities * (np.float32(1) - self._kept)
        for step in range(quantities.shape[-1]):
            sums[..., step] += self._state
            self._state = sums[..., step] * self._kept
        return sums


@dataclass(frozen=True, slots=True, eq=False)
class RateSummary:
    """What `RateHistory` says of each step; arrays of shape (n_beds, n_steps)."""

    median_bpm: Float32Array
    spread_bpm: Float32Array
    """From the tenth to the ninetieth percentile."""
    mass: Float32Array
    """Weight of the past, in steps."""
    share_here: Float32Array
    """Share of the past within about 7 beats/min of the rate of the step."""


class RateHistory:
    """How often a heart rate has been where, fading over minutes.

    Parameters
    ----------
    n_beds : int
        Number of beds.
    memory_s : float
        Time constant of fading.

    Notes
    -----
    A histogram of 40 bins of 5 beats/min from 40 beats/min.  What `push` says of a
    step rests on the whole 20 s that ended before it.
    """

    def __init__(self, n_beds: int, *, memory_s: float) -> None:
        self._kept = np.float32(np.exp(-_TICK_STEPS * STEP_S / memory_s))
        self._counts = np.zeros((n_beds, _BINS), np.float32)
        self._unfinished = np.zeros((n_beds, _BINS), np.float32)
        self._phase = np.zeros(n_beds, np.int64)

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        return [self._counts, self._unfinished, self._phase]

    def push(self, rate: RealArray, weight: RealArray) -> RateSummary:
        """Add the rates of some steps, shape (n_beds, n_steps), each with a weight of 0 to 1."""
        n_beds, n_steps = rate.shape
        tick = (self._phase[:, None] + np.arange(n_steps)) // _TICK_STEPS
        n_ticks = int(tick[:, -1].max()) + 1 if n_beds and n_steps else 0
        scaled = (rate - np.float32(_BIN_LOWEST_BPM)) / np.float32(_BIN_BPM)
        bins = np.clip(scaled, 0, _BINS - 1).astype(np.int32)
        cell = (np.arange(n_beds, dtype=np.int32)[:, None] * n_ticks + tick) * _BINS + bins
        flat = np.bincount(cell.ravel(), weight.ravel(), minlength=n_beds * n_ticks * _BINS)
        new = flat.astype(np.float32).reshape(n_beds, n_ticks, _BINS)
        known = self._fade_in(new, n_steps)
        row = np.arange(n_beds)[:, None]
        total = np.cumsum(known, axis=-1)
        mass = total[:, :, -1]
        near = known.copy()
        near[:, :, 1:] += known[:, :, :-1]
        near[:, :, :-1] += known[:, :, 1:]
        safe = np.maximum(mass, np.float32(1e-3))
        return RateSummary(
            median_bpm=_quantile(known, total, safe, 0.5)[row, tick],
            spread_bpm=(_quantile(known, total, safe, 0.9) - _quantile(known, total, safe, 0.1))[row, tick],
            mass=mass[row, tick],
            share_here=near[row, tick, bins] / safe[row, tick],
        )

    def _fade_in(self, new: Float32Array, n_steps: int) -> Float32Array:
        """Give the counts known at the start of each tick, shape (n_beds, n_ticks, bins)."""
        n_beds, n_ticks, _ = new.shape
        end = self._phase + n_steps
        row, complete = np.arange(n_beds), end // _TICK_STEPS
        known = np.empty((n_beds, n_ticks + 1, _BINS), np.float32)
        known[:, 0] = self._counts
        if n_ticks:
            new[:, 0] += self._unfinished
            for k in range(n_ticks):
                known[:, k + 1] = known[:, k] * self._kept + new[:, k]
            is_unfinished = (complete < n_ticks)[:, None]
            self._unfinished = np.where(is_unfinished, new[row, np.minimum(complete, n_ticks - 1)], 0)
        self._counts = known[row, complete]
        self._phase = end % _TICK_STEPS
        return known[:, :n_ticks]


def _quantile(known: Float32Array, total: Float32Array, mass: Float32Array, share: float) -> Float32Array:
    target = mass * np.float32(share)
    at = np.minimum((total < target[:, :, None]).sum(axis=-1), _BINS - 1)[..., None]
    over = np.take_along_axis(total, at, axis=-1)[..., 0] - target
    inside = np.take_along_axis(known, at, axis=-1)[..., 0]
    part = np.clip(over / np.maximum(inside, np.float32(1e-3)), 0, 1)
    result: Float32Array = (_BIN_LOWEST_BPM + _BIN_BPM * (at[..., 0] + 1 - part)).astype(np.float32)
    return result


def find_last(is_event: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Index of the last True at or before each sample, -1 before the first; time is the last axis."""
    index = np.where(is_event, np.arange(is_event.shape[-1], dtype=np.int32), np.int32(-1))
    last: npt.NDArray[np.int32] = np.maximum.accumulate(index, axis=-1)
    return last


def take_last(values: Float32Array, index: npt.NDArray[np.int32], before: Float32Array) -> Float32Array:
    """Read `values` at `index` along time; -1 reads what was so before the block, shape (n_beds,)."""
    if values.shape[-1] == 0:
        return np.broadcast_to(before[:, None], index.shape).astype(np.float32)
    row = np.arange(values.shape[0])[:, None]
    return np.where(index >= 0, values[row, np.maximum(index, 0)], before[:, None])


def sum_steps(samples: npt.NDArray[np.float32] | npt.NDArray[np.bool_]) -> Float32Array:
    """Add up the 8 samples of each step: (n_beds, n_samples) to (n_beds, n_steps)."""
    cube = samples.reshape(samples.shape[0], -1, STEP_SAMPLES).astype(np.float32, copy=False)
    total: Float32Array = cube @ np.ones(STEP_SAMPLES, np.float32)
    return total
