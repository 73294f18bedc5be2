"""Offline reactivation in recurrent networks.

Noisy recurrent networks that learn to track a variable from its changes revisit, without any
input, the states of their waking life.
"""

from rnn_reactivation.analysis import drift_field, explained_variance, mean_step, output_variance
from rnn_reactivation.configuration import (
    Configuration,
    HeadDirectionTask,
    NavigationTask,
    Rnn,
    Trainer,
    configuration_names,
    load_configuration,
)
from rnn_reactivation.density import (
    CircularDensity,
    KernelDensity,
    UniformDensity,
    kl_divergences,
)
from rnn_reactivation.networks import Model, read_model
from rnn_reactivation.reactivation import Settings, analyse
from rnn_reactivation.simulate import Recording, asleep, awake, record
from rnn_reactivation.tasks import (
    HeadDirectionCells,
    PlaceCells,
    Trajectories,
    make_cells,
    make_trajectories,
)
from rnn_reactivation.train import Batch, Learner, train

__all__ = [
    "Batch",
    "CircularDensity",
    "Configuration",
    "HeadDirectionCells",
    "HeadDirectionTask",
    "KernelDensity",
    "Learner",
    "Model",
    "NavigationTask",
    "PlaceCells",
    "Recording",
    "Rnn",
    "Settings",
    "Trainer",
    "Trajectories",
    "UniformDensity",
    "analyse",
    "asleep",
    "awake",
    "configuration_names",
    "drift_field",
    "explained_variance",
    "kl_divergences",
    "load_configuration",
    "make_cells",
    "make_trajectories",
    "mean_step",
    "output_variance",
    "read_model",
    "record",
    "train",
]
