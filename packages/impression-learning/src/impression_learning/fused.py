"""All steps of one network in one compiled loop on the CPU; noise and stimulus are given.

It computes what `batched.advance` computes. Everything is float64 but the noise, which is float32,
as it was drawn.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impression_learning.circuits import Circuits, Inputs
from impression_learning.model import MEAN_DECAY, TRACE_DECAY, Weights
from sharpwave_shared.compiled import jit

RULES = ("impression", "reinforce", "backprop")
IMPRESSION, REINFORCE, BACKPROP = range(3)


@jit
def _matvec(matrix, vector, out):
    """Multiply a matrix with a vector, four rows at a time."""
    rows, columns = matrix.shape
    blocked = rows - rows % 4
    for i in range(0, blocked, 4):
        total_0 = total_1 = total_2 = total_3 = 0.0
        for j in range(columns):
            value = vector[j]
            total_0 += matrix[i, j] * value
            total_1 += matrix[i + 1, j] * value
            total_2 += matrix[i + 2, j] * value
            total_3 += matrix[i + 3, j] * value
        out[i] = total_0
        out[i + 1] = total_1
        out[i + 2] = total_2
        out[i + 3] = total_3
    for i in range(blocked, rows):
        total = 0.0
        for j in range(columns):
            total += matrix[i, j] * vector[j]
        out[i] = total


@jit
def _tanh(value):
    """Give tanh to within 2e-16, in half the time of the C library's."""
    e = math.exp(-2.0 * abs(value))
    return math.copysign((1.0 - e) / (1.0 + e), value)


@jit
def _add_outer(matrix, left, right):
    """Add the outer product of two vectors to a matrix."""
    rows, columns = matrix.shape
    for i in range(rows):
        factor = left[i]
        for j in range(columns):
            matrix[i, j] += factor * right[j]


@jit
def _decay_outer(trace, left, right, gate):
    """Let a trace decay, and add the outer product of two vectors where the gate is open."""
    rows, columns = trace.shape
    for i in range(rows):
        factor = gate * left[i]
        for j in range(columns):
            trace[i, j] = TRACE_DECAY * trace[i, j] + factor * right[j]


@jit
def _add_scaled(matrix, factor, other):
    rows, columns = matrix.shape
    for i in range(rows):
        for j in range(columns):
            matrix[i, j] += factor * other[i, j]


def advance(
    circuits: Circuits,
    state: Float[Tensor, "networks units"],
    inputs: Inputs,
    *,
    learn: bool,
    record: bool = False,
) -> tuple[Float[Tensor, "steps networks"], Float[Tensor, "_ networks units"]]:
    """Run steps; see `circuits.Engine`."""
    steps = len(inputs.awake)
    losses = np.full(inputs.awake.shape, np.nan)
    states = np.zeros((steps if record else 0, *state.shape))
    for index, setting in enumerate(circuits.settings):
        own_losses = np.full(steps, np.nan)
        own_states = np.zeros((len(states), state.shape[1]))
        _advance(
            *_arrays(circuits.weights, index),
            *_arrays(circuits.traces or circuits.weights, index),  # looked at by REINFORCE only
            circuits.loss_mean[index : index + 1].numpy(),
            np.concatenate([[0], np.cumsum(setting.sizes)]),
            state[index].numpy(),
            np.ascontiguousarray(inputs.stimulus[:, index].numpy()),
            np.ascontiguousarray(inputs.noise_inf[:, index].numpy()),
            np.ascontiguousarray(inputs.noise_gen[:, index].numpy()),
            np.ascontiguousarray(inputs.awake[:, index]),
            bool(inputs.was_awake[index]),
            np.array(setting.sigma_inf),
            np.array(setting.sigma_gen),
            setting.eta if learn else 0.0,
            RULES.index(setting.rule),
            setting.third,
            setting.as_released,
            own_losses,
            own_states,
        )
        losses[:, index] = own_losses
        states[:, index] = own_states
    return torch.from_numpy(losses), torch.from_numpy(states)


def _arrays(weights: Weights, index: int) -> tuple:
    """Give one network's arrays, sharing memory: what the compiled loop takes."""
    w = weights
    layers = (w.recognition, w.recognition_bias, w.generation, w.generation_bias)
    tuples = (tuple(tensor[index].numpy() for tensor in layer) for layer in layers)
    return (*tuples, w.transition[index].numpy())


