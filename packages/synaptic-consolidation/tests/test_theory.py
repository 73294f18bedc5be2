"""Curves against their defining integrals and maxima, their limits, and the published densities."""

import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from sharpwave_shared.errors import ParameterError
from synaptic_consolidation import theory
from synaptic_consolidation.theory import (
    LOWEST_LOAD,
    Optima,
    critical_load,
    l1_optima_at_loads,
    l2_optima_at_loads,
    sparsest_densities,
)

Curve = Callable[..., Optima]
activities = st.floats(1e-4, 1 - 1e-4)
CURVES = [l2_optima_at_loads, l1_optima_at_loads]


def mean_square(x: float) -> float:
    """G(x)."""
    return theory._second_moment(-x)


def least_mean_square(k: float, f: float = 0.5) -> float:
    """F(k, f)."""
    return theory._shortfall(k, f)[0]


def moments(B: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """H, m1 and m2, by SciPy's distributions."""
    H, phi = stats.norm.sf(B), stats.norm.pdf(B)
    return H, phi - B * H, (1 + B**2) * H - B * phi


def loads_of_l2(margins: np.ndarray, f: float) -> np.ndarray:
    """The formula for the load at which these margins are the largest."""
    return np.array([0.5 / least_mean_square(k / math.sqrt(f * (1 - f)), f) for k in margins])


def loads_of_l1(margins: np.ndarray, densities: np.ndarray, f: float) -> np.ndarray:
    """The same, of weights of these densities."""
    H, m1, m2 = moments(stats.norm.isf(densities))
    scaled = margins * m1 / np.sqrt(m2)
    return H**2 / m2 / [least_mean_square(k, f) for k in scaled]


def positive_moment(x: float, power: int) -> float:
    """The mean of max(z + x, 0)^power over normal z, by integration."""
    top = max(10.0, -x + 10)
    return quad(
        lambda z: (z + x) ** power * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
        -x,
        top,
        epsabs=0,
        epsrel=1e-11,
        limit=200,
    )[0]


def integrated(k: float, f: float) -> float:
    return minimize_scalar(
        lambda v: f * positive_moment(k + v, 2) + (1 - f) * positive_moment(k - v, 2),
        bracket=(0, 0.5),
        tol=1e-8,
    ).fun


# --- Gaussian integrals ---------------------------------------------------------------------------


def test_tail_is_that_of_scipy() -> None:
    x = np.linspace(-8, 30, 77)
    np.testing.assert_allclose([theory._tail(v) for v in x], stats.norm.sf(x), rtol=1e-12)


@pytest.mark.parametrize("x", [-6.0, -1.3, 0.0, 0.7, 5.0])
def test_mean_square_is_the_integral(x: float) -> None:
    assert mean_square(x) == pytest.approx(positive_moment(x, 2), rel=1e-9)
    assert mean_square(x) + mean_square(-x) == pytest.approx(1 + x**2)


@pytest.mark.parametrize(("k", "f"), [(0.0, 0.5), (0.0, 0.05), (0.8, 0.05), (2.5, 0.3), (1.0, 0.9)])
def test_least_mean_square_is_the_minimum(k: float, f: float) -> None:
    assert least_mean_square(k, f) == pytest.approx(integrated(k, f), rel=1e-7)


@given(st.floats(0, 1e3), activities)
def test_no_threshold_is_better(k: float, f: float) -> None:
    found = least_mean_square(k, f)
    thresholds = np.linspace(-k - 6, k + 6, 101)
    least = min(f * mean_square(k + v) + (1 - f) * mean_square(k - v) for v in thresholds)
    assert found <= least * (1 + 1e-12)
    assert found >= 4 * f * (1 - f) * k**2
    if f == 0.5:
        assert found == mean_square(k)


def test_large_margins() -> None:
    # All patterns then lie on the margin, and h is 2 (1 - f) k or -2 f k from the threshold.
    for k in (1e3, 1e6):
        assert least_mean_square(k, 0.2) == pytest.approx(4 * 0.2 * 0.8 * k**2, rel=1e-5)


# --- largest margins ------------------------------------------------------------------------------


def test_the_critical_load() -> None:
    assert critical_load() == 1
    assert critical_load(0.05) == pytest.approx(0.5 / integrated(0, 0.05), rel=1e-6)
    loads = [critical_load(f) for f in (0.5, 0.2, 0.05, 1e-3, 1e-6)]
    assert loads == sorted(loads)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("f", [0.5, 0.05, 0.7])
def test_at_the_critical_load(curve: Curve, f: float) -> None:
    critical = critical_load(f)
    found = curve(np.array([critical, critical * (1 + 1e-9), np.inf, critical * (1 - 1e-9)]), f)
    assert found.margin[0] == pytest.approx(0, abs=1e-9)
    assert found.density[0] == pytest.approx(0.5)
    assert np.isnan(found.margin[1:3]).all()
    assert np.isnan(found.density[1:3]).all()
    assert 0 < found.margin[3] < 1e-7
    assert found.load[2] == np.inf


def test_l2_by_hand() -> None:
    # At f = 1/2 the best threshold is in the middle: F(k, 1/2) = G(k).
    k = np.array([0.1, 0.5, 2.0])
    found = l2_optima_at_loads(np.array([0.5 / mean_square(2 * x) for x in k]))
    np.testing.assert_allclose(found.margin, k, rtol=1e-9)
    np.testing.assert_array_equal(found.density, 0.5)
    np.testing.assert_allclose(l2_optima_at_loads(np.array([0.5 / 4e8])).margin, 1e4, rtol=1e-6)


@pytest.mark.parametrize(
    ("rho", "f"), [(0.3, 0.5), (1.7, 0.5), (6.3, 0.5), (4.5, 0.05), (2.0, 0.8)]
)
def test_l1_is_the_maximum_of_the_formula(rho: float, f: float) -> None:
    """The load and the density by trying all B, from integrals and SciPy's distributions."""
    B = np.linspace(-1, 4, 401)
    H, m1, m2 = moments(B)
    assert m1[240] == pytest.approx(positive_moment(-B[240], 1), rel=1e-8)
    assert m2[240] == pytest.approx(positive_moment(-B[240], 2), rel=1e-8)
    loads = loads_of_l1(np.full(len(B), rho), H, f)
    best = int(loads.argmax())
    assert 0 < best < len(B) - 1
    assert (np.diff(loads)[:best] > 0).all()
    assert (np.diff(loads)[best:] < 0).all()
    found = l1_optima_at_loads(loads[[best]], f)
    assert found.margin[0] == pytest.approx(rho, rel=1e-4)
    assert found.margin[0] >= rho * (1 - 1e-12)
    assert found.density[0] == pytest.approx(H[best], abs=2e-3)
    assert found.density[0] < found.load[0]


@pytest.mark.parametrize(("load", "density"), [(0.08, 0.075), (0.33, 0.255), (0.70, 0.42)])
def test_published_densities(load: float, density: float) -> None:
    """Two factors at f = 1/2, simulated; the theory is 0.072, 0.244, and 0.411."""
    found = l1_optima_at_loads(np.array([load])).density[0]
    assert found == pytest.approx(density, abs=0.012)
    assert found < density


@settings(deadline=None, max_examples=10)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=2), activities, st.sampled_from([0, 1]))
def test_there_and_back(shares: list[float], f: float, which: int) -> None:
    loads = np.array(shares) * critical_load(f)
    found = CURVES[which](loads, f)
    if which == 0:
        back = loads_of_l2(found.margin, f)
    else:
        back = loads_of_l1(found.margin, found.density, f)
    np.testing.assert_allclose(back, loads, rtol=1e-8)
    np.testing.assert_array_equal(found.load, loads)


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-6, 0.99), activities, st.sampled_from([0, 1]))
def test_more_load_less_margin(share: float, f: float, which: int) -> None:
    loads = np.array([share, share * 1.01]) * critical_load(f)
    found = CURVES[which](loads, f)
    assert found.margin[0] > found.margin[1]
    assert found.density[0] <= found.density[1] <= 0.5


