"""Parameters: what is allowed, in what words the rest is refused, and what identifies a run."""

import json
import pickle
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError
from sharpwave_shared.experiment import Options, check_seeds
from sharpwave_shared.parameters import (
    Above,
    AtLeast,
    Between,
    Distinct,
    Length,
    Parameters,
    bounds_of,
    describe,
    parse,
)
from sharpwave_shared.testing import check_all_edges, edges


class Plant(Parameters):
    rate: Annotated[float, Between(0, 1)] = 0.5
    """A rate."""
    epochs: Annotated[int, AtLeast(1), Length()] = 3
    """Epochs."""
    seeds_file: Path | None = None
    """A file."""


class Garden(Parameters):
    n: Annotated[int, Between(2, 5000)] = 1000
    """Number
    of plants."""
    width: Annotated[float, Above(0)] = 1.0
    """Width (m)."""
    share: Annotated[float, AtLeast(0, below=1)] = 0.0
    slope: Annotated[float, Between(-1, 1)] | None = None
    rows: Annotated[tuple[Annotated[int, Between(0, 9)], ...], Distinct()] = (1, 2)
    extra: tuple[int, ...] = ()
    window: tuple[float, float] = (0.2, 0.8)
    windows: tuple[tuple[float, float], ...] = ()
    title: str | None = None
    words: tuple[int | str, ...] = ()
    soil: Literal["sand", "clay", 3] = "sand"
    wet: bool = False
    plan: Path = Path("plan.txt")
    plans: tuple[Path, ...] = ()
    years: Annotated[int, Length(), Between(1, 10**6)] = 1
    plant: Plant = Plant()
    weed: Plant | None = None

    def check(self) -> None:
        if self.n == 13:
            raise ParameterError("n", self.n, "a number that brings luck")


FIELDS = Garden.model_fields


# --- Values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"n": np.int64(7)}, 7),
        ({"width": 3}, 3.0),
        ({"width": np.float32(0.5)}, 0.5),
        ({"rows": [3, 4]}, (3, 4)),
        ({"rows": range(3)}, (0, 1, 2)),
        ({"rows": np.arange(3)}, (0, 1, 2)),
        ({"extra": ()}, ()),
        ({"windows": [[0.1, 0.2], (0.3, 0.4)]}, ((0.1, 0.2), (0.3, 0.4))),
        ({"wet": np.bool_(True)}, True),
        ({"plan": "a/b"}, Path("a/b")),
        ({"plans": ["a", Path("b")]}, (Path("a"), Path("b"))),
        ({"slope": None}, None),
        ({"plant": {"rate": 0.1}}, Plant(rate=0.1)),
        ({"weed": Plant(epochs=9)}, Plant(epochs=9)),
        ({"words": ["a", 1]}, ("a", 1)),
    ],
)
def test_values_that_are_taken(given, kept):
    (name,) = given
    value = getattr(Garden(**given), name)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 1}, "n: got 1, expected a whole number from 2 to 5,000"),
        ({"n": 2.0}, "n: got 2.0, expected a whole number from 2 to 5,000"),
        ({"n": True}, "n: got true, expected a whole number from 2 to 5,000"),
        ({"n": "3"}, "n: got '3', expected a whole number from 2 to 5,000"),
        ({"n": None}, "n: got none, expected a whole number from 2 to 5,000"),
        ({"n": 10**400}, "n: got a huge number, expected a whole number from 2 to 5,000"),
        ({"n": 13}, "n: got 13, expected a number that brings luck"),
        ({"width": float("nan")}, "width: got nan, expected a number above 0"),
        ({"width": float("inf")}, "width: got inf, expected a number above 0"),
        ({"width": 1e-320}, "width: got 1e-320, expected a number above 0, not nearly 0"),
        ({"width": True}, "width: got true, expected a number above 0"),
        ({"share": 1}, "share: got 1, expected a number from 0 to below 1"),
        ({"slope": 2.0}, "slope: got 2.0, expected a number from -1 to 1, or none"),
        ({"rows": ()}, "rows: got nothing, expected whole numbers from 0 to 9"),
        ({"rows": (1, 20)}, "rows: got 20, expected whole numbers from 0 to 9"),
        ({"rows": "12"}, "rows: got '12', expected whole numbers from 0 to 9"),
        (
            {"rows": (1, 2, 1)},
            "rows: got 1 twice, expected different values: whole numbers from 0 to 9",
        ),
        ({"extra": (2**53 + 1,)}, "at most 2^53"),
        ({"window": (1.0,)}, "window: got 1, expected 2 numbers"),
        ({"windows": [(0.5, 1e-320)]}, "windows: got 1e-320"),
        ({"soil": "Sand"}, "soil: got 'Sand', expected one of sand, clay, 3"),
        ({"wet": 1}, "wet: got 1, expected true or false"),
        ({"plan": 3}, "plan: got 3, expected a path"),
        ({"plant": {"rate": 2}}, "plant.rate: got 2, expected a number from 0 to 1"),
        ({"plant": {"rat": 2}}, "plant.rat: got a name that is unknown, expected one of rate, "),
        ({"plant": 3}, "plant: got 3, expected parameters of Plant"),
        ({"weed": "x"}, "weed: got x, expected parameters of Plant, or none"),
        ({"widht": 1}, "the nearest is width"),
    ],
)
def test_values_that_are_refused(given, message):
    with pytest.raises(ParameterError) as caught:
        Garden(**given)
    assert message in str(caught.value)
    assert caught.value.name.partition(".")[0] in given


