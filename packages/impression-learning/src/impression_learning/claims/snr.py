"""Claims about the updates of both rules (Figure 2 a-c)."""

import itertools

import numpy as np
import xarray as xr

from impression_learning.claims.common import RELEASE
from impression_learning.experiments.snr import Snr
from sharpwave_shared.claims import Claim, Measurement


def _signal_to_noise(experiment: Snr, data: xr.Dataset) -> Measurement:
    own = data["impression_snr"].isel(algorithm=0).values
    shown = [f"impression {own.min():.2g} to {own.max():.2g}"]
    values = {"median of impression": float(np.median(own))}
    smallest = []
    for traces in ("cleared", "kept"):
        other = data["snr"].isel(algorithm=0).sel(third_factor="gradient", traces=traces).values
        factor = own / other
        shown.append(
            f"traces {traces}: REINFORCE {other.min():.2g} to {other.max():.2g}, factor "
            f"{factor.min():,.0f} to {factor.max():,.0f} (median {np.median(factor):,.0f})"
        )
        values |= {
            f"median of REINFORCE with traces {traces}": float(np.median(other)),
            f"smallest factor with traces {traces}": float(factor.min()),
            f"median factor with traces {traces}": float(np.median(factor)),
        }
        smallest.append(factor.min())
    return Measurement("\n".join(shown), bool(np.min(smallest) >= 10), values)


def _same_way(experiment: Snr, data: xr.Dataset) -> Measurement:
    cosines = data["cosine"].isel(algorithm=0)
    shown, values, shares = [], {}, {}
    for third, traces in itertools.product(("gradient", "released"), ("cleared", "kept")):
        means = cosines.sel(third_factor=third, traces=traces).values.mean(0)
        shares[third, traces] = float((means >= 0.5).mean())
        values[f"mean cosine of {third} with traces {traces}"] = float(means.mean())
        values[f"share of points of {third} with traces {traces}"] = shares[third, traces]
        shown.append(
            f"third factor {third}, traces {traces}: mean cosine {means.min():.2f} to "
            f"{means.max():.2f}, at least 0.5 at {(means >= 0.5).sum()} of {len(means)} points"
        )
    of_all = data["cosine_all"].isel(algorithm=0)
    everything = of_all.sel(third_factor="gradient", traces="cleared").values.mean(0)
    shown.append(
        f"all parameters (gradient, cleared): {everything.min():.2f} to {everything.max():.2f}"
    )
    holds = shares["gradient", "cleared"] > 0.5
    return Measurement("\n".join(shown), holds, values)


CLAIMS = [
    Claim(
        "signal-to-noise",
        "Impression learning's updates have a far higher signal-to-noise ratio than REINFORCE's.",
        "Figure 2 c",
        f"0.08-0.11 against 2e-6 ({RELEASE}, 3,000 episodes, traces kept)",
        "at least 10 times at every point of learning and seed, traces cleared and kept",
        _signal_to_noise,
    ),
    Claim(
        "same-way",
        "On average the two rules point the same way.",
        "Figure 2 a, b",
        f"cosine 0.75-0.82 ({RELEASE}, 3,000 episodes)",
        "mean cosine of the updates of W_in >= 0.5 at more than half of the points, traces cleared",
        _same_way,
    ),
]
