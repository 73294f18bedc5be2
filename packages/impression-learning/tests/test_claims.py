"""Claims: each holds inside its band and fails outside, on runs with known numbers."""

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

from impression_learning import Snr
from impression_learning.cli import app
from impression_learning.experiments.common import Learning
from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.files import json_values

CLAIMS: dict[str, Claim] = {
    claim.name: claim for kind in app.experiments.values() for claim in kind.claims()
}
GOOD: dict[str, Any] = {
    "correlation": [0.996, 0.995],
    "r2": [0.99, 0.98],
    "alternation_correlation": [0.9, 0.88],
    "transition_mean": [0.972, 0.974],
    "transition_sd": [0.002, 0.002],
    "transition_truth": 0.975,
}
Stored = tuple[Learning, xr.Dataset]


def condition(
    losses: list[list[float | None]] | None = None,
    *,
    algorithm: str = "impression",
    value: float = 0,
    switch_period: int = 1,
    dt: float = 0.1,
    **summary: Any,
) -> dict[str, Any]:
    """What networks of one algorithm and value did; lists are over seeds, None is not known."""
    given = [len(v) for v in summary.values() if isinstance(v, list)]
    losses = losses or [[100.0, 20.0]] * (given[0] if given else 2)
    own = {"losses": losses, "algorithm": algorithm, "value": value}
    return own | {"switch_period": switch_period, "dt": dt, "summary": GOOD | summary}


def run(mode: str, *conditions: dict[str, Any]) -> Stored:
    """Make the results of a mode out of conditions."""
    kind: Any = app.experiments[mode]
    fixed = {n: conditions[0][n] for n in ("switch_period", "dt") if n in kind.model_fields}
    algorithms = list(dict.fromkeys(c["algorithm"] for c in conditions))
    parts = [
        xr.concat([_dataset(c) for c in conditions if c["algorithm"] == name], kind.axis or "only")
        for name in algorithms
    ]
    data = xr.concat(parts, "algorithm").assign_coords(algorithm=algorithms)
    if not kind.axis:
        return kind(**fixed), data.isel(only=0)
    values = list(dict.fromkeys(c["value"] for c in conditions))
    return kind(**fixed), data.assign_coords({kind.axis: values})


def _dataset(condition: dict[str, Any]) -> xr.Dataset:
    losses = np.array(condition["losses"], float)
    data = xr.Dataset()
    for kind in ("", "_awake"):
        data[f"loss{kind}"] = (("seed", "point"), losses)
        data[f"final_loss{kind}"] = ("seed", losses[:, -1])
    for name, values in condition["summary"].items():
        array = np.array(values, float)
        if array.ndim:
            array = np.resize(array, len(losses))
        data[name] = (("seed",) * array.ndim, array)
    return data


def measure(name: str, stored: Stored) -> Measurement | None:
    experiment, data = stored
    claims = [claim for claim in experiment.claims() if claim.name == name]
    measurement = claims[0].measure(experiment, data) if claims else None
    if measurement is not None:  # what is measured can be written down
        json.dumps(json_values(measurement.values), allow_nan=False)
        assert type(measurement.reproduced) is bool
    return measurement


def verdict(name: str, stored: Stored) -> bool | None:
    measurement = measure(name, stored)
    return None if measurement is None else measurement.reproduced


def spoken(stored: Stored) -> set[str]:
    return {claim.name for claim in stored[0].claims() if measure(claim.name, stored)}


SPEECH = {"alternation_correlation": [0.9, 0.9], "band_cosine": [0.995, 0.98]}


@pytest.mark.parametrize(
    ("name", "mode", "limit"),
    [("loss-falls", "standard", 0.3), ("speech-loss", "Vocal_Digits", 0.1)],
)
def test_loss_falls(name: str, mode: str, limit: float) -> None:
    inside, outside = 1e4 * (limit - 0.001), 1e4 * (limit + 0.001)

    def of(*final: float | None) -> bool | None:
        return verdict(name, run(mode, condition([[1e4, 2e4, last] for last in final])))

    assert of(inside) is True
    assert of(outside) is False
    assert of(inside, inside, outside) is False
    assert of(outside, inside) is False
    assert of(inside, None) is False
    assert of(None, inside) is False
    assert of(None) is False


