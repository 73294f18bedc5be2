"""The command line of a package, made of its experiments.

    app = App("synaptic-consolidation", "Two-factor synaptic consolidation: ...")
    app.main(Networks)
    app.add(Night, Theory)

gives `synaptic-consolidation [options]`, `synaptic-consolidation night [options]` and so on, with
options, help and checks from the parameters, and `verify RUN_DIR` and `plot RUN_DIR`. A `Command`
that is no experiment is added in the same way; its `start` says what it does. Dashes and
underscores, capitals and small letters are the same in names of options and commands. An option
with a value is given once (`--sweep` once for each parameter): a second one is refused, not taken
in silence for the first.
"""

import importlib
import importlib.metadata
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from sharpwave_shared.command_line import (
    Context,
    common_options,
    escaped,
    field_parameters,
    keyword,
    normalised,
    only_one,
    option,
    read_fields,
)
from sharpwave_shared.errors import (
    DataWarning,
    InvalidInputError,
    ParameterError,
    SharpwaveError,
    show,
)
from sharpwave_shared.experiment import Command, Experiment, Options
from sharpwave_shared.parameters import Parameters, Positional, Spelled, describe, marker
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.signals import RESUMABLE, told_at_once

GROUP = "sharpwave"
"""The entry points that name the packages' apps."""


