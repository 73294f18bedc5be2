"""Speed of rnn-reactivation against a plain eager loop, in one run.

    uv run python packages/rnn-reactivation/benchmarks/speed.py [--device cpu] [--networks 1]

The baseline is `rnn_reactivation.reference`: the readout inside the loop over time, gradients by
automatic differentiation, torch's Adam, and, as in the original release, decoding in every
iteration. Every side draws its trajectories, noise and targets, and learns. A third side does
nothing but the matrix products of an iteration. Before anything is timed, the gradients of both
sides must agree. Sides alternate; the ratio is that of the medians.
"""

import argparse
import resource
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnn_reactivation.configuration import Configuration, load_configuration
from rnn_reactivation.recurrence import initialise
from rnn_reactivation.reference import PlainNetwork
from rnn_reactivation.tasks import PlaceCells, make_cells, make_trajectories, squared_error
from rnn_reactivation.train import Batch, Learner, train
from sharpwave_shared.adam import Adam
from sharpwave_shared.benchmarking import alternate, benchmark

CONFIGURATIONS = {
    "navigation": "spatial_navigation/noisy_unbiased",
    "navigation_gru": "spatial_navigation/noisy_unbiased_gru",
    "head_direction": "head_direction/noisy_unbiased",
}


def measure(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, object]]:
    """Compare the gradients of each configuration, then the times; `--only` takes one of them."""
    if device.type == "cpu":
        train([Learner(load_configuration(CONFIGURATIONS["navigation"]), 0)], 2)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        yield {"what": "memory in navigation", "peak_gigabytes": round(peak / 1e9, 2)}
    for name in [options.only] if options.only else CONFIGURATIONS:
        configuration = load_configuration(CONFIGURATIONS[name])
        difference = _check(configuration, device)
        ours = _ours(configuration, device, options.networks)
        sides = {
            "plain": _Plain(configuration, device).step,
            "ours": ours,
            "products": _products(configuration, device),
        }
        seconds = alternate(sides, options.repeat, device)
        each = seconds["ours"] / options.networks
        yield {
            "what": name,
            "difference_of_gradients": difference,
            "plain_ms": round(1e3 * seconds["plain"], 1),
            "ms_per_network": round(1e3 * each, 2),
            "ratio": round(seconds["plain"] / each, 2),
            "products_ms": round(1e3 * seconds["products"], 2),
            "to_products": round(each / seconds["products"], 2),
        }


def _ours(configuration: Configuration, device: torch.device, networks: int) -> Callable[[], None]:
    """Give an iteration of learning, as `train` does it."""
    seeds = list(range(networks))
    batch = Batch([configuration] * networks, seeds, device)
    parameters = initialise(configuration, seeds, device)
    adam = Adam(list(parameters.values()), configuration.trainer.learning_rate, fused=False)
    epochs = iter(range(10**9))

    def step() -> None:
        batch.draw(next(epochs))
        _, gradients = batch.learn(parameters)
        adam.step([gradients[name] for name in parameters])

    return step


class _Plain:
    """The plain network in training."""

    def __init__(self, configuration: Configuration, device: torch.device):
        self.configuration, self.device = configuration, device
        self.network = PlainNetwork(configuration).to(device)
        self.cells = make_cells(configuration, [0], device).of(0)
        self.adam = torch.optim.Adam(self.network.parameters())
        self.generator = torch.Generator(device).manual_seed(0)

    def encode(self, states: Tensor) -> Tensor:
        """Give the activations of the cells as their definition says."""
        if isinstance(self.cells, PlaceCells):
            distances = (states[:, None] - self.cells.centres).square().sum(-1)
            return torch.softmax(-distances / (2 * self.cells.sigma**2), -1)
        cosines = torch.cos(states - self.cells.preferred[:, 0])
        return torch.exp(self.cells.kappa * (cosines - 1))

    def step(self) -> None:
        """Learn from one batch, and decode its outputs on the CPU."""
        count = self.configuration.trainer.batch_size
        drawn = make_trajectories(self.configuration.task, count, self.generator)
        start = self.encode(drawn.start)
        targets = torch.stack([self.encode(states) for states in drawn.states])
        outputs = self.network(start, drawn.inputs)
        loss = F.mse_loss(outputs, targets)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        cells = make_cells(self.configuration, [0]).of(0)
        found = cells.decode(outputs.detach().cpu().flatten(0, 1))
        squared_error(self.configuration, found, drawn.states.cpu().flatten(0, 1)).mean().item()


def _products(configuration: Configuration, device: torch.device) -> Callable[[], None]:
    """Give the matrix products of an iteration and nothing else, with outputs allocated before."""
    task, rnn, count = configuration.task, configuration.rnn, configuration.trainer.batch_size
    units, cells, steps = rnn.hidden_size, task.cells, task.length
    gates = 3 if rnn.type == "gru" else 1
    states = torch.randn(steps * count, units, device=device)
    errors = torch.randn(steps * count, cells, device=device)
    slopes = torch.randn(steps * count, gates * units, device=device)
    readout = torch.randn(cells, units, device=device)
    recurrent = torch.randn(gates * units, units, device=device)
    one, many = torch.empty_like(states[:count]), torch.empty_like(slopes[:count])
    back = torch.empty_like(states)
    to_readout, to_recurrent = torch.empty_like(readout), torch.empty_like(recurrent)

    def run() -> None:
        for t in range(steps):
            torch.mm(states[t * count : (t + 1) * count], recurrent.T, out=many)
        torch.mm(states, readout.T, out=errors)
        torch.mm(errors, readout, out=back)
        torch.mm(errors.T, states, out=to_readout)
        for t in range(steps):
            torch.mm(slopes[t * count : (t + 1) * count], recurrent, out=one)
        torch.mm(slopes.T, states, out=to_recurrent)

    return run


def _check(configuration: Configuration, device: torch.device) -> float:
    """Both sides must find the same gradients; give the largest difference, relative to each."""
    batch, parameters = Batch([configuration], [0], device), initialise(configuration, [0], device)
    batch.draw(1)
    noise = batch.network.states[0, 1:].clone()
    _, gradients = batch.learn(parameters)
    start, inputs = batch.start[0], batch.inputs[0]
    targets = batch.cells.of(0).encode(batch.true[0].flatten(0, 1))
    plain = PlainNetwork(configuration).to(device)
    plain.load_weights({name: values[0] for name, values in parameters.items()})
    outputs = plain(start, inputs, noise).flatten(0, 1)
    F.mse_loss(outputs, targets).backward()
    wanted = plain.named_gradients()
    differences = []
    for name, found in gradients.items():
        torch.testing.assert_close(found[0], wanted[name], rtol=1e-3, atol=1e-6, msg=name)
        differences.append(_relative(found[0], wanted[name]))
    return max(differences)


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


if __name__ == "__main__":
    benchmark(__doc__, measure, networks=1, repeat=5, only="")
