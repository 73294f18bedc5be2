"""Configurations: what is shipped, files and changes, and what every mistake is told as."""

import json
import math
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_reactivation.configuration import (
    configuration_names,
    configuration_of,
    load_configuration,
    results_of,
)
from rnn_reactivation.experiments.analyze import Analyze
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from rnn_reactivation.sections import (
    BearingRnn,
    BearingTrainer,
    HeadDirectionTask,
    NavigationTask,
    Rnn,
    Trainer,
)
from sharpwave_shared.errors import InvalidInputError, ParameterError
from sharpwave_shared.testing import check_all_edges

NAVIGATION, HEAD = "spatial_navigation/noisy_unbiased", "head_direction/noisy_unbiased"
NAMES = {
    *(f"spatial_navigation/{n}_{b}" for n in ("noisy", "no-noise") for b in ("biased", "unbiased")),
    *(f"head_direction/{n}_{b}" for n in ("noisy", "no-noise") for b in ("biased", "unbiased")),
    "spatial_navigation/noisy_unbiased_gru",
    "spatial_navigation/noisy_biased_gru",
    "spatial_navigation/sorscher_2019",
    "spatial_navigation/paper_speed",
    "spatial_navigation/uniform-noise_unbiased",
    "spatial_navigation/uniform-noise_biased",
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
        assert (loaded.task.name, loaded.config) == (task, stem)
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
    assert (rnn.sigma2_in, rnn.sigma2_out) == (0, 0)
    assert rnn.noise_distribution == ("uniform" if "uniform-noise" in name else "gaussian")
    assert rnn.alpha == pytest.approx(1 if sorscher else 0.2 if navigation else 0.5)
    assert rnn.hidden_size == (512 if navigation else 128)
    assert trainer.n_epochs == (2500 if navigation else 20_000)
    assert (trainer.batch_size, trainer.learning_rate) == (200, 1e-3)
    assert (trainer.test_every, trainer.save_every) == (100, 100)
    assert task.length == (50 if sorscher else 100)
    assert (task.dt, task.turn_mean, task.turn_sd, task.nearest) == (0.02, 0, 11.52, 3)
    assert (task.inputs, task.cells) == (2 if navigation else 1, 512)
    if isinstance(task, NavigationTask):
        assert task.difference_of_gaussians is False
        speed = 0.2 if name.endswith("paper_speed") else 0.26 * math.pi
        assert task.speed == pytest.approx(speed, rel=1e-12)
        assert (task.box_width, task.box_height, task.anchor) == (2.2, 2.2, (0, 0))
        assert (task.border_region, task.border_slow_factor, task.drift) == (0.03, 0.25, 0.05)
        assert (task.place_cells_sigma, task.random_start) == (0.2, True)
    else:
        assert task.head_direction_cells_sigma == pytest.approx(math.pi / 6, rel=1e-12)


def test_defaults_are_those_of_the_noisy_unbiased_networks():
    assert TrainNavigation() == load_configuration(NAVIGATION)
    assert TrainHeadDirection() == load_configuration(HEAD)


def test_every_field_refuses_what_is_out_of_its_range():
    check_all_edges([NavigationTask, HeadDirectionTask, Rnn, BearingRnn, Trainer, BearingTrainer])
    check_all_edges([Analyze])


# Merging


def test_a_users_file_wins_over_its_task_and_an_override_over_the_file(write):
    text = """
    task: {name: head_direction, length: 20}
    rnn: {tau: 2, sigma2_rec: 0.5}
    trainer: {batch_size: 5}
    """
    loaded = load_configuration(write(text), ["rnn.tau=3", "trainer.n_epochs=3"])
    assert loaded == TrainHeadDirection(
        config="mine",
        task=HeadDirectionTask(length=20),
        rnn=BearingRnn(tau=3, sigma2_rec=0.5),
        trainer=BearingTrainer(n_epochs=3, batch_size=5),
    )
    assert loaded.rnn.hidden_size == 128
    assert loaded.folder(0) == Path("head_direction/mine_0")


def test_a_users_file_by_relative_path(write, tmp_path, monkeypatch):
    write("task:\n  name: spatial_navigation\nrnn:\n", "a name.v2.YAML")
    monkeypatch.chdir(tmp_path)
    for path in ("a name.v2.YAML", "./a name.v2.YAML", f"../{tmp_path.name}/a name.v2.YAML"):
        assert load_configuration(path) == TrainNavigation(config="a name.v2")


def test_a_file_with_a_byte_order_mark_and_windows_line_ends(write):
    text = b"\xef\xbb\xbftask:\r\n  name: head_direction\r\n  length: 7\r\n"
    assert load_configuration(write(text)).task == HeadDirectionTask(length=7)


def test_shipped_files_work_as_a_users_own(write):
    configs = files("rnn_reactivation").joinpath("configs")
    for name in configuration_names():
        text = configs.joinpath(*f"{name}.yml".split("/")).read_text(encoding="utf-8")
        own = load_configuration(write(text))
        assert own.replaced(config=name.partition("/")[2]) == load_configuration(name)


def test_changes_are_read_as_their_fields_say():
    loaded = load_configuration(
        NAVIGATION,
        [
            "task.anchor=[0.5,0]",
            "task.biased=true",
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
    assert load_configuration(NAVIGATION, ["task.anchor=0.5:0"]).task == NavigationTask(
        anchor=(0.5, 0)
    )


def test_files_may_say_yes_and_write_numbers_as_they_like(write):
    text = "task: {name: spatial_navigation, biased: yes, anchor: [0.5, -1e-1], random_start: off}"
    loaded = load_configuration(write(text + "\nrnn: {tau: 5e-1, type: 'gru'}\ntrainer:\n"))
    task = NavigationTask(biased=True, anchor=(0.5, -0.1), random_start=False)
    assert loaded == TrainNavigation(config="mine", task=task, rnn=Rnn(tau=0.5, type="gru"))


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
    path = write("task: {name: spatial_navigation}\nrnn: {dt: 1.5}")
    assert "rnn.dt: got 1.5, expected at most tau (1)" in refusal(path)
    mended = load_configuration(path, ["rnn.tau=6", "rnn.sigma2_rec=1"])
    assert (mended.rnn.alpha, mended.config) == (0.25, "mine_1")


def test_quick_scales_down_what_is_not_given(write):
    quick = load_configuration(NAVIGATION, ["rnn.hidden_size=7"], quick=True)
    assert (quick.rnn.hidden_size, quick.trainer.n_epochs, quick.task.cells) == (7, 300, 64)
    own = load_configuration(write("task: {name: head_direction}\nrnn: {tau: 1}"), quick=True)
    assert (own.rnn.hidden_size, own.rnn.tau, own.task.cells) == (64, 1, 64)
    assert (
        own
        == load_configuration(write("task: {name: head_direction}\nrnn: {tau: 1}")).scaled_down()
    )


# The keys of the original release

RELEASE = """
path: results
rnn: {model: rnn, n_in: 2, n_rec: 8, n_out: 12, n_init: 12, sigma2_in: 0.1, sigma2_rec: 0.2,
  sigma2_out: 0.3, dt: 0.5, tau: 1, bias: false, activation_fn: tanh}
trainer: {n_epochs: 010, lr: 0.01, weight_decay: 0.02, compute_all_metrics: false, test_freq: 3,
  save_freq: 1e3}
task: {box_width: 3, box_height: 2, border_region: 0.02, border_slow_factor: 0.5, init_pos: zero,
  biased: true, drift_const: 0.1, anchor_point: [0.5, 0], dt: 0.1, mu: 0.1, sigma: 9, b: 0.2,
  use_place_cells: true, place_cells_num: 12, place_cells_sigma: 0.3, place_cells_dog: true,
  place_cells_surround_scale: 3, sequence_length: 7, batch_size: 4}
"""


def test_every_key_of_the_release_has_its_effect(write):
    loaded = load_configuration(write(RELEASE))
    task = NavigationTask(
        box_width=3,
        box_height=2,
        border_region=0.02,
        border_slow_factor=0.5,
        random_start=False,
        biased=True,
        drift=0.1,
        anchor=(0.5, 0),
        dt=0.1,
        turn_mean=0.1,
        turn_sd=9,
        speed=0.2,
        place_cells_num=12,
        place_cells_sigma=0.3,
        difference_of_gaussians=True,
        surround_scale=3,
        length=7,
    )
    rnn = Rnn(
        hidden_size=8, activation="tanh", dt=0.5, sigma2_in=0.1, sigma2_rec=0.2, sigma2_out=0.3
    )
    trainer = Trainer(
        n_epochs=10,
        learning_rate=0.01,
        weight_decay=0.02,
        test_every=3,
        save_every=1000,
        batch_size=4,
    )
    assert loaded == TrainNavigation(config="mine", task=task, rnn=rnn, trainer=trainer)
    assert results_of(write(RELEASE)) == "results"
    assert results_of(NAVIGATION) is None
    bearings = "task.init_hd=uniform task.use_hd_cells=true task.hd_cells_num=12 rnn.model=GRU"
    bearings += " task.hd_cells_angular_spread=0.4 rnn.n_in=1 rnn.n_out=12"
    assert load_configuration(HEAD, bearings.split()) == TrainHeadDirection(
        config="noisy_unbiased",
        task=HeadDirectionTask(head_direction_cells_num=12, head_direction_cells_sigma=0.4),
        rnn=BearingRnn(type="gru"),
    )


def test_only_the_ratio_of_dt_and_tau_matters_as_in_the_release():
    for name, usual in ((NAVIGATION, 0.2), (HEAD, 0.5)):
        assert load_configuration(name).rnn.alpha == usual
        assert load_configuration(name, ["rnn.dt=0.1"]).rnn.alpha == 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rnn.n_out=3", ["rnn.n_out: got '3', expected 512", "task.place_cells_num"]),
        ("rnn.n_in=1", ["rnn.n_in: got '1', expected 2"]),
        ("rnn.n_init=x", ["rnn.n_init: got 'x', expected 512"]),
        ("rnn.bias=true", ["rnn.bias: got 'true', expected false"]),
        ("task.use_place_cells=false", ["expected true: outputs are place cells"]),
        ("trainer.compute_all_metrics=2", ["expected true or false"]),
        ("rnn.n_rec=0", ["rnn.n_rec: got 0, expected a whole number"]),
        ("rnn.n_recs=1", ["nearest is rnn.n_rec"]),
        ("rnn.model=lstm", ["rnn.model: got 'lstm', expected one of vanilla, gru"]),
        ("task.init_pos=corner", ["task.init_pos: got 'corner', expected true or false"]),
        ("task.hd_cells_num=5", ["task.hd_cells_num: got a name that is unknown"]),
    ],
)
def test_what_the_release_allows_and_this_package_does_not(change: str, words: list[str]):
    message = refusal(NAVIGATION, change)
    assert [word for word in words if word not in message] == [], message


def test_two_names_of_one_parameter(write):
    message = refusal(NAVIGATION, "rnn.n_rec=3", "rnn.hidden_size=3")
    assert (
        message == "rnn.hidden_size: got rnn.n_rec, too, expected one of two names of a parameter"
    )
    # One in the file, the other on the command line: the command line wins.
    path = write(TASK + "rnn: {n_rec: 3}")
    assert load_configuration(path, ["rnn.hidden_size=4"]).rnn.hidden_size == 4


def test_the_task_of_a_file_that_does_not_name_it(write, tmp_path: Path):
    assert load_configuration(write("task: {hd_cells_num: 9}")).task.name == "head_direction"
    assert load_configuration(write("task: {b: 0.2}")).task.name == "spatial_navigation"
    (tmp_path / "head_direction").mkdir()
    path = write("rnn: {dt: 0.1}", "head_direction/mine.yml")
    assert load_configuration(path).task.name == "head_direction"


# Saving


@settings(max_examples=8, deadline=None)
@given(
    tau=st.floats(0.5, 1e6),
    sigma2=st.floats(0, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-300),
    size=st.integers(1, 10**5),
    kind=st.sampled_from(["vanilla", "gru"]),
    anchor=st.tuples(*[st.floats(-1.1, 1.1).filter(lambda x: x == 0 or abs(x) > 1e-300)] * 2),
    head=st.booleans(),
)
def test_values_survive_json_and_changes(tau, sigma2, size, kind, anchor, head):
    rnn = {"type": kind, "hidden_size": size, "tau": tau, "sigma2_rec": sigma2}
    sections: Any = {"rnn": rnn} if head else {"rnn": rnn, "task": {"anchor": anchor}}
    configuration = (TrainHeadDirection if head else TrainNavigation)(config="a", **sections)
    values = json.loads(json.dumps(configuration.values()))
    assert values == configuration.values()
    assert configuration_of(values) == configuration
    changes = [f"rnn.{key}={value}" for key, value in configuration.rnn.values().items()]
    assert load_configuration(HEAD if head else NAVIGATION, changes).rnn == configuration.rnn


def test_values_that_are_missing_are_those_of_the_task():
    values = load_configuration(HEAD).values()
    del values["rnn"]["hidden_size"], values["trainer"]
    assert configuration_of(values) == load_configuration(HEAD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": None}, "config: got"),
        ({"config": "a/b"}, "'a/b'"),
        ({"config": ".."}, "'..'"),
        ({"task": {}}, "task.name: got nothing"),
        ({"task": {"name": "maze"}}, "task.name: got 'maze'"),
        ({"rnn": {"tau": "${oc.env:HOME}"}}, "rnn.tau: got '${oc.env:HOME}', expected a number"),
        ({"rnn": {"tau": 10**400}}, "rnn.tau: got a huge number"),
        ({"rnn": {"tau": 0}}, "rnn.tau: got 0, expected a number above 0"),
        ({"rnn": 3}, "rnn: got 3"),
        ({"more": {}}, "more: got a name that is unknown"),
    ],
)
def test_saved_values_are_checked(change: dict[str, Any], words: str):
    with pytest.raises(InvalidInputError) as caught:
        configuration_of(TrainNavigation().values() | change)
    assert words in str(caught.value)


