"""Unrolled networks and their written-out gradients, against a plain loop and autograd."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnn_reactivation import simulate
from rnn_reactivation.configuration import Configuration
from rnn_reactivation.experiments.train import TASKS
from rnn_reactivation.networks import Model
from rnn_reactivation.recurrence import (
    Parameters,
    Size,
    fill_with_noise,
    initialise,
    make_network,
    shapes,
)
from rnn_reactivation.reference import PlainGru, PlainNetwork
from rnn_reactivation.simulate import Chunk, asleep, awake, record
from rnn_reactivation.tasks import make_trajectories
from rnn_reactivation.train import Batch
from sharpwave_shared.seeding import Streams

SIZES = {
    "spatial_navigation": {"length": 6, "place_cells_num": 12},
    "head_direction": {"length": 6, "head_direction_cells_num": 12},
}
NETWORKS = [
    {"activation": "relu"},
    {"activation": "tanh"},
    {"activation": "sigmoid"},
    {"activation": "identity"},
    {"dt": 1.0},
    {"type": "gru", "activation": "tanh"},
    {"type": "gru", "activation": "relu"},
    {"type": "gru", "activation": "sigmoid"},
    {"type": "gru", "activation": "identity"},
    {"type": "gru", "dt": 1.0},
]
NOISES = [
    {"noise_distribution": "uniform"},
    {"sigma2_rec": 0.0},
    {"sigma2_in": 0.04},
    {"sigma2_in": 0.04, "noise_distribution": "uniform"},
    {"sigma2_out": 0.04},
]


def configured(task: str = "spatial_navigation", **rnn: Any) -> Configuration:
    values: Any = {"hidden_size": 7, "dt": 0.4, "sigma2_rec": 0.02} | rnn
    sections: Any = {"task": SIZES[task], "rnn": values, "trainer": {"batch_size": 4}}
    return TASKS[task](**sections)


def plain(configuration: Configuration, weights: Parameters) -> PlainNetwork:
    """A plain network with these weights, which have no dimension of networks."""
    network = PlainNetwork(configuration)
    network.load_weights(weights)
    return network


def of(weights: Parameters, n: int) -> Parameters:
    return {name: values[n].clone() for name, values in weights.items()}


def assert_equal(found: Tensor, wanted: Tensor, tolerance: float = 1e-9) -> None:
    """Relative to the largest number."""
    assert wanted.abs().max() > 0
    torch.testing.assert_close(
        found, wanted, rtol=0, atol=tolerance * float(wanted.abs().max()), equal_nan=False
    )


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rnn", NETWORKS + NOISES, ids=str)
@pytest.mark.usefixtures("float64")
def test_losses_and_gradients_are_those_of_automatic_differentiation(
    rnn: dict[str, Any], task: str
):
    configuration = configured(task, **rnn)
    seeds = [3, 8]
    batch, parameters = Batch([configuration] * 2, seeds), initialise(configuration, seeds)
    for epoch in (1, 2):  # buffers are used again
        batch.draw(epoch)
        inputs, start = batch.inputs.clone(), batch.start.clone()
        noise = batch.network.states[:, 1:].clone()
        targets = batch.cells.encode(batch.true.flatten(1, 2))
        if configuration.rnn.sigma2_out > 0:
            disturbed = batch._targets.clone()
            assert (disturbed - targets).square().mean() == pytest.approx(0.04, rel=0.3)
            targets = disturbed
        loss, gradients = batch.learn(parameters)
        assert loss.shape == (2,)
        assert gradients.keys() == parameters.keys()
        for n in range(2):
            network = plain(configuration, of(parameters, n))
            outputs = network(start[n], inputs[n], noise[n])
            wanted = (outputs.flatten(0, 1) - targets[n]).square().mean()
            wanted.backward()
            assert float(loss[n]) == pytest.approx(wanted.item(), rel=1e-9)
            for name, gradient in network.named_gradients().items():
                assert gradient.shape == parameters[name][n].shape
                assert_equal(gradients[name][n], gradient)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rnn", [{}, {"type": "gru", "activation": "tanh"}], ids=str)
@pytest.mark.usefixtures("float64")
def test_what_a_batch_holds(rnn: dict[str, Any], task: str):
    """Trajectories and noise are those of the seed, the epoch and the purpose."""
    configuration = configured(task, sigma2_in=0.04, **rnn)
    batch = Batch([configuration] * 2, [3, 8])
    batch.draw(5)
    kept = batch.inputs.clone()
    for n, seed in enumerate((3, 8)):
        streams = Streams(seed).child("batch", 5)
        drawn = make_trajectories(configuration.task, 4, streams.torch("trajectories"))
        generator = streams.torch("noise")
        noise = torch.empty(6, 4, 7).normal_(0, 0.02**0.5, generator=generator)
        disturbance = torch.empty_like(drawn.inputs).normal_(0, 0.2, generator=generator)
        assert torch.equal(batch.network.states[n, 1:], noise)
        assert torch.equal(batch.inputs[n], drawn.inputs + disturbance)
        assert torch.equal(batch.true[n], drawn.states)
        assert_equal(batch.start[n], batch.cells.of(n).encode(drawn.start), 1e-12)
    batch.draw(6)
    assert not torch.isclose(batch.inputs, kept).any()
    batch.draw(5)
    assert torch.equal(batch.inputs, kept)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.usefixtures("float64")
def test_tests_of_networks(task: str):
    """Loss and decoding error on the test batch, by the plain network."""
    configuration, seeds = configured(task), [3, 8]
    batch, parameters = Batch([configuration] * 2, seeds), initialise(configuration, seeds)
    found = batch.test(parameters)
    batch.draw(1)
    batch.learn(parameters)
    assert batch.test(parameters) == found
    batch.draw("test")
    start, inputs = batch.start.clone(), batch.inputs.clone()
    noise = batch.network.states[:, 1:].clone()
    for n in range(2):
        cells = batch.cells.of(n)
        outputs = plain(configuration, of(parameters, n))(start[n], inputs[n], noise[n])
        outputs, true = outputs.detach().flatten(0, 1), batch.true[n].flatten(0, 1)
        loss = (outputs - cells.encode(true)).square().mean()
        assert found[n].loss == pytest.approx(float(loss), rel=1e-9)
        missed = cells.decode(outputs) - true
        if task == "head_direction":
            missed = torch.atan2(missed.sin(), missed.cos())
        assert found[n].error == pytest.approx(float(missed.square().sum(1).mean()), rel=1e-9)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rnn", [{}, {"type": "gru", "activation": "tanh"}], ids=str)
@pytest.mark.usefixtures("float64")
def test_networks_side_by_side_are_as_each_alone(rnn: dict[str, Any], task: str):
    """Also with different noise, and with biased ones among them."""
    usual = configured(task, **rnn)
    others = {"task.biased": True, "rnn.sigma2_rec": 0.0}
    configurations = [usual, usual.replaced(**others), usual.replaced(**{"task.biased": True})]
    seeds = [3, 8, 1]
    weights = [initialise(own, [seed]) for own, seed in zip(configurations, seeds, strict=True)]
    parameters = {name: torch.cat([own[name] for own in weights]) for name in weights[0]}
    batch = Batch(configurations, seeds)
    batch.draw(1)
    loss, gradients = batch.learn(parameters)
    states = batch.network.states
    for n, seed in enumerate(seeds):
        alone = Batch([configurations[n]], [seed])
        alone.draw(1)
        alone_loss, alone_gradients = alone.learn(weights[n])
        assert_equal(batch.true[n], alone.true[0], 0)
        assert_equal(states[n], alone.network.states[0], 1e-10)
        assert float(loss[n]) == pytest.approx(float(alone_loss[0]), rel=1e-10)
        for name, values in alone_gradients.items():
            assert_equal(gradients[name][n], values[0], 1e-10)


@pytest.mark.parametrize("task", TASKS)
def test_learning_in_single_precision(task: str):
    """The factored error, which is a difference of large sums, is good to float32's precision."""
    configuration = configured(task)
    parameters = initialise(configuration, [3])
    batch = Batch([configuration], [3])
    batch.draw(1)
    noise, inputs = batch.network.states[:, 1:].clone(), batch.inputs.clone()
    start, targets = batch.start.clone(), batch.cells.encode(batch.true.flatten(1, 2))
    loss, gradients = batch.learn(parameters)
    assert loss.dtype == torch.float32
    network = plain(configuration, of(parameters, 0))
    wanted = (network(start[0], inputs[0], noise[0]).flatten(0, 1) - targets[0]).square().mean()
    wanted.backward()
    assert float(loss) == pytest.approx(wanted.item(), rel=1e-5)
    for name, gradient in network.named_gradients().items():
        assert_equal(gradients[name][0], gradient, 2e-5)


