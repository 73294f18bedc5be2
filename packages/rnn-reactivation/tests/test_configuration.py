"""Configurations: what is shipped, how layers merge, and what every mistake is told as."""

import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_reactivation.configuration import (
    Configuration,
    HeadDirectionTask,
    NavigationTask,
    Rnn,
    Trainer,
    configuration_names,
    load_configuration,
    merge,
)
from sharpwave_shared.errors import InvalidInputError

NAVIGATION, HEAD = "spatial_navigation/noisy_unbiased", "head_direction/noisy_unbiased"
NAMES = {
    *(f"spatial_navigation/{n}_{b}" for n in ("noisy", "no-noise") for b in ("biased", "unbiased")),
    *(f"head_direction/{n}_{b}" for n in ("noisy", "no-noise") for b in ("biased", "unbiased")),
    "spatial_navigation/noisy_unbiased_gru",
    "spatial_navigation/noisy_biased_gru",
    "spatial_navigation/sorscher_2019",
}


def refusal(name: object, *overrides: str) -> str:
    """Give the message of the error, which must be one line."""
    with pytest.raises(InvalidInputError) as caught:
        load_configuration(str(name), overrides)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.fixture
def write(tmp_path: Path):
    def write(content: str | bytes, name: str = "mine.yml") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


# What is shipped


def test_all_configurations_are_shipped_and_load():
    names = configuration_names()
    assert set(names) == NAMES
    assert len(names) == len(NAMES)
    for name in names:
        loaded = load_configuration(name)
        task, _, stem = name.partition("/")
        assert (loaded.task.name, loaded.name) == (task, stem)
        assert loaded.folder(7) == Path(task) / f"{stem}_7"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_shipped_numbers_are_those_of_the_specification(name: str):
    loaded = load_configuration(name)
    task, rnn, trainer = loaded.task, loaded.rnn, loaded.trainer
    assert task.biased is ("_biased" in name)
    gru, navigation, sorscher = "gru" in name, "spatial" in name, "sorscher" in name
    assert (rnn.type, rnn.activation) == (("gru", "tanh") if gru else ("vanilla", "relu"))
    if "no-noise" in name or sorscher:
        assert rnn.sigma2_rec == 0
    else:
        assert rnn.sigma2_rec == (1e-4 if navigation else 0.01)
    assert (rnn.sigma2_in, rnn.sigma2_out, rnn.noise_distribution) == (0, 0, "gaussian")
    assert rnn.alpha == pytest.approx(1 if sorscher else 0.2 if navigation else 0.5)
    assert rnn.hidden_size == (512 if navigation else 128)
    assert trainer == Trainer(2500 if navigation else 20_000, 200, 1e-3, 100, 100)
    assert task.length == (50 if sorscher else 100)
    assert (task.dt, task.turn_mean, task.turn_sd, task.nearest) == (0.02, 0, 11.52, 3)
    assert (loaded.inputs, loaded.cells) == (2 if navigation else 1, 512)
    if isinstance(task, NavigationTask):
        assert task.difference_of_gaussians is sorscher
        assert task.speed == pytest.approx(0.26 * math.pi, rel=1e-12)
        assert (task.box_width, task.box_height, task.anchor) == (2.2, 2.2, (0, 0))
        assert (task.border_region, task.border_slow_factor, task.drift) == (0.03, 0.25, 0.05)
        assert (task.place_cells_sigma, task.random_start) == (0.2, True)
    else:
        assert task.head_direction_cells_sigma == pytest.approx(math.pi / 6, rel=1e-12)


def test_defaults_of_the_dataclasses_are_those_of_the_files():
    assert Configuration() == load_configuration(NAVIGATION)
    assert HeadDirectionTask() == load_configuration(HEAD).task


# Merging


def test_a_users_file_wins_over_its_task_and_an_override_over_the_file(write):
    text = """
    task: {name: head_direction, length: 20}
    rnn: {tau: 0.1, sigma2_rec: 0.5}
    trainer: {batch_size: 5}
    """
    loaded = load_configuration(write(text), ["rnn.tau=0.2", "trainer.n_epochs=3"])
    assert loaded == Configuration(
        "mine",
        HeadDirectionTask(length=20),
        Rnn(hidden_size=128, tau=0.2, sigma2_rec=0.5),
        Trainer(n_epochs=3, batch_size=5),
    )
    assert loaded.folder(0) == Path("head_direction/mine_0")


