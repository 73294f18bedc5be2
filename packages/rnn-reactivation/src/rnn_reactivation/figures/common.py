"""What the figures of an analysis share."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_reactivation.reactivation import ACTIVE, NOISE_ADDED, QUIESCENT
from sharpwave_shared.plotting import name_seeds
from sharpwave_shared.runs import StoredRun

CONDITIONS = {ACTIVE: "awake", QUIESCENT: "asleep", NOISE_ADDED: "asleep, noise added"}
COLOURS = {ACTIVE: "C0", QUIESCENT: "C1", NOISE_ADDED: "C2"}
NETWORKS_ON_A_PAGE = 4
LONGEST_NAME = 26
WORDS = {
    "noisy": "noisy",
    "no-noise": "no noise",
    "unbiased": "unbiased",
    "biased": "biased",
    "gru": "GRU",
}
NOISE = {
    "scaled": "twice the variance of training",
    "same": "the variance of training",
    "absolute": "twice the task's usual variance",
}


def pretty(name: str) -> str:
    """Write the name of a configuration in words; an unknown one stays as it is."""
    matched = re.fullmatch(r"(.+)_(\d[\d.e+-]*)", name)
    base, variance = (matched[1], matched[2]) if matched else (name, "")
    words = base.split("_")
    if all(word in WORDS for word in words):
        parts = [WORDS[word] for word in words] + ([f"σ² = {variance}"] if variance else [])
        return ", ".join(parts)
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 1]}…"
    return name.replace("$", r"\$")


def means(values: np.ndarray) -> np.ndarray:
    """Give the mean over the first dimension, leaving NaN out; NaN where nothing is known."""
    known = np.isfinite(values)
    counts = known.sum(0)
    total = np.where(known, values, 0).sum(0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def short(value: float) -> str:
    """Write a number with two or three significant digits."""
    if not np.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 99.5:
        text = f"{value:,.0f}"
    elif 0 < size < 1e-4:
        text = f"{value:.1e}"
    elif size == 0:
        text = "0"
    else:
        text = f"{value:#.2g}".rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


class Network(NamedTuple):
    """What is stored of a network, of the first seed.

    Attributes
    ----------
    name
        Of its configuration.
    task
        The parameters of its task.
    arrays
        Quantities by condition and name.
    """

    name: str
    task: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]

    def having(self, *quantities: str) -> list[str]:
        """List the conditions for which all these quantities are stored."""
        return [
            condition
            for condition in CONDITIONS
            if condition in self.arrays and set(quantities) <= self.arrays[condition].keys()
        ]


def stored_networks(run: StoredRun) -> list[Network]:
    """Sort the arrays of an analysis by network and condition."""
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for key, values in run.arrays().items():
        name, condition, quantity = key.rsplit("/", 2)
        found.setdefault(name, {}).setdefault(condition, {})[quantity] = values
    return [
        Network(name, network["task"], found[name])
        for name, network in zip(run.metrics["names"], run.config["networks"], strict=True)
        if name in found
    ]


def on_pages(
    name: str,
    networks: Sequence[Network],
    quantities: Sequence[str],
    draw: Callable[[list[Network]], Figure],
) -> dict[str, Figure]:
    """Draw the networks that have some quantities, as many figures as they need."""
    shown = [network for network in networks if network.having(*quantities)]
    parts = [
        shown[first : first + NETWORKS_ON_A_PAGE]
        for first in range(0, len(shown), NETWORKS_ON_A_PAGE)
    ]
    if len(parts) == 1:
        return {name: draw(parts[0])}
    return {f"{name}_{k}": draw(part) for k, part in enumerate(parts, 1)}


Panels = dict[tuple[str, str], Axes]
"""Panels by network and condition."""


def make_panels(
    networks: Sequence[Network],
    quantities: Sequence[str],
    *,
    size: tuple[float, float] = (2.0, 1.95),
    extra: tuple[float, float] = (0.9, 0.9),
    bars: bool = False,
) -> tuple[Figure, Panels, list[Axes]]:
    """Make a panel for every condition (column) of every network (row), with titled columns.

    With `bars`, a colour bar for each row, too.
    """
    columns = [c for c in CONDITIONS if any(c in n.having(*quantities) for n in networks)]
    figure = plt.figure(
        figsize=(extra[0] + size[0] * len(columns), extra[1] + size[1] * len(networks)),
        layout="compressed",
    )
    widths = [1.0] * len(columns) + [0.06] * bars
    grid = figure.add_gridspec(len(networks), len(widths), width_ratios=widths)
    panels: Panels = {}
    for row, network in enumerate(networks):
        for condition in network.having(*quantities):
            column = columns.index(condition)
            axes = figure.add_subplot(grid[row, column])
            if not any(c == condition for _, c in panels):
                axes.set_title(CONDITIONS[condition], color=COLOURS[condition])
            panels[network.name, condition] = axes
    rows = range(len(networks)) if bars else []
    return figure, panels, [figure.add_subplot(grid[r, -1], label="<colorbar>") for r in rows]


def label_panels(panels: Panels, x: str, y: str, *, shared: bool) -> None:
    """Label the axes of the outer panels; with `shared` limits the others lose their numbers."""
    lowest = {condition: axes for (_, condition), axes in panels.items()}
    first: dict[str, Axes] = {}
    for (name, _), axes in panels.items():
        first.setdefault(name, axes)
    for (name, condition), axes in panels.items():
        if axes is lowest[condition]:
            axes.set_xlabel(x)
        elif shared:
            axes.tick_params(labelbottom=False)
        if axes is first[name]:
            axes.set_ylabel(f"{pretty(name)}\n{y}")
        elif shared:
            axes.tick_params(labelleft=False)


def row_panels(
    networks: Sequence[Network], *, size: tuple[float, float], polar: bool = False
) -> tuple[Figure, Iterator[tuple[Network, Axes]]]:
    """Make a panel for every network, two in a row where there are more than three."""
    columns = len(networks) if len(networks) <= 3 else 2
    rows = -(-len(networks) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(0.6 + size[0] * columns, 1.0 + size[1] * rows),
        squeeze=False,
        subplot_kw={"projection": "polar"} if polar else {},
    )
    for left in axes.flat[len(networks) :]:
        left.remove()
    for network, panel in zip(networks, axes.flat, strict=False):
        panel.set_title(pretty(network.name), fontsize=9)
    return figure, zip(networks, axes.flat, strict=False)


def simulations(run: StoredRun) -> str:
    """Say what was simulated, awake and asleep."""
    lengths = sorted({network["task"]["length"] for network in run.config["networks"]})
    trials = " or ".join(map(str, lengths))
    return (
        f"{run.config['trajectories']} trajectories of {run.config['steps']:,} steps, awake in "
        f"trials of {trials}; {asleep_noise(run)}"
    )


def asleep_noise(run: StoredRun) -> str:
    """Say what the noise asleep was."""
    text = f"asleep no input, and noise of {NOISE[run.config['noise']]}"
    if any(NOISE_ADDED in variances for variances in run.metrics["noise"].values()):
        text += f" (noise added: {NOISE['absolute']})"
    return text


def first_seed(run: StoredRun) -> str:
    """Name the seed whose networks the pictures show."""
    return name_seeds(run.metrics["seeds"][:1])


def finite_most(arrays: Sequence[np.ndarray], default: float = 1.0) -> float:
    """Give the largest finite value, if it is above 0."""
    highest = max((float(a[np.isfinite(a)].max(initial=0)) for a in arrays), default=0.0)
    return highest if highest > 0 else default


def thinned(count: int, most: int) -> np.ndarray:
    """Give evenly spaced indices, at most so many."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
