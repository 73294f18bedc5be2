"""Figures of the theory.

`draw_margin_theory` and `draw_density_theory` draw curves into any axes, for points of simulations
to lie on.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, log_scale
from synaptic_consolidation.experiments.theory import Theory
from synaptic_consolidation.figures import common
from synaptic_consolidation.optima import NORMS

COLOURS: Mapping[int, str] = {1: "C0", 2: "C1"}
LINES: Mapping[int, str] = {1: "-", 2: "--"}
NAMES: Mapping[int, str] = {1: "$z$ = 1 ($\\ell_2$ margin)", 2: "$z$ = 2 ($\\ell_1$ margin)"}
MARGINS: Mapping[int, str] = {
    1: "margin $\\kappa$ = min $yh$ / $|w|_2$",
    2: "margin $\\rho$ = min $yh$ / $\\overline{w}\\,[Nf(1-f)]^{1/2}$",
}
"""By the number of factors that maximise the margin."""
LOAD = "load $\\alpha$ = $M/N$ (patterns per neuron)"
NO_SOLUTION = "0.85"
MEAN_TO_NORM = 1 / np.sqrt(np.pi)
LOWEST_SHOWN = 0.04
"""Margins grow without limit as the load falls; they are shown from this share of the critical
load on."""


# --- curves for any axes --------------------------------------------------------------------------


def draw_margin_theory(axes: Axes, curves: xr.Dataset, factors: int) -> None:
    """Draw the largest margin against the load: k of one factor, or rho of two; label the axes."""
    _plot_curve(axes, curves, factors, "margin")
    axes.set(xlabel=LOAD, ylabel=MARGINS[factors])


def draw_synaptic_theory(axes: Axes, curves: xr.Dataset, f: float) -> None:
    """Draw rho of the weights with the largest l1 margin, and of those with the largest l2 margin.

    The latter are distributed like max(z, 0) for normal z, whose mean is `MEAN_TO_NORM` times its
    root mean square.
    """
    of_l2 = curves["l2_margin"] / (MEAN_TO_NORM * np.sqrt(f * (1 - f)))
    axes.plot(curves["load"].values, of_l2.values, color=COLOURS[1], linestyle=LINES[1])
    draw_margin_theory(axes, curves, 2)


def draw_density_theory(axes: Axes, curves: xr.Dataset) -> None:
    """Draw the densities of the solutions with the largest margins, and where there is no solution.

    Axes are labelled, and show loads from 0 to a little above the critical one.
    """
    load = curves["load"].values
    right = 1.06 * load[-1]
    axes.fill_between(
        [0, *load, load[-1], right],
        [0, *curves["sparsest_density"].values, 1, 1],
        color=NO_SOLUTION,
        linewidth=0,
        label="no solution",
    )
    for factors in NORMS:
        _plot_curve(axes, curves, factors, "density")
    axes.set(xlim=(0, right), ylim=(0, 0.62), xlabel=LOAD)
    axes.set_ylabel("density (share of weights above 0)")


def _plot_curve(axes: Axes, curves: xr.Dataset, factors: int, quantity: str) -> None:
    axes.plot(
        curves["load"].values,
        curves[f"l{NORMS[factors]}_{quantity}"].values,
        color=COLOURS[factors],
        linestyle=LINES[factors],
        label=f"theory, {NAMES[factors]}",
    )


# --- figures --------------------------------------------------------------------------------------


def draw(setup: Theory, data: xr.Dataset) -> dict[str, Figure]:
    """Draw margins and densities against load, and the critical load against activity."""
    return {
        "margin": _margin(setup, data),
        "density": _density(setup, data),
        "critical-load": _critical_load(setup, data),
    }


def _margin(setup: Theory, data: xr.Dataset) -> Figure:
    figure, panels = common.subplots(1, 2, figsize=(7.4, 3.1))
    critical = float(data["critical_load"])
    lowest = np.searchsorted(data["load"].values, LOWEST_SHOWN * critical)
    for axes, (factors, norm) in zip(panels, NORMS.items(), strict=True):
        draw_margin_theory(axes, data, factors)
        axes.set(ylim=(0, float(data[f"l{norm}_margin"][lowest])), xlim=(0, 1.03 * critical))
        axes.axvline(critical, color="0.6", linewidth=1, linestyle=":")
        axes.set_title(NAMES[factors])
    caption(
        figure,
        f"The largest margins that weights $w$ ≥ 0 can have for random patterns of activity "
        f"$f$ = {setup.f:g}, in the limit of many neurons. Dotted: critical load {critical:.3g}.",
    )
    return figure


def _density(setup: Theory, data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(4.8, 3.4))
    draw_density_theory(axes, data)
    axes.set_title("Density of the optimal weights")
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.8))
    caption(
        figure,
        f"Random patterns of activity $f$ = {setup.f:g}, in the limit of many neurons. Grey: no "
        "weights $w$ ≥ 0 of this density answer all patterns.",
    )
    return figure


def _critical_load(setup: Theory, data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(4.6, 3.2))
    f, critical = setup.f, float(data["critical_load"])
    axes.plot(data["activity"], data["critical_loads"], color="C0")
    axes.plot(min(f, 1 - f), critical, "o", color="C1", label=f"$f$ = {f:g}: {critical:.3g}")
    log_scale(axes, "x")
    log_scale(axes, "y")
    axes.set(xlabel="activity $f$ (or $1 - f$)", ylabel="critical load (patterns per neuron)")
    axes.set_title("More patterns can be stored if they are sparse")
    axes.legend()
    caption(figure, "The load above which no weights $w$ ≥ 0 answer all patterns (many neurons).")
    return figure
