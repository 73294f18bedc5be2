"""Learning as in the released code: its loops, written down plainly, and both engines against them.

The release computes both phases at every step, and multiplies updates by lambda or 1 - lambda. With
REINFORCE, the opposite phase's updates enter traces. Its updates of the generative weights always
take in the activity of inference, so that asleep their traces take in the errors of inference.
"""

import numpy as np
import pytest
import torch

from impression_learning.circuits import Circuits, Inputs
from impression_learning.engines import ENGINES
from impression_learning.kinds import Algorithm
from impression_learning.model import Setting, one_layer
from impression_learning.simulate import Group, Member
from impression_learning.stimuli import LatentProcess
from sharpwave_shared.seeding import Streams

STEPS, N_IN, N, N_TOP = 80, 6, 3, 2
SIGMA, SIGMA_GEN = 0.1, 0.3
"""All noise but that of the top layer's transition, and that."""
ENOUGH = 1e-12
Arrays = dict[str, np.ndarray]
ASLEEP = {"W_in", "b", "W_2"}
"""What impression learning changes asleep; it changes all else awake."""
ALWAYS_AWAKE = {"W_out"}
"""What it changes in the first step after sleep, too."""
ONE_LAYER = {"W_in": "recognition.0", "W_out": "generation.0", "D": "transition"}
TWO_LAYERS = ONE_LAYER | {
    "W_2": "recognition.1",
    "V": "generation.1",
    "b": "recognition_bias.0",
    "c": "generation_bias.1",
}
"""Names of the package, by the paper's symbols."""


class Learner:
    """Weights that impression learning changes, or REINFORCE of the release."""

    def __init__(self, weights: Arrays, eta: float, *, reinforce: bool):
        self.weights = {name: value.copy() for name, value in weights.items()}
        self.traces = {name: np.zeros_like(value) for name, value in weights.items()}
        self.mean_loss = 0.0
        self.eta, self.reinforce = eta, reinforce

    def learn(self, updates: Arrays, loss: float, lam: int, *, first_awake: bool) -> None:
        """Take in the updates of a step, as they are before they are multiplied by lambda."""
        self.mean_loss = 0.99 * self.mean_loss + 0.01 * loss
        for name, update in updates.items():
            own = 1 - lam if name in ASLEEP else lam
            opposite = 1 - own
            if first_awake and name not in ALWAYS_AWAKE:
                own = 0
            self.traces[name] = opposite * update + 0.9 * self.traces[name]
            change = own * update
            if self.reinforce:
                change = change + (loss - self.mean_loss) * self.traces[name]
            self.weights[name] = self.weights[name] + self.eta * change


def square(surprise: np.ndarray, sigma: float) -> float:
    return float(np.sum(surprise**2)) / sigma**2


