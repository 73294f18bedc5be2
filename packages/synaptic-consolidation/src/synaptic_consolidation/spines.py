"""Statistics of synapses that fluctuate: of spines under a microscope, or simulated.

Recordings are arrays of synapses (rows) by times (columns); NaN is a missing value, and a dead
synapse is 0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.optimize import minimize_scalar

from sharpwave_shared.compiled import jit
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
SMALLEST_WINDOW = 10
"""But at least so many pairs."""
FEWEST_PAIRS = 2 * WINDOW
SIMULATED_SAMPLES = 144
"""Samples of a simulation that are analysed, its last ones: a day of 10 min each."""
SIMULATED_LAG = 2
"""Samples between the two sizes of a pair: 20 min."""
KAUFMAN_COLUMNS = slice(48)
"""The times of Kaufman et al. 2012 that are analysed: a day of 0.5 h each."""


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
    curves
        Coefficient of variation of each q-norm, of the data (first) and of resampled populations.
    """

    exponents: Float[np.ndarray, " exponents"]
    curves: Float[np.ndarray, "curves exponents"]

    @property
    def rescaled(self) -> Float[np.ndarray, "curves exponents"]:
        """Every curve, rescaled to [0, 1]."""
        return rescale(self.curves)

    @property
    def minima(self) -> Float[np.ndarray, " curves"]:
        """q_min of every curve: the exponent whose norm varies least."""
        return self.exponents[self.curves.argmin(1)]

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


def population(weights: Weights) -> Float[np.ndarray, "living times"]:
    """Give the rows whose last size is above 0, with 0 for what is missing: what norms are of."""
    return np.nan_to_num(weights[weights[:, -1] > 0])


def ascending(weights: Weights) -> Int[np.ndarray, " places"]:
    """Give the places, in the flat recording, of all sizes above 0 from the smallest on."""
    places = np.flatnonzero(weights > 0)
    return places[np.argsort(weights.ravel()[places], kind="stable")]


def pairs(
    weights: Weights,
    lag: int,
    direction: Direction,
    places: Int[np.ndarray, " places"] | None = None,
) -> Pairs:
    """Give all pairs of a size and the change that follows.

    A pair begins with a size above 0; one that ends in death is a shrinkage.

    Parameters
    ----------
    weights
        The recording.
    lag
        Columns between the two sizes.
    direction
        Growth (dw > 0) or shrinkage (dw < 0); pairs without change belong to neither.
    places
        What `ascending` gives, if it is known from another lag: sorting takes most of the time.

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
    places = ascending(weights) if places is None else places
    places = places[places % times < times - lag]
    flat = weights.ravel()
    size = flat[places]
    change = flat[places + lag] - size
    change = change if direction == "growth" else -change
    known = change > 0
    found = Pairs(size[known], change[known], places[known] // times, len(weights))
    if len(found.size) < FEWEST_PAIRS:
        raise ParameterError(
            *(f"{direction} over {lag} columns", f"{len(found.size)} pairs"),
            f"at least {FEWEST_PAIRS}",
        )
    return found


def moving_average(
    found: Pairs,
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Smooth changes by a centred moving average over 1/20 of the sorted pairs.

    Returns
    -------
    tuple
        w in the middle of each window that lies within the pairs, and the mean |dw| in it.
    """
    pairs = len(found.size)
    width = max(SMALLEST_WINDOW, round(pairs / WINDOW))
    sums = np.concatenate([[0.0], np.cumsum(found.change)])
    middle = width // 2
    return (
        found.size[middle : middle + pairs - width + 1],
        (sums[width:] - sums[:-width]) / width,
    )


def slope(found: Pairs, method: Method = "moving") -> float:
    """Give the slope of log |dw| against log w.

    Parameters
    ----------
    found
        The pairs.
    method
        `moving`: line through the logarithms of a moving average over 1/20 of the sorted pairs;
        `binned`: of the means of 20 parts of the sorted pairs; `power`: exponent of the power law
        with the least squared errors of |dw|; `raw`: line through the logarithms of all pairs.

    Raises
    ------
    ParameterError
        If `method` is none of these.
    """
    if method == "moving":
        return _line(*moving_average(found))
    if method == "binned":
        parts = (np.array_split(values, WINDOW) for values in (found.size, found.change))
        return _line(*(np.array([part.mean() for part in split]) for split in parts))
    if method == "raw":
        return _line(found.size, found.change)
    if method != "power":
        allowed = ", ".join(get_args(Method))
        raise ParameterError("method", method, f"one of {allowed}")
    return _power_law(np.log(found.size), found.change)


def resample(found: Pairs, counts: UInt8[np.ndarray, " synapses"]) -> Pairs:
    """Give the pairs of a population in which each synapse is drawn so many times.

    Synapses are drawn, not pairs: those of one synapse are not independent.
    """
    drawn = np.repeat(np.arange(len(found.size)), counts[found.synapse])
    values = (found.size[drawn], found.change[drawn], found.synapse[drawn])
    return Pairs(*values, found.synapses)


