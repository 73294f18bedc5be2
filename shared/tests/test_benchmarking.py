import time

import torch

from sharpwave_shared.benchmarking import alternate


def test_sides_take_turns_and_the_first_turn_does_not_count() -> None:
    calls: list[str] = []

    def slow_at_first() -> None:
        if "one" not in calls:
            time.sleep(0.2)
        calls.append("one")

    sides = {"one": slow_at_first, "other": lambda: calls.append("other")}
    seconds = alternate(sides, 3, torch.device("cpu"))
    assert calls == ["one", "other"] * 4
    assert seconds.keys() == sides.keys()
    assert seconds["one"] < 0.2
