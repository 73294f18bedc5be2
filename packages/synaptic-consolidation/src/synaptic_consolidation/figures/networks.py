"""Figures of networks that memorise random patterns (Figure 2)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, name_seeds, numbers, style
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.exact import Norm
from synaptic_consolidation.figures.common import (
    LIGHT,
    about_patterns,
    legend_of_all,
    look,
    network_keys,
    pooled,
    shown_loads,
)
from synaptic_consolidation.figures.noise import noise_figures
from synaptic_consolidation.figures.theory import (
    LOAD,
    NO_SOLUTION,
    Curves,
    draw_density_theory,
    draw_margin_theory,
)
from synaptic_consolidation.measures import NORMS
from synaptic_consolidation.networks import WEIGHT_EDGES
from synaptic_consolidation.optima import theory_curves

EXPONENTS = {1: "2", 2: "1", 3: "2/3", 4: "1/2"}
"""The norm q = 2 / z in words, by z."""
GAP = 0.01
"""By what share of the highest load the points of different z lie apart, so that all are seen."""
PRUNED = (-1.7, -0.5)
"""Where, on the axis of weights, the bars for pruned synapses are."""


def network_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the figures of a run of networks.

    Those of recall need whole networks, that of symmetry and correlations these or several
    factors, and that of optima one or two factors.
    """
    curves = theory_curves(run.config["f"])
    conditions = run.metrics["conditions"]
    with style():
        figures = {
            "signal-to-noise": _signal_to_noise(run),
            "margin": _margin(run, curves),
            "density": _density(run, curves),
            "weights": _weights(run),
        }
        if any("share_of_optimum" in c for c in conditions):
            figures["optimality"] = _optimality(run)
        if any("symmetry" in c or c["factors"] > 1 for c in conditions):
            figures["structure"] = _structure(run)
        return figures | noise_figures(run)


# --- means over rows ------------------------------------------------------------------------------


