"""Synapses that fluctuate on their own: the simulation of Figures 5 and 6.

A weight is a fast factor u times z - 1 slow ones, which follow it. The slow ones start alike and
obey the same equation, so that they stay alike: one number v stands for all, and w = u v^(z - 1).
The plain transcription, with every factor of its own, is `reference.plain_fluctuations`.
"""

import math
from functools import partial

import numpy as np
from jaxtyping import Float

from sharpwave_shared.compiled import jit
from sharpwave_shared.errors import DivergenceError, ParameterError
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.experiments.synapses import MOST_FACTORS, Fluctuations

CHUNK_NUMBERS = 1 << 16
"""Random numbers drawn at once (256 KiB): the cache of a processor holds them."""

Noise = Float[np.ndarray, "steps numbers"]
Weights = Float[np.ndarray, "synapses samples"]


def simulate(factors: int, parameters: Fluctuations, streams: Streams) -> Weights:
    """Let synapses of z factors fluctuate.

    With v^(z - 1) the product of the slow factors before a step::

        du = s [(1 - k) xi_1 + k v^(z-1) xi_2] sqrt(dt) + b s [(1 - k) + k v^(z-1)] dt + 10 H u dt
        dv = (u' - v) dt / tau + 10 H v dt / tau,   H = 1 - mean of w^(2/z) over living synapses

    where u' is the fast factor after the step. Factors are clipped at 0; a synapse that reaches 0
    is dead for good. With z = 1 there is no slow factor, and the empty product is 1. All factors
    start at 1, where H is 0. xi_1 and xi_2 are separate for every synapse.

    Parameters
    ----------
    factors
        z.
    parameters
        All others.
    streams
        Noise comes from the purpose ("fluctuations", z), in float32.

    Returns
    -------
    ndarray
        Weights (synapses x 1 + duration) at times 0, 1, 2, ...; those of dead synapses are 0.

    Raises
    ------
    ParameterError
        If `factors` is out of range.
    DivergenceError
        If weights are no finite numbers any more (steps too long for the gain, say).

    Notes
    -----
    Iatropoulos, Gerstner & Brea 2024, Figures 5 and 6. The published data are those of k = 0; the
    released script says 0.5, with which slopes are steeper and most synapses die from z = 3 on.
    """
    if not 1 <= factors <= MOST_FACTORS:
        raise ParameterError("factors", factors, f"1 to {MOST_FACTORS}")
    p = parameters
    state = np.ones((2, p.synapses))
    generator = streams.numpy("fluctuations", factors)
    weights = np.zeros((p.synapses, p.duration + 1))
    steps = p.duration * p.steps_per_sample
    chunk = max(1, CHUNK_NUMBERS // p.numbers)
    noise = np.empty((chunk, p.numbers), np.float32)
    for first in range(0, steps, chunk):
        part = noise[: min(chunk, steps - first)]
        generator.standard_normal(out=part, dtype=np.float32)
        advance(factors, p, state, part, first, weights)
    weights[:, -1] = state[0] * state[1] ** (factors - 1)
    return weights


def advance(
    factors: int,
    parameters: Fluctuations,
    state: Float[np.ndarray, "2 synapses"],
    noise: Noise,
    first: int,
    weights: Weights,
) -> None:
    """Take as many steps as there are rows of noise.

    Parameters
    ----------
    factors
        z.
    parameters
        All others.
    state
        Fast factor and slow ones; changed in place.
    noise
        Standard normal numbers for every step: `parameters.numbers` columns.
    first
        Number of steps taken before.
    weights
        Its columns of the times that these steps begin at are written.

    Raises
    ------
    DivergenceError
        If weights are no finite numbers any more.
    """
    p = parameters
    failed = _advance(
        state[0],
        state[1],
        noise,
        first,
        factors,
        p.sigma * (1 - p.mixture) * math.sqrt(p.dt),
        p.sigma * p.mixture * math.sqrt(p.dt),
        p.drift * p.sigma * (1 - p.mixture) * p.dt,
        p.drift * p.sigma * p.mixture * p.dt,
        p.gain,
        p.dt,
        p.dt / p.tau,
        p.steps_per_sample,
        weights,
    )
    if failed >= 0:
        raise DivergenceError(
            f"synapses of {factors} factors diverge at step {first + failed}: "
            "shorter steps (dt) or a lower gain may help"
        )


@jit
def _advance(
    fast,
    slow,
    noise,
    first,
    z,
    additive,
    multiplicative,
    additive_drift,
    multiplicative_drift,
    gain,
    dt,
    relaxation,
    every,
    weights,
):
    """Take steps; give the first one at which weights are not finite, or -1."""
    n = fast.size  # fast, slow: synapses; noise: steps x numbers; weights: synapses x samples
    w = np.empty(n)
    product = np.ones(n)  # of the slow factors
    mixed = noise.shape[1] > n  # whether there is a xi_2
    for t in range(noise.shape[0]):
        xi = noise[t]
        if z == 2:
            for i in range(n):
                product[i] = slow[i]
        elif z > 2:
            for i in range(n):
                product[i] = _power(slow[i], z - 1)
        living = 0
        for i in range(n):
            w[i] = fast[i] * product[i]
            living += w[i] > 0.0
        total = _total(w, z)
        if not total < np.inf:
            return t
        if (first + t) % every == 0:
            column = (first + t) // every
            for i in range(n):
                weights[i, column] = w[i]
        H = 1.0 - total / living if living > 0 else 0.0
        growth = 1.0 + gain * H * dt
        relaxed = 1.0 + (gain * H - 1.0) * relaxation
        for i in range(n):
            du = additive * xi[i] + additive_drift
            if mixed:
                du += product[i] * (multiplicative * xi[n + i] + multiplicative_drift)
            u = growth * fast[i] + du
            u = u if (u > 0.0) & (w[i] > 0.0) else 0.0
            v = relaxed * slow[i] + relaxation * u
            fast[i] = u
            slow[i] = v if v > 0.0 else 0.0
    return -1


@partial(jit, inline=True)
def _power(value, exponent):
    """Give a whole power by repeated squaring."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= value
        value *= value
        exponent >>= 1
    return result


@partial(jit, inline=True)
def _total(w, z):
    """Sum w^(2 / z)."""
    total = 0.0
    if z == 1:
        for i in range(w.size):
            total += w[i] * w[i]
    elif z == 2:
        for i in range(w.size):
            total += w[i]
    elif z == 4:
        for i in range(w.size):
            total += math.sqrt(w[i])
    else:
        exponent = 2.0 / z
        for i in range(w.size):
            total += w[i] ** exponent
    return total
