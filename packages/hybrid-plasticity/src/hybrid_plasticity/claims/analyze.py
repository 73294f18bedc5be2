"""Claims about what is found inside of networks."""

import numpy as np
import xarray as xr

from hybrid_plasticity.experiments.analyze import Analyze
from sharpwave_shared.claims import Claim, Measurement


def anti_hebbian(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    """Tell the sign of the plasticity of the first layer."""
    first = data.sel(layer=1)
    means, effective = first["eta_weighted"].values, first["E_mean"].values
    shown = (
        f"{data.attrs['network']}: median {np.median(means):.4f} ({min(means):.4f} to "
        f"{max(means):.4f}, {len(means)} seeds); mean change per product of activities (eta, or "
        f"W * eta in a multiplicative layer): median {np.median(effective):.4f} "
        f"({min(effective):.4f} to {max(effective):.4f})"
    )
    values = {"eta_weighted": means.tolist(), "E_mean": effective.tolist()}
    return Measurement(shown, bool(np.median(means) < 0), values)


CLAIMS = [
    Claim(
        "anti-hebbian",
        "Meta-learning finds anti-Hebbian plasticity in the first layer.",
        "report",
        "-",
        "mean eta weighted by |W| negative, median over seeds",
        anti_hebbian,
    )
]
