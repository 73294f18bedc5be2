"""A night of sleep: schedules of NREM and REM, for several nights and seeds at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
import xarray as xr
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.stateful import Kept
from sleep_replay.data import Experience, ImageSet
from sleep_replay.evaluate import constant_error, evaluate, single
from sleep_replay.model import VAE
from sleep_replay.parameters import DATA_SETS, MOMENTS, Learning, Night
from sleep_replay.train import Trainer, own_images
from sleep_replay.weights import State

DREAMS_SHOWN = 16
DREAMS_COUNTED = 100
"""Dreams of each network, at every time, whose likeness to the data sets is measured."""
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
        means over test images, `standard_error` is that of the mean error, `constant_error` the
        error of the best constant image, `image_error` that of each test image; `dream_share` is
        the share of each network's own dreams that look like each data set (see `dream_shares`).
        Of the first seed's network in each night, `dream` holds samples, from the same latents at
        every time, and `reconstruction` what it makes of the test images in `picture`. What an
        observer measured stands beside `error` under its own names.
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
        When NREM and REM alternate; of equal numbers of cycles, epochs, images and dreams, and all
        mixed or none.
    learning
        How the networks learn.
    seeds
        A network for each, in every night.
    observe
        Called before sleep and after every cycle.
    """
    plans = [night.cycles() for night in nights]
    (shape,) = {
        (n.num_cycles, n.epochs_per_cycle, n.num, n.dreams, n.draws, n.mixed) for n in nights
    }
    count, epochs, num, kept, draws, mixed = shape
    networks = [(n, seed) for n in range(len(nights)) for seed in seeds]
    streams = [Streams(seed) for _, seed in networks]
    own = torch.tensor([nights[n].continue_training for n, _ in networks])

    vae = initial.copies(len(networks))
    frozen = initial.copies().eval()
    trainer = Trainer(vae, learning)
    recorder = _Recorder(trainer, experience, streams, len(seeds), observe)
    for cycle in journal.steps("sleeping (epochs)", count, recorder, weight=epochs):
        if cycle == 0:
            recorder.record()
        generators = [s.torch("sleep", cycle) for s in streams]
        nrem = torch.tensor([plans[n][cycle].nrem for n, _ in networks])
        dreaming = torch.zeros_like(nrem) if mixed else nrem  # the epoch before which all dream
        recent = _recent_memories(experience.new_train, num, streams, cycle)
        dreams = torch.zeros(len(networks), kept, *recent.shape[2:], device=recent.device)
        order = _order(epochs * num, streams, cycle, mixed=mixed)
        for epoch in range(epochs):
            if (dreaming == epoch).any():
                drawn = _dreams(vae, frozen, own, kept, draws, streams, cycle)
                dreams = _choose(dreaming == epoch, drawn, dreams)
            images = _presented(order[:, epoch * num :][:, :num], recent, dreams, nrem * num)
            trainer.epoch(own_images(images), num, generators)
        recorder.record()
    data = recorder.dataset(len(nights), seeds)
    data = data.assign_coords(epoch=("cycle", [cycle * epochs for cycle in range(count + 1)]))
    return Slept(data, {name: tensor.cpu() for name, tensor in vae.state_dict().items()})


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
    count: int,
    draws: int,
    streams: Sequence[Streams],
    cycle: int,
) -> Images:
    """Draw the samples that each network trains on in REM, from itself or the frozen model.

    Of `draws` times as many, those are kept that whoever dreams reconstructs best.
    """
    latents = torch.stack(
        [
            torch.randn(count * draws, vae.latent_dim, generator=s.torch("dreams", cycle))
            for s in streams
        ]
    ).to(next(vae.parameters()).device)
    dreams = _best(vae.eval(), vae.decode(latents), count)
    if not own.all():
        old = frozen.decode(latents.flatten(0, 1)[None]).view(*latents.shape[:2], *dreams.shape[2:])
        dreams = _choose(own, dreams, _best(frozen.copies(len(streams)).eval(), old, count))
    return dreams


def _best(dreamers: VAE, dreams: Float[Tensor, "networks drawn size size"], count: int) -> Images:
    """Keep the dreams that the network reconstructs best."""
    if dreams.shape[1] == count:
        return dreams
    errors = (dreamers.reconstruct(dreams) - dreams).abs().sum((2, 3))
    rows = torch.arange(len(dreams), device=dreams.device)[:, None]
    return dreams[rows, errors.argsort(1)[:, :count]]


def _order(
    count: int, streams: Sequence[Streams], cycle: int, *, mixed: bool
) -> Int[Tensor, "networks count"]:
    """Give the order in which each network sees what a cycle presents: first NREM, then REM."""
    if not mixed:
        return torch.arange(count).expand(len(streams), -1)
    return torch.stack([torch.randperm(count, generator=s.torch("mixed", cycle)) for s in streams])


