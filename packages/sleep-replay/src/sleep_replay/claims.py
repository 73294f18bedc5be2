"""What the release's published figures claim, measured on runs.

Source of all: the output figures published with the release (inverted data; 100 epochs; 10, 20 and
50 cycles; num 50; 3 seeds).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.runs import StoredRun
from sleep_replay.evaluate import COLLAPSED

SOURCE = "release's output figures"


class _Condition:
    """One condition of a schedule or sweep run, as arrays of seeds x times."""

    def __init__(self, metrics: dict[str, Any]):
        self.fractions = (metrics["start_fraction_rem"], metrics["end_fraction_rem"])
        self.num_cycles: int = metrics["num_cycles"]
        self.lr: float = metrics["lr"]
        self.old = np.array(metrics["error_old"])
        self.new = np.array(metrics["error_new"])
        carried = [np.array(metrics[key])[:, -1] for key in ("carried_old", "carried_new")]
        self.carried = [float(np.median(shares)) for shares in carried]
        self.collapsed = [int((shares < COLLAPSED).sum()) for shares in carried]

    def __str__(self) -> str:
        return f"{self.num_cycles} cycles, lr {self.lr:g}"

    @property
    def collapse(self) -> str:
        """Say how many networks had collapsed on each data set at the end."""
        old, new = self.collapsed
        return f"of {len(self.old)} collapsed on data set 1: {old}, on 2: {new}"


def _conditions(run: StoredRun) -> Iterator[_Condition]:
    """Give the conditions of a run for whose data the published numbers hold."""
    if run.experiment in ("schedule", "sweep") and run.config["inverted"]:
        yield from map(_Condition, run.metrics["conditions"])


def _measure_conditions(
    applies: Callable[[_Condition], bool],
    numbers: Callable[[_Condition], tuple[dict[str, float], bool]],
) -> Callable[[StoredRun], Measurement | None]:
    """Measure a claim on every condition it speaks about; all have to reproduce it."""

    def measure(run: StoredRun) -> Measurement | None:
        shown, values, reproduced = [], {}, []
        for condition in filter(applies, _conditions(run)):
            measured, holds = numbers(condition)
            text = ", ".join(f"{name} {value:.0f}" for name, value in measured.items())
            shown.append(f"{condition}: {text}; {condition.collapse}")
            values[str(condition)] = measured | {
                "collapsed": condition.collapsed,
                "median_carried": condition.carried,
                "seeds": len(condition.old),
                "reproduced": holds,
            }
            reproduced.append(holds)
        if not shown:
            return None
        return Measurement("\n".join(shown), all(reproduced), values)

    return measure


def _measure_initial(run: StoredRun) -> Measurement | None:
    for condition in _conditions(run):
        old, new = float(condition.old[:, 0].mean()), float(condition.new[:, 0].mean())
        return Measurement(
            f"error 1 {old:.0f}, error 2 {new:.0f}",
            old <= 65 and new >= 500,
            {"error_old": old, "error_new": new},
        )
    return None


def _no_rem(condition: _Condition) -> tuple[dict[str, float], bool]:
    lowest, final = condition.old[:, 1:].min(), condition.new[:, -1].max()
    measured = {"lowest error 1": float(lowest), "highest final error 2": float(final)}
    return measured, bool(lowest >= 500 and final <= 120)


def _half_rem(condition: _Condition) -> tuple[dict[str, float], bool]:
    old, new = np.median(condition.old[:, -1]), np.median(condition.new[:, -1])
    measured = {"median error 1": float(old), "median error 2": float(new)}
    return measured, bool(old <= 150 and new <= 250)


def _rem_alone(condition: _Condition) -> tuple[dict[str, float], bool]:
    start, final = condition.new[:, 0], condition.new[:, -1]
    measured = {
        "error 2 at the start": float(start.mean()),
        "lowest final error 2": float(final.min()),
        "median final error 1": float(np.median(condition.old[:, -1])),
    }
    return measured, bool(np.all((final > 500) | (np.abs(final - start) <= 0.1 * start)))


def _measure_samples(run: StoredRun) -> Measurement | None:
    if run.experiment != "samples" or not run.config["inverted"]:
        return None
    counts = run.metrics["num_sampled"]
    old = np.array(run.metrics["error_old"])
    if len(counts) < 3:
        return None
    rho = float(spearmanr(counts, old.mean(1))[0])  # type: ignore[arg-type]
    first, last = old.mean(1)[[0, -1]]
    return Measurement(
        f"Spearman correlation {rho:.2f} (error 1 from {first:.0f} with {counts[0]} samples "
        f"to {last:.0f} with {counts[-1]})",
        rho <= -0.8,
        {"spearman": rho, "error_old": old.mean(1).tolist()},
    )


CLAIMS = (
    Claim(
        "initial",
        "The initial model knows data set 1 and not data set 2.",
        SOURCE,
        "error 1 about 55-60, error 2 about 630",
        "error 1 <= 65, error 2 >= 500",
        _measure_initial,
    ),
    Claim(
        "no-rem",
        "Without REM the old memories are lost within the first cycle.",
        SOURCE,
        "error 1 rises to about 640, error 2 falls to about 90",
        "every seed: error 1 >= 500 after every cycle, error 2 <= 120 at the end",
        _measure_conditions(lambda c: c.fractions == (0, 0), _no_rem),
    ),
    Claim(
        "half-rem",
        "With half REM the old memories are kept while the new are learnt.",
        SOURCE,
        "error 1 stays near 100, error 2 falls to about 150 (large spread)",
        "median over seeds at the end, 10 cycles or more: error 1 <= 150, error 2 <= 250",
        _measure_conditions(lambda c: c.fractions == (0.5, 0.5) and c.num_cycles >= 10, _half_rem),
    ),
    Claim(
        "rem-alone",
        "REM alone learns nothing new.",
        SOURCE,
        "-",
        "every seed: error 2 within 10 % of its start, or above 500",
        _measure_conditions(lambda c: c.fractions == (1, 1), _rem_alone),
    ),
    Claim(
        "samples",
        "The more own samples in the mixture, the better the retention.",
        SOURCE,
        "error 1 falls monotonically with the number of samples",
        "Spearman correlation of samples and error 1 <= -0.8",
        _measure_samples,
    ),
)
