"""The consolidation model: neurons whose weights are products of factors.

Each neuron is a perceptron of its own, a row of the weight matrix: the synapse from input j has the
weight w_j = u_1j u_2j ... u_zj >= 0, and the neuron fires if h = w xi - theta > 0. It is to answer
y = +-1 to the patterns xi. A consolidation step (Iatropoulos, Gerstner & Brea 2024; section "Model"
of the specification) is, for every row on its own:

- while there is an error, the gradient of the worst pattern, g = y xi with the smallest y h; else
  replay, g = sum_mu p_mu sign(h_mu) xi_mu with p_mu ~ exp(-beta |h_mu| / mean |h|), the mean being
  that of the step before;
- u_kj += eta g_j prod_(l != k) u_lj, clipped at `SMALLEST_FACTOR`;
- synapses of a weight of at most `PRUNED` are pruned for good: they lose all factors;
- homeostasis: all factors of the row are scaled so that sum u^2 = z length;
- theta -= eta_theta y, in replay with the mean of sign(h) in place of y.

Every row has its own error: it replays as soon as it makes none itself. (The release corrects all
rows as long as there is an error in any, which ends with smaller margins.)

Engines do the step, each a function `advance` as `Advance` says: `fused` on the CPU, `batched` on
any device, and `reference`, the plain one.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.special import erfinv

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.stateful import Kept
from synaptic_consolidation.limits import MOST_FACTORS

PRUNED = 1e-10
"""Synapses of at most this weight are pruned."""
SMALLEST_FACTOR = 1e-20

Patterns = UInt8[np.ndarray, "patterns inputs"]
Labels = UInt8[np.ndarray, "patterns rows"]


@dataclass(frozen=True)
class Rule:
    """Parameters of the consolidation step.

    Attributes
    ----------
    factors
        z.
    length
        Half of the target of sum u^2, for z = 2; z-th part of it in general.
    eta, eta_theta
        Learning rates of factors and threshold.
    beta
        How strongly replay favours patterns near the threshold.
    error_driven
        Whether errors are corrected; without, everything is replayed as it is recalled (asleep).

    Raises
    ------
    ParameterError
        If one of them is out of range.
    """

    factors: int
    length: float
    eta: float
    eta_theta: float
    beta: float = 100.0
    error_driven: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.factors <= MOST_FACTORS:
            raise ParameterError("factors", self.factors, f"1 to {MOST_FACTORS}")
        for name in ("length", "eta", "eta_theta", "beta"):
            if not 0 < getattr(self, name) < math.inf:
                raise ParameterError(name, getattr(self, name), "a number above 0")

    @property
    def norm(self) -> float:
        """What sum u^2 of a row is held at."""
        return self.factors * self.length


@dataclass
class Rows(Kept):
    """The state of some neurons of a network, changed in place by learning.

    Attributes
    ----------
    neurons
        Which neurons of the network these are; input `neurons[i]` of row i is itself.
    factors
        u. Those of pruned synapses and of the self-connection are 0.
    living
        Which synapses are neither pruned nor self-connections.
    theta
        Thresholds.
    mean
        Mean of |h| over patterns in the last step; 0 before the first.
    """

    kept: ClassVar = ("neurons", "factors", "living", "theta", "mean")

    neurons: Int[np.ndarray, " rows"]
    factors: Float[np.ndarray, "rows factors inputs"]
    living: Bool[np.ndarray, "rows inputs"]
    theta: Float[np.ndarray, " rows"]
    mean: Float[np.ndarray, " rows"]

    @property
    def weights(self) -> Float[np.ndarray, "rows inputs"]:
        """The weights w; 0 where there is no synapse."""
        return np.where(self.living, self.factors.prod(1), 0)

    def __len__(self) -> int:
        return len(self.neurons)

    def copy(self) -> "Rows":
        """Copy all rows."""
        return self.select(np.arange(len(self)))

    def select(self, which: np.ndarray) -> "Rows":
        """Copy some of the rows."""
        return Rows(**{name: values[which] for name, values in vars(self).items()})

    def assign(self, which: np.ndarray, rows: "Rows") -> None:
        """Overwrite some of the rows."""
        for name in ("factors", "living", "theta", "mean"):
            getattr(self, name)[which] = getattr(rows, name)


@runtime_checkable
class Advance(Protocol):
    """An engine: lets rows take as many steps as there are learning rates, in place.

    `eta` and `eta_theta` replace the learning rates of the rule.
    """

    def __call__(
        self,
        rows: Rows,
        patterns: Patterns,
        labels: Labels,
        rule: Rule,
        eta: Float[np.ndarray, " steps"],
        eta_theta: Float[np.ndarray, " steps"],
    ) -> None:
        """Take the steps."""
        ...


def initial_rows(
    neurons: Int[np.ndarray, " rows"],
    factors: Float[np.ndarray, "rows factors inputs"],
    f: float,
) -> Rows:
    """Make rows of given factors, with balanced thresholds and no self-connections."""
    u = factors.copy()
    u[np.arange(len(neurons)), :, neurons] = 0
    living = u.prod(1) > PRUNED
    u *= living[:, None]
    mean = np.zeros(len(neurons), u.dtype)
    rows = Rows(neurons, u, living, np.empty(len(neurons), u.dtype), mean)
    rows.theta[:] = balance(rows.weights, f)
    return rows


def rescaled(rows: Rows, rule: Rule) -> Rows:
    """Give a copy whose factors have the homeostatic norm, and thresholds that fit them.

    Thresholds that were balanced still are: they grow with the weights.
    """
    result = rows.copy()
    squares = np.square(rows.factors).sum((1, 2), dtype=float)
    scale = np.sqrt(rule.norm / np.where(squares > 0, squares, rule.norm))
    result.factors *= scale[:, None, None].astype(rows.factors.dtype)
    result.theta *= (scale**rule.factors).astype(rows.theta.dtype)
    return result


def balance(weights: Float[np.ndarray, "rows inputs"], f: float) -> Float[np.ndarray, " rows"]:
    """Give the thresholds at which neurons fire with probability f, if inputs do so independently.

    f sum w + sqrt(2 f (1 - f) sum w^2) erfinv(1 - 2 f).
    """
    w = weights.astype(float)
    spread = np.sqrt(2 * f * (1 - f) * np.square(w).sum(1))
    return f * w.sum(1) + spread * erfinv(1 - 2 * f)


def inputs_of(rows: Rows, patterns: Patterns) -> Float[np.ndarray, "patterns rows"]:
    """Give h = w xi - theta of every pattern and row, in float64.

    In single precision, libraries round differently for one row than for many.
    """
    return patterns.astype(float) @ rows.weights.astype(float).T - rows.theta


def signs(labels: Labels) -> Float[np.ndarray, "patterns rows"]:
    """Give y = 2 xi - 1."""
    return 2.0 * labels - 1.0
