"""What own samples do for retention."""

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from sharpwave_shared.claims import Claim, Measurement
from sleep_replay.claims.common import SOURCE
from sleep_replay.experiments.mixtures import Baselines, Interleave, Samples


def _samples(
    experiment: Baselines | Samples | Interleave, results: xr.Dataset
) -> Measurement | None:
    if not isinstance(experiment, Samples) or not experiment.inverted:
        return None
    counts = results["sampled"].values
    if len(counts) < 3:
        return None
    old = results["error"].sel(data_set="old").mean(["seed", "trial"]).values
    rho = float(np.asarray(spearmanr(counts, old))[0])
    return Measurement(
        f"Spearman correlation {rho:.2f} (error 1 from {old[0]:.0f} with {counts[0]} samples "
        f"to {old[-1]:.0f} with {counts[-1]})",
        rho <= -0.8,
        {"spearman": rho, "error_old": old.tolist()},
    )


CLAIMS = (
    Claim(
        "samples",
        "The more own samples in the mixture, the better the retention.",
        SOURCE,
        "error 1 falls monotonically with the number of samples",
        "Spearman correlation of samples and error 1 <= -0.8",
        _samples,
    ),
)
