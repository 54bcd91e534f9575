"""The learned detector's network in NumPy: layers that remember, heads that wait a little, hindsight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hub.dsp.running import Float32Array

LIVE_AHEAD: Final = (1, 2, 4, 7)
REVISED_AHEAD: Final = (1, 2, 4, 8, 16, 32, 64, 22)
"""Steps of 2 s by which each layer looks ahead: 28 s and 298 s in sum, 30 and 300 s with the step itself."""
CHUNK_STEPS: Final = 75
AFTER_STEPS: Final = 74
"""Steps that hindsight decides at a time, and those behind them that it begins with: 298 s, so that nothing
later than 300 s enters though what is a spike shows 1.25 s later."""


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentLayer:
    """A gated recurrent unit (GRU); weights of the gates reset, update and candidate side by side."""

    input: Float32Array
    """Shape (n_inputs, 3 * n_units)."""
    input_bias: Float32Array
    state: Float32Array
    """Shape (n_units, 3 * n_units)."""
    state_bias: Float32Array

    @property
    def n_units(self) -> int:
        return int(self.state.shape[0])

    def run(self, x: Float32Array, h: Float32Array) -> Float32Array:
        """Follow the inputs from state `h`.

        Parameters
        ----------
        x : ndarray, shape (n_steps, n_beds, n_inputs)
            Inputs.
        h : ndarray, shape (n_beds, n_units)
            State before the first step; not changed.

        Returns
        -------
        ndarray, shape (n_steps, n_beds, n_units)
            State after each step.

        Notes
        -----
        Reset ``r = s(a_r + b_r)``, update ``u = s(a_u + b_u)`` with the logistic
        ``s``, candidate ``c = tanh(a_c + r * b_c)``, new state ``u * h + (1 - u) * c``,
        where a comes from the input and b from the state [1]_.

        References
        ----------
        .. [1] K. Cho et al., Learning phrase representations using RNN
           encoder-decoder, EMNLP 2014, in the form of cuDNN (reset after the product).
        """
        return self.follow(self.prepare(x), h)

    def prepare(self, x: Float32Array) -> Float32Array:
        """Give what the inputs, shape (n_steps, n_beds, n_inputs), have to say to the gates of each step."""
        from_input = _multiply(x, self.input)
        from_input += self.input_bias
        return from_input

    def follow(self, from_input: Float32Array, h: Float32Array) -> Float32Array:
        """Follow inputs that are prepared, as `run` does; they are not changed."""
        n_steps, n_beds, _ = from_input.shape
        n = self.n_units
        states = np.empty((n_steps, n_beds, n), np.float32)
        product = np.empty((n_beds, 3 * n), np.float32)
        for k in range(n_steps):
            np.matmul(h, self.state, out=product)
            product += self.state_bias
            gates = product[:, : 2 * n]
            gates += from_input[k, :, : 2 * n]
            _logistic(gates)
            candidate = product[:, 2 * n :]
            candidate *= gates[:, :n]
            candidate += from_input[k, :, 2 * n :]
            np.tanh(candidate, out=candidate)
            new = np.subtract(h, candidate, out=states[k])
            new *= gates[:, n:]
            new += candidate
            h = new
        return states


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A projection, layers that each add what lies some steps ahead, a logit for each sample of a step."""

    project: Float32Array
    """Shape (n_units + n_features, width)."""
    project_bias: Float32Array
    ahead: tuple[tuple[int, Float32Array, Float32Array], ...]
    """Distance in steps; weights (2 * width, width), those of the present step first; bias."""
    output: Float32Array
    output_bias: Float32Array

    @property
    def reach(self) -> int:
        """Steps that must follow before a step is decided."""
        return sum(distance for distance, _, _ in self.ahead)


