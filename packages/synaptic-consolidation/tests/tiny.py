"""Sizes at which every experiment takes about a second."""

from pathlib import Path
from typing import Any

from sharpwave_shared.experiment import Experiment
from synaptic_consolidation.experiments.exact import Exact
from synaptic_consolidation.experiments.networks import F50, Networks
from synaptic_consolidation.experiments.synapses import AnalyzeSpines, SynNoise
from synaptic_consolidation.experiments.theory import Theory
from synaptic_consolidation.experiments.wake_sleep import WakeSleep

NETWORKS: dict[str, Any] = {"n": 30, "loads": (0.2,), "max_steps": 2500, "tests": 1, "optima": 3}
SYNAPSES: dict[str, Any] = {"synapses": 60, "duration": 20, "dt": 0.05, "bootstraps": 10}

TINY: dict[type[Experiment], dict[str, Any]] = {
    Networks: {**NETWORKS, "factors": (1, 2)},
    F50: {**NETWORKS, "factors": (2,), "rows": 3, "max_steps": 1000},
    # Shown less often, no pattern becomes an attractor.
    WakeSleep: {
        "n": 150,
        "f": 0.2,
        "patterns": 8,
        "passes": 16,
        "cycles": 5,
        "days": 2,
        "tests": 1,
    },
    SynNoise: {**SYNAPSES, "factors": (1, 2, 5)},
    AnalyzeSpines: {**SYNAPSES, "factors": (2,), "file": Path(__file__).with_name("spines.csv")},
    Theory: {"f": 0.05, "points": 4},
    Exact: {"n": (20, 24), "loads": (0.3, 1.6), "rows": 6},
}
