"""Optimal margins and densities in the limit of many synapses, by the replica theory.

Each neuron is a perceptron with weights w >= 0 and a free threshold theta, which gives labels
y = +-1 (+1 with probability f) to M = load * N random patterns of N inputs in {0, 1} with activity
f. These are the curves that Iatropoulos, Gerstner & Brea (2024) draw beside simulations (section
"theory" of the specification); nothing is simulated here. With h = w xi - theta and the minimum
taken over patterns, two margins are maximised:

- l2, what one factor per synapse attains: k = min y h / |w|_2;
- l1, what two factors attain: rho = min y h / (mean(w) sqrt(N f (1 - f))).

All curves stay the same when f and 1 - f are exchanged. Negative margins, and so loads above the
critical one, are not covered: the problem is no longer convex there. All functions refuse an f that
is not between 0 and 1, and loads below `LOWEST_LOAD`, with a `ParameterError`.

Below, H(x) is the probability that a standard normal z exceeds x, G(x) the mean of max(z + x, 0)^2,
and F(k, f) = min over v of f G(k + v) + (1 - f) G(k - v): the mean square of what patterns fall
short of the margin k, in units of the standard deviation of h, at the best threshold.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from sharpwave_shared.errors import ParameterError

LOWEST_LOAD = 1e-100
"""Loads down to which double precision suffices, far beyond what networks can have."""
HIGHEST_CUT = 30.0
"""The largest cut B that is tried; a share of H(30) = 5e-198 of the synapses lies above it."""


class Optima(NamedTuple):
    """Solutions with the largest margin that their load permits.

    Attributes
    ----------
    load
        Patterns per input.
    margin
        k (l2) or rho (l1), see above; NaN where the load is above the critical one.
    density
        Share of the weights that are not 0; NaN likewise.
    """

    load: Float[np.ndarray, " points"]
    margin: Float[np.ndarray, " points"]
    density: Float[np.ndarray, " points"]


def critical_load(f: float = 0.5) -> float:
    """Give the load above which no weights w >= 0 answer all patterns: 0.5 / F(0, f).

    It is 1 at f = 0.5 and grows as patterns become sparser (or denser).
    """
    if not 0 < f < 1:
        raise ParameterError("f", f, "a number between 0 and 1, both excluded")
    return 0.5 / _shortfall(0.0, f)[0]


def l2_optima_at_loads(loads: Float[np.ndarray, " points"], f: float = 0.5) -> Optima:
    """Give the largest l2 margin at each load: load = 0.5 / F(k / sqrt(f (1 - f)), f).

    Half of the weights are 0.

    Parameters
    ----------
    loads
        Patterns per input; those above the critical load have no solution.
    f
        Activity of the patterns, and share of positive labels.
    """
    spread = math.sqrt(f * (1 - f)) if 0 < f < 1 else math.nan

    def margin(load: float) -> float:
        # F(k, f) >= 4 f (1 - f) k^2, its limit for large k, bounds the root.
        highest = math.sqrt(0.5 / load) / (2 * spread)
        target = math.log(0.5 / load)
        return spread * _root(lambda k: math.log(_shortfall(k, f)[0]) - target, 0.0, highest)

    margins = _at_loads(margin, loads, f)
    return Optima(loads.astype(float), margins, np.where(np.isnan(margins), np.nan, 0.5))


def l1_optima_at_loads(loads: Float[np.ndarray, " points"], f: float = 0.5) -> Optima:
    """Give the largest l1 margin and its density at each load.

    With the best weights proportional to max(z - B, 0) for normal z, the specification has

        load = max over B of [H(B)^2 / m2(B)] / F(rho m1(B) / sqrt(m2(B)), f), density = H(B),

    where m1 = phi(B) - B H(B) and m2 = (1 + B^2) H(B) - B phi(B). Where the derivative by B is 0,
    with k = rho m1 / sqrt(m2) and P(k, f) the share of patterns that lie exactly on the margin,

        P(k, f) / F(k, f) = m2(B) / H(B), load = H(B) / P(k, f).

    (As in every basic solution of a linear program, there are as many weights above 0 as patterns
    on the margin.) Both sides of the first equation are monotonic, so k from 0 to infinity
    runs through the whole curve, and it has a single maximum.

    Parameters
    ----------
    loads
        Patterns per input; those above the critical load have no solution.
    f
        Activity of the patterns, and share of positive labels.
    """

    def scaled(load: float) -> float:
        target, highest = math.log(load), _highest_scaled(f)
        return _root(lambda k: target - math.log(_l1_load(k, f)), 0.0, highest)

    k = _at_loads(scaled, loads, f)
    B = _each(lambda value: _cut(*_shortfall(value, f)), k)
    return Optima(loads.astype(float), k / _each(_ratio, B), _each(_tail, B))


def sparsest_densities(
    loads: Float[np.ndarray, " points"], f: float = 0.5
) -> Float[np.ndarray, " points"]:
    """Give the density H(B) below which there is no solution: load = (B phi(B) + H(B)) / F(0, f).

    At higher densities there may be some: the choice of synapses is not a convex problem. NaN
    results where loads are above the critical one.

    Parameters
    ----------
    loads
        Patterns per input.
    f
        Activity of the patterns, and share of positive labels.
    """

    def density(load: float) -> float:
        target = math.log(load * _shortfall(0.0, f)[0])
        return _tail(_root(lambda B: target - math.log(_kept(B)), 0.0, HIGHEST_CUT))

    return _at_loads(density, loads, f)


# --- single numbers -------------------------------------------------------------------------------
# Curves are nested searches for roots, in which plain floats are much faster than small arrays.


def _tail(x: float) -> float:
    """H(x), with a small relative error in the tail too."""
    return math.erfc(x / math.sqrt(2)) / 2


def _bell(x: float) -> float:
    """phi(x), the standard normal density."""
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _first_moment(B: float) -> float:
    """m1(B), the mean of max(z - B, 0) over normal z."""
    return _bell(B) - B * _tail(B)


def _second_moment(B: float) -> float:
    """m2(B), the mean of max(z - B, 0)^2: the same as G(-B)."""
    return (1 + B * B) * _tail(B) - B * _bell(B)


def _kept(B: float) -> float:
    """Give the mean square of normal numbers, those below B set to 0."""
    return B * _bell(B) + _tail(B)


def _ratio(B: float) -> float:
    """Give the mean of the weights over their root mean square: m1 / sqrt(m2)."""
    return _first_moment(B) / math.sqrt(_second_moment(B))


def _shortfall(k: float, f: float) -> tuple[float, float]:
    """Give F(k, f) and P(k, f), the share of patterns on the margin, for k >= 0.

    Patterns that would fall short of the margin are those that end up exactly on it.
    """
    if f > 0.5:
        f = 1 - f
    # The sum is convex in v, and its derivative has one sign change. At v = 0 the more frequent
    # label dominates it; at the upper bound G'(k + v) >= G'(0) and G'(k - v) <= G'(0) f.
    v = _root(
        lambda v: f * _first_moment(-k - v) - (1 - f) * _first_moment(v - k),
        0.0,
        k + math.sqrt(-2 * math.log(f)),
    )
    F = f * _second_moment(-k - v) + (1 - f) * _second_moment(v - k)
    return F, f * _tail(-k - v) + (1 - f) * _tail(v - k)


def _cut(F: float, P: float) -> float:
    """Solve P / F = m2(B) / H(B) for B, from 0 (at k = 0) to infinity."""
    return _root(lambda B: P / F - _second_moment(B) / _tail(B), 0.0, HIGHEST_CUT)


def _highest_scaled(f: float) -> float:
    """Bound k where B reaches `HIGHEST_CUT`: P / F <= 1 / F <= 1 / (4 f (1 - f) k^2)."""
    found = _tail(HIGHEST_CUT) / _second_moment(HIGHEST_CUT)
    return math.sqrt(found / (4 * f * (1 - f)))


def _l1_load(k: float, f: float) -> float:
    F, P = _shortfall(k, f)
    return _tail(_cut(F, P)) / P


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find the root of an increasing function; the nearer end where rounding hides the root."""
    if function(low) >= 0:
        return low
    if function(high) <= 0:
        return high
    return cast(float, brentq(function, low, high, xtol=1e-14, maxiter=1000))


# --- arrays ---------------------------------------------------------------------------------------


def _each(
    function: Callable[[float], float], values: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    """Apply a function to all values but NaN."""
    return np.array([v if math.isnan(v) else function(v) for v in values.tolist()], dtype=float)


def _at_loads(
    function: Callable[[float], float], loads: Float[np.ndarray, " points"], f: float
) -> Float[np.ndarray, " points"]:
    """Apply a function to loads, with NaN for those above the critical one."""
    critical = critical_load(f)
    allowed = loads >= LOWEST_LOAD  # NaN is not
    if not allowed.all():
        raise ParameterError("loads", float(loads[~allowed][0]), f"numbers from {LOWEST_LOAD:g}")
    return _each(function, np.where(loads <= critical, loads, np.nan))
