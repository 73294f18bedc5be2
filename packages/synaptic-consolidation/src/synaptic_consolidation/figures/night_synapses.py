"""Figures of what happens to synapses in the first night (Figure 3)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, name_seeds, numbers
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.figures.common import Arrays, legend_of_all, pooled
from synaptic_consolidation.figures.networks import EXPONENTS
from synaptic_consolidation.wake_sleep import LOOKS, WEIGHT_EDGES

TIMES = {"before": "before sleep", "after": "after sleep"}
COLOURS = {"before": "C0", "after": "C1"}
PRUNED = (-1.5, -0.5)
"""Where, on the axis of weights, the bars for pruned synapses are."""
SMALLEST_SHOWN = 1e-3
"""Weights are followed down to this share of their mean in the evening."""


def first_nights(run: StoredRun) -> list[str]:
    """Give the keys of the arrays of each seed's first night."""
    return [f"{seed}/1" for seed in run.record["seeds"]]


def about_night(
    run: StoredRun, night: int | None = 1, *, spread: str = "", first: bool = False
) -> str:
    """Say what network and night a figure shows, and what is made of several seeds.

    Parameters
    ----------
    run
        The run.
    night
        Which night; None for all.
    spread
        What is shown of several seeds, if there are.
    first
        Whether only the first seed is shown.
    """
    config, seeds = run.config, run.record["seeds"]
    seeds = seeds[:1] if first else seeds
    parts = [f"$N$ = {config['n']}, $f$ = {config['f']:g}"]
    if night is not None:
        replayed = [n["replayed"] for n in run.metrics["nights"] if n["day"] == night]
        replayed = replayed[:1] if first else replayed
        counts = " and ".join(f"{count:.0f}" for count in sorted(set(replayed)))
        counts = counts if len(set(replayed)) < 3 else f"{min(replayed):.0f} to {max(replayed):.0f}"
        parts.append(f"{counts} memories replayed")
        if config["days"] > 1:
            parts.append("first night")
    parts.append(name_seeds(seeds))
    if spread and len(seeds) > 1:
        parts.append(spread)
    return ", ".join(parts) + "."


def night_synapse_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the course of the night, weights before and after, and what is pruned."""
    arrays = run.arrays()
    return {
        "course": _course(run, arrays),
        "factors": _factors(run, arrays),
        "matrices": _matrices(run, arrays),
        "weights": _weights(run, arrays),
        "pruning": _pruning(run, arrays),
        "connectivity": _connectivity(run, arrays),
    }


# --- over the night -------------------------------------------------------------------------------


def _cycles(run: StoredRun, arrays: Arrays) -> np.ndarray:
    return arrays[f"{first_nights(run)[0]}/course/cycle"]


def _course_of(run: StoredRun, arrays: Arrays, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard deviation over the rows of all seeds, at each time of the night.

    What was not known at first has fewer values than there are times: they are the last ones.
    """
    count = len(_cycles(run, arrays))
    values = np.full((len(run.record["seeds"]), count, 2), np.nan)
    for i, key in enumerate(first_nights(run)):
        found = arrays.get(f"{key}/course/{name}")
        if found is not None:
            values[i, count - len(found) :] = found
    return pooled(values)


def _plot_course(
    axes: Axes, run: StoredRun, arrays: Arrays, name: str, label: str, colour: str
) -> None:
    cycles = _cycles(run, arrays)
    mean, sd = _course_of(run, arrays, name)
    axes.plot(cycles, mean, color=colour, label=label)
    axes.fill_between(cycles, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)


def _cycle_axis(axes: Axes, run: StoredRun) -> None:
    """Make the axis of replay cycles logarithmic from the first on, with 0 beside it."""
    last = run.config["cycles"]
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    powers = range(0, len(str(last)), 2 if last >= 10**4 else 1)
    axes.set_xticks([0, *(10**p for p in powers)], labels=["0", *(f"$10^{p}$" for p in powers)])
    axes.minorticks_off()
    axes.set_xlim(0, last)
    axes.set_xlabel("replay cycles")


