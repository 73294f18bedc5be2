"""Configurations: YAML files that OmegaConf merges, checked against dataclasses.

The layers are `base.yml`, the task's file, the experiment's file or a user's own, and `key=value`
overrides; a later one wins. Nothing in them is evaluated: tags, aliases and interpolations are
refused.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from sharpwave_shared.errors import InvalidInputError

RNN_TYPES = ("vanilla", "gru")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "identity")
NOISE_DISTRIBUTIONS = ("gaussian", "uniform")
SECTIONS = ("task", "rnn", "trainer")

LARGEST_FILE = 100_000
"""Bytes; a configuration has about a thousand."""
LARGEST_COUNT = 10**9
DEEPEST = 3
"""Levels of a file: sections, keys, lists."""
SUFFIXES = (".yml", ".yaml")

Schema = TypeVar("Schema")


@dataclass(frozen=True)
class NavigationTask:
    """Where an animal is in a box, from its steps; the box is centred at (0, 0).

    Attributes
    ----------
    name
        `spatial_navigation`.
    length
        Steps of a trajectory.
    dt
        Duration of a step, s.
    biased
        Whether the animal drifts to the anchor.
    random_start
        Whether trajectories start anywhere in the box; otherwise at its centre.
    box_width, box_height
        Size of the box, m.
    speed
        Scale of the Rayleigh distribution of the speed, m/s.
    turn_mean, turn_sd
        Of the normal distribution of the angular velocity, rad/s.
    border_region
        Distance from a wall at which the animal avoids it, m.
    border_slow_factor
        Factor of the speed there.
    drift
        Share of the way to the anchor that a step adds if `biased`.
    anchor
        Where the animal drifts to, m.
    place_cells_num
        Output cells.
    place_cells_sigma
        Width of a place field, m.
    difference_of_gaussians
        Whether place fields have an inhibitory surround.
    nearest
        Most active cells whose centres are averaged to decode a position.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    name: str = "spatial_navigation"
    length: int = 100
    dt: float = 0.02
    biased: bool = False
    random_start: bool = True
    box_width: float = 2.2
    box_height: float = 2.2
    speed: float = 0.26 * math.pi
    turn_mean: float = 0.0
    turn_sd: float = 11.52
    border_region: float = 0.03
    border_slow_factor: float = 0.25
    drift: float = 0.05
    anchor: tuple[float, float] = (0.0, 0.0)
    place_cells_num: int = 512
    place_cells_sigma: float = 0.2
    difference_of_gaussians: bool = False
    nearest: int = 3

    def __post_init__(self) -> None:
        check = _Check("task", self)
        check.one_of("name", ("spatial_navigation",))
        check.counts("length", "place_cells_num", "nearest")
        check.above_zero("dt", "box_width", "box_height", "speed", "place_cells_sigma")
        check.not_negative("turn_sd", "border_region")
        half = self.box_width / 2, self.box_height / 2
        check.that("border_region", self.border_region < min(half), "must be below half the box")
        check.that(
            "border_slow_factor", 0 <= self.border_slow_factor <= 1, "must lie between 0 and 1"
        )
        check.that("drift", 0 <= self.drift < 1, "must be at least 0 and below 1")
        inside = len(self.anchor) == 2 and all(
            abs(x) <= most for x, most in zip(self.anchor, half, strict=True)
        )
        check.that(
            "anchor",
            inside,
            f"must be two numbers (m) inside the box, [-{half[0]:g}, {half[0]:g}] x "
            f"[-{half[1]:g}, {half[1]:g}]",
        )
        check.not_above("nearest", "place_cells_num")


