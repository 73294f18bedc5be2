"""Training several networks at once, each on its own images with its own random numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sharpwave_shared.adam import Adam
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.stateful import Kept
from sleep_replay.model import VAE
from sleep_replay.parameters import Learning

BLOCK = 2048
"""Images for which random numbers are drawn at a time (bounds the memory they take)."""

ImageSource = Callable[[Int[Tensor, "networks batch"]], Float[Tensor, "networks batch size size"]]
"""Gives each network the images at its own indices."""


class Trainer(Kept):
    """Adam on the summed losses of independent networks.

    The gradient of the sum with respect to a network's parameters is that of its own loss, and
    Adam works element by element, so every network learns as if it were alone.

    Parameters
    ----------
    vae
        The networks, changed in place.
    learning
        How they learn.
    """

    kept: ClassVar = ("vae", "adam")

    def __init__(self, vae: VAE, learning: Learning):
        self.vae, self.learning = vae, learning
        parameter = next(vae.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.adam = Adam(list(vae.parameters()), learning.lr)
        given = learning.input_dropout
        self.dropout = vae.encoder.dropout if given is None else given

    def epoch(
        self,
        source: ImageSource,
        count: int,
        generators: Sequence[torch.Generator],
        *,
        shuffle: bool = True,
    ) -> Float[Tensor, " networks"]:
        """Train once on `count` images of each network; give the mean loss per image.

        Parameters
        ----------
        source
            Gives the images at given indices below `count`.
        count
            Images in the epoch.
        generators
            One CPU generator per network: draws its order of images, its dropout and the noise
            of its latents, so the numbers do not depend on which other networks train beside it.
        shuffle
            Whether each network sees its images in a random order.

        Raises
        ------
        DivergenceError
            If a loss is not finite.
        """
        self.vae.train()
        total = torch.zeros(self.vae.networks, device=self.device)
        for index, noise, keep in self._batches(count, generators, shuffle):
            total += self._step(source(index), noise, keep) * index.shape[1]
        if not torch.isfinite(total).all():
            bad = (~torch.isfinite(total)).nonzero().flatten().tolist()
            raise DivergenceError(
                f"the loss of network {', '.join(map(str, bad))} is not finite after step "
                f"{self.adam.steps}; try a smaller lr or clip_norm"
            )
        return total / count

    @property
    def kl_weight(self) -> float:
        """Factor of the KL divergence in the next step."""
        weight, warmup = self.learning.kl_weight, self.learning.kl_warmup
        return weight * min(1, (self.adam.steps + 1) / warmup) if warmup else weight

    def _step(self, x: Tensor, noise: Tensor, keep: Tensor) -> Tensor:
        loss = self.vae.loss(x, noise, keep, self.learning.reconstruction_loss, self.kl_weight)
        self.vae.zero_grad()
        loss.sum().backward()
        gradients = [p.grad for p in self.vae.parameters() if p.grad is not None]
        if self.learning.clip_norm is not None:
            _clip(gradients, self.learning.clip_norm)
        self.adam.step(gradients)
        return loss.detach()

    def _batches(
        self, count: int, generators: Sequence[torch.Generator], shuffle: bool
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield indices, latent noise and dropout's factors, drawn network by network."""
        size, batch = self.vae.image_size, self.learning.batch_size
        if shuffle:
            order = torch.stack([torch.randperm(count, generator=g) for g in generators])
        else:
            order = torch.arange(count).expand(len(generators), -1)
        block = -(-BLOCK // batch) * batch  # whole batches
        for start in range(0, count, block):
            n = min(block, count - start)
            noise = torch.stack(
                [torch.randn(n, self.vae.latent_dim, generator=g) for g in generators]
            ).to(self.device, self.dtype)
            kept = torch.stack(
                [torch.rand(n, size, size, generator=g) >= self.dropout for g in generators]
            )
            keep = kept.to(self.device, self.dtype) / (1 - self.dropout)
            index = order[:, start : start + n].to(self.device)
            yield from zip(
                index.split(batch, 1), noise.split(batch, 1), keep.split(batch, 1), strict=True
            )


@torch.no_grad()
def _clip(gradients: Sequence[Tensor], largest: float) -> None:
    """Scale down the gradient of each network, of all its parameters, that is longer than this."""
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
    scale = (largest / norms).clamp(max=1)
    for gradient in gradients:
        gradient *= scale.view(-1, *[1] * (gradient.dim() - 1))


class Recorded(Kept):
    """A trainer, and what is measured along its training: all that a checkpoint keeps.

    Attributes
    ----------
    trainer
        The trainer.
    rows
        One tree of numbers or tensors for each time at which something was measured.
    """

    kept: ClassVar = ("trainer", "rows")

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.rows: list[Any] = []


def own_images(images: Float[Tensor, "networks n size size"]) -> ImageSource:
    """Give each network images of its own stack."""
    rows = torch.arange(len(images), device=images.device)[:, None]
    return lambda index: images[rows, index]
