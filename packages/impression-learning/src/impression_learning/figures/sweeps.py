"""Figures of the modes that vary one parameter (Figures 2 d and 3, and two searches)."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, PercentFormatter

from impression_learning.claims.sweeps import CONTROLS, shares_of_falls
from impression_learning.experiments.common import Learning
from impression_learning.figures.common import (
    ALGORITHMS,
    ASLEEP_COLOUR,
    COLOURS,
    MARKERS,
    algorithm_name,
    colour_of,
    loss_axis,
    only_algorithm,
    plot_alternation,
    plot_losses,
    seeds_first,
    side_by_side,
    steps_axis,
)
from sharpwave_shared.plotting import (
    caption,
    dark_to_light,
    decimals,
    first_seed,
    legend,
    log_scale,
    named_in,
    panel_grid,
    plot_mean,
    plot_points,
    seeds_in_words,
)
from sharpwave_shared.statistics import mean_and_sd

OFF_SCALE = 10.0
"""Final losses above so many times the loss before learning count with those that diverged."""
CLOSE = 0.01
"""Deviations of a learnt time constant that the claim allows."""
NAMED_VALUES = 12
"""Values that a colour bar names at most."""
AXES = {"switch_period": "switch period (steps)", "dt": "time step of the data, dt"}
"""Labels of the axes along which modes vary a parameter."""
ENOUGH = 0.9
"""Share of backpropagation's fall that the claim asks for."""


def draw(experiment: Learning, data: xr.Dataset) -> dict[str, Figure]:
    """Draw what a mode that varies a parameter gives.

    The loss through learning at every value, of periods at the smallest and the largest; by
    dimension also the loss at the end; by period and time step also what was learnt, and the
    latents at the smallest and the largest.
    """
    match experiment.axis:
        case "dimension":
            names = ALGORITHMS | (
                {"reinforce": "REINFORCE as released"}
                if experiment.third_factor == "released"
                else {}
            )
            drawn = {
                "final-loss": _dimensions(data, names),
                "loss": _learning_by_dimension(data, names),
            }
            if "reinforce" in data["algorithm"]:
                drawn["reinforce"] = _reinforce(data.sel(algorithm="reinforce"), names)
            if "impression" in data["algorithm"] and data.sizes["algorithm"] > 1:
                drawn["falls"] = _falls(data, names)
            return drawn
        case "switch_period":
            data = only_algorithm(data)
            return {
                "loss": _loss_at_ends(data, "switch_period"),
                "latents": _latents_at_ends(experiment, data, "switch_period"),
                "periods": _along(data, "switch_period"),
            }
        case "dt":
            data = only_algorithm(data)
            return {
                "loss": _loss_by_time_step(data),
                "traces": _latents_at_ends(experiment, data, "dt"),
                "correlation": _along(data, "dt"),
                "transition": _transition(data),
            }
    return {"learning-rates": _rates(data)}


def _dimensions(data: xr.Dataset, names: Mapping[str, str]) -> Figure:
    figure, panels = side_by_side(2, (7.2, 3.4))
    for axes, loss, heading in zip(
        panels, ("loss_awake", "loss"), ("awake throughout", "alternating"), strict=True
    ):
        shown = []
        for name in data["algorithm"].values:
            losses = seeds_first(data[f"final_{loss}"].sel(algorithm=name), "dimension")
            look = {"marker": MARKERS[name]}
            plot_points(axes, data["dimension"].values, losses, names[name], COLOURS[name], **look)
            shown.append(losses)
        before = seeds_first(data[loss].isel(algorithm=0, point=0), "dimension")
        mean = mean_and_sd(before)[0]
        axes.plot(data["dimension"], mean, ":", color="0.4", label="before learning")
        loss_axis(axes, *shown, before, label="final loss")
        _dimension_axis(axes, data)
        axes.set_title(f"test passage: {heading}")
    legend(figure, fontsize=8)
    caption(
        figure,
        f"Loss at the end of learning; {seeds_in_words(data)}. The claims judge the one awake.",
    )
    return figure


def _dimension_axis(axes: Axes, data: xr.Dataset) -> None:
    dimensions = data["dimension"].values
    axes.set_xscale("log", base=2)
    axes.set_xticks(dimensions, [str(dimension) for dimension in dimensions])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("latent dimension")


