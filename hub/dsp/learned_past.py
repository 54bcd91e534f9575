"""What the learned detector knows of every live fetus between two updates."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from hub.dsp.learned import LIVE_DELAY, REVISED_DELAY, LearnedStream
from hub.dsp.network import Network
from hub.dsp.past import MINUTE, SAMPLES_KEPT_MIN, Past, Ticks, read_ring, write_ring
from hub.dsp.quality import remove_impossible
from hub.model import BoolArray, FloatArray

_STEPS: Final = 250
_RING: Final = SAMPLES_KEPT_MIN * MINUTE


class LearnedPast:
    """Probabilities of the last minutes of rows, carried on as their samples come.

    A row whose samples are new continues where it was; one of which old samples
    changed, or that was given to another fetus, is followed anew through the signal
    that its update reads.

    Parameters
    ----------
    network : Network
        The weights.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._stream = LearnedStream(network, 0)
        self._end: Ticks = np.zeros(0, np.int64)
        self._ring = np.zeros((0, _RING), np.uint8)

    def follow(
        self, past: Past, rows: Ticks, ends: Ticks, is_changed: BoolArray, signals: Sequence[FloatArray]
    ) -> None:
        """Follow the signal of some rows up to the tick behind the last.

        Parameters
        ----------
        past : Past
            The rows, as they were after the update before.
        rows, ends : ndarray of int, shape (n_rows,)
            Rows, and the tick behind the last sample of each.
        is_changed : ndarray of bool, shape (n_rows,)
            Nothing that was judged before holds.
        signals : sequence of three ndarrays, shape (n_rows, n_samples)
            Fetal rate, maternal rate and uterine activity, a whole number of 2 s steps.
        """
        self._make_room(len(past.findings))
        n = signals[0].shape[-1]
        self._take_copies(past, rows)
        is_known = ~is_changed & (self._end[rows] == past.end[rows]) & (ends - self._end[rows] <= n)
        n_new = np.where(is_known, ends - self._end[rows], n)
        for size in np.unique(n_new[n_new > 0]).tolist():
            k = np.flatnonzero(n_new == size)
            newest = [x[k, n - size :] for x in signals]
            self._push(rows[k], ends[k], newest, is_anew=size == n)
        self._end[rows] = ends

    def read(self, rows: Ticks, first: Ticks, fhr: FloatArray) -> FloatArray:
        """Give the probability that each sample is not the fetus, NaN where `fhr` has none.

        `fhr` has shape (n_rows, n_samples) and begins at the ticks `first`.
        """
        probability = read_ring(self._ring, rows, first, fhr.shape[-1]) / _STEPS
        return np.where(np.isfinite(fhr), probability, np.nan)

    def find_suspect(self, rows: Ticks, first: Ticks, n: int) -> BoolArray:
        """Say which rows hold a tick, of the `n` from `first` on, that is rather not the fetus."""
        return np.asarray((read_ring(self._ring, rows, first, n) >= _STEPS // 2).any(axis=-1))

    def _take_copies(self, past: Past, rows: Ticks) -> None:
        """Give copied rows what is known of their sources; where those have moved on, it will not fit."""
        copies = rows[past.learned[rows] != rows]
        if copies.size:
            sources = past.learned[copies]
            self._stream.store(copies, self._stream.select(sources))
            self._ring[copies], self._end[copies] = self._ring[sources], self._end[sources]
            past.learned[copies] = copies

    def _push(self, rows: Ticks, ends: Ticks, signals: Sequence[FloatArray], *, is_anew: bool) -> None:
        fhr, mhr, toco = signals
        n = fhr.shape[-1]
        part = LearnedStream(self._network, rows.size) if is_anew else self._stream.select(rows)
        decided = part.push(remove_impossible(fhr), remove_impossible(mhr), toco)
        self._stream.store(rows, part)
        answers = [(decided.now, 0), (decided.live, LIVE_DELAY)]
        if decided.revised is not None:
            answers.append((decided.revised, REVISED_DELAY))
        for answer, delay in answers:
            first = ends - n - delay
            known = read_ring(self._ring, rows, first, n)
            packed = np.where(np.isfinite(answer), np.rint(answer * _STEPS), known).astype(np.uint8)
            write_ring(self._ring, rows, first, packed)

    def _make_room(self, n_rows: int) -> None:
        missing = n_rows - self._end.size
        if missing <= 0:
            return
        stream = LearnedStream(self._network, n_rows)
        stream.store(slice(0, self._end.size), self._stream)
        self._stream = stream
        self._end = np.concatenate((self._end, np.zeros(missing, np.int64)))
        self._ring = np.concatenate((self._ring, np.zeros((missing, _RING), np.uint8)))