def _by_load(run: StoredRun, z: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give loads, and means and standard deviations over the rows of all seeds."""
    found: dict[float, list[tuple[float, float]]] = {}
    for c in run.metrics["conditions"]:
        if c["factors"] == z and name in c:
            found.setdefault(c["load"], []).append((c[name]["mean"], c[name]["sd"]))
    loads = sorted(found)
    mean, sd = pooled(numbers([found[load] for load in loads]).swapaxes(0, 1))
    return np.array(loads), mean, sd


def _plot_points(axes: Axes, run: StoredRun, name: str) -> tuple[float, float]:
    """Plot a quantity of the rows against the load for all z; give its lowest and highest value."""
    factors, step = sorted(run.config["factors"]), GAP * max(run.config["loads"])
    ends = [0.0]
    for i, z in enumerate(factors):
        if not any(name in c for c in run.metrics["conditions"] if c["factors"] == z):
            continue
        load, mean, sd = _by_load(run, z, name)
        axes.errorbar(
            load + (i - (len(factors) - 1) / 2) * step,
            mean,
            sd,
            **look(z),
            linestyle="none",
            markerfacecolor="white",
            markersize=4.5,
            linewidth=0.9,
            label=f"$z$ = {z}",
        )
        reach = np.concatenate([mean - sd, mean + sd])
        ends.extend(reach[np.isfinite(reach)].tolist())
    return min(ends), max(ends)


def _load_limit(run: StoredRun) -> float:
    return 1.06 * max(run.config["loads"])


def _about_rows(run: StoredRun) -> str:
    """Say what points and bars sum up."""
    conditions = run.metrics["conditions"]
    rows = run.config["rows"] or run.config["n"]
    converged = np.mean([c["converged"]["mean"] for c in conditions])
    of = "the network" if rows == run.config["n"] else f"a network of {run.config['n']}"
    return (
        f"Mean and s.d. over {rows} neurons of {of} ({about_patterns(run)}, "
        f"{name_seeds(run.record['seeds'])}), {converged:.0%} of which converged before the limit "
        "of steps."
    )


def _about_theory(run: StoredRun) -> str:
    text = "theory for many independent neurons"
    if run.config["exact_activity"]:
        text += ", although exactly $Nf$ are active here"
    return text


# --- figures --------------------------------------------------------------------------------------


def _signal_to_noise(run: StoredRun) -> Figure:
    """Draw, for each norm q, which z has the largest margin."""
    loads, factors = shown_loads(run), sorted(run.config["factors"])
    width = 0.7 + 0.24 * len(factors)
    figure, panels = plt.subplots(
        *(len(loads), len(NORMS)),
        figsize=(0.6 + len(NORMS) * max(1.55, width), 0.9 + 1.6 * len(loads)),
        squeeze=False,
        sharex=True,
    )
    for row, load in zip(panels, loads, strict=True):
        for axes, best in zip(row, NORMS, strict=True):
            for i, z in enumerate(factors):
                at, mean, sd = _by_load(run, z, f"snr_z{best}")
                here = at == load
                axes.bar(
                    *(i, mean[here]),
                    yerr=sd[here],
                    color=look(z)["color"],
                    alpha=1.0 if z == best else LIGHT,
                    error_kw={"linewidth": 0.9},
                )
            axes.axhline(0, color="black", linewidth=0.8)
            axes.set_xticks(range(len(factors)), labels=map(str, factors))
            axes.locator_params(axis="y", nbins=4)
        row[0].set_ylabel(f"$\\alpha$ = {load:g}\nSNR")
    for axes, z in zip(panels[0], NORMS, strict=True):
        axes.set_title(f"$q$ = {EXPONENTS[z]}")
    for axes in panels[-1]:
        axes.set_xlabel("factors $z$")
    caption(
        figure,
        "Margins relative to norms $q$: min $yh$ / (mean of $w^q$)$^{1/q}$ $[Nf(1-f)]^{1/2}$. Full "
        f"colour: $q$ = 2/$z$, the norm for which $z$ factors should be best. {_about_rows(run)}",
    )
    return figure


def _margin(run: StoredRun, curves: Curves) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.3))
    norms: tuple[tuple[Norm, str], ...] = ((2, "margin"), (1, "snr_z2"))
    for axes, (norm, name) in zip(panels, norms, strict=True):
        draw_margin_theory(axes, run.config["f"], norm, curves)
        low, high = _plot_points(axes, run, name)
        axes.set_xlim(0, _load_limit(run))
        # Curves grow without limit as the load falls: points say what is shown of them.
        axes.set_ylim(1.1 * low, 1.15 * high or None)
        if low < 0:
            axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    legend_of_all(figure)
    caption(figure, f"Points: {_lower(_about_rows(run))} Lines: {_about_theory(run)}.")
    return figure


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _density(run: StoredRun, curves: Curves) -> Figure:
    figure, axes = plt.subplots(figsize=(5.6, 3.7))
    draw_density_theory(axes, run.config["f"], curves)
    _, high = _plot_points(axes, run, "density")
    right = _load_limit(run)
    axes.fill_between([curves["load"][-1], right], 0, 2, color=NO_SOLUTION, linewidth=0, zorder=0)
    axes.set(xlim=(0, right), ylim=(0, max(0.62, 1.05 * high)))
    axes.set_title("Surviving synapses")
    legend_of_all(figure)
    caption(
        figure,
        f"Points: {_lower(_about_rows(run))} Lines and grey region (no weights $w$ ≥ 0 of this "
        f"density answer all patterns): {_about_theory(run)}.",
    )
    return figure


def _weights(run: StoredRun) -> Figure:
    """Draw the distributions of surviving weights, and of all with the pruned ones beside 0."""
    arrays = run.arrays()
    loads, factors = shown_loads(run), sorted(run.config["factors"])
    figure, panels = plt.subplots(
        *(2, len(loads)),
        figsize=(1.6 + 2.4 * len(loads), 4.8),
        squeeze=False,
        sharex="row",
        sharey="row",
    )
    for (surviving, everything), load in zip(panels.T, loads, strict=True):
        for i, z in enumerate(factors):
            histogram = np.mean(
                [arrays[f"{key}/histogram"] for key in network_keys(run, load, z)], axis=0
            )
            at, density, _ = _by_load(run, z, "density")
            left = float(density[at == load].item())
            colour = look(z)["color"]
            line = {"color": colour, "linewidth": 1.2, "baseline": None}
            surviving.stairs(histogram, WEIGHT_EDGES, label=f"$z$ = {z}", **line)
            everything.stairs(histogram * left * np.diff(WEIGHT_EDGES), WEIGHT_EDGES, **line)
            width = (PRUNED[1] - PRUNED[0]) / len(factors)
            everything.bar(PRUNED[0] + i * width, 1 - left, width, align="edge", color=colour)
        surviving.set_title(f"$\\alpha$ = {load:g}")
        surviving.set_xlabel("$w$ / mean surviving $w$")
        everything.set_xlabel("$w$ / mean surviving $w$")
        everything.set_yscale("log")
        ticks = range(int(WEIGHT_EDGES[-1]) + 1)
        everything.set_xticks([np.mean(PRUNED), *ticks], labels=["pruned", *map(str, ticks)])
    panels[0, 0].set_xlim(0, WEIGHT_EDGES[-1])
    panels[0, 0].set_ylim(bottom=0)
    panels[0, 0].set_ylabel("probability density,\nsurviving synapses")
    panels[1, 0].set_ylabel("share of all synapses")
    legend_of_all(figure)
    caption(
        figure,
        "Weights relative to the mean of the surviving ones (top); and all (bottom): the share of "
        f"pruned synapses, and of others in bins of 1/8 of the mean. {_about_networks(run)}",
    )
    return figure


def _about_networks(run: StoredRun) -> str:
    return f"$N$ = {run.config['n']}, {about_patterns(run)}, {name_seeds(run.record['seeds'])}."


def _optimality(run: StoredRun) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.3))
    low, high = _plot_points(axes, run, "share_of_optimum")
    axes.axhline(1, color="0.5", linewidth=0.9, linestyle="--", zorder=0, label="optimum")
    axes.set(xlim=(0, _load_limit(run)), ylim=(1.1 * low, max(1.08, 1.05 * high)))
    axes.set_xlabel(LOAD)
    axes.set_ylabel("margin / largest possible margin")
    legend_of_all(figure)
    rows = min(run.config["optima"], run.config["rows"] or run.config["n"])
    caption(
        figure,
        r"Margins relative to $\ell_2$ ($z$ = 1) or $\ell_1$ ($z$ = 2) after learning, relative to "
        f"the exact optimum for the same patterns; mean and s.d. over up to {rows} neurons of each "
        f"network. {_about_networks(run)}",
    )
    return figure


def _structure(run: StoredRun) -> Figure:
    """Draw how symmetric networks are, and how factors align."""
    conditions = run.metrics["conditions"]
    names = []
    if any("symmetry" in c for c in conditions):
        names.append("symmetry")
    if any(c["factors"] > 1 for c in conditions):
        names += ["within", "across"]
    labels = {
        "symmetry": ("correlation of $w_{ij}$ and $w_{ji}$", "Symmetry"),
        "within": ("correlation of $u_1$ and $u_2$", "Within synapses"),
        "across": ("correlation of $u_1$ and next $u_2$", "Across synapses"),
    }
    figure, panels = plt.subplots(
        *(1, len(names)), figsize=(0.9 + 2.5 * len(names), 3.1), squeeze=False, sharey=True
    )
    for axes, name in zip(panels.flat, names, strict=True):
        if name == "symmetry":
            _plot_symmetry(axes, run)
        else:
            _plot_points(axes, run, name)
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.set_xlim(0, _load_limit(run))
        axes.set_ylabel(labels[name][0])
        axes.set_title(labels[name][1])
    for axes in panels.flat:
        axes.set_xlabel(LOAD.split(" (")[0])
    legend_of_all(figure)
    texts = {
        "symmetry": "Symmetry: a point for each network.",
        "within": "Factors of surviving synapses: mean and s.d. over neurons.",
    }
    text = " ".join(texts[name] for name in names if name in texts)
    caption(figure, f"{text} {_about_networks(run)}")
    return figure


def _plot_symmetry(axes: Axes, run: StoredRun) -> None:
    factors, step = sorted(run.config["factors"]), GAP * max(run.config["loads"])
    for i, z in enumerate(factors):
        points = [
            (c["load"], c["symmetry"]) for c in run.metrics["conditions"] if c["factors"] == z
        ]
        load, value = numbers(points).T
        load += (i - (len(factors) - 1) / 2) * step
        axes.plot(
            *(load, value),
            **look(z),
            linestyle="none",
            markerfacecolor="white",
            markersize=4.5,
            label=f"$z$ = {z}",
        )
