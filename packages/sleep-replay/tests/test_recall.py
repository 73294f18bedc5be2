"""Recall from partial input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.cli import app
from sleep_replay.experiments import ScheduleJob, Setup
from sleep_replay.model import VAE
from sleep_replay.recall import RecallJob, draw_damage, lost_pixels, parse_fractions
from sleep_replay.schedule import Schedule
from sleep_replay.sleep import Condition
from sleep_replay.train import Training
from sleep_replay.weights import InitialModel, weights_cache

MARK = 2.0  # no grey level has this value, so what is left of it is what is not lost


def damage(corruption, seed=0, count=5, size=28):
    return draw_damage(count, size, corruption, Streams(seed).torch("test"))


def recall_job(setup: Setup, seeds=(3, 8), fractions=(0.0, 0.5, 1.0), lr=1e-3, corruption="zero"):
    schedule = Schedule(4, 2, 0.5, 0.5)
    training = Training(lr=lr)
    night = ScheduleJob(setup, [Condition(schedule)], list(seeds), 3, training)
    return RecallJob(night, list(fractions), corruption)


def as_dict(result):
    names = ("errors", "carried", "input_errors", "images", "pictures")
    return {name: getattr(result, name) for name in names}


class TestFractions:
    def test_are_parsed_and_sorted(self):
        assert parse_fractions("0.5, 0,1") == [0.0, 0.5, 1.0]

    @pytest.mark.parametrize(
        "text", ["", "0,", "a", "-0.1", "1.01", "nan", "inf", "0.5,0.50", "0:1", "1e3"]
    )
    def test_that_cannot_be_used_are_refused_by_name(self, text):
        with pytest.raises(InvalidInputError, match="--fractions"):
            parse_fractions(text)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=5, unique=True))
    def test_survive_the_way_through_text(self, fractions):
        assert parse_fractions(",".join(map(repr, fractions))) == sorted(fractions)


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


@pytest.fixture
def blank_setup(setup: Setup) -> Setup:
    """A setup whose initial model decodes whatever it sees to a black image."""
    vae = VAE(1, 5).initialise([Streams(0).torch("initialisation")])
    with torch.no_grad():
        vae.decoder.deconv3.weight.zero_()
        vae.decoder.deconv3.bias.fill_(-100)
    setup.model.store(vae.network_state(0), {}, weights_cache())
    return setup


class TestRecall:
    def test_of_a_model_that_always_recalls_black(self, blank_setup):
        result = recall_job(blank_setup, lr=1e-12).run(Journal())
        for d, test in enumerate(
            (blank_setup.experience.old_test, blank_setup.experience.new_test)
        ):
            ink = test.all_images().sum((1, 2)).mean().item()
            np.testing.assert_allclose(result.errors[..., d], ink, rtol=1e-5)
            np.testing.assert_allclose(result.input_errors[-1, :, d], ink, rtol=1e-5)
        np.testing.assert_allclose(result.carried, 0, atol=1e-9)
        assert (result.input_errors[0] == 0).all()
        assert (np.diff(result.input_errors, axis=0) > 0).all()

    def test_of_intact_images_is_what_the_sleep_itself_measures(self, setup):
        result = recall_job(setup).run(Journal())
        for moment, time in ((0, 0), (1, -1)):
            np.testing.assert_allclose(
                result.errors[moment, 0], result.slept.errors[time], rtol=1e-5
            )
            np.testing.assert_allclose(
                result.carried[moment, 0], result.slept.carried[time], rtol=1e-4
            )
        assert not np.allclose(result.errors[0], result.errors[1])

    def test_of_a_blank_is_the_same_for_all_images_and_seeds(self, setup):
        result = recall_job(setup).run(Journal())
        before, after = result.pictures[:, -1, 1], result.pictures[:, -1, 2]
        assert (result.pictures[:, -1, 0] == 0).all()
        assert (before == before[0, 0]).all()
        assert (after == after[0, 0]).all()
        np.testing.assert_allclose(result.errors[0, -1, 0], result.errors[0, -1, 1], rtol=1e-6)

    def test_of_a_seed_does_not_depend_on_the_others(self, setup):
        both = recall_job(setup, seeds=(3, 8), corruption="noise").run(Journal())
        alone = recall_job(setup, seeds=(8,), corruption="noise").run(Journal())
        np.testing.assert_array_equal(both.errors[0, :, 1:], alone.errors[0])
        np.testing.assert_array_equal(both.input_errors[:, 1:], alone.input_errors)
        np.testing.assert_allclose(both.errors[1, :, 1:], alone.errors[1], rtol=1e-3)
        assert (both.input_errors[1:, 0] != both.input_errors[1:, 1]).all()

    def test_pictures_show_what_is_seen_and_the_first_seeds_recall(self, setup):
        result = recall_job(setup, seeds=(3, 8)).run(Journal())
        alone = recall_job(setup, seeds=(3,)).run(Journal())
        np.testing.assert_array_equal(result.pictures[:, 0, 0], result.images)
        np.testing.assert_allclose(result.pictures.astype(int), alone.pictures.astype(int), atol=2)

    @pytest.mark.parametrize("lives", [1, 4])
    def test_killed_and_resumed_ends_with_the_same_numbers(
        self, setup, memory_journal, killed_error, lives
    ):
        # 2 checkpoints while sleeping, one for each of 2 seeds x 3 fractions afterwards
        whole = memory_journal()
        expected = recall_job(setup).run(whole)
        assert whole.saved == 8
        journal = memory_journal(lives)
        with pytest.raises(killed_error):
            recall_job(setup).run(journal)
        resumed = recall_job(setup).run(journal)
        for name, values in as_dict(expected).items():
            np.testing.assert_array_equal(as_dict(resumed)[name], values, name)

    def test_killed_right_after_sleep_does_not_take_its_checkpoint_for_its_own(
        self, setup, memory_journal, killed_error
    ):
        expected = recall_job(setup).run(Journal())
        journal = memory_journal(killed_at_drop=True)
        with pytest.raises(killed_error):
            recall_job(setup).run(journal)
        assert journal.checkpoint is not None
        resumed = recall_job(setup).run(journal)
        np.testing.assert_array_equal(resumed.errors, expected.errors)

    def test_of_fewer_images_than_are_pictured(self, setup):
        few = torch.arange(2)
        experience = replace(
            setup.experience,
            old_test=setup.experience.old_test.subset(few),
            new_test=setup.experience.new_test.subset(few),
        )
        result = recall_job(replace(setup, experience=experience)).run(Journal())
        assert result.pictures.shape == (2, 3, 3, 2, 28, 28)


class TestCommand:
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (["--fractions", "0,2"], "--fractions 0,2"),
            (["--num-cycles", "0"], "--num-cycles 0"),
            (["--corruption", "rain"], "--corruption"),
            (["--num", "0", "--dataset", "mnist-5k"], "--num 0"),
        ],
    )
    def test_refuses_bad_input_by_name(self, options, named, tmp_path):
        result = CliRunner().invoke(app, ["recall", *options, "--out", str(tmp_path / "run")])
        assert result.exit_code == 2
        assert named in result.output
        assert not (tmp_path / "run").exists()

    def test_runs_and_draws_from_what_it_stored(self, tmp_path: Path):
        model = InitialModel("mnist", "small", 3)
        vae = VAE(1, 3).initialise([Streams(0).torch("initialisation")])
        model.store(vae.network_state(0), {}, weights_cache())
        out = tmp_path / "run"
        options = "--latent-dim 3 --dataset mnist-5k --eval-images 20 --total-eps 2 --num-cycles 2"
        arguments = ["recall", *options.split(), "--fractions", "0,0.5", "--out", str(out)]
        result = CliRunner().invoke(app, [*arguments, "--seeds", "0:2", "--device", "cpu"])
        assert result.exit_code == 0, result.output
        metrics = json.loads((out / "metrics.json").read_text())
        with np.load(out / "arrays.npz") as arrays:
            assert arrays["errors"].shape == (2, 2, 2, 2)
            mean = arrays["errors"][1, :, :, 0].mean(1)
        assert metrics["pixels_lost"] == [0, 392]
        np.testing.assert_allclose(metrics["error"]["after"]["old"]["mean"], mean, rtol=1e-5)
        figures = {path.name: path.read_bytes() for path in (out / "figures").iterdir()}
        assert len(figures) == 3
        for name in figures:
            (out / "figures" / name).unlink()
        assert CliRunner().invoke(app, ["plot", str(out)]).exit_code == 0
        assert {p.name: p.read_bytes() for p in (out / "figures").iterdir()} == figures
