"""Speed of synaptic-consolidation against plain transcriptions, in one run.

    uv run python packages/synaptic-consolidation/benchmarks/speed.py [--device cpu] [--n 1000]

The baseline of learning is a step in eager torch with all tensors materialised, the leave-one-out
products of every synapse included, for all rows at once and on all processors. The start is that of
learning (`early`), and a network that has learnt for some time, part of it pruned (`late`); both
sides go on from the same state. Before anything is timed, both take the same steps and must agree.
`to_copy` compares with the time that one copy of the living factors takes, which is the floor for
what reads and writes each of them in every step; the CPU, which keeps rows in its cache, does not.
That of fluctuating synapses is `reference.plain_fluctuations`. Sides alternate; the ratio is that
of the medians.
"""

import argparse
import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sharpwave_shared.benchmarking import alternate, benchmark
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.experiments.networks import Networks
from synaptic_consolidation.experiments.synapses import Fluctuations
from synaptic_consolidation.fluctuations import simulate
from synaptic_consolidation.learning import advance, engine_on
from synaptic_consolidation.model import Rows, initial_rows, signs
from synaptic_consolidation.networks import memory_of, rule_of
from synaptic_consolidation.reference import plain_fluctuations
from synaptic_consolidation.spines import norm_variation

LOAD = 0.2
PLAIN_STEPS = 2
PLAIN_NOISE_STEPS = 2000


@torch.no_grad()
def measure(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, object]]:
    """Time learning, and on the CPU fluctuating synapses."""
    for z in (2, 4):
        yield from _learning(z, options, device)
    if device.type == "cpu":
        yield from _fluctuations(options.repeat)
        yield _bootstraps(options.repeat)


def _learning(
    z: int, options: argparse.Namespace, device: torch.device
) -> Iterator[dict[str, object]]:
    setup = Networks(n=options.n, loads=(LOAD,), factors=(z,))
    patterns = memory_of(setup, 0, LOAD).patterns
    rule = rule_of(setup, z)
    rng = np.random.default_rng(0)
    factors = setup.u0 * rng.uniform(0.7, 1.3, (setup.n, z, setup.n))
    early = initial_rows(np.arange(setup.n), factors.astype(np.float32), setup.f)
    _check(setup, patterns, z, device)
    rates = np.full(options.steps, rule.eta), np.full(options.steps, rule.eta_theta)
    with engine_on(device, setup.n) as engine:
        late = early.copy()
        before = np.full(options.late, rule.eta), np.full(options.late, rule.eta_theta)
        advance(late, patterns, patterns, rule, *before, engine=engine)
        for name, rows in (("early", early), ("late", late)):

            def fast(rows: Rows = rows) -> None:
                advance(rows.copy(), patterns, patterns, rule, *rates, engine=engine)

            plain = PlainRows(rows, patterns, patterns, device)

            def slow(plain: PlainRows = plain) -> None:
                # Within the engine's workers torch has one thread.
                torch.set_num_threads(len(os.sched_getaffinity(0)))
                plain.advance(PLAIN_STEPS, rule.eta, rule.eta_theta, rule.beta, rule.norm)
                torch.set_num_threads(1)

            # As many copies as steps: a single one would be timed with what its call costs.
            source = plain.u[plain.living]
            target = torch.empty_like(source)

            def copy(source: Tensor = source, target: Tensor = target) -> None:
                for _ in range(options.steps):
                    target.copy_(source)

            sides = {"plain": slow, "fast": fast, "copy": copy}
            seconds = alternate(sides, options.repeat, device)
            plain_step = seconds["plain"] / PLAIN_STEPS
            step = seconds["fast"] / options.steps
            yield {
                "what": f"z = {z}, {name}",
                "density": round(float(rows.living.mean()), 3),
                "plain_ms_per_step": round(1e3 * plain_step, 3),
                "ms_per_step": round(1e3 * step, 4),
                "ratio": round(plain_step / step, 1),
                "to_copy": round(seconds["fast"] / seconds["copy"], 2),
            }


