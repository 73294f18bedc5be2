"""Training against a plain loop with torch's Adam; checkpoints, extensions and divergence."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rnn_reactivation.configuration import (
    Configuration,
    HeadDirectionTask,
    NavigationTask,
    Rnn,
    Trainer,
)
from rnn_reactivation.recurrence import Parameters, initialise
from rnn_reactivation.reference import PlainNetwork
from rnn_reactivation.train import Batch, Learner, train
from sharpwave_shared.errors import DivergenceError, InvalidInputError
from sharpwave_shared.testing import KilledError, MemoryJournal

NAVIGATION = Configuration(
    "place",
    NavigationTask(length=5, place_cells_num=9),
    Rnn(hidden_size=6, sigma2_rec=0.01, sigma2_in=0.01),
    Trainer(batch_size=4, learning_rate=0.01, test_every=4, save_every=3),
)
BEARING = Configuration(
    "bearing",
    HeadDirectionTask(length=5, head_direction_cells_num=9),
    Rnn(hidden_size=6, tau=0.04, sigma2_rec=0.01),
    NAVIGATION.trainer,
)
GATED = replace(BEARING, name="gated", rnn=Rnn(type="gru", activation="tanh", hidden_size=6))
ALL = pytest.mark.parametrize("configuration", [NAVIGATION, BEARING, GATED], ids=lambda c: c.name)


def learned(configuration: Configuration, epochs: int, *seeds: int) -> list[Learner]:
    learners = [Learner.new(configuration, seed) for seed in seeds]
    train(learners, epochs)
    return learners


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in tensors.items()}


def assert_same(
    one: Learner, other: Learner, tolerance: float = 0.0, *, tests: bool = True
) -> None:
    """Weights, Adam's means and losses, relative to the largest number; 0: to the last bit."""
    found, wanted = one.tensors(), other.tensors()
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        if name != "tests" or tests:
            assert found[name].shape == values.shape, name
            most = float((found[name] - values).abs().max())
            assert most <= tolerance * float(values.abs().max()), name


# --- against plain loops --------------------------------------------------------------------------


@ALL
@pytest.mark.usefixtures("float64")
def test_training_is_a_plain_loop_with_adam(configuration: Configuration):
    epochs, seeds = 7, [2, 9]
    learners = learned(configuration, epochs, *seeds)
    for learner, seed in zip(learners, seeds, strict=True):
        weights = {n: values[0] for n, values in initialise(configuration, [seed]).items()}
        network = PlainNetwork(configuration)
        network.load_weights(weights)
        adam = torch.optim.Adam(network.parameters(), lr=0.01)
        losses, batch = [], Batch(configuration, [seed])
        for epoch in range(1, epochs + 1):
            batch.draw(epoch)
            noise = batch.network.states[0, 1:].clone()
            outputs = network(batch.start[0], batch.inputs[0], noise)
            targets = batch.cells.of(0).encode(batch.true[0].flatten(0, 1))
            loss = (outputs.flatten(0, 1) - targets).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        assert learner.losses == pytest.approx(losses, rel=1e-8)
        found = PlainNetwork(configuration)
        found.load_weights(learner.parameters)
        wanted = network.state_dict()
        for name, values in found.state_dict().items():
            torch.testing.assert_close(values, wanted[name], rtol=0, atol=1e-8)
        moved = [(learner.parameters[n] - weights[n]).abs().max() for n in weights]
        assert min(moved) > 0.01  # every matrix learns
        # Tests after every fourth epoch and the last, with the weights of then.
        assert [epoch for epoch, _ in learner.tests] == [4, 7]
        last = {name: values[None] for name, values in learner.parameters.items()}
        assert learner.tests[-1][1] == pytest.approx(batch.test(last)[0], rel=1e-9)
        assert learner.tests[0][1].loss != learner.tests[1][1].loss


@ALL
@pytest.mark.usefixtures("float64")
def test_networks_that_learn_together_are_as_each_alone(configuration: Configuration):
    together = learned(configuration, 6, 4, 0, 7)
    for learner, seed in zip(together, (4, 0, 7), strict=True):
        (alone,) = learned(configuration, 6, seed)
        assert_same(learner, alone, 1e-8)


