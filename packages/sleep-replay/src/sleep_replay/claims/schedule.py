"""What sleep does to old and new memories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sharpwave_shared.claims import Claim, Measurement
from sleep_replay.claims.common import SOURCE
from sleep_replay.evaluate import COLLAPSED
from sleep_replay.experiments.schedule import Schedule, Sweep
from sleep_replay.parameters import DATA_SETS


class _Night:
    """One night of a schedule or sweep, as arrays of seeds x times."""

    def __init__(self, results: xr.Dataset, cycles: int, lr: float, fractions: tuple[float, float]):
        self.num_cycles, self.lr, self.fractions = cycles, lr, fractions
        error = results["error"].transpose("data_set", "seed", "cycle")
        self.old, self.new = (error.sel(data_set=name).values for name in DATA_SETS)
        carried = [results["final_carried"].sel(data_set=name).values for name in DATA_SETS]
        self.carried = [float(np.median(shares)) for shares in carried]
        self.collapsed = [int((shares < COLLAPSED).sum()) for shares in carried]

    def __str__(self) -> str:
        return f"{self.num_cycles} cycles, lr {self.lr:g}"

    @property
    def collapse(self) -> str:
        """Say how many networks had collapsed on each data set at the end."""
        old, new = self.collapsed
        return f"of {len(self.old)} collapsed on data set 1: {old}, on 2: {new}"


def _nights(experiment: Schedule | Sweep, results: xr.Dataset) -> Iterator[_Night]:
    """Give the nights of a run for whose data the published numbers hold."""
    if not experiment.inverted:
        return
    if isinstance(experiment, Schedule):
        fractions = (experiment.start_fraction_rem, experiment.end_fraction_rem)
        yield _Night(results, experiment.num_cycles, experiment.lr, fractions)
        return
    for lr in results["lr"].values:
        for cycles in results["cycles"].values:
            for index, fractions in enumerate(experiment.ranges()):
                night = results.sel(lr=lr, cycles=cycles).isel(fraction=index)
                # Nights of more cycles are longer.
                yield _Night(night.sel(cycle=slice(cycles)), int(cycles), float(lr), fractions)


Numbers = Callable[[_Night], tuple[Mapping[str, float], bool]]
Measure = Callable[[Schedule | Sweep, xr.Dataset], Measurement | None]


def _in_nights(applies: Callable[[_Night], bool], numbers: Numbers) -> Measure:
    """Measure a claim on every night that it speaks about; all have to reproduce it."""

    def measure(experiment: Schedule | Sweep, results: xr.Dataset) -> Measurement | None:
        shown: list[str] = []
        values: dict[str, Any] = {}
        for night in filter(applies, _nights(experiment, results)):
            measured, holds = numbers(night)
            text = ", ".join(f"{name} {value:.0f}" for name, value in measured.items())
            shown.append(f"{night}: {text}; {night.collapse}")
            values[str(night)] = {
                **measured,
                "collapsed": night.collapsed,
                "median_carried": night.carried,
                "seeds": len(night.old),
                "reproduced": holds,
            }
        if not shown:
            return None
        return Measurement("\n".join(shown), all(v["reproduced"] for v in values.values()), values)

    return measure


def _initial(experiment: Schedule | Sweep, results: xr.Dataset) -> Measurement | None:
    for night in _nights(experiment, results):
        old, new = float(night.old[:, 0].mean()), float(night.new[:, 0].mean())
        return Measurement(
            f"error 1 {old:.0f}, error 2 {new:.0f}",
            old <= 65 and new >= 500,
            {"error_old": old, "error_new": new},
        )
    return None


def _no_rem(night: _Night) -> tuple[dict[str, float], bool]:
    lowest, final = night.old[:, 1:].min(), night.new[:, -1].max()
    measured = {"lowest error 1": float(lowest), "highest final error 2": float(final)}
    return measured, bool(lowest >= 500 and final <= 120)


def _half_rem(night: _Night) -> tuple[dict[str, float], bool]:
    old, new = np.median(night.old[:, -1]), np.median(night.new[:, -1])
    measured = {"median error 1": float(old), "median error 2": float(new)}
    return measured, bool(old <= 150 and new <= 250)


def _rem_alone(night: _Night) -> tuple[dict[str, float], bool]:
    start, final = night.new[:, 0], night.new[:, -1]
    measured = {
        "error 2 at the start": float(start.mean()),
        "lowest final error 2": float(final.min()),
        "median final error 1": float(np.median(night.old[:, -1])),
    }
    return measured, bool(np.all((final > 500) | (np.abs(final - start) <= 0.1 * start)))


CLAIMS = (
    Claim(
        "initial",
        "The initial model knows data set 1 and not data set 2.",
        SOURCE,
        "error 1 about 55-60, error 2 about 630",
        "error 1 <= 65, error 2 >= 500",
        _initial,
    ),
    Claim(
        "no-rem",
        "Without REM the old memories are lost within the first cycle.",
        SOURCE,
        "error 1 rises to about 640, error 2 falls to about 90",
        "every seed: error 1 >= 500 after every cycle, error 2 <= 120 at the end",
        _in_nights(lambda night: night.fractions == (0, 0), _no_rem),
    ),
    Claim(
        "half-rem",
        "With half REM the old memories are kept while the new are learnt.",
        SOURCE,
        "error 1 stays near 100, error 2 falls to about 150 (large spread)",
        "median over seeds at the end, 10 cycles or more: error 1 <= 150, error 2 <= 250",
        _in_nights(
            lambda night: night.fractions == (0.5, 0.5) and night.num_cycles >= 10, _half_rem
        ),
    ),
    Claim(
        "rem-alone",
        "REM alone learns nothing new.",
        SOURCE,
        "-",
        "every seed: error 2 within 10 % of its start, or above 500",
        _in_nights(lambda night: night.fractions == (1, 1), _rem_alone),
    ),
)
