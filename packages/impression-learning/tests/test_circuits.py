"""Both engines against the plain transcription, the control's gradients against differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from impression_learning import batched, fused
from impression_learning.circuits import Circuits
from impression_learning.model import Parameters, Setting, one_layer
from impression_learning.reference import plain_one_layer, plain_two_layers
from sharpwave_shared.seeding import Streams

STEPS = 60
ENGINES = {"fused": fused.advance, "batched": batched.advance}


def noise(units: int, networks: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(STEPS, networks, units, generator=generator)


def stimulus(n_in: int, networks: int) -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy(0.3 * rng.standard_normal((STEPS, networks, n_in)))


def run(
    engine: Callable, circuits: Circuits, x: torch.Tensor, *, learn: bool = True, pieces: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run all steps, in several pieces, with noise of two different seeds."""
    networks, units = len(circuits.settings), circuits.settings[0].units
    state = torch.zeros(networks, units, dtype=torch.float64)
    noise_inf, noise_gen = noise(units, networks, 1), noise(units, networks, 2)
    awake = np.stack([s.awake(0, STEPS) for s in circuits.settings], 1)
    was_awake = np.ones(networks, bool)
    losses, states = [], []
    for part in np.array_split(np.arange(STEPS), pieces):
        span = slice(part[0], part[-1] + 1)
        loss, activity = engine(
            circuits.settings,
            circuits.parameters,
            circuits.traces,
            circuits.loss_mean,
            state,
            was_awake,
            x[span],
            noise_inf[span],
            noise_gen[span],
            awake[span],
            learn,
            True,
        )
        was_awake = awake[span][-1]
        losses.append(loss)
        states.append(activity)
    return torch.cat(losses), torch.cat(states)


def new(settings: list[Setting]) -> Circuits:
    circuits = Circuits.new(
        settings, [Streams(seed) for seed in range(len(settings))], torch.device("cpu")
    )
    for parameter in circuits.parameters.tensors().values():
        parameter *= 3  # the release's initial weights are so small that little is nonlinear
    circuits.parameters.transition /= 4
    return circuits


def drawn(index: int, parts: dict[str, slice], units: int, networks: int) -> Callable:
    """Draw what `run` used, by the oracle's names."""
    kinds = {"inf": noise(units, networks, 1), "gen": noise(units, networks, 2)}

    def draw(name: str, t: int, size: int) -> np.ndarray:
        layer, kind = name.split("_")
        values = kinds[kind][t, index, parts[layer]].numpy().astype(float)
        assert len(values) == size
        return values

    return draw


