"""The modes' parameters: those of the specification's table, and what identifies a run."""

import itertools
import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impression_learning import (
    Dimensionality,
    LrOptim,
    Snr,
    Standard,
    SwitchPeriod,
    TimeConstant,
    VocalDigits,
)
from impression_learning.cli import app
from impression_learning.experiments.common import Learning
from impression_learning.kinds import TAKES
from sharpwave_shared import Job, ParameterError
from sharpwave_shared.data import FSDD_TAKES
from sharpwave_shared.testing import check_all_edges

MODES: dict[str, type[Learning]] = {
    "standard": Standard,
    "SNR": Snr,
    "dimensionality": Dimensionality,
    "switch_period": SwitchPeriod,
    "time_constant": TimeConstant,
    "lr_optim": LrOptim,
    "Vocal_Digits": VocalDigits,
}
# The specification's table: sizes (latent, observed, latent units), steps, learning rate.
TABLE: dict[str, tuple[tuple[int, int, int], int, float]] = {
    "standard": ((20, 100, 20), 2_000_000, 1e-3),
    "SNR": ((2, 4, 2), 600_000, 1e-4),
    "switch_period": ((4, 10, 4), 1_000_000, 5e-4),
    "time_constant": ((4, 10, 4), 2_000_000, 5e-4),
}
RATES = [
    *(0.0031622776601683795, 0.001, 0.00031622776601683794, 0.0001, 3.1622776601683795e-05),
    *(1e-05, 3.1622776601683796e-06, 1e-06, 3.162277660168379e-07, 1e-07, 3.1622776601683796e-08),
    *(1e-08, 3.1622776601683795e-09, 1e-09, 3.1622776601683795e-10, 1e-10),
    *(3.16227766016838e-11, 1e-11, 3.1622776601683794e-12, 1e-12),
]
JOB = Job(seeds=(0,), device=torch.device("cpu"))


def settings(mode: Any, algorithm: Any = "impression") -> list[Any]:
    return [mode.setting(algorithm, value) for value in mode.axis_values]


def test_modes_have_the_names_of_the_original() -> None:
    assert app.experiments == MODES


@pytest.mark.parametrize("name", TABLE)
def test_table_of_modes(name: str) -> None:
    sizes, steps, eta = TABLE[name]
    mode: Any = MODES[name]()
    assert mode.algorithms == ("impression",)
    assert (mode.n_latent, mode.n_in, mode.n) == sizes
    assert mode.lengths(JOB, "impression") == (steps, 5_000 if name == "time_constant" else 30_000)
    assert mode.points == 20
    for value, setting in zip(mode.axis_values, settings(mode), strict=True):
        process = mode.process(value)
        assert setting.sizes == sizes[1:]
        assert (process.n_latent, process.n_in) == sizes[:2]
        assert setting.sigma_inf == (0.01, 0.01)
        assert setting.sigma_gen[0] == 0.01
        assert setting.sigma_gen[1] == pytest.approx(0.5 * math.sqrt(process.dt), rel=1e-12)
        assert setting.eta == pytest.approx(eta, rel=1e-12)
        assert setting.algorithm == "impression"


def test_standard_and_snr_have_one_condition() -> None:
    for mode in (Standard(), Snr()):
        (setting,) = settings(mode)
        assert setting.switch_period == 1
        assert mode.process().dt == 0.1
        assert setting.sigma_gen[1] == pytest.approx(0.15811388300841897)
    assert Snr().episodes == 1_000_000


def test_dimensionality() -> None:
    mode = Dimensionality()
    assert mode.algorithms == ("impression", "reinforce", "backprop", "backprop-alternating")
    assert mode.axis_values == (2, 4, 8, 16, 32)
    etas = {"impression": 3.2e-3, "reinforce": 3.1622776601683795e-10}
    etas |= dict.fromkeys(mode.algorithms[2:], 0.01)
    steps = {"impression": 3_600_000, "reinforce": 3_600_000}
    steps |= dict.fromkeys(mode.algorithms[2:], 300_000)
    for algorithm in mode.algorithms:
        found = settings(mode, algorithm)
        assert [s.sizes for s in found] == [(4, 2), (8, 4), (16, 8), (32, 16), (64, 32)]
        assert [mode.process(v).n_latent for v in mode.axis_values] == [2, 4, 8, 16, 32]
        assert {s.algorithm for s in found} == {algorithm}
        assert {s.switch_period for s in found} == {1}
        assert [s.eta for s in found] == pytest.approx([etas[algorithm]] * 5, rel=1e-12)
        assert mode.lengths(JOB, algorithm)[0] == steps[algorithm]


def test_backpropagation_has_its_own_steps_in_dimensionality_only() -> None:
    assert Standard(algorithm="backprop").lengths(JOB, "backprop")[0] == 2_000_000


def test_backpropagation_learns_at_the_rate_of_the_specification() -> None:
    """Of the weights: 1e-3 x 10 x 0.01^2; the setting's rate is multiplied by sigma_inf^2."""
    (setting,) = settings(Standard(), "backprop")
    assert setting.eta * setting.sigma_inf[1] ** 2 == pytest.approx(1e-6, rel=1e-12)