@dataclass(frozen=True)
class HeadDirectionTask:
    """Where an animal heads, from its turns.

    Attributes
    ----------
    name
        `head_direction`.
    length
        Steps of a trajectory.
    dt
        Duration of a step, s.
    biased
        Whether all turns are positive.
    turn_mean, turn_sd
        Of the normal distribution of the angular velocity, rad/s.
    head_direction_cells_num
        Output cells.
    head_direction_cells_sigma
        Width of the tuning curve, rad.
    nearest
        Most active cells whose preferred angles are averaged to decode a bearing.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    name: str = "head_direction"
    length: int = 100
    dt: float = 0.02
    biased: bool = False
    turn_mean: float = 0.0
    turn_sd: float = 11.52
    head_direction_cells_num: int = 512
    head_direction_cells_sigma: float = math.pi / 6
    nearest: int = 3

    def __post_init__(self) -> None:
        check = _Check("task", self)
        check.one_of("name", ("head_direction",))
        check.counts("length", "head_direction_cells_num", "nearest")
        check.above_zero("dt")
        sigma = self.head_direction_cells_sigma
        check.that("head_direction_cells_sigma", 1e-3 <= sigma <= 1e3, "must lie in [0.001, 1000]")
        check.not_negative("turn_sd")
        check.not_above("nearest", "head_direction_cells_num")


@dataclass(frozen=True)
class Rnn:
    """A recurrent network.

    Attributes
    ----------
    type
        `vanilla` or `gru`.
    hidden_size
        Recurrent units.
    activation
        Their nonlinearity: `relu`, `tanh`, `sigmoid` or `identity`.
    dt, tau
        Time step and time constant, s; only their ratio matters.
    sigma2_in, sigma2_rec, sigma2_out
        Variances of the noise of inputs, recurrent units and outputs.
    noise_distribution
        `gaussian`, or `uniform` between 0 and 1 as in the released code.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    type: str = "vanilla"
    hidden_size: int = 512
    activation: str = "relu"
    dt: float = 0.02
    tau: float = 0.1
    sigma2_in: float = 0.0
    sigma2_rec: float = 1e-4
    sigma2_out: float = 0.0
    noise_distribution: str = "gaussian"

    def __post_init__(self) -> None:
        check = _Check("rnn", self)
        check.one_of("type", RNN_TYPES)
        check.one_of("activation", ACTIVATIONS)
        check.one_of("noise_distribution", NOISE_DISTRIBUTIONS)
        check.counts("hidden_size")
        check.above_zero("dt", "tau")
        check.not_negative("sigma2_in", "sigma2_rec", "sigma2_out")
        check.not_above("dt", "tau")

    @property
    def alpha(self) -> float:
        """The leak of a step, dt / tau: above 0, at most 1."""
        return self.dt / self.tau


