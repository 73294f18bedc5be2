"""The main experiment: sleep schedules, for several seeds and conditions at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import ImageSet
from sleep_replay.evaluate import evaluate
from sleep_replay.model import VAE, Architecture
from sleep_replay.schedule import Cycle, Schedule
from sleep_replay.train import Trainer, Training, own_images
from sleep_replay.weights import State

DREAMS_SHOWN = 16
RECONSTRUCTIONS_SHOWN = 8

Observer = Callable[[VAE], Mapping[str, Tensor]]
"""Measures something more on the networks: tensors whose leading dimension is the network."""


@dataclass(frozen=True)
class Condition:
    """What distinguishes one condition of a sleep experiment from another.

    Attributes
    ----------
    schedule
        When NREM and REM alternate.
    continue_training
        Whether REM draws its samples from the current model (True) or from the frozen initial one.
    """

    schedule: Schedule
    continue_training: bool = True


@dataclass(frozen=True)
class SleepResult:
    """What a sleep experiment records.

    The first index of `errors` and `carried` is the time (0: before sleep, then after every
    cycle), the second the condition, the third the seed, the last the data set (old, new).

    Attributes
    ----------
    errors
        Mean reconstruction error over the test images.
    carried
        Share of the test images' variance that the reconstructions carry, see `Evaluation`.
    image_errors
        Error of every test image before (0) and after (1) sleep.
    dreams
        Samples from the first network (first condition, first seed), from the same latents at
        every time; grey levels as bytes.
    pictures
        Test images of both data sets (0), and their reconstructions by the first network before
        (1) and after (2) sleep; grey levels as bytes.
    observed
        What the observer measured, if there was one: arrays of times x conditions x seeds x ...
    initial
        Parameters of the network that all started from.
    networks
        Parameters of all networks after sleep; the leading dimension is condition x seed.
    """

    errors: Float[np.ndarray, "times conditions seeds 2"]
    carried: Float[np.ndarray, "times conditions seeds 2"]
    image_errors: Float[np.ndarray, "2 conditions seeds 2 images"]
    dreams: UInt8[np.ndarray, "times shown size size"]
    pictures: UInt8[np.ndarray, "3 2 pictured size size"]
    observed: dict[str, np.ndarray]
    initial: State
    networks: State


def sleep(
    journal: Journal,
    initial: State,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    new_train: ImageSet,
    old_test: ImageSet,
    new_test: ImageSet,
    *,
    num: int,
    training: Training,
    latent_dim: int,
    architecture: Architecture,
    device: torch.device,
    observe: Observer | None = None,
) -> SleepResult:
    """Let models that know data set 1 sleep after seeing data set 2.

    All conditions and seeds train together as one batched model. Networks with the same seed are
    given the same random numbers in every condition, whatever runs beside them. `observe` is called
    before sleep and after every cycle; what it gives is kept in the checkpoints too.
    """
    cycles = [condition.schedule.cycles() for condition in conditions]
    count = len(cycles[0])
    if any(len(c) != count or _epochs(c) != _epochs(cycles[0]) for c in cycles):
        raise InvalidInputError("conditions that sleep together need equal cycles and epochs")
    networks = [(c, seed) for c in range(len(conditions)) for seed in seeds]
    streams = [Streams(seed) for _, seed in networks]
    own = torch.tensor([conditions[c].continue_training for c, _ in networks], device=device)

    vae = VAE(len(networks), latent_dim, architecture).to(device).load_network(initial)
    frozen = VAE(1, latent_dim, architecture).to(device).load_network(initial).eval()
    trainer = Trainer(vae, training)
    recorder = _Recorder((len(conditions), len(seeds)), old_test, new_test, streams[0], observe)

    start = 0
    checkpoint = journal.load_checkpoint()
    if checkpoint is not None:
        state, progress = checkpoint
        start = int(progress["cycle"])
        trainer.load_state(state)
        recorder.load_state(state)
    else:
        recorder.record(vae)
    epochs = _epochs(cycles[0])
    with journal.reporter.progress("sleeping (epochs)", count * epochs, start * epochs) as advance:
        for cycle in range(start, count):
            generators = [s.torch("sleep", cycle) for s in streams]
            images = _recent_memories(new_train, num, streams, cycle)
            for epoch in range(epochs):
                dreaming = torch.tensor(
                    [cycles[c][cycle].nrem == epoch for c, _ in networks], device=device
                )
                if dreaming.any():
                    dreams = _dreams(vae, frozen, own, num, streams, cycle)
                    images = torch.where(dreaming[:, None, None, None], dreams, images)
                trainer.epoch(own_images(images), num, generators)
                advance(1)
            recorder.record(vae)
            if journal.checkpoint_due():
                journal.save_checkpoint(trainer.state() | recorder.state(), cycle=cycle + 1)
    return recorder.result(initial, vae)


def _epochs(cycles: Sequence[Cycle]) -> int:
    return cycles[0].nrem + cycles[0].rem


def _recent_memories(
    new_train: ImageSet, num: int, streams: Sequence[Streams], cycle: int
) -> Tensor:
    """Draw the images that each network replays in NREM."""
    drawn = [
        torch.randperm(len(new_train), generator=s.torch("recent memories", cycle))[:num]
        for s in streams
    ]
    return new_train.images(torch.stack(drawn))


@torch.no_grad()
def _dreams(
    vae: VAE, frozen: VAE, own: Tensor, num: int, streams: Sequence[Streams], cycle: int
) -> Tensor:
    """Draw the samples that each network trains on in REM, from itself or the frozen model."""
    latents = torch.stack(
        [torch.randn(num, vae.latent_dim, generator=s.torch("dreams", cycle)) for s in streams]
    ).to(own.device)
    dreams = vae.eval().decode(latents)
    if not own.all():
        old = frozen.decode(latents.flatten(0, 1)[None])[0].view_as(dreams)
        dreams = torch.where(own[:, None, None, None], dreams, old)
    return dreams


class _Recorder:
    """Evaluates the networks at every time and collects what the figures show."""

    def __init__(
        self,
        shape: tuple[int, int],
        old_test: ImageSet,
        new_test: ImageSet,
        stream: Streams,
        observe: Observer | None,
    ):
        self.shape = shape
        self.tests = (old_test.all_images(), new_test.all_images())
        self.stream, self.observe = stream, observe
        self.times: list[dict[str, Tensor]] = []
        self.ends: dict[str, Tensor] = {}

    def record(self, vae: VAE) -> None:
        """Evaluate all networks on both data sets, and let the first dream for the record."""
        vae.eval()
        scores = [evaluate(vae, images) for images in self.tests]
        observed = {} if self.observe is None else self.observe(vae)
        self.times.append(
            {
                "errors": torch.stack([s.error for s in scores], -1).cpu(),
                "carried": torch.stack([s.carried for s in scores], -1).cpu(),
                "dreams": self._dream(vae),
            }
            | {f"observed.{name}": tensor.cpu() for name, tensor in observed.items()}
        )
        moment = "before" if len(self.times) == 1 else "after"
        self.ends[f"image_errors.{moment}"] = torch.stack([s.errors for s in scores], 1).cpu()
        self.ends[f"reconstructions.{moment}"] = self._reconstruct(vae)

    @torch.no_grad()
    def _dream(self, vae: VAE) -> Tensor:
        latents = torch.randn(
            1, DREAMS_SHOWN, vae.latent_dim, generator=self.stream.torch("dreams shown")
        )
        return as_bytes(first_network(vae).decode(latents.to(self.tests[0].device))[0])

    @torch.no_grad()
    def _reconstruct(self, vae: VAE) -> Tensor:
        shown = torch.stack([images[:RECONSTRUCTIONS_SHOWN] for images in self.tests])
        decoded = first_network(vae).reconstruct(shown.flatten(0, 1)[None])[0]
        return as_bytes(decoded.view_as(shown))

    def state(self) -> dict[str, Tensor]:
        """Everything recorded so far, for a checkpoint."""
        rows = {f"times.{name}": self._series(name) for name in self.times[0]}
        return rows | self.ends

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        series = {k.removeprefix("times."): t for k, t in state.items() if k.startswith("times.")}
        count = len(series["errors"])
        self.times = [{name: rows[i] for name, rows in series.items()} for i in range(count)]
        self.ends = {k: t for k, t in state.items() if k.endswith((".before", ".after"))}

    def _series(self, name: str) -> Tensor:
        return torch.stack([row[name] for row in self.times])

    def result(self, initial: State, vae: VAE) -> SleepResult:
        """Shape everything recorded by condition and seed."""
        images = torch.stack([t[:RECONSTRUCTIONS_SHOWN] for t in self.tests])
        pictures = [as_bytes(images)] + [
            self.ends[f"reconstructions.{moment}"] for moment in ("before", "after")
        ]
        image_errors = torch.stack(
            [self.ends[f"image_errors.{moment}"] for moment in ("before", "after")]
        )
        times = len(self.times)
        observed = {
            key.removeprefix("observed."): self._series(key).unflatten(1, self.shape).numpy()
            for key in self.times[0]
            if key.startswith("observed.")
        }
        return SleepResult(
            errors=self._series("errors").view(times, *self.shape, 2).numpy(),
            carried=self._series("carried").view(times, *self.shape, 2).numpy(),
            image_errors=image_errors.view(2, *self.shape, *image_errors.shape[-2:]).numpy(),
            dreams=self._series("dreams").numpy(),
            pictures=torch.stack(pictures).numpy(),
            observed=observed,
            initial=initial,
            networks={name: tensor.cpu() for name, tensor in vae.state_dict().items()},
        )


def first_network(vae: VAE) -> VAE:
    """Copy the first network."""
    single = VAE(1, vae.latent_dim, vae.architecture).to(next(vae.parameters()).device)
    return single.load_network(vae.network_state(0)).eval()


def as_bytes(images: Tensor) -> Tensor:
    """Grey levels in [0, 1] as bytes on the CPU, for storage."""
    return (images * 255).round().to("cpu", torch.uint8)
