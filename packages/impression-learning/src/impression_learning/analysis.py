"""What networks have learnt: reconstruction, time constants, and what alternation disturbs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float
from scipy.signal import fftconvolve
from torch import Tensor

from impression_learning.simulate import Group, Learnt
from sharpwave_shared.compiled import workers
from sharpwave_shared.statistics import mean_and_sd

MAXIMUM_LAG = 80
EXCERPT = 400
"""Steps of the test passage that are kept for figures."""


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
    transition
        D of the top layer.
    """

    stimulus: Float[np.ndarray, "steps n_in"]
    latents: Float[np.ndarray, "steps _"]
    awake: Float[np.ndarray, "steps n"]
    alternating: Float[np.ndarray, "steps n"]
    asleep: Float[np.ndarray, "steps n"]
    phases: Bool[np.ndarray, " steps"]
    reconstruction: Float[np.ndarray, "steps n_in"]
    dream: Float[np.ndarray, "steps n_in"]
    transition: Float[np.ndarray, " n"]

    def summary(self) -> dict[str, float]:
        """Give the numbers on which the claims rest."""
        x, told = self.stimulus, self.reconstruction
        mean, sd = mean_and_sd(self.transition)
        return {
            "correlation": correlation(x, told),
            "r2": 1 - float(((x - told) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()),
            "alternation_correlation": correlation(self.awake, self.alternating),
            "transition_mean": float(mean),
            "transition_sd": float(sd),
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
    generation = group.circuits.weights.generation[0]
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
            group.circuits.weights.transition[i].cpu().double().numpy(),
        )
        for i, member in enumerate(group.members)
    ]


MEASURES = {
    "correlation": "correlation of reconstruction",
    "r2": "$R^2$ of reconstruction",
    "alternation_correlation": "correlation awake, alternating",
    "transition_mean": "D, mean over units",
    "transition_sd": "D, s.d. over units",
}
"""What a trial is reduced to, see `Trial.summary`."""
EXCERPTS = {
    "stimulus": ("channel", "observation"),
    "reconstruction": ("channel", "reconstruction, awake"),
    "dream": ("channel", "observation generated asleep"),
    "awake": ("unit", "activity of the top layer, awake all the time"),
    "alternating": ("unit", "activity of the top layer, alternating"),
}
"""What an excerpt is kept of: dimension beside time, and what it is."""


def describe(trial: Trial, excerpt: int = EXCERPT) -> xr.Dataset:
    """Reduce a trial to numbers, autocorrelations, and the activity of its first steps.

    What is the network's own has the dimension `seed`, of length 1.
    """
    data = xr.Dataset()
    for name, value in trial.summary().items():
        data[name] = ("seed", [value], {"long_name": MEASURES[name]})
    curves = trial.autocorrelations()
    told = {"long_name": "autocorrelation, averaged over units"}
    stacked = np.stack(list(curves.values()))[:, None].astype(np.float32)
    data["autocorrelation"] = (("source", "seed", "lag"), stacked, told)
    for name, (dim, what) in EXCERPTS.items():
        values = getattr(trial, name)[None, :excerpt].astype(np.float32)
        data[name] = (("seed", "time", dim), values, {"long_name": what})
    data["is_awake"] = ("time", trial.phases[:excerpt], {"long_name": "awake while alternating"})
    lags = ("lag", np.arange(stacked.shape[-1]), {"units": "steps"})
    times = ("time", np.arange(data.sizes["time"]), {"units": "steps"})
    return data.assign_coords(source=list(curves), lag=lags, time=times)


def describe_bands(trial: Trial) -> xr.Dataset:
    """Compare how bands of the data are correlated, and bands of dreams."""
    bands = [band_correlations(v) for v in (trial.stimulus, trial.dream)]
    told = {"long_name": "cosine of band correlations"}
    return xr.Dataset(
        {
            "band_cosine": ("seed", [cosine(*bands)], told),
            "band_correlation": (
                ("seed", "passage", "channel", "other_channel"),
                np.stack(bands)[None].astype(np.float32),
                {"long_name": "correlation of bands"},
            ),
        },
        {"passage": ["data", "dreams"]},
    )


def look(
    learnt: Learnt, steps: int, describe: Callable[[Trial], xr.Dataset] = describe
) -> list[xr.Dataset]:
    """Run the test passage with all networks that learnt, and reduce each trial at once."""

    def look_at(group: Group) -> list[xr.Dataset]:
        return [describe(trial) for trial in run_trials(group, steps)]

    with workers(len(learnt.groups)) as in_parallel, torch.no_grad():
        found = in_parallel(look_at, learnt.groups)
    return [found[g][i] for g, i in learnt.places]


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
