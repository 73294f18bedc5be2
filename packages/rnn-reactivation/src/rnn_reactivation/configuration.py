"""Configurations: shipped ones by name, a user's by path, and `key=value` changes of them.

Values are read as those of a command line; nothing in them is evaluated.
"""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rnn_reactivation.experiments.train import TASKS, TrainHeadDirection, TrainNavigation
from rnn_reactivation.release import ALIASES, PATH, SETTLED, check_settled, translate
from sharpwave_shared.errors import InvalidInputError, ParameterError, show
from sharpwave_shared.parameters import parse, section
from sharpwave_shared.paths import PathLike, as_path

SUFFIXES = (".yml", ".yaml")
Kind = type[TrainNavigation] | type[TrainHeadDirection]
Configuration = TrainNavigation | TrainHeadDirection


@cache
def configuration_names() -> list[str]:
    """List the shipped configurations: `TASK/NAME`."""
    return [
        f"{task}/{file.name.removesuffix('.yml')}"
        for task in TASKS
        for file in sorted(_shipped().joinpath(task).iterdir(), key=lambda file: file.name)
        if file.name.endswith(".yml")
    ]


def load_configuration(
    name_or_path: PathLike, changes: Sequence[str] = (), *, quick: bool = False
) -> Configuration:
    """Load a configuration.

    Parameters
    ----------
    name_or_path
        One of `configuration_names`, or the path of a user's `.yml` or `.yaml` file. Such a file
        has the sections `task`, `rnn` and `trainer`; `task.name` is required unless keys, or the
        file's folder, tell the task; everything else is as usual in the task unless it is given.
    changes
        `section.key=value`, such as `rnn.sigma2_rec=0.0003`. Here and in files, keys may be those
        of the original release (`release.ALIASES`).
    quick
        Whether what is not given is scaled down.

    Raises
    ------
    InvalidInputError
        If there is no such configuration, the file cannot be used, or a key or a value is wrong.
    """
    where, name, settings = _read(name_or_path)
    settings.pop(PATH, None)
    changed = parse_changes(changes)
    given: dict[str, str] = {}
    try:
        own, given = translate(settings)
        kind = _kind(own.get("task.name") or _guess(own, name_or_path))
        own_values = _values(kind, own, given)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from None
    by_our_keys, changed_given = translate(changed)
    given |= changed_given
    values = _values(kind, own | by_our_keys, given)
    variance = values.get("rnn", {}).get("sigma2_rec")
    if "rnn.sigma2_rec" in by_our_keys:
        usual = kind().rnn.sigma2_rec
        if variance != own_values.get("rnn", {}).get("sigma2_rec", usual):
            name = f"{name}_{variance:g}"
    try:
        configuration = kind(config=name, **values)
        check_settled(settings | changed, configuration)
    except ParameterError as error:
        error = ParameterError(given.get(error.name, error.name), error.got, error.expected)
        if error.name in changed:
            raise error from None
        raise InvalidInputError(f"{where}: {error}") from None
    return configuration.scaled_down() if quick else configuration


def results_of(name_or_path: PathLike) -> str | None:
    """Give the key `path` of a configuration, if it has one: where results are to lie."""
    return _read(name_or_path)[2].get(PATH)


def _read(name_or_path: PathLike) -> tuple[str, str, dict[str, str]]:
    """Read a configuration's settings; give what errors call it, and its name, too."""
    from rnn_reactivation.yaml_text import parse_settings, read_settings

    if name_or_path in configuration_names():
        where = f"config={name_or_path}"
        file = _shipped().joinpath(*f"{name_or_path}.yml".split("/"))
        settings = parse_settings(file.read_text(encoding="utf-8"), where)
        return where, name_or_path.partition("/")[2], settings
    text = os.fspath(name_or_path)
    if text.lower().endswith(SUFFIXES):
        path = as_path("config", text)
        return show(path), path.stem, read_settings(path)
    raise _no_such_configuration(text)


def configuration_of(values: Mapping[str, Any]) -> Configuration:
    """Make a configuration of what its `values` gave.

    Raises
    ------
    InvalidInputError
        If they are no configuration's.
    """
    task = values.get("task")
    name = task.get("name") if isinstance(task, Mapping) else None
    return _kind(name if isinstance(name, str) else None)(**values)


def parse_changes(changes: Sequence[str]) -> dict[str, str]:
    """Split `key=value` texts; each key may be given once."""
    given: dict[str, str] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InvalidInputError(f"{show(change)!r}: expected key=value")
        if key in given:
            raise ParameterError(key, "two values", "every key once")
        given[key] = text
    return given


def unknown_key(key: str, known: Sequence[str]) -> ParameterError:
    """Give the error for a key that there is not: it names those of the same name, or the nearest.

    `rnn.n_epochs` is meant as `trainer.n_epochs`, `dt` as `task.dt` or `rnn.dt`.
    """
    last = key.rpartition(".")[2]
    meant = [other for other in known if other.rpartition(".")[2] == last]
    meant = meant or get_close_matches(key[:100], known, 1, cutoff=0)
    return ParameterError(
        key,
        "a name that is unknown",
        f"the key of a parameter; the nearest is {' or '.join(meant)}",
    )


def _shipped() -> Any:
    return files("rnn_reactivation").joinpath("configs")


def _kind(name: str | None) -> Kind:
    """Find the task of this name."""
    if name not in TASKS:
        got = "nothing" if name is None else repr(name)
        raise ParameterError("task.name", got, f"one of {', '.join(TASKS)}")
    return TASKS[name]


def _guess(settings: Mapping[str, str], path: PathLike) -> str | None:
    """Guess the task of a file that does not name it: from its keys, or from its folder."""
    fitting = [name for name, kind in TASKS.items() if settings.keys() <= _fields(kind).keys()]
    folder = Path(path).parent.name
    if len(fitting) == 1:
        return fitting[0]
    return folder if folder in TASKS else None


def _fields(kind: Kind) -> dict[str, Any]:
    """List the fields of all sections by full key."""
    sections = {name: section(field.annotation) for name, field in kind.model_fields.items()}
    return {
        f"{name}.{key}": field
        for name, parameters in sections.items()
        if parameters is not None
        for key, field in parameters.model_fields.items()
    }


def _values(kind: Kind, settings: Mapping[str, str], given: Mapping[str, str]) -> dict[str, Any]:
    """Read values by section from texts by full key; `given` says as what keys were given."""
    known = _fields(kind)
    values: dict[str, Any] = {}
    for key, text in settings.items():
        if key not in known:
            aliases = [alias for alias, ours in ALIASES.items() if ours in known]
            raise unknown_key(given[key], [*known, *aliases, *SETTLED])
        name, _, inner = key.partition(".")
        values.setdefault(name, {})[inner] = parse(given[key], known[key], text)
    return values


def _no_such_configuration(name: str) -> ParameterError:
    names = configuration_names()
    (nearest,) = get_close_matches(name[:100], names, 1, cutoff=0)
    return ParameterError(
        "config",
        repr(name),
        f"the path of a .yml file, or one of {', '.join(names)}; the nearest is {nearest}",
    )
