"""The command `impression-learning`."""

from impression_learning.experiments.snr import Snr
from impression_learning.experiments.speech import VocalDigits
from impression_learning.experiments.standard import Standard
from impression_learning.experiments.sweeps import (
    Dimensionality,
    LrOptim,
    SwitchPeriod,
    TimeConstant,
)
from sharpwave_shared.app import App

app = App(
    "impression-learning",
    "Impression learning: online representation learning by local plasticity.",
)
app.main(
    Standard, Snr, Dimensionality, SwitchPeriod, TimeConstant, LrOptim, VocalDigits, choose="mode"
)


def main() -> None:
    """Run the command line."""
    app()
