"""An experiment that consists of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.journal import Journal
from sharpwave_shared.parameters import Between

if TYPE_CHECKING:
    import xarray as xr

    from toy_model.model import Walkers
else:
    xr = lazy.module("xarray")


class Parts(Experiment):
    """Let each point warm up, and then walk until it is far."""

    steps: Annotated[int, Between(1, 1000)] = 6
    """Steps, at most."""
    border: Annotated[float, Between(0, 100)] = 3.0
    """Where the walk ends (m)."""
    conditions: ClassVar = ("seed",)

    def compute(self, job: Job) -> xr.Dataset:
        from sharpwave_shared.results import unite_seeds

        walks = [
            job.journal.once(f"seed {seed}", lambda part, seed=seed: self.walk(seed, part))
            for seed in job.seeds
        ]
        return unite_seeds(walks)

    def walk(self, seed: int, journal: Journal) -> xr.Dataset:
        from toy_model.model import Walkers

        walkers = Walkers((seed,), 1.0)
        warm = journal.part("warming up")
        for step in warm.steps("walking", self.steps, walkers):
            walkers.step(step)
        return journal.once("going far", lambda part: self.go_far(walkers, part))

    def go_far(self, walkers: Walkers, journal: Journal) -> xr.Dataset:
        for step in journal.steps("walking", self.steps, walkers):
            walkers.step(self.steps + step)
            if abs(walkers.places).max() > self.border:
                break
        results = walkers.results((1.0,), trace=False).isel(scale=0, drop=True)
        return results.assign(length=("seed", [len(walkers.trace)]))
