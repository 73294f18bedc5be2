"""Figures of training: the log of the whole curriculum, and how long each R took."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hybrid_plasticity.curriculum import LOG_EVERY
from hybrid_plasticity.figures.common import (
    FAINT,
    PLAIN,
    log_scale,
    nothing,
    spread,
    wide_range,
)
from hybrid_plasticity.model import short_name
from sharpwave_shared.plotting import caption, name_seeds, style
from sharpwave_shared.runs import StoredRun

POINTS = 150
"""Rows of a log, about, above which its curves are smoothed."""
SHADE = "0.93"


def learning_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw loss, accuracy, errors and parameters through the curriculum, and its pace."""
    logs = read_logs(run)
    with style():
        return {
            "learning": _learning(run, logs),
            "errors": _errors(run, logs),
            "curriculum": _curriculum(run),
            "parameters": _parameters(run, logs),
        }


@dataclass(frozen=True)
class Log:
    """The log of a network.

    Attributes
    ----------
    seed
        Of the network.
    R
        The interval of each row.
    iterations
        Iterations since the start of the curriculum.
    columns
        Values by the name of their column.
    """

    seed: int
    R: np.ndarray
    iterations: np.ndarray
    columns: dict[str, np.ndarray]

    def last_rows(self, mastered: int) -> np.ndarray:
        """Give the rows at which each R was mastered: the last ones of it."""
        ends = [np.flatnonzero(k == self.R) for k in range(1, mastered + 1)]
        return np.array([end[-1] for end in ends if len(end)], dtype=int)


def read_logs(run: StoredRun) -> list[Log]:
    """Read the logs of all networks of a run."""
    arrays, columns = run.arrays(), run.metrics["columns"]
    logs = []
    for network in run.metrics["networks"]:
        rows = arrays[f"{network['seed']}.rows"].reshape(-1, len(columns)).astype(float)
        values = dict(zip(columns, rows.T, strict=True))
        R = values["R"].astype(int)
        before = np.concatenate([[0], np.cumsum(network["mastered"])])
        iterations = before[R - 1] + values["iteration"]
        logs.append(Log(network["seed"], R, iterations, values))
    return logs


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


