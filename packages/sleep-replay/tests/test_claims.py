"""Claims: each holds inside its band and fails outside, on runs with known numbers."""

from pathlib import Path

import pytest

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.runs import StoredRun
from sleep_replay.claims import CLAIMS

BY_NAME: dict[str, Claim] = {claim.name: claim for claim in CLAIMS}


def run(
    fractions: tuple[float, float],
    old: list[list[float]],
    new: list[list[float]],
    *,
    num_cycles: int = 10,
    inverted: bool = True,
    carried: float = 0.7,
) -> StoredRun:
    condition = {
        "start_fraction_rem": fractions[0],
        "end_fraction_rem": fractions[1],
        "num_cycles": num_cycles,
        "lr": 1e-3,
        "error_old": old,
        "error_new": new,
        "carried_old": [[carried] * len(course) for course in old],
        "carried_new": [[carried] * len(course) for course in old],
    }
    record = {"experiment": "schedule", "config": {"inverted": inverted}}
    return StoredRun(Path(), record, {"conditions": [condition]})


def verdict(name: str, stored: StoredRun) -> bool | None:
    measurement: Measurement | None = BY_NAME[name].measure(stored)
    return None if measurement is None else measurement.reproduced


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(60.0, 620.0, True), (66.0, 620.0, False), (60.0, 490.0, False)],
)
def test_initial(old: float, new: float, expected: bool) -> None:
    assert verdict("initial", run((0.2, 0.8), [[old, 1]], [[new, 1]])) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([[60, 640, 650], [60, 600, 640]], [[620, 90, 80], [620, 95, 119]], True),
        ([[60, 640, 650], [60, 499, 640]], [[620, 90, 80], [620, 95, 90]], False),
        ([[60, 640, 650], [60, 600, 640]], [[620, 90, 80], [620, 95, 121]], False),
    ],
)
def test_no_rem(old: list, new: list, expected: bool) -> None:
    assert verdict("no-rem", run((0, 0), old, new)) is expected
    assert verdict("no-rem", run((0, 0.5), old, new)) is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([[60, 90], [60, 100], [60, 690]], [[620, 150], [620, 240], [620, 95]], True),
        ([[60, 90], [60, 160], [60, 690]], [[620, 150], [620, 240], [620, 95]], False),
        ([[60, 90], [60, 100], [60, 110]], [[620, 150], [620, 260], [620, 280]], False),
    ],
)
def test_half_rem_takes_the_median_over_seeds(old: list, new: list, expected: bool) -> None:
    assert verdict("half-rem", run((0.5, 0.5), old, new)) is expected
    assert verdict("half-rem", run((0.5, 0.5), old, new, num_cycles=5)) is None
    assert verdict("half-rem", run((0.5, 0.5), old, new, inverted=False)) is None


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
    old = [[60, 70]] * len(new)
    assert verdict("rem-alone", run((1, 1), old, new)) is expected


def test_collapse_is_counted() -> None:
    stored = run((0.5, 0.5), [[60, 90]], [[620, 100]], carried=0.01)
    measurement = BY_NAME["half-rem"].measure(stored)
    assert measurement is not None
    assert "of 1 collapsed on data set 1: 1, on 2: 1" in measurement.shown


@pytest.mark.parametrize(
    ("errors", "expected"), [([400, 300, 200, 100], True), ([100, 300, 200, 400], False)]
)
def test_samples(errors: list[float], expected: bool) -> None:
    metrics = {"num_sampled": [0, 10, 20, 30], "error_old": [[e, e + 5] for e in errors]}
    stored = StoredRun(Path(), {"experiment": "samples", "config": {"inverted": True}}, metrics)
    assert verdict("samples", stored) is expected
    other = StoredRun(Path(), {"experiment": "samples", "config": {"inverted": False}}, metrics)
    assert verdict("samples", other) is None
