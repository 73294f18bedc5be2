"""Both engines against the plain transcription, the control's gradients against differences."""

import numpy as np
import pytest
import torch

from impression_learning import fused
from impression_learning.circuits import Circuits, Engine, Inputs
from impression_learning.engines import ENGINES
from impression_learning.model import Setting, one_layer
from sharpwave_shared.seeding import Streams

STEPS = 60
FAST = ("fused", "batched")
Results = tuple[torch.Tensor, torch.Tensor]


def noise(units: int, networks: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(STEPS, networks, units, generator=generator)


def stimulus(n_in: int, networks: int) -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy(0.3 * rng.standard_normal((STEPS, networks, n_in)))


def run(
    engine: Engine, circuits: Circuits, x: torch.Tensor, *, learn: bool = True, pieces: int = 1
) -> Results:
    """Run all steps, in several pieces, with noise of two different seeds."""
    networks, units = len(circuits.settings), circuits.settings[0].units
    state = torch.zeros(networks, units, dtype=torch.float64)
    noise_inf, noise_gen = noise(units, networks, 1), noise(units, networks, 2)
    awake = np.stack([s.awake(0, STEPS) for s in circuits.settings], 1)
    was_awake = np.ones(networks, bool)
    losses, states = [], []
    for part in np.array_split(np.arange(STEPS), pieces):
        span = slice(part[0], part[-1] + 1)
        inputs = Inputs(x[span], noise_inf[span], noise_gen[span], awake[span], was_awake)
        loss, activity = engine(circuits, state, inputs, learn=learn, record=True)
        was_awake = awake[span][-1]
        losses.append(loss)
        states.append(activity)
    torch.testing.assert_close(state, states[-1][-1], rtol=0, atol=0, equal_nan=True)
    return torch.cat(losses), torch.cat(states)


def assert_same(one: Circuits, other: Circuits, results: Results, expected: Results) -> None:
    """Losses, activity, and all that learning changed agree."""
    torch.testing.assert_close(results[0], expected[0], rtol=1e-9, atol=0)
    torch.testing.assert_close(results[1], expected[1], rtol=0, atol=1e-10)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(
            tensor, other.state_dict()[name], rtol=1e-9, atol=1e-10, equal_nan=True
        )


def new(settings: list[Setting]) -> Circuits:
    circuits = Circuits.new(
        settings, [Streams(seed) for seed in range(len(settings))], torch.device("cpu")
    )
    for parameter in circuits.weights.tensors().values():
        parameter *= 3  # the release's initial weights are so small that little is nonlinear
    circuits.weights.transition /= 4
    return circuits


def settings_of(algorithm: str) -> list[Setting]:
    eta = {"impression": 3e-2, "reinforce": 1e-3, "backprop-alternating": 1e-2}[algorithm]
    common = {"algorithm": algorithm, "sigma_obs": 0.1, "sigma_inf": 0.2, "sigma_in": 0.15}
    return [
        one_layer(7, 3, eta=eta, sigma_gen=0.3, switch_period=1, **common),
        one_layer(7, 3, eta=eta / 2, sigma_gen=0.25, switch_period=3, **common),
        one_layer(7, 3, eta=eta, sigma_gen=0.25, switch_period=0, **common),
    ]


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("algorithm", ["impression", "reinforce"])
def test_one_layer_equals_the_plain_transcription(engine: str, algorithm: str) -> None:
    settings = settings_of(algorithm)
    plain, circuits, start = new(settings), new(settings), new(settings).weights.tensors()
    x = stimulus(7, 3)
    expected = run(ENGINES["reference"], plain, x, pieces=2)
    assert_same(circuits, plain, run(ENGINES[engine], circuits, x, pieces=4), expected)
    for i, setting in enumerate(settings):
        for name in ("recognition.0", "generation.0", "transition"):
            if name == "transition" and algorithm == "impression" and setting.switch_period == 0:
                continue  # every awake step is the first after sleep
            moved = circuits.weights.tensors()[name][i]
            assert not torch.allclose(moved, start[name][i], atol=1e-4)
    assert not circuits.weights.recognition_bias[0].any()
    assert not circuits.weights.generation_bias[0].any()


@pytest.mark.parametrize("engine", FAST)
def test_two_layers_equal_the_plain_transcription(engine: str) -> None:
    settings = [Setting((7, 5, 3), (0.1,) * 3, (0.1, 0.1, 0.3), 3e-2)] * 2
    plain, circuits, start = new(settings), new(settings), new(settings).weights.tensors()
    x = stimulus(7, 2)
    expected = run(ENGINES["reference"], plain, x)
    assert_same(circuits, plain, run(ENGINES[engine], circuits, x, pieces=3), expected)
    constant = {"recognition_bias.1", "generation_bias.0"}
    for name, tensor in circuits.weights.tensors().items():
        assert torch.equal(tensor, start[name]) == (name in constant), name


@pytest.mark.parametrize(
    "setting",
    [
        one_layer(7, 3, eta=1.0, sigma_gen=0.3, algorithm="backprop"),
        one_layer(7, 3, eta=0.1, sigma_gen=0.3, algorithm="reinforce", third_factor="released"),
        Setting((4, 3, 2), (0.1,) * 3, (0.1,) * 3, 0.1, 1, "reinforce"),
        Setting((4, 3, 2, 2), (0.1,) * 4, (0.1,) * 4, 0.1),
    ],
)
def test_there_is_no_plain_transcription_of_the_rest(setting: Setting) -> None:
    with pytest.raises(NotImplementedError):
        run(ENGINES["reference"], new([setting]), stimulus(setting.sizes[0], 1))


@pytest.mark.parametrize(
    "settings",
    [
        settings_of("impression"),
        settings_of("reinforce"),
        settings_of("backprop-alternating"),
    ],
    ids=["impression", "reinforce", "backprop"],
)
def test_the_engines_agree(settings: list[Setting]) -> None:
    x = stimulus(settings[0].sizes[0], len(settings))
    one, other = new(settings), new(settings)
    expected = run(ENGINES["fused"], one, x)
    assert_same(one, other, expected, run(ENGINES["batched"], other, x, pieces=2))


def test_the_engines_agree_on_three_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop runs as plain Python: for another number of layers it would be compiled anew."""
    for name, function in vars(fused).items():
        monkeypatch.setattr(fused, name, getattr(function, "py_func", function))
    noises = (0.1,) * 4, (0.1, 0.1, 0.1, 0.3)
    settings = [
        Setting((6, 5, 4, 3), *noises, 1e-5, 1, "reinforce", third)
        for third in ("gradient", "released")
    ]
    test_the_engines_agree(settings)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_learning_nothing_changes(engine: str) -> None:
    circuits = new(settings_of("reinforce"))
    before = {name: t.clone() for name, t in circuits.state_dict().items()}
    run(ENGINES[engine], circuits, stimulus(7, 3), learn=False)
    for name, tensor in circuits.state_dict().items():
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
        start = {n: t[0].numpy().copy() for n, t in circuits.weights.tensors().items()}
        state = torch.zeros(1, 8, dtype=torch.float64)
        state[0, 5:] = torch.from_numpy(before)
        r = start["transition"] * before + 0.3 * xi_r
        seen = (start["generation.0"] @ r + 0.1 * xi_s, r)
        given = torch.from_numpy(x)[None, None], xi[None, None], xi[None, None]
        inputs = Inputs(*given, np.array([[awake]]), np.array([not first]))
        ENGINES["fused"](circuits, state, inputs, learn=True)
        rates = {
            "recognition.0": 1e-2 * 0.2**2,
            "generation.0": 1e-2 * 0.2**2,
            "transition": 1e-2 * 0.3**2,
        }
        for name, rate in rates.items():
            changed = circuits.weights.tensors()[name][0].numpy() - start[name]
            slopes = np.zeros_like(changed)
            for place in np.ndindex(changed.shape):
                ends = []
                for sign in (1, -1):
                    moved = {n: value.copy() for n, value in start.items()}
                    moved[name][place] += sign * 1e-5
                    ends.append(objective(moved, awake, first, seen))
                slopes[place] = (ends[0] - ends[1]) / 2e-5
            np.testing.assert_allclose(changed, -rate * slopes, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("engine", FAST)
def test_divergence_shows_in_the_losses(engine: str) -> None:
    setting = one_layer(7, 3, eta=1e4, sigma_gen=0.3)
    losses, _ = run(ENGINES[engine], new([setting]), stimulus(7, 1))
    finite = torch.isfinite(losses[:, 0])
    assert finite[0]
    assert not finite[-1]


def test_weights_name_every_tensor() -> None:
    circuits = new([Setting((4, 3, 2), (0.1,) * 3, (0.1,) * 3, 0.1)])
    other = new([Setting((4, 3, 2), (0.1,) * 3, (0.1,) * 3, 0.1)])
    for tensor in other.state_dict().values():
        tensor.zero_()
    other.load_state_dict(circuits.state_dict())
    for name, tensor in other.weights.tensors().items():
        assert torch.equal(tensor, circuits.weights.tensors()[name])
    assert len(other.weights.tensors()) == 1 + 4 * 2
