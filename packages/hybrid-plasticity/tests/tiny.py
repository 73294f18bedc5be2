"""Sizes at which the experiments of hybrid-plasticity take about a second."""

from typing import Any

from hybrid_plasticity.experiments.train import Train
from sharpwave_shared.experiment import Experiment

TINY: dict[type[Experiment], dict[str, Any]] = {
    # R = 1 is mastered at once, R = 2 is only begun: pictures are drawn of what is mastered.
    Train: {
        "hidden_dims": (3,),
        "plastic_types": ("A",),
        "hetero_rates": (1.0,),
        "scene_time": 1,
        "vec_len": 4,
        "acc_threshold": 0.5,
        "acc_num": 2,
        "max_r": 2,
        "budget": 3,
    },
}
