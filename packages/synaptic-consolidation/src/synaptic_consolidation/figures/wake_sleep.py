"""Figures of wake and sleep (Figure 3): recall, responses, and days that follow each other.

All but those of several days show the first night.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import linregress

from sharpwave_shared.plotting import caption, decimals, legend
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation.comparison import KINDS as NOISE
from synaptic_consolidation.comparison import (
    RASTER_CALM,
    RASTER_CUE,
    RASTER_NOISE,
    RASTER_STEPS,
)
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.night_synapses import (
    COLOURS,
    TIMES,
    about_night,
    night_synapse_figures,
)
from synaptic_consolidation.night import GAINS
from synaptic_consolidation.recall import NEURAL

RASTER_LOOKS = {"active, as in the cue": "C0", "wrongly active": "C1"}
SPARSENESS = {"": "Inputs", "soft_": "Soft threshold", "hard_": "Hard threshold"}
"""Kinds of responses, see `comparison.RESPONSES`."""
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
    """Draw the activity and the inputs of some neurons, which recall one cue after another."""
    names = ["raster", "currents"]
    first = night[names].isel(seed=0).transpose("sleep", "step", "neuron").dropna("neuron")
    cues = first["raster"].sel(sleep="before")[::RASTER_CUE].values > 0
    # Neurons that belong together lie together: by the first cue in which they are active.
    order = np.argsort(np.where(cues.any(0), cues.argmax(0), len(cues)), kind="stable")
    targets = np.repeat(cues, RASTER_CUE, 0)[:RASTER_STEPS, order]
    figure, panels = common.subplots(2, 1, figsize=(8.6, 6.4), sharex=True, sharey=True)
    for axes, (time, label) in zip(panels, TIMES.items(), strict=True):
        active, currents = (first[name].sel(sleep=time).values[:, order] for name in names)
        currents = currents / currents.std()
        axes.imshow(
            currents.T,
            cmap="Greys",
            vmin=-2.0,
            vmax=4.0,
            aspect="auto",
            origin="lower",
            extent=(0, RASTER_STEPS, 0, len(order)),
        )
        for (name, colour), which in zip(
            RASTER_LOOKS.items(), ((active > 0) & targets, (active > 0) & ~targets), strict=True
        ):
            step, neuron = np.nonzero(which)
            look = {"markersize": 1.4, "color": colour, "linestyle": "none"}
            axes.plot(step + 0.5, neuron + 0.5, "s", label=name, **look)
        axes.axvline(RASTER_CALM, color="black", linewidth=0.8, linestyle=":")
        axes.set(title=label, ylabel="neuron", xlim=(0, RASTER_STEPS), ylim=(0, len(order)))
    panels[1].set_xlabel("time (steps)")
    legend(figure, columns=2, markerscale=4)
    caption(
        figure,
        f"Activity (dots) and the inputs that it causes (grey, darker: higher) of {len(order)} of "
        f"{setup.n} neurons, sorted by the first cue that they are active in. Every {RASTER_CUE} "
        f"steps another memory is the cue; from step {RASTER_CALM} on (dotted) noise on one factor "
        f"of all synapses, of a s.d. of {RASTER_NOISE:g} mean factors, is drawn anew in every "
        f"step. {about_night(setup, night, first=True)}",
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
    legend(figure, columns=2)
    caption(
        figure,
        f"Recall, and the noise at which it is nearest to 1/2; {setup.tests} tests per level; "
        f"{common.about_spread(night)}. {about_night(setup, night)}"
        f"{common.about_arrows(*everything)}",
    )
    return figure


def _robustness(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw the robustness of each memory after some replay cycles against that before."""
    names = {"min": "weakest neuron", "mean": "mean of neurons"}
    figure, panels = common.subplots(1, 2, figsize=(9.6, 3.9))
    last = int(night["cycle"][-1])
    shown = [("robustness_{}", cycle) for cycle in (*GAINS, last) if cycle <= last]
    shown.append(("shuffled_{}", last))
    for axes, (which, title) in zip(panels, names.items(), strict=True):
        lowest, highest = np.inf, -np.inf
        for i, (name, cycle) in enumerate(shown):
            values = night[name.format(which)]
            before, after = (values.sel(cycle=c).values.ravel() for c in (0, cycle))
            known = np.isfinite(before) & np.isfinite(after)
            before, after = before[known], after[known]
            control = name.startswith("shuffled")
            colour = "0.6" if control else f"C{i}"
            label = f"{cycle:,} cycles" + ", shuffled" * control
            if len(np.unique(before)) >= FEWEST_POINTS:
                slope, intercept, *_ = linregress(before, after)
                ends = np.array([before.min(), before.max()])
                axes.plot(ends, intercept + slope * ends, color=colour, zorder=3)
                label += f": slope {decimals(slope)}"
            axes.plot(before, after, "o", color=colour, markersize=2.2, alpha=0.5, label=label)
            if len(before):
                lowest, highest = min(lowest, before.min()), max(highest, before.max())
        if highest > lowest:
            ends = [lowest, highest]
            axes.plot(ends, ends, color="black", linewidth=0.8, linestyle=":", label="unchanged")
        axes.set(title=title, xlabel="robustness before sleep", ylabel="robustness after")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    caption(
        figure,
        "Robustness of each replayed memory, $yh$ / $|w|_2$. A slope below 1 means that weak ones "
        "gain most. Grey: memories put together of answers of neurons to different memories, which "
        f"shows what chance alone does. {about_night(setup, night)}",
    )
    return figure


