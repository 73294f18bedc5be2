"""The analysis of trained networks: how what they do asleep compares with what they did awake."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_reactivation.analysis import (
    LAG,
    bearing_histogram,
    coverage,
    density_of,
    drift_field,
    explained_variance,
    hollowness,
    is_bearing,
    mean_step,
    output_variance,
    principal_components,
    steps_of,
)
from rnn_reactivation.configuration import (
    TASKS,
    Configuration,
    HeadDirectionTask,
    NavigationTask,
    load_configuration,
)
from rnn_reactivation.density import (
    Density,
    KernelDensity,
    UniformDensity,
    kl_divergences,
)
from rnn_reactivation.networks import Model
from rnn_reactivation.simulate import Recording, asleep, awake, record
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams

Task = NavigationTask | HeadDirectionTask
KINDS = ("kl", "variance", "distance", "dimensionality")
NOISES = ("scaled", "same", "absolute")
ACTIVE, QUIESCENT, NOISE_ADDED = "active", "quiescent", "noise_added"
RANDOM, UNIFORM = "random network", "uniform distribution"
SHOWN_TRAJECTORIES, SHOWN_STEPS, SHOWN_POINTS = 12, 300, 3000
GRID = 40
"""Points along each side of the box at which densities are shown."""
ANGLES = 181
"""Bearings at which densities are shown."""
TURN_BINS = 81


@dataclass(frozen=True)
class Settings:
    """What is analysed, and how; keys of the command line.

    Attributes
    ----------
    task
        `spatial_navigation` or `head_direction`.
    configurations
        Names of trained configurations; none: the task's four with vanilla networks.
    noise
        Variance of the recurrent noise in quiescence: twice that of training (`scaled`), the `same`
        as in training, or twice the task's standard, whatever the network (`absolute`). A network
        that was trained without noise is also left alone with the last.
    trajectories, steps
        Of the simulations that are decoded. Awake, the steps are divided into trials of the length
        that the network was trained with. Distances are those of the first steps asleep, as many
        as a trial has, and of the last (`distance_late`).
    samples
        Of the Monte Carlo estimates of divergences.
    variance_trajectories, variance_steps, variance_dropped
        Of the simulations for the variance, and the steps at their start that do not count.
    components
        Principal components.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    task: str = "spatial_navigation"
    configurations: tuple[str, ...] = ()
    noise: str = "scaled"
    trajectories: int = 200
    steps: int = 1000
    samples: int = 2500
    variance_trajectories: int = 500
    variance_steps: int = 2000
    variance_dropped: int = 1000
    components: int = 10

    def __post_init__(self) -> None:
        for key, allowed in (("task", tuple(TASKS)), ("noise", NOISES)):
            value = getattr(self, key)
            if value not in allowed:
                raise InvalidInputError(f"{key}={value}: must be one of {', '.join(allowed)}")
        for key, least in (
            ("trajectories", 1),
            ("steps", 2),
            ("samples", 1),
            ("variance_trajectories", 1),
            ("variance_steps", 1),
            ("variance_dropped", 0),
            ("components", 1),
        ):
            value = getattr(self, key)
            if value < least:
                raise InvalidInputError(f"{key}={value}: must be at least {least}")
        if self.variance_dropped >= self.variance_steps:
            raise InvalidInputError(
                f"variance_dropped={self.variance_dropped}: must be below "
                f"variance_steps={self.variance_steps}"
            )
        for name in self.configurations:
            if not name or "/" in name or "\\" in name:
                raise InvalidInputError(
                    f"configurations=[{', '.join(self.configurations)}]: {name!r} must be the name "
                    "of a folder of results, without the task and the seed"
                )
        if len(set(self.configurations)) < len(self.configurations):
            raise InvalidInputError(
                f"configurations=[{', '.join(self.configurations)}]: one is given twice"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The configurations that are analysed."""
        return self.configurations or (
            "noisy_unbiased",
            "noisy_biased",
            "no-noise_unbiased",
            "no-noise_biased",
        )

    @cached_property
    def standard_variance(self) -> float:
        """Variance of the recurrent noise that the task is usually trained with."""
        return load_configuration(f"{self.task}/noisy_unbiased").rnn.sigma2_rec

    def variances(self, configuration: Configuration) -> dict[str, float]:
        """Give the variance of the noise in each quiescent condition of a network."""
        trained, absolute = configuration.rnn.sigma2_rec, 2 * self.standard_variance
        asleep = {"scaled": 2 * trained, "same": trained, "absolute": absolute}[self.noise]
        found = {QUIESCENT: asleep}
        if trained == 0 and asleep == 0:
            found[NOISE_ADDED] = absolute
        return found


class Analysis(NamedTuple):
    """What came out: numbers by network, condition and seed, and arrays for the figures."""

    metrics: dict[str, Any]
    arrays: dict[str, np.ndarray]


def analyse(
    models: Mapping[int, Sequence[Model]],
    settings: Settings,
    kinds: Sequence[str] = KINDS,
    *,
    device: torch.device | str = "cpu",
    journal: Journal | None = None,
) -> Analysis:
    """Compare networks awake and asleep.

    Parameters
    ----------
    models
        For each seed, a network of every configuration of `settings.names`, in this order.
    settings
        How.
    kinds
        Which of `KINDS`.
    device
        Where it is computed.
    journal
        Shows progress, and keeps what is done.
    """
    journal = journal or Journal()
    collected: dict[str, Any] = {kind: {} for kind in kinds}
    arrays: dict[str, np.ndarray] = {}
    each = len(settings.names) * (bool(set(kinds) - {"variance"}) + ("variance" in kinds))
    total = len(models) * (each + ("kl" in kinds))
    with journal.reporter.progress("analysing", total) as advance:
        for seed, networks in models.items():
            one = _Seed(seed, networks, settings, device, journal, advance)
            for kind, found in one.measure(kinds).items():
                _append(collected.setdefault(kind, {}), found)
            if not arrays and set(kinds) - {"variance"}:
                arrays = one.pictures()
    metrics = {
        "task": settings.task,
        "names": list(settings.names),
        "seeds": list(models),
        "noise": {
            name: settings.variances(model.configuration)
            for name, model in zip(settings.names, next(iter(models.values())), strict=True)
        },
        **collected,
    }
    return Analysis(metrics, arrays)


def _append(collected: dict[str, Any], found: Mapping[str, Any]) -> None:
    """Add the numbers of a seed to the lists of those before."""
    for key, value in found.items():
        if isinstance(value, Mapping):
            _append(collected.setdefault(key, {}), value)
        else:
            collected.setdefault(key, []).append(value)


class _Seed:
    """The networks of one seed."""

    def __init__(
        self,
        seed: int,
        networks: Sequence[Model],
        settings: Settings,
        device: torch.device | str,
        journal: Journal,
        advance: Callable[[int], None],
    ):
        self.seed, self.settings, self.device = seed, settings, device
        self.journal, self.advance = journal, advance
        self.models = dict(zip(settings.names, networks, strict=True))
        self.streams = Streams(seed).child("analysis")
        self._recordings: dict[str, dict[str, Recording]] = {}
        self._densities: dict[tuple[str, str], Density] = {}

    def measure(self, kinds: Sequence[str]) -> dict[str, Any]:
        """Give the numbers of every kind."""
        found: dict[str, Any] = {}
        if set(kinds) - {"variance"}:
            for name in self.models:
                self._recordings[name] = self._record(name)
                self.advance(1)
        if "variance" in kinds:
            found["variance"] = {}
            for name in self.models:
                found["variance"][name] = self._variance(name)
                self.advance(1)
        if "distance" in kinds:
            found["distance"] = self._each(lambda decoded, task: mean_step(decoded[: task.length]))
            found["distance_late"] = self._each(
                lambda decoded, task: mean_step(decoded[-task.length :])
            )
            if self.settings.task == "head_direction":
                found["coverage"] = self._each(lambda decoded, _: coverage(decoded))
                found["angular_velocity"] = self._each(
                    lambda decoded, task: float(steps_of(decoded).double().mean()) / task.dt
                )
        if "dimensionality" in kinds:
            found["dimensionality"] = {
                name: {
                    condition: explained_variance(
                        recording.covariance, self.settings.components
                    ).tolist()
                    for condition, recording in recordings.items()
                }
                for name, recordings in self._recordings.items()
            }
            if self.settings.task == "head_direction":
                found["hollowness"] = {
                    name: {
                        condition: hollowness(self._project(name, recording))
                        for condition, recording in recordings.items()
                    }
                    for name, recordings in self._recordings.items()
                }
        if "kl" in kinds:
            found["kl"] = self._divergences()
            self.advance(1)
        return found

    def _each(self, measure: Callable[[Tensor, Task], float]) -> dict[str, dict[str, float]]:
        """Measure all conditions of all networks by their decoded outputs and their task."""
        return {
            name: {
                condition: measure(r.decoded, self.models[name].configuration.task)
                for condition, r in recordings.items()
            }
            for name, recordings in self._recordings.items()
        }

    @property
    def _first(self) -> Model:
        return next(iter(self.models.values()))

    def _asleep(self, name: str, model: Model, variance: float) -> Recording:
        count, steps = self.settings.trajectories, self.settings.steps
        streams = self.streams.child("asleep", name)
        return record(asleep(model, count, steps, variance, streams, self.device))

    def _record(self, name: str) -> dict[str, Recording]:
        """Record a network in all conditions."""
        model, settings = self.models[name], self.settings
        variances = settings.variances(model.configuration)

        def compute(journal: Journal) -> dict[str, Tensor]:
            streams = self.streams.child("awake", name)
            trials = max(1, settings.steps // model.configuration.task.length)
            simulated = awake(model, settings.trajectories, trials, streams, self.device)
            found = {ACTIVE: record(simulated, trials=True)}
            for condition, variance in variances.items():
                found[condition] = self._asleep(f"{name} {condition}", model, variance)
            return {
                f"{condition}.{field}": values
                for condition, recording in found.items()
                for field, values in recording._asdict().items()
            }

        kept = self.journal.once(f"{self.seed}-record-{name}", compute)
        return {
            condition: Recording(*(kept[f"{condition}.{field}"] for field in Recording._fields))
            for condition in (ACTIVE, *variances)
        }

    def _variance(self, name: str) -> dict[str, float]:
        """Give the variance of the output over time in every quiescent condition of a network."""
        model, settings = self.models[name], self.settings
        variances = settings.variances(model.configuration)

        def compute(journal: Journal) -> dict[str, Tensor]:
            found = {}
            for condition, variance in variances.items():
                streams = self.streams.child("variance", name, condition)
                chunks = asleep(
                    model,
                    settings.variance_trajectories,
                    settings.variance_steps,
                    variance,
                    streams,
                    self.device,
                )
                decoded = torch.cat([chunk.decoded.cpu() for chunk in chunks])
                value = output_variance(decoded[settings.variance_dropped :])
                found[condition] = torch.tensor(value, dtype=torch.float64)
            return found

        kept = self.journal.once(f"{self.seed}-variance-{name}", compute)
        return {condition: float(kept[condition]) for condition in variances}

    def _divergences(self) -> dict[str, dict[str, float]]:
        """Give the divergence of every row (asleep, random, uniform) from every network awake."""

        def compute(journal: Journal) -> dict[str, Tensor]:
            columns = [self._density(name, ACTIVE) for name in self.models]
            densities = {row: self._density(*which) for row, which in asleep.items()}
            found = {}
            for row, density in (densities | self._yardsticks()).items():
                generator = self.streams.torch("samples", row)
                values = kl_divergences(density, columns, self.settings.samples, generator)
                found[row] = values.cpu()
            return found

        asleep = {
            row_name(name, condition): (name, condition)
            for name, recordings in self._recordings.items()
            for condition in recordings
            if condition != ACTIVE
        }
        kept = self.journal.once(f"{self.seed}-divergences", compute)
        # In this order, which a file does not keep.
        return {
            row: dict(zip(self.models, kept[row].tolist(), strict=True))
            for row in (*asleep, RANDOM, UNIFORM)
        }

    def _density(self, name: str, condition: str) -> Density:
        """Estimate the density of what a network's outputs decode to, once."""
        which = name, condition
        if which not in self._densities:
            self._densities[which] = density_of(self._recordings[name][condition].decoded)
        return self._densities[which]

    def _yardsticks(self) -> dict[str, Density]:
        """Give what reactivation is compared with."""
        noisy = [m for m in self.models.values() if m.configuration.rnn.sigma2_rec > 0]
        chosen = noisy[0] if noisy else self._first
        untrained = Model.untrained(chosen.configuration, self.seed)
        variance = list(self.settings.variances(chosen.configuration).values())[-1]
        random = density_of(self._asleep(RANDOM, untrained, variance).decoded)
        half = torch.tensor(_extent(self._first.configuration), dtype=torch.float64) / 2
        return {RANDOM: random, UNIFORM: UniformDensity(-half, half)}

    def _project(self, name: str, recording: Recording) -> Tensor:
        """Give the kept activity on the first two components of the network awake."""
        awake = self._recordings[name][ACTIVE]
        components = principal_components(awake.covariance)
        return (recording.activity.flatten(0, 1).double() - awake.mean) @ components

    def pictures(self) -> dict[str, np.ndarray]:
        """Give what the figures show of single networks."""
        found: dict[str, Tensor] = {}
        extent = _extent(self._first.configuration)
        navigation = isinstance(self._first.configuration.task, NavigationTask)
        axes = [
            torch.linspace(-side / 2, side / 2, GRID if navigation else ANGLES) for side in extent
        ]
        places = torch.cartesian_prod(*axes).view(-1, len(axes)).double()
        for name, recordings in self._recordings.items():
            for condition, recording in recordings.items():
                key = f"{name}/{condition}"
                decoded = recording.decoded
                points = self._project(name, recording)
                found[f"{key}/activity_density"], found[f"{key}/activity_limits"] = _on_grid(points)
                values = recording.meanwhile.flatten(0, 1)
                every = max(1, len(points) // SHOWN_POINTS)
                density = self._density(name, condition)
                found[f"{key}/trajectories"] = decoded[:SHOWN_STEPS, :SHOWN_TRAJECTORIES]
                found[f"{key}/projection"] = points[::every]
                found[f"{key}/projected"] = values[::every]
                found[f"{key}/density"] = (
                    density.log_density(places).exp().view(*(len(axis) for axis in axes))
                )
                if is_bearing(decoded):
                    found[f"{key}/bearings"] = bearing_histogram(decoded)
                    found[f"{key}/turns"] = _turns(steps_of(decoded))
                elif condition != ACTIVE and len(decoded) > LAG:
                    experience = self._density(name, ACTIVE)
                    field = drift_field(decoded, experience, (extent[0], extent[1]))
                    found[f"{key}/field"] = torch.stack(
                        [field.places, field.drift, field.predicted]
                    )
        return {name: values.numpy().astype(np.float32) for name, values in found.items()}


def row_name(name: str, condition: str) -> str:
    """Name a quiescent condition of a network, as in the table of divergences."""
    return f"{name} (noise added)" if condition == NOISE_ADDED else name


def _extent(configuration: Configuration) -> tuple[float, ...]:
    """Give the width and height of the box (m), or the length of the circle (rad)."""
    task = configuration.task
    if isinstance(task, NavigationTask):
        return task.box_width, task.box_height
    return (2 * np.pi,)


def _on_grid(points: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the density of points in the plane on a square grid around them; give its limits."""
    low, high = points.amin(0), points.amax(0)
    # A little more than the points, and something even around a single one.
    half = max(0.55 * float((high - low).max()), 1e-3)
    middle = (low + high) / 2
    limits = torch.stack([middle - half, middle + half])
    axis = torch.linspace(-half, half, GRID, dtype=torch.float64)
    places = middle + torch.cartesian_prod(axis, axis)
    return KernelDensity(points).log_density(places).exp().view(GRID, GRID), limits


def _turns(steps: Tensor) -> Tensor:
    """Give the share of turns in equal bins from -pi/2 to pi/2; larger ones count in the last."""
    share = (steps / (np.pi / 2) + 1) / 2
    index = (share * TURN_BINS).long().clamp(0, TURN_BINS - 1)
    return torch.bincount(index.flatten(), minlength=TURN_BINS).double() / index.numel()
