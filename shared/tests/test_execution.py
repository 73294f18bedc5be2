"""Runs: however an experiment is run, the same comes out; sweeps; failures stop no others."""

import json
import multiprocessing
import random
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import xarray as xr
from toy_model.experiments.parts import Parts
from toy_model.experiments.walk import Brittle, Herd, Walk

from sharpwave_shared import journal
from sharpwave_shared.errors import (
    DataWarning,
    InvalidInputError,
    ParameterError,
    SharpwaveError,
)
from sharpwave_shared.execution import parse_sweep, run_all
from sharpwave_shared.experiment import Options
from sharpwave_shared.parameters import Between, Parameters
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.results import open_run, unite_seeds
from sharpwave_shared.testing import killed_and_resumed

fork = multiprocessing.get_context("fork")
SEEDS = (3, 1)
EXPERIMENTS = [Walk(steps=5, kind="biased", drift=0.5), Herd(steps=5), Parts(), Brittle(steps=4)]


def assert_same(data: xr.Dataset, expected: xr.Dataset) -> None:
    # What differs is only what the attributes say of the seeds.
    xr.testing.assert_identical(data.drop_attrs(deep=False), expected.drop_attrs(deep=False))


@pytest.fixture
def computed(monkeypatch):
    """Experiments that are computed, one after the other."""
    experiments = []
    compute = Walk.compute

    def computing(self, job):
        experiments.append((self, job.seeds))
        return compute(self, job)

    monkeypatch.setattr(Walk, "compute", computing)
    return experiments


def statuses(directory: Path) -> dict[str, str]:
    return {
        path.parent.name: json.loads(path.read_text())["status"]
        for path in directory.rglob("run.json")
        if path.parent != directory
    }


def run_stored(experiment, seeds, **options):
    """Run an experiment as its command does, into the directories that it chooses."""
    return run_all([experiment], Options(seeds=seeds, **options), Reporter(quiet=True))


# --- The same numbers ----------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_stored_and_killed_and_alone_is_the_same(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = experiment.run(SEEDS)
    assert not list(tmp_path.iterdir()), "nothing is stored without being asked for"
    assert list(expected["seed"].values) == list(SEEDS)
    assert_same(unite_seeds([experiment.run(seed) for seed in SEEDS]), expected)
    if experiment.seeds_apart:
        return
    assert experiment.run(SEEDS, out=tmp_path / "stored").identical(expected)
    data, kills = killed_and_resumed(experiment, tmp_path / "killed", SEEDS, every=2)
    assert data.identical(expected)
    assert kills > 1


def work(out: Path) -> None:
    journal.CHECKPOINT_INTERVAL = 0.0
    Walk(steps=60, scales=(1.0,)).run(SEEDS, out=out, resume=True)


@pytest.mark.usefixtures("undrawn")
def test_killed_at_any_moment(tmp_path):
    chance = random.Random(0)
    killed = 0
    for _ in range(6):
        process = fork.Process(target=work, args=(tmp_path / "run",))
        process.start()
        limit = time.monotonic() + 60
        while process.is_alive() and not (tmp_path / "run" / "run.json").exists():
            assert time.monotonic() < limit
            time.sleep(0.002)
        time.sleep(chance.uniform(0.01, 0.2))
        process.kill()
        process.join()
        killed += process.exitcode != 0
    assert killed > 1
    data = Walk(steps=60, scales=(1.0,)).run(SEEDS, out=tmp_path / "run", resume=True)
    assert data.identical(Walk(steps=60, scales=(1.0,)).run(SEEDS))
    assert not list((tmp_path / "run").rglob(".partial-*"))


def test_a_run_directory_is_whole(finished):
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*.*")}
    assert names == {
        *("run.json", "results.nc", "metrics.csv", "claims.json", "log.txt", ".lock"),
        *("places.safetensors", "figures/distance.png", "walk-VAR=1.pdf"),
        "checkpoints/walking.safetensors",
    }
    claims = json.loads((finished / "claims.json").read_text())
    assert [claim["name"] for claim in claims] == ["far", "both"]