def test_a_required_parameter():
    class Needs(Parameters):
        n: int

    with pytest.raises(ParameterError, match="n: got nothing, expected a whole number"):
        Needs()
    assert repr(Needs(n=3)) == "Needs(n=3)"


def test_parameters_do_not_change():
    garden = Garden()
    with pytest.raises(ValueError, match="frozen"):
        garden.n = 3
    assert garden.n == 1000


def test_a_subclass_may_change_a_default_and_its_bounds():
    class Small(Garden):
        n: Annotated[int, Between(2, 10)] = 5
        """Few."""

    assert Small().n == 5
    with pytest.raises(ParameterError, match="from 2 to 10"):
        Small(n=11)


def test_edges_of_all_bounds():
    check_all_edges([Garden, Plant])
    found = list(edges(Garden))
    assert ("n", "2", True) in found
    assert ("n", "1", False) in found
    assert ("n", "5001", False) in found
    assert ("width", "0.0", False) in found
    assert ("share", "1.0", False) in found
    assert {name for name, *_ in found} >= {"n", "width", "share", "slope", "rows", "years"}


@pytest.mark.parametrize(
    ("wrong", "text"), [(Annotated[int, Between(2, 9)], "1"), (Annotated[float, Above(0)], "0.0")]
)
def test_the_check_of_edges_can_fail(wrong, text, monkeypatch):
    class Broken(Parameters):
        n: wrong = 5

    monkeypatch.setattr("sharpwave_shared.testing.parse", lambda name, field, text: 5)
    with pytest.raises(AssertionError, match="is not refused"):
        check_all_edges([Broken])


# --- Texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n", " +7 ", 7),
        ("n", "1e3", 1000),
        ("n", "-12E+01", -120),
        ("n", "010", 10),
        ("width", "1e3", 1000.0),
        ("width", ".5", 0.5),
        ("share", "0e5", 0.0),
        ("slope", "None", None),
        ("slope", "null", None),
        ("rows", "1,2, 3", (1, 2, 3)),
        ("rows", "[1,2]", (1, 2)),
        ("rows", "(1,2,)", (1, 2)),
        ("rows", "7, 0:3,5", (7, 0, 1, 2, 5)),
        ("rows", "[]", ()),
        ("window", "0.2:0.8", (0.2, 0.8)),
        ("windows", "0.2:0.8,0.3:0.9", ((0.2, 0.8), (0.3, 0.9))),
        ("title", "none", None),
        ("title", " a, b", " a, b".strip()),
        ("words", "1,a,'b',\"2\"", (1, "a", "b", 2)),
        ("soil", "3", 3),
        ("wet", "True", True),
        ("plan", "a b", Path("a b")),
        ("plans", "a,b", (Path("a"), Path("b"))),
    ],
)
def test_texts_that_are_understood(name, text, value):
    assert parse(name, FIELDS[name], text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("n", text)
            for text in (
                "",
                "1_000",
                "1e-3",
                "1.5e3",
                "1e999",
                "0x10",
                "7.0",
                "²",
                "٣",
                "1 2",
                "9" * 5000,
            )
        ),
        *(("width", text) for text in ("nan", "inf", "1e999", "1e-400", "0x1", "1_0", "1,2", "١")),
        *(("rows", text) for text in (",", "1,", ",1", "1,,2", "1;2", "0:", ":5", "0:5:2", "5:5")),
        *(("rows", text) for text in ("5:2", "1.5", "-", "[1", "__import__('os')", "0:100001")),
        *(("rows", text) for text in ("0:99999,200000:200002", "1 2", "1_0", "0-5")),
        *(("window", text) for text in ("0.2", "0.2:0.3:0.4", "a:b", "")),
        *(("soil", text) for text in ("SAND", "", "sand,clay")),
        *(("wet", text) for text in ("yes", "1", "")),
        *(("plan", text) for text in ("", "a\0b")),
        ("plant", "x"),
    ],
)
def test_texts_that_are_refused(name, text):
    with pytest.raises(ParameterError) as caught:
        parse(name, FIELDS[name], text)
    assert caught.value.name == name
    assert describe(FIELDS[name]) in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