@dataclass(frozen=True)
class Trainer:
    """How a network learns.

    Attributes
    ----------
    n_epochs
        Iterations; each has a fresh batch.
    batch_size
        Trajectories of an iteration.
    learning_rate
        Of Adam.
    test_every, save_every
        Iterations from a test, or a checkpoint, to the next.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    n_epochs: int = 2500
    batch_size: int = 200
    learning_rate: float = 1e-3
    test_every: int = 100
    save_every: int = 100

    def __post_init__(self) -> None:
        check = _Check("trainer", self)
        check.counts("n_epochs", "batch_size", "test_every", "save_every")
        check.above_zero("learning_rate")


@dataclass(frozen=True)
class Configuration:
    """Everything that defines a network and its training, but the seed.

    Attributes
    ----------
    name
        What results are filed under: `noisy_unbiased`, or the stem of a user's file; another
        `rnn.sigma2_rec` than the file's is appended.
    task
        What the network learns.
    rnn
        The network.
    trainer
        How it learns.

    Raises
    ------
    InvalidInputError
        If the name cannot be that of a folder.
    """

    name: str = "noisy_unbiased"
    task: NavigationTask | HeadDirectionTask = field(default_factory=NavigationTask)
    rnn: Rnn = field(default_factory=Rnn)
    trainer: Trainer = field(default_factory=Trainer)

    def __post_init__(self) -> None:
        if (
            not re.fullmatch(r"[^\s./\\][^/\\:*?\"<>|\x00-\x1f\x7f]*", self.name)
            or len(self.name.encode(errors="replace")) > 200
        ):
            raise InvalidInputError(
                f"configuration name {self.name[:60]!r}: must be a name that a folder can have"
            )

    @property
    def inputs(self) -> int:
        """Number of inputs: a displacement has 2, a turn 1."""
        return 2 if isinstance(self.task, NavigationTask) else 1

    @property
    def cells(self) -> int:
        """Number of output cells."""
        if isinstance(self.task, NavigationTask):
            return self.task.place_cells_num
        return self.task.head_direction_cells_num

    def folder(self, seed: int) -> Path:
        """Name the folder of results, relative to where all results lie."""
        return Path(self.task.name) / f"{self.name}_{seed}"

    def values(self) -> dict[str, Any]:
        """Give everything as JSON values."""
        values = asdict(self)
        if isinstance(self.task, NavigationTask):
            values["task"]["anchor"] = list(self.task.anchor)
        return values

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Configuration":
        """Make a configuration of what `values` gave; what is missing is as the task has it.

        Raises
        ------
        InvalidInputError
            If they are no configuration.
        """
        where = "saved configuration"
        name = values.get("name")
        if not isinstance(name, str):
            raise InvalidInputError(f"{where}: name={_show(name)}: must be a text")
        sections = {key: value for key, value in values.items() if key != "name"}
        schema, layers = _layers(sections, where)
        merged = merge(schema, layers, (), where)
        return cls(name, merged.task, merged.rnn, merged.trainer)


@dataclass(frozen=True)
class _Navigation:
    task: NavigationTask = field(default_factory=NavigationTask)
    rnn: Rnn = field(default_factory=Rnn)
    trainer: Trainer = field(default_factory=Trainer)


@dataclass(frozen=True)
class _HeadDirection:
    task: HeadDirectionTask = field(default_factory=HeadDirectionTask)
    rnn: Rnn = field(default_factory=Rnn)
    trainer: Trainer = field(default_factory=Trainer)


TASKS = {"spatial_navigation": _Navigation, "head_direction": _HeadDirection}


@cache
def configuration_names() -> list[str]:
    """List the shipped configurations: `<task>/<name>`."""
    return [
        f"{task}/{name}"
        for task in TASKS
        for name in sorted(
            Path(file.name).stem
            for file in _shipped_files().joinpath(task).iterdir()
            if file.name.endswith(".yml")
        )
    ]


def load_configuration(name_or_path: str, overrides: Sequence[str] = ()) -> Configuration:
    """Load a configuration.

    Parameters
    ----------
    name_or_path
        One of `configuration_names`, or the path of a user's `.yml` or `.yaml` file. Such a file
        has the sections `task`, `rnn` and `trainer`; `task.name` is required, everything else is as
        in the task's file unless it is given.
    overrides
        `section.key=value` with a YAML value, such as `rnn.sigma2_rec=0.0003`.

    Raises
    ------
    InvalidInputError
        If there is no such configuration, the file cannot be used, or a key or a value is wrong.
    """
    for override in overrides:
        if override.partition("=")[0].strip() == "task.name":
            raise InvalidInputError(
                f"{override}: the task cannot be overridden; choose another configuration"
            )
    if name_or_path in configuration_names():
        name, where = name_or_path.partition("/")[2], f"config={name_or_path}"
        sections = _shipped(name_or_path)
    elif name_or_path.lower().endswith(SUFFIXES):
        name, where = Path(name_or_path).stem, _printable(name_or_path)
        sections = _parse(_read(name_or_path, where), where)
    else:
        raise InvalidInputError(_no_such_configuration(name_or_path))
    schema, layers = _layers(sections, where)
    merged = merge(schema, layers, overrides, where)
    if "rnn.sigma2_rec" in _parse_overrides(schema, overrides):
        in_file = _merged(schema, layers, {}, where)["rnn"]["sigma2_rec"]
        if merged.rnn.sigma2_rec != in_file:
            name = f"{name}_{merged.rnn.sigma2_rec:g}"
    return Configuration(name, merged.task, merged.rnn, merged.trainer)


def merge(
    schema: type[Schema],
    layers: Sequence[Mapping[str, Any]],
    overrides: Sequence[str] = (),
    where: str = "",
) -> Schema:
    """Merge settings into a dataclass.

    Parameters
    ----------
    schema
        A dataclass with a default for every field. A field is a number, a truth value, a text, a
        tuple of these, or a section: another such dataclass.
    layers
        Settings by name, those of a section as a mapping; a later layer wins.
    overrides
        `key=value` or `section.key=value` with a YAML value; they win over all layers.
    where
        Where the layers are from, for error messages.

    Raises
    ------
    InvalidInputError
        If a key or a section is unknown or given twice, or a value has the wrong type or is refused
        by the dataclass. The message begins with the key and its value, after `where` unless the
        value is from an override.
    """
    given = _parse_overrides(schema, overrides)
    values = _merged(schema, layers, given, where)
    try:
        return _build(schema, values)
    except InvalidInputError as error:
        if not where or str(error).partition("=")[0] in given:
            raise
        raise InvalidInputError(f"{where}: {error}") from None


def _merged(
    schema: type, layers: Sequence[Mapping[str, Any]], given: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Merge layers, then the overrides by their full keys; ranges are not checked yet."""
    known = dict(_keys(schema))
    origin = f"{where}: " if where else ""
    sources = [(origin, list(_flat(schema, layer, origin))) for layer in layers]
    sources.append(("", list(given.items())))
    settings = [(source, key, value) for source, some in sources for key, value in some]
    for source, key, value in settings:
        _refuse_references(value, f"{source}{key}={_show(value)}")
        # OmegaConf takes any whole number for a truth value, and 2.3 a list of any length.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        parts = get_args(known[key]) if get_origin(known[key]) is tuple else (...,)
        other_length = (
            isinstance(value, list | tuple) and parts[-1] is not ... and len(parts) != len(value)
        )
        if not _is_simple(value) or other_length or (number and known[key] is bool):
            raise _wrong_type(source, key, value, known[key])
    try:
        return _plain(OmegaConf.merge(_defaults(schema), *(_nested(some) for _, some in sources)))
    except _REFUSALS:
        for source, key, value in settings:
            try:
                OmegaConf.merge(_defaults(schema), _nested([(key, value)]))
            except _REFUSALS:
                raise _wrong_type(source, key, value, known[key]) from None
        raise


