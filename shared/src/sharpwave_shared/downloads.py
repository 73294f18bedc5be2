"""Downloads that end: bounded in size and time, from the first mirror that answers well.

Nothing here decides what a file must hold; `sharpwave_shared.data` checks that before it renames a
file into place.
"""

import logging
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import BinaryIO
from urllib.parse import urlsplit

from filelock import FileLock
from pooch import HTTPDownloader
from tqdm import tqdm

from sharpwave_shared.errors import SharpwaveError

CONNECT_TIMEOUT = 5.0  # seconds to reach a mirror, name resolution included
READ_TIMEOUT = 20.0  # seconds of silence after which a mirror is given up
MINIMUM_RATE = 10_000  # bytes per second, on average, that a mirror must deliver after that time
LOCK_TIMEOUT = 900.0  # seconds to wait for another process that downloads the same data
MAXIMUM_BYTES = 2**27  # of a download; all real ones are smaller
POLL_INTERVAL = 0.1  # seconds between two looks at how far a download is

logger = logging.getLogger(__name__)


class UnusableError(SharpwaveError):
    """A file or a mirror that does not hold what it should; the message says which and why."""


def from_first_good(mirrors: Sequence[str], fetch: Callable[[str], None]) -> None:
    """Fetch from one mirror after the other, until one does not fail.

    A mirror that failed once is not asked again, so that a dead network is noticed soon.

    Raises
    ------
    SharpwaveError
        If all fail; the message says how each did.
    """
    answers = []
    for mirror in mirrors:
        try:
            return fetch(mirror)
        except UnusableError as error:
            logger.info("%s: %s", mirror, error)
            answers.append(f"{mirror}: {error}")
    raise SharpwaveError("; ".join(answers))


@contextmanager
def locked_workspace(cache: Path, entry: str) -> Iterator[Path]:
    """Give an empty folder in the cache to one process at a time.

    What a killed process left in it is removed by the next one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    workspace = cache / f".{entry}.partial"
    with FileLock(cache / f".{entry}.lock", timeout=LOCK_TIMEOUT):
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        try:
            yield workspace
        finally:
            shutil.rmtree(workspace, ignore_errors=True)


def download(url: str, target: Path) -> None:
    """Download `url` to `target`, in bounded size and time, with a progress bar on a terminal.

    A level of the logger `sharpwave_shared` above `WARNING` (`--quiet` sets it) hides the bar.

    Raises
    ------
    UnusableError
        If the mirror cannot be reached, fails, or sends too much or too slowly.
    """
    logger.info("downloading %s", url)
    # None is for "on a terminal only".
    disable = None if logger.isEnabledFor(logging.WARNING) else True
    try:
        _connect(url)
        with (
            target.open("wb") as stream,
            # pooch sets the total; 1 stands for it until then because 0 counts as "no bar".
            tqdm(total=1, desc=target.name, unit="B", unit_scale=True, disable=disable) as bar,
        ):
            fetch = HTTPDownloader(
                progressbar=bar,  # pyright: ignore[reportArgumentType]
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                headers={"Accept-Encoding": "identity"},  # the .gz as it is stored
            )
            _supervise(lambda file: fetch(url, file, None), _BoundedFile(stream))
    # OSError is the base of all errors of requests, too; ValueError is pooch's for a wrong header.
    except (OSError, ValueError) as error:
        raise UnusableError(str(error) or f"no answer in {CONNECT_TIMEOUT:g} s") from error


def _supervise(fetch: Callable[["_BoundedFile"], object], file: "_BoundedFile") -> None:
    """Run `fetch(file)` in a thread and give it up when it is far too slow.

    The time-outs of requests do not suffice: a mirror that sends a byte now and then, of the
    header or of the content, never meets them.
    """
    answer = _in_thread(lambda: fetch(file))
    start = time.monotonic()
    try:
        while not wait([answer], timeout=POLL_INTERVAL).done:
            elapsed = time.monotonic() - start
            if elapsed > READ_TIMEOUT and file.received < MINIMUM_RATE * elapsed:
                raise UnusableError(f"too slow: {file.received} bytes in {elapsed:.0f} s")
        answer.result()
    finally:
        file.closed = True  # ends a thread that was given up


def _connect(url: str) -> None:
    """Fail within `CONNECT_TIMEOUT` if the host cannot be reached.

    The time-outs of requests do not suffice: they do not cover name resolution, and count again
    for each of a host's many addresses.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxied = {parts.scheme, "all"} & urllib.request.getproxies().keys()
    if proxied and not urllib.request.proxy_bypass(host):
        return  # only the proxy can tell

    def connect() -> None:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        # Less than the whole time, so that a second address gets a chance.
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT / 2).close()

    _in_thread(connect).result(CONNECT_TIMEOUT)


def _in_thread(function: Callable[[], object]) -> Future[None]:
    """Run a function in a thread that nothing waits for, not even the end of the process."""
    answer: Future[None] = Future()

    def run() -> None:
        try:
            function()
            answer.set_result(None)
        except Exception as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    return answer


class _BoundedFile:
    """A file to download into that refuses what comes without end, or after it was closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.received = 0
        self.closed = False

    def write(self, chunk: bytes) -> None:
        if self.closed:
            raise UnusableError("was given up")
        self.received += len(chunk)
        if self.received > MAXIMUM_BYTES:
            raise UnusableError(f"sends more than {MAXIMUM_BYTES} bytes")
        self.stream.write(chunk)

    def flush(self) -> None:
        """Do nothing: pooch asks for it after every chunk."""
