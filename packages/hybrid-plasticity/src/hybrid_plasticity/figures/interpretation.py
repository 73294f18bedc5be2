"""Figures of an analysis: weights, learning rates, responses to repetition, memory."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hybrid_plasticity.figures.common import (
    group_axis,
    log_scale,
    medians,
    nothing,
    plot_groups,
    wide_range,
)
from hybrid_plasticity.model import short_name
from sharpwave_shared.plotting import caption, name_seeds, numbers, style
from sharpwave_shared.runs import StoredRun

BINS = 40
SHOWN = 0.999
"""Share of the values (by size) within the limits of the histograms."""


def interpretation_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw weights and rates, signs of plasticity, responses to repetition, and memory."""
    arrays = run.arrays()
    with style():
        return {
            "weights_and_rates": _weights_and_rates(run, arrays),
            "signs": _signs(run),
            "responses": _responses(run, arrays),
            "memory": _memory(run),
        }


def _of_layers(run: StoredRun, name: str) -> list[np.ndarray]:
    """Collect a quantity of the plastic layers: for each layer, a value of each network."""
    networks = run.metrics["networks"]
    count = len(networks[0]["layers"])
    return [numbers([n["layers"][i][name] for n in networks]) for i in range(count)]


def _layer_names(run: StoredRun, separator: str = " ") -> list[str]:
    layers = run.metrics["networks"][0]["layers"]
    return [f"layer {i}{separator}({layer['rule']})" for i, layer in enumerate(layers, 1)]


def _colours(run: StoredRun) -> list[str]:
    return [f"C{i % 6}" for i in range(len(run.metrics["networks"][0]["layers"]))]


def _which(run: StoredRun) -> str:
    """Name the networks, and what they have mastered."""
    networks = run.metrics["networks"]
    trained = sorted({network["trained_to"] for network in networks})
    seeds = name_seeds([network["seed"] for network in networks])
    return f"{short_name(run.config)}, {seeds}, trained to R = {', '.join(map(str, trained))}"


