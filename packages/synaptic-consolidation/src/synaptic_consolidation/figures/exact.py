"""Figures of exact solutions beside the theory."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.stats import norm as normal

from sharpwave_shared.plotting import caption, dark_to_light, legend
from sharpwave_shared.statistics import bootstrap_mean
from synaptic_consolidation.experiments.exact import Exact
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.theory import (
    COLOURS,
    LOAD,
    NAMES,
    NO_SOLUTION,
    draw_density_theory,
    draw_margin_theory,
)
from synaptic_consolidation.optima import NORMS, WEIGHT_EDGES

LIMIT = "many independent neurons"
MARKERS = "os^Dv"


def draw(setup: Exact, data: xr.Dataset) -> dict[str, Figure]:
    """Draw margins, densities and weights of exact solutions beside the theory.

    With several numbers of neurons, the deviation from the theory is drawn as well. Weights are
    drawn if there are any solutions.
    """
    figures = {"margin": _margin(setup, data), "density": _density(setup, data)}
    solved = data.sel(n=max(setup.n))["solved"].sum("seed").min("factors")
    if loads := [load for load in setup.loads if solved.sel(load=load) > 0]:
        figures["weights"] = _weights(setup, data, loads)
    if len(setup.n) > 1:
        figures["finite-size"] = _finite_size(setup, data)
    return figures


def _sizes(setup: Exact) -> list[tuple[int, str, float]]:
    """Give all N with a marker, and how far points are shifted so that they lie side by side."""
    sizes = sorted(setup.n)
    step = 0.008 * max(setup.loads)
    return [
        (n, MARKERS[i % len(MARKERS)], (i - (len(sizes) - 1) / 2) * step)
        for i, n in enumerate(sizes)
    ]


def _plot_points(axes: Axes, setup: Exact, data: xr.Dataset, factors: int, quantity: str) -> float:
    """Plot mean and standard deviation over rows for every N; give the highest value shown."""
    highest = 0.0
    for n, marker, shift in _sizes(setup):
        mean, sd = common.over_rows(data[quantity].sel(n=n, factors=factors))
        points: dict[str, Any] = common.POINTS | {"marker": marker, "color": COLOURS[factors]}
        axes.errorbar(
            data["load"].values + shift,
            mean,
            np.nan_to_num(sd),
            **points,
            label=f"$N$ = {n}, $z$ = {factors}",
        )
        highest = max(highest, float(np.nanmax(mean + np.nan_to_num(sd), initial=0.0)))
    return highest


def _about_rows(setup: Exact, data: xr.Dataset) -> str:
    """Say what points and bars sum up."""
    kind = "exactly $Nf$ active neurons" if setup.exact_activity else "independent neurons"
    all_solved = bool((data["solved"] == 1).all())
    solved = "all of which have a solution" if all_solved else "of those that have a solution"
    return (
        f"Points: mean and s.d. over {data.sizes['seed'] * setup.rows} rows, {solved} ({kind}, "
        f"$f$ = {setup.f:g}, {common.seeds_of(data)})"
    )


def _margin(setup: Exact, data: xr.Dataset) -> Figure:
    unsolved = bool((data["solved"] < 1).any())
    count = 3 if unsolved else 2
    figure, panels = common.subplots(1, count, figsize=(3.6 * count, 3.2))
    right = 1.06 * max(setup.loads)
    for axes, factors in zip(panels, NORMS, strict=False):
        draw_margin_theory(axes, common.under("theory_", data), factors)
        highest = _plot_points(axes, setup, data, factors, "margin")
        axes.set(xlim=(0, right), ylim=(0, 1.1 * highest or None), title=NAMES[factors])
        axes.legend()
    if unsolved:
        _plot_solved(panels[2], setup, data)
        panels[2].set_xlim(0, right)
    caption(figure, f"Largest margins. {_about_rows(setup, data)}; lines: {LIMIT}.")
    return figure


def _plot_solved(axes: Axes, setup: Exact, data: xr.Dataset) -> None:
    """Plot the share of rows that have a solution, which both norms agree about."""
    ordered = data["solved"].sel(factors=1).mean("seed").sortby("load")
    for i, (n, marker, _) in enumerate(_sizes(setup)):
        share = ordered.sel(n=n)
        axes.plot(
            *(share["load"], share),
            marker=marker,
            markersize=4.5,
            color=f"C{2 + i}",
            label=f"$N$ = {n}",
        )
    critical = data.attrs["critical_load"]
    axes.axvline(critical, color="0.6", linewidth=1, linestyle=":", label="critical load")
    axes.set(ylim=(-0.03, 1.03), xlabel=LOAD, ylabel="share of rows that have a solution")
    axes.set_title("Rows with a solution")
    axes.legend()


def _density(setup: Exact, data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(5.2, 3.6))
    curves = common.under("theory_", data)
    draw_density_theory(axes, curves)
    highest = max(_plot_points(axes, setup, data, factors, "density") for factors in NORMS)
    right = max(axes.get_xlim()[1], 1.06 * max(setup.loads))
    axes.set(xlim=(0, right), ylim=(0, max(0.62, 1.05 * highest)))
    critical = float(curves["load"][-1])
    axes.fill_between([critical, right], 0, 1, color=NO_SOLUTION, linewidth=0, zorder=0)
    axes.set_title("Density of the optimal weights")
    legend(figure, beside=True, handlelength=1.8)
    caption(figure, f"{_about_rows(setup, data)}; lines and grey region: {LIMIT}.")
    return figure


def _weights(setup: Exact, data: xr.Dataset, loads: list[float]) -> Figure:
    """Draw the distribution of weights at some of these loads, for the largest N."""
    n, shown = max(setup.n), common.shown_loads(tuple(loads))
    figure, panels = common.subplots(
        *(2, len(shown)),
        figsize=(0.8 + 2.2 * len(shown), 4.2),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    x, widths = np.linspace(0, WEIGHT_EDGES[-1], 200), np.diff(WEIGHT_EDGES)
    for row, factors in zip(panels, NORMS, strict=True):
        for axes, load in zip(row, shown, strict=True):
            found = data.sel(n=n, factors=factors, load=load)
            surviving = float(found["density"].sum()) * (n - 1)
            axes.stairs(
                found["counts"].sum("seed").values / surviving / widths,
                WEIGHT_EDGES,
                fill=True,
                color=COLOURS[factors],
                alpha=0.45,
                label=f"density {float(found['density'].mean()):.3f}",
            )
            expected = float(found["expected_density"].mean())
            if np.isfinite(expected):
                axes.plot(x, _survivors(x, expected), color="black", linewidth=1)
            axes.set_title(f"{NAMES[factors]}, $\\alpha$ = {load:g}", fontsize=8)
            axes.set(xlim=(0, WEIGHT_EDGES[-1]), ylim=(0, None))
            axes.legend(handlelength=1)
    figure.supylabel("probability density of surviving weights", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("$w$ / mean surviving $w$")
    caption(
        figure,
        f"Weights above 0, relative to their mean in the row; $N$ = {n}, "
        f"{data.sizes['seed'] * setup.rows} rows, {common.seeds_of(data)}. Lines: the tail of a "
        "normal distribution that holds the theory's density.",
    )
    return figure


def _survivors(x: np.ndarray, density: float) -> np.ndarray:
    """Give the density of the theory's weights above 0, max(z - B, 0) for normal z, by their mean.

    B is where as many z lie above it as the density says.
    """
    B = normal.isf(density)
    mean = normal.pdf(B) / density - B
    return mean * normal.pdf(B + mean * x) / density


def _finite_size(setup: Exact, data: xr.Dataset) -> Figure:
    """Draw how far margins and densities are from the theory, against N."""
    sizes = sorted(setup.n)
    below = [load for load in sorted(setup.loads) if load <= data.attrs["critical_load"]]
    colours = dark_to_light(len(below))
    figure, panels = common.subplots(2, 2, figsize=(6.8, 5.0), sharex=True, sharey="row")
    for column, factors in zip(panels.T, NORMS, strict=True):
        for axes, quantity in zip(column, ("margin", "density"), strict=True):
            for load, colour in zip(below, colours, strict=True):
                found = data.sel(factors=factors, load=load)
                intervals = np.array(
                    [
                        _deviation(found.sel(n=n), quantity, relative=quantity == "margin")
                        for n in sizes
                    ]
                )
                value, low, high = intervals.T
                axes.errorbar(
                    *(sizes, value, np.nan_to_num([value - low, high - value])),
                    marker="o",
                    markersize=3.5,
                    linewidth=1,
                    color=colour,
                    label=f"$\\alpha$ = {load:g}",
                )
        column[0].set_title(NAMES[factors])
        column[1].set_xlabel("neurons $N$")
    for axes in panels.flat:
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_xticks(sizes, labels=map(str, sizes))
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0, 0].set_ylabel("margin / theory $-$ 1")
    panels[1, 0].set_ylabel("density $-$ theory")
    legend(figure, beside=True)
    caption(
        figure,
        f"Mean over rows with its bootstrap interval of 95 %, {common.seeds_of(data)}, against the "
        f"theory for {LIMIT}. Rows of a network share its patterns, and deviate together.",
    )
    return figure


def _deviation(found: xr.Dataset, quantity: str, *, relative: bool) -> tuple[float, float, float]:
    """Give how far rows are from the theory, on average, with an interval of 95 %."""
    theory = float(found[f"expected_{quantity}"].mean())
    deviation = found[quantity].values.ravel() - theory
    return bootstrap_mean(deviation / theory if relative else deviation)