# --- responses ------------------------------------------------------------------------------------


def _selectivity(setup: WakeSleep, night: xr.Dataset) -> Figure:
    """Draw sorted inputs by familiar and novel patterns, and how sparse responses are."""
    familiarity = {"familiar": "-", "novel": "--"}
    figure, (curves, *boxes) = common.subplots(1, 4, figsize=(11.4, 3.4))
    for time, label in TIMES.items():
        for which, line in familiarity.items():
            tuning = night[f"tuning_{which}"].sel(sleep=time)
            # At most so many points are kept, evenly spread over all patterns.
            step = (night["replayed"] - 1) / (tuning.notnull().sum("rank") - 1).clip(min=1)
            look: dict[str, Any] = {"color": COLOURS[time], "linestyle": line, "linewidth": 1.3}
            rank = 100 * (1 + tuning["rank"] * step) / night["replayed"]
            common.plot_seeds(curves, rank, tuning, **look, label=f"{which}, {label}")
    curves.set(xscale="log", xlabel="rank of the pattern (%)", title="Tuning curves")
    curves.set_ylabel("input (s.d. from the mean familiar one)")
    places = [0, 1, 2.5, 3.5]
    for axes, (kind, title) in zip(boxes, SPARSENESS.items(), strict=True):
        found = [
            night[f"sparseness_{kind}{which}"].sel(sleep=time).values.ravel()
            for time in TIMES
            for which in familiarity
        ]
        drawn = axes.boxplot(
            [values[np.isfinite(values)] for values in found],
            positions=places,
            widths=0.6,
            patch_artist=True,
            flierprops={"markersize": 1.5},
        )
        colours = [COLOURS[time] for time in TIMES for _ in familiarity]
        for box, median, colour in zip(drawn["boxes"], drawn["medians"], colours, strict=True):
            box.set(facecolor=colour, alpha=0.6)
            median.set_color("black")
        axes.set_xticks(places, labels=["fam.", "nov."] * 2)
        axes.set(ylabel="sparseness", title=title)
    legend(figure, beside=True)
    caption(
        figure,
        "Familiar patterns (memories) and novel ones (permutations of these). Left: inputs sorted "
        "for each neuron, mean over neurons. Others: sparseness of the inputs "
        "$\\Sigma_j w_{ij}\\xi_j$, and of responses max($h$, 0) and $h$ > 0; quartiles over "
        "neurons that respond at all. 0: the same response to all patterns, 1: to a single one. "
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
    legend(figure, beside=True)
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
