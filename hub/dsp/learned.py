"""The learned detector of false signals: samples in, probabilities out, live and revised."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hub.dsp.chosen_weights import SHIPPED, find_weights
from hub.dsp.false_signal_features import FeatureStream
from hub.dsp.false_signal_pieces import listen_to_pieces
from hub.dsp.network import (
    AFTER_STEPS,
    CHUNK_STEPS,
    LIVE_AHEAD,
    REVISED_AHEAD,
    HeadStream,
    Hindsight,
    Network,
    RecurrentStream,
)
from hub.dsp.quality import find_spikes
from hub.dsp.running import STEP_SAMPLES, BedIndex, Float32Array, RealArray, Rows, copy_rows
from hub.model import FS_HZ, BoolArray, FloatArray

WEIGHTS: Final = SHIPPED / "false_signal.npz"
HINDSIGHT: Final = SHIPPED / "false_signal_hindsight.npz"
"""What reads whole records again from behind; live beds do without."""
LIVE_DELAY: Final = sum(LIVE_AHEAD) * STEP_SAMPLES
REVISED_DELAY: Final = sum(REVISED_AHEAD) * STEP_SAMPLES
"""Samples by which the answers come later, besides the rest of their step."""
ALONG_S: Final = 12.0
ALONG_SHARE: Final = 0.9
ALONG_BPM: Final = 4.0
"""A trace that has kept so near to the maternal rate for so long is marked whatever the network says (E)."""
PROBABILITY_ALONG: Final = 0.6
FAR_OUT: Final = 1e4
"""No signal goes so far; single precision does."""
BLOCK_BEDS: Final = 125
"""Beds worked on at a time, a chunk of steps each, so that what is worked on stays in the cache."""


def load_network(path: Path | None = None) -> Network | None:
    """Read the weights, those in use if no path is given; None if there is no file: then rules do alone.

    Raises
    ------
    KeyError, ValueError
        If the file is there but is not a weights file.
    """
    if path is not None:
        return _read_network(path, None)
    return _read_network(find_weights(WEIGHTS.name), find_weights(HINDSIGHT.name))


@cache
def _read_network(path: Path, hindsight: Path | None) -> Network | None:
    if not path.exists():
        return None
    network = Network.from_arrays(_read_arrays(path))
    if hindsight is None or not hindsight.exists():
        return network
    return replace(network, hindsight=Hindsight.from_arrays(_read_arrays(hindsight)))


def _read_arrays(path: Path) -> dict[str, Float32Array]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What a block of n samples decided; shape (n_beds, n), NaN where a bed had not begun."""

    now: FloatArray
    """Probabilities of the samples of the block."""
    live: FloatArray
    """Of the samples `LIVE_DELAY` before them."""
    revised: FloatArray | None
    """Of the samples `REVISED_DELAY` before them."""


class AlongStream:
    """Watch for traces that keep to the maternal rate, so that a capture is flagged within seconds.

    A sample is marked when at least half of the last 12 s are pairs of both rates
    and nine tenths of these pairs lie within 4 beats/min.
    """

    def __init__(self, n_beds: int) -> None:
        self._apart = np.full((n_beds, round(ALONG_S * FS_HZ)), np.nan, np.float32)

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        return [self._apart]

    def push(self, fhr: RealArray, mhr: RealArray) -> BoolArray:
        """Take the next samples, shape (n_beds, n_samples); say which of them are marked."""
        width = self._apart.shape[-1]
        apart = np.concatenate((self._apart, np.abs(fhr - mhr).astype(np.float32)), axis=-1)
        self._apart = apart[:, apart.shape[-1] - width :].copy()
        n_pairs = count_last(np.isfinite(apart), width)
        n_close = count_last(apart <= ALONG_BPM, width)
        return np.asarray((n_pairs >= width / 2) & (n_close >= ALONG_SHARE * n_pairs))


