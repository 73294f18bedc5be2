"""Maps: how far claims hold over the values of parameters, in figures and words."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from toy_model.experiments.walk import Walk

from sharpwave_shared.maps import shares, show_shares, sweep_figures
from sharpwave_shared.plotting import style
from sharpwave_shared.results import Run
from sharpwave_shared.run_directory import Record
from sharpwave_shared.statistics import wilson

SWEEPS = {
    "line": {"VAR": [0.5, 1.0, 2.0]},
    "texts": {"drift": [None, 0.5], "scales": [[1.0, 2.0], [float(n) for n in range(1, 40)]]},
    "grid": {"VAR": [0.5, 1.0, 2.0], "drift": [-0.5, 0.5]},
    "cube": {"VAR": [0.5, 1.0], "drift": [-0.5, 0.5], "kind": ["plain", "biased"]},
}


def swept(sweep: dict, *, quick: bool = False) -> Run:
    """Make a sweep whose claim `far` holds for as many seeds as its place in the grid."""
    record = Record(
        package="toy-model",
        version="0.1",
        experiment="walk",
        parameters={},
        sweep=sweep,
        seeds=list(range(20)),
        identity={},
        quick=quick,
    )
    shape = tuple(map(len, sweep.values()))
    holding = np.arange(float(np.prod(shape))).reshape(shape)
    measured = np.full(shape, 20.0)
    measured.flat[0] = 0  # no seed speaks to it there
    labels = {
        name: [str(v)[:60] if not isinstance(v, float) else v for v in values]
        for name, values in sweep.items()
    }
    values = np.random.default_rng(0).normal(size=(*shape, 20))
    data = xr.Dataset(
        {
            "distance": ((*sweep, "seed"), values, {"long_name": "distance", "units": "m"}),
            "elsewhere": ("seed", values.reshape(-1, 20)[0]),
            "claim_holding": (("claim", *sweep), holding[None]),
            "claim_measured": (("claim", *sweep), measured[None]),
        },
        {**labels, "claim": ["far"]},
    )
    return Run.computed(Walk(), record, data)


@pytest.fixture(autouse=True)
def _closed():
    with style():
        yield
    plt.close("all")


@pytest.mark.parametrize("kind", SWEEPS)
def test_figures_are_there_and_nothing_is_cut_off(kind):
    figures = sweep_figures(swept(SWEEPS[kind]))
    assert set(figures) == {"measures", "map-far"}
    for name, figure in figures.items():
        figure.canvas.draw()
        box = figure.bbox
        for text in [figure._suptitle, figure._supxlabel]:
            if text is not None and text.get_text():
                extent = text.get_window_extent()
                assert extent.x0 >= box.x0 - 1, name
                assert extent.x1 <= box.x1 + 1, name
                assert extent.y1 <= box.y1 + 1, name
        for axes in figure.axes:
            assert axes.get_position().width > 0.1 or axes.get_label() == "<colorbar>", name


def test_measures_are_means_with_spreads():
    run = swept(SWEEPS["line"])
    (axes,) = sweep_figures(run)["measures"].axes
    assert axes.get_title() == "distance (m)"
    assert axes.get_xlabel() == "VAR"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1", "2"]
    (bars,) = axes.containers
    line, _, (spread,) = bars
    np.testing.assert_allclose(line.get_ydata(), run.data["distance"].mean("seed"))
    lengths = [segment[1, 1] - segment[0, 1] for segment in spread.get_segments()]
    np.testing.assert_allclose(lengths, 2 * run.data["distance"].std("seed", ddof=1))


def test_measures_have_a_panel_for_each_of_their_conditions():
    run = swept(SWEEPS["grid"])
    shape = (3, 2, 20, 2, 1)
    values = np.broadcast_to(np.array([1.0, 5.0])[:, None], shape)
    dims = ("VAR", "drift", "seed", "data_set", "night")
    run.data["error"] = (dims, values, {"long_name": "error", "units": "m"})
    run.data["many"] = ((*dims[:3], "load"), np.zeros((3, 2, 20, 30)))
    run.data.coords["data_set"] = ["old", "new"]
    figures = sweep_figures(run)
    assert set(figures) == {"measures", "measures-error", "measures-many", "map-far"}
    panels = figures["measures-error"].axes
    assert [panel.get_title() for panel in panels] == ["data_set = old", "data_set = new"]
    assert panels[0].get_ylabel() == "error (m)"
    for panel, value in zip(panels, (1, 5), strict=True):
        drawn = [container[0].get_ydata() for container in panel.containers]
        np.testing.assert_array_equal(drawn, np.full((2, 3), value))
    assert len(figures["measures-many"].axes) == 12
    assert "18 more conditions are in" in figures["measures-many"]._supxlabel.get_text()


def test_of_many_measures_the_first_are_drawn():
    run = swept(SWEEPS["line"])
    for n in range(20):
        run.data[f"m{n}"] = run.data["distance"]
    figure = sweep_figures(run)["measures"]
    assert len(figure.axes) == 12
    assert "9 more measures are in metrics.csv" in figure._supxlabel.get_text()


def test_a_line_of_shares_has_intervals_and_marks_the_default():
    (axes,) = sweep_figures(swept(SWEEPS["line"]))["map-far"].axes
    assert [text.get_text() for text in axes.texts] == ["not\nmeasured"]
    found = [bars[0] for bars in axes.containers]
    assert [line.get_marker() for line in found] == ["*", "o"]
    for number, bars in enumerate(axes.containers, 1):
        share, low, high = wilson(number, 20)
        assert bars[0].get_ydata() == pytest.approx([share])
        (segment,) = bars[2][0].get_segments()
        np.testing.assert_allclose(segment[:, 1], [low, high])


def test_a_grid_of_shares():
    axes, _ = sweep_figures(swept(SWEEPS["grid"]))["map-far"].axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["–", "2/20", "4/20", "1/20", "3/20", "5/20"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("VAR", "drift")


def test_further_parameters_are_summed_over():
    figure = sweep_figures(swept(SWEEPS["cube"]))["map-far"]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["1/20", "9/40", "5/40", "13/40"]
    assert "Summed over kind." in " ".join(figure._supxlabel.get_text().split())


def test_what_was_scaled_down_is_told():
    figure = sweep_figures(swept(SWEEPS["grid"], quick=True))["map-far"]
    assert "scaled down" in " ".join(figure._supxlabel.get_text().split())


def test_shares_in_words_and_values():
    run = swept(SWEEPS["grid"])
    stream = io.StringIO()
    show_shares(run, Console(file=stream, soft_wrap=True))
    lines = stream.getvalue().splitlines()
    assert "  1 of 20 seeds at VAR = 0.5, drift = 0.5" in lines
    assert "  5 of 20 seeds at VAR = 2, drift = 0.5" in lines
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if "seeds at" in line]) == 5
    first = {
        "name": "far",
        "at": {"VAR": 0.5, "drift": 0.5},
        "seeds_holding": 1,
        "seeds_measured": 20,
    }
    assert shares(run)[0] == first


def test_a_sweep_without_claims():
    run = swept(SWEEPS["line"])
    run.__dict__["data"] = run.data.drop_vars(["claim_holding", "claim_measured", "claim"])
    stream = io.StringIO()
    show_shares(run, Console(file=stream))
    assert stream.getvalue() == "no claim speaks about these runs\n"
    assert shares(run) == []
    assert set(sweep_figures(run)) == {"measures"}
