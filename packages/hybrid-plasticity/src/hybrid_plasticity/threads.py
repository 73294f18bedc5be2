"""Threads that share out networks and their streams."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

from sharpwave_shared.compiled import workers

Item = TypeVar("Item")
Given = TypeVar("Given")
_in_parallel: ContextVar[Callable | None] = ContextVar("_in_parallel", default=None)


@contextmanager
def threads() -> Iterator[None]:
    """Let networks and their streams have torch's threads while the block runs.

    The operations of a network are too small to be shared out themselves.
    """
    count = torch.get_num_threads()
    with workers(count) as in_parallel:
        token = _in_parallel.set(in_parallel if count > 1 else None)
        try:
            yield
        finally:
            _in_parallel.reset(token)


def in_threads(work: Callable[[Item], Given], items: Sequence[Item]) -> list[Given]:
    """Work on items in the threads of `threads`, if there are any; give the results in order.

    What an item starts in turn stays in its thread.
    """
    in_parallel = _in_parallel.get()
    if in_parallel is None or len(items) == 1:
        return [work(item) for item in items]
    return in_parallel(work, items)
