"""Training against a plain loop with torch's Adam; checkpoints, extensions and divergence."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from torch import Tensor

from rnn_reactivation.configuration import Configuration
from rnn_reactivation.experiments.train import Train, TrainHeadDirection, TrainNavigation
from rnn_reactivation.recurrence import Parameters, initialise
from rnn_reactivation.reference import PlainNetwork
from rnn_reactivation.train import Batch, Learner, train
from sharpwave_shared import files, journal
from sharpwave_shared.adam import Adam
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.experiment import Job
from sharpwave_shared.journal import Journal
from sharpwave_shared.testing import KilledError

TRAINER = {"n_epochs": 6, "batch_size": 4, "learning_rate": 0.01, "test_every": 4, "save_every": 3}
PLACE: dict[str, Any] = {
    "config": "place",
    "task": {"length": 5, "place_cells_num": 9},
    "rnn": {"hidden_size": 6, "sigma2_rec": 0.01, "sigma2_in": 0.01},
    "trainer": TRAINER,
}
NAVIGATION = TrainNavigation(**PLACE)
BEARING = TrainHeadDirection(
    config="bearing",
    task={"length": 5, "head_direction_cells_num": 9},  # type: ignore[arg-type]
    rnn={"hidden_size": 6},  # type: ignore[arg-type]
    trainer=TRAINER,  # type: ignore[arg-type]
)
GATED = BEARING.replaced(
    config="gated",
    rnn={"type": "gru", "activation": "tanh", "hidden_size": 6, "dt": 0.2, "sigma2_rec": 1e-4},
)
ALL = pytest.mark.parametrize("configuration", [NAVIGATION, BEARING, GATED], ids=lambda c: c.config)


def changed(configuration: Train, section: str, **values: Any) -> Any:
    return configuration.replaced(**{section: getattr(configuration, section).replaced(**values)})


def learned(configuration: Configuration, epochs: int, *seeds: int) -> list[Learner]:
    learners = [Learner(configuration, seed) for seed in seeds]
    train(learners, epochs)
    return learners


def tensors(learner: Learner) -> dict[str, Tensor]:
    state = learner.state_dict()
    groups = ("parameters", "means", "squares")
    found = {f"{g}.{name}": v for g in groups for name, v in state[g].items()}
    return found | {"losses": state["losses"], "tests": torch.tensor(state["tests"])}


def assert_same(
    one: Learner, other: Learner, tolerance: float = 0.0, *, tests: bool = True
) -> None:
    """Weights, Adam's means and losses, relative to the largest number; 0: to the last bit."""
    found, wanted = tensors(one), tensors(other)
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
        adam = Adam(list(network.parameters()), 0.01, fused=False)
        losses, batch = [], Batch([configuration], [seed])
        for epoch in range(1, epochs + 1):
            batch.draw(epoch)
            noise = batch.network.states[0, 1:].clone()
            outputs = network(batch.start[0], batch.inputs[0], noise)
            targets = batch.cells.of(0).encode(batch.true[0].flatten(0, 1))
            loss = (outputs.flatten(0, 1) - targets).square().mean()
            adam.step(torch.autograd.grad(loss, adam.parameters))
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


@pytest.fixture
def _every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are due whenever they can be."""
    monkeypatch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)


class Mortal(Journal):
    """Is killed after so many files."""

    def __init__(self, folder: Path, lives: int):
        super().__init__(folder=folder)
        self.lives = lives

    def save(self, name: str, tree: Any) -> None:
        super().save(name, tree)
        self.lives -= 1
        if self.lives == 0:
            raise KilledError


@pytest.mark.usefixtures("_every_step")
def test_networks_that_are_killed_together_go_on_together(tmp_path: Path):
    whole = learned(GATED, 6, 3, 5)
    for lives in (1, 2, 6):
        folders = [tmp_path / f"{lives}-{seed}" for seed in (3, 5)]
        learners = [Learner(GATED, seed) for seed in (3, 5)]
        with pytest.raises(KilledError):
            train(learners, 6, journals=[Mortal(folders[0], -1), Mortal(folders[1], lives)])
        revived = [Learner(GATED, seed) for seed in (3, 5)]
        train(revived, 6, journals=[Journal(folder=folder) for folder in folders])
        for one, other in zip(revived, whole, strict=True):
            assert_same(one, other)


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the files that are written, whole."""
    written: list[str] = []
    atomic_path = files.atomic_path

    def noting(target: Path) -> Any:
        written.append(target.name)
        return atomic_path(target)

    monkeypatch.setattr(files, "atomic_path", noting)
    return written


