"""Training through the curriculum: the interval R grows by one whenever it is mastered."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hybrid_plasticity.configuration import Configuration, Learning, Limits
from hybrid_plasticity.model import Parameters, initialise, run_networks
from hybrid_plasticity.streams import Streams, make_streams, scenes_of_training
from hybrid_plasticity.threads import in_threads, threads
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams as Seeds
from sharpwave_shared.seeding import check_seed

LOG_EVERY = 10
"""Iterations that a row of the log sums up."""
ADAM = {"betas": (0.9, 0.999), "eps": 1e-8}
OUTCOMES = {
    "loss": {"long_name": "loss", "units": "nats"},
    "accuracy": {"long_name": "accuracy"},
    "false_positive_rate": {"long_name": "false positive rate"},
    "false_negative_rate": {"long_name": "false negative rate"},
}
"""What every iteration gives, as results describe it."""


@dataclass(eq=False)
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
    def new(cls, configuration: Configuration, seed: SupportsIndex) -> "Network":
        """Give a network before training."""
        flat = flatten(initialise(configuration, seed))[0]
        return cls(configuration, check_seed(seed), torch.stack([flat, 0 * flat, 0 * flat]))

    def __str__(self) -> str:
        return f"{self.configuration.folder}, seed {self.seed}"

    @property
    def columns(self) -> list[str]:
        """Names of the log's columns.

        R, the iterations at R, the means of `OUTCOMES` over the iterations since the last row, then
        of every parameter norm and variance, or its value if it is a single number.
        """
        columns = ["R", "iteration", *OUTCOMES]
        for name, shape in self.configuration.shapes.items():
            columns += [name] if shape == () else [f"{name}/norm", f"{name}/variance"]
        return columns

    def ended(self, limits: Limits) -> str | None:
        """Say what ends the training, or None if nothing does yet."""
        if self.interval > limits.max_r:
            return f"mastered R = {limits.max_r}, the last one asked for"
        if self.at_interval >= limits.max_iterations:
            return f"iterations at R = {self.interval}: {limits.max_iterations:,}"
        if limits.budget is not None and self.iteration >= limits.budget:
            return f"iterations in all: {limits.budget:,}"
        return None

    def count(self, outcomes: list[float], learning: Learning) -> bool:
        """Count an iteration with its `OUTCOMES`; tell whether the interval is mastered now."""
        self.iteration += 1
        self.at_interval += 1
        self.streak = self.streak + 1 if outcomes[1] >= learning.acc_threshold else 0
        self.sums = [s + value for s, value in zip(self.sums, [*outcomes, 1.0], strict=True)]
        mastered = self.streak >= learning.acc_num
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

    def state_dict(self) -> dict[str, Any]:
        """Give all that changes, for a checkpoint."""
        return {
            "state": self.state,
            "iteration": self.iteration,
            "interval": self.interval,
            "at_interval": self.at_interval,
            "streak": self.streak,
            "mastered": self.mastered,
            "models": self.models,
            "rows": torch.tensor(self.rows, dtype=torch.float64).view(-1, len(self.columns)),
            "sums": self.sums,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)
        self.rows = state["rows"].tolist()


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
    learning: Learning,
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
        Networks with equal `wiring`, at any stage of training; they are changed.
    learning, limits
        How, and how long.
    device
        Where they are computed.
    journal
        Shows progress, and says when it is time to save.
    mastered
        Called when a network has mastered an interval (the last of its `mastered`).
    save
        Called when the journal says so, and at the end, with the networks up to date.

    Raises
    ------
    DivergenceError
        If a loss is not a finite number.
    """
    journal, device = journal or Journal(), torch.device(device)
    if len({network.configuration.wiring for network in networks}) > 1:
        raise ValueError("networks of different shapes cannot be trained as one batch")
    end = float("inf") if limits.time_limit is None else time.monotonic() + 60 * limits.time_limit
    most = limits.most_iterations
    done = sum(min(network.iteration, most) for network in networks)
    with (
        threads(),
        journal.reporter.progress("training", most * len(networks), done) as advance,
    ):
        while active := [network for network in networks if network.ended(limits) is None]:
            # An accelerator takes all networks as one batch. On the CPU each is computed by
            # itself: threads share them out, and its numbers do not depend on the others.
            together = [active] if device.type != "cpu" else [[network] for network in active]
            batches = [_Batch(some, learning, device) for some in together]
            ended = False
            while not ended and time.monotonic() < end:
                outcomes = [values for some in in_threads(_Batch.learn, batches) for values in some]
                for network, values in zip(active, outcomes, strict=True):
                    if network.count(values, learning):
                        mastered(network)
                advance(len(active))
                ended = any(network.ended(limits) for network in active)
                if journal.due():
                    save()
            for batch in batches:
                batch.leave()
            if not ended:
                reporter = journal.reporter
                reporter.say(f"the time limit ends training; {reporter.spelled('resume')} goes on")
                break
    save()


