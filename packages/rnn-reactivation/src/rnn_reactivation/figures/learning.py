"""Figures of training: loss and decoding error."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun


def learning_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the loss of every epoch, and what the test batch gave."""
    arrays = run.arrays()
    losses, tests = arrays["losses"], arrays["tests"]
    navigation = run.config["task"]["name"] == "spatial_navigation"
    unit = "m²" if navigation else "rad²"
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9))
        left.plot(np.arange(1, len(losses) + 1), losses, color="0.65", label="training")
        left.plot(tests[:, 0], tests[:, 1], "o-", color="C0", markersize=3, label="test")
        left.set(xlabel="epoch", ylabel="mean squared error of the activations", yscale="log")
        left.legend()
        right.plot(tests[:, 0], tests[:, 2], "o-", color="C1", markersize=3)
        what = "position" if navigation else "bearing"
        right.set(xlabel="epoch", ylabel=f"squared error of the {what} ({unit})", yscale="log")
        caption(
            figure,
            f"Learning of {run.config['name']}, seed {run.record['seeds'][0]}: one batch of "
            f"{run.config['trainer']['batch_size']} trajectories per epoch; tests on one fixed "
            "batch.",
        )
    return {"learning": figure}