@pytest.mark.parametrize(
    ("name", "mode", "quantity", "limit"),
    [
        ("reconstruction", "standard", "r2", 0.97),
        ("alternation", "standard", "alternation_correlation", 0.85),
        ("speech-reconstruction", "Vocal_Digits", "r2", 0.93),
        ("speech-dreams", "Vocal_Digits", "band_cosine", 0.97),
    ],
)
def test_quantities_that_every_seed_must_reach(
    name: str, mode: str, quantity: str, limit: float
) -> None:
    def of(*values: float | None) -> bool | None:
        summary = SPEECH | {"correlation": list(values)} | {quantity: list(values)}
        return verdict(name, run(mode, condition(**summary)))

    assert of(limit + 0.001) is True
    assert of(limit - 0.001) is False
    assert of(limit + 0.001, limit + 0.02) is True
    assert of(limit + 0.02, limit - 0.001, limit + 0.02) is False
    assert of(None) is False
    assert of(limit + 0.02, None) is False
    assert of(None, limit + 0.02) is False


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([0.966], True),
        ([0.984], True),
        ([0.964], False),
        ([0.986], False),
        ([0.972, 0.975, 0.96], False),
        ([0.972, None], False),
        ([None, 0.972], False),
    ],
)
def test_time_constant(means: list, expected: bool) -> None:
    summary = {"transition_mean": means, "transition_sd": [0.002] * len(means)}
    assert verdict("time-constant", run("standard", condition(**summary))) is expected


def test_time_constant_at_every_dt() -> None:
    def of(*means: float) -> Stored:
        return run(
            "time_constant",
            *(
                condition(value=dt, dt=dt, transition_mean=[mean], transition_truth=1 - 0.25 * dt)
                for dt, mean in zip((1.0, 0.1, 0.01), means, strict=True)
            ),
        )

    assert verdict("time-constant", of(0.745, 0.974, 0.99)) is True
    assert verdict("time-constant", of(0.735, 0.974, 0.99)) is False
    assert verdict("time-constant", of(0.745, 0.974, 0.98)) is False
    measurement = measure("time-constant", of(0.745, 0.974, 0.99))
    assert measurement is not None
    assert measurement.shown.splitlines()[2] == "dt 0.01: D 0.9900 +- 0.0020, truth 0.9975"


def test_alternation_is_measured_at_period_1_and_the_datas_time_step() -> None:
    def periods(first: float, second: float) -> Stored:
        return run(
            "switch_period",
            condition(switch_period=4, value=4, alternation_correlation=[first]),
            condition(switch_period=1, value=1, alternation_correlation=[second]),
        )

    assert verdict("alternation", periods(0.5, 0.9)) is True
    assert verdict("alternation", periods(0.9, 0.5)) is False
    times = run(
        "time_constant",
        condition(dt=1.0, value=1.0, alternation_correlation=[0.1]),
        condition(dt=0.1, value=0.1, alternation_correlation=[0.9]),
    )
    assert verdict("alternation", times) is True
    assert verdict("alternation", run("standard", condition(switch_period=3))) is None
    assert verdict("alternation", run("standard", condition(dt=0.2))) is None


def periods(correlations: dict[int, list[float | None]], final: float = 10.0) -> Stored:
    return run(
        "switch_period",
        *(
            condition(
                [[100.0, final]] * len(values),
                switch_period=period,
                value=period,
                alternation_correlation=values,
            )
            for period, values in correlations.items()
        ),
    )


