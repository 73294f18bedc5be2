"""Initial weights: a model that knows data set 1."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sharpwave_shared.data import cache_dir
from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.files import read_json, read_tensors, write_json, write_tensors
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import Experience
from sleep_replay.evaluate import COLLAPSED, evaluate
from sleep_replay.model import VAE
from sleep_replay.parameters import Model, Pretraining
from sleep_replay.train import Recorded, Trainer

MOST_ON_PLATEAU = 600_000
"""Images on the plateau after which a training is given up, if its length is not given."""

State = dict[str, Tensor]
"""Parameters of one network, as `VAE.network_state` gives them."""


@dataclass(frozen=True)
class InitialWeights:
    """Weights of an initial model.

    Attributes
    ----------
    state
        The parameters.
    record
        How they were trained: settings; loss, test error and share of variance carried, per epoch.
    origin
        Where they were found.
    """

    state: State
    record: dict[str, Any]
    origin: str

    def attributes(self) -> dict[str, str]:
        """Say which weights a run started from, for its results."""
        digest = hashlib.sha256()
        for name in sorted(self.state):
            digest.update(name.encode() + self.state[name].cpu().contiguous().numpy().tobytes())
        return {
            "initial_weights": self.origin,
            "initial_weights_sha256": digest.hexdigest(),
            "initial_weights_training": json.dumps(self.record),
        }


def weights_cache() -> Path:
    """Folder of the initial weights that this user trained."""
    return cache_dir() / "sleep-replay"


def find_weights(model: Model) -> InitialWeights | None:
    """Find saved weights in the user's cache, else among those shipped with the package.

    Raises
    ------
    SharpwaveError
        If a file is damaged, or not of this model.
    """
    name = f"{model.model_name}.safetensors"
    stored = weights_cache() / name
    if stored.is_file():
        return _read(stored, model, f"cache ({stored})")
    with as_file(files("sleep_replay") / "weights" / name) as shipped:
        if shipped.is_file():
            return _read(shipped, model, "shipped with the package")
    return None


def store_weights(model: Model, state: State, record: dict[str, Any]) -> Path:
    """Write weights, and how they were trained, to the user's cache; give the weights' path."""
    path = weights_cache() / f"{model.model_name}.safetensors"
    write_json(path.with_suffix(".json"), record)
    write_tensors(path, state)
    return path


def _read(path: Path, model: Model, origin: str) -> InitialWeights:
    state, _ = read_tensors(path)
    expected = VAE(1, model.latent_dim, model.architecture).network_state(0)
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in expected.items()}:
        raise SharpwaveError(f"{path}: not the weights of a {model.model_name} model")
    return InitialWeights(state, read_json(path.with_suffix(".json")), origin)


def obtain_weights(
    journal: Journal,
    model: Model,
    experience: Experience,
    how: Pretraining,
    seed: int,
    *,
    save: bool = True,
) -> InitialWeights:
    """Give the weights that a run starts from: saved ones, or trained first.

    Parameters
    ----------
    journal
        Keeps them: a resumed run uses the weights that it started from.
    model
        Which. Whether saved weights will do.
    experience
        The data; their device trains.
    how, seed
        Of the training.
    save
        Whether trained weights are saved, if saved ones would have done.
    """

    def obtain(part: Journal) -> dict[str, Any]:
        saved = model.use_initial_weights
        found = find_weights(model) if saved else None
        if found is not None:
            return vars(found)
        if saved:
            part.reporter.say(f"no saved weights for {model.model_name}: training them first")
        state, record = pretrain(part, model, experience, how, seed)
        if saved and save:
            store_weights(model, state, record)
        return {"state": state, "record": record, "origin": "trained in this run"}

    weights = InitialWeights(**journal.once("initial weights", obtain))
    journal.reporter.say(f"initial weights {model.model_name}: {weights.origin}")
    return weights


def pretrain(
    journal: Journal,
    model: Model,
    experience: Experience,
    how: Pretraining,
    seed: int,
    *,
    accept_collapsed: bool = False,
) -> tuple[State, dict[str, Any]]:
    """Train an initial model on data set 1.

    Parameters
    ----------
    journal
        Keeps checkpoints and shows the progress.
    model
        What to train.
    experience
        The data; their device trains.
    how
        Length, stopping and the knobs of training. Epochs in which the model is still collapsed do
        not count for the patience, nor for a length that is not given: training may begin on a
        plateau, for an epoch or more, at which every image is decoded to the same one.
    seed
        Of initialisation, order, dropout and noise.
    accept_collapsed
        Whether a model that is still collapsed at the end is good enough (for a trial run).

    Returns
    -------
    state, record
        The weights, and the record of how they came about: settings, and loss, test error and
        share of variance carried, per epoch.

    Raises
    ------
    SharpwaveError
        If the model is still collapsed after all epochs.
    """
    streams, train = Streams(seed), experience.old_train
    vae = VAE(1, model.latent_dim, model.architecture)
    vae.initialise([streams.torch("initialisation")]).to(train.device)
    training = Recorded(Trainer(vae, how))
    test_images = experience.old_test.all_images()
    epochs = how.epochs or model.pretraining_epochs(len(train))
    most = how.epochs or epochs + MOST_ON_PLATEAU // len(train)
    for epoch in journal.steps(f"training {model.model_name}", most, training):
        learnt = [row for row in training.rows if how.epochs or row[-1] >= COLLAPSED]
        if len(learnt) == epochs or _converged(training.rows, how.patience):
            break
        loss = training.trainer.epoch(
            train.images, len(train), [streams.torch("pretraining", epoch)]
        )
        scores = evaluate(vae, test_images)
        row = [float(value) for value in (loss, scores.error, scores.carried)]
        training.rows.append(row)
        journal.reporter.detail(
            "epoch {}: loss {:.1f}, test error {:.1f}, variance carried {:.2f}".format(
                epoch + 1, *row
            )
        )
    losses, errors, carried = map(list, zip(*training.rows, strict=True))
    record = {
        "model": {
            name: getattr(model, name) for name in ("inverted", "architecture", "latent_dim")
        },
        "pretraining": {name: getattr(how, name) for name in Pretraining.model_fields}
        | {"epochs": epochs},
        "seed": seed,
        "device": str(train.device),
        "torch": torch.__version__,
        "dataset": experience.record.name,
        "dataset_sha256": experience.record.checksum,
        "images": len(train),
        "epochs": len(losses),
        "loss": losses,
        "test_error": errors,
        "variance_carried": carried,
    }
    if collapsed(record):
        message = (
            f"the initial model has collapsed: after {len(losses)} epochs it decodes every image "
            "to the same one; try another seed or more epochs"
        )
        if not accept_collapsed:
            raise SharpwaveError(message)
        journal.reporter.warn(message)
    return vae.network_state(0), record


def collapsed(record: Mapping[str, Any]) -> bool:
    """Tell from the record of a training whether its model ended collapsed."""
    return record["variance_carried"][-1] < COLLAPSED


def _converged(history: list[list[float]], patience: int) -> bool:
    """Tell whether the loss has stopped falling, epochs on the initial plateau apart."""
    losses = [loss for loss, _, carried in history if carried >= COLLAPSED]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])
