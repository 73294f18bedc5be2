"""Figures of sleep schedules: one night, and a grid of them."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, first_seed, legend, seeds_in_words
from sleep_replay.evaluate import COLLAPSED
from sleep_replay.experiments.schedule import SLEEP, Schedule, Sweep
from sleep_replay.figures.common import (
    ERROR,
    constant_lines,
    data_sets,
    image_grid,
    kinds,
    mean_and_deviation,
    whole_numbers,
)
from sleep_replay.parameters import DATA_SETS, MOMENTS, Night

NREM, REM = "#56B4E9", "#E69F00"
DREAM_ROWS, MOST_DREAM_ROWS = 4, 25
"""Times of each night at which dreams are shown, and of the night on a sheet of its own."""


def draw(experiment: Schedule | Sweep, results: xr.Dataset) -> dict[str, Figure]:
    """Draw the figures of a night, or of a grid of nights."""
    if isinstance(experiment, Sweep):
        return {"heatmap": _heat_map(results), "courses": _courses(experiment, results)}
    return {
        "night": _night(experiment, results),
        "dreams": _dreams(results),
        "dreams-by-cycle": _dreams_by_cycle(results),
        "reconstructions": _reconstructions(experiment, results),
        "histograms": _histograms(experiment, results),
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


def _title(experiment: Schedule, night: str) -> str:
    """Name a night, above its column."""
    if night != SLEEP:
        return night
    start, end = experiment.start_fraction_rem, experiment.end_fraction_rem
    dreamer = "own" if experiment.continue_training else "frozen model's"
    share = f"{start:g}" if start == end else f"{start:g} to {end:g}"
    return f"sleep (REM {share},\n{dreamer} dreams)"


def _night(experiment: Schedule, results: xr.Dataset) -> Figure:
    """Draw a column for the night and each of its controls: what is known, and dreamt, over it."""
    nights = experiment.nights()
    figure, panels = plt.subplots(
        4,
        len(nights),
        figsize=(max(5.0, 1.4 + 2.0 * len(nights)), 6.4),
        sharex=True,
        sharey="row",
        height_ratios=(10, 8, 8, 1),
        squeeze=False,
    )
    for column, (name, night) in zip(panels.T, nights.items(), strict=True):
        error, carried, dreamt, bars = column
        error.set_title(_title(experiment, name))
        for data_set, label, colour in data_sets(experiment):
            look = {"marker": "o", "markersize": 2}
            own = results.sel(night=name, data_set=data_set)
            mean_and_deviation(error, own["error"], label, colour, **look)
            mean_and_deviation(carried, own["carried"], None, colour, **look)
            mean_and_deviation(dreamt, own["dream_share"], None, colour, **look)
        constant_lines(error, results)
        carried.axhspan(0, COLLAPSED, color="0.85", linewidth=0, label="one image for all")
        _draw_schedule(bars, night)
    error, carried, dreamt, _ = panels[:, 0]
    error.set_ylabel("error (summed\nabsolute grey level)")
    carried.set_ylabel("share of variance\ncarried")
    dreamt.set_ylabel("share of dreams\nthat look like it")
    error.set_ylim(bottom=0)
    carried.set_ylim(0, None)
    dreamt.set_ylim(-0.03, 1.03)
    legend(figure)
    largest = float(results["standard_error"].max())
    caption(
        figure,
        f"{_counted(results)} test images of each data set after every cycle (standard error of "
        f"an error at most {largest:.1f}); {seeds_in_words(results)}. Last row: what the network "
        "itself dreams at that time, whether or not it is trained on it.",
    )
    return figure


def _counted(results: xr.Dataset) -> int:
    """Count the test images of the smaller test set."""
    known = results["image_error"].isel(moment=0, night=0, seed=0).notnull()
    return int(known.sum("image").min())


def _histograms(experiment: Schedule, results: xr.Dataset) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(6.6, 3.0), sharey=True)
    highest = float(results["image_error"].quantile(0.999))
    edges = np.linspace(0, highest * 1.02, 60)
    for axes, (data_set, label, _) in zip(panels, data_sets(experiment), strict=True):
        errors = results["image_error"].sel(data_set=data_set)
        before = errors.isel(moment=0, night=0).values.ravel()
        axes.hist(before, edges, density=True, color="0.75", label="before")
        for index, night in enumerate(results["night"].values):
            after = errors.sel(moment=MOMENTS[1], night=night).values.ravel()
            axes.hist(
                after, edges, density=True, histtype="step", color=f"C{index + 2}", label=night
            )
        axes.set_title(label)
        axes.set_xlabel(ERROR)
    panels[0].set_ylabel("density of test images")
    legend(figure, columns=4)
    seeds = results.sizes["seed"]
    caption(
        figure,
        f"Errors of single test images before and after each night; {seeds} "
        f"seed{'s together' if seeds > 1 else ''}.",
    )
    return figure


def _dreamt(results: xr.Dataset, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Give at most so many cycles, and their dreams: nights x cycles x dreams x pixels."""
    last = results.sizes["cycle"] - 1
    times = np.unique(np.linspace(0, last, most).round().astype(int))
    dreams = results["dream"].isel(cycle=times)
    return times, dreams.transpose("night", "cycle", "dreamt", "y", "x").values


def _dreams_by_cycle(results: xr.Dataset) -> Figure:
    times, dreams = _dreamt(results, MOST_DREAM_ROWS)
    return image_grid(
        dreams[0],
        [f"cycle {time}" if time else "before" for time in times],
        f"Dreams after every cycle: {results['night'].values[0]}",
        f"From the same latents at every time; {first_seed(results)}.",
        first=1,
        group=len(times) - 1,
    )


def _dreams(results: xr.Dataset) -> Figure:
    times, dreams = _dreamt(results, DREAM_ROWS)
    nights = [f"{night}, cycle {time}" for night in results["night"].values for time in times[1:]]
    before, after = dreams[0, :1], dreams[:, 1:]
    return image_grid(
        np.concatenate([before, *after]),
        ["before", *nights],
        "Dreams over each night",
        "What the networks themselves dream, from the same latents at every time; "
        f"{first_seed(results)}.",
        group=len(times) - 1,
        first=1,
    )


def _reconstructions(experiment: Schedule, results: xr.Dataset) -> Figure:
    rows, labels = [], []
    nights = results["night"].values
    for data_set, kind in zip(DATA_SETS, kinds(experiment), strict=True):
        shown = results.sel(data_set=data_set)
        made = shown["reconstruction"].transpose("moment", "night", ...).values
        rows += [shown["picture"].values, made[0, 0], *made[1]]
        labels += [f"{kind}, {what}" for what in ("original", "before sleep")]
        labels += [f"{kind}, after {night}" for night in nights]
    return image_grid(
        np.stack(rows),
        labels,
        "Reconstructions of test images",
        f"The same test images before and after each night; {first_seed(results)}.",
        group=2 + len(nights),
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
    legend(figure)
    figure.supylabel(ERROR, fontsize=9)
    caption(figure, f"Errors of both data sets over the night; {seeds_in_words(results)}.")
    return figure
