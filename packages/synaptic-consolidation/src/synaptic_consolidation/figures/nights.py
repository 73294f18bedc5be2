"""Figures of wake and sleep (Figure 3): recall, responses, and days that follow each other.

All but those of several days show the first night.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.stats import linregress

from sharpwave_shared.plotting import caption, numbers, style
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.figures.common import (
    KINDS,
    about_arrows,
    draw_arrowhead,
    draw_maximum,
    draw_recall,
    legend_of_all,
    maximal_noise,
    noise_axis,
    recall_axes,
)
from synaptic_consolidation.figures.night_synapses import (
    COLOURS,
    TIMES,
    about_night,
    first_nights,
    night_synapse_figures,
)
from synaptic_consolidation.recall import NEURAL
from synaptic_consolidation.wake_sleep import KINDS as NOISE
from synaptic_consolidation.wake_sleep import RASTER_NOISE, RASTER_STEPS

RASTER_LOOKS = {"silent": "1", "active": "C0", "wrongly active": "C1", "wrongly silent": "0.75"}
SHARES = {
    "memorised": "new ones, evening",
    "old_by_day": "older memories, evening",
    "old_by_night": "older memories, morning",
    "kept": "replayed memories, morning",
}
"""What is said of memories, day by day."""
DAY_NOISE = ("balanced", "one-factor")
FEWEST_POINTS = 3
"""Fewer different values than this make no regression line."""


def night_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the figures of a run of wake and sleep; that of days if there are several."""
    with style():
        figures = {
            "rasters": _rasters(run),
            "tolerance": _tolerance(run),
            "robustness": _robustness(run),
            "selectivity": _selectivity(run),
        } | night_synapse_figures(run)
        if run.config["days"] > 1:
            figures["days"] = _days(run)
        return figures


# --- recall ---------------------------------------------------------------------------------------


def _rasters(run: StoredRun) -> Figure:
    """Draw the activity of some neurons that recall some patterns."""
    arrays, key = run.arrays(), first_nights(run)[0]
    colours = ListedColormap(list(RASTER_LOOKS.values()))
    shown = {time: arrays[f"{key}/{time}/raster"] for time in TIMES}
    _, cues, neurons = shown["before"].shape
    targets = shown["before"][0]
    # Neurons that belong together lie together: by the first pattern in which they are active.
    order = np.argsort(np.where(targets.any(0), targets.argmax(0), cues), kind="stable")
    figure, panels = plt.subplots(
        *(2, cues), figsize=(1.3 + 1.35 * cues, 4.4), squeeze=False, sharex=True, sharey=True
    )
    for row, (time, label) in zip(panels, TIMES.items(), strict=True):
        for cue, axes in enumerate(row):
            active, wanted = shown[time][:, cue] > 0, shown[time][0, cue] > 0
            states = np.where(active, np.where(wanted, 1, 2), np.where(wanted, 3, 0))
            axes.imshow(
                states[:, order].T,
                cmap=colours,
                vmin=-0.5,
                vmax=len(RASTER_LOOKS) - 0.5,
                aspect="auto",
                origin="lower",
                extent=(0, RASTER_STEPS, 0, neurons),
            )
            axes.axvline(RASTER_STEPS / 2, color="black", linewidth=0.8, linestyle=":")
        row[0].set_ylabel(f"{label}\nneuron")
    for cue, axes in enumerate(panels[0], start=1):
        axes.set_title(f"pattern {cue}")
    for axes in panels[-1]:
        axes.set_xlabel("time (steps)")
    handles = [
        Patch(facecolor=colour, edgecolor="0.5", linewidth=0.5, label=name)
        for name, colour in RASTER_LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    caption(
        figure,
        f"Activity of {neurons} of {run.config['n']} neurons, sorted by pattern, from a pattern "
        "on; after half of the time (dotted) with noise on one factor of all synapses, of a s.d. "
        f"of {RASTER_NOISE:g} mean factors. {about_night(run, first=True)}",
    )
    return figure


def _tolerance(run: StoredRun) -> Figure:
    """Draw recall against noise, and the maximal noise, before and after sleep."""
    arrays, f, keys = run.arrays(), run.config["f"], first_nights(run)
    bars = {"neural": [k for k in NOISE if k in NEURAL]}
    bars["synaptic"] = [k for k in NOISE if k not in NEURAL]
    layout = [list(NOISE), ["neural"] + ["synaptic"] * len(bars["synaptic"])]
    figure, panels = plt.subplot_mosaic(layout, figsize=(9.2, 5.0))
    for kind in NOISE:
        for time, label in TIMES.items():
            for i, key in enumerate(keys):
                line = {"color": COLOURS[time], "linewidth": 1.2, "label": "_" if i else label}
                draw_recall(panels[kind], arrays, f"{key}/{time}", kind, f, **line)
        recall_axes(panels[kind], kind)
        panels[kind].set_title(KINDS[kind])
    panels[NOISE[0]].set_ylabel("share of patterns recalled")
    maxima = []
    for name, kinds in bars.items():
        axes = panels[name]
        for i, kind in enumerate(kinds):
            for j, time in enumerate(TIMES):
                maxima.append(maximal_noise(arrays, [f"{k}/{time}" for k in keys], kind, f))
                draw_maximum(axes, i + 0.36 * (j - 0.5), maxima[-1], 0.36, color=COLOURS[time])
        axes.set_xticks(range(len(kinds)), labels=[KINDS[kind] for kind in kinds])
        axes.set_xlim(-0.7, len(kinds) - 0.3)
        axes.margins(y=0.12)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"maximal noise\n({noise_axis(kinds[0])})")
    handles, labels = panels[NOISE[0]].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    caption(
        figure,
        f"Recall, and the noise at which it crosses 1/2; {run.config['tests']} tests per level. "
        f"{about_night(run, spread='mean and s.d. over seeds')}{about_arrows(maxima)}",
    )
    return figure


