"""Kill every experiment again and again at random moments; resumed, it must give the same numbers.

    uv run python tests/chaos.py [KILLS] [SEED]

Each experiment of each package runs at its tiny size in a process that is killed (SIGKILL) after a
random time and started again with `resume`, until it has had its share of the kills (200 in all if
not said); then it may finish. Its results must be those of an uninterrupted run, bit by bit.
Checkpoints are written whenever they can be. Processes are forked, so that they spend their time in
the run and not in imports. Not part of the suite: it takes some minutes. Compiled loops are kept in
a folder of its own, from the first run of an experiment to the others.
"""

import importlib
import os
import pkgutil
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from sharpwave_shared import journal
from sharpwave_shared.app import installed_apps
from sharpwave_shared.experiment import Experiment
from sharpwave_shared.results import read_results
from sharpwave_shared.testing import load_module

ROOT = Path(__file__).parents[1]
LIMIT_S = 600
POLL_S = 0.002


def tiny_sizes() -> dict[str, Experiment]:
    """Give every experiment that has a tiny size, by package and name."""
    found = {}
    for package, app in installed_apps().items():
        tiny = load_module(ROOT / "packages" / package / "tests" / "tiny.py").TINY
        found |= {
            f"{package} {name}": kind(**tiny[kind])
            for name, kind in app.experiments.items()
            if kind in tiny
        }
    return found


def import_all() -> None:
    """Import all modules of all packages, for the processes that are forked."""
    for package in [*(name.replace("-", "_") for name in installed_apps()), "sharpwave_shared"]:
        for module in pkgutil.walk_packages(
            importlib.import_module(package).__path__, f"{package}."
        ):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def start(experiment: Experiment, out: Path) -> int:
    """Run an experiment in a process of its own; give its number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        experiment.run(0, out=out, resume=True)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(process: int, seconds: float) -> int | None:
    """Wait for a process; give its exit code, or None if it has not ended by then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_S)
    return None


def results_of(out: Path) -> list[Any]:
    """Read all results below a directory, in the order of their folders."""
    return [read_results(path) for path in sorted(out.rglob("results.nc"))]


def torment(experiment: Experiment, folder: Path, kills: int, chance: random.Random) -> int:
    """Kill a run so many times, at most; check what comes out. Give how often it was killed."""
    # The first run compiles its loops, the others load them.
    for name in ("whole", "again"):
        begun = time.monotonic()
        if (code := exit_code(start(experiment, folder / name), LIMIT_S)) != 0:
            raise SystemExit(f"fails by itself: exit code {code}")
        duration = time.monotonic() - begun
    killed = 0
    while True:
        process = start(experiment, folder / "killed")
        patience = chance.uniform(0, 1.2 * duration) if killed < kills else LIMIT_S
        if (code := exit_code(process, patience)) is not None:
            break
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        killed += 1
    if code:
        raise SystemExit(f"fails after {killed} kills")
    expected = results_of(folder / "whole")
    for name in ("again", "killed"):
        pairs = zip(expected, results_of(folder / name), strict=True)
        if not expected or not all(one.identical(other) for one, other in pairs):
            raise SystemExit(f"{name}: other numbers ({killed} kills)")
    return killed


def main() -> None:
    """Torment all experiments in turn until there were enough kills."""
    compiled = tempfile.TemporaryDirectory()
    os.environ["NUMBA_CACHE_DIR"] = compiled.name
    wanted, seed = (int(text) for text in [*sys.argv[1:], *("200", "0")[len(sys.argv) - 1 :]])
    torch.set_num_threads(1)  # threads do not survive a fork
    journal.CHECKPOINT_INTERVAL = 0.0
    import_all()
    chance, experiments, done = random.Random(seed), tiny_sizes(), 0
    begun = time.monotonic()
    while done < wanted:
        for name, experiment in experiments.items():
            share = min(wanted - done, max(1, wanted // len(experiments)))
            if share == 0:
                break
            print(f"{done:4d} kills; {name}: ", end="", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                killed = torment(experiment, Path(folder), share, chance)
            done += killed
            print(f"{killed}, same numbers", flush=True)
    minutes = (time.monotonic() - begun) / 60
    print(f"{done} kills in {minutes:.0f} minutes; every run gave the same numbers")


if __name__ == "__main__":
    main()
