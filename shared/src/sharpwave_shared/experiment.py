"""An experiment: its parameters, declared once, and what it computes.

    class Night(Experiment):
        '''Let a network learn sparse patterns by day, and consolidate them by night (Figure 3).'''

        n: Annotated[int, Between(2, 5000)] = 1000
        '''Neurons N.'''

        quick: ClassVar = {"n": 300}

        def compute(self, job: Job) -> xr.Dataset: ...

It lies in a module `PACKAGE.experiments.NAME`; what draws its figures, `draw(experiment, data)`,
in `PACKAGE.figures.NAME`; the claims that its results speak to, `CLAIMS`, in
`PACKAGE.claims.NAME`. From these follow the command (`app.App`), the call from Python
(`Night(n=200).run(seeds=range(5))`), run directories, sweeps, and verdicts.

Modules of experiments are imported to print help: what is heavy (torch, xarray, the science) they
import where it is used.
"""

from __future__ import annotations

import importlib
import operator
import re
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, SupportsIndex

from sharpwave_shared.errors import ParameterError, SharpwaveError, first_line
from sharpwave_shared.journal import Journal
from sharpwave_shared.lazy import torch, xr
from sharpwave_shared.parameters import (
    Between,
    Distinct,
    Length,
    Parameters,
    Repeated,
    Spelled,
    all_fields,
    marker,
)
from sharpwave_shared.paths import PathLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpwave_shared.claims import Claim
    from sharpwave_shared.reporting import Reporter
    from sharpwave_shared.results import Run

COMMON = "Common options"
LARGEST_SEED = 2**32 - 1
Format = Literal["png", "pdf", "svg"]
Cluster = Literal["slurm", "pbs", "lsf", "sge", "oar", "htcondor", "moab", "local"]


class Options(Parameters):
    """What is no parameter of an experiment, and the same for all."""

    panel: ClassVar = COMMON

    seed: Annotated[int, Between(0, LARGEST_SEED)] = 0
    """Seed of what all runs share."""
    seeds: Annotated[tuple[Annotated[int, Between(0, LARGEST_SEED)], ...] | None, Distinct()] = None
    """Seeds of the runs: 0:5 (0 to 4) or 0,3,7. Default: the one of --seed."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    out: Path | None = None
    """Run directory. Default: results/PACKAGE/..., named by the parameters."""
    data_dir: Path | None = None
    """Where data sets lie. Default: $SHARPWAVE_DATA, the cache, a download."""
    sweep: Annotated[tuple[str, ...], Repeated()] = ()
    """NAME=V1,V2,...: run for each value of a parameter; several: a grid."""
    workers: Annotated[int, Between(1, 10_000)] = 1
    """Processes, or jobs on the cluster, that work side by side."""
    cluster: Cluster | None = None
    """Submit jobs to this batch system, as dask-jobqueue is configured for it."""
    cluster_options: Path | None = None
    """JSON file of options for that class of dask-jobqueue."""
    quick: bool = False
    """Scaled down to under a minute."""
    resume: bool = False
    """Go on with a run that was cut off."""
    force: bool = False
    """Discard an earlier run in the directory."""
    format: tuple[Format, ...] = ("png",)
    """Figure formats: png,pdf,svg."""
    quiet: Annotated[bool, Spelled("-q")] = False
    """No progress."""
    verbose: Annotated[bool, Spelled("-v")] = False
    """More detail."""
    debug: bool = False
    """Show tracebacks."""

    def check(self) -> None:
        """Check how the device is spelled, also where it is not used."""
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", self.device, re.ASCII):
            raise ParameterError("device", repr(self.device), "auto, cpu, cuda, cuda:N or mps")
        self.read_cluster_options()

    def read_cluster_options(self) -> dict[str, Any]:
        """Read the options of the class of dask-jobqueue."""
        if self.cluster_options is None:
            return {}
        from sharpwave_shared.files import read_json

        try:
            found = read_json(self.cluster_options)
        except SharpwaveError as error:
            expected = f"a JSON file ({first_line(error)})"
            raise ParameterError("cluster_options", self.cluster_options, expected) from None
        if not isinstance(found, dict):
            raise ParameterError("cluster_options", self.cluster_options, "a JSON object")
        return found

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the runs."""
        return (self.seed,) if self.seeds is None else self.seeds


