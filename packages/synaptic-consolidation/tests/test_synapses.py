"""Simulations beside recordings: numbers, and claims on results with known numbers."""

import json
import math
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.claims import Verdict, verdict_values
from sharpwave_shared.data import DataRecord
from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.files import json_values
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.claims.synapses import CLAIMS
from synaptic_consolidation.experiments.synapses import AnalyzeSpines, Fluctuations, SynNoise
from synaptic_consolidation.fluctuations import simulate
from synaptic_consolidation.spines import norm_variation, pairs, rescale, slope
from synaptic_consolidation.synapses import Recording, analyse, compare, enough

TINY = Fluctuations(synapses=60, duration=20, dt=0.05)


def recording(gaps: bool = True) -> Recording:
    generator = np.random.default_rng(0)
    w = np.exp(generator.normal(0, 0.5, (40, 1)))
    w = w + 0.05 * np.sqrt(w) * generator.standard_normal((40, 12))
    if gaps:
        w[3, 2:5] = np.nan
    return Recording("some", w.clip(1e-3), 0.5, DataRecord("some", "memory", "memory", ""))


# Numbers


def test_results_are_the_statistics_of_the_last_samples():
    long = TINY.replaced(duration=160)
    data = compare([2], [7], long, recording(), 10, Journal())
    w = simulate(2, long, Streams(7))[:, -144:]
    found = data.sel(seed=7, factors=2)
    for direction in ("growth", "shrinkage"):
        p, at = pairs(w, 2, direction), found.sel(direction=direction)
        assert at["pairs"] == len(p.size)
        for method in ("moving", "binned", "power", "raw"):
            assert at[f"slope_{method}"] == pytest.approx(slope(p, method), rel=1e-9)
        assert 0 < at["slope_moving_sd"] < 1
        by_lag = at["slope_by_lag"]
        assert len(by_lag) == 143
        assert by_lag[1] == pytest.approx(slope(p), rel=1e-9)
        assert by_lag[9] == pytest.approx(slope(pairs(w, 10, direction)), rel=1e-9)
        # Excerpts of all pairs, sorted.
        assert at["size"].shape == (2000,)
        assert (np.diff(at["size"]) >= 0).all()
        assert set(at["change"].values) <= set(p.change)
        # The measured ones are at the shortest lag.
        measured = data["measured_slope_moving"].sel(direction=direction)
        assert measured == pytest.approx(slope(pairs(recording().sizes, 1, direction)))
    assert found["synapses"] == (w[:, -1] > 0).sum()
    assert found["living"] == (w[:, -1] > 0).mean()
    np.testing.assert_allclose(6 * found["lag"], np.arange(1, 144))
    assert (data.attrs["recording"], data.attrs["hours"]) == ("some", 0.5)
    assert data["measured_living"] == 1
    np.testing.assert_allclose(2 * data["measured_lag"], np.arange(1, 12))
    assert found["minima"].mean() == pytest.approx(found["q_min"].item())
    assert found["minima"].std(ddof=1) == pytest.approx(found["q_min_sd"].item())
    curves, model = data["measured_curves"], found["curve"]
    expected = 1 - ((curves - model) ** 2).sum() / ((curves - curves.mean()) ** 2).sum()
    assert found["r_squared"] == pytest.approx(expected.item())


def test_norms_are_those_of_synapses_that_live_at_the_end():
    w = recording(gaps=False).sizes
    dead = w.copy()
    dead[::2, 6:] = 0
    found = analyse(dead, 1, 20, Streams(1), 0.5)
    expected = norm_variation(w[1::2], 1, np.random.default_rng(0)).curves[0]
    np.testing.assert_allclose(found["variation"], expected)
    assert (found["synapses"], found["living"]) == (20, 0.5)


def test_curves_are_means_of_rescaled_ones():
    found = analyse(recording().sizes, 1, 25, Streams(1), 0.5)
    assert found["curves"].shape == (25, 44)
    np.testing.assert_allclose(found["curve"], found["curves"].mean("curve_shown"))
    np.testing.assert_allclose(found["curve_sd"], found["curves"].std("curve_shown", ddof=1))
    np.testing.assert_array_equal(rescale(found["curves"].values), found["curves"])
    np.testing.assert_allclose(rescale(found["variation"].values), found["curves"][0])