def test_a_users_file_by_relative_path(write, tmp_path, monkeypatch):
    write("task:\n  name: spatial_navigation\nrnn:\n", "a name.v2.YAML")
    monkeypatch.chdir(tmp_path)
    for path in ("a name.v2.YAML", "./a name.v2.YAML", f"../{tmp_path.name}/a name.v2.YAML"):
        assert load_configuration(path) == replace(Configuration(), name="a name.v2")


def test_a_file_with_a_byte_order_mark_and_windows_line_ends(write):
    text = b"\xef\xbb\xbftask:\r\n  name: head_direction\r\n  length: 7\r\n"
    assert load_configuration(write(text)).task == HeadDirectionTask(length=7)


def test_shipped_files_work_as_a_users_own(write):
    from importlib.resources import files

    configs = files("rnn_reactivation").joinpath("configs")
    for name in configuration_names():
        text = configs.joinpath(*f"{name}.yml".split("/")).read_text(encoding="utf-8")
        own = load_configuration(write(text))
        assert replace(own, name=name.partition("/")[2]) == load_configuration(name)


def test_overrides_are_yaml_values():
    loaded = load_configuration(
        NAVIGATION,
        [
            "task.anchor=[0.5,0]",
            "task.biased=yes",
            "task.dt=1",
            "trainer.learning_rate=1e-2",
            "rnn.activation=identity",
            " rnn.hidden_size = 7 ",
        ],
    )
    assert isinstance(loaded.task, NavigationTask)
    assert loaded.task.anchor == (0.5, 0.0)
    assert loaded.task.biased is True
    assert isinstance(loaded.task.dt, float)
    assert all(isinstance(x, float) for x in loaded.task.anchor)
    assert (loaded.task.dt, loaded.trainer.learning_rate) == (1, 0.01)
    assert (loaded.rnn.activation, loaded.rnn.hidden_size) == ("identity", 7)
    assert hash(loaded) != hash(load_configuration(NAVIGATION))


@pytest.mark.parametrize(
    ("overrides", "folder"),
    [
        (["rnn.sigma2_rec=0.0003"], "noisy_unbiased_0.0003_2"),
        (["rnn.sigma2_rec=0"], "noisy_unbiased_0_2"),
        (["rnn.sigma2_rec=1e-4"], "noisy_unbiased_2"),
        (["trainer.n_epochs=1"], "noisy_unbiased_2"),
    ],
)
def test_the_folder_names_the_noise_if_it_is_not_that_of_the_file(overrides, folder):
    assert load_configuration(NAVIGATION, overrides).folder(2) == Path("spatial_navigation", folder)


def test_an_override_may_mend_a_files_range(write):
    path = write("task: {name: spatial_navigation}\nrnn: {dt: 0.5}")
    assert "rnn.dt=0.5: must not be above rnn.tau=0.1" in refusal(path)
    mended = load_configuration(path, ["rnn.tau=2", "rnn.sigma2_rec=1"])
    assert (mended.rnn.alpha, mended.name) == (0.25, "mine_1")


# Saving


@settings(max_examples=8, deadline=None)
@given(
    tau=st.floats(0.02, 1e6),
    sigma2=st.floats(0, 1e300),
    size=st.integers(1, 10**9),
    kind=st.sampled_from(["vanilla", "gru"]),
    anchor=st.tuples(st.floats(-1.1, 1.1), st.floats(-1.1, 1.1)),
    head=st.booleans(),
)
def test_values_survive_json_and_overrides(tau, sigma2, size, kind, anchor, head):
    task = HeadDirectionTask() if head else NavigationTask(anchor=anchor)
    rnn = Rnn(type=kind, hidden_size=size, tau=tau, sigma2_rec=sigma2)
    configuration = Configuration("a", task, rnn)
    values = json.loads(json.dumps(configuration.values()))
    assert values == configuration.values()
    assert Configuration.from_values(values) == configuration
    overrides = [f"rnn.{key}={value!r}" for key, value in asdict(rnn).items()]
    overrides = [override.replace("'", "") for override in overrides]
    assert load_configuration(HEAD if head else NAVIGATION, overrides).rnn == rnn