def settings_of(algorithm: str, third_factor: str = "gradient") -> list[Setting]:
    eta = {"impression": 3e-2, "reinforce": 1e-3, "backprop": 1e-2}[algorithm]
    common = {"algorithm": algorithm, "third_factor": third_factor, "sigma_obs": 0.1}
    common |= {"sigma_inf": 0.2, "sigma_in": 0.15}
    return [
        one_layer(7, 3, eta=eta, sigma_gen=0.3, switch_period=1, **common),
        one_layer(7, 3, eta=eta / 2, sigma_gen=0.25, switch_period=3, **common),
        one_layer(7, 3, eta=eta, sigma_gen=0.25, switch_period=0, **common),
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("algorithm", "third_factor"),
    [("impression", "gradient"), ("reinforce", "gradient"), ("reinforce", "released")],
)
def test_one_layer_equals_the_plain_transcription(
    engine: str, algorithm: str, third_factor: str
) -> None:
    settings = settings_of(algorithm, third_factor)
    circuits, x = new(settings), stimulus(7, 3)
    plain = [
        {
            "W_in": circuits.parameters.recognition[0][i].numpy().copy(),
            "W_out": circuits.parameters.generation[0][i].numpy().copy(),
            "D": circuits.parameters.transition[i].numpy().copy(),
            "r": np.zeros(3),
            "loss_mean": np.nan,
            "e_in": np.zeros((3, 7)),
            "e_out": np.zeros((7, 3)),
            "e_D": np.zeros(3),
        }
        for i in range(3)
    ]
    start = circuits.parameters.clone()
    losses, states = run(ENGINES[engine], circuits, x, pieces=4)
    for i, (weights, setting) in enumerate(zip(plain, settings, strict=True)):
        expected = plain_one_layer(
            weights,
            x[:, i].numpy(),
            setting.awake(0, STEPS),
            drawn(i, {"s": slice(0, 7), "r": slice(7, 10)}, 10, 3),
            sigma_inf=setting.sigma_inf[1],
            sigma_obs=setting.sigma_gen[0],
            sigma_in=setting.sigma_inf[0],
            sigma_gen=setting.sigma_gen[1],
            eta=setting.eta,
            algorithm=algorithm,
            third_factor=-0.5 if third_factor == "gradient" else 1.0,
        )
        np.testing.assert_allclose(losses[:, i], expected["loss"], rtol=1e-9)
        np.testing.assert_allclose(states[:, i, :7], expected["s"], atol=1e-11)
        np.testing.assert_allclose(states[:, i, 7:], expected["r"], atol=1e-11)
        p = circuits.parameters
        np.testing.assert_allclose(p.recognition[0][i], weights["W_in"], atol=1e-11)
        np.testing.assert_allclose(p.generation[0][i], weights["W_out"], atol=1e-11)
        np.testing.assert_allclose(p.transition[i], weights["D"], atol=1e-11)
        for name in ("recognition.0", "generation.0", "transition"):
            if name == "transition" and algorithm == "impression" and setting.switch_period == 0:
                continue  # every awake step is the first after sleep
            assert not torch.allclose(p.tensors()[name][i], start.tensors()[name][i], atol=1e-4)
        assert not p.recognition_bias[0].any()
        assert not p.generation_bias[0].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_two_layers_equal_the_plain_transcription(engine: str) -> None:
    setting = Setting((7, 5, 3), (0.1,) * 3, (0.1, 0.1, 0.3), 3e-2)
    circuits, x = new([setting, setting]), stimulus(7, 2)
    p = circuits.parameters
    names = {
        "W_in": p.recognition[0],
        "b": p.recognition_bias[0],
        "W_2": p.recognition[1],
        "W_out": p.generation[0],
        "V": p.generation[1],
        "c": p.generation_bias[1],
        "D": p.transition,
    }
    plain = [
        {name: t[i].numpy().copy() for name, t in names.items()}
        | {"r1": np.zeros(5), "r2": np.zeros(3)}
        for i in range(2)
    ]
    start = p.clone().tensors()
    losses, states = run(ENGINES[engine], circuits, x, pieces=3)
    parts = {"s": slice(0, 7), "r1": slice(7, 12), "r2": slice(12, 15)}
    for i, weights in enumerate(plain):
        expected = plain_two_layers(
            weights,
            x[:, i].numpy(),
            setting.awake(0, STEPS),
            drawn(i, parts, 15, 2),
            sigma=0.1,
            sigma_gen=0.3,
            eta=3e-2,
        )
        np.testing.assert_allclose(losses[:, i], expected["loss"], rtol=1e-9)
        for name, part in parts.items():
            np.testing.assert_allclose(states[:, i, part], expected[name], atol=1e-11)
        for name, tensor in names.items():
            np.testing.assert_allclose(tensor[i], weights[name], atol=1e-11, err_msg=name)
    constant = {"recognition_bias.1", "generation_bias.0"}
    for name, tensor in p.tensors().items():
        assert torch.equal(tensor, start[name]) == (name in constant), name


@pytest.mark.parametrize(
    "settings",
    [
        settings_of("impression"),
        settings_of("reinforce"),
        settings_of("backprop"),
        [
            Setting((6, 5, 4, 3), (0.1,) * 4, (0.1, 0.1, 0.1, 0.3), 1e-5, 1, algorithm)
            for algorithm in ("reinforce", "reinforce")
        ],
    ],
    ids=["impression", "reinforce", "backprop", "three layers"],
)
def test_the_engines_agree(settings: list[Setting]) -> None:
    x = stimulus(settings[0].sizes[0], len(settings))
    one, other = new(settings), new(settings)
    losses, states = run(fused.advance, one, x)
    losses_other, states_other = run(batched.advance, other, x, pieces=2)
    torch.testing.assert_close(losses, losses_other, rtol=1e-9, atol=0)
    torch.testing.assert_close(states, states_other, rtol=0, atol=1e-10)
    for name, tensor in one.tensors().items():
        torch.testing.assert_close(
            tensor, other.tensors()[name], rtol=1e-9, atol=1e-10, equal_nan=True
        )


