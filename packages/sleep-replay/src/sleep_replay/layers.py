"""Layers that hold several independent networks at once.

Every parameter has a leading dimension `networks`. Feature maps keep the networks side by side in
the channel dimension, (batch, networks x channels, height, width), so that one grouped convolution
computes all of them; vectors are (networks, batch, features), so that one batched matrix product
does. Networks never mix: each sees its own input and its own weights.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """`networks` affine maps, x -> x W^T + b, with W of shape (networks, outputs, inputs)."""

    def __init__(self, networks: int, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(networks, outputs))

    def forward(
        self, x: Float[Tensor, "networks batch inputs"]
    ) -> Float[Tensor, "networks batch outputs"]:
        """Apply each network's map to its own batch."""
        return _BatchedAffine.apply(x, self.weight, self.bias)


class _BatchedAffine(torch.autograd.Function):
    """Batched x W^T + b whose weight gradient is an outer product when the batch size is 1.

    A batched matrix product with an inner dimension of 1 is many times slower than the same outer
    products by broadcasting, and batch size 1 is what the sleep schedules use.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        weight_gradient = gradient.mT * x if x.shape[1] == 1 else gradient.mT @ x
        return gradient @ weight, weight_gradient, gradient.sum(1)


class StackedConv(nn.Module):
    """`networks` 2-D convolutions with "same" padding, as one grouped convolution.

    The weight is (networks, out, in, kernel, kernel). With stride 2 the output has half the size
    of an even input.
    """

    def __init__(self, networks: int, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(networks, outputs))
        self.stride, self.padding = stride, (kernel - 1) // 2

    def forward(self, x: Float[Tensor, "batch maps h w"]) -> Float[Tensor, "batch outmaps h2 w2"]:
        """Convolve each network's maps with its own kernels."""
        return F.conv2d(
            x,
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            self.stride,
            self.padding,
            groups=len(self.weight),
        )


class StackedConvTranspose(nn.Module):
    """`networks` transposed 3 x 3 convolutions; the output is `stride` times the input's size.

    The weight is (networks, in, out, 3, 3).
    """

    def __init__(self, networks: int, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, inputs, outputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(networks, outputs))
        self.stride = stride

    def forward(self, x: Float[Tensor, "batch maps h w"]) -> Float[Tensor, "batch outmaps h2 w2"]:
        """Upsample each network's maps with its own kernels."""
        return F.conv_transpose2d(
            x,
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            self.stride,
            padding=1,
            output_padding=self.stride - 1,
            groups=len(self.weight),
        )


class StackedBatchNorm(nn.Module):
    """Batch normalisation of each network's channels over its own batch and positions.

    Momentum 0.99 and epsilon 1e-3 are the defaults of the release's framework (Keras); torch
    counts the momentum the other way round.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, networks: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(networks, channels))
        self.bias = nn.Parameter(torch.zeros(networks, channels))
        self.register_buffer("running_mean", torch.zeros(networks, channels))
        self.register_buffer("running_var", torch.ones(networks, channels))

    def forward(self, x: Float[Tensor, "batch maps h w"]) -> Float[Tensor, "batch maps h w"]:
        """Normalise by the batch's statistics in training, by the running ones otherwise."""
        return F.batch_norm(
            x,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.flatten(),
            self.bias.flatten(),
            self.training,
            momentum=0.01,
            eps=1e-3,
        )


def maps_to_vectors(
    maps: Float[Tensor, "batch maps h w"], networks: int
) -> Float[Tensor, "networks batch features"]:
    """Flatten each network's feature maps to one vector per image."""
    return maps.reshape(len(maps), networks, -1).transpose(0, 1)


def vectors_to_maps(
    vectors: Float[Tensor, "networks batch features"], channels: int, size: int
) -> Float[Tensor, "batch maps size size"]:
    """Undo `maps_to_vectors`."""
    networks, batch, _ = vectors.shape
    return vectors.transpose(0, 1).reshape(batch, networks * channels, size, size)
