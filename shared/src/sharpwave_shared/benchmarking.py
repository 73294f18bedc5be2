"""Timing two or more ways of doing the same, side by side in one run, and telling what came out."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch

from sharpwave_shared.devices import describe_device, resolve_device

Measure = Callable[[argparse.Namespace, torch.device], Iterable[Mapping[str, object]]]


def benchmark(description: str | None, measure: Measure, **defaults: int | str) -> None:
    """Be the command line of a benchmark: measure, and tell each result as one line of JSON.

    Lines are told as soon as they are measured, so that a benchmark that is cut off has told what
    it could. The first one names the machine and the options.

    Parameters
    ----------
    description
        The benchmark's docstring, for `--help`.
    measure
        Takes the parsed options and the device. It yields one mapping for each comparison: `what`
        was compared, the `ratio` of the baseline's time to ours, and other numbers.
    defaults
        Options of the benchmark, besides `--device` and `--json FILE`.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="a file that gets the printed lines as well")
    for name, default in defaults.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(default), default=default, help=f"default: {default}")
    options = parser.parse_args()
    device = resolve_device(options.device)
    machine = {
        "what": "machine",
        "device": describe_device(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "processors": len(os.sched_getaffinity(0)),
        **{name: getattr(options, name) for name in defaults},
    }
    with ExitStack() as stack:
        file = options.json and stack.enter_context(options.json.open("w", encoding="utf-8"))

        def tell(result: Mapping[str, object]) -> None:
            line = json.dumps(result)
            print(line, flush=True)
            if file:
                print(line, file=file, flush=True)

        tell(machine)
        for result in measure(options, device):
            tell(result)


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
