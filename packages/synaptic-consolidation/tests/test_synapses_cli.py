"""The commands syn-noise and analyze-spines: end to end, bad input, same numbers, resuming."""

import json
import os
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sharpwave_shared.runs import Journal, StoredRun, read_run
from sharpwave_shared.testing import invoke
from synaptic_consolidation import cli, synapses
from synaptic_consolidation.figures import DRAWN
from synaptic_consolidation.fluctuations import Fluctuations

TINY = ["--synapses", 60, "--duration", 20, "--dt", 0.05, "--bootstraps", 10]
FIGURES = {"noise", "slopes", "slopes-by-lag", "q-min", "variation", "bootstraps"}
WRITTEN = {"q-min", "variation"}
"""All take seconds to write."""
DATA = os.environ.get("SHARPWAVE_DATA")
Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHARPWAVE_DATA", raising=False)


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "draw", lambda run, formats: [])


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "own spines.csv"
    generator = np.random.default_rng(0)
    w = np.exp(generator.normal(0, 0.5, (40, 1)) + 0.1 * generator.standard_normal((40, 12)))
    w[3, 2:5] = np.nan
    np.savetxt(path, w, delimiter=",")
    return path


def run(shown: Shown, *arguments: object) -> tuple[int, str, str]:
    return invoke(cli.app, shown, *arguments)


def read(out: Path, name: str = "metrics") -> Any:
    return json.loads((out / f"{name}.json").read_text())


def pictures(out: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (out / "figures").glob("*.png")}


def one_line(err: str) -> str:
    return " ".join(err.replace("│", " ").split())


