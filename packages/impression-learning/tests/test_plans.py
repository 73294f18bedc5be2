"""The modes: the parameters of the specification's table, and which values are refused."""

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impression_learning.plans import MODES, Plan, make_plan, parse_mode
from sharpwave_shared.errors import InvalidInputError

# The specification's table: sizes (latent, observed, latent units), steps, learning rate.
TABLE: dict[str, tuple[tuple[int, int, int], int, float]] = {
    "standard": ((20, 100, 20), 2_000_000, 1e-3),
    "SNR": ((2, 4, 2), 600_000, 1e-4),
    "switch_period": ((4, 10, 4), 1_000_000, 5e-4),
    "time_constant": ((4, 10, 4), 1_000_000, 5e-4),
}
RATES = [
    *(0.0031622776601683795, 0.001, 0.00031622776601683794, 0.0001, 3.1622776601683795e-05),
    *(1e-05, 3.1622776601683796e-06, 1e-06, 3.162277660168379e-07, 1e-07, 3.1622776601683796e-08),
    *(1e-08, 3.1622776601683795e-09, 1e-09, 3.1622776601683795e-10, 1e-10),
    *(3.16227766016838e-11, 1e-11, 3.1622776601683794e-12, 1e-12),
]


def only(plan: Plan) -> tuple[Any, Any]:
    ((setting, process),) = plan.conditions(plan.algorithms[0])
    return setting, process


@pytest.mark.parametrize("mode", TABLE)
def test_table_of_modes(mode: str) -> None:
    sizes, steps, eta = TABLE[mode]
    plan = make_plan(mode)
    assert plan.algorithms == ("impression",)
    assert (plan.n_latent, plan.n_in, plan.n) == sizes
    assert plan.steps == plan.steps_of("impression") == steps
    assert plan.points == 20
    assert plan.test_steps == 30_000
    for setting, process in plan.conditions("impression"):
        assert setting.sizes == sizes[1:]
        assert (process.n_latent, process.n_in) == sizes[:2]
        assert setting.sigma_inf == (0.01, 0.01)
        assert setting.sigma_gen[0] == 0.01
        assert setting.sigma_gen[1] == pytest.approx(0.5 * math.sqrt(process.dt), rel=1e-12)
        assert setting.eta == pytest.approx(eta, rel=1e-12)
        assert setting.algorithm == "impression"


def test_standard_and_snr_have_one_condition() -> None:
    for mode in ("standard", "SNR"):
        setting, process = only(make_plan(mode))
        assert setting.switch_period == 1
        assert process.dt == 0.1
        assert setting.sigma_gen[1] == pytest.approx(0.15811388300841897)
    assert make_plan("SNR").episodes == 1_000_000


def test_dimensionality() -> None:
    plan = make_plan("dimensionality")
    assert plan.algorithms == ("impression", "reinforce", "backprop")
    assert plan.axis == ("dimension", (2, 4, 8, 16, 32))
    etas = {"impression": 3.2e-3, "reinforce": 3.1622776601683795e-10, "backprop": 0.01}
    steps = {"impression": 3_600_000, "reinforce": 3_600_000, "backprop": 300_000}
    for algorithm in plan.algorithms:
        conditions = plan.conditions(algorithm)
        assert [s.sizes for s, _ in conditions] == [(4, 2), (8, 4), (16, 8), (32, 16), (64, 32)]
        assert [p.n_latent for _, p in conditions] == [2, 4, 8, 16, 32]
        assert {s.algorithm for s, _ in conditions} == {algorithm}
        assert {s.switch_period for s, _ in conditions} == {1}
        assert [s.eta for s, _ in conditions] == pytest.approx([etas[algorithm]] * 5, rel=1e-12)
        assert plan.steps_of(algorithm) == steps[algorithm]


def test_backpropagation_has_its_own_steps_in_dimensionality_only() -> None:
    assert make_plan("standard", algorithm="backprop").steps_of("backprop") == 2_000_000


def test_backpropagation_learns_at_the_rate_of_the_specification() -> None:
    """Of the weights: 1e-3 x 10 x 0.01^2; the setting's rate is multiplied by sigma_inf^2."""
    setting, _ = only(make_plan("standard", algorithm="backprop"))
    assert setting.eta * setting.sigma_inf[1] ** 2 == pytest.approx(1e-6, rel=1e-12)


