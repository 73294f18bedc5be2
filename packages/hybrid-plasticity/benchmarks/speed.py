"""Speed of hybrid-plasticity against plain eager torch, in one run.

    uv run python packages/hybrid-plasticity/benchmarks/speed.py [--device cpu] [--networks 8]

The baseline is `hybrid_plasticity.reference`: one stream, one frame after another, gradients by
automatic differentiation, torch's Adam. Every side draws its streams and learns. Before anything is
timed, both compute the gradients of one stream, which must agree. Sides alternate; the ratio is
that of the medians.
"""

import argparse
import resource
from collections.abc import Iterator

import torch
from torch.nn import functional as F

from hybrid_plasticity import (
    Configuration,
    Learning,
    Limits,
    Network,
    initialise,
    run_networks,
    train,
)
from hybrid_plasticity.reference import plain_network
from hybrid_plasticity.streams import Streams, make_streams, scenes_of_training
from sharpwave_shared.benchmarking import alternate, benchmark
from sharpwave_shared.seeding import Streams as Seeds

EXAMPLE = Configuration()
SMALL = (
    Configuration(hidden_dims=(50, 50)),
    Configuration(hidden_dims=(50, 50), plastic_types=("M", "M")),
)


def measure(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, object]]:
    """Compare the gradients, then the times."""
    yield {"what": "gradients", "largest_difference": _check(device)}
    for name, configurations in (("example", (EXAMPLE,)), ("50_50", SMALL)):
        yield from _compare(name, configurations, device, options)
    if device.type == "cpu":
        yield _long_stream()


def _compare(
    name: str,
    configurations: tuple[Configuration, ...],
    device: torch.device,
    options: argparse.Namespace,
) -> Iterator[dict[str, object]]:
    """Time one iteration of a plain network, of one network, and of many as one batch."""
    one = [Network.new(configurations[0], 0)]
    many = [
        Network.new(configurations[n % len(configurations)], n) for n in range(options.networks)
    ]
    plain = _Plain(configurations[0])

    def learn(networks: list[Network]) -> None:
        # A threshold out of reach keeps all of them at R = 1.
        learning = Learning(acc_num=1_000_000)
        budget = networks[0].iteration + options.iterations
        train(networks, learning, Limits(max_iterations=budget), device=device)

    sides = {"plain": plain.step, "one": lambda: learn(one), "many": lambda: learn(many)}
    seconds = alternate(sides, options.repeat, device)
    for which, networks in (("one", one), ("many", many)):
        stream = seconds[which] / options.iterations / len(networks)
        yield {
            "what": f"{name}, {which}",
            "networks": len(networks),
            "plain_ms_per_stream": round(1e3 * seconds["plain"], 1),
            "ms_per_stream": round(1e3 * stream, 3),
            "ratio": round(seconds["plain"] / stream, 1),
        }


class _Plain:
    """The plain network in training at R = 1."""

    def __init__(self, configuration: Configuration):
        self.configuration = configuration
        parameters = initialise(configuration, 0)
        self.parameters = {name: v[0].requires_grad_() for name, v in parameters.items()}
        self.optimiser = torch.optim.Adam(self.parameters.values())
        self.generator = Seeds(0).torch("streams")

    def draw(self, interval: int = 1) -> Streams:
        """Draw a stream of training."""
        scenes = scenes_of_training(interval)
        return make_streams(self.configuration.task, interval, scenes, 1, self.generator)

    def loss(self, streams: Streams) -> torch.Tensor:
        """Run over a stream."""
        c = self.configuration
        frames = streams.frames[0]
        outputs, _, _ = plain_network(c.network_type, c.plastic_types, self.parameters, frames)
        answers = outputs[c.task.scene_time - 1 :: c.task.scene_time, 0]
        return F.binary_cross_entropy(answers, streams.repeated[0].float())

    def step(self) -> None:
        """Learn from one stream, on one core: its operations are too small for more."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self.optimiser.zero_grad()
        self.loss(self.draw()).backward()
        self.optimiser.step()
        torch.set_num_threads(threads)


def _check(device: torch.device) -> float:
    """Both sides must find the same gradients; give the largest difference, relative to each."""
    plain = _Plain(EXAMPLE)
    streams = plain.draw()
    plain.loss(streams).backward()
    parameters = {
        name: v.detach()[None].to(device).requires_grad_() for name, v in plain.parameters.items()
    }
    logits = run_networks([EXAMPLE], parameters, streams.frames[None].to(device)).logits
    targets = streams.repeated.float().to(device)
    F.binary_cross_entropy_with_logits(logits[0, :, :, 0], targets).backward()
    differences = []
    for name, values in plain.parameters.items():
        found, wanted = parameters[name].grad, values.grad
        assert found is not None
        assert wanted is not None
        torch.testing.assert_close(found[0].cpu(), wanted, rtol=2e-3, atol=2e-6, msg=name)
        differences.append(float((found[0].cpu() - wanted).abs().max() / wanted.abs().max()))
    return max(differences)


def _long_stream() -> dict[str, object]:
    """Learn from streams of 400 scenes, and give the peak memory of the process."""
    network = Network.new(EXAMPLE, 0)
    network.interval = 20
    train([network], Learning(acc_num=1_000_000), Limits(max_r=20, max_iterations=2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"what": "memory with 400 scenes", "peak_gigabytes": round(peak / 1e9, 2)}


if __name__ == "__main__":
    benchmark(__doc__, measure, networks=8, iterations=20, repeat=5)
