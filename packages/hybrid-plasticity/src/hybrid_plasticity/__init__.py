"""Hybrid synaptic plasticity: networks whose synapses change while they run.

They are meta-trained to recognise scenes seen R scenes ago in an endless stream.
"""

from hybrid_plasticity.analysis import (
    Generalisation,
    Interpretation,
    generalise,
    interpret,
)
from hybrid_plasticity.curriculum import Limits, Network, Training, train
from hybrid_plasticity.folders import Model, read_model
from hybrid_plasticity.model import (
    Activity,
    Configuration,
    initialise,
    run_networks,
)
from hybrid_plasticity.scan import plastic_layer
from hybrid_plasticity.streams import Streams, Task, make_streams

__all__ = [
    "Activity",
    "Configuration",
    "Generalisation",
    "Interpretation",
    "Limits",
    "Model",
    "Network",
    "Streams",
    "Task",
    "Training",
    "generalise",
    "initialise",
    "interpret",
    "make_streams",
    "plastic_layer",
    "read_model",
    "run_networks",
    "train",
]
