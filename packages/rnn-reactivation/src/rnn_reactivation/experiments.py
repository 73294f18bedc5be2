"""The jobs behind the commands: training networks into their folders, and analysing them."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rnn_reactivation.configuration import (
    Configuration,
    configuration_names,
    load_configuration,
)
from rnn_reactivation.networks import (
    Model,
    model_path,
    read_model,
    write_configuration,
    write_model,
)
from rnn_reactivation.reactivation import Settings
from rnn_reactivation.train import Learner, train
from sharpwave_shared.cli import Draw
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.files import write_json
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.runs import Run, RunSpec, StoredRun, open_run, read_run

PACKAGE = "rnn-reactivation"
STATE = "state"


class Result(NamedTuple):
    """Numbers, and arrays, that a job gives to be stored."""

    metrics: dict[str, Any]
    arrays: dict[str, np.ndarray]


def train_spec(
    configuration: Configuration, seed: int, device: torch.device, *, quick: bool = False
) -> RunSpec:
    """Say what identifies a run of training: the number of epochs does not."""
    config = configuration.values()
    del config["trainer"]["n_epochs"]
    return RunSpec(
        package=PACKAGE,
        experiment="train",
        config=config,
        seeds=[seed],
        device=device,
        quick=quick,
        label=f"{configuration.task.name}-{configuration.name}",
    )


def train_runs(
    configuration: Configuration,
    seeds: Sequence[int],
    runs: Sequence[Run],
    device: torch.device,
) -> list[Result]:
    """Train a network for each seed, each into its own run directory.

    What lies there is gone on with. An accelerator takes networks that are equally far as one
    batch; on the CPU one is trained after another, as alone.
    """
    learners: dict[int, Learner] = {}
    folders: dict[int, Run] = dict(zip(seeds, runs, strict=True))
    for seed, run in folders.items():
        kept = run.load_tensors(STATE)
        write_configuration(run.directory, configuration)
        if kept is None:
            learners[seed] = Learner.new(configuration, seed)
        else:
            learners[seed] = Learner.restore(configuration, seed, kept)

    def save(learner: Learner) -> None:
        directory = folders[learner.seed].directory
        write_model(directory, configuration, learner.seed, learner.epoch, learner.parameters)
        _write_curves(directory, learner)

    groups: dict[int, list[Learner]] = {}
    for seed, learner in learners.items():
        groups.setdefault(seed if device.type == "cpu" else learner.epoch, []).append(learner)
    for group in groups.values():

        def checkpoint(group: Sequence[Learner] = group) -> None:
            for learner in group:
                folders[learner.seed].save_tensors(STATE, learner.tensors())

        train(
            group,
            configuration.trainer.n_epochs,
            device=device,
            journal=folders[group[0].seed],
            save=save,
            checkpoint=checkpoint,
        )
    return [_result(learners[seed]) for seed in seeds]


def train_networks(
    root: Path,
    configuration: Configuration,
    seeds: Sequence[int],
    device: torch.device,
    reporter: Reporter,
    draw: Draw,
    formats: Sequence[str] = ("png",),
    *,
    quick: bool = False,
    resume: bool = False,
    force: bool = False,
) -> list[StoredRun]:
    """Train networks into their folders below `root`, unless they are there already.

    With `resume`, runs that were cut off are gone on with, and finished ones that have had fewer
    epochs.

    Returns
    -------
    list
        The runs of all seeds, found or new.
    """
    with ExitStack() as stack:
        runs, left = [], []
        for seed in seeds:
            directory = root / configuration.folder(seed)
            reporter.say(f"{PACKAGE} train on {device}, into {directory}")
            run = stack.enter_context(
                open_run(
                    directory,
                    train_spec(configuration, seed, device, quick=quick),
                    reporter,
                    resume=resume,
                    force=force,
                    extend=_wants_more(directory, configuration),
                )
            )
            if run is None:
                more = "--resume goes on, " if _wants_more(directory, configuration) else ""
                reporter.say(
                    f"{directory} holds this run already, finished; {more}--force runs it again"
                )
                continue
            runs.append(run)
            left.append(seed)
        results = train_runs(configuration, left, runs, device)
        for run, result in zip(runs, results, strict=True):
            run.save_results(*result)
            draw(run.stored(), formats)
    return [read_run(root / configuration.folder(seed), PACKAGE) for seed in seeds]


def _wants_more(directory: Path, configuration: Configuration) -> bool:
    """Tell whether a finished run has had fewer epochs than wanted."""
    try:
        epoch = read_run(directory, PACKAGE).metrics["epoch"]
    except InvalidInputError:
        return False
    return epoch < configuration.trainer.n_epochs


def _write_curves(directory: Path, learner: Learner) -> None:
    """Write the original's two files of curves."""
    write_json(directory / "train_metrics.json", {"loss": learner.losses})
    curves = {
        "epoch": [epoch for epoch, _ in learner.tests],
        "loss": [test.loss for _, test in learner.tests],
        "error": [test.error for _, test in learner.tests],
    }
    write_json(directory / "test_metrics.json", curves)


