"""The verdicts, on runs made by hand at both sides of every band."""

from pathlib import Path
from typing import Any

import pytest

from hybrid_plasticity.claims import CLAIMS
from hybrid_plasticity.curriculum import Training
from hybrid_plasticity.model import Configuration
from sharpwave_shared.claims import Measurement
from sharpwave_shared.runs import StoredRun

EXAMPLE = Configuration().values() | vars(Training())


def measure(
    name: str, experiment: str, metrics: dict[str, Any], config: dict[str, Any] | None = None
) -> Measurement | None:
    run = StoredRun(Path(), {"experiment": experiment, "config": config or EXAMPLE}, metrics)
    (claim,) = [claim for claim in CLAIMS if claim.name == name]
    others = [c.name for c in CLAIMS if c.name != name and c.measure(run) is not None]
    assert not set(others) - {"hybrid", "readout"}, "speaks to a run of another kind"
    return claim.measure(run)


def verdict(name: str, experiment: str, metrics: dict[str, Any]) -> bool:
    found = measure(name, experiment, metrics)
    assert found is not None
    return found.reproduced


@pytest.mark.parametrize(
    ("mastered", "holds"),
    [
        ([[1000, 4000, 10_000]], True),
        ([[1001, 4000, 10_000]], False),
        ([[1000, 4001, 10_000]], False),
        ([[1000, 4000, 10_001]], False),
        ([[900, 3000]], False),
        ([[]], False),
        ([[900, 3000, 9000], [2000, 9000], [999, 3999, 9999, 5]], True),
        ([[900, 3000, 9000], [2000, 9000], [999, 3999]], False),
    ],
)
def test_curriculum(mastered: list[list[int]], holds: bool) -> None:
    networks = [{"mastered": m, "iterations": sum(m) + 10_000} for m in mastered]
    assert verdict("curriculum", "train", {"networks": networks}) == holds


@pytest.mark.parametrize(
    ("mastered", "iterations", "decided"),
    [
        ([600], 600, False),  # --max-r 1
        ([600], 4599, False),
        ([600], 4600, True),
        ([], 999, False),
        ([], 1000, True),
        ([600, 3000], 13_599, False),
        ([600, 3000], 13_600, True),
        ([600, 3000, 2000], 5600, True),
    ],
)
def test_curriculum_needs_a_chance(mastered: list[int], iterations: int, decided: bool) -> None:
    other = {"mastered": [1, 1, 1, 1], "iterations": 4}
    networks = [other, {"mastered": mastered, "iterations": iterations}]
    assert (measure("curriculum", "train", {"networks": networks}) is not None) == decided


def test_curriculum_is_about_the_example_configuration() -> None:
    metrics = {"networks": [{"iterations": 3, "mastered": [1, 1, 1]}]}
    assert measure("curriculum", "train", metrics) is not None
    for other in (
        Configuration(hidden_dims=(50, 50)),
        Configuration(plastic_types=("M", "M")),
        Configuration("Stack"),
        Configuration(hetero_rates=(1, 0)),
    ):
        assert measure("curriculum", "train", metrics, other.values()) is None


def entry(kind: str, dims: list[int], types: str, *largest: int) -> dict[str, Any]:
    return {
        "network_type": kind,
        "hidden_dims": dims,
        "plastic_types": list(types),
        "mastered": [[10] * R for R in largest],
    }


def comparison(**largest: tuple[int, ...]) -> dict[str, Any]:
    """Everything masters R = 2, but what is named."""
    every = {
        "hybrid": entry("Memo", [50, 50], "MA", 2, 2, 2),
        "both_m": entry("Memo", [50, 50], "MM", 2, 2, 2),
        "one_m": entry("Memo", [100], "M", 2, 2, 2),
        "one_a": entry("Memo", [100], "A", 2, 2, 2),
        "dynamic": entry("Dyn_RO", [50, 50], "MA", 2, 2, 2),
        "static_m": entry("Nonl_RO", [100, 100], "M", 2, 2, 2),
        "static_a": entry("Nonl_RO", [100, 100], "A", 2, 2, 2),
    }
    for name, values in largest.items():
        every[name]["mastered"] = [[10] * R for R in values]
    return {"budget": 100, "configurations": list(every.values())}


