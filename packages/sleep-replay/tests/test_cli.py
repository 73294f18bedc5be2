"""The command line: a run from its start to its figures, and what cannot run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sharpwave_shared import open_run
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import invoke, kill_at_work
from sleep_replay import Model, Pretrain
from sleep_replay.cli import app
from sleep_replay.data import load_experience
from sleep_replay.model import VAE
from sleep_replay.weights import find_weights, store_weights, weights_cache

OFFLINE = ["--dataset", "mnist-5k"]
TINY = [*OFFLINE, "--eval-images", "4", "--num", "1", "--total-eps", "4", "--num-cycles", "2"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    return invoke(app, capsys, *arguments)


@pytest.mark.usefixtures("_no_figures")
def test_main_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = [tmp_path / "work", tmp_path / "home"]
    for folder in empty:
        folder.mkdir()
    monkeypatch.chdir(empty[0])
    monkeypatch.setenv("HOME", str(empty[1]))
    out = tmp_path / "run"
    code, shown, err = run(capsys, *TINY, "--seeds", "0:2", "--out", out)
    assert code == 0, err
    assert "error 1" in shown
    stored = open_run(out)
    assert stored.record.dataset is not None
    assert stored.record.dataset["name"] == "mnist-5k"
    assert stored.data.attrs["initial_weights"] == "shipped with the package"
    assert json.loads(stored.data.attrs["initial_weights_training"])["images"] == 60_000

    before = (out / "results.nc").stat().st_mtime_ns
    code, _, err = run(capsys, *TINY, "--seeds", "0:2", "--out", out)
    assert code == 0
    assert "finished" in err
    assert (out / "results.nc").stat().st_mtime_ns == before

    code, _, err = run(capsys, *TINY, "--seeds", "0:3", "--out", out)
    assert code == 2
    assert "seeds" in err

    code, shown, _ = run(capsys, "verify", out, "--json")
    verdicts = json.loads(shown)
    assert {"initial", "no-rem", "rem-alone"} < {v["name"] for v in verdicts}
    assert code == (0 if all(v["reproduced"] for v in verdicts) else 1)
    assert not [path for folder in empty for path in folder.rglob("*")]


@pytest.mark.parametrize(
    ("setting", "weights"),
    [
        (["--stable", "--no-inverted"], "mnist-0-4-leaky-20"),
        (["--setting", "published"], "mnist-leaky-conv-5"),
        (["--setting", "released"], "mnist-small-20"),
    ],
)
def test_settings_and_spellings(
    setting: list,
    weights: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is given wins over a setting; its weights are shipped; dashes are underscores."""
    started: list[Any] = []

    def start(experiments: list[Any], *others: Any) -> list:
        started.extend(experiments)
        return []

    monkeypatch.setattr("sharpwave_shared.execution.run_all", start)
    small = ["--eval_images", 20, "--num", 2, "--total_eps", 1, "--num_cycles", 1]
    code, _, err = run(capsys, *setting, "--kl-weight", 0.5, *small)
    assert code == 0, err
    (experiment,) = started
    assert experiment.model_name == weights
    found = find_weights(experiment)
    assert found is not None
    assert found.origin == "shipped with the package"
    assert (experiment.kl_weight, experiment.num, experiment.eval_images) == (0.5, 2, 20)
    assert experiment.setting == (setting[1] if "--setting" in setting else "working")


