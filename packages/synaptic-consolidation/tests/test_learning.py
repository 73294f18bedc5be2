"""Consolidation until rows converge, its checkpoints, closeness to the optimum; measures."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpwave_shared import journal as journals
from sharpwave_shared.journal import Journal
from synaptic_consolidation import batched, learning, reference
from synaptic_consolidation.exact import optima_of_rows
from synaptic_consolidation.learning import Progress, consolidate
from synaptic_consolidation.measures import (
    density,
    factor_correlations,
    histogram_of_weights,
    mean_norm,
    measure_rows,
    signal_to_noise,
    smallest_margins,
    sparseness,
    symmetry,
)
from synaptic_consolidation.model import Rows, Rule, initial_rows
from synaptic_consolidation.patterns import draw_patterns

N, M = 40, 10
RULES = {
    1: Rule(1, 0.4, 1e-3, 1e-3),
    2: Rule(2, 0.8, 5e-3, 2e-3),
    3: Rule(3, 2.0, 7e-3, 3e-4),
}
"""Learning rates for small networks."""
PATTERNS = draw_patterns(N, M, 0.5, np.random.default_rng(0), exact=False)


def network(z: int, rows: int = 6) -> tuple[Rows, Any]:
    neurons = np.arange(rows)
    factors = 0.1 * np.random.default_rng(z).uniform(0.7, 1.3, (N, z, N))[:rows]
    labels = np.ascontiguousarray(PATTERNS[:, neurons])
    return initial_rows(neurons, factors.astype(np.float32), 0.5), labels


def learn(
    rows: Rows, labels: Any, rule: Rule, steps: int, journal: Journal | None = None
) -> Progress:
    return consolidate(rows.copy(), PATTERNS, labels, rule, steps, journal=journal)


def numbers(progress: Progress) -> dict[str, np.ndarray]:
    state = progress.state_dict()
    return state.pop("rows") | state


def assert_same(one: Progress, other: Progress) -> None:
    expected = numbers(other)
    for name, values in numbers(one).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.fixture(scope="module")
def learnt() -> dict[int, Progress]:
    return {z: learn(*network(z), rule, 50_000) for z, rule in RULES.items()}


# Convergence


def test_single_precision_is_close_to_the_plain_transcription() -> None:
    rows, labels = network(2)
    exact = Rows(
        *(rows.neurons, rows.factors.astype(float), rows.living.copy()),
        *(rows.theta.astype(float), rows.mean.astype(float)),
    )
    rates = np.full(700, RULES[2].eta), np.full(700, RULES[2].eta_theta)
    reference.advance(exact, PATTERNS, labels, RULES[2], *rates)
    got = learn(rows, labels, RULES[2], 700).rows
    assert got.factors.dtype == np.float32
    others = rows.factors > 0
    np.testing.assert_allclose(got.factors[others], exact.factors[others], rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(got.theta, exact.theta, rtol=2e-3)
    # Some of them are pruned a few steps earlier or later.
    assert (got.living != exact.living).mean() < 0.02


@pytest.fixture(autouse=True, scope="module")
def _impatient() -> Iterator[None]:
    """One look without a change is enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "PATIENCE", 1)
        yield


