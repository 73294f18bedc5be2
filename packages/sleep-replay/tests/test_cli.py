"""The command line: complete quick runs, bad input, kill and resume."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import invoke, kill_at_work
from sleep_replay.cli import app
from sleep_replay.data import Experience, load_experience
from sleep_replay.model import VAE
from sleep_replay.weights import InitialModel, weights_cache

OFFLINE = ["--dataset", "mnist-5k"]
TINY = [*OFFLINE, "--eval-images", "20", "--num", "4", "--total-eps", "4", "--num-cycles", "2"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    return invoke(app, capsys, *arguments)


def in_process(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sleep_replay", *map(str, arguments)]


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds; the tests of the other commands draw them."""
    monkeypatch.setattr("sleep_replay.cli.draw", lambda run, formats: [])


@pytest.fixture
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep 200 images to train with, of 4,000."""

    def load(*arguments: Any, **more: Any) -> Experience:
        whole = load_experience(*arguments, **more)
        return replace(whole, old_train=whole.old_train.subset(torch.arange(200)))

    monkeypatch.setattr("sleep_replay.experiments.load_experience", load)


def test_main_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = [tmp_path / "work", tmp_path / "home"]
    for folder in empty:
        folder.mkdir()
    monkeypatch.chdir(empty[0])
    monkeypatch.setenv("HOME", str(empty[1]))
    out = tmp_path / "run"
    code, shown, err = run(capsys, *TINY, "--seeds", "0:2", "--out", out, "--format", "svg")
    assert code == 0, err
    assert "error 1" in shown
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["seeds"] == [0, 1]
    assert record["initial_weights"]["origin"] == "shipped with the package"
    assert record["dataset"]["name"] == "mnist-5k"
    metrics = json.loads((out / "metrics.json").read_text())
    assert np.shape(metrics["conditions"][0]["error_old"]) == (2, 3)
    names = {"schedule", "errors", "collapse", "histograms", "dreams", "reconstructions"}
    assert {p.name for p in (out / "figures").iterdir()} == {f"{name}.svg" for name in names}
    assert list(out.glob("schedule-inverted-4ep-2cycles*.pdf"))
    assert not list(out.glob("*checkpoint*"))

    before = (out / "metrics.json").stat().st_mtime_ns
    code, _, err = run(capsys, *TINY, "--seeds", "0:2", "--out", out)
    assert code == 0
    assert "finished" in err
    assert (out / "metrics.json").stat().st_mtime_ns == before

    code, _, err = run(capsys, *TINY, "--seeds", "0:3", "--out", out)
    assert code == 2
    assert "seeds" in err

    assert run(capsys, "plot", out)[0] == 0
    for name in names:
        assert (out / "figures" / f"{name}.png").stat().st_size > 1000

    code, shown, _ = run(capsys, "verify", out, "--json")
    verdicts = json.loads(shown)
    assert [v["name"] for v in verdicts] == ["initial"]
    assert code == (0 if verdicts[0]["reproduced"] else 1)
    assert not [path for folder in empty for path in folder.rglob("*")]


@pytest.mark.parametrize(
    ("arguments", "figures"),
    [
        (["sweep", "--total-eps", 2, "--cycles", "2,1", "--num", 3], {"heatmap", "courses"}),
        (["baselines", "--epochs", 1, "--num-new", 8, "--num-sampled", 8], {"baselines"}),
        (
            ["samples", "--epochs", 1, "--num-new", 8, "--sampled", "0,4", "--trials", 2],
            {"samples"},
        ),
        (["interleave", "--images", 20, "--blocks", "1,5"], {"interleave"}),
    ],
)
def test_other_experiments(
    arguments: list, figures: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, *arguments, *OFFLINE, "--eval-images", 20, "--out", out)
    assert code == 0, err
    assert {p.stem for p in (out / "figures").iterdir()} == figures
    assert not list(out.glob("part-*"))


@pytest.mark.usefixtures("_no_figures")
def test_digits_start_from_their_own_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "--no-inverted", *TINY, "--out", tmp_path / "run")
    assert code == 0, err
    assert "mnist-0-4-small-20: shipped with the package" in err


@pytest.mark.usefixtures("_few_images")
def test_pretrain_stores_weights_that_later_runs_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One epoch leaves the model on its plateau, which is refused: only a trained one is stored."""
    small = ["--latent-dim", 3, *OFFLINE, "--eval-images", 20, "--batch-size", 100]
    code, _, err = run(capsys, "pretrain", *small, "--epochs", 1, "--out", tmp_path / "a")
    assert code == 1
    assert "collapsed" in err
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "failed"
    out = tmp_path / "trial"
    code, _, err = run(capsys, "pretrain", *small, "--quick", "--epochs", 1, "--out", out)
    assert code == 0, err
    assert "warning: the initial model has collapsed" in err
    assert not weights_cache().exists()
    monkeypatch.setattr("sleep_replay.weights.COLLAPSED", -1.0)
    monkeypatch.setattr("sleep_replay.cli.draw", lambda run, formats: [])  # drawn above
    code, _, err = run(capsys, "pretrain", *small, "--epochs", 1, "--out", tmp_path / "b")
    assert code == 0, err
    assert (weights_cache() / "mnist-small-3.safetensors").is_file()
    code, _, err = run(capsys, *TINY, "--latent-dim", 3, "--out", tmp_path / "c")
    assert code == 0, err
    assert "mnist-small-3: cache" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-cycles", 0], "--num-cycles 0"),
        (["--num-cycles", 5, "--total-eps", 4], "--total-eps 4"),
        (["--start-fraction-rem", 1.2], "--start-fraction-rem 1.2"),
        (["--end-fraction-rem", -0.2], "--end-fraction-rem -0.2"),
        (["--num", 4001], "--num 4001: from 1 to 4000"),
        (["--num", 0], "--num 0"),
        (["--latent-dim", 0], "--latent-dim 0"),
        (["--device", "tpu"], "--device tpu"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--seeds", "1,1"], "given twice"),
        (["--eval-images", "many"], "--eval-images many"),
        (["--eval-images", "1001"], "--eval-images 1001"),
        (["--format", "bmp"], "--format bmp"),
        (["--batch-size", 0], "--batch-size 0"),
        (["--lr", -1], "--lr"),
        (["--architecture", "tiny"], "tiny"),
        (["--frobnicate"], "frobnicate"),
        (["--num-cycles", "three"], "--num-cycles"),
        (["--seed", 3, "sweep"], "options follow the subcommand"),
        (["sweep", "--cycles", "a"], "--cycles a"),
        (["sweep", "--fractions", "0.5,2"], "2"),
        (["sweep", "--lrs", "0"], "--lr"),
        (["samples", "--sampled", "1.5"], "--sampled 1.5"),
        (["pretrain", "--epochs", 0], "--epochs 0"),
        (["pretrain", "--patience", 0], "--patience 0"),
    ],
)
def test_bad_input_is_told_and_exits_with_2(
    arguments: list, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = [] if "--seed" in arguments else OFFLINE
    code, _, err = run(capsys, *arguments, *dataset, "--out", tmp_path / "run")
    assert code == 2
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_unusable_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a directory")
    code, _, err = run(capsys, *TINY, "--out", tmp_path / "file" / "run")
    assert code == 2
    assert "--out" in err
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
    code, _, err = run(capsys, "verify", tmp_path)
    assert code == 2
    assert "run.json" in err


def test_divergence_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, *TINY, "--lr", "1e30", "--out", out)
    assert code == 1
    assert "not finite after step" in err
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    assert not (out / "metrics.json").exists()


