"""The sleep schedule: equal to the plain transcription, batched, resumable, repeatable."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sharpwave_shared.errors import DataWarning, ParameterError
from sharpwave_shared.experiment import Job
from sharpwave_shared.files import read_tensors
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay import (
    Learning,
    Night,
    Recall,
    Schedule,
    Slept,
    Sweep,
    train_with_schedule_multiple_seeds,
    train_with_scheduler_multiple_seeds,
)
from sleep_replay.data import Experience
from sleep_replay.evaluate import constant_error
from sleep_replay.model import VAE
from sleep_replay.reference import PlainVAE, plain_sleep
from sleep_replay.sleep import _best, _presented, dream_shares, sleep
from sleep_replay.train import Trainer


def night(total_eps: int = 8, num_cycles: int = 2, start=0.25, end=0.5, **more: Any) -> Night:
    given = {"total_eps": total_eps, "num_cycles": num_cycles, "num": 4} | more
    return Night(start_fraction_rem=start, end_fraction_rem=end, **given)


@pytest.fixture
def slept(initial: VAE, experience: Experience) -> Callable[..., Slept]:
    """Sleep on the blobs, for seeds 0 and 1 if nothing else is said."""

    def run(
        *nights: Night,
        seeds: tuple[int, ...] = (0, 1),
        data: Experience = experience,
        **learning: Any,
    ) -> Slept:
        return sleep(Journal(), initial, data, nights, Learning(**learning), seeds)

    return run


def plain_network(initial: VAE) -> PlainVAE:
    plain = PlainVAE(5)
    plain.load_state_dict(initial.network_state(0))
    return plain


def test_more_dreams_than_images_are_taken_in_turn() -> None:
    """Two images and five dreams; NREM is the cycle's first four places, or none of them."""
    recent = torch.tensor([10.0, 11]).view(1, 2, 1, 1).expand(2, -1, 28, 28)
    dreams = torch.arange(5.0).view(1, 5, 1, 1).expand(2, -1, 28, 28)
    nrem = torch.tensor([4, 0])
    for places, expected in (
        ([0, 1], [[10, 11], [0, 1]]),
        ([3, 8], [[11, 4], [3, 3]]),
        ([9, 5], [[0, 1], [4, 0]]),
    ):
        seen = _presented(torch.tensor([places, places]), recent, dreams, nrem)
        assert seen[:, :, 0, 0].tolist() == expected


def test_of_dreams_drawn_the_best_reconstructed_are_kept(initial: VAE) -> None:
    dreams = torch.rand(1, 6, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        errors = (initial.reconstruct(dreams) - dreams).abs().sum((2, 3))[0]
        kept = _best(initial, dreams, 2)
    assert torch.equal(kept[0], dreams[0, errors.argsort()[:2]])


def test_dreams_look_like_the_data_set_of_the_nearest_image() -> None:
    old, new = torch.zeros(3, 28, 28), torch.ones(2, 28, 28)
    old[2] = 0.9  # beyond the number of new images, and left out
    dreams = torch.tensor([0.1, 0.4, 0.45, 0.8]).view(4, 1, 1).expand(-1, 28, 28)
    assert dream_shares(dreams, [old, new]).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("own", "kl_warmup", "mixed"), [(False, 0, False), (True, 20, False), (True, 0, True)]
)
def test_sleep_equals_the_plain_transcription(
    slept, initial: VAE, experience: Experience, own: bool, kl_warmup: int, mixed: bool
) -> None:
    dreaming = night(continue_training=own, mixed=mixed)
    learning = {"kl_weight": 1.0, "kl_warmup": kl_warmup}
    error = slept(dreaming, seeds=(3, 5), **learning).data["error"]
    error = error.sel(data_set="new").isel(night=0)
    for seed in (3, 5):
        plain = plain_network(initial)
        images = experience.new_train.all_images()
        plain_sleep(plain, dreaming, seed, images, **learning)  # type: ignore[arg-type]
        images = experience.new_test.all_images()
        with torch.no_grad():
            expected = (images - plain.decode(plain.encode(images)[0])).abs().sum((1, 2)).mean()
        before, *_, after = error.sel(seed=seed).values
        assert after == pytest.approx(float(expected), rel=1e-3)
        assert before != pytest.approx(float(expected), rel=1e-2)


