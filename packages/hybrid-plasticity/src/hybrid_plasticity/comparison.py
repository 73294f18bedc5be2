"""What several configurations mastered, side by side."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from rich.table import Table
from rich.text import Text

from hybrid_plasticity.configuration import Configuration
from sharpwave_shared.data import DataRecord
from sharpwave_shared.files import sha256
from sharpwave_shared.results import open_run
from sharpwave_shared.run_directory import RESULTS


@dataclass(frozen=True)
class Trained:
    """Results of training, and what identifies them."""

    data: list[xr.Dataset]
    record: DataRecord


def read_trained(directories: Sequence[Path]) -> Trained:
    """Read the results of finished runs of training.

    Raises
    ------
    InvalidInputError
        If one is missing or not finished.
    """
    data = [open_run(directory).data for directory in directories]
    lines = [f"{sha256(directory / RESULTS)}  {directory.name}\n" for directory in directories]
    checksum = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    where = str(directories[0].parents[1])
    return Trained(data, DataRecord("trainings", "hybrid-plasticity train", where, checksum))


def side_by_side(
    configurations: Sequence[Configuration], trained: Sequence[xr.Dataset], budget: int
) -> xr.Dataset:
    """Put what configurations mastered within a budget of iterations into one dataset.

    Parameters
    ----------
    configurations, trained
        The configurations, and the results of their training.
    budget
        Iterations of a network that count.

    Returns
    -------
    xarray.Dataset
        For each `configuration` and `seed`: `mastered`, the iterations that each `interval` took
        (NaN: not mastered), and `mastered_intervals`; for each configuration its
        `parameter_count`, type, and number of hidden units.
    """
    names = [c.short_name for c in configurations]
    mastered = xr.concat([data["mastered"] for data in trained], "configuration", join="outer")
    within = mastered.where(mastered.cumsum("interval") <= budget).dropna("interval", how="all")
    count = within.notnull().sum("interval")
    return xr.Dataset(
        {
            "mastered": within.assign_attrs(trained[0]["mastered"].attrs),
            "mastered_intervals": count.assign_attrs(trained[0]["mastered_intervals"].attrs),
            "parameter_count": (
                "configuration",
                [c.parameter_count for c in configurations],
                {"long_name": "learned parameters"},
            ),
        },
        {
            "configuration": names,
            "interval": ("interval", within["interval"].values.astype(int), {"units": "scenes"}),
            "network_type": ("configuration", [c.network_type for c in configurations]),
            "plastic_types": ("configuration", ["".join(c.plastic_types) for c in configurations]),
            "layers": ("configuration", [len(c.hidden_dims) for c in configurations]),
            "units": ("configuration", [sum(c.hidden_dims) for c in configurations]),
        },
        {"budget": budget},
    )


def comparison_table(data: xr.Dataset) -> Table:
    """Make a table of what `side_by_side` gave: of each configuration the size, the largest R, and
    its pace.

    The pace is the iterations that mastering each R took: the median over the seeds that did, and
    their number where not all did.
    """  # noqa: D205
    table = Table(title=f"Mastered within {data.attrs['budget']:,} iterations")
    table.add_column("network", no_wrap=True)
    for heading in ("parameters", "largest R", *(f"R = {R}" for R in data["interval"].values)):
        table.add_column(heading, justify="right")
    for name in data["configuration"].values:
        own = data.sel(configuration=name)
        largest = own["mastered_intervals"].values
        cells = [f"{int(own['parameter_count']):,}", f"{np.median(largest):g}"]
        if largest.min() < largest.max():
            cells[-1] += f" ({largest.min()}-{largest.max()})"
        for took in own["mastered"].transpose("interval", "seed").values:
            known = took[np.isfinite(took)]
            cells.append(f"{np.median(known):,.0f}" if len(known) else "-")
            if 0 < len(known) < len(took):
                cells[-1] += f" [{len(known)}]"
        table.add_row(*map(Text, (str(name), *cells)))
    return table