def _each(run: StoredRun) -> str:
    several = len(run.metrics["networks"]) > 1
    return " Points are seeds, bars medians." if several else ""


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Give symmetric limits that hold nearly all values."""
    limit = 1.1 * float(np.quantile(np.abs(values), SHOWN)) or 1.0
    return -limit, limit


def _weights_and_rates(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    networks, names = run.metrics["networks"], _layer_names(run)
    correlations = _of_layers(run, "W_eta_correlation")
    related = [bool(np.isfinite(c).any()) for c in correlations]
    rows = 3 if any(related) else 2
    figure, panels = plt.subplots(
        rows,
        len(names),
        figsize=(1.0 + 2.7 * len(names), 0.7 + 1.8 * rows),
        squeeze=False,
    )
    for k, name in enumerate(names):
        W = [arrays[f"{n['seed']}.W_{k + 1}"] for n in networks]
        eta = [arrays[f"{n['seed']}.eta_{k + 1}"] for n in networks]
        weights, rates = panels[:2, k]
        _histogram(weights, W, "C0")
        weights.set_title(name)
        weights.set_xlabel(rf"$W_{{{k + 1}}}$")
        _histogram(rates, eta, "C1")
        rates.set_xlabel(rf"$\eta_{{{k + 1}}}$")
        for axes in (weights, rates):
            axes.set_ylabel("share of values" if axes.get_ylabel() == "" else axes.get_ylabel())
        if rows == 3:
            _relation(figure, panels[2, k], W, eta, correlations[k], k + 1)
    caption(
        figure,
        f"{_which(run)}. Histograms: all synapses"
        + (" of all seeds, thin lines: each seed" if len(networks) > 1 else "")
        + f"; {SHOWN:.1%} of the values lie within the limits."
        + (" r: correlation (median over seeds)." if len(networks) > 1 else " r: correlation."),
    )
    return figure


def _histogram(axes: Axes, values: list[np.ndarray], colour: str) -> None:
    """Draw the distribution over all seeds, and of each seed; single values as lines."""
    axes.axvline(0, color="0.6", linewidth=0.8, linestyle=":")
    pooled = np.concatenate([v.ravel() for v in values])
    low, high = _limits(pooled)
    axes.set_xlim(low, high)
    if all(v.ndim == 0 for v in values):
        for value in pooled:
            axes.axvline(float(value), color=colour, linewidth=2)
        axes.set_yticks([])
        axes.set_ylabel("a single rate")
        return
    edges = np.linspace(low, high, min(BINS, max(8, len(pooled) // 10)) + 1).tolist()
    clipped = np.clip(pooled, low, high)
    share = np.full(len(pooled), 1 / len(pooled))
    axes.hist(clipped, edges, weights=share, color=colour, alpha=0.5, linewidth=0)
    for own in values if len(values) > 1 else []:
        flat = np.clip(own.ravel(), low, high)
        share = np.full(len(flat), 1 / len(flat))
        axes.hist(flat, edges, weights=share, histtype="step", color=colour, linewidth=0.7)


def _relation(
    figure: Figure,
    axes: Axes,
    W: list[np.ndarray],
    eta: list[np.ndarray],
    correlation: np.ndarray,
    i: int,
) -> None:
    """Show rates against weights, with their correlation."""
    if not np.isfinite(correlation).any():
        axes.set_axis_off()
        nothing(axes, "a single rate:\nno correlation with weights")
        return
    x = np.concatenate([w.ravel() for w in W])
    pairs = zip(eta, W, strict=True)
    y = np.concatenate([np.broadcast_to(rate, w.shape).ravel() for rate, w in pairs])
    extent = (*_limits(x), *_limits(y))
    cells = axes.hexbin(x, y, gridsize=28, extent=extent, mincnt=1, norm=LogNorm(), linewidths=0.1)
    axes.axhline(0, color="0.6", linewidth=0.8, linestyle=":")
    axes.axvline(0, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_xlabel(rf"$W_{{{i}}}$")
    axes.set_ylabel(rf"$\eta_{{{i}}}$")
    r = f"{float(medians(correlation[:, None])[0]):.2f}".replace("-", "\N{MINUS SIGN}")
    axes.set_title(f"r = {r}", fontsize=8, pad=3)
    figure.colorbar(cells, ax=axes, label="synapses")


def _signs(run: StoredRun) -> Figure:
    figure, (mean, share) = plt.subplots(1, 2, figsize=(1.6 + 2.4 * 2, 3.2))
    names, colours = _layer_names(run, "\n"), _colours(run)
    weighted = _of_layers(run, "eta_weighted")
    plot_groups(mean, weighted, colours)
    mean.axhline(0, color="0.5", linewidth=0.8)
    limit = 1.25 * np.nanmax(np.abs(np.concatenate(weighted)), initial=0.0) or 1.0
    mean.set_ylim(-limit, limit)
    for height, text in ((0.98, "Hebbian"), (0.02, "anti-Hebbian")):
        mean.text(
            0.99,
            height,
            text,
            transform=mean.transAxes,
            ha="right",
            va="top" if height > 0.5 else "bottom",
            fontsize=8,
            color="0.4",
        )
    mean.set_ylabel(r"mean of $\eta$, weighted by $|W|$")
    plot_groups(share, _of_layers(run, "eta_negative"), colours)
    share.axhline(0.5, color="0.5", linewidth=0.8)
    share.set_ylim(-0.04, 1.04)
    share.set_ylabel("share of negative rates")
    for axes in (mean, share):
        group_axis(axes, names)
        axes.set_xlabel("plastic layer")
    caption(figure, f"Signs of plasticity. {_which(run)}.{_each(run)}")
    return figure


def _responses(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    networks = run.metrics["networks"]
    count = len(networks[0]["responses"])
    figure, panels = plt.subplots(2, count, figsize=(1.0 + 2.7 * count, 5.4), squeeze=False)
    for k in range(count):
        new, again = (
            [arrays[f"{n['seed']}.{name}_{k + 1}"].astype(float) for n in networks]
            for name in ("new", "repeated")
        )
        _units(panels[0, k], np.concatenate(new), np.concatenate(again))
        less = numbers([[n["responses"][k]["suppression"]] for n in networks])
        title = f"layer {k + 1}\n{float(medians(less)[0]):.0%} of units respond less"
        panels[0, k].set_title(title, fontsize=9)
        _courses(panels[1, k], arrays, networks, k + 1)
    panels[0, 0].set_ylabel("mean activity, repeated scene")
    panels[1, 0].set_ylabel("mean size of activity")
    lines = [
        Line2D([], [], color="C0", marker="o", markersize=4, label="new scene"),
        Line2D([], [], color="C1", marker="s", markersize=4, linestyle="--", label="repeated"),
        Line2D([], [], color="0.4", linewidth=0.8, label="identity"),
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=3)
    several = len(networks) > 1
    caption(
        figure,
        f"Repeated scenes, and the same scenes when they were new. {_which(run)}; "
        f"{run.metrics['streams']} test streams. Above: every unit"
        f"{' of every seed' if several else ''} at the last frame of a scene; the share of units "
        f"whose response is smaller in size{' (median over seeds)' if several else ''}. Below: "
        f"mean over units{'; thin: seeds, thick: their median' if several else ''}.",
    )
    return figure


def _units(axes: Axes, new: np.ndarray, again: np.ndarray) -> None:
    axes.set(xlabel="mean activity, new scene", box_aspect=1)
    both = np.concatenate([new, again])
    if not np.isfinite(both).all():
        nothing(axes, "no repeated scenes")
        return
    margin = 0.06 * float(np.ptp(both)) or 0.1
    limits = float(both.min()) - margin, float(both.max()) + margin
    axes.axline((limits[0], limits[0]), slope=1, color="0.4", linewidth=0.8)
    many = len(new) > 200
    axes.scatter(new, again, s=5 if many else 10, color="C2", alpha=0.5, linewidths=0)
    axes.set(xlim=limits, ylim=limits)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _courses(
    axes: Axes, arrays: dict[str, np.ndarray], networks: list[dict[str, Any]], i: int
) -> None:
    looks = {"new": ("C0", "o", "-"), "repeated": ("C1", "s", "--")}
    highest, frames = 0.0, np.empty(0)
    for name, (colour, marker, line) in looks.items():
        courses = numbers([arrays[f"{n['seed']}.course_{name}_{i}"] for n in networks])
        frames = np.arange(1, courses.shape[1] + 1)
        highest = max(highest, float(np.nanmax(courses, initial=0.0)))
        for course in courses if len(networks) > 1 else []:
            axes.plot(frames, course, color=colour, linestyle=line, linewidth=0.6, alpha=0.5)
        middle = medians(courses)
        axes.plot(frames, middle, color=colour, linestyle=line, marker=marker, markersize=4)
    axes.set_ylim(0, 1.08 * highest or 1.0)
    axes.set_xlim(0.7, len(frames) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("frame of a scene")


def _memory(run: StoredRun) -> Figure:
    figure, (decay, time, size) = plt.subplots(1, 3, figsize=(7.8, 3.2))
    figure.get_layout_engine().set(w_pad=0.08)  # type: ignore[union-attr]
    names, colours = _layer_names(run, "\n"), _colours(run)
    factors, times = _of_layers(run, "decay"), _of_layers(run, "decay_time")
    plot_groups(decay, factors, colours)
    decay.set_ylim(-0.04, 1.04)
    decay.set_ylabel("decay (factor a frame)")
    plot_groups(time, times, colours)
    time.set_ylabel("time constant (frames)")
    time.set_ylim(0, 1.1 * np.nanmax(np.concatenate(times), initial=0.0) or 1.0)
    if wide_range(np.concatenate(times)):
        log_scale(time, "y")
    frames = run.config["scene_time"]
    scenes = time.secondary_yaxis(
        "right", functions=(lambda y: np.asarray(y) / frames, lambda y: np.asarray(y) * frames)
    )
    scenes.set_ylabel("time constant (scenes)")
    plot_groups(size, _of_layers(run, "E_mean"), colours)
    plot_groups(size, _of_layers(run, "E_size"), colours, marker="D", facecolor="white")
    size.axhline(0, color="0.5", linewidth=0.8)
    size.set_ylabel("effective rate $E$")
    look = {"color": "0.3", "linestyle": "", "markersize": 4}
    lines = [
        Line2D([], [], **look, marker="o", label="mean of $E$"),
        Line2D([], [], **look, marker="D", markerfacecolor="white", label="mean of $|E|$"),
    ]
    figure.legend(handles=lines, loc="outside upper right", ncols=2)
    for axes in (decay, time, size):
        group_axis(axes, names)
        axes.set_xlabel("plastic layer")
    text = r"$E$: $\eta$ (A), or $W\eta$ (M), by which a weight changes."
    if any(bool((values == 0).all()) for values in factors):
        text += " Decay 0: a memory of the last frame only."
    caption(figure, f"Memory. {_which(run)}. {text}{_each(run)}")
    return figure
