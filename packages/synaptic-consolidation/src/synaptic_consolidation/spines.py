"""Statistics of synapses that fluctuate: of spines under a microscope, or simulated.

Recordings are arrays of synapses (rows) by times (columns); NaN is a missing value. A dead synapse
is 0 in a simulation: it takes part in no pair, and `living_only` drops it from norms.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.optimize import minimize_scalar

from sharpwave_shared.errors import InvalidInputError, ParameterError
from sharpwave_shared.statistics import mean_and_sd

Weights = Float[np.ndarray, "synapses times"]
Counts = UInt8[np.ndarray, "bootstraps synapses"]
Direction = Literal["growth", "shrinkage"]
Method = Literal["moving", "binned", "power", "raw"]

EXPONENTS: Float[np.ndarray, " exponents"] = np.arange(1, 45) / 10
"""The norms q whose variation is taken: 0.1 to 4.4."""
WINDOW = 20
"""A moving average covers one of this many parts of the sorted pairs."""
PLACES = 1000
"""Windows that a slope is fitted to, at most: neighbours hold nearly the same pairs."""
FEWEST_PAIRS = 2 * WINDOW
SIMULATED_SAMPLES = 144
"""Samples of a simulation that are analysed, its last ones: a day of 10 min each."""
KAUFMAN_COLUMNS = slice(1, 49)
"""The times of Kaufman et al. 2012 that are analysed: a day of 0.5 h each, the last 48 of 49.

