"""Verdicts: which claims a run speaks to, for all seeds and each alone, and how they look."""

import io
import json
import math

import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from toy_model.experiments.walk import Walk

from sharpwave_shared.claims import (
    Claim,
    Measurement,
    Verdict,
    judge,
    show_means,
    show_verdicts,
    verdict_values,
)
from sharpwave_shared.results import Run
from sharpwave_shared.run_directory import Record
from sharpwave_shared.statistics import bootstrap_mean, wilson

STATEMENT = "The loss of [x] is small in every network, whatever is learnt and forgotten before"


def claim(name: str, threshold: float | None, *, least_seeds: int = 1) -> Claim:
    def measure(experiment, data) -> Measurement | None:
        assert isinstance(experiment, Walk)
        if threshold is None or data.sizes["seed"] < least_seeds:
            return None
        loss = float(data["loss"].mean())
        shown = f"{loss:.2f} bits\nover {data.sizes['seed']} seeds"
        return Measurement(shown, loss < threshold, {"loss": loss})

    return Claim(name, STATEMENT, "Fig. 2b", "0.3", "in [low, high]", measure)


def verdicts_of(claims, losses, monkeypatch, *, quick: bool = False) -> list[Verdict]:
    record = Record(
        package="toy-model",
        version="0.1",
        experiment="walk",
        parameters={},
        seeds=list(range(len(losses))),
        identity={},
        quick=quick,
    )
    monkeypatch.setattr(Walk, "claims", classmethod(lambda cls: claims))
    data = xr.Dataset({"loss": ("seed", losses)}, {"seed": record.seeds})
    return judge(Run.computed(Walk(), record, data))


@pytest.fixture
def verdicts(monkeypatch):
    claims = [
        claim("held", 0.6),
        claim("silent", None),
        claim("missed", 0.4),
        claim("of several", 0.6, least_seeds=2),
    ]
    return verdicts_of(claims, [0.1, 0.5, 0.9], monkeypatch)


def test_only_claims_that_the_run_speaks_to_are_judged(verdicts):
    found = [(v.claim.name, v.holds, v.seeds_holding, v.seeds_measured) for v in verdicts]
    assert found == [("held", True, 2, 3), ("missed", False, 1, 3), ("of several", True, 0, 0)]
    assert [v.word for v in verdicts] == ["reproduced", "not reproduced", "reproduced"]


def test_one_seed_is_judged_once(monkeypatch):
    calls = []

    def measure(experiment, data) -> Measurement:
        calls.append(data)
        return Measurement("x", True, {})

    once = Claim("c", STATEMENT, "Fig. 1", "1", "1", measure)
    (verdict,) = verdicts_of([once], [0.1], monkeypatch)
    assert len(calls) == 1
    assert (verdict.seeds_holding, verdict.seeds_measured) == (1, 1)


def test_what_is_scaled_down_is_not_judged(monkeypatch):
    (verdict,) = verdicts_of([claim("held", 0.6)], [0.1, 0.9], monkeypatch, quick=True)
    assert verdict.holds is None
    assert verdict.word == "not judged (scaled down)"
    assert (verdict.seeds_holding, verdict.seeds_measured) == (1, 2)


def shown(verdicts, **console) -> list[str]:
    stream = io.StringIO()
    show_verdicts(verdicts, "Title", Console(file=stream, soft_wrap=True, **console))
    return stream.getvalue().splitlines()


def test_all_of_it_is_shown(verdicts):
    lines = shown(verdicts)
    text = " ".join(" ".join(lines).split())
    assert lines[0] == "Title"
    # Square brackets must not be taken for markup.
    for part in (
        f"[reproduced] {STATEMENT} (Fig. 2b)",
        f"[not reproduced] {STATEMENT} (Fig. 2b)",
        "published 0.3",
        "counts if in [low, high]",
        "measured 0.50 bits over 3 seeds",
    ):
        assert part in text
    _, low, high = wilson(2, 3)
    assert f"seeds 2 of 3 alone (share {low:.2f} to {high:.2f}, 95 %)" in text
    assert text.count("alone") == 2, "what no single seed tells is not told of them"


@pytest.mark.parametrize("width", [40, 80, 300])
def test_lines_are_no_wider_than_80_columns_off_a_terminal(width, verdicts):
    lines = shown(verdicts, width=width)
    assert max(map(len, lines)) <= 80
    assert max(map(len, lines)) > 60


@pytest.mark.parametrize(("width", "widest"), [(50, 50), (300, 100)])
def test_lines_fit_a_terminal(width, widest, verdicts):
    lines = shown(verdicts, width=width, force_terminal=True, color_system=None)
    assert max(map(len, lines)) <= widest


def test_verdicts_are_json(verdicts):
    values = json.loads(json.dumps(verdict_values(verdicts)))
    assert values[1] == {
        "name": "missed",
        "statement": STATEMENT,
        "source": "Fig. 2b",
        "published": "0.3",
        "band": "in [low, high]",
        "measured": "0.50 bits\nover 3 seeds",
        "values": {"loss": 0.5},
        "reproduced": False,
        "seeds_holding": 1,
        "seeds_measured": 3,
        "over_seeds": {"loss": list(bootstrap_mean(np.array([0.1, 0.5, 0.9])))},
    }


def test_numbers_of_single_seeds_are_summed_up(monkeypatch):
    def measure(experiment, data) -> Measurement:
        loss = data["loss"].values.tolist()
        values = {"each_loss": loss, "by scale": {"1 m": loss, "name": "x"}, "small": True}
        return Measurement("x", True, {**values, "nan": math.nan})

    several = Claim("c", STATEMENT, "Fig. 1", "1", "1", measure)
    (verdict,) = verdicts_of([several], [1.0, 3.0], monkeypatch)
    assert verdict.over_seeds == {"each loss": (2.0, 1.0, 3.0), "by scale, 1 m": (2.0, 1.0, 3.0)}
    text = " ".join(" ".join(shown([verdict])).split())
    assert "means each loss 2 (1 to 3), by scale, 1 m 2 (1 to 3)" in text


def test_all_means_are_shown():
    text = show_means({str(i): (float(i),) * 3 for i in range(9)})
    assert text.startswith("0 0 (0 to 0), 1 1 (1 to 1)")
    assert text.endswith("8 8 (8 to 8)")


def test_what_all_seeds_share_is_judged_once(monkeypatch):
    """Seeds that look at the same thing are no independent evidence."""

    def measure(experiment, data) -> Measurement:
        return Measurement("x", True, {"x": 1.0})

    for once, seeds in ((False, 3), (True, 1)):
        claim = Claim("c", STATEMENT, "Fig. 1", "1", "1", measure, once=once)
        (verdict,) = verdicts_of([claim], [1.0, 2.0, 3.0], monkeypatch)
        assert (verdict.seeds_holding, verdict.seeds_measured) == (seeds, seeds)
        assert bool(verdict.over_seeds) is not once