def _pretrained(
    part: Journal, model: Model, data: Any, how: Any, seed: int, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stand for a training: seeds 0 and 3 have collapsed, and that of seed 0 errs least."""
    assert options["accept_collapsed"]
    curves = {"loss": [1.0], "test_error": [[10.0, 30.0, 20.0, 40.0][seed]]}
    carried = [0.0 if seed in (0, 3) else 0.5]
    state = VAE(1, model.latent_dim).network_state(0)
    return state, {"seed": seed, "epochs": 1, "variance_carried": carried, **curves}


@pytest.mark.usefixtures("_few_images", "_no_figures")
def test_pretrain_stores_weights_that_later_runs_use(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    draw: Callable[..., dict],
) -> None:
    """One epoch leaves the model on its plateau, which is refused: only a trained one is stored."""
    small = ["--latent-dim", 3, *OFFLINE, "--eval-images", 20, "--batch-size", 100]
    code, _, err = run(capsys, "pretrain", *small, "--epochs", 1, "--out", tmp_path / "a")
    assert code == 1
    assert "collapsed" in err
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "failed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sleep_replay.weights.pretrain", _pretrained)
        both = [*small, "--seeds", "0,1,2"]
        code, _, err = run(capsys, "pretrain", *both, "--out", tmp_path / "several")
        assert code == 0, err
        assert open_run(tmp_path / "several").data.attrs["best_seed"] == 2
        (weights_cache() / "mnist-leaky-3.safetensors").unlink()
        code, _, err = run(capsys, "pretrain", *small, "--seeds", "0,3", "--out", tmp_path / "c")
        assert code == 1
        assert "the models of all seeds have collapsed" in err
        assert not (weights_cache() / "mnist-leaky-3.safetensors").exists()
    out = tmp_path / "trial"
    code, _, err = run(capsys, "pretrain", *small, "--quick", "--epochs", 1, "--out", out)
    assert code == 0, err
    assert "warning: the initial model has collapsed" in err
    assert not (weights_cache() / "mnist-leaky-3.safetensors").exists()
    monkeypatch.setattr("sleep_replay.weights.COLLAPSED", -1.0)
    both = ["--seeds", "3,1", "--out", tmp_path / "b"]
    code, _, err = run(capsys, "pretrain", *small, "--epochs", 1, *both)
    assert code == 0, err
    assert (weights_cache() / "mnist-leaky-3.safetensors").is_file()
    trained = open_run(tmp_path / "b").data
    assert set(draw(Pretrain(), trained)) == {"pretraining"}
    best = trained["final_test_error"].idxmin("seed")
    stored = json.loads((weights_cache() / "mnist-leaky-3.json").read_text())
    assert stored["seed"] == trained.attrs["best_seed"] == best
    assert [tried["seed"] for tried in stored["tried"]] == [3, 1]
    found = find_weights(Model(latent_dim=3))
    assert found is not None
    assert found.origin.startswith("cache")


def test_unusable_data_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--data-dir", tmp_path / "absent", "--out", tmp_path / "run")
    assert code == 2
    assert "--data-dir" in err
    broken = tmp_path / "data" / "mnist"
    broken.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (broken / f"{name}-ubyte.gz").write_bytes(b"\x1f\x8b truncated")
    code, _, err = run(capsys, "--data-dir", tmp_path / "data", "--out", tmp_path / "run")
    assert code == 2
    assert "ubyte.gz" in err


def test_data_are_read_once_for_all_cells_of_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(dataset="mnist-5k")
    first = load_experience(model)
    monkeypatch.setattr("sleep_replay.data.mnist", None)
    assert torch.equal(load_experience(model).old_test.pixels, first.old_test.pixels)


def test_divergence_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, *TINY, "--lr", "1e30", "--out", out)
    assert code == 1
    assert "not finite after step" in err
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    assert not (out / "results.nc").exists()


def test_damaged_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = VAE(1, 3).initialise([Streams(0).torch("w")]).network_state(0)
    path = store_weights(Model(latent_dim=3), state, {})
    torch.save({"evil": torch.zeros(1)}, path)
    code, _, err = run(capsys, *TINY, "--latent-dim", 3, "--out", tmp_path / "run")
    assert code == 1
    assert "safetensors" in err


@pytest.mark.slow  # those of shared and of rnn-reactivation are not
@pytest.mark.usefixtures("_no_figures")
def test_killed_and_resumed_gives_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL at some moment of training; `--resume` ends with the numbers of an unbroken run."""
    arguments = [*OFFLINE, "--eval-images", 20, "--num", 10, "--total-eps", 12, "--num-cycles", 12]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    marker = killed / "checkpoints" / "sleep.sleeping_epochs_.safetensors"
    kill_at_work("sleep_replay", [*arguments, "--out", killed], marker)
    assert json.loads((killed / "run.json").read_text())["status"] == "running"
    assert not (killed / "results.nc").exists()

    code, _, err = run(capsys, *arguments, "--out", killed)
    assert code == 2
    assert "--resume" in err
    code, _, err = run(capsys, *arguments, "--out", killed, "--resume")
    assert code == 0, err
    code, _, err = run(capsys, *arguments, "--out", whole)
    assert code == 0, err
    assert open_run(killed).data.identical(open_run(whole).data)
    for name in ("networks.safetensors", "metrics.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_nothing_is_written_outside_out_and_the_cache(tmp_path: Path) -> None:
    """A process of its own, in an empty working directory and home, leaves both empty.

    The main command is watched where it is tested.
    """
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "MPLCONFIGDIR": str(tmp_path / "mpl")}
    arguments = ["interleave", "--images", 20, "--blocks", 5, *OFFLINE, "--eval-images", 20]
    result = subprocess.run(
        [sys.executable, "-m", "sleep_replay", *map(str, arguments), "--out", tmp_path / "run"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not list(work.iterdir())
    assert not list(home.rglob("*"))