class LearnedStream:
    """Follow some beds live.

    Parameters
    ----------
    network : Network
        The weights.
    n_beds : int
        Number of beds, all starting now.
    is_revised : bool
        Compute the revised probabilities too, at 19 kB of memory for each bed.

    Notes
    -----
    How the stream was cut into blocks does not matter.  Beds that are not in step
    with the others are taken out with `select`, pushed by themselves and put back
    with `store`.
    """

    def __init__(self, network: Network, n_beds: int, *, is_revised: bool = True) -> None:
        self._network, self._is_revised = network, is_revised
        self._features = FeatureStream(n_beds)
        self._recurrent = RecurrentStream(network, n_beds)
        heads = (network.now, network.live, network.revised) if is_revised else (network.now, network.live)
        self._heads = [HeadStream(head, n_beds) for head in heads]
        self._along = AlongStream(n_beds)
        self._age = np.zeros(n_beds, np.int64)

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        streams: list[Rows] = [self._features, self._recurrent, *self._heads, self._along]
        return [self._age, *(part for stream in streams for part in stream.parts())]

    def select(self, rows: BedIndex) -> "LearnedStream":
        """Copy some beds into a stream of their own."""
        part = LearnedStream(self._network, self._age[rows].size, is_revised=self._is_revised)
        copy_rows(self, rows, part, slice(None))
        return part

    def store(self, rows: BedIndex, part: "LearnedStream") -> None:
        """Carry on with what `part` knows of some beds."""
        copy_rows(part, slice(None), self, rows)

    def reset(self, rows: BedIndex) -> None:
        """Begin some beds anew."""
        self.store(rows, LearnedStream(self._network, self._age[rows].size, is_revised=self._is_revised))

    def push(self, fhr: FloatArray, mhr: FloatArray, toco: FloatArray) -> Decided:
        """Take the next samples of all beds.

        Parameters
        ----------
        fhr, mhr, toco : ndarray, shape (n_beds, n_samples)
            As in `estimate_learned`; a whole number of steps of 8 samples.

        Returns
        -------
        Decided
            Probabilities; those of lost samples have no meaning.

        Raises
        ------
        ValueError
            If the shapes differ or the length is not a multiple of 8.
        """
        joined = self._recurrent.push(_time_first(self._features.push(fhr, mhr, toco)))
        sample = self._age[:, None] + np.arange(fhr.shape[-1])
        self._age = self._age + fhr.shape[-1]
        answers = []
        for head, delay in zip(self._heads, (0, LIVE_DELAY, REVISED_DELAY), strict=False):
            answer = _to_samples(head.push(joined))
            answers.append(np.where(sample >= delay, answer, np.nan))
        now = _raise_along(answers[0], self._along.push(fhr, mhr))
        return Decided(now, answers[1], answers[2] if self._is_revised else None)


def estimate_learned(
    network: Network, fhr: FloatArray, mhr: FloatArray, toco: FloatArray, *, is_revised: bool = True
) -> FloatArray:
    """Estimate how probable it is that each sample of whole records is not the fetus.

    Parameters
    ----------
    network : Network
        The weights.
    fhr, mhr, toco : ndarray, shape (n_beds, n_samples)
        Heart rates in beats/min and uterine activity in monitor units at 4 Hz.
        NaN marks loss; an absent channel is all NaN.
    is_revised : bool
        Use up to 300 s of what follows a sample; else at most 30 s.

    Returns
    -------
    ndarray, shape (n_beds, n_samples)
        NaN where `fhr` is.  Revised, what `Hindsight` says of the trace without its
        spikes.  Without its weights, or not revised, what `LearnedStream` would have
        said of each sample by the end of the record: the last 298 s are not revised
        then, and the last 28 s are decided at once.
    """
    n_beds, n = fhr.shape
    missing = -n % STEP_SAMPLES
    probability = np.empty((n_beds, n))
    heard = fhr
    if is_revised and network.hindsight is not None:
        heard = np.where(find_spikes(fhr), np.nan, fhr)
    for first in range(0, n_beds, BLOCK_BEDS):
        group = slice(first, first + BLOCK_BEDS)
        padded = np.full((3, fhr[group].shape[0], n + missing), np.nan, np.float32)
        for k, signal in enumerate((heard, mhr, toco)):
            padded[k, :, :n] = np.clip(signal[group], -FAR_OUT, FAR_OUT)
        probability[group] = _estimate_group(network, padded, is_revised=is_revised)[:, :n]
    probability[np.isnan(fhr)] = np.nan
    return probability