def test_switch_periods() -> None:
    plan = make_plan("switch_period")
    periods = [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31]
    assert [s.switch_period for s, _ in plan.conditions("impression")] == periods
    assert {p.dt for _, p in plan.conditions("impression")} == {0.1}


def test_time_constants() -> None:
    plan = make_plan("time_constant")
    dts = [p.dt for _, p in plan.conditions("impression")]
    assert len(dts) == 10
    assert (dts[0], dts[-1]) == (1, 0.01)
    ratios = [b / a for a, b in itertools.pairwise(dts)]
    assert ratios == pytest.approx([10 ** (-2 / 9)] * 9, rel=0.01)
    assert {s.switch_period for s, _ in plan.conditions("impression")} == {1}


def test_learning_rate_search() -> None:
    plan = make_plan("lr_optim")
    assert plan.algorithms == ("impression", "reinforce")
    assert plan.steps == 3_600_000
    for algorithm in plan.algorithms:
        conditions = plan.conditions(algorithm)
        assert [s.eta for s, _ in conditions] == pytest.approx(RATES, rel=1e-9)
        assert {s.sizes for s, _ in conditions} == {(4, 2)}
        assert {s.algorithm for s, _ in conditions} == {algorithm}


@pytest.mark.parametrize(("algorithm", "eta"), [("impression", 5e-4), ("reinforce", 1e-10)])
def test_speech(algorithm: str, eta: float) -> None:
    plan = make_plan("Vocal_Digits", algorithm=algorithm)
    setting, _ = only(plan)
    assert setting.sizes == (128, 100, 40)
    assert setting.sigma_inf == (0.01, 0.01, 0.01)
    assert setting.sigma_gen == (0.01, 0.01, 0.13)
    assert setting.eta == pytest.approx(eta, rel=1e-12)
    assert setting.switch_period == 1
    assert plan.epochs == 20
    assert plan.takes == 50


@given(st.sampled_from(sorted(MODES)), st.data())
def test_modes_in_any_casing_and_with_dashes(mode: str, data: st.DataObject) -> None:
    drawn = [data.draw(st.sampled_from("_-" if c == "_" else [c.lower(), c.upper()])) for c in mode]
    assert parse_mode("".join(drawn)) == mode


@given(st.text(max_size=20))
def test_other_modes_are_refused_and_the_modes_named(text: str) -> None:
    if text.strip().casefold().replace("-", "_") in {mode.casefold() for mode in MODES}:
        return
    with pytest.raises(InvalidInputError) as refused:
        parse_mode(text)
    assert f"--mode {text}" in str(refused.value)
    assert all(mode in str(refused.value) for mode in MODES)


def test_given_values_win_and_none_stands_for_the_modes_own() -> None:
    plan = make_plan(
        "SNR",
        algorithm="reinforce",
        etas={"impression": None, "reinforce": 2.0},
        n=3,
        n_in=None,
        sigma_gen=0.2,
        dt=0.4,
        switch_period=0,
        third_factor="released",
    )
    setting, process = only(plan)
    assert setting.sizes == (4, 3)
    assert setting.sigma_gen == (0.01, 0.2)
    assert setting.eta == 2.0
    assert setting.switch_period == 0
    assert setting.third_factor == "released"
    assert process.dt == 0.4
    assert plan.etas["impression"] == 1e-4


@given(st.floats(1e-4, 1.0))
def test_transition_noise_is_the_datas_unless_given(dt: float) -> None:
    setting, _ = only(make_plan("standard", dt=dt))
    assert setting.sigma_gen[1] == pytest.approx(0.5 * dt**0.5, rel=1e-12)
    setting, _ = only(make_plan("standard", dt=dt, sigma_gen=0.3))
    assert setting.sigma_gen[1] == 0.3


COMMON = {"mode", "algorithms", "points", "sigma_in", "sigma_inf", "sigma_obs", "sigma_gen"}
SIZES = {"n_latent", "n_in", "n"}


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("standard", SIZES | {"dt", "switch_period", "etas", "steps", "test_steps"}),
        ("SNR", SIZES | {"dt", "switch_period", "etas", "steps", "test_steps", "episodes"}),
        (
            "dimensionality",
            {"dt", "switch_period", "etas", "steps", "test_steps", "third_factor"}
            | {"dimensions", "steps_backprop"},
        ),
        ("switch_period", SIZES | {"dt", "etas", "steps", "test_steps", "periods"}),
        ("time_constant", SIZES | {"switch_period", "etas", "steps", "test_steps", "dts"}),
        (
            "lr_optim",
            SIZES | {"dt", "switch_period", "steps", "test_steps", "rates", "third_factor"},
        ),
        ("Vocal_Digits", {"switch_period", "etas", "epochs", "takes"}),
    ],
)
def test_config_holds_what_the_mode_depends_on(mode: str, more: set[str]) -> None:
    config = make_plan(mode).config()
    assert config.keys() == COMMON | more
    assert json.loads(json.dumps(config, allow_nan=False)) == config


