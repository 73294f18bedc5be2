"""The modes of the paper, and the parameters of each."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast, get_args

import numpy as np

from impression_learning.model import Algorithm, Setting, ThirdFactor, one_layer
from impression_learning.stimuli import LatentProcess
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.files import json_values

MODES: Mapping[str, str] = {
    "standard": "learn a latent process (Figure 1)",
    "SNR": "bias and variance of the updates along learning (Figure 2 a-c)",
    "dimensionality": "final loss against latent dimension (Figure 2 d)",
    "switch_period": "how slow may the alternation be? (Figure 3)",
    "time_constant": "the time constant of the data",
    "lr_optim": "search for learning rates",
    "Vocal_Digits": "spoken digits, two layers (Figure 4)",
}
SPEECH_SIZES = (128, 100, 40)


def parse_mode(text: str) -> str:
    """Find the mode that is meant; case and dashes do not matter.

    Raises
    ------
    InvalidInputError
        If there is none; the message names the modes.
    """
    wanted = text.strip().casefold().replace("-", "_")
    for mode in MODES:
        if mode.casefold() == wanted:
            return mode
    raise InvalidInputError(f"--mode {text}: must be one of {', '.join(MODES)}")


@dataclass(frozen=True)
class Plan:
    """All parameters of an experiment but its seeds.

    Attributes
    ----------
    mode
        One of `MODES`.
    algorithms
        What learns; `dimensionality` and `lr_optim` compare several.
    n_latent, n_in, n
        Sizes of the latent process, the observation and the latent layer. Speech has its own;
        `dimensionality` varies them.
    dt
        Time step of the latent process.
    sigma_in, sigma_inf, sigma_obs
        Noise of the input, of inference, of generation.
    sigma_gen
        Noise of the top layer's transition; None: that of the data, 0.5 sqrt(dt).
    switch_period
        A phase lasts `switch_period + 1` steps.
    etas
        Learning rate of each algorithm.
    third_factor
        Sign and size of REINFORCE's third factor, see `model.THIRD_FACTORS`.
    steps, steps_backprop
        Steps of learning, and those of backpropagation in `dimensionality`.
    points
        Points of learning at which the networks are tested.
    test_steps
        Length of the test passage.
    episodes
        Episodes over which the updates' statistics are taken at every point (`SNR`).
    dimensions
        Exponents k: n_latent = n = 2^k, n_in = 2^(k+1) (`dimensionality`).
    periods
        Switch periods (`switch_period`).
    dts
        Time steps of the data (`time_constant`).
    rates
        Learning rates (`lr_optim`).
    epochs, takes
        Passes through the training recordings, and how many takes of each digit and speaker there
        are (`Vocal_Digits`; the first five are for testing).

    Raises
    ------
    InvalidInputError
        If a value is out of range; the message names the option of the command.
    """

    mode: str
    algorithms: tuple[Algorithm, ...] = ("impression",)
    n_latent: int = 20
    n_in: int = 100
    n: int = 20
    dt: float = 0.1
    sigma_in: float = 0.01
    sigma_inf: float = 0.01
    sigma_obs: float = 0.01
    sigma_gen: float | None = None
    switch_period: int = 1
    etas: Mapping[str, float] = field(default_factory=lambda: dict(ETAS))
    third_factor: ThirdFactor = "gradient"
    steps: int = 2_000_000
    steps_backprop: int = 300_000
    points: int = 20
    test_steps: int = 30_000
    episodes: int = 1_000_000
    dimensions: tuple[int, ...] = (1, 2, 3, 4, 5)
    periods: tuple[int, ...] = tuple(range(1, 32, 3))
    dts: tuple[float, ...] = tuple(np.geomspace(1, 0.01, 10).round(4).tolist())
    rates: tuple[float, ...] = tuple(1e-2 / 10 ** ((j + 1) / 2) for j in range(20))
    epochs: int = 20
    takes: int = 50

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidInputError(f"--mode {self.mode}: must be one of {', '.join(MODES)}")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not least <= value <= MOST:
                raise InvalidInputError(
                    f"{option(name)} {value}: from {least} to {MOST:,} is allowed"
                )
        self._check_lists()
        for algorithm, eta in self.etas.items():
            _check_eta(option(ETA_OPTIONS[algorithm]), eta)
        allowed = ALGORITHMS.get(self.mode, get_args(Algorithm))
        for algorithm in self.algorithms:
            if algorithm not in get_args(Algorithm):
                raise InvalidInputError(
                    f"--algorithm {algorithm}: must be one of {', '.join(get_args(Algorithm))}"
                )
            if algorithm not in allowed:
                raise InvalidInputError(
                    f"--algorithm {algorithm}: {self.mode} has {', '.join(allowed)}"
                )
            self.conditions(algorithm)

    def _check_lists(self) -> None:
        for name in ("dimensions", "periods", "dts", "rates"):
            if not getattr(self, name):
                raise InvalidInputError(f"--{name}: at least one value is needed")
        for k in self.dimensions:
            if not 0 <= k <= 10:
                raise InvalidInputError(f"--dimensions {k}: exponents from 0 to 10 are allowed")
        for period in self.periods:
            if not 0 <= period <= MOST:
                raise InvalidInputError(f"--periods {period}: from 0 to {MOST:,} is allowed")
        for dt in self.dts:
            if not 0 < dt <= 1:
                raise InvalidInputError(f"--dts {dt:g}: above 0 and at most 1 is allowed")
        for rate in self.rates:
            _check_eta("--rates", rate)

    @property
    def axis(self) -> tuple[str, tuple[int | float, ...]]:
        """Name what the mode varies, and its values."""
        match self.mode:
            case "dimensionality":
                return "dimension", tuple(2**k for k in self.dimensions)
            case "switch_period":
                return "switch period", self.periods
            case "time_constant":
                return "dt", self.dts
            case "lr_optim":
                return "learning rate", self.rates
        return "", (0,)

    def conditions(self, algorithm: Algorithm) -> list[tuple[Setting, LatentProcess]]:
        """Give network and data for each value of the axis."""
        return [self._condition(algorithm, value) for value in self.axis[1]]

    def _condition(self, algorithm: Algorithm, value: int | float) -> tuple[Setting, LatentProcess]:
        n_latent, n_in, n, dt = self.n_latent, self.n_in, self.n, self.dt
        period, eta = self.switch_period, self.etas[algorithm]
        match self.mode:
            case "dimensionality":
                n_latent, n_in, n = int(value), 2 * int(value), int(value)
            case "switch_period":
                period = int(value)
            case "time_constant":
                dt = value
            case "lr_optim":
                eta = value
        process = LatentProcess(n_latent, n_in, dt)
        sigma_gen = process.a if self.sigma_gen is None else self.sigma_gen
        if self.mode == "Vocal_Digits":
            setting = Setting(
                SPEECH_SIZES,
                (self.sigma_in, self.sigma_inf, self.sigma_inf),
                (self.sigma_obs, self.sigma_obs, sigma_gen),
                eta,
                period,
                algorithm,
                self.third_factor,
            )
            return setting, process
        setting = one_layer(
            n_in,
            n,
            eta=eta,
            sigma_gen=sigma_gen,
            sigma_inf=self.sigma_inf,
            sigma_obs=self.sigma_obs,
            sigma_in=self.sigma_in,
            switch_period=period,
            algorithm=algorithm,
            third_factor=self.third_factor,
        )
        return setting, process

    def steps_of(self, algorithm: Algorithm) -> int:
        """Give the steps that an algorithm learns."""
        if self.mode == "dimensionality" and algorithm == "backprop":
            return self.steps_backprop
        return self.steps

    @property
    def unused(self) -> set[str]:
        """Name the parameters on which the mode's numbers do not depend, as options name them."""
        unused = {name for names in OWN.values() for name in names} - set(OWN.get(self.mode, ()))
        unused |= set(IGNORED.get(self.mode, ()))
        if "reinforce" not in self.algorithms:
            unused.add("third_factor")
        searched = self.mode == "lr_optim"
        etas = {name for name in ETAS if searched or name not in self.algorithms}
        return unused | {ETA_OPTIONS[name] for name in etas}

    def config(self) -> dict[str, Any]:
        """Give the parameters on which the mode's numbers depend, as JSON values."""
        unused = self.unused
        etas = {name: eta for name, eta in self.etas.items() if ETA_OPTIONS[name] not in unused}
        values = asdict(self) | {"etas": etas}
        return json_values({name: v for name, v in values.items() if name not in unused})


