"""Figures of an analysis: its numbers, and what the networks of the first seed do."""

import xarray as xr
from matplotlib.figure import Figure

from rnn_reactivation.experiments.analyze import NAVIGATION, Analyze
from rnn_reactivation.figures.comparison import comparison_figures
from rnn_reactivation.figures.direction import direction_figures
from rnn_reactivation.figures.navigation import navigation_figures
from rnn_reactivation.figures.noise import noise_figures


def draw(experiment: Analyze, data: xr.Dataset) -> dict[str, Figure]:
    """Draw what the results hold."""
    pictures = navigation_figures if experiment.task == NAVIGATION else direction_figures
    numbers = {**comparison_figures(experiment, data), **noise_figures(experiment, data)}
    return {**numbers, **pictures(experiment, data)}
