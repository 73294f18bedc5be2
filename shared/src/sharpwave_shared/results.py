"""Results as labelled arrays: stored, read back, tidied, and taken from several runs together.

run = open_run("results/synaptic-consolidation/wake-sleep-...")
run.data                      # an xarray.Dataset
run.measures()                # its measures, a row for each seed and condition
"""

import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from sharpwave_shared.errors import (
    DataWarning,
    ExistingRunError,
    InvalidInputError,
    SharpwaveError,
    first_line,
    show,
)
from sharpwave_shared.experiment import Experiment
from sharpwave_shared.files import LARGEST_FILE, atomic_path, sha256
from sharpwave_shared.paths import PathLike, as_path, require_regular, require_size
from sharpwave_shared.run_directory import MEASURES, RECORD, RESULTS, Record, read_record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpwave_shared.claims import Verdict

ENGINE = "h5netcdf"
SMALL = 1000
"""Arrays below this many values are not compressed."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run: what it was, and what came out.

    Attributes
    ----------
    experiment
        The experiment with its parameters.
    record
        Seeds, device, versions and so on, as `run.json` has them.
    directory
        Where it is stored; None if it is not.
    """

    experiment: Experiment
    record: Record
    directory: Path | None = None

    @cached_property
    def data(self) -> xr.Dataset:
        """The results."""
        assert self.directory is not None  # noqa: S101 - otherwise `computed` has set it
        return read_results(self.directory / RESULTS, self.record.checksums.get(RESULTS))

    @classmethod
    def computed(
        cls, experiment: Experiment, record: Record, data: xr.Dataset, directory: Path | None = None
    ) -> "Run":
        """Give a run whose results have just been computed."""
        run = cls(experiment, record, directory)
        run.__dict__["data"] = describe(data, record)
        return run

    def __repr__(self) -> str:
        where = "" if self.directory is None else f", in {self.directory}"
        return (
            f"<Run of {self.record.package} {self.experiment!r}, seeds {show(self.record.seeds)}"
            f"{where}>"
        )

    @property
    def swept(self) -> dict[str, list[Any]]:
        """The parameters that were varied, and their values."""
        return self.record.sweep or {}

    def measures(self) -> pd.DataFrame:
        """Give the measures as a tidy table; see `tidy`."""
        conditions = [beside(n) if n in self.swept else n for n in self.experiment.conditions]
        return tidy(self.data, [*conditions, *self.swept])

    @property
    def all_missing(self) -> bool:
        """Whether there are numbers, and all of them are NaN."""
        numbers = [v for v in self.data.data_vars.values() if v.dtype.kind == "f" and v.size]
        return bool(numbers) and all(bool(v.isnull().all()) for v in numbers)

    def verify(self) -> "list[Verdict]":
        """Check the claims that the run speaks to.

        Raises
        ------
        InvalidInputError
            If it is a sweep, whose `data` say for how many seeds of each run claims hold.
        """
        from sharpwave_shared.claims import judge
        from sharpwave_shared.environment import own_state

        if self.swept:
            raise InvalidInputError(
                "the claims were checked on each run of the sweep; see its data"
            )
        with own_state():
            return judge(self)

    def draw(self) -> "Mapping[str, Figure]":
        """Draw the figures."""
        from sharpwave_shared.environment import own_state
        from sharpwave_shared.maps import sweep_figures
        from sharpwave_shared.plotting import style

        with own_state(), style():
            if self.swept:
                return sweep_figures(self)
            return self.experiment.figures()(self.experiment, self.data)


def describe(data: xr.Dataset, record: Record) -> xr.Dataset:
    """Let a dataset say what it is of."""
    return data.assign_attrs(
        package=record.package,
        version=record.version,
        experiment=record.experiment,
        parameters=json.dumps(record.parameters),
        seeds=json.dumps(record.seeds),
        quick=int(record.quick),
    )


