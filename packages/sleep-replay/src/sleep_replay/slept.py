"""The networks before and after a night of sleep, for what is measured on them afterwards."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sharpwave_shared.runs import Journal
from sleep_replay.experiments import ScheduleJob
from sleep_replay.model import VAE
from sleep_replay.sleep import Observer
from sleep_replay.weights import State

MOMENTS = ("before", "after")
"""The order in which arrays hold what was measured before and after sleep."""

DATA_SETS = ("old", "new")
"""The order in which arrays hold data sets 1 and 2."""


@dataclass(frozen=True)
class Slept:
    """What a night of sleep in one condition leaves.

    Attributes
    ----------
    before
        Parameters of the network that all seeds started from.
    after
        Parameters of all networks after sleep; the leading dimension is the seed.
    errors, carried
        See `SleepResult`.
    observed
        See `SleepResult`; arrays of times x seeds x ...
    """

    before: State
    after: State
    errors: Float[np.ndarray, "times seeds 2"]
    carried: Float[np.ndarray, "times seeds 2"]
    observed: dict[str, np.ndarray]

    def network(self, moment: str, seed: int, job: ScheduleJob) -> VAE:
        """Build the network of the `seed`-th seed `before` or `after` sleep, ready to evaluate."""
        model = job.setup.model
        if moment == "before":
            state = self.before
        else:
            state = {name: tensor[seed] for name, tensor in self.after.items()}
        vae = VAE(1, model.latent_dim, model.architecture).load_network(state)
        return vae.to(job.setup.device).eval()


def sleep_once(journal: Journal, job: ScheduleJob, observe: Observer | None = None) -> Slept:
    """Sleep in one condition, and keep the outcome in the journal as `slept.safetensors`.

    A resumed run that has slept already does not sleep again, so that what follows can have
    checkpoints of its own. Those must name the part of the work that they belong to: a run killed
    right after it has slept still holds a checkpoint of the sleep.
    """
    kept = journal.load_tensors("slept")
    if kept is None:
        result = job.run(journal, observe)
        arrays = {"errors": result.errors, "carried": result.carried}
        arrays |= {f"observed.{name}": values for name, values in result.observed.items()}
        kept = {name: torch.from_numpy(values[:, 0].copy()) for name, values in arrays.items()}
        kept |= {f"before.{name}": tensor for name, tensor in result.initial.items()}
        kept |= {f"after.{name}": tensor for name, tensor in result.networks.items()}
        journal.save_tensors("slept", kept)
        journal.drop_checkpoint()
    observed = {name: tensor.numpy() for name, tensor in _part(kept, "observed.").items()}
    return Slept(
        _part(kept, "before."),
        _part(kept, "after."),
        kept["errors"].numpy(),
        kept["carried"].numpy(),
        observed,
    )


def load_part(journal: Journal, part: str) -> dict[str, Tensor] | None:
    """Read the checkpoint if it belongs to this part of the work (see `sleep_once`)."""
    checkpoint = journal.load_checkpoint()
    if checkpoint is None or checkpoint[1].get("part") != part:
        return None
    return checkpoint[0]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
