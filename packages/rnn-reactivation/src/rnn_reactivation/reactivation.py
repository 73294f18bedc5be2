"""The analysis of trained networks: how what they do asleep compares with what they did awake."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import DTypeLike
from torch import Tensor

from rnn_reactivation.analysis import (
    LAG,
    bearing_histogram,
    coverage,
    density_of,
    drift_field,
    explained_variance,
    hollowness,
    mean_step,
    output_variance,
    principal_components,
    steps_of,
)
from rnn_reactivation.density import Density, KernelDensity, UniformDensity, kl_divergences
from rnn_reactivation.experiments.analyze import (
    ACTIVE,
    CONDITIONS,
    HEAD_DIRECTION,
    NOISE_ADDED,
    Analyze,
)
from rnn_reactivation.networks import Model
from rnn_reactivation.sections import NavigationTask, Task
from rnn_reactivation.simulate import Recording, asleep, awake, record
from sharpwave_shared.journal import Journal
from sharpwave_shared.results import unite_seeds
from sharpwave_shared.seeding import Streams

RANDOM, UNIFORM = "random network", "uniform distribution"
SHOWN_TRAJECTORIES, SHOWN_STEPS, SHOWN_POINTS = 12, 500, 3000
GRID = 40
"""Points along each side of the box at which densities are shown."""
ANGLES = 181
"""Bearings at which densities are shown."""
TURN_BINS = 81
COURSE = "step trajectory axis"
"""Dimensions of trajectories."""

Each = Mapping[tuple[str, str], Any]
"""Values by network and condition."""
Variable = tuple[tuple[str, ...], np.ndarray, dict[str, str]]


def analyse(
    models: Mapping[int, Sequence[Model]],
    settings: Analyze,
    *,
    device: torch.device | str = "cpu",
    journal: Journal | None = None,
) -> xr.Dataset:
    """Compare networks awake and asleep.

    Parameters
    ----------
    models
        For each seed, a network of every one of `settings.configurations`, in this order.
    settings
        What is measured, and how.
    device
        Where it is computed.
    journal
        Shows progress, and keeps what is done.

    Returns
    -------
    xarray.Dataset
        Measures by seed, configuration and condition (`active`, `quiescent`, `noise_added`; NaN
        where a network has no such condition), and what the networks do. Divergences
        are those of the densities asleep, or of the two yardsticks, from the density awake of
        `configuration`.
    """
    journal = journal or Journal()
    kinds = set(settings.kinds)
    parts = bool(kinds - {"variance"}) + len(kinds & {"variance", "dimensionality"})
    total = len(models) * (len(settings.configurations) * parts + ("kl" in kinds))
    found = []
    with journal.reporter.progress("analysing", total) as advance:
        for seed, networks in models.items():
            one = _Seed(seed, networks, settings, device, journal.part(f"seed {seed}"), advance)
            found.append(one.analyse().expand_dims(seed=[seed]))
    return unite_seeds(found)


class _Seed:
    """The networks of one seed; `data` is what is known of them."""

    def __init__(
        self,
        seed: int,
        networks: Sequence[Model],
        settings: Analyze,
        device: torch.device | str,
        journal: Journal,
        advance: Callable[[int], None],
    ):
        self.seed, self.settings, self.device = seed, settings, device
        self.journal, self.advance = journal, advance
        self.models = dict(zip(settings.configurations, networks, strict=True))
        self.tasks: dict[str, Task] = {n: m.configuration.task for n, m in self.models.items()}
        self.streams = Streams(seed).child("analysis")
        self.variances = {n: settings.variances(m.configuration) for n, m in self.models.items()}
        self._recordings: dict[tuple[str, str], Recording] = {}
        self._densities: dict[tuple[str, str], Density] = {}
        self.data = self._frame()
        self.bearings = settings.task == HEAD_DIRECTION
        self.what, self.unit = ("bearing", "rad") if self.bearings else ("position", "m")

    def _frame(self) -> xr.Dataset:
        """Name the networks and the conditions, and say what figures need to know of them."""
        names, tasks = list(self.models), self.tasks.values()
        held = {ACTIVE}.union(*self.variances.values())
        frame = xr.Dataset(
            coords={
                "configuration": names,
                "asleep": names,
                "condition": [condition for condition in CONDITIONS if condition in held],
                "dt": ("configuration", [task.dt for task in tasks], {"units": "s"}),
                "trial_steps": ("configuration", [task.length for task in tasks]),
                "extent": (("configuration", "axis"), [_extent(task) for task in tasks]),
            }
        )
        values = {(n, c): v for n, own in self.variances.items() for c, v in own.items()}
        noise = self._table(frame, values, "variance of the recurrent noise asleep")
        epochs = [model.epoch for model in self.models.values()]
        about = {"long_name": "epochs of training"}
        frame = frame.assign(trained_epochs=("configuration", epochs, about))
        return frame.assign_coords(noise_variance=noise)

    def _table(
        self,
        data: xr.Dataset,
        values: Each,
        long_name: str,
        units: str = "",
        dims: str = "",
        dtype: DTypeLike = float,
    ) -> Variable:
        """Put values by network and condition into one array; NaN where there is none."""
        arrays = {key: np.asarray(value, dtype) for key, value in values.items()}
        names, conditions = data["configuration"].values.tolist(), data["condition"].values.tolist()
        shapes = np.array([array.shape for array in arrays.values()], int)
        filled = np.full((len(names), len(conditions), *shapes.max(0)), np.nan, dtype)
        for (name, condition), array in arrays.items():
            place = names.index(name), conditions.index(condition)
            filled[(*place, *(slice(n) for n in array.shape))] = array
        attributes = {"long_name": long_name} | ({"units": units} if units else {})
        return ("configuration", "condition", *dims.split()), filled, attributes

    def _put(self, name: str, values: Each, *described: str) -> None:
        """Add a measure: its long name, and, where it has any, unit and dimensions."""
        self.data[name] = self._table(self.data, values, *described)

    def _draw(self, name: str, values: Each, *described: str) -> None:
        """Add what a figure shows, in single precision."""
        self.data[name] = self._table(self.data, values, *described, dtype=np.float32)

    def _each(self, measure: Callable[[Recording, Task], Any]) -> Each:
        """Measure all conditions of all networks."""
        return {key: measure(r, self.tasks[key[0]]) for key, r in self._recordings.items()}

    # --- measures ---

    def analyse(self) -> xr.Dataset:
        """Give the numbers of every kind, and what the figures show."""
        kinds = self.settings.kinds
        if set(kinds) - {"variance"}:
            for name in self.models:
                self._record(name)
                self.advance(1)
        if "variance" in kinds:
            self._variance()
        if "distance" in kinds:
            self._distance()
        if "dimensionality" in kinds:
            self._dimensionality()
        if "kl" in kinds:
            self._divergences()
            self.advance(1)
        if self._recordings:
            self._picture()
        return self.data

    def _variance(self) -> None:
        """Measure the variance of the output over time in every quiescent condition."""
        settings, found = self.settings, {}

        def compute(journal: Journal) -> dict[str, float]:
            values = {}
            for condition, variance in self.variances[name].items():
                chunks = asleep(
                    self.models[name],
                    settings.variance_trajectories,
                    settings.variance_steps,
                    variance,
                    self.streams.child("variance", name, condition),
                    self.device,
                )
                decoded = torch.cat([chunk.decoded.cpu() for chunk in chunks])
                values[condition] = output_variance(decoded[settings.variance_dropped :])
            return values

        for k, name in enumerate(self.models):
            kept = self.journal.once(f"variance {k}", compute)
            found |= {(name, condition): value for condition, value in kept.items()}
            self.advance(1)
        kind, units = ("circular variance", "") if self.bearings else ("variance", "m^2")
        self._put("variance", found, f"{kind} of the {self.what} over time", units)

    def _distance(self) -> None:
        """Measure steps: the first ones, as many as a trial has, the last ones, and each."""
        step = "turn" if self.bearings else "step"
        first = self._each(lambda r, task: mean_step(r.decoded[: task.length]))
        last = self._each(lambda r, task: mean_step(r.decoded[-task.length :]))
        self._put("distance", first, f"mean {step} at first", self.unit)
        self._put("distance_late", last, f"mean {step} in the end", self.unit)
        courses = self._each(lambda r, _: steps_of(r.decoded).double().norm(dim=-1).mean(1))
        self._put("distance_course", courses, f"mean {step} by time", self.unit, "elapsed")
        elapsed = range(1, self.data.sizes["elapsed"] + 1)
        self.data = self.data.assign_coords(elapsed=("elapsed", elapsed, {"units": "steps"}))
        if self.bearings:
            covered = self._each(lambda r, _: coverage(r.decoded))
            speed = self._each(lambda r, t: float(steps_of(r.decoded).double().mean()) / t.dt)
            self._put("coverage", covered, "share of the circle covered")
            self._put("angular_velocity", speed, "mean angular velocity", "rad/s")

    def _dimensionality(self) -> None:
        """Measure the explained variance, asleep in simulations of their own."""
        settings = self.settings
        covariances = {key: r.covariance for key, r in self._recordings.items() if key[1] == ACTIVE}

        def compute(journal: Journal) -> dict[str, Tensor]:
            count, steps = settings.dimension_trajectories, settings.dimension_steps
            found = {}
            for condition, variance in self.variances[name].items():
                streams = self.streams.child("dimensionality", name, condition)
                model = self.models[name]
                night = record(asleep(model, count, steps, variance, streams, self.device))
                found[condition] = night.covariance
            return found

        for k, name in enumerate(self.models):
            kept = self.journal.once(f"dimensionality {k}", compute)
            covariances |= {(name, condition): value for condition, value in kept.items()}
            self.advance(1)
        shares = {key: explained_variance(c, settings.components) for key, c in covariances.items()}
        said = "cumulative share of the variance of activity"
        self._put("explained_variance", shares, said, "", "component")
        if self.bearings:
            hollow = {key: hollowness(self._project(key)) for key in self._recordings}
            self._put("hollowness", hollow, "hollowness of the activity")

    def _divergences(self) -> None:
        """Measure how every density asleep, and those of yardsticks, differ from those awake."""
        asleep = [key for key in self._recordings if key[1] != ACTIVE]

        def compute(journal: Journal) -> dict[str, Tensor]:
            columns = [self._density((name, ACTIVE)) for name in self.models]
            densities = {row_name(*key): self._density(key) for key in asleep}
            found = {}
            for row, density in (densities | self._yardsticks()).items():
                generator = self.streams.torch("samples", row)
                values = kl_divergences(density, columns, self.settings.samples, generator)
                found[row] = values.cpu()
            return found

        kept = self.journal.once("divergences", compute)
        said = "divergence of the density asleep from that awake"
        rows = {key: kept[row_name(*key)] for key in asleep}
        _, table, attributes = self._table(self.data, rows, said, "nats", "awake")
        self.data["kl"] = ("asleep", "condition", "configuration"), table, attributes
        for name, row in (("kl_random", RANDOM), ("kl_uniform", UNIFORM)):
            attributes = {"long_name": f"divergence of the {row} from awake", "units": "nats"}
            self.data[name] = ("configuration",), kept[row].numpy(), attributes

    # --- simulations ---

    def _asleep(self, name: str, model: Model, variance: float) -> Recording:
        count, steps = self.settings.trajectories, self.settings.steps
        streams = self.streams.child("asleep", name)
        return record(asleep(model, count, steps, variance, streams, self.device))

    def _record(self, name: str) -> None:
        """Record a network in all conditions."""
        model, settings = self.models[name], self.settings

        def compute(journal: Journal) -> dict[str, dict[str, Tensor]]:
            streams = self.streams.child("awake", name)
            trials = settings.awake_trials
            simulated = awake(model, settings.trajectories, trials, streams, self.device)
            found = {ACTIVE: record(simulated, trials=True)}
            for condition, variance in self.variances[name].items():
                found[condition] = self._asleep(f"{name} {condition}", model, variance)
            return {condition: recording._asdict() for condition, recording in found.items()}

        kept = self.journal.once(f"record {list(self.models).index(name)}", compute)
        for condition, recording in kept.items():
            self._recordings[name, condition] = Recording(**recording)

    def _density(self, key: tuple[str, str]) -> Density:
        """Estimate the density of what a network's outputs decode to, once."""
        if key not in self._densities:
            self._densities[key] = density_of(self._recordings[key].decoded)
        return self._densities[key]

    def _yardsticks(self) -> dict[str, Density]:
        """Give what reactivation is compared with."""
        noisy = [name for name, m in self.models.items() if m.configuration.rnn.sigma2_rec > 0]
        chosen = noisy[0] if noisy else next(iter(self.models))
        untrained = Model.untrained(self.models[chosen].configuration, self.seed)
        variance = list(self.variances[chosen].values())[-1]
        random = density_of(self._asleep(RANDOM, untrained, variance).decoded)
        half = torch.tensor(self._sides, dtype=torch.float64) / 2
        return {RANDOM: random, UNIFORM: UniformDensity(-half, half)}

    @property
    def _sides(self) -> tuple[float, ...]:
        return _extent(next(iter(self.tasks.values())))

    # --- what single networks do ---

    def _project(self, key: tuple[str, str]) -> Float[Tensor, "points 2"]:
        """Give the kept activity on the first two components of the network awake."""
        day, recording = self._recordings[key[0], ACTIVE], self._recordings[key]
        components = principal_components(day.covariance)
        return (recording.activity.flatten(0, 1).double() - day.mean) @ components

    def _picture(self) -> None:
        """Add what the figures show of single networks."""
        count = self.settings.trajectories
        courses = self._each(lambda r, _: _in_time(r.decoded, count))
        self._draw("trajectories", courses, f"decoded {self.what}", self.unit, COURSE)
        points = {key: self._project(key) for key in self._recordings}
        shown = {key: values[:: _every(values)] for key, values in points.items()}
        self._draw("projection", shown, "activity on two components", "", "moment component_axis")
        outputs = {key: r.meanwhile.flatten(0, 1) for key, r in self._recordings.items()}
        shown = {key: values[:: _every(values)] for key, values in outputs.items()}
        self._draw("projected", shown, f"{self.what} decoded meanwhile", self.unit, "moment axis")
        grids = {key: _on_grid(values) for key, values in points.items()}
        on_grid = {key: density for key, (density, _) in grids.items()}
        limits = {key: ends for key, (_, ends) in grids.items()}
        self._draw("activity_density", on_grid, "density of activity", "", "grid_1 grid_2")
        self._draw("activity_limits", limits, "limits of its grid", "", "limit component_axis")
        if self.bearings:
            self._picture_bearings()
        else:
            self._picture_positions()

    def _picture_positions(self) -> None:
        self._draw("density", self._on_axes(GRID), "density of the position", "1/m^2", "x y")
        fields = {
            (name, condition): drift_field(
                r.decoded, self._density((name, ACTIVE)), _box(self.tasks[name])
            )
            for (name, condition), r in self._recordings.items()
            if condition != ACTIVE and len(r.decoded) > LAG
        }
        if not fields:
            return
        for name, part, said in (
            ("places", "places", "middle of a part of the box"),
            ("drift", "drift", f"mean displacement in {LAG} steps"),
            ("predicted_drift", "predicted", "Langevin prediction of the drift"),
        ):
            values = {key: getattr(field, part) for key, field in fields.items()}
            self._draw(name, values, said, "m", "place axis")

    def _picture_bearings(self) -> None:
        self._draw("density", self._on_axes(ANGLES), "density of the bearing", "1/rad", "angle")
        parts = self._each(lambda r, _: bearing_histogram(r.decoded))
        self._draw("bearings", parts, "share of bearings", "", "part")
        turns = self._each(lambda r, _: _turns(steps_of(r.decoded)))
        self._draw("turns", turns, "share of turns", "", "turn")

    def _on_axes(self, count: int) -> Each:
        """Evaluate the densities of decoded outputs from wall to wall, or around the circle."""
        axes = [torch.linspace(-side / 2, side / 2, count) for side in self._sides]
        places = torch.cartesian_prod(*axes).view(-1, len(axes)).double()
        return {
            key: self._density(key).log_density(places).exp().view(*(len(axis) for axis in axes))
            for key in self._recordings
        }