def test_values_that_are_missing_are_those_of_the_task():
    values = load_configuration(HEAD).values()
    del values["rnn"]["hidden_size"], values["trainer"]
    assert Configuration.from_values(values) == load_configuration(HEAD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "name=null"),
        ({"name": "a/b"}, "'a/b'"),
        ({"name": ".."}, "'..'"),
        ({"task": {}}, "task.name is missing"),
        ({"task": {"name": "maze"}}, "task.name=maze"),
        ({"rnn": {"tau": "${oc.env:HOME}"}}, "nothing is evaluated"),
        ({"rnn": {"tau": 10**400}}, "rnn.tau=(a huge number): must be a number"),
        ({"rnn": {"tau": 0}}, "saved configuration: rnn.tau=0: must be above 0"),
        ({"rnn": 3}, "rnn=3: is a section"),
        ({"more": {}}, "no section more"),
    ],
)
def test_saved_values_are_checked(change: dict[str, Any], words: str):
    with pytest.raises(InvalidInputError, match=re.escape(words)):
        Configuration.from_values(Configuration().values() | change)


# Mistakes in names and overrides


def test_unknown_configurations():
    message = refusal("spatial_navigation/noisy_unbaised")
    assert "config=spatial_navigation/noisy_unbaised" in message
    assert "nearest is spatial_navigation/noisy_unbiased;" in message
    assert all(name in message for name in NAMES)
    for name in ("", "base", "spatial_navigation", "/spatial_navigation/noisy_unbiased"):
        assert "there are" in refusal(name)
    for name in ("../configs/base", "/etc/passwd", "spatial_navigation/../base"):
        assert "must end in .yml or .yaml" in refusal(name)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rnn.sigma2_rek=1", ["rnn.sigma2_rek", "section rnn", "nearest is sigma2_rec"]),
        ("trainer.tau=1", ["section trainer has no key tau", "written rnn.tau"]),
        ("dt=1", ["dt: ", "written task.dt or rnn.dt"]),
        ("trainr.n_epochs=1", ["no section trainr", "task, rnn, trainer", "trainer.n_epochs"]),
        ("trainr.x=1", ["no section trainr", "nearest is trainer"]),
        ("trainr=1", ["no section trainr", "nearest is trainer"]),
        ("name=a", ["name: ", "task.name"]),
        ("rnn=1", ["rnn is a section", "rnn.type="]),
        ("rnn.tau.x=1", ["rnn.tau is a value"]),
        ("rnn.tau", ["'rnn.tau'", "key=value"]),
        ("=1", ["'=1'", "key=value"]),
        ("", ["''", "key=value"]),
        ("task.name=head_direction", ["task.name=head_direction", "cannot be overridden"]),
        ("trainer.n_epochs=many", ["trainer.n_epochs=many", "whole number"]),
        ("trainer.n_epochs=2.5", ["trainer.n_epochs=2.5", "whole number"]),
        ("trainer.n_epochs=true", ["trainer.n_epochs=true", "whole number"]),
        ("rnn.hidden_size=[1]", ["rnn.hidden_size=[1]", "whole number"]),
        ("rnn.tau=high", ["rnn.tau=high", "must be a number"]),
        ("rnn.tau=", ["rnn.tau=null", "must be a number"]),
        ("rnn.tau={a: 1}", ["rnn.tau={'a': 1}", "must be a number"]),
        ("rnn.type={}", ["rnn.type={}", "must be a text"]),
        ("task.biased=maybe", ["task.biased=maybe", "true or false"]),
        ("task.biased=2", ["task.biased=2", "true or false"]),
        ("task.anchor=1", ["task.anchor=1", "list of 2 values, each a number"]),
        ("task.anchor=[0,x]", ["task.anchor=[0, x]", "list of 2 values, each a number"]),
        ("task.anchor=[0,[1]]", ["task.anchor=[0, [1]]", "list of 2 values, each a number"]),
        ("rnn.tau=${oc.env:HOME}", ["rnn.tau=${oc.env:HOME}", "nothing is evaluated"]),
        ("rnn.type=${", ["rnn.type=${", "nothing is evaluated"]),
        ("rnn.tau=???", ["rnn.tau=???", "must be given"]),
        ("rnn.tau=!!python/name:os.system 1", ["rnn.tau=", "tags such as !!python/name"]),
        ("task.anchor=[&a 1, *a]", ["task.anchor=", "aliases"]),
        ("task.anchor=" + "[" * 500, ["task.anchor=", "nested too deeply"]),
        ("task.anchor=[1", ["task.anchor=[1", "not YAML"]),
        ("rnn.tau=0b_", ["rnn.tau=0b_", "not YAML"]),
        ("rnn.tau=\0", ["rnn.tau=\\x00", "not YAML"]),
        ("rnn.tau=" + "1" * 5000, ["rnn.tau=1111", "too long"]),
        ("rnn.tau=1" + "0" * 400, ["rnn.tau=(a huge number)", "must be a number"]),
    ],
)
def test_wrong_overrides(override: str, words: list[str]):
    message = refusal(NAVIGATION, override)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 400


