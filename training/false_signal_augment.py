"""Make more of the labelled records: pasted switches, exchanged mothers, losses, shifts and scales."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hub.dsp.running import STEP_SAMPLES
from training.false_signal_records import (
    FALSE,
    PASTED,
    TRUE,
    UNDECIDED,
    Float32Array,
    Labels,
    Record,
    find_false_stretches,
)

FS_HZ: Final = 4
MATERNAL_BPM: Final = 8.0
"""Median distance up to which a false stretch counts as the maternal rate."""
LOWEST_BPM: Final = 30.0
HIGHEST_BPM: Final = 240.0


@dataclass(slots=True)
class Example:
    """A piece of a record that may be changed."""

    fhr: Float32Array
    mhr: Float32Array
    toco: Float32Array
    label: Labels


class Augmenter:
    """Cuts pieces out of records and changes them at random.

    Parameters
    ----------
    records : sequence of Record
        Where false stretches and mothers are borrowed from: training records only.
    rng : numpy.random.Generator
        Source of chance.
    hide_mother : float
        Share of pieces that lose their maternal channel, so that one network learns both.
    """

    def __init__(self, records: Sequence[Record], rng: np.random.Generator, *, hide_mother: float) -> None:
        self._rng = rng
        self._hide_mother = hide_mother
        self._false = [
            (r.fhr[a:b], r.mhr[a:b])
            for r in records
            for a, b in find_false_stretches(r)
            if b - a >= 5 * FS_HZ
        ]
        weight = np.sqrt([fhr.size for fhr, _ in self._false])
        self._share = weight / weight.sum()
        self._mothers = [r.mhr for r in records if np.isfinite(r.mhr).mean() > 0.3]

    def draw(self, record: Record, most_steps: int) -> Example:
        """Cut a piece of at most `most_steps` steps and change it."""
        rng = self._rng
        piece = self._crop(record, most_steps)
        n = piece.fhr.size
        is_clean = not ((piece.label == FALSE) & np.isfinite(piece.fhr)).any()
        if is_clean and self._mothers and rng.random() < 0.35:
            self._exchange_mother(piece)
        if is_clean and rng.random() < 0.3:
            piece.fhr += np.float32(rng.uniform(-12, 12))
        scale = np.float32(np.exp(rng.normal(0, 0.04)))
        piece.fhr *= scale
        piece.mhr *= scale
        if self._false and rng.random() < 0.6:
            for _ in range(rng.integers(1, 5)):
                self._paste(piece)
        if rng.random() < 0.1:
            self._double_or_halve(piece)
        if rng.random() < 0.35:
            self._lose(piece.fhr, int(rng.integers(1, 10)), mean_s=8)
        if rng.random() < 0.3:
            self._lose(piece.mhr, int(rng.integers(1, 6)), mean_s=60)
        if rng.random() < 0.15:
            piece.fhr += rng.normal(0, 0.5, n).astype(np.float32)
        if rng.random() < self._hide_mother:
            piece.mhr[:] = np.nan
        if rng.random() < 0.1:
            piece.toco[:] = np.nan
        with np.errstate(invalid="ignore"):
            piece.fhr[(piece.fhr < LOWEST_BPM) | (piece.fhr > HIGHEST_BPM)] = np.nan
        return piece

    def _crop(self, record: Record, most_steps: int) -> Example:
        n_steps = record.fhr.size // STEP_SAMPLES
        first = int(self._rng.integers(0, max(n_steps - most_steps, 0) + 1))
        cut = slice(first * STEP_SAMPLES, (first + most_steps) * STEP_SAMPLES)
        fhr, mhr, toco = (x[cut].copy() for x in (record.fhr, record.mhr, record.toco))
        return Example(fhr, mhr, toco, record.label[cut].copy())

    def _exchange_mother(self, piece: Example) -> None:
        rng, n = self._rng, piece.fhr.size
        other = self._mothers[rng.integers(len(self._mothers))]
        first = int(rng.integers(0, max(1, other.size - n)))
        part = other[first : first + n]
        piece.mhr[:] = np.nan
        piece.mhr[: part.size] = part + np.float32(rng.choice([0.0, 0.0, rng.uniform(-10, 40)]))

    def _paste(self, piece: Example) -> None:
        """Put a false stretch of some record here, as near to this mother as it was to its own."""
        rng, n = self._rng, piece.fhr.size
        fhr, mhr = self._false[rng.choice(len(self._false), p=self._share)]
        length = min(fhr.size, int(FS_HZ * np.exp(rng.normal(3.6, 1.0))) + 8, n // 2)
        first = int(rng.integers(0, fhr.size - length + 1))
        fhr, mhr = fhr[first : first + length], mhr[first : first + length]
        at = int(rng.integers(0, n - length + 1))
        here = slice(at, at + length)
        if (piece.label[here] == UNDECIDED).mean() > 0.5:
            return
        pairs = np.isfinite(fhr) & np.isfinite(mhr)
        is_maternal = pairs.sum() > 0.5 * length and np.median(np.abs(fhr - mhr)[pairs]) < MATERNAL_BPM
        if is_maternal and np.isfinite(piece.mhr[here]).mean() >= 0.5:
            apart = fhr - mhr
            known = np.maximum.accumulate(np.where(np.isfinite(apart), np.arange(length), 0))
            new = piece.mhr[here] + np.where(np.isfinite(fhr), apart[known], np.nan)
        elif is_maternal and np.isfinite(piece.mhr).any():
            return
        elif is_maternal:
            new = fhr + np.float32(rng.normal(0, 6))
        else:
            new = fhr * np.float32(np.exp(rng.normal(0, 0.05)))
        piece.fhr[here] = new
        piece.label[here] = np.where(np.isfinite(new), PASTED, piece.label[here])
        for edge, side in ((at, 1), (at + length, -1)):
            if rng.random() < 0.5:
                gap = edge + side * int(FS_HZ * rng.exponential(3))
                piece.fhr[max(min(edge, gap), 0) : max(edge, gap)] = np.nan

    def _double_or_halve(self, piece: Example) -> None:
        rng = self._rng
        at = int(rng.integers(0, piece.fhr.size))
        here = slice(at, at + int(FS_HZ * np.exp(rng.normal(2.5, 1.0))))
        is_true = piece.label[here] == TRUE
        valid = np.isfinite(piece.fhr[here])
        if not (is_true & valid).any():
            return
        factor = np.float32(2.0 if piece.fhr[here][valid].mean() < 105 else 0.5)
        piece.fhr[here] = np.where(is_true, piece.fhr[here] * factor, piece.fhr[here])
        piece.label[here] = np.where(is_true, PASTED, piece.label[here])

    def _lose(self, signal: npt.NDArray[np.float32], times: int, *, mean_s: float) -> None:
        for _ in range(times):
            at = int(self._rng.integers(0, signal.size))
            signal[at : at + int(FS_HZ * self._rng.exponential(mean_s))] = np.nan