# --- forward --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rnn", NETWORKS, ids=str)
@pytest.mark.usefixtures("float64")
def test_no_inputs_are_inputs_of_zero(rnn: dict[str, Any]):
    configuration = configured(**rnn)
    parameters, size = initialise(configuration, [0, 1]), Size(2, 6, 4)
    drawn = torch.randn(2, 7, 4, 7, generator=torch.Generator().manual_seed(0))
    found = []
    for inputs in (None, torch.zeros(2, 6, 4, 2), torch.full((2, 6, 4, 2), 0.1)):
        network = make_network(configuration.rnn, size)
        for _ in range(2):  # nothing is left from the first time
            network.states.copy_(drawn)
            network.forward(parameters, inputs)
        found.append(network.states)
    assert_equal(found[0], found[1], 1e-12)
    assert not torch.isclose(found[2][:, 1:], found[0][:, 1:]).all()
    assert torch.equal(found[0][:, 0], drawn[:, 0])


@pytest.mark.parametrize("kind", ["vanilla", "gru"])
@pytest.mark.parametrize("task", TASKS)
def test_untrained_weights_are_those_of_linear_layers(kind: str, task: str):
    configuration = configured(task, type=kind, hidden_size=100)
    parameters = initialise(configuration, [0, 1, 4])
    network = PlainNetwork(configuration)
    layers = {"encoder": network.encoder, "readout": network.readout}
    cell = network.cell
    layers |= (
        {"recurrent": cell.U_h, "input": cell.W_h}
        if isinstance(cell, PlainGru)
        else {"recurrent": cell.recurrent, "input": cell.input}
    )
    for name, layer in layers.items():
        drawn = layer.weight.detach()
        parts = 3 if kind == "gru" and name in ("recurrent", "input") else 1
        shape = parts * drawn.shape[0], drawn.shape[1]
        assert shapes(configuration)[name] == shape
        values = parameters[name]
        assert values.shape == (3, *shape)
        bound = 1 / math.sqrt(drawn.shape[1])
        assert values.abs().max() <= bound
        for part in values.flatten(1).chunk(parts, 1):
            # As many as 100 uniform numbers reach both ends; torch's own layers do.
            for numbers in (*part, drawn.flatten()):
                assert numbers.max() > 0.85 * bound
                assert numbers.min() < -0.85 * bound
                assert numbers.double().mean().abs() < 5 * bound / math.sqrt(3 * len(numbers))
        # Each seed has weights of its own, whoever is beside it; so has each matrix.
        assert torch.equal(values[2], initialise(configuration, [4])[name][0])
        assert (values[0] - values[1]).abs().max() > bound / 2
    flat = parameters["encoder"][0].flatten()
    assert not torch.isclose(
        flat[:100] * 12**0.5, parameters["readout"][0].flatten()[:100] * 10
    ).any()