@pytest.mark.usefixtures("undrawn")
def test_the_length_is_extended(tmp_path, computed):
    first = Walk(steps=3).run(SEEDS, out=tmp_path)
    assert Walk(steps=3).run(SEEDS, out=tmp_path, resume=True).identical(first)
    assert Walk(steps=2).run(SEEDS, out=tmp_path, resume=True).identical(first)
    assert Walk(steps=6).run(SEEDS, out=tmp_path).identical(first), "not asked to go on"
    assert len(computed) == 1
    longer = Walk(steps=6).run(SEEDS, out=tmp_path, resume=True)
    assert longer.identical(Walk(steps=6).run(SEEDS))
    assert open_run(tmp_path).experiment.steps == 6


@pytest.mark.usefixtures("undrawn")
def test_runs_that_are_in_the_way(tmp_path):
    Walk().run(out=tmp_path)
    with pytest.raises(InvalidInputError, match=r"VAR: 1 there, 2 here\); force=True discards it"):
        Walk(VAR=2).run(out=tmp_path)
    with pytest.raises(InvalidInputError, match="seeds: 0 there, 1 here"):
        Walk().run(1, out=tmp_path)
    again = Walk(VAR=2).run(out=str(tmp_path), force=True)
    assert json.loads(again.attrs["parameters"])["VAR"] == 2


def test_options_from_python(tmp_path):
    data = Walk().run(
        seeds=range(3), device="cpu", out=tmp_path, resume=True, format=("svg",), seed=7
    )
    assert data.sizes["seed"] == 3
    record = open_run(tmp_path).record
    assert (record.seed, record.seeds, record.quick) == (7, [0, 1, 2], False)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["distance.svg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trap": 1}, "trap: got a name that is unknown"),
        ({"workers": 0}, "workers: got 0, expected a whole number from 1 to 10,000"),
        ({"seeds": []}, "seeds: got none, expected at least one"),
        ({"seeds": [1, 1]}, "seeds: got 1 twice"),
        ({"seeds": -1}, "seeds: got -1"),
        ({"seeds": b"1"}, "seeds: got b'1', expected whole numbers"),
        ({"sweep": {"VAR": "12"}}, "sweep VAR: got 12, expected a list of values"),
        ({"format": ("gif",)}, "format: got 'gif', expected one of png, pdf, svg"),
        ({"device": 3}, "device: got 3, expected a text"),
        ({"workers": 2}, "out: got none, expected a directory"),
        ({"sweep": {"VRA": [1]}}, "VRA: got a name that is unknown.*nearest is VAR"),
        ({"sweep": {"VAR": []}}, "sweep: got VAR=nothing, expected different values"),
        ({"sweep": {"VAR": [1, 1.0]}}, "sweep: got VAR=1,1, expected different values"),
        ({"sweep": {"VAR": [1, -1]}}, "VAR: got -1, expected a number above 0"),
    ],
)
def test_options_from_python_that_are_refused(options, message):
    with pytest.raises(ParameterError, match=message) as caught:
        Walk().run(**options)
    assert "--" not in str(caught.value)


@pytest.mark.usefixtures("undrawn")
def test_quick_from_python_scales_down_what_is_not_given():
    assert Walk().run(quick=True).sizes["step"] == 3
    assert Walk(steps=4).run(quick=True).sizes["step"] == 4
    assert Walk().run(quick=True).attrs["quick"] == 1
    assert Walk().run().sizes["step"] == 8


@pytest.mark.usefixtures("undrawn")
def test_warnings_are_told(tmp_path, capsys):
    Walk(loud=True).run(out=tmp_path)
    assert "this is loud" in capsys.readouterr().err
    assert open_run(tmp_path).record.warnings == ["this is loud"]
    with pytest.warns(DataWarning, match="odd"):
        Brittle(stumbles_at=(0,), how="warning").run()


