"""Signals: what ends a run as Ctrl-C does, and is told at once."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
"""What clusters send at a time limit, and what a terminal sends that is closed."""

RESUMABLE = "the run can be gone on with"
"""Note of an interruption that leaves a checkpoint."""


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Let `ENDS` raise KeyboardInterrupt within the block; what was ignored before, stays so."""
    if threading.current_thread() is not threading.main_thread():  # where none can be handled
        yield
        return
    handled = [number for number in ENDS if signal.getsignal(number) is not signal.SIG_IGN]

    def interrupt(signum: int, frame: Any) -> None:
        for number in handled:  # a second one must not disturb the end
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def told_at_once() -> Iterator[None]:
    """Say at once that a signal was heard; let a second Ctrl-C end the process.

    Compiled code, and compiling it, can take many seconds, in which Python runs no handler. This is
    for command lines.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, hears = socket.socketpair()
    hears.setblocking(False)
    previous = signal.set_wakeup_fd(hears.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_tell, args=(heard,), daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        hears.close()
        watch.join()
        heard.close()


def _tell(heard: socket.socket) -> None:
    ending = False
    while numbers := heard.recv(1):
        if numbers[0] == signal.SIGINT and ending:
            os._exit(130)
        if numbers[0] in (signal.SIGINT, *ENDS) and not ending:
            os.write(2, b"\nstopping (again Ctrl-C: at once)\n")
            ending = True