def test_config_names_the_rates_of_what_learns() -> None:
    assert make_plan("standard").config()["etas"] == {"impression": 1e-3}
    config = make_plan("standard", algorithm="reinforce", third_factor="released").config()
    assert list(config["etas"]) == ["reinforce"]
    assert config["third_factor"] == "released"


@pytest.mark.parametrize("mode", MODES)
def test_config_is_not_changed_by_what_the_mode_ignores(mode: str) -> None:
    changed = {
        "n_latent": 3,
        "n_in": 7,
        "n": 5,
        "dt": 0.3,
        "switch_period": 2,
        "steps": 77,
        "test_steps": 777,
        "episodes": 777,
        "dimensions": (3,),
        "steps_backprop": 77,
        "periods": (5,),
        "dts": (0.7,),
        "rates": (0.1,),
        "epochs": 7,
        "takes": 7,
    }
    plan = make_plan(mode)
    config = plan.config()
    for name, value in changed.items():
        same = make_plan(mode, **{name: value})
        assert (same.config() == config) == (name not in config)
        if name not in config:
            settings = [[s for s, _ in p.conditions("impression")] for p in (plan, same)]
            assert settings[0] == settings[1]


@pytest.mark.parametrize(
    ("mode", "given", "message"),
    [
        ("standard", {"n_in": 0}, "--n-in 0"),
        ("standard", {"n": -1}, "--n -1"),
        ("dimensionality", {"n": 0}, "--n 0"),
        ("standard", {"n_latent": 0}, "--n-latent 0"),
        ("standard", {"dt": 0.0}, "--dt 0"),
        ("standard", {"dt": 1.5}, "--dt 1.5"),
        ("standard", {"dt": math.nan}, "--dt nan"),
        ("standard", {"sigma_in": 0.0}, "--sigma-in 0"),
        ("standard", {"sigma_inf": -1.0}, "--sigma-inf -1"),
        ("standard", {"sigma_obs": math.nan}, "--sigma-obs nan"),
        ("Vocal_Digits", {"sigma_gen": math.inf}, "--sigma-gen inf"),
        ("standard", {"switch_period": -1}, "--switch-period -1"),
        ("standard", {"switch_period": 10**30}, "--switch-period 1000"),
        ("standard", {"steps": 0}, "--steps 0"),
        ("standard", {"points": 1}, "--points 1"),
        ("standard", {"test_steps": 199}, "--test-steps 199"),
        ("SNR", {"episodes": 99}, "--episodes 99"),
        ("dimensionality", {"dimensions": (1, 11)}, "--dimensions 11"),
        ("dimensionality", {"dimensions": (-1,)}, "--dimensions -1"),
        ("dimensionality", {"dimensions": ()}, "--dimensions"),
        ("dimensionality", {"steps_backprop": 0}, "--steps-backprop 0"),
        ("switch_period", {"periods": (1, -2)}, "--periods -2"),
        ("time_constant", {"dts": (0.1, 2.0)}, "--dts 2"),
        ("time_constant", {"dts": (0.0,)}, "--dts 0"),
        ("lr_optim", {"rates": (1e-3, math.nan)}, "--rates nan"),
        ("lr_optim", {"algorithm": "backprop"}, "--algorithm backprop"),
        ("Vocal_Digits", {"algorithm": "backprop"}, "--algorithm backprop"),
        ("Vocal_Digits", {"epochs": 0}, "--epochs 0"),
        ("standard", {"etas": {"impression": -1.0}}, "--eta -1"),
        ("standard", {"etas": {"reinforce": math.nan}}, "--eta-reinforce nan"),
        ("dimensionality", {"etas": {"backprop": math.inf}}, "--eta-backprop inf"),
    ],
)
def test_values_out_of_range_are_refused_by_the_option(
    mode: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        make_plan(mode, **given)
    assert str(refused.value).startswith(message)


def test_a_plan_has_a_mode() -> None:
    with pytest.raises(InvalidInputError, match="--mode other: must be one of standard, SNR"):
        Plan("other")
