"""Days of imprinting and nights of replay: against plain loops, from end to end, and resumed."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.claims import Measurement
from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation import recall
from synaptic_consolidation.claims.wake_sleep import CLAIMS
from synaptic_consolidation.comparison import KNOWN
from synaptic_consolidation.day import are_attractors, imprint, newborn
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.measures import ROW_MEASURES
from synaptic_consolidation.model import initial_rows, rescaled
from synaptic_consolidation.night import ROBUSTNESS, marks_of, replay_rates, rule_of
from synaptic_consolidation.patterns import draw_patterns
from synaptic_consolidation.recall import LEVELS

TINY = WakeSleep(n=80, f=0.1, patterns=12, passes=60, cycles=120, tests=1)
KINDS = {"balanced", "all_factors", "one_factor", "surviving"}


def go(setup: WakeSleep, seeds: tuple[int, ...] = (0,), levels: int = len(LEVELS)) -> xr.Dataset:
    """Run with some of the levels of noise: to measure recall takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall, "LEVELS", LEVELS[:: len(LEVELS) // levels])
        return setup.run(seeds, device="cpu")


@pytest.fixture(scope="module")
def tiny() -> xr.Dataset:
    return go(TINY)


@pytest.fixture(scope="module")
def night(tiny: xr.Dataset) -> xr.Dataset:
    return tiny.isel(seed=0).sel(day=1)


# Awake


def test_imprinting_equals_a_plain_loop() -> None:
    n, f, passes = 80, 0.1, 60
    patterns = draw_patterns(n, 12, f, np.random.default_rng(0), exact=True)
    rows = newborn(n, f)
    assert (rows.factors[rows.factors > 0] == np.float32(0.6)).all()
    # Some synapses were pruned the night before; others are about to be.
    rows.living[3, 7] = rows.living[8, 2] = False
    rows.factors[3, :, 7] = rows.factors[8, :, 2] = 0
    rows.factors[5:9, 0, 11:14] *= 0.003
    u_1, u_2 = (rows.factors[:, k].astype(float) for k in (0, 1))
    streams = Streams(5)
    course = imprint(rows, patterns, f, passes, streams, Journal())

    def balanced(w: np.ndarray) -> np.ndarray:
        quantile = NormalDist().inv_cdf(1 - f)
        return f * w.sum(1) + math.sqrt(f * (1 - f)) * np.sqrt((w**2).sum(1)) * quantile

    theta = balanced(u_1 * u_2)
    learnt = 0
    for number in range(passes):
        for index in streams.numpy("order", number).permutation(12):
            xi = patterns[index].astype(float)
            w = u_1 * u_2
            h = w @ xi - theta
            # Eight neurons are to be above the threshold, 72 below.
            if (h > 0).sum() == 8:
                continue
            learnt += 1
            d = np.sort(h)[71]
            u_1 = np.maximum(u_1 + 0.01 * abs(d) * np.outer(xi - f, xi - f), 1e-20)
            u_1[w <= 1e-10] = u_2[w <= 1e-10] = 0
            theta = balanced(u_1 * u_2)
    living = u_1 * u_2 > 1e-10
    np.testing.assert_array_equal(rows.living, living)
    np.testing.assert_allclose(rows.factors[:, 0], u_1 * living, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(rows.factors[:, 1], u_2 * living, rtol=1e-6)
    np.testing.assert_allclose(rows.theta, theta, rtol=1e-4)
    # All that can happen has happened.
    assert 0 < learnt < passes * 12
    assert living.sum() < n * (n - 1) - 2
    for values in course.values():
        assert len(values) == passes + 1
    assert course["wake_density"][0] > course["wake_density"][-1]
    answers = (patterns @ (u_1 * u_2).T - theta > 0) == patterns
    assert course["wake_memorised"][-1] == pytest.approx(answers.all(1).mean())


def test_attractors() -> None:
    # A ring of two neurons that excite each other, and one that is always active.
    w = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    rows = initial_rows(np.arange(3), w[:, None], 0.5)
    rows.theta[:] = 0.5, 0.5, -1
    patterns = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]], np.uint8)
    assert are_attractors(rows, patterns).tolist() == [True, False, True, False]
    rows.theta[0] = 1.0  # an input at the threshold is not above it
    assert are_attractors(rows, patterns).tolist() == [False, False, True, False]
    rows.theta[0] = 0  # nor below it
    assert are_attractors(rows, patterns).tolist() == [True, False, False, False]
    assert are_attractors(rows, patterns[:0]).shape == (0,)


