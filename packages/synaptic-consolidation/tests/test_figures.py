"""Figures of networks and of nights: for every shape of run, and with the numbers it has stored.

Experiments run for real but for learning itself, which compiles for long: here it prunes at random.
"""

import functools
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

from sharpwave_shared.files import json_values, read_arrays, read_json, write_arrays, write_json
from sharpwave_shared.runs import StoredRun, read_run
from synaptic_consolidation import networks, recall, wake_sleep
from synaptic_consolidation.figures import DRAWN, common
from synaptic_consolidation.figures import networks as drawing
from synaptic_consolidation.learning import Progress
from synaptic_consolidation.model import Rows
from synaptic_consolidation.optima import theory_curves

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
        SMALL | {"f": 0.25, "exact_activity": True, "loads": (0.5, 3.0), "optima": 0},
        [1],
        ROWS | RECALL | {"tolerance", "structure"},
    ),
    "night": ({"n": 40, "patterns": 12, "cycles": 600}, [5], NIGHT),
    "few cues": ({"n": 20, "patterns": 4, "f": 0.5, "cycles": 1}, [5], NIGHT),
    "days": ({"n": 40, "patterns": 12, "cycles": 120, "days": 3}, [5, 2], NIGHT | {"days"}),
}


class Results(NamedTuple):
    experiment: str
    config: dict[str, Any]
    seeds: list[int]
    metrics: str
    arrays: dict[str, np.ndarray]


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
def results(shape: str) -> Results:
    """Run an experiment on almost nothing."""
    settings, seeds, _ = SHAPES[shape]
    night = "patterns" in settings
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setattr(recall, "LEVELS", np.linspace(0, 0.49, 17))
        patch.setattr(networks, "consolidate", pretend_to_learn)
        patch.setattr(wake_sleep, "advance", pretend_to_replay)
        attractors = lambda rows, patterns: np.arange(len(patterns)) % 4 != 1  # noqa: E731
        patch.setattr(wake_sleep, "are_attractors", attractors)
        device = torch.device("cpu")
        if night:
            plan = wake_sleep.Plan(**({"f": 0.1, "passes": 1, "tests": 1} | settings))
            metrics, arrays = wake_sleep.run(plan, seeds, device=device)
        else:
            plan = networks.Plan(**settings)
            metrics, arrays = networks.run(plan, seeds, device=device)
    text = json.dumps(json_values(metrics))
    config = json.loads(json.dumps(asdict(plan)))
    return Results("wake-sleep" if night else "networks", config, seeds, text, arrays)


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]
Store = Callable[..., StoredRun]
Drawn = Callable[..., tuple[StoredRun, dict[str, Figure]]]


