"""Days of few-shot learning and nights of replay, in one network (Figure 3)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import UInt8

from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.journal import Journal
from sharpwave_shared.results import combine
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.comparison import KNOWN, look, pruning
from synaptic_consolidation.day import COURSE, are_attractors, imprint, newborn
from synaptic_consolidation.experiments.wake_sleep import WakeSleep
from synaptic_consolidation.measures import ROW_MEASURES, labelled
from synaptic_consolidation.model import Rows, rescaled
from synaptic_consolidation.night import ROBUSTNESS, Night, rule_of, sleep
from synaptic_consolidation.patterns import draw_patterns

SHARES = {
    "memorised": "share of new patterns that are attractors in the evening",
    "replayed": "memories replayed",
    "old_by_day": "share of older memories that are attractors in the evening",
    "old_by_night": "share of older memories that are attractors in the morning",
    "kept": "share of replayed memories that are attractors in the morning",
}


def live(
    setup: WakeSleep, seeds: Sequence[int], device: torch.device, journal: Journal
) -> xr.Dataset:
    """Let networks learn by day and consolidate by night.

    Returns
    -------
    xarray.Dataset
        By seed and day `SHARES`; the course of the day (`day.COURSE`, by `seen`, the passes) and
        of the night (`night.Night.describe`), and what it prunes (`comparison.pruning`). Also by
        `sleep`, before and after: what `comparison.look` gives, and `mean_*`, the means over rows
        of `ROW_MEASURES` and of others.

    Raises
    ------
    SharpwaveError
        If no pattern of a day has become an attractor.
    DivergenceError
        If numbers are not finite any more.
    """
    found = {}
    for seed in seeds:
        rows = newborn(setup.n, setup.f)
        memories = np.empty((0, setup.n), np.uint8)
        for day in range(1, setup.days + 1):
            rows, memories, found[seed, day] = _day(
                setup, seed, day, rows, memories, device, journal
            )
    return combine(
        lambda seed, day: found[seed, day], {"seed": seeds, "day": range(1, setup.days + 1)}
    )


def _day(
    setup: WakeSleep,
    seed: int,
    day: int,
    rows: Rows,
    memories: UInt8[np.ndarray, "memories inputs"],
    device: torch.device,
    journal: Journal,
) -> tuple[Rows, UInt8[np.ndarray, "known inputs"], xr.Dataset]:
    """Go through a day and the night after it, as far as they are not kept from before.

    Returns
    -------
    tuple
        The rows in the morning; the memories of this and earlier days; what is measured.
    """
    streams = Streams(seed).child("day", day)
    fresh = draw_patterns(setup.n, setup.patterns, setup.f, streams.numpy("patterns"), exact=True)

    def wake(part: Journal) -> dict[str, Any]:
        course = imprint(rows, fresh, setup.f, setup.passes, streams, part)
        return {"rows": rows.state_dict(), "course": course}

    awake = journal.once(f"wake, seed {seed}, day {day}", wake)
    rows.load_state_dict(awake["rows"])
    good, old = are_attractors(rows, fresh), are_attractors(rows, memories)
    replayed = np.concatenate([memories[old], fresh[good]]) if setup.keep_old else fresh[good]
    if not len(replayed):
        raise SharpwaveError(
            f"no pattern of day {day} has become an attractor: more passes may help"
            + (", or keeping old memories" if day > 1 else "")
        )
    evening = rescaled(rows, rule_of(setup.n))

    def asleep(part: Journal) -> dict[str, object]:
        night = sleep(
            *(evening, replayed, setup.f, setup.cycles),
            streams=streams,
            device=device,
            journal=part,
            description=f"asleep, night {day}",
        )
        return night.state_dict()

    night = Night(evening.copy())
    night.load_state_dict(journal.once(f"sleep, seed {seed}, day {day}", asleep))
    states = {"before": evening, "after": night.rows}

    def compare(when: str) -> xr.Dataset:
        journal.reporter.detail(f"recall {when} sleep")
        return journal.once(
            f"look {when}, seed {seed}, day {day}",
            lambda _: look(*(states[when], replayed, setup.f, setup.tests, streams, device)),
        )

    shares = {
        "memorised": good.mean(),
        "replayed": len(replayed),
        "old_by_day": old.mean() if len(memories) else np.nan,
        "old_by_night": are_attractors(night.rows, memories).mean() if len(memories) else np.nan,
        "kept": are_attractors(night.rows, replayed).mean(),
    }
    data = xr.Dataset(
        labelled((), shares, SHARES) | labelled("seen", awake["course"], COURSE),
        {"seen": ("seen", np.arange(setup.passes + 1), {"long_name": "passes"})},
    ).merge(pruning(evening, night.living))
    compared = combine(compare, {"sleep": list(states)})
    data = data.merge(compared).merge(night.describe(setup.cycles))
    return night.rows, np.concatenate([memories, fresh[good]]), data.assign(_means(data))


def _means(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Average over rows or memories, before and after sleep, where numbers are finite."""
    names = [*ROW_MEASURES, *ROBUSTNESS]
    ends = data[names].isel(cycle=[0, -1]).drop_vars("cycle").rename(cycle="sleep")
    responses = data[[f"sparseness_{which}" for which in KNOWN]].drop_vars("sleep")
    means = {}
    for part, dim in (
        (ends[list(ROW_MEASURES)], "row"),
        (responses, "row"),
        (ends[list(ROBUSTNESS)], "memory"),
    ):
        averaged = part.where(np.isfinite(part)).mean(dim, keep_attrs=True)
        means |= {f"mean_{name}": values for name, values in averaged.data_vars.items()}
    return means
