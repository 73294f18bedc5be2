"""The claim about the example configuration at full size, one seed, through the command line."""

import json
from pathlib import Path

import pytest

from hybrid_plasticity import cli
from sharpwave_shared.testing import invoke


@pytest.mark.slow
def test_the_example_masters_its_curriculum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = invoke(cli.app, capsys, "--seed", 4, "--max-r", 3, "--out", tmp_path)
    assert code == 0, err
    (run,) = tmp_path.glob("*/*")
    code, shown, _ = invoke(cli.app, capsys, "verify", run, "--json")
    (verdict,) = json.loads(shown)
    assert (code, verdict["name"], verdict["reproduced"]) == (0, "curriculum", True)