class App:
    """The command line of a package.

    Parameters
    ----------
    package
        Name of the package and the command.
    help
        What it is, in a line.

    Attributes
    ----------
    experiments
        Experiments whose runs can be read, by name.
    mains
        The main command, or those among which an option chooses.
    commands
        The subcommands, by name.
    """

    def __init__(self, package: str, help: str):
        self.package, self.help = package, help
        self.experiments: dict[str, type[Experiment]] = {}
        self.mains: tuple[type[Command], ...] = ()
        self.commands: dict[str, type[Command]] = {"verify": Verify, "plot": Plot}
        self._choose: str | None = None

    def main(self, *kinds: type[Command], choose: str | None = None) -> None:
        """Make an experiment, or another command, the main command; of several, an option chooses.

        Parameters
        ----------
        kinds
            The commands; the first is the default.
        choose
            Name of the option, `mode` say; its values are the names of the commands.
        """
        self.know(*kinds)
        self.mains, self._choose = kinds, choose

    def add(self, *kinds: type[Command]) -> None:
        """Make experiments, and other commands, subcommands."""
        self.know(*kinds)
        self.commands = {kind.name: kind for kind in kinds} | self.commands

    def know(self, *kinds: type[Command]) -> None:
        """Let runs of experiments be read, also if they have no command of their own."""
        self.experiments |= {kind.name: kind for kind in kinds if issubclass(kind, Experiment)}

    def __call__(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line."""
        # No window is opened, and what a notebook has exported may not be there.
        os.environ["MPLBACKEND"] = "agg"
        self.build()(None if arguments is None else list(arguments))

    def build(self) -> typer.Typer:
        """Build typer's application."""
        app = typer.Typer(
            name=self.package,
            help=self.help,
            pretty_exceptions_enable=False,
            add_completion=False,
            context_settings={
                "help_option_names": ["-h", "--help"],
                "token_normalize_func": normalised,
            },
            rich_markup_mode="rich",
        )
        if self.mains:
            main = _function_of(self.mains, self._choose)
            help = "\n\n".join(part for part in (self.help, main.__doc__) if part)
            app.callback(invoke_without_command=True, help=help)(main)
        for name, kind in self.commands.items():
            app.command(normalised(name))(_function_of([kind], None))
        return app


class OfRun(Command):
    """What is done with a finished run."""

    panel: ClassVar = "Options"
    without: ClassVar = tuple(name for name in Options.model_fields if name != "debug")

    run_dir: Annotated[Path, Positional("RUN_DIR")]
    """Directory of a finished run."""

    def open(self) -> Any:
        """Open the run, which may not be found through links."""
        from sharpwave_shared.results import open_run
        from sharpwave_shared.run_directory import refuse_links

        run = open_run(self.run_dir)
        refuse_links(self.run_dir)
        if run.all_missing:
            Reporter().warn(f"{self.run_dir}: every number of its results is missing (NaN)")
        return run


class Verify(OfRun):
    """Check the paper's claims on a finished run; exit code 1 if one is not reproduced."""

    json_output: Annotated[bool, Spelled("--json", alone=True)] = False
    """Print JSON instead of text."""

    def start(self, options: Options, reporter: Reporter) -> None:
        """Print the verdicts."""
        from sharpwave_shared.claims import verdict_values
        from sharpwave_shared.execution import report_claims
        from sharpwave_shared.files import json_values
        from sharpwave_shared.maps import shares

        run = self.open()
        reproduced = report_claims(run, reporter, quiet=self.json_output)
        if reproduced is None:
            raise SharpwaveError(f"no claim speaks about a run of {run.record.experiment!r}")
        if self.json_output:
            import json

            found = shares(run) if run.swept else verdict_values(run.verify())
            typer.echo(json.dumps(json_values(found), indent=2))
        if not reproduced:
            raise typer.Exit(1)


class Plot(OfRun):
    """Draw the figures of a finished run again, from its stored data."""

    without: ClassVar = tuple(name for name in OfRun.without if name != "format")

    def start(self, options: Options, reporter: Reporter) -> None:
        """Print the paths of the figures."""
        from sharpwave_shared.execution import draw_run

        for path in draw_run(self.open(), options.format):
            typer.echo(path)


def installed_apps() -> dict[str, App]:
    """Find the apps of all installed packages of the project."""
    points = importlib.metadata.entry_points(group=GROUP)
    return {point.name: point.load() for point in sorted(points, key=lambda p: p.name)}


def find_experiment(package: str, name: str) -> type[Experiment]:
    """Find an experiment of an installed package.

    Raises
    ------
    InvalidInputError
        If the package is not installed, or has no such experiment.
    """
    points = importlib.metadata.entry_points(group=GROUP, name=package)
    if not points:
        raise InvalidInputError(f"a run of {show(package)}, which is not installed")
    app: App = next(iter(points)).load()
    if name not in app.experiments:
        raise InvalidInputError(
            f"a run of {package} {show(name)}, which this version does not know; it has "
            f"{', '.join(app.experiments)}"
        )
    return app.experiments[name]


def _function_of(kinds: Sequence[type[Command]], choose: str | None) -> Callable[..., None]:
    """Make typer's function of a command, or of several among which an option chooses."""
    parameters: dict[str, inspect.Parameter] = {}
    if choose is not None:
        names = ", ".join(kind.name for kind in kinds)
        help = f"One of {names}; case and dashes do not matter. Default: {kinds[0].name}."
        info: Any = typer.Option(help=help, show_default=False, metavar="TEXT")
        parameters[choose] = keyword(choose, Annotated[list[str] | None, info])
    for kind in kinds:
        for parameter in field_parameters(kind, beside=kinds):
            parameters.setdefault(parameter.name, parameter)
        for flag, preset in kind.presets.items():
            says = ", ".join(f"{option(name)} {show(value)}" for name, value in preset.items())
            info = typer.Option(option(flag), help=escaped(f"Stands for {says}."))
            parameters.setdefault(flag, keyword(flag, Annotated[bool, info], False))
    without = set(kinds[0].without).intersection(*(kind.without for kind in kinds))
    if not any(kind.reads_data for kind in kinds):
        without.add("data_dir")
    for parameter in common_options(without):
        parameters.setdefault(parameter.name, parameter)

    def run(context: Context, **given: Any) -> None:
        with _errors_as_exit_codes(kinds[0], given):
            kind = kinds[0] if choose is None else _chosen(kinds, choose, given[choose])
        with _errors_as_exit_codes(kind, given):
            _refuse_options_before_subcommand(context)
            if context.invoked_subcommand is not None:
                return
            options = Options(**read_fields(Options, given))
            _refuse_meaningless(kind, options)
            values = read_fields(kind, given)
            flags = [flag for flag in kind.presets if given.get(flag)]
            presets = [kind.presets[flag] for flag in flags] + [kind.quick] * options.quick
            for preset in presets:
                values = {**preset, **values}
            with _telling(options) as reporter:
                _warn_of_unused(kind, kinds, given, reporter)
                kind(**values).start(options, reporter)

    return _as_command(run, kinds[0].__doc__, list(parameters.values()))


def _chosen(
    kinds: Sequence[type[Command]], choose: str, texts: Sequence[str] | None
) -> type[Command]:
    def plain(name: str) -> str:
        return name.strip().casefold().replace("-", "_")

    if not texts:
        return kinds[0]
    text = only_one(choose, texts)
    for kind in kinds:
        if plain(kind.name) == plain(text):
            return kind
    raise ParameterError(choose, repr(text), f"one of {', '.join(k.name for k in kinds)}")


def _refuse_meaningless(kind: type[Command], options: Options) -> None:
    """Refuse common options that others have among which the command was chosen."""
    for name in (*kind.without, *(() if kind.reads_data else ("data_dir",))):
        value = getattr(options, name)
        if value != Options.model_fields[name].get_default():
            raise ParameterError(name, value, f"none with {kind.name}")


def _warn_of_unused(
    kind: type[Command],
    kinds: Sequence[type[Command]],
    given: Mapping[str, Any],
    reporter: Reporter,
) -> None:
    """Tell which of the given options the chosen command does not have.

    Raises
    ------
    ParameterError
        If one has a value that no command takes.
    """
    known = {name: other for other in reversed(kinds) for name in other.model_fields}
    for name in sorted(known.keys() - kind.model_fields.keys()):
        if given.get(name) is not None:
            _check_alone(known[name], name, given)
            reporter.warn(f"{option(name)}: {kind.name} does not use it")
    for flag in sorted({flag for other in kinds for flag in other.presets} - kind.presets.keys()):
        if given.get(flag):
            reporter.warn(f"{option(flag)}: {kind.name} does not use it")


def _check_alone(kind: type[Parameters], name: str, given: Mapping[str, Any]) -> None:
    """Check the value of a field as far as it does not depend on others."""
    values = read_fields(kind, {name: given[name]})
    try:
        kind(**values)
    except ParameterError as error:
        if error.name == name and describe(kind.model_fields[name]) in error.expected:
            raise


def _as_command(
    run: Callable[..., None], doc: str | None, parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Give a function the signature that typer reads."""
    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = [context, *parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = (inspect.cleandoc(doc or "")).partition("\n\n\n")[0]
    return run


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
        spelling = next(p.opts[0] for p in context.command.params if p.name == given[0])
        raise InvalidInputError(
            f"{spelling} stands before {context.invoked_subcommand}; options follow the subcommand"
        )


@contextmanager
def _telling(options: Options) -> Iterator[Reporter]:
    """Give a reporter that tells warnings about data, and what the shared package logs, too."""
    reporter = Reporter(quiet=options.quiet, verbose=options.verbose, spelled=option)
    with warnings.catch_warnings(), reporter.show_log("sharpwave_shared"):
        show_other = warnings.showwarning

        def showwarning(message: Any, category: Any, *rest: Any) -> None:
            if isinstance(message, DataWarning):
                reporter.warn(message.told(option))
            else:
                show_other(message, category, *rest)

        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = showwarning
        yield reporter


@contextmanager
def _errors_as_exit_codes(kind: type[Parameters], given: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors into a line on standard error, and an exit code.

    2 for input that cannot be used, 1 for failures, 130 after Ctrl-C.
    """
    try:
        with told_at_once():
            yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except (Exception, KeyboardInterrupt) as error:
        if given.get("debug"):
            traceback.print_exception(error)
        match error:
            case KeyboardInterrupt():
                resumable = RESUMABLE in getattr(error, "__notes__", [])
                hint = "; --resume goes on from the last checkpoint" if resumable else ""
                message, code = f"interrupted{hint}", 130
            case ParameterError():
                message, code = error.naming(_shown_name(kind, error.name, given)), 2
            case SharpwaveError():
                message, code = error.told(option), 2 if isinstance(error, InvalidInputError) else 1
            case _:
                message, code = f"{type(error).__name__}: {error} (--debug shows where)", 1
        print("error:", " ".join(message.split()), file=sys.stderr)
        raise typer.Exit(code) from error


def _shown_name(kind: type[Parameters], name: str, given: Mapping[str, Any]) -> str:
    """Give the name by which the command line knows a parameter."""
    field = kind.model_fields.get(name)
    positional = None if field is None else marker(field, Positional)
    if positional is not None:
        return positional.shown
    return option(name) if name in given else name