def open_run(path: PathLike) -> Run:
    """Read a finished run.

    Raises
    ------
    InvalidInputError
        If the directory does not hold a finished run.
    """
    from sharpwave_shared.app import find_experiment

    directory = as_path("path", path)
    if not os.path.isfile(directory / RECORD):
        raise InvalidInputError(f"{directory}: no run there (it has no {RECORD})")
    record = read_record(directory)
    if record.status != "finished":
        raise ExistingRunError(
            f"{directory}: the run did not finish (status {record.status})",
            resume="goes on with it when it is run again",
        )
    kind = find_experiment(record.package, record.experiment)
    try:
        experiment = kind(**record.parameters)
    except InvalidInputError as error:
        raise SharpwaveError(
            f"{directory / RECORD}: parameters that this version does not take: {error}"
        ) from None
    return Run(experiment, record, directory)


def write_results(directory: Path, run: Run) -> None:
    """Write `results.nc` and `metrics.csv`, each whole or not at all."""
    data = run.data
    encoding = {
        name: {"zlib": True, "complevel": 4}
        for name, variable in data.variables.items()
        if variable.size >= SMALL and variable.dtype.kind in "biuf"
    }
    # In memory first: HDF5 crashes the process when it cannot write to a disk that is full.
    written = io.BytesIO()
    with _no_scheduler():
        data.to_netcdf(written, engine=ENGINE, encoding=encoding)
    with atomic_path(directory / RESULTS) as temporary:
        temporary.write_bytes(written.getbuffer())
    with atomic_path(directory / MEASURES) as temporary:
        run.measures().to_csv(temporary, index=False)


def _no_scheduler() -> AbstractContextManager[Any]:
    """Keep xarray from asking a dask cluster, where one is in use, to lock what is in memory."""
    if "dask" not in sys.modules:
        return nullcontext()
    import dask.config

    return dask.config.set(scheduler="synchronous")


def read_results(path: Path, checksum: str | None = None) -> xr.Dataset:
    """Read a dataset whole.

    Raises
    ------
    SharpwaveError
        If the file is missing, too large, no netCDF file, or has another SHA-256 than it should.
    """
    require_regular(path, LARGEST_FILE)
    if checksum is not None and sha256(path) != checksum:
        raise SharpwaveError(f"{path}: is not what this run wrote: its checksum is another")
    try:
        require_size(path, _unpacked(path), LARGEST_FILE)
        # Units such as hours are the science's, not those of calendars.
        with xr.open_dataset(path, engine=ENGINE, decode_times=False) as stored:
            data = stored.load()
    except SharpwaveError:
        raise
    except Exception as error:  # of the file system, HDF5, or the decoding
        raise SharpwaveError(
            f"{path}: is not a readable netCDF file: {first_line(error)}"
        ) from error
    return data.assign_attrs({name: _plain(value) for name, value in data.attrs.items()})


def _unpacked(path: Path) -> int:
    """Give the bytes of all variables of a netCDF file; refuse those that lie in other files."""
    import h5py

    size = 0
    with h5py.File(path) as stored:
        for name in stored:
            link, part = stored.get(name, getlink=True), None
            if isinstance(link, h5py.HardLink):
                part = stored[name]
            if not isinstance(part, h5py.Dataset) or part.external or part.is_virtual:
                raise ValueError(f"{name} is no variable that lies in it")
            size += part.nbytes
    return size


def _plain(value: Any) -> Any:
    """Make Python's numbers of NumPy's."""
    return value.item() if isinstance(value, np.generic) else value


def tidy(data: xr.Dataset, conditions: Sequence[str]) -> pd.DataFrame:
    """Make a table of the measures: a row for each condition and measure.

    Parameters
    ----------
    data
        The results.
    conditions
        Dimensions that tell conditions apart. Measures are the variables of numbers or truth
        values that have no other.

    Returns
    -------
    pandas.DataFrame
        Columns: those of the conditions (missing where a measure does not depend on one),
        `measure`, `value`, `units`. What is not known is left out.
    """
    found = measures_of(data, conditions)
    present = [name for name in conditions if name in found.dims]
    tables = []
    for name, variable in found.data_vars.items():
        if variable.ndim:
            table = variable.astype(float).to_series().rename("value").reset_index()
        else:
            table = pd.DataFrame({"value": [float(variable)]})
        table = table.dropna(subset=["value"])
        if len(table):
            tables.append(table.assign(measure=name, units=variable.attrs.get("units", "")))
    columns = [*present, "measure", "value", "units"]
    if not tables:
        return pd.DataFrame(columns=columns)
    whole = {name: "Int64" for name in present if found[name].dtype.kind in "iu"}
    return pd.concat(tables, ignore_index=True).reindex(columns=columns).astype(whole)


