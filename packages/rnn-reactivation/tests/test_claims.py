"""Claims: each holds on numbers that show it, and fails on numbers that do not."""

from pathlib import Path
from typing import Any

import pytest

from rnn_reactivation.claims import CLAIMS
from sharpwave_shared.claims import Measurement
from sharpwave_shared.runs import StoredRun

CLAIM = {claim.name: claim for claim in CLAIMS}
NAMES = ["noisy_unbiased", "noisy_biased", "no-noise_unbiased", "no-noise_biased"]
GRUS = ["noisy_unbiased_gru", "noisy_biased_gru"]
KL = {
    ("noisy_unbiased", "noisy_unbiased"): 0.2,
    ("noisy_unbiased", "noisy_biased"): 20.0,
    ("noisy_biased", "noisy_unbiased"): 3.0,
    ("noisy_biased", "noisy_biased"): 0.3,
    ("no-noise_unbiased", "no-noise_unbiased"): 0.5,
    ("no-noise_unbiased (noise added)", "no-noise_unbiased"): 0.4,
    ("no-noise_biased", "no-noise_biased"): 0.6,
    ("no-noise_biased (noise added)", "no-noise_biased"): 0.7,
    ("noisy_unbiased_gru", "noisy_unbiased_gru"): 0.3,
    ("noisy_biased_gru", "noisy_biased_gru"): 0.5,
    ("random network", "noisy_unbiased"): 1.0,
    ("random network", "noisy_biased"): 2.0,
    ("uniform distribution", "noisy_unbiased"): 0.3,
    ("uniform distribution", "noisy_biased"): 10.0,
}


def analysis(task: str = "spatial_navigation", names: list[str] | None = None) -> StoredRun:
    names = names or [*NAMES, *GRUS]
    rows = {row for row, _ in KL}
    columns = names if task == "spatial_navigation" else NAMES
    both = {"active": [0.5, 0.5], "quiescent": [0.2, 0.3]}
    rest = {"active": [0.5, 0.5], "quiescent": [0.01, 0.02], "noise_added": [0.2, 0.2]}
    each = {name: dict(rest if name.startswith("no-") else both) for name in names}
    shares = [0.1 * n for n in range(1, 11)]
    metrics: dict[str, Any] = {
        "task": task,
        "names": names,
        "seeds": [0, 1],
        "kl": {
            row: {column: [KL.get((row, column), 5.0)] * 2 for column in columns} for row in rows
        },
        "variance": {
            name: {"quiescent": [0.1, 0.1] if "_biased" in name else [0.3, 0.5]} for name in names
        },
        "distance": each,
        "distance_late": {
            name: {"quiescent": [0.01, 0.01] if name.startswith("no-") else [2.0, 2.0]}
            for name in names
        },
        "dimensionality": {
            name: {"active": [shares, shares], "quiescent": [[0.95 * s for s in shares]] * 2}
            for name in names
        },
    }
    if task == "head_direction":
        metrics["coverage"] = {name: {"quiescent": [1.0, 0.9]} for name in names}
        metrics["hollowness"] = {name: {"quiescent": [0.9, 0.8]} for name in names}
        metrics["angular_velocity"] = {
            name: {"active": [9.0, 9.0], "quiescent": [4.0, 2.0]} for name in names
        }
    record = {"experiment": "analyze", "config": {}, "seeds": [0, 1], "quick": False}
    return StoredRun(Path("nowhere"), record, metrics)


def measured(name: str, run: StoredRun) -> Measurement:
    found = CLAIM[name].measure(run)
    assert found is not None
    return found


def change(run: StoredRun, path: list[Any], value: Any) -> StoredRun:
    part: Any = run.metrics
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return run


def training(loss: float | None, error: float | None, **rnn: float) -> StoredRun:
    config = {
        "name": "noisy_unbiased",
        "task": {"name": "spatial_navigation"},
        "rnn": {"sigma2_rec": 1e-4} | rnn,
    }
    metrics = {"loss": loss, "error": error, "epoch": 2500}
    record = {"experiment": "train", "config": config, "seeds": [3], "quick": False}
    return StoredRun(Path("nowhere"), record, metrics)


@pytest.mark.parametrize(
    ("loss", "error", "holds"),
    [(2e-5, 0.01, True), (2.1e-5, 0.01, False), (2e-5, 0.011, False), (None, 0.001, False)],
)
def test_path_integration(loss: float | None, error: float | None, holds: bool) -> None:
    found = measured("path-integration", training(loss, error))
    assert found.reproduced is holds
    assert "seed 3" in found.shown