@jit
def _advance(
    W,  # for each layer k above 0: n_k x n_(k-1)
    b,  # n_k
    V,  # for each layer k below the top: n_k x n_(k+1)
    c,  # n_k
    D,  # n_L
    trace_W,  # traces: as the weights
    trace_b,
    trace_V,
    trace_c,
    trace_D,
    loss_mean,  # 1
    offsets,  # layers + 1
    state,  # units
    x,  # steps x n_0
    noise_inf,  # steps x units
    noise_gen,  # steps x units
    awake,  # steps
    was_awake,
    sigma_inf,  # layers
    sigma_gen,  # layers
    eta,
    rule,
    third,
    as_released,
    losses,  # steps
    states,  # steps x units, or 0 x units
):
    """Run steps of one network; stop where the loss overflows.

    W, b, V, c are tuples of one array for each layer; `state` and the rows of the noise hold the
    layers side by side, layer k from `offsets[k]`. `states` records them if it has rows.
    """
    steps = x.shape[0]
    top = len(W)
    units = state.size
    h = np.empty(units)  # activity
    below = np.empty(units)  # what the layer below tells: m, and x in layer 0
    above = np.empty(units)  # what the layer above tells: g
    delta = np.empty(units)
    inferred = np.empty(units)  # asleep, for REINFORCE as released: what it would be awake
    told = np.empty(units)
    before = state.copy()
    a, z = offsets[top], offsets[top + 1]
    n_in = offsets[1]
    for t in range(steps):
        is_awake = awake[t]
        after_sleep = is_awake and not was_awake
        for i in range(n_in):
            below[i] = x[t, i]
        for i in range(a, z):
            above[i] = D[i - a] * before[i]

        if is_awake:
            _infer(W, b, offsets, x[t], noise_inf[t], sigma_inf, h, below)
        else:
            for i in range(a, z):
                h[i] = above[i] + sigma_gen[top] * noise_gen[t, i]
        for k in range(top - 1, -1, -1):
            lo, mid, hi = offsets[k], offsets[k + 1], offsets[k + 2]
            _matvec(V[k], h[mid:hi], above[lo:mid])
            if k > 0:
                for i in range(lo, mid):
                    above[i] = _tanh(above[i] + c[k][i - lo])
            if not is_awake:
                for i in range(lo, mid):
                    h[i] = above[i] + sigma_gen[k] * noise_gen[t, i]
        if not is_awake:
            for k in range(1, top + 1):
                lo, mid, hi = offsets[k - 1], offsets[k], offsets[k + 1]
                _matvec(W[k - 1], h[lo:mid], below[mid:hi])
                for i in range(mid, hi):
                    below[i] = _tanh(below[i] + b[k - 1][i - mid])

        loss = 0.0
        for k in range(top + 1):
            surprise_gen = 0.0
            surprise_inf = 0.0
            for i in range(offsets[k], offsets[k + 1]):
                expected = before[i] if after_sleep and k > 0 else above[i]
                surprise_gen += (h[i] - expected) ** 2
                surprise_inf += (h[i] - below[i]) ** 2
            loss += surprise_gen / sigma_gen[k] ** 2 - surprise_inf / sigma_inf[k] ** 2
        if not is_awake:
            loss = -loss
        losses[t] = loss
        if not math.isfinite(loss):
            return
        if states.shape[0] > 0:
            for i in range(units):
                states[t, i] = h[i]

        if eta > 0.0 and rule == BACKPROP:
            _descend(W[0], V[0], D, n_in, h, below, above, before, delta, is_awake, after_sleep,
                     sigma_inf, sigma_gen, eta)  # fmt: skip
        elif eta > 0.0:
            if rule == REINFORCE:
                source, expected = h, above
                if as_released and not is_awake:
                    source, expected = inferred, told
                    _infer(W, b, offsets, x[t], noise_inf[t], sigma_inf, inferred, told)
                    for i in range(n_in):
                        inferred[i] = x[t, i]
                    for k in range(top):
                        lo, mid, hi = offsets[k], offsets[k + 1], offsets[k + 2]
                        _matvec(V[k], inferred[mid:hi], told[lo:mid])
                        if k > 0:
                            for i in range(lo, mid):
                                told[i] = _tanh(told[i] + c[k][i - lo])
                _score(W, V, trace_W, trace_b, trace_V, trace_c, trace_D, offsets,
                       h, below, above, source, expected, before, delta, is_awake)  # fmt: skip
            if is_awake:
                for i in range(n_in):
                    delta[i] = eta * (x[t, i] - above[i])
                _add_outer(V[0], delta[:n_in], h[n_in : offsets[2]])
                if not after_sleep:
                    for k in range(1, top):
                        lo, mid, hi = offsets[k], offsets[k + 1], offsets[k + 2]
                        for i in range(lo, mid):
                            delta[i] = eta * (1.0 - above[i] * above[i]) * (h[i] - above[i])
                            c[k][i - lo] += delta[i]
                        _add_outer(V[k], delta[lo:mid], h[mid:hi])
                    for i in range(a, z):
                        D[i - a] += eta * (h[i] - above[i]) * before[i]
            else:
                for k in range(1, top + 1):
                    lo, mid, hi = offsets[k - 1], offsets[k], offsets[k + 1]
                    for i in range(mid, hi):
                        delta[i] = eta * (1.0 - below[i] * below[i]) * (h[i] - below[i])
                    if k < top:
                        for i in range(mid, hi):
                            b[k - 1][i - mid] += delta[i]
                    _add_outer(W[k - 1], delta[mid:hi], h[lo:mid])
            if rule == REINFORCE:
                if math.isnan(loss_mean[0]):
                    loss_mean[0] = loss
                mean = loss_mean[0]
                loss_mean[0] = MEAN_DECAY * mean + (1.0 - MEAN_DECAY) * loss
                factor = eta * third * (loss - (loss_mean[0] if as_released else mean))
                for k in range(top):
                    _add_scaled(W[k], factor, trace_W[k])
                    _add_scaled(V[k], factor, trace_V[k])
                    if k < top - 1:
                        for i in range(b[k].size):
                            b[k][i] += factor * trace_b[k][i]
                    if k > 0:
                        for i in range(c[k].size):
                            c[k][i] += factor * trace_c[k][i]
                for i in range(D.size):
                    D[i] += factor * trace_D[i]

        for i in range(units):
            before[i] = h[i]
        was_awake = is_awake
    for i in range(units):
        state[i] = before[i]


