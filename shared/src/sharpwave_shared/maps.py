"""Where does a claim hold? Shares of seeds over the values of parameters, as data and figures."""

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from sharpwave_shared.claims import Verdict
from sharpwave_shared.errors import show
from sharpwave_shared.parameters import all_fields
from sharpwave_shared.plotting import caption, legend, named_in, panel_grid, title
from sharpwave_shared.results import Run, labels
from sharpwave_shared.statistics import mean_and_sd, wilson

WIDTH = 80
MOST = 12
"""Measures, and conditions of each, that are drawn."""
LONGEST = 24
"""Characters of a value in a figure, at most."""
HOLDING, MEASURED = "claim_holding", "claim_measured"
"""Variables of a sweep: for how many seeds a claim holds, of how many that speak to it."""


def shares_of_claims(verdicts: Sequence[Verdict]) -> xr.Dataset:
    """Give for each claim the number of seeds for which it holds, and that speak to it."""
    if not verdicts:
        return xr.Dataset()
    return xr.Dataset(
        {
            HOLDING: ("claim", [float(v.seeds_holding) for v in verdicts]),
            MEASURED: ("claim", [float(v.seeds_measured) for v in verdicts]),
        },
        {"claim": [v.claim.name for v in verdicts]},
    )


def sweep_figures(run: Run) -> dict[str, Figure]:
    """Draw the measures of a sweep over its parameters, and a map of every claim.

    Parameters
    ----------
    run
        A sweep. Its first parameter is on the horizontal axis, its second tells lines or rows
        apart; over others, the mean is drawn. A measure that has conditions of its own has a
        figure with a panel for each.
    """
    figures: dict[str, Figure] = {}
    data, axes = run.data, list(run.swept)
    measures = [name for name in data.data_vars if name not in (HOLDING, MEASURED)]
    varied = [v for name in measures if set(axes) <= set((v := data[name]).dims) and v.size]
    left = len(varied[MOST:])
    more = f" {left} more measures are in metrics.csv." if left else ""
    plain = []
    for variable in varied[:MOST]:
        panels = _by_condition(run, variable)
        if len(panels) > 1:
            figure = _measures(run, panels, more, label=_named(variable))
            figures[f"measures-{variable.name}"] = figure
        else:
            plain.append((_named(variable), panels[0][1]))
    if plain:
        figures["measures"] = _measures(run, plain, more)
    if HOLDING in data:
        statements = {claim.name: claim.statement for claim in run.experiment.claims()}
        for name in data["claim"].values:
            figures[f"map-{name}"] = _map(run, str(name), statements.get(str(name), str(name)))
    return figures


def show_shares(run: Run, console: Console) -> None:
    """Print for every claim and every combination of values for how many seeds it holds."""
    found = shares(run)
    if not found:
        console.print("no claim speaks about these runs")
    for claim in run.experiment.claims():
        own = [share for share in found if share["name"] == claim.name]
        if own:
            lines = textwrap.wrap(f"{claim.statement} ({claim.source}) holds for", WIDTH)
            console.print(Text("\n".join(lines), "bold"))
        for share in own:
            where = ", ".join(f"{name} = {_shown(value)}" for name, value in share["at"].items())
            console.print(
                Text(f"  {share['seeds_holding']} of {share['seeds_measured']} seeds at {where}")
            )


def shares(run: Run) -> list[dict[str, Any]]:
    """Give as JSON values for how many seeds each claim holds, for all values of a sweep.

    Left out is where no seed speaks to a claim.
    """
    if HOLDING not in run.data:
        return []
    counts = run.data[[HOLDING, MEASURED]].stack(at=["claim", *run.swept])
    return [
        {
            "name": str(claim),
            "at": dict(zip(run.swept, values, strict=True)),
            "seeds_holding": int(holding),
            "seeds_measured": int(measured),
        }
        for (claim, *values), holding, measured in zip(
            counts["at"].values, counts[HOLDING].values, counts[MEASURED].values, strict=True
        )
        if measured > 0
    ]


def _measures(
    run: Run, panels: Sequence[tuple[str, xr.DataArray]], more: str, label: str = ""
) -> Figure:
    """Draw the mean and s.d. over seeds in panels: their titles, and arrays of the sweep.

    With a label all have one vertical axis, which it names.
    """
    shown = panels[:MOST]
    columns = 2 if len(shown) == 4 else min(3, len(shown))
    figure, axes = panel_grid(len(shown), columns, (3.2, 2.6), (0.0, 0.5), sharey=bool(label))
    x, *further = run.swept
    lines = further[:1]
    for (text, variable), panel in zip(shown, axes.flat, strict=False):
        values = variable.astype(float).mean(further[1:])
        for value in run.data[lines[0]].values if lines else [None]:
            line = values if value is None else values.sel({lines[0]: value})
            line = line.transpose("seed", x) if "seed" in line.dims else line.expand_dims("seed")
            mean, sd = mean_and_sd(line.values)
            name = None if value is None else f"{lines[0]} = {_shown(value)}"
            panel.errorbar(
                _places(run, x), mean, np.nan_to_num(sd), marker="o", capsize=2, label=name
            )
        # Above the panel: along its side, long names would run into the neighbours.
        panel.set_title(textwrap.fill(text, 36))
        _name_axis(panel, run, x)
    for panel in axes[:, 0] if label else ():
        panel.set_ylabel(textwrap.fill(label, 32))
    if lines:
        longest = max(map(len, named_in(axes.flat[0])))
        figure.set_figwidth(figure.get_figwidth() + 0.5 + 0.075 * longest)
        legend(figure, beside=True)
    seeds = len(run.record.seeds)
    means = f" Means over {', '.join(further[1:])}." if further[1:] else ""
    left = len(panels) - len(shown)
    others = f" {left} more conditions are in metrics.csv." if left else ""
    caption(
        figure,
        f"{run.record.package} {run.record.experiment}: mean and s.d. over {seeds} "
        f"seed{'s' * (seeds > 1)}.{means}{others}{more}",
    )
    return figure


