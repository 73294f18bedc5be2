"""Claims about the weights with the largest margins (Figure 2), which `exact` computes."""

from collections.abc import Callable

import xarray as xr

from sharpwave_shared.claims import Claim, Measurement
from synaptic_consolidation.experiments.exact import Exact

BAND = 0.02
FEWEST_NEURONS, FEWEST_ROWS = 400, 40
"""In smaller networks, chance and size alone can shift a mean density by more than the band: the
rows of a network share its patterns, so that they deviate together."""
LARGEST_LOAD = 0.70
"""The paper's highest load. Close to the critical load, some rows have no solution."""
TWO_FACTORS = {0.08: 0.075, 0.33: 0.255, 0.70: 0.42}
"""Published densities by load."""


def _densities(
    factors: int, expected: Callable[[float], float | None]
) -> Callable[[Exact, xr.Dataset], Measurement | None]:
    """Compare the mean densities of the largest network with those expected at its loads."""

    def measure(setup: Exact, data: xr.Dataset) -> Measurement | None:
        largest, rows = max(setup.n), data.sizes["seed"] * data.sizes["row"]
        targets = {load: target for load in setup.loads if (target := expected(load)) is not None}
        if setup.f != 0.5 or setup.exact_activity or not targets:
            return None
        if largest < FEWEST_NEURONS or rows < FEWEST_ROWS:
            return None
        found = data.sel(factors=factors, n=largest, load=list(targets))
        measured = dict(
            zip(targets, found["density"].mean(["seed", "row"]).values.tolist(), strict=True)
        )
        holds = bool((found["solved"] == 1).all()) and all(
            abs(measured[load] - target) <= BAND for load, target in targets.items()
        )
        shown = ", ".join(f"{density:.3f} at {load:g}" for load, density in measured.items())
        values = {"n": largest, "loads": list(measured), "densities": list(measured.values())}
        return Measurement(f"{shown} (N = {largest})", holds, values)

    return measure


CLAIMS = [
    Claim(
        name="optimal-density-one-factor",
        statement="Half of the weights with the largest l2 margin (z = 1) are 0, at any load",
        source="Figure 2, density against load",
        published="0.50",
        band=f"within {BAND} at every load up to {LARGEST_LOAD:g}; N at least {FEWEST_NEURONS}",
        measure=_densities(1, lambda load: 0.5 if load <= LARGEST_LOAD else None),
    ),
    Claim(
        name="optimal-density-two-factors",
        statement="Weights with the largest l1 margin (z = 2) are the sparser, the lower the load",
        source="Figure 2, density against load",
        published=", ".join(f"{d:g} at {load:g}" for load, d in TWO_FACTORS.items()),
        band=f"within {BAND}; N at least {FEWEST_NEURONS}",
        measure=_densities(2, TWO_FACTORS.get),
    ),
]
