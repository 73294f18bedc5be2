"""The network before and after a night: recall, responses, pruned synapses (Figure 3)."""

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int, UInt8

from sharpwave_shared.seeding import Streams
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation.measures import histogram_of_weights, labelled, sparseness
from synaptic_consolidation.model import Patterns, Rows, inputs_of
from synaptic_consolidation.recall import Memory, describe_curves, noisy_weights, tolerances

KINDS = ("balanced", "all_factors", "one_factor", "surviving")
"""Kinds of noise."""
SHOWN = 100
"""Rows and columns of the weight matrix that are kept for figures."""
SHOWN_PER_CUE, SHOWN_SILENT = 4, 20
"""Neurons of the raster, at most: active ones of each cue, and some that are silent in all."""
RASTER_STEPS, RASTER_CUE, RASTER_CALM = 200, 10, 50
"""Steps of the raster; steps after which the next cue comes; steps before noise sets in."""
RASTER_NOISE = 0.3
"""Level of the noise, which is drawn anew in every step."""
BINS = 30
"""Bins of initial weights, and of correlations of inputs."""
CURVE_POINTS = 200
"""Patterns at which sorted inputs, the tuning curves, are kept."""
RESPONSES = {
    "": ("inputs", lambda h, theta: h + theta),
    "soft_": ("responses above a soft threshold, max(h, 0),", lambda h, _: np.maximum(h, 0)),
    "hard_": ("responses above a hard threshold, 1 or 0,", lambda h, _: h > 0),
}
"""What is made of h = W xi - theta, by the beginning of its name."""
KNOWN = [f"{kind}{which}" for kind in RESPONSES for which in ("familiar", "novel")]
"""Responses whose sparseness is measured."""


def look(
    rows: Rows,
    familiar: Patterns,
    f: float,
    tests: int,
    streams: Streams,
    device: torch.device,
) -> xr.Dataset:
    """Measure recall of familiar patterns, and responses to these and to novel ones.

    Each novel pattern is a permutation of a familiar one.

    Returns
    -------
    xarray.Dataset
        Curves and tolerances of recall (see `recall.describe_curves`); `tuning_*`, sorted inputs
        by rank, and `sparseness_*` by row, see `KNOWN`; `connected` and `strength` by `correlation`
        of inputs, in bins; `histogram`, `weights`, `raster` and `currents`, of some neurons.
    """
    memory = Memory(familiar, familiar, familiar, f)
    curves = tolerances(
        rows, memory, streams.child("recall"), tests=tests, device=device, kinds=KINDS
    )
    data = describe_curves(curves)
    weights = rows.weights
    novel = streams.numpy("novel").permuted(familiar, axis=1)
    h = {"familiar": inputs_of(rows, familiar), "novel": inputs_of(rows, novel)}
    for which, values in h.items():
        for kind, (text, respond) in RESPONSES.items():
            data[f"sparseness_{kind}{which}"] = (
                "row",
                sparseness(respond(values, rows.theta).astype(float)),
                {"long_name": f"sparseness of {text} to {which} patterns"},
            )
        data[f"tuning_{which}"] = (
            "rank",
            _tuning(values, h["familiar"]),
            {"long_name": f"sorted inputs by {which} patterns, in s.d. of those by familiar ones"},
        )
    data = data.merge(_by_correlation(rows, h["familiar"]))
    histogram = histogram_of_weights(weights, rows.living)
    data["histogram"] = ("bin", histogram, {"long_name": "share of synapses by weight"})
    data["weights"] = (("post", "pre"), weights[:SHOWN, :SHOWN], {"long_name": "some weights"})
    states, currents = _raster(rows, familiar, streams.child("raster"), device)
    data["raster"] = (("step", "neuron"), states, {"long_name": "activity"})
    data["currents"] = (("step", "neuron"), currents, {"long_name": "W s - theta"})
    # Coordinates let what is shorter on other days and for other seeds be filled up.
    return data.assign_coords({dim: np.arange(data.sizes[dim]) for dim in ("rank", "neuron")})