def _result(learner: Learner) -> Result:
    epoch, test = learner.tests[-1]
    metrics = {
        "epoch": learner.epoch,
        "tested_at": epoch,
        "loss": test.loss,
        "error": test.error,
        "parameters": sum(values.numel() for values in learner.parameters.values()),
    }
    tests = [(epoch, *test) for epoch, test in learner.tests]
    return Result(metrics, {"losses": np.array(learner.losses), "tests": np.array(tests)})


def stored_models(root: Path, settings: Settings, seeds: Sequence[int]) -> dict[int, list[Model]]:
    """Read the trained networks that an analysis is about, for each seed.

    Raises
    ------
    InvalidInputError
        If one has not been trained (the message says how to), or does not fit its folder.
    """
    return {
        seed: [_stored_model(root, settings, n, seed) for n in settings.names] for seed in seeds
    }


def _stored_model(root: Path, settings: Settings, name: str, seed: int) -> Model:
    directory = root / settings.task / f"{name}_{seed}"
    if not (directory / "run.json").is_file():
        base, suffix = name, ""
        matched = re.fullmatch(r"(.+)_([\d.e+-]+)", name)
        if matched and f"{settings.task}/{matched[1]}" in configuration_names():
            base, suffix = matched[1], f" rnn.sigma2_rec={matched[2]}"
        load_configuration(f"{settings.task}/{base}")  # an unknown one is refused by its nearest
        raise InvalidInputError(
            f"{name}, seed {seed}, has not been trained (there is no {directory}); train it with: "
            f"{PACKAGE} train {settings.task}/{base}{suffix} --seed {seed}"
        )
    epoch = read_run(directory, PACKAGE).metrics["epoch"]
    model = read_model(model_path(directory, epoch))
    if (model.configuration.task.name, model.seed) != (settings.task, seed):
        raise InvalidInputError(
            f"{model_path(directory, epoch)}: is a network of {model.configuration.task.name}, "
            f"seed {model.seed}"
        )
    return model


def analysis_spec(
    settings: Settings,
    kinds: Sequence[str],
    models: Mapping[int, Sequence[Model]],
    device: torch.device,
    *,
    quick: bool = False,
) -> RunSpec:
    """Say what identifies an analysis: the networks, how far they were trained, and how."""
    trained = [[model.epoch for model in networks] for networks in models.values()]
    configurations = [model.configuration.values() for model in next(iter(models.values()))]
    for values in configurations:
        del values["trainer"]["n_epochs"]
    config = asdict(settings) | {
        "configurations": list(settings.names),
        "kinds": list(kinds),
        "epochs": trained,
        "networks": configurations,
    }
    return RunSpec(
        package=PACKAGE,
        experiment="analyze",
        config=config,
        seeds=list(models),
        device=device,
        quick=quick,
        label=f"{'all' if len(kinds) > 1 else kinds[0]}-{settings.task}",
    )
