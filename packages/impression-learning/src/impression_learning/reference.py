"""The plain transcription of the equations: NumPy, one network, one step at a time.

It serves as the oracle of the tests and as the baseline of the benchmark. Nothing else uses it.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impression_learning.circuits import Circuits, Inputs
from impression_learning.model import MEAN_DECAY, TRACE_DECAY

Activity = tuple[Float[np.ndarray, " steps"], Float[np.ndarray, "steps units"]]
"""Losses, and activity of all layers side by side."""


def plain_latent_process(
    mixing: Float[np.ndarray, "n_in n_latent"],
    latents: Float[np.ndarray, " n_latent"],
    dt: float,
    xi: Float[np.ndarray, "steps n_latent"],
) -> tuple[Float[np.ndarray, "steps n_in"], Float[np.ndarray, "steps n_latent"]]:
    """Let latents wander, pushed by `xi`; give observations and latents."""
    a = 0.5 * np.sqrt(dt)
    observed, causes = [], []
    for t in range(len(xi)):
        latents = (1 - a**2) * latents + a * xi[t]
        observed.append(mixing @ latents)
        causes.append(latents)
    return np.array(observed), np.array(causes)


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
        learn by anything but impression learning, those that learn by backpropagation, or by
        REINFORCE as released (which `tests/test_release.py` transcribes).
    """
    found = []
    for index, setting in enumerate(circuits.settings):
        match len(setting.sizes), "released" if setting.as_released else setting.rule:
            case 2, "impression" | "reinforce":
                found.append(plain_one_layer(circuits, index, state, inputs, learn=learn))
            case 3, "impression":
                found.append(plain_two_layers(circuits, index, state, inputs, learn=learn))
            case _:
                raise NotImplementedError(f"a plain loop for {setting}")
    losses, states = (torch.from_numpy(np.stack(parts, 1)) for parts in zip(*found, strict=True))
    return losses, states if record else states[:0]


def plain_one_layer(
    circuits: Circuits,
    index: int,
    state: Float[Tensor, "networks units"],
    inputs: Inputs,
    *,
    learn: bool,
    decay: float = TRACE_DECAY,
    updates: list[np.ndarray] | None = None,
) -> Activity:
    """Run one network of one latent layer.

    `updates` collects what each step would change at a learning rate of 1: W_in, W_out, D, flat.
    """
    setting, own = circuits.settings[index], circuits.weights.network(index)
    W_in, W_out, D = _arrays(own.recognition[0], own.generation[0], own.transition)
    traces = None
    if circuits.traces is not None:
        kept = circuits.traces.network(index)
        traces = _arrays(kept.recognition[0], kept.generation[0], kept.transition)
    mean = circuits.loss_mean[index : index + 1].numpy()
    (sigma_in, sigma_inf), (sigma_obs, sigma_gen) = setting.sigma_inf, setting.sigma_gen
    xi_inf, xi_gen = (xi[:, index].double().numpy() for xi in (inputs.noise_inf, inputs.noise_gen))
    n_in = setting.sizes[0]
    last = state[index].numpy()
    losses, states = [], []
    was_awake = bool(inputs.was_awake[index])
    for t, x in enumerate(inputs.stimulus[:, index].numpy()):
        r_before = last[n_in:].copy()
        awake = bool(inputs.awake[t, index])
        lam = 1.0 if awake else 0.0
        after_sleep = awake and not was_awake

        s_inf = x + sigma_in * xi_inf[t, :n_in]
        m = np.tanh(W_in @ s_inf)
        r_inf = m + sigma_inf * xi_inf[t, n_in:]
        r_gen = D * r_before + sigma_gen * xi_gen[t, n_in:]
        s_gen = W_out @ r_gen + sigma_obs * xi_gen[t, :n_in]
        r = lam * r_inf + (1 - lam) * r_gen
        s = lam * s_inf + (1 - lam) * s_gen
        q = np.tanh(W_in @ s)

        if awake:
            p = r_before if after_sleep else D * r_before
            loss = (
                np.sum((s - W_out @ r_inf) ** 2) / sigma_obs**2
                - np.sum((s - x) ** 2) / sigma_in**2
                + np.sum((r - p) ** 2) / sigma_gen**2
                - np.sum((r - m) ** 2) / sigma_inf**2
            )
        else:
            loss = (
                np.sum((s - x) ** 2) / sigma_in**2
                - np.sum((s - W_out @ r_gen) ** 2) / sigma_obs**2
                + np.sum((r - q) ** 2) / sigma_inf**2
                - np.sum((r - D * r_before) ** 2) / sigma_gen**2
            )

        d_in = np.outer((1 - q**2) * (r - q), s)
        d_out = np.outer(x - W_out @ r_inf, r_inf) if awake else np.outer(s - W_out @ r, r)
        d_D = (r - D * r_before) * r_before
        step_in, step_out, step_D = (1 - lam) * d_in, lam * d_out, lam * (not after_sleep) * d_D
        if traces is not None and (learn or updates is not None):
            e_in, e_out, e_D = traces
            if np.isnan(mean[0]):
                mean[0] = loss
            surprise = setting.third * (loss - mean[0])
            mean[0] = MEAN_DECAY * mean[0] + (1 - MEAN_DECAY) * loss
            e_in[:] = lam * d_in + decay * e_in
            e_out[:] = (1 - lam) * d_out + decay * e_out
            e_D[:] = (1 - lam) * d_D + decay * e_D
            step_in = step_in + surprise * e_in
            step_out = step_out + surprise * e_out
            step_D = step_D + surprise * e_D
        if updates is not None:
            updates.append(np.concatenate([step_in.ravel(), step_out.ravel(), step_D]))
        if learn:
            W_in += setting.eta * step_in
            W_out += setting.eta * step_out
            D += setting.eta * step_D

        last[:] = np.concatenate([s, r])
        was_awake = awake
        losses.append(loss)
        states.append(last.copy())
    return np.array(losses), np.array(states)


