"""Figures of networks that navigate: trajectories, densities, activity and drift in the box."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_reactivation.analysis import LAG, cosine
from rnn_reactivation.figures.activity import QUANTITIES, activity, activity_densities
from rnn_reactivation.figures.common import (
    COLOURS,
    CONDITIONS,
    Network,
    finite_most,
    first_seed,
    label_panels,
    make_panels,
    on_pages,
    pretty,
    short,
    simulations,
    stored_networks,
)
from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun

TRAJECTORIES = 6
LONGEST = 1.8
"""Length of the longest arrow, in distances between arrows."""


def navigation_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw what the networks do in the box."""
    networks = stored_networks(run)
    with style():
        return {
            **on_pages("trajectories", networks, ["trajectories"], lambda n: _trajectories(run, n)),
            **on_pages("densities", networks, ["density"], lambda n: _densities(run, n)),
            **on_pages(
                "activity_densities", networks, QUANTITIES, lambda n: activity_densities(run, n)
            ),
            **on_pages(
                "activity", networks, ["projection", "projected"], lambda n: _activity(run, n)
            ),
            **on_pages("drift", networks, ["field"], lambda n: _drift(run, n)),
        }


def set_box(axes: Axes, network: Network) -> None:
    """Give a panel the walls of the box."""
    width, height = network.task["box_width"], network.task["box_height"]
    axes.set(xlim=(-width / 2, width / 2), ylim=(-height / 2, height / 2), aspect="equal")
    for set_ticks, side in ((axes.set_xticks, width), (axes.set_yticks, height)):
        set_ticks([-side / 2, 0, side / 2], [f"−{side / 2:g}", "0", f"{side / 2:g}"])
    axes.spines[:].set_visible(True)


def _same_box(networks: list[Network]) -> bool:
    return len({(n.task["box_width"], n.task["box_height"]) for n in networks}) == 1


def _trajectories(run: StoredRun, networks: list[Network]) -> Figure:
    figure, panels, _ = make_panels(networks, ["trajectories"])
    steps = set()
    for network in networks:
        conditions = network.having("trajectories")
        length = min(len(network.arrays[c]["trajectories"]) for c in conditions)
        steps.add(length)
        for condition in conditions:
            axes = panels[network.name, condition]
            shown = network.arrays[condition]["trajectories"][:length, :TRAJECTORIES]
            for k in range(shown.shape[1]):
                x, y = shown[:, k].T
                axes.plot(x, y, color=f"C{k}", linewidth=0.6, alpha=0.65)
            for k in range(shown.shape[1]):
                for place, marker, face in ((0, "o", "white"), (-1, "s", f"C{k}")):
                    axes.plot(
                        *shown[place, k],
                        marker=marker,
                        markersize=4.5,
                        markerfacecolor=face,
                        markeredgecolor=f"C{k}" if place == 0 else "white",
                        markeredgewidth=1.2 if place == 0 else 0.5,
                        zorder=3,
                        clip_on=False,
                    )
            set_box(axes, network)
    label_panels(panels, "x (m)", "y (m)", shared=_same_box(networks))
    look = {"color": "0.3", "linestyle": "", "markersize": 4.5}
    figure.legend(
        handles=[
            Line2D([], [], **look, marker="o", markerfacecolor="white", label="start"),
            Line2D([], [], **look, marker="s", label="end"),
        ],
        loc="outside upper center",
        ncols=2,
    )
    dt = networks[0].task["dt"]
    count = " or ".join(f"{n} steps ({n * dt:g} s)" for n in sorted(steps))
    caption(
        figure,
        f"Decoded positions of {TRAJECTORIES} trajectories, {count}, awake on the task, and asleep "
        f"from other starts without input. {first_seed(run).capitalize()}.",
    )
    return figure


