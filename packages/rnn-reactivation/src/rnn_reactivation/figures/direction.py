"""Figures of networks that track a bearing: histograms, courses, angular velocity, activity."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_reactivation.experiments.analyze import ACTIVE, Analyze
from rnn_reactivation.figures.activity import QUANTITIES, activity, activity_densities
from rnn_reactivation.figures.common import (
    COLOURS,
    CONDITIONS,
    Network,
    Picture,
    draw_pages,
    finite_most,
    label_panels,
    make_panels,
    pictured,
    row_panels,
)
from sharpwave_shared.plotting import caption, first_seed, legend

TRAJECTORIES = 3
RARE = 1e-4
"""Shares of steps below this are not shown."""
QUARTERS = [-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi]
QUARTER_NAMES = ["−π", "−π/2", "0", "π/2", "π"]
CYCLIC = ListedColormap(colormaps["twilight"](np.linspace(0, 1, 256))[:, :3] * 0.86, "bearings")
"""Colours of bearings; darker than matplotlib's, whose lightest vanish on white."""


def direction_figures(experiment: Analyze, data: xr.Dataset) -> dict[str, Figure]:
    """Draw bearings, how they move, and the activity behind them."""
    pictures: dict[str, Picture] = {
        "bearings": (["bearings"], _histograms),
        "densities": (["density"], _densities),
        "courses": (["trajectories"], _courses),
        "angular_velocity": (["turns"], _velocities),
        "activity_densities": (QUANTITIES, activity_densities),
        "activity": (["projection", "projected"], _activity),
    }
    return draw_pages(experiment, data, pictures)


def _legend(figure: Figure, networks: Sequence[Network], quantity: str, even: str = "") -> None:
    held = {condition for network in networks for condition in network.having(quantity)}
    lines = {
        label: Line2D([], [], color=COLOURS[condition])
        for condition, label in CONDITIONS.items()
        if condition in held
    }
    if even:
        lines[even] = Line2D([], [], color="0.4", linestyle=":")
    legend(figure, lines, len(lines))


