"""What the figures of several experiments share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

LOG_FROM = 10.0
"""Positive values whose largest is so many times the smallest are shown on a logarithmic axis."""
FAINT = "0.65"


def medians(values: np.ndarray) -> np.ndarray:
    """Give the median over the first dimension, leaving NaN out; NaN where nothing is known."""
    columns = values.reshape(len(values), -1).T
    known = [column[np.isfinite(column)] for column in columns]
    found = [float(np.median(column)) if len(column) else np.nan for column in known]
    return np.array(found).reshape(values.shape[1:])


def spread(count: int, width: float) -> np.ndarray:
    """Give offsets at which points of one group lie side by side."""
    return np.linspace(-width / 2, width / 2, count) if count > 1 else np.zeros(1)


def plot_groups(
    axes: Axes,
    groups: Sequence[np.ndarray],
    colours: Sequence[str],
    *,
    shift: float = 0.0,
    **look: Any,
) -> None:
    """Plot groups 0, 1, ... of values (seeds): a point each, and a bar at the median.

    With a `shift` they are half as wide, and beside their places.
    """
    width = 0.14 if shift else 0.28
    for k, (values, colour) in enumerate(zip(groups, colours, strict=True)):
        x = k + shift
        if len(values) > 1:
            axes.hlines(medians(values[:, None]), x - width, x + width, color=colour, linewidth=2)
        marks: dict[str, Any] = {"marker": "o", "s": 18, "color": colour, "alpha": 0.8}
        axes.scatter(x + spread(len(values), width), values, **marks | look)


def group_axis(axes: Axes, labels: Sequence[str]) -> None:
    """Label groups on the horizontal axis."""
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def wide_range(values: np.ndarray) -> bool:
    """Tell whether values ask for a logarithmic axis."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > LOG_FROM * known.min())


def nothing(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.set_yticks([])
    look = {"ha": "center", "va": "center", "color": "0.4", "fontsize": 8}
    axes.text(0.5, 0.5, text, transform=axes.transAxes, **look)
