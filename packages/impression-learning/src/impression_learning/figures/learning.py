"""Figures of the standard mode: what a circuit has learnt of a latent process (Figure 1)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from impression_learning.figures.common import (
    DATA_COLOUR,
    Condition,
    algorithm_name,
    first_seed,
    loss_figure,
    mean_and_error,
    plot_alternation,
    plot_autocorrelation,
    seeds_in_words,
)
from sharpwave_shared.plotting import caption, numbers, style
from sharpwave_shared.runs import StoredRun

CHANNELS = 4
"""Observations whose reconstruction is shown."""
UNITS = 2
"""Latent units that are shown."""
RECONSTRUCTED_STEPS = 200


def standard_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw loss, reconstruction, autocorrelations, and latents awake and alternating."""
    (condition,) = run.metrics["conditions"]
    arrays = run.arrays()
    with style():
        return {
            "loss": loss_figure(run, condition),
            "reconstruction": _reconstruction(run, arrays),
            "reconstruction-scatter": _scatter(run, arrays, condition),
            "autocorrelation": _autocorrelation(run, arrays),
            "latents": _latents(run, arrays, condition),
        }


def _reconstruction(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    data, told = (
        arrays[f"0.{name}"][:RECONSTRUCTED_STEPS] for name in ("stimulus", "reconstruction")
    )
    channels = np.unique(np.linspace(0, data.shape[1] - 1, CHANNELS).round().astype(int))
    figure, panels = plt.subplots(
        len(channels),
        1,
        figsize=(6.6, 0.9 + 0.95 * len(channels)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axes, channel in zip(panels[:, 0], channels, strict=True):
        axes.plot(data[:, channel], color=DATA_COLOUR, linewidth=2.2, label="data")
        axes.plot(told[:, channel], color="C0", linewidth=1.1, label="reconstruction")
        axes.set_title(f"channel {channel + 1}", loc="left", fontsize=8, pad=2)
        axes.set_xlim(0, len(data) - 1)
    panels[-1, 0].set_xlabel("step of the test passage")
    figure.supylabel("stimulus", fontsize=9)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    caption(
        figure,
        f"Channels of {data.shape[1]}, evenly chosen, and what the generative weights make of the "
        f"latents inferred awake; {first_seed(run)}.",
    )
    return figure


def _scatter(run: StoredRun, arrays: dict[str, np.ndarray], condition: Condition) -> Figure:
    data, told = (arrays[f"0.{name}"].ravel() for name in ("stimulus", "reconstruction"))
    low, high = (float(f(np.concatenate([data, told]))) for f in (np.min, np.max))
    margin = 0.03 * (high - low) or 1.0
    extent = (low - margin, high + margin)
    r2 = numbers(condition["summary"]["r2"])
    figure, axes = plt.subplots(figsize=(4.4, 3.8))
    cells = axes.hexbin(
        data, told, gridsize=50, bins="log", mincnt=1, extent=(*extent, *extent), linewidths=0.1
    )
    axes.axline((0, 0), slope=1, color="C1", linewidth=1, linestyle="--", label="identity")
    axes.set(xlim=extent, ylim=extent, aspect="equal")
    axes.set_xlabel("stimulus")
    axes.set_ylabel("reconstruction")
    axes.set_title(f"Reconstruction against truth, $R^2$ = {r2[0]:.3f}")
    axes.legend(loc="upper left")
    figure.colorbar(cells, ax=axes, label="values in a cell", shrink=0.9)
    mean, error = mean_and_error(r2)
    over_seeds = f" Over {len(r2)} seeds: {mean:.3f} ± {error:.3f} (s.e.m.)."
    caption(
        figure,
        f"All channels, {len(arrays['0.stimulus'])} steps, {first_seed(run)}; $R^2$ of its whole "
        f"test passage.{over_seeds if len(r2) > 1 else ''}",
    )
    return figure


def _autocorrelation(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    plot_autocorrelation(
        axes,
        arrays,
        {
            "true": ("true latents", "black", ":"),
            "inferred": ("inferred (awake)", "C0", "-"),
            "generated": ("generated (asleep)", "C1", "--"),
        },
    )
    axes.set_title("Autocorrelation of latents")
    caption(figure, f"Averaged over units; {seeds_in_words(run)}.")
    return figure


def _latents(run: StoredRun, arrays: dict[str, np.ndarray], condition: Condition) -> Figure:
    units = min(UNITS, arrays["0.awake"].shape[1])
    figure, panels = plt.subplots(
        units, 1, figsize=(6.6, 0.9 + 1.5 * units), sharex=True, squeeze=False
    )
    for unit, axes in enumerate(panels[:, 0]):
        plot_alternation(axes, arrays, 0, condition["switch_period"], unit)
    panels[-1, 0].set_xlabel("step of the test passage")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    correlation = numbers(condition["summary"]["alternation_correlation"])[0]
    caption(
        figure,
        f"Latents inferred awake and while wake and sleep alternate, with the same data and noise "
        f"({algorithm_name(condition)}, {first_seed(run)}); correlation over the test passage "
        f"{correlation:.2f}.",
    )
    return figure
