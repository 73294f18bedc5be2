"""What networks have learnt: reconstruction, time constants, and what alternation disturbs."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.signal import fftconvolve
from torch import Tensor

from impression_learning.simulate import Group

MAXIMUM_LAG = 80


@dataclass(frozen=True)
class Trial:
    """The test passage for one network, three times over, with the same data and noise.

    Layer k has n_k units; `top` is the number of latent layers.

    Attributes
    ----------
    stimulus
        The data x.
    latents
        The causes behind it (none are known for speech).
    awake, alternating, asleep
        Activity of the top layer: awake all the time, alternating, and asleep all the time.
    phases
        Which steps of the alternating run are awake.
    reconstruction
        What the generative weights make of layer 1, awake.
    dream
        Observations generated asleep.
    """

    stimulus: Float[np.ndarray, "steps n_in"]
    latents: Float[np.ndarray, "steps _"]
    awake: Float[np.ndarray, "steps n"]
    alternating: Float[np.ndarray, "steps n"]
    asleep: Float[np.ndarray, "steps n"]
    phases: Bool[np.ndarray, " steps"]
    reconstruction: Float[np.ndarray, "steps n_in"]
    dream: Float[np.ndarray, "steps n_in"]

    def summary(self) -> dict[str, float]:
        """Give the numbers on which the claims rest."""
        x, told = self.stimulus, self.reconstruction
        return {
            "correlation": correlation(x, told),
            "r2": 1 - float(((x - told) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()),
            "alternation_correlation": correlation(self.awake, self.alternating),
        }

    def autocorrelations(self) -> dict[str, Float[np.ndarray, " lags"]]:
        """Give the autocorrelation of top-layer activity awake and asleep, and of the causes."""
        named = {"inferred": self.awake, "generated": self.asleep, "true": self.latents}
        return {name: autocorrelation(v) for name, v in named.items() if v.shape[1]}


def run_trials(group: Group, steps: int) -> list[Trial]:
    """Run the test passage with all networks of a group."""
    runs: dict[str, Tensor] = {}
    stimulus, latents = [], []
    for phases in ("awake", "alternating", "asleep"):
        pieces = []
        for piece in group.go(group.start("test"), steps, record=True, phases=phases):
            pieces.append(piece.states)
            if phases == "awake":
                stimulus.append(piece.stimulus)
                latents.append(piece.latents)
        runs[phases] = torch.cat(pieces)
    x, z = torch.cat(stimulus), torch.cat(latents)
    sizes = group.members[0].setting.sizes
    first, last = slice(sizes[0], sizes[0] + sizes[1]), slice(-sizes[-1], None)
    generation = group.circuits.parameters.generation[0]
    told = torch.einsum("bij,tbj->tbi", generation, runs["awake"][..., first])

    def own(values: Tensor, index: int) -> np.ndarray:
        return values[:, index].cpu().double().numpy()

    return [
        Trial(
            own(x, i),
            own(z, i),
            own(runs["awake"][..., last], i),
            own(runs["alternating"][..., last], i),
            own(runs["asleep"][..., last], i),
            member.setting.awake(0, steps),
            own(told, i),
            own(runs["asleep"][..., : sizes[0]], i),
        )
        for i, member in enumerate(group.members)
    ]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Give the correlation of all elements of two arrays."""
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def autocorrelation(
    values: Float[np.ndarray, "steps units"], lags: int = MAXIMUM_LAG
) -> Float[np.ndarray, " lags"]:
    """Give the autocorrelation at lags 0 to `lags`, averaged over the units that vary."""
    centred = values - values.mean(0)
    steps = len(values)
    lags = min(lags, steps - 1)
    products = fftconvolve(centred, centred[::-1], axes=0)[steps - 1 : steps + lags]
    products = products / (steps - np.arange(lags + 1))[:, None]
    varying = products[0] > 1e-12
    return (products[:, varying] / products[0, varying]).mean(1)


def band_correlations(values: Float[np.ndarray, "steps bands"]) -> Float[np.ndarray, "bands bands"]:
    """Give the correlations between bands; bands that do not vary have none, which counts as 0."""
    centred = values - values.mean(0)
    deviation = np.sqrt((centred**2).mean(0))
    varying = deviation > 1e-9
    scaled = np.where(varying, centred / np.where(varying, deviation, 1), 0)
    return scaled.T @ scaled / len(values)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Give the cosine of the angle between two arrays, taken as vectors."""
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))
