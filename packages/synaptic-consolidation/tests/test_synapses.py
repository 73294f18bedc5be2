"""Simulations beside recordings: numbers, resuming, and claims on runs with known numbers."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpwave_shared.claims import claims_record
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import json_values
from sharpwave_shared.runs import StoredRun
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import KilledError, MemoryJournal
from synaptic_consolidation import synapses
from synaptic_consolidation.claims.synapses import CLAIMS
from synaptic_consolidation.fluctuations import Fluctuations, simulate
from synaptic_consolidation.spines import norm_variation, pairs, rescale, slope
from synaptic_consolidation.synapses import Spines, analyse, compare, enough

TINY = Fluctuations(synapses=60, duration=20, dt=0.05)


def recording(gaps: bool = True) -> Spines:
    generator = np.random.default_rng(0)
    w = np.exp(generator.normal(0, 0.5, (40, 1)))
    w = w + 0.05 * np.sqrt(w) * generator.standard_normal((40, 12))
    if gaps:
        w[3, 2:5] = np.nan
    return Spines("some", w.clip(1e-3), 0.5)


def same(one: Any, other: Any) -> bool:
    return json.dumps(json_values(one)) == json.dumps(json_values(other))


# Numbers


def test_metrics_are_the_statistics_of_the_last_samples():
    long = replace(TINY, duration=160)
    metrics, arrays = compare([2], [4, 7], long, spines=recording(), bootstraps=10)
    found = metrics["simulated"]
    assert [(s["seed"], s["factors"]) for s in found] == [(4, 2), (7, 2)]
    w = simulate(2, long, Streams(7))[:, -144:]
    summary = found[1]
    for direction in ("growth", "shrinkage"):
        p = pairs(w, 1, direction)
        assert summary["pairs"][direction] == len(p.size)
        for method in ("moving", "binned", "power", "raw"):
            got = summary["slopes"][method][direction]
            assert got["value"] == pytest.approx(slope(p, method), rel=1e-9)
            assert 0 < got["sd"] < 1
        by_lag = summary["slope_by_lag"][direction]
        assert len(by_lag) == 143
        assert by_lag[0] == pytest.approx(slope(p), rel=1e-9)
        assert by_lag[9] == pytest.approx(slope(pairs(w, 10, direction)), rel=1e-9)
    assert summary["synapses"] == (w > 0).any(1).sum()
    assert summary["living"] == (w[:, -1] > 0).mean()
    assert summary["hours"] * 6 == pytest.approx(1)
    measured = metrics["measured"]
    assert (measured["name"], measured["hours"], measured["living"]) == ("some", 0.5, 1)
    # Only excerpts are kept, and only those of the first seed.
    assert arrays["seed4.z2.growth.pairs"].shape == (2, 2000)
    assert arrays["seed4.z2.minima"].mean() == pytest.approx(found[0]["q_min"], rel=1e-6)
    assert arrays["seed4.z2.minima"].std() == pytest.approx(found[0]["q_min_sd"], rel=1e-6)
    assert {k for k in arrays if k.startswith("seed7")} == {
        f"seed7.z2.{k}" for k in ("curve", "curve_sd")
    }
    data, model = arrays["measured.curve"], arrays["seed7.z2.curve"]
    expected = 1 - ((data - model) ** 2).sum() / ((data - data.mean()) ** 2).sum()
    assert summary["r_squared"] == pytest.approx(expected, abs=1e-4)


def test_norms_are_those_of_living_synapses():
    w = recording(gaps=False).sizes
    dead = w.copy()
    dead[::2, 6:] = 0
    found = analyse(dead, 20, Streams(1))
    missing = np.where(dead > 0, dead, np.nan)
    counts = np.ones((1, len(w)), np.uint8)
    np.testing.assert_allclose(found["variation"], norm_variation(missing, counts).measured)
    plain = analyse(missing, 20, Streams(1))
    np.testing.assert_array_equal(found["curve"], plain["curve"])
    assert found["q_min"][2] != found["q_min"][0]
    assert plain["q_min"][2] == plain["q_min"][0]
    assert found["population"].tolist() == [40, 40, 20]
    # Those that are dead all the time are not resampled.
    more = np.concatenate([dead, np.zeros((500, 12))])
    again = analyse(more, 20, Streams(1))
    assert again["population"].tolist() == [540, 40, 20]
    np.testing.assert_array_equal(again["curves"], found["curves"])


def test_curves_are_means_of_rescaled_ones():
    found = analyse(recording().sizes, 25, Streams(1))
    assert found["curves"].shape == (25, 44)
    np.testing.assert_allclose(found["curve"], found["curves"].mean(0))
    np.testing.assert_allclose(found["curve_sd"], found["curves"].std(0))
    np.testing.assert_array_equal(rescale(found["curves"]), found["curves"])


def test_seeds_and_factors_alone_and_together_give_the_same_numbers():
    together, _ = compare([1, 2], [3, 5], TINY, bootstraps=10)
    for index, (seed, z) in enumerate([(3, 1), (3, 2), (5, 1), (5, 2)]):
        alone, _ = compare([z], [seed], TINY, bootstraps=10)
        assert same(alone["simulated"], [together["simulated"][index]])
    assert together["simulated"][0]["q_min"] != together["simulated"][2]["q_min"]
    assert together["measured"] is None
    assert "r_squared" not in together["simulated"][0]


def test_a_killed_run_goes_on_to_the_same_numbers(monkeypatch):
    expected = compare([2, 3], [0], TINY, spines=recording(), bootstraps=10)
    journal = MemoryJournal(killed_at_drop=True)  # after the first part is kept
    with pytest.raises(KilledError):
        compare([2, 3], [0], TINY, spines=recording(), bootstraps=10, journal=journal)
    assert list(journal.tensors) == ["part-measured"]
    compare([2], [0], TINY, spines=recording(), bootstraps=10, journal=journal)
    assert sorted(journal.tensors) == ["part-measured", "part-seed0-z2"]
    # What a file gives back has lost the order of its keys.
    for name, tensors in journal.tensors.items():
        journal.tensors[name] = dict(sorted(tensors.items()))
    simulated = []

    def watched(z, *rest):
        simulated.append(z)
        return simulate(z, *rest)

    monkeypatch.setattr(synapses, "simulate", watched)
    got = compare([2, 3], [0], TINY, spines=recording(), bootstraps=10, journal=journal)
    assert simulated == [3]
    assert same(got[0], expected[0])
    assert got[1].keys() == expected[1].keys()
    for name, array in got[1].items():
        np.testing.assert_array_equal(array, expected[1][name])


# Recordings that say little


def test_populations_that_die_are_left_out():
    wild = Fluctuations(synapses=40, duration=300, dt=0.05, sigma=0.5)
    assert not enough(simulate(10, wild, Streams(0))[:, -144:])
    journal = MemoryJournal()
    metrics, _ = compare([1, 10], [0], wild, bootstraps=5, journal=journal)
    assert [s["factors"] for s in metrics["simulated"]] == [1]
    (warning,) = journal.reporter.warnings
    assert warning.startswith("z = 10, seed 0: too few synapses live")
    # Also when it is read back.
    again, _ = compare([1, 10], [0], wild, bootstraps=5, journal=journal)
    assert same(again, metrics)
    with pytest.raises(SharpwaveError, match="too few synapses live in every simulation"):
        compare([10], [0], wild, bootstraps=5)


def test_few_synapses_are_analysed():
    w = recording(gaps=False).sizes
    # All pairs come from two of many: some resampled populations have none.
    w[2:, 1:] = w[2:, :1]
    w = np.concatenate([w] * 10, axis=1)
    found = analyse(w, 50, Streams(0))
    assert np.isfinite(found["slopes_sd"]).all()
    assert np.isfinite(found["curve"]).all()


def test_enough():
    w = recording().sizes
    assert enough(w)
    assert not enough(w[:, :2])  # too few pairs
    assert not enough(np.sort(w, axis=1))  # none that shrinks
    hole = w.copy()
    hole[:, 3] = np.nan
    assert not enough(hole)


@pytest.mark.parametrize("hours", [0.0, -1.0, math.nan, math.inf])
def test_hours_out_of_range(hours):
    with pytest.raises(InvalidInputError, match="hours: got"):
        replace(recording(), hours=hours)


# Claims

BY_NAME = {claim.name: claim for claim in CLAIMS}
SLOPES = {1: 0.0, 2: 0.45, 3: 0.6, 4: 0.7, 5: 0.75}
Q_MIN = {1: 3.0, 2: 1.13, 3: 0.69, 4: 0.5, 5: 0.46}
R_SQUARED = {1: 0.6, 2: 0.9, 3: 0.5, 4: -2.0, 5: -5.0}


def summary(growth: float | None, shrinkage: float | None, **more: Any) -> dict[str, Any]:
    slopes = {"growth": {"value": growth, "sd": 0.01}, "shrinkage": {"value": shrinkage, "sd": 0.0}}
    return {"slopes": {"moving": slopes}, "living": 0.9, "q_min_sd": 0.4, **more}


def run(experiment: str, name: str | None = None, seeds: int = 1, **metrics: Any) -> StoredRun:
    simulated = [
        summary(
            *(SLOPES[z], SLOPES[z]),
            factors=z,
            seed=seed,
            q_min=Q_MIN[z],
            q_min_with_dead=Q_MIN[z],
            r_squared=R_SQUARED[z],
        )
        for seed in range(seeds)
        for z in SLOPES
    ]
    measured = summary(0.57, 0.72, q_min=1.09, name=name)
    record = {"experiment": experiment, "dataset": None if name is None else {"name": name}}
    return StoredRun(Path(), record, {"simulated": simulated, "measured": measured} | metrics)


NOISE = run("syn-noise")
SPINES = run("analyze-spines", "kaufman-2012")


def verdict(name: str, stored: StoredRun) -> bool | None:
    measurement = BY_NAME[name].measure(stored)
    if measurement is None:
        return None
    # What is measured can be written down.
    content = json_values(claims_record([(BY_NAME[name], measurement)]))
    json.dumps(content, allow_nan=False)
    assert type(measurement.reproduced) is bool
    return measurement.reproduced


def changed(stored: StoredRun, z: int, quantity: str, value: float | None, seed: int = 0) -> Any:
    stored = copy.deepcopy(stored)
    for s in stored.metrics["simulated"]:
        if s["factors"] == z and s["seed"] == seed:
            if quantity in ("growth", "shrinkage"):
                s["slopes"]["moving"][quantity]["value"] = value
            else:
                s[quantity] = value
    return stored


def test_claims_speak_about_their_runs():
    spoken = {n for n in BY_NAME if verdict(n, NOISE) is not None}
    assert spoken == {"noise-grows", "q-min"}
    spoken = {n for n in BY_NAME if verdict(n, SPINES) is not None}
    assert spoken == {"spines-slopes", "spines-q-min", "spines-r-squared"}
    other = run("analyze-spines", "file")
    assert not [n for n in BY_NAME if verdict(n, other) is not None]
    few = copy.deepcopy(NOISE)
    few.metrics["simulated"] = few.metrics["simulated"][:2]
    assert not [n for n in BY_NAME if verdict(n, few) is not None]
    assert all(verdict(n, NOISE) for n in ("noise-grows", "q-min"))
    assert all(verdict(n, SPINES) for n in ("spines-slopes", "spines-q-min", "spines-r-squared"))


@pytest.mark.parametrize("z", [1, 2, 5])
def test_slopes_of_simulations(z):
    mean = SLOPES[z]
    # Growth and shrinkage may differ: their mean counts.
    both = changed(changed(NOISE, z, "growth", mean - 0.2), z, "shrinkage", mean + 0.2)
    assert verdict("noise-grows", both) is True
    assert verdict("noise-grows", changed(NOISE, z, "growth", mean + 0.19)) is True
    for value in (mean + 0.21, mean - 0.21, None):
        assert verdict("noise-grows", changed(NOISE, z, "growth", value)) is False
    # Others are shown, and decide nothing.
    assert verdict("noise-grows", changed(NOISE, 4, "growth", 5.0)) is True


@pytest.mark.parametrize("z", [2, 3, 4, 5])
def test_q_min_of_simulations(z):
    for value, holds in ((0.14, True), (-0.14, True), (0.16, False), (-0.16, False)):
        assert verdict("q-min", changed(NOISE, z, "q_min", Q_MIN[z] + value)) is holds
    assert verdict("q-min", changed(NOISE, z, "q_min", None)) is False
    assert verdict("q-min", changed(NOISE, 1, "q_min", 9.0)) is True


def test_means_over_seeds_count():
    two = run("syn-noise", seeds=2)
    one = changed(two, 2, "q_min", Q_MIN[2] + 0.2)
    assert verdict("q-min", one) is True
    assert verdict("q-min", changed(one, 2, "q_min", Q_MIN[2] + 0.2, seed=1)) is False


@pytest.mark.parametrize(("direction", "published"), [("growth", 0.57), ("shrinkage", 0.72)])
def test_slopes_of_spines(direction, published):
    for value, holds in ((0.029, True), (-0.029, True), (0.031, False), (-0.031, False)):
        stored = copy.deepcopy(SPINES)
        stored.metrics["measured"]["slopes"]["moving"][direction]["value"] = published + value
        assert verdict("spines-slopes", stored) is holds


def test_q_min_of_spines():
    for value, holds in ((1.18, True), (1.0, True), (1.2, False), (0.98, False), (None, False)):
        stored = copy.deepcopy(SPINES)
        stored.metrics["measured"]["q_min"] = value
        assert verdict("spines-q-min", stored) is holds


def test_z_that_resembles_spines_most():
    assert verdict("spines-r-squared", changed(SPINES, 3, "r_squared", 0.95)) is True
    for z in (1, 4, 5):
        assert verdict("spines-r-squared", changed(SPINES, z, "r_squared", 0.95)) is False
    unknown = changed(SPINES, 2, "r_squared", None)
    assert verdict("spines-r-squared", unknown) is False
