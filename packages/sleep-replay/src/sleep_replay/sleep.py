"""A night of sleep: schedules of NREM and REM, for several nights and seeds at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import xarray as xr
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import Experience, ImageSet
from sleep_replay.evaluate import constant_error, evaluate
from sleep_replay.model import VAE
from sleep_replay.parameters import DATA_SETS, MOMENTS, Learning, Night
from sleep_replay.train import Trainer, own_images
from sleep_replay.weights import State

DREAMS_SHOWN = 16
RECONSTRUCTIONS_SHOWN = 8

Images = Float[Tensor, "networks num size size"]
Observer = Callable[[VAE], Mapping[str, Float[Tensor, "networks 2"]]]
"""Measures something more on the networks, for both data sets."""


class Slept(NamedTuple):
    """What a night leaves.

    Attributes
    ----------
    data
        What was recorded. Cycle 0 is before sleep. `error` and `carried` (see `Evaluation`) are
        means over test images, `constant_error` is the error of the best constant image,
        `image_error` that of each test image; `dream` holds samples of the first network (first
        night, first seed), from the same latents at every time, `picture` test images, and
        `reconstruction` what the first network makes of them. What an observer measured stands
        beside `error` under its own names.
    networks
        Parameters of all networks after sleep; the leading dimension is night x seed.
    """

    data: xr.Dataset
    networks: State


def sleep(
    journal: Journal,
    initial: VAE,
    experience: Experience,
    nights: Sequence[Night],
    learning: Learning,
    seeds: Sequence[int],
    observe: Observer | None = None,
) -> Slept:
    """Let models that know data set 1 sleep after seeing data set 2.

    All nights and seeds train together as one batched model. Networks with the same seed are
    given the same random numbers in every night, whatever runs beside them.

    Parameters
    ----------
    journal
        Keeps a checkpoint per cycle and shows the progress.
    initial
        The network that all start from.
    experience
        The data, on the same device.
    nights
        When NREM and REM alternate; of equal numbers of cycles, epochs and images.
    learning
        How the networks learn.
    seeds
        A network for each, in every night.
    observe
        Called before sleep and after every cycle.
    """
    cycles = [night.cycles() for night in nights]
    (shape,) = {(n.num_cycles, n.epochs_per_cycle, n.num) for n in nights}
    count, epochs, num = shape
    networks = [(n, seed) for n in range(len(nights)) for seed in seeds]
    streams = [Streams(seed) for _, seed in networks]
    own = torch.tensor([nights[n].continue_training for n, _ in networks])

    vae = initial.copies(len(networks))
    frozen = initial.copies().eval()
    sleepers = _Sleepers(Trainer(vae, learning), _Recorder(experience, streams[0], observe))
    for cycle in journal.steps("sleeping (epochs)", count, sleepers, weight=epochs):
        if cycle == 0:
            sleepers.recorder.record(vae)
        generators = [s.torch("sleep", cycle) for s in streams]
        images = _recent_memories(experience.new_train, num, streams, cycle)
        for epoch in range(epochs):
            falls_asleep = torch.tensor([cycles[n][cycle].nrem == epoch for n, _ in networks])
            if falls_asleep.any():
                dreams = _dreams(vae, frozen, own, num, streams, cycle)
                images = _choose(falls_asleep, dreams, images)
            sleepers.trainer.epoch(own_images(images), num, generators)
        sleepers.recorder.record(vae)
    data = sleepers.recorder.dataset(len(nights), seeds)
    data = data.assign_coords(epoch=("cycle", [cycle * epochs for cycle in range(count + 1)]))
    return Slept(data, {name: tensor.cpu() for name, tensor in vae.state_dict().items()})


def sleep_once(journal: Journal, *arguments: Any) -> Slept:
    """Do what `sleep` does as a part of the work that a resumed run does not do again."""
    kept = journal.once("sleep", lambda part: sleep(part, *arguments)._asdict())
    return Slept(**kept)


def _recent_memories(
    new_train: ImageSet, num: int, streams: Sequence[Streams], cycle: int
) -> Images:
    """Draw the images that each network replays in NREM."""
    drawn = [
        torch.randperm(len(new_train), generator=s.torch("recent memories", cycle))[:num]
        for s in streams
    ]
    return new_train.images(torch.stack(drawn))


@torch.no_grad()
def _dreams(
    vae: VAE,
    frozen: VAE,
    own: Bool[Tensor, " networks"],
    num: int,
    streams: Sequence[Streams],
    cycle: int,
) -> Images:
    """Draw the samples that each network trains on in REM, from itself or the frozen model."""
    latents = torch.stack(
        [torch.randn(num, vae.latent_dim, generator=s.torch("dreams", cycle)) for s in streams]
    ).to(next(vae.parameters()).device)
    dreams = vae.eval().decode(latents)
    if not own.all():
        old = frozen.decode(latents.flatten(0, 1)[None])[0].view_as(dreams)
        dreams = _choose(own, dreams, old)
    return dreams


def _choose(first: Bool[Tensor, " networks"], images: Images, others: Images) -> Images:
    """Give each network its `images` where `first` says so, and its `others` elsewhere."""
    return torch.where(first.to(images.device)[:, None, None, None], images, others)


class _Sleepers:
    """All that a night changes: networks, optimiser, and what is recorded."""

    def __init__(self, trainer: Trainer, recorder: "_Recorder"):
        self.trainer, self.recorder = trainer, recorder

    def state_dict(self) -> dict[str, Any]:
        return {
            "trainer": self.trainer.state_dict(),
            "series": self.recorder.series,
            "moments": self.recorder.moments,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        self.recorder.series, self.recorder.moments = state["series"], state["moments"]


class _Recorder:
    """Evaluates the networks at every time and collects what the figures show.

    Attributes
    ----------
    series
        Measured at every time: numbers of networks x data sets, and the dreams of the first.
    moments
        What is kept of the first and of the last time.
    """

    def __init__(self, experience: Experience, stream: Streams, observe: Observer | None):
        self.tests = [test.all_images() for test in experience.tests]
        self.stream, self.observe = stream, observe
        self.series: dict[str, list[Tensor]] = {}
        self.moments: dict[str, dict[str, Tensor]] = {}

    def record(self, vae: VAE) -> None:
        """Evaluate all networks on both data sets, and let the first dream for the record."""
        vae.eval()
        scores = [evaluate(vae, images) for images in self.tests]
        measured = {
            "error": torch.stack([s.error for s in scores], -1),
            "carried": torch.stack([s.carried for s in scores], -1),
            "dream": self._dream(vae),
            **(self.observe(vae) if self.observe else {}),
        }
        for name, values in measured.items():
            self.series.setdefault(name, []).append(values.cpu())
        moment = MOMENTS[0] if len(self.series["error"]) == 1 else MOMENTS[1]
        errors = [s.errors.T.cpu() for s in scores]  # images x networks
        self.moments[moment] = {
            "image_error": torch.nn.utils.rnn.pad_sequence(errors, padding_value=torch.nan),
            "reconstruction": self._reconstruct(vae),
        }

    @torch.no_grad()
    def _dream(self, vae: VAE) -> UInt8[Tensor, "shown size size"]:
        latents = torch.randn(
            1, DREAMS_SHOWN, vae.latent_dim, generator=self.stream.torch("dreams shown")
        )
        return as_bytes(vae.copies().eval().decode(latents.to(self.tests[0].device))[0])

    @torch.no_grad()
    def _reconstruct(self, vae: VAE) -> UInt8[Tensor, "2 pictured size size"]:
        shown = self._shown()
        decoded = vae.copies().eval().reconstruct(shown.flatten(0, 1)[None])[0]
        return as_bytes(decoded.view_as(shown))

    def _shown(self) -> Float[Tensor, "2 pictured size size"]:
        return torch.stack([images[:RECONSTRUCTIONS_SHOWN] for images in self.tests])

    def dataset(self, nights: int, seeds: Sequence[int]) -> xr.Dataset:
        """Label everything recorded."""
        series = {name: torch.stack(values) for name, values in self.series.items()}
        dreams = series.pop("dream").numpy()
        per_network = {
            name: values.unflatten(1, (nights, len(seeds))).numpy()
            for name, values in series.items()
        }
        moments = {
            name: torch.stack([self.moments[moment][name] for moment in MOMENTS])
            for name in ("image_error", "reconstruction")
        }
        # moments x images x data sets x networks, to moments x nights x seeds x data sets x images
        errors = moments["image_error"].permute(0, 3, 2, 1).unflatten(1, (nights, len(seeds)))
        return xr.Dataset(
            {
                name: (("cycle", "night", "seed", "data_set"), values)
                for name, values in per_network.items()
            }
            | {
                "constant_error": ("data_set", [constant_error(images) for images in self.tests]),
                "image_error": (("moment", "night", "seed", "data_set", "image"), errors.numpy()),
                "dream": (("cycle", "dreamt", "y", "x"), dreams),
                "picture": (("data_set", "shown", "y", "x"), as_bytes(self._shown()).numpy()),
                "reconstruction": (
                    ("moment", "data_set", "shown", "y", "x"),
                    moments["reconstruction"].numpy(),
                ),
            },
            {
                "cycle": range(len(dreams)),
                "seed": list(seeds),
                "data_set": list(DATA_SETS),
                "moment": list(MOMENTS),
            },
        )


def as_bytes(images: Tensor) -> UInt8[Tensor, "..."]:
    """Grey levels in [0, 1] as bytes on the CPU, for storage."""
    return (images * 255).round().to("cpu", torch.uint8)