# --- Parts that fail -----------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("how", "message"),
    [("divergence", "stumbled at step 3"), ("bug", "ZeroDivisionError: division\n\tby zero")],
)
def test_a_part_that_fails_does_not_stop_others(how, message, tmp_path, monkeypatch, computed):
    monkeypatch.chdir(tmp_path)
    experiment = Brittle(stumbles_at=(1, 2), how=how)
    with pytest.raises(SharpwaveError) as caught:
        run_stored(experiment, range(4))
    assert str(caught.value) == (f"2 of 4 parts failed; {experiment!r} with seeds 1: {message}")
    assert caught.value.__cause__ is not None
    assert sorted(statuses(tmp_path).values()) == ["failed", "failed", "finished", "finished"]
    computed.clear()
    monkeypatch.setattr(Brittle, "stumble", lambda self: None)
    run_stored(experiment, range(4), resume=True)
    assert [seeds for _, seeds in computed] == [(1,), (2,)]
    assert set(statuses(tmp_path).values()) == {"finished"}


@pytest.mark.usefixtures("undrawn")
def test_an_interruption_stops_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_stored(Brittle(stumbles_at=(1,), how="interrupt"), range(3))
    assert sorted(statuses(tmp_path).values()) == ["finished", "interrupted"]


# --- Sweeps --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_holds_the_measures_of_all_runs(tmp_path):
    sweep = {"VAR": np.array([4, 1]), "scales": [[1.0, 2.0], (2.0, 3.0)]}
    whole = Walk(steps=4).run(SEEDS, sweep=sweep, out=tmp_path)
    assert list(whole["VAR"].values) == [4, 1]
    assert list(whole["scales"].values) == ["1,2", "2,3"]
    assert list(whole["scale"].values) == [1, 2, 3]
    assert set(whole) == {"distance", "right", "claim_holding", "claim_measured"}
    assert whole["distance"].attrs == {"long_name": "distance", "units": "m"}
    for var in (4, 1):
        for scales in ((1.0, 2.0), (2.0, 3.0)):
            alone = Walk(steps=4, VAR=var, scales=scales).run(SEEDS)
            place = {"VAR": var, "scales": ",".join(f"{s:g}" for s in scales)}
            part = whole.sel(place)
            found = part["distance"].dropna("scale").drop_vars(["VAR", "scales"])
            xr.testing.assert_equal(found.transpose("seed", "scale"), alone["distance"])
            holds = sum(bool(d > 1) for d in alone["distance"].isel(scale=0).values)
            assert part["claim_holding"].sel(claim="far").item() == holds
            assert part["claim_measured"].sel(claim="far").item() == len(SEEDS)
    assert open_run(tmp_path).record.sweep == {"VAR": [4.0, 1.0], "scales": [[1, 2], [2, 3]]}
    in_memory = Walk(steps=4).run(SEEDS, sweep=sweep)
    assert in_memory.identical(whole)
    names = set(statuses(tmp_path))
    assert len(names) == 4
    assert all(
        name.startswith(("VAR=4,scales=1_2_", "VAR=4,scales=2_3_", "VAR=1,")) for name in names
    )


class Cooled(Walk):
    """A walk whose steps shrink."""

    class Physics(Parameters):
        """What the walk obeys."""

        factor: Annotated[float, Between(0, 1)] = 1.0
        """By which steps shrink."""

    physics: Physics = Physics()

    def compute(self, job):
        """Walk."""
        return super().compute(job) * self.physics.factor


Cooled.__module__ = Walk.__module__  # to which figures and claims belong


