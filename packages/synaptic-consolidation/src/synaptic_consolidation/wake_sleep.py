"""Days of few-shot learning and nights of replay, in one network (Figure 3).

Awake, sparse patterns are imprinted weakly: in one factor of each synapse, by a Hebbian rule that
is gated by how far a pattern is from being an attractor. Asleep, those that have become attractors
are replayed, and the network consolidates them by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sharpwave_shared.compiled import workers
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from synaptic_consolidation.learning import BLOCK, advance
from synaptic_consolidation.measures import (
    histogram_of_weights,
    mean_and_sd,
    measure_rows,
    sparseness,
)
from synaptic_consolidation.model import (
    SMALLEST_FACTOR,
    Patterns,
    Rows,
    Rule,
    balance,
    initial_rows,
    inputs_of,
    signs,
)
from synaptic_consolidation.patterns import check_patterns, draw_patterns
from synaptic_consolidation.recall import Memory, noisy_weights, tolerances

PAPER_N = 1000
LENGTH = 70.0
"""Half of the norm sum u^2 of a row of `PAPER_N` inputs; it grows with their number."""
U0 = 0.6
ETA_WAKE = 1e-2
ETA_FIRST, ETA_LAST, ETA_CYCLES = 1e-2, 0.4, 40.0
"""The rate of replay rises from the first to the last value, with this time constant."""
BETA = 20.0
MOST_NEURONS = 5000
LOOKS = (100, 500)
"""Cycles of the first night after which it is noted which synapses are pruned, beside the end."""
KINDS = ("balanced", "all-factors", "one-factor", "surviving")
EXAMPLES = 60
"""Synapses whose weights are followed."""
SHOWN = 100
"""Rows and columns of the weight matrix, and neurons of the raster, that are kept for figures."""
RASTER_CUES = 5
RASTER_STEPS = 100
RASTER_NOISE = 0.4
"""Of the rasters: steps without and with synaptic noise together, half each; and its level."""
WEIGHT_EDGES = np.arange(41) / 8
BINS = 30
"""Bins of initial weights, and of correlations of responses."""
CURVE_POINTS = 200
"""Patterns at which sorted responses, the tuning curves, are kept."""

Results = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Plan:
    """Wake and sleep.

    Attributes
    ----------
    n
        Neurons N.
    f
        Activity: every pattern has round(N f) active neurons.
    patterns
        M, the patterns of each day.
    passes
        How often a day shows them.
    cycles
        Replay cycles of each night.
    days
        Days, each with new patterns, and a night after each.
    keep_old
        Whether later nights replay memories of earlier days, as far as they still are attractors.
    spread
        How much initial factors vary: uniformly, by this share of their mean to either side.
    tests
        How often recall is tested at every level of noise.

    Raises
    ------
    InvalidInputError
        If one of them is out of range.
    """

    n: int = PAPER_N
    f: float = 0.05
    patterns: int = 500
    passes: int = 35
    cycles: int = 100_000
    days: int = 1
    keep_old: bool = True
    spread: float = 0.3
    tests: int = 20

    def __post_init__(self) -> None:
        if not 2 <= self.n <= MOST_NEURONS:
            raise InvalidInputError(f"n: got {self.n} neurons, expected 2 to {MOST_NEURONS}")
        check_patterns(self.n, self.patterns, self.f, exact=True)
        for name, most in (
            ("passes", 10**4),
            ("cycles", 10**8),
            ("days", 100),
            ("tests", 10**4),
        ):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise InvalidInputError(f"{name}: got {value}, expected 1 to {most}")
        if not 0 <= self.spread < 1:
            raise InvalidInputError(f"spread: got {self.spread}, expected 0 to below 1")

    @property
    def rule(self) -> Rule:
        """The rule of replay."""
        length = LENGTH * self.n / PAPER_N
        return Rule(2, length, ETA_LAST, ETA_LAST, BETA, error_driven=False)

    @property
    def marks(self) -> list[int]:
        """The replay cycles at which a night is looked at: 1, 2, 5, 10, ... and the last."""
        steps = (base * 10**power for power in range(9) for base in (1, 2, 5))
        return [0, *(step for step in steps if step < self.cycles), self.cycles]


def run(
    plan: Plan, seeds: Sequence[int], *, device: torch.device, journal: Journal | None = None
) -> Results:
    """Let networks learn by day and consolidate by night.

    Returns
    -------
    tuple
        Metrics: `nights`, one for every seed and day: numbers before and after sleep, and their
        course. Arrays: what figures show, by `seed/day/name`.

    Raises
    ------
    SharpwaveError
        If no pattern of a day has become an attractor.
    DivergenceError
        If numbers are not finite any more.
    """
    journal = journal or Journal()
    nights, arrays = [], {}
    for seed in seeds:
        rows, memories = _newborn(plan, seed), np.empty((0, plan.n), np.uint8)
        for day in range(1, plan.days + 1):
            rows, memories, found = _day(plan, seed, day, rows, memories, device, journal)
            key = f"{seed}/{day}"
            found = {name: found[name] for name in sorted(found)}
            nights.append(_summary(seed, day, found))
            arrays |= {f"{key}/{name}": values for name, values in found.items()}
    return {"nights": nights}, arrays


def _newborn(plan: Plan, seed: int) -> Rows:
    generator = Streams(seed).numpy("factors")
    low, high = 1 - plan.spread, 1 + plan.spread
    factors = U0 * generator.uniform(low, high, (plan.n, 2, plan.n))
    return initial_rows(np.arange(plan.n), factors.astype(np.float32), plan.f)


def _day(
    plan: Plan,
    seed: int,
    day: int,
    rows: Rows,
    memories: UInt8[np.ndarray, "memories inputs"],
    device: torch.device,
    journal: Journal,
) -> tuple[Rows, Patterns, dict[str, np.ndarray]]:
    """Go through a day and the night after it, as far as they are not kept from before.

    Returns
    -------
    tuple
        The rows in the morning; the memories of this and earlier days; what figures show.
    """
    streams = Streams(seed).child("day", day)
    fresh = draw_patterns(plan.n, plan.patterns, plan.f, streams.numpy("patterns"), exact=True)

    def wake(part: Journal) -> dict[str, Tensor]:
        imprint(rows, fresh, plan, streams, part)
        return _as_tensors(vars(rows))

    learnt = _rows_of(journal.once(f"wake-{seed}-{day}", wake))
    good = are_attractors(learnt, fresh)
    old = are_attractors(learnt, memories)
    known = np.concatenate([memories[old], fresh[good]])
    replayed = known if plan.keep_old else fresh[good]
    if not len(replayed):
        raise SharpwaveError(
            f"no pattern of day {day} has become an attractor: more passes may help"
            + (", or keeping old memories" if day > 1 else "")
        )
    evening = rescaled(learnt, plan.rule)
    slept = journal.once(
        f"sleep-{seed}-{day}", lambda part: _sleep(plan, day, evening, replayed, device, part)
    )
    morning = _rows_of(slept)
    found = {name: values.numpy() for name, values in slept.items() if name.startswith("course/")}
    measured = journal.once(
        f"look-{seed}-{day}",
        lambda part: _as_tensors(_look(plan, streams, evening, morning, replayed, device, part)),
    )
    found |= {name: values.numpy() for name, values in measured.items()}
    found |= _pruning(
        evening,
        {
            **{n: slept[n].numpy() for n in slept if n.startswith("living_after_")},
            "living_at_end": morning.living,
        },
    )
    found["memorised"] = np.array(good.mean())
    found["replayed"] = np.array(len(replayed))
    found["old_by_day"] = np.array(old.mean() if len(memories) else math.nan)
    found["old_by_night"] = np.array(
        are_attractors(morning, memories).mean() if len(memories) else math.nan
    )
    found["kept"] = np.array(are_attractors(morning, replayed).mean())
    return morning, np.concatenate([memories, fresh[good]]), found


# --- awake ----------------------------------------------------------------------------------------


def imprint(rows: Rows, patterns: Patterns, plan: Plan, streams: Streams, journal: Journal) -> None:
    """Imprint patterns by the Hebbian rule of wakefulness, in place.

    For each pattern, u_1 += eta |d| (xi - f)(xi - f)^T, where d is the shift of all thresholds that
    would keep the activity at f: halfway between the N (1 - f)-th smallest h and the next. (With
    the former itself, learning ends where silent neurons reach the threshold, and fewer patterns
    become attractors.) Thresholds are balanced again. Nothing is pruned awake, and what is pruned
    stays so, its first factor gone.
    """
    passes = range(plan.passes)
    u_1, u_2 = (torch.from_numpy(rows.factors[:, k]) for k in (0, 1))
    living = torch.from_numpy(rows.living)
    rank = round(plan.n * (1 - plan.f))
    first = 0
    kept = journal.load_checkpoint()
    if kept is not None:
        rows.factors[:, 0] = kept[0]["u_1"].numpy()
        first = int(kept[1]["done"])
    weights = (u_1 * u_2).mul_(living)
    theta = torch.from_numpy(balance(weights.numpy(), plan.f).astype(np.float32))
    with journal.reporter.progress(
        "awake", plan.passes * len(patterns), first * len(patterns)
    ) as show:
        for number in passes[first:]:
            for index in streams.numpy("order", number).permutation(len(patterns)):
                active = torch.from_numpy(np.flatnonzero(patterns[index]))
                h = weights[:, active].sum(1) - theta
                below, above = (float(h.kthvalue(k).values) for k in (rank, rank + 1))
                d = (below + above) / 2
                deviation = torch.from_numpy(patterns[index]).float() - plan.f
                u_1.addr_(deviation, deviation, alpha=ETA_WAKE * abs(d))
                # What is pruned must not grow: it would count in the norm of the night.
                u_1.mul_(living).clamp_(min=SMALLEST_FACTOR)
                torch.mul(u_1, u_2, out=weights).mul_(living)
                theta = _balance(weights, plan.f)
                show(1)
            if journal.checkpoint_due():
                journal.save_checkpoint({"u_1": u_1}, done=number + 1)
    u_1.mul_(1 - torch.eye(plan.n))
    rows.theta[:] = balance(rows.weights, plan.f)


def _balance(weights: Tensor, f: float) -> Tensor:
    """Do what `model.balance` does, without copies."""
    spread = math.sqrt(2 * f * (1 - f)) * torch.linalg.vector_norm(weights, dim=1)
    return f * weights.sum(1) + spread * float(torch.erfinv(torch.tensor(1 - 2 * f).double()))


def are_attractors(rows: Rows, patterns: Patterns) -> Bool[np.ndarray, " patterns"]:
    """Tell which patterns are fixed points of the network."""
    if not len(patterns):
        return np.zeros(0, bool)
    return ((inputs_of(rows, patterns) > 0) == patterns).all(1)


# --- asleep ---------------------------------------------------------------------------------------


def rescaled(rows: Rows, rule: Rule) -> Rows:
    """Give a copy whose factors have the homeostatic norm, and thresholds that fit them."""
    result = rows.select(np.arange(len(rows)))
    scale = np.sqrt(rule.norm / np.square(rows.factors).sum((1, 2), dtype=float))
    result.factors *= scale[:, None, None].astype(np.float32)
    result.theta *= (scale**rule.factors).astype(np.float32)
    return result


def replay_rates(first: int, count: int) -> Float[np.ndarray, " cycles"]:
    """Give the learning rates of replay cycles."""
    cycle = np.arange(first, first + count)
    return ETA_LAST - (ETA_LAST - ETA_FIRST) * np.exp(-cycle / ETA_CYCLES)


def _sleep(
    plan: Plan, day: int, evening: Rows, replayed: Patterns, device: torch.device, journal: Journal
) -> dict[str, Tensor]:
    """Replay, and note the course of it; give that and the rows in the morning."""
    rows = evening.select(np.arange(len(evening)))
    examples = _examples(rows)
    course: dict[str, list[np.ndarray]] = {}
    looks: dict[str, np.ndarray] = {}
    done = 0
    kept = journal.load_checkpoint()
    if kept is not None:
        tensors = {name: tensor.numpy() for name, tensor in kept[0].items()}
        rows = _rows_of(kept[0])
        course = {
            name.removeprefix("course/"): list(values)
            for name, values in tensors.items()
            if name.startswith("course/")
        }
        looks = {n: values for n, values in tensors.items() if n.startswith("living_after_")}
        done = int(kept[1]["done"])
    marks = plan.marks

    def state() -> dict[str, np.ndarray]:
        stacked = {f"course/{name}": np.array(values) for name, values in course.items()}
        return vars(rows) | stacked | looks

    with (
        journal.reporter.progress(f"asleep, night {day}", plan.cycles, done) as show,
        workers(len(rows)) as in_parallel,
    ):
        while True:
            if done in marks and len(course.get("cycle", [])) == marks.index(done):
                found = _snapshot(rows, replayed, plan.f) | {"cycle": np.array(done)}
                found["examples"] = rows.weights[examples]
                for name, value in found.items():
                    course.setdefault(name, []).append(value)
                if done in LOOKS:
                    looks[f"living_after_{done}"] = rows.living.copy()
            if done == plan.cycles:
                break
            following = next(mark for mark in marks if mark > done)
            count = min(BLOCK, following - done)
            rates = replay_rates(done, count)
            advance(
                rows,
                replayed,
                replayed,
                plan.rule,
                rates,
                rates,
                device=device,
                in_parallel=in_parallel,
            )
            done += count
            show(count)
            if journal.checkpoint_due():
                journal.save_checkpoint(_as_tensors(state()), done=done)
    return _as_tensors(state())


def _examples(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Choose some synapses."""
    post, pre = np.nonzero(rows.living)
    chosen = np.linspace(0, len(post) - 1, min(EXAMPLES, len(post))).astype(int)
    return post[chosen], pre[chosen]


