"""Training: Adam, batches, the curriculum, limits, logs, checkpoints and runs that are resumed."""

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hybrid_made import network as network_of
from torch import Tensor

from hybrid_plasticity.configuration import Configuration, Learning, Limits, Task
from hybrid_plasticity.curriculum import (
    Network,
    _Batch,
    flatten,
    learned,
    train,
    training_streams,
    unflatten,
)
from hybrid_plasticity.model import initialise
from hybrid_plasticity.reference import plain_network
from hybrid_plasticity.streams import scenes_of_training
from sharpwave_shared.adam import Adam
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.journal import Journal

CPU = torch.device("cpu")
SMALL = network_of("Memo", (5,), (1,), ("A",), task=Task(1, 4, 0))
DEEP = network_of("Memo", (6, 3), (1, 0.5), ("M", "A"), task=Task(2, 5, 0.2))
OTHER = DEEP.replaced(plastic_types=("A", "M"))
TYPES = [
    DEEP,
    network_of("Nonl_RO", (5, 3), (0.5,), ("M",), task=Task(2, 4, 0.25)),
    network_of("Dyn_RO", (5, 4), (1, 0), ("M", "A"), out_dim=2, task=Task(1, 4, 0)),
    network_of("Stack", (3, 5), (1, 0), ("A", "M"), task=Task(2, 4, 0.25)),
]
HARD = Learning(acc_threshold=1, acc_num=10**6)
"""Never mastered."""
EASY = Learning(lr_rate=1e-2, acc_threshold=0.5, acc_num=2)
"""Mastered after a few iterations."""


def learn(networks: Sequence[Network], iterations: int, training: Learning = HARD) -> None:
    most = max(network.iteration for network in networks) + iterations
    train(networks, training, Limits(budget=most, max_r=1000))


def same(one: Network, other: Network) -> bool:
    return equal(one.state_dict(), other.state_dict())


