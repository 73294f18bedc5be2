"""Sizes at which every experiment takes about a second."""

from typing import Any

from sharpwave_shared.experiment import Experiment
from sleep_replay.experiments.latent import Latent
from sleep_replay.experiments.mixtures import Baselines, Interleave, Samples
from sleep_replay.experiments.pretrain import Pretrain
from sleep_replay.experiments.recall import Recall
from sleep_replay.experiments.schedule import Schedule, Sweep

DATA: dict[str, Any] = {"dataset": "mnist-5k", "eval_images": 20}
NIGHT: dict[str, Any] = {"total_eps": 4, "num_cycles": 2, "num": 3}

TINY: dict[type[Experiment], dict[str, Any]] = {
    Schedule: {**DATA, **NIGHT},
    Sweep: {
        **DATA,
        "total_eps": 2,
        "cycles": (2, 1),
        "fractions": (0.5, (0.0, 1.0)),
        "num": 3,
    },
    Baselines: {**DATA, "epochs": 1, "num_new": 8, "num_sampled": 8},
    Samples: {**DATA, "epochs": 1, "num_new": 8, "sampled": (0, 2, 4), "trials": 2},
    Interleave: {**DATA, "images": 20, "blocks": (1, 5)},
    Recall: {**DATA, **NIGHT, "fractions": (0.5, 0.0)},
    Latent: {**DATA, **NIGHT, "eval_images": 30, "labelled": 12},
    Pretrain: {
        **DATA,
        "inverted": False,
        "latent_dim": 1,
        "batch_size": 100,
        "epochs": 1,
        "trial": True,
    },
}
