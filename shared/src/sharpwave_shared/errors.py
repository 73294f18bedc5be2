"""The errors that a command turns into one line and an exit code, and the warning it shows."""

from collections.abc import Callable, Mapping


class SharpwaveError(Exception):
    """A failure at run time, told to the user in one line (exit code 1)."""


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
    """A directory holds a run that is in the way.

    Parameters
    ----------
    message
        What lies there.
    ways
        Options that help, and what each does: `force="discards it"`.
    """

    def __init__(self, message: str, **ways: str):
        self.message, self.ways = message, ways
        super().__init__(self.told(lambda name: f"{name}=True"))

    def __reduce__(self) -> tuple:
        return _existing_run, (self.message, self.ways)

    def told(self, spelled: Callable[[str], str]) -> str:
        """Give the message, with the options spelled as a command line does, say."""
        ways = ", ".join(f"{spelled(name)} {does}" for name, does in self.ways.items())
        return f"{self.message}; {ways}"


def _existing_run(message: str, ways: Mapping[str, str]) -> ExistingRunError:
    return ExistingRunError(message, **ways)


class DivergenceError(SharpwaveError):
    """Training met a loss that is not a finite number; the message names the step."""


class DataWarning(UserWarning):
    """The run goes on, but with other data than one would expect, or after a repair."""


def reason(error: BaseException) -> str:
    """Say why something failed; of an error that is no `SharpwaveError`, name the class, too."""
    return str(error) if isinstance(error, SharpwaveError) else f"{type(error).__name__}: {error}"


LONGEST = 60
"""Characters of a value in a message, at most."""


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
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
