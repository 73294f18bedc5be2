"""Figures of sleep schedules: the main experiment and the sweep."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun
from sleep_replay.evaluate import COLLAPSED
from sleep_replay.figures.common import (
    CARRIED,
    ERROR,
    NEW,
    OLD,
    data_set_names,
    image_grid,
    mean_and_deviation,
    seeds_in_words,
)

NREM, REM = "#56B4E9", "#E69F00"
DREAM_ROWS = 11


def schedule_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the schedule, errors, collapse, histograms, dreams and reconstructions."""
    (condition,) = run.metrics["conditions"]
    arrays = run.arrays()
    with style():
        return {
            "schedule": _schedule(condition),
            "errors": _errors(run, condition),
            "collapse": _collapse(run, condition),
            "histograms": _histograms(run, arrays["image_errors"]),
            "dreams": _dreams(arrays["dreams"]),
            "reconstructions": _reconstructions(run, arrays["pictures"]),
        }


def _epochs_after_cycles(condition: dict[str, Any]) -> np.ndarray:
    lengths = [cycle["nrem"] + cycle["rem"] for cycle in condition["cycles"]]
    return np.concatenate([[0], np.cumsum(lengths)])


def _draw_schedule(axes: Axes, condition: dict[str, Any]) -> None:
    start = 0
    spans: dict[str, list[tuple[int, int]]] = {"NREM": [], "REM": []}
    for cycle in condition["cycles"]:
        spans["NREM"].append((start, cycle["nrem"]))
        spans["REM"].append((start + cycle["nrem"], cycle["rem"]))
        start += cycle["nrem"] + cycle["rem"]
    for (name, bars), colour in zip(spans.items(), (NREM, REM), strict=True):
        axes.broken_barh(
            [bar for bar in bars if bar[1]], (0, 1), color=colour, label=name, linewidth=0
        )
    axes.set_xlim(0, start)
    axes.set_yticks([])
    axes.set_xlabel("epoch")
    axes.spines["left"].set_visible(False)


def _schedule(condition: dict[str, Any]) -> Figure:
    figure, axes = plt.subplots(figsize=(6.6, 1.5))
    _draw_schedule(axes, condition)
    axes.set_title(
        f"{condition['num_cycles']} cycles; REM from {condition['start_fraction_rem']:g} to "
        f"{condition['end_fraction_rem']:g} of a cycle"
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _errors(run: StoredRun, condition: dict[str, Any]) -> Figure:
    figure, (axes, bars) = plt.subplots(2, 1, figsize=(5.2, 4), sharex=True, height_ratios=(12, 1))
    epochs = _epochs_after_cycles(condition)
    for key, name, colour in zip(("old", "new"), data_set_names(run), (OLD, NEW), strict=True):
        values = np.array(condition[f"error_{key}"]).T
        mean_and_deviation(axes, epochs, values, name, colour, marker="o", markersize=3)
    axes.set_ylabel(ERROR)
    axes.set_ylim(bottom=0)
    axes.legend()
    _draw_schedule(bars, condition)
    bars.legend(ncols=2, loc="upper right", bbox_to_anchor=(1, -1.2))
    caption(figure, f"Reconstruction error of test images after every cycle; {seeds_in_words(run)}")
    return figure


def _collapse(run: StoredRun, condition: dict[str, Any]) -> Figure:
    figure, axes = plt.subplots(figsize=(5.2, 3.2))
    epochs = _epochs_after_cycles(condition)
    for key, name, colour in zip(("old", "new"), data_set_names(run), (OLD, NEW), strict=True):
        values = np.array(condition[f"carried_{key}"])
        axes.plot(epochs, values.T, color=colour, alpha=0.3, linewidth=0.8)
        axes.plot(epochs, values.mean(0), color=colour, label=name, marker="o", markersize=3)
    axes.axhspan(0, COLLAPSED, color="0.85", linewidth=0, label="collapsed")
    axes.set_xlabel("epoch")
    axes.set_ylabel(CARRIED)
    axes.set_ylim(0, None)
    axes.legend()
    caption(
        figure,
        "Variance of the reconstructions over test images, relative to that of the images.\n"
        "Thin lines: seeds. A collapsed model decodes every input to the same image.",
    )
    return figure


def _histograms(run: StoredRun, image_errors: np.ndarray) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(6.6, 2.8), sharey=True)
    edges = np.linspace(0, np.quantile(image_errors, 0.999) * 1.02, 60)
    for d, (axes, name) in enumerate(zip(panels, data_set_names(run), strict=True)):
        colours = ("0.5", (OLD, NEW)[d])
        for moment, (label, colour) in enumerate(zip(("before", "after"), colours, strict=True)):
            errors = image_errors[moment, ..., d, :].ravel()
            axes.hist(errors, edges, density=True, alpha=0.7, color=colour, label=f"{label} sleep")
        axes.set_title(name)
        axes.set_xlabel(ERROR)
        axes.legend()
    panels[0].set_ylabel("density of test images")
    return figure


