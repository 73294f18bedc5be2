"""Figures 5 and 6: how noise scales with size in simulated synapses, and in measured spines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sharpwave_shared.compiled import workers
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.fluctuations import Fluctuations, simulate
from synaptic_consolidation.spines import (
    BOOTSTRAPS,
    EXPONENTS,
    SIMULATED_SAMPLES,
    Direction,
    Method,
    bootstrap_slopes,
    draw_counts,
    living_only,
    moving_average,
    norm_variation,
    pairs,
    r_squared,
    slope,
)

Weights = Float[np.ndarray, "synapses times"]
Arrays = dict[str, np.ndarray]

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
METHODS: tuple[Method, ...] = get_args(Method)
SIMULATED_HOURS = 1 / 6
"""Hours between the samples of a simulation."""
SHOWN_PAIRS, SHOWN_WINDOWS, SHOWN_CURVES = 2000, 100, 40
"""Pairs, windows of the moving average and resampled curves that are kept for the figures."""


@dataclass(frozen=True)
class Spines:
    """A recording of spines.

    Attributes
    ----------
    name
        Of the data.
    sizes
        Synapses in rows, times in columns; NaN is missing, 0 a synapse that is gone.
    hours
        Time between columns.
    """

    name: str
    sizes: Weights
    hours: float

    def __post_init__(self) -> None:
        if not 0 < self.hours < math.inf:
            raise InvalidInputError(f"hours: got {self.hours}, expected a finite number above 0")


def compare(
    factors: Sequence[int],
    seeds: Sequence[int],
    parameters: Fluctuations,
    *,
    spines: Spines | None = None,
    bootstraps: int = BOOTSTRAPS,
    journal: Journal | None = None,
) -> tuple[dict[str, Any], Arrays]:
    """Simulate synapses of several numbers of factors, and compare their noise with that of spines.

    Of each simulation the last 144 samples (a day) are analysed. Simulations run side by side in
    threads; how many makes no difference to the numbers.

    Parameters
    ----------
    factors
        Numbers of factors z.
    seeds
        Of the simulations; resampling of the spines takes the first.
    parameters
        Of all simulations.
    spines
        The recording to compare with, if any.
    bootstraps
        Number of resampled populations.
    journal
        Shows the progress and keeps what is done: a run that was cut off goes on after the last
        simulation that was analysed.

    Returns
    -------
    tuple
        Metrics: `bootstraps`, `simulated` (for every z and seed `factors`, `seed` and a summary)
        and `measured` (`name` and a summary, or None). A summary has `hours` (between samples),
        `synapses` (alive at some time), `living` (share of all at the last time), `pairs` and
        `slopes` (of log |dw| against log w over one sample; with the standard deviation `sd` over
        resampled populations) by direction, `slope_by_lag` (over 1, 2, ... samples; NaN where
        there are too few pairs), `q_min` and `q_min_sd`, `q_min_with_dead` (where sizes of 0 count)
        and, for simulations beside spines, `r_squared`. Simulations of which too few synapses live
        to be analysed are left out, with a warning.

        Arrays for the figures, named by `measured` or by seed and z (`seed0.z2.`): `curve` and
        `curve_sd`, the rescaled variation of q-norms, of all; of the first seed and of the spines
        also `variation` (not rescaled), `curves` and `minima` (resampled), and for each direction
        `growth.pairs` and `growth.average` (w, |dw|).

    Raises
    ------
    InvalidInputError
        If an argument is out of range or the recording has too few pairs.
    SharpwaveError
        If too few synapses live in every simulation.
    """
    journal = journal or Journal()
    total = len(factors) * len(seeds)
    measured: Arrays | None = None
    if spines is not None:
        sizes, streams = spines.sizes, Streams(seeds[0]).child("measured")
        kept = journal.once("measured", lambda _: _tensors(analyse(sizes, bootstraps, streams)))
        measured = _arrays(kept)

    with (
        workers(total) as in_parallel,
        journal.reporter.progress("simulating and analysing", total) as advance,
    ):

        def one(condition: tuple[int, int]) -> Arrays:
            seed, z = condition
            result = journal.once(
                f"seed{seed}-z{z}",
                lambda _: _tensors(_simulated(z, parameters, bootstraps, Streams(seed))),
            )
            advance(1)
            return _arrays(result)

        conditions = [(seed, z) for seed in seeds for z in factors]
        results = in_parallel(one, conditions)

    metrics: dict[str, Any] = {"bootstraps": bootstraps, "simulated": [], "measured": None}
    arrays: Arrays = {"exponents": EXPONENTS}
    if spines is not None and measured is not None:
        summary = {"name": spines.name} | _summary(measured, spines.hours)
        metrics["measured"] = summary
        arrays |= _shown("measured", measured, whole=True)
    for (seed, z), result in zip(conditions, results, strict=True):
        if not result:
            journal.reporter.warn(
                f"z = {z}, seed {seed}: too few synapses live for an analysis; left out"
            )
            continue
        summary = {"factors": z, "seed": seed} | _summary(result, SIMULATED_HOURS)
        if measured is not None:
            summary["r_squared"] = r_squared(measured["curve"], result["curve"])
        metrics["simulated"].append(summary)
        arrays |= _shown(f"seed{seed}.z{z}", result, whole=seed == seeds[0])
    if not metrics["simulated"]:
        raise SharpwaveError("too few synapses live in every simulation: nothing to analyse")
    return metrics, arrays


def _simulated(factors: int, parameters: Fluctuations, bootstraps: int, streams: Streams) -> Arrays:
    """Simulate and analyse; give nothing if too few synapses live."""
    weights = simulate(factors, parameters, streams)[:, -SIMULATED_SAMPLES:]
    if not enough(weights):
        return {}
    return analyse(weights, bootstraps, streams.child("factors", factors))


def enough(weights: Weights) -> bool:
    """Tell whether a recording has pairs enough for slopes, and a size at every time for norms."""
    try:
        for direction in DIRECTIONS:
            pairs(weights, 1, direction)
    except InvalidInputError:
        return False
    return bool((weights > 0).any(0).all())


def analyse(weights: Weights, bootstraps: int, streams: Streams) -> Arrays:
    """Take the statistics of a recording.

    Norms are means over living synapses, as in the equation of homeostasis.

    Parameters
    ----------
    weights
        Synapses in rows, times in columns; NaN is missing, 0 a dead synapse.
    bootstraps
        Number of resampled populations; drawn from the synapses that live at some time.
    streams
        Resampling takes the purpose ("bootstrap",).

    Returns
    -------
    dict
        What `compare` turns into metrics and arrays.

    Raises
    ------
    InvalidInputError
        If there are too few pairs, no size above 0 at some time, or too many bootstraps.
    """
    everyone = len(weights)
    living = living_only(weights)
    once_alive = np.isfinite(living).any(1)
    weights, living = weights[once_alive], living[once_alive]
    counts = draw_counts(len(living), bootstraps, streams.numpy("bootstrap"))
    found = [pairs(weights, 1, direction) for direction in DIRECTIONS]
    norms = norm_variation(living, counts)
    with_dead = norm_variation(weights, counts) if (weights == 0).any() else norms
    rescaled = norms.rescaled
    result = {
        "population": np.array([everyone, len(living), (weights[:, -1] > 0).sum()]),
        "pairs": np.array([len(p.size) for p in found]),
        "slopes": np.array([[slope(p, m) for p in found] for m in METHODS]),
        "slopes_sd": np.array(
            [[np.nanstd(bootstrap_slopes(p, counts, m)) for p in found] for m in METHODS]
        ),
        "slope_by_lag": np.array([_slopes_by_lag(weights, d) for d in DIRECTIONS]),
        "q_min": np.array([norms.q_min, norms.q_min_sd, with_dead.q_min]),
        "variation": norms.measured,
        "curve": rescaled.mean(0),
        "curve_sd": rescaled.std(0),
        "curves": rescaled[:SHOWN_CURVES],
        "minima": norms.minima,
    }
    for direction, p in zip(DIRECTIONS, found, strict=True):
        shown = np.linspace(0, len(p.size) - 1, min(len(p.size), SHOWN_PAIRS)).astype(np.int64)
        average = np.stack(moving_average(p))
        windows = np.linspace(0, average.shape[1] - 1, min(average.shape[1], SHOWN_WINDOWS))
        result[f"{direction}.pairs"] = np.stack([p.size[shown], p.change[shown]])
        result[f"{direction}.average"] = average[:, windows.astype(np.int64)]
    return result


def _slopes_by_lag(weights: Weights, direction: Direction) -> Float[np.ndarray, " lags"]:
    slopes = np.full(weights.shape[1] - 1, math.nan)
    for lag in range(1, weights.shape[1]):
        try:
            slopes[lag - 1] = slope(pairs(weights, lag, direction))
        except InvalidInputError:
            continue  # too few pairs: the longest lags of small recordings
    return slopes


def _summary(result: Arrays, hours: float) -> dict[str, Any]:
    """Turn what `analyse` gives into metrics."""
    everyone, once_alive, living = result["population"].tolist()
    q_min, q_min_sd, q_min_with_dead = result["q_min"].tolist()
    slopes = {
        method: {
            direction: {"value": float(value), "sd": float(sd)}
            for direction, value, sd in zip(DIRECTIONS, values, sds, strict=True)
        }
        for method, values, sds in zip(METHODS, result["slopes"], result["slopes_sd"], strict=True)
    }
    return {
        "hours": hours,
        "synapses": once_alive,
        "living": living / everyone,
        "pairs": dict(zip(DIRECTIONS, result["pairs"].tolist(), strict=True)),
        "slopes": slopes,
        "slope_by_lag": dict(zip(DIRECTIONS, result["slope_by_lag"].tolist(), strict=True)),
        "q_min": q_min,
        "q_min_sd": q_min_sd,
        "q_min_with_dead": q_min_with_dead,
    }


def _shown(name: str, result: Arrays, *, whole: bool) -> Arrays:
    """Select what the figures show, in single precision."""
    keys = ["curve", "curve_sd"]
    if whole:
        keys += ["variation", "curves", "minima"]
        keys += [f"{d}.{what}" for d in DIRECTIONS for what in ("pairs", "average")]
    return {f"{name}.{key}": result[key].astype(np.float32) for key in keys}


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _arrays(tensors: dict[str, Tensor]) -> Arrays:
    return {name: tensor.numpy() for name, tensor in tensors.items()}
