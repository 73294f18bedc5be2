"""Training of initial models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import xr
from sleep_replay.experiments.common import Generative, with_finals
from sleep_replay.parameters import PRETRAINING, SETTINGS, Pretraining

if TYPE_CHECKING:
    from sleep_replay import weights
else:  # imported when they are used
    weights = lazy.module("sleep_replay.weights")


class Pretrain(Generative, Pretraining):
    """Train an initial model, and store its weights for later runs.

    With several seeds, one model is trained after the other, and of those that have not collapsed
    the one with the lowest test error is stored.
    """

    settings: ClassVar = {name: SETTINGS[name] | PRETRAINING[name] for name in SETTINGS}
    conditions: ClassVar = ("seed",)
    quick: ClassVar = {"epochs": 3, "batch_size": 4, "dataset": "mnist-5k", "trial": True}

    trial: bool = False
    """Accept a model that is still collapsed at the end, and store no weights."""

    @property
    def particular(self) -> str:
        """The model."""
        return self.model_name

    def results(self, job: Job) -> xr.Dataset:
        """Train a model for each seed."""
        experience = job.data.to(job.device)
        trained = [
            job.journal.once(
                f"seed {seed}",
                lambda part, seed=seed: weights.pretrain(
                    part,
                    self,
                    experience,
                    self,
                    seed,
                    accept_collapsed=self.trial or len(job.seeds) > 1,
                ),
            )
            for seed in job.seeds
        ]
        state, record = min(
            trained, key=lambda one: (weights.collapsed(one[1]), one[1]["test_error"][-1])
        )
        if weights.collapsed(record) and not self.trial:
            raise SharpwaveError("the models of all seeds have collapsed; try others")
        record["tried"] = [
            {"seed": other["seed"], "test_error": other["test_error"][-1]} for _, other in trained
        ]
        job.save_tensors("initial", state)
        if not self.trial:
            job.journal.reporter.say(f"stored {weights.store_weights(self, state, record)}")
        parts = [_history(record) for _, record in trained]
        results = xr.concat(parts, "seed", join="outer").assign_coords(seed=list(job.seeds))
        return results.assign_attrs(best_seed=record["seed"], training=json.dumps(record))


def _history(record: dict[str, Any]) -> xr.Dataset:
    """Label what a training left."""
    names = ("loss", "test_error", "variance_carried")
    epochs = range(1, record["epochs"] + 1)
    results = xr.Dataset({name: ("epoch", record[name]) for name in names}, {"epoch": epochs})
    return with_finals(results, "epoch", names).assign(epochs=record["epochs"])