def test_the_kl_divergence_may_come_in_step_by_step(initial: VAE) -> None:
    trainer = Trainer(initial, Learning(kl_weight=0.6, kl_warmup=3))
    weights = []
    for _ in range(5):
        weights.append(trainer.kl_weight)
        images = torch.rand(1, 1, 28, 28)
        trainer.epoch(lambda index, images=images: images, 1, [torch.Generator()])
    assert weights == pytest.approx([0.2, 0.4, 0.6, 0.6, 0.6])


def test_nights_and_seeds_in_a_batch_equal_single_runs(slept) -> None:
    nights = [
        night(4, start=0.0, end=0.0),
        night(4, start=0.5, end=0.5),
        night(4, start=0.5, end=0.5, continue_training=False),
        night(4, start=1.0, end=1.0),
    ]
    batch = slept(*nights, seeds=(0, 4)).data["error"]
    for index, single in enumerate(nights):
        alone = slept(single, seeds=(4,)).data["error"]
        xr.testing.assert_allclose(batch.isel(night=[index]).sel(seed=[4]), alone, 2e-3)
    assert not np.allclose(batch.isel(night=0), batch.isel(night=1), rtol=1e-2)


def test_rem_alone_never_sees_data_set_2(slept, experience: Experience) -> None:
    """Whatever data set 2 is, a night of REM gives the same networks."""
    rem = night(4, start=1.0, end=1.0)
    first = slept(rem).networks
    second = slept(rem, data=replace(experience, new_train=experience.old_train)).networks
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_no_rem_does_not_dream(slept) -> None:
    """Without REM it does not matter where dreams would come from."""
    own, frozen = (
        slept(night(4, start=0.0, end=0.0, continue_training=own)).networks for own in (True, False)
    )
    assert all(torch.equal(own[k], frozen[k]) for k in own)


def test_dreams_shown_come_from_the_same_latents(slept, initial: VAE) -> None:
    """Before sleep, the recorded dreams are what the initial model decodes."""
    dreams = slept(night(4), seeds=(6,)).data["dream"]
    z = torch.randn(1, 16, 5, generator=Streams(6).torch("dreams shown"))[0]
    with torch.no_grad():
        expected = (plain_network(initial).decode(z) * 255).round()
    assert np.abs(dreams[0, 0].astype(float) - expected.numpy()).max() <= 1


def test_test_sets_of_unequal_sizes_are_evaluated_whole(slept, experience: Experience) -> None:
    few = replace(experience, old_test=experience.old_test.subset(torch.arange(15)))
    data = slept(night(2), data=few).data
    assert data["image_error"].sel(data_set="old").notnull().sum("image").values.tolist() == 2 * [
        [[15, 15]]
    ]
    means = data["image_error"].mean("image")  # of what is known
    for moment, cycle in (("before", 0), ("after", -1)):
        expected = data["error"].isel(cycle=cycle, drop=True)
        np.testing.assert_allclose(means.sel(moment=moment), expected, rtol=1e-5)


def test_the_best_constant_image_is_the_median(experience: Experience) -> None:
    images = experience.old_test.all_images()
    best = constant_error(images)
    median = np.median(images.numpy(), axis=0)
    assert best == pytest.approx(np.abs(images.numpy() - median).sum((1, 2)).mean(), rel=1e-6)
    for other in (images.mean(0), torch.zeros(28, 28), images[0]):
        assert (images - other).abs().sum((1, 2)).mean() >= best


