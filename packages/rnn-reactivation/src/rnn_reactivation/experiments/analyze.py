"""The analysis of trained networks: how what they do asleep compares with what they did awake."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from rnn_reactivation.experiments.train import TASKS, Train, check_folder_name, root_of
from sharpwave_shared.errors import InvalidInputError, ParameterError
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between, Distinct

if TYPE_CHECKING:
    from rnn_reactivation.networks import Model, Networks
    from sharpwave_shared.results import Run

Kind = Literal["kl", "variance", "distance", "dimensionality"]
KINDS: tuple[Kind, ...] = ("kl", "variance", "distance", "dimensionality")
NAVIGATION, HEAD_DIRECTION = "spatial_navigation", "head_direction"
VANILLA = ("noisy_unbiased", "noisy_biased", "no-noise_unbiased", "no-noise_biased")
ACTIVE, QUIESCENT, NOISE_ADDED = "active", "quiescent", "noise_added"
CONDITIONS = (ACTIVE, QUIESCENT, NOISE_ADDED)
Trajectories = Annotated[int, Between(1, 1_000_000)]


class Analyze(Experiment):
    """Compare trained networks awake and asleep."""

    conditions: ClassVar = ("seed", "configuration", "condition", "asleep")
    quick: ClassVar = {
        "trajectories": 50,
        "steps": 200,
        "samples": 500,
        "variance_trajectories": 50,
        "variance_steps": 400,
        "variance_dropped": 200,
        "dimension_trajectories": 50,
    }

    kinds: Annotated[tuple[Kind, ...], Distinct()] = KINDS
    """What is measured."""
    task: Literal["spatial_navigation", "head_direction"] = NAVIGATION
    """What the networks have learned."""
    configurations: Annotated[tuple[str, ...], Distinct()] = VANILLA
    """Names of trained configurations."""
    noise: Literal["scaled", "same", "absolute"] = "scaled"
    """Variance of the noise asleep: twice that of training (GRUs: that of training), the same, or
    twice the task's usual."""
    epoch: Annotated[int, Between(1, 10**9)] | None = None
    """The epoch after which networks are looked at. Default: the last."""
    trajectories: Trajectories = 200
    """Of the simulations that are decoded."""
    steps: Annotated[int, Between(2, 1_000_000)] = 1000
    """Of these, asleep."""
    awake_trials: Annotated[int, Between(1, 10_000)] = 1
    """Trials of each trajectory awake, as long as those of training; with 10, there are as many
    points awake as asleep."""
    samples: Trajectories = 2500
    """Of the Monte Carlo estimates of divergences."""
    variance_trajectories: Trajectories = 500
    """Of the simulations for the variance."""
    variance_steps: Annotated[int, Between(1, 1_000_000)] = 2000
    """Of these."""
    variance_dropped: Annotated[int, Between(0, 1_000_000)] = 1000
    """Steps at their start that do not count."""
    dimension_trajectories: Trajectories = 1000
    """Of the simulations asleep for the dimensionality."""
    dimension_steps: Annotated[int, Between(2, 1_000_000)] = 200
    """Of these."""
    components: Annotated[int, Between(1, 100_000)] = 10
    """Principal components."""
    networks: Path | None = None
    """Folder of the trained networks. Default: that of all results."""

    def check(self) -> None:
        """Check names, and that some steps are left for the variance."""
        if self.variance_dropped + 2 > self.variance_steps:
            raise ParameterError(
                "variance_dropped",
                self.variance_dropped,
                f"at least 2 below variance_steps ({self.variance_steps})",
            )
        for name in self.configurations:
            check_folder_name("configurations", name)

    @property
    def label(self) -> str:
        """The kinds and the task."""
        return f"{self.kinds[0] if len(self.kinds) == 1 else 'all'}-{self.task}"

    @property
    def usual_variance(self) -> float:
        """Variance of the recurrent noise that the task is usually trained with."""
        return TASKS[self.task]().rnn.sigma2_rec

    def variances(self, configuration: Train) -> dict[str, float]:
        """Give the variance of the noise in each quiescent condition of a network.

        One that was trained without noise is also left alone with twice the task's usual. The
        paper doubles the variance of vanilla networks only.
        """
        trained, absolute = configuration.rnn.sigma2_rec, 2 * self.usual_variance
        scaled = trained if configuration.rnn.type == "gru" else 2 * trained
        asleep = {"scaled": scaled, "same": trained, "absolute": absolute}[self.noise]
        found = {QUIESCENT: asleep}
        if trained == 0 and asleep == 0:
            found[NOISE_ADDED] = absolute
        return found

    def place(self, options: Options, seeds: Sequence[int], default: str) -> Path:
        """Lie beside the folders of the networks."""
        return root_of(options) / default

    def load(self, options: Options) -> Networks:
        """Read the networks of all seeds.

        Raises
        ------
        InvalidInputError
            If one has not been trained (the message says how to), or does not fit its folder.
        """
        from rnn_reactivation.networks import Networks
        from sharpwave_shared.data import DataRecord
        from sharpwave_shared.files import sha256

        root = self.networks or root_of(options)
        models, sums = {}, []
        for seed in options.all_seeds:
            models[seed] = []
            for name in self.configurations:
                path = self._path(root, name, seed)
                models[seed].append(self._model(path, seed))
                sums.append(f"{sha256(path)}  {path.relative_to(root)}\n")
        checksum = hashlib.sha256("".join(sums).encode()).hexdigest()
        return Networks(models, DataRecord("trained networks", "training", str(root), checksum))

    def _path(self, root: Path, name: str, seed: int) -> Path:
        """Find the file of a trained network."""
        from rnn_reactivation.networks import model_path
        from sharpwave_shared.results import open_run

        directory = root / self.task / f"{name}_{seed}"
        if not os.path.isfile(directory / "run.json"):
            raise self._not_trained(directory, name, seed)
        network = open_run(directory).experiment
        if not isinstance(network, Train):
            raise InvalidInputError(f"{directory}: a run of {network.name!r}, not of training")
        path = model_path(directory, self.epoch or network.trainer.n_epochs)
        if self.epoch is not None and not path.is_file():
            every = network.trainer.save_every
            expected = f"one that was saved: every {every}, up to {network.trainer.n_epochs:,}"
            raise ParameterError("epoch", self.epoch, expected)
        return path

    def _model(self, path: Path, seed: int) -> Model:
        from rnn_reactivation.networks import read_model

        model = read_model(path)
        if (model.configuration.task.name, model.seed) != (self.task, seed):
            raise InvalidInputError(
                f"{path}: is a network of {model.configuration.task.name}, seed {model.seed}"
            )
        return model

    def _not_trained(self, directory: Path, name: str, seed: int) -> InvalidInputError:
        from rnn_reactivation.configuration import configuration_names, load_configuration

        base, suffix = name, ""
        matched = re.fullmatch(r"(.+)_([\d.e+-]+)", name)
        if matched and f"{self.task}/{matched[1]}" in configuration_names():
            base, suffix = matched[1], f" rnn.sigma2_rec={matched[2]}"
        load_configuration(f"{self.task}/{base}")  # an unknown one is refused by its nearest
        return InvalidInputError(
            f"{name}, seed {seed}, has not been trained (there is no {directory}); train it with: "
            f"rnn-reactivation train {self.task}/{base}{suffix} --seed {seed}"
        )

    def compute(self, job: Job) -> xr.Dataset:
        """Simulate and measure the networks of each seed."""
        from rnn_reactivation.reactivation import analyse

        models = {seed: job.data.models[seed] for seed in job.seeds}
        return analyse(models, self, device=job.device, journal=job.journal)

    def finish(self, run: Run) -> None:
        """Add the animation to the figures, where these are drawn."""
        from rnn_reactivation.figures.replay import draw_replay

        figures = None if run.directory is None else run.directory / "figures"
        if figures is not None and figures.is_dir() and not (figures / "replay.gif").exists():
            draw_replay(self, run.data, figures / "replay.gif")
