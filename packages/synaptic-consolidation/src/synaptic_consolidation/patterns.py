"""Random patterns of activity, the memories of a network."""

import numpy as np
from jaxtyping import UInt8

from sharpwave_shared.errors import InvalidInputError

RAREST = 0.01
"""The smallest chance of both activities in a neuron with which it is still redrawn until it has
both: 100 times on average."""

Patterns = UInt8[np.ndarray, "patterns neurons"]


def check_patterns(n: int, m: int, f: float, *, exact: bool) -> None:
    """Refuse sizes for which `draw_patterns` has no patterns.

    Raises
    ------
    InvalidInputError
        If it would raise one.
    """
    if not 0 < f < 1:
        raise InvalidInputError(f"f: got {f}, expected a number between 0 and 1, both excluded")
    if n < 2:
        raise InvalidInputError(f"n: got {n} neurons, expected at least 2")
    if m < 2:
        raise InvalidInputError(
            f"patterns: got {m}, expected at least 2, as every neuron is active in some of them "
            "and silent in others"
        )
    ones = round(n * f)
    if exact and not 0 < ones < n:
        raise InvalidInputError(
            f"n: got {n} neurons, of which an activity of f = {f} makes {ones} active, expected "
            f"1 to {n - 1} active ones"
        )
    if exact and m * min(ones, n - ones) < n:
        raise InvalidInputError(
            f"patterns: got {m} with {ones} of n = {n} neurons active, expected at least "
            f"{-(-n // min(ones, n - ones))}, so that every neuron can be active and silent"
        )
    if not exact and 1 - f**m - (1 - f) ** m < RAREST:
        raise InvalidInputError(
            f"f: got {f} with {m} patterns, in which nearly every neuron is either silent or "
            "active in all; expected more patterns, or f closer to 0.5"
        )


def draw_patterns(
    n: int, m: int, f: float, generator: np.random.Generator, *, exact: bool
) -> Patterns:
    """Draw patterns in which every neuron is active at least once, and silent at least once.

    Parameters
    ----------
    n
        Neurons N.
    m
        Patterns M.
    f
        Activity, the share of neurons that are active.
    generator
        What the numbers come from.
    exact
        Whether exactly round(N f) neurons are active in every pattern (N f halfway between two
        whole numbers is rounded to the even one), or each neuron on its own with probability f.

    Returns
    -------
    ndarray
        Patterns (M x N), 1 where a neuron is active and 0 where it is silent.

    Raises
    ------
    InvalidInputError
        If f is not between 0 and 1, no activity is exact, or there are too few patterns for every
        neuron to be both active and silent.

    Notes
    -----
    With independent neurons, a neuron that is silent in all patterns (or active in all) is drawn
    again as a whole. With an exact activity, it takes over one active pattern of a neuron that has
    several: rare unless the network has hardly more patterns than 1 / f.
    """
    check_patterns(n, m, f, exact=exact)
    if exact:
        ranks = generator.random((m, n)).argsort(1).argsort(1)
        patterns = (ranks < round(n * f)).astype(np.uint8)
        _wake(patterns, 1, generator)
        _wake(patterns, 0, generator)
        return patterns
    patterns = np.empty((m, n), np.uint8)
    missing = np.arange(n)
    while len(missing):
        patterns[:, missing] = generator.random((m, len(missing))) < f
        missing = np.flatnonzero(patterns.min(0) == patterns.max(0))
    return patterns


def _wake(patterns: Patterns, state: int, generator: np.random.Generator) -> None:
    """Let neurons that are never in a state exchange it with others that are in it repeatedly."""
    for neuron in np.flatnonzero((patterns != state).all(0)):
        giver = generator.choice(np.flatnonzero((patterns == state).sum(0) > 1))
        pattern = generator.choice(np.flatnonzero(patterns[:, giver] == state))
        patterns[pattern, neuron] = state
        patterns[pattern, giver] = 1 - state
