"""Parameters: typed fields with bounds and help, the same from Python, a command line or a file.

    class Night(Parameters):
        n: Annotated[int, Between(2, 5000)] = 1000
        '''Neurons N.'''

A field's type and bounds say what is allowed, its docstring is its help; a field that is declared
again, for another default, keeps it. Whatever is refused is refused with a `ParameterError` that
says so in one grammar. Instances do not change.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import BaseMetadata, Ge, Gt, Interval, Le, Lt
from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from sharpwave_shared.errors import LONGEST, InvalidInputError, ParameterError, show
from sharpwave_shared.paths import as_path, reachable

LARGEST_INTEGER = 2**53
"""Whole numbers beyond it are not exact in double precision."""
SMALLEST_NUMBER = 1e-300
"""Numbers closer to 0, but not 0, are slips of the pen; their reciprocals overflow."""
MOST_VALUES = 100_000
"""Values that a list written as text may have."""
LONGEST_TEXT = 10_000
Same = TypeVar("Same", bound="Parameters")
Number = int | float


def Between(least: Number, most: Number) -> Interval:  # noqa: N802 - reads as a type does
    """Allow values from `least` to `most`, both included."""
    return Interval(ge=least, le=most)


def Above(bound: Number, most: Number | None = None) -> Interval:  # noqa: N802
    """Allow values above `bound`, up to `most`."""
    return Interval(gt=bound, le=most)


def AtLeast(least: Number, below: Number | None = None) -> Interval:  # noqa: N802
    """Allow values from `least`, below `below`."""
    return Interval(ge=least, lt=below)


@dataclass(frozen=True)
class Distinct(BaseMetadata):
    """Marks a list in which no value may stand twice."""


@dataclass(frozen=True)
class Length(BaseMetadata):
    """Marks a parameter that says how far a run goes, and does not identify it.

    A finished run can be gone on with by giving more of it.
    """


@dataclass(frozen=True)
class Spelled(BaseMetadata):
    """More spellings of a parameter's option, `-q` say; `--a/--b` for a flag and its opposite.

    With `alone`, they stand for that of its name.
    """

    spellings: tuple[str, ...]
    alone: bool = False

    def __init__(self, *spellings: str, alone: bool = False):
        object.__setattr__(self, "spellings", spellings)
        object.__setattr__(self, "alone", alone)


@dataclass(frozen=True)
class Repeated(BaseMetadata):
    """Marks a list of texts whose option may be given several times, once for each."""


@dataclass(frozen=True)
class Positional(BaseMetadata):
    """Marks a parameter that is an argument of the command, shown by this name, and no option."""

    shown: str


class Parameters(BaseModel):
    """Base of classes whose fields are parameters. Fields are given by name.

    Raises
    ------
    ParameterError
        If a value is not allowed, or a name is unknown.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Give fields that are declared again without help that of the class above."""
        above = [base for base in cls.__mro__[1:] if issubclass(base, Parameters)]
        for name, field in cls.model_fields.items():
            if field.description is None:
                texts = (b.model_fields[name].description for b in above if name in b.model_fields)
                field.description = next(texts, None)

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(values, Mapping):
            fields = cls.model_fields
            values = {
                name: _made(name, fields[name].annotation, value) if name in fields else value
                for name, value in values.items()
            }
        try:
            made = handler(values)
        except ValidationError as error:
            raise _translated(cls, error) from None
        for name, field in cls.model_fields.items():
            _check_field(name, field, getattr(made, name))
        made.check()
        return made

    def check(self) -> None:
        """Check what no single field can tell; raise a `ParameterError` if it does not hold."""

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        fields = type(self).model_fields
        given = [
            f"{name}={_shortened(repr(getattr(self, name)))}"
            for name, field in fields.items()
            if field.is_required()
            or getattr(self, name) != field.get_default(call_default_factory=True)
        ]
        return f"{type(self).__name__}({', '.join(given)})"

    __str__ = __repr__

    def values(self) -> dict[str, Any]:
        """Give all parameters as JSON values; `type(self)(**values)` makes an equal object."""
        return self.model_dump(mode="json")

    def identity(self) -> dict[str, Any]:
        """Give the parameters that identify a run, as JSON values.

        All but its `Length`, and paths: what a file holds counts, not where it lies.
        """
        values = self.values()
        identity = {}
        for name, field in type(self).model_fields.items():
            own = getattr(self, name)
            if isinstance(own, Parameters):
                identity[name] = own.identity()
            elif marker(field, Length) is None and not _is_path(field.annotation):
                identity[name] = values[name]
        return identity

    def replaced(self: Same, **values: Any) -> Same:
        """Give a copy with other values, checked; `section.name` is a parameter of a section."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        for name, value in values.items():
            part, dot, within = name.partition(".")
            own = given.get(part, getattr(self, part, None))
            if dot and isinstance(own, Parameters):
                given[part] = _within_section(part, own.replaced, {within: value})
            else:
                given[name] = value
        return type(self)(**given)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def section(annotation: Any) -> type[Parameters] | None:
    """Give the class of parameters that a field holds, if it is a section."""
    for kind in _alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, Parameters):
            return kind
    return None