def _snapshot(rows: Rows, patterns: Patterns, f: float) -> dict[str, np.ndarray]:
    """Measure a network at a moment of the night: means and standard deviations over rows."""
    measured = measure_rows(rows, patterns, patterns, f)
    return {name: np.array(mean_and_sd(values)) for name, values in measured.items()}


# --- before and after -----------------------------------------------------------------------------


def _look(
    plan: Plan,
    streams: Streams,
    evening: Rows,
    morning: Rows,
    patterns: Patterns,
    device: torch.device,
    journal: Journal,
) -> dict[str, np.ndarray]:
    """Compare the network before and after a night."""
    memory = Memory(patterns, patterns, patterns, plan.f)
    count = max(plan.patterns, len(patterns))
    novel = draw_patterns(plan.n, count, plan.f, streams.numpy("novel"), exact=True)
    novel = novel[: len(patterns)]
    found: dict[str, np.ndarray] = {}
    for name, rows in (("before", evening), ("after", morning)):
        journal.reporter.detail(f"recall {name} sleep")
        curves = tolerances(
            rows, memory, streams.child("recall"), tests=plan.tests, device=device, kinds=KINDS
        )
        for kind, curve in curves.items():
            for part, values in curve._asdict().items():
                found[f"{name}/{kind}/{part}"] = np.array(values)
        weights = rows.weights
        # A neuron that is never active in these patterns may lose all synapses.
        left = weights.any(1)
        robustness = (signs(patterns) * inputs_of(rows, patterns))[:, left]
        robustness /= np.linalg.norm(weights[left], axis=1)
        found[f"{name}/robustness_min"] = robustness.min(1)
        found[f"{name}/robustness_mean"] = robustness.mean(1)
        found[f"{name}/histogram"] = histogram_of_weights(weights, rows.living, WEIGHT_EDGES)
        found[f"{name}/weights"] = weights[:SHOWN, :SHOWN]
        found[f"{name}/raster"] = _raster(rows, patterns, streams, device)
        for which, shown in (("familiar", patterns), ("novel", novel)):
            responses = shown.astype(np.float32) @ weights.T
            found[f"{name}/sparseness_{which}"] = sparseness(responses)
            found[f"{name}/tuning_{which}"] = _tuning(responses)
        found |= {
            f"{name}/{key}": values for key, values in _by_correlation(rows, patterns).items()
        }
    return found


