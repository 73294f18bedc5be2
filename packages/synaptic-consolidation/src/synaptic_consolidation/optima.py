"""Two experiments without learning: what the theory predicts, and optimal weights themselves.

`theory` computes curves for infinitely many neurons. `solve` takes networks of random patterns,
finds the optimal weights of single neurons (rows) by quadratic and linear programming, and puts
them beside the theory.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.exact import PRUNED, Norm, optima_of_rows
from synaptic_consolidation.patterns import check_patterns, draw_patterns
from synaptic_consolidation.theory import (
    critical_load,
    l1_optima_at_loads,
    l2_optima_at_loads,
    sparsest_densities,
)

LOADS = (0.08, 0.1425, 0.205, 0.2675, 0.33, 0.4533, 0.5767, 0.70)
"""The paper's loads (Figure 2)."""
LOWEST_ACTIVITY = 1e-6
SPARSEST_SHOWN = 1e-3
"""Critical loads are computed from this activity (or that of the patterns, if lower) to 1/2."""
POINTS = 200
MOST_POINTS = 2_000
MOST_NEURONS = 5_000
MOST_PATTERNS = 20_000
NORMS: tuple[Norm, Norm] = (2, 1)
"""The norms relative to which z = 1 and z = 2 factors maximise the margin."""
ROWS_AT_ONCE = 16
"""Rows that make a part of the work: what a kill costs at most."""
WEIGHT_EDGES: Float[np.ndarray, " edges"] = np.arange(31) / 5
"""Edges of the histogram of weights, relative to the mean of those above 0."""

Results = tuple[dict[str, Any], dict[str, np.ndarray]]


# --- theory ---------------------------------------------------------------------------------------


def theory(f: float = 0.5, points: int = POINTS) -> Results:
    """Compute the largest margins, their densities, and critical loads.

    Parameters
    ----------
    f
        Activity of the patterns.
    points
        Points of every curve.

    Returns
    -------
    tuple
        Metrics: `critical_load`, and the values at the paper's loads (`at_loads`). Arrays: those
        of `theory_curves`, and `activities` with their `critical_loads`.

    Raises
    ------
    InvalidInputError
        If f or the number of points is out of range.
    """
    curves = theory_curves(f, points)
    sparsest = min(SPARSEST_SHOWN, f, 1 - f)
    activities = np.geomspace(sparsest, 0.5, points)
    metrics = {
        "f": f,
        "critical_load": critical_load(f),
        "at_loads": {name: values.tolist() for name, values in _at(np.array(LOADS), f).items()},
    }
    critical = np.array([critical_load(activity) for activity in activities.tolist()])
    return metrics, curves | {"activities": activities, "critical_loads": critical}


def theory_curves(f: float = 0.5, points: int = POINTS) -> dict[str, np.ndarray]:
    """Compute the curves that are drawn beside simulations.

    Parameters
    ----------
    f
        Activity of the patterns.
    points
        Points of every curve, evenly spaced up to the critical load, which is the last.

    Returns
    -------
    dict
        `load`, the largest margins `l2_margin` (k) and `l1_margin` (rho, see `theory`), their
        densities `l2_density` and `l1_density`, and `sparsest_density`, below which there is no
        solution.

    Raises
    ------
    InvalidInputError
        If f or the number of points is out of range.
    """
    _check_activity(f)
    if not 2 <= points <= MOST_POINTS:
        raise InvalidInputError(f"points: got {points}, expected 2 to {MOST_POINTS:,}")
    return _at(critical_load(f) * (np.arange(1, points + 1) / points), f)


def _at(loads: Float[np.ndarray, " loads"], f: float) -> dict[str, np.ndarray]:
    l2, l1 = l2_optima_at_loads(loads, f), l1_optima_at_loads(loads, f)
    return {
        "load": loads,
        "l2_margin": l2.margin,
        "l2_density": l2.density,
        "l1_margin": l1.margin,
        "l1_density": l1.density,
        "sparsest_density": sparsest_densities(loads, f),
    }


def _check_activity(f: float) -> None:
    if not LOWEST_ACTIVITY <= f <= 1 - LOWEST_ACTIVITY:
        raise InvalidInputError(
            f"f: got {f:g}, expected an activity from {LOWEST_ACTIVITY:g} to 1 - "
            f"{LOWEST_ACTIVITY:g}"
        )


