"""Steps of many small operations, launched as one where the device can."""

import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

FEW = 10
"""Steps for which it is not worth while to record one."""
WARM_UP = 2
"""Runs before a step is recorded, in which libraries set themselves up."""
_one_at_a_time = threading.Lock()


def record(
    step: Callable[[], None],
    device: torch.device,
    changed: Sequence[Tensor] = (),
    times: int | None = None,
) -> Callable[[], None]:
    """Give a function that does what `step` does: on CUDA from a recording (a graph).

    An accelerator computes a small operation in less time than it takes to launch it; a recorded
    step is launched as a whole. On other devices, or for a few steps, `step` itself is given.

    Parameters
    ----------
    step
        Reads and writes tensors, always the same ones, and never looks at their values. What it
        allocates stays where it is, and is overwritten each time.
    device
        Where its tensors are.
    changed
        Tensors that the step changes and that must not be changed by recording, which runs it.
    times
        How often the step will be taken, if that is known.
    """
    if device.type != "cuda" or (times is not None and times < FEW):
        return step
    with _one_at_a_time, torch.cuda.device(device):
        kept = [tensor.clone() for tensor in changed]
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                step()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads go on meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            step()
        for tensor, values in zip(changed, kept, strict=True):
            tensor.copy_(values)
    return graph.replay
