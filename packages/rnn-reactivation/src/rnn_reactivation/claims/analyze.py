"""Claims about networks awake and asleep."""

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
REST = 0.1
"""Share of the awake step below which a decoded trajectory counts as at rest."""
TENTH = 9
"""Index of the tenth component."""


def _lacks(experiment: Analyze, data: xr.Dataset, task: str, measure: str, *names: str) -> bool:
    """Tell whether the results do not hold a measure of all these networks of this task."""
    return (
        experiment.task != task
        or measure not in data
        or not set(names) <= set(data["configuration"].values)
    )


def _mean(values: xr.DataArray) -> float:
    """Average over seeds; NaN if a value is not finite, so that no band holds it."""
    return values.where(abs(values) < float("inf")).mean(skipna=False).item()


def _kl(data: xr.Dataset, asleep: str, awake: str, condition: str = QUIESCENT) -> float:
    """Give the mean divergence of a network asleep from one awake."""
    if condition not in data["condition"]:
        return float("nan")
    return _mean(data["kl"].sel(asleep=asleep, configuration=awake, condition=condition))


def _of(data: xr.Dataset, measure: str, name: str, condition: str = QUIESCENT) -> float:
    return _mean(data[measure].sel(configuration=name, condition=condition))


def _seeds(data: xr.Dataset) -> str:
    count = data.sizes["seed"]
    return "1 seed" if count == 1 else f"means over {count} seeds"


