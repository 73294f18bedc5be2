"""Consolidation over many steps: in threads or on a device, until every row has converged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sharpwave_shared.compiled import workers
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.runs import Journal
from synaptic_consolidation.batched import advance_rows
from synaptic_consolidation.fused import advance_row
from synaptic_consolidation.measures import density, smallest_margins
from synaptic_consolidation.model import Labels, Patterns, Rows, Rule

CPU = torch.device("cpu")
BLOCK = 1000
"""Steps between two points where learning can stop."""
CHECK = 10_000
"""Steps between two looks at whether a row still changes."""
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


@dataclass
class Progress:
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

    def tensors(self) -> dict[str, Tensor]:
        """Give everything as tensors, for a checkpoint."""
        values = vars(self.rows) | {k: v for k, v in vars(self).items() if k != "rows"}
        return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in values.items()}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> "Progress":
        """Go on from a checkpoint."""
        values = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
        rows = Rows(**{name: values.pop(name) for name in Rows.__dataclass_fields__})
        return cls(rows, **values)


def advance(
    rows: Rows,
    patterns: Patterns,
    labels: Labels,
    rule: Rule,
    eta: Float[np.ndarray, " steps"],
    eta_theta: Float[np.ndarray, " steps"],
    *,
    device: torch.device = CPU,
    in_parallel: Callable = map,
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
    device
        The CPU takes row by row, other devices all rows at once.
    in_parallel
        The `map` of `sharpwave_shared.compiled.workers`, if it has been opened.

    Raises
    ------
    DivergenceError
        If numbers are not finite any more.
    """
    if device.type == "cpu":

        def one(row: int) -> None:
            advance_row(rows, row, patterns, labels, rule, eta, eta_theta)

        list(in_parallel(one, range(len(rows))))
    else:
        advance_rows(rows, patterns, labels, rule, eta, eta_theta, device)
    if not (np.isfinite(rows.theta).all() and np.isfinite(rows.factors).all()):
        raise DivergenceError("factors are not finite any more: a lower learning rate may help")


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
    and its density and its margin relative to |w|_2 had changed by less than `HARDLY` since the
    look before. (Its norm is exactly as homeostasis left it.) It then stops; rows depend on nothing
    else, so that any of them ends as it would alone.

    Parameters
    ----------
    rows, patterns, labels, rule, device
        See `advance`.
    steps
        The limit, a multiple of `BLOCK` or below it.
    journal
        Shows progress, and keeps checkpoints.

    Raises
    ------
    DivergenceError
        If numbers are not finite any more.
    """
    journal = journal or Journal()
    kept = journal.load_checkpoint()
    progress = Progress.start(rows) if kept is None else Progress.restore(kept[0])
    total = len(rows) * steps
    before = int(np.where(progress.converged, steps, progress.steps).sum())
    with (
        journal.reporter.progress(description, total, before) as show,
        workers(len(rows)) as in_parallel,
    ):
        while True:
            open = np.flatnonzero(~progress.converged & (progress.steps < steps))
            if not len(open):
                break
            # All open rows are equally far.
            done = int(progress.steps[open[0]])
            count = min(BLOCK, steps - done)
            part = progress.rows.select(open)
            rates = np.full(count, rule.eta), np.full(count, rule.eta_theta)
            advance(
                part,
                patterns,
                labels[:, open],
                rule,
                *rates,
                device=device,
                in_parallel=in_parallel,
            )
            progress.rows.assign(open, part)
            progress.steps[open] += count
            show(count * len(open))
            if (done + count) % CHECK == 0:
                show((steps - done - count) * _look(progress, open, patterns, labels))
            if journal.checkpoint_due():
                journal.save_checkpoint(progress.tensors())
    return progress


def _look(progress: Progress, open: np.ndarray, patterns: Patterns, labels: Labels) -> int:
    """Find out which rows have converged; give their number."""
    part = progress.rows.select(open)
    found, margin = density(part), smallest_margins(part, patterns, labels[:, open])
    with np.errstate(invalid="ignore"):
        relative = margin / np.linalg.norm(part.weights, axis=1)
    still = (
        (margin > 0)
        & (found < PRUNED_SHARE)
        & (np.abs(found - progress.density[open]) < HARDLY)
        & (np.abs(relative - progress.margin[open]) < HARDLY)
    )
    progress.density[open], progress.margin[open] = found, relative
    progress.still[open] = np.where(still, progress.still[open] + 1, 0)
    return int(progress.converged[open].sum())
