"""The command line that all packages share: common options, errors and exit codes.

A command is a function whose parameters may be *option groups*: dataclasses whose fields are
annotated with `typer.Option`. `command` turns each group into its options, so a group is declared
once and means the same everywhere.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import json
import re
import sys
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sharpwave_shared.claims import Claim, check_claims, claims_record, claims_table
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import DataWarning, InvalidInputError, ParameterError, SharpwaveError
from sharpwave_shared.files import json_values, write_json
from sharpwave_shared.plotting import parse_formats
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.runs import Run, RunSpec, StoredRun, open_run, read_run
from sharpwave_shared.seeding import check_seed

COMMON = "Common options"
MAXIMUM_SEEDS = 100_000
# What typer hands over is no typer.Context but its base, click's, which may be a private copy.
Context = Any


def _show_version(context: Context, value: bool) -> bool:
    if value:
        package = context.find_root().command.name or ""
        typer.echo(f"{package} {importlib.metadata.version(package)}")
        raise typer.Exit
    return value


@dataclass
class Common:
    """Options that every job has."""

    seed: Annotated[
        int, typer.Option(help="Seed of what all runs share.", rich_help_panel=COMMON)
    ] = 0
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Seeds of the runs: 0:5 (0 to 4) or 0,3,7. Default: the one of --seed.",
            rich_help_panel=COMMON,
        ),
    ] = None
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=COMMON)
    ] = "auto"
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory. Default: results/COMMAND/, named by the parameters.",
            rich_help_panel=COMMON,
        ),
    ] = None
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where data sets lie. Default: $SHARPWAVE_DATA, the cache, a download.",
            rich_help_panel=COMMON,
        ),
    ] = None
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Scaled down to under a minute.", rich_help_panel=COMMON),
    ] = False
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a run that was cut off.", rich_help_panel=COMMON),
    ] = False
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Discard an earlier run in the directory.", rich_help_panel=COMMON
        ),
    ] = False
    format: Annotated[
        str, typer.Option(help="Figure formats: png,pdf,svg.", rich_help_panel=COMMON)
    ] = "png"
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=COMMON),
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="More detail.", rich_help_panel=COMMON)
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks.", rich_help_panel=COMMON)
    ] = False
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and stop.",
            rich_help_panel=COMMON,
        ),
    ] = False
    reporter: Reporter = field(init=False)

    def __post_init__(self) -> None:
        self.reporter = Reporter(quiet=self.quiet, verbose=self.verbose)

    def check(self) -> None:
        """Validate what can be validated before any work."""
        parse_formats(self.format)
        check_seed(self.seed)
        parse_seeds(self.seeds, self.seed)
        resolve_device(self.device)

    @property
    def seed_list(self) -> list[int]:
        """The seeds of the runs."""
        return parse_seeds(self.seeds, self.seed)

    @property
    def formats(self) -> list[str]:
        """The figure formats."""
        return parse_formats(self.format)


def parse_seeds(text: str | None, seed: int = 0) -> list[int]:
    """Parse `0:5` (0, 1, 2, 3, 4), `0,3,7` or a mixture; None means the one given by `seed`.

    Raises
    ------
    InvalidInputError
        If the text does not parse, a seed is out of range, or one is given twice.
    """
    if text is None:
        return [check_seed(seed)]
    allowed = "seeds are whole numbers from 0 to 2^32 - 1, as in 0:5 (0 to 4) or 0,3,7"
    seeds: list[int] = []
    for part in text.split(","):
        matched = re.fullmatch(r"\s*(\d{1,10})\s*(?::\s*(\d{1,10})\s*)?", part, re.ASCII)
        if matched is None:
            raise InvalidInputError(f"--seeds {text}: {part!r} is not understood; {allowed}")
        first = int(matched[1])
        stop = first + 1 if matched[2] is None else int(matched[2])
        if stop <= first:
            raise InvalidInputError(f"--seeds {text}: {part!r} names no seed; {allowed}")
        if stop > 2**32:
            raise InvalidInputError(f"--seeds {text}: {part!r} is out of range; {allowed}")
        if len(seeds) + stop - first > MAXIMUM_SEEDS:
            raise InvalidInputError(f"--seeds {text}: more than {MAXIMUM_SEEDS:,} seeds")
        seeds.extend(range(first, stop))
    if len(set(seeds)) < len(seeds):
        raise InvalidInputError(f"--seeds {text}: a seed is given twice")
    return seeds


def parse_numbers(option: str, text: str, *, whole: bool = False) -> list[float]:
    """Parse a list of different non-negative numbers, `1,5,10` say.

    Raises
    ------
    InvalidInputError
        If a part is not such a number, or one is given twice.
    """
    kind = "whole numbers" if whole else "numbers"
    numbers = []
    for part in text.split(","):
        try:
            number = float(int(part) if whole else float(part))
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise InvalidInputError(
                f"{option} {text}: {part.strip()!r} is not allowed; {kind} as in 1,5,10 are"
            )
        numbers.append(number)
    if len(set(numbers)) < len(numbers):
        raise InvalidInputError(f"{option} {text}: a number is given twice")
    return numbers


def create_app(package: str, help: str) -> typer.Typer:
    """Create a command-line application with `--version`, and no pretty tracebacks."""
    return typer.Typer(
        name=package,
        help=help,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="rich",
    )


def command(function: Callable[..., None] | None = None, **presets: Mapping[str, Any]) -> Any:
    """Make a function with option groups into a typer command.

    Parameters
    ----------
    function
        Its parameters are options, or dataclasses of options.
    presets
        For a flag (`quick`, say), the values that it gives to options that the user did not set.

    Returns
    -------
    Callable
        For `typer.Typer.command` or `callback`. Errors become one line on standard error and an
        exit code: 2 for input that cannot be used, 1 for failures, 130 after Ctrl-C.
    """
    if function is None:
        return functools.partial(command, **presets)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = hints[name]
        if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
            groups[name] = annotation
            parameters += _group_parameters(annotation)
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=annotation, kind=kind))

    @functools.wraps(function)
    def run(context: Context, **values: Any) -> None:
        for flag, preset in presets.items():
            if values[flag]:
                values |= {
                    name: value
                    for name, value in preset.items()
                    if _source(context, name) == "DEFAULT"
                }
        with _errors_as_exit_codes(debug=bool(values.get("debug"))):
            _refuse_options_before_subcommand(context)
            if context.invoked_subcommand is not None:
                return
            arguments: dict[str, Any] = {}
            for name, group in groups.items():
                arguments[name] = group(
                    **{f.name: values.pop(f.name) for f in dataclasses.fields(group) if f.init}
                )
            common = next((a for a in arguments.values() if isinstance(a, Common)), None)
            if common is None:
                function(**arguments, **values)
                return
            common.check()
            with warnings.catch_warnings(), common.reporter.show_log("sharpwave_shared"):
                _show_data_warnings(common.reporter)
                function(**arguments, **values)

    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters.insert(0, context)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _group_parameters(group: type) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[f.name], default=f.default
        )
        for f in dataclasses.fields(group)
        if f.init
    ]


def _source(context: Context, name: str) -> str | None:
    """Tell where an option's value comes from: COMMANDLINE, DEFAULT, ..."""
    source = context.get_parameter_source(name)
    return None if source is None else source.name


