"""Figures of fluctuating synapses, simulated and measured (Figures 5 and 6)."""

import math
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from sharpwave_shared.plotting import (
    caption,
    dark_to_light,
    decimals,
    first_seed,
    legend,
    log_scale,
)
from synaptic_consolidation.experiments.synapses import SynNoise
from synaptic_consolidation.figures import common
from synaptic_consolidation.spines import DIRECTIONS, SIMULATED_LAG
from synaptic_consolidation.synapses import SHOWN_PAIRS, SIMULATED_HOURS

COLOURS = {"growth": "C0", "shrinkage": "C1"}
MARKERS = {"growth": "o", "shrinkage": "s"}
LINES = ("-", "--", "-.", ":")
Q_MIN = r"$q_{\mathrm{min}}$"


@dataclass(frozen=True)
class _Shown:
    """A recording in the figures: name, results, hours between sizes, look of its line."""

    name: str
    data: xr.Dataset
    hours: float
    line: dict[str, Any]
    measured: bool = False


def draw(setup: SynNoise, data: xr.Dataset) -> dict[str, Figure]:
    """Draw how changes and norms of synapses depend on z, beside measured spines if there are.

    Pairs and curves are those of the first seed.
    """
    figures = {"q-min": _q_min(data), "slopes": _slopes(data)}
    if shown := _shown(data):
        figures |= {
            "noise": _noise(data, shown),
            "slopes-by-lag": _slopes_by_lag(data, shown),
            "variation": _variation(data, shown),
            "bootstraps": _bootstraps(setup, data, shown),
        }
    return figures


def _shown(data: xr.Dataset) -> list[_Shown]:
    """Choose the simulations of the first seed that could be analysed, and the recording."""
    first = data.isel(seed=0)
    factors = [z for z in sorted(data["factors"].values) if first["living"].sel(factors=z) >= 0]
    colours = dark_to_light(len(factors))
    shown = [
        _Shown(
            f"z = {z}",
            first.sel(factors=z),
            SIMULATED_LAG * SIMULATED_HOURS,
            {"color": colours[i], "linestyle": LINES[i % len(LINES)]},
        )
        for i, z in enumerate(factors)
    ]
    measured = _measured(data)
    if measured is not None:
        line = {"color": "black", "linewidth": 2.2}
        shown.append(
            _Shown(data.attrs["recording"], measured, data.attrs["hours"], line, measured=True)
        )
    return shown


def _measured(data: xr.Dataset) -> xr.Dataset | None:
    """Give the results of the recording, if there is one, under the names of simulations."""
    return common.under("measured_", data) if "recording" in data.attrs else None