seeds = st.integers(0, 2**32 - 1)
SEEDS = Options.model_fields["seeds"]


@given(st.lists(seeds, min_size=1, unique=True), st.sampled_from([",", ", ", " ,"]))
def test_listed_seeds(numbers, comma):
    assert parse("seeds", SEEDS, comma.join(map(str, numbers))) == tuple(numbers)


@given(seeds, st.integers(1, 50))
def test_a_range_stops_before_its_end(first, count):
    stop = min(first + count, 2**32)
    assert parse("seeds", SEEDS, f"{first}:{stop}") == tuple(range(first, stop))


@given(st.text(st.sampled_from("0123456789:, -+[]()'")) | st.text())
def test_any_text_gives_seeds_or_the_error(text):
    try:
        chosen = Options(seeds=parse("seeds", SEEDS, text)).all_seeds
    except ParameterError:
        return
    assert chosen
    assert len(set(chosen)) == len(chosen)
    assert all(0 <= seed < 2**32 for seed in chosen)


@given(st.text())
def test_any_text_gives_a_number_or_the_error(text):
    for name in ("n", "width", "window", "words", "slope"):
        try:
            value = parse(name, FIELDS[name], text)
        except ParameterError:
            continue
        if name == "n":
            assert int(text) == value
        if name == "width":
            assert float(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x == 0 or abs(x) > 1e-300))
def test_numbers_are_read_exactly(number):
    assert parse("slope", FIELDS["slope"], repr(number)) == number


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400, True])
def test_bad_seeds_from_python(seed):
    with pytest.raises(ParameterError, match="seeds: got"):
        check_seeds([seed])


def test_seeds_from_python():
    assert check_seeds(range(3)) == Options(seeds=np.arange(3)).all_seeds == (0, 1, 2)
    assert check_seeds(4) == (4,)
    assert Options(seed=4).all_seeds == (4,)
    assert Options(seed=4, seeds=(1,)).all_seeds == (1,)
    with pytest.raises(ParameterError, match="seeds: got none, expected at least one"):
        check_seeds([])
    with pytest.raises(ParameterError, match="seeds: got 1 twice"):
        check_seeds([1, 2, 1])


# --- In words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Between(2, 5000)], "a whole number from 2 to 5,000"),
        (Annotated[float, Above(0)], "a number above 0"),
        (Annotated[float, Above(0, 0.5)], "a number above 0, up to 0.5"),
        (Annotated[float, AtLeast(0)], "a number, at least 0"),
        (Annotated[float, AtLeast(0, below=1)], "a number from 0 to below 1"),
        (Annotated[int, Between(0, 9)] | None, "a whole number from 0 to 9, or none"),
        (tuple[Annotated[int, Between(0, 9)], ...], "whole numbers from 0 to 9"),
        (tuple[float, float], "2 numbers"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[Literal["a", "b"], ...], "one of a, b"),
        (int | str, "a whole number or a text"),
        (bool, "true or false"),
        (Path | None, "a path, or none"),
    ],
)
def test_what_is_allowed_in_words(annotation, words):
    class Some(Parameters):
        x: annotation

    assert describe(Some.model_fields["x"]) == words


