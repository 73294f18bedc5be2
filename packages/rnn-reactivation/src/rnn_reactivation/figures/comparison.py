"""Figures of the numbers of an analysis: divergences, variance, distance, dimensionality."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from rnn_reactivation.experiments.analyze import ACTIVE, NAVIGATION, NOISE_ADDED, Analyze
from rnn_reactivation.figures.common import (
    COLOURS,
    CONDITIONS,
    Network,
    asleep_noise,
    network_panels,
    networks_of,
    pretty,
    short,
    simulations,
)
from sharpwave_shared.plotting import caption, legend, name_seeds
from sharpwave_shared.statistics import mean_and_sd

DIMMEST = 1e-3
"""Colours of divergences begin here at the lowest: below it they tell nothing."""
BLOCK = 10
"""Steps that are averaged where steps are drawn in time."""
SMALLEST_STEP = 1e-3
"""Mean steps (m or rad) below are drawn to a linear scale, those above to a logarithmic one."""
COLUMNS = 4
LONG_WORD = 13
"""Longer names do not fit below a column side by side."""
SHARES = ("coverage", "hollowness")
"""Measures from 0 to 1."""


def comparison_figures(experiment: Analyze, data: xr.Dataset) -> dict[str, Figure]:
    """Draw the numbers of every kind that the results hold."""
    figures = {}
    if "kl" in data:
        figures["kl"] = _divergences(experiment, data)
    for name, measures in _measures(experiment).items():
        held = {key: label for key, label in measures.items() if key in data}
        if held:
            figures[name] = _bars(experiment, data, name, held)
    if "distance_course" in data:
        figures["distance_time"] = _steps_in_time(experiment, data)
    if "explained_variance" in data:
        figures["dimensionality"] = _dimensionality(experiment, data)
    return figures


def _measures(experiment: Analyze) -> dict[str, dict[str, str]]:
    """Name the measures that are drawn as bars, by figure."""
    if experiment.task == NAVIGATION:
        return {
            "variance": {"variance": "variance of the position over time (m²)"},
            "distance": {
                "distance": "mean step of the decoded\nposition, at first (m)",
                "distance_late": "mean step, in the end (m)",
            },
        }
    return {
        "variance": {"variance": "circular variance of the bearing over time"},
        "distance": {
            "distance": "mean turn at first\n(rad a step)",
            "distance_late": "mean turn in the end\n(rad a step)",
            "angular_velocity": "mean angular\nvelocity (rad/s)",
            "coverage": "share of the circle\ncovered by bearings",
        },
        "hollowness": {"hollowness": "hollowness of the activity (ring 1, disc 0.3)"},
    }


def _each_seed(data: xr.Dataset, text: str = "bars are means over them, points each") -> str:
    return name_seeds(data["seed"].values.tolist()) + (
        f": {text}" if data.sizes["seed"] > 1 else ""
    )


class _Row(NamedTuple):
    """A density asleep: what it is, of which network if of one, and its divergences."""

    words: str
    network: str | None
    values: np.ndarray


def _rows(data: xr.Dataset) -> list[_Row]:
    """Give the mean divergences of every density asleep from those awake."""
    rows = []
    for network in networks_of(data):
        for condition in network.having("noise_variance"):
            added = ", noise added" if condition == NOISE_ADDED else ""
            values = data["kl"].sel(asleep=network.name, condition=condition)
            rows.append(_Row(pretty(network.name) + added, network.name, _mean(values)))
    return [
        *rows,
        _Row("random network", None, _mean(data["kl_random"])),
        _Row("uniform distribution", None, _mean(data["kl_uniform"])),
    ]


def _mean(values: xr.DataArray) -> np.ndarray:
    """Average over seeds what is known."""
    return mean_and_sd(values.transpose("seed", ...).values.astype(float))[0]


def _divergences(experiment: Analyze, data: xr.Dataset) -> Figure:
    names, rows = list(map(str, data["configuration"].values)), _rows(data)
    values = np.array([row.values for row in rows])
    figure, axes = plt.subplots(figsize=(2.9 + 1.0 * len(names), 1.7 + 0.34 * len(rows)))
    positive = values[np.isfinite(values) & (values > 0)]
    low = max(float(positive.min(initial=1.0)), DIMMEST)
    norm = LogNorm(low, max(float(positive.max(initial=low)), 1.01 * low), clip=True)
    image = axes.imshow(np.ma.masked_invalid(values), norm=norm, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "black"
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(norm(max(value, low)))
            colour = "black" if _luminance(red, green, blue) > 0.18 else "white"
        axes.text(j, i, short(value), ha="center", va="center", color=colour)
        if rows[i].network == names[j]:
            frame = Rectangle((j - 0.47, i - 0.44), 0.94, 0.88, fill=False, linewidth=1.8)
            frame.set_edgecolor(colour)
            axes.add_patch(frame)
    axes.axhline(len(rows) - 2.5, color="white", linewidth=4)  # above the yardsticks
    columns = [pretty(name).replace(", ", ",\n") for name in names]
    axes.set_xticks(range(len(names)), columns)
    if max(len(line) for words in columns for line in words.split("\n")) > LONG_WORD:
        axes.tick_params(axis="x", labelrotation=45)
    axes.set_yticks(range(len(rows)), [row.words for row in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="awake", ylabel="asleep")
    bar = figure.colorbar(image, ax=axes, label="divergence (nats)", pad=0.02, aspect=30)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=12))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    caption(
        figure,
        "Kullback-Leibler divergence of decoded outputs asleep (rows) from awake (columns); "
        f"framed: of a network from itself. {_each_seed(data, 'means over them').capitalize()}; "
        f"{experiment.samples:,} samples; {simulations(experiment, data)}.",
    )
    return figure


def _luminance(*rgb: float) -> float:
    """Give the relative luminance of a colour in sRGB."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _bars(experiment: Analyze, data: xr.Dataset, name: str, measures: Mapping[str, str]) -> Figure:
    """Draw measures side by side: a row for every condition of every network."""
    rows, ticks, height = [], {}, 0.0
    asleep_only = set(measures) == {"variance"}
    for network in networks_of(data):
        held = [ACTIVE] * (not asleep_only) + network.having("noise_variance")
        rows += [(network.name, condition, height + k) for k, condition in enumerate(held)]
        ticks[network.name] = height + (len(held) - 1) / 2
        height += len(held) + 0.7
    wide = 2.6 if len(measures) == 1 else 1.9
    figure, panels = plt.subplots(
        1,
        len(measures),
        figsize=(2.2 + (wide if len(measures) > 1 else 3.4) * len(measures), 1.5 + 0.21 * height),
        squeeze=False,
        sharey=True,
    )
    for axes, (key, label) in zip(panels[0], measures.items(), strict=True):
        for network, condition, y in rows:
            values = data[key].sel(configuration=network, condition=condition).values
            _bar(axes, values.astype(float), y, COLOURS[condition])
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_xlabel(label)
        both = any(p.get_width() < 0 for p in axes.patches if isinstance(p, Rectangle))
        axes.margins(x=0.4 if both else 0.22)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.spines["left"].set_visible(False)
        if not both:
            axes.set_xlim(left=0)
        if key in SHARES:
            axes.set_xticks([0, 0.5, 1])
    panels[0, 0].set_yticks(list(ticks.values()), [pretty(network) for network in ticks])
    panels[0, 0].set_ylim(height - 1.0, -0.8)
    for axes in panels[0]:
        axes.tick_params(axis="y", length=0)
    _legend(figure, data, {condition for _, condition, _ in rows})
    if name == "variance":
        size = (
            f"{experiment.variance_trajectories} trajectories of {experiment.variance_steps:,} "
            f"steps, without the first {experiment.variance_dropped:,}; "
            f"{asleep_noise(experiment, data)}"
        )
    else:
        size = simulations(experiment, data)
    words = f"{_each_seed(data).capitalize()}. {size[0].upper()}{size[1:]}.{_explain(measures)}"
    caption(figure, words)
    return figure


