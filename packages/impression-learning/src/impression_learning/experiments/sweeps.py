"""The modes that vary one parameter: Figures 2 d and 3, and two searches."""

from typing import Annotated, Any, ClassVar, Literal

from impression_learning.experiments.common import (
    MODE,
    RATES,
    Data,
    Latent,
    MediumSizes,
    Period,
    Phases,
    Rate,
    Rules,
    SmallSizes,
    Steps,
    TestSteps,
    TimeStep,
)
from impression_learning.kinds import Algorithm
from sharpwave_shared.experiment import Job
from sharpwave_shared.parameters import Between, Distinct

GEOMETRIC = tuple(round(10 ** (-2 * k / 9), 4) for k in range(10))
"""Time steps from 1 to 0.01, each the same fraction of the one before."""


class Dimensionality(Data, Phases, Rules, Latent):
    """Compare impression learning, REINFORCE and backpropagation by dimension (Figure 2 d)."""

    panel: ClassVar = MODE
    tested_awake: ClassVar = True
    compared: ClassVar = ("impression", "reinforce", "backprop", "backprop-alternating")
    axis: ClassVar = "dimension"
    listed: ClassVar = "dimensions"
    conditions: ClassVar = ("algorithm", "dimension", "seed")
    quick: ClassVar = {**Latent.quick, "dimensions": (1, 2, 3), "steps_backprop": 50_000}

    eta: Rate = 3.2e-3
    steps: Steps = 3_600_000
    dimensions: Annotated[tuple[Annotated[int, Between(0, 10)], ...], Distinct()] = (1, 2, 3, 4, 5)
    """dimensionality: k, for n_latent = n = 2^k and n_in = 2^(k + 1)."""
    steps_backprop: Steps = 300_000
    """dimensionality: steps of backpropagation."""

    @property
    def axis_values(self) -> tuple[int, ...]:
        """The dimensions."""
        return tuple(2**k for k in self.dimensions)

    def varied(self, algorithm: Algorithm, value: int) -> dict[str, Any]:
        """Give the sizes."""
        return {"n_latent": value, "n_in": 2 * value, "n": value}

    def lengths(self, job: Job, algorithm: Algorithm) -> tuple[int, int]:
        """Give the steps of learning, and of the test passage."""
        steps = self.steps_backprop if RATES[algorithm] == "eta_backprop" else self.steps
        return steps, self.test_steps


class SwitchPeriod(MediumSizes, Data, Rules, Latent):
    """Ask how slow the alternation may be (Figure 3)."""

    name: ClassVar = "switch_period"
    panel: ClassVar = MODE
    axis: ClassVar = "switch_period"
    listed: ClassVar = "periods"
    tested_awake: ClassVar = True
    conditions: ClassVar = ("algorithm", "switch_period", "seed")
    analysed: ClassVar = True
    quick: ClassVar = {**Latent.quick, "periods": (1, 7, 31)}

    eta: Rate = 5e-4
    steps: Steps = 1_000_000
    periods: Annotated[tuple[Period, ...], Distinct()] = tuple(range(1, 32, 3))
    """switch_period: the periods."""


class TimeConstant(MediumSizes, Phases, Rules, Latent):
    """Ask which time constants of the data can be learnt."""

    name: ClassVar = "time_constant"
    panel: ClassVar = MODE
    axis: ClassVar = "dt"
    listed: ClassVar = "dts"
    tested_awake: ClassVar = True
    conditions: ClassVar = ("algorithm", "dt", "seed")
    analysed: ClassVar = True
    quick: ClassVar = {**Latent.quick, "dts": (1.0, 0.1, 0.01)}
    presets: ClassVar = {"geometric": {"dts": GEOMETRIC}}

    eta: Rate = 5e-4
    test_steps: TestSteps = 5_000
    dts: Annotated[tuple[TimeStep, ...], Distinct()] = tuple(
        round(1 - 0.11 * k, 2) for k in range(10)
    )
    """time_constant: the time steps of the data."""


class LrOptim(SmallSizes, Data, Phases, Latent):
    """Search for the learning rates of impression learning and REINFORCE."""

    name: ClassVar = "lr_optim"
    panel: ClassVar = MODE
    compared: ClassVar = ("impression", "reinforce")
    axis: ClassVar = "eta"
    listed: ClassVar = "rates"
    conditions: ClassVar = ("algorithm", "eta", "seed")
    may_diverge: ClassVar = True
    quick: ClassVar = {**Latent.quick, "rates": (1e-3, 1e-5, 1e-7)}

    steps: Steps = 3_600_000
    algorithm: Literal["impression", "reinforce"] | None = None
    """Only this one. Default: both."""
    rates: Annotated[tuple[Rate, ...], Distinct()] = tuple(
        1e-2 / 10 ** ((j + 1) / 2) for j in range(20)
    )
    """lr_optim: the learning rates."""

    def varied(self, algorithm: Algorithm, value: float) -> dict[str, Any]:
        """Give the learning rate."""
        return {RATES[algorithm]: value}
