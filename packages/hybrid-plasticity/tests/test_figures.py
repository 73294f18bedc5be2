from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hybrid_made import (
    analysed,
    check,
    compared,
    evaluated,
    network,
    pictured,
    trained,
    untrained,
    words,
)
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from hybrid_plasticity.configuration import Configuration, Task
from hybrid_plasticity.experiments.analyze import Analyze
from hybrid_plasticity.experiments.compare import Compare
from hybrid_plasticity.experiments.evaluate import Evaluate
from hybrid_plasticity.experiments.train import Train
from hybrid_plasticity.figures import analyze, common, pictures, train
from hybrid_plasticity.figures.pictures import REPEATED, actual_weights, model_figures
from hybrid_plasticity.figures.train import read_networks, smooth
from sharpwave_shared.plotting import style

pytestmark = pytest.mark.filterwarnings("error")

TASK = Task(2, 6, 0.2)
NETWORKS = {
    "memo": network("Memo", (5, 4), (1, 1), ("M", "A"), task=TASK),
    "static layers": network("Nonl_RO", (5, 4, 3), (0.5,), ("A",), task=TASK),
    "last frame": network("Dyn_RO", (5, 4), (0.5, 0), ("M", "M"), task=TASK),
    "parallel": network("Stack", (5, 4, 3, 2), (1, 0, 0.5, 1), tuple("MAMA"), 2, TASK),
    "one layer": network("Memo", (1,), (0,), ("A",), task=Task(1, 6, 0)),
}
MEMO = NETWORKS["memo"]
PICTURES = {"Weight_Matrices", "Eta_Matrices", "Hidden_Activity"}
COMPARE, EVALUATE, ANALYZE = (
    Compare(directory="x"),
    Evaluate(run_dir="x"),
    Analyze(run_dir="x"),
)


def draw_training(
    mastered: dict[int, list[int]], more: int = 0, configuration: Configuration = MEMO
) -> dict[str, Figure]:
    data = trained(mastered, more, configuration)
    return Train.figures()(Train(**configuration.values()), data)


@pytest.fixture(autouse=True)
def _drawing() -> Iterator[None]:
    with style():
        yield
    plt.close("all")


def test_curves_are_the_log_over_the_whole_curriculum() -> None:
    mastered = {4: [12, 30], 5: [25]}
    stored = trained(mastered, 8, MEMO)["accuracy"].sel(seed=4).values
    loss, accuracy = draw_training(mastered, 8)["learning"].axes
    line = next(c for c in accuracy.lines if same_color(c.get_color(), "C0"))
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    # Rows at 10 and 12 of R = 1; then at 10, 20, 30 of R = 2. A gap lies between.
    assert x[np.isfinite(x)].tolist() == [10, 12, 22, 32, 42]
    assert np.flatnonzero(np.isnan(x)).tolist() == [2]
    assert y[np.isfinite(y)] == pytest.approx(stored)
    marks = [line for line in accuracy.lines if line.get_marker() == "o"]
    assert sorted(np.concatenate([m.get_xdata() for m in marks])) == [12, 25, 42]
    dashed = next(line for line in accuracy.lines if line.get_linestyle() == "--")
    assert set(dashed.get_ydata()) == {0.99}
    assert loss.get_yscale() == "log"
    assert loss.get_xlim() == (0, 50)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=30).map(sorted),
    st.integers(0, 20).map(lambda k: 2 * k + 1),
)
def test_smoothing_is_a_mean_over_rows_of_the_same_interval(R: list[int], width: int) -> None:
    values = np.random.default_rng(len(R)).normal(size=len(R))
    found = smooth(values, np.array(R), width)
    for k, interval in enumerate(R):
        near = [values[j] for j in range(len(R)) if R[j] == interval and abs(j - k) <= width // 2]
        assert found[k] == pytest.approx(np.mean(near))


def test_pace_of_the_curriculum() -> None:
    (axes,) = draw_training({0: [10, 20], 1: [30], 2: [50, 70]}, 9)["curriculum"].axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["median"].get_ydata()) == [30, 70]
    seeds = [list(line.get_ydata()) for line in axes.lines if line.get_marker() == "o"]
    assert seeds == [[10, 20], [30], [50, 70]]
    open_marks = [line for line in axes.lines if line.get_marker() == "^"]
    assert [float(m.get_ydata()[0]) for m in open_marks] == [9, 9, 9]
    assert np.rint([m.get_xdata()[0] for m in open_marks]).tolist() == [3, 2, 3]
    low, high = axes.get_ylim()
    assert low < 9 < 70 < high
    # No median where half of the networks, or more, have not mastered R.
    (axes,) = draw_training({0: [10, 20], 1: [30]}, 9)["curriculum"].axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["median"].get_ydata()) == [20]