@dataclass(frozen=True, slots=True, eq=False)
class Hindsight:
    """A recurrent layer that reads whole records again from behind, and the head that decides with it.

    Notes
    -----
    Its state is empty 148 s after the chunk of 150 s that is decided, or at the end of
    the record, so a sample is decided with 148 to 300 s of what follows it, and with
    less only where the record ends.
    """

    project: Float32Array
    """Shape (n_joined, width): states of the first network and features to what runs backward."""
    project_bias: Float32Array
    backward: RecurrentLayer
    join: Float32Array
    """Shape (n_joined + n_units, width): the same and the states of what ran backward to what decides."""
    join_bias: Float32Array
    middle: Float32Array
    middle_bias: Float32Array
    output: Float32Array
    """Shape (width, 8): to a logit for each sample of a step."""
    output_bias: Float32Array

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> "Hindsight":
        """Build it from the arrays of the weights file.

        Raises
        ------
        KeyError
            If an array is missing.
        """

        def read(part: str) -> Float32Array:
            return np.asarray(arrays[part], np.float32)

        recurrent = ("input", "input_bias", "state", "state_bias")
        return cls(
            read("project"),
            read("project_bias"),
            RecurrentLayer(*(read(f"backward.{part}") for part in recurrent)),
            *(read(part) for part in ("join", "join_bias", "middle", "middle_bias", "output", "output_bias")),
        )

    def prepare(self, chunk: Float32Array) -> Float32Array:
        """Give what the steps of a chunk, as `RecurrentStream` gives them, have to say to the layer."""
        z = _multiply(chunk, self.project)
        z += self.project_bias
        np.maximum(z, 0, out=z)
        return self.backward.prepare(z)

    def decide(self, chunk: Float32Array, prepared: Float32Array, after: Float32Array) -> Float32Array:
        """Decide the steps of a chunk.

        Parameters
        ----------
        chunk : ndarray, shape (n_steps, n_beds, n_joined)
            Its steps, as `RecurrentStream` gives them.
        prepared, after : ndarray, shape (n_steps, n_beds, 3 * n_units)
            What `prepare` gives for them, and for the steps after them that may enter;
            `after` has no steps where the record ends.

        Returns
        -------
        ndarray, shape (n_steps, n_beds, 8)
            Logits.
        """
        h = np.zeros((chunk.shape[1], self.backward.n_units), np.float32)
        if len(after):
            h = self.backward.follow(after[::-1], h)[-1]
        states = self.backward.follow(prepared[::-1], h)[::-1]
        n_joined = chunk.shape[-1]
        z = _multiply(chunk, self.join[:n_joined])
        z += _multiply(states, self.join[n_joined:])
        z += self.join_bias
        np.maximum(z, 0, out=z)
        added = _multiply(z, self.middle)
        added += self.middle_bias
        np.maximum(added, 0, out=added)
        added += z
        logits = _multiply(added, self.output)
        logits += self.output_bias
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """All weights: recurrent layers and the heads that decide at once, after 28 s and after 298 s."""

    recurrent: tuple[RecurrentLayer, ...]
    now: Head
    live: Head
    revised: Head
    hindsight: Hindsight | None = None
    """What revises whole records in place of the slow head."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> "Network":
        """Build the network from the arrays of the weights file.

        Raises
        ------
        KeyError
            If an array is missing.
        """

        def layer(name: str) -> RecurrentLayer:
            parts = ("input", "input_bias", "state", "state_bias")
            return RecurrentLayer(*(np.asarray(arrays[f"{name}.{part}"], np.float32) for part in parts))

        def head(name: str, distances: tuple[int, ...]) -> Head:
            a = {
                key.removeprefix(f"{name}."): np.asarray(arrays[key], np.float32)
                for key in arrays
                if key.startswith(f"{name}.")
            }
            ahead = tuple((d, a[f"ahead{k}"], a[f"ahead{k}_bias"]) for k, d in enumerate(distances))
            return Head(a["project"], a["project_bias"], ahead, a["output"], a["output_bias"])

        return cls(
            recurrent=(layer("gru0"), layer("gru1")),
            now=head("now", ()),
            live=head("live", LIVE_AHEAD),
            revised=head("revised", REVISED_AHEAD),
        )


class RecurrentStream:
    """The recurrent layers of some beds, their state carried from block to block."""

    def __init__(self, network: Network, n_beds: int) -> None:
        self._layers = network.recurrent
        self._states = [np.zeros((n_beds, layer.n_units), np.float32) for layer in network.recurrent]

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        return list(self._states)

    def push(self, features: Float32Array) -> Float32Array:
        """Take features (n_steps, n_beds, n_features); give the last layer's states before them, joined."""
        x = features
        for k, layer in enumerate(self._layers):
            x = layer.run(x, self._states[k])
            if x.shape[0]:
                self._states[k] = x[-1].copy()
        return np.concatenate((x, features), axis=-1)


class HeadStream:
    """One head; what it gives belongs to steps `reach` before those it was given.

    Parameters
    ----------
    head : Head
        Its weights.
    n_beds : int
        Number of beds, all starting now.

    Notes
    -----
    The first `reach` answers belong to no step and mean nothing.
    """

    def __init__(self, head: Head, n_beds: int) -> None:
        width = head.project.shape[1]
        self._head = head
        self._waiting = [np.zeros((distance, n_beds, width), np.float32) for distance, _, _ in head.ahead]

    def parts(self) -> list[npt.NDArray[Any]]:
        """Give the carried arrays."""
        return [waiting.swapaxes(0, 1) for waiting in self._waiting]

    def push(self, joined: Float32Array) -> Float32Array:
        """Take n steps as `RecurrentStream` gives them; give n probabilities, shape (n_steps, n_beds, 8)."""
        head = self._head
        z = _multiply(joined, head.project)
        z += head.project_bias
        np.maximum(z, 0, out=z)
        n_steps = z.shape[0]
        for k, (distance, weights, bias) in enumerate(head.ahead):
            z = np.concatenate((self._waiting[k], z))
            self._waiting[k] = z[n_steps:].copy()
            width = weights.shape[1]
            added = _multiply(z[:n_steps], weights[:width])
            added += _multiply(z[distance:], weights[width:])
            added += bias
            np.maximum(added, 0, out=added)
            added += z[:n_steps]
            z = added
        logits = _multiply(z, head.output)
        logits += head.output_bias
        return _logistic(logits)


def _multiply(x: Float32Array, weights: Float32Array) -> Float32Array:
    """Multiply along the last axis in one product, which is faster than one for each step."""
    product: Float32Array = (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:-1], weights.shape[1])
    return product


def _logistic(x: Float32Array) -> Float32Array:
    """Compute the logistic function in place, by tanh, which does not overflow."""
    x *= np.float32(0.5)
    np.tanh(x, out=x)
    x *= np.float32(0.5)
    x += np.float32(0.5)
    return x
