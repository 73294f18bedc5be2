"""The command line: options, presets, exit codes, what stands on which stream, and `sharpwave`."""

import importlib.metadata
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pytest
import typer
from toy_model.cli import app as toy_app
from toy_model.experiments.walk import Brittle, Herd, Walk

from sharpwave_shared import __main__ as sharpwave
from sharpwave_shared.app import App, find_experiment, installed_apps
from sharpwave_shared.errors import (
    DataWarning,
    DivergenceError,
    InvalidInputError,
    ParameterError,
    SharpwaveError,
)
from sharpwave_shared.experiment import Command, Experiment, Options
from sharpwave_shared.parameters import Between, Parameters, Positional, Repeated, Spelled
from sharpwave_shared.results import open_run
from sharpwave_shared.testing import invoke


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys):
    """Run a command line, that of the toy package by default."""

    def call(*arguments: object, app=toy_app) -> Result:
        return Result(*invoke(app, capsys, *arguments))

    return call


@pytest.fixture
def started(monkeypatch):
    """Experiments and options that a command would run."""
    runs = []

    def run_all(experiments, options, reporter, sweep):
        runs.append((*experiments, options, sweep))
        return []

    monkeypatch.setattr("sharpwave_shared.execution.run_all", run_all)
    return runs


# --- Options -------------------------------------------------------------------------------------


def test_options_become_parameters(call, started, tmp_path):
    result = call(
        *("--steps", "5", "--VAR", "2", "--scales", "[1,2,3]", "--kind", "biased"),
        *("--drift", "-0.5", "--loud", "--forget-trace", "--notes", "a b"),
        *("--seeds", "0:3", "--format", "pdf,png", "--device", "cpu", "--out", tmp_path, "-v"),
    )
    assert (result.code, result.out) == (0, "")
    ((walk, options, sweep),) = started
    assert walk == Walk(
        steps=5,
        VAR=2.0,
        scales=(1, 2, 3),
        kind="biased",
        drift=-0.5,
        loud=True,
        keep_trace=False,
        notes="a b",
    )
    assert options.all_seeds == (0, 1, 2)
    assert options.format == ("pdf", "png")
    assert (options.out, options.device, options.verbose) == (tmp_path, "cpu", True)
    assert (options.seed, options.quick, options.quiet, sweep) == (0, False, False, {})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--keep-trace", "--var", "2"],
        ["--keep_trace", "--VAR=2"],
        ["--KEEP-TRACE", "--Var", "2"],
    ],
)
def test_dashes_underscores_and_case_are_the_same(arguments, call, started):
    assert call(*arguments, "--Quiet").code == 0
    assert call("HERD", *arguments, "-Q").code == 0
    for experiment, options, _ in started:
        assert (experiment.VAR, experiment.keep_trace, options.quiet) == (2, True, True)


class Idle(Experiment):
    """Does nothing."""

    def compute(self, job):
        raise NotImplementedError


class Spelt(Idle):
    """Spelt in many ways."""

    name: ClassVar = "spelt-here"
    network_type: Annotated[int, Spelled("-N", "--kind-of-net")] = 1
    """Kind."""
    on: bool = True
    """On by default."""
    file: Annotated[Path | None, Positional("FILE")] = None
    """A file."""
    levels: Literal[1, 2] = 1
    """Levels [a, b]."""
    must: Annotated[int, Between(0, 3)]
    """Needed."""


class Listed(Idle):
    """Lists."""

    name: ClassVar = "Many_lists"
    many: Annotated[tuple[str, ...], Repeated()] = ()
    """Given several times."""


def spelt() -> App:
    app = App("toy-model", "Help.")
    app.add(Spelt, Listed)
    return app


@pytest.mark.parametrize("name", ["spelt-here", "spelt_here", "Spelt_Here"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-N", "3", "--must", "1"], {"network_type": 3, "must": 1}),
        (["-n3", "--must=1"], {"network_type": 3, "must": 1}),
        (["--network_type", "3", "--must", "1"], {"network_type": 3, "must": 1}),
        (["--kind_of_net", "3", "--must", "1"], {"network_type": 3, "must": 1}),
        (["--no-on", "--must", "1"], {"on": False, "must": 1}),
        (["--no_on", "--must", "1", "x/y"], {"on": False, "must": 1, "file": "x/y"}),
        (["--levels", "2", "--must", "1"], {"levels": 2, "must": 1}),
    ],
)
def test_spellings(name, arguments, expected, call, started):
    result = call(name, *arguments, app=spelt())
    assert result.code == 0, result.err
    assert started[0][0] == Spelt(**expected)