def _tuning(
    inputs: Float[np.ndarray, "patterns rows"], familiar: Float[np.ndarray, "patterns rows"]
) -> Float[np.ndarray, " points"]:
    """Give the mean over neurons of inputs, in s.d. from the mean familiar one, and sorted."""
    mean, sd = familiar.mean(0), familiar.std(0)
    able = sd > 0
    scores = (inputs[:, able] - mean[able]) / sd[able]
    ordered, _ = mean_and_sd(np.sort(scores, axis=0)[::-1], 1)  # NaN if no neuron is able
    places = np.linspace(0, len(ordered) - 1, min(CURVE_POINTS, len(ordered))).astype(int)
    return ordered[places]


def _raster(
    rows: Rows, familiar: Patterns, streams: Streams, device: torch.device
) -> tuple[UInt8[np.ndarray, "steps neurons"], Float[np.ndarray, "steps neurons"]]:
    """Give one memory after another as a cue, at last with noise; give states, and W s - theta."""
    cues = familiar[np.arange(-(-RASTER_STEPS // RASTER_CUE)) % len(familiar)]
    neurons = _shown_neurons(cues)
    noisy, theta = noisy_weights(rows, streams, "one_factor", device)
    weights = noisy(0, 0.0)
    shown, currents = [], []
    state = torch.zeros_like(theta)
    for step in range(RASTER_STEPS):
        if step % RASTER_CUE == 0:
            state = torch.from_numpy(cues[step // RASTER_CUE]).to(device, theta.dtype)
        if step >= RASTER_CALM:
            weights = noisy(step, RASTER_NOISE)
        h = weights @ state - theta
        shown.append(state.cpu().numpy()[neurons].astype(np.uint8))
        currents.append(h.cpu().numpy()[neurons])
        state = (h > 0).to(theta.dtype)
    return np.array(shown), np.array(currents)


def _shown_neurons(cues: Patterns) -> Int[np.ndarray, " neurons"]:
    """Choose some neurons that are active in each of the cues, and some that are silent in all."""
    active = dict.fromkeys(
        neuron for cue in cues for neuron in np.flatnonzero(cue)[:SHOWN_PER_CUE].tolist()
    )
    silent = np.flatnonzero(~cues.any(0))[:SHOWN_SILENT]
    return np.array([*active, *silent.tolist()])


def _by_correlation(rows: Rows, inputs: Float[np.ndarray, "patterns rows"]) -> xr.Dataset:
    """Give connection probability and mean strength by the correlation of inputs of two neurons."""
    centred = inputs - inputs.mean(0)
    spread = np.sqrt(np.square(centred).sum(0))
    spread[spread == 0] = np.inf  # neurons without synapses
    correlation = (centred / spread).T @ (centred / spread)
    others = ~np.eye(len(rows), dtype=bool)
    edges = np.linspace(correlation[others].min(), correlation[others].max(), BINS + 1)
    place = _places(edges, correlation)
    values = {
        "correlation": _mean_by(place, correlation, others),
        "connected": _mean_by(place, rows.living, others),
        "strength": _mean_by(place, rows.weights, others & rows.living),
    }
    names = {
        "correlation": "correlation of input currents",
        "connected": "connection probability",
        "strength": "mean surviving weight",
    }
    return xr.Dataset(labelled("pair_bin", values, names))


def pruning(evening: Rows, living: Mapping[str, Bool[np.ndarray, "rows inputs"]]) -> xr.Dataset:
    """Give the share that is pruned at looks at night, by the logarithm of weights in the evening.

    Bins of the standardised logarithm are equally wide.

    Parameters
    ----------
    evening
        The network before.
    living
        Which synapses are left, by the number of cycles.
    """
    there = evening.living
    logs = np.log10(np.where(there, evening.weights, 1.0), dtype=float)
    sd = logs[there].std()
    logs = (logs - logs[there].mean()) / (sd if sd > 0 else 1.0)
    place = _places(np.linspace(logs[there].min(), logs[there].max(), BINS + 1), logs)
    pruned = np.array([_mean_by(place, ~left, there) for left in living.values()])
    return xr.Dataset(
        {
            "initial_weight": (
                "weight_bin",
                _mean_by(place, logs, there),
                {"long_name": "log10 of the weight in the evening, in s.d. from its mean"},
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
