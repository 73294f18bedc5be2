"""The command line: training, its folders, the other commands, bad input, kill and resume."""

import json
import pickle
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from hybrid_plasticity import batch, cli
from hybrid_plasticity.figures import DRAWN
from hybrid_plasticity.model import Configuration
from hybrid_plasticity.streams import Task
from sharpwave_shared.runs import StoredRun
from sharpwave_shared.testing import invoke, kill_at_work

SMALL = ["--hidden-dims", "[6,5]", "--vec-len", "8", "--scene-time", "2", "--VAR", "0.2"]
EASY = [*SMALL, "--acc-threshold", "0.6", "--acc-num", "2"]
"""The first intervals are mastered within some iterations: two thirds of the scenes are new."""
NAME = Path("Memo/Memo-M_A-in8-hid6_5-eta-1_1-fr-2-var0.2")
PICTURES = {"Weight_Matrices.png", "Eta_Matrices.png", "Hidden_Activity.png"}
Shown = pytest.CaptureFixture[str]


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds."""
    for module in (cli, batch):
        monkeypatch.setattr(module, "draw", lambda run, formats: [])


def build(run: StoredRun, formats: list[str]) -> list[Path]:
    """Make the figures of an analysis; writing them takes seconds, and test_figures.py does."""
    assert DRAWN[run.experiment](run).keys() >= {"signs", "responses"}
    plt.close("all")
    return []


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(cli.app, shown, *arguments)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def results(directory: Path) -> dict[str, bytes]:
    """All results but records of time; event files are compared by their readers' tests."""
    names = ("metrics.json", "arrays.npz", "state.safetensors", "metadata.txt", "**/Model")
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for name in names
        for path in directory.glob(name)
        if name != "arrays.npz"
    } | {
        f"arrays/{name}": values.tobytes()
        for name, values in np.load(directory / "arrays.npz", allow_pickle=False).items()
    }


