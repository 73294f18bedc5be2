"""Figures of the modes that vary one parameter (Figures 2 d and 3, and two searches)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, PercentFormatter

from impression_learning.figures.common import (
    ALGORITHMS,
    ASLEEP_COLOUR,
    COLOURS,
    MARKERS,
    Condition,
    algorithm_name,
    final_losses,
    first_seed,
    log_scale,
    loss_axis,
    mean_and_error,
    plot_alternation,
    plot_mean,
    plot_points,
    seeds_in_words,
    steps_axis,
    summary,
)
from sharpwave_shared.plotting import caption, numbers, style
from sharpwave_shared.runs import StoredRun

OFF_SCALE = 10.0
"""Final losses above so many times the loss before learning count with those that diverged."""
CLOSE = 0.01
"""Deviations of a learnt time constant that the claim allows."""


def dimensionality_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the final loss against dimension, and the loss through learning at every dimension."""
    with style():
        return {"final-loss": _dimensions(run), "loss": _learning_by_dimension(run)}


def switch_period_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw loss and latents at the shortest and longest period, and what the period changes."""
    conditions = run.metrics["conditions"]
    arrays = run.arrays()
    periods = [c["switch_period"] for c in conditions]
    ends = sorted({int(np.argmin(periods)), int(np.argmax(periods))}, key=lambda c: periods[c])
    with style():
        return {
            "loss": _loss_at(run, ends),
            "latents": _latents_at(run, arrays, ends),
            "periods": _periods(run, conditions),
        }


def time_constant_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the time constants learnt against the data's, and how well the data are inferred."""
    with style():
        return {"transition": _transition(run), "time-constants": _time_constants(run)}


