"""Training through the curriculum: the interval R grows by one whenever it is mastered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hybrid_plasticity.model import Configuration, Parameters, initialise, run_networks
from hybrid_plasticity.scan import in_threads, threads
from hybrid_plasticity.streams import Streams, make_streams, scenes_of_training
from sharpwave_shared.errors import DivergenceError, InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams as Seeds

LOG_EVERY = 10
"""Iterations that a row of the log sums up."""
ADAM = {"betas": (0.9, 0.999), "eps": 1e-8}
OUTCOMES = ("loss", "accuracy", "false_positive_rate", "false_negative_rate")


@dataclass(frozen=True)
class Training:
    """How networks learn.

    Attributes
    ----------
    lr_rate
        Learning rate of Adam.
    acc_threshold
        Accuracy of an iteration that counts towards mastery.
    acc_num
        Iterations in a row that must reach it.
    batch_size
        Streams of an iteration.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    lr_rate: float | int = 1e-3
    acc_threshold: float | int = 0.99
    acc_num: int = 10
    batch_size: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.lr_rate < float("inf"):
            raise InvalidInputError(f"--lr-rate {self.lr_rate}: must be above 0")
        if not 0 < self.acc_threshold <= 1:
            raise InvalidInputError(
                f"--acc-threshold {self.acc_threshold}: must lie above 0 and not above 1"
            )
        for option, value in (("--acc-num", self.acc_num), ("--batch-size", self.batch_size)):
            if value < 1:
                raise InvalidInputError(f"{option} {value}: must be at least 1")


@dataclass(frozen=True)
class Limits:
    """When training ends; a run may be resumed with other limits.

    Attributes
    ----------
    max_r
        The last interval of the curriculum.
    max_iterations
        Iterations at one interval after which a network is given up.
    budget
        Iterations in all after which a network is given up; None: no limit.
    time_limit
        Minutes of this process; None: no limit.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    max_r: int = 10
    max_iterations: int = 20_000
    budget: int | None = None
    time_limit: float | int | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("--budget", self.budget),
            ("--max-r", self.max_r),
            ("--max-iterations", self.max_iterations),
        ):
            if value is not None and value < 1:
                raise InvalidInputError(f"{option} {value}: must be at least 1")
        if self.time_limit is not None and not self.time_limit > 0:
            raise InvalidInputError(f"--time-limit {self.time_limit}: must be above 0 minutes")

    def stops(self, network: "Network") -> str | None:
        """Say what ends a network's training, or None if nothing does yet."""
        if network.interval > self.max_r:
            return f"mastered R = {self.max_r}, the last one asked for"
        if network.at_interval >= self.max_iterations:
            return f"iterations at R = {network.interval}: {self.max_iterations:,}"
        if self.budget is not None and network.iteration >= self.budget:
            return f"iterations in all: {self.budget:,}"
        return None

    @property
    def most_iterations(self) -> int:
        """The most that a network can use."""
        most = self.max_r * self.max_iterations
        return most if self.budget is None else min(most, self.budget)


@dataclass
class Network:
    """A network in training: everything that it needs to go on, whatever runs beside it.

    Attributes
    ----------
    configuration, seed
        What it is.
    state
        Its parameters, flattened one after another, and Adam's two running means of their
        gradients.
    iteration
        Iterations done.
    interval
        R that it is learning.
    at_interval
        Iterations done at this R.
    streak
        Iterations in a row that reached the accuracy threshold.
    mastered
        Iterations that each R took, from R = 1.
    models
        The parameters when each R was mastered.
    rows
        The log: see `columns`.
    sums
        Of `OUTCOMES` since the last row, and their number.
    """

    configuration: Configuration
    seed: int
    state: Float[Tensor, "3 parameters"]
    iteration: int = 0
    interval: int = 1
    at_interval: int = 0
    streak: int = 0
    mastered: list[int] = field(default_factory=list)
    models: list[Tensor] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * (len(OUTCOMES) + 1))

    @classmethod
    def new(cls, configuration: Configuration, seed: int) -> "Network":
        """Give a network before training."""
        flat = flatten(initialise(configuration, seed))[0]
        return cls(configuration, seed, torch.stack([flat, 0 * flat, 0 * flat]))

    def __str__(self) -> str:
        return f"{self.configuration.name}, seed {self.seed}"

    @property
    def columns(self) -> list[str]:
        """Names of the log's columns."""
        return log_columns(self.configuration)

    def count(self, outcomes: list[float], training: Training) -> bool:
        """Count an iteration with its `OUTCOMES`; tell whether the interval is mastered now."""
        self.iteration += 1
        self.at_interval += 1
        self.streak = self.streak + 1 if outcomes[1] >= training.acc_threshold else 0
        self.sums = [s + value for s, value in zip(self.sums, [*outcomes, 1.0], strict=True)]
        mastered = self.streak >= training.acc_num
        *sums, count = self.sums
        if count == LOG_EVERY or mastered:
            means = [value / count for value in sums]
            when = [float(self.interval), float(self.at_interval)]
            self.rows.append([*when, *means, *_statistics(self)])
            self.sums = [0.0] * len(self.sums)
        if mastered:
            self.mastered.append(self.at_interval)
            self.models.append(self.state[0].clone().cpu())
            self.interval += 1
            self.at_interval = self.streak = 0
        return mastered

    def tensors(self) -> dict[str, Tensor]:
        """Give all that changes, for a checkpoint."""
        counters = [self.iteration, self.interval, self.at_interval, self.streak]
        return {
            "state": self.state,
            "counters": torch.tensor(counters),
            "mastered": torch.tensor(self.mastered, dtype=torch.int64),
            "models": torch.stack(self.models) if self.models else torch.empty(0),
            "rows": torch.tensor(self.rows, dtype=torch.float64).view(-1, len(self.columns)),
            "sums": torch.tensor(self.sums, dtype=torch.float64),
        }

    @classmethod
    def restore(
        cls, configuration: Configuration, seed: int, tensors: dict[str, Tensor]
    ) -> "Network":
        """Take up what `tensors` gave."""
        iteration, interval, at_interval, streak = tensors["counters"].tolist()
        return cls(
            configuration,
            seed,
            tensors["state"],
            iteration,
            interval,
            at_interval,
            streak,
            tensors["mastered"].tolist(),
            list(tensors["models"]),
            tensors["rows"].tolist(),
            tensors["sums"].tolist(),
        )


