"""What the tests of synaptic-consolidation share."""

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of the tests, and the tests out of the user's cache."""
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
