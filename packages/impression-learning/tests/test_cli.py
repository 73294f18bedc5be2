"""The command line: every mode end to end, bad input, divergence, kill and resume."""

import io
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impression_learning import cli
from impression_learning.plans import MODES
from impression_learning.speech import SAMPLE_RATE
from sharpwave_shared import data
from sharpwave_shared.testing import invoke, kill_at_work

TINY = ["--steps", "400", "--test-steps", "200", "--points", "3"]
POINTS = [0, 200, 400]
SYNTHETIC = ["--epochs", "1", "--takes", "6", "--dataset", "synthetic", "--points", "2"]
SMALL = ["--n-latent", "2", "--n-in", "6", "--n", "3"]
OF_MODE: dict[str, list[str]] = {
    "standard": TINY,
    "SNR": [*TINY, "--episodes", "200"],
    "dimensionality": [*TINY, "--dimensions", "1,2", "--steps-backprop", "100"],
    "switch_period": [*TINY, "--periods", "1,3"],
    "time_constant": [*TINY, "--dts", "1,0.1"],
    "lr_optim": [*TINY, "--rates", "1e-7,1e-9"],
    "Vocal_Digits": SYNTHETIC,
}
CLAIMED = {
    "standard": {"loss-falls", "reconstruction", "time-constant", "alternation"},
    "SNR": {"signal-to-noise", "same-way"},
    "switch_period": {"alternation"},
    "time_constant": {"time-constant", "alternation"},
    "Vocal_Digits": {"speech-loss", "speech-reconstruction", "speech-dreams"},
}
CLOSED = "http://127.0.0.1:9/fsdd.zip"
Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's data and cache, and the network, out of the tests."""
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("SHARPWAVE_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data, "FSDD_ARCHIVES", (CLOSED,))


@pytest.fixture(scope="module")
def speech_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spectrograms of synthetic speech take seconds; test_speech.py makes them anew."""
    return tmp_path_factory.mktemp("speech")


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds; `plot` draws them in the tests of the modes."""
    monkeypatch.setattr(cli, "draw", lambda run, formats: [])


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(cli.app, shown, *arguments)


def metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text())


def record(out: Path) -> dict[str, Any]:
    return json.loads((out / "run.json").read_text())


