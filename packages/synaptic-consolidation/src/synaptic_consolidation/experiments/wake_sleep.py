"""Days of few-shot learning, and nights of replay (Figure 3)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between, Spelled
from synaptic_consolidation.experiments.networks import Activity, Tests
from synaptic_consolidation.limits import MOST_NEURONS, PAPER_N, check_patterns


class WakeSleep(Experiment):
    """Let a network learn sparse patterns by day, and consolidate them by night (Figure 3)."""

    conditions: ClassVar = ("seed", "day", "sleep")
    quick: ClassVar = {"n": 300, "patterns": 60, "cycles": 1000, "tests": 3}

    n: Annotated[int, Between(2, MOST_NEURONS)] = PAPER_N
    """Neurons N."""
    f: Activity = 0.05
    """Activity: every pattern has round(N f) active neurons."""
    patterns: Annotated[int, Between(2, 10**6)] = 500
    """Patterns M of each day."""
    passes: Annotated[int, Between(1, 10**4)] = 35
    """How often a day shows them."""
    cycles: Annotated[int, Between(1, 10**8)] = 100_000
    """Replay cycles of each night."""
    days: Annotated[int, Between(1, 100)] = 1
    """Days, each followed by a night."""
    keep_old: Annotated[bool, Spelled("--keep-old/--forget-old")] = True
    """Later nights replay memories of earlier days that still are attractors, or not."""
    tests: Tests = 20
    """Tests of recall at every level of noise."""

    def check(self) -> None:
        """Refuse sizes for which there are no patterns."""
        check_patterns(self.n, self.patterns, self.f, exact=True)

    @property
    def label(self) -> str:
        """Neurons and patterns."""
        return f"n{self.n}-m{self.patterns}"

    def compute(self, job: Job) -> xr.Dataset:
        """Let networks live through days and nights."""
        from synaptic_consolidation.wake_sleep import live

        return live(self, job.seeds, job.device, job.journal)
