"""The density of activity, in the plane of its first two components."""

import numpy as np
from matplotlib.figure import Figure

from rnn_reactivation.figures.common import (
    Network,
    first_seed,
    label_panels,
    make_panels,
    simulations,
)
from sharpwave_shared.plotting import caption
from sharpwave_shared.runs import StoredRun

QUANTITIES = ["activity_density", "activity_limits"]


def activity_densities(run: StoredRun, networks: list[Network]) -> Figure:
    """Draw how often each network is where, awake and asleep, each panel to its own scale."""
    figure, panels, _ = make_panels(networks, QUANTITIES)
    for (name, condition), axes in panels.items():
        arrays = next(n.arrays for n in networks if n.name == name)
        density = arrays[condition]["activity_density"].astype(float)
        highest = np.nanmax(density, initial=0.0)
        low, high = arrays[condition]["activity_limits"]
        axes.imshow(
            (density / highest if highest > 0 else density).T,
            origin="lower",
            extent=(low[0], high[0], low[1], high[1]),
            vmin=0,
            vmax=1,
            cmap="magma",
        )
        axes.locator_params(nbins=4)
        axes.spines[:].set_visible(True)
    label_panels(panels, "component 1", "component 2", shared=False)
    caption(
        figure,
        "Density of hidden activity on the first two principal components of the network awake, in "
        "each panel relative to its largest value. "
        f"{first_seed(run).capitalize()}; {simulations(run)}.",
    )
    return figure
