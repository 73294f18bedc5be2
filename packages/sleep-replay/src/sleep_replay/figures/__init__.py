"""Figures: each experiment's are drawn from the stored data of its run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from sharpwave_shared.plotting import save_figures
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
    """Draw the figures of a run; give their paths.

    They go into its folder `figures`, and all of them into one PDF named by the parameters.
    """
    figures = DRAWN[run.experiment](run)
    booklet = run.directory / f"{run.experiment}-{run.record['label']}.pdf"
    return save_figures(figures, run.directory / "figures", formats, booklet=booklet)