@pytest.mark.parametrize("name", ["Many_lists", "many-lists", "MANY_LISTS"])
def test_repeated_options(name, call, started):
    assert call(name, "--many", "a=1", "--many", "b=2,3", app=spelt()).code == 0
    assert started[0][0].many == ("a=1", "b=2,3")


def test_a_spelling_may_stand_for_the_name(call, finished):
    assert "No such option: --json-output" in call("verify", finished, "--json-output").err


def test_presets_of_other_modes_are_told(call, started):
    app = App("toy-model", "Help.")
    app.main(Walk, Herd, choose="mode")
    result = call("--mode", "herd", "--far", app=app)
    assert (result.code, result.err) == (0, "warning: --far: herd does not use it\n")


@pytest.mark.parametrize("arguments", [["spelt-here"], ["spelt-here", "--must", "4"]])
def test_a_required_option(arguments, call, started):
    result = call(*arguments, app=spelt())
    got = "4" if "4" in arguments else "nothing"
    assert result.code == 2
    assert result.err == f"error: --must: got {got}, expected a whole number from 0 to 3\n"


def test_a_positional_parameter_is_named_as_it_is_shown(call, started):
    result = call("spelt-here", "", "--must", "1", app=spelt())
    assert (result.code, result.err) == (2, "error: FILE: got '', expected a path\n")


def test_a_positional_parameter_that_is_needed_is_said_to_be(call):
    missing = call("verify")
    assert (missing.code, "Missing argument 'RUN_DIR'" in missing.err) == (2, True)
    assert "verify [OPTIONS] {RUN_DIR}" in call("verify", "--help").out


def test_a_path_may_begin_and_end_with_a_space(call, started):
    assert call("spelt-here", " a b ", "--must", "1", app=spelt()).code == 0
    assert started[0][0].file == Path(" a b ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--quick"], {"steps": 3, "loud": True}),
        (["--quick", "--steps", "8"], {"steps": 8, "loud": True}),
        (["--steps", "8", "--quick"], {"steps": 8, "loud": True}),
        (["--quick", "--silent"], {"steps": 3, "loud": False}),
        (["--far"], {"VAR": 100.0, "keep_trace": False}),
        (["--far", "--VAR", "1"], {"VAR": 1.0, "keep_trace": False}),
        (["--far", "--keep-trace"], {"VAR": 100.0, "keep_trace": True}),
        (["--quick", "--far"], {"steps": 3, "loud": True, "VAR": 100.0, "keep_trace": False}),
    ],
)
def test_presets_do_not_override_what_was_given(arguments, expected, call, started):
    assert call(*arguments).code == 0
    ((walk, options, _),) = started
    assert walk == Walk(**expected)
    assert options.quick == ("--quick" in arguments)


def test_a_preset_beats_quick(call, started):
    class Both(Walk):
        """Has both."""

        quick: ClassVar = {"steps": 3, "VAR": 5.0}
        presets: ClassVar = {"far": {"VAR": 100.0}}

    app = App("toy-model", "Help.")
    app.main(Both)
    assert call("--quick", "--far", app=app).code == 0
    assert (started[0][0].steps, started[0][0].VAR) == (3, 100)


