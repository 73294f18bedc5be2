"""Figures: all can be drawn, show what they say, and what is not known does not stop them."""

import statistics
from collections.abc import Callable
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from impression_learning.cli import app
from impression_learning.figures import common
from impression_learning.speech import BANDS, band_frequencies
from sharpwave_shared import Run
from sharpwave_shared.execution import draw_run
from sharpwave_shared.plotting import style

pytestmark = pytest.mark.filterwarnings("error")

SEEDS = [3, 1, 2]
NUMERICAL = {"loss", "final-loss", "direction", "signal-to-noise", "periods", "transition"} | {
    "falls",
    "reinforce",
    "correlation",
    "learning-rates",
    "reconstruction-scatter",
}
"""Figures that show losses and other numbers, which can be unknown."""
FIGURES = {
    "standard": {"loss", "reconstruction", "reconstruction-scatter", "autocorrelation", "latents"},
    "SNR": {"loss", "direction", "signal-to-noise"},
    "dimensionality": {"loss", "final-loss", "reinforce", "falls"},
    "switch_period": {"loss", "latents", "periods"},
    "time_constant": {"loss", "traces", "correlation", "transition"},
    "lr_optim": {"learning-rates"},
    "Vocal_Digits": {"loss", "spectrogram", "correlations", "dreams", "autocorrelation"},
}
MODES = list(FIGURES)
Results = Callable[[str], xr.Dataset]
Drawn = Callable[[str], dict[str, Figure]]


@pytest.fixture(scope="module")
def results(finished: Callable[[str], Run]) -> Results:
    """Give the results of the tiny run of a mode; those of speech are made up."""

    def of(mode: str) -> xr.Dataset:
        if mode != "Vocal_Digits":
            return finished(mode).data
        return spoken(finished("standard").data)

    return of


def spoken(data: xr.Dataset) -> xr.Dataset:
    """Make up what a run with speech stores: its circuit takes long to compile."""
    rng = np.random.default_rng(0)
    data = data.drop_dims("channel").drop_vars("transition_truth").sel(source=["inferred"])
    data = xr.concat(
        [data, data.assign_coords(source=["generated"])], "source", data_vars="minimal"
    )
    lead, along = (1, len(SEEDS)), ("algorithm", "seed")
    for name in ("stimulus", "reconstruction", "dream", "dream_before"):
        levels = rng.uniform(0, 3, (*lead, 200, BANDS)).astype(np.float32)
        data[name] = ((*along, "time", "channel"), levels)
    matrices = rng.uniform(-1, 1, (*lead, 2, BANDS, BANDS)).astype(np.float32)
    data["band_correlation"] = ((*along, "passage", "channel", "other_channel"), matrices)
    data["band_cosine"] = (along, [[0.9, 0.8, 0.7]])
    return data.assign_coords(
        passage=["data", "dreams"], frequency=("channel", band_frequencies())
    ).assign_attrs(offset_db=80.0, scale_db=22.0)


def unknown(data: xr.Dataset) -> xr.Dataset:
    """Forget all numbers, but not what is shown over time."""
    kept = {"time", "source", "passage"}
    return data.assign(
        {
            name: variable * np.nan
            for name, variable in data.data_vars.items()
            if not kept & set(variable.dims) and variable.dtype.kind == "f"
        }
    )


def build(mode: str, data: xr.Dataset, **parameters: Any) -> dict[str, Figure]:
    """Build all figures, without files."""
    kind = app.experiments[mode]
    with style():
        return dict(kind.figures()(kind(**parameters), data))


@pytest.fixture(scope="module")
def drawn(results: Results) -> Drawn:
    """Give the figures of the tiny run of a mode, laid out; made once, not to be changed."""

    @cache
    def of(mode: str) -> dict[str, Figure]:
        data = results(mode)
        before = data.copy(deep=True)
        figures = build(mode, data)
        assert data.identical(before)
        for figure in figures.values():
            figure.draw_without_rendering()
        return figures

    return of


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    plt.close("all")


def test_every_mode_has_figures() -> None:
    assert FIGURES.keys() == app.experiments.keys()


