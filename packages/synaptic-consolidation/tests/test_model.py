"""The consolidation step: both engines against the plain transcription, by hand, invariants."""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sharpwave_shared.errors import DivergenceError, ParameterError
from synaptic_consolidation import batched, fused, reference
from synaptic_consolidation.learning import advance
from synaptic_consolidation.model import (
    Advance,
    Rows,
    Rule,
    balance,
    initial_rows,
    inputs_of,
    signs,
)

ENGINES: dict[str, Advance] = {"fused": fused.advance, "batched": batched.advance}


def take(engine: str, rows: Rows, patterns: Any, labels: Any, rule: Rule, *blocks: int) -> Rows:
    """Let a copy of the rows take steps, block by block."""
    rows = rows.copy()
    for steps in blocks:
        rates = np.full(steps, rule.eta), np.full(steps, rule.eta_theta)
        ENGINES[engine](rows, patterns, labels, rule, *rates)
    return rows


def plain(rows: Rows, patterns: Any, labels: Any, rule: Rule, steps: int) -> tuple:
    rows = rows.copy()
    rates = np.full(steps, rule.eta), np.full(steps, rule.eta_theta)
    reference.advance(rows, patterns, labels, rule, *rates)
    return rows.factors, rows.living, rows.theta


def problem(
    z: int, inputs: int, count: int, rows: int = 5, seed: int = 0, f: float = 0.5
) -> tuple[Rows, Any, Any]:
    generator = np.random.default_rng(seed)
    patterns = (generator.random((count, inputs)) < f).astype(np.uint8)
    neurons = np.sort(generator.permutation(inputs)[:rows])
    factors = generator.uniform(0.7, 1.3, (rows, z, inputs))
    labels = (generator.random((count, rows)) < f).astype(np.uint8)
    return initial_rows(neurons, factors, f), patterns, labels


def smallest(rows: Rows, patterns: Any, labels: Any) -> np.ndarray:
    return (signs(labels) * inputs_of(rows, patterns)).min(0)


RATES = {1: 0.03, 2: 0.03, 3: 0.03, 4: 0.01, 10: 0.002}
"""By z."""


@pytest.mark.parametrize(
    ("z", "inputs", "count"),
    # Compiled loops take 32 synapses at once; each number of factors is told apart.
    [*((z, 45, 13) for z in RATES), (2, 64, 8), (3, 70, 7)],
)
def test_both_engines_equal_the_plain_transcription(z: int, inputs: int, count: int) -> None:
    rows, patterns, labels = problem(z, inputs, count)
    steps, theta_rate, length = 400, 0.1, float(inputs)
    if z == 10:
        # Rounding errors grow too much in more steps; a few synapses are about to be pruned.
        steps, theta_rate, length = 200, 1.0, 0.9 * inputs
        rows.factors[:, :, 10:13] *= 0.102 / rows.factors[:, :, 10:13].clip(1e-9)
    rule = Rule(z, length, RATES[z], theta_rate, beta=10.0)
    assert (smallest(rows, patterns, labels) <= 0).any()
    u, living, theta = plain(rows, patterns, labels, rule, steps)
    learnt = Rows(rows.neurons, u.copy(), living, theta, rows.mean)
    # Both phases and pruning have occurred.
    assert (smallest(learnt, patterns, labels) > 0).all()
    assert living.sum() < rows.living.sum()
    for engine in ENGINES:
        for blocks in ([steps], [1, 2, 97, steps - 100]):
            got = take(engine, rows, patterns, labels, rule, *blocks)
            np.testing.assert_array_equal(got.living, living)
            np.testing.assert_allclose(got.theta, theta, rtol=1e-8, atol=1e-10)
            others = rows.factors > 0
            np.testing.assert_allclose(got.factors[others], u[others], rtol=1e-8, atol=1e-15)
            assert not got.factors[~others].any()