def test_help_lists_all_options_in_80_columns(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = call("-h")
    assert shown.code == 0
    assert shown.err == ""
    for option in [*Walk.model_fields, *Options.model_fields, "version", "far"]:
        expected = f"--{option.replace('_', '-')} "
        assert (expected in shown.out) == (option != "data_dir"), option
    assert "Let a point walk at random (Figure 1)." in shown.out
    assert "Variance of a step (m^2)." in shown.out
    assert all(name in shown.out for name in ("herd", "brittle", "parts", "verify", "plot"))
    assert max(map(len, shown.out.splitlines())) <= 80
    square = call("spelt-here", "--help", app=spelt()).out
    assert "Levels [a, b]." in square


def test_help_is_printed_without_what_is_heavy():
    code = (
        "import sys; from toy_model.cli import app\n"
        "try: app(['--help'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Random walks." in printed.stdout
    loaded = {name.partition(".")[0] for name in printed.stderr.split()}
    heavy = {"torch", "numpy", "xarray", "pandas", "matplotlib", "scipy", "numba", "yaml"}
    assert not loaded & heavy


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (["--VAR", "2"], "--VAR"),
        (["--VAR", "1.0"], "--VAR"),
        (["--out", "x"], "--out"),
        (["-q"], "--quiet"),
        (["--keep_trace"], "--keep-trace"),
        (["--quick"], "--quick"),
    ],
)
def test_options_before_a_subcommand_are_refused(option, name, call, started):
    result = call(*option, "herd")
    assert result.code == 2
    assert result.err == f"error: {name} stands before herd; options follow the subcommand\n"
    assert started == []


def test_a_subcommand_does_not_run_the_main_command(call, started):
    assert call("herd", "--quiet").code == 0
    ((experiment, options, _),) = started
    assert experiment.name == "herd"
    assert options.quiet


