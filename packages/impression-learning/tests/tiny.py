"""Parameters with which every experiment runs in about a second."""

from typing import Any

from impression_learning import (
    Dimensionality,
    LrOptim,
    Snr,
    Standard,
    SwitchPeriod,
    TimeConstant,
    VocalDigits,
)
from sharpwave_shared import Experiment

SHORT = {"steps": 400, "test_steps": 200, "points": 3}
SMALL = SHORT | {"n_latent": 2, "n_in": 6, "n": 3}
TINY: dict[type[Experiment], dict[str, Any]] = {
    Standard: SMALL,
    Snr: SHORT | {"episodes": 200},
    Dimensionality: SHORT | {"dimensions": (1, 2, 3), "steps_backprop": 100},
    SwitchPeriod: SMALL | {"periods": (1, 4, 31)},
    TimeConstant: SMALL | {"dts": (1.0, 0.1, 0.01)},
    LrOptim: SHORT | {"rates": (1e-7, 1e-8, 1e-9)},
    VocalDigits: {"epochs": 1, "takes": 6, "points": 2, "frames": 10, "dataset": "synthetic"},
}