def test_seeds_and_factors_alone_and_together_give_the_same_numbers():
    together = compare([1, 2], [3, 5], TINY, None, 10, Journal())
    for seed, z in [(3, 1), (3, 2), (5, 1), (5, 2)]:
        alone = compare([z], [seed], TINY, None, 10, Journal())
        assert together.sel(seed=[seed], factors=[z]).equals(alone)
    assert (together["q_min"].sel(seed=3) != together["q_min"].sel(seed=5)).any()
    assert "r_squared" not in together


# Recordings that say little


def test_populations_that_die_are_left_out():
    wild = Fluctuations(synapses=40, duration=300, dt=0.05, sigma=0.5)
    assert not enough(simulate(10, wild, Streams(0))[:, -144:])
    journal = Journal()
    data = compare([1, 10], [0], wild, None, 5, journal)
    assert data["living"].isnull().values.tolist() == [[False, True]]
    assert data["slope_moving"].sel(factors=10).isnull().all()
    (warning,) = journal.reporter.warnings
    assert warning.startswith("z = 10, seed 0: too few synapses live")
    with pytest.raises(SharpwaveError, match="too few synapses live in every simulation"):
        compare([10], [0], wild, None, 5, Journal())
    setup = SynNoise(**wild.values(), factors=(1, 10), bootstraps=5)
    figures = setup.figures()(setup, data)
    assert set(figures) == {
        *("noise", "slopes", "slopes-by-lag", "q-min", "variation", "bootstraps")
    }
    assert len(figures["noise"].axes) == 4
    assert all(claim.measure(setup, data) is None for claim in CLAIMS)


def test_few_synapses_are_analysed():
    w = recording(gaps=False).sizes
    # All pairs come from two of many: some resampled populations have none.
    w[2:, 1:] = w[2:, :1]
    w = np.concatenate([w] * 10, axis=1)
    found = analyse(w, 1, 50, Streams(0), 0.5)
    assert found["slope_moving_sd"].notnull().all()
    assert found["curve"].notnull().all()


def test_enough():
    w = recording().sizes
    assert enough(w)
    assert not enough(w[:, :2])  # too few pairs
    assert not enough(np.sort(w, axis=1))  # none that shrinks
    hole = w.copy()
    hole[:, 3] = np.nan
    assert not enough(hole)


# Claims

BY_NAME = {claim.name: claim for claim in CLAIMS}
SLOPES = {
    "growth": {1: -0.08, 2: 0.44, 3: 0.6, 4: 0.7, 5: 0.79},
    "shrinkage": {1: 0.08, 2: 0.48, 3: 0.6, 4: 0.7, 5: 0.79},
}
Q_MIN = {1: 3.0, 2: 1.13, 3: 0.69, 4: 0.5, 5: 0.46}
R_SQUARED = {1: -0.925, 2: 0.667, 3: 0.642, 4: 0.447, 5: 0.250}
NOISE, SPINES = SynNoise(), AnalyzeSpines(kaufman=True)


def made(seeds: int = 1) -> xr.Dataset:
    """Make results with the published numbers."""

    def by_factors(values: dict[int, float]) -> xr.DataArray:
        one = xr.DataArray(list(values.values()), {"factors": list(values)}, "factors")
        return one.expand_dims(seed=seeds).copy()

    directions = ["growth", "shrinkage"]
    slopes = [by_factors(SLOPES[direction]) for direction in directions]
    data = xr.Dataset(
        {
            "slope_moving": xr.concat(slopes, "direction").copy(),
            "q_min": by_factors(Q_MIN),
            "r_squared": by_factors(R_SQUARED),
            "measured_slope_moving": ("direction", [0.57, 0.72]),
            "measured_slope_moving_sd": ("direction", [0.01, 0.0]),
            "measured_q_min": 1.0854,
            "measured_q_min_sd": 0.4301,
        },
        {"seed": range(seeds), "direction": directions},
    )
    same = dict.fromkeys(("q_min_sd", "living"), data["q_min"] * 0 + 0.4)
    return data.assign(same)


def verdict(name: str, setup: SynNoise, data: xr.Dataset) -> bool | None:
    measurement = BY_NAME[name].measure(setup, data)
    if measurement is None:
        return None
    # What is measured can be written down.
    verdicts = [Verdict(BY_NAME[name], measurement, measurement.reproduced, 1, 1)]
    json.dumps(json_values(verdict_values(verdicts)), allow_nan=False)
    assert type(measurement.reproduced) is bool
    return measurement.reproduced


