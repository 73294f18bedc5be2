"""Figures of fluctuating synapses, simulated and measured (Figures 5 and 6)."""

import math
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sharpwave_shared.plotting import caption, name_seeds, numbers, style
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.synapses import DIRECTIONS, SHOWN_PAIRS, Arrays

Summary = dict[str, Any]

COLOURS = {"growth": "C0", "shrinkage": "C1"}
MARKERS = {"growth": "o", "shrinkage": "s"}
LINES = ("-", "--", "-.", ":")
NARROW = 200.0
"""On a logarithmic axis that spans less than this factor, decades alone are too few labels."""
Q_MIN = r"$q_{\mathrm{min}}$"


@dataclass(frozen=True)
class _Shown:
    """A recording in the figures: its name, summary, key of its arrays, and look of its line."""

    name: str
    summary: Summary
    key: str
    line: dict[str, Any]


def synapse_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw how changes and norms of synapses depend on z, beside measured spines if there are.

    Pairs and curves are those of the first seed.
    """
    arrays = run.arrays()
    first = run.record["seeds"][0]
    simulated = [s for s in run.metrics["simulated"] if s["seed"] == first]
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, max(len(simulated), 2)))
    lines = [{"color": c, "linestyle": LINES[i % len(LINES)]} for i, c in enumerate(colours)]
    shown = [
        _Shown(f"z = {s['factors']}", s, f"seed{first}.z{s['factors']}", line)
        for s, line in zip(simulated, lines, strict=False)
    ]
    measured = run.metrics["measured"]
    if measured is not None:
        line = {"color": "black", "linewidth": 2.2}
        shown.append(_Shown(_data_name(run), measured, "measured", line))
    with style():
        figures = {"q-min": _q_min(run), "slopes": _slopes(run)}
        if shown:
            figures |= {
                "noise": _noise(run, arrays, shown),
                "slopes-by-lag": _slopes_by_lag(run, shown),
                "variation": _variation(run, arrays, shown),
                "bootstraps": _bootstraps(run, arrays, shown),
            }
        return figures


def _data_name(run: StoredRun) -> str:
    return {"kaufman-2012": "Kaufman et al. 2012"}.get(run.record["dataset"]["name"], "recording")


def _logarithmic(axes: Axes, which: str) -> None:
    """Make an axis logarithmic, with few labels, but more than one."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    if high < NARROW * low:
        axis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_locator(LogLocator(numticks=4))
    axis.set_minor_formatter(NullFormatter())


def _noise(run: StoredRun, arrays: Arrays, shown: list[_Shown]) -> Figure:
    columns = min(4, math.ceil(len(shown) / 2))
    rows = -(-len(shown) // columns)
    figure = plt.figure(figsize=(2.7 * columns, 0.6 + 2.6 * rows))
    cells = figure.subfigures(rows, columns, squeeze=False)
    for cell, recording in zip(cells.flat, shown, strict=False):
        _pairs(cell, arrays, recording)
    times = " and ".join(dict.fromkeys(_in_words(r.summary["hours"]) for r in shown))
    caption(
        figure,
        f"Sizes of synapses w and changes |dw| over one sample ({times}), with their "
        "distributions, moving averages over 1/20 of the sorted pairs (thick), and lines through "
        f"the logarithms of these (dashed), of which the slopes are given; {_first_seed(run)}. "
        f"At most {SHOWN_PAIRS:,} pairs are shown for each direction.",
    )
    return figure


def _pairs(cell: SubFigure, arrays: Arrays, recording: _Shown) -> None:
    """Plot changes against sizes, with distributions at the margins."""
    axes = cell.subplots(
        2, 2, gridspec_kw={"width_ratios": [4, 1], "height_ratios": [1, 4], "wspace": 0}
    )
    top, corner, main, right = axes.flat
    corner.set_visible(False)
    pairs = {d: arrays[f"{recording.key}.{d}.pairs"] for d in DIRECTIONS}
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
        size, change = arrays[f"{recording.key}.{direction}.average"]
        slope = recording.summary["slopes"]["moving"][direction]["value"]
        main.plot(size, change, color="white", linewidth=3)
        main.plot(
            size, change, color=COLOURS[direction], linewidth=1.8, label=f"{direction} {slope:.2f}"
        )
        x, y = np.log(size), np.log(change)
        ends = np.array([x.min(), x.max()])
        line = np.exp(y.mean() + slope * (ends - x.mean()))
        main.plot(np.exp(ends), line, color="black", linewidth=1, linestyle="--")
    _logarithmic(main, "x")
    _logarithmic(main, "y")
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
    main.set_xlabel("size w (a.u.)")
    main.set_ylabel("change |dw| (a.u.)")
    top.set_title(recording.name)


def _slopes(run: StoredRun) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.4))
    for direction in DIRECTIONS:
        offset = {"growth": -0.06, "shrinkage": 0.06}[direction]
        z, value, sd = _by_factors(run, lambda s, d=direction: s["slopes"]["moving"][d])
        axes.errorbar(
            *(z + offset, value, sd),
            color=COLOURS[direction],
            marker=MARKERS[direction],
            markersize=4,
            capsize=2,
            linewidth=1,
            label=direction,
        )
        if run.metrics["measured"] is not None:
            found = run.metrics["measured"]["slopes"]["moving"][direction]
            _line(axes, found["value"], found["sd"], COLOURS[direction])
            axes.lines[-1].set_label(f"{direction}, {_data_name(run)}")
    axes.set_ylabel("slope of log |dw| against log w")
    _factors_axis(axes, run)
    figure.legend(loc="outside upper center", ncols=2)
    caption(figure, f"Changes over one sample; {_spread(run)}.")
    return figure