def plain_two_layers(
    circuits: Circuits,
    index: int,
    state: Float[Tensor, "networks units"],
    inputs: Inputs,
    *,
    learn: bool,
) -> Activity:
    """Run one network of two latent layers, with impression learning.

    All noise levels but that of the top layer's transition are the same.
    """
    setting, own = circuits.settings[index], circuits.weights.network(index)
    W_in, W_2, W_out, V, b, c, D = _arrays(
        *own.recognition, *own.generation, own.recognition_bias[0], own.generation_bias[1],
        own.transition,
    )  # fmt: skip
    (sigma,), sigma_gen = {*setting.sigma_inf, *setting.sigma_gen[:-1]}, setting.sigma_gen[-1]
    xi_inf, xi_gen = (xi[:, index].double().numpy() for xi in (inputs.noise_inf, inputs.noise_gen))
    eta = setting.eta if learn else 0.0
    n_in, n_1, _ = setting.sizes
    s_, r1_, r2_ = slice(0, n_in), slice(n_in, n_in + n_1), slice(n_in + n_1, None)
    last = state[index].numpy()
    losses, states = [], []
    was_awake = bool(inputs.was_awake[index])
    for t, x in enumerate(inputs.stimulus[:, index].numpy()):
        r1_before, r2_before = last[r1_].copy(), last[r2_].copy()
        awake = bool(inputs.awake[t, index])
        after_sleep = awake and not was_awake

        s_inf = x + sigma * xi_inf[t, s_]
        m1 = np.tanh(W_in @ s_inf + b)
        r1_inf = m1 + sigma * xi_inf[t, r1_]
        m2 = np.tanh(W_2 @ r1_inf)
        r2_inf = m2 + sigma * xi_inf[t, r2_]

        g2 = D * r2_before
        r2_gen = g2 + sigma_gen * xi_gen[t, r2_]
        g1 = np.tanh(V @ r2_gen + c)
        r1_gen = g1 + sigma * xi_gen[t, r1_]
        g0 = W_out @ r1_gen
        s_gen = g0 + sigma * xi_gen[t, s_]

        if awake:
            s, r1, r2 = s_inf, r1_inf, r2_inf
            p0 = W_out @ r1_inf
            p1 = np.tanh(V @ r2_inf + c)
            p2 = D * r2_before
            shown1, shown2 = (r1_before, r2_before) if after_sleep else (p1, p2)
            loss = (
                np.sum((s - p0) ** 2) / sigma**2
                - np.sum((s - x) ** 2) / sigma**2
                + np.sum((r1 - shown1) ** 2) / sigma**2
                - np.sum((r1 - m1) ** 2) / sigma**2
                + np.sum((r2 - shown2) ** 2) / sigma_gen**2
                - np.sum((r2 - m2) ** 2) / sigma**2
            )
            W_out += eta * np.outer(x - p0, r1_inf)
            if not after_sleep:
                delta = (1 - p1**2) * (r1_inf - p1)
                V += eta * np.outer(delta, r2_inf)
                c += eta * delta
                D += eta * (r2 - p2) * r2_before
        else:
            s, r1, r2 = s_gen, r1_gen, r2_gen
            q1 = np.tanh(W_in @ s + b)
            q2 = np.tanh(W_2 @ r1)
            loss = (
                np.sum((s - x) ** 2) / sigma**2
                - np.sum((s - g0) ** 2) / sigma**2
                + np.sum((r1 - q1) ** 2) / sigma**2
                - np.sum((r1 - g1) ** 2) / sigma**2
                + np.sum((r2 - q2) ** 2) / sigma**2
                - np.sum((r2 - g2) ** 2) / sigma_gen**2
            )
            delta = (1 - q1**2) * (r1 - q1)
            W_in += eta * np.outer(delta, s)
            b += eta * delta
            W_2 += eta * np.outer((1 - q2**2) * (r2 - q2), r1)

        last[:] = np.concatenate([s, r1, r2])
        was_awake = awake
        losses.append(loss)
        states.append(last.copy())
    return np.array(losses), np.array(states)


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Give the arrays of a batch of one, sharing memory, so that what changes them is kept."""
    return [tensor[0].numpy() for tensor in tensors]
