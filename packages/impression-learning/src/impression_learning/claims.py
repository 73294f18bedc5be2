"""What the paper claims, measured on runs.

Sources are figures of the paper; published values are those of the released code, one seed, as
this project's specification gives them, where the paper has no number.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.runs import StoredRun

Condition = dict[str, Any]


def _impression(run: StoredRun) -> list[Condition]:
    """Give the conditions in which impression learning learnt, in the order of the axis."""
    return [c for c in run.metrics["conditions"] if c["algorithm"] == "impression"]


def _on(
    modes: tuple[str, ...], measure: Callable[[list[Condition]], Measurement | None]
) -> Callable[[StoredRun], Measurement | None]:
    """Measure a claim on the impression-learning networks of some modes."""

    def measured(run: StoredRun) -> Measurement | None:
        conditions = _impression(run) if run.experiment in modes else []
        return measure(conditions) if conditions else None

    return measured


def _array(values: Any) -> np.ndarray:
    """Read numbers back; null, which stands for one that was not finite, becomes NaN.

    NaN lies in no claim's band.
    """
    return np.array(values, float)


def _spread(values: np.ndarray) -> str:
    """Show a mean, and the range if there are several values."""
    if len(values) == 1:
        return f"{values[0]:.3f} (1 seed)"
    low, high = values.min(), values.max()
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f}, {len(values)} seeds)"


def _rank_correlation(one: Sequence[int | float], other: Sequence[int | float]) -> float:
    """Give Spearman's correlation, without the rounding that would put -0.8 above -0.8."""
    return round(float(spearmanr(one, other)[0]), 12)  # type: ignore[arg-type]


def _falls(limit: float) -> Callable[[list[Condition]], Measurement]:
    def measure(conditions: list[Condition]) -> Measurement:
        losses = _array(conditions[0]["losses"])
        ratios = losses[:, -1] / losses[:, 0]
        shown = (
            f"{losses[:, 0].mean():,.0f} -> {losses[:, -1].mean():,.0f}; ratio {_spread(ratios)}"
        )
        return Measurement(shown, bool(ratios.max() <= limit), {"ratios": ratios.tolist()})

    return measure


def _at_least(quantity: str, limit: float) -> Callable[[list[Condition]], Measurement]:
    """Ask of every seed of the first condition that a quantity reaches a limit."""

    def measure(conditions: list[Condition]) -> Measurement:
        values = _array(conditions[0]["summary"][quantity])
        return Measurement(
            _spread(values), bool(values.min() >= limit), {quantity: values.tolist()}
        )

    return measure


def _reconstructs(limit: float) -> Callable[[list[Condition]], Measurement]:
    def measure(conditions: list[Condition]) -> Measurement:
        summary = conditions[0]["summary"]
        r2, correlation = _array(summary["r2"]), _array(summary["correlation"])
        shown = f"R^2 {_spread(r2)}, correlation {_spread(correlation)}"
        values = {"r2": r2.tolist(), "correlation": correlation.tolist()}
        return Measurement(shown, bool(r2.min() >= limit), values)

    return measure


def _time_constant(conditions: list[Condition]) -> Measurement:
    shown, values, holds = [], {}, []
    for condition in conditions:
        summary = condition["summary"]
        mean, truth = _array(summary["transition_mean"]), summary["transition_truth"]
        sd = float(_array(summary["transition_sd"]).mean())
        deviation = float(np.abs(mean - truth).max())
        name = f"dt {condition['dt']:g}"
        shown.append(f"{name}: D {mean.mean():.4f} +- {sd:.4f}, truth {truth:.4f}")
        values[name] = {"mean": mean.tolist(), "sd": sd, "truth": truth, "deviation": deviation}
        holds.append(deviation <= 0.01)
    return Measurement("\n".join(shown), all(holds), values)


