"""The consolidation step on the CPU: compiled loops, rows in threads.

Only living synapses take part in the steps of a row: they are gathered at the start of a block of
steps, with their columns of the patterns, so that the work falls with the density, and the row
stays in the cache of its processor for all of these steps. While most synapses live, what takes
longest is the product of weights and patterns. There, many rows take their steps together: one
matrix product for all of them is several times as fast as one row after the other.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sharpwave_shared.compiled import jit
from synaptic_consolidation.model import (
    PRUNED,
    SMALLEST_FACTOR,
    Labels,
    Patterns,
    Rows,
    Rule,
    signs,
)

VECTOR = 32
"""Synapses are filled up to a multiple of this, so that loops over them are all vectors."""
TOGETHER = 64
"""Rows that take their steps together, at most."""
UNIT = 16
"""Their number is filled up to a multiple of this: small products are rounded in other ways."""
LARGE = 256
"""With fewer inputs than this none does."""
DENSE = 0.6
"""Nor does a row with a smaller share of living synapses: it is faster alone."""


def advance(
    rows: Rows,
    patterns: Patterns,
    labels: Labels,
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
    in_parallel: Callable = map,
) -> None:
    """Let rows take as many steps as there are learning rates; see `model.Advance`.

    `in_parallel` is the `map` of `sharpwave_shared.compiled.workers`, if it has been opened.
    """
    dtype = rows.factors.dtype
    y = np.ascontiguousarray(signs(labels).T.astype(dtype))  # rows x patterns
    rates = eta.astype(dtype), eta_theta.astype(dtype)
    inputs = patterns.shape[1]
    dense = np.flatnonzero((rows.living.mean(1) >= DENSE) & (inputs >= LARGE))
    tasks: list[Callable[[], None]] = []
    if len(dense):
        filled = np.zeros((len(patterns), _filled_up(inputs)), np.uint8)
        filled[:, :inputs] = patterns
        columns = torch.from_numpy(np.ascontiguousarray(filled.T.astype(dtype)))
        for first in range(0, len(dense), TOGETHER):
            some = dense[first : first + TOGETHER]
            tasks.append(partial(_together, some, rows, filled, columns, y, rule, *rates))
    alone = np.setdiff1d(np.arange(len(rows)), dense).tolist()
    tasks += [partial(_alone, row, rows, patterns, y, rule, *rates) for row in alone]
    list(in_parallel(lambda task: task(), tasks))


def _filled_up(count: int, unit: int = VECTOR) -> int:
    return -(-count // unit) * unit


def _alone(
    row: int,
    rows: Rows,
    patterns: Patterns,
    y: Float[np.ndarray, "rows patterns"],
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
) -> None:
    """Let a row take its steps, with its living synapses only."""
    index = np.flatnonzero(rows.living[row])
    columns = np.zeros((len(patterns), _filled_up(len(index))), np.uint8)
    columns[:, : len(index)] = patterns.take(index, 1)
    v, w, open, state = _gather(rows, np.array([row]), index)
    learning = rule.beta, rule.norm, rule.error_driven
    one = v[0], w[0], open[0], state[0], y[row]
    _advance(columns, *one, eta, eta_theta, learning, _scratch(v, y))
    _scatter(rows, np.array([row]), index, v, open, state)


def _together(
    some: Int[np.ndarray, " some"],
    rows: Rows,
    patterns: Patterns,
    columns: Float[Tensor, "filled patterns"],
    y: Float[np.ndarray, "rows patterns"],
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
) -> None:
    """Let some rows take their steps, with all synapses, the patterns being filled up."""
    index = np.arange(rows.living.shape[1])
    v, w, open, state = _gather(rows, some, index)
    count = _filled_up(len(some), UNIT)
    weights = torch.zeros((count, w.shape[1]), dtype=columns.dtype)
    weights[: len(some)] = torch.from_numpy(w)
    w, own = weights.numpy(), np.ascontiguousarray(y[some])
    responses = torch.empty((count, len(patterns)), dtype=columns.dtype)
    h, scratch = responses.numpy(), _scratch(v, y)
    learning = rule.beta, rule.norm, rule.error_driven
    for rate, rate_theta in zip(eta, eta_theta, strict=True):
        torch.mm(weights, columns, out=responses)
        _step_of_all(patterns, h, v, w, open, state, own, rate, rate_theta, learning, scratch)
    _scatter(rows, some, index, v, open, state)


def _gather(
    rows: Rows, some: Int[np.ndarray, " some"], index: Int[np.ndarray, " synapses"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Give factors, weights, 1 for living synapses, and theta and mean, of some rows.

    What is missing to a whole number of vectors is filled up with synapses that take no part.
    """
    z, dtype = rows.factors.shape[1], rows.factors.dtype
    v = np.zeros((len(some), z, _filled_up(len(index))), dtype)
    open = np.zeros((len(some), v.shape[2]), dtype)
    v[:, :, : len(index)] = rows.factors[some][:, :, index]
    open[:, : len(index)] = rows.living[some][:, index]
    v *= open[:, None]
    return v, v.prod(1), open, np.stack([rows.theta[some], rows.mean[some]], 1)


def _scatter(
    rows: Rows,
    some: Int[np.ndarray, " some"],
    index: Int[np.ndarray, " synapses"],
    v: np.ndarray,
    open: np.ndarray,
    state: np.ndarray,
) -> None:
    """Put back what `_gather` gave."""
    count, every = len(index), np.arange(rows.factors.shape[1])
    rows.factors[np.ix_(some, every, index)] = v[:, :, :count]
    rows.living[np.ix_(some, index)] = open[:, :count] > 0
    rows.theta[some], rows.mean[some] = state.T


