"""Figures of a comparison: how far configurations come, and how fast."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from hybrid_plasticity.figures.common import PLAIN, nothing, spread
from hybrid_plasticity.model import NETWORK_TYPES, short_name
from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun

Compared = dict[str, Any]


def comparison_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the largest R of every configuration, and the iterations to master each R."""
    with style():
        return {"comparison": _largest(run), "iterations": _iterations(run)}


def _grouped(run: StoredRun) -> list[Compared]:
    """Sort configurations by type of network, as they are listed otherwise."""
    return sorted(
        run.metrics["configurations"], key=lambda c: NETWORK_TYPES.index(c["network_type"])
    )


def _labels(compared: list[Compared]) -> list[str]:
    labels = [short_name(c) for c in compared]
    return labels if len(set(labels)) == len(labels) else [c["name"] for c in compared]


def _separate(axes: Any, compared: list[Compared]) -> None:
    """Draw lines between types of network."""
    types = [c["network_type"] for c in compared]
    for k in range(1, len(types)):
        if types[k] != types[k - 1]:
            axes.axhline(k - 0.5, color="0.75", linewidth=0.8)


def _words(run: StoredRun) -> str:
    counts = sorted({len(c["seeds"]) for c in run.metrics["configurations"]})
    ends = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    plural = "" if counts == [1] else "s"
    return f"{ends} seed{plural} a configuration; {run.metrics['budget']:,} iterations for each"


def _largest(run: StoredRun) -> Figure:
    compared = _grouped(run)
    figure, axes = plt.subplots(figsize=(6.6, 1.3 + 0.27 * len(compared)))
    largest = 1
    for k, c in enumerate(compared):
        R = np.array([len(mastered) for mastered in c["mastered"]], dtype=float)
        colour = f"C{NETWORK_TYPES.index(c['network_type'])}"
        axes.barh(k, float(np.median(R)), height=0.7, color=colour, alpha=0.3, linewidth=0)
        axes.plot([np.median(R)] * 2, [k - 0.35, k + 0.35], color=colour, linewidth=2.5)
        heights = k + _apart(R)
        axes.scatter(R, heights, s=14, color="0.15", edgecolors="white", linewidths=0.4, zorder=3)
        largest = max(largest, int(R.max()))
        axes.text(
            1.01,
            k,
            f"{c['parameters']:,}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    axes.text(1.01, 1.01, "parameters", transform=axes.transAxes, va="bottom", fontsize=8)
    _separate(axes, compared)
    axes.set_yticks(range(len(compared)), _labels(compared))
    axes.set_ylim(len(compared) - 0.4, -0.6)
    axes.set_xlim(-0.15, largest + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.set_xlabel("largest R mastered (scenes)")
    axes.set_ylabel("configuration")
    look = {"color": "0.15", "linestyle": "", "markersize": 4}
    bar = Line2D([], [], color="0.3", marker="|", linestyle="", markersize=9, markeredgewidth=2.5)
    bar.set_label("median")
    figure.legend(
        handles=[Line2D([], [], **look, marker="o", label="seed"), bar],
        loc="outside upper center",
        ncols=2,
    )
    caption(figure, f"{_words(run)}.")
    return figure


def _apart(values: np.ndarray) -> np.ndarray:
    """Give offsets that put equal values side by side."""
    offsets = np.zeros(len(values))
    for value in np.unique(values):
        own = np.flatnonzero(values == value)
        offsets[own] = spread(len(own), min(0.5, 0.14 * (len(own) - 1)))
    return offsets


def _iterations(run: StoredRun) -> Figure:
    compared = _grouped(run)
    columns = max(1, *(len(m) for c in compared for m in c["mastered"]))
    table, counts = np.full((len(compared), columns), np.nan), np.zeros((len(compared), columns))
    for k, c in enumerate(compared):
        for R in range(columns):
            took = [sum(m[: R + 1]) for m in c["mastered"] if len(m) > R]
            counts[k, R] = len(took)
            if took:
                table[k, R] = np.median(took)
    figure, axes = plt.subplots(figsize=(max(4.8, 2.6 + 0.5 * columns), 1.3 + 0.27 * len(compared)))
    _separate(axes, compared)
    if not np.isfinite(table).any():
        nothing(axes, "no configuration mastered R = 1")
        axes.set_xlim(0.5, columns + 0.5)
    else:
        _heat_map(figure, axes, table, counts, [len(c["seeds"]) for c in compared])
    axes.set_yticks(range(len(compared)), _labels(compared))
    axes.set_ylim(len(compared) - 0.5, -0.5)
    axes.set_xticks(range(1, columns + 1))
    axes.tick_params(length=0)
    axes.set_xlabel("interval R (scenes)")
    axes.set_ylabel("configuration")
    caption(
        figure,
        "Iterations since the start of the curriculum at which R was mastered: median over the "
        f"seeds that did; in brackets how many, if not all did. {_words(run)}.",
    )
    return figure


def _heat_map(
    figure: Figure, axes: Any, table: np.ndarray, counts: np.ndarray, seeds: list[int]
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
        if counts[k, R] < seeds[k]:
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
