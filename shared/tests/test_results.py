"""Results: stored and read without loss, tidied, and taken together."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_model.experiments.walk import Walk

from sharpwave_shared.errors import ExistingRunError, InvalidInputError, SharpwaveError
from sharpwave_shared.results import (
    Run,
    combine_runs,
    labels,
    measures_of,
    open_run,
    read_results,
    tidy,
    unite_seeds,
    write_results,
)
from sharpwave_shared.run_directory import Record

RECORD = Record(
    package="toy-model",
    version="0.1",
    experiment="walk",
    parameters={"steps": 4},
    seeds=[0, 1],
    identity={},
    status="finished",
)


def stored(data: xr.Dataset, directory: Path) -> xr.Dataset:
    run = Run.computed(Walk(steps=4), RECORD, data, directory)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_results(directory, run)
        return read_results(directory / "results.nc")


def assert_same(a: xr.Dataset, b: xr.Dataset) -> None:
    assert b.identical(a)
    for name in a.variables:
        kinds = a[name].dtype, b[name].dtype
        assert kinds[0] == kinds[1] or {kind.kind for kind in kinds} <= set("UO"), name


# --- Stored --------------------------------------------------------------------------------------

KINDS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]


def test_arrays_of_all_kinds_are_read_as_they_were(tmp_path):
    draw = np.random.default_rng(0)
    variables = {}
    for kind in KINDS:
        for shape in ((), (3,), (0, 2), (1, 1500)):
            values = np.array(draw.integers(0, 100, shape)).astype(kind)
            dims = [f"{length} of {i}" for i, length in enumerate(shape)]
            variables[f"{kind} {shape}"] = (dims, values)
        largest = np.inf if kind[0] == "f" else np.iinfo(kind).max if kind[0] in "iu" else True
        variables[f"{kind} largest"] = ("2 of 1", np.array([largest, 0], kind))
    data = xr.Dataset(variables)
    again = stored(data, tmp_path)
    for name in variables:
        assert again[name].dtype == data[name].dtype, name
        np.testing.assert_array_equal(again[name], data[name], name)


def test_a_dataset_is_read_as_it_was(tmp_path):
    hours = {"long_name": "sleep", "units": "hours"}
    data = xr.Dataset(
        {
            "error": (("seed", "load"), [[1.0, np.nan], [np.inf, 0.1]], {"units": "%"}),
            "asleep": ("seed", [True, False]),
            "sleep": ("seed", [1.0, 2.0], hours),
            "days": ("seed", [1, 2], {"units": "days since 2000-01-01"}),
            "large": ("step", np.zeros(5000, bool)),
            "names": ("rule", ["one", "zweiß"]),
            "empty": (("seed", "none"), np.ones((2, 0))),
            "scalar": 0.5,
        },
        {"seed": [3, 4], "load": ["low", "high"], "epoch": ("step", np.arange(5000))},
        {"note": "", "text": "Größe", "count": 3, "share": 0.5},
    )
    again = stored(data, tmp_path)
    own = {k: v for k, v in again.attrs.items() if k in data.attrs}
    assert_same(data, again.drop_attrs(deep=False).assign_attrs(own))
    assert again["sleep"].dtype == float
    assert {k: type(v) for k, v in own.items()} == {k: type(v) for k, v in data.attrs.items()}
    assert again.attrs["package"] == "toy-model"
    assert json.loads(again.attrs["parameters"]) == {"steps": 4}
    assert json.loads(again.attrs["seeds"]) == [0, 1]
    assert again.attrs["quick"] == 0


@pytest.mark.parametrize("fault", ["missing", "empty", "cut", "text", "directory"])
def test_a_damaged_file_is_one_error_that_names_it(fault, tmp_path):
    stored(xr.Dataset({"x": ("seed", np.arange(5000.0))}), tmp_path)
    path = tmp_path / "results.nc"
    content = path.read_bytes()
    path.unlink()
    if fault == "directory":
        path.mkdir()
    elif fault != "missing":
        path.write_bytes({"empty": b"", "cut": content[:3000], "text": b"<html>no"}[fault])
    with pytest.raises(SharpwaveError, match=r"results\.nc: (is|there is no)"):
        read_results(path)


# --- Runs ----------------------------------------------------------------------------------------


def test_a_stored_run_is_opened(finished):
    run = open_run(str(finished))
    assert run.experiment == Walk(steps=4)
    assert run.directory == finished
    assert run.record.seeds == [0, 1]
    assert list(run.data["seed"]) == [0, 1]
    assert run.data is run.data, "it is read once"
    assert set(run.measures()["measure"]) == {"distance", "right"}
    assert [verdict.claim.name for verdict in run.verify()] == ["far", "both"]
    (figure,) = run.draw().values()
    assert figure.axes
    assert repr(run) == (f"<Run of toy-model Walk(steps=4), seeds 0,1, in {finished}>")


@pytest.mark.usefixtures("undrawn")
def test_runs_are_stored_beside_a_dask_client(tmp_path):
    """As in a worker of a cluster, or a notebook that has one."""
    distributed = pytest.importorskip("distributed")
    alone = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "protocol": "tcp"}
    with distributed.Client(processes=False, **alone) as client:
        data = Walk(steps=2).run(0, out=tmp_path / "here")
        client.submit(lambda: Walk(steps=2).run(0, out=tmp_path / "there") and None).result()
    for name in ("here", "there"):
        xr.testing.assert_identical(open_run(tmp_path / name).data, data)


def test_the_table_is_stored(finished):
    table = pd.read_csv(finished / "metrics.csv", keep_default_na=False)
    assert list(table.columns) == ["seed", "scale", "measure", "value", "units"]
    data = open_run(finished).data
    row = table[(table.seed == 1) & (table.scale == "2.0") & (table.measure == "distance")]
    assert row["value"].item() == data["distance"].sel(seed=1, scale=2).item()
    assert row["units"].item() == "m"


def test_repr_of_a_run_with_many_seeds_fits_a_screen():
    run = Run(Walk(), RECORD.model_copy(update={"seeds": list(range(1000))}))
    assert len(repr(run)) < 120


def changed(directory: Path, **changes) -> Path:
    record = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**record, **changes}))
    return directory


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "failed"}, r"did not finish \(status failed\); resume=True goes on with it"),
        ({"package": "no-such-package"}, "no-such-package, which is not installed"),
        ({"package": "../etc\n"}, "which is not installed"),
        ({"experiment": "trap"}, "toy-model trap, which this version does not know"),
        ({"parameters": {"steps": -1}}, "parameters that this version does not take: steps: got"),
        ({"parameters": {"trap": 1}}, "parameters that this version does not take: trap"),
        ({"parameters": {"kind": {"$ref": "x"}}}, "does not take: kind"),
        ({"seeds": "all"}, "not the record of a run: seeds"),
    ],
)
def test_runs_that_cannot_be_opened(changes, message, finished_copy):
    with pytest.raises(SharpwaveError, match=message) as caught:
        open_run(changed(finished_copy, **changes))
    assert str(caught.value).isprintable()


def test_no_run(tmp_path):
    with pytest.raises(InvalidInputError, match=r"no run there \(it has no run.json\)"):
        open_run(tmp_path)
    with pytest.raises(InvalidInputError, match="no run there"):
        open_run(tmp_path / "nothing")
    assert issubclass(ExistingRunError, InvalidInputError)


# --- Tables --------------------------------------------------------------------------------------


def test_tidy():
    data = xr.Dataset(
        {
            "error": (("load", "seed"), [[1.0, np.nan], [3.0, 4.0]], {"units": "%"}),
            "held": ("seed", [True, False]),
            "count": ("load", [5, 6]),
            "total": 7.0,
            "unknown": ("seed", [np.nan, np.nan]),
            "curve": (("seed", "time"), np.zeros((2, 3))),
            "name": ("seed", ["a", "b"]),
        },
        {"seed": [3, 4], "load": ["low", "high"]},
    )
    table = tidy(data, ["seed", "load", "absent"])
    assert list(table.columns) == ["seed", "load", "measure", "value", "units"]
    assert "\n3,low,error,1.0,%\n" in table.to_csv(index=False), "whole seeds, though some lack"
    rows = [
        (None if pd.isna(r.seed) else int(r.seed), None if pd.isna(r.load) else r.load, *r[2:])
        for r in table.itertuples(index=False)
    ]
    assert rows == [
        (3, "low", "error", 1.0, "%"),
        (3, "high", "error", 3.0, "%"),
        (4, "high", "error", 4.0, "%"),
        (3, None, "held", 1.0, ""),
        (4, None, "held", 0.0, ""),
        (None, "low", "count", 5.0, ""),
        (None, "high", "count", 6.0, ""),
        (None, None, "total", 7.0, ""),
    ]
    assert set(measures_of(data, ["seed", "load"])) == set(data) - {"curve", "name"}


def test_a_table_of_nothing():
    table = tidy(xr.Dataset(), ["seed"])
    assert (list(table.columns), len(table)) == (["measure", "value", "units"], 0)


# --- Taken together ------------------------------------------------------------------------------


def cell(n: float, loads: list[float], seeds=(0, 1)) -> xr.Dataset:
    values = np.array([[100 * n + 10 * load + seed for load in loads] for seed in seeds])
    return xr.Dataset(
        {"error": (("seed", "load"), values, {"units": "%"})},
        {"seed": list(seeds), "load": loads},
    )


def test_runs_with_differing_coordinates_are_combined():
    cells = [
        ({"n": n, "rule": rule}, cell(n, [0.1, 0.2] if n == 3 else [0.2, 0.3]))
        for n in (3, 1)
        for rule in ("x", None)
    ]
    whole = combine_runs(cells)
    assert list(whole["n"].values) == [3, 1], "in the order given"
    assert list(whole["rule"].values) == ["x", "none"]
    assert list(whole["load"].values) == [0.1, 0.2, 0.3]
    assert whole["error"].attrs == {"units": "%"}
    for values, data in cells:
        place = {"n": values["n"], "rule": values["rule"] or "none"}
        found = whole["error"].sel(place).dropna("load").drop_vars(["n", "rule"])
        assert found.transpose("seed", "load").equals(data["error"])
    assert int(whole["error"].isnull().sum()) == 2 * 2 * 2


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from([True, False, None, "a", 1.5]), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=20)
def test_any_grid_is_combined_in_its_order(numbers, others):
    cells = [({"n": n, "o": o}, cell(n, [0.5])) for n in numbers for o in others]
    whole = combine_runs(cells)
    assert list(whole["n"].values) == numbers
    assert list(whole["o"].values) == labels(others)
    expected = [[100.0 * n + 5 for _ in others] for n in numbers]
    assert whole["error"].sel(seed=0, load=0.5).transpose("n", "o").values.tolist() == expected


def test_a_run_that_lacks_a_measure():
    more = cell(2, [0.5]).assign(late=("seed", [1.0, 2.0]))
    whole = combine_runs([({"n": 1}, cell(1, [0.5])), ({"n": 2}, more)])
    assert whole["late"].sel(n=2).values.tolist() == [1, 2]
    assert whole["late"].sel(n=1).isnull().all()


def test_a_result_of_the_parameters_name_is_renamed():
    data = [cell(n, [0.5]).assign(n=("seed", [7.0, 8.0])) for n in (1, 2)]
    whole = combine_runs([({"n": n}, part) for n, part in zip((1, 2), data, strict=True)])
    assert whole["n"].values.tolist() == [1, 2]
    assert whole["n of the results"].sel(n=2).values.tolist() == [7, 8]


def test_labels():
    assert labels([3, 1.5]) == [3.0, 1.5]
    assert labels([3, None, True, (1, 2.5), "a"]) == ["3", "none", "true", "1,2.5", "a"]


def test_seeds_are_united():
    parts = [cell(1, [0.1, 0.2], seeds=(seed,)).assign(shared=("x", [1.0, 2.0])) for seed in (4, 2)]
    whole = unite_seeds(parts)
    assert whole["seed"].values.tolist() == [4, 2]
    assert whole["shared"].dims == ("x",)
    assert whole["error"].sel(seed=2).equals(parts[1]["error"].sel(seed=2))


def test_seeds_of_unequal_lengths_are_filled_up():
    parts = [
        xr.Dataset(
            {
                "time": (("seed", "event"), np.arange(float(count))[None]),
                "kind": (("seed", "event"), np.arange(count)[None]),
            },
            {"seed": [seed]},
        )
        for seed, count in ((0, 1), (1, 3))
    ]
    whole = unite_seeds(parts)
    np.testing.assert_array_equal(whole["time"], [[0, np.nan, np.nan], [0, 1, 2]])
    assert whole["kind"].values.tolist() == [[0, -1, -1], [0, 1, 2]]
    assert whole["kind"].dtype.kind == "i"


def test_results_of_another_run_are_refused(finished_copy, tmp_path):
    Walk(steps=4).run(range(5, 7), out=tmp_path / "other")
    shutil.copy(tmp_path / "other" / "results.nc", finished_copy / "results.nc")
    with pytest.raises(SharpwaveError, match=r"results\.nc: is not what this run wrote"):
        _ = open_run(finished_copy).data