def test_path_integration_is_about_noisy_navigation() -> None:
    assert CLAIM["path-integration"].measure(training(1.0, 1.0, sigma2_rec=0.0)) is None
    assert CLAIM["path-integration"].measure(analysis()) is None
    early = change(training(1.0, 1.0), ["epoch"], 2499)
    assert CLAIM["path-integration"].measure(early) is None
    turning = training(1.0, 1.0)
    turning.config["task"]["name"] = "head_direction"
    assert CLAIM["path-integration"].measure(turning) is None


@pytest.mark.parametrize(
    ("name", "path", "values"),
    [
        ("tiling", ["kl", "noisy_unbiased", "noisy_unbiased"], [0.3, 0.4]),
        ("tiling", ["kl", "random network", "noisy_unbiased"], [0.5, 0.6]),
        ("tiling", ["kl", "random network", "noisy_biased"], [0.5, 0.6]),
        ("tiling", ["kl", "uniform distribution", "noisy_biased"], [0.5, 0.6]),
        ("tiling", ["kl", "noisy_unbiased", "noisy_unbiased"], [0.1, None]),
        ("noise", ["kl", "no-noise_unbiased", "no-noise_unbiased"], [0.1, 0.2]),
        ("noise", ["kl", "no-noise_biased", "no-noise_biased"], [0.1, 0.2]),
        (
            "training-with-noise",
            ["kl", "no-noise_biased (noise added)", "no-noise_biased"],
            [0.1, 0.2],
        ),
        ("bias-variance", ["variance", "noisy_biased", "quiescent"], [0.4, 0.5]),
        ("bias-density", ["kl", "noisy_biased", "noisy_unbiased"], [0.2, 0.3]),
        ("bias-density", ["kl", "noisy_unbiased", "noisy_unbiased"], [3.0, 3.1]),
        ("steps", ["distance", "noisy_unbiased", "quiescent"], [0.6, 0.7]),
        ("steps", ["distance", "noisy_biased", "quiescent"], [0.0, 0.0]),
        ("steps", ["distance_late", "no-noise_biased", "quiescent"], [0.1, 0.1]),
        ("dimensionality", ["dimensionality", "noisy_biased", "quiescent"], [[0.8] * 10] * 2),
        ("gru", ["kl", "noisy_unbiased_gru", "noisy_unbiased_gru"], [0.41, 0.41]),
        ("gru", ["kl", "noisy_biased_gru", "noisy_biased_gru"], [0.7, 0.7]),
    ],
)
def test_navigation(name: str, path: list[Any], values: list[Any]) -> None:
    found = measured(name, analysis())
    assert found.reproduced
    assert "means over 2 seeds" in found.shown
    assert not measured(name, change(analysis(), path, values)).reproduced
    assert CLAIM[name].measure(training(0.0, 0.0)) is None
    if name != "dimensionality":
        assert CLAIM[name].measure(analysis("head_direction")) is None


@pytest.mark.parametrize(
    ("name", "path", "values"),
    [
        ("ring", ["coverage", "noisy_unbiased", "quiescent"], [0.8, 0.9]),
        ("drift", ["angular_velocity", "noisy_biased", "quiescent"], [-4.0, 1.0]),
        ("drift", ["angular_velocity", "noisy_biased", "quiescent"], [None, 1.0]),
    ],
)
def test_head_direction(name: str, path: list[Any], values: list[Any]) -> None:
    assert measured(name, analysis("head_direction", NAMES)).reproduced
    changed = change(analysis("head_direction", NAMES), path, values)
    assert not measured(name, changed).reproduced
    assert CLAIM[name].measure(analysis()) is None


@pytest.mark.parametrize(
    "name", ["tiling", "noise", "training-with-noise", "bias-variance", "bias-density", "gru"]
)
def test_networks_that_a_claim_needs_and_that_are_not_there(name: str) -> None:
    names = ["noisy_biased", "mine"]
    assert CLAIM[name].measure(analysis(names=names)) is None


def test_one_network_alone() -> None:
    found = measured("tiling", analysis(names=["noisy_unbiased"]))
    assert found.reproduced
    assert set(found.values) == {"own", "random"}


def test_numbers_that_were_not_asked_for() -> None:
    run = analysis()
    for kind in ("kl", "variance", "distance", "dimensionality"):
        del run.metrics[kind]
    assert all(claim.measure(run) is None for claim in CLAIMS)
