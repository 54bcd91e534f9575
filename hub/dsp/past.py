"""What is kept of every live fetus between two updates: rings in time, and lists of findings."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hub.dsp.baseline import BLOCK_S, N_BINS, STEP_S
from hub.dsp.false_signal import FalseSignal
from hub.dsp.features import FALSE_AT
from hub.dsp.sinusoidal import HOP_S
from hub.dsp.suspicion import PROBABILITY_OWN
from hub.model import FS_HZ, Acceleration, Classification, Contraction, Deceleration

MINUTE: Final = round(60 * FS_HZ)
STEP: Final = round(STEP_S * FS_HZ)
BLOCK: Final = round(BLOCK_S * FS_HZ)
HOP: Final = round(HOP_S * FS_HZ)
DRAWN: Final = round(5 * FS_HZ)
"""Samples between two values of the baseline that is shown."""
SAMPLES_KEPT_MIN: Final = 48
"""Minutes of what an update may begin from: more than the longest stretch that is analysed anew."""
COST_KEPT_MIN: Final = 36
"""The same of its costs, which are large: an update begins at most 31 min back."""
FINDINGS_KEPT_MIN: Final = 80
"""Minutes of what the guideline looks back at: an hour, and what the origin may lag behind."""

Ticks = npt.NDArray[np.int64]

_PROBABILITY_STEPS: Final = 50
_SHOWN_FROM: Final = _PROBABILITY_STEPS + 1
_NO_SAMPLE: Final = 63
_SHOWN_STEPS: Final = _NO_SAMPLE - 1 - _SHOWN_FROM
_COINCIDENT: Final = 64
_DOUBLED: Final = 128


@dataclass(slots=True)
class Findings:
    """What was found so far in one fetus; times in s from its origin."""

    accelerations: list[Acceleration] = field(default_factory=list)
    decelerations: list[Deceleration] = field(default_factory=list)
    contractions: list[Contraction] = field(default_factory=list)
    segments: list[Classification] = field(default_factory=list)
    suspect_spans_s: list[tuple[float, float]] = field(default_factory=list)


class Past:
    """Rows of fetuses, their values in rings.

    A time is a count of 4 Hz ticks since 1970; a ring holds `t` at `t` modulo its length.
    The newest values of a ring are provisional: an update overwrites them from where
    it begins.  What is older than that is final.
    """

    def __init__(self, capacity: int) -> None:
        self.findings = [Findings() for _ in range(capacity)]
        self.phase: Ticks = np.zeros(capacity, np.int64)
        """Ticks by which the row's 10 s steps are put off, so that not all rows are due at once."""
        self.begin: Ticks = np.zeros(capacity, np.int64)
        """First tick with signal."""
        self.end: Ticks = np.zeros(capacity, np.int64)
        """Behind the newest tick analysed; 0: none yet."""
        self.origin: Ticks = np.zeros(capacity, np.int64)
        self.maternal: Ticks = np.zeros(capacity, np.int64)
        """Newest tick with a maternal rate; 0: none."""
        self.cost = np.zeros((capacity, COST_KEPT_MIN, N_BINS), np.float32)
        """Of the baseline's path up to each minute, less its least."""
        self.blocks = np.zeros((capacity, SAMPLES_KEPT_MIN * MINUTE // BLOCK), np.float32)
        """The line of the baseline by block of 2 s."""
        self.is_inside = np.ones((capacity, SAMPLES_KEPT_MIN), np.bool_)
        """Whether an update that began at a minute would cut something in two."""
        self.path = np.zeros((capacity, SAMPLES_KEPT_MIN * MINUTE // STEP), np.float32)
        self.false = np.zeros((capacity, SAMPLES_KEPT_MIN * MINUTE), np.uint8)
        self.learned: Ticks = np.arange(capacity)
        """Row in which the learned detector's state is found: of a copy, the row that was copied."""
        self.line = np.zeros((capacity, FINDINGS_KEPT_MIN * MINUTE // DRAWN), np.float32)
        self.pieces = np.zeros((capacity, FINDINGS_KEPT_MIN), np.float32)
        self.hops = np.zeros((capacity, FINDINGS_KEPT_MIN * MINUTE // HOP), np.float32)
        self._free = list(range(capacity - 1, -1, -1))

    @property
    def bytes_per_row(self) -> int:
        """Memory of the arrays of one row."""
        return sum(x.nbytes // x.shape[0] for _, x in self._arrays())

    def open_row(self, phase: int) -> int:
        """Take a row for a fetus; room is made where there is none."""
        if not self._free:
            self._grow()
        row = self._free.pop()
        self.reset(row)
        self.phase[row] = phase
        return row

    def copy_row(self, source: int) -> int:
        """Take a row that knows what another knows now."""
        row = self.open_row(0)
        for _, x in self._arrays():
            x[row] = x[source]
        known = self.findings[source]
        self.findings[row] = Findings(
            known.accelerations,
            known.decelerations,
            known.contractions,
            known.segments,
            known.suspect_spans_s,
        )
        return row

    def close_row(self, row: int) -> None:
        """Give a row back."""
        self._free.append(row)

    def reset(self, row: int) -> None:
        """Forget all that a row knows."""
        self.findings[row] = Findings()
        for x in (self.begin, self.end, self.origin, self.maternal):
            x[row] = 0
        self.learned[row] = row
        self.is_inside[row] = True
        for ring in (self.line, self.pieces, self.hops):
            ring[row] = np.nan

    def _arrays(self) -> list[tuple[str, npt.NDArray[Any]]]:
        return [(name, x) for name, x in vars(self).items() if isinstance(x, np.ndarray)]

    def _grow(self) -> None:
        n_rows = len(self.findings)
        self.findings += [Findings() for _ in range(n_rows)]
        for name, x in self._arrays():
            setattr(self, name, np.concatenate((x, np.zeros_like(x))))
        self._free.extend(range(2 * n_rows - 1, n_rows - 1, -1))


def read_ring(ring: npt.NDArray[Any], rows: Ticks, first: Ticks, n: int) -> npt.NDArray[Any]:
    """Copy `n` values of each row from its index `first` on, shape (n_rows, n, ...)."""
    return np.asarray(ring[rows[:, None], (first[:, None] + np.arange(n)) % ring.shape[1]])


def write_ring(ring: npt.NDArray[Any], rows: Ticks, first: Ticks, values: npt.NDArray[Any]) -> None:
    """Write values, shape (n_rows, n, ...), over those of each row from its index `first` on."""
    ring[rows[:, None], (first[:, None] + np.arange(values.shape[1])) % ring.shape[1]] = values


def pack_false(false: FalseSignal) -> npt.NDArray[np.uint8]:
    """Put what is suspected of each sample into a byte.

    The probability keeps steps of 2 %, rounded down.  Beyond them lies what is only shown
    as suspected: its sample counts, as one of `PROBABILITY_OWN`.
    """
    is_sample = np.isfinite(false.probability)
    steps = np.where(is_sample, false.probability * _PROBABILITY_STEPS + 1e-9, _NO_SAMPLE).astype(np.uint8)
    if false.shown is not None:
        only_shown = (false.shown >= FALSE_AT) & (false.probability < FALSE_AT)
        share = (false.shown[only_shown] - FALSE_AT) / (1 - FALSE_AT)
        steps[only_shown] = _SHOWN_FROM + np.floor(share * _SHOWN_STEPS + 1e-9).astype(np.uint8)
    steps[false.is_coincident] |= _COINCIDENT
    steps[false.is_doubling_halving] |= _DOUBLED
    return steps


def unpack_false(packed: npt.NDArray[np.uint8], is_checked: npt.NDArray[np.bool_]) -> FalseSignal:
    """Undo `pack_false`; `is_checked` says of each row whether there was a maternal rate."""
    steps = packed & _NO_SAMPLE
    shown = np.where(steps == _NO_SAMPLE, np.nan, steps / _PROBABILITY_STEPS)
    only_shown = (steps >= _SHOWN_FROM) & (steps < _NO_SAMPLE)
    probability = np.where(only_shown, PROBABILITY_OWN, shown)
    shown[only_shown] = FALSE_AT + (steps[only_shown] - _SHOWN_FROM) / _SHOWN_STEPS * (1 - FALSE_AT)
    return FalseSignal(
        probability, (packed & _COINCIDENT).astype(bool), (packed & _DOUBLED).astype(bool), is_checked, shown
    )
