"""Claims about training."""

import xarray as xr

from rnn_reactivation.experiments.train import Train
from rnn_reactivation.sections import NavigationTask
from sharpwave_shared.claims import Claim, Measurement

TRAINED = 2500
"""Iterations after which the paper's networks are judged."""


def _learns(experiment: Train, data: xr.Dataset) -> Measurement | None:
    if not isinstance(experiment.task, NavigationTask) or experiment.rnn.sigma2_rec == 0:
        return None
    epochs = experiment.trainer.n_epochs
    if epochs < TRAINED:
        return None
    loss, error = data["loss"].mean().item(), data["error"].mean().item()
    shown = (
        f"{experiment.config}, seed {', '.join(map(str, data['seed'].values))}: error {error:.4f} "
        f"m^2, loss {loss:.3g} after {epochs:,} iterations"
    )
    holds = bool(error <= 0.01 and loss <= 2e-5)
    return Measurement(shown, holds, {"error": error, "loss": loss})


CLAIMS = (
    Claim(
        "path-integration",
        "Noisy networks learn path integration.",
        "Figure 1",
        "a figure, no numbers",
        "2,500 iterations: mean squared decoding error <= 0.01 m^2, loss <= 2e-5",
        _learns,
    ),
)
