"""A look into trained networks: weights, learning rates, decay, response to repetition."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hybrid_plasticity.experiments.models import OfModels
from sharpwave_shared import lazy
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import xr

if TYPE_CHECKING:
    from hybrid_plasticity import analysis
else:
    analysis = lazy.module("hybrid_plasticity.analysis")


class Analyze(OfModels):
    """Look into trained networks: weights, learning rates, decay, response to repetition."""

    quick: ClassVar = {"streams": 10}
    conditions: ClassVar = ("seed", "layer", "scene")
    folder: ClassVar = "analysis"
    uses_device: ClassVar = False

    def compute(self, job: Job) -> xr.Dataset:
        """Measure parameters, and activity over test streams."""
        models = job.data.models
        each = [analysis.interpret(model, self.streams, job.seeds[0]) for model in models]
        data = xr.concat(each, "seed").assign_coords(seed=[model.seed for model in models])
        return self.describe(data.assign(trained_to=analysis.trained_to(models)), job)