def test_parameters_of_sections_are_swept():
    axes = parse_sweep(Cooled, ["physics.factor=0.5,1"])
    assert axes == {"physics.factor": (0.5, 1.0)}
    distance = Cooled(steps=4).run(SEEDS, sweep=axes)["distance"]
    half, whole = (distance.sel({"physics.factor": factor}) for factor in (0.5, 1))
    np.testing.assert_allclose(half, whole / 2)
    with pytest.raises(ParameterError, match="physics: got a name that is unknown"):
        parse_sweep(Cooled, ["physics=1,2"])
    with pytest.raises(ParameterError, match=r"physics\.factor: got 2"):
        Cooled().run(0, sweep={"physics.factor": [0.5, 2.0]})


@pytest.mark.usefixtures("undrawn")
def test_folders_of_a_sweep_are_named_by_its_values(tmp_path):
    Walk().run(sweep={"VAR": [1e-5, 2.0], "drift": [None, -0.5]}, out=tmp_path)
    assert set(statuses(tmp_path)) == {
        f"VAR={var},drift={drift}" for var in ("1e-05", "2") for drift in ("none", "-0.5")
    }


@pytest.mark.usefixtures("undrawn")
def test_long_values_have_folders_of_their_own(tmp_path):
    many = tuple(0.25 + n for n in range(20))
    data = Walk(steps=1).run(sweep={"scales": [many, (*many, 60.0)]}, out=tmp_path)
    assert len(statuses(tmp_path)) == 2
    first, second = data["scales"].values
    assert second == f"{first} (2)"


@pytest.mark.usefixtures("undrawn")
def test_a_batch_is_computed_together(tmp_path, monkeypatch):
    together = []
    compute = Herd.compute_together.__func__

    def computing(cls, experiments, jobs):
        together.append([e.VAR for e in experiments])
        return compute(cls, experiments, jobs)

    monkeypatch.setattr(Herd, "compute_together", classmethod(computing))
    sweep = {"VAR": [1.0, 2.0], "steps": [3, 4]}
    whole = Herd().run(SEEDS, sweep=sweep, out=tmp_path / "a")
    assert together == [[1, 2], [1, 2]]
    monkeypatch.undo()
    data, kills = killed_and_resumed(Herd(), tmp_path / "b", SEEDS, every=7, sweep=sweep)
    assert kills > 1
    assert data.identical(whole)


@pytest.mark.usefixtures("undrawn")
def test_cells_are_resumed_by_themselves(tmp_path, monkeypatch, computed):
    experiment = Brittle(stumbles_at=(0,))
    sweep = {"how": ["divergence", "warning", "bug"]}
    with (
        pytest.warns(DataWarning),
        pytest.raises(SharpwaveError, match="2 of 3 parts failed; Brittle"),
    ):
        experiment.run(sweep=sweep, out=tmp_path)
    assert statuses(tmp_path) == {
        "how=divergence": "failed",
        "how=warning": "finished",
        "how=bug": "failed",
    }
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
    with pytest.raises(InvalidInputError, match="not finished"):
        experiment.run(sweep=sweep, out=tmp_path)
    computed.clear()
    monkeypatch.setattr(Brittle, "stumble", lambda self: None)
    whole = experiment.run(sweep=sweep, out=tmp_path, resume=True)
    assert [e.how for e, _ in computed] == ["divergence", "bug"]
    assert list(whole["how"].values) == sweep["how"]
    computed.clear()
    assert experiment.run(sweep=sweep, out=tmp_path).identical(whole)
    assert computed == []
    experiment.run(sweep=sweep, out=tmp_path, force=True)
    assert len(computed) == 3


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_can_be_gone_on_with(tmp_path, computed):
    sweep = {"VAR": [1.0, 4.0]}
    Walk(steps=2).run(sweep=sweep, out=tmp_path)
    longer = Walk(steps=5)
    assert longer.run(sweep=sweep, out=tmp_path).identical(open_run(tmp_path).data)
    assert len(computed) == 2, "without resume it stays as it is"
    found = longer.run(sweep=sweep, out=tmp_path, resume=True)
    assert found["distance"].equals(longer.run(sweep=sweep)["distance"])
    assert open_run(tmp_path).experiment == longer


