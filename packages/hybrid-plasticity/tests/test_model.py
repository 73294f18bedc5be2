"""The networks against the plain transcription, and their gradients, in float64."""

import pytest
import torch
from hybrid_made import network
from jaxtyping import TypeCheckError
from torch import Tensor

from hybrid_plasticity import batched, fused
from hybrid_plasticity.configuration import Activation, Configuration, Task
from hybrid_plasticity.model import Parameters, initialise, run_networks
from hybrid_plasticity.reference import plain_network
from hybrid_plasticity.scan import Engine, PlasticLayer, plastic_layer

TASK = Task(2, 5, 0.3)
WIRINGS = [
    network("Nonl_RO", (6, 3), (1,), ("M",), task=TASK),
    network("Nonl_RO", (5,), (0.5,), ("A",), task=TASK),
    network("Memo", (4,), (0,), ("M",), task=TASK),
    network("Memo", (6, 3), (1, 0.5), ("M", "A"), task=TASK),
    network("Memo", (3, 6, 4), (1, 0, 0.5), ("M", "M", "A"), out_dim=2, task=TASK),
    network("Dyn_RO", (6, 5), (1, 1), ("A", "M"), task=TASK),
    network("Dyn_RO", (3, 4, 5), (0, 0.5, 1), ("M", "A", "A"), task=TASK),
    network("Stack", (3, 5), (1, 0), ("A", "M"), task=TASK),
]


def networks(configuration: Configuration, seeds: range) -> Parameters:
    single = [initialise(configuration, seed) for seed in seeds]
    return {
        name: torch.cat([parameters[name] for parameters in single]).double().requires_grad_()
        for name in configuration.shapes
    }


def plain_logits(configuration: Configuration, parameters: Parameters, frames: Tensor) -> Tensor:
    time = configuration.task.scene_time
    rows = []
    for n, streams in enumerate(frames):
        one = {name: values[n] for name, values in parameters.items()}
        outputs = [
            plain_network(configuration.network_type, configuration.plastic_types, one, stream)[0]
            for stream in streams
        ]
        rows.append(torch.stack(outputs)[:, time - 1 :: time].logit())
    return torch.stack(rows)


@pytest.mark.parametrize("configuration", WIRINGS, ids=lambda c: c.folder)
def test_networks_and_gradients_equal_the_plain_transcription(
    configuration: Configuration,
) -> None:
    parameters = networks(configuration, range(2))
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 3, 14, 5, generator=generator, dtype=torch.float64)
    weights = torch.randn(2, 3, 7, configuration.out_dim, generator=generator).double()

    expected = plain_logits(configuration, parameters, frames)
    wanted = torch.autograd.grad((expected * weights).sum(), list(parameters.values()))
    got = run_networks([configuration] * 2, parameters, frames).logits
    torch.testing.assert_close(got, expected)
    found = torch.autograd.grad((got * weights).sum(), list(parameters.values()))
    for name, one, other in zip(parameters, found, wanted, strict=True):
        torch.testing.assert_close(one, other, msg=lambda text, name=name: f"{name}: {text}")
        assert other.abs().max() > 1e-6, f"{name} plays no part"


@pytest.mark.parametrize("engine", [fused, batched])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_gradcheck(engine: Engine, activation: Activation) -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    decay = torch.tensor([0.7, 0.0], dtype=torch.float64, requires_grad=True)
    arguments = (draw(2, 2, 3, 2), draw(2, 2, 3, 5), draw(2, 5, 2), decay)
    lengths = torch.tensor([3, 3])
    assert torch.autograd.gradcheck(
        lambda *tensors: PlasticLayer.apply(engine, *tensors, lengths, activation), arguments
    )


@pytest.mark.parametrize("lengths", [[3, 5], [-1, 2], [3]])
def test_lengths_beyond_the_streams_are_refused(lengths: list[int]) -> None:
    x, drive = torch.zeros(2, 1, 4, 3), torch.zeros(2, 1, 4, 5)
    rates, decay = torch.zeros(2, 5, 3), torch.zeros(2)
    plastic_layer(x, drive, rates, decay, torch.tensor([4, 0]), "tanh")
    with pytest.raises((ValueError, TypeCheckError)):
        plastic_layer(x, drive, rates, decay, torch.tensor(lengths), "tanh")


def test_types_must_agree() -> None:
    x, drive = torch.zeros(1, 1, 4, 3), torch.zeros(1, 1, 4, 5)
    rates, decay = torch.zeros(1, 5, 3).double(), torch.zeros(1)
    with pytest.raises(ValueError, match="a plastic layer of shapes"):
        plastic_layer(x, drive, rates, decay, torch.tensor([4]), "tanh")


@pytest.mark.gpu
def test_an_accelerator_computes_the_same() -> None:
    configuration = WIRINGS[3]
    parameters = networks(configuration, range(3))
    frames = torch.randn(3, 2, 12, 5, dtype=torch.float64)
    expected = run_networks([configuration] * 3, parameters, frames).logits
    wanted = torch.autograd.grad(expected.sum(), list(parameters.values()))
    there = {k: v.detach().cuda().requires_grad_() for k, v in parameters.items()}
    got = run_networks([configuration] * 3, there, frames.cuda()).logits
    torch.testing.assert_close(got.cpu(), expected)
    found = torch.autograd.grad(got.sum(), list(there.values()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.cpu(), other)
