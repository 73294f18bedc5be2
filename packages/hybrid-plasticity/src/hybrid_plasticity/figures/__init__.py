"""Figures: drawn from the stored data of a run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from hybrid_plasticity.analysis import picture
from hybrid_plasticity.experiments import stored_models
from hybrid_plasticity.figures.comparison import comparison_figures
from hybrid_plasticity.figures.generalisation import generalisation_figures
from hybrid_plasticity.figures.interpretation import interpretation_figures
from hybrid_plasticity.figures.learning import learning_figures
from hybrid_plasticity.figures.pictures import model_figures, stored_pictures
from hybrid_plasticity.folders import MODEL, interval_directory, network_directory, read_model
from hybrid_plasticity.model import Configuration
from sharpwave_shared.plotting import draw_run, save_figures
from sharpwave_shared.runs import StoredRun

DRAWN = {
    "train": learning_figures,
    "evaluate": generalisation_figures,
    "analyze": interpretation_figures,
    "compare": comparison_figures,
}


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the figures of a run; see `sharpwave_shared.plotting.draw_run`.

    A run of training also gets the pictures of its first network, one folder for each R.
    """
    paths = draw_run(DRAWN, run, formats)
    if run.experiment == "train":
        first = run.metrics["networks"][0]["seed"]
        folder = network_directory(run.directory, first, run.record["seeds"])
        configuration = Configuration.from_values(run.config)
        for interval, found in stored_pictures(run).items():
            figures = model_figures(configuration, found, first, interval)
            paths += save_figures(figures, interval_directory(folder, interval), formats)
    return paths


def visualize(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    """Draw the pictures of every network of a run of training, at every R that it mastered.

    Raises
    ------
    InvalidInputError
        If the run is none of training, or no network of it has mastered any R.
    """
    stored_models(run)  # refuses such runs
    configuration, seeds = Configuration.from_values(run.config), run.record["seeds"]
    paths = []
    for network in run.metrics["networks"]:
        seed = network["seed"]
        for interval in range(1, len(network["mastered"]) + 1):
            folder = interval_directory(network_directory(run.directory, seed, seeds), interval)
            model = read_model(folder / MODEL, configuration)
            figures = model_figures(configuration, picture(model, model.seed), seed, interval)
            paths += save_figures(figures, folder, formats)
    return paths
