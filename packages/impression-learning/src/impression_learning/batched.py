"""One step of many networks at once, in torch: all of them are in every operation."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impression_learning.circuits import Circuits, Inputs
from impression_learning.model import MEAN_DECAY, TRACE_DECAY, Setting, Weights
from sharpwave_shared import graphs


def advance(
    circuits: Circuits,
    state: Float[Tensor, "networks units"],
    inputs: Inputs,
    *,
    learn: bool,
    record: bool = False,
) -> tuple[Float[Tensor, "steps networks"], Float[Tensor, "_ networks units"]]:
    """Run steps; see `circuits.Engine`."""
    step = _Step(circuits.settings, circuits.weights, state)
    awake = inputs.awake
    before_awake = np.concatenate([inputs.was_awake[None], awake[:-1]])
    waking = torch.from_numpy(awake).to(state.device)[..., None]
    after_sleep = torch.from_numpy(awake & ~before_awake).to(state.device)[..., None]
    losses = torch.empty(awake.shape, dtype=state.dtype, device=state.device)
    states = state.new_empty(len(awake) if record else 0, *state.shape)
    rule = circuits.settings[0].rule
    now = torch.zeros(1, dtype=torch.int64, device=state.device)  # the step

    def of_now(values: Tensor) -> Tensor:
        return values.index_select(0, now)[0]

    def take() -> None:
        phase = of_now(waking), of_now(after_sleep)
        x, noise = of_now(inputs.stimulus), of_now(inputs.noise_inf)
        loss = step.act(x, noise, of_now(inputs.noise_gen), *phase)
        losses.index_copy_(0, now, loss[None])
        if record:
            states.index_copy_(0, now, step.h[None])
        if learn and rule == "backprop":
            step.descend(x, noise, *phase)
        elif learn:
            step.learn(circuits.traces, circuits.loss_mean, loss, x, *phase)
        state.copy_(step.h)
        now.add_(1)

    changed = [state, now, *circuits.state_dict().values()]
    take = graphs.record(take, state.device, changed, times=len(awake))
    for _ in awake:
        take()
    return losses, states


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left[:, :, None] * right[:, None, :]


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    return torch.bmm(matrices, vectors[:, :, None])[:, :, 0]


class _Step:
    """A step of all networks: `h`, and what the layers below and above tell, side by side."""

    def __init__(self, settings: Sequence[Setting], weights: Weights, state: Tensor):
        sizes = settings[0].sizes

        def per_unit(values: list[tuple[float, ...]]) -> Tensor:
            rows = [np.repeat(row, sizes) for row in values]
            return torch.from_numpy(np.stack(rows)).to(state)

        def per_network(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=state.dtype, device=state.device)[:, None]

        self.weights, self.before = weights, state
        self.sigma_inf = per_unit([s.sigma_inf for s in settings])
        self.sigma_gen = per_unit([s.sigma_gen for s in settings])
        self.eta = per_network([s.eta for s in settings])
        self.third = per_network([s.third for s in settings])
        self.as_released = per_network([float(s.as_released) for s in settings]) > 0
        self.any_as_released = any(s.as_released for s in settings)
        edges = np.concatenate([[0], np.cumsum(sizes)])
        self.layers = [slice(lo, hi) for lo, hi in itertools.pairwise(edges)]
        self.n_in = sizes[0]
        self.h = self.inferred = self.below = self.above = state

    def act(
        self, x: Tensor, noise_inf: Tensor, noise_gen: Tensor, awake: Tensor, after_sleep: Tensor
    ) -> Tensor:
        """Compute activity and predictions; give the loss."""
        p = self.weights
        pushed_inf, pushed_gen = self.sigma_inf * noise_inf, self.sigma_gen * noise_gen
        top = len(self.layers) - 1
        inferred = [x + pushed_inf[:, self.layers[0]]]
        for k, layer in enumerate(self.layers[1:]):
            told = torch.tanh(_apply(p.recognition[k], inferred[k]) + p.recognition_bias[k])
            inferred.append(told + pushed_inf[:, layer])
        self.inferred = torch.cat(inferred, 1)
        h: list[Tensor] = [x] * (top + 1)
        above: list[Tensor] = [x] * (top + 1)
        for k in range(top, -1, -1):
            if k == top:
                above[k] = p.transition * self.before[:, self.layers[k]]
            else:
                told = _apply(p.generation[k], h[k + 1])
                above[k] = torch.tanh(told + p.generation_bias[k]) if k else told
            h[k] = torch.where(awake, inferred[k], above[k] + pushed_gen[:, self.layers[k]])
        told = [_apply(p.recognition[k], h[k]) + p.recognition_bias[k] for k in range(top)]
        below = [x, *map(torch.tanh, told)]
        self.h, self.above, self.below = (torch.cat(parts, 1) for parts in (h, above, below))

        expected = torch.where(after_sleep, self.before, self.above)
        expected[:, : self.n_in] = self.above[:, : self.n_in]
        surprise_gen = ((self.h - expected) / self.sigma_gen).square()
        surprise_inf = ((self.h - self.below) / self.sigma_inf).square()
        difference = (surprise_gen - surprise_inf).sum(1)
        return torch.where(awake[:, 0], difference, -difference)

    def learn(
        self,
        traces: Weights | None,
        loss_mean: Tensor,
        loss: Tensor,
        x: Tensor,
        awake: Tensor,
        after_sleep: Tensor,
    ) -> None:
        """Change the weights by impression learning, or by REINFORCE if there are traces."""
        p, h, top = self.weights, self.h, len(self.layers) - 1
        waking = awake.to(h.dtype)
        sleeping = 1 - waking
        settled = waking * ~after_sleep
        surprise = h.new_zeros(())
        if traces is not None:
            loss_mean.copy_(torch.where(loss_mean.isnan(), loss, loss_mean))
            mean = loss_mean.clone()
            loss_mean.mul_(MEAN_DECAY).add_(loss, alpha=1 - MEAN_DECAY)
            mean = torch.where(self.as_released[:, 0], loss_mean, mean)
            surprise = self.eta * self.third * (loss - mean)[:, None]
        source, expected = self.sources(x, awake)
        from_below = (1 - self.below.square()) * (h - self.below)
        from_above = source - expected
        middle = slice(self.layers[0].stop, self.layers[-1].start)
        from_above[:, middle] *= 1 - expected[:, middle].square()

        values, memories = p.tensors(), {} if traces is None else traces.tensors()

        def change(name: str, update: Tensor, gate: Tensor) -> None:
            value, trace = values[name], memories.get(name)
            shape = (-1, *[1] * (value.dim() - 1))
            value += (self.eta * gate).reshape(shape) * update
            if trace is not None:
                opposite = waking if gate is sleeping else sleeping
                trace.mul_(TRACE_DECAY).add_(opposite.reshape(shape) * update)
                value += surprise.reshape(shape) * trace

        for k in range(top):
            lower, upper = self.layers[k], self.layers[k + 1]
            below, above = from_below[:, upper], from_above[:, lower]
            change(f"recognition.{k}", _outer(below, h[:, lower]), sleeping)
            change(f"generation.{k}", _outer(above, source[:, upper]), settled if k else waking)
            if k < top - 1:
                change(f"recognition_bias.{k}", below, sleeping)
            if k > 0:
                change(f"generation_bias.{k}", above, settled)
        last = self.layers[-1]
        change("transition", (h - self.above)[:, last] * self.before[:, last], settled)

    def sources(self, x: Tensor, awake: Tensor) -> tuple[Tensor, Tensor]:
        """Give what the generative weights learn from: activity, and what it is told to be.

        Awake, the observation is the data without noise.
        """
        inferring = awake | self.as_released
        source, expected = self.h.clone(), self.above
        if self.any_as_released:
            generation = zip(self.weights.generation, self.weights.generation_bias, strict=True)
            told = [
                _apply(V, self.inferred[:, upper]) + c
                for (V, c), upper in zip(generation, self.layers[1:], strict=True)
            ]
            told = torch.cat([told[0], *map(torch.tanh, told[1:]), expected[:, self.layers[-1]]], 1)
            source = torch.where(inferring, self.inferred, source)
            expected = torch.where(inferring, told, expected)
        source[:, : self.n_in] = torch.where(inferring, x, source[:, : self.n_in])
        return source, expected

    def descend(self, x: Tensor, noise: Tensor, awake: Tensor, after_sleep: Tensor) -> None:
        """Take a gradient step on the backpropagation control's objective, by autograd.

        Awake, gradients pass through the noisy activity of this step; asleep the activity is data
        for the recognition weights. The state before is data in both.
        """
        W, V, D = (
            t.detach().requires_grad_()
            for t in (
                self.weights.recognition[0],
                self.weights.generation[0],
                self.weights.transition,
            )
        )
        lower, upper = self.layers
        pushed, before = self.sigma_inf * noise, self.before[:, upper]
        sigma_inf, sigma_gen = self.sigma_inf[:, upper], self.sigma_gen[:, upper]
        with torch.enable_grad():
            s = x + pushed[:, lower]
            r = torch.tanh(_apply(W, s)) + pushed[:, upper]
            expected = torch.where(after_sleep, before, D * before)
            waking = ((r - expected) / sigma_gen).square().sum(1)
            waking += ((s - _apply(V, r)) / self.sigma_gen[:, lower]).square().sum(1)
            recognised = torch.tanh(_apply(W, self.h[:, lower]))
            sleeping = ((self.h[:, upper] - recognised) / sigma_inf).square().sum(1)
            loss = torch.where(awake[:, 0], waking, sleeping).sum()
            gradients = torch.autograd.grad(loss, (W, V, D))
        rate = self.eta * sigma_inf[:, :1].square()
        self.weights.recognition[0] -= rate[..., None] * gradients[0]
        self.weights.generation[0] -= rate[..., None] * gradients[1]
        self.weights.transition -= self.eta * sigma_gen.square() * gradients[2]
