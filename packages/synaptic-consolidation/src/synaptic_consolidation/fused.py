"""The consolidation step on the CPU: compiled loops, rows in threads.

Only living synapses take part in the steps of a row: they are gathered at the start of a block of
steps, with their columns of the patterns, so that the work falls with the density, and the row
stays in the cache of its processor for all of these steps. While most synapses live, what takes
longest are products of weights or gradients and patterns. There, many rows take their steps
together: one matrix product for all of them is several times as fast as one row after the other.
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
DENSE = 0.5
"""Nor does a row with a smaller share of living synapses: it is faster alone."""
MANY = 0.25
"""With more than this share of the patterns, the gradient of a row among others is part of a matrix
product."""


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
    M, inputs = patterns.shape
    dense = np.flatnonzero((rows.living.mean(1) >= DENSE) & (inputs >= LARGE))
    tasks: list[Callable[[], None]] = []
    if len(dense):
        filled = torch.zeros((M, _filled_up(inputs)), dtype=torch.from_numpy(y).dtype)
        filled[:, :inputs] = torch.from_numpy(patterns)
        columns = filled.T.contiguous()
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
    which, index = np.array([row]), np.flatnonzero(rows.living[row])
    X = np.zeros((len(patterns), _filled_up(len(index))), np.uint8)
    X[:, : len(index)] = patterns.take(index, 1)
    v, w, open, state = _gather(rows, which, index)
    of_row = v[0], w[0], open[0], state[0], y[row]
    _advance(X, *of_row, eta, eta_theta, rule.beta, rule.norm, rule.error_driven)
    _scatter(rows, which, index, v, open, state)


def _together(
    some: Int[np.ndarray, " some"],
    rows: Rows,
    patterns: Float[Tensor, "patterns filled"],
    columns: Float[Tensor, "filled patterns"],
    y: Float[np.ndarray, "rows patterns"],
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
) -> None:
    """Let some rows take their steps, with all synapses, the patterns being filled up."""
    index = np.arange(rows.living.shape[1])
    v, w, open, state = _gather(rows, some, index)
    count, (M, n) = _filled_up(len(some), UNIT), patterns.shape
    weights, gradients = torch.zeros((2, count, n), dtype=patterns.dtype)
    responses, shares = torch.zeros((2, count, M), dtype=patterns.dtype)
    weights[: len(some)] = torch.from_numpy(w)
    w, g, h, dense = (x.numpy() for x in (weights, gradients, responses, shares))
    counts, chosen = np.empty(len(some), np.int64), np.empty((len(some), M), np.int64)
    c, own = np.empty((len(some), M), v.dtype), np.ascontiguousarray(y[some])
    X, (others, running) = patterns.numpy(), np.empty((2, *v.shape[1:]), v.dtype)
    choice, learning = (c, chosen, counts), (rule.beta, rule.error_driven)
    for rate, rate_theta in zip(eta, eta_theta, strict=True):
        torch.mm(weights, columns, out=responses)
        if _choose_all(h, state, own, rate_theta, *learning, *choice, dense):
            torch.mm(shares, patterns, out=gradients)
        _update_all(X, *choice, g, v, w, open, rate, rule.norm, others, running[0])
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


@jit
def _advance(X, v, w, open, state, y, eta, eta_theta, beta, norm, error_driven):
    """Let a row take all steps; shapes are those of `_choose` and `_update`."""
    h, c, chosen = np.empty_like(y), np.empty_like(y), np.empty(y.size, np.int64)
    g, running, others = np.empty_like(w), np.empty_like(w), np.empty_like(v)
    for t in range(eta.size):
        _responses(X, w, h)
        count = _choose(h, state, y, eta_theta[t], beta, error_driven, c, chosen)
        _combine(X, c, chosen, count, g)
        _update(g, v, w, open, eta[t], norm, others, running)


@jit
def _choose_all(h, state, y, eta_theta, beta, error_driven, c, chosen, counts, dense):
    """Let rows choose patterns; tell whether any chose many, whose shares are put into dense."""
    any_many = False
    for i in range(y.shape[0]):
        counts[i] = _choose(h[i], state[i], y[i], eta_theta, beta, error_driven, c[i], chosen[i])
        if counts[i] > MANY * y.shape[1]:
            any_many = True
            dense[i] = 0
            for k in range(counts[i]):
                dense[i, chosen[i, k]] = c[i, k]
    return any_many


@jit
def _update_all(X, c, chosen, counts, g, v, w, open, eta, norm, others, running):
    """Let rows follow their gradients, which g holds of those that chose many patterns."""
    for i in range(v.shape[0]):
        if counts[i] <= MANY * c.shape[1]:
            _combine(X, c[i], chosen[i], counts[i], g[i])
        _update(g[i], v[i], w[i], open[i], eta, norm, others, running)


@jit
def _choose(h, state, y, eta_theta, beta, error_driven, c, chosen):
    """Choose the patterns of a step, and change the threshold.

    h: M, w xi; state: theta and mean |h|; y: M, +-1. The chosen patterns are put into chosen, their
    signed shares into c; their number is given.
    """
    number, M = h.dtype.type, h.size
    theta, mean, zero = state[0], state[1], number(0)
    negligible = -math.log(np.finfo(h.dtype).eps)
    worst, lowest, total, nearest = 0, number(np.inf), zero, number(np.inf)
    for m in range(M):
        h[m] -= theta
        a = abs(h[m])
        total += a
        nearest = min(nearest, a)
        if y[m] * h[m] < lowest:
            lowest = y[m] * h[m]
            worst = m
    state[1] = total / number(M)
    if error_driven and lowest <= zero:
        c[0], chosen[0] = y[worst], worst
        state[0] = theta - eta_theta * y[worst]
        return 1
    steepness = number(beta) / (mean if mean > zero else state[1])
    count, partition, answer = 0, zero, zero
    for m in range(M):
        distance = steepness * (abs(h[m]) - nearest)
        if distance < negligible:
            p = math.exp(-distance)
            partition += p
            p = p if h[m] > zero else (-p if h[m] < zero else zero)
            answer += p
            c[count] = p
            chosen[count] = m
            count += 1
    for i in range(count):
        c[i] /= partition
    state[0] = theta - eta_theta * (answer / partition)
    return count


@jit
def _update(g, v, w, open, eta, norm, others, running):
    """Let factors follow the gradient, prune, and keep the norm.

    g: n; v: z x n, factors; w: n, their products; open: n, 1 until they are pruned. How loops are
    split, and what is indexed in them, decides whether they become vectors.
    """
    number = v.dtype.type
    z, n = v.shape
    pruned, floor, zero, one = number(PRUNED), number(SMALLEST_FACTOR), number(0), number(1)
    # Products of all factors but one, by products of those before and of those after.
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
            # Products of the smallest factors are denormal numbers, which take long.
            v[k, j] = max(v[k, j] + others[k, j], floor) * open[j]
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
