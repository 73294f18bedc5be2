"""Parameters: nights in exact arithmetic, ranges, and what is refused in words."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.testing import invoke
from sleep_replay import (
    Baselines,
    Cycle,
    Interleave,
    Latent,
    Learning,
    Night,
    Pretrain,
    Samples,
    Schedule,
    Sweep,
)
from sleep_replay.cli import app
from sleep_replay.parameters import SETTINGS, Pretraining, Setting

hundredths = st.integers(0, 100)


class TestNight:
    def test_default(self) -> None:
        cycles = Night().cycles()
        assert len(cycles) == 20
        assert cycles[0] == Cycle(4, 1)
        assert cycles[-1] == Cycle(1, 4)
        assert sum(c.nrem + c.rem for c in cycles) == 100
        assert [c.rem for c in cycles] == sorted(c.rem for c in cycles)

    @given(st.integers(1, 300), st.integers(1, 300), hundredths, hundredths)
    def test_fraction_of_rem_in_exact_arithmetic(
        self, total: int, count: int, first: int, last: int
    ) -> None:
        given = {
            "total_eps": total,
            "num_cycles": count,
            "start_fraction_rem": first / 100,
            "end_fraction_rem": last / 100,
        }
        if total < count:
            with pytest.raises(ParameterError, match="at least an epoch a cycle"):
                Night(**given)
            return
        cycles = Night(**given).cycles()
        start, end = Fraction(first, 100), Fraction(last, 100)
        assert len(cycles) == count
        for index, cycle in enumerate(cycles):
            share = start + (end - start) * Fraction(index, max(count - 1, 1))
            assert cycle.nrem + cycle.rem == total // count
            assert cycle.rem == int(share * (total // count))

    def test_one_cycle_takes_the_start_fraction(self) -> None:
        night = Night(total_eps=10, num_cycles=1, start_fraction_rem=0.3, end_fraction_rem=0.9)
        assert night.cycles() == [Cycle(7, 3)]


class TestSettings:
    def test_working_is_the_default(self) -> None:
        default = Schedule()
        assert default == Schedule(setting="working")
        assert (default.architecture, default.latent_dim) == ("leaky", 20)
        assert (default.kl_weight, default.lr, default.continue_training) == (0.1, 3e-4, False)
        learning = Learning()
        assert (learning.kl_weight, learning.lr) == (default.kl_weight, default.lr)

    def test_published_and_released(self) -> None:
        published, released = (Schedule(setting=s) for s in ("published", "released"))
        assert (published.architecture, published.latent_dim) == ("leaky-conv", 5)
        assert (published.reconstruction_loss, published.num) == ("bce", 50)
        assert (released.architecture, released.latent_dim) == ("small", 20)
        assert (released.reconstruction_loss, released.num) == ("mae", 10)
        assert (published.continue_training, released.continue_training) == (False, True)
        for one in (published, released):
            assert (one.lr, one.kl_weight, one.input_dropout) == (1e-3, 1.0, 0.0)

    def test_initial_models_see_no_more_images_than_is_good_for_sleep(self) -> None:
        working, published = Schedule(), Schedule(setting="published")
        for images, epochs in ((60_000, 1), (30_000, 3), (4000, 20), (10, 8000), (200_000, 1)):
            assert working.pretraining_epochs(images) == epochs
        for other in (published, Schedule(setting="released")):
            assert other.pretraining_epochs(60_000) == 8

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_training_a_model_is_the_same_by_itself_and_on_first_use(
        self, setting: Setting
    ) -> None:
        """What `pretrain` stores, nights start from: one default for both."""
        pretrain, first_use = Pretrain(setting=setting), Schedule(setting=setting).pretraining()
        for name in Pretraining.model_fields:
            assert getattr(pretrain, name) == getattr(first_use, name)
        assert pretrain.model_name == Schedule(setting=setting).model_name

    def test_what_is_given_wins(self) -> None:
        given = Schedule(setting="published", latent_dim=20, lr=3e-4)
        assert (given.latent_dim, given.lr, given.kl_weight) == (20, 3e-4, 1.0)
        other = given.replaced(setting="released")
        assert (other.latent_dim, other.lr, other.architecture) == (20, 3e-4, "small")
        assert Schedule(**given.values()) == given

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="setting: got 'faithful', expected one of"):
            Schedule(setting="faithful")  # type: ignore[arg-type]


def test_baseline_sizes() -> None:
    plain, given = Baselines(), Baselines(num_new=30, num_sampled=20)
    assert [plain.sizes(m) for m in plain.modes] == [(1000, 0), (0, 1000), (500, 500)]
    assert [given.sizes(m) for m in given.modes] == [(30, 0), (0, 20), (30, 20)]


def test_fractions_of_a_sweep_are_numbers_or_pairs() -> None:
    sweep = Sweep(fractions=(0.5, (0.2, 0.8)))
    assert sweep.ranges() == [(0.5, 0.5), (0.2, 0.8)]
    assert [n.end_fraction_rem for n in sweep.nights(10)] == [0.5, 0.8]
    assert Sweep(**sweep.values()) == sweep


@pytest.mark.parametrize(
    "refused",
    [
        lambda: Sweep(fractions=(0.5, (0.5, 0.5))),
        lambda: Sweep(fractions=(0.5, 1.5)),
        lambda: Sweep(total_eps=10),
        lambda: Baselines(modes=("new", "odd")),
        lambda: Baselines(modes=("new", "new")),
        lambda: Baselines(num_new=0),
        lambda: Baselines(modes=("old",), num_sampled=0),
        lambda: Baselines(modes=("both",), num_new=0, num_sampled=0),
        lambda: Samples(num_new=0),
        lambda: Interleave(images=9, blocks=(1, 10)),
        lambda: Latent(epochs=-1),
        lambda: Night(num_cycles=5, total_eps=4),
    ],
)
def test_what_only_several_fields_tell_is_refused(refused) -> None:
    with pytest.raises(ParameterError):
        refused()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-cycles", 5, "--total-eps", 4], "--total-eps: got 4, expected at least an epoch"),
        (["--start-fraction-rem", 1.2], "--start-fraction-rem: got 1.2, expected a number from 0"),
        (["--num", 4001], "--num: got 4001, expected at most 4000, the images of data set 2"),
        (["--eval-images", "many"], "--eval-images: got 'many', expected a whole number from 2"),
        (["--eval-images", "1001"], "--eval-images: got 1001, expected at most 1000"),
        (
            ["--architecture", "tiny"],
            "--architecture: got 'tiny', expected one of small, leaky-conv, leaky, large",
        ),
        (["--lr", -1], "--lr: got -1"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--frobnicate"], "frobnicate"),
        (["sweep", "--fractions", "0.5,2"], "--fractions: got"),
        (["sweep", "--lrs", "0"], "--lrs: got 0"),
        (["samples", "--sampled", "1.5"], "--sampled: got '1.5', expected whole numbers"),
        (["samples", "--num-new", 4001], "--num-new: got 4001"),
        (["interleave", "--images", 4001], "--images: got 4001, expected at most 4000"),
        (["interleave", "--blocks", 4001], "--blocks: got 4001, expected numbers of at most 4000"),
        (["recall", "--fractions", "0,0"], "--fractions: got 0 twice"),
        (["recall", "--corruption", "rain"], "--corruption: got 'rain'"),
        (["latent", "--epochs=-1"], "--epochs: got -1, expected a whole number from 1"),
        (["latent", "--labelled", 5], "--labelled: got 5, expected from 10, the digits, to 499"),
    ],
)
def test_a_bad_option_is_named(
    arguments: list, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, _, err = invoke(app, capsys, *arguments, "--dataset", "mnist-5k", "--out", out)
    assert code == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert not out.exists()
