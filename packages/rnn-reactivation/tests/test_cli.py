"""The command line: training, its folders, analyses, bad input."""

import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from rnn_reactivation.cli import app
from rnn_reactivation.configuration import configuration_names, load_configuration
from rnn_reactivation.experiments.analyze import Analyze
from rnn_reactivation.experiments.train import TASKS, TrainHeadDirection, TrainNavigation
from sharpwave_shared import execution, open_run
from sharpwave_shared.experiment import Options
from sharpwave_shared.testing import invoke

Shown = pytest.CaptureFixture[str]
TINY = ["rnn.hidden_size=8", "task.length=10", "trainer.batch_size=4", "trainer.test_every=2"]
TINY += ["trainer.save_every=2"]
NAVIGATION_TASK, BEARING_TASK = TASKS
CELLS = {
    NAVIGATION_TASK: "task.place_cells_num=12",
    BEARING_TASK: "task.head_direction_cells_num=12",
}
NAVIGATION = [*TINY, CELLS[NAVIGATION_TASK]]
SHORT = {
    "trajectories": 6,
    "steps": 30,
    "samples": 40,
    "variance_trajectories": 5,
    "variance_steps": 20,
    "variance_dropped": 10,
    "dimension_trajectories": 5,
    "dimension_steps": 20,
}
SHORTLY = [f"{key}={value}" for key, value in SHORT.items()]
NETWORK = Path("spatial_navigation/noisy_unbiased_0")


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(app, shown, *arguments)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def results(directory: Path) -> dict[str, bytes]:
    """The files of the original release."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for pattern in ("*metrics.json", "model_*.safetensors", "configuration.yml")
        for path in directory.glob(pattern)
    }


def analysis_of(root: Path) -> Path:
    (directory,) = root.glob("analyze-*")
    return directory


@pytest.fixture
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale `--quick` down further."""
    sections = {"rnn": {"hidden_size": 8}, "trainer": {"n_epochs": 3, "batch_size": 4}}
    for task, kind in TASKS.items():
        cells = CELLS[task].partition(".")[2].partition("=")[0]
        monkeypatch.setattr(kind, "quick", {**sections, "task": {"length": 10, cells: 12}})
    monkeypatch.setattr(Analyze, "quick", SHORT)


@pytest.mark.usefixtures("no_figures")
def test_training_leaves_what_it_should(tmp_path: Path, capsys: Shown) -> None:
    command = ["train", "spatial_navigation/noisy_unbiased", *NAVIGATION, "trainer.n_epochs=5"]
    code, out, err = run(capsys, *command, "--out", tmp_path)
    assert code == 0, err
    folder = tmp_path / NETWORK
    assert "Claims" not in out
    code, _, err = run(capsys, "verify", folder)
    assert (code, "no claim speaks about" in err) == (1, True)
    record = read(folder / "run.json")
    assert (record["status"], record["experiment"]) == ("finished", "train-navigation")
    assert record["parameters"]["rnn"]["hidden_size"] == 8
    assert "n_epochs" not in record["identity"]["parameters"]["trainer"]
    assert {p.name for p in folder.glob("model_*")} == {
        f"model_{epoch}.safetensors" for epoch in (2, 4, 5)
    }
    assert load_file(folder / "model_5.safetensors")["readout"].shape == (12, 8)
    assert len(read(folder / "train_metrics.json")["loss"]) == 5
    tests = read(folder / "test_metrics.json")
    assert tests["epoch"] == [2, 4, 5]
    data = open_run(folder).data
    assert data["error"].values.tolist() == tests["error"][-1:]
    assert {p.name for p in tmp_path.iterdir()} == {"spatial_navigation"}

    code, _, err = run(capsys, *command, "--out", tmp_path)
    assert code == 0
    assert "finished; --force" in err
    code, _, err = run(capsys, *command[:-1], "trainer.n_epochs=8", "--out", tmp_path)
    assert code == 0
    assert "--resume goes on" in err
    code, _, err = run(capsys, *command, "rnn.activation=tanh", "--out", tmp_path)
    assert code == 2
    assert "another configuration (parameters.rnn.activation" in err

    # The configuration that it left trains the same network.
    again = tmp_path / "again"
    code, _, err = run(capsys, "train", folder / "configuration.yml", "--out", again)
    assert code == 0, err
    found = results(again / "spatial_navigation/configuration_0")
    assert found["train_metrics.json"] == results(folder)["train_metrics.json"]


