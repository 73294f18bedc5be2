"""What the observation layer sees: a latent process, or a sequence of spectra."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impression_learning.kinds import TIME_STEP
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.seeding import Streams


@runtime_checkable
class Stimulus(Protocol):
    """A kind of data; `world` gives the data of one seed."""

    def world(self, streams: Streams, device: torch.device, dtype: torch.dtype) -> "World":
        """Give the data of the seed behind `streams`."""
        ...


@runtime_checkable
class World(Protocol):
    """The data of one seed, in passages (`training`, `test`) that are read chunk by chunk.

    Each chunk follows from the passage's name, the number of the chunk, and the state that the
    chunk before has left, so that reading can stop and go on anywhere.
    """

    def start(self, passage: str) -> Tensor:
        """Give the state before the first chunk."""
        ...

    def read(
        self, passage: str, chunk: int, steps: int, state: Tensor
    ) -> tuple[Float[Tensor, "steps n_in"], Float[Tensor, "steps _"], Tensor]:
        """Give a chunk of the data, the latent causes behind it, and the state after it."""
        ...


@dataclass(frozen=True)
class LatentProcess:
    """Observations x = A z of latents z that wander: z(t) = (1 - a^2) z(t-1) + a xi.

    a = 0.5 sqrt(dt); the elements of A are normal with standard deviation 1 / n_latent. Passages
    start with z from its stationary distribution.

    Attributes
    ----------
    n_latent, n_in
        Sizes of z and x.
    dt
        Time step; the time constant of z is about 4 / dt steps.
    """

    n_latent: int
    n_in: int
    dt: float = TIME_STEP

    def __post_init__(self) -> None:
        for name in ("n_latent", "n_in"):
            if getattr(self, name) < 1:
                raise ParameterError(name, getattr(self, name), "a whole number, at least 1")
        if not 0 < self.dt <= 1:
            raise ParameterError("dt", self.dt, "a number above 0, up to 1")

    @property
    def a(self) -> float:
        """Standard deviation of the noise that drives z."""
        return 0.5 * math.sqrt(self.dt)

    @property
    def decay(self) -> float:
        """Correlation of successive latents, the D that a network should learn."""
        return 1 - self.a**2

    def world(
        self, streams: Streams, device: torch.device, dtype: torch.dtype
    ) -> "LatentProcessWorld":
        """Draw A for a seed."""
        mixing = streams.numpy("mixing").normal(0, 1 / self.n_latent, (self.n_in, self.n_latent))
        return LatentProcessWorld(self, streams, torch.from_numpy(mixing).to(device, dtype))

    def wander(
        self, drive: Float[Tensor, "steps *networks n_latent"], state: Tensor
    ) -> Float[Tensor, "steps *networks n_latent"]:
        """Give z at every step, from the noise that drives it and z before."""
        latents = self.a * drive.to(state.dtype)
        latents[0] += self.decay * state
        # A scan by doubling: after each turn, every entry sums twice as many steps of the past.
        reach = 1
        while reach < len(latents):
            latents[reach:] += self.decay**reach * latents[:-reach].clone()
            reach *= 2
        return latents


@dataclass(frozen=True)
class LatentProcessWorld:
    """The latent process of one seed."""

    process: LatentProcess
    streams: Streams
    mixing: Float[Tensor, "n_in n_latent"]

    def start(self, passage: str) -> Float[Tensor, " n_latent"]:
        """Draw z from its stationary distribution."""
        process = self.process
        deviation = process.a / math.sqrt(1 - process.decay**2)
        drawn = self.streams.numpy(passage, "start").normal(0, deviation, process.n_latent)
        return torch.from_numpy(drawn).to(self.mixing)

    def read(
        self, passage: str, chunk: int, steps: int, state: Tensor
    ) -> tuple[Float[Tensor, "steps n_in"], Float[Tensor, "steps _"], Tensor]:
        """See `World.read`."""
        latents = self.process.wander(self.drive(passage, chunk, steps), state)
        return latents @ self.mixing.T, latents, latents[-1]

    def drive(self, passage: str, chunk: int, steps: int) -> Float[Tensor, "steps n_latent"]:
        """Draw the standard normal noise that drives z in a chunk."""
        device = self.mixing.device
        generator = self.streams.torch(passage, "latents", chunk, device=device)
        size = steps, self.mixing.shape[1]
        return torch.randn(size, generator=generator, device=device, dtype=torch.float32)


def read_together(
    worlds: Sequence[World], passage: str, chunk: int, steps: int, states: Sequence[Tensor]
) -> tuple[Float[Tensor, "steps worlds n_in"], Float[Tensor, "steps worlds _"], list[Tensor]]:
    """Do what `World.read` does, for several worlds side by side.

    Many latent processes with one law wander in common operations, which is what takes an
    accelerator no longer than a single one does.
    """
    own = [world for world in worlds if isinstance(world, LatentProcessWorld)]
    if len(own) < len(worlds) or len({world.process for world in own}) > 1 or len(own) == 1:
        read = zip(worlds, states, strict=True)
        parts = [world.read(passage, chunk, steps, state) for world, state in read]
        x, z = (side_by_side([part[k] for part in parts]) for k in range(2))
        return x, z, [after for _, _, after in parts]
    drive = torch.stack([world.drive(passage, chunk, steps) for world in own], 1)
    z = own[0].process.wander(drive, torch.stack(list(states)))
    x = torch.einsum("snl,nil->sni", z, torch.stack([world.mixing for world in own]))
    return x, z, list(z[-1])


def side_by_side(values: Sequence[Tensor]) -> Float[Tensor, "steps networks _"]:
    """Put one tensor of each network (steps x last) into one."""
    return values[0][:, None] if len(values) == 1 else torch.stack(list(values), 1)


@dataclass(frozen=True)
class Sequences:
    """Given sequences, one for each passage, repeated without end.

    Attributes
    ----------
    passages
        By name: steps x n_in.
    """

    passages: Mapping[str, Float[np.ndarray, "_ n_in"]]

    def world(self, streams: Streams, device: torch.device, dtype: torch.dtype) -> "SequencesWorld":
        """Give the sequences, which are the same for every seed, to a device."""
        return SequencesWorld(self.passages, device, dtype)


@dataclass(frozen=True)
class SequencesWorld:
    """The sequences, read chunk by chunk to a device."""

    passages: Mapping[str, Float[np.ndarray, "_ n_in"]]
    device: torch.device
    dtype: torch.dtype

    def start(self, passage: str) -> Tensor:
        """Nothing has to be remembered."""
        return torch.empty(0)

    def read(
        self, passage: str, chunk: int, steps: int, state: Tensor
    ) -> tuple[Float[Tensor, "steps n_in"], Float[Tensor, "steps _"], Tensor]:
        """See `World.read`; nothing is known of latent causes."""
        values = self.passages[passage]
        places = (chunk * steps + np.arange(steps)) % len(values)
        read = torch.from_numpy(values[places]).to(self.device, self.dtype)
        return read, read.new_empty(steps, 0), state