@pytest.mark.parametrize(
    ("distribution", "mean", "spread"), [("gaussian", 0.0, 1.0), ("uniform", 0.5, 12**-0.5)]
)
def test_noise(distribution: str, mean: float, spread: float):
    """The uniform one is that of the release: between 0 and a standard deviation."""
    noise, sd = torch.full((2, 40, 50, 10), torch.nan), 0.3
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    fill_with_noise(noise, [sd**2, sd**2], generators, distribution)
    count = noise[0].numel()
    for part in noise.double():
        assert float(part.mean()) == pytest.approx(mean * sd, abs=5 * spread * sd / count**0.5)
        assert float(part.std()) == pytest.approx(spread * sd, rel=0.03)
    assert abs(np.corrcoef(noise.flatten(1).double())[0, 1]) < 0.04
    if distribution == "uniform":
        assert 0 <= noise.min() < 0.01 * sd
        assert 0.99 * sd < noise.max() <= sd
    else:
        assert float((noise.abs() > 1.96 * sd).double().mean()) == pytest.approx(0.05, abs=0.005)
    again = torch.empty(1, 40, 50, 10)
    fill_with_noise(again, [sd**2], [torch.Generator().manual_seed(1)], distribution)
    assert torch.equal(again[0], noise[1])
    fill_with_noise(noise, [0.0, 0.0], generators, distribution)
    assert not noise.any()


