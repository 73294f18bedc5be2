"""Loops compiled for the CPU, and threads that run them side by side.

Packages that use it require numba themselves; the shared package does not.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numba
import torch


def jit(function: Callable, *, inline: bool = False) -> Callable:
    """Compile a function for the CPU when it is first called; it runs without Python's lock.

    Parameters
    ----------
    function
        A function of arrays and numbers.
    inline
        Compile it into the compiled functions that call it: what a call of a short function costs
        (counting references to every array) can exceed its work. Where it adds up numbers, there
        is another reason: a copy that is called may be another one, rounded otherwise, in a
        process that has loaded the caller from the cache than in the one that compiled it.
    """
    # Sums may be reordered (that is what vectorises them); NaN and infinity keep their meaning.
    fastmath = {"reassoc", "contract", "nsz", "arcp"}
    # What the tests' shape checks wrap around every function cannot be compiled.
    function = inspect.unwrap(function)
    return numba.njit(
        function,
        nogil=True,
        fastmath=fastmath,
        error_model="numpy",
        inline="always" if inline else "never",
        cache="NUMBA_CACHE_DIR" in os.environ,
    )


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4


@contextmanager
def workers(count: int) -> Iterator[Callable]:
    """Give a `map` that works in as many threads as there are processors, in order of results."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(
        min(count, processors()), initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        yield lambda function, items: list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