def _robustness(run: StoredRun) -> Figure:
    """Draw how much robustness each memory gains."""
    arrays, keys = run.arrays(), first_nights(run)
    names = {"robustness_min": "weakest neuron", "robustness_mean": "mean of neurons"}
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.2))
    for axes, (name, title) in zip(panels, names.items(), strict=True):
        before, after = (
            np.concatenate([numbers(arrays[f"{key}/{time}/{name}"]) for key in keys])
            for time in TIMES
        )
        known = np.isfinite(before) & np.isfinite(after)
        x, gain = before[known], (after - before)[known]
        axes.plot(x, gain, "o", color="C0", markersize=3, alpha=0.6)
        if len(np.unique(x)) >= FEWEST_POINTS:
            slope, intercept, _, p, _ = linregress(x, gain)
            ends = np.array([x.min(), x.max()])
            axes.plot(ends, intercept + slope * ends, color="C1")
            title += f"\nslope {slope:.2f}, $p$ = {p:.1g}"
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.set_title(title)
        axes.set_xlabel("robustness before sleep")
        axes.set_ylabel("gain by sleep")
    caption(
        figure,
        "Robustness of each replayed memory, $yh$ / $|w|_2$: that of its weakest neuron, and the "
        f"mean of all neurons. {about_night(run)}",
    )
    return figure


# --- responses ------------------------------------------------------------------------------------


def _selectivity(run: StoredRun) -> Figure:
    """Draw sorted responses to familiar and novel patterns, and how sparse they are."""
    arrays, keys = run.arrays(), first_nights(run)
    familiarity = {"familiar": "-", "novel": "--"}
    figure, (curves, boxes) = plt.subplots(1, 2, figsize=(8.2, 3.3))
    values, labels, colours = [], [], []
    for time, label in TIMES.items():
        for which, line in familiarity.items():
            for i, key in enumerate(keys):
                tuning = numbers(arrays[f"{key}/{time}/tuning_{which}"])
                # At most so many points are kept, evenly spread over all patterns.
                rank = np.linspace(1, float(arrays[f"{key}/replayed"]), len(tuning))
                look: dict[str, Any] = {"color": COLOURS[time], "linestyle": line}
                name = "_" if i else f"{which}, {label}"
                curves.plot(rank, tuning, linewidth=1.3, label=name, **look)
            sparseness = np.concatenate([arrays[f"{k}/{time}/sparseness_{which}"] for k in keys])
            values.append(sparseness[np.isfinite(sparseness)])
            labels.append(which)
            colours.append(COLOURS[time])
    curves.set_xscale("log")
    curves.set_xlabel("rank of the pattern")
    curves.set_ylabel("response / mean response")
    curves.set_title("Tuning curves")
    places = [0, 1, 2.5, 3.5]
    drawn = boxes.boxplot(
        values, positions=places, widths=0.6, patch_artist=True, flierprops={"markersize": 1.5}
    )
    for box, median, colour in zip(drawn["boxes"], drawn["medians"], colours, strict=True):
        box.set(facecolor=colour, alpha=0.6)
        median.set_color("black")
    boxes.set_xticks(places, labels=labels)
    boxes.set_ylim(bottom=0)
    boxes.set_ylabel("sparseness of a neuron's responses")
    boxes.set_title("Selectivity")
    legend_of_all(figure)
    caption(
        figure,
        "Inputs $\\Sigma_j w_{ij}\\xi_j$ of neurons for patterns they have memorised, and for as "
        "many new ones. Left: sorted for each neuron, mean over neurons. Right: quartiles over "
        f"neurons; 0: the same response to all patterns, 1: to a single one. {about_night(run)}",
    )
    return figure