def equal(first: Any, second: Any) -> bool:
    """Compare trees of tensors and numbers."""
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(equal(first[k], second[k]) for k in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return torch.equal(first, second) if isinstance(first, Tensor) else first == second


def plain_loss(
    configuration: Configuration, parameters: dict[str, Tensor], network: Network
) -> tuple[Tensor, Tensor, list[bool]]:
    """Loss and answers of the next iteration, by the plain transcription of one network."""
    frames = configuration.task.scene_time
    streams = training_streams(network, scenes_of_training(network.interval), 1)
    outputs, _, _ = plain_network(
        configuration.network_type,
        configuration.plastic_types,
        parameters,
        streams.frames[0].to(next(iter(parameters.values()))),
    )
    y, targets = outputs[frames - 1 :: frames], streams.repeated[0].tolist()
    losses = [
        -torch.log(value if target else 1 - value)
        for scene, target in zip(y, targets, strict=True)
        for value in scene
    ]
    return torch.stack(losses).mean(), y > 0.5, targets


# --- one step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", TYPES, ids=lambda c: c.folder)
def test_gradients_and_outcomes_of_an_iteration_equal_the_plain_transcription(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network.new(configuration, 3)
    network.at_interval = 7
    parameters = {
        name: values[0].double().requires_grad_()
        for name, values in initialise(configuration, 3).items()
    }
    loss, answers, targets = plain_loss(configuration, parameters, network)
    wanted = torch.autograd.grad(loss, list(parameters.values()))
    loss = loss.detach()

    gradients: list[Tensor] = []
    monkeypatch.setattr(_Batch, "_adam", lambda self, gradient: gradients.append(gradient))
    (outcomes,) = _Batch([network], Learning(), CPU).learn()
    found = unflatten(configuration, gradients[0])
    for name, expected in zip(parameters, wanted, strict=True):
        torch.testing.assert_close(
            found[name][0].double(),
            expected,
            rtol=1e-3,
            atol=1e-6,
            msg=lambda text, name=name: f"{name}: {text}",
        )
        assert expected.abs().max() > 1e-5, f"{name} plays no part"

    counts = dict.fromkeys(product((False, True), repeat=2), 0)
    for scene, target in zip(answers.tolist(), targets, strict=True):
        for answer in scene:
            counts[answer, target] += 1
    rates = [
        float(loss),
        (counts[True, True] + counts[False, False]) / sum(counts.values()),
        counts[True, False] / (counts[True, False] + counts[False, False]),
        counts[False, True] / (counts[False, True] + counts[True, True]),
    ]
    assert outcomes == pytest.approx(rates, rel=1e-5)


def test_adam_equals_that_of_torch_for_networks_at_different_steps() -> None:
    rates = Learning(lr_rate=0.03)
    networks = [Network.new(SMALL, seed) for seed in range(3)]
    plain = [network.state[0].clone() for network in networks]
    optimisers = [Adam([values], 0.03, fused=False) for values in plain]
    generator = torch.Generator().manual_seed(0)
    for together, steps in (([0], 3), ([0, 2], 4), ([0, 1, 2], 5)):
        batch = _Batch([networks[n] for n in together], rates, CPU)
        for _ in range(steps):
            # Sizes from 1e-6 to 1e3: where Adam's epsilon counts, and where it does not.
            scale = 10 ** (9 * torch.rand(len(plain[0]), generator=generator) - 6)
            gradient = scale * torch.randn(len(together), len(plain[0]), generator=generator)
            batch._adam(gradient)
            for row, n in enumerate(together):
                networks[n].iteration += 1
                optimisers[n].step([gradient[row]])
        batch.leave()
    for network, values in zip(networks, plain, strict=True):
        torch.testing.assert_close(network.state[0], values, rtol=2e-5, atol=1e-6)
    assert [network.iteration for network in networks] == [12, 5, 9]


def test_training_equals_a_plain_loop_with_torchs_adam() -> None:
    network = Network.new(SMALL, 1)
    parameters = {k: v[0].clone().requires_grad_() for k, v in initialise(SMALL, 1).items()}
    optimiser = Adam(list(parameters.values()), 0.01, fused=False)
    beside = Network.new(SMALL, 1)
    for iteration in range(4):
        beside.at_interval = iteration
        loss, _, _ = plain_loss(SMALL, parameters, beside)
        optimiser.step(torch.autograd.grad(loss, list(parameters.values())))
    learn([network], 4, HARD.replaced(lr_rate=0.01))
    for name, values in unflatten(SMALL, network.state[:1]).items():
        torch.testing.assert_close(values[0], parameters[name].detach(), rtol=1e-3, atol=1e-4)


def test_initial_parameters_are_those_of_the_description() -> None:
    configuration = network_of("Memo", (80, 60, 50), (1, 0.5, 0), ("M", "A", "M"))
    parameters = {k: v[0] for k, v in initialise(configuration, 0).items()}
    variances = {"W_1": 2 / 105, "W_2": 2 / 140, "W_3": 2 / 110, "eta_1": 2 / 105, "b_1": 2 / 81}
    variances |= {"eta_2": 2 / 61, "b_3": 2 / 51, "W_out": 2 / 51}
    for name, variance in variances.items():
        # Six standard deviations of the variance that so many numbers have.
        few = 6 * (2 / parameters[name].numel()) ** 0.5
        assert parameters[name].square().mean() == pytest.approx(variance, rel=few), name
    assert parameters["eta_3"] == -0.5
    assert [parameters[f"lambda_{i}"] for i in (1, 2, 3)] == [1, 1, 1]
    assert not torch.equal(initialise(configuration, 1)["W_1"][0], parameters["W_1"])
    assert not torch.equal(parameters["W_1"].flatten()[:50], parameters["eta_1"].flatten()[:50])
    flat = flatten(initialise(configuration, 0))
    for name, values in unflatten(configuration, flat).items():
        assert torch.equal(values[0], parameters[name]), name


# --- networks side by side ------------------------------------------------------------------------


def several() -> list[Network]:
    networks = [Network.new(DEEP, 0), Network.new(DEEP, 1), Network.new(OTHER, 0)]
    networks.append(Network.new(DEEP, 2))
    networks[3].interval = 6  # its streams have 120 scenes, those of the others 100
    networks[3].iteration = 3
    return networks


def test_a_network_learns_beside_others_what_it_learns_alone() -> None:
    together, alone = several(), several()
    learn(together, 3)  # the last one has three iterations behind it, and goes on to six
    for network in alone:
        train([network], HARD, Limits(budget=6, max_r=1000))
    assert all(map(same, together, alone))
    for start, network in zip(several(), alone, strict=True):
        assert network.iteration == 6
        assert (start.state[0] - network.state[0]).abs().max() > 1e-3
    assert not torch.allclose(alone[0].state, alone[1].state)
    assert not torch.allclose(alone[0].state, alone[2].state)


def test_a_batch_as_on_an_accelerator_learns_what_networks_learn_alone() -> None:
    together, alone = several(), several()
    batch = _Batch(together, HARD, CPU)
    for _ in range(10):
        for network, values in zip(together, batch.learn(), strict=True):
            network.count(values, HARD)
    batch.leave()
    for beside, one in zip(together, alone, strict=True):
        learn([one], 10)
        torch.testing.assert_close(beside.state, one.state, rtol=1e-3, atol=1e-5)
        assert len(one.rows) == 1
        np.testing.assert_allclose(beside.rows, one.rows, rtol=1e-3, atol=1e-5)
        assert (beside.iteration, beside.at_interval) == (one.iteration, one.at_interval)


@pytest.mark.parametrize("count", [1, 3])
def test_threads_change_nothing(count: int) -> None:
    training = HARD.replaced(batch_size=2)
    alone, threaded = ([Network.new(DEEP, seed) for seed in range(count)] for _ in range(2))
    before = torch.get_num_threads()
    try:
        for threads, networks in ((1, alone), (3, threaded)):
            torch.set_num_threads(threads)
            learn(networks, 4, training)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(map(same, alone, threaded))


def test_several_streams_an_iteration_are_averaged() -> None:
    network = Network.new(SMALL, 0)
    streams = training_streams(network, 100, 3)
    assert torch.equal(streams.frames[:1], training_streams(network, 100, 1).frames)
    one = {name: values[0] for name, values in initialise(SMALL, 0).items()}
    losses, right = [], []
    for frames, repeated in zip(streams.frames, streams.repeated, strict=True):
        y = plain_network("Memo", ("A",), one, frames)[0][:, 0]
        losses.append(float(torch.where(repeated, -y.log(), -(1 - y).log()).mean()))
        right.append(float(((y > 0.5) == repeated).float().mean()))
    ((loss, accuracy, *_),) = _Batch([network], HARD.replaced(batch_size=3), CPU).learn()
    assert loss == pytest.approx(sum(losses) / 3, rel=1e-5)
    assert accuracy == pytest.approx(sum(right) / 3)


def test_every_iteration_has_streams_of_its_own() -> None:
    networks = [Network.new(DEEP, seed) for seed in (0, 0, 0, 1)]
    networks[1].at_interval = 1
    networks[2].interval = 2
    drawn = {training_streams(n, 100, 1).frames.numpy().tobytes() for n in networks}
    assert len(drawn) == 4
    again = training_streams(Network.new(DEEP, 0), 100, 1).frames.numpy().tobytes()
    assert again in drawn


def test_networks_of_other_shapes_are_refused() -> None:
    networks = [Network.new(SMALL, 0), Network.new(DEEP, 0)]
    with pytest.raises(ValueError, match="shapes"):
        train(networks, HARD, Limits(budget=1))


# --- limits and checkpoints -----------------------------------------------------------------------


def test_a_budget_split_in_two_gives_the_same_as_one() -> None:
    whole, parts = [[Network.new(DEEP, seed) for seed in (0, 1)] for _ in range(2)]
    train(whole, EASY, Limits(budget=13, max_r=3))
    assert any(network.mastered for network in whole)
    for budget in (4, 5, 13):
        train(parts, EASY, Limits(budget=budget, max_r=3))
    assert all(map(same, whole, parts))


def test_a_checkpoint_holds_all_that_a_network_needs() -> None:
    whole = [Network.new(DEEP, 0), Network.new(DEEP, 1)]
    train(whole, EASY, Limits(budget=17, max_r=3))
    network, beside = Network.new(DEEP, 0), Network.new(DEEP, 1)
    for budget in (1, 6, 17):
        train([network, beside], EASY, Limits(budget=budget, max_r=3))
        kept = deepcopy(network.state_dict())
        network = Network.new(DEEP, 1)
        network.load_state_dict(kept)
        network.seed = 0
        assert equal(network.state_dict(), kept)
    assert same(network, whole[0])
    assert network.mastered == whole[0].mastered
    assert all(map(torch.equal, network.models, whole[0].models))


def test_a_new_network_survives_a_checkpoint() -> None:
    network = Network.new(DEEP, 0)
    again = Network.new(DEEP, 0)
    again.load_state_dict(network.state_dict())
    assert (again.models, again.mastered, again.rows) == ([], [], [])
    assert same(network, again)


@pytest.mark.parametrize(
    ("limits", "iterations", "words"),
    [
        (Limits(max_iterations=3), 3, "iterations at R = 1: 3"),
        (Limits(budget=4), 4, "iterations in all: 4"),
        (Limits(budget=9, max_iterations=2), 2, "iterations at R = 1: 2"),
    ],
)
def test_limits_end_training_and_say_so(limits: Limits, iterations: int, words: str) -> None:
    network = Network.new(SMALL, 0)
    assert network.ended(limits) is None
    train([network], HARD, limits)
    assert network.iteration == iterations
    assert network.ended(limits) == words


def test_the_last_interval_ends_training() -> None:
    networks, limits = [Network.new(SMALL, seed) for seed in range(3)], Limits(max_r=2)
    told: list[tuple[int, int, Tensor]] = []

    def mastered(network: Network) -> None:
        told.append((network.seed, network.mastered[-1], network.state[0].detach().clone()))

    train(networks, EASY, limits, mastered=mastered)
    for network in networks:
        assert network.ended(limits) == "mastered R = 2, the last one asked for"
        assert len(network.mastered) == 2
        assert network.interval == 3
        assert network.iteration == sum(network.mastered)
        mine = [entry for entry in told if entry[0] == network.seed]
        assert [taken for _, taken, _ in mine] == network.mastered
        # What is kept of every interval are the parameters at that moment.
        assert all(map(torch.equal, network.models, [values for _, _, values in mine]))
        assert torch.equal(network.models[-1], network.state[0])
    assert len({tuple(network.mastered) for network in networks}) > 1, "they end at other times"


def test_iterations_at_an_interval_are_counted_from_its_start() -> None:
    network = Network.new(SMALL, 0)
    limits = Limits(max_r=3, max_iterations=30)
    train([network], EASY, limits)
    assert network.mastered
    hard = EASY.replaced(acc_threshold=1)
    limits = Limits(max_r=100, max_iterations=5)
    before = network.iteration
    train([network], hard, limits)
    assert network.at_interval == 5
    assert network.iteration == before + 5


def test_the_time_limit_ends_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    network, saved = Network.new(SMALL, 0), []
    journal, limits = Journal(), Limits(time_limit=0.1)  # six seconds; the clock ticks once a look
    train([network], HARD, limits, journal=journal, save=lambda: saved.append(network.iteration))
    assert 1 <= network.iteration <= 6
    assert saved == [network.iteration]
    assert network.ended(limits) is None
    assert "time limit" in journal.reporter.lines[-1]


def test_networks_that_are_done_are_left_alone() -> None:
    done, other = Network.new(SMALL, 0), Network.new(SMALL, 1)
    train([done], HARD, Limits(budget=5))
    before = deepcopy(done.state_dict())
    train([done, other], HARD, Limits(budget=5))
    assert other.iteration == 5
    assert equal(before, done.state_dict())


# --- mastery and logs -----------------------------------------------------------------------------


def count(network: Network, accuracy: float, loss: float = 0.0) -> bool:
    """Let a network have had an iteration of an accuracy; tell whether it mastered R."""
    training = Learning(acc_threshold=0.9, acc_num=3)
    return network.count([loss, accuracy, 1 - accuracy, 0.25], training)


@pytest.mark.parametrize(
    ("accuracies", "told", "mastered", "at_interval", "streak"),
    [
        ([0.9, 0.95, 0.89, 1.0, 1.0, 0.9, 0.9, 0.9, 0.8, 0.9], [6], [6], 4, 1),
        ([0.1, 1.00, 0.99, 0.9, 1.0, 1.0, 1.0, 0.1, 1.0, 1.0], [4, 7], [4, 3], 3, 2),
        ([1.0] * 10, [3, 6, 9], [3, 3, 3], 1, 1),
        ([1.0, 1.0, 0.8999] * 3, [], [], 9, 0),
    ],
)
def test_mastery_takes_iterations_in_a_row(
    accuracies: list[float], told: list[int], mastered: list[int], at_interval: int, streak: int
) -> None:
    network = Network.new(SMALL, 0)
    now = [count(network, accuracy) for accuracy in accuracies]
    assert [k for k, flag in enumerate(now, 1) if flag] == told
    assert (network.mastered, network.interval) == (mastered, 1 + len(mastered))
    assert (network.at_interval, network.streak) == (at_interval, streak)
    assert len(network.models) == len(mastered)
    assert network.iteration == len(accuracies)


def test_rows_of_the_log_are_means_and_none_is_lost_at_mastery() -> None:
    network = Network.new(SMALL, 0)
    values = [0.5] * 10 + [0.1, 0.3, 0.9, 1.0, 1.0] + [0.2] * 12
    for k, accuracy in enumerate(values):
        count(network, accuracy, loss=float(k))
    columns = ["R", "iteration", "loss", "accuracy", "false_positive_rate", "false_negative_rate"]
    assert network.columns[:6] == columns
    expected = [
        [1, 10, 4.5, 0.5, 0.5, 0.25],
        [1, 15, 12.0, 0.66, 0.34, 0.25],  # the five until R = 1 was mastered
        [2, 10, 19.5, 0.2, 0.8, 0.25],
    ]
    np.testing.assert_allclose([row[:6] for row in network.rows], expected)
    assert network.sums == pytest.approx([51.0, 0.4, 1.6, 0.5, 2.0])  # two are waiting

    parameters = unflatten(SMALL, network.state[:1])
    rest = dict(zip(network.columns, network.rows[-1], strict=True))
    for name in ("W_1", "b_1", "eta_1", "W_out"):
        numbers = parameters[name].double().numpy()
        assert rest[f"{name}/norm"] == pytest.approx(float(np.sqrt((numbers**2).sum())), rel=1e-5)
        assert rest[f"{name}/variance"] == pytest.approx(float(numbers.var()), rel=1e-5)
    assert rest["lambda_1"] == 1
    assert rest["b_out/variance"] == 0
    assert len(network.columns) == 6 + 5 * 2 + 1


def test_rows_are_written_in_training() -> None:
    network = Network.new(SMALL, 0)
    learn([network], 25)
    assert [row[:2] for row in network.rows] == [[1, 10], [1, 20]]
    assert network.sums[-1] == 5
    names = network.columns
    norms = [row[names.index("W_1/norm")] for row in network.rows]
    assert norms[0] != norms[1]


# --- trouble --------------------------------------------------------------------------------------


def test_divergence_is_told() -> None:
    networks = [Network.new(DEEP, 0), Network.new(DEEP, 4)]
    learn(networks, 2)
    networks[1].state[0, 3] = float("inf")
    with pytest.raises(DivergenceError) as told:
        learn(networks, 2)
    text = str(told.value)
    for word in (DEEP.folder, "seed 4", "R = 1", "iteration 3"):
        assert word in text


def test_a_learning_rate_beyond_all_bounds_diverges() -> None:
    network = Network.new(DEEP, 0)
    with pytest.raises(DivergenceError, match=r"iteration [23456]$"):
        learn([network], 10, HARD.replaced(lr_rate=1e30))


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["A", "M"])
def test_a_small_network_learns_to_recognise(rule: str) -> None:
    network = Network.new(network_of("Memo", (24,), (1,), (rule,), task=Task(1, 10, 0)), 0)
    training = Learning(lr_rate=1e-2, acc_threshold=0.95, acc_num=5)
    train([network], training, Limits(max_r=1, budget=400))
    _, _, loss, accuracy, false_positive, false_negative, *_ = network.rows[-1]
    # Who always says "new" is right in 2 of 3 scenes, and misses every repetition.
    first = network.rows[0]
    assert first[3] < 0.75
    assert first[5] > 0.6
    assert accuracy > 0.93
    assert false_positive < 0.1
    assert false_negative < 0.15
    assert loss < first[2] / 2
    assert len(network.mastered) == 1


# --- results --------------------------------------------------------------------------------------


def test_results_hold_what_was_learned() -> None:
    networks, limits = [Network.new(DEEP, 0), Network.new(DEEP, 3)], Limits(budget=25, max_r=2)
    train(networks, EASY, limits)
    assert any(network.mastered for network in networks)
    data = learned(networks, limits)
    assert data["seed"].values.tolist() == [0, 3]
    assert int(data["parameter_count"]) == DEEP.parameter_count
    assert {"W_1", "lambda_2"} < set(data["parameter"].values.tolist())
    for network in networks:
        own = data.sel(seed=network.seed)
        assert own["mastered"].dropna("interval").values.tolist() == network.mastered
        assert int(own["mastered_intervals"]) == len(network.mastered)
        assert int(own["iterations"]) == network.iteration
        assert own["ended"] == network.ended(limits)
        for k, row in enumerate(network.rows):
            logged = dict(zip(network.columns, np.float32(row), strict=True))
            there = own.isel(row=k)
            for name in ("R", "iteration", "loss", "accuracy", "false_negative_rate"):
                assert there[name] == logged[name]
            for what in ("norm", "variance"):
                assert there[what].sel(parameter="eta_2") == logged[f"eta_2/{what}"]
            assert there["value"].sel(parameter="lambda_2") == logged["lambda_2"]
            assert np.isnan(there["norm"].sel(parameter="lambda_2"))
        assert own["R"].isnull().values.tolist() == [
            k >= len(network.rows) for k in range(data.sizes["row"])
        ]


def test_results_of_nothing() -> None:
    data = learned([Network.new(SMALL, 4)], Limits(time_limit=1e-9))
    assert dict(data.sizes) == {"seed": 1, "interval": 0, "row": 0, "parameter": 6}
    assert data["ended"].values.tolist() == ["the time limit"]