@pytest.mark.parametrize(
    ("correlations", "expected"),
    [
        ({1: [0.9], 4: [0.8], 31: [0.6]}, True),
        # The order on the command line does not matter.
        ({31: [0.6], 4: [0.8], 1: [0.9]}, True),
        ({31: [0.9], 4: [0.8], 1: [0.6]}, False),
        # One exchange of neighbours among four gives Spearman -0.8, two of them -0.6.
        ({1: [0.9], 4: [0.7], 7: [0.8], 10: [0.6]}, True),
        ({1: [0.8], 4: [0.9], 7: [0.6], 10: [0.7]}, False),
        # What counts is the mean over seeds.
        ({1: [0.9, 0.5], 4: [0.6, 0.7], 7: [0.6, 0.6]}, True),
        ({1: [0.9, 0.1], 4: [0.6, 0.7], 7: [0.6, 0.6]}, False),
        ({1: [0.9], 4: [0.9], 31: [0.9]}, False),
        ({1: [0.9], 4: [None], 31: [0.6]}, False),
        ({1: [0.9], 31: [0.6]}, None),
        ({31: [0.6]}, None),
    ],
)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_phase_length(correlations: dict, expected: bool | None) -> None:
    assert verdict("phase-length", periods(correlations)) is expected


def test_phase_length_shows_the_shortest_and_the_longest() -> None:
    measurement = measure("phase-length", periods({31: [0.6], 1: [0.9], 4: [0.8]}))
    assert measurement is not None
    assert "0.900 at period 1, 0.600 at 31" in measurement.shown
    assert measurement.values["Spearman"] == pytest.approx(-1)
    assert measurement.values["correlation at 31"] == 0.6


def updates(**changed: dict[str, Any]) -> Stored:
    """A run of two seeds and three points; names are impression or `gradient_cleared`."""
    shape = np.shape(next((v for c in changed.values() for v in c.values()), np.ones((2, 3))))
    quantities = {"snr": 1e-4, "norm": 1.0, "inner_product": 1.0, "cosine": 0.8, "cosine_all": 0.7}
    along = ("algorithm", "third_factor", "traces", "seed", "point")
    data = xr.Dataset(
        {name: (along, np.full((1, 2, 2, *shape), value)) for name, value in quantities.items()}
        | {"impression_snr": (("algorithm", "seed", "point"), np.full((1, *shape), 0.1))},
        {
            "algorithm": ["impression"],
            "third_factor": ["gradient", "released"],
            "traces": list(TRACES),
        },
    )
    for name, values in changed.items():
        for quantity, rows in values.items():
            if name == "impression":
                data["impression_snr"][0] = np.array(rows, float)
                continue
            third, traces = name.split("_")
            data[quantity].loc[{"third_factor": third, "traces": traces}] = np.array(rows, float)
    return Snr(), data


TRACES = ("cleared", "kept")


@pytest.mark.parametrize("traces", TRACES)
def test_signal_to_noise(traces: str) -> None:
    def of(snr: list) -> bool | None:
        return verdict("signal-to-noise", updates(**{f"gradient_{traces}": {"snr": snr}}))

    assert of([[0.0099] * 3] * 2) is True
    assert of([[0.0101] * 3] * 2) is False
    assert of([[1e-4] * 3, [1e-4, 0.0101, 1e-4]]) is False
    assert of([[1e-4] * 3, [1e-4, None, 1e-4]]) is False
    assert of([[None] * 3] * 2) is False


def test_signal_to_noise_of_impression_learning_that_is_unknown() -> None:
    assert verdict("signal-to-noise", updates(impression={"snr": [[None] * 3] * 2})) is False


