"""How well a model reconstructs images, and whether it has collapsed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from sleep_replay.layers import StackedConvTranspose
from sleep_replay.model import VAE, SmallDecoder

BATCH = 50
"""Images that a CPU decodes at once: their feature maps stay in its second-level cache."""
LARGE_BATCH = 2000
"""Images that an accelerator decodes at once."""

COLLAPSED = 0.1
"""A model whose reconstructions carry less of the images' variance than this has collapsed."""


def collapsed(carried: xr.DataArray) -> xr.DataArray:
    """Tell which networks have collapsed, by the shares of variance that they carry.

    Those do that carry none on any data set: a network that has forgotten one still carries the
    other.
    """
    return (carried < COLLAPSED).all("data_set")


@dataclass(frozen=True)
class Evaluation:
    """Reconstructions of a set of test images, summed up, for several networks.

    Attributes
    ----------
    errors
        Summed absolute difference between image and reconstruction, per image.
    mse
        Squared difference, mean over pixels and images.
    carried
        Share of the images' variance that the reconstructions carry: the variance of the
        reconstructions over images, summed over pixels, divided by that of the images. A network
        that decodes every input to the same image carries none.
    """

    errors: Float[Tensor, "networks images"]
    mse: Float[Tensor, " networks"]
    carried: Float[Tensor, " networks"]

    @property
    def error(self) -> Float[Tensor, " networks"]:
        """Mean reconstruction error."""
        return self.errors.mean(1)

    @property
    def standard_error(self) -> Float[Tensor, " networks"]:
        """Standard error of that mean, over images."""
        return self.errors.std(1) / self.errors.shape[1] ** 0.5


@torch.inference_mode()
def evaluate(
    vae: VAE,
    images: Float[Tensor, "images size size"],
    seen: Float[Tensor, "images size size"] | None = None,
) -> Evaluation:
    """Reconstruct images from the posterior mean with every network.

    The networks are shown `seen` instead of the images, if it is given: damaged copies, say.

    Networks are evaluated one after the other: with many images to decode, grouping them gains
    nothing, and one network's weights can be laid out for speed.
    """
    batch = BATCH if images.device.type == "cpu" else LARGE_BATCH
    errors = torch.empty(vae.networks, len(images), device=images.device)
    sums = images.new_zeros(3, vae.networks, *images.shape[1:], dtype=torch.float64)
    for index in range(vae.networks):
        network = single(vae, index)
        for start in range(0, len(images), batch):
            x = images[start : start + batch]
            shown = x if seen is None else seen[start : start + batch]
            decoded = network.reconstruct(shown[None])[0]
            errors[index, start : start + batch] = (x - decoded).abs().sum((1, 2))
            sums[2, index] += (x - decoded).square().sum(0)
            sums[0, index] += decoded.sum(0)
            sums[1, index] += decoded.square().sum(0)
    mean, mean_square, squared_error = sums / len(images)
    carried = (mean_square - mean.square()).sum((1, 2))
    carried /= images.double().var(0, correction=0).sum()
    return Evaluation(errors, squared_error.mean((1, 2)).float(), carried.float())


def constant_error(images: Float[Tensor, "images size size"]) -> float:
    """Give the error of the constant image that fits best: the median of each pixel."""
    return float((images - images.median(0).values).abs().sum((1, 2)).mean())


def single(vae: VAE, index: int) -> VAE:
    """Copy one network into a model laid out for decoding many images on its device."""
    network = vae.copies(of=index).eval()
    if next(network.parameters()).device.type != "cpu":
        return network
    for parameter in network.parameters():
        if parameter.dim() == 5:
            parameter.data = parameter.data[0].to(memory_format=torch.channels_last)[None]
    if isinstance(network.decoder, SmallDecoder):
        tiled = _TiledConvTranspose(network.decoder.deconv3)
        network.decoder.register_module("deconv3", tiled)
    return network


class _TiledConvTranspose(nn.Module):
    """A transposed 3 x 3 convolution of stride 1 to one map, as one with stride 4 to 16 maps.

    CPU kernels compute 16 output channels at once, so a single one wastes most of the work.
    Here the 16 channels are the pixels of a 4 x 4 tile of the output.
    """

    def __init__(self, layer: StackedConvTranspose):
        super().__init__()
        weight, self.bias = layer.weight[0], layer.bias[0]
        kernel = weight[:, 0].flip(1, 2)
        tiles = [
            F.pad(kernel, (column, 3 - column, row, 3 - row))
            for row in range(4)
            for column in range(4)
        ]
        self.weight = torch.stack(tiles).contiguous(memory_format=torch.channels_last)

    def forward(self, x: Float[Tensor, "batch maps h w"]) -> Float[Tensor, "batch 1 h w"]:
        tiles = F.conv2d(x, self.weight, self.bias.expand(16), stride=4, padding=1)
        return F.pixel_shuffle(tiles, 4)
