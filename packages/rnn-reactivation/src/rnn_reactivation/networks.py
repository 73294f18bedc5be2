"""Trained networks in their folders: what training leaves, and how it is read back."""

import json
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import torch
from torch import Tensor

from rnn_reactivation.configuration import Configuration, configuration_of
from rnn_reactivation.recurrence import Parameters, initialise, shapes
from rnn_reactivation.tasks import Cells, make_cells
from rnn_reactivation.yaml_text import write_settings
from sharpwave_shared.data import DataRecord
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.files import (
    LARGEST_STATE,
    atomic_path,
    read_tensors,
    write_json,
    write_tensors,
)
from sharpwave_shared.paths import PathLike, as_path, require_regular
from sharpwave_shared.seeding import check_seed

if TYPE_CHECKING:
    from rnn_reactivation.train import Learner

CONFIGURATION_FILE = "configuration.yml"
MODEL = "model"


@dataclass(frozen=True)
class Model:
    """A network after training, or before.

    Attributes
    ----------
    configuration, seed
        What it is.
    epoch
        Epochs of training behind it.
    parameters
        Its weights, with a leading dimension of one network.
    """

    configuration: Configuration
    seed: int
    epoch: int
    parameters: Parameters

    @classmethod
    def untrained(cls, configuration: Configuration, seed: SupportsIndex) -> "Model":
        """Give the network that training would start from."""
        seed = check_seed(seed)
        return cls(configuration, seed, 0, initialise(configuration, [seed]))

    def cells(self, device: torch.device | str = "cpu") -> Cells:
        """Give its output cells."""
        return make_cells(self.configuration, [self.seed], device).of(0)


class Networks(NamedTuple):
    """Trained networks.

    Attributes
    ----------
    models
        For each seed, one of every configuration.
    record
        Where they were found.
    """

    models: dict[int, list[Model]]
    record: DataRecord


def model_path(directory: Path, epoch: int) -> Path:
    """Name the file of a network after so many epochs."""
    return directory / f"model_{epoch}.safetensors"


def write_model(directory: Path, model: Model) -> None:
    """Write the weights of a network and what it is."""
    described = {
        "configuration": model.configuration.values(),
        "seed": model.seed,
        "epoch": model.epoch,
    }
    weights = {name: values[0] for name, values in model.parameters.items()}
    # As one text: safetensors keeps several in no particular order.
    write_tensors(model_path(directory, model.epoch), weights, {MODEL: json.dumps(described)})


def write_learner(directory: Path, learner: "Learner") -> None:
    """Write a network in training, and its curves in the two files of the original release."""
    write_model(directory, learner.model)
    write_json(directory / "train_metrics.json", {"loss": learner.losses})
    curves = {
        "epoch": [epoch for epoch, _ in learner.tests],
        "loss": [test.loss for _, test in learner.tests],
        "error": [test.error for _, test in learner.tests],
    }
    write_json(directory / "test_metrics.json", curves)


def write_configuration(directory: Path, configuration: Configuration) -> None:
    """Write a configuration as YAML, which can be trained again by its path."""
    values = {key: value for key, value in configuration.values().items() if key != "config"}
    with atomic_path(directory / CONFIGURATION_FILE) as temporary:
        temporary.write_text(write_settings(values), encoding="utf-8")


def read_model(path: PathLike) -> Model:
    """Read a network.

    Raises
    ------
    SharpwaveError
        If the file is damaged.
    InvalidInputError
        If there is none, or it holds something else, or weights that do not fit its configuration.
    """
    path = as_path("path", path)
    require_regular(path, LARGEST_STATE, InvalidInputError)
    tensors, described = read_tensors(path)
    try:
        model = json.loads(described[MODEL])
        values = dict(model["configuration"])
        seed, epoch = check_seed(operator.index(model["seed"])), operator.index(model["epoch"])
    except (KeyError, ValueError, TypeError, RecursionError, InvalidInputError) as error:
        raise InvalidInputError(f"{path}: holds no network of this package") from error
    try:
        configuration = configuration_of(values)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    check_weights(path, configuration, tensors)
    return Model(configuration, seed, epoch, {name: v[None] for name, v in tensors.items()})


def check_weights(path: Path, configuration: Configuration, weights: dict[str, Tensor]) -> None:
    """Refuse weights that are not those of a network of this configuration."""
    wanted: dict[str, Any] = {name: tuple(shape) for name, shape in shapes(configuration).items()}
    found = {name: tuple(values.shape) for name, values in weights.items()}
    if found != wanted:
        different = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        name = different[0]
        raise InvalidInputError(
            f"{path}: does not fit its configuration: {name} is {found.get(name, 'missing')}, "
            f"{wanted.get(name, 'nothing')} is expected"
        )
    for name, values in weights.items():
        if values.dtype != torch.float32 or not values.isfinite().all():
            raise InvalidInputError(f"{path}: {name} must hold finite numbers in float32")
