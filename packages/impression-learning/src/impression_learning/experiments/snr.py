"""The mode SNR: bias and variance of the updates along learning (Figure 2 a-c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from impression_learning.experiments.common import (
    MODE,
    Data,
    Latent,
    Phases,
    Rate,
    Rules,
    SmallSizes,
    Steps,
)
from sharpwave_shared import lazy
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import torch, xr
from sharpwave_shared.parameters import Between

if TYPE_CHECKING:
    from impression_learning import simulate, updates
else:
    simulate = lazy.module("impression_learning.simulate")
    updates = lazy.module("impression_learning.updates")

EPISODE_PHASES = 2
"""An episode is one phase awake and one asleep."""


class Snr(SmallSizes, Data, Phases, Rules, Latent):
    """Measure bias and variance of the updates of both rules along learning (Figure 2 a-c)."""

    name: ClassVar = "SNR"
    panel: ClassVar = MODE
    conditions: ClassVar = ("algorithm", "third_factor", "traces", "seed", "point")
    quick: ClassVar = {**Latent.quick, "episodes": 20_000}

    eta: Rate = 1e-4
    steps: Steps = 600_000
    episodes: Annotated[int, Between(100, 10**12)] = 1_000_000
    """SNR: episodes at every point."""

    def measure(self, number: int, group: simulate.Group) -> list[dict[str, torch.Tensor]]:
        """Measure the moments of both rules' updates at a point of learning."""
        in_episode = EPISODE_PHASES * (self.switch_period + 1)
        rows = []
        for i, (world, member) in enumerate(zip(group.worlds, group.members, strict=True)):
            x, _, _ = world.read("test", 0, in_episode, world.start("test"))
            streams = group.streams[i].child("updates", number)
            network = group.circuits.weights.network(i)
            rows.append(updates.measure_updates(network, member.setting, x, self.episodes, streams))
        return rows

    def look(self, job: Job, learnt: simulate.Learnt, test_steps: int) -> xr.Dataset:
        """Give the moments of the updates at every point, and compare the rules."""
        moments = {
            name: torch.stack([row[name] for row in learnt.measured], 1).cpu().numpy()
            for name in learnt.measured[0]
        }
        sizes = self.setting("impression").sizes
        return updates.describe(moments, sizes).assign_coords(self.coordinates(job))
