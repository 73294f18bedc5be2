"""Constants that parameters and the science share, and which patterns there are; nothing heavy."""

from sharpwave_shared.errors import ParameterError

PAPER_N = 1000
"""Neurons of the paper's networks, for which its learning rates and lengths are."""
LOADS = (0.08, 0.1425, 0.205, 0.2675, 0.33, 0.4533, 0.5767, 0.70)
"""The paper's loads (Figure 2)."""
MOST_NEURONS = 5000
MOST_FACTORS = 10
"""Of synapses that learn."""
LOWEST_ACTIVITY = 1e-6
RAREST = 0.01
"""The smallest chance of both activities in a neuron with which it is still redrawn until it has
both: 100 times on average."""


def check_patterns(n: int, m: int, f: float, *, exact: bool) -> None:
    """Refuse sizes for which `patterns.draw_patterns` has no patterns.

    Raises
    ------
    ParameterError
        If f is not between 0 and 1, no activity is exact, or there are too few patterns for every
        neuron to be both active and silent.
    """
    if not 0 < f < 1:
        raise ParameterError("f", f, "a number between 0 and 1, both excluded")
    if n < 2:
        raise ParameterError("n", n, "at least 2 neurons")
    if m < 2:
        raise ParameterError(
            "patterns", m, "at least 2: every neuron is active in some and silent in others"
        )
    ones = round(n * f)
    if exact and not 0 < ones < n:
        raise ParameterError(
            "n", n, f"neurons of which 1 to n - 1 are active; with f = {f:g} they are {ones}"
        )
    if exact and m * min(ones, n - ones) < n:
        raise ParameterError(
            "patterns",
            m,
            f"at least {-(-n // min(ones, n - ones))}, so that each of n = {n} neurons can be "
            f"active and silent; {ones} are active at a time",
        )
    if not exact and 1 - f**m - (1 - f) ** m < RAREST:
        raise ParameterError(
            "f",
            f,
            f"a number closer to 0.5, or more than {m} patterns: nearly every neuron is silent, or "
            "active, in all of them",
        )


def check_load(n: int, load: float, f: float, *, exact: bool) -> None:
    """Refuse a load at which there are no such patterns; see `check_patterns`."""
    try:
        check_patterns(n, round(load * n), f, exact=exact)
    except ParameterError as error:
        if error.name != "patterns":
            raise
        raise ParameterError("loads", load, f"a higher load for n = {n} ({error})") from None
