"""Command lines at random: each is taken, or refused with exit code 2 and the name of its fault.

Commands, options and ranges are read from what the packages declare. No run is started.
"""

import math
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

import pytest
import typer
from annotated_types import Interval
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from rnn_reactivation.experiments.analyze import Analyze
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from sharpwave_shared.app import installed_apps
from sharpwave_shared.command_line import normalised, option
from sharpwave_shared.errors import show
from sharpwave_shared.experiment import Options
from sharpwave_shared.parameters import (
    Distinct,
    Parameters,
    Repeated,
    all_fields,
    describe,
    marker,
)
from sharpwave_shared.testing import invoke

APPS = installed_apps()
ONCE = {app.package: typer.main.get_command(app.build()) for app in APPS.values()}
WORDS_SET: dict[str, type[Parameters]] = {
    "train": TrainNavigation,
    "train-navigation": TrainNavigation,
    "train-head-direction": TrainHeadDirection,
    "analyze": Analyze,
    "reproduce": TrainNavigation,
}
"""Whose parameters the words of a command of rnn-reactivation set, as NAME=VALUE."""
MALFORMED = [
    *("1_000", "1e-320", "nan", "inf", "-inf", "0x10", "1e400", "-1e400", "", " ", "٣", "²", "½"),
    *("1e", "e1", "1.5.2", "1 2", "1;2", "1,,2", ",", "1:", "--", "-", "true", "1j", "{}", "$(id)"),
    *("__import__('os')", "9" * 5000, "0." + "0" * 400 + "1", "x" * 20_000, "\udcff", "\x1b[2J"),
    *("'", '"1', "[1", "1]", "None1", "1e99999", "0b1", "0o7", "1/2", "1%", "∞", "一", "1\n2"),
]
"""No text of a number, of a choice or of a list of them."""


class StartedError(BaseException):
    """A run would have been started; nothing that takes care of failures may take it."""


def start(*arguments: Any, **options: Any) -> NoReturn:
    raise StartedError


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stop at what comes first in any run; work in an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        for app in APPS.values():
            patch.setattr(app, "build", lambda app=app: ONCE[app.package])
            for kind in app.experiments.values():
                patch.setattr(kind, "load", start)
        patch.setattr("sharpwave_shared.execution.open_directory", start)
        patch.setattr("sharpwave_shared.execution.run_in_workers", start)
        patch.setattr("hybrid_plasticity.figures.pictures.visualize", start)
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield


# --- What commands there are, and what their options are -----------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Command:
    """A command line without options.

    Attributes
    ----------
    package, words
        What starts it: the name of a subcommand say.
    fields
        What else it takes: `--n`, or `rnn.tau` where it is written `rnn.tau=1`.
    needed
        Arguments that it cannot do without.
    """

    package: str
    words: tuple[str, ...]
    fields: Mapping[str, FieldInfo]
    needed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return " ".join((self.package, *self.words))


def commands() -> Iterator[Command]:
    """Give all commands, one for each mode of a package that has modes."""
    for package, app in APPS.items():
        top = ONCE[package]
        for name, kind in app.commands.items():
            name = normalised(name)
            yield command(package, (name,), top.commands[name], (kind,))
        for kind in app.mains:
            words = ("--mode", kind.name) if len(app.mains) > 1 else ()
            others = [other for other in app.mains if other is not kind]
            yield command(package, words, top, (*others, kind))


def command(package: str, words: tuple[str, ...], made: Any, own: Sequence[type]) -> Command:
    """Find the fields of the options that a command shows."""
    shown = {parameter.opts[0] for parameter in made.params}
    fields = {
        option(name): field
        for kind in (Options, *own)
        for name, field in kind.model_fields.items()
        if option(name) in shown
    }
    arguments = [p for p in made.params if p.param_type_name == "argument"]
    if [argument.name for argument in arguments] == ["words"]:
        set_by_words = all_fields(WORDS_SET[words[0]])
        fields |= {name: field for name, field in set_by_words.items() if name != "config"}
        return Command(package, words, fields)
    return Command(package, words, fields, ("there",) * len(arguments))


COMMANDS = list(commands())
OPTIONS = [(command, name) for command in COMMANDS for name in command.fields]


def test_all_options_are_known() -> None:
    """Otherwise they would not be tried."""
    fixed = {"--help", "--version", "--mode", "--json"}
    for package, app in APPS.items():
        flags = {option(flag) for kind in app.experiments.values() for flag in kind.presets}
        known = {name for c in COMMANDS if c.package == package for name in c.fields}
        for made in (ONCE[package], *ONCE[package].commands.values()):
            shown = {p.opts[0] for p in made.params if p.param_type_name == "option"}
            assert shown <= known | fixed | flags


def is_flag(field: FieldInfo) -> bool:
    return bool in (field.annotation, *get_args(field.annotation))


# --- Texts of values -----------------------------------------------------------------------------


