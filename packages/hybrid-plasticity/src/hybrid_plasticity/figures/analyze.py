"""Figures of an analysis: weights, learning rates, responses to repetition, memory."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hybrid_plasticity.experiments.analyze import Analyze
from hybrid_plasticity.figures.common import (
    FAINT,
    group_axis,
    medians,
    nothing,
    plot_groups,
    wide_range,
)
from sharpwave_shared.plotting import caption, decimals, legend, log_scale, name_seeds

BINS = 40
SHOWN = 0.999
"""Share of the values (by size) within the limits of the histograms."""


def draw(experiment: Analyze, data: xr.Dataset) -> dict[str, Figure]:
    """Draw weights and rates, signs of plasticity, responses to repetition, and memory."""
    return {
        "weights_and_rates": _weights_and_rates(data),
        "signs": _signs(data),
        "responses": _responses(data),
        "memory": _memory(data),
    }


def _plastic(data: xr.Dataset) -> xr.Dataset:
    """Choose the plastic layers."""
    return data.isel(layer=data["rule"].values != "-")


def _of_layers(data: xr.Dataset, name: str) -> list[np.ndarray]:
    """Collect a quantity of the plastic layers: for each layer, a value of each network."""
    return list(_plastic(data)[name].transpose("layer", "seed").values)


def _layer_names(data: xr.Dataset, separator: str = " ") -> list[str]:
    plastic = _plastic(data)
    rules = zip(plastic["layer"].values, plastic["rule"].values, strict=True)
    return [f"layer {i}{separator}({rule})" for i, rule in rules]


def _colours(data: xr.Dataset) -> list[str]:
    return [f"C{i % 6}" for i in range(_plastic(data).sizes["layer"])]


def _several(data: xr.Dataset) -> bool:
    return data.sizes["seed"] > 1


def _which(data: xr.Dataset) -> str:
    """Name the networks, and what they have mastered."""
    trained = sorted(set(data["trained_to"].values.tolist()))
    seeds = name_seeds(data["seed"].values.tolist())
    return f"{data.attrs['network']}, {seeds}, trained to R = {', '.join(map(str, trained))}"


def _each(data: xr.Dataset) -> str:
    return " Points are seeds, bars medians." if _several(data) else ""


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Give symmetric limits that hold nearly all values."""
    limit = 1.1 * float(np.quantile(np.abs(values), SHOWN)) or 1.0
    return -limit, limit


def _weights_and_rates(data: xr.Dataset) -> Figure:
    plastic, names = _plastic(data), _layer_names(data)
    correlations = _of_layers(data, "W_eta_correlation")
    columns = 3 if any(np.isfinite(c).any() for c in correlations) else 2
    figure, panels = plt.subplots(
        len(names),
        columns,
        figsize=(0.8 + 2.5 * columns, 0.7 + 2.1 * len(names)),
        squeeze=False,
    )
    for k, (name, correlation) in enumerate(zip(names, correlations, strict=True)):
        W, eta = _matrices(plastic.isel(layer=k))
        i = int(plastic["layer"].values[k])
        weights, rates = panels[k, :2]
        _histogram(weights, W, "C0")
        weights.set_title(name)
        weights.set_xlabel(rf"$W_{{{i}}}$")
        _histogram(rates, eta, "C1")
        rates.set_xlabel(rf"$\eta_{{{i}}}$")
        if columns == 3:
            _relation(figure, panels[k, 2], W, eta, correlation, i)
    several = _several(data)
    caption(
        figure,
        f"{_which(data)}. Histograms: all synapses"
        + (" of all seeds, thin lines: each seed" if several else "")
        + f"; {SHOWN:.1%} of the values lie within the limits."
        + (" r: correlation (median over seeds)." if several else " r: correlation."),
    )
    return figure


