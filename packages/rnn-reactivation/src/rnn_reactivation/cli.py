"""The command `rnn-reactivation`."""

import sys
from collections.abc import Sequence

from rnn_reactivation import commands
from rnn_reactivation.experiments.analyze import Analyze
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from sharpwave_shared.app import App

SCRIPTS = {
    "train": ["train"],
    "output_kl": ["analyze", "kl"],
    "output_variance": ["analyze", "variance"],
    "output_distance": ["analyze", "distance"],
}
"""What the original's scripts are here."""


class _App(App):
    def __call__(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line; the original's scripts, and its `config=... seed=...`, too."""
        words = sys.argv[1:] if arguments is None else list(arguments)
        if words and (script := SCRIPTS.get(words[0].removesuffix(".py"))):
            words = [*script, *words[1:]]
        if words and "=" in words[0] and not words[0].startswith("-"):
            words = ["train", *words]
        super().__call__(words)


app = _App(
    "rnn-reactivation", "Offline reactivation in recurrent networks trained to track a variable."
)
app.main(commands.TrainAndAnalyze)
app.add(commands.Train, commands.TrainNavigation, commands.TrainHeadDirection)
app.add(commands.Analyze, commands.Reproduce)
app.know(TrainNavigation, TrainHeadDirection, Analyze)


def main() -> None:
    """Run the command line."""
    app()
