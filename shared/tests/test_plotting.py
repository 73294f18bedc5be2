"""Figures: whole and equal files, one look."""

import re
import statistics

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.plotting import (
    caption,
    legend,
    log_scale,
    name_seeds,
    panel_grid,
    plot_mean,
    plot_points,
    save_figures,
    seeds_in_words,
    style,
)

FORMATS = ("png", "pdf", "svg")
pytestmark = pytest.mark.renders


def figures(*names: str):
    with style():
        drawn = {}
        for name in names:
            figure, axes = plt.subplots()
            axes.plot([0, 1, 4, 9], label=name)
            axes.legend()
            caption(figure, f"Caption of {name}, in mV.")
            drawn[name] = figure
        return drawn


def test_equal_figures_are_equal_files(tmp_path, monkeypatch):
    for folder, date in (("first", "1000000000"), ("second", "1600000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", date)  # what matplotlib takes for now
        save_figures(
            figures("a"), tmp_path / folder, FORMATS, booklet=tmp_path / folder / "all.pdf"
        )
    (other,) = save_figures(figures("b"), tmp_path, ("png",))
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["a.pdf", "a.png", "a.svg", "all.pdf"]
    for name in names:
        first = (tmp_path / "first" / name).read_bytes()
        assert first == (tmp_path / "second" / name).read_bytes(), name
    assert (tmp_path / "first" / "a.png").read_bytes() != other.read_bytes()


def test_kinds_of_files(tmp_path):
    paths = save_figures(figures("a"), tmp_path / "figures", FORMATS)
    assert paths == [tmp_path / "figures" / f"a.{suffix}" for suffix in FORMATS]
    png, pdf, svg = (path.read_bytes() for path in paths)
    assert png.startswith(b"\x89PNG")
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"Caption of a, in mV." in svg, "text stays text"
    assert svg.rstrip().endswith(b"</svg>")


@pytest.mark.parametrize("count", [1, 3])
def test_booklet_has_a_page_for_each_figure(count, tmp_path):
    booklet = tmp_path / "all.pdf"
    paths = save_figures(figures(*"abc"[:count]), tmp_path, (), booklet=booklet)
    assert paths == [booklet]
    assert len(re.findall(rb"/Type /Page\b", booklet.read_bytes())) == count


def test_figures_are_closed(tmp_path):
    plt.close("all")
    save_figures(figures("a", "b"), tmp_path)
    assert plt.get_fignums() == []


def test_failure_leaves_the_old_figure_whole(tmp_path, monkeypatch):
    save_figures(figures("a"), tmp_path)
    before = (tmp_path / "a.png").read_bytes()
    (broken,) = figures("a").values()

    def savefig(path, **options):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(broken, "savefig", savefig)
    plt.close("all")
    with pytest.raises(OSError, match="no space"):
        save_figures({"a": broken}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_style_holds_within_the_block_only():
    assert mpl.get_backend().lower() == "agg"
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams != before
        colours = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    assert dict(mpl.rcParams) == before
    okabe_ito = {"0072B2", "D55E00", "009E73", "CC79A7", "E69F00", "56B4E9", "000000", "F0E442"}
    assert set(colours) <= okabe_ito | {f"#{colour}" for colour in okabe_ito}
    assert len(set(colours)) == len(colours)


def test_on_logarithmic_axes_the_spread_is_of_the_logarithm() -> None:
    _, axes = plt.subplots()
    plot_mean(axes, np.arange(2), np.array([[1.0, 2.0], [100.0, 8.0]]), "", "C0", log=True)
    assert axes.lines[0].get_ydata() == pytest.approx([10, 4])
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    factor = 10 ** statistics.stdev([0, 2])
    assert (heights.min(), heights.max()) == pytest.approx((10 / factor, 10 * factor))


def test_points_have_bars_where_there_are_several_seeds() -> None:
    _, axes = plt.subplots()
    plot_points(axes, np.arange(2), np.array([[1.0, 2.0], [3.0, 2.0]]), "two", "C0")
    plot_points(axes, np.arange(2), np.array([[5.0, 6.0]]), "one", "C1")
    two, one = axes.containers
    low, high = two.lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((2 - 2**0.5, 2 + 2**0.5))
    assert one.lines[2] == ()


def test_a_legend_names_what_all_panels_show_once():
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1], label="a")
    right.plot([1], label="b")
    right.plot([2], label="a")
    left.plot([3])
    legend(figure)
    legend(figure, {"other": left.lines[0]}, beside=True)
    above, beside = ([t.get_text() for t in found.get_texts()] for found in figure.legends)
    assert (above, beside) == (["a", "b"], ["other"])
    assert figure.legends[0].legend_handles[0].get_color() == left.lines[0].get_color()


@pytest.mark.parametrize(("values", "labels"), [([3, 40], ["5", "10", "20"]), ([1, 1e6], None)])
def test_logarithmic_axes_have_labels(values: list[float], labels: list[str] | None) -> None:
    figure, axes = plt.subplots()
    axes.plot(values)
    log_scale(axes)
    figure.canvas.draw()
    low, high = axes.get_ylim()
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    shown = [label.get_text() for at, label in ticks if low <= at <= high]
    assert len(shown) >= 3
    if labels is not None:
        assert set(labels) <= set(shown)
    _, empty = plt.subplots()
    log_scale(empty, "x")
    assert empty.get_xscale() == "linear"


def test_seeds_in_words() -> None:
    data = xr.Dataset(coords={"seed": [3, 4]})
    assert (
        seeds_in_words(data, " of the logarithm") == "mean and s.d. of the logarithm over 2 seeds"
    )
    assert seeds_in_words(data, band=False) == "mean over 2 seeds"
    assert seeds_in_words(data.isel(seed=[0])) == "seed 3"
    assert name_seeds([3]) == "seed 3"
    assert name_seeds([3, 4, 9]) == "seeds 3, 4 and 9"
    assert name_seeds(list(range(20))) == "20 seeds"


def test_a_grid_has_as_many_panels_as_there_are_things():
    figure, panels = panel_grid(4, 3, (2.0, 1.0), (0.5, 0.25), sharex=True)
    assert panels.shape == (2, 3)
    assert figure.axes == list(panels.flat[:4])
    assert tuple(figure.get_size_inches()) == (6.5, 2.25)
