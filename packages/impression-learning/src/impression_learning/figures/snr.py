"""Figures of the mode SNR: bias and variance of the rules' updates (Figure 2 a-c)."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from impression_learning.experiments.snr import Snr
from impression_learning.figures.common import (
    COLOURS,
    bend,
    loss_figure,
    only_algorithm,
    seeds_first,
    side_by_side,
    steps_axis,
)
from sharpwave_shared.plotting import caption, legend, log_scale, plot_mean, seeds_in_words

IMPRESSION = ("impression learning", COLOURS["impression"], "o")
RULES = {
    ("gradient", "cleared"): ("REINFORCE", COLOURS["reinforce"], "s"),
    ("gradient", "kept"): ("REINFORCE, traces kept", "C4", "D"),
    ("released", "cleared"): ("released third factor", "C3", "v"),
    ("released", "kept"): ("released third factor, traces kept: as published", "black", "^"),
}
"""Label, colour and marker of what is compared; see `impression_learning.updates`."""
LINEAR_SHARE = 0.01
"""Inner products within this share of the largest are shown on the linear part of the axis."""


def draw(experiment: Snr, data: xr.Dataset) -> dict[str, Figure]:
    """Draw the loss, and direction, size and signal-to-noise ratio of the mean updates."""
    data = only_algorithm(data)
    return {
        "loss": loss_figure(data),
        "direction": _direction(data, experiment.episodes),
        "signal-to-noise": _signal_to_noise(data, experiment.episodes),
    }


def _direction(data: xr.Dataset, episodes: int) -> Figure:
    figure, (cosine, of_all, product) = side_by_side(3, (8.6, 3.3))
    for axes, quantity, heading, third_factors in (
        (cosine, "cosine", "input weights", ("gradient", "released")),
        # The release's traces of the output weights are others, and are not measured.
        (of_all, "cosine_all", "all parameters", ("gradient",)),
    ):
        _plot(axes, data, quantity, third_factors)
        axes.set_ylim(-1.05, 1.05)
        axes.set_ylabel("cosine similarity")
        axes.set_title(heading)
    _plot(product, data, "inner_product", band=False)
    product.set_ylabel("inner product")
    product.set_title("input weights")
    _bend(product, data["inner_product"].values)
    for axes in (cosine, of_all, product):
        axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        steps_axis(axes)
    _legend(figure, list(RULES.values()))
    bands = seeds_in_words(data) + " (inner products: mean)" * (data.sizes["seed"] > 1)
    caption(
        figure,
        f"Mean updates of REINFORCE against those of impression learning, {_measured(episodes)}; "
        f"{bands}. As published: third factor and traces as in the released code.",
    )
    return figure


def _signal_to_noise(data: xr.Dataset, episodes: int) -> Figure:
    figure, (norm, snr) = side_by_side(2, (7.2, 3.4))
    for axes, quantity, label in (
        (norm, "norm", "norm of the mean update"),
        (snr, "snr", "signal-to-noise ratio"),
    ):
        _plot_rule(axes, data, data[f"impression_{quantity}"], IMPRESSION, log=True)
        _plot(axes, data, quantity, log=True)
        axes.set_ylabel(label)
        log_scale(axes, "y")
        steps_axis(axes)
    _legend(figure, [IMPRESSION, *RULES.values()])
    seeds = seeds_in_words(data, " of the logarithm")
    caption(
        figure,
        f"Mean updates of the input weights, {_measured(episodes)}; {seeds}. Signal-to-noise "
        "ratio: squared mean / variance.",
    )
    return figure


def _measured(episodes: int) -> str:
    return (
        f"without the learning rate, over {episodes:,} episodes after which traces are cleared "
        "(unless said)"
    )


def _plot(
    axes: Axes,
    data: xr.Dataset,
    quantity: str,
    third_factors: Sequence[str] = ("gradient", "released"),
    **how: bool,
) -> None:
    for (third, traces), look in RULES.items():
        if third in third_factors:
            values = data[quantity].sel(third_factor=third, traces=traces)
            _plot_rule(axes, data, values, look, **how)


def _plot_rule(
    axes: Axes, data: xr.Dataset, values: xr.DataArray, look: tuple[str, str, str], **how: bool
) -> None:
    label, colour, marker = look
    of_seeds, steps = seeds_first(values, "point"), data["step"].values
    plot_mean(axes, steps, of_seeds, label, colour, marker=marker, markersize=3, **how)


def _bend(axes: Axes, products: np.ndarray) -> None:
    """Show small inner products of either sign beside large ones."""
    largest = np.abs(products[np.isfinite(products)]).max(initial=0)
    if largest > 0:
        bend(axes, LINEAR_SHARE * largest)


def _legend(figure: Figure, looks: list[tuple[str, str, str]]) -> None:
    """Explain the lines of all panels."""
    lines = {
        label: Line2D([], [], color=colour, marker=marker, markersize=3.5)
        for label, colour, marker in looks
    }
    legend(figure, lines, 2)
