"""Claims about the weights with the largest margins (Figure 2), which `exact` computes."""

from collections.abc import Callable

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.runs import StoredRun

BAND = 0.02
FEWEST_NEURONS, FEWEST_ROWS = 400, 40
"""In smaller networks, chance and size alone can shift a mean density by more than the band: the
rows of a network share its patterns, so that they deviate together."""
LARGEST_LOAD = 0.70
"""The paper's highest load. Close to the critical load, some rows have no solution."""
TWO_FACTORS = {0.08: 0.075, 0.33: 0.255, 0.70: 0.42}
"""Published densities by load."""


def _densities(
    norm: int, expected: Callable[[float], float | None]
) -> Callable[[StoredRun], Measurement | None]:
    """Compare the mean densities of the largest network with those expected at its loads."""

    def measure(run: StoredRun) -> Measurement | None:
        if run.experiment != "exact" or run.metrics["f"] != 0.5 or run.config["exact_activity"]:
            return None
        largest = max(run.config["n"])
        compared = [
            (c, target)
            for c in run.metrics["conditions"]
            if (c["norm"], c["n"]) == (norm, largest)
            and (target := expected(c["load"])) is not None
        ]
        if not compared or largest < FEWEST_NEURONS or compared[0][0]["rows"] < FEWEST_ROWS:
            return None
        measured = {c["load"]: c["density"]["mean"] for c, _ in compared}
        holds = all(
            c["separable"] == c["rows"] and abs(c["density"]["mean"] - target) <= BAND
            for c, target in compared
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
        measure=_densities(2, lambda load: 0.5 if load <= LARGEST_LOAD else None),
    ),
    Claim(
        name="optimal-density-two-factors",
        statement="Weights with the largest l1 margin (z = 2) are the sparser, the lower the load",
        source="Figure 2, density against load",
        published=", ".join(f"{d:g} at {load:g}" for load, d in TWO_FACTORS.items()),
        band=f"within {BAND}; N at least {FEWEST_NEURONS}",
        measure=_densities(1, TWO_FACTORS.get),
    ),
]
