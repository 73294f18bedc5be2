"""The two tasks: where an animal is from its steps, where it heads from its turns.

Trajectories are generated for a whole batch at a time, on the device, from an explicit generator.
Times are in s, lengths in m, angles in rad.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import ive
from torch import Tensor

from rnn_reactivation.configuration import Configuration
from rnn_reactivation.sections import HeadDirectionTask, NavigationTask, Task
from sharpwave_shared.seeding import Streams

NEGLIGIBLE = 1e-10
"""Fourier components of a tuning curve below this, relative to its peak, are left out."""


class Trajectories(NamedTuple):
    """What the animals of a batch do.

    Attributes
    ----------
    start
        The variable to track before the first step: position (m; 2 dimensions) or bearing (rad; 1).
    inputs
        Its change at every step: displacement (m) or turn (rad).
    states
        Its value after every step. Bearings lie in [-pi, pi).
    """

    start: Float[Tensor, "*trajectories dims"]
    inputs: Float[Tensor, "steps *trajectories dims"]
    states: Float[Tensor, "steps *trajectories dims"]


class Motion(NamedTuple):
    """All that is random about trajectories.

    Attributes
    ----------
    start
        Where they start (m, or rad).
    heading
        The heading at first (rad); of no use to the head direction task, whose start it is.
    lengths
        Lengths of the steps (m), where no wall is near; zero in the head direction task.
    turns
        Turns at every step (rad): those of a biased head are all to the left.
    drift
        What an animal's steps gain, as a share of its way to the anchor.
    """

    start: Float[Tensor, "*trajectories dims"]
    heading: Float[Tensor, "*trajectories"]
    lengths: Float[Tensor, " steps *trajectories"]
    turns: Float[Tensor, " steps *trajectories"]
    drift: Float[Tensor, "*trajectories"]


def wrap(angles: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Bring angles (rad) into [-pi, pi)."""
    wrapped = torch.remainder(angles + math.pi, 2 * math.pi) - math.pi
    # Just below -pi, the remainder is rounded up to the whole circle.
    return wrapped.masked_fill(wrapped >= math.pi, -math.pi)


def make_trajectories(task: Task, count: int, generator: torch.Generator) -> Trajectories:
    """Generate so many trajectories, on the generator's device, in torch's default dtype."""
    return move(task, draw_motion(task, count, generator))


def draw_motion(task: Task, count: int, generator: torch.Generator) -> Motion:
    """Draw what is random about trajectories."""
    like: Any = {"generator": generator, "device": generator.device}
    size = task.length, count
    if isinstance(task, HeadDirectionTask):
        start = (2 * torch.rand((count, 1), **like) - 1) * (math.pi * task.random_start)
        turns = _turns(task, torch.randn(size, **like))
        turns = turns.abs() if task.biased else turns
        none = torch.zeros_like(turns)
        return Motion(start, start[:, 0], none, turns, none[0])
    half = _half(task, generator.device)
    if task.random_start:
        start = (2 * torch.rand((count, 2), **like) - 1) * half
    else:
        start = torch.zeros_like(half)
    heading = 2 * math.pi * torch.rand((count,), **like)
    # 1 - U lies in (0, 1], where the logarithm is finite.
    lengths = task.speed * task.dt * (-2 * (1 - torch.rand(size, **like)).log()).sqrt()
    turns = _turns(task, torch.randn(size, **like))
    drift = torch.full_like(heading, task.drift if task.biased else 0.0)
    return Motion(start.expand(count, 2), heading, lengths, turns, drift)


def _turns(
    task: Task, normal: Float[Tensor, "steps trajectories"]
) -> Float[Tensor, "steps trajectories"]:
    """Give turns (rad) from standard normal numbers."""
    return (task.turn_mean + task.turn_sd * normal) * task.dt


