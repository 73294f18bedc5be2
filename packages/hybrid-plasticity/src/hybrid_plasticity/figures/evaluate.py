"""Figure of an evaluation: how networks answer at intervals they were not trained on."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from hybrid_plasticity.claims.evaluate import BEYOND, FALSE_POSITIVE, TRUE_POSITIVE
from hybrid_plasticity.experiments.evaluate import Evaluate
from hybrid_plasticity.figures.common import medians
from sharpwave_shared.plotting import PLAIN, caption, legend, name_seeds

SHADE = "0.88"


def draw(experiment: Evaluate, data: xr.Dataset) -> dict[str, Figure]:
    """Draw rates and accuracy against the test interval."""
    return {"generalisation": _generalisation(data.sortby("interval"))}


def _generalisation(data: xr.Dataset) -> Figure:
    seeds = data["seed"].values.tolist()
    intervals = data["interval"].values.astype(float)
    values = {
        name: data[name].transpose("seed", "interval").values
        for name in ("true_positive", "false_positive", "accuracy")
    }
    values["memory"] = values["true_positive"] - values["false_positive"]
    labels = {
        "true_positive": "true positive rate",
        "false_positive": "false positive rate",
        "accuracy": "accuracy",
        "memory": "true minus false\npositive rate",
    }
    trained = sorted(set(data["trained_to"].values.tolist()))
    figure, panels = plt.subplots(2, 2, figsize=(6.8, 4.9), sharex=True)
    for axes, (name, label) in zip(panels.flat, labels.items(), strict=True):
        _mark_training(axes, trained)
        for row in values[name] if len(seeds) > 1 else []:
            axes.plot(intervals, row, color="C0", linewidth=0.7, alpha=0.5)
        middle = medians(values[name])
        axes.plot(intervals, middle, color="C0", linewidth=2, marker="o", markersize=3)
        axes.set_ylabel(label)
        axes.set_ylim(-0.03, 1.03)
    panels[0, 0].axhline(TRUE_POSITIVE, color="0.4", linestyle="--", linewidth=0.8)
    panels[0, 1].axhline(FALSE_POSITIVE, color="0.4", linestyle="--", linewidth=0.8)
    highest = np.nanmax(values["false_positive"], initial=0.0)
    panels[0, 1].set_ylim(-0.01, max(0.15, 1.1 * highest))
    lowest = np.nanmin(values["accuracy"], initial=1.0)
    panels[1, 0].set_ylim(min(0.5, lowest - 0.03), 1.02)
    lowest = np.nanmin(values["memory"], initial=0.0)
    panels[1, 1].set_ylim(min(-0.03, lowest - 0.03), 1.03)
    lasting = _mark_half_lives(panels[1, 1], data, values["memory"])
    _interval_axis(panels[1, 0], intervals, trained)
    for axes in panels[1]:
        axes.set_xlabel("test interval R (scenes)")
    marked = bool(np.isfinite(data["half_life"]).any())
    _key(figure, trained, several=len(seeds) > 1, marked=marked)
    text = (
        f"{data.attrs['network']}, {name_seeds(seeds)}; {data.attrs['test_streams']} test streams "
        "at every interval. Dashed: what the claim about "
        f"R + {BEYOND} asks for (true positives at least {TRUE_POSITIVE:g}, false positives at "
        f"most {FALSE_POSITIVE:g})."
    )
    if marked:
        text += " Half-life: half of the largest difference is left (interpolated)."
    if lasting:
        which = name_seeds(lasting)
        text += f" At the longest interval more than half is left in {which}."
    caption(figure, text)
    return figure


def _mark_training(axes: Axes, trained: list[int]) -> None:
    for R in trained:
        axes.axvspan(R + BEYOND - 0.4, R + BEYOND + 0.4, color=SHADE, linewidth=0, zorder=-2)
        axes.axvline(R, color="C2", linestyle=":", linewidth=1.3, zorder=-1)


def _mark_half_lives(axes: Axes, data: xr.Dataset, memory: np.ndarray) -> list[int]:
    """Mark where half of each memory is left; give the seeds for which it is nowhere."""
    lasting = []
    seeds, half_lives = data["seed"].values.tolist(), data["half_life"].values
    for seed, half_life, row in zip(seeds, half_lives, memory, strict=True):
        if np.isnan(half_life):
            if np.nanmax(row, initial=0.0) > 0:
                lasting.append(seed)
            continue
        axes.plot(
            half_life,
            np.nanmax(row, initial=0.0) / 2,
            marker="D",
            color="C1",
            markersize=5,
            linestyle="",
            markeredgecolor="white",
            zorder=4,
        )
    return lasting


def _interval_axis(axes: Axes, intervals: np.ndarray, trained: list[int]) -> None:
    low = min(intervals.min(), trained[0])
    high = max(intervals.max(), trained[-1] + BEYOND + 0.4)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low / 1.1, high * 1.1)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.xaxis.set_minor_locator(NullLocator())


def _key(figure: Figure, trained: list[int], *, several: bool, marked: bool) -> None:
    lines: dict[str, Line2D | Patch] = {
        "median" if several else "network": Line2D([], [], color="C0", linewidth=2)
    }
    if several:
        lines["each seed"] = Line2D([], [], color="C0", linewidth=0.7, alpha=0.5)
    which = ", ".join(map(str, trained))
    lines[f"trained to R = {which}"] = Line2D([], [], color="C2", linestyle=":")
    lines[f"R + {BEYOND}"] = Patch(color=SHADE, linewidth=0)
    if marked:
        lines["half-life"] = Line2D([], [], marker="D", color="C1", linestyle="", markersize=5)
    legend(figure, lines, 5)
