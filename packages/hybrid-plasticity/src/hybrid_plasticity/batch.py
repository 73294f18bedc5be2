"""The report's configurations, trained by local or cluster workers and compared."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from hybrid_plasticity.curriculum import Limits, Training
from hybrid_plasticity.experiments import PACKAGE, Result, train_runs, train_spec
from hybrid_plasticity.figures import draw
from hybrid_plasticity.folders import run_directory
from hybrid_plasticity.model import Configuration, short_name
from sharpwave_shared.compiled import processors
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.runs import open_run, read_run

CLUSTERS = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
"""Classes of dask_jobqueue."""


def _sized(unit: int) -> list[Configuration]:
    one, two = (2 * unit,), (unit, unit)
    wirings = [
        ("Nonl_RO", (2 * unit, 2 * unit), ("M",)),
        ("Nonl_RO", (2 * unit, 2 * unit), ("A",)),
        ("Memo", one, ("M",)),
        ("Memo", one, ("A",)),
        ("Memo", two, ("M", "A")),
        ("Memo", two, ("M", "M")),
        ("Dyn_RO", two, ("M", "A")),
        ("Dyn_RO", two, ("M", "M")),
        ("Stack", two, ("M", "A")),
    ]
    return [Configuration(kind, dims, (1,) * len(types), types) for kind, dims, types in wirings]


CONFIGURATIONS = (*_sized(50), *_sized(25))
"""The 18 configurations of the report: nine, and the same at half the size."""


@dataclass(frozen=True)
class Job:
    """What every configuration of a batch has in common.

    Attributes
    ----------
    root
        Folder of the results.
    seeds, training, limits
        Seeds of every configuration, how they learn and how long.
    device, quick, formats
        As for a single run.
    force
        Train again what is there already.
    threads
        Threads of a worker; None: as many as torch takes.
    """

    root: Path
    seeds: tuple[int, ...]
    training: Training
    limits: Limits
    device: str = "cpu"
    quick: bool = False
    formats: tuple[str, ...] = ("png",)
    force: bool = False
    threads: int | None = None


def groups(configurations: Sequence[Configuration]) -> list[list[Configuration]]:
    """Put configurations together that are trained as one batch."""
    found: dict[tuple, list[Configuration]] = {}
    for configuration in configurations:
        found.setdefault(configuration.batch_key, []).append(configuration)
    return list(found.values())


def train_group(job: Job, configurations: Sequence[Configuration]) -> list[str]:
    """Train configurations as one batch, each into its run directory; skip those that are done.

    Unfinished runs are gone on with. Give the names of the configurations that were trained.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    with ExitStack() as stack:
        runs, left = [], []
        for configuration in configurations:
            directory = run_directory(job.root, configuration)
            run = stack.enter_context(
                open_run(
                    directory,
                    train_spec(configuration, job.training, job.seeds, device, quick=job.quick),
                    Reporter(quiet=True),
                    resume=True,
                    force=job.force,
                    extend=_wants_more(directory, job.limits),
                )
            )
            if run is not None:
                runs.append(run)
                left.append(configuration)
        if not left:
            return []
        results = train_runs(left, runs, job.seeds, job.training, job.limits, device)
        for run, result in zip(runs, results, strict=True):
            run.save_results(*result)
            draw(run.stored(), job.formats)
    return [configuration.name for configuration in left]


def _wants_more(directory: Path, limits: Limits) -> bool:
    """Tell whether a finished run ended before these limits."""
    try:
        networks = read_run(directory, PACKAGE).metrics["networks"]
    except InvalidInputError:
        return False
    return any(
        len(network["mastered"]) < limits.max_r and network["iterations"] < limits.most_iterations
        for network in networks
    )


