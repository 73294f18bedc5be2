"""The command line: spellings, folders, the other commands, bad input."""

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from hybrid_made import TINY, check, compared, contents, network, no_figures
from safetensors.torch import load_file, save_file

from hybrid_plasticity.cli import app
from hybrid_plasticity.commands import Batch
from hybrid_plasticity.comparison import comparison_table
from hybrid_plasticity.configuration import Configuration, Task
from hybrid_plasticity.experiments.compare import Plan
from hybrid_plasticity.experiments.evaluate import Evaluate
from hybrid_plasticity.experiments.train import Train
from hybrid_plasticity.figures import pictures
from hybrid_plasticity.folders import Model
from sharpwave_shared import execution
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Options
from sharpwave_shared.results import open_run
from sharpwave_shared.testing import check_all_edges, invoke, kill_at_work

SMALL = ["--hidden-dims", "[6,5]", "--vec-len", "8", "--scene-time", "2", "--VAR", "0.2"]
EASY = [*SMALL, "--acc-threshold", "0.6", "--acc-num", "2"]
NAME = Path("Memo") / Train(**TINY).folder
Shown = pytest.CaptureFixture[str]


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(app, shown, *arguments)


def succeed(shown: Shown, *arguments: object) -> str:
    code, out, err = run(shown, *arguments)
    assert code == 0, err
    return out


@pytest.fixture
def pictured() -> Iterator[list[Model]]:
    with no_figures() as models:
        yield models


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Train, Options]]:
    """What is trained, without training."""
    runs: list[tuple[Train, Options]] = []

    def run_all(experiments: list, options: Options, *_: object) -> list:
        runs.extend((experiment, options) for experiment in experiments)
        return []

    monkeypatch.setattr(execution, "run_all", run_all)
    return runs


# --- training -------------------------------------------------------------------------------------


def test_files_lie_where_the_layout_says(finished: Path) -> None:
    assert finished.relative_to(finished.parents[1]) == NAME
    names = {path.name for path in finished.iterdir()} - {".lock"}
    assert names == {
        *("metadata.txt", "seed_0", "seed_1", "checkpoints", "evaluation", "analysis"),
        *("run.json", "results.nc", "metrics.csv", "log.txt"),
    }
    for seed in (0, 1):
        folder = finished / f"seed_{seed}" / "R_1"
        assert {path.name for path in folder.iterdir()} == {"Model", "Training_Log"}
        assert load_file(folder / "Model")["W_1"].shape == (6, 8)
    assert "lr_rate: 0.001\n" in (finished / "metadata.txt").read_text()
    assert f"max_r: {TINY['max_r']}\n" in (finished / "metadata.txt").read_text()


def test_a_command_trains_and_draws_pictures(tmp_path: Path, capsys: Shown) -> None:
    with no_figures(but_pictures=True):
        succeed(capsys, *EASY, "--max-r", 1, "--format", "svg", "--out", tmp_path)
    out = tmp_path / NAME
    assert {path.name for path in tmp_path.iterdir()} == {"Memo"}
    drawn = {"Weight_Matrices.svg", "Eta_Matrices.svg", "Hidden_Activity.svg"}
    assert {path.name for path in (out / "R_1").iterdir()} == {*drawn, "Model", "Training_Log"}
    assert all(path.stat().st_size > 1000 for path in out.rglob("*.svg"))

    code, _, err = run(capsys, *EASY, "--max-r", 1, "--out", tmp_path)
    assert code == 0
    assert "finished" in err
    code, _, err = run(capsys, *EASY, "--max-r", 2, "--out", tmp_path)
    assert code == 0
    assert "--resume goes on" in err
    code, _, err = run(capsys, "verify", out)
    assert code == 1
    assert "no claim speaks about a run of 'train'" in err


def test_pictures_of_every_network(finished: Path, capsys: Shown, pictured: list[Model]) -> None:
    options = [*EASY, "--seeds", "0:2", "--out", finished.parents[1]]
    shown = succeed(capsys, "--mode", "visualize", *options, "--format", "svg,pdf")
    largest = open_run(finished).data["mastered_intervals"].values.tolist()
    wanted = [(seed, R) for seed in (0, 1) for R in range(1, largest[seed] + 1)]
    assert [(model.seed, model.interval) for model in pictured] == wanted
    assert len(shown.split()) == len(wanted)
    assert str(finished / "seed_1" / "R_1" / "Weight_Matrices.svg") in shown


