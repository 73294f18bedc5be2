"""The paper's claims at full size, one seed; `verify` measures them as it does on a user's run."""

import os
from pathlib import Path

import pytest

from impression_learning.claims import CLAIMS
from impression_learning.experiments import run
from impression_learning.plans import make_plan
from impression_learning.speech import load_speech
from sharpwave_shared.claims import check_claims
from sharpwave_shared.runs import StoredRun


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["standard", "switch_period", "SNR", "Vocal_Digits"])
def test_claims_hold(mode: str, tmp_path: Path) -> None:
    speech = None
    if mode == "Vocal_Digits":
        if "SHARPWAVE_DATA" not in os.environ:
            pytest.skip("SHARPWAVE_DATA is not set")
        speech = load_speech()
    plan = make_plan(mode, episodes=200_000)
    result = run(plan, [0], speech=speech)
    stored = StoredRun(tmp_path, {"experiment": mode, "config": plan.config()}, result.metrics)
    verdicts = check_claims(CLAIMS, stored)
    assert len(verdicts) >= 2
    assert [claim.name for claim, measured in verdicts if not measured.reproduced] == []