def _scratch(v: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Allocate what `_step` needs: others, running, g, c and chosen."""
    (_, z, n), M = v.shape, y.shape[1]
    dtype = v.dtype
    return (
        *(np.empty((z, n), dtype), np.empty(n, dtype), np.empty(n, dtype)),
        *(np.empty(M, dtype), np.empty(M, np.int64)),
    )


@jit
def _advance(X, v, w, open, state, y, eta, eta_theta, learning, scratch):
    """Let one row take all steps."""
    h = np.empty(y.size, v.dtype)
    for t in range(eta.size):
        _responses(X, w, h)
        _step(X, h, v, w, open, state, y, eta[t], eta_theta[t], learning, scratch)


@jit
def _step_of_all(X, h, v, w, open, state, y, eta, eta_theta, learning, scratch):
    """Let rows take a step, for which w xi has been put into h."""
    for i in range(v.shape[0]):
        _step(X, h[i], v[i], w[i], open[i], state[i], y[i], eta, eta_theta, learning, scratch)


@jit
def _step(X, h, v, w, open, state, y, eta, eta_theta, learning, scratch):
    """Let a row take a step.

    X: M x n, the patterns; h: M, w xi; v: z x n, factors; w: n, their products; open: n, 1 until
    they are pruned; state: theta and mean; y: M, +-1.
    """
    number = v.dtype.type
    beta, norm, error_driven = learning
    others, running, g, c, chosen = scratch
    (z, n), M = v.shape, y.size
    theta, mean = state[0], state[1]
    pruned, floor, zero, one = number(PRUNED), number(SMALLEST_FACTOR), number(0), number(1)
    negligible = -math.log(np.finfo(v.dtype).eps)

    worst, lowest, total, nearest = 0, number(np.inf), zero, number(np.inf)
    for m in range(M):
        h[m] -= theta
        a = abs(h[m])
        total += a
        nearest = min(nearest, a)
        if y[m] * h[m] < lowest:
            lowest = y[m] * h[m]
            worst = m
    if error_driven and lowest <= zero:
        answer = y[worst]
        for j in range(n):
            g[j] = answer * number(X[worst, j])
    else:
        steepness = number(beta) / (mean if mean > zero else total / number(M))
        count, partition, answer = 0, zero, zero
        for m in range(M):
            distance = steepness * (abs(h[m]) - nearest)
            if distance < negligible:
                p = math.exp(-distance)
                partition += p
                p = p if h[m] > zero else (-p if h[m] < zero else zero)
                answer += p
                c[count] = p  # shares of the chosen patterns, signed
                chosen[count] = m
                count += 1
        answer /= partition
        for i in range(count):
            c[i] /= partition
        _combine(X, c, chosen, count, g)
    # Products of all factors but one, by products of those before and of those after. How loops
    # are split, and what is indexed, decides whether they become vectors.
    for j in range(n):
        running[j] = one
    for k in range(z):
        for j in range(n):
            others[k, j] = running[j]
            running[j] *= v[k, j]
    for j in range(n):
        running[j] = eta * g[j] * open[j]
    for i in range(z):
        factor, change = v[z - 1 - i], others[z - 1 - i]
        for j in range(n):
            change[j] *= running[j]
            running[j] *= factor[j]
    for k in range(z):
        for j in range(n):
            v[k, j] = max(v[k, j] + others[k, j], floor)
    for j in range(n):
        w[j] = one
    for k in range(z):
        for j in range(n):
            w[j] *= v[k, j]
    for j in range(n):
        if w[j] <= pruned:
            open[j] = zero
    squares = zero
    for k in range(z):
        for j in range(n):
            v[k, j] *= open[j]
            squares += v[k, j] * v[k, j]
    scale = math.sqrt(number(norm) / squares) if squares > zero else one
    power = scale**z
    for j in range(n):
        w[j] *= power * open[j]
    for k in range(z):
        for j in range(n):
            v[k, j] *= scale
    state[0] = theta - eta_theta * answer
    state[1] = total / number(M)


@jit
def _responses(X, w, h):
    """H = X w, four patterns at a time, so that w is read once for all."""
    M, n = X.shape
    number = w.dtype.type
    m = 0
    while m + 4 <= M:
        a = b = c = d = number(0)
        for j in range(n):
            a += number(X[m, j]) * w[j]
            b += number(X[m + 1, j]) * w[j]
            c += number(X[m + 2, j]) * w[j]
            d += number(X[m + 3, j]) * w[j]
        h[m], h[m + 1], h[m + 2], h[m + 3] = a, b, c, d
        m += 4
    while m < M:
        a = number(0)
        for j in range(n):
            a += number(X[m, j]) * w[j]
        h[m] = a
        m += 1


@jit
def _combine(X, c, chosen, count, g):
    """G = sum c_i X[chosen_i], four patterns at a time."""
    n = g.size
    number = g.dtype.type
    for j in range(n):
        g[j] = 0
    i = 0
    while i + 4 <= count:
        p, q, r, s = chosen[i], chosen[i + 1], chosen[i + 2], chosen[i + 3]
        cp, cq, cr, cs = c[i], c[i + 1], c[i + 2], c[i + 3]
        for j in range(n):
            g[j] += (cp * number(X[p, j]) + cq * number(X[q, j])) + (
                cr * number(X[r, j]) + cs * number(X[s, j])
            )
        i += 4
    while i < count:
        p, cp = chosen[i], c[i]
        for j in range(n):
            g[j] += cp * number(X[p, j])
        i += 1
