"""Run directories: what they record, whom they refuse, and how a run that was cut off goes on."""

import hashlib
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from sharpwave_shared import run_directory
from sharpwave_shared.errors import (
    DivergenceError,
    ExistingRunError,
    InvalidInputError,
    SharpwaveError,
)
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.run_directory import (
    Record,
    RunDirectory,
    libraries,
    open_directory,
    read_record,
)

fork = multiprocessing.get_context("fork")
PARAMETERS = {"rate": 0.1, "sizes": [1, 2], "nested": {"path": "a"}, "none": None}


def identity(**changes) -> dict:
    return {
        "package": "toy-model",
        "experiment": "test",
        "parameters": PARAMETERS,
        "seeds": [0, 1],
        "device": "cpu",
        "quick": False,
        "dataset": "c" * 64,
        **changes,
    }


def make_record(**changes) -> Record:
    fields = {
        "package": "toy-model",
        "version": "0.1",
        "experiment": "test",
        "parameters": PARAMETERS,
        "seeds": [0, 1],
        "identity": identity(),
        "libraries": libraries(),
    }
    return Record(**{**fields, **changes})


RECORD = make_record()


def read(directory: Path) -> dict:
    return json.loads((directory / "run.json").read_text(encoding="utf-8"))


def run_to(
    directory: Path,
    work: Callable[[RunDirectory], object] = lambda run: None,
    record: Record = RECORD,
    **how: bool,
) -> bool:
    """Run `work` in a run directory; give whether there was something to do."""
    with open_directory(directory, record, Reporter(quiet=True), **how) as run:
        if run is not None:
            work(run)
        return run is not None


def fail(run: RunDirectory) -> None:
    raise DivergenceError("the loss is nan at step 7")


def interrupt(run: RunDirectory) -> None:
    raise KeyboardInterrupt


def leave(directory: Path, status: str) -> None:
    """Make a directory whose run ended with a status."""
    match status:
        case "finished":
            run_to(directory)
        case "failed":
            with pytest.raises(DivergenceError):
                run_to(directory, fail)
        case "interrupted":
            with pytest.raises(KeyboardInterrupt):
                run_to(directory, interrupt)


# --- The record ----------------------------------------------------------------------------------


def test_record_of_a_finished_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["toy-model", "--seeds", "0:2"])
    reporter = Reporter(quiet=True)
    with open_directory(tmp_path / "a" / "b", RECORD, reporter) as run:
        assert run is not None
        running = read(run.path)
        reporter.warn("an odd thing")
    assert (running["status"], running["ended"]) == ("running", None)

    record = read(tmp_path / "a" / "b")
    expected = {
        "package": "toy-model",
        "experiment": "test",
        "command_line": ["toy-model", "--seeds", "0:2"],
        "parameters": PARAMETERS,
        "seeds": [0, 1],
        "quick": False,
        "status": "finished",
        "error": None,
        "warnings": ["an odd thing"],
        "resumed": [],
    }
    assert {key: record[key] for key in expected} == expected
    assert record["libraries"]["torch"] == torch.__version__
    assert record["libraries"]["numpy"] == np.__version__
    assert record["libraries"]["sharpwave-shared"] == version("sharpwave-shared")
    started, ended = (datetime.fromisoformat(record[key]) for key in ("started", "ended"))
    assert started.utcoffset() is not None
    assert started <= ended


def test_the_log_has_every_line(tmp_path):
    reporter = Reporter(quiet=True)
    reporter.say("before the run")

    def work() -> None:
        with open_directory(tmp_path, RECORD, reporter) as run:
            assert run is not None
            reporter.detail("a detail")
            fail(run)

    with pytest.raises(DivergenceError):
        work()
    reporter.say("after the run")
    log = (tmp_path / "log.txt").read_text()
    for line in ("before the run", "a detail", "failed: DivergenceError: the loss is nan"):
        assert line in log
    assert "after the run" not in log


def test_a_run_within_a_run_is_in_both_logs(tmp_path):
    reporter = Reporter(quiet=True)
    with open_directory(tmp_path, RECORD, reporter):
        with open_directory(tmp_path / "cells" / "a", RECORD, reporter):
            reporter.say("inside")
        reporter.say("outside")
    outer = (tmp_path / "log.txt").read_text()
    inner = (tmp_path / "cells" / "a" / "log.txt").read_text()
    assert "inside" in outer
    assert "inside" in inner
    assert "outside" in outer
    assert "outside" not in inner


def test_what_is_told_of_one_part_is_not_told_of_the_next(tmp_path):
    reporter = Reporter(quiet=True)
    reporter.warn("of all")
    for name in "ab":
        with reporter.part(), open_directory(tmp_path / name, RECORD, reporter):
            reporter.warn(f"of {name}")
    assert read(tmp_path / "a")["warnings"] == ["of all", "of a"]
    assert read(tmp_path / "b")["warnings"] == ["of all", "of b"]
    assert reporter.warnings == ["of all"]


