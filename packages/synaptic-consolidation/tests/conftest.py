"""What the tests of synaptic-consolidation share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from sharpwave_shared import execution
from sharpwave_shared.testing import load_module
from synaptic_consolidation import optima


@pytest.fixture(scope="session")
def tiny() -> dict[str, dict[str, Any]]:
    """Parameters at which experiments take about a second, by the names of these."""
    sizes = load_module(Path(__file__).with_name("tiny.py")).TINY
    return {kind.name: values for kind, values in sizes.items()}


@pytest.fixture(autouse=True, scope="session")
def _own_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache and data out of the tests, and the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("SHARPWAVE_DATA", raising=False)
        # Shape checks make curves of many points take seconds; few will do.
        patch.setattr(optima, "POINTS", 5)
        yield


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes longer than tiny runs."""
    monkeypatch.setattr(execution, "draw_run", lambda *_, **__: [])
