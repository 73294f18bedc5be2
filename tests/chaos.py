"""Kill every experiment again and again at random moments; resumed, it must give the same numbers.

    uv run python tests/chaos.py [KILLS] [SEED]

Each experiment of each package runs at its tiny size in a process that is killed (SIGKILL) after a
random time and started again with `resume`, until it has had its share of the kills (200 in all if
not said); then it may finish. Its results must be those of an uninterrupted run, bit by bit.
Checkpoints are written whenever they can be. Not part of the suite: it takes many minutes.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sharpwave_shared import journal
from sharpwave_shared.app import installed_apps
from sharpwave_shared.experiment import Experiment
from sharpwave_shared.results import read_results
from sharpwave_shared.testing import load_module

ROOT = Path(__file__).parents[1]
LIMIT_S = 600


def tiny_sizes(only: str | None = None) -> dict[tuple[str, str], Experiment]:
    """Give every experiment that has a tiny size, by package and name."""
    found = {}
    for package, app in installed_apps().items():
        if only not in (None, package):
            continue
        tiny = load_module(ROOT / "packages" / package / "tests" / "tiny.py").TINY
        for name, kind in app.experiments.items():
            if kind in tiny:
                found[package, name] = kind(**tiny[kind])
    return found


def work(package: str, name: str, out: Path) -> None:
    """Run an experiment in this process; say when it begins."""
    journal.CHECKPOINT_INTERVAL = 0.0
    experiment = tiny_sizes(package)[package, name]
    print("ready", flush=True)
    experiment.run(0, out=out, resume=True)


def start(name: tuple[str, str], out: Path) -> subprocess.Popen:
    """Start it in a process of its own, and wait until it begins."""
    program = [sys.executable, __file__, "--work", *name, str(out)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def ended(process: subprocess.Popen, seconds: float) -> bool:
    """Wait for a process; tell whether it has ended."""
    try:
        return process.wait(seconds) is not None
    except subprocess.TimeoutExpired:
        return False


def results_of(out: Path) -> list[Any]:
    """Read all results below a directory, in the order of their folders."""
    return [read_results(path) for path in sorted(out.rglob("results.nc"))]


def torment(name: tuple[str, str], folder: Path, kills: int, chance: random.Random) -> int:
    """Kill a run so many times, at most; check what comes out. Give how often it was killed."""
    whole = start(name, folder / "whole")
    begun = time.monotonic()
    if not ended(whole, LIMIT_S) or whole.returncode:
        raise SystemExit(f"{name} fails by itself: exit code {whole.returncode}")
    duration = time.monotonic() - begun
    killed = 0
    while True:
        process = start(name, folder / "killed")
        if ended(process, chance.uniform(0, 1.2 * duration) if killed < kills else LIMIT_S):
            break
        process.kill()
        process.wait()
        killed += 1
    if process.returncode:
        raise SystemExit(f"{name} fails after {killed} kills")
    expected, found = results_of(folder / "whole"), results_of(folder / "killed")
    same = [one.identical(other) for one, other in zip(expected, found, strict=True)]
    if not expected or not all(same):
        raise SystemExit(f"{name}: other numbers after {killed} kills")
    return killed


def main() -> None:
    """Torment all experiments in turn until there were enough kills."""
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        return
    wanted, seed = (int(text) for text in [*sys.argv[1:], *("200", "0")[len(sys.argv) - 1 :]])
    chance = random.Random(seed)
    names = list(tiny_sizes())
    done = 0
    while done < wanted:
        for name in names[: wanted - done]:
            share = min(wanted - done, max(1, wanted // len(names)))
            with tempfile.TemporaryDirectory() as folder:
                killed = torment(name, Path(folder), share, chance)
            done += killed
            print(f"{done:4d} kills; {' '.join(name)}: {killed}, same numbers", flush=True)
    print(f"{done} kills in all, every run gave the same numbers")


if __name__ == "__main__":
    main()
