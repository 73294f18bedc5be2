"""Networks that memorise random patterns at several loads, with several numbers of factors.

This is Figure 2 of the paper (f = 0.5), and the same with other activities, with sequences, or with
some rows only of a large network.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float

from sharpwave_shared.journal import Journal
from sharpwave_shared.results import combine
from sharpwave_shared.seeding import Streams
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation.exact import optima_of_rows
from synaptic_consolidation.experiments.networks import Networks
from synaptic_consolidation.learning import consolidate
from synaptic_consolidation.limits import PAPER_N
from synaptic_consolidation.measures import (
    ROW_MEASURES,
    histogram_of_weights,
    labelled,
    measure_rows,
    smallest_margins,
    symmetry,
)
from synaptic_consolidation.model import Labels, Rows, Rule, initial_rows, rescaled
from synaptic_consolidation.optima import curves_beside
from synaptic_consolidation.patterns import draw_patterns
from synaptic_consolidation.recall import STEPS, Memory, describe_curves, tolerances
from synaptic_consolidation.theory import critical_load

ETA = {1: 1e-4, 2: 5e-3, 3: 7e-3, 4: 7e-3}
ETA_THETA = {1: 1e-3, 2: 5e-3, 3: 7e-3, 4: 7e-3}
LENGTH = {1: 10.0, 2: 20.0, 3: 50.0, 4: 50.0}
STEPS_PER_PATTERN = {1: 500 * 25, 2: 500 * 30, 3: 500 * 25, 4: 500 * 25}
"""By the number of factors; with more factors, those of four."""
UNSOLVABLE_STEPS = 100_000
"""The limit of steps above the critical load, where rows cannot converge."""
OTHERS = {
    "steps": "steps of learning",
    "converged": "converged before the limit of steps",
    "optimal_margin": "largest possible margin (l2 norm with one factor, l1 with two)",
    "optimal_density": "density of the weights with the largest margin",
    "share_of_optimum": "margin relative to the largest possible one",
}
"""What is known of rows beside `ROW_MEASURES`."""


def rule_of(setup: Networks, factors: int) -> Rule:
    """Give the paper's rule for this number of factors, for networks of this size.

    Thresholds and the sum of u^2 grow with the number of inputs, so that factors are of the same
    size. Smaller networks are given fewer steps, and learn at a higher rate: most with one factor,
    whose steps do not grow with the weights.
    """
    z = min(factors, max(ETA))
    scale = setup.n / PAPER_N
    faster = 1 / (scale if z == 1 else math.sqrt(scale))
    eta, eta_theta = ETA[z] * faster, ETA_THETA[z] * scale * faster
    return Rule(factors, LENGTH[z] * scale, eta, eta_theta, setup.beta)


def limit_of_steps(setup: Networks, load: float, factors: int) -> int:
    """Give the limit of steps: that of the parameters, or the paper's."""
    if setup.max_steps is not None:
        return setup.max_steps
    most = STEPS_PER_PATTERN[min(factors, max(ETA))] * setup.patterns_at(load)
    return min(most, UNSOLVABLE_STEPS) if load > critical_load(setup.f) else most


def memory_of(setup: Networks, seed: int, load: float) -> Memory:
    """Draw the patterns of a seed at a load."""
    generator = Streams(seed).numpy("patterns", str(load))
    patterns = draw_patterns(
        setup.n, setup.patterns_at(load), setup.f, generator, exact=setup.exact_activity
    )
    if setup.task == "attractors":
        return Memory(patterns, patterns, patterns, setup.f)
    following = np.roll(patterns, -1, axis=0)
    return Memory(patterns, np.roll(patterns, -STEPS, axis=0), following, setup.f)