def log_columns(configuration: Configuration) -> list[str]:
    """Name the columns of a network's log.

    R, the iterations at R, the means of loss and accuracy and of the false positive and negative
    rates over the iterations since the last row, then of every parameter norm and variance, or its
    value if it is a single number.
    """
    columns = ["R", "iteration", *OUTCOMES]
    for name, shape in configuration.shapes.items():
        columns += [name] if shape == () else [f"{name}/norm", f"{name}/variance"]
    return columns


def flatten(parameters: Parameters) -> Float[Tensor, "networks parameters"]:
    """Put all parameters of a network into one row."""
    return torch.cat([values.reshape(len(values), -1) for values in parameters.values()], 1)


def unflatten(
    configuration: Configuration, flat: Float[Tensor, "networks parameters"]
) -> Parameters:
    """Give views of the parameters that `flatten` put together."""
    parameters, start = {}, 0
    for name, shape in configuration.shapes.items():
        size = torch.Size(shape).numel()
        parameters[name] = flat[:, start : start + size].view(-1, *shape)
        start += size
    return parameters


def train(
    networks: Sequence[Network],
    training: Training,
    limits: Limits,
    *,
    device: torch.device | str = "cpu",
    journal: Journal | None = None,
    mastered: Callable[[Network], None] = lambda network: None,
    save: Callable[[], None] = lambda: None,
) -> None:
    """Train networks side by side until the limits end each of them.

    Parameters
    ----------
    networks
        Networks with equal `batch_key`, at any stage of training; they are changed.
    training, limits
        How, and how long.
    device
        Where they are computed.
    journal
        Shows progress, and says when a checkpoint is due.
    mastered
        Called when a network has mastered an interval (the last of its `mastered`).
    save
        Called when a checkpoint is due, and at the end, with the networks up to date.

    Raises
    ------
    DivergenceError
        If a loss is not a finite number.
    """
    journal, device = journal or Journal(), torch.device(device)
    if len({network.configuration.batch_key for network in networks}) > 1:
        raise ValueError("networks of different shapes cannot be trained as one batch")
    end = float("inf") if limits.time_limit is None else time.monotonic() + 60 * limits.time_limit
    most = limits.most_iterations
    done = sum(min(network.iteration, most) for network in networks)
    with (
        threads(),
        journal.reporter.progress("training", most * len(networks), done) as advance,
    ):
        while active := [network for network in networks if limits.stops(network) is None]:
            # An accelerator takes all networks as one batch. On the CPU each is computed by
            # itself: threads share them out, and its numbers do not depend on the others.
            together = [active] if device.type != "cpu" else [[network] for network in active]
            batches = [_Batch(some, training, device) for some in together]
            ended = False
            while not ended and time.monotonic() < end:
                outcomes = [values for some in in_threads(_Batch.learn, batches) for values in some]
                for network, values in zip(active, outcomes, strict=True):
                    if network.count(values, training):
                        mastered(network)
                advance(len(active))
                ended = any(limits.stops(network) for network in active)
                if journal.checkpoint_due():
                    save()
            for batch in batches:
                batch.leave()
            if not ended:
                journal.reporter.say("the time limit ends training; --resume goes on")
                break
    save()


