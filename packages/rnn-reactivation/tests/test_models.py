"""Trained networks in their folders: what is written is read back, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rnn_reactivation.configuration import (
    Configuration,
    configuration_names,
    load_configuration,
)
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from rnn_reactivation.networks import (
    CONFIGURATION_FILE,
    MODEL,
    Model,
    check_weights,
    model_path,
    read_model,
    write_configuration,
    write_model,
)
from rnn_reactivation.recurrence import initialise
from rnn_reactivation.sections import (
    BearingRnn,
    HeadDirectionTask,
    NavigationTask,
    Rnn,
    Trainer,
)
from rnn_reactivation.tasks import HeadDirectionCells, PlaceCells, make_cells
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import read_tensors, write_tensors

NAVIGATION = TrainNavigation(
    config="mine",
    task=NavigationTask(place_cells_num=11, anchor=(0.5, -0.25), biased=True),
    rnn=Rnn(hidden_size=5, sigma2_rec=1 / 3),
    trainer=Trainer(learning_rate=1e-7),
)
BEARING = TrainHeadDirection(
    config="mine",
    task=HeadDirectionTask(head_direction_cells_num=11),
    rnn=BearingRnn(type="gru", hidden_size=5),
)


def weights(configuration: Configuration, seed: int = 7) -> dict[str, Tensor]:
    return {name: values[0] for name, values in initialise(configuration, [seed]).items()}


def written(directory: Path, configuration: Configuration = NAVIGATION, **changes: Tensor) -> Path:
    parameters = {name: v[None] for name, v in (weights(configuration) | changes).items()}
    write_model(directory, Model(configuration, 7, 300, parameters))
    return model_path(directory, 300)


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("configuration", [NAVIGATION, BEARING])
def test_networks_are_read_back(configuration: Configuration, tmp_path: Path):
    path = written(tmp_path, configuration)
    assert path.name == "model_300.safetensors"
    model = read_model(path)
    assert (model.configuration, model.seed, model.epoch) == (configuration, 7, 300)
    wanted = initialise(configuration, [7])
    assert model.parameters.keys() == wanted.keys()
    for name, values in wanted.items():
        assert torch.equal(model.parameters[name], values)
    cells, own = model.cells(), make_cells(configuration, [7]).of(0)
    if isinstance(cells, PlaceCells):
        assert isinstance(own, PlaceCells)
        assert torch.equal(cells.centres, own.centres)
    else:
        assert isinstance(own, HeadDirectionCells)
        assert torch.equal(cells.preferred, own.preferred)
    # Written again, it is the same file.
    content = path.read_bytes()
    assert written(tmp_path, configuration).read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_untrained_networks():
    model = Model.untrained(BEARING, 7)
    assert (model.seed, model.epoch) == (7, 0)
    for name, values in initialise(BEARING, [7]).items():
        assert torch.equal(model.parameters[name], values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:20] + b"#" + content[21:],
    ],
)
def test_damaged_files(damage: Callable[[bytes], bytes], tmp_path: Path):
    path = written(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SharpwaveError, match=r"model_300.safetensors"):
        read_model(path)
    with pytest.raises(SharpwaveError, match=r"model_400.safetensors"):
        read_model(model_path(tmp_path, 400))


def described(**changes: object) -> dict[str, str]:
    values = {"configuration": NAVIGATION.values(), "seed": 1, "epoch": 2} | changes
    return {MODEL: json.dumps(values)}


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {MODEL: "{"},
        {MODEL: "[1]"},
        {MODEL: "null"},
        {MODEL: "{}"},
        described(configuration=None),
        described(configuration="text"),
        described(seed="x"),
        described(epoch=None),
    ],
)
def test_files_of_other_programs(metadata: dict[str, str] | None, tmp_path: Path):
    path = tmp_path / "other.safetensors"
    write_tensors(path, weights(NAVIGATION), metadata)
    assert "holds no network of this package" in refusal(path)


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("rnn", {"tau": 0}, "rnn.tau: got 0, expected a number above 0"),
        ("rnn", {"more": 1}, "rnn.more"),
        ("task", {"name": "maze"}, "task.name: got 'maze', expected one of"),
        ("config", "../a", "config: got '../a'"),
    ],
)
def test_files_with_impossible_configurations(
    section: str, change: object, words: str, tmp_path: Path
):
    values = NAVIGATION.values()
    values[section] = values[section] | change if isinstance(change, dict) else change
    path = tmp_path / "other.safetensors"
    write_tensors(path, weights(NAVIGATION), described(configuration=values))
    assert words in refusal(path)


def test_weights_that_do_not_fit(tmp_path: Path):
    wide = {"encoder": torch.zeros(5, 12)}
    message = refusal(written(tmp_path, **wide))
    assert "does not fit its configuration: encoder is (5, 12), (5, 11) is expected" in message
    message = refusal(written(tmp_path, bias=torch.zeros(3)))
    assert "bias is (3,), nothing is expected" in message
    (tensors, metadata), path = read_tensors(written(tmp_path)), tmp_path / "less.safetensors"
    write_tensors(path, {n: v for n, v in tensors.items() if n != "readout"}, metadata)
    assert "readout is missing, (11, 5) is expected" in refusal(path)
    # Those of another kind of network.
    gated = weights(NAVIGATION.replaced(rnn=NAVIGATION.rnn.replaced(type="gru")))
    assert "input is (15, 2), (5, 2) is expected" in refusal(written(tmp_path, **gated))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(bad: float, tmp_path: Path):
    values = weights(NAVIGATION)["recurrent"]
    values[2, 3] = bad
    message = refusal(written(tmp_path, recurrent=values))
    assert "recurrent must hold finite numbers in float32" in message


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_weights_of_another_precision(dtype: torch.dtype, tmp_path: Path):
    message = refusal(written(tmp_path, readout=weights(NAVIGATION)["readout"].to(dtype)))
    assert "readout must hold finite numbers in float32" in message
    check_weights(tmp_path, NAVIGATION, weights(NAVIGATION))


@pytest.mark.parametrize("name", [*configuration_names(), "own", "own head direction"])
def test_configurations_can_be_trained_again_by_their_path(name: str, tmp_path: Path):
    own = {"own": NAVIGATION, "own head direction": BEARING}
    configuration = own[name] if name in own else load_configuration(name)
    write_configuration(tmp_path, configuration)
    path = tmp_path / CONFIGURATION_FILE
    loaded = load_configuration(str(path))
    assert loaded.replaced(config=configuration.config) == configuration
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_extreme_values_survive_a_file(tmp_path: Path):
    rnn = {"sigma2_rec": 1e-300, "sigma2_in": 1e6, "tau": 1e6, "dt": 3e-300}
    trainer = {"learning_rate": 1e-16}
    for kind, task in (
        (TrainNavigation, {"dt": 1e-5, "anchor": (1e-9, -1.1)}),
        (TrainHeadDirection, {"length": 10**6, "turn_mean": -1e4}),
    ):
        configuration = kind(config="a", task=task, rnn=rnn, trainer=trainer)  # type: ignore[arg-type]
        write_configuration(tmp_path, configuration)
        loaded = load_configuration(str(tmp_path / CONFIGURATION_FILE))
        assert loaded.replaced(config="a") == configuration
