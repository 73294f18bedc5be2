"""Claims about the curriculum."""

import numpy as np
import xarray as xr

from hybrid_plasticity.configuration import Configuration, Learning
from hybrid_plasticity.experiments.train import Train
from sharpwave_shared.claims import Claim, Measurement

WITHIN = (1000, 4000, 10_000)
"""Iterations within which R = 1, 2 and 3 are to be mastered."""
EXAMPLE = Configuration.model_fields | Learning.model_fields
"""The parameters whose defaults make the example, and what it means to master an interval."""


def curriculum(experiment: Train, data: xr.Dataset) -> Measurement | None:
    """Tell how soon the example masters the first intervals."""
    if any(getattr(experiment, name) != field.default for name, field in EXAMPLE.items()):
        return None
    mastered = data["mastered"].reindex(interval=range(1, len(WITHIN) + 1))
    iterations = data["iterations"].values
    if not all(map(_decided, mastered.transpose("seed", "interval").values, iterations)):
        return None
    shown, values, holds = [], {}, []
    for R, limit in enumerate(WITHIN, 1):
        # A network that never mastered an interval took forever.
        taken = mastered.sel(interval=R).fillna(np.inf).values
        known, median = taken[np.isfinite(taken)], np.median(taken)
        text = f"{median:,.0f} ({known.min():,.0f} to {known.max():,.0f})" if len(known) else "-"
        shown.append(
            f"R = {R}: {text}; mastered by {len(known)} of {len(taken)} seeds, "
            f"by {(taken <= limit).sum()} within {limit:,}"
        )
        values[f"R = {R}"] = taken.tolist()
        holds.append(bool(median <= limit))
    return Measurement("\n".join(shown), all(holds), values)


def _decided(mastered: np.ndarray, iterations: np.integer) -> bool:
    """Tell whether a network had its chance: it mastered all, or used up an interval's time."""
    taken = mastered[np.isfinite(mastered)]
    return len(taken) >= len(WITHIN) or bool(iterations - taken.sum() >= WITHIN[len(taken)])


CLAIMS = [
    Claim(
        "curriculum",
        "Memo [100,100] MA masters R = 1, 2 and 3.",
        "released code",
        "466, 1,882 and more than 1,700 iterations (acc_num 5, one run)",
        "median over seeds: within 1,000, 4,000 and 10,000 iterations at each R",
        curriculum,
    )
]
