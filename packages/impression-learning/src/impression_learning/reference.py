"""The plain transcription of the equations: NumPy, one network, one step at a time.

It serves as the oracle of the tests and as the baseline of the benchmark. Nothing else uses it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impression_learning.circuits import Circuits, Inputs
from impression_learning.kinds import Algorithm
from impression_learning.model import MEAN_DECAY, THIRD_FACTORS, TRACE_DECAY

Draw = Callable[[str, int, int], np.ndarray]
"""Gives the standard normal vector of a name, at a step, of a size."""
Arrays = dict[str, np.ndarray]


def plain_latent_process(
    mixing: np.ndarray, latents: np.ndarray, dt: float, steps: int, draw: Draw
) -> tuple[np.ndarray, np.ndarray]:
    """Let latents wander; give observations (steps x n_in) and latents (steps x n_latent)."""
    a = 0.5 * np.sqrt(dt)
    observed, causes = [], []
    for t in range(steps):
        latents = (1 - a**2) * latents + a * draw("z", t, len(latents))
        observed.append(mixing @ latents)
        causes.append(latents)
    return np.array(observed), np.array(causes)


def plain_one_layer(
    weights: Arrays,
    stimulus: np.ndarray,
    awake: np.ndarray,
    draw: Draw,
    *,
    sigma_inf: float = 0.01,
    sigma_obs: float = 0.01,
    sigma_in: float = 0.01,
    sigma_gen: float = 0.158,
    eta: float = 0.0,
    was_awake: bool = True,
    algorithm: Algorithm = "impression",
    third_factor: float = THIRD_FACTORS["gradient"],
    decay: float = TRACE_DECAY,
    updates: list[np.ndarray] | None = None,
) -> Arrays:
    """Run the one-layer network over a stimulus (steps x n_in), learning in place if eta > 0.

    `weights` holds W_in, W_out and D, and the state that goes on: `r`, and for REINFORCE the
    running mean `loss_mean` (NaN before the first step) and the traces `e_in`, `e_out`, `e_D`.
    `updates` collects what each step would change at a learning rate of 1: W_in, W_out, D, flat.

    Returns
    -------
    dict
        `loss` (steps), `r` (steps x n), `s` (steps x n_in).
    """
    W_in, W_out, D = weights["W_in"], weights["W_out"], weights["D"]
    n, n_in = W_in.shape
    losses, rs, ss = [], [], []
    for t, x in enumerate(stimulus):
        r_before = weights["r"]
        lam = 1.0 if awake[t] else 0.0
        after_sleep = bool(awake[t]) and not was_awake

        m = np.tanh(W_in @ (s_inf := x + sigma_in * draw("s_inf", t, n_in)))
        r_inf = m + sigma_inf * draw("r_inf", t, n)
        r_gen = D * r_before + sigma_gen * draw("r_gen", t, n)
        s_gen = W_out @ r_gen + sigma_obs * draw("s_gen", t, n_in)
        r = lam * r_inf + (1 - lam) * r_gen
        s = lam * s_inf + (1 - lam) * s_gen

        if awake[t]:
            p = r_before if after_sleep else D * r_before
            loss = (
                np.sum((s - W_out @ r_inf) ** 2) / sigma_obs**2
                - np.sum((s - x) ** 2) / sigma_in**2
                + np.sum((r - p) ** 2) / sigma_gen**2
                - np.sum((r - m) ** 2) / sigma_inf**2
            )
        else:
            q = np.tanh(W_in @ s)
            loss = (
                np.sum((s - x) ** 2) / sigma_in**2
                - np.sum((s - W_out @ r_gen) ** 2) / sigma_obs**2
                + np.sum((r - q) ** 2) / sigma_inf**2
                - np.sum((r - D * r_before) ** 2) / sigma_gen**2
            )

        q = np.tanh(W_in @ s)
        d_in = np.outer((1 - q**2) * (r - q), s)
        d_out = np.outer(x - W_out @ r_inf, r_inf) if awake[t] else np.outer(s - W_out @ r, r)
        d_D = (r - D * r_before) * r_before
        step_in, step_out, step_D = (1 - lam) * d_in, lam * d_out, lam * (not after_sleep) * d_D
        if algorithm == "reinforce":
            if np.isnan(weights["loss_mean"]):
                weights["loss_mean"] = loss
            surprise = loss - weights["loss_mean"]
            weights["loss_mean"] = MEAN_DECAY * weights["loss_mean"] + (1 - MEAN_DECAY) * loss
            weights["e_in"] = lam * d_in + decay * weights["e_in"]
            weights["e_out"] = (1 - lam) * d_out + decay * weights["e_out"]
            weights["e_D"] = (1 - lam) * d_D + decay * weights["e_D"]
            step_in = step_in + third_factor * surprise * weights["e_in"]
            step_out = step_out + third_factor * surprise * weights["e_out"]
            step_D = step_D + third_factor * surprise * weights["e_D"]
        if updates is not None:
            updates.append(np.concatenate([step_in.ravel(), step_out.ravel(), step_D]))
        W_in += eta * step_in
        W_out += eta * step_out
        D += eta * step_D

        weights["r"] = r
        was_awake = bool(awake[t])
        losses.append(loss)
        rs.append(r)
        ss.append(s)
    return {"loss": np.array(losses), "r": np.array(rs), "s": np.array(ss)}


def plain_two_layers(
    weights: Arrays,
    stimulus: np.ndarray,
    awake: np.ndarray,
    draw: Draw,
    *,
    sigma: float = 0.01,
    sigma_gen: float = 0.13,
    eta: float = 0.0,
    was_awake: bool = True,
) -> Arrays:
    """Run the two-layer network with impression learning (in place if eta > 0).

    `weights` holds W_in, b, W_2 (recognition), W_out, V, c (generation), D, and the state r1, r2.
    All noise levels but that of the top layer's transition are `sigma`.

    Returns
    -------
    dict
        `loss` (steps), `r1`, `r2`, `s` (steps x units).
    """
    w = weights
    n_2, n_1 = w["W_2"].shape
    n_in = w["W_in"].shape[1]
    record: dict[str, list] = {"loss": [], "r1": [], "r2": [], "s": []}
    for t, x in enumerate(stimulus):
        r1_before, r2_before = w["r1"], w["r2"]
        after_sleep = bool(awake[t]) and not was_awake

        s_inf = x + sigma * draw("s_inf", t, n_in)
        m1 = np.tanh(w["W_in"] @ s_inf + w["b"])
        r1_inf = m1 + sigma * draw("r1_inf", t, n_1)
        m2 = np.tanh(w["W_2"] @ r1_inf)
        r2_inf = m2 + sigma * draw("r2_inf", t, n_2)

        g2 = w["D"] * r2_before
        r2_gen = g2 + sigma_gen * draw("r2_gen", t, n_2)
        g1 = np.tanh(w["V"] @ r2_gen + w["c"])
        r1_gen = g1 + sigma * draw("r1_gen", t, n_1)
        g0 = w["W_out"] @ r1_gen
        s_gen = g0 + sigma * draw("s_gen", t, n_in)

        if awake[t]:
            s, r1, r2 = s_inf, r1_inf, r2_inf
            p0 = w["W_out"] @ r1_inf
            p1 = np.tanh(w["V"] @ r2_inf + w["c"])
            p2 = w["D"] * r2_before
            shown1, shown2 = (r1_before, r2_before) if after_sleep else (p1, p2)
            loss = (
                np.sum((s - p0) ** 2) / sigma**2
                - np.sum((s - x) ** 2) / sigma**2
                + np.sum((r1 - shown1) ** 2) / sigma**2
                - np.sum((r1 - m1) ** 2) / sigma**2
                + np.sum((r2 - shown2) ** 2) / sigma_gen**2
                - np.sum((r2 - m2) ** 2) / sigma**2
            )
            w["W_out"] += eta * np.outer(x - p0, r1_inf)
            if not after_sleep:
                delta = (1 - p1**2) * (r1_inf - p1)
                w["V"] += eta * np.outer(delta, r2_inf)
                w["c"] += eta * delta
                w["D"] += eta * (r2 - p2) * r2_before
        else:
            s, r1, r2 = s_gen, r1_gen, r2_gen
            q1 = np.tanh(w["W_in"] @ s + w["b"])
            q2 = np.tanh(w["W_2"] @ r1)
            loss = (
                np.sum((s - x) ** 2) / sigma**2
                - np.sum((s - g0) ** 2) / sigma**2
                + np.sum((r1 - q1) ** 2) / sigma**2
                - np.sum((r1 - g1) ** 2) / sigma**2
                + np.sum((r2 - q2) ** 2) / sigma**2
                - np.sum((r2 - g2) ** 2) / sigma_gen**2
            )
            delta = (1 - q1**2) * (r1 - q1)
            w["W_in"] += eta * np.outer(delta, s)
            w["b"] += eta * delta
            w["W_2"] += eta * np.outer((1 - q2**2) * (r2 - q2), r1)

        w["r1"], w["r2"] = r1, r2
        was_awake = bool(awake[t])
        for name, value in (("loss", loss), ("r1", r1), ("r2", r2), ("s", s)):
            record[name].append(value)
    return {name: np.array(values) for name, values in record.items()}


def advance(
    circuits: Circuits,
    state: Float[Tensor, "networks units"],
    inputs: Inputs,
    *,
    learn: bool,
    record: bool = False,
) -> tuple[Float[Tensor, "steps networks"], Float[Tensor, "_ networks units"]]:
    """Run steps; see `circuits.Engine`.

    Raises
    ------
    NotImplementedError
        For networks that the plain loops do not have: of more than two latent layers, of two that
        learn by anything but impression learning, and those that learn by backpropagation.
    """
    losses, states = [], []
    for index, setting in enumerate(circuits.settings):
        one_layer = len(setting.sizes) == 2
        plain = ("impression", "reinforce") if one_layer else ("impression",)
        if len(setting.sizes) > 3 or (learn and setting.algorithm not in plain):
            raise NotImplementedError(f"a plain loop for {setting}")
        run = _advance_one_layer if one_layer else _advance_two_layers
        found, activity = run(circuits, index, state[index], inputs, learn)
        state[index] = torch.from_numpy(activity[-1])
        losses.append(found["loss"])
        states.append(activity if record else activity[:0])
    return torch.from_numpy(np.stack(losses, 1)), torch.from_numpy(np.stack(states, 1))


def _draw_from(inputs: Inputs, index: int, layers: Mapping[str, slice]) -> Draw:
    """Draw a network's given variates; names are those of a layer, then `inf` or `gen`."""
    kinds = {"inf": inputs.noise_inf[:, index], "gen": inputs.noise_gen[:, index]}

    def draw(name: str, t: int, size: int) -> np.ndarray:
        layer, kind = name.split("_")
        return kinds[kind][t, layers[layer]].double().numpy()

    return draw


