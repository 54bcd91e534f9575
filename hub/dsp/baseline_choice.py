"""Which of two levels the newest minutes belong to: a forest that has learned what hindsight will say.

The path of the baseline may have two ends of about the same cost, when the rate has lately been
held at two levels.  Minutes later it is clear which of them is the baseline; a live reading has
to say so now.  What is learned is only this: no expert's mark is needed, the path of the whole
record tells.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.dsp.chosen_weights import SHIPPED, find_weights
from hub.dsp.event_features import IntArray
from hub.dsp.event_model import Forest
from hub.model import BoolArray, FloatArray

WEIGHTS: Final = SHIPPED / "events_baseline.npz"

LEAST_APART_BPM: Final = 8.0
MOST_DEARER: Final = 80.0
"""An end of the path whose cost lies farther above the least one is not looked at."""
LOWEST_BPM: Final = 110.0
"""No choice leads below the higher of the two lower limits of the raw-rate alerts (clinical rules 8.3)."""
LEAST_DOWN_BPM: Final = rules.PROLONGED_MIN_DROP_BPM.value
"""A lower level is chosen only if it is so much lower: the path takes such falls out while under 10 min."""

BLOCKS_PER_MIN: Final = 30
WINDOWS_MIN: Final = ((0.0, 0.5), (0.5, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 8), (8, 12))
"""Minutes before the end, from and to."""
LOOKED_AT: Final = 12 * BLOCKS_PER_MIN
LEAST_BLOCKS: Final = 6 * BLOCKS_PER_MIN
RECENT: Final = 8 * BLOCKS_PER_MIN
EARLIER_STEPS: Final = (3, 6, 12, 18, 23)
"""Steps of 10 s before the end at which the costs are compared; the shortest live update has 24."""
NEAR_BPM: Final = 5.0
USUAL_BPM: Final = 140.0

FEATURES: Final = (
    "dearer",
    *(f"dearer_by_since_{steps}" for steps in EARLIER_STEPS),
    "apart",
    "distance",
    "own_level",
    "other_level",
    *(
        f"{what}_{first:g}_{last:g}"
        for first, last in WINDOWS_MIN
        for what in (
            "near_own",
            "near_other",
            "beside_other",
            "beyond_other",
            "beyond_own",
            "seen",
            "say",
            "place",
        )
    ),
    "since_own",
    "since_other",
    "changes",
)
"""Names of the columns; weights are bound to their order."""


class Blocks(NamedTuple):
    """Blocks of 2 s, arrays of shape (n_beds, n_blocks)."""

    rate: FloatArray
    """Mean rate; 0 without signal."""
    support: FloatArray
    """Share with signal."""
    weight: FloatArray
    """Its say: that of steady stretches is larger."""

    def of(self, beds: IntArray) -> "Blocks":
        """Give the newest blocks of some beds."""
        return Blocks(*(x[beds, -LOOKED_AT:] for x in self))


class Ends(NamedTuple):
    """Two ends of the path of each of some beds, indices of bins."""

    beds: IntArray
    own: IntArray
    """The cheaper one."""
    other: IntArray


def load_choice() -> Forest | None:
    """Read the weights in use; None if there is no file: then the cheapest path is taken.

    Raises
    ------
    KeyError, ValueError
        If the file is there but is not a weights file for these features.
    """
    return _read(find_weights(WEIGHTS.name))


@cache
def _read(path: Path) -> Forest | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return read_forest({key: file[key] for key in file.files})


def read_forest(arrays: Mapping[str, npt.NDArray[Any]]) -> Forest:
    """Build the forest from the arrays of its weights file."""
    return Forest.from_arrays(arrays, "end", FEATURES)


def choose_ends(forest: Forest | None, blocks: Blocks, cost: FloatArray, rates_bpm: FloatArray) -> IntArray:
    """Say in which bin the path of each bed ends.

    Parameters
    ----------
    forest : Forest, optional
        Without it the cheapest end is taken.
    blocks : Blocks
        The rate up to the end.
    cost : ndarray, shape (n_beds, n_steps, n_bins)
        Of the best way into each bin, by step of 10 s.
    rates_bpm : ndarray, shape (n_bins,)
        Rate of each bin.

    Returns
    -------
    ndarray of int, shape (n_beds,)
        The cheapest end, or another one.
    """
    chosen = np.asarray(cost[:, -1].argmin(axis=-1), np.intp)
    if forest is None or blocks.rate.shape[-1] < LEAST_BLOCKS:
        return chosen
    ends = find_ends(blocks, cost, rates_bpm)
    if ends.beds.size:
        votes = forest.predict(describe_ends(ends, blocks, cost, rates_bpm))
        is_other = (votes >= forest.accept_at) & _may_choose(rates_bpm[ends.own], rates_bpm[ends.other])
        chosen[ends.beds[is_other]] = ends.other[is_other]
    return chosen


def _may_choose(own_bpm: FloatArray, other_bpm: FloatArray) -> BoolArray:
    """Say which choices hide no fall: up, or so far down that a fall is taken out of the path anyway."""
    is_far: BoolArray = (own_bpm - other_bpm >= LEAST_DOWN_BPM) & (other_bpm >= LOWEST_BPM)
    return is_far | (other_bpm > own_bpm)


def find_ends(blocks: Blocks, cost: FloatArray, rates_bpm: FloatArray) -> Ends:
    """Find the beds whose path may have another end, and where."""
    last = cost[:, -1]
    own = last.argmin(axis=-1)
    inner = last[:, 1:-1]
    is_end = np.zeros(last.shape, np.bool_)
    is_end[:, 1:-1] = (inner <= last[:, :-2]) & (inner <= last[:, 2:])
    is_end &= np.abs(rates_bpm - rates_bpm[own, None]) >= LEAST_APART_BPM
    others = np.where(is_end, last, np.inf)
    is_open = others.min(axis=-1) - last.min(axis=-1) < MOST_DEARER
    is_open &= (blocks.support[:, -LOOKED_AT:] > 0).any(axis=-1)
    beds = np.flatnonzero(is_open)
    return Ends(beds, own[beds], others[beds].argmin(axis=-1))


def describe_ends(
    ends: Ends, blocks: Blocks, cost: FloatArray, rates_bpm: FloatArray
) -> npt.NDArray[np.float32]:
    """Describe how the rate has lain around two levels, and how the costs of ending there have changed.

    Returns
    -------
    ndarray of float32, shape (n_ends, len(FEATURES))
        Nothing older than 12 min is looked at.
    """
    rate, support, weight = blocks.of(ends.beds)
    own_bpm, other_bpm = rates_bpm[ends.own], rates_bpm[ends.other]
    apart = other_bpm - own_bpm
    n_steps, n = cost.shape[1], rate.shape[-1]

    def dearer(steps: int) -> FloatArray:
        at = cost[ends.beds, max(n_steps - 1 - steps, 0)]
        row = np.arange(ends.beds.size)
        return np.asarray(at[row, ends.other] - at[row, ends.own], np.float64)

    now = dearer(0)
    columns = [np.minimum(now, MOST_DEARER) / 20]
    columns += [(now - dearer(steps)).clip(-MOST_DEARER, MOST_DEARER) / 20 for steps in EARLIER_STEPS]
    columns += [apart / 15, np.abs(apart) / 15, (own_bpm - USUAL_BPM) / 20, (other_bpm - USUAL_BPM) / 20]
    # -1 on the own level, 1 on the other one.
    place = (rate - ((own_bpm + other_bpm) / 2)[:, None]) / (apart / 2)[:, None]
    near = [weight * np.exp(-(((rate - x[:, None]) / NEAR_BPM) ** 2) / 2) for x in (own_bpm, other_bpm)]
    for first, last in WINDOWS_MIN:
        window = slice(max(n - round(last * BLOCKS_PER_MIN), 0), max(n - round(first * BLOCKS_PER_MIN), 0))
        span = (last - first) * BLOCKS_PER_MIN
        seen, where = support[:, window], place[:, window]
        total = seen.sum(axis=-1)
        mean = (seen * where.clip(-4, 4)).sum(axis=-1) / np.maximum(total, 1e-9)
        columns += [2 * x[:, window].sum(axis=-1) / span for x in near]
        columns += [
            (seen * is_there).sum(axis=-1) / span for is_there in (where > 0, where > 1.4, where < -1.4)
        ]
        columns += [total / span, weight[:, window].sum(axis=-1) / span, np.where(total > 1, mean, 0.0)]
    index = np.arange(n)
    for is_there in (place <= 0, place > 0):
        newest = np.where(is_there & (support > 0), index, -1).max(axis=-1)
        columns.append(np.minimum(n - 1 - newest, RECENT) / BLOCKS_PER_MIN)
    is_other = ((place > 0) & (support > 0))[:, -RECENT:]
    columns.append((is_other[:, 1:] != is_other[:, :-1]).sum(axis=-1) / 10)
    table: npt.NDArray[np.float32] = np.stack(columns, axis=1).astype(np.float32)
    return table