def arrays(out: Path) -> dict[str, np.ndarray]:
    with np.load(out / "arrays.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def networks(out: Path) -> bytes | None:
    path = out / "networks.safetensors"
    return path.read_bytes() if path.exists() else None


def assert_same(one: Path, other: Path) -> None:
    assert (one / "metrics.json").read_bytes() == (other / "metrics.json").read_bytes()
    expected, got = arrays(one), arrays(other)
    assert expected.keys() == got.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(values, got[name], err_msg=name)
    assert networks(one) == networks(other)


def numbers(content: Any) -> Iterator[float | None]:
    """All numbers and nulls, however deep."""
    match content:
        case dict():
            for value in content.values():
                yield from numbers(value)
        case list():
            for value in content:
                yield from numbers(value)
        case None | int() | float():
            yield content


def one_line(err: str) -> str:
    return " ".join(err.replace("│", " ").split())


# Modes


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.usefixtures("_no_figures")
def test_options_that_the_mode_does_not_use_are_told(tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(
        capsys,
        *[*OF_MODE["switch_period"], "--mode", "switch_period", "--out", tmp_path / "one"],
        *["--switch-period", 3, "--episodes", 500, "--eta-backprop", 0.1, "--dataset", "synthetic"],
    )
    assert code == 0, err
    for name in ("--switch-period", "--episodes", "--eta-backprop", "--dataset"):
        assert f"warning: {name}: switch_period does not use it" in err
    assert err.count("does not use it") == 4
    out = tmp_path / "other"
    code, _, err = run(capsys, "--quick", "--steps", 400, "--test-steps", 200, "--out", out)
    assert code == 0, err
    assert "does not use it" not in err


@pytest.mark.parametrize(
    "mode",
    # Speech goes from end to end in test_speech_with_reinforce as well.
    [pytest.param(m, marks=pytest.mark.slow) if m == "Vocal_Digits" else m for m in OF_MODE],
)
def test_modes_from_end_to_end(
    mode: str,
    tmp_path: Path,
    capsys: Shown,
    speech_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHARPWAVE_CACHE", str(speech_cache))
    if mode != "standard":  # the others' figures are drawn once, by `plot`
        monkeypatch.setattr(cli, "draw", lambda run, formats: [])
    seeds = ["--seeds", "0"] if mode == "Vocal_Digits" else ["--seeds", "3,1"]
    out = tmp_path / "run"
    arguments = ["--mode", mode, *OF_MODE[mode], *seeds, "--device", "cpu", "--out", out]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err

    found = record(out)
    assert found["status"] == "finished"
    assert found["experiment"] == mode
    assert found["seeds"] == [int(seed) for seed in seeds[1].split(",")]
    assert found["quick"] is False
    assert found["device"].startswith("cpu")
    assert found["config"]["mode"] == mode
    left = {path.name for path in out.iterdir()}
    assert not [n for n in left if n.startswith("part-") or "checkpoint" in n]
    check_metrics(mode, metrics(out), len(found["seeds"]))
    check_arrays(mode, arrays(out), len(found["seeds"]))
    if mode == "Vocal_Digits":
        check_sounds(out)
    claims = out / "claims.json"
    said = {c["name"] for c in json.loads(claims.read_text())} if claims.exists() else set()
    assert said == CLAIMED.get(mode, set())

    assert any(out.rglob("*.png")) == (mode == "standard")
    code, shown, err = run(capsys, "plot", out, "--format", "png,svg")
    assert code == 0, err
    drawn = [Path(line) for line in shown.split()]
    assert {path.suffix for path in drawn} >= {".png", ".svg"}
    assert all(path.stat().st_size > 1000 for path in drawn)
    assert all(out in path.parents for path in drawn)

    code, shown, err = run(capsys, "verify", out, "--json")
    if mode in CLAIMED:
        verdicts = json.loads(shown)
        assert {v["name"] for v in verdicts} == CLAIMED[mode]
        assert code == (0 if all(v["reproduced"] for v in verdicts) else 1)
    else:
        assert code == 1
        assert "no claim speaks about a run" in err

    before = (out / "metrics.json").stat().st_mtime_ns
    code, _, err = run(capsys, *arguments)
    assert code == 0
    assert "finished" in err
    assert (out / "metrics.json").stat().st_mtime_ns == before


def check_metrics(mode: str, found: dict[str, Any], seeds: int) -> None:
    conditions = found["conditions"]
    algorithms = {
        "dimensionality": ["impression", "reinforce", "backprop"],
        "lr_optim": ["impression", "reinforce"],
    }.get(mode, ["impression"])
    axis: list[float] = {
        "dimensionality": [2, 4],
        "switch_period": [1, 3],
        "time_constant": [1, 0.1],
        "lr_optim": [1e-7, 1e-9],
    }.get(mode, [0])
    assert found["axis"]["values"] == axis
    assert [(c["algorithm"], c["value"]) for c in conditions] == [
        (algorithm, value) for algorithm in algorithms for value in axis
    ]
    for condition in conditions:
        points = condition["points"]
        if mode == "Vocal_Digits":
            assert condition.pop("dt") is None  # the recordings' own
        else:
            backprop = condition["algorithm"] == "backprop"
            assert points == ([0, 50, 100] if backprop else POINTS)
        assert np.shape(condition["losses"]) == (seeds, len(points))
        assert all(loss > 0 for row in condition["losses"] for loss in row)
        assert condition["diverged"] == [-1] * seeds
        summary = condition.get("summary")
        assert (summary is not None) == (mode not in ("SNR", "dimensionality", "lr_optim"))
        for name, values in (summary or {}).items():
            assert name == "transition_truth" or len(values) == seeds
    assert all(number is not None and np.isfinite(number) for number in numbers(found))
    if mode == "SNR":
        assert found["episodes"] == 200
        for rule, statistics in found["updates"].items():
            assert statistics.keys() >= {"snr", "norm"}
            assert ("cosine" in statistics) == (rule != "impression")
            for values in statistics.values():
                assert np.shape(values) == (seeds, 3)
            assert np.min(statistics["snr"]) > 0


def check_arrays(mode: str, found: dict[str, np.ndarray], seeds: int) -> None:
    assert all(np.isfinite(values).all() for values in found.values())
    if mode == "SNR":
        assert {v.shape for v in found.values()} == {(seeds, 3, 2 * 2 * 4 + 2)}
        return
    if mode in ("dimensionality", "lr_optim"):
        assert found == {}
        return
    n_in, n = {"standard": (100, 20), "Vocal_Digits": (128, 40)}.get(mode, (10, 4))
    steps = 400 if mode == "Vocal_Digits" else 200
    for c in range(2 if mode in ("switch_period", "time_constant") else 1):
        for name in ("stimulus", "reconstruction", "dream"):
            assert found[f"{c}.{name}"].shape == (steps, n_in)
        for name in ("awake", "alternating"):
            assert found[f"{c}.{name}"].shape == (steps, n)
        assert found[f"{c}.phases"].shape == (steps,)
        period = 3 if (mode, c) == ("switch_period", 1) else 1
        awake = [bool(t // (period + 1) % 2 == 0) for t in range(steps)]
        assert found[f"{c}.phases"].tolist() == awake
        assert found[f"{c}.autocorrelation.inferred"].shape == (seeds, 81)
        assert found[f"{c}.autocorrelation.inferred"][:, 0] == pytest.approx(1)


@pytest.mark.usefixtures("_no_figures")
def test_speech_with_reinforce(
    tmp_path: Path, capsys: Shown, speech_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARPWAVE_CACHE", str(speech_cache))
    out = tmp_path / "run"
    arguments = ["--mode", "vocal-digits", *SYNTHETIC, "--algorithm", "reinforce", "--out", out]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    assert metrics(out)["conditions"][0]["algorithm"] == "reinforce"
    assert not (out / "claims.json").exists()
    check_sounds(out)


def check_sounds(out: Path) -> None:
    assert record(out)["dataset"]["name"] == "synthetic-speech"
    assert {p.name for p in out.glob("*.wav")} == {"stimulus.wav", "dream.wav", "dream_before.wav"}
    sounds = {}
    for path in out.glob("*.wav"):
        with wave.open(str(path)) as stream:
            assert (stream.getnchannels(), stream.getsampwidth()) == (1, 2)
            assert stream.getframerate() == SAMPLE_RATE
            sounds[path.stem] = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
            assert len(sounds[path.stem]) == stream.getnframes() == 400 * 512
        assert np.abs(sounds[path.stem].astype(int)).max() > 10_000
    assert (sounds["dream"] != sounds["dream_before"]).any()


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize(
    ("mode", "algorithms"),
    [
        ("standard", ["impression", "reinforce", "backprop"]),
        ("SNR", ["impression", "reinforce", "backprop"]),
        ("dimensionality", ["impression", "reinforce", "backprop"]),
        ("switch_period", ["impression", "reinforce", "backprop"]),
        ("time_constant", ["impression", "reinforce", "backprop"]),
        ("lr_optim", ["impression", "reinforce"]),
    ],
)
def test_algorithms(mode: str, algorithms: list[str], tmp_path: Path, capsys: Shown) -> None:
    losses = set()
    for algorithm in algorithms:
        out = tmp_path / algorithm
        rate = [] if mode == "lr_optim" else ["--eta-reinforce", "1e-8"]
        code, _, err = run(
            capsys, "--mode", mode, *OF_MODE[mode], *rate, "--algorithm", algorithm, "--out", out
        )
        assert code == 0, err
        found = metrics(out)["conditions"]
        assert {c["algorithm"] for c in found} == {algorithm}
        losses.add(found[0]["losses"][0][-1])
    assert len(losses) == len(algorithms)


@pytest.mark.usefixtures("_no_figures")
def test_third_factors(tmp_path: Path, capsys: Shown) -> None:
    losses = []
    for factor in ("gradient", "released"):
        code, _, err = run(
            *(capsys, *TINY, *SMALL, "--algorithm", "reinforce", "--eta-reinforce", "1e-7"),
            *("--third-factor", factor, "--out", tmp_path / factor),
        )
        assert code == 0, err
        assert record(tmp_path / factor)["config"]["third_factor"] == factor
        losses.append(metrics(tmp_path / factor)["conditions"][0]["losses"][0])
    assert losses[0][0] == losses[1][0]
    assert losses[0][2] != losses[1][2]


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("name", ["Switch-Period", "SWITCH_PERIOD", "switch-PERIOD"])
def test_names_of_modes(name: str, tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, "--mode", name, *TINY, "--periods", "2", "--out", out)
    assert code == 0, err
    assert record(out)["experiment"] == "switch_period"


# Same numbers


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("mode", ["standard", "SNR", "dimensionality"])
def test_the_same_command_gives_the_same_numbers(mode: str, tmp_path: Path, capsys: Shown) -> None:
    for name in ("one", "two"):
        arguments = ["--mode", mode, *OF_MODE[mode], "--seeds", "0:2", "--out", tmp_path / name]
        code, _, err = run(capsys, *arguments)
        assert code == 0, err
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("mode", ["standard", "SNR"])
def test_seeds_give_the_same_numbers_together_and_alone(
    mode: str, tmp_path: Path, capsys: Shown
) -> None:
    for name, seeds in (("both", ["--seeds", "0:2"]), ("alone", ["--seed", "1"])):
        arguments = ["--mode", mode, *OF_MODE[mode], *seeds, "--out", tmp_path / name]
        code, _, err = run(capsys, *arguments)
        assert code == 0, err
    both, alone = metrics(tmp_path / "both"), metrics(tmp_path / "alone")
    for name, values in alone["conditions"][0].get("summary", {}).items():
        if name != "transition_truth":
            assert both["conditions"][0]["summary"][name][1:] == values
    assert both["conditions"][0]["losses"][1:] == alone["conditions"][0]["losses"]
    assert both["conditions"][0]["losses"][0] != alone["conditions"][0]["losses"][0]
    for rule, statistics in alone.get("updates", {}).items():
        for name, values in statistics.items():
            assert both["updates"][rule][name][1:] == values
    together = arrays(tmp_path / "both")
    for name, values in arrays(tmp_path / "alone").items():
        if mode == "SNR" or "autocorrelation" in name:  # the others are excerpts of one seed
            np.testing.assert_array_equal(together[name][1:], values, err_msg=name)


# Run directories


@pytest.mark.usefixtures("_no_figures")
def test_other_seeds_are_refused_and_force_runs_again(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    assert run(capsys, *TINY, *SMALL, "--out", out)[0] == 0
    first = metrics(out)
    for other in (["--seeds", "0:2"], ["--eta", "1e-4"], ["--mode", "SNR", "--episodes", "200"]):
        code, _, err = run(capsys, *TINY, *SMALL, *other, "--out", out)
        assert code == 2
        assert "another configuration" in err
        assert "--force" in err
        assert metrics(out) == first
    # What the mode does not look at makes no other run.
    assert (
        run(capsys, *TINY, *SMALL, "--episodes", "777", "--eta-reinforce", 1, "--out", out)[0] == 0
    )
    assert metrics(out) == first
    code, _, err = run(capsys, *TINY, *SMALL, "--seeds", "0:2", "--force", "--out", out)
    assert code == 0, err
    assert record(out)["seeds"] == [0, 1]
    again = metrics(out)["conditions"][0]["losses"]
    assert again[0] == first["conditions"][0]["losses"][0]
    assert len(again) == 2


def test_quick_gives_way_to_what_the_user_sets(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def stop(plan: Any, *_: Any, **__: Any) -> None:
        plans.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_experiment", stop)
    for number, more in enumerate(
        (
            ["--quick", "--steps", "300", "--periods", "2,5"],
            ["--mode", "dimensionality", "--quick", "--points", "20", "--dimensions", "4"],
            ["--mode", "SNR"],
        )
    ):
        code, _, err = run(capsys, *more, "--out", tmp_path / str(number))
        assert code == 130
        assert "--resume" in err
        found = record(tmp_path / str(number))
        assert found["status"] == "interrupted"
        assert found["quick"] is ("--quick" in more)
    quick, other, whole = plans
    assert (quick.steps, quick.periods) == (300, (2, 5))
    assert (quick.points, quick.test_steps) == (6, 5000)
    assert (other.points, other.dimensions) == (20, (4,))
    assert (other.steps, other.steps_backprop) == (200_000, 50_000)
    assert (whole.steps, whole.points, whole.episodes) == (600_000, 20, 1_000_000)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "foo"], "--mode foo: must be one of " + ", ".join(MODES)),
        (["--mode", ""], "must be one of standard"),
        (["--n-in", 0], "--n-in 0: from 1"),
        (["--n", 0], "--n 0: from 1"),
        (["--n", -3], "--n -3: from 1"),
        (["--n-latent", 0], "--n-latent 0: from 1"),
        (["--mode", "dimensionality", "--n", 0], "--n 0"),
        (["--n", 2.5], "--n"),
        (["--sigma-in", -1], "--sigma-in -1: a noise level is a number above 0"),
        (["--sigma-in", 0], "--sigma-in 0"),
        (["--sigma-in", "nan"], "--sigma-in nan"),
        (["--sigma-inf", "inf"], "--sigma-inf inf"),
        (["--sigma-obs", -0.1], "--sigma-obs -0.1"),
        (["--sigma-gen", 0], "--sigma-gen 0"),
        (["--sigma-gen", "much"], "--sigma-gen"),
        (["--switch-period", -1], "--switch-period -1: from 0"),
        (["--switch-period", 1.5], "--switch-period"),
        (["--switch-period", 10**20], "--switch-period 100000000000000000000: from 0 to"),
        (["--seeds", "1,1"], "--seeds 1,1: a seed is given twice"),
        (["--seeds", "0:3,2"], "--seeds 0:3,2: a seed is given twice"),
        (["--seeds", "0:0"], "names no seed"),
        (["--seeds", "a"], "--seeds a"),
        (["--seed", -1], "--seed -1"),
        (["--eta", -1], "--eta -1: a number from 0"),
        (["--eta", "inf"], "--eta inf"),
        (["--eta", "nan"], "--eta nan"),
        (["--algorithm", "reinforce", "--eta-reinforce", -1], "--eta-reinforce -1: a number"),
        (["--algorithm", "reinforce", "--eta", "nan"], "--eta nan"),
        (["--algorithm", "backprop", "--eta-backprop", "inf"], "--eta-backprop inf: a number"),
        (["--algorithm", "magic"], "--algorithm"),
        (["--third-factor", "none"], "--third-factor"),
        (["--steps", 0], "--steps 0: from 1"),
        (["--steps", "1e3"], "--steps"),
        (["--steps", 10**30], "--steps 1000"),
        (["--points", 1], "--points 1: from 2"),
        (["--test-steps", 10], "--test-steps 10: from 200"),
        (["--dt", 0], "--dt 0: above 0 and at most 1"),
        (["--dt", 2], "--dt 2: above 0 and at most 1"),
        (["--dt", "nan"], "--dt nan"),
        (["--device", "tpu"], "--device tpu: not available; this machine has"),
        (["--device", "cuda:99"], "--device cuda:99"),
        (["--format", "bmp"], "--format bmp"),
        (["--mode", "SNR", "--episodes", 10], "--episodes 10: from 100"),
        (["--mode", "dimensionality", "--dimensions", "a"], "--dimensions a: 'a' is not allowed"),
        (["--mode", "dimensionality", "--dimensions", "2,-1"], "--dimensions 2,-1: '-1'"),
        (
            ["--mode", "dimensionality", "--dimensions", "1,1"],
            "--dimensions 1,1: a number is given",
        ),
        (["--mode", "dimensionality", "--dimensions", "1.5"], "--dimensions 1.5"),
        (["--mode", "dimensionality", "--dimensions", "11"], "--dimensions 11: exponents from 0"),
        (["--mode", "dimensionality", "--dimensions", ""], "--dimensions : ''"),
        (["--mode", "dimensionality", "--steps-backprop", 0], "--steps-backprop 0: from 1"),
        (["--mode", "switch_period", "--periods", "-1"], "--periods -1: '-1' is not allowed"),
        (["--mode", "switch_period", "--periods", "1,,3"], "--periods 1,,3"),
        (["--mode", "switch_period", "--periods", "1,7,1"], "--periods 1,7,1: a number is given"),
        (["--mode", "switch_period", "--periods", 10**20], "--periods 100000000000000000000: from"),
        (["--mode", "time_constant", "--dts", "0.1,0"], "--dts 0: above 0"),
        (["--mode", "time_constant", "--dts", "2"], "--dts 2: above 0 and at most 1"),
        (["--mode", "time_constant", "--dts", "nan"], "--dts nan"),
        (["--mode", "time_constant", "--dts", "0.1,0.10"], "a number is given twice"),
        (["--mode", "lr_optim", "--rates", "1e-3,-1"], "--rates 1e-3,-1: '-1' is not allowed"),
        (["--mode", "lr_optim", "--rates", "inf"], "--rates inf"),
        (["--mode", "lr_optim", "--algorithm", "backprop"], "--algorithm backprop: lr_optim has"),
        (
            ["--mode", "Vocal_Digits", "--algorithm", "backprop"],
            "--algorithm backprop: Vocal_Digits has impression, reinforce",
        ),
        (["--mode", "Vocal_Digits", "--takes", 5], "--takes 5: must be from 6 to 50"),
        (["--mode", "Vocal_Digits", "--takes", 51], "--takes 51: must be from 6 to 50"),
        (["--mode", "Vocal_Digits", "--epochs", 0], "--epochs 0: from 1"),
        (["--mode", "Vocal_Digits", "--dataset", "songs"], "--dataset"),
        (["--frobnicate"], "--frobnicate"),
        (["--mode", "SNR", "verify", "somewhere"], "--mode stands before verify"),
        (["--seed", 3, "plot", "somewhere"], "options follow the subcommand"),
    ],
)
def test_bad_input_is_told_and_exits_with_2(
    arguments: list, message: str, tmp_path: Path, capsys: Shown
) -> None:
    out = [] if "somewhere" in arguments else ["--out", tmp_path / "run"]
    code, _, err = run(capsys, *arguments, *out)
    assert code == 2
    assert message in one_line(err)
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_cuda_where_there_is_none(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    code, _, err = run(capsys, *TINY, "--device", "cuda", "--out", tmp_path / "run")
    assert code == 2
    assert "--device cuda: not available; this machine has" in err
    assert not (tmp_path / "run").exists()


def test_unusable_directories(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "file").write_text("not a directory")
    code, _, err = run(capsys, *TINY, "--out", tmp_path / "file" / "run")
    assert code == 2
    assert "--out" in err
    for subcommand in ("verify", "plot"):
        code, _, err = run(capsys, subcommand, tmp_path)
        assert code == 2
        assert "no run there" in err
    code, _, err = run(capsys, *TINY, "--out", tmp_path)
    assert code == 2
    assert "holds files that are not a run" in err


# Speech recordings


def speech(shown: Shown, tmp_path: Path, *more: object) -> tuple[int, str]:
    code, _, err = run(shown, "--mode", "Vocal_Digits", *more, "--out", tmp_path / "run")
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()
    return code, one_line(err)


def test_missing_recordings(tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    code, err = speech(capsys, tmp_path)
    assert code == 1
    assert "Free Spoken Digit Dataset was not found and cannot be downloaded" in err
    assert "--data-dir DIR" in err
    assert "--dataset synthetic" in err
    absent = tmp_path / "absent"
    code, err = speech(capsys, tmp_path, "--data-dir", absent)
    assert code == 2
    assert f"--data-dir {absent}: must be a readable directory" in err
    monkeypatch.setenv("SHARPWAVE_DATA", str(absent))
    code, err = speech(capsys, tmp_path)
    assert code == 2
    assert f"SHARPWAVE_DATA {absent}" in err


@pytest.fixture(scope="module")
def tone() -> bytes:
    """A WAV file of a tenth of a second, in the data set's format."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(np.int16(8000 * np.sin(np.arange(800))).tobytes())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("empty folder", "3000 of 3000 recordings are missing: 0_george_0.wav, "),
        ("one missing", "1 of 3000 recordings are missing: 4_theo_7.wav"),
        ("truncated", "1 of 3000 recordings are damaged: 4_theo_7.wav (ends too early)"),
        ("cut header", "1 of 3000 recordings are damaged: 4_theo_7.wav"),
        ("empty file", "1 of 3000 recordings are damaged: 4_theo_7.wav"),
        ("text", "1 of 3000 recordings are damaged: 4_theo_7.wav"),
        ("others", "is not version 1.0.10 of the data set"),
    ],
)
def test_damaged_recordings(
    fault: str, message: str, tone: bytes, tmp_path: Path, capsys: Shown
) -> None:
    folder = tmp_path / "data" / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    if fault != "empty folder":
        for digit, speaker, take in data._fsdd_keys():
            (folder / f"{digit}_{speaker}_{take}.wav").write_bytes(tone)
    one = folder / "4_theo_7.wav"
    match fault:
        case "one missing":
            one.unlink()
        case "truncated":
            one.write_bytes(tone[:-200])
        case "cut header":
            one.write_bytes(tone[:20])
        case "empty file":
            one.write_bytes(b"")
        case "text":
            one.write_text("This is not sound.")
    code, err = speech(capsys, tmp_path, "--data-dir", tmp_path / "data")
    assert code == 2
    assert f"--data-dir {tmp_path / 'data'}: " in err
    assert message in err


# Divergence


@pytest.mark.parametrize(
    "arguments",
    [
        ["--eta", 100],
        ["--mode", "SNR", "--episodes", 200, "--eta", 1e6],
        ["--mode", "switch_period", "--periods", "1,3", "--eta", 1e6],
        ["--mode", "dimensionality", "--dimensions", 1, "--eta-reinforce", 10],
        ["--algorithm", "backprop", "--eta-backprop", 1e9],
    ],
)
@pytest.mark.usefixtures("_no_figures")
def test_divergence_fails_the_run(arguments: list, tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, *arguments, *TINY, "--seeds", "0:2", "--out", out)
    assert code == 1
    assert "the loss is not finite after step" in err
    assert "a learning rate below" in err
    assert "seed 0" in err
    assert "Traceback" not in err
    found = record(out)
    assert found["status"] == "failed"
    assert "not finite after step" in found["error"]
    assert not (out / "metrics.json").exists()
    assert not (out / "networks.safetensors").exists()
    for subcommand in ("verify", "plot"):
        code, _, err = run(capsys, subcommand, out)
        assert code == 2
        assert "did not finish" in err


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.usefixtures("_no_figures")
def test_divergence_in_the_last_step(steps: int, tmp_path: Path, capsys: Shown) -> None:
    """The loss of the last step is finite, the weights after it are useless."""
    out = tmp_path / "run"
    arguments = ["--steps", steps, "--test-steps", 200, "--points", 2, "--eta", 1e300]
    code, _, err = run(capsys, *arguments, "--out", out)
    assert code == 1
    assert "the loss is not finite after step" in err
    assert record(out)["status"] == "failed"
    assert not (out / "metrics.json").exists()


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("rates", ["1e-12,100", "100"])
def test_divergence_is_a_result_of_the_search(rates: str, tmp_path: Path, capsys: Shown) -> None:
    """Also where every network diverges."""
    out = tmp_path / "run"
    arguments = ["--mode", "lr_optim", *TINY, "--rates", rates, "--seeds", "0:2", "--out", out]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    assert record(out)["status"] == "finished"
    for condition in metrics(out)["conditions"]:
        final = [losses[-1] for losses in condition["losses"]]
        assert None not in [losses[0] for losses in condition["losses"]]
        if condition["value"] == 100:
            assert final == [None, None]
            assert all(0 < step < 400 for step in condition["diverged"])
        else:
            assert None not in final
            assert condition["diverged"] == [-1, -1]
    assert run(capsys, "plot", out)[0] == 0


# Kill and resume


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize(
    ("arguments", "point"),
    [
        # The kill tests of other packages stand for these.
        pytest.param(
            ["--steps", 120_000, "--test-steps", 500, "--points", 4],
            "checkpoint",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [
                *("--mode", "SNR", "--steps", 100_000, "--test-steps", 500, "--points", 5),
                *("--episodes", 30_000),
            ],
            "part-updates-1",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["standard", "SNR"],
)
def test_killed_and_resumed_gives_the_same_numbers(
    arguments: list,
    point: str,
    tmp_path: Path,
    capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGKILL at some moment of learning; `--resume` ends with the numbers of an unbroken run."""
    monkeypatch.setattr("sharpwave_shared.runs.CHECKPOINT_INTERVAL", 0.0)
    arguments = ["--seeds", "0:2", *arguments]
    out = tmp_path / "killed"
    kill_at_work("impression_learning", [*arguments, "--out", out], out / f"{point}.safetensors")
    assert record(out)["status"] == "running"
    assert (out / "checkpoint.safetensors").exists()
    assert not (out / "metrics.json").exists()

    code, _, err = run(capsys, *arguments, "--out", out)
    assert code == 2
    assert "--resume" in err
    code, _, err = run(capsys, *arguments, "--seeds", "0:3", "--resume", "--out", out)
    assert code == 2
    assert "another configuration" in err

    code, _, err = run(capsys, *arguments, "--out", out, "--resume")
    assert code == 0, err
    assert len(record(out)["resumed"]) == 1
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "whole")
    assert code == 0, err
    assert_same(tmp_path / "whole", out)
    assert not list(out.glob("*checkpoint*"))
    assert not list(out.glob("part-*"))


@pytest.mark.slow  # sleep-replay's of the same name is not
def test_nothing_is_written_outside_out_and_the_cache(tmp_path: Path) -> None:
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
    spoken = ["--mode", "Vocal_Digits", *SYNTHETIC, "--out", tmp_path / "speech"]
    result = subprocess.run(
        [sys.executable, "-m", "impression_learning", *map(str, spoken)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert record(tmp_path / "speech")["status"] == "finished"
    for place in (work, home, temporary):
        assert not list(place.rglob("*"))
    (cached,) = (p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert cached.suffix == ".npz"
