"""Figures of the latent space: what it tells of digits, and what lies where."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun
from sleep_replay.figures.common import (
    data_set_names,
    mean_and_deviation,
    seeds_in_words,
    sheet,
)
from sleep_replay.latent import GRID_REACH
from sleep_replay.slept import MOMENTS

DIGIT_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#882255", "#999933", "#888888"),
)
"""One colour a digit. The marker is the digit itself, so that none is known by colour alone."""


def latent_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw decoding accuracy, t-SNE, decoded grids and interpolations."""
    arrays = run.arrays()
    with style():
        figures = {"latent-decoding": _decoding(run, arrays)}
        if len(arrays["from_scratch"]):
            figures["latent-decoding-from-scratch"] = _decoding_from_scratch(run, arrays)
        figures["latent-tsne"] = _tsne(run, arrays)
        figures["latent-grid"] = _grid(run, arrays)
        figures["latent-interpolations"] = _interpolations(run, arrays)
    return figures


def _decoding(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    _accuracy(axes, arrays["accuracy"], arrays["chance"], data_set_names(run))
    axes.set_xlabel("sleep cycles completed")
    caption(figure, f"{_how_decoded(run)}; {seeds_in_words(run)}.")
    return figure


def _decoding_from_scratch(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    names = data_set_names(run)
    _accuracy(axes, arrays["from_scratch"], arrays["chance"], names)
    axes.set_xlabel(f"epochs of training on {names[0]}")
    caption(figure, f"{_how_decoded(run)}; {seeds_in_words(run)}.")
    return figure


def _how_decoded(run: StoredRun) -> str:
    labelled = run.config["labelled"]
    return (
        f"Digits read from latent means by a support vector machine that knows {labelled} labelled "
        f"images, tested on {run.config['eval_images'] - labelled} others"
    )


def _accuracy(axes: Axes, accuracy: np.ndarray, chance: np.ndarray, names: list[str]) -> None:
    for d, name in enumerate(names):
        look = {"marker": "os"[d], "markersize": 3.5, "linestyle": ("-", "--")[d]}
        mean_and_deviation(axes, np.arange(len(accuracy)), accuracy[..., d], name, f"C{d}", **look)
    axes.axhline(chance.mean(), color="0.5", linestyle=":", label="always the same digit")
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("decoding accuracy\n(fraction of held-out images)")
    axes.figure.legend(loc="outside upper center", ncols=3)


def _tsne(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 6.6), sharex="row", sharey="row")
    for m, moment in enumerate(MOMENTS):
        points = arrays["embedding"][m]
        for d, name in enumerate(data_set_names(run)):
            axis = axes[m, d]
            axis.scatter(*points[1 - d].T, s=4, color="0.85", linewidths=0)
            for digit in np.unique(arrays["labels"][d]):
                shown = points[d][arrays["labels"][d] == digit]
                colour = DIGIT_COLOURS[digit]
                axis.scatter(*shown.T, s=18, marker=f"${digit}$", color=colour, linewidths=0.2)
            axis.set_title(f"{name}, {moment} sleep")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel("t-SNE 1")
            axis.set_ylabel("t-SNE 2")
    caption(
        figure,
        f"Latent means of {len(arrays['labels'][0])} test images of each data set, both arranged "
        f"together by t-SNE (arbitrary units); dots: the other data set. "
        f"Seed {run.record['seeds'][0]}.",
    )
    return figure


def _grid(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(6.6, 7.0))
    reach = GRID_REACH
    for m, moment in enumerate(MOMENTS):
        for d, name in enumerate(data_set_names(run)):
            axis, grid = axes[m, d], arrays["grids"][m, d]
            side = len(grid)
            # The outer tiles' centres lie at the reach.
            edge = reach * side / (side - 1)
            axis.imshow(
                sheet(grid), cmap="gray", vmin=0, vmax=255, extent=(-edge, edge, -edge, edge)
            )
            ticks = np.arange(-int(reach), int(reach) + 1)
            axis.set_xticks(ticks)
            axis.set_yticks(ticks)
            share = 100 * arrays["shares"][m, d]
            axis.set_title(f"{name}, {moment} sleep")
            axis.set_xlabel(f"component 1 (s.d.; {share[0]:.0f} % of variance)")
            axis.set_ylabel(f"component 2 (s.d.; {share[1]:.0f} % of variance)")
    caption(
        figure,
        "Images decoded from the plane of the first two principal components of each data set's "
        f"latent means, around their mean. Seed {run.record['seeds'][0]}.",
    )
    return figure


def _interpolations(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    _, _, pairs, shown, size, _ = arrays["interpolations"].shape
    figure, axes = plt.subplots(2, 2, figsize=(8.6, 1.0 + 0.75 * pairs), sharex=True)
    cell = size + 2
    centres = cell * (np.arange(shown) + 0.5) - 0.5
    # The first and the last picture are A and B themselves.
    weights = [f"{weight:g}" for weight in np.linspace(0, 1, shown - 2)]
    for m, moment in enumerate(MOMENTS):
        for d, name in enumerate(data_set_names(run)):
            axis = axes[m, d]
            axis.imshow(sheet(arrays["interpolations"][m, d]), cmap="gray", vmin=0, vmax=255)
            for edge in (cell, (shown - 1) * cell):
                axis.axvline(edge - 0.5, color="white", linewidth=4)
            axis.set_xticks(centres, ["A", *weights, "B"], fontsize=6.5)
            axis.set_yticks([])
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
            axis.set_title(f"{name}, {moment} sleep")
    for axis in axes[1]:
        axis.set_xlabel("weight of B's latent mean")
    caption(
        figure,
        "Test images A and B of different digits, and images decoded from the line between their "
        f"latent means. Seed {run.record['seeds'][0]}.",
    )
    return figure