def _tuning(
    responses: Float[np.ndarray, "patterns rows"],
) -> Float[np.ndarray, " points"]:
    """Give the mean over neurons of responses, each relative to its mean and sorted."""
    responding = responses[:, responses.any(0)]
    relative = np.sort(responding / responding.mean(0), axis=0)[::-1].mean(1)
    places = np.linspace(0, len(relative) - 1, min(CURVE_POINTS, len(relative))).astype(int)
    return relative[places]


def _raster(
    rows: Rows, patterns: Patterns, streams: Streams, device: torch.device
) -> UInt8[np.ndarray, "steps cues neurons"]:
    """Let patterns persist, first without and then with synaptic noise; give activity over time."""
    weights = torch.from_numpy(rows.weights).to(device)
    noisy, theta = noisy_weights(rows, streams, "one-factor", device)
    disturbed = noisy(0, RASTER_NOISE)
    still = torch.from_numpy(rows.theta).to(device)
    states = torch.from_numpy(patterns[:RASTER_CUES].T.astype(np.float32)).to(device)
    shown = []
    for step in range(RASTER_STEPS):
        shown.append(states[:SHOWN].T.cpu().numpy().astype(np.uint8))
        calm = step < RASTER_STEPS // 2
        h = (weights if calm else disturbed) @ states - (still if calm else theta)[:, None]
        states = (h > 0).to(states.dtype)
    return np.array(shown)