def _matrices(layer: xr.Dataset) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Give weights and rates of a layer, of each network, without what they are filled up with."""
    shape = np.isfinite(layer["W"].values[0])
    units, sources = shape.any(1).sum(), shape.any(0).sum()
    W, eta = (
        list(layer[name].transpose("seed", "unit", "source").values[:, :units, :sources])
        for name in ("W", "eta")
    )
    rate = float(layer["rate"])
    if rate == 0:
        return W, [np.array(values[0, 0]) for values in eta]
    return W, eta if rate == 1 else [values[:, :1] for values in eta]


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
    axes.set_ylabel("share of values")
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
    r = float(medians(correlation[:, None])[0])
    axes.set_title(f"r = {decimals(r)}", fontsize=8, pad=3)
    figure.colorbar(cells, ax=axes, label="synapses")


def _signs(data: xr.Dataset) -> Figure:
    figure, (mean, share) = plt.subplots(1, 2, figsize=(2.0 + 2.4 * 2, 3.2))
    names, colours = _layer_names(data, "\n"), _colours(data)
    faint = [FAINT] * len(colours)
    for axes, name in ((mean, "sign_mean"), (share, "sign_negative")):
        before = _of_layers(data, f"{name}_initial")
        plot_groups(axes, before, faint, shift=-0.2, marker="D", facecolor="white")
        plot_groups(axes, _of_layers(data, name), colours, shift=0.2)
        group_axis(axes, names)
        axes.set_xlabel("plastic layer")
    mean.axhline(0, color="0.5", linewidth=0.8)
    mean.margins(y=0.15)
    mean.set_ylabel(
        r"mean of $s_i = \Sigma_j\,E_{ij}\,\langle h_j^2\rangle$"
        "\n"
        r"anti-Hebbian $\leftarrow$ 0 $\rightarrow$ Hebbian"
    )
    share.axhline(0.5, color="0.5", linewidth=0.8)
    share.set_ylim(-0.04, 1.04)
    share.set_ylabel("share of units with $s_i < 0$")
    look = {"linestyle": "", "markersize": 4}
    lines = {
        "before": Line2D([], [], color=FAINT, marker="D", markerfacecolor="white", **look),
        "after training": Line2D([], [], color="0.3", marker="o", **look),
    }
    legend(figure, lines)
    single = (
        f" A single rate began at {data.attrs['initial_rate']:g}."
        if (_plastic(data)["rate"] == 0).any()
        else ""
    )
    caption(
        figure,
        r"Signs of plasticity: what a unit remembers of an input adds $s_i$, times its activity "
        r"then, to its drive when the input comes again ($E$: $\eta$, or $W\eta$ in a "
        f"multiplicative layer). {_which(data)}.{_each(data)}{single}",
    )
    return figure


def _responses(data: xr.Dataset) -> Figure:
    count = data.sizes["layer"]
    figure, panels = plt.subplots(2, count, figsize=(1.0 + 2.7 * count, 5.4), squeeze=False)
    for k in range(count):
        layer = data.isel(layer=k)
        _units(panels[0, k], *(_responses_of_units(layer, scene) for scene in ("new", "repeated")))
        less = float(medians(layer["suppression"].values[:, None])[0])
        title = f"layer {k + 1}\n{less:.0%} of units respond less"
        panels[0, k].set_title(title, fontsize=9)
        _courses(panels[1, k], layer)
    panels[0, 0].set_ylabel("mean activity, repeated scene")
    panels[1, 0].set_ylabel("mean size of activity")
    lines = {
        "new scene": Line2D([], [], color="C0", marker="o", markersize=4),
        "repeated": Line2D([], [], color="C1", marker="s", markersize=4, linestyle="--"),
        "identity": Line2D([], [], color="0.4", linewidth=0.8),
    }
    legend(figure, lines)
    several = _several(data)
    caption(
        figure,
        f"Repeated scenes, and the same scenes when they were new. {_which(data)}; "
        f"{data.attrs['test_streams']} test streams. Above: every unit"
        f"{' of every seed' if several else ''} at the last frame of a scene; the share of units "
        f"whose response is smaller in size{' (median over seeds)' if several else ''}. Below: "
        f"mean over units{'; thin: seeds, thick: their median' if several else ''}.",
    )
    return figure


def _responses_of_units(layer: xr.Dataset, scene: str) -> np.ndarray:
    """Give the mean activity of the units of all networks; NaN if there were no such scenes."""
    found = layer["unit_response"].sel(scene=scene).transpose("seed", "unit").values.astype(float)
    known = found[np.isfinite(found)]
    return known if len(known) else np.full(1, np.nan)


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


def _courses(axes: Axes, layer: xr.Dataset) -> None:
    looks = {"new": ("C0", "o", "-"), "repeated": ("C1", "s", "--")}
    highest, frames = 0.0, layer["frame"].values
    for scene, (colour, marker, line) in looks.items():
        courses = layer["course"].sel(scene=scene).transpose("seed", "frame").values.astype(float)
        highest = max(highest, float(np.nanmax(courses, initial=0.0)))
        for course in courses if len(courses) > 1 else []:
            axes.plot(frames, course, color=colour, linestyle=line, linewidth=0.6, alpha=0.5)
        middle = medians(courses)
        axes.plot(frames, middle, color=colour, linestyle=line, marker=marker, markersize=4)
    axes.set_ylim(0, 1.08 * highest or 1.0)
    axes.set_xlim(0.7, len(frames) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("frame of a scene")


def _memory(data: xr.Dataset) -> Figure:
    figure, (decay, time, size) = plt.subplots(1, 3, figsize=(7.8, 3.2))
    figure.get_layout_engine().set(w_pad=0.08)  # type: ignore[union-attr]
    names, colours = _layer_names(data, "\n"), _colours(data)
    factors = _of_layers(data, "decay")
    # What does not decay has no place on the axis.
    times = [np.where(np.isfinite(t), t, np.nan) for t in _of_layers(data, "decay_time")]
    plot_groups(decay, factors, colours)
    decay.set_ylim(-0.04, 1.04)
    decay.set_ylabel("decay (factor a frame)")
    plot_groups(time, times, colours)
    time.set_ylabel("time constant (frames)")
    longest = np.nanmax(np.concatenate(times), initial=0.0) or 1.0
    time.set_ylim(-0.04 * longest, 1.1 * longest)
    if wide_range(np.concatenate(times)):
        log_scale(time)
    frames = data.attrs["scene_time"]
    scenes = time.secondary_yaxis(
        "right", functions=(lambda y: np.asarray(y) / frames, lambda y: np.asarray(y) * frames)
    )
    scenes.set_ylabel("time constant (scenes)")
    plot_groups(size, _of_layers(data, "E_mean"), colours)
    plot_groups(size, _of_layers(data, "E_size"), colours, marker="D", facecolor="white")
    size.axhline(0, color="0.5", linewidth=0.8)
    size.set_ylabel("effective rate $E$")
    look = {"color": "0.3", "linestyle": "", "markersize": 4}
    lines = {
        "mean of $E$": Line2D([], [], **look, marker="o"),
        "mean of $|E|$": Line2D([], [], **look, marker="D", markerfacecolor="white"),
    }
    figure.legend(lines.values(), lines, loc="outside upper right", ncols=2)
    for axes in (decay, time, size):
        group_axis(axes, names)
        axes.set_xlabel("plastic layer")
    text = r"$E$: $\eta$ (A), or $W\eta$ (M), by which a weight changes."
    if any(bool((values == 0).all()) for values in factors):
        text += " Decay 0: a memory of the last frame only."
    caption(figure, f"Memory. {_which(data)}. {text}{_each(data)}")
    return figure