The paper has 48 and does not say which. The published numbers do not tell either: from the first 48
to the last, slopes change by 0.002 and q_min by 0.02, each nearer to the published one.
"""
BLOCK = 4096
"""Synapses whose powers are held at once."""
MOST_COUNTS = 2**32


@dataclass(frozen=True)
class Pairs:
    """Sizes and the changes that follow, of all synapses that grew, or of all that shrank.

    Attributes
    ----------
    size
        w, ascending.
    change
        |dw|.
    synapse
        Row that each pair comes from.
    synapses
        Number of rows.
    """

    size: Float[np.ndarray, " pairs"]
    change: Float[np.ndarray, " pairs"]
    synapse: Int[np.ndarray, " pairs"]
    synapses: int


@dataclass(frozen=True)
class NormVariation:
    """How much norms of the population vary over time.

    Attributes
    ----------
    exponents
        q.
    measured
        Coefficient of variation of each q-norm.
    bootstrapped
        The same of resampled populations.
    """

    exponents: Float[np.ndarray, " exponents"]
    measured: Float[np.ndarray, " exponents"]
    bootstrapped: Float[np.ndarray, "bootstraps exponents"]

    @property
    def rescaled(self) -> Float[np.ndarray, "bootstraps exponents"]:
        """Every resampled curve, rescaled to [0, 1]."""
        return rescale(self.bootstrapped)

    @property
    def minima(self) -> Float[np.ndarray, " bootstraps"]:
        """q_min of every resampled population: the exponent whose norm varies least."""
        return self.exponents[self.bootstrapped.argmin(1)]

    @property
    def q_min(self) -> float:
        """The mean of `minima`."""
        return float(self.minima.mean())

    @property
    def q_min_sd(self) -> float:
        """The standard deviation of `minima`."""
        return float(mean_and_sd(self.minima)[1])


def read_spines(path: Path) -> Weights:
    """Read a recording.

    Parameters
    ----------
    path
        CSV without header: synapses in rows, times in columns; missing values are NaN or empty.

    Returns
    -------
    ndarray
        Sizes, in the unit of the file.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, or a line (which the message names) has text, an infinite or
        negative number, another number of columns than the first, a single one, or no value.
    """
    rows: list[np.ndarray] = []
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():  # blank lines end many files
                    row = _parse(line, f"{path}, line {number}")
                    if rows and len(row) != len(rows[0]):
                        raise InvalidInputError(
                            f"{path}, line {number}: got {len(row)} columns, "
                            f"expected {len(rows[0])}, as in the first line"
                        )
                    rows.append(row)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InvalidInputError(f"{path}: must be a readable CSV file ({reason})") from error
    if not rows:
        raise InvalidInputError(f"{path}: got no line, expected a row for every synapse")
    return np.stack(rows)


def _parse(line: str, place: str) -> Float[np.ndarray, " times"]:
    """Parse a line, or refuse it."""
    texts = [text.strip() or "nan" for text in line.split(",")]
    row = np.empty(len(texts))
    for column, text in enumerate(texts):
        try:
            # float() takes "1_000" for a number.
            row[column] = float(text.replace("_", "x"))
        except ValueError:
            shown = repr(text if len(text) <= 30 else text[:30] + "...")
            raise InvalidInputError(
                f"{place}: got {shown}, expected numbers separated by commas, NaN or nothing "
                "where one is missing"
            ) from None
    unusable = row[(row < 0) | np.isinf(row)]
    if len(unusable):
        raise InvalidInputError(f"{place}: got {unusable[0]}, expected finite sizes of at least 0")
    if len(row) == 1:
        raise InvalidInputError(f"{place}: got a single column, expected at least 2 times")
    if np.isnan(row).all():
        raise InvalidInputError(f"{place}: all values are missing, expected at least one")
    return row


def living_only(weights: Weights) -> Weights:
    """Give a copy in which sizes of 0, dead synapses, are missing."""
    return np.where(weights > 0, weights, np.nan)


def pairs(weights: Weights, lag: int, direction: Direction) -> Pairs:
    """Give all pairs of a size and the change that follows.

    Pairs begin and end with a size above 0: the last step of a dying synapse says where 0 is, not
    how large its noise is.

    Parameters
    ----------
    weights
        The recording.
    lag
        Columns between the two sizes.
    direction
        Growth (dw > 0) or shrinkage (dw < 0); pairs without change belong to neither.

    Raises
    ------
    ParameterError
        If `lag` or `direction` is out of range, or there are too few pairs for a moving average.
    """
    if direction not in get_args(Direction):
        allowed = ", ".join(get_args(Direction))
        raise ParameterError("direction", direction, f"one of {allowed}")
    times = weights.shape[1]
    if not 1 <= lag < times:
        raise ParameterError("lag", lag, f"1 to {times - 1} (of {times} times)")
    before, after = weights[:, :-lag], weights[:, lag:]
    change = after - before if direction == "growth" else before - after
    synapse, column = np.nonzero((change > 0) & (before > 0) & (after > 0))
    if len(synapse) < FEWEST_PAIRS:
        raise ParameterError(
            f"{direction} over {lag} columns", f"{len(synapse)} pairs", f"at least {FEWEST_PAIRS}"
        )
    size = before[synapse, column]
    order = np.argsort(size, kind="stable")
    return Pairs(size[order], change[synapse, column][order], synapse[order], weights.shape[0])


def moving_average(
    found: Pairs, counts: UInt8[np.ndarray, " synapses"] | None = None, parts: int | None = None
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Average sizes and changes over windows of the sorted pairs.

    Parameters
    ----------
    found
        The pairs.
    counts
        How often each synapse was drawn; once if left out. Pairs that were drawn several times lie
        beside each other: sums from the first to the p-th of them come from cumulative sums over
        the original ones.
    parts
        So many windows that do not overlap. Default: windows of 1/20 of the pairs at `PLACES`
        places (all, if there are fewer), which are spread evenly.

    Returns
    -------
    tuple
        Mean w and mean |dw| in each window.
    """
    drawn = np.ones(found.synapses) if counts is None else counts.astype(float)
    weight = drawn[found.synapse]
    ends = np.cumsum(weight)
    total = int(ends[-1])
    width = total // WINDOW if parts is None else total // parts
    if not width:
        raise ParameterError("pairs", total, f"at least {FEWEST_PAIRS}")
    last = total - width
    starts = np.unique(np.linspace(0, last, PLACES if parts is None else parts).astype(np.int64))
    return (
        _prefix(weight, ends, found.size, starts, width),
        _prefix(weight, ends, found.change, starts, width),
    )


