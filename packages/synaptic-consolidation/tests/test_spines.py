import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from sharpwave_shared.errors import DataWarning, InvalidInputError
from synaptic_consolidation import spines
from synaptic_consolidation.experiments.synapses import AnalyzeSpines
from synaptic_consolidation.spines import (
    bootstrap_slopes,
    draw_counts,
    moving_average,
    norm_variation,
    pairs,
    population,
    r_squared,
    read_spines,
    rescale,
    slope,
)


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


def test_pairs_leave_out_missing_values_and_begin_with_living_synapses():
    w = rng().uniform(1, 2, (300, 3))
    w[0] = [1.5, np.nan, 1.7]
    w[1] = [1.5, 0, 0]
    found = pairs(w, 1, "shrinkage")
    assert 0 not in found.synapse
    assert np.isfinite(found.change).all()
    # A pair that ends in death is a shrinkage by all there is.
    assert found.change[found.synapse == 1] == pytest.approx(1.5)
    assert found.size[found.synapse == 1] == pytest.approx(1.5)
    assert 0 in pairs(w, 2, "growth").synapse


def test_moving_average_of_changes_around_sizes():
    for synapses in (50, 9):
        w = scaled(0.5, synapses=synapses)
        found = pairs(w * rng(2).normal(1, 1e-3, w.shape), 1, "growth")  # no two are equal
        n = len(found.size)
        width = max(10, round(n / 20))
        assert (width > 10) == (synapses == 50)
        size, change = moving_average(found)
        kernel = np.ones(width) / width
        np.testing.assert_allclose(change, np.convolve(found.change, kernel, "valid"), rtol=1e-9)
        padded = np.convolve(found.change, kernel, "same")
        for w, value in zip(size, change, strict=True):
            assert value == pytest.approx(padded[np.flatnonzero(found.size == w)[0]])


@pytest.mark.parametrize("method", ["moving", "binned", "power", "raw"])
def test_bootstrapped_slopes_are_those_of_resampled_rows(method):
    # Equal sizes would be sorted in another order.
    w = scaled(0.5, synapses=60) * rng(2).normal(1, 1e-3, (60, 20))
    found = pairs(w, 1, "growth")
    counts = draw_counts(60, 5, rng(1))
    assert (counts.sum(1) == 60).all()
    slopes = bootstrap_slopes(found, counts, method)
    assert slopes.std() > 0
    for row, value in zip(counts, slopes, strict=True):
        resampled = pairs(np.repeat(w, row, axis=0), 1, "growth")
        assert value == pytest.approx(slope(resampled, method), abs=1e-5)


@pytest.mark.parametrize("q", [0.4, 1.0, 3.0])
def test_q_min_of_a_population_that_conserves_a_norm(q):
    found = norm_variation(conserving(q), 10, rng())
    assert found.exponents[found.curves[0].argmin()] == pytest.approx(q)
    assert found.curves[0].min() < 1e-12
    # Resampled populations conserve no norm.
    assert found.curves[1:].min() > 1e-3


@pytest.mark.parametrize("rows", [80, 81])
def test_curves_equal_resampling_with_the_same_draws(rows):
    w = rng().lognormal(0, 0.5, (rows, 12))
    w[7, 5:] = 0
    exponents = np.array([0.1, 1.0, 2.5])
    found = norm_variation(w, 20, rng(2), exponents)
    assert found.curves.shape == (20, 3)
    generator = rng(2)
    for index, q in enumerate(exponents):
        norms = (w**q).sum(0) ** (1 / q)
        assert found.curves[0, index] == pytest.approx(norms.std() / norms.mean(), rel=1e-9)
        for curve in range(1, 20):
            norms = []
            words = generator.integers(
                2**64 - 1, size=(12, 41 if rows == 81 else 40), dtype=np.uint64, endpoint=True
            )
            for t in range(12):
                halves = [
                    int(half) for word in words[t].tolist() for half in (word >> 32, word % 2**32)
                ]
                drawn = [half * rows >> 32 for half in halves[:rows]]
                norms.append(sum(w[i, t] ** q for i in drawn) ** (1 / q))
            assert found.curves[curve, index] == pytest.approx(np.std(norms) / np.mean(norms))


def test_every_row_is_drawn_as_often():
    # At every time and in every draw: what varies is 1 for a single row.
    rows, times = 10, 2000
    sums = np.empty(times)
    for row in (0, 4, 9):
        powers = np.zeros((times, rows))
        powers[:, row] = 1
        words = rng(row).integers(2**64 - 1, size=(times, 5), dtype=np.uint64, endpoint=True)
        spines._sums_of_draws(powers, words, sums)
        assert sums.mean() == pytest.approx(1, abs=0.1)
        assert sums.var() == pytest.approx(0.9, abs=0.12)  # binomial


