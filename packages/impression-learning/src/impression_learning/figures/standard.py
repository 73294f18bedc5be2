"""Figures of the standard mode: what a circuit has learnt of a latent process (Figure 1)."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from impression_learning.experiments.standard import Standard
from impression_learning.figures.common import (
    DATA_COLOUR,
    algorithm_name,
    loss_figure,
    only_algorithm,
    plot_alternation,
    plot_autocorrelation,
    seeds_first,
)
from sharpwave_shared.plotting import caption, decimals, first_seed, legend, seeds_in_words
from sharpwave_shared.statistics import mean_and_sd

CHANNELS = 4
"""Observations whose reconstruction is shown."""
UNITS = 2
"""Latent units that are shown."""
RECONSTRUCTED_STEPS = 200


def draw(experiment: Standard, data: xr.Dataset) -> dict[str, Figure]:
    """Draw loss, reconstruction, autocorrelations, and latents awake and alternating."""
    data = only_algorithm(data)
    return {
        "loss": loss_figure(data),
        "reconstruction": _reconstruction(data),
        "reconstruction-scatter": _scatter(data),
        "autocorrelation": _autocorrelation(data),
        "latents": _latents(data, experiment.switch_period),
    }


def _reconstruction(data: xr.Dataset) -> Figure:
    shown = data.isel(seed=0, time=slice(0, RECONSTRUCTED_STEPS))
    of = shown.sizes["channel"]
    channels = np.unique(np.linspace(0, of - 1, CHANNELS).round().astype(int))
    figure, panels = plt.subplots(
        len(channels),
        1,
        figsize=(6.6, 0.9 + 0.95 * len(channels)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axes, channel in zip(panels[:, 0], channels, strict=True):
        one = shown.isel(channel=channel)
        axes.plot(one["stimulus"], color=DATA_COLOUR, linewidth=2.2, label="data")
        axes.plot(one["reconstruction"], color="C0", linewidth=1.1, label="reconstruction")
        axes.set_title(f"channel {channel + 1}", loc="left", fontsize=8, pad=2)
        axes.set_xlim(0, shown.sizes["time"] - 1)
    panels[-1, 0].set_xlabel("step of the test passage")
    figure.supylabel("stimulus", fontsize=9)
    legend(figure, columns=2)
    caption(
        figure,
        f"Channels of {of}, evenly chosen, and what the generative weights make of the latents "
        f"inferred awake; {first_seed(data)}.",
    )
    return figure


def _scatter(data: xr.Dataset) -> Figure:
    x, told = (data[name].isel(seed=0).values.ravel() for name in ("stimulus", "reconstruction"))
    low, high = (float(f(np.concatenate([x, told]))) for f in (np.min, np.max))
    margin = 0.03 * (high - low) or 1.0
    extent = (low - margin, high + margin)
    r2 = seeds_first(data["r2"])
    figure, axes = plt.subplots(figsize=(4.4, 3.8))
    cells = axes.hexbin(
        x, told, gridsize=50, bins="log", mincnt=1, extent=(*extent, *extent), linewidths=0.1
    )
    axes.axline((0, 0), slope=1, color="C1", linewidth=1, linestyle="--", label="identity")
    axes.set(xlim=extent, ylim=extent, aspect="equal")
    axes.set_xlabel("stimulus")
    axes.set_ylabel("reconstruction")
    axes.set_title(f"Reconstruction against truth, $R^2$ = {decimals(r2[0], 3)}")
    axes.legend(loc="upper left")
    figure.colorbar(cells, ax=axes, label="values in a cell", shrink=0.9)
    mean, sd = mean_and_sd(r2)
    over_seeds = f" Over {len(r2)} seeds: {decimals(mean, 3)} ± {sd:.3f} (s.d.)."
    caption(
        figure,
        f"All channels, {data.sizes['time']} steps, {first_seed(data)}; $R^2$ of its whole test "
        f"passage.{over_seeds if len(r2) > 1 else ''}",
    )
    return figure


def _autocorrelation(data: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    named = {
        "true": ("true latents", "black", ":"),
        "inferred": ("inferred (awake)", "C0", "-"),
        "generated": ("generated (asleep)", "C1", "--"),
    }
    plot_autocorrelation(axes, data, named)
    axes.set_title("Autocorrelation of latents")
    caption(figure, f"Averaged over units; {seeds_in_words(data)}.")
    return figure


def _latents(data: xr.Dataset, period: int) -> Figure:
    units = min(UNITS, data.sizes["unit"])
    figure, panels = plt.subplots(
        units, 1, figsize=(6.6, 0.9 + 1.5 * units), sharex=True, squeeze=False
    )
    for unit, axes in enumerate(panels[:, 0]):
        plot_alternation(axes, data, period, unit)
    panels[-1, 0].set_xlabel("step of the test passage")
    legend(figure)
    correlation = seeds_first(data["alternation_correlation"])[0]
    caption(
        figure,
        f"Latents inferred awake and while wake and sleep alternate, with the same data and noise "
        f"({algorithm_name(data)}, {first_seed(data)}); correlation over the test passage "
        f"{decimals(correlation)}.",
    )
    return figure
