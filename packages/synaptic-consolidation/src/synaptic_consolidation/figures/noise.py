"""Figures of how much noise networks with random patterns withstand (Figure 2)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sharpwave_shared.plotting import caption, legend
from synaptic_consolidation.experiments.networks import Networks
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.theory import LOAD

SHOWN = {
    "neural-noise": ("flips", "balanced"),
    "synaptic-noise": ("surviving", "one_factor", "all_factors"),
}
"""Kinds of noise of each figure, the most important first."""
LINES = ("-", ":", "--")
HATCHES = ("", "////", "....")


def noise_figures(setup: Networks, data: xr.Dataset) -> dict[str, Figure]:
    """Draw recall against noise, and the maximal noise, if whole networks have learnt."""
    if not setup.whole:
        return {}
    figures = {name: _noise(setup, data, kinds) for name, kinds in SHOWN.items()}
    if len(setup.loads) > 1:
        figures["tolerance"] = _tolerance(setup, data)
    return figures


def _noise(setup: Networks, data: xr.Dataset, kinds: Sequence[str]) -> Figure:
    """Draw recall (top) and the maximal noise (bottom) at some loads."""
    loads, factors = common.shown_loads(setup.loads), sorted(setup.factors)
    figure, panels = common.subplots(
        *(2, len(loads)), figsize=(1.9 + 2.4 * len(loads), 5.0), squeeze=False
    )
    width, everything = 0.8 / len(kinds), []
    for (curves, bars), load in zip(panels.T, loads, strict=True):
        at = data.sel(load=load)
        for j, kind in enumerate(kinds):
            opacity = common.LIGHT if j else 1.0
            line: dict[str, Any] = {"alpha": opacity, "linestyle": LINES[j], "linewidth": 1.2}
            for z in factors:
                common.draw_recall(
                    *(curves, at.sel(factors=z), kind, setup.f),
                    color=common.look(z)["color"],
                    zorder=3 - j,
                    **line,
                )
            maxima = common.maximal_noise(at.sel(factors=factors), kind, setup.f)
            everything.append(maxima)
            common.draw_bars(
                bars,
                np.arange(len(factors)) + (j - (len(kinds) - 1) / 2) * width,
                maxima,
                width,
                color=[common.look(z)["color"] for z in factors],
                alpha=opacity,
                hatch=HATCHES[j],
                edgecolor="white",
                linewidth=0,
            )
        common.recall_axes(curves, kinds[0])
        curves.set_title(f"$\\alpha$ = {load:g}")
        bars.set_xticks(range(len(factors)), labels=map(str, factors))
        bars.set_xlabel("factors $z$")
        bars.margins(y=0.12)
        bars.set_ylim(bottom=0)
        bars.locator_params(axis="y", nbins=5)
    panels[0, 0].set_ylabel("share of patterns recalled")
    panels[1, 0].set_ylabel(f"maximal noise\n({common.noise_axis(kinds[0])})")
    _legend(figure, factors, kinds)
    caption(
        figure,
        f"Recall, and the noise at which it is nearest to 1/2. {_about(setup, data)}"
        f"{common.about_arrows(*everything)}",
    )
    return figure


def _legend(figure: Figure, factors: Sequence[int], kinds: Sequence[str]) -> None:
    """Name colours, and what lines and bars of each kind of noise look like."""
    named: dict[str, Any] = {f"$z$ = {z}": Patch(color=common.look(z)["color"]) for z in factors}
    for j, kind in enumerate(kinds):
        opacity = common.LIGHT if j else 1.0
        line = Line2D([], [], color="black", alpha=opacity, linestyle=LINES[j], linewidth=1.2)
        bar = Patch(facecolor="black", alpha=opacity, hatch=HATCHES[j], edgecolor="white")
        named[common.KINDS[kind]] = line, bar
    legend(figure, named, beside=True, handler_map={tuple: HandlerTuple(ndivide=None)})


def _about(setup: Networks, data: xr.Dataset) -> str:
    return (
        f"$N$ = {setup.n}, {common.about_patterns(setup)}, {setup.tests} tests per level, "
        f"{common.seeds_of(data)}; {common.about_spread(data)}."
    )


def _tolerance(setup: Networks, data: xr.Dataset) -> Figure:
    """Draw the maximal noise against the load."""
    loads, everything = sorted(setup.loads), []
    figure, panels = common.subplots(1, 2, figsize=(7.8, 3.2))
    for axes, (kind, *_) in zip(panels, SHOWN.values(), strict=True):
        for z in sorted(setup.factors):
            maxima = common.maximal_noise(data.sel(factors=z, load=loads), kind, setup.f)
            everything.append(maxima)
            axes.errorbar(
                *(loads, maxima.value, maxima.sd),
                **common.POINTS | common.look(z) | {"linestyle": "-", "linewidth": 1.2},
                capsize=2,
                label=f"$z$ = {z}",
            )
            common.draw_arrowheads(axes, np.array(loads), maxima)
        axes.margins(y=0.12)
        axes.set(xlim=(0, 1.06 * max(loads)), ylim=(0, None), xlabel=LOAD)
        axes.set(ylabel=f"maximal noise\n({common.noise_axis(kind)})", title=common.KINDS[kind])
    legend(figure, beside=True)
    caption(
        figure,
        "The noise at which recall is nearest to 1/2: left, bits of the cue are flipped; right, "
        f"Gaussian noise is added to one factor of surviving synapses. {_about(setup, data)}"
        f"{common.about_arrows(*everything)}",
    )
    return figure
