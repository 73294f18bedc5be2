"""What the tests of several packages share: commands that run here, or are killed elsewhere."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sharpwave_shared.runs import Journal


class KilledError(Exception):
    """Stands for a kill signal."""


class MemoryJournal(Journal):
    """Keeps everything in memory, with a checkpoint after every step.

    It is killed right after the `lives`-th checkpoint, or when a checkpoint is to be dropped.
    """

    def __init__(self, lives: int = -1, *, killed_at_drop: bool = False):
        super().__init__()
        self.lives, self.killed_at_drop, self.saved = lives, killed_at_drop, 0
        self.checkpoint: tuple[dict[str, Tensor], dict[str, str]] | None = None
        self.tensors: dict[str, dict[str, Tensor]] = {}

    def checkpoint_due(self) -> bool:  # noqa: D102
        return True

    def save_checkpoint(self, tensors: Mapping[str, Tensor], **progress: int | str) -> None:  # noqa: D102
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self.checkpoint = copies, {name: str(value) for name, value in progress.items()}
        self.saved += 1
        if self.saved == self.lives:
            raise KilledError

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:  # noqa: D102
        if self.checkpoint is None:
            return None
        tensors, progress = self.checkpoint
        return {name: tensor.clone() for name, tensor in tensors.items()}, progress

    def drop_checkpoint(self) -> None:  # noqa: D102
        if self.killed_at_drop:
            self.killed_at_drop = False
            raise KilledError
        self.checkpoint = None

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:  # noqa: D102
        self.tensors[name] = {k: tensor.detach().clone() for k, tensor in tensors.items()}

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:  # noqa: D102
        return self.tensors.get(name)


def invoke(app: Callable[..., Any], shown: Any, *arguments: object) -> tuple[int, str, str]:
    """Run a command line in this process; give its exit code, output and error output.

    `shown` is pytest's `capsys`.
    """
    shown.readouterr()
    try:
        app([str(argument) for argument in arguments])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    out, err = shown.readouterr()
    return code, out, err


def kill_at_work(package: str, arguments: list[object], marker: Path) -> None:
    """Run a command as a process of its own, and kill it (SIGKILL) soon after a file appears.

    It writes a checkpoint whenever it can.

    Parameters
    ----------
    package
        Import name of the package whose command it is.
    arguments
        Of the command.
    marker
        The file.
    """
    program = (
        "import sharpwave_shared.runs as runs; runs.CHECKPOINT_INTERVAL = 0.0; "
        f"from {package}.cli import main; main()"
    )
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 120
    while not marker.exists() and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