def _presented(
    places: Int[Tensor, "networks num"],
    recent: Images,
    dreams: Float[Tensor, "networks dreams size size"],
    nrem: Int[Tensor, " networks"],
) -> Images:
    """Give what each network sees at these places of its cycle, of which `nrem` are NREM.

    In NREM and in REM, images and dreams come in turn, beginning anew when all are used.
    """
    rows = torch.arange(len(places), device=recent.device)[:, None]
    asleep = (places - nrem[:, None]).clamp(min=0) % dreams.shape[1]
    remembered = recent[rows, (places % recent.shape[1]).to(recent.device)]
    dreamt = dreams[rows, asleep.to(recent.device)]
    awake = (places < nrem[:, None]).to(recent.device)
    return torch.where(awake[:, :, None, None], remembered, dreamt)


def _choose(first: Bool[Tensor, " networks"], images: Images, others: Images) -> Images:
    """Give each network its `images` where `first` says so, and its `others` elsewhere."""
    return torch.where(first.to(images.device)[:, None, None, None], images, others)


class _Recorder(Kept):
    """Evaluates the networks at every time and collects what the figures show.

    Its state is all that a night changes: networks, optimiser, and what is recorded.

    Attributes
    ----------
    series
        Measured at every time: numbers of networks x data sets, and the first seed's dreams.
    moments
        What is kept of the first and of the last time.
    """

    kept: ClassVar = ("trainer", "series", "moments")

    def __init__(
        self,
        trainer: Trainer,
        experience: Experience,
        streams: Sequence[Streams],
        seeds: int,
        observe: Observer | None,
    ):
        self.trainer = trainer
        self.tests = [test.all_images() for test in experience.tests]
        self.streams, self.observe = streams, observe
        self.firsts = range(0, len(streams), seeds)
        """The networks of the first seed."""
        self.series: dict[str, list[Tensor]] = {}
        self.moments: dict[str, dict[str, Tensor]] = {}

    def record(self) -> None:
        """Evaluate all networks on both data sets, and let them dream for the record."""
        vae = self.trainer.vae.eval()
        scores = [evaluate(vae, images) for images in self.tests]
        dreams = [self._dreams(single(vae, index), index) for index in range(vae.networks)]
        measured = {
            "error": torch.stack([s.error for s in scores], -1),
            "standard_error": torch.stack([s.standard_error for s in scores], -1),
            "carried": torch.stack([s.carried for s in scores], -1),
            "dream_share": torch.stack([dream_shares(images, self.tests) for images in dreams]),
            "dream": as_bytes(torch.stack([dreams[i][:DREAMS_SHOWN] for i in self.firsts])),
            **(self.observe(vae) if self.observe else {}),
        }
        for name, values in measured.items():
            self.series.setdefault(name, []).append(values.cpu())
        moment = MOMENTS[0] if len(self.series["error"]) == 1 else MOMENTS[1]
        errors = [s.errors.T.cpu() for s in scores]  # images x networks
        self.moments[moment] = {
            "image_error": torch.nn.utils.rnn.pad_sequence(errors, padding_value=torch.nan),
            "reconstruction": torch.stack([self._reconstruct(vae, i) for i in self.firsts]),
        }

    @torch.no_grad()
    def _dreams(self, network: VAE, index: int) -> Float[Tensor, "dreams size size"]:
        """Let a network dream, from the same latents at every time."""
        generator = self.streams[index].torch("dreams shown")
        latents = torch.randn(1, DREAMS_COUNTED, network.latent_dim, generator=generator)
        return network.decode(latents.to(self.tests[0].device))[0]

    @torch.no_grad()
    def _reconstruct(self, vae: VAE, index: int) -> UInt8[Tensor, "2 pictured size size"]:
        shown = self._shown()
        decoded = vae.copies(of=index).eval().reconstruct(shown.flatten(0, 1)[None])[0]
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
                "dream": (("cycle", "night", "dreamt", "y", "x"), dreams),
                "picture": (("data_set", "shown", "y", "x"), as_bytes(self._shown()).numpy()),
                "reconstruction": (
                    ("moment", "night", "data_set", "shown", "y", "x"),
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


def dream_shares(
    dreams: Float[Tensor, "dreams size size"], tests: Sequence[Tensor]
) -> Float[Tensor, "2"]:
    """Give the share of dreams that look like each data set.

    A dream looks like the data set to which the test image belongs that is nearest to it (in the
    Euclidean distance of grey levels), out of equal numbers of both.
    """
    count = min(map(len, tests))
    images = torch.cat([images[:count] for images in tests])
    nearest = torch.cdist(dreams.flatten(1), images.flatten(1)).argmin(1)
    new = (nearest >= count).float().mean()
    return torch.stack([1 - new, new])


def as_bytes(images: Tensor) -> UInt8[Tensor, "..."]:
    """Grey levels in [0, 1] as bytes on the CPU, for storage."""
    return (images * 255).round().to("cpu", torch.uint8)
