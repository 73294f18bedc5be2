"""Sleep schedules for a generative model of memory.

How the alternation of NREM (replay of recent experience) and REM (training on the model's own
samples) decides whether learning new memories overwrites old ones.
"""

from sleep_replay.data import Experience, ImageSet, load_experience
from sleep_replay.evaluate import Evaluation, evaluate
from sleep_replay.experiments import (
    ScheduleJob,
    Setup,
    SweepJob,
    prepare,
    train_with_schedule_multiple_seeds,
    train_with_scheduler_multiple_seeds,
)
from sleep_replay.model import VAE
from sleep_replay.schedule import Cycle, Schedule
from sleep_replay.sleep import Condition, SleepResult, sleep
from sleep_replay.train import Trainer, Training

__all__ = [
    "VAE",
    "Condition",
    "Cycle",
    "Evaluation",
    "Experience",
    "ImageSet",
    "Schedule",
    "ScheduleJob",
    "Setup",
    "SleepResult",
    "SweepJob",
    "Trainer",
    "Training",
    "evaluate",
    "load_experience",
    "prepare",
    "sleep",
    "train_with_schedule_multiple_seeds",
    "train_with_scheduler_multiple_seeds",
]
