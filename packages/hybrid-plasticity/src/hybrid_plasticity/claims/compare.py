"""Claims about configurations side by side."""

import math
from collections.abc import Callable

import numpy as np
import xarray as xr

from hybrid_plasticity.experiments.compare import Compare
from sharpwave_shared.claims import Claim, Measurement

Pace = tuple[float, float]


def pace(data: xr.Dataset, name: str) -> Pace:
    """Give the largest R mastered and minus the iterations until then, as medians over seeds.

    Of two paces the larger is the better one: iterations decide where R is the same. Seeds that
    did not come as far count as never.
    """
    taken = data["mastered"].sel(configuration=name).transpose("seed", "interval").values
    largest = float(np.median(np.isfinite(taken).sum(1)))
    # The sum is NaN where a seed did not master one of these intervals.
    until = taken[:, : math.ceil(largest)].sum(1)
    return largest, -float(np.median(np.where(np.isnan(until), math.inf, until)))


def _of(data: xr.Dataset, network_type: str, units: int) -> xr.Dataset:
    """Choose the configurations of a type with so many hidden units in all."""
    own = (data["network_type"] == network_type) & (data["units"] == units)
    return data.isel(configuration=own.values)


def _hybrid(data: xr.Dataset, units: int) -> tuple[list[str], list[str]]:
    """Give the hybrid networks of a size, and those of a single type."""
    memo = _of(data, "Memo", units)
    single = [len(set(types)) == 1 for types in memo["plastic_types"].values]
    hybrid = memo["plastic_types"].values == "MA"
    names = memo["configuration"].values
    return names[hybrid].tolist(), names[single].tolist()


def _readout(data: xr.Dataset, units: int) -> tuple[list[str], list[str]]:
    """Give the better network of each plastic readout of a size, and the static readouts."""
    plastic = []
    for kind in ("Memo", "Dyn_RO"):
        # A layer of the static readout has no rates of its own: half the units have still fewer
        # parameters than it.
        own = _of(data, kind, units // 2)
        names = own["configuration"].values[own["layers"].values > 1].tolist()
        plastic += [max(names, key=lambda name: pace(data, name))] if names else []
    return plastic, _of(data, "Nonl_RO", units)["configuration"].values.tolist()


def _beats(
    network_type: str, choose: Callable[[xr.Dataset, int], tuple[list[str], list[str]]]
) -> Callable[[Compare, xr.Dataset], Measurement | None]:
    """Make a measure of whether all of the one kind are ahead of all of the other, at each size."""

    def measure(experiment: Compare, data: xr.Dataset) -> Measurement | None:
        own = data["units"].values[data["network_type"].values == network_type]
        lines, values, holds = [], {}, []
        for units in sorted({int(u) for u in own}, reverse=True):
            better, worse = choose(data, units)
            if not better or not worse:
                continue
            found = {name: pace(data, name) for name in [*better, *worse]}
            lines.append(
                "; ".join(
                    f"{name}: R = {R:g} after {-late:,.0f}" for name, (R, late) in found.items()
                )
            )
            values |= {name: list(own) for name, own in found.items()}
            holds.append(min(found[name] for name in better) > max(found[name] for name in worse))
        return Measurement("\n".join(lines), all(holds), values) if lines else None

    return measure


CLAIMS = [
    Claim(
        "hybrid",
        "Hybrid plasticity (M first, A second) beats a single type of the same size.",
        "report",
        "-",
        "medians over seeds in equal iterations: Memo MA masters a larger R, or the same R sooner, "
        "than every Memo of one type with as many hidden units, at each size",
        _beats("Memo", _hybrid),
    ),
    Claim(
        "readout",
        "Plastic readouts beat the static nonlinear readout with the same number of parameters.",
        "report",
        "-",
        "medians over seeds in equal iterations: Memo and Dyn_RO master a larger R, or the same R "
        "sooner, than Nonl_RO with twice the parameters, at each size",
        _beats("Nonl_RO", _readout),
    ),
]
