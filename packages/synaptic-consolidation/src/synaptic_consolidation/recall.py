"""Recall of patterns by a network, and how much noise it withstands."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sharpwave_shared.compiled import workers
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.model import SMALLEST_FACTOR, Labels, Patterns, Rows

STEPS = 50
"""Steps of recall."""
WRONG_SHARE = 0.2
"""A pattern is recalled if at most this share of N f neurons is wrong."""
LEVELS = np.linspace(0, 0.49, 200)
"""Levels of noise; those of synaptic noise are scaled."""
COARSE = 8
"""Every which level is always tried; near the maximal noise all are."""
MEAN_FACTOR = 0.1
"""Mean factor of surviving synapses that factors are scaled to before noise is added to them."""
NEURAL = ("flips", "balanced")
SYNAPTIC = {"all_factors": 0.1, "one_factor": 0.16, "surviving": 0.2}
"""Kinds of synaptic noise, and what the levels are multiplied with for each: all factors, one
factor of all synapses, one factor of surviving synapses."""
KINDS = (*NEURAL, *SYNAPTIC)


class Curve(NamedTuple):
    """Recall against noise.

    Attributes
    ----------
    level
        Levels in the unit of the noise, see `tolerances`.
    recall
        Share of patterns recalled; NaN where it was not tried.
    error
        Share of wrong neurons after one step; NaN likewise.
    maximum
        The level tried whose recall is nearest to 1/2; NaN if recall falls to 1/2 at none.
    sd
        Standard deviation over tests of where each of them crosses it; NaN for a single test, or
        if one does not cross it.
    """

    level: Float[np.ndarray, " levels"]
    recall: Float[np.ndarray, " levels"]
    error: Float[np.ndarray, " levels"]
    maximum: float
    sd: float


@dataclass(frozen=True)
class Memory:
    """What a network is to recall.

    Attributes
    ----------
    patterns
        Cues.
    targets
        Where recall is to end, pattern by pattern: the cues themselves for attractors.
    after_one
        What is to follow the cue in one step: the labels.
    f
        Activity.
    """

    patterns: Patterns
    targets: Patterns
    after_one: Labels
    f: float


def wrong_per_active(level: float, f: float) -> float:
    """Convert levels p of neural noise: expected number of wrong bits of a cue, relative to N f."""
    return 2 * level / f


def recall(
    weights: Float[Tensor, "rows rows"],
    theta: Float[Tensor, " rows"],
    cues: Bool[Tensor, "rows cues"],
    steps: int = STEPS,
) -> tuple[Bool[Tensor, "rows cues"], Bool[Tensor, "rows cues"]]:
    """Let states follow s <- Heaviside(W s - theta).

    Returns
    -------
    tuple
        The states after one step and after `steps`.
    """
    first = states = _next(weights, theta, cues)
    final = states.clone()
    earlier = cues
    open = torch.arange(cues.shape[1], device=cues.device)
    for step in range(2, steps + 1):
        following = _next(weights, theta, states)
        # A state that was there two steps ago comes back every other step, or has come to rest.
        closed = (following == earlier).all(0)
        final[:, open] = following if (steps - step) % 2 == 0 else states
        earlier, states, open = (x[..., ~closed] for x in (states, following, open))
        if not len(open):
            break
    final[:, open] = states
    return first, final


def _next(weights: Tensor, theta: Tensor, states: Tensor) -> Tensor:
    return (weights @ states.to(weights.dtype)) > theta[:, None]


def tolerances(
    rows: Rows,
    memory: Memory,
    streams: Streams,
    *,
    tests: int,
    device: torch.device,
    kinds: Sequence[str] = KINDS,
) -> dict[str, Curve]:
    """Measure how much noise of each kind a whole network withstands.

    Parameters
    ----------
    rows
        All rows of the network.
    memory
        What it recalls.
    streams
        The same noise is scaled to all levels.
    tests
        Noise is drawn so many times, each time for all patterns.

    Returns
    -------
    dict
        By kind. Of neural noise, the level is p, and 2 N p bits are wrong on average. `flips`: each
        bit of the cue is flipped with the probability 2 p. `balanced`: ones fall silent with the
        probability p / f and zeros become active with p / (1 - f), which keeps the mean activity.
        `all_factors`, `one_factor`, `surviving`: Gaussian noise on factors (see `noisy_weights`),
        of a standard deviation of level times the mean factor of surviving synapses.
    """
    with workers(tests) as in_parallel:
        return {
            kind: _curve(
                LEVELS * _scale(kind, memory.f),
                (_neural_trial if kind in NEURAL else _synaptic_trial)(
                    rows, memory, streams, kind, device
                ),
                lambda trial: np.array(in_parallel(trial, range(tests))),
            )
            for kind in kinds
        }


def describe_curves(curves: Mapping[str, Curve]) -> xr.Dataset:
    """Give curves by kind as variables: `recall_*`, `error_*`, `tolerance_*`, `tolerance_sd_*`."""
    data = xr.Dataset()
    for kind, curve in curves.items():
        noise = kind.replace("_", " ")
        names = {
            "recall": f"share of patterns recalled ({noise})",
            "error": f"share of wrong neurons after one step ({noise})",
        }
        for name, text in names.items():
            data[f"{name}_{kind}"] = ("level", getattr(curve, name), {"long_name": text})
        text = f"noise at which recall is nearest to 1/2 ({noise})"
        data[f"tolerance_{kind}"] = ((), curve.maximum, {"long_name": text})
        data[f"tolerance_sd_{kind}"] = ((), curve.sd, {"long_name": f"{text}, s.d. over tests"})
        data.coords[f"level_{kind}"] = ("level", curve.level, {"long_name": f"level ({noise})"})
    return data


def _scale(kind: str, f: float) -> float:
    """Give what levels are multiplied with: at most nearly all ones, or zeros, are lost."""
    return 2 * min(f, 1 - f) if kind in NEURAL else SYNAPTIC[kind] / MEAN_FACTOR


Trial = Callable[[int, float], tuple[float, float]]
"""Gives recall and error after one step for a test at a level of noise."""


def _curve(
    levels: Float[np.ndarray, " levels"], trial: Trial, of_tests: Callable[..., np.ndarray]
) -> Curve:
    """Try every `COARSE`-th level, and all that are needed to find where recall falls to 1/2."""
    found, errors = np.full((2, len(levels)), np.nan)
    by_test: dict[int, np.ndarray] = {}

    def attempt(index: int) -> float:
        if index not in by_test:
            level = float(levels[index])
            results = of_tests(lambda test: trial(test, level))
            by_test[index] = results[:, 0]
            found[index], errors[index] = results.mean(0)
        return float(found[index])

    low = high = None
    failures = 0
    for index in [*range(0, len(levels), COARSE), len(levels) - 1]:
        works = attempt(index) >= 0.5
        if works and high is None:
            low = index
        elif not works and high is None:
            high = index
        failures = failures + 1 if found[index] == 0 else 0
        if failures == 2:
            break  # more noise does not help
    maximum = math.nan
    if low is not None and high is not None:
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if attempt(middle) >= 0.5 else (low, middle)
        maximum = float(levels[min((low, high), key=lambda index: abs(found[index] - 0.5))])
    elif low is None:
        maximum = 0.0
    tried = sorted(by_test)
    crossings = [
        _crossing(levels[tried], recall)
        for recall in np.array([by_test[index] for index in tried]).T
    ]
    sd = float(np.std(crossings, ddof=1)) if len(crossings) > 1 else math.nan
    return Curve(levels, found, errors, maximum, sd)


def _crossing(levels: Float[np.ndarray, " tried"], recall: Float[np.ndarray, " tried"]) -> float:
    """Give the level at which recall first falls below 1/2, between those tried; NaN if never."""
    below = recall < 0.5
    if not below.any():
        return math.nan
    first = int(below.argmax())
    if first == 0:
        return 0.0
    before, after = recall[first - 1 : first + 1]
    share = (before - 0.5) / (before - after)
    return float(levels[first - 1] + share * (levels[first] - levels[first - 1]))


def _judge(first: Tensor, final: Tensor, memory: Memory) -> tuple[float, float]:
    wrong = (final != _bits(memory.targets, final.device)).sum(0)
    good = wrong <= WRONG_SHARE * len(final) * memory.f
    error = first != _bits(memory.after_one, first.device)
    return float(good.double().mean()), float(error.double().mean())


def _bits(patterns: UInt8[np.ndarray, "patterns neurons"], device: torch.device) -> Tensor:
    return torch.from_numpy(patterns.T.astype(bool)).to(device)


def _neural_trial(
    rows: Rows, memory: Memory, streams: Streams, kind: str, device: torch.device
) -> Trial:
    weights = torch.from_numpy(rows.weights).to(device)
    theta = torch.from_numpy(rows.theta).to(device)
    cues = _bits(memory.patterns, device)
    f = memory.f

    def trial(test: int, level: float) -> tuple[float, float]:
        noise = torch.rand(cues.shape, generator=streams.torch("flips", test)).to(device)
        flipped = 2 * level if kind == "flips" else torch.where(cues, level / f, level / (1 - f))
        return _judge(*recall(weights, theta, cues ^ (noise < flipped)), memory)

    return trial


def _synaptic_trial(
    rows: Rows, memory: Memory, streams: Streams, kind: str, device: torch.device
) -> Trial:
    noisy, theta = noisy_weights(rows, streams, kind, device)
    cues = _bits(memory.patterns, device)

    def trial(test: int, level: float) -> tuple[float, float]:
        return _judge(*recall(noisy(test, level), theta, cues), memory)

    return trial


def noisy_weights(
    rows: Rows, streams: Streams, kind: str, device: torch.device
) -> tuple[Callable[[int, float], Float[Tensor, "rows rows"]], Float[Tensor, " rows"]]:
    """Scale the surviving factors of every row to a mean of `MEAN_FACTOR`, for noise.

    Noisy factors are clipped at `SMALLEST_FACTOR`, so that weights are never negative. A pruned
    synapse of several factors has lost them all, and stays without weight; one of a single factor
    may come back by noise on one factor of all synapses.

    Parameters
    ----------
    rows
        All rows of the network.
    streams
        Where noise comes from.
    kind
        `all_factors`, `one_factor` or `surviving`; see `tolerances`.

    Returns
    -------
    tuple
        A function of the number of a test and the level of noise, which gives weights; and the
        thresholds that fit them.
    """
    z = rows.factors.shape[1]
    sums, counts = rows.factors.sum((1, 2), dtype=float), z * rows.living.sum(1)
    scale = np.where(counts > 0, MEAN_FACTOR * counts / np.where(sums > 0, sums, 1), 1)
    u = torch.from_numpy((rows.factors * scale[:, None, None]).astype(np.float32)).to(device)
    theta = torch.from_numpy((rows.theta * scale**z).astype(np.float32)).to(device)
    if z > 1 or kind == "surviving":
        noisy_ones = torch.from_numpy(rows.living).to(device)
    else:
        noisy_ones = ~torch.eye(len(rows), dtype=torch.bool, device=device)

    def noisy(test: int, level: float) -> Tensor:
        # One factor after another, so that the first one's noise is the same for all kinds.
        generator = streams.torch("synaptic", test)
        w = torch.ones_like(u[:, 0])
        for k in range(z):
            if k == 0 or kind == "all_factors":
                noise = torch.randn(w.shape, generator=generator).to(device)
                noise.mul_(level * MEAN_FACTOR).add_(u[:, k]).clamp_(min=SMALLEST_FACTOR)
                w.mul_(noise)
            else:
                w.mul_(u[:, k])
        return w.mul_(noisy_ones)

    return noisy, theta
