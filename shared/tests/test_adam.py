"""Adam, held against torch's optimiser."""

import subprocess
import sys

import pytest
import torch

from sharpwave_shared.adam import Adam


def _gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=generator) for shape in ((3, 4), (5,))]


@pytest.mark.parametrize(("weight_decay", "fused"), [(0.0, True), (0.1, True), (0.1, False)])
def test_it_is_torchs(weight_decay: float, fused: bool) -> None:
    own, others = (_gradients(0) for _ in range(2))
    ours = Adam(own, lr=0.02, weight_decay=weight_decay, fused=fused)
    theirs = torch.optim.Adam(others, lr=0.02, weight_decay=weight_decay, fused=fused)
    for step in range(1, 6):
        ours.step(_gradients(step))
        for parameter, gradient in zip(others, _gradients(step), strict=True):
            parameter.grad = gradient
        theirs.step()
    assert ours.steps == 5
    assert all(torch.equal(a, b) for a, b in zip(own, others, strict=True))


def test_it_goes_on_where_it_was() -> None:
    whole, parts = (_gradients(0) for _ in range(2))
    uninterrupted, first = Adam(whole, lr=0.02), Adam(parts, lr=0.02)
    for step in (1, 2):
        first.step(_gradients(step))
    again = Adam(parts, lr=0.02)
    again.load_state_dict(first.state_dict())
    continued = Adam(parts, lr=0.02, means=again.means, squares=again.squares, steps=again.steps)
    for step in (3, 4):
        continued.step(_gradients(step))
    for step in (1, 2, 3, 4):
        uninterrupted.step(_gradients(step))
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_it_does_not_import_torchs_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from sharpwave_shared.adam import Adam\n"
        "Adam([torch.zeros(2)], lr=0.1).step([torch.ones(2)])\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