def move(task: Task, motion: Motion) -> Trajectories:
    """Make trajectories of what was drawn, whether for biased tasks or for others.

    In the box the animal moves at every step along its heading, then turns; it follows walls
    (Raudies & Hasselmo 2012): near a wall and heading at it, it moves slowly and turns parallel to
    the wall before its random turn. A step that begins further away than the border region may end
    behind the wall, by at most its length; in corners, where only the nearest wall counts, a little
    more. Head direction: the head turns.
    """
    start, heading, lengths, turns, drift = motion
    if isinstance(task, HeadDirectionTask):
        return Trajectories(start, turns[..., None], wrap(start + turns[..., None].cumsum(0)))
    half = _half(task, start.device)
    anchor = _pair(*task.anchor, start.device)
    position, inputs, states = start, [], []
    for t in range(task.length):
        # Distances to the walls to the right, above, to the left and below.
        distance, nearest = torch.cat([half - position, half + position], -1).min(-1)
        angle = wrap(heading - nearest * (math.pi / 2))
        blocked = (distance < task.border_region) & (angle.abs() < math.pi / 2)
        length = torch.where(blocked, task.border_slow_factor * lengths[t], lengths[t])
        step = length[..., None] * torch.stack([heading.cos(), heading.sin()], -1)
        step = step + drift[..., None] * (anchor - position)
        # Head on at the wall, where the angle is 0, the animal turns to the left.
        side = 1 - 2 * (angle < 0)
        heading = heading + turns[t] + blocked * side * (math.pi / 2 - angle.abs())
        position = position + step
        inputs.append(step)
        states.append(position)
    return Trajectories(start, torch.stack(inputs), torch.stack(states))


def _half(task: NavigationTask, device: torch.device) -> Float[Tensor, "2"]:
    """Give half the size of the box (m)."""
    return _pair(task.box_width / 2, task.box_height / 2, device)


def _pair(x: float, y: float, device: torch.device) -> Float[Tensor, "2"]:
    """Make a tensor of two numbers without copying from the host, which no graph could hold."""
    dtype = torch.get_default_dtype()
    return torch.stack([torch.full((), n, device=device, dtype=dtype) for n in (x, y)])


@dataclass(frozen=True)
class PlaceCells:
    """Cells that are active near a place of their own.

    Several networks, each with cells of its own, are a leading dimension.

    Attributes
    ----------
    centres
        Their places (m).
    sigma
        Width of their fields (m).
    difference_of_gaussians
        Whether wider fields are subtracted, as in Sorscher et al. 2019.
    nearest
        Cells that decoding averages.
    surround_scale
        Variance of the wider fields, relative to that of the fields.
    """

    centres: Float[Tensor, "*networks cells 2"]
    sigma: float
    difference_of_gaussians: bool
    nearest: int
    surround_scale: float = 2.0

    def of(self, network: int) -> "PlaceCells":
        """Give the cells of one of several networks."""
        return replace(self, centres=self.centres[network])

    def encode(
        self,
        states: Float[Tensor, "*networks points 2"],
        out: Float[Tensor, "*networks points cells"] | None = None,
    ) -> Float[Tensor, "*networks points cells"]:
        """Give the activations at positions (m); in `out`, if that is given."""
        scores = self._scores(states, self.sigma**2, out)
        found = torch.softmax(scores, -1, out=scores)
        if self.difference_of_gaussians:
            found -= torch.softmax(self._scores(states, self.surround_scale * self.sigma**2), -1)
            found -= found.amin(-1, keepdim=True)
            found /= found.sum(-1, keepdim=True)
        return found

    def _scores(self, states: Tensor, variance: float, out: Tensor | None = None) -> Tensor:
        """Give -|x - c|^2 / (2 variance), less what is the same for all cells."""
        ones = torch.ones_like(states[..., :1])
        constant = self.centres.square().sum(-1, keepdim=True) / -2
        linear = torch.cat([self.centres, constant], -1) / variance
        return torch.matmul(torch.cat([states, ones], -1), linear.mT, out=out)

    def decode(
        self, activations: Float[Tensor, "*networks points cells"]
    ) -> Float[Tensor, "*networks points 2"]:
        """Give the mean place (m) of the most active cells."""
        return _take(self.centres, activations, self.nearest).mean(-2)


