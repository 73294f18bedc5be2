"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from sharpwave_shared.errors import SharpwaveError, first_line, show
from sharpwave_shared.paths import require_regular, require_size

TEMPORARY_PREFIX = ".partial-"
LARGEST_TEXT = 64 * 2**20
"""Bytes of a file of text that is read, at most."""
LARGEST_FILE = 4 * 2**30
"""Bytes of results or other arrays that are read, at most, packed and unpacked."""
LARGEST_STATE = 64 * 2**30
"""Bytes of tensors that are read, at most: a checkpoint may fill a large GPU."""
Collected = Tensor | np.ndarray | Mapping | list | tuple
"""Parts of a tree that have parts themselves."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` and rename it to `target` on success.

    A reader sees the old file or the whole new one, never a part, even if the process is killed.
    The temporary name starts with `TEMPORARY_PREFIX` and keeps the suffix of the target. On an
    exception it is removed; what a SIGKILL leaves is removed by `remove_partial_files`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=TEMPORARY_PREFIX, suffix=f"-{target.name}", dir=target.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        written, free = temporary.stat().st_size, shutil.disk_usage(target.parent).free
        raise SharpwaveError(
            f"{target} cannot be written: no space is left; it needs more than the {written:,} "
            f"bytes written, and {free:,} are free"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_partial_files(directory: Path) -> None:
    """Remove the temporary files that a killed process left below `directory`."""
    for path in directory.rglob(f"{TEMPORARY_PREFIX}*"):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity are written as null."""
    with atomic_path(path) as temporary:
        text = json.dumps(json_values(content), indent=2, ensure_ascii=False, allow_nan=False)
        # Names of files may hold bytes that are no text: lone surrogates, which JSON escapes so.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def json_values(content: Any) -> Any:
    """Replace what JSON cannot hold: tuples, paths, NumPy values, NaN and infinity."""
    if isinstance(content, Mapping):
        return {str(key): json_values(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [json_values(value) for value in content]
    if isinstance(content, np.ndarray | np.generic):
        return json_values(content.tolist())
    if isinstance(content, float) and not np.isfinite(content):
        return None
    if isinstance(content, Path):
        return str(content)
    return content


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one, or one that is too large, is a `SharpwaveError`."""
    require_regular(path, LARGEST_TEXT)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise SharpwaveError(f"{show(path)}: cannot be read: it is nested too deep") from None
    except (OSError, ValueError) as error:
        raise SharpwaveError(f"{show(path)}: cannot be read: {first_line(error)}") from error


def write_arrays(path: Path, /, **arrays: np.ndarray) -> None:
    """Write named arrays to a compressed `.npz`, atomically; arrays of objects are refused."""
    # Not by numpy.savez_compressed: it would pickle objects and reserves some names.
    with atomic_path(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz`; pickled content is refused."""
    require_regular(path, LARGEST_FILE)
    try:
        with ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        require_size(path, unpacked, LARGEST_FILE)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except SharpwaveError:
        raise
    except Exception as error:  # of the file system, the archive, the compression or the format
        raise SharpwaveError(
            f"{show(path)}: is not a readable .npz file: {first_line(error)}"
        ) from error
    # NumPy gives the bytes of whatever else the archive holds.
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise SharpwaveError(f"{show(path)}: is not a readable .npz file: it holds other files")
    return arrays


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as safetensors, atomically; they may share memory."""
    whole = {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
        for name, tensor in tensors.items()
    }
    with atomic_path(path) as temporary:
        # Not by `save_file`: a kill leaves a temporary file of its own, under another name.
        temporary.write_bytes(save(whole, dict(metadata) if metadata else None))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a safetensors file.

    Raises
    ------
    SharpwaveError
        If the file is missing or is not a safetensors file. Nothing is ever unpickled.
    """
    require_regular(path, LARGEST_STATE)
    try:
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, (  # noqa: SIM118
                stored.metadata() or {}
            )
    except Exception as error:  # safetensors raises its own error class, OSError or ValueError
        raise SharpwaveError(
            f"{show(path)}: is not a readable safetensors file: {first_line(error)}"
        ) from error


def write_tree(path: Path, tree: Any) -> None:
    """Write a tree as safetensors, atomically.

    Parameters
    ----------
    path
        The file.
    tree
        Dictionaries with texts as keys, lists and tuples, of tensors, arrays (of numbers, truth
        values or texts), numbers, texts, None, and xarray datasets.

    Raises
    ------
    TypeError
        If it holds anything else.
    """
    tensors: dict[str, Tensor] = {}
    shape = json.dumps(_shape_of(tree, tensors))
    write_tensors(path, tensors, {"tree": shape})


def read_tree(path: Path) -> Any:
    """Read what `write_tree` wrote; tensors are on the CPU.

    Raises
    ------
    SharpwaveError
        If the file is not such a file.
    """
    tensors, metadata = read_tensors(path)
    try:
        return _tree_of(json.loads(metadata["tree"]), tensors)
    except (KeyError, ValueError, TypeError, RecursionError, AttributeError) as error:
        raise SharpwaveError(
            f"{show(path)}: does not hold what a run keeps: {first_line(error)}"
        ) from error


def require_form(found: Any, fresh: Any, where: str) -> None:
    """Check that a tree has the form of another one: names, types, and shapes of arrays.

    Where `fresh` holds nothing yet (None, an empty collection or array), anything will do. What
    grows with the steps may be longer: an array in its first dimension, a list of plain values.

    Raises
    ------
    SharpwaveError
        Naming the first place where it has another form.
    """
    match fresh:
        case Tensor() | np.ndarray():
            if not _fits(found, fresh):
                raise SharpwaveError(f"{where} is {_form(found)}, not {_form(fresh)}")
        case Mapping() if fresh:
            names = set(found) if isinstance(found, Mapping) else set()
            if names != set(fresh):
                raise SharpwaveError(
                    f"{where} holds {', '.join(sorted(names)) or 'no names'}, not "
                    f"{', '.join(sorted(fresh))}"
                )
            for name, part in fresh.items():
                require_form(found[name], part, f"{where}.{name}")
        case list() | tuple() if any(isinstance(part, Collected) for part in fresh):
            if not isinstance(found, list | tuple) or len(found) != len(fresh):
                raise SharpwaveError(f"{where} does not hold {len(fresh)} parts")
            for number, (part, own) in enumerate(zip(found, fresh, strict=True)):
                require_form(part, own, f"{where}.{number}")
        case int() | float() if not isinstance(found, int | float):
            raise SharpwaveError(f"{where} is {_form(found)}, not a number")


def _fits(found: Any, fresh: Tensor | np.ndarray) -> bool:
    """Tell whether an array is one like another that may have grown meanwhile."""
    if type(found) is not type(fresh) or found.dtype != fresh.dtype or found.ndim != fresh.ndim:
        return False
    if 0 in fresh.shape or found.shape == fresh.shape:
        return True
    return found.shape[1:] == fresh.shape[1:] and found.shape[0] > fresh.shape[0]


def _form(value: Any) -> str:
    """Say what a value is: its type, and of an array the type of its numbers and its shape."""
    if not isinstance(value, Tensor | np.ndarray):
        return f"of type {type(value).__name__}"
    kind = "a tensor" if isinstance(value, Tensor) else "an array"
    dtype = str(value.dtype).removeprefix("torch.")
    return f"{kind} of {dtype} ({', '.join(map(str, value.shape))})"


def _shape_of(tree: Any, tensors: dict[str, Tensor]) -> list[Any]:
    """Describe a tree as a kind and its content; put tensors aside under numbers."""
    if type(tree).__name__ == "Dataset":  # not by its class, whose import takes a second
        return ["dataset", _shape_of(_parts_of(tree), tensors)]
    match tree:
        case None | bool() | int() | float() | str():
            # Of NumPy's numbers, float64 alone is a float.
            return ["value", float(tree) if isinstance(tree, float) else tree]
        case np.generic() if tree.dtype.kind in "biuf":
            return ["value", tree.item()]
        case Tensor():
            return _aside("tensor", tree, tensors)
        case np.ndarray() if tree.dtype.kind in "biuf":
            native = np.array(tree, tree.dtype.newbyteorder("="))
            return _aside("array", torch.from_numpy(native), tensors)
        case np.ndarray() if all(isinstance(text, str) for text in tree.flat):
            return ["texts", np.asarray(tree, dtype=str).tolist()]
        case list() | tuple():
            return [type(tree).__name__, [_shape_of(part, tensors) for part in tree]]
        case Mapping():
            if not all(isinstance(key, str) for key in tree):
                raise TypeError("keys of a tree must be texts")
            return ["dict", {key: _shape_of(part, tensors) for key, part in tree.items()}]
    raise TypeError(f"a tree cannot hold a {type(tree).__name__}")


def _aside(kind: str, tensor: Tensor, tensors: dict[str, Tensor]) -> list[Any]:
    # No function within `_shape_of`: where types are checked, each call would wrap it anew.
    tensors[str(len(tensors))] = tensor
    return [kind, str(len(tensors) - 1)]


def _parts_of(data: Any) -> dict[str, Any]:
    """Take a dataset apart."""

    def parts(variables: Any) -> dict[str, Any]:
        return {
            str(name): {"dims": list(v.dims), "values": v.values, "attrs": dict(v.attrs)}
            for name, v in variables.items()
        }

    return {
        "coords": parts(data.coords),
        "variables": parts(data.data_vars),
        "attrs": dict(data.attrs),
    }


def _tree_of(shape: list[Any], tensors: Mapping[str, Tensor]) -> Any:
    kind, content = shape
    match kind:
        case "value":
            return content
        case "tensor":
            return tensors[content]
        case "array":
            return tensors[content].numpy()
        case "texts":
            return np.array(content, dtype=str)
        case "list":
            return [_tree_of(part, tensors) for part in content]
        case "tuple":
            return tuple(_tree_of(part, tensors) for part in content)
        case "dict":
            return {key: _tree_of(part, tensors) for key, part in content.items()}
        case "dataset":
            import xarray as xr  # takes a second, which few trees need

            parts = _tree_of(content, tensors)
            return xr.Dataset(
                {name: tuple(v.values()) for name, v in parts["variables"].items()},
                {name: tuple(v.values()) for name, v in parts["coords"].items()},
                parts["attrs"],
            )
    raise ValueError(f"a part of unknown kind {kind!r}")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
