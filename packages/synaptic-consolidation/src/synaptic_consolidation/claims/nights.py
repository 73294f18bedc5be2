"""The claims about a day of few-shot learning and the night after it (Figure 3)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import linregress

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.recall import wrong_per_active

PAPER_N = 1000
PAPER_CYCLES = 100_000
DENSITY = {500: 0.11, 200: 0.05}
"""Published densities by the number of patterns."""

Night = dict[str, Any]


def _first_nights(run: StoredRun) -> list[Night]:
    """Give the first night of every seed."""
    if run.experiment != "wake-sleep":
        return []
    return [night for night in run.metrics["nights"] if night["day"] == 1]


def _last(night: Night, name: str) -> float:
    """Give the mean over rows at the end of the night."""
    return night["course"][name][-1][0]


def _prunes(run: StoredRun) -> Measurement | None:
    nights = _first_nights(run)
    config = run.config
    if not nights or (config["n"], config["cycles"]) != (PAPER_N, PAPER_CYCLES):
        return None
    published = DENSITY.get(config["patterns"])
    if published is None:
        return None
    found = [_last(night, "density") for night in nights]
    replayed = [night["replayed"] for night in nights]
    shown = (
        f"{np.mean(found):.3f} ({config['patterns']} patterns, of which "
        f"{np.mean(replayed):.0f} became attractors)"
    )
    holds = abs(np.mean(found) / published - 1) <= 0.2
    return Measurement(shown, bool(holds), {"densities": found, "replayed": replayed})


def _robust(run: StoredRun) -> Measurement | None:
    nights = _first_nights(run)
    if not nights:
        return None
    shown, values, holds = [], {}, []
    units: dict[str, Callable[[float], float]] = {
        "balanced": lambda level: wrong_per_active("balanced", level, run.config["f"]),
        "one-factor": lambda level: level,
    }
    for kind, unit in units.items():
        pairs = [
            [night[when]["tolerance"][kind] for when in ("before", "after")] for night in nights
        ]
        # Tolerances beyond the highest level are not known.
        known = [(unit(a), unit(b)) for a, b in pairs if a is not None and b is not None]
        if not known:
            continue
        before, after = np.mean(known, axis=0)
        ratio = after / before if before > 0 else np.inf
        name = "neural" if kind == "balanced" else "synaptic"
        shown.append(f"{name}: {before:.2f} to {after:.2f}")
        values[name] = {"before": float(before), "after": float(after)}
        holds.append(ratio >= 1.7)
    if not holds:
        return None
    return Measurement("\n".join(shown), all(holds), values)


def _weak_gain(run: StoredRun) -> Measurement | None:
    nights = _first_nights(run)
    if not nights or min(night["replayed"] for night in nights) < 5:
        return None
    arrays = run.arrays()
    shown, values, holds = [], {}, []
    for name, of in (("robustness_min", "weakest neuron"), ("robustness_mean", "mean of neurons")):
        before, after = (
            np.concatenate([arrays[f"{n['seed']}/1/{when}/{name}"] for n in nights])
            for when in ("before", "after")
        )
        fit: Any = linregress(before, after - before)
        shown.append(f"{of}: slope {fit.slope:.2f}, p = {fit.pvalue:.1g}")
        values[name] = {"slope": float(fit.slope), "p": float(fit.pvalue)}
        holds.append(fit.slope < 0 and fit.pvalue < 0.001)
    return Measurement("\n".join(shown), all(holds), values)


def _selective(run: StoredRun) -> Measurement | None:
    nights = _first_nights(run)
    if not nights:
        return None
    familiar, novel = (
        float(np.mean([night["after"]["sparseness"][which] for night in nights]))
        for which in ("familiar", "novel")
    )
    return Measurement(
        f"familiar {familiar:.3f}, novel {novel:.3f}",
        familiar > novel,
        {"familiar": familiar, "novel": novel},
    )


def _align(run: StoredRun) -> Measurement | None:
    nights = _first_nights(run)
    if not nights or not all("within" in night["course"] for night in nights):
        return None
    within, across = (
        float(np.mean([_last(night, name) for night in nights])) for name in ("within", "across")
    )
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
