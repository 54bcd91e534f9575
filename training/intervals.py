"""How sure a pooled figure is: over records drawn with replacement, and over random halves of the records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hub.model import FloatArray

N_DRAWS = 2000
N_HALVES = 1000

Statistic = Callable[[FloatArray], FloatArray]
"""From counts added up, shape (..., n_counts), to figures, shape (...)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over all records and how it varies."""

    value: float
    low: float
    high: float
    """95 % interval, records drawn with replacement."""
    half_low: float
    half_high: float
    """5th and 95th percentile over random halves of the records."""


def measure(counts: Sequence[FloatArray] | FloatArray, statistic: Statistic, *, seed: int = 0) -> Figure:
    """Compute a figure from the counts of each record, shape (n_records, n_counts)."""
    table = np.asarray(counts, np.float64)
    rng = np.random.default_rng(seed)
    n = len(table)
    drawn = rng.integers(0, n, (N_DRAWS, n))
    half = np.argsort(rng.random((N_HALVES, n)), axis=1)[:, : n // 2]
    low, high = np.nanpercentile(statistic(table[drawn].sum(axis=1)), (2.5, 97.5))
    half_low, half_high = np.nanpercentile(statistic(table[half].sum(axis=1)), (5, 95))
    return Figure(
        float(statistic(table.sum(axis=0))), float(low), float(high), float(half_low), float(half_high)
    )


def ratio(counts: FloatArray) -> FloatArray:
    """Divide the first count by the second."""
    return np.asarray(counts[..., 0] / np.where(counts[..., 1] > 0, counts[..., 1], np.nan))


def f_of_events(counts: FloatArray) -> FloatArray:
    """F of counts of matched, expert and found events."""
    return np.asarray(2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1.0))


def f_of_clear_events(counts: FloatArray) -> FloatArray:
    """F of counts of clear marks found, clear marks, clear findings marked, clear findings."""
    sensitivity = counts[..., 0] / np.maximum(counts[..., 1], 1.0)
    precision = counts[..., 2] / np.maximum(counts[..., 3], 1.0)
    return np.asarray(2 * sensitivity * precision / np.maximum(sensitivity + precision, 1e-9))
