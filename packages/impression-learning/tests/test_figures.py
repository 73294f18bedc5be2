import functools
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from impression_learning.experiments import run as run_experiment
from impression_learning.figures import DRAWN, common, draw
from impression_learning.plans import MODES, make_plan
from impression_learning.speech import BANDS, band_frequencies
from sharpwave_shared.files import json_values, read_json, write_arrays, write_json
from sharpwave_shared.plotting import numbers
from sharpwave_shared.runs import StoredRun, read_run

pytestmark = pytest.mark.filterwarnings("error")

SEEDS = [4, 5, 6]
NUMERICAL = {"loss", "final-loss", "direction", "signal-to-noise", "periods", "transition"} | {
    "time-constants",
    "learning-rates",
    "reconstruction-scatter",
}
"""Figures that show losses and other numbers, which can be unknown."""
SMALL = {"n_latent": 2, "n_in": 2, "n": 2}
TINY: dict[str, dict[str, Any]] = {
    "standard": SMALL,
    "SNR": {"episodes": 200},
    "dimensionality": {"dimensions": (1, 2, 3, 4), "steps_backprop": 100},
    "switch_period": SMALL | {"periods": (1, 4, 31)},
    "time_constant": SMALL | {"dts": (1.0, 0.1, 0.01)},
    "lr_optim": {"rates": (1e-3, 1e-4, 1e-5)},
}
FIGURES = {
    "standard": {"loss", "reconstruction", "reconstruction-scatter", "autocorrelation", "latents"},
    "SNR": {"loss", "direction", "signal-to-noise"},
    "dimensionality": {"loss", "final-loss"},
    "switch_period": {"loss", "latents", "periods"},
    "time_constant": {"transition", "time-constants"},
    "lr_optim": {"learning-rates"},
    "Vocal_Digits": {"loss", "spectrogram", "correlations", "dreams", "autocorrelation"},
}


@functools.cache
def results(mode: str, algorithm: str | None = None) -> tuple[str, dict[str, np.ndarray]]:
    """Run a mode for a moment; give its metrics as JSON, and its arrays."""
    if mode == "Vocal_Digits":
        return speech_results()
    plan = make_plan(mode, algorithm=algorithm, steps=200, points=3, test_steps=200, **TINY[mode])
    result = run_experiment(plan, SEEDS)
    return json.dumps(json_values(result.metrics)), result.arrays


def speech_results() -> tuple[str, dict[str, np.ndarray]]:
    """Make up what a run with speech stores: its circuit takes long to compile."""
    text, arrays = results("standard")
    metrics = json.loads(text)
    (condition,) = metrics["conditions"]
    condition["dt"] = None
    condition["summary"]["band_cosine"] = [0.9, 0.8, 0.7]
    metrics["decibels"] = {"offset": 80.0, "scale": 22.0}
    rng = np.random.default_rng(0)
    made = {
        f"0.{name}": rng.uniform(0, 3, (200, BANDS)).astype(np.float32)
        for name in ("stimulus", "reconstruction", "dream", "dream_before")
    }
    made["0.bands"] = rng.uniform(-1, 1, (2, BANDS, BANDS)).astype(np.float32)
    known = {name: v for name, v in arrays.items() if name != "0.autocorrelation.true"}
    return json.dumps(metrics), known | made


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., StoredRun]:
    """Give a function that writes a run directory."""

    def write(
        mode: str,
        algorithm: str | None = None,
        *,
        folder: str = "run",
        seeds: int = len(SEEDS),
        change: Callable[[dict[str, Any]], None] = lambda metrics: None,
    ) -> StoredRun:
        text, arrays = results(mode, algorithm)
        metrics = json.loads(text)
        keep_seeds(metrics, seeds)
        change(metrics)
        shorter = {
            name: values[:seeds] if "autocorrelation" in name else values
            for name, values in arrays.items()
        }
        directory = tmp_path / folder
        record = {
            "package": "impression-learning",
            "experiment": mode,
            "status": "finished",
            "label": "label",
            "seeds": SEEDS[:seeds],
            "config": {"switch_period": 1},
            "identity": {},
        }
        write_json(directory / "run.json", record)
        write_json(directory / "metrics.json", metrics)
        write_arrays(directory / "arrays.npz", **shorter)
        return read_run(directory, "impression-learning")

    return write


def keep_seeds(metrics: dict[str, Any], seeds: int) -> None:
    for condition in metrics["conditions"]:
        for values in (condition, condition.get("summary", {})):
            for name, value in values.items():
                if isinstance(value, list) and len(value) == len(SEEDS) and name != "points":
                    values[name] = value[:seeds]
    for rule in metrics.get("updates", {}).values():
        for name, value in rule.items():
            rule[name] = value[:seeds]


