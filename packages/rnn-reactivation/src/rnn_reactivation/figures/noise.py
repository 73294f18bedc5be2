"""The published figures with Gaussian noise, and with the released code's."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rnn_reactivation.experiments.analyze import ACTIVE, NAVIGATION, QUIESCENT, Analyze
from rnn_reactivation.figures.common import short, simulations
from sharpwave_shared.plotting import caption, legend, name_seeds, panel_grid
from sharpwave_shared.statistics import mean_and_sd

BIASES = "unbiased", "biased"
KINDS = {
    "noisy": ("Gaussian, as in the theory", "C0"),
    "uniform-noise": ("uniform, released", "C3"),
}


class _Measure(NamedTuple):
    """What a panel shows: its variable, its label, and how it is taken from a network's results."""

    variable: str
    label: str
    value: Callable[[xr.Dataset, str], xr.DataArray]


def _shares(data: xr.Dataset, name: str) -> xr.DataArray:
    shares = data["explained_variance"].sel(configuration=name).isel(component=-1)
    return shares.sel(condition=QUIESCENT) - shares.sel(condition=ACTIVE)


def _own_divergence(data: xr.Dataset, name: str) -> xr.DataArray:
    return data["kl"].sel(asleep=name, configuration=name, condition=QUIESCENT)


def _variance(data: xr.Dataset, name: str) -> xr.DataArray:
    return data["variance"].sel(configuration=name, condition=QUIESCENT)


def _relative_step(data: xr.Dataset, name: str) -> xr.DataArray:
    steps = data["distance"].sel(configuration=name)
    return steps.sel(condition=QUIESCENT) / steps.sel(condition=ACTIVE)


MEASURES = (
    _Measure("explained_variance", "Figure 1c: explained\nvariance, asleep − awake", _shares),
    _Measure("kl", "Figure 2e: divergence\nof sleep from waking (nats)", _own_divergence),
    _Measure("variance", "Figure 2f: variance\nasleep (m²)", _variance),
    _Measure("distance", "Figure C.4: mean step,\nasleep / awake", _relative_step),
)


def noise_figures(experiment: Analyze, data: xr.Dataset) -> dict[str, Figure]:
    """Compare networks that were trained with either noise, if the results hold such pairs."""
    names = set(map(str, data["configuration"].values))
    pairs = [bias for bias in BIASES if {f"{kind}_{bias}" for kind in KINDS} <= names]
    measures = [measure for measure in MEASURES if measure.variable in data]
    if experiment.task != NAVIGATION or not pairs or not measures:
        return {}
    columns = min(2, len(measures))
    figure, panels = panel_grid(len(measures), columns, (2.7, 2.1), (1.0, 1.2))
    for axes, measure in zip(panels.flat, measures, strict=False):
        _bars(axes, data, measure, pairs)
    named: dict[str, Any] = {words: Patch(color=colour) for words, colour in KINDS.values()}
    seeds = data["seed"].values.tolist()
    if len(seeds) > 1:
        named["seed"] = Line2D([], [], color="0.1", marker="o", markersize=3.5, linestyle="")
    legend(figure, named, title="noise in training")
    each = ": bars are means over them, points each" if len(seeds) > 1 else ""
    caption(
        figure,
        "Networks that were trained, and sleep, with either noise, in what the paper's figures "
        f"show. {name_seeds(seeds).capitalize()}{each}. {simulations(experiment, data)}; variance, "
        "and variance explained by all components of the analysis, in simulations of their own.",
    )
    return {"noise": figure}


def _bars(axes: Axes, data: xr.Dataset, measure: _Measure, pairs: list[str]) -> None:
    for k, bias in enumerate(pairs):
        for offset, (kind, (_, colour)) in zip((-0.2, 0.2), KINDS.items(), strict=True):
            values = np.atleast_1d(measure.value(data, f"{kind}_{bias}").values)
            mean, x = float(mean_and_sd(values)[0]), k + offset
            axes.bar(x, mean, width=0.36, color=colour)
            if len(values) > 1:
                axes.scatter(x + np.linspace(-0.1, 0.1, len(values)), values, s=9, color="0.1")
            above = mean >= 0 or not np.isfinite(mean)
            end = float(np.nanmax(values, initial=0.0) if above else np.nanmin(values))
            axes.annotate(
                short(mean),
                (x, end),
                (0, 3 if above else -3),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize=7,
            )
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set_xticks(range(len(pairs)), pairs)
    axes.set_xlabel("experience")
    axes.set_xlim(-0.6, len(pairs) - 0.4)
    axes.set_ylabel(measure.label)
    axes.margins(y=0.15)
