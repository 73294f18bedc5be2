"""The schedule's arithmetic."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import InvalidInputError
from sleep_replay.schedule import Cycle, Schedule

hundredths = st.integers(0, 100)


def test_default_schedule() -> None:
    cycles = Schedule().cycles()
    assert len(cycles) == 20
    assert cycles[0] == Cycle(4, 1)
    assert cycles[-1] == Cycle(1, 4)
    assert sum(c.nrem + c.rem for c in cycles) == 100
    assert [c.rem for c in cycles] == sorted(c.rem for c in cycles)


@given(st.integers(1, 300), st.integers(1, 300), hundredths, hundredths)
def test_fraction_of_rem_in_exact_arithmetic(total: int, count: int, first: int, last: int) -> None:
    if total < count:
        with pytest.raises(InvalidInputError, match="fewer epochs than cycles"):
            Schedule(total, count, first / 100, last / 100)
        return
    cycles = Schedule(total, count, first / 100, last / 100).cycles()
    start, end = Fraction(first, 100), Fraction(last, 100)
    assert len(cycles) == count
    for index, cycle in enumerate(cycles):
        share = start + (end - start) * Fraction(index, max(count - 1, 1))
        assert cycle.nrem + cycle.rem == total // count
        assert cycle.rem == int(share * (total // count))


def test_one_cycle_takes_the_start_fraction() -> None:
    assert Schedule(10, 1, 0.3, 0.9).cycles() == [Cycle(7, 3)]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ({"num_cycles": 0}, "--num-cycles 0"),
        ({"total_eps": 5, "num_cycles": 6}, "--total-eps 5"),
        ({"start_fraction_rem": -0.1}, "--start-fraction-rem -0.1"),
        ({"end_fraction_rem": 1.5}, "--end-fraction-rem 1.5"),
        ({"end_fraction_rem": float("nan")}, "--end-fraction-rem nan"),
    ],
)
def test_bad_schedules_name_the_option(arguments: dict, option: str) -> None:
    with pytest.raises(InvalidInputError, match=option):
        Schedule(**arguments)
