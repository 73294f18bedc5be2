"""Sizes at which every experiment takes about a second."""

from typing import Any

from sharpwave_shared.experiment import Experiment
from sleep_replay.experiments.latent import Latent
from sleep_replay.experiments.mixtures import Baselines, Interleave, Samples
from sleep_replay.experiments.pretrain import Pretrain
from sleep_replay.experiments.recall import Recall
from sleep_replay.experiments.schedule import Schedule, Sweep

DATA: dict[str, Any] = {"dataset": "mnist-5k", "eval_images": 4}
NIGHT: dict[str, Any] = {"total_eps": 4, "num_cycles": 2, "num": 1}

TINY: dict[type[Experiment], dict[str, Any]] = {
    Schedule: {**DATA, **NIGHT},
    Sweep: {
        **DATA,
        "total_eps": 2,
        "cycles": (2, 1),
        "fractions": (0.5, (0.0, 1.0)),
        "num": 1,
    },
    Baselines: {**DATA, "epochs": 1, "num_new": 8, "num_sampled": 8},
    Samples: {**DATA, "epochs": 1, "num_new": 8, "sampled": (0, 2, 4), "trials": 2},
    Interleave: {**DATA, "images": 10, "blocks": (1, 5)},
    Recall: {**DATA, **NIGHT, "fractions": (0.5, 0.0)},
    Latent: {**DATA, **NIGHT, "eval_images": 16, "labelled": 12},
    Pretrain: {
        **DATA,
        "inverted": False,
        "latent_dim": 1,
        "batch_size": 100,
        "epochs": 1,
        "trial": True,
    },
}