def _alternation(conditions: list[Condition]) -> Measurement | None:
    chosen = [c for c in conditions if c["switch_period"] == 1 and c["dt"] == 0.1]
    if not chosen:
        return None
    values = _array([c["summary"]["alternation_correlation"] for c in chosen]).ravel()
    holds = bool(values.min() >= 0.85)
    return Measurement(_spread(values), holds, {"correlations": values.tolist()})


def _phase_length(conditions: list[Condition]) -> Measurement | None:
    if len(conditions) < 3:
        return None
    conditions = sorted(conditions, key=lambda c: c["switch_period"])
    periods = [c["switch_period"] for c in conditions]
    means = [float(_array(c["summary"]["alternation_correlation"]).mean()) for c in conditions]
    rho = _rank_correlation(periods, means)
    final = [float(_array(c["losses"])[:, -1].mean()) for c in conditions]
    shown = (
        f"correlation {means[0]:.3f} at period {periods[0]}, {means[-1]:.3f} at {periods[-1]}; "
        f"Spearman {rho:.2f}; final losses {final[0]:,.0f} and {final[-1]:,.0f}"
    )
    holds = rho <= -0.8 and means[-1] < means[0]
    values = {"periods": periods, "correlations": means, "spearman": rho, "final_losses": final}
    return Measurement(shown, holds, values)


def _signal_to_noise(run: StoredRun) -> Measurement | None:
    if run.experiment != "SNR":
        return None
    updates = run.metrics["updates"]
    own = _array(updates["impression"]["snr"])
    shown = [f"impression {own.min():.2g} to {own.max():.2g}"]
    values: dict[str, Any] = {"impression": [own.min(), own.max()]}
    smallest = []
    for traces in ("cleared", "kept"):
        other = _array(updates[f"gradient.{traces}"]["snr"])
        factor = own / other
        shown.append(
            f"traces {traces}: REINFORCE {other.min():.2g} to {other.max():.2g}, factor "
            f"{factor.min():,.0f} to {factor.max():,.0f} (median {np.median(factor):,.0f})"
        )
        values[traces] = {"snr": [other.min(), other.max()], "factor": [factor.min(), factor.max()]}
        smallest.append(factor.min())
    return Measurement("\n".join(shown), bool(np.min(smallest) >= 10), values)


def _same_way(run: StoredRun) -> Measurement | None:
    if run.experiment != "SNR":
        return None
    shown, values = [], {}
    for name in ("gradient.cleared", "gradient.kept", "released.cleared", "released.kept"):
        cosine = _array(run.metrics["updates"][name]["cosine"])
        means = cosine.mean(0)
        values[name] = {"means": means.tolist(), "share": float((means >= 0.5).mean())}
        shown.append(
            f"third factor {name.replace('.', ', traces ')}: mean cosine {means.min():.2f} to "
            f"{means.max():.2f}, at least 0.5 at {(means >= 0.5).sum()} of {len(means)} points"
        )
    everything = _array(run.metrics["updates"]["gradient.cleared"]["cosine_all"]).mean(0)
    shown.append(
        f"all parameters (gradient, cleared): {everything.min():.2f} to {everything.max():.2f}"
    )
    return Measurement("\n".join(shown), values["gradient.cleared"]["share"] > 0.5, values)


def _dimension(run: StoredRun) -> Measurement | None:
    if run.experiment != "dimensionality":
        return None
    final: dict[str, np.ndarray] = {}
    dimensions = sorted(run.metrics["axis"]["values"])
    for condition in sorted(run.metrics["conditions"], key=lambda c: c["value"]):
        losses = _array(condition["losses"])[:, -1].mean()
        final[condition["algorithm"]] = np.append(final.get(condition["algorithm"], []), losses)
    if len(final) < 3 or len(dimensions) < 3:
        return None
    reinforce = final["reinforce"] / final["impression"]
    backprop = final["impression"] / final["backprop"]
    rho = _rank_correlation(dimensions, reinforce.tolist())
    shown = (
        f"n = {dimensions[0]} to {dimensions[-1]}: REINFORCE / impression "
        f"{', '.join(f'{v:.2f}' for v in reinforce)} (Spearman {rho:.2f}); "
        f"impression / backpropagation {', '.join(f'{v:.2f}' for v in backprop)}"
    )
    holds = rho >= 0.8 and reinforce[-1] > reinforce[0] and backprop.max() <= 1.5
    values = {
        "dimensions": dimensions,
        "final_losses": {name: losses.tolist() for name, losses in final.items()},
        "spearman": rho,
    }
    return Measurement(shown, bool(holds), values)


