"""Figure of the training of an initial model."""

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, name_seeds
from sleep_replay.experiments.pretrain import Pretrain
from sleep_replay.figures.common import CARRIED, whole_numbers
from sleep_replay.quantities import QUANTITIES


def draw(experiment: Pretrain, results: xr.Dataset) -> dict[str, Figure]:
    """Draw loss and test error over epochs, and the share of variance carried."""
    figure, (errors, carried) = plt.subplots(1, 2, figsize=(6.6, 2.8))
    epochs = results["epoch"].values
    for name, axes, colour in (
        ("loss", errors, "C0"),
        ("test_error", errors, "C1"),
        ("variance_carried", carried, "C2"),
    ):
        courses = results[name].transpose("epoch", "seed").values
        first, *_ = axes.plot(epochs, courses, color=colour, marker=".")
        first.set_label(QUANTITIES[name][0])
        axes.set_xlabel("epoch")
        whole_numbers(axes)
    errors.set_ylabel("per image (summed grey level)")
    errors.set_ylim(bottom=0)
    errors.legend()
    carried.set_ylabel(CARRIED)
    carried.set_ylim(0, 1)
    seeds = name_seeds([int(seed) for seed in results["seed"].values])
    caption(
        figure, f"Training of the initial model {experiment.model_name} on data set 1; {seeds}."
    )
    return {"pretraining": figure}