def test_files_appear(finished: Callable[[str], Run]) -> None:
    run = finished("lr_optim")
    assert run.directory is not None
    booklet = run.directory / "lr_optim-impression-reinforce.pdf"
    written = []
    for _ in range(2):  # equal stored data give equal files
        paths = draw_run(run, ["png"])
        written.append({p.name: p.read_bytes() for p in paths})
        assert set(paths) == {booklet, run.directory / "figures" / "learning-rates.png"}
    assert written[0] == written[1]
    assert not plt.get_fignums()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_be_rendered_and_has_labelled_axes(mode: str, drawn: Drawn) -> None:
    figures = drawn(mode)
    assert set(figures) == FIGURES[mode]
    for name, figure in figures.items():
        for axes in figure.axes:
            if axes.get_visible() and axes.get_label() != "<colorbar>":
                assert axes.get_ylabel() or figure.get_supylabel() or shares_labels(axes, "y"), name
                assert axes.get_xlabel() or shares_labels(axes, "x"), name


@pytest.mark.parametrize("mode", ["standard", "SNR", "dimensionality", "time_constant", "lr_optim"])
def test_unknown_numbers(mode: str, results: Results) -> None:
    figures = build(mode, unknown(results(mode)))
    assert set(figures) == FIGURES[mode]
    for name in NUMERICAL & set(figures):
        figures[name].draw_without_rendering()


@pytest.mark.parametrize("mode", ["standard", "SNR", "dimensionality", "Vocal_Digits"])
def test_one_seed_has_no_spread(mode: str, results: Results) -> None:
    for figure in build(mode, results(mode).isel(seed=[0])).values():
        texts = " ".join(t.get_text() for t in figure.texts) + figure.get_supxlabel()
        assert "s.d." not in texts
        assert f"seed {SEEDS[0]}" in texts


@pytest.mark.parametrize(
    ("mode", "algorithm", "name"),
    [
        ("dimensionality", "backprop", "backpropagation"),
        ("lr_optim", "reinforce", "REINFORCE"),
        ("standard", "backprop", "backpropagation"),
    ],
)
def test_one_algorithm(mode: str, algorithm: Any, name: str, results: Results) -> None:
    data = results(mode)
    if algorithm in data["algorithm"]:
        data = data.sel(algorithm=[algorithm])
    else:
        data = data.assign_coords(algorithm=[algorithm])
    figures = build(mode, data, algorithm=algorithm)
    # What compares algorithms, or is about another one, is not there.
    assert set(figures) == FIGURES[mode] - {"falls", "reinforce"}
    texts = " ".join(t.get_text() for f in figures.values() for t in f.findobj(plt.Text))
    assert name in texts
    assert "impression learning" not in texts


def shares_labels(axes: plt.Axes, which: str) -> bool:
    """Tell whether other axes of the same row or column carry the label."""
    others = [a for a in axes.figure.axes if a.get_subplotspec() is not None and a is not axes]
    mine = axes.get_subplotspec()
    return any(
        a.get_xlabel()
        and a.get_subplotspec().colspan == mine.colspan
        and a.get_subplotspec().rowspan.start > mine.rowspan.start
        if which == "x"
        else a.get_ylabel()
        and a.get_subplotspec().rowspan == mine.rowspan
        and a.get_subplotspec().colspan.start < mine.colspan.start
        for a in others
    )


def test_loss_is_mean_and_standard_deviation(results: Results, drawn: Drawn) -> None:
    data = results("standard")
    axes = drawn("standard")["loss"].axes[0]
    (line,) = axes.lines
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert line.get_xdata().tolist() == [0, 200, 400]
    for k, point in enumerate((0, 200, 400)):
        values = data["loss"].isel(algorithm=0, point=k).values.tolist()
        mean, sd = statistics.fmean(values), statistics.stdev(values)
        assert line.get_ydata()[k] == pytest.approx(mean)
        heights = corners[corners[:, 0] == point, 1]
        assert (heights.min(), heights.max()) == pytest.approx((mean - sd, mean + sd))


def test_one_line_of_the_updates_is_said_to_be_the_published_one(
    results: Results, drawn: Drawn
) -> None:
    data = results("SNR")
    figure = drawn("SNR")["direction"]
    (legend,) = figure.legends
    (label,) = [t.get_text() for t in legend.get_texts() if "as published" in t.get_text()]
    published = data["cosine"].isel(algorithm=0).sel(third_factor="released", traces="kept")
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == label]
    np.testing.assert_allclose(line.get_ydata(), published.mean("seed"))
    # Four rules, or those two whose traces of all parameters are measured; and zero.
    assert [len(axes.lines) for axes in figure.axes] == [5, 3, 5]


