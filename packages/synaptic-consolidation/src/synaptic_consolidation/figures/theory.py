"""Figures of the theory, and of exact solutions beside it.

`draw_margin_theory` and `draw_density_theory` draw curves into any axes, for points of simulations
to lie on.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.stats import norm as normal

from sharpwave_shared.plotting import caption, name_seeds, numbers, style
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.exact import Norm
from synaptic_consolidation.optima import NORMS, WEIGHT_EDGES, theory_curves

COLOURS: Mapping[Norm, str] = {2: "C0", 1: "C1"}
LINES: Mapping[Norm, str] = {2: "-", 1: "--"}
NAMES: Mapping[Norm, str] = {2: "$z$ = 1 ($\\ell_2$ margin)", 1: "$z$ = 2 ($\\ell_1$ margin)"}
MARGINS: Mapping[Norm, str] = {
    2: "margin $\\kappa$ = min $yh$ / $|w|_2$",
    1: "margin $\\rho$ = min $yh$ / $\\overline{w}\\,[Nf(1-f)]^{1/2}$",
}
LOAD = "load $\\alpha$ = $M/N$ (patterns per neuron)"
NO_SOLUTION = "0.85"
LIMIT = "many independent neurons"
MARKERS = "os^Dv"
LOWEST_SHOWN = 0.04
"""Margins grow without limit as the load falls; they are shown from this share of the critical
load on."""
WEIGHT_PANELS = 3
"""Loads of which weights are shown."""

Curves = Mapping[str, np.ndarray]
Condition = dict[str, Any]


# --- curves for any axes --------------------------------------------------------------------------


def draw_margin_theory(axes: Axes, f: float, norm: Norm, curves: Curves | None = None) -> None:
    """Draw the largest margin against the load.

    Parameters
    ----------
    axes
        Where to; labelled here.
    f
        Activity of the patterns.
    norm
        2: the margin k that one factor per synapse maximises; 1: the margin rho of two factors.
    curves
        Those of `optima.theory_curves` as a run has stored them; otherwise they are computed.
    """
    curves = theory_curves(f) if curves is None else curves
    _plot_curve(axes, curves, norm, "margin")
    axes.set_xlabel(LOAD)
    axes.set_ylabel(MARGINS[norm])


def draw_density_theory(axes: Axes, f: float, curves: Curves | None = None) -> None:
    """Draw the densities of the solutions with the largest margins, and where there is no solution.

    Parameters
    ----------
    axes
        Where to; labelled here. It shows loads from 0 to a little above the critical one.
    f
        Activity of the patterns.
    curves
        Those of `optima.theory_curves` as a run has stored them; otherwise they are computed.
    """
    curves = theory_curves(f) if curves is None else curves
    load, critical = curves["load"], curves["load"][-1]
    right = 1.06 * critical
    axes.fill_between(
        [0, *load, critical, right],
        [0, *curves["sparsest_density"], 1, 1],
        color=NO_SOLUTION,
        linewidth=0,
        label="no solution",
    )
    for norm in NORMS:
        _plot_curve(axes, curves, norm, "density")
    axes.set(xlim=(0, right), ylim=(0, 0.62))
    axes.set_xlabel(LOAD)
    axes.set_ylabel("density (share of weights above 0)")


def _plot_curve(axes: Axes, curves: Curves, norm: Norm, quantity: str) -> None:
    axes.plot(
        curves["load"],
        curves[f"l{norm}_{quantity}"],
        color=COLOURS[norm],
        linestyle=LINES[norm],
        label=f"theory, {NAMES[norm]}",
    )


# --- figures of `theory` --------------------------------------------------------------------------


def theory_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw margins and densities against load, and the critical load against activity."""
    arrays, f = run.arrays(), run.metrics["f"]
    with style():
        return {
            "margin": _margin(arrays, f),
            "density": _density(arrays, f),
            "critical-load": _critical_load(arrays, f, run.metrics["critical_load"]),
        }


