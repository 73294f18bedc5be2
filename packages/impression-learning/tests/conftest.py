"""What the tests of impression-learning share: a finished tiny run of every mode."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from impression_learning.cli import app
from sharpwave_shared import Run, data, open_run
from sharpwave_shared.testing import invoke

SEEDS = (3, 1, 2)
CLOSED = "http://127.0.0.1:9/fsdd.zip"
Finished = Callable[[str], Run]


@pytest.fixture(scope="session")
def tiny() -> dict[str, dict[str, Any]]:
    """Give parameters with which a mode runs in about a second, by the mode's name."""
    spec = spec_from_file_location("tiny_impression", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {kind.name: values for kind, values in module.TINY.items()}


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's data and cache, and the network, out of the tests."""
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("SHARPWAVE_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data, "FSDD_ARCHIVES", (CLOSED,))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes longer than tiny runs."""
    monkeypatch.setattr("sharpwave_shared.execution.draw_run", lambda *_: [])


@pytest.fixture(scope="session")
def finished(tiny: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Give the finished tiny run of a mode, with three seeds (speech: one); it is made once."""
    places: dict[str, Path] = {}

    def run(mode: str) -> Run:
        if mode not in places:
            place = tmp_path_factory.mktemp("finished") / mode
            speech = mode == "Vocal_Digits"
            seeds = SEEDS[:1] if speech else SEEDS
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
                patch.setattr("sharpwave_shared.execution.draw_run", lambda *_: [])
                # Speech takes long: few recordings.
                speaker = {"synthetic-1": (95.0, 0.95)}
                patch.setattr("impression_learning.synthetic_speech._SPEAKERS", speaker)
                app.experiments[mode](**tiny[mode]).run(seeds, out=place)
            places[mode] = place
        return open_run(places[mode])

    return run


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process, with arguments, and parameters as options.

    Gives exit code, output, and error output in one line.
    """

    def run(*arguments: object, **parameters: Any) -> tuple[int, str, str]:
        written = list(arguments)
        for name, value in parameters.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            written += [f"--{name.replace('_', '-')}", text]
        code, out, err = invoke(app, capsys, *written)
        assert "Traceback" not in err
        return code, out, " ".join(err.replace("│", " ").split())

    return run
