"""The network before and after a night: recall, responses, pruned synapses (Figure 3)."""

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int, UInt8

from sharpwave_shared.seeding import Streams
from synaptic_consolidation.measures import WEIGHT_EDGES, histogram_of_weights, sparseness
from synaptic_consolidation.model import Patterns, Rows, inputs_of, signs
from synaptic_consolidation.recall import Memory, describe_curves, noisy_weights, tolerances

KINDS = ("balanced", "all_factors", "one_factor", "surviving")
"""Kinds of noise."""
SHOWN = 100
"""Rows and columns of the weight matrix that are kept for figures."""
SHOWN_ACTIVE, SHOWN_SILENT = 80, 20
"""Neurons of the raster that are active in one of the cues, and that are silent in all, at most."""
RASTER_CUES = 5
RASTER_STEPS = 100
RASTER_NOISE = 0.4
"""Of the rasters: steps without and with synaptic noise together, half each; and its level."""
BINS = 30
"""Bins of initial weights, and of correlations of responses."""
CURVE_POINTS = 200
"""Patterns at which sorted responses, the tuning curves, are kept."""


def look(
    rows: Rows,
    familiar: Patterns,
    novel: Patterns,
    f: float,
    tests: int,
    streams: Streams,
    device: torch.device,
) -> xr.Dataset:
    """Measure recall of familiar patterns, and responses to these and to novel ones.

    Returns
    -------
    xarray.Dataset
        Curves and tolerances of recall (see `recall.describe_curves`); `robustness_min` and
        `robustness_mean` over neurons, by memory; `tuning_*` by rank and `sparseness_*` by row;
        `connected` and `strength` by `correlation` of responses, in bins; `histogram`, `weights`
        and `raster`, of some neurons.
    """
    memory = Memory(familiar, familiar, familiar, f)
    curves = tolerances(
        rows, memory, streams.child("recall"), tests=tests, device=device, kinds=KINDS
    )
    data = describe_curves(curves)
    weights = rows.weights
    # A neuron that is never active in these patterns may lose all synapses.
    left = weights.any(1)
    robustness = (signs(familiar) * inputs_of(rows, familiar))[:, left]
    robustness /= np.linalg.norm(weights[left], axis=1)
    data["robustness_min"] = ("memory", robustness.min(1), {"long_name": "y h / |w|_2, smallest"})
    data["robustness_mean"] = ("memory", robustness.mean(1), {"long_name": "y h / |w|_2, mean"})
    for name, patterns in (("familiar", familiar), ("novel", novel)):
        responses = patterns.astype(np.float32) @ weights.T
        text = f"sparseness of responses to {name} patterns"
        data[f"sparseness_{name}"] = ("row", sparseness(responses), {"long_name": text})
        text = f"response to {name} patterns / mean response, sorted"
        data[f"tuning_{name}"] = ("rank", _tuning(responses), {"long_name": text})
    data = data.merge(_by_correlation(rows, familiar))
    histogram = histogram_of_weights(weights, rows.living, WEIGHT_EDGES)
    data["histogram"] = ("bin", histogram, {"long_name": "density of w / mean surviving w"})
    data["weights"] = (("post", "pre"), weights[:SHOWN, :SHOWN], {"long_name": "some weights"})
    raster = _raster(rows, familiar[:RASTER_CUES], streams, device)
    data["raster"] = (("step", "cue", "neuron"), raster, {"long_name": "activity"})
    # Coordinates let what is shorter on other days and for other seeds be filled up.
    padded = ("memory", "rank", "cue", "neuron")
    return data.assign_coords({dim: np.arange(data.sizes[dim]) for dim in padded})


def _tuning(
    responses: Float[np.ndarray, "patterns rows"],
) -> Float[np.ndarray, " points"]:
    """Give the mean over neurons of responses, each relative to its mean and sorted."""
    responding = responses[:, responses.any(0)]
    relative = np.sort(responding / responding.mean(0), axis=0)[::-1].mean(1)
    places = np.linspace(0, len(relative) - 1, min(CURVE_POINTS, len(relative))).astype(int)
    return relative[places]