def one_layer_loop(
    x: np.ndarray, xi_inf: np.ndarray, xi_gen: np.ndarray, period: int, learner: Learner
) -> np.ndarray:
    """Give activity (s, then r) at every step."""
    lam_before, r_before, states = 1, np.zeros(N), []
    for t in range(len(x)):
        W_in, W_out, D = (learner.weights[name] for name in ("W_in", "W_out", "D"))
        lam = 1 - (t // (period + 1)) % 2
        first_awake = lam == 1 and lam_before == 0
        s_inf = x[t] + SIGMA * xi_inf[t, :N_IN]
        m = np.tanh(W_in @ s_inf)
        r_inf = m + SIGMA * xi_inf[t, N_IN:]
        g = D * r_before
        r_gen = g + SIGMA_GEN * xi_gen[t, N_IN:]
        g_0 = W_out @ r_gen
        s_gen = g_0 + SIGMA * xi_gen[t, :N_IN]
        r = lam * r_inf + (1 - lam) * r_gen
        s = lam * s_inf + (1 - lam) * s_gen
        p_0 = W_out @ r_inf
        q = np.tanh(W_in @ s)

        wake = square(s - p_0, SIGMA) - square(s - x[t], SIGMA)
        wake += square(r - (r_before if first_awake else g), SIGMA_GEN) - square(r - m, SIGMA)
        sleep = square(s - x[t], SIGMA) - square(s - g_0, SIGMA)
        sleep += square(r - q, SIGMA) - square(r - g, SIGMA_GEN)
        updates = {
            "W_in": np.outer((1 - q**2) * (r - q), s),
            "W_out": np.outer(x[t] - p_0, r_inf),
            "D": (r - g) * r_before,
        }
        learner.learn(updates, lam * wake + (1 - lam) * sleep, lam, first_awake=first_awake)
        lam_before, r_before = lam, r
        states.append(np.concatenate([s, r]))
    return np.array(states)


def two_layer_loop(
    x: np.ndarray, xi_inf: np.ndarray, xi_gen: np.ndarray, period: int, learner: Learner
) -> np.ndarray:
    """Give activity (s, then r of layer 1, then of layer 2) at every step."""
    lam_before, r1_before, r2_before, states = 1, np.zeros(N), np.zeros(N_TOP), []
    edges = (N_IN, N_IN + N)
    for t in range(len(x)):
        names = ("W_in", "b", "W_2", "W_out", "V", "c", "D")
        W_in, b, W_2, W_out, V, c, D = (learner.weights[name] for name in names)
        xi_inf_0, xi_inf_1, xi_inf_2 = np.split(xi_inf[t], edges)
        xi_gen_0, xi_gen_1, xi_gen_2 = np.split(xi_gen[t], edges)
        lam = 1 - (t // (period + 1)) % 2
        first_awake = lam == 1 and lam_before == 0
        s_inf = x[t] + SIGMA * xi_inf_0
        m_1 = np.tanh(W_in @ s_inf + b)
        r1_inf = m_1 + SIGMA * xi_inf_1
        m_2 = np.tanh(W_2 @ r1_inf)
        r2_inf = m_2 + SIGMA * xi_inf_2
        g_2 = D * r2_before
        r2_gen = g_2 + SIGMA_GEN * xi_gen_2
        g_1 = np.tanh(V @ r2_gen + c)
        r1_gen = g_1 + SIGMA * xi_gen_1
        g_0 = W_out @ r1_gen
        s_gen = g_0 + SIGMA * xi_gen_0
        s = lam * s_inf + (1 - lam) * s_gen
        r1 = lam * r1_inf + (1 - lam) * r1_gen
        r2 = lam * r2_inf + (1 - lam) * r2_gen
        p_0 = W_out @ r1_inf
        p_1 = np.tanh(V @ r2_inf + c)
        q_1 = np.tanh(W_in @ s + b)
        q_2 = np.tanh(W_2 @ r1)

        wake = square(s - p_0, SIGMA) - square(s - x[t], SIGMA)
        wake += square(r1 - (r1_before if first_awake else p_1), SIGMA) - square(r1 - m_1, SIGMA)
        wake += square(r2 - (r2_before if first_awake else g_2), SIGMA_GEN)
        wake -= square(r2 - m_2, SIGMA)
        sleep = square(s - x[t], SIGMA) - square(s - g_0, SIGMA)
        sleep += square(r1 - q_1, SIGMA) - square(r1 - g_1, SIGMA)
        sleep += square(r2 - q_2, SIGMA) - square(r2 - g_2, SIGMA_GEN)
        recognised = (1 - q_1**2) * (r1 - q_1)
        predicted = (1 - p_1**2) * (r1_inf - p_1)
        updates = {
            "W_in": np.outer(recognised, s),
            "b": recognised,
            "W_2": np.outer((1 - q_2**2) * (r2 - q_2), r1),
            "W_out": np.outer(x[t] - p_0, r1_inf),
            "V": np.outer(predicted, r2_inf),
            "c": predicted,
            "D": (r2 - g_2) * r2_before,
        }
        learner.learn(updates, lam * wake + (1 - lam) * sleep, lam, first_awake=first_awake)
        lam_before, r1_before, r2_before = lam, r1, r2
        states.append(np.concatenate([s, r1, r2]))
    return np.array(states)


@pytest.mark.parametrize("engine", ["fused", "batched"])
@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize(("algorithm", "eta"), [("impression", 3e-2), ("reinforce", 3e-5)])
@pytest.mark.parametrize("sizes", [(N_IN, N), (N_IN, N, N_TOP)], ids=["one layer", "two layers"])
def test_states_and_weights_are_those_of_the_release(
    sizes: tuple[int, ...], algorithm: Algorithm, eta: float, period: int, engine: str
) -> None:
    sigma_gen = *(SIGMA,) * (len(sizes) - 1), SIGMA_GEN
    setting = Setting(
        sizes, (SIGMA,) * len(sizes), sigma_gen, eta, period, algorithm, third_factor="released"
    )
    loop, names = (one_layer_loop, ONE_LAYER) if len(sizes) == 2 else (two_layer_loop, TWO_LAYERS)
    rng = np.random.default_rng(1)
    x = 0.4 * rng.standard_normal((STEPS, N_IN))
    xi = torch.from_numpy(rng.standard_normal((2, STEPS, 1, sum(sizes))).astype(np.float32))
    circuits = Circuits.new([setting], [Streams(0)], torch.device("cpu"))
    tensors = {name: circuits.weights.tensors()[own][0] for name, own in names.items()}
    for name, tensor in tensors.items():
        if name in ("b", "c"):
            tensor += torch.from_numpy(0.2 * rng.standard_normal(len(tensor)))
        elif name != "D":
            tensor *= 3
    start = {name: tensor.numpy().copy() for name, tensor in tensors.items()}

    given = torch.from_numpy(x[:, None]), xi[0], xi[1], setting.awake(0, STEPS)[:, None]
    state = torch.zeros(1, sum(sizes)).double()
    _, states = ENGINES[engine](
        circuits, state, Inputs(*given, np.array([True])), learn=True, record=True
    )
    learner = Learner(start, eta, reinforce=algorithm == "reinforce")
    xi_inf, xi_gen = (values[:, 0].double().numpy() for values in xi)
    expected = loop(x, xi_inf, xi_gen, period, learner)
    np.testing.assert_allclose(states[:, 0], expected, rtol=0, atol=ENOUGH)
    for name, tensor in tensors.items():
        end = learner.weights[name]
        np.testing.assert_allclose(tensor.numpy(), end, rtol=0, atol=ENOUGH, err_msg=name)
        assert np.abs(end - start[name]).max() > 1e-3, name


def test_inference_and_generation_have_noise_of_their_own() -> None:
    """Where both are computed in one step; elsewhere one set of numbers serves both."""
    seen = []
    for third_factor in ("gradient", "released"):
        setting = one_layer(
            N_IN, N, eta=1e-9, sigma_gen=0.3, algorithm="reinforce", third_factor=third_factor
        )
        group = Group([Member(setting, LatentProcess(2, N_IN), 0)], torch.device("cpu"))
        engine = group.engine

        def look(circuits, state, inputs, engine=engine, **how):
            seen.append((inputs.noise_inf, inputs.noise_gen))
            return engine(circuits, state, inputs, **how)

        group.engine = look
        group.learn(group.start("training"), 64)
    (one, same), (first, second) = seen
    assert torch.equal(one, same)
    assert torch.equal(one, first)
    assert not torch.equal(first, second)
