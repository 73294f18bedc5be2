"""What the tests of synaptic-consolidation share."""

from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from sharpwave_shared import execution
from sharpwave_shared.experiment import Experiment
from synaptic_consolidation import optima
from synaptic_consolidation.cli import app


def _tiny() -> dict[type[Experiment], dict[str, Any]]:
    """Read tiny.py, which is no module of a package."""
    spec = spec_from_file_location("tiny_synaptic", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TINY


@pytest.fixture(scope="session")
def tiny() -> dict[str, dict[str, Any]]:
    """Parameters at which experiments take about a second, by the names of these."""
    return {kind.name: values for kind, values in _tiny().items()}


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


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, dict[str, Any]]
) -> Callable[[str], Path]:
    """Give the directory of a finished tiny run of an experiment, made once."""
    folder = tmp_path_factory.mktemp("runs")

    def run(name: str) -> Path:
        out = folder / name
        if not out.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(execution, "draw_run", lambda *_, **__: [])
                app.experiments[name](**tiny[name]).run((3, 0), out=out, device="cpu")
        return out

    return run
