"""Figures of the modes that vary one parameter (Figures 2 d and 3, and two searches)."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, PercentFormatter

from impression_learning.experiments.common import Learning
from impression_learning.figures.common import (
    ALGORITHMS,
    ASLEEP_COLOUR,
    COLOURS,
    MARKERS,
    algorithm_name,
    colour_of,
    first_seed,
    log_scale,
    loss_axis,
    only_algorithm,
    plot_alternation,
    plot_losses,
    plot_mean,
    plot_points,
    seeds_first,
    seeds_in_words,
    side_by_side,
    steps_axis,
)
from sharpwave_shared.plotting import caption
from sharpwave_shared.statistics import mean_and_sd

OFF_SCALE = 10.0
"""Final losses above so many times the loss before learning count with those that diverged."""
CLOSE = 0.01
"""Deviations of a learnt time constant that the claim allows."""


def draw(experiment: Learning, data: xr.Dataset) -> dict[str, Figure]:
    """Draw what a mode that varies a parameter gives.

    By dimension the loss; by period and time step also what was learnt, and the latents at the
    shortest and the longest period.
    """
    match experiment.axis:
        case "dimension":
            return {"final-loss": _dimensions(data), "loss": _learning_by_dimension(data)}
        case "switch_period":
            data = only_algorithm(data)
            known = data["switch_period"].values
            periods = np.unique([known.min(), known.max()])
            return {
                "loss": _loss_at(data, periods),
                "latents": _latents_at(data, periods),
                "periods": _periods(data),
            }
        case "dt":
            data = only_algorithm(data)
            return {"transition": _transition(data), "time-constants": _time_constants(data)}
    return {"learning-rates": _rates(data)}


def _dimensions(data: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    dimensions, shown = data["dimension"].values, []
    for name in data["algorithm"].values:
        losses = seeds_first(data["final_loss"].sel(algorithm=name), "dimension")
        look = {"marker": MARKERS[name]}
        plot_points(axes, dimensions, losses, ALGORITHMS[name], COLOURS[name], **look)
        shown.append(losses)
    loss_axis(axes, *shown, label="final loss")
    axes.set_xscale("log", base=2)
    axes.set_xticks(dimensions, [str(dimension) for dimension in dimensions])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("latent dimension")
    figure.legend(loc="outside upper center", ncols=3)
    caption(figure, f"Loss at the end of learning; {seeds_in_words(data)}.")
    return figure


def _learning_by_dimension(data: xr.Dataset) -> Figure:
    dimensions = data["dimension"].values
    columns = min(3, len(dimensions))
    rows = -(-len(dimensions) // columns)
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(1 + 2.1 * columns, 0.9 + 1.9 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    steps, shown = {}, []
    for name in data["algorithm"].values:
        own = data.sel(algorithm=name)
        steps[name] = own["step"].max().item()
        for axes, dimension in zip(panels.flat, dimensions, strict=False):
            losses = seeds_first(own["loss"].sel(dimension=dimension), "point")
            look = {"marker": MARKERS[name], "markersize": 2.5}
            done = own["step"].values / steps[name]
            plot_mean(axes, done, losses, ALGORITHMS[name], COLOURS[name], **look)
            shown.append(losses)
    for axes, dimension in zip(panels.flat, dimensions, strict=False):
        axes.set_title(f"dimension {dimension}")
    for axes in panels.flat[len(dimensions) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(len(dimensions) - columns, 0) : len(dimensions)]:
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("steps of learning done")
    for row in panels:
        loss_axis(row[0], *shown)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    in_steps = EngFormatter(sep=" ")
    lengths = ", ".join(f"{ALGORITHMS[name]} {in_steps(n)}" for name, n in steps.items())
    caption(figure, f"Loss through learning (steps: {lengths}); {seeds_in_words(data)}.")
    return figure


def _loss_at(data: xr.Dataset, periods: np.ndarray) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    shown = []
    for number, period in enumerate(periods):
        look = {"marker": "os"[number], "markersize": 3.5, "linestyle": ("-", "--")[number]}
        one = data.sel(switch_period=period)
        shown.append(plot_losses(axes, one, f"switch period {period}", f"C{number}", **look))
    loss_axis(axes, *shown)
    steps_axis(axes)
    axes.legend()
    axes.set_title(f"Loss through learning ({algorithm_name(data)})")
    caption(figure, f"Shortest and longest period; {seeds_in_words(data)}.")
    return figure


def _latents_at(data: xr.Dataset, periods: np.ndarray) -> Figure:
    figure, panels = plt.subplots(
        len(periods), 1, figsize=(6.6, 0.9 + 1.9 * len(periods)), squeeze=False
    )
    for axes, period in zip(panels[:, 0], periods, strict=True):
        one = data.sel(switch_period=period)
        plot_alternation(axes, one, int(period), 0)
        correlation = seeds_first(one["alternation_correlation"])[0]
        axes.set_title(f"switch period {period}: correlation {correlation:.2f}", fontsize=9)
    panels[-1, 0].set_xlabel("step of the test passage")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    caption(
        figure,
        "A latent unit awake and while wake and sleep alternate, with the same data and noise; "
        f"correlations over all units and the test passage; {first_seed(data)}.",
    )
    return figure


def _periods(data: xr.Dataset) -> Figure:
    figure, (correlation, loss) = side_by_side(2, (6.6, 3.0))
    values = seeds_first(data["alternation_correlation"], "switch_period")
    periods = data["switch_period"].values
    plot_points(correlation, periods, values, "", colour_of(data))
    _from_zero(correlation)
    correlation.set_ylabel("correlation, awake and alternating")
    _plot_final(loss, data, "switch_period")
    for axes in (correlation, loss):
        axes.set_xlabel("switch period (steps)")
    caption(
        figure,
        f"After learning ({algorithm_name(data)}); a phase lasts the switch period and one step; "
        f"{seeds_in_words(data)}.",
    )
    return figure


def _plot_final(axes: Axes, data: xr.Dataset, axis: str) -> None:
    """Plot the final loss along the axis."""
    final = seeds_first(data["final_loss"], axis)
    plot_points(axes, data[axis].values, final, "", colour_of(data))
    loss_axis(axes, final, label="final loss")


def _from_zero(axes: Axes) -> None:
    """Show correlations from 0, or from below if points or bars are there, to 1."""
    axes.set_ylim(1.1 * min(0.0, axes.dataLim.y0), 1.05)


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
    _time_step_axis(deviation)
    deviation.legend()
    caption(
        figure,
        f"Mean of $D$ over units after learning ({algorithm_name(data)}); {seeds_in_words(data)}.",
    )
    return figure


def _time_step_axis(axes: Axes) -> None:
    log_scale(axes, "x")
    axes.set_xlabel("time step of the data, dt")


def _time_constants(data: xr.Dataset) -> Figure:
    figure, (agreement, loss) = side_by_side(2, (6.8, 3.0))
    shown = {
        "r2": ("$R^2$ of reconstruction", "C2", "o", "-"),
        "alternation_correlation": ("correlation, awake\nand alternating", "C3", "s", "--"),
    }
    for name, (label, colour, marker, linestyle) in shown.items():
        look = {"marker": marker, "linestyle": linestyle}
        plot_points(
            agreement, data["dt"].values, seeds_first(data[name], "dt"), label, colour, **look
        )
    _from_zero(agreement)
    agreement.set_ylabel("$R^2$, correlation")
    agreement.legend()
    _plot_final(loss, data, "dt")
    for axes in (agreement, loss):
        _time_step_axis(axes)
    caption(figure, f"After learning ({algorithm_name(data)}); {seeds_in_words(data)}.")
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
    handles = axes.get_legend_handles_labels()[0]
    if np.isfinite(before):
        label = "before learning"
        handles.append(axes.axhline(before, color="0.4", linestyle=":", linewidth=1, label=label))
    label = f"diverged, or above {OFF_SCALE:g} × before"
    handles.append(Line2D([], [], marker="x", linestyle="none", color="0.3", label=label))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("final loss")
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
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
