"""The command line: options, presets, exit codes and what stands on which stream."""

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
import typer
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.cli import (
    Common,
    Outcome,
    add_run_commands,
    command,
    create_app,
    default_directory,
    execute,
    parse_numbers,
    parse_seeds,
)
from sharpwave_shared.data import DataWarning
from sharpwave_shared.errors import DivergenceError, InvalidInputError, SharpwaveError
from sharpwave_shared.plotting import save_figures, style
from sharpwave_shared.runs import RunSpec, StoredRun

PACKAGE = "sharpwave-shared"


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys):
    """Call an application as its command does.

    Not with typer's CliRunner, which gives standard error apart only in some versions.
    """

    def call(app: typer.Typer, *arguments: str | Path) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, captured.out, captured.err)

    return call


# --- Numbers -------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e300, allow_nan=False), min_size=1, unique=True))
def test_listed_numbers(numbers):
    assert parse_numbers("--rates", ", ".join(map(repr, numbers))) == numbers


def test_whole_numbers():
    assert parse_numbers("--periods", "1,4,31", whole=True) == [1.0, 4.0, 31.0]


@pytest.mark.parametrize("text", ["", "1,", "a", "-1", "nan", "inf", "1;2", "0x10", "1,1", "2,2.0"])
def test_lists_that_are_refused(text):
    with pytest.raises(InvalidInputError, match="--rates"):
        parse_numbers("--rates", text)


@pytest.mark.parametrize("text", ["1.5", "1e3", "-2", "1,1"])
def test_lists_that_are_not_of_whole_numbers(text):
    with pytest.raises(InvalidInputError, match="--periods"):
        parse_numbers("--periods", text, whole=True)


# --- Seeds ---------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)


@given(st.lists(seeds, min_size=1, unique=True), st.sampled_from([",", ", ", " ,"]))
def test_listed_seeds(numbers, comma):
    assert parse_seeds(comma.join(map(str, numbers))) == numbers


@given(seeds, st.integers(1, 50))
def test_a_range_stops_before_its_end(first, count):
    stop = min(first + count, 2**32)
    assert parse_seeds(f"{first}:{stop}") == list(range(first, stop))


def test_mixture_and_default():
    assert parse_seeds("7, 0:3,5") == [7, 0, 1, 2, 5]
    assert parse_seeds(None, 4) == [4]
    assert parse_seeds("1", 4) == [1]


@given(st.lists(seeds, min_size=1, unique=True), st.data())
def test_a_seed_given_twice_is_refused(numbers, data):
    again = data.draw(st.sampled_from(numbers))
    with pytest.raises(InvalidInputError, match="a seed is given twice"):
        parse_seeds(",".join(map(str, [*numbers, again])))
    if again < 2**32 - 1:
        with pytest.raises(InvalidInputError, match="a seed is given twice"):
            parse_seeds(f"{again},{max(again - 2, 0)}:{again + 1}")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",", "1,", ",1", "1,,2", "a", "1.5", "-1", "+1", "1e3", "0x1", "1 2", "1_0"),
        *("0:", ":5", "0:5:2", "0-5", "5:5", "5:2", "7,5:5", "²", "٣"),
        *("4294967296", "0,4294967296", "4294967290:4294967297", "9" * 5000),
        *("0:100001", "0:99999,200000:200002"),
    ],
)
def test_bad_seeds(text):
    with pytest.raises(InvalidInputError) as caught:
        parse_seeds(text)
    message = str(caught.value)
    assert message.startswith(f"--seeds {text}: ")
    assert "0:5" in message or "more than 100,000" in message


@given(st.text(st.sampled_from("0123456789:, -")) | st.text())
def test_any_text_gives_seeds_or_the_error(text):
    try:
        parsed = parse_seeds(text)
    except InvalidInputError:
        return
    assert parsed
    assert len(set(parsed)) == len(parsed)
    assert all(0 <= seed < 2**32 for seed in parsed)
    assert set(text) <= set("0123456789:, ") | set(filter(str.isspace, text))


