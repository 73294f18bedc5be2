"""Figures of a comparison: how far configurations come, and how fast."""

from typing import get_args

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from hybrid_plasticity.configuration import NetworkType
from hybrid_plasticity.experiments.compare import Compare
from hybrid_plasticity.figures.common import nothing, spread
from sharpwave_shared.plotting import PLAIN, caption, legend

TYPES = list(get_args(NetworkType))


def draw(experiment: Compare, data: xr.Dataset) -> dict[str, Figure]:
    """Draw the largest R of every configuration, and the iterations to master each R."""
    # By type of network, as they are listed otherwise.
    order = np.argsort([TYPES.index(kind) for kind in data["network_type"].values], kind="stable")
    data = data.isel(configuration=order).transpose("configuration", "seed", "interval")
    return {"comparison": _largest(data), "iterations": _iterations(data)}


def _list_configurations(axes: Axes, data: xr.Dataset) -> None:
    """Name the configurations at the rows, with lines between types of network."""
    names, types = data["configuration"].values, data["network_type"].values
    axes.set_yticks(range(len(names)), names)
    axes.set_ylabel("configuration")
    for k in range(1, len(types)):
        if types[k] != types[k - 1]:
            axes.axhline(k - 0.5, color="0.75", linewidth=0.8)


def _words(data: xr.Dataset) -> str:
    seeds = data.sizes["seed"]
    return (
        f"{seeds} seed{'s' if seeds > 1 else ''} a configuration; "
        f"{data.attrs['budget']:,} iterations for each"
    )


def _largest(data: xr.Dataset) -> Figure:
    count = data.sizes["configuration"]
    figure, axes = plt.subplots(figsize=(6.6, 1.3 + 0.27 * count))
    rows = zip(
        data["mastered_intervals"].values.astype(float),
        data["network_type"].values,
        data["parameter_count"].values,
        strict=True,
    )
    for k, (R, kind, parameters) in enumerate(rows):
        colour = f"C{TYPES.index(kind)}"
        axes.barh(k, float(np.median(R)), height=0.7, color=colour, alpha=0.3, linewidth=0)
        axes.plot([np.median(R)] * 2, [k - 0.35, k + 0.35], color=colour, linewidth=2.5)
        heights = k + _apart(R)
        axes.scatter(R, heights, s=14, color="0.15", edgecolors="white", linewidths=0.4, zorder=3)
        axes.text(
            1.01,
            k,
            f"{parameters:,}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    axes.text(1.01, 1.01, "parameters", transform=axes.transAxes, va="bottom", fontsize=8)
    _list_configurations(axes, data)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(-0.15, max(1, data.sizes["interval"]) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.set_xlabel("largest R mastered (scenes)")
    bar = {"marker": "|", "markersize": 9, "markeredgewidth": 2.5}
    lines = {
        "seed": Line2D([], [], color="0.15", linestyle="", marker="o", markersize=4),
        "median": Line2D([], [], color="0.3", linestyle="", **bar),
    }
    legend(figure, lines)
    caption(figure, f"{_words(data)}.")
    return figure


def _apart(values: np.ndarray) -> np.ndarray:
    """Give offsets that put equal values side by side."""
    offsets = np.zeros(len(values))
    for value in np.unique(values):
        own = np.flatnonzero(values == value)
        offsets[own] = spread(len(own), min(0.5, 0.14 * (len(own) - 1)))
    return offsets


def _iterations(data: xr.Dataset) -> Figure:
    count, columns = data.sizes["configuration"], max(1, data.sizes["interval"])
    since = data["mastered"].cumsum("interval", skipna=False)
    known = since.notnull().sum("seed")
    table = since.median("seed").where(known > 0)
    figure, axes = plt.subplots(figsize=(max(4.8, 2.6 + 0.5 * columns), 1.3 + 0.27 * count))
    _list_configurations(axes, data)
    if not table.size or table.isnull().all():
        nothing(axes, "no configuration mastered R = 1")
        axes.set_xlim(0.5, columns + 0.5)
    else:
        _heat_map(figure, axes, table.values, known.values, data.sizes["seed"])
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xticks(range(1, columns + 1))
    axes.tick_params(length=0)
    axes.set_xlabel("interval R (scenes)")
    caption(
        figure,
        "Iterations since the start of the curriculum at which R was mastered: median over the "
        f"seeds that did; in brackets how many, if not all did. {_words(data)}.",
    )
    return figure


def _heat_map(
    figure: Figure, axes: Axes, table: np.ndarray, counts: np.ndarray, seeds: int
) -> None:
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    norm = LogNorm(low, max(high, 1.01 * low))
    extent = (0.5, table.shape[1] + 0.5, len(table) - 0.5, -0.5)
    image = axes.imshow(table, norm=norm, aspect="auto", extent=extent)
    bar = figure.colorbar(image, ax=axes, label="iterations", pad=0.02, aspect=30, format=PLAIN)
    bar.locator = LogLocator(subs=(1, 2, 5))
    bar.minorlocator = NullLocator()
    short = EngFormatter(places=None, sep="")
    for k, R in np.argwhere(np.isfinite(table)):
        value = float(table[k, R])
        text = short(float(f"{value:.2g}"))
        if counts[k, R] < seeds:
            text += f" ({counts[k, R]:.0f})"
        axes.text(
            R + 1,
            k,
            text,
            ha="center",
            va="center",
            fontsize=6.5,
            color="black" if float(norm(value)) > 0.6 else "white",
        )
