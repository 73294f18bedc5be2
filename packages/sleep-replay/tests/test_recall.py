"""Recall from partial input."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sharpwave_shared.experiment import Job
from sharpwave_shared.seeding import Streams
from sleep_replay import Recall, weights
from sleep_replay.data import Experience
from sleep_replay.model import VAE
from sleep_replay.recall import draw_damage, lost_pixels
from sleep_replay.weights import store_weights

MARK = 2.0  # no grey level has this value, so what is left of it is what is not lost


def damage(corruption, seed=0, count=5, size=28):
    return draw_damage(count, size, corruption, Streams(seed).torch("test"))


def recall(**changes: Any) -> Recall:
    night = {"total_eps": 4, "num_cycles": 2, "start_fraction_rem": 0.5, "end_fraction_rem": 0.5}
    given = {"latent_dim": 5, "num": 3, "fractions": (0.5, 0.0, 1.0)} | night
    return Recall(**(given | changes))


class TestDamage:
    @pytest.mark.parametrize("corruption", ["zero", "noise"])
    @pytest.mark.parametrize("fraction", [0.0, 0.001, 0.1, 1 / 3, 0.5, 0.9, 1.0])
    def test_loses_exactly_that_many_pixels_of_every_image(self, corruption, fraction):
        seen = damage(corruption).apply(torch.full((5, 28, 28), MARK), fraction)
        lost = (seen != MARK).sum((1, 2))
        assert lost.tolist() == 5 * [round(fraction * 784)] == 5 * [lost_pixels(fraction, 28)]

    @pytest.mark.parametrize("corruption", ["zero", "noise"])
    def test_fraction_0_changes_nothing(self, corruption):
        images = torch.rand(5, 28, 28, generator=torch.Generator().manual_seed(0))
        assert torch.equal(damage(corruption).apply(images, 0.0), images)

    def test_fraction_1_with_zero_leaves_a_blank(self):
        assert not damage("zero").apply(torch.ones(5, 28, 28), 1.0).any()

    def test_fraction_1_with_noise_leaves_uniform_grey_levels(self):
        seen = damage("noise", count=50).apply(torch.full((50, 28, 28), MARK), 1.0)
        assert 0 <= seen.min() < 0.001
        assert 0.999 < seen.max() < 1
        counts = torch.histc(seen, 10, 0, 1)
        # 39,200 draws in 10 bins: 3,920 each, standard deviation 59
        assert (counts - 3920).abs().max() < 5 * 59

    def test_a_larger_fraction_loses_what_a_smaller_one_does_and_more(self):
        images = torch.full((5, 28, 28), MARK)
        drawn = damage("noise")
        less, more = drawn.apply(images, 0.3), drawn.apply(images, 0.6)
        assert torch.equal(more[less != MARK], less[less != MARK])

    def test_every_pixel_is_lost_equally_often(self):
        lost = damage("zero", count=4000, size=6).apply(torch.ones(4000, 6, 6), 0.25) == 0
        # 4,000 images, a quarter: 1,000 times, standard deviation 27
        assert (lost.sum(0) - 1000).abs().max() < 5 * 27

    def test_both_corruptions_lose_the_same_pixels(self):
        assert torch.equal(damage("zero").rank, damage("noise").rank)

    def test_depends_on_the_seed_only(self):
        assert torch.equal(damage("noise", 1).replacement, damage("noise", 1).replacement)
        assert not torch.equal(damage("noise", 1).rank, damage("noise", 2).rank)


class TestRecall:
    def test_of_a_model_that_always_recalls_black(
        self, job: Callable[..., Job], experience: Experience, initial: VAE
    ) -> None:
        with torch.no_grad():
            initial.decoder.deconv3.weight.zero_()
            initial.decoder.deconv3.bias.fill_(-100)
        store_weights(recall(), initial.network_state(0), {})
        result = recall(lr=1e-12).compute(job(3, 8))
        for d, test in enumerate(experience.tests):
            ink = test.all_images().sum((1, 2)).mean().item()
            np.testing.assert_allclose(result["recall_error"][..., d], ink, rtol=1e-5)
            np.testing.assert_allclose(result["input_error"][-1, :, d], ink, rtol=1e-5)
        np.testing.assert_allclose(result["recall_carried"], 0, atol=1e-9)
        assert (result["input_error"].sel(fraction=0) == 0).all()
        assert (result["input_error"].diff("fraction") > 0).all()

    def test_of_intact_images_is_what_the_sleep_itself_measures(
        self, computed: Callable[..., xr.Dataset]
    ) -> None:
        result = computed(recall(), 3, 8)
        assert result["fraction"].values.tolist() == [0, 0.5, 1]
        assert result["pixels_lost"].values.tolist() == [0, 392, 784]
        for measure, tolerance in (("error", 1e-5), ("carried", 1e-4)):
            recalled = result[f"recall_{measure}"].sel(fraction=0)
            slept = result[measure].isel(cycle=[0, -1])
            dims = ("seed", "data_set")
            np.testing.assert_allclose(
                recalled.transpose("moment", *dims), slept.transpose("cycle", *dims), tolerance
            )
        before, after = result["recall_error"]
        assert not np.allclose(before, after)

    def test_of_a_blank_is_the_same_for_all_images_and_seeds(
        self, computed: Callable[..., xr.Dataset]
    ) -> None:
        blank = computed(recall(), 3, 8).sel(fraction=1)
        assert (blank["recall"].sel(stage="seen") == 0).all()
        for moment in ("before", "after"):
            pictures = blank["recall"].sel(stage=moment)
            assert (pictures == pictures.isel(data_set=0, recalled=0)).all()
        one, other = blank["recall_error"].sel(moment="before", data_set="old").values
        np.testing.assert_allclose(one, other, rtol=1e-6)

    def test_of_a_seed_does_not_depend_on_the_others(
        self, computed: Callable[..., xr.Dataset]
    ) -> None:
        noisy = recall(corruption="noise")
        both = computed(noisy, 3, 8)
        alone = computed(noisy, 8)
        before = {"seed": [8], "moment": "before"}
        assert both["recall_error"].sel(before).equals(alone["recall_error"].sel(before))
        assert both["input_error"].sel(seed=[8]).equals(alone["input_error"])
        xr.testing.assert_allclose(both["recall_error"].sel(seed=[8]), alone["recall_error"], 1e-3)
        lost = both["input_error"].sel(fraction=[0.5, 1])
        assert (lost.sel(seed=3) != lost.sel(seed=8)).all()

    def test_pictures_show_what_is_seen_and_the_first_seeds_recall(
        self, computed: Callable[..., xr.Dataset]
    ) -> None:
        result, alone = computed(recall(), 3, 8), computed(recall(), 3)
        seen = result["recall"].sel(fraction=0, stage="seen")
        np.testing.assert_array_equal(seen, result["intact"])
        np.testing.assert_allclose(
            result["recall"].astype(int), alone["recall"].astype(int), atol=2
        )

    def test_figures(self, computed: Callable[..., xr.Dataset], draw: Callable[..., dict]) -> None:
        figures = draw(recall(), computed(recall(), 3, 8))
        assert set(figures) == {"recall-error", "recall-pictures-old", "recall-pictures-new"}

    @pytest.mark.usefixtures("initial")
    def test_of_fewer_images_than_are_pictured(
        self, job: Callable[..., Job], experience: Experience
    ) -> None:
        old, new = (test.subset(torch.arange(2)) for test in experience.tests)
        few = replace(experience, old_test=old, new_test=new)
        assert recall().compute(job(data=few)).sizes["recalled"] == 2


def test_what_a_quick_run_trains_is_not_where_others_start(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path))
    state = {k: torch.full_like(v, 0.01) for k, v in VAE(1, 3, "leaky").network_state(0).items()}
    record = weights.find_weights(Recall()).record
    monkeypatch.setattr(weights, "pretrain", lambda *given: (state, record))
    night = {"total_eps": 1, "num_cycles": 1, "num": 5, "eval_images": 20, "fractions": (0.5,)}
    recall = Recall(latent_dim=3, dataset="mnist-5k", **night)
    recall.run(0, quick=True)
    assert not list(tmp_path.rglob("*.safetensors"))
    recall.run(0)
    assert list(tmp_path.rglob("*.safetensors"))