def test_bad_seed_names_the_option_that_was_given():
    with pytest.raises(InvalidInputError, match="seed: got -1"):
        parse_seeds(None, -1)


# --- Options -------------------------------------------------------------------------------------


@dataclass
class Physics:
    """A group of options."""

    rate: Annotated[float, typer.Option(help="A rate.")] = 0.5
    old_spelling: Annotated[int, typer.Option("--network_type", "--network-type")] = 1


def make_app() -> tuple[typer.Typer, list]:
    """Make an application with a main command and `sub`, and a list of what they were given."""
    app, seen = create_app(PACKAGE, "Help."), []

    @app.callback(invoke_without_command=True)
    @command(quick={"steps": 3, "rate": 0.1})
    def main(
        common: Common,
        physics: Physics,
        steps: Annotated[int, typer.Option(help="Steps.")] = 100,
    ) -> None:
        seen.append((common, physics, steps))

    @app.command()
    @command
    def sub(common: Common, word: Annotated[str, typer.Argument()]) -> None:
        seen.append((common, word))

    return app, seen


def test_groups_expand_into_options(call, tmp_path):
    app, seen = make_app()
    result = call(
        app,
        *("--seeds", "0:3", "--rate", "2", "--network_type", "4", "--format", "pdf,png"),
        *("--data-dir", tmp_path, "--device", "cpu"),
    )
    assert (result.code, result.out, result.err) == (0, "", "")
    ((common, physics, steps),) = seen
    assert common.seed_list == [0, 1, 2]
    assert common.formats == ["pdf", "png"]
    assert common.data_dir == tmp_path
    assert (common.out, common.seed, common.quick) == (None, 0, False)
    assert physics == Physics(rate=2.0, old_spelling=4)
    assert steps == 100


def test_help_lists_all_options(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    shown = call(make_app()[0], "-h")
    assert shown.code == 0
    for option in (
        *("--seed", "--seeds", "--device", "--out", "--data-dir", "--quick", "--resume"),
        *("--force", "--format", "--quiet", "--verbose", "--debug", "--version", "--rate"),
    ):
        assert f"{option} " in shown.out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], (0.5, 100)),
        (["--quick"], (0.1, 3)),
        (["--quick", "--steps", "100"], (0.1, 100)),
        (["--rate", "0.5", "--quick"], (0.5, 3)),
        (["--steps", "7", "--rate", "8"], (8, 7)),
    ],
)
def test_presets_do_not_override_what_was_given(given, expected, call):
    app, seen = make_app()
    assert call(app, *given).code == 0
    ((_, physics, steps),) = seen
    assert (physics.rate, steps) == expected


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (["--rate", "2"], "--rate"),
        (["--rate", "0.5"], "--rate"),
        (["--data-dir", "x"], "--data-dir"),
        (["-q"], "--quiet"),
        (["--network-type", "2"], "--network_type"),
    ],
)
def test_options_before_a_subcommand_are_refused(option, name, call):
    app, seen = make_app()
    result = call(app, *option, "sub", "word")
    assert result.code == 2
    assert result.err == f"error: {name} stands before sub; options follow the subcommand\n"
    assert seen == []


def test_a_subcommand_does_not_run_the_main_command(call):
    app, seen = make_app()
    assert call(app, "sub", "word", "--quiet").code == 0
    ((common, word),) = seen
    assert common.quiet
    assert word == "word"


@pytest.mark.parametrize("arguments", [["--version"], ["sub", "--version"]])
def test_version(arguments, call):
    app, seen = make_app()
    result = call(app, *arguments)
    assert result.code == 0
    assert result.out == f"{PACKAGE} 0.1.0\n"
    assert seen == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--nonsense"], "--nonsense"),
        (["--steps", "many"], "--steps"),
        (["nonsense"], "nonsense"),
        (["sub"], "word"),
        (["--seeds", "3:1"], "--seeds 3:1"),
        (["--seed", "-1"], "--seed: got -1"),
        (["--seed", "-1", "--seeds", "3"], "--seed: got -1"),
        (["--format", "gif"], "--format gif"),
        (["--device", "abacus"], "--device: got 'abacus'"),
    ],
)
def test_bad_options(arguments, named, call):
    app, seen = make_app()
    result = call(app, *arguments)
    assert result.code == 2
    assert named in result.err.replace("WORD", "word")  # a metavar in some versions
    assert result.out == ""
    assert "Traceback" not in result.err
    assert seen == []


