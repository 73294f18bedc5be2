"""Consolidation over many steps: in threads or on a device, until every row has converged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from sharpwave_shared.compiled import workers
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.journal import Journal
from sharpwave_shared.stateful import Kept
from synaptic_consolidation import batched, fused
from synaptic_consolidation.measures import density, smallest_margins
from synaptic_consolidation.model import Advance, Labels, Patterns, Rows, Rule

CPU = torch.device("cpu")
BLOCK = 1000
"""Steps between two points where learning can stop."""
CHECK = 10_000
"""Steps between two looks at whether a row still changes; a multiple of `BLOCK`."""
PATIENCE = 10
"""Looks without a change after which a row has converged.

The paper asks for a mean density over rows that changes by less than `HARDLY` from one look to the
next. That of a single row changes in steps of one synapse: one of a thousand that is pruned in
`PATIENCE` looks is as fast.
"""
HARDLY = 1e-4
"""The largest change of density and margin that is none."""
PRUNED_SHARE = 0.99
"""A row with a density above this has not begun to prune, and so has not converged."""
ALIGNED = 0.02
"""How far sum w^(2/z) of a row that has converged may be from the length: it is the length once
all factors of a synapse are equal."""


@dataclass
class Progress(Kept):
    """Where the learning of some rows stands.

    Attributes
    ----------
    rows
        Their state.
    steps
        Steps that each row has taken.
    still
        Looks since the last change.
    density, margin
        Those at the last look.
    """

    kept: ClassVar = ("rows", "steps", "still", "density", "margin")

    rows: Rows
    steps: Int[np.ndarray, " rows"]
    still: Int[np.ndarray, " rows"]
    density: Float[np.ndarray, " rows"]
    margin: Float[np.ndarray, " rows"]

    @classmethod
    def start(cls, rows: Rows) -> "Progress":
        """Begin with rows that have not learnt."""
        unknown = np.full(len(rows), np.nan)
        zero = np.zeros(len(rows), np.int64)
        return cls(rows, zero, zero.copy(), unknown, unknown.copy())

    @property
    def converged(self) -> Bool[np.ndarray, " rows"]:
        """Tell which rows have converged, and take no steps any more."""
        return self.still >= PATIENCE


@contextmanager
def engine_on(device: torch.device, rows: int) -> Iterator[Advance]:
    """Give what lets so many rows advance: on the CPU one by one in threads, else all at once."""
    if device.type == "cpu":
        with workers(rows) as in_parallel:
            yield partial(fused.advance, in_parallel=in_parallel)
    else:
        yield partial(batched.advance, device=device)


def advance(
    rows: Rows,
    patterns: Patterns,
    labels: Labels,
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
    *,
    engine: Advance = fused.advance,
) -> None:
    """Let rows take as many steps as there are learning rates.

    Parameters
    ----------
    rows
        Changed in place.
    patterns
        xi, 1 or 0, for all inputs.
    labels
        What the rows are to answer, 1 or 0.
    rule
        The rule; its learning rates are replaced by `eta` and `eta_theta`.
    engine
        What takes the steps; see `engine_on`.

    Raises
    ------
    ValueError
        If shapes do not fit each other.
    DivergenceError
        If numbers are not finite any more.
    """
    _refuse_misfits(rows, patterns, labels, rule)
    engine(rows, patterns, labels, rule, eta, eta_theta)
    if not (np.isfinite(rows.theta).all() and np.isfinite(rows.factors).all()):
        raise DivergenceError("factors are not finite any more: a lower learning rate may help")


def _refuse_misfits(rows: Rows, patterns: Patterns, labels: Labels, rule: Rule) -> None:
    """Check shapes: the compiled loops do not check where they read and write."""
    count, (given, inputs) = len(rows), patterns.shape
    wanted = {
        "neurons": (count,),
        "factors": (count, rule.factors, inputs),
        "living": (count, inputs),
        "theta": (count,),
        "mean": (count,),
        "labels": (given, count),
    }
    for name, values in {**vars(rows), "labels": labels}.items():
        if values.shape != wanted[name]:
            raise ValueError(f"{name}: got the shape {values.shape}, expected {wanted[name]}")


def consolidate(
    rows: Rows,
    patterns: Patterns,
    labels: Labels,
    rule: Rule,
    steps: int,
    *,
    device: torch.device = CPU,
    journal: Journal | None = None,
    description: str = "consolidating",
) -> Progress:
    """Consolidate until every row has converged, or for so many steps.

    A row has converged when, at `PATIENCE` looks in a row, it made no error, had begun to prune,
    its density and its margin relative to |w|_2 had changed by less than `HARDLY` since the look
    before, and its factors were aligned (`ALIGNED`). It then stops; rows depend on nothing else, so
    that any of them ends as it would alone (but for rounding, on processors where that of a matrix
    product depends on its size).

    Parameters
    ----------
    rows
        Changed in place.
    patterns, labels, rule
        See `advance`.
    steps
        The limit.
    device
        What computes.
    journal
        Shows progress, and keeps checkpoints.
    description
        For the progress.

    Raises
    ------
    DivergenceError
        If numbers are not finite any more.
    """
    journal = journal or Journal()
    progress = Progress.start(rows)
    blocks = -(-steps // BLOCK)
    with engine_on(device, len(rows)) as engine:
        for block in journal.steps(description, blocks, progress):
            open = np.flatnonzero(~progress.converged)
            if not len(open):
                break
            count = min(BLOCK, steps - block * BLOCK)
            part, own = progress.rows.select(open), labels[:, open]
            rates = np.full(count, rule.eta), np.full(count, rule.eta_theta)
            advance(part, patterns, own, rule, *rates, engine=engine)
            progress.rows.assign(open, part)
            progress.steps[open] += count
            if (block * BLOCK + count) % CHECK == 0:
                _look(progress, open, patterns, own, rule)
    return progress


def _look(
    progress: Progress, open: np.ndarray, patterns: Patterns, labels: Labels, rule: Rule
) -> None:
    """Find out which of the open rows still change."""
    part = progress.rows.select(open)
    found, margin = density(part), smallest_margins(part, patterns, labels)
    with np.errstate(invalid="ignore"):
        relative = margin / np.linalg.norm(part.weights, axis=1)
    of_weights = (part.weights.astype(float) ** (2 / rule.factors)).sum(1)
    still = (
        (margin > 0)
        & (found < PRUNED_SHARE)
        & (np.abs(found - progress.density[open]) < HARDLY)
        & (np.abs(relative - progress.margin[open]) < HARDLY)
        & (np.abs(of_weights - rule.length) < ALIGNED)
    )
    progress.density[open], progress.margin[open] = found, relative
    progress.still[open] = np.where(still, progress.still[open] + 1, 0)