def test_the_originals_spelling(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Any, Options]] = []

    def run_all(networks: list, options: Options, *_: object) -> list:
        started.extend((network, options) for network in networks)
        return []

    monkeypatch.setattr(execution, "run_all", run_all)
    name = "spatial_navigation/noisy_unbiased"
    command = [f"config={name}", "seed=2", *NAVIGATION]
    for arguments in (
        ["train", name, "--seed", 2, *NAVIGATION, "--out", tmp_path],
        ["train", *command, f"path={tmp_path}"],
        [*command, "rnn.sigma2_rec=0.0003", "--out", tmp_path],
    ):
        code, _, err = run(capsys, *arguments)
        assert code == 0, err
    ours, theirs, (other, options) = started
    assert ours == theirs
    assert ours[1].all_seeds == (2,)
    folder = tmp_path / "spatial_navigation/noisy_unbiased_0.0003_2"
    assert other.place(options, options.all_seeds, "") == folder
    assert other == ours[0].replaced(**{"config": other.config, "rnn.sigma2_rec": 0.0003})


@pytest.mark.usefixtures("no_figures")
def test_seeds_are_those_of_single_runs(trained: Path, tmp_path: Path, capsys: Shown) -> None:
    changes = [*TINY, CELLS["head_direction"], "trainer.n_epochs=2"]
    command = ["train-head-direction", *changes, "seed=1", "--out", tmp_path]
    assert run(capsys, *command)[0] == 0
    first, second = (Path(f"head_direction/noisy_unbiased_{seed}") for seed in (0, 1))
    assert results(tmp_path / second) == results(trained / second)
    other = results(trained / first)
    assert other["train_metrics.json"] != results(trained / second)["train_metrics.json"]


@pytest.mark.parametrize("name", configuration_names())
def test_every_configuration_trains(name: str) -> None:
    changes = [*TINY, CELLS[name.partition("/")[0]], "trainer.n_epochs=2"]
    assert 0 < load_configuration(name, changes).run(0)["loss"].item() < 10


@pytest.mark.parametrize(("task", "seeds"), [(NAVIGATION_TASK, "0:2"), (BEARING_TASK, "1")])
@pytest.mark.usefixtures("no_figures")
def test_analyses(task: str, seeds: str, trained: Path, tmp_path: Path, capsys: Shown) -> None:
    chosen = "configurations=[noisy_unbiased, no-noise_biased]"
    command = [f"task={task}", chosen, *SHORTLY, f"networks={trained}", "--out", tmp_path]
    code, out, err = run(capsys, "analyze", "all", *command, "--seeds", seeds)
    assert code == 0, err
    # Networks for head direction are judged after 20,000 epochs.
    assert ("counts if" in out) == (task == NAVIGATION_TASK)
    directory = analysis_of(tmp_path)
    data = open_run(directory).data
    assert data["configuration"].values.tolist() == ["noisy_unbiased", "no-noise_biased"]
    assert {"kl", "variance", "distance", "explained_variance"} <= set(data.data_vars)
    table = pd.read_csv(directory / "metrics.csv")
    row = table.query("measure == 'kl' and asleep == 'no-noise_biased' and seed == 1")
    assert set(row["condition"]) == {"quiescent", "noise_added"}
    assert len(row) == 4

    code, out, err = run(capsys, "verify", directory, "--json")
    if task == BEARING_TASK:
        assert "no claim speaks" in err
        return
    record = json.loads(out)
    assert code == (0 if all(claim["reproduced"] for claim in record) else 1)
    assert {"tiling", "steps"} <= {claim["name"] for claim in record}


def test_one_analysis_in_the_originals_spelling(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[Analyze], Options]] = []
    monkeypatch.setattr(execution, "run_all", lambda *a: started.append(a[:2]) or [])
    command = ["analyze", "variance", "batch_size=7", "t_quiescent=40", "t_shift=3", "seed=1"]
    code, _, err = run(capsys, *command)
    assert code == 0, err
    (((experiment,), options),) = started
    sizes = {"variance_trajectories": 7, "variance_steps": 40, "variance_dropped": 3}
    assert experiment == Analyze(kinds=("variance",), **sizes)  # type: ignore[arg-type]
    assert options.all_seeds == (1,)


@pytest.mark.usefixtures("_little", "no_figures")
def test_the_main_command(tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "--quick")
    assert code == 0, err
    root = tmp_path / "results/rnn-reactivation/quick"
    assert read(root / NETWORK / "run.json")["quick"] is True
    data = open_run(analysis_of(root)).data
    assert data["configuration"].values.tolist() == ["noisy_unbiased"]
    assert {"kl", "variance", "distance", "explained_variance"} <= set(data.data_vars)
    assert "not judged (scaled down)" in out