ALTERNATING = ("standard", "switch_period", "time_constant")
RELEASE = "released code, one seed"
CLAIMS = (
    Claim(
        "loss-falls",
        "The loss falls through learning.",
        "Figure 1",
        f"29,400 -> 5,590 ({RELEASE})",
        "every seed: final loss at most 0.3 of the first",
        _on(("standard",), _falls(0.3)),
    ),
    Claim(
        "reconstruction",
        "The circuit reconstructs its input.",
        "Figure 1",
        f"R^2 0.992, correlation 0.996 ({RELEASE})",
        "every seed: R^2 >= 0.97",
        _on(("standard",), _reconstructs(0.97)),
    ),
    Claim(
        "time-constant",
        "The learnt time constant matches the data's.",
        "Figure 1",
        f"D = 0.972 +- 0.002, truth 0.975 ({RELEASE})",
        "every seed: mean of D within 0.01 of the truth",
        _on(("standard", "time_constant"), _time_constant),
    ),
    Claim(
        "alternation",
        "Alternation barely disturbs inference at period 1.",
        "Figures 1 and 3",
        f"correlation 0.90 ({RELEASE})",
        "every seed: correlation of latents awake and alternating >= 0.85",
        _on(ALTERNATING, _alternation),
    ),
    Claim(
        "phase-length",
        "Inference degrades as the phases lengthen.",
        "Figure 3",
        f"correlation 0.894 at period 1, 0.630 at 31; final losses 79 and 303 ({RELEASE})",
        "mean correlation falls from the shortest to the longest period, Spearman <= -0.8",
        _on(("switch_period",), _phase_length),
    ),
    Claim(
        "signal-to-noise",
        "Impression learning's updates have a far higher signal-to-noise ratio than REINFORCE's.",
        "Figure 2 c",
        f"0.08-0.11 against 2e-6 ({RELEASE}, 3,000 episodes, traces kept)",
        "at least 10 times at every point of learning and seed, traces cleared and kept",
        _signal_to_noise,
    ),
    Claim(
        "same-way",
        "On average the two rules point the same way.",
        "Figure 2 a, b",
        f"cosine 0.75-0.82 ({RELEASE}, 3,000 episodes)",
        "mean cosine of the updates of W_in >= 0.5 at more than half of the points, traces cleared",
        _same_way,
    ),
    Claim(
        "dimension",
        "With dimension REINFORCE degrades; impression learning stays near backpropagation.",
        "Figure 2 d",
        "-",
        "REINFORCE / impression grows (Spearman >= 0.8); impression <= 1.5 backpropagation",
        _dimension,
    ),
    Claim(
        "speech-loss",
        "Speech: the loss falls by an order of magnitude.",
        "Figure 4",
        f"3.12e6 -> 2.02e5 ({RELEASE})",
        "every seed: final loss at most 0.1 of the first",
        _on(("Vocal_Digits",), _falls(0.1)),
    ),
    Claim(
        "speech-reconstruction",
        "Speech is reconstructed.",
        "Figure 4",
        f"R^2 0.96, correlation 0.994 ({RELEASE})",
        "every seed: R^2 >= 0.93",
        _on(("Vocal_Digits",), _reconstructs(0.93)),
    ),
    Claim(
        "speech-dreams",
        "Dreams of speech share its statistics.",
        "Figure 4",
        f"cosine of the correlation matrices of bands 0.995 ({RELEASE})",
        "every seed: cosine >= 0.97",
        _on(("Vocal_Digits",), _at_least("band_cosine", 0.97)),
    ),
)
