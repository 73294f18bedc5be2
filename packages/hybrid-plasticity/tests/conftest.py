"""What the tests of hybrid-plasticity share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import hybrid_made

sys.path.remove(str(Path(__file__).parent))

from hybrid_plasticity.experiments.analyze import Analyze
from hybrid_plasticity.experiments.evaluate import Evaluate
from hybrid_plasticity.experiments.train import Train


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of the tests, and the tests out of the user's cache."""
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def _no_figures() -> Iterator[None]:
    with hybrid_made.no_figures():
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of training, with its evaluation and analysis; without figures."""
    root = tmp_path_factory.mktemp("finished")
    with hybrid_made.no_figures():
        Train(**hybrid_made.TINY).run([0, 1], out=root)
        (run,) = root.glob("*/*")
        for kind in (Evaluate, Analyze):
            experiment = kind(run_dir=run, streams=2)
            experiment.run(out=run / kind.folder)
    return run
