"""Points that walk at random: one by one, in a herd, and such as stumble."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from sharpwave_shared import lazy
from sharpwave_shared.errors import DivergenceError, ParameterError
from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.journal import together
from sharpwave_shared.parameters import Above, Between, Distinct, Length, Spelled

if TYPE_CHECKING:
    import xarray as xr

    from sharpwave_shared.results import Run
    from toy_model.model import Walkers
else:
    xr = lazy.module("xarray")


class Walk(Experiment):
    """Let a point walk at random (Figure 1)."""

    steps: Annotated[int, Between(1, 1_000_000), Length()] = 8
    """Steps."""
    VAR: Annotated[float, Above(0, 1e6)] = 1.0
    """Variance of a step (m^2)."""
    scales: Annotated[tuple[Annotated[float, Above(0)], ...], Distinct()] = (1.0, 2.0)
    """Scales on which the distance is measured."""
    kind: Literal["plain", "biased"] = "plain"
    """How it walks."""
    drift: Annotated[float, Between(-1, 1)] | None = None
    """Mean of a step (m); for biased ones."""
    keep_trace: Annotated[bool, Spelled("--keep-trace/--forget-trace")] = True
    """Whether the way is kept."""
    loud: Annotated[bool, Spelled("--loud/--silent")] = False
    """A flag."""
    pause: Annotated[float, Between(0, 60), Length()] = 0.0
    """Seconds to rest after each step."""
    notes: Path | None = None
    """A file."""
    quick: ClassVar = {"steps": 3, "loud": True}
    presets: ClassVar = {"far": {"VAR": 100.0, "keep_trace": False}}
    conditions: ClassVar = ("seed", "scale")

    def check(self) -> None:
        if self.kind == "biased" and self.drift is None:
            raise ParameterError("drift", "nothing", "a number from -1 to 1 for biased walks")

    def warnings(self) -> list[str]:
        return ["this is loud"] if self.loud else []

    @property
    def label(self) -> str:
        return f"VAR={self.VAR:g}"

    def wants_more(self, run: Run) -> bool:
        return self.steps > run.experiment.steps

    def walkers(self, job: Job) -> Walkers:
        from toy_model.model import Walkers

        return Walkers(job.seeds, self.VAR**0.5, self.drift or 0.0)

    def compute(self, job: Job) -> xr.Dataset:
        walkers = self.walkers(job)
        for step in job.journal.steps("walking", self.steps, walkers):
            walkers.step(step)
            time.sleep(self.pause)
        job.save_tensors("places", walkers.tensors())
        return walkers.results(self.scales, trace=self.keep_trace)


class Herd(Walk):
    """Let points walk side by side."""

    quick: ClassVar = {"steps": 3}
    presets: ClassVar = {}

    @property
    def batch_key(self) -> Hashable:
        return self.steps

    @classmethod
    def compute_together(
        cls, experiments: Sequence[Experiment], jobs: Sequence[Job]
    ) -> list[xr.Dataset]:
        herds = [e.walkers(job) for e, job in zip(experiments, jobs, strict=True)]
        journals = [job.journal for job in jobs]
        for step in together(journals, "walking", experiments[0].steps, herds):
            for herd in herds:
                herd.step(step)
        return [
            herd.results(e.scales, trace=e.keep_trace)
            for e, herd in zip(experiments, herds, strict=True)
        ]


class Brittle(Walk):
    """Let points walk of which some stumble."""

    stumbles_at: tuple[Annotated[int, Between(0, 1000)], ...] = ()
    """Seeds that fail."""
    how: Literal["divergence", "bug", "interrupt", "warning"] = "divergence"
    """What happens to them."""
    seeds_apart: ClassVar = True
    uses_device: ClassVar = False

    def compute(self, job: Job) -> xr.Dataset:
        if set(job.seeds) & set(self.stumbles_at):
            self.stumble()
        return super().compute(job)

    def stumble(self) -> None:
        match self.how:
            case "divergence":
                raise DivergenceError("stumbled at step 3")
            case "bug":
                raise ZeroDivisionError("division\n\tby zero")
            case "interrupt":
                raise KeyboardInterrupt
        import warnings

        from sharpwave_shared.errors import DataWarning

        warnings.warn("the ground is odd", DataWarning, stacklevel=1)
