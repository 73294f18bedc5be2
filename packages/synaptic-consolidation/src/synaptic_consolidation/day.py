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
from synaptic_consolidation.measures import density, signal_to_noise, smallest_margins
from synaptic_consolidation.model import (
    PRUNED,
    SMALLEST_FACTOR,
    Patterns,
    Rows,
    balance,
    initial_rows,
    inputs_of,
    signs,
)

U0 = 0.6
"""Initial factors, all alike."""
ETA_WAKE = 1e-2
COURSE = {
    "wake_density": "share of synapses not pruned, by passes",
    "wake_memorised": "share of new patterns that are attractors, by passes",
    "wake_snr": "margin relative to the norm q = 1, mean over neurons, by passes",
}
"""What is noted after every pass."""


def newborn(n: int, f: float) -> Rows:
    """Make a network of two factors per synapse that has learnt nothing."""
    return initial_rows(np.arange(n), np.full((n, 2, n), U0, np.float32), f)


def imprint(
    rows: Rows, patterns: Patterns, f: float, passes: int, streams: Streams, journal: Journal
) -> dict[str, list[float]]:
    """Imprint patterns by the Hebbian rule of wakefulness, in place, each so many times.

    A pattern that is seen is learnt unless exactly N f inputs h = W xi - theta are positive: then
    its activity is right. Learning is u_1 += eta |d| (xi - f)(xi - f)^T, where d is the
    N (1 - f)-th smallest h. Synapses that had no weight before it are pruned, and thresholds are
    balanced again. There is no homeostasis. (Iatropoulos, Gerstner & Brea 2024, Figure 3.)

    Parameters
    ----------
    rows
        All rows of a network.
    patterns
        Patterns of round(N f) active neurons.
    f
        Their activity.
    passes
        How often they are seen, each time in a new order.
    streams
        Orders take the purposes ("order", pass).
    journal
        Shows progress, and keeps checkpoints.

    Returns
    -------
    dict
        `COURSE`, before the first pass and after each.
    """
    awake = _Awake(rows, patterns, f)
    for number in journal.steps("awake", passes, awake, weight=len(patterns)):
        for index in streams.numpy("order", number).permutation(len(patterns)):
            awake.see(patterns[index])
        awake.note()
    awake.prune(awake.weights > PRUNED)
    awake.write()
    return awake.course


class _Awake:
    """A network that imprints patterns: the first factors and thresholds change."""

    def __init__(self, rows: Rows, patterns: Patterns, f: float):
        self.rows, self.patterns, self.f = rows, patterns, f
        self.silent = len(rows) - round(len(rows) * f)
        self._read()
        self.course: dict[str, list[float]] = {name: [] for name in COURSE}
        self.note()

    def _read(self) -> None:
        self.living = torch.from_numpy(self.rows.living.copy())
        self.u_1, self.u_2 = (torch.from_numpy(self.rows.factors[:, k].copy()) for k in (0, 1))
        self.weights = self.u_1 * self.u_2
        self.theta = _balance(self.weights, self.f)

    def see(self, pattern: np.ndarray) -> None:
        active = torch.from_numpy(np.flatnonzero(pattern))
        h = self.weights[:, active].sum(1) - self.theta
        if int((h > 0).sum()) == len(h) - self.silent:
            return
        d = float(h.kthvalue(self.silent).values)
        deviation = torch.from_numpy(pattern).float() - self.f
        left = self.weights > PRUNED
        self.u_1.addr_(deviation, deviation, alpha=ETA_WAKE * abs(d)).clamp_(min=SMALLEST_FACTOR)
        self.prune(left)
        torch.mul(self.u_1, self.u_2, out=self.weights)
        self.theta = _balance(self.weights, self.f)

    def prune(self, left: Tensor) -> None:
        """Take all factors from synapses that are not left."""
        self.living = left
        self.u_1.mul_(left)
        self.u_2.mul_(left)

    def write(self) -> None:
        """Bring the rows up to date."""
        self.rows.factors[:, 0], self.rows.factors[:, 1] = self.u_1.numpy(), self.u_2.numpy()
        self.rows.living[:] = self.living.numpy()
        self.rows.theta[:] = balance(self.rows.weights, self.f)

    def note(self) -> None:
        self.write()
        margins = smallest_margins(self.rows, self.patterns, self.patterns)
        with np.errstate(invalid="ignore", divide="ignore"):  # rows without any synapse
            snr = signal_to_noise(margins, self.rows.weights, 1.0, self.f)
        self.course["wake_density"].append(float(density(self.rows).mean()))
        self.course["wake_memorised"].append(float(are_attractors(self.rows, self.patterns).mean()))
        self.course["wake_snr"].append(float(snr[np.isfinite(snr)].mean()))

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows.state_dict(), "course": self.course}

    def load_state_dict(self, state: Any) -> None:
        self.rows.load_state_dict(state["rows"])
        self.course = state["course"]
        self._read()


def _balance(weights: Tensor, f: float) -> Tensor:
    """Do what `model.balance` does, without copies."""
    spread = math.sqrt(2 * f * (1 - f)) * torch.linalg.vector_norm(weights, dim=1)
    return f * weights.sum(1) + spread * float(torch.erfinv(torch.tensor(1 - 2 * f).double()))


def are_attractors(rows: Rows, patterns: Patterns) -> Bool[np.ndarray, " patterns"]:
    """Tell which patterns are fixed points of the network: y h > 0 in every neuron."""
    if not len(patterns):
        return np.zeros(0, bool)
    return (signs(patterns) * inputs_of(rows, patterns)).min(1) > 0
