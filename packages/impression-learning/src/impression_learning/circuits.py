"""Networks on their way through a simulation, and the two engines that move them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from impression_learning import batched, fused
from impression_learning.model import Parameters, Setting, initialise
from sharpwave_shared.seeding import Streams


@dataclass
class Circuits:
    """B networks of equal sizes that learn by the same algorithm.

    Attributes
    ----------
    settings
        One for each network; `sizes` and `algorithm` agree.
    parameters
        The weights; learning changes them in place.
    traces
        Eligibility traces of REINFORCE; None for other algorithms.
    loss_mean
        Running mean of the loss, NaN before the first step; used by REINFORCE only.
    """

    settings: Sequence[Setting]
    parameters: Parameters
    traces: Parameters | None
    loss_mean: Float[Tensor, " networks"]

    @classmethod
    def new(
        cls, settings: Sequence[Setting], streams: Sequence[Streams], device: torch.device
    ) -> "Circuits":
        """Draw new networks, one for each setting and its random streams."""
        (sizes,) = {s.sizes for s in settings}
        (algorithm,) = {s.algorithm for s in settings}
        dtype = precision(device)
        parameters = initialise(sizes, streams).map(lambda t: t.to(device, dtype))
        traces = parameters.zeros() if algorithm == "reinforce" else None
        unknown = torch.full((len(settings),), torch.nan, device=device, dtype=dtype)
        return cls(settings, parameters, traces, unknown)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.loss_mean.device

    def tensors(self) -> dict[str, Tensor]:
        """Name all that learning changes."""
        named = {"loss_mean": self.loss_mean} | self.parameters.tensors()
        if self.traces is not None:
            named |= {f"trace.{name}": t for name, t in self.traces.tensors().items()}
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])

    def advance(
        self,
        state: Float[Tensor, "networks units"],
        was_awake: Bool[np.ndarray, " networks"],
        stimulus: Float[Tensor, "steps networks n_in"],
        noise_inf: Float[Tensor, "steps networks units"],
        noise_gen: Float[Tensor, "steps networks units"],
        awake: Bool[np.ndarray, "steps networks"],
        *,
        learn: bool,
        record: bool = False,
    ) -> tuple[Float[Tensor, "steps networks"], Float[Tensor, "_ networks units"]]:
        """Run some steps.

        Parameters
        ----------
        state
            Activity of the step before, layers side by side; changed in place.
        was_awake
            Whether that step was awake.
        stimulus, noise_inf, noise_gen
            The data x, and standard normal variates of inference and of generation. A step needs
            one of the two, so that the same variates may stand for both.
        awake
            Which steps are awake.
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
        engine = fused if self.device.type == "cpu" else batched
        return engine.advance(
            self.settings,
            self.parameters,
            self.traces,
            self.loss_mean,
            state,
            was_awake,
            stimulus,
            noise_inf,
            noise_gen,
            awake,
            learn,
            record,
        )


def precision(device: torch.device) -> torch.dtype:
    """Choose the floating-point type: float64 wherever the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
