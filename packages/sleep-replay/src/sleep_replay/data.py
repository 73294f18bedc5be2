"""The two data sets of an experiment: what the model already knows, and the new experience."""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sharpwave_shared.data import DataRecord, Mnist, cache_dir, mnist
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.paths import PathLike, as_path
from sharpwave_shared.seeding import Streams
from sleep_replay.model import image_size
from sleep_replay.parameters import DEFAULT_EVAL_IMAGES, DatasetName, Model


@dataclass(frozen=True)
class ImageSet:
    """Grey-level images, kept as bytes and turned into floats when asked for.

    Attributes
    ----------
    pixels
        Grey levels 0..255.
    labels
        The digits shown.
    inverted
        Whether grey levels are inverted (x -> 1 - x).
    size
        Side length, in pixels, to which images are resized (bilinearly).
    """

    pixels: UInt8[Tensor, "n 28 28"]
    labels: Int[Tensor, " n"]
    inverted: bool = False
    size: int = 28

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def device(self) -> torch.device:
        """Where the images are kept."""
        return self.pixels.device

    def images(self, index: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape size size"]:
        """Grey levels in [0, 1] of the images at `index`."""
        x = self.pixels[index.to(self.device)].float() / 255
        if self.inverted:
            x = 1 - x
        if self.size != x.shape[-1]:
            resized = F.interpolate(x.reshape(-1, 1, *x.shape[-2:]), self.size, mode="bilinear")
            x = resized.reshape(*x.shape[:-2], self.size, self.size)
        return x

    def all_images(self) -> Float[Tensor, "n size size"]:
        """All grey levels, in [0, 1]."""
        return self.images(torch.arange(len(self)))

    def to(self, device: torch.device | str) -> "ImageSet":
        """Give the same images on a device."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def subset(self, index: Tensor) -> "ImageSet":
        """Keep the images at `index` (whole numbers, or a mask)."""
        index = index.to(self.device)
        return replace(self, pixels=self.pixels[index], labels=self.labels[index])


@dataclass(frozen=True)
class Experience:
    """Training and test images of data set 1 (old) and data set 2 (new), and their origin."""

    old_train: ImageSet
    old_test: ImageSet
    new_train: ImageSet
    new_test: ImageSet
    record: DataRecord

    @property
    def tests(self) -> tuple[ImageSet, ImageSet]:
        """The images on which models are evaluated, in the order of `DATA_SETS`."""
        return self.old_test, self.new_test

    def to(self, device: torch.device | str) -> "Experience":
        """Give the same images on a device."""
        sets = {name: part for name, part in vars(self).items() if isinstance(part, ImageSet)}
        return replace(self, **{name: part.to(device) for name, part in sets.items()})


def load_experience(model: Model, data_dir: PathLike | None = None) -> Experience:
    """Load MNIST and form the two data sets of an experiment.

    Parameters
    ----------
    model
        Which data sets, how large the images are, and how many of the test images are kept.
    data_dir
        See `sharpwave_shared.data.mnist`.

    Raises
    ------
    ParameterError
        If there are fewer test images than are asked for.
    """
    folder = None if data_dir is None else as_path("data_dir", data_dir)
    source = _read_mnist(model.dataset, folder, os.environ.get("SHARPWAVE_DATA"), cache_dir())
    size = image_size(model.architecture)

    def image_set(pixels: np.ndarray, labels: np.ndarray) -> ImageSet:
        labels = labels.astype(np.int64)
        return ImageSet(torch.from_numpy(pixels), torch.from_numpy(labels), size=size)

    train = image_set(source.train_images, source.train_labels)
    test = image_set(source.test_images, source.test_labels)
    if model.inverted:
        new_train, new_test = replace(train, inverted=True), replace(test, inverted=True)
    else:
        new_train, new_test = (s.subset(s.labels >= 5) for s in (train, test))
        train, test = (s.subset(s.labels < 5) for s in (train, test))
    count = model.eval_images
    if count is None:
        count = min(DEFAULT_EVAL_IMAGES, len(test), len(new_test))
    test, new_test = (evaluation_images(images, count) for images in (test, new_test))
    return Experience(train, test, new_train, new_test, source.record)


@lru_cache(maxsize=2)
def _read_mnist(dataset: DatasetName, data_dir: Path | None, *places: object) -> Mnist:
    """Read MNIST once for all runs of a process that find it in the same places."""
    return mnist(dataset, data_dir=data_dir)


def evaluation_images(test: ImageSet, count: int | Literal["all"]) -> ImageSet:
    """Choose `count` test images at random, the same for every run.

    Raises
    ------
    ParameterError
        If there are not that many.
    """
    if count == "all":
        return test
    if count > len(test):
        raise ParameterError(
            "eval_images", count, f"at most {len(test)}, the images of a test set, or all"
        )
    order = Streams(0).numpy("evaluation images").permutation(len(test))[:count]
    return test.subset(torch.from_numpy(np.sort(order)))
