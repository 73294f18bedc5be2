"""What the latent space holds: which digit, how digits lie, and what lies between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from sharpwave_shared.journal import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import Experience
from sleep_replay.model import VAE, Latents
from sleep_replay.parameters import DATA_SETS, MOMENTS, Learning, Model
from sleep_replay.sleep import as_bytes
from sleep_replay.train import Recorded, Trainer

BATCH = 200
"""Images encoded at once."""

EMBEDDED = 250
"""Images of each data set, at most, that t-SNE arranges."""

GRID_SIDE = 11
"""Images along each side of the decoded grid; odd, so that the mean is in the middle."""

GRID_REACH = 2.0
"""How far the grid reaches from the mean, in standard deviations along each component."""

PAIRS = 5
"""Pairs of test images of each data set, at most, between which latents are interpolated."""

STEPS = 9
"""Latents on the way from one image of a pair to the other, both ends included."""


@torch.inference_mode()
def latent_means(vae: VAE, images: Float[Tensor, "images size size"]) -> Latents:
    """Encode images to the means of their posteriors, with every network.

    One network at a time, so that what a network gives does not depend, by rounding, on which
    others are beside it.
    """
    means = []
    for index in range(vae.networks):
        single = vae.copies(of=index).eval()
        means.append(torch.cat([single.encode(x[None])[0][0] for x in images.split(BATCH)]))
    return torch.stack(means)


def split_labelled(
    labels: Int[np.ndarray, " n"], count: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " labelled"], Int[np.ndarray, " held_out"]]:
    """Choose `count` images at random, as many of each digit as of any other; the rest is held out.

    If a digit has too few images, the others make up for it.
    """
    order = generator.permutation(len(labels))
    earlier = np.zeros(len(labels), dtype=np.int64)  # images of the same digit before this one
    for digit in np.unique(labels):
        same = labels[order] == digit
        earlier[same] = np.arange(same.sum())
    order = order[np.argsort(earlier, kind="stable")]
    return order[:count], order[count:]


def decoding_accuracy(
    latents: Float[np.ndarray, "n latent"],
    labels: Int[np.ndarray, " n"],
    labelled: Int[np.ndarray, " labelled"],
    held_out: Int[np.ndarray, " held_out"],
) -> float:
    """Measure how well digits can be read from latents.

    A support vector machine (radial basis functions; scikit-learn's defaults) learns the digits of
    the labelled images from their standardised latents.

    Returns
    -------
    float
        Fraction of the held-out images whose digit it names correctly.
    """
    # Here, not above: scikit-learn takes seconds to import, and most commands do without it.
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    decoder = make_pipeline(StandardScaler(), SVC())
    decoder.fit(latents[labelled], labels[labelled])
    return float(decoder.score(latents[held_out], labels[held_out]))


def embed(
    latents: Float[np.ndarray, "n latent"], generator: np.random.Generator
) -> Float[np.ndarray, "n 2"]:
    """Arrange latents in the plane by t-SNE (scikit-learn, exact gradients, perplexity 30).

    The perplexity is (n - 1) / 3 for less than 91 latents. Latents that are all the same, as those
    of a collapsed model can be, are all put at the origin.

    Notes
    -----
    van der Maaten & Hinton, JMLR 9, 2579 (2008).
    """
    from sklearn.manifold import TSNE

    centred = latents.astype(np.float64) - latents.mean(0)
    spread = centred.std()
    if spread == 0:
        return np.zeros((len(latents), 2), np.float32)
    method = TSNE(
        perplexity=min(30.0, (len(latents) - 1) / 3),
        init="random",
        # The faster approximation adds up over threads in no particular order.
        method="exact",
        random_state=int(generator.integers(2**31)),
    )
    return method.fit_transform(centred / spread).astype(np.float32)


@dataclass(frozen=True)
class PrincipalPlane:
    """The plane of the two principal components of a set of latents.

    Attributes
    ----------
    mean
        Of the latents.
    directions
        Unit vectors; the entry of largest size is positive. With one latent dimension the second
        is zero.
    deviations
        Standard deviation of the latents along each.
    share
        Share of the latents' variance along each.
    """

    mean: Float[Tensor, " latent"]
    directions: Float[Tensor, "2 latent"]
    deviations: Float[Tensor, "2"]
    share: Float[Tensor, "2"]

    def grid(self, side: int, reach: float) -> Float[Tensor, "side side latent"]:
        """Give latents up to `reach` standard deviations from the mean.

        The second component falls along the first index (from top to bottom of a picture), the
        first one rises along the second (from left to right).
        """
        steps = torch.linspace(-reach, reach, side).to(self.mean)
        along = self.directions * self.deviations[:, None]
        return self.mean + steps[None, :, None] * along[0] - steps[:, None, None] * along[1]


def principal_plane(latents: Float[Tensor, "n latent"]) -> PrincipalPlane:
    """Find the two principal components of latents, in float64."""
    values = latents.double()
    mean = values.mean(0)
    _, singular, directions = torch.linalg.svd(values - mean, full_matrices=False)
    variances = singular.square() / len(values)
    total = variances.sum().clamp(min=torch.finfo(torch.float64).tiny)
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * torch.where(largest < 0, -1.0, 1.0)
    missing = max(0, 2 - len(directions))
    return PrincipalPlane(
        mean.float(),
        torch.cat([directions, directions.new_zeros(missing, len(mean))])[:2].float(),
        torch.cat([variances.sqrt(), variances.new_zeros(missing)])[:2].float(),
        torch.cat([variances / total, variances.new_zeros(missing)])[:2].float(),
    )


def interpolate(
    start: Float[Tensor, "pairs latent"], end: Float[Tensor, "pairs latent"], steps: int
) -> Float[Tensor, "pairs steps latent"]:
    """Give latents on the straight line from start to end, both ends included."""
    weights = torch.linspace(0, 1, steps).to(start)[:, None]
    return torch.lerp(start[:, None], end[:, None], weights)


def pairs_of_different_digits(
    labels: Int[np.ndarray, " n"], count: int, generator: np.random.Generator
) -> Int[np.ndarray, "pairs 2"]:
    """Draw at most `count` pairs of images that show different digits; no image is in two pairs.

    Each pair joins the first image left, in random order, to the next one of another digit.
    """
    left = list(generator.permutation(len(labels)))
    pairs = []
    while len(pairs) < count:
        other = next((i for i in left[1:] if labels[i] != labels[left[0]]), None)
        if other is None:
            break
        pairs.append((left[0], other))
        left = [i for i in left[1:] if i != other]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class Decoding:
    """Measures the decoding accuracy of networks, one per seed, on both data sets.

    Parameters
    ----------
    experience
        Its test images are decoded.
    labelled
        Images of each on which the decoder is trained; those of a seed do not depend on which
        other seeds are beside it.
    seeds
        Of the networks.
    """

    def __init__(self, experience: Experience, labelled: int, seeds: Sequence[int]):
        self.images = [test.all_images() for test in experience.tests]
        self.labels = [test.labels.cpu().numpy() for test in experience.tests]
        self.splits = [
            [
                split_labelled(labels, labelled, Streams(seed).numpy("labelled images", name))
                for labels, name in zip(self.labels, DATA_SETS, strict=True)
            ]
            for seed in seeds
        ]

    def accuracy(self, vae: VAE) -> Float[Tensor, "networks 2"]:
        """Measure the accuracy of every network on both data sets."""
        accuracy = torch.empty(vae.networks, 2)
        for d, (images, labels) in enumerate(zip(self.images, self.labels, strict=True)):
            means = latent_means(vae, images).cpu().numpy()
            for index, splits in enumerate(self.splits):
                accuracy[index, d] = decoding_accuracy(means[index], labels, *splits[d])
        return accuracy

    def chance(self) -> list[float]:
        """For each data set, the share of the most frequent digit among the held-out images."""
        digits = zip(self.labels, self.splits[0], strict=True)
        return [np.bincount(labels[held]).max() / len(held) for labels, (_, held) in digits]


def decode_from_scratch(
    journal: Journal,
    model: Model,
    how: Learning,
    experience: Experience,
    decoding: Decoding,
    seeds: Sequence[int],
    epochs: int,
) -> xr.Dataset:
    """Train networks on data set 1 as `weights.pretrain` does, and decode after every epoch.

    Parameters
    ----------
    journal
        Keeps checkpoints and shows the progress.
    model, how
        What to train, a network for each seed, and how.
    experience
        The data; their device trains.
    decoding
        Measures.
    seeds
        Of initialisation, order, dropout and noise.
    epochs
        How long.

    Returns
    -------
    xarray.Dataset
        `accuracy_from_scratch`, before training (0) and after every epoch, and `loss_from_scratch`.
    """
    streams, train = [Streams(seed) for seed in seeds], experience.old_train
    vae = VAE(len(seeds), model.latent_dim, model.architecture)
    vae.initialise([s.torch("initialisation") for s in streams]).to(train.device)
    training = Recorded(Trainer(vae, how))

    def measure(loss: Tensor) -> None:
        training.rows.append({"loss": loss.cpu(), "accuracy": decoding.accuracy(vae.eval())})

    for epoch in journal.steps("from scratch", epochs, training):
        if epoch == 0:
            measure(torch.full((len(seeds),), torch.nan))
        generators = [s.torch("pretraining", epoch) for s in streams]
        measure(training.trainer.epoch(train.images, len(train), generators))
    loss, accuracy = (
        torch.stack([row[name] for row in training.rows]).numpy() for name in ("loss", "accuracy")
    )
    return xr.Dataset(
        {
            "accuracy_from_scratch": (("training_epoch", "seed", "data_set"), accuracy),
            "loss_from_scratch": (("training_epoch", "seed"), loss),
        },
        {"training_epoch": range(epochs + 1)},
    )


def look_around(before: VAE, after: VAE, decoding: Decoding, seed: int) -> xr.Dataset:
    """Collect what figures show of the latent space of one network, before and after sleep.

    Parameters
    ----------
    before, after
        The network.
    decoding
        Holds the test images and their digits.
    seed
        Chooses what is shown.

    Returns
    -------
    xarray.Dataset
        t-SNE of both data sets together (`embedding`), the latent means (`latent`) and digits
        (`digit`) that it shows; images decoded around the mean of each data set's latents
        (`grid`), standard deviation and share of variance along its principal components (see
        `PrincipalPlane`); and for pairs of images the first, the images decoded on the way from
        its latent mean to that of the second, and the second (`interpolation`).
    """
    streams = Streams(seed)
    count = min(EMBEDDED, *map(len, decoding.images))
    chosen, pairs = [], []
    for name, labels in zip(DATA_SETS, decoding.labels, strict=True):
        chosen.append(streams.numpy("embedded images", name).permutation(len(labels))[:count])
        generator = streams.numpy("interpolated images", name)
        pairs.append(pairs_of_different_digits(labels, PAIRS, generator))
    fewest = min(map(len, pairs))
    moments = []
    for network in (before, after):
        means = [latent_means(network, images)[0] for images in decoding.images]
        planes = [principal_plane(m) for m in means]
        latents = np.stack([m.cpu().numpy()[i] for m, i in zip(means, chosen, strict=True)])
        embedding = embed(np.concatenate([*latents]), streams.numpy("t-SNE"))
        grids = [decode(network, plane.grid(GRID_SIDE, GRID_REACH)) for plane in planes]
        between = [
            _interpolations(network, images, m, torch.from_numpy(p[:fewest]))
            for images, m, p in zip(decoding.images, means, pairs, strict=True)
        ]
        deviations = torch.stack([plane.deviations for plane in planes]).cpu().numpy()
        shares = torch.stack([plane.share for plane in planes]).cpu().numpy()
        shown = {
            "embedding": (("data_set", "embedded", "axis"), embedding.reshape(2, count, 2)),
            "latent": (("data_set", "embedded", "component"), latents),
            "grid": (("data_set", "row", "column", "y", "x"), as_bytes(torch.stack(grids)).numpy()),
            "deviation": (("data_set", "principal"), deviations),
            "share": (("data_set", "principal"), shares),
            "interpolation": (("data_set", "pair", "step", "y", "x"), torch.stack(between).numpy()),
        }
        moments.append(xr.Dataset(shown))
    data = xr.concat(moments, "moment").assign_coords(
        moment=list(MOMENTS), data_set=list(DATA_SETS)
    )
    digits = [labels[i] for labels, i in zip(decoding.labels, chosen, strict=True)]
    return data.assign(digit=(("data_set", "embedded"), np.stack(digits)))


@torch.inference_mode()
def decode(network: VAE, latents: Float[Tensor, "*shape latent"]) -> Float[Tensor, "*shape h w"]:
    """Decode latents of any shape with a single network."""
    decoded = network.decode(latents.reshape(1, -1, latents.shape[-1]))[0]
    return decoded.view(*latents.shape[:-1], *decoded.shape[1:])


def _interpolations(network: VAE, images: Tensor, means: Tensor, pairs: Tensor) -> Tensor:
    start, end = pairs.to(images.device).unbind(1)
    between = decode(network, interpolate(means[start], means[end], STEPS))
    return as_bytes(torch.cat([images[start, None], between, images[end, None]], 1))