@given(st.lists(st.booleans(), min_size=1))
def test_shaded_steps_are_those_asleep(awake: list[bool]) -> None:
    spans = common.asleep_spans(np.array(awake))
    shaded = [any(a < step < a + length for a, length in spans) for step in range(len(awake))]
    assert shaded == [not phase for phase in awake]
    assert all(a % 1 == 0.5 or a == -0.5 for a, _ in spans)


def test_latents_at_the_shortest_and_longest_period(results: Results, drawn: Drawn) -> None:
    data = results("switch_period")
    for figures in (
        drawn("switch_period"),
        build("switch_period", data.isel(switch_period=[2, 0, 1])),
    ):
        titles = [axes.get_title() for axes in figures["latents"].axes]
        assert [title.split(":")[0] for title in titles] == ["switch period 1", "switch period 31"]
        longest = figures["latents"].axes[1]
        stored = data["alternating"].isel(algorithm=0, seed=0, unit=0).sel(switch_period=31)
        shown = next(line for line in longest.lines if line.get_label() == "alternating")
        assert np.array_equal(shown.get_ydata(), stored[: len(shown.get_ydata())])
        labels = [t.get_text() for t in figures["loss"].axes[0].get_legend().get_texts()]
        assert labels == ["switch period 1", "switch period 31"]


def test_the_loss_is_drawn_for_every_time_step(results: Results, drawn: Drawn) -> None:
    data = results("time_constant")
    for figures in (drawn("time_constant"), build("time_constant", data.isel(dt=[1, 0, 2]))):
        axes, bar = figures["loss"].axes
        assert [t.get_text() for t in bar.get_yticklabels()] == ["0.01", "0.1", "1"]
        light = []
        for line, dt in zip(axes.lines, (0.01, 0.1, 1), strict=True):
            losses = data["loss_awake"].sel(dt=dt).mean("seed").squeeze()
            np.testing.assert_allclose(line.get_ydata(), losses)
            assert line.get_label() == f"dt {dt:g}"
            light.append(sum(to_rgb(line.get_color())))
        assert light == sorted(light)
        assert len(set(light)) == len(light)


def test_a_spread_that_is_not_drawn_does_not_scale_the_axis(results: Results) -> None:
    """The means are positive; the mean less the s.d. would not be."""
    data = results("time_constant").copy(deep=True)
    data["loss_awake"][:] = np.array([10.0, 10.0, 3000.0])[:, None]
    data["loss_awake"][..., -1] = 20.0
    axes = build("time_constant", data)["loss"].axes[0]
    assert axes.get_yscale() == "log"


def test_a_colour_bar_names_some_of_many_time_steps(results: Results) -> None:
    data = results("time_constant").isel(dt=[0] * 30)
    data = data.assign_coords(dt=np.linspace(0.01, 0.59, 30).round(2))
    axes, bar = build("time_constant", data)["loss"].axes
    assert len(axes.lines) == 30
    names = [t.get_text() for t in bar.get_yticklabels()]
    assert len(names) == 12
    assert (names[0], names[-1]) == ("0.01", "0.59")
    assert bar.get_yticks()[-1] == 29


def test_the_loss_of_reinforce_is_drawn_for_every_dimension(results: Results) -> None:
    data = results("dimensionality")
    for order in ([0, 1, 2], [2, 0, 1]):
        given_data = data.isel(dimension=order)
        figure = build("dimensionality", given_data, third_factor="released")["reinforce"]
        assert "REINFORCE as released" in figure.get_supxlabel()
        of_all = data["loss_awake"].sel(algorithm="reinforce")
        for axes, losses in zip(
            figure.axes, (of_all, of_all / of_all[..., :1].values), strict=True
        ):
            for line, dimension in zip(axes.lines, (2, 4, 8), strict=True):
                assert line.get_label() == f"dimension {dimension}"
                mean = losses.sel(dimension=dimension).mean("seed")
                np.testing.assert_allclose(line.get_ydata(), mean)
                assert line.get_xdata().tolist() == [0, 200, 400]


