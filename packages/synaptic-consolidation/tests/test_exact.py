"""Optimal weights against SciPy's solvers, their optimality conditions, and the theory."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from sharpwave_shared.errors import ParameterError, SharpwaveError
from synaptic_consolidation import exact
from synaptic_consolidation.exact import Optimum, largest_l1_margin, largest_l2_margin
from synaptic_consolidation.theory import l1_optima_at_loads, l2_optima_at_loads

SOLVERS = {1: largest_l1_margin, 2: largest_l2_margin}
Solver = Callable[[np.ndarray, np.ndarray], Optimum]


def relative_margin(found: Optimum, f: float) -> float:
    """Give the margin of l1-optimal weights as in the theory: rho."""
    return found.margin * float(np.sqrt(len(found.weights) / (f * (1 - f))))


def problem(N: int, M: int, f: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random patterns, with both labels."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(M) < f, 1, -1)
    y[:2] = 1, -1
    return (rng.random((M, N)) < f).astype(int), y


def attained(X: np.ndarray, y: np.ndarray, w: np.ndarray, theta: float, norm: int) -> float:
    return float((y * (X @ w - theta)).min() / np.linalg.norm(w, norm))


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("f", [0.5, 0.1])
def test_the_proof_of_optimality(norm: int, f: float) -> None:
    X, y = problem(100, 40, f)
    found = SOLVERS[norm](X, y)
    assert found.separable
    assert (found.weights >= 0).all()
    assert np.linalg.norm(found.weights, norm) == pytest.approx(1)
    assert found.margin == pytest.approx(
        attained(X, y, found.weights, found.threshold, norm), rel=1e-9
    )
    assert 0 <= found.bound - found.margin + 1e-12 <= 2e-8 * found.bound
    assert found.density == (found.weights > 1e-9).mean()


def test_conditions_of_the_quadratic_program() -> None:
    """Weights are patterns on the margin, added up with multipliers, and cut off at 0."""
    X, y = problem(60, 25)
    w, theta, margin = (found := largest_l2_margin(X, y)).weights, found.threshold, found.margin
    surplus = y * (X @ w - theta) - margin
    on = surplus < 1e-6
    assert 2 <= on.sum() < len(y)
    assert surplus[~on].min() > 1e-4
    # With p on the margin only, margin * w = sum p y xi wherever w > 0, sum p y = 0, sum p = 1.
    alive = w > 0
    A = np.vstack([(y[:, None] * X)[on][:, alive].T, y[on], np.ones(on.sum())])
    p, *_ = np.linalg.lstsq(A, np.concatenate([margin * w[alive], [0, 1]]), rcond=None)
    np.testing.assert_allclose(A @ p, [*(margin * w[alive]), 0, 1], atol=1e-6)
    assert p.min() > 0
    assert (p @ (y[:, None] * X)[on][:, ~alive]).max() < 1e-6


def test_a_basic_solution() -> None:
    X, y = problem(100, 40)
    found = largest_l1_margin(X, y)
    surplus = y * (X @ found.weights - found.threshold) - found.margin
    assert (found.weights > 0).sum() + 1 == (surplus < 1e-8).sum()


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_agreement_with_another_solver(norm: int, seed: int) -> None:
    """The weights that need the smallest norm for a margin of 1, by SLSQP."""
    X, y = problem(8, 5, seed=seed)
    found = SOLVERS[norm](X, y)
    A = np.hstack([y[:, None] * X, -y[:, None]])
    other = minimize(
        lambda x: x[:-1].sum() if norm == 1 else x[:-1] @ x[:-1] / 2,
        np.ones(9),
        method="SLSQP",
        bounds=[(0, None)] * 8 + [(None, None)],
        constraints={"type": "ineq", "fun": lambda x: A @ x - 1},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert found.separable == other.success
    if found.separable:
        w = other.x[:-1]
        assert found.margin == pytest.approx(1 / np.linalg.norm(w, norm), rel=1e-5)
        if norm == 2:
            np.testing.assert_allclose(found.weights, w / np.linalg.norm(w), atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(2, 12), st.sampled_from([0.2, 0.5]))
def test_any_patterns(seed: int, N: int, M: int, f: float) -> None:
    """Small problems are full of ties, equal patterns, and contradictions."""
    X, y = problem(N, M, f, seed)
    one, two = largest_l1_margin(X, y), largest_l2_margin(X, y)
    assert one.separable == two.separable
    rng = np.random.default_rng(seed)
    for norm, found in ((1, one), (2, two)):
        if not found.separable:
            assert found.bound < 1e-5
            assert np.isnan([*found.weights, found.threshold, found.margin, found.density]).all()
            continue
        assert found.margin <= found.bound * (1 + 1e-9)
        assert found.margin >= found.bound * (1 - 1e-7)
        # No other weights do better: random ones, slightly changed ones, those of the other norm.
        others = rng.exponential(size=(20, N))
        others[10:] = np.maximum(found.weights + 0.01 * rng.standard_normal((10, N)), 1e-9)
        for w in (*others, one.weights, two.weights):
            h = X @ w
            theta = (h[y > 0].min() + h[y < 0].max()) / 2
            assert attained(X, y, w, theta, norm) <= found.margin * (1 + 1e-7)


@pytest.mark.parametrize("solve", SOLVERS.values())
def test_patterns_that_cannot_be_told_apart(solve: Solver) -> None:
    X, y = problem(30, 70)
    found = solve(X, y)
    assert not found.separable
    assert found.weights.shape == (30,)
    assert np.isnan([*found.weights, found.threshold, found.margin, found.density]).all()
    # Contradictions; the wrong sign; no inputs that differ.
    for pair in ([[1, 0], [1, 0]], [[0, 0], [1, 0]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]):
        assert not solve(np.array(pair), np.array([1, -1])).separable


@pytest.mark.parametrize("solve", SOLVERS.values())
def test_a_solution_by_hand(solve: Solver) -> None:
    # The first input is the label, the second is of no use.
    found = solve(np.array([[True, False], [False, False], [False, True]]), np.array([1, -1, -1]))
    assert found.separable
    np.testing.assert_allclose(found.weights, [1, 0], atol=1e-12)
    assert found.threshold == pytest.approx(0.5)
    assert found.margin == pytest.approx(0.5)
    assert found.density == 0.5
    assert relative_margin(found, 0.5) == pytest.approx(0.5 * np.sqrt(2) / 0.5)


@pytest.mark.parametrize("norm", [1, 2])
def test_scale_and_shift_of_the_inputs(norm: int) -> None:
    X, y = problem(40, 15)
    found, other = SOLVERS[norm](X, y), SOLVERS[norm](1e3 * (X - 0.5), y)
    np.testing.assert_allclose(other.weights, found.weights, atol=1e-6)
    assert other.margin == pytest.approx(1e3 * found.margin, rel=1e-7)
    assert other.bound == pytest.approx(1e3 * found.bound, rel=1e-7)


@pytest.mark.parametrize(("load", "f", "rows"), [(0.33, 0.5, 20), (0.33, 0.2, 20)])
def test_the_theory_is_near(load: float, f: float, rows: int) -> None:
    """Means over rows of 200 inputs; finite numbers of inputs shift them by about 3 %."""
    N, M = 200, round(200 * load)
    one, two = [], []
    for seed in range(rows):
        X, y = problem(N, M, f, seed)
        one.append(largest_l1_margin(X, y))
        two.append(largest_l2_margin(X, y))
    loads = np.array([M / N])
    l1, l2 = l1_optima_at_loads(loads, f), l2_optima_at_loads(loads, f)
    rho = np.array([relative_margin(found, f) for found in one])
    k = np.array([found.margin for found in two])
    for values, expected in ((rho, l1.margin[0]), (k, l2.margin[0])):
        tolerance = 3 * values.std() / np.sqrt(rows) + 0.05 * expected
        assert values.mean() == pytest.approx(expected, abs=tolerance)
    assert np.mean([found.density for found in one]) == pytest.approx(l1.density[0], abs=0.02)
    assert np.mean([found.density for found in two]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("solve", SOLVERS.values())
def test_unusable_input(solve: Solver) -> None:
    X, y = problem(4, 3)
    for bad in (np.ones(3), -np.ones(3), np.array([0, 1, -1]), np.array([np.nan, 1, -1])):
        with pytest.raises(ParameterError, match=r"labels: got .* -1 and 1"):
            solve(X, bad)
    with pytest.raises(ParameterError, match=r"inputs: .* not finite"):
        solve(np.where(X, np.inf, 0.0), y)
    with pytest.raises(ParameterError, match=r"inputs: .* at least one"):
        solve(X[:, :0], y)


def test_a_solver_that_gets_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = problem(20, 8)
    monkeypatch.setattr(exact, "MAXIMUM_STEPS", 2)
    with pytest.raises(SharpwaveError, match="could not be solved"):
        largest_l2_margin(X, y)
