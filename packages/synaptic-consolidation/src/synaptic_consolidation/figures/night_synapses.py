"""Figures of what happens to synapses in the first night (Figure 3)."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, legend, named_in
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.networks import EXPONENTS, draw_weights, weight_axes

TIMES = {"before": "before sleep", "after": "after sleep"}
COLOURS = {"before": "C0", "after": "C1"}
DOTS: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 1.1}
WAKE = {
    "wake_memorised": "share of attractors",
    "wake_snr": "SNR ($q$ = 1)",
    "wake_density": "density",
}
SMALLEST_SHOWN = 1e-3
"""Weights are followed down to this share of their mean in the evening."""


def about_night(
    setup: WakeSleep, night: xr.Dataset, *, spread: str = "", first: bool = False
) -> str:
    """Say what network and night a figure shows, and what is made of several seeds.

    Parameters
    ----------
    setup
        The experiment.
    night
        Results of a night; or of all.
    spread
        What is shown of several seeds, if there are.
    first
        Whether only the first seed is shown.
    """
    shown = night.isel(seed=slice(1)) if first else night
    parts = [f"$N$ = {setup.n}, $f$ = {setup.f:g}"]
    if "day" not in night.dims:
        counts = sorted({int(count) for count in shown["replayed"].values})
        few = " and ".join(map(str, counts))
        parts.append(
            f"{few if len(counts) < 3 else f'{counts[0]} to {counts[-1]}'} memories replayed"
        )
        if setup.days > 1:
            parts.append("first night")
    parts.append(common.seeds_of(shown))
    if spread and shown.sizes["seed"] > 1:
        parts.append(spread)
    return ", ".join(parts) + "."


def night_synapse_figures(setup: WakeSleep, night: xr.Dataset) -> dict[str, Figure]:
    """Draw the course of the night, weights before and after, and what is pruned."""
    return {
        "course": _course(setup, night),
        "factors": _factors(setup, night),
        "matrices": _matrices(setup, night),
        "weights": _weights(setup, night),
        "pruning": _pruning(setup, night),
        "connectivity": _connectivity(setup, night),
    }


# --- over the night -------------------------------------------------------------------------------


def _plot_course(axes: Axes, night: xr.Dataset, name: str, label: str, colour: str) -> None:
    mean, sd = common.over_rows(night[name])
    axes.plot(night["cycle"], mean, color=colour, label=label)
    axes.fill_between(night["cycle"], mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)


def _cycle_axis(axes: Axes, last: int) -> None:
    """Make the axis of replay cycles logarithmic from the first on, with 0 beside it."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    powers = range(0, len(str(last)), 2 if last >= 10**4 else 1)
    axes.set_xticks([0, *(10**p for p in powers)], labels=["0", *(f"$10^{p}$" for p in powers)])
    axes.minorticks_off()
    axes.set(xlim=(0, last), xlabel="replay cycles")


