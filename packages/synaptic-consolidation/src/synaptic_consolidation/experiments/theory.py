"""What the theory predicts for many neurons."""

from __future__ import annotations

from typing import Annotated, ClassVar

from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between
from synaptic_consolidation.experiments.networks import Activity


class Theory(Experiment):
    """Compute the largest margins, their densities, and critical loads, for many neurons."""

    conditions: ClassVar = ("load",)
    uses_device: ClassVar = False
    quick: ClassVar = {"points": 50}

    f: Activity = 0.5
    """Activity of the patterns."""
    points: Annotated[int, Between(2, 2000)] = 200
    """Points of every curve."""

    @property
    def label(self) -> str:
        """The activity."""
        return f"f{self.f:g}"

    def compute(self, job: Job) -> xr.Dataset:
        """Compute the curves."""
        from synaptic_consolidation.optima import theory

        return theory(self.f, self.points)
