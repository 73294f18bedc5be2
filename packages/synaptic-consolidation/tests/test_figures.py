"""Figures of networks and of nights: for every shape of run, and with the numbers of the results.

Experiments run for real but for learning itself, which compiles for long: here it prunes at random.
"""

import functools
import warnings
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

from sharpwave_shared.experiment import Experiment
from sharpwave_shared.plotting import style
from synaptic_consolidation import networks, night, recall, wake_sleep
from synaptic_consolidation.experiments.networks import Networks
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.figures import common
from synaptic_consolidation.figures.night_synapses import night_synapse_figures
from synaptic_consolidation.figures.noise import noise_figures
from synaptic_consolidation.figures.wake_sleep import RASTER_LOOKS
from synaptic_consolidation.learning import Progress
from synaptic_consolidation.model import Rows
from synaptic_consolidation.optima import curves_beside

pytestmark = pytest.mark.filterwarnings("error")

ROWS = {"signal-to-noise", "margin", "density", "weights"}
RECALL = {"neural-noise", "synaptic-noise"}
NIGHT = {"rasters", "tolerance", "robustness", "selectivity", "course", "factors", "matrices"} | {
    "weights",
    "pruning",
    "connectivity",
}
SMALL: dict[str, Any] = {
    "n": 16,
    "loads": (0.7, 0.2),
    "factors": (3, 1, 2),
    "tests": 1,
    "optima": 2,
    "max_steps": 9,
}
SHAPES: dict[str, tuple[dict[str, Any], list[int], set[str]]] = {
    "networks": (SMALL, [4, 7], ROWS | RECALL | {"tolerance", "optimality", "structure"}),
    "single": (
        SMALL | {"loads": (0.25,), "factors": (2,), "optima": 0},
        [3],
        ROWS | RECALL | {"structure"},
    ),
    "many factors": (
        SMALL | {"loads": (0.2, 0.3, 0.4, 0.5), "factors": (10, 5, 7), "rows": 2},
        [0],
        ROWS | {"structure"},
    ),
    "rows": (SMALL | {"rows": 3}, [1], ROWS | {"optimality", "structure"}),
    "one factor": (SMALL | {"rows": 1, "factors": (1,)}, [1], ROWS | {"optimality"}),
    "sequence": (
        SMALL | {"task": "sequence", "factors": (2,)},
        [1],
        ROWS | RECALL | {"tolerance", "optimality", "structure"},
    ),
    "sparse": (
        SMALL | {"f": 0.25, "exact_activity": True, "loads": (0.5, 3.0), "optima": 0, "tests": 3},
        [1],
        ROWS | RECALL | {"tolerance", "structure"},
    ),
    "night": ({"n": 40, "patterns": 12, "cycles": 600}, [5], NIGHT),
    "few cues": ({"n": 20, "patterns": 4, "f": 0.5, "cycles": 1}, [5], NIGHT),
    "days": ({"n": 40, "patterns": 12, "cycles": 120, "days": 2}, [5, 2], NIGHT | {"days"}),
}


def prune(rows: Rows, generator: np.random.Generator) -> None:
    """Prune a third of the synapses, but for some that always stay, and change the others."""
    post, pre = np.indices(rows.living.shape)
    rows.living &= (generator.random(rows.living.shape) > 1 / 3) | ((post + pre) % 5 == 1)
    rows.factors *= generator.uniform(0.5, 1.5, rows.factors.shape).astype(np.float32)


def pretend_to_learn(rows: Rows, *_: Any, **__: Any) -> Progress:
    prune(rows, np.random.default_rng(0))
    return Progress.start(rows)


def pretend_to_replay(rows: Rows, *_: Any, **__: Any) -> None:
    prune(rows, np.random.default_rng(int(rows.living.sum())))


