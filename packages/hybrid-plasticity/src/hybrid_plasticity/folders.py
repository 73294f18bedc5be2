"""The folders of results: the layout of the original release, and what is in them.

    <network type>/<configuration>/
        metadata.txt          every parameter
        R_1/                  for every interval that was mastered or tried
            Model             the weights when it was mastered (safetensors)
            Training_Log/     for TensorBoard
            *.png

With several seeds, each has a folder `seed_<seed>` that holds its `R_*`.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hybrid_plasticity.configuration import Configuration
from hybrid_plasticity.curriculum import Network, unflatten
from hybrid_plasticity.model import Parameters
from sharpwave_shared.data import DataRecord
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import (
    LARGEST_STATE,
    atomic_path,
    json_values,
    read_tensors,
    sha256,
    write_tensors,
)
from sharpwave_shared.paths import PathLike, as_path, require_regular
from sharpwave_shared.results import Run
from sharpwave_shared.run_directory import CELLS
from sharpwave_shared.seeding import check_seed

MODEL, LOG = "Model", "Training_Log"
TRAIN_ON = {"resume": "trains on, with other limits"}
_UNFIT = (KeyError, TypeError, ValueError, OverflowError, RecursionError, InvalidInputError)
"""What making sense of somebody's metadata can end in."""


def network_directory(run: Path, seed: int, seeds: Sequence[int]) -> Path:
    """Give the folder of one network's results."""
    if len(seeds) == 1:
        return run
    apart = run / CELLS / f"seed={seed}"  # where a worker trained it
    return apart if apart.is_dir() else run / f"seed_{seed}"


def interval_directory(network: Path, interval: int) -> Path:
    """Give the folder of one interval R of a network."""
    return network / f"R_{interval}"


def write_metadata(run: Path, values: Mapping[str, Any]) -> None:
    """Write every parameter to `metadata.txt`, `name: value` a line."""
    words = {k: v if isinstance(v, str) else json.dumps(v) for k, v in json_values(values).items()}
    lines = [f"{name}: {word}\n" for name, word in words.items()]
    with atomic_path(run / "metadata.txt") as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def clear_results(run: Path) -> None:
    """Remove what an earlier run of the configuration left in the folders of its intervals."""
    for path in run.iterdir():
        if path.is_dir() and re.fullmatch(r"(R|seed)_\d+", path.name):
            shutil.rmtree(path)


@dataclass(frozen=True)
class Model:
    """A trained network read back.

    Attributes
    ----------
    configuration, seed
        What it is.
    interval
        The largest R that it had mastered.
    parameters
        Its parameters (a first dimension of size 1).
    """

    configuration: Configuration
    seed: int
    interval: int
    parameters: Parameters


def models_of(network: Network) -> list[Model]:
    """Give the models with which a network mastered each interval."""
    return [
        Model(network.configuration, network.seed, R, unflatten(network.configuration, flat[None]))
        for R, flat in enumerate(network.models, 1)
    ]


def write_model(directory: Path, model: Model) -> None:
    """Write a model into the folder of its network."""
    what = {
        "configuration": model.configuration.values(),
        "seed": model.seed,
        "interval": model.interval,
    }
    write_tensors(
        interval_directory(directory, model.interval) / MODEL,
        {name: values[0] for name, values in model.parameters.items()},
        {"hybrid-plasticity": json.dumps(json_values(what))},
    )


def read_model(path: PathLike, configuration: Configuration | None = None) -> Model:
    """Read a model.

    Parameters
    ----------
    path
        The file `Model`.
    configuration
        What it should be; None: whatever it is.

    Raises
    ------
    InvalidInputError
        If there is no such file, or it is of another configuration.
    SharpwaveError
        If it is not a safetensors file, or not one of a model.
    """
    path = as_path("path", path)
    require_regular(path, LARGEST_STATE, InvalidInputError)
    tensors, metadata = read_tensors(path)
    try:
        what = json.loads(metadata["hybrid-plasticity"])
        found = Configuration(**what["configuration"])
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        seed, interval = int(what["seed"]), int(what["interval"])
        if shapes != found.shapes or any(t.dtype != torch.float32 for t in tensors.values()):
            raise ValueError("its tensors do not fit its configuration")
        check_seed(seed)
        if interval < 1:
            raise ValueError(f"its interval is {interval}")
    except _UNFIT as error:
        raise SharpwaveError(f"{path} is not a model of hybrid-plasticity: {error}") from error
    if configuration is not None and found != configuration:
        raise InvalidInputError(
            f"{path}: the model of another configuration, {found.folder}, not "
            f"{configuration.folder}"
        )
    parameters = {name: tensors[name][None] for name in found.shapes}
    return Model(found, seed, interval, parameters)