def unchanged(metrics: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    pass


def write(directory: Path, shape: str, change: Change = unchanged) -> StoredRun:
    """Write a run directory."""
    found = results(shape)
    metrics = json.loads(found.metrics)
    arrays = {name: values.copy() for name, values in found.arrays.items()}
    change(metrics, arrays)
    record = {
        "package": "synaptic-consolidation",
        "experiment": found.experiment,
        "status": "finished",
        "label": "label",
        "seeds": found.seeds,
        "config": found.config,
        "identity": {},
    }
    write_json(directory / "run.json", record)
    write_json(directory / "metrics.json", metrics)
    write_arrays(directory / "arrays.npz", **arrays)
    return read_run(directory, "synaptic-consolidation")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a function that writes a run directory."""
    return functools.partial(write, tmp_path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Give a function that builds the figures of a run, once for all tests."""

    @functools.cache
    def build_once(shape: str, change: Change = unchanged) -> tuple[StoredRun, dict[str, Figure]]:
        run = write(tmp_path_factory.mktemp("run"), shape, change)
        return run, build(run)

    return build_once


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute few points of the theory's curves, and close what is drawn."""
    monkeypatch.setattr(drawing, "theory_curves", lambda f: theory_curves(f, 4))
    yield
    plt.close("all")


def build(run: StoredRun) -> dict[str, Figure]:
    """Build all figures, without files."""
    return dict(DRAWN[run.experiment](run))


def points(axes: Axes) -> dict[str, ErrorbarContainer]:
    return {str(c.get_label()): c for c in axes.containers if isinstance(c, ErrorbarContainer)}


def bars(axes: Axes) -> list[BarContainer]:
    return [c for c in axes.containers if isinstance(c, BarContainer)]


def heights(axes: Axes) -> list[float]:
    return [patch.get_height() for container in bars(axes) for patch in container.patches]


def half_lengths(container: ErrorbarContainer) -> list[float]:
    """Give the lengths of the bars of errors above their points."""
    return [float(np.ptp(s[:, 1])) / 2 for s in container.lines[2][0].get_segments()]


# --- all figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_run_has_its_figures_with_labels(shape: str, drawn: Drawn) -> None:
    run, figures = drawn(shape)
    assert set(figures) == SHAPES[shape][2]
    for name, figure in figures.items():
        assert "seed" in figure.get_supxlabel(), name
        for axes in figure.axes:
            if axes.get_label() != "<colorbar>":
                assert axes.get_xlabel() or shares(axes, "x") or axes.get_xticklabels(), name
                assert axes.get_ylabel() or shares(axes, "y"), name
    assert run.metrics == read_json(run.directory / "metrics.json")


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


def forget(metrics: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Make unknown, or infinite, all that can be."""
    for condition in metrics.get("conditions", []):
        for name, value in condition.items():
            if isinstance(value, dict) and name not in ("converged", "density"):
                condition[name] = dict.fromkeys(value)
    for night in metrics.get("nights", []):
        night |= dict.fromkeys(("memorised", "kept", "old_by_day", "old_by_night"))
    always = ("cycle", "level", "density", "histogram", "raster", "weights", "replayed", "examples")
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not name.endswith(always):
            values[...] = np.inf if "robustness" in name or "snr" in name else np.nan


@pytest.mark.parametrize("shape", ["single", "night"])
def test_unknown_numbers(shape: str, store: Store) -> None:
    figures = build(store(shape, forget))
    assert set(figures) == SHAPES[shape][2]
    for figure in figures.values():
        figure.set_layout_engine("none")  # which takes most of the time
        figure.draw_without_rendering()


# --- networks -------------------------------------------------------------------------------------


@functools.cache
def arrays_of(directory: Path) -> dict[str, np.ndarray]:
    return read_arrays(directory / "arrays.npz")


def stored(run: StoredRun, load: float, z: int, name: str) -> np.ndarray:
    """Give a quantity of the rows of all seeds."""
    arrays = arrays_of(run.directory)
    return np.concatenate([arrays[f"{seed}/{load}/{z}/{name}"] for seed in run.record["seeds"]])


@pytest.mark.parametrize(
    ("figure", "panel", "name"),
    [
        ("margin", 0, "margin"),
        ("margin", 1, "snr_z2"),
        ("density", 0, "density"),
        ("structure", 1, "within"),
        ("structure", 2, "across"),
        ("optimality", 0, "share_of_optimum"),
    ],
)
def test_points_are_means_over_the_rows_of_all_seeds(
    figure: str, panel: int, name: str, drawn: Drawn
) -> None:
    run, figures = drawn("networks")
    shown = points(figures[figure].axes[panel])
    factors = {"share_of_optimum": (1, 2), "within": (1, 2, 3), "across": (1, 2, 3)}
    assert list(shown) == [f"$z$ = {z}" for z in factors.get(name, (1, 2, 3))]
    for z in (2, 3) if "optimum" not in name else (1, 2):
        container = shown[f"$z$ = {z}"]
        x, y = container.lines[0].get_data()
        # Of each seed as many rows have an optimum at the lower load.
        loads = (0.2,) if name == "share_of_optimum" else (0.2, 0.7)
        values = [stored(run, load, z, name) for load in loads]
        np.testing.assert_allclose(x, [0.2, 0.7], atol=0.015)
        np.testing.assert_allclose(y[: len(loads)], [np.nanmean(v) for v in values])
        np.testing.assert_allclose(
            half_lengths(container)[: len(loads)], [np.nanstd(v) for v in values]
        )


def test_theory_lies_beside_the_points(drawn: Drawn) -> None:
    _, figures = drawn("sparse")
    curves = theory_curves(0.25, 4)
    for axes, name in zip(figures["margin"].axes, ("l2_margin", "l1_margin"), strict=True):
        theory = next(line for line in axes.lines if str(line.get_label()).startswith("theory"))
        np.testing.assert_array_equal(theory.get_data(), (curves["load"], curves[name]))
        # Points above the critical load, and with negative margins, are seen.
        assert axes.get_xlim()[1] > 3 > curves["load"][-1]
        assert all(
            axes.get_ylim()[0] <= c.lines[0].get_ydata().min() for c in points(axes).values()
        )
    assert "no solution" in figures["density"].axes[0].get_legend_handles_labels()[1]
    for name in ("margin", "density"):
        assert "although exactly" in figures[name].get_supxlabel()
        assert "independent neurons" in drawn("sequence")[1][name].get_supxlabel()
        assert "although" not in drawn("sequence")[1][name].get_supxlabel()


def test_signal_to_noise_of_every_norm(drawn: Drawn) -> None:
    run, figures = drawn("networks")
    panels = figures["signal-to-noise"].axes
    assert [a.get_title() for a in panels[:4]] == [f"$q$ = {q}" for q in ("2", "1", "2/3", "1/2")]
    for i, axes in enumerate(panels):
        load, best = (0.2, 0.7)[i // 4], i % 4 + 1
        expected = [stored(run, load, z, f"snr_z{best}").mean() for z in (1, 2, 3)]
        np.testing.assert_allclose(heights(axes), expected)
        full = [
            z for z, c in zip((1, 2, 3), bars(axes), strict=True) if c.patches[0].get_alpha() == 1
        ]
        assert full == [best] * (best < 4)


def test_recall_where_it_was_tried(drawn: Drawn) -> None:
    run, figures = drawn("sparse")
    figure, arrays = figures["neural-noise"], run.arrays()
    for axes, load in zip(figure.axes, (0.5, 3.0), strict=False):
        lines = [line for line in axes.lines if len(line.get_xdata()) > 2 or line.get_zorder() > 1]
        for line, (z, kind, unit) in zip(
            lines,
            [(z, *k) for z in (1, 2, 3) for k in (("flips", 1 / 0.25), ("balanced", 2.0))],
            strict=True,
        ):
            key = f"1/{load}/{z}/{kind}"
            known = np.isfinite(arrays[f"{key}/recall"])
            assert not known.all()
            np.testing.assert_array_equal(line.get_ydata(), arrays[f"{key}/recall"][known])
            np.testing.assert_allclose(line.get_xdata(), unit * arrays[f"{key}/level"][known])
        assert axes.get_xlabel() == "wrong bits per active neuron"


def test_maximal_noise_and_what_is_beyond_the_levels(store: Store) -> None:
    found = {
        "4/0.2/1/one-factor": 0.3,
        "7/0.2/1/one-factor": 0.5,
        "4/0.2/2/one-factor": 0.3,
        "7/0.2/2/one-factor": np.nan,
    }

    def change(_: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        for name in arrays:
            if name.endswith("/maximum"):
                arrays[name] = np.array(found.get(name.removesuffix("/maximum"), 0.1))

    run = store("networks", change)
    figures = build(run)
    figure = figures["synaptic-noise"]
    highest = run.arrays()["7/0.2/2/one-factor/level"][-1]
    axes = figure.axes[2]
    means = [0.4, 0.1, 0.1, (0.3 + highest) / 2, *[0.1] * 5]
    np.testing.assert_allclose(heights(axes), means)
    (arrow,) = axes.texts
    assert arrow.get_position() == (0, 3)
    x, y = arrow.xy  # type: ignore[attr-defined]
    assert x == pytest.approx(1 - 0.8 / 3)
    assert y == pytest.approx(means[3] + (highest - 0.3) / 2)
    assert y < axes.get_ylim()[1]
    assert common.HIGHEST in figure.get_supxlabel()
    assert common.HIGHEST not in figures["neural-noise"].get_supxlabel()
    # The same against the load.
    panel = figures["tolerance"].axes[1]
    shown = points(panel)
    np.testing.assert_allclose(shown["$z$ = 1"].lines[0].get_ydata(), [0.4, 0.1])
    np.testing.assert_allclose(half_lengths(shown["$z$ = 1"]), [0.1, 0], atol=1e-12)
    np.testing.assert_allclose(shown["$z$ = 2"].lines[0].get_ydata(), [means[3], 0.1])
    assert len(panel.texts) == 1
    left = points(figures["tolerance"].axes[0])
    np.testing.assert_allclose(left["$z$ = 3"].lines[0].get_ydata(), [0.2, 0.2])  # 0.1 / f


def test_weights_with_the_pruned_ones(drawn: Drawn) -> None:
    run, figures = drawn("networks")
    figure, arrays = figures["weights"], run.arrays()
    surviving, everything = figure.axes[1], figure.axes[3]
    left = [stored(run, 0.7, z, "density").mean() for z in (1, 2, 3)]
    np.testing.assert_allclose(heights(everything), 1 - np.array(left))
    for z, density, top, bottom in zip(
        (1, 2, 3), left, surviving.patches, everything.patches[::2], strict=True
    ):
        histogram = np.mean([arrays[f"{s}/0.7/{z}/histogram"] for s in (4, 7)], axis=0)
        np.testing.assert_allclose(top.get_data().values, histogram)  # type: ignore[attr-defined]
        shown = bottom.get_data().values  # type: ignore[attr-defined]
        np.testing.assert_allclose(shown, histogram * density / 8)


def test_colours_depend_on_z_alone(drawn: Drawn) -> None:
    assert len({to_rgba(common.look(z)["color"]) for z in range(1, 11)}) == 10
    axes = drawn("many factors")[1]["density"].axes[0]
    assert list(points(axes)) == [f"$z$ = {z}" for z in (5, 7, 10)]
    for name, container in points(axes).items():
        z = int(name.removeprefix("$z$ = "))
        assert to_rgba(container.lines[0].get_color()) == to_rgba(common.look(z)["color"])


def test_few_loads_are_chosen(drawn: Drawn) -> None:
    titles = [a.get_title() for a in drawn("many factors")[1]["weights"].axes[:3]]
    assert titles == [f"$\\alpha$ = {load}" for load in (0.2, 0.4, 0.5)]


def test_captions_say_what_networks_do(drawn: Drawn) -> None:
    assert "a sequence of patterns" in drawn("sequence")[1]["neural-noise"].get_supxlabel()
    assert "3 neurons of a network of 16" in drawn("rows")[1]["density"].get_supxlabel()
    assert "mean and s.d. over seeds" in drawn("networks")[1]["neural-noise"].get_supxlabel()
    assert "over seeds" not in drawn("sparse")[1]["neural-noise"].get_supxlabel()


# --- nights ---------------------------------------------------------------------------------------


def by_label(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines}


def choose(_: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Replace what a night has stored by what shows whether figures are right."""
    raster = np.zeros((100, 2, 3), np.uint8)
    raster[:, 0, 2] = raster[:, 1, 0] = 1
    raster[60:, 0, 1] = 1
    raster[70:, 0, 2] = 0
    arrays["5/1/before/raster"] = raster
    arrays["5/1/after/raster"] = raster[:1].repeat(100, axis=0)
    arrays["5/1/after/balanced/maximum"] = np.array(0.2)
    arrays["5/1/before/surviving/maximum"] = np.array(0.1)
    arrays["5/1/after/surviving/maximum"] = np.array(np.nan)
    arrays["5/1/after/sparseness_novel"][:] = 0.5
    arrays["5/1/after/sparseness_novel"][:3] = np.nan
    before = np.linspace(0.1, 0.5, 9)
    for name in ("robustness_min", "robustness_mean"):
        arrays[f"5/1/before/{name}"] = before
        arrays[f"5/1/after/{name}"] = 0.9 + 0.25 * before
    arrays["5/1/after/robustness_mean"][2:] = np.inf


def test_rasters_tell_right_from_wrong(drawn: Drawn) -> None:
    figure = drawn("night", choose)[1]["rasters"]
    before, _, after, _ = (np.asarray(a.images[0].get_array()) for a in figure.axes)
    # From below: the neuron of the first pattern, that of the second, and the rest.
    silent, active, wrong, missing = range(4)
    assert before[:, 0].tolist() == [active, silent, silent]
    assert before[:, 65].tolist() == [active, silent, wrong]
    assert before[:, 75].tolist() == [missing, silent, wrong]
    assert after[:, 99].tolist() == [active, silent, silent]


def test_rasters_of_few_patterns(drawn: Drawn) -> None:
    run, figures = drawn("few cues")
    assert len(figures["rasters"].axes) == 2 * run.arrays()["5/1/before/raster"].shape[1]


def test_recall_before_and_after_sleep(drawn: Drawn) -> None:
    run, figures = drawn("night", choose)
    figure, arrays = figures["tolerance"], run.arrays()
    panels = {str(axes.get_label()): axes for axes in figure.axes}
    for kind, unit in (("balanced", 2.0), ("one-factor", 1.0)):
        shown = by_label(panels[kind])
        for time in ("before", "after"):
            values = arrays[f"5/1/{time}/{kind}/recall"]
            known = np.isfinite(values)
            x, y = shown[f"{time} sleep"].get_data()
            np.testing.assert_array_equal(y, values[known])
            np.testing.assert_allclose(x, unit * arrays[f"5/1/{time}/{kind}/level"][known])
    assert heights(panels["neural"])[1] == pytest.approx(0.4)
    assert heights(panels["synaptic"])[4:] == pytest.approx([0.1, 0.98])
    assert common.HIGHEST in figure.get_supxlabel()


def test_the_course_of_the_night(store: Store) -> None:
    """With values that are not known at first, and infinite ones."""

    def change(_: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        for seed in (5, 2):
            key = f"{seed}/1/course"
            arrays[f"{key}/within"] = arrays[f"{key}/within"][2:]
            arrays[f"{key}/snr_z1"] = np.array([[1.0 + seed, 0.1]] * len(arrays[f"{key}/cycle"]))
        arrays["5/1/course/snr_z1"][-1] = np.inf

    run = store("days", change)
    figures, arrays = build(run), run.arrays()
    cycles = arrays["5/1/course/cycle"]
    snr, density, _ = figures["course"].axes
    line = by_label(snr)["$q$ = 2"]
    np.testing.assert_array_equal(line.get_xdata(), cycles)
    np.testing.assert_allclose(line.get_ydata(), [*[4.5] * (len(cycles) - 1), 3.0])
    expected = np.mean([arrays[f"{seed}/1/course/density"][:, 0] for seed in (5, 2)], axis=0)
    np.testing.assert_allclose(by_label(density)["density"].get_ydata(), expected)
    assert density.get_xlim() == (0, 120)
    shown = by_label(figures["factors"].axes[0])["same synapse"].get_ydata()
    expected = np.mean([arrays[f"{seed}/1/course/within"][:, 0] for seed in (5, 2)], axis=0)
    assert np.isnan(shown[:2]).all()
    np.testing.assert_allclose(shown[2:], expected)


def test_weights_are_followed_until_they_are_pruned(drawn: Drawn) -> None:
    run, figures = drawn("night")
    axes, examples = figures["factors"].axes[1], run.arrays()["5/1/course/examples"]
    assert len(axes.lines) == examples.shape[1]
    for line, values in zip(axes.lines, examples.T, strict=True):
        expected = np.where(values > 0, values / examples[0].mean(), np.nan)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-6)
    survives = [line.get_color() == "C1" for line in axes.lines]
    assert survives == (examples[-1] > 0).tolist()
    known = axes.get_legend_handles_labels()[1]
    assert len(set(known)) == len(known)


def test_matrices_have_one_scale(drawn: Drawn) -> None:
    run, figures = drawn("night")
    panels, arrays = figures["matrices"].axes[:2], run.arrays()
    mean = arrays["5/1/before/weights"].mean()
    for axes, time in zip(panels, ("before", "after"), strict=True):
        shown = np.ma.asarray(axes.images[0].get_array())
        weights = arrays[f"5/1/{time}/weights"]
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), weights == 0)
        np.testing.assert_allclose(shown.filled(0), weights / mean, rtol=1e-5)
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim()


