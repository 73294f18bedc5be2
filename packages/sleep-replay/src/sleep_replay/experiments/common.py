"""What the experiments of this package share."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.errors import DataWarning, ParameterError, show
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import pd, xr
from sleep_replay.parameters import PRETRAINING, Learning, Model, Nights, Pretraining

if TYPE_CHECKING:
    from sharpwave_shared.results import Run
    from sleep_replay import data, evaluate, model, quantities, weights
else:  # imported when they are used
    data = lazy.module("sleep_replay.data")
    evaluate = lazy.module("sleep_replay.evaluate")
    model = lazy.module("sleep_replay.model")
    quantities = lazy.module("sleep_replay.quantities")
    weights = lazy.module("sleep_replay.weights")


class Generative(Experiment, Model):
    """An experiment with a generative model that knows one data set, and with a second one."""

    conditions: ClassVar = ("seed", "data_set")
    presets: ClassVar = {"stable": {"setting": "working"}}
    reads_data: ClassVar = True

    @property
    def label(self) -> str:
        """The data sets, and what is particular."""
        return "-".join(filter(None, ("inverted" if self.inverted else "digits", self.particular)))

    @property
    def particular(self) -> str:
        """What is particular to this experiment, in a few words."""
        return ""

    def load(self, options: Options) -> data.Experience:
        """Read the data sets, and check what only they can tell."""
        experience = data.load_experience(self, options.data_dir)
        self.check_data(experience)
        return experience

    def check_data(self, experience: data.Experience) -> None:
        """Check parameters against the data; raise a `ParameterError` if there are too few."""

    def compute(self, job: Job) -> xr.Dataset:
        """Compute the results, and describe what they hold."""
        return quantities.described(self.results(job))

    @abstractmethod
    def results(self, job: Job) -> xr.Dataset:
        """Compute the results."""

    def pretraining(self) -> Pretraining:
        """Say how an initial model is trained where there is none: with what is alike in sleep."""
        alike = {n: getattr(self, n) for n in ("reconstruction_loss", "input_dropout")}
        return Pretraining(**alike, **PRETRAINING[self.setting])

    def begin(self, job: Job) -> tuple[model.VAE, data.Experience, dict[str, str]]:
        """Give the initial network, the data, and what results say of the network."""
        experience = job.data.to(job.device)
        found = weights.obtain_weights(
            # What a run scaled down has trained would be where later ones start from.
            *(job.journal, self, experience, self.pretraining(), job.seed),
            save=not job.options.quick,
        )
        job.save_tensors("initial", found.state)
        vae = model.VAE(1, self.latent_dim, self.architecture).to(job.device)
        return vae.load_network(found.state), experience, found.attributes()


class Sleeping(Generative, Learning, Nights):
    """An experiment with sleep."""

    def check_data(self, experience: data.Experience) -> None:
        """Check that there are as many new images as are replayed."""
        check_count("num", self.num, len(experience.new_train))

    def finish(self, run: Run) -> None:
        """Say which networks have collapsed."""
        counts = evaluate.collapsed(run.data["final_carried"]).sum("seed")
        if not counts.any():
            return
        found = counts.to_series().items() if counts.dims else [("", counts.item())]
        where = ", ".join(f"{at if isinstance(at, str) else show(at)} {n}" for at, n in found if n)
        works = self.setting == "working" and not self.continue_training
        advice = {"setting='working'": "with frozen dreams does not collapse"}
        warnings.warn(
            DataWarning(
                f"networks that have collapsed, of {run.data.sizes['seed']}: {where.strip()}. They "
                "decode every image to the same one, and their errors say nothing about memory",
                **({} if works else advice),
            ),
            stacklevel=2,
        )


def check_count(name: str, count: int, images: int) -> None:
    """Check a number of images of data set 2."""
    if count > images:
        raise ParameterError(name, count, f"at most {images}, the images of data set 2")


def with_finals(results: xr.Dataset, time: str, names: Sequence[str]) -> xr.Dataset:
    """Add the last values in time of some variables, as measures `final_...`."""
    last = results[list(names)].isel({time: -1}, drop=True)
    return results.merge(last.rename({name: f"final_{name}" for name in names}))


def unfold(results: xr.Dataset, networks: Mapping[str, Sequence[Any]]) -> xr.Dataset:
    """Replace the dimension `network` by those that tell the networks apart, the last running."""
    index = pd.MultiIndex.from_product(list(networks.values()), names=list(networks))
    labels = xr.Coordinates.from_pandas_multiindex(index, "network")
    return results.assign_coords(labels).unstack("network").reindex(networks)
