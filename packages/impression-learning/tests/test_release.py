"""Learning as in the released code: its loop, written down plainly, and both engines against it.

The release computes both phases at every step, and multiplies updates by lambda or 1 - lambda.
"""

import numpy as np
import pytest
import torch

from impression_learning.circuits import Circuits, Inputs
from impression_learning.engines import ENGINES
from impression_learning.model import one_layer
from impression_learning.simulate import Group, Member
from impression_learning.stimuli import LatentProcess
from sharpwave_shared.seeding import Streams

STEPS, N_IN, N = 80, 6, 3
ENOUGH = 1e-12
Released = dict[str, np.ndarray]


def released_loop(
    x: np.ndarray, xi_inf: np.ndarray, xi_gen: np.ndarray, start: Released, eta: float,
    sigma: float, sigma_gen: float, period: int, *, reinforce: bool,
) -> tuple[np.ndarray, Released]:  # fmt: skip
    """Give activity (s, then r) at every step, and the weights at the end."""
    W_in, W_out, D = (start[name].copy() for name in ("W_in", "W_out", "D"))
    trace_in, trace_out, trace_D = (np.zeros_like(start[name]) for name in ("W_in", "W_out", "D"))
    mean_loss, lam_before, r_before, states = 0.0, 1, np.zeros(len(D)), []
    for t in range(len(x)):
        lam = 1 - (t // (period + 1)) % 2
        s_inf = x[t] + sigma * xi_inf[t, :N_IN]
        r_inf_mean = np.tanh(W_in @ s_inf)
        r_inf = r_inf_mean + sigma * xi_inf[t, N_IN:]
        r_gen_mean = D * r_before
        r_gen = r_gen_mean + sigma_gen * xi_gen[t, N_IN:]
        s_gen_mean = W_out @ r_gen
        s_gen = s_gen_mean + sigma * xi_gen[t, :N_IN]
        r = lam * r_inf + (1 - lam) * r_gen
        s = lam * s_inf + (1 - lam) * s_gen
        told = np.tanh(W_in @ s)
        first_awake = lam == 1 and lam_before == 0

        d_in = np.outer((1 - told**2) * (r - told), s)
        d_out = np.outer(x[t] - W_out @ r_inf, r_inf)
        d_D = (r - r_gen_mean) * r_before
        step_in, step_out, step_D = (1 - lam) * d_in, lam * d_out, lam * (not first_awake) * d_D
        if reinforce:
            expected = r_before if first_awake else r_gen_mean
            wake = (
                np.sum((s - W_out @ r_inf) ** 2) / sigma**2 - np.sum((s - x[t]) ** 2) / sigma**2
                + np.sum((r - expected) ** 2) / sigma_gen**2
                - np.sum((r - r_inf_mean) ** 2) / sigma**2
            )  # fmt: skip
            sleep = (
                np.sum((s - x[t]) ** 2) / sigma**2 - np.sum((s - s_gen_mean) ** 2) / sigma**2
                + np.sum((r - told) ** 2) / sigma**2
                - np.sum((r - r_gen_mean) ** 2) / sigma_gen**2
            )  # fmt: skip
            loss = lam * wake + (1 - lam) * sleep
            mean_loss = 0.99 * mean_loss + 0.01 * loss
            trace_in = lam * d_in + 0.9 * trace_in
            trace_out = (1 - lam) * d_out + 0.9 * trace_out
            trace_D = (1 - lam) * d_D + 0.9 * trace_D
            step_in = step_in + (loss - mean_loss) * trace_in
            step_out = step_out + (loss - mean_loss) * trace_out
            step_D = step_D + (loss - mean_loss) * trace_D
        W_in, W_out, D = W_in + eta * step_in, W_out + eta * step_out, D + eta * step_D
        lam_before, r_before = lam, r
        states.append(np.concatenate([s, r]))
    return np.array(states), {"W_in": W_in, "W_out": W_out, "D": D}


@pytest.mark.parametrize("engine", ["fused", "batched"])
@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize(("algorithm", "eta"), [("impression", 3e-2), ("reinforce", 3e-5)])
def test_states_and_weights_are_those_of_the_release(
    algorithm: str, eta: float, period: int, engine: str
) -> None:
    setting = one_layer(
        N_IN, N, eta=eta, sigma_gen=0.3, sigma_inf=0.1, sigma_obs=0.1, sigma_in=0.1,
        switch_period=period, algorithm=algorithm, third_factor="released",
    )  # fmt: skip
    circuits = Circuits.new([setting], [Streams(0)], torch.device("cpu"))
    names = {"W_in": "recognition.0", "W_out": "generation.0", "D": "transition"}
    tensors = {name: circuits.weights.tensors()[own][0] for name, own in names.items()}
    for name in ("W_in", "W_out"):
        tensors[name] *= 3
    start = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    rng = np.random.default_rng(1)
    x = 0.4 * rng.standard_normal((STEPS, N_IN))
    xi = torch.from_numpy(rng.standard_normal((2, STEPS, 1, N_IN + N)).astype(np.float32))
    given = torch.from_numpy(x[:, None]), xi[0], xi[1], setting.awake(0, STEPS)[:, None]
    state = torch.zeros(1, N_IN + N).double()
    _, states = ENGINES[engine](
        circuits, state, Inputs(*given, np.array([True])), learn=True, record=True
    )
    plain = (values[:, 0].double().numpy() for values in xi)
    expected, end = released_loop(
        x, *plain, start, eta, 0.1, 0.3, period, reinforce=algorithm == "reinforce"
    )
    np.testing.assert_allclose(states[:, 0], expected, rtol=0, atol=ENOUGH)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(tensor.numpy(), end[name], rtol=0, atol=ENOUGH)
        assert np.abs(end[name] - start[name]).max() > 1e-3


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
