"""The claims about a day of few-shot learning and the night after it (Figure 3)."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats

from sharpwave_shared.claims import Claim, Measurement
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.night import GAINS
from synaptic_consolidation.recall import wrong_per_active

FEWEST_MEMORIES = 5
INPUTS = {"familiar": 0.24, "novel": 0.21}
"""Published sparseness of inputs, taken to be those of 500 patterns: memories of 200 leave half as
many synapses, and so sparser inputs."""


class Published(NamedTuple):
    """Published numbers, and how far those of a run may be from them: tolerances by a tenth."""

    memories: tuple[float, float]
    density: tuple[float, float]
    neural: tuple[float, float]
    synaptic: tuple[float, float]


PUBLISHED = {
    500: Published((440, 20), (0.11, 0.01), (0.13, 0.30), (0.25, 0.59)),
    200: Published((200, 5), (0.05, 0.005), (0.18, 0.43), (0.20, 0.79)),
}
"""By the number of patterns; tolerances before and after sleep."""


def _published(setup: WakeSleep) -> Published | None:
    """Give the published numbers if they speak about such a run."""
    paper = WakeSleep()
    same = all(
        getattr(setup, name) == getattr(paper, name) for name in ("n", "f", "passes", "cycles")
    )
    return PUBLISHED.get(setup.patterns) if same else None


def _first_night(data: xr.Dataset) -> xr.Dataset:
    return data.sel(day=1)


def _memorises(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    published = _published(setup)
    if published is None:
        return None
    found = float(_first_night(data)["replayed"].mean())
    expected, band = published.memories
    shown = f"{found:.0f} of {setup.patterns} patterns"
    return Measurement(shown, abs(found - expected) <= band, {"memories": found})


def _prunes(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    published = _published(setup)
    if published is None:
        return None
    found = float(_first_night(data)["mean_density"].sel(sleep="after").mean())
    expected, band = published.density
    return Measurement(f"{found:.3f}", abs(found - expected) <= band, {"density": found})


def _tolerance(night: xr.Dataset, kind: str) -> tuple[Float[np.ndarray, "seeds 2"], bool]:
    """Give tolerances before and after sleep, and whether one lies beyond the highest level.

    That level stands for it then. NaN where recall is below 1/2 at any level.
    """
    found = night[f"tolerance_{kind}"].transpose("seed", "sleep")
    recalled = night[f"recall_{kind}"].isel(level=-1) >= 0.5
    beyond = found.isnull() & recalled.transpose("seed", "sleep")
    highest = float(night[f"level_{kind}"].max())
    return found.where(~beyond, highest).values, bool(beyond.any())


def _robust(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    published = _published(setup)
    shown, values, holds = [], {}, []
    kinds = {
        "neural": ("balanced", wrong_per_active(1.0, setup.f)),
        "synaptic": ("one_factor", 1.0),
    }
    for name, (kind, unit) in kinds.items():
        tolerance, beyond = _tolerance(_first_night(data), kind)
        known = unit * tolerance[np.isfinite(tolerance).all(1)]
        if not len(known):
            continue
        found = known.mean(0).tolist()
        more = " or more (the highest level tried)" if beyond else ""
        shown.append(f"{name}: {found[0]:.3f} to {found[1]:.3f}{more}")
        values |= {f"{name}, {when}": v for when, v in zip(("before", "after"), found, strict=True)}
        if published is None:
            holds.append(found[1] >= 1.7 * found[0])
        else:
            pairs = zip(found, getattr(published, name), strict=True)
            holds += [abs(value / expected - 1) <= 0.1 for value, expected in pairs]
    return Measurement("\n".join(shown), all(holds), values) if holds else None


class _Slope(NamedTuple):
    """Slope of robustness after so many cycles on that before, over memories of all seeds."""

    value: float
    error: float
    """Standard error of the slope."""

    @classmethod
    def of(cls, night: xr.Dataset, name: str, cycle: int) -> "_Slope | None":
        """Fit the slope; None if memories are all alike."""
        before, after = (night[name].sel(cycle=c).values.ravel() for c in (0, cycle))
        known = np.isfinite(before) & np.isfinite(after)
        if len(np.unique(before[known])) < 2:
            return None
        fit: Any = stats.linregress(before[known], after[known])
        return cls(float(fit.slope), float(fit.stderr))

    def below(self, other: "_Slope") -> float:
        """Give the one-sided p of not being below another slope (normal approximation)."""
        return float(
            stats.norm.sf((other.value - self.value) / math.hypot(self.error, other.error))
        )


def _weak_gain(which: str) -> Callable[[WakeSleep, xr.Dataset], Measurement | None]:
    """Measure how robustness (`min` or `mean` of neurons) after the night depends on that before.

    The gain of a memory, regressed on its start, falls by regression to the mean alone: how far,
    memories show whose neurons are shuffled.
    """

    def measure(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
        night = _first_night(data)
        if night["replayed"].min() < FEWEST_MEMORIES:
            return None
        last = int(night["cycle"][-1])
        cycles = [*(cycle for cycle in GAINS if cycle in night["cycle"] and cycle < last), last]
        fits = {c: _Slope.of(night, f"robustness_{which}", c) for c in cycles}
        found, chance = fits[last], _Slope.of(night, f"shuffled_{which}", last)
        if found is None or chance is None:
            return None
        slopes = {c: fit.value for c, fit in fits.items() if fit is not None}
        p = found.below(chance)
        listed = ", ".join(f"{value:.2f} after {c:,}" for c, value in slopes.items())
        shown = (
            f"slope {listed} cycles; of memories shuffled between neurons {chance.value:.2f}; "
            f"p = {p:.1g}"
        )
        values = {f"slope after {c:,} cycles": value for c, value in slopes.items()}
        values |= {"slope of shuffled memories": chance.value, "p": p}
        return Measurement(shown, found.value < 1 and p < 0.001, values)

    return measure


def _selective(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    night = _first_night(data).sel(sleep="after")
    shown, values, holds = [], {}, []
    for kind in ("inputs", "soft", "hard"):
        prefix = "" if kind == "inputs" else f"{kind}_"
        found = {which: float(night[f"mean_sparseness_{prefix}{which}"].mean()) for which in INPUTS}
        holds.append(found["familiar"] > found["novel"])
        if kind == "inputs" and _published(setup) is PUBLISHED[500]:
            holds += [abs(found[which] - value) <= 0.02 for which, value in INPUTS.items()]
        shown.append(f"{kind}: " + ", ".join(f"{which} {v:.3f}" for which, v in found.items()))
        values |= {f"{kind}, {which}": value for which, value in found.items()}
    silent = float(night["sparseness_hard_novel"].isnull().mean())
    shown.append(f"{silent:.1%} of neurons respond to no novel pattern, and are left out")
    values["share of neurons without response to novel"] = silent
    return Measurement("\n".join(shown), all(holds), values)


def _align(setup: WakeSleep, data: xr.Dataset) -> Measurement | None:
    night = _first_night(data).sel(sleep="after")
    within, across = (float(night[f"mean_{name}"].mean()) for name in ("within", "across"))
    return Measurement(
        f"within a synapse {within:.3f}, across {across:.3f}",
        within > 0.95 and abs(across) < 0.05,
        {"within": within, "across": across},
    )


SIZES = "N = 1000, f = 0.05, 35 passes, 100,000 cycles"
GAIN_BAND = (
    "slope of robustness after the night on robustness before below 1, and, with p < 0.001, below "
    "that of memories shuffled between neurons, which falls by regression to the mean alone"
)
CLAIMS = [
    Claim(
        name="few-shot-learning",
        statement="Few-shot learning by day turns most patterns into attractors",
        source="Figure 3",
        published="440 of 500 patterns; 200 of 200",
        band=f"440 +- 20; at least 195; {SIZES}",
        measure=_memorises,
    ),
    Claim(
        name="sleep-prunes",
        statement="Sleep after few-shot learning prunes most synapses",
        source="Figure 3, density against replay cycles",
        published="density 0.11 after 10^5 cycles (M = 500), 0.05 (M = 200)",
        band=f"0.110 +- 0.01, 0.05 +- 0.005; {SIZES}",
        measure=_prunes,
    ),
    Claim(
        name="sleep-makes-robust",
        statement="Sleep makes memories robust to neural and synaptic noise",
        source="Figure 3, tolerances before and after",
        published="neural 0.13 to 0.30 (M = 500), 0.18 to 0.43 (M = 200); synaptic 0.25 to 0.59, "
        "0.20 to 0.79",
        band="each within 10 % (other sizes: after at least 1.7 times before); neural in "
        "wrong bits per active neuron (activity kept), synaptic on one factor, relative to the "
        "mean surviving one",
        measure=_robust,
    ),
    *(
        Claim(
            name=name,
            statement=f"Weak memories gain most, by {of}",
            source="Figure 3, gain against initial robustness",
            published="negative slope of the gain, from the second cycle on",
            band=GAIN_BAND,
            measure=_weak_gain(which),
        )
        for name, of, which in (
            ("weak-gain-most", "the mean of their neurons", "mean"),
            ("weakest-gain-most", "their weakest neuron", "min"),
        )
    ),
    Claim(
        name="familiar-is-selective",
        statement="Familiar patterns are represented more selectively than novel ones after sleep",
        source="Figure 3, sparseness",
        published="inputs: familiar 0.24, novel 0.21",
        band="familiar > novel, for inputs and for responses above a soft and a hard threshold, "
        "mean over neurons that respond at all; inputs within 0.02 (M = 500 at the paper's size)",
        measure=_selective,
    ),
    Claim(
        name="factors-align",
        statement="Factors within a synapse align, those of different synapses do not",
        source="Figure 3, correlations of factors",
        published="1 and 0",
        band="> 0.95, and between -0.05 and 0.05",
        measure=_align,
    ),
]
