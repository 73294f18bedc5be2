"""Signals: told at once, and when there is nothing to go on with, not promised."""

import hashlib
import multiprocessing
import os
import signal
import time

import pytest

from sharpwave_shared.reporting import Reporter
from sharpwave_shared.run_directory import Record, open_directory
from sharpwave_shared.signals import ENDS, RESUMABLE, as_interrupts, told_at_once

fork = multiprocessing.get_context("fork")


def be_busy(ready, output: int) -> None:
    """Compute for seconds in code that lets no handler run."""
    os.dup2(output, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with told_at_once(), as_interrupts():
            ready.set()
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 30_000_000)
    except KeyboardInterrupt:
        os._exit(3)


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDS])
def test_told_before_it_can_be_handled_and_ended_by_a_second_ctrl_c(number):
    ready, (readable, writable) = fork.Event(), os.pipe()
    process = fork.Process(target=be_busy, args=(ready, writable))
    process.start()
    assert process.pid is not None
    assert ready.wait(60)
    time.sleep(0.2)
    start = time.monotonic()
    os.kill(process.pid, number)
    assert b"stopping" in os.read(readable, 100)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    assert time.monotonic() - start < 60
    os.close(readable)
    os.close(writable)


def test_what_was_ignored_stays_ignored(monkeypatch):
    """As nohup does with the signal of a closed terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with as_interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("kept", [True, False])
def test_only_what_has_a_checkpoint_can_be_gone_on_with(kept, tmp_path):
    record = Record(package="p", version="1", experiment="e", parameters={}, seeds=[0], identity={})

    def be_interrupted() -> None:
        with open_directory(tmp_path, record, Reporter(quiet=True)) as run:
            assert run is not None
            if kept:
                run.journal.save("state", {"step": 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        be_interrupted()
    assert (RESUMABLE in getattr(caught.value, "__notes__", [])) == kept
