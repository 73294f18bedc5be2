"""Points, and how they walk."""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from sharpwave_shared.seeding import Streams


class Walkers:
    """A point for each seed."""

    def __init__(self, seeds: Sequence[int], sigma: float, drift: float = 0.0):
        self.seeds, self.sigma, self.drift = list(seeds), sigma, drift
        self.places = np.zeros(len(seeds))
        self.trace = torch.zeros(0, len(seeds), dtype=torch.float64)

    def state_dict(self) -> dict:
        return {"places": self.places, "trace": self.trace}

    def load_state_dict(self, state: dict) -> None:
        self.places, self.trace = state["places"], state["trace"]

    def step(self, number: int) -> None:
        steps = [Streams(s).numpy("step", number).normal(self.drift) for s in self.seeds]
        self.places = self.places + self.sigma * np.array(steps)
        self.trace = torch.cat([self.trace, torch.from_numpy(self.places)[None]])

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"places": torch.from_numpy(self.places)}

    def results(self, scales: Sequence[float], *, trace: bool) -> xr.Dataset:
        far = np.abs(self.places)[:, None] / np.array(scales)
        metre = {"units": "m"}
        data = xr.Dataset(
            {
                "distance": (("seed", "scale"), far, {"long_name": "distance", **metre}),
                "right": ("seed", self.places > 0, {"long_name": "ended on the right"}),
            },
            {"seed": self.seeds, "scale": list(scales)},
        )
        if trace:
            data["trace"] = (("seed", "step"), self.trace.numpy().T, {"long_name": "way", **metre})
        return data
