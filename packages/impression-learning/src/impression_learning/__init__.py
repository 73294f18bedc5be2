"""Impression learning: online representation learning with local synaptic plasticity.

A temporal Helmholtz machine whose neurons compare what the stimulus drives with what the circuit
predicts, alternating between the two within tens of milliseconds.
"""

from impression_learning.analysis import Trial, run_trials
from impression_learning.circuits import Circuits
from impression_learning.experiments import Result, run
from impression_learning.model import Parameters, Setting, initialise, one_layer
from impression_learning.plans import MODES, Plan, make_plan
from impression_learning.simulate import Group, Learnt, Member, learn
from impression_learning.speech import Speech, load_speech
from impression_learning.stimuli import LatentProcess, Sequences
from impression_learning.updates import compare_rules, measure_updates

__all__ = [
    "MODES",
    "Circuits",
    "Group",
    "LatentProcess",
    "Learnt",
    "Member",
    "Parameters",
    "Plan",
    "Result",
    "Sequences",
    "Setting",
    "Speech",
    "Trial",
    "compare_rules",
    "initialise",
    "learn",
    "load_speech",
    "make_plan",
    "measure_updates",
    "one_layer",
    "run",
    "run_trials",
]
