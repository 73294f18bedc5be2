"""Learning without sleep: sizes, order, resuming, and what the scores mean."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.evaluate import evaluate
from sleep_replay.experiments import Setup
from sleep_replay.mixtures import (
    InterleaveJob,
    Mixture,
    MixtureJob,
    _mixed_images,
    baseline_mixtures,
    block_order,
    by_data_set,
)
from sleep_replay.model import VAE
from sleep_replay.train import Training


@given(st.integers(1, 60), st.integers(1, 50))
def test_blocks_alternate_and_every_image_comes_once(block: int, images: int) -> None:
    order = block_order(block, images).tolist()
    assert sorted(order) == list(range(2 * images))
    position = 0
    for start in range(0, images, block):
        length = min(block, images - start)
        expected = list(range(start, start + length))
        assert order[position : position + length] == expected
        assert order[position + length : position + 2 * length] == [i + images for i in expected]
        position += 2 * length


def test_mixture_holds_new_images_and_own_samples(setup: Setup) -> None:
    vae = VAE(2, 5).initialise([Streams(s).torch("w") for s in (0, 1)])
    new = setup.experience.new_train
    images = _mixed_images(vae, Mixture(7, 3), new, [Streams(0), Streams(1)])
    assert images.shape == (2, 10, 28, 28)
    pairs = (images[:, :, None] - new.all_images()).square().sum((3, 4))
    distances = pairs.min(2).values
    assert (distances[:, :7] < 1e-3).all()
    assert (distances[:, 7:] > 1).all()
    assert not torch.equal(images[0], images[1])


def test_scores_are_those_of_the_trained_networks(setup: Setup) -> None:
    """Training on new images only lowers their error; the first scores are the initial model's."""
    job = MixtureJob(setup, {"new": Mixture(40, 0)}, [0, 1], Training(batch_size=4), 4, trials=2)
    scores = job.run(Journal())["new"]
    assert scores.errors.shape == (5, 4, 2)
    initial = VAE(1, 5).load_network(setup.initial_state(Journal())).eval()
    expected = evaluate(initial, setup.experience.old_test.all_images()).error
    np.testing.assert_allclose(scores.errors[0, :, 0], expected.numpy().repeat(4), rtol=1e-5)
    assert (scores.errors[-1, :, 1] < 0.7 * scores.errors[0, :, 1]).all()
    assert len(np.unique(scores.errors[-1, :, 1])) == 4


def test_interleaving_scores_before_and_after(setup: Setup) -> None:
    job = InterleaveJob.checked(setup, [1, 10], 50, [0, 1], Training())
    scores = job.run(Journal())
    assert scores.mse.shape == (2, 4, 2)
    final = by_data_set(scores, last=True, rows=2)
    assert np.shape(final["mse_old"]) == (2, 2)
    assert final["mse_old"][1][0] == pytest.approx(scores.mse[1, 2, 0])
    # The same seed starts from the same weights whatever the block length.
    np.testing.assert_array_equal(scores.mse[0, :2], scores.mse[0, 2:])


def test_images_default_to_what_there_is(setup: Setup) -> None:
    assert InterleaveJob.checked(setup, [1], None, [0], Training()).images == 60


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: baseline_mixtures("new,odd", None, None), "--modes new,odd"),
        (lambda s: baseline_mixtures("new,new", None, None), "--modes new,new"),
        (lambda s: MixtureJob(s, {"a": Mixture(61, 0)}, [0], Training(), 1), "--num-new 61"),
        (lambda s: MixtureJob(s, {"a": Mixture(1, -1)}, [0], Training(), 1), "--num-sampled -1"),
        (lambda s: MixtureJob(s, {"a": Mixture(0, 0)}, [0], Training(), 1), "no image is left"),
        (lambda s: MixtureJob(s, {"a": Mixture(1, 0)}, [0], Training(), 0), "--epochs 0"),
        (lambda s: MixtureJob(s, {"a": Mixture(1, 0)}, [0], Training(), 1, 0), "--trials 0"),
        (lambda s: InterleaveJob.checked(s, [1], 61, [0], Training()), "--images 61"),
        (lambda s: InterleaveJob.checked(s, [0, 1], 9, [0], Training()), "--blocks 0,1"),
        (lambda s: InterleaveJob.checked(s, [10], 9, [0], Training()), "--blocks 10"),
    ],
)
def test_bad_input_names_the_option(setup: Setup, make, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make(setup)


def test_baseline_sizes() -> None:
    assert baseline_mixtures("both,new", None, None) == {
        "both": Mixture(500, 500),
        "new": Mixture(1000, 0),
    }
    assert baseline_mixtures("old,both", 30, 20) == {
        "old": Mixture(0, 20),
        "both": Mixture(30, 20),
    }