class _Batch:
    """Networks that learn as one batch: their states are one tensor while it lasts."""

    def __init__(self, networks: Sequence[Network], training: Training, device: torch.device):
        self.networks, self.training, self.device = networks, training, device
        self.first = networks[0].configuration
        self.state = torch.stack([network.state for network in networks], 1).to(device)
        for n, network in enumerate(networks):
            network.state = self.state[:, n]

    def leave(self) -> None:
        """Give every network a state of its own again."""
        for network in self.networks:
            network.state = network.state.clone().cpu()

    def learn(self) -> list[list[float]]:
        """Take a step of learning from new streams; give the `OUTCOMES` of each network."""
        configurations = [network.configuration for network in self.networks]
        views = unflatten(self.first, self.state[0])
        parameters = {name: view.detach().requires_grad_() for name, view in views.items()}
        frames, repeated, scenes = self._draw()
        lengths = scenes * self.first.task.scene_time
        logits = run_networks(configurations, parameters, frames, lengths).logits
        targets = repeated[..., None].expand(logits.shape)
        counted = torch.arange(logits.shape[2]) < scenes[:, None]
        counted = counted.to(self.device)[:, None, :, None].expand(logits.shape)
        losses = F.binary_cross_entropy_with_logits(
            logits, targets.to(logits.dtype), reduction="none"
        )
        loss = (losses * counted / counted.sum((1, 2, 3), keepdim=True)).sum((1, 2, 3))
        gradients = torch.autograd.grad(loss.sum(), list(parameters.values()))
        values = _outcomes(loss.detach(), logits.detach() > 0, targets, counted).tolist()
        for network, (value, *_) in zip(self.networks, values, strict=True):
            if not -float("inf") < value < float("inf"):
                raise DivergenceError(
                    f"{network}: the loss is {value} at R = {network.interval}, "
                    f"iteration {network.at_interval + 1}"
                )
        self._adam(torch.cat([g.reshape(len(g), -1) for g in gradients], 1))
        return values

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the streams of all networks, filled up to equal lengths; give their scenes too."""
        task, count = self.first.task, self.training.batch_size
        scenes = [scenes_of_training(network.interval) for network in self.networks]
        size = len(self.networks), count
        frames = torch.zeros((*size, max(scenes) * task.scene_time, task.vec_len))
        repeated = torch.zeros((*size, max(scenes)), dtype=torch.bool)
        for n, (network, length) in enumerate(zip(self.networks, scenes, strict=True)):
            streams = training_streams(network, length, count)
            frames[n, :, : streams.frames.shape[1]] = streams.frames
            repeated[n, :, :length] = streams.repeated
        return frames.to(self.device), repeated.to(self.device), torch.tensor(scenes)

    @torch.no_grad()
    def _adam(self, gradient: Float[Tensor, "networks parameters"]) -> None:
        """Take a step of Adam; torch's own has one step count for all networks."""
        (beta_1, beta_2), eps = ADAM["betas"], ADAM["eps"]
        flat, mean, square = self.state
        mean.lerp_(gradient, 1 - beta_1)
        square.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
        steps = torch.tensor([[network.iteration + 1] for network in self.networks]).double()
        rate = (self.training.lr_rate / (1 - beta_1**steps)).to(flat)
        correction = (1 - beta_2**steps).sqrt().to(flat)
        flat.sub_(rate * mean / (square.sqrt() / correction + eps))


def training_streams(network: Network, scenes: int, count: int) -> Streams:
    """Draw the streams of a network's next iteration: they depend on its seed, R and iteration."""
    # On the CPU, so that every device gets the same numbers.
    generator = Seeds(network.seed).torch("training", network.interval, network.at_interval)
    return make_streams(network.configuration.task, network.interval, scenes, count, generator)


def _outcomes(
    loss: Tensor, answers: Tensor, targets: Tensor, counted: Tensor
) -> Float[Tensor, "networks outcomes"]:
    """Give `OUTCOMES` of an iteration; a rate of nothing is 0."""

    def count(which: Tensor) -> Tensor:
        return (which & counted).sum((1, 2, 3))

    right = count(answers == targets) / counted.sum((1, 2, 3))
    false_positive = count(answers & ~targets) / count(~targets).clamp(min=1)
    false_negative = count(~answers & targets) / count(targets).clamp(min=1)
    return torch.stack([loss.to(right), right, false_positive, false_negative], 1).double()


@torch.no_grad()
def _statistics(network: "Network") -> list[float]:
    """Give norm and variance of every parameter, or its value if it is a single number."""
    found: list[Tensor] = []
    for values in unflatten(network.configuration, network.state[:1]).values():
        found += [values[0]] if values.ndim == 1 else [values.norm(), values.var(correction=0)]
    return torch.stack(found).tolist()
