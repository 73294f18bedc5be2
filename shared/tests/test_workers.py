"""Workers: what they do, and what becomes of parts that fail, are lost, or are interrupted."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from toy_model.cli import app
from toy_model.experiments.parts import Parts
from toy_model.experiments.walk import Brittle, Walk

from sharpwave_shared import workers
from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError
from sharpwave_shared.execution import Cell, run_group
from sharpwave_shared.experiment import Options
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.results import open_run
from sharpwave_shared.testing import invoke
from sharpwave_shared.workers import run_in_workers

fork = multiprocessing.get_context("fork")


@pytest.fixture
def forked(monkeypatch):
    """Let workers start at once; others import everything anew."""
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda kind: fork)


def statuses(directory: Path) -> dict[str, str]:
    return {
        path.parent.name: json.loads(path.read_text())["status"]
        for path in directory.rglob("run.json")
    }


# --- Work ----------------------------------------------------------------------------------------


def double(part, options, reporter):
    assert (options.workers, options.cluster) == (1, None)
    return 2 * part


def fail_at_odd(part, options, reporter):
    if part == 1:
        raise InterruptedError("of no class of ours")
    if part == 3:
        raise SharpwaveError("stumbled")
    return part


def refuse(part, options, reporter):
    raise ParameterError("n", part, "more")


class AwkwardError(Exception):
    """Cannot be made again in another process."""

    def __init__(self, a, b):
        super().__init__(a + b)


def fail_awkwardly(part, options, reporter):
    raise AwkwardError("a", "b")


def die_once(part: Path, options, reporter):
    """Be killed the first time."""
    if part.name == "dies" and not part.exists():
        part.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return part.name, options.resume, options.force


def die(part, options, reporter):
    os.kill(os.getpid(), signal.SIGKILL)


def run(work, parts, **options):
    return run_in_workers(work, parts, Options(workers=2, **options), Reporter(quiet=True))


def test_results_are_in_order(forked):
    assert run(double, [3, 1, 2]) == [6, 2, 4]


def test_a_part_that_fails_does_not_stop_others(forked, capsys):
    with pytest.raises(SharpwaveError) as caught:
        run(fail_at_odd, range(5))
    message = "2 of 5 parts failed; part 2: InterruptedError: of no class of ours"
    assert str(caught.value) == message
    told = capsys.readouterr().err
    assert "part 2 of 5 failed: InterruptedError: of no class of ours" in told
    assert "part 4 of 5 failed: stumbled" in told


def test_input_that_cannot_be_used_stops_all(forked):
    with pytest.raises(ParameterError, match="n: got 7, expected more") as caught:
        run(refuse, [7, 7])
    assert caught.value.name == "n"


@pytest.mark.slow  # failed once in a process that had run all other tests; not understood yet
def test_an_error_that_cannot_travel_is_told(forked):
    with pytest.raises(SharpwaveError, match="part 1: AwkwardError: ab"):
        run(fail_awkwardly, [1])


def test_the_part_of_a_lost_worker_is_done_again(forked, tmp_path, capsys):
    found = run(die_once, [tmp_path / name for name in ("a", "dies", "b")], force=True)
    assert [name for name, *_ in found] == ["a", "dies", "b"]
    assert found[1][1:] == (True, False), "it goes on, and does not discard what it did"
    assert "a worker was lost" in capsys.readouterr().err


def test_a_part_whose_workers_are_always_lost_fails(forked):
    with pytest.raises(SharpwaveError, match="1 of 1 parts failed; part 1: its worker was lost 3"):
        run(die, [1])


# --- Experiments ---------------------------------------------------------------------------------


def test_a_run_in_a_process_that_imports_everything_anew(tmp_path):
    """As workers are that users have."""
    cell = Cell(Walk(steps=3, VAR=2.0), (3, 1), tmp_path / "run", draw=False)
    ((directory,),) = run(run_group, [[cell]], seed=7)
    stored = open_run(directory)
    assert stored.directory == tmp_path / "run"
    assert stored.record.seed == 7
    assert stored.data.identical(Walk(steps=3, VAR=2.0).run((3, 1)))


@pytest.mark.usefixtures("undrawn")
def test_seeds_side_by_side_give_the_same(forked, tmp_path):
    expected = Parts().run((3, 1))
    data = Parts().run((3, 1), out=tmp_path, workers=2)
    assert data.identical(expected)
    assert statuses(tmp_path / "cells") == {"seed=3": "finished", "seed=1": "finished"}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_can_be_extended_side_by_side(workers, forked, tmp_path):
    Walk(steps=3).run((0, 1), out=tmp_path, workers=workers)
    longer = Walk(steps=5).run((0, 1), out=tmp_path, workers=2, resume=True)
    assert longer.identical(Walk(steps=5).run((0, 1)))
    assert open_run(tmp_path).experiment.steps == 5
    again = Walk(steps=5).run((0, 1), out=tmp_path, workers=2)
    assert again.identical(longer)


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_side_by_side_gives_the_same(forked, tmp_path):
    sweep = {"VAR": [1.0, 4.0], "steps": [2, 3]}
    data = Walk().run((3, 1), sweep=sweep, out=tmp_path, workers=2)
    assert data.identical(Walk().run((3, 1), sweep=sweep))


@pytest.mark.usefixtures("undrawn")
def test_a_seed_that_fails_side_by_side(forked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["brittle", "--seeds", "0:3", "--stumbles-at", "1", "--workers", 2]
    code, _, err = invoke(app, capsys, *arguments)
    assert code == 1
    assert err.splitlines()[-1] == ("error: 1 of 3 parts failed; part 2: stumbled at step 3")
    assert sorted(statuses(tmp_path).values()) == ["failed", "finished", "finished"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("form", "number"),
    [("sweep", signal.SIGTERM), ("sweep", signal.SIGINT), ("seeds", signal.SIGTERM)],
)
def test_an_interruption_ends_workers_too(form, number, forked, tmp_path, monkeypatch):
    """After Ctrl-C, which reaches all processes, and SIGTERM, which reaches one."""
    sweep = ["--sweep", "VAR=1,2,3,4,5"] if form == "sweep" else []
    arguments = [*sweep, "--seeds", "0:2", "--workers", "2", "--out", str(tmp_path)]

    def command() -> None:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        app([*arguments, "--pause", "60"])

    process = fork.Process(target=command)
    process.start()
    assert process.pid is not None
    try:
        limit = time.monotonic() + 120
        while list(statuses(tmp_path).values()).count("running") < 3:
            assert time.monotonic() < limit
            time.sleep(0.02)
        time.sleep(0.1)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode == 130
        assert list(statuses(tmp_path).values()) == ["interrupted"] * 3, "no other part was begun"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    with pytest.raises(SystemExit) as ended:
        app([*arguments, "--resume", "--quiet"])
    assert ended.value.code == 0
    assert set(statuses(tmp_path).values()) == {"finished"}


# --- Clusters ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_a_cluster_on_this_machine(tmp_path):
    pytest.importorskip("distributed")
    pytest.importorskip("dask_jobqueue")
    path = tmp_path / "options.json"
    path.write_text(json.dumps({"processes": False, "dashboard_address": None}))
    data = Brittle(steps=3).run((3, 1), sweep={"VAR": [1.0, 4.0]})
    found = Brittle(steps=3).run(
        (3, 1),
        sweep={"VAR": [1.0, 4.0]},
        out=tmp_path / "run",
        cluster="local",
        cluster_options=path,
    )
    assert found.identical(data)
    with pytest.raises(SharpwaveError, match="2 of 5 parts failed; part 2: InterruptedError: of"):
        run(fail_at_odd, range(5), cluster="local", cluster_options=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "expected a JSON object"),
        ("{", "cluster_options: .* expected a JSON file"),
        ('{"no_such_option": 1}', "cluster slurm: "),
    ],
)
def test_bad_options_of_a_cluster(content, message, tmp_path):
    pytest.importorskip("dask_jobqueue")
    path = tmp_path / "options.json"
    path.write_text(content)
    with pytest.raises(SharpwaveError, match=message):
        run(double, [1], cluster="slurm", cluster_options=path)


def test_options_of_a_cluster_are_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match=r"cluster_options: got .*pipe"):
        Options(cluster_options=tmp_path / "pipe")


def test_a_cluster_without_its_packages(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(workers.importlib, "import_module", missing)
    with pytest.raises(InvalidInputError, match="cluster: got slurm, expected the extra 'cluster'"):
        run(double, [1], cluster="slurm")
