"""What the figures of several modes share."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator

from sharpwave_shared.plotting import caption, numbers
from sharpwave_shared.runs import StoredRun

Condition = dict[str, Any]

ALGORITHMS = {
    "impression": "impression learning",
    "reinforce": "REINFORCE",
    "backprop": "backpropagation",
}
COLOURS = {"impression": "C0", "reinforce": "C1", "backprop": "C2"}
MARKERS = {"impression": "o", "reinforce": "s", "backprop": "^"}
DATA_COLOUR = "0.5"
ASLEEP_COLOUR = "0.88"
LOG_FROM = 10.0
"""A loss whose largest mean is so many times its smallest is shown on a logarithmic axis."""
SHOWN_STEPS, SHOWN_CYCLES = 80, 4
"""Latents are shown for at least so many steps, and for so many times wake and sleep."""


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard error over the first dimension (seeds), leaving NaN out.

    The error is 0 where there is one value only.
    """
    known = np.isfinite(values)
    count = known.sum(0)
    mean = np.where(known, values, 0).sum(0) / np.maximum(count, 1)
    squares = np.where(known, (values - mean) ** 2, 0).sum(0)
    error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    return np.where(count > 0, mean, np.nan), np.where(count > 0, error, np.nan)


def plot_mean(
    axes: Axes, x: np.ndarray, values: np.ndarray, label: str, colour: str, **line: object
) -> None:
    """Plot the mean over the first dimension (seeds) as a line, and the s.e.m. as a band."""
    mean, error = mean_and_error(values)
    axes.plot(x, mean, color=colour, label=label, **line)  # type: ignore[arg-type]
    if len(values) > 1:
        low, high = mean - error, mean + error
        axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)


def plot_points(
    axes: Axes, x: np.ndarray, values: np.ndarray, label: str, colour: str, **line: object
) -> None:
    """Plot the mean over the first dimension (seeds) as joined points, the s.e.m. as bars."""
    mean, error = mean_and_error(values)
    look = {"marker": "o", "markersize": 4, "capsize": 2} | line
    bars = error if len(values) > 1 else None
    axes.errorbar(x, mean, bars, color=colour, label=label, **look)  # type: ignore[arg-type]


def seeds_in_words(run: StoredRun) -> str:
    """Say what lines, bands and bars sum up."""
    seeds = run.record["seeds"]
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean and s.e.m. over {len(seeds)} seeds"


def first_seed(run: StoredRun) -> str:
    """Name the seed whose activity is shown."""
    return f"seed {run.record['seeds'][0]}"


def algorithm_name(condition: Condition) -> str:
    """Name what learnt in a condition."""
    return ALGORITHMS[condition["algorithm"]]


def summary(conditions: list[Condition], quantity: str) -> np.ndarray:
    """Collect a quantity of the analysis: seeds x conditions."""
    return numbers([c["summary"][quantity] for c in conditions]).T


def final_losses(conditions: list[Condition]) -> np.ndarray:
    """Collect the losses at the end of learning: seeds x conditions."""
    return numbers([[row[-1] for row in c["losses"]] for c in conditions]).T


def loss_axis(axes: Axes, *losses: np.ndarray, label: str = "loss") -> None:
    """Scale the vertical axis for losses (each: seeds x points), once they are plotted."""
    means = np.concatenate([mean_and_error(values)[0] for values in losses])
    means = means[np.isfinite(means)]
    axes.set_ylabel(label)
    if len(means) and means.min() > 0 and means.max() >= LOG_FROM * means.min():
        log_scale(axes, "y")
        return
    if len(means) and means.min() >= 0:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def log_scale(axes: Axes, which: str) -> None:
    """Make an axis logarithmic if it shows anything, with a tick a decade if there is room."""
    if not np.isfinite(axes.dataLim.minposy if which == "y" else axes.dataLim.minposx):
        return
    axis = axes.yaxis if which == "y" else axes.xaxis
    (axes.set_yscale if which == "y" else axes.set_xscale)("log")
    axis.set_major_locator(LogLocator(numticks=9))


def steps_axis(axes: Axes) -> None:
    """Label the horizontal axis with steps of learning."""
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("steps of learning")


def loss_figure(run: StoredRun, condition: Condition) -> Figure:
    """Draw the loss of one condition through learning."""
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    losses = numbers(condition["losses"])
    colour = COLOURS[condition["algorithm"]]
    plot_mean(axes, numbers(condition["points"]), losses, "", colour, marker="o", markersize=3.5)
    loss_axis(axes, losses)
    steps_axis(axes)
    axes.set_title(f"Loss through learning ({algorithm_name(condition)})")
    caption(figure, f"Mean loss a step over the test passage; {seeds_in_words(run)}.")
    return figure


def asleep_spans(phases: np.ndarray) -> list[tuple[float, float]]:
    """Give start and length of the stretches of sleep, each step from half before to half after."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], phases, [True]]).astype(int)))
    starts, lengths = edges[::2] - 0.5, np.diff(edges)[::2].astype(float)
    return list(zip(starts.tolist(), lengths.tolist(), strict=True))


def plot_alternation(
    axes: Axes, arrays: dict[str, np.ndarray], condition: int, period: int, unit: int
) -> None:
    """Plot a latent unit awake all the time and alternating; shade the steps asleep."""
    shown = max(SHOWN_STEPS, 2 * (period + 1) * SHOWN_CYCLES)
    awake, alternating = (
        arrays[f"{condition}.{name}"][:shown, unit] for name in ("awake", "alternating")
    )
    steps = np.arange(len(awake))
    spans = asleep_spans(arrays[f"{condition}.phases"][:shown])
    axes.broken_barh(
        spans,
        (0, 1),
        transform=axes.get_xaxis_transform(),
        color=ASLEEP_COLOUR,
        linewidth=0,
        label="asleep (alternating)",
    )
    axes.plot(steps, alternating, color="C1", linewidth=1, label="alternating")
    axes.plot(steps, awake, color="C0", label="awake all the time")
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.set_ylabel(f"activity of unit {unit + 1}")


def plot_autocorrelation(
    axes: Axes, arrays: dict[str, np.ndarray], names: dict[str, tuple[str, str, str]]
) -> None:
    """Plot autocorrelations of the first condition: a label, a colour and a line style each."""
    axes.axhline(0, color="0.7", linewidth=0.8)
    for name, (label, colour, linestyle) in names.items():
        curves = arrays[f"0.autocorrelation.{name}"].astype(float)
        plot_mean(axes, np.arange(curves.shape[1]), curves, label, colour, linestyle=linestyle)
    axes.set_xlabel("lag (steps)")
    axes.set_ylabel("autocorrelation")
    axes.legend()