def _check_eta(name: str, eta: float) -> None:
    if not (eta >= 0 and math.isfinite(eta)):
        raise InvalidInputError(f"{name} {eta:g}: a number from 0 is allowed")


MOST = 10**12
LEAST: Mapping[str, int] = {
    "n_latent": 1,
    "n_in": 1,
    "n": 1,
    "steps": 1,
    "steps_backprop": 1,
    "epochs": 1,
    "switch_period": 0,
    "points": 2,
    "test_steps": 200,
    "episodes": 100,
}
"""The least value of each whole number; `MOST` is the most of them all."""
OWN: Mapping[str, tuple[str, ...]] = {
    "SNR": ("episodes",),
    "dimensionality": ("dimensions", "steps_backprop"),
    "switch_period": ("periods",),
    "time_constant": ("dts",),
    "lr_optim": ("rates",),
    "Vocal_Digits": ("epochs", "takes"),
}
"""Parameters that only one mode has."""
IGNORED: Mapping[str, tuple[str, ...]] = {
    "dimensionality": ("n_latent", "n_in", "n"),
    "switch_period": ("switch_period",),
    "time_constant": ("dt",),
    "lr_optim": ("etas",),
    "Vocal_Digits": ("n_latent", "n_in", "n", "dt", "steps", "test_steps"),
}
"""Parameters of all modes that one does without, or varies."""