def _by_correlation(rows: Rows, patterns: Patterns) -> dict[str, np.ndarray]:
    """Give connection probability and mean strength by the correlation of responses."""
    centred = patterns - patterns.mean(0)
    spread = np.sqrt(np.square(centred).sum(0))
    spread[spread == 0] = np.inf  # never active among these patterns
    correlation = (centred / spread).T @ (centred / spread)
    others = ~np.eye(len(rows), dtype=bool)
    place = _places(
        np.linspace(correlation[others].min(), correlation[others].max(), BINS + 1), correlation
    )
    return {
        "correlation": _mean_by(place, correlation, others),
        "connected": _mean_by(place, rows.living, others),
        "strength": _mean_by(place, rows.weights, others & rows.living),
    }


def _pruning(
    evening: Rows, living: dict[str, Bool[np.ndarray, "rows inputs"]]
) -> dict[str, Float[np.ndarray, " bins"]]:
    """Give, for bins of the weights in the evening, the share that is pruned at times of the night.

    `living_after_100` becomes `pruned_after_100`, and so on.
    """
    weights, there = evening.weights, evening.living
    edges = np.unique(np.quantile(weights[there], np.linspace(0, 1, BINS + 1)))
    place = _places(edges, weights)
    found = {"initial_weight": _mean_by(place, weights, there)}
    for name, left in living.items():
        found[name.replace("living", "pruned")] = _mean_by(place, ~left, there)
    return found


