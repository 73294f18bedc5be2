"""Timing two or more ways of doing the same, side by side in one run."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def alternate(
    sides: Mapping[str, Callable[[], object]], repeat: int, device: torch.device
) -> dict[str, float]:
    """Run the sides in turn, after one unmeasured turn each; give the median seconds of each.

    Taking turns, the sides meet the same disturbances of a busy machine.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeat + 1):
        for name, side in sides.items():
            _synchronise(device)
            start = time.perf_counter()
            side()
            _synchronise(device)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