def test_norms_do_not_depend_on_the_unit():
    w = conserving(1.0, synapses=50)
    reference = norm_variation(w, 3, rng())
    for unit in (1e-100, 1e100):
        found = norm_variation(unit * w, 3, rng())
        np.testing.assert_allclose(found.curves, reference.curves, rtol=1e-6, atol=1e-12)


def test_the_population_lives_at_the_end():
    w = np.array([[1.0, np.nan, 2.0], [1.0, 1.0, 0.0], [1.0, 2.0, np.nan], [0.0, 1.0, 1.0]])
    np.testing.assert_array_equal(population(w), [[1, 0, 2], [0, 1, 1]])


def test_rescaled_curves():
    found = norm_variation(conserving(1.0, synapses=100), 30, rng(4))
    rescaled = rescale(found.curves)
    np.testing.assert_array_equal(rescaled.min(1), 0)
    np.testing.assert_array_equal(rescaled.max(1), 1)
    assert found.q_min == pytest.approx(found.minima.mean())
    assert found.minima[3] == found.exponents[rescaled[3] == 0]
    np.testing.assert_array_equal(rescale(np.ones(3)), 0)


def test_r_squared_of_all_curves():
    curves = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert r_squared(curves[:1], curves[0]) == 1
    assert r_squared(curves, np.full(3, 2.0)) == 0
    # Residuals are 0 and 8, of a variance of 4 in all.
    assert r_squared(curves, curves[0]) == -1


SIZES = [[1.038, 0.96, 1.19], [0.302, np.nan, 0.6], [1.271, 1.02, 0.0], [0.8, 0.9, 1.2]]
ROWS = ["1.038,0.960,1.19", "0.302,,0.6", "1.271,1.02,0", "0.8,0.9,1.2"]


def written(tmp_path, lines):
    path = tmp_path / "spines.csv"
    content = lines if isinstance(lines, bytes) else "\n".join(lines).encode()
    path.write_bytes(content)
    return path


def with_index(names, rows=ROWS):
    return [f"{name},{row}" for name, row in zip(names, rows, strict=True)]


FILES = {
    "plain": ROWS,
    "another system": b"\xef\xbb\xbf" + "\r\n".join([*ROWS, "", " "]).encode(),
    "an old Mac": "\r".join(ROWS).encode(),
    "NA": [row.replace(",,", ",NA,") for row in ROWS],
    "#N/A": [row.replace(",,", ", #N/A ,") for row in ROWS],
    "nan": [row.replace(",,", ",nan,") for row in ROWS],
    "quoted": ['"' + row.replace(",", '","') + '"' for row in ROWS],
    "semicolons": [row.replace(",", ";") for row in ROWS],
    "decimal commas": [row.replace(",", ";").replace(".", ",") for row in ROWS],
    "decimal commas and tabs": [row.replace(",", "\t").replace(".", ",") for row in ROWS],
    "tabs": [row.replace(",", "\t") for row in ROWS],
    "spaces": [row.replace(",,", ",nan,").replace(",", "  ") for row in ROWS],
    "names of times": ["t0,t1,t2", *ROWS],
    "quoted names with commas": ['"t, 0","t, 1","t, 2"', *ROWS],
    "names of synapses": with_index(["a", "b", "c", "d"]),
    "names of both": ["spine,t0,t1,t2", *with_index(["a", "b", "c", "d"])],
    "names of one": [",t0,t1,t2", *with_index(["a", "b", "c", "d"])],
}
GUESSES = {
    "times": ["0.0,0.5,1.0", *ROWS],
    "rounded times": ["0,0.33,0.67", *ROWS],
    "uneven days": ["0,1,4", *ROWS],
    "times with commas": [r.replace(",", ";").replace(".", ",") for r in ["0,0.5,1", *ROWS]],
    "numbers of synapses": with_index([0, 1, 2, 3]),
    "numbers in any order": with_index([101, 17, 104, 11]),
    "both": ["0,1,2,3", *with_index([1, 2, 3, 4])],
    "as pandas writes": [",0,1,2", *with_index([0, 1, 2, 3])],
    "a named index": ["spine,t0,t1,t2", *with_index([4, 8, 15, 16])],
    "an index without a name": [",t0,t1,t2", *with_index(["7", "7", "2", "2"])],
    "commas at the end": [f"{row}," for row in ROWS],
    "commas below names": ["t0,t1,t2", *(f"{row},," for row in ROWS)],
}


