"""The claims about a day of few-shot learning and the night after it (Figure 3)."""

import numpy as np
import xarray as xr
from scipy.stats import linregress

from sharpwave_shared.claims import Claim, Measurement
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.limits import PAPER_N
from synaptic_consolidation.recall import wrong_per_active

PAPER_CYCLES = 100_000
DENSITY = {500: 0.11, 200: 0.05}
"""Published densities by the number of patterns."""
FEWEST_MEMORIES = 5


def _first_night(data: xr.Dataset) -> xr.Dataset:
    return data.sel(day=1)


def _prunes(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    published = DENSITY.get(setup.patterns)
    if (setup.n, setup.cycles) != (PAPER_N, PAPER_CYCLES) or published is None:
        return None
    night = _first_night(data)
    found, replayed = night["mean_density"].sel(sleep="after").values, night["replayed"].values
    shown = (
        f"{found.mean():.3f} ({setup.patterns} patterns, of which {replayed.mean():.0f} became "
        "attractors)"
    )
    holds = abs(found.mean() / published - 1) <= 0.2
    values = {"densities": found.tolist(), "replayed": replayed.tolist()}
    return Measurement(shown, bool(holds), values)


def _robust(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    shown, values, holds = [], {}, []
    units = {"balanced": wrong_per_active("balanced", 1.0, setup.f), "one_factor": 1.0}
    for kind, unit in units.items():
        tolerance = unit * _first_night(data)[f"tolerance_{kind}"].transpose("seed", "sleep").values
        # Tolerances beyond the highest level are not known.
        known = tolerance[np.isfinite(tolerance).all(1)]
        if not len(known):
            continue
        before, after = known.mean(0).tolist()
        name = "neural" if kind == "balanced" else "synaptic"
        shown.append(f"{name}: {before:.2f} to {after:.2f}")
        values[name] = {"before": before, "after": after}
        holds.append((after / before if before > 0 else np.inf) >= 1.7)
    return Measurement("\n".join(shown), all(holds), values) if holds else None


def _weak_gain(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    night = _first_night(data)
    if night["replayed"].min() < FEWEST_MEMORIES:
        return None
    shown, values, holds = [], {}, []
    for name, of in (("robustness_min", "weakest neuron"), ("robustness_mean", "mean of neurons")):
        before, after = (night[name].sel(sleep=when).values.ravel() for when in ("before", "after"))
        there = ~np.isnan(before)  # seeds with fewer memories are filled up with NaN
        fit = linregress(before[there], (after - before)[there])
        slope, p = float(fit.slope), float(fit.pvalue)  # pyright: ignore[reportAttributeAccessIssue]
        shown.append(f"{of}: slope {slope:.2f}, p = {p:.1g}")
        values[name] = {"slope": slope, "p": p}
        holds.append(slope < 0 and p < 0.001)
    return Measurement("\n".join(shown), all(holds), values)


def _selective(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    night = _first_night(data).sel(sleep="after")
    found = {
        which: float(night[f"mean_sparseness_{which}"].mean()) for which in ("familiar", "novel")
    }
    shown = ", ".join(f"{which} {value:.3f}" for which, value in found.items())
    return Measurement(shown, found["familiar"] > found["novel"], found)


def _align(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    night = _first_night(data).sel(sleep="after")
    within, across = (float(night[f"mean_{name}"].mean()) for name in ("within", "across"))
    return Measurement(
        f"within a synapse {within:.3f}, across {across:.3f}",
        within > 0.95 and abs(across) < 0.05,
        {"within": within, "across": across},
    )


CLAIMS = [
    Claim(
        name="sleep-prunes",
        statement="Sleep after few-shot learning prunes most synapses",
        source="Figure 3, density against replay cycles",
        published=", ".join(f"{d:g} after 10^5 cycles (M = {m})" for m, d in DENSITY.items()),
        band=f"within 20 %; N = {PAPER_N}, {PAPER_CYCLES:,} cycles",
        measure=_prunes,
    ),
    Claim(
        name="sleep-makes-robust",
        statement="Sleep makes memories robust to neural and synaptic noise",
        source="Figure 3, tolerances before and after",
        published="neural 0.13 to 0.30 (M = 500), 0.18 to 0.43 (M = 200); synaptic 0.25 to 0.59, "
        "0.20 to 0.79",
        band="after at least 1.7 times before, both; neural in wrong bits per active neuron "
        "(activity kept), synaptic on one factor, relative to the mean surviving factor",
        measure=_robust,
    ),
    Claim(
        name="weak-gain-most",
        statement="Weak memories gain most",
        source="Figure 3, gain against initial robustness",
        published="negative slope",
        band="slope negative with p < 0.001, for the weakest neuron and the mean of neurons",
        measure=_weak_gain,
    ),
    Claim(
        name="familiar-is-selective",
        statement="Familiar patterns are represented more selectively than novel ones after sleep",
        source="Figure 3, sparseness",
        published="novel 0.20, familiar 0.24",
        band="familiar > novel (sparseness of the summed input, mean over neurons)",
        measure=_selective,
    ),
    Claim(
        name="factors-align",
        statement="Factors within a synapse align, those of different synapses do not",
        source="Figure 3, correlations of factors",
        published="1 and 0",
        band="> 0.95, and between -0.05 and 0.05",
        measure=_align,
    ),
]