@pytest.mark.usefixtures("undrawn")
def test_another_experiment_in_a_directory_is_refused_before_it_is_looked_at(tmp_path):
    Parts().run(out=tmp_path)
    with pytest.raises(InvalidInputError, match="another configuration"):
        Walk().run(out=tmp_path)


def test_what_swept_values_warn_of_is_told(capsys):
    Walk().run(sweep={"loud": [False, True]}, verbose=True)
    assert capsys.readouterr().err.count("warning: this is loud") == 1


def test_seeds_apart_are_all_named(tmp_path):
    assert Brittle(steps=1).run(SEEDS).attrs["seeds"] == str(list(SEEDS))


@pytest.mark.usefixtures("undrawn")
def test_a_parameter_named_as_a_dimension_of_the_results_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(Walk, "conditions", ("seed", "scale", "drift"))
    compute = Walk.compute

    def with_drift(self, job):
        return compute(self, job).expand_dims(drift=[0.5])

    monkeypatch.setattr(Walk, "compute", with_drift)
    Walk(kind="biased", drift=0.1).run(sweep={"drift": [0.1, 0.2]}, out=tmp_path)
    table = open_run(tmp_path).measures()
    assert set(table["drift"]) == {0.1, 0.2}
    assert set(table["drift of the results"]) == {0.5}


@pytest.mark.usefixtures("undrawn")
def test_measures_of_an_empty_dimension_are_not_drawn(tmp_path, monkeypatch):
    compute = Walk.compute
    monkeypatch.setattr(
        Walk, "compute", lambda self, job: compute(self, job).isel(scale=slice(0, 0))
    )
    monkeypatch.setattr(Walk, "claims", classmethod(lambda cls: ()))
    Walk().run(sweep={"VAR": [1.0, 2.0]}, out=tmp_path)
    assert "measures-distance" not in open_run(tmp_path).draw()


def test_claims_and_figures_of_a_sweep(tmp_path):
    Walk(steps=4).run(range(4), sweep={"VAR": [1.0, 100.0]}, out=tmp_path)
    run = open_run(tmp_path)
    names = {"measures", "measures-distance", "map-far", "map-both"}
    assert set(run.draw()) == names
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert figures == {f"{name}.png" for name in names}
    with pytest.raises(InvalidInputError, match="each run of the sweep"):
        run.verify()


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_of_an_experiment_without_measures_or_claims(tmp_path):
    whole = Parts().run(sweep={"border": [0.0, 1.0]}, out=tmp_path)
    assert "claim_holding" not in whole
    assert whole.sizes["border"] == 2


# --- Names ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_default_directories_differ_as_runs_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = [
        (Walk(), {}),
        (Walk(VAR=2.0), {}),
        (Walk(scales=(1.0,)), {}),
        (Walk(keep_trace=False), {}),
        (Walk(), {"seed": 1, "seeds": (0,)}),
        (Walk(), {"quick": True}),
        (Herd(), {}),
    ]
    directories = [
        run_stored(e, options.pop("seeds", (0,)), **options)[0].directory for e, options in settings
    ]
    assert len(set(directories)) == len(settings)
    assert all(d.parent == Path("results/toy-model") for d in directories)
    assert directories[1].name.startswith("walk-VAR=2-")
    (same,) = run_stored(Walk(steps=3, notes="x"), (0,))
    assert same.directory == directories[0], "lengths and paths do not name a run"


@pytest.mark.usefixtures("undrawn")
def test_batches_are_split_until_every_worker_has_one(tmp_path, monkeypatch):
    parts = []

    def here(work, groups, options, reporter):
        parts.extend(groups)
        return [work(group, options, reporter) for group in groups]

    monkeypatch.setattr("sharpwave_shared.execution.run_in_workers", here)
    spread = Herd(steps=2).run(range(5), out=tmp_path / "run", workers=3)
    assert sorted(map(len, parts)) == [1, 2, 2]
    assert spread.identical(Herd(steps=2).run(range(5)))