def slope(
    found: Pairs,
    method: Method = "moving",
    counts: UInt8[np.ndarray, " synapses"] | None = None,
) -> float:
    """Give the slope of log |dw| against log w.

    Parameters
    ----------
    found
        The pairs.
    method
        `moving`: line through the logarithms of a moving average over 1/20 of the sorted pairs;
        `binned`: of the means of 20 parts of the sorted pairs; `power`: exponent of the power law
        with the least squared errors of |dw|; `raw`: line through the logarithms of all pairs.
    counts
        How often each synapse was drawn; once if left out.

    Raises
    ------
    ParameterError
        If `method` is none of these.
    """
    if method == "moving":
        return _line(*map(np.log, moving_average(found, counts)))
    if method == "binned":
        return _line(*map(np.log, moving_average(found, counts, WINDOW)))
    if method not in get_args(Method):
        allowed = ", ".join(get_args(Method))
        raise ParameterError("method", method, f"one of {allowed}")
    weight = None if counts is None else counts[found.synapse].astype(float)
    x, y = np.log(found.size), np.log(found.change)
    return _line(x, y, weight) if method == "raw" else _power_law(x, found.change, weight)


def bootstrap_slopes(
    found: Pairs, counts: Counts, method: Method = "moving"
) -> Float[np.ndarray, " bootstraps"]:
    """Give the slope for every resampled population; NaN for one with too few pairs.

    Synapses are drawn, not pairs: those of one synapse are not independent. See `slope`.
    """
    of_synapse = np.bincount(found.synapse, minlength=found.synapses)
    enough = counts @ of_synapse >= FEWEST_PAIRS
    return np.array(
        [
            slope(found, method, row) if fits else math.nan
            for row, fits in zip(counts, enough, strict=True)
        ]
    )


