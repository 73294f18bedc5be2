"""A day: patterns are imprinted weakly, in one factor of each synapse (Figure 3).

The Hebbian rule is gated by how far a pattern is from being an attractor.
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.model import (
    SMALLEST_FACTOR,
    Patterns,
    Rows,
    balance,
    initial_rows,
    inputs_of,
)

U0 = 0.6
"""Mean of initial factors."""
ETA_WAKE = 1e-2


def newborn(n: int, f: float, spread: float, streams: Streams) -> Rows:
    """Make a network of two factors per synapse that has learnt nothing."""
    low, high = 1 - spread, 1 + spread
    factors = U0 * streams.numpy("factors").uniform(low, high, (n, 2, n))
    return initial_rows(np.arange(n), factors.astype(np.float32), f)


def imprint(
    rows: Rows, patterns: Patterns, f: float, passes: int, streams: Streams, journal: Journal
) -> None:
    """Imprint patterns by the Hebbian rule of wakefulness, in place, each so many times.

    For each pattern, u_1 += eta |d| (xi - f)(xi - f)^T, where d is the shift of all thresholds that
    would keep the activity at f: halfway between the N (1 - f)-th smallest h and the next. (With
    the former itself, learning ends where silent neurons reach the threshold, and fewer patterns
    become attractors.) Thresholds are balanced again. Nothing is pruned awake, and what is pruned
    stays so, its first factor gone.
    """
    awake = _Awake(rows, f)
    for number in journal.steps("awake", passes, awake, weight=len(patterns)):
        for index in streams.numpy("order", number).permutation(len(patterns)):
            awake.see(patterns[index])
    awake.u_1.mul_(1 - torch.eye(len(rows)))
    rows.factors[:, 0] = awake.u_1.numpy()
    rows.theta[:] = balance(rows.weights, f)


class _Awake:
    """A network that imprints patterns: the first factors and thresholds change."""

    def __init__(self, rows: Rows, f: float):
        self.f, self.rank = f, round(len(rows) * (1 - f))
        self.living = torch.from_numpy(rows.living)
        self.u_1, self.u_2 = (torch.from_numpy(rows.factors[:, k].copy()) for k in (0, 1))
        self.weights = (self.u_1 * self.u_2).mul_(self.living)
        self.theta = torch.from_numpy(balance(self.weights.numpy(), f).astype(np.float32))

    def see(self, pattern: np.ndarray) -> None:
        active = torch.from_numpy(np.flatnonzero(pattern))
        h = self.weights[:, active].sum(1) - self.theta
        below, above = (float(h.kthvalue(k).values) for k in (self.rank, self.rank + 1))
        d = (below + above) / 2
        deviation = torch.from_numpy(pattern).float() - self.f
        self.u_1.addr_(deviation, deviation, alpha=ETA_WAKE * abs(d))
        # What is pruned must not grow: it would count in the norm of the night.
        self.u_1.mul_(self.living).clamp_(min=SMALLEST_FACTOR)
        torch.mul(self.u_1, self.u_2, out=self.weights).mul_(self.living)
        self.theta = _balance(self.weights, self.f)

    def state_dict(self) -> dict[str, Tensor]:
        return {"u_1": self.u_1, "theta": self.theta}

    def load_state_dict(self, state: Any) -> None:
        self.u_1, self.theta = state["u_1"], state["theta"]
        self.weights = (self.u_1 * self.u_2).mul_(self.living)


def _balance(weights: Tensor, f: float) -> Tensor:
    """Do what `model.balance` does, without copies."""
    spread = math.sqrt(2 * f * (1 - f)) * torch.linalg.vector_norm(weights, dim=1)
    return f * weights.sum(1) + spread * float(torch.erfinv(torch.tensor(1 - 2 * f).double()))


def are_attractors(rows: Rows, patterns: Patterns) -> Bool[np.ndarray, " patterns"]:
    """Tell which patterns are fixed points of the network."""
    if not len(patterns):
        return np.zeros(0, bool)
    return ((inputs_of(rows, patterns) > 0) == patterns).all(1)