# Mistakes in names and overrides


def test_unknown_configurations():
    message = refusal("spatial_navigation/noisy_unbaised")
    assert message.startswith("config: got 'spatial_navigation/noisy_unbaised'")
    assert message.endswith("the nearest is spatial_navigation/noisy_unbiased")
    assert all(name in message for name in NAMES)
    for name in ("", "base", "spatial_navigation", "/etc/passwd", "spatial_navigation/../base"):
        assert "the path of a .yml file, or one of" in refusal(name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rnn.sigma2_rek=1", ["rnn.sigma2_rek: got a name", "nearest is rnn.sigma2_rec"]),
        ("trainer.tau=1", ["nearest is rnn.tau"]),
        ("dt=1", ["dt: got", "nearest is task.dt or rnn.dt"]),
        ("trainr.n_epochs=1", ["nearest is trainer.n_epochs"]),
        ("trainr=1", ["nearest is trainer."]),
        ("name=a", ["nearest is task.name"]),
        ("rnn=1", ["rnn: got", "nearest is rnn."]),
        ("rnn.tau.x=1", ["rnn.tau.x: got", "nearest is rnn.tau"]),
        ("rnn.tau", ["'rnn.tau'", "key=value"]),
        ("=1", ["'=1'", "key=value"]),
        ("", ["''", "key=value"]),
        ("task.name=head_direction", ["task.name", "expected one of spatial_navigation"]),
        ("trainer.n_epochs=many", ["trainer.n_epochs: got 'many', expected a whole number"]),
        ("trainer.n_epochs=2.5", ["trainer.n_epochs: got '2.5', expected a whole number"]),
        ("rnn.hidden_size=[1]", ["rnn.hidden_size: got '[1]', expected a whole number"]),
        ("rnn.tau=", ["rnn.tau: got '', expected a number"]),
        ("rnn.type=lstm", ["rnn.type: got 'lstm', expected one of vanilla, gru"]),
        ("task.biased=2", ["task.biased: got '2', expected true or false"]),
        ("task.anchor=1", ["task.anchor: got '1', expected 2 numbers"]),
        ("task.anchor=[0,0,0]", ["task.anchor: got '[0,0,0]', expected 2 numbers"]),
        ("task.anchor=[0,x]", ["task.anchor: got '[0,x]', expected 2 numbers"]),
        ("task.anchor=[1.2,0]", ["task.anchor: got 1.2,0", "inside the box"]),
        ("rnn.dt=1.5", ["rnn.dt: got 1.5, expected at most tau (1)"]),
        ("task.border_region=1.1", ["task.border_region: got 1.1", "below half the box (1.1 m)"]),
        ("task.nearest=513", ["task.nearest: got 513", "at most the 512 cells"]),
        ("task.place_cells_num=2", ["task.nearest: got 3", "at most the 2 cells"]),
        ("rnn.tau=${oc.env:HOME}", ["rnn.tau: got '${oc.env:HOME}', expected a number"]),
        ("rnn.tau=!!python/name:os.system 1", ["rnn.tau: got", "expected a number"]),
        ("task.anchor=" + "[" * 500, ["task.anchor: got", "expected 2 numbers"]),
        ("rnn.tau=\0", ["rnn.tau: got", "expected a number"]),
        ("rnn.tau=" + "1" * 50_000, ["rnn.tau: got '1111", "expected a number"]),
    ],
)
def test_wrong_changes(change: str, words: list[str]):
    message = refusal(NAVIGATION, change)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 400


