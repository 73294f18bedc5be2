"""Figures of a recall experiment: what the model makes of partial input."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun

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


def data_set_names(run: StoredRun) -> list[str]:
    """Name data sets 1 and 2 of a run, for titles."""
    kinds = ("MNIST", "MNIST inverted") if run.config["inverted"] else ("digits 0-4", "digits 5-9")
    return [f"data set {number} ({kind})" for number, kind in enumerate(kinds, 1)]


def seeds_in_words(run: StoredRun) -> str:
    """Say how many seeds lines and bands sum up."""
    count = len(run.record["seeds"])
    return "1 seed" if count == 1 else f"mean and standard deviation over {count} seeds"


def mean_and_deviation(
    axes: Axes, x: np.ndarray, values: np.ndarray, label: str, colour: str, **line: object
) -> None:
    """Plot the mean over the last dimension (seeds) as a line and the deviation as a band."""
    mean, sd = values.mean(-1), values.std(-1)
    axes.plot(x, mean, color=colour, label=label, **line)
    axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)


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
        error.set_ylim(bottom=0)
        carried.set_ylim(bottom=0)
        carried.set_xlabel("fraction of pixels corrupted")
    axes[0, 0].set_ylabel("error (summed absolute\ngrey level)")
    axes[1, 0].set_ylabel("share of the images'\nvariance carried")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    caption(
        figure,
        f"Recall of {run.config['eval_images']} test images of each data set from partial input "
        f"(corrupted pixels: {_replacement(run)}); {seeds_in_words(run)}.",
    )
    return figure


def _pictures(run: StoredRun, arrays: dict[str, np.ndarray], d: int) -> Figure:
    fractions, pictures, images = arrays["fractions"], arrays["pictures"][d], arrays["images"][d]
    count, size = images.shape[0], images.shape[-1]
    # One sheet an image: rows are what is seen and what is recalled, columns are fractions.
    width = 1.0 + 0.62 * (len(fractions) + 1)
    figure, axes = plt.subplots(count, 1, figsize=(width, 2.0 * count + 0.5), squeeze=False)
    rows = ("corrupted", *(f"recalled {moment}" for moment in MOMENTS))
    for i, axis in enumerate(axes[:, 0]):
        intact = np.full((3 * size, size), 255, np.uint8)
        intact[:size] = images[i]
        columns = [intact] + [
            np.concatenate(list(pictures[f, :, i])) for f in range(len(fractions))
        ]
        axis.imshow(with_gaps(columns, size), cmap="gray", vmin=0, vmax=255)
        step = size + gap(size)
        axis.set_yticks(size * (np.arange(3) + 0.5), rows)
        centres = step * np.arange(len(columns)) + size / 2
        axis.set_xticks(centres, ["intact", *(f"{fraction:g}" for fraction in fractions)])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    axes[-1, 0].set_xlabel("fraction of pixels corrupted")
    figure.suptitle(data_set_names(run)[d], fontsize=10)
    caption(
        figure,
        f"Recall from partial input (corrupted pixels: {_replacement(run)}) before and after "
        f"sleep; seed {run.record['seeds'][0]}.",
    )
    return figure


def gap(size: int) -> int:
    """Width of the white gap between pictures in a sheet, in pixels."""
    return max(1, size // 14)


def with_gaps(columns: list[np.ndarray], size: int) -> np.ndarray:
    """Put pictures of equal height side by side, with white gaps between them."""
    white = np.full((columns[0].shape[0], gap(size)), 255, np.uint8)
    parts = [part for column in columns for part in (column, white)]
    return np.concatenate(parts[:-1], axis=1)