def test_a_key_given_twice():
    message = refusal(NAVIGATION, "rnn.tau=1", "trainer.n_epochs=3", "rnn.tau=2")
    assert "rnn.tau=2: rnn.tau is given twice" in message


# Values out of range


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("rnn.sigma2_rec=-1", "must not be negative"),
        ("rnn.sigma2_in=-1", "must not be negative"),
        ("rnn.sigma2_out=-0.1", "must not be negative"),
        ("rnn.sigma2_rec=nan", "must be finite"),
        ("rnn.sigma2_rec=inf", "must be finite"),
        ("rnn.dt=0.3", "must not be above rnn.tau=0.1"),
        ("rnn.dt=0", "must be above 0"),
        ("rnn.dt=-1", "must be above 0"),
        ("rnn.tau=0", "must be above 0"),
        ("rnn.hidden_size=0", "must be at least 1"),
        ("rnn.hidden_size=1000000001", "at most 1,000,000,000"),
        ("rnn.type=lstm", "must be one of vanilla, gru"),
        ("rnn.activation=rellu", "one of relu, tanh, sigmoid, identity; the nearest is relu"),
        ("rnn.noise_distribution=normal", "must be one of gaussian, uniform"),
        ("task.length=0", "must be at least 1"),
        ("task.dt=0", "must be above 0"),
        ("task.box_width=0", "must be above 0"),
        ("task.box_height=-2", "must be above 0"),
        ("task.box_width=inf", "must be finite"),
        ("task.speed=0", "must be above 0"),
        ("task.turn_sd=-1", "must not be negative"),
        ("task.turn_mean=nan", "must be finite"),
        ("task.border_region=-0.1", "must not be negative"),
        ("task.border_region=1.1", "must be below half the box"),
        ("task.border_slow_factor=1.1", "must lie between 0 and 1"),
        ("task.border_slow_factor=-1", "must lie between 0 and 1"),
        ("task.drift=1", "must be at least 0 and below 1"),
        ("task.drift=-0.1", "must be at least 0 and below 1"),
        ("task.anchor=[1.2, 0]", "must be two numbers (m) inside the box"),
        ("task.anchor=[0, nan]", "must be finite"),
        ("task.place_cells_num=0", "must be at least 1"),
        ("task.place_cells_num=2", "task.nearest=3: must not be above task.place_cells_num=2"),
        ("task.nearest=0", "must be at least 1"),
        ("task.nearest=513", "must not be above task.place_cells_num=512"),
        ("task.place_cells_sigma=0", "must be above 0"),
        ("trainer.n_epochs=0", "must be at least 1"),
        ("trainer.batch_size=0", "must be at least 1"),
        ("trainer.learning_rate=0", "must be above 0"),
        ("trainer.test_every=0", "must be at least 1"),
        ("trainer.save_every=-1", "must be at least 1"),
    ],
)
def test_values_out_of_range(override: str, allowed: str):
    message = refusal(NAVIGATION, override)
    assert allowed in message
    if "task.nearest" not in allowed:
        assert message.startswith(f"{override}: ")


