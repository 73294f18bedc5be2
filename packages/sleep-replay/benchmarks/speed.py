"""Speed of sleep-replay against a plain eager loop, in one run.

    uv run python packages/sleep-replay/benchmarks/speed.py [--seeds 10] [--device cpu]

The baseline is `sleep_replay.reference`: one network at a time, batch size 1, torch's own layers
and optimiser. Both sides train the same schedule from the same weights with the same random
numbers; before it measures, the benchmark checks that a short night leaves both with the same
errors (in a long one, rounding grows). The baseline trains the first two seeds only: it takes as
long for each. Sides alternate, and the median over repetitions is reported.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import torch

from sharpwave_shared.benchmarking import alternate, benchmark
from sharpwave_shared.journal import Journal
from sleep_replay.data import load_experience
from sleep_replay.evaluate import evaluate
from sleep_replay.model import VAE
from sleep_replay.parameters import Learning, Model, Night, Pretraining
from sleep_replay.reference import PlainVAE, plain_sleep
from sleep_replay.sleep import sleep
from sleep_replay.weights import obtain_weights

PLAIN = 2
"""Seeds that the baseline trains."""


def measure(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, object]]:
    """Time the training of all seeds, then the evaluation of one network."""
    model = Model(dataset="mnist-5k")
    data = load_experience(model).to(device)
    initial = obtain_weights(Journal(), model, data, Pretraining(), seed=0).state
    vae = VAE(1).to(device).load_network(initial).eval()
    new_train = data.new_train.subset(torch.arange(4000))
    # Training is timed with next to no evaluation, which is timed on its own below: few images, few
    # cycles (after each, every network dreams for the record).
    few = torch.arange(2)
    unevaluated = replace(
        data,
        new_train=new_train,
        old_test=data.old_test.subset(few),
        new_test=data.new_test.subset(few),
    )
    night = Night(total_eps=options.total_eps, num_cycles=2)
    seeds = list(range(options.seeds))
    new_images = new_train.all_images()

    def one_by_one(night: Night) -> list[PlainVAE]:
        networks = [PlainVAE() for _ in seeds[:PLAIN]]
        for plain, seed in zip(networks, seeds, strict=False):
            plain.load_state_dict(initial)
            plain_sleep(plain.to(device), night, seed, new_images)
        return networks

    def batched(night: Night) -> dict[str, torch.Tensor]:
        return sleep(Journal(), vae, unevaluated, [night], Learning(), seeds).networks

    short = night.replaced(total_eps=4)
    _check(one_by_one(short), batched(short), data.new_test.all_images())
    sides = {"plain": lambda: one_by_one(night), "batched": lambda: batched(night)}
    times = alternate(sides, options.repeat, device)
    steps = night.num_cycles * night.epochs_per_cycle * night.num
    plain_step = times["plain"] / steps / len(seeds[:PLAIN])
    step = times["batched"] / steps / len(seeds)
    yield {
        "what": "training",
        "networks": len(seeds),
        "steps": steps,
        "plain_ms_per_step_and_network": round(1e3 * plain_step, 3),
        "ms_per_step_and_network": round(1e3 * step, 3),
        "ratio": round(plain_step / step, 2),
    }

    images = data.old_test.all_images()
    one = PlainVAE().to(device)
    one.load_state_dict(initial)

    def plain_evaluation() -> None:
        with torch.inference_mode():
            (images - one.decode(one.encode(images)[0])).abs().sum((1, 2)).mean()

    evaluations = alternate(
        {"plain": plain_evaluation, "fast": lambda: evaluate(vae, images)}, 5, device
    )
    yield {
        "what": "evaluation",
        "images": len(images),
        "plain_ms": round(1e3 * evaluations["plain"], 1),
        "ms": round(1e3 * evaluations["fast"], 1),
        "ratio": round(evaluations["plain"] / evaluations["fast"], 2),
    }


def _check(plain: list[PlainVAE], batched: dict[str, torch.Tensor], images: torch.Tensor) -> None:
    """Both sides must have trained the same networks, up to amplified rounding."""
    for index, vae in enumerate(plain):
        other = PlainVAE().to(images.device)
        other.load_state_dict({name: tensor[index] for name, tensor in batched.items()})
        with torch.no_grad():
            errors = [(images - v.decode(v.encode(images)[0])).abs().sum() for v in (vae, other)]
        torch.testing.assert_close(errors[0], errors[1], rtol=0.01, atol=0)


if __name__ == "__main__":
    benchmark(__doc__, measure, seeds=10, total_eps=100, repeat=3)