@settings(deadline=None, max_examples=8)
@given(st.floats(1e-4, 0.99), st.floats(0.01, 0.99))
def test_ones_and_zeros_may_change_places(share: float, f: float) -> None:
    loads = np.array([share * critical_load(f)])
    for curve in CURVES:
        one, other = curve(loads, f), curve(loads, 1 - f)
        np.testing.assert_allclose(np.stack(one), np.stack(other), rtol=1e-9)
    assert critical_load(f) == pytest.approx(critical_load(1 - f))


def test_few_patterns() -> None:
    # All of them are on the margin then, and there are as many weights.
    loads = np.array([1e-90, 1e-20, 1e-5])
    np.testing.assert_allclose(l1_optima_at_loads(loads).density, loads, rtol=1e-3)
    np.testing.assert_allclose(l2_optima_at_loads(loads).margin, np.sqrt(0.125 / loads), rtol=0.01)


@pytest.mark.parametrize("function", CURVES)
def test_the_lowest_load_and_none(function: Curve) -> None:
    assert np.isfinite(np.stack(function(np.array([LOWEST_LOAD])))).all()
    assert [len(part) for part in function(np.empty(0))] == [0, 0, 0]
    assert isinstance(function(np.empty(0)), Optima)


# --- sparsest solutions ---------------------------------------------------------------------------


