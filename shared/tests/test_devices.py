"""Choosing a device, with hardware as the test says it is."""

import pytest
import torch

from sharpwave_shared.devices import available_devices, describe_device, resolve_device
from sharpwave_shared.errors import ParameterError


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch):
    """Pretend that this machine has so many CUDA devices, and MPS or not."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)

    def pretend(cuda: int, *, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "expected"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, False, "auto", "cuda:0"),
        (2, True, "auto", "cuda:0"),
        (2, True, "cpu", "cpu"),
        (2, True, "mps", "mps"),
        (2, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
    ],
)
def test_device(cuda, mps, name, expected, hardware):
    hardware(cuda, mps=mps)
    assert resolve_device(name) == torch.device(expected)
    on_cuda = expected.startswith("cuda")
    assert torch.backends.cudnn.deterministic == on_cuda
    assert torch.backends.cudnn.benchmark != on_cuda


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "there"),
    [
        (0, False, "cuda", "cpu"),
        (0, False, "mps", "cpu"),
        (2, True, "cuda:2", "cuda:0, cuda:1, mps, cpu"),
        (2, False, "cuda:-1", "cuda:0, cuda:1, cpu"),
        (2, False, "cuda:01", "cuda:0, cuda:1, cpu"),
        (0, True, "gpu", "mps, cpu"),
        (0, False, "CPU", "cpu"),
        (0, False, "cpu:0", "cpu"),
        (0, False, "", "cpu"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_what_is(cuda, mps, name, there, hardware):
    hardware(cuda, mps=mps)
    with pytest.raises(ParameterError) as caught:
        resolve_device(name)
    message = f"device: got {name!r}, expected what this machine has: {there} (auto: the first)"
    assert str(caught.value) == message


def test_every_device_named_here_computes():
    for name in available_devices():
        device = resolve_device(name)
        assert torch.arange(3, device=device).sum().item() == 3
        described = describe_device(device)
        assert described.strip()
        assert "\n" not in described