@ALL
def test_the_same_seed_learns_the_same(configuration: Configuration):
    (one,), (again,), (other,) = (learned(configuration, 3, seed) for seed in (1, 1, 2))
    assert_same(one, again)
    assert one.losses != other.losses
    assert one.parameters["encoder"].dtype == torch.float32


# --- going on -------------------------------------------------------------------------------------


class Keeper:
    """Keeps what a checkpoint gets, and is killed after one of them."""

    def __init__(self, learners: list[Learner], lives: int = -1):
        self.learners, self.lives = learners, lives
        self.kept: list[list[dict[str, Tensor]]] = []

    def __call__(self) -> None:
        self.kept.append([copied(learner.tensors()) for learner in self.learners])
        if len(self.kept) == self.lives:
            raise KilledError


@pytest.mark.parametrize("configuration", [NAVIGATION, GATED], ids=lambda c: c.name)
def test_a_killed_run_goes_on_from_any_checkpoint(configuration: Configuration):
    epochs, seeds = 6, (3, 5)
    whole = learned(configuration, epochs, *seeds)
    for lives in range(1, epochs + 1):
        learners = [Learner.new(configuration, seed) for seed in seeds]
        keeper = Keeper(learners, lives)
        with pytest.raises(KilledError):
            train(learners, epochs, journal=MemoryJournal(), checkpoint=keeper)
        assert len(keeper.kept) == lives
        revived = [
            Learner.restore(configuration, seed, kept)
            for seed, kept in zip(seeds, keeper.kept[-1], strict=True)
        ]
        assert [learner.epoch for learner in revived] == [lives, lives]
        train(revived, epochs)
        for one, other in zip(revived, whole, strict=True):
            assert_same(one, other)
            assert one.tests == other.tests


@pytest.mark.usefixtures("float64")
def test_checkpoints_and_saves_come_with_the_networks_up_to_date():
    learners = [Learner.new(NAVIGATION, seed) for seed in (0, 1)]
    saved: list[tuple[int, int, Parameters]] = []

    def save(learner: Learner) -> None:
        saved.append((learner.seed, learner.epoch, copied(learner.parameters)))

    keeper = Keeper(learners)
    train(learners, 7, journal=MemoryJournal(), save=save, checkpoint=keeper)
    # Every third epoch and the last; checkpoints whenever the journal wants one.
    assert [(seed, epoch) for seed, epoch, _ in saved] == [
        (seed, epoch) for epoch in (3, 6, 7) for seed in (0, 1)
    ]
    assert [len(kept[0]["losses"]) for kept in keeper.kept] == [1, 2, 3, 4, 5, 6, 7]
    for seed, epoch, parameters in saved:
        (until,) = learned(NAVIGATION, epoch, seed)
        for name, values in until.parameters.items():
            torch.testing.assert_close(parameters[name], values, rtol=0, atol=1e-9)
    # A journal that wants none has one at the end.
    quiet = Keeper([Learner.new(NAVIGATION, 0)])
    train(quiet.learners, 5, checkpoint=quiet)
    assert [len(kept[0]["losses"]) for kept in quiet.kept] == [5]


@pytest.mark.parametrize("configuration", [BEARING, GATED], ids=lambda c: c.name)
def test_training_can_be_extended(configuration: Configuration):
    (whole,) = learned(configuration, 12, 3)
    (part,) = learned(configuration, 6, 3)
    part = Learner.restore(configuration, 3, copied(part.tensors()))
    train([part], 12)
    assert part.epoch == 12
    assert_same(part, whole, tests=False)
    # The end of the first part is tested in addition.
    assert [epoch for epoch, _ in whole.tests] == [4, 8, 12]
    assert [epoch for epoch, _ in part.tests] == [4, 6, 8, 12]
    assert [test for epoch, test in part.tests if epoch != 6] == [test for _, test in whole.tests]
    # There is nothing to do for fewer epochs.
    before = copied(part.tensors())
    train([part], 12)
    train([part], 5)
    assert all(torch.equal(before[name], values) for name, values in part.tensors().items())