def _raster(
    rows: Rows, cues: Patterns, streams: Streams, device: torch.device
) -> UInt8[np.ndarray, "steps cues neurons"]:
    """Let patterns persist, first without and then with synaptic noise; give activity over time."""
    weights = torch.from_numpy(rows.weights).to(device)
    noisy, theta = noisy_weights(rows, streams, "one_factor", device)
    disturbed = noisy(0, RASTER_NOISE)
    still = torch.from_numpy(rows.theta).to(device)
    states = torch.from_numpy(cues.T.astype(np.float32)).to(device)
    neurons = _shown_neurons(cues)
    shown = []
    for step in range(RASTER_STEPS):
        shown.append(states.T.cpu().numpy().astype(np.uint8)[:, neurons])
        calm = step < RASTER_STEPS // 2
        h = (weights if calm else disturbed) @ states - (still if calm else theta)[:, None]
        states = (h > 0).to(states.dtype)
    return np.array(shown)


def _shown_neurons(cues: Patterns) -> Int[np.ndarray, " neurons"]:
    """Choose neurons that are active in one of the cues, and some that are silent in all."""
    active = cues.any(0)
    return np.concatenate(
        [np.flatnonzero(active)[:SHOWN_ACTIVE], np.flatnonzero(~active)[:SHOWN_SILENT]]
    )


def _by_correlation(rows: Rows, patterns: Patterns) -> xr.Dataset:
    """Give connection probability and mean strength by the correlation of responses."""
    centred = patterns - patterns.mean(0)
    spread = np.sqrt(np.square(centred).sum(0))
    spread[spread == 0] = np.inf  # never active among these patterns
    correlation = (centred / spread).T @ (centred / spread)
    others = ~np.eye(len(rows), dtype=bool)
    place = _places(
        np.linspace(correlation[others].min(), correlation[others].max(), BINS + 1), correlation
    )
    strength = _mean_by(place, rows.weights, others & rows.living)
    return xr.Dataset(
        {
            "correlation": (
                "pair_bin",
                _mean_by(place, correlation, others),
                {"long_name": "correlation of responses"},
            ),
            "connected": (
                "pair_bin",
                _mean_by(place, rows.living, others),
                {"long_name": "connection probability"},
            ),
            "strength": ("pair_bin", strength, {"long_name": "mean surviving weight"}),
        }
    )


def pruning(evening: Rows, living: Mapping[str, Bool[np.ndarray, "rows inputs"]]) -> xr.Dataset:
    """Give, for bins of the weights in the evening, the share that is pruned at looks at night.

    Parameters
    ----------
    evening
        The network before.
    living
        Which synapses are left, by the number of cycles.
    """
    weights, there = evening.weights, evening.living
    edges = np.unique(np.quantile(weights[there], np.linspace(0, 1, BINS + 1)))
    place = _places(edges, weights)
    pruned = np.array([_mean_by(place, ~left, there) for left in living.values()])
    return xr.Dataset(
        {
            "initial_weight": (
                "weight_bin",
                _mean_by(place, weights, there),
                {"long_name": "weight in the evening"},
            ),
            "pruned": (("look", "weight_bin"), pruned, {"long_name": "share pruned"}),
        },
        {"look": ("look", [int(cycle) for cycle in living], {"long_name": "replay cycles"})},
    )


def _places(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Find the bin of each value, that of the nearest edge for values beyond all."""
    return np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)


def _mean_by(
    place: np.ndarray, values: np.ndarray, which: Bool[np.ndarray, "rows inputs"]
) -> Float[np.ndarray, " bins"]:
    """Average values over the pairs of each bin; NaN where there are none."""
    counts = np.bincount(place[which], minlength=BINS)
    sums = np.bincount(place[which], values[which].astype(float), minlength=BINS)
    return np.divide(sums, counts, out=np.full(BINS, np.nan), where=counts > 0)
