"""Paths that a user gives, and the text that lies there."""

import os
from pathlib import Path

from sharpwave_shared.errors import InvalidInputError, ParameterError, show

PathLike = str | os.PathLike[str]
LONGEST_PATH, LONGEST_NAME = 4096, 255
"""Bytes of a path, and of a name in it, on the usual file systems."""


def as_path(name: str, value: object) -> Path:
    """Give a path of a text, or of what stands for a path; `~` is the home folder.

    Parameters
    ----------
    name
        Of the parameter, for the error.
    value
        What was given.

    Raises
    ------
    ParameterError
        If it is nothing of the kind, is empty or too long, or has characters that none can have.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip():
        raise ParameterError(name, repr(value), "a path")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:  # half of a character
        encoded = b"\0"
    if b"\0" in encoded:
        raise ParameterError(name, Path(text), "a path, without characters that none can have")
    longest = max(map(len, encoded.split(os.fsencode(os.sep))))
    if len(encoded) > LONGEST_PATH or longest > LONGEST_NAME:
        raise ParameterError(
            name,
            Path(text),
            f"a path of at most {LONGEST_PATH:,} bytes, whose names have at most {LONGEST_NAME}",
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ParameterError(name, text, f"a path ({error})") from None


def reachable(name: str, path: Path) -> Path:
    """Give the path back if something lies there, or could.

    Raises
    ------
    ParameterError
        If nothing can: it leads through a file, in a circle, or through a closed folder.
    """
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ParameterError(
            name, path, f"a path that leads somewhere ({error.strerror})"
        ) from None
    return path


def check_file(path: Path) -> None:
    """Refuse what is no regular file: to read a pipe or a device could take for ever.

    Raises
    ------
    InvalidInputError
        If it is none, or nothing lies there.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not a regular file"
            what = what if path.exists() else "there is no such file"
            raise InvalidInputError(f"{show(path)}: {what}")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInputError(f"{show(path)}: cannot be read: {reason}") from None


def read_text(path: Path, largest: int) -> str:
    """Read a file of text in UTF-8, of at most `largest` bytes.

    Raises
    ------
    InvalidInputError
        If it is missing, is no regular file, is larger, or holds something else.
    """
    check_file(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise InvalidInputError(f"{show(path)}: cannot be read: {error.strerror}") from None
    if len(content) > largest:
        raise InvalidInputError(f"{show(path)}: is larger than {largest:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(f"{show(path)}: is not text in UTF-8") from None
