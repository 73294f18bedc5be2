"""Finished runs: what is stored, judged and drawn, by every experiment."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from sharpwave_shared.experiment import Experiment
from sharpwave_shared.results import Run
from sleep_replay.cli import app

FIGURES = {
    "schedule": {"night", "dreams", "reconstructions", "histograms"},
    "sweep": {"heatmap", "courses"},
    "baselines": {"baselines"},
    "samples": {"samples"},
    "interleave": {"interleave"},
    "recall": {"recall-error", "recall-pictures-old", "recall-pictures-new"},
    "latent": {"latent-decoding", "latent-tsne", "latent-grid", "latent-interpolations"},
    "pretrain": {"pretraining"},
}
JUDGED = {"initial", "no-rem", "rem-alone", "both-kept", "lost-without-rem", "kept-by-rem-alone"}
CLAIMS = {"schedule": JUDGED, "samples": {"samples"}}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.usefixtures("_figures_closed")
def test_a_run_can_be_read_judged_and_drawn(
    name: str, finished: Callable[[type[Experiment]], Run]
) -> None:
    run = finished(app.experiments[name])
    assert run.directory is not None
    assert run.data["seed"].values.tolist() == [0, 1]
    for variable in run.data.data_vars.values():
        assert variable.attrs["long_name"]
    assert {verdict.claim.name for verdict in run.verify()} == CLAIMS.get(name, set())
    measures = run.measures()
    assert len(measures) > 0
    assert np.isfinite(measures["value"]).all()
    figures = run.draw()
    assert set(figures) == FIGURES[name]
    for figure in figures.values():
        figure.draw_without_rendering()
        _assert_texts_do_not_overlap(figure)


def _assert_texts_do_not_overlap(figure: Figure) -> None:
    """Titles, legends and the caption stand apart."""
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    caption = getattr(figure, "_supxlabel", None)
    if caption is not None:
        boxes.append(caption.get_window_extent())
    for index, box in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert not box.overlaps(other)


@pytest.mark.usefixtures("_figures_closed")
def test_the_best_constant_image_is_marked(finished: Callable[[type[Experiment]], Run]) -> None:
    run = finished(app.experiments["schedule"])
    axes = run.draw()["night"].axes[0]
    dotted = [line.get_ydata() for line in axes.lines if line.get_linestyle() == ":"]
    heights = [values[0] for values in dotted if len(values)]
    np.testing.assert_allclose(heights, run.data["constant_error"])
    assert "best constant image" in [text.get_text() for text in axes.figure.legends[0].texts]


@pytest.mark.usefixtures("_figures_closed")
def test_pictures_say_whose_they_are(finished: Callable[[type[Experiment]], Run]) -> None:
    for kind, names in (("schedule", ("dreams", "reconstructions")), ("latent", ("latent-grid",))):
        figures = finished(app.experiments[kind]).draw()
        for name in names:
            assert "seed 0 only" in figures[name]._supxlabel.get_text()
