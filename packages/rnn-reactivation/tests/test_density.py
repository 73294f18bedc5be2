"""Densities against SciPy's and against sums in NumPy; divergences against closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from rnn_reactivation import density
from rnn_reactivation.density import (
    MINIMUM_SPREAD,
    CircularDensity,
    Density,
    KernelDensity,
    UniformDensity,
    kl_divergences,
)
from sharpwave_shared.errors import InvalidInputError

GRID = torch.linspace(-math.pi, math.pi, 1001, dtype=torch.float64)[:, None]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(n: int, dims: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dims, generator=seeded(seed), dtype=torch.float64)


def correlated(n: int, seed: int = 0) -> Tensor:
    """Positions in metres, of unequal and correlated coordinates, away from the origin."""
    mixed = normal(n, 2, seed) @ torch.tensor([[0.5, 0.4], [0, 0.1]]).double()
    return mixed + torch.tensor([1.0, -2.0])


def angles(n: int, centre: float, width: float, seed: int = 0) -> Tensor:
    """Angles that are not wrapped."""
    return centre + width * normal(n, 1, seed)


def wrapped_kernels(points: Tensor, x: Tensor, turns: int = 8) -> np.ndarray:
    """Density of wrapped kernels with the bandwidth of the definition, as a plain sum."""
    values, n = points.double().numpy().ravel(), len(points)
    R = abs(np.exp(1j * values).mean())
    h = n ** (-1 / 5) * min(math.sqrt(-2 * math.log(R)), math.pi / math.sqrt(3))
    total = np.zeros(len(x))
    for k in range(-turns, turns + 1):
        differences = x.numpy().ravel()[:, None] - values - 2 * math.pi * k
        total += np.exp(-((differences / h) ** 2) / 2).sum(1)
    return total / (n * h * math.sqrt(2 * math.pi))


# --- kernels on the plane -------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_kernels_are_those_of_scipy(dims: int) -> None:
    points = normal(300, dims) @ normal(dims, dims, 1) + 3
    x = torch.cat([points[:20], 2 * normal(100, dims, 2)])
    expected = stats.gaussian_kde(points.T.numpy())
    found = KernelDensity(points)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9)
    assert found.log_density(x).dtype == torch.float64
    np.testing.assert_allclose(found.log_density(x), expected.logpdf(x.T.numpy()), rtol=1e-9)


def test_correlated_positions_with_duplicates() -> None:
    points = correlated(400).round(decimals=1)
    assert len(points.unique(dim=0)) < 200
    x = correlated(100, 1)
    expected = stats.gaussian_kde(points.T.numpy()).logpdf(x.T.numpy())
    np.testing.assert_allclose(KernelDensity(points).log_density(x), expected, rtol=1e-9)


def test_equal_points_count_each_time() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    more = torch.cat([points, points[1:2].expand(5, -1)])
    x = normal(20, 2)
    for some in (points, more):
        expected = stats.gaussian_kde(some.T.numpy()).logpdf(x.T.numpy())
        np.testing.assert_allclose(KernelDensity(some).log_density(x), expected, rtol=1e-6)
    assert len(KernelDensity(more)._points) == 3


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    points = correlated(density.POINTS_AT_ONCE + 500)
    x = correlated(density.QUERIES_AT_ONCE + 30, 1)
    expected = stats.gaussian_kde(points.T.numpy()).logpdf(x.T.numpy())
    blocks = KernelDensity(points).log_density(x)
    np.testing.assert_allclose(blocks, expected, rtol=1e-9)
    monkeypatch.setattr(density, "POINTS_AT_ONCE", 10**6)
    monkeypatch.setattr(density, "QUERIES_AT_ONCE", 10**6)
    whole = KernelDensity(points).log_density(x)
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)
    alone = torch.cat([KernelDensity(points).log_density(query[None]) for query in x[:5]])
    np.testing.assert_allclose(blocks[:5], alone, rtol=1e-12)
    assert KernelDensity(points).log_density(x[:0]).shape == (0,)


def test_far_from_all_points() -> None:
    points = correlated(50)
    kernels = KernelDensity(points)
    x = torch.tensor([[50.0, 0.0], [1e5, -1e5]], dtype=torch.float64)
    assert stats.gaussian_kde(points.T.numpy())(x.T.numpy()).tolist() == [0, 0]
    precision = kernels.covariance.inverse()
    for found, query in zip(kernels.log_density(x), x, strict=True):
        away = query - points
        exponents = -((away @ precision) * away).sum(1) / 2
        expected = float(exponents.logsumexp(0)) - math.log(
            50 * 2 * math.pi * math.sqrt(float(kernels.covariance.det()))
        )
        assert float(found) == pytest.approx(expected, rel=1e-9)
        assert -math.inf < float(found) < -1000


@pytest.mark.parametrize("n", [1, 40])
def test_points_in_one_place(n: int) -> None:
    place = torch.tensor([[1.1, 0.7]], dtype=torch.float64)
    kernels = KernelDensity(place.expand(n, -1))
    width = MINIMUM_SPREAD * n ** (-1 / 6)
    np.testing.assert_allclose(kernels.covariance, np.diag([width**2] * 2), rtol=1e-9, atol=1e-20)
    x = place + 1e-3 * normal(10, 2)
    expected = stats.multivariate_normal(place[0].numpy(), width**2).logpdf(x.numpy())
    np.testing.assert_allclose(kernels.log_density(x), expected, rtol=1e-9)
    sample = kernels.sample(2000, seeded())
    np.testing.assert_allclose(sample.std(0), [width, width], rtol=0.1)


@pytest.mark.parametrize("length", [1, 1e9])
def test_points_on_a_line(length: float | int) -> None:
    steps = length * torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
    points = steps * torch.tensor([0.6, 0.8]).double()
    kernels = KernelDensity(points)
    across = torch.tensor([0.8, -0.6]).double()
    variance = float(across @ kernels.covariance @ across)
    width = max(MINIMUM_SPREAD, 1e-6 * length * float((steps / length).std())) * 101 ** (-1 / 6)
    assert math.sqrt(variance) == pytest.approx(width, rel=1e-3)
    # The density is a product: kernels along the line and one across it.
    x = points[40:50] + 2 * width * across
    along = stats.gaussian_kde(steps.ravel().numpy(), bw_method=101 ** (-1 / 6))
    expected = along.logpdf(steps[40:50, 0].numpy()) + stats.norm(0, width).logpdf(2 * width)
    np.testing.assert_allclose(kernels.log_density(x), expected, rtol=1e-3)
    assert kernels.sample(10, seeded()).isfinite().all()


def test_the_floor_is_only_for_degenerate_points() -> None:
    points = normal(100, 2)
    points = (points - points.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(points.T.cov())).T
    for factor in (1.01, 0.99):
        scaled = points * torch.tensor([1.0, factor * MINIMUM_SPREAD])
        variance = (factor**2 + (factor < 1)) * MINIMUM_SPREAD**2
        found = KernelDensity(scaled).covariance[1, 1] * 100 ** (1 / 3)
        assert float(found) == pytest.approx(variance, rel=1e-6)


def test_samples_follow_the_kernels() -> None:
    points = torch.cat([correlated(30), correlated(1).expand(60, -1) + 3])
    kernels = KernelDensity(points)
    sample = kernels.sample(20_000, seeded(1))
    assert sample.shape == (20_000, 2)
    assert sample.dtype == torch.float64
    covariance = points.T.cov(correction=0) + kernels.covariance
    errors = (covariance.diagonal() / 20_000).sqrt()
    assert ((sample.mean(0) - points.mean(0)).abs() < 4 * errors).all()
    np.testing.assert_allclose(sample.T.cov(), covariance, rtol=0.05)
    # Along each axis: the distribution, not its moments alone.
    for axis in (0, 1):
        centres, width = points[:, axis].numpy(), math.sqrt(kernels.covariance[axis, axis])

        def cdf(x: np.ndarray, centres: np.ndarray = centres, h: float = width) -> np.ndarray:
            return stats.norm.cdf(x[:, None], centres, h).mean(1)

        assert stats.kstest(sample[:2000, axis].numpy(), cdf).pvalue > 1e-3


# --- kernels on the circle ------------------------------------------------------------------------

ANGLES = {
    "across pi": angles(200, math.pi, 0.5),
    "wide": angles(300, 1.0, 1.5),
    "uniform": torch.linspace(-math.pi, math.pi, 401)[:-1, None],
    "two": torch.tensor([[0.3], [0.3 + math.pi - 1e-3]]),
    "duplicates": angles(300, -2.0, 0.8).round(decimals=1),
    "narrow": angles(300, -2.0, 0.05),
}


@pytest.mark.parametrize("points", ANGLES.values(), ids=ANGLES.keys())
def test_kernels_are_wrapped(points: Tensor) -> None:
    kernels = CircularDensity(points)
    expected = wrapped_kernels(points, GRID)
    found = kernels.log_density(GRID)
    np.testing.assert_allclose(found.exp(), expected, rtol=1e-8, atol=1e-300)
    assert found.isfinite().all()
    assert float(torch.trapezoid(found.exp(), GRID[:, 0])) == pytest.approx(1, abs=1e-6)


def test_the_bandwidth_of_bearings() -> None:
    narrow = angles(500, 3.0, 0.3)
    rule = 500 ** (-1 / 5)
    # The circular standard deviation of wrapped normal angles is that of the angles.
    assert CircularDensity(narrow).bandwidth == pytest.approx(rule * 0.3, rel=0.1)
    expected = rule * stats.circstd(narrow.numpy())
    assert CircularDensity(narrow).bandwidth == pytest.approx(expected, rel=1e-9)
    even = torch.linspace(-math.pi, math.pi, 501)[:-1, None]
    assert CircularDensity(even).bandwidth == pytest.approx(rule * math.pi / math.sqrt(3))


@pytest.mark.parametrize("turn", [2.5, 2 * math.pi, -14 * math.pi])
def test_turning_the_circle_changes_nothing(turn: float) -> None:
    points = ANGLES["across pi"]
    kept = CircularDensity(points).log_density(GRID)
    turned = CircularDensity(points + turn).log_density(GRID + turn)
    np.testing.assert_allclose(turned, kept, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1, 200_000])
def test_bearings_of_a_network_at_rest(n: int) -> None:
    kernels = CircularDensity(torch.full((n, 1), 3.1415, dtype=torch.float64))
    assert kernels.bandwidth == pytest.approx(MINIMUM_SPREAD * n ** (-1 / 5), rel=1e-8)
    peak = stats.norm(0, kernels.bandwidth)
    near = kernels.bandwidth * torch.linspace(-4, 4, 21, dtype=torch.float64)[:, None]
    found = kernels.log_density(3.1415 - 2 * math.pi + near)
    np.testing.assert_allclose(found, peak.logpdf(near[:, 0]), atol=1e-9)
    far = torch.tensor([[1.0], [-2.0], [math.pi]], dtype=torch.float64)
    expected = peak.logpdf([1, 2, math.pi])
    expected[2] += math.log(2)  # both ways are equally long
    np.testing.assert_allclose(kernels.log_density(3.1415 + far), expected, rtol=1e-9)
    assert float(kernels.sample(2000, seeded()).cos().mean()) == pytest.approx(-1, abs=1e-5)


@pytest.mark.parametrize("name", ["across pi", "wide", "duplicates"])
def test_samples_follow_the_wrapped_kernels(name: str) -> None:
    kernels = CircularDensity(ANGLES[name])
    sample = kernels.sample(4000, seeded(2))
    assert sample.shape == (4000, 1)
    assert sample.min() >= -math.pi
    assert sample.max() < math.pi
    mass = kernels.log_density(GRID).exp()
    cdf = torch.cat([mass.new_zeros(1), torch.cumulative_trapezoid(mass, GRID[:, 0])])

    def interpolated(x: np.ndarray) -> np.ndarray:
        return np.interp(x, GRID[:, 0].numpy(), cdf.numpy())

    assert stats.kstest(sample[:, 0].numpy(), interpolated).pvalue > 1e-3


def test_a_box() -> None:
    low, high = torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 2.5])
    box = UniformDensity(low, high)
    x = torch.tensor([[0.0, 2.2], [-1.0, 2.5], [1.1, 2.2], [0.0, 1.9], [5.0, 5.0]])
    assert box.log_density(x).tolist() == [0, 0, -math.inf, -math.inf, -math.inf]
    larger = UniformDensity(3 * low, 3 * high)
    assert float(larger.log_density(3 * x[:1])) == pytest.approx(-math.log(9))
    sample = box.sample(3000, seeded())
    assert sample.shape == (3000, 2)
    assert box.log_density(sample).isfinite().all()
    for axis in (0, 1):
        span = stats.uniform(float(low[axis]), float(high[axis] - low[axis]))
        assert stats.kstest(sample[:, axis].numpy(), span.cdf).pvalue > 1e-3


def test_all_bearings() -> None:
    circle = UniformDensity(torch.tensor([-math.pi]), torch.tensor([math.pi]))
    sample = circle.sample(100, seeded())
    assert sample.shape == (100, 1)
    np.testing.assert_allclose(circle.log_density(sample), -math.log(2 * math.pi), rtol=1e-6)


# --- what all densities share ---------------------------------------------------------------------

DENSITIES: dict[str, Callable[[], Density]] = {
    "kernels": lambda: KernelDensity(correlated(20)),
    "circle": lambda: CircularDensity(ANGLES["wide"]),
    "box": lambda: UniformDensity(torch.zeros(2), torch.ones(2)),
}


@pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES.keys())
def test_samples_depend_on_the_seed_alone(make: Callable[[], Density]) -> None:
    assert isinstance(make(), Density)
    one, same, other = (make().sample(5, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.isclose(one, other).any()
    generator = seeded(1)
    assert torch.equal(make().sample(5, generator), one)
    assert not torch.isclose(make().sample(5, generator), one).any()


def test_points_are_drawn_as_often_as_they_count() -> None:
    points, counts = torch.arange(4.0)[:, None], torch.tensor([1, 4, 1, 2])
    drawn = density._draw(points, counts, 8000, seeded()).ravel().long().bincount(minlength=4)
    assert stats.chisquare(drawn, 1000 * counts).pvalue > 1e-3


@pytest.mark.parametrize("kind", [KernelDensity, CircularDensity])
@pytest.mark.parametrize("bad", [[], [0.1, math.nan], [math.inf, 0.2]], ids=str)
def test_points_that_have_no_density(
    kind: type[KernelDensity] | type[CircularDensity], bad: list[float]
) -> None:
    with pytest.raises(InvalidInputError, match=r"points: got (none|1 of 2)"):
        kind(torch.tensor(bad).reshape(-1, 1))


@pytest.mark.parametrize(
    ("low", "high"), [([0, 1], [1, 1]), ([0, 0], [1, math.nan]), ([-math.inf], [0])]
)
def test_boxes_without_a_volume(low: list[float | int], high: list[float | int]) -> None:
    with pytest.raises(InvalidInputError, match="low, high"):
        UniformDensity(torch.tensor(low).double(), torch.tensor(high).double())


def test_queries_of_another_space() -> None:
    with pytest.raises(InvalidInputError, match="got 1 columns, expected 2"):
        KernelDensity(correlated(20)).log_density(torch.zeros(3, 1))
    with pytest.raises(InvalidInputError, match="got 1 columns, expected 2"):
        DENSITIES["box"]().log_density(torch.zeros(3, 1))


# --- divergences ----------------------------------------------------------------------------------


def test_divergence_of_normal_distributions() -> None:
    n, shift, width = 4000, 0.8, 1.5
    p, q = KernelDensity(normal(n, 2)), KernelDensity(shift + width * normal(n, 2, 1))
    # Kernels widen the distributions: compare with the normal ones of the same variance.
    a = 1 + n ** (-1 / 3)
    ratio = 1 / width**2
    expected = ratio - 1 - math.log(ratio) + shift**2 / (width**2 * a)
    (found,) = kl_divergences(p, [q], 2000, seeded())
    assert float(found) == pytest.approx(expected, abs=0.06)
    assert expected > 0.4


def test_divergence_from_itself() -> None:
    points = correlated(2000)
    p, again, half = (KernelDensity(some) for some in (points, points, points[::2]))
    found = kl_divergences(p, [p, again, half], 500, seeded())
    assert found[:2].tolist() == [0, 0]
    assert 0 < float(found[2]) < 0.05


def test_divergences_are_those_of_scipy() -> None:
    sets = [correlated(100), correlated(300, 1) + 0.2, 2 * correlated(200, 2)]
    p, *references = (KernelDensity(some) for some in sets)
    found = kl_divergences(p, references, 250, seeded(3))
    x = p.sample(250, seeded(3)).T.numpy()
    own, *others = (stats.gaussian_kde(some.T.numpy()).logpdf(x) for some in sets)
    np.testing.assert_allclose(found, [(own - other).mean() for other in others], rtol=1e-9)


def test_divergences_between_kinds_of_densities() -> None:
    circle = UniformDensity(GRID[0], GRID[-1])
    half = UniformDensity(torch.zeros(1), torch.tensor([math.pi]))
    even = CircularDensity(ANGLES["uniform"])
    found = kl_divergences(half, [circle, even], 400, seeded())
    np.testing.assert_allclose(found, [math.log(2), math.log(2)], rtol=1e-3)
    assert kl_divergences(circle, [half], 100, seeded()).tolist() == [math.inf]
    assert kl_divergences(circle, [], 100, seeded()).shape == (0,)


@pytest.mark.parametrize("samples", [0, -3])
def test_divergences_need_samples(samples: int) -> None:
    p = KernelDensity(correlated(20))
    with pytest.raises(InvalidInputError, match="samples"):
        kl_divergences(p, [p], samples, seeded())


# --- on an accelerator ----------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("points", [correlated(3000), ANGLES["wide"]], ids=["plane", "circle"])
def test_another_device(points: Tensor) -> None:
    kind = KernelDensity if points.shape[1] == 2 else CircularDensity
    here, there = kind(points), kind(points.cuda())
    sample = there.sample(300, seeded())
    assert sample.is_cuda
    np.testing.assert_allclose(sample.cpu(), here.sample(300, seeded()), rtol=1e-9, atol=1e-9)
    assert there.log_density(sample).is_cuda
    expected = here.log_density(sample.cpu())
    np.testing.assert_allclose(there.log_density(sample).cpu(), expected, rtol=1e-9, atol=1e-9)
    # Queries may lie elsewhere than the points.
    np.testing.assert_allclose(there.log_density(sample.cpu()), expected, rtol=1e-9, atol=1e-9)
    assert kl_divergences(there, [here], 100, seeded()).cpu().abs().max() < 1e-9