# --- Errors --------------------------------------------------------------------------------------

ENDS = [
    (InvalidInputError("--rate 7: too much"), 2, "--rate 7: too much"),
    (SharpwaveError("no data"), 1, "no data"),
    (DivergenceError("nan at step 3"), 1, "nan at step 3"),
    (RuntimeError("shapes\n\tdiffer"), 1, "RuntimeError: shapes differ (--debug shows where)"),
    (MemoryError(), 1, "MemoryError: (--debug shows where)"),
    (KeyboardInterrupt(), 130, "interrupted; --resume goes on from the last checkpoint"),
    (typer.Exit(3), 3, None),
    (SystemExit(4), 4, None),
]


@pytest.mark.parametrize(("error", "code", "line"), ENDS, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
def test_errors(error, code, line, debug, grouped, call):
    app = create_app(PACKAGE, "Help.")

    if grouped:

        @app.command()
        @command
        def main(common: Common) -> None:
            raise error

    else:

        @app.command()
        @command
        def main(debug: bool = False) -> None:
            raise error

    result = call(app, *(["--debug"] if debug else []))
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


def test_data_warnings_are_told_and_recorded(call):
    app = create_app(PACKAGE, "Help.")
    seen = []

    @app.command()
    @command
    def main(common: Common) -> None:
        seen.append(common.reporter)
        for _ in range(2):
            warnings.warn("the data are odd", DataWarning, stacklevel=1)

    result = call(app, "--quiet")
    assert result.err == "warning: the data are odd\n" * 2
    assert seen[0].warnings == ["the data are odd"] * 2


@pytest.mark.parametrize("quiet", [True, False])
def test_what_the_library_logs_is_told(quiet, call):
    app = create_app(PACKAGE, "Help.")
    logger = logging.getLogger("sharpwave_shared")
    before = logger.level, list(logger.handlers)

    @app.command()
    @command
    def main(common: Common) -> None:
        logging.getLogger("sharpwave_shared.data").info("downloading %s", "a file")
        logging.getLogger("sharpwave_shared.data").debug("a detail")

    result = call(app, *(["--quiet"] if quiet else []))
    assert result.err == ("" if quiet else "downloading a file\n")
    assert (logger.level, list(logger.handlers)) == before


# --- A whole package in miniature ----------------------------------------------------------------


def measure(run: StoredRun) -> Measurement | None:
    if run.experiment != "main":
        return None
    total = int(run.arrays()["x"].sum())
    return Measurement(f"{total} units", total >= 10, {"total": total})


CLAIMS = [Claim("sum", "The sum is large", "Fig. 1", "about 12", "at least 10", measure)]


def draw(run: StoredRun, formats) -> list[Path]:
    with style():
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        axes.plot(run.arrays()["x"])
    return save_figures({"line": figure}, run.directory / "figures", formats)


@pytest.fixture
def package() -> tuple[typer.Typer, dict]:
    app = create_app(PACKAGE, "Help.")
    state = {"runs": 0, "error": None, "experiment": "main"}

    @app.callback(invoke_without_command=True)
    @command(quick={"size": 5})
    def main(common: Common, size: Annotated[int, typer.Option()] = 6) -> None:
        def work(run) -> Outcome:
            state["runs"] += 1
            if state["error"] is not None:
                raise state["error"]
            return Outcome({"size": size}, {"x": np.arange(size)})

        spec = RunSpec(
            PACKAGE,
            state["experiment"],
            {"size": size},
            common.seed_list,
            torch.device("cpu"),
            quick=common.quick,
        )
        execute(common, spec, work, draw, CLAIMS)

    add_run_commands(app, PACKAGE, CLAIMS, draw)
    return app, state


def test_a_run_from_end_to_end(package, call, tmp_path):
    app, state = package
    out = tmp_path / "run"
    result = call(app, "--out", out, "--format", "png,svg")
    assert result.code == 0
    assert "15 units" in result.out
    assert f"into {out}" in result.err
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    assert names == {
        *("run.json", "metrics.json", "arrays.npz", "claims.json", "log.txt", ".lock"),
        *("figures/line.png", "figures/line.svg"),
    }
    (claim,) = json.loads((out / "claims.json").read_text())
    assert (claim["name"], claim["reproduced"], claim["values"]) == ("sum", True, {"total": 15})

    again = call(app, "--out", out)
    assert (again.code, state["runs"]) == (0, 1)
    assert "finished; --force runs it again" in again.err
    assert call(app, "--out", out, "--force").code == 0
    assert state["runs"] == 2

    refused = call(app, "--out", out, "--size", "7")
    assert refused.code == 2
    assert "config.size: 6 there, 7 here" in refused.err


def test_plot_draws_again_from_what_is_stored(package, call, tmp_path):
    app, state = package
    call(app, "--out", tmp_path)
    figure = tmp_path / "figures" / "line.png"
    before = figure.read_bytes()
    figure.unlink()
    result = call(app, "plot", tmp_path, "--format", "png,pdf")
    assert result.code == 0
    assert result.out.split() == [str(figure), str(figure.with_suffix(".pdf"))]
    assert figure.read_bytes() == before
    assert state["runs"] == 1
    assert call(app, "plot", tmp_path, "--format", "gif").code == 2
    assert call(app, "plot", tmp_path / "nothing").code == 2


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_verify(form, package, call, tmp_path):
    app, state = package
    call(app, "--out", tmp_path / "good")
    call(app, "--out", tmp_path / "bad", "--size", "4")
    for name, code, reproduced in (("good", 0, True), ("bad", 1, False)):
        result = call(app, "verify", tmp_path / name, *form)
        assert (result.code, result.err) == (code, "")
        if form:
            assert [claim["reproduced"] for claim in json.loads(result.out)] == [reproduced]
        else:
            assert "The sum is large" in result.out
    state["experiment"] = "other"
    call(app, "--out", tmp_path / "other")
    result = call(app, "verify", tmp_path / "other", *form)
    assert result.code == 1
    assert "no claim speaks about a run of 'other'" in result.err


def test_a_failed_job_says_so_and_can_go_on(package, call, tmp_path):
    app, state = package
    state["error"] = DivergenceError("nan at step 3")
    result = call(app, "--out", tmp_path, "--quiet")
    assert (result.code, result.err) == (1, "error: nan at step 3\n")
    assert call(app, "verify", tmp_path).code == 2
    state["error"] = None
    assert call(app, "--out", tmp_path).code == 2
    assert call(app, "--out", tmp_path, "--resume", "--quiet").err == ""
    assert call(app, "verify", tmp_path).code == 0


def test_quick_is_marked(package, call, tmp_path):
    result = call(package[0], "--out", tmp_path, "--quick")
    assert "scaled down by --quick" in result.out
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["quick"], record["config"]) == (True, {"size": 5})


def test_default_directory(package, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app, state = package
    assert call(app).code == 0
    assert call(app, "--size", "7").code == 0
    assert call(app).code == 0
    assert state["runs"] == 2
    assert len(list((tmp_path / "results" / PACKAGE).iterdir())) == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, unique=True))
def test_default_directories_differ_as_runs_do(settings):
    specs = [
        RunSpec(PACKAGE, "main", {"size": size}, [0], torch.device("cpu"), quick=quick)
        for size, quick in settings
    ]
    assert len({default_directory(spec) for spec in specs}) == len(specs)
