"""What figures of networks and of nights share: looks, averages, and tolerance to noise."""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpwave_shared.plotting import name_seeds
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation.experiments.networks import Networks
from synaptic_consolidation.recall import NEURAL, wrong_per_active

KINDS = {
    "flips": "independent flips",
    "balanced": "balanced flips",
    "all_factors": "all factors",
    "one_factor": "one factor",
    "surviving": "one factor, surviving\nsynapses only",
}
"""Kinds of noise."""
HIGHEST = "beyond the highest level tried"
LIGHT = 0.35
"""Opacity of what is shown beside the main thing."""
MARKERS = "os^Dv<>p*h"
COLOURS = (*(f"C{i}" for i in range(7)), "0.6", "#882255", "#999933")
"""By z - 1: the style's cycle, and more that differ from it for colour-blind readers as well."""
MOST_LOADS = 3
"""Loads of which curves and distributions are shown."""
POINTS: dict[str, Any] = {
    "linestyle": "none",
    "markerfacecolor": "white",
    "markersize": 4.5,
    "linewidth": 0.9,
}


def look(z: int) -> dict[str, Any]:
    """Give the colour and marker of a number of factors, whichever others there are."""
    return {"color": COLOURS[z - 1], "marker": MARKERS[z - 1]}


def subplots(*arguments: Any, **options: Any) -> tuple[Figure, Any]:
    """Do what pyplot's function does; leave more room between panels, for labels beside axes."""
    figure, panels = plt.subplots(*arguments, **options)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(w_pad=0.1)  # type: ignore[call-arg]
    return figure, panels


def under(prefix: str, data: xr.Dataset) -> xr.Dataset:
    """Give the variables whose names begin like this, without the beginning; maybe none."""
    names = [str(name) for name in data.variables if str(name).startswith(prefix)]
    return data[names].rename({name: name.removeprefix(prefix) for name in names})


def seeds_of(data: xr.Dataset) -> str:
    """Say which seeds there are."""
    return name_seeds(data["seed"].values.tolist())


def shown_loads(loads: tuple[float, ...]) -> list[float]:
    """Choose some loads: the lowest, the highest, and one between."""
    ordered = sorted(loads)
    places = np.linspace(0, len(ordered) - 1, MOST_LOADS).round().astype(int)
    return [ordered[i] for i in dict.fromkeys(places.tolist())]


def about_patterns(setup: Networks) -> str:
    """Say what kind of patterns networks memorise."""
    task = {"attractors": "attractors", "sequence": "a sequence of patterns"}[setup.task]
    exact = "exactly " if setup.exact_activity else ""
    return f"{task}, {exact}$f$ = {setup.f:g}"


def over_rows(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and s.d. over the rows of all seeds, by what other dimension there is."""
    stacked = values.transpose(..., "seed", "row").values.astype(float)
    return mean_and_sd(stacked.reshape(*stacked.shape[:-2], -1), -1)


# --- tolerance to noise ---------------------------------------------------------------------------


class Maxima(NamedTuple):
    """The noise at which recall is nearest to 1/2, by what dimension there is beside seeds.

    Attributes
    ----------
    value, sd
        Mean and s.d. over seeds, in the unit of the axis; of a single seed, s.d. over tests.
    beyond
        Whether some networks withstand all levels, and count as if they withstood just these.
    """

    value: np.ndarray
    sd: np.ndarray
    beyond: np.ndarray


def noise_axis(kind: str) -> str:
    """Name the axis of a kind of noise, with its unit."""
    return "wrong bits per active neuron" if kind in NEURAL else "noise s.d. / mean factor"


def noise_unit(kind: str, f: float) -> float:
    """Give what stored levels of noise are multiplied with to be in the unit of the axis."""
    return wrong_per_active(1.0, f) if kind in NEURAL else 1.0


def maximal_noise(data: xr.Dataset, kind: str, f: float) -> Maxima:
    """Give the maximal noise of networks that differ in their seed, and one thing more."""
    found = data[f"tolerance_{kind}"].transpose("seed", ...)
    unit, highest = noise_unit(kind, f), data[f"level_{kind}"].values[-1]
    mean, sd = mean_and_sd(unit * found.fillna(highest).values)
    if found.sizes["seed"] == 1:
        sd = unit * data[f"tolerance_sd_{kind}"].transpose("seed", ...).values[0]
    return Maxima(mean, np.nan_to_num(sd), found.isnull().any("seed").values)


def about_spread(data: xr.Dataset) -> str:
    """Say what the bars of `Maxima` are."""
    return f"bars: s.d. over {'seeds' if data.sizes['seed'] > 1 else 'tests'}"


def about_arrows(*maxima: Maxima) -> str:
    """Explain arrowheads, if there are any."""
    return f" Arrowheads: {HIGHEST}." if any(m.beyond.any() for m in maxima) else ""


def plot_seeds(axes: Axes, x: xr.DataArray, y: xr.DataArray, **look: Any) -> None:
    """Plot a line for each seed, where both are known; name the first."""
    label = look.pop("label", "_")
    x, y = (values.transpose("seed", ...) for values in xr.broadcast(x, y))
    for one, other in zip(x.values, y.values, strict=True):
        known = np.isfinite(one) & np.isfinite(other)
        axes.plot(one[known], other[known], label=label, **look)
        label = "_"


def draw_recall(axes: Axes, data: xr.Dataset, kind: str, f: float, **look: Any) -> None:
    """Plot recall against noise, where it was tried, a line for each seed."""
    levels = data[f"level_{kind}"] * noise_unit(kind, f)
    plot_seeds(axes, levels, data[f"recall_{kind}"], **look)


def recall_axes(axes: Axes, kind: str) -> None:
    """Label and limit axes of recall against noise."""
    axes.axhline(0.5, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    axes.set(xlim=(0, None), ylim=(-0.03, 1.05), xlabel=noise_axis(kind))


def draw_bars(axes: Axes, x: np.ndarray, maxima: Maxima, width: float, **look: Any) -> None:
    """Draw the maximal noise as bars, with an arrowhead where it may be more."""
    axes.bar(x, maxima.value, width, **look)
    axes.errorbar(
        x, maxima.value, maxima.sd, color="black", linewidth=0.9, capsize=2, linestyle="none"
    )
    draw_arrowheads(axes, x, maxima)


def draw_arrowheads(axes: Axes, x: np.ndarray, maxima: Maxima) -> None:
    """Say where values may be higher, by arrowheads just above them."""
    for at, value, sd, beyond in zip(x, *maxima, strict=True):
        if beyond:
            axes.annotate(
                "\N{BLACK UP-POINTING TRIANGLE}",
                (at, value + sd),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color="0.3",
            )
