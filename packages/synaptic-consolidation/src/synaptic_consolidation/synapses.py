"""Figures 5 and 6: how noise scales with size in simulated synapses, and in measured spines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from sharpwave_shared.compiled import workers
from sharpwave_shared.data import DataRecord, kaufman_2012
from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError
from sharpwave_shared.files import sha256
from sharpwave_shared.journal import Journal
from sharpwave_shared.paths import PathLike, as_path
from sharpwave_shared.results import combine
from sharpwave_shared.seeding import Streams
from sharpwave_shared.statistics import mean_and_sd
from synaptic_consolidation import spines
from synaptic_consolidation.experiments.synapses import KAUFMAN_HOURS, Fluctuations
from synaptic_consolidation.fluctuations import simulate
from synaptic_consolidation.measures import labelled
from synaptic_consolidation.spines import DIRECTIONS, METHODS, Weights

SIMULATED_HOURS = 1 / 6
"""Hours between the samples of a simulation."""
SHOWN_PAIRS, SHOWN_WINDOWS, SHOWN_CURVES = 2000, 100, 40
"""Pairs, windows of the moving average and resampled curves that are kept for the figures."""
SLOPE_BOOTSTRAPS = 100
"""Resampled populations for the s.d. of slopes."""
NUMBERS = {
    "synapses": "synapses alive at the end",
    "living": "share of synapses alive at the end",
    "q_min": "q_min, exponent of the norm that varies least, mean over curves",
    "q_min_sd": "s.d. of q_min over curves",
}
BY_DIRECTION = {
    "pairs": "pairs of a size and the change that follows",
    **{f"slope_{m}": f"slope of log |dw| against log w ({m})" for m in METHODS},
    "slope_moving_sd": "s.d. of the slope over resampled populations (moving)",
}
CURVES = {
    "variation": "coefficient of variation over time of a norm",
    "curve": "variation of data and resampled populations, rescaled to [0, 1], mean",
    "curve_sd": "variation of data and resampled populations, rescaled to [0, 1], s.d.",
}


@dataclass(frozen=True)
class Recording:
    """A recording of spines.

    Attributes
    ----------
    name
        Of the data.
    sizes
        Synapses in rows, times in columns; NaN is missing, 0 a synapse that is gone.
    hours
        Time between columns; pairs of sizes are so far apart.
    record
        Where it comes from.
    """

    name: str
    sizes: Weights
    hours: float
    record: DataRecord


def kaufman(data_dir: PathLike | None = None) -> Recording:
    """Read the spines of Kaufman et al. 2012; see `sharpwave_shared.data.kaufman_2012`."""
    data = kaufman_2012(data_dir=data_dir)
    sizes = data.values[:, spines.KAUFMAN_COLUMNS]
    return Recording("Kaufman et al. 2012", sizes, KAUFMAN_HOURS, data.record)


def read_recording(
    path: PathLike, hours: float, *, header: bool | None = None, index: bool | None = None
) -> Recording:
    """Read a recording from a file; see `spines.read_spines`.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, or says too little.
    """
    path = as_path("path", path)
    sizes = spines.read_spines(path, header=header, index=index)
    if not enough(sizes):
        raise InvalidInputError(
            f"{path}: got too little, expected at least {spines.FEWEST_PAIRS} growths and as many "
            "shrinkages from a column to the next, and rows with a size above 0 in the last column "
            "that have one in every column"
        )
    record = DataRecord("file", "FILE", str(path), sha256(path))
    return Recording(path.stem, sizes, hours, record)


def compare(
    factors: Sequence[int],
    seeds: Sequence[int],
    parameters: Fluctuations,
    recording: Recording | None,
    bootstraps: int,
    journal: Journal,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate synapses of several numbers of factors, and compare their noise with that of spines.

    Of each simulation the last 144 samples (a day) are analysed. Simulations run side by side in
    threads; how many makes no difference to the numbers.

    Parameters
    ----------
    factors
        Numbers of factors z.
    seeds
        Of the simulations.
    parameters
        Of all simulations.
    recording
        What to compare with, if anything.
    bootstraps
        Number of resampled populations.
    journal
        Shows the progress and keeps what is done.
    seed
        Of resampling the recording.

    Returns
    -------
    xarray.Dataset
        What `analyse` gives, by seed and number of factors, NaN where too few synapses live to be
        analysed (a warning tells of it); the same of the recording, as `measured_*`; and
        `r_squared`, of the measured curve, explained by the simulated one.

    Raises
    ------
    ParameterError
        If an argument is out of range or the recording has too few pairs.
    SharpwaveError
        If too few synapses live in every simulation.
    """
    measured = None
    if recording is not None:
        streams = Streams(seed).child("measured")
        measured = journal.once(
            "measured", lambda _: analyse(recording.sizes, 1, bootstraps, streams, recording.hours)
        )
    total = len(factors) * len(seeds)
    with (
        workers(total) as in_parallel,
        journal.reporter.progress("simulating and analysing", total) as advance,
    ):

        def one(condition: tuple[int, int]) -> xr.Dataset:
            seed, z = condition
            result = journal.once(
                f"seed {seed}, z {z}",
                lambda _: _simulated(z, parameters, bootstraps, Streams(seed)),
            )
            advance(1)
            return result

        conditions = [(seed, z) for seed in seeds for z in factors]
        found = dict(zip(conditions, in_parallel(one, conditions), strict=True))
    known = [result for result in found.values() if result]
    if not known:
        raise SharpwaveError("too few synapses live in every simulation: nothing to analyse")
    for (seed, z), result in found.items():
        if not result:
            journal.reporter.warn(
                f"z = {z}, seed {seed}: too few synapses live for an analysis; left out"
            )
            found[seed, z] = xr.full_like(known[0], np.nan, float)
    data = combine(lambda seed, z: found[seed, z], {"seed": seeds, "factors": factors})
    if recording is None or measured is None:
        return data
    names = {name: f"measured_{name}" for name in [*measured.data_vars, "lag"]}
    explained = xr.apply_ufunc(
        spines.r_squared,
        measured["curves"],
        data["curve"],
        input_core_dims=[["curve_shown", "exponent"], ["exponent"]],
        vectorize=True,
    )
    explained.attrs = {"long_name": "R^2 of the measured rescaled variation, of all curves"}
    measured = measured.isel(curve_shown=slice(SHOWN_CURVES))
    data = data.assign(r_squared=explained).merge(measured.rename(names))
    return data.assign_attrs(recording=recording.name, hours=recording.hours)