# --- days -----------------------------------------------------------------------------------------


def _days(run: StoredRun) -> Figure:
    """Draw what is left of memories day by day, and what each night makes of the network."""
    figure, panels = plt.subplots(2, 2, figsize=(8.6, 5.4), sharex=True)
    memories, density, *tolerances = panels.flat
    for i, (name, label) in enumerate(SHARES.items()):
        # Larger, hollow markers below smaller ones, as shares are often equal.
        look = {"color": f"C{2 + i}", "marker": "osD^"[i], "markersize": 8 - 1.5 * i}
        _plot_days(memories, run, [name], **look, markerfacecolor="none", label=label)
    memories.set_ylim(-0.03, 1.05)
    memories.set_ylabel("share that are attractors")
    memories.set_title("patterns")
    for time, label in TIMES.items():
        at = {"before": 0, "after": -1}[time]
        path = ["course", "density", at, 0]
        _plot_days(density, run, path, color=COLOURS[time], marker="o", markersize=4, label=label)
    density.set_ylim(0, 1.05)
    density.set_ylabel("share of weights above 0")
    density.set_title("density")
    maxima = []
    for axes, kind in zip(tolerances, DAY_NOISE, strict=True):
        for time in TIMES:
            maxima += _plot_tolerance_of_days(axes, run, kind, time)
        axes.margins(y=0.12)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"maximal noise\n({noise_axis(kind)})")
        axes.set_title(KINDS[kind])
        axes.set_xlabel("day")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_of_all(figure)
    replay = "still are attractors" if run.config["keep_old"] else "are of the same day"
    caption(
        figure,
        f"Each day brings {run.config['patterns']} new patterns; nights replay memories that "
        f"{replay}. {about_night(run, night=None, spread='mean and s.d. over seeds')}"
        f"{about_arrows(maxima)}",
    )
    return figure


def _plot_days(axes: Axes, run: StoredRun, path: Sequence[str | int], **look: Any) -> None:
    """Plot mean and standard deviation over seeds of a number of nights."""
    days, seeds = run.config["days"], run.record["seeds"]
    found = {}
    for night in run.metrics["nights"]:
        value: Any = night
        for step in path:
            value = value[step]
        found[night["seed"], night["day"]] = value
    values = np.ma.masked_invalid(
        numbers([[found[s, d] for d in range(1, days + 1)] for s in seeds])
    )
    mean, sd = (np.ma.filled(v, np.nan) for v in (values.mean(0), values.std(0)))
    axes.errorbar(range(1, days + 1), mean, sd, linewidth=1.2, **look)


def _plot_tolerance_of_days(
    axes: Axes, run: StoredRun, kind: str, time: str
) -> list[tuple[float, float, bool]]:
    """Plot the maximal noise of each day's network; give it."""
    arrays, seeds = run.arrays(), run.record["seeds"]
    days = range(1, run.config["days"] + 1)
    maxima = [
        maximal_noise(arrays, [f"{s}/{day}/{time}" for s in seeds], kind, run.config["f"])
        for day in days
    ]
    values, sds, _ = map(np.array, zip(*maxima, strict=True))
    axes.errorbar(days, values, sds, color=COLOURS[time], marker="o", markersize=4, linewidth=1.2)
    for day, (value, sd, beyond) in zip(days, maxima, strict=True):
        if beyond:
            draw_arrowhead(axes, day, value + sd)
    return maxima
