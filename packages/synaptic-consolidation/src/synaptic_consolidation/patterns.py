"""Random patterns of activity, the memories of a network."""

import numpy as np
from jaxtyping import UInt8

from synaptic_consolidation.limits import check_patterns

Patterns = UInt8[np.ndarray, "patterns neurons"]


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
    ParameterError
        If there are no such patterns; see `limits.check_patterns`.

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