def _advance_one_layer(
    circuits: Circuits, index: int, state: Tensor, inputs: Inputs, learn: bool
) -> tuple[Arrays, np.ndarray]:
    setting, traces = circuits.settings[index], circuits.traces
    n_in = setting.sizes[0]
    own = circuits.weights.network(index)
    weights = {
        "W_in": own.recognition[0][0].numpy(),  # shares memory: learns in place
        "W_out": own.generation[0][0].numpy(),
        "D": own.transition[0].numpy(),
        "r": state[n_in:].numpy().copy(),
        "loss_mean": circuits.loss_mean[index].numpy().copy(),
    }
    kept = {}
    if learn and traces is not None:
        own = traces.network(index)
        kept = {"e_in": own.recognition[0][0], "e_out": own.generation[0][0]}
        kept |= {"e_D": own.transition[0], "loss_mean": circuits.loss_mean[index]}
        weights |= {name: tensor.numpy().copy() for name, tensor in kept.items()}
    found = plain_one_layer(
        weights,
        inputs.stimulus[:, index].numpy(),
        inputs.awake[:, index],
        _draw_from(inputs, index, {"s": slice(0, n_in), "r": slice(n_in, None)}),
        sigma_inf=setting.sigma_inf[1],
        sigma_obs=setting.sigma_gen[0],
        sigma_in=setting.sigma_inf[0],
        sigma_gen=setting.sigma_gen[1],
        eta=setting.eta if learn else 0.0,
        was_awake=bool(inputs.was_awake[index]),
        algorithm=setting.algorithm if learn else "impression",
        third_factor=setting.third,
    )
    for name, tensor in kept.items():
        tensor.copy_(torch.as_tensor(weights[name]))
    return found, np.concatenate([found["s"], found["r"]], 1)