def test_the_animation_is_drawn_with_the_figures(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnn_reactivation.figures.replay.FRAMES", 2)
    monkeypatch.setattr(
        execution, "draw_run", lambda run, *rest: (run.directory / "figures").mkdir()
    )
    names: Any = {"configurations": ("noisy_unbiased",), "networks": trained, "kinds": ("kl",)}
    Analyze(**SHORT, **names).run(0, out=tmp_path)
    assert (analysis_of(tmp_path) / "figures" / "replay.gif").stat().st_size > 1000


@pytest.mark.usefixtures("_little", "no_figures")
def test_reproduce(tmp_path: Path, capsys: Shown) -> None:
    names = ["spatial_navigation/noisy_unbiased"]
    command = ["reproduce", "--quick", "--seeds", "0:2", "--out", tmp_path]
    code, out, err = run(capsys, *command, *names)
    assert code == 0, err
    quick = tmp_path / "quick"
    assert len(list(quick.glob("spatial_navigation/*_[01]/results.nc"))) == 2
    analysis = analysis_of(quick)
    assert open_run(analysis).record.seeds == [0, 1]
    assert out.count("not judged (scaled down)") == len(read(analysis / "claims.json"))


@pytest.mark.parametrize("failing", ["train-head-direction", "analyze", None])
def test_reproduce_fails_if_a_claim_does(
    failing: str | None, tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_all(experiments: list, options: Options, *_: object, **__: object) -> list:
        assert options.resume  # what was cut off is gone on with
        return [SimpleNamespace(directory=Path(one.name), experiment=one) for one in experiments]

    def judge(run: Any, _: object) -> bool:
        return run.experiment.name != failing

    monkeypatch.setattr(execution, "run_all", run_all)
    monkeypatch.setattr(execution, "report_claims", judge)
    command = ["reproduce", "head_direction/noisy_unbiased", "--quick", "--out", tmp_path]
    assert run(capsys, *command)[0] == (failing is not None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "spatial_navigation/noisy_unbiasd"], ["nearest", "noisy_unbiased"]),
        (["train", "rnn.sigma_rec=1"], ["rnn.sigma_rec: got", "rnn.sigma2_rec"]),
        (["train", "sigma2_rec=1"], ["rnn.sigma2_rec"]),
        (["train", "rnn.sigma2_rec=-1"], ["rnn.sigma2_rec: got -1.0", "from 0"]),
        (["train", "rnn.dt=1.5"], ["rnn.dt: got 1.5", "tau (1)"]),
        (["train", "seed=1", "--seed", "2"], ["seed: got two values"]),
        (["train", "path=x"], ["path: got two values", "--out"]),
        (["config=a.yml"], ["a.yml", "no such file"]),
        (["analyze", "kl", "t_shift=5"], ["t_shift: got '5'", "analyze variance"]),
        (["analyze", "kl", "steps=5", "t_quiescent=5"], ["t_quiescent: got steps, too"]),
        (["train", "seed=x"], ["seed: got 'x'", "whole number"]),
        (["train", "seed=²"], ["whole number"]),
        (["train", "seed=99999999999"], ["seed: got 99999999999", "4,294,967,295"]),
        (["train", "config=a.yml"], ["a.yml", "no such file"]),
        (["train", "head_direction/noisy_biased", "head_direction/noisy_biased"], ["twice"]),
        (["analyze", "entropy"], ["KIND: got 'entropy'", "kl, variance"]),
        (["analyze", "kl", "noisy_unbiased"], ["noisy_unbiased", "configurations="]),
        (["analyze", "kl", "noise=loud"], ["noise: got 'loud'", "scaled"]),
        (["analyze", "kl", "step=5"], ["step: got", "nearest is steps"]),
        (["analyze", "kl", "configurations=[a/b]"], ["'a/b'", "name that a folder can have"]),
        (["analyze", "kl", "configurations=[noisy_unbias]"], ["nearest", "noisy_unbiased"]),
        (["reproduce", "--device", "cuda:7"], ["--device", "cuda:7"]),
        (["--seeds", "3:1"], ["--seeds: got '3:1'"]),
    ],
)
def test_bad_input(arguments: list[str], words: list[str], tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "out")
    assert code == 2, err
    assert len(err.strip().splitlines()) == 1
    assert all(word in err for word in words), err
    assert not list((tmp_path / "out").rglob("*.json"))