@dataclass(frozen=True)
class HeadDirectionCells:
    """Cells that are active around a bearing of their own, by von Mises tuning of peak 1.

    Several networks are a leading dimension, although their cells are the same.

    Attributes
    ----------
    preferred
        Their bearings (rad), evenly over the circle.
    sigma
        Width of their tuning (rad).
    nearest
        Cells that decoding averages.
    """

    preferred: Float[Tensor, "*networks cells 1"]
    sigma: float
    nearest: int

    @property
    def kappa(self) -> float:
        """Concentration of the tuning."""
        return 1 / self.sigma**2

    @cached_property
    def orders(self) -> int:
        """The number of Fourier components, from 1 on, that are not negligible."""
        found = 1
        while 2 * ive(found, self.kappa) > NEGLIGIBLE:
            found += 1
        return found - 1

    def of(self, network: int) -> "HeadDirectionCells":
        """Give the cells of one of several networks."""
        return replace(self, preferred=self.preferred[network])

    def encode(
        self,
        states: Float[Tensor, "*networks points 1"],
        out: Float[Tensor, "*networks points cells"] | None = None,
    ) -> Float[Tensor, "*networks points cells"]:
        """Give the activations at bearings (rad); in `out`, if that is given."""
        cosines = torch.matmul(_direction(states), _direction(self.preferred).mT, out=out)
        return cosines.sub_(1).mul_(self.kappa).exp_()

    def harmonics(
        self,
        states: Float[Tensor, "*networks points 1"],
        out: Float[Tensor, "*networks points harmonics"] | None = None,
    ) -> Float[Tensor, "*networks points harmonics"]:
        """Give few numbers of which the activations are linear functions, see `mixing`.

        They are 1, cos(n x) and sin(n x). A von Mises curve has so few Fourier components that
        these give the activations to rounding.
        """
        angles = states * self._orders(states)
        return torch.cat([torch.ones_like(states), angles.cos(), angles.sin()], -1, out=out)

    def mixing(self) -> Float[Tensor, "*networks harmonics cells"]:
        """Give the matrix that makes activations out of `harmonics`."""
        orders = self._orders(self.preferred)
        weights = [ive(n, self.kappa) for n in range(len(orders) + 1)]
        angles = self.preferred * orders
        weight = 2 * torch.tensor(weights[1:]).to(angles)
        constant = torch.full_like(self.preferred, weights[0])
        return torch.cat([constant, weight * angles.cos(), weight * angles.sin()], -1).mT

    def _orders(self, like: Tensor) -> Float[Tensor, " orders"]:
        return torch.arange(1, self.orders + 1, device=like.device, dtype=like.dtype)

    def decode(
        self, activations: Float[Tensor, "*networks points cells"]
    ) -> Float[Tensor, "*networks points 1"]:
        """Give the circular mean of the bearings (rad) of the most active cells."""
        x, y = _take(_direction(self.preferred), activations, self.nearest).mean(-2).unbind(-1)
        return wrap(torch.atan2(y, x))[..., None]


Cells = PlaceCells | HeadDirectionCells


def _direction(angles: Float[Tensor, "*any 1"]) -> Float[Tensor, "*any 2"]:
    return torch.cat([angles.cos(), angles.sin()], -1)


def _take(
    values: Float[Tensor, "*networks cells dims"],
    activations: Float[Tensor, "*networks points cells"],
    count: int,
) -> Float[Tensor, "*networks points count dims"]:
    """Take the values of the most active cells."""
    best: Int[Tensor, "*networks points count"] = activations.topk(count, -1, sorted=False).indices
    return torch.take_along_dim(values[..., None, :, :], best[..., None], -2)


def make_cells(
    configuration: Configuration, seeds: Sequence[int], device: torch.device | str = "cpu"
) -> Cells:
    """Make the output cells of networks: each seed has place cells of its own."""
    task = configuration.task
    if isinstance(task, NavigationTask):
        size = np.array([task.box_width, task.box_height])
        drawn = [
            (Streams(seed).numpy("place cells").random((task.place_cells_num, 2)) - 0.5) * size
            for seed in seeds
        ]
        centres = torch.tensor(np.stack(drawn), dtype=torch.get_default_dtype(), device=device)
        return PlaceCells(
            centres,
            task.place_cells_sigma,
            task.difference_of_gaussians,
            task.nearest,
            task.surround_scale,
        )
    count = task.head_direction_cells_num
    angles = torch.arange(count, device=device) * (2 * math.pi / count) - math.pi
    preferred = angles.to(torch.get_default_dtype()).expand(len(seeds), count)[..., None]
    return HeadDirectionCells(preferred, task.head_direction_cells_sigma, task.nearest)


def squared_error(
    configuration: Configuration,
    found: Float[Tensor, "*any dims"],
    true: Float[Tensor, "*any dims"],
) -> Float[Tensor, "*any"]:
    """Give squared decoding errors (m^2 or rad^2)."""
    difference = found - true
    if isinstance(configuration.task, HeadDirectionTask):
        difference = wrap(difference)
    return difference.square().sum(-1)
