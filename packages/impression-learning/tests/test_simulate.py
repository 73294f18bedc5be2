"""Learning in chunks: groupings, threads, checkpoints, divergence; and what is measured after."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impression_learning.analysis import (
    autocorrelation,
    band_correlations,
    correlation,
    run_trials,
)
from impression_learning.engines import ENGINES
from impression_learning.model import one_layer
from impression_learning.simulate import (
    Group,
    Learnt,
    Member,
    choose_device,
    chunk_steps,
    group,
    learn,
)
from impression_learning.stimuli import LatentProcess
from sharpwave_shared import journal as journals
from sharpwave_shared.errors import DivergenceError, InvalidInputError
from sharpwave_shared.journal import Journal
from sharpwave_shared.testing import KilledError

CPU = torch.device("cpu")
PROCESS = LatentProcess(2, 4)
CHUNK = chunk_steps(6)


def member(seed: int, algorithm: str = "impression", eta: float = 1e-3, period: int = 1) -> Member:
    setting = one_layer(
        4, 2, eta=eta, sigma_gen=PROCESS.a, switch_period=period, algorithm=algorithm
    )
    return Member(setting, PROCESS, seed)


def do_learn(journal: Journal, members: list[Member], **more: object) -> Learnt:
    arguments = {"steps": 3 * CHUNK, "points": 4, "test_steps": 300, "device": CPU} | more
    return learn(journal, members, **arguments)


def weights(learnt: Learnt) -> list[dict[str, torch.Tensor]]:
    return [g.circuits.state_dict() for g in learnt.groups]


def test_a_network_learns_alone_what_it_learns_beside_others() -> None:
    members = [member(0), member(1, period=3), member(2, "reinforce", 1e-8)]
    together = do_learn(Journal(), members)
    alone = do_learn(Journal(), [members[1]])
    np.testing.assert_array_equal(alone.losses[0], together.losses[1])
    for name, tensor in weights(alone)[0].items():
        torch.testing.assert_close(
            tensor, weights(together)[1][name], rtol=0, atol=0, equal_nan=True
        )
    assert not np.array_equal(together.losses[0], together.losses[1])


@pytest.mark.parametrize("algorithm", ["impression", "reinforce", "backprop"])
def test_one_group_of_many_equals_many_groups_of_one(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch, as accelerators compute it, runs through the same chunks to the same weights."""
    eta = {"impression": 1e-3, "reinforce": 1e-8, "backprop": 1e-2}[algorithm]
    members = [member(0, algorithm, eta), member(1, algorithm, eta / 2, period=2)]
    chunk = 64
    monkeypatch.setattr("impression_learning.simulate.chunk_steps", lambda units: chunk)
    batch = Group(members, CPU)
    batch.engine = ENGINES["batched"]
    passage = batch.start("training")
    batch.learn(passage, chunk // 2)
    batch.learn(passage, chunk)
    tested = batch.test(100)
    for index, m in enumerate(members):
        single = Group([m], CPU)
        own = single.start("training")
        single.learn(own, chunk + chunk // 2)
        assert own.step == passage.step
        for name, tensor in single.circuits.state_dict().items():
            torch.testing.assert_close(
                tensor[0], batch.circuits.state_dict()[name][index], equal_nan=True
            )
        np.testing.assert_allclose(single.test(100)[0], tested[index])


def test_pieces_do_not_change_the_numbers() -> None:
    whole, parts = Group([member(0)], CPU), Group([member(0)], CPU)
    whole.learn(whole.start("training"), 2 * CHUNK + 10)
    passage = parts.start("training")
    for count in (3, CHUNK - 3, 1, CHUNK, 9):
        parts.learn(passage, count)
    for name, tensor in whole.circuits.state_dict().items():
        torch.testing.assert_close(
            tensor, parts.circuits.state_dict()[name], rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("lives", [1, 4])
def test_killed_and_resumed_learns_the_same(
    lives: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("impression_learning.simulate.chunk_steps", lambda units: 64)
    members, length = [member(0), member(1, "reinforce", 1e-8)], {"steps": 40 * 64, "points": 3}
    whole = do_learn(Journal(), members, **length)
    monkeypatch.setattr(journals, "CHECKPOINT_INTERVAL", 0.0)
    saved = 0

    def kill() -> None:
        nonlocal saved
        saved += 1
        if saved == lives:
            raise KilledError

    with pytest.raises(KilledError):
        do_learn(Journal(folder=tmp_path, saved=kill), members, **length)
    resumed = do_learn(Journal(folder=tmp_path), members, **length)
    np.testing.assert_array_equal(whole.losses, resumed.losses)
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, equal_nan=True)


def test_divergence_names_the_step_and_helps() -> None:
    with pytest.raises(DivergenceError, match=r"seed 0: .* step [\d,]+ .* below 100000 may help"):
        do_learn(Journal(), [member(1), member(0, eta=1e5)])
    learnt = do_learn(Journal(), [member(1), member(0, eta=1e5)], may_diverge=True)
    assert learnt.diverged[0] == -1
    assert 0 <= learnt.diverged[1] < 3 * CHUNK
    assert np.isfinite(learnt.losses[0]).all()
    assert np.isfinite(learnt.losses[1, 0])
    assert np.isnan(learnt.losses[1, 1:]).all()


def test_learning_lowers_the_loss_and_finds_the_time_constant() -> None:
    """Claims of the paper on a small problem: every algorithm that can learn it does."""
    for algorithm, eta in (("impression", 3.2e-3), ("backprop", 1e-2)):
        learnt = do_learn(Journal(), [member(0, algorithm, eta)], steps=150_000, test_steps=5000)
        assert learnt.losses[0, -1] < 0.3 * learnt.losses[0, 0]
        (trial,) = run_trials(learnt.groups[0], 5000)
        assert trial.summary()["r2"] > 0.97
        assert trial.summary()["alternation_correlation"] > 0.85
        transition = learnt.groups[0].circuits.weights.transition
        assert float(transition.mean()) == pytest.approx(PROCESS.decay, abs=0.01)


def test_trials_share_data_and_noise() -> None:
    group = Group([member(0), member(1, period=4)], CPU)
    for trial, m in zip(run_trials(group, 500), group.members, strict=True):
        awake = m.setting.awake(0, 500)
        np.testing.assert_array_equal(trial.phases, awake)
        # Activity awake depends on the step alone, so alternation leaves it as it is.
        np.testing.assert_array_equal(trial.awake[awake], trial.alternating[awake])
        assert not np.isclose(trial.awake[~awake], trial.alternating[~awake]).all(1).any()
        # The first step asleep forgets what the circuit that sleeps all the time generates.
        assert not np.isclose(trial.alternating[~awake], trial.asleep[~awake]).all(1).any()
        assert trial.latents.shape == (500, 2)


def test_correlations() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    assert correlation(x, -2 * x + 1) == pytest.approx(-1)
    assert correlation(x, rng.normal(size=(400, 3))) == pytest.approx(0, abs=0.1)
    found = autocorrelation(x, 10)
    centred = x - x.mean(0)
    expected = [
        np.mean((centred[lag:] * centred[: 400 - lag]).sum(0) / (400 - lag) / centred.var(0))
        for lag in range(11)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    still = np.concatenate([x, np.ones((400, 1))], 1)
    np.testing.assert_allclose(autocorrelation(still, 10), expected, atol=1e-12)
    bands = band_correlations(still)
    np.testing.assert_allclose(bands[:3, :3], np.corrcoef(x.T), atol=1e-12)
    assert not bands[3].any()


def test_devices() -> None:
    assert choose_device("auto", 1) == CPU
    with pytest.raises(InvalidInputError, match="tpu"):
        choose_device("tpu", 1)


def test_members_of_a_kind_are_put_together_and_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on an accelerator, with kinds that take turns, and equal members."""

    def keep(self: Group, members: list[Member], device: torch.device) -> None:
        self.members = members

    monkeypatch.setattr(Group, "__init__", keep)
    members = [member(0), member(1, "reinforce"), member(0), member(2, "reinforce"), member(3)]
    groups, places = group(members, torch.device("meta"))
    assert len(groups) == 2
    assert [groups[g].members[i] for g, i in places] == members
    groups, places = group(members, CPU)
    assert places == [(i, 0) for i in range(5)]


@pytest.mark.gpu
@pytest.mark.parametrize("algorithm", ["impression", "reinforce", "backprop"])
def test_the_accelerator_agrees_with_the_fused_loop(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random numbers of the CPU on both sides."""
    cuda = torch.device("cuda:0")
    draw: Callable = torch.randn

    def on_cpu(size: Any, generator: torch.Generator, device: Any, **more: Any) -> torch.Tensor:
        seed = torch.Generator().manual_seed(generator.initial_seed())
        return draw(size, generator=seed, **more).to(device)

    monkeypatch.setattr(torch, "randn", on_cpu)
    eta = {"impression": 1e-3, "reinforce": 1e-8, "backprop": 1e-2}[algorithm]
    members = [member(seed, algorithm, eta) for seed in range(3)]
    fast = do_learn(Journal(), members, device=cuda, steps=1000)
    slow = do_learn(Journal(), members, steps=1000)
    np.testing.assert_allclose(fast.losses, slow.losses, rtol=1e-6)