def _course(run: StoredRun, arrays: Arrays) -> Figure:
    figure, (snr, density, norms) = plt.subplots(1, 3, figsize=(9.6, 3.2))
    for i, (z, q) in enumerate(EXPONENTS.items()):
        mean, _ = _course_of(run, arrays, f"snr_z{z}")
        # A logarithmic axis has no place for the negative ones of patterns that are not kept.
        mean = np.where(mean > 0, mean, np.nan)
        snr.plot(_cycles(run, arrays), mean, color=f"C{2 + i}", label=f"$q$ = {q}")
    snr.set_yscale("log")
    snr.set_ylabel("SNR")
    snr.legend()
    _plot_course(density, run, arrays, "density", "density", "C0")
    density.set_ylim(0, 1.03)
    density.set_ylabel("density (share of weights above 0)")
    for name, label, colour in (("l1", r"$|w|_1$", "C0"), ("l2", r"$|w|_2$", "C1")):
        _plot_course(norms, run, arrays, name, label, colour)
    norms.set_ylim(bottom=0)
    norms.set_ylabel("norm of a neuron's weights (a.u.)")
    norms.legend()
    for axes in (snr, density, norms):
        _cycle_axis(axes, run)
    caption(
        figure,
        "SNR: min $yh$ / (mean of $w^q$)$^{1/q}$ $[Nf(1-f)]^{1/2}$, where above 0. Mean over "
        f"neurons; bands: s.d. {about_night(run)}",
    )
    return figure


def _factors(run: StoredRun, arrays: Arrays) -> Figure:
    figure, (correlation, weights) = plt.subplots(1, 2, figsize=(7.4, 3.3))
    for name, label, colour in (
        ("within", "same synapse", "C0"),
        ("across", "different synapses", "C1"),
    ):
        _plot_course(correlation, run, arrays, name, label, colour)
    correlation.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    correlation.set_ylabel("correlation of $u_1$ and $u_2$")
    correlation.legend()
    key = first_nights(run)[0]
    examples = numbers(arrays[f"{key}/course/examples"])
    mean = examples[0].mean()
    for line in np.where(examples > 0, examples, np.nan).T / mean:
        survives = np.isfinite(line[-1])
        look = {"color": "C1", "linewidth": 1.0} if survives else {"color": "0.6", "linewidth": 0.6}
        label = "surviving" if survives else "pruned"
        known = weights.get_legend_handles_labels()[1]
        weights.plot(
            _cycles(run, arrays),
            line,
            zorder=2 + survives,
            label="_" * (label in known) + label,
            **look,
        )
    weights.set_yscale("log")
    weights.set_ylim(bottom=SMALLEST_SHOWN)
    weights.set_ylabel("$w$ / mean $w$ in the evening")
    weights.legend()
    for axes in (correlation, weights):
        _cycle_axis(axes, run)
    caption(
        figure,
        "Left: factors of surviving synapses, mean and s.d. over neurons. Right: "
        f"{examples.shape[1]} synapses of seed {run.record['seeds'][0]}; lines end where they are "
        f"pruned. {about_night(run)}",
    )
    return figure


# --- before and after -----------------------------------------------------------------------------


def _matrices(run: StoredRun, arrays: Arrays) -> Figure:
    key = first_nights(run)[0]
    figure, panels = plt.subplots(1, 2, figsize=(7.6, 4.0), sharey=True)
    shown = {time: arrays[f"{key}/{time}/weights"] for time in TIMES}
    mean = shown["before"].mean()
    scale = LogNorm(0.1, max(10.0, shown["after"].max() / mean))
    for axes, (time, label) in zip(panels, TIMES.items(), strict=True):
        weights = np.ma.masked_equal(shown[time], 0) / mean
        axes.imshow(weights, norm=scale, cmap="viridis_r")
        axes.set_title(label)
        axes.set_xlabel("presynaptic neuron")
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
    panels[0].set_ylabel("postsynaptic neuron")
    colours = ScalarMappable(scale, "viridis_r")
    figure.colorbar(colours, ax=panels, extend="min", label="$w$ / mean $w$ before", shrink=0.85)
    caption(
        figure,
        f"Weights among {len(shown['before'])} of the neurons; white: none. "
        f"{about_night(run, first=True)}",
    )
    return figure