def _margin(arrays: Curves, f: float) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.1))
    critical = arrays["load"][-1]
    for axes, norm in zip(panels, NORMS, strict=True):
        draw_margin_theory(axes, f, norm, arrays)
        lowest = np.searchsorted(arrays["load"], LOWEST_SHOWN * critical)
        axes.set_ylim(0, arrays[f"l{norm}_margin"][lowest])
        axes.set_xlim(0, 1.03 * critical)
        axes.axvline(critical, color="0.6", linewidth=1, linestyle=":")
        axes.set_title(NAMES[norm])
    caption(
        figure,
        f"The largest margins that weights $w$ ≥ 0 can have for random patterns of activity "
        f"$f$ = {f:g}, in the limit of many neurons. Dotted: critical load {critical:.3g}.",
    )
    return figure


def _density(arrays: Curves, f: float) -> Figure:
    figure, axes = plt.subplots(figsize=(4.8, 3.4))
    draw_density_theory(axes, f, arrays)
    axes.set_title("Density of the optimal weights")
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.8))
    caption(
        figure,
        f"Random patterns of activity $f$ = {f:g}, in the limit of many neurons. Grey: no "
        "weights $w$ ≥ 0 of this density answer all patterns.",
    )
    return figure


def _critical_load(arrays: Curves, f: float, critical: float) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    axes.plot(arrays["activities"], arrays["critical_loads"], color="C0")
    axes.plot(min(f, 1 - f), critical, "o", color="C1", label=f"$f$ = {f:g}: {critical:.3g}")
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if axis is axes.yaxis else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("activity $f$ (or $1 - f$)")
    axes.set_ylabel("critical load (patterns per neuron)")
    axes.set_title("More patterns can be stored if they are sparse")
    axes.legend()
    caption(figure, "The load above which no weights $w$ ≥ 0 answer all patterns (many neurons).")
    return figure


# --- figures of `exact` ---------------------------------------------------------------------------


