"""Networks that memorise patterns: what a run gives, and on what it does not depend."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.testing import KilledError, MemoryJournal
from synaptic_consolidation import networks
from synaptic_consolidation.learning import Progress
from synaptic_consolidation.networks import Plan, memory_of, run
from synaptic_consolidation.theory import critical_load

CPU = torch.device("cpu")
TINY = Plan(n=30, loads=(0.2,), factors=(1, 2), max_steps=3000, tests=2, optima=3)
KINDS = {"flips", "balanced", "all-factors", "one-factor", "surviving"}
PER_ROW = {"steps", "converged", "margin", "synaptic_margin", "density", "l1", "l2", "wrong"} | {
    *("within", "across"),
    *(f"snr_z{z}" for z in (1, 2, 3, 4)),
}


def go(plan: Plan, seeds: tuple[int, ...] = (0,), journal: Any = None) -> networks.Results:
    return run(plan, seeds, device=CPU, journal=journal)


def assert_same(one: networks.Results, other: networks.Results) -> None:
    np.testing.assert_equal(one[0], other[0])
    assert one[1].keys() == other[1].keys()
    for name, values in one[1].items():
        np.testing.assert_array_equal(values, other[1][name], err_msg=name)


@pytest.fixture(scope="module")
def tiny() -> networks.Results:
    return go(TINY, (3, 0))


def test_what_a_run_gives(tiny: networks.Results) -> None:
    metrics, arrays = tiny
    conditions = metrics["conditions"]
    assert [(c["seed"], c["load"], c["factors"], c["patterns"]) for c in conditions] == [
        (seed, 0.2, z, 6) for seed in (3, 0) for z in (1, 2)
    ]
    for c in conditions:
        key = f"{c['seed']}/{c['load']:g}/{c['factors']}/"
        found = {k.removeprefix(key): v for k, v in arrays.items() if k.startswith(key)}
        optimal = {"optimal_margin", "optimal_density", "share_of_optimum"}
        curves = {f"{kind}/{part}" for kind in KINDS for part in ("level", "recall", "error")}
        assert found.keys() == PER_ROW | optimal | curves | {
            *("histogram", "symmetry"),
            *(f"{kind}/maximum" for kind in KINDS),
        }
        assert {found[name].shape for name in PER_ROW} == {(30,)}
        assert {found[name].shape for name in optimal} == {(3,)}
        assert {found[name].shape for name in curves} == {(200,)}
        assert (found["steps"] == 3000).all()
        for name in PER_ROW | optimal:
            known = found[name][~np.isnan(found[name])].astype(float)
            if not len(known):
                assert c["factors"] == 1
                assert name in ("within", "across")
                assert math.isnan(c[name]["mean"])
                continue
            assert c[name]["mean"] == pytest.approx(known.mean())
            assert c[name]["sd"] == pytest.approx(known.std(), abs=1e-12)
        maxima = {kind: float(found[f"{kind}/maximum"]) for kind in KINDS}
        np.testing.assert_equal(c["tolerance"], maxima)
        assert c["symmetry"] == float(found["symmetry"])
        assert (found["share_of_optimum"] < 1 + 1e-4).all()
        assert found["flips/recall"][0] == 1 or c["factors"] == 1


def test_the_same_seed_gives_the_same_numbers(tiny: networks.Results) -> None:
    metrics, arrays = tiny
    alone = go(TINY, (0,))
    expected = {k: v for k, v in arrays.items() if k.startswith("0/")}
    assert_same(alone, ({"conditions": metrics["conditions"][2:]}, expected))
    one, other = (arrays[f"{seed}/0.2/2/margin"] for seed in (0, 3))
    assert (one != other).any()


def test_conditions_do_not_depend_on_each_other(tiny: networks.Results) -> None:
    plan = Plan(**vars(TINY) | {"loads": (0.4, 0.2), "factors": (2,)})
    metrics, arrays = go(plan)
    other, same = metrics["conditions"]
    np.testing.assert_equal(same, tiny[0]["conditions"][-1])
    assert (other["load"], other["patterns"]) == (0.4, 12)
    assert other["density"]["mean"] > same["density"]["mean"]
    for name, values in arrays.items():
        if "/0.2/" in name:
            np.testing.assert_array_equal(values, tiny[1][name], err_msg=name)


def test_some_rows_are_those_of_the_whole_network(tiny: networks.Results) -> None:
    metrics, arrays = go(Plan(**vars(TINY) | {"rows": 7, "optima": 7}))
    for c in metrics["conditions"]:
        assert "symmetry" not in c
        assert c["tolerance"] == {}
        for name in PER_ROW:
            key = f"0/{c['load']:g}/{c['factors']}/{name}"
            assert arrays[key].shape == (7,)
            exact = name in ("steps", "converged", "density", "within", "across")
            np.testing.assert_allclose(
                *(arrays[key], tiny[1][key][:7]),
                rtol=0 if exact else 1e-4,
                atol=0 if exact else 1e-6,
                err_msg=key,
            )
        # The first of the three that the whole network compares is among them.
        key = f"0/{c['load']:g}/{c['factors']}/optimal_margin"
        assert arrays[key][0] == pytest.approx(tiny[1][key][0])
    assert not any("flips" in name for name in arrays)


def test_more_factors_have_no_optima() -> None:
    plan = Plan(n=20, loads=(0.3,), factors=(3, 10), max_steps=5, tests=1)
    metrics, arrays = go(plan)
    assert not any("optim" in name for name in arrays)
    assert [c["factors"] for c in metrics["conditions"]] == [3, 10]


@pytest.mark.parametrize("lives", [1, 6])
def test_killed_and_resumed_gives_the_same(lives: int, tiny: networks.Results) -> None:
    journal = MemoryJournal(lives)
    with pytest.raises(KilledError):
        go(TINY, (3, 0), journal)
    journal.lives = -1
    assert_same(go(TINY, (3, 0), journal), tiny)
    assert journal.saved == 4 * 3


# Tasks


@pytest.mark.parametrize("task", ["attractors", "sequence"])
def test_labels(task: networks.Task) -> None:
    plan = Plan(n=40, loads=(0.175,), task=task)
    memory = memory_of(plan, 0, 0.175)
    patterns = memory.patterns
    assert patterns.shape == (7, 40)
    if task == "attractors":
        np.testing.assert_array_equal(memory.after_one, patterns)
        np.testing.assert_array_equal(memory.targets, patterns)
        return
    for m in range(7):
        np.testing.assert_array_equal(memory.after_one[m], patterns[(m + 1) % 7])
        np.testing.assert_array_equal(memory.targets[m], patterns[(m + 50) % 7])


def test_a_network_steps_along_its_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Progress] = []
    whole = networks.consolidate

    def watched(*arguments: Any, **more: Any) -> Progress:
        kept.append(whole(*arguments, **more))
        return kept[-1]

    monkeypatch.setattr(networks, "consolidate", watched)
    plan = Plan(
        n=40, f=0.4, exact_activity=True, loads=(0.175,), factors=(2,), task="sequence",
        max_steps=8000, tests=1, optima=0,
    )  # fmt: skip
    metrics, arrays = go(plan)
    patterns = memory_of(plan, 0, 0.175).patterns
    assert (patterns.sum(1) == 16).all()
    rows = kept[0].rows
    state = patterns[0]
    for step in range(1, 20):
        state = (rows.weights @ state > rows.theta).astype(np.uint8)
        np.testing.assert_array_equal(state, patterns[step % 7])
    (condition,) = metrics["conditions"]
    assert condition["wrong"]["mean"] == 0
    assert condition["tolerance"]["flips"] > 0.02
    assert arrays["0/0.175/2/flips/recall"][0] == 1
    assert arrays["0/0.175/2/flips/error"][0] == 0


# Plans


def test_above_the_critical_load_steps_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(loads=(0.08, 0.99, 1.01, 2.0))
    assert critical_load(0.5) == pytest.approx(1)
    assert plan.unsolvable == [1.01, 2.0]
    assert [plan.steps(load, 1) for load in plan.loads] == [
        *(80 * 12_500, 990 * 12_500),
        *(100_000, 100_000),
    ]
    assert [plan.steps(0.08, z) for z in (2, 3, 4, 7)] == [80 * n for n in (15_000, *[12_500] * 3)]
    assert Plan(loads=(2.0,), max_steps=7).steps(2.0, 1) == 7

    monkeypatch.setattr(networks, "UNSOLVABLE_STEPS", 1100)
    metrics, arrays = go(Plan(n=12, loads=(3.0,), factors=(2,), tests=1))
    assert (arrays["0/3.0/2/steps"] == 1100).all()
    assert metrics["conditions"][0]["converged"]["mean"] == 0
    assert metrics["conditions"][0]["wrong"]["mean"] > 0
    assert math.isnan(metrics["conditions"][0]["share_of_optimum"]["mean"])


def test_rules_are_the_papers() -> None:
    found = [vars(Plan(beta=30.0).rule(z)) for z in (1, 2, 3, 4, 5)]
    assert [list(rule.values()) for rule in found] == [
        [1, 10, 1e-4, 1e-3, 30, True],
        [2, 20, 5e-3, 5e-3, 30, True],
        [3, 50, 7e-3, 7e-3, 30, True],
        [4, 50, 7e-3, 7e-3, 30, True],
        [5, 50, 7e-3, 7e-3, 30, True],
    ]
    small = Plan(n=250).rule(2)
    assert (small.length, small.eta, small.eta_theta) == pytest.approx((5, 1e-2, 2.5e-3))
    small = Plan(n=250).rule(1)
    assert (small.length, small.eta, small.eta_theta) == pytest.approx((2.5, 4e-4, 1e-3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("n", n) for n in (-1, 1, 5001)),
        *(("f", f) for f in (0.0, 1.0, -0.2, math.nan)),
        *(("loads", loads) for loads in ((), (0.0,), (0.3, -1.0), (101.0,), (math.nan,))),
        *(("factors", z) for z in ((0,), (2, 11), (-1,))),
        *(("rows", rows) for rows in (0, -3, 1001)),
        *(("max_steps", steps) for steps in (0, -1, 10**9 + 1)),
        *(("beta", beta) for beta in (0.0, -1.0, math.inf, math.nan)),
        *(("u0", size) for size in (0.0, -1.0, math.inf, math.nan)),
        *(("tests", tests) for tests in (0, -1, 10**4 + 1)),
        *(("optima", optima) for optima in (-1, 5001)),
    ],
)
def test_plans_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{name}: got"):
        Plan(**{name: value})


def test_loads_that_are_close_are_told_apart() -> None:
    plan = Plan(n=30, loads=(0.2000001, 0.2000002), factors=(1,), rows=1, max_steps=1, optima=0)
    _, arrays = go(plan)
    assert len({name.split("/")[1] for name in arrays}) == 2


def test_networks_too_small_for_their_activity() -> None:
    Plan(n=40, f=0.1, loads=(1.0,))
    with pytest.raises(InvalidInputError, match=r"^f: got 0.0001 with 40 patterns"):
        Plan(n=40, f=0.0001, loads=(1.0,))
    with pytest.raises(InvalidInputError, match=r"^n: got 40 neurons"):
        Plan(n=40, f=0.01, exact_activity=True, loads=(1.0,))