def test_spelling_of_the_original(
    started: list[tuple[Train, Options]], tmp_path: Path, capsys: Shown
) -> None:
    succeed(
        capsys,
        *["--mode", "train", "--network_type", "Dyn_RO", "--hidden_dims", "[4, 3, 2]"],
        *["--hetero_rates", "[1,0.5,0.0]", "--plastic_types", '["M","M","A"]', "--scene_time", 1],
        *["--vec_len", 7, "--lr_rate", 0.01, "--VAR", 0, "--out_dim", 2, "--acc_threshold", 0.5],
        *["--acc_num", 1, "--batch_size", 3, "--max_r", 1, "--max_iterations", 9],
        *["--time_limit", 5, "--budget", 8, "--out", tmp_path],
    )
    ((experiment, options),) = started
    out = tmp_path / "Dyn_RO" / "Dyn_RO-M_M_A-in7-hid4_3_2-eta-1_0.5_0-fr-1-var0-out2"
    assert experiment.place(options, [0], "") == out
    assert experiment.values() == {
        "network_type": "Dyn_RO",
        "hidden_dims": [4, 3, 2],
        "hetero_rates": [1, 0.5, 0],
        "plastic_types": ["M", "M", "A"],
        "initial_rate": -0.5,
        "out_dim": 2,
        "scene_time": 1,
        "vec_len": 7,
        "VAR": 0,
        "lr_rate": 0.01,
        "acc_threshold": 0.5,
        "acc_num": 1,
        "batch_size": 3,
        "max_r": 1,
        "max_iterations": 9,
        "budget": 8,
        "time_limit": 5,
    }


