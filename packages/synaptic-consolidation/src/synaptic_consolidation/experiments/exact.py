"""Optimal weights of single neurons, beside the theory."""

from __future__ import annotations

from typing import Annotated, ClassVar

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between, Distinct
from synaptic_consolidation.experiments.networks import Activity, Loads, loads_above_critical
from synaptic_consolidation.limits import LOADS, MOST_NEURONS, check_load

MOST_PATTERNS = 20_000


class Exact(Experiment):
    """Compute the optimal weights themselves for random patterns, and compare them with theory.

    One factor per synapse (z = 1) is a quadratic program, two (z = 2) are a linear one.
    """

    conditions: ClassVar = ("seed", "factors", "n", "load")
    uses_device: ClassVar = False
    quick: ClassVar = {"n": (100, 200), "loads": (0.08, 0.33, 0.7), "rows": 10}

    n: Annotated[tuple[Annotated[int, Between(2, MOST_NEURONS)], ...], Distinct()] = (100, 200, 400)
    """Numbers of neurons N."""
    f: Activity = 0.5
    """Activity of the patterns."""
    loads: Loads = LOADS
    """Loads, patterns per neuron."""
    rows: Annotated[int, Between(1, MOST_NEURONS)] = 50
    """Neurons of each network whose weights are computed."""
    exact_activity: bool = False
    """Exactly N f neurons are active in a pattern, not on average; the theory is for the latter."""

    def check(self) -> None:
        """Refuse more rows than neurons, and loads with too few or too many patterns."""
        if self.rows > min(self.n):
            raise ParameterError("rows", self.rows, f"1 to {min(self.n)}, the number of neurons")
        for load in self.loads:
            if load * max(self.n) > MOST_PATTERNS:
                raise ParameterError("loads", load, f"at most {MOST_PATTERNS:,} patterns in all")
            for n in self.n:
                check_load(n, load, self.f, exact=self.exact_activity)

    @property
    def label(self) -> str:
        """The activity."""
        return f"f{self.f:g}"

    def warnings(self) -> list[str]:
        """Tell which loads are above the critical one."""
        if self.exact_activity:  # the critical load is that of independent neurons
            return []
        return list(loads_above_critical(self.loads, self.f).values())

    def compute(self, job: Job) -> xr.Dataset:
        """Solve the programs of all rows."""
        from synaptic_consolidation.optima import solve

        return solve(self, job.seeds, job.journal)
