"""The model: layers of rate units that alternate between a stimulus and their own prediction of it.

Layer 0 is the observation s, layers 1 to L are latent; the release's models have L = 1 (`standard`
and most modes) and L = 2 (speech). Activity h_k of layer k, at a step that is awake or asleep:

    awake    h_0 = x + sigma_inf_0 xi_0             h_k = m_k + sigma_inf_k xi_k   (upwards)
    asleep   h_L = D h_L(t-1) + sigma_gen_L xi_L    h_k = g_k + sigma_gen_k xi_k   (downwards)

where x is the stimulus, m_k = f(W_k h_(k-1) + b_k) what the layer below tells layer k,
g_k = f(V_k h_(k+1) + c_k) what the layer above tells it, and f = tanh (for k = 0 the identity).
With m_0 = x and g_L = D h_L(t-1), the recorded loss of a step is

    +-sum_k |h_k - g_k|^2 / sigma_gen_k^2 - |h_k - m_k|^2 / sigma_inf_k^2

with plus awake and minus asleep; in the first step after sleep, h_k(t-1) takes the place of g_k in
all layers but 0. The paper's symbols for L = 1: W_in = W_1, W_out = V_0, sigma_in = sigma_inf_0 and
sigma_obs = sigma_gen_0. The top layer has no b, layer 0 no c: they are zero and stay zero.

Source: Bredenberg, Lyo, Simoncelli & Savin, "Impression learning: Online representation learning
with synaptic plasticity", NeurIPS 2021.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from impression_learning.kinds import NOISE, Algorithm, Phases, ThirdFactor
from sharpwave_shared.errors import InvalidInputError, ParameterError
from sharpwave_shared.seeding import Streams

THIRD_FACTORS: dict[str, float] = {"gradient": -0.5, "released": 1.0}
"""What multiplies (loss - mean loss) x trace in REINFORCE. The recorded loss is to be minimised,
hence the minus; it lacks the 1/2 of a Gaussian's exponent, hence the half. The released code has a
plus and no half; see `Setting.third_factor` for the rest of it."""
INITIAL_TRANSITION = 0.6
MEAN_DECAY = 0.99
"""Factor of the running mean of the loss, in REINFORCE."""
TRACE_DECAY = 0.9
"""Decay of REINFORCE's traces while learning."""


@dataclass(frozen=True)
class Setting:
    """All that defines a network and its learning, but for its seed and its stimulus.

    Attributes
    ----------
    sizes
        Units of layers 0 (observation) to L (top).
    sigma_inf
        Noise of inference (standard deviation) of layers 0 (the paper's sigma_in) to L.
    sigma_gen
        Noise of generation of layers 0 (sigma_obs) to L (sigma_gen).
    eta
        Learning rate.
    switch_period
        A phase lasts `switch_period + 1` steps; the first is awake.
    algorithm
        `impression`, `reinforce`, or (one latent layer only) `backprop`, which learns awake, or
        `backprop-alternating`, which learns asleep too.
    third_factor
        REINFORCE as it descends the loss (`gradient`), or as in the released code (`released`):
        with another factor (`THIRD_FACTORS`); asleep, the traces of the generative weights take in
        the errors of inference, x - V_0 h_0 and h_k - g_k as they would be awake, in the place of
        the score; and the running mean of the loss starts at 0 and takes in the loss of a step
        before it is subtracted from it.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    sizes: tuple[int, ...]
    sigma_inf: tuple[float, ...]
    sigma_gen: tuple[float, ...]
    eta: float
    switch_period: int = 1
    algorithm: Algorithm = "impression"
    third_factor: ThirdFactor = "gradient"

    def __post_init__(self) -> None:
        if not len(self.sizes) == len(self.sigma_inf) == len(self.sigma_gen) >= 2:
            raise InvalidInputError("every layer needs a size and two noise levels")
        for k, (size, inf, gen) in enumerate(
            zip(self.sizes, self.sigma_inf, self.sigma_gen, strict=True)
        ):
            if size < 1:
                raise ParameterError("n" if k else "n_in", size, "a whole number, at least 1")
            _check_noise("sigma_inf" if k else "sigma_in", inf)
            _check_noise("sigma_gen" if k else "sigma_obs", gen)
        if not (self.eta >= 0 and math.isfinite(self.eta)):
            raise ParameterError("eta", self.eta, "a number, at least 0")
        if self.switch_period < 0:
            raise ParameterError("switch_period", self.switch_period, "a whole number, at least 0")
        if self.algorithm not in get_args(Algorithm):
            allowed = ", ".join(get_args(Algorithm))
            raise ParameterError("algorithm", self.algorithm, f"one of {allowed}")
        if self.rule == "backprop" and len(self.sizes) > 2:
            raise ParameterError(
                "algorithm", self.algorithm, "impression or reinforce: it is for one latent layer"
            )

    @property
    def units(self) -> int:
        """Units of all layers together."""
        return sum(self.sizes)

    @property
    def rule(self) -> str:
        """What changes the weights at a step: `impression`, `reinforce` or `backprop`."""
        return self.algorithm.removesuffix("-alternating")

    @property
    def phases(self) -> Phases:
        """The phases in which the network learns."""
        return "awake" if self.algorithm == "backprop" else "alternating"

    @property
    def third(self) -> float:
        """The factor of (loss - mean loss) x trace."""
        return THIRD_FACTORS[self.third_factor]

    @property
    def as_released(self) -> bool:
        """Whether REINFORCE is that of the released code."""
        return self.rule == "reinforce" and self.third_factor == "released"

    def awake(
        self, start: int, steps: int, phases: Phases = "alternating"
    ) -> Bool[np.ndarray, " steps"]:
        """Tell for steps from `start` whether they are awake."""
        if phases == "alternating":
            return (np.arange(start, start + steps) // (self.switch_period + 1)) % 2 == 0
        return np.full(steps, phases == "awake")


def _check_noise(name: str, sigma: float) -> None:
    """Refuse a noise level by which the loss cannot be divided, or that is none."""
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ParameterError(name, sigma, "a number above 0")


def one_layer(
    n_in: int,
    n: int,
    *,
    eta: float,
    sigma_gen: float,
    sigma_inf: float = NOISE,
    sigma_obs: float = NOISE,
    sigma_in: float = NOISE,
    switch_period: int = 1,
    algorithm: Algorithm = "impression",
    third_factor: ThirdFactor = "gradient",
) -> Setting:
    """Describe a network of one latent layer in the paper's symbols."""
    return Setting(
        (n_in, n),
        (sigma_in, sigma_inf),
        (sigma_obs, sigma_gen),
        eta,
        switch_period,
        algorithm,
        third_factor,
    )


