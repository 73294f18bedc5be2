"""Trajectories against a plain walk and their distributions; cells against plain formulas."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from rnn_reactivation.configuration import Configuration
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from rnn_reactivation.reference import (
    plain_head_direction_cells,
    plain_place_cells,
    plain_walk,
)
from rnn_reactivation.sections import HeadDirectionTask, NavigationTask
from rnn_reactivation.tasks import (
    HeadDirectionCells,
    PlaceCells,
    Trajectories,
    make_cells,
    make_trajectories,
    squared_error,
    wrap,
)

SMALL = NavigationTask(length=60, box_width=0.5, box_height=0.3)
"""A box with walls everywhere."""
CORRIDOR = NavigationTask(length=60, box_width=1000.0, box_height=0.4)
STRAIGHT = {"turn_sd": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Draws(NamedTuple):
    start: Tensor
    heading: Tensor
    lengths: Tensor
    turns: Tensor


def draws(task: NavigationTask, count: int, seed: int = 0) -> Draws:
    """What `make_trajectories` draws, in its order."""
    generator = seeded(seed)
    half = torch.tensor([task.box_width, task.box_height]) / 2
    start = torch.zeros(count, 2)
    if task.random_start:
        start = (2 * torch.rand(count, 2, generator=generator) - 1) * half
    heading = 2 * math.pi * torch.rand(count, generator=generator)
    shares = 1 - torch.rand(task.length, count, generator=generator)
    lengths = task.speed * task.dt * torch.sqrt(-2 * torch.log(shares))
    normal = torch.randn(task.length, count, generator=generator)
    return Draws(start, heading, lengths, (task.turn_mean + task.turn_sd * normal) * task.dt)


def before(walked: Trajectories) -> Tensor:
    """Positions at which steps begin."""
    return torch.cat([walked.start[None], walked.states[:-1]])


def walls(task: NavigationTask, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest wall, and the angle at which it lies."""
    half = torch.tensor([task.box_width, task.box_height]) / 2
    distances = torch.cat([half - positions, half + positions], -1)
    distance, wall = distances.min(-1)
    return distance, wall * (math.pi / 2)


def outside(task: NavigationTask, positions: Tensor) -> Tensor:
    """How far positions are behind a wall; negative inside the box."""
    return -walls(task, positions)[0]


# --- walking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task",
    [
        NavigationTask(length=30),
        NavigationTask(length=30, biased=True),
        NavigationTask(length=30, biased=True, drift=0.3, anchor=(0.7, -0.4), turn_mean=2.0),
        SMALL,
        SMALL.replaced(random_start=False, border_slow_factor=0.6, border_region=0.1),
        SMALL.replaced(biased=True, anchor=(0.25, 0.15)),
        SMALL.replaced(box_width=0.1, box_height=0.1, turn_sd=60.0),
    ],
)
@pytest.mark.usefixtures("float64")
def test_walks_are_those_of_the_plain_walk(task: NavigationTask):
    found, drawn = make_trajectories(task, 12, seeded(3)), draws(task, 12, 3)
    positions, displacements = plain_walk(
        task,
        drawn.start.numpy(),
        drawn.heading.numpy(),
        drawn.lengths.numpy() / task.dt,
        drawn.turns.numpy(),
    )
    assert found.start.shape == (12, 2)
    torch.testing.assert_close(found.start, drawn.start, rtol=0, atol=0)
    np.testing.assert_allclose(found.inputs, displacements, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.states, positions, rtol=0, atol=1e-11)


