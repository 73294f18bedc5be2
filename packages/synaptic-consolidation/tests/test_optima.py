"""The experiments `theory` and `exact` from Python: their numbers, and how they go on when cut."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.testing import KilledError, MemoryJournal
from synaptic_consolidation import optima
from synaptic_consolidation.exact import (
    largest_l1_margin,
    largest_l2_margin,
    optima_of_rows,
)
from synaptic_consolidation.optima import Plan, solve, theory, theory_curves
from synaptic_consolidation.patterns import draw_patterns

TINY = Plan(n=(24, 30), loads=(0.2, 0.5), rows=6)


@pytest.fixture(autouse=True)
def _coarse_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shape checks make curves of many points take seconds; few will do."""
    monkeypatch.setattr(optima, "theory_curves", lambda f, points=3: theory_curves(f, points))


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rows of every network come in two parts."""
    monkeypatch.setattr(optima, "ROWS_AT_ONCE", 4)


def network(n: int = 30, m: int = 12, seed: int = 0) -> np.ndarray:
    return draw_patterns(n, m, 0.5, np.random.default_rng(seed), exact=False)


def same(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    for name, values in one[1].items():
        np.testing.assert_array_equal(values, other[1][name], err_msg=name)


# --- rows of a network ----------------------------------------------------------------------------


def test_rows_are_single_perceptrons_without_their_own_input() -> None:
    """Here the network learns a sequence: labels are the patterns that follow."""
    patterns = network()
    labels = np.roll(patterns, -1, axis=0)
    rows = np.array([7, 0, 29])
    for norm, single in ((1, largest_l1_margin), (2, largest_l2_margin)):
        found = optima_of_rows(patterns, labels, rows, norm)
        assert found.weights.shape == (3, 30)
        for place, i in enumerate(rows):
            others = [j for j in range(30) if j != i]
            y = np.where(labels[:, i], 1, -1)
            expected = single(patterns[:, others], y)
            w = found.weights[place]
            assert w[i] == 0
            np.testing.assert_allclose(w[others], expected.weights, rtol=1e-9, atol=1e-12)
            assert found.densities[place] == expected.density
            assert found.margins[place] == pytest.approx(expected.margin)
            h = patterns @ w - found.thresholds[place]
            assert (y * h).min() == pytest.approx(expected.margin)


def test_rows_without_a_solution() -> None:
    patterns = network(10, 40)
    labels = patterns.astype(bool)
    labels[:, 3] = True
    labels[0, 4] = ~labels[0, 4]
    patterns[1], labels[1] = patterns[0], labels[0]
    labels[1, 4] = ~labels[0, 4]
    for norm in (1, 2):
        found = optima_of_rows(patterns, labels, np.array([3, 4]), norm)
        assert all(np.isnan(values).all() for values in (found.margins, found.densities))
        assert np.isnan(found.thresholds).all()
        assert np.isnan(np.delete(found.weights[1], 4)).all()
    nothing = optima_of_rows(patterns, labels, np.array([], int), 1)
    assert nothing.weights.shape == (0, 10)


def test_unusable_rows() -> None:
    patterns = network()
    with pytest.raises(InvalidInputError, match=r"labels: got \(11, 30\), expected \(12, 30\)"):
        optima_of_rows(patterns, patterns[:-1], np.array([0]), 1)
    for bad in ([-1], [0, 30]):
        with pytest.raises(InvalidInputError, match=r"rows: got .* from 0 to 29"):
            optima_of_rows(patterns, patterns, np.array(bad), 1)


# --- exact ----------------------------------------------------------------------------------------


def test_results_describe_the_rows() -> None:
    metrics, arrays = solve(TINY, [0, 5])
    assert arrays["margin"].shape == (2, 2, 2, 12)
    assert len(metrics["conditions"]) == 8
    condition = metrics["conditions"][7]
    assert (condition["norm"], condition["factors"]) == (1, 2)
    assert (condition["n"], condition["load"], condition["patterns"]) == (30, 0.5, 15)
    margin, density = arrays["margin"][1, 1, 1], arrays["density"][1, 1, 1]
    assert (condition["rows"], condition["separable"]) == (12, np.isfinite(margin).sum())
    assert condition["margin"]["mean"] == pytest.approx(np.nanmean(margin))
    assert condition["margin"]["sd"] == pytest.approx(np.nanstd(margin, ddof=1))
    assert condition["density"]["mean"] == pytest.approx(np.nanmean(density))
    # The l1 margin relative to the mean weight, for a row of the first seed.
    generator = optima.Streams(0).numpy("patterns", 30, 15)
    patterns = draw_patterns(30, 15, 0.5, generator, exact=False)
    found = optima_of_rows(patterns, patterns, np.array([3]), 1)
    mean = np.delete(found.weights[0], 3).mean()
    assert margin[3] == pytest.approx(found.margins[0] / (mean * np.sqrt(29 * 0.25)))
    # Histograms of what survives: all of it here, so that they add up to 1.
    total = (arrays["weights"] * np.diff(optima.WEIGHT_EDGES)).sum(-1)
    np.testing.assert_allclose(total, 1, atol=0.03)
    middle = (optima.WEIGHT_EDGES[1:] + optima.WEIGHT_EDGES[:-1]) / 2
    mean_weight = (arrays["weights"] * middle * np.diff(optima.WEIGHT_EDGES)).sum(-1)
    np.testing.assert_allclose(mean_weight, 1, atol=0.15)


def test_numbers_depend_on_the_seed_and_on_no_other_row() -> None:
    full = solve(TINY, [0, 5])
    same(full, solve(TINY, [0, 5]))
    fewer = solve(Plan(n=(30,), loads=(0.5,), rows=3), [5])[1]
    for name in ("margin", "density"):
        of_seed = full[1][name][:, 1, 1, 6:9]
        np.testing.assert_array_equal(fewer[name][:, 0, 0], of_seed)
        assert (of_seed != full[1][name][:, 1, 1, :3]).any()


def test_going_on_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, solved = solve(TINY, [0]), []
    original = optima.optima_of_rows

    def counting(*arguments: Any) -> Any:
        solved.append(len(arguments[2]))
        return original(*arguments)

    monkeypatch.setattr(optima, "optima_of_rows", counting)
    journal = MemoryJournal(killed_at_drop=True)
    with pytest.raises(KilledError):
        solve(TINY, [0], journal)
    assert solved == [4]
    same(expected, solve(TINY, [0], journal))
    # Nothing was done twice.
    assert sum(solved) == 2 * 2 * 2 * 6


@pytest.mark.parametrize(("f", "load"), [(0.5, 0.33), (0.2, 0.5)])
def test_solutions_are_near_the_theory(f: float, load: float) -> None:
    """As near as few rows of small networks allow."""
    metrics, _ = solve(Plan(n=(150,), f=f, loads=(load,), rows=5), [0, 1, 2, 3])
    for condition in metrics["conditions"]:
        margin, density = condition["margin"], condition["density"]
        assert condition["separable"] == 20
        assert margin["mean"] == pytest.approx(margin["theory"], rel=0.15)
        assert density["mean"] == pytest.approx(density["theory"], abs=0.03)


def test_an_exact_activity_makes_the_task_easier() -> None:
    """All weights can then be raised together, at little cost: signs hardly constrain them."""
    plan = Plan(n=(100,), loads=(1.2,), rows=5, exact_activity=True)
    exact, independent = (
        solve(p, [0])[0]["conditions"] for p in (plan, replace(plan, exact_activity=False))
    )
    assert [c["separable"] for c in exact] == [5, 5]
    assert max(c["separable"] for c in independent) < 5


def test_above_the_critical_load() -> None:
    """Rows without a solution are counted, and leave no trace in the means."""
    metrics, arrays = solve(Plan(n=(30,), loads=(1.2, 3.0), rows=20), [0])
    some, none = metrics["conditions"][:2]
    assert 0 < some["separable"] < 20
    assert none["separable"] == 0
    assert np.isfinite(some["margin"]["mean"])
    assert np.isnan([none["margin"]["mean"], none["density"]["mean"]]).all()
    assert np.isnan([some["margin"]["theory"], some["density"]["theory"]]).all()
    assert (arrays["weights"][:, 0, 1] == 0).all()
    for condition, other in zip(metrics["conditions"][:2], metrics["conditions"][2:], strict=True):
        assert condition["separable"] == other["separable"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"f": 0.0}, r"f: got 0, expected an activity"),
        ({"f": 1.5}, r"f: got 1.5, expected an activity"),
        ({"f": float("nan")}, r"f: got nan"),
        ({"n": (100, 1)}, r"n: got 1, expected 2 to 5,000"),
        ({"n": (6000,)}, r"n: got 6000, expected 2 to 5,000"),
        ({"rows": 0}, r"rows: got 0, expected 1 to 24"),
        ({"rows": 25}, r"rows: got 25, expected 1 to 24"),
        ({"loads": (0.2, 0.0)}, r"loads: got 0, expected more than 0"),
        ({"loads": (-1.0,)}, r"loads: got -1, expected more than 0"),
        ({"loads": (1e9,)}, r"loads: got 1e\+09, expected .* at most 20,000 patterns"),
        ({"loads": (0.02,)}, r"loads: got 0.02 with n = 24 and f = 0.5; patterns: got 0"),
        ({"f": 0.02, "exact_activity": True}, r"loads: .*n = 24 and f = 0.02; n: got 24 neurons"),
        ({"f": 1e-4}, r"loads: got 0.2 with n = 24 and f = 0.0001; f: got 0.0001 with 5 patterns"),
    ],
)
def test_impossible_plans(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Plan(**{"n": (24, 30), "loads": (0.2,), "rows": 5} | changed)


def test_no_seed() -> None:
    with pytest.raises(InvalidInputError, match="--seeds: at least one"):
        solve(TINY, [])


# --- theory ---------------------------------------------------------------------------------------


def test_theory_at_the_loads_of_the_paper() -> None:
    metrics, arrays = theory(0.5, 5)
    assert metrics["critical_load"] == 1
    at = metrics["at_loads"]
    assert at["load"] == [0.08, 0.1425, 0.205, 0.2675, 0.33, 0.4533, 0.5767, 0.70]
    published = {0: 0.075, 4: 0.255, 7: 0.42}
    for place, density in published.items():
        assert at["l1_density"][place] == pytest.approx(density, abs=0.02)
    assert set(at["l2_density"]) == {0.5}
    assert at["l2_margin"] == sorted(at["l2_margin"], reverse=True)
    for sparsest, density in zip(at["sparsest_density"], at["l1_density"], strict=True):
        assert 0 < sparsest < density
    np.testing.assert_allclose(arrays["load"], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert arrays["critical_loads"][-1] == 1
    assert arrays["activities"][0] == 1e-3


@pytest.mark.parametrize("f", [1e-6, 0.05, 1 - 1e-6])
def test_curves_end_at_the_critical_load(f: float) -> None:
    metrics, arrays = theory(f, 3)
    assert arrays["load"][-1] == metrics["critical_load"]
    assert all(np.isfinite(values).all() for values in arrays.values())
    for name in ("l2_margin", "l1_margin"):
        assert arrays[name][-1] == pytest.approx(0, abs=1e-6)
    for name in ("l2_density", "l1_density", "sparsest_density"):
        assert arrays[name][-1] == pytest.approx(0.5, abs=1e-4)
    # The run's own activity is among those that critical loads are shown for.
    assert arrays["activities"][0] <= min(f, 1 - f) * (1 + 1e-9)
    assert (np.diff(arrays["critical_loads"]) < 0).all()


@pytest.mark.parametrize(
    ("f", "points", "message"),
    [
        (0.0, 10, "f: got 0"),
        (1.0, 10, "f: got 1"),
        (0.5, 1, "points: got 1, expected 2 to"),
        (0.5, 10**6, "points: got 1000000"),
    ],
)
def test_impossible_theory(f: float, points: int, message: str) -> None:
    for compute in (theory, theory_curves):
        with pytest.raises(InvalidInputError, match=message):
            compute(f, points)
