"""Figures of the latent space: what it tells of digits, and what lies where."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun

from sleep_replay.figures.recall import (
    data_set_names,
    gap,
    mean_and_deviation,
    seeds_in_words,
    with_gaps,
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
    axes.xaxis.get_major_locator().set_params(integer=True)
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
            side, size = len(grid), grid.shape[-1]
            sheet = grid.transpose(0, 2, 1, 3).reshape(side * size, side * size)
            # The outer tiles' centres lie at the reach.
            edge = reach * side / (side - 1)
            axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, extent=(-edge, edge, -edge, edge))
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
    pairs = arrays["interpolations"].shape[2]
    figure, axes = plt.subplots(2, 2, figsize=(8.6, 1.0 + 0.75 * pairs))
    for m, moment in enumerate(MOMENTS):
        for d, name in enumerate(data_set_names(run)):
            axis, pictures = axes[m, d], arrays["interpolations"][m, d]
            size, steps = pictures.shape[-1], pictures.shape[1] - 2
            columns = [column.reshape(-1, size) for column in pictures.transpose(1, 0, 2, 3)]
            wide = np.full((len(columns[0]), gap(size)), 255, np.uint8)
            middle = with_gaps(columns[1:-1], size)
            ends = [columns[0], wide, wide, middle, wide, wide, columns[-1]]
            axis.imshow(np.concatenate(ends, axis=1), cmap="gray", vmin=0, vmax=255)
            width = 2 * gap(size) + size
            centres = width + (size + gap(size)) * np.arange(steps) + size / 2
            last = width + middle.shape[1] + 2 * gap(size) + size / 2
            positions = [size / 2, centres[0], centres[steps // 2], centres[-1], last]
            axis.set_xticks(positions, ["A", "0", "0.5", "1", "B"])
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
