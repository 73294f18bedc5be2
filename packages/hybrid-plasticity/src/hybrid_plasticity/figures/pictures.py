"""Pictures of a trained network: its matrices, and its activity over a test stream."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hybrid_plasticity.analysis import picture
from hybrid_plasticity.configuration import Configuration, Layer
from hybrid_plasticity.folders import (
    MODEL,
    Model,
    configuration_of,
    interval_directory,
    mastered_by,
    read_model,
)
from sharpwave_shared.plotting import caption, decimals, legend, save_figures, style
from sharpwave_shared.results import open_run
from sharpwave_shared.run_directory import refuse_links

DIVERGING = mpl.colormaps["RdBu_r"].resampled(25)
SEQUENTIAL = mpl.colormaps["viridis"].resampled(25)
REPEATED = "C4"
"""The colour that marks repeated scenes."""
COLUMNS = 3
"""Matrices side by side, at most."""
SHOWN = 0.995
"""Share of the weights at all frames within the limits of the colours."""
WIDE, GAP = 11.0, 3
"""Width (inches) of the sheet of weights at every frame, and entries between its tiles."""
Picture = dict[str, np.ndarray]
"""What `analysis.picture` gives."""


def save_pictures(
    model: Model, directory: Path, formats: Sequence[str], *, all_frames: bool = False
) -> list[Path]:
    """Draw the pictures of a model into the folder of its interval, in that of its network.

    With `all_frames` also its weights at every frame.
    """
    found = picture(model, model.seed)
    figures = model_figures(model, found)
    if all_frames:
        figures["Actual_Weights"] = actual_weights(model, found)
    return save_figures(figures, interval_directory(directory, model.interval), formats)


def visualize(directory: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the pictures of every network of a run of training, at every R that it mastered.

    Raises
    ------
    InvalidInputError
        If there is no such run, or no network of it has mastered any R.
    """
    run, paths = open_run(directory), []
    refuse_links(directory)
    for folder, largest in mastered_by(run).values():
        for interval in range(1, largest + 1):
            model = read_model(interval_directory(folder, interval) / MODEL, configuration_of(run))
            paths += save_pictures(model, folder, formats, all_frames=True)
    return paths


def _name(model: Model) -> str:
    """Say which model it is."""
    return f"{model.configuration.short_name}, seed {model.seed}, trained to R = {model.interval}"


