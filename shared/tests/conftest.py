"""A package in miniature, `toy_model`, that is installed while these tests run."""

import os
import shutil
import sys
from pathlib import Path

import pytest

TOY = str(Path(__file__).parent / "toy")

# Tests import from it; but only below do `sharpwave list` and others find it.
sys.path.insert(0, TOY)
import toy_model  # noqa: E402, F401

sys.path.remove(TOY)


@pytest.fixture(scope="module", autouse=True)
def toy():
    """Install the toy package, here and in processes that are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOY)
        patch.setenv("PYTHONPATH", TOY, prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """A finished run of two seeds; not to be changed."""
    from toy_model.experiments.walk import Walk

    directory = tmp_path_factory.mktemp("finished") / "run"
    Walk(steps=4).run(range(2), out=directory)
    return directory


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A finished run that may be changed."""
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture
def undrawn(monkeypatch):
    """Let no run draw its figures, which takes most of its time."""
    monkeypatch.setattr("sharpwave_shared.execution.draw_run", lambda *arguments: [])
