"""Claims: each holds inside its band and fails outside, on results with known numbers."""

import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.experiment import Experiment
from sleep_replay import Samples, Schedule, Sweep
from sleep_replay.claims import mixtures, schedule

BY_NAME: dict[str, Claim] = {claim.name: claim for claim in (*schedule.CLAIMS, *mixtures.CLAIMS)}


def night(
    fractions: tuple[float, float], *, num_cycles: int = 10, inverted: bool = True
) -> Schedule:
    start, end = fractions
    return Schedule(
        start_fraction_rem=start, end_fraction_rem=end, num_cycles=num_cycles, inverted=inverted
    )


def results(old: list[list[float]], new: list[list[float]], carried: float = 0.7) -> xr.Dataset:
    """Label the errors of data sets 1 and 2, of seeds x times."""
    shares = np.full((2, len(old)), carried)
    return xr.Dataset(
        {
            "error": (("data_set", "seed", "cycle"), np.array([old, new], float)),
            "final_carried": (("data_set", "seed"), shares),
        },
        {"data_set": ["old", "new"], "cycle": range(len(old[0]))},
    )


def verdict(name: str, experiment: Experiment, data: xr.Dataset) -> bool | None:
    measurement: Measurement | None = BY_NAME[name].measure(experiment, data)
    return None if measurement is None else measurement.reproduced


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(60.0, 620.0, True), (66.0, 620.0, False), (60.0, 490.0, False)],
)
def test_initial(old: float, new: float, expected: bool) -> None:
    assert verdict("initial", night((0.2, 0.8)), results([[old, 1]], [[new, 1]])) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([[60, 640, 650], [60, 600, 640]], [[620, 90, 80], [620, 95, 119]], True),
        ([[60, 640, 650], [60, 499, 640]], [[620, 90, 80], [620, 95, 90]], False),
        ([[60, 640, 650], [60, 600, 640]], [[620, 90, 80], [620, 95, 121]], False),
    ],
)
def test_no_rem(old: list, new: list, expected: bool) -> None:
    assert verdict("no-rem", night((0, 0)), results(old, new)) is expected
    assert verdict("no-rem", night((0, 0.5)), results(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([[60, 90], [60, 100], [60, 690]], [[620, 150], [620, 240], [620, 95]], True),
        ([[60, 90], [60, 160], [60, 690]], [[620, 150], [620, 240], [620, 95]], False),
        ([[60, 90], [60, 100], [60, 110]], [[620, 150], [620, 260], [620, 280]], False),
    ],
)
def test_half_rem_takes_the_median_over_seeds(old: list, new: list, expected: bool) -> None:
    half, data = (0.5, 0.5), results(old, new)
    assert verdict("half-rem", night(half), data) is expected
    assert verdict("half-rem", night(half, num_cycles=5), data) is None
    assert verdict("half-rem", night(half, inverted=False), data) is None


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
    assert verdict("rem-alone", night((1, 1)), results([[60, 70]] * len(new), new)) is expected


def test_collapse_is_counted() -> None:
    data = results([[60, 90]], [[620, 100]], carried=0.01)
    measurement = BY_NAME["half-rem"].measure(night((0.5, 0.5)), data)
    assert measurement is not None
    assert "of 1 collapsed on data set 1: 1, on 2: 1" in measurement.shown


def test_all_nights_of_a_sweep_have_to_reproduce_a_claim() -> None:
    """Each is judged at its own end, not at that of the longest."""
    sweep = Sweep(cycles=(20, 10), fractions=(0.0, 0.5))
    long = np.full((2, 1, 21), 100.0)
    short = np.pad(long[..., :11], ((0, 0), (0, 0), (0, 10)), constant_values=np.nan)
    errors = np.stack([long, short])[None, :, None].repeat(2, 2)  # lr, cycles, fraction, ...
    dims = ("lr", "cycles", "fraction")
    data = xr.Dataset(
        {
            "error": ((*dims, "data_set", "seed", "cycle"), errors),
            "final_carried": ((*dims, "data_set", "seed"), np.ones((1, 2, 2, 2, 1))),
        },
        {"lr": [1e-3], "cycles": [20, 10], "data_set": ["old", "new"], "cycle": range(21)},
    )
    measurement = BY_NAME["half-rem"].measure(sweep, data)
    assert measurement is not None
    assert measurement.reproduced
    assert list(measurement.values) == ["20 cycles, lr 0.001", "10 cycles, lr 0.001"]
    data["error"][0, 1, 1, 0, 0, 10] = 151.0
    assert verdict("half-rem", sweep, data) is False
    assert verdict("no-rem", sweep, data) is False
    assert verdict("rem-alone", sweep, data) is None


@pytest.mark.parametrize(
    ("errors", "expected"), [([400, 300, 200, 100], True), ([100, 300, 200, 400], False)]
)
def test_samples(errors: list[float], expected: bool) -> None:
    values = np.array([[[error, error + 5.0]] for error in errors])
    data = xr.Dataset(
        {"error": (("sampled", "seed", "trial", "data_set"), values[..., None].repeat(2, -1))},
        {"sampled": [0, 10, 20, 30], "data_set": ["old", "new"]},
    )
    assert verdict("samples", Samples(), data) is expected
    assert verdict("samples", Samples(inverted=False), data) is None
    assert verdict("samples", Samples(), data.isel(sampled=[0, 1])) is None
