"""The sleep schedule: equal to the plain transcription, batched, resumable, repeatable."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.experiments import (
    ScheduleJob,
    Setup,
    SweepJob,
    condition_metrics,
    train_with_schedule_multiple_seeds,
    train_with_scheduler_multiple_seeds,
)
from sleep_replay.reference import PlainVAE, plain_sleep
from sleep_replay.schedule import Schedule
from sleep_replay.sleep import Condition
from sleep_replay.train import Training

NIGHT = Schedule(8, 2, 0.25, 0.5)


def job(setup: Setup, conditions: list[Condition] | None = None, seeds=(0, 1), **more):
    arguments = {"num": 4, "training": Training()} | more
    return ScheduleJob(setup, conditions or [Condition(NIGHT)], seeds, **arguments)


@pytest.mark.parametrize("own", [True, False])
def test_sleep_equals_the_plain_transcription(setup: Setup, own: bool) -> None:
    result = job(setup, [Condition(NIGHT, own)], seeds=(3, 5)).run(Journal())
    new_images = setup.experience.new_train.all_images()
    for index, seed in enumerate((3, 5)):
        plain = PlainVAE(5)
        plain.load_state_dict(result.initial)
        plain_sleep(plain, NIGHT, seed, new_images, num=4, continue_training=own)
        images = setup.experience.new_test.all_images()
        with torch.no_grad():
            error = (images - plain.decode(plain.encode(images)[0])).abs().sum((1, 2)).mean()
        assert result.errors[-1, 0, index, 1] == pytest.approx(float(error), rel=1e-3)
        assert result.errors[0, 0, index, 1] != pytest.approx(float(error), rel=1e-2)


def test_conditions_and_seeds_in_a_batch_equal_single_runs(setup: Setup) -> None:
    conditions = [
        Condition(Schedule(8, 2, 0.0, 0.0)),
        Condition(Schedule(8, 2, 0.5, 0.5)),
        Condition(Schedule(8, 2, 0.5, 0.5), False),
        Condition(Schedule(8, 2, 1.0, 1.0)),
    ]
    batch = job(setup, conditions, seeds=(0, 4)).run(Journal())
    for c, condition in enumerate(conditions):
        alone = job(setup, [condition], seeds=(4,)).run(Journal())
        np.testing.assert_allclose(batch.errors[:, c, 1], alone.errors[:, 0, 0], rtol=2e-3)
    assert not np.allclose(batch.errors[-1, 0], batch.errors[-1, 1], rtol=1e-2)


def test_rem_alone_never_sees_data_set_2(setup: Setup, experience) -> None:
    """Whatever data set 2 is, a night of REM gives the same networks."""
    rem = [Condition(Schedule(4, 2, 1.0, 1.0))]
    first = job(setup, rem).run(Journal())
    other = replace(setup, experience=replace(experience, new_train=experience.old_train))
    second = job(other, rem).run(Journal())
    assert all(torch.equal(first.networks[k], second.networks[k]) for k in first.networks)


def test_no_rem_does_not_dream(setup: Setup) -> None:
    """Without REM it does not matter where dreams would come from."""
    own, frozen = (
        job(setup, [Condition(Schedule(4, 2, 0.0, 0.0), own)]).run(Journal())
        for own in (True, False)
    )
    assert all(torch.equal(own.networks[k], frozen.networks[k]) for k in own.networks)


def test_same_seeds_same_numbers(setup: Setup) -> None:
    first, second = (job(setup).run(Journal()) for _ in range(2))
    np.testing.assert_array_equal(first.errors, second.errors)
    np.testing.assert_array_equal(first.dreams, second.dreams)


@pytest.mark.parametrize("lives", [1, 3])
def test_an_interrupted_night_ends_with_the_same_numbers(
    setup: Setup, lives: int, memory_journal, killed_error
) -> None:
    night = job(setup, [Condition(Schedule(8, 4, 0.5, 0.5))])
    whole = night.run(Journal())
    journal = memory_journal(lives)
    with pytest.raises(killed_error):
        night.run(journal)
    resumed = night.run(journal)
    np.testing.assert_array_equal(whole.errors, resumed.errors)
    np.testing.assert_array_equal(whole.dreams, resumed.dreams)
    np.testing.assert_array_equal(whole.image_errors, resumed.image_errors)
    assert all(torch.equal(whole.networks[k], resumed.networks[k]) for k in whole.networks)


def test_an_interrupted_sweep_ends_with_the_same_numbers(
    setup: Setup, memory_journal, killed_error
) -> None:
    sweep = SweepJob(
        setup, [0, 1], 4, 4, [2, 1], [(0.5, 0.5), (0.0, 0.0)], [Training(), Training(lr=1e-4)]
    )
    whole = sweep.run(Journal())
    journal = memory_journal(4)
    with pytest.raises(killed_error):
        sweep.run(journal)
    assert sweep.run(journal) == whole
    assert [(c["lr"], c["num_cycles"], c["start_fraction_rem"]) for c in whole] == [
        (lr, cycles, fraction) for lr in (1e-3, 1e-4) for cycles in (2, 1) for fraction in (0.5, 0)
    ]


def test_metrics_are_per_seed_and_time(setup: Setup) -> None:
    night = job(setup, [Condition(NIGHT), Condition(NIGHT, False)], seeds=(0, 1, 2))
    result = night.run(Journal())
    metrics = condition_metrics(result, night.conditions, 4, night.training)
    assert np.shape(metrics[1]["error_new"]) == (3, 3)
    assert metrics[1]["error_old"][2][0] == pytest.approx(result.errors[0, 1, 2, 0])
    assert metrics[0]["cycles"] == [{"nrem": 3, "rem": 1}, {"nrem": 2, "rem": 2}]


@pytest.mark.parametrize("num", [0, 61])
def test_num_is_checked_against_the_data(setup: Setup, num: int) -> None:
    with pytest.raises(InvalidInputError, match=f"--num {num}: from 1 to 60"):
        job(setup, num=num)


def test_both_spellings_are_one_function() -> None:
    assert train_with_scheduler_multiple_seeds is train_with_schedule_multiple_seeds


def test_dreams_shown_come_from_the_same_latents(setup: Setup) -> None:
    """Before sleep, the recorded dreams are what the initial model decodes."""
    result = job(setup, seeds=(6,)).run(Journal())
    plain = PlainVAE(5)
    plain.load_state_dict(result.initial)
    z = torch.randn(1, 16, 5, generator=Streams(6).torch("dreams shown"))[0]
    with torch.no_grad():
        expected = (plain.decode(z) * 255).round()
    assert np.abs(result.dreams[0].astype(float) - expected.numpy()).max() <= 1