def _advance_two_layers(
    circuits: Circuits, index: int, state: Tensor, inputs: Inputs, learn: bool
) -> tuple[Arrays, np.ndarray]:
    setting, own = circuits.settings[index], circuits.weights.network(index)
    a, b = setting.sizes[0], setting.sizes[0] + setting.sizes[1]
    (sigma,) = {*setting.sigma_inf, *setting.sigma_gen[:2]}  # the plain loop has one for all
    weights = {
        "W_in": own.recognition[0][0].numpy(),
        "b": own.recognition_bias[0][0].numpy(),
        "W_2": own.recognition[1][0].numpy(),
        "W_out": own.generation[0][0].numpy(),
        "V": own.generation[1][0].numpy(),
        "c": own.generation_bias[1][0].numpy(),
        "D": own.transition[0].numpy(),
        "r1": state[a:b].numpy().copy(),
        "r2": state[b:].numpy().copy(),
    }
    found = plain_two_layers(
        weights,
        inputs.stimulus[:, index].numpy(),
        inputs.awake[:, index],
        _draw_from(inputs, index, {"s": slice(0, a), "r1": slice(a, b), "r2": slice(b, None)}),
        sigma=sigma,
        sigma_gen=setting.sigma_gen[2],
        eta=setting.eta if learn else 0.0,
        was_awake=bool(inputs.was_awake[index]),
    )
    return found, np.concatenate([found["s"], found["r1"], found["r2"]], 1)
