"""What the tests of rnn-reactivation share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rnn_reactivation.cli import app
from sharpwave_shared import execution

TINY = ["rnn.hidden_size=8", "task.length=10", "trainer.batch_size=4", "trainer.test_every=2"]
TINY += ["trainer.save_every=2", "trainer.n_epochs=2"]
NAVIGATION = [*TINY, "task.place_cells_num=12"]
DIRECTION = [*TINY, "task.head_direction_cells_num=12"]
TASKS = {"spatial_navigation": NAVIGATION, "head_direction": DIRECTION}
NAMES = ("noisy_unbiased", "no-noise_biased")


@pytest.fixture
def float64() -> Iterator[None]:
    """Let everything be computed in float64, where the package would take float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds."""
    monkeypatch.setattr(execution, "draw_run", lambda *arguments: [])


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tiny networks of both tasks lie, with two seeds; not to be changed."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "draw_run", lambda *arguments: [])
        for task, changes in TASKS.items():
            names = [f"{task}/{name}" for name in NAMES]
            with pytest.raises(SystemExit, match="0"):
                app(["train", *names, *changes, "--seeds", "0:2", "--out", str(root), "-q"])
    return root
