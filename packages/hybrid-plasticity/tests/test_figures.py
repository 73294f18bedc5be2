import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from hybrid_plasticity.curriculum import Network, Training, flatten, log_columns
from hybrid_plasticity.figures import DRAWN, common, draw, visualize
from hybrid_plasticity.figures.learning import read_logs, smooth
from hybrid_plasticity.figures.pictures import model_figures
from hybrid_plasticity.folders import Model, write_model
from hybrid_plasticity.model import Configuration, initialise
from hybrid_plasticity.streams import Task
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.files import json_values, read_json, write_arrays, write_json
from sharpwave_shared.plotting import numbers
from sharpwave_shared.runs import StoredRun, read_run

pytestmark = pytest.mark.filterwarnings("error")

TASK = Task(2, 6, 0.2)
NETWORKS = {
    "memo": Configuration("Memo", (5, 4), (1, 1), ("M", "A"), task=TASK),
    "static layers": Configuration("Nonl_RO", (5, 4, 3), (0.5,), ("A",), task=TASK),
    "last frame": Configuration("Dyn_RO", (5, 4), (0.5, 0), ("M", "M"), task=TASK),
    "parallel": Configuration("Stack", (5, 4, 3, 2), (1, 0, 0.5, 1), tuple("MAMA"), 2, TASK),
    "one layer": Configuration("Memo", (1,), (0,), ("A",), task=Task(1, 6, 0)),
}
MEMO = NETWORKS["memo"]
PICTURES = {"Weight_Matrices", "Eta_Matrices", "Hidden_Activity"}
FIGURES = {
    "train": {"learning", "errors", "curriculum", "parameters"},
    "evaluate": {"generalisation"},
    "analyze": {"weights_and_rates", "signs", "responses", "memory"},
    "compare": {"comparison", "iterations"},
}
Store = Callable[..., StoredRun]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a function that writes a run directory."""

    def write(
        experiment: str,
        metrics: dict[str, Any],
        arrays: dict[str, np.ndarray],
        configuration: Configuration = MEMO,
        folder: str = "run",
    ) -> StoredRun:
        seeds = [n["seed"] for n in metrics["networks"]] if experiment == "train" else [0]
        record = {
            "package": "hybrid-plasticity",
            "experiment": experiment,
            "status": "finished",
            "label": "label",
            "seeds": seeds,
            "config": configuration.values() | asdict(Training()),
            "identity": {},
        }
        directory = tmp_path / folder
        write_json(directory / "run.json", record)
        write_json(directory / "metrics.json", json_values(metrics))
        write_arrays(directory / "arrays.npz", **arrays)
        return read_run(directory, "hybrid-plasticity")

    return write


def trained(
    mastered: dict[int, list[int]],
    more: int = 0,
    configuration: Configuration = MEMO,
    pictures: int = 0,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Make up what training stores: a row every 10 iterations, and when an R is mastered."""
    columns = log_columns(configuration)
    networks, arrays = [], {}
    for seed, took in mastered.items():
        rng = np.random.default_rng(seed)
        ends = [*((k, n, True) for k, n in enumerate(took, 1)), (len(took) + 1, more, False)]
        rows = [
            [k, i, *rng.uniform(0.1, 0.9, len(columns) - 2)]
            for k, n, done in ends
            for i in (*range(10, n + 1, 10), *([n] if done and n % 10 else []))
        ]
        arrays[f"{seed}.rows"] = np.array(rows, np.float32)
        total = sum(took) + more
        networks.append({"seed": seed, "mastered": took, "iterations": total, "ended": "why"})
    seed = next(iter(mastered))
    for k in range(1, pictures + 1):
        found = pictured(configuration, k)
        arrays |= {f"R{k}.{name}": values for name, values in found.items()}
    metrics = {"parameters": configuration.parameter_count, "columns": columns}
    return metrics | {"networks": networks}, arrays


def parameters(configuration: Configuration, seed: int) -> dict[str, np.ndarray]:
    return {name: v[0].numpy() for name, v in initialise(configuration, seed).items()}


