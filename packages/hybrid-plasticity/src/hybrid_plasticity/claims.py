"""What the report claims, measured on runs.

Published values are those of the released code as this project's specification gives them, where
the report has no number.
"""

import math
from typing import Any

import numpy as np

from hybrid_plasticity.model import short_name
from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.runs import StoredRun

WITHIN = (1000, 4000, 10_000)
"""Iterations within which R = 1, 2 and 3 are to be mastered."""
EXAMPLE = {
    "network_type": "Memo",
    "hidden_dims": [100, 100],
    "hetero_rates": [1, 1],
    "plastic_types": ["M", "A"],
}
Entry = dict[str, Any]


def _curriculum(run: StoredRun) -> Measurement | None:
    if run.experiment != "train" or any(run.config[k] != v for k, v in EXAMPLE.items()):
        return None
    networks = run.metrics["networks"]
    if not all(map(_decided, networks)):
        return None
    shown, values, holds = [], {}, []
    for R, limit in enumerate(WITHIN, 1):
        # A network that never mastered an interval took forever.
        taken = np.array(
            [n["mastered"][R - 1] if len(n["mastered"]) >= R else np.inf for n in networks]
        )
        known, median = taken[np.isfinite(taken)], np.median(taken)
        text = f"{median:,.0f} ({known.min():,.0f} to {known.max():,.0f})" if len(known) else "-"
        shown.append(
            f"R = {R}: {text}; mastered by {len(known)} of {len(networks)} seeds, "
            f"by {(taken <= limit).sum()} within {limit:,}"
        )
        values[f"R = {R}"] = taken.tolist()
        holds.append(bool(median <= limit))
    return Measurement("\n".join(shown), all(holds), values)


def _decided(network: dict[str, Any]) -> bool:
    """Tell whether a network had its chance: it mastered all, or used up an interval's time."""
    mastered = network["mastered"]
    if len(mastered) >= len(WITHIN):
        return True
    return network["iterations"] - sum(mastered) >= WITHIN[len(mastered)]


def _of(run: StoredRun, network_type: str, units: int) -> list[Entry]:
    """Choose the configurations of a type with so many hidden units in all."""
    return [
        entry
        for entry in run.metrics["configurations"]
        if entry["network_type"] == network_type and sum(entry["hidden_dims"]) == units
    ]


def _pace(entry: Entry) -> tuple[float, float]:
    """Give the largest R mastered and minus the iterations until then, as medians over seeds.

    Of two paces the larger is the better one: iterations decide where R is the same. Seeds that
    did not come as far count as never.
    """
    largest = float(np.median([len(mastered) for mastered in entry["mastered"]]))
    until = [
        sum(taken[: math.ceil(largest)]) if len(taken) >= largest else math.inf
        for taken in entry["mastered"]
    ]
    return largest, -float(np.median(until))


def _sizes(run: StoredRun, network_type: str) -> list[int]:
    units = {
        sum(entry["hidden_dims"])
        for entry in run.metrics["configurations"]
        if entry["network_type"] == network_type
    }
    return sorted(units, reverse=True)


def _beats(better: list[Entry], worse: list[Entry]) -> tuple[str, dict[str, Any], bool]:
    """Tell whether all of the one kind are ahead of all of the other."""
    values = {short_name(entry): _pace(entry) for entry in [*better, *worse]}
    shown = [f"{name}: R = {R:g} after {-late:,.0f}" for name, (R, late) in values.items()]
    holds = min(map(_pace, better)) > max(map(_pace, worse))
    return "; ".join(shown), {name: list(pace) for name, pace in values.items()}, holds


def _hybrid(run: StoredRun) -> Measurement | None:
    if run.experiment != "compare":
        return None
    lines, values, holds = [], {}, []
    for units in _sizes(run, "Memo"):
        entries = _of(run, "Memo", units)
        hybrid = [e for e in entries if e["plastic_types"] == ["M", "A"]]
        single = [e for e in entries if len(set(e["plastic_types"])) == 1]
        if hybrid and single:
            line, found, holds_here = _beats(hybrid, single)
            lines.append(line)
            values |= found
            holds.append(holds_here)
    return Measurement("\n".join(lines), all(holds), values) if lines else None