def memorise(
    setup: Networks, seeds: Sequence[int], device: torch.device, journal: Journal
) -> xr.Dataset:
    """Let networks memorise patterns, and measure them.

    Each seed has patterns, the same for all numbers of factors, and networks of its own.

    Returns
    -------
    xarray.Dataset
        By seed, load and number of factors: `mean_*`, means over rows; `symmetry`, `tolerance_*`
        and `tolerance_sd_*` (over tests) of whole networks. Also by row what `ROW_MEASURES` and
        `OTHERS` list; by level of noise `recall_*` and `error_*`; by bin of weights `histogram`.
        `level_*` are the levels of noise, `theory_*` the curves of the theory.

    Raises
    ------
    DivergenceError
        If numbers are not finite any more.
    """

    def condition(seed: int, load: float, z: int) -> xr.Dataset:
        return journal.once(
            f"seed {seed}, load {load}, z {z}",
            lambda part: _condition(setup, seed, load, z, device, part),
        )

    labels = {"seed": seeds, "load": setup.loads, "factors": setup.factors}
    return combine(condition, labels).merge(curves_beside(setup.f))


def _condition(
    setup: Networks, seed: int, load: float, z: int, device: torch.device, journal: Journal
) -> xr.Dataset:
    """Let one network learn, and measure it."""
    memory = memory_of(setup, seed, load)
    streams = Streams(seed).child(str(load), z)
    neurons = np.arange(setup.rows or setup.n)
    factors = np.empty((len(neurons), z, setup.n), np.float32)
    for i, neuron in enumerate(neurons):
        # A stream for each row: it starts the same whichever other rows there are.
        generator = streams.numpy("factors", int(neuron))
        factors[i] = setup.u0 * generator.uniform(0.7, 1.3, factors[i].shape)
    labels = np.ascontiguousarray(memory.after_one[:, neurons])
    rule = rule_of(setup, z)
    progress = consolidate(
        rescaled(initial_rows(neurons, factors, setup.f), rule),
        memory.patterns,
        labels,
        rule,
        limit_of_steps(setup, load, z),
        device=device,
        journal=journal,
        description=f"load {load:g}, {z} factor{'s' if z > 1 else ''}",
    )
    rows = progress.rows
    by_row = measure_rows(rows, memory.patterns, labels, setup.f)
    by_row |= {"steps": progress.steps, "converged": progress.converged}
    by_row |= _compare(setup, memory, labels, rows)
    names = ROW_MEASURES | OTHERS
    means = {
        f"mean_{name}": mean_and_sd(values.astype(float))[0] for name, values in by_row.items()
    }
    names_of_means = {f"mean_{name}": f"{text}, mean over rows" for name, text in names.items()}
    data = xr.Dataset(labelled("row", by_row, names) | labelled((), means, names_of_means))
    histogram = histogram_of_weights(rows.weights, rows.living)
    data["histogram"] = ("bin", histogram, {"long_name": "share of synapses by weight"})
    if setup.whole:
        about = {"long_name": "correlation of w_ij and w_ji"}
        data["symmetry"] = ((), symmetry(rows.weights), about)
        journal.reporter.detail(f"recall at load {load:g} with {z} factors")
        curves = tolerances(rows, memory, streams, tests=setup.tests, device=device)
        data = data.merge(describe_curves(curves))
    return data


def _compare(
    setup: Networks, memory: Memory, labels: Labels, rows: Rows
) -> dict[str, Float[np.ndarray, " rows"]]:
    """Compare some rows with the exact optimum of the same patterns; NaN for the others."""
    z = rows.factors.shape[1]
    found = {name: np.full(len(rows), np.nan) for name in OTHERS if "optim" in name}
    count = min(setup.optima, len(rows))
    if z > 2 or not count:
        return found
    chosen = np.unique(np.linspace(0, len(rows) - 1, count).astype(int))
    norm = 2 if z == 1 else 1
    optima = optima_of_rows(memory.patterns, memory.after_one, rows.neurons[chosen], norm)
    part = rows.select(chosen)
    smallest = smallest_margins(part, memory.patterns, labels[:, chosen])
    found["optimal_margin"][chosen] = optima.margins
    found["optimal_density"][chosen] = optima.densities
    with np.errstate(divide="ignore", invalid="ignore"):  # rows without any synapse
        lengths = np.linalg.norm(part.weights.astype(float), norm, axis=1)
        found["share_of_optimum"][chosen] = smallest / lengths / optima.margins
    return found