@st.composite
def values(draw: st.DrawFn, annotation: Any, *, good: bool, bounds: tuple[Any, ...] = ()) -> str:
    """Draw a text of a value that the annotation allows, or one that it does not."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return draw(values(parts[0], good=good, bounds=(*bounds, *parts[1:])))
    if origin in (Union, UnionType):
        numbers = [part for part in parts if part is not NoneType]
        if not good:
            return draw(_malformed(numbers[0]))
        part = draw(st.sampled_from(parts))
        return "none" if part is NoneType else draw(values(part, good=True, bounds=bounds))
    if origin is Literal:
        texts = [show(part) for part in parts]
        return draw(st.sampled_from(texts) if good else _malformed(annotation))
    if origin is tuple and parts[-1] is not ...:
        texts = [draw(values(part, good=True)) for part in parts]
        if not good:
            texts[draw(st.integers(0, len(parts) - 1))] = draw(values(parts[0], good=False))
        return draw(st.sampled_from([":", ","])).join(texts)
    if origin is tuple:
        return draw(_lists(parts[0], good=good, bounds=bounds))
    if not good and (annotation not in (int, float) or draw(st.booleans())):
        return draw(_malformed(annotation))
    if annotation in (int, float):
        return draw(_numbers(annotation, *_limits(bounds), good=good))
    return draw(st.text(string.ascii_letters + "é_.", min_size=1, max_size=20).map("x".__add__))


@st.composite
def _malformed(draw: st.DrawFn, annotation: Any) -> str:
    if annotation is Path:
        return draw(st.sampled_from(["", " ", "x" * 20_000]))
    if annotation is str:
        return "x" * 20_000
    return draw(st.sampled_from(MALFORMED))


@st.composite
def _lists(draw: st.DrawFn, element: Any, *, good: bool, bounds: tuple[Any, ...]) -> str:
    texts = draw(st.lists(values(element, good=True), min_size=1, max_size=4))
    if any(isinstance(bound, Distinct) for bound in bounds) and good:
        texts = texts[:1]
    fault = draw(st.sampled_from(["element", "gap", "twice", "bracket"]))
    if good:
        return ",".join(texts)
    if fault == "twice" and any(isinstance(bound, Distinct) for bound in bounds):
        return ",".join([texts[0], *texts])
    if fault == "gap":
        return ",".join([*texts, "", "x" * 20_000])
    if fault == "bracket":
        return "{" + "x" * 20_000 + ",".join(texts)
    place = draw(st.integers(0, len(texts)))
    bad = draw(values(element, good=False).filter(lambda text: text.strip(" ,") != ""))
    return ",".join([*texts[:place], bad, *texts[place:]])


def _limits(bounds: tuple[Any, ...]) -> tuple[float, float, bool, bool]:
    """Give the least and the largest number, and whether they are excluded."""
    low, high, above, below = -math.inf, math.inf, False, False
    for bound in bounds:
        if isinstance(bound, Interval):
            above, below = bound.gt is not None, bound.lt is not None
            low = bound.gt if above else bound.ge  # type: ignore[assignment]
            high = bound.lt if below else bound.le  # type: ignore[assignment]
    return (
        -math.inf if low is None else float(low),  # type: ignore[arg-type]
        math.inf if high is None else float(high),  # type: ignore[arg-type]
        above,
        below,
    )


@st.composite
def _numbers(
    draw: st.DrawFn, kind: type, low: float, high: float, above: bool, below: bool, *, good: bool
) -> str:
    if kind is int:
        first, last = int(max(low, -(2.0**53))) + above, int(min(high, 2.0**53)) - below
        if good:
            number = draw(st.integers(first, last))
            return draw(st.sampled_from([str(number), f"{number:+}", f" {number:04}"]))
        return str(draw(st.integers(max_value=first - 1) | st.integers(min_value=last + 1)))
    if good:
        first, last = (None if math.isinf(bound) else bound for bound in (low, high))
        drawn = st.floats(
            first,
            last,
            exclude_min=above,
            exclude_max=below,
            allow_nan=False,
            allow_infinity=False,
            allow_subnormal=False,
        )
        return repr(draw(drawn.filter(lambda x: x == 0 or abs(x) >= 1e-300)))
    outside = [
        *([] if math.isinf(low) else [st.floats(max_value=low, exclude_max=not above)]),
        *([] if math.isinf(high) else [st.floats(min_value=high, exclude_min=not below)]),
    ]
    return repr(draw(st.one_of(outside))) if outside else draw(_malformed(kind))


# --- Lines ---------------------------------------------------------------------------------------


@st.composite
def spelled(draw: st.DrawFn, name: str, text: str) -> list[str]:
    """Write an option as people do."""
    if not name.startswith("--"):
        return [f"{name}={text}"]
    name = draw(st.sampled_from([name, name.upper(), "--" + name[2:].replace("-", "_")]))
    return [f"{name}={text}"] if draw(st.booleans()) else [name, text]


@st.composite
def taken(draw: st.DrawFn, name: str, field: FieldInfo) -> list[str]:
    """Write an option with a value within its range."""
    if name.startswith("--") and is_flag(field):
        return [name]
    return draw(spelled(name, draw(_of_field(field, good=True))))


def _of_field(field: FieldInfo, *, good: bool) -> st.SearchStrategy[str]:
    if is_flag(field):
        return st.sampled_from(["true", "False"] if good else ["yes", "1", ""])
    return values(field.annotation, good=good, bounds=tuple(field.metadata))


@st.composite
def refused(draw: st.DrawFn, command: Command, name: str) -> tuple[list[str], str]:
    """Give arguments with a fault in an option, and a word that the message must hold."""
    field = command.fields[name]
    if name.startswith("--") and is_flag(field):
        return [f"{name}={draw(st.sampled_from(['1', 'true', 'x' * 100]))}"], name
    if name == "--device":
        names = ["tpu", "cuda:1000", "cuda:-1", "CPU", "cpu:0", "cuda:x", "mps:1", "", "x" * 20_000]
        return draw(spelled(name, draw(st.sampled_from(names)))), name
    if marker(field, Repeated) is not None:
        text = draw(st.sampled_from(["", "=", "=1", "no-such=1", "seed=1", "1", "x" * 20_000]))
        return draw(spelled(name, text)), "sweep"
    if name.startswith("--") and draw(st.integers(0, 5)) == 0:
        return [*draw(taken(name, field)), *draw(taken(name, field))], f"{name}: got 2 values"
    return draw(spelled(name, draw(_of_field(field, good=False)))), name


WORDS = st.text(st.characters(categories="LMNPS", exclude_characters="="), min_size=1)


@st.composite
def unknown(draw: st.DrawFn, command: Command) -> tuple[list[str], str]:
    """Give arguments with a word that the command does not know, and how the message names it."""
    word = draw(WORDS.map(lambda text: "y" + text))
    kind = draw(st.sampled_from(["option", "option with value", "no value", "command", "letter"]))
    if kind == "no value":
        names = [n for n, f in command.fields.items() if n.startswith("--") and not is_flag(f)]
        if names:
            return [name := draw(st.sampled_from(names))], name
    if kind == "command" and not (command.package == "rnn-reactivation" and command.words):
        return [word], word
    if kind == "letter":
        return [f"-{draw(st.sampled_from('abcxyz0'))}"], "No such option: -"
    return [f"--{word}=1" if kind == "option with value" else f"--{word}"], f"--{word}"


def squeezed(text: str) -> str:
    """Leave out what depends on the width of the terminal, on capital letters, and on what is
    shown of characters that cannot be."""
    return re.sub("[^a-z0-9-]", "", text.replace("_", "-").lower())


class Outcome:
    """What became of a command line: `code` is None if a run would have been started."""

    def __init__(self, shown: Any, command: Command, arguments: list[str]):
        self.line = f"{command} {arguments}"
        line = [*command.words, *command.needed, *arguments]
        try:
            self.code, out, self.err = invoke(APPS[command.package], shown, *line)
            assert out == "", self.line
        except StartedError:
            self.code, self.err = None, shown.readouterr().err
        assert "--debug" in arguments or "Traceback" not in self.err, self.line
        assert list(Path.cwd().iterdir()) == [], f"{self.line} writes something"

    def __str__(self) -> str:
        return f"{self.line}: exit code {self.code}, {self.err}"


def check_refused(shown: Any, command: Command, arguments: list[str], fault: str) -> None:
    outcome = Outcome(shown, command, arguments)
    assert outcome.code == 2, str(outcome)
    assert squeezed(fault)[:40] in squeezed(outcome.err), str(outcome)
    assert len(outcome.err) < 3000, str(outcome)


def check_taken(shown: Any, command: Command, arguments: list[str], names: list[str]) -> None:
    """What is within its range may be refused because of other options only."""
    outcome = Outcome(shown, command, arguments)
    assert outcome.code in (None, 2), str(outcome)
    if outcome.code == 2:
        assert "error:" in outcome.err, str(outcome)
        for name in names:
            expected = squeezed(f"expected {describe(command.fields[name])}")
            assert expected not in squeezed(outcome.err), str(outcome)


options = st.sampled_from(OPTIONS)
faults = options.flatmap(lambda chosen: st.tuples(st.just(chosen[0]), refused(*chosen)))
strange = st.sampled_from(COMMANDS).flatmap(lambda c: st.tuples(st.just(c), unknown(c)))


@st.composite
def fitting(draw: st.DrawFn) -> tuple[Command, tuple[list[str], list[str]]]:
    command = draw(st.sampled_from([c for c in COMMANDS if c.fields]))
    names = draw(st.lists(st.sampled_from(sorted(command.fields)), max_size=4, unique=True))
    names = [n for n in names if marker(command.fields[n], Repeated) is None and n != "--device"]
    arguments = [word for n in names for word in draw(taken(n, command.fields[n]))]
    return command, (arguments, names)


@pytest.mark.parametrize("examples", [50, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("lines", "check"),
    [(faults, check_refused), (strange, check_refused), (fitting(), check_taken)],
    ids=["a bad value", "an unknown word", "values within their ranges"],
)
def test_lines(lines: Any, check: Any, examples: int, capsys: pytest.CaptureFixture[str]) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(lines)
    def test(line: Any) -> None:
        command, (arguments, what) = line
        check(capsys, command, arguments, what)

    test()
