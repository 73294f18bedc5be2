"""The reproduction report: what is stored of a run, and that the page is made of it alone."""

import json
from pathlib import Path

import pytest
from toy_model.experiments.walk import Walk

from sharpwave_shared import open_run
from sharpwave_shared.testing import load_module

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def reproduction():
    return load_module(DOCS / "reproduction.py")


@pytest.fixture
def elsewhere(reproduction, monkeypatch, tmp_path):
    monkeypatch.setattr(reproduction, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(reproduction, "REPORT", tmp_path / "reproduction.md")
    monkeypatch.setattr(reproduction, "PACKAGES", ("toy-model",))
    return reproduction


def test_the_page_is_made_of_what_is_stored(reproduction):
    assert reproduction.REPORT.read_text() == reproduction.report()


def test_a_run_is_stored_and_told(elsewhere, finished, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["reproduction.py", str(finished), "Figure 1: walks"])
    elsewhere.main()
    path = tmp_path / "results" / "toy-model" / "figure-1-walks.json"
    assert capsys.readouterr().out.strip() == str(path)
    stored = json.loads(path.read_text())
    assert stored["seeds"] == [0, 1]
    far, _ = open_run(finished).verify()
    assert stored["claims"][0]["values"] == far.measurement.values
    (path.parent / "notes.md").write_text("What was learnt.\n")
    monkeypatch.setattr("sys.argv", ["reproduction.py"])
    elsewhere.main()
    page = elsewhere.REPORT.read_text()
    assert "### Figure 1: walks\n" in page
    assert f"| {far.claim.published} | {far.claim.band} | {far.measurement.shown}<br>means:" in page
    assert page.endswith("What was learnt.\n")


def test_only_finished_runs_at_full_size_are_stored(elsewhere, tmp_path):
    Walk(steps=2).run(0, out=tmp_path / "quick", quick=True)
    with pytest.raises(SystemExit, match="full size"):
        elsewhere.store([tmp_path / "quick"], "Figure 1")


@pytest.mark.usefixtures("undrawn")
def test_seeds_that_lie_apart_are_judged_together(elsewhere, finished, tmp_path):
    apart = [tmp_path / f"seed-{seed}" for seed in range(2)]
    for seed, directory in enumerate(apart):
        Walk(steps=4).run(seed, out=directory)
    stored = json.loads(elsewhere.store(apart, "Figure 1").read_text())
    together = json.loads(elsewhere.store([finished], "Figure 2").read_text())
    assert stored["seeds"] == [0, 1]
    assert stored["claims"] == together["claims"]
    Walk(steps=5).run(2, out=tmp_path / "longer")
    with pytest.raises(SystemExit, match="longer: its parameters are others"):
        elsewhere.store([*apart, tmp_path / "longer"], "Figure 3")


def test_commands_leave_out_where_a_run_lies(elsewhere, finished):
    run = open_run(finished)
    assert elsewhere.command(run).startswith("Walk(")
    words = "bin/toy-model /x --out x --steps 4 --data-dir=y --resume"
    run.record.command_line = words.split()
    assert elsewhere.command(run) == "toy-model RUN_DIR --steps 4"
