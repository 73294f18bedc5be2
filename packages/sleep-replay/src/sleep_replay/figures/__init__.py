"""Figures: each experiment's are drawn from the stored data of its run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from sharpwave_shared.plotting import draw_run
from sharpwave_shared.runs import StoredRun
from sleep_replay.figures.latent import latent_figures
from sleep_replay.figures.mixtures import (
    baseline_figures,
    interleave_figures,
    pretrain_figures,
    samples_figures,
)
from sleep_replay.figures.recall import recall_figures
from sleep_replay.figures.sleep import schedule_figures, sweep_figures

DRAWN = {
    "schedule": schedule_figures,
    "sweep": sweep_figures,
    "pretrain": pretrain_figures,
    "baselines": baseline_figures,
    "samples": samples_figures,
    "interleave": interleave_figures,
    "recall": recall_figures,
    "latent": latent_figures,
}


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the figures of a run; see `sharpwave_shared.plotting.draw_run`."""
    return draw_run(DRAWN, run, formats)
