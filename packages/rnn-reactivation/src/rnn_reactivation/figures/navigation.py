"""Figures of networks that navigate: trajectories, densities, activity and drift in the box."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from rnn_reactivation.analysis import LAG, cosine
from rnn_reactivation.experiments.analyze import ACTIVE, Analyze
from rnn_reactivation.figures.activity import QUANTITIES, activity, activity_densities
from rnn_reactivation.figures.common import (
    COLOURS,
    CONDITIONS,
    Network,
    Picture,
    draw_pages,
    empty_panel,
    finite_most,
    label_panels,
    make_panels,
    networks_of,
    pictured,
    pretty,
)
from sharpwave_shared.plotting import caption, decimals, first_seed, legend

TRAJECTORIES = 6
LONG = 0.85
"""Length of arrows, in distances between them."""
SIZES = ListedColormap(colormaps["viridis"](np.linspace(0.85, 0, 256)), "sizes")
"""Colours of displacements: none is too light on white."""
SMALLEST = 1e-3
"""Displacements below this (m) have the colour of this one."""


def navigation_figures(experiment: Analyze, data: xr.Dataset) -> dict[str, Figure]:
    """Draw what the networks do in the box."""
    pictures: dict[str, Picture] = {
        "trajectories": (["trajectories"], _trajectories),
        "densities": (["density"], _densities),
        "activity_densities": (QUANTITIES, activity_densities),
        "activity": (["projection", "projected"], _activity),
        "drift": (["drift"], _drift),
    }
    return draw_pages(experiment, data, pictures)


def set_box(axes: Axes, network: Network) -> None:
    """Give a panel the walls of the box."""
    width, height = network.box
    axes.set(xlim=(-width / 2, width / 2), ylim=(-height / 2, height / 2), aspect="equal")
    for set_ticks, side in ((axes.set_xticks, width), (axes.set_yticks, height)):
        set_ticks([-side / 2, 0, side / 2], [f"−{side / 2:g}", "0", f"{side / 2:g}"])
    axes.spines[:].set_visible(True)


def _same_box(networks: list[Network]) -> bool:
    return len({network.box for network in networks}) == 1


def pieces_of(network: Network, condition: str, count: int) -> list[np.ndarray]:
    """Give the courses (steps, dims) of some trajectories; awake, of each of their trials."""
    courses = network.of("trajectories", condition)[:, :count]
    length = network.trial if condition == ACTIVE else len(courses)
    return [
        courses[first : first + length, k]
        for k in range(courses.shape[1])
        for first in range(0, len(courses), length)
    ]


def _trajectories(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, panels, _ = make_panels(networks, ["trajectories"])
    steps: dict[str, int] = {}
    for network in networks:
        for condition in network.having("trajectories"):
            axes = panels[network.name, condition]
            count = len(network.of("trajectories", condition))
            steps[condition] = max(count, steps.get(condition, 0))
            pieces = pieces_of(network, condition, TRAJECTORIES)
            for k, course in enumerate(pieces):
                _draw_course(axes, course, f"C{k * TRAJECTORIES // len(pieces)}")
            set_box(axes, network)
    label_panels(panels, "x (m)", "y (m)", shared=_same_box(networks))
    look = {"color": "0.3", "linestyle": "", "markersize": 3.5}
    lines = {
        "start": Line2D([], [], **look, marker="o", markerfacecolor="white"),
        "end": Line2D([], [], **look, marker="s"),
    }
    legend(figure, lines)
    dt, trial = networks[0].dt, networks[0].trial
    asleep = max((n for condition, n in steps.items() if condition != ACTIVE), default=0)
    awake = steps.get(ACTIVE, 0)
    trials = f"in trials of {trial * dt:g} s that begin anew, " if awake > trial else ""
    together = " together" if trials else ""
    caption(
        figure,
        f"Decoded positions, in colours of {TRAJECTORIES} trajectories: awake on the task "
        f"{trials}{awake * dt:g} s{together}; asleep {asleep * dt:g} s without input. "
        f"{first_seed(data).capitalize()}.",
    )
    return figure


def _draw_course(axes: Axes, course: np.ndarray, colour: str) -> None:
    """Draw a trajectory with marks at its start and end."""
    axes.plot(*course.T, color=colour, linewidth=0.6, alpha=0.65)
    for place, marker, face, edge in ((0, "o", "white", colour), (-1, "s", colour, "white")):
        axes.plot(
            *course[place],
            marker=marker,
            markersize=3.5,
            markerfacecolor=face,
            markeredgecolor=edge,
            markeredgewidth=1.0 if place == 0 else 0.5,
            zorder=3,
            clip_on=False,
        )


def _densities(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, panels, bars = make_panels(networks, ["density"], extra=(1.5, 0.9), bars=True)
    # The values are those at points from wall to wall: the outer ones are cut in half.
    half = np.array(networks_of(data)[0].box) / 2
    for network, beside in zip(networks, bars, strict=True):
        densities = {c: network.of("density", c) for c in network.having("density")}
        highest = finite_most(list(densities.values()))
        image = None
        for condition, density in densities.items():
            axes = panels[network.name, condition]
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
        f"{pictured(experiment, data)}",
    )
    return figure


def _activity(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    furthest = max(np.hypot(*network.box) / 2 for network in networks)
    return activity(
        experiment,
        data,
        networks,
        lambda places: np.hypot(places[:, 0], places[:, 1]),
        {"vmin": 0, "vmax": furthest, "cmap": "viridis"},
        "decoded distance\nfrom the centre (m)",
    )[0]


def _drift(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    conditions = [c for c in CONDITIONS if any(c in n.having("drift") for n in networks)]
    figure = plt.figure(
        figsize=(1.7 + 3.8 * len(conditions), 1.0 + 2.05 * len(networks)), layout="compressed"
    )
    grid = figure.add_gridspec(len(networks), 2 * len(conditions))
    norm = LogNorm(SMALLEST, max(_largest(networks), 10 * SMALLEST), clip=True)
    panels: list[Axes] = []
    for row, network in enumerate(networks):
        held = network.having("drift")
        for column, condition in enumerate(conditions):
            pair = [grid[row, 2 * column], grid[row, 2 * column + 1]]
            if condition in held:
                drawn = [figure.add_subplot(place) for place in pair]
                _draw_fields(drawn, network, condition, norm, last=row == len(networks) - 1)
                panels += drawn
                if condition == held[0]:
                    drawn[0].set_ylabel(f"{pretty(network.name)}\ny (m)")
                    drawn[0].tick_params(labelleft=True)
            elif row == 0:
                drawn = [empty_panel(figure, place) for place in pair]
            else:
                continue
            if row == 0:
                for axes, words in zip(drawn, ("drift", "Langevin prediction"), strict=True):
                    said = f"{CONDITIONS[condition]}:\n{words}"
                    axes.set_title(said, fontsize=9, color=COLOURS[condition], pad=14)
    bar = figure.colorbar(
        ScalarMappable(norm, SIZES),
        ax=panels,
        label=f"displacement in {LAG} steps (cm)",
        aspect=14 * len(networks),
        pad=0.02,
    )
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    caption(
        figure,
        f"Mean displacement of decoded positions in {LAG} steps ({LAG * networks[0].dt:g} s) by "
        "where they begin, and what Langevin dynamics on the awake density predict (half the "
        "covariance of displacements times the gradient of its logarithm), where enough outputs "
        "were. Arrows tell directions, colours tell sizes; cosine: agreement of both fields. "
        f"{pictured(experiment, data)}",
    )
    return figure


def _largest(networks: list[Network]) -> float:
    """Give the size of the largest displacement that is drawn (m)."""
    sizes = [
        np.hypot(*network.of(quantity, condition).T)
        for network in networks
        for condition in network.having("drift")
        for quantity in ("drift", "predicted_drift")
    ]
    return finite_most(sizes)


def _draw_fields(
    pair: list[Axes], network: Network, condition: str, norm: LogNorm, *, last: bool
) -> None:
    """Draw the drift of a network beside its prediction."""
    values = network.data.sel(condition=condition).isel(seed=0)
    places, drift, predicted = (
        values[name].values.astype(float) for name in ("places", "drift", "predicted_drift")
    )
    known = np.isfinite(drift).all(1) & np.isfinite(predicted).all(1)
    for axes, field in zip(pair, (drift, predicted), strict=True):
        _arrows(axes, places[known], field[known], _spacing(places), norm)
        set_box(axes, network)
        axes.set_xlabel("x (m)" if last else "")
        axes.tick_params(labelleft=False, labelbottom=last)
    agreement = cosine(torch.from_numpy(drift), torch.from_numpy(predicted))
    said = f"cosine {decimals(agreement)}" if np.isfinite(agreement) else "cosine undefined"
    pair[1].text(1, 1.02, said, transform=pair[1].transAxes, fontsize=8, ha="right", va="bottom")


def _spacing(places: np.ndarray) -> float:
    """Give the distance between neighbouring places."""
    x = np.unique(places[:, 0])
    return float(np.diff(x).min()) if len(x) > 1 else 1.0


def _arrows(
    axes: Axes, places: np.ndarray, field: np.ndarray, spacing: float, norm: LogNorm
) -> None:
    """Draw a field as arrows of one length, coloured by its size."""
    sizes = np.hypot(*field.T)
    moving = sizes > 0
    if not moving.any():
        text = "at rest" if len(field) else "too few outputs"
        axes.text(0, 0, text, ha="center", va="center", color="0.4", fontsize=8)
        return
    axes.quiver(
        *places[moving].T,
        *(field[moving] / sizes[moving, None]).T,
        sizes[moving],
        norm=norm,
        cmap=SIZES,
        angles="xy",
        scale_units="xy",
        scale=1 / (LONG * spacing),
        width=0.012,
        headwidth=3.2,
        headlength=3.2,
        headaxislength=3,
        pivot="mid",
    )
