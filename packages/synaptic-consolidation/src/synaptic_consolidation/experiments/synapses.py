"""Single synapses that fluctuate, simulated and measured (Figures 5 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from sharpwave_shared import lazy
from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Above, Between, Distinct, Parameters, Positional

if TYPE_CHECKING:
    from synaptic_consolidation import synapses
else:
    synapses = lazy.module("synaptic_consolidation.synapses")

MOST_FACTORS = 100
"""Of synapses that fluctuate."""
Factors = Annotated[tuple[Annotated[int, Between(1, MOST_FACTORS)], ...], Distinct()]
KAUFMAN_HOURS = 0.5
"""Hours between the times of Kaufman et al. 2012 that are analysed."""


class Fluctuations(Parameters):
    """How synapses fluctuate; times are in the paper's unit (10 min)."""

    panel: ClassVar = "Synapses that fluctuate"

    synapses: Annotated[int, Between(1, 10**9)] = 1000
    """Their number."""
    duration: Annotated[int, Between(1, 10**9)] = 999
    """Time T in units of 10 min, of which a sample is taken each; the last 144 are analysed."""
    dt: Annotated[float, Between(1e-6, 1)] = 5e-3
    """Time step; a whole number of them makes a unit of time."""
    sigma: Annotated[float, Between(0, 1e3)] = 0.05
    """Strength s of noise, per square root of time."""
    mixture: Annotated[float, Between(0, 1)] = 0.0
    """Share k of noise that slow factors multiply."""
    drift: Annotated[float, Between(-1e3, 1e3)] = 0.1
    """Mean b of noise, relative to sigma."""
    gain: Annotated[float, Between(0, 1e6)] = 10.0
    """Rate of homeostasis."""
    tau: Annotated[float, Above(0, 1e6)] = 30.0
    """Time constant of slow factors, at least dt."""

    def check(self) -> None:
        """Refuse time steps of which no whole number makes a unit of time, or that are too long."""
        if abs(1 / self.dt - self.steps_per_sample) > 1e-6 / self.dt:
            raise ParameterError("dt", self.dt, "1 divided by a whole number")
        if self.tau < self.dt:
            raise ParameterError("tau", self.tau, f"at least dt ({self.dt:g})")

    @property
    def steps_per_sample(self) -> int:
        """Steps in a unit of time."""
        return round(1 / self.dt)

    @property
    def numbers(self) -> int:
        """Random numbers that a step takes: xi_1 of every synapse, then xi_2 if it has a share."""
        return self.synapses * (2 if self.mixture > 0 else 1)


class SynNoise(Fluctuations, Experiment):
    """Let synapses of z factors fluctuate, and see how noise scales with size (Figures 5 and 6).

    They are compared with the spines of Kaufman et al. 2012 if that file is there.
    """

    conditions: ClassVar = ("seed", "factors", "direction")
    reads_data: ClassVar = True
    uses_device: ClassVar = False
    quick: ClassVar = {"synapses": 300, "duration": 300, "bootstraps": 100}

    factors: Factors = (1, 2, 3, 4, 5, 10)
    """Numbers of factors z of a synapse."""
    bootstraps: Annotated[int, Between(1, 100_000)] = 1000
    """Curves of variation: of the data, and of resampled populations. Default: the paper's."""

    @property
    def label(self) -> str:
        """The number of synapses."""
        return f"{self.synapses}synapses"

    def load(self, options: Options) -> synapses.Recording | None:
        """Read the spines of Kaufman et al. if they are there."""
        try:
            return synapses.kaufman(options.data_dir)
        except InvalidInputError:
            raise
        except SharpwaveError:
            return None

    def compute(self, job: Job) -> xr.Dataset:
        """Simulate and analyse."""
        if job.data is None:
            told = "no measured spines to compare with: no kaufman_2012.csv found"
            job.journal.reporter.say(told)
        factors = sorted(self.factors)
        return synapses.compare(
            factors, job.seeds, self, job.data, self.bootstraps, job.journal, job.seed
        )


class AnalyzeSpines(SynNoise):
    """Analyse measured spines like simulated synapses, and compare them (Figures 5 and 6)."""

    panel: ClassVar = "Measured spines"

    file: Annotated[Path | None, Positional("FILE")] = None
    """CSV: a row for each synapse, a column for each time; NaN, NA or nothing where a size is
    missing, 0 for a synapse that is gone."""
    kaufman: bool = False
    """The spines of Kaufman et al. 2012."""
    hours: Annotated[float, Above(0, 1e6)] | None = None
    """Between the columns of FILE. Default: 0.5."""
    header: bool | None = None
    """Whether the first line of FILE names the times. Default: as it looks."""
    index: bool | None = None
    """Whether the first column of FILE names the synapses. Default: as it looks."""
    factors: Factors = (1, 2, 3, 4, 5)
    """Numbers of factors z of the synapses to compare with."""

    def check(self) -> None:
        """Refuse none or two recordings, and times of one whose times are known."""
        super().check()
        if (self.file is not None) == self.kaufman:
            given = "both" if self.kaufman else "neither"
            raise ParameterError("file", f"{given} of FILE and kaufman", "one of the two")
        for name in ("hours", "header", "index"):
            value = getattr(self, name)
            if self.kaufman and value is not None:
                raise ParameterError(
                    name, value, f"nothing with kaufman, whose times are {KAUFMAN_HOURS:g} h apart"
                )

    def load(self, options: Options) -> synapses.Recording:
        """Read the recording."""
        if self.file is None:
            return synapses.kaufman(options.data_dir)
        hours = self.hours or KAUFMAN_HOURS
        return synapses.read_recording(self.file, hours, header=self.header, index=self.index)
