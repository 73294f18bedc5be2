from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.quiver import Quiver
from PIL import Image

from rnn_reactivation.analysis import LAG
from rnn_reactivation.configuration import load_configuration
from rnn_reactivation.figures import DRAWN, draw
from rnn_reactivation.figures.common import COLOURS, pretty
from rnn_reactivation.figures.direction import CYCLIC
from rnn_reactivation.figures.replay import draw_replay
from rnn_reactivation.reactivation import KINDS, row_name
from sharpwave_shared.files import json_values, write_arrays, write_json
from sharpwave_shared.plotting import numbers, style
from sharpwave_shared.runs import StoredRun, read_run

pytestmark = pytest.mark.filterwarnings("error")

NAVIGATION, DIRECTION = "spatial_navigation", "head_direction"
NAMES = ("noisy_biased", "no-noise_unbiased")
STEPS, TRAJECTORIES = 6, 4
DT = 0.02
PICTURES = {
    NAVIGATION: {"trajectories", "densities", "activity", "activity_densities", "drift"},
    DIRECTION: {
        "bearings",
        "densities",
        "courses",
        "angular_velocity",
        "activity",
        "activity_densities",
    },
}
NUMBERS = {
    NAVIGATION: {"kl", "variance", "distance", "dimensionality"},
    DIRECTION: {"kl", "variance", "distance", "dimensionality", "hollowness"},
}
Values = dict[str, Any]
Store = Callable[..., StoredRun]


def conditions_of(name: str) -> list[str]:
    return ["active", "quiescent"] + (["noise_added"] if "no-noise" in name else [])


def make_metrics(
    task: str, names: Sequence[str], kinds: Sequence[str], seeds: Sequence[int]
) -> Values:
    """Make up numbers, other ones for every network, condition and seed."""
    rng = np.random.default_rng(1)

    def each(*, awake: bool = True) -> Values:
        return {
            name: {
                c: rng.uniform(0.1, 1, len(seeds)).tolist()
                for c in conditions_of(name)[1 - awake :]
            }
            for name in names
        }

    found: Values = {
        "task": task,
        "names": list(names),
        "seeds": list(seeds),
        "noise": {n: dict.fromkeys(conditions_of(n)[1:], 0.1) for n in names},
    }
    if "kl" in kinds:
        rows = [row_name(n, c) for n in names for c in conditions_of(n)[1:]]
        found["kl"] = {
            row: {n: np.exp(rng.uniform(-6, 4, len(seeds))).tolist() for n in names}
            for row in [*rows, "random network", "uniform distribution"]
        }
    if "variance" in kinds:
        found["variance"] = each(awake=False)
    if "distance" in kinds:
        found["distance"] = each()
        if task == DIRECTION:
            found |= {"coverage": each(), "angular_velocity": each()}
    if "dimensionality" in kinds:
        found["dimensionality"] = {
            n: {c: np.sort(rng.random((len(seeds), 5))).tolist() for c in conditions_of(n)}
            for n in names
        }
        if task == DIRECTION:
            found["hollowness"] = each()
    return found


