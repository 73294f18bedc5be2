"""Learning and testing: networks move through passages of data, in chunks that can be resumed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from impression_learning.circuits import Circuits, precision
from impression_learning.model import Setting
from impression_learning.stimuli import Stimulus
from sharpwave_shared.compiled import workers
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams

Phases = Literal["alternating", "awake", "asleep"]
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

    def tensors(self) -> dict[str, Tensor]:
        """Give all that changes, for a checkpoint."""
        worlds = {f"world.{i}": world for i, world in enumerate(self.worlds)}
        return {
            "step": torch.tensor(self.step),
            "state": self.state,
            "was_awake": torch.from_numpy(self.was_awake.copy()),
        } | worlds

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        self.step = int(tensors["step"])
        self.state.copy_(tensors["state"])
        self.was_awake = tensors["was_awake"].numpy().copy()
        self.worlds = [tensors[f"world.{i}"].to(w) for i, w in enumerate(self.worlds)]


@dataclass(frozen=True)
class Piece:
    """Some steps of a passage: data, latent causes, losses, and the activity if recorded."""

    stimulus: Float[Tensor, "steps networks n_in"]
    latents: Float[Tensor, "steps networks _"]
    losses: Float[Tensor, "steps networks"]
    states: Float[Tensor, "_ networks units"]


class Group:
    """Networks that are computed together: on the CPU one, elsewhere all of equal sizes."""

    def __init__(self, members: Sequence[Member], device: torch.device):
        self.members = list(members)
        self.streams = [Streams(m.seed) for m in members]
        self.circuits = Circuits.new([m.setting for m in members], self.streams, device)
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
        uses one; otherwise each has its own, so that runs in other phases see the same noise.
        """
        settings = [m.setting for m in self.members]
        length = chunk_steps(settings[0].units)
        end = passage.step + steps
        while passage.step < end:
            chunk, offset = divmod(passage.step, length)
            count = min(length - offset, end - passage.step)
            part = slice(offset, offset + count)
            drawn = [
                world.read(passage.name, chunk, length, state)
                for world, state in zip(self.worlds, passage.worlds, strict=True)
            ]
            stimulus = _side_by_side([x[part] for x, _, _ in drawn])
            noise_inf = self.noise(passage.name, "inference", chunk, length)[part]
            noise_gen = noise_inf
            if not learn:
                noise_gen = self.noise(passage.name, "generation", chunk, length)[part]
            if phases == "alternating":
                awake = np.stack([s.awake(passage.step, count) for s in settings], 1)
            else:
                awake = np.full((count, len(settings)), phases == "awake")
            losses, states = self.circuits.advance(
                passage.state,
                passage.was_awake,
                stimulus,
                noise_inf,
                noise_gen,
                awake,
                learn=learn,
                record=record,
            )
            passage.was_awake = awake[-1]
            passage.step += count
            if offset + count == length:
                passage.worlds = [after for _, _, after in drawn]
            latents = _side_by_side([z[part] for _, z, _ in drawn])
            yield Piece(stimulus, latents, losses, states)

    def learn(self, passage: Passage, steps: int) -> None:
        """Learn from some more steps, unless all networks have diverged."""
        if (self.diverged >= 0).all():
            return
        for piece in self.go(passage, steps, learn=True):
            finite = torch.isfinite(piece.losses).cpu().numpy()
            first = passage.step - len(finite) + np.argmin(finite, 0)
            fresh = ~finite.all(0) & (self.diverged < 0)
            self.diverged[fresh] = first[fresh]
            if (self.diverged >= 0).all():
                return

    def test(self, steps: int) -> Float[np.ndarray, " networks"]:
        """Give the mean loss over the test passage, alternating, without learning.

        It is NaN for networks that diverged.
        """
        total = np.zeros(len(self.members))
        for piece in self.go(self.start("test"), steps):
            total += piece.losses.sum(0).cpu().numpy()
        return np.where(self.diverged < 0, total / steps, np.nan)

    def noise(self, *purpose: str | int) -> Float[Tensor, "steps networks units"]:
        """Draw standard normal variates; the last word of the purpose is their number of steps."""
        *words, steps = purpose
        device, units = self.circuits.device, self.members[0].setting.units
        drawn = [
            torch.randn(int(steps), units, generator=s.torch(*words, device=device), device=device)
            for s in self.streams
        ]
        return _side_by_side(drawn)


def _side_by_side(values: list[Tensor]) -> Tensor:
    """Put one tensor of each network (steps x units) into one: steps x networks x units."""
    return values[0][:, None] if len(values) == 1 else torch.stack(values, 1)


