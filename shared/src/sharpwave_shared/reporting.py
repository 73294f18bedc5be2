"""What a command tells its user while it works: lines, warnings and progress."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sharpwave_shared.errors import in_python

PLAIN_INTERVAL = 5.0
"""Seconds between progress lines when the output is not a terminal."""


class Reporter:
    """Prints lines, warnings and progress bars, and keeps a copy of the lines for the log.

    Progress and warnings go to standard error, results to standard output.

    Parameters
    ----------
    quiet
        Print warnings, errors and results only.
    verbose
        Print details as well.
    spelled
        How lines spell a parameter that is set: `force` as `force=True`, or as an option.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        spelled: Callable[[str], str] = in_python,
    ):
        self.quiet, self.verbose, self.spelled = quiet, verbose, spelled
        self.warnings: list[str] = []
        self.lines: list[str] = []
        self._logs: list[TextIO] = []
        self.out = Console(soft_wrap=True, highlight=False, emoji=False)
        self.err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

    @contextmanager
    def log_to(self, stream: TextIO) -> Iterator[None]:
        """Copy all lines, those told before included, to a log file while the block runs.

        Blocks may be nested: a run that consists of runs logs their lines, too.
        """
        for line in self.lines:
            stream.write(line + "\n")
        stream.flush()
        self._logs.append(stream)
        try:
            yield
        finally:
            self._logs.remove(stream)

    @contextmanager
    def part(self) -> Iterator[None]:
        """Forget at the block's end what was told in it: it concerns one of several parts only."""
        lines, warnings = len(self.lines), len(self.warnings)
        try:
            yield
        finally:
            del self.lines[lines:], self.warnings[warnings:]

    @contextmanager
    def show_log(self, name: str) -> Iterator[None]:
        """Tell what a logger logs (the start of a download, say) while the block runs."""
        logger = logging.getLogger(name)
        level, handler = logger.level, _LogLines(self)
        logger.setLevel(logging.ERROR if self.quiet else logging.INFO)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def say(self, message: str) -> None:
        """Tell a step of the work."""
        self._record(message)
        if not self.quiet:
            self.err.print(message, markup=False)

    def detail(self, message: str) -> None:
        """Tell what only `--verbose` shows (the log has it always)."""
        self._record(message)
        if self.verbose:
            self.err.print(message, markup=False, style="dim")

    def warn(self, message: str) -> None:
        """Tell something that the user must not miss; `run.json` keeps it too."""
        self._record(f"warning: {message}")
        self.warnings.append(message)
        self.err.print(f"warning: {message}", markup=False, style="yellow")

    def _record(self, line: str) -> None:
        stamped = f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}"
        self.lines.append(stamped)
        for log in self._logs:
            log.write(stamped + "\n")
            log.flush()

    @contextmanager
    def progress(
        self, description: str, total: int, completed: int = 0
    ) -> Iterator[Callable[[int], None]]:
        """Show progress with rate and time left; the block calls what it gets to advance.

        On a terminal a bar; elsewhere a plain line now and then.
        """
        if self.quiet:
            yield lambda count: None
        elif self.err.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                _RateColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self.err) as bar:
                task = bar.add_task(description, total=total, completed=completed)
                yield lambda count: bar.advance(task, count)
        else:
            yield _PlainProgress(description, total, completed)


class _LogLines(logging.Handler):
    def __init__(self, reporter: Reporter):
        super().__init__()
        self.reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self.reporter.say(record.getMessage())


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "-/s")


class _PlainProgress:
    """Progress as occasional lines, for logs and pipes."""

    def __init__(self, description: str, total: int, completed: int):
        self.description, self.total, self.done = description, total, completed
        self.first = completed
        self.start = self.shown = time.monotonic()

    def __call__(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.shown < PLAIN_INTERVAL and self.done < self.total:
            return
        self.shown = now
        rate = (self.done - self.first) / max(now - self.start, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        print(
            f"{self.description}: {self.done}/{self.total}, {rate:.1f}/s, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