def test_the_other_third_factor_does_not_count() -> None:
    stored = updates(
        released_cleared={"snr": [[1.0] * 3] * 2, "cosine": [[-1.0] * 3] * 2},
        released_kept={"snr": [[1.0] * 3] * 2},
    )
    assert verdict("signal-to-noise", stored) is True
    assert verdict("same-way", stored) is True


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [
        ([[0.51, 0.51, -1.0], [0.51, 0.51, -1.0]], True),
        ([[0.51, 0.49, -1.0], [0.51, 0.49, -1.0]], False),
        # The mean over the seeds counts, point by point.
        ([[0.9, 0.9, 0.0], [0.2, 0.2, 0.0]], True),
        ([[0.9, 0.9, 0.0], [0.0, 0.2, 0.0]], False),
        ([[None] * 3, [0.9, 0.9, 0.9]], False),
        # Half of the points is no majority.
        ([[0.9, 0.9, 0.1, 0.1]], False),
    ],
)
def test_same_way(cosine: list, expected: bool) -> None:
    stored = updates(gradient_cleared={"cosine": cosine, "cosine_all": cosine})
    assert verdict("same-way", stored) is expected


def test_kept_traces_do_not_decide_the_direction() -> None:
    assert verdict("same-way", updates(gradient_kept={"cosine": [[-1.0] * 3] * 2})) is True


def dimensions(
    reinforce: list[float | None],
    impression: list[float | None] | None = None,
    backprop: list[float | None] | None = None,
    alternating: list[float | None] | None = None,
    sizes: tuple[int, ...] = (2, 4, 8, 16),
) -> Stored:
    """A run of one seed; the loss awake falls from 100 to what is given, by dimension."""
    final = {
        "impression": impression or [10.0] * len(sizes),
        "reinforce": reinforce,
        "backprop": backprop or [10.0] * len(sizes),
        "backprop-alternating": alternating or [10.0] * len(sizes),
    }
    experiment, data = run(
        "dimensionality",
        *(
            condition([[100.0, loss]], algorithm=algorithm, value=n)
            for algorithm, losses in final.items()
            for n, loss in zip(sizes, losses, strict=True)
        ),
    )
    # The losses of the alternating passage do not count.
    return experiment, data.assign(loss=data["loss"] * np.nan, final_loss=data["final_loss"] * 0)


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ({"reinforce": [20.0, 30.0, 40.0, 50.0]}, True),
        ({"reinforce": [50.0, 40.0, 30.0, 20.0]}, False),
        ({"reinforce": [50.0, 40.0, 30.0, 20.0], "sizes": (16, 8, 4, 2)}, True),
        ({"reinforce": [20.0, 40.0, 30.0, 50.0]}, True),
        ({"reinforce": [40.0, 30.0, 50.0, 45.0]}, False),
        # REINFORCE worsens, but impression learning does so as fast.
        ({"reinforce": [55.0, 60.0, 65.0, 70.0], "impression": [10.0, 20.0, 30.0, 40.0]}, False),
        # It climbs, the more so the more dimensions.
        ({"reinforce": [100.0, 110.0, 120.0, 130.0]}, True),
        ({"reinforce": [20.0, 30.0, None, 50.0]}, False),
        ({"reinforce": [20.0, 30.0], "sizes": (2, 4)}, None),
    ],
)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_dimension(final: dict, expected: bool | None) -> None:
    assert verdict("dimension", dimensions(**final)) is expected


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ({}, True),
        # A share of 0.9 of each control's fall is asked for, in every dimension.
        ({"impression": [10.0, 10.0, 10.0, 19.1]}, False),
        ({"impression": [10.0, 10.0, 10.0, 18.9]}, True),
        ({"backprop": [10.0, -1.0, 10.0, 10.0]}, False),
        ({"alternating": [10.0, -1.0, 10.0, 10.0]}, False),
        ({"impression": [-30.0] * 4, "backprop": [-40.0] * 4}, True),
        ({"backprop": [10.0, None, 10.0, 10.0]}, False),
        ({"alternating": [None, 10.0, 10.0, 10.0]}, False),
        ({"impression": [10.0, 10.0, 10.0, None]}, False),
    ],
)
def test_near_backpropagation(final: dict, expected: bool) -> None:
    assert verdict("near-backpropagation", dimensions([90.0] * 4, **final)) is expected


