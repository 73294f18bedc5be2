"""Initial weights: a model that knows data set 1."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sharpwave_shared.data import cache_dir
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import read_json, read_tensors, write_json, write_tensors
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import ImageSet
from sleep_replay.evaluate import COLLAPSED, evaluate
from sleep_replay.model import VAE, Architecture
from sleep_replay.train import Trainer, Training

State = dict[str, Tensor]
"""Parameters of one network, as `VAE.network_state` gives them."""


@dataclass(frozen=True)
class InitialModel:
    """Which initial model: what it knows and its shape.

    Attributes
    ----------
    old
        Data set 1: `mnist` or `mnist-0-4`.
    architecture, latent_dim
        See `VAE`.
    """

    old: str
    architecture: Architecture = "small"
    latent_dim: int = 20

    @property
    def name(self) -> str:
        """File name, without suffix."""
        return f"{self.old}-{self.architecture}-{self.latent_dim}"

    def find(self) -> tuple[State, dict[str, Any], str] | None:
        """Find saved weights in the user's cache, else among those shipped with the package.

        Returns
        -------
        state, metadata, origin
            None if there are none. A damaged file is an error.
        """
        stored = weights_cache() / f"{self.name}.safetensors"
        if stored.is_file():
            return *self._read(stored), f"cache ({stored})"
        with as_file(files("sleep_replay") / "weights" / f"{self.name}.safetensors") as shipped:
            if shipped.is_file():
                return *self._read(shipped), "shipped with the package"
        return None

    def store(self, state: State, metadata: dict[str, Any], folder: Path) -> Path:
        """Write weights and the record of how they were trained; give the weights' path."""
        path = folder / f"{self.name}.safetensors"
        write_json(path.with_suffix(".json"), metadata)
        write_tensors(path, state)
        return path

    def _read(self, path: Path) -> tuple[State, dict[str, Any]]:
        state, _ = read_tensors(path)
        expected = VAE(1, self.latent_dim, self.architecture).network_state(0)
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in expected.items()}:
            raise SharpwaveError(f"{path}: not the weights of a {self.name} model")
        return state, read_json(path.with_suffix(".json"))


def state_checksum(state: State) -> str:
    """SHA-256 over names and values of parameters."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Pretraining:
    """How an initial model is trained.

    Attributes
    ----------
    epochs
        At most this many.
    patience
        Training stops when the training loss has not improved for this many epochs, not counting
        those in which the model is still collapsed: training begins on a plateau, for an epoch or
        more, at which every image is decoded to the same one.
    accept_collapsed
        Whether a model that is still collapsed at the end is good enough (for a trial run).
    training
        The knobs of training.
    """

    epochs: int = 25
    patience: int = 3
    accept_collapsed: bool = False
    training: Training = field(default_factory=lambda: Training(batch_size=32))

    def __post_init__(self) -> None:
        for option, value in (("--epochs", self.epochs), ("--patience", self.patience)):
            if value < 1:
                raise InvalidInputError(f"{option} {value}: at least 1 is needed")


def pretrain(
    journal: Journal,
    model: InitialModel,
    train: ImageSet,
    test: ImageSet,
    *,
    seed: int,
    device: torch.device,
    how: Pretraining,
) -> tuple[State, dict[str, Any]]:
    """Train an initial model, with a checkpoint after every epoch.

    Parameters
    ----------
    journal
        Keeps the checkpoint and shows the progress.
    model
        What to train.
    train, test
        Training and test images of data set 1.
    seed
        Seed of initialisation, order, dropout and noise.
    device
        Where to train.
    how
        Length, stopping and the knobs of training.

    Returns
    -------
    state, record
        The weights, and the record of how they came about: settings, loss, test error and share
        of variance carried, per epoch.

    Raises
    ------
    SharpwaveError
        If the model is still collapsed after all epochs.
    """
    streams = Streams(seed)
    vae = VAE(1, model.latent_dim, model.architecture)
    vae.initialise([streams.torch("initialisation")]).to(device)
    trainer = Trainer(vae, how.training)
    test_images = test.all_images()
    history = torch.zeros(0, 3)  # loss, error, carried; a row an epoch
    checkpoint = journal.load_checkpoint()
    if checkpoint is not None:
        state, _ = checkpoint
        history = state.pop("history")
        trainer.load_state(state)
    with journal.reporter.progress(f"training {model.name}", how.epochs, len(history)) as advance:
        while len(history) < how.epochs and not _converged(history, how.patience):
            generator = streams.torch("pretraining", len(history))
            loss = trainer.epoch(train.images, len(train), [generator])
            scores = evaluate(vae, test_images)
            row = torch.stack([loss.cpu(), scores.error.cpu(), scores.carried.cpu()], dim=1)
            history = torch.cat([history, row])
            journal.reporter.detail(
                "epoch {}: loss {:.1f}, test error {:.1f}, variance carried {:.2f}".format(
                    len(history), *history[-1].tolist()
                )
            )
            journal.save_checkpoint(trainer.state() | {"history": history})
            advance(1)
    if history[-1, 2] < COLLAPSED:
        message = (
            f"the initial model has collapsed: after {len(history)} epochs it decodes every image "
            "to the same one; try another --seed or more --epochs"
        )
        if not how.accept_collapsed:
            raise SharpwaveError(message)
        journal.reporter.warn(message)
    journal.drop_checkpoint()
    record = {
        "model": asdict(model),
        "pretraining": asdict(how),
        "seed": seed,
        "device": str(device),
        "torch": torch.__version__,
        "images": len(train),
        "epochs": len(history),
        "loss": history[:, 0].tolist(),
        "test_error": history[:, 1].tolist(),
        "variance_carried": history[:, 2].tolist(),
    }
    return vae.network_state(0), record


def _converged(history: Tensor, patience: int) -> bool:
    """Tell whether the loss has stopped falling, epochs on the initial plateau apart."""
    losses = history[history[:, 2] >= COLLAPSED, 0]
    return len(losses) > patience and bool(losses[-patience:].min() >= losses[:-patience].min())


def obtain_initial_state(
    journal: Journal,
    model: InitialModel,
    *,
    saved: bool,
    train_it: Callable[[], tuple[State, dict[str, Any]]],
) -> State:
    """Give the weights a run starts from, and keep them in the run as `initial.safetensors`.

    Parameters
    ----------
    journal
        A resumed run uses the weights that it started from.
    model
        Which.
    saved
        Whether saved weights will do. If so and none are saved yet, the trained ones are saved in
        the user's cache.
    train_it
        Trains the model.
    """
    kept = journal.load_tensors("initial")
    if kept is not None:
        return kept
    found = model.find() if saved else None
    if found is not None:
        state, record, origin = found
    else:
        if saved:
            journal.reporter.say(f"no saved weights for {model.name}: training them first")
        state, record = train_it()
        origin = "trained in this run"
        if saved:
            model.store(state, record, weights_cache())
    journal.reporter.say(f"initial weights {model.name}: {origin}")
    journal.record["initial_weights"] = {
        "origin": origin,
        "sha256": state_checksum(state),
        "trained": record,
    }
    journal.save_tensors("initial", state)
    return state


def weights_cache() -> Path:
    """Folder of the initial weights that this user trained."""
    return cache_dir() / "sleep-replay"