def test_share_of_pruned_synapses(drawn: Drawn) -> None:
    run, figures = drawn("night")
    arrays = run.arrays()
    shown = by_label(figures["pruning"].axes[0])
    weight = arrays["5/1/initial_weight"]
    names = {
        "pruned_after_100": "after 100 cycles",
        "pruned_after_500": "after 500 cycles",
        "pruned_at_end": "after all 600 cycles",
    }
    assert set(shown) == set(names.values())
    for name, label in names.items():
        np.testing.assert_allclose(shown[label].get_xdata(), weight / weight.mean())
        np.testing.assert_array_equal(shown[label].get_ydata(), arrays[f"5/1/{name}"])
    density = arrays["5/1/course/density"][[0, -1], 0]
    np.testing.assert_allclose(heights(figures["weights"].axes[1]), 1 - density)
    # A night can end before some of the looks.
    assert set(by_label(drawn("few cues")[1]["pruning"].axes[0])) == {"after all 1 cycles"}


def test_connections_by_correlation_without_empty_bins(drawn: Drawn) -> None:
    run, figures = drawn("night")
    arrays = run.arrays()
    names = ("connected", "strength")
    for axes, name in zip(figures["connectivity"].axes, names, strict=True):
        x, y = (arrays[f"5/1/after/{part}"] for part in ("correlation", name))
        known = np.isfinite(y)
        assert 0 < known.sum() < len(y)
        shown = by_label(axes)["after sleep"]
        np.testing.assert_array_equal(shown.get_data(), (x[known], y[known]))