@dataclass(frozen=True)
class Job:
    """What an experiment computes with, and is no parameter of it.

    Attributes
    ----------
    seeds
        Those of the runs: each stands for data, networks and noise of its own.
    seed
        Seed of what all of them share.
    device
        What computes.
    journal
        Shows progress, keeps checkpoints.
    data
        What `Experiment.load` gave.
    directory
        The run directory; None for a call from Python that stores nothing.
    options
        The options of the command, or of the call.
    """

    seeds: tuple[int, ...]
    device: torch.device
    journal: Journal = field(default_factory=Journal)
    seed: int = 0
    data: Any = None
    directory: Path | None = None
    options: Options = field(default_factory=Options)

    def save_tensors(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Write weights to `NAME.safetensors` in the run directory, if there is one."""
        if self.directory is not None:
            from sharpwave_shared.files import write_tensors

            write_tensors(self.directory / f"{name}.safetensors", tensors)


class Command(Parameters):
    """What a command line starts: an experiment, or what runs several of them.

    Class attributes
    ----------------
    name
        Of the command; default: the class's name, `wake-sleep` for `WakeSleep`.
    quick
        What `--quick` makes of parameters that are not given.
    presets
        More flags of the command, and what each makes of parameters that are not given.
    reads_data
        Whether data sets are read, so that `--data-dir` has a meaning.
    without
        More of the common options that have none.
    panel
        Heading of a class's parameters in the help.
    """

    name: ClassVar[str] = ""
    quick: ClassVar[Mapping[str, Any]] = {}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    reads_data: ClassVar[bool] = False
    without: ClassVar[tuple[str, ...]] = ()
    panel: ClassVar[str] = "Parameters"

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Name the class as its command."""
        super().__pydantic_init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    @abstractmethod
    def start(self, options: Options, reporter: Reporter) -> None:
        """Do what the command is for, and tell about it."""


class Experiment(Command):
    """An experiment with parameters; see the module's text.

    Class attributes
    ----------------
    conditions
        Dimensions of the results that tell conditions apart; measures, the variables that have no
        other dimension, are what `metrics.csv` and sweeps hold.
    uses_device
        Whether `--device` has a meaning; otherwise the CPU computes.
    seeds_apart
        Whether each seed has a run, and a directory, of its own.
    """

    conditions: ClassVar[tuple[str, ...]] = ("seed",)
    uses_device: ClassVar[bool] = True
    seeds_apart: ClassVar[bool] = False

    # --- what an experiment says of itself ---

    @abstractmethod
    def compute(self, job: Job) -> xr.Dataset:
        """Compute the results.

        Dimensions and coordinates are named; variables have the attributes `long_name` and, where
        they have one, `units`.
        """

    @classmethod
    def compute_together(
        cls, experiments: Sequence[Experiment], jobs: Sequence[Job]
    ) -> list[xr.Dataset]:
        """Compute several experiments of equal `batch_key`; by default one after the other."""
        return [e.compute(job) for e, job in zip(experiments, jobs, strict=True)]

    @property
    def batch_key(self) -> Hashable | None:
        """What experiments that are computed as one batch have in common; None: alone."""
        return None

    @property
    def label(self) -> str:
        """The main parameters in a few words, for the name of the directory."""
        return ""

    def warnings(self) -> list[str]:
        """Give what a user should be told before the run starts."""
        return []

    def load(self, options: Options) -> Any:
        """Read the data sets that are needed.

        What is returned reaches `compute` as `job.data`. Its attribute `record`, a `DataRecord`,
        says what was read, and is part of what identifies the run.
        """
        return None

    def device(self, options: Options, seeds: Sequence[int]) -> torch.device:
        """Choose the device."""
        from sharpwave_shared.devices import resolve_device

        return resolve_device(options.device if self.uses_device else "cpu")

    def place(self, options: Options, seeds: Sequence[int], default: str) -> Path:
        """Give the run directory: `--out`, or one in `results/` under the name `default`."""
        return options.out or Path("results") / self.package() / default

    def wants_more(self, run: Run) -> bool:
        """Tell whether a finished run has not gone as far as these parameters ask."""
        return False

    def finish(self, run: Run) -> None:
        """Do what is left when results are stored and drawn: print a summary, say."""

    # --- what follows ---

    def start(self, options: Options, reporter: Reporter) -> None:
        """Run the experiment as a command does, and say where results lie."""
        from sharpwave_shared.execution import start_all

        start_all([self], options, reporter)

    def scaled_down(self) -> Experiment:
        """Give what `--quick` makes of the experiment: the values of `quick` that are not given."""
        given = self.model_fields_set
        return self.replaced(**{k: v for k, v in self.quick.items() if k not in given})

    @classmethod
    def extends(cls) -> bool:
        """Tell whether finished runs can be gone on with: whether a parameter is a `Length`."""
        return any(marker(field, Length) is not None for field in all_fields(cls).values())

    @classmethod
    def package(cls) -> str:
        """Name the package of the experiment."""
        return cls.__module__.partition(".")[0].replace("_", "-")

    @classmethod
    def figures(cls) -> Callable[[Any, xr.Dataset], Mapping[str, Figure]]:
        """Give what draws the figures."""
        return cls._room("figures").draw

    @classmethod
    def claims(cls) -> Sequence[Claim]:
        """Give the claims that results speak to."""
        return cls._room("claims").CLAIMS

    @classmethod
    def _room(cls, room: str) -> Any:
        """Import the module of the same name in another folder of the package."""
        package, experiments, name = cls.__module__.split(".", 2)
        assert experiments == "experiments"  # noqa: S101 - where experiments lie
        return importlib.import_module(f"{package}.{room}.{name}")

    def run(
        self,
        seeds: SupportsIndex | Iterable[SupportsIndex] = 0,
        *,
        out: PathLike | None = None,
        sweep: Mapping[str, Iterable[Any]] | None = None,
        **options: Any,
    ) -> xr.Dataset:
        """Run the experiment.

        Parameters
        ----------
        seeds
            One or several.
        out
            The run directory, if what is computed is to be stored, with figures and verdicts.
        sweep
            Values of parameters; the experiment is run for each, or for all combinations.
        options
            Others of `Options`: `device`, `data_dir`, `resume`, `force`, `workers`, ... With
            `quick=True` parameters that are not given are scaled down as `--quick` does.

        Returns
        -------
        xarray.Dataset
            The results; its attributes say of what.

        Raises
        ------
        ParameterError
            If an option cannot be used.
        """
        from sharpwave_shared.execution import run_experiment

        return run_experiment(self, seeds, out=out, sweep=sweep, options=options).data


def check_seeds(seeds: SupportsIndex | Iterable[SupportsIndex]) -> tuple[int, ...]:
    """Give seeds as a tuple.

    Raises
    ------
    ParameterError
        If there is none, or one is no whole number from 0 to 2^32 - 1, or given twice.
    """
    try:
        given: list[Any] = [operator.index(seeds)]  # type: ignore[arg-type]
    except TypeError:
        given = [seeds]
        if isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes):
            given = list(seeds)
    if not given:
        raise ParameterError("seeds", "none", "at least one")
    return Options(seeds=tuple(given)).all_seeds
