"""Claims about networks awake and asleep.

The paper has no tables: its results are figures, which the claims name. Bands are read off them.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from rnn_reactivation.experiments.analyze import (
    ACTIVE,
    HEAD_DIRECTION,
    NAVIGATION,
    NOISE_ADDED,
    QUIESCENT,
    VANILLA,
    Analyze,
)
from sharpwave_shared.claims import Claim, Measurement

NOISY, NOISELESS = "noisy", "no-noise"
UNBIASED, BIASED = "unbiased", "biased"
BIASES = UNBIASED, BIASED
REST = 0.1
"""Share of the awake step below which a decoded trajectory counts as at rest."""
FAR_LARGER = 3
"""So many times a noisy network's steps are those of a network that noise makes jump."""
TENTH = 9
"""Index of the tenth component."""
EPOCHS = 20_000
"""Epochs after which the paper's networks for the head direction task are judged."""


def _lacks(experiment: Analyze, data: xr.Dataset, task: str, measure: str, *names: str) -> bool:
    """Tell whether the results do not hold a measure of all these networks of this task."""
    return (
        experiment.task != task
        or measure not in data
        or not set(names) <= set(data["configuration"].values)
    )


def _short_of(data: xr.Dataset, name: str, epochs: int) -> bool:
    """Tell whether a network has had fewer epochs."""
    return bool((data["trained_epochs"].sel(configuration=name) < epochs).any())


def _mean(values: xr.DataArray) -> float:
    """Average over seeds; NaN if a value is not finite, so that no band holds it."""
    return values.where(abs(values) < float("inf")).mean(skipna=False).item()


def _kl(data: xr.Dataset, asleep: str, awake: str, condition: str = QUIESCENT) -> float:
    """Give the mean divergence of a network asleep from one awake."""
    return _mean(data["kl"].sel(asleep=asleep, configuration=awake, condition=condition))


def _of(data: xr.Dataset, measure: str, name: str, condition: str = QUIESCENT) -> float:
    return _mean(data[measure].sel(configuration=name, condition=condition))


def _said(parts: Sequence[str], data: xr.Dataset) -> str:
    count = data.sizes["seed"]
    return f"{'; '.join(parts)} ({'1 seed' if count == 1 else f'means over {count} seeds'})"


