"""What the figures of several experiments share."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sharpwave_shared.plotting import caption, plot_mean
from sleep_replay import quantities
from sleep_replay.parameters import DATA_SETS, Model

ERROR = f"error ({quantities.ERROR})"
CARRIED = "share of variance carried"
COLOURS = ("C0", "C1")
"""Of data sets 1 and 2."""
CONSTANT = {"linestyle": ":", "linewidth": 1.0}
"""Look of the errors of the best constant images."""
FRAME = 160
"""Grey level between images, which may be black or white at their edges."""
CELL = 0.42
"""Width and height of an image on a sheet, in inches."""
LABEL_WIDTH = 0.075
"""Of a letter beside a sheet of images, in inches."""


def kinds(experiment: Model) -> tuple[str, str]:
    """Say what data sets 1 and 2 are."""
    return ("MNIST", "MNIST inverted") if experiment.inverted else ("digits 0-4", "digits 5-9")


def data_sets(experiment: Model) -> list[tuple[str, str, str]]:
    """Give label in results, name (for titles and legends) and colour of both data sets."""
    names = [f"data set {number} ({kind})" for number, kind in enumerate(kinds(experiment), 1)]
    return list(zip(DATA_SETS, names, COLOURS, strict=True))


def mean_and_deviation(
    axes: Axes, values: xr.DataArray, label: str | None, colour: str, **line: object
) -> None:
    """Plot the mean over seeds against the other dimension as a line, and the s.d. as a band.

    The horizontal axis is the coordinate `epoch`, if there is one.
    """
    (dimension,) = set(values.dims) - {"seed"}
    x = values["epoch" if "epoch" in values.coords else dimension].values
    plot_mean(axes, x, values.transpose("seed", dimension).values, label, colour, **line)


def whole_numbers(axes: Axes) -> None:
    """Mark whole numbers only on the horizontal axis."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))


def constant_lines(axes: Axes, results: xr.Dataset) -> None:
    """Mark the error of the best constant image of each data set."""
    for data_set, colour in zip(DATA_SETS, COLOURS, strict=True):
        height = float(results["constant_error"].sel(data_set=data_set))
        axes.axhline(height, color=colour, **CONSTANT)  # type: ignore[arg-type]
    axes.plot([], [], color="0.4", label="best constant image", **CONSTANT)  # type: ignore[arg-type]


def sheet(images: UInt8[np.ndarray, "rows columns height width"]) -> UInt8[np.ndarray, "h w"]:
    """Put images on one grey sheet, a pixel's frame each."""
    framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=FRAME)
    rows, columns, height, width = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def image_grid(
    images: UInt8[np.ndarray, "rows columns height width"],
    row_labels: Sequence[str],
    title: str,
    text: str,
    *,
    group: int = 0,
    first: int = 0,
) -> Figure:
    """Show images as one sheet, with a caption; a gap after `first` rows, then every `group`."""
    rows, columns, height, _ = images.shape
    beside = 0.2 + LABEL_WIDTH * max(map(len, row_labels))
    # The last share is for title, ticks and caption.
    figure, axes = plt.subplots(figsize=(beside + CELL * columns, CELL * rows + 0.75))
    axes.imshow(sheet(images), cmap="gray", vmin=0, vmax=255)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks(np.arange(rows) * (height + 2) + (height + 2) / 2, row_labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row in range(first or group, rows, group) if group else ():
        axes.axhline((height + 2) * row - 0.5, color="white", linewidth=4)
    caption(figure, text)
    return figure
