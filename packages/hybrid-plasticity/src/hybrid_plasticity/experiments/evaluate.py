"""Tests of trained networks at intervals that they were not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from hybrid_plasticity.configuration import Interval
from hybrid_plasticity.experiments.models import OfModels
from sharpwave_shared import lazy
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Distinct

if TYPE_CHECKING:
    from hybrid_plasticity import analysis
else:
    analysis = lazy.module("hybrid_plasticity.analysis")


class Evaluate(OfModels):
    """Test trained networks at intervals that they were not trained on."""

    intervals: Annotated[tuple[Interval, ...] | None, Distinct()] = None
    """Test intervals, in scenes. Default: 1 to 3 R, and four beyond."""

    quick: ClassVar = {"streams": 10}
    conditions: ClassVar = ("seed", "interval")
    folder: ClassVar = "evaluation"

    def compute(self, job: Job) -> xr.Dataset:
        """Count answers over many streams."""
        models = job.data.models
        largest = max(model.interval for model in models)
        data = analysis.generalise(
            models,
            sorted(self.intervals or analysis.intervals_to_test(largest)),
            self.streams,
            job.seeds[0],
            device=job.device,
            reporter=job.journal.reporter,
        )
        return self.describe(data, job)
