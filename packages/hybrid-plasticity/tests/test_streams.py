"""The task: what a scene is, which scenes come again, and what the random numbers depend on."""

from collections import Counter
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hybrid_plasticity.streams import (
    Streams,
    Task,
    _repetitions,
    make_streams,
    scenes_of_training,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes_of(task: Task, streams: Streams) -> Tensor:
    """Streams x scenes x frames of a scene x entries."""
    count, frames, entries = streams.frames.shape
    return streams.frames.view(count, frames // task.scene_time, task.scene_time, entries)


def bag(scene: Tensor) -> Counter:
    return Counter(tuple(frame) for frame in scene.tolist())


@given(
    percent=st.one_of(st.sampled_from([0, 100]), st.integers(0, 100)),
    time=st.integers(1, 4),
    entries=st.integers(1, 12),
    interval=st.integers(1, 8),
    scenes=st.integers(1, 20),
    count=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_streams_are_made_of_scenes(
    percent: int, time: int, entries: int, interval: int, scenes: int, count: int, seed: int
) -> None:
    task = Task(time, entries, percent / 100)
    streams = make_streams(task, interval, scenes, count, generator(seed))
    assert streams.frames.shape == (count, scenes * time, entries)
    assert streams.repeated.shape == (count, scenes)
    assert streams.frames.dtype == torch.float32
    assert set(streams.frames.unique().tolist()) <= {-1.0, 1.0}
    for stream, repeated in zip(scenes_of(task, streams), streams.repeated.tolist(), strict=True):
        for i, scene in enumerate(stream):
            if repeated[i]:
                assert i >= interval
                assert not repeated[i - interval]
                assert bag(scene) == bag(stream[i - interval])
            else:
                differences = (scene != scene[0]).sum(1).tolist()
                assert differences == [0] + [entries * percent // 100] * (time - 1)


@given(
    coins=st.integers(1, 40).flatmap(
        lambda scenes: st.lists(
            st.lists(st.booleans(), min_size=scenes, max_size=scenes), min_size=1, max_size=3
        )
    ),
    interval=st.integers(1, 50),
)
def test_a_scene_repeats_if_its_coin_says_so_and_the_earlier_one_was_new(
    coins: list[list[bool]], interval: int
) -> None:
    expected = []
    for row in coins:
        repeated: list[bool] = []
        for i, coin in enumerate(row):
            repeated.append(i >= interval and coin and not repeated[i - interval])
        expected.append(repeated)
    assert _repetitions(torch.tensor(coins), interval).tolist() == expected


@pytest.mark.parametrize("interval", [1, 2, 7])
def test_half_of_the_scenes_that_may_repeat_do(interval: int) -> None:
    repeated = make_streams(Task(1, 1), interval, 2000, 5, generator()).repeated
    may = ~repeated[:, :-interval]
    again = repeated[:, interval:]
    assert not (again & ~may).any()
    # Some 6,700 fair coins: a standard deviation is 0.006.
    assert abs(again[may].float().mean() - 0.5) < 0.03
    # Neither do neighbours among them depend on each other.
    both = may[:, 1:] & may[:, :-1]
    if interval > 1:
        assert abs((again[:, 1:] & again[:, :-1])[both].float().mean() - 0.25) < 0.03


def test_scenes_that_do_not_repeat_were_never_seen() -> None:
    task = Task(4, 40, 0.1)
    streams = make_streams(task, 3, 200, 2, generator())
    for stream, repeated in zip(scenes_of(task, streams), streams.repeated, strict=True):
        new = stream[~repeated]
        assert len(set(map(tuple, new.flatten(0, 1).tolist()))) == 4 * len(new)
        # First frames have nothing to do with each other: 20 of 40 entries agree, give or take.
        agreement = (new[:, 0] @ new[:, 0].T - 40 * torch.eye(len(new))).abs() / 40
        assert agreement.max() < 0.95
        assert agreement.mean() < 0.2


def test_signs_and_flipped_entries_are_drawn_evenly() -> None:
    task = Task(3, 10, 0.2)
    streams = make_streams(task, 5, 3000, 1, generator())
    new = scenes_of(task, streams)[0][~streams.repeated[0]]
    assert (new[:, 0].mean(0)).abs().max() < 0.1
    flipped = new[:, 1:] != new[:, :1]
    # 2 of 10 entries; each of 45 pairs of them in about 1 frame of 45.
    assert (flipped.float().mean(0) - 0.2).abs().max() < 0.05
    pairs = Counter(tuple(frame.nonzero()[:, 0].tolist()) for frame in flipped.flatten(0, 1))
    shares = torch.tensor([number / len(new) / 2 for number in pairs.values()])
    assert len(shares) == 45
    assert (shares - 1 / 45).abs().max() < 0.015
    # The frames of a scene are drawn one by one.
    same = (flipped[:, 0] == flipped[:, 1]).all(1).float().mean()
    assert abs(same - 1 / 45) < 0.015


def test_a_repeated_scene_comes_in_every_order() -> None:
    task = Task(3, 40, 0.2)
    streams = make_streams(task, 2, 4000, 1, generator())
    scenes, repeated = scenes_of(task, streams)[0], streams.repeated[0]
    orders: Counter = Counter()
    for i in repeated.nonzero()[:, 0].tolist():
        before = scenes[i - 2].tolist()
        orders[tuple(before.index(frame) for frame in scenes[i].tolist())] += 1
    assert set(orders) == set(permutations(range(3)))
    shares = torch.tensor(list(orders.values())) / sum(orders.values())
    assert (shares - 1 / 6).abs().max() < 0.05


@given(
    first=st.integers(1, 3), second=st.integers(1, 3), time=st.integers(1, 3), seed=st.integers(0)
)
def test_streams_do_not_depend_on_how_many_are_drawn_at_once(
    first: int, second: int, time: int, seed: int
) -> None:
    task, source = Task(time, 6, 0.4), generator(seed % 2**32)
    together = make_streams(task, 2, 9, first + second, generator(seed % 2**32))
    parts = [make_streams(task, 2, 9, count, source) for count in (first, second)]
    assert torch.equal(together.frames, torch.cat([part.frames for part in parts]))
    assert torch.equal(together.repeated, torch.cat([part.repeated for part in parts]))


def test_the_generator_decides() -> None:
    task = Task()
    one, same, other = (make_streams(task, 3, 50, 2, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.frames, same.frames)
    assert torch.equal(one.repeated, same.repeated)
    assert not torch.equal(one.frames, other.frames)
    assert not torch.equal(one.repeated, other.repeated)
    assert not torch.equal(one.frames[0], one.frames[1])
    torch.manual_seed(3)
    before = torch.get_rng_state()
    make_streams(task, 3, 50, 2, generator(1))
    assert torch.equal(torch.get_rng_state(), before), "the global generator plays no part"


@pytest.mark.parametrize("interval", [10, 11, 25, 1000])
def test_nothing_repeats_in_a_stream_that_is_too_short(interval: int) -> None:
    assert not make_streams(Task(), interval, 10, 3, generator()).repeated.any()


def test_flips_are_not_lost_to_rounding() -> None:
    for entries in (25, 100, 1000):
        for percent in range(101):
            assert Task(4, entries, percent / 100).flips == entries * percent // 100
    assert Task(4, 25, 0.1).flips == 2
    assert Task(4, 100, 0.29).flips == 29
    assert Task(4, 10, 0.99).flips == 9
    assert Task(4, 7, 1).flips == 7
    assert Task(4, 7, 0).flips == 0


def test_streams_for_training_grow_with_the_interval() -> None:
    assert [scenes_of_training(R) for R in (1, 4, 5, 6, 10, 20)] == [100, 100, 100, 120, 200, 400]