def test_checkpoints_hold_everything():
    (learner,) = learned(NAVIGATION, 4, 6)
    tensors = learner.tensors()
    assert tensors["losses"].tolist() == learner.losses
    restored = Learner.restore(NAVIGATION, 6, tensors)
    assert restored.losses == learner.losses
    assert restored.tests == learner.tests
    assert restored.epoch == 4
    new = Learner.new(NAVIGATION, 6)
    assert new.tensors()["tests"].shape == (0, 3)
    assert Learner.restore(NAVIGATION, 6, new.tensors()).tests == []


@pytest.mark.parametrize("prefix", ["", "mean.", "square."])
def test_checkpoints_that_do_not_fit_are_refused(prefix: str):
    tensors = Learner.new(NAVIGATION, 0).tensors()
    wider = replace(NAVIGATION, rnn=replace(NAVIGATION.rnn, hidden_size=7))
    with pytest.raises(InvalidInputError, match=r"place: encoder is \(6, 9\), not \(7, 9\)"):
        Learner.restore(wider, 0, tensors)
    without = {n: v for n, v in tensors.items() if n != f"{prefix}input"}
    with pytest.raises(InvalidInputError, match=f"place: {prefix}input is missing"):
        Learner.restore(NAVIGATION, 0, without)
    transposed = tensors | {f"{prefix}readout": tensors[f"{prefix}readout"].mT}
    with pytest.raises(InvalidInputError, match=rf"{prefix}readout is \(6, 9\), not \(9, 6\)"):
        Learner.restore(NAVIGATION, 0, transposed)
    halved = tensors | {f"{prefix}readout": tensors[f"{prefix}readout"].half()}
    with pytest.raises(InvalidInputError, match=f"{prefix}readout holds torch.float16"):
        Learner.restore(NAVIGATION, 0, halved)
    with pytest.raises(InvalidInputError):
        Learner.restore(GATED, 0, Learner.new(BEARING, 0).tensors())


@pytest.mark.parametrize("name", ["losses", "tests"])
def test_checkpoints_without_a_history_are_refused(name: str):
    tensors = Learner.new(NAVIGATION, 0).tensors()
    del tensors[name]
    with pytest.raises(InvalidInputError, match=name):
        Learner.restore(NAVIGATION, 0, tensors)


# --- what can go wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1e12, 1e30])
def test_divergence_is_told(rate: float):
    wild = replace(NAVIGATION, trainer=replace(NAVIGATION.trainer, learning_rate=rate))
    learners = [Learner.new(wild, 5)]
    keeper = Keeper(learners)
    with pytest.raises(DivergenceError, match=r"^place, seed 5: the loss is (inf|nan)") as caught:
        train(learners, 40, checkpoint=keeper)
    assert not keeper.kept  # what has diverged is not kept
    # The epoch is that of the first such loss.
    finite = [math.isfinite(loss) for loss in learners[0].losses].index(False)
    assert finite > 0
    assert str(caught.value).endswith(f"in epoch {finite + 1}")


@pytest.mark.parametrize(
    "other",
    [
        lambda: Learner.new(replace(NAVIGATION, name="b"), 1),
        lambda: learned(NAVIGATION, 1, 1)[0],
    ],
)
def test_networks_that_cannot_learn_together(other: Callable[[], Any]):
    with pytest.raises(ValueError, match="one configuration and epoch"):
        train([Learner.new(NAVIGATION, 0), other()], 3)


# --- learning -------------------------------------------------------------------------------------


def test_a_small_noisy_network_learns_to_track_a_bearing():
    configuration = Configuration(
        "small",
        HeadDirectionTask(length=20, head_direction_cells_num=64),
        Rnn(hidden_size=32, tau=0.04, sigma2_rec=0.01),
        Trainer(batch_size=64, learning_rate=0.005, test_every=300),
    )
    (learner,) = learned(configuration, 300, 0)
    chance = math.pi**2 / 3
    assert learner.tests[-1][1].error < 0.1 * chance
    assert learner.losses[-1] < 0.2 * learner.losses[0]