def test_selectivity_of_known_neurons(drawn: Drawn) -> None:
    run, figures = drawn("night", choose)
    curves, boxes = figures["selectivity"].axes
    arrays = run.arrays()
    shown = by_label(curves)["familiar, after sleep"]
    np.testing.assert_array_equal(shown.get_ydata(), arrays["5/1/after/tuning_familiar"])
    assert shown.get_xdata()[[0, -1]].tolist() == [1, arrays["5/1/replayed"]]
    medians = [line for line in boxes.lines if len(line.get_xdata()) == 2]
    assert any(np.array_equal(line.get_data(), [[3.2, 3.8], [0.5, 0.5]]) for line in medians)


def test_gain_of_robustness_and_its_slope(drawn: Drawn) -> None:
    weakest, mean = drawn("night", choose)[1]["robustness"].axes
    dots, line, _ = weakest.lines
    np.testing.assert_allclose(dots.get_ydata(), 0.9 - 0.75 * np.linspace(0.1, 0.5, 9))
    assert "slope -0.75" in weakest.get_title()
    np.testing.assert_allclose(line.get_data(), [[0.1, 0.5], [0.825, 0.525]])
    # Infinite values are not shown, and two points make no line.
    assert len(mean.lines[0].get_xdata()) == 2
    assert len(mean.lines) == 2
    assert "slope" not in mean.get_title()


