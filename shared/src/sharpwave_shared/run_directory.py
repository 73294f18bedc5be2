"""Run directories: what a run is, its files, and how it is opened, gone on with, and closed."""

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from sharpwave_shared.errors import ExistingRunError, InvalidInputError, SharpwaveError, show
from sharpwave_shared.files import (
    TEMPORARY_PREFIX,
    json_values,
    read_json,
    remove_partial_files,
    sha256,
    write_json,
)
from sharpwave_shared.journal import CHECKPOINTS, Journal
from sharpwave_shared.paths import is_special
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.signals import RESUMABLE, as_interrupts

RECORD, RESULTS, MEASURES, CLAIMS, LOG = (
    "run.json",
    "results.nc",
    "metrics.csv",
    "claims.json",
    "log.txt",
)
FIGURES, CELLS = "figures", "cells"
"""Folders of figures, and of the runs that a run consists of."""


class Record(BaseModel):
    """What `run.json` says of a run."""

    model_config = ConfigDict(extra="forbid")

    package: str
    version: str
    experiment: str
    parameters: dict[str, Any]
    sweep: dict[str, list[Any]] | None = None
    seed: int = 0
    seeds: list[int]
    quick: bool = False
    identity: dict[str, Any]
    command_line: list[str] = []
    device: str = ""
    threads: int | None = None
    libraries: dict[str, str] = {}
    dataset: dict[str, Any] | None = None
    checksums: dict[str, str] = {}
    started: str = ""
    resumed: list[str] = []
    ended: str | None = None
    status: Literal["running", "finished", "failed", "interrupted", "discarded"] = "running"
    error: str | None = None
    wall_time_s: float = 0.0
    warnings: list[str] = []


def read_record(directory: Path) -> Record:
    """Read a run's record.

    Raises
    ------
    SharpwaveError
        If the directory has none, or it is not one.
    """
    content = read_json(directory / RECORD)
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise SharpwaveError(
            f"{directory / RECORD} is not the record of a run: {where}: {first['msg'].lower()}"
        ) from None


class RunDirectory:
    """An open run directory; obtained from `open_directory`."""

    def __init__(self, path: Path, record: Record, reporter: Reporter):
        self.path, self.record, self.reporter = path, record, reporter
        self.journal = Journal(
            reporter, path, lambda: self.write_record("running"), self.require_there
        )
        self._inode = path.stat().st_ino
        self._start = time.monotonic()
        self._time_before = record.wall_time_s

    def require_there(self) -> None:
        """Check that the directory is still the one that was opened.

        Raises
        ------
        SharpwaveError
            If it was removed, or replaced by another.
        """
        if not self.path.exists() or self.path.stat().st_ino != self._inode:
            raise SharpwaveError(f"{self.path} was removed while the run went on")

    def write_record(self, status: str, **more: Any) -> None:
        """Write `run.json`."""
        self.require_there()
        warnings = [*self.record.warnings, *self.reporter.warnings]
        changed = {
            "status": status,
            "wall_time_s": round(self._time_before + time.monotonic() - self._start, 3),
            "warnings": list(dict.fromkeys(warnings)),
        }
        self.record = self.record.model_copy(update=changed | more)
        write_json(self.path / RECORD, self.record.model_dump(mode="json"))


@contextmanager
def open_directory(
    path: Path,
    record: Record,
    reporter: Reporter,
    *,
    resume: bool = False,
    force: bool = False,
    extend: bool = False,
    keep: bool = False,
) -> Iterator[RunDirectory | None]:
    """Open the directory of a run, and close it whatever happens.

    While the block runs, `run.json` says `running`; afterwards `finished`, `interrupted` (Ctrl-C,
    SIGTERM or SIGHUP) or `failed` (any other exception). A process that is killed leaves `running`
    behind, and the directory can be resumed.

    Parameters
    ----------
    path
        Created if needed. A directory that holds anything but a run is refused.
    record
        What the run is; what identifies it must agree with a run that lies there.
    reporter
        Receives messages; its lines go to `log.txt`.
    resume
        Go on with a run that did not finish, from its checkpoints.
    force
        Discard what an earlier run left, and run again. Removed are the files that runs write, and
        no others.
    extend
        With `resume`, go on with a finished run too.
    keep
        Keep the checkpoints of the finished run, so that it can be extended.

    Yields
    ------
    RunDirectory or None
        None if the directory holds the finished run already, and it is not to be extended.

    Raises
    ------
    InvalidInputError
        If the directory cannot be written, is in use by another process, holds something else, or
        holds a run of another configuration (without `force`).
    """
    _make_writable(path)
    _refuse_foreign(path)
    refuse_links(path)
    try:
        lock = FileLock(path / ".lock").acquire(blocking=False)
    except Timeout:
        raise InvalidInputError(f"{path}: another process is running there") from None
    with lock, as_interrupts():
        remove_partial_files(path)
        found = _find_record(path, record, resume=resume, force=force)
        if found is not None and found.status == "finished" and not (resume and extend):
            yield None
            return
        if found is None:
            found = record.model_copy(update={"started": _now(), "command_line": list(sys.argv)})
        else:
            found.resumed.append(_now())
            if None not in (found.threads, record.threads) and found.threads != record.threads:
                reporter.warn(
                    f"begun with {found.threads} threads, goes on with {record.threads}: sums are "
                    "rounded in another order, so that numbers may differ from those of a run in "
                    "one go (OMP_NUM_THREADS sets how many there are)"
                )
        run = RunDirectory(path, found, reporter)
        yield from _supervise(run, record.parameters, keep=keep)


