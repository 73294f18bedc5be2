"""Paths that a user gives, and the text that lies there."""

import os
from pathlib import Path

from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError, show

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


def is_special(path: Path) -> bool:
    """Tell whether a pipe or a device lies there: to read or write it could take for ever."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def require_regular(
    path: Path, largest: int, refusal: type[SharpwaveError] = SharpwaveError
) -> None:
    """Refuse what is no regular file (to read a pipe or a device could take for ever) or too large.

    Parameters
    ----------
    path
        Of what is to be read.
    largest
        Bytes that it may have.
    refusal
        The error: an `InvalidInputError` where a user named the file.
    """
    if not os.path.isfile(path):  # Path.is_file fails at names that are too long
        what = "is a folder" if os.path.isdir(path) else "is not a regular file"
        raise refusal(f"{show(path)}: {what if os.path.exists(path) else 'there is no such file'}")
    require_size(path, os.path.getsize(path), largest, refusal)


def require_size(
    path: Path, size: int, largest: int, refusal: type[SharpwaveError] = SharpwaveError
) -> None:
    """Refuse a file with, or whose content has, more bytes than `largest`."""
    if size > largest:
        raise refusal(f"{show(path)}: is larger than {largest:,} bytes: {size:,}")


def read_text(path: Path, largest: int) -> str:
    """Read a file of text in UTF-8, of at most `largest` bytes.

    Raises
    ------
    InvalidInputError
        If it is missing, is no regular file, is larger, or holds something else.
    """
    require_regular(path, largest, InvalidInputError)
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
        require_size(path, len(content), largest, InvalidInputError)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInputError(f"{show(path)}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInputError(f"{show(path)}: is not text in UTF-8") from None
