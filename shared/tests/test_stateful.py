"""State in attributes: kept under their names, parts by their own states."""

from typing import Any, ClassVar

import pytest
import torch

from sharpwave_shared.stateful import Kept, Stateful


class Part(Kept):
    kept: ClassVar = ("values",)

    def __init__(self, *values: float):
        self.values = torch.tensor(values)
        self.other = "not kept"


class Whole(Kept):
    kept: ClassVar = ("step", "part", "parts", "seen", "layer")

    def __init__(self, step: int = 0):
        self.step, self.part, self.parts = step, Part(step), [Part(1), Part(step)]
        self.seen: list[Any] = [{"at": step}] * step
        self.layer = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.layer.weight, step)


def test_what_is_kept_comes_back_in_place() -> None:
    kept, whole = Whole(3).state_dict(), Whole()
    assert isinstance(whole, Stateful)
    part, parts, layer = whole.part, list(whole.parts), whole.layer
    whole.load_state_dict(kept)
    assert (whole.part, whole.parts, whole.layer) == (part, parts, layer)
    assert (whole.step, whole.seen) == (3, [{"at": 3}] * 3)
    assert [p.values.item() for p in (part, *parts)] == [3, 1, 3]
    assert whole.layer.weight.item() == 3
    assert kept["parts"][1] == {"values": torch.tensor([3.0])}


def test_another_number_of_parts_is_an_error() -> None:
    kept, whole = Whole(3).state_dict(), Whole()
    whole.parts.pop()
    with pytest.raises(ValueError, match="zip"):
        whole.load_state_dict(kept)