def _densities(run: StoredRun, networks: list[Network]) -> Figure:
    figure, panels, bars = make_panels(networks, ["density"], extra=(1.5, 0.9), bars=True)
    for network, beside in zip(networks, bars, strict=True):
        conditions = network.having("density")
        highest = finite_most([network.arrays[c]["density"] for c in conditions])
        image = None
        for condition in conditions:
            axes = panels[network.name, condition]
            density = network.arrays[condition]["density"]
            # The values are those at points from wall to wall: the outer ones are cut in half.
            half = network.task["box_width"] / 2, network.task["box_height"] / 2
            x, y = (h * n / (n - 1) for h, n in zip(half, density.shape, strict=True))
            image = axes.imshow(
                density.T,
                origin="lower",
                extent=(-x, x, -y, y),
                norm=PowerNorm(0.5, 0, highest),
            )
            set_box(axes, network)
        assert image is not None  # noqa: S101
        bar = figure.colorbar(image, cax=beside, label="density (1/m²)")
        bar.ax.locator_params(nbins=4)
    label_panels(panels, "x (m)", "y (m)", shared=_same_box(networks))
    caption(
        figure,
        "Density of decoded positions; colours follow its square root, to one scale in a row. "
        f"{first_seed(run).capitalize()}; {simulations(run)}.",
    )
    return figure


def _activity(run: StoredRun, networks: list[Network]) -> Figure:
    furthest = max(np.hypot(n.task["box_width"], n.task["box_height"]) / 2 for n in networks)
    return activity(
        run,
        networks,
        lambda _, places: np.hypot(places[:, 0], places[:, 1]),
        {"vmin": 0, "vmax": furthest, "cmap": "viridis"},
        "distance of the decoded position from the centre (m)",
    )[0]


def _drift(run: StoredRun, networks: list[Network]) -> Figure:
    conditions = [c for c in CONDITIONS if any(c in n.having("field") for n in networks)]
    figure = plt.figure(
        figsize=(0.9 + 3.9 * len(conditions), 0.9 + 2.2 * len(networks)), layout="compressed"
    )
    grid = figure.add_gridspec(len(networks), 2 * len(conditions))
    for row, network in enumerate(networks):
        for condition in network.having("field"):
            column = 2 * conditions.index(condition)
            places, drift, predicted = network.arrays[condition]["field"]
            left = figure.add_subplot(grid[row, column])
            right = figure.add_subplot(grid[row, column + 1])
            known = np.isfinite(drift).all(1) & np.isfinite(predicted).all(1)
            spacing = _spacing(places)
            first = _arrows(left, places[known], drift[known], spacing, COLOURS[condition])
            second = _arrows(right, places[known], predicted[known], spacing, "0.35")
            agreement = cosine(torch.from_numpy(drift), torch.from_numpy(predicted))
            said = f"cosine {agreement:.2f}" if np.isfinite(agreement) else "cosine undefined"
            said = said.replace("-", "\N{MINUS SIGN}")
            left.set_title(f"{CONDITIONS[condition]}: drift\n{first}", fontsize=8)
            right.set_title(f"Langevin prediction, {said}\n{second}", fontsize=8)
            for axes in (left, right):
                set_box(axes, network)
                axes.set_xlabel("x (m)" if row == len(networks) - 1 else "")
                axes.tick_params(labelleft=axes is left and column == 0)
                axes.tick_params(labelbottom=row == len(networks) - 1)
            if condition == network.having("field")[0]:
                left.set_ylabel(f"{pretty(network.name)}\ny (m)")
    caption(
        figure,
        f"Mean displacement of decoded positions in {LAG} steps ({LAG * networks[0].task['dt']:g} "
        "s) by where they begin, and what Langevin dynamics on the awake density predict (half the "
        "covariance of displacements times the gradient of its logarithm), where enough outputs "
        "were. Arrows are scaled in each panel; the length of the longest is given. "
        f"{first_seed(run).capitalize()}; {simulations(run)}.",
    )
    return figure


def _spacing(places: np.ndarray) -> float:
    """Give the distance between neighbouring places."""
    x = np.unique(places[:, 0])
    return float(np.diff(x).min()) if len(x) > 1 else 1.0


def _arrows(axes: Axes, places: np.ndarray, field: np.ndarray, spacing: float, colour: str) -> str:
    """Draw a field; say how long its longest arrow is."""
    longest = float(np.hypot(*field.T).max(initial=0.0)) if len(field) else 0.0
    if longest == 0:
        text = "at rest" if len(field) else "too few outputs"
        axes.text(0, 0, text, ha="center", va="center", color="0.4", fontsize=8)
        return "no arrows"
    axes.quiver(
        places[:, 0],
        places[:, 1],
        field[:, 0],
        field[:, 1],
        angles="xy",
        scale_units="xy",
        scale=longest / (LONGEST * spacing),
        width=0.009,
        color=colour,
        pivot="tail",
    )
    return f"longest arrow {short(100 * longest)} cm"