def _noise(data: xr.Dataset, shown: list[_Shown]) -> Figure:
    columns = min(4, math.ceil(len(shown) / 2))
    rows = -(-len(shown) // columns)
    figure = plt.figure(figsize=(2.7 * columns, 0.6 + 2.6 * rows))
    cells = figure.subfigures(rows, columns, squeeze=False)
    for cell, recording in zip(cells.flat, shown, strict=False):
        _pairs(cell, recording)
    times = " and ".join(dict.fromkeys(_in_words(r.hours) for r in shown))
    caption(
        figure,
        f"Sizes of synapses w and changes |dw| over {times}, with their "
        "distributions, moving averages over 1/20 of the sorted pairs (thick), and lines through "
        f"the logarithms of these (dashed), of which the slopes are given; {first_seed(data)}. "
        f"At most {SHOWN_PAIRS:,} pairs are shown for each direction.",
    )
    return figure


def _pairs(cell: SubFigure, recording: _Shown) -> None:
    """Plot changes against sizes, with distributions at the margins."""
    axes = cell.subplots(
        2, 2, gridspec_kw={"width_ratios": [4, 1], "height_ratios": [1, 4], "wspace": 0}
    )
    top, corner, main, right = axes.flat
    corner.set_visible(False)
    pairs = {d: _known(recording, d, "size", "change") for d in DIRECTIONS}
    everything = np.concatenate(list(pairs.values()), axis=1)
    edges = [np.geomspace(v.min(), v.max() * (1 + 1e-6), 31) for v in everything]
    for direction, (size, change) in pairs.items():
        colour = COLOURS[direction]
        main.plot(size, change, ".", color=colour, markersize=1, alpha=0.25, rasterized=True)
        for panel, values, bins, orientation in (
            (top, size, edges[0], "vertical"),
            (right, change, edges[1], "horizontal"),
        ):
            look = {"histtype": "step", "color": colour, "linewidth": 1}
            panel.hist(values, bins, orientation=orientation, **look)
    for direction in DIRECTIONS:
        size, change = _known(recording, direction, "average_size", "average_change")
        slope = float(recording.data["slope_moving"].sel(direction=direction))
        main.plot(size, change, color="white", linewidth=3)
        label = f"{direction} {decimals(slope)}"
        main.plot(size, change, color=COLOURS[direction], linewidth=1.8, label=label)
        x, y = np.log(size), np.log(change)
        ends = np.array([x.min(), x.max()])
        line = np.exp(y.mean() + slope * (ends - x.mean()))
        main.plot(np.exp(ends), line, color="black", linewidth=1, linestyle="--")
    log_scale(main, "x", most=4)
    log_scale(main, "y", most=4)
    low, high = np.quantile(everything[1], [0.002, 1])
    main.set_ylim(low, 1.5 * high)
    top.set_xscale("log")
    right.set_yscale("log")
    top.set_xlim(main.get_xlim())
    right.set_ylim(main.get_ylim())
    for panel in (top, right):
        panel.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        panel.minorticks_off()
    look = {"frameon": True, "edgecolor": "none", "framealpha": 0.85, "fontsize": 7}
    main.legend(loc="lower right", handlelength=1, borderaxespad=0.3, **look)
    main.set(xlabel="size w (a.u.)", ylabel="change |dw| (a.u.)")
    top.set_title(recording.name)


def _known(recording: _Shown, direction: str, *names: str) -> np.ndarray:
    """Give variables in one direction, without what is filled up."""
    values = recording.data[list(names)].sel(direction=direction)
    stacked = np.stack([values[name].values for name in names])
    return stacked[:, np.isfinite(stacked).all(0)]


def _slopes(data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(4.6, 3.4))
    handles: dict[str, Any] = {}
    for direction in DIRECTIONS:
        at, colour = data.sel(direction=direction), COLOURS[direction]
        offset = {"growth": -0.06, "shrinkage": 0.06}[direction]
        z, value, sd = _by_factors(at, "slope_moving")
        handles[direction] = axes.errorbar(
            *(z + offset, value, sd),
            color=colour,
            marker=MARKERS[direction],
            markersize=4,
            capsize=2,
            linewidth=1,
        )
        if (measured := _measured(at)) is not None:
            handles[f"{direction}, {data.attrs['recording']}"] = _line(
                axes, measured, "slope_moving", colour
            )
    axes.set_ylabel("slope of log |dw| against log w")
    _finish(figure, axes, data, handles, 2)
    caption(figure, f"Changes over 20 min in simulations; {_spread(data)}.")
    return figure


def _q_min(data: xr.Dataset) -> Figure:
    figure, axes = common.subplots(figsize=(4.6, 3.4))
    z, value, sd = _by_factors(data, "q_min")
    smooth = np.geomspace(z.min() - 0.3, z.max() + 0.3, 200)
    handles: dict[str, Any] = {"2/z": axes.plot(smooth, 2 / smooth, color="0.5", linestyle="--")[0]}
    if data.sizes["seed"] == 1:
        dots = axes.errorbar(z, value, sd, color="C0", marker="o", capsize=2, ls="none")
        handles["simulated"] = dots
        about = _spread(data)
    else:
        seeds = data["q_min"].sel(factors=z).transpose("factors", "seed").values
        shift = np.linspace(-0.15, 0.15, seeds.shape[1])
        dots = axes.plot(z[:, None] + shift, seeds, "o", color="C0", markersize=2.5, alpha=0.5)
        handles["each seed"] = dots[0]
        look = {"color": "C0", "marker": "_", "markersize": 14, "ls": "none"}
        handles["median"] = axes.plot(z, np.nanmedian(seeds, axis=1), **look)[0]
        about = common.seeds_of(data)
    if (measured := _measured(data)) is not None:
        handles[f"{data.attrs['recording']} ± s.d."] = _line(axes, measured, "q_min", "black")
    axes.set(ylim=(0, None), ylabel=Q_MIN)
    _finish(figure, axes, data, handles, 3)
    caption(figure, f"Exponent of the norm that varies least over time; {about}.")
    return figure


def _by_factors(data: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give z, and the means over seeds of a number and of its standard deviation."""
    found = data[[name, f"{name}_sd"]].mean("seed").sortby("factors").dropna("factors", how="all")
    return found["factors"].values, found[name].values, found[f"{name}_sd"].values


def _line(axes: Axes, measured: xr.Dataset, name: str, colour: str) -> tuple[Any, Any]:
    """Draw a measured value as a horizontal line with a band of a standard deviation."""
    value, sd = float(measured[name]), float(measured[f"{name}_sd"])
    band = axes.axhspan(value - sd, value + sd, color=colour, alpha=0.12, linewidth=0)
    return band, axes.axhline(value, color=colour, linestyle=":")


def _finish(
    figure: Figure, axes: Axes, data: xr.Dataset, handles: dict[str, Any], columns: int
) -> None:
    """Name factors and what is drawn."""
    axes.set_xticks(sorted(data["factors"].values))
    axes.set_xlabel("factors z of a synapse")
    legend(figure, handles, columns)


def _slopes_by_lag(data: xr.Dataset, shown: list[_Shown]) -> Figure:
    figure, panels = common.subplots(1, 2, figsize=(6.8, 3.2), sharex=True, sharey=True)
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        for recording in shown:
            slopes = recording.data["slope_by_lag"].sel(direction=direction)
            axes.plot(slopes["lag"], slopes, label=recording.name, **recording.line)
        log_scale(axes, "x")
        axes.set(xlabel="time between sizes (h)", title=direction)
    panels[0].set_ylabel("slope of log |dw| against log w")
    legend(figure, columns=4)
    caption(figure, f"Slopes of moving averages over 1/20 of the sorted pairs; {first_seed(data)}.")
    return figure


def _variation(data: xr.Dataset, shown: list[_Shown]) -> Figure:
    figure, (plain, rescaled) = common.subplots(1, 2, figsize=(6.8, 3.4))
    for recording in shown:
        found, label = recording.data, recording.name
        q, variation, curve = (found[n].values for n in ("exponent", "variation", "curve"))
        if "r_squared" in found:
            label += f" ($R^2$ {decimals(found['r_squared'])})"
        plain.plot(q, np.where(variation > 0, variation, np.nan), label=label, **recording.line)
        rescaled.plot(q, curve, **recording.line)
        if recording.measured:
            sd = found["curve_sd"].values
            rescaled.fill_between(q, curve - sd, curve + sd, color="black", alpha=0.12, linewidth=0)
    plain.set(yscale="log", ylabel="coefficient of variation over time")
    rescaled.set(ylabel="rescaled coefficient of variation", ylim=(-0.02, 1.05))
    for axes in (plain, rescaled):
        axes.set_xlabel("exponent q of the norm")
    legend(figure, columns=4)
    text = (
        "Left: norms of the population over time. Right: means of curves of the data and of "
        f"resampled populations, rescaled to [0, 1]; {first_seed(data)}."
    )
    if shown[-1].measured:
        text += (
            " Band: standard deviation. $R^2$: of all measured curves, explained by the mean one "
            "of a simulation."
        )
    caption(figure, text)
    return figure


def _bootstraps(setup: SynNoise, data: xr.Dataset, shown: list[_Shown]) -> Figure:
    """Illustrate how q_min comes about: for the spines, and for z = 2 or the next."""
    simulated = [r for r in shown if not r.measured]
    chosen = [r for r in shown if r.measured]
    if simulated:
        chosen.append(min(simulated, key=lambda r: abs(int(r.data["factors"]) - 2)))
    figure, panels = common.subplots(
        *(len(chosen), 2), figsize=(6.8, 0.9 + 2.1 * len(chosen)), squeeze=False, sharex=True
    )
    q = data["exponent"].values
    bins = np.append(q, q[-1] + 0.1) - 0.05
    for (curves, histogram), recording in zip(panels, chosen, strict=True):
        for curve in recording.data["curves"].values:
            curves.plot(q, curve, color="C0", linewidth=0.6, alpha=0.4)
            curves.plot(q[curve.argmin()], 0, "o", color="C1", markersize=3, alpha=0.6, zorder=3)
        curves.set(ylabel="rescaled variation", title=recording.name)
        histogram.hist(recording.data["minima"].values, bins, color="C1")
        q_min, sd = (float(recording.data[name]) for name in ("q_min", "q_min_sd"))
        histogram.axvline(q_min, color="black", linewidth=1)
        look = {"color": "black", "alpha": 0.1, "linewidth": 0, "zorder": 0}
        histogram.axvspan(q_min - sd, q_min + sd, **look)
        histogram.set(ylabel="curves", title=f"{Q_MIN} = {q_min:.2f} ± {sd:.2f}")
        histogram.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in panels[-1]:
        axes.set(xlabel="exponent q of the norm", xlim=(0, q[-1] + 0.05))
    caption(
        figure,
        f"Left: {data.sizes['curve_shown']} of {setup.bootstraps:,} "
        "curves, of the data and of populations resampled anew at every time and for every $q$; "
        "dots: minima. Right: minima of all, their mean "
        f"and standard deviation; {first_seed(data)}.",
    )
    return figure


def _in_words(hours: float) -> str:
    return f"{hours:g} h" if hours >= 0.5 else f"{60 * hours:.3g} min"


def _spread(data: xr.Dataset) -> str:
    """Say what points and bars are."""
    means = "" if data.sizes["seed"] == 1 else ", means over seeds"
    return f"bars: s.d. over resampled populations{means}; {common.seeds_of(data)}"
