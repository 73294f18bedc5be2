"""Figures of learning without sleep: baselines, samples, interleaving, and pretraining."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sharpwave_shared.plotting import caption, style
from sharpwave_shared.runs import StoredRun
from sleep_replay.figures.common import (
    CARRIED,
    ERROR,
    NEW,
    OLD,
    data_set_names,
    mean_and_deviation,
    seeds_in_words,
)

MODES = {"new": "new images only", "old": "own samples only", "both": "both, shuffled together"}


def baseline_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the errors of both data sets over epochs, a panel for each mode."""
    modes = run.metrics["modes"]
    with style():
        figure, panels = plt.subplots(
            1, len(modes), figsize=(0.8 + 2.3 * len(modes), 3), sharey=True, squeeze=False
        )
        for axes, (mode, scores) in zip(panels[0], modes.items(), strict=True):
            for key, name, colour in zip(
                ("old", "new"), data_set_names(run), (OLD, NEW), strict=True
            ):
                values = np.array(scores[f"error_{key}"])
                mean_and_deviation(axes, np.arange(len(values)), values, name, colour)
            axes.set_title(MODES[mode])
            axes.set_xlabel("epoch")
        panels[0, 0].set_ylabel(ERROR)
        panels[0, 0].set_ylim(bottom=0)
        panels[0, -1].legend()
        caption(figure, f"Learning without sleep; {seeds_in_words(run)}")
    return {"baselines": figure}


def samples_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the final errors against the number of own samples in the mixture."""
    counts = run.metrics["num_sampled"]
    with style():
        figure, axes = plt.subplots(figsize=(4.6, 3.2))
        models = len(run.metrics["error_old"][0])
        for key, name, colour in zip(("old", "new"), data_set_names(run), (OLD, NEW), strict=True):
            values = np.array(run.metrics[f"error_{key}"])
            sem = values.std(1, ddof=1) / np.sqrt(models) if models > 1 else 0
            axes.errorbar(
                counts, values.mean(1), sem, color=colour, label=name, marker="o", capsize=2
            )
        axes.set_xlabel(f"own samples beside {run.config['num_new']} new images")
        axes.set_ylabel(ERROR)
        axes.set_ylim(bottom=0)
        axes.legend()
        caption(figure, f"Mean and s.e.m. over {models} trained models.")
    return {"samples": figure}


def interleave_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw the mean squared error of both data sets against the length of the blocks."""
    blocks = run.metrics["blocks"]
    with style():
        figure, panels = plt.subplots(1, 2, figsize=(6.6, 3))
        for axes, measure, label in zip(
            panels, ("mse", "carried"), ("mean squared error per pixel", CARRIED), strict=True
        ):
            for key, name, colour in zip(
                ("old", "new"), data_set_names(run), (OLD, NEW), strict=True
            ):
                values = np.array(run.metrics[f"{measure}_{key}"])
                axes.errorbar(
                    blocks,
                    values.mean(1),
                    values.std(1),
                    color=colour,
                    label=name,
                    marker="o",
                    capsize=2,
                )
            axes.set_xscale("log")
            axes.set_xticks(blocks, [str(b) for b in blocks])
            axes.minorticks_off()
            axes.set_xlabel("images of one data set in a row")
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
        panels[0].legend()
        caption(figure, f"One epoch from scratch in alternating blocks; {seeds_in_words(run)}")
    return {"interleave": figure}


def pretrain_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw loss and test error over epochs, and the share of variance carried."""
    epochs = np.arange(1, run.metrics["epochs"] + 1)
    with style():
        figure, (errors, carried) = plt.subplots(1, 2, figsize=(6.6, 2.8))
        errors.plot(epochs, run.metrics["loss"], label="training loss")
        errors.plot(epochs, run.metrics["test_error"], label="test error")
        errors.set_ylabel("per image (summed grey level)")
        errors.set_ylim(bottom=0)
        errors.legend()
        carried.plot(epochs, run.metrics["variance_carried"], color="C2")
        carried.set_ylabel(CARRIED)
        carried.set_ylim(0, 1)
        for axes in (errors, carried):
            axes.set_xlabel("epoch")
        caption(figure, "Training of the initial model on data set 1.")
    return {"pretraining": figure}
