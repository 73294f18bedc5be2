"""The experiments: each turns its parameters into numbers and arrays, in a journal."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal

from sleep_replay.data import DatasetName, Experience, evaluation_images, load_experience
from sleep_replay.model import ARCHITECTURES, Architecture
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
        return state, record | {"dataset": asdict(self.experience.record)}


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
