"""The learned acceptance of contractions: a weighted sum of six numbers for each peak of the toco curve."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hub.model import BoolArray, FloatArray

MIN_PROMINENCE: Final = 5.0
"""Peaks below this are not looked at, in toco units of the smoothed curve."""
PROTECTED_PROMINENCE: Final = 20.0
"""A peak this prominent counts whatever the model says: tachysystole must not be reasoned away (E)."""
GAP_BEFORE_MAX_S: Final = 300.0
GAP_AFTER_MAX_S: Final = 120.0
"""Farther away than this, or not there yet, is all the same: so an answer is final after 2 min."""
NOISE_REACH_S: Final = 20.0
FARTHEST: Final = 3.0
"""Standard deviations beyond which a number says no more."""

PEAK_FEATURES: Final = (
    "log_prominence",
    "log_width",
    "log_height",
    "log_gap_before",
    "log_gap_after",
    "log_noise",
)
"""Names of the columns; weights are bound to their order."""


@dataclass(frozen=True, slots=True, eq=False)
class ContractionModel:
    """Logistic regression on the columns of `describe_peaks`."""

    mean: FloatArray
    scale: FloatArray
    weight: FloatArray
    bias: float
    accept_at: float

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ContractionModel":
        """Build the model from the arrays of the weights file.

        Raises
        ------
        KeyError, ValueError
            If an array is missing or was made for other numbers.
        """
        names = tuple(str(name) for name in arrays["peak_features"])
        if names != PEAK_FEATURES:
            msg = f"contraction weights: expected features {PEAK_FEATURES}, got {names}"
            raise ValueError(msg)
        return cls(
            mean=arrays["contraction_mean"].astype(np.float64),
            scale=arrays["contraction_scale"].astype(np.float64),
            weight=arrays["contraction_weight"].astype(np.float64),
            bias=float(arrays["contraction_bias"]),
            accept_at=float(arrays["contraction_accept_at"]),
        )

    def predict(self, rows: FloatArray) -> FloatArray:
        """Give the probability that an expert would have marked each peak."""
        standard = np.clip((rows - self.mean) / self.scale, -FARTHEST, FARTHEST)
        probability: FloatArray = 1.0 / (1.0 + np.exp(-(standard @ self.weight + self.bias)))
        return probability

    def accept(self, rows: FloatArray) -> BoolArray:
        """Say which peaks are contractions.

        Parameters
        ----------
        rows : ndarray, shape (n_peaks, len(PEAK_FEATURES))
            As `describe_peaks` gives them.

        Returns
        -------
        ndarray of bool, shape (n_peaks,)
            True as well for every peak of 20 units or more.
        """
        is_protected = rows[:, 0] >= np.log(PROTECTED_PROMINENCE)
        accepted: BoolArray = is_protected | (self.predict(rows) >= self.accept_at)
        return accepted


def describe_peaks(
    peak_s: FloatArray, *, prominence: FloatArray, width_s: FloatArray, height: FloatArray, noise: FloatArray
) -> FloatArray:
    """Describe the peaks of one bed.

    Parameters
    ----------
    peak_s : ndarray, shape (n_peaks,)
        Time of each peak in s, in time order.
    prominence, height, noise : ndarray, shape (n_peaks,)
        Prominence and height over the resting tone of the smoothed curve, and the
        mean distance of the unsmoothed one from it near the peak, in toco units.
    width_s : ndarray, shape (n_peaks,)
        Width in s.

    Returns
    -------
    ndarray, shape (n_peaks, len(PEAK_FEATURES))
        One row for each peak.
    """
    between = np.diff(peak_s)
    before = np.minimum(np.concatenate(([GAP_BEFORE_MAX_S], between)), GAP_BEFORE_MAX_S)
    after = np.minimum(np.concatenate((between, [GAP_AFTER_MAX_S])), GAP_AFTER_MAX_S)
    columns = (
        np.log(prominence),
        np.log(width_s),
        np.log(np.maximum(height, 3.0)),
        np.log(before),
        np.log(after),
        np.log(1.0 + noise),
    )
    return np.stack(columns, axis=1)