@dataclass
class Weights:
    """Weights of B networks of equal sizes, or anything of the same shape (eligibility traces).

    Attributes
    ----------
    recognition
        W_k for k = 1 to L: networks x n_k x n_(k-1).
    recognition_bias
        b_k for k = 1 to L: networks x n_k.
    generation
        V_k for k = 0 to L - 1: networks x n_k x n_(k+1).
    generation_bias
        c_k for k = 0 to L - 1: networks x n_k.
    transition
        D, the diagonal of the top layer's transition: networks x n_L.
    """

    recognition: list[Float[Tensor, "networks _ _"]]
    recognition_bias: list[Float[Tensor, "networks _"]]
    generation: list[Float[Tensor, "networks _ _"]]
    generation_bias: list[Float[Tensor, "networks _"]]
    transition: Float[Tensor, "networks top"]

    def tensors(self) -> dict[str, Tensor]:
        """Name all tensors; they are the parameters themselves, not copies."""
        named: dict[str, Tensor] = {"transition": self.transition}
        for name in ("recognition", "recognition_bias", "generation", "generation_bias"):
            named |= {f"{name}.{k}": tensor for k, tensor in enumerate(getattr(self, name))}
        return named

    def map(self, function: Callable[[Tensor], Tensor]) -> "Weights":
        """Apply a function to every tensor."""
        return Weights(
            [function(t) for t in self.recognition],
            [function(t) for t in self.recognition_bias],
            [function(t) for t in self.generation],
            [function(t) for t in self.generation_bias],
            function(self.transition),
        )

    def zeros(self) -> "Weights":
        """Give parameters of the same shapes that are all zero."""
        return self.map(torch.zeros_like)

    def network(self, index: int) -> "Weights":
        """Give one network, as a batch of one that shares memory with this."""
        return self.map(lambda tensor: tensor[index : index + 1])


def initialise(sizes: Sequence[int], streams: Sequence[Streams]) -> Weights:
    """Draw initial weights, one network for each seed, in float64 on the CPU.

    Weights are normal with standard deviation 1 / (number of inputs), biases 0, D is 0.6.
    """
    generators = [s.numpy("initialisation") for s in streams]

    def draw(outputs: int, inputs: int) -> Tensor:
        drawn = [g.normal(0, 1 / inputs, (outputs, inputs)) for g in generators]
        return torch.from_numpy(np.stack(drawn))

    def zeros(units: int) -> Tensor:
        return torch.zeros(len(generators), units, dtype=torch.float64)

    pairs = list(itertools.pairwise(sizes))
    return Weights(
        [draw(above, below) for below, above in pairs],
        [zeros(above) for _, above in pairs],
        [draw(below, above) for below, above in pairs],
        [zeros(below) for below, _ in pairs],
        zeros(sizes[-1]) + INITIAL_TRANSITION,
    )
