"""The network in torch, as `hub.dsp.network` computes it in NumPy; and how it becomes the shipped file."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hub.dsp.network import LIVE_AHEAD, REVISED_AHEAD
from hub.dsp.running import STEP_SAMPLES

UNITS = 64
WIDTH = 32


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


def export_arrays(
    model: FalseSignalModel, shift: tuple[float, float, float]
) -> dict[str, npt.NDArray[np.float32]]:
    """Give the arrays of the shipped file; scaling and the shift of each head's logit are folded in."""
    state = {key: value.detach().double().numpy() for key, value in model.state_dict().items()}
    mean, scale = state["mean"], state["scale"]

    def fold(
        weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], ...]:
        scaled = weight / scale
        return scaled, bias - scaled @ mean

    arrays: dict[str, npt.NDArray[np.float64]] = {}
    for k in range(2):
        weight, bias = state[f"gru.weight_ih_l{k}"], state[f"gru.bias_ih_l{k}"]
        if k == 0:
            weight, bias = fold(weight, bias)
        arrays[f"gru{k}.input"], arrays[f"gru{k}.input_bias"] = weight.T, bias
        arrays[f"gru{k}.state"] = state[f"gru.weight_hh_l{k}"].T
        arrays[f"gru{k}.state_bias"] = state[f"gru.bias_hh_l{k}"]
    for head, name in enumerate(("now", "live", "revised")):
        weight, bias = state[f"project.{head}.weight"], state[f"project.{head}.bias"]
        scaled, bias = fold(weight[:, UNITS:], bias)
        arrays[f"{name}.project"] = np.concatenate((weight[:, :UNITS], scaled), axis=1).T
        arrays[f"{name}.project_bias"] = bias
        layers = len(model.ahead[head].layers)
        for layer in range(layers):
            arrays[f"{name}.ahead{layer}"] = state[f"ahead.{head}.layers.{layer}.weight"].T
            arrays[f"{name}.ahead{layer}_bias"] = state[f"ahead.{head}.layers.{layer}.bias"]
        arrays[f"{name}.output"] = state[f"output.{head}.weight"].T
        arrays[f"{name}.output_bias"] = state[f"output.{head}.bias"] - shift[head]
    return {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in arrays.items()}