def test_sparsest_densities_by_hand() -> None:
    B = np.array([0.0, 0.5, 2.0])
    p = stats.norm.sf(B)
    loads = (B * stats.norm.pdf(B) + p) / 0.5
    np.testing.assert_allclose(sparsest_densities(loads), p, rtol=1e-8)
    # The mean square of the normal numbers above B.
    kept = quad(lambda z: z**2 * stats.norm.pdf(z), 0.5, 12)[0]
    assert loads[1] == pytest.approx(kept / 0.5)
    # No solution of a density of 0.031 at this load, perhaps one of 0.033.
    assert 0.031 < sparsest_densities(np.array([0.33]))[0] < 0.033
    assert math.isnan(sparsest_densities(np.array([1.01]))[0])


@settings(deadline=None, max_examples=8)
@given(st.floats(1e-6, 1), activities)
def test_sparsest_and_back(share: float, f: float) -> None:
    loads = np.array([share * critical_load(f)])
    density = sparsest_densities(loads, f)
    B = stats.norm.isf(density)
    back = (B * stats.norm.pdf(B) + density) / least_mean_square(0.0, f)
    np.testing.assert_allclose(back, loads, rtol=1e-8)
    assert density[0] <= 0.5
    # The density of the largest l1 margin is possible, of course.
    optimum = l1_optima_at_loads(loads, f).density
    assert density[0] <= optimum[0] + 1e-9


# --- unusable input -------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [0.0, 1.0, -0.1, math.nan])
def test_impossible_activities(f: float) -> None:
    for function in (*CURVES, sparsest_densities):
        with pytest.raises(ParameterError, match=r"f: got .* between 0 and 1"):
            function(np.array([0.5]), f)
    with pytest.raises(ParameterError, match="f: got"):
        critical_load(f)


@pytest.mark.parametrize("bad", [-0.1, 0.0, math.nan])
def test_impossible_loads(bad: float) -> None:
    for function in (*CURVES, sparsest_densities):
        with pytest.raises(ParameterError, match=r"loads: got .* from 1e-100"):
            function(np.array([1.0, bad]))


@pytest.mark.slow
def test_a_disk_that_is_full_does_not_end_the_process(tmp_path):
    """HDF5 would crash it when it closes a file that it could not write."""
    program = f"""
import gc, resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
from synaptic_consolidation import Theory
try:
    Theory(points=4).run(out={str(tmp_path / "run")!r})
except OSError:
    gc.collect()
    print("goes on")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr
    assert not (tmp_path / "run" / "results.nc").exists()
