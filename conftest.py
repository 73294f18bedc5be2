"""Two processes run the tests, each with one thread: a process of its own would take all cores.

How long an example of a property takes says nothing on a busy machine, so it has no deadline.
"""

import gc
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent


def _compiled() -> Path:
    """Name the folder of compiled loops, without those of our own that an older source gave."""
    folder = ROOT / ".pytest_cache" / "compiled"
    sources = sorted(
        path for part in ("shared", "packages") for path in ROOT.glob(f"{part}/**/src/**/*.py")
    )
    whole = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = folder / "sources"
    if not stamp.exists() or stamp.read_text() != whole:
        for package in ROOT.glob("packages/*/src/*"):
            for old in folder.glob(f"{package.name}_*"):
                shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        stamp.write_text(whole)
    return folder


os.environ.setdefault("OMP_NUM_THREADS", "1")
# Large arrays come and go: memory that is given back to the system is cleared each time.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**30))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**31))
if sys.dont_write_bytecode and sys.pycache_prefix is None:
    # Where sources must stay clean, every process would compile all modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ["PYTHONPYCACHEPREFIX"]
if "NUMBA_CACHE_DIR" not in os.environ:  # the first process; those that it starts have it
    os.environ["NUMBA_CACHE_DIR"] = str(_compiled())

gc.disable()  # until all modules are loaded
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among the modules: it took a tenth of the time."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_unconfigure() -> None:
    """Let what was left aside be collected at the end, in order."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def figures_are_not_rendered(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Save an empty figure in place of each, unless a test is marked `renders`.

    Rendering would take a third of the time of all tests.
    """
    if request.node.get_closest_marker("renders") is not None:
        return
    from matplotlib.figure import Figure

    savefig = Figure.savefig

    def save_empty(figure: Figure, target: Any, **options: Any) -> None:
        if options.get("format") in ("raw", "rgba"):  # a frame of an animation
            savefig(figure, target, **options)
        else:
            savefig(Figure(figsize=(0.1, 0.1)), target, **{**options, "bbox_inches": None})

    monkeypatch.setattr(Figure, "savefig", save_empty)
