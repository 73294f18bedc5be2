"""Run directories: what a run was, what came out, and how to go on after it was killed."""

import importlib.metadata
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from sharpwave_shared.data import DataRecord
from sharpwave_shared.devices import describe_device
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import (
    read_arrays,
    read_json,
    read_tensors,
    remove_partial_files,
    write_arrays,
    write_json,
    write_tensors,
)
from sharpwave_shared.reporting import Reporter

CHECKPOINT_INTERVAL = 10.0
"""Seconds of work, at most, that a kill may cost between two points where a run can stop."""


@dataclass(frozen=True)
class RunSpec:
    """What identifies a run: two runs with equal specifications end with the same numbers.

    Attributes
    ----------
    package
        Name of the package, `sleep-replay` say.
    experiment
        Name of the job within the package.
    config
        Every parameter on which the numbers depend (JSON values).
    seeds
        The seeds of the run.
    device
        The device that computes.
    data
        The data set, or None.
    quick
        Whether the job was scaled down by `--quick`.
    label
        The main parameters in a few words, for the name of the default directory.
    """

    package: str
    experiment: str
    config: Mapping[str, Any]
    seeds: list[int]
    device: torch.device
    data: DataRecord | None = None
    quick: bool = False
    label: str = "run"

    def identity(self) -> dict[str, Any]:
        """Collect what must agree for a run to be resumed, as JSON values."""
        return {
            "package": self.package,
            "version": importlib.metadata.version(self.package),
            "experiment": self.experiment,
            "config": dict(self.config),
            "seeds": self.seeds,
            "device": str(self.device),
            "dataset": None if self.data is None else self.data.checksum,
            "quick": self.quick,
        }


class Journal:
    """Where a computation shows its progress and keeps its checkpoints.

    This one shows and keeps nothing: it is for calls from Python. A command hands its `Run` over
    instead.
    """

    def __init__(self, reporter: Reporter | None = None):
        self.reporter = reporter or Reporter(quiet=True)
        self.record: dict[str, Any] = {}

    def checkpoint_due(self) -> bool:
        """Tell whether it is time to write a checkpoint."""
        return False

    def save_checkpoint(self, tensors: Mapping[str, Tensor], **progress: int | str) -> None:
        """Write all that is needed to go on, as one file: tensors, and where the work stands."""

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Read the checkpoint (tensors on the CPU), or give None if there is none."""
        return None

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint of a part of the work that is done."""

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors (weights) under a name."""

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:
        """Read the tensors kept under a name, or give None if there are none."""
        return None


class Run(Journal):
    """An open run directory; obtained from `open_run`."""

    def __init__(self, directory: Path, record: dict[str, Any], reporter: Reporter):
        super().__init__(reporter)
        self.directory, self.record = directory, record
        self._last_checkpoint = time.monotonic()

    def save_results(self, metrics: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write `arrays.npz` and `metrics.json`."""
        write_arrays(self.directory / "arrays.npz", **arrays)
        write_json(self.directory / "metrics.json", metrics)

    def stored(self) -> "StoredRun":
        """Read the results back, as `plot` and `verify` do."""
        return StoredRun(self.directory, self.record, read_json(self.directory / "metrics.json"))

    def checkpoint_due(self) -> bool:  # noqa: D102
        return time.monotonic() - self._last_checkpoint >= CHECKPOINT_INTERVAL

    def save_checkpoint(self, tensors: Mapping[str, Tensor], **progress: int | str) -> None:  # noqa: D102
        metadata = {key: str(value) for key, value in progress.items()}
        write_tensors(self._tensor_file("checkpoint"), tensors, metadata)
        self._last_checkpoint = time.monotonic()

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:  # noqa: D102
        path = self._tensor_file("checkpoint")
        return read_tensors(path) if path.exists() else None

    def drop_checkpoint(self) -> None:  # noqa: D102
        self._tensor_file("checkpoint").unlink(missing_ok=True)

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:  # noqa: D102
        write_tensors(self._tensor_file(name), tensors)
        self.write_record("running")

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:  # noqa: D102
        path = self._tensor_file(name)
        return read_tensors(path)[0] if path.exists() else None

    def _tensor_file(self, name: str) -> Path:
        return self.directory / f"{name}.safetensors"

    def write_record(self, status: str, **more: Any) -> None:
        """Write `run.json`."""
        self.record |= {"status": status, "warnings": self.reporter.warnings} | more
        write_json(self.directory / "run.json", self.record)


@contextmanager
def open_run(
    directory: Path,
    spec: RunSpec,
    reporter: Reporter,
    *,
    resume: bool = False,
    force: bool = False,
) -> Iterator[Run | None]:
    """Open a run directory for the job that `spec` describes, and close it whatever happens.

    While the block runs, `run.json` says `running`; afterwards `finished`, `interrupted` (Ctrl-C
    or SIGTERM) or `failed` (any other exception). A process that is killed leaves `running`
    behind, and the directory can be resumed.

    Parameters
    ----------
    directory
        Created if needed. A directory that holds anything but a run is refused.
    spec
        What the run is.
    reporter
        Receives messages; its lines go to `log.txt`.
    resume
        Go on with a run that did not finish, from its checkpoint.
    force
        Discard what an earlier run left in the directory, and run again.

    Yields
    ------
    Run or None
        None if the directory holds the finished run already: nothing is left to do.

    Raises
    ------
    InvalidInputError
        If the directory cannot be written, is in use by another process, holds something else, or
        holds a run of another configuration (without `force`).
    """
    _make_writable(directory)
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InvalidInputError(f"--out {directory}: another process is running there") from None
    with lock:
        record = _find_record(directory, spec, resume=resume, force=force)
        if record is not None and record["status"] == "finished":
            yield None
            return
        with (directory / "log.txt").open("a", encoding="utf-8") as log:
            reporter.attach_log(log)
            run = Run(directory, record or _new_record(spec), reporter)
            yield from _supervise(run, resumed=record is not None)
            reporter.log = None


