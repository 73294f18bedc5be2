"""Sleep schedules: one night (the main command), and a grid of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.errors import ParameterError, show
from sharpwave_shared.experiment import Job
from sharpwave_shared.lazy import pd, xr
from sharpwave_shared.parameters import Above, Between, Distinct
from sleep_replay.experiments.common import Sleeping, with_finals
from sleep_replay.parameters import MOST_IMAGES, Fraction, Night, Nights

if TYPE_CHECKING:
    from sleep_replay import data, model, sleep
else:  # imported when they are used
    data = lazy.module("sleep_replay.data")
    model = lazy.module("sleep_replay.model")
    sleep = lazy.module("sleep_replay.sleep")

SLEEP = "sleep"
"""The night itself, in results."""
CONTROLS = {"no REM": 0.0, "REM alone": 1.0}
"""Nights beside it, and their fractions of REM."""
FINALS = ("error", "standard_error", "carried", "dream_share")
NAP = {"total_eps": 10, "num_cycles": 5, "dataset": "mnist-5k"}
"""What `--quick` makes of a night of sleep after which something else is measured."""


class OneNight(Sleeping, Night):
    """An experiment with one night of sleep."""

    @property
    def particular(self) -> str:
        """The night."""
        dreamer = "own" if self.continue_training else "frozen"
        return (
            f"{self.setting}-{self.total_eps}ep-{self.num_cycles}cycles-"
            f"rem{self.start_fraction_rem:g}to{self.end_fraction_rem:g}-num{self.num}-{dreamer}"
        )

    def sleep(
        self,
        job: Job,
        initial: model.VAE,
        experience: data.Experience,
        observe: sleep.Observer | None = None,
        others: Sequence[Night] = (),
    ) -> tuple[model.VAE, xr.Dataset]:
        """Let a network for each seed sleep through this night, and others through others.

        Give the networks (night x seed), and what was recorded.
        """
        nights = [self, *others]
        kept = job.journal.once(
            "sleep",
            lambda part: sleep.sleep(
                part, initial, experience, nights, self, job.seeds, observe
            )._asdict(),
        )
        slept = sleep.Slept(**kept)
        job.save_tensors("networks", slept.networks)
        after = initial.copies(len(nights) * len(job.seeds))
        after.load_state_dict(slept.networks)
        return after, with_finals(slept.data, "cycle", FINALS)


class Schedule(OneNight):
    """Let a model that knows data set 1 sleep after it has seen data set 2.

    Sleep alternates between NREM, the replay of new images, and REM, training on the model's own
    samples. Beside the night itself run its controls, one without REM and one of REM alone. The run
    directory gets the errors of both data sets after every cycle, figures, and the verdict on the
    claims of the paper.
    """

    conditions: ClassVar = ("seed", "night", "data_set")
    quick: ClassVar = {"total_eps": 20, "num_cycles": 5, "eval_images": 200}

    controls: bool = True
    """Sleep without REM, and by REM alone, beside the night itself."""

    def nights(self) -> dict[str, Night]:
        """Give the night and those of its controls that differ from it."""
        nights: dict[str, Night] = {SLEEP: self}
        for name, fraction in CONTROLS.items() if self.controls else ():
            control = self.replaced(start_fraction_rem=fraction, end_fraction_rem=fraction)
            if control.cycles() != self.cycles():
                nights[name] = control
        return nights

    def results(self, job: Job) -> xr.Dataset:
        """Sleep, one network for each seed and night, all as one batch."""
        initial, experience, attributes = self.begin(job)
        nights = self.nights()
        others = list(nights.values())[1:]
        results = self.sleep(job, initial, experience, others=others)[1]
        return results.assign_coords(night=list(nights)).assign_attrs(attributes)


class Sweep(Sleeping):
    """Try a grid of cycles, fractions of REM and learning rates; map retention and learning."""

    panel: ClassVar = "Sleep"
    conditions: ClassVar = ("seed", "lr", "cycles", "fraction", "data_set")
    quick: ClassVar = {"total_eps": 10, "cycles": (5, 2), "num": 10, "eval_images": 200}

    num: Annotated[int, Between(1, MOST_IMAGES)] = 50
    cycles: Annotated[tuple[Annotated[int, Between(1, 1_000_000)], ...], Distinct()] = (
        50,
        20,
        10,
        5,
    )
    """Numbers of cycles."""
    fractions: Annotated[tuple[Fraction | tuple[Fraction, Fraction], ...], Distinct()] = (
        0.5,
        0.0,
        1.0,
    )
    """Fractions of REM, or start:end of a fraction that changes."""
    lrs: Annotated[tuple[Annotated[float, Above(0, 1e38)], ...] | None, Distinct()] = None
    """Learning rates. Default: the one of lr."""

    def check(self) -> None:
        """Check that every cycle of every night has an epoch, and that nights differ."""
        super().check()
        if self.total_eps < max(self.cycles):
            raise ParameterError(
                "cycles", self.cycles, f"numbers of at most {self.total_eps}, the epochs in all"
            )
        ranges = self.ranges()
        if len(set(ranges)) < len(ranges):
            raise ParameterError("fractions", self.fractions, "different ones")

    @property
    def particular(self) -> str:
        """The number of images."""
        return f"num{self.num}"

    def ranges(self) -> list[tuple[float, float]]:
        """List start and end of the fractions."""
        return [f if isinstance(f, tuple) else (f, f) for f in self.fractions]

    def nights(self, cycles: int) -> list[Night]:
        """List the nights of so many cycles; they are slept as one batch."""
        alike = {name: getattr(self, name) for name in Nights.model_fields}
        return [
            Night(**alike, num_cycles=cycles, start_fraction_rem=start, end_fraction_rem=end)
            for start, end in self.ranges()
        ]

    def results(self, job: Job) -> xr.Dataset:
        """Sleep all nights; what has fewer cycles ends in NaN."""
        initial, experience, attributes = self.begin(job)
        rates = self.lrs or (self.lr,)
        grid = [
            [self._sleep(job, initial, experience, lr, cycles) for cycles in self.cycles]
            for lr in rates
        ]
        constant = grid[0][0]["constant_error"]
        rows = [_along("cycles", self.cycles, row) for row in grid]
        ranges = self.ranges()
        return (
            _along("lr", rates, rows)
            .assign(constant_error=constant)
            .assign_coords(
                fraction=[show(s) if s == e else f"{show(s)}:{show(e)}" for s, e in ranges],
                start_fraction_rem=("fraction", [start for start, _ in ranges]),
                end_fraction_rem=("fraction", [end for _, end in ranges]),
            )
            .assign_attrs(attributes)
        )

    def _sleep(
        self, job: Job, initial: model.VAE, experience: data.Experience, lr: float, cycles: int
    ) -> xr.Dataset:
        what = f"{cycles} cycles, learning rate {lr!r}"
        job.journal.reporter.say(what)

        def compute(part: Any) -> xr.Dataset:
            learning, nights = self.replaced(lr=lr), self.nights(cycles)
            slept = sleep.sleep(part, initial, experience, nights, learning, job.seeds)
            return slept.data[["error", "carried", "constant_error"]]

        results = job.journal.once(what, compute).rename(night="fraction").drop_vars("epoch")
        return with_finals(results, "cycle", ["error", "carried"])


def _along(name: str, values: Sequence[Any], parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put results of several values of a parameter together."""
    kept = [part.drop_vars("constant_error", errors="ignore") for part in parts]
    return xr.concat(kept, pd.Index(values, name=name), join="outer", combine_attrs="override")


RELEASE = (
    *("total_eps", "num_cycles", "start_fraction_rem", "end_fraction_rem", "use_initial_weights"),
    *("latent_dim", "seed", "inverted", "lr", "num", "continue_training"),
)
"""The arguments of the release's function, in their order."""


def train_with_schedule_multiple_seeds(
    seeds: Sequence[int], *arguments: Any, **named: Any
) -> xr.Dataset:
    """Let models that know data set 1 sleep after seeing data set 2; one for each seed.

    This is the main command as a function, under the release's name and with its arguments.

    Parameters
    ----------
    seeds
        One network each; all train together.
    arguments, named
        Parameters of `Schedule`, in the release's order (see `RELEASE`) or by name; `seed`, of the
        initial model's training, and the other options of `Experiment.run`.

    Returns
    -------
    xarray.Dataset
        See `Experiment.run`.
    """
    given = dict(zip(RELEASE, arguments, strict=False)) | named
    parameters = {name: given.pop(name) for name in list(given) if name in Schedule.model_fields}
    return Schedule(**parameters).run(seeds, **given)


train_with_scheduler_multiple_seeds = train_with_schedule_multiple_seeds
"""The spelling of the release's documentation."""
