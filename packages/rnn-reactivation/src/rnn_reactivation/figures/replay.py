"""An animation of replay: what a network does awake, beside what it does asleep."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rnn_reactivation.experiments.analyze import ACTIVE, NAVIGATION, QUIESCENT, Analyze
from rnn_reactivation.figures.common import (
    COLOURS,
    CONDITIONS,
    Network,
    networks_of,
    pretty,
    thinned,
)
from rnn_reactivation.figures.navigation import set_box
from sharpwave_shared.files import atomic_path
from sharpwave_shared.plotting import first_seed, style

TRAJECTORIES = 6
FRAMES = 100
FRAMES_PER_SECOND = 10
TAIL = 8
"""Steps behind a dot that are shown."""
BETWEEN = 12
"""Points on the arc of each turn."""
INNERMOST = 0.6
"""Radius of the innermost of the circles on which bearings move, as a share of the outermost."""


def draw_replay(experiment: Analyze, data: xr.Dataset, path: Path) -> None:
    """Animate the first network as a GIF; do nothing if its trajectories are not known."""
    network = networks_of(data)[0]
    if {ACTIVE, QUIESCENT} <= set(network.having("trajectories")):
        navigation = experiment.task == NAVIGATION
        _animate(network, first_seed(data), path, navigation=navigation)


def _animate(network: Network, seed: str, path: Path, *, navigation: bool) -> None:
    stored = {c: network.of("trajectories", c) for c in (ACTIVE, QUIESCENT)}
    steps = min(len(values) for values in stored.values())
    with style(), mpl.rc_context({"savefig.bbox": None, "figure.constrained_layout.use": False}):
        figure, panels = plt.subplots(1, 2, figsize=(5.4, 3.2), dpi=80)
        figure.subplots_adjust(left=0.13, right=0.98, bottom=0.15, top=0.8, wspace=0.22)
        title = figure.suptitle("", fontsize=9)
        lines = []
        for axes, (condition, values) in zip(panels, stored.items(), strict=True):
            axes.set_title(CONDITIONS[condition], color=COLOURS[condition])
            (_set_box if navigation else _set_circle)(axes, network)
            courses = values[:steps, :TRAJECTORIES]
            trial = network.trial if condition == ACTIVE else steps
            for k in range(courses.shape[1]):
                course = courses[:, k] if navigation else _on_circle(courses[:, k, 0], k)
                tail = axes.plot([], [], color=f"C{k}", linewidth=1.5, alpha=0.5)[0]
                dot = axes.plot([], [], "o", color=f"C{k}", markersize=6, clip_on=False)[0]
                lines.append((course, trial, tail, dot))
        points = 1 if navigation else BETWEEN
        with atomic_path(path) as temporary:
            writer = PillowWriter(fps=FRAMES_PER_SECOND)
            with writer.saving(figure, str(temporary), dpi=80):
                for step in thinned(steps, FRAMES):
                    for course, trial, tail, dot in lines:
                        # No tail reaches back into the trial before.
                        behind = min(TAIL, int(step) % trial)
                        _move(course, int(step) * points, behind * points, tail, dot)
                    time = f"{step * network.dt:.2f} s"
                    title.set_text(f"{pretty(network.name)}, {seed}: {time}")
                    writer.grab_frame()
        plt.close(figure)


def _move(course: np.ndarray, now: int, tail: int, line: Line2D, dot: Line2D) -> None:
    """Put a dot where it is now, and its tail where it just was."""
    behind = course[max(0, now - tail) : now + 1]
    line.set_data(behind[:, 0], behind[:, 1])
    dot.set_data(course[now : now + 1, 0], course[now : now + 1, 1])


def _set_box(axes: Axes, network: Network) -> None:
    set_box(axes, network)
    axes.set_xlabel("x (m)")
    if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        axes.set_ylabel("y (m)")
    else:
        axes.tick_params(labelleft=False)


def _set_circle(axes: Axes, network: Network) -> None:
    around = np.linspace(-np.pi, np.pi, 181)
    for radius in _radii():
        axes.plot(radius * np.cos(around), radius * np.sin(around), color="0.88", linewidth=0.8)
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    axes.set_axis_off()
    for angle, text in ((0, "0"), (np.pi / 2, "π/2"), (np.pi, "±π"), (-np.pi / 2, "−π/2")):
        x, y = 1.17 * np.cos(angle), 1.17 * np.sin(angle)
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color="0.3")


def _radii() -> np.ndarray:
    return np.linspace(1, INNERMOST, TRAJECTORIES)


def _on_circle(bearings: np.ndarray, k: int) -> np.ndarray:
    """Give the course of a bearing on its circle, the shorter way round at each step."""
    turned = np.unwrap(bearings)
    steps = np.arange(BETWEEN * (len(turned) - 1) + 1) / BETWEEN
    fine = np.interp(steps, np.arange(len(turned)), turned)
    return _radii()[k] * np.stack([np.cos(fine), np.sin(fine)], 1)