def _falls(data: xr.Dataset, names: Mapping[str, str]) -> Figure:
    """Draw what the claims are about: falls of the loss awake, as shares of each other."""
    figure, (near, far) = side_by_side(2, (7.2, 3.2))
    dimensions = np.sort(data["dimension"].values)
    for control in CONTROLS:
        if control in data["algorithm"]:
            shares = seeds_first(shares_of_falls(data, "impression", control), "dimension")
            look = {"marker": MARKERS[control]}
            plot_points(near, dimensions, shares, names[control], COLOURS[control], **look)
    near.axhline(ENOUGH, color="0.4", linestyle="--", linewidth=1, label="the claim's band")
    near.set_ylabel("fall by impression learning\nas a share of backpropagation's")
    near.set_ylim(min(0.85, near.dataLim.y0 - 0.02), max(1.03, near.dataLim.y1 + 0.02))
    if "reinforce" in data["algorithm"]:
        shares = seeds_first(shares_of_falls(data, "reinforce", "impression"), "dimension")
        look = {"marker": MARKERS["reinforce"]}
        plot_points(far, dimensions, shares, names["reinforce"], COLOURS["reinforce"], **look)
    far.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    far.set_ylabel("fall by REINFORCE\nas a share of impression learning's")
    for axes in (near, far):
        _dimension_axis(axes, data)
    legend(figure, columns=2)
    caption(
        figure,
        "How far the loss of the test passage, awake throughout, has fallen at the end of "
        f"learning; {seeds_in_words(data)}.",
    )
    return figure


def _learning_by_dimension(data: xr.Dataset, names: Mapping[str, str]) -> Figure:
    dimensions = data["dimension"].values
    columns = min(3, len(dimensions))
    figure, panels = panel_grid(
        len(dimensions), columns, (2.1, 1.9), (1.0, 0.9), sharex=True, sharey=True
    )
    steps, shown = {}, []
    for name in data["algorithm"].values:
        own = data.sel(algorithm=name)
        steps[name] = own["step"].max().item()
        for axes, dimension in zip(panels.flat, dimensions, strict=False):
            losses = seeds_first(own["loss_awake"].sel(dimension=dimension), "point")
            look = {"marker": MARKERS[name], "markersize": 2.5}
            done = own["step"].values / steps[name]
            plot_mean(axes, done, losses, names[name], COLOURS[name], **look)
            shown.append(losses)
    for axes, dimension in zip(panels.flat, dimensions, strict=False):
        axes.set_title(f"dimension {dimension}")
    for axes in panels.flat[max(len(dimensions) - columns, 0) : len(dimensions)]:
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("steps of learning done")
    for row in panels:
        loss_axis(row[0], *shown)
    legend(figure, columns=2)
    in_steps = EngFormatter(sep=" ")
    lengths = ", ".join(f"{names[name]} {in_steps(n)}" for name, n in steps.items())
    caption(
        figure,
        f"Loss of the test passage, awake throughout, through learning (steps: {lengths}); "
        f"{seeds_in_words(data)}.",
    )
    return figure


def _reinforce(data: xr.Dataset, names: Mapping[str, str]) -> Figure:
    """Draw the loss of REINFORCE through learning for all dimensions, on axes of its own."""
    figure, (whole, share) = side_by_side(2, (7.2, 3.2))
    dimensions, steps = np.sort(data["dimension"].values), data["step"].values
    shown = []
    for dimension, colour in zip(dimensions, dark_to_light(len(dimensions)), strict=True):
        losses = seeds_first(data["loss_awake"].sel(dimension=dimension), "point")
        plot_mean(whole, steps, losses, f"dimension {dimension}", colour, band=False)
        plot_mean(share, steps, losses / losses[:, :1], f"dimension {dimension}", colour)
        shown.append(mean_and_sd(losses)[0][None])
    loss_axis(whole, *shown)
    share.set_ylim(min(0.0, share.dataLim.y0), 1.05 * max(1.0, share.dataLim.y1))
    share.set_ylabel("share of the loss before learning")
    for axes in (whole, share):
        steps_axis(axes)
    legend(figure, columns=6)
    caption(
        figure,
        "Loss of the test passage, awake throughout, through learning by "
        f"{names['reinforce']}. Left: {seeds_in_words(data, band=False)}. Right: divided, seed by "
        f"seed, by the loss before learning; {seeds_in_words(data)}.",
    )
    return figure


