"""Small data and models for the tests of sleep-replay."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from sharpwave_shared.data import DataRecord
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import Experience, ImageSet
from sleep_replay.experiments import Setup
from sleep_replay.model import VAE
from sleep_replay.weights import InitialModel, weights_cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of the tests, and the tests out of the user's cache."""
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))


def draw_blobs(count: int, seed: int) -> torch.Tensor:
    """Draw images of one bright square each, at random places: structured, and quick to learn."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, 28, 28), np.uint8)
    for image, (row, column) in zip(images, rng.integers(2, 18, (count, 2)), strict=True):
        image[row : row + 8, column : column + 8] = rng.integers(128, 256)
    return torch.from_numpy(images)


@pytest.fixture
def blobs() -> Callable[[int, int], torch.Tensor]:
    return draw_blobs


@pytest.fixture
def experience() -> Experience:
    def image_set(count: int, seed: int, *, inverted: bool) -> ImageSet:
        labels = torch.arange(count) % 10
        return ImageSet(draw_blobs(count, seed), labels, inverted)

    return Experience(
        image_set(60, 0, inverted=False),
        image_set(20, 1, inverted=False),
        image_set(60, 2, inverted=True),
        image_set(20, 3, inverted=True),
        DataRecord("blobs", "synthesised", "memory", "0" * 64),
    )


class KilledError(Exception):
    """Stands for a kill signal."""


class MemoryJournal(Journal):
    """Keeps everything in memory, with a checkpoint after every step.

    It is killed right after the `lives`-th checkpoint, or when a checkpoint is to be dropped.
    """

    def __init__(self, lives: int = -1, *, killed_at_drop: bool = False):
        super().__init__()
        self.lives, self.killed_at_drop, self.saved = lives, killed_at_drop, 0
        self.checkpoint: tuple[dict[str, torch.Tensor], dict[str, str]] | None = None
        self.tensors: dict[str, dict[str, torch.Tensor]] = {}

    def checkpoint_due(self) -> bool:
        return True

    def save_checkpoint(self, tensors: Mapping[str, torch.Tensor], **progress: int | str) -> None:
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self.checkpoint = copies, {name: str(value) for name, value in progress.items()}
        self.saved += 1
        if self.saved == self.lives:
            raise KilledError

    def load_checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        if self.checkpoint is None:
            return None
        tensors, progress = self.checkpoint
        return {name: tensor.clone() for name, tensor in tensors.items()}, progress

    def drop_checkpoint(self) -> None:
        if self.killed_at_drop:
            self.killed_at_drop = False
            raise KilledError
        self.checkpoint = None

    def save_tensors(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors[name] = {k: tensor.detach().clone() for k, tensor in tensors.items()}

    def load_tensors(self, name: str) -> dict[str, torch.Tensor] | None:
        return self.tensors.get(name)


@pytest.fixture
def memory_journal() -> type[MemoryJournal]:
    return MemoryJournal


@pytest.fixture
def killed_error() -> type[KilledError]:
    return KilledError


@pytest.fixture
def setup(experience: Experience) -> Setup:
    """A setup whose saved initial weights are random ones, in the test's own cache."""
    model = InitialModel("mnist", "small", 5)
    setup = Setup(experience, model, True, 0, torch.device("cpu"))
    vae = VAE(1, 5).initialise([Streams(0).torch("initialisation")])
    model.store(vae.network_state(0), {"seed": 0}, weights_cache())
    return setup