@functools.cache
def results(shape: str) -> tuple[Experiment, xr.Dataset]:
    """Run an experiment on almost nothing."""
    settings, seeds, _ = SHAPES[shape]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setattr(recall, "LEVELS", np.linspace(0, 0.49, 17))
        patch.setattr(networks, "consolidate", pretend_to_learn)
        patch.setattr(night, "advance", pretend_to_replay)
        attractors = lambda rows, patterns: np.arange(len(patterns)) % 4 != 1  # noqa: E731
        patch.setattr(wake_sleep, "are_attractors", attractors)
        setup: Experiment
        if "patterns" in settings:
            setup = WakeSleep(**({"f": 0.1, "passes": 1, "tests": 1} | settings))
        else:
            setup = Networks(**settings)
        return setup, setup.run(seeds, device="cpu")


def build(setup: Experiment, data: xr.Dataset) -> dict[str, Figure]:
    with style():
        return dict(setup.figures()(setup, data))


@pytest.fixture(scope="module", autouse=True)
def _no_limit() -> None:
    plt.rcParams["figure.max_open_warning"] = 0


@functools.cache
def drawn(shape: str) -> tuple[xr.Dataset, dict[str, Figure]]:
    """Build the figures of a run, once for all tests."""
    setup, data = results(shape)
    if shape == "night":
        data = telling(data)
    return data, build(setup, data)


def points(axes: Axes) -> dict[str, ErrorbarContainer]:
    return {str(c.get_label()): c for c in axes.containers if isinstance(c, ErrorbarContainer)}


def heights(axes: Axes) -> list[float]:
    bars = [c for c in axes.containers if isinstance(c, BarContainer)]
    return [patch.get_height() for container in bars for patch in container.patches]


def half_lengths(container: ErrorbarContainer) -> list[float]:
    """Give the lengths of the bars of errors above their points."""
    return [float(np.ptp(s[:, 1])) / 2 for s in container.lines[2][0].get_segments()]


def words(figure: Figure) -> str:
    """Give the caption, without the ends of its lines."""
    return " ".join(figure.get_supxlabel().split())


def by_label(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines}


# --- all figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_run_has_its_figures_with_labels(shape: str) -> None:
    _, figures = drawn(shape)
    assert set(figures) == SHAPES[shape][2]
    for name, figure in figures.items():
        assert "seed" in words(figure), name
        for axes in figure.axes:
            if axes.get_label() != "<colorbar>":
                assert axes.get_xlabel() or shares(axes, "x") or axes.get_xticklabels(), name
                assert axes.get_ylabel() or shares(axes, "y"), name


def shares(axes: Axes, which: str) -> bool:
    """Tell whether another panel of the same row or column carries the label."""
    mine = axes.get_subplotspec()
    assert mine is not None
    others = [(a, a.get_subplotspec()) for a in axes.figure.axes if a is not axes]
    return any(
        bool(a.get_xlabel()) and spec.colspan == mine.colspan
        if which == "x"
        else bool(a.get_ylabel()) and spec.rowspan == mine.rowspan
        for a, spec in others
        if spec is not None
    )