@pytest.mark.parametrize("z", [1, 2, 3])
def test_rows_of_large_networks_take_steps_together_until_they_are_sparse(z: int) -> None:
    """More rows than take them together; some sparse from the start, one without synapses."""
    count = fused.TOGETHER + 3
    rows, patterns, labels = problem(z, fused.LARGE + 9, 9, count)
    rows.living[1, 100:] = rows.living[4] = False
    rows.factors *= rows.living[:, None]
    rule = Rule(z, float(fused.LARGE), RATES[z], 0.1, beta=10.0)
    u, living, theta = plain(rows, patterns, labels, rule, 150)
    got = take("fused", rows, patterns, labels, rule, 100, 50)
    np.testing.assert_array_equal(got.living, living)
    np.testing.assert_allclose(got.theta, theta, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(got.factors, u, rtol=1e-8, atol=1e-15)
    sparse, sparse_before = (x.mean(1) < fused.DENSE for x in (living, rows.living))
    assert not sparse.all()
    assert z < 3 or (sparse & ~sparse_before).any()
    which = np.array([0, 1, count - 1])
    alone = take("fused", rows.select(which), patterns, labels[:, which], rule, 100, 50)
    for name, values in vars(alone).items():
        np.testing.assert_allclose(values, vars(got.select(which))[name], rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("z", [1, 2, 4])
def test_replay_alone_equals_the_plain_transcription(engine: str, z: int) -> None:
    rows, patterns, labels = problem(z, 37, 10)
    rule = Rule(z, 37.0, RATES[z], 0.05, beta=5.0, error_driven=False)
    u, living, theta = plain(rows, patterns, labels, rule, 120)
    got = take(engine, rows, patterns, labels, rule, 50, 70)
    np.testing.assert_array_equal(got.living, living)
    np.testing.assert_allclose(got.factors, u, rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(got.theta, theta, rtol=1e-8)
    assert living.sum() < rows.living.sum()
    # Labels are not asked for: errors stay uncorrected.
    np.testing.assert_array_equal(
        take(engine, rows, patterns, 1 - labels, rule, 50, 70).factors, got.factors
    )
    assert (smallest(got, patterns, labels) <= 0).any()


# By hand. Weights are 3 and 2, and the threshold is 4: h is -1 for the first pattern and -2 for
# the second. The former is to be answered by yes.

PATTERNS = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0]], np.uint8)
FACTORS = {
    1: [[3, 2]],
    2: [[1, 2], [3, 1]],
    3: [[1, 2], [3, 1], [1, 1]],
}


