"""Running experiments: one or many, here or in workers, each into its run directory."""

import hashlib
import importlib.metadata
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import torch
import xarray as xr

from sharpwave_shared.claims import show_verdicts, verdict_values
from sharpwave_shared.devices import describe_device
from sharpwave_shared.environment import own_state
from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError, reason, show
from sharpwave_shared.experiment import Experiment, Job, Options, check_seeds
from sharpwave_shared.files import json_values, write_json
from sharpwave_shared.journal import Journal
from sharpwave_shared.parameters import all_fields, parse, plain, unknown
from sharpwave_shared.paths import PathLike
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.results import (
    Run,
    combine_runs,
    measures_of,
    open_run,
    unite_seeds,
    write_results,
)
from sharpwave_shared.run_directory import (
    CELLS,
    CLAIMS,
    FIGURES,
    RECORD,
    Record,
    libraries,
    open_directory,
    read_record,
)
from sharpwave_shared.workers import run_in_workers


@dataclass(frozen=True)
class Cell:
    """An experiment to be run.

    Attributes
    ----------
    experiment, seeds
        What is run, for which seeds.
    directory
        Where; None: where the experiment places it.
    draw
        Whether its figures are drawn.
    """

    experiment: Experiment
    seeds: tuple[int, ...]
    directory: Path | None = None
    draw: bool = True

    def __str__(self) -> str:
        return f"{self.experiment!r} with seeds {show(self.seeds)}"


def run_experiment(
    experiment: Experiment,
    seeds: SupportsIndex | Iterable[SupportsIndex],
    *,
    out: PathLike | None = None,
    sweep: Mapping[str, Iterable[Any]] | None = None,
    options: Mapping[str, Any],
) -> Run:
    """Do what `Experiment.run` says."""
    quiet = not options.get("verbose")
    chosen = Options(**{"quiet": quiet, **options, "out": out, "seeds": check_seeds(seeds)})
    if out is None and (chosen.workers > 1 or chosen.cluster):
        raise ParameterError("out", None, "a directory, through which workers give their results")
    if chosen.quick:
        experiment = experiment.scaled_down()
    reporter = Reporter(quiet=chosen.quiet)
    axes = {name: _listed(name, values) for name, values in (sweep or {}).items()}
    _warn([experiment], chosen, reporter)
    runs = run_all(
        [experiment],
        chosen,
        reporter,
        axes,
        store=out is not None,
        show_claims=not chosen.quiet,
    )
    if len(runs) == 1:
        return runs[0]
    record = runs[0].record.model_copy(update={"seeds": list(chosen.all_seeds)})
    return Run.computed(experiment, record, unite_seeds([run.data for run in runs]))


def start_all(experiments: Sequence[Experiment], options: Options, reporter: Reporter) -> None:
    """Run experiments of one kind for a user, who is told what to mind and where results lie."""
    _warn(experiments, options, reporter)
    kind = type(experiments[0])
    for run in run_all(experiments, options, reporter, parse_sweep(kind, options.sweep)):
        reporter.say(f"results: {run.directory} ({run.record.wall_time_s:.0f} s)")


def _warn(experiments: Sequence[Experiment], options: Options, reporter: Reporter) -> None:
    """Tell a user of experiments of one kind what to mind."""
    for experiment in experiments:
        for warning in experiment.warnings():
            reporter.warn(warning)
    kind = type(experiments[0])
    if not kind.uses_device and options.device not in ("auto", "cpu"):
        given = reporter.spelled(f"device={options.device!r}")
        reporter.warn(f"{given}: {kind.name} computes on the CPU")


