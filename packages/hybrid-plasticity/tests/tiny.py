"""Sizes at which the experiments of hybrid-plasticity take about a second."""

from typing import Any

from hybrid_plasticity.experiments.train import Train
from sharpwave_shared.experiment import Experiment

TINY: dict[type[Experiment], dict[str, Any]] = {
    # The first intervals are mastered within some iterations: two thirds of the scenes are new.
    Train: {
        "hidden_dims": (6, 5),
        "scene_time": 2,
        "vec_len": 8,
        "VAR": 0.2,
        "acc_threshold": 0.6,
        "acc_num": 2,
        "max_r": 2,
        "max_iterations": 12,
    },
}
