"""The consolidation step on any device: all rows in every operation."""

import numpy as np
import torch
from jaxtyping import Float

from sharpwave_shared.graphs import record
from synaptic_consolidation.model import (
    PRUNED,
    SMALLEST_FACTOR,
    Labels,
    Patterns,
    Rows,
    Rule,
    signs,
)

CPU = torch.device("cpu")


@torch.no_grad()
def advance(
    rows: Rows,
    patterns: Patterns,
    labels: Labels,
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
    device: torch.device = CPU,
) -> None:
    """Let rows take as many steps as there are learning rates; see `model.Advance`."""
    dtype = torch.from_numpy(rows.theta).dtype

    def give(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(device, dtype)

    u, theta, mean = (
        give(rows.factors).transpose(0, 1).contiguous(),  # factors x rows x inputs
        give(rows.theta),
        give(rows.mean),
    )
    living = torch.from_numpy(rows.living).to(device)  # rows x inputs
    # patterns x inputs, rows x patterns
    xi, y = give(patterns), give(signs(labels)).T.contiguous()
    rates, rates_theta = give(eta), give(eta_theta)
    now = torch.zeros(1, dtype=torch.int64, device=device)  # the step
    before, after = torch.empty_like(u), torch.empty_like(u)

    def step() -> None:
        w = u.prod(0).mul_(living)  # rows x inputs
        h = (w @ xi.T).sub_(theta[:, None])  # rows x patterns
        distance = h.abs()
        current = distance.mean(1)
        steepness = rule.beta / torch.where(mean > 0, mean, current)
        share = torch.softmax(-steepness[:, None] * distance, 1).mul_(h.sign())
        if rule.error_driven:
            lowest, worst = (y * h).min(1, keepdim=True)
            corrected = torch.zeros_like(h).scatter_(1, worst, y.gather(1, worst))
            share = torch.where(lowest <= 0, corrected, share)
        mean.copy_(current)
        g = (share @ xi).mul_(living).mul_(rates.index_select(0, now))  # rows x inputs
        _products_of_others(u, before, after)
        u.addcmul_(before.mul_(after), g[None]).clamp_(min=SMALLEST_FACTOR)
        living.logical_and_(u.prod(0) > PRUNED)
        u.mul_(living)
        squares = u.square().sum((0, 2))
        scale = (rule.norm / squares).masked_fill_(squares <= 0, 1).sqrt_()
        u.mul_(scale[None, :, None])
        theta.addcmul_(share.sum(1), rates_theta.index_select(0, now), value=-1)
        now.add_(1)

    take = record(step, device, [u, theta, mean, living, now], times=len(eta))
    for _ in eta:
        take()
    rows.factors[:] = u.transpose(0, 1).cpu().numpy()
    rows.living[:] = living.cpu().numpy()
    rows.theta[:], rows.mean[:] = theta.cpu().numpy(), mean.cpu().numpy()


def _products_of_others(u: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> None:
    """Write the products of the factors before each one, and of those after it."""
    before[0], after[-1] = 1, 1
    for k in range(1, len(u)):
        torch.mul(before[k - 1], u[k - 1], out=before[k])
        torch.mul(after[-k], u[-k], out=after[-k - 1])