def _histograms(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, panels = row_panels(networks, size=(2.6, 2.3), subplot_kw={"projection": "polar"})
    bins = 1
    for network, axes in panels:
        held = network.having("bearings")
        for condition in held:
            shares = network.of("bearings", condition)
            bins = len(shares)
            edges = np.linspace(-np.pi, np.pi, bins + 1)
            closed = np.append(np.repeat(shares, 2), shares[0])
            angles = np.append(np.repeat(edges, 2)[1:-1], edges[-1])
            axes.plot(angles, 100 * closed, color=COLOURS[condition])
            if condition == held[0]:
                axes.fill(angles, 100 * closed, color=COLOURS[condition], alpha=0.15, linewidth=0)
        around = np.linspace(-np.pi, np.pi, 181)
        axes.plot(around, np.full(181, 100 / bins), color="0.4", linestyle=":", linewidth=1)
        axes.set_ylim(0, 108 * finite_most([network.of("bearings", c) for c in held]))
        axes.set_xticks([0, np.pi / 2, np.pi, 3 * np.pi / 2], ["0", "π/2", "±π", "−π/2"])
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.tick_params(labelsize=7.5, pad=1, labelleft=False)
        _name_circles(axes)
        axes.grid(linewidth=0.5, color="0.85")
    _legend(figure, networks, "bearings", "even")
    caption(
        figure,
        f"Share of decoded bearings in each of {bins} parts of the circle (angles in rad). "
        f"{pictured(experiment, data)}",
    )
    return figure


def _name_circles(axes: Axes) -> None:
    """Write the shares on their circles, above the lines."""
    highest = axes.get_ylim()[1]
    for value in axes.get_yticks():
        if 0 < value <= highest:
            text = axes.text(-np.pi / 4, value, f"{value:g} %", fontsize=7, ha="center", zorder=5)
            text.set_bbox({"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0})


def _bearing_axis(axes: Axes, which: str = "x") -> None:
    (axes.set_xticks if which == "x" else axes.set_yticks)(QUARTERS, QUARTER_NAMES)
    (axes.set_xlim if which == "x" else axes.set_ylim)(-np.pi, np.pi)


def _densities(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, panels = row_panels(networks, size=(2.9, 1.9))
    for network, axes in panels:
        held = network.having("density")
        for condition in held:
            density = network.of("density", condition)
            angles = np.linspace(-np.pi, np.pi, len(density))
            axes.plot(angles, density, color=COLOURS[condition])
        axes.axhline(1 / (2 * np.pi), color="0.4", linestyle=":", linewidth=1)
        axes.set_ylim(0, 1.08 * finite_most([network.of("density", c) for c in held]))
        _bearing_axis(axes)
        axes.set(xlabel="bearing (rad)", ylabel="density (1/rad)")
        axes.label_outer()
        axes.tick_params(labelleft=True)
    _legend(figure, networks, "density", "even")
    caption(
        figure,
        f"Density of decoded bearings. {pictured(experiment, data)}",
    )
    return figure


def cut_at_wraps(
    times: np.ndarray, bearings: np.ndarray, every: int
) -> tuple[np.ndarray, np.ndarray]:
    """Put NaN where no line joins bearings: on both sides of +-pi, and between trials."""
    wraps = np.abs(np.diff(bearings)) > np.pi
    starts = np.arange(1, len(bearings)) % every == 0
    after = np.flatnonzero(wraps | starts) + 1
    return np.insert(times, after, np.nan), np.insert(bearings, after, np.nan)


def _courses(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, panels, _ = make_panels(networks, ["trajectories"], size=(2.1, 1.25))
    for network in networks:
        held = network.having("trajectories")
        for condition in held:
            axes = panels[network.name, condition]
            shown = network.of("trajectories", condition)[:, :TRAJECTORIES, 0]
            times = np.arange(len(shown)) * network.dt
            for k, bearings in enumerate(shown.T):
                every = network.trial if condition == ACTIVE else len(shown)
                axes.plot(*cut_at_wraps(times, bearings, every), color=f"C{k}", linewidth=1)
            _bearing_axis(axes, "y")
            axes.set_xlim(0, max(times[-1], network.dt))
    alike = len({axes.get_xlim() for axes in panels.values()}) == 1
    label_panels(panels, "time (s)", "bearing (rad)", shared=alike)
    caption(
        figure,
        f"Decoded bearings of {TRAJECTORIES} trajectories, awake on the task in trials that begin "
        "anew, and asleep from other starts without input; ±π is one bearing. "
        f"{first_seed(data).capitalize()}.",
    )
    return figure


def _velocities(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, panels = row_panels(networks, size=(2.9, 1.9))
    for network, axes in panels:
        furthest = 0.0
        for condition in network.having("turns"):
            shares = network.of("turns", condition)
            edges = np.linspace(-np.pi / 2, np.pi / 2, len(shares) + 1) / network.dt
            axes.stairs(shares, edges, color=COLOURS[condition], linewidth=1.2)
            outer = np.maximum(np.abs(edges[1:]), np.abs(edges[:-1]))
            furthest = max(furthest, float(outer[shares >= RARE].max(initial=0.0)))
        axes.axvline(0, color="0.4", linestyle=":", linewidth=1)
        axes.set(xlabel="angular velocity (rad/s)", ylabel="share of steps")
        axes.set_yscale("log")
        axes.set_ylim(RARE, 1.2)
        if furthest > 0:
            axes.set_xlim(-furthest, furthest)
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None and not spec.is_first_col():
            axes.set_ylabel("")
    _legend(figure, networks, "turns")
    bins = data.sizes["turn"]
    caption(
        figure,
        f"Turns of decoded bearings in one step, over its duration, in {bins} bins up to "
        "±π/2 a step (the last hold larger turns). "
        f"{pictured(experiment, data)}",
    )
    return figure


def _activity(experiment: Analyze, data: xr.Dataset, networks: list[Network]) -> Figure:
    figure, bar = activity(
        experiment,
        data,
        networks,
        lambda bearings: bearings[:, 0],
        {"vmin": -np.pi, "vmax": np.pi, "cmap": CYCLIC},
        "decoded bearing (rad)",
    )
    bar.set_ticks(QUARTERS, labels=QUARTER_NAMES)
    return figure