def _readout(run: StoredRun) -> Measurement | None:
    if run.experiment != "compare":
        return None
    lines, values, holds = [], {}, []
    for units in _sizes(run, "Nonl_RO"):
        static = _of(run, "Nonl_RO", units)
        # A layer of the static readout has no rates of its own: half the units have still fewer
        # parameters than it.
        plastic = [
            max(chosen, key=_pace)
            for kind in ("Memo", "Dyn_RO")
            if (chosen := [e for e in _of(run, kind, units // 2) if len(e["hidden_dims"]) > 1])
        ]
        if static and plastic:
            line, found, holds_here = _beats(plastic, static)
            lines.append(line)
            values |= found
            holds.append(holds_here)
    return Measurement("\n".join(lines), all(holds), values) if lines else None


def _generalises(run: StoredRun) -> Measurement | None:
    if run.experiment != "evaluate":
        return None
    intervals = run.metrics["intervals"]
    hits, alarms = [], []
    for network in run.metrics["networks"]:
        beyond = network["trained_to"] + 2
        if beyond not in intervals:
            return None
        k = intervals.index(beyond)
        hits.append(network["true_positive"][k])
        alarms.append(network["false_positive"][k])
    trained = ", ".join(str(network["trained_to"]) for network in run.metrics["networks"])
    shown = (
        f"true positive rate {min(hits):.3f} to {max(hits):.3f}, false positive rate "
        f"{min(alarms):.3f} to {max(alarms):.3f} (trained up to R = {trained})"
    )
    holds = min(hits) >= 0.7 and max(alarms) <= 0.1
    return Measurement(shown, holds, {"true_positive": hits, "false_positive": alarms})


def _anti_hebbian(run: StoredRun) -> Measurement | None:
    if run.experiment != "analyze":
        return None
    first = [network["layers"][0] for network in run.metrics["networks"]]
    means, effective = ([layer[name] for layer in first] for name in ("eta_weighted", "E_mean"))
    shown = (
        f"{short_name(run.config)}: median {np.median(means):.4f} ({min(means):.4f} to "
        f"{max(means):.4f}, {len(means)} seeds); mean change per product of activities (eta, or "
        f"W * eta in a multiplicative layer): median {np.median(effective):.4f} "
        f"({min(effective):.4f} to {max(effective):.4f})"
    )
    values = {"eta_weighted": means, "E_mean": effective}
    return Measurement(shown, bool(np.median(means) < 0), values)


CLAIMS = (
    Claim(
        "curriculum",
        "Memo [100,100] MA masters R = 1, 2 and 3.",
        "released code",
        "466, 1,882 and more than 1,700 iterations (acc_num 5, one run)",
        "median over seeds: within 1,000, 4,000 and 10,000 iterations at each R",
        _curriculum,
    ),
    Claim(
        "hybrid",
        "Hybrid plasticity (M first, A second) beats a single type of the same size.",
        "report",
        "-",
        "medians over seeds in equal iterations: Memo MA masters a larger R, or the same R sooner, "
        "than every Memo of one type with as many hidden units, at each size",
        _hybrid,
    ),
    Claim(
        "readout",
        "Plastic readouts beat the static nonlinear readout with the same number of parameters.",
        "report",
        "-",
        "medians over seeds in equal iterations: Memo and Dyn_RO master a larger R, or the same R "
        "sooner, than Nonl_RO with twice the parameters, at each size",
        _readout,
    ),
    Claim(
        "generalisation",
        "A network meta-trained up to R recognises repetitions at intervals it never saw.",
        "report",
        "-",
        "every seed, at R + 2: true positive rate >= 0.7, false positive rate <= 0.1",
        _generalises,
    ),
    Claim(
        "anti-hebbian",
        "Meta-learning finds anti-Hebbian plasticity in the first layer.",
        "report",
        "-",
        "mean eta weighted by |W| negative, median over seeds",
        _anti_hebbian,
    ),
)