class _Batch:
    """Networks that learn as one batch: their states are one tensor while it lasts."""

    def __init__(self, networks: Sequence[Network], learning: Learning, device: torch.device):
        self.networks, self.learning, self.device = networks, learning, device
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
        task, count = self.first.task, self.learning.batch_size
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
        rate = (self.learning.lr_rate / (1 - beta_1**steps)).to(flat)
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


# --- results --------------------------------------------------------------------------------------


def learned(networks: Sequence[Network], limits: Limits) -> xr.Dataset:
    """Put what networks of one configuration learned into a dataset.

    Returns
    -------
    xarray.Dataset
        For each network (`seed`): `mastered`, the iterations that each `interval` R took (NaN: not
        mastered); `mastered_intervals` and `iterations`, how far it came; `ended`, why. Of each
        `row` of its log (NaN after the last): `R` and `iteration`, where it stands; the means of
        the `OUTCOMES`; and of each `parameter` the `norm` and `variance`, or its `value` if it is
        a single number.
    """
    shapes = networks[0].configuration.shapes
    most = max(len(network.mastered) for network in networks)
    rows = max(len(network.rows) for network in networks)
    mastered = np.full((len(networks), most), np.nan)
    log = np.full((len(networks), rows, len(networks[0].columns)), np.nan, np.float32)
    for n, network in enumerate(networks):
        mastered[n, : len(network.mastered)] = network.mastered
        if network.rows:
            log[n, : len(network.rows)] = network.rows
    columns = dict(zip(networks[0].columns, np.moveaxis(log, 2, 0), strict=True))
    unknown = np.full_like(log[:, :, 0], np.nan)

    def of_parameters(what: str) -> np.ndarray:
        names = [f"{name}{what}" for name in shapes]
        return np.stack([columns.get(name, unknown) for name in names], 2)

    def about(long_name: str, units: str) -> dict[str, str]:
        return {"long_name": long_name, "units": units}

    each, logged = ("seed", "interval"), ("seed", "row")
    far = [len(network.mastered) for network in networks]
    iterations = [network.iteration for network in networks]
    count = networks[0].configuration.parameter_count
    ended = [network.ended(limits) or "the time limit" for network in networks]
    return xr.Dataset(
        {
            "mastered": (each, mastered, about("iterations to master R", "iterations")),
            "mastered_intervals": ("seed", far, about("largest R mastered", "scenes")),
            "iterations": ("seed", iterations, about("iterations in all", "iterations")),
            "parameter_count": ((), count, {"long_name": "learned parameters"}),
            "ended": ("seed", ended, {"long_name": "why training ended"}),
            "R": (logged, columns["R"], about("interval R", "scenes")),
            "iteration": (logged, columns["iteration"], about("iterations at R", "iterations")),
        }
        | {name: (logged, columns[name], words) for name, words in OUTCOMES.items()}
        | {
            name: (
                (*logged, "parameter"),
                of_parameters(what),
                {"long_name": f"{name} of parameters"},
            )
            for name, what in (("norm", "/norm"), ("variance", "/variance"), ("value", ""))
        },
        {
            "seed": [network.seed for network in networks],
            "interval": ("interval", np.arange(1, most + 1), {"units": "scenes"}),
            "parameter": list(shapes),
        },
    )