@pytest.mark.parametrize(("more", "seeds"), [(0, 1), (5, 2), (15, 1)])
def test_short_training(more: int, seeds: int) -> None:
    mastered: dict[int, list[int]] = {s: [] for s in range(seeds)}
    networks = read_networks(trained(mastered, more, MEMO))
    assert [len(n.intervals) for n in networks] == [more // 10] * seeds
    figures = draw_training(mastered, more)
    assert set(figures) == {"learning", "errors", "curriculum", "parameters"}
    check(figures, render=more == 5)
    assert ("nothing was logged" in words(figures["learning"])) == (more < 10)
    assert "R mastered" not in words(figures["learning"]) + words(figures["curriculum"])
    assert ("not mastered within" in words(figures["curriculum"])) == (more > 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_of_every_network(name: str) -> None:
    configuration = NETWORKS[name]
    data = trained({3: [20], 4: [10]}, 5, configuration)
    figure = train._parameters(Train(**configuration.values()), read_networks(data))
    check({"parameters": figure})
    log, panels = data.sel(seed=3).isel(row=[0, 1]), figure.axes
    for axes, symbol in zip(panels, ("W", "eta", "lambda"), strict=True):
        shown = {n for n in configuration.shapes if n.startswith(f"{symbol}_")}
        own = [line for line in axes.lines if not line.get_label().startswith("_")]
        assert len(own) == len(shown) >= 1
        for line, parameter in zip(own, sorted(shown), strict=True):
            whole = configuration.shapes[parameter] == ()
            stored = log["value" if whole else "norm"].sel(parameter=parameter).values
            wanted = 1 / (1 + np.exp(-stored)) if symbol == "lambda" else stored
            assert line.get_ydata() == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["static layers", "last frame", "parallel", "one layer"])
def test_pictures_show_the_matrices(name: str) -> None:
    configuration = NETWORKS[name]
    found = pictured(configuration, 2)
    figures = model_figures(untrained(configuration, 2), found)
    assert set(figures) == PICTURES
    check(figures, render=name == "last frame")

    def images(figure: str) -> list[np.ndarray]:
        bars = [a for a in figures[figure].axes if a.get_label() != "<colorbar>"]
        for image in (i for a in bars for i in a.images):
            low, high = image.get_clim()
            assert low == -high or (low, high) == (0, 1)
        return [np.asarray(i.get_array()) for a in bars for i in a.images]

    layers = range(1, len(configuration.layers) + 1)
    plastic = range(1, configuration.plastic_layers + 1)
    weights = [found[f"W_{i}"] for i in layers]
    hidden = [found[f"hidden_{i}"].T for i in layers]
    kept = [P for i in plastic for P in found[f"P_{i}"]]
    rates = [np.atleast_2d(found[f"eta_{i}"]) for i in plastic]
    for shown, wanted in (
        (images("Weight_Matrices"), [*weights, found["W_out"]]),
        (images("Eta_Matrices"), rates),
        (images("Hidden_Activity"), [*hidden, *kept]),
    ):
        assert len(shown) == len(wanted)
        for one, other in zip(shown, wanted, strict=True):
            assert np.array_equal(one, other)
    assert all("seed 2, trained to R = 1" in words(figure) for figure in figures.values())


def test_weights_at_every_frame() -> None:
    configuration = NETWORKS["static layers"]
    found = pictured(configuration, 2)
    figure = actual_weights(untrained(configuration, 2), found)
    check({"Actual_Weights": figure}, render=True)
    sheet = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    tiles = np.split(sheet[:, [k for k in range(sheet.shape[1]) if k % 9 < 6]], 4, axis=1)
    for scene, tile in enumerate(tiles):
        for frame in range(2):
            own = tile[8 * frame : 8 * frame + 5]
            assert np.allclose(own, found["actual_1"][2 * scene + frame])
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ["3", "4", "5", "6"]
    marked = [same_color(label.get_color(), REPEATED) for label in labels]
    assert marked == found["repeated"][-4:].tolist()


def test_answers_and_repetitions_are_marked() -> None:
    found = pictured(MEMO, 2)
    scenes = len(found["repeated"])
    found["answers"] = np.where(np.arange(scenes) % 3, 0.9, 0.1).astype(np.float32)
    answers, activity = pictures._activity(MEMO, found, "a network").axes[:2]
    points = {
        tuple(collection.get_facecolor()[0][:3]): collection.get_offsets()
        for collection in answers.collections
        if len(collection.get_offsets()) > 1
    }
    right = (found["answers"] > 0.5) == found["repeated"]
    shown = sorted(len(p) for p in points.values())
    assert shown == sorted([right.sum(), (~right).sum()])
    wrong = next(p for c, p in points.items() if same_color(c, "#D55E00"))
    # At the last of the two frames of a scene.
    assert wrong[:, 0].tolist() == (2 * np.flatnonzero(~right) + 1).tolist()
    (bars,) = activity.collections
    starts = [path.vertices[:, 0].min() for path in bars.get_paths()]
    assert starts == (2 * np.flatnonzero(found["repeated"]) - 0.5).tolist()


def test_generalisation_shows_medians_and_half_lives() -> None:
    data = evaluated([0, 1, 4])
    data["half_life"].values[1] = np.nan
    data["trained_to"].values[:] = [1, 2, 1]
    figure = Evaluate.figures()(EVALUATE, data)["generalisation"]
    check({"generalisation": figure})
    rate, memory = figure.axes[0], figure.axes[3]
    thick = next(line for line in rate.lines if line.get_marker() == "o")
    assert thick.get_xdata().tolist() == [1, 2, 4, 8]
    assert thick.get_ydata() == pytest.approx([1, 0.9, 0.1, 0.05])
    marks = [line for line in memory.lines if line.get_marker() == "D"]
    assert [float(m.get_xdata()[0]) for m in marks] == [3, 7]
    assert [float(m.get_ydata()[0]) for m in marks] == [0.5, 0.5]
    assert "more than half is left in seed 1" in words(figure)
    dotted = {line.get_xdata()[0] for line in rate.lines if line.get_linestyle() == ":"}
    assert dotted == {1, 2}


def test_generalisation_of_what_is_unknown() -> None:
    data = evaluated([3])
    data["true_positive"].values[:] = np.nan
    data["half_life"].values[:] = np.nan
    figure = Evaluate.figures()(EVALUATE, data.isel(interval=[3, 1, 0, 2]))["generalisation"]
    check({"generalisation": figure})
    thick = next(line for line in figure.axes[1].lines if line.get_marker() == "o")
    assert thick.get_xdata().tolist() == [1, 2, 4, 8]
    assert thick.get_ydata() == pytest.approx([0.0, 0.01, 0.02, 0.03])
    assert "half-life" not in words(figure)


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        ("static layers", [5]),
        ("last frame", [5, 6, 7]),
        ("parallel", [5]),
        ("one layer", [5, 6]),
    ],
)
def test_analysis_of_every_network(name: str, seeds: list[int]) -> None:
    configuration = NETWORKS[name]
    data = analysed(configuration, seeds)
    before = data.copy(deep=True)
    figures = Analyze.figures()(ANALYZE, data)
    assert set(figures) == {"weights_and_rates", "signs", "responses", "memory"}
    check(figures, render=name == "last frame")
    assert data.identical(before)
    mean = figures["signs"].axes[0]
    layers = configuration.plastic_layers
    points = [c.get_offsets() for c in mean.collections if len(c.get_offsets()) == len(seeds)]
    shown = [p[:, 1].tolist() for p in points][-layers:] if len(seeds) > 1 else []
    for i, values in enumerate(shown):
        assert values == pytest.approx(data["sign_mean"].values[:, i])
    units = figures["responses"].axes[0].collections[0].get_offsets()
    stored = data["unit_response"].isel(layer=0)[:, :, : configuration.hidden_dims[0]]
    for column, which in enumerate(("new", "repeated")):
        wanted = stored.sel(scene=which).values.ravel()
        assert np.asarray(units[:, column]) == pytest.approx(wanted)
    assert ("Points are seeds" in words(figures["signs"])) == (len(seeds) > 1)


