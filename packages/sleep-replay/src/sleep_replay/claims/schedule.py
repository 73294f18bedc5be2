"""What a night of sleep, and the controls beside it, do to old and new memories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from sharpwave_shared.claims import Claim, Measurement
from sleep_replay.claims.common import PROJECT, SOURCE
from sleep_replay.evaluate import COLLAPSED
from sleep_replay.experiments.schedule import Schedule, Sweep
from sleep_replay.parameters import DATA_SETS

PerSeed = Float[np.ndarray, " seeds"]


class _Slept(NamedTuple):
    """A night of a run: errors of seeds x times, and what holds late in it, for each seed.

    Late is the median over the last quarter of the cycles. A single cycle says less: at batch
    size 1, what it leaves depends on the few images that were replayed last.
    """

    old: Float[np.ndarray, "seeds times"]
    new: Float[np.ndarray, "seeds times"]
    late_old: PerSeed
    late_new: PerSeed
    carried: Float[np.ndarray, "seeds 2"]
    constant: float
    """Error of the best constant image of data set 2."""

    @property
    def collapsed(self) -> PerSeed:
        """1 for networks that decode every image to the same one, 0 for others."""
        return (self.carried < COLLAPSED).all(1).astype(float)


class _Nights(NamedTuple):
    """What a run says: the night and its controls, as far as there are any."""

    rem: _Slept | None = None
    """The night whose mean share of REM is half."""
    no_rem: _Slept | None = None
    rem_alone: _Slept | None = None


def _nights(experiment: Schedule, results: xr.Dataset) -> _Nights:
    found = {}
    for name, night in experiment.nights().items():
        own = results.sel(night=name)
        errors = own["error"].transpose("data_set", "seed", "cycle")
        old, new = errors.sel(data_set=list(DATA_SETS)).values
        quarter = slice(-max(experiment.num_cycles // 4, 1), None)
        late = own[["error", "carried"]].isel(cycle=quarter).median("cycle")
        late = late.sel(data_set=list(DATA_SETS)).transpose("seed", "data_set")
        constant = float(own["constant_error"].sel(data_set=DATA_SETS[1]))
        slept = _Slept(old, new, *late["error"].values.T, late["carried"].values, constant)
        # By what was slept: short cycles are rounded to one kind of sleep.
        rem, nrem = (sum(getattr(c, kind) for c in night.cycles()) for kind in ("rem", "nrem"))
        if rem == 0:
            found["no_rem"] = slept
        elif nrem == 0:
            found["rem_alone"] = slept
        elif abs(night.start_fraction_rem + night.end_fraction_rem - 1) < 1e-9:
            found["rem"] = slept
    return _Nights(**found)


Found = tuple[Mapping[str, PerSeed], bool]
"""Numbers of each seed, and whether the claim holds."""


def _measured(
    numbers: Callable[[Schedule, _Nights], Found | None],
) -> Callable[[Schedule | Sweep, xr.Dataset], Measurement | None]:
    """Measure a claim on a run for whose data the numbers hold."""

    def measure(experiment: Schedule | Sweep, results: xr.Dataset) -> Measurement | None:
        if isinstance(experiment, Sweep) or not experiment.inverted:
            return None
        found = numbers(experiment, _nights(experiment, results))
        if found is None:
            return None
        values, holds = found
        shown = ", ".join(f"{name} {_with_range(v)}" for name, v in values.items())
        means = {name: float(np.mean(v)) for name, v in values.items()}
        return Measurement(shown, bool(holds), means)

    return measure


def _with_range(values: PerSeed) -> str:
    """Show the median of the seeds, and the range."""
    digits = 0 if np.abs(values).max() > 10 else 2
    text = f"{np.median(values):.{digits}f}"
    if len(values) == 1:
        return text
    return f"{text} ({values.min():.{digits}f} to {values.max():.{digits}f})"


def _initial(experiment: Schedule, nights: _Nights) -> Found | None:
    slept = next((night for night in nights if night is not None), None)
    if slept is None:
        return None
    old, new = slept.old[:1, 0], slept.new[:1, 0]  # all start from the same network
    return {"error 1": old, "error 2": new}, bool(old[0] <= 65 and new[0] >= 500)


def _no_rem(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.no_rem is None:
        return None
    lowest, new = nights.no_rem.old[:, 1:].min(1), nights.no_rem.late_new
    numbers = {"lowest error 1 after a cycle": lowest, "error 2": new}
    return numbers, bool((lowest >= 500).all() and (new <= 120).all())


def _half_rem(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.rem is None or experiment.num_cycles < 10:
        return None
    old, new = nights.rem.late_old, nights.rem.late_new
    numbers = {"error 1": old, "error 2": new, "collapsed": nights.rem.collapsed}
    return numbers, bool(np.median(old) <= 150 and np.median(new) <= 250)


def _rem_alone(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.rem_alone is None:
        return None
    start, new = nights.rem_alone.new[:, 0], nights.rem_alone.late_new
    unchanged = (new > 500) | (np.abs(new - start) <= 0.1 * start)
    return {"error 2 before": start, "error 2": new}, bool(unchanged.all())


def _works(experiment: Schedule) -> bool:
    """Tell whether the claims on the setting that works speak of a run."""
    return experiment.setting == "working" and not experiment.continue_training


def _both_kept(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.rem is None or not _works(experiment):
        return None
    old, new, carried = nights.rem.late_old, nights.rem.late_new, nights.rem.carried
    below = nights.rem.constant - new
    numbers = {
        "error 1": old,
        "error 2": new,
        "error 2 below the best constant image": below,
        "carried 1": carried[:, 0],
        "carried 2": carried[:, 1],
    }
    good = (old <= 65) & (new <= 90) & (below >= 15) & (carried >= 0.3).all(1)
    return numbers, bool(good.all())


def _lost_without(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.rem is None or nights.no_rem is None or not _works(experiment):
        return None
    old = nights.no_rem.late_old
    above = old - nights.rem.late_old
    numbers = {"error 1 without REM": old, "above that with REM": above}
    return numbers, bool((old >= 400).all() and (above >= 300).all())


def _kept_alone(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.rem_alone is None or not _works(experiment):
        return None
    old, new = nights.rem_alone.late_old, nights.rem_alone.late_new
    return {"error 1": old, "error 2": new}, bool((old <= 65).all() and (new >= 500).all())


def _own_dreams(experiment: Schedule, nights: _Nights) -> Found | None:
    if nights.rem is None or not experiment.continue_training:
        return None
    old, carried = nights.rem.late_old, nights.rem.carried.max(1)
    numbers = {"error 1": old, "largest share of variance carried": carried}
    return numbers, bool((old >= 300).all() and (carried >= COLLAPSED).all())


CLAIMS = (
    Claim(
        "initial",
        "The initial model knows data set 1 and not data set 2.",
        SOURCE,
        "error 1 about 55-60, error 2 about 630",
        "error 1 <= 65, error 2 >= 500",
        _measured(_initial),
        once=True,
    ),
    Claim(
        "no-rem",
        "Without REM the old memories are lost within the first cycle.",
        SOURCE,
        "error 1 rises to about 640, error 2 falls to about 90",
        "every seed: error 1 >= 500 after every cycle, error 2 <= 120 late in the night",
        _measured(_no_rem),
    ),
    Claim(
        "half-rem",
        "With half REM the old memories are kept while the new are learnt.",
        SOURCE,
        "error 1 stays near 100, error 2 falls to about 150 (large spread)",
        "median over seeds late in the night, 10 cycles or more: error 1 <= 150, error 2 <= 250",
        _measured(_half_rem),
    ),
    Claim(
        "rem-alone",
        "REM alone learns nothing new.",
        SOURCE,
        "-",
        "every seed, late in the night: error 2 within 10 % of its start, or above 500",
        _measured(_rem_alone),
    ),
    Claim(
        "both-kept",
        "In the setting that works, a night with REM leaves both data sets known, image by image.",
        PROJECT,
        "-",
        "every seed, late in the night (medians over the last quarter of the cycles): error 1 <= "
        "65, error 2 <= 90 and 15 below the best constant image, share of variance carried >= 0.3 "
        "on both",
        _measured(_both_kept),
    ),
    Claim(
        "lost-without-rem",
        "In the setting that works, the same night without REM loses data set 1.",
        PROJECT,
        "-",
        "every seed, late in the night: error 1 >= 400, and 300 above that with REM",
        _measured(_lost_without),
    ),
    Claim(
        "kept-by-rem-alone",
        "In the setting that works, REM alone keeps data set 1, and learns nothing new.",
        PROJECT,
        "-",
        "every seed, late in the night: error 1 <= 65, error 2 >= 500",
        _measured(_kept_alone),
    ),
    Claim(
        "own-dreams-forget",
        "A network that rehearses its own dreams loses data set 1, although it does not collapse.",
        PROJECT,
        "-",
        "every seed, with half REM, late in the night: error 1 >= 300, and the network carries "
        "variance of a data set",
        _measured(_own_dreams),
    ),
)
