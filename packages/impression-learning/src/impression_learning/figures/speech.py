"""Figures of the speech mode: spectrograms, dreams, and their statistics (Figure 4)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from impression_learning.figures.common import (
    Condition,
    algorithm_name,
    first_seed,
    loss_figure,
    plot_autocorrelation,
    seeds_in_words,
)
from impression_learning.speech import FRAME_SECONDS, band_frequencies
from sharpwave_shared.plotting import caption, numbers, style
from sharpwave_shared.runs import StoredRun

HERTZ = (500, 1000, 2000, 4000, 8000)
"""Where the frequency axes have ticks."""
HERTZ_LABEL = "frequency (Hz)"
SHOWN_FRAMES = 150
LEVELS = plt.get_cmap("magma", 40)
"""Colours of levels, in steps of 2 dB where the range is 80 dB."""


def speech_figures(run: StoredRun) -> dict[str, Figure]:
    """Draw loss, spectrograms of data, reconstruction and dreams, and their statistics."""
    (condition,) = run.metrics["conditions"]
    arrays = run.arrays()
    with style():
        return {
            "loss": loss_figure(run, condition),
            "spectrogram": _reconstruction(run, arrays, condition),
            "correlations": _correlations(run, arrays["0.bands"], condition),
            "dreams": _dreams(run, arrays, condition),
            "autocorrelation": _autocorrelation(run, arrays),
        }


def _hertz(axis: Axis) -> None:
    """Put ticks in Hz on an axis that counts bands."""
    bands = np.interp(HERTZ, band_frequencies(), np.arange(len(band_frequencies())))
    axis.set_ticks(bands.tolist(), [str(frequency) for frequency in HERTZ])


def _spectrograms(run: StoredRun, named: dict[str, np.ndarray]) -> Figure:
    """Show spectrograms (frames x bands, normalised levels) under each other."""
    offset, scale = (run.metrics["decibels"][name] for name in ("offset", "scale"))
    norm = Normalize(-offset, 0)
    figure, panels = plt.subplots(
        len(named), 1, figsize=(6.2, 0.7 + 1.65 * len(named)), sharex=True, squeeze=False
    )
    for axes, (title, values) in zip(panels[:, 0], named.items(), strict=True):
        levels = values[:SHOWN_FRAMES] * scale - offset
        frames, bands = levels.shape
        axes.imshow(
            levels.T,
            norm=norm,
            cmap=LEVELS,
            origin="lower",
            aspect="auto",
            extent=(0, frames * FRAME_SECONDS, -0.5, bands - 0.5),
        )
        axes.set_title(title)
        axes.set_ylabel(HERTZ_LABEL)
        _hertz(axes.yaxis)
    panels[-1, 0].set_xlabel("time (s)")
    colours = ScalarMappable(norm, LEVELS)
    label = "level (dB re maximum)"
    figure.colorbar(colours, ax=list(panels[:, 0]), label=label, shrink=0.8)
    return figure


def _reconstruction(run: StoredRun, arrays: dict[str, np.ndarray], condition: Condition) -> Figure:
    figure = _spectrograms(
        run, {"test recordings": arrays["0.stimulus"], "reconstruction": arrays["0.reconstruction"]}
    )
    r2 = numbers(condition["summary"]["r2"])[0]
    caption(
        figure,
        f"Mel spectrograms ({algorithm_name(condition)}, {first_seed(run)}); $R^2$ of the whole "
        f"test passage {r2:.3f}.",
    )
    return figure


def _dreams(run: StoredRun, arrays: dict[str, np.ndarray], condition: Condition) -> Figure:
    figure = _spectrograms(
        run, {"before learning": arrays["0.dream_before"], "after learning": arrays["0.dream"]}
    )
    caption(
        figure,
        f"Mel spectrograms generated asleep ({algorithm_name(condition)}, {first_seed(run)}); what "
        "is black is silent.",
    )
    return figure


def _correlations(run: StoredRun, bands: np.ndarray, condition: Condition) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(6.8, 3.2), sharex=True, sharey=True)
    look = {"norm": Normalize(-1, 1), "cmap": "RdBu_r"}
    for axes, matrix, title in zip(panels, bands, ("test recordings", "dreams"), strict=True):
        axes.imshow(matrix, origin="lower", **look)
        axes.set_title(title)
        axes.set_xlabel(HERTZ_LABEL)
        axes.tick_params(labelsize=8)
    for axis in (panels[0].xaxis, panels[0].yaxis):
        _hertz(axis)
    panels[0].set_ylabel(HERTZ_LABEL)
    figure.colorbar(ScalarMappable(**look), ax=list(panels), label="correlation", shrink=0.8)
    cosine = numbers(condition["summary"]["band_cosine"])[0]
    figure.suptitle(f"Correlations between bands: cosine of the two matrices {cosine:.3f}")
    caption(
        figure, f"Over the whole test passage ({algorithm_name(condition)}, {first_seed(run)})."
    )
    return figure


def _autocorrelation(run: StoredRun, arrays: dict[str, np.ndarray]) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.4))
    plot_autocorrelation(
        axes,
        arrays,
        {"inferred": ("awake", "C0", "-"), "generated": ("asleep", "C1", "--")},
    )
    seconds = axes.secondary_xaxis(
        "top",
        (lambda lag: np.asarray(lag) * FRAME_SECONDS, lambda s: np.asarray(s) / FRAME_SECONDS),
    )
    seconds.set_xlabel("lag (s)")
    caption(figure, f"Activity of the top layer, averaged over units; {seeds_in_words(run)}.")
    return figure
