"""The command line: modes, options, bad input, run directories, damaged data, kill and resume."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from impression_learning.cli import app
from sharpwave_shared import open_run
from sharpwave_shared.experiment import Job
from sharpwave_shared.testing import kill_at_work

Command = Callable[..., tuple[int, str, str]]
Tiny = dict[str, dict[str, Any]]
MODES = list(app.experiments)


# Modes and options


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the experiments that a command would run."""
    found: list[Any] = []

    def start(experiments: list[Any], *others: Any) -> list:
        found.extend(experiments)
        return []

    monkeypatch.setattr("sharpwave_shared.execution.run_all", start)
    return found


@pytest.mark.parametrize("name", ["Switch-Period", "SWITCH_PERIOD", " switch-PERIOD "])
def test_names_of_modes(name: str, started: list[Any], command: Command) -> None:
    code, _, err = command("--mode", name)
    assert code == 0, err
    assert [experiment.name for experiment in started] == ["switch_period"]


@pytest.mark.usefixtures("started")
def test_options_that_the_mode_does_not_use_are_told(command: Command) -> None:
    unused = {"switch_period": 3, "episodes": 500, "dataset": "synthetic", "eta_backprop": 0.1}
    code, _, err = command("--mode", "switch_period", **unused)
    assert code == 0, err
    for name in ("--switch-period", "--episodes", "--dataset"):
        assert f"warning: {name}: switch_period does not use it" in err
    assert "warning: eta_backprop has no effect: what learns is impression" in err
    assert err.count("warning:") == 4
    code, _, err = command("--quick", "--n", 3)
    assert code == 0, err
    assert "warning:" not in err


