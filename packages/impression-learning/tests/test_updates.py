"""Statistics of the updates: the plain loop, and the exact gradient of the expected loss."""

import dataclasses

import numpy as np
import pytest
import torch

from impression_learning.circuits import Circuits, Inputs
from impression_learning.model import THIRD_FACTORS, Setting, Weights, initialise, one_layer
from impression_learning.reference import plain_one_layer
from impression_learning.updates import (
    CHUNK,
    QUANTITIES,
    TRACES,
    Moments,
    compare_rules,
    impression_statistics,
    measure_updates,
    reinforce_statistics,
    run_episodes,
)
from sharpwave_shared.seeding import Streams

SETTING = one_layer(3, 2, eta=0.0, sigma_gen=0.3, sigma_inf=0.25, sigma_obs=0.3, sigma_in=0.05)
STIMULUS = torch.tensor(
    [[0.5, -0.3, 0.2], [0.4, -0.1, 0.3], [0.6, 0.1, 0.1], [0.2, 0.3, -0.4]], dtype=torch.float64
)
IN_W, PARAMETERS = 6, 14


def network(seed: int = 1) -> Weights:
    drawn = initialise(SETTING.sizes, [Streams(seed)])
    drawn.recognition[0] *= 2
    drawn.generation[0] *= 2
    return drawn


def noise(episodes: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, SETTING.units, episodes, generator=generator).double()


def plain_updates(setting: Setting, xi: torch.Tensor, traces: str, algorithm: str) -> np.ndarray:
    """Give what each step of each episode would change, episodes x steps x parameters."""
    setting = dataclasses.replace(setting, algorithm=algorithm)
    weights = network()
    memory = weights.zeros() if algorithm == "reinforce" else None
    circuits = Circuits([setting], weights, memory, torch.tensor([torch.nan]).double())
    awake = setting.awake(0, 4)[:, None]
    found = []
    for episode in range(xi.shape[2]):
        if memory is not None and traces == "cleared":
            for tensor in memory.tensors().values():
                tensor.zero_()
        of_episode = xi[:, None, :, episode]
        inputs = Inputs(STIMULUS[:, None], of_episode, of_episode, awake, np.array([True]))
        state, updates = torch.zeros(1, setting.units).double(), []
        plain_one_layer(circuits, 0, state, inputs, learn=False, decay=1.0, updates=updates)
        found.append(updates)
    return np.array(found)