@pytest.mark.parametrize("shape", ["single", "night"])
def test_unknown_numbers(shape: str) -> None:
    """All that can be unknown, or infinite, is."""
    setup, data = results(shape)
    always = ("density", "histogram", "raster", "currents", "weights", "replayed", "examples")
    unknown = {
        name: values * (np.inf if "robustness" in name or "snr" in name else np.nan)
        for name, values in data.data_vars.items()
        if values.dtype.kind == "f" and not name.endswith(always) and "theory" not in name
    }
    figures = build(setup, data.assign(unknown))
    assert set(figures) == SHAPES[shape][2]
    for figure in figures.values():
        figure.set_layout_engine("none")  # which takes most of the time
        figure.draw_without_rendering()


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "panel", "name"),
    [
        ("margin", 1, "snr_z2"),
        ("density", 0, "density"),
        ("structure", 1, "within"),
        ("structure", 2, "across"),
        ("optimality", 0, "share_of_optimum"),
    ],
)
def test_points_are_means_over_the_rows_of_all_seeds(figure: str, panel: int, name: str) -> None:
    data, figures = drawn("networks")
    shown = points(figures[figure].axes[panel])
    factors = {"share_of_optimum": (1, 2), "within": (2, 3), "across": (2, 3)}.get(name, (1, 2, 3))
    assert list(shown) == [f"$z$ = {z}" for z in factors]
    for z in factors:
        container = shown[f"$z$ = {z}"]
        x, y = container.lines[0].get_data()
        values = [data[name].sel(load=load, factors=z).values.ravel() for load in data["load"]]
        np.testing.assert_allclose(x, data["load"], atol=0.015)
        np.testing.assert_allclose(y, [np.nanmean(v) for v in values])
        np.testing.assert_allclose(half_lengths(container), [np.nanstd(v, ddof=1) for v in values])


def test_theory_lies_beside_the_points() -> None:
    _, figures = drawn("sparse")
    curves = common.under("theory_", curves_beside(0.25))
    neural, synaptic = figures["margin"].axes
    assert neural.get_yscale() == "log"
    for axes, label, expected in (
        (neural, "theory, $z$ = 1 ($\\ell_2$ margin)", curves["l2_margin"] / (0.03 * 0.25) ** 0.5),
        (synaptic, "theory, $z$ = 2 ($\\ell_1$ margin)", curves["l1_margin"]),
    ):
        theory = by_label(axes)[label]
        np.testing.assert_allclose(theory.get_data(), (curves["load"], expected))
        # Points above the critical load are seen.
        assert axes.get_xlim()[1] > 3 > curves["load"][-1]
    # Of the weights with the largest l2 margin, the synaptic one is a little lower.
    lower, best = synaptic.lines[0].get_ydata()[:-1], curves["l1_margin"].values[:-1]
    assert (lower < best).all()
    assert (lower > 0.5 * best).all()
    # So are negative margins, where the axis has a place for them.
    assert all(
        synaptic.get_ylim()[0] <= c.lines[0].get_ydata().min() for c in points(synaptic).values()
    )
    assert "no solution" in figures["density"].axes[0].get_legend_handles_labels()[1]
    for name in ("margin", "density"):
        assert "although exactly" in words(figures[name])
        assert "independent neurons" in words(drawn("sequence")[1][name])
        assert "although" not in words(drawn("sequence")[1][name])