def forget_all(metrics: dict[str, Any]) -> None:
    for condition in metrics["conditions"]:
        condition["losses"] = [[None for _ in row] for row in condition["losses"]]
        for name, values in condition.get("summary", {}).items():
            unknown = [None] * len(values) if isinstance(values, list) else values
            condition["summary"][name] = unknown
    for rule in metrics.get("updates", {}).values():
        for name, rows in rule.items():
            rule[name] = [[None for _ in row] for row in rows]


def build(run: StoredRun) -> dict[str, Figure]:
    """Build all figures, without files."""
    return DRAWN[run.experiment](run)


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    plt.close("all")


def test_every_mode_has_figures() -> None:
    assert DRAWN.keys() == MODES.keys() == FIGURES.keys()


def test_files_appear(store: Callable[..., StoredRun]) -> None:
    run = store("switch_period")
    before = set(run.directory.iterdir())
    paths = draw(run, ["png"])
    booklet = run.directory / "switch_period-label.pdf"
    assert set(run.directory.iterdir()) - before == {run.directory / "figures", booklet}
    pictures = {p.stem: p for p in (run.directory / "figures").iterdir()}
    assert set(pictures) == FIGURES["switch_period"]
    assert set(paths) == {*pictures.values(), booklet}
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures.values())
    assert not plt.get_fignums()


def test_equal_stored_data_give_equal_files(store: Callable[..., StoredRun]) -> None:
    written = []
    for folder in ("one", "other"):
        paths = draw(store("lr_optim", folder=folder), ["svg"])
        written.append({p.name: p.read_bytes() for p in paths})
    assert written[0] == written[1]
    assert set(written[0]) == {"learning-rates.svg", "lr_optim-label.pdf"}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_be_rendered_and_has_labelled_axes(
    mode: str, store: Callable[..., StoredRun]
) -> None:
    figures = build(store(mode))
    assert set(figures) == FIGURES[mode]
    for name, figure in figures.items():
        figure.canvas.draw()
        for axes in figure.axes:
            if axes.get_visible() and axes.get_label() != "<colorbar>":
                assert axes.get_ylabel() or figure.get_supylabel() or shares_labels(axes, "y"), name
                assert axes.get_xlabel() or shares_labels(axes, "x"), name


@pytest.mark.parametrize("mode", MODES)
def test_unknown_numbers(mode: str, store: Callable[..., StoredRun]) -> None:
    figures = build(store(mode, change=forget_all))
    assert set(figures) == FIGURES[mode]
    for name in NUMERICAL & set(figures):
        figures[name].canvas.draw()


@pytest.mark.parametrize("mode", MODES)
def test_one_seed_has_no_error(mode: str, store: Callable[..., StoredRun]) -> None:
    for figure in build(store(mode, seeds=1)).values():
        texts = " ".join(t.get_text() for t in figure.texts) + figure.get_supxlabel()
        assert "s.e.m." not in texts
        assert f"seed {SEEDS[0]}" in texts


@pytest.mark.parametrize(
    ("mode", "algorithm", "name"),
    [
        ("dimensionality", "backprop", "backpropagation"),
        ("lr_optim", "reinforce", "REINFORCE"),
        ("standard", "backprop", "backpropagation"),
        ("switch_period", "reinforce", "REINFORCE"),
    ],
)
def test_one_algorithm(
    mode: str, algorithm: str, name: str, store: Callable[..., StoredRun]
) -> None:
    figures = build(store(mode, algorithm))
    assert set(figures) == FIGURES[mode]
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


def test_loss_is_mean_and_standard_error(store: Callable[..., StoredRun]) -> None:
    run = store("standard")
    (condition,) = run.metrics["conditions"]
    axes = build(run)["loss"].axes[0]
    (line,) = axes.lines
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert line.get_xdata().tolist() == condition["points"] == [0, 100, 200]
    for k, point in enumerate(condition["points"]):
        values = [row[k] for row in condition["losses"]]
        mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(3)
        assert line.get_ydata()[k] == pytest.approx(mean)
        heights = corners[corners[:, 0] == point, 1]
        assert (heights.min(), heights.max()) == pytest.approx((mean - error, mean + error))


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=6))
def test_mean_and_error_leave_out_what_is_unknown(values: list[float | None]) -> None:
    mean, error = common.mean_and_error(numbers([[value] for value in values]))
    known = [value for value in values if value is not None]
    if not known:
        assert np.isnan(mean[0])
        assert np.isnan(error[0])
        return
    assert mean[0] == pytest.approx(statistics.fmean(known), abs=1e-6)
    wanted = statistics.stdev(known) / math.sqrt(len(known)) if len(known) > 1 else 0
    assert error[0] == pytest.approx(wanted, abs=1e-6)


