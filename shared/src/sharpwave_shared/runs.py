"""Run directories: what a run was, what came out, and how to go on after it was killed."""

import importlib.metadata
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
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
    TEMPORARY_PREFIX,
    json_values,
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
        identity = {
            "package": self.package,
            "version": importlib.metadata.version(self.package),
            "experiment": self.experiment,
            "config": dict(self.config),
            "seeds": self.seeds,
            "device": str(self.device),
            "dataset": None if self.data is None else self.data.checksum,
            "quick": self.quick,
        }
        return json_values(identity)


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

    def part(self, name: str) -> "Journal":
        """Give a journal, with checkpoints of its own, for a part of the work."""
        return self

    def once(
        self, name: str, compute: Callable[["Journal"], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Do a part of the work, unless its result is kept from before the run was cut off."""
        result = self.load_tensors(f"part-{name}")
        if result is None:
            part = self.part(name)
            result = compute(part)
            self.save_tensors(f"part-{name}", result)
            part.drop_checkpoint()
        return result


class Run(Journal):
    """An open run directory; obtained from `open_run`."""

    def __init__(self, directory: Path, record: dict[str, Any], reporter: Reporter):
        super().__init__(reporter)
        self.directory, self.record = directory, record
        self._checkpoint = self._tensor_file("checkpoint")
        self._last_checkpoint = self._start = time.monotonic()
        self._time_before = record.get("wall_time_s") or 0.0

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
        write_tensors(self._checkpoint, tensors, metadata)
        self.write_record("running")
        self._last_checkpoint = time.monotonic()

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:  # noqa: D102
        return read_tensors(self._checkpoint) if self._checkpoint.exists() else None

    def drop_checkpoint(self) -> None:  # noqa: D102
        self._checkpoint.unlink(missing_ok=True)

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:  # noqa: D102
        write_tensors(self._tensor_file(name), tensors)
        self.write_record("running")

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:  # noqa: D102
        path = self._tensor_file(name)
        return read_tensors(path)[0] if path.exists() else None

    def part(self, name: str) -> "Run":  # noqa: D102
        part = copy(self)
        part._checkpoint = self._tensor_file(f"part-{name}-checkpoint")
        part._last_checkpoint = time.monotonic()
        return part

    def drop_parts(self) -> None:
        """Remove what only a resumed run would need."""
        self.drop_checkpoint()
        for path in self.directory.glob("part-*.safetensors"):
            path.unlink()

    def _tensor_file(self, name: str) -> Path:
        return self.directory / f"{name}.safetensors"

    def write_record(self, status: str, **more: Any) -> None:
        """Write `run.json`."""
        warnings = [*self.record.get("warnings", []), *self.reporter.warnings]
        self.record |= {
            "status": status,
            "wall_time_s": round(self._time_before + time.monotonic() - self._start, 3),
            "warnings": list(dict.fromkeys(warnings)),
        } | more
        write_json(self.directory / "run.json", self.record)


@contextmanager
def open_run(
    directory: Path,
    spec: RunSpec,
    reporter: Reporter,
    *,
    resume: bool = False,
    force: bool = False,
    extend: bool = False,
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
        Discard what an earlier run left in the directory, and run again. Removed are the files
        that runs write (`*.npz`, `*.safetensors`, `*.pdf`, `*.wav`, `figures/` and so on), and no
        others.
    extend
        With `resume`, go on with a finished run too: for jobs whose length is not part of what
        identifies them.

    Yields
    ------
    Run or None
        None if the directory holds the finished run already, and it is not to be extended.

    Raises
    ------
    InvalidInputError
        If the directory cannot be written, is in use by another process, holds something else, or
        holds a run of another configuration (without `force`).
    """
    _make_writable(directory)
    _refuse_foreign(directory)
    try:
        lock = FileLock(directory / ".lock").acquire(blocking=False)
    except Timeout:
        raise InvalidInputError(f"--out {directory}: another process is running there") from None
    with lock:
        remove_partial_files(directory)
        record = _find_record(directory, spec, resume=resume, force=force)
        if record is not None and record["status"] == "finished" and not (resume and extend):
            yield None
            return
        run = Run(directory, record or _new_record(spec), reporter)
        if record is not None:
            run.record["resumed"] = [*run.record.get("resumed", []), _now()]
        # Before any other file, so that a kill at any moment leaves a directory that is a run.
        run.write_record("running", ended=None, error=None)
        with (directory / "log.txt").open("a", encoding="utf-8") as log, reporter.log_to(log):
            yield from _supervise(run)


def _supervise(run: Run) -> Iterator[Run]:
    try:
        with _terminate_as_interrupt():
            yield run
    except KeyboardInterrupt:
        run.reporter.detail("interrupted")
        run.write_record("interrupted", ended=_now())
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        run.reporter.detail(f"failed: {message}")
        run.write_record("failed", ended=_now(), error=message)
        raise
    run.write_record("finished", ended=_now())
    run.drop_parts()


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
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise InvalidInputError(f"--out {directory}: must be readable and writable")


def _refuse_foreign(directory: Path) -> None:
    names = {path.name for path in directory.iterdir()}
    others = {name for name in names - {".lock"} if not name.startswith(TEMPORARY_PREFIX)}
    if others and "run.json" not in others:
        raise InvalidInputError(
            f"--out {directory}: holds files that are not a run; choose an empty directory"
        )


def _find_record(
    directory: Path, spec: RunSpec, *, resume: bool, force: bool
) -> dict[str, Any] | None:
    """Give the record of the run to go on with, or None for a new run in a cleared directory."""
    if not (directory / "run.json").exists():
        return None
    record = _read_record(directory)
    if force:
        _clear(directory, record)
        return None
    difference = _difference(record["identity"], spec.identity())
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


def _read_record(directory: Path) -> dict[str, Any]:
    record = read_json(directory / "run.json")
    if not isinstance(record, dict) or not {"package", "status", "identity"} <= record.keys():
        raise SharpwaveError(f"{directory / 'run.json'} is not the record of a run")
    return record


def _clear(directory: Path, record: dict[str, Any]) -> None:
    # The new record replaces this one. A kill before that must not leave a "finished" run.
    write_json(directory / "run.json", record | {"status": "discarded"})
    for name in ("metrics.json", "log.txt", "claims.json"):
        (directory / name).unlink(missing_ok=True)
    for pattern in ("*.npz", "*.safetensors", "*.pdf", "*.wav"):
        for path in directory.glob(pattern):
            path.unlink()
    shutil.rmtree(directory / "figures", ignore_errors=True)


def _difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the settings in which two identities differ."""
    stored, wanted = _flat(stored), _flat(wanted)
    return ", ".join(
        f"{key}: {stored.get(key, 'absent')} there, {wanted.get(key, 'absent')} here"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key) != wanted.get(key)
    )


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    config = {f"config.{key}": value for key, value in identity.get("config", {}).items()}
    return {key: value for key, value in identity.items() if key != "config"} | config


def _new_record(spec: RunSpec) -> dict[str, Any]:
    return {
        "package": spec.package,
        "version": importlib.metadata.version(spec.package),
        "experiment": spec.experiment,
        "label": spec.label,
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
    record = _read_record(directory)
    found, status = record["package"], record["status"]
    if found != package:
        raise InvalidInputError(f"RUN_DIR {directory}: a run of {found}, not of {package}")
    if status != "finished":
        raise InvalidInputError(
            f"RUN_DIR {directory}: the run did not finish (status {status}); "
            "start its command again with --resume"
        )
    return StoredRun(directory, record, read_json(directory / "metrics.json"))