def group(members: Sequence[Member], device: torch.device) -> list[Group]:
    """Put members into groups that are computed together, in the order of the members."""
    if device.type == "cpu":
        return [Group([member], device) for member in members]
    kinds: dict[tuple, list[Member]] = {}
    for member in members:
        kinds.setdefault((member.setting.sizes, member.setting.algorithm), []).append(member)
    return [Group(same, device) for same in kinds.values()]


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
    groups
        The networks.
    points
        Steps after which the test loss was measured.
    losses
        Mean loss over the test passage; NaN after a divergence.
    diverged
        Step of divergence, or -1.
    """

    groups: list[Group]
    points: Int[np.ndarray, " points"]
    losses: Float[np.ndarray, "members points"]
    diverged: Int[np.ndarray, " members"]
    places: list[tuple[Group, int]] = field(repr=False)
    """Group and place in the group, for each member."""


AtPoint = Callable[[int, list[Group]], None]


def learn(
    journal: Journal,
    members: Sequence[Member],
    *,
    steps: int,
    points: int,
    test_steps: int,
    device: torch.device,
    may_diverge: bool = False,
    at_point: AtPoint | None = None,
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
    at_point
        Called at each point with its number and the groups; anything else to be measured there.

    Raises
    ------
    DivergenceError
        If the loss of a network is not finite and `may_diverge` is not set.
    """
    groups = group(members, device)
    passages = [g.start("training") for g in groups]
    order = {id(m): (g, i) for g in groups for i, m in enumerate(g.members)}
    places = [order[id(m)] for m in members]
    when = np.unique(np.linspace(0, steps, points).round().astype(int))
    losses = torch.full((len(members), len(when)), torch.nan, dtype=torch.float64)
    done = _restore(journal, groups, passages, losses)
    segment = SEGMENT_CHUNKS * min(chunk_steps(m.setting.units) for m in members)
    total = len(members) * steps
    with (
        workers(len(groups)) as in_parallel,
        torch.no_grad(),
        journal.reporter.progress("learning", total, len(members) * passages[0].step) as advance,
    ):
        for number in range(done, len(when)):
            while (left := int(when[number]) - (start := passages[0].step)) > 0:
                count = min(segment, left)
                in_parallel(
                    lambda pair, n=count: pair[0].learn(pair[1], n),
                    list(zip(groups, passages, strict=True)),
                )
                for passage in passages:
                    passage.step = start + count  # networks that have diverged stand still
                if not may_diverge:
                    _refuse_divergence(groups)
                advance(count * len(members))
                if journal.checkpoint_due():
                    _save(journal, groups, passages, losses, number)
            measured = in_parallel(lambda g: g.test(test_steps), groups)
            for g, row in zip(groups, measured, strict=True):
                g.diverged[~np.isfinite(row) & (g.diverged < 0)] = when[number]
            if not may_diverge:
                _refuse_divergence(groups)
            of_group = dict(zip(map(id, groups), measured, strict=True))
            losses[:, number] = torch.tensor([of_group[id(g)][i] for g, i in places])
            if at_point is not None:
                at_point(number, groups)
            if journal.checkpoint_due():
                _save(journal, groups, passages, losses, number + 1)
    diverged = np.array([g.diverged[i] for g, i in places])
    return Learnt(groups, when, losses.numpy(), diverged, places)


def _refuse_divergence(groups: list[Group]) -> None:
    for g in groups:
        for member, step in zip(g.members, g.diverged, strict=True):
            if step >= 0:
                raise DivergenceError(
                    f"{member}: the loss is not finite after step {step:,} of learning; "
                    f"a learning rate below {member.setting.eta:g} may help"
                )


def _save(
    journal: Journal, groups: list[Group], passages: list[Passage], losses: Tensor, number: int
) -> None:
    tensors = {"losses": losses, "number": torch.tensor(number)}
    for i, (g, passage) in enumerate(zip(groups, passages, strict=True)):
        parts = g.circuits.tensors() | {f"passage.{k}": t for k, t in passage.tensors().items()}
        parts["diverged"] = torch.from_numpy(g.diverged.copy())
        tensors |= {f"{i}.{name}": tensor for name, tensor in parts.items()}
    journal.save_checkpoint(tensors)


def _restore(journal: Journal, groups: list[Group], passages: list[Passage], losses: Tensor) -> int:
    """Go back to the checkpoint, if there is one; give the number of the next point."""
    found = journal.load_checkpoint()
    if found is None:
        return 0
    tensors, _ = found
    losses.copy_(tensors["losses"])
    for i, (g, passage) in enumerate(zip(groups, passages, strict=True)):
        own = {
            name.removeprefix(f"{i}."): t for name, t in tensors.items() if name.startswith(f"{i}.")
        }
        g.circuits.load(own)
        passage.load({k.removeprefix("passage."): t for k, t in own.items()})
        g.diverged = own["diverged"].numpy().copy()
    return int(tensors["number"])
