"""Claims: which a run speaks to, and how the verdicts look."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from sharpwave_shared.claims import Claim, Measurement, check_claims, claims_record, claims_table
from sharpwave_shared.runs import StoredRun


def claim(name: str, threshold: float | None) -> Claim:
    def measure(run: StoredRun) -> Measurement | None:
        if threshold is None:
            return None
        loss = run.metrics["loss"]
        return Measurement(f"{loss} bits", loss < threshold, {"loss": loss})

    return Claim(name, f"Claim {name} about [x]", "Fig. 2b", "0.3", "in [low, high]", measure)


@pytest.fixture
def verdicts():
    run = StoredRun(Path("nowhere"), {"experiment": "main"}, {"loss": 0.5})
    return check_claims([claim("held", 0.6), claim("silent", None), claim("missed", 0.4)], run)


def test_only_claims_that_the_run_speaks_to(verdicts):
    assert [(c.name, m.reproduced) for c, m in verdicts] == [("held", True), ("missed", False)]


def test_table_shows_all_of_it(verdicts):
    stream = io.StringIO()
    Console(width=200, file=stream).print(claims_table(verdicts, "Title"))
    text = stream.getvalue()
    # Square brackets must not be taken for markup.
    for part in ("Claim held about [x] (Fig. 2b)", "in [low, high]", "0.5 bits", "0.3", "Title"):
        assert part in text
    rows = [line for line in text.splitlines() if "Claim" in line]
    assert ["yes" in row for row in rows] == [True, False]
    assert ["no" in row.split() for row in rows] == [False, True]


def test_record_is_json(verdicts):
    record = json.loads(json.dumps(claims_record(verdicts)))
    assert record[1] == {
        "name": "missed",
        "statement": "Claim missed about [x]",
        "source": "Fig. 2b",
        "published": "0.3",
        "band": "in [low, high]",
        "measured": "0.5 bits",
        "values": {"loss": 0.5},
        "reproduced": False,
    }
