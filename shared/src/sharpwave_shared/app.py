"""The command line of a package, made of its experiments.

    app = App("synaptic-consolidation", "Two-factor synaptic consolidation: ...")
    app.main(Networks)
    app.add(Night, Theory)

gives `synaptic-consolidation [options]`, `synaptic-consolidation night [options]` and so on, with
options, help and checks from the parameters, and `verify RUN_DIR` and `plot RUN_DIR`. Dashes and
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
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from sharpwave_shared.experiment import Experiment, Format, Options
from sharpwave_shared.parameters import Parameters, Positional, describe, marker
from sharpwave_shared.paths import as_path, reachable
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.signals import RESUMABLE, told_at_once

GROUP = "sharpwave"
"""The entry points that name the packages' apps."""
RunDirectory = Annotated[
    str, typer.Argument(metavar="RUN_DIR", help="Directory of a finished run.")
]


class Drawing(Parameters):
    """How figures are drawn again."""

    panel: ClassVar = "Options"

    format: tuple[Format, ...] = ("png",)
    """Figure formats: png,pdf,svg."""


@dataclass(frozen=True)
class _Command:
    """A subcommand: a function of typer's kind, or an experiment."""

    name: str
    function: Callable[..., None]


class App:
    """The command line of a package.

    Parameters
    ----------
    package
        Name of the package and the command.
    help
        What it is, in a line.
    """

    def __init__(self, package: str, help: str):
        self.package, self.help = package, help
        self.experiments: dict[str, type[Experiment]] = {}
        self._main: Callable[..., None] | None = None
        self._commands: list[_Command] = []

    def main(self, *kinds: type[Experiment], choose: str | None = None) -> None:
        """Make an experiment the main command; of several, an option chooses.

        Parameters
        ----------
        kinds
            The experiments; the first is the default.
        choose
            Name of the option, `mode` say; its values are the names of the experiments.
        """
        self.experiments |= {kind.name: kind for kind in kinds}
        self._main = _experiment_command(kinds, choose)

    def add(self, *kinds: type[Experiment]) -> None:
        """Make experiments subcommands."""
        for kind in kinds:
            self.experiments[kind.name] = kind
            self._commands.append(_Command(kind.name, _experiment_command([kind], None)))

    def know(self, *kinds: type[Experiment]) -> None:
        """Let runs of experiments be read that have no command of their own."""
        self.experiments |= {kind.name: kind for kind in kinds}

    def command(
        self,
        name: str | None = None,
        *,
        quick: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Make a function the subcommand `name`, or the main command.

        Its parameters are options and arguments of typer's; one may be called `options` and be of
        type `Options`, another `reporter`; parameters whose type is a class of `Parameters` are
        made of its fields. `quick` says what `--quick` makes of parameters that are not given,
        `without` which of the common options mean nothing to it.
        """

        def decorate(function: Callable[..., None]) -> Callable[..., None]:
            made = _function_command(function, quick or {}, without)
            if name is None:
                self._main = made
            else:
                self._commands.append(_Command(name, made))
            return function

        return decorate

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
        if self._main is not None:
            help = "\n\n".join(part for part in (self.help, self._main.__doc__) if part)
            app.callback(invoke_without_command=True, help=help)(self._main)
        for command in self._commands:
            app.command(normalised(command.name))(command.function)
        app.command("verify")(_function_command(self._verify, {}))
        app.command("plot")(_function_command(self._plot, {}))
        return app

    def _verify(
        self,
        run_dir: RunDirectory,
        json_output: Annotated[
            bool, typer.Option("--json", help="Print JSON instead of text.")
        ] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    ) -> None:
        """Check the paper's claims on a finished run; exit code 1 if one is not reproduced."""
        from sharpwave_shared.claims import verdict_values
        from sharpwave_shared.execution import report_claims
        from sharpwave_shared.files import json_values
        from sharpwave_shared.maps import shares

        run = self._open(run_dir)
        reproduced = report_claims(run, Reporter(), quiet=json_output)
        if reproduced is None:
            raise SharpwaveError(f"no claim speaks about a run of {run.record.experiment!r}")
        if json_output:
            import json

            found = shares(run) if run.swept else verdict_values(run.verify())
            typer.echo(json.dumps(json_values(found), indent=2))
        if not reproduced:
            raise typer.Exit(1)

    def _plot(
        self,
        run_dir: RunDirectory,
        drawing: Drawing,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    ) -> None:
        """Draw the figures of a finished run again, from its stored data."""
        from sharpwave_shared.execution import draw_run

        for path in draw_run(self._open(run_dir), drawing.format):
            typer.echo(path)

    def _open(self, run_dir: str) -> Any:
        from sharpwave_shared.results import open_run
        from sharpwave_shared.run_directory import refuse_links

        directory = reachable("RUN_DIR", as_path("RUN_DIR", run_dir))
        run = open_run(directory)
        refuse_links(directory)
        if run.record.package != self.package:
            raise InvalidInputError(
                f"{directory}: a run of {run.record.package}, not of {self.package}"
            )
        if run.all_missing:
            Reporter().warn(f"{run_dir}: every number of its results is missing (NaN)")
        return run


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


def _experiment_command(
    kinds: Sequence[type[Experiment]], choose: str | None
) -> Callable[..., None]:
    """Make typer's command of an experiment, or of several among which an option chooses."""
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
    reads_data = any(kind.reads_data for kind in kinds)
    for parameter in common_options([] if reads_data else ["data_dir"]):
        parameters.setdefault(parameter.name, parameter)

    def run(context: Context, **given: Any) -> None:
        with _errors_as_exit_codes(kinds[0], given):
            kind = kinds[0] if choose is None else _chosen(kinds, choose, given[choose])
        with _errors_as_exit_codes(kind, given):
            _refuse_options_before_subcommand(context)
            if context.invoked_subcommand is not None:
                return
            options = Options(**read_fields(Options, given))
            values = read_fields(kind, given)
            flags = [flag for flag in kind.presets if given.get(flag)]
            presets = [kind.presets[flag] for flag in flags] + [kind.quick] * options.quick
            for preset in presets:
                values = {**preset, **values}
            with _telling(options) as reporter:
                _warn_of_unused(kind, kinds, given, reporter)
                _start(kind, values, options, reporter)

    return _as_command(run, kinds[0].__doc__, list(parameters.values()))


def _start(
    kind: type[Experiment], values: Mapping[str, Any], options: Options, reporter: Reporter
) -> None:
    experiment = kind(**values)
    from sharpwave_shared.execution import parse_sweep, run_all

    for warning in experiment.warnings():
        reporter.warn(warning)
    if not kind.uses_device and options.device not in ("auto", "cpu"):
        reporter.warn(f"--device {options.device}: {kind.name} computes on the CPU")
    for run in run_all([experiment], options, reporter, parse_sweep(kind, options.sweep)):
        reporter.say(f"results: {run.directory} ({run.record.wall_time_s:.0f} s)")


def _chosen(
    kinds: Sequence[type[Experiment]], choose: str, texts: Sequence[str] | None
) -> type[Experiment]:
    def plain(name: str) -> str:
        return name.strip().casefold().replace("-", "_")

    if not texts:
        return kinds[0]
    text = only_one(choose, texts)
    for kind in kinds:
        if plain(kind.name) == plain(text):
            return kind
    raise ParameterError(choose, repr(text), f"one of {', '.join(k.name for k in kinds)}")


def _warn_of_unused(
    kind: type[Experiment],
    kinds: Sequence[type[Experiment]],
    given: Mapping[str, Any],
    reporter: Reporter,
) -> None:
    """Tell which of the given options the chosen experiment does not have.

    Raises
    ------
    ParameterError
        If one has a value that no experiment takes.
    """
    known = {name: other for other in reversed(kinds) for name in other.model_fields}
    for name in sorted(known.keys() - kind.model_fields.keys()):
        if given.get(name) is not None:
            _check_alone(known[name], name, given)
            reporter.warn(f"{option(name)}: {kind.name} does not use it")


def _check_alone(kind: type[Parameters], name: str, given: Mapping[str, Any]) -> None:
    """Check the value of a field as far as it does not depend on others."""
    values = read_fields(kind, {name: given[name]})
    try:
        kind(**values)
    except ParameterError as error:
        if error.name == name and describe(kind.model_fields[name]) in error.expected:
            raise


def _function_command(
    function: Callable[..., None], quick: Mapping[str, Any], without: Sequence[str] = ()
) -> Callable[..., None]:
    """Make typer's command of a function."""
    hints = typing.get_type_hints(function, include_extras=True)
    groups: dict[str, type[Parameters]] = {}
    parameters: list[inspect.Parameter] = []
    own = [p for p in inspect.signature(function).parameters.values() if p.name != "reporter"]
    for parameter in own:
        hint = hints[parameter.name]
        if isinstance(hint, type) and issubclass(hint, Parameters):
            groups[parameter.name] = hint
            made = common_options(without) if hint is Options else field_parameters(hint)
            parameters += [p for p in made if p.name not in {q.name for q in parameters}]
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hint, kind=kind))
    wants_reporter = "reporter" in inspect.signature(function).parameters

    def run(context: Context, **given: Any) -> None:
        kinds = list(groups.values())
        with _errors_as_exit_codes(kinds[0] if kinds else Parameters, given):
            _refuse_options_before_subcommand(context)
            if context.invoked_subcommand is not None:
                return
            arguments: dict[str, Any] = {}
            for name, kind in groups.items():
                values = read_fields(kind, given)
                if given.get("quick") and kind is not Options:
                    values = {
                        **{k: v for k, v in quick.items() if k in kind.model_fields},
                        **values,
                    }
                arguments[name] = kind(**values)
            plain = {p.name for p in own} - set(groups)
            arguments |= {name: given[name] for name in plain}
            if given.get("quick"):
                arguments |= {
                    name: value
                    for name, value in quick.items()
                    if name in plain and _source(context, name) == "DEFAULT"
                }
            options = next((a for a in arguments.values() if isinstance(a, Options)), Options())
            with _telling(options) as reporter:
                if wants_reporter:
                    arguments["reporter"] = reporter
                function(**arguments)

    return _as_command(run, function.__doc__, parameters)


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


__all__ = ["App", "Format", "RunDirectory", "find_experiment", "installed_apps"]
