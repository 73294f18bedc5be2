"""Recall: what the model makes of an image of which part is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import ImageSet
from sleep_replay.evaluate import evaluate
from sleep_replay.experiments import ScheduleJob
from sleep_replay.model import VAE
from sleep_replay.sleep import as_bytes
from sleep_replay.slept import DATA_SETS, MOMENTS, Slept, load_part, sleep_once

Corruption = Literal["zero", "noise"]

PICTURED = 4
"""Images of each data set, at most, whose recall is kept as pictures."""


def parse_fractions(text: str) -> list[float]:
    """Parse fractions of pixels, `0,0.25,0.5` say, and sort them.

    Raises
    ------
    InvalidInputError
        If a part is not a number in [0, 1], or one is given twice.
    """
    allowed = "numbers from 0 to 1, as in 0,0.25,0.5"
    fractions = []
    for part in text.split(","):
        try:
            fractions.append(float(part))
        except ValueError:
            raise InvalidInputError(
                f"--fractions {text}: {part.strip()!r} is not a number; {allowed}"
            ) from None
        if not 0 <= fractions[-1] <= 1:
            raise InvalidInputError(
                f"--fractions {text}: {part.strip()} is out of range; {allowed}"
            )
    if len(set(fractions)) < len(fractions):
        raise InvalidInputError(f"--fractions {text}: a fraction is given twice")
    return sorted(fractions)


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


@dataclass(frozen=True)
class RecallResult:
    """What a recall experiment records.

    The index `moments` is 0 before and 1 after sleep; the last index of numbers, and the first of
    pictures, is the data set (old, new).

    Attributes
    ----------
    errors
        Mean over test images of the summed absolute difference between the intact image and the
        reconstruction of the corrupted one.
    carried
        Share of the intact images' variance that these reconstructions carry, see `Evaluation`.
    input_errors
        As `errors`, of the corrupted image itself: what recall has to undercut.
    images
        Intact test images; grey levels as bytes.
    pictures
        These images corrupted (0), and what the first seed's network makes of that before (1) and
        after (2) sleep; grey levels as bytes.
    slept
        The sleep in between.
    """

    errors: Float[np.ndarray, "moments fractions seeds 2"]
    carried: Float[np.ndarray, "moments fractions seeds 2"]
    input_errors: Float[np.ndarray, "fractions seeds 2"]
    images: UInt8[np.ndarray, "2 pictured size size"]
    pictures: UInt8[np.ndarray, "2 fractions 3 pictured size size"]
    slept: Slept


@dataclass(frozen=True)
class RecallJob:
    """Recall from partial input, before and after sleep.

    Attributes
    ----------
    schedule
        The sleep; one condition.
    fractions
        Fractions of the pixels that are lost.
    corruption
        What is seen in place of lost pixels, see `draw_damage`.
    """

    schedule: ScheduleJob
    fractions: Sequence[float]
    corruption: Corruption = "zero"

    def run(self, journal: Journal) -> RecallResult:
        """Sleep, then recall with every seed's network, before and after.

        Every seed has its own damage, the same for both moments.
        """
        slept = sleep_once(journal, self.schedule)
        scores, pictures = self._recall(journal, slept)
        shown = torch.arange(pictures.shape[3])
        images = torch.stack([test.images(shown) for test in self._tests()])
        return RecallResult(
            errors=scores[:, :, 0].numpy(),
            carried=scores[:, :, 1].numpy(),
            input_errors=scores[0, :, 2].numpy(),
            images=as_bytes(images).numpy(),
            pictures=pictures.numpy(),
            slept=slept,
        )

    def _tests(self) -> tuple[ImageSet, ImageSet]:
        experience = self.schedule.setup.experience
        return experience.old_test, experience.new_test

    def _recall(self, journal: Journal, slept: Slept) -> tuple[Tensor, Tensor]:
        seeds, fractions = self.schedule.seeds, self.fractions
        tests = [test.all_images() for test in self._tests()]
        size, pictured = tests[0].shape[-1], min(PICTURED, *map(len, tests))
        # The third index is error, share of variance carried, error of the corrupted image.
        scores = torch.zeros(2, len(fractions), 3, len(seeds), 2)
        pictures = torch.zeros(2, len(fractions), 3, pictured, size, size, dtype=torch.uint8)
        done = 0
        kept = load_part(journal, "recall")
        if kept is not None:
            scores, pictures, done = kept["scores"], kept["pictures"], int(kept["done"])
        steps = [(s, f) for s in range(len(seeds)) for f in range(len(fractions))]
        damages: dict[int, list[Damage]] = {}
        with journal.reporter.progress("recalling", len(steps), done) as advance:
            for s, f in steps[done:]:
                if s not in damages:
                    damages = {s: self._damages(Streams(seeds[s]), tests)}
                networks = [slept.network(moment, s, self.schedule) for moment in MOMENTS]
                for d, (images, damage) in enumerate(zip(tests, damages[s], strict=True)):
                    seen = damage.apply(images, fractions[f])
                    for m, network in enumerate(networks):
                        found = evaluate(network, images, seen)
                        scores[m, f, 0, s, d] = found.error.item()
                        scores[m, f, 1, s, d] = found.carried.item()
                        scores[m, f, 2, s, d] = (images - seen).abs().sum((1, 2)).mean().item()
                    if s == 0:
                        pictures[d, f] = _pictures(networks, seen[:pictured])
                done += 1
                advance(1)
                if journal.checkpoint_due():
                    tensors = {"scores": scores, "pictures": pictures, "done": torch.tensor(done)}
                    journal.save_checkpoint(tensors, part="recall")
        return scores, pictures

    def _damages(self, streams: Streams, tests: Sequence[Tensor]) -> list[Damage]:
        damages = []
        for name, images in zip(DATA_SETS, tests, strict=True):
            generator = streams.torch("corrupted pixels", name)
            damage = draw_damage(len(images), images.shape[-1], self.corruption, generator)
            damages.append(Damage(damage.rank.to(images.device), damage.replacement.to(images)))
        return damages


@torch.inference_mode()
def _pictures(networks: Sequence[VAE], seen: Tensor) -> Tensor:
    decoded = [network.reconstruct(seen[None])[0] for network in networks]
    return as_bytes(torch.stack([seen, *decoded]))


def summary(result: RecallResult, fractions: Sequence[float]) -> dict[str, Any]:
    """Sum a result up over seeds, for `metrics.json`: mean and standard deviation."""
    size = result.images.shape[-1]

    def by_set(values: np.ndarray) -> dict[str, Any]:
        return {
            name: {"mean": values[..., d].mean(1), "sd": values[..., d].std(1)}
            for d, name in enumerate(DATA_SETS)
        }

    return {
        "fractions": list(fractions),
        "pixels_lost": [lost_pixels(fraction, size) for fraction in fractions],
        "error": {moment: by_set(result.errors[m]) for m, moment in enumerate(MOMENTS)},
        "variance_carried": {moment: by_set(result.carried[m]) for m, moment in enumerate(MOMENTS)},
        "error_of_the_corrupted_images": by_set(result.input_errors),
    }


def arrays(result: RecallResult, fractions: Sequence[float]) -> dict[str, np.ndarray]:
    """Collect what `arrays.npz` holds: the result's own arrays, and the sleep's errors."""
    return {
        "fractions": np.array(fractions),
        "errors": result.errors,
        "carried": result.carried,
        "input_errors": result.input_errors,
        "images": result.images,
        "pictures": result.pictures,
        "sleep_errors": result.slept.errors,
        "sleep_carried": result.slept.carried,
    }
