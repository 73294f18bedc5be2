import os
from pathlib import Path

import numpy as np
import pytest

from sharpwave_shared.data import kaufman_2012
from sharpwave_shared.errors import InvalidInputError
from synaptic_consolidation import spines
from synaptic_consolidation.spines import (
    KAUFMAN_COLUMNS,
    bootstrap_slopes,
    draw_counts,
    living_only,
    moving_average,
    norm_variation,
    pairs,
    r_squared,
    read_spines,
    rescale,
    slope,
)

DATA = Path(os.environ["SHARPWAVE_DATA"]) if "SHARPWAVE_DATA" in os.environ else None


def rng(seed=0):
    return np.random.default_rng(seed)


def scaled(power, synapses=400, times=20, seed=0):
    """Make a recording whose steps are 0.01 w^power times noise."""
    generator = rng(seed)
    w = np.exp(generator.normal(0, 0.7, (synapses, 1)))
    steps = 0.01 * w**power * generator.standard_normal((synapses, times))
    # Two times each: sizes must not wander.
    return (w + np.where(np.arange(times) % 2, steps, 0)).clip(1e-6)


def conserving(q, synapses=500, times=60, seed=0):
    """Make a population that fluctuates while its q-norm does not."""
    generator = rng(seed)
    w = np.exp(generator.normal(0, 0.5, (synapses, 1)))
    w = w * np.exp(0.1 * generator.standard_normal((synapses, times)))
    return w / np.mean(w**q, axis=0) ** (1 / q)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("method", ["moving", "binned", "power", "raw"])
@pytest.mark.parametrize("direction", ["growth", "shrinkage"])
def test_slope_of_a_known_power_law(power, method, direction):
    found = pairs(scaled(power), 1, direction)
    # Few large synapses decide on the squared errors.
    assert slope(found, method) == pytest.approx(power, abs=0.15 if method == "power" else 0.06)


def test_power_law_without_noise_is_exact():
    w = np.exp(rng().normal(0, 0.7, 300))
    recording = np.stack([w, w + 0.1 * w**0.6], 1)
    found = pairs(recording, 1, "growth")
    assert slope(found, "power") == pytest.approx(0.6, abs=1e-5)
    assert slope(found, "raw") == pytest.approx(0.6, abs=1e-9)


def test_pairs_of_every_lag():
    w = rng().uniform(1, 2, (30, 6))
    for lag in range(1, 6):
        for direction, sign in (("growth", 1), ("shrinkage", -1)):
            expected = sorted(
                (w[i, t], abs(w[i, t + lag] - w[i, t]))
                for i in range(30)
                for t in range(6 - lag)
                if sign * (w[i, t + lag] - w[i, t]) > 0
            )
            if len(expected) < spines.FEWEST_PAIRS:
                continue
            found = pairs(w, lag, direction)
            assert list(zip(found.size, found.change, strict=True)) == expected


def test_pairs_leave_out_missing_values_and_dead_synapses():
    w = rng().uniform(1, 2, (300, 3))
    w[0] = [1.5, np.nan, 1.7]
    w[1] = [1.5, 0, 0]
    found = pairs(w, 1, "shrinkage")
    assert not np.isin([0, 1], found.synapse).any()
    assert np.isfinite(found.change).all()
    assert 0 in pairs(w, 2, "growth").synapse


def test_moving_average_is_that_of_windows():
    found = pairs(scaled(0.5, synapses=50), 1, "growth")
    n = len(found.size)
    width = n // 20
    kernel = np.ones(width) / width
    size, change = moving_average(found)
    assert n - width + 1 <= spines.PLACES
    np.testing.assert_allclose(size, np.convolve(found.size, kernel, "valid"), rtol=1e-9)
    np.testing.assert_allclose(change, np.convolve(found.change, kernel, "valid"), rtol=1e-9)


@pytest.mark.parametrize("method", ["moving", "binned", "power", "raw"])
def test_bootstrapped_slopes_are_those_of_resampled_rows(method):
    # Equal sizes would be sorted in another order.
    w = scaled(0.5, synapses=60) * rng(2).normal(1, 1e-3, (60, 20))
    found = pairs(w, 1, "growth")
    counts = draw_counts(60, 5, rng(1))
    slopes = bootstrap_slopes(found, counts, method)
    assert slopes.std() > 0
    for row, value in zip(counts, slopes, strict=True):
        resampled = pairs(np.repeat(w, row, axis=0), 1, "growth")
        assert value == pytest.approx(slope(resampled, method), abs=1e-5)


@pytest.mark.parametrize("q", [0.4, 0.7, 1.0, 2.0, 3.0])
def test_q_min_of_a_population_that_conserves_a_norm(q):
    found = norm_variation(conserving(q), draw_counts(500, 50, rng()))
    assert found.exponents[found.measured.argmin()] == pytest.approx(q)
    assert found.measured.min() < 1e-12
    # Resampled populations conserve no norm exactly: their minima are spread, mostly below.
    assert 0.3 * q < found.q_min < 1.1 * q
    assert found.q_min_sd < q


