"""What the tests of several packages share: a journal in memory that can be killed."""

from collections.abc import Mapping

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
