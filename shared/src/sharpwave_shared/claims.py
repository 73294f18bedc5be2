"""Claims of a paper as executable checks."""

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.text import Text

from sharpwave_shared.statistics import Interval, bootstrap_mean, wilson

if TYPE_CHECKING:
    from sharpwave_shared.results import Run


@dataclass(frozen=True)
class Measurement:
    """What a run says about a claim.

    Attributes
    ----------
    shown
        The measured values, with units, as the table shows them.
    reproduced
        Whether they lie in the claim's band.
    values
        The numbers behind it, for `claims.json` and the reports.
    """

    shown: str
    reproduced: bool
    values: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A statement that a paper makes about its model.

    Attributes
    ----------
    name
        Short identifier.
    statement
        The claim in words.
    source
        Figure, table or text it is taken from.
    published
        What the source reports.
    band
        In which range a run counts as reproducing it.
    measure
        Measures it on the results of an experiment, `measure(experiment, data)`; None if they do
        not speak to it.
    once
        Whether it speaks of what all seeds share, such as a recording: then it is judged once, and
        not on each seed alone.
    """

    name: str
    statement: str
    source: str
    published: str
    band: str
    measure: Callable[..., Measurement | None]
    once: bool = False


class Verdict(NamedTuple):
    """A claim, and what a run says of it.

    Attributes
    ----------
    claim, measurement
        The claim and what was measured.
    holds
        Whether it is reproduced; None if the run cannot tell, because it was scaled down.
    seeds_holding, seeds_measured
        For how many seeds it holds when each is judged alone, of how many that speak to it.
    over_seeds
        Mean over these seeds of every measured number, with its bootstrap interval.
    """

    claim: Claim
    measurement: Measurement
    holds: bool | None
    seeds_holding: int
    seeds_measured: int
    over_seeds: Mapping[str, Interval] = {}

    @property
    def word(self) -> str:
        """The verdict in words."""
        if self.holds is None:
            return "not judged (scaled down)"
        return "reproduced" if self.holds else "not reproduced"


def judge(run: "Run") -> list[Verdict]:
    """Measure every claim that a run speaks to, on all its seeds together and on each alone."""
    experiment, data = run.experiment, run.data
    verdicts = []
    for claim in experiment.claims():
        measurement = claim.measure(experiment, data)
        if measurement is None:
            continue
        alone = [measurement]
        if data.sizes.get("seed", 1) > 1 and not claim.once:
            each = [
                claim.measure(experiment, data.isel(seed=[i])) for i in range(data.sizes["seed"])
            ]
            alone = [found for found in each if found is not None]
        holds = None if run.record.quick else bool(measurement.reproduced)
        holding = sum(bool(found.reproduced) for found in alone)
        verdicts.append(Verdict(claim, measurement, holds, holding, len(alone), _over_seeds(alone)))
    return verdicts


def _over_seeds(alone: Sequence[Measurement]) -> dict[str, Interval]:
    """Give the mean over seeds, with its interval, of every number that all of them measured."""
    if len(alone) < 2:
        return {}
    found = [dict(_numbers(measurement.values)) for measurement in alone]
    names = [name for name in found[0] if all(name in numbers for numbers in found)]
    return {name: bootstrap_mean(np.array([numbers[name] for numbers in found])) for name in names}


def _numbers(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Give the numbers among the values of one seed; lists have one for each seed."""
    for key, value in values.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}, ")
            continue
        single = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
        if isinstance(single, Real) and not isinstance(single, bool) and math.isfinite(single):
            yield name, float(single)


WIDEST = 100
"""Columns of a verdict, at most."""


def show_verdicts(verdicts: Sequence[Verdict], title: str, console: Console) -> None:
    """Print verdicts as blocks of lines: the claim, what was published and measured."""
    width = min(WIDEST, console.width if console.is_terminal else 80)
    styles = {True: "green", False: "red", None: "yellow"}
    console.print(Text(title, "bold"))
    for verdict in verdicts:
        claim = verdict.claim
        console.print()
        first = f"[{verdict.word}] {claim.statement} ({claim.source})"
        lines = textwrap.wrap(first, width, subsequent_indent="  ")
        text = Text("\n".join(lines))
        text.stylize(styles[verdict.holds], 0, len(verdict.word) + 2)
        console.print(text)
        facts = [
            ("published", claim.published),
            ("counts if", claim.band),
            ("measured", verdict.measurement.shown),
        ]
        if verdict.seeds_measured > 1:
            _, low, high = wilson(verdict.seeds_holding, verdict.seeds_measured)
            facts.append(
                (
                    "seeds",
                    f"{verdict.seeds_holding} of {verdict.seeds_measured} alone "
                    f"(share {low:.2f} to {high:.2f}, 95 %)",
                )
            )
        if verdict.over_seeds:
            facts.append(("means", show_means(verdict.over_seeds)))
        for name, fact in facts:
            lead = f"  {name:<10}"
            for line in fact.splitlines() or [""]:
                wrapped = textwrap.wrap(
                    line, width, initial_indent=lead, subsequent_indent=" " * len(lead)
                )
                console.print(Text("\n".join(wrapped)))
                lead = " " * len(lead)


def show_means(over_seeds: Mapping[str, Sequence[float]]) -> str:
    """Write means over seeds with their intervals."""
    return ", ".join(
        f"{name} {mean:.3g} ({low:.3g} to {high:.3g})"
        for name, (mean, low, high) in over_seeds.items()
    )


def verdict_values(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Give verdicts as JSON values, for `claims.json`."""
    return [
        {
            "name": claim.name,
            "statement": claim.statement,
            "source": claim.source,
            "published": claim.published,
            "band": claim.band,
            "measured": measurement.shown,
            "values": measurement.values,
            "reproduced": holds,
            "seeds_holding": holding,
            "seeds_measured": measured,
            "over_seeds": {name: list(interval) for name, interval in over_seeds.items()},
        }
        for claim, measurement, holds, holding, measured, over_seeds in verdicts
    ]