def _wrong_type(source: str, key: str, value: object, hint: Any) -> InvalidInputError:
    return InvalidInputError(f"{source}{key}={_show(value)}: must be {_describe(hint)}")


@cache
def _defaults(schema: type) -> Any:
    """Give the dataclass as OmegaConf has it, to be merged with others."""
    defaults = OmegaConf.structured(schema)
    # OmegaConf 2.3 refuses to merge into a frozen section.
    for node in [defaults, *(defaults[key] for key in defaults)]:
        if OmegaConf.is_dict(node):
            OmegaConf.set_readonly(node, False)
    return defaults


_REFUSALS = (ValidationError, OverflowError, TypeError)
"""How OmegaConf refuses a value of a wrong type."""


def _plain(config: Any) -> dict[str, Any]:
    """Give a mapping of OmegaConf's as a dict."""
    return cast(dict[str, Any], OmegaConf.to_container(config))


def _nested(settings: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Put settings by full key into their sections."""
    nested: dict[str, Any] = {}
    for key, value in settings:
        *sections, last = key.split(".")
        section = nested
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return nested


def _build(schema: type[Schema], values: Mapping[str, Any]) -> Schema:
    """Make the dataclass of merged values."""
    parts = {}
    for name, hint in get_type_hints(schema).items():
        value = values[name]
        if isinstance(hint, type) and is_dataclass(hint):
            value = _build(hint, value)
        parts[name] = tuple(value) if isinstance(value, list) else value
    return schema(**parts)


def _keys(schema: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """List the full keys of a dataclass and their types."""
    for name, hint in get_type_hints(schema).items():
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _keys(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, hint


def _flat(
    schema: type, layer: Mapping[Any, Any], origin: str, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Give the settings of a layer by full key."""
    known = dict(_keys(schema))
    for name, value in layer.items():
        key = f"{prefix}{name}"
        if key in known:
            yield key, value
        elif not any(other.startswith(f"{key}.") for other in known):
            raise InvalidInputError(f"{origin}{_unknown(known, key)}")
        elif isinstance(value, Mapping):
            yield from _flat(schema, value, origin, f"{key}.")
        elif value is not None:  # a section whose keys are all commented out
            raise InvalidInputError(
                f"{origin}{key}={_show(value)}: is a section; it must hold keys and values"
            )


def _parse_overrides(schema: type, overrides: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` arguments."""
    known, given = dict(_keys(schema)), {}
    for override in overrides:
        key, equals, text = override.partition("=")
        key, shown = key.strip(), _show(override)
        if not equals or not key:
            raise InvalidInputError(f"{shown!r}: an override must have the form key=value")
        if key not in known:
            inside = [other for other in known if other.startswith(f"{key}.")]
            raise InvalidInputError(
                f"{shown}: {key} is a section; give its keys one by one, as in {inside[0]}=..."
                if inside
                else _unknown(known, key)
            )
        if key in given:
            raise InvalidInputError(f"{shown}: {key} is given twice")
        if len(text) > 1000:
            raise InvalidInputError(f"{shown}: is too long for a value")
        try:
            _scan(text, shown)
            given[key] = _plain(OmegaConf.from_dotlist([f"value={text}"]))["value"]
        except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
            raise InvalidInputError(f"{shown}: is not YAML: {_problem(error)}") from None
    return given


def _unknown(known: Mapping[str, Any], key: str) -> str:
    """Say that there is no such key, and what may be meant."""
    section, _, last = key.rpartition(".")
    sections = list(dict.fromkeys(k.rpartition(".")[0] for k in known if "." in k))
    siblings = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == section]
    namesakes = [k for k in known if k.rpartition(".")[2] == last]
    if section in known:
        said = f"{section} is a value, not a section"
    elif section and siblings:
        said = f"the section {section} has no key {last}"
    elif siblings or (namesakes and not section):
        said = f"there is no key {last}" + (" outside of the sections" if sections else "")
    else:
        said = f"there is no section {section or last}; the sections are {', '.join(sections)}"
    if section in known:
        meant = ""
    elif namesakes:
        meant = f"; {last} is written {' or '.join(namesakes)}"
    elif siblings:
        meant = f"; the nearest is {_nearest(last, siblings)}"
    else:
        meant = f"; the nearest is {_nearest(section or last, sections)}"
    return f"{_show(key)}: {said}{meant}"


def _layers(sections: Mapping[Any, Any], where: str) -> tuple[type, list[Mapping[str, Any]]]:
    """Find the task that a file is for; give its schema and all layers up to the file."""
    for section in sections:
        if section not in SECTIONS:
            known = dict(_keys(_Navigation)) | dict(_keys(_HeadDirection))
            raise InvalidInputError(f"{where}: {_unknown(known, str(section))}")
    task = sections.get("task")
    name = task.get("name") if isinstance(task, Mapping) else None
    allowed = f"must be one of {', '.join(TASKS)}"
    if name is None:
        raise InvalidInputError(f"{where}: task.name is missing: {allowed}")
    if not isinstance(name, str) or name not in TASKS:
        nearest = _nearest(str(name), list(TASKS))
        raise InvalidInputError(
            f"{where}: task.name={_show(name)}: {allowed}; the nearest is {nearest}"
        )
    return TASKS[name], [_shipped("base"), _shipped(name), sections]


def _shipped_files() -> Any:
    return files("rnn_reactivation").joinpath("configs")


@cache
def _shipped(name: str) -> Mapping[str, Any]:
    """Read a file of this package."""
    file = _shipped_files().joinpath(*f"{name}.yml".split("/"))
    return _parse(file.read_text(encoding="utf-8"), f"{name}.yml")


def _read(path: str, where: str) -> str:
    """Read a user's file."""
    file = Path(path)
    try:
        if file.is_dir():
            raise InvalidInputError(f"{where}: is a folder, not a configuration file")
        if not file.exists():
            shipped = path[: -len(file.suffix)]
            meant = (
                f"; the shipped configuration is called {shipped}"
                if shipped in configuration_names()
                else ""
            )
            raise InvalidInputError(f"{where}: there is no such file{meant}")
        if not file.is_file():
            raise InvalidInputError(f"{where}: is not a regular file")
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InvalidInputError(f"{where}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise InvalidInputError(f"{where}: is larger than 100 kB, so it is no configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(f"{where}: is not text in UTF-8") from None


def _parse(text: str, where: str) -> dict[str, Any]:
    """Parse a YAML file of sections into plain values."""
    try:
        _scan(text, where)
        if not _is_mapping(text):
            raise InvalidInputError(
                f"{where}: must be a mapping of the sections {', '.join(SECTIONS)}"
            )
        content = _plain(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise InvalidInputError(f"{where}: is not YAML: {_problem(error)}") from None
    return {str(key): value for key, value in content.items()}


def _is_mapping(text: str) -> bool:
    """Tell whether the first node of a YAML text is a mapping; an empty text counts."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.NodeEvent):
            return isinstance(event, yaml.MappingStartEvent)
    return True


def _scan(text: str, where: str) -> None:
    """Refuse what could make more of a YAML text than plain values.

    The events of the parser are as many as the text has words, whatever it means.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise InvalidInputError(f"{where}: tags such as {_show(tag)} are refused")
        if getattr(event, "anchor", None) is not None:
            raise InvalidInputError(f"{where}: anchors and aliases (&, *) are refused")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise InvalidInputError(
                f"{where}: is nested too deeply; sections hold numbers, texts and lists of them"
            )
        if isinstance(event, yaml.ScalarEvent):
            _refuse_references(event.value, where)


def _refuse_references(value: object, where: str) -> None:
    """Refuse texts that OmegaConf would evaluate."""
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, str) and "${" in part:
            raise InvalidInputError(f"{where}: ${{...}} is refused; nothing is evaluated")
        if part == "???":
            raise InvalidInputError(f"{where}: ??? is refused; a value must be given")


def _problem(error: Exception) -> str:
    """Say in one line what is wrong with a YAML text."""
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    return " ".join(said.split()) + (f" (line {mark.line + 1})" if mark is not None else "")


def _no_such_configuration(name: str) -> str:
    """Say that there is none of this name, and what there is."""
    names = configuration_names()
    shown = f"config={_show(name)}"
    if Path(name).is_absolute() or ".." in Path(name).parts:
        said = "is no configuration's name, and the path of a file must end in .yml or .yaml"
    else:
        said = f"there is no such configuration; the nearest is {_nearest(name, names)}"
    return f"{shown}: {said}; there are {', '.join(names)}"


def _nearest(word: str, words: Sequence[str]) -> str:
    return get_close_matches(word[:100], words, 1, cutoff=0)[0]


def _is_simple(value: object) -> bool:
    """Tell whether a value is a scalar or a list of scalars."""
    if isinstance(value, list | tuple):
        return all(isinstance(part, bool | int | float | str) for part in value)
    return value is None or isinstance(value, bool | int | float | str)


def _describe(hint: Any) -> str:
    """Name a type for a user."""
    kinds = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        type(None): "null",
    }
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        count = "" if parts[-1] is ... else f"{len(parts)} "
        return f"a list of {count}values, each {kinds[parts[0]]}"
    if get_args(hint):
        return " or ".join(kinds[part] for part in get_args(hint))
    return kinds[hint]


def _show(value: object) -> str:
    """Write a value as in a file, in a few words."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "(a huge number)"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        text = f"[{', '.join(_show(part) for part in value[:20])}]"
    else:
        text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    text = _printable(text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


class _Check:
    """Checks the fields of a section; all its numbers must be finite."""

    def __init__(self, section: str, values: Any):
        self.section, self.values = section, values
        for each in fields(values):
            value = getattr(values, each.name)
            parts = value if isinstance(value, tuple) else (value,)
            finite = all(not isinstance(part, float) or math.isfinite(part) for part in parts)
            self.that(each.name, finite, "must be finite")

    def that(self, key: str, holds: bool, allowed: str) -> None:
        """Raise an error that names the key and its value unless something holds."""
        if not holds:
            shown = _show(getattr(self.values, key))
            raise InvalidInputError(f"{self.section}.{key}={shown}: {allowed}")

    def counts(self, *keys: str) -> None:
        for key in keys:
            fits = 1 <= getattr(self.values, key) <= LARGEST_COUNT
            self.that(key, fits, f"must be at least 1 and at most {LARGEST_COUNT:,}")

    def above_zero(self, *keys: str) -> None:
        for key in keys:
            self.that(key, getattr(self.values, key) > 0, "must be above 0")

    def not_negative(self, *keys: str) -> None:
        for key in keys:
            self.that(key, getattr(self.values, key) >= 0, "must not be negative")

    def not_above(self, key: str, other: str) -> None:
        most = getattr(self.values, other)
        fits = getattr(self.values, key) <= most
        self.that(key, fits, f"must not be above {self.section}.{other}={_show(most)}")

    def one_of(self, key: str, allowed: Sequence[str]) -> None:
        value = getattr(self.values, key)
        said = f"must be one of {', '.join(allowed)}; the nearest is {_nearest(value, allowed)}"
        self.that(key, value in allowed, said)
