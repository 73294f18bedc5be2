"""The claims about networks that memorise random patterns (Figure 2).

Published values are read off the figures, of networks of 1,000 neurons. In smaller ones densities
and tolerances differ with the size; bands say what counts there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.plotting import numbers
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.measures import NORMS
from synaptic_consolidation.recall import wrong_per_active

LOW, MIDDLE, HIGH = 0.08, 0.33, 0.70
DENSITY = {LOW: 0.075, MIDDLE: 0.255, HIGH: 0.42}
DENSITY_OF_MANY = {3: 0.145, 4: 0.12}
NEURAL = {1: 0.45, 2: 0.265, 3: 0.135, 4: 0.08}
SYNAPTIC = {1: 0.57, 2: 0.61, 3: 0.28, 4: 0.22}
PAPER_N = 1000
CLOSE, RATHER_CLOSE = 0.02, 0.04
"""How far densities may be from the published ones: in large networks, and in small ones (which
also may miss the largest margin by this share)."""

Found = dict[float, dict[int, float]]


def _collect(run: StoredRun, quantity: Callable[[dict[str, Any]], Any]) -> Found:
    """Collect the mean over seeds of a quantity, where it is known, by load and factors."""
    found: dict[float, dict[int, list[Any]]] = {}
    for condition in run.metrics["conditions"]:
        value = quantity(condition)
        if value is not None:
            by_factors = found.setdefault(condition["load"], {})
            by_factors.setdefault(condition["factors"], []).append(value)
    return {
        load: {z: float(numbers(values).mean()) for z, values in sorted(by_factors.items())}
        for load, by_factors in sorted(found.items())
    }


def _mean(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda condition: condition[name]["mean"] if name in condition else None


def _tolerance(kind: str) -> Callable[[dict[str, Any]], Any]:
    return lambda condition: condition["tolerance"].get(kind)


def _applies(run: StoredRun) -> bool:
    """Tell whether a run is one that the published numbers speak about."""
    if run.experiment != "networks":
        return False
    config = run.config
    return config["f"] == 0.5 and config["task"] == "attractors" and not config["exact_activity"]


def _text(found: Found, digits: int = 3) -> str:
    return "\n".join(
        f"load {load:g}: " + ", ".join(f"z = {z}: {value:.{digits}f}" for z, value in by_z.items())
        for load, by_z in found.items()
    )


def _values(found: Found) -> dict[str, Any]:
    return {
        f"{load:g}": {str(z): value for z, value in by_z.items()} for load, by_z in found.items()
    }


def _margins(run: StoredRun) -> Measurement | None:
    if not _applies(run):
        return None
    lowest, enough = (0.0, 1.0) if run.config["n"] >= PAPER_N else (MIDDLE, 1 - RATHER_CLOSE)
    shown, values, holds = [], {}, []
    for target, q in NORMS.items():
        for load, by_z in _collect(run, _mean(f"snr_z{target}")).items():
            candidates = {z: value for z, value in by_z.items() if z in NORMS}
            if load < lowest or target not in candidates or len(candidates) < 2:
                continue
            best = max(candidates, key=candidates.__getitem__)
            holds.append(candidates[target] >= enough * candidates[best])
            values[f"{load:g}/z{target}"] = {str(z): value for z, value in candidates.items()}
            listed = ", ".join(f"{value:.4g}" for value in candidates.values())
            shown.append(f"load {load:g}, q = {q:.2g}: best z = {best} ({listed})")
    return Measurement("\n".join(shown), all(holds), values) if holds else None


def _optimum(run: StoredRun) -> Measurement | None:
    if not _applies(run):
        return None
    arrays = run.arrays()

    def share(condition: dict[str, Any]) -> float | None:
        """Divide mean margins: where the optimum is nearly 0, ratios of single rows are noise."""
        key = f"{condition['seed']}/{condition['load']}/{condition['factors']}"
        optimum = arrays.get(f"{key}/optimal_margin")
        if optimum is None:
            return None
        reached = arrays[f"{key}/share_of_optimum"] * optimum
        return float(np.nanmean(reached) / np.nanmean(optimum))

    found = _collect(run, share)
    shares = [value for by_z in found.values() for value in by_z.values()]
    if not shares:
        return None
    return Measurement(_text(found), bool(np.min(shares) >= 0.95), _values(found))


def _densities(
    run: StoredRun, published: Callable[[float, int], float | None]
) -> tuple[Found, bool] | None:
    """Give densities for which there is a published one, and whether all are close to it."""
    if not _applies(run):
        return None
    found: Found = {}
    for load, by_z in _collect(run, _mean("density")).items():
        known = {z: d for z, d in by_z.items() if published(load, z) is not None}
        if known:
            found[load] = known
    if not found:
        return None
    band = CLOSE if run.config["n"] >= PAPER_N else RATHER_CLOSE
    holds = all(
        abs(d - (published(load, z) or 0)) <= band
        for load, by_z in found.items()
        for z, d in by_z.items()
    )
    return found, holds


def _few_factors(run: StoredRun) -> Measurement | None:
    measured = _densities(
        run,
        lambda load, z: (
            (0.5 if load <= HIGH else None) if z == 1 else {2: DENSITY}.get(z, {}).get(load)
        ),
    )
    return (
        None
        if measured is None
        else Measurement(_text(measured[0]), measured[1], _values(measured[0]))
    )


def _falls(run: StoredRun) -> Measurement | None:
    if not _applies(run):
        return None
    found = {k: v for k, v in _collect(run, _mean("density")).items() if k == MIDDLE}
    by_z = {z: d for z, d in found.get(MIDDLE, {}).items() if z in NORMS}
    if len(by_z) < 2:
        return None
    ordered = bool((np.diff(list(by_z.values())) < 0).all())
    close = all(abs(by_z[z] - d) <= 0.04 for z, d in DENSITY_OF_MANY.items() if z in by_z)
    return Measurement(_text({MIDDLE: by_z}), ordered and close, _values({MIDDLE: by_z}))


def _as_published(
    run: StoredRun, by_z: Mapping[int, float], published: Mapping[int, float]
) -> bool:
    """Tell whether tolerances are near the published ones; in small networks they need not be."""
    if run.config["n"] < PAPER_N:
        return True
    return all(abs(by_z[z] / value - 1) <= 0.15 for z, value in published.items() if z in by_z)


def _neural(run: StoredRun) -> Measurement | None:
    if not _applies(run):
        return None
    found = {
        load: {z: wrong_per_active("flips", t, 0.5) for z, t in by_z.items() if z in NEURAL}
        for load, by_z in _collect(run, _tolerance("flips")).items()
        if load in (LOW, MIDDLE) and len(by_z) > 1
    }
    if not found:
        return None
    ordered = all((np.diff(list(by_z.values())) < 0).all() for by_z in found.values())
    close = _as_published(run, found.get(LOW, {}), NEURAL)
    return Measurement(_text(found), bool(ordered and close), _values(found))


def _synaptic(run: StoredRun) -> Measurement | None:
    if not _applies(run):
        return None
    by_z = _collect(run, _tolerance("one-factor")).get(LOW, {})
    by_z = {z: t for z, t in by_z.items() if z in SYNAPTIC}
    if 2 not in by_z or len(by_z) < 2:
        return None
    peak = all(by_z[2] > t for z, t in by_z.items() if z != 2)
    holds = peak and _as_published(run, by_z, SYNAPTIC)
    return Measurement(_text({LOW: by_z}), holds, _values({LOW: by_z}))


def _listed(values: Mapping[Any, float]) -> str:
    return ", ".join(f"{value:g} at {key:g}" for key, value in values.items())


def _by_factors(values: Mapping[int, float]) -> str:
    return ", ".join(f"z = {z}: {value:g}" for z, value in values.items())


CLAIMS = [
    Claim(
        name="margin-of-its-norm",
        statement="Learning with z factors maximises the margin relative to the norm q = 2/z",
        source="Figure 2, bars of the SNR",
        published="largest for that z",
        band=f"q = 2, 1, 2/3, 1/2, at every load of the run (below N = 1000: within "
        f"{RATHER_CLOSE:.0%} of the largest, from load {MIDDLE:g} on)",
        measure=_margins,
    ),
    Claim(
        name="optimal-margin",
        statement="One and two factors reach the optimum",
        source="Figure 2, SNR against load",
        published="on the theoretical curves",
        band="mean margin at least 0.95 of the exact optimum for the same patterns, at every load",
        measure=_optimum,
    ),
    Claim(
        name="density",
        statement="With one factor half of the synapses survive, with two the fewer, the lower the "
        "load",
        source="Figure 2, density against load",
        published=f"z = 1: 0.5 at any load; z = 2: {_listed(DENSITY)}",
        band=f"within {CLOSE:g} ({RATHER_CLOSE:g} below N = 1000)",
        measure=_few_factors,
    ),
    Claim(
        name="density-falls",
        statement=f"The more factors, the fewer synapses survive (load {MIDDLE:g})",
        source="Figure 2, density against load",
        published="z = 1: 0.5, z = 2: 0.255, " + _by_factors(DENSITY_OF_MANY),
        band="ordered; z = 3 and 4 within 0.04",
        measure=_falls,
    ),
    Claim(
        name="neural-noise",
        statement="Tolerance to neural noise falls with the number of factors",
        source="Figure 2, maximal neural noise",
        published=f"load {LOW:g}: {_by_factors(NEURAL)}; load {MIDDLE:g}: 0.08, 0.04, 0.02, 0.01",
        band=f"ordered; at load {LOW:g} within 15 % (N = 1000 only); in wrong bits per active "
        "neuron",
        measure=_neural,
    ),
    Claim(
        name="synaptic-noise",
        statement="Tolerance to synaptic noise is largest with two factors",
        source="Figure 2, maximal synaptic noise",
        published=f"load {LOW:g}: {_by_factors(SYNAPTIC)}",
        band="largest for z = 2; within 15 % (N = 1000 only); noise on one factor, relative to the "
        "mean surviving factor",
        measure=_synaptic,
    ),
]
