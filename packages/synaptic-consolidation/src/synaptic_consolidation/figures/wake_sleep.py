"""Figures of wake and sleep (Figure 3): recall, responses, and days that follow each other.

All but those of several days show the first night.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.stats import linregress

from sharpwave_shared.plotting import caption
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation.comparison import KINDS as NOISE
from synaptic_consolidation.comparison import RASTER_NOISE, RASTER_STEPS
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.night_synapses import (
    COLOURS,
    TIMES,
    about_night,
    night_synapse_figures,
)
from synaptic_consolidation.recall import NEURAL

RASTER_LOOKS = {"silent": "1", "active": "C0", "wrongly active": "C1", "wrongly silent": "0.75"}
SHARES = {
    "memorised": "new ones, evening",
    "old_by_day": "older memories, evening",
    "old_by_night": "older memories, morning",
    "kept": "replayed memories, morning",
}
"""What is said of memories, day by day."""
DAY_NOISE = ("balanced", "one_factor")
FEWEST_POINTS = 3
"""Fewer different values than this make no regression line."""


def draw(setup: WakeSleep, data: xr.Dataset) -> dict[str, Figure]:
    """Draw the figures of wake and sleep; that of days if there are several."""
    night = data.sel(day=1)
    figures = {
        "rasters": _rasters(setup, night),
        "tolerance": _tolerance(setup, night),
        "robustness": _robustness(setup, night),
        "selectivity": _selectivity(setup, night),
    } | night_synapse_figures(setup, night)
    if setup.days > 1:
        figures["days"] = _days(setup, data)
    return figures


# --- recall ---------------------------------------------------------------------------------------


def _rasters(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw the activity of some neurons that recall some patterns."""
    raster = night["raster"].isel(seed=0).transpose("sleep", "step", "cue", "neuron")
    raster = raster.dropna("cue", how="all").dropna("neuron", how="all")  # what is filled up
    shown = {time: raster.sel(sleep=time).values > 0 for time in TIMES}
    _, cues, neurons = shown["before"].shape
    targets = shown["before"][0]
    # Neurons that belong together lie together: by the first pattern in which they are active.
    order = np.argsort(np.where(targets.any(0), targets.argmax(0), cues), kind="stable")
    figure, panels = common.subplots(
        *(2, cues), figsize=(1.3 + 1.35 * cues, 4.4), squeeze=False, sharex=True, sharey=True
    )
    # silent, active, wrongly active, wrongly silent
    states = {
        time: np.where(active, np.where(targets, 1, 2), np.where(targets, 3, 0))
        for time, active in shown.items()
    }
    for row, (time, label) in zip(panels, TIMES.items(), strict=True):
        for cue, axes in enumerate(row):
            axes.imshow(
                states[time][:, cue, order].T,
                cmap=ListedColormap(list(RASTER_LOOKS.values())),
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
    seen = np.unique(np.concatenate([state.ravel() for state in states.values()]))
    handles = [
        Patch(facecolor=colour, edgecolor="0.5", linewidth=0.5, label=name)
        for i, (name, colour) in enumerate(RASTER_LOOKS.items())
        if i in seen
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    caption(
        figure,
        f"Activity from a pattern on, of {neurons} of {setup.n} neurons (those that are active "
        "in one of these patterns, sorted by pattern, and some others); after half of the "
        "time (dotted) with noise on one factor of all synapses, of a s.d. of "
        f"{RASTER_NOISE:g} mean factors. {about_night(setup, night, first=True)}",
    )
    return figure


def _tolerance(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw recall against noise, and the maximal noise, before and after sleep."""
    bars = {"neural": [k for k in NOISE if k in NEURAL]}
    bars["synaptic"] = [k for k in NOISE if k not in NEURAL]
    layout = [list(NOISE), ["neural"] + ["synaptic"] * len(bars["synaptic"])]
    figure, panels = plt.subplot_mosaic(layout, figsize=(9.2, 5.4))
    for kind in NOISE:
        for time, label in TIMES.items():
            look = {"color": COLOURS[time], "linewidth": 1.2, "label": label}
            common.draw_recall(panels[kind], night.sel(sleep=time), kind, setup.f, **look)
        common.recall_axes(panels[kind], kind)
        panels[kind].set_title(common.KINDS[kind])
    panels[NOISE[0]].set_ylabel("share of patterns recalled")
    everything = []
    for name, kinds in bars.items():
        axes = panels[name]
        for i, kind in enumerate(kinds):
            everything.append(common.maximal_noise(night.sel(sleep=list(TIMES)), kind, setup.f))
            places = i + 0.36 * np.array([-0.5, 0.5])
            common.draw_bars(axes, places, everything[-1], 0.36, color=[COLOURS[t] for t in TIMES])
        axes.set_xticks(range(len(kinds)), labels=[common.KINDS[kind] for kind in kinds])
        axes.set_xlim(-0.7, len(kinds) - 0.3)
        axes.margins(y=0.12)
        axes.set(ylim=(0, None), ylabel=f"maximal noise\n({common.noise_axis(kinds[0])})")
    handles, labels = panels[NOISE[0]].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    caption(
        figure,
        f"Recall, and the noise at which it crosses 1/2; {setup.tests} tests per level; "
        f"{common.about_spread(night)}. {about_night(setup, night)}"
        f"{common.about_arrows(*everything)}",
    )
    return figure


def _robustness(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw how much robustness each memory gains."""
    names = {"robustness_min": "weakest neuron", "robustness_mean": "mean of neurons"}
    figure, panels = common.subplots(1, 2, figsize=(7.2, 3.2))
    for axes, (name, title) in zip(panels, names.items(), strict=True):
        before, after = (night[name].sel(sleep=time).values.ravel() for time in TIMES)
        known = np.isfinite(before) & np.isfinite(after)
        x, gain = before[known], after[known] - before[known]
        axes.plot(x, gain, "o", color="C0", markersize=3, alpha=0.6)
        if len(np.unique(x)) >= FEWEST_POINTS:
            slope, intercept, _, p, _ = linregress(x, gain)
            ends = np.array([x.min(), x.max()])
            axes.plot(ends, intercept + slope * ends, color="C1")
            title += f"\nslope {slope:.2f}, $p$ = {p:.1g}"
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.set(title=title, xlabel="robustness before sleep", ylabel="gain by sleep")
    caption(
        figure,
        "Robustness of each replayed memory, $yh$ / $|w|_2$: that of its weakest neuron, and the "
        f"mean of all neurons. {about_night(setup, night)}",
    )
    return figure


# --- responses ------------------------------------------------------------------------------------


def _selectivity(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw sorted responses to familiar and novel patterns, and how sparse they are."""
    familiarity = {"familiar": "-", "novel": "--"}
    figure, (curves, boxes) = common.subplots(1, 2, figsize=(8.2, 3.3))
    values, labels, colours = [], [], []
    for time, label in TIMES.items():
        for which, line in familiarity.items():
            tuning = night[f"tuning_{which}"].sel(sleep=time)
            # At most so many points are kept, evenly spread over all patterns.
            step = (night["replayed"] - 1) / (tuning.notnull().sum("rank") - 1).clip(min=1)
            look: dict[str, Any] = {"color": COLOURS[time], "linestyle": line, "linewidth": 1.3}
            rank = 1 + tuning["rank"] * step
            common.plot_seeds(curves, rank, tuning, **look, label=f"{which}, {label}")
            sparseness = night[f"sparseness_{which}"].sel(sleep=time).values.ravel()
            values.append(sparseness[np.isfinite(sparseness)])
            labels.append(which)
            colours.append(COLOURS[time])
    curves.set(xscale="log", xlabel="rank of the pattern", ylabel="response / mean response")
    curves.set_title("Tuning curves")
    places = [0, 1, 2.5, 3.5]
    drawn = boxes.boxplot(
        values, positions=places, widths=0.6, patch_artist=True, flierprops={"markersize": 1.5}
    )
    for box, median, colour in zip(drawn["boxes"], drawn["medians"], colours, strict=True):
        box.set(facecolor=colour, alpha=0.6)
        median.set_color("black")
    boxes.set_xticks(places, labels=labels)
    boxes.set(ylim=(0, None), ylabel="sparseness of a neuron's responses", title="Selectivity")
    common.legend_of_all(figure)
    caption(
        figure,
        "Inputs $\\Sigma_j w_{ij}\\xi_j$ of neurons for patterns they have memorised, and for as "
        "many new ones. Left: sorted for each neuron, mean over neurons. Right: quartiles over "
        f"neurons; 0: the same response to all patterns, 1: to a single one. "
        f"{about_night(setup, night)}",
    )
    return figure


# --- days -----------------------------------------------------------------------------------------


def _days(setup: WakeSleep, data: xr.Dataset) -> Figure:
    """Draw what is left of memories day by day, and what each night makes of the network."""
    figure, panels = common.subplots(2, 2, figsize=(8.6, 5.4), sharex=True)
    memories, density, *tolerances = panels.flat
    for i, (name, label) in enumerate(SHARES.items()):
        # Larger, hollow markers below smaller ones, as shares are often equal.
        look = {"color": f"C{2 + i}", "marker": "osD^"[i], "markersize": 8 - 1.5 * i}
        _plot_days(memories, data[name], **look, markerfacecolor="none", label=label)
    memories.set(ylim=(-0.03, 1.05), ylabel="share that are attractors", title="patterns")
    for time, label in TIMES.items():
        look = {"color": COLOURS[time], "marker": "o", "markersize": 4}
        _plot_days(density, data["mean_density"].sel(sleep=time), **look, label=label)
    density.set(ylim=(0, 1.05), ylabel="share of weights above 0", title="density")
    everything: list[common.Maxima] = []
    for axes, kind in zip(tolerances, DAY_NOISE, strict=True):
        for time in TIMES:
            maxima = common.maximal_noise(data.sel(sleep=time), kind, setup.f)
            look = {"color": COLOURS[time], "marker": "o", "markersize": 4, "linewidth": 1.2}
            axes.errorbar(data["day"].values, maxima.value, maxima.sd, **look)
            common.draw_arrowheads(axes, data["day"].values, maxima)
            everything.append(maxima)
        axes.margins(y=0.12)
        axes.set(ylim=(0, None), ylabel=f"maximal noise\n({common.noise_axis(kind)})")
        axes.set(title=common.KINDS[kind], xlabel="day")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    common.legend_of_all(figure)
    replay = "still are attractors" if setup.keep_old else "are of the same day"
    caption(
        figure,
        f"Each day brings {setup.patterns} new patterns; nights replay memories that {replay}. "
        f"{about_night(setup, data, spread='mean and s.d. over seeds')} Of the maximal noise, "
        f"{common.about_spread(data)}.{common.about_arrows(*everything)}",
    )
    return figure


def _plot_days(axes: Axes, values: xr.DataArray, **look: Any) -> None:
    """Plot mean and standard deviation over seeds of a number of each day."""
    mean, sd = mean_and_sd(values.transpose("seed", "day").values)
    axes.errorbar(values["day"].values, mean, np.nan_to_num(sd), linewidth=1.2, **look)
