"""Run directories: what they record, whom they refuse, and how a run that was cut off goes on."""

import json
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from sharpwave_shared import runs
from sharpwave_shared.data import DataRecord
from sharpwave_shared.errors import DivergenceError, InvalidInputError, SharpwaveError
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.runs import Journal, Run, RunSpec, open_run, read_run

fork = multiprocessing.get_context("fork")
SPEC = RunSpec(
    package="sharpwave-shared",
    experiment="test",
    config={"rate": 0.1, "sizes": (1, 2), "nested": {"path": Path("a")}, "none": None},
    seeds=[0, 1],
    device=torch.device("cpu"),
    data=DataRecord("mnist", "cache", "somewhere", "c" * 64),
)
RESULTS = {"metrics": {"loss": 0.5}, "arrays": {"x": np.arange(3)}}


def record_of(directory: Path) -> dict:
    return json.loads((directory / "run.json").read_text(encoding="utf-8"))


def run_to(
    directory: Path,
    work: Callable[[Run], None] = lambda run: run.save_results(**RESULTS),
    spec: RunSpec = SPEC,
    **how: bool,
) -> bool:
    """Run `work` in a run directory; give whether there was something to do."""
    with open_run(directory, spec, Reporter(quiet=True), **how) as run:
        if run is not None:
            work(run)
        return run is not None


def fail(run: Run) -> None:
    raise DivergenceError("the loss is nan at step 7")


def interrupt(run: Run) -> None:
    raise KeyboardInterrupt


def leave(directory: Path, status: str) -> None:
    """Make a directory whose run ended with a status."""
    if status == "finished":
        run_to(directory)
    elif status == "failed":
        with pytest.raises(DivergenceError):
            run_to(directory, fail)
    else:
        with pytest.raises(KeyboardInterrupt):
            run_to(directory, interrupt)


# --- The record ----------------------------------------------------------------------------------


def test_record_of_a_finished_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sleep-replay", "--seeds", "0:2"])
    reporter = Reporter(quiet=True)
    with open_run(tmp_path / "a" / "b", SPEC, reporter) as run:
        assert run is not None
        running = record_of(run.directory)
        reporter.warn("an odd thing")
        time.sleep(0.05)
        run.save_results(**RESULTS)
    assert running["status"] == "running"
    assert running["ended"] is None

    record = record_of(tmp_path / "a" / "b")
    expected = {
        "package": "sharpwave-shared",
        "version": version("sharpwave-shared"),
        "experiment": "test",
        "command_line": ["sleep-replay", "--seeds", "0:2"],
        "config": {"rate": 0.1, "sizes": [1, 2], "nested": {"path": "a"}, "none": None},
        "seeds": [0, 1],
        "quick": False,
        "status": "finished",
        "error": None,
        "warnings": ["an odd thing"],
        "dataset": {
            "name": "mnist",
            "source": "cache",
            "location": "somewhere",
            "checksum": "c" * 64,
        },
        "libraries": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "sharpwave-shared": version("sharpwave-shared"),
        },
    }
    assert {key: record[key] for key in expected} == expected
    assert record["device"].startswith("cpu (")
    started, ended = (datetime.fromisoformat(record[key]) for key in ("started", "ended"))
    assert started.utcoffset() is not None
    assert started <= ended
    assert 0.05 <= record["wall_time_s"] < 30

    stored = read_run(tmp_path / "a" / "b", "sharpwave-shared")
    assert (stored.experiment, stored.config) == ("test", expected["config"])
    assert stored.metrics == {"loss": 0.5}
    np.testing.assert_array_equal(stored.arrays()["x"], [0, 1, 2])


def test_log_holds_the_lines_and_how_the_run_ended(tmp_path):
    reporter = Reporter(quiet=True)
    reporter.say("before the run")

    def tell_and_fail() -> None:
        with open_run(tmp_path, SPEC, reporter) as run:
            assert run is not None
            reporter.detail("a detail")
            fail(run)

    with pytest.raises(DivergenceError):
        tell_and_fail()
    reporter.say("after the run")
    log = (tmp_path / "log.txt").read_text()
    for line in ("before the run", "a detail", "failed: DivergenceError: the loss is nan"):
        assert line in log
    assert "after the run" not in log


