"""The commands `theory` and `exact`: results, figures, claims, bad input, and resuming."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sharpwave_shared.runs import StoredRun, read_run
from sharpwave_shared.testing import invoke
from synaptic_consolidation import cli, optima
from synaptic_consolidation.claims.optima import CLAIMS
from synaptic_consolidation.figures import theory as drawing
from synaptic_consolidation.figures.theory import draw_density_theory, draw_margin_theory

TINY = ["exact", "--n", "20,24", "--loads", "0.3,0.6", "--rows", "3"]
Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _coarse_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shape checks make curves of many points take seconds; few will do."""
    original = optima.theory_curves
    for module in (optima, drawing):
        monkeypatch.setattr(module, "theory_curves", lambda f, points=5: original(f, points))


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "draw", lambda run, formats: [])


def metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text())


def one_line(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def pictures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "figures").iterdir()}


# --- end to end -----------------------------------------------------------------------------------


def test_theory_end_to_end(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    code, _, err = invoke(cli.app, capsys, "theory", "--f", 0.05, "--points", 8, "--out", out)
    assert code == 0, err
    assert metrics(out)["critical_load"] == pytest.approx(3.04, abs=0.01)
    assert set(pictures(out)) == {"margin.png", "density.png", "critical-load.png"}


def test_exact_end_to_end(tmp_path: Path, capsys: Shown) -> None:
    """With a load above the critical one, of which the user is told."""
    out = tmp_path / "run"
    arguments = ["exact", "--n", "20", "--loads", "0.3,1.6", "--rows", "6", "--seeds", "0:2"]
    code, _, err = invoke(cli.app, capsys, *arguments, "--out", out)
    assert code == 0, err
    told = "--loads 1.6: above the critical load 1 at f = 0.5"
    assert told in one_line(err)
    assert "--loads 0.3" not in err
    record = json.loads((out / "run.json").read_text())
    assert any(told in warning for warning in record["warnings"])
    assert record["config"]["loads"] == [0.3, 1.6]
    easy, hard = metrics(out)["conditions"][:2]
    assert easy["rows"] == easy["separable"] == 12
    assert hard["separable"] < 12
    assert hard["margin"]["theory"] is None
    drawn = pictures(out)
    assert set(drawn) == {"margin.png", "density.png", "weights.png"}
    for path in (out / "figures").iterdir():
        path.unlink()
    assert invoke(cli.app, capsys, "plot", out)[0] == 0
    assert pictures(out) == drawn
    assert not list(out.glob("part-*"))


@pytest.mark.parametrize(
    ("n", "load", "others"),
    [("12", "4", set()), ("20,24", "0.3", {"weights", "finite-size"})],
)
@pytest.mark.usefixtures("_no_figures")
def test_figures_that_not_every_run_has(
    n: str, load: str, others: set[str], tmp_path: Path, capsys: Shown
) -> None:
    """Weights only if there are solutions, the effect of N only if it varies."""
    out = tmp_path / "run"
    arguments = ["exact", "--n", n, "--loads", load, "--rows", "1", "--out", out]
    code, _, err = invoke(cli.app, capsys, *arguments)
    assert code == 0, err
    figures = drawing.exact_figures(read_run(out, cli.PACKAGE))
    plt.close("all")
    assert set(figures) == {"margin", "density"} | others


@pytest.mark.parametrize("name", ["theory", "exact"])
@pytest.mark.usefixtures("_no_figures")
def test_quick(name: str, tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Any] = []

    def solve(plan: Any, *rest: Any) -> Any:
        planned.append(plan)
        return optima.solve(optima.Plan(n=(20,), loads=(0.3,), rows=1), *rest)

    monkeypatch.setattr(cli, "solve", solve)
    code, _, err = invoke(cli.app, capsys, name, "--quick", "--out", tmp_path / "run")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["quick"] is True
    if name == "exact":
        assert planned[0].rows * len(planned[0].n) * len(planned[0].loads) <= 100


@pytest.mark.usefixtures("_no_figures")
def test_options_reach_the_plan(tmp_path: Path, capsys: Shown) -> None:
    other = tmp_path / "run"
    exact = ["--exact-activity", "--f", "0.3", "--device", "cpu", "--seed", 4]
    assert invoke(cli.app, capsys, *TINY, *exact, "--out", other)[0] == 0
    config = json.loads((other / "run.json").read_text())["config"]
    assert config == {
        "n": [20, 24],
        "f": 0.3,
        "loads": [0.3, 0.6],
        "rows": 3,
        "exact_activity": True,
    }
    direct, _ = optima.solve(
        optima.Plan(n=(20, 24), f=0.3, loads=(0.3, 0.6), rows=3, exact_activity=True), [4]
    )
    assert metrics(other)["conditions"] == direct["conditions"]


@pytest.mark.usefixtures("_no_figures")
def test_resume(tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies after three parts is refused, and goes on with --resume."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert invoke(cli.app, capsys, *TINY, "--out", whole)[0] == 0
    original, calls = optima.optima_of_rows, []

    def dying(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(optima, "optima_of_rows", dying)
    assert invoke(cli.app, capsys, *TINY, "--out", cut)[0] == 130
    code, _, err = invoke(cli.app, capsys, *TINY, "--out", cut)
    assert code == 2
    assert "--resume goes on" in one_line(err)
    assert invoke(cli.app, capsys, *TINY, "--out", cut, "--resume")[0] == 0
    assert len(calls) == 9
    assert metrics(cut) == metrics(whole)
    with np.load(whole / "arrays.npz") as one, np.load(cut / "arrays.npz") as other:
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["theory", "--f", "0"], "--f: got 0, expected an activity from 1e-06"),
        (["theory", "--f", "1.2"], "--f: got 1.2"),
        (["theory", "--points", "1"], "--points: got 1, expected 2 to"),
        (["exact", "--f", "-0.5"], "--f: got -0.5"),
        (["exact", "--n", "10.5"], "--n 10.5: '10.5' is not allowed; whole numbers"),
        (["exact", "--n", "1"], "--n: got 1, expected 2 to 5,000"),
        (["exact", "--n", "30", "--rows", "31"], "--rows: got 31, expected 1 to 30"),
        (["exact", "--rows", "0"], "--rows: got 0"),
        (["exact", "--loads", "0"], "--loads: got 0, expected more than 0"),
        (["exact", "--loads", "-0.3"], "--loads -0.3: '-0.3' is not allowed"),
        (["exact", "--loads", "0.3,x"], "--loads 0.3,x: 'x' is not allowed"),
        (["exact", "--loads", "0.3,0.3"], "--loads 0.3,0.3: a number is given twice"),
        (["exact", "--n", "10", "--rows", "5", "--loads", "0.1"], "--loads: got 0.1 with n = 10"),
        (
            ["exact", "--n=9", "--rows=5", "--f=0.05", "--loads=0.5", "--exact-activity"],
            "n: got 9 neurons, of which an activity of f = 0.05 makes 0 active",
        ),
    ],
)
def test_bad_input(arguments: list[str], told: str, tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    code, _, err = invoke(cli.app, capsys, *arguments, "--out", out)
    assert code == 2
    assert told in one_line(err)
    assert not out.exists()


# --- claims ---------------------------------------------------------------------------------------


def finished(n: int = 400, rows: int = 50, **changed: float) -> StoredRun:
    """A made-up run of `exact` with the published densities, but for those given by their names."""
    densities = {(2, 0.08): 0.5, (2, 0.7): 0.5, (1, 0.08): 0.075, (1, 0.33): 0.255, (1, 0.9): 0.1}
    densities |= {(int(name[1]), float(f"0.{name[3:]}")): d for name, d in changed.items()}
    conditions = [
        {
            "norm": norm,
            "n": n,
            "load": load,
            "rows": rows,
            "separable": rows,
            "density": {"mean": d},
        }
        for (norm, load), d in densities.items()
    ]
    record = {"experiment": "exact", "config": {"n": [n], "exact_activity": False}}
    return StoredRun(Path(), record, {"f": 0.5, "conditions": conditions})


def verdicts(run: StoredRun) -> list[bool | None]:
    measured = [claim.measure(run) for claim in CLAIMS]
    return [None if m is None else m.reproduced for m in measured]


def test_claims_judge_densities() -> None:
    assert verdicts(finished()) == [True, True]
    assert verdicts(finished(l2_08=0.47)) == [False, True]
    assert verdicts(finished(l2_33=0.53)) == [False, True]
    assert verdicts(finished(l1_33=0.28)) == [True, False]
    # Loads of which the paper has no density, or near the critical one, do not count.
    assert verdicts(finished(l1_2=0.9, l2_95=0.7)) == [True, True]
    unsolved = finished()
    unsolved.metrics["conditions"][0]["separable"] -= 1
    assert verdicts(unsolved) == [False, True]


def test_claims_leave_other_runs_alone() -> None:
    sparse, other, constrained = finished(), finished(), finished()
    sparse.metrics["f"] = 0.05
    other.record["experiment"] = "theory"
    constrained.config["exact_activity"] = True
    for run in (sparse, other, constrained, finished(n=200), finished(rows=10)):
        assert verdicts(run) == [None, None]


# --- curves for other figures ---------------------------------------------------------------------


def test_curves_are_drawn_from_stored_numbers_or_computed() -> None:
    stored = {name: 2 * values for name, values in optima.theory_curves(0.3).items()}
    for draw in (
        lambda axes, curves: draw_margin_theory(axes, 0.3, 1, curves),
        lambda axes, curves: draw_density_theory(axes, 0.3, curves),
    ):
        figure, (one, other) = plt.subplots(1, 2)
        draw(one, None)
        draw(other, stored)
        assert one.get_xlabel()
        assert one.get_ylabel()
        for line, doubled in zip(one.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_allclose(doubled.get_xydata(), 2 * np.array(line.get_xydata()))
        plt.close(figure)
