"""Claims: each holds inside its band and fails outside, on results with known numbers."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.experiment import Experiment
from sleep_replay import Samples, Schedule, Sweep
from sleep_replay.claims import mixtures, schedule

BY_NAME: dict[str, Claim] = {claim.name: claim for claim in (*schedule.CLAIMS, *mixtures.CLAIMS)}


Course = list[float]
"""Errors of a seed over a night."""


def nights(
    sleep: tuple[list[Course], list[Course]],
    no_rem: tuple[list[Course], list[Course]] | None = None,
    rem_alone: tuple[list[Course], list[Course]] | None = None,
    *,
    carried: float = 0.7,
    **changes: Any,
) -> tuple[Schedule, xr.Dataset]:
    """Make a run of the night and its controls, from their errors of data sets 1 and 2.

    The last of them holds for the last quarter of a night of ten cycles.
    """
    errors = np.array([sleep, no_rem or sleep, rem_alone or sleep], float)
    errors = np.concatenate([errors, errors[..., -1:]], -1)
    dims = ("night", "data_set", "seed", "cycle")
    names = ["sleep", "no REM", "REM alone"]
    results = xr.Dataset(
        {
            "error": (dims, errors),
            "carried": (dims, np.full(errors.shape, carried)),
            "constant_error": ("data_set", [100.0, 100.0]),
        },
        {"night": names, "data_set": ["old", "new"], "cycle": range(errors.shape[-1])},
    )
    return Schedule(**{"num_cycles": 10, **changes}), results


def verdict(name: str, run: tuple[Experiment, xr.Dataset]) -> bool | None:
    measurement: Measurement | None = BY_NAME[name].measure(*run)
    return None if measurement is None else measurement.reproduced


KEPT = ([[60, 55], [60, 50]], [[620, 80], [620, 70]])
LOST = ([[60, 640, 560], [60, 600, 540]], [[620, 90, 80], [620, 95, 119]])
ALONE = ([[60, 60], [60, 62]], [[620, 600], [620, 510]])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(60.0, 620.0, True), (66.0, 620.0, False), (60.0, 490.0, False)],
)
def test_initial(old: float, new: float, expected: bool) -> None:
    assert verdict("initial", nights(([[old, 1]], [[new, 1]]))) is expected


@pytest.mark.parametrize(
    ("place", "error", "expected"),
    [((0, 1, 1), 500, True), ((0, 1, 1), 499, False), ((1, 1, 2), 121, False)],
)
def test_no_rem(place: tuple[int, ...], error: float, expected: bool) -> None:
    errors = np.array(LOST)
    errors[place] = error
    assert verdict("no-rem", nights(LOST, no_rem=errors.tolist())) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([[60, 90], [60, 100], [60, 690]], [[620, 150], [620, 240], [620, 95]], True),
        ([[60, 90], [60, 160], [60, 690]], [[620, 150], [620, 240], [620, 95]], False),
        ([[60, 90], [60, 100], [60, 110]], [[620, 150], [620, 260], [620, 280]], False),
    ],
)
def test_half_rem_takes_the_median_over_seeds(old: list, new: list, expected: bool) -> None:
    errors = (old, new)
    assert verdict("half-rem", nights(errors)) is expected
    fixed = {"start_fraction_rem": 0.5, "end_fraction_rem": 0.5}
    assert verdict("half-rem", nights(errors, **fixed)) is expected
    assert verdict("half-rem", nights(errors, start_fraction_rem=0.5)) is None
    assert verdict("half-rem", nights(errors, num_cycles=5)) is None
    assert verdict("half-rem", nights(errors, inverted=False)) is None


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([[620, 600], [620, 510]], True),
        ([[450, 420]], True),
        ([[450, 400]], False),
        ([[620, 499]], False),
    ],
)
def test_rem_alone(new: list, expected: bool) -> None:
    errors = ([[60, 70]] * len(new), new)
    assert verdict("rem-alone", nights(errors)) is expected


@pytest.mark.parametrize(
    ("data_set", "error", "expected"),
    [(0, 65, True), (0, 66, False), (1, 85, True), (1, 86, False)],
)
def test_both_are_kept_by_every_seed(data_set: int, error: float, expected: bool) -> None:
    errors = np.array(KEPT)
    errors[data_set, 1, 1] = error
    assert verdict("both-kept", nights(errors.tolist())) is expected


def test_both_are_kept_only_where_variance_is_carried() -> None:
    assert verdict("both-kept", nights(KEPT, carried=0.29)) is False
    assert verdict("both-kept", nights(KEPT, setting="published")) is None
    assert verdict("both-kept", nights(KEPT, continue_training=True)) is None


@pytest.mark.parametrize(("bad", "expected"), [((3, 4), True), ((2, 3, 4), False)])
def test_a_night_is_judged_by_the_median_of_its_last_quarter(bad: tuple, expected: bool) -> None:
    late = [120.0 if cycle in bad else 80.0 for cycle in range(5)]
    run = nights(([[60.0] * 21], [[620.0] * 16 + late]), num_cycles=20)
    data = run[1].isel(cycle=slice(21))  # as `nights` makes it one longer
    assert verdict("both-kept", (run[0], data)) is expected


@pytest.mark.parametrize(("without", "expected"), [(401, True), (399, False)])
def test_lost_without_rem(without: float, expected: bool) -> None:
    lost = ([[60, without], [60, 640]], KEPT[1])
    assert verdict("lost-without-rem", nights(KEPT, no_rem=lost)) is expected
    worse = ([[60, 120], [60, 50]], KEPT[1])
    assert verdict("lost-without-rem", nights(worse, no_rem=lost)) is False


@pytest.mark.parametrize(("old", "new", "expected"), [(65, 500, True), (66, 500, False)])
def test_kept_by_rem_alone(old: float, new: float, expected: bool) -> None:
    alone = ([[60, old]], [[620, new]])
    assert verdict("kept-by-rem-alone", nights(alone)) is expected


@pytest.mark.parametrize(
    ("old", "carried", "expected"), [(300, 0.1, True), (299, 0.1, False), (300, 0.09, False)]
)
def test_own_dreams_forget(old: float, carried: float, expected: bool) -> None:
    run = ([[60, old]], [[620, 90]])
    given = {"carried": carried, "continue_training": True}
    assert verdict("own-dreams-forget", nights(run, **given)) is expected
    assert verdict("own-dreams-forget", nights(run)) is None


def test_claims_speak_of_the_nights_that_they_are_about() -> None:
    names = ["initial", "no-rem", "rem-alone", "both-kept", "lost-without-rem", "kept-by-rem-alone"]
    short = nights(KEPT, num_cycles=2)
    assert [c.name for c in schedule.CLAIMS if verdict(c.name, short) is not None] == names


def test_nights_are_told_apart_by_what_was_slept() -> None:
    """Cycles of one epoch are all NREM, whatever shares were asked for."""
    run = ([[60, 600]], [[620, 90]])
    short = nights(run, total_eps=10, continue_training=True)
    assert not any(cycle.rem for cycle in short[0].cycles())
    assert verdict("own-dreams-forget", short) is None


def test_a_grid_of_nights_is_not_judged() -> None:
    assert verdict("initial", (Sweep(), nights(KEPT)[1])) is None


def test_measured_numbers_are_means_over_seeds() -> None:
    measurement = BY_NAME["rem-alone"].measure(*nights(ALONE))
    assert measurement is not None
    assert measurement.values == {"error 2 before": 620.0, "error 2": 555.0}
    assert measurement.shown == "error 2 before 620 (620 to 620), error 2 555 (510 to 600)"


@pytest.mark.parametrize(
    ("errors", "expected"), [([400, 300, 200, 100], True), ([100, 300, 200, 400], False)]
)
def test_samples(errors: list[float], expected: bool) -> None:
    values = np.array([[[error, error + 5.0]] for error in errors])
    data = xr.Dataset(
        {"error": (("sampled", "seed", "trial", "data_set"), values[..., None].repeat(2, -1))},
        {"sampled": [0, 10, 20, 30], "data_set": ["old", "new"]},
    )
    assert verdict("samples", (Samples(), data)) is expected
    assert verdict("samples", (Samples(inverted=False), data)) is None
    assert verdict("samples", (Samples(), data.isel(sampled=[0, 1]))) is None
