"""Figures of sleep schedules: one night, and a grid of them."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption
from sleep_replay.evaluate import COLLAPSED
from sleep_replay.experiments.schedule import Schedule, Sweep
from sleep_replay.figures.common import (
    CARRIED,
    ERROR,
    constant_lines,
    data_sets,
    first_seed,
    image_grid,
    kinds,
    mean_and_deviation,
    seeds_in_words,
    whole_numbers,
)
from sleep_replay.parameters import DATA_SETS, MOMENTS, Night

NREM, REM = "#56B4E9", "#E69F00"
DREAM_ROWS = 11


def draw(experiment: Schedule | Sweep, results: xr.Dataset) -> dict[str, Figure]:
    """Draw the figures of a night, or of a grid of nights."""
    if isinstance(experiment, Sweep):
        return {"heatmap": _heat_map(results), "courses": _courses(experiment, results)}
    return {
        "schedule": _schedule(experiment),
        "errors": _errors(experiment, results),
        "collapse": _collapse(experiment, results),
        "histograms": _histograms(experiment, results),
        "dreams": _dreams(results),
        "reconstructions": _reconstructions(experiment, results),
    }


def _draw_schedule(axes: Axes, night: Night) -> None:
    start = 0
    spans: dict[str, list[tuple[int, int]]] = {"NREM": [], "REM": []}
    for cycle in night.cycles():
        spans["NREM"].append((start, cycle.nrem))
        spans["REM"].append((start + cycle.nrem, cycle.rem))
        start += cycle.nrem + cycle.rem
    for (name, bars), colour in zip(spans.items(), (NREM, REM), strict=True):
        axes.broken_barh(
            [bar for bar in bars if bar[1]], (0, 1), color=colour, label=name, linewidth=0
        )
    axes.set_xlim(0, start)
    whole_numbers(axes)
    axes.set_yticks([])
    axes.set_xlabel("epoch")
    axes.spines["left"].set_visible(False)


def _schedule(night: Schedule) -> Figure:
    figure, axes = plt.subplots(figsize=(6.6, 1.5))
    _draw_schedule(axes, night)
    axes.set_title(
        f"{night.num_cycles} cycles; REM from {night.start_fraction_rem:g} to "
        f"{night.end_fraction_rem:g} of a cycle"
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _errors(experiment: Schedule, results: xr.Dataset) -> Figure:
    figure, (axes, bars) = plt.subplots(
        2, 1, figsize=(5.2, 4.2), sharex=True, height_ratios=(12, 1)
    )
    for data_set, name, colour in data_sets(experiment):
        error = results["error"].sel(data_set=data_set)
        mean_and_deviation(axes, error, name, colour, marker="o", markersize=3)
    constant_lines(axes, results)
    axes.set_ylabel(ERROR)
    axes.set_ylim(bottom=0)
    _draw_schedule(bars, experiment)
    figure.legend(loc="outside upper center", ncols=3)
    caption(
        figure,
        f"Reconstruction error of test images after every cycle; {seeds_in_words(results)}. "
        "Dotted: the constant image that fits a data set best.",
    )
    return figure


def _collapse(experiment: Schedule, results: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    epochs = results["epoch"].values
    for data_set, name, colour in data_sets(experiment):
        carried = results["carried"].sel(data_set=data_set).transpose("cycle", "seed").values
        axes.plot(epochs, carried, color=colour, alpha=0.3, linewidth=0.8)
        axes.plot(epochs, carried.mean(1), color=colour, label=name, marker="o", markersize=3)
    axes.axhspan(0, COLLAPSED, color="0.85", linewidth=0, label="collapsed")
    axes.set_xlabel("epoch")
    axes.set_ylabel(CARRIED)
    axes.set_ylim(0, None)
    figure.legend(loc="outside upper center", ncols=3)
    seeds = results.sizes["seed"]
    lines = f"Thin lines: {seeds} seeds; thick: their mean. " if seeds > 1 else ""
    caption(
        figure,
        "Variance of the reconstructions over test images, relative to that of the images. "
        f"{lines}A collapsed model decodes every input to the same image.",
    )
    return figure


def _histograms(experiment: Schedule, results: xr.Dataset) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(6.6, 3.0), sharey=True)
    highest = float(results["image_error"].quantile(0.999))
    edges = np.linspace(0, highest * 1.02, 60)
    for axes, (data_set, name, colour) in zip(panels, data_sets(experiment), strict=True):
        for moment, look in zip(MOMENTS, ("0.5", colour), strict=True):
            errors = results["image_error"].sel(moment=moment, data_set=data_set).values.ravel()
            known = errors[np.isfinite(errors)]
            axes.hist(known, edges, density=True, alpha=0.7, color=look, label=f"{moment} sleep")
        axes.set_title(name)
        axes.set_xlabel(ERROR)
        axes.legend()
    panels[0].set_ylabel("density of test images")
    seeds = results.sizes["seed"]
    caption(figure, f"Errors of single test images; {seeds} seed{'s' * (seeds > 1)} together.")
    return figure


def _dreams(results: xr.Dataset) -> Figure:
    last = results.sizes["cycle"] - 1
    times = np.unique(np.linspace(0, last, DREAM_ROWS).round().astype(int))
    labels = ["before" if time == 0 else f"cycle {time}" for time in times]
    return image_grid(
        results["dream"].isel(cycle=times).values,
        labels,
        "Dreams over the night",
        f"Samples decoded from the same latents at every time; {first_seed(results)}.",
    )


def _reconstructions(experiment: Schedule, results: xr.Dataset) -> Figure:
    rows, labels = [], []
    for data_set, kind in zip(DATA_SETS, kinds(experiment), strict=True):
        shown = results.sel(data_set=data_set)
        rows.append(shown["picture"].values)
        rows += [shown["reconstruction"].sel(moment=moment).values for moment in MOMENTS]
        labels += [f"{kind}, {what}" for what in ("original", "before sleep", "after sleep")]
    return image_grid(
        np.stack(rows),
        labels,
        "Reconstructions of test images",
        f"The same test images before and after the night; {first_seed(results)}.",
        group=3,
    )


def _heat_map(results: xr.Dataset) -> Figure:
    """Draw one map of retention and one of learning."""
    cycles = sorted(results["cycles"].values)
    grid = results["final_error"].median("seed").sel(cycles=cycles)
    grid = grid.stack(row=("lr", "fraction")).transpose("data_set", "row", "cycles")
    rows, columns = grid.sizes["row"], grid.sizes["cycles"]
    figure, panels = plt.subplots(
        1, 2, figsize=(2.6 + 2 * max(1.6, 0.6 * columns), 1.5 + 0.45 * rows), sharey=True
    )
    scale = {"cmap": "viridis_r", "norm": Normalize(0, 700)}
    for axes, values, title in zip(panels, grid.values, ("retention", "learning"), strict=True):
        axes.imshow(values, aspect="auto", **scale)
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 400 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour)
        axes.set_title(title)
        axes.set_xticks(range(columns), [str(c) for c in cycles])
        axes.set_xlabel("cycles")
        axes.spines[:].set_visible(False)
    panels[0].set_yticks(range(rows), [f"lr {lr:g}, REM {f}" for lr, f in grid["row"].values])
    figure.colorbar(ScalarMappable(**scale), ax=list(panels), label="final error", shrink=0.9)
    seeds = results.sizes["seed"]
    median = f"Median over {seeds} seeds" if seeds > 1 else "One seed"
    caption(
        figure,
        f"{median} at the end of sleep; {ERROR}; retention: of data set 1, learning: of data set "
        "2. Low is good on both sides.",
    )
    return figure


def _courses(experiment: Sweep, results: xr.Dataset) -> Figure:
    """Draw the errors along every night."""
    cycles, rates = sorted(experiment.cycles), results["lr"].values
    fractions = results["fraction"].values
    rows = len(rates) * len(fractions)
    figure, panels = plt.subplots(
        rows,
        len(cycles),
        figsize=(1.2 + 1.9 * len(cycles), 1.2 + 1.3 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    places = [(lr, fraction) for lr in rates for fraction in range(len(fractions))]
    for (lr, fraction), row in zip(places, panels, strict=True):
        for axes, count in zip(row, cycles, strict=True):
            shown = results.sel(lr=lr, cycles=count).isel(fraction=fraction)
            shown = shown.sel(cycle=slice(count))
            epochs = experiment.total_eps // count * shown["cycle"]
            for data_set, name, colour in data_sets(experiment):
                error = shown["error"].sel(data_set=data_set).assign_coords(epoch=epochs)
                mean_and_deviation(axes, error, name, colour)
            constant_lines(axes, shown)
            cycle = f"{count} cycle{'s' * (count > 1)}"
            axes.set_title(f"{cycle}, REM {fractions[fraction]}, lr {lr:g}", fontsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    panels[0, 0].set_ylim(bottom=0)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.supylabel(ERROR, fontsize=9)
    caption(figure, f"Errors of both data sets over the night; {seeds_in_words(results)}.")
    return figure