def test_signal_to_noise_of_every_norm() -> None:
    data, figures = drawn("networks")
    panels = figures["signal-to-noise"].axes
    assert [a.get_title() for a in panels[:4]] == [f"$q$ = {q}" for q in ("2", "1", "2/3", "1/2")]
    for i, axes in enumerate(panels):
        load, best = (0.2, 0.7)[i // 4], i % 4 + 1
        expected = data[f"snr_z{best}"].sel(load=load, factors=[1, 2, 3]).mean(["seed", "row"])
        np.testing.assert_allclose(heights(axes), expected / np.abs(expected).max())
        bars = [c for c in axes.containers if isinstance(c, BarContainer)]
        full = [z for z, c in zip((1, 2, 3), bars, strict=True) if c.patches[0].get_alpha() == 1]
        assert full == [best] * (best < 4)


def test_recall_where_it_was_tried() -> None:
    data, figures = drawn("sparse")
    for axes, load in zip(figures["neural-noise"].axes, (0.5, 3.0), strict=False):
        lines = [line for line in axes.lines if len(line.get_xdata()) > 2 or line.get_zorder() > 1]
        conditions = [
            (z, *k) for k in (("flips", 2 / 0.25), ("balanced", 2 / 0.25)) for z in (1, 2, 3)
        ]
        for line, (z, kind, unit) in zip(lines, conditions, strict=True):
            values = data[f"recall_{kind}"].sel(seed=1, load=load, factors=z).values
            known = np.isfinite(values)
            assert not known.all()
            np.testing.assert_array_equal(line.get_ydata(), values[known])
            levels = data[f"level_{kind}"].values[known]
            np.testing.assert_allclose(line.get_xdata(), unit * levels)
        assert axes.get_xlabel() == "wrong bits per active neuron"


def test_maximal_noise_and_what_is_beyond_the_levels() -> None:
    setup, data = results("networks")
    data = data.copy(deep=True)
    for kind in recall.KINDS:
        data[f"tolerance_{kind}"][:] = 0.1
    at = {"load": 0.2}
    data["tolerance_surviving"].loc[at | {"factors": 1}] = [0.3, 0.5]
    data["tolerance_surviving"].loc[at | {"factors": 2}] = [0.3, np.nan]
    figures = noise_figures(setup, data)
    figure = figures["synaptic-noise"]
    highest = float(data["level_surviving"][-1])
    axes = figure.axes[2]
    means = [0.4, (0.3 + highest) / 2, *[0.1] * 7]
    np.testing.assert_allclose(heights(axes), means)
    (arrow,) = axes.texts
    assert arrow.get_position() == (0, 3)
    x, y = arrow.xy  # type: ignore[attr-defined]
    assert x == pytest.approx(1 - 0.8 / 3)
    assert y == pytest.approx(means[1] + (highest - 0.3) / np.sqrt(2))
    assert y < axes.get_ylim()[1]
    assert common.HIGHEST in words(figure)
    assert common.HIGHEST not in words(figures["neural-noise"])
    # The same against the load.
    panel = figures["tolerance"].axes[1]
    shown = points(panel)
    np.testing.assert_allclose(shown["$z$ = 1"].lines[0].get_ydata(), [0.4, 0.1])
    expected = [0.2 / np.sqrt(2), 0]
    np.testing.assert_allclose(half_lengths(shown["$z$ = 1"]), expected, atol=1e-12)
    np.testing.assert_allclose(shown["$z$ = 2"].lines[0].get_ydata(), [means[1], 0.1])
    assert len(panel.texts) == 1
    left = points(figures["tolerance"].axes[0])
    np.testing.assert_allclose(left["$z$ = 3"].lines[0].get_ydata(), [0.4, 0.4])  # 2 p / f


def test_bars_of_a_single_seed_are_over_tests() -> None:
    setup, data = results("sparse")
    data = data.copy(deep=True)
    data["tolerance_sd_flips"].loc[{"factors": 1, "load": 0.5}] = 0.02
    figure = noise_figures(setup, data)["tolerance"]
    shown = points(figure.axes[0])["$z$ = 1"]
    assert half_lengths(shown)[0] == pytest.approx(2 * 0.02 / 0.25)
    assert "bars: s.d. over tests" in words(figure)
    assert "bars: s.d. over seeds" in words(drawn("networks")[1]["tolerance"])


def test_weights_with_the_pruned_ones() -> None:
    data, figures = drawn("networks")
    surviving, everything = figures["weights"].axes[1], figures["weights"].axes[3]
    at = data.sel(load=0.7, factors=[1, 2, 3])
    left = at["density"].mean(["seed", "row"]).values
    np.testing.assert_allclose(heights(everything), 1 - left)
    for i, (top, bottom) in enumerate(zip(surviving.patches, everything.patches[::2], strict=True)):
        histogram = at["histogram"].mean("seed").values[i]
        assert histogram.sum() == pytest.approx(left[i])
        density, edges, _ = top.get_data()  # type: ignore[attr-defined]
        np.testing.assert_allclose(density, histogram / left[i] / 0.1)
        np.testing.assert_allclose(np.diff(np.log10(edges)), 0.1)
        shown = bottom.get_data().values  # type: ignore[attr-defined]
        np.testing.assert_allclose(shown, np.where(histogram > 0, histogram, np.nan))
    drawn_edges = edges[1:][data["histogram"].max(["seed", "load", "factors"]).values > 0]
    largest = surviving.get_xlim()[1]
    assert drawn_edges.max() <= largest * (1 + 1e-9) < 10 * drawn_edges.max()


def test_colours_depend_on_z_alone() -> None:
    assert len({to_rgba(common.look(z)["color"]) for z in range(1, 11)}) == 10
    axes = drawn("many factors")[1]["density"].axes[0]
    assert list(points(axes)) == [f"$z$ = {z}" for z in (5, 7, 10)]
    with style():
        for name, container in points(axes).items():
            z = int(name.removeprefix("$z$ = "))
            assert to_rgba(container.lines[0].get_color()) == to_rgba(common.look(z)["color"])


def test_few_loads_are_chosen() -> None:
    titles = [a.get_title() for a in drawn("many factors")[1]["weights"].axes[:3]]
    assert titles == [f"$\\alpha$ = {load}" for load in (0.2, 0.4, 0.5)]


def test_captions_say_what_networks_do() -> None:
    assert "a sequence of patterns" in words(drawn("sequence")[1]["neural-noise"])
    assert "3 neurons of a network of 16" in words(drawn("rows")[1]["density"])


# --- nights ---------------------------------------------------------------------------------------


def telling(data: xr.Dataset) -> xr.Dataset:
    """Replace some of what a night has left by what shows whether figures are right."""
    data = data.copy(deep=True)
    raster = np.full(data["raster"].shape, np.nan)
    shown = raster[0, 0, :, :, :3]  # of one seed and day: sleep, step, neuron
    shown[:] = 0
    shown[:, :10, 2] = shown[:, 10:, 0] = 1  # the first cue, and all others
    shown[0, 65, 1] = 1
    shown[0, 75, 0] = 0
    data["raster"] = (data["raster"].dims, raster)
    for time, kind, value in (
        ("after", "balanced", 0.2),
        ("before", "surviving", 0.1),
        ("after", "surviving", np.nan),
    ):
        data[f"tolerance_{kind}"].loc[{"sleep": time}] = value
    data["sparseness_novel"].loc[{"sleep": "after"}] = 0.5
    data["sparseness_novel"].loc[{"sleep": "after"}][..., :3] = np.nan
    before = np.linspace(0.1, 0.5, data.sizes["memory"])
    for name in ("robustness_min", "robustness_mean", "shuffled_min"):
        data[name].loc[{"cycle": 0}] = before
        data[name].loc[{"cycle": 600}] = 0.9 + 0.25 * before
    data["robustness_mean"].loc[{"cycle": 600}][..., 2:] = np.inf
    data["strength"].loc[{"sleep": "after"}][..., 3] = np.nan
    data["connected"].loc[{"sleep": "after"}][..., 4] = np.nan
    return data


def chosen() -> tuple[xr.Dataset, dict[str, Figure]]:
    """Give this night and its figures."""
    data, figures = drawn("night")
    return data.isel(seed=0).sel(day=1), figures


def test_rasters_tell_right_from_wrong() -> None:
    figure = chosen()[1]["rasters"]
    for axes, wrong in zip(figure.axes, ({(65.5, 2.5)}, set()), strict=True):
        shown = {
            label: set(zip(*line.get_data(), strict=True))
            for label, line in by_label(axes).items()
            if label in RASTER_LOOKS
        }
        right, found = (shown[label] for label in RASTER_LOOKS)
        assert found == wrong
        # From below: the neuron of the first cue, that of the others, and the rest.
        assert {(step + 0.5, 0.5) for step in range(10)} <= right
        assert ((75.5, 1.5) in right) == (not wrong)
        assert len(right) == 200 - len(wrong)
    # The currents have the order of the neurons.
    data = chosen()[0].sel(sleep="before")
    image = np.asarray(figure.axes[0].images[0].get_array())
    currents = data["currents"].transpose("step", "neuron").values[:, :3]
    expected = currents[:, [2, 0, 1]].T
    np.testing.assert_allclose(image / image.std(), expected / expected.std(), rtol=1e-6)


def test_recall_before_and_after_sleep() -> None:
    at, figures = chosen()
    figure = figures["tolerance"]
    panels = {str(axes.get_label()): axes for axes in figure.axes}
    for kind, unit in (("balanced", 2 / 0.1), ("one_factor", 1.0)):
        shown = by_label(panels[kind])
        for time in ("before", "after"):
            values = at[f"recall_{kind}"].sel(sleep=time).values
            known = np.isfinite(values)
            x, y = shown[f"{time} sleep"].get_data()
            np.testing.assert_array_equal(y, values[known])
            np.testing.assert_allclose(x, unit * at[f"level_{kind}"].values[known])
    assert heights(panels["neural"])[1] == pytest.approx(4)
    assert heights(panels["synaptic"])[4:] == pytest.approx([0.1, 0.98])
    assert common.HIGHEST in words(figure)


def test_the_course_of_the_night() -> None:
    """With values that are not known at first, and infinite ones."""
    setup, data = results("days")
    data = data.copy(deep=True)
    data["within"].loc[{"day": 1}][:, :2] = np.nan
    for i, seed in enumerate((5, 2)):
        data["snr_z1"].loc[{"day": 1}][i] = 1.0 + seed
    data["snr_z1"].loc[{"day": 1, "seed": 5}][-1] = np.inf
    first = data.sel(day=1)
    with style():
        figures = night_synapse_figures(setup, first)
    panels = {str(axes.get_label()): axes for axes in figures["course"].axes}
    line = by_label(panels["snr"])["$q$ = 2"]
    np.testing.assert_array_equal(line.get_xdata(), data["cycle"])
    np.testing.assert_allclose(line.get_ydata(), [*[4.5] * (data.sizes["cycle"] - 1), 3.0])
    expected = first["density"].mean(["seed", "row"])
    density = panels["density"]
    np.testing.assert_allclose(by_label(density)["density"].get_ydata(), expected)
    assert density.get_xlim() == (0, 120)
    assert density.get_yscale() == panels["wake_density"].get_yscale() == "log"
    for name in ("wake_memorised", "wake_density"):
        for line, seed in zip(panels[name].lines, first[name].values, strict=False):
            np.testing.assert_array_equal(line.get_ydata(), seed)
    shown = by_label(figures["factors"].axes[0])["same synapse"].get_ydata()
    assert np.isnan(shown[:2]).all()
    np.testing.assert_allclose(shown[2:], first["within"].mean(["seed", "row"])[2:])


def test_weights_are_followed_until_they_are_pruned() -> None:
    at, figures = chosen()
    axes, examples = figures["factors"].axes[1], at["examples"].values
    assert len(axes.lines) == examples.shape[1]
    for line, values in zip(axes.lines, examples.T, strict=True):
        expected = np.where(values > 0, values / examples[0].mean(), np.nan)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-6)
    survives = [line.get_color() == "C1" for line in axes.lines]
    assert survives == (examples[-1] > 0).tolist()
    legend = axes.get_legend()
    assert legend is not None
    named = [text.get_text() for text in legend.get_texts()]
    assert len(set(named)) == len(named)