# Asleep


def test_rescaling_keeps_answers() -> None:
    rows = newborn(40, 0.1)
    rows.factors *= np.random.default_rng(1).uniform(0.2, 2, (40, 1, 1)).astype(np.float32)
    rows.theta[:] = rows.weights.sum(1) * 0.1
    kept = rows.factors.copy()
    got = rescaled(rows, rule_of(40))
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


def test_what_a_run_gives(night: xr.Dataset) -> None:
    count = int(night["replayed"])
    assert count == round(12 * float(night["memorised"]))
    assert 6 <= count <= 12
    assert night["wake_memorised"][-1] == night["memorised"]
    assert night["seen"].values.tolist() == list(range(61))
    assert night["old_by_day"].isnull()
    assert night["old_by_night"].isnull()
    assert night["cycle"].values.tolist() == [0, 1, 2, 5, 6, 10, 15, 20, 50, 100, 120]
    assert night["examples"].shape == (11, 60)
    for names, dim in ((ROW_MEASURES, "row"), (ROBUSTNESS, "memory")):
        for name in names:
            assert night[name].dims == ("cycle", dim)
            values = night[name].isel(cycle=[0, -1])
            known = values.where(np.isfinite(values)).mean(dim)
            np.testing.assert_allclose(night[f"mean_{name}"], known)
    assert night["robustness_min"].shape == (11, count)
    # Shuffling memories in each neuron changes no mean over all.
    np.testing.assert_allclose(
        night["shuffled_mean"].mean("memory"), night["robustness_mean"].mean("memory")
    )
    assert (night["shuffled_mean"] != night["robustness_mean"]).any()
    assert night["look"].values.tolist() == [100, 120]
    for when in ("before", "after"):
        at = night.sel(sleep=when)
        for kind in KINDS:
            share = at[f"recall_{kind}"].dropna("level")
            assert len(share) > 10
            assert at[f"tolerance_{kind}"].isnull() == bool((share >= 0.5).all())
        for which in KNOWN:
            assert at[f"sparseness_{which}"].shape == (80,)
        for which in ("familiar", "novel"):
            tuning = at[f"tuning_{which}"]
            assert tuning.shape == (count,)
            assert (np.diff(tuning) <= 0).all()
        # Of familiar patterns, scores are relative to their own mean.
        assert at["tuning_familiar"].mean() == pytest.approx(0, abs=1e-6)
        raster = at["raster"].transpose("step", "neuron").values
        assert len(raster) == 200
        # Every ten steps another memory comes; memories persist until noise comes.
        assert (raster[:50] == np.repeat(raster[:50:10], 10, 0)).all()
        assert (raster[0] != raster[10]).any()
        assert at["currents"].transpose("step", "neuron").shape == raster.shape
        np.testing.assert_array_equal(at["currents"][:9] > 0, raster[1:10])
        assert at["weights"].shape == (80, 80)
        assert at["histogram"].sum() == pytest.approx(at["mean_density"].item())
    first, second = (night["raster"].sel(sleep=when) for when in ("before", "after"))
    np.testing.assert_array_equal(first[::10], second[::10])  # the same cues


def test_sleep_prunes_and_strengthens(night: xr.Dataset) -> None:
    density = night["density"].mean("row")
    assert density[0] == 1
    assert density[-1] < 0.5
    assert (np.diff(density) <= 0).all()
    assert night["kept"] == 1
    before, after = (night["robustness_min"].isel(cycle=at) for at in (0, -1))
    assert (before > 0).all()
    assert after.mean() > 1.7 * before.mean()
    assert (after.values > before.values).mean() > 0.8
    tolerance = night["tolerance_balanced"].values
    assert tolerance[1] > 1.3 * tolerance[0] > 0
    at = night.sel(sleep="after")
    assert at["mean_sparseness_familiar"] > at["mean_sparseness_novel"]
    # Weak synapses are pruned, strong ones stay.
    pruned = night["pruned"].sel(look=120).values
    assert np.nanmean(pruned[:10]) > np.nanmean(pruned[-5:]) + 0.2
    assert (np.diff(night["initial_weight"].dropna("weight_bin")) > 0).all()
    assert at["mean_within"] > 0.5 > at["mean_across"]