def _ends(data: xr.Dataset, axis: str) -> list[int | float]:
    """Give the smallest and the largest value along the axis."""
    return np.unique([data[axis].min(), data[axis].max()]).tolist()


def _named(axis: str, value: int | float) -> str:
    return f"{axis.replace('_', ' ')} {value:g}"


def _loss_at_ends(data: xr.Dataset, axis: str) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    shown = []
    for number, value in enumerate(_ends(data, axis)):
        look = {"marker": "os"[number], "markersize": 3.5, "linestyle": ("-", "--")[number]}
        one, label = data.sel({axis: value}), _named(axis, value)
        shown.append(plot_losses(axes, one, label, f"C{number}", "loss_awake", **look))
    loss_axis(axes, *shown)
    steps_axis(axes)
    axes.legend()
    axes.set_title(f"Loss through learning ({algorithm_name(data)})")
    caption(figure, f"Test passage awake throughout; {seeds_in_words(data)}.")
    return figure


def _loss_by_time_step(data: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(figsize=(5.4, 3.5))
    values = np.sort(data["dt"].values)
    colours = dark_to_light(len(values))
    shown = []
    for value, colour in zip(values, colours, strict=True):
        one = data.sel(dt=value)
        losses = plot_losses(axes, one, f"dt {value:g}", colour, "loss_awake", band=False)
        shown.append(mean_and_sd(losses)[0][None])
    loss_axis(axes, *shown)
    steps_axis(axes)
    axes.set_title(f"Loss through learning ({algorithm_name(data)})")
    each = BoundaryNorm(np.arange(len(values) + 1) - 0.5, len(values))
    bar = figure.colorbar(ScalarMappable(each, ListedColormap(colours)), ax=axes, label=AXES["dt"])
    named = np.unique(np.linspace(0, len(values) - 1, NAMED_VALUES).round().astype(int))
    bar.set_ticks(named.tolist(), labels=[f"{value:g}" for value in values[named]])
    bar.ax.tick_params(length=0)
    bar.ax.minorticks_off()
    caption(figure, f"Test passage awake throughout; {seeds_in_words(data, band=False)}.")
    return figure


def _latents_at_ends(experiment: Learning, data: xr.Dataset, axis: str) -> Figure:
    ends = _ends(data, axis)
    figure, panels = plt.subplots(len(ends), 1, figsize=(6.6, 0.9 + 1.9 * len(ends)), squeeze=False)
    for axes, value in zip(panels[:, 0], ends, strict=True):
        one = data.sel({axis: value})
        period = int(value) if axis == "switch_period" else dict(experiment)["switch_period"]
        plot_alternation(axes, one, period, 0)
        correlation = seeds_first(one["alternation_correlation"])[0]
        axes.set_title(f"{_named(axis, value)}: correlation {decimals(correlation)}", fontsize=9)
    panels[-1, 0].set_xlabel("step of the test passage")
    legend(figure)
    caption(
        figure,
        "A latent unit awake and while wake and sleep alternate, with the same data and noise; "
        f"correlations over all units and the test passage; {first_seed(data)}.",
    )
    return figure


def _along(data: xr.Dataset, axis: str) -> Figure:
    figure, (correlation, loss) = side_by_side(2, (6.8, 3.0))
    values, colour = data[axis].values, colour_of(data)
    found = seeds_first(data["alternation_correlation"], axis)
    plot_points(correlation, values, found, "", colour)
    # Show correlations from 0, or from below if points or bars are there, to 1.
    correlation.set_ylim(1.1 * min(0.0, correlation.dataLim.y0), 1.05)
    correlation.set_ylabel("correlation, awake and alternating")
    finals = {}
    for name, label, look in (
        ("final_loss_awake", "awake", {"color": colour}),
        ("final_loss", "alternating", {"color": "C1", "marker": "s", "linestyle": "--"}),
    ):
        finals[name] = seeds_first(data[name], axis)
        plot_points(loss, values, finals[name], label, look.pop("color"), **look)
    loss_axis(loss, *finals.values(), label="final loss")
    loss.legend(title="test passage")
    for axes in (correlation, loss):
        _varied_axis(axes, axis, values)
    phase = "; a phase lasts the switch period and one step" * (axis == "switch_period")
    caption(figure, f"After learning ({algorithm_name(data)}){phase}; {seeds_in_words(data)}.")
    return figure


def _varied_axis(axes: Axes, axis: str, values: np.ndarray) -> None:
    """Label the axis along which a mode varies a parameter; logarithmic if most values are low."""
    if values.min() > 0 and np.median(values) < values.max() / 4:
        log_scale(axes, "x")
    axes.set_xlabel(AXES[axis])


def _transition(data: xr.Dataset) -> Figure:
    colour = colour_of(data)
    truth, learnt = data["transition_truth"].values, seeds_first(data["transition_mean"], "dt")
    figure, (against, deviation) = side_by_side(2, (6.8, 3.0))
    against.axline((1, 1), slope=1, color="0.6", linewidth=1, linestyle="--", label="identity")
    plot_points(against, truth, learnt, "learnt", colour, linestyle="none")
    against.set_xlabel("transition of the data, $1 - a^2$")
    against.set_ylabel("transition learnt, mean of $D$")
    against.legend(loc="upper left")
    deviation.axhspan(-CLOSE, CLOSE, color=ASLEEP_COLOUR, linewidth=0, label=f"within {CLOSE:g}")
    plot_points(deviation, data["dt"].values, learnt - truth, "", colour)
    deviation.set_ylabel("learnt minus data")
    _varied_axis(deviation, "dt", data["dt"].values)
    deviation.legend()
    caption(
        figure,
        f"Mean of $D$ over units after learning ({algorithm_name(data)}); {seeds_in_words(data)}.",
    )
    return figure


def _rates(data: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(figsize=(6.6, 3.8))
    before = float(mean_and_sd(data["loss"].isel(point=0).values.ravel())[0])
    limit = OFF_SCALE * before if before > 0 else np.inf
    shown, rates = [np.array([before])], data["eta"].values
    for row, name in enumerate(data["algorithm"].values):
        losses = seeds_first(data["final_loss"].sel(algorithm=name), "eta")
        away = ~(losses <= limit)
        kept = np.where(away, np.nan, losses)
        look = {"marker": MARKERS[name], "linestyle": ("-", "--", ":")[row]}
        plot_points(axes, rates, kept, ALGORITHMS[name], COLOURS[name], **look)
        mean, sd = mean_and_sd(kept)
        # A bar may reach below 0, where the axis ends nowhere.
        shown += [mean, mean + sd, np.maximum(mean - sd, mean / 3)]
        _mark(axes, rates, away, COLOURS[name], 0.975 - 0.1 * row)
    _scale_losses(axes, np.concatenate(shown), rows=data.sizes["algorithm"])
    axes.set_xscale("log")
    named = named_in(axes)
    if np.isfinite(before):
        named["before learning"] = axes.axhline(before, color="0.4", linestyle=":", linewidth=1)
    label = f"diverged, or above {OFF_SCALE:g} × before"
    named[label] = Line2D([], [], marker="x", linestyle="none", color="0.3")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("final loss")
    legend(figure, named, 4)
    caption(
        figure,
        "Loss at the end of learning of the seeds that did not diverge; "
        f"{seeds_in_words(data)}. Crosses: how many of how many seeds diverged.",
    )
    return figure


def _mark(axes: Axes, rates: np.ndarray, away: np.ndarray, colour: str, height: float) -> None:
    """Mark at the top edge at which rates, and in how many seeds, learning went astray."""
    transform = axes.get_xaxis_transform()
    for rate, count in zip(rates, away.sum(0), strict=True):
        if count:
            axes.plot(rate, height, "x", color=colour, transform=transform, markersize=5)
            text = f"{count}/{len(away)}"
            look = {"color": colour, "fontsize": 6, "ha": "center", "va": "top"}
            axes.text(rate, height - 0.025, text, transform=transform, **look)


def _scale_losses(axes: Axes, shown: np.ndarray, rows: int) -> None:
    """Scale the loss logarithmically, and leave room at the top for rows of marks."""
    shown = shown[np.isfinite(shown)]
    if not len(shown) or shown.min() <= 0:
        return
    log_scale(axes, "y")
    low, high = np.log10([shown.min(), shown.max()])
    low -= max(0.08 * (high - low), 0.1)
    room = 0.1 * rows + 0.05
    axes.set_ylim(10**low, 10 ** (high + room / (1 - room) * (high - low)))