class Recorder(Journal):
    """Notes the state of all rows whenever they are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Rows] = []

    def steps(self, what: str, total: int, keep: Any, *, weight: int = 1) -> Iterator[int]:
        for step in super().steps(what, total, keep, weight=weight):
            yield step
            if (step + 1) % 10 == 0:
                self.noted.append(keep.rows.copy())


@pytest.mark.parametrize("z", RULES)
def test_rows_converge_on_their_own(z: int, learnt: dict[int, Progress]) -> None:
    rows, labels = network(z)
    together = learnt[z]
    assert together.converged.sum() >= 3
    assert len(set(together.steps.tolist())) > 1 or z == 3
    for i in (0, 3):
        journal = Recorder()
        own = labels[:, [i]]
        alone = learn(rows.select(np.array([i])), own, RULES[z], 50_000, journal)
        for name, values in numbers(alone).items():
            expected = numbers(together)[name][i : i + 1]
            np.testing.assert_array_equal(values, expected, err_msg=name)

        assert alone.steps[0] == 10_000 * len(journal.noted)
        states = []
        for noted in journal.noted:
            (w,) = noted.weights.astype(float)
            h = PATTERNS @ w - float(noted.theta[0])
            margin = ((2.0 * own[:, 0] - 1) * h).min() / math.sqrt((w**2).sum())
            states.append(((w > 0).sum() / (N - 1), margin, (w ** (2 / z)).sum()))
        stops = [
            margin > 0
            and share < 0.99
            and abs(share - before[0]) < 1e-4 > abs(margin - before[1])
            and abs(norm - RULES[z].length) < 0.02
            for before, (share, margin, norm) in itertools.pairwise(states)
        ]
        # It stops as soon as it may, and not before.
        assert stops == [*[False] * (len(stops) - 1), bool(alone.converged[0])]
        assert alone.converged[0] or alone.steps[0] == 50_000


@pytest.mark.parametrize("steps", [1, 999, 1000, 2500, 10_000])
def test_the_limit_of_steps(steps: int) -> None:
    rows, labels = network(2, 2)
    found = learn(rows, labels, RULES[2], steps)
    assert found.steps.tolist() == [steps] * 2
    assert not found.converged.any()
    expected = rows.copy()
    rates = np.full(steps, RULES[2].eta), np.full(steps, RULES[2].eta_theta)
    if steps <= 1000:
        learning.advance(expected, PATTERNS, labels, RULES[2], *rates)
        np.testing.assert_array_equal(found.rows.factors, expected.factors)
    assert (found.rows.factors != rows.factors).any()


def test_what_has_not_begun_to_prune_has_not_converged() -> None:
    rows, _labels = network(2, 1)

    def hardly() -> Rule:
        return Rule(2, float(np.square(rows.factors).sum() / 2), 1e-12, 1e-12)

    def answers() -> Any:
        return (rows.theta < PATTERNS @ rows.weights.T).astype(np.uint8)

    # The answers are right from the beginning, and nothing changes.
    assert not learn(rows, answers(), hardly(), 30_000).converged.any()
    rows.living[0, 5] = False
    rows.factors[0, :, 5] = 0
    slow = hardly()
    found = learn(rows, answers(), slow, 30_000)
    assert found.converged.all()
    assert found.steps.tolist() == [20_000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "PATIENCE", 3)
        assert learn(rows, answers(), slow, 60_000).steps.tolist() == [40_000]
    # With errors, it goes on; and with factors that are not aligned: sum w is below the length.
    assert not learn(rows, 1 - answers(), slow, 30_000).converged.any()
    rows.factors[0, 0] *= 2
    assert not learn(rows, answers(), hardly(), 30_000).converged.any()


class KilledError(Exception):
    """Stands for a kill signal."""


@pytest.mark.parametrize("lives", [1, 33])
def test_killed_and_resumed_learns_the_same(
    lives: int, learnt: dict[int, Progress], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "CHECKPOINT_INTERVAL", 0.0)
    rows, labels = network(2)
    saved = []

    def count() -> None:
        saved.append(0)
        if len(saved) == lives:
            raise KilledError

    with pytest.raises(KilledError):
        learn(rows, labels, RULES[2], 50_000, Journal(folder=tmp_path, saved=count))
    assert_same(
        learn(rows, labels, RULES[2], 50_000, Journal(folder=tmp_path, saved=count)), learnt[2]
    )
    assert len(saved) == learnt[2].steps.max() // 1000


# How good it is


@pytest.mark.parametrize("z", [1, 2])
def test_learning_comes_close_to_the_optimum(z: int, learnt: dict[int, Progress]) -> None:
    rows = learnt[z].rows
    norm = 2 if z == 1 else 1
    best = optima_of_rows(PATTERNS, PATTERNS, rows.neurons, norm)
    _, labels = network(z)
    margins = smallest_margins(rows, PATTERNS, labels)
    share = margins / np.linalg.norm(rows.weights, norm, axis=1) / best.margins
    assert (share > 0.95).all()
    assert (share < 1 + 1e-4).all()


def test_more_factors_leave_fewer_synapses(learnt: dict[int, Progress]) -> None:
    one, two, three = (density(learnt[z].rows).mean() for z in (1, 2, 3))
    assert one > two + 0.1
    assert two > three + 0.02


def test_each_number_of_factors_favours_its_norm(learnt: dict[int, Progress]) -> None:
    _, labels = network(1)
    for best, q in ((1, 2.0), (2, 1.0), (3, 2 / 3)):
        found = {
            z: signal_to_noise(
                smallest_margins(p.rows, PATTERNS, labels), p.rows.weights, q, 0.5
            ).mean()
            for z, p in learnt.items()
        }
        assert max(found, key=lambda z: found[z]) == best


@pytest.mark.parametrize("z", [1, 2, 3])
def test_both_engines_end_alike(z: int, learnt: dict[int, Progress]) -> None:
    rows, labels = network(z, 3)
    steps = 1000
    rates = np.full(steps, RULES[z].eta), np.full(steps, RULES[z].eta_theta)
    fused = learn(rows, labels, RULES[z], steps).rows
    batched.advance(rows, PATTERNS, labels, RULES[z], *rates)
    assert (fused.living != rows.living).mean() < 0.05
    one, other = (
        smallest_margins(r, PATTERNS, labels) / np.linalg.norm(r.weights, axis=1)
        for r in (fused, rows)
    )
    np.testing.assert_allclose(one, other, rtol=0.02)
    np.testing.assert_allclose(rows.theta, fused.theta, rtol=0.02)


# Measures


@pytest.fixture(scope="module")
def some() -> tuple[Rows, Any, Any]:
    """Rows of a few living synapses, and patterns."""
    generator = np.random.default_rng(1)
    neurons = np.array([2, 0, 6])
    factors = generator.uniform(0.2, 1, (3, 3, 7))
    rows = initial_rows(neurons, factors, 0.3)
    rows.living[0, 4] = rows.living[1, 5] = rows.living[1, 6] = False
    patterns = (generator.random((5, 7)) < 0.3).astype(np.uint8)
    return rows, patterns, (generator.random((5, 3)) < 0.5).astype(np.uint8)


def test_measures_equal_plain_loops(some: tuple[Rows, Any, Any]) -> None:
    rows, patterns, labels = some
    f = 0.3
    found = measure_rows(rows, patterns, labels, f)
    for i in range(3):
        living = [j for j in range(7) if rows.living[i, j]]
        w = {j: math.prod(rows.factors[i, :, j].tolist()) for j in living}
        answers = []
        for xi, label in zip(patterns, labels[:, i], strict=True):
            h = sum(w[j] for j in living if xi[j]) - rows.theta[i]
            answers.append(h if label else -h)
        least = min(answers)

        def powers(q: float, w: dict[int, float] = w) -> float:
            return sum(x**q for x in w.values())

        expected = {
            "margin": least / math.sqrt(powers(2)),
            "synaptic_margin": least / math.sqrt(powers(4 / 3)),
            "density": len(living) / 6,
            "l1": powers(1),
            "l2": math.sqrt(powers(2)),
            "wrong": sum(a <= 0 for a in answers) / 5,
        } | {
            f"snr_z{z}": least / ((powers(2 / z) / 6) ** (z / 2) * math.sqrt(6 * f * (1 - f)))
            for z in (1, 2, 3, 4)
        }
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, rel=1e-9), name
        u, v = ([rows.factors[i, k, j] for j in living] for k in (0, 1))
        assert found["within"][i] == pytest.approx(pearson(u, v))
        assert found["across"][i] == pytest.approx(pearson(u, [v[-1], *v[:-1]]))
    assert found.keys() == expected.keys() | {"within", "across"}
    assert smallest_margins(rows, patterns, labels).dtype == np.float64
    assert len(set(found["wrong"].tolist())) > 1


def pearson(x: list, y: list) -> float:
    a, b = ([value - sum(values) / len(values) for value in values] for values in (x, y))
    covariance = sum(p * q for p, q in zip(a, b, strict=True))
    return covariance / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))


@pytest.mark.parametrize(("z", "power"), [(1, 0.0), (2, 1.0)])
def test_synaptic_margins_count_surviving_synapses_only(z: int, power: float) -> None:
    factors = np.random.default_rng(0).uniform(0.2, 1, (1, z, 6))
    rows = initial_rows(np.array([0]), factors, 0.5)
    rows.living[0, 3] = False
    patterns = np.array([[0, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 1]], np.uint8)
    labels = np.array([[1], [0]], np.uint8)
    w = [math.prod(rows.factors[0, :, j].tolist()) for j in (1, 2, 4, 5)]
    least = min(w[0] + w[1] - rows.theta[0], rows.theta[0] - w[3])
    found = measure_rows(rows, patterns, labels, 0.5)["synaptic_margin"]
    assert found == pytest.approx([least / math.sqrt(sum(x**power for x in w))])


def test_correlations_that_cannot_be_told() -> None:
    factors = np.random.default_rng(0).uniform(0.2, 1, (3, 2, 6))
    rows = initial_rows(np.arange(3), factors, 0.5)
    rows.living[1, :4] = False  # two synapses are left
    rows.factors[2, 1] = 0.5
    within, across = factor_correlations(rows)
    assert np.isnan([within, across]).tolist() == [[False, True, True]] * 2
    single = initial_rows(np.arange(2), factors[:2, :1], 0.5)
    assert np.isnan(factor_correlations(single)).all()


def test_mean_norms_by_hand() -> None:
    w = np.array([[0.0, 1.0, 4.0, 4.0]])
    assert mean_norm(w, 2.0) == pytest.approx([math.sqrt(33 / 3)])
    assert mean_norm(w, 1.0) == pytest.approx([3.0])
    assert mean_norm(w, 0.5) == pytest.approx([(5 / 3) ** 2])


def test_symmetry() -> None:
    generator = np.random.default_rng(0)
    w = generator.random((30, 30))
    assert symmetry(w + w.T) == pytest.approx(1)
    assert symmetry(w - w.T) == pytest.approx(-1)
    assert abs(symmetry(w)) < 0.15
    assert math.isnan(symmetry(np.ones((4, 4))))
    # What is on the diagonal, and on which side a synapse stands, plays no part.
    assert symmetry(w) == pytest.approx(symmetry(w.T + 5 * np.eye(30)))
    pairs = [(w[i, j], w[j, i]) for i in range(30) for j in range(30) if i != j]
    assert symmetry(w) == pytest.approx(pearson(*map(list, zip(*pairs, strict=True))))


def test_sparseness_of_known_cases() -> None:
    responses = np.array([[1.0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 5, 0, 0]])
    got = sparseness(responses)
    # Two of four: 1 - (1/2)^2 / (1/2), relative to 1 - 1/4.
    assert got[:3] == pytest.approx([0, 1, 2 / 3])
    assert math.isnan(got[3])
    assert sparseness(7 * responses[:, :3]) == pytest.approx(got[:3])


def test_histograms_of_weights() -> None:
    weights = np.array([[0.0, 1e-11, 2.0, 2.1], [3e-4, 0.0, 9.0, 1e3]])
    got = histogram_of_weights(weights, weights > 1e-10)
    # Ten bins in a decade, from 1e-10 on; of six synapses, four lie in them.
    expected = np.zeros(120)
    expected[[64, 103, 109]] = 1 / 6, 2 / 6, 1 / 6
    np.testing.assert_allclose(got, expected)
    assert not histogram_of_weights(weights, np.zeros_like(weights, bool)).any()
