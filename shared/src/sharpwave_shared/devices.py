"""Choosing where the computation runs."""

import platform
from pathlib import Path

import torch

from sharpwave_shared.errors import ParameterError


def available_devices() -> list[str]:
    """Name the devices of this machine that torch can use, best first."""
    devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:N` or `mps` into a device that exists here.

    `auto` takes CUDA if present, then MPS, then the CPU. On CUDA, deterministic convolution
    algorithms are chosen, so that the same seed gives the same numbers.

    Raises
    ------
    ParameterError
        If the name is not one of these or the device is not there; the message names what is.
    """
    available = available_devices()
    if name == "auto":
        name = available[0]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in available:
        raise ParameterError(
            "device", repr(name), f"what this machine has: {', '.join(available)} (auto: the first)"
        )
    if wanted.startswith("cuda"):
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    return torch.device(wanted)


def describe_device(device: torch.device) -> str:
    """Name the hardware behind a device, for the record of a run."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            processor = names[0].partition(":")[2].strip()
    return f"{processor}, {torch.get_num_threads()} threads"