def draw_counts(synapses: int, bootstraps: int, generator: np.random.Generator) -> Counts:
    """Draw populations with replacement: how often each contains each synapse.

    Raises
    ------
    ParameterError
        If there are too many of them for memory.
    """
    if bootstraps < 1 or synapses * bootstraps > MOST_COUNTS:
        most = max(MOST_COUNTS // max(synapses, 1), 1)
        raise ParameterError("bootstraps", bootstraps, f"1 to {most}")
    counts = np.empty((bootstraps, synapses), np.uint8)
    for row in counts:
        # More than 255 in one place has a probability below 1e-500.
        row[:] = np.bincount(generator.integers(synapses, size=synapses), minlength=synapses)
    return counts


def norm_variation(
    weights: Weights,
    counts: Counts,
    exponents: Float[np.ndarray, " exponents"] = EXPONENTS,
) -> NormVariation:
    """Give the coefficient of variation over time of norms of the population.

    The norm is (mean of w^q)^(1/q) over the synapses that are measured at a time. Without missing
    values the mean is a sum up to a constant, which does not matter.

    Parameters
    ----------
    weights
        The recording. A size of 0 counts, as a part of the population; see `living_only`.
    counts
        How often each resampled population contains each synapse.
    exponents
        q, above 0.

    Raises
    ------
    ParameterError
        If a column has no value or only zeros, an exponent is not above 0, or norms are beyond
        the range of floating-point numbers.
    """
    if not (exponents > 0).all():
        raise ParameterError("exponents", exponents.tolist(), "numbers above 0")
    empty = np.flatnonzero(~(weights > 0).any(0))
    if len(empty):
        raise ParameterError(
            f"column {empty[0] + 1}", "no size above 0", "at least one at every time"
        )
    # The unit does not matter; this one keeps powers within range.
    with np.errstate(divide="ignore"):
        logs = np.log(weights / np.nanmax(weights))
    whole = np.ones((1, len(weights)), np.uint8)
    found = _variation(logs, np.concatenate([whole, counts]), exponents)
    if not np.isfinite(found).all():
        raise ParameterError("norms", "some that are not finite", "fewer gaps")
    return NormVariation(exponents, found[0], found[1:])


def _variation(
    logs: Weights, counts: Counts, exponents: Float[np.ndarray, " exponents"]
) -> Float[np.ndarray, "bootstraps exponents"]:
    """Give coefficients of variation; sums over populations are products with counts."""
    missing = np.isnan(logs)
    logs = np.where(missing, -np.inf, logs)  # the power is 0
    blocks = [slice(first, first + BLOCK) for first in range(0, len(logs), BLOCK)]
    if missing.any():
        present = np.zeros((len(counts), logs.shape[1]))
        for block in blocks:
            present += counts[:, block].astype(float) @ (~missing[block]).astype(float)
    else:
        present = counts.sum(1, dtype=float)[:, None]
    found = np.empty((len(counts), len(exponents)))
    for index, q in enumerate(exponents):
        sums = np.zeros((len(counts), logs.shape[1]))
        for block in blocks:
            sums += counts[:, block].astype(float) @ np.exp(q * logs[block])
        # A resampled population may have no value at a time.
        with np.errstate(divide="ignore", invalid="ignore"):
            norms = np.exp(np.log(sums / present) / q)
            norms[np.broadcast_to(present == 0, norms.shape)] = np.nan
            found[:, index] = np.nanstd(norms, axis=1) / np.nanmean(norms, axis=1)
    return found


def rescale(
    curves: Float[np.ndarray, "*curves exponents"],
) -> Float[np.ndarray, "*curves exponents"]:
    """Rescale every curve to [0, 1]; a flat one becomes 0."""
    low = curves.min(-1, keepdims=True)
    extent = curves.max(-1, keepdims=True) - low
    return (curves - low) / np.where(extent > 0, extent, 1.0)


def r_squared(data: Float[np.ndarray, " points"], model: Float[np.ndarray, " points"]) -> float:
    """Give the share of the variance of data that a model explains; it may be negative.

    The paper compares mean rescaled curves of variation: `rescaled.mean(0)`.
    """
    return float(1 - np.sum((data - model) ** 2) / np.sum((data - data.mean()) ** 2))


def _prefix(
    weight: np.ndarray, ends: np.ndarray, values: np.ndarray, starts: np.ndarray, width: int
) -> np.ndarray:
    """Average repeated values over windows that start at `starts`."""
    sums = np.cumsum(weight * values)

    def before(places: np.ndarray) -> np.ndarray:
        index = np.searchsorted(ends, places)
        return sums[index] - (ends[index] - places) * values[index]

    return (before(starts + width) - before(starts)) / width


def _line(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Give the slope of the regression of y on x."""
    x = x - np.average(x, weights=weight)
    y = y - np.average(y, weights=weight)
    weighted = x if weight is None else x * weight
    squares = float(weighted @ x)
    return float(weighted @ y) / squares if squares > 0 else math.nan


def _power_law(x: np.ndarray, change: np.ndarray, weight: np.ndarray | None) -> float:
    """Give the exponent b with which a exp(b x) comes closest to changes; a follows from b."""
    x = x - x[-1]  # the largest: powers with b >= 0 are at most 1
    share = np.ones_like(x) if weight is None else weight

    def unexplained(b: float) -> float:
        powers = np.exp(b * x)
        return -(float((share * change) @ powers) ** 2) / float((share * powers) @ powers)

    return float(minimize_scalar(unexplained, bounds=(-3, 3), method="bounded").x)  # pyright: ignore[reportAttributeAccessIssue]
