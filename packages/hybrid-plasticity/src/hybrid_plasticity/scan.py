"""A plastic layer over whole streams as one differentiable operation."""

from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hybrid_plasticity import batched, fused
from hybrid_plasticity.configuration import Activation


@runtime_checkable
class Engine(Protocol):
    """Computes plastic layers over whole streams: the modules `fused` and `batched`.

    Shapes are those of `plastic_layer`.
    """

    @staticmethod
    def forward(
        x: Tensor,
        drive: Tensor,
        E: Tensor,
        decay: Tensor,
        lengths: Tensor,
        activation: Activation,
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute the activity; give what the way back needs beside it, too."""
        ...

    @staticmethod
    def backward(
        x: Tensor,
        E: Tensor,
        decay: Tensor,
        lengths: Tensor,
        activation: Activation,
        h: Tensor,
        kept: list[Tensor],
        grad_h: Tensor,
        *,
        to_x: bool,
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
        """Compute the gradients with respect to `x` (without the path through `drive`; None unless
        `to_x`), `drive`, `E` and `decay`, from that with respect to `h` and what `forward` gave.
        """  # noqa: D205
        ...


def plastic_layer(
    x: Float[Tensor, "networks streams frames inputs"],
    drive: Float[Tensor, "networks streams frames units"],
    E: Float[Tensor, "networks units inputs"],
    decay: Float[Tensor, " networks"],
    lengths: Int[Tensor, " networks"],
    activation: Activation,
) -> Float[Tensor, "networks streams frames units"]:
    """Compute the activity of plastic layers, frame after frame, from traces Q = 0.

        h(t) = f(drive(t) + (E * Q(t)) x(t)),    Q(t + 1) = decay Q(t) + h(t) x(t)^T

    Differentiable once with respect to all of `x`, `drive`, `E` and `decay`.

    Parameters
    ----------
    x
        Inputs of the layer.
    drive
        What does not depend on the traces: W x + b.
    E
        Effective rates.
    decay
        Factor of the traces from frame to frame; 0: they hold the last frame only.
    lengths
        Frames after which a network's streams end; later activity has no meaning, and must not
        enter a loss.
    activation
        The nonlinearity f.

    Raises
    ------
    ValueError
        If shapes or types do not fit each other.
    """
    networks, streams, frames, inputs = x.shape
    units = drive.shape[-1]
    if (
        drive.shape != (networks, streams, frames, units)
        or E.shape != (networks, units, inputs)
        or decay.shape != (networks,)
        or lengths.shape != (networks,)
        or not 0 <= int(lengths.min()) <= int(lengths.max()) <= frames
        or len({tensor.dtype for tensor in (x, drive, E, decay)}) > 1
    ):
        # The compiled loops do not check where they read and write.
        shapes = [tuple(tensor.shape) for tensor in (x, drive, E, decay, lengths)]
        raise ValueError(f"a plastic layer of shapes {shapes} and lengths {lengths.tolist()}")
    engine = fused if x.device.type == "cpu" else batched
    return cast(Tensor, PlasticLayer.apply(engine, x, drive, E, decay, lengths, activation))


class PlasticLayer(torch.autograd.Function):
    """Joins the two ways through an engine."""

    @staticmethod
    def forward(  # noqa: D102 - as torch has it
        ctx: Any,
        engine: Engine,
        x: Tensor,
        drive: Tensor,
        E: Tensor,
        decay: Tensor,
        lengths: Tensor,
        activation: Activation,
    ) -> Tensor:
        h, kept = engine.forward(x, drive, E, decay, lengths, activation)
        ctx.save_for_backward(x, E, decay, lengths, h, *kept)
        ctx.engine, ctx.activation = engine, activation
        return h

    @staticmethod
    def backward(  # type: ignore[override] # noqa: D102
        ctx: Any, grad_h: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, E, decay, lengths, h, *kept = ctx.saved_tensors
        gradients = ctx.engine.backward(
            x, E, decay, lengths, ctx.activation, h, kept, grad_h, to_x=ctx.needs_input_grad[1]
        )
        return (None, *gradients, None, None)