def _listed(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ParameterError(f"sweep {name}", show(values), "a list of values")
    return tuple(values)


@own_state()
def run_all(
    experiments: Sequence[Experiment],
    options: Options,
    reporter: Reporter,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    *,
    store: bool = True,
    show_claims: bool = True,
) -> list[Run]:
    """Run experiments as a command does, each for all seeds of the options.

    With `sweep`, each is run for all combinations of these values of parameters.
    """
    if sweep:
        if len(experiments) > 1:
            raise ParameterError("sweep", f"{len(experiments)} experiments", "one of them alone")
        (experiment,) = experiments
        return [
            _sweep(experiment, dict(sweep), options, reporter, store=store, show_claims=show_claims)
        ]
    cells = []
    for experiment in experiments:
        if experiment.seeds_apart:
            cells += [Cell(experiment, (seed,)) for seed in options.all_seeds]
        elif (options.workers > 1 or options.cluster) and len(options.all_seeds) > 1 and store:
            return [_spread_seeds(experiment, options, reporter, show_claims=show_claims)]
        else:
            cells.append(Cell(experiment, options.all_seeds))
    return run_cells(cells, options, reporter, store=store, show_claims=show_claims)


# --- cells ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Prepared:
    """A cell, and all that is known before it runs."""

    cell: Cell
    device: torch.device
    data: Any
    record: Record
    directory: Path


@own_state()
def run_cells(
    cells: Sequence[Cell],
    options: Options,
    reporter: Reporter,
    *,
    store: bool = True,
    show_claims: bool = True,
) -> list[Run]:
    """Run cells, those of equal batch key as one batch; skip what is finished.

    Parameters
    ----------
    cells
        What is run.
    options
        Those of the command.
    reporter
        Tells what happens.
    store
        Whether anything is written. Without it there are no directories, figures, or workers.
    show_claims
        Whether verdicts are printed.

    Raises
    ------
    SharpwaveError
        If cells failed; all others are run first.
    """
    if not store:
        return [_run_in_memory(cell, options, reporter) for cell in cells]
    groups = _groups(cells)
    done: dict[Cell, _Done] = {}
    if options.workers > 1 or options.cluster:
        groups = _enough(groups, options.workers)
    if len(groups) > 1 and (options.workers > 1 or options.cluster):
        found = run_in_workers(run_group, groups, options, reporter)
        for group, directories in zip(groups, found, strict=True):
            done |= {c: _Done(d) for c, d in zip(group, directories, strict=True)}
    else:
        failed = []
        for group in groups:
            try:
                with reporter.part():
                    done |= dict(zip(group, _run_group(group, options, reporter), strict=True))
            except InvalidInputError:
                raise
            except Exception as error:
                if len(groups) == 1:
                    raise
                reporter.warn(f"{group[0]} failed: {reason(error)}")
                failed.append((group[0], error))
        if failed:
            cell, error = failed[0]
            raise SharpwaveError(
                f"{len(failed)} of {len(groups)} parts failed; {cell}: {reason(error)}"
            ) from error
    runs = []
    for cell in cells:
        run = done[cell].open(cell.experiment)
        report_claims(run, reporter, quiet=not show_claims)
        cell.experiment.finish(run)
        runs.append(run)
    return runs


@dataclass(frozen=True)
class _Done:
    """Where a run lies, and what it gave, if it was computed in this process."""

    directory: Path
    data: xr.Dataset | None = None

    def open(self, experiment: Experiment) -> Run:
        if self.data is None:
            return open_run(self.directory)
        return Run.computed(experiment, read_record(self.directory), self.data, self.directory)


def _groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Put cells together that are computed as one batch."""
    groups: dict[Any, list[Cell]] = {}
    for number, cell in enumerate(cells):
        key = cell.experiment.batch_key
        groups.setdefault(number if key is None else (type(cell.experiment), key), []).append(cell)
    return list(groups.values())


def _enough(groups: list[list[Cell]], workers: int) -> list[list[Cell]]:
    """Split batches, the largest first, until every worker has one, as far as there are cells."""
    groups = list(groups)
    while len(groups) < workers and len(largest := max(groups, key=len)) > 1:
        groups.remove(largest)
        half = len(largest) // 2
        groups += [largest[:half], largest[half:]]
    return groups


@own_state()
def run_group(cells: Sequence[Cell], options: Options, reporter: Reporter) -> list[Path]:
    """Run cells as one batch, each into its directory; skip those that are finished.

    Give the directories.
    """
    return [done.directory for done in _run_group(cells, options, reporter)]


def _run_group(cells: Sequence[Cell], options: Options, reporter: Reporter) -> list[_Done]:
    with ExitStack() as stack:
        open_cells, directories = [], []
        places: dict[Path, xr.Dataset | None] = {}
        for cell in cells:
            prepared = _prepare(cell, options)
            directory = prepared.directory
            places[directory] = None
            reporter.say(
                f"{prepared.record.package} {prepared.record.experiment} on {prepared.device}, "
                f"into {directory}"
            )
            more = not options.force and _wants_more(cell, directory)
            opened = stack.enter_context(
                open_directory(
                    directory,
                    prepared.record,
                    reporter,
                    resume=options.resume,
                    force=options.force,
                    extend=more,
                    keep=cell.experiment.extends(),
                )
            )
            if opened is None:
                _say_finished(directory, reporter, more=more, part=cell.directory is not None)
                continue
            open_cells.append(prepared)
            directories.append(opened)
        if not open_cells:
            return [_Done(directory) for directory in places]
        jobs = [
            Job(
                seeds=prepared.cell.seeds,
                device=prepared.device,
                journal=opened.journal,
                seed=options.seed,
                data=prepared.data,
                directory=opened.path,
                options=options,
            )
            for prepared, opened in zip(open_cells, directories, strict=True)
        ]
        experiments = [prepared.cell.experiment for prepared in open_cells]
        results = type(experiments[0]).compute_together(experiments, jobs)
        for prepared, opened, data in zip(open_cells, directories, results, strict=True):
            run = Run.computed(prepared.cell.experiment, opened.record, data, opened.path)
            opened.require_there()
            write_results(opened.path, run)
            places[prepared.directory] = run.data
            if prepared.cell.draw:
                reporter.say("drawing figures")
                draw_run(run, options.format, reporter)
    return [_Done(directory, data) for directory, data in places.items()]


def _say_finished(
    directory: Path, reporter: Reporter, *, more: bool = False, part: bool = False
) -> None:
    """Say that a run is there; parts of one are run again with the whole run only."""
    hint = f"{reporter.spelled('resume')} goes on, " if more else ""
    again = "" if part else f"; {hint}{reporter.spelled('force')} runs it again"
    reporter.say(f"{directory} holds this run already, finished{again}")


def _prepare(cell: Cell, options: Options) -> _Prepared:
    experiment, seeds = cell.experiment, cell.seeds
    device = experiment.device(options, seeds)
    data = experiment.load(options)
    record = _record(experiment, seeds, options, device, getattr(data, "record", None))
    return _Prepared(cell, device, data, record, cell.directory or _place(cell, options, record))


def _place(cell: Cell, options: Options, record: Record) -> Path:
    """Name a run's directory by its experiment, and by a hash of all that identifies it."""
    return cell.experiment.place(options, cell.seeds, _default_name(cell.experiment, record))


def _default_name(experiment: Experiment, record: Record) -> str:
    identity = json.dumps(record.identity, sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    sweep = "" if record.sweep is None else "sweep-"
    return f"{_short_name(experiment)}-{sweep}{digest}"


def _short_name(experiment: Experiment) -> str:
    """Name an experiment and its main parameters, for a file."""
    name = f"{experiment.name}-{experiment.label}" if experiment.label else experiment.name
    return re.sub(r"[^A-Za-z0-9._=,-]+", "_", name)[:100]


def _record(
    experiment: Experiment,
    seeds: Sequence[int],
    options: Options,
    device: torch.device,
    data: Any = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
) -> Record:
    package = experiment.package()
    version = importlib.metadata.version(package)
    swept = None if sweep is None else json_values({k: list(v) for k, v in sweep.items()})
    identity = {
        "package": package,
        "version": version,
        "experiment": experiment.name,
        "parameters": experiment.identity(),
        "seed": options.seed,
        "seeds": list(seeds),
        "device": str(device),
        "dataset": getattr(data, "checksum", None),
        "quick": options.quick,
        "sweep": swept,
    }
    return Record(
        package=package,
        version=version,
        experiment=experiment.name,
        parameters=experiment.values(),
        sweep=swept,
        seed=options.seed,
        seeds=list(seeds),
        quick=options.quick,
        identity=json_values(identity),
        device=f"{device} ({describe_device(device)})",
        threads=torch.get_num_threads(),
        libraries=libraries(),
        dataset=None if data is None else json_values(asdict(data)),
    )


def _wants_more(cell: Cell, directory: Path) -> bool:
    """Tell whether the same run lies there, finished, that has not gone far enough."""
    experiment = cell.experiment
    if not experiment.extends() or not os.path.isfile(directory / RECORD):
        return False
    record = read_record(directory)
    if record.status != "finished" or record.experiment != experiment.name:
        return False
    run = open_run(directory)
    same = (type(run.experiment), record.seeds) == (type(experiment), list(cell.seeds))
    if not same or run.experiment.identity() != experiment.identity():
        return False
    return experiment.wants_more(run)


def _run_in_memory(cell: Cell, options: Options, reporter: Reporter) -> Run:
    prepared = _prepare(cell, options)
    job = Job(
        seeds=cell.seeds,
        device=prepared.device,
        journal=Journal(reporter),
        seed=options.seed,
        data=prepared.data,
        options=options,
    )
    return Run.computed(cell.experiment, prepared.record, cell.experiment.compute(job))


@own_state()
def draw_run(run: Run, formats: Sequence[str], reporter: Reporter | None = None) -> list[Path]:
    """Draw a stored run's figures into its folder `figures`, and all of them into one PDF."""
    from sharpwave_shared.maps import sweep_figures
    from sharpwave_shared.plotting import save_figures, style

    assert run.directory is not None  # noqa: S101 - a stored run
    with style():
        figures = sweep_figures(run) if run.swept else run.draw()
    booklet = run.directory / f"{_short_name(run.experiment)}.pdf"
    paths = save_figures(figures, run.directory / FIGURES, formats, booklet=booklet)
    for path in paths:
        if reporter is not None:
            reporter.detail(str(path))
    return paths


def report_claims(run: Run, reporter: Reporter, *, quiet: bool = False) -> bool | None:
    """Write a stored run's `claims.json`, and print the verdicts; of a sweep, how far claims hold.

    Returns
    -------
    bool or None
        Whether all claims that the run speaks to are reproduced, or cannot be judged; None if
        there is none.
    """
    if run.swept:
        from sharpwave_shared.maps import show_shares

        if not quiet:
            show_shares(run, reporter.out)
        return True
    verdicts = run.verify()
    if not verdicts:
        return None
    if run.directory is not None:
        try:
            write_json(run.directory / CLAIMS, verdict_values(verdicts))
        except (OSError, SharpwaveError) as error:
            reporter.warn(f"the verdicts cannot be stored: {run.directory / CLAIMS}: {error}")
    if not quiet:
        record = run.record
        seeds = (
            f"seed {record.seeds[0]}" if len(record.seeds) == 1 else (f"{len(record.seeds)} seeds")
        )
        show_verdicts(
            verdicts, f"Claims: {record.package} {record.experiment}, {seeds}", reporter.out
        )
    return all(verdict.holds is not False for verdict in verdicts)


# --- runs that consist of runs --------------------------------------------------------------------


def parse_sweep(kind: type[Experiment], texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Read `NAME=V1,V2,...`; of lists, the values are separated by semicolons.

    Raises
    ------
    ParameterError
        If the name is no parameter's, or a value is not understood.
    """
    axes: dict[str, tuple[Any, ...]] = {}
    fields = all_fields(kind)
    spelled = {name.lower(): name for name in fields}
    for text in texts:
        given, equals, values = text.partition("=")
        given = given.strip().replace("-", "_")
        name = spelled.get(given.lower(), given)
        if not equals or not values.strip():
            raise ParameterError("sweep", repr(text), "NAME=V1,V2,..., as in lr=0.001,0.01")
        if name not in fields:
            error = unknown(name, list(fields))
            raise ParameterError(f"sweep {name}", error.got, error.expected)
        if name in axes:
            raise ParameterError("sweep", repr(text), "every parameter once")
        axes[name] = tuple(
            parse(name, fields[name], part) for part in values.split(";" if ";" in values else ",")
        )
    return axes


def _sweep(
    experiment: Experiment,
    axes: dict[str, Sequence[Any]],
    options: Options,
    reporter: Reporter,
    *,
    store: bool,
    show_claims: bool,
) -> Run:
    """Run an experiment for all combinations of values; take their measures together."""
    axes = {name: _values(experiment, name, given) for name, given in axes.items()}
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    kinds = [experiment.replaced(**point) for point in points]
    told = {warning for kind in kinds for warning in kind.warnings()}
    for warning in sorted(told - set(experiment.warnings())):
        reporter.warn(warning)
    device = experiment.device(options, options.all_seeds)
    if not store:
        record = _record(experiment, options.all_seeds, options, device, sweep=axes)
        cells = [Cell(kind, options.all_seeds) for kind in kinds]
        runs = run_cells(cells, options, reporter, store=False)
        return _collected(experiment, record, axes, points, runs)
    # What is read is part of what a sweep is: other data are another sweep.
    read = [getattr(kind.load(options), "record", None) for kind in kinds]
    record = _record(experiment, options.all_seeds, options, device, read[0], sweep=axes)
    if any(data != read[0] for data in read):
        record.identity["dataset"] = [getattr(data, "checksum", None) for data in read]
    default = Path("results") / record.package / _default_name(experiment, record)
    directory = options.out or default
    reporter.say(f"a sweep of {len(points)} runs, into {directory}")
    cells = [
        Cell(kind, options.all_seeds, directory / CELLS / _name(point), draw=False)
        for kind, point in zip(kinds, points, strict=True)
    ]
    run = _united(
        directory,
        record,
        cells,
        lambda runs, record: _collected(experiment, record, axes, points, runs, directory),
        options,
        reporter,
        more=any(
            _wants_more(cell, place) for cell in cells if (place := cell.directory) is not None
        ),
    )
    report_claims(run, reporter, quiet=not show_claims)
    return run


def _united(
    directory: Path,
    record: Record,
    cells: Sequence[Cell],
    unite: Callable[[Sequence[Run], Record], Run],
    options: Options,
    reporter: Reporter,
    *,
    more: bool,
) -> Run:
    """Run cells that lie in a directory, and put their results together there.

    `more` tells whether a finished whole is to be gone on with.
    """
    more = more and not options.force
    with open_directory(
        directory, record, reporter, resume=options.resume, force=options.force, extend=more
    ) as opened:
        if opened is None:
            _say_finished(directory, reporter, more=more)
        else:
            inner = options.replaced(resume=True, seeds=options.all_seeds)
            run = unite(run_cells(cells, inner, reporter, show_claims=False), opened.record)
            write_results(directory, run)
            reporter.say("drawing figures")
            draw_run(run, options.format, reporter)
    return open_run(directory)


def _values(experiment: Experiment, name: str, given: Sequence[Any]) -> tuple[Any, ...]:
    """Give the values of a parameter over which a sweep goes."""
    fields = all_fields(type(experiment))
    if name not in fields:
        raise unknown(name, list(fields))
    values = tuple(plain(fields[name].annotation, value) for value in given)
    if not values or any(value in values[:i] for i, value in enumerate(values)):
        raise ParameterError("sweep", f"{name}={show(values)}", "different values")
    return values


def _collected(
    experiment: Experiment,
    record: Record,
    axes: Mapping[str, Sequence[Any]],
    points: Sequence[Mapping[str, Any]],
    runs: Sequence[Run],
    directory: Path | None = None,
) -> Run:
    """Take the measures of a sweep's runs together, and how many seeds reproduce each claim."""
    from sharpwave_shared.maps import shares_of_claims

    measured = [
        measures_of(run.data, run.experiment.conditions)
        .astype(float)  # where a run lacks a condition, NaN will stand
        .drop_attrs(deep=False)
        .merge(shares_of_claims(run.verify()))
        for run in runs
    ]
    data = combine_runs(list(zip(points, measured, strict=True)))
    return Run.computed(experiment, record, data, directory)


def _name(point: Mapping[str, Any]) -> str:
    """Name the folder of a run of a sweep."""
    parts = []
    for name, value in point.items():
        text = show(value)
        safe = re.sub(r"[^A-Za-z0-9.+-]+", "_", text)
        if safe != text:
            whole = json.dumps(json_values(value))
            safe = f"{safe[:30]}_{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
        parts.append(f"{name}={safe}")
    return ",".join(parts)


def _spread_seeds(
    experiment: Experiment, options: Options, reporter: Reporter, *, show_claims: bool
) -> Run:
    """Let workers run the seeds one by one; take their results together as one run."""
    seeds = options.all_seeds
    prepared = _prepare(Cell(experiment, seeds), options)
    directory = prepared.directory
    reporter.say(f"{len(seeds)} seeds side by side, into {directory}")
    cells = [
        Cell(experiment, (seed,), directory / CELLS / f"seed={seed}", draw=False) for seed in seeds
    ]
    run = _united(
        directory,
        prepared.record,
        cells,
        lambda runs, record: Run.computed(
            experiment, record, unite_seeds([run.data for run in runs]), directory
        ),
        options,
        reporter,
        more=_wants_more(prepared.cell, directory),
    )
    report_claims(run, reporter, quiet=not show_claims)
    experiment.finish(run)
    return run
