"""How events found are held against events marked by experts: matching, rates, intervals over records."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from hub.model import FS_HZ, BoolArray, FloatArray

MIN_OVERLAP_S = 5.0
MAX_UNSCORED = 1 / 3
"""Of an event's samples; with more, it counts neither way."""
CLEAR_BPM = 20.0
CLEAR_S = 25.0
"""An event is clear from this departure (mean of 3 s) and duration on."""


@dataclass(frozen=True)
class Counts:
    """Events of one record, or of many added up."""

    matched: int = 0
    expert: int = 0
    found: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.matched + other.matched, self.expert + other.expert, self.found + other.found)

    @property
    def sensitivity(self) -> float:
        return self.matched / self.expert if self.expert else 1.0

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 1.0

    @property
    def f(self) -> float:
        return 2 * self.matched / (self.expert + self.found) if self.expert + self.found else 1.0

    def as_array(self) -> FloatArray:
        return np.array([self.matched, self.expert, self.found], np.float64)

    def __str__(self) -> str:
        return f"{self.f:.3f} ({self.sensitivity:.2f} / {self.precision:.2f})"


def leave_out_unscored(spans_s: FloatArray, is_scored: BoolArray) -> FloatArray:
    """Drop events of which too much lies where there is no signal or no opinion."""
    unscored = np.concatenate(([0], np.cumsum(~is_scored)))
    ends = np.clip(np.round(spans_s * FS_HZ).astype(np.intp), 0, is_scored.size)
    missing = unscored[ends[:, 1]] - unscored[ends[:, 0]]
    is_used: BoolArray = missing <= MAX_UNSCORED * np.maximum(ends[:, 1] - ends[:, 0], 1)
    return spans_s[is_used]


def match(expert_s: FloatArray, found_s: FloatArray) -> npt.NDArray[np.intp]:
    """Pair as many events as overlap by more than 5 s: for each expert event its partner, or -1."""
    if not len(expert_s) or not len(found_s):
        return np.full(len(expert_s), -1)
    overlap = np.minimum(expert_s[:, None, 1], found_s[:, 1]) - np.maximum(
        expert_s[:, None, 0], found_s[:, 0]
    )
    partner = maximum_bipartite_matching(csr_matrix(overlap > MIN_OVERLAP_S), perm_type="column")
    return partner.astype(np.intp)


def label(expert_s: FloatArray, found_s: FloatArray) -> FloatArray:
    """Give 1 for each event found that is the partner of an expert's, the best overlap first."""
    labels = np.zeros(len(found_s))
    if not len(expert_s) or not len(found_s):
        return labels
    overlap = np.minimum(expert_s[:, None, 1], found_s[:, 1]) - np.maximum(
        expert_s[:, None, 0], found_s[:, 0]
    )
    while True:
        i, j = np.unravel_index(overlap.argmax(), overlap.shape)
        if overlap[i, j] <= MIN_OVERLAP_S:
            return labels
        labels[j] = 1.0
        overlap[i, :] = overlap[:, j] = -np.inf


def count(expert_s: FloatArray, found_s: FloatArray, is_scored: BoolArray) -> Counts:
    """Count one record."""
    expert_s, found_s = (leave_out_unscored(x, is_scored) for x in (expert_s, found_s))
    return Counts(int((match(expert_s, found_s) >= 0).sum()), len(expert_s), len(found_s))


def count_clear(
    expert_s: FloatArray, found_s: FloatArray, is_scored: BoolArray, away_bpm: FloatArray
) -> FloatArray:
    """Count clear marks that were found, clear marks, clear findings that were marked, clear findings.

    `away_bpm` is the departure from the experts' baseline in the direction of the events, shape (n_samples,).
    """
    expert_s, found_s = (leave_out_unscored(x, is_scored) for x in (expert_s, found_s))
    partner = match(expert_s, found_s)
    is_partner = np.isin(np.arange(len(found_s)), partner)
    clear_expert, clear_found = (find_clear(x, away_bpm) for x in (expert_s, found_s))
    return np.array(
        [
            (clear_expert & (partner >= 0)).sum(),
            clear_expert.sum(),
            (clear_found & is_partner).sum(),
            clear_found.sum(),
        ],
        np.float64,
    )


def find_clear(spans_s: FloatArray, away_bpm: FloatArray) -> BoolArray:
    """Say which events are long and large enough to be clear."""
    return np.array(
        [
            end_s - start_s >= CLEAR_S
            and away_bpm[round(start_s * FS_HZ) : round(end_s * FS_HZ)].max() >= CLEAR_BPM
            for start_s, end_s in spans_s
        ],
        dtype=bool,
    )


def interval_of_f(counts: Sequence[Counts], *, n_draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Give the 95 % interval of the pooled F over records drawn with replacement."""
    table = np.array([(c.matched, c.expert, c.found) for c in counts], dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(table), (n_draws, len(table)))
    matched, expert, found = np.moveaxis(table[drawn].sum(axis=1), -1, 0)
    low, high = np.quantile(2 * matched / (expert + found), (0.025, 0.975))
    return float(low), float(high)