def row_name(name: str, condition: str) -> str:
    """Name a quiescent condition of a network."""
    return f"{name} (noise added)" if condition == NOISE_ADDED else name


def _extent(task: Task) -> tuple[float, ...]:
    """Give the width and height of the box (m), or the length of the circle (rad)."""
    return _box(task) if isinstance(task, NavigationTask) else (2 * np.pi,)


def _box(task: Task) -> tuple[float, float]:
    assert isinstance(task, NavigationTask)  # noqa: S101 - positions are those of a box
    return task.box_width, task.box_height


def _every(points: Tensor) -> int:
    """Tell which moments are shown: one in so many."""
    return max(1, len(points) // SHOWN_POINTS)


def _in_time(
    decoded: Float[Tensor, "steps trajectories dims"], count: int
) -> Float[Tensor, "shown some dims"]:
    """Give the outputs of some trajectories; awake, one trial after the other."""
    trials = decoded.unflatten(1, (-1, count)).transpose(0, 1)  # trials, steps, trajectories, dims
    return trials.flatten(0, 1)[:SHOWN_STEPS, :SHOWN_TRAJECTORIES]


def _on_grid(points: Float[Tensor, "points 2"]) -> tuple[Tensor, Tensor]:
    """Estimate the density of points in the plane on a square grid around them; give its limits."""
    low, high = points.amin(0), points.amax(0)
    # A little more than the points, and something even around a single one.
    half = max(0.55 * float((high - low).max()), 1e-3)
    middle = (low + high) / 2
    limits = torch.stack([middle - half, middle + half])
    axis = torch.linspace(-half, half, GRID, dtype=torch.float64)
    places = middle + torch.cartesian_prod(axis, axis)
    return KernelDensity(points).log_density(places).exp().view(GRID, GRID), limits


def _turns(steps: Tensor) -> Float[Tensor, " bins"]:
    """Give the share of turns in equal bins from -pi/2 to pi/2; larger ones count in the last."""
    share = (steps / (np.pi / 2) + 1) / 2
    index = (share * TURN_BINS).long().clamp(0, TURN_BINS - 1)
    return torch.bincount(index.flatten(), minlength=TURN_BINS).double() / index.numel()