def test_seeds_that_remember_more_or_less_stand_side_by_side() -> None:
    setup = TINY.replaced(cycles=2)
    both, alone = go(setup, (1, 0), levels=20), go(setup, levels=20)
    counts = both["replayed"].values[:, 0].astype(int)
    assert counts[0] != counts[1] == alone["replayed"]
    assert both.sizes["memory"] == max(counts)
    for seed, count in zip((1, 0), counts, strict=True):
        known = both["robustness_min"].sel(seed=seed, cycle=2, day=1).notnull()
        assert known.sum() == count
    own = both.sel(seed=[0]).isel(memory=slice(counts[1]), rank=slice(counts[1]))
    for name in alone.data_vars:
        np.testing.assert_array_equal(
            own[name].dropna("neuron") if name == "raster" else own[name], alone[name], str(name)
        )


def test_without_attractors_there_is_nothing_to_replay() -> None:
    with pytest.raises(SharpwaveError, match=r"no pattern of day 1 .* more passes"):
        go(TINY.replaced(passes=1, cycles=10))


# Days

TWO_DAYS = WakeSleep(n=100, f=0.2, patterns=6, passes=60, cycles=1, days=2, tests=1)


@pytest.fixture(scope="module")
def two_days() -> dict[bool, xr.Dataset]:
    return {keep: go(TWO_DAYS.replaced(keep_old=keep), levels=20) for keep in (True, False)}


@pytest.mark.parametrize("keep", [True, False])
def test_two_days(keep: bool, two_days: dict[bool, xr.Dataset]) -> None:
    data = two_days[keep].isel(seed=0)
    first, second = (data.sel(day=day) for day in (1, 2))
    fresh = round(TWO_DAYS.patterns * float(second["memorised"]))
    assert fresh > 0
    old = round(float(first["replayed"] * second["old_by_day"]))
    assert 0 < old < first["replayed"]
    assert second["replayed"] == (old if keep else 0) + fresh
    robustness = second["robustness_min"].sel(cycle=0)
    assert robustness.notnull().sum() == second["replayed"]
    # Days have patterns of their own; the second begins with what the first night left.
    rasters = [day["raster"].sel(sleep="before", step=0).values for day in (first, second)]
    assert not np.array_equal(*rasters)
    densities = [day["mean_density"] for day in (first, second)]
    assert densities[0].sel(sleep="after") == second["wake_density"][0]
    assert second["wake_density"][-1] == densities[1].sel(sleep="before")


def test_the_first_day_does_not_depend_on_what_follows(
    two_days: dict[bool, xr.Dataset],
) -> None:
    one, other = (
        two_days[keep]
        .sel(day=1)
        .drop_attrs(deep=False)
        .dropna("memory", how="all", subset=["robustness_min"])
        for keep in (True, False)
    )
    for name in ("tolerance_balanced", "robustness_min", "density", "pruned", "weights"):
        np.testing.assert_array_equal(one[name], other[name], name)
    assert not two_days[True].sel(day=2)["weights"].equals(two_days[False].sel(day=2)["weights"])


# Marks and rules


def test_marks() -> None:
    assert marks_of(1) == [0, 1]
    assert marks_of(5) == [0, 1, 2, 5]
    assert marks_of(30) == [0, 1, 2, 5, 6, 10, 15, 20, 30]
    assert marks_of(100_000)[-3:] == [20_000, 50_000, 100_000]


def test_the_norm_grows_with_the_network() -> None:
    assert rule_of(1000).length == 70
    assert rule_of(200).norm == pytest.approx(2 * 14)
    assert rule_of(1000).beta == 20
    assert not rule_of(1000).error_driven


# Claims

BY_NAME = {claim.name: claim for claim in CLAIMS}


def of_paper(
    memories: float, density: float, neural: tuple[float, float], synaptic: tuple[float, float]
) -> xr.Dataset:
    """Make results of a day and a night of the paper's network, tolerances in its units."""
    of_sleep = ("seed", "day", "sleep")
    recall = {
        name: (("seed", "day", "sleep", "level"), [[[[1.0, 0.0], [1.0, np.nan]]]])
        for name in ("recall_balanced", "recall_one_factor")
    }
    levels = {name: ("level", [0.0, 0.784]) for name in ("level_balanced", "level_one_factor")}
    return xr.Dataset(
        recall
        | levels
        | {
            "replayed": (("seed", "day"), [[memories]]),
            "mean_density": (of_sleep, [[[1.0, density]]]),
            "tolerance_balanced": (of_sleep, [[[p * 0.05 / 2 for p in neural]]]),
            "tolerance_one_factor": (of_sleep, [[list(synaptic)]]),
        },
        {"seed": [0], "day": [1], "sleep": ["before", "after"]},
    )


