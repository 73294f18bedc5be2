"""Random streams: what they depend on, what they do not, and that they look random."""

import itertools
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.seeding import Streams

seeds = st.integers(0, 2**32 - 1)
purposes = st.lists(st.text(max_size=8) | st.integers(-5, 10**6), min_size=1, max_size=3)


def draw(streams: Streams, *purpose: str | int) -> tuple[bytes, bytes]:
    torch_draw = torch.rand(8, generator=streams.torch(*purpose))
    return streams.numpy(*purpose).random(8).tobytes(), torch_draw.numpy().tobytes()


@given(seeds, purposes, st.lists(purposes, max_size=4))
def test_a_purpose_draws_the_same_whatever_else_is_drawn(seed, purpose, others):
    expected = draw(Streams(seed), *purpose)
    streams = Streams(seed)
    for other in others:
        draw(streams, *other)
    random.random()
    assert draw(streams, *purpose) == expected


@given(seeds, st.lists(purposes, min_size=2, max_size=5, unique_by=tuple))
def test_purposes_draw_differently(seed, different):
    draws = [draw(Streams(seed), *purpose) for purpose in different]
    for first, second in itertools.combinations(draws, 2):
        assert first[0] != second[0]
        assert first[1] != second[1]


def test_purposes_that_look_alike_draw_differently():
    alike = [(), ("a",), ("a", "b"), ("ab",), ("a b",), ("a", 1), ("a1",), ("a", "1"), ("b", "a")]
    assert len({draw(Streams(0), *purpose) for purpose in alike}) == len(alike)


@given(st.lists(seeds, min_size=2, max_size=5, unique=True))
def test_seeds_draw_differently(different):
    assert len({draw(Streams(seed), "noise") for seed in different}) == len(different)


def test_numpy_integers_count_as_integers():
    for number in (np.int64(3), np.uint8(3), np.arange(5)[3]):
        assert draw(Streams(0), "trial", number) == draw(Streams(0), "trial", 3)


@given(purposes, purposes)
def test_child(first, second):
    child = Streams(5).child(*first)
    assert draw(child, *second) == draw(Streams(5), *first, *second)
    assert draw(child, *second) != draw(Streams(6).child(*first), *second)


def test_another_process_draws_the_same():
    # With another hash seed: Python's own hash of strings differs between processes.
    code = """
import json
from sharpwave_shared.seeding import Streams
s = Streams(7)
print(json.dumps([s.numpy("x", 1).integers(10**9, size=4).tolist(), s.torch("x").initial_seed()]))
"""
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    streams = Streams(7)
    assert json.loads(printed) == [
        streams.numpy("x", 1).integers(10**9, size=4).tolist(),
        streams.torch("x").initial_seed(),
    ]


def test_recorded_draws():
    """Published runs rest on these numbers: a change here changes every result."""
    streams = Streams(42)
    assert streams.sequence("noise", 3).generate_state(3).tolist() == [
        3200605986,
        1525306950,
        2684973842,
    ]
    assert streams.torch("noise", 3).initial_seed() == 3275571734906056593


def global_draws() -> tuple[float, float]:
    # Python's own generator is left out: the type checks in the tests draw from it.
    return np.random.random(), float(torch.rand(1))  # noqa: NPY002


def test_streams_leave_the_global_generators_alone():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = global_draws()
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    draw(Streams(9), "anything")
    assert global_draws() == expected


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_bad_seed(seed):
    with pytest.raises(InvalidInputError, match=f"seed: got {seed}, .*0 to 2\\^32 - 1"):
        Streams(seed)
    Streams(2**32 - 1)


def test_first_draws_are_uniform_and_uncorrelated():
    """Over neighbouring seeds and purposes, where a poor derivation would show a pattern."""
    count = 40
    for kind in ("numpy", "torch"):
        draws = np.empty((count, count))
        for seed, trial in np.ndindex(count, count):
            streams = Streams(seed)
            if kind == "numpy":
                draws[seed, trial] = streams.numpy("trial", trial).random()
            else:
                draws[seed, trial] = torch.rand(1, generator=streams.torch("trial", trial))
        # Five standard errors each.
        assert abs(draws.mean() - 0.5) < 5 * np.sqrt(1 / 12) / count
        assert abs(draws.var() - 1 / 12) < 5 * np.sqrt(1 / 180) / count
        for axis in (0, 1):
            first, second = np.delete(draws, -1, axis), np.delete(draws, 0, axis)
            correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
            assert abs(correlation) < 5 / count