class TestSchedule:
    schedule = Schedule(total_eps=6, num_cycles=3, num=3, latent_dim=5)

    @pytest.mark.usefixtures("initial")
    def test_is_repeatable_and_tells_which_weights_it_started_from(
        self,
        job: Callable[..., Job],
        computed: Callable[..., xr.Dataset],
        initial: VAE,
        tmp_path: Path,
    ) -> None:
        first = self.schedule.compute(job(directory=tmp_path))
        xr.testing.assert_equal(first, computed(self.schedule, 0, 1))
        assert first.attrs["initial_weights"].startswith("cache")
        stored, _ = read_tensors(tmp_path / "initial.safetensors")
        assert all(torch.equal(stored[k], v) for k, v in initial.network_state(0).items())
        networks, _ = read_tensors(tmp_path / "networks.safetensors")
        assert networks["mean.bias"].shape == (3 * 2, 5)
        final = first["final_error"].sel(seed=1, data_set="new")
        assert (final == first["error"].sel(seed=1, data_set="new", cycle=3)).all()
        assert first["epoch"].values.tolist() == [0, 2, 4, 6]

    def test_controls_are_nights_of_their_own(
        self, computed: Callable[..., xr.Dataset], slept: Callable[..., Slept]
    ) -> None:
        data = computed(self.schedule, 0, 1)
        assert data["night"].values.tolist() == ["sleep", "no REM", "REM alone"]
        given = {"total_eps": 6, "num_cycles": 3, "num": 3}
        for name, share in (("no REM", 0.0), ("REM alone", 1.0)):
            alone = slept(night(start=share, end=share, **given)).data["error"].isel(night=0)
            np.testing.assert_allclose(data["error"].sel(night=name), alone, rtol=2e-3)

    def test_figures(self, computed: Callable[..., xr.Dataset], draw: Callable[..., dict]) -> None:
        """The best constant image is marked, and pictures say whose they are."""
        data = computed(self.schedule, 0, 1)
        figures = draw(self.schedule, data)
        dreams = {"dreams", "dreams-by-cycle"}
        assert set(figures) == {"night", *dreams, "reconstructions", "histograms"}
        (sheet,) = figures["dreams-by-cycle"].axes
        labels = [label.get_text() for label in sheet.get_yticklabels()]
        assert labels == ["before", "cycle 1", "cycle 2", "cycle 3"]
        axes = figures["night"].axes[0]
        dotted = [line.get_ydata() for line in axes.lines if line.get_linestyle() == ":"]
        heights = [values[0] for values in dotted if len(values)]
        np.testing.assert_allclose(heights, data["constant_error"])
        labels = [text.get_text() for text in axes.figure.legends[0].texts]
        assert "best constant image" in labels
        for name in ("dreams", "reconstructions"):
            assert "seed 0." in figures[name].get_supxlabel()

    def test_a_control_that_is_the_night_itself_is_not_run_twice(self) -> None:
        nights = Schedule(start_fraction_rem=0.0, end_fraction_rem=0.0).nights()
        assert list(nights) == ["sleep", "REM alone"]
        assert list(Schedule(controls=False).nights()) == ["sleep"]

    @pytest.mark.parametrize(
        ("experiment", "advised"),
        [
            (Schedule(), False),
            (Schedule(continue_training=True), True),
            (Schedule(setting="released"), True),
            (Recall(setting="published"), True),
        ],
    )
    @pytest.mark.parametrize(("carried", "told"), [(0.0, True), (0.05, True), (0.2, False)])
    def test_collapse_is_told_at_the_end(
        self, experiment: Schedule | Recall, advised: bool, carried: float, told: bool
    ) -> None:
        """A network that has forgotten one data set has not collapsed."""
        shares = xr.DataArray(
            [[[0.9, 0.0], [0.0, carried]]],
            {"night": ["sleep"], "seed": [0, 1], "data_set": ["old", "new"]},
            ("night", "seed", "data_set"),
        )
        run = SimpleNamespace(data=xr.Dataset({"final_carried": shares}))
        with warnings.catch_warnings(record=True) as caught:
            experiment.finish(run)  # type: ignore[arg-type]
        found = [("sleep 1." in str(w.message), "working" in str(w.message)) for w in caught]
        assert found == ([(True, advised)] if told else [])

    @pytest.mark.parametrize("dims", [("seed", "data_set"), ("lr", "fraction", "seed", "data_set")])
    def test_collapse_is_told_wherever_networks_sleep(self, dims: tuple[str, ...]) -> None:
        shares = xr.DataArray(np.zeros([2] * len(dims)), {d: [0, 1] for d in dims}, dims)
        run = SimpleNamespace(data=xr.Dataset({"final_carried": shares}))
        with pytest.warns(DataWarning, match="networks that have collapsed") as caught:
            Sweep().finish(run)  # type: ignore[arg-type]
        places = ": 2." if len(dims) == 2 else ": 0,0 2, 0,1 2, 1,0 2, 1,1 2."
        assert places in str(caught[0].message)

    def test_num_is_checked_against_the_data(self, experience: Experience) -> None:
        with pytest.raises(ParameterError, match="num: got 61, expected at most 60"):
            Schedule(num=61).check_data(experience)
        Schedule(num=60).check_data(experience)