def test_bad_files(tmp_path: Path, capsys: Shown) -> None:
    owned = tmp_path / "owned"
    for name, content in (
        ("list.yml", b"- 1\n- 2\n"),
        ("broken.yml", b"task: [1, 2\n"),
        ("binary.yml", bytes(range(128, 200))),
        ("evil.yml", f"task: !!python/object/apply:os.system ['touch {owned}']\n".encode()),
    ):
        (tmp_path / name).write_bytes(content)
        code, _, err = run(capsys, "train", tmp_path / name, "--out", tmp_path / "out")
        assert (code, name in err) == (2, True), err
    assert not (tmp_path / "out").exists()
    assert not owned.exists()


def test_an_analysis_before_training_says_how_to_train(tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, "analyze", "kl", "--seed", 3, "--out", tmp_path)
    assert code == 2
    assert "rnn-reactivation train spatial_navigation/noisy_unbiased --seed 3" in err
    name = "configurations=[noisy_biased_0.0003]"
    code, _, err = run(capsys, "analyze", "kl", name, "task=head_direction", "--out", tmp_path)
    assert code == 2
    assert "train head_direction/noisy_biased rnn.sigma2_rec=0.0003 --seed 0" in err


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("output_kl.py", ["analyze", "kl"]),
        ("output_variance", ["analyze", "variance"]),
        ("output_distance", ["analyze", "distance"]),
        ("train.py", ["train"]),
    ],
)
def test_the_originals_scripts(
    script: str, words: list[str], tmp_path: Path, capsys: Shown
) -> None:
    """Both are refused in the same words, which name what was understood."""
    wrong = ["seed=x", "--out", tmp_path / "out"]
    code, _, err = run(capsys, script, *wrong)
    assert (code, err) == (2, run(capsys, *words, *wrong)[2])
    missing = ["seed=0", "--out", tmp_path / "out"]
    if words[0] == "analyze":
        assert run(capsys, script, *missing)[::2] == run(capsys, *words, *missing)[::2]


def test_networks_that_do_not_fit(tmp_path: Path, capsys: Shown, trained: Path) -> None:
    shutil.copytree(trained / NETWORK, tmp_path / NETWORK)
    analyze = ["analyze", "variance", "configurations=[noisy_unbiased]", *SHORTLY]
    analyze += ["--out", str(tmp_path)]
    model = tmp_path / NETWORK / "model_2.safetensors"
    whole = model.read_bytes()
    model.write_bytes(whole[:-100])
    code, _, err = run(capsys, *analyze)
    assert code == 1
    assert "model_2.safetensors" in err
    with model.open("wb") as stream:
        pickle.dump({"readout": 1}, stream)
    assert run(capsys, *analyze)[0] == 1
    save_file({"readout": torch.zeros(2)}, model)
    code, _, err = run(capsys, *analyze)
    assert code == 2
    assert "no network of this package" in err
    other = Path("head_direction/noisy_unbiased_0/model_2.safetensors")
    shutil.copyfile(trained / other, model)
    code, _, err = run(capsys, *analyze)
    assert code == 2
    assert "is a network of head_direction, seed 0" in err
    model.unlink()
    code, _, err = run(capsys, *analyze)
    assert code == 2
    assert "model_2.safetensors: there is no such file" in err
    assert not list(tmp_path.glob("analyze-*"))

    # A checkpoint that does not fit.
    state = tmp_path / NETWORK / "checkpoints" / "training.safetensors"
    save_file({"readout": torch.zeros(2)}, state)
    train = ["train", *NAVIGATION, "trainer.n_epochs=4", "--resume", "--out", tmp_path]
    code, _, err = run(capsys, *train)
    assert code == 1
    assert "training.safetensors: does not hold what a run keeps" in err


@pytest.mark.usefixtures("no_figures")
def test_divergence_fails_and_says_when(tmp_path: Path, capsys: Shown) -> None:
    longer = [change.replace("length=10", "length=30") for change in NAVIGATION]
    command = ["train", *longer, "trainer.n_epochs=30", "trainer.learning_rate=1000"]
    code, _, err = run(capsys, *command, "--out", tmp_path)
    assert code == 1
    assert "epoch 2" in err
    assert read(tmp_path / NETWORK / "run.json")["status"] == "failed"
    assert not (tmp_path / NETWORK / "results.nc").exists()


def test_version_and_commands(capsys: Shown) -> None:
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("rnn-reactivation")
    assert list(app.experiments.values()) == [TrainNavigation, TrainHeadDirection, Analyze]