def test_a_key_given_twice():
    message = refusal(NAVIGATION, "rnn.tau=1", "trainer.n_epochs=3", "rnn.tau=2")
    assert message == "rnn.tau: got two values, expected every key once"


@pytest.mark.parametrize(
    "change",
    [
        "task.border_slow_factor=0",
        "task.anchor=[1.1,-1.1]",
        "task.drift=0",
        "task.turn_sd=0",
        "task.nearest=512",
        "task.place_cells_num=3",
        "rnn.tau=0.2",
        "rnn.sigma2_rec=0",
        "rnn.hidden_size=1",
    ],
)
def test_limits_are_allowed(change: str):
    load_configuration(NAVIGATION, [change])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "maze"}, "task: got 'maze', expected one of spatial_navigation, head_direction"),
        ({"noise": "loud"}, "noise: got 'loud', expected one of scaled, same, absolute"),
        ({"steps": 1}, "steps: got 1, expected a whole number from 2 to 1,000,000"),
        (
            {"variance_steps": 5, "variance_dropped": 5},
            "variance_dropped: got 5, expected at least 2 below variance_steps (5)",
        ),
        ({"configurations": ("a", "b", "a")}, "configurations: got a twice, expected different"),
        ({"configurations": ("a/b",)}, "configurations: got 'a/b', expected a name that a folder"),
        ({"kinds": ("kl", "entropy")}, "kinds: got"),
    ],
)
def test_settings_of_analyses_out_of_range(values: dict[str, Any], words: str):
    with pytest.raises(ParameterError) as caught:
        Analyze(**values)
    assert str(caught.value).startswith(words)


