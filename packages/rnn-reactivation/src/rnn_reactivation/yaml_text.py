"""YAML as plain text: what a configuration file says, and nothing that could do more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sharpwave_shared.errors import InvalidInputError, show
from sharpwave_shared.paths import read_text

LARGEST_FILE = 100_000
"""Bytes; a configuration has about a thousand."""
DEEPEST = 3
"""Levels of a file: sections, keys, lists."""


def read_settings(path: Path) -> dict[str, str]:
    """Read a file's values by full key, as texts: `rnn.tau` is `0.1`, a list `[0.5,0]`.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, or holds anything but sections of keys with numbers, texts and
        lists: tags, anchors and aliases are refused.
    """
    return parse_settings(read_text(path, LARGEST_FILE), show(path))


def parse_settings(text: str, where: str) -> dict[str, str]:
    """Do what `read_settings` does with a text; `where` it is from is told in errors."""
    try:
        _scan(text, where)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{where}: is not YAML: {_problem(error)}") from None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise InvalidInputError(f"{where}: must be a mapping of the sections task, rnn, trainer")
    settings: dict[str, str] = {}
    for key, value in _flat(root, where):
        if key in settings:
            raise InvalidInputError(f"{where}: is not YAML: duplicate key {show(key)}")
        settings[key] = value
    return settings


def write_settings(values: dict[str, Any]) -> str:
    """Write plain values as YAML that `parse_settings` reads."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _scan(text: str, where: str) -> None:
    """Refuse what could make more of a text than plain values.

    The events of the parser are as many as the text has words, whatever it means.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise InvalidInputError(f"{where}: tags such as {show(tag)} are refused")
        if getattr(event, "anchor", None) is not None:
            raise InvalidInputError(f"{where}: anchors and aliases (&, *) are refused")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise InvalidInputError(
                f"{where}: is nested too deeply; sections hold numbers, texts and lists of them"
            )


def _flat(node: yaml.MappingNode, where: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give the values below a node by full key; a section whose keys are all left out has none."""
    for name, value in node.value:
        key = prefix + _text(name)
        if isinstance(value, yaml.MappingNode):
            yield from _flat(value, where, f"{key}.")
        elif prefix or _text(value):
            yield key, _text(value)


def _text(node: yaml.Node) -> str:
    """Give what a node says, as on a command line; truth values as true or false."""
    if isinstance(node, yaml.SequenceNode):
        return f"[{','.join(map(_text, node.value))}]"
    if not isinstance(node, yaml.ScalarNode):
        return "{...}"
    if node.tag.endswith(":bool"):  # YAML has yes, no, on and off, too
        return str(yaml.SafeLoader.bool_values[node.value.lower()]).lower()
    return "" if node.tag.endswith(":null") else node.value


def _problem(error: yaml.YAMLError) -> str:
    """Say in one line what is wrong with a YAML text."""
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    return " ".join(said.split()) + (f" (line {mark.line + 1})" if mark is not None else "")