def actual_weights(model: Model, picture: Picture) -> Figure:
    """Draw the weights that inputs meet, static and plastic together, after every frame.

    A column is a scene, a row one of its frames.
    """
    time, layers = model.configuration.scene_time, model.configuration.layers
    plastic = [i for i, layer in enumerate(layers, 1) if layer.rule is not None]
    sheets = [_sheet(picture[f"actual_{i}"], time) for i in plastic]
    heights = [WIDE * sheet.shape[0] / sheet.shape[1] for sheet in sheets]
    heights = [min(max(height, 1.2), 6.0) for height in heights]
    with style():
        figure, panels = plt.subplots(
            len(sheets),
            1,
            figsize=(WIDE, 1.3 + sum(heights) + 0.5 * len(sheets)),
            height_ratios=heights,
            squeeze=False,
        )
        for axes, i, sheet in zip(panels[:, 0], plastic, sheets, strict=True):
            limit = float(np.nanquantile(np.abs(sheet), SHOWN)) or 1.0
            image = axes.imshow(sheet, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
            _label_sheet(axes, picture, i, time)
            rule = layers[i - 1].rule
            sum_ = rf"$W_{{{i}}} + P_{{{i}}}$"
            product = rf"$W_{{{i}}} * P_{{{i}}} + W_{{{i}}}$"
            axes.set_title(f"{product if rule == 'M' else sum_} ({rule})", pad=12)
            figure.colorbar(image, ax=axes, pad=0.01, aspect=14)
        panels[-1, 0].set_xlabel("scene")
        frames = len(picture[f"actual_{plastic[0]}"])
        caption(
            figure,
            f"{_name(model)}: the weights in effect after each of {frames} frames of a test "
            "stream, units downwards, inputs to the right in every tile. Bars, and the orange of "
            "numbers, mark repeated scenes. Colours are centred at 0, with a scale for each layer "
            f"that holds {SHOWN:.1%} of its weights.",
        )
    return figure


def _sheet(matrices: np.ndarray, time: int) -> np.ndarray:
    """Put matrices side by side: a column for each scene, a row for each of its frames."""
    frames, units, inputs = matrices.shape
    tiles = np.full((frames // time, time, units + GAP, inputs + GAP), np.nan, np.float32)
    tiles[:, :, :units, :inputs] = matrices.reshape(-1, time, units, inputs)
    sheet = tiles.transpose(1, 2, 0, 3).reshape(time * (units + GAP), -1)
    return sheet[:-GAP, :-GAP]


def _label_sheet(axes: Axes, picture: Picture, i: int, time: int) -> None:
    """Give a sheet the numbers of its scenes and frames, and mark repeated scenes."""
    frames, units, inputs = picture[f"actual_{i}"].shape
    scenes = frames // time
    again = picture["repeated"][-scenes:]
    first = len(picture["repeated"]) - scenes
    middles = (inputs + GAP) * np.arange(scenes) + (inputs - 1) / 2
    axes.set_xticks(middles, [str(first + k + 1) for k in range(scenes)], fontsize=7)
    for label, repeated in zip(axes.get_xticklabels(), again, strict=True):
        if repeated:
            label.set(color=REPEATED, fontweight="bold")
    axes.set_yticks(
        (units + GAP) * np.arange(time) + (units - 1) / 2, [str(k) for k in range(1, time + 1)]
    )
    axes.set_ylabel("frame of the scene")
    axes.tick_params(length=0)
    _mark_repeated(axes, middles[again] - inputs / 2, inputs, 1.01, 1.04)
    axes.spines[:].set_visible(False)


def _mark_repeated(axes: Axes, starts: np.ndarray, length: int, low: float, high: float) -> None:
    """Draw bars that mark repeated scenes (heights as shares of the axes')."""
    axes.broken_barh(
        [(start, length) for start in starts],
        (low, high - low),
        transform=axes.get_xaxis_transform(),
        facecolor=REPEATED,
        linewidth=0,
        clip_on=False,
        alpha=0.35 if low == 0 else 1,
        zorder=-1 if low == 0 else 3,
    )


def model_figures(model: Model, picture: Picture) -> dict[str, Figure]:
    """Draw the weights of a model, its learning rates, and its activity over a test stream.

    `picture` is what `analysis.picture` gave for it.
    """
    configuration, network = model.configuration, _name(model)
    with style():
        return {
            "Weight_Matrices": _weights(configuration, picture, network),
            "Eta_Matrices": _rates(configuration, picture, network),
            "Hidden_Activity": _activity(configuration, picture, network),
        }


def _source(configuration: Configuration, i: int) -> str:
    """Name the inputs of a layer, counted from 1."""
    parallel = configuration.network_type == "Stack"
    return "entry of the frame" if i == 1 or parallel else f"unit of layer {i - 1}"


def _kind(layer: Layer) -> str:
    return "static" if layer.rule is None else layer.rule


def _whole(axes: Axes, shape: tuple[int, ...]) -> None:
    """Put ticks at a few whole numbers, at none beyond the matrix."""
    for axis, size in ((axes.yaxis, shape[0]), (axes.xaxis, shape[1])):
        axis.set_major_locator(MaxNLocator(min(5, max(1, size - 1)), integer=True))


def _show(axes: Axes, values: np.ndarray, limit: float | None = None) -> AxesImage:
    """Show a matrix in colours that are centred at 0."""
    limit = limit or float(np.abs(values).max()) or 1.0
    image = axes.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    _whole(axes, values.shape)
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.6)
    return image


def _grid(count: int, extra: int = 0) -> tuple[Figure, list[Axes], Any]:
    """Make panels for `count` matrices, and room for `extra` flat ones below."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = plt.figure(figsize=(1.0 + 2.6 * columns, 0.6 + 2.4 * rows + 1.1 * extra))
    grid = figure.add_gridspec(rows + extra, columns, height_ratios=[2.4] * rows + [0.7] * extra)
    panels = [figure.add_subplot(grid[divmod(k, columns)]) for k in range(count)]
    return figure, panels, grid


def _weights(configuration: Configuration, picture: Picture, network: str) -> Figure:
    layers = configuration.layers
    figure, panels, grid = _grid(len(layers), extra=1)
    for i, (axes, layer) in enumerate(zip(panels, layers, strict=True), 1):
        image = _show(axes, picture[f"W_{i}"])
        axes.set_title(rf"$W_{{{i}}}$ ({_kind(layer)})")
        axes.set_xlabel(_source(configuration, i))
        axes.set_ylabel(f"unit of layer {i}")
        figure.colorbar(image, ax=axes)
    axes = figure.add_subplot(grid[-1, :])
    image = _show(axes, picture["W_out"])
    axes.set_title(r"$W_\mathrm{out}$")
    axes.set_yticks(range(configuration.out_dim) if 1 < configuration.out_dim < 5 else [])
    axes.set_ylabel("output")
    stacked = configuration.network_type == "Stack"
    axes.set_xlabel(
        "units of all layers, one layer after another"
        if stacked
        else f"unit of layer {len(layers)}"
    )
    figure.colorbar(image, ax=axes, aspect=7, ticks=MaxNLocator(4, symmetric=True))
    caption(
        figure,
        f"Weights of {network}. M: multiplicative, A: additive plasticity. Colours are centred "
        "at 0, with a scale for each matrix.",
    )
    return figure


def _rates(configuration: Configuration, picture: Picture, network: str) -> Figure:
    layers = [layer for layer in configuration.layers if layer.rule is not None]
    figure, panels, _ = _grid(len(layers))
    for i, (axes, layer) in enumerate(zip(panels, layers, strict=True), 1):
        eta = picture[f"eta_{i}"]
        image = _show(axes, eta.reshape(1, 1) if eta.ndim == 0 else eta)
        axes.set_title(rf"$\eta_{{{i}}}$ ({layer.rule}), {_memory(picture, i)}")
        axes.set_ylabel(f"unit of layer {i}")
        axes.set_xlabel(_source(configuration, i))
        if layer.rate == 0.5:
            axes.set_xticks([])
            axes.set_xlabel("one rate for each unit")
        if layer.rate == 0:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel("one rate for all synapses")
            axes.text(
                0,
                0,
                decimals(eta, 3),
                ha="center",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
            )
        figure.colorbar(image, ax=axes)
    caption(
        figure,
        f"Learning rates of {network}. Blue (negative): anti-Hebbian, red: Hebbian. Colours are "
        "centred at 0, with a scale for each matrix.",
    )
    return figure


def _memory(picture: Picture, i: int) -> str:
    logit = picture.get(f"lambda_{i}")
    if logit is None:
        return "last frame only"
    return f"decay {1 / (1 + np.exp(-float(logit))):.2f} a frame"


def _activity(configuration: Configuration, picture: Picture, network: str) -> Figure:
    layers, time = configuration.layers, configuration.task.scene_time
    plastic = [i for i, layer in enumerate(layers, 1) if layer.rule is not None]
    repeated, moments = picture["repeated"], picture["moments"]
    heights = [1.0] + [1.3] * len(layers) + [1.7] * len(plastic)
    figure = plt.figure(figsize=(6.6, 1.6 + 1.15 * sum(heights)))
    grid = figure.add_gridspec(len(heights), len(moments), height_ratios=heights)
    answers = figure.add_subplot(grid[0, :])
    _answers(answers, picture["answers"], repeated, time)
    frames = len(repeated) * time
    last = answers
    for i, layer in enumerate(layers, 1):
        last = axes = figure.add_subplot(grid[i, :], sharex=answers)
        tanh = layer.activation == "tanh"
        image = axes.imshow(
            picture[f"hidden_{i}"].T,
            cmap=DIVERGING if tanh else SEQUENTIAL,
            vmin=-1 if tanh else 0,
            vmax=1,
            aspect="auto",
        )
        _whole(axes, (layer.units, frames))
        _mark_repeated(axes, time * np.flatnonzero(repeated) - 0.5, time, 1.03, 1.1)
        for moment in moments:
            axes.axvline(moment - 0.5, color="black", linestyle=":", linewidth=1)
        axes.set_ylabel(f"unit of layer {i}")
        figure.colorbar(image, ax=axes, label="activity", pad=0.01, aspect=12)
    for axes in figure.axes:
        if axes is not last and axes.get_label() != "<colorbar>":
            axes.tick_params(labelbottom=False)
    last.set_xlabel(f"frame ({time} make a scene)" if time > 1 else "frame (each is a scene)")
    last.set_xlim(-0.5, frames - 0.5)
    last.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    for row, i in enumerate(plastic, 1 + len(layers)):
        _plastic_matrices(figure, grid, row, configuration, picture, i)
    named = {
        "right answer": Line2D([], [], color="C0", marker="o", linestyle=""),
        "wrong answer": Line2D([], [], color="C1", marker="X", linestyle=""),
        "repeated scene": Patch(color=REPEATED, linewidth=0),
        "moment of $P_i$": Line2D([], [], color="black", linestyle=":", linewidth=1),
    }
    legend(figure, named, 4)
    caption(
        figure,
        f"{network}, and a test stream at this interval. Answers are read at the "
        "last frame of a scene; above 0.5: repeated. Bars above the activity, and the orange in "
        "titles, mark repeated scenes. Colours of $P_i$ are centred at 0.",
    )
    return figure


def _answers(axes: Axes, answers: np.ndarray, repeated: np.ndarray, time: int) -> None:
    right = (answers > 0.5) == repeated
    read_at = time * np.arange(1, len(answers) + 1) - 1
    _mark_repeated(axes, time * np.flatnonzero(repeated) - 0.5, time, 0.0, 1.0)
    axes.axhline(0.5, color="0.5", linestyle="--", linewidth=0.8)
    axes.vlines(read_at, 0.5, answers, color="0.6", linewidth=0.8)
    for which, colour, marker, size in ((right, "C0", "o", 14), (~right, "C1", "X", 40)):
        axes.scatter(
            read_at[which],
            answers[which],
            color=colour,
            marker=marker,
            s=size,
            zorder=3,
            clip_on=False,
        )
    axes.set_ylim(-0.08, 1.08)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("answer")


def _plastic_matrices(
    figure: Figure, grid: Any, row: int, configuration: Configuration, picture: Picture, i: int
) -> None:
    matrices, time = picture[f"P_{i}"], configuration.task.scene_time
    limit = float(np.abs(matrices).max())
    panels = [figure.add_subplot(grid[row, k]) for k in range(len(matrices))]
    moments = picture["moments"]
    for k, (axes, P, moment) in enumerate(zip(panels, matrices, moments, strict=True)):
        image = _show(axes, P, limit)
        scene = int(moment) // time
        again = bool(picture["repeated"][scene - 1])
        axes.set_title(
            rf"$P_{{{i}}}$ after frame {moment}" + (", repeated" if again else ", new scene"),
            fontsize=8,
            bbox={"facecolor": REPEATED, "alpha": 0.35, "pad": 1.5, "linewidth": 0}
            if again
            else None,
        )
        axes.set_xlabel(_source(configuration, i), fontsize=8)
        if k == 0:
            axes.set_ylabel(f"unit of layer {i}")
        else:
            axes.tick_params(labelleft=False)
        if k == len(matrices) - 1:
            figure.colorbar(image, ax=axes, pad=0.03, aspect=12)
