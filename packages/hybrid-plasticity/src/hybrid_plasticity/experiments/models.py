"""What the experiments on trained networks share: the models of a run, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from hybrid_plasticity.configuration import Interval
from sharpwave_shared import lazy
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between, Positional

if TYPE_CHECKING:
    from hybrid_plasticity import folders
    from sharpwave_shared import results
else:
    folders = lazy.module("hybrid_plasticity.folders")
    results = lazy.module("sharpwave_shared.results")


class OfModels(Experiment):
    """An experiment on the models of a run of training."""

    run_dir: Annotated[Path, Positional("RUN_DIR")]
    """Directory of a finished run of training."""
    streams: Annotated[int, Between(1, 1_000_000)] = 50
    """Test streams (at every interval)."""
    interval: Interval | None = None
    """The R of the models, in scenes. Default: the largest that each seed mastered."""

    folder: ClassVar = ""
    """Where results lie, in the directory of the run."""

    def load(self, options: Options) -> folders.Models:
        """Read the models."""
        if len(options.all_seeds) > 1:
            raise ParameterError("seeds", options.all_seeds, "one seed, that of the test streams")
        return folders.read_models(results.open_run(self.run_dir), self.interval)

    def place(self, options: Options, seeds: Sequence[int], default: str) -> Path:
        """Give a folder in the directory of the models."""
        return options.out or self.run_dir / self.folder

    def describe(self, data: xr.Dataset, job: Job) -> xr.Dataset:
        """Let results say of which network they are."""
        configuration = job.data.models[0].configuration
        return data.assign_attrs(
            network=configuration.short_name,
            initial_rate=configuration.initial_rate,
            scene_time=configuration.scene_time,
            test_streams=self.streams,
        )