class TestSweep:
    sweep = Sweep(
        total_eps=4,
        cycles=(2, 1),
        fractions=(0.5, (0.0, 1.0)),
        lrs=(1e-3, 1e-4),
        num=4,
        latent_dim=5,
    )

    def test_its_cells_are_nights(self, computed: Callable[..., xr.Dataset]) -> None:
        whole = computed(self.sweep, 1)
        assert whole["lr"].values.tolist() == [1e-3, 1e-4]
        assert whole["cycles"].values.tolist() == [2, 1]
        assert whole["fraction"].values.tolist() == ["0.5", "0:1"]
        cell = whole.sel(lr=1e-4, cycles=1, fraction="0:1")
        night = {"total_eps": 4, "num_cycles": 1, "num": 4, "latent_dim": 5, "lr": 1e-4}
        single = Schedule(start_fraction_rem=0.0, end_fraction_rem=1.0, controls=False, **night)
        single = computed(single, 1).sel(night="sleep")
        for name in ("error", "carried"):
            known = cell[name].sel(cycle=slice(1)).transpose(*single[name].dims)
            np.testing.assert_allclose(known, single[name], rtol=2e-3, atol=1e-4)
            assert cell[name].sel(cycle=2).isnull().all()
        np.testing.assert_allclose(cell["final_error"], single["final_error"], rtol=2e-3)
        np.testing.assert_array_equal(cell["constant_error"], single["constant_error"])

    def test_figures(self, computed: Callable[..., xr.Dataset], draw: Callable[..., dict]) -> None:
        assert set(draw(self.sweep, computed(self.sweep, 1))) == {"heatmap", "courses"}


class TestFunction:
    def test_both_spellings_are_one(self) -> None:
        assert train_with_scheduler_multiple_seeds is train_with_schedule_multiple_seeds

    @pytest.mark.usefixtures("_on_blobs")
    def test_takes_the_releases_arguments_in_their_order(self) -> None:
        night = {"total_eps": 2, "num_cycles": 2, "start_fraction_rem": 0.5, "num": 2}
        night["controls"] = False
        expected = Schedule(latent_dim=5, lr=1e-4, **night).run(0, seed=3)
        found = train_with_schedule_multiple_seeds(
            *([0], 2, 2, 0.5, 0.8, True, 5, 3, True, 1e-4, 2), controls=False
        )
        assert found.identical(expected)
        named = train_with_schedule_multiple_seeds([0], **night, latent_dim=5, lr=1e-4, seed=3)
        assert named.identical(expected)
