"""Plastic layers over whole streams, forward and backward, all networks and streams at once.

Every frame is a handful of operations on the traces of all networks, on any device. Traces are
stored for the first frame of every segment only, and computed again on the way back.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hybrid_plasticity.configuration import Activation

Inputs = Float[Tensor, "networks streams frames inputs"]
Units = Float[Tensor, "networks streams frames units"]
Rates = Float[Tensor, "networks units inputs"]
Decay = Float[Tensor, " networks"]
Lengths = Int[Tensor, " networks"]


def forward(
    x: Inputs, drive: Units, E: Rates, decay: Decay, lengths: Lengths, activation: Activation
) -> tuple[Units, list[Tensor]]:
    """Do what `scan.Engine` says; kept are the traces before the first frame of every segment."""
    h, starts = torch.empty_like(drive), []
    Q = x.new_zeros((*x.shape[:2], *E.shape[1:]))
    frames = x.shape[2]
    for t in range(frames):
        if t % _segment(frames) == 0:
            starts.append(Q)
        a = drive[:, :, t] + _times(E[:, None] * Q, x[:, :, t])
        h[:, :, t] = a.tanh() if activation == "tanh" else a.sigmoid()
        Q = _advance(Q, x, h, t, decay)
    return h, starts


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
    """Do what `scan.Engine` says."""
    grad_x, grad_drive, grad_E = torch.empty_like(x), torch.empty_like(h), torch.zeros_like(E)
    grad_decay = torch.zeros_like(decay)
    slopes = 1 - h**2 if activation == "tanh" else h * (1 - h)
    G = torch.zeros_like(kept[0])  # the gradient with respect to the traces after a frame
    frames = x.shape[2]
    for number in range(len(kept) - 1, -1, -1):
        first = number * _segment(frames)
        last = min(first + _segment(frames), frames)
        traces = [kept[number]]
        for t in range(first, last - 1):
            traces.append(_advance(traces[-1], x, h, t, decay))
        for t in range(last - 1, first - 1, -1):
            Q, now = traces.pop(), x[:, :, t]
            grad_decay += (G * Q).sum((1, 2, 3))
            delta = (grad_h[:, :, t] + _times(G, now)) * slopes[:, :, t]
            through = delta[..., None] * Q
            grad_drive[:, :, t] = delta
            if to_x:
                grad_x[:, :, t] = _times(G.mT, h[:, :, t]) + (E[:, None] * through).sum(2)
            grad_E += (through * now[:, :, None]).sum(1)
            outer = delta[..., None] * now[:, :, None]
            G = torch.addcmul(decay[:, None, None, None] * G, E[:, None], outer)
    return grad_x if to_x else None, grad_drive, grad_E, grad_decay


def _segment(frames: int) -> int:
    return math.isqrt(frames - 1) + 1


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors[..., None])[..., 0]


def _advance(Q: Tensor, x: Tensor, h: Tensor, t: int, decay: Tensor) -> Tensor:
    factor = decay[:, None, None, None]
    return torch.addcmul(factor * Q, h[:, :, t, :, None], x[:, :, t, None])