ALGORITHMS: Mapping[str, tuple[Algorithm, ...]] = {
    "lr_optim": ("impression", "reinforce"),
    "Vocal_Digits": ("impression", "reinforce"),
}
"""Algorithms of a mode that does not have all."""
COMPARED: Mapping[str, tuple[Algorithm, ...]] = {
    "dimensionality": ("impression", "reinforce", "backprop"),
    "lr_optim": ("impression", "reinforce"),
}
"""What a mode compares if no algorithm is asked for."""

SMALL = {"n_latent": 2, "n_in": 4, "n": 2}
MEDIUM = {"n_latent": 4, "n_in": 10, "n": 4, "steps": 1_000_000}
ETAS: Mapping[str, float] = {"impression": 1e-3, "reinforce": 1e-2 / 10**7.5, "backprop": 1e-2}
ETA_OPTIONS: Mapping[str, str] = {
    "impression": "eta",
    "reinforce": "eta_reinforce",
    "backprop": "eta_backprop",
}
DEFAULTS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, float]]] = {
    "standard": ({}, {}),
    "SNR": (SMALL | {"steps": 600_000}, {"impression": 1e-4}),
    "dimensionality": ({"steps": 3_600_000}, {"impression": 3.2e-3}),
    "switch_period": (MEDIUM, {"impression": 5e-4}),
    "time_constant": (MEDIUM, {"impression": 5e-4}),
    "lr_optim": (SMALL | {"steps": 3_600_000}, {}),
    "Vocal_Digits": ({"sigma_gen": 0.13}, {"impression": 5e-4, "reinforce": 1e-3 * 1e-7}),
}
"""What each mode changes of the parameters and of the learning rates."""


def make_plan(
    mode: str = "standard",
    *,
    algorithm: str | None = None,
    etas: Mapping[str, float | None] | None = None,
    **given: Any,
) -> Plan:
    """Fill in a mode's parameters.

    Parameters
    ----------
    mode
        One of `MODES`; case and dashes do not matter.
    algorithm
        The only one that learns. Default: what the mode compares, else impression learning.
    etas
        Learning rates that differ from the mode's.
    given
        Other attributes of `Plan` that differ from the mode's; None stands for the mode's.

    Raises
    ------
    InvalidInputError
        If a value is out of range; the message names the option of the command.
    """
    mode = parse_mode(mode)
    values, rates = DEFAULTS[mode]
    algorithms = COMPARED.get(mode, ("impression",))
    if algorithm is not None:
        algorithms = (cast("Algorithm", algorithm),)
    chosen = {name: value for name, value in given.items() if value is not None}
    rates = {**ETAS, **rates}
    rates |= {name: rate for name, rate in (etas or {}).items() if rate is not None}
    return Plan(mode, algorithms, etas=rates, **{**values, **chosen})


def option(name: str) -> str:
    """Give the option of the command that sets an attribute."""
    return "--" + name.replace("_", "-")