def measures_of(data: xr.Dataset, conditions: Sequence[str]) -> xr.Dataset:
    """Give the variables of numbers that have no dimension beside the conditions."""
    return data[
        [
            name
            for name, variable in data.data_vars.items()
            if set(variable.dims) <= set(conditions) and variable.dtype.kind in "biuf"
        ]
    ]


def combine(of: Callable[..., xr.Dataset], along: Mapping[str, Sequence[Any]]) -> xr.Dataset:
    """Put the datasets of all conditions along new dimensions; fill up what is shorter.

    Parameters
    ----------
    of
        Gives the dataset of a condition: of a value for each dimension.
    along
        The dimensions with their values.
    """

    def nested(axes: list[Sequence[Any]], *condition: Any) -> Any:
        if not axes:
            return of(*condition)
        return [nested(axes[1:], *condition, value) for value in axes[0]]

    data = xr.combine_nested(
        nested(list(along.values())),
        list(along),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop_conflicts",
    )
    data = data.assign_coords({name: list(values) for name, values in along.items()})
    return data.transpose(*along, ...)


def combine_runs(cells: Sequence[tuple[Mapping[str, Any], xr.Dataset]]) -> xr.Dataset:
    """Put the measures of runs with different parameters into one dataset.

    Parameters
    ----------
    cells
        For each run the values of the parameters that vary, and its measures; all combinations of
        some values.

    Returns
    -------
    xarray.Dataset
        With a dimension for each of these parameters. Other coordinates are united; NaN stands
        where a run has none.
    """
    names = list(cells[0][0])
    columns = [labels([values[name] for values, _ in cells]) for name in names]
    found = {
        point: data.rename({name: beside(name) for name in names if name in data.variables})
        for point, (_, data) in zip(zip(*columns, strict=True), cells, strict=True)
    }
    return combine(
        lambda *point: found[point],
        {name: list(dict.fromkeys(column)) for name, column in zip(names, columns, strict=True)},
    )


def beside(name: str) -> str:
    """Name a dimension of results beside a parameter that varies and has the same name."""
    return f"{name} of the results"


def labels(values: Sequence[Any]) -> list[float] | list[str]:
    """Give values of a parameter as a coordinate: as numbers if all are, or else as texts."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [float(value) for value in values]
    texts, meant = [], {}
    for value in values:  # a long one is shortened, and may then be told by its number only
        alike = meant.setdefault(show(value), [])
        if value not in alike:
            alike.append(value)
        number = alike.index(value) + 1
        texts.append(show(value) if number == 1 else f"{show(value)} ({number})")
    return texts


def unite_seeds(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put the results of single seeds into one; what no seed has of its own is the first's.

    Where a dimension without coordinates is longer for some seeds, the others are filled up: with
    NaN, of whole numbers with -1.
    """
    for name, variable in parts[0].data_vars.items():
        if "seed" not in variable.dims and not all(variable.equals(part[name]) for part in parts):
            told = (
                f"{name} has no dimension seed, but differs between seeds; the first one's is taken"
            )
            warnings.warn(told, DataWarning, stacklevel=2)
    if "seed" not in parts[0].dims:  # nothing depends on it
        return parts[0]
    longest: dict[Any, int] = {}
    for part in parts:
        for dim in set(part.dims) - set(part.indexes):
            longest[dim] = max(longest.get(dim, 0), part.sizes[dim])
    return xr.concat(
        [_filled_up(part, longest) for part in parts],
        "seed",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="override",
    )


def _filled_up(data: xr.Dataset, sizes: Mapping[Any, int]) -> xr.Dataset:
    widths = {dim: (0, size - data.sizes[dim]) for dim, size in sizes.items() if dim in data.dims}
    if not any(width for _, width in widths.values()):
        return data
    fills = {"i": -1, "u": 0, "b": False, "U": "", "O": ""}
    constants = {name: fills.get(v.dtype.kind, np.nan) for name, v in data.variables.items()}
    return data.pad(widths, constant_values=constants)