@pytest.mark.parametrize("arguments", [["--version"], ["herd", "--version"], ["--VERSION"]])
def test_version(arguments, call, started):
    result = call(*arguments)
    assert (result.code, result.out, started) == (0, "toy-model 0.1\n", [])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["--steps", "many"], "--steps: got 'many', expected a whole number from 1 to 1,000,000"),
        (["--steps", "0"], "--steps: got 0, expected a whole number from 1 to 1,000,000"),
        (["--VAR", "nan"], "--VAR: got 'nan', expected a number above 0, up to 1e+06"),
        (["--keep-trace", "--kind", "odd"], "--kind: got 'odd', expected one of plain, biased"),
        (["--kind", "biased"], "--drift: got nothing, expected a number from -1 to 1 for biased"),
        (["--scales", "1,1"], "--scales: got 1 twice, expected different values"),
        (["--seeds", "3:1"], "--seeds: got '3:1', expected whole numbers from 0 to"),
        (["--seeds", "1,1"], "--seeds: got 1 twice"),
        (["--seed", "-1"], "--seed: got -1"),
        (["--format", "gif"], "--format: got 'gif', expected one of png, pdf, svg"),
        (["--workers", "0"], "--workers: got 0, expected a whole number from 1 to 10,000"),
        (["--cluster", "dos"], "--cluster: got 'dos', expected one of slurm"),
        (["--device", "cuda:99"], "--device: got 'cuda:99', expected what this machine has:"),
        (["--device", "abacus"], "--device: got 'abacus', expected auto, cpu, cuda, cuda:N or mps"),
        (["--steps", "1", "--STEPS=2"], "--steps: got 2 values, expected the option once"),
        (["--sweep", "VAR"], "--sweep: got 'VAR', expected NAME=V1,V2,..., as in lr=0.001,0.01"),
        (["--sweep", "VAR="], "--sweep: got 'VAR='"),
        (["--sweep", "VRA=1"], "VRA: got a name that is unknown, expected one of steps, VAR"),
        (["--sweep", "VAR=1,x"], "--VAR: got 'x', expected a number above 0"),
        (["--sweep", "VAR=1,1"], "--sweep: got VAR=1,1, expected different values"),
        (
            ["--sweep", "VAR=1", "--sweep", "VAR=2"],
            "--sweep: got 'VAR=2', expected every parameter",
        ),
    ],
)
def test_bad_options(arguments, named, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.code == 2
    assert named in " ".join(result.err.split())
    assert result.out == ""
    assert "Traceback" not in result.err
    assert not list(tmp_path.iterdir())


def test_a_sweep_of_the_command_line(call, started):
    arguments = ["--sweep", "VAR=1,2", "--sweep", "scales=1,2;[3]", "--sweep", "keep-trace=true"]
    assert call(*arguments, "--sweep", "drift=none,0.5").code == 0
    assert started[0][2] == {
        "VAR": (1, 2),
        "scales": ((1, 2), (3,)),
        "keep_trace": (True,),
        "drift": (None, 0.5),
    }


def test_a_device_that_is_not_used_is_told(call, started):
    assert "computes on the CPU" in call("brittle", "--device", "cuda").err
    assert call("brittle", "--device", "cpu").err == ""


# --- Several experiments in one command ----------------------------------------------------------


class Slow(Idle):
    """Be slow."""

    common: int = 1
    only_slow: int = 2
    flag: bool = False


class VeryFast(Idle):
    """Be fast."""

    common: int = 3
    only_fast: int = 4


def several() -> App:
    app = App("toy-model", "Help.")
    app.main(Slow, VeryFast, choose="mode")
    return app


def test_help_tells_the_defaults_of_every_experiment(call):
    shown = " ".join(call("--help", app=several()).out.replace("│", " ").split())
    assert "Default: 1; 3 (very-fast)." in shown
    assert "Default: 2." in shown


@pytest.mark.parametrize("mode", ["very-fast", "VERY_FAST", "Very_Fast"])
def test_an_option_chooses_the_experiment(mode, call, started):
    assert call("--mode", mode, "--common", "7", app=several()).code == 0
    assert started[0][0] == VeryFast(common=7)
    assert call(app=several()).code == 0
    assert started[1][0] == Slow()


def test_options_of_others_are_told(call, started):
    result = call("--mode", "slow", "--only-fast", "7", "--only-slow", "1", app=several())
    assert result.code == 0
    assert result.err == "warning: --only-fast: slow does not use it\n"
    assert call("--mode", "very-fast", app=several()).err == ""


def test_an_unknown_choice(call, started):
    result = call("--mode", "lame", app=several())
    expected = "error: --mode: got 'lame', expected one of slow, very-fast\n"
    assert (result.code, result.err) == (2, expected)


# --- Commands that are no experiments -------------------------------------------------------------


class Physics(Parameters):
    """A group of options."""

    rate: Annotated[float, Between(0, 10)] = 0.5
    """A rate."""


class Convert(Physics, Command):
    """Convert something."""

    words: Annotated[tuple[str, ...], Positional("WORD..."), Repeated()] = ()
    """What is converted."""
    steps: int = 100
    """Steps."""

    quick: ClassVar = {"rate": 0.1, "steps": 3}
    without: ClassVar = ("sweep", "format")

    def start(self, options, reporter):
        reporter.say(f"converting {self.words} {options.all_seeds} {self.rate} {self.steps}")


def converter() -> App:
    app = App("toy-model", "Help.")
    app.add(Convert)
    return app


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "() (0,) 0.5 100"),
        (["w"], "('w',) (0,) 0.5 100"),
        (["w", "--rate", "2", "v=1", "--steps", "7"], "('w', 'v=1') (0,) 2.0 7"),
        (["--seeds", "0:2"], "() (0, 1) 0.5 100"),
        (["--quick"], "() (0,) 0.1 3"),
        (["--quick", "--steps", "100", "--rate", "0.5"], "() (0,) 0.5 100"),
    ],
)
def test_a_command_that_is_no_experiment(arguments, expected, call):
    app = converter()
    result = call("convert", *arguments, app=app)
    assert (result.code, result.err) == (0, f"converting {expected}\n")
    assert app.experiments == {}


@pytest.mark.parametrize("option", ["--sweep", "--format", "--data-dir"])
def test_options_that_mean_nothing_to_a_command_are_unknown(option, call):
    assert option in call("walk", "--help", app=walking_with_data()).out
    result = call("convert", option, "x", app=converter())
    assert (result.code, f"No such option: {option}" in result.err) == (2, True)


def walking_with_data() -> App:
    class Reading(Walk):
        name: ClassVar = "walk"
        reads_data: ClassVar = True

    app = App("toy-model", "Help.")
    app.add(Reading)
    return app


def test_errors_of_a_commands_options(call):
    result = call("convert", "w", "--rate", "11", app=converter())
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: --rate: got 11.0, expected a number from 0 to 10\n"


def command_that(does: Callable[[], object]) -> App:
    class Does(Command):
        """Does it."""

        name: ClassVar = "walk"

        def start(self, options, reporter):
            does()

    app = App("toy-model", "Help.")
    app.add(Does)
    return app


# --- Errors --------------------------------------------------------------------------------------