def test_bounds_of_fields():
    assert bounds_of(FIELDS["n"]) == (int, {"ge": 2, "le": 5000}, False)
    assert bounds_of(FIELDS["slope"]) == (float, {"ge": -1, "le": 1}, False)
    assert bounds_of(FIELDS["rows"]) == (int, {"ge": 0, "le": 9}, True)
    assert bounds_of(FIELDS["words"])[0] is None


def test_help_is_the_docstring_below():
    assert " ".join(FIELDS["n"].description.split()) == "Number of plants."

    class Desert(Garden):
        n: int = 1
        wet: bool = False
        """Never."""

    assert Desert.model_fields["n"].description == FIELDS["n"].description
    assert Desert.model_fields["wet"].description == "Never."


def test_repr_shows_what_differs_and_fits_a_screen():
    assert repr(Garden()) == "Garden()"
    garden = Garden(n=5, plant={"rate": 0.25}, wet=False)
    assert repr(garden) == str(garden) == "Garden(n=5, plant=Plant(rate=0.25))"
    assert len(repr(Garden(extra=tuple(range(1000))))) < 100


# --- Copies and identity -------------------------------------------------------------------------


def test_identity_is_without_lengths_and_paths():
    garden = Garden(
        n=5,
        years=7,
        plan="x",
        plans=("y",),
        plant=Plant(rate=0.1, epochs=9, seeds_file="z"),
    )
    same = Garden(n=5, plant=Plant(rate=0.1))
    assert garden.identity() == same.identity()
    assert garden.identity()["plant"] == {"rate": 0.1}
    assert set(Garden.model_fields) - set(same.identity()) == {"years", "plan", "plans"}
    assert same.identity() != Garden(n=5).identity()


def test_replaced():
    garden = Garden(n=5, slope=0.5)
    other = garden.replaced(n=6, rows=[4])
    assert (other.n, other.slope, other.rows, garden.n) == (6, 0.5, (4,), 5)
    assert other.model_fields_set == {"n", "slope", "rows"}
    with pytest.raises(ParameterError, match="n: got 1,"):
        garden.replaced(n=1)
    with pytest.raises(ParameterError, match="m: got a name that is unknown"):
        garden.replaced(m=1)
    sectioned = garden.replaced(**{"plant.rate": 0.25, "plant.epochs": 3, "n": 7})
    assert (sectioned.plant, sectioned.n) == (Plant(rate=0.25, epochs=3), 7)
    with pytest.raises(ParameterError, match=r"plant\.rate: got -1"):
        garden.replaced(**{"plant.rate": -1.0})


numbers = st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) > 1e-300)
gardens = st.builds(
    Garden,
    n=st.integers(20, 5000),
    slope=st.none() | numbers,
    rows=st.lists(st.integers(0, 9), min_size=1, unique=True),
    windows=st.lists(st.tuples(numbers, numbers), max_size=3),
    title=st.none() | st.text(),
    words=st.lists(st.integers(-9, 9) | st.text(), max_size=3),
    soil=st.sampled_from(["sand", "clay", 3]),
    wet=st.booleans(),
    plan=st.sampled_from(["a", "b/c"]),
    plans=st.lists(st.sampled_from(["a", "b/c"]), max_size=2),
    weed=st.none() | st.builds(Plant, rate=st.floats(0.1, 1), seeds_file=st.none() | st.just("x")),
)


@given(gardens)
def test_values_are_json_that_makes_an_equal_object(garden):
    text = json.dumps(garden.values(), allow_nan=False)
    again = Garden(**json.loads(text))
    assert again == garden
    assert hash(again) == hash(garden)
    assert again.identity() == garden.identity()
    assert pickle.loads(pickle.dumps(garden)) == garden


@pytest.mark.parametrize(
    "error",
    [ParameterError("n", 1, "more"), InvalidInputError("no"), SharpwaveError("failed")],
)
def test_errors_travel_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_an_error_can_name_the_option():
    assert ParameterError("a_b", 1.0, "more").naming("--a-b") == "--a-b: got 1, expected more"
