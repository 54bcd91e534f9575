"""The network in torch, as `hub.dsp.network` computes it in NumPy; and how it becomes the shipped file."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hub.dsp.false_signal_features import N_FEATURES
from hub.dsp.network import CHUNK_STEPS, LIVE_AHEAD, REVISED_AHEAD
from hub.dsp.running import STEP_SAMPLES

UNITS = 64
WIDTH = 32
HINDSIGHT_WIDTH = 48
DROPOUT = 0.2

FEATURES_FIRST = slice(N_FEATURES)
FEATURES_SECOND = slice(UNITS, UNITS + N_FEATURES)
AS_THEY_ARE = slice(0)
"""Where the features stand among the inputs of a layer."""

Arrays = dict[str, npt.NDArray[np.float32]]
Float64Array = npt.NDArray[np.float64]
Float64Arrays = dict[str, Float64Array]


class Ahead(nn.Module):
    """Residual layers, each of which adds what lies `distance` steps ahead."""

    def __init__(self, width: int, distances: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.distances = distances
        self.layers = nn.ModuleList(nn.Linear(2 * width, width) for _ in distances)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor) -> Tensor:
        """Map (n_steps, n_beds, width) to the same shape; beyond the end lies zero."""
        for distance, layer in zip(self.distances, self.layers, strict=True):
            missing = min(distance, z.shape[0])
            later = torch.cat((z[distance:], z.new_zeros(missing, *z.shape[1:])), 0)
            z = z + self.dropout(torch.relu(layer(torch.cat((z, later), -1))))
        return z


class FalseSignalModel(nn.Module):
    """Two causal recurrent layers; three heads that wait 0, 28 and 298 s for what follows."""

    def __init__(self, n_features: int, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_features), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(n_features), requires_grad=False)
        self.input_dropout = nn.Dropout(0.05)
        self.gru = nn.GRU(n_features, UNITS, 2, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        both = UNITS + n_features
        self.project = nn.ModuleList(nn.Linear(both, WIDTH) for _ in range(3))
        self.ahead = nn.ModuleList(Ahead(WIDTH, d, dropout / 2) for d in ((), LIVE_AHEAD, REVISED_AHEAD))
        self.output = nn.ModuleList(nn.Linear(WIDTH, STEP_SAMPLES) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map features (n_steps, n_beds, n_features) to three logits (n_steps, n_beds, 8)."""
        x = self.input_dropout((x - self.mean) / self.scale)
        h, _ = self.gru(x)
        both = torch.cat((self.dropout(h), x), -1)
        return [
            output(ahead(torch.relu(project(both))))
            for project, ahead, output in zip(self.project, self.ahead, self.output, strict=True)
        ]


class Remembered(nn.Module):
    """The recurrent layers of a trained first network, held as they are."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.float32]]) -> None:
        super().__init__()
        self.gru = nn.GRU(N_FEATURES, UNITS, 2)
        for k in range(2):
            for part, name in (("input", "weight_ih"), ("state", "weight_hh")):
                getattr(self.gru, f"{name}_l{k}").data = torch.tensor(arrays[f"gru{k}.{part}"].T)
            for part, name in (("input_bias", "bias_ih"), ("state_bias", "bias_hh")):
                getattr(self.gru, f"{name}_l{k}").data = torch.tensor(arrays[f"gru{k}.{part}"])
        self.requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map features as they are to the states of the last layer."""
        with torch.no_grad():
            states: Tensor = self.gru(x)[0]
            return states


