"""Figures of training: the log of the whole curriculum, and how long each R took."""

from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hybrid_plasticity.curriculum import LOG_EVERY
from hybrid_plasticity.experiments.train import Train
from hybrid_plasticity.figures.common import FAINT, nothing, spread, wide_range
from sharpwave_shared.plotting import PLAIN, caption, legend, log_scale, name_seeds, named_in

POINTS = 150
"""Rows of a log, about, above which its curves are smoothed."""
SHADE = "0.93"


def draw(experiment: Train, data: xr.Dataset) -> dict[str, Figure]:
    """Draw loss, accuracy, errors and parameters through the curriculum, and its pace."""
    networks = read_networks(data)
    return {
        "learning": _learning(experiment, networks),
        "errors": _errors(experiment, networks),
        "curriculum": _curriculum(experiment, networks),
        "parameters": _parameters(experiment, networks),
    }


@dataclass(frozen=True)
class Learned:
    """What one network learned.

    Attributes
    ----------
    seed
        Of the network.
    mastered
        Iterations that each R took.
    iterations
        Iterations in all.
    log
        The rows of its log.
    when
        Iterations since the start of the curriculum, of each row.
    """

    seed: int
    mastered: np.ndarray
    iterations: int
    log: xr.Dataset
    when: np.ndarray

    @property
    def intervals(self) -> np.ndarray:
        """The interval of each row."""
        return self.log["R"].values.astype(int)

    def last_rows(self) -> np.ndarray:
        """Give the rows at which each R was mastered: the last ones of it."""
        ends = [np.flatnonzero(k == self.intervals) for k in range(1, len(self.mastered) + 1)]
        return np.array([end[-1] for end in ends if len(end)], dtype=int)


def read_networks(data: xr.Dataset) -> list[Learned]:
    """Take the networks of a dataset apart, without what it is filled up with."""
    networks = []
    for seed in data["seed"].values:
        own = data.sel(seed=seed)
        mastered = own["mastered"].values
        mastered = mastered[np.isfinite(mastered)].astype(int)
        logged = own[[name for name, variable in own.items() if "row" in variable.dims]]
        log = logged.isel(row=np.isfinite(own["R"].values)).astype(float)
        before = np.concatenate([[0], np.cumsum(mastered)])
        when = before[log["R"].values.astype(int) - 1] + log["iteration"].values
        networks.append(Learned(int(seed), mastered, int(own["iterations"]), log, when))
    return networks


def smooth(values: np.ndarray, R: np.ndarray, width: int) -> np.ndarray:
    """Give the running mean over `width` rows, of the same R only."""
    if width == 1:
        return values
    found = np.empty_like(values)
    for interval in np.unique(R):
        own = values[interval == R]
        kernel = np.ones(min(width, 2 * len(own) - 1))
        padding = len(kernel) // 2
        total = np.convolve(own, kernel)[padding : padding + len(own)]
        count = np.convolve(np.ones(len(own)), kernel)[padding : padding + len(own)]
        found[interval == R] = total / count
    return found