def _supervise(run: Run, *, resumed: bool) -> Iterator[Run]:
    start = time.monotonic()
    before = run.record.get("wall_time_s") or 0.0

    def close(status: str, error: str | None = None) -> None:
        run.write_record(
            status,
            ended=_now(),
            wall_time_s=round(before + time.monotonic() - start, 3),
            error=error,
        )

    if resumed:
        run.record["resumed"] = [*run.record.get("resumed", []), _now()]
    run.write_record("running")
    try:
        with _terminate_as_interrupt():
            yield run
    except KeyboardInterrupt:
        close("interrupted")
        raise
    except BaseException as error:
        close("failed", f"{type(error).__name__}: {error}")
        raise
    run.drop_checkpoint()
    close("finished")


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which clusters send at a time limit, end a run as Ctrl-C does."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        previous = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, where signals cannot be handled
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _make_writable(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"--out {directory}: cannot be created ({error.strerror})"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InvalidInputError(f"--out {directory}: not writable")


def _find_record(
    directory: Path, spec: RunSpec, *, resume: bool, force: bool
) -> dict[str, Any] | None:
    """Give the record of the run to go on with, or None for a new run in a cleared directory."""
    remove_partial_files(directory)
    contents = {path.name for path in directory.iterdir()} - {".lock"}
    if not contents:
        return None
    if "run.json" not in contents:
        raise InvalidInputError(
            f"--out {directory}: holds files that are not a run; choose an empty directory"
        )
    if force:
        _clear(directory)
        return None
    record = read_json(directory / "run.json")
    difference = _difference(record.get("identity", {}), spec.identity())
    if difference:
        raise InvalidInputError(
            f"--out {directory}: holds a run of another configuration ({difference}); "
            "choose another directory, or --force to discard that run"
        )
    if record["status"] != "finished" and not resume:
        raise InvalidInputError(
            f"--out {directory}: holds this run, not finished ({record['status']}); "
            "--resume goes on with it, --force starts again"
        )
    return record


def _clear(directory: Path) -> None:
    for name in ("run.json", "metrics.json", "log.txt", "claims.json"):
        (directory / name).unlink(missing_ok=True)
    for pattern in ("*.npz", "*.safetensors", "*.pdf"):
        for path in directory.glob(pattern):
            path.unlink()
    shutil.rmtree(directory / "figures", ignore_errors=True)


def _difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the first few settings in which two identities differ."""
    stored, wanted = _flat(stored), _flat(wanted)
    return ", ".join(
        f"{key}: {stored.get(key, 'absent')} there, {wanted.get(key, 'absent')} here"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key) != wanted.get(key)
    )


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    flat = {**identity, **identity.get("config", {})}
    flat.pop("config", None)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in flat.items()}


def _new_record(spec: RunSpec) -> dict[str, Any]:
    return {
        "package": spec.package,
        "version": importlib.metadata.version(spec.package),
        "experiment": spec.experiment,
        "seeds": spec.seeds,
        "config": dict(spec.config),
        "quick": spec.quick,
        "command_line": sys.argv,
        "identity": spec.identity(),
        "device": f"{spec.device} ({describe_device(spec.device)})",
        "libraries": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "sharpwave-shared": importlib.metadata.version("sharpwave-shared"),
        },
        "dataset": None if spec.data is None else asdict(spec.data),
        "started": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class StoredRun:
    """A finished run, read back for `plot` and `verify`."""

    directory: Path
    record: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """The run's parameters."""
        return self.record["config"]

    @property
    def experiment(self) -> str:
        """Name of the job within the package."""
        return self.record["experiment"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Read `arrays.npz`."""
        return read_arrays(self.directory / "arrays.npz")


def read_run(directory: Path, package: str) -> StoredRun:
    """Read the finished run of a package.

    Raises
    ------
    InvalidInputError
        If the directory does not hold a finished run of this package.
    """
    if not (directory / "run.json").is_file():
        raise InvalidInputError(f"RUN_DIR {directory}: no run there (it has no run.json)")
    try:
        record = read_json(directory / "run.json")
        found, status = record["package"], record["status"]
    except (KeyError, TypeError) as error:
        raise SharpwaveError(f"{directory / 'run.json'} is not the record of a run") from error
    if found != package:
        raise InvalidInputError(f"RUN_DIR {directory}: a run of {found}, not of {package}")
    if status != "finished":
        raise InvalidInputError(
            f"RUN_DIR {directory}: the run did not finish (status {status}); "
            "start its command again with --resume"
        )
    return StoredRun(directory, record, read_json(directory / "metrics.json"))