def _tiles(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    own, biased = f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"
    if _lacks(experiment, data, NAVIGATION, "kl", own):
        return None
    random, uniform = data["kl_random"], data["kl_uniform"]
    values = {"own": _kl(data, own, own), "random": _mean(random.sel(configuration=own))}
    parts = [f"own {values['own']:.3g}", f"random network {values['random']:.3g}"]
    if biased in data["configuration"]:
        values["random on biased"] = _mean(random.sel(configuration=biased))
        values["uniform on biased"] = _mean(uniform.sel(configuration=biased))
        parts.append(
            f"on biased activity: random network {values['random on biased']:.3g}, uniform "
            f"{values['uniform on biased']:.3g}"
        )
    else:
        parts.append("no biased network, so not compared on its activity")
    others = [value for name, value in values.items() if name != "own"]
    holds = all(values["own"] <= other / 3 for other in others)
    return Measurement(_said(parts, data), holds, values)


def _noiseless_stays(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    """Compare the variance of networks trained without noise with that of the noisy ones.

    Their divergences are reported, too: the paper finds that they correspond well.
    """
    names = [f"{noise}_{bias}" for bias in BIASES for noise in (NOISY, NOISELESS)]
    if _lacks(experiment, data, NAVIGATION, "variance", *names):
        return None
    values, parts, holds = {}, [], True
    for bias in BIASES:
        noisy, silent = (_of(data, "variance", f"{n}_{bias}") for n in (NOISY, NOISELESS))
        values |= {f"{bias} noisy": noisy, f"{bias} no noise": silent}
        holds = holds and silent < noisy
        parts.append(f"{bias}: {silent:.3g} m^2, noisy network {noisy:.3g} m^2")
        if "kl" in data:
            kl = [_kl(data, f"{n}_{bias}", f"{n}_{bias}") for n in (NOISELESS, NOISY)]
            values |= {f"{bias} no noise kl": kl[0], f"{bias} noisy kl": kl[1]}
            parts.append(f"divergences (no claim) {kl[0]:.3g} and {kl[1]:.3g} nats")
    return Measurement(_said(parts, data), holds, values)


def _noiseless_jumps(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    """Compare steps of networks trained without noise, when they get some, with noisy ones'."""
    names = [f"{noise}_{bias}" for bias in BIASES for noise in (NOISY, NOISELESS)]
    if _lacks(experiment, data, NAVIGATION, "distance", *names):
        return None
    if NOISE_ADDED not in data["condition"]:
        return None
    values, parts, holds = {}, [], True
    for bias in BIASES:
        noisy = _of(data, "distance", f"{NOISY}_{bias}")
        jumping = _of(data, "distance", f"{NOISELESS}_{bias}", NOISE_ADDED)
        values |= {f"{bias} noisy": noisy, f"{bias} noise added": jumping}
        holds = holds and jumping >= FAR_LARGER * noisy
        parts.append(f"{bias}: {jumping:.4f} m with noise added, noisy network {noisy:.4f} m")
        if "kl" in data:
            name = f"{NOISELESS}_{bias}"
            values[f"{bias} noise added kl"] = kl = _kl(data, name, name, NOISE_ADDED)
            parts.append(f"divergence with noise added (no claim) {kl:.3g} nats")
    return Measurement(_said(parts, data), holds, values)


def _variance_reflects(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    names = [f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"]
    if _lacks(experiment, data, NAVIGATION, "variance", *names):
        return None
    unbiased, biased = (_of(data, "variance", name) for name in names)
    shown = _said([f"biased {biased:.3g} m^2, unbiased {unbiased:.3g} m^2"], data)
    return Measurement(shown, biased < unbiased, {"unbiased": unbiased, "biased": biased})


def _density_reflects(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    names = [f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"]
    if _lacks(experiment, data, NAVIGATION, "kl", *names):
        return None
    means = [[_kl(data, row, column) for column in names] for row in names]
    matched, mismatched = (means[0][0], means[1][1]), (means[0][1], means[1][0])
    parts = [
        f"matched: unbiased {matched[0]:.3g}, biased {matched[1]:.3g}",
        f"mismatched: unbiased on biased {mismatched[0]:.3g}, biased on unbiased "
        f"{mismatched[1]:.3g}",
    ]
    pairs = [f"{row} on {column}" for row in BIASES for column in BIASES]
    values = dict(zip(pairs, np.ravel(means).tolist(), strict=True))
    return Measurement(_said(parts, data), max(matched) < min(mismatched), values)


def _steps(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    if _lacks(experiment, data, NAVIGATION, "distance"):
        return None
    parts, values, holds = [], {}, []
    for name in VANILLA:
        if name not in data["configuration"] or _ends_before_trial(data, name):
            continue
        awake, asleep = (_of(data, "distance", name, c) for c in (ACTIVE, QUIESCENT))
        end, late = _at_end_of_trial(data, name), _of(data, "distance_late", name)
        found = {"awake": awake, "asleep": asleep, "end": end, "late": late}
        values |= {f"{name} {what}": value for what, value in found.items()}
        if name.startswith(NOISELESS):
            holds.append(end < REST * awake)
        else:
            holds.append(REST * awake < asleep < awake)
        parts.append(
            f"{name}: {awake:.4f} m awake, {asleep:.4f} m asleep, {end:.4f} m at the end of it, "
            f"{late:.4f} m in the last steps of all"
        )
    if not parts:
        return None
    if not any(name.startswith(NOISELESS) for name in values):
        parts.append("no network without noise, so nothing is said of those")
    return Measurement(_said(parts, data), all(holds), values)


def _ends_before_trial(data: xr.Dataset, name: str) -> bool:
    return data.sizes["elapsed"] < int(data["trial_steps"].sel(configuration=name)) - 1


def _at_end_of_trial(data: xr.Dataset, name: str) -> float:
    """Give the mean step asleep in the last tenth of as many steps as a trial has."""
    steps = int(data["trial_steps"].sel(configuration=name)) - 1
    own = data["distance_course"].sel(configuration=name, condition=QUIESCENT)
    return _mean(own.isel(elapsed=slice(steps - max(1, steps // 10), steps)))


def _dimensions(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    if "explained_variance" not in data or data.sizes["component"] <= TENTH:
        return None
    shares = data["explained_variance"].isel(component=TENTH)
    parts, values, holds = [], {}, True
    for name in map(str, data["configuration"].values):
        if not name.startswith(NOISY):
            continue
        awake, asleep = (
            _mean(shares.sel(configuration=name, condition=c)) for c in (ACTIVE, QUIESCENT)
        )
        values |= {f"{name} awake": awake, f"{name} asleep": asleep}
        holds = holds and bool(abs(awake - asleep) <= 0.1)
        parts.append(f"{name}: {awake:.3f} awake, {asleep:.3f} asleep")
    return Measurement(_said(parts, data), holds, values) if parts else None


def _ring(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    name = f"{NOISY}_{UNBIASED}"
    if _lacks(experiment, data, HEAD_DIRECTION, "coverage", name) or _short_of(data, name, EPOCHS):
        return None
    values = {"coverage": _of(data, "coverage", name)}
    parts = [f"{100 * values['coverage']:.0f} % of the bins"]
    if "hollowness" in data:
        for what, condition in (("awake", ACTIVE), ("asleep", QUIESCENT)):
            values[f"hollowness {what}"] = _of(data, "hollowness", name, condition)
            parts.append(f"hollowness {what} {values[f'hollowness {what}']:.2f}")
    return Measurement(_said(parts, data), values["coverage"] >= 0.9, values)


def _drifts(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    name, measure = f"{NOISY}_{BIASED}", "angular_velocity"
    if _lacks(experiment, data, HEAD_DIRECTION, measure, name) or _short_of(data, name, EPOCHS):
        return None
    awake, asleep = (_of(data, measure, name, c) for c in (ACTIVE, QUIESCENT))
    shown = _said([f"{asleep:.2f} rad/s asleep, {awake:.2f} rad/s awake"], data)
    return Measurement(shown, awake * asleep > 0, {"awake": awake, "asleep": asleep})


def _gru(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    parts, values, holds = [], {}, True
    for bias in BIASES:
        vanilla, gru = f"{NOISY}_{bias}", f"{NOISY}_{bias}_gru"
        if _lacks(experiment, data, NAVIGATION, "kl", vanilla, gru):
            continue
        of_gru, of_vanilla = _kl(data, gru, gru), _kl(data, vanilla, vanilla)
        values |= {f"{bias} gru": of_gru, f"{bias} vanilla": of_vanilla}
        holds = holds and of_gru <= 2 * of_vanilla
        parts.append(f"{bias}: GRU {of_gru:.3g}, vanilla {of_vanilla:.3g}")
    return Measurement(_said(parts, data), holds, values) if parts else None


CLAIMS = (
    Claim(
        "tiling",
        "Quiescent outputs of noisy networks tile the space as awake ones do.",
        "Figure 2e",
        "a heat map, colours from 2.5 to 10 nats",
        "mean KL (nats) of noisy_unbiased asleep against its own activity at most a third of that "
        "of the random network, and of those of the random network and of the uniform "
        "distribution against biased activity",
        _tiles,
    ),
    Claim(
        "noiseless-variance",
        "Networks trained without noise revisit, but hardly move: their quiescent variance is "
        "lower.",
        "Figure 2f",
        "a figure, no numbers; divergences correspond well (Figure 2e)",
        "mean variance below the noisy network's of the same bias, unbiased and biased",
        _noiseless_stays,
    ),
    Claim(
        "noiseless-jumps",
        "With noise added asleep, networks trained without noise take far larger steps.",
        "Figure C.4",
        "a figure, no numbers",
        f"mean step with noise added at least {FAR_LARGER} times the noisy network's of the same "
        "bias, over as many steps as a trial has, unbiased and biased",
        _noiseless_jumps,
    ),
    Claim(
        "bias-variance",
        "Biased experience is reflected: biased networks reactivate near the centre.",
        "Figure 2f",
        "a figure, no numbers",
        "mean variance of the quiescent output smaller than the unbiased network's",
        _variance_reflects,
    ),
    Claim(
        "bias-density",
        "Biased experience is reflected in the density of reactivated positions.",
        "Figure 2e",
        "a heat map, colours from 2.5 to 10 nats",
        "mean KL (nats) of both matched pairs smaller than those of both mismatched ones",
        _density_reflects,
    ),
    Claim(
        "steps",
        "Quiescent steps are smaller than awake ones but not zero; noiseless networks come to "
        "rest.",
        "Figure C.4",
        "a figure, no numbers",
        "means over as many steps as a trial has: asleep "
        f"{REST} to 1 times the awake step (noisy networks); in the last tenth of them below "
        f"{REST} times (noiseless)",
        _steps,
    ),
    Claim(
        "dimensionality",
        "Activity is low-dimensional, and alike awake and quiescent.",
        "Figure 1c",
        "a figure, no numbers",
        "cumulative variance of the first 10 components within 0.1 of each other, every noisy "
        "network",
        _dimensions,
    ),
    Claim(
        "ring",
        "Head direction: activity forms a ring, quiescent bearing covers the circle.",
        "Figures 3, C.5",
        "a figure, no numbers",
        f"noisy_unbiased asleep, {EPOCHS:,} epochs: at least 90 % of 20 bins hold a tenth of an "
        "even share or more (hollowness of the activity: ring 1, disc 0.32)",
        _ring,
    ),
    Claim(
        "drift",
        "Head direction: biased networks drift in the biased direction.",
        "Figures 3, C.5",
        "a figure, no numbers",
        f"{EPOCHS:,} epochs: mean quiescent angular velocity has the sign of the awake one",
        _drifts,
    ),
    Claim(
        "gru",
        "GRUs reactivate too.",
        "Figure C.2",
        "a figure, no numbers",
        "mean KL (nats) against the own activity at most twice that of the vanilla network",
        _gru,
    ),
)
