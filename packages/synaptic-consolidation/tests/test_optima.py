"""The experiments `theory` and `exact`: their numbers, figures for every outcome, and claims."""

from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr

from sharpwave_shared.errors import ParameterError
from synaptic_consolidation import optima
from synaptic_consolidation.claims.exact import CLAIMS
from synaptic_consolidation.exact import largest_l1_margin, largest_l2_margin, optima_of_rows
from synaptic_consolidation.experiments.exact import Exact
from synaptic_consolidation.experiments.theory import Theory
from synaptic_consolidation.patterns import draw_patterns

TINY = Exact(n=(24, 30), loads=(0.2, 0.5), rows=6)


@pytest.fixture(autouse=True, scope="module")
def _small_parts() -> Iterator[None]:
    """Let the rows of every network come in two parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optima, "ROWS_AT_ONCE", 4)
        yield


@pytest.fixture(scope="module")
def tiny() -> xr.Dataset:
    return TINY.run((0, 5))


def network(n: int = 30, m: int = 12, seed: int = 0) -> np.ndarray:
    return draw_patterns(n, m, 0.5, np.random.default_rng(seed), exact=False)


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
    with pytest.raises(ParameterError, match=r"labels: got \(11, 30\), expected \(12, 30\)"):
        optima_of_rows(patterns, patterns[:-1], np.array([0]), 1)
    for bad in ([-1], [0, 30]):
        with pytest.raises(ParameterError, match=r"rows: got .* from 0 to 29"):
            optima_of_rows(patterns, patterns, np.array(bad), 1)


# --- exact ----------------------------------------------------------------------------------------


def test_results_describe_the_rows(tiny: xr.Dataset) -> None:
    data = tiny
    assert dict(data["margin"].sizes) == {"seed": 2, "factors": 2, "n": 2, "load": 2, "row": 6}
    one = data.sel(factors=2, n=30, load=0.5)
    for name in ("margin", "density"):
        np.testing.assert_allclose(one[f"mean_{name}"], one[name].mean("row"))
    np.testing.assert_allclose(one["solved"], one["margin"].notnull().mean("row"))
    # The l1 margin relative to the mean weight, for a row of the first seed.
    generator = optima.Streams(0).numpy("patterns", 30, 15)
    patterns = draw_patterns(30, 15, 0.5, generator, exact=False)
    found = optima_of_rows(patterns, patterns, np.array([3]), 1)
    mean = np.delete(found.weights[0], 3).mean()
    expected = found.margins[0] / (mean * np.sqrt(29 * 0.25))
    assert one["margin"].sel(seed=0)[3] == pytest.approx(expected)
    theory = optima.curves_at(np.array([15 / 29]), 0.5)
    np.testing.assert_allclose(one["expected_density"], theory["l1_density"].item())
    # Histograms of what survives: nearly all of it lies in the bins, around its mean.
    surviving = data["density"].sum("row") * (data["n"] - 1)
    share = data["counts"] / surviving
    middle = (optima.WEIGHT_EDGES[1:] + optima.WEIGHT_EDGES[:-1]) / 2
    np.testing.assert_allclose(share.sum("bin"), 1, atol=0.05)
    np.testing.assert_allclose((share * middle).sum("bin"), 1, atol=0.2)


def test_numbers_depend_on_no_other_row(tiny: xr.Dataset) -> None:
    fewer = Exact(n=(30,), loads=(0.5,), rows=3).run(5)
    for name in ("margin", "density"):
        of_seed = tiny[name].sel(seed=[5], n=[30], load=[0.5], row=slice(3)).isel(row=slice(3))
        np.testing.assert_array_equal(fewer[name], of_seed)


@pytest.mark.parametrize(("f", "load"), [(0.5, 0.33), (0.2, 0.5)])
def test_solutions_are_near_the_theory(f: float, load: float) -> None:
    """As near as few rows of small networks allow."""
    data = Exact(n=(150,), f=f, loads=(load,), rows=5).run(range(4))
    assert (data["solved"] == 1).all()
    for z in (1, 2):
        one = data.sel(factors=z).mean()
        assert one["margin"] == pytest.approx(one["expected_margin"].item(), rel=0.15)
        assert one["density"] == pytest.approx(one["expected_density"].item(), abs=0.03)


def test_an_exact_activity_makes_the_task_easier() -> None:
    """All weights can then be raised together, at little cost: signs hardly constrain them."""
    setup = Exact(n=(100,), loads=(1.2,), rows=5, exact_activity=True)
    assert (setup.run(0)["solved"] == 1).all()
    assert (setup.replaced(exact_activity=False).run(0)["solved"] < 1).all()


def test_above_the_critical_load() -> None:
    """Rows without a solution are counted, and leave no trace in the means."""
    setup = Exact(n=(30,), loads=(1.2, 3.0), rows=20)
    data = setup.run(0).isel(seed=0, n=0)
    some, none = (data.sel(load=load) for load in setup.loads)
    assert ((some["solved"] > 0) & (some["solved"] < 1)).all()
    assert (none["solved"] == 0).all()
    assert some["mean_margin"].notnull().all()
    for name in ("mean_margin", "mean_density"):
        assert none[name].isnull().all()
    for name in ("expected_margin", "expected_density"):
        assert data[name].isnull().all()
    assert (none["counts"] == 0).all()
    assert (data["solved"].sel(factors=1) == data["solved"].sel(factors=2)).all()


@pytest.mark.parametrize(
    ("n", "load", "others"),
    [((12,), 4.0, set()), ((20, 24), 0.3, {"weights", "finite-size"})],
)
def test_figures_that_not_every_run_has(n: tuple[int, ...], load: float, others: set[str]) -> None:
    """Weights only if there are solutions, the effect of N only if it varies."""
    setup = Exact(n=n, loads=(load,), rows=1)
    assert set(setup.figures()(setup, setup.run(0))) == {"margin", "density"} | others


# --- claims ---------------------------------------------------------------------------------------


def finished(rows: int = 50, **changed: float) -> xr.Dataset:
    """Made-up results with the published densities, but for those given by their names."""
    densities = {
        "z1_08": 0.5,
        "z1_7": 0.5,
        "z2_08": 0.075,
        "z2_33": 0.255,
        "z2_7": 0.42,
        "z2_9": 0.1,
    } | changed
    loads = {name: float(f"0.{name[3:]}") for name in densities}
    values = np.zeros((2, len(set(loads.values()))))
    labels = sorted(set(loads.values()))
    for name, density in densities.items():
        values[int(name[1]) - 1, labels.index(loads[name])] = density
    values[0, values[0] == 0] = 0.5
    data = xr.Dataset(
        {"density": (("factors", "load"), values), "solved": (("factors", "load"), values * 0 + 1)},
        {"factors": [1, 2], "load": labels},
    )
    data = data.expand_dims(seed=[0], n=[100, 400])
    return data.assign(density=data["density"].expand_dims(row=rows))


def verdicts(data: xr.Dataset, **changed: object) -> list[bool | None]:
    values = {"n": (100, 400), "loads": tuple(data["load"].values.tolist()), "rows": 50} | changed
    measured = [claim.measure(Exact(**values), data) for claim in CLAIMS]
    return [None if m is None else m.reproduced for m in measured]


def test_claims_judge_densities() -> None:
    assert verdicts(finished()) == [True, True]
    assert verdicts(finished(z1_08=0.47)) == [False, True]
    assert verdicts(finished(z1_33=0.53)) == [False, True]
    assert verdicts(finished(z2_33=0.28)) == [True, False]
    # Loads of which the paper has no density, or near the critical one, do not count.
    assert verdicts(finished(z2_2=0.9, z1_95=0.7)) == [True, True]
    unsolved = finished().copy(deep=True)
    unsolved["solved"].loc[{"factors": 1, "load": 0.08, "n": 400}] = 0.98
    assert verdicts(unsolved) == [False, True]


def test_claims_leave_other_runs_alone() -> None:
    for changed in ({"f": 0.4}, {"exact_activity": True}):
        assert verdicts(finished(), **changed) == [None, None]
    assert verdicts(finished(rows=10), rows=10) == [None, None]
    small = finished().sel(n=[100])
    assert verdicts(small, n=(100,)) == [None, None]


# --- theory ---------------------------------------------------------------------------------------


def test_theory_at_the_loads_of_the_paper() -> None:
    setup = Theory(points=5)
    data = setup.run()
    assert set(setup.figures()(setup, data)) == {"margin", "density", "critical-load"}
    assert data["critical_load"] == 1
    at = data.sel(load=[0.08, 0.1425, 0.205, 0.2675, 0.33, 0.4533, 0.5767, 0.70])
    for load, density in {0.08: 0.075, 0.33: 0.255, 0.70: 0.42}.items():
        assert at["l1_density"].sel(load=load) == pytest.approx(density, abs=0.02)
    assert set(at["l2_density"].values) == {0.5}
    assert (np.diff(at["l2_margin"]) < 0).all()
    assert ((at["sparsest_density"] > 0) & (at["sparsest_density"] < at["l1_density"])).all()
    even = data["load"].values[~np.isin(data["load"], at["load"])]
    np.testing.assert_allclose(even, [0.2, 0.4, 0.6, 0.8, 1.0])
    assert data["critical_loads"][-1] == 1
    assert data["activity"][0] == 1e-3


@pytest.mark.parametrize("f", [1e-6, 0.05, 1 - 1e-6])
def test_curves_end_at_the_critical_load(f: float) -> None:
    data = Theory(f=f, points=3).run()
    assert data["load"][-1] == data["critical_load"]
    assert np.isfinite(data.to_array()).any()
    for name in ("l2_margin", "l1_margin"):
        assert data[name][-1] == pytest.approx(0, abs=1e-6)
    for name in ("l2_density", "l1_density", "sparsest_density"):
        assert data[name].notnull().all()
        assert data[name][-1] == pytest.approx(0.5, abs=1e-4)
    # The run's own activity is among those that critical loads are shown for.
    assert data["activity"][0] <= min(f, 1 - f) * (1 + 1e-9)
    assert (np.diff(data["critical_loads"]) < 0).all()
