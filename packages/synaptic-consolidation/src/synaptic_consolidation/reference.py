"""The plain transcription of the equations: NumPy, every factor of its own, one step at a time.

It serves as the oracle of the tests and as the baseline of the benchmark. Nothing else uses it.
"""

import numpy as np
from jaxtyping import Float

from synaptic_consolidation.model import Labels, Patterns, Rows, Rule


def plain_fluctuations(
    factors: int,
    noise: np.ndarray,
    *,
    every: int,
    dt: float = 5e-3,
    sigma: float = 0.05,
    mixture: float = 0.0,
    drift: float = 0.1,
    gain: float = 10.0,
    tau: float = 30.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Let synapses fluctuate from factors of 1.

    `noise` (steps x 2 x synapses) holds xi_1 and xi_2 of every step.

    Returns
    -------
    tuple
        Factors at the end (factors x synapses), and weights before every `every`-th step
        (synapses x samples).
    """
    s, k, b = sigma, mixture, drift
    u = np.ones((factors, noise.shape[2]))
    samples = []
    for t, (xi_1, xi_2) in enumerate(noise.astype(float)):
        u_slow = np.prod(u[1:], axis=0)
        w = u[0] * u_slow
        living = w > 0
        if t % every == 0:
            samples.append(w)
        H = 1 - np.mean(w[living] ** (2 / factors)) if living.any() else 0.0
        du_1 = (
            s * ((1 - k) * xi_1 + k * u_slow * xi_2) * np.sqrt(dt)
            + b * s * ((1 - k) + k * u_slow) * dt
            + gain * H * u[0] * dt
        )
        u[0] = np.where(living, np.maximum(u[0] + du_1, 0), 0)
        for j in range(1, factors):
            du_j = -(u[j] - u[0]) * dt / tau + gain * H * u[j] * dt / tau
            u[j] = np.maximum(u[j] + du_j, 0)
    return u, np.stack(samples, 1)


def advance(
    rows: Rows,
    patterns: Patterns,
    labels: Labels,
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
) -> None:
    """Let rows take as many steps as there are learning rates; see `model.Advance`."""
    u = rows.factors.transpose(0, 2, 1)  # rows x inputs x factors
    living, theta = rows.living, rows.theta
    y_of, xi = 2.0 * labels - 1, patterns.astype(u.dtype)
    mean = np.where(rows.mean > 0, rows.mean, np.nan)
    for rate, rate_theta in zip(eta, eta_theta, strict=True):
        w = np.where(living, np.prod(u, axis=2), 0)
        h = xi @ w.T - theta
        y_h = y_of * h
        worst = y_h.argmin(0)
        each = np.arange(len(u))
        distance = np.abs(h)
        current = distance.mean(0)
        p = np.exp(-rule.beta * distance / np.where(np.isnan(mean), current, mean))
        replayed = p / p.sum(0) * np.sign(h)
        corrected = np.zeros_like(h)
        corrected[worst, each] = y_of[worst, each]
        wrong = (y_h.min(0) <= 0) & rule.error_driven
        share = np.where(wrong, corrected, replayed)
        g = share.T @ xi
        y = share.sum(0)
        mean = current
        others = np.stack(
            [np.prod(np.delete(u, k, axis=2), axis=2) for k in range(u.shape[2])], axis=2
        )
        u = np.maximum(u + rate * g[:, :, None] * others, 1e-20)
        living = living & (np.prod(u, axis=2) > 1e-10)
        u = np.where(living[:, :, None], u, 0)
        squares = np.sum(u**2, axis=(1, 2))
        squares[squares == 0] = rule.factors * rule.length  # nothing is left to be scaled
        scale = np.sqrt(rule.factors * rule.length / squares)
        u = u * scale[:, None, None]
        theta = theta - rate_theta * y
    rows.factors[:] = u.transpose(0, 2, 1)
    rows.living[:], rows.theta[:], rows.mean[:] = living, theta, mean