def _made(name: str, annotation: Any, value: Any) -> Any:
    """Make a field's value ready to be validated."""
    kind = section(annotation)
    if kind is None:
        return plain(annotation, value, name)
    if not isinstance(value, Mapping):
        if isinstance(value, kind) or (value is None and NoneType in _alternatives(annotation)):
            return value
        raise ParameterError(name, value, _describe(annotation))
    return _within_section(name, kind, value)


def _within_section(name: str, make: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Make a section; errors name it, too."""
    try:
        return make(**values)
    except ParameterError as error:
        raise ParameterError(f"{name}.{error.name}", error.got, error.expected) from None


def all_fields(kind: type[Parameters]) -> dict[str, FieldInfo]:
    """Give all parameters of a class, those of its sections by `section.name`."""
    fields = {}
    for name, field in kind.model_fields.items():
        part = section(field.annotation)
        if part is None:
            fields[name] = field
        else:
            fields |= {f"{name}.{inner}": f for inner, f in all_fields(part).items()}
    return fields


def plain(annotation: Any, value: Any, name: str = "path") -> Any:
    """Make plain values of NumPy's, tuples of lists, and paths of texts where a path is meant.

    Raises
    ------
    ParameterError
        If a text is no path; it names the parameter `name`.
    """
    if hasattr(value, "tolist") and hasattr(value, "dtype"):  # NumPy's and torch's
        value = value.tolist()
    if isinstance(value, list | range | tuple):
        inner = _element(annotation)
        return tuple(plain(inner, part, name) for part in value)
    if isinstance(value, str | os.PathLike) and Path in _alternatives(annotation):
        return as_path(name, value)
    return value


def _element(annotation: Any) -> Any:
    """Give the type of the elements of a tuple, as far as it is one."""
    for kind in _alternatives(annotation):
        if get_origin(kind) is tuple:
            return get_args(kind)[0]
    return None


def _alternatives(annotation: Any) -> list[Any]:
    """List what a union allows, without bounds and markers."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


def _is_path(annotation: Any) -> bool:
    """Tell whether a field holds a path, or a list of them."""
    return Path in _alternatives(annotation) or Path in _alternatives(_element(annotation))


def marker(field: FieldInfo, kind: type) -> Any:
    """Give the marker of a kind that a field carries, or None."""
    return next((part for part in field.metadata if isinstance(part, kind)), None)


def _check_field(name: str, field: FieldInfo, value: Any) -> None:
    for part in _parts(value):
        if isinstance(part, int) and abs(part) > LARGEST_INTEGER:
            raise ParameterError(name, part, f"{describe(field)}, of at most 2^53 in size")
        if isinstance(part, float) and 0 < abs(part) < SMALLEST_NUMBER:
            raise ParameterError(name, part, f"{describe(field)}, not nearly 0")
    if value == () and field.get_default(call_default_factory=True) != ():
        raise ParameterError(name, value, describe(field))
    if (
        marker(field, Distinct) is not None
        and isinstance(value, tuple)
        and len(set(value)) < len(value)
    ):
        twice = next(part for i, part in enumerate(value) if part in value[:i])
        raise ParameterError(name, f"{show(twice)} twice", f"different values: {describe(field)}")


def _parts(value: Any) -> Iterator[Any]:
    """Give the values that a list holds, those of its pairs too, or the value itself."""
    if isinstance(value, tuple):
        for part in value:
            yield from _parts(part)
    else:
        yield value


def _translated(cls: type[Parameters], error: ValidationError) -> InvalidInputError:
    """Say in the project's grammar what pydantic found first."""
    found = error.errors(include_url=False)[0]
    path = [str(part) for part in found["loc"]]
    if found["type"] == "extra_forbidden":
        return unknown(path[-1], list(cls.model_fields))
    if not path:
        return ParameterError(cls.__name__, found["input"], "names and values of parameters")
    field = cls.model_fields[path[0]]
    missing = found["type"] == "missing" and len(path) == 1
    got = "nothing" if missing else found["input"]
    if isinstance(got, str | float) and not missing:
        got = repr(got)
    return ParameterError(path[0], got, describe(field))


def unknown(name: str, known: Sequence[str]) -> ParameterError:
    """Give the error for a name that is not among those known; it names the nearest."""
    (nearest,) = get_close_matches(name[:100], known, 1, cutoff=0) or [""]
    return ParameterError(
        name, "a name that is unknown", f"one of {', '.join(known)}; the nearest is {nearest}"
    )


# --- in words -------------------------------------------------------------------------------------

_KINDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("a text", "texts"),
    Path: ("a path", "paths"),
}