def test_an_anchor_has_two_numbers():
    for anchor in ("[0.5]", "[0.5, 0, 0]", "[]"):
        message = refusal(NAVIGATION, f"task.anchor={anchor}")
        assert message == f"task.anchor={anchor}: must be a list of 2 values, each a number"


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("task.head_direction_cells_num=0", "must be at least 1"),
        ("task.head_direction_cells_sigma=0", "must lie in [0.001, 1000]"),
        ("task.nearest=600", "must not be above task.head_direction_cells_num=512"),
        ("task.length=0", "must be at least 1"),
        ("task.turn_sd=-1", "must not be negative"),
        ("task.dt=-1", "must be above 0"),
    ],
)
def test_head_directions_out_of_range(override: str, allowed: str):
    assert refusal(HEAD, override).startswith(f"{override}: {allowed}")


@pytest.mark.parametrize(
    "override",
    [
        "task.border_slow_factor=0",
        "task.border_slow_factor=1",
        "task.anchor=[1.1,-1.1]",
        "task.drift=0",
        "task.border_region=0",
        "task.turn_sd=0",
        "task.nearest=512",
        "task.place_cells_num=3",
        "rnn.tau=0.02",
        "rnn.sigma2_rec=0",
        "rnn.hidden_size=1",
        "trainer.save_every=1",
    ],
)
def test_limits_are_allowed(override: str):
    load_configuration(NAVIGATION, [override])


# Mistakes in files

TASK = "task: {name: spatial_navigation}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["task.name is missing", "spatial_navigation, head_direction"]),
        ("# nothing", ["task.name is missing"]),
        ("rnn: {tau: 1}", ["task.name is missing"]),
        ("task: {length: 3}", ["task.name is missing"]),
        ("task: {name: head_directions}", ["task.name=head_directions", "is head_direction"]),
        ("task: {name: [1]}", ["task.name=[1]"]),
        ("task: 3", ["task.name is missing"]),
        (TASK + "rnn: 3", ["rnn=3", "is a section"]),
        (TASK + "rnn: [1]", ["rnn=[1]", "is a section"]),
        (TASK + "rnns: {tau: 1}", ["no section rnns", "nearest is rnn"]),
        (TASK + "1: {tau: 1}", ["no section 1"]),
        (TASK + "tau: 1", ["tau is written rnn.tau"]),
        (TASK + "rnn: {taus: 1}", ["rnn.taus", "nearest is tau"]),
        (TASK + "rnn: {n_epochs: 1}", ["rnn.n_epochs", "written trainer.n_epochs"]),
        (TASK + "rnn: {tau: {x: 1}}", ["rnn.tau={'x': 1}", "must be a number"]),
        (TASK + "rnn: {tau: -1}", ["rnn.tau=-1: must be above 0"]),
        (TASK + "rnn: {tau: soon}", ["rnn.tau=soon: must be a number"]),
        (TASK + "rnn: {tau: 1, tau: 2}", ["not YAML", "duplicate key"]),
        ("just words", ["mapping of the sections task, rnn, trainer"]),
        ("- task", ["mapping of the sections"]),
        ("42", ["mapping of the sections"]),
        ("a: [b", ["not YAML", "line 1"]),
        (TASK + "\trnn: 1", ["not YAML", "line 2"]),
        ("task: a\0b", ["not YAML"]),
        (TASK + "---\n" + TASK, ["not YAML"]),
        (TASK + "rnn: {? [a] : 1}", ["not YAML"]),
        (TASK + "rnn: {tau: 0x_}", ["not YAML"]),
        (b"task: {name: \xff\xfe}", ["UTF-8"]),
        (TASK + "#" * 100_000, ["larger than 100 kB"]),
        (TASK + "rnn: !!python/object/apply:os.system ['false']", ["!!python/object/apply"]),
        (TASK + "rnn: {type: !!str gru}", ["tags such as !!str"]),
        (TASK + "rnn: &a {tau: 1}", ["anchors and aliases"]),
        (TASK + "rnn: {tau: *a}", ["anchors and aliases"]),
        (TASK + "rnn: {tau: [[[1]]]}", ["nested too deeply"]),
        ("[" * 50_000, ["nested too deeply"]),
        (TASK + "rnn: {tau: '${task.dt}'}", ["nothing is evaluated"]),
        (TASK + "rnn: {'${task.dt}': 1}", ["nothing is evaluated"]),
        (TASK + "rnn: {type: '???'}", ["??? is refused"]),
        (TASK + "rnn: {hidden_size: 0x" + "f" * 9000 + "}", ["huge number"]),
    ],
)
def test_wrong_files(write, content: str | bytes, words: list[str]):
    path = write(content)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 400 + len(path)