@pytest.mark.usefixtures("float64")
def test_head_on_at_walls_and_in_corners(monkeypatch: pytest.MonkeyPatch):
    """Every wall and corner, headed at from every side, exactly."""
    task = NavigationTask(length=4)
    near = [-0.995, 0.0, 0.995]
    places = [(x, y) for x in near for y in near]
    starts = torch.tensor([place for place in places for _ in range(8)])
    eighths = torch.arange(8).repeat(len(places)) / 8
    count = len(starts)
    generator = seeded(1)
    shares = torch.rand(task.length, count, generator=generator)
    normal = torch.randn(task.length, count, generator=generator)
    with monkeypatch.context() as patched:
        given = iter([(starts + 1) / 2, eighths, shares])
        patched.setattr(torch, "rand", lambda *_, **__: next(given))
        patched.setattr(torch, "randn", lambda *_, **__: normal)
        found = make_trajectories(task, count, seeded())
    speeds, turns = task.speed * (-2 * (1 - shares).log()).sqrt(), task.turn_sd * task.dt * normal
    heading = 2 * math.pi * eighths
    positions, displacements = plain_walk(
        task, found.start.numpy(), heading.numpy(), speeds.numpy(), turns.numpy()
    )
    np.testing.assert_allclose(found.start, 1.1 * starts, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.inputs, displacements, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.states, positions, rtol=0, atol=1e-12)
    # Head on at a wall: a quarter of a step, and then to the left.
    for x, y, eighth in [(0.995, 0, 0), (0, 0.995, 2), (-0.995, 0, 4), (0, -0.995, 6)]:
        (n,) = ((starts == torch.tensor([x, y])).all(1) & (eighths == eighth / 8)).nonzero()[0]
        slow = 0.25 * float(speeds[0, n]) * task.dt
        assert float(found.inputs[0, n].norm()) == pytest.approx(slow, rel=1e-12)
        expected = heading[n] + math.pi / 2 + turns[0, n]
        later = found.inputs[1, n]
        assert abs(float(wrap(torch.atan2(later[1], later[0]) - expected))) < 1e-9


@pytest.mark.parametrize("task", [SMALL, SMALL.replaced(biased=True), NavigationTask(length=20)])
def test_displacements_sum_to_positions(task: NavigationTask):
    walked = make_trajectories(task, 50, seeded())
    assert walked.inputs.shape == walked.states.shape == (task.length, 50, 2)
    # To the last bit: each position is the one before plus the displacement.
    position = walked.start
    for step, state in zip(walked.inputs, walked.states, strict=True):
        position = position + step
        assert torch.equal(position, state)