def bootstrap_slopes(
    found: Pairs, counts: Counts, method: Method = "moving"
) -> Float[np.ndarray, " bootstraps"]:
    """Give the slope for every resampled population; NaN for one with too few pairs."""
    resampled = (resample(found, row) for row in counts)
    return np.array(
        [slope(p, method) if len(p.size) >= FEWEST_PAIRS else np.nan for p in resampled]
    )


def draw_counts(synapses: int, bootstraps: int, generator: np.random.Generator) -> Counts:
    """Draw populations with replacement: how often each contains each synapse."""
    counts = np.empty((bootstraps, synapses), np.uint8)
    for row in counts:
        # More than 255 in one place has a probability below 1e-500.
        row[:] = np.bincount(generator.integers(synapses, size=synapses), minlength=synapses)
    return counts


def norm_variation(
    weights: Weights,
    curves: int,
    generator: np.random.Generator,
    exponents: Float[np.ndarray, " exponents"] = EXPONENTS,
) -> NormVariation:
    """Give the coefficient of variation over time of norms of the population.

    The norm is (sum of w^q)^(1/q), the coefficient its population s.d. over its mean. In a
    resampled population, every time has a draw of its own of as many rows with replacement, anew
    for every q, so that its variation includes that of sampling (Iatropoulos et al.,
    Figure 6).

    Parameters
    ----------
    weights
        Sizes of at least 0; see `population`.
    curves
        How many curves: of the data, and of resampled populations.
    generator
        Of the draws.
    exponents
        q, above 0.

    Raises
    ------
    ParameterError
        If a column has no size above 0, or an exponent is not above 0.
    """
    if not (exponents > 0).all():
        raise ParameterError("exponents", exponents.tolist(), "numbers above 0")
    empty = np.flatnonzero(~(weights > 0).any(0))
    if len(empty):
        raise ParameterError(
            f"column {empty[0] + 1}", "no size above 0", "at least one at every time"
        )
    rows, times = weights.shape
    # The unit does not matter; this one keeps powers within range.
    with np.errstate(divide="ignore"):
        logs = np.log(np.ascontiguousarray(weights.T) / weights.max())
    found = np.empty((curves, len(exponents)))
    sums = np.empty(times)
    for index, q in enumerate(exponents):
        powers = np.exp(q * logs)
        found[0, index] = _variation(powers.sum(1), q)
        for curve in range(1, curves):
            # Two draws from each word of 64 bits.
            words = generator.integers(
                2**64 - 1, size=(times, -(-rows // 2)), dtype=np.uint64, endpoint=True
            )
            _sums_of_draws(powers, words, sums)
            found[curve, index] = _variation(sums, q)
    return NormVariation(exponents, found)


def _variation(sums: Float[np.ndarray, " times"], q: float) -> float:
    norms = sums ** (1 / q)
    return float(norms.std() / norms.mean())


@jit
def _sums_of_draws(powers, words, sums):
    """Sum as many values, drawn with replacement, as there are, for every time."""
    times, rows = powers.shape  # words: times x half of the rows, rounded up
    n, half, low = np.uint64(rows), np.uint64(32), np.uint64(0xFFFFFFFF)
    for t in range(times):
        values = powers[t]
        total = 0.0
        for k in range(rows // 2):
            word = words[t, k]
            total += values[((word >> half) * n) >> half] + values[((word & low) * n) >> half]
        if rows % 2:
            total += values[((words[t, rows // 2] >> half) * n) >> half]
        sums[t] = total


def rescale(
    curves: Float[np.ndarray, "*curves exponents"],
) -> Float[np.ndarray, "*curves exponents"]:
    """Rescale every curve to [0, 1]; a flat one becomes 0."""
    low = curves.min(-1, keepdims=True)
    extent = curves.max(-1, keepdims=True) - low
    return (curves - low) / np.where(extent > 0, extent, 1.0)


def r_squared(
    curves: Float[np.ndarray, "curves points"], model: Float[np.ndarray, " points"]
) -> float:
    """Give the share of the variance of all curves that a model explains; it may be negative."""
    return float(1 - np.sum((curves - model) ** 2) / np.sum((curves - curves.mean()) ** 2))


def _line(x: np.ndarray, y: np.ndarray) -> float:
    """Give the slope of the regression of log10 y on log10 x."""
    x, y = np.log10(x), np.log10(y)
    x, y = x - x.mean(), y - y.mean()
    squares = float(x @ x)
    return float(x @ y) / squares if squares > 0 else float("nan")


def _power_law(x: np.ndarray, change: np.ndarray) -> float:
    """Give the exponent b with which a exp(b x) comes closest to changes; a follows from b."""
    x = x - x[-1]  # the largest: powers with b >= 0 are at most 1

    def unexplained(b: float) -> float:
        powers = np.exp(b * x)
        return -(float(change @ powers) ** 2) / float(powers @ powers)

    return float(minimize_scalar(unexplained, bounds=(-3, 3), method="bounded").x)  # pyright: ignore[reportAttributeAccessIssue]