def by_hand(z: int, theta: float = 4.0, mean: float = 0.0) -> Rows:
    u = np.array(FACTORS[z], float)
    u = np.concatenate([np.zeros((z, 1)), u], 1)[None]
    return Rows(
        np.array([0]), u, np.array([[False, True, True]]), np.array([theta]), np.array([mean])
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("z", "after", "squares"),
    [
        (1, [[3.1, 2]], 9.61 + 4),
        (2, [[1.3, 2], [3.1, 1]], 1.69 + 4 + 9.61 + 1),
        (3, [[1.3, 2], [3.1, 1], [1.3, 1]], 1.69 + 4 + 9.61 + 1 + 1.69 + 1),
    ],
)
def test_a_correction_by_hand(engine: str, z: int, after: list, squares: float) -> None:
    # Homeostasis then doubles all factors.
    rule = Rule(z, 4 * squares / z, 0.1, 0.5)
    labels = np.array([[1], [0], [0]], np.uint8)
    got = take(engine, by_hand(z), PATTERNS, labels, rule, 1)
    np.testing.assert_allclose(got.factors[0, :, 1:], 2 * np.array(after), rtol=1e-12)
    assert got.theta == pytest.approx([3.5], rel=1e-12)
    assert got.mean == pytest.approx([7 / 3], rel=1e-12)  # |h| is 1, 2 and 4


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("mean", "beta"), [(0.0, 1.5 * math.log(3)), (4.0, 4 * math.log(3))])
def test_a_replay_by_hand(engine: str, mean: float, beta: float) -> None:
    patterns = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    labels = np.array([[1], [0]], np.uint8)
    # h is 1 and -2: its mean is 1.5, unless another one is kept from the step before.
    rows = by_hand(2, 4.0, mean)
    # p is 3/4 and 1/4: g is 3/4 and 3/4 - 1/4, y is 1/2.
    after = np.array([[1 + 0.1 * 0.75 * 3, 2 + 0.1 * 0.5 * 1], [3 + 0.1 * 0.75, 1 + 0.1 * 0.5 * 2]])
    rule = Rule(2, np.square(after).sum() / 2, 0.1, 0.2, beta=beta)
    got = take(engine, rows, patterns, labels, rule, 1)
    np.testing.assert_allclose(got.factors[0, :, 1:], after, rtol=1e-12)
    assert got.theta == pytest.approx([3.9], rel=1e-12)
    assert got.mean == pytest.approx([1.5], rel=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_factor_that_would_fall_below_zero_is_clipped_and_pruned_for_good(engine: str) -> None:
    # The weights 0.3 and 2 answer the first two inputs with 2.3 - 1, which is wrong.
    u = np.array([[[0, 0.1, 2], [0, 3, 1]]])
    rows = Rows(np.array([0]), u, np.array([[False, True, True]]), np.array([1.0]), np.array([0.0]))
    patterns, no = np.array([[0, 1, 1]], np.uint8), np.array([[0]], np.uint8)
    # The first synapse's second factor, 2.99, is lost as well, and does not count in the norm.
    after = np.array([[0, 1.9], [0, 0.8]])
    rule = Rule(2, np.square(after).sum() * 4 / 2, 0.1, 0.1)
    got = take(engine, rows, patterns, no, rule, 1)
    np.testing.assert_allclose(got.factors[0, :, 1:], 2 * after, rtol=1e-12)
    np.testing.assert_array_equal(got.living, [[False, False, True]])
    np.testing.assert_allclose(got.weights, [[0, 0, 1.9 * 0.8 * 4]])
    # However much it were wanted, it does not come back.
    later = take(engine, got, patterns, 1 - no, Rule(2, rule.length, 0.1, 1e-9), 3)
    later = take(engine, Rows(*vars(later).values()), patterns, 1 - no, rule, 20)
    assert not later.living[0, 1]
    assert not later.factors[0, :, 1].any()
    assert np.square(later.factors).sum() == pytest.approx(rule.norm, rel=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_without_any_synapse_stays_as_it_is(engine: str) -> None:
    rows, patterns, labels = problem(2, 9, 4, 2)
    rows.living[0] = False
    rows.factors[0] = 0
    rule = Rule(2, 9.0, 0.1, 0.1)
    got = take(engine, rows, patterns, labels, rule, 3)
    assert not got.factors[0].any()
    assert not got.living[0].any()
    assert np.square(got.factors[1]).sum() == pytest.approx(rule.norm)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pattern_with_the_smallest_y_h_is_corrected(engine: str) -> None:
    # Each pattern is an input of its own; y h is -0.1, -0.3, 0.5, and -0.2.
    u = np.array([[[0, 0.9, 1.3, 1.5, 0.8]]])
    rows = Rows(np.array([0]), u, u[:, 0] > 0, np.array([1.0]), np.array([0.0]))
    patterns = np.eye(5, dtype=np.uint8)[1:]
    labels = np.array([[1], [0], [1], [1]], np.uint8)
    after = np.array([0.9, 1.3 - 0.25, 1.5, 0.8])
    rule = Rule(1, np.square(after).sum(), 0.25, 0.5)
    got = take(engine, rows, patterns, labels, rule, 1)
    np.testing.assert_allclose(got.factors[0, 0, 1:], after, rtol=1e-12)
    assert got.theta == pytest.approx([1.5])


# Invariants

numbers_of_factors = st.sampled_from([1, 2, 3, 5])
seeds = st.integers(0, 10**6)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25)
# All factors of a row fall to the smallest value at once.
@example(z=5, inputs=3, count=21, steps=1, rate=0.5, error_driven=True, seed=0)
@given(
    z=numbers_of_factors,
    inputs=st.integers(3, 70),
    count=st.integers(1, 30),
    steps=st.integers(1, 40),
    rate=st.floats(1e-3, 0.5),
    error_driven=st.booleans(),
    seed=seeds,
)
def test_what_every_step_keeps(
    engine: str,
    z: int,
    inputs: int,
    count: int,
    steps: int,
    rate: float,
    error_driven: bool,
    seed: int,
) -> None:
    rows, patterns, labels = problem(z, inputs, count, 3, seed)
    rule = Rule(z, 1.5 * inputs, rate, 0.1, error_driven=error_driven)
    before = rows.living
    for _ in range(2):
        rows = take(engine, rows, patterns, labels, rule, steps)
        # The norm of what is left, if anything is.
        squares = np.square(rows.factors).sum((1, 2))
        np.testing.assert_allclose(squares[rows.living.any(1)], rule.norm, rtol=1e-9)
        assert not rows.factors.transpose(0, 2, 1)[~rows.living].any()
        assert (rows.factors.transpose(0, 2, 1)[rows.living] > 0).all()
        assert not rows.living[np.arange(3), rows.neurons].any()
        assert not (rows.living & ~before).any()
        np.testing.assert_array_equal(rows.weights > 0, rows.living)
        assert (rows.mean > 0).all()
        before = rows.living


@settings(max_examples=15)
@given(z=numbers_of_factors, seed=seeds, chosen=st.sets(st.integers(0, 5), min_size=1))
def test_rows_depend_on_nothing_else(z: int, seed: int, chosen: set[int]) -> None:
    rows, patterns, labels = problem(z, 19, 9, 6, seed)
    rule = Rule(z, 19.0, 0.02, 0.1, beta=5.0)
    which = np.array(sorted(chosen))
    together = {engine: take(engine, rows, patterns, labels, rule, 20) for engine in ENGINES}
    for engine in ENGINES:
        alone = take(engine, rows.select(which), patterns, labels[:, which], rule, 20)
        expected = together[engine].select(which)
        tolerance = 0 if engine == "fused" else 1e-7
        for name, values in vars(alone).items():
            wanted = vars(expected)[name]
            np.testing.assert_allclose(values, wanted, rtol=tolerance, atol=tolerance * 1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=15)
@given(z=st.sampled_from([2, 3, 5]), seed=seeds, order=st.randoms())
def test_factors_have_the_same_role(engine: str, z: int, seed: int, order: Any) -> None:
    rows, patterns, labels = problem(z, 19, 9, 3, seed)
    rule = Rule(z, 19.0, 0.02, 0.1, beta=5.0)
    places = list(range(z))
    order.shuffle(places)
    exchanged = Rows(**vars(rows) | {"factors": rows.factors[:, places]})
    got = take(engine, exchanged, patterns, labels, rule, 15)
    expected = take(engine, rows, patterns, labels, rule, 15)
    np.testing.assert_allclose(got.factors, expected.factors[:, places], rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(got.theta, expected.theta, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_can_be_in_any_order(engine: str) -> None:
    rows, patterns, labels = problem(2, 41, 11)
    order = np.random.default_rng(3).permutation(41)
    rule = Rule(2, 41.0, 0.05, 0.1, beta=10.0)
    place = np.argsort(order)
    other = Rows(
        place[rows.neurons],
        rows.factors[..., order].copy("C"),
        rows.living[:, order].copy("C"),
        rows.theta,
        rows.mean,
    )
    got = take(engine, other, patterns[:, order].copy("C"), labels, rule, 80)
    expected = take(engine, rows, patterns, labels, rule, 80)
    np.testing.assert_allclose(got.factors, expected.factors[..., order], rtol=1e-9, atol=1e-15)


@pytest.mark.gpu
@pytest.mark.parametrize("z", [1, 2, 4])
def test_a_gpu_takes_the_same_steps(z: int) -> None:
    rows, patterns, labels = problem(z, 45, 13)
    rule = Rule(z, 2.0, 5e-3, 5e-3)
    rates = np.full(200, rule.eta), np.full(200, rule.eta_theta)
    got = rows.copy()
    batched.advance(got, patterns, labels, rule, *rates, torch.device("cuda"))
    expected = take("batched", rows, patterns, labels, rule, 200)
    np.testing.assert_allclose(got.factors, expected.factors, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(got.living, expected.living)


# Rows and rules


def test_rates_can_change_from_step_to_step() -> None:
    rows, patterns, labels = problem(2, 20, 6)
    rule = Rule(2, 20.0, 1.0, 1.0, beta=10.0)
    eta, eta_theta = np.array([0.05, 0.01, 0.03]), np.array([0.1, 0.3, 0.2])
    expected = rows
    for one, other in zip(eta, eta_theta, strict=True):
        step = Rule(2, 20.0, float(one), float(other), beta=10.0)
        expected = take("fused", expected, patterns, labels, step, 1)
    for engine in ENGINES:
        got = rows.copy()
        ENGINES[engine](got, patterns, labels, rule, eta, eta_theta)
        np.testing.assert_allclose(got.factors, expected.factors, rtol=1e-9)
        np.testing.assert_allclose(got.theta, expected.theta, rtol=1e-9)


@pytest.mark.parametrize("f", [0.05, 0.3, 0.5, 0.8])
def test_balanced_thresholds(f: float) -> None:
    generator = np.random.default_rng(0)
    weights = generator.uniform(0, 1, (3, 400)) * np.array([[1], [3], [0.2]])
    theta = balance(weights, f)
    quantile = NormalDist().inv_cdf(1 - f)
    for row, w in zip(theta, weights, strict=True):
        spread = math.sqrt(f * (1 - f) * sum(x * x for x in w))
        assert row == pytest.approx(f * sum(w) + quantile * spread, rel=1e-9)
    active = ((generator.random((20_000, 400)) < f) @ weights.T > theta).mean(0)
    np.testing.assert_allclose(active, f, atol=0.012)


def test_initial_rows() -> None:
    factors = np.random.default_rng(0).uniform(0.1, 1, (2, 3, 5))
    kept = factors.copy()
    factors[1, 1, 2] = kept[1, 1, 2] = 1e-12
    rows = initial_rows(np.array([4, 0]), factors, 0.5)
    np.testing.assert_array_equal(factors, kept)  # a copy
    expected = np.ones((2, 5), bool)
    expected[0, 4] = expected[1, 0] = expected[1, 2] = False
    np.testing.assert_array_equal(rows.living, expected)
    np.testing.assert_allclose(rows.weights, np.where(expected, kept.prod(1), 0))
    assert not rows.factors.transpose(0, 2, 1)[~expected].any()
    np.testing.assert_allclose(rows.theta, rows.weights.sum(1) / 2)  # f = 0.5
    assert not rows.mean.any()
    with np.errstate(all="raise"):
        h = inputs_of(rows, np.array([[1, 0, 0, 1, 0]], np.uint8))
    expected = [w[0] + w[3] - t for w, t in zip(rows.weights, rows.theta, strict=True)]
    assert h[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factors", 0),
        ("factors", 11),
        *((name, value) for name in ("length", "eta", "eta_theta") for value in (0.0, -1.0)),
        ("beta", math.nan),
        ("beta", math.inf),
    ],
)
def test_rules_out_of_range(name: str, value: float) -> None:
    good: dict[str, Any] = {"factors": 2, "length": 1.0, "eta": 0.1, "eta_theta": 0.1}
    Rule(**good)
    with pytest.raises(ParameterError, match=f"^{name}: got {value:g}"):
        Rule(**good | {name: value})


def test_divergence() -> None:
    rows, patterns, labels = problem(3, 20, 6)
    rule = Rule(3, 20.0, 1.0, 1.0)
    with pytest.raises(DivergenceError, match="learning rate"):
        advance(rows, patterns, labels, rule, np.full(5, 1e200), np.full(5, 1e200))


@pytest.mark.parametrize("name", ["factors", "living", "theta", "mean", "labels"])
def test_rows_that_do_not_fit_never_reach_a_compiled_loop(name: str) -> None:
    rows, patterns, labels = problem(2, 20, 6)
    if name == "labels":
        labels = labels[:, :-1]
    else:
        setattr(rows, name, getattr(rows, name)[..., :-1])
    rates = np.full(3, 0.01)
    with pytest.raises(ValueError, match=f"{name}: got the shape"):
        advance(rows, patterns, labels, Rule(2, 20.0, 0.01, 0.01), rates, rates)
