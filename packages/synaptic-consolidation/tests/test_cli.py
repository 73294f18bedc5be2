"""The main command, f50 and wake-sleep: end to end, bad input, same numbers, kill and resume."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from sharpwave_shared.runs import StoredRun
from sharpwave_shared.testing import invoke, kill_at_work
from synaptic_consolidation import cli, networks, wake_sleep
from synaptic_consolidation.figures import DRAWN
from synaptic_consolidation.optima import theory_curves

TINY = ["--n", 30, "--loads", "0.2", "--max-steps", 300, "--tests", 1, "--optima", 3]
NIGHT = ["wake-sleep", "--n", 60, "--f", 0.1, "--patterns", 12, "--passes", 140, "--tests", 1]
NIGHT += ["--cycles", 20]
Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "draw", lambda run, formats: [])


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(cli.app, shown, *arguments)


def read(out: Path, name: str = "metrics") -> Any:
    return json.loads((out / f"{name}.json").read_text())


def assert_same(one: Path, other: Path) -> None:
    assert read(one) == read(other)
    with np.load(one / "arrays.npz") as got, np.load(other / "arrays.npz") as expected:
        assert set(got) == set(expected)
        for name in got:
            np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def one_line(err: str) -> str:
    return " ".join(err.replace("│", " ").split())


def draw_one(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all figures be made, and one of them be written."""
    whole = DRAWN[experiment]

    def some(stored: StoredRun) -> dict[str, plt.Figure]:
        figures = whole(stored)
        assert len(figures) > 2, figures.keys()
        return dict(list(figures.items())[:1])

    monkeypatch.setitem(DRAWN, experiment, some)


# From end to end


