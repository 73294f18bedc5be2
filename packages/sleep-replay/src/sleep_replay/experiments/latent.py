"""What the latent space holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between
from sleep_replay.experiments.common import with_finals
from sleep_replay.experiments.schedule import NAP, OneNight
from sleep_replay.parameters import MOST_TEST_IMAGES

if TYPE_CHECKING:
    from sleep_replay import data, latent
else:  # imported when they are used
    data = lazy.module("sleep_replay.data")
    latent = lazy.module("sleep_replay.latent")


class Latent(OneNight):
    """Decode digits from latents over sleep, and show what lies where in the latent space."""

    quick: ClassVar = {**NAP, "eval_images": 500, "epochs": 2}

    labelled: Annotated[int, Between(2, MOST_TEST_IMAGES - 1)] = 200
    """Labelled test images that the decoder learns from."""
    from_scratch: bool = False
    """Decode during a training of the initial model as well."""
    epochs: Annotated[int, Between(1, 10_000)] = 10
    """Epochs of that training."""

    @property
    def particular(self) -> str:
        """What is decoded."""
        return "from-scratch" if self.from_scratch else f"{self.latent_dim}"

    def check_data(self, experience: data.Experience) -> None:
        """Check that digits can be told apart, and that images are left to test it."""
        super().check_data(experience)
        for test in experience.tests:
            digits = len(test.labels.unique())
            if digits < 2:
                raise ParameterError(
                    "eval_images", f"{len(test)}, which show one digit only", "more images"
                )
            if not digits <= self.labelled < len(test):
                raise ParameterError(
                    "labelled",
                    self.labelled,
                    f"from {digits}, the digits, to {len(test) - 1}, one less than test images",
                )

    def results(self, job: Job) -> xr.Dataset:
        """Sleep and decode after every cycle; train from scratch and decode; look around."""
        initial, experience, attributes = self.begin(job)
        decoding = latent.Decoding(experience, self.labelled, job.seeds)
        after, results = self.sleep(
            job, initial, experience, lambda vae: {"accuracy": decoding.accuracy(vae)}
        )
        results = results.isel(night=0)
        if self.from_scratch:
            scratch = latent.decode_from_scratch(
                job.journal,
                self,
                self.pretraining(),
                experience,
                decoding,
                job.seeds,
                self.epochs,
            )
            results = results.merge(scratch)
        job.journal.reporter.say("t-SNE, grids and interpolations")
        shown = latent.look_around(initial.eval(), after.copies().eval(), decoding, job.seeds[0])
        results = results.merge(shown).assign(chance=("data_set", decoding.chance()))
        return with_finals(results, "cycle", ["accuracy"]).assign_attrs(attributes)
