"""The learned detector of false signals: samples in, probabilities out, live and revised."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from hub.dsp.false_signal_features import FeatureStream
from hub.dsp.network import HeadStream, Network, RecurrentStream
from hub.dsp.running import STEP_SAMPLES, Float32Array
from hub.model import FloatArray

WEIGHTS: Final = Path(__file__).parent / "weights" / "false_signal.npz"
BLOCK_STEPS: Final = 100
BLOCK_BEDS: Final = 125
"""Beds and steps worked on at a time, so that what is worked on stays in the cache."""


@cache
def load_network(path: Path = WEIGHTS) -> Network | None:
    """Read the weights once; None if the file is not there, and then rules must do alone.

    Raises
    ------
    KeyError, ValueError
        If the file is there but is not a weights file.
    """
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return Network.from_arrays({key: file[key] for key in file.files})


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """Probabilities that became known with a block; each continues where the block before ended."""

    now: FloatArray
    """Shape (n_beds, n_samples), decided at once."""
    live: FloatArray
    """Decided 28 s later, at most 30 s after the sample."""
    revised: FloatArray
    """Decided 298 s later, at most 300 s after the sample."""


class LearnedStream:
    """Follow some beds live; how the stream was cut does not matter.

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
    The answers for a sample come with the end of its step of 2 s or later.
    """

    def __init__(self, network: Network, n_beds: int, *, is_revised: bool = True) -> None:
        self._features = FeatureStream(n_beds)
        self._recurrent = RecurrentStream(network, n_beds)
        heads = (network.now, network.live, network.revised) if is_revised else (network.now, network.live)
        self._heads = [HeadStream(head, n_beds) for head in heads]
        self._rest = np.zeros((3, n_beds, 0), np.float32)

    def push(self, fhr: FloatArray, mhr: FloatArray, toco: FloatArray) -> Decided:
        """Take the next samples of all beds, shape (n_beds, n_samples) at 4 Hz, NaN for loss."""
        samples = np.concatenate((self._rest, np.stack((fhr, mhr, toco)).astype(np.float32)), axis=-1)
        n = samples.shape[-1] // STEP_SAMPLES * STEP_SAMPLES
        self._rest = samples[..., n:].copy()
        joined = self._recurrent.push(_time_first(self._features.push(*samples[..., :n])))
        decided = [_to_samples(head.push(joined)) for head in self._heads]
        if len(decided) < 3:
            decided.append(np.empty((fhr.shape[0], 0)))
        return Decided(*decided)


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
        NaN where `fhr` is.  What `LearnedStream` would have said of each sample by
        the end of the record: the last 298 s are not revised yet, and the last
        28 s are decided at once.
    """
    n_beds, n = fhr.shape
    missing = -n % STEP_SAMPLES
    padded = np.full((3, n_beds, n + missing), np.nan, np.float32)
    for k, signal in enumerate((fhr, mhr, toco)):
        padded[k, :, :n] = signal
    probability = np.empty(padded.shape[1:])
    for first in range(0, n_beds, BLOCK_BEDS):
        group = slice(first, first + BLOCK_BEDS)
        probability[group] = _estimate_group(network, padded[:, group], is_revised=is_revised)
    return np.where(np.isfinite(fhr), probability[:, :n], np.nan)


def _estimate_group(network: Network, signals: Float32Array, *, is_revised: bool) -> FloatArray:
    """Settle the steps by the slow head, and the end, which is still waiting, by the quicker ones."""
    n_beds, n_steps = signals.shape[1], signals.shape[2] // STEP_SAMPLES
    if n_steps == 0:
        return np.empty((n_beds, 0))
    features, recurrent = FeatureStream(n_beds), RecurrentStream(network, n_beds)
    slow = network.revised if is_revised else network.live
    stream = HeadStream(slow, n_beds)
    settled: list[Float32Array] = []
    recent: list[Float32Array] = []
    n_kept = slow.reach // BLOCK_STEPS + 2
    for start in range(0, n_steps, BLOCK_STEPS):
        block = signals[..., start * STEP_SAMPLES : (start + BLOCK_STEPS) * STEP_SAMPLES]
        joined = recurrent.push(_time_first(features.push(*block)))
        settled.append(stream.push(joined))
        recent = [*recent, joined][-n_kept:]
    tail = np.concatenate(recent)[-slow.reach :]
    if is_revised:
        settled.append(HeadStream(network.live, n_beds).push(tail))
    settled.append(HeadStream(network.now, n_beds).push(tail[-network.live.reach :]))
    return _to_samples(np.concatenate(settled))


def _time_first(features: Float32Array) -> Float32Array:
    return np.ascontiguousarray(features.transpose(1, 0, 2))


def _to_samples(probability: Float32Array) -> FloatArray:
    n_steps, n_beds, _ = probability.shape
    samples: FloatArray = (
        probability.transpose(1, 0, 2).reshape(n_beds, n_steps * STEP_SAMPLES).astype(np.float64)
    )
    return samples