def _estimate_group(network: Network, signals: Float32Array, *, is_revised: bool) -> FloatArray:
    n_beds, n_steps = signals.shape[1], signals.shape[2] // STEP_SAMPLES
    if n_steps == 0:
        return np.empty((n_beds, 0))
    chunks = _follow(network, signals)
    if is_revised and network.hindsight is not None:
        logits = np.concatenate(_look_back(network.hindsight, chunks))
        heard = listen_to_pieces(_to_samples(logits), signals[0], CHUNK_STEPS * STEP_SAMPLES)
        probability = 0.5 + 0.5 * np.tanh(0.5 * heard)
    else:
        answers = _look_ahead(network, chunks, n_beds, is_revised=is_revised)
        probability = _to_samples(np.concatenate(answers))
    newest = slice(max(probability.shape[-1] - LIVE_DELAY, 0), None)
    along = AlongStream(n_beds).push(*signals[:2, :, -LIVE_DELAY - round(ALONG_S * FS_HZ) :])
    probability[:, newest] = _raise_along(probability[:, newest], along[:, -LIVE_DELAY:])
    return probability


def _follow(network: Network, signals: Float32Array) -> Iterator[Float32Array]:
    """Give what the recurrent layers make of one chunk of steps after the other."""
    features, recurrent = FeatureStream(signals.shape[1]), RecurrentStream(network, signals.shape[1])
    width = CHUNK_STEPS * STEP_SAMPLES
    for start in range(0, signals.shape[2], width):
        yield recurrent.push(_time_first(features.push(*signals[..., start : start + width])))


def _look_back(hindsight: Hindsight, chunks: Iterator[Float32Array]) -> list[Float32Array]:
    """Decide each chunk when the one after it is there, the last at the end of the record."""
    answers: list[Float32Array] = []
    chunk = next(chunks)
    prepared = hindsight.prepare(chunk)
    while chunk.shape[0]:
        following = next(chunks, chunk[:0])
        after = hindsight.prepare(following)
        answers.append(hindsight.decide(chunk, prepared, after[:AFTER_STEPS]))
        chunk, prepared = following, after
    return answers


def _look_ahead(
    network: Network, chunks: Iterator[Float32Array], n_beds: int, *, is_revised: bool
) -> list[Float32Array]:
    """Settle the steps by the slow head, and the end, which is still waiting, by the quicker ones."""
    slow = network.revised if is_revised else network.live
    stream = HeadStream(slow, n_beds)
    settled: list[Float32Array] = []
    recent: list[Float32Array] = []
    for chunk in chunks:
        settled.append(stream.push(chunk))
        recent = [*recent, chunk][-(slow.reach // CHUNK_STEPS + 2) :]
    tail = np.concatenate(recent)[-slow.reach :]
    answers = [np.concatenate(settled)[slow.reach :]]
    if is_revised:
        answers.append(HeadStream(network.live, n_beds).push(tail)[network.live.reach :])
    return [*answers, HeadStream(network.now, n_beds).push(tail[-network.live.reach :])]


def _raise_along(probability: FloatArray, is_along: BoolArray) -> FloatArray:
    return np.where(is_along, np.maximum(probability, PROBABILITY_ALONG), probability)


def count_last(mask: BoolArray, width: int) -> npt.NDArray[np.int32]:
    """Count what is marked in each `width` samples, those that begin before the first left out."""
    total = np.cumsum(mask, axis=-1, dtype=np.int32)
    return total[:, width:] - total[:, :-width]


def _time_first(features: Float32Array) -> Float32Array:
    return np.ascontiguousarray(features.transpose(1, 0, 2))


def _to_samples(by_step: Float32Array) -> FloatArray:
    n_steps, n_beds, _ = by_step.shape
    samples: FloatArray = (
        by_step.transpose(1, 0, 2).reshape(n_beds, n_steps * STEP_SAMPLES).astype(np.float64)
    )
    return samples