def _course(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw what the day and the night change."""
    figure, panels = plt.subplot_mosaic(
        [["wake_memorised", "wake_snr", "wake_density"], ["norms", "snr", "density"]],
        figsize=(9.6, 5.6),
    )
    for name, label in WAKE.items():
        axes = panels[name]
        for of_seed in night[name].transpose("seed", "seen").values:
            axes.plot(night["seen"], of_seed, color="C0")
        axes.set(xlabel="passes", ylabel=label, xlim=(0, setup.passes))
    panels["wake_memorised"].set_ylim(-0.03, 1.05)
    panels["wake_snr"].axhline(0, color="0.6", linewidth=0.8, zorder=0)
    for i, (z, q) in enumerate(EXPONENTS.items()):
        mean, _ = common.over_rows(night[f"snr_z{z}"])
        # A logarithmic axis has no place for the negative ones of patterns that are not kept.
        mean = np.where(mean > 0, mean, np.nan)
        panels["snr"].plot(night["cycle"], mean, color=f"C{2 + i}", label=f"$q$ = {q}")
    panels["snr"].set(yscale="log", ylabel="SNR")
    panels["snr"].legend()
    _plot_course(panels["density"], night, "density", "density", "C0")
    panels["density"].set_ylabel(WAKE["wake_density"])
    lowest = float(night["mean_density"].min())
    for name in ("density", "wake_density"):
        panels[name].set(yscale="log", ylim=(0.5 * lowest or 1e-3, 1.3))
    for name, label, colour in (("l1", r"$|w|_1$", "C0"), ("l2", r"$|w|_2$", "C1")):
        _plot_course(panels["norms"], night, name, label, colour)
    panels["norms"].set(ylim=(0, None), ylabel="norm of a neuron's weights (a.u.)")
    panels["norms"].legend()
    for name in ("snr", "density", "norms"):
        _cycle_axis(panels[name], setup.cycles)
    caption(
        figure,
        "Above: the day; a line for each seed. Below: the night. SNR: min $yh$ / (mean of "
        "$w^q$)$^{1/q}$ $[Nf(1-f)]^{1/2}$ over new patterns by day ($q$ = 1) and replayed ones by "
        f"night, where above 0. Mean over neurons; bands: s.d. {about_night(setup, night)}",
    )
    return figure


def _factors(setup: WakeSleep, night: xr.Dataset) -> Figure:
    figure, (correlation, weights) = common.subplots(1, 2, figsize=(7.4, 3.3))
    for name, label, colour in (
        ("within", "same synapse", "C0"),
        ("across", "different synapses", "C1"),
    ):
        _plot_course(correlation, night, name, label, colour)
    correlation.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    correlation.set_ylabel("correlation of $u_1$ and $u_2$")
    correlation.legend()
    examples = night["examples"].isel(seed=0).dropna("example").values
    mean = examples[0].mean()
    for line in np.where(examples > 0, examples, np.nan).T / mean:
        survives = np.isfinite(line[-1])
        look = {"color": "C1", "linewidth": 1.0} if survives else {"color": "0.6", "linewidth": 0.6}
        label = "surviving" if survives else "pruned"
        weights.plot(night["cycle"], line, zorder=2 + survives, label=label, **look)
    weights.set_yscale("log")
    weights.set_ylim(bottom=SMALLEST_SHOWN)
    weights.set_ylabel("$w$ / mean $w$ in the evening")
    named = named_in(weights)
    weights.legend(named.values(), named)
    for axes in (correlation, weights):
        _cycle_axis(axes, setup.cycles)
    caption(
        figure,
        "Left: factors of surviving synapses, mean and s.d. over neurons. Right: "
        f"{examples.shape[1]} synapses of seed {night['seed'].values[0]}; lines end where they are "
        f"pruned. {about_night(setup, night)}",
    )
    return figure


# --- before and after -----------------------------------------------------------------------------


def _matrices(setup: WakeSleep, night: xr.Dataset) -> Figure:
    figure, panels = common.subplots(1, 2, figsize=(7.6, 4.0), sharey=True)
    shown = {time: night["weights"].isel(seed=0).sel(sleep=time).values for time in TIMES}
    mean = shown["before"].mean()
    scale = LogNorm(0.1, max(10.0, shown["after"].max() / mean))
    for axes, (time, label) in zip(panels, TIMES.items(), strict=True):
        weights = np.ma.masked_equal(shown[time], 0) / mean
        axes.imshow(weights, norm=scale, cmap="viridis_r")
        axes.set(title=label, xlabel="presynaptic neuron")
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
    panels[0].set_ylabel("postsynaptic neuron")
    colours = ScalarMappable(scale, "viridis_r")
    figure.colorbar(colours, ax=panels, extend="min", label="$w$ / mean $w$ before", shrink=0.85)
    caption(
        figure,
        f"Weights among {len(shown['before'])} of the neurons; white: none. "
        f"{about_night(setup, night, first=True)}",
    )
    return figure


def _weights(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw the distributions of surviving weights, and of all, the pruned ones on the left."""
    figure, (surviving, everything) = common.subplots(1, 2, figsize=(8.2, 3.3))
    for i, (time, label) in enumerate(TIMES.items()):
        histogram = night["histogram"].sel(sleep=time).mean("seed").values
        look = {"color": COLOURS[time], "label": label}
        draw_weights(surviving, everything, histogram, (i, len(TIMES)), **look)
    weight_axes(surviving, everything, night["histogram"])
    surviving.set_ylabel("probability density of\n$\\log_{10} w$, surviving")
    everything.set_ylabel("share of all synapses")
    legend(figure, beside=True)
    caption(
        figure,
        "Weights that survive (left), and all (right), in bins of a tenth of a decade; pruned "
        f"ones, whose weight is 0, are on the left. {about_night(setup, night)}",
    )
    return figure


def _pruning(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw how likely weak and strong synapses are pruned."""
    figure, axes = common.subplots(figsize=(4.8, 3.4))
    for i, cycle in enumerate(night["look"].values):
        whole = "all " if cycle == setup.cycles else ""
        common.plot_seeds(
            axes,
            night["initial_weight"],
            night["pruned"].sel(look=cycle),
            **DOTS | {"marker": "os^"[i], "color": f"C{i}"},
            label=f"after {whole}{cycle:,} cycles",
        )
    axes.set(ylim=(-0.03, 1.05), xlabel=r"initial $\log_{10} w$ (s.d. from its mean)")
    axes.set_ylabel("probability of being pruned")
    legend(figure)
    caption(
        figure,
        "Synapses in bins of equal width, by their weight in the evening. "
        f"{about_night(setup, night)}",
    )
    return figure


def _connectivity(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw connection probability and strength against how alike the inputs of two neurons are."""
    figure, panels = common.subplots(1, 2, figsize=(7.4, 3.3))
    names = {"connected": "connection probability", "strength": "mean surviving $w$ (a.u.)"}
    for axes, (name, label) in zip(panels, names.items(), strict=True):
        for time in TIMES:
            at = night.sel(sleep=time)
            look = DOTS | {"color": COLOURS[time], "label": TIMES[time]}
            common.plot_seeds(axes, at["correlation"], at[name], **look)
        axes.set(xlabel="correlation of input currents", ylabel=label)
    panels[0].set_ylim(-0.03, 1.05)
    panels[1].set_ylim(bottom=0)
    legend(figure, beside=True)
    caption(
        figure,
        "Pairs of neurons by how their inputs, in replayed patterns, are correlated; in bins of "
        f"equal width. {about_night(setup, night)}",
    )
    return figure
