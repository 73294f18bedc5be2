"""Networks that memorise random patterns at several loads, with several numbers of factors.

This is Figure 2 of the paper (f = 0.5, `Plan()`), and the same with other activities, with
sequences, or with some rows only of a large network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.exact import optima_of_rows
from synaptic_consolidation.learning import Progress, consolidate
from synaptic_consolidation.measures import (
    histogram_of_weights,
    mean_and_sd,
    measure_rows,
    smallest_margins,
    symmetry,
)
from synaptic_consolidation.model import MOST_FACTORS, Labels, Rule, initial_rows
from synaptic_consolidation.patterns import check_patterns, draw_patterns
from synaptic_consolidation.recall import STEPS, Memory, tolerances
from synaptic_consolidation.theory import critical_load

LOADS = (0.08, 0.1425, 0.205, 0.2675, 0.33, 0.4533, 0.5767, 0.70)
"""The paper's loads."""
PAPER_N = 1000
"""Learning rates and lengths are those of the paper for networks of this size."""
ETA = {1: 1e-4, 2: 5e-3, 3: 7e-3, 4: 7e-3}
ETA_THETA = {1: 1e-3, 2: 5e-3, 3: 7e-3, 4: 7e-3}
LENGTH = {1: 10.0, 2: 20.0, 3: 50.0, 4: 50.0}
STEPS_PER_PATTERN = {1: 500 * 25, 2: 500 * 30, 3: 500 * 25, 4: 500 * 25}
"""By the number of factors; with more factors, those of four."""
UNSOLVABLE_STEPS = 100_000
"""The limit of steps above the critical load, where rows cannot converge."""
WEIGHT_EDGES = np.arange(41) / 8
"""Edges of the histogram of surviving weights, relative to their mean."""
MOST_NEURONS = 5000

