"""Figures of a recall experiment: what the model makes of partial input."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun
from sleep_replay.figures.common import (
    CARRIED,
    ERROR,
    FRAME,
    data_set_names,
    image_grid,
    mean_and_deviation,
    seeds_in_words,
)
from sleep_replay.slept import DATA_SETS, MOMENTS

INPUT_COLOUR = "0.5"


def recall_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw recall against the fraction of pixels lost: numbers, and pictures of both data sets."""
    arrays = run.arrays()
    with style():
        figures = {"recall-error": _error(run, arrays)}
        for d, data_set in enumerate(DATA_SETS):
            figures[f"recall-pictures-{data_set}"] = _pictures(run, arrays, d)
    return figures


def _replacement(run: StoredRun) -> str:
    return "zero" if run.config["corruption"] == "zero" else "uniform noise"


def _error(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 4.8), sharex=True, sharey="row")
    fractions = arrays["fractions"]
    for d, name in enumerate(data_set_names(run)):
        error, carried = axes[0, d], axes[1, d]
        error.set_title(name)
        mean_and_deviation(
            error,
            fractions,
            arrays["input_errors"][..., d],
            "corrupted image itself",
            INPUT_COLOUR,
            linestyle=":",
        )
        for m, moment in enumerate(MOMENTS):
            look = {"marker": "os"[m], "markersize": 3.5, "linestyle": ("-", "--")[m]}
            label, colour = f"recalled {moment} sleep", f"C{m}"
            mean_and_deviation(error, fractions, arrays["errors"][m, ..., d], label, colour, **look)
            mean_and_deviation(
                carried, fractions, arrays["carried"][m, ..., d], label, colour, **look
            )
        carried.set_xlabel("fraction of pixels corrupted")
    for row in axes:  # once all is drawn: a limit set earlier would stop the others' scaling
        row[0].set_ylim(bottom=0)
    axes[0, 0].set_ylabel(ERROR.replace(" absolute ", " absolute\n"))
    axes[1, 0].set_ylabel(CARRIED)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    caption(
        figure,
        f"Recall of {run.config['eval_images']} test images of each data set from partial input "
        f"(corrupted pixels: {_replacement(run)}); {seeds_in_words(run)}.",
    )
    return figure


def _pictures(run: StoredRun, arrays: dict[str, np.ndarray], d: int) -> Figure:
    fractions, pictures, images = arrays["fractions"], arrays["pictures"][d], arrays["images"][d]
    count, size = images.shape[:2]
    # Rows are image x (seen, recalled before, recalled after); the intact image stands first.
    rows = pictures.transpose(2, 1, 0, 3, 4).reshape(3 * count, len(fractions), size, size)
    intact = np.full((3 * count, 1, size, size), FRAME, np.uint8)
    intact[::3, 0] = images
    figure = image_grid(
        np.concatenate([intact, rows], axis=1),
        count * ["corrupted", *(f"recalled {moment} sleep" for moment in MOMENTS)],
        data_set_names(run)[d],
    )
    (axes,) = figure.axes
    cell = size + 2
    centres = cell * (np.arange(len(fractions) + 1) + 0.5) - 0.5
    axes.set_xticks(centres, ["intact", *(f"{fraction:g}" for fraction in fractions)])
    axes.set_xlabel("fraction of pixels corrupted")
    for image in range(1, count):
        axes.axhline(3 * cell * image - 0.5, color="white", linewidth=4)
    caption(
        figure,
        f"Recall from partial input (corrupted pixels: {_replacement(run)}); "
        f"seed {run.record['seeds'][0]}.",
    )
    return figure