def _refuse_options_before_subcommand(context: Context) -> None:
    """Options of the main command do not reach a subcommand: say so instead of ignoring them."""
    if context.invoked_subcommand is None:
        return
    given = [name for name in context.params if _source(context, name) == "COMMANDLINE"]
    if given:
        option = next(p.opts[0] for p in context.command.params if p.name == given[0])
        raise InvalidInputError(
            f"{option} stands before {context.invoked_subcommand}; options follow the subcommand"
        )


def _show_data_warnings(reporter: Reporter) -> None:
    show = warnings.showwarning

    def showwarning(message: Any, category: Any, *rest: Any) -> None:
        if issubclass(category, DataWarning):
            reporter.warn(str(message))
        else:
            show(message, category, *rest)

    warnings.simplefilter("always", DataWarning)
    warnings.showwarning = showwarning


@contextmanager
def _errors_as_exit_codes(*, debug: bool) -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exception(error)
        match error:
            case KeyboardInterrupt():
                message, code = "interrupted; --resume goes on from the last checkpoint", 130
            case ParameterError():
                message, code = error.naming(f"--{error.name}"), 2
            case InvalidInputError():
                message, code = str(error), 2
            case SharpwaveError():
                message, code = str(error), 1
            case _:
                message, code = f"{type(error).__name__}: {error} (--debug shows where)", 1
        print("error:", " ".join(message.split()), file=sys.stderr)
        raise typer.Exit(code) from error


@dataclass(frozen=True)
class Outcome:
    """What a job computed: numbers for `metrics.json`, arrays for `arrays.npz`."""

    metrics: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


