"""A package in miniature, `toy_model`, that is installed while these tests run."""

import os
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