def _tiles(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    own, biased = f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"
    if _lacks(experiment, data, NAVIGATION, "kl", own):
        return None
    random, uniform = data["kl_random"], data["kl_uniform"]
    values = {"own": _kl(data, own, own), "random": _mean(random.sel(configuration=own))}
    shown = f"own {values['own']:.3g}; random network {values['random']:.3g}"
    if biased in data["configuration"]:
        values["random on biased"] = _mean(random.sel(configuration=biased))
        values["uniform on biased"] = _mean(uniform.sel(configuration=biased))
        shown += (
            f"; on biased activity: random network {values['random on biased']:.3g}, uniform "
            f"{values['uniform on biased']:.3g}"
        )
    others = [value for name, value in values.items() if name != "own"]
    holds = all(values["own"] <= other / 3 for other in others)
    return Measurement(f"{shown} ({_seeds(data)})", holds, values)


def _noiseless(
    experiment: Analyze, data: xr.Dataset, condition: str, words: str
) -> Measurement | None:
    """Compare networks trained without noise with the noisy ones, in a condition asleep."""
    names = [f"{noise}_{bias}" for bias in (UNBIASED, BIASED) for noise in (NOISY, NOISELESS)]
    if _lacks(experiment, data, NAVIGATION, "kl", *names):
        return None
    values, lines, holds = {}, [], True
    for bias in (UNBIASED, BIASED):
        noisy, noiseless = f"{NOISY}_{bias}", f"{NOISELESS}_{bias}"
        if not _held(data, noiseless, condition):
            return None
        own, other = _kl(data, noisy, noisy), _kl(data, noiseless, noiseless, condition)
        values |= {noisy: own, f"{noiseless} ({condition})": other}
        holds = holds and other > own
        lines.append(f"{bias}: {other:.3g} {words}, noisy network {own:.3g}")
    return Measurement(f"{'; '.join(lines)} ({_seeds(data)})", holds, values)


def _held(data: xr.Dataset, name: str, condition: str) -> bool:
    """Tell whether a network was left alone in a condition."""
    if condition not in data["condition"]:
        return False
    variance = data["noise_variance"].sel(configuration=name, condition=condition)
    return bool(variance.notnull())


def _noise_matters(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    words = "trained without noise and asleep without noise"
    return _noiseless(experiment, data, QUIESCENT, words)


def _training_with_noise_matters(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    words = "trained without noise and asleep with noise"
    return _noiseless(experiment, data, NOISE_ADDED, words)


def _variance_reflects(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    names = [f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"]
    if _lacks(experiment, data, NAVIGATION, "variance", *names):
        return None
    unbiased, biased = (_of(data, "variance", name) for name in names)
    shown = f"biased {biased:.3g} m^2, unbiased {unbiased:.3g} m^2 ({_seeds(data)})"
    return Measurement(shown, biased < unbiased, {"unbiased": unbiased, "biased": biased})


def _density_reflects(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    names = [f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"]
    if _lacks(experiment, data, NAVIGATION, "kl", *names):
        return None
    means = {(row, column): _kl(data, row, column) for row in names for column in names}
    matched = [value for (row, column), value in means.items() if row == column]
    mismatched = [value for (row, column), value in means.items() if row != column]
    shown = (
        f"matched: unbiased {matched[0]:.3g}, biased {matched[1]:.3g}; mismatched: unbiased on "
        f"biased {mismatched[0]:.3g}, biased on unbiased {mismatched[1]:.3g} ({_seeds(data)})"
    )
    values = {f"{row} on {column}": value for (row, column), value in means.items()}
    return Measurement(shown, max(matched) < min(mismatched), values)


def _steps(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    if _lacks(experiment, data, NAVIGATION, "distance"):
        return None
    lines, values, holds = [], {}, []
    for name in VANILLA:
        if name not in data["configuration"]:
            continue
        awake, asleep = (_of(data, "distance", name, c) for c in (ACTIVE, QUIESCENT))
        end = _of(data, "distance_late", name)
        values[name] = {"active": awake, "quiescent": asleep, "quiescent_late": end}
        if name.startswith(NOISELESS):
            holds.append(end < REST * awake)
        else:
            holds.append(REST * awake < asleep < awake)
        lines.append(f"{name}: {awake:.4f} m awake, {asleep:.4f} m asleep, {end:.4f} m at the end")
    if not lines:
        return None
    return Measurement(f"{'; '.join(lines)} ({_seeds(data)})", all(holds), values)


def _dimensions(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    if "explained_variance" not in data or data.sizes["component"] <= TENTH:
        return None
    shares = data["explained_variance"].isel(component=TENTH)
    lines, values, holds = [], {}, True
    for name in map(str, data["configuration"].values):
        if not name.startswith(NOISY):
            continue
        awake, asleep = (
            _mean(shares.sel(configuration=name, condition=c)) for c in (ACTIVE, QUIESCENT)
        )
        values[name] = {"active": awake, "quiescent": asleep}
        holds = holds and bool(abs(awake - asleep) <= 0.1)
        lines.append(f"{name}: {awake:.3f} awake, {asleep:.3f} asleep")
    return Measurement(f"{'; '.join(lines)} ({_seeds(data)})", holds, values) if lines else None


def _ring(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    name = f"{NOISY}_{UNBIASED}"
    if _lacks(experiment, data, HEAD_DIRECTION, "coverage", name):
        return None
    values = {"coverage": _of(data, "coverage", name)}
    shown = f"{100 * values['coverage']:.0f} % of the bins"
    if "hollowness" in data:
        values["hollowness"] = _of(data, "hollowness", name)
        shown += f"; hollowness of the activity {values['hollowness']:.2f} (ring 1, disc 0.32)"
    return Measurement(f"{shown} ({_seeds(data)})", values["coverage"] >= 0.9, values)


def _drifts(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    name = f"{NOISY}_{BIASED}"
    if _lacks(experiment, data, HEAD_DIRECTION, "angular_velocity", name):
        return None
    awake, asleep = (_of(data, "angular_velocity", name, c) for c in (ACTIVE, QUIESCENT))
    shown = f"{asleep:.2f} rad/s asleep, {awake:.2f} rad/s awake ({_seeds(data)})"
    return Measurement(shown, awake * asleep > 0, {"active": awake, "quiescent": asleep})


def _gru(experiment: Analyze, data: xr.Dataset) -> Measurement | None:
    lines, values, holds = [], {}, True
    for bias in (UNBIASED, BIASED):
        vanilla, gru = f"{NOISY}_{bias}", f"{NOISY}_{bias}_gru"
        if _lacks(experiment, data, NAVIGATION, "kl", vanilla, gru):
            continue
        values |= {name: _kl(data, name, name) for name in (vanilla, gru)}
        holds = holds and values[gru] <= 2 * values[vanilla]
        lines.append(f"{bias}: GRU {values[gru]:.3g}, vanilla {values[vanilla]:.3g}")
    return Measurement(f"{'; '.join(lines)} ({_seeds(data)})", holds, values) if lines else None


CLAIMS = (
    Claim(
        "tiling",
        "Quiescent outputs of noisy networks tile the space as awake ones do.",
        "table of KL divergences",
        "-",
        "mean KL (nats) of noisy_unbiased asleep against its own activity at most a third of that "
        "of the random network, and of those of the random network and of the uniform "
        "distribution against biased activity",
        _tiles,
    ),
    Claim(
        "noise",
        "Networks trained without noise do not reactivate as faithfully.",
        "table of KL divergences",
        "-",
        "mean KL (nats) against the own activity larger than the noisy network's, unbiased and "
        "biased",
        _noise_matters,
    ),
    Claim(
        "training-with-noise",
        "The same if the networks trained without noise get noise asleep.",
        "not a claim of the paper's tables: a control",
        "-",
        "mean KL (nats) against the own activity larger than the noisy network's, unbiased and "
        "biased",
        _training_with_noise_matters,
    ),
    Claim(
        "bias-variance",
        "Biased experience is reflected: biased networks reactivate near the centre.",
        "figure of variances",
        "-",
        "mean variance of the quiescent output smaller than the unbiased network's",
        _variance_reflects,
    ),
    Claim(
        "bias-density",
        "Biased experience is reflected in the density of reactivated positions.",
        "table of KL divergences",
        "-",
        "mean KL (nats) of both matched pairs smaller than those of both mismatched ones",
        _density_reflects,
    ),
    Claim(
        "steps",
        "Quiescent steps are smaller than awake ones but not zero; noiseless networks come to "
        "rest.",
        "figure of distances",
        "-",
        f"mean step in the first steps asleep, as many as a trial has, {REST} to 1 times the awake "
        f"one (noisy networks); in the last ones below {REST} times (noiseless)",
        _steps,
    ),
    Claim(
        "dimensionality",
        "Activity is low-dimensional, and alike awake and quiescent.",
        "figure of explained variance",
        "-",
        "cumulative variance of the first 10 components within 0.1 of each other, every noisy "
        "network",
        _dimensions,
    ),
    Claim(
        "ring",
        "Head direction: activity forms a ring, quiescent bearing covers the circle.",
        "figures of head direction",
        "-",
        "noisy_unbiased asleep: at least 90 % of 20 bins hold a tenth of an even share or more",
        _ring,
    ),
    Claim(
        "drift",
        "Head direction: biased networks drift in the biased direction.",
        "figures of head direction",
        "-",
        "mean quiescent angular velocity has the sign of the awake one",
        _drifts,
    ),
    Claim(
        "gru",
        "GRUs reactivate too.",
        "appendix",
        "-",
        "mean KL (nats) against the own activity at most twice that of the vanilla network",
        _gru,
    ),
)