def make_arrays(
    task: str, names: Sequence[str] = NAMES, *quantities: str, rest: bool = False
) -> dict[str, np.ndarray]:
    """Make up arrays, all or some; with `rest` nothing ever changes asleep."""
    rng = np.random.default_rng(2)
    navigation, found = task == NAVIGATION, {}
    most, dims = (1.1, 2) if navigation else (np.pi, 1)
    for name in names:
        for condition in conditions_of(name):
            still = rest and condition != "active"
            steps = STEPS if condition == "active" else 2 * STEPS
            own: dict[str, np.ndarray] = {
                "trajectories": rng.uniform(-most, most, (steps, TRAJECTORIES, dims)),
                "projection": rng.normal(size=(50, 2)),
                "projected": rng.uniform(-most, most, (50, dims)),
                "density": rng.random((8, 8) if navigation else 13),
                "activity_density": 3 * rng.random((6, 6)),
                "activity_limits": np.array([[-2.0, -1.0], [1.0, 2.0]]),
            }
            if not navigation:
                own["bearings"] = rng.dirichlet(np.ones(20))
                own["turns"] = rng.dirichlet(np.ones(81))
            elif condition != "active":
                axis = np.array([-0.55, 0.55])
                places = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(4, 2)
                own["field"] = np.stack([places, *rng.normal(size=(2, 4, 2))])
            if still:
                own["trajectories"][:] = own["trajectories"][0]
                own["projection"][:], own["projected"][:] = 0.3, 0.2
                own["density"][:] = np.nan
                own["activity_density"][:] = np.nan
                if navigation:
                    own["field"][1] = 0
                else:
                    own["turns"][:] = np.arange(81) == 40
                    own["bearings"][:] = np.arange(20) == 11
            found |= {f"{name}/{condition}/{k}": v.astype(np.float32) for k, v in own.items()}
    if quantities:
        return {k: v for k, v in found.items() if k.endswith(quantities)}
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a function that writes the run of an analysis, with any of its parts replaced."""

    def write(
        task: str,
        names: Sequence[str] = NAMES,
        kinds: Sequence[str] = KINDS,
        seeds: Sequence[int] = (3, 5),
        *,
        metrics: Values | None = None,
        arrays: dict[str, np.ndarray] | None = None,
        **task_values: Any,
    ) -> StoredRun:
        values = load_configuration(f"{task}/noisy_unbiased").values()
        values["task"] |= task_values
        config = {
            "task": task,
            "configurations": list(names),
            "noise": "scaled",
            "trajectories": 20,
            "steps": 1000,
            "samples": 2500,
            "variance_trajectories": 50,
            "variance_steps": 400,
            "variance_dropped": 200,
            "components": 5,
            "kinds": list(kinds),
            "networks": [values for _ in names],
        }
        record = {
            "package": "rnn-reactivation",
            "experiment": "analyze",
            "status": "finished",
            "label": "label",
            "seeds": list(seeds),
            "config": config,
            "identity": {},
        }
        if metrics is None:
            metrics = make_metrics(task, names, kinds, seeds)
        if arrays is None:
            arrays = make_arrays(task, names) if set(kinds) - {"variance"} else {}
        write_json(tmp_path / "run.json", record)
        write_json(tmp_path / "metrics.json", json_values(metrics))
        write_arrays(tmp_path / "arrays.npz", **arrays)
        return read_run(tmp_path, "rnn-reactivation")

    return write


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    plt.close("all")


def build(run: StoredRun) -> dict[str, Figure]:
    return dict(DRAWN[run.experiment](run))


def words(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(plt.Text)).replace(
        "\N{NO-BREAK SPACE}", " "
    )


def panels(figure: Figure) -> dict[tuple[int, int], Axes]:
    """Sort panels by row and column."""
    found = {}
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None and axes.get_label() != "<colorbar>":
            found[spec.rowspan.start, spec.colspan.start] = axes
    return found


def colour_of(condition: str) -> tuple[float, float, float, float]:
    with style():
        return to_rgba(COLOURS[condition])


def bars_of(axes: Axes) -> list[Rectangle]:
    return [p for p in axes.patches if isinstance(p, Rectangle)]


def check_labels(figures: dict[str, Figure]) -> None:
    """Check that each row and column of panels is labelled, and that limits are numbers."""
    for name, figure in figures.items():
        for (row, column), axes in panels(figure).items():
            assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all(), name
            if axes.name == "polar":
                continue
            others = panels(figure).items()
            below = [a for (r, c), a in others if c == column and r >= row]
            beside = [a for (r, c), a in others if r == row and c <= column]
            assert any(a.get_xlabel() for a in below), (name, row, column)
            named = any(a.get_ylabel() or a.get_yticklabels() for a in beside)
            assert named, (name, row, column)


def test_all_is_written(store: Store) -> None:
    arrays = {k: v[:2] for k, v in make_arrays(DIRECTION, NAMES[:1], "trajectories").items()}
    run = store(DIRECTION, NAMES[:1], ["variance"], arrays=arrays)
    paths = draw(run, ["svg"])
    folder = run.directory / "figures"
    expected = {folder / f"{name}.svg" for name in ("variance", "courses")}
    expected |= {folder / "replay.gif", run.directory / "analyze-label.pdf"}
    assert set(paths) == expected
    assert len(paths) == len(expected)
    assert all(path.stat().st_size for path in paths)
    assert not plt.get_fignums()
    assert not list(run.directory.rglob(".partial*"))


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_figures_say_what_they_show(store: Store, task: str) -> None:
    figures = build(store(task))
    assert set(figures) == PICTURES[task] | NUMBERS[task]
    check_labels(figures)
    for name, figure in figures.items():
        text = words(figure)
        seeds = "seeds 3 and 5" if name in NUMBERS[task] else "seed 3"
        assert seeds in text.lower(), name
        assert "noisy" in text, name
        assert "no noise" in text, name
        assert "_" not in text, name
        if name == "variance":
            assert "50 trajectories of 400 steps, without the first 200" in text
        elif name not in ("trajectories", "courses"):
            assert "20 trajectories of 1,000 steps, awake in trials of 100" in text, name
    assert "2,500 samples" in words(figures["kl"])


@pytest.mark.parametrize(
    ("task", "kind"), [*((NAVIGATION, kind) for kind in KINDS), (DIRECTION, "dimensionality")]
)
def test_single_kinds(store: Store, task: str, kind: str) -> None:
    arrays = {} if kind == "variance" else make_arrays(task, NAMES, "density")
    run = store(task, kinds=[kind], arrays=arrays)
    own = {kind} | ({"hollowness"} if (task, kind) == (DIRECTION, "dimensionality") else set())
    figures = build(run)
    assert set(figures) == own | (set() if kind == "variance" else {"densities"})
    if kind == "variance":
        assert draw_replay(run) == []
        assert not (run.directory / "figures").exists()


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_missing_arrays_leave_their_figures_out(store: Store, task: str) -> None:
    run = store(task, kinds=["kl"], arrays=make_arrays(task, NAMES, "density", "projection"))
    assert set(build(run)) == {"kl", "densities"}
    assert draw_replay(run) == []


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_networks_at_rest(store: Store, task: str) -> None:
    names = ["noisy_biased"]
    metrics = make_metrics(task, names, ["variance"], [3])
    metrics["variance"] = {names[0]: {"quiescent": [0.0], "noise_added": [None]}}
    arrays = make_arrays(task, names, rest=True)
    run = store(task, names, ["variance"], [3], metrics=metrics, arrays=arrays)
    figures = build(run)
    assert set(figures) == PICTURES[task] | {"variance"}
    check_labels(figures)
    for figure in figures.values():
        figure.draw_without_rendering()
    assert {"0", "–"} <= {t.get_text() for t in figures["variance"].findobj(plt.Text)}
    if task == NAVIGATION:
        assert words(figures["drift"]).count("at rest") == 1
        assert words(figures["drift"]).count("cosine undefined") == 1


def test_divergences_are_means_over_seeds(store: Store) -> None:
    metrics = make_metrics(NAVIGATION, NAMES, ["kl"], [3, 5])
    metrics["kl"]["noisy_biased"] = {"noisy_biased": [0.2, 0.3], "no-noise_unbiased": [100, 153]}
    uniform = {"noisy_biased": [None, 2.96], "no-noise_unbiased": [None, None]}
    metrics["kl"]["uniform distribution"] = uniform
    random = {"noisy_biased": [-0.0004, -0.0005], "no-noise_unbiased": [9.0, 31.0]}
    metrics["kl"]["random network"] = random
    figure = build(store(NAVIGATION, kinds=["kl"], metrics=metrics, arrays={}))["kl"]
    axes = panels(figure)[0, 0]
    (image,) = axes.images
    rows = [t.get_text() for t in axes.get_yticklabels()]
    assert rows == [
        "noisy, biased",
        "no noise, unbiased",
        "no noise, unbiased, noise added",
        "random network",
        "uniform distribution",
    ]
    columns = [t.get_text().replace("\n", " ") for t in axes.get_xticklabels()]
    assert columns == ["noisy, biased", "no noise, unbiased"]
    texts = {t.get_position(): t for t in axes.texts}
    assert len(texts) == 10
    shown = {place: t.get_text() for place, t in texts.items()}
    assert [shown[0, 0], shown[1, 0]] == ["0.25", "126"]
    assert [shown[0, 3], shown[1, 3]] == ["−0.00045", "20"]
    assert [shown[0, 4], shown[1, 4]] == ["3.0", "–"]
    framed = {tuple(np.round(p.get_center()).astype(int)) for p in bars_of(axes)}
    assert framed == {(0, 0), (1, 1), (1, 2)}
    # Colours are logarithmic: the same factor is the same distance, wherever it is.
    norm = image.norm
    assert norm(2.0) - norm(0.2) == pytest.approx(norm(20.0) - norm(2.0))
    for (x, y), text in texts.items():
        value = np.ma.getdata(image.get_array())[int(y), int(x)]
        if np.isfinite(value):
            background = image.cmap(norm(value))
            assert contrast(background[:3], to_rgba(text.get_color())[:3]) > 4.5


def contrast(*colours: Any) -> float:
    """Give the contrast ratio of two colours, as accessibility guidelines define it."""
    light = []
    for colour in colours:
        c = np.asarray(colour, float)
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(light) / min(light)


def test_divergences_that_are_all_unknown(store: Store) -> None:
    names = ["noisy_biased"]
    metrics = make_metrics(NAVIGATION, names, ["kl"], [3])
    metrics["kl"] = {row: {"noisy_biased": [None]} for row in metrics["kl"]}
    figure = build(store(NAVIGATION, names, ["kl"], [3], metrics=metrics, arrays={}))["kl"]
    figure.draw_without_rendering()
    assert [t.get_text() for t in panels(figure)[0, 0].texts] == ["–"] * 3


def test_bars_are_means_with_a_point_for_each_seed(store: Store) -> None:
    metrics = make_metrics(DIRECTION, NAMES, ["distance"], [3, 5, 8])
    metrics["angular_velocity"]["noisy_biased"]["active"] = [-1.0, None, -4.0]
    run = store(DIRECTION, NAMES, ["distance"], [3, 5, 8], metrics=metrics, arrays={})
    figure = build(run)["distance"]
    for k, key in enumerate(("distance", "angular_velocity", "coverage")):
        axes = panels(figure)[0, k]
        stored = [(c, v) for name in NAMES for c, v in metrics[key][name].items()]
        bars = bars_of(axes)
        assert len(bars) == len(stored) == 5
        for bar, (condition, values) in zip(bars, stored, strict=True):
            known = [v for v in values if v is not None]
            assert bar.get_width() == pytest.approx(sum(known) / len(known))
            assert bar.get_facecolor() == colour_of(condition)
            y = bar.get_y() + bar.get_height() / 2
            points = [p for c in axes.collections for p in np.asarray(c.get_offsets())]
            own = sorted(p[0] for p in points if abs(p[1] - y) < 0.5)
            assert own == pytest.approx(sorted(known))
    text = words(figure)
    assert "rad/s" in text
    assert "rad a step" in text
    assert "−2.5" in text
    ticks = [t.get_text() for t in panels(figure)[0, 0].get_yticklabels()]
    assert ticks == ["noisy, biased", "no noise, unbiased"]
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend == ["awake", "asleep", "asleep, noise added", "seed"]


def test_single_seed_has_no_points(store: Store) -> None:
    figures = build(store(NAVIGATION, seeds=[3], arrays={}))
    for name, unit in (("variance", "m²"), ("distance", "(m)")):
        (axes,) = panels(figures[name]).values()
        assert not axes.collections
        assert unit in axes.get_xlabel()


def test_explained_variance(store: Store) -> None:
    metrics = make_metrics(NAVIGATION, NAMES, ["dimensionality"], [3, 5])
    metrics["dimensionality"]["noisy_biased"]["quiescent"][1][4] = None
    run = store(NAVIGATION, kinds=["dimensionality"], metrics=metrics, arrays={})
    figure = build(run)["dimensionality"]
    for k, name in enumerate(NAMES):
        axes, stored = panels(figure)[0, k], metrics["dimensionality"][name]
        thick = [line for line in axes.lines if line.get_marker() == "o"]
        assert len(axes.lines) == 3 * len(stored)
        for line, (condition, values) in zip(thick, stored.items(), strict=True):
            both = numbers(values)
            assert np.array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
            assert np.allclose(line.get_ydata(), np.nanmean(both, 0))
            assert line.get_color() == COLOURS[condition]


def test_trajectories_begin_and_end_where_marked(store: Store) -> None:
    arrays = make_arrays(NAVIGATION, NAMES, "trajectories")
    figure = build(store(NAVIGATION, kinds=[], arrays=arrays, box_width=3.0))["trajectories"]
    assert set(panels(figure)) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)}
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            axes = panels(figure)[row, column]
            # As many steps as the shortest of the row has.
            stored = arrays[f"{name}/{condition}/trajectories"][:STEPS]
            paths = [line.get_xydata() for line in axes.lines if line.get_marker() == "None"]
            assert np.array_equal(np.stack(paths, 1), stored)
            for marker, place in (("o", 0), ("s", -1)):
                marks = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == marker]
                assert np.array_equal(marks, stored[place])
            assert axes.get_xlim() == (-1.5, 1.5)
            assert axes.get_ylim() == (-1.1, 1.1)


def test_densities_lie_where_they_were_estimated(store: Store) -> None:
    arrays = make_arrays(NAVIGATION, NAMES, "density")
    x, y = np.linspace(-1.1, 1.1, 8), np.linspace(-1.1, 1.1, 8)
    arrays["noisy_biased/quiescent/density"][6, 1] = 9.0
    figure = build(store(NAVIGATION, kinds=[], arrays=arrays))["densities"]
    (image,) = panels(figure)[0, 1].images
    shown = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    assert image.origin == "lower"
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert left + (column + 0.5) * (right - left) / 8 == pytest.approx(x[6])
    assert bottom + (row + 0.5) * (top - bottom) / 8 == pytest.approx(y[1])
    limits = [
        axes.images[0].get_clim() for _, axes in sorted(panels(figure).items()) if axes.images
    ]
    assert limits[0] == limits[1] == (0, 9)
    assert limits[2] == limits[3] == limits[4]
    assert limits[2][1] == pytest.approx(
        max(arrays[f"{NAMES[1]}/{c}/density"].max() for c in conditions_of(NAMES[1]))
    )


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_activity_is_coloured_by_what_is_decoded(store: Store, task: str) -> None:
    arrays = make_arrays(task, NAMES, "projection", "projected")
    for key in arrays:
        if key.endswith("projection"):
            arrays[key] = arrays["noisy_biased/active/projection"][::-1]
    arrays["noisy_biased/quiescent/projection"] = 10 * arrays["noisy_biased/active/projection"]
    figure = build(store(task, kinds=[], arrays=arrays))["activity"]
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            axes = panels(figure)[row, column]
            (scatter,) = (c for c in axes.collections if isinstance(c, PathCollection))
            key = f"{name}/{condition}"
            assert np.array_equal(np.asarray(scatter.get_offsets()), arrays[f"{key}/projection"])
            decoded = arrays[f"{key}/projected"]
            expected = np.linalg.norm(decoded, axis=1) if task == NAVIGATION else decoded[:, 0]
            assert np.allclose(np.asarray(scatter.get_array()), expected)
            assert bool(axes.patches) == (key == "noisy_biased/quiescent")
    (frame,) = panels(figure)[0, 1].patches
    awake = panels(figure)[0, 0]
    assert frame.get_x() == pytest.approx(awake.get_xlim()[0])
    assert frame.get_height() == pytest.approx(np.ptp(awake.get_ylim()))


def test_colours_of_bearings_are_cyclic_and_visible() -> None:
    colours = CYCLIC(np.linspace(0, 1, 64))[:, :3]
    assert np.allclose(colours[0], colours[-1], atol=0.03)
    assert np.abs(colours[16] - colours[48]).max() > 0.2
    assert min(contrast(colour, (1, 1, 1)) for colour in colours) > 1.7


def test_cosine_of_drift_and_prediction(store: Store) -> None:
    arrays, turn = make_arrays(NAVIGATION, NAMES, "field"), np.deg2rad(60)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    field = arrays["noisy_biased/quiescent/field"]
    field[1] = 3 * field[2] @ rotation
    field[1, 2] = np.nan
    opposite = arrays["no-noise_unbiased/quiescent/field"]
    opposite[2] = -opposite[1]
    opposite[2, 0, 1] = np.nan
    arrays["no-noise_unbiased/noise_added/field"][1] = np.nan
    figure = build(store(NAVIGATION, kinds=[], arrays=arrays))["drift"]
    found = panels(figure)
    assert set(found) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (1, 3)}
    assert "cosine 0.50" in found[0, 1].get_title()
    assert "cosine −1.00" in found[1, 1].get_title()
    assert "cosine undefined" in found[1, 3].get_title()
    assert "too few outputs" in found[1, 2].texts[0].get_text()
    for column, which in ((0, 1), (1, 2)):
        (arrows,) = (c for c in found[0, column].collections if isinstance(c, Quiver))
        seen = [0, 1, 3]
        assert np.array_equal(np.stack([arrows.U, arrows.V], 1), field[which, seen])
        assert np.array_equal(np.asarray(arrows.XY), field[0, seen])
        longest = 100 * np.linalg.norm(field[which, seen], axis=1).max()
        assert f"longest arrow {longest:,.0f} cm" in found[0, column].get_title()
    caption = figure.get_supxlabel()
    assert f"in {LAG} steps ({LAG * DT:g} s)" in caption


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_densities_of_activity_are_relative_to_their_peaks(store: Store, task: str) -> None:
    arrays = make_arrays(task, NAMES, "activity_density", "activity_limits")
    figure = build(store(task, kinds=[], arrays=arrays))["activity_densities"]
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            (image,) = panels(figure)[row, column].images
            stored = arrays[f"{name}/{condition}/activity_density"]
            assert np.allclose(image.get_array(), stored.T / stored.max())
            assert image.get_extent() == [-2, 1, -1, 2]


def test_no_line_runs_across_the_wrap(store: Store) -> None:
    arrays = make_arrays(DIRECTION, NAMES, "trajectories")
    turning = (np.arange(STEPS) * 1.3)[:, None, None] + np.array([0.0, 2, 4, 5])[:, None]
    arrays["noisy_biased/active/trajectories"] = (turning + np.pi) % (2 * np.pi) - np.pi
    figure = build(store(DIRECTION, kinds=[], arrays=arrays))["courses"]
    cut = 0
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            stored = arrays[f"{name}/{condition}/trajectories"][:STEPS, :, 0]
            lines = panels(figure)[row, column].lines
            assert len(lines) == 3
            for k, line in enumerate(lines):
                times, bearings = line.get_xydata().T
                known = np.isfinite(bearings)
                assert np.allclose(bearings[known], stored[:, k])
                assert np.allclose(times[known], DT * np.arange(STEPS))
                steps = np.diff(bearings)
                assert not (np.abs(steps) > np.pi).any()
                cut += int((~known).sum())
    # Each of the first three trajectories passes +-pi once, at least.
    assert cut >= 3


def test_angular_velocities(store: Store) -> None:
    arrays = make_arrays(DIRECTION, NAMES, "turns")
    figure = build(store(DIRECTION, kinds=[], arrays=arrays, dt=0.05))["angular_velocity"]
    for k, name in enumerate(NAMES):
        steps = panels(figure)[0, k].patches
        for stairs, condition in zip(steps, conditions_of(name), strict=True):
            values, edges, _ = stairs.get_data()
            assert np.allclose(values, arrays[f"{name}/{condition}/turns"])
            assert edges[[0, -1]] == pytest.approx([-np.pi / 2 / 0.05, np.pi / 2 / 0.05])
            assert np.allclose(np.diff(edges), np.pi / 81 / 0.05)
            assert stairs.get_edgecolor() == colour_of(condition)


def test_polar_histograms(store: Store) -> None:
    arrays = make_arrays(DIRECTION, NAMES, "bearings")
    figure = build(store(DIRECTION, kinds=[], arrays=arrays))["bearings"]
    for k, name in enumerate(NAMES):
        axes = panels(figure)[0, k]
        assert axes.name == "polar"
        *outlines, even = axes.lines
        assert np.allclose(even.get_ydata(), 5)
        for line, condition in zip(outlines, conditions_of(name), strict=True):
            angles, radii = line.get_xydata().T
            assert angles[0] == pytest.approx(-np.pi)
            assert angles[-1] == pytest.approx(np.pi)
            assert radii[0] == radii[-1]
            middles = -np.pi + (np.arange(20) + 0.5) * np.pi / 10
            shares = arrays[f"{name}/{condition}/bearings"]
            # Radii are constant within a bin, so interpolation in it gives its share.
            assert np.allclose(np.interp(middles, angles, radii), 100 * shares, rtol=1e-4)


def test_densities_of_bearings(store: Store) -> None:
    arrays = make_arrays(DIRECTION, NAMES, "density")
    figure = build(store(DIRECTION, kinds=[], arrays=arrays))["densities"]
    for k, name in enumerate(NAMES):
        lines = panels(figure)[0, k].lines
        for line, condition in zip(lines, conditions_of(name), strict=False):
            assert np.array_equal(line.get_ydata(), arrays[f"{name}/{condition}/density"])
        assert np.allclose(lines[-1].get_ydata(), 1 / (2 * np.pi))


def test_many_networks_take_several_pages(store: Store) -> None:
    names = [f"mine_{k}" for k in range(5)]
    arrays = make_arrays(NAVIGATION, names, "trajectories")
    figures = build(store(NAVIGATION, names, ["kl"], arrays=arrays))
    assert set(figures) == {"kl", "trajectories_1", "trajectories_2"}
    for k, name in enumerate(names):
        assert (name in words(figures["trajectories_1"])) == (k < 4)
        assert (name in words(figures["trajectories_2"])) == (k == 4)
    assert len(panels(figures["trajectories_1"])) == 8


def test_any_name_can_be_drawn(store: Store) -> None:
    names = ["a$b$_{", "x" * 200]
    arrays = make_arrays(NAVIGATION, names, "density")
    for figure in build(store(NAVIGATION, names, ["kl", "distance"], arrays=arrays)).values():
        figure.draw_without_rendering()


def test_names_of_configurations() -> None:
    assert pretty("no-noise_unbiased") == "no noise, unbiased"
    assert pretty("noisy_biased_gru") == "noisy, biased, GRU"
    assert pretty("noisy_unbiased_0.0003") == "noisy, unbiased, σ² = 0.0003"
    assert pretty("noisy_unbiased_1e-05") == "noisy, unbiased, σ² = 1e-05"
    assert pretty("sorscher_2019") == "sorscher_2019"
    assert pretty("my_noisy") == "my_noisy"
    assert pretty("a$b") == r"a\$b"


def film_of(path: Path) -> list[np.ndarray]:
    """Give all frames of a GIF, without the title, where the clock is."""
    frames = []
    with Image.open(path) as film:
        for k in range(getattr(film, "n_frames", 1)):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB"), float)[film.height // 4 :])
    return frames


def dot_in(picture: np.ndarray) -> np.ndarray:
    """Find the middle of the first trajectory's dot, in pixels to the right and upwards."""
    colour = 255 * np.array(colour_of("active")[:3])
    rows, columns = np.nonzero(np.abs(picture - colour).max(-1) < 30)
    return np.array([columns.mean(), -rows.mean()])