def learning_rate_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the final loss against the learning rate."""
    with style():
        return {"learning-rates": _rates(run)}


def _by_algorithm(run: StoredRun) -> dict[str, list[Condition]]:
    """Sort the conditions; those of an algorithm are in the order of the axis."""
    conditions = run.metrics["conditions"]
    return {
        name: own
        for name in ALGORITHMS
        if (own := [c for c in conditions if c["algorithm"] == name])
    }


def _on_axis(conditions: list[Condition]) -> np.ndarray:
    return numbers([c["value"] for c in conditions])


def _dimensions(run: StoredRun) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    shown = []
    for name, conditions in _by_algorithm(run).items():
        losses = final_losses(conditions)
        look = {"marker": MARKERS[name]}
        plot_points(axes, _on_axis(conditions), losses, ALGORITHMS[name], COLOURS[name], **look)
        shown.append(losses)
    loss_axis(axes, *shown, label="final loss")
    axes.set_xscale("log", base=2)
    values = run.metrics["axis"]["values"]
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("latent dimension")
    figure.legend(loc="outside upper center", ncols=3)
    caption(figure, f"Loss at the end of learning; {seeds_in_words(run)}.")
    return figure


def _learning_by_dimension(run: StoredRun) -> Figure:
    values = run.metrics["axis"]["values"]
    columns = min(3, len(values))
    rows = -(-len(values) // columns)
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(1 + 2.1 * columns, 0.9 + 1.9 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    steps, shown = {}, []
    for axes, value in zip(panels.flat, values, strict=False):
        for condition in run.metrics["conditions"]:
            if condition["value"] == value:
                name = condition["algorithm"]
                points, losses = numbers(condition["points"]), numbers(condition["losses"])
                steps[name] = int(points[-1])
                plot_mean(
                    axes,
                    points / points[-1],
                    losses,
                    ALGORITHMS[name],
                    COLOURS[name],
                    marker=MARKERS[name],
                    markersize=2.5,
                )
                shown.append(losses)
        axes.set_title(f"dimension {value:g}")
    for axes in panels.flat[len(values) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(len(values) - columns, 0) : len(values)]:
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("steps of learning done")
    for row in panels:
        loss_axis(row[0], *shown)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    in_steps = EngFormatter(sep=" ")
    lengths = ", ".join(f"{ALGORITHMS[name]} {in_steps(n)}" for name, n in steps.items())
    caption(figure, f"Loss through learning (steps: {lengths}); {seeds_in_words(run)}.")
    return figure


def _loss_at(run: StoredRun, which: list[int]) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    shown = []
    for number, c in enumerate(which):
        condition = run.metrics["conditions"][c]
        losses = numbers(condition["losses"])
        look = {"marker": "os"[number], "markersize": 3.5, "linestyle": ("-", "--")[number]}
        label = f"switch period {condition['switch_period']}"
        plot_mean(axes, numbers(condition["points"]), losses, label, f"C{number}", **look)
        shown.append(losses)
    loss_axis(axes, *shown)
    steps_axis(axes)
    axes.legend()
    axes.set_title(f"Loss through learning ({algorithm_name(run.metrics['conditions'][0])})")
    caption(figure, f"Shortest and longest period; {seeds_in_words(run)}.")
    return figure


def _latents_at(run: StoredRun, arrays: dict[str, np.ndarray], which: list[int]) -> Figure:
    figure, panels = plt.subplots(
        len(which), 1, figsize=(6.6, 0.9 + 1.7 * len(which)), squeeze=False
    )
    for axes, c in zip(panels[:, 0], which, strict=True):
        condition = run.metrics["conditions"][c]
        period = condition["switch_period"]
        plot_alternation(axes, arrays, c, period, 0)
        correlation = numbers(condition["summary"]["alternation_correlation"])[0]
        axes.set_title(f"switch period {period}: correlation {correlation:.2f}", fontsize=9)
    panels[-1, 0].set_xlabel("step of the test passage")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    caption(
        figure,
        "A latent unit awake and while wake and sleep alternate, with the same data and noise; "
        f"correlations over all units and the test passage; {first_seed(run)}.",
    )
    return figure


def _periods(run: StoredRun, conditions: list[Condition]) -> Figure:
    figure, (correlation, loss) = plt.subplots(1, 2, figsize=(6.6, 3))
    periods = _on_axis(conditions)
    values = summary(conditions, "alternation_correlation")
    colour = COLOURS[conditions[0]["algorithm"]]
    plot_points(correlation, periods, values, "", colour)
    _from_zero(correlation, values)
    correlation.set_ylabel("correlation, awake and alternating")
    final = final_losses(conditions)
    plot_points(loss, periods, final, "", colour)
    loss_axis(loss, final, label="final loss")
    for axes in (correlation, loss):
        axes.set_xlabel("switch period (steps)")
    caption(
        figure,
        f"After learning ({algorithm_name(conditions[0])}); a phase lasts the switch period and "
        f"one step; {seeds_in_words(run)}.",
    )
    return figure


def _from_zero(axes: Axes, *values: np.ndarray) -> None:
    """Show correlations from 0, or from below if there are negative ones, to 1."""
    lowest = min([0.0, *(float(v[np.isfinite(v)].min(initial=0)) for v in values)])
    axes.set_ylim(1.1 * lowest, 1.05)


def _transition(run: StoredRun) -> Figure:
    conditions = run.metrics["conditions"]
    colour = COLOURS[conditions[0]["algorithm"]]
    truth = numbers([c["summary"]["transition_truth"] for c in conditions])
    learnt = summary(conditions, "transition_mean")
    figure, (against, deviation) = plt.subplots(1, 2, figsize=(6.8, 3))
    against.axline((1, 1), slope=1, color="0.6", linewidth=1, linestyle="--", label="identity")
    plot_points(against, truth, learnt, "learnt", colour, linestyle="none")
    against.set_xlabel("transition of the data, $1 - a^2$")
    against.set_ylabel("transition learnt, mean of $D$")
    against.legend(loc="upper left")
    deviation.axhspan(-CLOSE, CLOSE, color=ASLEEP_COLOUR, linewidth=0, label=f"within {CLOSE:g}")
    plot_points(deviation, _on_axis(conditions), learnt - truth, "", colour)
    deviation.set_ylabel("learnt minus data")
    _time_step_axis(deviation)
    deviation.legend()
    caption(
        figure,
        f"Mean of $D$ over units after learning ({algorithm_name(conditions[0])}); "
        f"{seeds_in_words(run)}.",
    )
    return figure


def _time_step_axis(axes: Axes) -> None:
    log_scale(axes, "x")
    axes.set_xlabel("time step of the data, dt")


def _time_constants(run: StoredRun) -> Figure:
    conditions = run.metrics["conditions"]
    dts = _on_axis(conditions)
    figure, (agreement, loss) = plt.subplots(1, 2, figsize=(6.8, 3))
    shown = {
        "r2": ("$R^2$ of reconstruction", "C2", "o", "-"),
        "alternation_correlation": ("correlation, awake\nand alternating", "C3", "s", "--"),
    }
    for name, (label, colour, marker, linestyle) in shown.items():
        look = {"marker": marker, "linestyle": linestyle}
        plot_points(agreement, dts, summary(conditions, name), label, colour, **look)
    _from_zero(agreement, *(summary(conditions, name) for name in shown))
    agreement.set_ylabel("$R^2$, correlation")
    agreement.legend()
    final = final_losses(conditions)
    plot_points(loss, dts, final, "", COLOURS[conditions[0]["algorithm"]])
    loss_axis(loss, final, label="final loss")
    for axes in (agreement, loss):
        _time_step_axis(axes)
    caption(figure, f"After learning ({algorithm_name(conditions[0])}); {seeds_in_words(run)}.")
    return figure


def _rates(run: StoredRun) -> Figure:
    figure, axes = plt.subplots(figsize=(6.6, 3.8))
    sorted_conditions = _by_algorithm(run)
    before = numbers([row[0] for c in run.metrics["conditions"] for row in c["losses"]])
    before = float(mean_and_error(before)[0])
    limit = OFF_SCALE * before if before > 0 else np.inf
    shown = [np.array([before])]
    for row, (name, conditions) in enumerate(sorted_conditions.items()):
        losses = final_losses(conditions)
        away = ~(losses <= limit)
        kept = np.where(away, np.nan, losses)
        look = {"marker": MARKERS[name], "linestyle": ("-", "--", ":")[row]}
        rates = _on_axis(conditions)
        plot_points(axes, rates, kept, ALGORITHMS[name], COLOURS[name], **look)
        mean, error = mean_and_error(kept)
        # A bar may reach below 0, where the axis ends nowhere.
        shown += [mean, mean + error, np.maximum(mean - error, mean / 3)]
        _mark(axes, rates, away, COLOURS[name], 0.975 - 0.1 * row)
    _scale_losses(axes, np.concatenate(shown), rows=len(sorted_conditions))
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
        f"{seeds_in_words(run)}. Crosses: how many of how many seeds diverged.",
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
