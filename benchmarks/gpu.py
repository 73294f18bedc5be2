"""Everything that needs an accelerator, in one go. `gpu.sh` calls it and says how.

Steps are the tests marked `gpu`, the benchmark of every package and, with `--full`, runs of full
size. Each has its share of the time that is left, so that what one does not need is the next one's.
A step that fails or takes too long does not keep the others from running. `gpu.json` is written
anew after each step; `gpu.log` holds all that the steps print.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT / "shared", *sorted((ROOT / "packages").iterdir())]
NAMED_VERSIONS = ("torch", "numpy", "scipy", "numba", "triton", "xarray", "pytest")
MINUTES = 8  # of the tests and benchmarks, if there are not fewer
GRACE = 15  # seconds that a step has to end after SIGTERM
TIMED_OUT = (124, 137)  # exit codes of `timeout`: ended by SIGTERM, by SIGKILL
LARGEST_FILE = 2**21  # bytes of what goes into the archive of results: no weights, no checkpoints

# Sizes of the benchmarks: on an accelerator those of their targets, on a CPU what takes seconds.
SIZES = {
    "cuda": {
        "sleep-replay": "--seeds 10 --total-eps 20 --repeat 2",
        "impression-learning": "--networks 1000 --steps 2000 --repeat 2",
        "hybrid-plasticity": "--networks 500 --iterations 2 --repeat 2",
        "rnn-reactivation": "--networks 5 --repeat 5",
        "synaptic-consolidation": "--steps 2000 --late 10000 --repeat 2",
    },
    "cpu": {
        "sleep-replay": "--seeds 2 --total-eps 20 --repeat 1",
        "impression-learning": "--networks 2 --steps 2000 --repeat 1",
        "hybrid-plasticity": "--networks 2 --iterations 1 --repeat 1",
        "rnn-reactivation": "--only head_direction --repeat 1",
        "synaptic-consolidation": "--n 200 --steps 20 --late 200 --repeat 1",
    },
}
FULL = {
    "reproduce": "rnn_reactivation reproduce --seeds 0:5",
    "f50": "synaptic_consolidation f50",
    "wake-sleep": "synaptic_consolidation wake-sleep",
}


@dataclass(frozen=True)
class Step:
    """A process, its share of the time that is left, and the file that a benchmark tells it in."""

    name: str
    command: Sequence[str]
    share: float = 1.0
    lines: Path | None = None
    resumable: bool = False


def main() -> None:
    """Run the steps, write what came out, and exit with 1 if one failed."""
    options = _parse()
    # So that the process that runs is ended, and the temporary folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        (options.out / "gpu.log").open("w", encoding="utf-8") as log,
    ):
        session = Session(options, Path(temporary), log)
        early, late = session.early_steps(), session.late_steps()
        session.run(early, min(options.minutes, MINUTES))
        if options.full:
            session.run(late, options.minutes)
            _archive(options.out)
        failed = session.record["failed"]
        session.say(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    sys.exit(bool(failed))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu.sh", description="See the head of gpu.sh.")
    parser.add_argument("steps", nargs="*", metavar="STEP", help="only these (default: all)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a try")
    parser.add_argument("--full", action="store_true", help="then reproduce at full size")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all together")
    parser.add_argument("--out", type=Path, default=os.environ.get("OUT", ROOT / "gpu-results"))
    parser.add_argument("--commit", help="what runs here (default: what git says)")
    parser.add_argument("--wheels", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out = options.out.resolve()
    names = ["tests", *SIZES["cpu"], *(FULL if options.full else ())]
    if unknown := set(options.steps) - set(names):
        parser.error(f"no step is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    options.steps = options.steps or names
    return options


class Session:
    """One go: its record, its log, and the environment of its steps."""

    def __init__(self, options: argparse.Namespace, temporary: Path, log) -> None:
        self.options, self.temporary, self.log = options, temporary, log
        self.start = time.monotonic()
        self.kind = "cpu" if options.device == "cpu" else "cuda"
        added = [path.stem for path in _unpack_missing(options.wheels, temporary / "site")]
        for project in PROJECTS:
            _describe_project(project, temporary / "site")
        sources = [str(project / "src") for project in PROJECTS]
        path = os.pathsep.join([*sources, str(temporary / "site")])
        self.environment = {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "NUMBA_CACHE_DIR": str(temporary / "compiled"),  # what several steps compile
        }
        self.record = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": options.commit or _output("git", "describe", "--always", "--dirty"),
            "device": options.device,
            "machine": _machine(),
            "added_wheels": added,
            "steps": {},
            "failed": [],
            "unfinished": [],
        }
        self.say(json.dumps(self.record, indent=2))

    def early_steps(self) -> list[Step]:
        """List the tests and benchmarks."""
        tests = [
            str(path.relative_to(ROOT))
            for path in sorted(ROOT.glob("packages/*/tests/test_*.py"))
            if "mark.gpu" in path.read_text(encoding="utf-8")
        ]
        # Without the options of pyproject.toml: no processes side by side, no checks of shapes.
        pytest = "-m pytest -o addopts= -p no:cacheprovider --import-mode=importlib -v -m gpu"
        # Where they cannot run, see at least that they can be collected.
        collect = ["--collect-only", "-q"] if self.kind == "cpu" else []
        steps = [Step("tests", [*pytest.split(), *collect, *tests], share=1.5)]
        for package, sizes in SIZES[self.kind].items():
            script = f"packages/{package}/benchmarks/speed.py"
            lines = self.temporary / f"{package}.jsonl"
            device = ["--device", self.options.device]
            command = [script, *device, "--json", str(lines), *sizes.split()]
            steps.append(Step(package, command, lines=lines))
        return self._chosen(steps)

    def late_steps(self) -> list[Step]:
        """List the runs of full size; on the CPU those that `--quick` scales down."""
        steps = []
        for name, command in FULL.items():
            # What a run can go on from lies under the device, which is a part of its identity.
            out = self.options.out / "runs" / self.kind / name
            common = ["--device", self.options.device, "--out", str(out), "--resume"]
            quick = ["--quick"] if self.kind == "cpu" else []
            command = ["-m", *command.split(), *common, *quick]
            steps.append(Step(name, command, resumable=True))
        return self._chosen(steps)

    def _chosen(self, steps: list[Step]) -> list[Step]:
        return [step for step in steps if step.name in self.options.steps]

    def run(self, steps: Sequence[Step], minutes: float) -> None:
        """Run the steps until so many minutes after the start."""
        for index, step in enumerate(steps):
            shares = [other.share for other in steps[index:]]
            left = 60 * minutes - (time.monotonic() - self.start)
            limit = int(left * step.share / sum(shares)) - GRACE
            self._add(step, self._run_step(step, limit))

    def _run_step(self, step: Step, limit: int) -> dict[str, object]:
        """Run a process under `timeout`; what it prints goes to the terminal and the log."""
        result: dict[str, object] = {"command": " ".join(step.command), "limit": limit}
        if limit <= 0:
            return result | {"exit_code": None}
        self.say(f"\n== {step.name}, at most {limit} s: {result['command']}")
        began = time.monotonic()
        timeout = ["timeout", f"--kill-after={GRACE}", str(limit)]
        last = ""
        with subprocess.Popen(  # noqa: S603 - our own programs
            [*timeout, sys.executable, *step.command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    self.say(line.rstrip("\n"))
                    last = line.strip() or last
            except BaseException:
                process.terminate()
                raise
        result |= {"exit_code": process.returncode, "last_line": last}
        return result | {"seconds": round(time.monotonic() - began, 1)}

    def _add(self, step: Step, result: dict[str, object]) -> None:
        """Enter a result into the record, and store it."""
        code = result["exit_code"]
        if step.lines and step.lines.exists():
            told = [json.loads(line) for line in step.lines.read_text().splitlines()]
            result["ratios"] = {each["what"]: each["ratio"] for each in told if "ratio" in each}
            result["told"] = told
        self.record["steps"][step.name] = result
        if step.resumable and (code is None or code in TIMED_OUT):
            self.record["unfinished"].append(step.name)
        elif code != 0:
            self.record["failed"].append(step.name)
        self.record["seconds"] = round(time.monotonic() - self.start, 1)
        partial = self.options.out / "gpu.json.partial"
        partial.write_text(json.dumps(self.record, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.options.out / "gpu.json")
        how = "no time was left" if code is None else f"exit code {code}, {result['seconds']} s"
        self.say(f"== {step.name}: {how} {json.dumps(result.get('ratios', {}))}")

    def say(self, line: str) -> None:
        """Print a line, also into the log."""
        for file in (sys.stdout, self.log):
            print(line, file=file, flush=True)


def _unpack_missing(wheels: Path, site: Path) -> Iterator[Path]:
    """Unpack the wheels of what this machine lacks; to import it, no more is needed."""
    for wheel in sorted(wheels.glob("*.whl")):
        try:
            metadata.version(wheel.name.split("-")[0])
        except metadata.PackageNotFoundError:
            with ZipFile(wheel) as archive:
                archive.extractall(site)  # noqa: S202 - what we collected
            yield wheel


def _describe_project(project: Path, site: Path) -> None:
    """Write the metadata that an installation leaves: the version, and the entry points."""
    described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = described["name"], described["version"]
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
    groups = {"console_scripts": described.get("scripts", {}), **described.get("entry-points", {})}
    text = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for group, points in groups.items()
    )
    (folder / "entry_points.txt").write_text(text, encoding="utf-8")


def _machine() -> dict[str, object]:
    """Say what this machine is."""
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit"
    return {
        "system": platform.platform(),
        "processor": models[0] if models else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "gpu": _output("nvidia-smi", query, "--format=csv,noheader"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in NAMED_VERSIONS},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    """Give what a program prints; None if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or None


def _archive(out: Path) -> None:
    """Pack the results of the runs into one file, without weights and checkpoints."""
    with tarfile.open(out / "results.tar.gz", "w:gz") as archive:
        for path in sorted((out / "runs").rglob("*")):
            if path.is_file() and path.stat().st_size <= LARGEST_FILE:
                archive.add(path, path.relative_to(out))


if __name__ == "__main__":
    main()
