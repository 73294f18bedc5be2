"""Training of a network through its curriculum, into the folders of the original release."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from hybrid_plasticity.configuration import Configuration, Learning, Limits
from sharpwave_shared import lazy
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Parameters

if TYPE_CHECKING:
    from hybrid_plasticity import curriculum, folders
    from hybrid_plasticity.figures import pictures
    from sharpwave_shared import results
else:
    curriculum = lazy.module("hybrid_plasticity.curriculum")
    folders = lazy.module("hybrid_plasticity.folders")
    pictures = lazy.module("hybrid_plasticity.figures.pictures")
    results = lazy.module("sharpwave_shared.results")

Part = TypeVar("Part", bound=Parameters)
STATE = "training"
"""Name of what is kept of the networks."""


class Train(Limits, Learning, Configuration, Experiment):
    """Train a network to recognise scenes seen R scenes ago, for ever larger R.

    Results lie in NETWORK_TYPE/CONFIGURATION/ under --out.
    """

    quick: ClassVar = {"hidden_dims": (50, 50), "max_r": 1, "max_iterations": 1500}
    conditions: ClassVar = ("seed", "interval")

    @property
    def label(self) -> str:
        """The configuration, as the original names it."""
        return self.folder

    @property
    def batch_key(self) -> Hashable:
        """What networks that learn side by side have in common."""
        return self.wiring, self.part(Learning), self.part(Limits)

    def part(self, kind: type[Part]) -> Part:
        """Give the parameters of one of the groups."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    def place(self, options: Options, seeds: Sequence[int], default: str) -> Path:
        """Give the folder that the original release would make under `--out`."""
        root = options.out or Path("results") / self.package()
        return root / self.network_type / self.folder

    def wants_more(self, run: results.Run) -> bool:
        """Tell whether a run ended before these limits."""
        data = run.data
        left = data["mastered_intervals"] < self.max_r
        at_interval = data["iterations"] - data["mastered"].sum("interval")
        left &= (at_interval < self.max_iterations) & (data["iterations"] < self.most_iterations)
        return bool(left.any())

    def compute(self, job: Job) -> xr.Dataset:
        """Train networks of all seeds."""
        return self.compute_together([self], [job])[0]

    @classmethod
    def compute_together(  # type: ignore[override]
        cls, experiments: Sequence[Train], jobs: Sequence[Job]
    ) -> list[xr.Dataset]:
        """Train the networks of several configurations side by side."""
        runs = [_Run(e, job) for e, job in zip(experiments, jobs, strict=True)]
        run_of = {network: run for run in runs for network in run.networks}
        first, job = experiments[0], jobs[0]

        def save() -> None:
            for run in runs:
                run.save()

        def mastered(network: curriculum.Network) -> None:
            run_of[network].write_model(network)
            job.journal.reporter.say(
                f"{network}: R = {len(network.mastered)} mastered after "
                f"{network.mastered[-1]:,} iterations"
            )

        curriculum.train(
            list(run_of),
            first.part(Learning),
            first.part(Limits),
            device=job.device,
            journal=job.journal,
            mastered=mastered,
            save=save,
        )
        for run in runs:
            run.draw()
        return [run.dataset() for run in runs]


class _Run:
    """Networks of one configuration: what is kept of them, and their folders if there are any."""

    def __init__(self, experiment: Train, job: Job):
        self.experiment, self.job = experiment, job
        configuration = experiment.part(Configuration)
        self.networks = [curriculum.Network.new(configuration, seed) for seed in job.seeds]
        kept = job.journal.load(STATE)
        if kept is not None:
            for network in self.networks:
                network.load_state_dict(kept[str(network.seed)])
        self.logs = []
        if job.directory is not None:
            if kept is None:
                folders.clear_results(job.directory)
            folders.write_metadata(job.directory, experiment.values() | {"seeds": job.seeds})
            self.logs = [folders.TrainingLogs(self.folder(network)) for network in self.networks]

    def folder(self, network: curriculum.Network) -> Path:
        """Give the folder of a network's results."""
        assert self.job.directory is not None  # noqa: S101 - asked for only then
        return folders.network_directory(self.job.directory, network.seed, self.job.seeds)

    def write_model(self, network: curriculum.Network) -> None:
        """Write the model of the interval that a network has just mastered."""
        if self.job.directory is not None:
            folders.write_model(self.folder(network), folders.models_of(network)[-1])

    def save(self) -> None:
        """Keep the networks, and write what is new in their logs."""
        for log, network in zip(self.logs, self.networks, strict=False):
            log.write(network)
        self.job.journal.save(STATE, {str(n.seed): n.state_dict() for n in self.networks})

    def draw(self) -> None:
        """Draw pictures of the first network at all intervals that it mastered."""
        if self.job.directory is not None:
            first = self.networks[0]
            for model in folders.models_of(first):
                pictures.save_pictures(model, self.folder(first), self.job.options.format)

    def dataset(self) -> xr.Dataset:
        """Put what the networks learned into one dataset."""
        data = curriculum.learned(self.networks, self.experiment.part(Limits))
        return data.assign_attrs(network=self.experiment.short_name)