@pytest.mark.parametrize("name", ["networks", "wake-sleep"])
def test_a_run_from_end_to_end(
    name: str, tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_one(name, monkeypatch)
    # The curves of the theory take seconds under the checks of shapes.
    monkeypatch.setattr(
        "synaptic_consolidation.figures.networks.theory_curves", lambda f: theory_curves(f, 4)
    )
    out = tmp_path / "run"
    first = [*TINY, "--factors", "2,1", "--seeds", "3,0"] if name == "networks" else NIGHT
    arguments = [*first, "--device", "cpu", "--out", out]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    assert "warning" not in err
    record = read(out, "run")
    assert (record["status"], record["experiment"]) == ("finished", name)
    assert record["package"] == "synaptic-consolidation"
    assert record["quick"] is False
    assert record["dataset"] is None
    assert record["device"].startswith("cpu")
    found = read(out)
    if name == "networks":
        assert [(c["seed"], c["factors"]) for c in found["conditions"]] == [
            *((3, 2), (3, 1), (0, 2), (0, 1))
        ]
        assert {c["steps"]["mean"] for c in found["conditions"]} == {300}
        assert record["config"]["loads"] == [0.2]
    else:
        assert [night["course"]["cycle"][-1] for night in found["nights"]] == [20]
    left = {path.name for path in out.iterdir()}
    assert not [n for n in left if n.startswith("part-") or "checkpoint" in n]

    drawn = {path.name: path.read_bytes() for path in (out / "figures").glob("*.png")}
    assert len(drawn) == 1
    for path in (out / "figures").glob("*.png"):
        path.unlink()
    code, shown, err = run(capsys, "plot", out)
    assert code == 0, err
    assert {path.name: path.read_bytes() for path in (out / "figures").glob("*.png")} == drawn
    assert all(Path(line).stat().st_size > 1000 for line in shown.split())
    plt.close("all")

    claims = read(out, "claims") if (out / "claims.json").exists() else None
    code, shown, err = run(capsys, "verify", out, "--json")
    if claims is None:
        assert code == 1
        assert "no claim speaks about a run" in err
    else:
        assert json.loads(shown) == claims
        assert code == (0 if all(claim["reproduced"] for claim in claims) else 1)

    before = (out / "metrics.json").stat().st_mtime_ns
    code, _, err = run(capsys, *arguments)
    assert code == 0
    assert "finished" in err
    assert (out / "metrics.json").stat().st_mtime_ns == before
    assert list(Path.cwd().iterdir()) == []  # nothing is written elsewhere
    assert {path.name for path in tmp_path.iterdir()} == {"here", "run"}


@pytest.mark.usefixtures("_no_figures")
def test_f50_does_the_same_as_the_main_command(tmp_path: Path, capsys: Shown) -> None:
    for name, command in (("one", []), ("other", ["f50"])):
        code, _, err = run(capsys, *command, *TINY, "--factors", 2, "--out", tmp_path / name)
        assert code == 0, err
    assert_same(tmp_path / "one", tmp_path / "other")


@pytest.mark.usefixtures("_no_figures")
def test_without_out_the_directory_is_named_by_the_parameters(capsys: Shown) -> None:
    more = ["--rows", 2, "--factors", 1, "--max-steps", 1]
    for f in (0.5, 0.4):
        code, _, err = run(capsys, *TINY, *more, "--f", f, "--optima", 0)
        assert code == 0, err
    (results,) = Path.cwd().iterdir()
    names = sorted(path.name for path in (results / "synaptic-consolidation").iterdir())
    assert [name.rpartition("-")[0] for name in names] == [
        *("networks-n30-f0.4", "networks-n30-f0.5")
    ]


@pytest.mark.usefixtures("_no_figures")
def test_the_same_seed_gives_the_same_numbers(tmp_path: Path, capsys: Shown) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        more = ["--rows", 3, "--factors", 2, "--seed", seed, "--out", tmp_path / name]
        assert run(capsys, *TINY, *more)[0] == 0
    assert_same(tmp_path / "one", tmp_path / "same")
    one, other = (read(tmp_path / name)["conditions"][0] for name in ("one", "other"))
    assert one["margin"] != other["margin"]


@pytest.mark.slow  # a kill in all experiments is in test_networks.py and test_wake_sleep.py
def test_a_killed_run_is_resumed(tmp_path: Path, capsys: Shown, monkeypatch: Any) -> None:
    monkeypatch.setattr(cli, "draw", lambda run, formats: [])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    # The second condition has so many steps that the kill falls into them.
    arguments: list[object] = ["--n", 30, "--loads", "0.2,0.4", "--factors", 3, "--tests", 1]
    arguments += ["--max-steps", 30_000, "--optima", 0, "--rows", 10, "--device", "cpu"]
    kill_at_work(
        "synaptic_consolidation",
        [*arguments, "--out", cut],
        cut / "part-0-0.2-3.safetensors",
    )
    assert read(cut, "run")["status"] == "running"
    assert not (cut / "metrics.json").exists()
    code, _, err = run(capsys, *arguments, "--out", cut)
    assert code == 2
    assert "--resume" in err
    code, _, err = run(capsys, *arguments, "--out", cut, "--resume")
    assert code == 0, err
    assert run(capsys, *arguments, "--out", whole)[0] == 0
    assert_same(cut, whole)


# Options


def plan_of(shown: Shown, monkeypatch: Any, *arguments: object) -> Any:
    """Give the plan, the seeds and the device of a command, without carrying it out."""
    given = []

    def note(plan: Any, seeds: list[int], *, device: torch.device, journal: Any) -> None:
        given.append((plan, seeds, device.type))
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "run", note)
    monkeypatch.setattr(wake_sleep, "run", note)
    code, _, err = run(shown, *arguments, "--force")
    assert code == 130, err
    (only,) = given
    return only


PAPER_LOADS = (0.08, 0.1425, 0.205, 0.2675, 0.33, 0.4533, 0.5767, 0.70)


