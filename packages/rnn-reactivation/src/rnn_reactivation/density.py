"""Densities of decoded outputs, and the divergences between them.

Outputs are rows: positions in a box have two columns (metres), bearings have one (radians).
"""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rnn_reactivation.tasks import wrap
from sharpwave_shared.errors import InvalidInputError

MINIMUM_SPREAD = 1e-3
"""Standard deviation (metres or radians) below which points are taken for degenerate.

A network that comes to rest gives points without any spread, and so kernels without a width: the
square of this is then added to the variance in every direction.
"""
MINIMUM_RATIO = 1e-12
"""Smallest variance that float64 tells from 0, relative to the largest in any direction.

It matters where a network diverges along a line: the rounding errors of the variance along the line
exceed MINIMUM_SPREAD, so this share takes its place.
"""
QUERIES_AT_ONCE = 128
POINTS_AT_ONCE = 2048
"""Size of the blocks (2 MiB) in which kernels are summed; the cache of a processor holds them."""


@runtime_checkable
class Density(Protocol):
    """A distribution of outputs."""

    def log_density(self, x: Float[Tensor, "queries dims"]) -> Float[Tensor, " queries"]:
        """Give the logarithm of the density (per m^2 or rad) at every query, in float64."""
        ...

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count dims"]:
        """Draw independent outputs, in float64; the random numbers come from `generator` alone."""
        ...


class KernelDensity:
    """Gaussian kernels around points, all with the covariance of the points, scaled.

    This is the density of `scipy.stats.gaussian_kde`: Scott's rule scales the standard deviations
    of n points by n^(-1 / (dims + 4)).

    Parameters
    ----------
    points
        Outputs; equal ones may be frequent.

    Attributes
    ----------
    covariance
        Of each kernel (m^2, dims x dims).

    Raises
    ------
    InvalidInputError
        If there are no points, or some are not finite.
    """

    covariance: Float[Tensor, "dims dims"]

    def __init__(self, points: Float[Tensor, "points dims"]) -> None:
        points = _checked(points)
        n, dims = points.shape
        self._mean = points.mean(0)
        centred = points - self._mean
        covariance = centred.T @ centred / max(n - 1, 1)
        variances = torch.linalg.eigvalsh(covariance)
        floor = max(MINIMUM_SPREAD**2, MINIMUM_RATIO * float(variances[-1]))
        if variances[0] < floor:
            covariance = covariance + floor * torch.eye(dims).to(covariance)
        self.covariance = covariance * n ** (-2 / (dims + 4))
        # x = mean + L z, in which kernels around z have the unit matrix as their covariance.
        self._L = torch.linalg.cholesky(self.covariance)
        unique, self._counts = torch.unique(centred, dim=0, return_counts=True)
        self._points = self._whiten(unique)
        self._scale = n * (2 * math.pi) ** (dims / 2) * float(self._L.diagonal().prod())

    def log_density(self, x: Float[Tensor, "queries dims"]) -> Float[Tensor, " queries"]:
        """Give the logarithm of the density at every query, without any truncation."""
        z = self._whiten(_queries(x, self._mean) - self._mean)
        found = _log_sum(z, self._points, self._counts.double().log())
        return (found - math.log(self._scale)).to(x.device)

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count dims"]:
        """Draw points, and then from their kernels."""
        z = _draw(self._points, self._counts, count, generator)
        return self._mean + (z + _noise(z, generator)) @ self._L.T

    def _whiten(self, centred: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self._L, centred.T, upper=False).T.contiguous()


class CircularDensity:
    """Gaussian kernels around angles, wrapped around the circle.

    The bandwidth follows Scott's rule, n^(-1 / 5) times the standard deviation of n angles. This is
    the circular one, sqrt(-2 ln R) with the length R of the mean of unit vectors, which grows
    without bound as angles spread evenly, or that of evenly spread angles, pi / sqrt(3), where this
    is smaller.

    Parameters
    ----------
    points
        Angles (radians, one column); equal ones may be frequent.

    Attributes
    ----------
    bandwidth
        Standard deviation of each kernel before it is wrapped (radians).

    Raises
    ------
    InvalidInputError
        If there are no points, or some are not finite.
    """

    bandwidth: float

    def __init__(self, points: Float[Tensor, "points 1"]) -> None:
        points = _checked(points)
        n = len(points)
        cosine, sine = points.cos().mean(0), points.sin().mean(0)
        self._mean = torch.atan2(sine, cosine)
        R = torch.hypot(sine, cosine)
        variance = float((-2 * R.log()).clamp(max=math.pi**2 / 3))
        if variance < MINIMUM_SPREAD**2:
            variance += MINIMUM_SPREAD**2
        self.bandwidth = math.sqrt(variance) * n ** (-1 / 5)
        # Angles are counted from their mean: with narrow kernels, differences between large
        # numbers would not be accurate.
        self._points, self._counts = torch.unique(
            wrap(points - self._mean), dim=0, return_counts=True
        )
        # Queries lie within pi of their closest image, and beyond 2 pi m of images that are left
        # out when m turns are kept: these would add less than exp(-40) of the closest one.
        turns = math.ceil(math.sqrt(1 + 80 * (self.bandwidth / math.pi) ** 2) / 2)
        shifts = 2 * math.pi * torch.arange(-turns, turns + 1).to(points)
        self._images = (self._points + shifts).T.reshape(-1, 1) / self.bandwidth
        self._log_counts = self._counts.double().log().repeat(len(shifts))
        self._scale = n * math.sqrt(2 * math.pi) * self.bandwidth

    def log_density(self, x: Float[Tensor, "queries 1"]) -> Float[Tensor, " queries"]:
        """Give the logarithm of the density at every query; whole turns do not matter."""
        z = wrap(_queries(x, self._mean) - self._mean) / self.bandwidth
        found = _log_sum(z, self._images, self._log_counts)
        return (found - math.log(self._scale)).to(x.device)

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count 1"]:
        """Draw angles, and then from their kernels, in [-pi, pi)."""
        angles = _draw(self._points, self._counts, count, generator)
        return wrap(self._mean + angles + self.bandwidth * _noise(angles, generator))