@pytest.fixture
def _slow_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds that two more seconds have passed."""
    ticks: Iterator[int] = iter(range(0, 10**9, 2))
    monkeypatch.setattr(journal.time, "monotonic", lambda: float(next(ticks)))


@pytest.mark.usefixtures("_slow_epochs")
def test_checkpoints_are_written_now_and_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    written = count_writes(monkeypatch)
    long = changed(NAVIGATION, "trainer", n_epochs=40, save_every=40, test_every=40)
    job = Job((0,), torch.device("cpu"), Journal(folder=tmp_path), directory=tmp_path)
    long.compute(job)
    # The clock is looked at once an epoch: of 80 seconds, a checkpoint every 10 or so.
    assert 4 <= written.count("training.safetensors") <= 8
    assert written.count("model_40.safetensors") == 1


@pytest.mark.usefixtures("float64")
def test_networks_are_saved_up_to_date():
    learners = [Learner(NAVIGATION, seed) for seed in (0, 1)]
    saved: list[tuple[int, int, Parameters]] = []

    def save(learner: Learner) -> None:
        weights = {name: values.clone() for name, values in learner.parameters.items()}
        saved.append((learner.seed, learner.epoch, weights))

    train(learners, 7, save=save)
    # Every third epoch and the last.
    assert [(seed, epoch) for seed, epoch, _ in saved] == [
        (seed, epoch) for epoch in (3, 6, 7) for seed in (0, 1)
    ]
    for seed, epoch, parameters in saved:
        (until,) = learned(NAVIGATION, epoch, seed)
        for name, values in until.parameters.items():
            torch.testing.assert_close(parameters[name], values, rtol=0, atol=1e-9)


@pytest.mark.parametrize("configuration", [BEARING, GATED], ids=lambda c: c.config)
def test_training_can_be_extended(configuration: Configuration):
    (whole,) = learned(configuration, 12, 3)
    (part,) = learned(configuration, 6, 3)
    train([part], 12)
    assert part.epoch == 12
    assert_same(part, whole, tests=False)
    # The end of the first part is tested in addition.
    assert [epoch for epoch, _ in whole.tests] == [4, 8, 12]
    assert [epoch for epoch, _ in part.tests] == [4, 6, 8, 12]
    assert [test for epoch, test in part.tests if epoch != 6] == [test for _, test in whole.tests]
    # There is nothing to do for fewer epochs.
    before = {name: values.clone() for name, values in tensors(part).items()}
    train([part], 12)
    train([part], 5)
    assert all(torch.equal(before[name], values) for name, values in tensors(part).items())


@pytest.mark.usefixtures("no_figures")
def test_a_stored_run_is_extended(tmp_path: Path):
    longer = changed(GATED, "trainer", n_epochs=9)
    GATED.run(0, out=tmp_path)
    assert longer.run(0, out=tmp_path).sizes["epoch"] == 6  # finished; only `resume` goes on
    found = longer.run(0, out=tmp_path, resume=True)
    whole = longer.run(0)
    xr.testing.assert_identical(found["training_loss"], whole["training_loss"])
    assert found["tested"].values.tolist() == [4, 6, 8, 9]
    xr.testing.assert_identical(found["error"], whole["error"])
    assert found.attrs == whole.attrs


def test_results_by_seed_and_epoch():
    data = BEARING.run(seeds=[2, 5])
    for seed, learner in zip((2, 5), learned(BEARING, 6, 2, 5), strict=True):
        (alone,) = learned(BEARING, 6, seed)
        one = data.sel(seed=seed)
        assert one["training_loss"].values.tolist() == alone.losses
        assert one["training_loss"].values == pytest.approx(learner.losses, rel=1e-5)
        assert one["tested"].values.tolist() == [4, 6]
        assert one["test_error"].values.tolist() == [test.error for _, test in alone.tests]
        assert (one["loss"], one["error"]) == alone.tests[-1][1]
    assert data["error"].attrs["units"] == "rad^2"
    assert data.attrs["weights"] == 6 * (9 + 6 + 1 + 9)


# --- what can go wrong ----------------------------------------------------------------------------


@pytest.mark.usefixtures("_every_step")
def test_divergence_is_told(tmp_path: Path):
    wild = changed(changed(NAVIGATION, "trainer", learning_rate=1000.0), "task", length=20)
    learners = [Learner(wild, 5)]
    with pytest.raises(DivergenceError, match=r"^place, seed 5: the loss is (inf|nan)") as caught:
        train(learners, 40, journals=[Journal(folder=tmp_path)])
    # The epoch is that of the first such loss.
    finite = [math.isfinite(loss) for loss in learners[0].losses].index(False)
    assert finite > 0
    assert str(caught.value).endswith(f"in epoch {finite + 1}")
    # What has diverged is not kept.
    assert Journal(folder=tmp_path).position("training") == finite


@pytest.mark.parametrize("other", [NAVIGATION.replaced(**{"rnn.hidden_size": 9}), None])
def test_networks_that_cannot_learn_together(other: Configuration | None):
    second = Learner(other, 1) if other is not None else learned(NAVIGATION, 1, 1)[0]
    with pytest.raises(ValueError, match="must be alike"):
        train([Learner(NAVIGATION, 0), second], 3)


# --- learning -------------------------------------------------------------------------------------


def test_a_small_noisy_network_learns_to_track_a_bearing():
    sections: Any = {
        "task": {"length": 20, "head_direction_cells_num": 64},
        "rnn": {"hidden_size": 32},
        "trainer": {"batch_size": 32, "learning_rate": 0.01, "test_every": 150},
    }
    (learner,) = learned(TrainHeadDirection(**sections), 150, 0)
    chance = math.pi**2 / 3
    assert learner.tests[-1][1].error < 0.1 * chance
    assert learner.losses[-1] < 0.3 * learner.losses[0]
