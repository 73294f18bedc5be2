"""The consolidation step on the CPU: one compiled loop per row, in threads.

A row stays in the cache of its processor for a thousand steps. Only living synapses take part: they
are gathered at the start of a block of steps, with their columns of the patterns, so that the work
falls with the density.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from sharpwave_shared.compiled import jit
from synaptic_consolidation.model import PRUNED, SMALLEST_FACTOR, Labels, Patterns, Rows, Rule

VECTOR = 32
"""Synapses are filled up to a multiple of this, so that loops over them are all vectors."""


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
    rates = eta.astype(dtype), eta_theta.astype(dtype)

    def one(row: int) -> None:
        state = np.array([rows.theta[row], rows.mean[row]], dtype=dtype)
        y = (2 * labels[:, row].astype(np.int8) - 1).astype(dtype)
        u, living = rows.factors[row], rows.living[row]
        _advance(u, living, state, patterns, y, *rates, rule.beta, rule.norm, rule.error_driven)
        rows.theta[row], rows.mean[row] = state

    list(in_parallel(one, range(len(rows))))


@jit
def _advance(u, living, state, patterns, labels, eta, eta_theta, beta, norm, error_driven):
    number = u.dtype.type
    z, inputs = u.shape  # living: inputs; state: theta and mean; patterns: M x inputs; labels: M
    M = patterns.shape[0]
    n = 0
    for j in range(inputs):
        n += living[j]
    index = np.empty(n, np.int64)  # of living synapses among the inputs
    n = 0
    for j in range(inputs):
        if living[j]:
            index[n] = j
            n += 1
    # What is missing to a whole number of vectors is filled up with synapses that take no part.
    living_at_first, n = n, -(-n // VECTOR) * VECTOR
    v = np.zeros((z, n), u.dtype)  # factors of living synapses
    X = np.zeros((M, n), np.uint8)  # their columns of the patterns
    open = np.zeros(n, u.dtype)  # 1 until they are pruned
    for i in range(living_at_first):
        open[i] = 1
        for k in range(z):
            v[k, i] = u[k, index[i]]
        for m in range(M):
            X[m, i] = patterns[m, index[i]]
    w = open.copy()
    for k in range(z):
        for j in range(n):
            w[j] *= v[k, j]
    others = np.empty((z, n), u.dtype)  # products of the factors before
    running = np.empty(n, u.dtype)  # products so far
    g = np.empty(n, u.dtype)  # gradient
    h = np.empty(M, u.dtype)  # w xi - theta
    c = np.empty(M, u.dtype)  # shares of the chosen patterns, signed
    chosen = np.empty(M, np.int64)
    theta, mean = state[0], state[1]
    pruned, floor, zero, one = number(PRUNED), number(SMALLEST_FACTOR), number(0), number(1)
    negligible = -math.log(np.finfo(u.dtype).eps)

    for t in range(eta.size):
        _responses(X, w, theta, h)
        worst, lowest, total, nearest = 0, number(np.inf), zero, number(np.inf)
        for m in range(M):
            a = abs(h[m])
            total += a
            nearest = min(nearest, a)
            if labels[m] * h[m] < lowest:
                lowest = labels[m] * h[m]
                worst = m
        if error_driven and lowest <= zero:
            y = labels[worst]
            for j in range(n):
                g[j] = y * number(X[worst, j])
        else:
            steepness = number(beta) / (mean if mean > zero else total / number(M))
            count, partition, y = 0, zero, zero
            for m in range(M):
                distance = steepness * (abs(h[m]) - nearest)
                if distance < negligible:
                    p = math.exp(-distance)
                    partition += p
                    p = p if h[m] > zero else (-p if h[m] < zero else zero)
                    y += p
                    c[count] = p
                    chosen[count] = m
                    count += 1
            y /= partition
            for i in range(count):
                c[i] /= partition
            _combine(X, c, chosen, count, g)
        mean = total / number(M)
        rate = eta[t]
        # Products of all factors but one, by products of those before and of those after.
        for j in range(n):
            running[j] = one
        for k in range(z):
            for j in range(n):
                others[k, j] = running[j]
                running[j] *= v[k, j]
        for j in range(n):
            running[j] = rate * g[j] * open[j]
        for k in range(z - 1, -1, -1):
            for j in range(n):
                step = others[k, j] * running[j]
                running[j] *= v[k, j]
                v[k, j] = max(v[k, j] + step, floor)
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
        theta -= eta_theta[t] * y

    for i in range(living_at_first):
        living[index[i]] = open[i] > zero
        for k in range(z):
            u[k, index[i]] = v[k, i]
    state[0] = theta
    state[1] = mean


@jit
def _responses(X, w, theta, h):
    """H = X w - theta, four patterns at a time, so that w is read once for all."""
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
        h[m] = a - theta
        h[m + 1] = b - theta
        h[m + 2] = c - theta
        h[m + 3] = d - theta
        m += 4
    while m < M:
        a = number(0)
        for j in range(n):
            a += number(X[m, j]) * w[j]
        h[m] = a - theta
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