# --- asleep and awake -----------------------------------------------------------------------------


def modelled(task: str, **rnn: Any) -> Model:
    configuration = configured(task, **({"hidden_size": 8} | rnn))
    return Model(configuration, 5, 0, initialise(configuration, [5]))


def joined(chunks: Iterator[Chunk]) -> tuple[list[int], Tensor, Tensor]:
    """Lengths of the chunks, and all states and decoded outputs."""
    found = [(chunk.states.clone(), chunk.decoded) for chunk in chunks]
    states, decoded = zip(*found, strict=True)
    return [len(part) for part in states], torch.cat(states), torch.cat(decoded)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rnn", [{}, {"type": "gru"}, {"noise_distribution": "uniform"}], ids=str)
@pytest.mark.usefixtures("float64")
def test_sleep_in_chunks_is_one_plain_loop(
    rnn: dict[str, Any], task: str, monkeypatch: pytest.MonkeyPatch
):
    model, steps = modelled(task, **rnn), 10
    # So many numbers a step that generators give the same ones whatever they are asked for at once.
    count = 4
    streams = Streams(2).child("sleep")
    noise = torch.empty(1, steps, count, 8)
    kind = model.configuration.rnn.noise_distribution
    fill_with_noise(noise, [0.3], [streams.torch("noise")], kind)
    drawn = make_trajectories(model.configuration.task, count, streams.torch("trajectories"))
    network = plain(model.configuration, of(model.parameters, 0))
    inputs = torch.zeros(steps, count, model.configuration.task.inputs)
    with torch.no_grad():
        outputs = network(model.cells().encode(drawn.start), inputs, noise[0])
    wanted = model.cells().decode(outputs.flatten(0, 1)).unflatten(0, (steps, count))
    for at_once, lengths in [(3, [3, 3, 3, 1]), (5, [5, 5]), (1, [1] * 10), (100, [10])]:
        monkeypatch.setattr(simulate, "STEPS_AT_ONCE", at_once)
        found, states, decoded = joined(asleep(model, count, steps, 0.3, streams))
        assert found == lengths
        assert_equal(states @ model.parameters["readout"][0].mT, outputs, 1e-10)
        assert_equal(decoded, wanted, 1e-10)


@pytest.mark.usefixtures("float64")
def test_sleep_without_noise_and_of_other_streams():
    model = modelled("spatial_navigation", dt=0.2)
    _, states, _ = joined(asleep(model, 4, 150, 0, Streams(0)))
    h = states[0]
    for state in states[1:]:
        h = 0.8 * h + 0.2 * torch.relu(h @ model.parameters["recurrent"][0].mT)
        torch.testing.assert_close(state, h)
    _, same, _ = joined(asleep(model, 4, 150, 0, Streams(0)))
    _, other, _ = joined(asleep(model, 4, 150, 0, Streams(1)))
    assert torch.equal(same, states)
    assert not torch.isclose(other, states)[:5].all(-1).any()
    assert states[-1].abs().max() < 0.01 * states[0].abs().max()  # it comes to rest


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "rnn",
    [{}, {"type": "gru"}, {"sigma2_in": 0.04}, {"sigma2_in": 0.1, "noise_distribution": "uniform"}],
    ids=str,
)
@pytest.mark.usefixtures("float64")
def test_awake_networks_do_their_task_as_in_training(rnn: dict[str, Any], task: str):
    model, count, trials = modelled(task, **rnn), 5, 3
    configuration, streams = model.configuration, Streams(2).child("day")
    walks, generator = streams.torch("trajectories"), streams.torch("noise")
    network = plain(configuration, of(model.parameters, 0))
    chunks = 0
    for chunk in awake(model, count, trials, streams):
        drawn = make_trajectories(configuration.task, count, walks)
        noise = torch.empty(1, 6, count, 8)
        kind = configuration.rnn.noise_distribution
        fill_with_noise(noise, [configuration.rnn.sigma2_rec], [generator], kind)
        inputs = drawn.inputs[None].clone()
        if configuration.rnn.sigma2_in > 0:
            disturbance = torch.empty_like(inputs)
            fill_with_noise(disturbance, [configuration.rnn.sigma2_in], [generator], kind)
            inputs += disturbance
        with torch.no_grad():
            outputs = network(model.cells().encode(drawn.start), inputs[0], noise[0])
        assert_equal(chunk.states @ model.parameters["readout"][0].mT, outputs, 1e-10)
        wanted = model.cells().decode(outputs.flatten(0, 1)).unflatten(0, (6, count))
        assert_equal(chunk.decoded, wanted, 1e-10)
        chunks += 1
    assert chunks == trials