def _weights(run: StoredRun, arrays: Arrays) -> Figure:
    """Draw the distributions of surviving weights, and of all with the pruned ones beside 0."""
    figure, (surviving, everything) = plt.subplots(1, 2, figsize=(8.2, 3.3))
    density = _course_of(run, arrays, "density")[0][[0, -1]]
    width = (PRUNED[1] - PRUNED[0]) / 2
    for i, (time, left) in enumerate(zip(TIMES, density.tolist(), strict=True)):
        histogram = np.mean([arrays[f"{k}/{time}/histogram"] for k in first_nights(run)], axis=0)
        colour = COLOURS[time]
        surviving.stairs(histogram, WEIGHT_EDGES, color=colour, label=TIMES[time], linewidth=1.3)
        everything.stairs(
            histogram * left * np.diff(WEIGHT_EDGES), WEIGHT_EDGES, color=colour, linewidth=1.3
        )
        everything.bar(PRUNED[0] + i * width, 1 - left, width, align="edge", color=colour)
    surviving.set(xlim=(0, WEIGHT_EDGES[-1]), ylim=(0, None))
    surviving.set_ylabel("probability density, surviving synapses")
    everything.set_yscale("log")
    everything.set_ylabel("share of all synapses")
    ticks = range(int(WEIGHT_EDGES[-1]) + 1)
    everything.set_xticks([np.mean(PRUNED), *ticks], labels=["pruned", *map(str, ticks)])
    for axes in (surviving, everything):
        axes.set_xlabel("$w$ / mean surviving $w$")
    legend_of_all(figure)
    caption(
        figure,
        "Weights relative to the mean of the surviving ones (left); and all (right): the share of "
        f"pruned synapses, and of others in bins of 1/8 of the mean. {about_night(run)}",
    )
    return figure


def _pruning(run: StoredRun, arrays: Arrays) -> Figure:
    """Draw how likely weak and strong synapses are pruned."""
    figure, axes = plt.subplots(figsize=(4.8, 3.4))
    names = {f"pruned_after_{cycle}": f"after {cycle} cycles" for cycle in LOOKS}
    names["pruned_at_end"] = f"after all {run.config['cycles']:,} cycles"
    for i, (name, label) in enumerate(names.items()):
        for j, key in enumerate(first_nights(run)):
            if f"{key}/{name}" in arrays:
                weight = arrays[f"{key}/initial_weight"]
                axes.plot(
                    weight / weight.mean(),
                    arrays[f"{key}/{name}"],
                    *("os^"[i] + "-",),
                    color=f"C{i}",
                    markersize=3,
                    linewidth=1.1,
                    label="_" if j else label,
                )
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlim(left=0)
    axes.set_xlabel("initial $w$ / mean initial $w$")
    axes.set_ylabel("probability of being pruned")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    caption(figure, f"Synapses in bins of equal numbers. {about_night(run)}")
    return figure


def _connectivity(run: StoredRun, arrays: Arrays) -> Figure:
    """Draw connection probability and strength against how alike two neurons respond."""
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.3))
    names = {"connected": "connection probability", "strength": "mean surviving $w$ (a.u.)"}
    for axes, (name, label) in zip(panels, names.items(), strict=True):
        for time in TIMES:
            for i, key in enumerate(first_nights(run)):
                x, y = (arrays[f"{key}/{time}/{part}"] for part in ("correlation", name))
                known = np.isfinite(x) & np.isfinite(y)
                axes.plot(
                    *(x[known], y[known], "o-"),
                    color=COLOURS[time],
                    markersize=3,
                    linewidth=1.1,
                    label="_" if i else TIMES[time],
                )
        axes.set_xlabel("correlation of responses")
        axes.set_ylabel(label)
    panels[0].set_ylim(-0.03, 1.05)
    panels[1].set_ylim(bottom=0)
    legend_of_all(figure)
    caption(
        figure,
        "Pairs of neurons by how their activity in the replayed patterns is correlated. "
        f"{about_night(run)}",
    )
    return figure