def _width(networks: list[Learned]) -> int:
    """Choose an odd number of rows to smooth over."""
    return 2 * (max(len(network.intervals) for network in networks) // (2 * POINTS)) + 1


def _shade_intervals(axes: Axes, networks: list[Learned], *, label: bool) -> None:
    """Shade every other R of the first network's curriculum, and number them above the axes."""
    end = max(1, *(network.iterations for network in networks))
    axes.set_xlim(0, end)
    first = networks[0]
    edges = np.concatenate([[0], np.cumsum(first.mastered)])
    if first.iterations > edges[-1]:
        edges = np.append(edges, first.iterations)
    labelled = -1.0
    for R, (start, stop) in enumerate(pairwise(edges), 1):
        if R % 2 == 0:
            axes.axvspan(start, stop, color=SHADE, linewidth=0, zorder=-1)
        centre = (start + stop) / 2 / end
        text = f"R = {R}" if R == 1 and (stop - start) / end > 0.06 else str(R)
        room = 0.03 if "=" in text else 0.012
        if label and centre - room >= labelled:
            axes.text(
                centre,
                1.01,
                text,
                transform=axes.transAxes,
                ha="center",
                va="bottom",
                fontsize=7,
                color="0.3",
            )
            labelled = centre + room


def _iterations_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("iterations since the start of the curriculum")


def _plot_logs(axes: Axes, networks: list[Learned], name: str) -> None:
    """Plot a quantity: the first network in colour, the others thin and grey."""
    width = _width(networks)
    for n, network in reversed(list(enumerate(networks))):
        curve = smooth(network.log[name].values, network.intervals, width)
        colour = FAINT if n else "C0"
        # A gap where R changes, at which the task becomes harder all at once.
        gaps = np.flatnonzero(np.diff(network.intervals)) + 1
        axes.plot(
            np.insert(network.when, gaps, np.nan),
            np.insert(curve, gaps, np.nan),
            color=colour,
            linewidth=0.7 if n else 1.3,
            marker="." if len(curve) == 1 else "",
        )
        ends = network.last_rows()
        if len(ends):
            axes.plot(
                network.when[ends],
                curve[ends],
                "o",
                color=colour,
                markersize=2.5 if n else 4,
                clip_on=False,
                zorder=2 if n else 3,
            )
    if not any(len(network.intervals) for network in networks):
        nothing(axes, f"fewer than {LOG_EVERY} iterations: nothing was logged")


def _key(figure: Figure, networks: list[Learned]) -> None:
    mastered = any(len(network.mastered) for network in networks)
    lines = {f"seed {networks[0].seed}": Line2D([], [], color="C0")}
    if len(networks) > 1:
        others = name_seeds([network.seed for network in networks[1:]])
        lines[others] = Line2D([], [], color=FAINT, linewidth=0.7)
    if mastered:
        lines["R mastered"] = Line2D([], [], marker="o", color="C0", linestyle="", markersize=4)
    legend(figure, lines)


def _explanation(experiment: Train, networks: list[Learned]) -> str:
    width = _width(networks)
    text = f"{experiment.short_name}. Rows of the log, means over {LOG_EVERY} iterations"
    if width > 1:
        text += f", smoothed by a running mean over {width * LOG_EVERY} iterations at one R"
    return text + f". Shading and numbers above: R of seed {networks[0].seed}."


def _learning(experiment: Train, networks: list[Learned]) -> Figure:
    figure, (loss, accuracy) = plt.subplots(2, 1, figsize=(6.6, 4.6), sharex=True)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        _plot_logs(axes, networks, name)
        _shade_intervals(axes, networks, label=axes is loss)
        axes.set_ylabel(name)
    loss.set_ylabel("loss (nats)")
    log_scale(loss)
    threshold = experiment.acc_threshold
    accuracy.axhline(threshold, color="C1", linestyle="--", linewidth=1)
    lowest = [float(n.log["accuracy"].min()) for n in networks if len(n.intervals)]
    accuracy.set_ylim(min(0.5, threshold - 0.1, *lowest) - 0.02, 1.02)
    _iterations_axis(accuracy)
    _key(figure, networks)
    figure.align_ylabels()
    caption(
        figure,
        f"{_explanation(experiment, networks)} Dashed: accuracy {threshold:g}, which "
        f"{experiment.acc_num} iterations in a row must reach.",
    )
    return figure


def _errors(experiment: Train, networks: list[Learned]) -> Figure:
    figure, panels = plt.subplots(2, 1, figsize=(6.6, 4.6), sharex=True, sharey=True)
    named = (
        ("false_positive_rate", "false positive rate\n(new scenes)"),
        ("false_negative_rate", "false negative rate\n(repeated scenes)"),
    )
    for axes, (name, label) in zip(panels, named, strict=True):
        _plot_logs(axes, networks, name)
        _shade_intervals(axes, networks, label=axes is panels[0])
        axes.set_ylabel(label)
    highest = [float(n.log[name].max()) for n in networks if len(n.intervals) for name, _ in named]
    panels[0].set_ylim(-0.02, max(0.1, 1.05 * max(highest, default=1.0)))
    _iterations_axis(panels[1])
    _key(figure, networks)
    caption(figure, _explanation(experiment, networks))
    return figure


def _curriculum(experiment: Train, networks: list[Learned]) -> Figure:
    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    offsets = spread(len(networks), 0.24)
    largest = 1
    several = len(networks) > 1
    for network, offset in zip(networks, offsets, strict=True):
        mastered = network.mastered
        R = np.arange(1, len(mastered) + 1)
        axes.plot(
            R + offset,
            mastered,
            color=FAINT if several else "C0",
            marker="o",
            markersize=3.5,
            linewidth=0.7 if several else 1.3,
            label="R mastered" if len(mastered) else "_",
        )
        left = network.iterations - sum(mastered)
        if left > 0:
            axes.plot(
                len(mastered) + 1 + offset,
                left,
                marker="^",
                color="C1",
                markerfacecolor="white",
                markersize=6,
                linestyle="",
                label="not mastered within",
            )
        largest = max(largest, len(mastered) + (left > 0))
    middle = _median_iterations(networks)
    if several and middle:
        axes.plot(
            range(1, len(middle) + 1), middle, color="C0", marker="s", markersize=5, label="median"
        )
    if not any(network.iterations for network in networks):
        nothing(axes, "no iterations")
    axes.set_xlim(0.5, largest + 0.5)
    axes.set_xticks(range(1, largest + 1, -(-largest // 15)))
    axes.set_xlabel("interval R (scenes)")
    if np.isfinite(axes.dataLim.minposy):
        axes.set_ylim(axes.dataLim.minposy / 2.2, 2.2 * axes.dataLim.y1)
        log_scale(axes)
    axes.set_ylabel("iterations at R")
    found = named_in(axes)
    order = ("R mastered", "median", "not mastered within")
    legend(figure, {name: found[name] for name in order if name in found})
    seeds = name_seeds([network.seed for network in networks])
    text = f"{experiment.short_name}; {seeds}."
    if several:
        text += " Median over all seeds, where more than half mastered R."
    caption(figure, text)
    return figure


def _median_iterations(networks: list[Learned]) -> list[float]:
    """Give the medians over all networks, as long as more than half mastered R."""
    found = []
    for R in range(max(len(network.mastered) for network in networks)):
        took = [n.mastered[R] if len(n.mastered) > R else np.inf for n in networks]
        found.append(float(np.median(took)))
    return [value for value in found if np.isfinite(value)]


def _parameters(experiment: Train, networks: list[Learned]) -> Figure:
    figure, panels = plt.subplots(3, 1, figsize=(6.6, 5.8), sharex=True)
    titles = ("norm of weights", "norm of rates", "decay (factor a frame)")
    shapes = experiment.shapes
    for axes, symbol, title in zip(panels, ("W", "eta", "lambda"), titles, strict=True):
        shown = [np.empty(0)]
        for name in (name for name in shapes if name.startswith(f"{symbol}_")):
            label, colour = _name(name)
            for n, network in enumerate(networks):
                size = "value" if shapes[name] == () else "norm"
                values = network.log[size].sel(parameter=name).values
                axes.plot(
                    network.when,
                    1 / (1 + np.exp(-values)) if symbol == "lambda" else np.abs(values),
                    color=colour,
                    linestyle="--" if name.endswith("out") else "-",
                    linewidth=0.6 if n else 1.5,
                    alpha=0.5 if n else 1,
                    marker="." if len(values) == 1 else "",
                    label="_" if n else label,
                )
                shown.append(np.asarray(axes.lines[-1].get_ydata(), float))
        _shade_intervals(axes, networks, label=axes is panels[0])
        axes.set_ylabel(title)
        if symbol == "lambda":
            known = np.concatenate(shown)
            low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
            axes.set_ylim(max(-0.01, low - 0.05), min(1.01, high + 0.05))
        elif wide_range(np.concatenate(shown)):
            log_scale(axes)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        if not any(len(network.intervals) for network in networks):
            nothing(axes, f"fewer than {LOG_EVERY} iterations: nothing was logged")
    _iterations_axis(panels[-1])
    figure.align_ylabels()
    others = [network.seed for network in networks[1:]]
    thin = f"; thin: {name_seeds(others)}" if others else ""
    single = r" Of a layer with a single rate, $|\eta_i|$." if 0 in experiment.hetero_rates else ""
    caption(
        figure,
        f"{experiment.short_name}, seed {networks[0].seed}{thin}. Frobenius norms.{single} "
        f"Shading and numbers above: R of seed {networks[0].seed}.",
    )
    return figure


def _name(parameter: str) -> tuple[str, str]:
    """Give label and colour of a parameter."""
    symbol, _, layer = parameter.partition("_")
    if layer == "out":
        return r"$W_\mathrm{out}$", "black"
    colour = f"C{(int(layer) - 1) % 6}"
    return {
        "W": rf"$W_{{{layer}}}$",
        "eta": rf"$\eta_{{{layer}}}$",
        "lambda": rf"$\sigma(\lambda_{{{layer}}})$",
    }[symbol], colour
