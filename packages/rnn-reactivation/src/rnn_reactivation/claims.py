"""The paper's claims, measured on finished runs."""

from collections.abc import Sequence
from typing import Any

from rnn_reactivation.reactivation import (
    ACTIVE,
    NOISE_ADDED,
    QUIESCENT,
    RANDOM,
    UNIFORM,
    row_name,
)
from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.plotting import numbers
from sharpwave_shared.runs import StoredRun

NOISY, NOISELESS = "noisy", "no-noise"
UNBIASED, BIASED = "unbiased", "biased"
_VANILLA = [f"{noise}_{bias}" for noise in (NOISY, NOISELESS) for bias in (UNBIASED, BIASED)]
TRAINED = 2500
"""Iterations after which the paper's networks are judged."""
REST = 0.1
"""Share of the awake step below which a decoded trajectory counts as at rest."""


def _analysed(run: StoredRun, kind: str, task: str, *names: str) -> dict[str, Any] | None:
    """Give the numbers of a kind if the run has them for all these networks of this task."""
    if run.experiment != "analyze" or run.metrics["task"] != task or kind not in run.metrics:
        return None
    if not set(names) <= set(run.metrics["names"]):
        return None
    return run.metrics[kind]


def _mean(values: Sequence[float | int | None]) -> float:
    """Average over seeds; NaN if a value is not finite, so that no band holds it."""
    return float(numbers(values).mean())


def _seeds(run: StoredRun) -> str:
    count = len(run.metrics["seeds"])
    return "1 seed" if count == 1 else f"means over {count} seeds"


def _learns(run: StoredRun) -> Measurement | None:
    if run.experiment != "train" or run.config["task"]["name"] != "spatial_navigation":
        return None
    if run.config["rnn"]["sigma2_rec"] == 0 or run.metrics["epoch"] < TRAINED:
        return None
    loss, error = numbers([run.metrics["loss"], run.metrics["error"]])
    shown = (
        f"{run.config['name']}, seed {run.record['seeds'][0]}: error {error:.4f} m^2, loss "
        f"{loss:.3g} after {run.metrics['epoch']:,} iterations"
    )
    holds = bool(error <= 0.01 and loss <= 2e-5)
    return Measurement(shown, holds, {"error": error, "loss": loss})


def _tiles(run: StoredRun) -> Measurement | None:
    own = f"{NOISY}_{UNBIASED}"
    table = _analysed(run, "kl", "spatial_navigation", own)
    if table is None:
        return None
    values = {"own": _mean(table[own][own]), "random": _mean(table[RANDOM][own])}
    shown = f"own {values['own']:.3g}; random network {values['random']:.3g}"
    biased = f"{NOISY}_{BIASED}"
    if biased in run.metrics["names"]:
        values["random on biased"] = _mean(table[RANDOM][biased])
        values["uniform on biased"] = _mean(table[UNIFORM][biased])
        shown += (
            f"; on biased activity: random network {values['random on biased']:.3g}, uniform "
            f"{values['uniform on biased']:.3g}"
        )
    others = [value for name, value in values.items() if name != "own"]
    holds = all(values["own"] <= other / 3 for other in others)
    return Measurement(f"{shown} ({_seeds(run)})", holds, values)


def _noiseless(run: StoredRun, condition: str, words: str) -> Measurement | None:
    names = [f"{noise}_{bias}" for bias in (UNBIASED, BIASED) for noise in (NOISY, NOISELESS)]
    table = _analysed(run, "kl", "spatial_navigation", *names)
    if table is None:
        return None
    values, lines, holds = {}, [], True
    for bias in (UNBIASED, BIASED):
        noisy, noiseless = f"{NOISY}_{bias}", f"{NOISELESS}_{bias}"
        row = row_name(noiseless, condition)
        if row not in table:
            return None
        values[noisy], values[row] = _mean(table[noisy][noisy]), _mean(table[row][noiseless])
        holds = holds and values[row] > values[noisy]
        lines.append(f"{bias}: {values[row]:.3g} {words}, noisy network {values[noisy]:.3g}")
    return Measurement(f"{'; '.join(lines)} ({_seeds(run)})", holds, values)


def _noise_matters(run: StoredRun) -> Measurement | None:
    return _noiseless(run, QUIESCENT, "trained without noise and asleep without noise")


def _training_with_noise_matters(run: StoredRun) -> Measurement | None:
    return _noiseless(run, NOISE_ADDED, "trained without noise and asleep with noise")