ENDS = [
    (InvalidInputError("too much"), 2, "too much"),
    (ParameterError("debug", 1, "less"), 2, "--debug: got 1, expected less"),
    (ParameterError("a.b_c", 1, "less"), 2, "a.b_c: got 1, expected less"),
    (SharpwaveError("no data"), 1, "no data"),
    (DivergenceError("nan at step 3"), 1, "nan at step 3"),
    (RuntimeError("shapes\n\tdiffer"), 1, "RuntimeError: shapes differ (--debug shows where)"),
    (MemoryError(), 1, "MemoryError: (--debug shows where)"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (typer.Exit(3), 3, None),
    (SystemExit(4), 4, None),
]


@pytest.mark.parametrize(("error", "code", "line"), ENDS, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("kind", ["experiment", "command"])
def test_errors(error, code, line, debug, kind, call, monkeypatch):
    def fail(*arguments, **options) -> None:
        raise error

    app = command_that(fail)
    if kind == "experiment":
        app.add(Walk)
        monkeypatch.setattr("sharpwave_shared.execution.run_all", fail)
    result = call("walk", *(["--debug"] if debug else []), app=app)
    assert result.code == code
    assert result.out == ""
    lines = result.err.splitlines()
    if line is None:
        assert lines == []
        return
    assert lines[-1] == f"error: {line}"
    if debug:
        assert lines[0] == "Traceback (most recent call last):"
        assert any("raise error" in shown for shown in lines)
    else:
        assert len(lines) == 1


@pytest.mark.usefixtures("undrawn")
def test_data_warnings_are_told_and_recorded(call, tmp_path):
    arguments = ["brittle", "--stumbles-at", "0", "--how", "warning", "--quiet", "--out", tmp_path]
    result = call(*arguments)
    assert (result.code, result.err) == (0, "warning: the ground is odd\n")
    assert json.loads((tmp_path / "run.json").read_text())["warnings"] == ["the ground is odd"]


def test_other_warnings_stay_what_they_are(call):
    told = []

    def warn() -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        told.extend(caught)
        warnings.warn("the data are odd", DataWarning, stacklevel=1)

    assert call("walk", "-q", app=command_that(warn)).err == "warning: the data are odd\n"
    assert len(told) == 1


@pytest.mark.parametrize("quiet", [True, False])
def test_what_the_library_logs_is_told(quiet, call):
    logger = logging.getLogger("sharpwave_shared")
    before = logger.level, list(logger.handlers)

    def log() -> None:
        logging.getLogger("sharpwave_shared.data").info("downloading %s", "a file")
        logging.getLogger("sharpwave_shared.data").debug("a detail")

    result = call("walk", *(["--quiet"] if quiet else []), app=command_that(log))
    assert result.err == ("" if quiet else "downloading a file\n")
    assert (logger.level, list(logger.handlers)) == before


# --- Runs ----------------------------------------------------------------------------------------


def test_a_run_from_end_to_end(call, tmp_path):
    out = tmp_path / "run"
    arguments = ["--seeds", "3,1", "--out", out, "--steps", "3"]
    result = call(*arguments, "--format", "png,svg")
    assert result.code == 0
    assert f"toy-model walk on cpu, into {out}" in result.err
    assert f"results: {out} (" in result.err
    assert "Claims: toy-model walk, 2 seeds" in result.out
    assert {path.name for path in (out / "figures").iterdir()} == {"distance.png", "distance.svg"}

    again = call(*arguments)
    assert again.code == 0
    assert f"{out} holds this run already, finished; --force runs it again" in again.err
    assert again.out == result.out
    more = call(*arguments[:-1], "5")
    assert "finished; --resume goes on, --force runs it again" in more.err
    assert "walking: 5/5" in call(*arguments[:-1], "5", "--resume").err

    refused = call(*arguments, "--VAR", "7")
    assert refused.code == 2
    assert refused.err.splitlines()[-1] == (
        f"error: {out}: holds a run of another configuration (parameters.VAR: 1 there, 7 here); "
        "--force discards it"
    )
    assert call(*arguments, "--VAR", "7", "--force", "-q").err == ""


@pytest.mark.usefixtures("undrawn")
def test_a_failed_run_says_so_and_can_go_on(call, tmp_path, monkeypatch):
    arguments = ["brittle", "--stumbles-at", "0", "--out", tmp_path]
    result = call(*arguments, "--quiet")
    assert (result.code, result.err) == (1, "error: stumbled at step 3\n")
    verified = call("verify", tmp_path)
    assert verified.code == 2
    assert verified.err == (
        f"error: {tmp_path}: the run did not finish (status failed); "
        "--resume goes on with it when it is run again\n"
    )
    monkeypatch.setattr(Brittle, "stumble", lambda self: None)
    again = call(*arguments, "-q")
    assert again.code == 2
    assert "--resume goes on with it, --force starts again" in again.err
    assert call(*arguments, "--resume", "-q").err == ""
    assert call("verify", tmp_path).code in (0, 1)


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_run(call, tmp_path):
    result = call("brittle", "--stumbles-at", "0", "--how", "interrupt", "--out", tmp_path, "-q")
    assert result.code == 130
    assert result.err == "error: interrupted\n", "nothing is kept that could be gone on with"
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.usefixtures("undrawn")
def test_quick_runs_are_not_judged(call, tmp_path):
    result = call("--out", tmp_path, "--quick", "-q")
    assert result.code == 0
    assert "[not judged (scaled down)]" in result.out
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["quick"], record["parameters"]["steps"]) == (True, 3)
    assert call("verify", tmp_path).code == 0
    (claim,) = json.loads(call("verify", tmp_path, "--json").out)
    assert claim["reproduced"] is None


@pytest.mark.renders
def test_plot_draws_again_from_what_is_stored(call, finished_copy):
    figure = finished_copy / "figures" / "distance.png"
    call("plot", finished_copy)
    before = figure.read_bytes()
    figure.unlink()
    result = call("plot", finished_copy, "--format", "png,svg")
    assert result.code == 0
    booklet = finished_copy / "walk-VAR=1.pdf"
    assert result.out.split() == [str(figure), str(figure.with_suffix(".svg")), str(booklet)]
    assert figure.read_bytes() == before
    assert "--format: got 'gif'" in call("plot", finished_copy, "--format", "gif").err
    assert call("plot", finished_copy / "nothing").code == 2


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_verify(form, call, tmp_path):
    Walk(VAR=100.0).run(range(6), out=tmp_path / "good")
    Walk(VAR=0.0001).run(range(6), out=tmp_path / "bad")
    for name, code, reproduced in (("good", 0, True), ("bad", 1, False)):
        result = call("verify", tmp_path / name, *form)
        assert (result.code, result.err) == (code, "")
        if form:
            far, both = json.loads(result.out)
            assert (far["name"], far["reproduced"]) == ("far", reproduced)
            assert both["reproduced"]
        else:
            assert "The point walks far away" in result.out
            assert ("[not reproduced]" in result.out) != reproduced


@pytest.mark.usefixtures("undrawn")
def test_results_that_are_all_missing_are_told(call, tmp_path, monkeypatch):
    compute = Walk.compute
    monkeypatch.setattr(Walk, "compute", lambda self, job: compute(self, job) * np.nan)
    Walk().run(out=tmp_path)
    assert "every number of its results is missing (NaN)" in call("verify", tmp_path).err


@pytest.mark.usefixtures("undrawn")
def test_verify_where_nothing_is_claimed(call, tmp_path):
    assert call("parts", "--out", tmp_path).code == 0
    result = call("verify", tmp_path)
    assert (result.code, result.err) == (1, "error: no claim speaks about a run of 'parts'\n")


def test_verify_a_sweep(call, tmp_path):
    ran = call("--sweep", "VAR=0.0001,100", "--seeds", "0:2", "--out", tmp_path)
    assert ran.code == 0
    assert "a sweep of 2 runs, into" in ran.err
    result = call("verify", tmp_path)
    assert (result.code, result.err) == (0, "")
    assert result.out == ran.out
    assert "0 of 2 seeds at VAR = 0.0001" in result.out
    assert "2 of 2 seeds at VAR = 100" in result.out
    assert "0 of 0" not in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    assert json.loads(call("verify", tmp_path, "--json").out) == [
        {"name": "far", "at": {"VAR": var}, "seeds_holding": holding, "seeds_measured": 2}
        for var, holding in ((0.0001, 0), (100.0, 2))
    ]
    assert str(tmp_path / "figures" / "map-far.png") in call("plot", tmp_path).out
    again = call("--sweep", "VAR=0.0001,100", "--seeds", "0:2", "--out", tmp_path)
    assert "holds this run already, finished; --force runs it again" in again.err
    assert "cells" not in again.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"package": "numpy"}, "a run of 'numpy', which is not installed|a run of numpy, which"),
        ({"experiment": "trap\x1b[2J"}, r"trap\\x1b\[2J, which this version does not know"),
        ({"parameters": {"steps": "x" * 10_000}}, "parameters that this version does not take"),
        ({"status": "won"}, "is not the record of a run: status"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "plot"])
