"""Measures against NumPy and SciPy; the whole analysis against its parts, on untrained networks."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from torch import Tensor

from rnn_reactivation.analysis import (
    bearing_histogram,
    cosine,
    coverage,
    density_of,
    drift_field,
    explained_variance,
    hollowness,
    log_gradient,
    mean_step,
    output_variance,
    principal_components,
    steps_of,
)
from rnn_reactivation.configuration import Configuration
from rnn_reactivation.density import (
    CircularDensity,
    KernelDensity,
    UniformDensity,
    kl_divergences,
)
from rnn_reactivation.experiments.analyze import KINDS, VANILLA, Analyze
from rnn_reactivation.experiments.train import TASKS
from rnn_reactivation.networks import Model
from rnn_reactivation.reactivation import analyse, row_name
from rnn_reactivation.simulate import Chunk, Recording, asleep, awake, record
from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sharpwave_shared.testing import KilledError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def bearings(*values: float) -> Tensor:
    """One trajectory."""
    return torch.tensor(values)[:, None, None]


# --- measures -------------------------------------------------------------------------------------


def test_variance_of_positions_is_over_time():
    decoded = normal(50, 7, 2) * torch.tensor([1.0, 3.0]) + 10 * normal(1, 7, 2, seed=1)
    wanted = np.var(decoded.numpy(), axis=0, ddof=1).sum(-1).mean()
    assert output_variance(decoded) == pytest.approx(wanted, rel=1e-12)
    assert output_variance(decoded.float()) == pytest.approx(wanted, rel=1e-5)
    assert output_variance(torch.full((50, 7, 2), 0.1)) == 0


def test_variance_of_bearings_is_circular():
    # Around the seam, where a variance of numbers would be large.
    spread = torch.linspace(0.1, 2, 7)[:, None]
    decoded = torch.remainder(2 * math.pi + normal(80, 7, 1) * spread, 2 * math.pi) - math.pi
    wanted = stats.circvar(decoded.numpy(), high=math.pi, low=-math.pi, axis=0).mean()
    assert output_variance(decoded) == pytest.approx(wanted, rel=1e-9)
    assert output_variance(bearings(3.1, -3.1)) < 0.001
    assert output_variance(bearings(1.0, 1.0, 1.0)) == pytest.approx(0, abs=1e-7)
    assert output_variance(bearings(0.0, math.pi)) == pytest.approx(1, abs=1e-6)


def test_steps_go_the_short_way_round_the_circle():
    turns = steps_of(bearings(3.0, -3.0, 3.0, 2.5))
    short = 2 * math.pi - 6
    torch.testing.assert_close(turns, bearings(short, -short, -0.5), rtol=0, atol=1e-6)
    assert mean_step(bearings(3.0, -3.0, 3.0, 2.5)) == pytest.approx((2 * short + 0.5) / 3)
    # Positions have no seam.
    places = torch.tensor([[[3.0, 0.0]], [[-3.0, 8.0]], [[-3.0, 9.0]]])
    assert torch.equal(steps_of(places), places[1:] - places[:-1])
    assert mean_step(places) == pytest.approx((10 + 1) / 2)
    several = normal(9, 5, 2)
    wanted = np.linalg.norm(np.diff(several.numpy(), axis=0), axis=-1).mean()
    assert mean_step(several) == pytest.approx(wanted, rel=1e-12)


def activity() -> Tensor:
    return 4 + normal(200, 6) @ normal(6, 6, seed=1)


def test_explained_variance_is_that_of_singular_values():
    points = activity().numpy()
    values = np.linalg.svd(points - points.mean(0), compute_uv=False) ** 2
    wanted = values.cumsum() / values.sum()
    covariance = torch.from_numpy(np.cov(points.T, bias=True))
    for components in (1, 3, 6):
        found = explained_variance(covariance, components)
        np.testing.assert_allclose(found, wanted[:components], rtol=1e-10)
    assert explained_variance(covariance, 10).shape == (6,)  # there are no more than units
    np.testing.assert_allclose(explained_variance(covariance.float(), 6), wanted, rtol=1e-5)
    line = torch.outer(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([1.0, 2.0, 2.0]))
    np.testing.assert_allclose(explained_variance(line, 2), 1, rtol=1e-6)
    assert explained_variance(torch.zeros(3, 3), 2).tolist() == [1, 1]


def test_activity_that_never_changes_has_no_components():
    states = torch.tensor([0.7, 0.8, 0.9]).expand(100, 50, 3)
    recording = record(iter([Chunk(states, torch.zeros(100, 50, 1))] * 2))
    assert recording.covariance.abs().max() < 1e-9
    assert explained_variance(recording.covariance, 2).tolist() == [1, 1]


def test_principal_components_are_singular_vectors():
    points = activity().numpy()
    *_, vectors = np.linalg.svd(points - points.mean(0))
    for sign in (1, -1):
        covariance = torch.from_numpy(np.cov(sign * points.T))
        found = principal_components(covariance, 3)
        assert found.shape == (6, 3)
        for component, vector in zip(found.T.numpy(), vectors[:3], strict=True):
            assert abs(component @ vector) == pytest.approx(1, rel=1e-9)
            assert component[abs(component).argmax()] > 0
    assert torch.equal(principal_components(covariance), found[:, :2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_histograms_of_bearings(dtype: torch.dtype):
    values = 1.5 * normal(40, 30, 1).clamp(-2, 2).to(dtype)
    edges = np.linspace(-math.pi, math.pi, 21)
    counts, _ = np.histogram(values.double().numpy(), edges)
    np.testing.assert_allclose(bearing_histogram(values), counts / 1200, rtol=1e-12)
    ends = torch.tensor([-math.pi, math.pi], dtype=dtype)[:, None, None]
    share = bearing_histogram(ends)
    assert (share[0], share[-1], share.sum()) == (0.5, 0.5, 1)


def test_coverage_of_the_circle():
    full = torch.linspace(-math.pi + 1e-3, math.pi - 1e-3, 1000)[:, None, None]
    assert coverage(full) == 1
    assert coverage(full[full > 0][:, None, None]) == 0.5
    assert coverage(torch.full((50, 2, 1), 0.1)) == 0.05
    # A bin that hardly anything visits does not count: it must have a tenth of an even share.
    rare, often = torch.full((9, 1, 1), -1.0), torch.full((1991, 1, 1), 0.1)
    assert coverage(torch.cat([rare, often])) == 0.05
    assert coverage(torch.cat([rare, rare, often])) == 0.1


def test_hollowness_of_rings_and_discs():
    angle = 2 * math.pi * torch.rand(5000, generator=seeded())
    circle = torch.stack([angle.cos(), angle.sin()], 1) + torch.tensor([10.0, -5.0])
    assert hollowness(circle) > 0.95
    centre = circle.mean(0)
    radius = torch.rand(5000, 1, generator=seeded(1)).sqrt()
    disc = centre + radius * (circle - centre)
    assert hollowness(disc) == pytest.approx((0.05 / 0.5) ** 0.5, abs=0.03)
    assert hollowness(3 * disc) == pytest.approx(hollowness(disc), rel=1e-3)
    distances = np.linalg.norm((disc - disc.mean(0)).numpy(), axis=1)
    low, middle = np.percentile(distances, [5, 50])
    assert hollowness(disc) == pytest.approx(low / middle, rel=1e-4)
    assert hollowness(torch.ones(20, 2)) == 0


# --- fields ---------------------------------------------------------------------------------------


class Well:
    """A Gaussian density around a place, of variances of its own in both directions."""

    def __init__(self) -> None:
        self.centre = torch.tensor([0.2, -0.1], dtype=torch.float64)
        self.variance = torch.tensor([0.09, 0.16], dtype=torch.float64)

    def log_density(self, x: Tensor) -> Tensor:
        return -((x - self.centre).square() / self.variance).sum(1) / 2

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self.centre + self.variance.sqrt() * normal(count, 2, seed=9)

    def slope(self, x: Tensor) -> Tensor:
        return (self.centre - x) / self.variance


def simulated(well: Well | None, steps: int = 200, count: int = 2000) -> Tensor:
    """Langevin dynamics in a well, or diffusion."""
    noise, share = normal(steps, count, 2, seed=3), 3e-4
    start = Well() if well is None else well
    position, found = start.sample(count, seeded()), []
    for xi in noise:
        drift = 0.0 if well is None else share * well.slope(position)
        position = position + drift + (2 * share) ** 0.5 * xi
        found.append(position)
    return torch.stack(found)


def test_slopes_of_densities():
    points = 0.3 * normal(300, 2) + torch.tensor([0.2, 0.0])
    kernels = KernelDensity(points)
    places = 0.4 * normal(12, 2, seed=2)
    difference = points - places[:, None]
    inverse = torch.linalg.inv(kernels.covariance)
    weights = torch.exp(-((difference @ inverse) * difference).sum(-1) / 2)
    little = torch.full((2,), 1e-3, dtype=torch.float64)
    towards = (weights[..., None] * difference).sum(1) / weights.sum(1)[:, None]
    torch.testing.assert_close(
        log_gradient(kernels, places, little), towards @ inverse, rtol=1e-3, atol=1e-3
    )
    # Over any distance, where the logarithm is a parabola.
    far = torch.tensor([0.3, 0.1], dtype=torch.float64)
    torch.testing.assert_close(log_gradient(Well(), places, far), Well().slope(places))
    flat = UniformDensity(-torch.ones(2), torch.ones(2))
    assert not log_gradient(flat, torch.zeros(3, 2, dtype=torch.float64), far).any()


def test_fields_are_means_over_parts_of_the_box():
    decoded = torch.tensor([0.4, 0.2]) * normal(40, 20, 2).float()
    size, parts, lag = (1.5, 1.0), 4, 3
    moved = (decoded[lag:] - decoded[:-lag]).flatten(0, 1).double().numpy()
    before = decoded[:-lag].flatten(0, 1).numpy()
    edges = [np.linspace(-side / 2, side / 2, parts + 1) for side in size]
    # So many are in one part: just enough.
    least = int(np.sort(np.histogramdd(before, edges)[0].flatten())[6])
    field = drift_field(decoded, Well(), size, parts=parts, lag=lag, least=least)
    covariance = np.cov(moved.T)
    assert field.places.shape == (16, 2)
    seen = field.drift.isfinite().all(1)
    assert 0 < seen.sum() < 16
    for place, drift, predicted in zip(*field, strict=True):
        x, y = place.numpy()
        inside = (abs(before[:, 0] - x) <= size[0] / 8) & (abs(before[:, 1] - y) <= size[1] / 8)
        if inside.sum() >= least:
            np.testing.assert_allclose(drift, moved[inside].mean(0), rtol=1e-5, atol=1e-7)
        else:
            assert drift.isnan().all()
        np.testing.assert_allclose(
            predicted, covariance @ Well().slope(place).numpy() / 2, rtol=1e-5
        )
    a, b = field.drift[seen].flatten().numpy(), field.predicted[seen].flatten().numpy()
    wanted = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert cosine(field.drift, field.predicted) == pytest.approx(wanted, rel=1e-9)
    # The places cover the box.
    np.testing.assert_allclose(field.places.abs().max(0).values, [1.5 * 3 / 8, 3 / 8])


def test_langevin_dynamics_agree_with_their_prediction():
    well = Well()
    decoded = simulated(well)
    field = drift_field(decoded, well, (2.2, 2.2), least=2000)
    seen = field.drift.isfinite().all(1)
    assert seen.sum() > 30
    assert cosine(field.drift, field.predicted) > 0.9
    # In size, too.
    drift, predicted = field.drift[seen], field.predicted[seen]
    slope = float((drift * predicted).sum() / predicted.square().sum())
    assert slope == pytest.approx(1, abs=0.15)
    # With the density as it would be estimated.
    estimated = density_of(decoded[::20, ::10])
    assert isinstance(estimated, KernelDensity)
    field = drift_field(decoded, estimated, (2.2, 2.2), least=2000)
    assert cosine(field.drift, field.predicted) > 0.85


def test_diffusion_does_not_agree_with_the_prediction():
    field = drift_field(simulated(None), Well(), (2.2, 2.2))
    assert field.drift.isfinite().all(1).sum() > 40
    assert abs(cosine(field.drift, field.predicted)) < 0.4


# --- the whole analysis ---------------------------------------------------------------------------

SIZES = {
    "spatial_navigation": {"length": 6, "place_cells_num": 20},
    "head_direction": {"length": 6, "head_direction_cells_num": 20},
}
NAMES = ("noiseless", "noisy")
TINY = Analyze(
    configurations=NAMES,
    trajectories=7,
    steps=20,
    samples=40,
    variance_trajectories=5,
    variance_steps=12,
    variance_dropped=4,
    awake_trials=3,
    dimension_trajectories=4,
    dimension_steps=9,
    components=3,
)
STANDARD = {"spatial_navigation": 1e-4, "head_direction": 0.01}


def configured(task: str, sigma2_rec: float) -> Configuration:
    rnn = {"hidden_size": 8, "dt": 0.2, "sigma2_rec": sigma2_rec}
    sections: Any = {"task": SIZES[task], "rnn": rnn}
    return TASKS[task](**sections)


def networks(task: str, *seeds: int) -> dict[int, list[Model]]:
    both = [configured(task, variance) for variance in (0.0, 0.02)]
    return {seed: [Model.untrained(c, seed) for c in both] for seed in seeds}


@pytest.fixture(scope="module")
def analysed() -> dict[str, xr.Dataset]:
    return {task: analyse(networks(task, 0, 3), TINY.replaced(task=task)) for task in TASKS}


def recordings(task: str, seed: int) -> dict[str, dict[str, Recording]]:
    """What the analysis must have recorded, from the simulations themselves."""
    streams = Streams(seed).child("analysis")
    found: dict[str, dict[str, Recording]] = {}
    for name, model in zip(NAMES, networks(task, seed)[seed], strict=True):
        days = awake(model, 7, 3, streams.child("awake", name))
        found[name] = {"active": record(days, trials=True)}
        conditions = {"quiescent": 2 * model.configuration.rnn.sigma2_rec}
        if name == "noiseless":
            conditions["noise_added"] = 2 * STANDARD[task]
        for condition, variance in conditions.items():
            nights = asleep(model, 7, 20, variance, streams.child("asleep", f"{name} {condition}"))
            found[name][condition] = record(nights)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_numbers_by_network_condition_and_seed(task: str, analysed: dict[str, xr.Dataset]):
    data = analysed[task]
    assert data["configuration"].values.tolist() == list(NAMES)
    assert data["condition"].values.tolist() == ["active", "quiescent", "noise_added"]
    assert data["seed"].values.tolist() == [0, 3]
    noise = [[np.nan, 0, 2 * STANDARD[task]], [np.nan, 0.04, np.nan]]
    np.testing.assert_array_equal(data["noise_variance"], noise)
    for seed in (0, 3):
        wanted = recordings(task, seed)
        for name, conditions in wanted.items():
            for condition, recording in conditions.items():
                decoded = recording.decoded
                found = data.sel(seed=seed, configuration=name, condition=condition)
                # The first and the last steps, as many as a trial has.
                assert found["distance"].item() == pytest.approx(mean_step(decoded[:6]))
                assert found["distance_late"].item() == pytest.approx(mean_step(decoded[-6:]))
                course = steps_of(decoded).norm(dim=-1).mean(1).numpy()
                assert found["distance_course"].values[: len(course)] == pytest.approx(course)
                if task == "head_direction":
                    assert found["coverage"] == coverage(decoded)
                    speed = float(steps_of(decoded).double().mean()) / 0.02
                    assert found["angular_velocity"].item() == pytest.approx(speed)
                    active = conditions["active"]
                    points = recording.activity.flatten(0, 1).double() - active.mean
                    plane = points @ principal_components(active.covariance)
                    assert found["hollowness"].item() == pytest.approx(hollowness(plane))
        for name, model in zip(NAMES, networks(task, seed)[seed], strict=True):
            own = data.sel(seed=seed, configuration=name)
            for condition in wanted[name].keys() - {"active"}:
                variance = own["noise_variance"].sel(condition=condition).item()
                streams = Streams(seed).child("analysis").child("variance", name, condition)
                chunks = [chunk.decoded for chunk in asleep(model, 5, 12, variance, streams)]
                value = output_variance(torch.cat(chunks)[4:])
                assert own["variance"].sel(condition=condition).item() == pytest.approx(value)
                streams = Streams(seed).child("analysis").child("dimensionality", name, condition)
                night = record(asleep(model, 4, 9, variance, streams))
                shares = explained_variance(night.covariance, 3).numpy()
                found = own["explained_variance"].sel(condition=condition)
                assert found.values == pytest.approx(shares)
            shares = explained_variance(wanted[name]["active"].covariance, 3).numpy()
            found = own["explained_variance"].sel(condition="active")
            assert found.values == pytest.approx(shares)
    assert ("coverage" in data) == (task == "head_direction")
    assert data["distance"].sel(configuration="noisy", condition="noise_added").isnull().all()
    # Each condition has random numbers of its own.
    both = data["distance"].sel(configuration="noisy").values
    assert len({both[0, 0], both[1, 0], both[0, 1]}) == 3


@pytest.mark.parametrize("task", TASKS)
def test_the_table_of_divergences(task: str, analysed: dict[str, xr.Dataset]):
    data = analysed[task]
    assert data["kl"].dims == ("seed", "asleep", "condition", "configuration")
    assert row_name("noiseless", "noise_added") == "noiseless (noise added)"
    for seed in (0, 3):
        found = data.sel(seed=seed)
        wanted = recordings(task, seed)
        columns = [density_of(conditions["active"].decoded) for conditions in wanted.values()]
        streams = Streams(seed).child("analysis")
        untrained = networks(task, seed)[seed][1]
        random = record(asleep(untrained, 7, 20, 0.04, streams.child("asleep", "random network")))
        sides = [1.1, 1.1] if task == "spatial_navigation" else [math.pi]
        half = torch.tensor(sides, dtype=torch.float64)
        kind = KernelDensity if task == "spatial_navigation" else CircularDensity
        rows: list[tuple[str, Any, xr.DataArray]] = [
            ("random network", density_of(random.decoded), found["kl_random"]),
            ("uniform distribution", UniformDensity(-half, half), found["kl_uniform"]),
        ]
        for name, conditions in wanted.items():
            for condition in conditions.keys() - {"active"}:
                density = density_of(conditions[condition].decoded)
                assert isinstance(density, kind)
                values = found["kl"].sel(asleep=name, condition=condition)
                rows.append((row_name(name, condition), density, values))
        for row, density, found_row in rows:
            values = kl_divergences(density, columns, 40, streams.torch("samples", row))
            assert found_row.values == pytest.approx(values.numpy(), rel=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_what_figures_show(task: str, analysed: dict[str, xr.Dataset]):
    for seed in (0, 3):
        for name, conditions in recordings(task, seed).items():
            for condition, recording in conditions.items():
                one = analysed[task].sel(seed=seed, configuration=name, condition=condition)
                _check_pictures(task, one, recording, conditions["active"], condition)


def _check_pictures(
    task: str, one: xr.Dataset, recording: Recording, active: Recording, condition: str
) -> None:
    assert one["trajectories"].dtype == np.float32
    decoded = recording.decoded.numpy()
    courses = one["trajectories"].values
    if condition == "active":  # trial after trial
        for trial in range(3):
            own = decoded[:, 7 * trial : 7 * (trial + 1)]
            np.testing.assert_allclose(courses[6 * trial : 6 * (trial + 1)], own, rtol=1e-6)
        assert np.isnan(courses[18:]).all()
    else:
        np.testing.assert_allclose(courses, decoded, rtol=1e-6)
    points = recording.activity.flatten(0, 1).double() - active.mean
    plane = points @ principal_components(active.covariance)
    count = len(plane)
    np.testing.assert_allclose(one["projection"][:count], plane, rtol=1e-3, atol=1e-4)
    outputs = recording.meanwhile.flatten(0, 1)
    np.testing.assert_allclose(one["projected"][:count], outputs, rtol=1e-6)
    assert one["projection"][count:].isnull().all()
    density = one["density"].values
    if task == "head_direction":
        mass = np.trapezoid(density, np.linspace(-np.pi, np.pi, 181))
        assert mass == pytest.approx(1, abs=0.01)
        histogram = bearing_histogram(recording.decoded)
        np.testing.assert_allclose(one["bearings"], histogram, rtol=1e-6)
        edges = np.linspace(-np.pi / 2, np.pi / 2, 82)
        steps = steps_of(recording.decoded).double().clamp(edges[0], edges[-1])
        counts, _ = np.histogram(steps.numpy(), edges)
        np.testing.assert_allclose(one["turns"], counts / steps.numel(), atol=1e-6)
    else:
        assert density.shape == (40, 40)
        middle = density_of(recording.decoded).log_density(torch.full((1, 2), 1.1 / 39))
        assert density[20, 20] == pytest.approx(float(middle.exp()), rel=1e-3, abs=1e-30)
        assert bool(one["places"].notnull().all()) == (condition != "active")


def test_results_are_kept_apart_whatever_networks_are_called(tmp_path: Path):
    settings = TINY.replaced(configurations=("a b", "a_b"))  # files have one name for both
    models = networks("spatial_navigation", 0)
    found = analyse(models, settings, journal=Journal(folder=tmp_path))
    assert found.identical(analyse(models, settings))
    assert found.identical(analyse(models, settings, journal=Journal(folder=tmp_path)))


def test_analyses_go_on_where_they_were_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Mortal(Journal):
        def forget(self) -> None:  # each part is killed right after it is kept
            super().forget()
            raise KilledError

    monkeypatch.setattr(Journal, "part", _part_of_the_same_kind)
    settings, models = TINY.replaced(task="head_direction"), networks("head_direction", 0)
    whole, kills = analyse(models, settings), 0
    while True:
        try:
            found = analyse(models, settings, journal=Mortal(folder=tmp_path))
        except KilledError:
            kills += 1
            continue
        break
    # Two networks awake and asleep, their variances and dimensions, and the table.
    assert kills == 2 + 2 + 2 + 1
    assert found.identical(whole)
    # Nothing that is kept is simulated again.
    monkeypatch.setattr("rnn_reactivation.reactivation.asleep", None)
    monkeypatch.setattr("rnn_reactivation.reactivation.awake", None)
    again = analyse(models, settings, journal=Journal(folder=tmp_path))
    assert again.identical(found)


PART = Journal.part


def _part_of_the_same_kind(journal: Journal, name: str) -> Journal:
    part = PART(journal, name)
    part.__class__ = type(journal)
    return part


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone(kind: str, analysed: dict[str, xr.Dataset]):
    whole = analysed["spatial_navigation"]
    found = analyse(networks("spatial_navigation", 0, 3), TINY.replaced(kinds=(kind,)))
    own = {
        "kl": {"kl", "kl_random", "kl_uniform"},
        "variance": {"variance"},
        "distance": {"distance", "distance_late", "distance_course"},
        "dimensionality": {"explained_variance"},
    }
    measures = set().union(*own.values())
    assert set(found.data_vars) & measures == own[kind]
    assert ("trajectories" in found) == (kind != "variance")
    for name in found.data_vars:
        xr.testing.assert_identical(found[name], whole[name])


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "noiseless", "noisy"),
    [
        ("scaled", {"quiescent": 0, "noise_added": 0.02}, {"quiescent": 0.06}),
        ("same", {"quiescent": 0, "noise_added": 0.02}, {"quiescent": 0.03}),
        ("absolute", {"quiescent": 0.02}, {"quiescent": 0.02}),
    ],
)
def test_noise_conditions(noise: str, noiseless: dict[str, float], noisy: dict[str, float]):
    settings = Analyze(task="head_direction").replaced(noise=noise)
    for variance, wanted in ((0.0, noiseless), (0.03, noisy)):
        assert settings.variances(configured("head_direction", variance)) == pytest.approx(wanted)
    assert Analyze().usual_variance == 1e-4


def test_gated_networks_sleep_with_the_noise_that_they_were_trained_with():
    trained = configured("head_direction", 0.03)
    gated = trained.replaced(rnn=trained.rnn.replaced(type="gru"))
    assert Analyze().variances(trained) == {"quiescent": 0.06}
    assert Analyze().variances(gated) == {"quiescent": 0.03}


def test_sizes_are_those_of_the_paper():
    usual = Analyze()
    assert (usual.trajectories, usual.awake_trials, usual.steps) == (200, 1, 1000)
    assert (usual.dimension_trajectories, usual.dimension_steps) == (1000, 200)


def test_the_usual_configurations():
    assert set(Analyze().configurations) == set(VANILLA)
    assert set(VANILLA) == {
        f"{n}_{b}" for n in ("noisy", "no-noise") for b in ("biased", "unbiased")
    }


def test_a_cosine_needs_two_fields() -> None:
    a, none = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.full((2, 2), torch.nan)
    assert cosine(a, 0.1 * a) == pytest.approx(1)
    assert cosine(a, a + torch.tensor([[0, torch.nan], [0, 0]])) == pytest.approx(1)
    assert cosine(a, a.flip(0)) == pytest.approx(-3 / 6.25)
    assert math.isnan(cosine(a, none))
    assert math.isnan(cosine(a, 0 * a))
    assert math.isnan(cosine(a, torch.tensor([[torch.inf, 0], [torch.nan, 0]])))
