"""Learning without sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from sharpwave_shared import lazy
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import pd, torch, xr
from sharpwave_shared.parameters import Between, Distinct
from sleep_replay.experiments.common import Generative, check_count, unfold, with_finals
from sleep_replay.parameters import MOST_IMAGES, BatchLearning, Learning

if TYPE_CHECKING:
    from sharpwave_shared import seeding
    from sleep_replay import data, mixtures, model
else:  # imported when they are used
    seeding = lazy.module("sharpwave_shared.seeding")
    data = lazy.module("sleep_replay.data")
    mixtures = lazy.module("sleep_replay.mixtures")
    model = lazy.module("sleep_replay.model")

Mode = Literal["new", "old", "both"]
MANY = Between(0, MOST_IMAGES)
DEFAULT_IMAGES = 20_000
"""Images of each data set that are interleaved."""


class Baselines(Generative, BatchLearning):
    """Learn without sleep: from new images only, own samples only, or both shuffled together."""

    conditions: ClassVar = ("seed", "mode", "data_set")
    quick: ClassVar = {"epochs": 3, "num_new": 100, "num_sampled": 100, "eval_images": 200}

    modes: Annotated[tuple[Mode, ...], Distinct()] = ("new", "old", "both")
    """Which of new, old and both."""
    epochs: Annotated[int, Between(1, 100_000)] = 20
    """Epochs of training."""
    num_new: Annotated[int, MANY] | None = None
    """New images. Default: 1000; 500 in both."""
    num_sampled: Annotated[int, MANY] | None = None
    """Own samples. Default: 1000; 500 in both."""

    def check(self) -> None:
        """Check that there is an image to learn from."""
        super().check()
        if self.num_sampled == 0 and "old" in self.modes:
            raise ParameterError("num_sampled", 0, "at least 1 for the mode old")
        if self.num_new == 0 and ("new" in self.modes or self.num_sampled == 0):
            raise ParameterError("num_new", 0, "at least 1 where there are no own samples")

    @property
    def particular(self) -> str:
        """How long."""
        return f"{self.epochs}ep"

    def sizes(self, mode: Mode) -> tuple[int, int]:
        """Give the numbers of new images and own samples in a mode."""
        default = 500 if mode == "both" else 1000
        new = default if self.num_new is None else self.num_new
        sampled = default if self.num_sampled is None else self.num_sampled
        return (0 if mode == "old" else new), (0 if mode == "new" else sampled)

    def check_data(self, experience: data.Experience) -> None:
        """Check that there are as many new images."""
        check_count("num_new", max(self.sizes(m)[0] for m in self.modes), len(experience.new_train))

    def results(self, job: Job) -> xr.Dataset:
        """Train in one mode after the other, one network for each seed."""
        initial, experience, attributes = self.begin(job)
        streams = [seeding.Streams(seed).child("trial", 0) for seed in job.seeds]
        parts = []
        for mode in self.modes:
            mixture = mixtures.Mixture(*self.sizes(mode))
            result = _train(job, mode, initial, experience, mixture, streams, self, self.epochs)
            finals = with_finals(result, "epoch", mixtures.MEASURES)
            parts.append(unfold(finals, {"seed": job.seeds}))
        return xr.concat(parts, pd.Index(self.modes, name="mode")).assign_attrs(attributes)


class Samples(Generative, BatchLearning):
    """Measure retention against the number of own samples mixed with the new images."""

    conditions: ClassVar = ("seed", "trial", "sampled", "data_set")
    quick: ClassVar = {"epochs": 2, "num_new": 100, "sampled": (0, 20, 40, 60), "eval_images": 200}

    epochs: Annotated[int, Between(1, 100_000)] = 20
    """Epochs of training."""
    num_new: Annotated[int, MANY] = 500
    """New images in every mixture."""
    sampled: Annotated[tuple[Annotated[int, MANY], ...], Distinct()] = (
        *(0, 10, 20, 25, 30),
        *(35, 40, 50, 60),
    )
    """Numbers of own samples."""
    trials: Annotated[int, Between(1, 10_000)] = 3
    """Trained models per number and seed."""

    def check(self) -> None:
        """Check that there is an image to learn from."""
        super().check()
        if self.num_new + min(self.sampled) == 0:
            raise ParameterError("num_new", 0, "at least 1 where there are no own samples")

    @property
    def particular(self) -> str:
        """The number of new images."""
        return f"{self.num_new}new"

    def check_data(self, experience: data.Experience) -> None:
        """Check that there are as many new images."""
        check_count("num_new", self.num_new, len(experience.new_train))

    def results(self, job: Job) -> xr.Dataset:
        """Train on one mixture after the other, several networks for each seed."""
        initial, experience, attributes = self.begin(job)
        networks = {"seed": job.seeds, "trial": range(self.trials)}
        streams = [
            seeding.Streams(seed).child("trial", trial)
            for seed in job.seeds
            for trial in networks["trial"]
        ]
        parts = []
        for count in self.sampled:
            name, mixture = f"{count}-sampled", mixtures.Mixture(self.num_new, count)
            result = _train(
                *(job, name, initial, experience, mixture, streams, self, self.epochs),
                every_epoch=False,
            )
            parts.append(unfold(result.isel(epoch=-1, drop=True), networks))
        return xr.concat(parts, pd.Index(self.sampled, name="sampled")).assign_attrs(attributes)


def _train(
    job: Job,
    name: str,
    initial: model.VAE,
    experience: data.Experience,
    mixture: mixtures.Mixture,
    *how: Any,
    **more: Any,
) -> xr.Dataset:
    """Do what `mixtures.train_on_mixture` does as a part of the work, and tell of it."""
    job.journal.reporter.say(
        f"{name}: {mixture.num_new} new images, {mixture.num_sampled} own samples"
    )
    return job.journal.once(
        name,
        lambda part: mixtures.train_on_mixture(part, initial, experience, mixture, *how, **more),
    )


class Interleave(Generative, Learning):
    """Learn both data sets from scratch, unshuffled, in alternating blocks."""

    conditions: ClassVar = ("seed", "block", "data_set")
    quick: ClassVar = {"images": 1000, "eval_images": 200}

    blocks: Annotated[tuple[Annotated[int, Between(1, MOST_IMAGES)], ...], Distinct()] = (
        *(1, 5, 10, 50),
    )
    """Images of one data set in a row."""
    images: Annotated[int, Between(1, MOST_IMAGES)] | None = None
    """Images of each data set. Default: 20000, or what there is."""

    def check(self) -> None:
        """Check that blocks are no longer than what there is."""
        super().check()
        if self.images is not None:
            self._check_blocks(self.images)

    def _check_blocks(self, images: int) -> None:
        if max(self.blocks) > images:
            raise ParameterError("blocks", self.blocks, f"numbers of at most {images}, the images")

    @property
    def particular(self) -> str:
        """The number of images."""
        return "" if self.images is None else f"{self.images}images"

    def count(self, experience: data.Experience) -> int:
        """Give the number of images of each data set."""
        available = min(len(experience.old_train), len(experience.new_train))
        return min(DEFAULT_IMAGES, available) if self.images is None else self.images

    def check_data(self, experience: data.Experience) -> None:
        """Check that there are as many images."""
        available = min(len(experience.old_train), len(experience.new_train))
        count = self.count(experience)
        if count > available:
            raise ParameterError("images", count, f"at most {available}, those of a data set")
        self._check_blocks(count)

    def results(self, job: Job) -> xr.Dataset:
        """Train all block lengths and seeds together.

        Networks with the same seed start from the same weights and see the same images, in
        another order.
        """
        experience = job.data.to(job.device)
        images = self.count(experience)
        networks = [(block, seeding.Streams(seed)) for block in self.blocks for seed in job.seeds]
        streams = [stream for _, stream in networks]
        vae = model.VAE(len(networks), self.latent_dim, self.architecture)
        vae.initialise([s.torch("initialisation") for s in streams]).to(job.device)
        orders = torch.stack([mixtures.block_order(block, images) for block, _ in networks])
        scores = mixtures.train_interleaved(job.journal, vae, experience, orders, streams, self)
        results = unfold(scores, {"block": self.blocks, "seed": job.seeds})
        return results.isel(time=-1, drop=True).assign_attrs(images=images)
