"""Claims that several modes speak to, and what all measure with.

All but those that compare rules are about impression learning. A number that is not finite is NaN
and lies in no claim's band.
"""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from impression_learning.experiments.common import Learning
from impression_learning.kinds import TIME_STEP
from sharpwave_shared.claims import Claim, Measurement

RELEASE = "released code, one seed"
Measure = Callable[[Learning, xr.Dataset], Measurement | None]


def of_impression(measure: Measure) -> Measure:
    """Measure a claim on the networks that learnt by impression learning, if there are any."""

    def measured(experiment: Learning, data: xr.Dataset) -> Measurement | None:
        if "impression" not in data["algorithm"].values:
            return None
        return measure(experiment, data.sel(algorithm="impression"))

    return measured


def spread(values: np.ndarray) -> str:
    """Show a mean, and the range if there are several values."""
    if len(values) == 1:
        return f"{values[0]:.3f} (1 seed)"
    low, high = values.min(), values.max()
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f}, {len(values)} seeds)"


def rank_correlation(one: Sequence[int | float], other: Sequence[int | float]) -> float:
    """Give Spearman's correlation, without the rounding that would put -0.8 above -0.8."""
    return round(float(spearmanr(one, other)[0]), 12)  # type: ignore[arg-type]


def at_least(quantity: str, limit: float) -> Measure:
    """Ask of every seed that a quantity reaches a limit."""

    @of_impression
    def measure(experiment: Learning, data: xr.Dataset) -> Measurement:
        values = data[quantity].values
        holds = bool(values.min() >= limit)
        return Measurement(spread(values), holds, {quantity: float(values.mean())})

    return measure


def falls(limit: float) -> Measure:
    """Ask of every seed that the loss ends below a share of what it was."""

    @of_impression
    def measure(experiment: Learning, data: xr.Dataset) -> Measurement:
        first, final = data["loss"].values[:, 0], data["final_loss"].values
        ratios = final / first
        shown = f"{first.mean():,.0f} -> {final.mean():,.0f}; ratio {spread(ratios)}"
        values = {"first loss": float(first.mean()), "final loss": float(final.mean())}
        values["ratio"] = float(ratios.mean())
        return Measurement(shown, bool(ratios.max() <= limit), values)

    return measure


def reconstructs(limit: float) -> Measure:
    """Ask of every seed that the reconstruction explains a share of the data's variance."""

    @of_impression
    def measure(experiment: Learning, data: xr.Dataset) -> Measurement:
        r2, correlation = data["r2"].values, data["correlation"].values
        shown = f"R^2 {spread(r2)}, correlation {spread(correlation)}"
        values = {"r2": float(r2.mean()), "correlation": float(correlation.mean())}
        return Measurement(shown, bool(r2.min() >= limit), values)

    return measure


@of_impression
def _time_constant(experiment: Learning, data: xr.Dataset) -> Measurement:
    if "dt" not in data.dims:
        data = data.expand_dims(dt=[dict(experiment)["dt"]])
    shown, values, holds = [], {}, []
    for dt in data["dt"].values:
        of_dt = data.sel(dt=dt)
        mean, truth = of_dt["transition_mean"].values, float(of_dt["transition_truth"])
        sd = float(of_dt["transition_sd"].values.mean())
        deviation = float(np.abs(mean - truth).max())
        shown.append(f"dt {dt:g}: D {mean.mean():.4f} +- {sd:.4f}, truth {truth:.4f}")
        values |= {f"D at dt {dt:g}": float(mean.mean()), f"truth at dt {dt:g}": truth}
        holds.append(deviation <= 0.01)
    return Measurement("\n".join(shown), all(holds), values)


@of_impression
def _alternation(experiment: Learning, data: xr.Dataset) -> Measurement | None:
    for name, wanted in (("switch_period", 1), ("dt", TIME_STEP)):
        present = data[name].values if name in data.dims else [dict(experiment)[name]]
        if wanted not in present:
            return None
        data = data.sel({name: wanted}) if name in data.dims else data
    values = data["alternation_correlation"].values
    holds = bool(values.min() >= 0.85)
    return Measurement(spread(values), holds, {"correlation": float(values.mean())})


TIME_CONSTANT = Claim(
    "time-constant",
    "The learnt time constant matches the data's.",
    "Figure 1",
    f"D = 0.972 +- 0.002, truth 0.975 ({RELEASE})",
    "every seed: mean of D within 0.01 of the truth",
    _time_constant,
)
ALTERNATION = Claim(
    "alternation",
    "Alternation barely disturbs inference at period 1.",
    "Figures 1 and 3",
    f"correlation 0.90 ({RELEASE})",
    "every seed: correlation of latents awake and alternating >= 0.85",
    _alternation,
)
