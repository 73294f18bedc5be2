"""Reconstruction error, and the measure of collapse."""

import pytest
import torch

from sharpwave_shared.seeding import Streams
from sleep_replay.evaluate import COLLAPSED, evaluate
from sleep_replay.model import VAE


def model(count: int = 2, architecture: str = "small") -> VAE:
    generators = [Streams(s).torch("w") for s in range(count)]
    vae = VAE(count, 4, architecture).initialise(generators)  # type: ignore[arg-type]
    return vae.eval()


@pytest.mark.parametrize(("architecture", "count"), [("small", 60), ("large", 3)])
def test_evaluation_equals_the_definition(architecture: str, count: int) -> None:
    """The layout for speed (tiles, one network at a time, batches) changes nothing."""
    vae = model(2, architecture)
    with torch.no_grad():  # else all networks decode all images to nearly the same grey
        for parameter in vae.parameters():
            parameter.mul_(3)
    images = torch.rand(count, vae.image_size, vae.image_size)
    result = evaluate(vae, images)
    with torch.no_grad():
        decoded = vae.reconstruct(images.expand(2, -1, -1, -1))
    torch.testing.assert_close(
        result.errors, (images - decoded).abs().sum((2, 3)), rtol=1e-4, atol=1e-3
    )
    torch.testing.assert_close(
        result.mse, (images - decoded).square().mean((1, 2, 3)), rtol=1e-4, atol=1e-6
    )
    share = decoded.var(1).sum((1, 2)) / images.var(0).sum()
    torch.testing.assert_close(result.carried, share, rtol=1e-3, atol=1e-7)
    assert result.error == pytest.approx(result.errors.mean(1))


def test_a_model_that_always_decodes_the_same_image_has_collapsed(blobs) -> None:
    vae = model()
    with torch.no_grad():
        vae.decoder.dense.weight.zero_()
    result = evaluate(vae, blobs(30, 0).float() / 255)
    assert (result.carried.abs() < 1e-6).all()
    assert (result.carried < COLLAPSED).all()


def test_evaluation_leaves_the_model_alone() -> None:
    vae = model()
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    strides = {name: p.stride() for name, p in vae.named_parameters()}
    evaluate(vae, torch.rand(5, 28, 28))
    assert all(torch.equal(before[n], t) for n, t in vae.state_dict().items())
    assert strides == {name: p.stride() for name, p in vae.named_parameters()}
