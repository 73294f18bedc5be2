"""Days of imprinting and nights of replay: against plain loops, from end to end, and resumed."""

import itertools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch

from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import KilledError, MemoryJournal
from synaptic_consolidation import wake_sleep
from synaptic_consolidation.model import Rows, initial_rows
from synaptic_consolidation.patterns import draw_patterns
from synaptic_consolidation.wake_sleep import Plan, are_attractors, imprint, replay_rates, rescaled

CPU = torch.device("cpu")
TINY = Plan(60, 0.1, 12, 140, 120, tests=1)
KINDS = {"balanced", "all-factors", "one-factor", "surviving"}


def go(plan: Plan, seeds: tuple[int, ...] = (0,), journal: Any = None) -> wake_sleep.Results:
    return wake_sleep.run(plan, seeds, device=CPU, journal=journal)


def assert_same(one: wake_sleep.Results, other: wake_sleep.Results) -> None:
    np.testing.assert_equal(one[0], other[0])
    assert one[1].keys() == other[1].keys()
    for name, values in one[1].items():
        np.testing.assert_array_equal(values, other[1][name], err_msg=name)


@pytest.fixture(scope="module")
def tiny() -> wake_sleep.Results:
    return go(TINY)


def newborn(n: int, seed: int = 0) -> Rows:
    factors = 0.6 * np.random.default_rng(seed).uniform(0.7, 1.3, (n, 2, n))
    return initial_rows(np.arange(n), factors.astype(np.float32), 0.1)


# Awake


def test_imprinting_equals_a_plain_loop() -> None:
    n, f = 30, 0.1
    plan = Plan(n, f, 10, 4)
    patterns = draw_patterns(n, 10, f, np.random.default_rng(0), exact=True)
    rows = newborn(n)
    rows.living[3, 7] = rows.living[8, 2] = False
    u_1, u_2 = (rows.factors[:, k].astype(float) for k in (0, 1))
    living, before = rows.living.copy(), rows.factors.copy()
    streams = Streams(5)
    imprint(rows, patterns, plan, streams, Journal())

    def balanced(w: np.ndarray) -> np.ndarray:
        quantile = NormalDist().inv_cdf(1 - f)
        return f * w.sum(1) + math.sqrt(f * (1 - f)) * np.sqrt((w**2).sum(1)) * quantile

    theta = balanced(u_1 * u_2 * living)
    for number in range(4):
        for index in streams.numpy("order", number).permutation(10):
            xi = patterns[index].astype(float)
            h = np.sort((u_1 * u_2 * living) @ xi - theta)
            # Three neurons are to be above the threshold, 27 below.
            d = (h[26] + h[27]) / 2
            for i in range(n):
                for j in range(n):
                    u_1[i, j] = max(u_1[i, j] + 0.01 * abs(d) * (xi[i] - f) * (xi[j] - f), 1e-20)
            theta = balanced(u_1 * u_2 * living)
    others = ~np.eye(n, dtype=bool)
    np.testing.assert_allclose(rows.factors[:, 0][living], u_1[living], rtol=1e-4)
    # What is pruned does not grow unseen.
    assert rows.factors[:, 0][others & ~living].max() < 1e-19
    np.testing.assert_array_equal(rows.factors[:, 1], before[:, 1])
    assert not rows.factors[:, 0][~others].any()
    np.testing.assert_array_equal(rows.living, living)
    np.testing.assert_allclose(rows.theta, theta, rtol=1e-4)
    assert np.abs(rows.factors[:, 0] - before[:, 0]).max() > 0.005


def test_attractors() -> None:
    # A ring of two neurons that excite each other, and one that is always active.
    w = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    rows = initial_rows(np.arange(3), w[:, None], 0.5)
    rows.theta[:] = 0.5, 0.5, -1
    patterns = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]], np.uint8)
    assert are_attractors(rows, patterns).tolist() == [True, False, True, False]
    rows.theta[0] = 1.0  # an input at the threshold is not above it
    assert are_attractors(rows, patterns).tolist() == [False, False, True, False]
    assert are_attractors(rows, patterns[:0]).shape == (0,)


# Asleep


def test_rescaling_keeps_answers() -> None:
    rows = newborn(40)
    rows.factors *= np.random.default_rng(1).uniform(0.2, 2, (40, 1, 1)).astype(np.float32)
    rows.theta[:] = rows.weights.sum(1) * 0.1
    kept = rows.factors.copy()
    plan = Plan(40, 0.1, 12)
    got = rescaled(rows, plan.rule)
    np.testing.assert_array_equal(rows.factors, kept)
    np.testing.assert_allclose(np.square(got.factors).sum((1, 2)), 2 * 70 * 40 / 1000, rtol=1e-5)
    patterns = draw_patterns(40, 50, 0.1, np.random.default_rng(0), exact=True)
    before, after = ((patterns @ r.weights.T - r.theta) for r in (rows, got))
    decided = np.abs(before) > 1e-5
    assert decided.mean() > 0.9
    np.testing.assert_array_equal((before > 0)[decided], (after > 0)[decided])
    # One factor for all patterns of a row.
    ratio = after / np.where(decided, before, np.nan)
    np.testing.assert_allclose(np.nanmax(ratio, 0), np.nanmin(ratio, 0), rtol=0.05)
    assert ratio[decided].min() > 0