def test_replay_shows_where_outputs_are(store: Store) -> None:
    course = np.linspace([-0.8, -0.4], [0.8, 0.4], 3, dtype=np.float32)[:, None]
    arrays = {
        "noisy_biased/active/trajectories": course,
        "noisy_biased/quiescent/trajectories": np.concatenate([-course, course]),
        "no-noise_unbiased/active/trajectories": 0 * course,
        "no-noise_unbiased/quiescent/trajectories": 0 * course,
    }
    (path,) = draw_replay(store(NAVIGATION, arrays=arrays))
    frames = film_of(path)
    assert len(frames) == 3
    half = frames[0].shape[1] // 2
    left, right = ([dot_in(f[:, part]) for f in frames] for part in np.s_[:half, half:])
    moved = left[-1] - left[0]
    # The box is as high as it is wide: a step of 1.6 m by 0.8 m.
    assert moved[0] / moved[1] == pytest.approx(2, rel=0.05)
    assert moved[0] > 80
    assert np.allclose(left[1] - left[0], moved / 2, atol=1.5)
    assert np.allclose(right[0] - right[-1], moved, atol=1.5)


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_replay_moves_and_is_repeated(store: Store, task: str) -> None:
    arrays = make_arrays(task, NAMES, "trajectories")
    run = store(task, arrays={k: v[:3] for k, v in arrays.items()})
    (path,) = draw_replay(run)
    assert path == run.directory / "figures" / "replay.gif"
    first, frames = path.read_bytes(), film_of(path)
    assert len(frames) == 3
    half = frames[0].shape[1] // 2
    for part in np.s_[:half, half:]:
        assert all((a != b)[:, part].any() for a, b in pairwise(frames))
    assert draw_replay(run) == [path]
    assert path.read_bytes() == first
    assert not plt.get_fignums()


def test_replay_of_a_network_at_rest(store: Store) -> None:
    arrays = make_arrays(NAVIGATION, NAMES[:1], "trajectories", rest=True)
    run = store(NAVIGATION, NAMES[:1], arrays={k: v[:2] for k, v in arrays.items()})
    first, last = film_of(draw_replay(run)[0])
    half = first.shape[1] // 2 + 10
    assert (first != last)[:, :half].any()
    assert np.allclose(first[:, half:], last[:, half:], atol=40)
