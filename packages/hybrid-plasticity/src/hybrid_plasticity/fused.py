"""Plastic layers over whole streams, forward and backward, in loops compiled for the CPU.

The trace of a unit depends on that unit's activity and on the inputs, and on no other unit. So a
block of four units goes through all frames by itself, its traces and rates in the fastest cache.
Traces are not stored: on the way back they are computed again, a segment of frames at a time.
"""

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hybrid_plasticity.batched import Decay, Inputs, Lengths, Rates, Units
from hybrid_plasticity.configuration import Activation
from hybrid_plasticity.threads import in_threads
from sharpwave_shared.compiled import jit

BLOCK = 4
"""Units of a block."""
SEGMENT = 512
"""Frames of a segment: streams for training up to R = 6 have no more."""
TANH, SIGMOID = 0, 1
CODES = {"tanh": TANH, "sigmoid": SIGMOID}
part = partial(jit, inline=True)


def forward(
    x: Inputs, drive: Units, E: Rates, decay: Decay, lengths: Lengths, activation: Activation
) -> tuple[Units, list[Tensor]]:
    """Do what `scan.Engine` says, several streams in threads."""
    h = torch.zeros_like(drive, memory_format=torch.contiguous_format)
    arrays = _arrays(x, drive, E, decay, h)
    frames = lengths.tolist()

    def run(stream: tuple[int, int]) -> None:
        n, b = stream
        X, U, rates, factor, H = arrays
        forward_stream(X[n, b], U[n, b], rates[n], factor[n], frames[n], CODES[activation], H[n, b])

    in_threads(run, _streams(x))
    return h, []


def backward(
    x: Inputs,
    E: Rates,
    decay: Decay,
    lengths: Lengths,
    activation: Activation,
    h: Units,
    kept: list[Tensor],
    grad_h: Units,
    *,
    to_x: bool,
) -> tuple[Inputs | None, Units, Rates, Decay]:
    """Do what `scan.Engine` says, several streams in threads."""
    size = x.shape[:2]  # networks, streams
    # Empty where nobody asks for it: the first layer's inputs are data.
    grad_x = x.new_zeros(x.shape if to_x else (*size, 0, x.shape[-1]))
    grad_drive = torch.zeros_like(h)  # h has no gaps
    grad_E = E.new_empty((*size, *E.shape[1:]))
    grad_decay = decay.new_empty(size)
    arrays = _arrays(x, E, decay, h, grad_h, grad_x, grad_drive, grad_E)
    frames = lengths.tolist()

    def run(stream: tuple[int, int]) -> None:
        n, b = stream
        X, rates, factor, H, gH, gX, gU, gE = arrays
        gradient = backward_stream(
            *(X[n, b], rates[n], factor[n], frames[n], CODES[activation], H[n, b]),
            *(gH[n, b], gX[n, b], gU[n, b], gE[n, b]),
        )
        grad_decay[n, b] = float(gradient)  # a number of NumPy's where nothing is compiled

    in_threads(run, _streams(x))
    return grad_x if to_x else None, grad_drive, grad_E.sum(1), grad_decay.sum(1)


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Give tensors as arrays without gaps; those that are written to must have none."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _streams(x: Inputs) -> list[tuple[int, int]]:
    """Give the network and the number of every stream."""
    return [(n, b) for n in range(x.shape[0]) for b in range(x.shape[1])]


@part
def _pack(matrix, first, packed):
    """Copy a block of rows, filled up with zeros."""
    rows, columns = matrix.shape
    packed[:] = 0
    for k in range(min(BLOCK, rows - first)):
        for j in range(columns):
            packed[k, j] = matrix[first + k, j]


@part
def _advance(Q, x, t, h, decay, after):
    """Give the traces after frame t: they decay, and gain the product of both activities."""
    h0, h1, h2, h3 = h[0], h[1], h[2], h[3]
    for j in range(x.shape[1]):
        xj = x[t, j]
        after[0, j] = decay * Q[0, j] + h0 * xj
        after[1, j] = decay * Q[1, j] + h1 * xj
        after[2, j] = decay * Q[2, j] + h2 * xj
        after[3, j] = decay * Q[3, j] + h3 * xj