def test_days(drawn: Drawn) -> None:
    run, figures = drawn("days")
    figure, nights = figures["days"], run.metrics["nights"]
    memories, density, neural, _ = figure.axes
    for name, label in (
        ("memorised", "new ones, evening"),
        ("old_by_night", "older memories, morning"),
    ):
        x, y = points(memories)[label].lines[0].get_data()
        assert list(x) == [1, 2, 3]
        for day, value in zip((1, 2, 3), y, strict=True):
            values = [n[name] for n in nights if n["day"] == day]
            if None in values:
                assert (name, day) == ("old_by_night", 1)
                assert np.isnan(value)
            else:
                assert value == pytest.approx(np.mean(values))
    for time, at in (("before", 0), ("after", -1)):
        y = points(density)[f"{time} sleep"].lines[0].get_ydata()
        values = [
            [n["course"]["density"][at][0] for n in nights if n["day"] == d] for d in (1, 2, 3)
        ]
        np.testing.assert_allclose(y, np.mean(values, axis=1))
    arrays = run.arrays()
    maxima = [[arrays[f"{s}/{d}/before/balanced/maximum"] for s in (5, 2)] for d in (1, 2, 3)]
    assert np.isfinite(maxima).all()
    first = next(c for c in neural.containers if isinstance(c, ErrorbarContainer))
    np.testing.assert_allclose(first.lines[0].get_ydata(), 2 * np.mean(maxima, axis=1))
    assert "still are attractors" in figure.get_supxlabel()
