"""Paths that nobody has, of all commands and all public functions."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import hybrid_plasticity
import impression_learning
import rnn_reactivation
import sharpwave_shared
import sleep_replay
import synaptic_consolidation
from sharpwave_shared.app import installed_apps
from sharpwave_shared.errors import InvalidInputError, ParameterError
from sharpwave_shared.experiment import check_seeds
from sharpwave_shared.paths import LONGEST_NAME, as_path

PACKAGES = (
    sharpwave_shared,
    hybrid_plasticity,
    impression_learning,
    rnn_reactivation,
    sleep_replay,
    synaptic_consolidation,
)


class Somewhere:
    """A path of a kind of its own."""

    def __init__(self, path: str):
        self.path = path

    def __fspath__(self) -> str:
        return self.path


READERS: dict[str, Callable[[Any], object]] = {
    "mnist": lambda p: sharpwave_shared.mnist(data_dir=p),
    "free_spoken_digits": lambda p: sharpwave_shared.free_spoken_digits(data_dir=p),
    "kaufman_2012": lambda p: sharpwave_shared.kaufman_2012(data_dir=p),
    "open_run": sharpwave_shared.open_run,
    "hybrid read_model": hybrid_plasticity.read_model,
    "Evaluate": lambda p: hybrid_plasticity.Evaluate(run_dir=p).run(),
    "Analyze": lambda p: hybrid_plasticity.Analyze(run_dir=p).run(),
    "Compare": lambda p: hybrid_plasticity.Compare(directory=p).run(),
    "load_speech": lambda p: impression_learning.load_speech(data_dir=p),
    "VocalDigits": lambda p: impression_learning.VocalDigits().run(data_dir=p),
    "rnn read_model": rnn_reactivation.read_model,
    "load_configuration": rnn_reactivation.load_configuration,
    "rnn Analyze": lambda p: rnn_reactivation.Analyze(networks=p).run(),
    "load_experience": lambda p: sleep_replay.load_experience(sleep_replay.Model(), p),
    "Schedule": lambda p: sleep_replay.Schedule().run(data_dir=p),
    "read_spines": synaptic_consolidation.read_spines,
    "AnalyzeSpines": lambda p: synaptic_consolidation.AnalyzeSpines(file=p).run(),
}


@pytest.mark.parametrize("reader", READERS)
def test_paths_of_every_kind_reach_what_reads_them(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("~/none.yml", Path("~/none.yml"), Somewhere("~/none.yml")):
        with pytest.raises(InvalidInputError, match=re.escape(f"{tmp_path}/none.yml")):
            READERS[reader](path)
    for path in ("", "a\0b.yml", "x" * 20_000 + ".yml", "~nobody-has-this-name/x.yml"):
        with pytest.raises(InvalidInputError) as caught:
            READERS[reader](path)
        assert len(str(caught.value)) < 1000


def test_no_public_function_takes_paths_of_one_kind_only():
    for package in PACKAGES:
        for name in package.__all__:
            function = getattr(package, name)
            if inspect.isfunction(function) or function is sharpwave_shared.Journal:
                for given in inspect.signature(function).parameters.values():
                    words = str(given.annotation)
                    assert "Path" not in words or "PathLike" in words, (package, name, given)


def test_environment_variables_name_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHARPWAVE_DATA", "~/none")
    with pytest.raises(ParameterError, match=f"SHARPWAVE_DATA: got {tmp_path}/none"):
        sharpwave_shared.mnist()


@pytest.mark.parametrize(
    "value", [5, None, b"x", ["x"], "", " ", "a\0b", "\ud800", "y" * (LONGEST_NAME + 1)]
)
def test_what_is_no_path(value):
    with pytest.raises(ParameterError, match=r"^where: got .*, expected a path"):
        as_path("where", value)


SEEDED: dict[str, Callable[[Any], object]] = {
    "Streams": lambda seed: sharpwave_shared.Streams(seed).numpy("x").random(),
    "Network": lambda seed: (
        hybrid_plasticity.Network.new(hybrid_plasticity.Configuration(), seed).seed
    ),
    "Learner": lambda seed: (
        rnn_reactivation.Learner(
            rnn_reactivation.TrainHeadDirection(rnn={"hidden_size": 3}), seed
        ).seed
    ),
    "check_seeds": check_seeds,
    "check_seeds of several": lambda seed: check_seeds([1, seed]),
}


@pytest.mark.parametrize("function", SEEDED)
def test_seeds_are_integers_of_any_type(function):
    expected = SEEDED[function](3)
    for kind in (np.int64, np.uint32, np.int8):
        assert SEEDED[function](kind(3)) == expected
    for wrong in (-1, 2**32, np.int64(-1)):
        with pytest.raises(ParameterError, match="seed"):
            SEEDED[function](wrong)


def path_parameters(command: Any) -> list[list[str]]:
    """Give how the parameters of a command that are paths are given, but for their values."""
    options = [[p.opts[0]] for p in command.params if p.metavar == "PATH"]
    return options + [[] for p in command.params if p.param_type_name == "argument"]


@pytest.mark.parametrize("package", installed_apps())
def test_unusable_paths_are_told_in_a_short_line(package, tmp_path, capsys):
    (tmp_path / "file").touch()
    values = ["x" * 20_000, "a\0b", f"{tmp_path}/file/inner", "y" * 300]
    group = typer.main.get_command(installed_apps()[package].build())
    commands = {(): group} | {(name,): part for name, part in group.commands.items()}
    tried = 0
    for words, command in commands.items():
        for given in path_parameters(command):
            for value in values:
                tried += 1
                others = ["anything"] if given and any(p.required for p in command.params) else []
                code = group.main([*words, *others, *given, value], standalone_mode=False)
                err = capsys.readouterr().err
                assert (code, err.count("\n")) == (2, 1), (words, given, value[:50], err[:1000])
                assert err.startswith("error: ")
                assert len(err) < 1000
    assert tried >= 4 * len(commands)
