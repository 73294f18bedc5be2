"""Networks that memorise random patterns (Figure 2): small ones, and those of the paper."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Above, Between, Distinct
from synaptic_consolidation.limits import (
    LOADS,
    LOWEST_ACTIVITY,
    MOST_FACTORS,
    MOST_NEURONS,
    PAPER_N,
    check_load,
)

Activity = Annotated[float, Between(LOWEST_ACTIVITY, 1 - LOWEST_ACTIVITY)]
HIGHEST_LOAD = 100
Loads = Annotated[tuple[Annotated[float, Above(0, HIGHEST_LOAD)], ...], Distinct()]
Factors = Annotated[tuple[Annotated[int, Between(1, MOST_FACTORS)], ...], Distinct()]
Steps = Annotated[int, Between(1, 10**9)]
Tests = Annotated[int, Between(1, 10_000)]


def loads_above_critical(loads: tuple[float, ...], f: float) -> dict[float, str]:
    """Give for each load above the critical one what a user should be told."""
    from synaptic_consolidation.theory import critical_load

    critical = critical_load(f)
    return {
        load: f"loads: {load:g} is above the critical load {critical:.4g} at f = {f:g}; for many "
        "neurons no weights answer all patterns"
        for load in loads
        if load > critical
    }


class RandomPatterns(Experiment):
    """Networks at several loads, with patterns of one kind."""

    panel: ClassVar = "Patterns"

    n: Annotated[int, Between(2, MOST_NEURONS)] = 200
    """Neurons N."""
    f: Activity = 0.5
    """Activity of the patterns."""
    exact_activity: bool = False
    """Exactly N f neurons are active in a pattern, not on average."""
    loads: Loads = (0.08, 0.33, 0.7)
    """Loads M / N."""
    task: Literal["attractors", "sequence"] = "attractors"
    """Patterns recall themselves, or each the next one."""


class Networks(RandomPatterns):
    """Let small networks memorise patterns with one to four factors per synapse (Figure 2).

    The run directory gets margins, densities and tolerances to noise, figures, and the verdict on
    the claims of the paper.
    """

    panel: ClassVar = "Learning and measuring"
    conditions: ClassVar = ("seed", "load", "factors")
    quick: ClassVar = {"n": 100, "loads": (0.08, 0.33), "max_steps": 20_000, "tests": 5}

    factors: Factors = (1, 2, 3, 4)
    """Numbers of factors z."""
    rows: Annotated[int, Between(1, MOST_NEURONS)] | None = None
    """Only the first neurons learn; recall needs all. Default: all."""
    max_steps: Steps | None = 100_000
    """Limit of steps; none: the paper's, 12500 to 15000 per pattern."""
    beta: Annotated[float, Above(0, 1e6)] = 100.0
    """How much replay favours patterns near the threshold."""
    u0: Annotated[float, Above(0, 1e3)] = 0.1
    """Initial factors are between 0.7 and 1.3 times it."""
    tests: Tests = 20
    """Tests of recall at every level of noise."""
    optima: Annotated[int, Between(0, MOST_NEURONS)] = 10
    """Neurons of each network that are compared with the exact optimum."""

    def check(self) -> None:
        """Refuse more rows than neurons, and loads without patterns."""
        if self.rows is not None and self.rows > self.n:
            raise ParameterError("rows", self.rows, f"1 to {self.n}, the number of neurons")
        for load in self.loads:
            check_load(self.n, load, self.f, exact=self.exact_activity)

    @property
    def label(self) -> str:
        """Size and activity."""
        return f"n{self.n}-f{self.f:g}"

    def patterns_at(self, load: float) -> int:
        """Give the number of patterns M at a load."""
        return round(load * self.n)

    @property
    def whole(self) -> bool:
        """Whether all neurons of a network learn."""
        return self.rows is None or self.rows == self.n

    def warnings(self) -> list[str]:
        """Tell which loads are above the critical one."""
        from synaptic_consolidation.networks import limit_of_steps

        return [
            f"{text}, learning ends after {limit_of_steps(self, load, self.factors[0]):,} steps"
            for load, text in loads_above_critical(self.loads, self.f).items()
        ]

    def compute(self, job: Job) -> xr.Dataset:
        """Let networks learn, and measure them."""
        from synaptic_consolidation.networks import memorise

        return memorise(self, job.seeds, job.device, job.journal)


class F50(Networks):
    """Do the same with the paper's networks: 1,000 neurons, eight loads, more steps (hours)."""

    panel: ClassVar = "Sizes of the paper"

    n: Annotated[int, Between(2, MOST_NEURONS)] = PAPER_N
    loads: Loads = LOADS
    max_steps: Steps | None = None
    """Limit of steps. Default: the paper's, 12500 to 15000 per pattern."""
