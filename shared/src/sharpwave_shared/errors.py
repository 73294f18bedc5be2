"""The errors that a command turns into one line and an exit code."""


class SharpwaveError(Exception):
    """A failure at run time, told to the user in one line (exit code 1)."""


class InvalidInputError(SharpwaveError):
    """Input that cannot be used, found before any work starts (exit code 2).

    The message names the option, its value, and what is allowed.
    """


class DivergenceError(SharpwaveError):
    """Training met a loss that is not a finite number; the message names the step."""