@dataclass(frozen=True)
class Models:
    """Models of one run, and what identifies them."""

    models: list[Model]
    record: DataRecord


def configuration_of(run: Run) -> Configuration:
    """Give the configuration of a run of training."""
    values = run.experiment.values()
    return Configuration(**{name: values[name] for name in Configuration.model_fields})


def mastered_by(run: Run) -> dict[int, tuple[Path, int]]:
    """Give for each seed of a run of training the network's folder, and the largest R it mastered.

    Raises
    ------
    InvalidInputError
        If the run is of something else, or no network has mastered any R.
    """
    directory, data = run.directory, run.data
    if "mastered_intervals" not in data or directory is None or run.swept:
        raise InvalidInputError(f"{directory}: a run of {run.record.experiment!r}, not of training")
    largest = dict(zip(data["seed"].values, data["mastered_intervals"].values, strict=True))
    if not any(largest.values()):
        raise InvalidInputError(
            f"{directory}: no network there has mastered any interval", **TRAIN_ON
        )
    seeds = run.record.seeds
    return {
        int(seed): (network_directory(directory, int(seed), seeds), int(R))
        for seed, R in largest.items()
    }


def read_models(run: Run, interval: int | None = None) -> Models:
    """Read the models of a run of training: of every seed the one of its largest interval.

    Parameters
    ----------
    run
        The run.
    interval
        The R to take instead; seeds that did not master it are left out.

    Raises
    ------
    InvalidInputError
        If there is no such model.
    """
    models, lines = [], []
    for seed, (folder, largest) in mastered_by(run).items():
        chosen = largest if interval is None else interval
        if 1 <= chosen <= largest:
            path = interval_directory(folder, chosen) / MODEL
            models.append(read_model(path, configuration_of(run)))
            lines.append(f"{sha256(path)}  seed {seed}\n")
    if not models:
        raise InvalidInputError(
            f"{run.directory}: no network there has mastered R = {interval}", **TRAIN_ON
        )
    checksum = hashlib.sha256("".join(lines).encode()).hexdigest()
    record = DataRecord("models", "hybrid-plasticity train", str(run.directory), checksum)
    return Models(models, record)


class TrainingLogs:
    """The TensorBoard logs of a network: a file for the rows of the log since the last call.

    Parameters
    ----------
    directory
        The network's folder. Logs that lie there already are removed: the first call writes all.
    """

    def __init__(self, directory: Path):
        self.directory, self.written = directory, 0
        for path in directory.glob(f"R_*/{LOG}"):
            shutil.rmtree(path)

    def write(self, network: Network) -> None:
        """Write the rows that are not written yet, each into the log of its interval."""
        rows, self.written = network.rows[self.written :], len(network.rows)
        for interval in sorted({int(row[0]) for row in rows}):
            chosen = [row for row in rows if int(row[0]) == interval]
            folder = interval_directory(self.directory, interval) / LOG
            path = folder / f"events.out.tfevents.{int(chosen[0][1]):010d}"
            _write_events(path, network.columns[2:], chosen)


def _write_events(path: Path, names: Sequence[str], rows: Sequence[Sequence[float]]) -> None:
    # TensorBoard takes long to import.
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    # Protocol buffers make these classes when they are imported, where type checkers do not see
    # them.
    Event, Summary = vars(event_pb2)["Event"], vars(summary_pb2)["Summary"]
    now = time.time()
    events = [Event(wall_time=now, file_version="brain.Event:2")]
    for _, iteration, *values in rows:
        scalars = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in zip(names, values, strict=True)
        ]
        events.append(Event(wall_time=now, step=int(iteration), summary=Summary(value=scalars)))
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        writer = RecordWriter(stream)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()