def test_command_lines_of_the_original(
    started: list[tuple[Train, Options]],
    tmp_path: Path,
    capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As its documentation has them, after `python main.py`."""
    network = ["--network_type", "Memo", "--hidden_dims", "[100,100]", "--hetero_rates", "[1,1]"]
    network += ["--plastic_types", "['M','A']", "--scene_time", "4"]
    succeed(capsys, "--mode", "train", *network, "--out", tmp_path)
    ((experiment, options),) = started
    out = tmp_path / "Memo" / "Memo-M_A-in25-hid100_100-eta-1_1-fr-4-var0.1"
    assert experiment == Train()
    assert experiment.place(options, [0], "") == out
    monkeypatch.setattr(pictures, "visualize", lambda folder, formats: [folder, *formats])
    shown = succeed(capsys, "--mode", "visualize", *network, "--out", tmp_path)
    assert shown.splitlines() == [str(out), "png"]


@pytest.mark.usefixtures("pictured")
def test_one_frame_a_scene_and_large_steps(tmp_path: Path, capsys: Shown) -> None:
    tiny = ["--hidden-dims", "[3]", "--hetero-rates", "[0]", "--plastic-types", "['A']"]
    tiny += ["--vec-len", 1, "--scene-time", 1, "--max-iterations", 12]
    succeed(capsys, *tiny, "--VAR", 1, "--out", tmp_path / "one")
    code, _, err = run(capsys, *tiny, "--lr-rate", 1e38, "--out", tmp_path / "two")
    assert code == 1
    assert "seed 0: the loss is nan at R = 1, iteration" in err
    (record,) = (tmp_path / "two").glob("*/*/run.json")
    assert json.loads(record.read_text())["status"] == "failed"


@pytest.mark.usefixtures("pictured")
def test_a_sweep(tmp_path: Path) -> None:
    """Networks that differ in their rules learn together, each into a folder of its own."""
    rules = [("M", "A"), ("A", "A")]
    swept = Train(**TINY).run([0], out=tmp_path, sweep={"plastic_types": rules})
    for types in rules:
        alone = Train(**TINY | {"plastic_types": types}).run([0])
        here = swept.sel(plastic_types=",".join(types))
        for name in ("mastered_intervals", "iterations", "parameter_count"):
            assert here[name].values.tolist() == alone[name].values.tolist()
        mastered = here["mastered"].dropna("interval", how="all")
        assert mastered.values.tolist() == pytest.approx(alone["mastered"].values, nan_ok=True)
    assert len(list(tmp_path.glob("cells/*/R_1/Model"))) == 2


# --- other commands -------------------------------------------------------------------------------


def test_evaluation_of_chosen_intervals(finished: Path, tmp_path: Path, capsys: Shown) -> None:
    with no_figures():
        succeed(
            capsys,
            *("evaluate", finished, "--quick", "--intervals", "3,1,9", "--interval", 1),
            *("--out", tmp_path / "some"),
        )
    data = open_run(tmp_path / "some").data
    assert data["interval"].values.tolist() == [1, 3, 9]
    assert data["trained_to"].values.tolist() == [1, 1]
    assert data.attrs["test_streams"] == 10


@pytest.mark.parametrize("folder", ["evaluation", "analysis"])
def test_stored_runs_can_be_drawn(finished: Path, folder: str) -> None:
    check(open_run(finished / folder).draw())
    plt.close("all")


def test_evaluation_and_analysis_are_judged(finished: Path, capsys: Shown) -> None:
    code, shown, _ = run(capsys, "verify", finished / "evaluation", "--json")
    (verdict,) = json.loads(shown)
    assert verdict["name"] == "generalisation"
    assert code == (0 if verdict["reproduced"] else 1)
    # The first layer is multiplicative: nothing is claimed of its sign.
    code, _, err = run(capsys, "verify", finished / "analysis", "--json")
    assert code == 1
    assert "no claim speaks" in err
    rules = open_run(finished / "analysis").data["rule"].values.tolist()
    assert rules == ["M", "A"]


def test_what_cannot_be_evaluated(finished: Path, tmp_path: Path, capsys: Shown) -> None:
    none = ["--out", tmp_path / "none"]
    for arguments, said in (
        ([finished, "--interval", 7], "no network there has mastered R = 7"),
        ([finished / "analysis"], "a run of 'analyze', not of training"),
        ([tmp_path], "no run there"),
        ([finished, "--seeds", "0:2"], "--seeds: got 0,1, expected one seed"),
    ):
        code, _, err = run(capsys, "evaluate", *arguments, *none)
        assert code == 2
        assert said in err
        assert not (tmp_path / "none").exists()


def test_pictures_are_not_drawn_through_links(
    finished: Path, tmp_path: Path, capsys: Shown
) -> None:
    copy = tmp_path / NAME
    shutil.copytree(finished, copy)
    outside = tmp_path / "outside"
    shutil.move(copy / "seed_0" / "R_1", outside)
    before = {path.name for path in outside.iterdir()}
    (copy / "seed_0" / "R_1").symlink_to(outside)
    visualize = [*EASY, "--seeds", "0:2", "--mode", "visualize", "--out", tmp_path]
    code, _, err = run(capsys, *visualize)
    assert (code, "R_1: a link" in err) == (2, True)
    assert {path.name for path in outside.iterdir()} == before


def test_a_batch_may_have_any_budget() -> None:
    (first, *_) = Batch(budget=10**6, units=(25,)).trainings()
    assert (first.budget, first.max_iterations, first.max_r) == (10**6, 10**6, 100_000)


def test_hostile_models(finished: Path, tmp_path: Path, capsys: Shown) -> None:
    copy = tmp_path / NAME
    shutil.copytree(finished, copy)
    model = copy / "seed_0" / "R_1" / "Model"
    whole = load_file(model)
    model.write_bytes(pickle.dumps({"W_1": 1}))
    visualize = [*EASY, "--seeds", "0:2", "--mode", "visualize", "--out", tmp_path]
    for arguments in (["evaluate", copy, "--interval", 1, "--out", tmp_path / "none"], visualize):
        code, _, err = run(capsys, *arguments)
        assert code == 1
        assert "not a readable safetensors file" in err
    other = Train(**TINY | {"plastic_types": ("A", "A")})
    names = ("network_type", "hidden_dims", "hetero_rates", "plastic_types")
    names += ("scene_time", "vec_len", "VAR", "out_dim")
    values = {name: other.values()[name] for name in names}
    what = {"configuration": values, "seed": 0, "interval": 1}
    save_file(whole, model, {"hybrid-plasticity": json.dumps(what)})
    code, _, err = run(capsys, "analyze", copy, "--interval", 1, "--out", tmp_path / "none")
    assert code == 2
    assert "the model of another configuration, Memo-A_A-" in err
    assert not (tmp_path / "none").exists()


def test_an_evaluation_is_of_these_models(finished: Path, tmp_path: Path) -> None:
    """Other models, in the same place, are another run."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    first = Evaluate(run_dir=finished, streams=2)
    with no_figures():
        first.run(out=tmp_path / "out")
        first.replaced(run_dir=copy).run(out=tmp_path / "out")  # the same models
        shutil.copy(copy / "seed_1" / "R_1" / "Model", copy / "seed_0" / "R_1" / "Model")
        shutil.copy(copy / "seed_1" / "R_1" / "Model", copy / "seed_0" / "R_2" / "Model")
        with pytest.raises(Exception, match=r"another configuration .*dataset"):
            first.replaced(run_dir=copy).run(out=tmp_path / "out")


# --- batches --------------------------------------------------------------------------------------


def test_the_18_configurations() -> None:
    configurations = Plan().configurations()
    names = [c.folder.removesuffix("-fr-4-var0.1") for c in configurations]
    assert len(set(names)) == 18
    assert "Nonl_RO-A-in25-hid100_100-eta-1" in names
    assert "Memo-M-in25-hid50-eta-1" in names
    assert "Dyn_RO-M_M-in25-hid25_25-eta-1_1" in names
    assert "Stack-M_A-in25-hid25_25-eta-1_1" in names
    assert len({c.wiring for c in configurations}) == 10


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> list[Configuration]:
    """Batches are of three networks; two are of the same shape."""
    some = [
        network(kind, dims, [1], types, task=Task(4, 25, 0.1))
        for kind, dims, types in (
            ("Memo", (3,), ("M",)),
            ("Nonl_RO", (3, 3), ("A",)),
            ("Memo", (3,), ("A",)),
        )
    ]
    monkeypatch.setattr(Plan, "configurations", lambda self: some)
    return some


@pytest.mark.usefixtures("pictured")
def test_batch(
    three: list[Configuration], tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of equal shape learn together."""
    together: list[int] = []
    compute = Train.compute_together

    def note(experiments: list[Train], jobs: list) -> list:
        together.append(len(experiments))
        return compute(experiments, jobs)

    monkeypatch.setattr(Train, "compute_together", note)
    easy = ["--acc-threshold", 0.5, "--acc-num", 2, "--seeds", "0:2"]
    shown = succeed(capsys, "batch", *easy, "--budget", 8, "--out", tmp_path)
    assert "Mastered within 8 iterations" in shown
    assert together == [2, 1]
    data = open_run(tmp_path / "comparison").data
    assert data.attrs["budget"] == 8
    assert data["configuration"].values.tolist() == [c.short_name for c in three]
    assert data["mastered_intervals"].values.sum() > 0
    for configuration in three:
        own = data.sel(configuration=configuration.short_name)
        single = open_run(tmp_path / configuration.network_type / configuration.folder).data
        mastered = own["mastered"].dropna("interval", how="all").values
        assert mastered.tolist() == pytest.approx(single["mastered"].values, nan_ok=True)
        assert own["mastered_intervals"].equals(
            single["mastered_intervals"].assign_coords(own["mastered_intervals"].coords)
        )
        assert int(own["parameter_count"]) == configuration.parameter_count
        assert single["iterations"].values.tolist() == [8, 8]


@pytest.mark.slow
@pytest.mark.parametrize("extra", [["--workers", 2], ["--workers", 2, "--cluster", "local"]])
def test_batch_with_workers(extra: list, tmp_path: Path, capsys: Shown) -> None:
    """Processes, and dask's workers, give the numbers of this process."""
    small = ["--quick", "--units", 8, "--budget", 40]
    for out, more in ((tmp_path / "here", []), (tmp_path / "there", extra)):
        succeed(capsys, "batch", *small, *more, "--out", out)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


@pytest.mark.slow
@pytest.mark.usefixtures("pictured")
def test_a_quick_batch_shows_differences(tmp_path: Path, capsys: Shown) -> None:
    succeed(capsys, "batch", "--quick", "--out", tmp_path)
    masters = open_run(tmp_path / "comparison").data["mastered_intervals"]
    assert 0 < int(masters.sum()) < masters.size


def test_a_quick_batch_draws_no_figures_of_its_networks(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[execution.Cell], Options]] = []
    monkeypatch.setattr(execution, "run_cells", lambda *a, **_: started.append(a[:2]))
    succeed(capsys, "batch", "--quick", "--budget", 1, "--out", tmp_path)
    (trainings, options), ((comparison,), after) = started
    assert len(trainings) == 9
    assert not any(cell.draw for cell in trainings)
    assert (comparison.experiment.name, comparison.draw) == ("compare", True)
    # What was trained is gone on with, what was compared is compared again.
    assert (options.resume, after.force) == (True, True)
    values = trainings[0].experiment.values()
    assert {name: values[name] for name in Batch.quick if name in values} == {
        **{name: Batch.quick[name] for name in ("lr_rate", "acc_threshold", "acc_num")},
        "budget": 1,
    }


def test_comparison_table() -> None:
    mastered = {"Memo [3,2] MA": [[10, 30], [20], [1000, 50]], "Memo [3,2] AM": [[], [], []]}
    table = comparison_table(compared(mastered, 2000))
    rows = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    assert [str(column.header) for column in table.columns][2:] == ["largest R", "R = 1", "R = 2"]
    assert list(rows) == [
        ("Memo [3,2] MA", "172", "2 (1-2)", "20", "40 [2]"),
        ("Memo [3,2] AM", "172", "0", "-", "-"),
    ]


# --- bad input ------------------------------------------------------------------------------------


def test_edges_of_all_parameters() -> None:
    check_all_edges([Plan])
    for values in ({"streams": 0}, {"interval": 0}, {"intervals": (1, 0)}, {"intervals": (2, 2)}):
        with pytest.raises(ParameterError):
            Evaluate(run_dir="x", **values)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hidden-dims", "[100,x]"], "--hidden-dims: got '[100,x]', expected whole numbers from"),
        (["--hidden-dims", "[0,5]"], "--hidden-dims: got 0, expected whole numbers from 1 to"),
        (["--hidden-dims", "__import__('os').getcwd()"], "--hidden-dims: got"),
        (
            ["--hidden-dims", "[5]"],
            "--plastic-types: got M,A, expected 1 value: hidden_dims has 1 plastic layer",
        ),
        (["--hetero-rates", "[1]"], "--hetero-rates: got 1, expected 2 values"),
        (["--hetero-rates", "[1,0.3]"], "--hetero-rates: got 1,0.3, expected 1 (one for each"),
        (["--plastic-types", "['M','B']"], "--plastic-types: got"),
        (["--network-type", "memo"], "--network-type: got 'memo', expected one of Nonl_RO, Memo"),
        (["--network-type", "Nonl_RO"], "expected 1 value: Nonl_RO has one plastic layer"),
        (["--VAR", "1.5"], "--VAR: got 1.5, expected a number from 0 to 1"),
        (
            ["--acc-threshold", "1.01"],
            "--acc-threshold: got 1.01, expected a number above 0, up to",
        ),
        (["--time-limit", "nan"], "--time-limit: got 'nan'"),
        (["--mode", "draw"], "--mode: got 'draw', expected one of train, visualize"),
        (["--mode", "visualize"], "no run there"),
        (["--mode", "visualize", "--sweep", "vec_len=5,9"], "expected none with visualize"),
        (["batch", "--budget", "0"], "--budget: got 0, expected a whole number from 1 to "),
        (["batch", "--cluster", "cray"], "--cluster: got 'cray', expected one of slurm"),
    ],
)
def test_bad_input(arguments: list[str], said: str, tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow  # compiles in two processes; test_runs.py kills runs in its own
@pytest.mark.usefixtures("pictured")
def test_a_real_kill(tmp_path: Path, capsys: Shown) -> None:
    """SIGKILL in the second interval."""
    hard = [*SMALL, "--acc-threshold", 0.62, "--acc-num", 4]
    limits = ["--max-iterations", 40, "--max-r", 4]
    hard, other = [*hard, "--seeds", "0:2"], [*hard, "--seeds", "0:3"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    marker = killed / NAME / "seed_1" / "R_2" / "Training_Log"
    kill_at_work("hybrid_plasticity", [*hard, *limits, "--out", killed], marker)
    assert json.loads((killed / NAME / "run.json").read_text())["status"] == "running"
    code, _, err = run(capsys, *hard, *limits, "--out", killed)
    assert code == 2
    assert "--resume" in err
    succeed(capsys, *hard, *limits, "--out", killed, "--resume")
    succeed(capsys, *hard, *limits, "--out", whole)
    assert contents(killed) == contents(whole)
    code, _, err = run(capsys, *other, *limits, "--out", killed, "--resume")
    assert code == 2
    assert "another configuration" in err
