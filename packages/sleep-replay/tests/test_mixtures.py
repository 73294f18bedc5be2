"""Learning without sleep: sizes, order, resuming, and what the scores mean."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Job
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay import Baselines, Interleave, Learning, Samples
from sleep_replay.data import Experience
from sleep_replay.evaluate import evaluate
from sleep_replay.experiments.common import unfold
from sleep_replay.mixtures import Mixture, _mixed_images, block_order, train_on_mixture
from sleep_replay.model import VAE


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


def test_mixture_holds_new_images_and_own_samples(experience: Experience) -> None:
    vae = VAE(2, 5).initialise([Streams(s).torch("w") for s in (0, 1)])
    new = experience.new_train
    images = _mixed_images(vae, Mixture(7, 3), new, [Streams(0), Streams(1)])
    assert images.shape == (2, 10, 28, 28)
    pairs = (images[:, :, None] - new.all_images()).square().sum((3, 4))
    distances = pairs.min(2).values
    assert (distances[:, :7] < 1e-3).all()
    assert (distances[:, 7:] > 1).all()
    assert not torch.equal(images[0], images[1])


def test_scores_are_those_of_the_trained_networks(initial: VAE, experience: Experience) -> None:
    """Training on new images only lowers their error; the first scores are the initial model's."""
    streams = [Streams(seed).child("trial", trial) for seed in (0, 1) for trial in (0, 1)]
    scores = train_on_mixture(
        Journal(), initial, experience, Mixture(40, 0), streams, Learning(batch_size=4), 4
    )
    assert scores["error"].shape == (5, 4, 2)
    old, new = scores["error"].transpose("data_set", "epoch", "network").values
    expected = evaluate(initial.eval(), experience.old_test.all_images()).error
    np.testing.assert_allclose(old[0], expected.numpy().repeat(4), rtol=1e-5)
    assert (new[-1] < 0.7 * new[0]).all()
    assert len(np.unique(new[-1])) == 4


def test_networks_are_told_apart_by_seed_and_trial() -> None:
    """The last dimension runs fastest, and seeds keep the order in which they were given."""
    folded = xr.Dataset({"error": (("epoch", "network"), np.arange(12).reshape(2, 6))})
    unfolded = unfold(folded, {"seed": (7, 3), "trial": range(3)})
    assert unfolded["seed"].values.tolist() == [7, 3]
    assert unfolded["error"].sel(seed=3, epoch=1).values.tolist() == [9, 10, 11]


@pytest.mark.usefixtures("initial")
def test_modes_and_numbers_of_samples_are_what_they_are_called(
    job: Callable[..., Job], draw: Callable[..., dict]
) -> None:
    """Ten samples beside eight new images are the same in both experiments."""
    sizes = {"latent_dim": 5, "epochs": 1, "num_new": 8}
    baselines = Baselines(**sizes, num_sampled=10, modes=("new", "both"))
    samples = Samples(**sizes, sampled=(10, 0), trials=1)
    modes, mixed = (experiment.compute(job(4, 8)) for experiment in (baselines, samples))
    final = modes["final_error"].sel(mode=["both", "new"])
    same = mixed["error"].isel(trial=0).transpose("sampled", ...)
    np.testing.assert_array_equal(final.values, same.values)
    assert set(draw(baselines, modes)) == {"baselines"}
    assert set(draw(samples, mixed)) == {"samples"}


def test_interleaving_starts_a_seed_from_the_same_weights(
    job: Callable[..., Job], draw: Callable[..., dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the length of the blocks."""
    first: list[torch.Tensor] = []
    train = "sleep_replay.mixtures.Trainer.epoch"

    def epoch(self, source, count, generators, *, shuffle=True):
        assert not shuffle
        first.extend([source(torch.arange(count).expand(4, -1)), self.vae.mean.weight.clone()])

    monkeypatch.setattr(train, epoch)
    interleave = Interleave(latent_dim=5, images=50, blocks=(1, 10))
    result = interleave.compute(job())
    images, weights = first
    assert torch.equal(weights[:2], weights[2:])
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(images[0].sort(0).values, images[2].sort(0).values)
    assert result["mse"].sizes == {"data_set": 2, "block": 2, "seed": 2}
    assert result.attrs["images"] == 50
    assert set(draw(interleave, result)) == {"interleave"}


def test_images_are_checked_against_the_data(experience: Experience) -> None:
    assert Interleave().count(experience) == 60
    refused = [
        (Interleave(images=61), "images: got 61, expected at most 60"),
        (Interleave(blocks=(1, 61)), "blocks: got 1,61, expected numbers of at most 60"),
        (Baselines(modes=("new",), num_new=61), "num_new: got 61, expected at most 60"),
        (Samples(num_new=61), "num_new: got 61"),
    ]
    for experiment, message in refused:
        with pytest.raises(ParameterError, match=message):
            experiment.check_data(experience)
    Baselines(modes=("old",), num_new=61).check_data(experience)