def test_starts_are_anywhere_or_at_the_centre():
    task = NavigationTask(length=1, box_width=3.0, box_height=1.0)
    start = make_trajectories(task, 4000, seeded()).start.double().numpy()
    for dimension, side in enumerate((3.0, 1.0)):
        uniform = stats.uniform(-side / 2, side)
        assert stats.kstest(start[:, dimension], uniform.cdf).pvalue > 0.01
    centred = make_trajectories(task.replaced(random_start=False), 400, seeded())
    assert not centred.start.any()
    headings = torch.atan2(centred.inputs[0, :, 1], centred.inputs[0, :, 0]).double().numpy()
    assert stats.kstest(headings, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 0.01


def test_speeds_are_rayleigh_and_turns_normal_away_from_walls():
    task = NavigationTask(length=40, turn_mean=3.0)
    walked = make_trajectories(task, 250, seeded())
    free = walls(task, before(walked))[0] > task.border_region
    speeds = (walked.inputs.norm(dim=-1) / task.dt)[free].double().numpy()
    assert len(speeds) > 9000
    assert stats.kstest(speeds, stats.rayleigh(scale=task.speed).cdf).pvalue > 0.01
    headings = torch.atan2(walked.inputs[..., 1], walked.inputs[..., 0])
    turns = wrap(headings.diff(dim=0))[free[:-1]].double().numpy() / task.dt
    assert stats.kstest(turns, stats.norm(3.0, task.turn_sd).cdf).pvalue > 0.01
    assert abs(turns.mean() - 3) < 4 * task.turn_sd / len(turns) ** 0.5


@pytest.mark.parametrize("turn_sd", [0.0, 11.52])
@pytest.mark.usefixtures("float64")
def test_animals_turn_along_walls_that_they_head_at(turn_sd: float):
    task = SMALL.replaced(turn_sd=turn_sd)
    walked, drawn = make_trajectories(task, 100, seeded(4)), draws(task, 100, 4)
    headings = torch.atan2(walked.inputs[..., 1], walked.inputs[..., 0])
    distance, wall = walls(task, before(walked))
    towards = wrap(headings - wall)
    # Where it is along the wall already, rounding decides whether it heads at the wall.
    clear = (towards.abs() - math.pi / 2).abs() > 1e-6
    near = (distance < task.border_region) & clear
    blocked, free = near & (towards.abs() < math.pi / 2), near & (towards.abs() > math.pi / 2)
    assert blocked[:-1].sum() > 200
    assert free[:-1].sum() > 20
    lengths = walked.inputs.norm(dim=-1)
    torch.testing.assert_close(lengths[blocked], drawn.lengths[blocked] / 4)
    torch.testing.assert_close(lengths[free], drawn.lengths[free])
    # The heading less the random turn is along the wall, on the side of the heading before.
    turned = wrap(headings[1:] - drawn.turns[:-1] - wall[:-1])[blocked[:-1]]
    torch.testing.assert_close(turned.abs(), torch.full_like(turned, math.pi / 2))
    angles = towards[:-1][blocked[:-1]]
    sided = angles.abs() > 1e-6  # without random turns, animals meet walls head on in corners
    assert torch.equal(turned[sided].sign(), angles[sided].sign())
    onwards = wrap(headings[1:] - drawn.turns[:-1] - headings[:-1])[free[:-1]]
    torch.testing.assert_close(onwards, torch.zeros_like(onwards), rtol=0, atol=1e-9)


@pytest.mark.usefixtures("float64")
def test_a_wall_is_passed_by_at_most_the_step_that_meets_it():
    """Without random turns, and without corners, in which two walls act in turn."""
    for task in (CORRIDOR.replaced(**STRAIGHT), CORRIDOR.replaced(border_region=0.1, **STRAIGHT)):
        walked, drawn = make_trajectories(task, 300, seeded()), draws(task, 300)
        longest = float(drawn.lengths.max())
        most = max(longest - task.border_region, longest * task.border_slow_factor)
        passed = outside(task, walked.states)
        assert -0.01 < passed.max() <= most + 1e-9
    # With random turns, every step within the border region goes at most a quarter of its length
    # further behind the wall that it heads at.
    walked, drawn = make_trajectories(CORRIDOR, 300, seeded()), draws(CORRIDOR, 300)
    then, now = outside(CORRIDOR, before(walked)), outside(CORRIDOR, walked.states)
    met = then <= -CORRIDOR.border_region
    assert (now - then - torch.where(met, 1.0, 0.25) * drawn.lengths).max() <= 1e-9
    assert (now[met] <= drawn.lengths[met] - CORRIDOR.border_region + 1e-9).all()


def test_hardly_any_point_is_outside_of_the_box():
    task = NavigationTask(length=300)
    walked = make_trajectories(task, 400, seeded())
    passed = outside(task, walked.states)
    assert 0 < (passed > 0).float().mean() < 0.05
    longest = walked.inputs.norm(dim=-1).max()
    assert passed.max() < 2 * longest
    # It does not get worse: animals come back.
    assert (passed[200:] > 0).float().mean() < 0.05
    assert (passed[-1] > task.border_region).float().mean() < 0.01


@pytest.mark.parametrize("anchor", [(0.0, 0.0), (0.6, -0.4)])
def test_biased_animals_drift_to_the_anchor(anchor: tuple[float, float]):
    task = NavigationTask(length=100, biased=True, anchor=anchor)
    walked = make_trajectories(task, 400, seeded())
    ends = walked.states[-20:].flatten(0, 1)
    assert (ends.mean(0) - torch.tensor(anchor)).norm() < 0.03
    free = make_trajectories(task.replaced(biased=False), 400, seeded()).states[-20:].flatten(0, 1)
    assert ends.std(0).max() < 0.5 * free.std(0).min()
    # The drift is a share of the way; in the first step, the rest has nothing to do with the way.
    way = torch.tensor(anchor) - walked.start
    share = float((walked.inputs[0] * way).sum() / (way * way).sum())
    assert share == pytest.approx(task.drift, abs=0.005)


# --- turning --------------------------------------------------------------------------------------


def test_turns_of_the_head():
    task = HeadDirectionTask(length=50, turn_mean=2.0)
    turned = make_trajectories(task, 200, seeded())
    assert turned.start.shape == (200, 1)
    assert turned.inputs.shape == turned.states.shape == (50, 200, 1)
    turns = turned.inputs.flatten().double().numpy() / task.dt
    assert stats.kstest(turns, stats.norm(2.0, task.turn_sd).cdf).pvalue > 0.01
    start = turned.start.flatten().double().numpy()
    assert stats.kstest(start, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 0.01
    total = np.exp(1j * (start + turned.inputs[..., 0].double().numpy().cumsum(0)))
    np.testing.assert_allclose(np.exp(1j * turned.states[..., 0].numpy()), total, atol=1e-5)
    assert turned.states.abs().max() <= math.pi + 1e-6


def test_biased_turns_of_the_head_have_one_sign():
    task = HeadDirectionTask(length=50, biased=True)
    turns = make_trajectories(task, 200, seeded()).inputs.flatten().double().numpy()
    assert (turns >= 0).all()
    scale = task.turn_sd * task.dt
    assert stats.kstest(turns, stats.halfnorm(scale=scale).cdf).pvalue > 0.01
    free = make_trajectories(task.replaced(biased=False), 200, seeded()).inputs
    np.testing.assert_array_equal(np.abs(free.flatten().double().numpy()), turns)


@pytest.mark.parametrize(
    "task",
    [NavigationTask(length=5), NavigationTask(length=5, biased=True), HeadDirectionTask(length=5)],
)
def test_trajectories_depend_on_the_seed_alone(task: NavigationTask | HeadDirectionTask):
    torch.manual_seed(0)
    first = make_trajectories(task, 6, seeded(5))
    torch.manual_seed(1)
    for one, other in zip(first, make_trajectories(task, 6, seeded(5)), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(first, make_trajectories(task, 6, seeded(6)), strict=True):
        assert not torch.isclose(one, other).any()
    # A generator goes on: the next batch is another one.
    generator = seeded(5)
    make_trajectories(task, 6, generator)
    assert not torch.equal(make_trajectories(task, 6, generator).inputs, first.inputs)


@given(st.floats(-1e3, 1e3))
def test_wrapped_angles(angle: float):
    wrapped = float(wrap(torch.tensor([angle], dtype=torch.float64)))
    assert -math.pi <= wrapped < math.pi
    turns = (angle - wrapped) / (2 * math.pi)
    assert abs(turns - round(turns)) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wrapped_angles_at_the_seam(dtype: torch.dtype):
    pi = torch.tensor(math.pi, dtype=dtype)
    turns = 2 * pi * torch.arange(-3, 4)
    seam = torch.cat([pi + turns, -pi + turns])
    around = [seam]
    for _ in range(4):
        around += [torch.nextafter(around[-1], seam + 1)]
    around += [seam]
    for _ in range(4):
        around += [torch.nextafter(around[-1], seam - 1)]
    wrapped = wrap(torch.cat(around))
    assert wrapped.min() >= -pi
    assert wrapped.max() < pi


def test_no_number_is_no_angle():
    """A network that diverged has no bearing."""
    assert wrap(torch.tensor([math.nan, math.inf])).isnan().all()


# --- place cells ----------------------------------------------------------------------------------


def navigation(**task: object) -> Configuration:
    return TrainNavigation(task=NavigationTask(place_cells_num=60, nearest=3).replaced(**task))


def head_direction(**task: object) -> Configuration:
    return TrainHeadDirection(task=HeadDirectionTask(head_direction_cells_num=40).replaced(**task))


def test_centres_of_place_cells_are_anywhere_in_the_box():
    configuration = navigation(place_cells_num=2000, box_width=3.0, box_height=1.0)
    cells = make_cells(configuration, [0, 4])
    assert isinstance(cells, PlaceCells)
    assert cells.centres.shape == (2, 2000, 2)
    for dimension, side in enumerate((3.0, 1.0)):
        for network in range(2):
            centres = cells.centres[network, :, dimension].double().numpy()
            assert stats.kstest(centres, stats.uniform(-side / 2, side).cdf).pvalue > 0.01
    assert torch.equal(make_cells(configuration, [4]).of(0).centres, cells.of(1).centres)
    assert not torch.isclose(cells.of(0).centres, cells.of(1).centres).all(1).any()


@pytest.mark.parametrize("difference", [False, True])
@pytest.mark.parametrize("sigma", [0.05, 0.2, 2.0])
@pytest.mark.usefixtures("float64")
def test_place_cells_are_the_plain_ones(sigma: float, difference: bool):
    configuration = navigation(place_cells_sigma=sigma, difference_of_gaussians=difference)
    cells = make_cells(configuration, [1]).of(0)
    assert isinstance(cells, PlaceCells)
    points = 2.6 * torch.rand(20, 2, generator=seeded()) - 1.3
    found = cells.encode(points)
    for point, activations in zip(points, found, strict=True):
        plain = plain_place_cells(
            point.numpy(), cells.centres.numpy(), sigma, difference=difference
        )
        np.testing.assert_allclose(activations, plain, rtol=1e-8, atol=1e-13)
    torch.testing.assert_close(found.sum(1), torch.ones(20))
    assert (found >= 0).all()


@pytest.mark.parametrize("difference", [False, True])
def test_place_cells_in_single_precision(difference: bool):
    configuration = TrainNavigation(task=NavigationTask(difference_of_gaussians=difference))
    cells = make_cells(configuration, [1]).of(0)
    points = make_trajectories(NavigationTask(length=4), 5, seeded()).states.flatten(0, 1)
    found = cells.encode(points)
    assert found.dtype == torch.float32
    double = replace(cells, centres=cells.centres.double()).encode(points.double())
    torch.testing.assert_close(found.double(), double, rtol=0, atol=2e-5 * float(double.max()))
    torch.testing.assert_close(found.sum(1), torch.ones(20))


PLACES = make_cells(TrainNavigation(), [0]).of(0)
SURROUND = make_cells(TrainNavigation(task=NavigationTask(difference_of_gaussians=True)), [0]).of(0)


@settings(max_examples=60)
@given(x=st.floats(-1.1, 1.1), y=st.floats(-1.1, 1.1))
def test_positions_are_decoded_to_the_nearest_centres(x: float, y: float):
    place = torch.tensor([[x, y]])
    distances, order = (PLACES.centres - place).norm(dim=1).sort()
    for cells in (PLACES, SURROUND):
        decoded = cells.decode(cells.encode(place))
        assert (decoded - place).norm() <= distances[:3].mean() + 1e-5
        if distances[3] - distances[2] > 1e-3:
            torch.testing.assert_close(decoded[0], cells.centres[order[:3]].mean(0))


@pytest.mark.parametrize("nearest", [1, 5])
def test_decoding_averages_so_many_centres(nearest: int):
    cells = make_cells(navigation(nearest=nearest), [0]).of(0)
    assert isinstance(cells, PlaceCells)
    activations = torch.rand(7, 60, generator=seeded())
    for values, decoded in zip(activations, cells.decode(activations), strict=True):
        best = values.argsort(descending=True)[:nearest]
        torch.testing.assert_close(decoded, cells.centres[best].mean(0))


# --- head direction cells -------------------------------------------------------------------------


def bearings(count: int = 30) -> Tensor:
    """Some at the seam."""
    drawn = 2 * math.pi * torch.rand(count, 1, generator=seeded()) - math.pi
    return torch.cat([drawn, torch.tensor([[-math.pi], [math.pi], [0.0], [3.14], [-3.14]])])


@pytest.mark.parametrize("sigma", [0.2, math.pi / 6, 1.5])
@pytest.mark.usefixtures("float64")
def test_head_direction_cells_are_the_plain_ones(sigma: float):
    cells = make_cells(head_direction(head_direction_cells_sigma=sigma), [0]).of(0)
    assert isinstance(cells, HeadDirectionCells)
    preferred = cells.preferred[:, 0].numpy()
    np.testing.assert_allclose(preferred, np.arange(40) * math.pi / 20 - math.pi, atol=1e-12)
    for bearing, found in zip(bearings(), cells.encode(bearings()), strict=True):
        plain = plain_head_direction_cells(float(bearing), preferred, sigma)
        np.testing.assert_allclose(found, plain, rtol=1e-10)
    own = cells.encode(cells.preferred)
    torch.testing.assert_close(own.diagonal(), torch.ones(40), rtol=0, atol=1e-12)
    assert own.max() <= 1 + 1e-12


@pytest.mark.parametrize("sigma", [0.1, 0.3, math.pi / 6, 1.0, 3.0, 30.0])
@pytest.mark.usefixtures("float64")
def test_activations_are_linear_in_few_harmonics(sigma: float):
    cells = make_cells(head_direction(head_direction_cells_sigma=sigma), [0, 1])
    assert isinstance(cells, HeadDirectionCells)
    points = torch.stack([bearings(), bearings() + 7])
    mixing = cells.mixing()
    found = cells.harmonics(points) @ mixing
    torch.testing.assert_close(found, cells.encode(points), rtol=0, atol=1e-9)
    if sigma == math.pi / 6:
        assert mixing.shape[-2] < 40
    # A network is the same alone.
    torch.testing.assert_close(cells.of(1).mixing(), mixing[1], rtol=0, atol=0)
    torch.testing.assert_close(cells.of(1).harmonics(points[1]), cells.harmonics(points)[1])


@settings(max_examples=60)
@given(
    bearing=st.floats(-math.pi, math.pi) | st.sampled_from([-math.pi, math.pi, 3.1415, -3.1415]),
    count=st.sampled_from([5, 40, 512]),
    nearest=st.sampled_from([1, 3]),
)
def test_bearings_are_decoded_within_the_spacing(bearing: float, count: int, nearest: int):
    task = {"head_direction_cells_num": count, "nearest": nearest}
    configuration = head_direction(**task)
    cells = make_cells(configuration, [0]).of(0)
    true = torch.tensor([[bearing]])
    decoded = cells.decode(cells.encode(true))
    assert decoded.shape == (1, 1)
    assert decoded.abs().max() <= math.pi + 1e-6
    error = squared_error(configuration, decoded, true).sqrt()
    assert error.shape == (1,)
    assert error <= 2 * math.pi / count + 1e-5


def test_squared_errors():
    found, true = torch.tensor([[3.0], [1.0]]), torch.tensor([[-3.0], [0.5]])
    errors = squared_error(head_direction(), found, true)
    torch.testing.assert_close(errors, torch.tensor([(2 * math.pi - 6) ** 2, 0.25]))
    found, true = torch.tensor([[3.0, 1.0]]), torch.tensor([[-3.0, 0.5]])
    assert float(squared_error(navigation(), found, true)) == pytest.approx(36.25)


# --- both -----------------------------------------------------------------------------------------

KINDS = [navigation(), navigation(difference_of_gaussians=True), head_direction()]


@pytest.mark.parametrize("configuration", KINDS)
def test_results_go_where_they_are_wanted(configuration: Configuration):
    cells = make_cells(configuration, [0, 1])
    drawn = make_trajectories(configuration.task, 6, seeded()).states[:2]
    out = torch.full((2, 6, configuration.task.cells), torch.nan)
    found = cells.encode(drawn, out=out)
    assert found.data_ptr() == out.data_ptr()
    assert torch.equal(out, cells.encode(drawn))
    if isinstance(cells, HeadDirectionCells):
        out = torch.full((2, 6, cells.mixing().shape[-2]), torch.nan)
        cells.harmonics(drawn, out=out)
        assert torch.equal(out, cells.harmonics(drawn))


@pytest.mark.parametrize("configuration", KINDS)
def test_several_networks_are_as_each_alone(configuration: Configuration):
    cells = make_cells(configuration, [3, 8, 5])
    states = make_trajectories(configuration.task, 6, seeded()).states[:3]
    activations = cells.encode(states)
    assert activations.shape == (3, 6, configuration.task.cells)
    decoded = cells.decode(activations)
    assert decoded.shape == (3, 6, configuration.task.inputs)
    for n, seed in enumerate((3, 8, 5)):
        alone = make_cells(configuration, [seed]).of(0)
        torch.testing.assert_close(alone.encode(states[n]), activations[n])
        torch.testing.assert_close(alone.decode(activations[n]), decoded[n])
        torch.testing.assert_close(cells.of(n).decode(activations[n]), decoded[n])
