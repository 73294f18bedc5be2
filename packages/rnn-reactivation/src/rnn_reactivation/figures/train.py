"""Figures of training: loss and decoding error."""

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from rnn_reactivation.experiments.train import Train
from rnn_reactivation.sections import NavigationTask
from sharpwave_shared.plotting import caption, name_seeds


def draw(experiment: Train, data: xr.Dataset) -> dict[str, Figure]:
    """Draw the loss of every epoch, and what the test batch gave."""
    navigation = isinstance(experiment.task, NavigationTask)
    what, unit = ("position", "m²") if navigation else ("bearing", "rad²")
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9))
    for k in range(data.sizes["seed"]):
        one, first = data.isel(seed=k), k == 0
        look = {"marker": "o", "markersize": 3}
        left.plot(
            one["epoch"], one["training_loss"], color="0.65", label="training" if first else None
        )
        left.plot(
            one["tested"], one["test_loss"], color="C0", label="test" if first else None, **look
        )
        right.plot(one["tested"], one["test_error"], color="C1", **look)
    left.set(xlabel="epoch", ylabel="mean squared error of the activations", yscale="log")
    left.legend()
    right.set(xlabel="epoch", ylabel=f"squared error of the {what} ({unit})", yscale="log")
    caption(
        figure,
        f"Learning of {experiment.config}, {name_seeds(data['seed'].values.tolist())}: one batch "
        f"of {experiment.trainer.batch_size} trajectories per epoch; tests on one fixed batch.",
    )
    return {"learning": figure}
