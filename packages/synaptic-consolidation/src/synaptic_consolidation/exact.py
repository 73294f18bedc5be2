"""Optimal weights of single neurons for given patterns, the yardstick of how close learning comes.

Each row of the weights is a perceptron of its own: it has weights w >= 0 and a free threshold
theta, and is to answer y = +-1 to inputs xi with the largest margin min y (w xi - theta), relative
to a norm of w. One factor per synapse maximises the margin of the l2 norm, a quadratic program, and
two factors that of the l1 norm, a linear program (Iatropoulos, Gerstner & Brea 2024; section
"Beyond the original" of the specification). With more factors the problem is no longer convex.

Every solution comes with a proof: for any p >= 0 with sum p = 1 and sum p y = 0, the margin of
weights of norm 1 is at most sum p y h = w g with g = sum p y xi, whatever the threshold, and so at
most |max(g, 0)|_2 (l2) or max(g) (l1). The dual solution is the p with the lowest of these bounds.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt8
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import linprog

from sharpwave_shared.compiled import workers
from sharpwave_shared.errors import ParameterError, SharpwaveError

SEPARABLE = 1e-6
"""Margins below this, relative to the range of the inputs, count as none."""
PRUNED = 1e-7
"""Weights up to this, relative to the largest, count as 0 in the density."""
GAP = 1e-8
"""Quadratic programs are solved until the margin is this close to its bound, relatively."""
JITTER = 1e-13
"""Added to the diagonal of the linear system of each step, relative to its largest entry."""
MAXIMUM_STEPS = 200
"""Steps of the interior-point method; 10 to 30 are enough."""

Inputs = Num[np.ndarray, "patterns inputs"] | Bool[np.ndarray, "patterns inputs"]
Labels = Num[np.ndarray, " patterns"]
Activity = UInt8[np.ndarray, "_ _"] | Bool[np.ndarray, "_ _"]
Norm = Literal[1, 2]


class Optimum(NamedTuple):
    """Weights with the largest margin.

    Attributes
    ----------
    separable
        Whether there are weights and a threshold that answer all patterns with a margin above
        `SEPARABLE`. If not, as is typical above the critical load, the weights, the threshold, and
        the density are NaN, and so is the margin.
    weights
        Optimal weights of norm 1, at least 0.
    threshold
        The optimal one for these weights.
    margin
        Smallest y (w xi - theta) over the patterns. It is evaluated at these weights and so is
        truly attained.
    bound
        No weights have a larger margin than this, by the dual problem.
    density
        Share of the weights above `PRUNED` times the largest.
    """

    separable: bool
    weights: Float[np.ndarray, " inputs"]
    threshold: float
    margin: float
    bound: float
    density: float


def largest_l2_margin(inputs: Inputs, labels: Labels) -> Optimum:
    """Maximise min y (w xi - theta) / |w|_2 over w >= 0 and theta, by quadratic programming.

    Parameters
    ----------
    inputs
        xi, 0 or 1 (or any finite numbers). The neuron itself is to be left out, as there are no
        self-connections.
    labels
        y, -1 or 1, both of which must occur: with one alone, the threshold gives any margin.

    Returns
    -------
    Optimum
        Weights with |w|_2 = 1, optimal up to a relative error of `GAP`.

    Raises
    ------
    ParameterError
        If inputs are not finite, or labels are not -1 and 1.
    SharpwaveError
        If the solver gets stuck, which the tests have not met.
    """
    X, y = _checked(inputs, labels)
    return _interior_point(X, y)


def largest_l1_margin(inputs: Inputs, labels: Labels) -> Optimum:
    """Maximise min y (w xi - theta) / |w|_1 over w >= 0 and theta, by linear programming.

    Parameters, errors and what is returned are those of `largest_l2_margin`, but |w|_1 = 1. The
    weights are a basic solution: at most as many are above 0 as there are patterns on the margin.
    """
    X, y = _checked(inputs, labels)
    M, N = X.shape
    # Unknowns are w, theta, and the margin t, which is maximised: t <= y (w xi - theta), |w|_1 = 1.
    # With this norm there are always solutions, if need be with t < 0.
    result = linprog(
        np.concatenate([np.zeros(N + 1), [-1.0]]),
        A_ub=np.hstack([-y[:, None] * X, y[:, None], np.ones((M, 1))]),
        b_ub=np.zeros(M),
        A_eq=np.concatenate([np.ones(N), [0.0, 0.0]])[None],
        b_eq=np.ones(1),
        bounds=[(0, None)] * N + [(None, None)] * 2,
        # Its crossover still ends in a basic solution; at high loads simplex is slower.
        method="highs-ipm",
    )
    if result.status != 0:
        raise SharpwaveError(f"the linear program could not be solved: {result.message}")
    p = _balanced(-result.ineqlin.marginals, y)
    return _optimum(X, y, result.x[:N], bound=float((X.T @ (p * y)).max()), norm=1)


class RowOptima(NamedTuple):
    """Optimal weights of several neurons of a network; NaN where there is no solution.

    Attributes
    ----------
    weights
        w of norm 1, with 0 for the neuron itself.
    thresholds
        theta.
    margins
        Smallest y (w xi - theta) over the patterns.
    densities
        Share of the synapses, N - 1 in each row, that are not 0.
    """

    weights: Float[np.ndarray, "rows neurons"]
    thresholds: Float[np.ndarray, " rows"]
    margins: Float[np.ndarray, " rows"]
    densities: Float[np.ndarray, " rows"]


def optima_of_rows(
    patterns: Activity, labels: Activity, rows: Int[np.ndarray, " rows"], norm: Norm
) -> RowOptima:
    """Find the optimal weights of some neurons of a network, in threads.

    Parameters
    ----------
    patterns
        xi (M x N), what the network gets.
    labels
        What it is to answer (M x N): the patterns themselves, or for a sequence those that follow.
    rows
        The neurons i.
    norm
        2 for the l2 margin, which one factor per synapse maximises, and 1 for the l1 margin, which
        two factors maximise.

    Returns
    -------
    RowOptima
        In the order of `rows`. A neuron whose labels are all alike has NaN too, as the threshold
        alone gives it any margin.

    Raises
    ------
    ParameterError
        If patterns and labels differ in shape, or a row is none of the neurons.
    SharpwaveError
        If a solver gets stuck.
    """
    M, N = patterns.shape
    if labels.shape != (M, N):
        raise ParameterError("labels", str(labels.shape), f"{(M, N)} as of the patterns")
    if len(rows) and not 0 <= rows.min() <= rows.max() < N:
        raise ParameterError("rows", rows.tolist(), f"numbers from 0 to {N - 1}")
    solve = largest_l2_margin if norm == 2 else largest_l1_margin
    found = RowOptima(
        np.full((len(rows), N), np.nan), *(np.full(len(rows), np.nan) for _ in range(3))
    )

    def fill(place: int) -> None:
        i = rows[place]
        y = 2.0 * labels[:, i] - 1
        if y.min() == y.max():
            return
        optimum = solve(np.delete(patterns, i, 1), y)
        found.weights[place] = np.insert(optimum.weights, i, 0.0)
        found.thresholds[place] = optimum.threshold
        found.margins[place] = optimum.margin
        found.densities[place] = optimum.density

    with workers(max(len(rows), 1)) as in_parallel:
        in_parallel(fill, range(len(rows)))
    return found


class _Point(NamedTuple):
    """Unknowns of the interior-point method, or their changes; see `_interior_point`."""

    w: np.ndarray
    m: np.ndarray
    p: np.ndarray
    s: np.ndarray
    free: np.ndarray

    @property
    def product(self) -> float:
        """Mean of the products w m and p s, all of which are 0 at the optimum."""
        return float(self.w @ self.m + self.p @ self.s) / (len(self.w) + len(self.p))

    def longest(self, step: "_Point") -> float:
        """Give the share of a step, at most 1, up to which w, m, p and s stay at least 0."""
        x, dx = np.concatenate(self[:4]), np.concatenate(step[:4])
        falling = dx < 0
        return float((-x[falling] / dx[falling]).min(initial=1.0))

    def moved(self, step: "_Point", share: float) -> "_Point":
        """Give the point after a share of a step."""
        return _Point(*(x + share * dx for x, dx in zip(self, step, strict=True)))


class _Newton:
    """Newton's method for the equations of `_interior_point`, at one point.

    Parameters
    ----------
    A
        y xi, one row per pattern.
    C
        y and 1, the columns of theta and t.
    point
        w, m, p, s, and (theta, t).
    """

    def __init__(self, A: np.ndarray, C: np.ndarray, point: _Point) -> None:
        w, m, p, s, free = point
        self._A, self._C, self._point = A, C, point
        self._dual = A.T @ p + m - w
        self._sums = np.array([0.0, 1.0]) - C.T @ p
        self._primal = C @ free + s - A @ w
        self._D = w / (w + m)
        K = (A * self._D) @ A.T
        # Patterns that are alike make K singular as s goes to 0. The small number merely slows
        # the method down, as the equations themselves stay the same.
        K[np.diag_indices_from(K)] += s / p + JITTER * K.diagonal().max()
        self._factor = cho_factor(K, overwrite_a=True, check_finite=False)
        self._KC = cho_solve(self._factor, C)

    def step(self, wm: np.ndarray | float, ps: np.ndarray | float) -> _Point:
        """Give the changes that would bring the products w m and p s to these values.

        The linear equations then hold, too. Changes of m and s are eliminated first, then those
        of w, and those of p last.
        """
        w, m, p, s, _ = self._point
        A, C, D = self._A, self._C, self._D
        c = D * (self._dual + wm / w - m)
        solved = cho_solve(self._factor, self._primal + ps / p - s - A @ c)
        dfree = np.linalg.solve(C.T @ self._KC, self._sums - C.T @ solved)
        dp = solved + self._KC @ dfree
        dw = c + D * (A.T @ dp)
        return _Point(dw, wm / w - m - m / w * dw, dp, ps / p - s - s / p * dp, dfree)


def _interior_point(
    X: Float[np.ndarray, "patterns inputs"], y: Float[np.ndarray, " patterns"]
) -> Optimum:
    """Maximise the l2 margin by Mehrotra's predictor-corrector method.

    The program is: minimise |w|^2 / 2 - t over w >= 0, theta and t, where s = y (w xi - theta) - t
    is at least 0. This form has a solution in any case, w = 0 if patterns are not separable;
    otherwise the optimal w has the length of the largest margin. With multipliers p of s >= 0 and
    m of w >= 0 it is optimal if

        w = A^T p + m, sum p = 1, sum y p = 0, A w - y theta - t = s, p s = 0, w m = 0,

    where the rows of A are y xi. Newton's method is applied to these equations, with the last two
    products not at 0 yet but falling: a linear system for p alone. Any p gives weights,
    max(A^T p, 0), and a bound on all margins; the method ends when the margin of the weights has
    reached the bound. These weights have exact zeros where those of the method are merely small.
    """
    # Without the mean of the inputs, which the threshold takes up, the equations are well
    # conditioned; tolerances are relative to the range of the inputs.
    scale = _range(X) or 1.0
    X_centred = (X - X.mean(0)) / scale
    A, C = y[:, None] * X_centred, np.stack([y, np.ones_like(y)], 1)
    M, N = A.shape
    p = _balanced(np.ones(M), y)
    start = float(np.abs(A.T @ p).max()) or 1.0
    # A start in the middle: all complementary products are equal.
    point = _Point(np.full(N, start), np.full(N, start), p, start**2 / p, np.zeros(2))
    for _ in range(MAXIMUM_STEPS):
        g = np.maximum(A.T @ _balanced(point.p, y), 0)
        bound = float(np.linalg.norm(g))
        if bound <= SEPARABLE or bound - _best(X_centred, y, g / bound)[0] <= GAP * bound:
            return _optimum(X, y, g, bound=bound * scale, norm=2)
        try:
            newton = _Newton(A, C, point)
        except LinAlgError:
            break
        ahead = newton.step(0.0, 0.0)
        predicted = point.moved(ahead, point.longest(ahead))
        # Products aim at a common value, the lower the further the prediction lowers their mean.
        aim = predicted.product**3 / point.product**2
        step = newton.step(aim - ahead.w * ahead.m, aim - ahead.p * ahead.s)
        point = point.moved(step, min(1.0, 0.99 * point.longest(step)))
    raise SharpwaveError("the quadratic program could not be solved")


def _checked(
    inputs: Inputs, labels: Labels
) -> tuple[Float[np.ndarray, "patterns inputs"], Float[np.ndarray, " patterns"]]:
    """Give inputs and labels in float64, or refuse them."""
    X, y = inputs.astype(float), labels.astype(float)
    if X.shape[1] == 0:
        raise ParameterError("inputs", "none", "at least one column")
    if not np.isfinite(X).all():
        raise ParameterError("inputs", "some that are not finite", "finite numbers")
    found = np.unique(y).tolist()
    if found != [-1, 1]:
        raise ParameterError("labels", found[:5], "both -1 and 1, and only these")
    return X, y


def _range(X: Float[np.ndarray, "patterns inputs"]) -> float:
    return float(X.max() - X.min())


def _balanced(
    p: Float[np.ndarray, " patterns"], y: Float[np.ndarray, " patterns"]
) -> Float[np.ndarray, " patterns"]:
    """Make multipliers feasible: at least 0, with a sum of 1/2 for each label."""
    p = np.maximum(p, 0)
    totals = {sign: p[y == sign].sum() for sign in (-1, 1)}
    if min(totals.values()) == 0:
        return _balanced(np.ones_like(p), y)
    return p / np.where(y > 0, totals[1], totals[-1]) / 2


def _best(
    X: Float[np.ndarray, "patterns inputs"],
    y: Float[np.ndarray, " patterns"],
    w: Float[np.ndarray, " inputs"],
) -> tuple[float, float]:
    """Give the margin at the best threshold, in the middle between labels, and this threshold."""
    h = X @ w
    low, high = float(h[y < 0].max()), float(h[y > 0].min())
    return (high - low) / 2, (low + high) / 2


def _optimum(
    X: Float[np.ndarray, "patterns inputs"],
    y: Float[np.ndarray, " patterns"],
    w: Float[np.ndarray, " inputs"],
    *,
    bound: float,
    norm: int,
) -> Optimum:
    """Describe optimal weights of any length, or tell that there are none."""
    w = np.maximum(w, 0)
    length = float(np.linalg.norm(w, norm))
    if length > 0:
        w = w / length
    margin, threshold = _best(X, y, w)
    if margin <= SEPARABLE * _range(X):
        nan = float("nan")
        return Optimum(False, np.full_like(w, nan), nan, nan, bound, nan)
    density = float((w > PRUNED * w.max()).mean())
    return Optimum(True, w, threshold, margin, bound, density)