def test_damaged_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = InitialModel("mnist", "small", 3)
    path = model.store(
        VAE(1, 3).initialise([Streams(0).torch("w")]).network_state(0), {}, weights_cache()
    )
    torch.save({"evil": torch.zeros(1)}, path)
    code, _, err = run(capsys, *TINY, "--latent-dim", 3, "--out", tmp_path / "run")
    assert code == 1
    assert "safetensors" in err


@pytest.mark.slow  # those of shared and of rnn-reactivation are not
def test_killed_and_resumed_gives_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at some moment of training; `--resume` ends with the numbers of an unbroken run."""
    arguments = [*OFFLINE, "--eval-images", 20, "--num", 10, "--total-eps", 12, "--num-cycles", 12]
    out = tmp_path / "killed"
    kill_at_work("sleep_replay", [*arguments, "--out", out], out / "checkpoint.safetensors")
    record = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert record["status"] == "running"
    assert not (tmp_path / "killed" / "metrics.json").exists()

    monkeypatch.setattr("sharpwave_shared.runs.CHECKPOINT_INTERVAL", 0.0)
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "killed")
    assert code == 2
    assert "--resume" in err
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "killed", "--resume")
    assert code == 0, err
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "whole")
    assert code == 0, err
    for name in ("metrics.json", "networks.safetensors"):
        expected = (tmp_path / "whole" / name).read_bytes()
        assert (tmp_path / "killed" / name).read_bytes() == expected
    with (
        np.load(tmp_path / "whole" / "arrays.npz") as expected,
        np.load(tmp_path / "killed" / "arrays.npz") as got,
    ):
        assert expected.files == got.files
        assert all(np.array_equal(expected[name], got[name]) for name in expected.files)


def test_nothing_is_written_outside_out_and_the_cache(tmp_path: Path) -> None:
    """A process of its own, in an empty working directory and home, leaves both empty.

    The main command is watched where it is tested.
    """
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "MPLCONFIGDIR": str(tmp_path / "mpl")}
    result = subprocess.run(
        in_process(
            *("interleave", "--images", 20, "--blocks", 5, *OFFLINE, "--eval-images", 20),
            *("--out", tmp_path / "run"),
        ),
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not list(work.iterdir())
    assert not list(home.rglob("*"))
