"""The task: endless streams of scenes, some of which were seen R scenes ago."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from hybrid_plasticity.configuration import Task


@dataclass(frozen=True)
class Streams:
    """Scenes one after another.

    Attributes
    ----------
    frames
        Entries of +1 and -1, in the order in which they are seen.
    repeated
        Whether a scene repeats the one seen R scenes ago: the target at its last frame.
    """

    frames: Float[Tensor, "streams frames entries"]
    repeated: Bool[Tensor, "streams scenes"]


def scenes_of_training(interval: int) -> int:
    """Give the length, in scenes, of the streams for training at an interval R."""
    return max(100, 20 * interval)


def make_streams(
    task: Task, interval: int, scenes: int, count: int, generator: torch.Generator
) -> Streams:
    """Draw streams of scenes.

    From scene number `interval` on, a scene repeats with probability 1/2 the one seen `interval`
    scenes before, if that was itself new: the same frames in a new random order. All other scenes
    are new: a random first frame, and frames that each flip some of its entries, chosen at random.

    Parameters
    ----------
    task
        What a scene is.
    interval
        R, at least 1.
    scenes
        Length of a stream.
    count
        Number of streams. The first streams do not depend on it.
    generator
        Where the random numbers come from; the streams are made on its device.
    """
    device = generator.device
    time, entries = task.scene_time, task.vec_len
    # One block of random numbers for each stream makes it independent of how many there are.
    sizes = [scenes, scenes * entries, scenes * (time - 1) * entries, scenes * time]
    draws = torch.stack(
        [torch.rand(sum(sizes), generator=generator, device=device) for _ in range(count)]
    ).split(sizes, dim=1)
    coins, signs = draws[0] < 0.5, draws[1].view(count, scenes, 1, entries) < 0.5
    repeated = _repetitions(coins, interval)

    frames = torch.where(signs, 1.0, -1.0).expand(-1, -1, time, -1).clone()
    if task.flips and time > 1:
        ranks = draws[2].view(count, scenes, time - 1, entries)
        frames[:, :, 1:].scatter_(3, ranks.topk(task.flips).indices, -1.0, reduce="multiply")
    order = draws[3].view(count, scenes, time).argsort(-1)
    again = frames[:, : scenes - interval].gather(
        2, order[:, interval:, :, None].expand(-1, -1, -1, entries)
    )
    frames[:, interval:] = torch.where(
        repeated[:, interval:, None, None], again, frames[:, interval:]
    )
    return Streams(frames.flatten(1, 2), repeated)


def _repetitions(
    coins: Bool[Tensor, "streams scenes"], interval: int
) -> Bool[Tensor, "streams scenes"]:
    """Decide which scenes repeat: those whose coin says so, if the earlier one was new."""
    scenes = coins.shape[1]
    rounds = -(-scenes // interval)
    chains = F.pad(coins, (0, rounds * interval - scenes)).view(-1, rounds, interval)
    number = torch.arange(rounds, device=coins.device)[:, None]
    # Every other scene of a run of repeating coins repeats. The first round, 0, always ends a run.
    ends = torch.where(chains, 0, number).cummax(1).values
    return ((number - ends) % 2 == 1).view(len(coins), -1)[:, :scenes]
