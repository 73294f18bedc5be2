"""Speed of impression-learning against plain NumPy loops, in one run.

    uv run python packages/impression-learning/benchmarks/speed.py [--device cpu] [--networks 20]

The baseline is `impression_learning.reference`: one network, one step at a time. Both sides make
their data and their noise. Before anything is timed, the fused and the plain loop learn from the
same data and noise, and must end with the same weights. Sides alternate; the ratio is that of the
medians.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import torch

from impression_learning import (
    ENGINES,
    Circuits,
    Group,
    Inputs,
    Member,
    Setting,
    Snr,
    Standard,
    VocalDigits,
    measure_updates,
)
from impression_learning.reference import plain_latent_process, plain_one_layer
from impression_learning.simulate import chunk_steps
from impression_learning.stimuli import Sequences
from sharpwave_shared.benchmarking import alternate, benchmark
from sharpwave_shared.compiled import workers
from sharpwave_shared.seeding import Streams

PLAIN_STEPS = 4000


@torch.no_grad()
def measure(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, object]]:
    """Check that both sides learn the same, then time them."""
    torch.set_num_threads(1)
    _check()
    yield from _standard(device, options.networks, options.steps, options.repeat)
    if device.type == "cpu":
        yield _speech(options.steps // 4, options.repeat)
    yield _episodes(device, options.repeat)


def _standard(
    device: torch.device, networks: int, steps: int, repeat: int
) -> Iterator[dict[str, object]]:
    """Time one network on one core, and many at once."""
    setting, process = Standard().setting("impression"), Standard().process()
    one = Group([Member(setting, process, 0)], device)
    members = [Member(setting, process, seed) for seed in range(networks)]
    many = (
        [Group([m], device) for m in members] if device.type == "cpu" else [Group(members, device)]
    )
    passage = one.start("training")
    passages = [g.start("training") for g in many]

    def learn_many() -> None:
        with workers(len(many)) as in_parallel:
            in_parallel(lambda i: many[i].learn(passages[i], steps), range(len(many)))

    sides = {
        "plain": _plain_standard(),
        "one": lambda: one.learn(passage, steps),
        "many": learn_many,
    }
    seconds = alternate(sides, repeat, device)
    plain_step = seconds["plain"] / PLAIN_STEPS
    for which, count in (("one", 1), ("many", networks)):
        step = seconds[which] / steps / count
        yield {
            "what": f"standard, {which}",
            "networks": count,
            "plain_us_per_step": round(1e6 * plain_step, 2),
            "us_per_step_and_network": round(1e6 * step, 3),
            "ratio": round(plain_step / step, 1),
        }


def _plain(setting: Setting) -> Callable[[np.ndarray, int], None]:
    """Give the plain loop, which draws its noise itself."""
    circuits = Circuits.new([setting], [Streams(0)], torch.device("cpu"))
    state = torch.zeros(1, setting.units).double()
    rng = np.random.default_rng(0)

    def learn(x: np.ndarray, steps: int) -> None:
        xi = torch.from_numpy(rng.standard_normal((2, steps, 1, setting.units)))
        awake = setting.awake(0, steps)[:, None]
        inputs = Inputs(torch.from_numpy(x[:, None]), xi[0], xi[1], awake, np.array([True]))
        ENGINES["reference"](circuits, state, inputs, learn=True)

    return learn


def _plain_standard() -> Callable[[], None]:
    setting, rng = Standard().setting("impression"), np.random.default_rng(0)
    mixing, learn = rng.normal(0, 1 / 20, (100, 20)), _plain(setting)

    def plain() -> None:
        xi = rng.standard_normal((PLAIN_STEPS, 20))
        x, _ = plain_latent_process(mixing, np.zeros(20), 0.1, xi)
        learn(x, PLAIN_STEPS)

    return plain


def _speech(steps: int, repeat: int) -> dict[str, object]:
    """Time the two-layer network, on noise of the size of the spectrograms."""
    setting = VocalDigits().setting("impression")
    rng = np.random.default_rng(0)
    x = 1 + rng.standard_normal((2000, 128))
    group = Group([Member(setting, Sequences({"training": x}), 0)], torch.device("cpu"))
    passage = group.start("training")
    count, learn = PLAIN_STEPS // 2, _plain(setting)
    sides = {"plain": lambda: learn(x[:count], count), "one": lambda: group.learn(passage, steps)}
    seconds = alternate(sides, repeat, torch.device("cpu"))
    plain_step, one_step = seconds["plain"] / count, seconds["one"] / steps
    return {
        "what": "Vocal_Digits, one",
        "plain_us_per_step": round(1e6 * plain_step, 2),
        "us_per_step": round(1e6 * one_step, 3),
        "ratio": round(plain_step / one_step, 1),
    }


def _episodes(device: torch.device, repeat: int) -> dict[str, object]:
    """Time the statistics of both rules' updates: episodes of SNR at one point of learning."""
    setting, process = Snr().setting("impression"), Snr().process()
    group = Group([Member(setting, process, 0)], device)
    x, _, _ = group.worlds[0].read("test", 0, 4, group.worlds[0].start("test"))
    rng = np.random.default_rng(0)
    awake = np.array([[True], [True], [False], [False]])
    plain_count, count = 1000, 100_000
    other = dataclasses.replace(setting, algorithm="reinforce")
    circuits = Circuits.new([other], [Streams(0)], torch.device("cpu"))
    traces = circuits.traces
    assert traces is not None

    def plain() -> None:
        total = np.zeros(18)
        for _ in range(plain_count):
            for tensor in traces.tensors().values():
                tensor.zero_()
            xi = torch.from_numpy(rng.standard_normal((4, 1, 6)))
            inputs = Inputs(x.cpu()[:, None], xi, xi, awake, np.array([True]))
            state, updates = torch.zeros(1, 6).double(), []
            plain_one_layer(circuits, 0, state, inputs, learn=False, decay=1.0, updates=updates)
            total += np.sum(updates, 0)

    def fast() -> None:
        network = group.circuits.weights
        measure_updates(network, setting, x, count, Streams(0))

    seconds = alternate({"plain": plain, "fast": fast}, repeat, device)
    plain_episode, episode = seconds["plain"] / plain_count, seconds["fast"] / count
    return {
        "what": "SNR",
        "plain_us_per_episode": round(1e6 * plain_episode, 1),
        "us_per_episode": round(1e6 * episode, 3),
        "ratio": round(plain_episode / episode, 1),
    }


def _check() -> None:
    """Both sides must learn the same from the same data and noise."""
    member = Member(Standard().setting("impression"), Standard().process(), 0)
    learnt = {}
    for name in ("reference", "fused"):
        group = Group([member], torch.device("cpu"))
        group.engine = ENGINES[name]
        group.learn(group.start("training"), chunk_steps(member.setting.units))
        learnt[name] = group.circuits.weights.tensors()
    for name, tensor in learnt["reference"].items():
        torch.testing.assert_close(learnt["fused"][name], tensor, rtol=1e-7, atol=1e-9)


if __name__ == "__main__":
    benchmark(__doc__, measure, networks=20, steps=50_000, repeat=5)