def test_hostile_records(changes, message, command, call, finished_copy):
    path = finished_copy / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    result = call(command, finished_copy)
    assert result.code in (1, 2)
    assert re.search(message, result.err)
    assert len(result.err) < 1000
    assert result.err.removesuffix("\n").isprintable()
    assert result.out == ""


def test_a_run_of_another_package(call, finished):
    own, others = (call("verify", finished, app=app) for app in (toy_app, App("other", "Help.")))
    assert (others.code, others.out, others.err) == (own.code, own.out, own.err)


# --- The command `sharpwave` ---------------------------------------------------------------------


def test_installed_packages_are_found(monkeypatch):
    found = importlib.metadata.entry_points

    def of_the_toy_package(**which):
        return [point for point in found(**which) if point.name == "toy-model"]

    with monkeypatch.context() as patch:  # to load all packages takes seconds
        patch.setattr(importlib.metadata, "entry_points", of_the_toy_package)
        assert installed_apps() == {"toy-model": toy_app}
    assert find_experiment("toy-model", "walk") is Walk
    with pytest.raises(InvalidInputError, match="it has walk, herd, brittle, parts"):
        find_experiment("toy-model", "wlak")


def test_sharpwave_lists_parameters_of_sections(call, monkeypatch):
    class Sectioned(Idle):
        """Has a section."""

        physics: Physics = Physics()

    app = App("toy-model", "Help.")
    app.add(Sectioned)
    monkeypatch.setattr(sharpwave, "installed_apps", lambda: {"toy-model": app})
    lines = call("list", app=sharpwave.app).out.splitlines()
    assert lines[-1] == "    physics.rate = 0.5: a number from 0 to 10. A rate."