@part
def _advance_and_recall(Q, x, t, h, E, decay, recalled):
    """Advance the traces by the frame before t, and give what they add to the drive at t."""
    h0, h1, h2, h3 = h[0], h[1], h[2], h[3]
    sum_0 = sum_1 = sum_2 = sum_3 = x.dtype.type(0)
    before = max(t - 1, 0)
    for j in range(x.shape[1]):
        xj, xbj = x[t, j], x[before, j]
        q0 = decay * Q[0, j] + h0 * xbj
        q1 = decay * Q[1, j] + h1 * xbj
        q2 = decay * Q[2, j] + h2 * xbj
        q3 = decay * Q[3, j] + h3 * xbj
        Q[0, j] = q0
        Q[1, j] = q1
        Q[2, j] = q2
        Q[3, j] = q3
        sum_0 += xj * E[0, j] * q0
        sum_1 += xj * E[1, j] * q1
        sum_2 += xj * E[2, j] * q2
        sum_3 += xj * E[3, j] * q3
    recalled[0] = sum_0
    recalled[1] = sum_1
    recalled[2] = sum_2
    recalled[3] = sum_3


@jit
def forward_stream(x, drive, E, decay, frames, activation, h):
    """Compute the activity of a layer over one stream.

    Parameters
    ----------
    x
        Inputs, frames x inputs.
    drive
        What does not depend on the traces, frames x units.
    E
        Effective rates, units x inputs.
    decay
        Factor of the traces from frame to frame.
    frames
        Frames to compute.
    activation
        `TANH` or `SIGMOID`.
    h
        Receives the activity, frames x units.
    """
    units, inputs = E.shape
    Q = np.empty((BLOCK, inputs), x.dtype)
    rates = np.empty_like(Q)
    last, recalled = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    for first in range(0, units, BLOCK):
        count = min(BLOCK, units - first)
        _pack(E, first, rates)
        Q[:] = 0
        last[:] = 0
        for t in range(frames):
            _advance_and_recall(Q, x, t, last, rates, decay, recalled)
            for k in range(count):
                a = drive[t, first + k] + recalled[k]
                if activation == TANH:
                    e = math.exp(-2 * abs(a))
                    last[k] = math.copysign((1 - e) / (1 + e), a)
                else:
                    last[k] = 1 / (1 + math.exp(-a))
                h[t, first + k] = last[k]


@part
def _retreat_and_correlate(G, E, delta, decay, traces, s, x, t, sums):
    """Take the gradient with respect to the traces from after frame t + 1 to after frame t.

    Its sums with the inputs go into `sums`; that with the traces, for the decay, is given.
    """
    d0, d1, d2, d3 = delta[0], delta[1], delta[2], delta[3]
    sum_0 = sum_1 = sum_2 = sum_3 = total = x.dtype.type(0)
    after = min(t + 1, x.shape[0] - 1)
    for j in range(x.shape[1]):
        xj, xaj = x[t, j], x[after, j]
        g0 = decay * G[0, j] + xaj * d0 * E[0, j]
        g1 = decay * G[1, j] + xaj * d1 * E[1, j]
        g2 = decay * G[2, j] + xaj * d2 * E[2, j]
        g3 = decay * G[3, j] + xaj * d3 * E[3, j]
        G[0, j] = g0
        G[1, j] = g1
        G[2, j] = g2
        G[3, j] = g3
        sum_0 += g0 * xj
        sum_1 += g1 * xj
        sum_2 += g2 * xj
        sum_3 += g3 * xj
        total += g0 * traces[s, 0, j] + g1 * traces[s, 1, j]
        total += g2 * traces[s, 2, j] + g3 * traces[s, 3, j]
    sums[0] = sum_0
    sums[1] = sum_1
    sums[2] = sum_2
    sums[3] = sum_3
    return total


