"""One convention of spread and interval: s.d. with n - 1; bootstrap and Wilson, 95 %."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

LEVEL = 0.95
RESAMPLES = 10_000


class Interval(NamedTuple):
    """A value with an interval of 95 %."""

    value: float
    low: float
    high: float


def mean_and_sd(
    values: Float[np.ndarray, "..."], axis: int = 0
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Give mean and standard deviation (with n - 1) over an axis, of what is not NaN.

    NaN where nothing is known; the standard deviation of one value is NaN.
    """
    known = np.isfinite(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis, dtype=float)
    mean = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    deviation = np.where(known, values - np.expand_dims(mean, axis), 0.0)
    square = np.square(deviation).sum(axis)
    sd = np.sqrt(
        np.divide(square, count - 1, out=np.full(np.shape(total), np.nan), where=count > 1)
    )
    return np.asarray(mean), np.asarray(sd)  # of one dimension, NumPy gives numbers


def bootstrap_mean(values: Float[np.ndarray, " values"], seed: int = 0) -> Interval:
    """Give the mean with its percentile bootstrap interval; of one value, an interval of NaN."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(math.nan, math.nan, math.nan)
    if len(values) == 1:
        return Interval(float(values[0]), math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def wilson(holds: int, of: int) -> Interval:
    """Give a share with its Wilson score interval.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
    """
    if of == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = 1.959963984540054  # of a normal distribution, for 95 %
    share, scale = holds / of, 1 + z**2 / of
    middle = (share + z**2 / (2 * of)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    # Rounding must not put the share itself outside.
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(share, min(share, low), max(share, high))
