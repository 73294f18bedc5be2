"""The data: the plain recursion, stationarity, and reading in chunks."""

import numpy as np
import pytest
import torch

from impression_learning.model import Setting
from impression_learning.reference import plain_latent_process
from impression_learning.stimuli import LatentProcess, Sequences, read_together
from sharpwave_shared.errors import InvalidInputError, ParameterError
from sharpwave_shared.seeding import Streams

CPU = torch.device("cpu")


@pytest.mark.parametrize("dt", [1.0, 0.1, 0.01])
def test_latent_process_equals_the_plain_recursion(dt: float) -> None:
    """Over two chunks, with the noise that the process draws."""
    streams, steps = Streams(3), 70
    world = LatentProcess(3, 5, dt).world(streams, CPU, torch.float64)
    state = world.start("training")
    found_x, found_z = [], []
    after = state
    for chunk in range(2):
        x, z, after = world.read("training", chunk, steps, after)
        found_x.append(x)
        found_z.append(z)
    xi = torch.cat(
        [torch.randn(steps, 3, generator=streams.torch("training", "latents", c)) for c in (0, 1)]
    )
    expected_x, expected_z = plain_latent_process(
        world.mixing.numpy(), state.numpy(), dt, xi.numpy()
    )
    np.testing.assert_allclose(torch.cat(found_z), expected_z, atol=1e-12)
    np.testing.assert_allclose(torch.cat(found_x), expected_x, atol=1e-12)
    assert torch.equal(after, found_z[1][-1])


def test_latents_are_stationary_and_forget_at_the_stated_rate() -> None:
    process = LatentProcess(400, 2, 0.1)
    world = process.world(Streams(0), CPU, torch.float64)
    _, z, _ = world.read("test", 0, 4000, world.start("test"))
    variance = process.a**2 / (1 - process.decay**2)
    assert float(world.start("test").var()) == pytest.approx(variance, rel=0.25)
    assert float(z.square().mean()) == pytest.approx(variance, rel=0.03)
    successive = float((z[1:] * z[:-1]).mean() / z.square().mean())
    assert process.decay == pytest.approx(0.975)
    assert successive == pytest.approx(0.975, abs=0.002)


def test_passages_and_seeds_differ() -> None:
    process = LatentProcess(3, 5)

    def data(seed: int, passage: str) -> torch.Tensor:
        world = process.world(Streams(seed), CPU, torch.float64)
        return world.read(passage, 0, 50, world.start(passage))[0]

    assert torch.equal(data(0, "test"), data(0, "test"))
    assert not torch.equal(data(0, "test"), data(1, "test"))
    assert not torch.equal(data(0, "test"), data(0, "training"))


def test_mixing_has_the_stated_deviation() -> None:
    mixing = LatentProcess(50, 400).world(Streams(0), CPU, torch.float64).mixing
    assert float(mixing.std()) == pytest.approx(1 / 50, rel=0.03)


def test_sequences_repeat_without_end() -> None:
    values = np.arange(14.0).reshape(7, 2)
    world = Sequences({"training": values}).world(Streams(0), CPU, torch.float64)
    state = world.start("training")
    chunks = [world.read("training", chunk, 5, state)[0] for chunk in range(3)]
    expected = np.concatenate([values, values, values])[:15]
    np.testing.assert_array_equal(torch.cat(chunks), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5), "n_latent: got 0"),
        ((3, 0), "n_in: got 0"),
        ((3, 5, 0.0), "dt: got 0"),
        ((3, 5, 1.5), "dt: got 1.5"),
        ((3, 5, float("nan")), "dt: got nan"),
    ],
)
def test_bad_parameters(arguments: tuple, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LatentProcess(*arguments)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sizes": (0, 2)}, "n_in: got 0, expected a whole number, at least 1"),
        ({"sizes": (2, 0)}, "n: got 0"),
        ({"sizes": (2, 2, 2)}, "every layer needs a size and two noise levels"),
        ({"sigma_inf": (0.0, 0.1)}, "sigma_in: got 0, expected a number above 0"),
        ({"sigma_inf": (0.1, float("inf"))}, "sigma_inf: got inf"),
        ({"sigma_gen": (float("nan"), 0.1)}, "sigma_obs: got nan"),
        ({"sigma_gen": (0.1, -1.0)}, "sigma_gen: got -1"),
        ({"eta": -1.0}, "eta: got -1, expected a number, at least 0"),
        ({"eta": float("nan")}, "eta: got nan"),
        ({"switch_period": -1}, "switch_period: got -1"),
    ],
)
def test_bad_settings(changed: dict, message: str) -> None:
    good = {"sizes": (3, 2), "sigma_inf": (0.1, 0.1), "sigma_gen": (0.1, 0.1), "eta": 0.1}
    with pytest.raises(InvalidInputError, match=message):
        Setting(**(good | changed))


def test_backpropagation_is_for_one_latent_layer() -> None:
    with pytest.raises(ParameterError, match="algorithm: got backprop"):
        Setting((3, 2, 2), (0.1,) * 3, (0.1,) * 3, 0.1, algorithm="backprop")


def test_worlds_read_together_are_those_read_alone() -> None:
    law = LatentProcess(3, 7)
    worlds = [law.world(Streams(seed), CPU, torch.float64) for seed in range(4)]
    states = [world.start("training") for world in worlds]
    x, z, after = read_together(worlds, "training", 2, 50, states)
    for n, (world, state) in enumerate(zip(worlds, states, strict=True)):
        alone = world.read("training", 2, 50, state)
        torch.testing.assert_close((x[:, n], z[:, n], after[n]), alone, rtol=1e-12, atol=1e-14)
    others = [worlds[0], LatentProcess(3, 7, dt=0.2).world(Streams(1), CPU, torch.float64)]
    x, _, _ = read_together(others, "training", 2, 50, states[:2])
    torch.testing.assert_close(x[:, 1], others[1].read("training", 2, 50, states[1])[0])