def _simulated(
    factors: int, parameters: Fluctuations, bootstraps: int, streams: Streams
) -> xr.Dataset:
    """Simulate and analyse; give nothing if too few synapses live."""
    weights = simulate(factors, parameters, streams)[:, -spines.SIMULATED_SAMPLES :]
    if not enough(weights, spines.SIMULATED_LAG):
        return xr.Dataset()
    streams = streams.child("factors", factors)
    data = analyse(weights, spines.SIMULATED_LAG, bootstraps, streams, SIMULATED_HOURS)
    return data.isel(curve_shown=slice(SHOWN_CURVES))


def enough(weights: Weights, lag: int = 1) -> bool:
    """Tell whether a recording has pairs enough for slopes, and a size at every time for norms."""
    try:
        for direction in DIRECTIONS:
            spines.pairs(weights, lag, direction)
    except ParameterError:
        return False
    return bool((spines.population(weights) > 0).any(0).all())


def analyse(
    weights: Weights, lag: int, bootstraps: int, streams: Streams, hours: float
) -> xr.Dataset:
    """Take the statistics of a recording.

    Parameters
    ----------
    weights
        Synapses in rows, times in columns; NaN is missing, 0 a dead synapse.
    lag
        Columns between the sizes of pairs.
    bootstraps
        Number of curves of variation: of the data, and of resampled populations.
    streams
        Resampling takes the purposes ("bootstrap",), of synapses for slopes, and ("curves",).
    hours
        Time between columns.

    Returns
    -------
    xarray.Dataset
        `NUMBERS`; `BY_DIRECTION`; `slope_by_lag`, NaN where there are too few pairs; `CURVES`, by
        exponent; `curves`, all rescaled ones, that of the data first, and their `minima`; and
        excerpts of sorted `size` and `change` and of their moving averages `average_size` and
        `average_change`.

    Raises
    ------
    ParameterError
        If there are too few pairs, or no size above 0 at some time.
    """
    found = [spines.pairs(weights, lag, direction) for direction in DIRECTIONS]
    counts = spines.draw_counts(len(weights), SLOPE_BOOTSTRAPS, streams.numpy("bootstrap"))
    living = spines.population(weights)
    norms = spines.norm_variation(living, bootstraps, streams.numpy("curves"))
    rescaled = spines.rescale(norms.curves)
    curve, curve_sd = mean_and_sd(rescaled)
    numbers = {
        "synapses": len(living),
        "living": len(living) / len(weights),
        "q_min": norms.q_min,
        "q_min_sd": norms.q_min_sd,
    }
    by_direction: dict[str, np.ndarray] = {"pairs": np.array([len(p.size) for p in found])}
    for method in METHODS:
        by_direction[f"slope_{method}"] = np.array([spines.slope(p, method) for p in found])
    resampled = [spines.bootstrap_slopes(p, counts) for p in found]
    by_direction["slope_moving_sd"] = np.array([mean_and_sd(slopes)[1] for slopes in resampled])
    lags = hours * np.arange(1, weights.shape[1])
    places = spines.ascending(weights)
    by_lag = np.array([_slopes_by_lag(weights, d, places) for d in DIRECTIONS])
    data = xr.Dataset(
        labelled((), numbers, NUMBERS)
        | labelled("direction", by_direction, BY_DIRECTION)
        | labelled(
            "exponent",
            {"variation": norms.curves[0], "curve": curve, "curve_sd": curve_sd},
            CURVES,
        ),
        {
            "direction": list(DIRECTIONS),
            "exponent": spines.EXPONENTS,
            "lag": ("lag", lags, {"units": "h"}),
        },
    )
    data = data.assign(
        slope_by_lag=(("direction", "lag"), by_lag, {"long_name": "slope, by time between sizes"}),
        curves=(("curve_shown", "exponent"), rescaled, {"long_name": "rescaled variation"}),
        minima=("population", norms.minima, {"long_name": "q_min of every curve"}),
    )
    sorted_pairs = [(p.size, p.change) for p in found]
    averages = [spines.moving_average(p) for p in found]
    for prefix, dim, values, most in (
        ("", "pair", sorted_pairs, SHOWN_PAIRS),
        ("average_", "window", averages, SHOWN_WINDOWS),
    ):
        size, change = (_excerpts(part, most) for part in zip(*values, strict=True))
        data[f"{prefix}size"] = (("direction", dim), size, {"long_name": "size w"})
        data[f"{prefix}change"] = (("direction", dim), change, {"long_name": "change |dw|"})
    return data


def _excerpts(values: Sequence[np.ndarray], most: int) -> Float[np.ndarray, "rows places"]:
    """Choose values at evenly spread places, and stack them; NaN where there are fewer."""
    chosen = np.full((len(values), most), np.nan)
    for row, value in zip(chosen, values, strict=True):
        count = min(len(value), most)
        row[:count] = value[np.linspace(0, len(value) - 1, count).astype(np.int64)]
    return chosen


def _slopes_by_lag(
    weights: Weights, direction: spines.Direction, places: Int[np.ndarray, " places"]
) -> Float[np.ndarray, " lags"]:
    slopes = np.full(weights.shape[1] - 1, math.nan)
    for lag in range(1, weights.shape[1]):
        try:
            slopes[lag - 1] = spines.slope(spines.pairs(weights, lag, direction, places))
        except ParameterError:
            continue  # too few pairs: the longest lags of small recordings
    return slopes