Task = Literal["attractors", "sequence"]
Results = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Plan:
    """What is memorised, by which networks.

    Attributes
    ----------
    n
        Neurons N.
    f
        Activity of the patterns.
    exact_activity
        Whether patterns have exactly round(N f) active neurons.
    loads
        M / N.
    factors
        Numbers of factors z.
    task
        Patterns as attractors, or each followed by the next one (the last by the first).
    rows
        How many neurons learn: all (None), or the first few. Without all there is no recall.
    max_steps
        Limit of steps. Default: the paper's, or `UNSOLVABLE_STEPS` above the critical load.
    beta
        How strongly replay favours patterns near the threshold.
    u0
        Initial factors are between 0.7 and 1.3 times it.
    tests
        How often recall is tested at every level of noise.
    optima
        For how many rows, at most, the exact optimum is computed (z = 1 and 2).

    Raises
    ------
    InvalidInputError
        If one of them is out of range.
    """

    n: int = PAPER_N
    f: float = 0.5
    exact_activity: bool = False
    loads: tuple[float, ...] = LOADS
    factors: tuple[int, ...] = (1, 2, 3, 4)
    task: Task = "attractors"
    rows: int | None = None
    max_steps: int | None = None
    beta: float = 100.0
    u0: float = 0.1
    tests: int = 20
    optima: int = 10

    def __post_init__(self) -> None:
        if not 2 <= self.n <= MOST_NEURONS:
            raise InvalidInputError(f"n: got {self.n} neurons, expected 2 to {MOST_NEURONS}")
        for name in ("loads", "factors"):
            if not getattr(self, name):
                raise InvalidInputError(f"{name}: got none, expected at least one")
        for z in self.factors:
            if not 1 <= z <= MOST_FACTORS:
                raise InvalidInputError(f"factors: got {z}, expected 1 to {MOST_FACTORS}")
        for name, most in (("rows", self.n), ("max_steps", 10**9), ("tests", 10**4)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise InvalidInputError(f"{name}: got {value}, expected 1 to {most}")
        if not 0 <= self.optima <= MOST_NEURONS:
            raise InvalidInputError(f"optima: got {self.optima}, expected 0 to {MOST_NEURONS}")
        for name in ("beta", "u0"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InvalidInputError(f"{name}: got {value}, expected a number above 0")
        for load in self.loads:
            if not 0 < load <= 100:
                raise InvalidInputError(f"loads: got {load}, expected numbers above 0, up to 100")
            try:
                check_patterns(self.n, self.patterns(load), self.f, exact=self.exact_activity)
            except InvalidInputError as error:
                if str(error).startswith("patterns:"):
                    raise InvalidInputError(f"loads: got {load:g}, too low ({error})") from None
                raise

    def patterns(self, load: float) -> int:
        """Give the number of patterns at a load."""
        return round(load * self.n)

    @property
    def unsolvable(self) -> list[float]:
        """The loads above the critical one."""
        critical = critical_load(self.f)
        return [load for load in self.loads if load > critical]

    @property
    def whole(self) -> bool:
        """Whether all neurons of a network learn."""
        return self.rows is None or self.rows == self.n

    def rule(self, factors: int) -> Rule:
        """Give the paper's rule for this number of factors, for networks of this size.

        Thresholds and the sum of u^2 grow with the number of inputs, so that factors are of the
        same size. Smaller networks are given fewer steps, and learn at a higher rate: most with one
        factor, whose steps do not grow with the weights.
        """
        z = min(factors, max(ETA))
        scale = self.n / PAPER_N
        faster = 1 / (scale if z == 1 else math.sqrt(scale))
        eta, eta_theta = ETA[z] * faster, ETA_THETA[z] * scale * faster
        return Rule(factors, LENGTH[z] * scale, eta, eta_theta, self.beta)

    def steps(self, load: float, factors: int) -> int:
        """Give the limit of steps."""
        if self.max_steps is not None:
            return self.max_steps
        most = STEPS_PER_PATTERN[min(factors, max(ETA))] * self.patterns(load)
        return min(most, UNSOLVABLE_STEPS) if load in self.unsolvable else most


def run(
    plan: Plan, seeds: Sequence[int], *, device: torch.device, journal: Journal | None = None
) -> Results:
    """Let networks memorise patterns, and measure them.

    Parameters
    ----------
    plan
        What is memorised.
    seeds
        Each has patterns, the same for all numbers of factors, and networks of its own.
    device
        What computes.
    journal
        Shows progress, and keeps what is done.

    Returns
    -------
    tuple
        Metrics: `conditions`, one for every seed, load and number of factors, with means and
        standard deviations over rows. Arrays: what figures show, by `seed/load/factors/name`.

    Raises
    ------
    DivergenceError
        If numbers are not finite any more.
    """
    journal = journal or Journal()
    conditions, arrays = [], {}
    for seed in seeds:
        for load in plan.loads:
            for z in plan.factors:
                key = f"{seed}/{load}/{z}"
                kept = journal.once(
                    key.replace("/", "-"),
                    lambda part, seed=seed, load=load, z=z: _condition(
                        plan, seed, load, z, device, part
                    ),
                )
                found = {name: kept[name].numpy() for name in sorted(kept)}
                conditions.append(_summary(plan, seed, load, z, found))
                arrays |= {f"{key}/{name}": values for name, values in found.items()}
    return {"conditions": conditions}, arrays


def memory_of(plan: Plan, seed: int, load: float) -> Memory:
    """Draw the patterns of a seed at a load."""
    generator = Streams(seed).numpy("patterns", str(load))
    patterns = draw_patterns(
        plan.n, plan.patterns(load), plan.f, generator, exact=plan.exact_activity
    )
    if plan.task == "attractors":
        return Memory(patterns, patterns, patterns, plan.f)
    following = np.roll(patterns, -1, axis=0)
    return Memory(patterns, np.roll(patterns, -STEPS, axis=0), following, plan.f)


def _condition(
    plan: Plan, seed: int, load: float, z: int, device: torch.device, journal: Journal
) -> dict[str, Tensor]:
    memory = memory_of(plan, seed, load)
    streams = Streams(seed).child(str(load), z)
    neurons = np.arange(plan.rows or plan.n)
    factors = np.empty((len(neurons), z, plan.n), np.float32)
    for i, neuron in enumerate(neurons):
        # A stream for each row: it starts the same whichever other rows there are.
        generator = streams.numpy("factors", int(neuron))
        factors[i] = plan.u0 * generator.uniform(0.7, 1.3, factors[i].shape)
    labels = np.ascontiguousarray(memory.after_one[:, neurons])
    progress = consolidate(
        initial_rows(neurons, factors, plan.f),
        memory.patterns,
        labels,
        plan.rule(z),
        plan.steps(load, z),
        device=device,
        journal=journal,
        description=f"load {load:g}, {z} factor{'s' if z > 1 else ''}",
    )
    found = _describe(plan, memory, labels, progress)
    found |= _compare(plan, memory, labels, progress)
    if plan.whole:
        journal.reporter.detail(f"recall at load {load:g} with {z} factors")
        curves = tolerances(progress.rows, memory, streams, tests=plan.tests, device=device)
        for kind, curve in curves.items():
            for name, values in curve._asdict().items():
                found[f"{kind}/{name}"] = np.array(values)
    return {name: torch.from_numpy(values.copy()) for name, values in found.items()}


def _describe(
    plan: Plan, memory: Memory, labels: Labels, progress: Progress
) -> dict[str, np.ndarray]:
    rows = progress.rows
    found = {"steps": progress.steps, "converged": progress.converged}
    found |= measure_rows(rows, memory.patterns, labels, plan.f)
    weights = rows.weights
    found["histogram"] = histogram_of_weights(weights, rows.living, WEIGHT_EDGES)
    if plan.whole:
        found["symmetry"] = np.array(symmetry(weights))
    return found


def _compare(
    plan: Plan, memory: Memory, labels: Labels, progress: Progress
) -> dict[str, np.ndarray]:
    """Compare some rows with the exact optimum of the same patterns."""
    rows, z = progress.rows, progress.rows.factors.shape[1]
    count = min(plan.optima, len(rows))
    if z > 2 or not count:
        return {}
    chosen = np.unique(np.linspace(0, len(rows) - 1, count).astype(int))
    norm = 2 if z == 1 else 1
    optima = optima_of_rows(memory.patterns, memory.after_one, rows.neurons[chosen], norm)
    part = rows.select(chosen)
    weights = part.weights.astype(float)
    smallest = smallest_margins(part, memory.patterns, labels[:, chosen])
    with np.errstate(divide="ignore", invalid="ignore"):  # rows without any synapse
        share = smallest / np.linalg.norm(weights, norm, axis=1) / optima.margins
    return {
        "optimal_margin": optima.margins,
        "optimal_density": optima.densities,
        "share_of_optimum": share,
    }


def _summary(
    plan: Plan, seed: int, load: float, z: int, found: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Give means and standard deviations over rows, and the numbers of the network."""
    per_row = {
        name: values
        for name, values in found.items()
        if values.ndim == 1 and "/" not in name and name != "histogram"
    }
    summary: dict[str, Any] = {
        "seed": seed,
        "load": load,
        "patterns": plan.patterns(load),
        "factors": z,
    }
    for name, values in per_row.items():
        mean, sd = mean_and_sd(values)
        summary[name] = {"mean": mean, "sd": sd}
    if "symmetry" in found:
        summary["symmetry"] = float(found["symmetry"])
    summary["tolerance"] = {
        name.removesuffix("/maximum"): float(values)
        for name, values in found.items()
        if name.endswith("/maximum")
    }
    return summary