def _explain(measures: Mapping[str, str]) -> str:
    if "hollowness" in measures:
        return (
            " Hollowness: 5th percentile of the distances from the centre of the activity on two "
            "components, over their median."
        )
    if "circular" in measures.get("variance", ""):
        return " 0: always the same bearing, 1: no mean direction."
    text = ""
    if "distance" in measures:
        text += " At first, in the end: the first and the last steps, as many as a trial has."
    if "coverage" in measures:
        text += " A twentieth of the circle counts as covered from a tenth of an even share on."
    return text


def _bar(axes: Axes, values: np.ndarray, y: float, colour: str) -> None:
    """Draw the mean over seeds as a bar with its value, and a point for each seed."""
    mean = float(mean_and_sd(values)[0])
    axes.barh(y, mean if np.isfinite(mean) else 0.0, height=0.85, color=colour, linewidth=0)
    known = values[np.isfinite(values)]
    if len(values) > 1:
        offsets = np.linspace(-0.25, 0.25, len(values))[np.isfinite(values)]
        axes.scatter(
            known, y + offsets, s=9, color="0.1", edgecolors="white", linewidths=0.5, zorder=3
        )
    negative = mean < 0
    end = float(known.min() if negative else known.max()) if len(known) else 0.0
    axes.annotate(
        short(mean),
        (end, y),
        xytext=(-4 if negative else 4, 0),
        textcoords="offset points",
        ha="right" if negative else "left",
        va="center",
        fontsize=8,
    )


