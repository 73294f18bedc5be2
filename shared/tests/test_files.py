"""Files are whole or absent, whatever happens, and nothing that is read can run code."""

import errno
import io
import json
import multiprocessing
import os
import pickle
import random
import re
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.files import (
    atomic_path,
    read_arrays,
    read_json,
    read_tensors,
    read_tree,
    remove_partial_files,
    sha256,
    write_arrays,
    write_json,
    write_tensors,
    write_tree,
)

fork = multiprocessing.get_context("fork")


# --- Atomicity -----------------------------------------------------------------------------------


def write_for_ever(folder: Path) -> None:
    """Rewrite three files; each version holds one number throughout."""
    for version in range(10**9):
        write_arrays(folder / "a.npz", values=np.full(300_000, version))
        write_tensors(folder / "t.safetensors", {"values": torch.full((300_000,), version)})
        write_json(folder / "j.json", [version] * 10_000)


def test_killed_writer_leaves_whole_files(tmp_path):
    chance = random.Random(0)
    partial = 0
    for _ in range(12):
        process = fork.Process(target=write_for_ever, args=(tmp_path,))
        process.start()
        deadline = time.monotonic() + 30
        while not (tmp_path / "j.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.06))
        process.kill()
        process.join()
        partial += len(list(tmp_path.glob(".partial-*")))

        versions = [
            np.unique(read_arrays(tmp_path / "a.npz")["values"]),
            np.unique(read_tensors(tmp_path / "t.safetensors")[0]["values"].numpy()),
            np.unique(read_json(tmp_path / "j.json")),
        ]
        assert [len(version) for version in versions] == [1, 1, 1]
        remove_partial_files(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "t.safetensors", "j.json"}
        # Every second time, the next one starts with nothing there.
        if chance.random() < 0.5:
            (tmp_path / "j.json").unlink()
    assert partial > 0, "no kill hit a write: the test shows nothing"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_exception_leaves_the_old_file_and_nothing_else(error, old, tmp_path):
    target = tmp_path / "file.txt"
    if old is not None:
        target.write_text(old)

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("new")
            raise error

    with pytest.raises(error):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ([] if old is None else ["file.txt"])
    if old is not None:
        assert target.read_text() == old


def test_target_is_unchanged_until_the_block_ends(tmp_path):
    target = tmp_path / "new" / "folder" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.suffix == ".txt"
    assert target.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")
def test_permissions_follow_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        write_json(tmp_path / "file.json", 1)
    finally:
        assert os.umask(previous) == 0o027, "the umask is left as it was"
    assert stat.S_IMODE((tmp_path / "file.json").stat().st_mode) == 0o640


def test_only_partial_files_are_removed(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in (".partial-1-a.npz", "figures/.partial-2-b.png", "kept.npz", ".lock", "partial-3"):
        (tmp_path / name).write_text("")
    remove_partial_files(tmp_path)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"kept.npz", ".lock", "partial-3"}


# --- Nothing is unpickled ------------------------------------------------------------------------


class Trap:
    """Once unpickled, it creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def hostile_contents(trap: Trap) -> dict[str, bytes]:
    npy, npz, torch_file = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, np.array([trap], dtype=object), allow_pickle=True)
    np.savez(npz, a=np.array([trap], dtype=object))
    torch.save({"weight": trap}, torch_file)
    return {
        "npy": npy.getvalue(),
        "npz": npz.getvalue(),
        "torch": torch_file.getvalue(),
        "pickle": pickle.dumps(trap),
    }


@pytest.mark.parametrize("kind", ["npy", "npz", "torch", "pickle"])
@pytest.mark.parametrize(
    ("read", "suffix"),
    [(read_arrays, ".npz"), (read_tensors, ".safetensors"), (read_tree, ".safetensors")],
)
def test_pickles_are_refused(kind, read, suffix, tmp_path):
    sprung = tmp_path / "sprung"
    content = hostile_contents(Trap(sprung))[kind]
    if kind in {"npz", "npy"}:  # the trap works
        loaded = np.load(io.BytesIO(content), allow_pickle=True)
        loaded = loaded["a"] if kind == "npz" else loaded
        assert sprung.exists()
        sprung.unlink()
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(SharpwaveError, match=f"file{suffix}: is not a readable"):
        read(path)
    assert not sprung.exists()


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(tmp_path / "a.npz", numbers=np.ones(3), objects=np.array([None, "x"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [read_arrays, read_tensors, read_tree, read_json])
@pytest.mark.parametrize("fault", ["missing", "empty", "cut", "text", "flipped", "directory"])
def test_damaged_file_is_one_error_that_names_it(read, fault, tmp_path):
    write_arrays(tmp_path / "read_arrays", a=np.arange(1000.0))
    write_tensors(tmp_path / "read_tensors", {"a": torch.arange(1000.0)})
    write_tree(tmp_path / "read_tree", {"a": np.arange(1000.0)})
    write_json(tmp_path / "read_json", {"a": list(range(1000))})
    path = tmp_path / read.__name__
    content = path.read_bytes()
    path.unlink()
    if fault == "directory":
        path.mkdir()
    elif fault != "missing":
        path.write_bytes(
            {
                "empty": b"",
                "cut": content[: len(content) // 2],
                "text": b"<html>no</html>",
                "flipped": bytes(255 - byte for byte in content),
            }[fault]
        )
    with pytest.raises(SharpwaveError, match=read.__name__):
        read(path)


# --- Round trips ---------------------------------------------------------------------------------

numbers = st.sampled_from(["?", "i1", "u8", "<i4", "<f2", "<f8", "<c8"])


@given(
    st.dictionaries(
        st.sampled_from(["file", "path", "allow_pickle", "a"]),
        numbers.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, min_side=0))),
    )
)
def test_arrays_round_trip(tmp_path_factory, stored):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    write_arrays(path, **stored)
    loaded = read_arrays(path)
    assert loaded.keys() == stored.keys()
    for name, array in stored.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_tensors_round_trip(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    stored = {
        "base": base,
        "tied": base,
        "row": base[1],
        "transposed": base.T,
        "strided": base[:, ::2],
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "with gradient": torch.ones(2, requires_grad=True),
    }
    write_tensors(tmp_path / "t.safetensors", stored, {"step": "7"})
    loaded, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"step": "7"}
    assert loaded.keys() == stored.keys()
    for name, tensor in stored.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    write_tensors(tmp_path / "t.safetensors", {})
    assert read_tensors(tmp_path / "t.safetensors") == ({}, {})


texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
kinds = st.sampled_from(["?", "i1", "i2", "<i8", "u1", "u2", "<u8", "<f2", "<f4", "<f8", ">f8"])
some_arrays = kinds.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, min_side=0)))
some_texts = arrays("U3", array_shapes(min_dims=1, max_dims=2), elements=st.text("aé", max_size=3))
datasets = st.builds(
    lambda values, note: xr.Dataset(
        {"x": (("seed", "step"), values, {"units": "m"}), "scalar": 3.0},
        {"seed": [f"s{i}" for i in range(len(values))], "kind": ("step", [True] * values.shape[1])},
        {"note": note, "count": 3},
    ),
    arrays("<f4", st.tuples(st.integers(0, 3), st.integers(0, 3))),
    texts,
)
trees = st.recursive(
    scalars | some_arrays | some_texts | datasets,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)


def same(a, b) -> bool:
    """Tell whether two trees are equal in kinds and values, NaN being equal to NaN."""
    if isinstance(a, dict):
        return (
            isinstance(b, dict) and list(a) == list(b) and all(same(v, b[k]) for k, v in a.items())
        )
    if isinstance(a, list | tuple):
        equal = type(a) is type(b) and len(a) == len(b)
        return equal and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, xr.Dataset):
        dtypes = all(a[name].dtype == b[name].dtype for name in a.variables)
        return b.identical(a) and dtypes
    if isinstance(a, np.ndarray):
        dtype = a.dtype.newbyteorder("=")
        if dtype.kind == "U":
            return b.dtype.kind == "U" and a.tolist() == b.tolist()
        return b.dtype == dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    return type(a) is type(b) and (a == b or (a != a and b != b))


@settings(max_examples=50)
@given(trees)
def test_trees_round_trip(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("trees") / "t.safetensors"
    write_tree(path, tree)
    assert same(tree, read_tree(path))


def test_numbers_and_tensors_of_trees(tmp_path):
    tree = {
        "numpy": [np.bool_(True), np.int8(3), np.uint64(2**63), np.float32(0.5), np.float64("nan")],
        "text": np.str_("x"),
        "objects": np.array(["a", "bc"], object),
        "tensors": (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, 3, requires_grad=True).T),
        "strided": np.arange(6)[::2],
    }
    write_tree(tmp_path / "t", tree)
    again = read_tree(tmp_path / "t")
    assert again["numpy"][:4] == [True, 3, 2**63, 0.5]
    assert [type(number) for number in again["numpy"]] == [bool, int, int, float, float]
    assert type(again["text"]) is str
    assert again["objects"].tolist() == ["a", "bc"]
    first, second = again["tensors"]
    assert (first.dtype, second.shape, second.requires_grad) == (torch.bfloat16, (3, 2), False)
    assert again["strided"].tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    "tree",
    [
        {1: "a"},
        [{"a": object()}],
        {1, 2},
        1j,
        np.array([1j]),
        np.array(["a", None]),
        np.array(["2020"], "datetime64[D]"),
        np.longdouble(1),
    ],
)
def test_other_things_are_not_kept(tree, tmp_path):
    with pytest.raises(TypeError):
        write_tree(tmp_path / "t", tree)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "shape", ["", "3", "{}", '["tensor", "7"]', '["pickle", "x"]', '["dict", 3]', "[" * 100_000]
)
def test_a_hostile_tree_is_one_error(shape, tmp_path):
    write_tensors(tmp_path / "t", {"0": torch.ones(2)}, {"tree": shape})
    with pytest.raises(SharpwaveError, match="does not hold what a run keeps"):
        read_tree(tmp_path / "t")


def test_defaults_of_torch_do_not_change_what_is_kept(tmp_path):
    tree = {"array": np.ones(2, np.float32), "tensor": torch.ones(2, dtype=torch.float16)}
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        write_tree(tmp_path / "t", tree)
        again = read_tree(tmp_path / "t")
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert again["array"].dtype == np.float32
    assert again["tensor"].dtype == torch.float16
    assert again["tensor"].device.type == "cpu"
    assert again["array"].tolist() == again["tensor"].tolist() == [1, 1]


def test_json(tmp_path):
    path = tmp_path / "j.json"
    content = {
        "nan": float("nan"),
        "infinite": [float("inf"), np.float32("-inf"), np.array([1.5, np.nan])],
        "numpy": (np.int64(3), np.bool_(True), np.arange(2)),
        "path": Path("a") / "b",
        "no text": "\udcff",
        1: "Größe",
    }
    write_json(path, content)
    expected = {
        "nan": None,
        "infinite": [None, None, [1.5, None]],
        "numpy": [3, True, [0, 1]],
        "path": os.path.join("a", "b"),
        "no text": "\udcff",
        "1": "Größe",
    }
    assert read_json(path) == expected
    text = path.read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == expected, "strict JSON"
    with pytest.raises(TypeError):
        write_json(path, object())
    assert read_json(path) == expected
    assert len(list(tmp_path.iterdir())) == 1


def test_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == expected


READERS = [read_json, read_arrays, read_tensors, read_tree]


@pytest.mark.parametrize("read", READERS)
def test_only_regular_files_are_read(read, tmp_path):
    """A pipe that nobody writes into would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(SharpwaveError, match=f"{name}: is (a folder|not a regular file)"):
            read(tmp_path / name)
    with pytest.raises(SharpwaveError, match="absent: there is no such file"):
        read(tmp_path / "absent")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_json_that_is_nested_too_deep(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(SharpwaveError, match="nested too deep"):
        read_json(tmp_path / "x.json")


def test_json_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("sharpwave_shared.files.LARGEST_TEXT", 1000)
    (tmp_path / "x.json").write_text("[" + "1," * 1000 + "1]")
    with pytest.raises(SharpwaveError, match="larger than 1,000 bytes"):
        read_json(tmp_path / "x.json")


def fill_disk(temporary: Path) -> None:
    temporary.write_bytes(b"12345")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_with_the_file_and_what_it_needs(tmp_path):
    target = tmp_path / "x.nc"

    def write() -> None:
        with atomic_path(target) as temporary:
            fill_disk(temporary)

    message = f"{target} cannot be written: no space is left; it needs more than the 5 bytes"
    with pytest.raises(SharpwaveError, match=re.escape(message)):
        write()
    assert not list(tmp_path.iterdir())