def _variance_reflects(run: StoredRun) -> Measurement | None:
    names = [f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"]
    found = _analysed(run, "variance", "spatial_navigation", *names)
    if found is None:
        return None
    unbiased, biased = (_mean(found[name][QUIESCENT]) for name in names)
    shown = f"biased {biased:.3g} m^2, unbiased {unbiased:.3g} m^2 ({_seeds(run)})"
    return Measurement(shown, biased < unbiased, {"unbiased": unbiased, "biased": biased})


def _density_reflects(run: StoredRun) -> Measurement | None:
    names = [f"{NOISY}_{UNBIASED}", f"{NOISY}_{BIASED}"]
    table = _analysed(run, "kl", "spatial_navigation", *names)
    if table is None:
        return None
    means = {(row, column): _mean(table[row][column]) for row in names for column in names}
    matched = [value for (row, column), value in means.items() if row == column]
    mismatched = [value for (row, column), value in means.items() if row != column]
    shown = (
        f"matched: unbiased {matched[0]:.3g}, biased {matched[1]:.3g}; mismatched: unbiased on "
        f"biased {mismatched[0]:.3g}, biased on unbiased {mismatched[1]:.3g} ({_seeds(run)})"
    )
    values = {f"{row} on {column}": value for (row, column), value in means.items()}
    return Measurement(shown, max(matched) < min(mismatched), values)


def _steps(run: StoredRun) -> Measurement | None:
    found = _analysed(run, "distance", "spatial_navigation")
    late = _analysed(run, "distance_late", "spatial_navigation")
    if found is None or late is None:
        return None
    lines, values, holds = [], {}, []
    for name in _VANILLA:
        if name not in run.metrics["names"]:
            continue
        awake, asleep, end = (
            _mean(numbers_of[name][condition])
            for numbers_of, condition in (
                (found, ACTIVE),
                (found, QUIESCENT),
                (late, QUIESCENT),
            )
        )
        values[name] = {"active": awake, "quiescent": asleep, "quiescent_late": end}
        if name.startswith(NOISELESS):
            holds.append(end < REST * awake)
        else:
            holds.append(REST * awake < asleep < awake)
        lines.append(f"{name}: {awake:.4f} m awake, {asleep:.4f} m asleep, {end:.4f} m at the end")
    if not lines:
        return None
    return Measurement(f"{'; '.join(lines)} ({_seeds(run)})", all(holds), values)


def _dimensions(run: StoredRun) -> Measurement | None:
    if run.experiment != "analyze" or "dimensionality" not in run.metrics:
        return None
    lines, values, holds = [], {}, True
    for name, found in run.metrics["dimensionality"].items():
        if not name.startswith(NOISY) or len(found[ACTIVE][0]) < 10:
            continue
        awake, asleep = (_mean([s[9] for s in found[c]]) for c in (ACTIVE, QUIESCENT))
        values[name] = {"active": awake, "quiescent": asleep}
        holds = holds and bool(abs(awake - asleep) <= 0.1)
        lines.append(f"{name}: {awake:.3f} awake, {asleep:.3f} asleep")
    return Measurement(f"{'; '.join(lines)} ({_seeds(run)})", holds, values) if lines else None


def _ring(run: StoredRun) -> Measurement | None:
    name = f"{NOISY}_{UNBIASED}"
    found = _analysed(run, "coverage", "head_direction", name)
    if found is None:
        return None
    covered = _mean(found[name][QUIESCENT])
    values = {"coverage": covered}
    shown = f"{100 * covered:.0f} % of the bins"
    if "hollowness" in run.metrics:
        values["hollowness"] = _mean(run.metrics["hollowness"][name][QUIESCENT])
        shown += f"; hollowness of the activity {values['hollowness']:.2f} (ring 1, disc 0.32)"
    return Measurement(f"{shown} ({_seeds(run)})", covered >= 0.9, values)


def _drifts(run: StoredRun) -> Measurement | None:
    name = f"{NOISY}_{BIASED}"
    found = _analysed(run, "angular_velocity", "head_direction", name)
    if found is None:
        return None
    awake, asleep = _mean(found[name][ACTIVE]), _mean(found[name][QUIESCENT])
    shown = f"{asleep:.2f} rad/s asleep, {awake:.2f} rad/s awake ({_seeds(run)})"
    return Measurement(shown, awake * asleep > 0, {"active": awake, "quiescent": asleep})


def _gru(run: StoredRun) -> Measurement | None:
    lines, values, holds = [], {}, True
    for bias in (UNBIASED, BIASED):
        vanilla, gru = f"{NOISY}_{bias}", f"{NOISY}_{bias}_gru"
        table = _analysed(run, "kl", "spatial_navigation", vanilla, gru)
        if table is None:
            continue
        values[vanilla], values[gru] = _mean(table[vanilla][vanilla]), _mean(table[gru][gru])
        holds = holds and values[gru] <= 2 * values[vanilla]
        lines.append(f"{bias}: GRU {values[gru]:.3g}, vanilla {values[vanilla]:.3g}")
    return Measurement(f"{'; '.join(lines)} ({_seeds(run)})", holds, values) if lines else None


CLAIMS = (
    Claim(
        "path-integration",
        "Noisy networks learn path integration.",
        "methods",
        "-",
        "2,500 iterations: mean squared decoding error <= 0.01 m^2, loss <= 2e-5",
        _learns,
    ),
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