@jit
def _infer(W, b, offsets, x, noise, sigma_inf, h, below):
    """Infer activity from the stimulus, and what the layers below tell."""
    for i in range(offsets[1]):
        h[i] = x[i] + sigma_inf[0] * noise[i]
    for k in range(1, len(W) + 1):
        lo, mid, hi = offsets[k - 1], offsets[k], offsets[k + 1]
        _matvec(W[k - 1], h[lo:mid], below[mid:hi])
        for i in range(mid, hi):
            below[i] = _tanh(below[i] + b[k - 1][i - mid])
            h[i] = below[i] + sigma_inf[k] * noise[i]


@jit
def _score(W, V, trace_W, trace_b, trace_V, trace_c, trace_D, offsets,
           h, below, above, source, expected, before, delta, is_awake):  # fmt: skip
    """Add to the traces how the step's noise pushed the states: the score, times the variance.

    `source` and `expected` stand for `h` and `above` in the traces of V and c.
    """
    top = len(W)
    gate = 1.0 if is_awake else 0.0
    for k in range(1, top + 1):
        lo, mid, hi = offsets[k - 1], offsets[k], offsets[k + 1]
        for i in range(mid, hi):
            delta[i] = (1.0 - below[i] * below[i]) * (h[i] - below[i])
            if k < top:
                trace_b[k - 1][i - mid] = TRACE_DECAY * trace_b[k - 1][i - mid] + gate * delta[i]
        _decay_outer(trace_W[k - 1], delta[mid:hi], h[lo:mid], gate)
    for k in range(top):
        lo, mid, hi = offsets[k], offsets[k + 1], offsets[k + 2]
        for i in range(lo, mid):
            slope = 1.0 - expected[i] * expected[i] if k > 0 else 1.0
            delta[i] = slope * (source[i] - expected[i])
            if k > 0:
                trace_c[k][i - lo] = TRACE_DECAY * trace_c[k][i - lo] + (1.0 - gate) * delta[i]
        _decay_outer(trace_V[k], delta[lo:mid], source[mid:hi], 1.0 - gate)
    a = offsets[top]
    for i in range(a, offsets[top + 1]):
        score = (h[i] - above[i]) * before[i]
        trace_D[i - a] = TRACE_DECAY * trace_D[i - a] + (1.0 - gate) * score


@jit
def _descend(W, V, D, n_in, h, below, above, before, delta, is_awake, after_sleep,
             sigma_inf, sigma_gen, eta):  # fmt: skip
    """Take a gradient step on the backpropagation control's objective (one latent layer)."""
    s, r = h[:n_in], h[n_in:]
    n = r.size
    rate, rate_D = eta * sigma_inf[1] ** 2, eta * sigma_gen[1] ** 2
    gradient = delta[n_in:]
    if is_awake:
        for i in range(n):
            mean = before[n_in + i] if after_sleep else above[n_in + i]
            gradient[i] = 2.0 * (r[i] - mean) / sigma_gen[1] ** 2
        for j in range(n_in):
            delta[j] = -2.0 * (s[j] - above[j]) / sigma_gen[0] ** 2
            for i in range(n):
                gradient[i] += V[j, i] * delta[j]
            delta[j] *= -rate
        if not after_sleep:
            for i in range(n):
                error = r[i] - above[n_in + i]
                D[i] += rate_D * 2.0 * error / sigma_gen[1] ** 2 * before[n_in + i]
        for i in range(n):
            gradient[i] *= -rate * (1.0 - below[n_in + i] ** 2)
        _add_outer(V, delta[:n_in], r)
        _add_outer(W, gradient, s)
    else:
        for i in range(n):
            error = 2.0 * (r[i] - below[n_in + i]) / sigma_inf[1] ** 2
            gradient[i] = rate * error * (1.0 - below[n_in + i] ** 2)
        _add_outer(W, gradient, s)