@pytest.mark.parametrize("traces", TRACES)
@pytest.mark.parametrize("third", [-0.5, 0.99])
@pytest.mark.parametrize("period", [1, 0])
def test_moments_are_those_of_a_plain_loop(third: float, traces: str, period: int) -> None:
    """In two batches, across which the running mean and the kept traces go on.

    The plain loop's third factor is -1/2; from its updates those of others follow.
    """
    setting = one_layer(
        3, 2, eta=0.0, sigma_gen=0.3, sigma_inf=0.25, sigma_obs=0.3, sigma_in=0.05,
        switch_period=period,
    )  # fmt: skip
    xi = noise(40)
    moments = Moments(PARAMETERS, STIMULUS)
    for part in (xi[..., :25], xi[..., 25:]):
        moments.add(run_episodes(network(), setting, STIMULUS, part))
    means = {name: value.numpy() for name, value in moments.means().items()}
    own = plain_updates(setting, xi, traces, "impression").reshape(-1, PARAMETERS)
    plain = plain_updates(setting, xi, traces, "reinforce").reshape(-1, PARAMETERS)
    expected = own + third * (plain - own) / -0.5
    found = reinforce_statistics(means, third, traces)
    np.testing.assert_allclose(found.mean, expected.mean(0), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.variance, expected.var(0), rtol=1e-6, atol=1e-9)
    impression = impression_statistics(means)
    np.testing.assert_allclose(impression.mean, own.mean(0), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(impression.variance, own.var(0), rtol=1e-7, atol=1e-10)


def test_reinforce_descends_the_gradient_of_the_expected_loss() -> None:
    """With a minus and a half; by differences of the mean loss with common random numbers.

    The mean update over an episode is -sigma^2 / 2 times the gradient of the episode's expected
    loss, sigma the noise of the layer that the parameter drives.
    """
    xi = noise(60_000)

    def loss(parameters: Weights) -> float:
        return float(run_episodes(parameters, SETTING, STIMULUS, xi).losses.sum(0).mean())

    slopes = []
    parameters = network()
    for name in ("recognition.0", "generation.0", "transition"):
        tensor = parameters.tensors()[name]
        for place in np.ndindex(tuple(tensor.shape)):
            kept = float(tensor[place])
            ends = []
            for moved in (kept + 1e-4, kept - 1e-4):
                tensor[place] = moved
                ends.append(loss(parameters))
            tensor[place] = kept
            slopes.append((ends[0] - ends[1]) / 2e-4)
    variances = np.repeat([0.25**2, 0.3**2, 0.3**2], [6, 6, 2])
    downhill = -variances / 2 * np.array(slopes)

    measured = measure_updates(network(), SETTING, STIMULUS, 400_000, Streams(3))
    moments = {name: value.numpy() for name, value in measured.items()}

    def distance(third: float) -> float:
        mean = 4 * reinforce_statistics(moments, third, "cleared").mean
        return float(np.linalg.norm(mean - downhill) / np.linalg.norm(downhill))

    assert distance(THIRD_FACTORS["gradient"]) < 0.03
    assert distance(2 * THIRD_FACTORS["gradient"]) > 0.5
    assert distance(THIRD_FACTORS["released"]) > 1
    impression = 4 * impression_statistics(moments).mean
    assert np.linalg.norm(impression - downhill) / np.linalg.norm(downhill) > 0.5


def test_more_episodes_are_the_same_episodes_and_more() -> None:
    """Chunks draw by their number, so a longer measurement begins with a shorter one."""
    one = measure_updates(network(), SETTING, STIMULUS, CHUNK, Streams(0))
    two = measure_updates(network(), SETTING, STIMULUS, CHUNK + 100, Streams(0))
    again = measure_updates(network(), SETTING, STIMULUS, CHUNK + 100, Streams(0))
    other = measure_updates(network(), SETTING, STIMULUS, CHUNK, Streams(1))
    assert all(torch.equal(two[name], again[name]) for name in two)
    assert not torch.equal(one["u"], other["u"])
    share = CHUNK / (CHUNK + 100)
    difference = (two["uu"] - share * one["uu"]) / two["uu"]
    assert (difference > 0).all()
    assert (difference < 0.1).all()


def test_comparison_of_the_rules() -> None:
    rng = np.random.default_rng(0)
    moments = {"u": rng.normal(size=(2, 3, 5)), "uu": rng.normal(size=(2, 3, 5)) ** 2 + 20}
    for name, factor, of in (("w", -2, "u"), ("ww", 4, "uu"), ("uw", -2, "uu")):
        moments[name] = np.stack([factor * moments[of]] * len(TRACES), 2)
    compared = compare_rules(moments, 4)
    # u - w / 2 is 2 u; u + 0.99 w is -0.98 u.
    norm = np.linalg.norm(moments["u"][..., :4], axis=-1)
    for place, factor in enumerate((2.0, -0.98)):
        for traces in range(len(TRACES)):
            found = {name: compared[name][place, traces] for name in QUANTITIES}
            np.testing.assert_allclose(found["cosine"], np.sign(factor))
            np.testing.assert_allclose(found["cosine_all"], np.sign(factor))
            np.testing.assert_allclose(found["snr"], compared["impression_snr"])
            np.testing.assert_allclose(found["norm"], abs(factor) * norm)
            np.testing.assert_allclose(found["inner_product"], factor * norm**2)
    u, uu = moments["u"][..., :4], moments["uu"][..., :4]
    np.testing.assert_allclose(compared["impression_snr"], (u**2 / (uu - u**2)).mean(-1))