def test_rates_of_replay() -> None:
    rates = replay_rates(0, 400)
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0.4, abs=1e-4)
    # The distance to the last rate falls to 1/e of it in 40 cycles.
    np.testing.assert_allclose((0.4 - rates[40:]) / (0.4 - rates[:-40]), math.exp(-1), rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate([replay_rates(0, 7), replay_rates(7, 393)]), rates)


# From end to end


def test_what_a_run_gives(tiny: wake_sleep.Results) -> None:
    metrics, arrays = tiny
    (night,) = metrics["nights"]
    assert (night["seed"], night["day"]) == (0, 1)
    count = int(night["replayed"])
    assert count == round(12 * night["memorised"])
    assert 6 <= count <= 12
    assert math.isnan(night["old_by_day"])
    assert math.isnan(night["old_by_night"])
    course = night["course"]
    assert course["cycle"] == [0, 1, 2, 5, 10, 20, 50, 100, 120]
    for name, values in course.items():
        assert len(values) == 9, name
        assert name == "cycle" or np.shape(values) == (9, 2)
    found = {name.removeprefix("0/1/"): values for name, values in arrays.items()}
    assert len(found) == len(arrays)
    for name, values in course.items():
        np.testing.assert_array_equal(found[f"course/{name}"], values)
    assert found["course/examples"].shape == (9, 60)
    assert "pruned_after_100" in found
    assert "pruned_after_500" not in found
    for when in ("before", "after"):
        assert night[when]["tolerance"].keys() == KINDS
        for kind in KINDS:
            maximum = float(found[f"{when}/{kind}/maximum"])
            np.testing.assert_equal(night[when]["tolerance"][kind], maximum)
        for which in ("familiar", "novel"):
            assert found[f"{when}/sparseness_{which}"].shape == (60,)
            tuning = found[f"{when}/tuning_{which}"]
            assert tuning.shape == (count,)
            assert (np.diff(tuning) <= 0).all()
            assert tuning.mean() == pytest.approx(1, rel=1e-4)
        assert found[f"{when}/robustness_min"].shape == (count,)
        robustness = float(found[f"{when}/robustness_min"].mean())
        assert night[when]["robustness_min"] == pytest.approx(robustness)
        raster = found[f"{when}/raster"]
        assert raster.shape == (100, 5, 60)
        # Memories persist until noise comes.
        assert (raster[:51] == raster[0]).all()
        assert found[f"{when}/weights"].shape == (60, 60)


def test_sleep_prunes_and_strengthens(tiny: wake_sleep.Results) -> None:
    (night,), arrays = tiny[0]["nights"], tiny[1]
    density = [mean for mean, _ in night["course"]["density"]]
    assert density[0] == 1
    assert density[-1] < 0.5
    assert all(later <= earlier for earlier, later in itertools.pairwise(density))
    assert night["kept"] == 1
    before, after = arrays["0/1/before/robustness_min"], arrays["0/1/after/robustness_min"]
    assert (before > 0).all()
    assert after.mean() > 1.7 * before.mean()
    assert (after > before).mean() > 0.8
    tolerance = [night[when]["tolerance"]["balanced"] for when in ("before", "after")]
    assert tolerance[1] > 1.3 * tolerance[0] > 0
    familiar, novel = (night["after"]["sparseness"][w] for w in ("familiar", "novel"))
    assert familiar > novel
    # Weak synapses are pruned, strong ones stay.
    pruned = arrays["0/1/pruned_at_end"]
    assert pruned[:10].mean() > pruned[-5:].mean() + 0.2
    assert (np.diff(arrays["0/1/initial_weight"]) > 0).all()
    assert np.average(pruned) == pytest.approx(1 - density[-1], abs=0.02)
    # Homeostasis: the sum of all squared factors stays, in fewer synapses.
    within, across = (night["course"][name][-1][0] for name in ("within", "across"))
    assert within > 0.5 > across


def test_the_same_seed_gives_the_same_numbers(tiny: wake_sleep.Results) -> None:
    metrics, arrays = go(TINY, (1, 0))
    assert [night["seed"] for night in metrics["nights"]] == [1, 0]
    own = {name: values for name, values in arrays.items() if name.startswith("0/")}
    assert_same(({"nights": metrics["nights"][1:]}, own), tiny)
    assert metrics["nights"][0]["before"] != metrics["nights"][1]["before"]


def test_without_attractors_there_is_nothing_to_replay() -> None:
    with pytest.raises(SharpwaveError, match=r"no pattern of day 1 .* more passes"):
        go(Plan(60, 0.1, 12, 1, 10))