class UniformDensity:
    """The same density everywhere in a box, or, from -pi to pi, on the circle.

    Parameters
    ----------
    low, high
        Corners of the box, which belong to it.

    Raises
    ------
    InvalidInputError
        If they are not finite, or `low` is not below `high` in every dimension.
    """

    def __init__(self, low: Float[Tensor, " dims"], high: Float[Tensor, " dims"]) -> None:
        if not (low.isfinite() & high.isfinite() & (low < high)).all():
            raise InvalidInputError(
                f"low, high: got {low.tolist()}, {high.tolist()}, "
                "expected finite numbers, each low one below the high one"
            )
        self._low, self._high = low.double(), high.double()
        self._log_volume = float((self._high - self._low).log().sum())

    def log_density(self, x: Float[Tensor, "queries dims"]) -> Float[Tensor, " queries"]:
        """Give the logarithm of the density at every query: minus infinity outside the box."""
        queries = _queries(x, self._low)
        inside = ((queries >= self._low) & (queries <= self._high)).all(1)
        found = torch.full_like(queries[:, 0], -math.inf)
        return found.masked_fill(inside, -self._log_volume).to(x.device)

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count dims"]:
        """Draw points from the box."""
        shares = torch.rand(
            count,
            len(self._low),
            generator=generator,
            device=generator.device,
            dtype=torch.float64,
        )
        return torch.lerp(self._low, self._high, shares.to(self._low.device))


def kl_divergences(
    p: Density, references: Sequence[Density], samples: int, generator: torch.Generator
) -> Float[Tensor, " references"]:
    """Estimate the Kullback-Leibler divergences of one density from others.

    Parameters
    ----------
    p
        The density P.
    references
        The densities Q, on the same space.
    samples
        Number of outputs that are drawn from P; every Q is evaluated at the same ones.
    generator
        Draws them.

    Returns
    -------
    Tensor
        Mean of log p - log q over the outputs, for every Q, in nats: estimates of D(P || Q), which
        may be slightly negative, and are infinite if some output cannot come from Q.

    Raises
    ------
    InvalidInputError
        If `samples` is below 1.
    """
    if samples < 1:
        raise InvalidInputError(f"samples: got {samples}, expected at least 1")
    x = p.sample(samples, generator)
    own = p.log_density(x)
    found = own.new_empty(len(references))
    for i, q in enumerate(references):
        found[i] = (own - q.log_density(x)).mean()
    return found


def _checked(points: Tensor) -> Float[Tensor, "points dims"]:
    """Give points in float64, or refuse them."""
    if not len(points):
        raise InvalidInputError("points: got none, expected at least one")
    bad = int((~points.isfinite().all(1)).sum())
    if bad:
        raise InvalidInputError(
            f"points: got {bad} of {len(points)} that are not finite, expected finite numbers"
        )
    return points.double()


def _queries(x: Tensor, like: Float[Tensor, " dims"]) -> Float[Tensor, "queries dims"]:
    """Give queries in float64 where the density is; one column would be broadcast to several."""
    if x.shape[1] != len(like):
        raise InvalidInputError(f"queries: got {x.shape[1]} columns, expected {len(like)}")
    return x.to(like)


def _log_sum(
    x: Float[Tensor, "queries dims"],
    points: Float[Tensor, "points dims"],
    log_weights: Float[Tensor, " points"],
) -> Float[Tensor, " queries"]:
    """Give log sum_j w_j exp(-|x - y_j|^2 / 2) for every query x, over the points y_j.

    With |x - y|^2 = x^2 - 2 x y + y^2 a matrix product does most of the work. Its rounding errors
    are relative to x^2 and y^2, in widths of kernels: below 1e-12 where most points are, and about
    1e-9 at the outermost point that 200,000 can have.
    """
    offsets = log_weights - points.square().sum(1) / 2
    blocks = list(zip(points.split(POINTS_AT_ONCE), offsets.split(POINTS_AT_ONCE), strict=True))
    found = []
    for queries in x.split(QUERIES_AT_ONCE):
        sums = [torch.addmm(c, queries, y.T).logsumexp(1) for y, c in blocks]
        found.append(torch.stack(sums).logsumexp(0))
    return torch.cat(found) - x.square().sum(1) / 2


def _draw(
    points: Float[Tensor, "points dims"],
    counts: Int[Tensor, " points"],
    count: int,
    generator: torch.Generator,
) -> Float[Tensor, "count dims"]:
    """Draw from points, each of which stands for a number of equal ones."""
    ends = counts.cumsum(0)
    places = torch.randint(
        int(ends[-1]), (count,), generator=generator, device=generator.device
    ).to(ends.device)
    return points[torch.searchsorted(ends, places, right=True)]


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw independent standard normal numbers."""
    noise = torch.randn(
        like.shape, generator=generator, device=generator.device, dtype=torch.float64
    )
    return noise.to(like.device)
