"""Model and sleep schedule as the equations say, one network and one image at a time.

This plain version is the oracle of the tests and the baseline of the benchmarks. It shares no
code with the batched model, only the order in which random numbers are drawn, so that both must
give the same numbers up to rounding.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharpwave_shared.seeding import Streams
from sleep_replay.parameters import Night


class PlainVAE(nn.Module):
    """The small variational autoencoder in torch's own layers.

    `leak` is the slope below zero after convolutions, `narrow_leak` that after the narrow layer.
    """

    def __init__(self, latent_dim: int = 20, leak: float = 0.3, narrow_leak: float = 0.3):
        super().__init__()
        self.after = nn.LeakyReLU(leak)
        self.after_narrow = nn.LeakyReLU(narrow_leak)
        self.encoder = nn.ModuleDict(
            {
                "conv1": nn.Conv2d(1, 32, 3, stride=2, padding=1),
                "conv2": nn.Conv2d(32, 64, 3, stride=2, padding=1),
                "dense1": nn.Linear(64 * 7 * 7, 16),
                "dense2": nn.Linear(16, latent_dim),
            }
        )
        self.mean = nn.Linear(latent_dim, latent_dim)
        self.log_var = nn.Linear(latent_dim, latent_dim)
        self.decoder = nn.ModuleDict(
            {
                "dense": nn.Linear(latent_dim, 64 * 7 * 7),
                "deconv1": nn.ConvTranspose2d(64, 64, 3, stride=2, padding=1, output_padding=1),
                "deconv2": nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
                "deconv3": nn.ConvTranspose2d(32, 1, 3, padding=1),
            }
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior of images (batch, 28, 28)."""
        h = self.after(self.encoder["conv1"](x[:, None]))
        h = self.after(self.encoder["conv2"](h))
        h = self.after_narrow(self.encoder["dense1"](h.flatten(1)))
        h = self.encoder["dense2"](h)
        return self.mean(h), self.log_var(h)

    def decode(self, z: Tensor) -> Tensor:
        """Grey levels (batch, 28, 28) of latents (batch, latent)."""
        h = F.relu(self.decoder["dense"](z)).view(-1, 64, 7, 7)
        h = self.after(self.decoder["deconv1"](h))
        h = self.after(self.decoder["deconv2"](h))
        return torch.sigmoid(self.decoder["deconv3"](h))[:, 0]

    def loss(
        self,
        x: Tensor,
        noise: Tensor,
        keep: Tensor,
        kl_weight: float,
        bce: bool = False,
        dropout: float = 0.1,
    ) -> Tensor:
        """Reconstruction loss plus weighted KL divergence, mean over the batch."""
        seen = torch.where(keep, x / (1 - dropout), torch.zeros_like(x))
        mean, log_var = self.encode(seen)
        decoded = self.decode(mean + torch.exp(log_var / 2) * noise)
        if bce:
            reconstruction = -(x * decoded.log() + (1 - x) * (1 - decoded).log())
        else:
            reconstruction = torch.abs(x - decoded)
        kl = -0.5 * (1 + log_var - mean**2 - torch.exp(log_var))
        return (reconstruction.sum((1, 2)) + kl_weight * kl.sum(1)).mean()


def plain_sleep(
    vae: PlainVAE,
    night: Night,
    seed: int,
    new_images: Tensor,
    lr: float = 3e-4,
    kl_weight: float = 0.1,
    kl_warmup: int = 0,
) -> None:
    """Train `vae` in place through a night of sleep, at batch size 1.

    Parameters
    ----------
    vae
        A model that knows data set 1.
    night
        When NREM and REM alternate, on how many images, and who dreams.
    seed
        Seed of everything random.
    new_images
        Grey levels (n, 28, 28) of data set 2.
    lr
        Learning rate of Adam.
    kl_weight, kl_warmup
        Factor of the KL divergence, and over how many steps it rises to it from 0.
    """
    num = night.num
    latent_dim = vae.mean.out_features
    initial = copy.deepcopy(vae)
    dreamer = vae if night.continue_training else initial
    optimizer = torch.optim.Adam(vae.parameters(), lr=lr)
    streams = Streams(seed)
    rising = iter([kl_weight * (n + 1) / kl_warmup for n in range(kl_warmup)])
    for index, cycle in enumerate(night.cycles()):
        generator = streams.torch("sleep", index)
        drawn = torch.randperm(len(new_images), generator=streams.torch("recent memories", index))
        recent, dreams = new_images[drawn[:num]], new_images[:0]
        shuffled = torch.randperm(
            night.epochs_per_cycle * num, generator=streams.torch("mixed", index)
        )
        for epoch in range(cycle.nrem + cycle.rem):
            if epoch == (0 if night.mixed else cycle.nrem):
                latents = torch.randn(num, latent_dim, generator=streams.torch("dreams", index))
                with torch.no_grad():
                    dreams = dreamer.decode(latents.to(new_images))
            if night.mixed:
                both = torch.cat([recent] * cycle.nrem + [dreams] * cycle.rem)
                images = both[shuffled[epoch * num : (epoch + 1) * num]]
            else:
                images = recent if epoch < cycle.nrem else dreams
            order = torch.randperm(num, generator=generator)
            noise = torch.randn(num, latent_dim, generator=generator).to(new_images)
            keep = torch.rand(num, 28, 28, generator=generator) >= 0.1
            for step, i in enumerate(order.tolist()):
                at = slice(step, step + 1)
                optimizer.zero_grad()
                seen = keep[at].to(noise.device)
                weight = next(rising, kl_weight)
                vae.loss(images[i : i + 1], noise[at], seen, weight).backward()
                optimizer.step()
