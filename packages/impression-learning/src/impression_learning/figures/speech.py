"""Figures of the speech mode: spectrograms, dreams, and their statistics (Figure 4)."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from impression_learning.experiments.speech import VocalDigits
from impression_learning.figures.common import (
    algorithm_name,
    loss_figure,
    only_algorithm,
    plot_autocorrelation,
    seeds_first,
)
from impression_learning.speech import FRAME_SECONDS
from sharpwave_shared.plotting import caption, decimals, first_seed, seeds_in_words, title

HERTZ = (500, 1000, 2000, 4000, 8000)
"""Where the frequency axes have ticks."""
HERTZ_LABEL = "frequency (Hz)"
SHOWN_FRAMES = 150
LEVELS = plt.get_cmap("magma", 40)
"""Colours of levels, in steps of 2 dB where the range is 80 dB."""


def draw(experiment: VocalDigits, data: xr.Dataset) -> dict[str, Figure]:
    """Draw loss, spectrograms of data, reconstruction and dreams, and their statistics."""
    data = only_algorithm(data)
    return {
        "loss": loss_figure(data),
        "spectrogram": _reconstruction(data),
        "correlations": _correlations(data),
        "dreams": _dreams(data),
        "autocorrelation": _autocorrelation(data),
    }


def _hertz(axis: Axis, data: xr.Dataset) -> None:
    """Put ticks in Hz on an axis that counts bands."""
    frequencies = data["frequency"].values
    bands = np.interp(HERTZ, frequencies, np.arange(len(frequencies)))
    axis.set_ticks(bands.tolist(), [str(frequency) for frequency in HERTZ])


def _spectrograms(data: xr.Dataset, named: dict[str, str]) -> Figure:
    """Show variables that are spectrograms, of the first seed, under each other, by title."""
    offset, scale = data.attrs["offset_db"], data.attrs["scale_db"]
    norm = Normalize(-offset, 0)
    figure, panels = plt.subplots(
        len(named), 1, figsize=(6.2, 0.7 + 1.65 * len(named)), sharex=True, squeeze=False
    )
    for axes, (heading, name) in zip(panels[:, 0], named.items(), strict=True):
        shown = data[name].isel(seed=0, time=slice(0, SHOWN_FRAMES)).transpose("channel", "time")
        bands, frames = shown.shape
        axes.imshow(
            shown.values * scale - offset,
            norm=norm,
            cmap=LEVELS,
            origin="lower",
            aspect="auto",
            extent=(0, frames * FRAME_SECONDS, -0.5, bands - 0.5),
        )
        axes.set_title(heading)
        axes.set_ylabel(HERTZ_LABEL)
        _hertz(axes.yaxis, data)
    panels[-1, 0].set_xlabel("time (s)")
    colours = ScalarMappable(norm, LEVELS)
    label = "level (dB re maximum)"
    figure.colorbar(colours, ax=list(panels[:, 0]), label=label, shrink=0.8)
    return figure


def _reconstruction(data: xr.Dataset) -> Figure:
    figure = _spectrograms(
        data, {"test recordings": "stimulus", "reconstruction": "reconstruction"}
    )
    r2 = seeds_first(data["r2"])[0]
    caption(
        figure,
        f"Mel spectrograms ({algorithm_name(data)}, {first_seed(data)}); $R^2$ of the whole test "
        f"passage {decimals(r2, 3)}.",
    )
    return figure


def _dreams(data: xr.Dataset) -> Figure:
    figure = _spectrograms(data, {"before learning": "dream_before", "after learning": "dream"})
    caption(
        figure,
        f"Mel spectrograms generated asleep ({algorithm_name(data)}, {first_seed(data)}); what is "
        "black is silent.",
    )
    return figure


def _correlations(data: xr.Dataset) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(6.8, 3.2), sharex=True, sharey=True)
    look = {"norm": Normalize(-1, 1), "cmap": "RdBu_r"}
    headings = {"data": "test recordings", "dreams": "dreams"}
    for axes, (passage, heading) in zip(panels, headings.items(), strict=True):
        matrix = data["band_correlation"].isel(seed=0).sel(passage=passage)
        axes.imshow(matrix, origin="lower", **look)
        axes.set_title(heading)
        axes.set_xlabel(HERTZ_LABEL)
        axes.tick_params(labelsize=8)
    for axis in (panels[0].xaxis, panels[0].yaxis):
        _hertz(axis, data)
    panels[0].set_ylabel(HERTZ_LABEL)
    figure.colorbar(ScalarMappable(**look), ax=list(panels), label="correlation", shrink=0.8)
    cosine = seeds_first(data["band_cosine"])[0]
    title(figure, f"Correlations between bands: cosine of the two matrices {decimals(cosine, 3)}")
    caption(figure, f"Over the whole test passage ({algorithm_name(data)}, {first_seed(data)}).")
    return figure


def _autocorrelation(data: xr.Dataset) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.4))
    named = {"inferred": ("awake", "C0", "-"), "generated": ("asleep", "C1", "--")}
    plot_autocorrelation(axes, data, named)
    seconds = axes.secondary_xaxis(
        "top",
        (lambda lag: np.asarray(lag) * FRAME_SECONDS, lambda s: np.asarray(s) / FRAME_SECONDS),
    )
    seconds.set_xlabel("lag (s)")
    caption(figure, f"Activity of the top layer, averaged over units; {seeds_in_words(data)}.")
    return figure
