"""Small data and models for the tests of sleep-replay."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure

from sharpwave_shared.data import DataRecord
from sharpwave_shared.experiment import Experiment, Job
from sharpwave_shared.plotting import style
from sharpwave_shared.seeding import Streams
from sleep_replay.data import Experience, ImageSet, load_experience
from sleep_replay.experiments.schedule import Schedule
from sleep_replay.model import VAE
from sleep_replay.weights import store_weights


def load_few(*arguments: Any) -> Experience:
    """Read the data, and keep 40 images of data set 1 to train with, of 4,000."""
    whole = load_experience(*arguments)
    return replace(whole, old_train=whole.old_train.subset(torch.arange(40)))


@pytest.fixture(autouse=True, scope="session")
def _few_dreams() -> Iterator[None]:
    """Count the likeness of few dreams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sleep_replay.sleep.DREAMS_COUNTED", 16)
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of the tests, and the tests out of the user's cache."""
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds; they are laid out in tests of their own."""
    monkeypatch.setattr("sharpwave_shared.execution.draw_run", lambda *arguments, **more: [])


@pytest.fixture
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleep_replay.data.load_experience", load_few)


@pytest.fixture
def draw() -> Iterator[Callable[[Experiment, xr.Dataset], dict[str, Figure]]]:
    """Draw and lay out the figures of an experiment: titles, legends and caption stand apart."""

    def drawn(experiment: Experiment, data: xr.Dataset) -> dict[str, Figure]:
        with style():
            figures = dict(experiment.figures()(experiment, data))
            for figure in figures.values():
                figure.draw_without_rendering()
                _assert_texts_stand_apart(figure)
        return figures

    yield drawn
    plt.close("all")


def _assert_texts_stand_apart(figure: Figure) -> None:
    texts = [axes.title for axes in figure.axes if axes.get_title()]
    texts += [*figure.legends, *filter(None, [getattr(figure, "_supxlabel", None)])]
    boxes = [text.get_window_extent() for text in texts]
    for index, box in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert not box.overlaps(other)


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
    return draw_experience()


def draw_experience() -> Experience:
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
def initial() -> VAE:
    """A network of random weights, which are those of the model that the cache has."""
    return store_random_weights()


def store_random_weights() -> VAE:
    vae = VAE(1, 5).initialise([Streams(0).torch("initialisation")])
    store_weights(Schedule(latent_dim=5), vae.network_state(0), {"seed": 0})
    return vae


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., xr.Dataset]:
    """Give the results of an experiment on the blobs, computed once; not to be changed."""

    @cache
    def compute(experiment: Experiment, *seeds: int) -> xr.Dataset:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
            store_random_weights()
            return experiment.compute(
                Job(seeds=seeds, device=torch.device("cpu"), data=draw_experience())
            )

    return compute


@pytest.fixture
def job(experience: Experience) -> Callable[..., Job]:
    """Make jobs that compute on the blobs."""

    def make(*seeds: int, data: Experience = experience, **more: Any) -> Job:
        return Job(seeds=seeds or (0, 1), device=torch.device("cpu"), data=data, **more)

    return make


@pytest.fixture
def _on_blobs(
    experience: Experience, initial: VAE, _no_figures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let experiments with latent size 5 read the blobs, and start from random weights."""
    monkeypatch.setattr("sleep_replay.data.load_experience", lambda model, data_dir: experience)
