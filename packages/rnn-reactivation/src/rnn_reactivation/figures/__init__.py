"""Figures: drawn from the stored data of a run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from rnn_reactivation.figures.learning import learning_figures
from sharpwave_shared.plotting import draw_run
from sharpwave_shared.runs import StoredRun

DRAWN = {"train": learning_figures, "analyze": lambda run: {}}


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the figures of a run; see `sharpwave_shared.plotting.draw_run`."""
    return draw_run(DRAWN, run, formats)
