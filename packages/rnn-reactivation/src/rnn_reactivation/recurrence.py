"""Recurrent networks unrolled over time, and the gradients of their weights.

Both are written out for many steps at once: everything that does not depend on the step before is
one large product outside the loop over time, and no step allocates anything. `reference.py` holds
the same networks as a plain loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rnn_reactivation.configuration import Configuration
from rnn_reactivation.sections import Rnn
from sharpwave_shared.seeding import Streams

Parameters = dict[str, Tensor]
"""Weights by name, each with a leading dimension of networks.

encoder (units, cells), recurrent (units, units), input (units, inputs), readout (cells, units).
`recurrent` and `input` of a GRU hold those of its two gates z and r and of its candidate, in this
order, one below the other.
"""


def shapes(configuration: Configuration) -> dict[str, tuple[int, int]]:
    """Give the shape of each weight matrix of a network."""
    units, cells = configuration.rnn.hidden_size, configuration.task.cells
    rows = units * (3 if configuration.rnn.type == "gru" else 1)
    return {
        "encoder": (units, cells),
        "recurrent": (rows, units),
        "input": (rows, configuration.task.inputs),
        "readout": (cells, units),
    }


def initialise(
    configuration: Configuration, seeds: Sequence[int], device: torch.device | str = "cpu"
) -> Parameters:
    """Draw the weights of untrained networks, as torch's linear layers do.

    They are uniform within 1 / sqrt(number of inputs of the layer) of 0.
    """
    parameters = {}
    for name, shape in shapes(configuration).items():
        drawn = [
            torch.rand(shape, generator=Streams(seed).torch("initialisation", name))
            for seed in seeds
        ]
        parameters[name] = ((2 * torch.stack(drawn) - 1) / shape[1] ** 0.5).to(device)
    return parameters


def fill_with_noise(
    noise: Float[Tensor, "networks steps trajectories last"],
    variances: Sequence[float],
    generators: Sequence[torch.Generator],
    distribution: str = "gaussian",
) -> None:
    """Draw noise in place, for each network from its own generator.

    Gaussian with its variance; or `uniform` between 0 and the square root of the variance, which
    is the noise of the original release: its mean is not 0.
    """
    for part, variance, generator in zip(noise, variances, generators, strict=True):
        if variance == 0:
            part.zero_()
        elif distribution == "gaussian":
            part.normal_(0, variance**0.5, generator=generator)
        else:
            part.uniform_(0, variance**0.5, generator=generator)


def activate_(values: Tensor, activation: str) -> Tensor:
    """Apply the activation function in place."""
    match activation:
        case "relu":
            return values.relu_()
        case "tanh":
            return values.tanh_()
        case "sigmoid":
            return values.sigmoid_()
    return values


def slope_(values: Tensor, activation: str) -> Tensor:
    """Turn values of the activation function into its slopes there, in place."""
    match activation:
        case "relu":
            return values.sign_()
        case "tanh":
            return values.square_().neg_().add_(1)
        case "sigmoid":
            return values.addcmul_(values, values, value=-1)
    return values.fill_(1)


@dataclass(frozen=True)
class Size:
    """How much is computed at once: networks, steps, trajectories; where and how precisely."""

    networks: int
    steps: int
    trajectories: int
    device: torch.device | str = "cpu"
    dtype: torch.dtype | None = None

    def buffer(self, *last: int, more: int = 0) -> Tensor:
        """Allocate (networks, steps + more, trajectories, *last)."""
        shape = (self.networks, self.steps + more, self.trajectories, *last)
        return torch.empty(shape, device=self.device, dtype=self.dtype)


class Vanilla:
    """h <- (1 - a) h + a phi(W h + W_in x) + noise, with a = dt / tau.

    Attributes
    ----------
    states
        Hidden states: (networks, 1 + steps, trajectories, units), from h_0 on. Before `forward`,
        its caller puts h_0 there, and the noise of every step in the place of its state.
    """

    def __init__(self, rnn: Rnn, size: Size):
        self.rnn = rnn
        self.states = size.buffer(rnn.hidden_size, more=1)
        # phi(...) of every step; then its slope; then the gradient of its argument, less a.
        self._phi = size.buffer(rnn.hidden_size)

    def forward(
        self,
        parameters: Parameters,
        inputs: Float[Tensor, "networks steps trajectories inputs"] | None,
    ) -> None:
        """Compute `states` from h_0, the inputs (None: none) and the noise."""
        a, states, phi = self.rnn.alpha, self.states, self._phi
        recurrent = parameters["recurrent"].mT
        if inputs is not None:
            torch.bmm(_flat(inputs), parameters["input"].mT, out=_flat(phi))
        for t in range(phi.shape[1]):
            now, after, drive = states[:, t], states[:, t + 1], phi[:, t]
            if inputs is None:
                torch.bmm(now, recurrent, out=drive)
            else:
                drive.baddbmm_(now, recurrent)
            activate_(drive, self.rnn.activation)
            after.add_(now, alpha=1 - a).add_(drive, alpha=a)

    def backward(
        self,
        parameters: Parameters,
        inputs: Float[Tensor, "networks steps trajectories inputs"],
        gradient: Float[Tensor, "networks steps trajectories units"],
    ) -> tuple[Parameters, Float[Tensor, "networks trajectories units"]]:
        """Give the gradients of the weights and of h_0, once after each `forward`.

        `gradient` is that of the states after every step; it is changed.
        """
        a, slopes = self.rnn.alpha, slope_(self._phi, self.rnn.activation)
        recurrent = parameters["recurrent"]
        carried = torch.zeros_like(gradient[:, 0])
        for t in reversed(range(slopes.shape[1])):
            total = gradient[:, t].add_(carried)
            slopes[:, t].mul_(total)
            torch.baddbmm(total, slopes[:, t], recurrent, beta=1 - a, alpha=a, out=carried)
        columns = _flat(slopes).mT
        found = {
            "recurrent": a * (columns @ _flat(self.states[:, :-1])),
            "input": a * (columns @ _flat(inputs)),
        }
        return found, carried


class Gru:
    """A gated network: h <- h + a (z - 1) (h - phi(u)) + noise, with a = dt / tau.

    Its gates are z, r = sigmoid(W_zr x + U_zr h), its candidate u = W_h x + U_h (r h).

    Attributes
    ----------
    states
        As for `Vanilla`.
    """

    def __init__(self, rnn: Rnn, size: Size):
        self.rnn = rnn
        units = rnn.hidden_size
        self.states = size.buffer(units, more=1)
        # z and r, phi(u) and r h of every step; then the gradients of the arguments of the
        # sigmoids, and of u.
        self._gates = size.buffer(2 * units)
        self._phi = size.buffer(units)
        self._reset = size.buffer(units)

    def forward(
        self,
        parameters: Parameters,
        inputs: Float[Tensor, "networks steps trajectories inputs"] | None,
    ) -> None:
        """Compute `states` from h_0, the inputs (None: none) and the noise."""
        a, units = self.rnn.alpha, self.rnn.hidden_size
        gating, candidate = parameters["recurrent"].mT.split([2 * units, units], -1)
        if inputs is not None:
            to_gates, to_candidate = parameters["input"].mT.split([2 * units, units], -1)
            torch.bmm(_flat(inputs), to_gates, out=_flat(self._gates))
            torch.bmm(_flat(inputs), to_candidate, out=_flat(self._phi))
        else:
            self._gates.zero_()
            self._phi.zero_()
        for t in range(self._phi.shape[1]):
            now, after = self.states[:, t], self.states[:, t + 1]
            z, r = self._gates[:, t].baddbmm_(now, gating).sigmoid_().split(units, -1)
            reset = torch.mul(r, now, out=self._reset[:, t])
            phi = activate_(self._phi[:, t].baddbmm_(reset, candidate), self.rnn.activation)
            after.add_(now).add_((z - 1).mul_(now - phi), alpha=a)

    def backward(
        self,
        parameters: Parameters,
        inputs: Float[Tensor, "networks steps trajectories inputs"],
        gradient: Float[Tensor, "networks steps trajectories units"],
    ) -> tuple[Parameters, Float[Tensor, "networks trajectories units"]]:
        """Give the gradients of the weights and of h_0, once after each `forward`.

        `gradient` is that of the states after every step; it is changed.
        """
        a, units = self.rnn.alpha, self.rnn.hidden_size
        gating, candidate = parameters["recurrent"].split([2 * units, units], -2)
        carried = torch.zeros_like(gradient[:, 0])
        for t in reversed(range(self._phi.shape[1])):
            now, phi, gates = self.states[:, t], self._phi[:, t], self._gates[:, t]
            z, r = gates.split(units, -1)
            total = gradient[:, t].add_(carried)
            to_z = a * total * (now - phi)
            to_phi = a * total * (1 - z)
            carried = total - to_phi
            to_u = slope_(phi, self.rnn.activation).mul_(to_phi)
            to_reset = to_u @ candidate
            carried.addcmul_(to_reset, r)
            to_gates = torch.cat([to_z, to_reset * now], -1)
            gates.addcmul_(gates, gates, value=-1).mul_(to_gates)
            carried.baddbmm_(gates, gating)
        gates, phi = _flat(self._gates).mT, _flat(self._phi).mT
        found = {
            "recurrent": torch.cat(
                [gates @ _flat(self.states[:, :-1]), phi @ _flat(self._reset)], -2
            ),
            "input": torch.cat([gates, phi], -2) @ _flat(inputs),
        }
        return found, carried


def make_network(rnn: Rnn, size: Size) -> Vanilla | Gru:
    """Make the network that a configuration describes, with room for so much."""
    return Gru(rnn, size) if rnn.type == "gru" else Vanilla(rnn, size)


def _flat(
    values: Float[Tensor, "networks steps trajectories last"],
) -> Float[Tensor, "networks points last"]:
    """Take all steps of all trajectories as points; never a copy."""
    return values.flatten(1, 2)