def test_weights_of_layers_are_shown_without_what_fills_them_up() -> None:
    configuration = NETWORKS["parallel"]  # layers of 5, 4, 3 and 2 units
    figure = analyze._weights_and_rates(analysed(configuration, [5, 6]))
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert [axes.get_title() for axes in panels[::3]] == [
        f"layer {i} ({rule})" for i, rule in enumerate("MAMA", 1)
    ]
    assert [axes.get_ylabel() for axes in panels[1::3]].count("a single rate") == 1
    assert "no correlation" in panels[5].texts[0].get_text()


def test_a_memory_that_does_not_decay_has_no_place() -> None:
    data = analysed(MEMO, [5, 6])
    data["decay_time"].values[0, 0] = np.inf
    figure = analyze._memory(data)
    check({"memory": figure}, render=True)
    assert len(figure.axes[1].collections[1].get_offsets().compressed()) == 2  # of one seed


def test_comparison_counts_what_was_mastered() -> None:
    data = compared(
        {
            "Stack [8] M": [[], [10], []],
            "Memo [9] M": [[10, 30, 5], [20, 20], [40]],
            "Nonl_RO [7] M": [[], [], []],
        }
    )
    figures = Compare.figures()(COMPARE, data)
    check(figures, render=True)
    axes = figures["comparison"].axes[0]
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["Nonl_RO [7] M", "Memo [9] M", "Stack [8] M"]
    assert [bar.get_width() for bar in axes.patches] == [0, 2, 0]
    points = [c.get_offsets()[:, 0].tolist() for c in axes.collections]
    assert points == [[0, 0, 0], [3, 2, 1], [0, 1, 0]]
    wanted = data["parameter_count"].sel(configuration=labels).values
    assert [t.get_text() for t in axes.texts[:3]] == [f"{count:,}" for count in wanted]
    table = np.asarray(figures["iterations"].axes[0].images[0].get_array().filled(np.nan))
    nan = np.nan
    assert np.array_equal(table, [[nan] * 3, [20, 40, 45], [10, nan, nan]], equal_nan=True)
    texts = [t.get_text() for t in figures["iterations"].axes[0].texts]
    assert texts == ["20", "40 (2)", "45 (1)", "10 (1)"]


def test_comparison_of_failures() -> None:
    figures = Compare.figures()(COMPARE, compared({"Memo [8] M": [[]]}))
    check(figures, render=True)
    assert "no configuration mastered R = 1" in words(figures["iterations"])
    assert "1 seed a configuration" in words(figures["iterations"])


def test_medians_leave_out_what_is_unknown() -> None:
    values = np.array([[1, np.nan, np.nan], [3, 5, np.nan]])
    assert np.array_equal(common.medians(values), [2, 5, np.nan], equal_nan=True)