@pytest.mark.parametrize("kind", FILES)
def test_files_of_sizes(kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sizes = read_spines(str(written(tmp_path, FILES[kind])))
    np.testing.assert_array_equal(sizes, SIZES)


@pytest.mark.parametrize("kind", GUESSES)
def test_what_is_left_out_is_told(kind, tmp_path):
    path = written(tmp_path, GUESSES[kind])
    with pytest.warns(DataWarning, match=f"^{path}: the (first line|first column|columns after)"):
        np.testing.assert_array_equal(read_spines(path), SIZES)


@pytest.mark.parametrize(
    "lines",
    [
        ["1,2,3", "3,2,1", "2,2,2"],  # few numbers, not apart from others by their kind
        ["0,0,0", "1,2.5,2", "1,1,3.5", "2,1.5,2"],
        ["0.5,0.6,0.8", "1,2.5,2", "1.5,1,3.5"],
        ["1,2", "2.5,1.5", "3.5,2.5"],
    ],
)
def test_sizes_are_not_taken_for_names(lines, tmp_path):
    path = written(tmp_path, lines)
    expected = np.array([row.split(",") for row in lines], float)
    if lines[0] == "1,2,3":
        with pytest.warns(DataWarning, match=r"\(1, 2, 3\).*header=False reads sizes there"):
            read_spines(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_spines(path, header=False, index=False), expected)
        if lines[0] != "1,2,3":
            np.testing.assert_array_equal(read_spines(path), expected)


def test_header_and_index_said_outright(tmp_path):
    path = written(tmp_path, ["1,9,8,7", "3,2,1,3", "3,2.5,1,5"])
    whole = np.array([[1, 9, 8, 7], [3, 2, 1, 3], [3, 2.5, 1, 5]])
    for header in (False, True):
        for index in (False, True):
            sizes = read_spines(path, header=header, index=index)
            np.testing.assert_array_equal(sizes, whole[int(header) :, int(index) :])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no line"),
        (b"\n,,\n", "got no line"),
        (b"t0,t1\n", "got no line of sizes"),
        (b"1,2\n3,spine\n", r"line 2: got 'spine', expected numbers"),
        (b"1,time,2\n3,4,5", r"line 1: got 'time'.*; header=True says that"),
        (b"1,2\nspine,1\n", r"line 2: got 'spine'.*; index=True says"),
        (b'"1,2","2,3"\n1,2\n', r"line 1: got '1,2'"),
        (b"1.5;2\n3;2,5\n", r"line 1: got '1.5'"),
        (b"1,2\n\n3,1_0\n", r"line 3: got '1_0'"),
        (b"1,2\n" + b"x" * 10**5 + b",2", r"line 2: got 'x{57}\.\.\.'"),
        (b"1,2\n" + b"x" * 10**6 + b",2", r"line 2: field larger"),
        (b'1,2\n"3,4\n', r"line 2: unexpected end"),
        (b"1\n2\n", "line 1: got a single column"),
        (b"1,2\n3\n", "line 2: got 1 columns, expected 2"),
        (b"1,2\n3,4,5\n", "line 2: got 3 columns, expected 2"),
        (b"1,2\n3,-4\n", "line 2: got -4.0"),
        (b"1,2\n3,inf\n", "line 2: got inf"),
        (b"1,2\n3,1e999\n", "line 2: got inf"),
        (b"1,2\n,NaN\n", "line 2: all values are missing"),
        (b"1,2\n\xff,4\n", "not text in UTF-8"),
        (b"1,2\n3,\x00\n", r"line 2: got '\\+x00'"),
    ],
)
def test_hostile_files(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_spines(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.csv")
    monkeypatch.setattr(spines, "LARGEST_FILE", 10)
    written(tmp_path, ROWS)
    for name, fault in {
        "": "is a folder",
        "none.csv": "no such file",
        "pipe.csv": "not a regular file",
        "spines.csv": "larger than 10 bytes",
        "spines.csv/in": "no such file",
    }.items():
        with pytest.raises(InvalidInputError, match=fault):
            read_spines(tmp_path / name)


def test_arguments_out_of_range():
    w = scaled(0.5, synapses=20)
    for lag in (0, 20):
        with pytest.raises(InvalidInputError, match=f"lag: got {lag}, expected 1 to 19"):
            pairs(w, lag, "growth")
    with pytest.raises(InvalidInputError, match="got 0 pairs"):
        pairs(np.ones((100, 3)), 1, "growth")
    with pytest.raises(InvalidInputError, match="column 3: got no size above 0"):
        norm_variation(w * (np.arange(20) != 2), 2, rng())
    with pytest.raises(InvalidInputError, match="exponents"):
        norm_variation(w, 2, rng(), np.array([0.0]))


def test_a_sweep_over_another_file_is_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = np.loadtxt(Path(__file__).with_name("spines.csv"), delimiter=",")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, power in zip(paths, (1, 2), strict=True):
        np.savetxt(path, sizes**power, delimiter=",")
    tiny = {"synapses": 60, "duration": 20, "dt": 0.05, "bootstraps": 10}
    sweep = {"sigma": [0.05]}
    first, second = (AnalyzeSpines(file=path, factors=(2,), **tiny) for path in paths)
    first.run(0, out="both", sweep=sweep)
    with pytest.raises(InvalidInputError, match="dataset"):
        second.run(0, out="both", sweep=sweep)
