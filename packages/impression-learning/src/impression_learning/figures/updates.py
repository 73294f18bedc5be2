"""Figures of the SNR mode: bias and variance of the rules' updates (Figure 2 a-c)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from impression_learning.figures.common import (
    COLOURS,
    log_scale,
    loss_figure,
    numbers,
    plot_mean,
    seeds_in_words,
    steps_axis,
)
from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun

RULES = {
    "impression": ("impression learning", COLOURS["impression"], "o"),
    "gradient.cleared": ("REINFORCE", COLOURS["reinforce"], "s"),
    "gradient.kept": ("REINFORCE, traces kept", "C4", "D"),
    "released.cleared": ("REINFORCE, released third factor", "C3", "v"),
}
"""Label, colour and marker of what is compared; see `impression_learning.updates`."""
LINEAR_SHARE = 0.01
"""Inner products within this share of the largest are shown on the linear part of the axis."""


def update_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the loss, and direction, size and signal-to-noise ratio of the mean updates."""
    (condition,) = run.metrics["conditions"]
    with style():
        return {
            "loss": loss_figure(run, condition),
            "updates": _updates(run, numbers(condition["points"])),
        }


def _updates(run: StoredRun, points: np.ndarray) -> Figure:
    figure, ((cosine, product), (norm, snr)) = plt.subplots(2, 2, figsize=(6.6, 5.2), sharex=True)
    _plot(cosine, run, points, "cosine")
    _plot(cosine, run, points, "cosine_all", linewidth=0.7, markersize=0, linestyle="--")
    cosine.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    cosine.set_ylim(-1.05, 1.05)
    cosine.set_ylabel("cosine similarity")
    cosine.set_title("Cosine with impression learning", fontsize=9)
    _plot(product, run, points, "inner_product")
    product.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    product.set_ylabel("inner product")
    product.set_title("Inner product with impression learning", fontsize=9)
    _bend(product, run)
    _plot(norm, run, points, "norm")
    norm.set_ylabel("norm")
    norm.set_title("Size of the mean update", fontsize=9)
    _plot(snr, run, points, "snr")
    snr.set_ylabel("signal-to-noise ratio")
    snr.set_title("Signal-to-noise ratio", fontsize=9)
    for axes in (norm, snr):
        log_scale(axes, "y")
        steps_axis(axes)
    _legend(figure)
    caption(
        figure,
        f"Updates of the input weights, without the learning rate, over "
        f"{run.metrics['episodes']:,} episodes; {seeds_in_words(run)}. Thin: of all parameters. "
        "Traces are cleared after every episode unless said. Signal-to-noise ratio: squared mean / "
        "variance.",
    )
    return figure


def _plot(axes: Axes, run: StoredRun, points: np.ndarray, quantity: str, **line: object) -> None:
    for rule, (label, colour, marker) in RULES.items():
        if quantity in run.metrics["updates"][rule]:
            values = numbers(run.metrics["updates"][rule][quantity])
            look = {"marker": marker, "markersize": 3} | line
            plot_mean(axes, points, values, label, colour, **look)


def _bend(axes: Axes, run: StoredRun) -> None:
    """Show small inner products of either sign beside large ones."""
    largest = [
        np.nanmax(np.abs(values))
        for statistics in run.metrics["updates"].values()
        if np.isfinite(values := numbers(statistics.get("inner_product", []))).any()
    ]
    if largest and max(largest) > 0:
        axes.set_yscale("symlog", linthresh=LINEAR_SHARE * max(largest))


def _legend(figure: Figure) -> None:
    """Explain the lines of all panels."""
    lines = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=label)
        for label, colour, marker in RULES.values()
    ]
    thin = Line2D([], [], color="0.3", linewidth=0.7, linestyle="--", label="of all parameters")
    figure.legend(handles=[*lines, thin], loc="outside upper center", ncols=3)