# Mistakes in files

TASK = "task: {name: spatial_navigation}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["task.name: got nothing", "spatial_navigation, head_direction"]),
        ("# nothing", ["task.name: got nothing"]),
        ("rnn: {tau: 1}", ["task.name: got nothing"]),
        ("task: {length: 3}", ["task.name: got nothing"]),
        ("task: {name: head_directions}", ["task.name: got 'head_directions'"]),
        ("task: {name: [1]}", ["task.name: got '[1]'"]),
        ("task: 3", ["task.name: got nothing"]),
        (TASK + "rnn: 3", ["rnn: got"]),
        (TASK + "rnn: [1]", ["rnn: got"]),
        (TASK + "rnns: {tau: 1}", ["rnns.tau: got a name", "nearest is rnn.tau"]),
        (TASK + "1: {tau: 1}", ["1.tau: got a name"]),
        (TASK + "tau: 1", ["nearest is rnn.tau"]),
        (TASK + "rnn: {taus: 1}", ["rnn.taus", "nearest is rnn.tau"]),
        (TASK + "rnn: {n_epochs: 1}", ["rnn.n_epochs", "nearest is trainer.n_epochs"]),
        (TASK + "rnn: {tau: {x: 1}}", ["rnn.tau.x: got a name"]),
        (TASK + "rnn: {tau: -1}", ["rnn.tau: got -1.0, expected a number above 0"]),
        (TASK + "rnn: {tau: soon}", ["rnn.tau: got 'soon', expected a number"]),
        (TASK + "rnn: {tau: 1, tau: 2}", ["not YAML", "duplicate key"]),
        ("just words", ["mapping of the sections task, rnn, trainer"]),
        ("- task", ["mapping of the sections"]),
        ("42", ["mapping of the sections"]),
        ("a: [b", ["not YAML", "line 1"]),
        (TASK + "\trnn: 1", ["not YAML", "line 2"]),
        ("task: a\0b", ["not YAML"]),
        (TASK + "---\n" + TASK, ["not YAML"]),
        (TASK + "rnn: {? [a] : 1}", ["rnn.[a]: got a name"]),
        (TASK + "rnn: {tau: 0x_}", ["rnn.tau: got '0x_', expected a number"]),
        (b"task: {name: \xff\xfe}", ["UTF-8"]),
        (TASK + "#" * 100_000, ["larger than 100,000 bytes"]),
        (TASK + "rnn: !!python/object/apply:os.system ['false']", ["!!python/object/apply"]),
        (TASK + "rnn: {type: !!str gru}", ["tags such as !!str"]),
        (TASK + "rnn: &a {tau: 1}", ["anchors and aliases"]),
        (TASK + "rnn: {tau: *a}", ["anchors and aliases"]),
        (TASK + "rnn: {tau: [[[1]]]}", ["nested too deeply"]),
        ("[" * 50_000, ["nested too deeply"]),
        (TASK + "rnn: {tau: '${task.dt}'}", ["rnn.tau: got '${task.dt}', expected a number"]),
        (TASK + "rnn: {'${task.dt}': 1}", ["rnn.${task.dt}: got a name"]),
        (TASK + "rnn: {type: '???'}", ["rnn.type: got '???'"]),
        (TASK + "rnn: {hidden_size: 0x" + "f" * 9000 + "}", ["expected a whole number"]),
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
    assert refusal(path, "rnn.tau=1").startswith(f"{path}: rnn.tau: got 'soon', expected a number")


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
        ("x" * 300 + ".yml", "whose names have at most 255"),
        ("a\0.yml", ""),
    ):
        message = refusal(tmp_path / name)
        assert words in message
        assert name.replace("\0", "\\x00")[:100] in message


def test_a_file_that_may_not_be_read(write, monkeypatch):
    path = write(TASK)

    def refuse(*arguments: object):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_a_file_whose_name_no_folder_can_have(write):
    assert "'a:b'" in refusal(write(TASK, "a:b.yml"))
    assert "folder" in refusal(write(TASK, "b" * 220 + ".yml"))
