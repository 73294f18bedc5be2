"""Figures of networks that memorise random patterns (Figure 2)."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, legend
from synaptic_consolidation.experiments.networks import Networks
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.noise import noise_figures
from synaptic_consolidation.figures.theory import (
    LOAD,
    NO_SOLUTION,
    draw_density_theory,
    draw_margin_theory,
    draw_synaptic_theory,
)
from synaptic_consolidation.measures import NORMS, WEIGHT_EDGES

EXPONENTS = {1: "2", 2: "1", 3: "2/3", 4: "1/2"}
"""The norm q = 2 / z in words, by z."""
GAP = 0.01
"""By what share of the highest load the points of different z lie apart, so that all are seen."""
PRUNED = (-40.5, -34.5)
"""Where, on the logarithmic axis of weights, the bars for pruned synapses are."""
FLIPPED = 0.03
"""Share of flipped bits that neural noise is shown relative to."""
NEURAL_SNR = r"SNR, $\kappa$ / $(0.03 f)^{1/2}$"


def draw(setup: Networks, data: xr.Dataset) -> dict[str, Figure]:
    """Draw the figures of networks.

    Those of recall need whole networks, that of symmetry and correlations these or several
    factors, and that of optima one or two factors.
    """
    figures = {
        "signal-to-noise": _signal_to_noise(setup, data),
        "margin": _margin(setup, data),
        "density": _density(setup, data),
        "weights": _weights(setup, data),
    }
    if setup.optima and min(setup.factors) < 3:
        figures["optimality"] = _optimality(setup, data)
    if setup.whole or max(setup.factors) > 1:
        figures["structure"] = _structure(setup, data)
    return figures | noise_figures(setup, data)


# --- means over rows ------------------------------------------------------------------------------


def _shifts(setup: Networks) -> dict[int, float]:
    """Give for each z how far its points lie beside their load."""
    factors, step = sorted(setup.factors), GAP * max(setup.loads)
    return {z: (i - (len(factors) - 1) / 2) * step for i, z in enumerate(factors)}


def _plot_points(axes: Axes, setup: Networks, data: xr.Dataset, name: str) -> tuple[float, float]:
    """Plot a quantity of the rows against the load for all z; give its lowest and highest value."""
    ends = [0.0]
    for z, shift in _shifts(setup).items():
        mean, sd = common.over_rows(data[name].sel(factors=z))
        if np.isfinite(mean).any():
            points = common.POINTS | common.look(z)
            axes.errorbar(data["load"].values + shift, mean, sd, **points, label=f"$z$ = {z}")
            reach = np.concatenate([mean - np.nan_to_num(sd), mean + np.nan_to_num(sd)])
            ends.extend(reach[np.isfinite(reach)].tolist())
    return min(ends), max(ends)


def _load_limit(setup: Networks) -> float:
    return 1.06 * max(setup.loads)


def _about_networks(setup: Networks, data: xr.Dataset) -> str:
    return f"$N$ = {setup.n}, {common.about_patterns(setup)}, {common.seeds_of(data)}."


def _about_rows(setup: Networks, data: xr.Dataset) -> str:
    """Say what points and bars sum up."""
    of = "the network" if setup.whole else f"a network of {setup.n}"
    return (
        f"mean and s.d. over {data.sizes['row']} neurons of {of} ({common.about_patterns(setup)}, "
        f"{common.seeds_of(data)}), {float(data['converged'].mean()):.0%} of which converged "
        "before the limit of steps."
    )


def _about_theory(setup: Networks) -> str:
    text = "theory for many independent neurons"
    if setup.exact_activity:
        text += ", although exactly $Nf$ are active here"
    return text


# --- figures --------------------------------------------------------------------------------------


def _signal_to_noise(setup: Networks, data: xr.Dataset) -> Figure:
    """Draw, for each norm q, the margins of all z relative to the largest."""
    loads, factors = common.shown_loads(setup.loads), sorted(setup.factors)
    width = 0.7 + 0.24 * len(factors)
    figure, panels = common.subplots(
        *(len(loads), len(NORMS)),
        figsize=(0.6 + len(NORMS) * max(1.55, width), 0.9 + 1.6 * len(loads)),
        squeeze=False,
        sharex=True,
    )
    for row, load in zip(panels, loads, strict=True):
        for axes, best in zip(row, NORMS, strict=True):
            found = [
                common.over_rows(data[f"snr_z{best}"].sel(factors=z, load=load)) for z in factors
            ]
            largest = max(abs(float(mean)) for mean, _ in found) or 1.0
            for i, (z, (mean, sd)) in enumerate(zip(factors, found, strict=True)):
                axes.bar(
                    *(i, float(mean) / largest),
                    yerr=float(sd) / largest,
                    color=common.look(z)["color"],
                    alpha=1.0 if z == best else common.LIGHT,
                    error_kw={"linewidth": 0.9},
                )
            axes.axhline(0, color="black", linewidth=0.8)
            axes.set_xticks(range(len(factors)), labels=map(str, factors))
            axes.locator_params(axis="y", nbins=4)
        row[0].set_ylabel(f"$\\alpha$ = {load:g}\nSNR / largest SNR")
    for axes, z in zip(panels[0], NORMS, strict=True):
        axes.set_title(f"$q$ = {EXPONENTS[z]}")
    for axes in panels[-1]:
        axes.set_xlabel("factors $z$")
    caption(
        figure,
        "Margins relative to norms $q$, min $yh$ / (mean of $w^q$)$^{1/q}$ "
        "$[Nf(1-f)]^{1/2}$, and to the largest of all $z$. Full colour: $q$ = 2/$z$, the norm for "
        f"which $z$ factors should be best. Bars: {_about_rows(setup, data)}",
    )
    return figure


def _margin(setup: Networks, data: xr.Dataset) -> Figure:
    """Draw margins relative to the norms 2 and 1, those of neural and of synaptic noise."""
    figure, (neural, synaptic) = common.subplots(1, 2, figsize=(8.8, 3.3))
    curves = common.under("theory_", data)
    unit = np.sqrt(FLIPPED * setup.f)
    scaled = data.assign(neural_snr=data["margin"].where(data["margin"] > 0) / unit)
    draw_margin_theory(neural, curves.assign(l2_margin=curves["l2_margin"] / unit), 1)
    _, high = _plot_points(neural, setup, scaled, "neural_snr")
    low = float(scaled["neural_snr"].min())
    neural.set(yscale="log", title="Neural noise", ylabel=NEURAL_SNR)
    if high > 0:
        neural.set_ylim(0.6 * low, 1.5 * high)
    draw_synaptic_theory(synaptic, curves, setup.f)
    low, high = _plot_points(synaptic, setup, data, "snr_z2")
    # Curves grow without limit as the load falls: points say what is shown of them.
    synaptic.set(ylim=(1.1 * low, 1.15 * high or None), title="Synaptic noise")
    if low < 0:
        synaptic.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    for axes in (neural, synaptic):
        axes.set_xlim(0, _load_limit(setup))
    legend(figure, beside=True)
    caption(
        figure,
        f"Margins relative to what {FLIPPED:.0%} of flipped bits, or noise on weights, change h "
        f"by. Points: {_about_rows(setup, data)} Lines: {_about_theory(setup)}.",
    )
    return figure


def _density(setup: Networks, data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(5.6, 3.7))
    curves, right = common.under("theory_", data), _load_limit(setup)
    draw_density_theory(axes, curves)
    _, high = _plot_points(axes, setup, data, "density")
    critical = float(curves["load"][-1])
    axes.fill_between([critical, right], 0, 2, color=NO_SOLUTION, linewidth=0, zorder=0)
    axes.set(xlim=(0, right), ylim=(0, max(0.62, 1.05 * high)), title="Surviving synapses")
    legend(figure, beside=True)
    caption(
        figure,
        f"Points: {_about_rows(setup, data)} Lines and grey region (no weights $w$ ≥ 0 of this "
        f"density answer all patterns): {_about_theory(setup)}.",
    )
    return figure


def _weights(setup: Networks, data: xr.Dataset) -> Figure:
    """Draw the distributions of surviving weights, and of all, the pruned ones on the left."""
    loads, factors = common.shown_loads(setup.loads), sorted(setup.factors)
    figure, panels = common.subplots(
        *(2, len(loads)),
        figsize=(1.6 + 2.4 * len(loads), 4.8),
        squeeze=False,
        sharex="row",
        sharey="row",
    )
    for (surviving, everything), load in zip(panels.T, loads, strict=True):
        for i, z in enumerate(factors):
            histogram = data["histogram"].sel(load=load, factors=z).mean("seed").values
            look = {"color": common.look(z)["color"], "label": f"$z$ = {z}"}
            draw_weights(surviving, everything, histogram, (i, len(factors)), **look)
        surviving.set_title(f"$\\alpha$ = {load:g}")
        weight_axes(surviving, everything, data["histogram"])
    panels[0, 0].set_ylabel("probability density of\n$\\log_{10} w$, surviving")
    panels[1, 0].set_ylabel("share of all synapses")
    legend(figure, beside=True)
    caption(
        figure,
        "Weights that survive (top), and all (bottom), in bins of a tenth of a decade; pruned "
        f"ones, whose weight is 0, are on the left. {_about_networks(setup, data)}",
    )
    return figure


def draw_weights(
    surviving: Axes,
    everything: Axes,
    histogram: np.ndarray,
    place: tuple[int, int],
    *,
    color: str,
    label: str,
) -> None:
    """Draw a distribution of weights, see `histogram_of_weights`.

    `place` says which bar that of the pruned ones is, of how many.
    """
    line: dict[str, Any] = {"color": color, "linewidth": 1.2, "baseline": None}
    left = histogram.sum()
    decades = np.diff(np.log10(WEIGHT_EDGES))
    surviving.stairs(histogram / (left or 1.0) / decades, WEIGHT_EDGES, label=label, **line)
    everything.stairs(np.where(histogram > 0, histogram, np.nan), WEIGHT_EDGES, **line)
    number, count = place
    edges = 10.0 ** (PRUNED[0] + (PRUNED[1] - PRUNED[0]) * np.arange(number, number + 2) / count)
    everything.bar(edges[0], 1 - left, edges[1] - edges[0], align="edge", color=color)


def weight_axes(surviving: Axes, everything: Axes, histograms: xr.DataArray) -> None:
    """Label and limit the axes of `draw_weights`, up to the decade of the largest weight of all."""
    surviving.set_xscale("log")
    found = np.flatnonzero((histograms > 0).any([d for d in histograms.dims if d != "bin"]))
    last = WEIGHT_EDGES[found[-1] + 1] if len(found) else 1.0
    largest, name = 10.0 ** np.ceil(np.log10(last) - 1e-9), "weight $w$ (a.u.)"
    surviving.set(xlim=(1e-3, largest), ylim=(0, None), xlabel=name)
    everything.set(xscale="log", yscale="log", xlim=(1e-41, largest), xlabel=name)
    powers = (-20, -10, 0)
    everything.set_xticks(
        [10.0 ** (sum(PRUNED) / 2), *(10.0**p for p in powers)],
        labels=["pruned", *(f"$10^{{{p}}}$" for p in powers)],
    )
    everything.minorticks_off()


def _optimality(setup: Networks, data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(4.6, 3.3))
    low, high = _plot_points(axes, setup, data, "share_of_optimum")
    axes.axhline(1, color="0.5", linewidth=0.9, linestyle="--", zorder=0, label="optimum")
    axes.set(xlim=(0, _load_limit(setup)), ylim=(1.1 * low, max(1.08, 1.05 * high)), xlabel=LOAD)
    axes.set_ylabel("margin / largest possible margin")
    legend(figure, beside=True)
    rows = min(setup.optima, data.sizes["row"])
    caption(
        figure,
        r"Margins relative to $\ell_2$ ($z$ = 1) or $\ell_1$ ($z$ = 2) after learning, relative to "
        f"the exact optimum for the same patterns; mean and s.d. over up to {rows} neurons of each "
        f"network. {_about_networks(setup, data)}",
    )
    return figure


def _structure(setup: Networks, data: xr.Dataset) -> Figure:
    """Draw how symmetric networks are, and how factors align."""
    labels = {
        "symmetry": ("correlation of $w_{ij}$ and $w_{ji}$", "Symmetry"),
        "within": ("correlation of $u_1$ and $u_2$", "Within synapses"),
        "across": ("correlation of $u_1$ and next $u_2$", "Across synapses"),
    }
    names = ["symmetry"] * setup.whole + ["within", "across"] * (max(setup.factors) > 1)
    figure, panels = common.subplots(
        *(1, len(names)), figsize=(0.9 + 2.6 * len(names), 3.1), squeeze=False, sharey=True
    )
    for axes, name in zip(panels.flat, names, strict=True):
        if name == "symmetry":
            _plot_symmetry(axes, setup, data)
        else:
            _plot_points(axes, setup, data, name)
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.set(xlim=(0, _load_limit(setup)), ylabel=labels[name][0], title=labels[name][1])
        axes.set_xlabel(LOAD.split(" (")[0])
    legend(figure, beside=True)
    texts = {
        "symmetry": "Symmetry: a point for each network.",
        "within": "Factors of surviving synapses: mean and s.d. over neurons.",
    }
    text = " ".join(texts[name] for name in names if name in texts)
    caption(figure, f"{text} {_about_networks(setup, data)}")
    return figure


def _plot_symmetry(axes: Axes, setup: Networks, data: xr.Dataset) -> None:
    for z, shift in _shifts(setup).items():
        values = data["symmetry"].sel(factors=z).transpose("load", "seed").values
        line, *_ = axes.plot(data["load"].values + shift, values, **common.POINTS | common.look(z))
        line.set_label(f"$z$ = {z}")