# --- exact solutions ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Networks whose optimal weights are computed.

    Attributes
    ----------
    n
        Numbers of neurons N.
    f
        Activity of the patterns.
    loads
        Patterns per neuron.
    rows
        How many neurons of each network are solved, the first ones.
    exact_activity
        Whether exactly round(N f) neurons are active in every pattern.

    Raises
    ------
    InvalidInputError
        If a value is out of range, or there are no such patterns.

    Notes
    -----
    The theory holds for independent neurons. With an exact activity, what a neuron gets from equal
    weights depends on nothing but its own activity, so that all weights may be raised together at
    little cost: this takes most of its force from the constraint w >= 0, and margins, densities and
    the critical load are higher than in the theory.
    """

    n: tuple[int, ...] = (200,)
    f: float = 0.5
    loads: tuple[float, ...] = LOADS
    rows: int = 50
    exact_activity: bool = False

    def __post_init__(self) -> None:
        _check_activity(self.f)
        for n in self.n:
            if not 2 <= n <= MOST_NEURONS:
                raise InvalidInputError(f"n: got {n}, expected 2 to {MOST_NEURONS:,}")
        if not 1 <= self.rows <= min(self.n):
            raise InvalidInputError(
                f"rows: got {self.rows}, expected 1 to {min(self.n)}, the number of neurons"
            )
        for load in self.loads:
            if not 0 < load <= MOST_PATTERNS / max(self.n):
                raise InvalidInputError(
                    f"loads: got {load:g}, expected more than 0 and at most {MOST_PATTERNS:,} "
                    f"patterns in all"
                )
            for n in self.n:
                try:
                    check_patterns(n, self.patterns(n, load), self.f, exact=self.exact_activity)
                except InvalidInputError as error:
                    raise InvalidInputError(
                        f"loads: got {load:g} with n = {n} and f = {self.f:g}; {error}"
                    ) from None

    def patterns(self, n: int, load: float) -> int:
        """Give the number of patterns M."""
        return round(load * n)


def solve(plan: Plan, seeds: Sequence[int], journal: Journal | None = None) -> Results:
    """Compute optimal weights for random patterns, and compare them with the theory.

    Parameters
    ----------
    plan
        The networks.
    seeds
        Each gives every network patterns of its own. A neuron's patterns do not depend on which
        other rows or loads are computed.
    journal
        Shows progress and keeps finished parts; by default neither.

    Returns
    -------
    tuple
        Metrics: `conditions`, one for each norm, number of neurons and load, with the number of
        rows and of those that have a solution, and mean, standard deviation and theory of margin
        and density over the latter. Arrays: `margin` and `density` (norms x n x loads x rows, NaN
        where there is no solution; the rows of all seeds), `weights` (norms x n x loads x bins,
        the probability density of the weights above 0, relative to their mean in a row), and the
        theory's curves (`theory.*`). l2 margins are k, l1 margins rho, as in `theory`.

    Raises
    ------
    InvalidInputError
        If there is no seed.
    SharpwaveError
        If a solver gets stuck.

    Notes
    -----
    A row has N - 1 inputs, for there are no self-connections. The theory is therefore evaluated at
    M / (N - 1) patterns per input.
    """
    if not seeds:
        raise InvalidInputError("--seeds: at least one is needed")
    journal = journal or Journal()
    shape = (len(NORMS), len(plan.n), len(plan.loads))
    margin = np.full((*shape, len(seeds), plan.rows), np.nan)
    density = np.full_like(margin, np.nan)
    counts = np.zeros((*shape, len(WEIGHT_EDGES) - 1))
    with journal.reporter.progress("rows", margin.size) as advance:
        for i, j, k, s in np.ndindex(margin.shape[:4]):
            norm, n, m = NORMS[i], plan.n[j], plan.patterns(plan.n[j], plan.loads[k])
            for first in range(0, plan.rows, ROWS_AT_ONCE):
                rows = np.arange(first, min(first + ROWS_AT_ONCE, plan.rows))
                part = journal.once(
                    f"l{norm}-{n}-{m}-{seeds[s]}-{first}",
                    lambda _, a=(plan, seeds[s], n, m, rows, norm): _solve_rows(*a),
                )
                margin[i, j, k, s, rows] = part["margin"].numpy()
                density[i, j, k, s, rows] = part["density"].numpy()
                counts[i, j, k] += part["counts"].numpy()
                advance(len(rows))
    margin, density = (values.reshape(*shape, -1) for values in (margin, density))
    conditions = [
        _condition(plan, NORMS[i], plan.n[j], plan.loads[k], margin[i, j, k], density[i, j, k])
        for i, j, k in np.ndindex(shape)
    ]
    surviving = np.nansum(density, -1) * (np.array(plan.n)[:, None] - 1)
    widths = np.diff(WEIGHT_EDGES)
    weights = counts / np.maximum(surviving, 1)[..., None] / widths
    metrics = {"f": plan.f, "critical_load": critical_load(plan.f), "conditions": conditions}
    curves = {f"theory.{name}": values for name, values in theory_curves(plan.f).items()}
    return metrics, {"margin": margin, "density": density, "weights": weights} | curves


def _solve_rows(
    plan: Plan, seed: int, n: int, m: int, rows: np.ndarray, norm: Norm
) -> dict[str, Tensor]:
    generator = Streams(seed).numpy("patterns", n, m)
    patterns = draw_patterns(n, m, plan.f, generator, exact=plan.exact_activity)
    found = optima_of_rows(patterns, patterns, rows, norm)
    counts = np.zeros(len(WEIGHT_EDGES) - 1)
    for weights in found.weights[np.isfinite(found.margins)]:
        surviving = weights[weights > PRUNED * weights.max()]
        counts += np.histogram(surviving / surviving.mean(), WEIGHT_EDGES)[0]
    # The theory's l1 margin is relative to the mean weight, and to what inputs vary by.
    unit = 1.0 if norm == 2 else math.sqrt((n - 1) / (plan.f * (1 - plan.f)))
    named = {"margin": found.margins * unit, "density": found.densities, "counts": counts}
    return {name: torch.from_numpy(values) for name, values in named.items()}


def _condition(
    plan: Plan, norm: Norm, n: int, load: float, margin: np.ndarray, density: np.ndarray
) -> dict[str, Any]:
    m = plan.patterns(n, load)
    expected: Mapping[str, np.ndarray] = _at(np.array([m / (n - 1)]), plan.f)
    solved = np.isfinite(margin)
    return {
        "norm": norm,
        "factors": 3 - norm,
        "n": n,
        "load": load,
        "patterns": m,
        "rows": len(margin),
        "separable": int(solved.sum()),
        "margin": _summary(margin[solved]) | {"theory": float(expected[f"l{norm}_margin"][0])},
        "density": _summary(density[solved]) | {"theory": float(expected[f"l{norm}_density"][0])},
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    """Give mean and standard deviation, NaN where there are too few values."""
    return {
        "mean": float(values.mean()) if len(values) else math.nan,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    }
