"""Figures: what they show is what the results say, and every axis is labelled."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.quiver import Quiver
from PIL import Image

from rnn_reactivation.analysis import LAG
from rnn_reactivation.experiments.analyze import CONDITIONS, KINDS, Analyze
from rnn_reactivation.figures.analyze import draw
from rnn_reactivation.figures.common import COLOURS, pretty
from rnn_reactivation.figures.direction import CYCLIC
from rnn_reactivation.figures.noise import noise_figures
from rnn_reactivation.figures.replay import draw_replay
from sharpwave_shared.plotting import style

pytestmark = pytest.mark.filterwarnings("error")

NAVIGATION, DIRECTION = "spatial_navigation", "head_direction"
NAMES = ("noisy_biased", "no-noise_unbiased")
STEPS, TRAJECTORIES = 6, 4
TRIAL = 3
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
    NAVIGATION: {"kl", "variance", "distance", "distance_time", "dimensionality"},
    DIRECTION: {"kl", "variance", "distance", "distance_time", "dimensionality", "hollowness"},
}
CONDITIONS_SHOWN = {"awake", "asleep", "asleep, noise added"}
Analysis = tuple[Analyze, xr.Dataset]


def conditions_of(name: str) -> list[str]:
    return ["active", "quiescent"] + (["noise_added"] if "no-noise" in name else [])


class Maker:
    """Makes up results, other ones for every network, condition and seed."""

    def __init__(self, task: str, names: Sequence[str], seeds: Sequence[int]):
        self.task, self.names, self.seeds = task, list(names), list(seeds)
        self.rng = np.random.default_rng(1)
        self.held = [[c in conditions_of(name) for c in CONDITIONS] for name in names]
        self.found: dict[str, Any] = {}

    def add(self, name: str, values: Any, *dims: str, awake: bool = True) -> None:
        """Add values by seed, network and condition, where networks have the condition."""
        held = np.array(self.held)
        held[:, 0] &= awake
        values = np.where(held.reshape(1, *held.shape, *[1] * len(dims)), values, np.nan)
        self.found[name] = ("seed", "configuration", "condition", *dims), values

    def shape(self, *more: int) -> tuple[int, ...]:
        return (len(self.seeds), len(self.names), len(CONDITIONS), *more)

    def numbers(self, kinds: Sequence[str]) -> None:
        rng, networks = self.rng, len(self.names)
        if "kl" in kinds:
            table = np.exp(rng.uniform(-6, 4, self.shape(networks)))
            self.add("kl", table, "awake", awake=False)
            dims = ("seed", "asleep", "condition", "configuration")
            self.found["kl"] = dims, self.found["kl"][1]
            for name in ("kl_random", "kl_uniform"):
                values = np.exp(rng.uniform(-6, 4, (len(self.seeds), networks)))
                self.found[name] = ("seed", "configuration"), values
        if "variance" in kinds:
            self.add("variance", rng.uniform(0.1, 1, self.shape()), awake=False)
        if "distance" in kinds:
            more = ["coverage", "angular_velocity"] * (self.task == DIRECTION)
            for name in ["distance", "distance_late", *more]:
                self.add(name, rng.uniform(0.1, 1, self.shape()))
            self.add("distance_course", rng.uniform(0.1, 1, self.shape(2 * STEPS)), "elapsed")
        if "dimensionality" in kinds:
            shares = np.sort(rng.random(self.shape(5)), -1)
            self.add("explained_variance", shares, "component")
            if self.task == DIRECTION:
                self.add("hollowness", rng.uniform(0.1, 1, self.shape()))

    def pictures(self) -> None:
        rng, navigation = self.rng, self.task == NAVIGATION
        most, dims = (1.1, 2) if navigation else (np.pi, 1)
        courses = rng.uniform(-most, most, self.shape(2 * STEPS, TRAJECTORIES, dims))
        courses[:, :, 0, STEPS:] = np.nan  # shorter awake
        self.add("trajectories", courses, "step", "trajectory", "axis")
        self.add("projection", rng.normal(size=self.shape(50, 2)), "moment", "component_axis")
        self.add("projected", rng.uniform(-most, most, self.shape(50, dims)), "moment", "axis")
        self.add("activity_density", 3 * rng.random(self.shape(6, 6)), "grid_1", "grid_2")
        limits = np.broadcast_to([[-2.0, -1.0], [1.0, 2.0]], self.shape(2, 2))
        self.add("activity_limits", limits, "limit", "component_axis")
        if not navigation:
            self.add("density", rng.random(self.shape(13)), "angle")
            self.add("bearings", rng.dirichlet(np.ones(20), self.shape()), "part")
            self.add("turns", rng.dirichlet(np.ones(81), self.shape()), "turn")
            return
        self.add("density", rng.random(self.shape(8, 8)), "x", "y")
        axis = np.array([-0.55, 0.55])
        places = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(4, 2)
        self.add("places", np.broadcast_to(places, self.shape(4, 2)), "place", "axis", awake=False)
        for name in ("drift", "predicted_drift"):
            self.add(name, rng.normal(size=self.shape(4, 2)), "place", "axis", awake=False)

    def dataset(self) -> xr.Dataset:
        noise = [
            [0.1 if c in conditions_of(n)[1:] else np.nan for c in CONDITIONS] for n in self.names
        ]
        side = [2.2, 2.2] if self.task == NAVIGATION else [2 * np.pi]
        return xr.Dataset(
            self.found,
            {
                "seed": self.seeds,
                "configuration": self.names,
                "asleep": self.names,
                "condition": list(CONDITIONS),
                **({"elapsed": range(1, 2 * STEPS + 1)} if "distance_course" in self.found else {}),
                "dt": ("configuration", [DT] * len(self.names)),
                "trial_steps": ("configuration", [TRIAL] * len(self.names)),
                "extent": (("configuration", "axis"), [side] * len(self.names)),
                "noise_variance": (("configuration", "condition"), noise),
            },
        ).copy(deep=True)


def make(
    task: str,
    names: Sequence[str] = NAMES,
    kinds: Sequence[str] = KINDS,
    seeds: Sequence[int] = (3, 5),
    pictures: Sequence[str] | None = None,
) -> Analysis:
    """Make up the results of an analysis; with all pictures, or only some."""
    maker = Maker(task, names, seeds)
    maker.numbers(kinds)
    numbers = set(maker.found)
    if set(kinds) - {"variance"} or pictures:
        maker.pictures()
    data = maker.dataset()
    if pictures is not None:
        data = data.drop_vars([n for n in data.data_vars if n not in numbers | set(pictures)])
    sizes: Any = {"trajectories": 20, "variance_trajectories": 50, "variance_steps": 400}
    held = [c for c in CONDITIONS if any(c in conditions_of(name) for name in names)]
    configured = {"task": task, "configurations": tuple(names), "variance_dropped": 200}
    experiment = Analyze(**sizes, **configured, kinds=tuple(kinds) or KINDS)  # type: ignore[arg-type]
    return experiment, data.sel(condition=held)


def of(data: xr.Dataset, quantity: str, name: str, condition: str) -> np.ndarray:
    """What is stored of the first seed."""
    return data[quantity].sel(configuration=name, condition=condition).values[0]


def put(data: xr.Dataset, quantity: str, name: str, condition: str, values: Any) -> None:
    where = {"seed": data["seed"][0], "configuration": name, "condition": condition}
    data[quantity].loc[where] = values


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


def build(run: Analysis) -> dict[str, Figure]:
    with style():
        return draw(*run)


def words(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(plt.Text)).replace(
        "\N{NO-BREAK SPACE}", " "
    )


def panels(figure: Figure) -> dict[tuple[int, int], Axes]:
    """Sort panels by row and column."""
    found = {}
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None and axes.get_label() not in ("<colorbar>", "<empty>"):
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


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_figures_say_what_they_show(task: str) -> None:
    figures = build(make(task))
    assert set(figures) == PICTURES[task] | NUMBERS[task]
    check_labels(figures)
    for name, figure in figures.items():
        text = words(figure).replace("\n", " ")
        seeds = "seeds 3 and 5" if name in NUMBERS[task] else "seed 3"
        assert seeds in text.lower(), name
        assert "noisy" in text, name
        assert "no noise" in text, name
        assert "_" not in text, name
        if name == "variance":
            assert "50 trajectories of 400 steps, without the first 200" in text
        elif name not in ("trajectories", "courses"):
            awake = "20 trajectories as in training" if name == "dimensionality" else "20 traj"
            assert awake in text, name
            asleep = "1,000 of 200 steps" if name == "dimensionality" else "asleep of 1,000"
            assert asleep in text, name
    assert "2,500 samples" in words(figures["kl"]).replace("\n", " ")


@pytest.mark.parametrize(
    ("task", "kind"), [*((NAVIGATION, kind) for kind in KINDS), (DIRECTION, "dimensionality")]
)
def test_single_kinds(task: str, kind: str, tmp_path: Path) -> None:
    run = make(task, kinds=[kind], pictures=[] if kind == "variance" else ["density"])
    own = {kind} | ({"distance_time"} if kind == "distance" else set())
    own |= {"hollowness"} if (task, kind) == (DIRECTION, "dimensionality") else set()
    assert set(build(run)) == own | (set() if kind == "variance" else {"densities"})
    draw_replay(*run, tmp_path / "replay.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_networks_at_rest(task: str) -> None:
    experiment, data = make(task, ["no-noise_biased"], ["variance"], [3], list(ALL_PICTURES))
    data["variance"].loc[{"condition": "quiescent"}] = 0.0
    data["variance"].loc[{"condition": "noise_added"}] = np.nan
    for condition in ("quiescent", "noise_added"):
        still = {"condition": condition}
        data["trajectories"].loc[still] = data["trajectories"].loc[still].isel(step=0)
        data["projection"].loc[still] = 0.3
        data["projected"].loc[still] = 0.2
        data["density"].loc[still] = np.nan
        data["activity_density"].loc[still] = 0.0
        if task == NAVIGATION:
            data["drift"].loc[still] = 0
        else:
            data["turns"].loc[still] = np.arange(81) == 40
            data["bearings"].loc[still] = np.arange(20) == 11
    figures = build((experiment, data))
    assert set(figures) == PICTURES[task] | {"variance"}
    check_labels(figures)
    for name in ("densities", "activity_densities"):  # scales depend on the values
        figures[name].draw_without_rendering()
    assert {"0", "–"} <= {t.get_text() for t in figures["variance"].findobj(plt.Text)}
    if task == NAVIGATION:
        assert words(figures["drift"]).count("at rest") == 2
        assert words(figures["drift"]).count("cosine undefined") == 2


def test_divergences_are_means_over_seeds() -> None:
    experiment, data = make(NAVIGATION, kinds=["kl"], pictures=[])
    own = {"asleep": "noisy_biased", "condition": "quiescent"}
    data["kl"].loc[own] = [[0.2, 100], [0.3, 153]]
    data["kl_uniform"][:] = [[np.inf, np.inf], [2.96, np.nan]]
    data["kl_random"][:] = [[-0.0004, 9.0], [-0.0005, 31.0]]
    figure = build((experiment, data))["kl"]
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


def test_divergences_that_are_all_unknown() -> None:
    experiment, data = make(NAVIGATION, ["noisy_biased"], ["kl"], [3], [])
    figure = build((experiment, data * np.nan))["kl"]
    figure.draw_without_rendering()
    assert [t.get_text() for t in panels(figure)[0, 0].texts] == ["–"] * 3


def test_bars_are_means_with_a_point_for_each_seed() -> None:
    experiment, data = make(DIRECTION, NAMES, ["distance"], [3, 5, 8], [])
    awake = {"configuration": "noisy_biased", "condition": "active"}
    data["angular_velocity"].loc[awake] = [-1.0, np.nan, -4.0]
    figure = build((experiment, data))["distance"]
    for k, key in enumerate(("distance", "distance_late", "angular_velocity", "coverage")):
        axes = panels(figure)[0, k]
        stored = [
            (c, data[key].sel(configuration=name, condition=c).values)
            for name in NAMES
            for c in conditions_of(name)
        ]
        bars = bars_of(axes)
        assert len(bars) == len(stored) == 5
        for bar, (condition, values) in zip(bars, stored, strict=True):
            known = values[np.isfinite(values)]
            assert bar.get_width() == pytest.approx(known.mean())
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


def test_steps_in_time_are_means_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnn_reactivation.figures.comparison.BLOCK", 3)
    experiment, data = make(NAVIGATION, kinds=["distance"], pictures=[])
    data = data.isel(elapsed=np.arange(32) % data.sizes["elapsed"]).assign_coords(
        elapsed=range(1, 33)
    )
    figure = build((experiment, data))["distance_time"]
    for k, name in enumerate(NAMES):
        axes = panels(figure)[0, k]
        *curves, trial = axes.lines
        assert trial.get_xdata() == pytest.approx([TRIAL * DT] * 2)
        means = [line for line in curves if line.get_label() in CONDITIONS_SHOWN]
        assert len(curves) == 3 * len(means) == 3 * len(conditions_of(name))
        for line, condition in zip(means, conditions_of(name), strict=True):
            course = data["distance_course"].sel(configuration=name, condition=condition)
            blocks = course.transpose("seed", "elapsed").values[:, :30].reshape(2, 10, 3)
            assert np.allclose(line.get_ydata(), blocks.mean((0, 2)))
            assert np.allclose(line.get_xdata(), DT * (2 + 3 * np.arange(10)))


def test_either_noise_in_what_the_paper_shows() -> None:
    names = ["noisy_unbiased", "uniform-noise_unbiased", "uniform-noise_biased"]
    experiment, data = make(NAVIGATION, names, pictures=[])
    with style():
        figure = noise_figures(experiment, data)["noise"]
        assert not noise_figures(*make(NAVIGATION, names[1:], pictures=[]))
    assert "uniform, released" in words(figure)
    found = [[bar.get_height() for bar in bars_of(axes)] for axes in figure.axes]
    wanted = []
    for name in names[:2]:
        own = data.sel(configuration=name)
        asleep, awake = own.sel(condition="quiescent"), own.sel(condition="active")
        shares = [values["explained_variance"].isel(component=-1) for values in (asleep, awake)]
        each = [
            shares[0] - shares[1],
            asleep["kl"].sel(asleep=name),
            asleep["variance"],
            asleep["distance"] / awake["distance"],
        ]
        wanted.append([float(values.mean()) for values in each])
    assert np.allclose(np.transpose(found), wanted)


def test_single_seed_has_no_points() -> None:
    figures = build(make(NAVIGATION, seeds=[3], pictures=[]))
    for name, unit in (("variance", "m²"), ("distance", "(m)")):
        for axes in panels(figures[name]).values():
            assert not axes.collections
            assert unit in axes.get_xlabel()


def test_explained_variance() -> None:
    experiment, data = make(NAVIGATION, kinds=["dimensionality"], pictures=[])
    put(data, "explained_variance", "noisy_biased", "quiescent", [0.1, 0.2, 0.3, 0.4, np.nan])
    figure = build((experiment, data))["dimensionality"]
    for k, name in enumerate(NAMES):
        axes, held = panels(figure)[0, k], conditions_of(name)
        thick = [line for line in axes.lines if line.get_marker() == "o"]
        assert len(axes.lines) == 3 * len(held)
        for line, condition in zip(thick, held, strict=True):
            both = data["explained_variance"].sel(configuration=name, condition=condition)
            assert np.array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
            assert np.allclose(line.get_ydata(), np.nanmean(both, 0))
            assert line.get_color() == COLOURS[condition]


def test_trajectories_begin_and_end_where_marked() -> None:
    experiment, data = make(NAVIGATION, kinds=[], pictures=["trajectories"])
    data["extent"][:] = [3.0, 2.2]
    figure = build((experiment, data))["trajectories"]
    assert set(panels(figure)) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)}
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            axes = panels(figure)[row, column]
            stored = of(data, "trajectories", name, condition)
            if condition == "active":  # trials of three steps each
                stored = stored[:STEPS].reshape(2, TRIAL, TRAJECTORIES, 2)
                stored = stored.transpose(2, 0, 1, 3).reshape(2 * TRAJECTORIES, TRIAL, 2)
            else:
                stored = stored.transpose(1, 0, 2)
            paths = [line.get_xydata() for line in axes.lines if line.get_marker() == "None"]
            assert np.array_equal(np.stack(paths), stored)
            for marker, place in (("o", 0), ("s", -1)):
                marks = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == marker]
                assert np.array_equal(marks, stored[:, place])
            assert axes.get_xlim() == (-1.5, 1.5)
            assert axes.get_ylim() == (-1.1, 1.1)
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "in trials of 0.06 s that begin anew, 0.12 s together; asleep 0.24 s" in caption


def test_columns_are_named_on_top() -> None:
    shown = ["density", "places", "drift", "predicted_drift"]
    figures = build(make(NAVIGATION, kinds=[], pictures=shown))
    assert set(figures) == {"densities", "drift"}
    for name in figures:
        figures[name].draw_without_rendering()
        titles = [axes.title for axes in figures[name].axes if "noise added" in axes.get_title()]
        assert len(titles) == (2 if name == "drift" else 1)
        tops = [axes.get_window_extent().y1 for axes in figures[name].axes]
        assert all(title.get_window_extent().y0 >= max(tops) - 1 for title in titles), name


ALL_PICTURES = (
    "trajectories",
    "projection",
    "projected",
    "activity_density",
    "activity_limits",
    "density",
    "bearings",
    "turns",
    "places",
    "drift",
    "predicted_drift",
)


def test_densities_lie_where_they_were_estimated() -> None:
    experiment, data = make(NAVIGATION, kinds=[], pictures=["density"])
    x, y = np.linspace(-1.1, 1.1, 8), np.linspace(-1.1, 1.1, 8)
    data["density"].loc[{"configuration": "noisy_biased", "condition": "quiescent"}][0, 6, 1] = 9.0
    figure = build((experiment, data))["densities"]
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
    highest = max(of(data, "density", NAMES[1], c).max() for c in conditions_of(NAMES[1]))
    assert limits[2][1] == pytest.approx(highest)


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_activity_is_coloured_by_what_is_decoded(task: str) -> None:
    experiment, data = make(task, kinds=[], pictures=["projection", "projected"])
    awake = of(data, "projection", "noisy_biased", "active")
    for name in NAMES:
        for condition in conditions_of(name):
            put(data, "projection", name, condition, awake[::-1])
    put(data, "projection", "noisy_biased", "quiescent", 10 * awake)
    figure = build((experiment, data))["activity"]
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            axes = panels(figure)[row, column]
            (scatter,) = (c for c in axes.collections if isinstance(c, PathCollection))
            points = of(data, "projection", name, condition)
            assert np.array_equal(np.asarray(scatter.get_offsets()), points)
            decoded = of(data, "projected", name, condition)
            expected = np.linalg.norm(decoded, axis=1) if task == NAVIGATION else decoded[:, 0]
            assert np.allclose(np.asarray(scatter.get_array()), expected)
            framed = (name, condition) == ("noisy_biased", "quiescent")
            assert bool(axes.patches) == framed
    (frame,) = panels(figure)[0, 1].patches
    panel = panels(figure)[0, 0]
    assert frame.get_x() == pytest.approx(panel.get_xlim()[0])
    assert frame.get_height() == pytest.approx(np.ptp(panel.get_ylim()))


def test_a_colour_bar_is_as_long_as_its_label() -> None:
    run = make(NAVIGATION, ["mine"], [], [3], ["projection", "projected"])
    figure = build(run)["activity"]
    figure.draw_without_rendering()
    (bar,) = (axes for axes in figure.axes if axes.get_label() == "<colorbar>")
    label, panel = bar.yaxis.label.get_window_extent(), bar.get_window_extent()
    assert label.height <= 1.02 * panel.height


def test_colours_of_bearings_are_cyclic_and_visible() -> None:
    colours = CYCLIC(np.linspace(0, 1, 64))[:, :3]
    assert np.allclose(colours[0], colours[-1], atol=0.03)
    assert np.abs(colours[16] - colours[48]).max() > 0.2
    assert min(contrast(colour, (1, 1, 1)) for colour in colours) > 1.7


def test_cosine_of_drift_and_prediction() -> None:
    experiment, data = make(NAVIGATION, kinds=[], pictures=["places", "drift", "predicted_drift"])
    turn = np.deg2rad(60)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    predicted = of(data, "predicted_drift", "noisy_biased", "quiescent")
    drift = 3 * predicted @ rotation
    drift[2] = np.nan
    put(data, "drift", "noisy_biased", "quiescent", drift)
    opposite = -of(data, "drift", "no-noise_unbiased", "quiescent")
    opposite[0, 1] = np.nan
    put(data, "predicted_drift", "no-noise_unbiased", "quiescent", opposite)
    unseen = of(data, "drift", "no-noise_unbiased", "noise_added")
    unseen[1:] = np.nan
    unpredicted = of(data, "predicted_drift", "no-noise_unbiased", "noise_added")
    unpredicted[:1] = np.nan
    put(data, "drift", "no-noise_unbiased", "noise_added", unseen)
    put(data, "predicted_drift", "no-noise_unbiased", "noise_added", unpredicted)
    figure = build((experiment, data))["drift"]
    found = panels(figure)
    assert set(found) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (1, 3)}
    said = {place: " ".join(t.get_text() for t in axes.texts) for place, axes in found.items()}
    assert said[0, 1] == "cosine 0.50"
    assert said[1, 1] == "cosine −1.00"
    assert "cosine undefined" in said[1, 3]
    assert said[1, 2] == "too few outputs"
    places = of(data, "places", "noisy_biased", "quiescent")
    for column, field in ((0, drift), (1, predicted)):
        (arrows,) = (c for c in found[0, column].collections if isinstance(c, Quiver))
        seen = [0, 1, 3]
        sizes = np.linalg.norm(field[seen], axis=1)
        # All are of one length; colours, alike in all panels, tell how large they are.
        assert np.allclose(np.hypot(arrows.U, arrows.V), 1)
        assert np.allclose(np.stack([arrows.U, arrows.V], 1) * sizes[:, None], field[seen])
        assert np.allclose(np.asarray(arrows.get_array()), sizes)
        assert np.array_equal(np.asarray(arrows.XY), places[seen])
    scales = {
        (c.norm.vmin, c.norm.vmax)
        for axes in found.values()
        for c in axes.collections
        if isinstance(c, Quiver)
    }
    assert len(scales) == 1
    caption = figure.get_supxlabel().replace("\n", " ")
    assert f"in {LAG} steps ({LAG * DT:g} s)" in caption


@pytest.mark.parametrize("task", [NAVIGATION, DIRECTION])
def test_densities_of_activity_can_be_compared(task: str) -> None:
    quantities = ["activity_density", "activity_limits"]
    experiment, data = make(task, kinds=[], pictures=quantities)
    collapsed = [[-0.1, 0.1], [0.1, 0.3]]
    put(data, "activity_limits", "noisy_biased", "quiescent", collapsed)
    put(data, "activity_limits", "no-noise_unbiased", "quiescent", [[-8, -4], [4, 8]])
    figure = build((experiment, data))["activity_densities"]
    scales = {}
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            axes = panels(figure)[row, column]
            (image,) = axes.images
            assert np.allclose(image.get_array(), of(data, "activity_density", name, condition).T)
            (left, bottom), (right, top) = of(data, "activity_limits", name, condition)
            assert image.get_extent() == pytest.approx([left, right, bottom, top])
            scales.setdefault(row, set()).add((image.norm.vmin, image.norm.vmax))
            # Every panel holds the limits of the awake one, and frames them if it is wider.
            assert axes.get_xlim()[0] <= -2
            assert axes.get_xlim()[1] >= 1
            wider = (name, condition) == ("no-noise_unbiased", "quiescent")
            assert bool(axes.patches) == wider
    assert all(len(scale) == 1 for scale in scales.values())
    assert sum(axes.get_label() == "<colorbar>" for axes in figure.axes) == 2


def test_no_line_runs_across_the_wrap_or_from_trial_to_trial() -> None:
    experiment, data = make(DIRECTION, kinds=[], pictures=["trajectories"])
    turning = (np.arange(2 * STEPS) * 1.3)[:, None, None] + np.array([0.0, 2, 4, 5])[:, None]
    turning = (turning + np.pi) % (2 * np.pi) - np.pi
    turning[STEPS:] = np.nan
    put(data, "trajectories", "noisy_biased", "active", turning)
    figure = build((experiment, data))["courses"]
    for row, name in enumerate(NAMES):
        for column, condition in enumerate(conditions_of(name)):
            stored = of(data, "trajectories", name, condition)[..., 0]
            stored = stored[np.isfinite(stored).all(1)]
            lines = panels(figure)[row, column].lines
            assert len(lines) == 3
            for k, line in enumerate(lines):
                times, bearings = line.get_xydata().T
                known = np.isfinite(bearings)
                assert np.allclose(bearings[known], stored[:, k])
                assert np.allclose(times[known], DT * np.arange(len(stored)))
                assert not (np.abs(np.diff(bearings)) > np.pi).any()
                joined = np.isfinite(np.diff(bearings)).sum()
                wraps = (np.abs(np.diff(stored[:, k])) > np.pi).sum()
                if condition == "active":  # two trials of three steps
                    assert joined <= 4
                else:
                    assert joined == len(stored) - 1 - wraps


def test_angular_velocities() -> None:
    experiment, data = make(DIRECTION, kinds=[], pictures=["turns"])
    data["dt"][:] = 0.05
    figure = build((experiment, data))["angular_velocity"]
    for k, name in enumerate(NAMES):
        steps = panels(figure)[0, k].patches
        for stairs, condition in zip(steps, conditions_of(name), strict=True):
            values, edges, _ = stairs.get_data()
            assert np.allclose(values, of(data, "turns", name, condition))
            assert edges[[0, -1]] == pytest.approx([-np.pi / 2 / 0.05, np.pi / 2 / 0.05])
            assert np.allclose(np.diff(edges), np.pi / 81 / 0.05)
            assert stairs.get_edgecolor() == colour_of(condition)


def test_polar_histograms() -> None:
    experiment, data = make(DIRECTION, kinds=[], pictures=["bearings"])
    figure = build((experiment, data))["bearings"]
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
            shares = of(data, "bearings", name, condition)
            # Radii are constant within a bin, so interpolation in it gives its share.
            assert np.allclose(np.interp(middles, angles, radii), 100 * shares, rtol=1e-4)


def test_densities_of_bearings() -> None:
    experiment, data = make(DIRECTION, kinds=[], pictures=["density"])
    figure = build((experiment, data))["densities"]
    for k, name in enumerate(NAMES):
        lines = panels(figure)[0, k].lines
        for line, condition in zip(lines, conditions_of(name), strict=False):
            assert np.array_equal(line.get_ydata(), of(data, "density", name, condition))
        assert np.allclose(lines[-1].get_ydata(), 1 / (2 * np.pi))


def test_many_networks_take_several_pages() -> None:
    names = [f"mine_{k}" for k in range(5)]
    figures = build(make(NAVIGATION, names, ["kl"], pictures=["trajectories"]))
    assert set(figures) == {"kl", "trajectories_1", "trajectories_2"}
    for k, name in enumerate(names):
        assert (name in words(figures["trajectories_1"])) == (k < 4)
        assert (name in words(figures["trajectories_2"])) == (k == 4)
    assert len(panels(figures["trajectories_1"])) == 8


def test_any_name_can_be_drawn() -> None:
    names = ["a$b$_{", "x" * 200]
    build(make(NAVIGATION, names, ["kl"], pictures=[]))["kl"].draw_without_rendering()


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


def test_replay_shows_where_outputs_are(tmp_path: Path) -> None:
    experiment, data = make(NAVIGATION, pictures=["trajectories"])
    course = np.linspace([-0.8, -0.4], [0.8, 0.4], 3)[:, None]
    data = data.isel(step=slice(3), trajectory=[0])
    put(data, "trajectories", "noisy_biased", "active", course)
    put(data, "trajectories", "noisy_biased", "quiescent", -course)
    draw_replay(experiment, data, tmp_path / "replay.gif")
    frames = film_of(tmp_path / "replay.gif")
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
def test_replay_moves_and_is_repeated(task: str, tmp_path: Path) -> None:
    experiment, data = make(task, pictures=["trajectories"])
    data, path = data.isel(step=slice(2)), tmp_path / "replay.gif"
    draw_replay(experiment, data, path)
    first, frames = path.read_bytes(), film_of(path)
    assert len(frames) == 2
    half = frames[0].shape[1] // 2
    for part in np.s_[:half, half:]:
        assert all((a != b)[:, part].any() for a, b in pairwise(frames))
    draw_replay(experiment, data, path)
    assert path.read_bytes() == first
    assert not plt.get_fignums()


def test_replay_of_a_network_at_rest(tmp_path: Path) -> None:
    experiment, data = make(NAVIGATION, NAMES[:1], pictures=["trajectories"])
    data = data.isel(step=slice(2))
    put(data, "trajectories", NAMES[0], "quiescent", data["trajectories"].values[0, 0, 1, :1])
    draw_replay(experiment, data, tmp_path / "replay.gif")
    first, last = film_of(tmp_path / "replay.gif")
    half = first.shape[1] // 2 + 10
    assert (first != last)[:, :half].any()
    assert np.allclose(first[:, half:], last[:, half:], atol=40)


def test_tails_end_where_trials_begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tails: list[int] = []
    monkeypatch.setattr("rnn_reactivation.figures.replay._move", lambda *a: tails.append(a[2]))
    experiment, data = make(NAVIGATION, NAMES[:1], pictures=["trajectories"])
    draw_replay(experiment, data.isel(trajectory=[0]), tmp_path / "replay.gif")
    awake, asleep = tails[::2], tails[1::2]
    assert awake == [0, 1, 2, 0, 1, 2]
    assert asleep == [0, 1, 2, 3, 4, 5]