def test_what_is_measured_by_dimension_is_told_by_dimension() -> None:
    stored = dimensions([20.0, 30.0, 40.0, 55.0], sizes=(16, 8, 4, 2))
    degrades, near = (measure(n, stored) for n in ("dimension", "near-backpropagation"))
    assert degrades is not None
    assert near is not None
    assert degrades.values["share at n 2"] == pytest.approx(0.5)
    assert degrades.values["share at n 16"] == pytest.approx(80 / 90)
    assert near.values["share of alternating at n 8"] == 1
    assert near.values["final loss of impression at n 4"] == 10


def test_dimension_takes_the_mean_over_the_seeds() -> None:
    """The second seed alone would say the opposite."""
    losses = {2: (10.0, 42.0), 4: (30.0, 36.0), 8: (50.0, 30.0)}
    stored = run(
        "dimensionality",
        *(condition([[90.0, 10.0], [90.0, 10.0]], value=n) for n in losses),
        *(
            condition([[90.0, a], [90.0, b]], algorithm="reinforce", value=n)
            for n, (a, b) in losses.items()
        ),
    )
    assert verdict("dimension", stored) is True
    assert verdict("dimension", (stored[0], stored[1].isel(seed=[1]))) is False


def test_claims_by_dimension_need_what_they_compare() -> None:
    experiment, whole = dimensions([20.0, 30.0, 40.0, 50.0])
    needed = {
        "dimension": {"impression", "reinforce"},
        "near-backpropagation": {"impression", "backprop", "backprop-alternating"},
    }
    for name, algorithms in needed.items():
        for absent in whole["algorithm"].values:
            found = verdict(name, (experiment, whole.drop_sel(algorithm=absent)))
            assert (found is None) == (absent in algorithms)


EXPECTED = {
    "standard": {"loss-falls", "reconstruction", "time-constant", "alternation"},
    "switch_period": {"alternation", "phase-length"},
    "time_constant": {"time-constant", "alternation"},
    "Vocal_Digits": {"speech-loss", "speech-reconstruction", "speech-dreams"},
    "lr_optim": set(),
}


AXIS = dict.fromkeys(("standard", "Vocal_Digits"), (0,)) | {
    "switch_period": (1, 4, 7),
    "time_constant": (1.0, 0.1, 0.01),
    "lr_optim": (1e-3, 1e-4, 1e-5),
}


@pytest.mark.parametrize("mode", EXPECTED)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_claims_speak_about_their_modes(mode: str) -> None:
    conditions = [condition(value=p, band_cosine=[0.99, 0.99]) for p in AXIS[mode]]
    assert spoken(run(mode, *conditions)) == EXPECTED[mode]


@pytest.mark.parametrize("mode", EXPECTED)
@pytest.mark.parametrize("algorithm", ["reinforce", "backprop"])
def test_claims_are_about_impression_learning(mode: str, algorithm: str) -> None:
    others = [condition(algorithm=algorithm, value=p, band_cosine=[0.99, 0.99]) for p in AXIS[mode]]
    assert spoken(run(mode, *others)) == set()


def test_claims_of_the_other_two_modes() -> None:
    assert spoken(updates()) == {"signal-to-noise", "same-way"}
    by_dimension = {"near-backpropagation", "dimension"}
    assert spoken(dimensions([20.0, 30.0, 40.0, 50.0])) == by_dimension


def test_every_claim_is_told_apart_and_says_what_counts() -> None:
    assert len(CLAIMS) == 12
    for claim in CLAIMS.values():
        assert all((claim.statement, claim.source, claim.published, claim.band))


def test_what_is_shown_names_the_seeds() -> None:
    one = measure("alternation", run("standard", condition(alternation_correlation=[0.9])))
    two = measure("alternation", run("standard", condition(alternation_correlation=[0.9, 0.8])))
    assert one is not None
    assert two is not None
    assert one.shown == "0.900 (1 seed)"
    assert two.shown == "0.850 (0.800 to 0.900, 2 seeds)"