@contextmanager
def open_workers(count: int, cluster: str | None) -> Iterator[Executor | None]:
    """Give what runs jobs: processes here or on a cluster; None for one worker, this process.

    Raises
    ------
    InvalidInputError
        If the cluster is unknown, or the packages that it needs are not installed.
    """
    if count < 1:
        raise InvalidInputError(f"--workers {count}: must be at least 1")
    if cluster is None and count == 1:
        yield None
    elif cluster is None:
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            yield pool
    elif cluster not in CLUSTERS:
        raise InvalidInputError(
            f"--cluster {cluster}: must be one that dask-jobqueue knows: {', '.join(CLUSTERS)}"
        )
    else:
        try:
            jobqueue = importlib.import_module("dask_jobqueue")
            client_class = importlib.import_module("distributed").Client
        except ImportError:
            raise InvalidInputError(
                f"--cluster {cluster}: needs the packages of hybrid-plasticity[cluster]"
            ) from None
        with getattr(jobqueue, CLUSTERS[cluster])() as queue, client_class(queue) as client:
            queue.scale(jobs=count)
            yield client.get_executor(pure=False)


def train_all(
    job: Job,
    configurations: Sequence[Configuration],
    workers: int,
    cluster: str | None,
    reporter: Reporter,
) -> None:
    """Train configurations with workers, those of equal shape as one batch."""
    if workers > 1 and cluster is None:
        job = replace(job, threads=max(1, processors() // workers))
    together = groups(configurations)
    with (
        open_workers(workers, cluster) as pool,
        reporter.progress("configurations", len(configurations)) as advance,
    ):
        jobs = [job] * len(together)
        done = (map if pool is None else pool.map)(train_group, jobs, together)
        for group, trained in zip(together, done, strict=True):
            for configuration in group:
                word = "trained" if configuration.name in trained else "finished already"
                reporter.say(f"{configuration.name}: {word}")
            advance(len(group))


def compare(job: Job, configurations: Sequence[Configuration]) -> Result:
    """Put side by side what the runs of configurations mastered within the budget."""
    entries: list[dict[str, Any]] = []
    for configuration in configurations:
        run = read_run(run_directory(job.root, configuration), PACKAGE)
        mastered = []
        for network in run.metrics["networks"]:
            taken = np.array(network["mastered"], int)
            mastered.append(taken[taken.cumsum() <= job.limits.most_iterations].tolist())
        entries.append(
            {
                "name": configuration.name,
                "network_type": configuration.network_type,
                "hidden_dims": configuration.hidden_dims,
                "plastic_types": configuration.plastic_types,
                "parameters": configuration.parameter_count,
                "seeds": run.record["seeds"],
                "mastered": mastered,
            }
        )
    return Result({"budget": job.limits.most_iterations, "configurations": entries}, {})


def comparison_table(metrics: Mapping[str, Any]) -> Table:
    """Show what `compare` found: of each configuration the size, the largest R, and its pace.

    The pace is the iterations that mastering each R took: the median over the seeds that did, and
    their number where not all did.
    """
    entries = metrics["configurations"]
    most = max((len(taken) for entry in entries for taken in entry["mastered"]), default=0)
    table = Table(title=f"Mastered within {metrics['budget']:,} iterations")
    table.add_column("network", no_wrap=True)
    for heading in ("parameters", "largest R", *(f"R = {R}" for R in range(1, most + 1))):
        table.add_column(heading, justify="right")
    for entry in entries:
        largest = [len(taken) for taken in entry["mastered"]]
        cells = [f"{entry['parameters']:,}", f"{np.median(largest):g}"]
        if min(largest) < max(largest):
            cells[-1] += f" ({min(largest)}-{max(largest)})"
        for R in range(most):
            taken = [mastered[R] for mastered in entry["mastered"] if len(mastered) > R]
            cells.append(f"{np.median(taken):,.0f}" if taken else "-")
            if 0 < len(taken) < len(largest):
                cells[-1] += f" [{len(taken)}]"
        table.add_row(*map(Text, (short_name(entry), *cells)))
    return table