def _q_min(run: StoredRun) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.4))
    z, value, sd = _by_factors(run, lambda s: {"value": s["q_min"], "sd": s["q_min_sd"]})
    smooth = np.geomspace(z.min() - 0.3, z.max() + 0.3, 200)
    axes.plot(smooth, 2 / smooth, color="0.5", linestyle="--", label="2/z")
    axes.errorbar(z, value, sd, color="C0", marker="o", capsize=2, ls="none", label="simulated")
    if run.metrics["measured"] is not None:
        _line(axes, run.metrics["measured"]["q_min"], run.metrics["measured"]["q_min_sd"], "black")
        axes.lines[-1].set_label(_data_name(run))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(Q_MIN)
    _factors_axis(axes, run)
    figure.legend(loc="outside upper center", ncols=3)
    caption(figure, f"Exponent of the norm that varies least over time; {_spread(run)}.")
    return figure


def _by_factors(run: StoredRun, quantity: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Collect z, and the means over seeds of a value and of its standard deviation."""
    found: dict[int, list[tuple[float, float]]] = {}
    for summary in run.metrics["simulated"]:
        q = quantity(summary)
        found.setdefault(summary["factors"], []).append((q["value"], q["sd"]))
    z = np.array(sorted(found))
    value, sd = np.array([numbers(found[k]).mean(0) for k in z.tolist()]).T
    return z, value, sd


def _line(axes: Axes, value: float, sd: float, colour: str) -> None:
    """Draw a measured value as a horizontal line with a band of a standard deviation."""
    axes.axhspan(value - sd, value + sd, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(value, color=colour, linestyle=":")


def _factors_axis(axes: Axes, run: StoredRun) -> None:
    axes.set_xticks(sorted({s["factors"] for s in run.metrics["simulated"]}))
    axes.set_xlabel("factors z of a synapse")


def _slopes_by_lag(run: StoredRun, shown: list[_Shown]) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(6.8, 3.2), sharex=True, sharey=True)
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        for recording in shown:
            slopes = numbers(recording.summary["slope_by_lag"][direction])
            lags = recording.summary["hours"] * np.arange(1, len(slopes) + 1)
            axes.plot(lags, slopes, label=recording.name, **recording.line)
        _logarithmic(axes, "x")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("time between sizes (h)")
        axes.set_title(direction)
    panels[0].set_ylabel("slope of log |dw| against log w")
    _legend(figure, panels[0])
    caption(figure, f"Slopes of moving averages over 1/20 of the sorted pairs; {_first_seed(run)}.")
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4))


def _variation(run: StoredRun, arrays: Arrays, shown: list[_Shown]) -> Figure:
    figure, (plain, rescaled) = plt.subplots(1, 2, figsize=(6.8, 3.4))
    q = arrays["exponents"]
    for recording in shown:
        label = recording.name
        if "r_squared" in recording.summary:
            label += f" ($R^2$ {_number(recording.summary['r_squared'])})"
        variation = arrays[f"{recording.key}.variation"]
        plain.plot(q, np.where(variation > 0, variation, np.nan), label=label, **recording.line)
        curve = arrays[f"{recording.key}.curve"]
        rescaled.plot(q, curve, **recording.line)
        if recording.key == "measured":
            sd = arrays["measured.curve_sd"]
            rescaled.fill_between(q, curve - sd, curve + sd, color="black", alpha=0.12, linewidth=0)
    plain.set_yscale("log")
    plain.set_ylabel("coefficient of variation over time")
    rescaled.set_ylabel("rescaled coefficient of variation")
    rescaled.set_ylim(-0.02, 1.05)
    for axes in (plain, rescaled):
        axes.set_xlabel("exponent q of the norm")
    _legend(figure, plain)
    text = (
        "Left: norms of the population over time. Right: curves of resampled populations, rescaled "
        f"to [0, 1], means; {_first_seed(run)}."
    )
    if run.metrics["measured"] is not None:
        text += " Band: standard deviation. $R^2$: of the measured mean explained by a simulation."
    caption(figure, text)
    return figure


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _bootstraps(run: StoredRun, arrays: Arrays, shown: list[_Shown]) -> Figure:
    """Illustrate how q_min comes about: for the spines, and for z = 2 or the next."""
    simulated = [r for r in shown if r.key != "measured"]
    chosen = [r for r in shown if r.key == "measured"]
    if simulated:
        chosen.append(min(simulated, key=lambda r: abs(r.summary["factors"] - 2)))
    figure, panels = plt.subplots(
        *(len(chosen), 2), figsize=(6.8, 0.9 + 2.1 * len(chosen)), squeeze=False, sharex=True
    )
    q = arrays["exponents"]
    bins = np.append(q, q[-1] + 0.1) - 0.05
    for (curves, histogram), recording in zip(panels, chosen, strict=True):
        for curve in arrays[f"{recording.key}.curves"]:
            curves.plot(q, curve, color="C0", linewidth=0.6, alpha=0.4)
            curves.plot(q[curve.argmin()], 0, "o", color="C1", markersize=3, alpha=0.6, zorder=3)
        curves.set_ylabel("rescaled variation")
        curves.set_title(recording.name)
        histogram.hist(arrays[f"{recording.key}.minima"], bins, color="C1")
        q_min, sd = recording.summary["q_min"], recording.summary["q_min_sd"]
        histogram.axvline(q_min, color="black", linewidth=1)
        look = {"color": "black", "alpha": 0.1, "linewidth": 0, "zorder": 0}
        histogram.axvspan(q_min - sd, q_min + sd, **look)
        histogram.set_ylabel("resampled populations")
        histogram.set_title(f"{Q_MIN} = {q_min:.2f} ± {sd:.2f}")
        histogram.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in panels[-1]:
        axes.set_xlabel("exponent q of the norm")
        axes.set_xlim(0, q[-1] + 0.05)
    caption(
        figure,
        f"Left: {len(arrays[f'{chosen[0].key}.curves'])} of {run.metrics['bootstraps']:,} "
        "populations resampled with replacement; dots: minima. Right: minima of all, their mean "
        f"and standard deviation; {_first_seed(run)}.",
    )
    return figure


def _in_words(hours: float) -> str:
    return f"{hours:g} h" if hours >= 0.5 else f"{60 * hours:.3g} min"


def _first_seed(run: StoredRun) -> str:
    return name_seeds(run.record["seeds"][:1])


def _spread(run: StoredRun) -> str:
    """Say what points and bars are."""
    seeds = run.record["seeds"]
    means = "" if len(seeds) == 1 else ", means over seeds"
    return f"bars: standard deviation over resampled populations{means}; {name_seeds(seeds)}"