def _places(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Find the bin of each value, that of the nearest edge for values beyond all."""
    return np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)


def _mean_by(
    place: np.ndarray, values: np.ndarray, which: Bool[np.ndarray, "rows inputs"]
) -> Float[np.ndarray, " bins"]:
    """Average values over the pairs of each bin; NaN where there are none."""
    bins = int(place.max()) + 1
    counts = np.bincount(place[which], minlength=bins)
    sums = np.bincount(place[which], values[which].astype(float), minlength=bins)
    return np.divide(sums, counts, out=np.full(bins, np.nan), where=counts > 0)


# --- storing --------------------------------------------------------------------------------------


def _as_tensors(values: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in values.items()}


def _rows_of(tensors: dict[str, Tensor]) -> Rows:
    """Read the rows among stored tensors."""
    return Rows(**{name: tensors[name].numpy().copy() for name in Rows.__dataclass_fields__})


def _summary(seed: int, day: int, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """Give the numbers of a night."""
    summary: dict[str, Any] = {"seed": seed, "day": day}
    for name in ("memorised", "replayed", "kept", "old_by_day", "old_by_night"):
        summary[name] = float(found[name])
    summary["course"] = {
        name.removeprefix("course/"): values.tolist()
        for name, values in found.items()
        if name.startswith("course/") and name != "course/examples"
    }
    for when in ("before", "after"):
        summary[when] = {
            "tolerance": {kind: float(found[f"{when}/{kind}/maximum"]) for kind in KINDS},
            "sparseness": {
                which: mean_and_sd(found[f"{when}/sparseness_{which}"])[0]
                for which in ("familiar", "novel")
            },
            **{
                name: float(values.mean())
                for name in ("robustness_min", "robustness_mean")
                for values in [found[f"{when}/{name}"]]
            },
        }
    return summary