def test_hybrid() -> None:
    assert not verdict("hybrid", "compare", comparison())
    assert verdict("hybrid", "compare", comparison(hybrid=(1, 3, 3)))
    for name in ("both_m", "one_m", "one_a"):
        beaten = comparison(hybrid=(3, 3, 3), **{name: (3, 0, 4)})
        assert not verdict("hybrid", "compare", beaten), name
    assert verdict("hybrid", "compare", comparison(hybrid=(3, 3, 3), static_m=(9, 9, 9)))


def test_iterations_decide_where_r_is_the_same() -> None:
    metrics = comparison()
    hybrid = metrics["configurations"][0]
    hybrid["mastered"] = [[10, 9], [10, 9], [500]]
    assert verdict("hybrid", "compare", metrics)
    hybrid["mastered"] = [[10, 9], [10, 11], [10, 11]]
    assert not verdict("hybrid", "compare", metrics)
    # Most seeds count: two of three never mastered R = 2.
    hybrid["mastered"] = [[1, 1], [10], [10]]
    assert not verdict("hybrid", "compare", metrics)


def test_hybrid_must_win_at_every_size() -> None:
    metrics = comparison(hybrid=(3, 3, 3))
    metrics["configurations"] += [
        entry("Memo", [25, 25], "MA", 1),
        entry("Memo", [50], "A", 1),
    ]
    assert not verdict("hybrid", "compare", metrics)
    metrics["configurations"][-1]["mastered"] = [[]]
    assert verdict("hybrid", "compare", metrics)


def test_readout() -> None:
    assert not verdict("readout", "compare", comparison(hybrid=(3, 3, 3)))
    both = comparison(hybrid=(3, 3, 3), dynamic=(3, 3, 1))
    assert verdict("readout", "compare", both)
    assert not verdict(
        "readout", "compare", comparison(hybrid=(3,), dynamic=(3,), static_a=(4, 4, 0))
    )
    # The better rule of each wiring counts, and one layer is no readout of its own.
    assert verdict("readout", "compare", comparison(both_m=(3,), dynamic=(3,)))
    assert not verdict("readout", "compare", comparison(one_m=(3,), dynamic=(3,)))


@pytest.mark.parametrize(
    ("hits", "alarms", "holds"),
    [
        ([0.7, 0.9], [0.1, 0.0], True),
        ([0.69, 0.9], [0.1, 0.0], False),
        ([0.7, 0.9], [0.0, 0.11], False),
    ],
)
def test_generalisation(hits: list[float], alarms: list[float], holds: bool) -> None:
    networks = [
        {"trained_to": R, "true_positive": [0.0] * 5, "false_positive": [1.0] * 5} for R in (1, 3)
    ]
    for network, hit, alarm in zip(networks, hits, alarms, strict=True):
        network["true_positive"][network["trained_to"] + 1] = hit
        network["false_positive"][network["trained_to"] + 1] = alarm
    metrics = {"intervals": [1, 2, 3, 4, 5], "networks": networks}
    assert verdict("generalisation", "evaluate", metrics) == holds
    assert measure("generalisation", "evaluate", metrics | {"intervals": [1, 2, 4, 9, 10]}) is None


def test_anti_hebbian() -> None:
    def networks(*means: float) -> dict[str, Any]:
        other = {"eta_weighted": 9, "E_mean": 9}
        first = [{"eta_weighted": m, "E_mean": -m} for m in means]
        return {"networks": [{"layers": [layer, other]} for layer in first]}

    assert verdict("anti-hebbian", "analyze", networks(-0.1, 0.4, -0.2))
    assert not verdict("anti-hebbian", "analyze", networks(-0.1, 0.4, 0.2))
    assert not verdict("anti-hebbian", "analyze", networks(0.0))