def test_quick_gives_way_to_what_the_user_sets(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def stop(self: Any, job: Job) -> None:
        started.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr("impression_learning.experiments.common.Learning.compute", stop)
    for number, more in enumerate(
        (
            ["--quick", "--mode", "switch_period", "--steps", "300", "--periods", "2,5"],
            ["--mode", "dimensionality", "--quick", "--points", "20", "--dimensions", "4"],
            ["--mode", "SNR"],
        )
    ):
        code, _, err = command(*more, "--out", tmp_path / str(number))
        assert code == 130
        assert "interrupted" in err
        found = json.loads((tmp_path / str(number) / "run.json").read_text())
        assert found["status"] == "interrupted"
        assert found["quick"] is ("--quick" in more)
    quick, other, whole = started
    assert (quick.steps, quick.periods) == (300, (2, 5))
    assert (quick.points, quick.test_steps) == (6, 5000)
    assert (other.points, other.dimensions) == (20, (4,))
    assert (other.steps, other.steps_backprop) == (200_000, 50_000)
    assert (whole.steps, whole.points, whole.episodes) == (600_000, 20, 1_000_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "foo"], "--mode: got 'foo', expected one of " + ", ".join(MODES)),
        (["--mode", ""], "--mode: got ''"),
        (["--n", 0], "--n: got 0, expected a whole number from 1 to 100,000"),
        (["--n", 2.5], "--n: got '2.5'"),
        (
            ["--sigma-gen", "much"],
            "--sigma-gen: got 'much', expected a number above 0, up to 1e+06",
        ),
        (["--switch-period", -1], "--switch-period: got -1, expected a whole number from 0"),
        (["--seeds", "1,1"], "--seeds: got 1 twice"),
        (["--seed", -1], "--seed: got -1"),
        (["--eta", "nan"], "--eta: got 'nan', expected a number from 0 to 1e+300"),
        (["--algorithm", "magic"], "--algorithm: got 'magic', expected one of impression"),
        (["--steps", "1e3x"], "--steps: got '1e3x'"),
        (["--test-steps", 10], "--test-steps: got 10, expected a whole number from 200"),
        (["--dt", 2], "--dt: got 2"),
        (["--device", "cuda:99"], "--device: got 'cuda:99', expected what this machine has"),
        (["--format", "bmp"], "--format: got 'bmp'"),
        (["--mode", "dimensionality", "--dimensions", "1,1"], "--dimensions: got 1 twice"),
        (["--mode", "dimensionality", "--dimensions", "11"], "expected whole numbers from 0 to 10"),
        (["--mode", "dimensionality", "--dimensions", ""], "--dimensions: got nothing"),
        (["--mode", "switch_period", "--periods", "1,,3"], "--periods: got '1,,3'"),
        (["--mode", "time_constant", "--dts", "0.1,0.10"], "--dts: got 0.1 twice"),
        (
            ["--mode", "lr_optim", "--algorithm", "backprop"],
            "--algorithm: got 'backprop', expected one of impression, reinforce, or none",
        ),
        (
            ["--mode", "Vocal_Digits", "--takes", 5],
            "--takes: got 5, expected a whole number from 6",
        ),
        (["--mode", "Vocal_Digits", "--dataset", "songs"], "--dataset: got 'songs'"),
        (["--mode", "Vocal_Digits", "--sigma-gen", "none"], "--sigma-gen: got none"),
        (["--frobnicate"], "--frobnicate"),
        (["--mode", "SNR", "verify", "somewhere"], "--mode stands before verify"),
        (["--seed", 3, "plot", "somewhere"], "options follow the subcommand"),
    ],
)
def test_bad_input_is_told_and_exits_with_2(
    arguments: list, message: str, tmp_path: Path, command: Command
) -> None:
    out = [] if "somewhere" in arguments else ["--out", tmp_path / "run"]
    code, _, err = command(*arguments, *out)
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_cuda_where_there_is_none(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    code, _, err = command("--device", "cuda", "--out", tmp_path / "run")
    assert code == 2
    assert "--device: got 'cuda', expected what this machine has" in err
    assert not (tmp_path / "run").exists()


# Run directories


@pytest.mark.usefixtures("no_figures")
def test_other_runs_are_refused_where_one_is(tmp_path: Path, tiny: Tiny, command: Command) -> None:
    out, small = tmp_path / "run", tiny["standard"]
    assert command("--out", out, **small)[0] == 0
    first = open_run(out).data
    for other in ({"seeds": "0:2"}, {"eta": 1e-4}, {"mode": "SNR", "episodes": 200}):
        code, _, err = command("--out", out, **small, **other)
        assert code == 2
        assert "another configuration" in err
        assert "--force" in err
        assert open_run(out).data.identical(first)
    # What the mode does not look at makes no other run.
    code, _, err = command("--out", out, **small, episodes=777, eta_reinforce=1)
    assert code == 0
    assert "finished" in err
    assert open_run(out).data.identical(first)


def test_unusable_directories(tmp_path: Path, tiny: Tiny, command: Command) -> None:
    (tmp_path / "file").write_text("not a directory")
    code, _, err = command("--out", tmp_path / "file" / "run", **tiny["standard"])
    assert code == 2
    assert "--out: got " in err
    assert "Not a directory" in err
    for subcommand in ("verify", "plot"):
        code, _, err = command(subcommand, tmp_path)
        assert code == 2
        assert "no run there" in err
    code, _, err = command("--out", tmp_path, **tiny["standard"])
    assert code == 2
    assert "holds files that are not a run" in err


# Speech recordings


def speech(command: Command, tmp_path: Path, *more: object) -> tuple[int, str]:
    code, _, err = command("--mode", "Vocal_Digits", *more, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    return code, err


def test_missing_recordings(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, err = speech(command, tmp_path)
    assert code == 1
    assert "Free Spoken Digit Dataset was not found and cannot be downloaded" in err
    assert "--data-dir DIR" in err
    assert "--dataset synthetic" in err
    absent = tmp_path / "absent"
    code, err = speech(command, tmp_path, "--data-dir", absent)
    assert code == 2
    assert f"{absent}" in err
    monkeypatch.setenv("SHARPWAVE_DATA", str(absent))
    code, err = speech(command, tmp_path)
    assert code == 2
    assert f"SHARPWAVE_DATA: got {absent}" in err


def test_missing_recordings_in_a_named_directory(tmp_path: Path, command: Command) -> None:
    """Those that are damaged are told by the same error."""
    (tmp_path / "data" / "fsdd" / "recordings").mkdir(parents=True)
    code, err = speech(command, tmp_path, "--data-dir", tmp_path / "data")
    assert code == 2
    assert f"--data-dir: got {tmp_path / 'data'}, " in err
    assert "3000 of 3000 recordings are missing: 0_george_0.wav, " in err


# Divergence


@pytest.mark.parametrize(
    ("mode", "rate"),
    [
        ("standard", {"eta": 1e4}),
        ("dimensionality", {"eta_reinforce": 10}),
        ("standard", {"algorithm": "backprop", "eta_backprop": 1e9}),
    ],
)
@pytest.mark.usefixtures("no_figures")
def test_divergence_fails_the_run(
    mode: str, rate: dict[str, Any], tmp_path: Path, tiny: Tiny, command: Command
) -> None:
    out = tmp_path / "run"
    code, _, err = command("--mode", mode, "--seeds", "0:2", "--out", out, **tiny[mode], **rate)
    assert code == 1
    assert "the loss is not finite after step" in err
    assert "a learning rate below" in err
    assert "seed 0" in err
    found = json.loads((out / "run.json").read_text())
    assert found["status"] == "failed"
    assert "not finite after step" in found["error"]
    assert not (out / "results.nc").exists()
    assert not (out / "networks.safetensors").exists()
    for subcommand in ("verify", "plot"):
        code, _, err = command(subcommand, out)
        assert code == 2
        assert "did not finish" in err


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.usefixtures("no_figures")
def test_divergence_in_the_last_step(
    steps: int, tmp_path: Path, tiny: Tiny, command: Command
) -> None:
    """The loss of the last step is finite, the weights after it are useless."""
    small = tiny["standard"] | {"steps": steps, "points": 2, "eta": 1e300}
    code, _, err = command("--out", tmp_path / "run", **small)
    assert code == 1
    assert "the loss is not finite after step" in err


# Kill and resume


@pytest.mark.parametrize("mode", ["standard", "SNR"])
@pytest.mark.slow  # the kill tests of other packages stand for these
@pytest.mark.usefixtures("no_figures")
def test_killed_and_resumed_gives_the_same_numbers(
    mode: str, tmp_path: Path, command: Command
) -> None:
    """SIGKILL at some moment of learning; `--resume` ends with the numbers of an unbroken run."""
    arguments = ["--mode", mode, "--seeds", "0:2", "--test-steps", 500, "--points", 5]
    arguments += ["--steps", 120_000, *(["--episodes", 30_000] if mode == "SNR" else [])]
    out = tmp_path / "killed"
    checkpoint = out / "checkpoints" / "impression.learning.safetensors"
    kill_at_work("impression_learning", [*arguments, "--out", out], checkpoint)
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    assert checkpoint.exists()
    assert not (out / "results.nc").exists()

    code, _, err = command(*arguments, "--out", out)
    assert code == 2
    assert "--resume" in err
    code, _, err = command(*arguments, "--out", out, "--resume")
    assert code == 0, err
    code, _, err = command(*arguments, "--out", tmp_path / "whole")
    assert code == 0, err
    assert open_run(out).data.identical(open_run(tmp_path / "whole").data)
    assert not list(out.rglob("checkpoints/*"))


@pytest.mark.slow  # sleep-replay's of the same name is not
def test_nothing_is_written_outside_out_and_the_cache(tmp_path: Path, tiny: Tiny) -> None:
    """A run in an empty working directory, with a home of its own, leaves both empty."""
    work, home, temporary = (tmp_path / name for name in ("work", "home", "temporary"))
    for place in (work, home, temporary):
        place.mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "MPLCONFIGDIR": str(tmp_path / "mpl"),
        "SHARPWAVE_CACHE": str(tmp_path / "cache"),
    }
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    spoken = [f"--{name}={value}" for name, value in tiny["Vocal_Digits"].items()]
    out = f"--out={tmp_path / 'speech'}"
    result = subprocess.run(
        [sys.executable, "-m", "impression_learning", "--mode", "Vocal_Digits", *spoken, out],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert open_run(tmp_path / "speech").record.status == "finished"
    for place in (work, home, temporary):
        assert not list(place.rglob("*"))
    (cached,) = (p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert cached.suffix == ".npz"