Draw = Callable[[StoredRun, Sequence[str]], list[Path]]
"""Draws the figures of a stored run in the given formats, into its directory; gives the paths."""


def execute(
    common: Common,
    spec: RunSpec,
    work: Callable[[Run], Outcome],
    draw: Draw,
    claims: Sequence[Claim],
    *,
    directory: Path | None = None,
    extend: bool = False,
) -> None:
    """Run a job in its run directory: compute, store, draw, and check the claims.

    Parameters
    ----------
    common
        The common options.
    spec
        What the job is; names the default directory.
    work
        Computes; may be called to go on with a run that was cut off.
    draw, claims
        The package's figures and claims.
    directory
        The run directory. Default: `--out`, or one named by the parameters.
    extend
        Whether `--resume` goes on with a finished run too; see `open_run`.
    """
    reporter = common.reporter
    directory = directory or common.out or default_directory(spec)
    reporter.say(f"{spec.package} {spec.experiment} on {spec.device}, into {directory}")
    with open_run(
        directory, spec, reporter, resume=common.resume, force=common.force, extend=extend
    ) as run:
        if run is None:
            more = "--resume extends it, " if extend else ""
            reporter.say(
                f"{directory} holds this run already, finished; {more}--force runs it again"
            )
            return
        outcome = work(run)
        run.save_results(outcome.metrics, outcome.arrays)
        reporter.say("drawing figures")
        stored = run.stored()
        for path in draw(stored, common.formats):
            reporter.detail(str(path))
    report_claims(stored, claims)
    reporter.say(f"results: {directory} ({run.record['wall_time_s']:.0f} s)")


def default_directory(spec: RunSpec) -> Path:
    """Name a run's directory by its experiment, and by a hash of all that identifies it."""
    identity = json.dumps(spec.identity(), sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return Path("results") / spec.package / f"{spec.experiment}-{spec.label}-{digest}"


RunDirectory = Annotated[
    Path, typer.Argument(metavar="RUN_DIR", help="Directory of a finished run.")
]


def add_run_commands(
    app: typer.Typer,
    package: str,
    claims: Sequence[Claim],
    draw: Draw,
) -> None:
    """Add `verify RUN_DIR` and `plot RUN_DIR` to an application.

    Parameters
    ----------
    app
        The application.
    package
        Whose runs are read.
    claims
        The claims of the package.
    draw
        Draws the figures of a stored run in the given formats; gives their paths.
    """

    @app.command()
    @command
    def verify(
        run_dir: RunDirectory,
        json_output: Annotated[
            bool, typer.Option("--json", help="Print JSON instead of a table.")
        ] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    ) -> None:
        """Check the paper's claims on a finished run; exit code 1 if one is not reproduced."""
        run = read_run(run_dir, package)
        reproduced = report_claims(run, claims, json_output=json_output)
        if reproduced is None:
            raise SharpwaveError(f"no claim speaks about a run of {run.experiment!r}")
        if not reproduced:
            raise typer.Exit(1)

    @app.command()
    @command
    def plot(
        run_dir: RunDirectory,
        format: Annotated[str, typer.Option(help="Figure formats: png,pdf,svg.")] = "png",
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    ) -> None:
        """Draw the figures of a finished run again, from its stored data."""
        formats = parse_formats(format)
        for path in draw(read_run(run_dir, package), formats):
            typer.echo(path)


def report_claims(
    runs: StoredRun | Sequence[StoredRun], claims: Sequence[Claim], *, json_output: bool = False
) -> bool | None:
    """Print the verdicts on one or more runs and write them to the `claims.json` of each.

    Returns
    -------
    bool or None
        Whether all claims that the runs speak to are reproduced; None if there is none.
    """
    runs = [runs] if isinstance(runs, StoredRun) else runs
    verdicts = []
    for run in runs:
        found = check_claims(claims, run)
        if found:
            write_json(run.directory / "claims.json", claims_record(found))
        verdicts += found
    if not verdicts:
        return None
    if json_output:
        typer.echo(json.dumps(json_values(claims_record(verdicts)), indent=2))
    else:
        scale = " (scaled down by --quick)" if any(run.record["quick"] for run in runs) else ""
        these = "this run" if len(runs) == 1 else f"{len(runs)} runs"
        Reporter().out.print(claims_table(verdicts, f"Claims measured on {these}{scale}"))
    return all(measurement.reproduced for _, measurement in verdicts)
