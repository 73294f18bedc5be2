"""Learning without sleep: new images and own samples, alone, shuffled together, or in blocks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import Experience, ImageSet
from sleep_replay.evaluate import evaluate
from sleep_replay.model import VAE
from sleep_replay.parameters import DATA_SETS, Learning
from sleep_replay.train import Recorded, Trainer, own_images

MEASURES = ("error", "mse", "carried")
"""What scores are of `Evaluation`."""
STRETCH = 500
"""Images between two points where an interleaved training can be checkpointed."""


class Mixture(NamedTuple):
    """Images of data set 2, and samples drawn from the initial model before training."""

    num_new: int
    num_sampled: int


def train_on_mixture(
    journal: Journal,
    initial: VAE,
    experience: Experience,
    mixture: Mixture,
    streams: Sequence[Streams],
    learning: Learning,
    epochs: int,
    *,
    every_epoch: bool = True,
) -> xr.Dataset:
    """Train one network per stream on its own draw of a mixture of images, shuffled together.

    Parameters
    ----------
    journal
        Keeps checkpoints and shows the progress.
    initial
        The network to start from, which also draws the samples.
    experience
        The data, on the same device.
    mixture
        What to train on.
    streams
        One network each.
    learning, epochs
        How, and how long.
    every_epoch
        Evaluate after every epoch, or only before and after training.

    Returns
    -------
    xarray.Dataset
        `error`, `mse` and `carried` (see `Evaluation`) of epoch x network x data set; epoch 0 is
        before training.
    """
    vae = initial.copies(len(streams))
    trainer = Trainer(vae, learning)
    images = _mixed_images(vae, mixture, experience.new_train, streams)
    scored = _Scored(trainer, experience)

    def epoch(number: int) -> None:
        generators = [s.torch("mixture", number) for s in streams]
        trainer.epoch(own_images(images), images.shape[1], generators)

    every = 1 if every_epoch else epochs
    scored.train(journal, "learning (epochs)", epochs, epoch, every=every)
    return scored.dataset("epoch", range(0, epochs + 1, every))


@torch.no_grad()
def _mixed_images(
    vae: VAE, mixture: Mixture, new_train: ImageSet, streams: Sequence[Streams]
) -> Float[Tensor, "networks images size size"]:
    """Draw new images and own samples, for every network its own."""
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
    ).to(new_train.device)
    parts = []
    if mixture.num_new:
        parts.append(new_train.images(new))
    if mixture.num_sampled:
        vae.eval()
        parts.append(torch.cat([vae.decode(z) for z in latents.split(100, 1)], 1))
    return torch.cat(parts, 1)


class _Scored(Recorded):
    """Training in equal stretches, with scores in between."""

    def __init__(self, trainer: Trainer, experience: Experience):
        super().__init__(trainer)
        self.tests = [test.all_images() for test in experience.tests]

    def train(
        self,
        journal: Journal,
        what: str,
        count: int,
        stretch: Callable[[int], object],
        *,
        every: int,
    ) -> None:
        """Train `count` stretches; score before the first and after each `every`-th."""
        for number in journal.steps(what, count, self):
            if number == 0:
                self._score()
            stretch(number)
            if (number + 1) % every == 0:
                self._score()

    def dataset(self, dimension: str, values: Sequence[int]) -> xr.Dataset:
        """Label the scores; `values` are those of a dimension that tells their times apart."""
        measures = zip(MEASURES, torch.stack(self.rows, 1).numpy(), strict=True)
        return xr.Dataset(
            {name: ((dimension, "network", "data_set"), scores) for name, scores in measures},
            {dimension: list(values), "data_set": list(DATA_SETS)},
        )

    def _score(self) -> None:
        vae = self.trainer.vae.eval()
        scores = [evaluate(vae, images) for images in self.tests]
        measures = [[getattr(score, name) for score in scores] for name in MEASURES]
        self.rows.append(torch.stack([torch.stack(m, -1) for m in measures]).cpu())


def block_order(block: int, images: int) -> Int[Tensor, " twice_images"]:
    """Order in which `images` of each data set come, in alternating blocks of `block` images.

    Images of data set 1 have the numbers 0 to `images` - 1, those of data set 2 follow. The last
    blocks are shorter if `block` does not divide `images`.
    """
    old = torch.arange(images).split(block)
    return torch.cat([torch.cat([part, part + images]) for part in old])


def train_interleaved(
    journal: Journal,
    networks: VAE,
    experience: Experience,
    orders: Int[Tensor, "networks twice_images"],
    streams: Sequence[Streams],
    learning: Learning,
) -> xr.Dataset:
    """Train networks for one epoch on images of both data sets, in a given order each.

    Parameters
    ----------
    journal
        Keeps checkpoints and shows the progress.
    networks
        Changed in place.
    experience
        The data, on the same device.
    orders
        Of images, see `block_order`.
    streams
        Of each network.
    learning
        How they learn.

    Returns
    -------
    xarray.Dataset
        As that of `train_on_mixture`; time 0 is before training, 1 after.
    """
    trainer = Trainer(networks, learning)
    images = orders.shape[1] // 2

    def source(index: Tensor) -> Tensor:
        old = experience.old_train.images(index.clamp(max=images - 1))
        new = experience.new_train.images((index - images).clamp(min=0))
        return torch.where((index < images)[..., None, None], old, new)

    def stretch(number: int) -> None:
        part = orders[:, number * STRETCH : (number + 1) * STRETCH].to(trainer.device)
        generators = [s.torch("interleave", number) for s in streams]
        trainer.epoch(
            lambda index: source(part.gather(1, index)), part.shape[1], generators, shuffle=False
        )

    count = -(-orders.shape[1] // STRETCH)
    scored = _Scored(trainer, experience)
    scored.train(journal, f"learning ({STRETCH} images each)", count, stretch, every=count)
    return scored.dataset("time", [0, 1])
