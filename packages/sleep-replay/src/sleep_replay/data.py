"""The two data sets of an experiment: what the model already knows, and the new experience."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sharpwave_shared.data import DataRecord, mnist
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.seeding import Streams

DatasetName = Literal["auto", "mnist", "mnist-5k"]


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

    def images(self, index: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape size size"]:
        """Grey levels in [0, 1] of the images at `index`."""
        x = self.pixels[index.to(self.pixels.device)].float() / 255
        if self.inverted:
            x = 1 - x
        if self.size != x.shape[-1]:
            resized = F.interpolate(x.reshape(-1, 1, *x.shape[-2:]), self.size, mode="bilinear")
            x = resized.reshape(*x.shape[:-2], self.size, self.size)
        return x

    def all_images(self) -> Float[Tensor, "n size size"]:
        """All grey levels, in [0, 1]."""
        return self.images(torch.arange(len(self)))

    def subset(self, index: Tensor) -> "ImageSet":
        """Keep the images at `index` (whole numbers, or a mask)."""
        index = index.to(self.pixels.device)
        return replace(self, pixels=self.pixels[index], labels=self.labels[index])


@dataclass(frozen=True)
class Experience:
    """Training and test images of data set 1 (old) and data set 2 (new), and their origin."""

    old_train: ImageSet
    old_test: ImageSet
    new_train: ImageSet
    new_test: ImageSet
    record: DataRecord


def load_experience(
    inverted: bool = True,
    dataset: DatasetName = "auto",
    data_dir: Path | None = None,
    *,
    image_size: int = 28,
    device: torch.device | str = "cpu",
) -> Experience:
    """Load MNIST and form the two data sets of an experiment.

    Parameters
    ----------
    inverted
        True: MNIST, and MNIST with inverted grey levels. False: digits 0-4, and digits 5-9.
    dataset, data_dir
        See `sharpwave_shared.data.mnist`.
    image_size
        Side length of the images, 28 or what the architecture needs.
    device
        Where the images are kept.
    """
    source = mnist(dataset, data_dir=data_dir)

    def image_set(pixels: np.ndarray, labels: np.ndarray) -> ImageSet:
        return ImageSet(
            torch.from_numpy(np.array(pixels)).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device),
            size=image_size,
        )

    train = image_set(source.train_images, source.train_labels)
    test = image_set(source.test_images, source.test_labels)
    if inverted:
        new_train, new_test = replace(train, inverted=True), replace(test, inverted=True)
    else:
        new_train, new_test = (s.subset(s.labels >= 5) for s in (train, test))
        train, test = (s.subset(s.labels < 5) for s in (train, test))
    return Experience(train, test, new_train, new_test, source.record)


def evaluation_images(test: ImageSet, count: int | None) -> ImageSet:
    """Choose `count` test images at random, the same for every run; None takes all.

    Raises
    ------
    InvalidInputError
        If there are not that many.
    """
    if count is None:
        return test
    if count > len(test):
        raise InvalidInputError(
            f"--eval-images {count}: the test set has {len(test)} images (or say all)"
        )
    order = Streams(0).numpy("evaluation images").permutation(len(test))[:count]
    return test.subset(torch.from_numpy(np.sort(order)))
