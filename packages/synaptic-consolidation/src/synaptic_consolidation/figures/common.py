"""What figures of networks and of nights share: looks, averages, and tolerance to noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.recall import NEURAL, wrong_per_active

Arrays = Mapping[str, np.ndarray]

KINDS = {
    "flips": "independent flips",
    "balanced": "balanced flips",
    "all-factors": "all factors",
    "one-factor": "one factor",
    "surviving": "one factor, surviving\nsynapses only",
}
"""Kinds of noise."""
NEURAL_NOISE = "wrong bits per active neuron"
SYNAPTIC_NOISE = "noise s.d. / mean factor"
HIGHEST = "beyond the highest level tried"
LIGHT = 0.35
"""Opacity of what is shown beside the main thing."""
MARKERS = "os^Dv<>p*h"
COLOURS = (*(f"C{i}" for i in range(7)), "0.6", "#882255", "#999933")
"""By z - 1: the style's cycle, and more that differ from it for colour-blind readers as well."""
MOST_LOADS = 3
"""Loads of which curves and distributions are shown."""


def look(z: int) -> dict[str, Any]:
    """Give the colour and marker of a number of factors, whichever others there are."""
    return {"color": COLOURS[z - 1], "marker": MARKERS[z - 1]}


def legend_of_all(figure: Figure) -> None:
    """Name what the panels show, each once, beside them."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        found, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside right center")


def shown_loads(run: StoredRun) -> list[float]:
    """Choose some loads: the lowest, the highest, and one between."""
    loads = sorted(run.config["loads"])
    places = np.linspace(0, len(loads) - 1, MOST_LOADS).round().astype(int)
    return [loads[i] for i in dict.fromkeys(places.tolist())]


def network_keys(run: StoredRun, load: float, z: int) -> list[str]:
    """Give the keys of the arrays of each seed's network."""
    return [f"{seed}/{load}/{z}" for seed in run.record["seeds"]]


def about_patterns(run: StoredRun) -> str:
    """Say what kind of patterns networks memorise."""
    task = {"attractors": "attractors", "sequence": "a sequence of patterns"}[run.config["task"]]
    exact = "exactly " if run.config["exact_activity"] else ""
    return f"{task}, {exact}$f$ = {run.config['f']:g}"


def noise_axis(kind: str) -> str:
    """Name the axis of a kind of noise, with its unit."""
    return NEURAL_NOISE if kind in NEURAL else SYNAPTIC_NOISE


def noise_unit(kind: str, f: float) -> float:
    """Give what stored levels of noise are multiplied with to be in the unit of the axis."""
    return wrong_per_active(kind, 1.0, f) if kind in NEURAL else 1.0


def pooled(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard deviation over the rows of all seeds; NaN where nothing is known.

    All seeds count alike, even if for some of them less is known.

    Parameters
    ----------
    values
        Seeds x anything x 2: the mean and standard deviation over the rows of each seed.
    """
    known = np.ma.masked_invalid(values)
    mean, sd = known[..., 0], known[..., 1]
    # Rows differ within seeds, and their means differ between seeds.
    spread = np.ma.sqrt((sd**2).mean(0) + mean.var(0))
    return np.ma.filled(mean.mean(0), np.nan), np.ma.filled(spread, np.nan)


def draw_recall(axes: Axes, arrays: Arrays, key: str, kind: str, f: float, **look: Any) -> None:
    """Plot recall against noise, where it was tried, of the network whose arrays have this key."""
    recall = arrays[f"{key}/{kind}/recall"]
    known = np.isfinite(recall)
    level = arrays[f"{key}/{kind}/level"][known] * noise_unit(kind, f)
    axes.plot(level, recall[known], **look)


def recall_axes(axes: Axes, kind: str) -> None:
    """Label and limit axes of recall against noise."""
    axes.axhline(0.5, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlim(left=0)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel(noise_axis(kind))


def maximal_noise(
    arrays: Arrays, keys: Sequence[str], kind: str, f: float
) -> tuple[float, float, bool]:
    """Give the noise at which recall crosses 1/2, in the unit of the axis.

    Returns
    -------
    tuple
        Mean and standard deviation over the networks that have these keys; and whether some
        withstand all levels, and count as if they withstood just these.
    """
    found = np.array([arrays[f"{key}/{kind}/maximum"] for key in keys], dtype=float)
    highest = np.array([arrays[f"{key}/{kind}/level"][-1] for key in keys])
    beyond = ~np.isfinite(found)
    values = np.where(beyond, highest, found) * noise_unit(kind, f)
    return float(values.mean()), float(values.std()), bool(beyond.any())


def draw_maximum(
    axes: Axes, x: float, maximum: tuple[float, float, bool], width: float, **look: Any
) -> None:
    """Draw the maximal noise as a bar, with an arrowhead if it may be more."""
    value, sd, beyond = maximum
    axes.bar(x, value, width, **look)
    if sd > 0:
        axes.errorbar(x, value, sd, color="black", linewidth=0.9, capsize=2)
    if beyond:
        draw_arrowhead(axes, x, value + sd)


def draw_arrowhead(axes: Axes, x: float, y: float) -> None:
    """Say that a value may be higher, by an arrowhead just above it."""
    axes.annotate(
        "\N{BLACK UP-POINTING TRIANGLE}",
        (x, y),
        (0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=7,
        color="0.3",
    )


def about_arrows(maxima: Sequence[tuple[float, float, bool]]) -> str:
    """Explain the arrowheads of `draw_maximum`, if there are any."""
    return f" Arrowheads: {HIGHEST}." if any(beyond for *_, beyond in maxima) else ""
