"""Claims: each holds on numbers that show it, and fails on numbers that do not."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from rnn_reactivation.claims.analyze import CLAIMS
from rnn_reactivation.claims.train import CLAIMS as OF_TRAINING
from rnn_reactivation.experiments.analyze import CONDITIONS, KINDS, VANILLA, Analyze
from rnn_reactivation.experiments.train import Train, TrainHeadDirection, TrainNavigation
from sharpwave_shared.claims import Measurement

CLAIM = {claim.name: claim for claim in CLAIMS}
(LEARNING,) = OF_TRAINING
NAMES = (*VANILLA, "noisy_unbiased_gru", "noisy_biased_gru")
SEEDS = [0, 1]
KL = {
    ("noisy_unbiased", "quiescent", "noisy_unbiased"): 0.2,
    ("noisy_unbiased", "quiescent", "noisy_biased"): 20.0,
    ("noisy_biased", "quiescent", "noisy_unbiased"): 3.0,
    ("noisy_biased", "quiescent", "noisy_biased"): 0.3,
    ("no-noise_unbiased", "quiescent", "no-noise_unbiased"): 0.5,
    ("no-noise_unbiased", "noise_added", "no-noise_unbiased"): 0.4,
    ("no-noise_biased", "quiescent", "no-noise_biased"): 0.6,
    ("no-noise_biased", "noise_added", "no-noise_biased"): 0.7,
    ("noisy_unbiased_gru", "quiescent", "noisy_unbiased_gru"): 0.3,
    ("noisy_biased_gru", "quiescent", "noisy_biased_gru"): 0.5,
}
RANDOM = {"noisy_unbiased": 1.0, "noisy_biased": 2.0}
UNIFORM = {"noisy_unbiased": 0.3, "noisy_biased": 10.0}
VARIANCE = {
    "noisy_unbiased": [0.3, 0.5],
    "noisy_biased": [0.1, 0.1],
    "no-noise_unbiased": [0.2, 0.2],
    "no-noise_biased": [0.09, 0.1],
    "noisy_unbiased_gru": [0.3, 0.5],
    "noisy_biased_gru": [0.1, 0.1],
    "mine": [1.0, 1.0],
}
RESTING = {"active": [0.5, 0.5], "quiescent": [0.01, 0.02], "noise_added": [0.8, 0.7]}
MOVING = {"active": [0.5, 0.5], "quiescent": [0.2, 0.3], "noise_added": [np.nan, np.nan]}

Analysis = tuple[Analyze, xr.Dataset]


def analysis(
    task: str = "spatial_navigation", names: tuple[str, ...] = NAMES, kinds: Any = KINDS
) -> Analysis:
    noiseless = [name.startswith("no-") for name in names]
    each = [RESTING if silent else MOVING for silent in noiseless]
    quiescent = [[np.nan] * 2, "value", [np.nan] * 2]

    def asleep(values: list[list[float]]) -> np.ndarray:
        """Values by network and seed, as (configuration, condition, seed)."""
        return np.array([[v if c == "value" else c for c in quiescent] for v in values])

    by = ("configuration", "condition", "seed")
    shares = 0.1 * np.arange(1, 11)
    kl = np.full((len(names), 3, len(names), 2), 5.0)
    for (row, condition, column), value in KL.items():
        if {row, column} <= set(names):
            kl[names.index(row), CONDITIONS.index(condition), names.index(column)] = value
    variables: dict[str, Any] = {
        "variance": (by, asleep([VARIANCE[n] for n in names])),
        "distance": (by, [[values[c] for c in CONDITIONS] for values in each]),
        "distance_late": (by, asleep([[0.01, 0.01] if n else [2.0, 2.0] for n in noiseless])),
        "distance_course": (
            (*by, "elapsed"),
            np.full((len(names), 3, 2, 12), np.where(noiseless, 0.02, 0.2)[:, None, None, None]),
        ),
        "trained_epochs": ("configuration", [20_000] * len(names)),
        "explained_variance": (
            ("condition", "component"),
            np.stack([shares, 0.95 * shares, shares]),
        ),
        "kl": (("asleep", "condition", "configuration", "seed"), kl),
        "kl_random": ("configuration", [RANDOM.get(name, 5.0) for name in names]),
        "kl_uniform": ("configuration", [UNIFORM.get(name, 5.0) for name in names]),
    }
    if task == "head_direction":
        speed = {"active": [9.0, 9.0], "quiescent": [4.0, 2.0], "noise_added": [1.0, 1.0]}
        variables["coverage"] = (by, asleep([[1.0, 0.9]] * len(names)))
        variables["hollowness"] = (by, asleep([[0.9, 0.8]] * len(names)))
        variables["angular_velocity"] = (by, [[speed[c] for c in CONDITIONS]] * len(names))
    kept = {
        "variance": "variance",
        "distance": "distance",
        "distance_late": "distance",
        "distance_course": "distance",
        "trained_epochs": "any",
        "explained_variance": "dimensionality",
        "kl": "kl",
        "kl_random": "kl",
        "kl_uniform": "kl",
    }
    kept = {n: kept.get(n, kinds and kinds[0]) for n in variables}
    variables = {n: v for n, v in variables.items() if kept[n] in (*kinds, "any")}
    noise = [[np.nan, 0.0, 0.1] if silent else [np.nan, 0.1, np.nan] for silent in noiseless]
    data = xr.Dataset(
        variables,
        {
            "seed": SEEDS,
            "configuration": list(names),
            "asleep": list(names),
            "condition": list(CONDITIONS),
            "noise_variance": (("configuration", "condition"), noise),
            "trial_steps": ("configuration", [11] * len(names)),
        },
    )
    spread = [n for n, v in data.data_vars.items() if "configuration" not in v.dims]
    data = data.assign({n: data[n].expand_dims(configuration=list(names)) for n in spread})
    data = data.map(lambda v: v if "seed" in v.dims else v.expand_dims(seed=SEEDS)).copy(deep=True)
    return Analyze(task=task, configurations=names), data  # type: ignore[arg-type]


def measured(name: str, run: Analysis) -> Measurement:
    found = CLAIM[name].measure(*run)
    assert found is not None
    return found


def change(run: Analysis, variable: str, where: dict[str, Any], values: Any) -> Analysis:
    data = run[1].copy(deep=True)
    data[variable].loc[where] = values
    return run[0], data


def training(loss: float, error: float) -> xr.Dataset:
    return xr.Dataset({"loss": ("seed", [loss]), "error": ("seed", [error])}, {"seed": [3]})


@pytest.mark.parametrize(
    ("loss", "error", "holds"),
    [(2e-5, 0.01, True), (2.1e-5, 0.01, False), (2e-5, 0.011, False), (np.nan, 0.001, False)],
)
def test_path_integration(loss: float, error: float, holds: bool) -> None:
    found = LEARNING.measure(TrainNavigation(), training(loss, error))
    assert found is not None
    assert found.reproduced is holds
    assert "seed 3" in found.shown


@pytest.mark.parametrize(
    "experiment",
    [TrainNavigation(rnn={"sigma2_rec": 0.0}), TrainHeadDirection()],  # type: ignore[arg-type]
)
def test_path_integration_is_about_noisy_navigation(experiment: Train) -> None:
    assert LEARNING.measure(experiment, training(1.0, 1.0)) is None
    short = TrainNavigation(trainer={"n_epochs": 2499})  # type: ignore[arg-type]
    assert LEARNING.measure(short, training(1.0, 1.0)) is None


def kl(asleep: str, awake: str, condition: str = "quiescent") -> tuple[str, dict[str, str]]:
    return "kl", {"asleep": asleep, "configuration": awake, "condition": condition}


def asleep(variable: str, name: str) -> tuple[str, dict[str, Any]]:
    return variable, {"configuration": name, "condition": "quiescent"}


def added(variable: str, name: str) -> tuple[str, dict[str, Any]]:
    return variable, {"configuration": name, "condition": "noise_added"}


@pytest.mark.parametrize(
    ("name", "changed", "values"),
    [
        ("tiling", kl("noisy_unbiased", "noisy_unbiased"), [0.3, 0.4]),
        ("tiling", kl("noisy_unbiased", "noisy_unbiased"), [0.1, np.inf]),
        ("tiling", ("kl_random", {"configuration": "noisy_unbiased"}), [0.5, 0.6]),
        ("tiling", ("kl_random", {"configuration": "noisy_biased"}), [0.5, 0.6]),
        ("tiling", ("kl_uniform", {"configuration": "noisy_biased"}), [0.5, 0.6]),
        ("noiseless-variance", asleep("variance", "no-noise_unbiased"), [0.4, 0.5]),
        ("noiseless-variance", asleep("variance", "noisy_biased"), [0.09, 0.1]),
        ("noiseless-jumps", asleep("distance", "noisy_unbiased"), [0.3, 0.3]),
        ("noiseless-jumps", added("distance", "no-noise_biased"), [0.7, 0.7]),
        ("bias-variance", asleep("variance", "noisy_biased"), [0.4, 0.5]),
        ("bias-density", kl("noisy_biased", "noisy_unbiased"), [0.2, 0.3]),
        ("bias-density", kl("noisy_unbiased", "noisy_unbiased"), [3.0, 3.1]),
        ("steps", asleep("distance", "noisy_unbiased"), [0.6, 0.7]),
        ("steps", asleep("distance", "noisy_biased"), [0.0, 0.0]),
        ("steps", asleep("distance_course", "no-noise_biased"), 0.06),
        ("dimensionality", asleep("explained_variance", "noisy_biased"), 0.8),
        ("gru", kl("noisy_unbiased_gru", "noisy_unbiased_gru"), [0.41, 0.41]),
        ("gru", kl("noisy_biased_gru", "noisy_biased_gru"), [0.7, 0.7]),
    ],
)
def test_navigation(name: str, changed: tuple[str, dict[str, Any]], values: Any) -> None:
    run = analysis()
    found = measured(name, run)
    assert found.reproduced
    assert "means over 2 seeds" in found.shown
    assert not measured(name, change(run, *changed, values)).reproduced
    if name != "dimensionality":
        assert CLAIM[name].measure(*analysis("head_direction")) is None


@pytest.mark.parametrize("name", CLAIM)
def test_every_claim_speaks_of_one_seed(name: str) -> None:
    experiment, data = analysis("head_direction" if name in ("ring", "drift") else NAVIGATION)
    assert "1 seed" in measured(name, (experiment, data.isel(seed=[1]))).shown


NAVIGATION = "spatial_navigation"


@pytest.mark.parametrize(
    ("name", "variable", "values"),
    [
        ("ring", asleep("coverage", "noisy_unbiased"), [0.8, 0.9]),
        ("drift", asleep("angular_velocity", "noisy_biased"), [-4.0, 1.0]),
        ("drift", asleep("angular_velocity", "noisy_biased"), [np.nan, 1.0]),
    ],
)
def test_head_direction(name: str, variable: tuple[str, dict[str, Any]], values: Any) -> None:
    run = analysis("head_direction", VANILLA)
    assert measured(name, run).reproduced
    assert not measured(name, change(run, *variable, values)).reproduced
    assert CLAIM[name].measure(*analysis()) is None
    network = {"configuration": variable[1]["configuration"], "seed": 1}
    assert CLAIM[name].measure(*change(run, "trained_epochs", network, 19_999)) is None


@pytest.mark.parametrize(
    "name",
    ["tiling", "noiseless-variance", "noiseless-jumps", "bias-variance", "bias-density", "gru"],
)
def test_networks_that_a_claim_needs_and_that_are_not_there(name: str) -> None:
    assert CLAIM[name].measure(*analysis(names=("noisy_biased", "mine"))) is None


def test_one_network_alone() -> None:
    found = measured("tiling", analysis(names=("noisy_unbiased",)))
    assert found.reproduced
    assert set(found.values) == {"own", "random"}
    assert "no biased network, so not compared on its activity" in found.shown
    shown = measured("steps", analysis(names=("noisy_unbiased",))).shown
    assert "no network without noise" in shown
    assert "no network without noise" not in measured("steps", analysis()).shown


def test_noise_that_was_not_added() -> None:
    experiment, data = analysis()
    without = experiment, data.isel(condition=[0, 1])
    assert CLAIM["noiseless-jumps"].measure(*without) is None
    assert measured("noiseless-variance", without).reproduced
    # Divergences of networks trained without noise are reported, and claim nothing.
    values = measured("noiseless-variance", analysis()).values
    assert (values["unbiased no noise kl"], values["unbiased noisy kl"]) == (0.5, 0.2)
    assert measured("noiseless-jumps", analysis()).values["biased noise added kl"] == 0.7


def test_values_are_plain_numbers() -> None:
    for run in (analysis(), analysis("head_direction")):
        for claim in CLAIMS:
            found = claim.measure(*run)
            assert found is None or all(type(v) is float for v in found.values.values())


def test_numbers_that_were_not_asked_for() -> None:
    run = analysis(kinds=())
    assert set(run[1].data_vars) == {"trained_epochs"}
    assert all(claim.measure(*run) is None for claim in CLAIMS)