def test_switch_periods() -> None:
    mode = SwitchPeriod()
    periods = [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31]
    assert [s.switch_period for s in settings(mode)] == periods
    assert {mode.process(period).dt for period in periods} == {0.1}


def test_time_constants() -> None:
    mode = TimeConstant()
    dts = [mode.process(value).dt for value in mode.axis_values]
    assert len(dts) == 10
    assert (dts[0], dts[-1]) == (1, 0.01)
    assert [a - b for a, b in itertools.pairwise(dts)] == pytest.approx([0.11] * 9)
    other = TimeConstant.presets["geometric"]["dts"]
    assert (len(other), other[0], other[-1]) == (10, 1, 0.01)
    ratios = [b / a for a, b in itertools.pairwise(other)]
    assert ratios == pytest.approx([10 ** (-2 / 9)] * 9, rel=0.01)
    assert {s.switch_period for s in settings(mode)} == {1}


def test_learning_rate_search() -> None:
    mode = LrOptim()
    assert mode.algorithms == ("impression", "reinforce")
    assert mode.steps == 3_600_000
    for algorithm in mode.algorithms:
        found = settings(mode, algorithm)
        assert [s.eta for s in found] == pytest.approx(RATES, rel=1e-9)
        assert {s.sizes for s in found} == {(4, 2)}
        assert {s.algorithm for s in found} == {algorithm}


@pytest.mark.parametrize(("algorithm", "eta"), [("impression", 5e-4), ("reinforce", 1e-10)])
def test_speech(algorithm: Any, eta: float) -> None:
    mode = VocalDigits(algorithm=algorithm)
    setting = mode.setting(algorithm)
    assert setting.sizes == (128, 100, 40)
    assert setting.sigma_inf == (0.01, 0.01, 0.01)
    assert setting.sigma_gen == (0.01, 0.01, 0.13)
    assert setting.eta == pytest.approx(eta, rel=1e-12)
    assert setting.switch_period == 1
    assert mode.epochs == 20
    assert mode.takes == TAKES == FSDD_TAKES == 50


def test_given_values_win() -> None:
    mode = Snr(
        algorithm="reinforce",
        eta_reinforce=2.0,
        n=3,
        sigma_gen=0.2,
        dt=0.4,
        switch_period=0,
        third_factor="released",
    )
    (setting,) = settings(mode, "reinforce")
    assert setting.sizes == (4, 3)
    assert setting.sigma_gen == (0.01, 0.2)
    assert setting.eta == 2.0
    assert setting.switch_period == 0
    assert setting.third_factor == "released"
    assert mode.process().dt == 0.4
    assert mode.eta == 1e-4


@given(st.floats(1e-4, 1.0))
def test_transition_noise_is_the_datas_unless_given(dt: float) -> None:
    assert settings(Standard(dt=dt))[0].sigma_gen[1] == pytest.approx(0.5 * dt**0.5, rel=1e-12)
    assert settings(Standard(dt=dt, sigma_gen=0.3))[0].sigma_gen[1] == 0.3


ALL = {"points", "algorithm", "sigma_in", "sigma_inf", "sigma_obs", "sigma_gen"}
LATENT = ALL | {"steps", "test_steps"}
SIZES = {"n_latent", "n_in", "n"}


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (Standard, LATENT | SIZES | {"dt", "switch_period", "eta"}),
        (Snr, LATENT | SIZES | {"dt", "switch_period", "eta", "episodes"}),
        (
            Dimensionality,
            LATENT
            | {"dt", "switch_period", "eta", "eta_reinforce", "eta_backprop", "third_factor"}
            | {"dimensions", "steps_backprop"},
        ),
        (SwitchPeriod, LATENT | SIZES | {"dt", "eta", "periods"}),
        (TimeConstant, LATENT | SIZES | {"switch_period", "eta", "dts"}),
        (LrOptim, LATENT | SIZES | {"dt", "switch_period", "rates", "third_factor"}),
        (VocalDigits, ALL | {"switch_period", "eta", "epochs", "takes", "frames", "dataset"}),
    ],
)
def test_a_run_is_identified_by_what_its_numbers_depend_on(
    mode: type[Learning], names: set[str]
) -> None:
    identity = mode().identity()
    assert identity.keys() == names
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity


def test_rates_of_what_does_not_learn_make_no_other_run_and_are_told() -> None:
    mode = Standard(algorithm="reinforce", third_factor="released")
    assert {"eta_reinforce", "third_factor"} <= mode.identity().keys()
    assert not {"eta", "eta_backprop"} & mode.identity().keys()
    assert mode.warnings() == []
    for algorithm in ("backprop", "backprop-alternating"):
        assert "eta_backprop" in Standard(algorithm=algorithm).identity()
    given = Standard(eta_reinforce=1.0, third_factor="released")
    assert given.identity() == Standard().identity()
    assert given.warnings() == [
        "eta_reinforce has no effect: what learns is impression",
        "third_factor has no effect: what learns is impression",
    ]


def test_every_bound_is_kept() -> None:
    check_all_edges(list(MODES.values()))


def test_speech_has_no_data_whose_noise_it_could_take() -> None:
    with pytest.raises(ParameterError, match="sigma_gen: got none"):
        VocalDigits(sigma_gen=None)
