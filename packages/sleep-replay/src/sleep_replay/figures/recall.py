"""Figures of recall: what the model makes of partial input."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, first_seed, legend, seeds_in_words
from sleep_replay.experiments.recall import Recall
from sleep_replay.figures.common import (
    CARRIED,
    ERROR,
    FRAME,
    data_sets,
    image_grid,
    mean_and_deviation,
)
from sleep_replay.parameters import MOMENTS

INPUT_COLOUR = "0.5"


def draw(experiment: Recall, results: xr.Dataset) -> dict[str, Figure]:
    """Draw recall against the fraction of pixels lost: numbers, and pictures of both data sets."""
    return {"recall-error": _error(experiment, results)} | {
        f"recall-pictures-{data_set}": _pictures(experiment, results.sel(data_set=data_set), name)
        for data_set, name, _ in data_sets(experiment)
    }


def _replacement(experiment: Recall) -> str:
    return "zero" if experiment.corruption == "zero" else "uniform noise"


def _error(experiment: Recall, results: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 4.8), sharex=True, sharey="row")
    for (data_set, name, _), (error, carried) in zip(data_sets(experiment), axes.T, strict=True):
        shown = results.sel(data_set=data_set, drop=True)
        error.set_title(name)
        own = shown["input_error"]
        mean_and_deviation(error, own, "corrupted image itself", INPUT_COLOUR, linestyle=":")
        for m, moment in enumerate(MOMENTS):
            look = {"marker": "os"[m], "markersize": 3.5, "linestyle": ("-", "--")[m]}
            label = f"recalled {moment} sleep"
            for panel, measure in ((error, "recall_error"), (carried, "recall_carried")):
                values = shown[measure].sel(moment=moment, drop=True)
                mean_and_deviation(panel, values, label, f"C{m}", **look)
        carried.set_xlabel("fraction of pixels corrupted")
    for row in axes:  # once all is drawn: a limit set earlier would stop the others' scaling
        row[0].set_ylim(bottom=0)
    axes[0, 0].set_ylabel(ERROR.replace(" absolute ", " absolute\n"))
    axes[1, 0].set_ylabel(CARRIED)
    legend(figure)
    caption(
        figure,
        f"Recall of {results.sizes['image']} test images of each data set from partial input "
        f"(corrupted pixels: {_replacement(experiment)}); {seeds_in_words(results)}.",
    )
    return figure


def _pictures(experiment: Recall, results: xr.Dataset, name: str) -> Figure:
    # Rows are image x (seen, recalled before, recalled after); the intact image stands first.
    recalled = results["recall"].transpose("recalled", "stage", "fraction", "y", "x").values
    count, stages, fractions, size, _ = recalled.shape
    intact = np.full((count, stages, 1, size, size), FRAME, np.uint8)
    intact[:, 0, 0] = results["intact"].values
    rows = np.concatenate([intact, recalled], axis=2).reshape(-1, fractions + 1, size, size)
    figure = image_grid(
        rows,
        count * ["corrupted", *(f"recalled {moment} sleep" for moment in MOMENTS)],
        name,
        f"Recall from partial input (corrupted pixels: {_replacement(experiment)}); "
        f"{first_seed(results)}.",
        group=stages,
    )
    (axes,) = figure.axes
    centres = (size + 2) * (np.arange(fractions + 1) + 0.5) - 0.5
    lost = [f"{fraction:g}" for fraction in results["fraction"].values]
    axes.set_xticks(centres, ["intact", *lost])
    axes.set_xlabel("fraction of pixels corrupted")
    return figure
