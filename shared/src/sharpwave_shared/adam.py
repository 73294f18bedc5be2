"""Adam (Kingma & Ba 2015), step by step as torch's optimiser, ready at once.

To make a `torch.optim.Adam` imports torch's compiler, which takes seconds; the function that it
calls at each step does not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam on tensors, which it changes in place.

    Parameters
    ----------
    parameters
        What is learned.
    lr
        Learning rate.
    weight_decay
        Factor of the parameters that is added to their gradients.
    means, squares
        Running means of the gradients and of their squares, one for each parameter; changed in
        place. Default: zeros.
    steps
        Steps already taken.
    fused
        Whether one kernel does it all, where the device has it: faster, and rounded otherwise.

    Attributes
    ----------
    steps
        Steps taken so far.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: float,
        *,
        weight_decay: float = 0.0,
        means: Sequence[Tensor] | None = None,
        squares: Sequence[Tensor] | None = None,
        steps: int = 0,
        fused: bool = True,
    ):
        self.parameters, self.lr, self.weight_decay = list(parameters), lr, weight_decay
        self.means = self._zeros() if means is None else list(means)
        self.squares = self._zeros() if squares is None else list(squares)
        self._fused = fused and all(p.device.type in ("cpu", "cuda") for p in self.parameters)
        self._counts = [
            torch.full((), float(steps), device=p.device if self._fused else "cpu")
            for p in self.parameters
        ]

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(p, requires_grad=False) for p in self.parameters]

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return int(self._counts[0])

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Take a step, with the gradients of all parameters."""
        adam(
            self.parameters,
            list(gradients),
            self.means,
            self.squares,
            [],
            self._counts,
            fused=self._fused or None,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            lr=self.lr,
            weight_decay=self.weight_decay,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """Give all that changes but the parameters."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for own, kept in ((self.means, state["means"]), (self.squares, state["squares"])):
            for values, others in zip(own, kept, strict=True):
                values.copy_(others)
        for count in self._counts:
            count.fill_(state["steps"])
