"""What the figures of several modes share."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, MaxNLocator

from sharpwave_shared.plotting import PLAIN, caption, log_scale, plot_mean, seeds_in_words
from sharpwave_shared.statistics import mean_and_sd

ALGORITHMS = {
    "impression": "impression learning",
    "reinforce": "REINFORCE",
    "backprop": "backpropagation (awake)",
    "backprop-alternating": "backpropagation (alternating)",
}
COLOURS = {"impression": "C0", "reinforce": "C1", "backprop": "C2", "backprop-alternating": "C4"}
MARKERS = {"impression": "o", "reinforce": "s", "backprop": "^", "backprop-alternating": "v"}
DATA_COLOUR = "0.5"
ASLEEP_COLOUR = "0.88"
LOG_FROM = 10.0
"""A loss whose largest mean is so many times its smallest is shown on a logarithmic axis."""
LINEAR_BELOW = 0.001
"""Share of the largest loss below which the axis is linear, where losses, or what is drawn of their
spread, are negative as well."""
SHOWN_STEPS, SHOWN_CYCLES = 80, 4
"""Latents are shown for at least so many steps, and for so many times wake and sleep."""


def only_algorithm(data: xr.Dataset) -> xr.Dataset:
    """Give the results of the one algorithm that a mode has, without the dimension."""
    return data.squeeze("algorithm")


def seeds_first(data: xr.DataArray, *dims: str) -> np.ndarray:
    """Give values as an array: seeds, then other dimensions."""
    return data.transpose("seed", *dims).values.astype(float)


def side_by_side(columns: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    """Make panels side by side, far enough apart for the labels of each."""
    figure, panels = plt.subplots(1, columns, figsize=size)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(wspace=0.08)
    return figure, panels


def algorithm_name(data: xr.Dataset) -> str:
    """Name what learnt, in the results of one algorithm."""
    return ALGORITHMS[data["algorithm"].item()]


def colour_of(data: xr.Dataset) -> str:
    """Give the colour of what learnt."""
    return COLOURS[data["algorithm"].item()]


def loss_axis(axes: Axes, *losses: np.ndarray, label: str = "loss") -> None:
    """Scale the vertical axis for losses (each: seeds x points), once they are plotted."""
    means, sds = (np.concatenate(parts) for parts in zip(*map(mean_and_sd, losses), strict=True))
    known = np.isfinite(means)
    means, lowest = means[known], (means - np.nan_to_num(sds))[known].min(initial=np.inf)
    axes.set_ylabel(label)
    if len(means) and lowest > 0 and means.max() >= LOG_FROM * means.min():
        log_scale(axes)
        return
    if len(means) and lowest <= 0 and means.max() >= LOG_FROM * np.median(np.abs(means)) > 0:
        bend(axes, LINEAR_BELOW * means.max())
        return
    if len(means) and means.min() >= 0:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PLAIN)


def bend(axes: Axes, least: float) -> None:
    """Show small values of either sign beside large ones: logarithmic beyond `least` or more."""
    # A power of ten, whose tick is then a decade away from that of zero.
    axes.set_yscale("symlog", linthresh=10.0 ** np.ceil(np.log10(least)))


def steps_axis(axes: Axes) -> None:
    """Label the horizontal axis with steps of learning."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("steps of learning")


def plot_losses(
    axes: Axes, data: xr.Dataset, label: str, colour: str, loss: str = "loss", **line: Any
) -> np.ndarray:
    """Plot the loss of one algorithm and condition through learning; give seeds x points."""
    losses = seeds_first(data[loss], "point")
    plot_mean(axes, data["step"].values, losses, label, colour, **line)
    return losses


def loss_figure(data: xr.Dataset) -> Figure:
    """Draw the loss of one algorithm through learning."""
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    losses = plot_losses(axes, data, "", colour_of(data), marker="o", markersize=3.5)
    loss_axis(axes, losses)
    steps_axis(axes)
    axes.set_title(f"Loss through learning ({algorithm_name(data)})")
    caption(figure, f"Mean loss a step over the test passage; {seeds_in_words(data)}.")
    return figure


def asleep_spans(phases: np.ndarray) -> list[tuple[float, float]]:
    """Give start and length of the stretches of sleep, each step from half before to half after."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], phases, [True]]).astype(int)))
    starts, lengths = edges[::2] - 0.5, np.diff(edges)[::2].astype(float)
    return list(zip(starts.tolist(), lengths.tolist(), strict=True))


def plot_alternation(axes: Axes, data: xr.Dataset, period: int, unit: int) -> None:
    """Plot a latent unit of the first seed, awake and alternating; shade the steps asleep."""
    count = max(SHOWN_STEPS, 2 * (period + 1) * SHOWN_CYCLES)
    shown = data.isel(seed=0, time=slice(0, count), unit=unit)
    steps = shown["time"].values
    axes.broken_barh(
        asleep_spans(shown["is_awake"].values),
        (0, 1),
        transform=axes.get_xaxis_transform(),
        color=ASLEEP_COLOUR,
        linewidth=0,
        label="asleep (alternating)",
    )
    axes.plot(steps, shown["alternating"], color="C1", linewidth=1, label="alternating")
    axes.plot(steps, shown["awake"], color="C0", label="awake all the time")
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.set_ylabel(f"activity of unit {unit + 1}")


def plot_autocorrelation(
    axes: Axes, data: xr.Dataset, named: Mapping[str, tuple[str, str, str]]
) -> None:
    """Plot autocorrelations of activity: a label, a colour and a line style each."""
    axes.axhline(0, color="0.7", linewidth=0.8)
    for source, (label, colour, linestyle) in named.items():
        curves = seeds_first(data["autocorrelation"].sel(source=source), "lag")
        plot_mean(axes, data["lag"].values, curves, label, colour, linestyle=linestyle)
    axes.set_xlabel("lag (steps)")
    axes.set_ylabel("autocorrelation")
    axes.legend()
