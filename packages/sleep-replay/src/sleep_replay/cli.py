"""The command `sleep-replay`."""

from sharpwave_shared.app import App
from sleep_replay.experiments.latent import Latent
from sleep_replay.experiments.mixtures import Baselines, Interleave, Samples
from sleep_replay.experiments.pretrain import Pretrain
from sleep_replay.experiments.recall import Recall
from sleep_replay.experiments.schedule import Schedule, Sweep

app = App("sleep-replay", "Sleep schedules for a generative model of memory.")
app.main(Schedule)
app.add(Sweep, Baselines, Samples, Interleave, Recall, Latent, Pretrain)


def main() -> None:
    """Run the command line."""
    app()
