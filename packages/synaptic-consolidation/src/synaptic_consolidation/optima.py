"""Two experiments without learning: what the theory predicts, and optimal weights themselves.

`theory` computes curves for infinitely many neurons. `solve` takes networks of random patterns,
finds the optimal weights of single neurons (rows) by quadratic and linear programming, and puts
them beside the theory.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

from sharpwave_shared.journal import Journal
from sharpwave_shared.results import combine
from sharpwave_shared.seeding import Streams
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation.exact import PRUNED, Norm, optima_of_rows
from synaptic_consolidation.experiments.exact import Exact
from synaptic_consolidation.limits import LOADS
from synaptic_consolidation.measures import labelled
from synaptic_consolidation.patterns import draw_patterns
from synaptic_consolidation.theory import (
    critical_load,
    l1_optima_at_loads,
    l2_optima_at_loads,
    sparsest_densities,
)

SPARSEST_SHOWN = 1e-3
"""Critical loads are computed from this activity (or that of the patterns, if lower) to 1/2."""
POINTS = 100
"""Of the curves that are drawn beside simulations."""
NORMS: dict[int, Norm] = {1: 2, 2: 1}
"""The norms relative to which z = 1 and z = 2 factors maximise the margin."""
ROWS_AT_ONCE = 16
"""Rows that make a part of the work: what a kill costs at most."""
WEIGHT_EDGES: Float[np.ndarray, " edges"] = np.arange(31) / 5
"""Edges of the histogram of weights, relative to the mean of those above 0."""
CURVES = {
    "l2_margin": "largest margin relative to |w|_2",
    "l1_margin": "largest margin relative to the mean of w",
    "l2_density": "density of the weights with the largest l2 margin",
    "l1_density": "density of the weights with the largest l1 margin",
    "sparsest_density": "density below which there is no solution",
}
NAMES = {
    "margin": "largest margin",
    "density": "share of weights above 0",
    "mean_margin": "largest margin, mean over rows",
    "mean_density": "share of weights above 0, mean over rows",
    "solved": "share of rows that have a solution",
    "expected_margin": "largest margin in theory",
    "expected_density": "share of weights above 0 in theory",
    "counts": "weights above 0 in bins of w / mean of these",
}
"""What `solve` gives."""


# --- theory ---------------------------------------------------------------------------------------


def theory(f: float, points: int) -> xr.Dataset:
    """Compute the largest margins, their densities, and critical loads.

    Parameters
    ----------
    f
        Activity of the patterns.
    points
        Points of every curve.

    Returns
    -------
    xarray.Dataset
        `CURVES` by load, evenly spaced up to the critical one and at the paper's loads;
        `critical_load`, and `critical_loads` by activity.
    """
    critical = critical_load(f)
    even = critical * (np.arange(1, points + 1) / points)
    paper = [load for load in LOADS if load < critical]
    activities = np.geomspace(min(SPARSEST_SHOWN, f, 1 - f), 0.5, points)
    data = curves_at(np.union1d(even, paper), f)
    data["critical_load"] = ((), critical, {"long_name": "critical load"})
    data["critical_loads"] = (
        "activity",
        np.array([critical_load(activity) for activity in activities.tolist()]),
        {"long_name": "critical load"},
    )
    return data.assign_coords(activity=activities)


def curves_at(loads: Float[np.ndarray, " loads"], f: float) -> xr.Dataset:
    """Compute `CURVES` at some loads; NaN above the critical one."""
    l2, l1 = l2_optima_at_loads(loads, f), l1_optima_at_loads(loads, f)
    sparsest = sparsest_densities(loads, f)
    values = (l2.margin, l1.margin, l2.density, l1.density, sparsest)
    return xr.Dataset(
        {
            name: ("load", value, {"long_name": text})
            for (name, text), value in zip(CURVES.items(), values, strict=True)
        },
        {"load": ("load", loads, {"long_name": "load M / N"})},
    )


def curves_beside(f: float) -> xr.Dataset:
    """Give `CURVES` up to the critical load, as `theory_*`, to be drawn beside simulations."""
    curves = _up_to_the_critical_load(f, POINTS)
    return curves.rename({name: f"theory_{name}" for name in curves.variables})


@functools.lru_cache
def _up_to_the_critical_load(f: float, points: int) -> xr.Dataset:
    return curves_at(critical_load(f) * (np.arange(1, points + 1) / points), f)


# --- exact solutions ------------------------------------------------------------------------------


def solve(setup: Exact, seeds: Sequence[int], journal: Journal) -> xr.Dataset:
    """Compute optimal weights for random patterns, and compare them with the theory.

    Parameters
    ----------
    setup
        The networks.
    seeds
        Each gives every network patterns of its own. A neuron's patterns do not depend on which
        other rows or loads are computed.
    journal
        Shows progress and keeps finished parts.

    Returns
    -------
    xarray.Dataset
        `NAMES`, by seed, factors (1: l2 norm, 2: l1 norm), n and load; margins and densities also
        by row, NaN where there is no solution. l2 margins are k, l1 margins rho, as in `theory`,
        whose curves are `theory_*`.

    Raises
    ------
    SharpwaveError
        If a solver gets stuck.

    Notes
    -----
    A row has N - 1 inputs, for there are no self-connections. The theory is therefore evaluated at
    M / (N - 1) patterns per input. It holds for independent neurons. With an exact activity, what a
    neuron gets from equal weights depends on nothing but its own activity, so that all weights may
    be raised together at little cost: this takes most of its force from the constraint w >= 0, and
    margins, densities and the critical load are higher than in the theory.
    """
    total = len(seeds) * len(NORMS) * len(setup.n) * len(setup.loads) * setup.rows
    with journal.reporter.progress("rows", total) as advance:
        data = combine(
            lambda seed, z, n, load: _condition(setup, seed, z, n, load, journal, advance),
            {"seed": seeds, "factors": list(NORMS), "n": setup.n, "load": setup.loads},
        )
    data = data.assign_attrs(critical_load=critical_load(setup.f))
    return data.merge(curves_beside(setup.f))


def _condition(
    setup: Exact,
    seed: int,
    z: int,
    n: int,
    load: float,
    journal: Journal,
    advance: Callable[[int], None],
) -> xr.Dataset:
    """Solve the rows of one network, a few at a time."""
    m, norm = round(load * n), NORMS[z]
    parts = []
    for first in range(0, setup.rows, ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, setup.rows))
        parts.append(
            journal.once(
                f"l{norm}, n {n}, m {m}, seed {seed}, row {first}",
                lambda _, rows=rows: _solve_rows(setup, seed, n, m, rows, norm),
            )
        )
        advance(len(rows))
    margin, density = (
        np.concatenate([part[key] for part in parts]) for key in ("margin", "density")
    )
    theory = curves_at(np.array([m / (n - 1)]), setup.f).isel(load=0)
    of_network = {
        "mean_margin": mean_and_sd(margin)[0],
        "mean_density": mean_and_sd(density)[0],
        "solved": np.isfinite(margin).mean(),
        "expected_margin": theory[f"l{norm}_margin"].item(),
        "expected_density": theory[f"l{norm}_density"].item(),
    }
    return xr.Dataset(
        labelled("row", {"margin": margin, "density": density}, NAMES)
        | labelled((), of_network, NAMES)
        | labelled("bin", {"counts": np.sum([part["counts"] for part in parts], 0)}, NAMES)
    )


def _solve_rows(
    setup: Exact, seed: int, n: int, m: int, rows: np.ndarray, norm: Norm
) -> dict[str, np.ndarray]:
    generator = Streams(seed).numpy("patterns", n, m)
    patterns = draw_patterns(n, m, setup.f, generator, exact=setup.exact_activity)
    found = optima_of_rows(patterns, patterns, rows, norm)
    counts = np.zeros(len(WEIGHT_EDGES) - 1)
    for weights in found.weights[np.isfinite(found.margins)]:
        surviving = weights[weights > PRUNED * weights.max()]
        counts += np.histogram(surviving / surviving.mean(), WEIGHT_EDGES)[0]
    # The theory's l1 margin is relative to the mean weight, and to what inputs vary by.
    unit = 1.0 if norm == 2 else math.sqrt((n - 1) / (setup.f * (1 - setup.f)))
    return {"margin": found.margins * unit, "density": found.densities, "counts": counts}
