"""The package as a whole: what it exports, what importing it costs, and its README."""

import re
import subprocess
import sys
from pathlib import Path

import sharpwave_shared

README = Path(__file__).parents[1] / "README.md"


def test_everything_exported_is_there():
    for name in sharpwave_shared.__all__:
        assert getattr(sharpwave_shared, name).__doc__, name


def test_import_loads_neither_figures_nor_command_line():
    code = "import sharpwave_shared, sys; print(*sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = {name.partition(".")[0] for name in printed.split()}
    assert not loaded & {"torch", "numpy", "xarray", "matplotlib", "typer", "pydantic", "scipy"}


def test_readme_example(capsys):
    text = README.read_text(encoding="utf-8")
    code, expected = re.findall(r"^```(?:python)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    exec(compile(code, str(README), "exec"), {})
    assert capsys.readouterr().out == expected


def test_readme_names_every_module():
    modules = {
        path.stem
        for path in Path(sharpwave_shared.__file__).parent.glob("*.py")
        if path.stem not in ("__init__", "__main__")
    }
    named = set(re.findall(r"^\| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == modules
