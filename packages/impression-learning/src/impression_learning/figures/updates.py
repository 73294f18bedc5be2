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
    mean_and_error,
    plot_mean,
    seeds_in_words,
    steps_axis,
)
from sharpwave_shared.plotting import caption, numbers, style
from sharpwave_shared.runs import StoredRun

RULES = {
    "impression": ("impression learning", COLOURS["impression"], "o"),
    "gradient.cleared": ("REINFORCE", COLOURS["reinforce"], "s"),
    "gradient.kept": ("REINFORCE, traces kept", "C4", "D"),
    "released.cleared": ("released third factor", "C3", "v"),
    "released.kept": ("released third factor, traces kept", "C5", "^"),
}
"""Label, colour and marker of what is compared; see `impression_learning.updates`."""
LINEAR_SHARE = 0.01
"""Inner products within this share of the largest are shown on the linear part of the axis."""


def update_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the loss, and direction, size and signal-to-noise ratio of the mean updates."""
    (condition,) = run.metrics["conditions"]
    points = numbers(condition["points"])
    with style():
        return {
            "loss": loss_figure(run, condition),
            "direction": _direction(run, points),
            "signal-to-noise": _signal_to_noise(run, points),
        }


def _direction(run: StoredRun, points: np.ndarray) -> Figure:
    figure, (cosine, product) = plt.subplots(1, 2, figsize=(6.8, 3.4))
    _plot(cosine, run, points, "cosine")
    for rule in list(RULES)[1:]:
        mean, _ = mean_and_error(numbers(run.metrics["updates"][rule]["cosine_all"]))
        cosine.plot(points, mean, color=RULES[rule][1], linewidth=0.7, linestyle="--")
    cosine.set_ylim(-1.05, 1.05)
    cosine.set_ylabel("cosine similarity")
    _plot(product, run, points, "inner_product")
    product.set_ylabel("inner product")
    _bend(product, run)
    for axes in (cosine, product):
        axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        steps_axis(axes)
    thin = Line2D([], [], color="0.3", linewidth=0.7, linestyle="--", label="all parameters")
    _legend(figure, list(RULES)[1:], [thin])
    caption(figure, _how_measured(run, "Compared with impression learning's."))
    return figure


def _signal_to_noise(run: StoredRun, points: np.ndarray) -> Figure:
    figure, (norm, snr) = plt.subplots(1, 2, figsize=(6.8, 3.4))
    _plot(norm, run, points, "norm")
    norm.set_ylabel("norm of the mean update")
    _plot(snr, run, points, "snr")
    snr.set_ylabel("signal-to-noise ratio")
    for axes in (norm, snr):
        log_scale(axes, "y")
        steps_axis(axes)
    _legend(figure, list(RULES), [])
    caption(figure, _how_measured(run, "Signal-to-noise ratio: squared mean / variance."))
    return figure


def _how_measured(run: StoredRun, more: str) -> str:
    return (
        "Mean updates of the input weights, without the learning rate, over "
        f"{run.metrics['episodes']:,} episodes after which traces are cleared (unless said); "
        f"{seeds_in_words(run)}. {more}"
    )


def _plot(axes: Axes, run: StoredRun, points: np.ndarray, quantity: str) -> None:
    for rule, (label, colour, marker) in RULES.items():
        if quantity in run.metrics["updates"][rule]:
            values = numbers(run.metrics["updates"][rule][quantity])
            plot_mean(axes, points, values, label, colour, marker=marker, markersize=3)


def _bend(axes: Axes, run: StoredRun) -> None:
    """Show small inner products of either sign beside large ones."""
    largest = [
        np.nanmax(np.abs(values))
        for statistics in run.metrics["updates"].values()
        if np.isfinite(values := numbers(statistics.get("inner_product", []))).any()
    ]
    if largest and max(largest) > 0:
        # A power of ten, whose tick is then a decade away from that of zero.
        threshold = 10.0 ** np.ceil(np.log10(LINEAR_SHARE * max(largest)))
        axes.set_yscale("symlog", linthresh=threshold)


def _legend(figure: Figure, rules: list[str], more: list[Line2D]) -> None:
    """Explain the lines of both panels."""
    lines = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=label)
        for label, colour, marker in (RULES[rule] for rule in rules)
    ]
    figure.legend(handles=[*lines, *more], loc="outside upper center", ncols=2)
