"""The jobs behind the commands: training into folders, testing, interpreting, comparing."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hybrid_plasticity.analysis import generalise, interpret, intervals_to_test, picture
from hybrid_plasticity.curriculum import Limits, Network, Training, train, unflatten
from hybrid_plasticity.folders import (
    MODEL,
    Model,
    TrainingLogs,
    clear_results,
    interval_directory,
    network_directory,
    read_model,
    write_metadata,
    write_model,
)
from hybrid_plasticity.model import Configuration
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.runs import Run, RunSpec, StoredRun

PACKAGE = "hybrid-plasticity"
STATE = "state"


class Result(NamedTuple):
    """Numbers, and arrays, that a job gives to be stored."""

    metrics: dict[str, Any]
    arrays: dict[str, np.ndarray]


def train_spec(
    configuration: Configuration,
    training: Training,
    seeds: Sequence[int],
    device: torch.device,
    *,
    quick: bool = False,
) -> RunSpec:
    """Say what identifies a run of training: limits do not."""
    return RunSpec(
        package=PACKAGE,
        experiment="train",
        config=configuration.values() | asdict(training),
        seeds=list(seeds),
        device=device,
        quick=quick,
        label=configuration.name,
    )


def train_runs(
    configurations: Sequence[Configuration],
    runs: Sequence[Run],
    seeds: Sequence[int],
    training: Training,
    limits: Limits,
    device: torch.device,
) -> list[Result]:
    """Train networks of one or more configurations as one batch, each into its own run directory.

    Parameters
    ----------
    configurations
        With equal `batch_key`.
    runs
        The run directory of each configuration; what lies there is gone on with.
    seeds
        Seeds of the networks of each configuration.
    training, limits
        How, and how long.
    device
        Where they are computed.
    """
    folders: dict[int, Path] = {}
    groups: list[list[Network]] = []
    for configuration, run in zip(configurations, runs, strict=True):
        group = _networks(configuration, run, seeds)
        write_metadata(
            run.directory, configuration.values() | asdict(training) | {"seeds": list(seeds)}
        )
        for network in group:
            folders[id(network)] = network_directory(run.directory, network.seed, seeds)
        groups.append(group)
    networks = [network for group in groups for network in group]
    logs = [TrainingLogs(folders[id(network)]) for network in networks]

    def mastered(network: Network) -> None:
        interval = len(network.mastered)
        write_model(folders[id(network)], network, interval)
        runs[0].reporter.say(
            f"{network}: R = {interval} mastered after {network.mastered[-1]:,} iterations"
        )

    def save() -> None:
        for log, network in zip(logs, networks, strict=True):
            log.write(network)
        for run, group in zip(runs, groups, strict=True):
            run.save_checkpoint(_tensors(group))

    train(networks, training, limits, device=device, journal=runs[0], mastered=mastered, save=save)
    for run, group in zip(runs, groups, strict=True):
        run.save_tensors(STATE, _tensors(group))
    return [_outcome(group, limits) for group in groups]


def _networks(configuration: Configuration, run: Run, seeds: Sequence[int]) -> list[Network]:
    checkpoint = run.load_checkpoint()
    tensors = run.load_tensors(STATE) if checkpoint is None else checkpoint[0]
    if tensors is None:
        clear_results(run.directory)
        return [Network.new(configuration, seed) for seed in seeds]
    networks = []
    for seed in seeds:
        prefix = f"{seed}."
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        networks.append(Network.restore(configuration, seed, own))
    return networks


def _tensors(networks: Sequence[Network]) -> dict[str, torch.Tensor]:
    return {
        f"{network.seed}.{name}": tensor
        for network in networks
        for name, tensor in network.tensors().items()
    }


def _outcome(networks: Sequence[Network], limits: Limits) -> Result:
    """Sum a configuration's training up, with pictures of its first network."""
    configuration = networks[0].configuration
    metrics = {
        "parameters": configuration.parameter_count,
        "columns": networks[0].columns,
        "networks": [
            {
                "seed": network.seed,
                "mastered": network.mastered,
                "iterations": network.iteration,
                "ended": limits.stops(network) or "the time limit",
            }
            for network in networks
        ],
    }
    columns = len(networks[0].columns)
    arrays = {f"{n.seed}.rows": np.array(n.rows, np.float32).reshape(-1, columns) for n in networks}
    first = networks[0]
    for interval, flat in enumerate(first.models, 1):
        parameters = unflatten(configuration, flat[None])
        model = Model(configuration, first.seed, interval, parameters)
        found = picture(model, first.seed)
        arrays |= {f"R{interval}.{name}": values for name, values in found.items()}
    return Result(metrics, arrays)


def stored_models(run: StoredRun, interval: int | None = None) -> list[Model]:
    """Read the models of a training run: of every seed the one of its largest interval.

    Parameters
    ----------
    run
        A run of training.
    interval
        The R to take instead; seeds that did not master it are left out.

    Raises
    ------
    InvalidInputError
        If the run is none of training, or there is no such model.
    """
    if run.experiment != "train":
        raise InvalidInputError(
            f"RUN_DIR {run.directory}: a run of {run.experiment!r}; a run of training is needed"
        )
    configuration, seeds = Configuration.from_values(run.config), run.record["seeds"]
    models = []
    for network in run.metrics["networks"]:
        largest = len(network["mastered"])
        chosen = largest if interval is None else interval
        if 1 <= chosen <= largest:
            folder = network_directory(run.directory, network["seed"], seeds)
            models.append(read_model(interval_directory(folder, chosen) / MODEL, configuration))
    if not models:
        which = "any interval" if interval is None else f"R = {interval}"
        raise InvalidInputError(
            f"RUN_DIR {run.directory}: no network there has mastered {which}; train on with "
            "--resume and other limits"
        )
    return models


def evaluate(
    models: Sequence[Model],
    intervals: Sequence[int] | None,
    streams: int,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    reporter: Reporter | None = None,
) -> Result:
    """Test models at intervals that they were not trained on; see `analysis.generalise`."""
    largest = max(model.interval for model in models)
    if intervals is None:
        intervals = intervals_to_test(largest)
    found = generalise(models, intervals, streams, seed, device=device, reporter=reporter)
    metrics = {
        "intervals": list(intervals),
        "streams": streams,
        "networks": [
            {
                "seed": model.seed,
                "trained_to": model.interval,
                "true_positive": found.true_positive[n],
                "false_positive": found.false_positive[n],
                "accuracy": found.accuracy[n],
                "half_life": half_life,
            }
            for n, (model, half_life) in enumerate(zip(models, found.half_life(), strict=True))
        ],
    }
    return Result(metrics, {})


def analyze(models: Sequence[Model], streams: int, seed: int) -> Result:
    """Look into models; see `analysis.interpret`."""
    networks, arrays = [], {}
    for model in models:
        found = interpret(model, streams, seed)
        networks.append(
            {
                "seed": model.seed,
                "trained_to": model.interval,
                "layers": found.layers,
                "responses": found.responses,
            }
        )
        arrays |= {f"{model.seed}.{name}": values for name, values in found.arrays.items()}
    return Result({"streams": streams, "networks": networks}, arrays)
