"""What the latent space holds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Job
from sharpwave_shared.files import read_tensors
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import killed_and_resumed
from sleep_replay import Latent
from sleep_replay.data import Experience
from sleep_replay.latent import (
    Decoding,
    decode,
    decoding_accuracy,
    embed,
    interpolate,
    latent_means,
    pairs_of_different_digits,
    principal_plane,
    split_labelled,
)
from sleep_replay.model import VAE
from sleep_replay.parameters import Pretraining
from sleep_replay.weights import pretrain, store_weights


def rng(seed=0):
    return np.random.default_rng(seed)


def random_vae(networks=1, latent_dim=4) -> VAE:
    vae = VAE(networks, latent_dim)
    return vae.initialise([Streams(i).torch("weights") for i in range(networks)]).eval()


def random_images(count=6):
    return torch.rand(count, 28, 28, generator=torch.Generator().manual_seed(1))


def clusters(count=600, spread=0.1, seed=0):
    """Latents of ten digits, each around a place of its own."""
    labels = rng(seed).integers(0, 10, count)
    centres = rng(seed + 1).normal(size=(10, 8))
    latents = centres[labels] + spread * rng(seed + 2).normal(size=(count, 8))
    return latents.astype(np.float32), labels


def latent(**changes: Any) -> Latent:
    night = {"total_eps": 4, "num_cycles": 2, "start_fraction_rem": 0.5, "end_fraction_rem": 0.5}
    return Latent(**({"latent_dim": 5, "num": 3, "labelled": 10} | night | changes))


class TestDecoding:
    def test_of_separate_clusters_is_perfect(self):
        latents, labels = clusters()
        labelled, held_out = split_labelled(labels, 200, rng())
        assert decoding_accuracy(latents, labels, labelled, held_out) > 0.99

    def test_does_not_depend_on_the_scale_of_a_dimension(self):
        latents, labels = clusters(spread=0.5)
        split = split_labelled(labels, 200, rng())
        scaled = latents * np.logspace(-3, 3, 8, dtype=np.float32) + 5
        assert decoding_accuracy(scaled, labels, *split) == pytest.approx(
            decoding_accuracy(latents, labels, *split), abs=0.01
        )

    def test_of_labels_that_have_nothing_to_do_with_the_latents_is_chance(self):
        latents, labels = clusters(2200)
        shuffled = rng(9).permutation(labels)
        labelled, held_out = split_labelled(shuffled, 200, rng())
        accuracy = decoding_accuracy(latents, shuffled, labelled, held_out)
        # a tenth of 2,000 held-out images, standard deviation 0.0067
        assert abs(accuracy - 0.1) < 5 * 0.0067

    def test_of_a_collapsed_model_is_chance(self):
        labels = np.arange(400) % 10
        split = split_labelled(labels, 200, rng())
        assert decoding_accuracy(np.ones((400, 3), np.float32), labels, *split) == 0.1


class TestSplit:
    @given(st.integers(0, 1000), st.integers(10, 99))
    @settings(max_examples=30, deadline=None)
    def test_is_a_balanced_partition(self, seed, count):
        labels = np.arange(100) % 10
        labelled, held_out = split_labelled(labels, count, rng(seed))
        assert sorted([*labelled, *held_out]) == list(range(100))
        per_digit = np.bincount(labels[labelled], minlength=10)
        assert per_digit.sum() == count
        assert per_digit.max() - per_digit.min() <= 1

    def test_takes_more_of_others_when_a_digit_has_too_few(self):
        labels = np.array([0] * 2 + [1] * 20)
        labelled, _ = split_labelled(labels, 10, rng())
        assert np.bincount(labels[labelled]).tolist() == [2, 8]

    def test_is_random(self):
        labels = np.arange(100) % 10
        first, again, other = (set(split_labelled(labels, 20, rng(s))[0]) for s in (0, 0, 1))
        assert first == again != other


class TestLatentMeans:
    def test_are_the_encoders_means(self):
        vae, images = random_vae(3), random_images()
        expected = vae.encode(images.expand(3, -1, -1, -1))[0]
        torch.testing.assert_close(latent_means(vae, images), expected, rtol=1e-4, atol=1e-5)

    def test_of_a_network_do_not_depend_on_the_others(self):
        vae, images = random_vae(3), random_images()
        alone = VAE(1, 4).load_network(vae.network_state(2))
        assert torch.equal(latent_means(vae, images)[2], latent_means(alone, images)[0])


class TestEmbedding:
    def test_keeps_clusters_apart(self):
        latents = np.concatenate([rng().normal(size=(30, 5)), rng(1).normal(size=(30, 5)) + 30])
        placed = embed(latents.astype(np.float32), rng())
        centres = placed[:30].mean(0), placed[30:].mean(0)
        nearest = [np.argmin([np.linalg.norm(p - c) for c in centres]) for p in placed]
        assert nearest == 30 * [0] + 30 * [1]

    def test_is_determined_by_the_generator(self):
        latents = rng().normal(size=(20, 3)).astype(np.float32)
        np.testing.assert_array_equal(embed(latents, rng(4)), embed(latents, rng(4)))
        assert not np.array_equal(embed(latents, rng(4)), embed(latents, rng(5)))

    def test_of_a_collapsed_model_is_one_point(self):
        assert not embed(np.full((20, 3), 0.7, np.float32), rng()).any()


class TestPrincipalPlane:
    def test_agrees_with_the_covariance_matrix(self):
        latents = rng().normal(size=(500, 6)) @ rng(1).normal(size=(6, 6)) + 3
        plane = principal_plane(torch.from_numpy(latents).float())
        values, vectors = np.linalg.eigh(np.cov(latents.T, bias=True))
        np.testing.assert_allclose(plane.deviations, np.sqrt(values[:-3:-1]), rtol=1e-4)
        np.testing.assert_allclose(plane.share, values[:-3:-1] / values.sum(), rtol=1e-4)
        for direction, vector in zip(plane.directions.numpy(), vectors.T[:-3:-1], strict=True):
            np.testing.assert_allclose(abs(direction @ vector), 1, rtol=1e-4)
            assert direction[np.abs(direction).argmax()] > 0

    def test_centre_of_the_decoded_grid_is_the_decoded_mean(self):
        vae = random_vae()
        latents = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
        grid = principal_plane(latents).grid(5, 2.0)
        decoded_mean = vae.decode(latents.mean(0)[None, None])[0, 0]
        torch.testing.assert_close(decode(vae, grid)[2, 2], decoded_mean)

    def test_grid_reaches_that_many_deviations_right_and_up(self):
        latents = torch.zeros(4, 3)
        latents[:, 0] = torch.tensor([3.0, -3.0, 0.0, 0.0])
        latents[:, 2] = torch.tensor([0.0, 0.0, 1.0, -1.0])
        grid = principal_plane(latents + 7).grid(3, 2.0)
        wide, high = 2 * 4.5**0.5, 2 * 0.5**0.5
        torch.testing.assert_close(grid[0, 2], torch.tensor([7 + wide, 7, 7 + high]))
        torch.testing.assert_close(grid[2, 0], torch.tensor([7 - wide, 7, 7 - high]))

    def test_of_one_dimension_is_a_line(self):
        plane = principal_plane(torch.tensor([[-1.0], [1.0]]))
        assert plane.directions.tolist() == [[1.0], [0.0]]
        assert plane.deviations.tolist() == plane.share.tolist() == [1.0, 0.0]

    def test_of_a_collapsed_model_is_a_point(self):
        grid = principal_plane(torch.full((9, 3), 0.5)).grid(3, 2.0)
        assert torch.equal(grid, torch.full((3, 3, 3), 0.5))


class TestInterpolation:
    def test_ends_are_the_reconstructions(self):
        vae, images = random_vae(), random_images(4)
        means = latent_means(vae, images)[0]
        between = decode(vae, interpolate(means[:2], means[2:], 5))
        expected = vae.reconstruct(images[None])[0]
        torch.testing.assert_close(between[:, 0], expected[:2])
        torch.testing.assert_close(between[:, -1], expected[2:])

    def test_steps_are_equal(self):
        path = interpolate(torch.zeros(1, 3), torch.tensor([[4.0, -8.0, 0.0]]), 5)
        torch.testing.assert_close(path[0, 1], torch.tensor([1.0, -2.0, 0.0]))
        torch.testing.assert_close(path.diff(dim=1), path[:, 1:2].expand(-1, 4, -1))

    @given(st.lists(st.integers(0, 9), min_size=2, max_size=30), st.integers(0, 99))
    @settings(max_examples=50, deadline=None)
    def test_pairs_show_different_digits_and_share_no_image(self, labels, seed):
        labels = np.array(labels)
        pairs = pairs_of_different_digits(labels, 5, rng(seed))
        assert (labels[pairs[:, 0]] != labels[pairs[:, 1]]).all()
        assert len(set(pairs.ravel())) == pairs.size <= 10
        assert len(pairs) > 0 or len(set(labels)) == 1


@pytest.mark.usefixtures("initial")
class TestLatent:
    @pytest.fixture(autouse=True)
    def _without_tsne(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Place latents by their first two dimensions: t-SNE takes most of a run's time here."""
        monkeypatch.setattr("sleep_replay.latent.embed", lambda latents, generator: latents[:, :2])

    def test_measures_before_sleep_and_after_every_cycle(
        self, job: Callable[..., Job], experience: Experience, initial: VAE, tmp_path: Path
    ) -> None:
        result = latent().compute(job(3, 8, directory=tmp_path))
        accuracy = result["accuracy"].transpose("cycle", "seed", "data_set").values
        assert accuracy.shape == (3, 2, 2)
        decoding = Decoding(experience, 10, (3, 8))
        np.testing.assert_array_equal(accuracy[0], decoding.accuracy(initial.copies(2).eval()))
        slept = VAE(2, 5).eval()
        slept.load_state_dict(read_tensors(tmp_path / "networks.safetensors")[0])
        np.testing.assert_array_equal(accuracy[-1], decoding.accuracy(slept))

    def test_shows_the_decoded_mean_in_the_middle_of_the_grid(
        self, computed: Callable[..., xr.Dataset], experience: Experience, initial: VAE
    ) -> None:
        result = computed(latent(), 3, 8)
        means = latent_means(initial.eval(), experience.new_test.all_images())[0]
        middle = initial.decode(means.mean(0)[None, None])[0, 0].detach().numpy()
        shown = result["grid"].sel(moment="before", data_set="new")[5, 5]
        np.testing.assert_allclose(shown, 255 * middle, atol=0.51)

    def test_a_seed_does_not_depend_on_the_others(
        self, computed: Callable[..., xr.Dataset]
    ) -> None:
        scratch = latent(from_scratch=True, epochs=2)
        both, alone = computed(scratch, 3, 8), computed(scratch, 3)
        first = {"seed": [3]}
        assert both["accuracy"].sel(first)[0].equals(alone["accuracy"][0])
        for name in ("accuracy_from_scratch", "loss_from_scratch"):
            xr.testing.assert_allclose(both[name].sel(first)[0], alone[name][0], 1e-4)
        assert both["accuracy_from_scratch"].sel(first)[0].equals(alone["accuracy_from_scratch"][0])
        np.testing.assert_allclose(both["latent"], alone["latent"], rtol=0.01, atol=0.01)
        assert both["digit"].equals(alone["digit"])

    @pytest.mark.parametrize("alike", [{}, {"reconstruction_loss": "bce", "input_dropout": 0.3}])
    def test_training_from_scratch_is_the_pretraining_of_that_seed(
        self, alike: dict[str, Any], computed: Callable[..., xr.Dataset], experience: Experience
    ) -> None:
        scratch = latent(from_scratch=True, epochs=2, **alike)
        losses = computed(scratch, 3, 8)["loss_from_scratch"].sel(seed=3).values[1:]
        how = Pretraining(epochs=2, **alike)
        _, record = pretrain(Journal(), scratch, experience, how, 3, accept_collapsed=True)
        np.testing.assert_allclose(losses, record["loss"], rtol=1e-5)

    @pytest.mark.usefixtures("_on_blobs")
    def test_killed_and_resumed_gives_the_same(
        self, computed: Callable[..., xr.Dataset], tmp_path: Path
    ) -> None:
        scratch = latent(from_scratch=True, epochs=2)
        found, kills = killed_and_resumed(scratch, tmp_path / "run", (3,))
        # kept are the initial weights, sleep twice and as a whole, training twice
        assert kills == 6
        xr.testing.assert_equal(found, computed(scratch, 3))

    def test_refuses_images_of_a_single_digit(self, experience: Experience) -> None:
        old = experience.old_test
        digit = replace(experience, old_test=old.subset(old.labels == 3))
        with pytest.raises(ParameterError, match="eval_images: got 2, which show one digit only"):
            latent().check_data(digit)

    @pytest.mark.parametrize("labelled", [9, 20])
    def test_refuses_too_few_and_too_many_labelled(
        self, experience: Experience, labelled: int
    ) -> None:
        with pytest.raises(ParameterError, match=r"labelled: .* from 10, the digits, to 19"):
            latent(labelled=labelled).check_data(experience)


def test_of_a_single_latent_of_digits_and_from_scratch_can_be_drawn(
    job: Callable[..., Job], experience: Experience, draw: Callable[..., dict]
) -> None:
    """A single latent is the hardest to draw."""
    single = latent(latent_dim=1, inverted=False, labelled=6, from_scratch=True, epochs=1)
    store_weights(single, random_vae(latent_dim=1).network_state(0), {})
    parts = vars(experience) | {
        name: images.subset((images.labels < 5) == name.startswith("old"))
        for name, images in vars(experience).items()
        if name != "record"
    }
    result = single.compute(job(data=Experience(**parts)))
    assert set(result["digit"].sel(data_set="old").values) == set(range(5))
    assert set(result["digit"].sel(data_set="new").values) == set(range(5, 10))
    figures = draw(single, result)
    assert set(figures) == {
        *("latent-decoding", "latent-decoding-from-scratch"),
        *("latent-tsne", "latent-grid", "latent-interpolations"),
    }
    assert "seed 0." in figures["latent-grid"].get_supxlabel()
