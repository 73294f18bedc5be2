"""Claims about intervals that networks were not trained on."""

import xarray as xr

from hybrid_plasticity.experiments.evaluate import Evaluate
from sharpwave_shared.claims import Claim, Measurement

BEYOND = 2
"""Scenes beyond R of training at which recognition is asked for."""
TRUE_POSITIVE, FALSE_POSITIVE = 0.7, 0.1
"""Rates that are asked for there."""


def generalises(experiment: Evaluate, data: xr.Dataset) -> Measurement | None:
    """Tell how well networks recognise repetitions beyond their training."""
    beyond = data["trained_to"] + BEYOND
    if not beyond.isin(data["interval"]).all():
        return None
    there = data.sel(interval=beyond)
    hits, alarms = there["true_positive"].values, there["false_positive"].values
    trained = ", ".join(map(str, data["trained_to"].values))
    shown = (
        f"true positive rate {min(hits):.3f} to {max(hits):.3f}, false positive rate "
        f"{min(alarms):.3f} to {max(alarms):.3f} (trained up to R = {trained})"
    )
    holds = bool(min(hits) >= TRUE_POSITIVE and max(alarms) <= FALSE_POSITIVE)
    values = {"true_positive": hits.tolist(), "false_positive": alarms.tolist()}
    return Measurement(shown, holds, values)


CLAIMS = [
    Claim(
        "generalisation",
        "A network meta-trained up to R recognises repetitions at intervals it never saw.",
        "report",
        "-",
        f"every seed, at R + {BEYOND}: true positive rate >= {TRUE_POSITIVE}, false positive rate "
        f"<= {FALSE_POSITIVE}",
        generalises,
    )
]
