"""Claims about the modes that vary one parameter (Figures 2 d and 3)."""

import dataclasses

import xarray as xr

from impression_learning.claims.common import (
    ALTERNATION,
    RELEASE,
    TIME_CONSTANT,
    of_impression,
    rank_correlation,
)
from impression_learning.experiments.common import Learning
from sharpwave_shared.claims import Claim, Measurement


@of_impression
def _phase_length(experiment: Learning, data: xr.Dataset) -> Measurement | None:
    if data.sizes["switch_period"] < 3:
        return None
    means = data.sortby("switch_period").transpose("seed", ...)
    periods = means["switch_period"].values.tolist()
    correlations = means["alternation_correlation"].values.mean(0).tolist()
    final = means["final_loss"].values.mean(0).tolist()
    rho = rank_correlation(periods, correlations)
    shown = (
        f"correlation {correlations[0]:.3f} at period {periods[0]}, {correlations[-1]:.3f} at "
        f"{periods[-1]}; Spearman {rho:.2f}; final losses {final[0]:,.0f} and {final[-1]:,.0f}"
    )
    values = {
        "periods": periods,
        "correlations": correlations,
        "spearman": rho,
        "final_losses": final,
    }
    holds = rho <= -0.8 and correlations[-1] < correlations[0]
    return Measurement(shown, bool(holds), values)


def _dimension(experiment: Learning, data: xr.Dataset) -> Measurement | None:
    if data.sizes["algorithm"] < 3 or data.sizes["dimension"] < 3:
        return None
    ordered = data["final_loss"].sortby("dimension").transpose("seed", "algorithm", "dimension")
    dimensions = ordered["dimension"].values.tolist()
    final = dict(zip(ordered["algorithm"].values.tolist(), ordered.values.mean(0), strict=True))
    reinforce = final["reinforce"] / final["impression"]
    backprop = final["impression"] / final["backprop"]
    rho = rank_correlation(dimensions, reinforce.tolist())
    shown = (
        f"n = {dimensions[0]} to {dimensions[-1]}: REINFORCE / impression "
        f"{', '.join(f'{v:.2f}' for v in reinforce)} (Spearman {rho:.2f}); "
        f"impression / backpropagation {', '.join(f'{v:.2f}' for v in backprop)}"
    )
    holds = rho >= 0.8 and reinforce[-1] > reinforce[0] and backprop.max() <= 1.5
    values = {
        "dimensions": dimensions,
        "final_losses": {name: losses.tolist() for name, losses in final.items()},
        "spearman": rho,
    }
    return Measurement(shown, bool(holds), values)


def _along(*axes: str, claim: Claim) -> Claim:
    """Let a claim speak only about modes that vary one of these parameters."""

    def measure(experiment: Learning, data: xr.Dataset) -> Measurement | None:
        return claim.measure(experiment, data) if experiment.axis in axes else None

    return dataclasses.replace(claim, measure=measure)


CLAIMS = [
    _along(
        "dimension",
        claim=Claim(
            "dimension",
            "With dimension REINFORCE degrades; impression learning stays near backpropagation.",
            "Figure 2 d",
            "-",
            "REINFORCE / impression grows (Spearman >= 0.8); impression <= 1.5 backpropagation",
            _dimension,
        ),
    ),
    _along(
        "switch_period",
        claim=Claim(
            "phase-length",
            "Inference degrades as the phases lengthen.",
            "Figure 3",
            f"correlation 0.894 at period 1, 0.630 at 31; final losses 79 and 303 ({RELEASE})",
            "mean correlation falls from the shortest to the longest period, Spearman <= -0.8",
            _phase_length,
        ),
    ),
    _along("dt", claim=TIME_CONSTANT),
    _along("switch_period", "dt", claim=ALTERNATION),
]