def holds(name: str, setup: WakeSleep, data: xr.Dataset) -> bool | None:
    found = BY_NAME[name].measure(setup, data)
    return None if found is None else found.reproduced


def test_claims_about_the_papers_network() -> None:
    names = ("few-shot-learning", "sleep-prunes", "sleep-makes-robust")
    many, few = WakeSleep(patterns=500), WakeSleep(patterns=200)
    published = of_paper(440, 0.11, (0.13, 0.30), (0.25, 0.59))
    assert [holds(name, many, published) for name in names] == [True] * 3
    assert [holds(name, few, published) for name in names] == [False] * 3
    edges = of_paper(421, 0.119, (0.118, 0.329), (0.274, 0.54))
    assert [holds(name, many, edges) for name in names] == [True] * 3
    beyond = of_paper(419, 0.121, (0.13, 0.331), (0.25, 0.59))
    assert [holds(name, many, beyond) for name in names] == [False] * 3
    # Recall that noise of the highest level does not halve.
    strong = of_paper(200, 0.05, (0.18, 0.43), (0.20, np.nan))
    robust = BY_NAME["sleep-makes-robust"]
    unknown = robust.measure(few, strong)
    assert unknown is not None
    assert "synaptic" not in unknown.shown
    strong["recall_one_factor"].loc[{"sleep": "after"}] = 1.0
    known = robust.measure(few, strong)
    assert known is not None
    assert known.reproduced
    assert "synaptic: 0.200 to 0.784 or more" in known.shown
    # Of other networks, only that they gain is claimed.
    other = WakeSleep(n=900, patterns=200)
    assert [holds(name, other, published) for name in names] == [None, None, True]
    weak = of_paper(440, 0.11, (0.2, 0.3), (0.2, 0.6))
    assert holds("sleep-makes-robust", other, weak) is False


def weak_gain(
    before: np.ndarray, after: np.ndarray, shuffled: np.ndarray | None = None
) -> Measurement | None:
    dims = ("seed", "cycle", "day", "memory")
    values = {
        name: (dims, np.array([before, end])[None, :, None])
        for name in ROBUSTNESS
        for end in [shuffled if shuffled is not None and name.startswith("shuffled") else after]
    }
    data = xr.Dataset(values, {"seed": [0], "cycle": [0, 40], "day": [1]})
    data = data.assign(replayed=(("seed", "day"), [[len(before)]]))
    of_mean, of_weakest = (BY_NAME[name].measure(WakeSleep(cycles=40), data) for name in GAINS_MOST)
    assert of_mean == of_weakest
    return of_mean


GAINS_MOST = ("weak-gain-most", "weakest-gain-most")


@pytest.mark.parametrize(
    ("slope", "of_shuffled", "expected"),
    [(0.5, 1.0, True), (-0.5, 0.8, True), (1.0, 1.0, False), (0.2, 0.2, False), (0.2, 0.0, False)],
)
def test_weak_memories_gain_most_if_they_do_more_than_by_chance(
    slope: float, of_shuffled: float, expected: bool
) -> None:
    generator = np.random.default_rng(0)
    before = generator.random(200)
    after, shuffled = (
        2 + one * before + 0.1 * generator.standard_normal(200) for one in (slope, of_shuffled)
    )
    found = weak_gain(before, after, shuffled)
    assert found is not None
    assert found.reproduced is expected
    assert found.values["slope after 40 cycles"] == pytest.approx(slope, abs=0.1)
    assert found.values["slope of shuffled memories"] == pytest.approx(of_shuffled, abs=0.1)


def test_memories_that_are_all_alike_have_no_slope() -> None:
    """With 1 / f patterns, every neuron is active in one of them."""
    after = np.linspace(1, 2, 20)
    assert weak_gain(np.ones(20), after) is None
    assert weak_gain(np.full(20, np.inf), after) is None
