"""Examples in the documentation run, and what it names exists."""

import importlib
import re
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

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


EXAMPLES = [
    pytest.param(page, code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(blocks(page, "python"))
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
