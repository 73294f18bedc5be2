"""The command line: training, its folders, analyses, bad input, kill and resume."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rnn_reactivation import cli
from rnn_reactivation.configuration import configuration_names
from rnn_reactivation.experiments import PACKAGE
from rnn_reactivation.figures import replay
from sharpwave_shared.testing import invoke, kill_at_work

Shown = pytest.CaptureFixture[str]
TINY = [
    "rnn.hidden_size=8",
    "task.length=10",
    "trainer.batch_size=4",
    "trainer.test_every=2",
    "trainer.save_every=2",
]
NAVIGATION = [*TINY, "task.place_cells_num=12"]
DIRECTION = [*TINY, "task.head_direction_cells_num=12"]
SHORT = [
    "trajectories=6",
    "steps=30",
    "samples=40",
    "variance_trajectories=5",
    "variance_steps=20",
    "variance_dropped=10",
]
FIRST = "spatial_navigation/noisy_unbiased"
NETWORK = Path("spatial_navigation/noisy_unbiased_0")


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(cli.app, shown, *arguments)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def results(directory: Path) -> dict[str, bytes]:
    """All results but records of time."""
    found = {
        str(path.relative_to(directory)): path.read_bytes()
        for pattern in ("*metrics.json", "*.safetensors", "configuration.yml")
        for path in directory.glob(pattern)
    }
    for name, values in np.load(directory / "arrays.npz", allow_pickle=False).items():
        found[f"arrays/{name}"] = values.tobytes()
    return found


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds."""
    monkeypatch.setattr(cli, "draw", lambda run, formats: [])