def test_sharpwave_lists_experiments_in_80_columns(call, monkeypatch):
    monkeypatch.setattr(sharpwave, "installed_apps", lambda: {"toy-model": toy_app})
    result = call("list", app=sharpwave.app)
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= 80
    text = " ".join(result.out.split())
    assert "toy-model: Random walks." in text
    assert "walk: Let a point walk at random (Figure 1)." in text
    assert "VAR = 1: a number above 0, up to 1e+06. Variance of a step (m^2)." in text
    assert text.count("steps") >= 4
    assert call("list", "toy-model", app=sharpwave.app).out == result.out
    unknown = call("list", "toy", app=sharpwave.app)
    assert unknown.code == 2
    assert "one of toy-model" in unknown.err


def test_nothing_is_drawn_or_judged_through_links(call, finished_copy, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(finished_copy / "figures")
    (finished_copy / "figures").symlink_to(outside)
    for command in ("plot", "verify"):
        result = call(command, finished_copy)
        assert (result.code, "figures: a link" in result.err) == (2, True)
    assert not list(outside.iterdir())


def test_verdicts_that_cannot_be_stored_are_shown(call, finished_copy, monkeypatch):
    def refuse(path, content) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("sharpwave_shared.execution.write_json", refuse)
    result = call("verify", finished_copy)
    assert "reproduced]" in result.out
    assert "the verdicts cannot be stored" in result.err


@pytest.mark.usefixtures("undrawn")
def test_names_of_files_need_not_be_text(monkeypatch, tmp_path):
    name = os.fsdecode(b"\xff")
    monkeypatch.setattr(sys, "argv", ["toy-model", "--out", name])
    Walk(steps=2).run(0, out=tmp_path / name)
    assert open_run(tmp_path / name).record.command_line == sys.argv
    assert r"\udcff" in (tmp_path / name / "log.txt").read_text()
