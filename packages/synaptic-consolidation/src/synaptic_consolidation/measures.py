"""What is measured of consolidated rows and networks."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from synaptic_consolidation.model import Labels, Patterns, Rows, inputs_of, signs

NORMS = {1: 2.0, 2: 1.0, 3: 2 / 3, 4: 1 / 2}
"""The norm q = 2 / z whose margin z factors maximise, by z."""


def smallest_margins(rows: Rows, patterns: Patterns, labels: Labels) -> Float[np.ndarray, " rows"]:
    """Give min over patterns of y h; at most 0 where a pattern is answered wrongly."""
    return (signs(labels) * inputs_of(rows, patterns)).min(0)


def density(rows: Rows) -> Float[np.ndarray, " rows"]:
    """Give the share of the synapses that are not pruned, the self-connection left out."""
    return rows.living.sum(1) / (rows.living.shape[1] - 1)


def mean_norm(weights: Float[np.ndarray, "rows inputs"], q: float) -> Float[np.ndarray, " rows"]:
    """Give (mean of w^q)^(1/q) over all inputs, themselves left out."""
    return ((weights.astype(float) ** q).sum(1) / (weights.shape[1] - 1)) ** (1 / q)


def signal_to_noise(
    margins: Float[np.ndarray, " rows"],
    weights: Float[np.ndarray, "rows inputs"],
    q: float,
    f: float,
) -> Float[np.ndarray, " rows"]:
    """Give margins relative to a norm: min y h / ((mean of w^q)^(1/q) sqrt(N f (1 - f))).

    With q = 1 this is rho of the theory, with q = 2 it is k / sqrt(f (1 - f)).
    """
    spread = np.sqrt((weights.shape[1] - 1) * f * (1 - f))
    return margins / (mean_norm(weights, q) * spread)


def measure_rows(
    rows: Rows, patterns: Patterns, labels: Labels, f: float
) -> dict[str, Float[np.ndarray, " rows"]]:
    """Measure every row on its own.

    Returns
    -------
    dict
        `margin`: k = min y h / |w|_2; `snr_z1` to `snr_z4`: see `signal_to_noise`, for q = 2 to
        1/2; `synaptic_margin`: min y h / sqrt(sum w^(2 - 2/z)); `density`; `l1` and `l2` norms;
        `wrong`: share of patterns that are answered wrongly; `within` and `across`: see
        `factor_correlations` (NaN for a single factor). Margins of rows without any synapse are
        not finite.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return _measured(rows, patterns, labels, f)


def _measured(
    rows: Rows, patterns: Patterns, labels: Labels, f: float
) -> dict[str, Float[np.ndarray, " rows"]]:
    w = rows.weights.astype(float)
    z = rows.factors.shape[1]
    margins = signs(labels) * inputs_of(rows, patterns)
    smallest = margins.min(0)
    # 0^0 = 0 here: with one factor, only surviving synapses are noisy.
    sensitivity = np.where(w > 0, w, 1) ** (2 - 2 / z) * (w > 0)
    within, across = factor_correlations(rows)
    found = {
        "margin": smallest / np.linalg.norm(w, axis=1),
        "synaptic_margin": smallest / np.sqrt(sensitivity.sum(1)),
        "density": density(rows),
        "l1": w.sum(1),
        "l2": np.linalg.norm(w, axis=1),
        "wrong": (margins <= 0).mean(0),
        "within": within,
        "across": across,
    }
    for factors, q in NORMS.items():
        found[f"snr_z{factors}"] = signal_to_noise(smallest, w, q, f)
    return found


def factor_correlations(
    rows: Rows,
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Correlate the first two factors of surviving synapses, per row.

    Returns
    -------
    tuple
        Pearson's correlation of u_1 and u_2 of the same synapse, and of u_1 with u_2 of the next
        surviving synapse; NaN with a single factor, or fewer than three synapses.
    """
    within, across = np.full((2, len(rows)), np.nan)
    if rows.factors.shape[1] > 1:
        for i, living in enumerate(rows.living):
            u, v = rows.factors[i, :2, living].astype(float).T
            if len(u) > 2 and u.std() > 0 and v.std() > 0:
                within[i] = np.corrcoef(u, v)[0, 1]
                across[i] = np.corrcoef(u, np.roll(v, 1))[0, 1]
    return within, across


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Give mean and standard deviation of what is finite; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return (float(known.mean()), float(known.std())) if len(known) else (math.nan, math.nan)


def symmetry(weights: Float[np.ndarray, "rows inputs"]) -> float:
    """Correlate w_ij and w_ji of a whole network; NaN if all weights are equal."""
    upper = np.triu_indices(len(weights), 1)
    there, back = weights[upper], weights.T[upper]
    # Both directions of a pair count alike.
    one, other = np.concatenate([there, back]), np.concatenate([back, there])
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 else float("nan")


def sparseness(
    responses: Float[np.ndarray, "patterns rows"],
) -> Float[np.ndarray, " rows"]:
    """Give how selective each neuron is among patterns: 0 (no difference) to 1 (a single one).

    (1 - (mean r)^2 / mean r^2) / (1 - 1 / M) for responses r >= 0 (Vinje & Gallant, Science 2000).
    """
    r = responses.astype(float)
    with np.errstate(invalid="ignore"):
        return (1 - r.mean(0) ** 2 / np.square(r).mean(0)) / (1 - 1 / len(r))


def histogram_of_weights(
    weights: Float[np.ndarray, "rows inputs"],
    living: Bool[np.ndarray, "rows inputs"],
    edges: Sequence[float] | np.ndarray,
) -> Float[np.ndarray, " bins"]:
    """Give the density of probability of surviving weights, in units of their mean."""
    values = weights[living].astype(float)
    if not len(values):
        return np.zeros(len(edges) - 1)
    counts, _ = np.histogram(values / values.mean(), edges)
    return counts / (len(values) * np.diff(edges))