# --- Ends ----------------------------------------------------------------------------------------


def test_failure(tmp_path):
    leave(tmp_path, "failed")
    record = record_of(tmp_path)
    assert record["status"] == "failed"
    assert record["error"] == "DivergenceError: the loss is nan at step 7"
    with pytest.raises(InvalidInputError, match=r"did not finish \(status failed\)"):
        read_run(tmp_path, "sharpwave-shared")
    run_to(tmp_path, resume=True)
    record = record_of(tmp_path)
    assert (record["status"], record["error"]) == ("finished", None)


def work_until_killed(directory: Path, ready: threading.Event) -> None:
    # Tests that a shell started in the background inherit that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def work(run: Run) -> None:
        run.save_checkpoint({"state": torch.arange(3.0)}, step=3)
        ready.set()
        time.sleep(60)

    run_to(directory, work)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "interrupted"),
        (signal.SIGKILL, "running"),
    ],
)
def test_signals(number, status, tmp_path):
    ready = fork.Event()
    process = fork.Process(target=work_until_killed, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(InvalidInputError, match="another process is running there"):
        run_to(tmp_path, resume=True)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode not in (0, None)
    assert record_of(tmp_path)["status"] == status
    assert (record_of(tmp_path)["ended"] is None) == (status == "running")

    with pytest.raises(InvalidInputError, match=rf"not finished \({status}\).*--resume.*--force"):
        run_to(tmp_path)

    def go_on(run: Run) -> None:
        checkpoint = run.load_checkpoint()
        assert checkpoint is not None
        tensors, progress = checkpoint
        assert torch.equal(tensors["state"], torch.arange(3.0))
        assert progress == {"step": "3"}
        running = record_of(tmp_path)
        assert (running["status"], running["ended"]) == ("running", None)
        run.save_results(**RESULTS)

    assert run_to(tmp_path, go_on, resume=True)
    record = record_of(tmp_path)
    assert record["status"] == "finished"
    assert len(record["resumed"]) == 1
    assert not list(tmp_path.glob("*.safetensors")), "the checkpoint is gone"


def test_terminate_is_handled_only_while_the_run_is_open(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    run_to(tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_in_a_thread(tmp_path):
    thread = threading.Thread(target=run_to, args=(tmp_path,))
    thread.start()
    thread.join()
    assert record_of(tmp_path)["status"] == "finished"


def test_wall_time_adds_up(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(runs.time, "monotonic", lambda: now)

    def work_for(seconds: float, then: Callable[[Run], None]) -> Callable[[Run], None]:
        def work(run: Run) -> None:
            nonlocal now
            now += seconds
            then(run)

        return work

    def killed(run: Run) -> None:
        run.save_checkpoint({})
        # What a kill leaves is the directory as it is now.
        (tmp_path / "run.json").rename(tmp_path / "left.json")

    run_to(tmp_path, work_for(10, killed))
    (tmp_path / "left.json").rename(tmp_path / "run.json")
    assert record_of(tmp_path)["status"] == "running"
    with pytest.raises(KeyboardInterrupt):
        run_to(tmp_path, work_for(5, interrupt), resume=True)
    with pytest.raises(DivergenceError):
        run_to(tmp_path, work_for(3, fail), resume=True)
    now += 1000  # between the runs
    run_to(tmp_path, work_for(2, lambda run: run.save_results(**RESULTS)), resume=True)
    assert record_of(tmp_path)["wall_time_s"] == 20
    assert len(record_of(tmp_path)["resumed"]) == 3


def test_warnings_of_all_parts_are_kept(tmp_path):
    def warn_and_stop(run: Run) -> None:
        run.reporter.warn("first")
        run.reporter.warn("both")
        raise KeyboardInterrupt

    def warn(run: Run) -> None:
        run.reporter.warn("both")
        run.reporter.warn("second")

    with pytest.raises(KeyboardInterrupt):
        run_to(tmp_path, warn_and_stop)
    run_to(tmp_path, warn, resume=True)
    assert record_of(tmp_path)["warnings"] == ["first", "both", "second"]


# --- Again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [False, True])
def test_finished_run_is_left_alone(resume, tmp_path):
    leave(tmp_path, "finished")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    assert not run_to(tmp_path, fail, resume=resume)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_finished_run_is_extended_where_the_job_allows_it(tmp_path):
    run_to(tmp_path, lambda run: run.save_tensors("state", {"x": torch.arange(2)}))
    assert not run_to(tmp_path, fail, extend=True)
    assert not run_to(tmp_path, fail, resume=True)
    kept = []
    assert run_to(
        tmp_path, lambda run: kept.append(run.load_tensors("state")), resume=True, extend=True
    )
    assert kept[0]["x"].tolist() == [0, 1]
    record = record_of(tmp_path)
    assert record["status"] == "finished"
    assert len(record["resumed"]) == 1
    with pytest.raises(DivergenceError):
        run_to(tmp_path, fail, resume=True, extend=True)
    assert record_of(tmp_path)["status"] == "failed"


@pytest.mark.parametrize("status", ["finished", "failed", "interrupted"])
@pytest.mark.parametrize("same", [True, False])
def test_force_clears_what_the_run_left_and_nothing_else(status, same, tmp_path):
    leave(tmp_path, status)
    own = ["claims.json", "weights.safetensors", "arrays.npz", "all.pdf", "dream.wav"]
    own.append("figures/a.png")
    foreign = ["notes.txt", "analysis/mine.npz", "metrics.csv", "claims.json.bak"]
    for name in own + foreign:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    spec = SPEC if same else replace(SPEC, seeds=[5])

    def look(run: Run) -> None:
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
        assert left == {*foreign, ".lock", "run.json", "log.txt"}
        assert "resumed" not in record_of(tmp_path)
        assert record_of(tmp_path)["seeds"] == spec.seeds
        assert run.load_checkpoint() is None

    assert run_to(tmp_path, look, spec, force=True)
    log = (tmp_path / "log.txt").read_text()
    assert "loss is nan" not in log


def test_force_cut_off_while_clearing_is_not_taken_for_finished(tmp_path, monkeypatch):
    leave(tmp_path, "finished")

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            run_to(tmp_path, force=True)
    assert not (tmp_path / "metrics.json").exists()
    with pytest.raises(InvalidInputError, match="not finished"):
        run_to(tmp_path)
    assert run_to(tmp_path, resume=True)


# --- Refused -------------------------------------------------------------------------------------

CHANGES = {
    "config.rate": replace(SPEC, config={**SPEC.config, "rate": 0.2}),
    "config.sizes": replace(SPEC, config={**SPEC.config, "sizes": (2, 1)}),
    "config.device": replace(SPEC, config={**SPEC.config, "device": "cpu"}),
    "seeds": replace(SPEC, seeds=[0]),
    "device": replace(SPEC, device=torch.device("cuda:0")),
    "dataset": replace(SPEC, data=replace(SPEC.data, checksum="d" * 64)),
    "quick": replace(SPEC, quick=True),
    "experiment": replace(SPEC, experiment="other"),
    "package": replace(SPEC, package="numpy"),
}


@pytest.mark.parametrize("status", ["finished", "interrupted"])
@pytest.mark.parametrize("key", CHANGES)
def test_another_configuration_is_refused(key, status, tmp_path):
    leave(tmp_path, status)
    before = record_of(tmp_path)
    with pytest.raises(InvalidInputError, match="another configuration") as caught:
        run_to(tmp_path, spec=CHANGES[key], resume=True)
    message = str(caught.value)
    assert message.startswith(f"--out {tmp_path}: ")
    assert f"({key}: " in message
    if key != "package":  # which changes the version as well
        assert message.count(" here") == 1
    assert record_of(tmp_path) == before


def test_equal_configurations_of_other_types_are_the_same(tmp_path):
    leave(tmp_path, "interrupted")
    config = {
        "rate": np.float64(0.1),
        "sizes": np.array([1, 2]),
        "nested": {"path": "a"},
        "none": float("nan"),
    }
    moved = replace(SPEC.data, location="elsewhere", source="--data-dir")
    assert run_to(tmp_path, spec=replace(SPEC, config=config, data=moved), resume=True)


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("name", ["notes.txt", "metrics.json", "log.txt", "sub/run.json"])
def test_foreign_directory_is_refused_and_not_touched(force, name, tmp_path):
    for file in (name, ".partial-of-another-program", "weights.safetensors"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("x")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InvalidInputError, match="holds files that are not a run"):
        run_to(tmp_path, force=force)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"name": "a sprint"}', '{"status": "'])
def test_run_json_of_something_else(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "mine.npz").write_text("")
    for how in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(SharpwaveError, match=r"run\.json"):
            run_to(tmp_path, **how)
    with pytest.raises(SharpwaveError, match=r"run\.json"):
        read_run(tmp_path, "sharpwave-shared")
    assert (tmp_path / "mine.npz").exists()


def test_kill_before_the_first_record_leaves_a_usable_directory(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".partial-abc-run.json").write_text("{")
    assert run_to(tmp_path)
    assert not list(tmp_path.glob(".partial-*"))


def test_directory_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InvalidInputError, match=f"--out {path}: cannot be created"):
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
    def open_again(run: Run) -> None:
        for how in ({}, {"resume": True}, {"force": True}):
            with pytest.raises(InvalidInputError, match="another process is running there"):
                run_to(tmp_path, **how)

    run_to(tmp_path, open_again)
    assert record_of(tmp_path)["status"] == "finished"


def test_read_run_of_another_package_or_none(tmp_path):
    with pytest.raises(InvalidInputError, match=r"no run there \(it has no run.json\)"):
        read_run(tmp_path / "nothing", "sharpwave-shared")
    leave(tmp_path, "finished")
    with pytest.raises(InvalidInputError, match=r"of sharpwave-shared, not of numpy"):
        read_run(tmp_path, "numpy")


# --- Parts and checkpoints -----------------------------------------------------------------------


def test_parts_are_done_once_and_keep_checkpoints_of_their_own(tmp_path):
    computed = []

    def compute(name: str, *, stop: bool = False) -> Callable[[Journal], dict]:
        def part(journal: Journal) -> dict[str, torch.Tensor]:
            found = journal.load_checkpoint()
            computed.append((name, None if found is None else found[1]["step"]))
            journal.save_checkpoint({"x": torch.ones(1)}, step=name)
            if stop:
                raise KeyboardInterrupt
            return {"result": torch.tensor([len(name)])}

        return part

    def work(*, stop: bool) -> Callable[[Run], None]:
        def parts(run: Run) -> None:
            run.save_checkpoint({}, step="whole")
            assert run.once("one", compute("one"))["result"] == 3
            assert run.once("three", compute("three", stop=stop))["result"] == 5
            checkpoint = run.load_checkpoint()
            assert checkpoint is not None
            assert checkpoint[1] == {"step": "whole"}

        return parts

    with pytest.raises(KeyboardInterrupt):
        run_to(tmp_path, work(stop=True))
    run_to(tmp_path, work(stop=False), resume=True)
    assert computed == [("one", None), ("three", None), ("three", "three")]
    assert not list(tmp_path.glob("*.safetensors"))


def test_checkpoints_are_due_at_intervals(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(runs.time, "monotonic", lambda: now)

    def work(run: Run) -> None:
        nonlocal now
        assert not run.checkpoint_due()
        now += runs.CHECKPOINT_INTERVAL
        assert run.checkpoint_due()
        run.save_checkpoint({})
        assert not run.checkpoint_due()

    run_to(tmp_path, work)


def test_kept_tensors_outlast_the_run(tmp_path):
    run_to(tmp_path, lambda run: run.save_tensors("weights", {"w": torch.eye(2)}))
    with open_run(tmp_path, SPEC, Reporter(quiet=True)) as run:
        assert run is None
    kept = Run(tmp_path, record_of(tmp_path), Reporter(quiet=True)).load_tensors("weights")
    assert kept is not None
    assert torch.equal(kept["w"], torch.eye(2))


def test_journal_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = Journal()
    journal.save_checkpoint({"x": torch.ones(1)}, step=1)
    journal.save_tensors("weights", {"x": torch.ones(1)})
    assert journal.load_checkpoint() is None
    assert journal.load_tensors("weights") is None
    assert not journal.checkpoint_due()
    result = journal.once("part", lambda _: {"y": torch.zeros(1)})
    assert torch.equal(result["y"], torch.zeros(1))
    assert not list(tmp_path.iterdir())
