"""The claims about single synapses that fluctuate, simulated and measured (Figures 5 and 6).

Published values are read off the figures. Slopes are those of the moving average over one sample
(10 min in simulations, 0.5 h in the recording).
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sharpwave_shared.claims import Claim, Measurement
from synaptic_consolidation.experiments.synapses import AnalyzeSpines, SynNoise

Values = np.ndarray

SLOPES = {1: 0.0, 2: 0.45, 5: 0.75}
Q_MIN = {2: 1.13, 3: 0.69, 4: 0.50, 5: 0.46}
MEASURED_SLOPES = {"growth": 0.57, "shrinkage": 0.72}
MEASURED_Q_MIN = 1.09


def _simulated(data: xr.Dataset, values: xr.DataArray) -> dict[int, Values]:
    """Collect a quantity of the simulations: for each z, in ascending order, that of every seed.

    Those of which too few synapses live are left out; what else is NaN lies in no claim's band.
    """
    found = {}
    for z in sorted(data["factors"].values.tolist()):
        analysed = data["living"].sel(factors=z).notnull().values
        if analysed.any():
            found[z] = values.sel(factors=z).values[analysed]
    return found


def _within(found: Mapping[int, Values], published: Mapping[int, float], width: float) -> bool:
    """Tell whether the means over seeds are close to the published values."""
    return all(abs(found[z].mean() - value) <= width for z, value in published.items())


def _lists(found: Mapping[int, Values]) -> dict[str, list[float]]:
    return {f"z = {z}": values.tolist() for z, values in found.items()}


def _over_seeds(values: Values) -> str:
    """Show a mean, and the range if there are several seeds."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def _noise_grows(setup: SynNoise, data: xr.Dataset) -> Measurement | None:
    slopes = data["slope_moving"]
    found = _simulated(data, slopes.mean("direction", skipna=False))
    if isinstance(setup, AnalyzeSpines) or not SLOPES.keys() <= found.keys():
        return None
    growth, shrinkage = (_simulated(data, slopes.sel(direction=d)) for d in MEASURED_SLOPES)
    living = _simulated(data, data["living"])
    shown = [
        f"z = {z}: {_over_seeds(values)} (growth {growth[z].mean():.2f}, "
        f"shrinkage {shrinkage[z].mean():.2f}; {living[z].mean():.1%} live)"
        for z, values in found.items()
    ]
    means = [found[z].mean() for z in SLOPES]
    holds = _within(found, SLOPES, 0.1) and bool((np.diff(means) > 0).all())
    return Measurement("\n".join(shown), holds, {"slopes": _lists(found), "living": _lists(living)})


def _q_min_follows(setup: SynNoise, data: xr.Dataset) -> Measurement | None:
    names = ("q_min", "q_min_sd", "q_min_with_dead")
    found, sd, with_dead = (_simulated(data, data[name]) for name in names)
    if isinstance(setup, AnalyzeSpines) or not Q_MIN.keys() <= found.keys():
        return None
    shown = [
        f"z = {z}: {_over_seeds(values)}, sd {sd[z].mean():.2f} "
        f"(dead synapses as 0: {with_dead[z].mean():.2f})"
        for z, values in found.items()
    ]
    values = {"q_min": _lists(found), "sd": _lists(sd), "with_dead": _lists(with_dead)}
    return Measurement("\n".join(shown), _within(found, Q_MIN, 0.15), values)


def _of_kaufman(setup: SynNoise) -> bool:
    """Tell whether the published recording itself is analysed."""
    return isinstance(setup, AnalyzeSpines) and setup.kaufman


def _measured_slopes(setup: SynNoise, data: xr.Dataset) -> Measurement | None:
    if not _of_kaufman(setup):
        return None
    names = ("measured_slope_moving", "measured_slope_moving_sd")
    found, sds = ({d: float(data[n].sel(direction=d)) for d in MEASURED_SLOPES} for n in names)
    shown = [f"{d} {value:.3f}, sd {sds[d]:.3f}" for d, value in found.items()]
    holds = all(abs(found[d] - value) <= 0.03 for d, value in MEASURED_SLOPES.items())
    return Measurement("\n".join(shown), holds, dict(found))


def _measured_q_min(setup: SynNoise, data: xr.Dataset) -> Measurement | None:
    if not _of_kaufman(setup):
        return None
    q_min, sd = (float(data[f"measured_{name}"]) for name in ("q_min", "q_min_sd"))
    holds = abs(q_min - MEASURED_Q_MIN) <= 0.1
    return Measurement(f"{q_min:.2f}, sd {sd:.2f}", holds, {"q_min": q_min, "sd": sd})


def _closest(setup: SynNoise, data: xr.Dataset) -> Measurement | None:
    if not _of_kaufman(setup):
        return None
    found = _simulated(data, data["r_squared"])
    if not {1, 2, 3, 4} <= found.keys():
        return None
    shown = [f"z = {z}: {_over_seeds(values)}" for z, values in found.items()]
    best = max(found, key=lambda z: float(np.nan_to_num(found[z].mean(), nan=-np.inf)))
    return Measurement("\n".join(shown), best in (2, 3), {"r_squared": _lists(found)})


CLAIMS: list[Claim] = [
    Claim(
        "noise-grows",
        "The noise of simulated synapses scales with their size, the more so the more factors: "
        "slope of log |dw| against log w.",
        "Figure 5",
        "z = 1: 0; 2: 0.45; 5: 0.75",
        "mean of growth and shrinkage, over seeds, within 0.1 for each of these z; grows with z",
        _noise_grows,
    ),
    Claim(
        "q-min",
        "The norm of exponent 2/z fluctuates least among the norms of synapses of z factors.",
        "Figure 6",
        "q_min of z = 2 to 5: 1.13, 0.69, 0.50, 0.46",
        "norms over living synapses; mean over bootstraps and seeds within 0.15 for each z",
        _q_min_follows,
    ),
    Claim(
        "spines-slopes",
        "The noise of measured spines scales with their size as that of synapses of two factors.",
        "Figure 5",
        "slopes 0.57 (growth), 0.72 (shrinkage) over 0.5 h",
        "both within 0.03",
        _measured_slopes,
    ),
    Claim(
        "spines-q-min",
        "The norm of measured spines that fluctuates least is close to that of two factors.",
        "Figure 6",
        "q_min 1.09 +- 0.43",
        "mean over bootstraps within 0.1",
        _measured_q_min,
    ),
    Claim(
        "spines-r-squared",
        "Synapses of two or three factors resemble measured spines most: R^2 of the rescaled "
        "variation of their norms.",
        "Figure 6",
        "-",
        "R^2, mean over seeds, highest for z = 2 or 3",
        _closest,
    ),
]