@part
def _to_inputs(grad_x, t, G, traces, s, E, h, delta):
    """Add the gradient with respect to the inputs of frame t."""
    h0, h1, h2, h3 = h[0], h[1], h[2], h[3]
    d0, d1, d2, d3 = delta[0], delta[1], delta[2], delta[3]
    for j in range(grad_x.shape[1]):
        grad_x[t, j] += (
            (G[0, j] * h0 + E[0, j] * traces[s, 0, j] * d0)
            + (G[1, j] * h1 + E[1, j] * traces[s, 1, j] * d1)
            + (G[2, j] * h2 + E[2, j] * traces[s, 2, j] * d2)
            + (G[3, j] * h3 + E[3, j] * traces[s, 3, j] * d3)
        )


@part
def _to_rates(grad_E, traces, s, x, t, delta):
    """Add the gradient with respect to the rates."""
    d0, d1, d2, d3 = delta[0], delta[1], delta[2], delta[3]
    for j in range(x.shape[1]):
        xj = x[t, j]
        grad_E[0, j] += xj * d0 * traces[s, 0, j]
        grad_E[1, j] += xj * d1 * traces[s, 1, j]
        grad_E[2, j] += xj * d2 * traces[s, 2, j]
        grad_E[3, j] += xj * d3 * traces[s, 3, j]


@jit
def backward_stream(x, E, decay, frames, activation, h, grad_h, grad_x, grad_drive, grad_E):
    """Compute the gradients of a layer over one stream; give that with respect to the decay.

    Parameters
    ----------
    x, E, decay, frames, activation
        As for `forward_stream`.
    h
        The activity that `forward_stream` gave.
    grad_h
        Gradient with respect to it, frames x units.
    grad_x
        Zeros, frames x inputs; receives that with respect to `x` (without the path through
        `drive`). Empty if it is not needed.
    grad_drive, grad_E
        Receive those with respect to `drive` and `E`; frames after the last get none.
    """
    units, inputs = E.shape
    segments = (frames + SEGMENT - 1) // SEGMENT
    starts = np.empty((segments, BLOCK, inputs), x.dtype)
    traces = np.empty((min(SEGMENT, frames), BLOCK, inputs), x.dtype)
    rates, G, to_rates = (
        np.empty_like(traces[0]),
        np.empty_like(traces[0]),
        np.empty_like(traces[0]),
    )
    Q = np.empty_like(rates)
    now, delta, sums = (
        np.zeros(BLOCK, x.dtype),
        np.zeros(BLOCK, x.dtype),
        np.zeros(BLOCK, x.dtype),
    )
    grad_decay = 0.0
    for first in range(0, units, BLOCK):
        count = min(BLOCK, units - first)
        _pack(E, first, rates)
        to_rates[:] = 0
        G[:] = 0
        Q[:] = 0
        now[:] = 0
        delta[:] = 0
        for t in range((segments - 1) * SEGMENT):
            if t % SEGMENT == 0:
                starts[t // SEGMENT] = Q
            for k in range(count):
                now[k] = h[t, first + k]
            _advance(Q, x, t, now, decay, Q)
        starts[segments - 1] = Q
        for segment in range(segments - 1, -1, -1):
            start = segment * SEGMENT
            length = min(SEGMENT, frames - start)
            traces[0] = starts[segment]
            for s in range(length - 1):
                for k in range(count):
                    now[k] = h[start + s, first + k]
                _advance(traces[s], x, start + s, now, decay, traces[s + 1])
            for s in range(length - 1, -1, -1):
                t = start + s
                grad_decay += _retreat_and_correlate(G, rates, delta, decay, traces, s, x, t, sums)
                for k in range(count):
                    now[k] = h[t, first + k]
                    slope = 1 - now[k] * now[k] if activation == TANH else now[k] * (1 - now[k])
                    delta[k] = (grad_h[t, first + k] + sums[k]) * slope
                    grad_drive[t, first + k] = delta[k]
                if grad_x.shape[0]:
                    _to_inputs(grad_x, t, G, traces, s, rates, now, delta)
                _to_rates(to_rates, traces, s, x, t, delta)
        for k in range(count):
            for j in range(inputs):
                grad_E[first + k, j] = to_rates[k, j]
    return grad_decay