class PlainRows:
    """Rows with every tensor materialised: u is rows x inputs x factors."""

    def __init__(
        self, rows: Rows, patterns: np.ndarray, labels: np.ndarray, device: torch.device
    ) -> None:
        dtype = torch.from_numpy(rows.theta).dtype
        self.u = torch.from_numpy(rows.factors).to(device).permute(0, 2, 1).contiguous()
        self.living = torch.from_numpy(rows.living).to(device)
        self.theta = torch.from_numpy(rows.theta).to(device)
        self.mean = torch.from_numpy(rows.mean).to(device)
        self.xi = torch.from_numpy(patterns).to(device, dtype)
        self.y = torch.from_numpy(signs(labels)).to(device, dtype)

    def advance(self, steps: int, eta: float, eta_theta: float, beta: float, norm: float) -> None:
        """Take steps, written as the equations are."""
        z = self.u.shape[2]
        kept = ~torch.eye(z, dtype=torch.bool, device=self.u.device)
        for _ in range(steps):
            w = self.u.prod(2) * self.living
            h = self.xi @ w.T - self.theta
            margin = self.y * h
            lowest, worst = margin.min(0)
            current = h.abs().mean(0)
            mean = torch.where(self.mean > 0, self.mean, current)
            p = torch.softmax(-beta * h.abs() / mean, 0)
            chosen = torch.nn.functional.one_hot(worst, len(h)).T
            share = torch.where(lowest <= 0, chosen * self.y, p * h.sign())
            g = share.T @ self.xi
            self.mean = current
            # rows x inputs x factors x factors, the k-th without the k-th factor
            others = torch.where(
                kept, self.u[:, :, None, :], torch.ones_like(self.u[:, :, None, :])
            )
            step = eta * g[:, :, None] * others.prod(3)
            self.u = (self.u + step).clamp(min=1e-20)
            self.living = self.living & (self.u.prod(2) > 1e-10)
            self.u = self.u * self.living[:, :, None]
            self.u = self.u * (norm / (self.u**2).sum((1, 2))).sqrt()[:, None, None]
            self.theta = self.theta - eta_theta * share.sum(0)


def _check(setup: Networks, patterns: np.ndarray, z: int, device: torch.device) -> None:
    """Both sides must do the same, in double precision, on some rows."""
    rng = np.random.default_rng(1)
    rows = initial_rows(np.arange(4), setup.u0 * rng.uniform(0.7, 1.3, (4, z, setup.n)), setup.f)
    labels = np.ascontiguousarray(patterns[:, :4])
    rule = rule_of(setup, z)
    plain = PlainRows(rows, patterns, labels, device)
    plain.advance(50, rule.eta, rule.eta_theta, rule.beta, rule.norm)
    rates = np.full(50, rule.eta), np.full(50, rule.eta_theta)
    with engine_on(device, len(rows)) as engine:
        advance(rows, patterns, labels, rule, *rates, engine=engine)
    _agree(torch.from_numpy(rows.factors).permute(0, 2, 1), plain.u)
    _agree(torch.from_numpy(rows.theta), plain.theta)


def _agree(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other.cpu(), rtol=1e-9, atol=1e-12)


def _fluctuations(repeat: int) -> Iterator[dict[str, object]]:
    """Time fluctuating synapses, noise included, on one core."""
    parameters = Fluctuations(duration=100)
    steps = parameters.duration * parameters.steps_per_sample
    rng = np.random.default_rng(0)
    for z in (2, 5):

        def slow(z: int = z) -> None:
            xi = rng.standard_normal((PLAIN_NOISE_STEPS, 2, parameters.synapses))
            plain_fluctuations(z, xi, every=parameters.steps_per_sample)

        sides = {"plain": slow, "fast": lambda z=z: simulate(z, parameters, Streams(0))}
        seconds = alternate(sides, repeat, torch.device("cpu"))
        plain_step, step = seconds["plain"] / PLAIN_NOISE_STEPS, seconds["fast"] / steps
        yield {
            "what": f"syn-noise, z = {z}",
            "plain_us_per_step": round(1e6 * plain_step, 1),
            "us_per_step": round(1e6 * step, 2),
            "ratio": round(plain_step / step, 1),
        }


def _bootstraps(repeat: int) -> dict[str, object]:
    """Time the variation of norms of resampled populations against plain resampling."""
    rng = np.random.default_rng(0)
    sizes = rng.lognormal(0, 0.5, (1000, 144))
    exponents = np.arange(1, 45) / 10
    few = 5

    def slow() -> None:
        for _ in range(few):
            for q in exponents:
                drawn = rng.integers(1000, size=sizes.shape)
                norms = (np.take_along_axis(sizes, drawn, 0) ** q).sum(0) ** (1 / q)
                norms.std() / norms.mean()

    def fast() -> None:
        norm_variation(sizes, 20 * few + 1, rng, exponents)

    seconds = alternate({"plain": slow, "fast": fast}, repeat, torch.device("cpu"))
    return {
        "what": "1,000 bootstraps",
        "seconds": round(seconds["fast"] * 1000 / (20 * few), 3),
        "ratio": round(20 * seconds["plain"] / seconds["fast"], 1),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, n=1000, steps=100, late=20_000, repeat=5)