class HindsightModel(nn.Module):
    """A recurrent layer that runs backward over what a trained first network made of a record."""

    def __init__(self, first: Remembered) -> None:
        super().__init__()
        self.first = first
        self.mean = nn.Parameter(torch.zeros(N_FEATURES), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(N_FEATURES), requires_grad=False)
        self.input_dropout = nn.Dropout(0.05)
        self.dropout = nn.Dropout(DROPOUT)
        self.less_dropout = nn.Dropout(DROPOUT / 2)
        both = N_FEATURES + UNITS
        self.project = nn.Linear(both, HINDSIGHT_WIDTH)
        self.backward_gru = nn.GRU(HINDSIGHT_WIDTH, UNITS, 1)
        self.join = nn.Linear(both + UNITS, HINDSIGHT_WIDTH)
        self.middle = nn.Linear(HINDSIGHT_WIDTH, HINDSIGHT_WIDTH)
        self.output = nn.Linear(HINDSIGHT_WIDTH, STEP_SAMPLES)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map features (n_steps, n_beds, n_features) to one logit (n_steps, n_beds, 8)."""
        scaled = self.input_dropout((x - self.mean) / self.scale)
        both = torch.cat((self.dropout(self.first(x)), scaled), -1)
        states = self._run_backward(torch.relu(self.project(both)))
        z = torch.relu(self.join(torch.cat((both, self.dropout(states)), -1)))
        z = z + self.less_dropout(torch.relu(self.middle(z)))
        return [self.output(z)]

    def _run_backward(self, z: Tensor) -> Tensor:
        """Give the states of each chunk, begun empty at the end of the next one or of the record."""
        n, n_beds, _ = z.shape
        starts, reach = range(0, n, CHUNK_STEPS), 2 * CHUNK_STEPS
        whole = [z[k : k + reach] for k in starts if k + reach <= n]
        pieces: list[Tensor] = []
        if whole:
            states, _ = self.backward_gru(torch.cat(whole, 1).flip(0))
            pieces += states.flip(0)[:CHUNK_STEPS].split(n_beds, 1)
        for k in starts[len(whole) :]:
            states, _ = self.backward_gru(z[k:].flip(0))
            pieces.append(states.flip(0)[:CHUNK_STEPS])
        return torch.cat(pieces)


def export_arrays(model: FalseSignalModel, shift: tuple[float, float, float]) -> Arrays:
    """Give the arrays of the shipped file; scaling and the shift of each head's logit are folded in."""
    state = _read_state(model)
    arrays: Float64Arrays = {}
    for k in range(2):
        arrays |= _export_recurrent(state, f"gru.{{}}_l{k}", f"gru{k}", AS_THEY_ARE if k else FEATURES_FIRST)
    for head, name in enumerate(("now", "live", "revised")):
        arrays |= _export_linear(state, f"project.{head}", f"{name}.project", FEATURES_SECOND)
        for layer in range(len(model.ahead[head].layers)):
            arrays |= _export_linear(state, f"ahead.{head}.layers.{layer}", f"{name}.ahead{layer}")
        arrays |= _export_linear(state, f"output.{head}", f"{name}.output")
        arrays[f"{name}.output_bias"] = arrays[f"{name}.output_bias"] - shift[head]
    return _narrow(arrays)


def export_hindsight(model: HindsightModel, shift: float) -> Arrays:
    """Give the arrays of the file of hindsight, likewise; those of the first network are not in it."""
    state = _read_state(model)
    arrays = _export_recurrent(state, "backward_gru.{}_l0", "backward", AS_THEY_ARE)
    for name in ("project", "join"):
        arrays |= _export_linear(state, name, name, FEATURES_SECOND)
    for name in ("middle", "output"):
        arrays |= _export_linear(state, name, name)
    arrays["output_bias"] = arrays["output_bias"] - shift
    return _narrow(arrays)


def _read_state(model: nn.Module) -> Float64Arrays:
    return {key: value.detach().double().numpy() for key, value in model.state_dict().items()}


def _narrow(arrays: Float64Arrays) -> Arrays:
    return {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in arrays.items()}


def _export_recurrent(state: Float64Arrays, pattern: str, name: str, features: slice) -> Float64Arrays:
    weight, bias = _fold(
        state, state[pattern.format("weight_ih")], state[pattern.format("bias_ih")], features
    )
    return {
        f"{name}.input": weight.T,
        f"{name}.input_bias": bias,
        f"{name}.state": state[pattern.format("weight_hh")].T,
        f"{name}.state_bias": state[pattern.format("bias_hh")],
    }


def _export_linear(
    state: Float64Arrays, layer: str, name: str, features: slice = AS_THEY_ARE
) -> Float64Arrays:
    weight, bias = _fold(state, state[f"{layer}.weight"], state[f"{layer}.bias"], features)
    return {name: weight.T, f"{name}_bias": bias}


def _fold(
    state: Float64Arrays, weight: Float64Array, bias: Float64Array, features: slice
) -> tuple[Float64Array, Float64Array]:
    """Fold the scaling of the features, which are some of the inputs, into the weights of a layer."""
    if features == AS_THEY_ARE:
        return weight, bias
    weight = weight.copy()
    weight[:, features] /= state["scale"]
    return weight, bias - weight[:, features] @ state["mean"]
