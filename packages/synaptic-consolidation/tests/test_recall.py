"""Recall against a plain loop, kinds of noise, and how tolerances are found."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sharpwave_shared.compiled
from sharpwave_shared.seeding import Streams
from synaptic_consolidation import recall as module
from synaptic_consolidation.model import Rows, initial_rows
from synaptic_consolidation.recall import (
    LEVELS,
    Curve,
    Memory,
    noisy_weights,
    recall,
    tolerances,
    wrong_per_active,
)

CPU = torch.device("cpu")
NEURAL = ("flips", "balanced")
SYNAPTIC = ("all_factors", "one_factor", "surviving")


# Dynamics


def loop(w: np.ndarray, theta: np.ndarray, cue: list[bool], steps: int) -> list[list[bool]]:
    """All states of one cue, by loops."""
    states = [cue]
    for _ in range(steps):
        last = states[-1]
        h = [sum(w[i, j] for j in range(len(cue)) if last[j]) for i in range(len(cue))]
        states.append([bool(x > t) for x, t in zip(h, theta, strict=True)])
    return states


def every_cue(n: int) -> torch.Tensor:
    return torch.tensor([[bool(c >> i & 1) for c in range(2**n)] for i in range(n)])


def compare(w: np.ndarray, theta: np.ndarray, steps: int) -> None:
    cues = every_cue(len(w))
    kept = cues.clone()
    first, final = recall(torch.from_numpy(w), torch.from_numpy(theta), cues, steps)
    for c, cue in enumerate(cues.T.tolist()):
        expected = loop(w, theta, cue, steps)
        assert first[:, c].tolist() == expected[1]
        assert final[:, c].tolist() == expected[-1]
    assert torch.equal(cues, kept)


@settings(max_examples=40)
@given(
    n=st.integers(1, 5),
    steps=st.sampled_from([1, 2, 3, 4, 7, 50]),
    symmetric=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_recall_equals_a_plain_loop(n: int, steps: int, symmetric: bool, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Multiples of 1/4, so that sums are exact.
    w = generator.integers(-8, 9, (n, n)) / 4
    # Symmetric networks come to rest or oscillate with a period of two, others in other ways too.
    w = np.triu(w) + np.triu(w, 1).T if symmetric else w
    compare(w, generator.integers(-4, 5, n) / 4 + 1 / 8, steps)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 50])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_recall_of_states_that_go_round(n: int, steps: int) -> None:
    compare(np.roll(np.eye(n), 1, 0), np.full(n, 0.5), steps)


# Levels


def search(recalls: np.ndarray) -> tuple[Curve, list[int]]:
    levels = np.linspace(0, 0.49, len(recalls))
    tried: list[int] = []

    def trial(test: int, level: float) -> tuple[float, float]:
        index = int(np.abs(levels - level).argmin())
        tried.append(index)
        return float(recalls[index]), 1 - float(recalls[index])

    def of_tests(one: Callable[[int], tuple[float, float]]) -> np.ndarray:
        return np.array([one(0)])

    return module._curve(levels, trial, of_tests), tried


def nearest(recalls: np.ndarray) -> float:
    """Find the level around which recall falls below 1/2, nearest to it, by going through all."""
    levels = np.linspace(0, 0.49, len(recalls))
    if recalls[0] < 0.5:
        return 0.0
    for i in range(1, len(levels)):
        if recalls[i] < 0.5:
            return float(levels[i - 1 if recalls[i - 1] - 0.5 <= 0.5 - recalls[i] else i])
    return math.nan


@given(
    seed=st.integers(0, 10**6),
    count=st.sampled_from([2, 9, 30, 200]),
    power=st.sampled_from([0.1, 1.0, 6.0]),
)
def test_the_maximum_equals_that_of_all_levels(seed: int, count: int, power: float) -> None:
    # Recall in twentieths, and often flat at 0, 1/2 or 1.
    steps = np.random.default_rng(seed).random(count) ** power
    recalls = np.sort(np.round(np.clip(1.4 * steps - 0.2, 0, 1) * 20) / 20)[::-1]
    curve, tried = search(recalls)
    assert curve.maximum == pytest.approx(nearest(recalls), abs=1e-12, nan_ok=True)
    assert len(tried) == len(set(tried))
    done = ~np.isnan(curve.recall)
    assert sorted(tried) == np.flatnonzero(done).tolist()
    np.testing.assert_array_equal(curve.recall[done], recalls[done])
    np.testing.assert_allclose(curve.error[done], 1 - recalls[done])


def test_few_levels_are_tried() -> None:
    recalls = 1 / (1 + np.exp((np.arange(200) - 37.3) / 2))
    curve, tried = search(recalls)
    assert len(tried) < 35
    # Where recall is gone, more noise is not tried; before that, every eighth level is.
    recalls[60:] = 0
    curve, tried = search(recalls)
    assert max(tried) == 72
    assert set(range(0, 73, 8)) <= set(tried)
    assert curve.maximum == curve.level[37]


def spread(*crossings: float) -> float:
    """Give the s.d. of tests whose recall falls evenly, and crosses 1/2 at these levels."""

    def trial(test: int, level: float) -> tuple[float, float]:
        return max(0.0, 1 - level / (2 * crossings[test])), 0.0

    def of_tests(one: Callable[[int], tuple[float, float]]) -> np.ndarray:
        return np.array([one(test) for test in range(len(crossings))])

    return module._curve(LEVELS, trial, of_tests).sd


def test_the_spread_over_tests() -> None:
    assert spread(0.1, 0.13, 0.2) == pytest.approx(statistics.stdev([0.1, 0.13, 0.2]))
    assert math.isnan(spread(0.1))
    assert math.isnan(spread(0.1, 0.6))  # one crosses it at no level


# Networks


def random_rows(z: int, n: int = 80, seed: int = 0, pruned: float = 0.6) -> Rows:
    generator = np.random.default_rng(seed)
    factors = generator.uniform(0.5, 1.5, (n, z, n)).astype(np.float32)
    gone = generator.random((n, n)) < pruned
    factors[:, 0][gone] *= 0.05
    rows = initial_rows(np.arange(n), factors, 0.5)
    rows.living &= ~gone
    rows.factors *= rows.living[:, None]
    rows.theta[:] = generator.uniform(1, 9, n)
    return rows


def hebbian(n: int = 60, count: int = 4, f: float = 0.5, z: int = 2) -> tuple[Rows, Memory]:
    """A network that recalls a few patterns well, with weights above 0."""
    patterns = (np.random.default_rng(1).random((count, n)) < f).astype(np.uint8)
    deviation = patterns - f
    covariance = deviation.T @ deviation
    w = np.maximum(covariance / covariance.max() + 0.2, 0) + 1e-8
    factors = np.repeat(w[:, None] ** (1 / z), z, 1).astype(np.float32)
    rows = initial_rows(np.arange(n), factors, f)
    h = patterns @ rows.weights.T
    rows.theta[:] = [
        (column[own == 1].min() + column[own == 0].max()) / 2
        if 0 < own.sum() < count
        else (-1e3 if own.all() else 1e3)
        for column, own in zip(h.T, patterns.T, strict=True)
    ]
    return rows, Memory(patterns, patterns, patterns, f)


def measure(rows: Rows, memory: Memory, *kinds: str, seed: int = 0, tests: int = 2) -> Any:
    return tolerances(
        rows, memory, Streams(seed), tests=tests, device=CPU, kinds=kinds or (*NEURAL, *SYNAPTIC)
    )


@pytest.mark.parametrize("z", [1, 2, 3])
def test_tolerances_of_a_network(z: int) -> None:
    rows, memory = hebbian(z=z)
    curves = measure(rows, memory)
    assert set(curves) == {*NEURAL, *SYNAPTIC}
    for kind, curve in curves.items():
        assert curve.level.shape == curve.recall.shape == curve.error.shape == LEVELS.shape
        assert curve.recall[0] == 1
        assert curve.error[0] == 0
        assert math.isnan(curve.maximum) or 0 < curve.maximum <= curve.level[-1]
        done = ~np.isnan(curve.recall)
        errors = curve.error[done]
        assert errors[-1] > errors[0] or math.isnan(curve.maximum), kind
        assert (done.sum() < 200) == bool(np.isnan(curve.error).any()), kind
    assert not math.isnan(curves["flips"].maximum)


def test_tests_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEVELS", LEVELS[::5])
    rows, memory = hebbian(24)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(sharpwave_shared.compiled, "processors", lambda t=threads: t)
        found.append(measure(rows, memory, tests=3))
    for kind, one in found[0].items():
        for values, others in zip(one, found[1][kind], strict=True):
            np.testing.assert_array_equal(values, others)
    # Nor on which other kinds are asked for; but on the seed.
    alone = measure(rows, memory, "one_factor", tests=3)["one_factor"]
    np.testing.assert_array_equal(alone.recall, found[0]["one_factor"].recall)
    other = measure(rows, memory, "flips", tests=3, seed=1)["flips"]
    assert other.maximum != found[0]["flips"].maximum


@pytest.mark.parametrize("kind", [*NEURAL, *SYNAPTIC])
def test_a_network_that_cannot_recall_tolerates_nothing(kind: str) -> None:
    rows, memory = hebbian(30)
    rows.theta[:] = 1e9
    curve = measure(rows, memory, kind)[kind]
    assert curve.maximum == 0
    assert curve.recall[0] == 0
    # All neurons fall silent: those that were to be active are wrong.
    assert curve.error[0] == pytest.approx(memory.after_one.mean())


@pytest.mark.parametrize("kind", NEURAL)
def test_a_network_that_always_recalls_has_no_largest_noise(kind: str) -> None:
    pattern = np.array([[1, 0] * 15], np.uint8)
    rows = random_rows(1, 30)
    rows.living[:] = False
    rows.theta[:] = np.where(pattern[0], -1, 1)
    curve = measure(rows, Memory(pattern, pattern, pattern, 0.5), kind)[kind]
    assert math.isnan(curve.maximum)
    assert (curve.recall[~np.isnan(curve.recall)] == 1).all()


@pytest.mark.parametrize(("wrong", "recalled"), [(4, 1.0), (5, 0.0)])
def test_a_fifth_of_the_active_neurons_may_be_wrong(wrong: int, recalled: float) -> None:
    # Of 40 neurons, 20 are to be active.
    pattern = np.array([[1, 0] * 20], np.uint8)
    rows = random_rows(1, 40)
    rows.living[:] = False
    answer = pattern[0].copy()
    answer[:wrong] ^= 1
    rows.theta[:] = np.where(answer, -1, 1)
    curve = measure(rows, Memory(pattern, pattern, pattern, 0.5), "flips")["flips"]
    assert curve.recall[0] == recalled
    assert curve.error[0] == pytest.approx(wrong / 40)


def test_recall_of_sequences_is_judged_by_its_targets() -> None:
    # A ring of four neurons hands activity on.
    patterns = np.eye(4, dtype=np.uint8)
    rows = initial_rows(np.arange(4), np.roll(np.eye(4), 1, 0)[:, None].astype(np.float32), 0.5)
    rows.theta[:] = 0.5
    following = np.roll(patterns, -1, 0)
    after_fifty = Memory(patterns, np.roll(patterns, -50, 0), following, 0.25)
    assert measure(rows, after_fifty, "flips")["flips"][1][0] == 1
    wrong = Memory(patterns, np.roll(patterns, -49, 0), patterns, 0.25)
    curve = measure(rows, wrong, "flips")["flips"]
    assert curve.recall[0] == 0
    assert curve.error[0] == 0.5


# Kinds of noise


@pytest.fixture
def cues_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[float, np.ndarray]]:
    """Collects the cues (neurons x patterns) of all tests, by level."""

    def collect(kind: str, memory: Memory) -> dict[float, np.ndarray]:
        n = memory.patterns.shape[1]
        rows = random_rows(1, n)
        seen: list[np.ndarray] = []
        whole = module._curve

        def watched(w: Any, theta: Any, cues: torch.Tensor) -> Any:
            seen.append(cues.numpy())
            return cues, cues

        found: dict[float, np.ndarray] = {}

        def all_levels(levels: np.ndarray, trial: Any, of_tests: Any) -> Curve:
            for level in levels[::66].tolist():
                seen.clear()
                for test in range(3):
                    trial(test, level)
                found[level] = np.array(seen)
            return whole(levels[:2], lambda test, level: (0.0, 0.0), of_tests)

        monkeypatch.setattr(module, "recall", watched)
        monkeypatch.setattr(module, "_curve", all_levels)
        measure(rows, memory, kind)
        return found

    return collect


@pytest.mark.parametrize("f", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("kind", NEURAL)
def test_noise_of_cues(kind: str, f: float, cues_at: Any) -> None:
    patterns = (np.random.default_rng(0).random((60, 300)) < f).astype(np.uint8)
    true = patterns.T.astype(bool)
    found = cues_at(kind, Memory(patterns, patterns, patterns, f))
    levels = sorted(found)
    assert levels[0] == 0
    before = np.zeros_like(true)
    for level in levels:
        cues = found[level]
        assert cues.shape == (3, 300, 60)
        flipped = cues != true
        lost, gained = flipped[:, true].mean(), flipped[:, ~true].mean()
        if kind == "flips":
            assert lost == pytest.approx(2 * level, abs=0.015)
            assert gained == pytest.approx(2 * level, abs=0.015)
        else:
            assert lost == pytest.approx(level / f, abs=0.02)
            assert gained == pytest.approx(level / (1 - f), abs=0.02)
            assert cues.mean() == pytest.approx(f, abs=0.015)
        # In the unit of the specification.
        per_active = flipped.sum(1).mean() / (300 * f)
        assert per_active == pytest.approx(wrong_per_active(level, f), rel=0.1, abs=1e-9)
        # The same noise is scaled: what is flipped stays flipped.
        assert not (before & ~flipped).any()
        assert level == 0 or (flipped[0] != flipped[1]).any()
        before = flipped
    # Nearly all ones can be lost, or all zeros gained.
    assert max(levels) == pytest.approx(LEVELS[198] * 2 * min(f, 1 - f))


def plain_noise(rows: Rows, kind: str, level: float, noise: np.ndarray) -> tuple[Any, Any]:
    """Scale and disturb one synapse after another; `noise` is factors x rows x inputs."""
    n, z = len(rows), rows.factors.shape[1]
    w, theta = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        living = [j for j in range(n) if rows.living[i, j]]
        mean = np.mean([rows.factors[i, k, j] for j in living for k in range(z)])
        scale = 0.1 / mean
        theta[i] = rows.theta[i] * scale**z
        for j in range(n):
            if i == j or (j not in living and (z > 1 or kind == "surviving")):
                continue
            u = [scale * rows.factors[i, k, j] for k in range(z)]
            for k in range(z if kind == "all_factors" else 1):
                u[k] = max(u[k] + level * 0.1 * noise[k, i, j], 1e-20)
            w[i, j] = math.prod(u)
    return w, theta


@pytest.mark.parametrize("z", [1, 2, 3])
@pytest.mark.parametrize("kind", SYNAPTIC)
def test_noise_equals_a_plain_loop(kind: str, z: int) -> None:
    rows = random_rows(z, 20)
    streams = Streams(0)
    noisy, found_theta = noisy_weights(rows, streams, kind, CPU)
    for test, level in ((0, 0.0), (0, 0.7), (3, 2.0)):
        generator = streams.torch("synaptic", test)
        noise = np.array([torch.randn((20, 20), generator=generator).numpy() for _ in range(z)])
        expected, theta = plain_noise(rows, kind, level, noise)
        w = noisy(test, level).numpy()
        np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(found_theta, theta, rtol=1e-5)
        # No weight is negative, and a pruned synapse of several factors stays as it is.
        assert (w >= 0).all()
        assert z == 1 or not w[~rows.living].any()
    if z == 1 and kind != "surviving":
        assert w[~rows.living].any()


def test_rows_without_a_synapse_stay_silent() -> None:
    rows = random_rows(2, 10)
    rows.living[3] = False
    rows.factors[3] = 0
    noisy, theta = noisy_weights(rows, Streams(0), "one_factor", CPU)
    w = noisy(0, 1.0)
    assert not w[3].any()
    assert torch.isfinite(theta).all()


def test_levels_of_synaptic_noise() -> None:
    rows, memory = hebbian(20)
    curves = measure(rows, memory, *SYNAPTIC, tests=1)
    for kind, scale in zip(SYNAPTIC, (0.1, 0.16, 0.2), strict=True):
        # In units of the mean factor, 0.1.
        np.testing.assert_allclose(curves[kind].level, np.linspace(0, 0.49, 200) * scale / 0.1)