def test_a_wrong_type_in_a_file_is_told_although_an_override_replaces_it(write):
    path = write(TASK + "rnn: {tau: soon}")
    assert refusal(path, "rnn.tau=1") == f"{path}: rnn.tau=soon: must be a number"


def test_a_laughing_file_is_refused_at_once(write):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert "anchors and aliases" in refusal(write("\n".join(lines)))


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "folder.yml").mkdir()
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "loop.yml").symlink_to(tmp_path / "loop.yml")
    for name, words in (
        ("missing.yml", "there is no such file"),
        ("folder.yml", "is a folder"),
        ("pipe.yml", "is not a regular file"),
        ("loop.yml", ""),
        ("x" * 300 + ".yml", "cannot be read: File name too long"),
        ("a\0.yml", "no such file"),
    ):
        message = refusal(tmp_path / name)
        assert words in message
        assert name.replace("\0", "\\x00") in message


def test_a_file_that_may_not_be_read(write, monkeypatch):
    path = write(TASK)

    def refuse(*arguments: object):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_a_shipped_name_with_a_suffix():
    message = refusal(f"{NAVIGATION}.yml")
    assert f"the shipped configuration is called {NAVIGATION}" in message


def test_a_file_whose_name_no_folder_can_have(write):
    assert "'a:b'" in refusal(write(TASK, "a:b.yml"))
    assert "folder" in refusal(write(TASK, "b" * 220 + ".yml"))


# Other schemas


@dataclass(frozen=True)
class Inner:
    on: bool = False


@dataclass(frozen=True)
class Flat:
    kind: str = "a"
    samples: int = 5
    shape: tuple[int, int] = (1, 2)
    limit: float | None = None
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InvalidInputError(f"samples={self.samples}: must be at least 1")


def test_merge_takes_any_schema():
    layers = [{"samples": 2, "kind": "b"}, {"samples": 3, "inner": {"on": True}}]
    assert merge(Flat, layers, ["shape=[4,5]"]) == Flat("b", 3, (4, 5), None, Inner(on=True))
    assert merge(Flat, []) == Flat()
    assert merge(Flat, [{"limit": 2}], ["limit=null"]).limit is None
    assert layers[0] == {"samples": 2, "kind": "b"}


@pytest.mark.parametrize(
    ("layer", "overrides", "words"),
    [
        ({}, ["sample=1"], "sample: there is no key sample"),
        ({}, ["sample=1"], "nearest is samples"),
        ({"samples": 0}, [], "here: samples=0: must be at least 1"),
        ({"samples": 1}, ["samples=0"], "samples=0: must be at least 1"),
        ({"samples": "x"}, [], "here: samples=x: must be a whole number"),
        (
            {"shape": [1, "x"]},
            [],
            "here: shape=[1, x]: must be a list of 2 values, each a whole number",
        ),
        ({"limit": "x"}, [], "here: limit=x: must be a number or null"),
        ({"inner": {"off": True}}, [], "here: inner.off"),
    ],
)
def test_merge_names_mistakes(layer, overrides, words):
    with pytest.raises(InvalidInputError) as caught:
        merge(Flat, [layer], overrides, "here")
    assert words in str(caught.value)
    assert str(caught.value).startswith("here: ") == (not overrides)
