"""Training of networks, each in its folder."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnn_reactivation.sections import (
    BearingRnn,
    BearingTrainer,
    HeadDirectionTask,
    NavigationTask,
    Rnn,
    Task,
    Trainer,
)
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Parameters

if TYPE_CHECKING:
    from rnn_reactivation.train import Learner
    from sharpwave_shared.journal import Journal
    from sharpwave_shared.results import Run

FORBIDDEN = '/\\:*?"<>|'
"""Characters that a folder's name cannot have everywhere."""
LONGEST_NAME = 200


def root_of(options: Options) -> Path:
    """Say where all results lie; those of `--quick` have a folder of their own."""
    root = options.out or Path("results/rnn-reactivation")
    return root / "quick" if options.quick else root


def check_folder_name(parameter: str, name: str) -> None:
    """Refuse what cannot be the name of a folder."""
    fits = name.isprintable() and not any(c in FORBIDDEN for c in name) and name == name.strip()
    if not name or name[0] == "." or not fits or len(name.encode()) > LONGEST_NAME:
        raise ParameterError(parameter, repr(name), "a name that a folder can have")


class Train(Experiment):
    """Everything that defines a network and its training, but the seed."""

    seeds_apart: ClassVar = True
    conditions: ClassVar = ("seed",)

    config: str = "noisy_unbiased"
    """What results are filed under: the configuration's name."""
    task: Task
    """What the network learns."""
    rnn: Rnn = Rnn()
    """The network."""
    trainer: Trainer = Trainer()
    """How it learns."""

    def check(self) -> None:
        """Check that results can be filed under the name."""
        check_folder_name("config", self.config)

    @property
    def label(self) -> str:
        """The configuration's name."""
        return self.config

    def wants_more(self, run: Run) -> bool:
        """Tell whether a network has had fewer epochs than wanted."""
        assert isinstance(run.experiment, Train)  # noqa: S101 - it lies in a network's folder
        return run.experiment.trainer.n_epochs < self.trainer.n_epochs

    def folder(self, seed: int) -> Path:
        """Name the folder of a network, below that of all results."""
        return Path(self.task.name) / f"{self.config}_{seed}"

    def place(self, options: Options, seeds: Sequence[int], default: str) -> Path:
        """Give each network its folder."""
        return root_of(options) / self.folder(seeds[0])

    def scaled_down(self) -> Any:
        """Give what `--quick` makes of it: the values in `quick` that are not given."""
        sections = {}
        for name, quick in self.quick.items():
            own: Parameters = getattr(self, name)
            given = own.model_fields_set
            sections[name] = own.replaced(**{k: v for k, v in quick.items() if k not in given})
        return self.replaced(**sections)

    @property
    def common(self) -> str:
        """What networks that learn as one batch share: all but name, bias and recurrent noise."""
        alike = {"config": "common", "task.biased": False, "rnn.sigma2_rec": 0.0}
        return json.dumps(self.replaced(**alike).values())

    @property
    def batch_key(self) -> Hashable | None:
        """Accelerators take networks as a batch."""
        import torch

        return self.common if torch.accelerator.is_available() else None

    def compute(self, job: Job) -> xr.Dataset:
        """Train a network for each seed."""
        return self.compute_together([self], [job])[0]

    @classmethod
    def compute_together(cls, experiments: Sequence[Any], jobs: Sequence[Job]) -> list[xr.Dataset]:
        """Train networks, each into its folder.

        What lies there is gone on with. An accelerator takes networks that are equally far as one
        batch; on the CPU one is trained after another, as alone.
        """
        from rnn_reactivation.networks import write_configuration, write_learner
        from rnn_reactivation.train import TRAINING, Learner, train

        rows = [
            [Learner(configuration, seed) for seed in job.seeds]
            for configuration, job in zip(experiments, jobs, strict=True)
        ]
        job_of = {x: job for row, job in zip(rows, jobs, strict=True) for x in row}
        folders = {learner: _folder(job, learner.seed) for learner, job in job_of.items()}
        journals = {learner: _journal(job, learner.seed) for learner, job in job_of.items()}
        for learner, folder in folders.items():
            if folder is not None:
                write_configuration(folder, learner.configuration)

        def save(learner: Learner) -> None:
            folder = folders[learner]
            if folder is not None:
                write_learner(folder, learner)

        on_cpu = jobs[0].device.type == "cpu"
        groups: dict[int, list[Learner]] = {}
        for n, (learner, journal) in enumerate(journals.items()):
            groups.setdefault(n if on_cpu else journal.position(TRAINING), []).append(learner)
        for group in groups.values():
            train(
                group,
                group[0].configuration.trainer.n_epochs,
                device=jobs[0].device,
                journals=[journals[learner] for learner in group],
                save=save,
            )
        return [_results(row) for row in rows]


def _folder(job: Job, seed: int) -> Path | None:
    if job.directory is None or len(job.seeds) == 1:
        return job.directory
    return job.directory / f"seed_{seed}"


def _journal(job: Job, seed: int) -> Journal:
    return job.journal if len(job.seeds) == 1 else job.journal.part(f"seed {seed}")


def _results(learners: Sequence[Learner]) -> xr.Dataset:
    """Give the curves of networks with equally many epochs, and where they end."""
    first = learners[0]
    position = isinstance(first.configuration.task, NavigationTask)
    loss = {"long_name": "mean squared error of the activations"}
    error = {
        "long_name": f"squared decoding error of the {'position' if position else 'bearing'}",
        "units": "m^2" if position else "rad^2",
    }
    losses = [learner.losses for learner in learners]
    tests = [[test for _, test in learner.tests] for learner in learners]
    test_losses = [[test.loss for test in row] for row in tests]
    errors = [[test.error for test in row] for row in tests]
    return xr.Dataset(
        {
            "training_loss": (("seed", "epoch"), losses, loss),
            "test_loss": (("seed", "tested"), test_losses, loss),
            "test_error": (("seed", "tested"), errors, error),
            "loss": ("seed", [row[-1] for row in test_losses], loss),
            "error": ("seed", [row[-1] for row in errors], error),
        },
        {
            "seed": [learner.seed for learner in learners],
            "epoch": range(1, first.epoch + 1),
            "tested": ("tested", [epoch for epoch, _ in first.tests], {"long_name": "epoch"}),
        },
        {"weights": sum(values.numel() for values in first.parameters.values())},
    )


class TrainNavigation(Train):
    """Train a network to track its position in a box."""

    quick: ClassVar = {
        "task": {"place_cells_num": 64},
        "rnn": {"hidden_size": 64},
        "trainer": {"n_epochs": 300, "batch_size": 50},
    }

    task: NavigationTask = NavigationTask()  # pyright: ignore[reportIncompatibleVariableOverride]


class TrainHeadDirection(Train):
    """Train a network to track its bearing."""

    quick: ClassVar = {
        "task": {"head_direction_cells_num": 64},
        "rnn": {"hidden_size": 64},
        "trainer": {"n_epochs": 300, "batch_size": 50},
    }

    task: HeadDirectionTask = HeadDirectionTask()  # pyright: ignore[reportIncompatibleVariableOverride]
    rnn: BearingRnn = BearingRnn()  # pyright: ignore[reportIncompatibleVariableOverride]
    trainer: BearingTrainer = BearingTrainer()  # pyright: ignore[reportIncompatibleVariableOverride]


TASKS: dict[str, type[TrainNavigation] | type[TrainHeadDirection]] = {
    "spatial_navigation": TrainNavigation,
    "head_direction": TrainHeadDirection,
}
