"""The learned second look at accelerations, decelerations and contractions, in NumPy.

The rules say where a stretch begins and ends; the model says whether an expert would
have marked it.  It may not take away what is severe and obvious: see `is_protected`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hub.dsp import rules
from hub.dsp.chosen_weights import SHIPPED, find_weights
from hub.dsp.contraction_model import ContractionModel
from hub.dsp.event_features import FEATURES, IntArray, describe_stretches, is_worth_a_look, measure_peaks
from hub.model import FS_HZ, BoolArray, FloatArray

WEIGHTS: Final = SHIPPED / "events.npz"

PROTECTED_FALL_BPM: Final = 40.0
PROTECTED_FALL_S: Final = 30.0
"""Engineering choices (E), no clinical limits."""
PROTECTED_RATE_BPM: Final = 110.0
"""The higher of the two lower limits of the raw-rate alerts (clinical rules 8.3)."""
FINAL_AFTER_S: Final = 120.0
"""A fall that ended less long ago stays if the rules find it: its surroundings are still coming in."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Decision trees whose answers are averaged.  Nodes of all trees lie in one table.

    A node sends a row to its low child if its `feature` is at most `threshold`, else to its high one;
    a leaf points to itself and answers `value`.
    """

    roots: IntArray
    feature: IntArray
    threshold: npt.NDArray[np.float32]
    children: IntArray
    """Of each node the low one, then the high one."""
    value: npt.NDArray[np.float32]
    depth: int
    accept_at: float

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], kind: str, features: tuple[str, ...] = FEATURES
    ) -> "Forest":
        """Build the forest for one kind, such as "rise" or "fall", from what describes it.

        Raises
        ------
        KeyError, ValueError
            If an array is missing or was made for other features.
        """
        names = tuple(str(name) for name in arrays["features"])
        if names != features:
            msg = f"event weights: expected features {features}, got {names}"
            raise ValueError(msg)

        def index(name: str) -> IntArray:
            return arrays[f"{kind}_{name}"].astype(np.intp)

        return cls(
            roots=index("roots"),
            feature=index("feature"),
            threshold=arrays[f"{kind}_threshold"].astype(np.float32),
            children=np.stack((index("low"), index("high")), axis=1).ravel(),
            value=arrays[f"{kind}_value"].astype(np.float32),
            depth=int(arrays[f"{kind}_depth"]),
            accept_at=float(arrays[f"{kind}_accept_at"]),
        )

    def predict(self, rows: npt.NDArray[np.float32]) -> FloatArray:
        """Give the share of the trees' votes for each row.

        Parameters
        ----------
        rows : ndarray of float32, shape (n_rows, n_features)
            One described stretch in a row.

        Returns
        -------
        ndarray, shape (n_rows,)
            From 0 to 1.
        """
        n_rows, n_features = rows.shape
        flat, row = rows.ravel(), np.arange(n_rows)[:, None] * n_features
        at = np.broadcast_to(self.roots, (n_rows, self.roots.size))
        for _ in range(self.depth):
            is_high = flat.take(row + self.feature.take(at)) > self.threshold.take(at)
            at = self.children.take(2 * at + is_high)
        return np.asarray(self.value.take(at).mean(axis=-1, dtype=np.float64), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class EventModel:
    """All that the weights file holds."""

    rise: Forest
    fall: Forest
    contraction: ContractionModel

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "EventModel":
        """Build the model from the arrays of its weights file.

        Raises
        ------
        KeyError, ValueError
            If an array is missing or was made for other features.
        """
        return cls(
            Forest.from_arrays(arrays, "rise"),
            Forest.from_arrays(arrays, "fall"),
            ContractionModel.from_arrays(arrays),
        )


def load_event_model(path: Path | None = None) -> EventModel | None:
    """Read the weights, those in use if no path is given; None if there is no file: then rules do alone.

    Raises
    ------
    KeyError, ValueError
        If the file is there but is not a weights file for these features.
    """
    return _read_model(find_weights(WEIGHTS.name) if path is None else path)


@cache
def _read_model(path: Path) -> EventModel | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return EventModel.from_arrays({key: file[key] for key in file.files})


def accept_stretches(
    forest: Forest,
    runs: IntArray,
    departure: FloatArray,
    swing: FloatArray,
    baseline: FloatArray,
    *,
    begin: int = 0,
) -> BoolArray:
    """Say which stretches an expert would have marked.

    Parameters
    ----------
    forest : Forest
        Of the direction looked for.
    runs : ndarray, shape (n_stretches, 3)
        Bed, start and stop sample of every stretch beyond the edge, by bed and time.
    departure, swing, baseline : ndarray, shape (n_beds, n_samples)
        As in `describe_stretches`.
    begin : int, optional
        What ends at or before this sample only surrounds the others.

    Returns
    -------
    ndarray of bool, shape (n_stretches,)
        False for all that is below 10 beats/min or shorter than 10 s, and before `begin`.
    """
    seen = is_worth_a_look(runs, measure_peaks(runs, departure))
    asked = seen & (runs[:, 2] > begin)
    accepted = np.zeros(len(runs), dtype=bool)
    if asked.any():
        # Of many live beds only some have a new stretch; the others need not be looked at.
        beds = np.unique(runs[asked, 0])
        shown = runs[seen & np.isin(runs[:, 0], beds)]
        is_asked = shown[:, 2] > begin
        shown[:, 0] = np.searchsorted(beds, shown[:, 0])
        rows = describe_stretches(shown, departure[beds], swing[beds], baseline[beds])[is_asked]
        accepted[asked] = forest.predict(rows) >= forest.accept_at
    return accepted


def is_protected(runs: IntArray, depth: FloatArray, rate: FloatArray) -> BoolArray:
    """Say which of the falls that the rules find stay whatever the model makes of them.

    Parameters
    ----------
    runs : ndarray, shape (n_stretches, 3)
        Bed, start and stop sample of the falls.
    depth, rate : ndarray, shape (n_beds, n_samples)
        Distance below the baseline, and the rate, in beats/min; NaN in `rate` marks loss.

    Returns
    -------
    ndarray of bool, shape (n_stretches,)
        True for 40 beats/min or more in 30 s or more; and from 15 beats/min on for
        2 min or more, a prolonged deceleration [1]_, for a rate below 110, and for
        a fall that ended less than 2 min ago.

    Notes
    -----
    The model was taught to be right on average, and a wrong calm is worse than a
    wrong alarm.

    References
    ----------
    .. [1] Clinical rules section 1.5 (K).
    """
    peak = measure_peaks(runs, depth)
    lowest = -measure_peaks(runs, np.where(np.isfinite(rate), -rate, -np.inf))
    duration_s = (runs[:, 2] - runs[:, 1]) / FS_HZ
    ended_s = (depth.shape[-1] - runs[:, 2]) / FS_HZ
    is_deep = (peak >= PROTECTED_FALL_BPM) & (duration_s >= PROTECTED_FALL_S)
    is_serious = duration_s >= rules.PROLONGED_MIN_S.value
    is_serious |= (lowest < PROTECTED_RATE_BPM) | (ended_s < FINAL_AFTER_S)
    protected: BoolArray = is_deep | (is_serious & (peak >= rules.PROLONGED_MIN_DROP_BPM.value))
    return protected
