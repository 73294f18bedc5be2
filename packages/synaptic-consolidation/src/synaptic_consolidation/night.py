"""A night: memories are replayed, and the network consolidates them by itself (Figure 3)."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.stateful import Kept
from synaptic_consolidation.learning import BLOCK, advance, engine_on
from synaptic_consolidation.limits import PAPER_N
from synaptic_consolidation.measures import ROW_MEASURES, labelled, measure_rows
from synaptic_consolidation.model import Patterns, Rows, Rule, inputs_of, signs

LENGTH = 70.0
"""Half of the norm sum u^2 of a row of `PAPER_N` inputs; it grows with their number."""
ETA_FIRST, ETA_LAST, ETA_CYCLES = 1e-2, 0.4, 40.0
"""The rate of replay rises from the first to the last value, with this time constant."""
BETA = 20.0
LOOKS = (100, 500)
"""Cycles after which it is noted which synapses are pruned, beside the end."""
GAINS = (2, 6, 15)
"""Cycles after which the gain of each memory is shown, beside the end."""
ROBUSTNESS = {
    "robustness_min": "y h / |w|_2 of a memory, of its weakest neuron",
    "robustness_mean": "y h / |w|_2 of a memory, mean over neurons",
    "shuffled_min": "the same of the weakest neuron, memories shuffled in each neuron",
    "shuffled_mean": "the same of the mean over neurons, memories shuffled in each neuron",
}
EXAMPLES = 60
"""Synapses whose weights are followed."""


def rule_of(n: int) -> Rule:
    """Give the rule of replay for networks of this size."""
    return Rule(2, LENGTH * n / PAPER_N, ETA_LAST, ETA_LAST, BETA, error_driven=False)


def marks_of(cycles: int) -> list[int]:
    """Give the cycles at which a night is looked at: 1, 2, 5, 10, ..., `GAINS`, and the last."""
    steps = {base * 10**power for power in range(9) for base in (1, 2, 5)} | set(GAINS)
    return [0, *sorted(step for step in steps if step < cycles), cycles]


def replay_rates(first: int, count: int) -> Float[np.ndarray, " cycles"]:
    """Give the learning rates of replay cycles."""
    cycle = np.arange(first, first + count)
    return ETA_LAST - (ETA_LAST - ETA_FIRST) * np.exp(-cycle / ETA_CYCLES)


@dataclass
class Night(Kept):
    """The course of a night.

    Attributes
    ----------
    rows
        The network.
    course
        Measures of all rows, the robustness of each memory, and the weights of some synapses, at
        each mark so far.
    living
        Which synapses are not pruned, by the cycle of a look.
    """

    kept: ClassVar = ("rows", "course", "living")

    rows: Rows
    course: list[dict[str, np.ndarray]] = field(default_factory=list)
    living: dict[str, Bool[np.ndarray, "rows inputs"]] = field(default_factory=dict)

    def describe(self, cycles: int) -> xr.Dataset:
        """Give the course: `ROW_MEASURES`, `ROBUSTNESS` and `examples` by cycle."""
        course = {name: np.array([at[name] for at in self.course]) for name in self.course[0]}
        examples = {"examples": course.pop("examples")}
        memories = {name: course.pop(name) for name in ROBUSTNESS}
        return xr.Dataset(
            labelled(("cycle", "row"), course, ROW_MEASURES)
            | labelled(("cycle", "memory"), memories, ROBUSTNESS)
            | labelled(("cycle", "example"), examples, {"examples": "weights of some synapses"}),
            {
                "cycle": ("cycle", marks_of(cycles), {"long_name": "replay cycles"}),
                "example": np.arange(examples["examples"].shape[1]),
                "memory": np.arange(memories["robustness_min"].shape[1]),
            },
        )


def robustness(
    rows: Rows, memories: Patterns, order: Int[np.ndarray, "patterns rows"]
) -> dict[str, Float[np.ndarray, " patterns"]]:
    """Give `ROBUSTNESS`: y h / |w|_2 of each memory, and of memories shuffled in each neuron."""
    # A neuron that is never active in these patterns may lose all synapses.
    left = rows.living.any(1)
    found = (signs(memories) * inputs_of(rows, memories))[:, left]
    found /= np.linalg.norm(rows.weights[left].astype(float), axis=1)
    shuffled = np.take_along_axis(found, order[:, left], 0)
    values = (found.min(1), found.mean(1), shuffled.min(1), shuffled.mean(1))
    return dict(zip(ROBUSTNESS, values, strict=True))


def sleep(
    evening: Rows,
    replayed: Patterns,
    f: float,
    cycles: int,
    *,
    streams: Streams,
    device: torch.device,
    journal: Journal,
    description: str,
) -> Night:
    """Replay patterns for so many cycles, with whatever the network answers; note the course.

    `streams` gives the purpose ("shuffle",): which memories of different neurons are put together
    as a control of how much a memory's gain is due to chance.

    Raises
    ------
    DivergenceError
        If numbers are not finite any more.
    """
    rule, marks = rule_of(len(evening)), marks_of(cycles)
    night = Night(evening.copy())
    post, pre = np.nonzero(evening.living)
    chosen = np.linspace(0, len(post) - 1, min(EXAMPLES, len(post))).astype(int)
    order = streams.numpy("shuffle").random((len(replayed), len(evening))).argsort(0)

    def look(cycle: int) -> None:
        found = measure_rows(night.rows, replayed, replayed, f)
        found |= robustness(night.rows, replayed, order)
        night.course.append(found | {"examples": night.rows.weights[post[chosen], pre[chosen]]})
        if cycle in (*LOOKS, cycles):
            night.living[str(cycle)] = night.rows.living.copy()

    look(0)
    blocks = [
        (first, min(BLOCK, end - first))
        for start, end in pairwise(marks)
        for first in range(start, end, BLOCK)
    ]
    with engine_on(device, len(evening)) as engine:
        for number in journal.steps(description, len(blocks), night):
            first, count = blocks[number]
            rates = replay_rates(first, count)
            advance(night.rows, replayed, replayed, rule, rates, rates, engine=engine)
            if first + count in marks:
                look(first + count)
    return night
