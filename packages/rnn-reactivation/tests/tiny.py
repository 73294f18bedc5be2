"""Sizes at which every experiment takes about a second."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rnn_reactivation.experiments.analyze import Analyze
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from sharpwave_shared.experiment import Experiment

SECTIONS: dict[str, dict[str, Any]] = {
    "rnn": {"hidden_size": 8},
    "trainer": {"n_epochs": 4, "batch_size": 4, "test_every": 2, "save_every": 2},
}
NAVIGATION = {**SECTIONS, "task": {"length": 10, "place_cells_num": 12}}
HEAD_DIRECTION = {**SECTIONS, "task": {"length": 10, "head_direction_cells_num": 12}}
ANALYSIS: dict[str, Any] = {
    "trajectories": 6,
    "steps": 30,
    "samples": 40,
    "variance_trajectories": 5,
    "variance_steps": 20,
    "variance_dropped": 10,
}
NAMES = ("noisy_unbiased", "no-noise_biased")
NETWORKS = Path(tempfile.mkdtemp(prefix="rnn-reactivation-"))
"""Where tiny networks of both tasks lie, with seed 0."""
atexit.register(shutil.rmtree, NETWORKS, ignore_errors=True)


def _train_networks() -> None:
    for name in NAMES:
        noise = {} if name.startswith("noisy") else {"sigma2_rec": 0.0}
        for kind, sizes in ((TrainNavigation, NAVIGATION), (TrainHeadDirection, HEAD_DIRECTION)):
            task = {**sizes["task"], "biased": name.endswith("_biased")}
            values = {**sizes, "task": task, "rnn": {**sizes["rnn"], **noise}}
            _store(kind(config=name, **values))


def _store(experiment: Experiment) -> None:
    """Run a training without its figures."""
    from sharpwave_shared.execution import Cell, run_cells
    from sharpwave_shared.experiment import Options
    from sharpwave_shared.reporting import Reporter

    options = Options(out=NETWORKS)
    run_cells(
        [Cell(experiment, (0,), draw=False)], options, Reporter(quiet=True), show_claims=False
    )


_train_networks()

TINY: dict[type[Experiment], dict[str, Any]] = {
    TrainNavigation: NAVIGATION,
    TrainHeadDirection: HEAD_DIRECTION,
    Analyze: {**ANALYSIS, "configurations": NAMES, "networks": NETWORKS},
}
