"""The errors that a command turns into one line and an exit code, and the warning it shows."""

from collections.abc import Callable, Mapping
from pathlib import PurePath


def in_python(way: str) -> str:
    """Spell what a parameter is set to as a call does: `force=True` for `force`."""
    return way if "=" in way else f"{way}=True"


def _told(message: str, ways: Mapping[str, str], spelled: Callable[[str], str]) -> str:
    told = ", ".join(f"{spelled(way)} {does}" for way, does in ways.items())
    return f"{message}; {told}" if told else message


class SharpwaveError(Exception):
    """A failure at run time, told to the user in one line (exit code 1).

    Parameters
    ----------
    message
        What is wrong.
    ways
        Parameters that help, and what each does: `force="discards it"`, or with a value
        `**{"data_dir=DIR": "names the folder"}`. A command line tells them as options.
    """

    def __init__(self, message: str = "", **ways: str):
        self.message, self.ways = message, ways
        super().__init__(self.told(in_python))

    def told(self, spelled: Callable[[str], str]) -> str:
        """Give the message, with the ways spelled as a command line does, say."""
        return _told(self.message, self.ways, spelled)


class InvalidInputError(SharpwaveError):
    """Input that cannot be used, found before any work starts (exit code 2)."""


class ParameterError(InvalidInputError):
    """A parameter whose value cannot be used: `n: got 1, expected a whole number from 2 to 5,000`.

    Raised with the parameter's name in Python; a command line shows the option's instead.

    Parameters
    ----------
    name
        Of the parameter; of one within a section, `section.name`.
    got
        Its value, or words that describe it.
    expected
        What is allowed, in words.
    """

    def __init__(self, name: str, got: object, expected: str):
        self.name, self.got, self.expected = name, got, expected
        super().__init__(self.naming(name))

    def __reduce__(self) -> tuple:
        return type(self), (self.name, self.got, self.expected)

    def naming(self, name: str) -> str:
        """Give the message with another name for the parameter, that of an option say."""
        return f"{name}: got {show(self.got)}, expected {self.expected}"


class ExistingRunError(InvalidInputError):
    """A directory holds a run that is in the way."""


class DivergenceError(SharpwaveError):
    """Training met a loss that is not a finite number; the message names the step."""


class DataWarning(UserWarning):
    """The run goes on, but with other data than one would expect, or after a repair.

    Parameters are those of `SharpwaveError`.
    """

    def __init__(self, message: str = "", **ways: str):
        self.message, self.ways = message, ways
        super().__init__(self.told(in_python))

    def told(self, spelled: Callable[[str], str]) -> str:
        """Give the message, with the ways spelled as a command line does, say."""
        return _told(self.message, self.ways, spelled)


def reason(error: BaseException) -> str:
    """Say why something failed; of an error that is no `SharpwaveError`, name the class, too."""
    return str(error) if isinstance(error, SharpwaveError) else f"{type(error).__name__}: {error}"


def first_line(error: BaseException) -> str:
    """Give what a library says of somebody's file in a line: some quote it, or C++'s stack."""
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:197]}..."


LONGEST, LONGEST_PATH = 60, 240
"""Characters of a value, and of a path, in a message, at most."""


def show(value: object) -> str:
    """Write a value as one would on a command line: `0.1`, `1,2,3`, `true`, `none`."""
    match value:
        case None:
            text = "none"
        case bool():
            text = str(value).lower()
        case int() if value.bit_length() > 4 * LONGEST:
            text = "a huge number"
        case float():
            text = repr(float(value)).removesuffix(".0")
        case tuple() | list():
            text = ",".join(show(part) for part in value[:LONGEST]) if value else "nothing"
        case _:
            text = str(value)
    if not text.isprintable():
        text = ascii(text)[1:-1]
    longest = LONGEST_PATH if isinstance(value, PurePath) else LONGEST
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
