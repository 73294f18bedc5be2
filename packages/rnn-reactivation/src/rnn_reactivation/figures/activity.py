"""Activity in the plane of its first two components."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnn_reactivation.experiments.analyze import ACTIVE, Analyze
from rnn_reactivation.figures.common import (
    Network,
    Panels,
    finite_most,
    label_panels,
    make_panels,
    pictured,
    thinned,
)
from sharpwave_shared.plotting import caption

QUANTITIES = ["activity_density", "activity_limits"]
MOST = 800
"""Points of activity in a panel."""
DIMMEST = 1e-2
"""Where colours of densities begin, relative to the lowest peak in a row."""
WIDER = 1.15
"""Panels are framed if they are so much wider than the awake one."""


def activity_densities(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    """Draw how often each network is where, awake and asleep, a row to one scale."""
    figure, panels, bars = make_panels(networks, QUANTITIES, extra=(1.5, 0.9), bars=True)
    colours = colormaps["magma"]
    for network, beside in zip(networks, bars, strict=True):
        held = network.having(*QUANTITIES)
        densities = {c: network.of("activity_density", c) for c in held}
        limits = {c: network.of("activity_limits", c) for c in held}
        peaks = [finite_most([density]) for density in densities.values()]
        norm = LogNorm(DIMMEST * min(peaks), max(peaks), clip=True)
        image = None
        for condition in held:
            axes = panels[network.name, condition]
            low, high = limits[condition]
            # What is too rare for the grid is as rare around it.
            axes.set_facecolor(colours(0.0))
            image = axes.imshow(
                densities[condition].T,
                origin="lower",
                extent=(low[0], high[0], low[1], high[1]),
                norm=norm,
                cmap=colours,
            )
            _set_limits(axes, limits[condition], limits[ACTIVE], "white")
            axes.spines[:].set_visible(True)
        assert image is not None  # noqa: S101
        figure.colorbar(image, cax=beside, label="density (a.u.)")
    label_panels(panels, "component 1", "component 2", shared=False)
    caption(
        figure,
        "Density of hidden activity on the first two principal components of the network awake, in "
        "logarithmic colours of one scale in a row; dashed: limits of the awake panel, which every "
        f"panel holds. {pictured(experiment, data)}",
    )
    return figure


def activity(
    experiment: Analyze,
    data: xr.Dataset,
    networks: list[Network],
    colours_of: Callable[[np.ndarray], np.ndarray],
    look: Mapping[str, Any],
    label: str,
) -> tuple[Figure, Colorbar]:
    """Draw where each network is, in colours that tell what is decoded; give the colour bar too.

    Parameters
    ----------
    experiment, data
        The analysis.
    networks
        What is shown.
    colours_of
        Makes numbers of decoded outputs, which `look` turns into colours.
    look
        Limits and map of the colours.
    label
        What they mean.
    """
    figure, panels, _ = make_panels(networks, ["projection", "projected"], extra=(1.5, 0.9))
    drawn = _scatter(panels, networks, colours_of, look)
    bar = figure.colorbar(
        drawn, ax=list(panels.values()), label=label, aspect=12 * len(networks), pad=0.02
    )
    label_panels(panels, "component 1", "component 2", shared=False)
    caption(
        figure,
        "Hidden activity on the first two principal components of the network awake, at some "
        "moments; dashed: limits of the awake panel. "
        f"{pictured(experiment, data)}",
    )
    return figure, bar


def _scatter(
    panels: Panels,
    networks: Sequence[Network],
    colours_of: Callable[[np.ndarray], np.ndarray],
    look: Mapping[str, Any],
) -> Any:
    """Scatter activity on the first two components; give the last scatter, for a colour bar."""
    drawn = None
    for network in networks:
        for condition in network.having("projection", "projected"):
            axes, points = panels[network.name, condition], network.of("projection", condition)
            chosen = thinned(len(points), MOST)
            drawn = axes.scatter(
                points[chosen, 0],
                points[chosen, 1],
                c=colours_of(network.of("projected", condition)[chosen]),
                s=3,
                linewidths=0,
                antialiased=False,
                rasterized=True,
                **look,
            )
            awake = network.of("projection", ACTIVE)
            awake = awake[thinned(len(awake), MOST)]
            _set_limits(axes, _limits_of(points[chosen]), _limits_of(awake), "0.3")
    return drawn


def _set_limits(axes: Axes, own: np.ndarray, awake: np.ndarray, colour: str) -> None:
    """Show all of a panel and of the awake one, whose limits get a frame if it is smaller."""
    low, high = np.minimum(own[0], awake[0]), np.maximum(own[1], awake[1])
    # Both components to one scale.
    middle, half = (low + high) / 2, (high - low).max() / 2
    axes.set(xlim=middle[0] + [-half, half], ylim=middle[1] + [-half, half], box_aspect=1)
    axes.locator_params(nbins=4)
    width, height = awake[1] - awake[0]
    if 2 * half > WIDER * max(width, height):
        frame = Rectangle(
            (awake[0, 0], awake[0, 1]),
            width,
            height,
            fill=False,
            edgecolor=colour,
            linestyle="--",
            linewidth=0.8,
            zorder=3,
        )
        axes.add_patch(frame)


def _limits_of(points: np.ndarray) -> np.ndarray:
    """Give limits (low and high, for each dimension) with a margin; never empty."""
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    # Both components to one scale, and some room around a network at rest.
    half = np.maximum(half.max() * 1.08, 1e-3) * np.ones(2)
    return np.stack([middle - half, middle + half])