def test_defaults_and_presets_of_networks(capsys: Shown, monkeypatch: Any) -> None:
    def plan(*arguments: object) -> networks.Plan:
        return plan_of(capsys, monkeypatch, *arguments)[0]

    main, f50 = plan(), plan("f50")
    assert (main.n, main.loads, main.max_steps) == (200, (0.08, 0.33, 0.7), 100_000)
    assert (f50.n, f50.loads, f50.max_steps) == (1000, PAPER_LOADS, None)
    assert main.factors == f50.factors == (1, 2, 3, 4)
    assert main.tests == f50.tests == 20
    for command in ([], ["f50"]):
        quick = plan(*command, "--quick")
        assert quick.n < 200
        assert quick.max_steps < 100_000
        assert quick.tests < 20
        assert quick.factors == (1, 2, 3, 4)
        # What is given goes before.
        assert plan(*command, "--quick", "--n", 150).n == 150
        assert plan(*command, "--quick", "--loads", "0.5,0.2").loads == (0.5, 0.2)


def test_defaults_and_presets_of_wake_sleep(capsys: Shown, monkeypatch: Any) -> None:
    plan, seeds, _ = plan_of(capsys, monkeypatch, "wake-sleep", "--seeds", "2,1")
    assert plan == wake_sleep.Plan(1000, 0.05, 500, 35, 100_000, 1, True, 0.3, 20)
    assert seeds == [2, 1]
    quick, *_ = plan_of(capsys, monkeypatch, "wake-sleep", "--quick")
    assert quick.n < 1000
    assert quick.patterns < 500
    assert quick.cycles < 100_000
    assert quick.tests < 20
    quick, *_ = plan_of(capsys, monkeypatch, "wake-sleep", "--quick", "--cycles", 7)
    assert quick.cycles == 7


def test_options_reach_the_plan(capsys: Shown, monkeypatch: Any) -> None:
    options = "--n 40 --f 0.3 --exact-activity --loads 0.5,0.25 --task sequence --factors 3,1"
    more = "--rows 4 --max-steps 77 --beta 30 --u0 0.2 --tests 3 --optima 2 --seeds 5,4"
    for command in ([], ["f50"]):
        arguments = [*command, *options.split(), *more.split(), "--device", "cpu"]
        assert plan_of(capsys, monkeypatch, *arguments) == (
            networks.Plan(
                40, 0.3, True, (0.5, 0.25), (3, 1), "sequence", 4, 77, 30.0, 0.2, 3, 2
            ),
            [5, 4],
            "cpu",
        )  # fmt: skip
    options = "--n 40 --f 0.2 --patterns 9 --passes 8 --cycles 7 --days 6 --forget-old"
    arguments = ["wake-sleep", *options.split(), "--spread", "0.1", "--tests", 5]
    plan = wake_sleep.Plan(40, 0.2, 9, 8, 7, 6, False, 0.1, 5)
    assert plan_of(capsys, monkeypatch, *arguments)[0] == plan


