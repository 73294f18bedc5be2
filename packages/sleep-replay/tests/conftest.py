"""Small data and models for the tests of sleep-replay."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sharpwave_shared.data import DataRecord
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import KilledError, MemoryJournal
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
