"""Data sets against a local HTTP server and hostile files; with real data where it is there."""

import gzip
import hashlib
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import wave
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sharpwave_shared import data, downloads
from sharpwave_shared.command_line import option
from sharpwave_shared.data import (
    DataWarning,
    Mnist,
    cache_dir,
    free_spoken_digits,
    kaufman_2012,
    mnist,
)
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.reporting import Reporter

REAL_DATA = os.environ.get("SHARPWAVE_DATA")
CLOSED = "http://127.0.0.1:9/"  # the discard port, where nothing listens
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's data, cache, proxy and network out of the tests."""
    monkeypatch.delenv("SHARPWAVE_DATA", raising=False)
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data, "MNIST_MIRRORS", (CLOSED,))
    monkeypatch.setattr(data, "FSDD_ARCHIVES", (CLOSED + "fsdd.zip",))


# --- A server whose files and faults the test chooses --------------------------------------------


@dataclass
class Server:
    """`answers` gives what a path is answered with: bytes, or a function of the handler."""

    address: str
    answers: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = field(
        default_factory=dict
    )
    requests: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    started: list[tuple[ThreadingHTTPServer, Server]] = []

    def start(answers: dict | None = None) -> Server:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                server.requests.append(name)
                answer = server.answers.get(name)
                try:
                    if answer is None:
                        self.send_error(404)
                    elif isinstance(answer, bytes):
                        send(self, answer)
                    else:
                        answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client gave up, as it should

            def log_message(self, format: str, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        http.block_on_close = False
        server = Server(f"http://127.0.0.1:{http.server_port}/", dict(answers or {}))
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        started.append((http, server))
        return server

    yield start
    for http, server in started:
        server.stopping.set()
        http.shutdown()
        http.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, length: int | str | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


# --- MNIST in miniature --------------------------------------------------------------------------


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return header + values.tobytes()


@dataclass
class Files:
    """The four files, compressed, as a mirror or a data directory holds them."""

    compressed: dict[str, bytes]
    arrays: list[np.ndarray]

    def put(self, directory: Path) -> Path:
        (directory / "mnist").mkdir(parents=True)
        for name, content in self.compressed.items():
            (directory / "mnist" / name).write_bytes(content)
        return directory

    def check(self, loaded: Mnist) -> None:
        found = (
            loaded.train_images,
            loaded.train_labels,
            loaded.test_images,
            loaded.test_labels,
        )
        for array, expected in zip(found, self.arrays, strict=True):
            np.testing.assert_array_equal(array, expected)
            assert array.dtype == np.uint8
            assert array.flags.writeable


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Files:
    """Stand in for MNIST with 300 training and 2 test images, as if that were the real one."""
    random = np.random.default_rng(0)
    shapes = [(300, 28, 28), (300,), (2, 28, 28), (2,)]
    arrays = [random.integers(0, 256 if len(s) == 3 else 10, s, dtype=np.uint8) for s in shapes]
    contents = dict(zip(data.MNIST_SHA256, map(idx, arrays), strict=True))
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(data, "MNIST_SHA256", checksums)
    return Files({name: gzip.compress(content) for name, content in contents.items()}, arrays)


def cached_names() -> set[str]:
    cache = cache_dir()
    return {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}


COMPLETE_CACHE = {".mnist.lock", *(f"mnist/{name}" for name in data.MNIST_SHA256)}


# --- Where MNIST is looked for -------------------------------------------------------------------


def test_precedence_of_the_places(tiny, tmp_path, monkeypatch, start_server):
    server = start_server(tiny.compressed)
    monkeypatch.setattr(data, "MNIST_MIRRORS", (server.address,))
    option, variable = tmp_path / "option", tmp_path / "variable"
    option.mkdir()
    variable.mkdir()
    monkeypatch.setenv("SHARPWAVE_DATA", str(variable))

    def source() -> str:
        loaded = mnist("mnist", data_dir=option)
        tiny.check(loaded)
        assert Path(loaded.record.location, TRAIN_IMAGES).is_file()
        return loaded.record.source

    assert source() == "download"
    assert source() == "cache"
    assert len(server.requests) == 4
    tiny.put(variable)
    assert source() == "SHARPWAVE_DATA"
    tiny.put(option)
    assert source() == "data_dir"
    assert len(server.requests) == 4


def test_record_names_the_content_not_the_place(tiny, tmp_path):
    first = mnist(data_dir=tiny.put(tmp_path / "a")).record
    second = mnist(data_dir=tiny.put(tmp_path / "b")).record
    assert first.name == "mnist"
    assert first.location != second.location
    assert first.checksum == second.checksum
    lines = [f"{data.MNIST_SHA256[name]}  {name}\n" for name in sorted(data.MNIST_SHA256)]
    assert first.checksum == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_another_gzip_wrapper_is_the_same_content(tiny, tmp_path):
    other = {
        name: gzip.compress(gzip.decompress(content), 1, mtime=7)
        for name, content in tiny.compressed.items()
    }
    assert other != tiny.compressed
    tiny.check(mnist("mnist", data_dir=Files(other, tiny.arrays).put(tmp_path / "other")))


@pytest.mark.parametrize("folder", ["mnist", "MNIST", "MNIST/raw", "mnist/raw"])
@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_names_and_packings_in_the_wild(folder, dotted, packed, tiny, tmp_path):
    (tmp_path / folder).mkdir(parents=True)
    for name, content in tiny.compressed.items():
        wild = name.replace("-idx", ".idx") if dotted else name
        wild = wild if packed else wild.removesuffix(".gz")
        (tmp_path / folder / wild).write_bytes(content if packed else gzip.decompress(content))
    tiny.check(mnist("mnist", data_dir=str(tmp_path)))


def test_the_home_folder_may_be_abbreviated(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny.put(tmp_path / "data")
    assert mnist("mnist", data_dir="~/data").record.location == str(tmp_path / "data" / "mnist")
    monkeypatch.setenv("SHARPWAVE_DATA", "~/data")
    assert mnist("mnist").record.source == "SHARPWAVE_DATA"


def test_cache_that_cannot_be_written_still_is_read(tiny, monkeypatch):
    tiny.put(cache_dir())
    monkeypatch.setattr(downloads, "FileLock", None)  # any attempt to lock would fail
    assert mnist("mnist").record.source == "cache"


def test_user_cache_folder_is_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("SHARPWAVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().name == "sharpwave"
    if sys.platform == "linux":
        assert cache_dir() == tmp_path / "sharpwave"


# --- Directories that the user named -------------------------------------------------------------


@pytest.mark.parametrize("load", [mnist, free_spoken_digits, kaufman_2012])
@pytest.mark.parametrize("kind", ["absent", "file"])
def test_unusable_data_directory(load, kind, tmp_path, monkeypatch):
    place = tmp_path / kind
    if kind == "file":
        place.write_text("not a directory")
    with pytest.raises(
        InvalidInputError, match=f"data_dir: got {place}, expected a readable directory"
    ):
        load(data_dir=place)
    monkeypatch.setenv("SHARPWAVE_DATA", str(place))
    with pytest.raises(InvalidInputError, match=f"SHARPWAVE_DATA: got {place}, .*directory"):
        load()


def damage(content: bytes, fault: str) -> bytes:
    flipped = bytearray(gzip.decompress(content))
    flipped[-1] ^= 1
    return {
        "truncated": content[: len(content) // 2],
        "empty": b"",
        "text": b"<html>Not what you wanted</html>",
        "one bit": gzip.compress(bytes(flipped)),
        "bad deflate": content[:20] + b"\xff" * 20 + content[40:],
    }[fault]


FAULTS = ["truncated", "empty", "text", "one bit", "bad deflate"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("named_by", ["data_dir", "SHARPWAVE_DATA"])
def test_damaged_file_in_a_named_directory_is_refused(fault, named_by, tiny, tmp_path, monkeypatch):
    tiny.put(cache_dir())  # a good copy elsewhere must not hide the fault
    place = tiny.put(tmp_path / "place")
    path = place / "mnist" / TRAIN_IMAGES
    path.write_bytes(damage(path.read_bytes(), fault))
    if named_by == "SHARPWAVE_DATA":
        monkeypatch.setenv("SHARPWAVE_DATA", str(place))
    with pytest.raises(InvalidInputError) as caught:
        mnist("auto", data_dir=place if named_by == "data_dir" else None)
    message = str(caught.value)
    assert message.startswith(f"{named_by}: got {place}, expected no damaged data set: {path}")
    assert data.MNIST_SHA256[TRAIN_IMAGES] in message
    if fault == "one bit":
        assert hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() in message
    assert path.exists(), "a user's file is never deleted"


def test_swapped_files_in_a_named_directory(tiny, tmp_path):
    place = tiny.put(tmp_path / "place")
    (place / "mnist" / TRAIN_LABELS).rename(place / "mnist" / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(InvalidInputError, match=f"{TRAIN_LABELS} is missing"):
        mnist(data_dir=place)
    (place / "mnist" / TRAIN_LABELS).mkdir()
    with pytest.raises(InvalidInputError, match=f"{TRAIN_LABELS} cannot be read"):
        mnist(data_dir=place)


def test_unknown_data_set():
    with pytest.raises(InvalidInputError, match=r"dataset: got cifar, .*auto, mnist, mnist-5k"):
        inspect.unwrap(mnist)("cifar")  # without the type checks that the tests add


# --- Downloads -----------------------------------------------------------------------------------


def test_download_leaves_only_the_data(tiny, monkeypatch, start_server, tmp_path):
    server = start_server(tiny.compressed)
    monkeypatch.setattr(data, "MNIST_MIRRORS", (server.address,))
    before = set(tmp_path.iterdir())
    tiny.check(mnist("mnist"))
    assert cached_names() == COMPLETE_CACHE
    assert set(tmp_path.iterdir()) - before == {cache_dir()}


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_of_a_download(quiet, terminal, tiny, monkeypatch, start_server):
    server = start_server(tiny.compressed)
    monkeypatch.setattr(data, "MNIST_MIRRORS", (server.address,))
    shown = io.StringIO()
    shown.isatty = lambda: terminal
    monkeypatch.setattr("sys.stderr", shown)
    with Reporter(quiet=quiet).show_log("sharpwave_shared"):
        mnist("mnist")
    assert (f"downloading {server.address}{TRAIN_IMAGES}\n" in shown.getvalue()) == (not quiet)
    assert (f"{TRAIN_IMAGES}: 100%|" in shown.getvalue()) == (terminal and not quiet)


def silent(server: Server):
    return lambda _: server.stopping.wait(4)


def trickle(server: Server):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"", length=10**6)
        for _ in range(200):
            handler.wfile.write(b"x" * 64)
            server.stopping.wait(0.02)

    return answer


def bytewise(server: Server, where: str):
    """Send a byte now and then, so that no time-out of a single read is met."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if where == "content":
            send(handler, b"", length=10**6)
        for _ in range(40):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            server.stopping.wait(0.1)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x" * 65536)


def cut_off(content: bytes):
    return lambda handler: send(handler, content[:-10], length=len(content))


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("not found", "404"),
        ("cut off", "Incomplete|incomplete|ended|end-of-stream"),
        ("wrong", "not the right file"),
        ("text", "cannot be read"),
        ("wrong header", "many"),
        ("silent", "timed out|too slow"),
        ("trickle", "too slow"),
        ("bytewise content", "too slow"),
        ("bytewise header", "too slow"),
        ("endless", "more than"),
        ("refused", "refused"),
    ],
)
def test_faulty_mirror_is_replaced_by_the_next(
    fault, answer, tiny, monkeypatch, start_server, caplog
):
    bad, good = start_server(tiny.compressed), start_server(tiny.compressed)
    content = tiny.compressed[TRAIN_IMAGES]
    bad.answers[TRAIN_IMAGES] = {
        "cut off": cut_off(content),
        "wrong": damage(content, "one bit"),
        "text": damage(content, "text"),
        "silent": silent(bad),
        "trickle": trickle(bad),
        "bytewise content": bytewise(bad, "content"),
        "bytewise header": bytewise(bad, "header"),
        "wrong header": lambda handler: send(handler, content, length="many"),
        "endless": endless,
    }.get(fault)
    first = CLOSED if fault == "refused" else bad.address
    monkeypatch.setattr(data, "MNIST_MIRRORS", (first, good.address))
    monkeypatch.setattr(downloads, "READ_TIMEOUT", 0.3)
    monkeypatch.setattr(downloads, "MAXIMUM_BYTES", 10**6)
    caplog.set_level("INFO", "sharpwave_shared")

    start = time.monotonic()
    tiny.check(mnist("mnist"))
    assert time.monotonic() - start < 8
    assert cached_names() == COMPLETE_CACHE
    assert bad.requests == ([] if fault == "refused" else [TRAIN_IMAGES])
    assert sorted(good.requests) == sorted(tiny.compressed)
    (told,) = [line for line in caplog.messages if line.startswith(f"{first}: ")]
    assert any(word in told for word in answer.split("|"))


def test_second_mirror_fetches_only_what_is_wanted_still(tiny, monkeypatch, start_server):
    first, second = start_server(tiny.compressed), start_server(tiny.compressed)
    del first.answers["t10k-images-idx3-ubyte.gz"]
    monkeypatch.setattr(data, "MNIST_MIRRORS", (first.address, second.address))
    tiny.check(mnist("mnist"))
    assert second.requests == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]


def test_all_mirrors_fail(tiny, monkeypatch, start_server):
    empty = start_server()
    monkeypatch.setattr(data, "MNIST_MIRRORS", (CLOSED, empty.address))
    with pytest.raises(SharpwaveError) as caught:
        mnist("mnist")
    assert not isinstance(caught.value, InvalidInputError)
    message = str(caught.value)
    for part in (CLOSED, "refused", empty.address, "404", "data_dir=DIR", "dataset='mnist-5k'"):
        assert part in message
    assert "--data-dir DIR finds" in caught.value.told(option)
    assert "--dataset mnist-5k uses" in caught.value.told(option)
    assert "\n" not in message
    assert cached_names() == {".mnist.lock"}


def test_auto_goes_on_with_the_embedded_subset(tiny, monkeypatch, start_server):
    empty = start_server()
    monkeypatch.setattr(data, "MNIST_MIRRORS", (CLOSED, empty.address))
    with pytest.warns(DataWarning, match=r"refused.*404.*embedded 5,000-image subset"):
        loaded = mnist()
    assert loaded.record.name == "mnist-5k"
    assert loaded.record.source == "embedded"


def test_dead_network_is_noticed_soon(tiny, monkeypatch):
    release, asked = threading.Event(), []

    def hang(address: tuple[str, int], timeout: float) -> None:
        asked.append(address)
        release.wait(4)

    monkeypatch.setattr("socket.create_connection", hang)
    monkeypatch.setattr(downloads, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(data, "MNIST_MIRRORS", ("https://one.invalid/", "http://two.invalid/"))
    start = time.monotonic()
    with pytest.raises(SharpwaveError, match=r"one.invalid/: no answer in 0.2 s; .*two.invalid"):
        mnist("mnist")
    release.set()
    assert time.monotonic() - start < 5
    assert asked == [("one.invalid", 443), ("two.invalid", 80)], "each mirror is asked once"


def test_cache_that_cannot_be_used(tiny, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SharpwaveError, match=r"cache .* cannot be used"):
        mnist("mnist")
    with pytest.warns(DataWarning, match="cannot be used"):
        assert mnist().record.name == "mnist-5k"


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_file_in_the_cache_is_replaced(fault, tiny, monkeypatch, start_server):
    server = start_server(tiny.compressed)
    monkeypatch.setattr(data, "MNIST_MIRRORS", (server.address,))
    tiny.put(cache_dir())
    path = cache_dir() / "mnist" / TRAIN_LABELS
    path.write_bytes(damage(path.read_bytes(), fault))
    with pytest.warns(DataWarning, match=f"{path} .*downloading it again"):
        loaded = mnist("mnist")
    tiny.check(loaded)
    assert loaded.record.source == "download"
    assert server.requests == [TRAIN_LABELS]
    assert cached_names() == COMPLETE_CACHE


# --- Several processes ---------------------------------------------------------------------------

SCRIPT = """
import json, sys
from sharpwave_shared import data, downloads
data.MNIST_SHA256, data.MNIST_MIRRORS = json.loads(sys.argv[1])
print("ready", flush=True)
loaded = data.mnist("mnist")
print(loaded.record.source, int(loaded.train_images.sum()), flush=True)
"""


def start_process(*mirrors: str) -> subprocess.Popen[str]:
    arguments = json.dumps([dict(data.MNIST_SHA256), mirrors])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, arguments], stdout=subprocess.PIPE, text=True
    )


def test_killed_download_starts_again(tiny, monkeypatch, start_server):
    server = start_server(tiny.compressed)
    content = tiny.compressed[TRAIN_LABELS]
    halfway = threading.Event()

    def half(handler: BaseHTTPRequestHandler) -> None:
        send(handler, content[: len(content) // 2], length=len(content))
        halfway.set()
        server.stopping.wait(30)

    server.answers[TRAIN_LABELS] = half
    process = start_process(server.address)
    try:
        assert halfway.wait(60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert any(name.endswith(".partial") for name in os.listdir(cache_dir()))
    assert os.listdir(cache_dir() / "mnist") == [TRAIN_IMAGES]

    server.answers[TRAIN_LABELS] = content
    server.requests.clear()
    monkeypatch.setattr(data, "MNIST_MIRRORS", (server.address,))
    with pytest.warns(DataWarning, match=f"{TRAIN_LABELS} is missing"):
        tiny.check(mnist("mnist"))
    assert TRAIN_IMAGES not in server.requests, "what was complete is kept"
    assert cached_names() == COMPLETE_CACHE
    assert not [name for name in os.listdir(cache_dir()) if name.endswith(".partial")]


def test_two_processes_download_once(tiny, start_server):
    server = start_server(tiny.compressed)
    both_started = threading.Event()

    def later(handler: BaseHTTPRequestHandler) -> None:
        both_started.wait(60)
        time.sleep(0.3)  # so that the other one reaches the lock while this one holds it
        send(handler, tiny.compressed[TRAIN_IMAGES])

    server.answers[TRAIN_IMAGES] = later
    processes = [start_process(server.address) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    both_started.set()
    results = sorted(process.communicate(timeout=60)[0].split() for process in processes)
    total = str(int(tiny.arrays[0].sum()))
    assert results == [["cache", total], ["download", total]]
    assert sorted(server.requests) == sorted(tiny.compressed)


# --- The embedded subset -------------------------------------------------------------------------


def test_embedded_subset():
    subset = mnist("mnist-5k")
    assert subset.train_images.shape == (4000, 28, 28)
    assert subset.test_images.shape == (1000, 28, 28)
    assert subset.train_images.dtype == subset.train_labels.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(subset.train_labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(subset.test_labels), [100] * 10)
    np.testing.assert_array_equal(np.bincount(subset.train_labels[:50]), [5] * 10)
    assert subset.train_images.min() == 0
    assert subset.train_images.max() == 255
    images = [image.tobytes() for image in (*subset.train_images, *subset.test_images)]
    assert len(set(images)) == 5000, "no image is in both parts"
    assert (subset.record.name, subset.record.source) == ("mnist-5k", "embedded")
    again = mnist("mnist-5k")
    np.testing.assert_array_equal(subset.test_images, again.test_images)
    assert not cache_dir().exists(), "nothing is written"


def test_embedded_labels_belong_to_the_images():
    subset = mnist("mnist-5k")
    train, test = (
        images.reshape(-1, 784) / 255.0 for images in (subset.train_images, subset.test_images)
    )
    means = np.stack([train[subset.train_labels == digit].mean(0) for digit in range(10)])
    nearest = ((test[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == subset.test_labels).mean() > 0.7  # chance is 0.1


def test_embedded_subset_is_verified(monkeypatch):
    monkeypatch.setattr(data, "MNIST_5K_SHA256", "0" * 64)
    with pytest.raises(SharpwaveError, match=r"mnist_5k.csv.gz is not the right file"):
        mnist("mnist-5k")


# --- Spoken digits -------------------------------------------------------------------------------


def wav(samples: np.ndarray, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as stream:
        stream.setparams((channels, width, rate, 0, "NONE", ""))
        stream.writeframes(samples.tobytes())
    return buffer.getvalue()


@pytest.fixture
def speech(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Stand in for the data set with 2 speakers and 2 takes of each digit."""
    random = np.random.default_rng(0)
    files = {
        f"{digit}_{speaker}_{index}.wav": wav(
            random.integers(-(2**15), 2**15, 100 + digit).astype("<i2")
        )
        for digit in range(10)
        for speaker in ("ann", "bob")
        for index in range(2)
    }
    monkeypatch.setattr(data, "FSDD_SPEAKERS", ("ann", "bob"))
    monkeypatch.setattr(data, "FSDD_TAKES", 2)
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    monkeypatch.setattr(data, "FSDD_SHA256", hashlib.sha256("".join(lines).encode()).hexdigest())
    return files


def put_speech(files: dict[str, bytes], directory: Path) -> Path:
    recordings = directory / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    for name, content in files.items():
        (recordings / name).write_bytes(content)
    return directory


def test_spoken_digits(speech, tmp_path):
    place = put_speech({**speech, "README": b"not a recording"}, tmp_path / "place")
    loaded = free_spoken_digits(data_dir=place)
    keys = [(r.digit, r.speaker, r.index) for r in loaded.recordings]
    assert keys == sorted(keys)
    assert len(keys) == 40
    for recording in loaded.recordings:
        assert recording.waveform.shape == (100 + recording.digit,)
        assert recording.waveform.dtype == np.int16
        assert recording.sample_rate == 8000
        name = f"{recording.digit}_{recording.speaker}_{recording.index}.wav"
        assert speech[name].endswith(recording.waveform.astype("<i2").tobytes())
    assert (loaded.record.name, loaded.record.source) == ("fsdd", "data_dir")
    assert loaded.record.checksum == data.FSDD_SHA256


SOUND = np.arange(50, dtype="<i2")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (wav(SOUND)[:-6], "ends too early"),
        (wav(SOUND)[:30], "damaged"),
        (b"", "damaged"),
        (b"This is not a sound.", "RIFF"),
        (wav(SOUND, rate=16000), "16000"),
        (wav(SOUND, channels=2), r"\(2, 16"),
        (wav(SOUND, width=1), r"\(1, 8"),
        (wav(SOUND), "not version 1.0.10"),
        (None, "missing"),
    ],
)
def test_faulty_recording(content, problem, speech, tmp_path):
    place = put_speech(speech, tmp_path / "place")
    path = place / "fsdd" / "recordings" / "3_bob_1.wav"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=problem) as caught:
        free_spoken_digits(data_dir=place)
    message = str(caught.value)
    assert message.startswith(f"data_dir: got {place}, expected no damaged data set: {path.parent}")
    if "version" not in problem:
        assert "1 of 40 recordings" in message
        assert "3_bob_1.wav" in message


def test_two_recordings_swapped(speech, tmp_path):
    speech["0_ann_0.wav"], speech["1_ann_0.wav"] = speech["1_ann_0.wav"], speech["0_ann_0.wav"]
    with pytest.raises(InvalidInputError, match=data.FSDD_SHA256):
        free_spoken_digits(data_dir=put_speech(speech, tmp_path / "place"))


def test_empty_recordings_folder(speech, tmp_path):
    with pytest.raises(InvalidInputError, match=r"40 of 40 .*missing: 0_ann_0.wav, .*\.\.\."):
        free_spoken_digits(data_dir=put_speech({}, tmp_path / "place"))


def archive(files: dict[str, bytes], folder: str = "free-1.0.10/recordings") -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as members:
        for name, content in files.items():
            members.writestr(name if "/" in name else f"{folder}/{name}", content)
    return {"fsdd.zip": buffer.getvalue()}


def test_spoken_digits_are_downloaded(speech, monkeypatch, start_server):
    server = start_server(archive({**speech, "free-1.0.10/README.md": b"Read me"}))
    monkeypatch.setattr(data, "FSDD_ARCHIVES", (CLOSED + "fsdd.zip", f"{server.address}fsdd.zip"))
    assert free_spoken_digits().record.source == "download"
    assert free_spoken_digits().record.source == "cache"
    assert cached_names() == {".fsdd.lock", *(f"fsdd/recordings/{name}" for name in speech)}
    (cache_dir() / "fsdd" / "recordings" / "0_ann_0.wav").unlink()
    with pytest.warns(DataWarning, match=r"1 of 40 .*0_ann_0.wav: downloading it again"):
        assert len(free_spoken_digits().recordings) == 40
    assert server.requests == ["fsdd.zip", "fsdd.zip"]


def test_hostile_archive_writes_nowhere_else(speech, monkeypatch, start_server, tmp_path):
    outside = tmp_path / "outside.wav"
    hostile = {
        "../../outside.wav": b"1",
        "free-1.0.10/recordings/../../../../outside.wav": b"2",
        str(outside): b"3",
        "../../recordings/0_ann_0.wav": speech["0_ann_0.wav"],
        "free-1.0.10/recordings/unknown.wav": b"4",
    }
    server = start_server(archive({**speech, **hostile}))
    monkeypatch.setattr(data, "FSDD_ARCHIVES", (f"{server.address}fsdd.zip",))
    before = set(tmp_path.rglob("*"))
    free_spoken_digits()
    assert set(tmp_path.iterdir()) - before == {cache_dir()}
    assert cached_names() == {".fsdd.lock", *(f"fsdd/recordings/{name}" for name in speech)}


@pytest.mark.parametrize("fault", ["truncated", "wrong", "incomplete", "text"])
def test_faulty_archive(fault, speech, monkeypatch, start_server):
    good = archive(speech)["fsdd.zip"]
    incomplete = {name: content for name, content in speech.items() if name != "9_bob_1.wav"}
    server = start_server(
        {
            "truncated": {"fsdd.zip": good[: len(good) // 2]},
            "wrong": archive({**speech, "9_bob_1.wav": wav(SOUND)}),
            "incomplete": archive(incomplete),
            "text": {"fsdd.zip": b"<html>"},
        }[fault]
    )
    monkeypatch.setattr(data, "FSDD_ARCHIVES", (f"{server.address}fsdd.zip",))
    with pytest.raises(
        SharpwaveError, match=f"{server.address}.*data_dir=DIR.*dataset='synthetic'"
    ):
        free_spoken_digits()
    assert cached_names() == {".fsdd.lock"}


# --- Kaufman 2012 --------------------------------------------------------------------------------


def test_kaufman(tmp_path, monkeypatch):
    content = b"0.25,1.5,nan\n1e-3,2,0.5"
    monkeypatch.setattr(data, "KAUFMAN_SHA256", hashlib.sha256(content).hexdigest())
    path = tmp_path / "place" / "kaufman_2012.csv"
    path.parent.mkdir()
    path.write_bytes(content)
    loaded = kaufman_2012(data_dir=path.parent)
    np.testing.assert_array_equal(loaded.values, [[0.25, 1.5, np.nan], [1e-3, 2, 0.5]])
    assert loaded.values.dtype == np.float64
    assert (loaded.record.name, loaded.record.location) == ("kaufman-2012", str(path))

    path.write_bytes(content + b"\n")
    with pytest.raises(InvalidInputError, match=f"{path} is not the right file"):
        kaufman_2012(data_dir=path.parent)
    assert path.exists()


def test_kaufman_is_absent_or_damaged_in_the_cache():
    with pytest.raises(SharpwaveError, match=r"missing.*pone\.0040980.*data_dir=DIR"):
        kaufman_2012()
    cache_dir().mkdir()
    (cache_dir() / "kaufman_2012.csv").write_text("1,2,3\n")
    with pytest.raises(SharpwaveError, match=r"not the right file.*pone\.0040980"):
        kaufman_2012()


# --- Real data -----------------------------------------------------------------------------------


def real(entry: str) -> Path:
    if not REAL_DATA or not Path(REAL_DATA, entry).exists():
        pytest.skip(f"SHARPWAVE_DATA has no {entry}")
    return Path(REAL_DATA)


def test_real_mnist():
    loaded = mnist("mnist", data_dir=real("mnist"))
    assert loaded.train_images.shape == (60000, 28, 28)
    assert loaded.test_images.shape == (10000, 28, 28)
    assert loaded.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert loaded.test_labels[:5].tolist() == [7, 2, 1, 0, 4]

    subset = mnist("mnist-5k")
    for digit in range(10):
        first = loaded.train_images[loaded.train_labels == digit][:500]
        mine = [
            images[labels == digit]
            for images, labels in (
                (subset.train_images, subset.train_labels),
                (subset.test_images, subset.test_labels),
            )
        ]
        np.testing.assert_array_equal(np.concatenate(mine), first)


def test_real_spoken_digits():
    loaded = free_spoken_digits(data_dir=real("fsdd"))
    assert len(loaded.recordings) == 3000
    assert len({r.speaker for r in loaded.recordings}) == 6
    assert np.std(loaded.recordings[0].waveform) > 0


def test_real_kaufman():
    values = kaufman_2012(data_dir=real("kaufman_2012.csv")).values
    assert values.shape == (1087, 49)
    assert not (values <= 0).any()
