"""Options of a command line, made of the fields of parameters."""

import importlib.metadata
import inspect
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from sharpwave_shared.errors import ParameterError, show
from sharpwave_shared.experiment import COMMON, Command, Options
from sharpwave_shared.parameters import (
    Parameters,
    Positional,
    Repeated,
    Spelled,
    marker,
    parse,
    section,
)

# What typer hands over is no typer.Context but its base, click's, which may be a private copy.
Context = Any


def normalised(name: str) -> str:
    """Spell a name as the command line does, whatever its capitals and dashes."""
    return name.replace("_", "-").lower()


def option(way: str) -> str:
    """Give the option that sets a parameter: `n`, or to a value `n=3`, `header=False`."""
    name, _, value = way.partition("=")
    name = name.replace("_", "-")
    value = value.strip("'")
    return {"": f"--{name}", "False": f"--no-{name}"}.get(value, f"--{name} {value}")


def field_parameters(
    kind: type[Parameters], without: Collection[str] = (), beside: Sequence[type[Command]] = ()
) -> list[inspect.Parameter]:
    """Make typer's parameters of fields: texts, or flags; None where nothing is given.

    The help tells the defaults of the commands `beside` too, where they are others.
    """
    return [
        _field_parameter(kind, name, field, beside)
        for name, field in kind.model_fields.items()
        if name not in without and section(field.annotation) is None
    ]


def _field_parameter(
    kind: type[Parameters], name: str, field: FieldInfo, beside: Sequence[type[Command]] = ()
) -> inspect.Parameter:
    flag = field.annotation in (bool, bool | None)
    repeated = marker(field, Repeated) is not None
    positional = marker(field, Positional)
    # A list also where one text is meant, so that an option that is given twice can be refused.
    single = positional is not None and not repeated
    annotation: Any = bool | None if flag else str | None if single else list[str] | None
    help = escaped(" ".join((field.description or "").split()))
    default = field.get_default(call_default_factory=True)
    if positional is None and not flag and not field.is_required():
        help += _defaults_in_words(name, default, beside)
    if positional is not None:
        info: Any = typer.Argument(metavar=positional.shown, help=help, show_default=False)
    else:
        more = marker(field, Spelled)
        own = _spellings(
            name, more.spellings if more else (), flag=flag, opposite=default is not False
        )
        info = typer.Option(
            *(more.spellings if more and more.alone else own),
            help=help,
            show_default=False,
            rich_help_panel=_panel(kind, name),
            metavar=None if flag else "NAME=V1,..." if repeated else _metavar(field.annotation),
        )
    if positional is not None and field.is_required():
        return keyword(name, Annotated[str, info], inspect.Parameter.empty)
    return keyword(name, Annotated[annotation, info])


def keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """Make a parameter that is given by its name."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _defaults_in_words(name: str, default: Any, beside: Sequence[type[Command]]) -> str:
    """Tell the default, and which commands have another."""
    others: dict[str, list[str]] = {}
    for kind in beside:
        field = kind.model_fields.get(name)
        own = default if field is None else field.get_default(call_default_factory=True)
        if own != default:
            others.setdefault(show(own), []).append(kind.name)
    told = [] if default in (None, ()) else [show(default)]
    told += [f"{shown} ({', '.join(names)})" for shown, names in others.items()]
    return f" Default: {escaped('; '.join(told))}." if told else ""


def _spellings(name: str, more: Sequence[str], *, flag: bool, opposite: bool) -> list[str]:
    pair = next((spelling for spelling in more if "/" in spelling), None)
    plain = [spelling for spelling in more if "/" not in spelling]
    if pair is not None:
        return [pair, *plain]
    if flag and opposite:
        return [f"{option(name)}/--no-{name.replace('_', '-')}", *plain]
    return [option(name), *plain]


def escaped(text: str) -> str:
    """Keep square brackets from being taken for markup."""
    return text.replace("[", "\\[")


def _panel(kind: type[Parameters], name: str) -> str:
    """Give the heading of the class that declares a parameter."""
    for base in kind.__mro__:
        if name in inspect.get_annotations(base):
            return getattr(base, "panel", "Parameters")
    return "Parameters"


def _metavar(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _metavar(parts[0])
    if origin is Literal:
        return "|".join(map(show, parts))
    if origin is tuple:
        return f"{_metavar(parts[0])},..."
    if parts:
        return _metavar(next(part for part in parts if part is not NoneType))
    return {int: "N", float: "X", str: "TEXT", Path: "PATH"}.get(annotation, "VALUE")


def common_options(without: Collection[str]) -> list[inspect.Parameter]:
    """Make the common options, without those that mean nothing to the command."""
    version = typer.Option(
        "--version",
        callback=_show_version,
        is_eager=True,
        help="Show the version and stop.",
        rich_help_panel=COMMON,
    )
    return [
        *field_parameters(Options, without),
        keyword("version", Annotated[bool, version], False),
    ]


def _show_version(context: Context, value: bool) -> bool:
    if value:
        package = context.find_root().command.name or ""
        typer.echo(f"{package} {importlib.metadata.version(package)}")
        raise typer.Exit
    return value


def read_fields(kind: type[Parameters], given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the values of the fields that are given as texts or flags."""
    fields = kind.model_fields
    return {
        name: _value(name, fields[name], value)
        for name, value in given.items()
        if name in fields and value is not None
    }


def _value(name: str, field: FieldInfo, given: Any) -> Any:
    if isinstance(given, bool) or marker(field, Repeated) is not None:
        return given
    return parse(name, field, given if isinstance(given, str) else only_one(name, given))


def only_one(name: str, texts: Sequence[str]) -> str:
    """Give the text of an option that may be given once: one of several would be ignored."""
    if len(texts) > 1:
        raise ParameterError(name, f"{len(texts)} values", "the option once")
    return texts[0]