def test_the_course_has_all_marks_with_equal_factors_at_first() -> None:
    metrics, _ = go(Plan(60, 0.1, 12, 250, 5, spread=0.0, tests=1))
    course = metrics["nights"][0]["course"]
    assert {len(values) for values in course.values()} == {len(course["cycle"])}


@pytest.mark.parametrize("lives", [30, 140, 140 + 4])
def test_killed_and_resumed_gives_the_same(lives: int, tiny: wake_sleep.Results) -> None:
    journal = MemoryJournal(lives)
    with pytest.raises(KilledError):
        go(TINY, journal=journal)
    journal.lives = -1
    assert_same(go(TINY, journal=journal), tiny)
    # Awake after every pass; asleep at every mark but the first.
    assert journal.saved == 140 + 8


def killed(whole: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be cut off after its first call."""
    calls = []

    def function(*arguments: Any, **more: Any) -> Any:
        calls.append(0)
        if len(calls) == 2:
            raise KilledError
        return whole(*arguments, **more)

    return function


def test_killed_while_looking(tiny: wake_sleep.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    monkeypatch.setattr(wake_sleep, "tolerances", killed(wake_sleep.tolerances))
    with pytest.raises(KilledError):
        go(TINY, journal=journal)
    done = journal.saved
    assert_same(go(TINY, journal=journal), tiny)
    assert journal.saved == done  # neither the day nor the night again


# Days


@pytest.fixture(scope="module")
def two_days() -> dict[bool, wake_sleep.Results]:
    return {keep: go(Plan(60, 0.3, 4, 300, 1, 2, keep, tests=1)) for keep in (True, False)}


@pytest.mark.parametrize("keep", [True, False])
def test_two_days(keep: bool, two_days: dict[bool, wake_sleep.Results]) -> None:
    metrics, arrays = two_days[keep]
    first, second = metrics["nights"]
    assert [(night["seed"], night["day"]) for night in (first, second)] == [(0, 1), (0, 2)]
    fresh = round(4 * second["memorised"])
    assert fresh > 0
    old = round(first["replayed"] * second["old_by_day"])
    assert old > 0
    assert second["replayed"] == (old if keep else 0) + fresh
    assert len(arrays["0/2/before/robustness_min"]) == second["replayed"]
    # Days have patterns of their own; the second has the synapses that the first night left.
    assert (arrays["0/1/before/raster"][0, -1] != arrays["0/2/before/raster"][0, -1]).any()
    densities = [[mean for mean, _ in night["course"]["density"]] for night in (first, second)]
    assert densities[0][-1] == densities[1][0]


def test_the_first_day_does_not_depend_on_what_follows(
    two_days: dict[bool, wake_sleep.Results],
) -> None:
    one, other = two_days[True], two_days[False]
    np.testing.assert_equal(one[0]["nights"][0], other[0]["nights"][0])
    assert one[0]["nights"][1] != other[0]["nights"][1]
    for name, values in one[1].items():
        if name.startswith("0/1/"):
            np.testing.assert_array_equal(values, other[1][name], err_msg=name)


def test_two_days_resumed(two_days: dict[bool, wake_sleep.Results]) -> None:
    plan = Plan(60, 0.3, 4, 300, 1, 2, tests=1)
    journal = MemoryJournal(300 + 1 + 50)
    with pytest.raises(KilledError):
        go(plan, journal=journal)
    journal.lives = -1
    assert_same(go(plan, journal=journal), two_days[True])


# Plans


def test_marks() -> None:
    assert Plan(cycles=1).marks == [0, 1]
    assert Plan(cycles=5).marks == [0, 1, 2, 5]
    assert Plan(cycles=30).marks == [0, 1, 2, 5, 10, 20, 30]
    assert Plan().marks[-3:] == [20_000, 50_000, 100_000]


def test_the_norm_grows_with_the_network() -> None:
    assert Plan().rule.length == 70
    assert Plan(n=200).rule.norm == pytest.approx(2 * 14)
    assert Plan().rule.beta == 20
    assert not Plan().rule.error_driven


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("n", n) for n in (-1, 1, 5001)),
        *(("f", f) for f in (0.0, 1.0, -0.2, math.nan)),
        *(("patterns", m) for m in (-1, 0, 1, 19)),  # neurons would be left out
        *((name, value) for name in ("passes", "cycles", "days", "tests") for value in (0, -1)),
        *(("passes", 10**4 + 1), ("cycles", 10**8 + 1), ("days", 101), ("tests", 10**4 + 1)),
        *(("spread", spread) for spread in (-0.1, 1.0, math.nan)),
    ],
)
def test_plans_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{name}: got"):
        Plan(**{name: value})


def test_networks_too_small_for_their_activity() -> None:
    Plan(n=20, patterns=20)
    with pytest.raises(InvalidInputError, match=r"^n: got 8 neurons"):
        Plan(n=8, patterns=20)