def exact_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw margins, densities and weights of exact solutions beside the theory.

    With several numbers of neurons, the deviation from the theory is drawn as well. Weights are
    drawn if there are any solutions.
    """
    arrays = run.arrays()
    curves = {
        name.removeprefix("theory."): values
        for name, values in arrays.items()
        if name.startswith("theory.")
    }
    with style():
        figures = {
            "margin": _exact_margin(run, curves),
            "density": _exact_density(run, curves),
        }
        if solved := _solved_loads(run):
            figures["weights"] = _weights(run, arrays["weights"], solved)
        if len(run.config["n"]) > 1:
            figures["finite-size"] = _finite_size(run)
    return figures


def _conditions(run: StoredRun, norm: Norm, n: int) -> list[Condition]:
    """Give the conditions of a norm and number of neurons, by load."""
    chosen = [c for c in run.metrics["conditions"] if (c["norm"], c["n"]) == (norm, n)]
    return sorted(chosen, key=lambda c: c["load"])


def _of(conditions: list[Condition], quantity: str, part: str) -> np.ndarray:
    return numbers([c[quantity][part] for c in conditions])


def _sizes(run: StoredRun) -> list[tuple[int, str, float]]:
    """Give all N with a marker, and how far points are shifted so that they lie side by side."""
    sizes = sorted(run.config["n"])
    step = 0.008 * max(run.config["loads"])
    return [
        (n, MARKERS[i % len(MARKERS)], (i - (len(sizes) - 1) / 2) * step)
        for i, n in enumerate(sizes)
    ]


def _plot_points(axes: Axes, run: StoredRun, norm: Norm, quantity: str) -> float:
    """Plot mean and standard deviation over rows for every N; give the highest value shown."""
    highest = 0.0
    for n, marker, shift in _sizes(run):
        conditions = _conditions(run, norm, n)
        mean = _of(conditions, quantity, "mean")
        sd = np.nan_to_num(_of(conditions, quantity, "sd"))
        axes.errorbar(
            numbers([c["load"] for c in conditions]) + shift,
            mean,
            sd,
            fmt=marker,
            color=COLOURS[norm],
            markerfacecolor="white",
            markersize=4.5,
            linewidth=0.9,
            label=f"$N$ = {n}",
        )
        highest = max(highest, float(np.nanmax(mean + sd, initial=0.0)))
    return highest


def _about_rows(run: StoredRun) -> str:
    """Say what points and bars sum up."""
    conditions = run.metrics["conditions"]
    rows, config = conditions[0]["rows"], run.config
    kind = "exactly $Nf$ active neurons" if config["exact_activity"] else "independent neurons"
    seeds = name_seeds(run.record["seeds"])
    if all(c["separable"] == c["rows"] for c in conditions):
        solved = "all of which have a solution"
    else:
        solved = "of those that have a solution"
    return (
        f"Points: mean and s.d. over {rows} rows, {solved} ({kind}, $f$ = {config['f']:g}, {seeds})"
    )


def _exact_margin(run: StoredRun, curves: Curves) -> Figure:
    unsolved = any(c["separable"] < c["rows"] for c in run.metrics["conditions"])
    count = 3 if unsolved else 2
    figure, panels = plt.subplots(1, count, figsize=(3.6 * count, 3.2))
    right = 1.06 * max(run.config["loads"])
    for axes, norm in zip(panels, NORMS, strict=False):
        draw_margin_theory(axes, run.metrics["f"], norm, curves)
        highest = _plot_points(axes, run, norm, "margin")
        axes.set(xlim=(0, right), ylim=(0, 1.1 * highest or None))
        axes.set_title(NAMES[norm])
        axes.legend()
    if unsolved:
        _plot_separable(panels[2], run)
        panels[2].set_xlim(0, right)
    caption(figure, f"Largest margins. {_about_rows(run)}; lines: {LIMIT}.")
    return figure


def _plot_separable(axes: Axes, run: StoredRun) -> None:
    """Plot the share of rows that have a solution, which both norms agree about."""
    for i, (n, marker, _) in enumerate(_sizes(run)):
        conditions = _conditions(run, 2, n)
        loads = [c["load"] for c in conditions]
        share = [c["separable"] / c["rows"] for c in conditions]
        look = {"marker": marker, "markersize": 4.5, "color": f"C{2 + i}"}
        axes.plot(loads, share, label=f"$N$ = {n}", **look)  # type: ignore[arg-type]
    critical = run.metrics["critical_load"]
    axes.axvline(critical, color="0.6", linewidth=1, linestyle=":", label="critical load")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(LOAD)
    axes.set_ylabel("share of rows that have a solution")
    axes.set_title("Rows with a solution")
    axes.legend()


def _exact_density(run: StoredRun, curves: Curves) -> Figure:
    figure, axes = plt.subplots(figsize=(5.2, 3.6))
    draw_density_theory(axes, run.metrics["f"], curves)
    highest = max(_plot_points(axes, run, norm, "density") for norm in NORMS)
    right = max(axes.get_xlim()[1], 1.06 * max(run.config["loads"]))
    axes.set(xlim=(0, right), ylim=(0, max(0.62, 1.05 * highest)))
    axes.fill_between([curves["load"][-1], right], 0, 1, color=NO_SOLUTION, linewidth=0, zorder=0)
    axes.set_title("Density of the optimal weights")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", handlelength=1.8)
    caption(figure, f"{_about_rows(run)}; lines and grey region: {LIMIT}.")
    return figure


def _solved_loads(run: StoredRun) -> list[float]:
    """List the loads at which rows of the largest network have solutions."""
    by_norm = (_conditions(run, norm, max(run.config["n"])) for norm in NORMS)
    pairs = zip(*by_norm, strict=True)
    return [one["load"] for one, other in pairs if one["separable"] and other["separable"]]


def _weights(run: StoredRun, densities: np.ndarray, loads: list[float]) -> Figure:
    """Draw the distribution of weights at some of these loads, for the largest N."""
    n = max(run.config["n"])
    place = run.config["n"].index(n)
    places = np.linspace(0, len(loads) - 1, WEIGHT_PANELS).round().astype(int)
    shown = [loads[i] for i in dict.fromkeys(places.tolist())]
    figure, panels = plt.subplots(
        2,
        len(shown),
        figsize=(0.8 + 2.2 * len(shown), 4.2),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    x = np.linspace(0, WEIGHT_EDGES[-1], 200)
    rows = run.metrics["conditions"][0]["rows"]
    for i, norm in enumerate(NORMS):
        by_load = {c["load"]: c for c in _conditions(run, norm, n)}
        for axes, load in zip(panels[i], shown, strict=True):
            found = by_load[load]["density"]
            weights = densities[i, place, run.config["loads"].index(load)]
            label = f"density {found['mean']:.3f}"
            axes.stairs(
                weights, WEIGHT_EDGES, fill=True, color=COLOURS[norm], alpha=0.45, label=label
            )
            if found["theory"] is not None:
                axes.plot(x, _survivors(x, found["theory"]), color="black", linewidth=1)
            axes.set_title(f"{NAMES[norm]}, $\\alpha$ = {load:g}", fontsize=8)
            axes.set_xlim(0, WEIGHT_EDGES[-1])
            axes.set_ylim(bottom=0)
            axes.legend(handlelength=1)
    figure.supylabel("probability density of surviving weights", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("$w$ / mean surviving $w$")
    caption(
        figure,
        f"Weights above 0, relative to their mean in the row; $N$ = {n}, {rows} rows, "
        f"{name_seeds(run.record['seeds'])}. Lines: the tail of a normal distribution that holds "
        "the theory's density.",
    )
    return figure


def _survivors(x: np.ndarray, density: float) -> np.ndarray:
    """Give the density of the theory's weights above 0, max(z - B, 0) for normal z, by their mean.

    B is where as many z lie above it as the density says.
    """
    B = normal.isf(density)
    mean = normal.pdf(B) / density - B
    return mean * normal.pdf(B + mean * x) / density


def _finite_size(run: StoredRun) -> Figure:
    """Draw how far margins and densities are from the theory, against N."""
    sizes, loads = sorted(run.config["n"]), sorted(run.config["loads"])
    below = [load for load in loads if load <= run.metrics["critical_load"]]
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(below)))
    figure, panels = plt.subplots(2, 2, figsize=(6.8, 5.0), sharex=True, sharey="row")
    for column, norm in enumerate(NORMS):
        for load, colour in zip(below, colours, strict=True):
            chosen = [
                next(c for c in _conditions(run, norm, n) if c["load"] == load) for n in sizes
            ]
            root = np.sqrt(np.maximum([c["separable"] for c in chosen], 1))
            for axes, quantity in zip(panels[:, column], ("margin", "density"), strict=True):
                theory = _of(chosen, quantity, "theory")
                unit = theory if quantity == "margin" else np.ones(len(theory))
                deviation = (_of(chosen, quantity, "mean") - theory) / unit
                error = np.nan_to_num(_of(chosen, quantity, "sd")) / root / unit
                axes.errorbar(
                    sizes,
                    deviation,
                    error,
                    marker="o",
                    markersize=3.5,
                    linewidth=1,
                    color=colour,
                    label=f"$\\alpha$ = {load:g}",
                )
        panels[0, column].set_title(NAMES[norm])
        panels[1, column].set_xlabel("neurons $N$")
    for axes in panels.flat:
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_xticks(sizes, labels=map(str, sizes))
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0, 0].set_ylabel("margin / theory $-$ 1")
    panels[1, 0].set_ylabel("density $-$ theory")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right center")
    caption(
        figure,
        f"Mean and s.e.m. over rows, {name_seeds(run.record['seeds'])}, against the theory for "
        f"{LIMIT}. Rows of a network share its patterns, and deviate together.",
    )
    return figure
