"""The engines, by name, and which one a device takes."""

from collections.abc import Mapping

import torch

from impression_learning import batched, fused, reference
from impression_learning.circuits import Engine

ENGINES: Mapping[str, Engine] = {
    "reference": reference.advance,
    "fused": fused.advance,
    "batched": batched.advance,
}


def engine_for(device: torch.device) -> Engine:
    """Choose the engine that is fastest on a device."""
    return ENGINES["fused" if device.type == "cpu" else "batched"]
