"""Figures: drawn from the stored data of a run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from rnn_reactivation.figures.comparison import comparison_figures
from rnn_reactivation.figures.direction import direction_figures
from rnn_reactivation.figures.learning import learning_figures
from rnn_reactivation.figures.navigation import navigation_figures
from rnn_reactivation.figures.replay import draw_replay
from sharpwave_shared.plotting import draw_run
from sharpwave_shared.runs import StoredRun


def analysis_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the numbers of an analysis, and what its first seed's networks do."""
    navigation = run.metrics["task"] == "spatial_navigation"
    pictures = navigation_figures if navigation else direction_figures
    return {**comparison_figures(run), **pictures(run)}


DRAWN = {"train": learning_figures, "analyze": analysis_figures}


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the figures of a run; see `sharpwave_shared.plotting.draw_run`.

    A run of analysis also gets an animation.
    """
    paths = draw_run(DRAWN, run, formats)
    if run.experiment == "analyze":
        paths += draw_replay(run)
    return paths