def _width(logs: list[Log]) -> int:
    """Choose an odd number of rows to smooth over."""
    return 2 * (max(len(log.R) for log in logs) // (2 * POINTS)) + 1


def _shade_intervals(axes: Axes, run: StoredRun, *, label: bool) -> None:
    """Shade every other R of the first network's curriculum, and number them above the axes."""
    networks = run.metrics["networks"]
    end = max(1, *(network["iterations"] for network in networks))
    axes.set_xlim(0, end)
    first = networks[0]
    edges = np.concatenate([[0], np.cumsum(first["mastered"])])
    if first["iterations"] > edges[-1]:
        edges = np.append(edges, first["iterations"])
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


def _plot_logs(axes: Axes, run: StoredRun, logs: list[Log], column: str) -> None:
    """Plot a column: the first network in colour, the others thin and grey."""
    width = _width(logs)
    for n, log in reversed(list(enumerate(logs))):
        curve = smooth(log.columns[column], log.R, width)
        colour = FAINT if n else "C0"
        # A gap where R changes, at which the task becomes harder all at once.
        gaps = np.flatnonzero(np.diff(log.R)) + 1
        axes.plot(
            np.insert(log.iterations, gaps, np.nan),
            np.insert(curve, gaps, np.nan),
            color=colour,
            linewidth=0.7 if n else 1.3,
            marker="." if len(curve) == 1 else "",
        )
        ends = log.last_rows(len(run.metrics["networks"][n]["mastered"]))
        if len(ends):
            axes.plot(
                log.iterations[ends],
                curve[ends],
                "o",
                color=colour,
                markersize=2.5 if n else 4,
                clip_on=False,
                zorder=2 if n else 3,
            )
    if not any(len(log.R) for log in logs):
        nothing(axes, f"fewer than {LOG_EVERY} iterations: nothing was logged")


def _key(figure: Figure, run: StoredRun, logs: list[Log]) -> None:
    mastered = any(network["mastered"] for network in run.metrics["networks"])
    lines = [Line2D([], [], color="C0", label=f"seed {logs[0].seed}")]
    if len(logs) > 1:
        others = name_seeds([log.seed for log in logs[1:]])
        lines.append(Line2D([], [], color=FAINT, linewidth=0.7, label=others))
    if mastered:
        mark = {"marker": "o", "color": "C0", "linestyle": "", "markersize": 4}
        lines.append(Line2D([], [], **mark, label="R mastered"))
    figure.legend(handles=lines, loc="outside upper center", ncols=3)


def _explanation(run: StoredRun, logs: list[Log]) -> str:
    width = _width(logs)
    text = f"{short_name(run.config)}. Rows of the log, means over {LOG_EVERY} iterations"
    if width > 1:
        text += f", smoothed by a running mean over {width * LOG_EVERY} iterations at one R"
    return text + f". Shading and numbers above: R of seed {logs[0].seed}."


def _learning(run: StoredRun, logs: list[Log]) -> Figure:
    figure, (loss, accuracy) = plt.subplots(2, 1, figsize=(6.6, 4.6), sharex=True)
    for axes, column in ((loss, "loss"), (accuracy, "accuracy")):
        _plot_logs(axes, run, logs, column)
        _shade_intervals(axes, run, label=axes is loss)
        axes.set_ylabel(column)
    loss.set_ylabel("loss (nats)")
    log_scale(loss, "y")
    threshold = run.config["acc_threshold"]
    accuracy.axhline(threshold, color="C1", linestyle="--", linewidth=1)
    lowest = [log.columns["accuracy"].min() for log in logs if len(log.R)]
    accuracy.set_ylim(min(0.5, threshold - 0.1, *lowest) - 0.02, 1.02)
    _iterations_axis(accuracy)
    _key(figure, run, logs)
    figure.align_ylabels()
    caption(
        figure,
        f"{_explanation(run, logs)} Dashed: accuracy {threshold:g}, which "
        f"{run.config['acc_num']} iterations in a row must reach.",
    )
    return figure


def _errors(run: StoredRun, logs: list[Log]) -> Figure:
    figure, panels = plt.subplots(2, 1, figsize=(6.6, 4.6), sharex=True, sharey=True)
    named = (
        ("false_positive_rate", "false positive rate\n(new scenes)"),
        ("false_negative_rate", "false negative rate\n(repeated scenes)"),
    )
    for axes, (column, label) in zip(panels, named, strict=True):
        _plot_logs(axes, run, logs, column)
        _shade_intervals(axes, run, label=axes is panels[0])
        axes.set_ylabel(label)
    highest = [log.columns[column].max() for log in logs if len(log.R) for column, _ in named]
    panels[0].set_ylim(-0.02, max(0.1, 1.05 * max(highest, default=1.0)))
    _iterations_axis(panels[1])
    _key(figure, run, logs)
    caption(figure, _explanation(run, logs))
    return figure


def _curriculum(run: StoredRun) -> Figure:
    networks = run.metrics["networks"]
    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    offsets = spread(len(networks), 0.24)
    largest = 1
    several = len(networks) > 1
    for network, offset in zip(networks, offsets, strict=True):
        mastered = network["mastered"]
        R = np.arange(1, len(mastered) + 1)
        axes.plot(
            R + offset,
            mastered,
            color=FAINT if several else "C0",
            marker="o",
            markersize=3.5,
            linewidth=0.7 if several else 1.3,
            label="R mastered" if mastered else "_",
        )
        left = network["iterations"] - sum(mastered)
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
    if not any(network["iterations"] for network in networks):
        nothing(axes, "no iterations")
    axes.set_xlim(0.5, largest + 0.5)
    axes.set_xticks(range(1, largest + 1, -(-largest // 15)))
    axes.set_xlabel("interval R (scenes)")
    if np.isfinite(axes.dataLim.minposy):
        axes.set_ylim(axes.dataLim.minposy / 2.2, 2.2 * axes.dataLim.y1)
        log_scale(axes, "y")
    axes.set_ylabel("iterations at R")
    found = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    order = [k for k in ("R mastered", "median", "not mastered within") if k in found]
    figure.legend([found[k] for k in order], order, loc="outside upper center", ncols=3)
    seeds = name_seeds([network["seed"] for network in networks])
    text = f"{short_name(run.config)}; {seeds}."
    if several:
        text += " Median over all seeds, where more than half mastered R."
    caption(figure, text)
    return figure


def _median_iterations(networks: list[dict[str, Any]]) -> list[float]:
    """Give the medians over all networks, as long as more than half mastered R."""
    found = []
    for R in range(max(len(network["mastered"]) for network in networks)):
        took = [n["mastered"][R] if len(n["mastered"]) > R else np.inf for n in networks]
        found.append(float(median(took)))
    return [value for value in found if np.isfinite(value)]


def _parameters(run: StoredRun, logs: list[Log]) -> Figure:
    figure, panels = plt.subplots(3, 1, figsize=(6.6, 5.8), sharex=True)
    titles = ("norm of weights", "norm of rates", "decay (factor a frame)")
    for axes, symbol, title in zip(panels, ("W", "eta", "lambda"), titles, strict=True):
        shown = [np.empty(0)]
        for column in run.metrics["columns"]:
            name, _, what = column.partition("/")
            if name.startswith(f"{symbol}_") and what != "variance":
                label, colour = _name(name)
                for n, log in enumerate(logs):
                    values = log.columns[column]
                    values = 1 / (1 + np.exp(-values)) if symbol == "lambda" else np.abs(values)
                    axes.plot(
                        log.iterations,
                        values,
                        color=colour,
                        linestyle="--" if name.endswith("out") else "-",
                        linewidth=0.6 if n else 1.5,
                        alpha=0.5 if n else 1,
                        marker="." if len(values) == 1 else "",
                        label="_" if n else label,
                    )
                    shown.append(values)
        _shade_intervals(axes, run, label=axes is panels[0])
        axes.set_ylabel(title)
        if symbol == "lambda":
            known = np.concatenate(shown)
            low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
            axes.set_ylim(max(-0.01, low - 0.05), min(1.01, high + 0.05))
        elif wide_range(np.concatenate(shown)):
            log_scale(axes, "y")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        if not any(len(log.R) for log in logs):
            nothing(axes, f"fewer than {LOG_EVERY} iterations: nothing was logged")
    _iterations_axis(panels[-1])
    figure.align_ylabels()
    thin = f"; thin: {name_seeds([log.seed for log in logs[1:]])}" if len(logs) > 1 else ""
    single = ""
    if any(c.startswith("eta_") and "/" not in c for c in run.metrics["columns"]):
        single = r" Of a layer with a single rate, $|\eta_i|$."
    caption(
        figure,
        f"{short_name(run.config)}, seed {logs[0].seed}{thin}. Frobenius norms.{single} Shading "
        f"and numbers above: R of seed {logs[0].seed}.",
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
