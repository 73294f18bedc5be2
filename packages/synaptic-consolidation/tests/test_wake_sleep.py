"""Days of imprinting and nights of replay: against plain loops, from end to end, and resumed."""

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import killed_and_resumed
from synaptic_consolidation.day import are_attractors, imprint
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.measures import ROW_MEASURES
from synaptic_consolidation.model import Rows, initial_rows
from synaptic_consolidation.night import marks_of, replay_rates, rescaled, rule_of
from synaptic_consolidation.patterns import draw_patterns

TINY = WakeSleep(n=60, f=0.1, patterns=12, passes=140, cycles=120, tests=1)
KINDS = {"balanced", "all_factors", "one_factor", "surviving"}


def go(setup: WakeSleep, seeds: tuple[int, ...] = (0,)) -> xr.Dataset:
    return setup.run(seeds, device="cpu")


@pytest.fixture(scope="module")
def tiny() -> xr.Dataset:
    return go(TINY)


@pytest.fixture(scope="module")
def night(tiny: xr.Dataset) -> xr.Dataset:
    return tiny.isel(seed=0).sel(day=1)


def newborn(n: int, seed: int = 0) -> Rows:
    factors = 0.6 * np.random.default_rng(seed).uniform(0.7, 1.3, (n, 2, n))
    return initial_rows(np.arange(n), factors.astype(np.float32), 0.1)


# Awake


def test_imprinting_equals_a_plain_loop() -> None:
    n, f = 30, 0.1
    patterns = draw_patterns(n, 10, f, np.random.default_rng(0), exact=True)
    rows = newborn(n)
    rows.living[3, 7] = rows.living[8, 2] = False
    u_1, u_2 = (rows.factors[:, k].astype(float) for k in (0, 1))
    living, before = rows.living.copy(), rows.factors.copy()
    streams = Streams(5)
    imprint(rows, patterns, f, 4, streams, Journal())

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
    assert night["old_by_day"].isnull()
    assert night["old_by_night"].isnull()
    assert night["cycle"].values.tolist() == [0, 1, 2, 5, 10, 20, 50, 100, 120]
    assert night["examples"].shape == (9, 60)
    for name in ROW_MEASURES:
        assert night[name].dims == ("cycle", "row")
        values = night[name].isel(cycle=[0, -1])
        known = values.where(np.isfinite(values)).mean("row")
        np.testing.assert_allclose(night[f"mean_{name}"], known)
    assert night["look"].values.tolist() == [100, 120]
    for when in ("before", "after"):
        at = night.sel(sleep=when)
        for kind in KINDS:
            recall = at[f"recall_{kind}"].dropna("level")
            assert len(recall) > 10
            assert at[f"tolerance_{kind}"].isnull() == bool((recall >= 0.5).all())
        for which in ("familiar", "novel"):
            assert at[f"sparseness_{which}"].shape == (60,)
            tuning = at[f"tuning_{which}"]
            assert tuning.shape == (count,)
            assert (np.diff(tuning) <= 0).all()
            assert tuning.mean() == pytest.approx(1, rel=1e-4)
        assert at["robustness_min"].shape == (count,)
        assert at["mean_robustness_min"] == pytest.approx(at["robustness_min"].mean().item())
        raster = at["raster"].transpose("step", "cue", "neuron").values
        assert raster.shape[:2] == (100, 5)
        # Memories persist until noise comes; some neurons are silent in all of them.
        assert (raster[:51] == raster[0]).all()
        assert (raster[0].any(0) == np.sort(raster[0].any(0))[::-1]).all()
        assert raster[0].any(0).sum() <= raster.shape[2] - 20
        assert at["weights"].shape == (60, 60)