@pytest.mark.usefixtures("_no_figures")
def test_loads_above_the_critical_one_are_warned_of(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    more = ["--loads", "0.2,1.5", "--rows", 2, "--optima", 0, "--factors", 2]
    code, _, err = run(capsys, *TINY, *more, "--out", out)
    assert code == 0, err
    assert "warning: --loads 1.5: above the critical load 1 at f = 0.5" in one_line(err)
    assert "--loads 0.2" not in one_line(err)
    assert [c["patterns"] for c in read(out)["conditions"]] == [6, 45]
    assert any("critical load" in warning for warning in read(out, "run")["warnings"])


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *((["--f", f], f"--f: got {float(f)}, expected a number between 0 and 1")
          for f in ("0", "1", "-0.5", "nan")),
        (["--factors", "0"], "--factors: got 0, expected 1 to 10"),
        (["--factors", "2,11"], "--factors: got 11, expected 1 to 10"),
        (["--factors", "-1"], "--factors -1: '-1' is not allowed"),
        (["--factors", "1.5"], "--factors 1.5: '1.5' is not allowed; whole numbers"),
        (["--factors", "2,2"], "--factors 2,2: a number is given twice"),
        (["--factors", "z"], "--factors z: 'z' is not allowed"),
        (["--loads", "0"], "--loads: got 0.0"),
        (["--loads", "0.2,x"], "--loads 0.2,x: 'x' is not allowed"),
        (["--loads", "101"], "--loads: got 101.0"),
        (["--n", "1"], "--n: got 1 neurons"),
        (["--n", "5001"], "--n: got 5001 neurons"),
        (["--n", "40", "--f", "0.01", "--exact-activity"], "--n: got 40 neurons"),
        (["--f", "0.0001"], "--f: got 0.0001 with"),
        (["--rows", "201"], "--rows: got 201, expected 1 to 200"),
        (["--rows", "0"], "--rows: got 0"),
        (["--tests", "0"], "--tests: got 0"),
        (["--max-steps", "0"], "--max-steps: got 0"),
        (["--optima", "-1"], "--optima: got -1"),
        (["--beta", "0"], "--beta: got 0.0"),
        (["--u0", "-1"], "--u0: got -1.0"),
        (["--task", "dreams"], "--task"),
        (["--seeds", "3:1"], "--seeds 3:1"),
        (["--device", "tpu"], "--device"),
        (["--format", "gif"], "--format"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["main", "f50"])
def test_bad_input_of_networks(
    command: str, arguments: list[str], message: str, capsys: Shown
) -> None:
    size = [] if command == "main" or "--n" in arguments else ["--n", "200"]
    code, _, err = run(capsys, *([] if command == "main" else ["f50"]), *size, *arguments)
    assert code == 2
    assert message in one_line(err)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *((["--f", f], f"--f: got {float(f)}, expected a number between 0 and 1")
          for f in ("0", "1", "-0.5", "nan")),
        (["--n", "1"], "--n: got 1 neurons"),
        (["--n", "8"], "--n: got 8 neurons, of which an activity of f = 0.05 makes 0 active"),
        (["--n", "5001"], "--n: got 5001 neurons"),
        (["--patterns", "0"], "--patterns: got 0"),
        (["--patterns", "19"], "--patterns: got 19"),
        (["--passes", "0"], "--passes: got 0"),
        (["--cycles", "0"], "--cycles: got 0"),
        (["--days", "0"], "--days: got 0"),
        (["--tests", "0"], "--tests: got 0"),
        (["--spread", "1"], "--spread: got 1.0"),
        (["--passes", "1.5"], "--passes"),
    ],
)  # fmt: skip
def test_bad_input_of_wake_sleep(arguments: list[str], message: str, capsys: Shown) -> None:
    code, _, err = run(capsys, "wake-sleep", *arguments)
    assert code == 2
    assert message in one_line(err)
    assert list(Path.cwd().iterdir()) == []


def test_too_few_patterns_are_blamed_on_the_option(capsys: Shown) -> None:
    code, _, err = run(capsys, "--loads", "0.001")
    assert code == 2
    assert "--loads" in one_line(err)


def test_few_neurons_do_not_need_fewer_optima(capsys: Shown, monkeypatch: Any) -> None:
    plan, *_ = plan_of(capsys, monkeypatch, "--n", 8, "--loads", 1)
    assert plan.n == 8


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", [[], ["f50"], ["wake-sleep"]])
def test_an_absent_device(command: list[str], capsys: Shown) -> None:
    code, _, err = run(capsys, *command, "--device", "cuda")
    assert code == 2
    assert "--device" in err
    assert list(Path.cwd().iterdir()) == []


def test_options_before_a_command_are_refused(capsys: Shown) -> None:
    code, _, err = run(capsys, "--n", 30, "f50")
    assert code == 2
    assert "--n stands before f50" in err


@pytest.mark.usefixtures("_no_figures")
def test_without_attractors_a_run_fails(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, *NIGHT, "--passes", 1, "--out", out)
    assert code == 1
    assert "no pattern of day 1 has become an attractor" in one_line(err)
    assert read(out, "run")["status"] == "failed"