@pytest.mark.parametrize("engine", ENGINES)
def test_without_learning_nothing_changes(engine: str) -> None:
    circuits = new(settings_of("reinforce"))
    before = {name: t.clone() for name, t in circuits.tensors().items()}
    run(ENGINES[engine], circuits, stimulus(7, 3), learn=False)
    for name, tensor in circuits.tensors().items():
        torch.testing.assert_close(tensor, before[name], equal_nan=True, rtol=0, atol=0)


def test_gradients_of_the_control_are_the_differences_of_its_objective() -> None:
    """One awake step (not the first after sleep), one that is, and one asleep, by differences."""
    setting = one_layer(
        5, 3, eta=1e-2, sigma_gen=0.3, sigma_inf=0.2, sigma_obs=0.1, sigma_in=0.15,
        algorithm="backprop",
    )  # fmt: skip
    rng = np.random.default_rng(1)
    x, xi_s, xi_r = rng.normal(size=5), rng.normal(size=5), rng.normal(size=3)
    before = rng.normal(size=3)
    xi = torch.from_numpy(np.concatenate([xi_s, xi_r])).float()
    xi_s, xi_r = xi[:5].double().numpy(), xi[5:].double().numpy()

    def objective(p: dict[str, np.ndarray], awake: bool, first: bool, seen: tuple) -> float:
        if awake:
            s = x + 0.15 * xi_s
            r = np.tanh(p["recognition.0"] @ s) + 0.2 * xi_r
            mean = before if first else p["transition"] * before
            return (
                np.sum((r - mean) ** 2) / 0.3**2 + np.sum((s - p["generation.0"] @ r) ** 2) / 0.1**2
            )
        s, r = seen
        return np.sum((r - np.tanh(p["recognition.0"] @ s)) ** 2) / 0.2**2

    for awake, first in ((True, False), (True, True), (False, False)):
        circuits = new([setting])
        start = {n: t[0].numpy().copy() for n, t in circuits.parameters.tensors().items()}
        state = torch.zeros(1, 8, dtype=torch.float64)
        state[0, 5:] = torch.from_numpy(before)
        r = start["transition"] * before + 0.3 * xi_r
        seen = (start["generation.0"] @ r + 0.1 * xi_s, r)
        circuits.advance(
            state,
            np.array([not first]),
            torch.from_numpy(x)[None, None],
            xi[None, None],
            xi[None, None],
            np.array([[awake]]),
            learn=True,
        )
        rates = {
            "recognition.0": 1e-2 * 0.2**2,
            "generation.0": 1e-2 * 0.2**2,
            "transition": 1e-2 * 0.3**2,
        }
        for name, rate in rates.items():
            changed = circuits.parameters.tensors()[name][0].numpy() - start[name]
            slopes = np.zeros_like(changed)
            for place in np.ndindex(changed.shape):
                ends = []
                for sign in (1, -1):
                    moved = {n: value.copy() for n, value in start.items()}
                    moved[name][place] += sign * 1e-5
                    ends.append(objective(moved, awake, first, seen))
                slopes[place] = (ends[0] - ends[1]) / 2e-5
            np.testing.assert_allclose(changed, -rate * slopes, rtol=1e-5, atol=1e-9)


def test_divergence_shows_in_the_losses() -> None:
    setting = one_layer(7, 3, eta=1e4, sigma_gen=0.3)
    for engine in ENGINES.values():
        losses, _ = run(engine, new([setting]), stimulus(7, 1))
        finite = torch.isfinite(losses[:, 0])
        assert finite[0]
        assert not finite[-1]


def test_parameters_name_every_tensor() -> None:
    circuits = new([Setting((4, 3, 2), (0.1,) * 3, (0.1,) * 3, 0.1)])
    other = circuits.parameters.zeros()
    other.load(circuits.parameters.tensors())
    assert isinstance(other, Parameters)
    for name, tensor in other.tensors().items():
        assert torch.equal(tensor, circuits.parameters.tensors()[name])
    assert len(other.tensors()) == 1 + 4 * 2
