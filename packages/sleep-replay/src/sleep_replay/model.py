"""The generative model: a convolutional variational autoencoder, several networks at once.

The encoder turns an image x into a Gaussian posterior q(z|x), the decoder turns a latent z into an
image; "dreaming" is decoding z ~ N(0, I). Source: the sleep simulations that accompany Spens &
Burgess, "A generative model of memory construction and consolidation" (2024).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sleep_replay.layers import (
    StackedBatchNorm,
    StackedConv,
    StackedConvTranspose,
    StackedLinear,
    maps_to_vectors,
    vectors_to_maps,
)
from sleep_replay.parameters import Architecture, ReconstructionLoss

Images = Float[Tensor, "networks batch size size"]
Latents = Float[Tensor, "networks batch latent"]

LEAK = 0.3
"""Slope of the leaky ReLU below zero (the default of the release's framework)."""


class Leaks(NamedTuple):
    """Slopes of the activations below zero: 0 is the ReLU.

    Those of the convolutions, transposed ones too, and that of the encoder's narrow dense layer;
    the decoder's dense layer always is followed by a ReLU.
    """

    convolutions: float
    narrow: float


LEAKS = {"small": Leaks(0, 0), "leaky-conv": Leaks(LEAK, 0), "leaky": Leaks(LEAK, LEAK)}
"""Of the architectures of 28 x 28 images."""


class SmallEncoder(nn.Module):
    """28 x 28 -> conv 32 -> conv 64 -> dense 16 -> dense `latent_dim`."""

    dropout = 0.1

    def __init__(self, networks: int, latent_dim: int, leaks: Leaks):
        super().__init__()
        self.leaks = leaks
        self.conv1 = StackedConv(networks, 1, 32, kernel=3, stride=2)
        self.conv2 = StackedConv(networks, 32, 64, kernel=3, stride=2)
        self.dense1 = StackedLinear(networks, 64 * 7 * 7, 16)
        self.dense2 = StackedLinear(networks, 16, latent_dim)
        self.features = latent_dim

    def forward(self, x: Images) -> Float[Tensor, "networks batch features"]:
        """Compute the features that the posterior's two heads read."""
        h = F.leaky_relu(self.conv1(x.transpose(0, 1)), self.leaks.convolutions)
        h = F.leaky_relu(self.conv2(h), self.leaks.convolutions)
        h = F.leaky_relu(self.dense1(maps_to_vectors(h, len(x))), self.leaks.narrow)
        return self.dense2(h)


class SmallDecoder(nn.Module):
    """`latent_dim` -> dense 64 x 7 x 7 -> transposed conv 64, 32, 1 -> 28 x 28 logits."""

    def __init__(self, networks: int, latent_dim: int, leaks: Leaks):
        super().__init__()
        self.leaks = leaks
        self.dense = StackedLinear(networks, latent_dim, 64 * 7 * 7)
        self.deconv1 = StackedConvTranspose(networks, 64, 64, stride=2)
        self.deconv2 = StackedConvTranspose(networks, 64, 32, stride=2)
        self.deconv3 = StackedConvTranspose(networks, 32, 1)

    def forward(self, z: Latents) -> Images:
        """Decode latents to the logits of the grey levels."""
        h = vectors_to_maps(F.relu(self.dense(z)), 64, 7)
        h = F.leaky_relu(self.deconv1(h), self.leaks.convolutions)
        h = F.leaky_relu(self.deconv2(h), self.leaks.convolutions)
        return self.deconv3(h).transpose(0, 1)


class LargeEncoder(nn.Module):
    """64 x 64 -> four times (conv 4 x 4, batch norm, leaky ReLU) -> global average pooling."""

    dropout = 0.2
    channels = (1, 32, 64, 128, 256)

    def __init__(self, networks: int, latent_dim: int):
        super().__init__()
        self.convs = nn.ModuleList(
            StackedConv(networks, inputs, outputs, kernel=4, stride=2)
            for inputs, outputs in zip(self.channels, self.channels[1:], strict=False)
        )
        self.norms = nn.ModuleList(StackedBatchNorm(networks, c) for c in self.channels[1:])
        self.features = self.channels[-1]

    def forward(self, x: Images) -> Float[Tensor, "networks batch features"]:
        """Compute the features that the posterior's two heads read."""
        h = x.transpose(0, 1)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.leaky_relu(norm(conv(h)), LEAK)
        return maps_to_vectors(h.mean((2, 3), keepdim=True), len(x))


class LargeDecoder(nn.Module):
    """`latent_dim` -> dense 256 x 4 x 4 -> four times (upsample x 2, conv 3 x 3) -> 64 x 64."""

    channels = (256, 128, 64, 32, 1)

    def __init__(self, networks: int, latent_dim: int):
        super().__init__()
        self.dense = StackedLinear(networks, latent_dim, 256 * 4 * 4)
        self.convs = nn.ModuleList(
            StackedConv(networks, inputs, outputs, kernel=3)
            for inputs, outputs in zip(self.channels, self.channels[1:], strict=False)
        )
        self.norms = nn.ModuleList(StackedBatchNorm(networks, c) for c in self.channels[1:-1])

    def forward(self, z: Latents) -> Images:
        """Decode latents to the logits of the grey levels."""
        h = vectors_to_maps(self.dense(z), 256, 4)
        for index, conv in enumerate(self.convs):
            h = conv(F.interpolate(h, scale_factor=2, mode="nearest"))
            if index < len(self.norms):
                h = F.leaky_relu(self.norms[index](h), LEAK)
        return h.transpose(0, 1)


def image_size(architecture: Architecture) -> int:
    """Give the side length of the images of an architecture, in pixels."""
    return 64 if architecture == "large" else 28


class VAE(nn.Module):
    """`networks` independent variational autoencoders.

    Parameters
    ----------
    networks
        How many; the leading dimension of every parameter, input and output.
    latent_dim
        Size of the latent space, at least 1.
    architecture
        `small`: 28 x 28 images, about 0.2 M parameters at latent size 20. `leaky-conv` and `leaky`:
        the same with leaky ReLUs, see `LEAKS`. `large`: 64 x 64 images, with batch normalisation.

    Notes
    -----
    The release pads stride-2 convolutions at the bottom and right, this model at the top and
    left: the same network in the mirror. A new model's parameters are uninitialised memory until
    `initialise` or `load_network` fills them.
    """

    def __init__(
        self, networks: int = 1, latent_dim: int = 20, architecture: Architecture = "leaky"
    ):
        super().__init__()
        self.networks, self.latent_dim = networks, latent_dim
        self.architecture: Architecture = architecture
        self.image_size = image_size(architecture)
        if architecture == "large":
            self.encoder: SmallEncoder | LargeEncoder = LargeEncoder(networks, latent_dim)
            self.decoder: SmallDecoder | LargeDecoder = LargeDecoder(networks, latent_dim)
        else:
            self.encoder = SmallEncoder(networks, latent_dim, LEAKS[architecture])
            self.decoder = SmallDecoder(networks, latent_dim, LEAKS[architecture])
        self.mean = StackedLinear(networks, self.encoder.features, latent_dim)
        self.log_var = StackedLinear(networks, self.encoder.features, latent_dim)

    def initialise(self, generators: Sequence[torch.Generator]) -> "VAE":
        """Draw Glorot-uniform weights and zero biases, one generator (on the CPU) per network."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
                elif parameter.dim() > 2:  # batch norm's scales keep their ones
                    for weight, generator in zip(parameter, generators, strict=True):
                        drawn = torch.empty(weight.shape)
                        weight.copy_(nn.init.xavier_uniform_(drawn, generator=generator))
        return self

    def network_state(self, index: int) -> dict[str, Tensor]:
        """Copy the parameters of one network, without the leading dimension."""
        return {name: tensor[index].clone() for name, tensor in self.state_dict().items()}

    def load_network(self, state: dict[str, Tensor]) -> "VAE":
        """Give every network the parameters of one (as `network_state` returns them)."""
        own = self.state_dict()
        self.load_state_dict({k: state[k].expand_as(v) for k, v in own.items()})
        return self

    def copies(self, count: int = 1, of: int = 0) -> "VAE":
        """Make a model of `count` networks that all are like one of these."""
        device = next(self.parameters()).device
        copied = VAE(count, self.latent_dim, self.architecture).to(device)
        return copied.load_network(self.network_state(of))

    def encode(self, x: Images) -> tuple[Latents, Latents]:
        """Mean and log-variance of q(z|x), for grey levels in [0, 1]."""
        h = self.encoder(x)
        return self.mean(h), self.log_var(h)

    def decode(self, z: Latents) -> Images:
        """Decode latents to grey levels in [0, 1]."""
        return torch.sigmoid(self.decoder(z))

    def reconstruct(self, x: Images) -> Images:
        """Decode the posterior mean."""
        return self.decode(self.encode(x)[0])

    def loss(
        self,
        x: Images,
        noise: Latents,
        keep: Images,
        reconstruction_loss: ReconstructionLoss = "mae",
        kl_weight: float = 1.0,
    ) -> Float[Tensor, " networks"]:
        """Reconstruction loss plus weighted KL divergence, mean over the batch.

        Parameters
        ----------
        x
            Grey levels in [0, 1].
        noise
            Standard normal; z = mean + exp(log_var / 2) noise.
        keep
            Factors of the input's pixels: 1 / (1 - dropout) where dropout keeps them, 0 elsewhere.
        reconstruction_loss
            `mae`: sum over pixels of |x - x̂|. `bce`: binary cross-entropy, summed over pixels.
        kl_weight
            Factor of KL(q(z|x) || N(0, I)).
        """
        mean, log_var = self.encode(x * keep)
        z = mean + torch.exp(0.5 * log_var) * noise
        logits = self.decoder(z)
        if reconstruction_loss == "mae":
            distance = (x - torch.sigmoid(logits)).abs()
        else:
            distance = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        divergence = 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
        return distance.sum((2, 3)).mean(1) + kl_weight * divergence.sum(2).mean(1)
