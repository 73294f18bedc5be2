"""Claims about what is found inside of networks."""

import numpy as np
import xarray as xr

from hybrid_plasticity.experiments.analyze import Analyze
from sharpwave_shared.claims import Claim, Measurement


def anti_hebbian(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    """Tell the sign of the plasticity of an additive first layer."""
    first = data.sel(layer=1)
    if first["rule"] != "A":
        return None
    each = {
        "share": first["sign_negative"],
        "mean": first["sign_mean"],
        "share before": first["sign_negative_initial"],
        "mean before": first["sign_mean_initial"],
    }
    values = {name: float(np.median(found.values)) for name, found in each.items()}
    count = data.sizes["seed"]
    shown = (
        f"{data.attrs['network']}{_rates(data)}: share of units with s < 0 {values['share']:.2f} "
        f"(before training {values['share before']:.2f}), mean s {values['mean']:.3g} "
        f"(before training {values['mean before']:.3g}); "
        + ("1 seed" if count == 1 else f"medians over {count} seeds")
    )
    negative = values["share"] > 0.5 and values["mean"] < 0
    # Training must have brought it about.
    became = values["mean"] < values["mean before"]
    return Measurement(shown, negative and became, values)


def _rates(data: xr.Dataset) -> str:
    """Say where a single rate began: it has the sign of the plasticity built in."""
    if data["rate"].sel(layer=1) == 0:
        return f", a single rate that began at {data.attrs['initial_rate']:g}"
    return ""


CLAIMS = [
    Claim(
        "anti-hebbian",
        "Meta-learning finds anti-Hebbian plasticity in the first layer.",
        "Tyulmankov et al. 2022, additive rule",
        "anti-Hebbian",
        "additive first layer, medians over seeds: more than half of the units with s_i < 0, mean "
        "s_i < 0 and lower than before training, s_i = sum_j E_ij <h_j^2>",
        anti_hebbian,
    )
]