# --- Ends ----------------------------------------------------------------------------------------


def test_failure(tmp_path):
    leave(tmp_path, "failed")
    record = read(tmp_path)
    assert record["status"] == "failed"
    assert record["error"] == "DivergenceError: the loss is nan at step 7"
    assert record["ended"] is not None
    run_to(tmp_path, resume=True)
    record = read(tmp_path)
    assert (record["status"], record["error"]) == ("finished", None)


def work_until_killed(directory: Path, ready: threading.Event) -> None:
    # Tests that a shell started in the background inherit that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def work(run: RunDirectory) -> None:
        run.journal.save("state", {"x": torch.arange(3.0), "step": 3})
        ready.set()
        time.sleep(60)

    run_to(directory, work)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "interrupted"),
        (signal.SIGHUP, "interrupted"),
        (signal.SIGKILL, "running"),
    ],
)
def test_signals(number, status, tmp_path):
    ready = fork.Event()
    process = fork.Process(target=work_until_killed, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(InvalidInputError, match="another process is running there"):
        run_to(tmp_path, resume=True)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode not in (0, None)
    assert read(tmp_path)["status"] == status
    assert (read(tmp_path)["ended"] is None) == (status == "running")

    with pytest.raises(ExistingRunError, match=rf"not finished \({status}\)"):
        run_to(tmp_path)

    def go_on(run: RunDirectory) -> None:
        kept = run.journal.load("state")
        assert torch.equal(kept["x"], torch.arange(3.0))
        assert kept["step"] == 3
        assert (read(tmp_path)["status"], read(tmp_path)["ended"]) == ("running", None)

    assert run_to(tmp_path, go_on, resume=True)
    record = read(tmp_path)
    assert record["status"] == "finished"
    assert len(record["resumed"]) == 1
    assert not list(tmp_path.rglob("*.safetensors")), "the checkpoint is gone"


def test_terminate_is_handled_only_while_the_run_is_open(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    during = []
    run_to(tmp_path, lambda run: during.append(signal.getsignal(signal.SIGTERM)))
    assert during != [before]
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_in_a_thread_beside_another(tmp_path):
    """As in a notebook, where signals cannot be handled."""
    thread = threading.Thread(target=run_to, args=(tmp_path / "thread", lambda run: run_to_other()))

    def run_to_other() -> None:
        run_to(tmp_path / "inner")

    def beside(run: RunDirectory) -> None:
        thread.start()
        thread.join()

    run_to(tmp_path / "main", beside)
    for name in ("thread", "inner", "main"):
        assert read(tmp_path / name)["status"] == "finished"


def test_wall_time_adds_up(tmp_path, monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(run_directory, "time", clock)

    def work_for(seconds: float, then: Callable[[RunDirectory], object]) -> Callable:
        def work(run: RunDirectory) -> None:
            clock.now += seconds
            then(run)

        return work

    def killed(run: RunDirectory) -> None:
        run.journal.save("state", 1)
        # What a kill leaves is the directory as it is now.
        (tmp_path / "run.json").rename(tmp_path / "left.json")

    run_to(tmp_path, work_for(10, killed))
    (tmp_path / "left.json").rename(tmp_path / "run.json")
    assert read(tmp_path)["status"] == "running"
    with pytest.raises(KeyboardInterrupt):
        run_to(tmp_path, work_for(5, interrupt), resume=True)
    with pytest.raises(DivergenceError):
        run_to(tmp_path, work_for(3, fail), resume=True)
    clock.now += 1000  # between the runs
    run_to(tmp_path, work_for(2, lambda run: None), resume=True)
    assert read(tmp_path)["wall_time_s"] == 20
    assert len(read(tmp_path)["resumed"]) == 3


def test_warnings_of_all_times_are_kept(tmp_path):
    def warn_and_stop(run: RunDirectory) -> None:
        run.reporter.warn("first")
        run.reporter.warn("both")
        raise KeyboardInterrupt

    def warn(run: RunDirectory) -> None:
        run.reporter.warn("both")
        run.reporter.warn("second")

    with pytest.raises(KeyboardInterrupt):
        run_to(tmp_path, warn_and_stop)
    run_to(tmp_path, warn, resume=True)
    assert read(tmp_path)["warnings"] == ["first", "both", "second"]


@pytest.mark.parametrize(("threads", "told"), [(4, True), (2, False), (None, False)])
def test_another_number_of_threads_is_told(threads, told, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_to(tmp_path, interrupt, make_record(threads=2))
    run_to(tmp_path, record=make_record(threads=threads), resume=True)
    warnings = read(tmp_path)["warnings"]
    assert ["begun with 2 threads, goes on with 4" in text for text in warnings] == [True] * told


# --- Again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [False, True])
def test_finished_run_is_left_alone(resume, tmp_path):
    leave(tmp_path, "finished")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    assert not run_to(tmp_path, fail, resume=resume)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_finished_run_is_extended_where_it_may_be(tmp_path):
    run_to(tmp_path, lambda run: run.journal.save("state", 7), keep=True)
    assert not run_to(tmp_path, fail, extend=True)
    assert not run_to(tmp_path, fail, resume=True)
    longer = make_record(parameters={**PARAMETERS, "steps": 9})
    found = []
    assert run_to(
        tmp_path,
        lambda run: found.append(run.journal.load("state")),
        longer,
        resume=True,
        extend=True,
        keep=True,
    )
    assert found == [7]
    record = read(tmp_path)
    assert record["status"] == "finished"
    assert record["parameters"]["steps"] == 9
    assert len(record["resumed"]) == 1
    with pytest.raises(DivergenceError):
        run_to(tmp_path, fail, resume=True, extend=True)
    assert read(tmp_path)["status"] == "failed"


def test_checkpoints_go_when_the_run_is_finished(tmp_path):
    run_to(tmp_path, lambda run: run.journal.save("state", 7))
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("status", ["finished", "failed", "interrupted"])
@pytest.mark.parametrize("same", [True, False])
def test_force_clears_what_runs_write_and_nothing_else(status, same, tmp_path):
    leave(tmp_path, status)
    own = ["claims.json", "weights.safetensors", "results.nc", "metrics.csv", "all.pdf"]
    own += ["dream.wav", "figures/a.png", "checkpoints/x.safetensors", "cells/n=3/run.json"]
    foreign = ["notes.txt", "analysis/mine.nc", "metrics.csv.bak", "claims.json.bak"]
    for name in own + foreign:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    record = RECORD if same else make_record(seeds=[5], identity=identity(seeds=[5]))

    def look(run: RunDirectory) -> None:
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
        assert left == {*foreign, ".lock", "run.json", "log.txt"}
        assert read(tmp_path)["resumed"] == []
        assert read(tmp_path)["seeds"] == record.seeds

    assert run_to(tmp_path, look, record, force=True)
    assert "loss is nan" not in (tmp_path / "log.txt").read_text()


def test_force_cut_off_while_clearing_is_not_taken_for_finished(tmp_path, monkeypatch):
    leave(tmp_path, "finished")
    (tmp_path / "results.nc").write_text("x")

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "state.json").write_text("of another configuration")
    other = make_record(identity=CHANGES["parameters.rate"])
    with monkeypatch.context() as patch:
        patch.setattr(run_directory.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            run_to(tmp_path, record=other, force=True)
    assert not (tmp_path / "results.nc").exists()
    with pytest.raises(InvalidInputError, match=r"not finished \(discarded\)"):
        run_to(tmp_path, record=other)

    def look(run: RunDirectory) -> None:
        assert not (run.path / "checkpoints" / "state.json").exists()

    assert run_to(tmp_path, look, record=other, resume=True)
    assert read(tmp_path)["resumed"] == []


def test_checkpoints_that_cannot_be_discarded_are_not_gone_on_with(tmp_path, monkeypatch):
    leave(tmp_path, "interrupted")
    (tmp_path / "checkpoints").mkdir(exist_ok=True)

    def refuse(*arguments: object, **options: object) -> None:
        if not options.get("ignore_errors"):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_directory.shutil, "rmtree", refuse)
    with pytest.raises(PermissionError):
        run_to(tmp_path, force=True)


# --- Refused -------------------------------------------------------------------------------------

CHANGES = {
    "parameters.rate": identity(parameters={**PARAMETERS, "rate": 0.2}),
    "parameters.sizes": identity(parameters={**PARAMETERS, "sizes": [2, 1]}),
    "parameters.nested.path": identity(parameters={**PARAMETERS, "nested": {"path": "b"}}),
    "parameters.more": identity(parameters={**PARAMETERS, "more": 1}),
    "seeds": identity(seeds=[0]),
    "device": identity(device="cuda:0"),
    "dataset": identity(dataset="d" * 64),
    "quick": identity(quick=True),
    "experiment": identity(experiment="other"),
    "package": identity(package="numpy"),
}


@pytest.mark.parametrize("status", ["finished", "interrupted"])
@pytest.mark.parametrize("key", CHANGES)
def test_another_configuration_is_refused(key, status, tmp_path):
    leave(tmp_path, status)
    before = read(tmp_path)
    with pytest.raises(InvalidInputError, match="another configuration") as caught:
        run_to(tmp_path, record=make_record(identity=CHANGES[key]), resume=True)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: ")
    assert f"({key}: " in message
    assert message.count(" here") == 1
    assert message.endswith("; force=True discards it")
    assert read(tmp_path) == before


def test_ways_out_are_spelled_as_one_calls_it(tmp_path):
    leave(tmp_path, "interrupted")
    with pytest.raises(ExistingRunError) as caught:
        run_to(tmp_path)
    holds = f"{tmp_path}: holds this run, not finished (interrupted); "
    said = "resume=True goes on with it, force=True starts again"
    assert str(caught.value) == holds + said
    told = caught.value.told("--{}".format)
    assert told == holds + "--resume goes on with it, --force starts again"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (ExistingRunError, str(caught.value))
    assert again.told("--{}".format) == told


def test_equal_configurations_of_other_types_are_the_same(tmp_path):
    leave(tmp_path, "interrupted")
    parameters = {
        "rate": np.float64(0.1),
        "sizes": np.array([1, 2]),
        "nested": {"path": Path("a")},
        "none": float("nan"),
    }
    assert run_to(
        tmp_path, record=make_record(identity=identity(parameters=parameters)), resume=True
    )


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("name", ["notes.txt", "results.nc", "log.txt", "sub/run.json"])
def test_foreign_directory_is_refused_and_not_touched(force, name, tmp_path):
    for file in (name, ".partial-of-another-program", "weights.safetensors"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("x")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InvalidInputError, match="holds files that are not a run"):
        run_to(tmp_path, force=force)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "content",
    ["", "[1, 2]", "3", '{"name": "a sprint"}', '{"status": "', '{"package": 3}', "\x00\xff"],
)
def test_run_json_of_something_else(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "all.pdf").write_text("")
    for how in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(SharpwaveError, match=r"run\.json"):
            run_to(tmp_path, **how)
    with pytest.raises(SharpwaveError, match=r"run\.json"):
        read_record(tmp_path)
    assert (tmp_path / "all.pdf").exists()


@pytest.mark.parametrize(
    "change",
    [{"status": "won"}, {"seeds": ["x"]}, {"parameters": [1]}, {"trap": 1}, {"wall_time_s": "x"}],
)
def test_a_hostile_record_is_one_error_that_names_the_place(change, tmp_path):
    leave(tmp_path, "finished")
    (tmp_path / "run.json").write_text(json.dumps({**read(tmp_path), **change}))
    with pytest.raises(SharpwaveError, match="is not the record of a run: " + next(iter(change))):
        read_record(tmp_path)


def test_kill_before_the_first_record_leaves_a_usable_directory(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".partial-abc-run.json").write_text("{")
    assert run_to(tmp_path)
    assert not list(tmp_path.glob(".partial-*"))


def test_directory_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InvalidInputError, match=f"{path}: cannot be created"):
            run_to(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
@pytest.mark.parametrize("mode", [0o500, 0o300])
def test_directory_that_cannot_be_used(mode, tmp_path):
    (tmp_path / "run").mkdir(mode=mode)
    with pytest.raises(InvalidInputError, match="must be readable and writable"):
        run_to(tmp_path / "run")


def test_directory_is_free_again_after_a_failure(tmp_path):
    with pytest.raises(DivergenceError) as caught:
        run_to(tmp_path, fail)
    assert run_to(tmp_path, resume=True)
    assert caught.value.__traceback__ is not None, "a notebook keeps the exception"


def test_open_run_is_refused_to_others(tmp_path):
    def open_again(run: RunDirectory) -> None:
        for how in ({}, {"resume": True}, {"force": True}):
            with pytest.raises(InvalidInputError, match="another process is running there"):
                run_to(tmp_path, **how)

    run_to(tmp_path, open_again)
    assert read(tmp_path)["status"] == "finished"


# --- What lies in the way ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["figures", "log.txt", "cells/a"])
def test_a_directory_that_holds_links_is_refused(name, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    run_to(tmp_path / "run")
    link = tmp_path / "run" / name
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(InvalidInputError, match=re.escape(f"{link}: a link")):
        run_to(tmp_path / "run", force=True)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("again", [True, False])
def test_a_directory_that_is_removed_is_not_made_again(again, tmp_path):
    directory = tmp_path / "run"

    def work(run: RunDirectory) -> None:
        shutil.rmtree(directory)
        if again:
            (tmp_path / "other").mkdir()  # so that it cannot be taken for the first
            directory.mkdir()
        run.journal.save("state", {"step": 1})

    with pytest.raises(SharpwaveError, match="was removed while the run went on"):
        run_to(directory, work)
    assert not list(directory.rglob("*"))


def test_the_record_has_checksums_of_what_was_written(tmp_path):
    def work(run: RunDirectory) -> None:
        (run.path / "results.nc").write_bytes(b"x")
        (run.path / "networks.safetensors").write_bytes(b"y")

    run_to(tmp_path, work)
    checksums = read(tmp_path)["checksums"]
    assert checksums == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in (("results.nc", b"x"), ("networks.safetensors", b"y"))
    }
