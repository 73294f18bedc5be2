"""Training several networks at once, each on its own images with its own random numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sharpwave_shared.errors import DivergenceError, InvalidInputError
from sleep_replay.model import VAE, ReconstructionLoss

BLOCK = 2048
"""Images for which random numbers are drawn at a time (bounds the memory they take)."""

ImageSource = Callable[[Int[Tensor, "networks batch"]], Float[Tensor, "networks batch size size"]]
"""Gives each network the images at its own indices."""


@dataclass(frozen=True)
class Training:
    """The knobs of training.

    Attributes
    ----------
    lr
        Learning rate of Adam, positive.
    batch_size
        Images per step, at least 1.
    kl_weight
        Factor of the KL divergence in the loss, not negative.
    reconstruction_loss
        `mae` or `bce`, see `VAE.loss`.
    clip_norm
        Largest Euclidean norm of a network's gradient; longer ones are scaled down. None: no
        limit.

    Raises
    ------
    InvalidInputError
        If a value is out of range.
    """

    lr: float = 1e-3
    batch_size: int = 1
    kl_weight: float = 1.0
    reconstruction_loss: ReconstructionLoss = "mae"
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise InvalidInputError(f"--lr {self.lr}: a learning rate is positive")
        if self.batch_size < 1:
            raise InvalidInputError(f"--batch-size {self.batch_size}: at least 1 is needed")
        if not self.kl_weight >= 0:
            raise InvalidInputError(f"--kl-weight {self.kl_weight}: it cannot be negative")
        if self.reconstruction_loss not in ("mae", "bce"):
            raise InvalidInputError(
                f"--reconstruction-loss {self.reconstruction_loss}: mae or bce is allowed"
            )
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InvalidInputError(f"--clip-norm {self.clip_norm}: it must be positive")


class Trainer:
    """Adam on the summed losses of independent networks.

    The gradient of the sum with respect to a network's parameters is that of its own loss, and
    Adam works element by element, so every network learns as if it were alone.

    Parameters
    ----------
    vae
        The networks, changed in place.
    training
        The knobs.
    """

    def __init__(self, vae: VAE, training: Training):
        self.vae, self.training = vae, training
        parameter = next(vae.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.optimizer = torch.optim.Adam(
            vae.parameters(), lr=training.lr, fused=self.device.type in ("cpu", "cuda")
        )
        self.steps = 0

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
                f"{self.steps}; try a smaller --lr or --clip-norm"
            )
        return total / count

    def state(self) -> dict[str, Tensor]:
        """Collect parameters, buffers and Adam's moments, for a checkpoint."""
        adam = self.optimizer.state_dict()["state"]
        moments = {f"adam.{i}.{name}": t for i, slot in adam.items() for name, t in slot.items()}
        return {f"vae.{k}": t for k, t in self.vae.state_dict().items()} | moments

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        vae = self.vae.state_dict()
        self.vae.load_state_dict({name: state[f"vae.{name}"] for name in vae})
        slots: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            if key.startswith("adam."):
                _, index, name = key.split(".")
                slots.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})

    def _step(self, x: Tensor, noise: Tensor, keep: Tensor) -> Tensor:
        loss = self.vae.loss(
            x, noise, keep, self.training.reconstruction_loss, self.training.kl_weight
        )
        self.optimizer.zero_grad()
        loss.sum().backward()
        if self.training.clip_norm is not None:
            self._clip(self.training.clip_norm)
        self.optimizer.step()
        self.steps += 1
        return loss.detach()

    @torch.no_grad()
    def _clip(self, largest: float) -> None:
        gradients = [p.grad for p in self.vae.parameters() if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        scale = (largest / norms).clamp(max=1)
        for gradient in gradients:
            gradient *= scale.view(-1, *[1] * (gradient.dim() - 1))

    def _batches(
        self, count: int, generators: Sequence[torch.Generator], shuffle: bool
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield indices, latent noise and dropout masks, drawn network by network."""
        size, batch = self.vae.image_size, self.training.batch_size
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
            keep = torch.stack(
                [
                    torch.rand(n, size, size, generator=g) >= self.vae.encoder.dropout
                    for g in generators
                ]
            ).to(self.device)
            index = order[:, start : start + n].to(self.device)
            yield from zip(
                index.split(batch, 1), noise.split(batch, 1), keep.split(batch, 1), strict=True
            )


def own_images(images: Float[Tensor, "networks n size size"]) -> ImageSource:
    """Give each network images of its own stack."""
    rows = torch.arange(len(images), device=images.device)[:, None]
    return lambda index: images[rows, index]