def pictured(configuration: Configuration, seed: int) -> dict[str, np.ndarray]:
    """Make up what `analysis.picture` gives, which compiles a network."""
    rng = np.random.default_rng(seed)
    time, scenes = configuration.task.scene_time, 6
    repeated = np.arange(scenes) % 3 == 1
    found = {"repeated": repeated, "moments": np.array([2, 4, 6]) * time}
    found["answers"] = rng.uniform(0, 1, scenes).astype(np.float32)
    for i, layer in enumerate(configuration.layers, 1):
        found[f"hidden_{i}"] = rng.uniform(0, 1, (scenes * time, layer.units))
        if layer.rule is not None:
            found[f"P_{i}"] = rng.normal(size=(3, layer.units, layer.inputs))
    return found | parameters(configuration, seed)


def analysed(
    configuration: Configuration, seeds: list[int]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Make up what an analysis stores."""
    networks, arrays = [], {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        layers, responses = [], []
        for i, layer in enumerate(configuration.layers, 1):
            responses.append(
                dict(zip(("new", "repeated", "suppression"), rng.random(3), strict=True))
            )
            for which in ("new", "repeated"):
                arrays[f"{seed}.{which}_{i}"] = rng.normal(size=layer.units)
                arrays[f"{seed}.course_{which}_{i}"] = rng.random(configuration.task.scene_time)
            if layer.rule is not None:
                names = ["eta_mean", "eta_weighted", "eta_negative", "E_mean", "E_size", "decay"]
                values = dict(zip(names, rng.random(6), strict=True))
                values["decay"] *= layer.decays
                known = {"rule": layer.rule, "decay_time": 5 * values["decay"]}
                known["W_eta_correlation"] = None if layer.rate == 0 else 0.2
                layers.append(values | known)
        networks.append(
            {"seed": seed, "trained_to": 1 + seed, "layers": layers, "responses": responses}
        )
        own = parameters(configuration, seed).items()
        arrays |= {f"{seed}.{k}": v for k, v in own if k[:2] in ("W_", "et")}
    return {"streams": 3, "networks": networks}, arrays


def evaluated(seeds: list[int]) -> dict[str, Any]:
    intervals = [1, 2, 4, 8]
    networks = [
        {
            "seed": seed,
            "trained_to": 1 + seed % 2,
            "true_positive": [1.0, 0.9, 0.1 * seed, 0.05],
            "false_positive": [0.0, 0.01, 0.02, 0.03],
            "accuracy": [1.0, 0.95, 0.8, 0.7],
            "half_life": 3.0 + seed,
        }
        for seed in seeds
    ]
    return {"intervals": intervals, "streams": 7, "networks": networks}


def compared(mastered: dict[str, list[list[int]]]) -> dict[str, Any]:
    """Make up a comparison of networks named by type and size."""
    return {
        "budget": 1000,
        "configurations": [
            {
                "name": name,
                "network_type": name.split()[0],
                "hidden_dims": [int(name.split()[1])],
                "plastic_types": ["M"],
                "parameters": 1234 + k,
                "seeds": list(range(len(took))),
                "mastered": took,
            }
            for k, (name, took) in enumerate(mastered.items())
        ],
    }


def build(run: StoredRun) -> dict[str, Figure]:
    return dict(DRAWN[run.experiment](run))


def words(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(plt.Text))


def check(figures: dict[str, Figure], *, render: bool = False) -> None:
    """Check that shown axes are labelled and their limits are numbers."""
    for name, figure in figures.items():
        if render:
            figure.canvas.draw()
        for axes in figure.axes:
            assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all(), name
            if axes.axison and axes.get_label() != "<colorbar>" and axes.get_subplotspec():
                assert axes.get_xlabel() or hides_labels(axes, "x"), (name, axes)
                assert axes.get_ylabel() or hides_labels(axes, "y"), (name, axes)


def hides_labels(axes: plt.Axes, which: str) -> bool:
    """Tell whether other axes in the same rows or columns carry the label."""
    mine = axes.get_subplotspec()
    for other in axes.figure.axes:
        spec = other.get_subplotspec()
        if spec is None or other is axes:
            continue
        if which == "x" and other.get_xlabel() and spec.rowspan.start > mine.rowspan.start:
            return True
        if which == "y" and other.get_ylabel() and spec.rowspan == mine.rowspan:
            return True
    return False


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    plt.close("all")


def test_files_of_training_lie_where_the_layout_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blank(configuration: Any, found: dict, seed: int, interval: int) -> dict[str, Figure]:
        assert np.array_equal(found["answers"], arrays[f"R{interval}.answers"])
        assert seed == 4
        return {name: plt.figure() for name in PICTURES}

    monkeypatch.setattr("hybrid_plasticity.figures.model_figures", blank)
    monkeypatch.setitem(DRAWN, "train", lambda run: {"learning": plt.figure()})
    metrics, arrays = trained({4: [12, 30], 5: [15]}, 8, pictures=2)
    run = store("train", metrics, arrays)
    paths = draw(run, ["svg"])
    figures, folder = run.directory / "figures", run.directory / "seed_4"
    expected = {figures / "learning.svg"}
    expected |= {folder / f"R_{k}" / f"{name}.svg" for k in (1, 2) for name in PICTURES}
    assert set(paths) == expected | {run.directory / "train-label.pdf"}
    assert len(paths) == len(set(paths))
    assert all(path.stat().st_size for path in paths)
    assert not plt.get_fignums()


def test_equal_stored_data_give_equal_files(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DRAWN["compare"]
    one = {"compare": lambda run: {"iterations": whole(run)["iterations"]}}
    monkeypatch.setattr("hybrid_plasticity.figures.DRAWN", one)
    written = []
    for folder in ("one", "other"):
        run = store("compare", compared({"Memo 5": [[9, 20], [8]]}), {}, folder=folder)
        written.append({p.name: p.read_bytes() for p in draw(run, ["png"])})
    assert written[0] == written[1]
    assert set(written[0]) == {"iterations.png", "compare-label.pdf"}
    assert written[0]["iterations.png"].startswith(b"\x89PNG")


def test_pictures_of_every_network(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, int]] = []

    def take(model: Model, seed: int) -> dict[str, Any]:
        assert model.seed == seed
        return {"of": (seed, model.interval), "W_1": model.parameters["W_1"][0].numpy()}

    def note(configuration: Any, found: dict, seed: int, interval: int) -> dict[str, Figure]:
        assert found["of"] == (seed, interval)
        assert np.array_equal(found["W_1"], parameters(configuration, seed)["W_1"])
        drawn.append((seed, interval))
        return {"Weight_Matrices": plt.figure()}

    monkeypatch.setattr("hybrid_plasticity.figures.picture", take)
    monkeypatch.setattr("hybrid_plasticity.figures.model_figures", note)
    mastered = {4: [12, 30], 5: [], 6: [11]}
    run = store("train", *trained(mastered))
    for seed, took in mastered.items():
        flat = flatten(initialise(MEMO, seed))[0]
        network = replace(Network.new(MEMO, seed), models=[flat] * len(took))
        for k in range(1, len(took) + 1):
            write_model(run.directory / f"seed_{seed}", network, k)
    paths = visualize(run, ["svg"])
    assert drawn == [(4, 1), (4, 2), (6, 1)]
    assert paths == [
        run.directory / f"seed_{s}" / f"R_{k}" / "Weight_Matrices.svg" for s, k in drawn
    ]


def test_there_is_nothing_to_picture(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="has mastered any interval"):
        visualize(store("train", *trained({0: []}, 20)), ["png"])
    with pytest.raises(InvalidInputError, match="training is needed"):
        visualize(store("evaluate", evaluated([0]), {}, folder="other"), ["png"])


def test_curves_are_the_log_over_the_whole_curriculum(store: Store) -> None:
    metrics, arrays = trained({4: [12, 30], 5: [25]}, 8)
    run = store("train", metrics, arrays)
    loss, accuracy = build(run)["learning"].axes
    column = metrics["columns"].index("accuracy")
    line = next(c for c in accuracy.lines if same_color(c.get_color(), "C0"))
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    # Rows at 10 and 12 of R = 1; then at 10, 20, 30 of R = 2. A gap lies between.
    assert x[np.isfinite(x)].tolist() == [10, 12, 22, 32, 42]
    assert np.flatnonzero(np.isnan(x)).tolist() == [2]
    assert y[np.isfinite(y)] == pytest.approx(arrays["4.rows"][:, column])
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


def test_pace_of_the_curriculum(store: Store) -> None:
    run = store("train", *trained({0: [10, 20], 1: [30], 2: [50, 70]}, 9))
    (axes,) = build(run)["curriculum"].axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["median"].get_ydata().tolist() == [30, 70]
    seeds = [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert seeds == [[10, 20], [30], [50, 70]]
    open_marks = [line for line in axes.lines if line.get_marker() == "^"]
    assert [float(m.get_ydata()[0]) for m in open_marks] == [9, 9, 9]
    assert np.rint([m.get_xdata()[0] for m in open_marks]).tolist() == [3, 2, 3]
    low, high = axes.get_ylim()
    assert low < 9 < 70 < high
    # No median where half of the networks, or more, have not mastered R.
    run = store("train", *trained({0: [10, 20], 1: [30]}, 9), folder="two")
    (axes,) = build(run)["curriculum"].axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["median"].get_ydata().tolist() == [20]


@pytest.mark.parametrize("more", [0, 5, 15])
@pytest.mark.parametrize("seeds", [1, 2])
def test_short_training(more: int, seeds: int, store: Store) -> None:
    run = store("train", *trained({s: [] for s in range(seeds)}, more))
    assert [len(log.R) for log in read_logs(run)] == [more // 10] * seeds
    figures = build(run)
    assert set(figures) == FIGURES["train"]
    check(figures, render=(more, seeds) == (5, 1))
    assert ("nothing was logged" in words(figures["learning"])) == (more < 10)
    assert "R mastered" not in words(figures["learning"]) + words(figures["curriculum"])
    assert ("not mastered within" in words(figures["curriculum"])) == (more > 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_of_every_network(name: str, store: Store) -> None:
    configuration = NETWORKS[name]
    run = store("train", *trained({3: [20], 4: [10]}, 5, configuration), configuration)
    figures = build(run)
    check(figures)
    log, _ = read_logs(run)
    panels = figures["parameters"].axes
    for axes, symbol in zip(panels, ("W", "eta", "lambda"), strict=True):
        shown = {n for n in configuration.shapes if n.startswith(f"{symbol}_")}
        own = [line for line in axes.lines if not line.get_label().startswith("_")]
        assert len(own) == len(shown) >= 1
        for line, parameter in zip(own, sorted(shown), strict=True):
            whole = configuration.shapes[parameter] == ()
            stored = log.columns[parameter if whole else f"{parameter}/norm"]
            wanted = 1 / (1 + np.exp(-stored)) if symbol == "lambda" else stored
            assert line.get_ydata() == pytest.approx(wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_show_the_matrices(name: str) -> None:
    configuration = NETWORKS[name]
    found = pictured(configuration, 2)
    figures = model_figures(configuration, found, 2, 1)
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


def test_answers_and_repetitions_are_marked() -> None:
    found = pictured(MEMO, 2)
    scenes = len(found["repeated"])
    found["answers"] = np.where(np.arange(scenes) % 3, 0.9, 0.1).astype(np.float32)
    answers, activity = model_figures(MEMO, found, 2, 3)["Hidden_Activity"].axes[:2]
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


def test_generalisation_shows_medians_and_half_lives(store: Store) -> None:
    metrics = evaluated([0, 1, 4])
    metrics["networks"][1]["half_life"] = None
    run = store("evaluate", metrics, {})
    figure = build(run)["generalisation"]
    check({"generalisation": figure})
    rate, memory = figure.axes[0], figure.axes[3]
    thick = next(line for line in rate.lines if line.get_marker() == "o")
    assert thick.get_xdata().tolist() == [1, 2, 4, 8]
    assert thick.get_ydata() == pytest.approx([1, 0.9, 0.1, 0.05])
    marks = [line for line in memory.lines if line.get_marker() == "D"]
    assert [float(m.get_xdata()[0]) for m in marks] == [3, 7]
    assert [float(m.get_ydata()[0]) for m in marks] == [0.5, 0.5]
    assert "more than half is left in seed 1" in words(figure).replace("\n", " ")
    dotted = {line.get_xdata()[0] for line in rate.lines if line.get_linestyle() == ":"}
    assert dotted == {1, 2}


def test_generalisation_of_what_is_unknown(store: Store) -> None:
    metrics = evaluated([3])
    metrics["intervals"] = [8, 2, 1, 4]
    metrics["networks"][0] |= {"true_positive": [None] * 4, "half_life": None}
    run = store("evaluate", metrics, {})
    figure = build(run)["generalisation"]
    check({"generalisation": figure})
    thick = next(line for line in figure.axes[1].lines if line.get_marker() == "o")
    assert thick.get_xdata().tolist() == [1, 2, 4, 8]
    assert thick.get_ydata() == pytest.approx([0.02, 0.01, 0.03, 0.0])
    assert "half-life" not in words(figure)


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        ("memo", [5, 6, 7]),
        ("static layers", [5]),
        ("last frame", [5, 6]),
        ("parallel", [5]),
        ("one layer", [5, 6]),
    ],
)
def test_analysis_of_every_network(name: str, seeds: list[int], store: Store) -> None:
    configuration = NETWORKS[name]
    run = store("analyze", *analysed(configuration, seeds), configuration)
    before = json.dumps(run.metrics)
    figures = build(run)
    assert set(figures) == FIGURES["analyze"]
    check(figures, render=name == "last frame")
    assert (
        json.dumps(run.metrics) == before == json.dumps(read_json(run.directory / "metrics.json"))
    )
    mean = figures["signs"].axes[0]
    layers = configuration.plastic_layers
    points = [c.get_offsets() for c in mean.collections if len(c.get_offsets()) == len(seeds)]
    shown = [p[:, 1].tolist() for p in points][-layers:] if len(seeds) > 1 else []
    for i, values in enumerate(shown):
        wanted = [n["layers"][i]["eta_weighted"] for n in run.metrics["networks"]]
        assert values == pytest.approx(wanted)
    units = figures["responses"].axes[0].collections[0].get_offsets()
    arrays = run.arrays()
    for column, which in enumerate(("new", "repeated")):
        stored = np.concatenate([arrays[f"{seed}.{which}_1"] for seed in seeds])
        assert np.asarray(units[:, column]) == pytest.approx(stored)
    assert ("Points are seeds" in words(figures["signs"])) == (len(seeds) > 1)


def test_comparison_counts_what_was_mastered(store: Store) -> None:
    run = store(
        "compare",
        compared(
            {"Stack 8": [[], [10]], "Memo 9": [[10, 30, 5], [20, 20], [40]], "Nonl_RO 7": [[]]}
        ),
        {},
    )
    figures = build(run)
    check(figures, render=True)
    axes = figures["comparison"].axes[0]
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["Nonl_RO [7] M", "Memo [9] M", "Stack [8] M"]
    assert [bar.get_width() for bar in axes.patches] == [0, 2, 0.5]
    points = [c.get_offsets()[:, 0].tolist() for c in axes.collections]
    assert points == [[0], [3, 2, 1], [0, 1]]
    assert [t.get_text() for t in axes.texts[:3]] == ["1,236", "1,235", "1,234"]
    table = np.asarray(figures["iterations"].axes[0].images[0].get_array().filled(np.nan))
    nan = np.nan
    assert np.array_equal(table, [[nan] * 3, [20, 40, 45], [10, nan, nan]], equal_nan=True)
    texts = [t.get_text() for t in figures["iterations"].axes[0].texts]
    assert texts == ["20", "40 (2)", "45 (1)", "10 (1)"]


def test_comparison_of_failures(store: Store) -> None:
    figures = build(store("compare", compared({"Memo 8": [[]]}), {}))
    check(figures, render=True)
    assert "no configuration mastered R = 1" in words(figures["iterations"])
    assert "1 seed a configuration" in words(figures["iterations"]).replace("\n", " ")


def test_medians_leave_out_what_is_unknown() -> None:
    values = numbers([[1, None, None], [3, 5, None]])
    assert np.array_equal(common.medians(values), [2, 5, np.nan], equal_nan=True)
