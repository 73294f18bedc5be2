"""The model as a plain loop over time: the oracle of the tests and the baseline of the benchmark.

It is written for reading: torch's linear layers, the readout inside the loop, gradients by
automatic differentiation. Nothing else uses it.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnn_reactivation.configuration import Configuration
from rnn_reactivation.recurrence import Parameters
from rnn_reactivation.sections import NavigationTask, Rnn

PHI = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda values: values,
}


class PlainVanilla(nn.Module):
    """One step of the vanilla network."""

    def __init__(self, rnn: Rnn, inputs: int):
        super().__init__()
        self.rnn = rnn
        self.recurrent = nn.Linear(rnn.hidden_size, rnn.hidden_size, bias=False)
        self.input = nn.Linear(inputs, rnn.hidden_size, bias=False)

    def forward(self, x: Tensor, h: Tensor, noise: Tensor) -> Tensor:
        """Give the next hidden state."""
        share = self.rnn.dt / self.rnn.tau
        drive = PHI[self.rnn.activation](self.recurrent(h) + self.input(x))
        return (1 - share) * h + share * drive + noise


class PlainGru(nn.Module):
    """One step of the gated network."""

    def __init__(self, rnn: Rnn, inputs: int):
        super().__init__()
        self.rnn = rnn
        units = rnn.hidden_size
        self.W_z, self.W_r, self.W_h = (nn.Linear(inputs, units, bias=False) for _ in range(3))
        self.U_z, self.U_r, self.U_h = (nn.Linear(units, units, bias=False) for _ in range(3))

    def forward(self, x: Tensor, h: Tensor, noise: Tensor) -> Tensor:
        """Give the next hidden state."""
        z = torch.sigmoid(self.W_z(x) + self.U_z(h))
        r = torch.sigmoid(self.W_r(x) + self.U_r(h))
        u = self.W_h(x) + self.U_h(r * h)
        share = self.rnn.dt / self.rnn.tau
        return h + share * (z - 1) * (h - PHI[self.rnn.activation](u)) + noise


class PlainNetwork(nn.Module):
    """Encoder, recurrent network and readout."""

    def __init__(self, configuration: Configuration):
        super().__init__()
        rnn, task = configuration.rnn, configuration.task
        self.rnn = rnn
        self.encoder = nn.Linear(task.cells, rnn.hidden_size, bias=False)
        cell = PlainGru if rnn.type == "gru" else PlainVanilla
        self.cell = cell(rnn, task.inputs)
        self.readout = nn.Linear(rnn.hidden_size, task.cells, bias=False)

    def forward(
        self,
        start: Float[Tensor, "trajectories cells"],
        inputs: Float[Tensor, "steps trajectories inputs"],
        noise: Float[Tensor, "steps trajectories units"] | None = None,
    ) -> Float[Tensor, "steps trajectories cells"]:
        """Give the outputs after every step; without given noise, it is drawn."""
        h = self.encoder(start)
        outputs = []
        for t in range(len(inputs)):
            xi = torch.randn_like(h) * self.rnn.sigma2_rec**0.5 if noise is None else noise[t]
            h = self.cell(inputs[t], h, xi)
            outputs.append(self.readout(h))
        return torch.stack(outputs)

    def load_weights(self, weights: Parameters) -> None:
        """Take weights as the package keeps them, without a dimension of networks."""
        with torch.no_grad():
            for name, parameter in self._parts(weights).items():
                self.get_parameter(name).copy_(parameter)

    def named_gradients(self) -> Parameters:
        """Give the gradients in the same form."""
        found = {name: p.grad for name, p in self.named_parameters() if p.grad is not None}
        joined = {name: found[f"{name}.weight"] for name in ("encoder", "readout")}
        if isinstance(self.cell, PlainGru):
            for name, letter in (("recurrent", "U"), ("input", "W")):
                joined[name] = torch.cat([found[f"cell.{letter}_{k}.weight"] for k in "zrh"])
        else:
            joined |= {name: found[f"cell.{name}.weight"] for name in ("recurrent", "input")}
        return joined

    def _parts(self, weights: Parameters) -> dict[str, Tensor]:
        """Name the weights as torch does."""
        found = {f"{name}.weight": weights[name] for name in ("encoder", "readout")}
        for name, letter in (("recurrent", "U"), ("input", "W")):
            if isinstance(self.cell, PlainGru):
                for k, part in zip("zrh", weights[name].chunk(3), strict=True):
                    found[f"cell.{letter}_{k}.weight"] = part
            else:
                found[f"cell.{name}.weight"] = weights[name]
        return found


def plain_walk(
    task: NavigationTask,
    start: np.ndarray,
    heading: np.ndarray,
    speeds: np.ndarray,
    turns: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Walk through the box, one animal after another.

    Parameters
    ----------
    task
        The box and the animal.
    start, heading
        Where each begins (animals, 2), in m, and its heading (animals), in rad.
    speeds, turns
        Of every step (steps, animals), in m/s and rad.

    Returns
    -------
    tuple
        Positions after every step and displacements, (steps, animals, 2), in m.
    """
    steps, animals = speeds.shape
    positions, displacements = np.zeros((2, steps, animals, 2))
    right, top = task.box_width / 2, task.box_height / 2
    for n in range(animals):
        (x, y), angle = start[n], heading[n]
        for t in range(steps):
            walls = {0.0: right - x, 0.5: top - y, 1.0: x + right, 1.5: y + top}
            direction, distance = min(walls.items(), key=lambda item: item[1])
            towards = (angle - direction * np.pi + np.pi) % (2 * np.pi) - np.pi
            speed, turn = speeds[t, n], turns[t, n]
            if distance < task.border_region and abs(towards) < np.pi / 2:
                speed *= task.border_slow_factor
                turn += np.pi / 2 - towards if towards >= 0 else -np.pi / 2 - towards
            dx, dy = speed * task.dt * np.cos(angle), speed * task.dt * np.sin(angle)
            if task.biased:
                dx += task.drift * (task.anchor[0] - x)
                dy += task.drift * (task.anchor[1] - y)
            x, y, angle = x + dx, y + dy, angle + turn
            positions[t, n], displacements[t, n] = (x, y), (dx, dy)
    return positions, displacements


def plain_place_cells(
    position: np.ndarray, centres: np.ndarray, sigma: float, *, difference: bool = False
) -> np.ndarray:
    """Give the activations of place cells (cells,) at one position (2,)."""
    squared = ((position - centres) ** 2).sum(1)

    def softmax(variance: float) -> np.ndarray:
        scores = np.exp(-(squared - squared.min()) / (2 * variance))
        return scores / scores.sum()

    activations = softmax(sigma**2)
    if difference:
        activations = activations - softmax(2 * sigma**2)
        activations = activations - activations.min()
        activations = activations / activations.sum()
    return activations


def plain_head_direction_cells(bearing: float, preferred: np.ndarray, sigma: float) -> np.ndarray:
    """Give the activations of head direction cells (cells,) at one bearing (rad)."""
    return np.exp((np.cos(bearing - preferred) - 1) / sigma**2)