def test_matrices_have_one_scale() -> None:
    at, figures = chosen()
    panels, weights = figures["matrices"].axes[:2], at["weights"]
    mean = weights.sel(sleep="before").values.mean()
    for axes, time in zip(panels, ("before", "after"), strict=True):
        shown = np.ma.asarray(axes.images[0].get_array())
        expected = weights.sel(sleep=time).values
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), expected == 0)
        np.testing.assert_allclose(shown.filled(0), expected / mean, rtol=1e-5)
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim()


def test_share_of_pruned_synapses() -> None:
    at, figures = chosen()
    shown = by_label(figures["pruning"].axes[0])
    weight = at["initial_weight"].dropna("weight_bin").values
    names = {100: "after 100 cycles", 500: "after 500 cycles", 600: "after all 600 cycles"}
    assert set(shown) == set(names.values())
    for look, label in names.items():
        np.testing.assert_allclose(shown[label].get_xdata(), weight)
        expected = at["pruned"].sel(look=look).dropna("weight_bin")
        np.testing.assert_array_equal(shown[label].get_ydata(), expected)
    density = at["density"].mean("row")[[0, -1]]
    np.testing.assert_allclose(heights(figures["weights"].axes[1]), 1 - density)
    # A night can end before some of the looks.
    assert set(by_label(drawn("few cues")[1]["pruning"].axes[0])) == {"after all 1 cycles"}