def test_divergence_is_counted_at_the_edge(results: Results) -> None:
    data = results("lr_optim").copy(deep=True)
    data["loss"][:] = 900.0
    data["final_loss"][:] = 700.0 + np.array(SEEDS)
    data["final_loss"][0, 0, 0] = np.nan
    data["final_loss"][0, 0, 2] = 1e30
    data["final_loss"][1, 0] = np.nan
    axes = build("lr_optim", data)["learning-rates"].axes[0]
    assert [t.get_text() for t in axes.texts] == ["2/3", "3/3"]
    marks = [line for line in axes.lines if line.get_marker() == "x"]
    assert [float(line.get_xdata()[0]) for line in marks] == [1e-7, 1e-7]
    # What remains is the one seed that did not diverge, and lies below the marks.
    line = next(c[0] for c in axes.containers if c.get_label() == "impression learning")
    assert line.get_ydata()[0] == pytest.approx(700 + SEEDS[1])
    to_axes = axes.transScale + axes.transLimits
    heights = to_axes.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))[:, 1]
    assert heights.min() > 0
    assert heights.max() < min(t.get_position()[1] for t in axes.texts) - 0.03


def test_bars_of_correlations_are_within_the_axes(results: Results) -> None:
    data = results("time_constant").copy(deep=True)
    data["alternation_correlation"][:] = np.array([[-1.0, -4.0, 0.5]])
    axes = build("time_constant", data)["correlation"].axes[0]
    assert axes.get_ylim()[0] < -1.5 - statistics.stdev([-1.0, -4.0, 0.5])


def test_frequencies_are_in_hertz(drawn: Drawn) -> None:
    figures = drawn("Vocal_Digits")
    spectrogram, matrix = figures["spectrogram"].axes[0], figures["correlations"].axes[0]
    for axis in (spectrogram.yaxis, matrix.xaxis, matrix.yaxis):
        labels = [int(label.get_text()) for label in axis.get_ticklabels()]
        assert len(labels) >= 4
        bands = np.arange(BANDS)
        there = np.interp(axis.get_ticklocs(), bands, band_frequencies())
        assert there == pytest.approx(labels, rel=1e-6)


def test_levels_are_in_decibels(results: Results, drawn: Drawn) -> None:
    data = results("Vocal_Digits")
    panels = drawn("Vocal_Digits")["spectrogram"].axes
    for axes, name in zip(panels, ("stimulus", "reconstruction"), strict=False):
        shown = np.asarray(axes.images[0].get_array())
        stored = data[name].values[0, 0, : shown.shape[1]] * 22.0 - 80.0
        assert np.allclose(shown, stored.T, atol=1e-3)
        assert axes.images[0].get_clim() == (-80.0, 0.0)


def test_loss_axis_is_logarithmic_where_the_range_asks_for_it() -> None:
    """With negative losses: logarithmic but around 0."""
    scales = []
    for low in (50.0, 150.0, -20.0, -500.0):
        _, axes = plt.subplots()
        axes.plot([1000.0, low, low])
        common.loss_axis(axes, np.array([[1000.0, low, low]]))
        scales.append(axes.get_yscale())
    assert scales == ["log", "linear", "symlog", "linear"]


def test_by_dimension_the_loss_awake_is_drawn_and_the_other_beside_it(results: Results) -> None:
    data = results("dimensionality")
    figures = build("dimensionality", data, third_factor="released")
    for axes, name in zip(
        figures["final-loss"].axes, ("final_loss_awake", "final_loss"), strict=True
    ):
        (line,) = [c[0] for c in axes.containers if c.get_label() == "REINFORCE as released"]
        drawn = data[name].sel(algorithm="reinforce").mean("seed")
        np.testing.assert_allclose(line.get_ydata(), drawn)
    near, far = figures["falls"].axes
    fall = data["loss_awake"].isel(point=0) - data["loss_awake"].isel(point=-1)
    for axes, label, one, other in (
        (near, "backpropagation (awake)", "impression", "backprop"),
        (far, "REINFORCE as released", "reinforce", "impression"),
    ):
        (line,) = [c[0] for c in axes.containers if c.get_label() == label]
        shares = fall.sel(algorithm=one) / fall.sel(algorithm=other)
        np.testing.assert_allclose(line.get_ydata(), shares.mean("seed"))
