"""The experiments: each turns its parameters into numbers and arrays, in a journal."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sleep_replay.data import DatasetName, Experience, evaluation_images, load_experience
from sleep_replay.model import ARCHITECTURES, Architecture, ReconstructionLoss
from sleep_replay.schedule import Schedule
from sleep_replay.sleep import Condition, Observer, SleepResult, sleep
from sleep_replay.train import Training
from sleep_replay.weights import (
    InitialModel,
    Pretraining,
    State,
    obtain_initial_state,
    pretrain,
)

DEFAULT_EVAL_IMAGES = 2000


@dataclass(frozen=True)
class Setup:
    """What all experiments share: two data sets, an initial model, a device.

    Attributes
    ----------
    experience
        Data sets 1 and 2; the test sets hold the images on which models are evaluated.
    model
        The initial model, which knows data set 1.
    use_initial_weights
        Whether saved weights will do.
    seed
        Seed of the initial model's training, if it has to be trained.
    device
        Where everything is computed.
    """

    experience: Experience
    model: InitialModel
    use_initial_weights: bool
    seed: int
    device: torch.device

    def initial_state(self, journal: Journal) -> State:
        """Give the weights of the initial model, trained first if there are none."""
        return obtain_initial_state(
            journal,
            self.model,
            saved=self.use_initial_weights,
            train_it=lambda: self.pretrain(journal, Pretraining()),
        )

    def pretrain(self, journal: Journal, how: Pretraining) -> tuple[State, dict[str, Any]]:
        """Train the initial model on data set 1; see `weights.pretrain`."""
        state, record = pretrain(
            journal,
            self.model,
            self.experience.old_train,
            self.experience.old_test,
            seed=self.seed,
            device=self.device,
            how=how,
        )
        data = self.experience.record
        return state, record | {"dataset": data.name, "dataset_sha256": data.checksum}


def prepare(
    *,
    inverted: bool = True,
    latent_dim: int = 20,
    architecture: Architecture = "small",
    use_initial_weights: bool = True,
    eval_images: int | None = DEFAULT_EVAL_IMAGES,
    seed: int = 0,
    dataset: DatasetName = "auto",
    data_dir: Path | None = None,
    device: str = "auto",
) -> Setup:
    """Check the parameters that all experiments share, and load the data.

    Parameters
    ----------
    inverted
        True: data set 1 is MNIST, data set 2 MNIST with inverted grey levels. False: digits 0-4
        and digits 5-9.
    latent_dim, architecture
        See `VAE`.
    use_initial_weights
        Start from saved weights if there are any; False trains them anew with `seed`.
    eval_images
        Test images of each data set on which errors are measured; None: all. The default is cut to
        what there is.
    seed
        Seed of the initial model's training.
    dataset, data_dir
        See `sharpwave_shared.data.mnist`.
    device
        See `sharpwave_shared.devices.resolve_device`.

    Raises
    ------
    InvalidInputError
        If a parameter cannot be used; the message names the option.
    """
    if latent_dim < 1:
        raise InvalidInputError(f"--latent-dim {latent_dim}: at least 1 is needed")
    if architecture not in ARCHITECTURES:
        raise InvalidInputError(f"--architecture {architecture}: small or large is allowed")
    if eval_images is not None and eval_images < 2:
        raise InvalidInputError(f"--eval-images {eval_images}: at least 2 are needed, or all")
    chosen = resolve_device(device)
    size = ARCHITECTURES[architecture][1].image_size
    experience = load_experience(inverted, dataset, data_dir, image_size=size, device=chosen)
    fewest = min(len(experience.old_test), len(experience.new_test))
    if eval_images == DEFAULT_EVAL_IMAGES:
        eval_images = min(eval_images, fewest)
    experience = replace(
        experience,
        old_test=evaluation_images(experience.old_test, eval_images),
        new_test=evaluation_images(experience.new_test, eval_images),
    )
    model = InitialModel("mnist" if inverted else "mnist-0-4", architecture, latent_dim)
    return Setup(experience, model, use_initial_weights, seed, chosen)


@dataclass(frozen=True)
class ScheduleJob:
    """The main experiment: sleep, in one or more conditions, for several seeds.

    Attributes
    ----------
    setup
        Data, initial model, device.
    conditions
        Schedules of equal length and number of cycles.
    seeds
        One run each, in every condition.
    num
        Images replayed in NREM and dreamt in REM, per cycle.
    training
        The knobs of training.

    Raises
    ------
    InvalidInputError
        If `num` is not between 1 and the number of images in data set 2.
    """

    setup: Setup
    conditions: Sequence[Condition]
    seeds: Sequence[int]
    num: int
    training: Training

    def __post_init__(self) -> None:
        available = len(self.setup.experience.new_train)
        if not 1 <= self.num <= available:
            raise InvalidInputError(
                f"--num {self.num}: from 1 to {available}, the images of data set 2, is allowed"
            )

    def numbers(self, journal: Journal) -> dict[str, Tensor]:
        """Sleep, and keep the errors and shares of variance only."""
        result = self.run(journal)
        return {
            "errors": torch.from_numpy(result.errors),
            "carried": torch.from_numpy(result.carried),
        }

    def run(self, journal: Journal, observe: Observer | None = None) -> SleepResult:
        """Sleep; see `sleep.sleep`."""
        setup = self.setup
        return sleep(
            journal,
            setup.initial_state(journal),
            self.conditions,
            self.seeds,
            setup.experience.new_train,
            setup.experience.old_test,
            setup.experience.new_test,
            num=self.num,
            training=self.training,
            latent_dim=setup.model.latent_dim,
            architecture=setup.model.architecture,
            device=setup.device,
            observe=observe,
        )


@dataclass(frozen=True)
class SweepNumbers:
    """The part of a `SleepResult` that a sweep keeps."""

    errors: Float[np.ndarray, "times conditions seeds 2"]
    carried: Float[np.ndarray, "times conditions seeds 2"]


def condition_metrics(
    result: SleepResult | SweepNumbers,
    conditions: Sequence[Condition],
    num: int,
    training: Training,
) -> list[dict[str, Any]]:
    """Put what sleep did in each condition into JSON values.

    Each has the condition's parameters, its cycles, and, per seed and time (before sleep, then
    after every cycle), `error_old`, `error_new`, `carried_old` and `carried_new`.
    """
    metrics = []
    for c, condition in enumerate(conditions):
        series = {
            f"{name}_{data_set}": values[:, c, :, d].T.tolist()
            for name, values in (("error", result.errors), ("carried", result.carried))
            for d, data_set in enumerate(("old", "new"))
        }
        metrics.append(
            asdict(condition.schedule)
            | {"continue_training": condition.continue_training, "num": num}
            | asdict(training)
            | {"cycles": [asdict(cycle) for cycle in condition.schedule.cycles()]}
            | series
        )
    return metrics


def result_arrays(result: SleepResult) -> dict[str, np.ndarray]:
    """Give what the figures of a sleep experiment show beside its metrics."""
    return {
        "image_errors": result.image_errors,
        "dreams": result.dreams,
        "pictures": result.pictures,
    }


@dataclass(frozen=True)
class SweepJob:
    """A grid of schedules and learning rates.

    Attributes
    ----------
    setup, seeds, num
        As in `ScheduleJob`.
    total_eps
        Epochs over all cycles, in every condition.
    cycles
        Numbers of cycles.
    fractions
        Start and end of the fraction that is REM. These conditions sleep as one batch.
    trainings
        The knobs of training, one for each learning rate.
    continue_training
        See `Condition`.
    """

    setup: Setup
    seeds: Sequence[int]
    num: int
    total_eps: int
    cycles: Sequence[int]
    fractions: Sequence[tuple[float, float]]
    trainings: Sequence[Training]
    continue_training: bool = True

    def jobs(self) -> list[ScheduleJob]:
        """List the batches of conditions; all parameters are checked by making them."""
        return [
            ScheduleJob(
                self.setup,
                [
                    Condition(Schedule(self.total_eps, cycles, start, end), self.continue_training)
                    for start, end in self.fractions
                ],
                self.seeds,
                self.num,
                training,
            )
            for training in self.trainings
            for cycles in self.cycles
        ]

    def run(self, journal: Journal) -> list[dict[str, Any]]:
        """Sleep in all conditions; give their metrics, see `condition_metrics`."""
        self.setup.initial_state(journal)
        jobs = self.jobs()
        metrics = []
        for number, job in enumerate(jobs):
            schedule = job.conditions[0].schedule
            journal.reporter.say(
                f"{number + 1} of {len(jobs)}: {schedule.num_cycles} cycles, "
                f"learning rate {job.training.lr:g}"
            )
            kept = journal.once(f"sweep-{number}", job.numbers)
            result = SweepNumbers(kept["errors"].numpy(), kept["carried"].numpy())
            metrics += condition_metrics(result, job.conditions, self.num, job.training)
        return metrics


def train_with_schedule_multiple_seeds(
    seeds: Sequence[int],
    total_eps: int = 100,
    num_cycles: int = 20,
    start_fraction_rem: float = 0.2,
    end_fraction_rem: float = 0.8,
    use_initial_weights: bool = True,
    latent_dim: int = 20,
    seed: int = 0,
    inverted: bool = True,
    lr: float = 1e-3,
    num: int = 10,
    continue_training: bool = True,
    *,
    batch_size: int = 1,
    kl_weight: float = 1.0,
    reconstruction_loss: ReconstructionLoss = "mae",
    clip_norm: float | None = None,
    architecture: Architecture = "small",
    eval_images: int | None = DEFAULT_EVAL_IMAGES,
    dataset: DatasetName = "auto",
    data_dir: Path | None = None,
    device: str = "auto",
    journal: Journal | None = None,
) -> SleepResult:
    """Let models that know data set 1 sleep after seeing data set 2; one run for each seed.

    This is the main command as a function, under the release's name and with its arguments.

    Parameters
    ----------
    seeds
        One run each; all train together.
    total_eps, num_cycles, start_fraction_rem, end_fraction_rem
        See `Schedule`.
    use_initial_weights, latent_dim, inverted, architecture, eval_images
        See `prepare`.
    seed
        Seed of the initial model's training, if it has to be trained.
    lr, batch_size, kl_weight, reconstruction_loss, clip_norm
        See `Training`.
    num
        Images replayed in NREM and dreamt in REM, per cycle.
    continue_training
        Whether REM draws its samples from the current model or from the frozen initial one.
    dataset, data_dir
        See `sharpwave_shared.data.mnist`.
    device
        `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    journal
        Shows progress and keeps checkpoints; by default neither.

    Returns
    -------
    SleepResult
        Errors per cycle and seed, dreams, reconstructions, and the trained networks.

    Raises
    ------
    InvalidInputError
        If an argument cannot be used.
    DivergenceError
        If training diverges.
    """
    schedule = Schedule(total_eps, num_cycles, start_fraction_rem, end_fraction_rem)
    training = Training(lr, batch_size, kl_weight, reconstruction_loss, clip_norm)
    setup = prepare(
        inverted=inverted,
        latent_dim=latent_dim,
        architecture=architecture,
        use_initial_weights=use_initial_weights,
        eval_images=eval_images,
        seed=seed,
        dataset=dataset,
        data_dir=data_dir,
        device=device,
    )
    job = ScheduleJob(setup, [Condition(schedule, continue_training)], seeds, num, training)
    return job.run(journal or Journal())


train_with_scheduler_multiple_seeds = train_with_schedule_multiple_seeds
"""The spelling of the release's documentation."""
