"""How long initial models are trained: the plateau at the beginning, and early stopping."""

from types import SimpleNamespace

import pytest
import torch

from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.journal import Journal
from sleep_replay import Schedule
from sleep_replay.data import Experience
from sleep_replay.parameters import Pretraining
from sleep_replay.train import Trainer
from sleep_replay.weights import pretrain

PLATEAU, LEARNT = 0.0, 0.8


@pytest.fixture
def epochs_of(monkeypatch: pytest.MonkeyPatch, experience: Experience):
    """Train in play, with these shares of variance carried and losses; count the epochs."""

    def run(carried: list[float], losses: list[float] | None = None, **how: int) -> int:
        seen = iter(carried)
        scores = lambda *_: SimpleNamespace(error=1.0, carried=next(seen))  # noqa: E731
        monkeypatch.setattr("sleep_replay.weights.evaluate", scores)
        told = iter(losses or range(len(carried), 0, -1))
        monkeypatch.setattr(Trainer, "epoch", lambda *_: torch.tensor([float(next(told))]))
        model, pretraining = Schedule(architecture="small"), Pretraining(**how)
        _, record = pretrain(Journal(), model, experience, pretraining, 0)
        assert record["pretraining"]["epochs"] == how.get("epochs", 2)
        return record["epochs"]

    monkeypatch.setattr(Schedule, "pretraining_epochs", lambda *_: 2)
    return run


def test_epochs_on_the_plateau_do_not_count_for_a_length_that_is_not_given(epochs_of) -> None:
    assert epochs_of([LEARNT, LEARNT]) == 2
    assert epochs_of([PLATEAU, PLATEAU, PLATEAU, LEARNT, LEARNT]) == 5


def test_a_length_that_is_given_counts_all(epochs_of) -> None:
    assert epochs_of([PLATEAU, LEARNT, LEARNT], epochs=3) == 3


def test_a_model_that_stays_on_the_plateau_is_given_up(
    epochs_of, monkeypatch: pytest.MonkeyPatch, experience: Experience
) -> None:
    monkeypatch.setattr("sleep_replay.weights.MOST_ON_PLATEAU", 4 * len(experience.old_train))
    with pytest.raises(SharpwaveError, match="has collapsed: after 6 epochs"):
        epochs_of([PLATEAU] * 6)


def test_training_stops_when_the_loss_does_but_not_on_the_plateau(epochs_of) -> None:
    carried = [PLATEAU] * 4 + [LEARNT] * 6
    losses = [9.0, 9.0, 9.0, 9.0, 5.0, 4.0, 4.5, 4.2, 3.0, 2.0]
    assert epochs_of(carried, losses, epochs=10, patience=2) == 8
    assert epochs_of(carried, losses, epochs=10, patience=3) == 10