def describe(field: FieldInfo) -> str:
    """Say in words what a field allows."""
    annotation: Any = field.annotation
    if field.metadata:
        annotation = Annotated[annotation, *field.metadata]
    return _describe(annotation)


def _describe(annotation: Any, *, many: bool = False, bounds: Sequence[Any] = ()) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(parts[0], many=many, bounds=[*bounds, *parts[1:]])
    if origin in (Union, UnionType):
        kinds = [part for part in parts if part is not NoneType]
        words = [_describe(part, many=many, bounds=bounds) for part in kinds]
        return " or ".join(words) + (", or none" if NoneType in parts else "")
    if origin is Literal:
        return f"one of {', '.join(map(show, parts))}"
    if origin is tuple:
        if parts[-1] is ...:
            return _describe(parts[0], many=True, bounds=bounds)
        return f"{len(parts)} {_describe(parts[0], many=True, bounds=bounds)}"
    if annotation in _KINDS:
        return _KINDS[annotation][many] + _limits(bounds)
    return f"parameters of {getattr(annotation, '__name__', annotation)}"


def _limits(bounds: Sequence[Any]) -> str:
    limits = {name: _number(bound) for name, bound in _bounds(bounds)}
    low = f" above {limits['gt']}" if "gt" in limits else ""
    high = f"to {limits['le']}" if "le" in limits else ""
    if "lt" in limits:
        high = f"to below {limits['lt']}"
    if "ge" in limits:
        low = f" from {limits['ge']}" if high else f", at least {limits['ge']}"
    if not low:
        return high.replace("to below", " below").replace("to ", ", at most ")
    return f"{low}{', up' if high and 'gt' in limits else ''} {high}".rstrip()


def _bounds(metadata: Sequence[Any]) -> Iterator[tuple[str, Number]]:
    for part in metadata:
        match part:
            case Interval():
                yield from _bounds(list(part))
            case Ge(ge=bound):
                yield "ge", bound  # type: ignore[misc]
            case Gt(gt=bound):
                yield "gt", bound  # type: ignore[misc]
            case Le(le=bound):
                yield "le", bound  # type: ignore[misc]
            case Lt(lt=bound):
                yield "lt", bound  # type: ignore[misc]