@given(st.lists(st.booleans(), min_size=1))
def test_shaded_steps_are_those_asleep(awake: list[bool]) -> None:
    spans = common.asleep_spans(np.array(awake))
    shaded = [any(a < step < a + length for a, length in spans) for step in range(len(awake))]
    assert shaded == [not phase for phase in awake]
    assert all(a % 1 == 0.5 or a == -0.5 for a, _ in spans)


def test_latents_at_the_shortest_and_longest_period(store: Callable[..., StoredRun]) -> None:
    def backwards(metrics: dict[str, Any]) -> None:
        metrics["conditions"][0]["switch_period"] = 99

    run = store("switch_period")
    figures = build(run)
    titles = [axes.get_title() for axes in figures["latents"].axes]
    assert [title.split(":")[0] for title in titles] == ["switch period 1", "switch period 31"]
    longest = figures["latents"].axes[1]
    stored = run.arrays()["2.alternating"][:, 0]
    shown = next(line for line in longest.lines if line.get_label() == "alternating")
    assert np.array_equal(shown.get_ydata(), stored[: len(shown.get_ydata())])
    labels = [t.get_text() for t in figures["loss"].axes[0].get_legend().get_texts()]
    assert labels == ["switch period 1", "switch period 31"]
    figures = build(store("switch_period", change=backwards))
    labels = [t.get_text() for t in figures["loss"].axes[0].get_legend().get_texts()]
    assert labels == ["switch period 4", "switch period 99"]


def test_divergence_is_counted_at_the_edge(store: Callable[..., StoredRun]) -> None:
    def diverge(metrics: dict[str, Any]) -> None:
        impression, reinforce = metrics["conditions"][0], metrics["conditions"][3]
        assert (impression["algorithm"], reinforce["algorithm"]) == ("impression", "reinforce")
        for condition in metrics["conditions"]:
            condition["losses"] = [[900.0, 800.0, 700.0 + seed] for seed in SEEDS]
        impression["losses"][0][-1] = None
        impression["losses"][2][-1] = 1e30
        for row in reinforce["losses"]:
            row[-1] = None

    run = store("lr_optim", change=diverge)
    axes = build(run)["learning-rates"].axes[0]
    assert [t.get_text() for t in axes.texts] == ["2/3", "3/3"]
    marks = [line for line in axes.lines if line.get_marker() == "x"]
    assert [float(line.get_xdata()[0]) for line in marks] == [1e-3, 1e-3]
    # What remains is the one seed that did not diverge, and lies below the marks.
    line = next(c[0] for c in axes.containers if c.get_label() == "impression learning")
    kept = run.metrics["conditions"][0]["losses"][1][-1]
    assert line.get_ydata()[0] == pytest.approx(kept)
    to_axes = axes.transScale + axes.transLimits
    heights = to_axes.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))[:, 1]
    assert heights.min() > 0
    assert heights.max() < min(t.get_position()[1] for t in axes.texts) - 0.03


def test_frequencies_are_in_hertz(store: Callable[..., StoredRun]) -> None:
    figures = build(store("Vocal_Digits"))
    spectrogram, matrix = figures["spectrogram"].axes[0], figures["correlations"].axes[0]
    for axis in (spectrogram.yaxis, matrix.xaxis, matrix.yaxis):
        labels = [int(label.get_text()) for label in axis.get_ticklabels()]
        assert len(labels) >= 4
        bands = np.arange(BANDS)
        there = np.interp(axis.get_ticklocs(), bands, band_frequencies())
        assert there == pytest.approx(labels, rel=1e-6)


def test_levels_are_in_decibels(store: Callable[..., StoredRun]) -> None:
    run = store("Vocal_Digits")
    panels = build(run)["spectrogram"].axes
    for axes, name in zip(panels, ("stimulus", "reconstruction"), strict=False):
        shown = np.asarray(axes.images[0].get_array())
        stored = run.arrays()[f"0.{name}"][: shown.shape[1]] * 22.0 - 80.0
        assert np.allclose(shown, stored.T, atol=1e-3)
        assert axes.images[0].get_clim() == (-80.0, 0.0)


def test_loss_axis_is_logarithmic_where_the_range_asks_for_it() -> None:
    scales = []
    for low in (50.0, 150.0):
        _, axes = plt.subplots()
        axes.plot([1000.0, low])
        common.loss_axis(axes, np.array([[1000.0, low]]))
        scales.append(axes.get_yscale())
    assert scales == ["log", "linear"]


def test_metrics_stay_as_they_are(store: Callable[..., StoredRun]) -> None:
    run = store("dimensionality")
    build(run)
    assert run.metrics == read_json(run.directory / "metrics.json")
