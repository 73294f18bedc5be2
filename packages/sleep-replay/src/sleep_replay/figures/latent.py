"""Figures of the latent space: what it tells of digits, and what lies where."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, first_seed, legend, seeds_in_words
from sleep_replay.experiments.latent import Latent
from sleep_replay.figures.common import data_sets, mean_and_deviation, sheet, whole_numbers
from sleep_replay.latent import GRID_REACH
from sleep_replay.parameters import DATA_SETS, MOMENTS

DIGIT_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#882255", "#999933", "#888888"),
)
"""One colour a digit. The marker is the digit itself, so that none is known by colour alone."""


def draw(experiment: Latent, results: xr.Dataset) -> dict[str, Figure]:
    """Draw decoding accuracy, t-SNE, decoded grids and interpolations."""
    figures = {
        "latent-decoding": _decoding(experiment, results, "accuracy", "sleep cycles completed")
    }
    if experiment.from_scratch:
        figures["latent-decoding-from-scratch"] = _decoding(
            experiment,
            results,
            "accuracy_from_scratch",
            f"epochs of training on {data_sets(experiment)[0][1]}",
        )
    figures["latent-tsne"] = _tsne(experiment, results)
    figures["latent-grid"] = _grid(experiment, results)
    figures["latent-interpolations"] = _interpolations(experiment, results)
    return figures


def _decoding(experiment: Latent, results: xr.Dataset, measure: str, time: str) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    for d, (data_set, name, colour) in enumerate(data_sets(experiment)):
        look = {"marker": "os"[d], "markersize": 3.5, "linestyle": ("-", "--")[d]}
        accuracy = results[measure].sel(data_set=data_set).drop_vars("epoch", errors="ignore")
        mean_and_deviation(axes, accuracy, name, colour, **look)
    chance = float(results["chance"].mean())
    axes.axhline(chance, color="0.5", linestyle=":", label="always the same digit")
    axes.set_ylim(0, 1)
    whole_numbers(axes)
    axes.set_xlabel(time)
    axes.set_ylabel("decoding accuracy\n(fraction of held-out images)")
    legend(figure)
    others = results.sizes["image"] - experiment.labelled
    caption(
        figure,
        "Digits read from latent means by a support vector machine that knows "
        f"{experiment.labelled} labelled images, tested on {others} others; "
        f"{seeds_in_words(results)}.",
    )
    return figure


def _panels(
    experiment: Latent, results: xr.Dataset, axes: np.ndarray
) -> Iterator[tuple[Axes, xr.Dataset]]:
    """Give a panel, with its title, for each moment and data set, and what belongs there."""
    for moment, row in zip(MOMENTS, axes, strict=True):
        for (data_set, name, _), axis in zip(data_sets(experiment), row, strict=True):
            axis.set_title(f"{name}, {moment} sleep")
            yield axis, results.sel(moment=moment, data_set=data_set)


def _tsne(experiment: Latent, results: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 6.6), sharex="row", sharey="row")
    for axis, shown in _panels(experiment, results, axes):
        (other,) = set(DATA_SETS) - {shown["data_set"].item()}
        others = results["embedding"].sel(moment=shown["moment"].item(), data_set=other)
        axis.scatter(*others.values.T, s=4, color="0.85", linewidths=0)
        points, digits = shown["embedding"].values, shown["digit"].values
        for digit in np.unique(digits):
            colour = DIGIT_COLOURS[digit]
            place = points[digits == digit].T
            axis.scatter(*place, s=18, marker=f"${digit}$", color=colour, linewidths=0.2)
        axis.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    caption(
        figure,
        f"Latent means of {results.sizes['embedded']} test images of each data set, both arranged "
        f"together by t-SNE (arbitrary units); dots: the other data set; {first_seed(results)}.",
    )
    return figure


def _grid(experiment: Latent, results: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 7.0))
    side = results.sizes["row"]
    edge = GRID_REACH * side / (side - 1)  # the outer tiles' centres lie at the reach
    ticks = np.arange(-int(GRID_REACH), int(GRID_REACH) + 1)
    for axis, shown in _panels(experiment, results, axes):
        picture = sheet(shown["grid"].values)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=(-edge, edge, -edge, edge))
        axis.set(xticks=ticks, yticks=ticks)
        share = 100 * shown["share"].values
        axis.set_xlabel(f"component 1 (s.d.; {share[0]:.0f} % of variance)")
        axis.set_ylabel(f"component 2 (s.d.; {share[1]:.0f} % of variance)")
    caption(
        figure,
        "Images decoded from the plane of the first two principal components of each data set's "
        f"latent means, around their mean; {first_seed(results)}.",
    )
    return figure


def _interpolations(experiment: Latent, results: xr.Dataset) -> Figure:
    _, _, pairs, shown, size, _ = results["interpolation"].shape
    figure, axes = plt.subplots(2, 2, figsize=(8.6, 1.0 + 0.75 * pairs), sharex=True)
    cell = size + 2
    centres = cell * (np.arange(shown) + 0.5) - 0.5
    # The first and the last picture are A and B themselves.
    weights = [f"{weight:g}" for weight in np.linspace(0, 1, shown - 2)]
    for axis, panel in _panels(experiment, results, axes):
        axis.imshow(sheet(panel["interpolation"].values), cmap="gray", vmin=0, vmax=255)
        for edge in (cell, (shown - 1) * cell):
            axis.axvline(edge - 0.5, color="white", linewidth=4)
        axis.set_xticks(centres, ["A", *weights, "B"], fontsize=6.5)
        axis.set_yticks([])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    for axis in axes[1]:
        axis.set_xlabel("weight of B's latent mean")
    caption(
        figure,
        "Test images A and B of different digits, and images decoded from the line between their "
        f"latent means; {first_seed(results)}.",
    )
    return figure
