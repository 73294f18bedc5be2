"""A plastic layer over whole streams as one differentiable operation."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hybrid_plasticity import batched, fused
from hybrid_plasticity.batched import Activation
from sharpwave_shared.compiled import workers

Item = TypeVar("Item")
Given = TypeVar("Given")
_in_parallel: ContextVar[Callable | None] = ContextVar("_in_parallel", default=None)
CODES = {"tanh": fused.TANH, "sigmoid": fused.SIGMOID}


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
    engine = _Fused if x.device.type == "cpu" else _Batched
    return cast(Tensor, engine.apply(x, drive, E, decay, lengths, activation))


class _Fused(torch.autograd.Function):
    """Every stream of every network in a compiled loop, several of them in threads."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, drive: Tensor, E: Tensor, decay: Tensor, lengths: Tensor, f: str
    ) -> Tensor:
        x, drive, E = x.contiguous(), drive.contiguous(), E.contiguous()
        h = torch.zeros_like(drive)
        arrays = [tensor.detach().numpy() for tensor in (x, drive, E, decay, h)]
        frames, code = lengths.tolist(), CODES[f]

        def run(stream: tuple[int, int]) -> None:
            n, b = stream
            X, U, rates, factor, H = arrays
            fused.forward(X[n, b], U[n, b], rates[n], factor[n], frames[n], code, H[n, b])

        in_threads(run, _streams(x))
        ctx.save_for_backward(x, E, decay, h)
        ctx.frames, ctx.code = frames, code
        return h

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, E, decay, h = ctx.saved_tensors
        streams = x.shape[:2]
        # Empty where nobody asks for it: the first layer's inputs are data.
        grad_x = x.new_zeros(x.shape if ctx.needs_input_grad[0] else (*streams, 0, x.shape[-1]))
        grad_drive = torch.zeros_like(h)
        grad_E = E.new_empty((*streams, *E.shape[1:]))
        grad_decay = decay.new_empty(streams)
        arrays = [
            tensor.detach().numpy()
            for tensor in (x, E, decay, h, grad_h.contiguous(), grad_x, grad_drive, grad_E)
        ]

        def run(stream: tuple[int, int]) -> None:
            n, b = stream
            X, rates, factor, H, gH, gX, gU, gE = arrays
            grad_decay[n, b] = fused.backward(
                *(X[n, b], rates[n], factor[n], ctx.frames[n], ctx.code, H[n, b]),
                *(gH[n, b], gX[n, b], gU[n, b], gE[n, b]),
            )

        in_threads(run, _streams(x))
        to_x = grad_x if ctx.needs_input_grad[0] else None
        return to_x, grad_drive, grad_E.sum(1), grad_decay.sum(1), None, None


class _Batched(torch.autograd.Function):
    """All streams of all networks together."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        drive: Tensor,
        E: Tensor,
        decay: Tensor,
        lengths: Tensor,
        f: Activation,
    ) -> Tensor:
        h, starts = batched.forward(x, drive, E, decay, f)
        ctx.save_for_backward(x, E, decay, h, *starts)
        ctx.f = f
        return h

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, E, decay, h, *starts = ctx.saved_tensors
        return (*batched.backward(x, E, decay, ctx.f, h, starts, grad_h), None, None)


@contextmanager
def threads() -> Iterator[None]:
    """Let networks and their streams have torch's threads while the block runs.

    The operations of a network are too small to be shared out themselves.
    """
    count = torch.get_num_threads()
    with workers(count) as in_parallel:
        token = _in_parallel.set(in_parallel if count > 1 else None)
        try:
            yield
        finally:
            _in_parallel.reset(token)


def in_threads(work: Callable[[Item], Given], items: Sequence[Item]) -> list[Given]:
    """Work on items in the threads of `threads`, if there are any; give the results in order.

    What an item starts in turn stays in its thread.
    """
    in_parallel = _in_parallel.get()
    if in_parallel is None or len(items) == 1:
        return [work(item) for item in items]
    return in_parallel(work, items)


def _streams(x: Tensor) -> list[tuple[int, int]]:
    """Give the network and the number of every stream."""
    return [(n, b) for n in range(x.shape[0]) for b in range(x.shape[1])]