def test_connections_by_correlation_without_empty_bins() -> None:
    at, figures = chosen()
    at = at.sel(sleep="after")
    for axes, name in zip(figures["connectivity"].axes, ("connected", "strength"), strict=True):
        x, y = at["correlation"].values, at[name].values
        known = np.isfinite(y)
        assert 0 < known.sum() < len(y)
        shown = by_label(axes)["after sleep"]
        np.testing.assert_array_equal(shown.get_data(), (x[known], y[known]))


def test_selectivity_of_known_neurons() -> None:
    at, figures = chosen()
    curves, inputs, *_ = figures["selectivity"].axes
    shown = by_label(curves)["familiar, after sleep"]
    np.testing.assert_array_equal(shown.get_ydata(), at["tuning_familiar"].sel(sleep="after"))
    assert shown.get_xdata()[[0, -1]].tolist() == [100 / int(at["replayed"]), 100]
    medians = [line for line in inputs.lines if len(line.get_xdata()) == 2]
    assert any(np.array_equal(line.get_data(), [[3.2, 3.8], [0.5, 0.5]]) for line in medians)


def test_robustness_after_against_before_and_its_slope() -> None:
    at, figures = chosen()
    weakest, mean = figures["robustness"].axes
    shown = by_label(weakest)
    before = np.linspace(0.1, 0.5, at.sizes["memory"])
    for label in ("600 cycles: slope 0.25", "600 cycles, shuffled: slope 0.25"):
        np.testing.assert_allclose(shown[label].get_data(), (before, 0.9 + 0.25 * before))
    assert {label.split()[0] for label in shown if "cycles" in label} == {"2", "6", "15", "600"}
    assert shown["unchanged"].get_xdata()[0] == shown["unchanged"].get_ydata()[0]
    # Infinite values are not shown, and two points make no line.
    assert len(by_label(mean)["600 cycles"].get_xdata()) == 2


def test_days() -> None:
    data, figures = drawn("days")
    memories, density, neural, _ = figures["days"].axes
    for name, label in (
        ("memorised", "new ones, evening"),
        ("old_by_night", "older memories, morning"),
    ):
        x, y = points(memories)[label].lines[0].get_data()
        assert list(x) == [1, 2]
        np.testing.assert_allclose(y, data[name].mean("seed"))
        assert np.isnan(y).tolist() == [name == "old_by_night", False]
    for time, at in (("before", 0), ("after", -1)):
        y = points(density)[f"{time} sleep"].lines[0].get_ydata()
        expected = data["density"].isel(cycle=at).mean(["seed", "row"])
        np.testing.assert_allclose(y, expected)
    maxima = data["tolerance_balanced"].sel(sleep="before")
    assert np.isfinite(maxima).all()
    first = next(c for c in neural.containers if isinstance(c, ErrorbarContainer))
    np.testing.assert_allclose(first.lines[0].get_ydata(), 2 / 0.1 * maxima.mean("seed"))
    assert "still are attractors" in words(figures["days"])
