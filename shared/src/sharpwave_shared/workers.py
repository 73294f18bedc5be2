"""Working side by side: in processes of this machine, or in jobs of a cluster."""

import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError, reason
from sharpwave_shared.experiment import Options
from sharpwave_shared.reporting import Reporter

CLUSTERS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
    "moab": "MoabCluster",
}
"""Classes of dask_jobqueue."""
PATIENCE = 20
"""Seconds that an interrupted worker has to record its end."""
TRIES = 3
"""How often a part is given to workers that are lost (killed, out of memory) before it fails."""


def run_in_workers(
    work: Callable[[Any, Options, Reporter], Any],
    parts: Sequence[Any],
    options: Options,
    reporter: Reporter,
) -> list[Any]:
    """Let workers do parts of the work; tell of each when it is done or has failed.

    The part of a worker that is lost is done again, from its checkpoints.

    Parameters
    ----------
    work
        Does a part, `work(part, options, reporter)`; a function of a module.
    parts
        What is to be done; can be sent to another process.
    options
        Those of the command; `workers` and `cluster` say where.
    reporter
        Tells what happens.

    Returns
    -------
    list
        What `work` returned, in the order of the parts.

    Raises
    ------
    SharpwaveError
        If parts failed; all others are done first.
    """
    from sharpwave_shared.compiled import processors  # imports numba

    results: dict[int, Any] = {}
    inner = options.replaced(workers=1, cluster=None)
    threads = max(1, processors() // options.workers) if options.cluster is None else 0
    left, failures = list(range(len(parts))), {}
    with reporter.progress("parts", len(parts)) as show:
        for _ in range(TRIES):
            lost = []
            with open_workers(options) as pool:
                futures: dict[Future, int] = {
                    pool.submit(_do, work, parts[i], inner, threads): i for i in left
                }
                for future in as_completed(futures):
                    i = futures[future]
                    try:
                        results[i] = future.result()
                    except BrokenProcessPool:
                        lost.append(i)
                        continue
                    except InvalidInputError:
                        raise
                    except Exception as error:
                        if type(error).__name__ == "KilledWorker":  # dask's
                            lost.append(i)
                            continue
                        reporter.warn(f"part {i + 1} of {len(parts)} failed: {reason(error)}")
                        failures[i] = error
                    show(1)
            left = sorted(lost)
            if not left:
                break
            reporter.warn(f"a worker was lost; {len(left)} parts are done again")
            inner = inner.replaced(resume=True, force=False)
    for i in left:
        failures[i] = SharpwaveError(
            f"its worker was lost {TRIES} times (a script that starts workers does so below "
            "`if __name__ == '__main__':`)"
        )
    if failures:
        first = min(failures)
        raise SharpwaveError(
            f"{len(failures)} of {len(parts)} parts failed; "
            f"part {first + 1}: {reason(failures[first])}"
        )
    return [results[i] for i in range(len(parts))]


def _start_worker() -> None:
    """Leave it to the main process to tell workers, by SIGTERM, that they are to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)  # a fork has the main process's


def _do(
    work: Callable[[Any, Options, Reporter], Any], part: Any, options: Options, threads: int
) -> Any:
    if threads:
        torch.set_num_threads(threads)
    try:
        return work(part, options, Reporter(quiet=True))
    except KeyboardInterrupt:  # which the run has recorded
        if threads:
            os._exit(130)  # to raise it would let this worker begin the next part
        raise
    except SharpwaveError:
        raise
    except Exception as error:  # of others' classes, which may not travel between processes
        raise SharpwaveError(reason(error)) from error


def _end(processes: Collection[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():  # in a long computation that no signal can interrupt
            process.kill()


@contextmanager
def open_workers(options: Options) -> Iterator[Executor]:
    """Give what runs parts: processes here, or on a cluster.

    Raises
    ------
    InvalidInputError
        If the packages that a cluster needs are not installed, or its options cannot be used.
    """
    if options.cluster is None:
        context = multiprocessing.get_context("spawn")
        others = set(multiprocessing.active_children())
        with ProcessPoolExecutor(
            options.workers, mp_context=context, initializer=_start_worker
        ) as pool:
            try:
                yield pool
            except BaseException:
                # Do not wait for what they are at: they end as after Ctrl-C, and can be resumed.
                pool.shutdown(wait=False, cancel_futures=True)
                _end(set(multiprocessing.active_children()) - others)
                raise
        return
    try:
        distributed = importlib.import_module("distributed")
        jobqueue = importlib.import_module("dask_jobqueue")
    except ImportError:
        raise ParameterError(
            "cluster", options.cluster, "the extra 'cluster' to be installed (dask-jobqueue)"
        ) from None
    given = options.read_cluster_options()
    if options.cluster == "local":
        kind = distributed.LocalCluster
        given = {"n_workers": options.workers, "threads_per_worker": 1, **given}
    else:
        kind = getattr(jobqueue, CLUSTERS[options.cluster])
    try:
        queue = kind(**given)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"cluster {options.cluster}: {error}") from error
    # What lost workers did is done again by `run_in_workers`, which lets it go on.
    dask = importlib.import_module("dask")
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, queue, distributed.Client(queue) as client:
        if options.cluster != "local":
            queue.scale(jobs=options.workers)
        yield client.get_executor(pure=False)
