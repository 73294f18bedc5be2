"""Figures of walks."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption


def draw(experiment, data) -> Mapping[str, Figure]:
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot(data["distance"].transpose("scale", "seed"))
    caption(figure, "How far the points are.")
    return {"distance": figure}