def _supervise(
    run: RunDirectory, parameters: dict[str, Any], *, keep: bool
) -> Iterator[RunDirectory]:
    try:
        # Before any other file, so that a kill at any moment leaves a directory that is a run.
        run.write_record("running", ended=None, error=None, parameters=parameters)
        # Names of files may be no text.
        log = (run.path / LOG).open("a", encoding="utf-8", errors="backslashreplace")
        with log, run.reporter.log_to(log):
            try:
                yield run
            except KeyboardInterrupt:
                run.reporter.detail("interrupted")
                raise
            except BaseException as error:
                run.reporter.detail(f"failed: {type(error).__name__}: {error}")
                raise
    except KeyboardInterrupt as error:
        run.write_record("interrupted", ended=_now())
        if any((run.path / folder).is_dir() for folder in (CHECKPOINTS, CELLS)):
            error.add_note(RESUMABLE)
        raise
    except BaseException as error:
        with suppress(OSError, SharpwaveError):  # nothing may hide what went wrong
            run.write_record("failed", ended=_now(), error=f"{type(error).__name__}: {error}")
        raise
    run.write_record("finished", ended=_now(), checksums=_checksums(run.path))
    if not keep:
        run.journal.forget()


def _checksums(path: Path) -> dict[str, str]:
    """Give the SHA-256 of the results and of the weights beside them."""
    files = [path / RESULTS, *sorted(path.glob("*.safetensors"))]
    return {file.name: sha256(file) for file in files if file.is_file()}


def refuse_links(path: Path) -> None:
    """Refuse a run directory that holds links, pipes or devices.

    What is written there must lie there; to write into a pipe could take for ever.

    Raises
    ------
    InvalidInputError
        Naming the link, pipe or device.
    """
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if (found := Path(folder, name)).is_symlink():
                raise InvalidInputError(f"{found}: a link; a run directory must hold none")
            if is_special(found):
                raise InvalidInputError(f"{found}: no regular file; a run directory must hold none")


def _make_writable(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be created ({error.strerror})") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise InvalidInputError(f"{path}: must be readable and writable")


def _refuse_foreign(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()}
    others = {name for name in names - {".lock"} if not name.startswith(TEMPORARY_PREFIX)}
    if others and RECORD not in others:
        raise InvalidInputError(
            f"{path}: holds files that are not a run; choose an empty directory"
        )


def _find_record(path: Path, wanted: Record, *, resume: bool, force: bool) -> Record | None:
    """Give the record of the run to go on with, or None for a new run in a cleared directory."""
    if not (path / RECORD).exists():
        return None
    record = read_record(path)
    if force:
        _clear(path, wanted)
        return None
    difference = _difference(record.identity, wanted.identity)
    if difference:
        raise ExistingRunError(
            f"{path}: holds a run of another configuration ({difference})", force="discards it"
        )
    if record.status != "finished" and not resume:
        raise ExistingRunError(
            f"{path}: holds this run, not finished ({record.status})",
            resume="goes on with it",
            force="starts again",
        )
    if record.status == "discarded":  # to be cleared, which was cut off: checkpoints may be left
        _clear(path, wanted)
        return None
    return record


def _clear(path: Path, record: Record) -> None:
    # The new record replaces this one. A kill before that must not leave a "finished" run.
    discarded = record.model_copy(update={"status": "discarded"})
    write_json(path / RECORD, discarded.model_dump(mode="json"))
    for name in (RESULTS, MEASURES, CLAIMS, LOG):
        (path / name).unlink(missing_ok=True)
    for pattern in ("*.safetensors", "*.pdf", "*.wav"):
        for file in path.glob(pattern):
            file.unlink()
    for folder in (FIGURES, CELLS, CHECKPOINTS):
        if (path / folder).exists():
            shutil.rmtree(path / folder)


def _difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the settings in which two identities differ."""
    stored, wanted = _flat(stored), _flat(wanted)
    return ", ".join(
        f"{key}: {show(stored.get(key, 'absent'))} there, {show(wanted.get(key, 'absent'))} here"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key) != wanted.get(key)
    )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in json_values(values).items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": part for inner, part in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def libraries() -> dict[str, str]:
    """Give the versions of what numbers depend on."""
    import torch  # takes seconds, which no reading of records needs

    names = ("numpy", "sharpwave-shared")
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,  # with the build, cpu or cu132, which metadata leave out
        **{name: importlib.metadata.version(name) for name in names},
    }
