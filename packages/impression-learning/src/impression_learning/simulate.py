"""Learning and testing: networks move through passages of data, in chunks that can be resumed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from impression_learning.circuits import Circuits, Inputs, precision
from impression_learning.engines import engine_for
from impression_learning.kinds import Phases
from impression_learning.model import Setting
from impression_learning.stimuli import Stimulus, read_together, side_by_side
from sharpwave_shared.compiled import workers
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.stateful import Kept

MANY = 500
"""Networks from which on `--device auto` takes an accelerator: an estimate, not a measurement."""
SEGMENT_CHUNKS = 16
"""Chunks between two moments at which progress is shown and a checkpoint may be written."""


@dataclass(frozen=True)
class Member:
    """One network of a simulation: a setting, the data, and a seed."""

    setting: Setting
    stimulus: Stimulus
    seed: int
    label: str = ""

    def __str__(self) -> str:
        return f"{self.label}, seed {self.seed}" if self.label else f"seed {self.seed}"


def chunk_steps(units: int) -> int:
    """Choose how many steps draw their random numbers at once: about half a megabyte of them."""
    return max(64, min(8192, 2**17 // units))


@dataclass
class Passage:
    """How far networks have come in a passage of the data.

    Attributes
    ----------
    name
        `training` or `test`; names the random numbers.
    step
        Steps done.
    state
        Activity of the last step, networks x units.
    was_awake
        Whether the last step was awake.
    worlds
        State of the data of each network before the chunk in which `step` lies.
    """

    name: str
    step: int
    state: Float[Tensor, "networks units"]
    was_awake: np.ndarray
    worlds: list[Tensor]

    def state_dict(self) -> dict[str, Any]:
        """Give all that changes."""
        return {
            "step": self.step,
            "state": self.state,
            "was_awake": self.was_awake,
            "worlds": self.worlds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.step, self.was_awake = state["step"], state["was_awake"]
        self.state.copy_(state["state"])
        self.worlds = [kept.to(own) for kept, own in zip(state["worlds"], self.worlds, strict=True)]


@dataclass(frozen=True)
class Piece:
    """Some steps of a passage: data, latent causes, losses, and the activity if recorded."""

    stimulus: Float[Tensor, "steps networks n_in"]
    latents: Float[Tensor, "steps networks _"]
    losses: Float[Tensor, "steps networks"]
    states: Float[Tensor, "_ networks units"]


class Group(Kept):
    """Networks that are computed together: on the CPU one, elsewhere all of equal sizes."""

    kept: ClassVar = ("circuits", "diverged")

    def __init__(self, members: Sequence[Member], device: torch.device):
        self.members = list(members)
        self.streams = [Streams(m.seed) for m in members]
        self.circuits = Circuits.new([m.setting for m in members], self.streams, device)
        self.engine = engine_for(device)
        self.worlds = [
            m.stimulus.world(s, device, precision(device))
            for m, s in zip(members, self.streams, strict=True)
        ]
        self.diverged = np.full(len(members), -1)
        """Step at which the loss of a network was not finite, or -1."""

    def start(self, name: str) -> Passage:
        """Begin a passage of the data, at rest."""
        units = self.members[0].setting.units
        state = torch.zeros_like(self.circuits.loss_mean)[:, None].repeat(1, units)
        worlds = [world.start(name) for world in self.worlds]
        return Passage(name, 0, state, np.ones(len(self.members), bool), worlds)

    def go(
        self,
        passage: Passage,
        steps: int,
        *,
        learn: bool = False,
        record: bool = False,
        phases: Phases = "alternating",
    ) -> Iterator[Piece]:
        """Run `steps` more steps of a passage.

        While learning, one set of random numbers serves inference and generation, of which a step
        uses one (REINFORCE as released: both); otherwise each has its own, so that runs in other
        phases see the same noise.
        """
        settings = [m.setting for m in self.members]
        one_noise = learn and not any(s.as_released for s in settings)
        length = chunk_steps(settings[0].units)
        end = passage.step + steps
        while passage.step < end:
            chunk, offset = divmod(passage.step, length)
            count = min(length - offset, end - passage.step)
            part = slice(offset, offset + count)
            x, z, after = read_together(self.worlds, passage.name, chunk, length, passage.worlds)
            stimulus, latents = x[part], z[part]
            noise_inf = self.noise(passage.name, "inference", chunk, length)[part]
            noise_gen = noise_inf
            if not one_noise:
                noise_gen = self.noise(passage.name, "generation", chunk, length)[part]
            awake = np.stack([s.awake(passage.step, count, phases) for s in settings], 1)
            inputs = Inputs(stimulus, noise_inf, noise_gen, awake, passage.was_awake)
            losses, states = self.engine(
                self.circuits, passage.state, inputs, learn=learn, record=record
            )
            passage.was_awake = awake[-1]
            passage.step += count
            if offset + count == length:
                passage.worlds = after
            yield Piece(stimulus, latents, losses, states)

    def learn(self, passage: Passage, steps: int) -> None:
        """Learn from some more steps, unless all networks have diverged."""
        if (self.diverged >= 0).all():
            return
        for piece in self.go(passage, steps, learn=True, phases=self.members[0].setting.phases):
            finite = torch.isfinite(piece.losses).cpu().numpy()
            first = passage.step - len(finite) + np.argmin(finite, 0)
            fresh = ~finite.all(0) & (self.diverged < 0)
            self.diverged[fresh] = first[fresh]
            if (self.diverged >= 0).all():
                return

    def test(self, steps: int, phases: Phases = "alternating") -> Float[np.ndarray, " networks"]:
        """Give the mean loss over the test passage, without learning.

        It is NaN for networks that diverged.
        """
        total = np.zeros(len(self.members))
        for piece in self.go(self.start("test"), steps, phases=phases):
            total += piece.losses.sum(0).cpu().numpy()
        return np.where(self.diverged < 0, total / steps, np.nan)

    def noise(self, *purpose: str | int) -> Float[Tensor, "steps networks units"]:
        """Draw standard normal variates; the last word of the purpose is their number of steps."""
        *words, steps = purpose
        size, device = (int(steps), self.members[0].setting.units), self.circuits.device
        generators = [streams.torch(*words, device=device) for streams in self.streams]
        drawn = [
            torch.randn(size, generator=generator, device=device, dtype=torch.float32)
            for generator in generators
        ]
        return side_by_side(drawn)


def group(
    members: Sequence[Member], device: torch.device
) -> tuple[list[Group], list[tuple[int, int]]]:
    """Put members into groups that are computed together.

    Returns
    -------
    tuple
        The groups; and for each member the number of its group, and its place in the group.
    """
    if device.type == "cpu":
        return [Group([m], device) for m in members], [(i, 0) for i in range(len(members))]
    kinds: dict[tuple, list[Member]] = {}
    places = []
    for member in members:
        kind = (member.setting.sizes, member.setting.algorithm)
        same = kinds.setdefault(kind, [])
        places.append((list(kinds).index(kind), len(same)))
        same.append(member)
    return [Group(same, device) for same in kinds.values()], places


def choose_device(name: str, networks: int) -> torch.device:
    """Turn the name of a device into a device.

    `auto` is the CPU for fewer networks than `MANY`: its fused loop needs microseconds for a step
    of one network, where an accelerator starts some thirty operations for a step of any number.

    Raises
    ------
    InvalidInputError
        If the device is not there.
    """
    return resolve_device("cpu" if name == "auto" and networks < MANY else name)


@dataclass
class Learnt:
    """What came out of learning, in the order of the members.

    Attributes
    ----------
    groups, places
        The networks, see `group`.
    points
        Steps after which the test loss was measured.
    losses
        Mean loss over the test passage; NaN after a divergence.
    diverged
        Step of divergence, or -1.
    measured
        What else was measured, for each point: names, networks first.
    """

    groups: list[Group]
    places: list[tuple[int, int]]
    points: Int[np.ndarray, " points"]
    losses: Float[np.ndarray, "members points"]
    diverged: Int[np.ndarray, " members"]
    measured: list[dict[str, Tensor]]

    def weights(self) -> dict[str, Tensor]:
        """Give the weights of networks of equal sizes, by name, networks first."""
        named = [g.circuits.weights.tensors() for g in self.groups]
        return {name: torch.stack([named[g][name][i] for g, i in self.places]) for name in named[0]}


Measure = Callable[[int, Group], list[dict[str, Tensor]]]
"""Measures more at a point, given its number, a row for each network of a group."""


class _Course(Kept):
    """Networks on their way through learning: what a checkpoint keeps."""

    kept: ClassVar = ("groups", "passages", "losses", "measured")

    def __init__(
        self, members: Sequence[Member], device: torch.device, points: int, *, may_diverge: bool
    ):
        self.may_diverge = may_diverge
        self.groups, self.places = group(members, device)
        self.passages = [g.start("training") for g in self.groups]
        self.losses = torch.full((len(members), points), torch.nan, dtype=torch.float64)
        self.measured: list[dict[str, Tensor]] = []

    def go(self, steps: int, in_parallel: Callable) -> None:
        """Learn from some more steps."""
        end = self.passages[0].step + steps
        in_parallel(
            lambda pair: pair[0].learn(pair[1], steps),
            list(zip(self.groups, self.passages, strict=True)),
        )
        for passage in self.passages:
            passage.step = end  # networks that have diverged stand still
        self._refuse_divergence()

    def test(self, number: int, steps: int, measure: Measure, in_parallel: Callable) -> None:
        """Test the networks at a point of learning, and measure more."""
        losses = in_parallel(lambda g: g.test(steps), self.groups)
        for g, row in zip(self.groups, losses, strict=True):
            g.diverged[~np.isfinite(row) & (g.diverged < 0)] = self.passages[0].step
        self._refuse_divergence()
        self.losses[:, number] = torch.tensor(self.in_order(losses))
        rows = self.in_order(in_parallel(lambda g: measure(number, g), self.groups))
        self.measured.append({k: torch.stack([row[k] for row in rows]).cpu() for k in rows[0]})

    def in_order(self, of_groups: Sequence[Any]) -> list[Any]:
        """Put what groups gave, a value for each network, in the order of the members."""
        return [of_groups[g][i] for g, i in self.places]

    def _refuse_divergence(self) -> None:
        for g in [] if self.may_diverge else self.groups:
            for member, step in zip(g.members, g.diverged, strict=True):
                if step >= 0:
                    raise DivergenceError(
                        f"{member}: the loss is not finite after step {step:,} of learning; "
                        f"a learning rate below {member.setting.eta:g} may help"
                    )


def _nothing_more(number: int, group: Group) -> list[dict[str, Tensor]]:
    return [{} for _ in group.members]


def learn(
    journal: Journal,
    members: Sequence[Member],
    *,
    steps: int,
    points: int,
    test_steps: int,
    device: torch.device,
    may_diverge: bool = False,
    measure: Measure = _nothing_more,
) -> Learnt:
    """Let networks learn; test them at points of learning.

    Parameters
    ----------
    journal
        Shows progress and keeps checkpoints.
    members
        The networks.
    steps
        Steps of learning.
    points
        Number of points, equally spaced from 0 to `steps`, both included.
    test_steps
        Length of the test passage; it is the same at every point.
    device
        Where to compute.
    may_diverge
        Whether a divergence is a result; otherwise it is an error.
    measure
        Measures more than the loss at every point.

    Raises
    ------
    DivergenceError
        If the loss of a network is not finite and `may_diverge` is not set.
    """
    when = np.unique(np.linspace(0, steps, points).round().astype(int))
    course = _Course(members, device, len(when), may_diverge=may_diverge)
    segment = SEGMENT_CHUNKS * min(chunk_steps(m.setting.units) for m in members)
    stretches = _stretches(when, segment)
    with workers(len(course.groups)) as in_parallel, torch.no_grad():
        for stretch in journal.steps("learning", len(stretches), course):
            count, point = stretches[stretch]
            course.go(count, in_parallel)
            if point is not None:
                course.test(point, test_steps, measure, in_parallel)
    diverged = np.array(course.in_order([g.diverged for g in course.groups]))
    return Learnt(
        course.groups, course.places, when, course.losses.numpy(), diverged, course.measured
    )


def _stretches(points: Int[np.ndarray, " points"], segment: int) -> list[tuple[int, int | None]]:
    """Cut learning into stretches of a segment at most.

    Give the steps of each, and the number of the point that it ends at, if it does.
    """
    stretches: list[tuple[int, int | None]] = []
    done = 0
    for number, end in enumerate(points.tolist()):
        while end - done > segment:
            stretches.append((segment, None))
            done += segment
        stretches.append((end - done, number))
        done = end
    return stretches