def _number(value: Number) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def bounds_of(field: FieldInfo) -> tuple[type | None, dict[str, Number], bool]:
    """Give the kind of a field's values, int or float say, their bounds, and whether it lists them.

    Bounds are `ge`, `gt`, `le`, `lt`. The kind is None where values are not all of one kind.
    """
    annotation: Any = field.annotation
    bounds = list(field.metadata)
    listed = False
    while True:
        parts = [part for part in get_args(annotation) if part is not NoneType]
        if get_origin(annotation) is Annotated:
            bounds += parts[1:]
            annotation = parts[0]
        elif get_origin(annotation) in (Union, UnionType) and len(parts) == 1:
            (annotation,) = parts
        elif get_origin(annotation) is tuple and parts[-1] is ...:
            annotation, listed = parts[0], True
        else:
            break
    kind = annotation if isinstance(annotation, type) else None
    return kind, dict(_bounds(bounds)), listed


# --- from text ------------------------------------------------------------------------------------


def parse(name: str, field: FieldInfo, text: str) -> Any:
    """Read a parameter's value from text, as a command line or a file has it.

    Lists are written `1,2,3`, with or without brackets, and of whole numbers `0:5` stands for 0 to
    4; pairs as `0.2:0.8` or `[0.2,0.8]`; nothing is evaluated.

    Raises
    ------
    ParameterError
        If the text does not say a value of the field's type. (Bounds are checked later.)
    """
    try:
        if len(text) > LONGEST_TEXT:
            raise ValueError
        return _parse(field.annotation, text)
    except ParameterError as error:  # of a path
        raise ParameterError(name, error.got, error.expected) from None
    except ValueError:
        raise ParameterError(name, repr(text), describe(field)) from None


def _parse(annotation: Any, text: str) -> Any:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _parse(parts[0], text)
    if origin in (Union, UnionType):
        return _parse_any(parts, text)
    if origin is tuple:
        if parts[-1] is ...:
            return _parse_list(parts[0], text)
        pieces = re.split("[:,]", _strip(text))
        if len(pieces) != len(parts):
            raise ValueError
        return tuple(_parse(part, piece) for part, piece in zip(parts, pieces, strict=True))
    if origin is Literal:
        meant = {show(value): value for value in parts}
        if text.strip() not in meant:
            raise ValueError
        return meant[text.strip()]
    return _parse_scalar(annotation, text)


def _parse_any(alternatives: Sequence[Any], text: str) -> Any:
    if NoneType in alternatives and text.strip().lower() in ("none", "null"):
        return None
    for part in alternatives:
        try:
            return _parse(part, text)
        except ValueError:
            continue
    raise ValueError


def _parse_scalar(kind: Any, text: str) -> Any:
    if kind is Path:  # whose name may begin or end with a space
        return reachable("path", as_path("path", text))
    text = text.strip()
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"
    if kind is int:
        matched = re.fullmatch(r"([+-]?\d{1,18})([eE]\+?(\d{1,2}))?", text, re.ASCII)
        if not matched:
            raise ValueError
        return int(matched[1]) * 10 ** int(matched[3] or 0)
    if kind is float:
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", text, re.ASCII):
            raise ValueError
        value = float(text)
        vanished = value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])
        if vanished or not math.isfinite(value):
            raise ValueError
        return value
    if kind is str:
        return text
    raise ValueError


def _strip(text: str) -> str:
    text = text.strip()
    for opening, closing in ("[]", "()"):
        if text.startswith(opening) and text.endswith(closing):
            return text[1:-1].strip().removesuffix(",")
    return text


def _parse_list(element: Any, text: str) -> tuple[Any, ...]:
    text = _strip(text)
    if not text:
        return ()
    values: list[Any] = []
    whole = int in _alternatives(element)
    for piece in text.split(","):
        matched = re.fullmatch(r"\s*(\d{1,10})\s*:\s*(\d{1,10})\s*", piece, re.ASCII)
        if whole and matched:
            first, stop = int(matched[1]), int(matched[2])
            if not first < stop <= first + MOST_VALUES:
                raise ValueError
            values += range(first, stop)
        else:
            quoted = re.fullmatch(r"""\s*(["'])(.*)\1\s*""", piece)
            values.append(_parse(element, quoted[2] if quoted else piece.strip()))
        if len(values) > MOST_VALUES:
            raise ValueError
    return tuple(values)
