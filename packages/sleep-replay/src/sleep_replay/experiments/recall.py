"""Recall of images of which pixels are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Distinct
from sleep_replay.experiments.schedule import NAP, OneNight
from sleep_replay.parameters import Corruption, Fraction

if TYPE_CHECKING:
    from sleep_replay import recall
else:  # imported when they are used
    recall = lazy.module("sleep_replay.recall")


class Recall(OneNight):
    """Reconstruct images of which pixels are lost, before and after sleep."""

    conditions: ClassVar = ("seed", "moment", "fraction", "data_set")
    quick: ClassVar = {**NAP, "eval_images": 200}

    fractions: Annotated[tuple[Fraction, ...], Distinct()] = (
        *(0.0, 0.1, 0.2, 0.3, 0.4),
        *(0.5, 0.6, 0.7, 0.8, 0.9),
    )
    """Fractions of the pixels that are lost."""
    corruption: Corruption = "zero"
    """What is seen in place of lost pixels: zero, or uniform noise."""

    @property
    def particular(self) -> str:
        """What is seen."""
        return self.corruption

    def results(self, job: Job) -> xr.Dataset:
        """Sleep, then recall with every seed's network, before and after."""
        initial, experience, attributes = self.begin(job)
        after, slept = self.sleep(job, initial, experience)
        slept = slept.isel(night=0)
        fractions = sorted(self.fractions)
        recalled = recall.recall(
            job.journal, initial, after, experience, fractions, self.corruption, job.seeds
        )
        return slept.merge(recalled).assign_attrs(attributes)