@pytest.fixture
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale `--quick` down further."""
    presets = ("rnn.hidden_size=8", "trainer.n_epochs=3", "trainer.batch_size=4", "task.length=10")
    monkeypatch.setattr(cli, "QUICK", (*presets, "task.{cells}=12"))
    analysis = dict(setting.split("=") for setting in SHORT)
    monkeypatch.setattr(cli, "QUICK_ANALYSIS", {key: int(n) for key, n in analysis.items()})


def analysis_of(root: Path) -> Path:
    (directory,) = root.glob("analyze-*")
    return directory


def test_training_leaves_what_it_should(tmp_path: Path, capsys: Shown) -> None:
    changes = [*NAVIGATION, "trainer.n_epochs=5"]
    code, out, err = run(
        capsys, "train", "spatial_navigation/noisy_unbiased", *changes, "--out", tmp_path
    )
    assert code == 0, err
    folder = tmp_path / NETWORK
    assert "Claims" not in out
    code, _, err = run(capsys, "verify", folder)
    assert (code, "no claim speaks about" in err) == (1, True)
    record = read(folder / "run.json")
    assert (record["status"], record["experiment"]) == ("finished", "train")
    assert record["config"]["rnn"]["hidden_size"] == 8
    assert {p.name for p in folder.glob("model_*")} == {
        f"model_{epoch}.safetensors" for epoch in (2, 4, 5)
    }
    assert load_file(folder / "model_5.safetensors")["readout"].shape == (12, 8)
    assert len(read(folder / "train_metrics.json")["loss"]) == 5
    tests = read(folder / "test_metrics.json")
    assert tests["epoch"] == [2, 4, 5]
    assert read(folder / "metrics.json")["error"] == tests["error"][-1]
    assert (folder / "figures" / "learning.png").stat().st_size > 5000
    assert {p.name for p in tmp_path.iterdir()} == {"spatial_navigation"}

    code, _, err = run(
        capsys, "train", "spatial_navigation/noisy_unbiased", *changes, "--out", tmp_path
    )
    assert code == 0
    assert "finished; --force" in err

    # The configuration that it left trains the same network.
    again = tmp_path / "again"
    code, _, err = run(capsys, "train", folder / "configuration.yml", "--out", again)
    assert code == 0, err
    assert (
        results(again / "spatial_navigation/configuration_0")["train_metrics.json"]
        == (results(folder)["train_metrics.json"])
    )


@pytest.mark.usefixtures("_no_figures")
def test_the_originals_spelling(tmp_path: Path, capsys: Shown) -> None:
    changes = [*NAVIGATION, "trainer.n_epochs=2"]
    name = "spatial_navigation/noisy_unbiased"
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert run(capsys, "train", name, "--seed", 2, *changes, "--out", ours)[0] == 0
    command = [f"config={name}", "seed=2", *changes, "rnn.sigma2_rec=0.0003"]
    assert run(capsys, "train", *command[:-1], "--out", theirs)[0] == 0
    folder = Path("spatial_navigation/noisy_unbiased_2")
    assert results(ours / folder) == results(theirs / folder)
    code, _, err = run(capsys, "train", *command, "--out", theirs)
    assert code == 0, err
    other = results(theirs / "spatial_navigation/noisy_unbiased_0.0003_2")
    assert other["train_metrics.json"] != results(ours / folder)["train_metrics.json"]


@pytest.mark.usefixtures("_no_figures")
def test_seeds_are_those_of_single_runs(tmp_path: Path, capsys: Shown) -> None:
    command = ["train", "head_direction/noisy_biased", *DIRECTION, "trainer.n_epochs=3"]
    assert run(capsys, *command, "--seeds", "1,4", "--out", tmp_path / "both")[0] == 0
    assert run(capsys, *command, "seed=4", "--out", tmp_path / "one")[0] == 0
    folder = Path("head_direction/noisy_biased_4")
    assert results(tmp_path / "both" / folder) == results(tmp_path / "one" / folder)
    first = results(tmp_path / "both/head_direction/noisy_biased_1")
    assert first["train_metrics.json"] != results(tmp_path / "one" / folder)["train_metrics.json"]


@pytest.mark.usefixtures("_no_figures")
def test_a_finished_run_is_extended(tmp_path: Path, capsys: Shown) -> None:
    command = ["train", "spatial_navigation/noisy_biased_gru", *NAVIGATION]
    folder = Path("spatial_navigation/noisy_biased_gru_0")
    short, long = tmp_path / "short", tmp_path / "long"
    assert run(capsys, *command, "trainer.n_epochs=4", "--out", short)[0] == 0
    code, _, err = run(capsys, *command, "trainer.n_epochs=8", "--out", short)
    assert code == 0
    assert "--resume goes on" in err
    assert read(short / folder / "metrics.json")["epoch"] == 4
    assert run(capsys, *command, "trainer.n_epochs=8", "--resume", "--out", short)[0] == 0
    assert run(capsys, *command, "trainer.n_epochs=8", "--out", long)[0] == 0
    # Models of the shorter run say that they are from one of 4 epochs.
    found, wanted = (
        {name: v for name, v in results(root / folder).items() if name[:6] != "model_"}
        for root in (short, long)
    )
    assert found == wanted


@pytest.mark.parametrize("name", configuration_names())
@pytest.mark.usefixtures("_no_figures")
def test_every_configuration_trains(name: str, tmp_path: Path, capsys: Shown) -> None:
    changes = NAVIGATION if name.startswith("spatial") else DIRECTION
    code, _, err = run(capsys, "train", name, *changes, "trainer.n_epochs=2", "--out", tmp_path)
    assert code == 0, err
    (metrics,) = tmp_path.glob("*/*/metrics.json")
    assert 0 < read(metrics)["loss"] < 10


@pytest.mark.parametrize("task", ["spatial_navigation", "head_direction"])
@pytest.mark.usefixtures("_no_figures")
def test_analyses(task: str, tmp_path: Path, capsys: Shown) -> None:
    changes = NAVIGATION if task == "spatial_navigation" else DIRECTION
    names = [f"{task}/noisy_unbiased", f"{task}/no-noise_biased"]
    code, _, err = run(capsys, "train", *names, *changes, "trainer.n_epochs=2", "--out", tmp_path)
    assert code == 0, err
    chosen = "configurations=[noisy_unbiased, no-noise_biased]"
    command = [f"task={task}", chosen, *SHORT, "--out", tmp_path]
    code, out, err = run(capsys, "analyze", "all", *command)
    assert code == 0, err
    directory = analysis_of(tmp_path)
    metrics = read(directory / "metrics.json")
    assert metrics["names"] == ["noisy_unbiased", "no-noise_biased"]
    assert set(metrics["kl"]) == {
        "noisy_unbiased",
        "no-noise_biased",
        "no-noise_biased (noise added)",
        "random network",
        "uniform distribution",
    }
    assert "counts as" in out

    # One analysis alone gives the same numbers.
    code, _, err = run(capsys, "analyze", "variance", *command)
    assert code == 0, err
    (alone,) = tmp_path.glob("analyze-variance-*")
    assert read(alone / "metrics.json")["variance"] == metrics["variance"]
    assert "kl" not in read(alone / "metrics.json")

    code, out, _ = run(capsys, "verify", directory, "--json")
    record = json.loads(out)
    assert code == (0 if all(claim["reproduced"] for claim in record) else 1)
    claims = {"spatial_navigation": "tiling", "head_direction": "ring"}
    assert claims[task] in {claim["name"] for claim in record}


@pytest.mark.usefixtures("_little")
def test_the_main_command(tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(replay, "FRAMES", 3)
    code, out, err = run(capsys, "--quick")
    assert code == 0, err
    root = tmp_path / "results/rnn-reactivation/quick"
    assert read(root / NETWORK / "run.json")["quick"] is True
    metrics = read(analysis_of(root) / "metrics.json")
    assert metrics["names"] == ["noisy_unbiased"]
    assert set(metrics) >= {"kl", "variance", "distance", "dimensionality"}
    assert out.count("scaled down by --quick") == 1
    figures = analysis_of(root) / "figures"
    pictures = {path.name for path in figures.iterdir()}
    assert pictures >= {"kl.png", "trajectories.png", "replay.gif"}
    learning = root / NETWORK / "figures" / "learning.png"
    drawn = learning.read_bytes()
    learning.unlink()
    assert run(capsys, "plot", root / NETWORK)[0] == 0
    assert learning.read_bytes() == drawn
    code, _, err = run(capsys, "--quick")
    assert code == 0
    assert err.count("finished") == 2


@pytest.mark.usefixtures("_little", "_no_figures")
def test_reproduce_skips_and_goes_on(tmp_path: Path, capsys: Shown) -> None:
    names = ["head_direction/noisy_unbiased", "head_direction/noisy_biased"]
    command = ["reproduce", "--quick", "--seeds", "0:2", "--out", tmp_path]
    code, out, err = run(capsys, *command, *names)
    assert code in (0, 1), err
    quick = tmp_path / "quick"
    assert len(list(quick.glob("head_direction/*_[01]/metrics.json"))) == 4
    analysis = analysis_of(quick)
    assert read(analysis / "metrics.json")["seeds"] == [0, 1]
    assert "5 runs" in " ".join(out.split())
    verdicts = read(analysis / "claims.json")
    assert code == (0 if all(claim["reproduced"] for claim in verdicts) else 1)

    before = {path: path.stat().st_mtime_ns for path in quick.rglob("model_*")}
    code_again, out_again, _ = run(capsys, *command, *names)
    assert code_again == code
    assert out_again == out
    assert {path: path.stat().st_mtime_ns for path in quick.rglob("model_*")} == before

    # More epochs are trained on top of those that are there.
    code, _, err = run(capsys, *command, *names, "trainer.n_epochs=4")
    assert code in (0, 1), err
    assert {read(p)["epoch"] for p in quick.glob("head_direction/*/metrics.json")} == {4}
    assert len(list(quick.glob("analyze-*"))) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "spatial_navigation/noisy_unbiasd"], ["nearest", "noisy_unbiased"]),
        (["train", "rnn.sigma_rec=1"], ["rnn", "sigma2_rec"]),
        (["train", "sigma2_rec=1"], ["rnn.sigma2_rec"]),
        (["train", "rnn.sigma2_rec=-1"], ["rnn.sigma2_rec=-1", "negative"]),
        (["train", "rnn.dt=0.2"], ["rnn.dt=0.2", "rnn.tau=0.1"]),
        (["train", "task.place_cells_num=0"], ["task.place_cells_num=0"]),
        (["train", "seed=1", "--seed", "2"], ["seed=1", "twice"]),
        (["train", "seed=x"], ["seed=x", "whole number"]),
        (["train", "seed=²"], ["whole number"]),
        (["train", "seed=99999999999"], ["99999999999"]),
        (["train", "config=a.yml"], ["a.yml", "no such file"]),
        (["train", "head_direction/noisy_biased", "head_direction/noisy_biased"], ["twice"]),
        (["analyze", "entropy"], ["entropy", "kl, variance"]),
        (["analyze", "kl", "noisy_unbiased"], ["noisy_unbiased", "configurations="]),
        (["analyze", "kl", "noise=loud"], ["noise=loud", "scaled"]),
        (["analyze", "kl", "step=5"], ["step", "nearest", "steps"]),
        (["analyze", "kl", "samples=0"], ["samples=0"]),
        (["analyze", "kl", "configurations=[a/b]"], ["a/b", "name of a folder"]),
        (["analyze", "kl", "configurations=[noisy_unbias]"], ["nearest", "noisy_unbiased"]),
        (["reproduce", "--device", "cuda:7"], ["--device cuda:7"]),
        (["--seeds", "3:1"], ["--seeds 3:1"]),
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


@pytest.mark.usefixtures("_no_figures")
def test_networks_that_do_not_fit(tmp_path: Path, capsys: Shown) -> None:
    train = ["train", *NAVIGATION, "--out", tmp_path, "trainer.n_epochs=2"]
    analyze = ["analyze", "variance", "configurations=[noisy_unbiased]", *SHORT, "--out", tmp_path]
    assert run(capsys, *train)[0] == 0
    code, _, err = run(capsys, *train, "rnn.activation=tanh")
    assert code == 2
    assert "another configuration (config.rnn" in err
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
    model.unlink()
    assert run(capsys, *analyze)[0] == 1
    assert not list(tmp_path.glob("analyze-*/metrics.json"))

    # A checkpoint that does not fit.
    state = tmp_path / NETWORK / "state.safetensors"
    save_file({"readout": torch.zeros(2)}, state)
    code, _, err = run(capsys, *train[:-1], "trainer.n_epochs=4", "--resume")
    assert code == 2
    assert "checkpoint does not fit" in err


@pytest.mark.usefixtures("_no_figures")
def test_divergence_fails_and_says_when(tmp_path: Path, capsys: Shown) -> None:
    command = ["train", *NAVIGATION, "trainer.n_epochs=30", "trainer.learning_rate=1e30"]
    code, _, err = run(capsys, *command, "--out", tmp_path)
    assert code == 1
    assert "epoch 2" in err
    assert read(tmp_path / NETWORK / "run.json")["status"] == "failed"
    assert not (tmp_path / NETWORK / "metrics.json").exists()


@pytest.mark.usefixtures("_no_figures")
def test_killed_and_resumed(tmp_path: Path, capsys: Shown) -> None:
    rarely = [change for change in NAVIGATION if not change.startswith("trainer.save")]
    train = ["train", *rarely, "trainer.save_every=10", "trainer.n_epochs=80"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    marker = killed / NETWORK / "model_10.safetensors"
    kill_at_work("rnn_reactivation", [*train, "--out", killed], marker)
    assert read(killed / NETWORK / "run.json")["status"] == "running"
    assert not (killed / NETWORK / "metrics.json").exists()
    code, _, err = run(capsys, *train, "--out", killed)
    assert code == 2
    assert "--resume" in err
    assert run(capsys, *train, "--resume", "--out", killed)[0] == 0
    assert run(capsys, *train, "--out", whole)[0] == 0
    assert results(killed / NETWORK) == results(whole / NETWORK)
    assert not list((killed / NETWORK).glob(".partial-*"))


@pytest.mark.usefixtures("_no_figures")
def test_a_killed_analysis_goes_on(tmp_path: Path, capsys: Shown) -> None:
    train = ["train", *NAVIGATION, "trainer.n_epochs=2", "--out", tmp_path]
    assert run(capsys, *train, "--seeds", "0:2")[0] == 0
    analyze = ["analyze", "all", "configurations=[noisy_unbiased]", *SHORT, "--seeds", "0:2"]
    assert run(capsys, *analyze, "--out", tmp_path)[0] == 0
    directory = analysis_of(tmp_path)
    whole = read(directory / "metrics.json")
    # As if killed after the first parts: they lie there, and the record says `running`.
    record = read(directory / "run.json") | {"status": "running"}
    (directory / "run.json").write_text(json.dumps(record))
    (directory / "metrics.json").unlink()
    assert run(capsys, *analyze, "--out", tmp_path)[0] == 2
    assert run(capsys, *analyze, "--resume", "--out", tmp_path)[0] == 0
    assert read(directory / "metrics.json") == whole
    assert not list(directory.glob("part-*"))


def test_version_and_package(capsys: Shown) -> None:
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith(PACKAGE)
