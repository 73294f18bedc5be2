"""Figures of learning without sleep."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, legend, log_scale, plot_points, seeds_in_words
from sleep_replay.experiments.mixtures import Baselines, Interleave, Samples
from sleep_replay.figures.common import CARRIED, ERROR, data_sets, mean_and_deviation, whole_numbers

MODES = {"new": "new images only", "old": "own samples only", "both": "both, shuffled together"}


def draw(experiment: Baselines | Samples | Interleave, results: xr.Dataset) -> dict[str, Figure]:
    """Draw the figure of an experiment."""
    match experiment:
        case Baselines():
            return {"baselines": _baselines(experiment, results)}
        case Samples():
            return {"samples": _samples(experiment, results)}
        case Interleave():
            return {"interleave": _interleave(experiment, results)}


def _baselines(experiment: Baselines, results: xr.Dataset) -> Figure:
    """Draw the errors of both data sets over epochs, a panel for each mode."""
    modes = experiment.modes
    figure, panels = plt.subplots(
        1, len(modes), figsize=(1.8 + 1.9 * len(modes), 3.2), sharey=True, squeeze=False
    )
    for axes, mode in zip(panels[0], modes, strict=True):
        for data_set, name, colour in data_sets(experiment):
            error = results["error"].sel(mode=mode, data_set=data_set, drop=True)
            mean_and_deviation(axes, error, name, colour)
        axes.set_title(MODES[mode])
        axes.set_xlabel("epoch")
        whole_numbers(axes)
    panels[0, 0].set_ylabel(ERROR)
    panels[0, 0].set_ylim(bottom=0)
    legend(figure, columns=2)
    caption(figure, f"Learning without sleep; {seeds_in_words(results)}.")
    return figure


def _samples(experiment: Samples, results: xr.Dataset) -> Figure:
    """Draw the final errors against the number of own samples in the mixture."""
    figure, axes = plt.subplots(figsize=(4.8, 3.4))
    counts = results["sampled"].values
    models = results.sizes["seed"] * results.sizes["trial"]
    apart = 0.008 * np.ptp(counts)  # so that the two data sets do not hide each other
    for d, (data_set, name, colour) in enumerate(data_sets(experiment)):
        errors = results["error"].sel(data_set=data_set).stack(model=("seed", "trial"))
        values = errors.transpose("model", "sampled").values
        x = counts + apart * (2 * d - 1)
        axes.plot(np.tile(x, models), values.ravel(), ".", color=colour, alpha=0.35, ms=5)
        plot_points(axes, x, values, name, colour, marker="_", markersize=7)
    axes.set_xlabel(f"own samples beside {experiment.num_new} new images")
    axes.set_ylabel(ERROR)
    log_scale(axes)
    legend(figure, columns=2)
    bars = "Lines and bars: mean and s.d." if models > 1 else "Line: mean"
    caption(figure, f"{bars} over the trained models ({models} for each number), the dots.")
    return figure


def _interleave(experiment: Interleave, results: xr.Dataset) -> Figure:
    """Draw squared error and variance carried against the length of the blocks."""
    figure, panels = plt.subplots(1, 2, figsize=(6.6, 3.2))
    blocks = results["block"].values
    for axes, measure, label in zip(
        panels, ("mse", "carried"), ("mean squared error per pixel", CARRIED), strict=True
    ):
        for data_set, name, colour in data_sets(experiment):
            values = results[measure].sel(data_set=data_set).transpose("seed", "block").values
            plot_points(axes, blocks, values, name, colour)
        axes.set_xscale("log")
        axes.set_xticks(blocks, [str(block) for block in blocks])
        axes.minorticks_off()
        axes.set_xlabel("images of one data set in a row")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    legend(figure, columns=2)
    caption(figure, f"One epoch from scratch in alternating blocks; {seeds_in_words(results)}.")
    return figure
