"""Files that are not what they should be: each is one error that names it, at once and in memory.

Every file is read in a process of its own, which is killed if it takes long, and may not take much
memory. What is wrong within valid files, and faults of configurations, are in the tests of readers.
"""

import gzip
import io
import json
import os
import resource
import signal
import struct
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnn_reactivation.networks import MODEL
from rnn_reactivation.networks import read_model as read_network
from sharpwave_shared import data, open_run
from sharpwave_shared.data import free_spoken_digits, kaufman_2012, mnist
from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.files import read_arrays, read_tensors, read_tree, write_tensors
from sharpwave_shared.results import read_results
from sharpwave_shared.testing import invoke
from synaptic_consolidation.cli import app as synaptic_consolidation
from synaptic_consolidation.experiments.theory import Theory
from synaptic_consolidation.spines import read_spines

MEMORY = 2 * 2**30
"""Bytes more than the tests' own that a reader could take."""
GROWTH = 400 * 2**20
"""Bytes that it may take."""
SECONDS = 60

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")


def outcome(read: Callable[[], Any]) -> str:
    """Call a function in a process of its own with little memory; give its one-line error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(_limited(read)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        content = told.read()
    _, status = os.waitpid(child, 0)
    assert content, f"killed after {SECONDS} s or for its memory: status {status}"
    kind, message, growth = json.loads(content)
    assert kind == "refused", f"{kind}: {message}"
    assert growth < GROWTH, f"{growth:,} bytes of memory: {message}"
    assert message.isprintable()
    assert len(message) < 500
    return message


def _limited(read: Callable[[], Any]) -> tuple[str, str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        kind, message = "read", repr(read())[:100]
    except SharpwaveError as error:
        kind, message = "refused", str(error)
    except BaseException as error:
        kind, message = type(error).__name__, str(error)[:1000]
    return kind, message, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def check(read: Callable[[Path], Any], path: Path) -> None:
    assert str(path) in outcome(lambda: read(path))


def sparse(path: Path, size: int, start: bytes = b"") -> None:
    """Write a file that has a size, and takes no space."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


# --- Weights and checkpoints ----------------------------------------------------------------------