def _legend(figure: Figure, data: xr.Dataset, conditions: set[str]) -> None:
    named: dict[str, Patch | Line2D] = {
        label: Patch(color=COLOURS[condition], linewidth=0)
        for condition, label in CONDITIONS.items()
        if condition in conditions
    }
    if data.sizes["seed"] > 1:
        named["seed"] = Line2D([], [], color="0.1", marker="o", markersize=3.5, linestyle="")
    legend(figure, named, len(named))


def _lines(axes: Axes, x: np.ndarray, values: np.ndarray, condition: str, **look: Any) -> Line2D:
    """Draw the mean over seeds (the first dimension) over thin lines of each; give its line."""
    for seed in values if len(values) > 1 else []:
        axes.plot(x, seed, color=COLOURS[condition], linewidth=0.6, alpha=0.5)
    label = CONDITIONS[condition]
    return axes.plot(x, mean_and_sd(values)[0], color=COLOURS[condition], label=label, **look)[0]


def _legend_of_lines(figure: Figure, lines: Mapping[str, Line2D]) -> None:
    named = {label: lines[c] for c, label in CONDITIONS.items() if c in lines}
    legend(figure, named, len(named))


def _shared_panels(networks: Sequence[Network]) -> tuple[Figure, np.ndarray]:
    """Make a panel for every network, all on the same axes."""
    columns = min(COLUMNS, len(networks))
    figure, panels = network_panels(
        networks, columns, (1.75, 1.9), (0.8, 1.2), sharex=True, sharey=True
    )
    figure.set_figwidth(max(4.6, figure.get_figwidth()))
    return figure, panels


def _label_outer(panels: np.ndarray, count: int, x: str, y: str) -> None:
    """Label the lowest of `count` panels in each column, and the first in each row."""
    columns = panels.shape[1]
    for k in range(columns):
        below = panels[(count - 1 - k) // columns, k]
        below.set_xlabel(x)
        below.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel(y)


def _steps_in_time(experiment: Analyze, data: xr.Dataset) -> Figure:
    """Draw the mean step in blocks of steps, by the time that they took place."""
    networks = networks_of(data)
    figure, panels = _shared_panels(networks)
    block = max(1, min(BLOCK, (data.sizes["elapsed"] + 1) // 10))
    lines: dict[str, Line2D] = {}
    for axes, network in zip(panels.flat, networks, strict=False):
        for condition in network.having("distance_course"):
            course = network.data["distance_course"].sel(condition=condition)
            means = course.coarsen(elapsed=block, boundary="trim").mean()
            values = means.transpose("seed", "elapsed").values
            times = means["elapsed"].values * network.dt
            lines[condition] = _lines(axes, times, values, condition)
        axes.axvline(network.trial * network.dt, color="0.5", linewidth=0.8, linestyle=":")
        axes.set_yscale("symlog", linthresh=SMALLEST_STEP, linscale=0.3)
        axes.margins(x=0.02)
    highest = np.nanmax(data["distance_course"].values, initial=SMALLEST_STEP)
    panels[0, 0].set_ylim(0, 1.5 * highest)
    position = experiment.task == NAVIGATION
    what = "mean step of the\nposition (m)" if position else "mean turn of the\nbearing (rad)"
    _label_outer(panels, len(networks), "time (s)", what)
    _legend_of_lines(figure, lines)
    caption(
        figure,
        f"Mean step of decoded outputs in time, in blocks of {block} steps; linear below "
        f"{SMALLEST_STEP:g}; dotted: duration of a trial. "
        f"{_each_seed(data, 'means over them, thin lines each').capitalize()}; "
        f"{simulations(experiment, data)}.",
    )
    return figure


def _dimensionality(experiment: Analyze, data: xr.Dataset) -> Figure:
    networks = networks_of(data)
    figure, panels = _shared_panels(networks)
    lines: dict[str, Line2D] = {}
    for axes, network in zip(panels.flat, networks, strict=False):
        for condition in [ACTIVE, *network.having("noise_variance")]:
            shares = network.data["explained_variance"].sel(condition=condition)
            values = shares.transpose("seed", "component").values
            components = np.arange(1, values.shape[1] + 1)
            look = {"marker": "o", "markersize": 3}
            lines[condition] = _lines(axes, components, values, condition, **look)
        axes.set_ylim(0, 1.03)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    label = "explained variance\n(cumulative share)"
    _label_outer(panels, len(networks), "components", label)
    _legend_of_lines(figure, lines)
    caption(
        figure,
        "Variance of the activity that the first principal components explain, each condition's "
        f"own. {_each_seed(data, 'means over them, thin lines each').capitalize()}. Awake "
        f"{experiment.trajectories} trajectories as in training, asleep "
        f"{experiment.dimension_trajectories:,} of {experiment.dimension_steps} steps; "
        f"{asleep_noise(experiment, data)}.",
    )
    return figure