def test_sleep_prunes_and_strengthens(night: xr.Dataset) -> None:
    density = night["density"].mean("row")
    assert density[0] == 1
    assert density[-1] < 0.5
    assert (np.diff(density) <= 0).all()
    assert night["kept"] == 1
    before, after = (night["robustness_min"].sel(sleep=when) for when in ("before", "after"))
    assert (before > 0).all()
    assert after.mean() > 1.7 * before.mean()
    assert (after.values > before.values).mean() > 0.8
    tolerance = night["tolerance_balanced"].values
    assert tolerance[1] > 1.3 * tolerance[0] > 0
    at = night.sel(sleep="after")
    assert at["mean_sparseness_familiar"] > at["mean_sparseness_novel"]
    # Weak synapses are pruned, strong ones stay.
    pruned = night["pruned"].sel(look=120).values
    assert pruned[:10].mean() > pruned[-5:].mean() + 0.2
    assert (np.diff(night["initial_weight"]) > 0).all()
    assert pruned.mean() == pytest.approx(1 - float(density[-1]), abs=0.02)
    # Homeostasis: the sum of all squared factors stays, in fewer synapses.
    assert at["mean_within"] > 0.5 > at["mean_across"]


def test_seeds_that_remember_more_or_less_stand_side_by_side(tiny: xr.Dataset) -> None:
    both = go(TINY, (1, 0))
    counts = both["replayed"].values[:, 0].astype(int)
    assert counts[0] != counts[1] == tiny["replayed"]
    assert both.sizes["memory"] == max(counts)
    for seed, count in zip((1, 0), counts, strict=True):
        known = both["robustness_min"].sel(seed=seed, sleep="after", day=1).notnull()
        assert known.sum() == count
    own = both.sel(seed=[0]).isel(memory=slice(counts[1]), rank=slice(counts[1]))
    for name in tiny.data_vars:
        np.testing.assert_array_equal(
            own[name].dropna("neuron") if name == "raster" else own[name], tiny[name], str(name)
        )


def test_without_attractors_there_is_nothing_to_replay() -> None:
    with pytest.raises(SharpwaveError, match=r"no pattern of day 1 .* more passes"):
        go(TINY.replaced(passes=1, cycles=10))


def test_the_course_has_all_marks_with_equal_factors_at_first() -> None:
    data = go(WakeSleep(n=60, f=0.1, patterns=12, passes=250, cycles=5, spread=0.0, tests=1))
    assert data["cycle"].values.tolist() == [0, 1, 2, 5]
    assert data["density"].notnull().all()


# Days

TWO_DAYS = WakeSleep(n=60, f=0.3, patterns=4, passes=300, cycles=1, days=2, tests=1)


@pytest.fixture(scope="module")
def two_days() -> dict[bool, xr.Dataset]:
    return {keep: go(TWO_DAYS.replaced(keep_old=keep)) for keep in (True, False)}


@pytest.mark.parametrize("keep", [True, False])
def test_two_days(keep: bool, two_days: dict[bool, xr.Dataset]) -> None:
    data = two_days[keep].isel(seed=0)
    first, second = (data.sel(day=day) for day in (1, 2))
    fresh = round(4 * float(second["memorised"]))
    assert fresh > 0
    old = round(float(first["replayed"] * second["old_by_day"]))
    assert old > 0
    assert second["replayed"] == (old if keep else 0) + fresh
    robustness = second["robustness_min"].sel(sleep="before")
    assert robustness.notnull().sum() == second["replayed"]
    # Days have patterns of their own; the second has the synapses that the first night left.
    rasters = [day["raster"].sel(sleep="before", step=0).values for day in (first, second)]
    assert not np.array_equal(*rasters)
    densities = [day["mean_density"] for day in (first, second)]
    assert densities[0].sel(sleep="after") == densities[1].sel(sleep="before")


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


@pytest.mark.usefixtures("_no_figures")
def test_two_days_resumed(tmp_path: Path) -> None:
    setup = WakeSleep(n=150, f=0.1, patterns=12, passes=40, cycles=1, days=2, tests=1)
    found, kills = killed_and_resumed(setup, tmp_path / "run", every=40)
    assert kills > 1
    assert found.identical(setup.run(0))


# Marks and rules


def test_marks() -> None:
    assert marks_of(1) == [0, 1]
    assert marks_of(5) == [0, 1, 2, 5]
    assert marks_of(30) == [0, 1, 2, 5, 10, 20, 30]
    assert marks_of(100_000)[-3:] == [20_000, 50_000, 100_000]


def test_the_norm_grows_with_the_network() -> None:
    assert rule_of(1000).length == 70
    assert rule_of(200).norm == pytest.approx(2 * 14)
    assert rule_of(1000).beta == 20
    assert not rule_of(1000).error_driven