# --- recording ------------------------------------------------------------------------------------


def test_recordings_keep_moments_of_all_states_and_some_activity(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulate, "KEPT", 2)
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(4, 4, generator=generator)
    parts = [3 + torch.randn(steps, 5, 4, generator=generator) @ mixing for steps in (3, 3, 2)]
    outputs = [torch.randn(len(part), 5, 2, generator=generator) for part in parts]

    def chunks(count: int) -> Iterator[Chunk]:
        buffer = torch.empty(3, 5, 4)
        for part, decoded in list(zip(parts, outputs, strict=True))[:count]:
            states = buffer[: len(part)]
            states.copy_(part)
            yield Chunk(states, decoded)
            buffer.fill_(torch.nan)

    for trials, count, along in [(False, 3, 0), (True, 2, 1)]:
        found = record(chunks(count), trials=trials)
        assert torch.equal(found.decoded, torch.cat(outputs[:count], along))
        kept = torch.cat([part[:, :2] for part in parts[:count]], along)
        assert torch.equal(found.activity, kept)
        wanted = torch.cat([part[:, :2] for part in outputs[:count]], along)
        assert torch.equal(found.meanwhile, wanted)
        states = torch.cat([part.flatten(0, 1) for part in parts[:count]]).double().numpy()
        np.testing.assert_allclose(found.mean, states.mean(0), rtol=1e-5)
        covariance = np.cov(states.T, bias=True)
        assert found.covariance.dtype == torch.float64
        np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("float64")
def test_recordings_of_networks():
    """Trials are more trajectories; quiescence goes on in time."""
    model = modelled("spatial_navigation")
    found = record(awake(model, 30, 2, Streams(0)), trials=True)
    assert found.decoded.shape == (6, 60, 2)
    assert found.activity.shape == (6, 40, 8)
    assert found.meanwhile.shape == (6, 40, 2)
    _, states, decoded = joined(awake(model, 30, 2, Streams(0)))
    assert torch.equal(found.decoded[:, 30:], decoded[6:])
    assert torch.equal(found.activity[:, 20:], states[6:, :20])
    # What is kept belongs together.
    again = model.cells().decode(found.activity.flatten(0, 1) @ model.parameters["readout"][0].mT)
    torch.testing.assert_close(again, found.meanwhile.flatten(0, 1))
    asleep_ = record(asleep(model, 30, 250, 0.1, Streams(0)))
    assert asleep_.decoded.shape == (250, 30, 2)
    assert asleep_.activity.shape == (250, 20, 8)
    _, states, decoded = joined(asleep(model, 30, 250, 0.1, Streams(0)))
    assert torch.equal(asleep_.decoded, decoded)
    np.testing.assert_allclose(
        asleep_.covariance, np.cov(states.flatten(0, 1).T.numpy(), bias=True), atol=1e-12
    )
    np.testing.assert_allclose(asleep_.mean, states.flatten(0, 1).mean(0).numpy(), atol=1e-12)
    # The noise of the recording is that of the configuration, not of the caller.
    quiet = replace(
        model, configuration=configured("spatial_navigation", hidden_size=8, sigma2_rec=0.0)
    )
    assert record(awake(quiet, 30, 1, Streams(0)), trials=True).covariance.trace() < (
        found.covariance.trace()
    )
