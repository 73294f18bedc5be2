"""The batched model against the plain one, and its parts against their definitions."""

import pytest
import torch

from sharpwave_shared.seeding import Streams
from sleep_replay.layers import StackedBatchNorm, StackedConv, StackedConvTranspose, _BatchedAffine
from sleep_replay.model import VAE
from sleep_replay.parameters import Architecture
from sleep_replay.reference import PlainVAE

SEEDS = (0, 1, 2)
SLOPES = {"small": (0.0, 0.0), "leaky-conv": (0.3, 0.0), "leaky": (0.3, 0.3)}
"""Below zero, after convolutions and after the narrow layer."""


def networks(
    architecture: Architecture = "leaky", latent_dim: int = 7, count: int = 3
) -> tuple[VAE, list[PlainVAE]]:
    vae = VAE(count, latent_dim, architecture)
    vae.initialise([Streams(s).torch("w") for s in range(count)]).double()
    with torch.no_grad():  # zero biases would hide mistakes in them
        for name, parameter in vae.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn_like(parameter))
    plain = []
    for index in range(count):
        one = PlainVAE(latent_dim, *SLOPES[architecture]).double()
        one.load_state_dict(vae.network_state(index))
        plain.append(one)
    return vae, plain


def draw(batch: int, latent_dim: int = 7, count: int = 3) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(batch)
    x = torch.rand(count, batch, 28, 28, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, batch, latent_dim, generator=generator, dtype=torch.float64)
    keep = torch.rand(count, batch, 28, 28, generator=generator) >= 0.1
    return x, noise, keep


@pytest.mark.parametrize(
    ("architecture", "batch", "loss", "dropout"),
    [
        ("small", 1, "mae", 0.0),
        ("leaky-conv", 4, "bce", 0.3),
        ("leaky", 1, "bce", 0.1),
        ("leaky", 4, "mae", 0.1),
    ],
)
def test_loss_and_gradients_equal_the_plain_model(
    architecture: Architecture, batch: int, loss: str, dropout: float
) -> None:
    vae, plain = networks(architecture)
    x, noise, keep = draw(batch)
    losses = vae.loss(x, noise, keep.double() / (1 - dropout), loss, 0.7)  # type: ignore[arg-type]
    losses.sum().backward()
    for index, one in enumerate(plain):
        expected = one.loss(x[index], noise[index], keep[index], 0.7, loss == "bce", dropout)
        expected.backward()
        torch.testing.assert_close(losses[index], expected, rtol=1e-10, atol=1e-10)
        gradients = dict(vae.named_parameters())
        for name, parameter in one.named_parameters():
            torch.testing.assert_close(
                gradients[name].grad[index], parameter.grad, rtol=1e-8, atol=1e-10
            )


def test_loss_by_hand() -> None:
    """With mean m, log-variance v and constant output, both terms can be written down."""
    vae = VAE(1, 2).double()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        vae.mean.bias[0] = torch.tensor([1.0, -2.0])
        vae.log_var.bias[0] = torch.tensor([0.0, torch.log(torch.tensor(4.0))])
    x = torch.full((1, 1, 28, 28), 0.2, dtype=torch.float64)
    noise = torch.zeros(1, 1, 2, dtype=torch.float64)
    keep = torch.ones(1, 1, 28, 28, dtype=torch.float64)
    kl = 0.5 * (1 + 4) + 0.5 * (4 - 1 - torch.log(torch.tensor(4.0, dtype=torch.float64)))
    expected = 784 * abs(0.2 - 0.5) + 3 * kl
    torch.testing.assert_close(
        vae.loss(x, noise, keep, "mae", 3.0)[0], expected, rtol=1e-6, atol=1e-6
    )


def test_networks_do_not_mix() -> None:
    vae, _ = networks()
    x, noise, keep = draw(2)
    before = vae.loss(x, noise, keep.double() / 0.9)
    x[1] = 1 - x[1]
    after = vae.loss(x, noise, keep.double() / 0.9)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert before[1] != after[1]


@pytest.mark.parametrize("batch", [1, 3])
def test_affine_gradients(batch: int) -> None:
    shapes = ((2, batch, 4), (2, 3, 4), (2, 3))
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(_BatchedAffine.apply, inputs)


def test_sizes_and_parameter_count() -> None:
    vae = VAE(1, 20)
    assert 150_000 < sum(p.numel() for p in vae.parameters()) < 250_000
    large = VAE(2, 6, "large").initialise([Streams(s).torch("w") for s in SEEDS[:2]])
    x = torch.rand(2, 3, 64, 64)
    mean, log_var = large.encode(x)
    assert mean.shape == log_var.shape == (2, 3, 6)
    decoded = large.decode(mean)
    assert decoded.shape == x.shape
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_large_networks_do_not_mix() -> None:
    """Batch normalisation is over each network's own batch."""
    large = VAE(2, 6, "large").initialise([Streams(s).torch("w") for s in SEEDS[:2]])
    x = torch.rand(2, 3, 64, 64)
    before = large.reconstruct(x)
    changed = torch.stack([x[0], x[1] ** 3])
    assert torch.equal(large.reconstruct(changed)[0], before[0])


def test_large_learns_running_statistics() -> None:
    norm = StackedBatchNorm(2, 3)
    x = 5 + 2 * torch.randn(4, 6, 8, 8)
    norm.train()
    for _ in range(500):
        norm(x)
    norm.eval()
    out = norm(x).detach()
    assert norm.running_mean.mean() == pytest.approx(5, abs=0.2)
    assert out.mean() == pytest.approx(0, abs=0.05)
    assert out.std() == pytest.approx(1, abs=0.05)


def test_convolutions_have_same_padding() -> None:
    x = torch.rand(2, 2, 28, 28)
    assert StackedConv(2, 1, 5, kernel=3, stride=2)(x).shape == (2, 10, 14, 14)
    assert StackedConv(2, 1, 5, kernel=4, stride=2)(x).shape == (2, 10, 14, 14)
    assert StackedConvTranspose(2, 1, 5, stride=2)(x).shape == (2, 10, 56, 56)


def test_initialisation_is_glorot_uniform() -> None:
    vae = VAE(2, 20).initialise([Streams(s).torch("w") for s in (3, 4)])
    for name, parameter in vae.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
    weight = vae.encoder.conv2.weight.detach()
    bound = (6 / (9 * (32 + 64))) ** 0.5
    assert 0.98 * bound < weight.abs().max() <= bound
    assert weight.var() == pytest.approx(bound**2 / 3, rel=0.05)
    assert not torch.equal(weight[0], weight[1])
    alone = VAE(1, 20).initialise([Streams(4).torch("w")])
    assert torch.equal(alone.encoder.conv2.weight[0], weight[1])


def test_network_state_round_trip() -> None:
    vae, _ = networks()
    x, *_ = draw(2)
    copy = VAE(2, 7).double().load_network(vae.network_state(1))
    expected = vae.reconstruct(x)[1]
    for index in range(2):
        torch.testing.assert_close(copy.reconstruct(x[[1, 1]])[index], expected)
