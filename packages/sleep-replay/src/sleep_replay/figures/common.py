"""What the figures of several experiments share."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.runs import StoredRun

ERROR = "error (summed absolute grey level)"
CARRIED = "share of variance carried"
OLD, NEW = "C0", "C1"
"""Colours of data sets 1 and 2."""
FRAME = 160
"""Grey level between images, which may be black or white at their edges."""


def data_set_names(run: StoredRun) -> list[str]:
    """Name data sets 1 and 2 of a run, for titles and legends."""
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
    axes.plot(x, mean, color=colour, label=label, **line)  # type: ignore[arg-type]
    axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)


def sheet(images: np.ndarray) -> np.ndarray:
    """Put images (rows, columns, height, width; bytes) on one grey sheet, a pixel's frame each."""
    framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=FRAME)
    rows, columns, height, width = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def image_grid(
    images: np.ndarray, row_labels: list[str], title: str, *, cell: float = 0.42
) -> Figure:
    """Show images (rows, columns, height, width; bytes) as one sheet."""
    rows, columns, height, _ = images.shape
    figure, axes = plt.subplots(figsize=(0.9 + cell * columns, 0.5 + cell * rows))
    axes.imshow(sheet(images), cmap="gray", vmin=0, vmax=255)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks(np.arange(rows) * (height + 2) + (height + 2) / 2, row_labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
