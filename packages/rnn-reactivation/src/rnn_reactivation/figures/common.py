"""What the figures of an analysis share."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_reactivation.experiments.analyze import ACTIVE, NOISE_ADDED, QUIESCENT, Analyze
from sharpwave_shared.plotting import first_seed, panel_grid

CONDITIONS = {ACTIVE: "awake", QUIESCENT: "asleep", NOISE_ADDED: "asleep, noise added"}
COLOURS = {ACTIVE: "C0", QUIESCENT: "C1", NOISE_ADDED: "C2"}
NETWORKS_ON_A_PAGE = 4
LONGEST_NAME = 26
WORDS = {
    "noisy": "noisy",
    "no-noise": "no noise",
    "uniform-noise": "uniform noise",
    "unbiased": "unbiased",
    "biased": "biased",
    "gru": "GRU",
}
NOISE = {
    "scaled": "twice the variance of training (GRU: of training)",
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


@dataclass(frozen=True)
class Network:
    """What is known of a network.

    Attributes
    ----------
    name
        Of its configuration.
    data
        The results of an analysis for this configuration; pictures show its first seed.
    """

    name: str
    data: xr.Dataset

    def having(self, *quantities: str) -> list[str]:
        """List the conditions for which all these quantities are known."""
        if not set(quantities) <= set(self.data.variables):
            return []
        return [
            condition
            for condition in CONDITIONS
            if condition in self.data["condition"]
            and all(np.isfinite(self._all(q, condition)).any() for q in quantities)
        ]

    def of(self, quantity: str, condition: str) -> np.ndarray:
        """Give a quantity in a condition, without the rows that are not known."""
        values = self._all(quantity, condition)
        known = np.isfinite(values).reshape(len(values), -1).any(1)
        return values[known]

    def _all(self, quantity: str, condition: str) -> np.ndarray:
        values = self.data[quantity].sel(condition=condition)
        return (values.isel(seed=0) if "seed" in values.dims else values).values.astype(float)

    @property
    def dt(self) -> float:
        """Duration of a step (s)."""
        return self.data["dt"].item()

    @property
    def trial(self) -> int:
        """Steps of a trial."""
        return int(self.data["trial_steps"])

    @property
    def box(self) -> tuple[float, float]:
        """Width and height of the box (m)."""
        width, height = self.data["extent"].values
        return float(width), float(height)


def networks_of(data: xr.Dataset) -> list[Network]:
    """List the networks of an analysis."""
    names = map(str, data["configuration"].values)
    return [Network(name, data.sel(configuration=name)) for name in names]


Picture = tuple[Sequence[str], Callable[[Analyze, xr.Dataset, list[Network]], Figure]]
"""The quantities that a picture of networks needs, and what draws it."""


def draw_pages(
    experiment: Analyze, data: xr.Dataset, pictures: Mapping[str, Picture]
) -> dict[str, Figure]:
    """Draw pictures of the networks that have what each needs, on as many pages as they take."""
    figures, networks = {}, networks_of(data)
    for name, (quantities, draw) in pictures.items():
        shown = [network for network in networks if network.having(*quantities)]
        for first in range(0, len(shown), NETWORKS_ON_A_PAGE):
            page = f"_{first // NETWORKS_ON_A_PAGE + 1}" if len(shown) > NETWORKS_ON_A_PAGE else ""
            own = shown[first : first + NETWORKS_ON_A_PAGE]
            figures[name + page] = draw(experiment, data, own)
    return figures


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
    """Make a panel for every condition (column) of every network (row), with titles on top.

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
        held = network.having(*quantities)
        for column, condition in enumerate(columns):
            if condition in held:
                panels[network.name, condition] = figure.add_subplot(grid[row, column])
            if row == 0:
                heading = panels.get((network.name, condition))
                heading = heading or empty_panel(figure, grid[row, column])
                heading.set_title(CONDITIONS[condition], color=COLOURS[condition])
    rows = range(len(networks)) if bars else []
    return figure, panels, [figure.add_subplot(grid[r, -1], label="<colorbar>") for r in rows]


def empty_panel(figure: Figure, place: object) -> Axes:
    """Make a panel for the title of a column whose first row is empty."""
    axes = figure.add_subplot(place, label="<empty>")  # type: ignore[call-overload]
    axes.set(xticks=[], yticks=[], box_aspect=1)
    axes.spines[:].set_visible(False)
    return axes


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


def network_panels(
    networks: Sequence[Network],
    columns: int,
    size: tuple[float, float],
    room: tuple[float, float],
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """Make a panel for every network, with its name; see `panel_grid`."""
    figure, panels = panel_grid(len(networks), columns, size, room, **options)
    for network, axes in zip(networks, panels.flat, strict=False):
        axes.set_title(pretty(network.name), fontsize=9)
    return figure, panels


def row_panels(
    networks: Sequence[Network], *, size: tuple[float, float], **options: Any
) -> tuple[Figure, Iterator[tuple[Network, Axes]]]:
    """Make a panel for every network, two in a row where there are more than three."""
    columns = len(networks) if len(networks) <= 3 else 2
    figure, panels = network_panels(networks, columns, size, (0.6, 1.0), **options)
    return figure, zip(networks, panels.flat, strict=False)


def simulations(experiment: Analyze, data: xr.Dataset) -> str:
    """Say what was simulated, awake and asleep."""
    steps = " or ".join(map(str, np.unique(data["trial_steps"])))
    trials = experiment.awake_trials
    each = f"{trials} trials of {steps} steps each" if trials > 1 else f"of {steps} steps"
    return (
        f"{experiment.trajectories} trajectories, awake {each}, asleep of {experiment.steps:,}; "
        f"{asleep_noise(experiment, data)}"
    )


def asleep_noise(experiment: Analyze, data: xr.Dataset) -> str:
    """Say what the noise asleep was."""
    noise = NOISE[experiment.noise]
    if not any(str(name).endswith("_gru") for name in data["configuration"].values):
        noise = noise.partition(" (")[0]
    text = f"asleep no input, and noise of {noise}"
    if NOISE_ADDED in data["condition"]:
        text += f" (noise added: {NOISE['absolute']})"
    return text


def pictured(experiment: Analyze, data: xr.Dataset) -> str:
    """Say of which seed a picture is, and what was simulated."""
    return f"{first_seed(data).capitalize()}; {simulations(experiment, data)}."


def finite_most(arrays: Sequence[np.ndarray]) -> float:
    """Give the largest finite value, or 1 if none is above 0."""
    return max((float(a[np.isfinite(a)].max(initial=0)) for a in arrays), default=0.0) or 1.0


def thinned(count: int, most: int) -> np.ndarray:
    """Give evenly spaced indices, at most so many."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
