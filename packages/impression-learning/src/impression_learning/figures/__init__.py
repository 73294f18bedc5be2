"""Figures: each mode's are drawn from the stored data of its run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from impression_learning.figures.learning import standard_figures
from impression_learning.figures.speech import speech_figures
from impression_learning.figures.sweeps import (
    dimensionality_figures,
    learning_rate_figures,
    switch_period_figures,
    time_constant_figures,
)
from impression_learning.figures.updates import update_figures
from sharpwave_shared.plotting import draw_run
from sharpwave_shared.runs import StoredRun

DRAWN = {
    "standard": standard_figures,
    "SNR": update_figures,
    "dimensionality": dimensionality_figures,
    "switch_period": switch_period_figures,
    "time_constant": time_constant_figures,
    "lr_optim": learning_rate_figures,
    "Vocal_Digits": speech_figures,
}


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the figures of a run; see `sharpwave_shared.plotting.draw_run`."""
    return draw_run(DRAWN, run, formats)
