"""Activity in the plane of its first two components."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnn_reactivation.figures.common import (
    Network,
    Panels,
    first_seed,
    label_panels,
    make_panels,
    simulations,
    thinned,
)
from rnn_reactivation.reactivation import ACTIVE
from sharpwave_shared.plotting import caption
from sharpwave_shared.runs import StoredRun

QUANTITIES = ["activity_density", "activity_limits"]
MOST = 800
"""Points of activity in a panel."""


def activity_densities(run: StoredRun, networks: list[Network]) -> Figure:
    """Draw how often each network is where, awake and asleep, each panel to its own scale."""
    figure, panels, _ = make_panels(networks, QUANTITIES)
    for (name, condition), axes in panels.items():
        arrays = next(n.arrays for n in networks if n.name == name)
        density = arrays[condition]["activity_density"].astype(float)
        highest = np.nanmax(density, initial=0.0)
        low, high = arrays[condition]["activity_limits"]
        axes.imshow(
            (density / highest if highest > 0 else density).T,
            origin="lower",
            extent=(low[0], high[0], low[1], high[1]),
            vmin=0,
            vmax=1,
            cmap="magma",
        )
        axes.locator_params(nbins=4)
        axes.spines[:].set_visible(True)
    label_panels(panels, "component 1", "component 2", shared=False)
    caption(
        figure,
        "Density of hidden activity on the first two principal components of the network awake, in "
        "each panel relative to its largest value. "
        f"{first_seed(run).capitalize()}; {simulations(run)}.",
    )
    return figure


def activity(
    run: StoredRun,
    networks: list[Network],
    colours_of: Callable[[Network, np.ndarray], np.ndarray],
    look: Mapping[str, Any],
    label: str,
) -> tuple[Figure, Colorbar]:
    """Draw where each network is, in colours that tell what is decoded; give the colour bar too.

    Parameters
    ----------
    run
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
    bar = figure.colorbar(drawn, ax=list(panels.values()), label=label, aspect=50, pad=0.02)
    label_panels(panels, "component 1", "component 2", shared=False)
    caption(
        figure,
        "Hidden activity on the first two principal components of the network awake, at some "
        "moments; dashed: limits of the awake panel. "
        f"{first_seed(run).capitalize()}; {simulations(run)}.",
    )
    return figure, bar


def _scatter(
    panels: Panels,
    networks: Sequence[Network],
    colours_of: Callable[[Network, np.ndarray], np.ndarray],
    look: Mapping[str, Any],
) -> Any:
    """Scatter activity on the first two components; give the last scatter, for a colour bar.

    A dashed frame shows the limits of the awake panel where a panel has wider ones.
    """
    drawn = None
    for network in networks:
        awake = None
        for condition in network.having("projection", "projected"):
            axes, stored = panels[network.name, condition], network.arrays[condition]
            chosen = thinned(len(stored["projection"]), MOST)
            points = stored["projection"][chosen]
            limits = _limits_of(points)
            if condition == ACTIVE:
                awake = limits
            elif awake is not None:
                limits = _joined(limits, awake)
                if np.ptp(limits, axis=0).max() > 1.15 * np.ptp(awake, axis=0).max():
                    axes.add_patch(
                        Rectangle(
                            (awake[0, 0], awake[0, 1]),
                            *np.ptp(awake, axis=0),
                            fill=False,
                            edgecolor="0.3",
                            linestyle="--",
                            linewidth=0.8,
                            zorder=3,
                        )
                    )
            drawn = axes.scatter(
                points[:, 0],
                points[:, 1],
                c=colours_of(network, stored["projected"][chosen]),
                s=3,
                linewidths=0,
                antialiased=False,
                rasterized=True,
                **look,
            )
            axes.set(xlim=limits[:, 0], ylim=limits[:, 1], box_aspect=1)
            axes.locator_params(nbins=4)
    return drawn


def _limits_of(points: np.ndarray) -> np.ndarray:
    """Give limits (low and high, for each dimension) with a margin; never empty."""
    known = points[np.isfinite(points).all(1)]
    if not len(known):
        return np.array([[-1.0, -1.0], [1.0, 1.0]])
    low, high = known.min(0).astype(float), known.max(0).astype(float)
    middle, half = (low + high) / 2, (high - low) / 2
    # Both components to one scale, and some room around a network at rest.
    half = np.maximum(half.max() * 1.08, 1e-3) * np.ones(2)
    return np.stack([middle - half, middle + half])


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give limits that hold both."""
    return np.stack([np.minimum(first[0], second[0]), np.maximum(first[1], second[1])])