@pytest.mark.usefixtures("_no_figures")
def test_syn_noise_from_end_to_end(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    arguments = ["syn-noise", *TINY, "--factors", "2,1", "--seeds", "1,0", "--out", out]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    assert "no measured spines to compare with" in one_line(err)
    record = read(out, "run")
    assert (record["status"], record["experiment"]) == ("finished", "syn-noise")
    assert record["dataset"] is None
    assert record["config"]["factors"] == [1, 2]
    assert record["config"]["common"] is True
    assert record["device"].startswith("cpu")
    found = read(out)
    assert [(s["seed"], s["factors"]) for s in found["simulated"]] == [
        *((1, 1), (1, 2), (0, 1), (0, 2))
    ]
    assert found["measured"] is None
    assert not list(out.glob("part-*"))

    figures = DRAWN["syn-noise"](read_run(out, cli.PACKAGE))
    assert figures.keys() == FIGURES
    assert len(figures["noise"].axes) == 8
    for figure in figures.values():
        figure.canvas.draw()
    plt.close("all")

    code, _, err = run(capsys, *arguments)
    assert code == 0
    assert "finished" in err


def test_a_file_from_end_to_end(
    tmp_path: Path, csv: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = DRAWN["analyze-spines"]

    def some(stored: StoredRun) -> dict[str, plt.Figure]:
        figures = whole(stored)
        assert figures.keys() == FIGURES
        return {name: figures[name] for name in WRITTEN}

    monkeypatch.setitem(DRAWN, "analyze-spines", some)
    out = tmp_path / "run"
    code, _, err = run(
        capsys, "analyze-spines", csv, "--hours", 2, *TINY, "--factors", "2", "--out", out
    )
    assert code == 0, err
    record = read(out, "run")
    assert record["dataset"]["name"] == "file"
    assert len(record["dataset"]["checksum"]) == 64
    assert record["config"]["hours"] == 2
    found = read(out)
    assert found["measured"]["name"] == "own spines"
    assert found["measured"]["hours"] == 2
    assert len(found["measured"]["slope_by_lag"]["growth"]) == 11
    (simulated,) = found["simulated"]
    assert simulated["r_squared"] <= 1
    drawn = pictures(out)
    assert drawn.keys() == WRITTEN
    assert (out / "analyze-spines-60synapses.pdf").stat().st_size > 1000
    for name in WRITTEN:
        (out / "figures" / f"{name}.png").unlink()
    code, shown, err = run(capsys, "plot", out)
    assert code == 0, err
    assert {Path(line).stem for line in shown.split()} == WRITTEN | {"analyze-spines-60synapses"}
    assert pictures(out) == drawn
    plt.close("all")
    # The published numbers are of other spines.
    code, _, err = run(capsys, "verify", out)
    assert code == 1
    assert "no claim speaks about a run" in err
    # Another file is another run.
    csv.write_text(csv.read_text().replace("nan", "1.0"))
    code, _, err = run(
        capsys, "analyze-spines", csv, "--hours", 2, *TINY, "--factors", "2", "--out", out
    )
    assert code == 2
    assert "dataset" in err


@pytest.mark.usefixtures("_no_figures")
def test_verify(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    code, _, err = run(capsys, "syn-noise", *TINY, "--factors", "1,2,3,4,5", "--out", out)
    assert code == 0, err
    code, shown, _ = run(capsys, "verify", out, "--json")
    verdicts = json.loads(shown)
    assert {v["name"] for v in verdicts} == {"noise-grows", "q-min"}
    assert code == (0 if all(v["reproduced"] for v in verdicts) else 1)


@pytest.mark.usefixtures("_no_figures")
def test_quick_is_marked_and_gives_way(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    more = ["--duration", 20, "--dt", 0.05, "--factors", "2"]
    code, _, err = run(capsys, "syn-noise", "--quick", *more, "--out", out)
    assert code == 0, err
    record = read(out, "run")
    assert record["quick"] is True
    config = record["config"]
    assert (config["synapses"], config["duration"], config["bootstraps"]) == (300, 20, 100)


@pytest.mark.usefixtures("_no_figures")
def test_options_reach_the_simulation(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def compare(*arguments: Any, bootstraps: int, **_: Any) -> tuple[dict[str, Any], dict]:
        given.extend([*arguments, bootstraps])
        return {"simulated": [], "measured": None}, {}

    monkeypatch.setattr(cli, "compare", compare)
    options = "--sigma 0.06 --mixture 0.6 --drift 0.5 --gain 5 --tau 10 --dt 0.1 --synapses 7"
    more = "--duration 9 --separate-noise --bootstraps 3 --factors 7,3 --seeds 5,4 --out"
    code, _, err = run(capsys, "syn-noise", *options.split(), *more.split(), tmp_path / "run")
    assert code == 0, err
    parameters = Fluctuations(7, 9, 0.1, 0.06, 0.6, 0.5, 5.0, 10.0, common=False)
    assert given == [[3, 7], [5, 4], parameters, 3]


@pytest.mark.usefixtures("_no_figures")
def test_the_same_seed_gives_the_same_numbers(tmp_path: Path, capsys: Shown) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        more = ["--factors", "3", "--seed", seed, "--out", tmp_path / name]
        assert run(capsys, "syn-noise", *TINY, *more)[0] == 0
    one, same, other = (read(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one["simulated"][0]["slopes"] != other["simulated"][0]["slopes"]


@pytest.mark.usefixtures("_no_figures")
def test_resumed_after_a_kill(
    tmp_path: Path, csv: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["analyze-spines", csv, *TINY, "--factors", "2,3"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(capsys, *arguments, "--out", whole)[0] == 0
    once = Journal.once

    def stop(self: Journal, name: str, compute: Any) -> Any:
        if name == "seed0-z3":
            raise KeyboardInterrupt
        return once(self, name, compute)

    monkeypatch.setattr(Journal, "once", stop)
    code, _, err = run(capsys, *arguments, "--out", cut)
    assert code == 130
    assert "--resume" in err
    assert (cut / "part-seed0-z2.safetensors").exists()
    monkeypatch.setattr(Journal, "once", once)
    simulate, again = synapses.simulate, []

    def watched(z: int, *rest: Any) -> Any:
        again.append(z)
        return simulate(z, *rest)

    monkeypatch.setattr(synapses, "simulate", watched)
    code, _, err = run(capsys, *arguments, "--out", cut, "--resume")
    assert code == 0, err
    assert again == [3]
    assert read(cut) == read(whole)
    with np.load(cut / "arrays.npz") as got, np.load(whole / "arrays.npz") as expected:
        assert set(got) == set(expected)
        for name in got:
            np.testing.assert_array_equal(got[name], expected[name])


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["syn-noise", "--factors", "0,2"], "--factors 0,2: must be numbers from 1 to 100"),
        (["syn-noise", "--factors", "101"], "--factors 101: must be numbers from 1 to 100"),
        (["syn-noise", "--factors", "2,x"], "--factors 2,x: 'x' is not allowed"),
        (["syn-noise", "--factors", "2,2"], "--factors 2,2: a number is given twice"),
        (["syn-noise", "--dt", "0.3"], "--dt: got 0.3, expected 1 divided by a whole number"),
        (["syn-noise", "--synapses", "0"], "--synapses: got 0"),
        (["syn-noise", "--duration", "-1"], "--duration: got -1"),
        (["syn-noise", "--sigma", "nan"], "--sigma: got nan"),
        (["syn-noise", "--mixture", "2"], "--mixture: got 2.0, expected 0 to 1"),
        (["syn-noise", "--gain", "-1"], "--gain: got -1.0"),
        (["syn-noise", "--tau", "0"], "--tau: got 0.0"),
        (["syn-noise", "--drift", "inf"], "--drift: got inf"),
        (["syn-noise", "--bootstraps", "0"], "--bootstraps: got 0, expected 1 to 100000"),
        (["analyze-spines"], "FILE, --kaufman: got neither"),
        (["analyze-spines", "x.csv", "--kaufman"], "FILE, --kaufman: got both"),
        (["analyze-spines", "none.csv"], "none.csv: must be a readable CSV file"),
        (["analyze-spines", "--kaufman", "--hours", "1"], "--hours 1.0: is for FILE"),
    ],
)
def test_bad_input(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in one_line(err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2\n3,spine\n", "line 2: got 'spine'"),
        ("1\n2\n", "line 1: got a single column"),
        ("1,2\n3,-4\n", "line 2: got -4.0"),
        ("1,2\nNaN,NaN\n", "line 2: all values are missing"),
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


def test_hours_out_of_range(csv: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, "analyze-spines", csv, "--hours", 0)
    assert code == 2
    assert "--hours: got 0.0" in err


def test_absent_and_damaged_measurements(tmp_path: Path, capsys: Shown) -> None:
    code, _, err = run(capsys, "analyze-spines", "--kaufman", "--out", tmp_path / "run")
    assert code == 1
    assert "--data-dir" in err
    (tmp_path / "kaufman_2012.csv").write_text("1,2\n")
    for name in ("syn-noise", "analyze-spines"):
        more = ["--kaufman"] if name == "analyze-spines" else []
        code, _, err = run(
            capsys, name, *more, "--data-dir", tmp_path, *TINY, "--out", tmp_path / "run"
        )
        assert code == 2
        assert "--data-dir" in err
    assert not (tmp_path / "run").exists()


# Measured spines


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.skipif(DATA is None, reason="needs the measured spines")
def test_measured_spines(tmp_path: Path, capsys: Shown) -> None:
    out = tmp_path / "run"
    data = ["--data-dir", DATA]
    code, _, err = run(
        capsys, "analyze-spines", "--kaufman", *data, *TINY, "--factors", "1,2,3,4", "--out", out
    )
    assert code == 0, err
    assert read(out, "run")["dataset"]["name"] == "kaufman-2012"
    measured = read(out)["measured"]
    assert measured["slopes"]["moving"]["growth"]["value"] == pytest.approx(0.57, abs=0.03)
    assert measured["slopes"]["moving"]["shrinkage"]["value"] == pytest.approx(0.72, abs=0.03)
    assert len(measured["slope_by_lag"]["growth"]) == 47
    found = {claim["name"]: claim["reproduced"] for claim in read(out, "claims")}
    assert found.keys() == {"spines-slopes", "spines-q-min", "spines-r-squared"}
    assert found["spines-slopes"] is True

    out = tmp_path / "beside"
    code, _, err = run(capsys, "syn-noise", *data, *TINY, "--factors", "2", "--out", out)
    assert code == 0, err
    assert read(out)["measured"]["slopes"] == measured["slopes"]
    assert "r_squared" in read(out)["simulated"][0]
