"""Measures of decoded outputs and of activity, awake and asleep.

Positions have two dimensions (m), bearings one (rad); measures of bearings are circular.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rnn_reactivation.density import CircularDensity, Density, KernelDensity
from rnn_reactivation.tasks import wrap

Decoded = Float[Tensor, "steps trajectories dims"]
BINS = 20
"""Bins of the circle in which bearings are counted."""
COVERED = 0.1
"""A bin counts as covered from this share of what an even distribution would put there."""
LAG = 10
"""Steps over which displacements are taken."""


def is_bearing(decoded: Decoded) -> bool:
    """Tell bearings from positions."""
    return decoded.shape[-1] == 1


def density_of(decoded: Decoded) -> Density:
    """Estimate the density of decoded outputs."""
    points = decoded.flatten(0, 1)
    return CircularDensity(points) if is_bearing(decoded) else KernelDensity(points)


def output_variance(decoded: Decoded) -> float:
    """Give the variance over time (with n - 1), summed over dimensions: the mean over trajectories.

    Of bearings it is the circular variance: 1 minus the length of the mean direction, from 0
    (always the same) to 1.
    """
    if is_bearing(decoded):
        x, y = decoded.double().cos().mean(0), decoded.double().sin().mean(0)
        return float((1 - torch.hypot(x, y)).clamp(min=0).mean())  # rounding
    return float(decoded.double().var(0).sum(-1).mean())


def steps_of(decoded: Decoded) -> Float[Tensor, "steps-1 trajectories dims"]:
    """Give the displacements (m) or turns (rad) from each decoded output to the next."""
    steps = decoded.diff(dim=0)
    return wrap(steps) if is_bearing(decoded) else steps


def mean_step(decoded: Decoded) -> float:
    """Give the mean length of a step of decoded trajectories (m or rad)."""
    return float(steps_of(decoded).double().norm(dim=-1).mean())


def explained_variance(
    covariance: Float[Tensor, "units units"], components: int
) -> Float[Tensor, " components"]:
    """Give the cumulative share of variance of the first principal components.

    Activity that never changes has no components: all shares are 1.
    """
    variances = torch.linalg.eigvalsh(covariance.double()).flip(0).clamp(min=0)
    shares = variances.cumsum(0) / variances.sum()
    return shares.nan_to_num(1.0)[:components]


def principal_components(
    covariance: Float[Tensor, "units units"], count: int = 2
) -> Float[Tensor, "units count"]:
    """Give the first principal components; the largest entry of each is positive."""
    vectors = torch.linalg.eigh(covariance.double()).eigenvectors.flip(1)[:, :count]
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * largest.sign()


def bearing_histogram(decoded: Float[Tensor, "steps trajectories 1"]) -> Float[Tensor, " bins"]:
    """Give the share of bearings in each of `BINS` equal parts of the circle, from -pi on."""
    part = ((decoded / torch.pi + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    return torch.bincount(part.flatten(), minlength=BINS).double() / part.numel()


def coverage(decoded: Float[Tensor, "steps trajectories 1"]) -> float:
    """Give the share of the circle that bearings cover."""
    return float((bearing_histogram(decoded) >= COVERED / BINS).double().mean())


def hollowness(points: Float[Tensor, "points 2"]) -> float:
    """Tell a ring from a disc, by distances from the mean: their 5th percentile over their median.

    A thin ring gives 1, an even disc 0.32.
    """
    distances = (points - points.mean(0)).double().norm(dim=1)
    low, middle = distances.quantile(torch.tensor([0.05, 0.5], dtype=torch.float64))
    return float(low / middle) if middle > 0 else 0.0


class Field(NamedTuple):
    """How outputs move, by where they are.

    Attributes
    ----------
    places
        Centres of the parts of the box (m).
    drift
        Mean displacement there per lag (m); NaN where too few outputs were.
    predicted
        What Langevin dynamics would show: half the covariance of displacements times the gradient
        of the logarithm of the awake density.
    """

    places: Float[Tensor, "places 2"]
    drift: Float[Tensor, "places 2"]
    predicted: Float[Tensor, "places 2"]


def drift_field(
    decoded: Float[Tensor, "steps trajectories 2"],
    awake: Density,
    size: tuple[float, float],
    *,
    parts: int = 12,
    lag: int = LAG,
    least: int = 200,
) -> Field:
    """Compare the quiescent drift of outputs with Langevin dynamics on the awake density.

    Networks that denoise their state move it up the gradient of the density of what they saw; with
    their noise, they then sample from this density (Krishna et al. 2024).

    Parameters
    ----------
    decoded
        Quiescent positions (m).
    awake
        Density of awake positions.
    size
        Width and height of the box (m).
    parts
        Parts of the box along each side.
    lag
        Steps over which displacements are taken. Decoding is coarse, and over single steps its
        errors would be taken for a drift.
    least
        Outputs that a part must have.
    """
    before = decoded[:-lag].double().flatten(0, 1)
    moved = (decoded[lag:] - decoded[:-lag]).double().flatten(0, 1)
    extent = torch.tensor(size, dtype=torch.float64)
    index = ((before / extent + 0.5) * parts).floor().long()
    inside = ((index >= 0) & (index < parts)).all(1)
    cell = (index[:, 0] * parts + index[:, 1])[inside]
    counts = torch.bincount(cell, minlength=parts**2).double()
    sums = torch.zeros(parts**2, 2, dtype=torch.float64).index_add_(0, cell, moved[inside])
    axis = (torch.arange(parts, dtype=torch.float64) + 0.5) / parts - 0.5
    places = torch.cartesian_prod(axis, axis) * extent
    drift = torch.where(counts[:, None] >= least, sums / counts[:, None], torch.nan)
    spread = moved - moved.mean(0)
    covariance = spread.mT @ spread / (len(spread) - 1)
    predicted = log_gradient(awake, places, extent / parts / 2) @ covariance / 2
    return Field(places, drift, predicted)


def cosine(drift: Float[Tensor, "places 2"], predicted: Float[Tensor, "places 2"]) -> float:
    """Give the cosine between two fields, as vectors of all places where both are known.

    NaN if one of them is zero or known nowhere.
    """
    known = (drift.isfinite() & predicted.isfinite()).all(1)
    a, b = drift[known].double().flatten(), predicted[known].double().flatten()
    return float(a @ b / (a.norm() * b.norm()))


def log_gradient(
    density: Density, places: Float[Tensor, "places 2"], reach: Float[Tensor, "2"]
) -> Float[Tensor, "places 2"]:
    """Differentiate the logarithm of a density (1 / m).

    By central differences over so much (m) to both sides, for each dimension: decoded positions
    clump, and a derivative on a smaller scale than theirs would show little else.
    """
    columns = [
        (density.log_density(places + step) - density.log_density(places - step)) / (2 * width)
        for step, width in zip(torch.diag(reach), reach, strict=True)
    ]
    return torch.stack(columns, 1)