def _dreams(dreams: np.ndarray) -> Figure:
    times = np.unique(np.linspace(0, len(dreams) - 1, DREAM_ROWS).round().astype(int))
    labels = ["before" if time == 0 else f"cycle {time}" for time in times]
    figure = image_grid(dreams[times], labels, "Dreams: samples decoded from the same latents")
    caption(figure, "First seed.")
    return figure


def _reconstructions(run: StoredRun, pictures: np.ndarray) -> Figure:
    names = [name.partition("(")[2].rstrip(")") for name in data_set_names(run)]
    moments = ("original", "before sleep", "after sleep")
    rows = [(d, m) for d in range(2) for m in range(3)]
    images = np.stack([pictures[m, d] for d, m in rows])
    labels = [f"{names[d]}, {moments[m]}" for d, m in rows]
    figure = image_grid(images, labels, "Reconstructions of test images")
    caption(figure, "First seed.")
    return figure


def sweep_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw one heat map of retention and of learning, and the errors along every condition."""
    conditions = run.metrics["conditions"]
    with style():
        return {"heatmap": _heat_map(conditions), "courses": _courses(run, conditions)}


def _axis_values(conditions: list[dict[str, Any]]) -> tuple[list, list]:
    rows = list(
        dict.fromkeys((c["lr"], c["start_fraction_rem"], c["end_fraction_rem"]) for c in conditions)
    )
    return rows, sorted({c["num_cycles"] for c in conditions})


def _heat_map(conditions: list[dict[str, Any]]) -> Figure:
    rows, columns = _axis_values(conditions)
    final = np.full((2, len(rows), len(columns)), np.nan)
    for c in conditions:
        row = rows.index((c["lr"], c["start_fraction_rem"], c["end_fraction_rem"]))
        column = columns.index(c["num_cycles"])
        for d, key in enumerate(("error_old", "error_new")):
            final[d, row, column] = np.median(np.array(c[key])[:, -1])
    figure, panels = plt.subplots(
        1, 2, figsize=(2.6 + 1.1 * len(columns), 1.4 + 0.45 * len(rows)), sharey=True
    )
    titles = ("retention: data set 1", "learning: data set 2")
    scale = {"cmap": "viridis_r", "norm": Normalize(0, 700)}
    for axes, values, title in zip(panels, final, titles, strict=True):
        axes.imshow(values, aspect="auto", **scale)
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 400 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour)
        axes.set_title(title)
        axes.set_xticks(range(len(columns)), [str(c) for c in columns])
        axes.set_xlabel("cycles")
        axes.spines[:].set_visible(False)
    panels[0].set_yticks(
        range(len(rows)), [f"lr {lr:g}, REM {start:g} to {end:g}" for lr, start, end in rows]
    )
    figure.colorbar(ScalarMappable(**scale), ax=list(panels), label=f"final {ERROR}", shrink=0.9)
    caption(figure, "Median over seeds at the end of sleep; low is good on both sides.")
    return figure


def _courses(run: StoredRun, conditions: list[dict[str, Any]]) -> Figure:
    rows, columns = _axis_values(conditions)
    figure, panels = plt.subplots(
        len(rows),
        len(columns),
        figsize=(1.2 + 1.9 * len(columns), 0.8 + 1.3 * len(rows)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for c in conditions:
        row = rows.index((c["lr"], c["start_fraction_rem"], c["end_fraction_rem"]))
        axes = panels[row, columns.index(c["num_cycles"])]
        epochs = _epochs_after_cycles(c)
        for key, name, colour in zip(("old", "new"), data_set_names(run), (OLD, NEW), strict=True):
            mean_and_deviation(axes, epochs, np.array(c[f"error_{key}"]).T, name, colour)
        axes.set_title(
            f"{c['num_cycles']} cycles, REM {c['start_fraction_rem']:g}-"
            f"{c['end_fraction_rem']:g}, lr {c['lr']:g}",
            fontsize=7,
        )
    panels[0, 0].set_ylim(bottom=0)
    panels[0, 0].legend(fontsize=6)
    figure.supylabel(ERROR, fontsize=9)
    figure.supxlabel(f"epoch ({seeds_in_words(run)})", fontsize=9)
    return figure
