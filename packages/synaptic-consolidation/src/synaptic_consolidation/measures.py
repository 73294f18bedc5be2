"""What is measured of consolidated rows and networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from synaptic_consolidation.model import Labels, Patterns, Rows, inputs_of, signs

NORMS = {1: 2.0, 2: 1.0, 3: 2 / 3, 4: 1 / 2}
"""The norm q = 2 / z whose margin z factors maximise, by z."""
ROW_MEASURES = {
    "margin": "margin min y h / |w|_2",
    "synaptic_margin": "margin min y h / sqrt(sum w^(2 - 2/z))",
    "density": "share of synapses not pruned",
    "l1": "norm |w|_1",
    "l2": "norm |w|_2",
    "wrong": "share of patterns answered wrongly",
    "within": "correlation of factors of the same synapse",
    "across": "correlation of factors of different synapses",
    **{f"snr_z{z}": f"margin relative to the norm q = {q:.3g}" for z, q in NORMS.items()},
}
"""What `measure_rows` gives."""
WEIGHT_EDGES = 10.0 ** np.linspace(-10, 2, 121)
"""Edges of the histogram of surviving weights."""

Variables = dict[str, tuple]
"""Variables of an `xarray.Dataset`: dimensions, values, attributes."""


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


@np.errstate(invalid="ignore", divide="ignore")
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


def labelled(
    dims: str | tuple[str, ...], values: Mapping[str, Any], names: Mapping[str, str]
) -> Variables:
    """Make variables of values, with the names that say what they are."""
    return {key: (dims, value, {"long_name": names[key]}) for key, value in values.items()}


def histogram_of_weights(
    weights: Float[np.ndarray, "rows inputs"], living: Bool[np.ndarray, "rows inputs"]
) -> Float[np.ndarray, " bins"]:
    """Give the share of all synapses whose weights lie between `WEIGHT_EDGES`, and survive."""
    counts, _ = np.histogram(weights[living].astype(float), WEIGHT_EDGES)
    return counts / (len(weights) * (weights.shape[1] - 1))
