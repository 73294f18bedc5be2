"""Learning without sleep: new images and own samples, alone, shuffled together, or in blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import ImageSet
from sleep_replay.evaluate import evaluate
from sleep_replay.experiments import Setup
from sleep_replay.model import VAE
from sleep_replay.train import Trainer, Training, own_images
from sleep_replay.weights import State

Mode = Literal["new", "old", "both"]
MODES: tuple[Mode, ...] = ("new", "old", "both")


@dataclass(frozen=True)
class Scores:
    """How well networks know both data sets, at several times.

    The last dimension is the data set (old, new).

    Attributes
    ----------
    errors
        Mean summed absolute grey level between image and reconstruction.
    mse
        Mean squared difference per pixel.
    carried
        Share of the test images' variance that the reconstructions carry.
    """

    errors: Float[np.ndarray, "times networks 2"]
    mse: Float[np.ndarray, "times networks 2"]
    carried: Float[np.ndarray, "times networks 2"]


@dataclass(frozen=True)
class Mixture:
    """Training the initial model on new images and samples of its own, shuffled together.

    Attributes
    ----------
    num_new, num_sampled
        Images of data set 2, and samples drawn from the initial model before training.
    """

    num_new: int
    num_sampled: int


def train_on_mixture(
    journal: Journal,
    setup: Setup,
    initial: State,
    mixture: Mixture,
    streams: Sequence[Streams],
    training: Training,
    epochs: int,
    *,
    every_epoch: bool = True,
) -> Scores:
    """Train one network per stream on its own draw of a mixture.

    Parameters
    ----------
    journal
        Keeps a checkpoint per epoch and shows the progress.
    setup
        Data and device.
    initial
        The model to start from, which also draws the samples.
    mixture
        What to train on.
    streams
        One network each.
    training, epochs
        How, and how long.
    every_epoch
        Evaluate after every epoch, or only before and after training.
    """
    data, model = setup.experience, setup.model
    vae = VAE(len(streams), model.latent_dim, model.architecture).to(setup.device)
    vae.load_network(initial)
    trainer = Trainer(vae, training)
    images = _mixed_images(vae, mixture, data.new_train, streams)
    progress = _ScoredTraining(journal, trainer, data.old_test, data.new_test)
    return progress.run(
        "epochs",
        epochs,
        lambda epoch: trainer.epoch(
            own_images(images), images.shape[1], [s.torch("mixture", epoch) for s in streams]
        ),
        every=1 if every_epoch else epochs,
    )


@torch.no_grad()
def _mixed_images(
    vae: VAE, mixture: Mixture, new_train: ImageSet, streams: Sequence[Streams]
) -> Float[Tensor, "networks images size size"]:
    """Draw new images and own samples, for every network its own."""
    device = next(vae.parameters()).device
    new = torch.stack(
        [
            torch.randperm(len(new_train), generator=s.torch("new images"))[: mixture.num_new]
            for s in streams
        ]
    )
    latents = torch.stack(
        [
            torch.randn(mixture.num_sampled, vae.latent_dim, generator=s.torch("own samples"))
            for s in streams
        ]
    ).to(device)
    parts = []
    if mixture.num_new:
        parts.append(new_train.images(new))
    if mixture.num_sampled:
        vae.eval()
        parts.append(torch.cat([vae.decode(z) for z in latents.split(100, 1)], 1))
    return torch.cat(parts, 1)


class _ScoredTraining:
    """Training in equal stretches, with scores in between and a checkpoint to go on from."""

    def __init__(self, journal: Journal, trainer: Trainer, old_test: ImageSet, new_test: ImageSet):
        self.journal, self.trainer = journal, trainer
        self.tests = [old_test.all_images(), new_test.all_images()]
        self.rows: list[Tensor] = []

    def run(self, unit: str, count: int, stretch: Callable[[int], object], *, every: int) -> Scores:
        """Train `count` stretches; score before the first and after each `every`-th."""
        start = 0
        checkpoint = self.journal.load_checkpoint()
        if checkpoint is None:
            self._score()
        else:
            state, progress = checkpoint
            start = int(progress["done"])
            self.rows = list(state.pop("rows"))
            self.trainer.load_state(state)
        with self.journal.reporter.progress(f"learning ({unit})", count, start) as advance:
            for done in range(start + 1, count + 1):
                stretch(done - 1)
                if done % every == 0:
                    self._score()
                if self.journal.checkpoint_due():
                    rows = {"rows": torch.stack(self.rows)}
                    self.journal.save_checkpoint(self.trainer.state() | rows, done=done)
                advance(1)
        errors, mse, carried = torch.stack(self.rows, 1).numpy()
        return Scores(errors, mse, carried)

    def _score(self) -> None:
        vae = self.trainer.vae.eval()
        scores = [evaluate(vae, images) for images in self.tests]
        measures = [[s.error for s in scores], [s.mse for s in scores], [s.carried for s in scores]]
        self.rows.append(torch.stack([torch.stack(m, -1) for m in measures]).cpu())


def by_data_set(scores: Scores, *, last: bool = False, rows: int | None = None) -> dict[str, list]:
    """Turn scores into JSON values: `error_old`, `error_new`, `mse_old`, ...

    Each is a list of times x networks; with `last` one of networks at the last time, which `rows`
    splits into that many lists.
    """
    named = {"error": scores.errors, "mse": scores.mse, "carried": scores.carried}
    values = {}
    for name, array in named.items():
        for d, data_set in enumerate(("old", "new")):
            series = array[..., d]
            if last:
                series = series[-1] if rows is None else series[-1].reshape(rows, -1)
            values[f"{name}_{data_set}"] = series.tolist()
    return values


def baseline_mixtures(
    modes: str, num_new: int | None, num_sampled: int | None
) -> dict[str, Mixture]:
    """Parse `new,old,both` into mixtures of the given or the default sizes.

    Raises
    ------
    InvalidInputError
        If a mode is unknown or given twice.
    """
    names = [name.strip() for name in modes.split(",")]
    unknown = [name for name in names if name not in MODES]
    if unknown or len(set(names)) < len(names):
        raise InvalidInputError(f"--modes {modes}: each of {', '.join(MODES)} once is allowed")

    def size(given: int | None, *, alone: bool) -> int:
        return given if given is not None else 1000 if alone else 500

    sizes = {
        "new": Mixture(size(num_new, alone=True), 0),
        "old": Mixture(0, size(num_sampled, alone=True)),
        "both": Mixture(size(num_new, alone=False), size(num_sampled, alone=False)),
    }
    return {name: sizes[name] for name in names}


@dataclass(frozen=True)
class MixtureJob:
    """Training on several mixtures, one after the other; all seeds and trials of one together.

    Attributes
    ----------
    setup
        Data, initial model, device.
    mixtures
        By name.
    seeds
        Seeds of the networks.
    training, epochs
        How, and how long.
    trials
        Networks per seed.
    every_epoch
        Evaluate after every epoch, or only before and after training.

    Raises
    ------
    InvalidInputError
        If a number is out of range.
    """

    setup: Setup
    mixtures: Mapping[str, Mixture]
    seeds: Sequence[int]
    training: Training
    epochs: int
    trials: int = 1
    every_epoch: bool = True

    def __post_init__(self) -> None:
        available = len(self.setup.experience.new_train)
        for name, mixture in self.mixtures.items():
            if not 0 <= mixture.num_new <= available:
                raise InvalidInputError(
                    f"--num-new {mixture.num_new}: from 0 to {available}, the images of data set 2"
                )
            if mixture.num_sampled < 0:
                raise InvalidInputError(
                    f"--num-sampled {mixture.num_sampled}: it cannot be negative"
                )
            if mixture.num_new + mixture.num_sampled == 0:
                raise InvalidInputError(
                    f"--num-new 0 and --num-sampled 0: no image is left for {name}"
                )
        for option, value in (("--epochs", self.epochs), ("--trials", self.trials)):
            if value < 1:
                raise InvalidInputError(f"{option} {value}: at least 1 is needed")

    def run(self, journal: Journal) -> dict[str, Scores]:
        """Train on all mixtures; the networks of each are ordered by seed, then trial."""
        initial = self.setup.initial_state(journal)
        streams = [Streams(s).child("trial", t) for s in self.seeds for t in range(self.trials)]
        results = {}
        for name, mixture in self.mixtures.items():
            journal.reporter.say(
                f"{name}: {mixture.num_new} new images, {mixture.num_sampled} own samples"
            )

            def compute(part: Journal, mixture: Mixture = mixture) -> dict[str, Tensor]:
                scores = train_on_mixture(
                    part,
                    self.setup,
                    initial,
                    mixture,
                    streams,
                    self.training,
                    self.epochs,
                    every_epoch=self.every_epoch,
                )
                return {key: torch.from_numpy(values) for key, values in vars(scores).items()}

            kept = journal.once(name, compute)
            results[name] = Scores(**{key: tensor.numpy() for key, tensor in kept.items()})
        return results


STRETCH = 500
"""Images between two points where an interleaved training can be checkpointed."""


def block_order(block: int, images: int) -> Int[Tensor, " twice_images"]:
    """Order in which `images` of each data set come, in alternating blocks of `block` images.

    Images of data set 1 have the numbers 0 to `images` - 1, those of data set 2 follow. The last
    blocks are shorter if `block` does not divide `images`.
    """
    old = torch.arange(images).split(block)
    return torch.cat([torch.cat([part, part + images]) for part in old])


DEFAULT_IMAGES = 20_000


@dataclass(frozen=True)
class InterleaveJob:
    """Training from scratch on alternating blocks of both data sets: one epoch, unshuffled.

    Attributes
    ----------
    setup
        Data, shape of the model, device.
    blocks
        Numbers of images of one data set in a row.
    images
        Images of each data set: the first ones.
    seeds, training
        As in the other experiments.
    """

    setup: Setup
    blocks: Sequence[int]
    images: int
    seeds: Sequence[int]
    training: Training

    @classmethod
    def checked(
        cls,
        setup: Setup,
        blocks: Sequence[int],
        images: int | None,
        seeds: Sequence[int],
        training: Training,
    ) -> "InterleaveJob":
        """Make a job; `images` None takes 20,000, or what there is.

        Raises
        ------
        InvalidInputError
            If a number is out of range.
        """
        available = min(len(setup.experience.old_train), len(setup.experience.new_train))
        if images is None:
            images = min(DEFAULT_IMAGES, available)
        if not 1 <= images <= available:
            raise InvalidInputError(f"--images {images}: from 1 to {available} are allowed")
        if min(blocks) < 1 or max(blocks) > images:
            shown = ",".join(map(str, blocks))
            raise InvalidInputError(f"--blocks {shown}: from 1 to {images} (--images) are allowed")
        return cls(setup, blocks, images, seeds, training)

    def run(self, journal: Journal) -> Scores:
        """Train all block lengths and seeds together; score before and after.

        The networks are ordered by block length, then seed. Networks with the same seed start
        from the same weights and see the same images, in another order.
        """
        data, model, images = self.setup.experience, self.setup.model, self.images
        networks = [(block, Streams(seed)) for block in self.blocks for seed in self.seeds]
        streams = [stream for _, stream in networks]
        vae = VAE(len(networks), model.latent_dim, model.architecture)
        vae.initialise([s.torch("initialisation") for s in streams]).to(self.setup.device)
        trainer = Trainer(vae, self.training)
        order = torch.stack([block_order(block, images) for block, _ in networks])

        def source(index: Tensor) -> Tensor:
            old = data.old_train.images(index.clamp(max=images - 1))
            new = data.new_train.images((index - images).clamp(min=0))
            return torch.where((index < images)[..., None, None], old, new)

        def stretch(number: int) -> None:
            part = order[:, number * STRETCH : (number + 1) * STRETCH].to(self.setup.device)
            generators = [s.torch("interleave", number) for s in streams]
            trainer.epoch(
                lambda index: source(part.gather(1, index)),
                part.shape[1],
                generators,
                shuffle=False,
            )

        count = -(-2 * images // STRETCH)
        scored = _ScoredTraining(journal, trainer, data.old_test, data.new_test)
        return scored.run(f"{STRETCH} images each", count, stretch, every=count)
