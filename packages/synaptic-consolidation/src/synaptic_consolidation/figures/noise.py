"""Figures of how much noise networks with random patterns withstand (Figure 2)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sharpwave_shared.plotting import caption, name_seeds, style
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.figures.common import (
    KINDS,
    LIGHT,
    about_arrows,
    about_patterns,
    draw_arrowhead,
    draw_maximum,
    draw_recall,
    legend_of_all,
    look,
    maximal_noise,
    network_keys,
    noise_axis,
    recall_axes,
    shown_loads,
)
from synaptic_consolidation.figures.theory import LOAD

SHOWN = {
    "neural-noise": ("flips", "balanced"),
    "synaptic-noise": ("one-factor", "all-factors", "surviving"),
}
"""Kinds of noise of each figure, the most important first."""
LINES = ("-", ":", "--")
HATCHES = ("", "////", "....")


def noise_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw recall against noise, and the maximal noise, if whole networks have learnt."""
    if not any(c["tolerance"] for c in run.metrics["conditions"]):
        return {}
    with style():
        figures = {name: _noise(run, kinds) for name, kinds in SHOWN.items()}
        if len(run.config["loads"]) > 1:
            figures["tolerance"] = _tolerance(run)
        return figures


def _noise(run: StoredRun, kinds: Sequence[str]) -> Figure:
    """Draw recall (top) and the maximal noise (bottom) at some loads."""
    arrays, f = run.arrays(), run.config["f"]
    loads, factors = shown_loads(run), sorted(run.config["factors"])
    figure, panels = plt.subplots(
        *(2, len(loads)),
        figsize=(1.9 + 2.4 * len(loads), 5.0),
        squeeze=False,
    )
    maxima = []
    for (curves, bars), load in zip(panels.T, loads, strict=True):
        for i, z in enumerate(factors):
            colour = look(z)["color"]
            for j, kind in enumerate(kinds):
                opacity = LIGHT if j else 1.0
                line = {"color": colour, "alpha": opacity, "linestyle": LINES[j], "linewidth": 1.2}
                for key in network_keys(run, load, z):
                    draw_recall(curves, arrays, key, kind, f, zorder=3 - j, **line)
                width = 0.8 / len(kinds)
                x = i + (j - (len(kinds) - 1) / 2) * width
                maxima.append(maximal_noise(arrays, network_keys(run, load, z), kind, f))
                bar = {"color": colour, "alpha": opacity, "hatch": HATCHES[j], "edgecolor": "white"}
                draw_maximum(bars, x, maxima[-1], width, linewidth=0, **bar)
        recall_axes(curves, kinds[0])
        curves.set_title(f"$\\alpha$ = {load:g}")
        bars.set_xticks(range(len(factors)), labels=map(str, factors))
        bars.set_xlabel("factors $z$")
        bars.margins(y=0.12)
        bars.set_ylim(bottom=0)
        bars.locator_params(axis="y", nbins=5)
    panels[0, 0].set_ylabel("share of patterns recalled")
    panels[1, 0].set_ylabel(f"maximal noise\n({noise_axis(kinds[0])})")
    _legend(figure, factors, kinds)
    caption(
        figure,
        f"Recall, and the noise at which it crosses 1/2. {_about(run)}{about_arrows(maxima)}",
    )
    return figure


def _legend(figure: Figure, factors: Sequence[int], kinds: Sequence[str]) -> None:
    """Name colours, and what lines and bars of each kind of noise look like."""
    handles: list[Any] = [Patch(color=look(z)["color"]) for z in factors]
    labels = [f"$z$ = {z}" for z in factors]
    for j, kind in enumerate(kinds):
        opacity = LIGHT if j else 1.0
        line = Line2D([], [], color="black", alpha=opacity, linestyle=LINES[j], linewidth=1.2)
        bar = Patch(facecolor="black", alpha=opacity, hatch=HATCHES[j], edgecolor="white")
        handles.append((line, bar))
        labels.append(KINDS[kind])
    side_by_side = {tuple: HandlerTuple(ndivide=None)}
    figure.legend(handles, labels, loc="outside right center", handler_map=side_by_side)


def _about(run: StoredRun) -> str:
    config, seeds = run.config, run.record["seeds"]
    several = "; mean and s.d. over seeds" if len(seeds) > 1 else ""
    return (
        f"$N$ = {config['n']}, {about_patterns(run)}, {config['tests']} tests per level, "
        f"{name_seeds(seeds)}{several}."
    )


def _tolerance(run: StoredRun) -> Figure:
    """Draw the maximal noise against the load."""
    arrays, f = run.arrays(), run.config["f"]
    loads, factors = sorted(run.config["loads"]), sorted(run.config["factors"])
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.2))
    everything = []
    for axes, (kind, *_) in zip(panels, SHOWN.values(), strict=True):
        for z in factors:
            maxima = [maximal_noise(arrays, network_keys(run, load, z), kind, f) for load in loads]
            everything += maxima
            value, sd, beyond = map(np.array, zip(*maxima, strict=True))
            point = look(z) | {"markersize": 4.5, "markerfacecolor": "white"}
            axes.errorbar(loads, value, sd, **point, linewidth=1.2, label=f"$z$ = {z}")
            for x, y in zip(np.array(loads)[beyond], value[beyond], strict=True):
                draw_arrowhead(axes, x, y)
        axes.margins(y=0.12)
        axes.set(xlim=(0, 1.06 * max(loads)), ylim=(0, None))
        axes.set_xlabel(LOAD)
        axes.set_ylabel(f"maximal noise\n({noise_axis(kind)})")
        axes.set_title(KINDS[kind])
    legend_of_all(figure)
    caption(
        figure,
        "The noise at which recall crosses 1/2: left, bits of the cue are flipped; right, Gaussian "
        f"noise is added to one factor of all synapses. {_about(run)}{about_arrows(everything)}",
    )
    return figure