@pytest.mark.parametrize("gaps", [False, True])
def test_bootstraps_equal_resampling_with_the_same_indices(gaps, monkeypatch):
    monkeypatch.setattr(spines, "BLOCK", 30)
    w = rng().lognormal(0, 0.5, (80, 12))
    if gaps:
        w[rng(1).random(w.shape) < 0.2] = np.nan
    w[7, 5:] = 0
    counts = draw_counts(80, 20, rng(2))
    generator = rng(2)
    exponents = np.array([0.1, 1.0, 2.5])
    found = norm_variation(w, counts, exponents)
    for row in found.bootstrapped:
        sample = w[generator.integers(80, size=80)]
        for q, cv in zip(exponents, row, strict=True):
            norms = np.nanmean(sample**q, axis=0) ** (1 / q)
            assert cv == pytest.approx(norms.std() / norms.mean(), rel=1e-9)
    norms = np.nanmean(w**2.5, axis=0) ** (1 / 2.5)
    assert found.measured[2] == pytest.approx(norms.std() / norms.mean(), rel=1e-9)
    assert len(found.measured) == 3


def test_norms_do_not_depend_on_the_unit():
    w, counts = conserving(1.0), draw_counts(500, 3, rng())
    reference = norm_variation(w, counts)
    for unit in (1e-100, 1e100):
        found = norm_variation(unit * w, counts)
        np.testing.assert_allclose(found.bootstrapped, reference.bootstrapped, rtol=1e-6)


def test_dead_synapses_count_in_norms_or_not():
    w = conserving(1.0)
    w[:250, 30:] = 0  # half of them die
    counts = draw_counts(500, 3, rng())
    assert norm_variation(w, counts).measured.min() > 0.01
    kept = norm_variation(living_only(w), counts)
    assert kept.measured.min() < 0.02
    assert np.isnan(living_only(w)[0, 30])
    assert w[0, 30] == 0


def test_a_population_may_lack_values_at_a_time():
    w = conserving(1.0, synapses=10)
    w[1:, 3] = np.nan  # only the first synapse is measured then
    found = norm_variation(w, draw_counts(10, 50, rng()))
    assert np.isfinite(found.bootstrapped).all()


def test_counts_and_rescaled_curves():
    counts = draw_counts(100, 30, rng(4))
    assert counts.shape == (30, 100)
    assert (counts.sum(1) == 100).all()
    np.testing.assert_array_equal(counts, draw_counts(100, 30, rng(4)))
    found = norm_variation(conserving(1.0, synapses=100), counts)
    np.testing.assert_array_equal(found.rescaled.min(1), 0)
    np.testing.assert_array_equal(found.rescaled.max(1), 1)
    assert found.q_min == pytest.approx(found.minima.mean())
    np.testing.assert_array_equal(rescale(np.ones(3)), 0)


def test_r_squared():
    data = np.array([1.0, 2.0, 3.0])
    assert r_squared(data, data) == 1
    assert r_squared(data, np.full(3, 2.0)) == 0
    assert r_squared(data, data[::-1]) == -3


def test_read_spines(tmp_path):
    path = tmp_path / "spines.csv"
    path.write_bytes(b"\xef\xbb\xbf1.5, 2,NaN\r\n0,,3e-1\r\n\r\n")
    expected = [[1.5, 2, np.nan], [0, np.nan, 0.3]]
    np.testing.assert_array_equal(read_spines(path), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no line"),
        (b"\n\n", "got no line"),
        (b"1,2\n3,spine\n", r"line 2: got 'spine', expected numbers"),
        (b"time,1\n", r"line 1: got 'time'"),
        (b"1;2\n", r"line 1: got '1;2'"),
        (b"1,2\n\n3,1_0\n", r"line 3: got '1_0'"),
        (b"1,2\n" + b"x" * 10**6 + b",2", r"line 2: got 'x{30}\.\.\.'"),
        (b"1\n2\n", "line 1: got a single column"),
        (b"1,2\n3\n", "line 2: got a single column"),
        (b"1,2\n3,4,5\n", "line 2: got 3 columns, expected 2"),
        (b"1,2\n3,-4\n", "line 2: got -4.0"),
        (b"1,2\n3,inf\n", "line 2: got inf"),
        (b"1,2\n3,1e999\n", "line 2: got inf"),
        (b"1,2\n,NaN\n", "line 2: all values are missing"),
        (b"1,2\n\xff,4\n", "not text in UTF-8"),
        (b"1,2\n\x00,4\n", r"line 2: got '\\x00'"),
    ],
)
def test_hostile_files(tmp_path, content, message):
    path = tmp_path / "spines.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        read_spines(path)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(InvalidInputError, match="must be a readable CSV file"):
            read_spines(path)


def test_arguments_out_of_range():
    w = scaled(0.5, synapses=20)
    for lag in (0, 20):
        with pytest.raises(InvalidInputError, match=f"lag: got {lag}, expected 1 to 19"):
            pairs(w, lag, "growth")
    with pytest.raises(InvalidInputError, match="got 0 pairs"):
        pairs(np.ones((100, 3)), 1, "growth")
    with pytest.raises(InvalidInputError, match="column 3: got no size above 0"):
        norm_variation(w * (np.arange(20) != 2), draw_counts(20, 2, rng()))
    with pytest.raises(InvalidInputError, match="exponents"):
        norm_variation(w, draw_counts(20, 2, rng()), np.array([0.0]))
    for bootstraps in (0, 2**40):
        with pytest.raises(InvalidInputError, match="bootstraps: got"):
            draw_counts(20, bootstraps, rng())


@pytest.mark.skipif(DATA is None, reason="needs the measured spines")
def test_measured_spines():
    w = kaufman_2012(data_dir=DATA).values[:, KAUFMAN_COLUMNS]
    assert slope(pairs(w, 1, "growth")) == pytest.approx(0.57, abs=0.03)
    assert slope(pairs(w, 1, "shrinkage")) == pytest.approx(0.72, abs=0.03)