def test_training_and_what_follows(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run(capsys, *EASY, "--max-r", 1, "--out", tmp_path)
    assert code == 0, err
    out = tmp_path / NAME
    assert {path.name for path in tmp_path.iterdir()} == {"Memo"}
    record, metrics = read(out / "run.json"), read(out / "metrics.json")
    assert record["status"] == "finished"
    assert record["config"]["VAR"] == 0.2
    (network,) = metrics["networks"]
    assert len(network["mastered"]) == 1
    assert network["iterations"] == sum(network["mastered"])
    assert not list(out.glob("*checkpoint*"))
    folder = out / "R_1"
    assert {path.name for path in folder.iterdir()} == {*PICTURES, "Model", "Training_Log"}
    assert load_file(folder / "Model")["W_1"].shape == (6, 8)
    assert all((folder / name).stat().st_size > 1000 for name in PICTURES)
    assert "lr_rate: 0.001\n" in (out / "metadata.txt").read_text()

    code, _, err = run(capsys, *EASY, "--max-r", 1, "--out", tmp_path)
    assert code == 0
    assert "finished" in err
    assert "--resume extends it" in err

    (folder / "Eta_Matrices.png").unlink()
    code, shown, err = run(capsys, *EASY, "--mode", "visualize", "--out", tmp_path)
    assert code == 0, err
    assert len(shown.split()) == 3
    assert (folder / "Eta_Matrices.png").stat().st_size > 1000

    code, _, err = run(capsys, "verify", out)
    assert code == 1
    assert "no claim speaks about a run of 'train'" in err

    code, _, err = run(capsys, "evaluate", out, "--quick", "--intervals", "3,1,9")
    assert code == 0, err
    tested = read(out / "evaluation" / "metrics.json")
    assert tested["intervals"] == [1, 3, 9]
    assert np.shape(tested["networks"][0]["true_positive"]) == (3,)
    assert (out / "evaluation" / "figures" / "generalisation.png").exists()
    # Where those of training go is tested in test_figures.py.
    code, shown, err = run(capsys, "plot", out / "evaluation", "--format", "svg")
    assert code == 0, err
    assert (out / "evaluation" / "figures" / "generalisation.svg").stat().st_size > 1000
    code, shown, _ = run(capsys, "verify", out / "evaluation", "--json")
    (verdict,) = json.loads(shown)
    assert verdict["name"] == "generalisation"
    assert code == (0 if verdict["reproduced"] else 1)

    with monkeypatch.context() as patch:
        patch.setattr(cli, "draw", build)
        code, _, err = run(capsys, "analyze", out, "--quick", "--interval", 1)
    assert code == 0, err
    found = read(out / "analysis" / "metrics.json")
    assert found["networks"][0]["trained_to"] == 1
    assert [layer["rule"] for layer in found["networks"][0]["layers"]] == ["M", "A"]
    code, shown, _ = run(capsys, "verify", out / "analysis", "--json")
    assert [v["name"] for v in json.loads(shown)] == ["anti-hebbian"]

    code, _, err = run(capsys, "evaluate", out, "--interval", 3, "--out", tmp_path / "none")
    assert code == 2
    assert "no network there has mastered R = 3" in err
    code, _, err = run(capsys, "evaluate", out / "analysis", "--out", tmp_path / "none")
    assert code == 2
    assert "a run of training is needed" in err

    model = folder / "Model"
    whole = load_file(model)
    model.write_bytes(pickle.dumps({"W_1": 1}))
    for arguments in (["evaluate", out], [*EASY, "--mode", "visualize", "--out", tmp_path]):
        code, _, err = run(capsys, *arguments)
        assert code == 1
        assert "not a readable safetensors file" in err
    other = Configuration(hidden_dims=(6, 5), plastic_types=("A", "A"), task=Task(2, 8, 0.2))
    what = {"configuration": other.values(), "seed": 0, "interval": 1}
    save_file(whole, model, {"hybrid-plasticity": json.dumps(what)})
    code, _, err = run(capsys, "analyze", out, "--out", tmp_path / "none")
    assert code == 2
    assert "the model of another configuration, Memo-A_A-" in err
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("_no_figures")
def test_spelling_of_the_original(tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(
        capsys,
        *["--mode", "train", "--network_type", "Dyn_RO", "--hidden_dims", "[4, 3, 2]"],
        *["--hetero_rates", "[1,0.5,0.0]", "--plastic_types", '["M","M","A"]', "--scene_time", 1],
        *["--vec_len", 7, "--lr_rate", 0.01, "--VAR", 0, "--out_dim", 2, "--acc_threshold", 0.5],
        *["--acc_num", 1, "--batch_size", 3, "--max_r", 1, "--max_iterations", 9],
        *["--time_limit", 5, "--budget", 8, "--out", tmp_path],
    )
    assert code == 0, err
    out = tmp_path / "Dyn_RO" / "Dyn_RO-M_M_A-in7-hid4_3_2-eta-1_0.5_0-fr-1-var0-out2"
    assert read(out / "run.json")["config"] == {
        "network_type": "Dyn_RO",
        "hidden_dims": [4, 3, 2],
        "hetero_rates": [1, 0.5, 0],
        "plastic_types": ["M", "M", "A"],
        "out_dim": 2,
        "scene_time": 1,
        "vec_len": 7,
        "VAR": 0,
        "lr_rate": 0.01,
        "acc_threshold": 0.5,
        "acc_num": 1,
        "batch_size": 3,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hidden-dims", "[100,100"], "--hidden-dims [100,100: does not parse"),
        (["--hidden-dims", "100"], "--hidden-dims 100: a list"),
        (["--hidden-dims", "[]", "--hetero-rates", "[]", "--plastic-types", "[]"], "--hidden-dims"),
        (["--hidden-dims", "[0,5]"], "--hidden-dims [0, 5]"),
        (["--hidden-dims", "[1.5,5]"], "--hidden-dims [1.5,5]: a list such as [100,100]"),
        (["--hidden-dims", "[True,5]"], "--hidden-dims [True,5]: a list"),
        (["--hidden-dims", "[2**9,5]"], "--hidden-dims [2**9,5]: does not parse"),
        (["--hidden-dims", "__import__('os').getcwd()"], "does not parse"),
        (["--hidden-dims", "[" * 900], "does not parse"),
        (["--hidden-dims", "[1," * 900], "too long"),
        (
            ["--hidden-dims", "[5]"],
            "--plastic-types ['M', 'A']: --hidden-dims has 1 plastic layer,",
        ),
        (["--hetero-rates", "[1]"], "--hetero-rates [1]: --hidden-dims has 2 plastic layers"),
        (["--hetero-rates", "[1,0.3]"], "--hetero-rates [1, 0.3]: every rate must be 1"),
        (["--hetero-rates", "[1,NaN]"], "--hetero-rates"),
        (["--plastic-types", "['M','B']"], "--plastic-types ['M', 'B']: every letter must be M"),
        (["--plastic-types", "[M,A]"], "--plastic-types [M,A]: does not parse"),
        (["--plastic-types", "['M']"], "--plastic-types ['M']"),
        (["--network-type", "memo"], "--network-type memo: must be one of Nonl_RO, Memo"),
        (["--network-type", "Nonl_RO"], "Nonl_RO has one plastic layer, so 1 value must be given"),
        (["--VAR", "1.5"], "--VAR 1.5: must lie between 0 and 1"),
        (["--VAR", "nan"], "--VAR nan"),
        (["--scene-time", "0"], "--scene-time 0: must be at least 1"),
        (["--vec-len", "0"], "--vec-len 0"),
        (["--out-dim", "0"], "--out-dim 0"),
        (["--acc-threshold", "0"], "--acc-threshold 0.0"),
        (["--acc-threshold", "1.01"], "--acc-threshold 1.01"),
        (["--acc-threshold", "nan"], "--acc-threshold nan"),
        (["--acc-num", "0"], "--acc-num 0"),
        (["--lr-rate", "0"], "--lr-rate 0.0"),
        (["--lr-rate", "nan"], "--lr-rate nan"),
        (["--batch-size", "0"], "--batch-size 0"),
        (["--max-r", "0"], "--max-r 0"),
        (["--max-iterations", "-1"], "--max-iterations -1"),
        (["--budget", "0"], "--budget 0"),
        (["--time-limit", "nan"], "--time-limit nan"),
        (["--mode", "visualize"], "train the network first"),
        (["batch", "--workers", "0"], "--workers 0"),
        (["batch", "--budget", "0"], "--budget 0"),
        (["batch", "--cluster", "cray"], "--cluster cray: must be one that dask-jobqueue knows"),
    ],
)
def test_bad_input(arguments: list[str], said: str, tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_no_figures")
def test_one_frame_a_scene_and_large_steps(tmp_path: Path, capsys: Shown) -> None:
    tiny = ["--hidden-dims", "[3]", "--hetero-rates", "[0]", "--plastic-types", "['A']"]
    tiny += ["--vec-len", 1, "--scene-time", 1, "--max-iterations", 12]
    code, _, err = run(capsys, *tiny, "--VAR", 1, "--out", tmp_path / "one")
    assert code == 0, err
    code, _, err = run(capsys, *tiny, "--lr-rate", 1e38, "--out", tmp_path / "two")
    assert code == 1
    assert "seed 0: the loss is nan at R = 1, iteration" in err
    (record,) = (tmp_path / "two").glob("*/*/run.json")
    assert read(record)["status"] == "failed"


@pytest.mark.slow  # compiles in two processes; test_curriculum.py kills runs in its own
@pytest.mark.usefixtures("_no_figures")
def test_killed_and_resumed_gives_the_same_numbers(tmp_path: Path, capsys: Shown) -> None:
    """SIGKILL in the second interval; and a run that is extended twice gives the same."""
    hard = [*SMALL, "--acc-threshold", 0.62, "--acc-num", 4, "--seeds", "0:2"]
    limits = ["--max-iterations", 40, "--max-r", 4]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    marker = killed / NAME / "seed_1" / "R_2" / "Training_Log"
    kill_at_work("hybrid_plasticity", [*hard, *limits, "--out", killed], marker)
    assert read(killed / NAME / "run.json")["status"] == "running"
    code, _, err = run(capsys, *hard, *limits, "--out", killed)
    assert code == 2
    assert "--resume" in err
    code, _, err = run(capsys, *hard, *limits, "--out", killed, "--resume")
    assert code == 0, err
    # Three calls with growing limits give what one gives.
    for max_r in (1, 2, 4):
        few = ["--max-iterations", 40, "--max-r", max_r, "--out", whole, "--resume"]
        code, _, err = run(capsys, *hard, *few)
        assert code == 0, err
    expected = results(whole / NAME)
    got = results(killed / NAME)
    assert expected.keys() == got.keys()
    assert [name for name, content in expected.items() if got[name] != content] == []
    assert "seed_1/R_1/Model" in got

    code, _, err = run(capsys, *hard, "--seeds", "0:3", *limits, "--out", killed, "--resume")
    assert code == 2
    assert "another configuration" in err
    code, _, err = run(capsys, *hard, "--max-iterations", 1, "--out", killed, "--force")
    assert code == 0, err
    assert not list((killed / NAME).glob("*/R_*/Model"))


@pytest.mark.usefixtures("_no_figures")
def test_batch(tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shapes, two of one; finished ones are skipped, longer ones extended."""
    task = Task(1, 4, 0.25)
    some = tuple(
        Configuration(kind, dims, (1,) * len(types), types, task=task)
        for kind, dims, types in (
            ("Memo", (3,), ("M",)),
            ("Nonl_RO", (3, 3), ("A",)),
            ("Memo", (3,), ("A",)),
        )
    )
    monkeypatch.setattr(cli, "CONFIGURATIONS", some)
    together = []
    train_group = batch.train_group
    monkeypatch.setattr(batch, "train_group", lambda *a: together.append(a[1]) or train_group(*a))
    easy = ["--acc-threshold", 0.5, "--acc-num", 9, "--seeds", "0:2"]
    code, shown, err = run(capsys, "batch", *easy, "--budget", 30, "--out", tmp_path)
    assert code == 0, err
    assert "Mastered within 30 iterations" in shown
    assert together == [[some[0], some[2]], [some[1]]]
    compared = read(tmp_path / "comparison" / "metrics.json")
    assert compared["budget"] == 30
    assert [entry["name"] for entry in compared["configurations"]] == [c.name for c in some]
    for entry, configuration in zip(compared["configurations"], some, strict=True):
        single = tmp_path / configuration.network_type / configuration.name
        networks = read(single / "metrics.json")["networks"]
        assert entry["mastered"] == [network["mastered"] for network in networks]
        assert entry["parameters"] == configuration.parameter_count
        assert all(network["iterations"] == 30 for network in networks)

    code, _, err = run(capsys, "batch", *easy, "--budget", 30, "--out", tmp_path)
    assert code == 0, err
    assert err.count("finished already") == 3
    code, _, err = run(capsys, "batch", *easy, "--budget", 10, "--out", tmp_path, "--force")
    assert code == 0, err
    assert err.count(": trained") == 3
    code, _, err = run(capsys, "batch", *easy, "--budget", 30, "--out", tmp_path)
    assert code == 2, "the comparison of another budget lies there"
    assert err.count(": trained") == 3
    single = tmp_path / "Memo" / some[0].name
    assert read(single / "metrics.json")["networks"][0]["iterations"] == 30
    code, _, err = run(capsys, "batch", *easy, "--budget", 20, "--out", tmp_path, "--acc-num", 2)
    assert code == 2
    assert "another configuration" in err


def test_the_18_configurations() -> None:
    names = [c.name.removesuffix("-fr-4-var0.1") for c in batch.CONFIGURATIONS]
    assert len(set(names)) == 18
    assert "Nonl_RO-A-in25-hid100_100-eta-1" in names
    assert "Memo-M-in25-hid50-eta-1" in names
    assert "Dyn_RO-M_M-in25-hid25_25-eta-1_1" in names
    assert "Stack-M_A-in25-hid25_25-eta-1_1" in names
    assert len(batch.groups(batch.CONFIGURATIONS)) == 10


@pytest.mark.slow
@pytest.mark.parametrize("extra", [["--workers", 2], ["--workers", 1, "--cluster", "local"]])
def test_batch_with_workers(
    extra: list, tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes, and dask's workers, give the numbers of this process."""
    import dask_jobqueue
    from dask_jobqueue.local import LocalCluster

    monkeypatch.setitem(batch.CLUSTERS, "local", "LocalCluster")
    monkeypatch.setattr(
        dask_jobqueue,
        "LocalCluster",
        lambda: LocalCluster(cores=1, memory="2GB", processes=1),
        raising=False,
    )
    for out, more in ((tmp_path / "here", []), (tmp_path / "there", extra)):
        code, _, err = run(capsys, "batch", "--quick", *more, "--out", out)
        assert code == 0, err
    here, there = (
        (tmp_path / name / "comparison" / "metrics.json").read_bytes() for name in ("here", "there")
    )
    assert here == there
    name = batch.CONFIGURATIONS[9].name
    assert results(tmp_path / "here" / "Nonl_RO" / name) == results(
        tmp_path / "there" / "Nonl_RO" / name
    )


def test_comparison_table() -> None:
    entry = {"network_type": "Memo", "hidden_dims": [3, 2], "plastic_types": ["M", "A"]}
    mastered = [[10, 30], [20], [1000, 50]]
    entries = [
        entry | {"parameters": 1234, "mastered": mastered},
        entry | {"parameters": 5, "mastered": [[], [], []]},
    ]
    table = batch.comparison_table({"budget": 2000, "configurations": entries})
    rows = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    assert [str(column.header) for column in table.columns][2:] == ["largest R", "R = 1", "R = 2"]
    assert list(rows) == [
        ("Memo [3,2] MA", "1,234", "2 (1-2)", "20", "40 [2]"),
        ("Memo [3,2] MA", "5", "0", "-", "-"),
    ]
