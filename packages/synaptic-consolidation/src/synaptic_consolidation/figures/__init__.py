"""Figures: drawn from the stored data of a run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from sharpwave_shared.plotting import FiguresOf, draw_run
from sharpwave_shared.runs import StoredRun
from synaptic_consolidation.figures.networks import network_figures
from synaptic_consolidation.figures.nights import night_figures
from synaptic_consolidation.figures.synapses import synapse_figures
from synaptic_consolidation.figures.theory import exact_figures, theory_figures

DRAWN: dict[str, FiguresOf] = {
    "networks": network_figures,
    "wake-sleep": night_figures,
    "theory": theory_figures,
    "exact": exact_figures,
    "syn-noise": synapse_figures,
    "analyze-spines": synapse_figures,
}


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the figures of a run; see `sharpwave_shared.plotting.draw_run`."""
    return draw_run(DRAWN, run, formats)
