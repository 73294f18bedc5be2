"""Statistics of synapses that fluctuate: of spines under a microscope, or simulated.

Recordings are arrays of synapses (rows) by times (columns); NaN is a missing value, and a dead
synapse is 0.
"""

import csv
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.optimize import minimize_scalar

from sharpwave_shared.compiled import jit
from sharpwave_shared.errors import DataWarning, InvalidInputError, ParameterError, show
from sharpwave_shared.paths import PathLike, as_path, read_text
from sharpwave_shared.statistics import mean_and_sd

Weights = Float[np.ndarray, "synapses times"]
Counts = UInt8[np.ndarray, "bootstraps synapses"]
Direction = Literal["growth", "shrinkage"]
Method = Literal["moving", "binned", "power", "raw"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
METHODS: tuple[Method, ...] = get_args(Method)

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
LARGEST_FILE = 2**25
"""Bytes; 1,000 synapses at 50 times have less than a million."""
FEWEST_LABELS = 3
"""Fewer numbers than these are evenly spaced by chance."""
UNEVEN = 0.02
"""Times that are rounded are as even as that."""
_MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "null", "none"})
_LIKE_A_NUMBER = re.compile(r"[+-]?[\d.,_]+([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


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
    """

    size: Float[np.ndarray, " pairs"]
    change: Float[np.ndarray, " pairs"]
    synapse: Int[np.ndarray, " pairs"]


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


def read_spines(
    path: PathLike, *, header: bool | None = None, index: bool | None = None
) -> Weights:
    """Read a recording.

    Parameters
    ----------
    path
        CSV: synapses in rows, times in columns, separated by commas, semicolons, tabs or spaces
        (with semicolons and tabs, decimals may have a comma). Where a size is missing, the cell is
        empty or holds NaN or NA. Empty lines, and empty columns at the end, are left out.
    header
        Whether the first line names the times; None: it does if it holds texts, or at least three
        numbers that increase evenly, or are whole and all different while sizes are not whole. A
        `DataWarning` tells which numbers are left out.
    index
        Whether the first column names the synapses; None: likewise, or if the header has no name
        above it.

    Returns
    -------
    ndarray
        Sizes, in the unit of the file.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, is larger than 32 MiB, or a line (which the message names) has
        text among numbers, an infinite or negative number, another number of columns than the
        first, a single one, or no value.
    """
    path = as_path("path", path)
    table = _read_table(path)
    top, left = map(int, _labelled(table, header, index))
    for row in range(top, len(table.cells)):
        _check_sizes(table, row, left)
    if top == len(table.cells):
        raise InvalidInputError(f"{path}: got no line of sizes, expected a row for every synapse")
    return table.numbers[top:, left:].copy()


class _Table(NamedTuple):
    """The cells of a file, and the numbers in them: NaN where one is missing, and for texts."""

    path: Path
    lines: list[int]
    cells: np.ndarray
    numbers: np.ndarray
    texts: np.ndarray

    def names(self, part: Any, sizes: Any, *, whole: bool = False) -> bool:
        """Tell whether a line or a column is text, or numbers of another kind than sizes.

        With `whole`, only whole numbers can be.
        """
        numbers, texts = self.numbers[part], self.texts[part]
        if texts.any():
            like_numbers = any(_LIKE_A_NUMBER.fullmatch(cell) for cell in self.cells[part])
            return bool(np.isnan(numbers).all()) and not like_numbers
        if len(numbers) < FEWEST_LABELS or not np.isfinite(numbers).all():
            return False
        with np.errstate(all="ignore"):
            steps = np.diff(numbers)
            even = bool((steps > 0).all() and (abs(steps / steps.mean() - 1) <= UNEVEN).all())
            are_whole = bool((numbers % 1 == 0).all())
            if even and (are_whole or not whole):
                return True
            different = len(np.unique(numbers)) == len(numbers)
            return are_whole and different and bool((self.numbers[sizes] % 1 > 0).any())


def _read_table(path: Path) -> _Table:
    """Read the cells of a file, without lines and columns that are empty."""
    text = read_text(path, LARGEST_FILE)
    beginning = re.sub('"[^"]*"', "", text.lstrip()[:100_000]).partition("\n")[0]
    separator = next((mark for mark in ";\t," if mark in beginning), " ")
    # Line ends are those of any system.
    reader = csv.reader(
        io.StringIO(text, newline=None), delimiter=separator, skipinitialspace=True, strict=True
    )
    numbers, rows = [], []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):  # blank lines end many files
                numbers.append(reader.line_num)
                rows.append(stripped)
    except csv.Error as error:
        raise InvalidInputError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise InvalidInputError(f"{path}: got no line, expected a row for every synapse")
    used = max(i for row in rows for i, cell in enumerate(row, 1) if cell)
    if max(map(len, rows)) > used:
        told = f"{path}: the columns after column {used} are empty and are left out"
        warnings.warn(DataWarning(told), stacklevel=3)
    rows = [row[:used] for row in rows]
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(rows[0]):
            raise InvalidInputError(
                f"{path}, line {number}: got {len(row)} columns, expected {len(rows[0])}, as in "
                "the first line"
            )
    comma = any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row) and separator != ","
    known = {cell: _number(cell, comma=comma) for cell in {cell for row in rows for cell in row}}
    values = [[known[cell] for cell in row] for row in rows]
    texts = np.array([[value is None for value in row] for row in values])
    return _Table(path, numbers, np.array(rows, object), np.array(values, float), texts)


def _number(text: str, *, comma: bool) -> float | None:
    """Give the number that a cell holds, NaN if it is missing, None for a text."""
    if text.lower() in _MISSING:
        return float("nan")
    if comma:
        text = text.replace(".", "x").replace(",", ".")
    try:
        return float(text.replace("_", "x"))  # float() takes "1_000" for a number
    except ValueError:
        return None


def _labelled(table: _Table, header: bool | None, index: bool | None) -> tuple[bool, bool]:
    """Tell whether there is a header, and whether there is an index; warn of a guess at numbers."""
    inner = np.s_[1:, 1:]
    beside_names = index
    if beside_names is None:  # or nothing stands above it
        beside_names = table.names(np.s_[1:, 0], inner, whole=True) or not table.cells[0, 0]
    has_header = header
    if has_header is None:
        alone = index is not True and table.names(np.s_[0], np.s_[1:])
        has_header = alone or (beside_names and table.names(np.s_[0, 1:], inner))
    has_index = index
    if has_index is None:
        first_column = table.names(np.s_[:, 0], np.s_[:, 1:], whole=True)
        has_index = beside_names if has_header else first_column
    times, synapses = np.s_[0, int(has_index) :], np.s_[int(has_header) :, 0]
    if header is None and has_header and not table.texts[times].any():
        _warn_of_names(table, times, "first line", "times", "header")
    if index is None and has_index and not table.texts[synapses].any():
        _warn_of_names(table, synapses, "first column", "synapses", "index")
    return has_header, has_index


def _warn_of_names(table: _Table, part: Any, which: str, what: str, parameter: str) -> None:
    cells = table.cells[part]
    shown = ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")
    told = f"{table.path}: the {which} ({shown}) is taken for names of {what}, not for sizes"
    ways = {f"{parameter}=False": "reads sizes there", parameter: "says that this is right"}
    warnings.warn(DataWarning(told, **ways), stacklevel=4)


def _check_sizes(table: _Table, row: int, left: int) -> None:
    """Refuse a line that does not hold the sizes of a synapse from column `left` on."""
    place = f"{table.path}, line {table.lines[row]}"
    texts, sizes = table.texts[row, left:], table.numbers[row, left:]
    if texts.any():
        column = left + int(texts.argmax())
        ways = {}
        if row == 0:
            ways["header"] = "says that the first line names the times"
        if column == 0:
            ways["index"] = "says that the first column names the synapses"
        raise InvalidInputError(
            f"{place}: got {show(table.cells[row, column])!r}, expected numbers such "
            "as 1.5 (1,5 where semicolons or tabs separate them), or NA or nothing where one is "
            "missing",
            **ways,
        )
    unusable = sizes[(sizes < 0) | np.isinf(sizes)]
    if len(unusable):
        raise InvalidInputError(f"{place}: got {unusable[0]}, expected finite sizes of at least 0")
    if len(sizes) < 2:
        raise InvalidInputError(f"{place}: got a single column, expected at least 2 times")
    if np.isnan(sizes).all():
        raise InvalidInputError(f"{place}: all values are missing, expected at least one")


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
    if direction not in DIRECTIONS:
        raise ParameterError("direction", direction, f"one of {', '.join(DIRECTIONS)}")
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
    found = Pairs(size[known], change[known], places[known] // times)
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
        raise ParameterError("method", method, f"one of {', '.join(METHODS)}")
    return _power_law(np.log(found.size), found.change)


def resample(found: Pairs, counts: UInt8[np.ndarray, " synapses"]) -> Pairs:
    """Give the pairs of a population in which each synapse is drawn so many times.

    Synapses are drawn, not pairs: those of one synapse are not independent.
    """
    drawn = np.repeat(np.arange(len(found.size)), counts[found.synapse])
    return Pairs(found.size[drawn], found.change[drawn], found.synapse[drawn])


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
