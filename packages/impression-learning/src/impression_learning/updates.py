"""Bias and variance of the learning rules' updates, over many independent episodes at once.

In an episode a network with fixed weights sees one fixed stimulus for a few steps, from rest; at
every step each rule would change the weights. Episodes differ in their noise only. Impression
learning's update u is the same term in both rules; REINFORCE adds f w, where w = (loss - mean
loss) x trace and f is the third factor's sign and size. Moments of u and w give the statistics for
every f.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float
from scipy.signal import lfilter
from torch import Tensor

from impression_learning.model import MEAN_DECAY, THIRD_FACTORS, Setting, Weights
from sharpwave_shared.seeding import Streams

CHUNK = 8192
"""Episodes that are computed at once."""
TRACES = ("cleared", "kept")
FACTORS = THIRD_FACTORS | {"released": MEAN_DECAY * THIRD_FACTORS["released"]}
"""Factor f of each third factor. The released code's mean has taken in the loss from which it is
subtracted, so that `MEAN_DECAY` of the difference is left. (That its mean starts at 0 is forgotten
after some hundred steps of the millions. Its traces of W_out, from inference while asleep, are not
measured: the published figures are about W_in.)"""


@dataclass(frozen=True)
class Episodes:
    """What some episodes did; parameters side by side, W_in by rows, then W_out by rows, then D.

    Attributes
    ----------
    losses
        Recorded loss.
    pushed
        How the states depart from what they were predicted to be, times the inputs of the
        prediction: asleep for W_in and awake for W_out and D impression learning's update, in the
        other phase what is added to the eligibility trace. Without the learning rate.
    awake
        Which steps are awake.
    weights
        Number of elements of W_in.
    """

    losses: Float[Tensor, "steps episodes"]
    pushed: Float[Tensor, "steps parameters episodes"]
    awake: Bool[np.ndarray, " steps"]
    weights: int


def run_episodes(
    network: Weights,
    setting: Setting,
    stimulus: Float[Tensor, "steps n_in"],
    noise: Float[Tensor, "steps units episodes"],
) -> Episodes:
    """Run episodes of one network of one latent layer.

    Parameters
    ----------
    network
        A batch of one.
    setting
        Its setting.
    stimulus
        The same in every episode.
    noise
        Standard normal variates; layer 0 first.
    """
    W, V, D = network.recognition[0][0], network.generation[0][0], network.transition[0][:, None]
    (sigma_in, sigma_inf), (sigma_obs, sigma_gen) = setting.sigma_inf, setting.sigma_gen
    n_in, n = V.shape
    awake = setting.awake(0, len(stimulus))
    episodes = noise.shape[2]
    before = noise.new_zeros(n, episodes)
    losses = noise.new_zeros(len(stimulus), episodes)
    pushed = noise.new_zeros(len(stimulus), 2 * n * n_in + n, episodes)
    for t, x in enumerate(stimulus[:, :, None]):
        after_sleep = bool(awake[t]) and t > 0 and not awake[t - 1]
        xi_s, xi_r = noise[t, :n_in], noise[t, n_in:]
        above_r = D * before
        if awake[t]:
            s = x + sigma_in * xi_s
            below_r = torch.tanh(W @ s)
            r = below_r + sigma_inf * xi_r
            above_s = V @ r
        else:
            r = above_r + sigma_gen * xi_r
            above_s = V @ r
            s = above_s + sigma_obs * xi_s
            below_r = torch.tanh(W @ s)
        expected = before if after_sleep else above_r
        loss = ((s - above_s) / sigma_obs).square().sum(0)
        loss += ((r - expected) / sigma_gen).square().sum(0)
        loss -= ((s - x) / sigma_in).square().sum(0)
        loss -= ((r - below_r) / sigma_inf).square().sum(0)
        losses[t] = loss if awake[t] else -loss

        of_W, of_V, of_D = pushed[t].split((n * n_in, n_in * n, n))
        surprise_r = (1 - below_r.square()) * (r - below_r)
        surprise_s = (x if awake[t] else s) - above_s
        torch.mul(surprise_r[:, None], s[None], out=of_W.view(n, n_in, episodes))
        torch.mul(surprise_s[:, None], r[None], out=of_V.view(n_in, n, episodes))
        if not after_sleep:
            torch.mul(r - above_r, before, out=of_D)
        before = r
    return Episodes(losses, pushed, awake, n * n_in)


class Moments:
    """Sums of u, w, and their products over samples, with traces cleared and kept."""

    def __init__(self, parameters: int, like: Tensor):
        self.sums = {name: like.new_zeros(parameters) for name in ("u", "uu")}
        of_traces = like.new_zeros(len(TRACES), parameters)
        self.sums |= {name: of_traces.clone() for name in ("w", "ww", "uw")}
        self.samples = 0
        self.mean: float | None = None
        """Running mean of the loss."""
        self.kept = like.new_zeros(parameters)[:, None]
        """The trace that earlier episodes left, if traces are never cleared."""

    def add(self, episodes: Episodes) -> None:
        """Take in more episodes, which follow those before."""
        surprise = self._surprise(episodes.losses)
        steps, parameters, count = episodes.pushed.shape
        for block, own_phase in (
            (slice(0, episodes.weights), False),
            (slice(episodes.weights, parameters), True),
        ):
            pushed = episodes.pushed[:, block]
            own = [bool(awake) == own_phase for awake in episodes.awake]
            whole = torch.stack([pushed[t] for t in range(steps) if not own[t]]).sum(0)
            seen = whole.cumsum(1)
            left = self.kept[block] + seen - whole
            self.kept[block] += seen[:, -1:]
            trace = torch.zeros_like(whole)
            for t in range(steps):
                if not own[t]:
                    trace += pushed[t]
                u = pushed[t] if own[t] else None
                self._accumulate(block, "cleared", u, surprise[t] * trace)
                self._accumulate(block, "kept", u, surprise[t] * (left + trace))
                if u is not None:
                    self.sums["u"][block] += u.sum(1)
                    self.sums["uu"][block] += _products(u, u)
        self.samples += steps * count

    def _surprise(self, losses: Float[Tensor, "steps episodes"]) -> Float[Tensor, "steps episodes"]:
        """Subtract the running mean of all losses before, in the order of episodes and steps."""
        values = losses.T.reshape(-1).cpu().numpy()
        if self.mean is None:
            self.mean = float(values[0])
        means, _ = lfilter([1 - MEAN_DECAY], [1, -MEAN_DECAY], values, zi=[MEAN_DECAY * self.mean])
        earlier = np.concatenate([[self.mean], means[:-1]])
        self.mean = float(means[-1])
        return torch.from_numpy(values - earlier).to(losses).reshape(-1, len(losses)).T.contiguous()

    def _accumulate(self, block: slice, traces: str, u: Tensor | None, w: Tensor) -> None:
        kind = TRACES.index(traces)
        self.sums["w"][kind, block] += w.sum(1)
        self.sums["ww"][kind, block] += _products(w, w)
        if u is not None:
            self.sums["uw"][kind, block] += _products(u, w)

    def means(self) -> dict[str, Tensor]:
        """Give the means of u, w and their products, for each parameter."""
        return {name: total / self.samples for name, total in self.sums.items()}


def _products(
    one: Float[Tensor, "parameters episodes"], other: Float[Tensor, "parameters episodes"]
) -> Float[Tensor, " parameters"]:
    return torch.bmm(one[:, None], other[:, :, None])[:, 0, 0]


def measure_updates(
    network: Weights,
    setting: Setting,
    stimulus: Float[Tensor, "steps n_in"],
    episodes: int,
    streams: Streams,
) -> dict[str, Float[Tensor, "*traces parameters"]]:
    """Measure the moments of the rules' updates over independent episodes.

    Parameters
    ----------
    network
        A batch of one network of one latent layer; it does not change.
    setting
        Its setting.
    stimulus
        What it sees in every episode; the steps of an episode.
    episodes
        How many.
    streams
        The noise.

    Returns
    -------
    dict
        Means over all steps of all episodes, for each parameter (elements of W_in by rows, then
        of W_out, then D): `u`, `uu`, and, for traces that are cleared after every episode and
        those that are kept (`TRACES`; first dimension), `w`, `ww` and `uw`.
    """
    device = stimulus.device
    moments = Moments(2 * math.prod(setting.sizes) + setting.sizes[1], stimulus)
    for number, start in enumerate(range(0, episodes, CHUNK)):
        count = min(CHUNK, episodes - start)
        generator = streams.torch("episodes", number, device=device)
        size = (len(stimulus), setting.units, count)
        noise = torch.randn(size, generator=generator, device=device).to(stimulus.dtype)
        moments.add(run_episodes(network, setting, stimulus, noise))
    return moments.means()


@dataclass(frozen=True)
class RuleStatistics:
    """Statistics of one rule's update of some parameters (last dimension)."""

    mean: Float[np.ndarray, "*points parameters"]
    variance: Float[np.ndarray, "*points parameters"]

    @property
    def signal_to_noise(self) -> Float[np.ndarray, "*points"]:
        """Mean^2 / variance, averaged over the parameters."""
        return (self.mean**2 / self.variance).mean(-1)

    def of(self, parameters: slice) -> "RuleStatistics":
        """Give the statistics of some of the parameters."""
        return RuleStatistics(self.mean[..., parameters], self.variance[..., parameters])