def changed(data: xr.Dataset, name: str, value: float, **at: Any) -> xr.Dataset:
    data = data.copy(deep=True)
    data[name].loc[at] = value
    return data


def test_claims_speak_about_their_runs():
    spoken = {name: verdict(name, NOISE, made()) for name in BY_NAME}
    assert {name for name, holds in spoken.items() if holds} == {"noise-grows", "q-min"}
    assert list(spoken.values()).count(None) == 3
    spoken = {name: verdict(name, SPINES, made()) for name in BY_NAME}
    held = {name for name, holds in spoken.items() if holds}
    assert held == {"spines-slopes", "spines-q-min", "spines-r-squared"}
    assert list(spoken.values()).count(None) == 2
    own = AnalyzeSpines(file="own.csv")
    assert {verdict(name, own, made()) for name in BY_NAME} == {None}
    few = made().sel(factors=[1, 2])
    assert {verdict(name, NOISE, few) for name in BY_NAME} == {None}


@pytest.mark.parametrize("z", [1, 2, 5])
@pytest.mark.parametrize("direction", SLOPES)
def test_slopes_of_simulations(direction: str, z: int):
    def holds(change: float) -> bool | None:
        value = SLOPES[direction][z] + change
        data = changed(made(), "slope_moving", value, factors=z, direction=direction)
        return verdict("noise-grows", NOISE, data)

    assert holds(0.029)
    assert holds(-0.029)
    for change in (0.031, -0.031, math.nan):
        assert holds(change) is False
    # Others are shown, and decide nothing.
    other = changed(made(), "slope_moving", 5.0, factors=4, direction=direction)
    assert verdict("noise-grows", NOISE, other)


def test_q_min_falls_with_the_number_of_factors():
    assert verdict("q-min", NOISE, made()) is True
    # A single seed has no range: only the order counts.
    assert verdict("q-min", NOISE, changed(made(), "q_min", 2.0, factors=2)) is True
    assert verdict("q-min", NOISE, changed(made(), "q_min", 0.69, factors=2)) is False
    assert verdict("q-min", NOISE, changed(made(), "q_min", math.nan, factors=2)) is False


def test_published_q_min_lie_within_the_range_over_seeds():
    several = changed(made(3), "q_min", 1.5, factors=2)
    assert verdict("q-min", NOISE, several) is False
    several = changed(several, "q_min", 1.0, factors=2, seed=1)
    assert verdict("q-min", NOISE, several) is True
    # A seed of which too few synapses live does not count.
    assert verdict("q-min", NOISE, changed(several, "living", math.nan, factors=2, seed=1)) is False


def test_means_of_slopes_over_seeds_count():
    one = changed(made(2), "slope_moving", 0.49, factors=2, direction="growth", seed=0)
    assert verdict("noise-grows", NOISE, one) is True
    both = changed(one, "slope_moving", 0.49, factors=2, direction="growth", seed=1)
    assert verdict("noise-grows", NOISE, both) is False


@pytest.mark.parametrize(("direction", "published"), [("growth", 0.57), ("shrinkage", 0.72)])
def test_slopes_of_spines(direction: str, published: float):
    for value, holds in ((0.029, True), (-0.029, True), (0.031, False), (-0.031, False)):
        data = changed(made(), "measured_slope_moving", published + value, direction=direction)
        assert verdict("spines-slopes", SPINES, data) is holds


def test_q_min_of_spines():
    for name, published in (("measured_q_min", 1.0854), ("measured_q_min_sd", 0.4301)):
        for change, holds in ((0.029, True), (-0.029, True), (0.031, False), (math.nan, False)):
            data = made().assign({name: published + change})
            assert verdict("spines-q-min", SPINES, data) is holds


def test_z_that_resembles_spines_most():
    def holds(z: int, value: float) -> bool | None:
        return verdict("spines-r-squared", SPINES, changed(made(), "r_squared", value, factors=z))

    assert holds(3, 0.66) is True
    assert holds(3, 0.67) is False
    for z in (1, 4, 5):
        assert holds(z, R_SQUARED[z] - 0.09) is True
        assert holds(z, R_SQUARED[z] - 0.11) is False
    assert holds(2, math.nan) is False
