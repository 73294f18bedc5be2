"""The paper's claims at full size, one seed; `verify` measures them as it does on a user's run."""

import os
from pathlib import Path

import pytest

from impression_learning import Snr, Standard, SwitchPeriod, VocalDigits
from impression_learning.experiments.common import Learning
from sharpwave_shared import open_run

DATA = os.environ.get("SHARPWAVE_DATA")


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment", [Standard(), SwitchPeriod(), Snr(episodes=200_000), VocalDigits()], ids=repr
)
def test_claims_hold(experiment: Learning, tmp_path: Path) -> None:
    if experiment.reads_data and DATA is None:
        pytest.skip("SHARPWAVE_DATA is not set")
    experiment.run(0, out=tmp_path / "run", data_dir=DATA)
    verdicts = open_run(tmp_path / "run").verify()
    assert len(verdicts) >= 2
    assert [verdict.claim.name for verdict in verdicts if not verdict.holds] == []