def tensor(dtype: str = "F32", shape: Any = (2,), offsets: tuple[int, int] = (0, 8)) -> Any:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def safetensors(header: Any, values: int = 8, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + b"\0" * values


TWICE = f'{{"a": {json.dumps(tensor())}, "a": {json.dumps(tensor(offsets=(8, 16)))}}}'.encode()
HEADERS = {
    "header beyond the file": safetensors({"a": tensor()}, length=10**6),
    "header of 2^63 bytes": safetensors({"a": tensor()}, length=2**63),
    "header of 2^64 - 1 bytes": safetensors({"a": tensor()}, length=2**64 - 1),
    "overlapping": safetensors({"a": tensor(), "b": tensor()}),
    "gap": safetensors({"a": tensor(), "b": tensor(offsets=(12, 20))}, 20),
    "name twice": safetensors(TWICE, 16),
    "unknown dtype": safetensors({"a": tensor("OBJ")}),
    "negative shape": safetensors({"a": tensor(shape=(-2,))}),
    "fractional shape": safetensors({"a": tensor(shape=(2.5,))}),
    "shape that overflows": safetensors({"a": tensor(shape=(2**33, 2**33))}),
    "empty shape that overflows": safetensors({"a": tensor(shape=(2**63, 0), offsets=(0, 0))}, 0),
    "negative offset": safetensors({"a": tensor(offsets=(-8, 0))}),
    "offsets swapped": safetensors({"a": tensor(offsets=(8, 0))}),
    "nested": safetensors(b'{"a":' + b"[" * 100_000),
    "no object": safetensors([1, 2]),
    "numbers as metadata": safetensors({"__metadata__": {"tree": 1}, "a": tensor()}),
    "more at the end": safetensors({"a": tensor()}, 9),
    "a name in colours": safetensors({"\x1b[2J" * 10_000: tensor("OBJ")}),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_of_safetensors(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(HEADERS[kind])
    check(read_tensors, path)


@pytest.mark.parametrize("read", [read_tensors, read_tree, read_arrays, read_results])
def test_files_of_arrays_that_are_huge(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    sparse(path, 100 * 2**30, safetensors({"a": tensor("U8", [2**36], (0, 2**36))}, 0))
    check(read, path)


def test_metadata_that_is_nested(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, {}, {MODEL: "[" * 100_000})
    check(read_network, path)


# --- Archives -------------------------------------------------------------------------------------


def archive(path: Path, header: bytes, blocks: int = 0, lie: int | None = None) -> None:
    """Write an array of a `.npz` file: a header, and a number of MiB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stored:
        with stored.open("a.npy", "w", force_zip64=True) as member:
            member.write(header)
            for _ in range(blocks):
                member.write(bytes(2**20))
        if lie is not None:
            stored.infolist()[0].file_size = lie


def npy(shape: str, dtype: str = "|u1") -> bytes:
    stream = io.BytesIO()
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    stream.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text)
    return stream.getvalue()


ARCHIVES: dict[str, dict[str, Any]] = {
    "size beyond all": {"header": npy(f"({2**50},)")},
    "size that overflows": {"header": npy(f"({2**40}, {2**40})")},
    "negative size": {"header": npy("(-1,)")},
    "header that is code": {"header": npy("__import__('os').getpid()")},
    "header that is nested": {"header": npy("(" * 30_000)},
    "objects": {"header": npy("(1,)", "|O")},
    "unpacked size that is huge": {"header": npy("(1,)"), "lie": 2**40},
    "unpacked size that is too small": {"header": npy(f"({2**29},)"), "blocks": 1, "lie": 100},
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    archive(path, **ARCHIVES[kind])
    check(read_arrays, path)


def test_an_archive_that_is_large_when_it_is_unpacked(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "x.npz"
    monkeypatch.setattr("sharpwave_shared.files.LARGEST_FILE", 2**24)
    archive(path, npy(f"({2**25},)"), blocks=32)
    assert path.stat().st_size < 2**20
    assert f"larger than {2**24:,} bytes" in outcome(lambda: read_arrays(path))


# --- Results --------------------------------------------------------------------------------------


def bomb(file: h5py.File, other: Path) -> None:
    file.create_dataset("x", (2**40,), "f8", chunks=(2**16,), compression="gzip")


def coordinate(file: h5py.File, other: Path) -> None:
    """Dimensions are read as soon as the file is opened."""
    file.create_dataset("x", (2**34,), "f8").make_scale("x")


def external_link(file: h5py.File, other: Path) -> None:
    file["x"] = h5py.ExternalLink(other, "x")


def soft_link(file: h5py.File, other: Path) -> None:
    file["x"] = h5py.SoftLink("/nowhere")


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("x", (8,), "u1", external=[(str(other), 0, 8)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((8,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "x", (8,))
    file.create_virtual_dataset("x", layout)


def group(file: h5py.File, other: Path) -> None:
    file.create_group("x")


@pytest.mark.parametrize(
    "fill", [bomb, coordinate, external_link, soft_link, external_storage, virtual, group]
)
def test_results(fill: Callable[[h5py.File, Path], None], tmp_path: Path) -> None:
    path, other = tmp_path / "results.nc", tmp_path / "other"
    with h5py.File(other, "w") as file:
        file["x"] = np.arange(8, dtype="u1")
    with h5py.File(path, "w") as file:
        fill(file, other)
    check(read_results, path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("theory") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sharpwave_shared.execution.draw_run", lambda *_: [])
        Theory(f=0.1, points=2).run(0, out=out)
    return out


@pytest.mark.parametrize("name", ["run.json", "results.nc"])
@pytest.mark.parametrize("fault", ["huge", "pipe", "text"])
def test_runs(name: str, fault: str, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in ("run.json", "results.nc"):
        os.link(finished / file, run / file)
    (run / name).unlink()
    if fault == "huge":
        sparse(run / name, 10 * 2**30, b"{")
    elif fault == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).write_text("<html>no</html>")
    place = run if (name, fault) == ("run.json", "pipe") else run / name
    assert str(place) in outcome(lambda: open_run(run).data)


@pytest.mark.parametrize("name", ["results.nc", "run.json"])
def test_commands_say_so_in_a_line(
    name: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in ("run.json", "results.nc"):
        (tmp_path / file).write_bytes((finished / file).read_bytes())
    sparse(tmp_path / name, 10 * 2**30)
    for command in ("verify", "plot"):
        code, out, err = invoke(synaptic_consolidation, capsys, command, tmp_path)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {tmp_path / name}: is larger than")
        assert err.count("\n") == 1


def test_a_run_directory_with_a_pipe(finished: Path, tmp_path: Path) -> None:
    """To open a log that is a pipe would wait for its reader."""
    (tmp_path / "run.json").write_bytes((finished / "run.json").read_bytes())
    os.mkfifo(tmp_path / "log.txt")
    again = Theory(f=0.1, points=2)
    found = outcome(lambda: again.run(0, out=tmp_path, force=True))
    assert f"{tmp_path / 'log.txt'}: no regular file" in found


# --- Data -----------------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    sparse(path, 10 * 2**30, b"1,2\n")


def long_field(path: Path) -> None:
    sparse(path, 10**9, b"1,")


@pytest.mark.parametrize("make", [pipe, endless, huge, long_field])
def test_spines(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "spines.csv")
    check(read_spines, tmp_path / "spines.csv")


def test_a_line_of_a_million_columns(tmp_path: Path) -> None:
    path = tmp_path / "spines.csv"
    path.write_text("1," * 10**6 + "x")
    check(read_spines, path)


def unpacking(path: Path) -> None:
    """Write what unpacks to a GiB."""
    path.write_bytes(gzip.compress(bytes(2**20)) * 2**10)


def lying_size(path: Path) -> None:
    path.write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 2**31)))


@pytest.mark.parametrize("make", [pipe, endless, huge, unpacking, lying_size])
def test_mnist(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    make(path)
    assert str(path) in outcome(lambda: mnist("mnist", data_dir=tmp_path))


@pytest.mark.parametrize("make", [pipe, endless, huge])
def test_kaufman(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "kaufman_2012.csv")
    assert str(tmp_path / "kaufman_2012.csv") in outcome(lambda: kaufman_2012(data_dir=tmp_path))


def recording(size: int = 16, rate: int = 8000, **header: tuple[int, str, int]) -> bytes:
    """Make a recording, and write other numbers into its header: `name=(place, form, value)`."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(size))
    content = bytearray(stream.getvalue())
    for place, form, value in header.values():
        struct.pack_into(form, content, place, value)
    return bytes(content)


RECORDINGS: dict[str, bytes] = {
    "no bytes": b"",
    "data beyond the file": recording(data=(40, "<I", 2**32 - 1)),
    "a format of no bytes": recording(format=(16, "<I", 0)),
    "a format beyond the file": recording(format=(16, "<I", 2**32 - 1)),
    "no channels": recording(channels=(22, "<H", 0)),
    "many channels": recording(channels=(22, "<H", 2**16 - 1)),
    "no bits": recording(bits=(34, "<H", 0)),
    "compressed": recording(codec=(20, "<H", 6)),
    "no rate": recording(rate_=(24, "<I", 0)),
    "longer than any": recording(2**18),
}


@pytest.mark.parametrize("make", [*RECORDINGS, pipe, endless, huge])
def test_recordings(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "FSDD_SPEAKERS", ("george",))
    monkeypatch.setattr(data, "FSDD_TAKES", 1)
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for digit in range(10):
        (folder / f"{digit}_george_0.wav").write_bytes(recording())
    path = folder / "7_george_0.wav"
    path.unlink()
    if callable(make):
        make(path)
    else:
        path.write_bytes(RECORDINGS[make])
    found = outcome(lambda: free_spoken_digits(data_dir=tmp_path))
    assert f"{folder}: 1 of 10 recordings are damaged: 7_george_0.wav" in found
