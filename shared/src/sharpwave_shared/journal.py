"""Progress and checkpoints of a computation: what it takes to go on after a kill, in one place.

    def compute(journal):
        network = journal.once("train", train)                 # kept when it is done

    def train(part):
        learner = Learner()                                # has state_dict and load_state_dict
        for step in part.steps("training", 1000, learner): # goes on where it was cut off
            learner.step(step)
        return learner.state_dict()

What is kept are *trees*: dictionaries, lists and tuples of tensors, arrays, numbers, texts, and
datasets (see `files.write_tree`).
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.paths import PathLike, as_path
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.stateful import Stateful

CHECKPOINT_INTERVAL = 10.0
"""Seconds of work, at most, that a kill may cost between two points where a run can stop."""
CHECKPOINTS = "checkpoints"
NEXT = "+next"
"""Ends the name of a loop's state until those of all runs of its batch are written."""
T = TypeVar("T")


class Journal:
    """Where a computation shows its progress and keeps what is done.

    Parameters
    ----------
    reporter
        Shows progress. Default: nothing is shown.
    folder
        Of the run; what is kept lies in its folder `checkpoints`. None: nothing is kept, which is
        for calls from Python.
    saved
        Called after every file that was written.
    saving
        Called before a file is written.
    """

    def __init__(
        self,
        reporter: Reporter | None = None,
        folder: PathLike | None = None,
        saved: Callable[[], None] = lambda: None,
        saving: Callable[[], None] = lambda: None,
    ):
        self.reporter = reporter or Reporter(quiet=True)
        self.folder = None if folder is None else as_path("folder", folder) / CHECKPOINTS
        self._saved, self._saving = saved, saving
        self._prefix = ""
        self._clock = _Clock()
        self._names: set[str] = set()

    def steps(self, what: str, total: int, keep: Stateful, *, weight: int = 1) -> Iterator[int]:
        """Count the steps of a loop from where it was cut off, 0 to `total` - 1.

        Before the first step, what had been kept is restored; after a step, now and then, and at
        the end, it is kept.

        Parameters
        ----------
        what
            What the loop does, in a few words, for the progress bar. No two loops of the same part
            of the work may share them.
        total
            The number of steps. The loop may end early.
        keep
            All that the steps change.
        weight
            What a step counts for in the progress.
        """
        yield from together([self], what, total, [keep], weight=weight)

    def once(self, name: str, compute: Callable[["Journal"], T]) -> T:
        """Do a part of the work, unless its result, a tree, is kept from before.

        Parameters
        ----------
        name
            Of the part; unique within the work, or the part, that this journal is for.
        compute
            Does it; is given a journal for the part, whose checkpoints go when the part is done.
        """
        self._claim(name)
        if self.folder is not None and self._path(name).exists():
            return self.load(name)
        part = self.part(name)
        result = compute(part)
        self.save(name, result)
        part.forget()
        return result

    def part(self, name: str) -> "Journal":
        """Give a journal for a part of the work, with the same clock and names of its own."""
        part = Journal(self.reporter, None, self._saved, self._saving)
        part.folder, part._prefix = self.folder, f"{self._file(name)}."
        part._clock, part._names = self._clock, self._names
        return part

    def position(self, what: str) -> int:
        """Tell at which step the loop of `steps` would go on."""
        kept = self.load(what)
        return 0 if kept is None else int(kept["step"])

    def due(self) -> bool:
        """Tell whether it is time to keep what is done."""
        return (
            self.folder is not None and time.monotonic() - self._clock.kept >= CHECKPOINT_INTERVAL
        )

    def save(self, name: str, tree: Any) -> None:
        """Keep a tree under a name."""
        if self.folder is not None:
            from sharpwave_shared.files import write_tree  # imports torch

            self._saving()
            write_tree(self._path(name), tree)
            self._saved()
        self._clock.kept = time.monotonic()

    def load(self, name: str) -> Any:
        """Read the tree kept under a name, or give None."""
        if self.folder is None:
            return None
        from sharpwave_shared.files import read_tree

        path = self._path(name)
        return read_tree(path) if path.exists() else None

    def forget(self) -> None:
        """Remove what is kept in this journal: of the whole run, or of the part it is for."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.glob(f"{self._prefix}*.safetensors"):
                path.unlink()
            if not self._prefix and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _claim(self, name: str) -> None:
        """Refuse a second loop or part of the same name: it would take the first one's for its."""
        if self._file(name) in self._names:
            raise ValueError(f"two loops or parts of the same work are called {name!r}")
        self._names.add(self._file(name))

    def _kept(self, what: str) -> dict[int, Any]:
        """Give the states of a loop that are kept, by the number of steps done."""
        kept = [self.load(what), self.load(what + NEXT)]
        return {int(tree["step"]): tree["state"] for tree in kept if tree is not None}

    def _replace(self, what: str) -> None:
        """Let the state of a loop that was written last replace the one before."""
        if self.folder is not None:
            self._path(what + NEXT).replace(self._path(what))

    def _path(self, name: str) -> Path:
        assert self.folder is not None  # noqa: S101 - callers have looked
        return self.folder / f"{self._file(name)}.safetensors"

    def _file(self, name: str) -> str:
        """Give the name of a file, without its suffix."""
        return self._prefix + re.sub(r"[^A-Za-z0-9,=+-]+", "_", name.strip())


class _Clock:
    """The moment up to which nothing would be lost."""

    def __init__(self) -> None:
        self.kept = time.monotonic()


def together(
    journals: Sequence[Journal],
    what: str,
    total: int,
    keeps: Sequence[Stateful],
    *,
    weight: int = 1,
) -> Iterator[int]:
    """Do what `Journal.steps` does for several runs that take their steps as one batch.

    They go on from the last step of which all have kept their states.

    Raises
    ------
    SharpwaveError
        If they have gone further than `total`, or what is kept has another form than what the loop
        begins with.
    """
    for journal in journals:
        journal._claim(what)
    kept = [journal._kept(what) for journal in journals]
    first = max(set.intersection(*({0, *states} for states in kept)))
    if first > total:
        raise SharpwaveError(f"{what}: {first} steps are done already, more than {total}")
    if first > 0:
        from sharpwave_shared.files import require_form

        for journal, states, keep in zip(journals, kept, keeps, strict=True):
            require_form(states[first], keep.state_dict(), f"{journal._path(what)}: state")
            keep.load_state_dict(states[first])

    def save(step: int) -> None:
        # Of a batch, all are written before the first replaces an older one: wherever a kill
        # comes, there is a step of which all states are there.
        name = what + NEXT if len(journals) > 1 else what
        for journal, keep in zip(journals, keeps, strict=True):
            if journal.folder is not None:
                journal.save(name, {"step": step, "state": dict(keep.state_dict())})
        if len(journals) > 1:
            for journal in journals:
                journal._replace(what)

    saved = first
    with journals[0].reporter.progress(what, total * weight, first * weight) as show:
        for step in range(first, total):
            yield step
            show(weight)
            if any(journal.due() for journal in journals):
                save(step + 1)
                saved = step + 1
    if saved < total:
        save(total)
