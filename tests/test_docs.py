"""Examples in the documentation run, and what it names exists."""

import importlib
import re
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from sharpwave_shared.testing import invoke

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("packages/*/README.md")])
COMMANDS = (
    "sleep-replay",
    "impression-learning",
    "hybrid-plasticity",
    "rnn-reactivation",
    "synaptic-consolidation",
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


ROOMS = re.compile(r"# (experiments|figures|claims)/(\w+)\.py\n")
"""The first line of a module that a page shows."""
EXAMPLES = [
    pytest.param(page, code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(blocks(page, "python"))
    if not ROOMS.match(code)
]
COMMAND_LINES = sorted(
    {
        line.partition("#")[0].removeprefix("uv run ").strip()
        for page in PAGES
        for block in blocks(page, "")
        for line in block.replace("\\\n", " ").splitlines()
        if line.removeprefix("uv run ").split(" ")[0] in COMMANDS
    }
)


@pytest.mark.parametrize(("page", "code"), EXAMPLES)
def test_python_examples_run(
    page: Path, code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path / "cache"))
    exec(compile(code, str(page), "exec"), {"__name__": "__main__"})


def test_a_new_experiment_is_three_modules_and_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for code in blocks(ROOT / "docs" / "contributing.md", "python"):
        room, name = ROOMS.match(code).groups()  # type: ignore[union-attr]
        (tmp_path / room).mkdir()
        (tmp_path / room / f"{name}.py").write_text(code)
        package = importlib.import_module(f"synaptic_consolidation.{room}")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / room)])
    capacity = importlib.import_module("synaptic_consolidation.experiments.capacity").Capacity
    app = importlib.import_module("synaptic_consolidation.cli").app
    monkeypatch.setattr(app, "experiments", dict(app.experiments))
    monkeypatch.setattr(app, "commands", dict(app.commands))
    app.add(capacity)
    code, out, err = invoke(app, capsys, "capacity", "--out", tmp_path / "run")
    assert code == 0, err
    assert "[reproduced] Sparse patterns are easier" in out
    assert (tmp_path / "run" / "figures" / "capacity.png").exists()
    code, _, err = invoke(app, capsys, "capacity", "--activities", "0.7")
    assert code == 2
    assert "--activities: got 0.7, expected numbers above 0, up to 0.5" in err


@cache
def help_of(command: str, subcommand: str | None) -> str:
    app = importlib.import_module(f"{command.replace('-', '_')}.cli").app
    shown = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown):
        for name, value in (("COLUMNS", "200"), ("NO_COLOR", "1"), ("TERM", "dumb")):
            patch.setenv(name, value)
        with pytest.raises(SystemExit, match="0"):
            app([*([subcommand] if subcommand else []), "--help"])
    return shown.getvalue()


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_and_options_of_the_examples_exist(line: str) -> None:
    command, *words = line.split()
    subcommand = words[0] if words and re.fullmatch(r"[a-z][a-z0-9-]*", words[0]) else None
    known = help_of(command, subcommand)
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", known), f"{option} is not an option of {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