def _by_condition(run: Run, variable: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """Give a measure under each of its conditions, and what tells them apart."""
    own = [d for d in variable.dims if d not in ("seed", *run.swept)]
    variable = variable.squeeze([d for d in own if variable.sizes[d] == 1], drop=True)
    names = [str(d) for d in own if d in variable.dims]
    points = itertools.product(*(variable[name].values for name in names))
    return [
        (
            ", ".join(f"{n} = {_shown(value)}" for n, value in zip(names, point, strict=True)),
            variable.sel(dict(zip(names, point, strict=True))),
        )
        for point in points
    ]


def _named(variable: xr.DataArray) -> str:
    """Give the long name of a measure, with units."""
    long_name, units = (variable.attrs.get(key) for key in ("long_name", "units"))
    text = str(variable.name if long_name is None else long_name)
    return f"{text} ({units})" if units else text


def _map(run: Run, name: str, statement: str) -> Figure:
    """Draw the share of seeds that reproduce a claim, over the grid."""
    axes_names = list(run.swept)
    holding = run.data[HOLDING].sel(claim=name)
    measured = run.data[MEASURED].sel(claim=name)
    x, y = axes_names[0], axes_names[1] if len(axes_names) > 1 else None
    for other in axes_names[2:]:
        holding, measured = holding.sum(other), measured.sum(other)
    if y is None:
        figure = _line(run, x, holding.values, measured.values)
    else:
        figure = _grid(run, x, y, holding.transpose(y, x).values, measured.transpose(y, x).values)
    title(figure, statement)
    left = f" Summed over {', '.join(axes_names[2:])}." if axes_names[2:] else ""
    scaled = " Runs were scaled down (quick)." if run.record.quick else ""
    caption(
        figure,
        f"Share of seeds for which the claim {name} holds when each is judged alone. Star: the "
        f"default setting.{left}{scaled}",
    )
    return figure


def _line(run: Run, x: str, holding: np.ndarray, measured: np.ndarray) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    for place, held, of in zip(_places(run, x), holding, measured, strict=True):
        if not of > 0:
            axes.text(
                place, 0.5, "not\nmeasured", ha="center", va="center", color="0.5", fontsize=7
            )
            continue
        share, low, high = wilson(int(held), int(of))
        marker = "*" if _is_default(run, x, place) else "o"
        error = [[share - low], [high - share]]
        axes.errorbar(
            place, share, error, marker=marker, markersize=9, color="C0", capsize=3, clip_on=False
        )
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("share of seeds (Wilson 95 %)")
    _name_axis(axes, run, x)
    return figure


def _grid(run: Run, x: str, y: str, holding: np.ndarray, measured: np.ndarray) -> Figure:
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(measured > 0, holding / measured, np.nan)
    columns, rows = share.shape[1], share.shape[0]
    figure, axes = plt.subplots(figsize=(1.6 + 0.75 * columns, 1.6 + 0.55 * rows))
    image = axes.imshow(share, vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
    axes.set_facecolor("0.85")
    for (i, j), value in np.ndenumerate(share):
        known = np.isfinite(value)
        text = f"{holding[i, j]:.0f}/{measured[i, j]:.0f}" if known else "–"
        if _is_default(run, x, j) and _is_default(run, y, i):
            text += " ★"
        colour = "black" if not known or value > 0.5 else "white"
        axes.text(j, i, text, ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of seeds")
    _name_axis(axes, run, x)
    axes.set_yticks(range(rows), [_shown(v) for v in run.data[y].values])
    axes.set_ylabel(y)
    return figure


def _places(run: Run, name: str) -> range:
    """Values stand at equal distances, in the order in which they were given."""
    return range(run.data.sizes[name])


def _name_axis(axes: Axes, run: Run, name: str) -> None:
    axes.set_xticks(_places(run, name), [_shown(value) for value in run.data[name].values])
    axes.set_xlim(-0.5, run.data.sizes[name] - 0.5)
    axes.set_xlabel(name)


def _shown(value: object) -> str:
    """Write a value of a parameter; of a long one, the beginning and the end."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:10]}...{text[-10:]}"


def _is_default(run: Run, name: str, place: int) -> bool:
    """Tell whether a value is the one that the experiment has of itself."""
    field = all_fields(type(run.experiment))[name]
    if field.is_required():
        return False
    default = field.get_default(call_default_factory=True)
    return run.data[name].values[place] in (labels([default])[0], show(default))
