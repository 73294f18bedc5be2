"""The command: results of every experiment, options, bad input, same numbers, kill and resume."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sharpwave_shared import open_run
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Experiment, Options
from sharpwave_shared.testing import invoke, kill_at_work
from synaptic_consolidation import networks, optima, synapses, wake_sleep
from synaptic_consolidation.cli import app
from synaptic_consolidation.experiments.exact import Exact
from synaptic_consolidation.experiments.networks import F50, Networks
from synaptic_consolidation.experiments.synapses import AnalyzeSpines, Fluctuations, SynNoise
from synaptic_consolidation.experiments.theory import Theory
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.limits import LOADS

DATA = os.environ.get("SHARPWAVE_DATA")
Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(app, shown, *arguments)


def one_line(err: str) -> str:
    return " ".join(err.split())


# Runs


@pytest.mark.slow  # kills in all experiments are in the workspace's test_contract.py
def test_a_killed_command_is_resumed(tmp_path: Path, capsys: Shown) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    # The second condition has so many steps that the kill falls into them.
    arguments: list[object] = ["--n", 30, "--loads", "0.2,0.4", "--factors", 3, "--tests", 1]
    arguments += ["--max-steps", 30_000, "--optima", 0, "--rows", 10, "--device", "cpu"]
    marker = cut / "checkpoints" / "seed_0,_load_0_2,_z_3.safetensors"
    kill_at_work("synaptic_consolidation", [*arguments, "--out", cut], marker)
    code, _, err = run(capsys, *arguments, "--out", cut)
    assert code == 2
    assert "--resume" in err
    code, _, err = run(capsys, *arguments, "--out", cut, "--resume")
    assert code == 0, err
    assert run(capsys, *arguments, "--out", whole)[0] == 0
    assert open_run(cut).data.identical(open_run(whole).data)


# Options


def made(shown: Shown, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Any:
    """Give the experiment and the seeds of a command, without carrying it out."""
    given = []

    def note(setup: Experiment, seeds: Any, *rest: Any) -> None:
        given.append((setup, seeds))
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "memorise", note)
    monkeypatch.setattr(wake_sleep, "live", note)
    monkeypatch.setattr(optima, "solve", note)
    monkeypatch.setattr(synapses, "compare", lambda factors, seeds, setup, *_: note(setup, seeds))
    code, _, err = run(shown, *arguments, "--force")
    assert code == 130, err
    (only,) = given
    return only


def test_defaults_and_quick(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    def setup(*arguments: object) -> Any:
        return made(capsys, monkeypatch, *arguments)[0]

    main, f50 = setup(), setup("f50")
    assert (main.n, main.loads, main.max_steps) == (200, (0.08, 0.33, 0.7), 100_000)
    assert (f50.n, f50.loads, f50.max_steps) == (1000, LOADS, None)
    assert main.factors == f50.factors == (1, 2, 3, 4)
    assert main.tests == f50.tests == 20
    for command in ([], ["f50"]):
        assert setup(*command, "--quick").n < 200
        # What is given goes before.
        assert setup(*command, "--quick", "--n", 150).n == 150
        assert setup(*command, "--quick", "--loads", "0.5,0.2").loads == (0.5, 0.2)
    assert setup("wake-sleep") == WakeSleep()
    assert setup("wake-sleep", "--quick", "--cycles", 7).cycles == 7
    assert setup("wake-sleep", "--quick").n < 1000
    assert setup("exact") == Exact()
    assert setup("exact", "--quick").rows * 6 <= 100
    assert setup("syn-noise") == SynNoise()
    quick = setup("syn-noise", "--quick", "--duration", 20)
    assert (quick.synapses, quick.duration, quick.bootstraps) == (300, 20, 100)


def test_options_reach_the_experiment(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    options = "--n 40 --f 0.3 --exact-activity --loads 0.5,0.25 --task sequence --factors 3,1"
    more = "--rows 4 --max-steps 77 --beta 30 --u0 0.2 --tests 3 --optima 2 --seeds 5,4"
    for command, kind in (([], Networks), (["f50"], F50)):
        expected = kind(
            n=40, f=0.3, exact_activity=True, loads=(0.5, 0.25), task="sequence", factors=(3, 1),
            rows=4, max_steps=77, beta=30.0, u0=0.2, tests=3, optima=2,
        )  # fmt: skip
        got = made(capsys, monkeypatch, *command, *options.split(), *more.split())
        assert got == (expected, (5, 4))
    options = "--n 40 --f 0.2 --patterns 9 --passes 8 --cycles 7 --days 6 --forget-old"
    got, _ = made(capsys, monkeypatch, "wake-sleep", *options.split(), "--tests", 5)
    assert got == WakeSleep(
        n=40, f=0.2, patterns=9, passes=8, cycles=7, days=6, keep_old=False, tests=5
    )
    options = "--sigma 0.06 --mixture 0.6 --drift 0.5 --gain 5 --tau 10 --dt 0.1 --synapses 7"
    more = "--duration 9 --bootstraps 3 --factors 7,3"
    got, _ = made(capsys, monkeypatch, "syn-noise", *options.split(), *more.split())
    assert got == SynNoise(
        sigma=0.06, mixture=0.6, drift=0.5, gain=5.0, tau=10.0, dt=0.1, synapses=7, duration=9,
        bootstraps=3, factors=(7, 3),
    )  # fmt: skip


def test_runs_are_named_by_what_they_are() -> None:
    assert Networks(n=30, f=0.4).label == "n30-f0.4"
    assert WakeSleep(n=80).label == "n80-m500"
    assert Exact(f=0.3).label == Theory(f=0.3).label == "f0.3"
    assert SynNoise(synapses=7).label == "7synapses"


def test_loads_above_the_critical_one_are_warned_of() -> None:
    told = "1.5 is above the critical load 1 at f = 0.5"
    (warning,) = Networks(n=30, loads=(0.2, 1.5), max_steps=300).warnings()
    assert told in warning
    assert warning.endswith("learning ends after 300 steps")
    assert not Exact(n=(20,), loads=(1.5,), rows=2, exact_activity=True).warnings()
    assert told in Exact(n=(20,), loads=(1.5,), rows=2).warnings()[0]


# Bad input


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Networks, {"rows": 201}, "rows: got 201, expected 1 to 200"),
        (Networks, {"loads": (0.001,)}, "loads: got 0.001, expected a higher load for n = 200"),
        (Networks, {"f": 0.0001}, "f: got 0.0001, expected a number closer to 0.5"),
        (Networks, {"n": 40, "f": 0.01, "exact_activity": True}, "n: got 40, .* they are 0"),
        (Networks, {"factors": (2, 2)}, "factors: got 2 twice"),
        (Networks, {"loads": ()}, "loads: got nothing"),
        (WakeSleep, {"n": 8}, "n: got 8, expected neurons of which 1 to n - 1 are active"),
        (WakeSleep, {"patterns": 19}, "patterns: got 19, expected at least 20"),
        (Exact, {"n": (24, 30), "rows": 25}, "rows: got 25, expected 1 to 24"),
        (Exact, {"n": (5000,), "loads": (4.1,)}, "loads: got 4.1, expected at most 20,000"),
        (Exact, {"n": (10,), "rows": 5, "loads": (0.1,)}, "loads: got 0.1, .* for n = 10"),
        (Fluctuations, {"dt": 0.3}, "dt: got 0.3, expected 1 divided by a whole number"),
        (Fluctuations, {"dt": 0.5, "tau": 0.4}, "tau: got 0.4, expected at least dt"),
        (AnalyzeSpines, {}, "file: got neither of FILE and kaufman"),
        (AnalyzeSpines, {"file": "x.csv", "kaufman": True}, "file: got both"),
        (AnalyzeSpines, {"kaufman": True, "hours": 1.0}, "hours: got 1, expected nothing"),
    ],
)  # fmt: skip
def test_values_that_do_not_go_together(
    kind: type[Any], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=rf"^{message}"):
        kind(**values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--f nan", "--f: got 'nan', expected a number from"),
        ("--factors 1.5", "--factors: got '1.5', expected whole numbers from 1 to 10"),
        ("--rows 201", "--rows: got 201, expected 1 to 200"),
        ("--task dreams", "--task: got 'dreams', expected one of attractors, sequence"),
        ("f50 --loads 0.2,x", "--loads: got '0.2,x', expected numbers above 0, up to 100"),
        ("analyze-spines", "FILE: got neither of FILE and kaufman, expected one of the two"),
        ("analyze-spines none.csv", "none.csv: there is no such file"),
        ("--n 30 f50", "--n stands before f50"),
    ],
)
def test_bad_input_is_told_in_the_words_of_the_command(
    arguments: str, message: str, capsys: Shown
) -> None:
    code, _, err = run(capsys, *arguments.split())
    assert code == 2
    assert message in one_line(err)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_device(capsys: Shown) -> None:
    code, _, err = run(capsys, "--device", "cuda")
    assert code == 2
    assert "device" in err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.usefixtures("_no_figures")
def test_without_attractors_a_run_fails(
    tmp_path: Path, capsys: Shown, tiny: dict[str, dict[str, Any]]
) -> None:
    values = {**tiny["wake-sleep"], "passes": 1}
    options = [part for name, value in values.items() for part in (f"--{name}", value)]
    code, _, err = run(capsys, "wake-sleep", *options, "--out", tmp_path / "run")
    assert code == 1
    assert "no pattern of day 1 has become an attractor" in one_line(err)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


# Recordings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2\n3,spine\n", "line 2: got 'spine'"),
        ("1,2\n2,1\n", "got too little, expected at least 40 growths"),
    ],
)
def test_bad_files(content: str, message: str, tmp_path: Path, capsys: Shown) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    code, _, err = run(capsys, "analyze-spines", path, "--out", tmp_path / "run")
    assert code == 2
    assert f"{path}" in err
    assert message in one_line(err)
    assert not (tmp_path / "run").exists()


def test_header_and_index_of_a_file(tmp_path: Path, capsys: Shown) -> None:
    path = tmp_path / "spines.csv"
    path.write_text("0,1,2,3\n1,1.5,2,1\n2,2,1.5,2\n3,2,1,1\n")
    _, _, err = run(capsys, "analyze-spines", path)
    assert "first line (1, 2, 3) is taken for names of times" in err
    assert "; --no-header reads sizes there, --header says" in err
    assert "first column (1, 2, 3) is taken for names of synapses" in err
    for said in (["--header", "--index"], ["--no-header", "--no-index"]):
        code, _, err = run(capsys, "analyze-spines", path, *said)
        assert code == 2
        assert "got too little" in one_line(err)
    code, _, err = run(capsys, "analyze-spines", "--kaufman", "--header")
    assert code == 2
    assert "--header: got true, expected nothing with kaufman" in one_line(err)


@pytest.mark.usefixtures("_no_figures")
def test_another_file_is_another_run(
    tmp_path: Path, tiny: dict[str, dict[str, Any]], capsys: Shown
) -> None:
    values = dict(tiny["analyze-spines"])
    content = values.pop("file").read_text()
    path, out = tmp_path / "own spines.csv", tmp_path / "run"
    path.write_text(content)
    setup = AnalyzeSpines(**values, file=path, hours=2.0)
    data = setup.run(out=out)
    assert (data.attrs["recording"], data.attrs["hours"]) == ("own spines", 2)
    np.testing.assert_allclose(data["measured_lag"], 2 * np.arange(1, 8))
    assert (data["r_squared"] <= 1).all()
    assert open_run(out).record.dataset["name"] == "file"
    path.write_text(content.replace("nan", "1.0"))
    options = [part for name, value in values.items() for part in (f"--{name}", value)]
    options[-1] = "2"
    code, _, err = run(capsys, "analyze-spines", path, "--hours", 2, *options, "--out", out)
    assert code == 2
    assert "dataset" in err


def test_absent_and_damaged_measurements(tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, "analyze-spines", "--kaufman", "--out", tmp_path / "run")
    assert code == 1
    assert "--data-dir" in err
    (tmp_path / "kaufman_2012.csv").write_text("1,2\n")
    for arguments in (["syn-noise"], ["analyze-spines", "--kaufman"]):
        arguments += ["--data-dir", tmp_path, "--out", tmp_path / "run"]
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert "--data-dir" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(DATA is None, reason="needs the measured spines")
def test_measured_spines(tiny: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synapses, "SLOPE_BOOTSTRAPS", 3)
    values = {n: v for n, v in tiny["syn-noise"].items() if n != "factors"}
    setup = AnalyzeSpines(**{**values, "bootstraps": 40}, kaufman=True)
    data = setup.run(data_dir=DATA)
    slopes = data["measured_slope_moving"]
    assert slopes.sel(direction="growth") == pytest.approx(0.57, abs=0.03)
    assert slopes.sel(direction="shrinkage") == pytest.approx(0.72, abs=0.03)
    # The paper has 1.0854 +- 0.4301, from 1,000 curves.
    assert data["measured_q_min"] == pytest.approx(1.0854, abs=4 * 0.43 / math.sqrt(40))
    assert data["measured_q_min_sd"] == pytest.approx(0.43, abs=0.2)
    assert data.sizes["measured_lag"] == 47
    found = {claim.name: claim.measure(setup, data) for claim in setup.claims()}
    spoken = {name for name, measured in found.items() if measured is not None}
    assert spoken == {"spines-slopes", "spines-q-min", "spines-r-squared"}
    assert found["spines-slopes"].reproduced
    beside = SynNoise().load(Options(data_dir=DATA))
    assert (beside.name, beside.sizes.shape) == ("Kaufman et al. 2012", (1087, 48))
