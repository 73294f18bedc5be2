"""Networks on their way through a simulation, and what an engine that moves them is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from impression_learning.model import Setting, Weights, initialise
from sharpwave_shared.seeding import Streams


@dataclass
class Circuits:
    """B networks of equal sizes that learn by the same algorithm.

    Attributes
    ----------
    settings
        One for each network; `sizes` and `rule` agree.
    weights
        Learning changes them in place.
    traces
        Eligibility traces of REINFORCE; None for other algorithms.
    loss_mean
        Running mean of the loss; used by REINFORCE only. NaN before the first step, whose loss
        then is the mean.
    """

    settings: Sequence[Setting]
    weights: Weights
    traces: Weights | None
    loss_mean: Float[Tensor, " networks"]

    @classmethod
    def new(
        cls, settings: Sequence[Setting], streams: Sequence[Streams], device: torch.device
    ) -> "Circuits":
        """Draw new networks, one for each setting and its random streams."""
        (sizes,) = {s.sizes for s in settings}
        (rule,) = {s.rule for s in settings}
        dtype = precision(device)
        weights = initialise(sizes, streams).map(lambda t: t.to(device, dtype))
        traces = weights.zeros() if rule == "reinforce" else None
        means = [0.0 if s.as_released else math.nan for s in settings]
        return cls(settings, weights, traces, torch.tensor(means, device=device, dtype=dtype))

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.loss_mean.device

    def state_dict(self) -> dict[str, Tensor]:
        """Name all that learning changes."""
        named = {"loss_mean": self.loss_mean} | self.weights.tensors()
        if self.traces is not None:
            named |= {f"trace.{name}": t for name, t in self.traces.tensors().items()}
        return named

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])


@dataclass(frozen=True)
class Inputs:
    """What B networks meet in some steps.

    Attributes
    ----------
    stimulus
        The data x.
    noise_inf, noise_gen
        Standard normal variates of inference and of generation. A step needs one of the two (but
        for `Setting.as_released`), so that the same variates may stand for both.
    awake
        Which steps are awake.
    was_awake
        Whether the step before was awake.
    """

    stimulus: Float[Tensor, "steps networks n_in"]
    noise_inf: Float[Tensor, "steps networks units"]
    noise_gen: Float[Tensor, "steps networks units"]
    awake: Bool[np.ndarray, "steps networks"]
    was_awake: Bool[np.ndarray, " networks"]


@runtime_checkable
class Engine(Protocol):
    """What moves networks; all engines compute the same.

    `reference` is the plain transcription of the equations, `fused` one compiled loop for each
    network on the CPU, `batched` has all networks in every operation, on any device.
    """

    def __call__(
        self,
        circuits: Circuits,
        state: Float[Tensor, "networks units"],
        inputs: Inputs,
        *,
        learn: bool,
        record: bool = False,
    ) -> tuple[Float[Tensor, "steps networks"], Float[Tensor, "_ networks units"]]:
        """Run some steps.

        Parameters
        ----------
        circuits
            The networks; learning changes them in place.
        state
            Activity of the step before, layers side by side; changed in place.
        inputs
            What they meet.
        learn
            Whether weights change.
        record
            Whether to give the activity of all steps.

        Returns
        -------
        losses
            The recorded loss; not finite, from some step on, where a network diverged.
        states
            Activity, layers side by side; no steps unless `record`.
        """
        ...


def precision(device: torch.device) -> torch.dtype:
    """Choose the floating-point type: float64 wherever the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