def impression_statistics(moments: Mapping[str, np.ndarray]) -> RuleStatistics:
    """Give the statistics of impression learning's update."""
    return RuleStatistics(moments["u"], moments["uu"] - moments["u"] ** 2)


def reinforce_statistics(
    moments: Mapping[str, np.ndarray], third: float, traces: str
) -> RuleStatistics:
    """Give the statistics of REINFORCE's update u + f w.

    Parameters
    ----------
    moments
        As `measure_updates` gives them.
    third
        The third factor's sign and size, f.
    traces
        `cleared` or `kept`.
    """
    kind = TRACES.index(traces)
    w, ww, uw = (moments[name][..., kind, :] for name in ("w", "ww", "uw"))
    mean = moments["u"] + third * w
    square = moments["uu"] + 2 * third * uw + third**2 * ww
    return RuleStatistics(mean, square - mean**2)


QUANTITIES = {
    "snr": "signal-to-noise ratio of REINFORCE's update",
    "norm": "norm of REINFORCE's mean update",
    "inner_product": "inner product of the mean updates",
    "cosine": "cosine of the mean updates",
    "cosine_all": "cosine of the mean updates of all parameters",
}
"""How REINFORCE compares with impression learning."""


def compare_rules(
    moments: Mapping[str, Float[np.ndarray, "seeds points ..."]], weights: int
) -> dict[str, Float[np.ndarray, "..."]]:
    """Compare the rules' updates of W_in, and of all parameters.

    Parameters
    ----------
    moments
        As `measure_updates` gives them, for seeds and points of learning.
    weights
        Number of elements of W_in.

    Returns
    -------
    dict
        `impression_snr`, and `impression_norm` of the mean (seeds x points); and for REINFORCE
        with either third factor and traces cleared or kept (first two dimensions) those of
        `QUANTITIES`.
    """
    impression = impression_statistics(moments)
    own = impression.of(slice(0, weights))
    rows: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITIES}
    for third, traces in itertools.product(FACTORS.values(), TRACES):
        reinforce = reinforce_statistics(moments, third, traces)
        other = reinforce.of(slice(0, weights))
        rows["snr"].append(other.signal_to_noise)
        rows["norm"].append(np.linalg.norm(other.mean, axis=-1))
        rows["inner_product"].append((own.mean * other.mean).sum(-1))
        rows["cosine"].append(_cosines(own.mean, other.mean))
        rows["cosine_all"].append(_cosines(impression.mean, reinforce.mean))
    shape = (len(FACTORS), len(TRACES), *own.mean.shape[:-1])
    return {
        "impression_snr": own.signal_to_noise,
        "impression_norm": np.linalg.norm(own.mean, axis=-1),
    } | {name: np.stack(values).reshape(shape) for name, values in rows.items()}


def describe(
    moments: Mapping[str, Float[np.ndarray, "seeds points ..."]], sizes: tuple[int, ...]
) -> xr.Dataset:
    """Label the moments of the updates, and how the rules compare.

    Parameters
    ----------
    moments
        As `measure_updates` gives them, for seeds and points of learning.
    sizes
        n_in and n.
    """
    n_in, n = sizes
    along = ("seed", "point")
    data = xr.Dataset()
    for name, values in compare_rules(moments, n * n_in).items():
        quantity = name.removeprefix("impression_")
        what = QUANTITIES[quantity]
        if quantity != name:
            what = what.replace("REINFORCE", "impression learning")
        dims = along if quantity != name else ("third_factor", "traces", *along)
        data[name] = (dims, values, {"long_name": what})
    for name, values in moments.items():
        dims = (*along, *(["traces"] if values.ndim > 3 else []), "parameter")
        data[name] = (dims, values, {"long_name": f"mean of {' '.join(name)}"})
    matrices = np.repeat(["W_in", "W_out", "D"], [n * n_in, n_in * n, n])
    return data.assign_coords(
        third_factor=list(FACTORS), traces=list(TRACES), matrix=("parameter", matrices)
    )


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(-1) / norms
