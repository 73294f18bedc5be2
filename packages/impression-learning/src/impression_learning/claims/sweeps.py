"""Claims about the modes that vary one parameter (Figures 2 d and 3), tested awake throughout."""

from collections.abc import Callable
from dataclasses import replace

import xarray as xr

from impression_learning.claims.common import (
    ALTERNATION,
    RELEASE,
    TIME_CONSTANT,
    Measure,
    of_impression,
    rank_correlation,
)
from impression_learning.experiments.common import Learning
from sharpwave_shared.claims import Claim, Measurement

CONTROLS = {"backprop": "awake only", "backprop-alternating": "alternating"}
"""The controls of impression learning, and in which phases they learn."""


def _along(*axes: str) -> Callable[[Measure], Measure]:
    """Let a claim speak only about modes that vary one of these parameters."""

    def restrict(measure: Measure) -> Measure:
        def measured(experiment: Learning, data: xr.Dataset) -> Measurement | None:
            return measure(experiment, data) if experiment.axis in axes else None

        return measured

    return restrict


@_along("switch_period")
@of_impression
def _phase_length(experiment: Learning, data: xr.Dataset) -> Measurement | None:
    if data.sizes["switch_period"] < 3:
        return None
    means = data.sortby("switch_period").mean("seed", skipna=False)
    periods = means["switch_period"].values.tolist()
    correlations = means["alternation_correlation"].values.tolist()
    awake, alternating = (means[f"final_loss{kind}"].values for kind in ("_awake", ""))
    rho = rank_correlation(periods, correlations)
    ends = f"at period {periods[0]}", f"at {periods[-1]}"
    shown = (
        f"correlation {correlations[0]:.3f} {ends[0]}, {correlations[-1]:.3f} {ends[1]}; "
        f"Spearman {rho:.2f}; final losses awake {awake[0]:,.0f} and {awake[-1]:,.0f}, "
        f"alternating {alternating[0]:,.0f} and {alternating[-1]:,.0f}"
    )
    values = {"Spearman": rho}
    for place, end in zip((0, -1), ends, strict=True):
        values[f"correlation {end}"] = correlations[place]
        values[f"final loss awake {end}"] = float(awake[place])
        values[f"final loss alternating {end}"] = float(alternating[place])
    holds = rho <= -0.8 and correlations[-1] < correlations[0]
    return Measurement(shown, bool(holds), values)


def falls_awake(data: xr.Dataset) -> xr.DataArray:
    """Give by how much the loss awake has fallen at the end of learning, by rising dimension.

    Losses may be negative, so that their ratios mean nothing; those of falls do.
    """
    return (data["loss_awake"].isel(point=0) - data["final_loss_awake"]).sortby("dimension")


def shares_of_falls(data: xr.Dataset, one: str, other: str) -> xr.DataArray:
    """Give the fall of one algorithm as a share of another's, for each seed and dimension."""
    falls = falls_awake(data)
    return falls.sel(algorithm=one, drop=True) / falls.sel(algorithm=other, drop=True)


@_along("dimension")
def _near_backpropagation(experiment: Learning, data: xr.Dataset) -> Measurement | None:
    if not {"impression", *CONTROLS} <= set(data["algorithm"].values):
        return None
    final = data["final_loss_awake"].sortby("dimension").mean("seed", skipna=False)
    dimensions = final["dimension"].values.tolist()
    shown, values, smallest = [], {}, []
    for control, phases in CONTROLS.items():
        shares = shares_of_falls(data, "impression", control).mean("seed", skipna=False).values
        told = ", ".join(f"{share:.4f}" for share in shares)
        shown.append(f"share of the fall of backpropagation, {phases}: {told}")
        values |= {
            f"share of {phases} at n {n}": float(share)
            for n, share in zip(dimensions, shares, strict=True)
        }
        smallest.append(shares.min())
    for name in ("impression", *CONTROLS):
        own = final.sel(algorithm=name).values
        shown.append(f"final loss, {name}: {', '.join(f'{loss:,.1f}' for loss in own)}")
        values |= {
            f"final loss of {name} at n {n}": float(loss)
            for n, loss in zip(dimensions, own, strict=True)
        }
    shown[0] = f"n = {', '.join(map(str, dimensions))}: {shown[0]}"
    # A share that is unknown, NaN, is not enough.
    return Measurement("\n".join(shown), all(bool(share >= 0.9) for share in smallest), values)


@_along("dimension")
def _reinforce_degrades(experiment: Learning, data: xr.Dataset) -> Measurement | None:
    if not {"impression", "reinforce"} <= set(data["algorithm"].values):
        return None
    if data.sizes["dimension"] < 3:
        return None
    shares = shares_of_falls(data, "reinforce", "impression").mean("seed", skipna=False)
    dimensions, told = shares["dimension"].values.tolist(), shares.values.tolist()
    rho = rank_correlation(dimensions, told)
    shown = (
        f"n = {', '.join(map(str, dimensions))}: share of impression learning's fall "
        f"{', '.join(f'{share:.2g}' for share in told)} (Spearman {rho:.2f})"
    )
    values = {f"share at n {n}": share for n, share in zip(dimensions, told, strict=True)}
    values["Spearman"] = rho
    return Measurement(shown, bool(rho <= -0.8 and told[-1] < told[0]), values)


CLAIMS = [
    Claim(
        "near-backpropagation",
        "In every dimension impression learning stays near backpropagation.",
        "Figure 2 d",
        "curves that lie close together; no numbers",
        "the loss awake falls by at least 0.9 of its fall by backpropagation (mean over seeds, "
        "every dimension, both controls)",
        _near_backpropagation,
    ),
    Claim(
        "dimension",
        "With dimension REINFORCE degrades.",
        "Figure 2 d",
        "a loss that grows with dimension; no numbers",
        "the fall of the loss awake, as a share of impression learning's, shrinks with "
        "dimension (Spearman <= -0.8)",
        _reinforce_degrades,
    ),
    Claim(
        "phase-length",
        "Inference degrades as the phases lengthen.",
        "Figure 3",
        f"correlation 0.894 at period 1, 0.630 at 31; final losses awake 79 and 303 ({RELEASE})",
        "mean correlation falls from the shortest to the longest period, Spearman <= -0.8",
        _phase_length,
    ),
    replace(TIME_CONSTANT, measure=_along("dt")(TIME_CONSTANT.measure)),
    replace(ALTERNATION, measure=_along("switch_period", "dt")(ALTERNATION.measure)),
]
