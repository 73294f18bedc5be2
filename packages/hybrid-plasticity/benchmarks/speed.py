"""Speed of hybrid-plasticity against plain eager torch, in one run.

    uv run python packages/hybrid-plasticity/benchmarks/speed.py [--device cpu] [--networks 8]

The baseline is `hybrid_plasticity.reference`: one stream, one frame after another, gradients by
automatic differentiation, torch's Adam. Every side draws its streams and learns. Before anything is
timed, both compute the gradients of one stream, which must agree. Sides alternate; the ratio is
that of the medians.
"""

import argparse
import json
import os
import resource

import torch
from torch.nn import functional as F

from hybrid_plasticity import (
    Configuration,
    Limits,
    Network,
    Training,
    initialise,
    run_networks,
    train,
)
from hybrid_plasticity.reference import plain_network
from hybrid_plasticity.streams import Streams, make_streams, scenes_of_training
from sharpwave_shared.benchmarking import alternate
from sharpwave_shared.devices import describe_device, resolve_device
from sharpwave_shared.seeding import Streams as Seeds

EXAMPLE = Configuration()
SMALL = (
    Configuration(hidden_dims=(50, 50)),
    Configuration(hidden_dims=(50, 50), plastic_types=("M", "M")),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    report: dict[str, object] = {"device": describe_device(device), "torch": torch.__version__}
    report["processors"] = len(os.sched_getaffinity(0))
    report["largest_difference_of_gradients"] = _check(device)
    for name, configurations in (("example", (EXAMPLE,)), ("50_50", SMALL)):
        report |= _compare(name, configurations, device, arguments)
    if device.type == "cpu":
        report |= _long_stream()
    print(json.dumps(report, indent=2))


def _compare(
    name: str,
    configurations: tuple[Configuration, ...],
    device: torch.device,
    arguments: argparse.Namespace,
) -> dict[str, object]:
    """Time one iteration of a plain network, of one network, and of many as one batch."""
    one = [Network.new(configurations[0], 0)]
    many = [
        Network.new(configurations[n % len(configurations)], n) for n in range(arguments.networks)
    ]
    plain = _Plain(configurations[0])

    def learn(networks: list[Network]) -> None:
        # A threshold out of reach keeps all of them at R = 1.
        training = Training(acc_num=10**9)
        budget = networks[0].iteration + arguments.iterations
        train(networks, training, Limits(max_iterations=budget), device=device)

    sides = {"plain": plain.step, "one": lambda: learn(one), "many": lambda: learn(many)}
    seconds = alternate(sides, arguments.repeat, device)
    iteration = seconds["one"] / arguments.iterations
    stream = seconds["many"] / arguments.iterations / len(many)
    return {
        f"{name}_plain_ms": round(1e3 * seconds["plain"], 1),
        f"{name}_one_network_ms": round(1e3 * iteration, 2),
        f"{name}_one_network_ratio": round(seconds["plain"] / iteration, 1),
        f"{name}_networks": len(many),
        f"{name}_networks_ms_per_stream": round(1e3 * stream, 2),
        f"{name}_networks_ratio": round(seconds["plain"] / stream, 1),
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
    train([network], Training(acc_num=10**9), Limits(max_r=20, max_iterations=2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"peak_gigabytes_with_400_scenes": round(peak / 1e9, 2)}


if __name__ == "__main__":
    main()
