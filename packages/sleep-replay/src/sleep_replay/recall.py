"""Recall: what the model makes of an image of which part is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import xarray as xr
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.stateful import Kept
from sleep_replay.data import Experience
from sleep_replay.evaluate import evaluate
from sleep_replay.model import VAE
from sleep_replay.parameters import DATA_SETS, MOMENTS, Corruption
from sleep_replay.sleep import as_bytes

PICTURED = 4
"""Images of each data set, at most, whose recall is kept as pictures."""


@dataclass(frozen=True)
class Damage:
    """In which order the pixels of each image are lost, and what is seen in their place.

    Attributes
    ----------
    rank
        Position of each pixel in the order in which its image loses them. A larger fraction thus
        loses all that a smaller one does.
    replacement
        Grey level seen once the pixel is lost.
    """

    rank: Int[Tensor, "images size size"]
    replacement: Float[Tensor, "images size size"]

    def apply(
        self, images: Float[Tensor, "images size size"], fraction: float
    ) -> Float[Tensor, "images size size"]:
        """Replace the first `lost_pixels(fraction, size)` pixels of every image."""
        lost = lost_pixels(fraction, images.shape[-1])
        return torch.where(self.rank < lost, self.replacement, images)


def lost_pixels(fraction: float, size: int) -> int:
    """Round a fraction of an image's size x size pixels to whole pixels."""
    return round(fraction * size**2)


def draw_damage(
    count: int, size: int, corruption: Corruption, generator: torch.Generator
) -> Damage:
    """Draw the damage to `count` images.

    Parameters
    ----------
    count, size
        Number of images and their side length in pixels.
    corruption
        `zero`: lost pixels are zero. `noise`: they have uniform grey levels in [0, 1].
    generator
        Draws the order of pixels first, which therefore is the same for both corruptions.
    """
    rank = torch.rand(count, size**2, generator=generator).argsort(1).view(count, size, size)
    if corruption == "noise":
        replacement = torch.rand(count, size, size, generator=generator)
    else:
        replacement = torch.zeros(count, size, size)
    return Damage(rank, replacement)


class _Recalled(Kept):
    """What has been recalled so far.

    `scores` holds error, share of variance carried, and error of the corrupted image itself;
    `pictures` what is seen (0) and the first seed's recall before (1) and after (2) sleep.
    """

    kept: ClassVar = ("scores", "pictures")

    def __init__(self, fractions: int, seeds: int, pictured: int, size: int):
        self.scores = torch.zeros(3, 2, fractions, seeds, 2)
        self.pictures = torch.zeros(2, fractions, 3, pictured, size, size, dtype=torch.uint8)


def recall(
    journal: Journal,
    before: VAE,
    after: VAE,
    experience: Experience,
    fractions: Sequence[float],
    corruption: Corruption,
    seeds: Sequence[int],
) -> xr.Dataset:
    """Let networks recall test images from partial input, before and after sleep.

    Every seed has its own damage, the same for both moments.

    Parameters
    ----------
    journal
        Keeps checkpoints and shows the progress.
    before
        The network that all seeds started from.
    after
        A network for each seed.
    experience
        The data, on the same device.
    fractions
        Of the pixels, that are lost.
    corruption
        What is seen in place of lost pixels, see `draw_damage`.
    seeds
        Of the networks.

    Returns
    -------
    xarray.Dataset
        `recall_error`, between the intact image and the reconstruction of the corrupted one, mean
        over test images; `recall_carried`, the share of the intact images' variance that these
        reconstructions carry; `input_error`, of the corrupted image itself: what recall has to
        undercut; and pictures of the first seed's network.
    """
    tests = [test.all_images() for test in experience.tests]
    size, pictured = tests[0].shape[-1], min(PICTURED, *map(len, tests))
    recalled = _Recalled(len(fractions), len(seeds), pictured, size)
    damages: dict[int, list[Damage]] = {}
    for step in journal.steps("recalling", len(seeds) * len(fractions), recalled):
        s, f = divmod(step, len(fractions))
        if s not in damages:
            damages = {s: _damages(Streams(seeds[s]), tests, corruption)}
        networks = [before.copies().eval(), after.copies(of=s).eval()]
        for d, (images, damage) in enumerate(zip(tests, damages[s], strict=True)):
            seen = damage.apply(images, fractions[f])
            lost = (images - seen).abs().sum((1, 2)).mean()
            for m, network in enumerate(networks):
                found = evaluate(network, images, seen)
                scores = (found.error.item(), found.carried.item(), lost.item())
                recalled.scores[:, m, f, s, d] = torch.tensor(scores)
            if s == 0:
                recalled.pictures[d, f] = _pictures(networks, seen[:pictured])
    error, carried, input_error = recalled.scores.numpy()
    dims = ("fraction", "seed", "data_set")
    shown = as_bytes(torch.stack([images[:pictured] for images in tests])).numpy()
    return xr.Dataset(
        {
            "recall_error": (("moment", *dims), error),
            "recall_carried": (("moment", *dims), carried),
            "input_error": (dims, input_error[0]),
            "pixels_lost": ("fraction", [lost_pixels(f, size) for f in fractions]),
            "intact": (("data_set", "recalled", "y", "x"), shown),
            "recall": (
                ("data_set", "fraction", "stage", "recalled", "y", "x"),
                recalled.pictures.numpy(),
            ),
        },
        {
            "moment": list(MOMENTS),
            "fraction": list(fractions),
            "seed": list(seeds),
            "data_set": list(DATA_SETS),
            "stage": ["seen", *MOMENTS],
        },
    )


def _damages(streams: Streams, tests: Sequence[Tensor], corruption: Corruption) -> list[Damage]:
    damages = []
    for name, images in zip(DATA_SETS, tests, strict=True):
        generator = streams.torch("corrupted pixels", name)
        damage = draw_damage(len(images), images.shape[-1], corruption, generator)
        damages.append(Damage(damage.rank.to(images.device), damage.replacement.to(images)))
    return damages


@torch.inference_mode()
def _pictures(
    networks: Sequence[VAE], seen: Float[Tensor, "pictured size size"]
) -> UInt8[Tensor, "3 pictured size size"]:
    decoded = [network.reconstruct(seen[None])[0] for network in networks]
    return as_bytes(torch.stack([seen, *decoded]))
