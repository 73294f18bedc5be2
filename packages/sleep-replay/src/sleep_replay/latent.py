"""What the latent space holds: which digit, how digits lie, and what lies between them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams
from sleep_replay.data import ImageSet
from sleep_replay.experiments import ScheduleJob
from sleep_replay.model import VAE, Latents
from sleep_replay.sleep import as_bytes
from sleep_replay.slept import DATA_SETS, MOMENTS, Slept, load_part, sleep_once
from sleep_replay.train import Trainer
from sleep_replay.weights import Pretraining

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
    single = VAE(1, vae.latent_dim, vae.architecture).to(images.device).eval()
    means = []
    for index in range(vae.networks):
        single.load_network(vae.network_state(index))
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


@dataclass(frozen=True)
class LatentResult:
    """What is recorded about the latent space.

    The index `moments` is 0 before and 1 after sleep; an index of length 2 after it, or at the end
    of `accuracy`, is the data set (old, new). What is shown is the first seed's.

    Attributes
    ----------
    accuracy
        Decoding accuracy before sleep (0) and after every cycle.
    from_scratch
        Decoding accuracy before a training on data set 1 from scratch (0) and after every epoch;
        without epochs if it was not asked for.
    from_scratch_loss
        Mean training loss of every epoch.
    embedding, latents, labels
        t-SNE of both data sets together, and the latent means and digits it shows.
    grids, deviations, shares
        Images decoded around the mean of each data set's latents, see `PrincipalPlane`; grey
        levels as bytes.
    interpolations
        For each pair of images: the first image, the images decoded on the way from its latent
        mean to that of the second, and the second image; grey levels as bytes.
    slept
        The sleep in between.
    """

    accuracy: Float[np.ndarray, "times seeds 2"]
    from_scratch: Float[np.ndarray, "points seeds 2"]
    from_scratch_loss: Float[np.ndarray, "epochs seeds"]
    embedding: Float[np.ndarray, "moments 2 embedded 2"]
    latents: Float[np.ndarray, "moments 2 embedded latent"]
    labels: Int[np.ndarray, "2 embedded"]
    grids: UInt8[np.ndarray, "moments 2 side side size size"]
    deviations: Float[np.ndarray, "moments 2 2"]
    shares: Float[np.ndarray, "moments 2 2"]
    interpolations: UInt8[np.ndarray, "moments 2 pairs shown size size"]
    slept: Slept


class Decoding:
    """Measures the decoding accuracy of networks, one per seed, on both data sets.

    Parameters
    ----------
    tests
        Test images of both data sets.
    labelled
        Images of each on which the decoder is trained; those of a seed do not depend on which
        other seeds are beside it.
    seeds
        Of the networks.
    """

    def __init__(self, tests: Sequence[ImageSet], labelled: int, seeds: Sequence[int]):
        self.images = [test.all_images() for test in tests]
        self.labels = [test.labels.cpu().numpy() for test in tests]
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


@dataclass(frozen=True)
class LatentJob:
    """What the latent space holds, before, during and after sleep.

    Attributes
    ----------
    schedule
        The sleep; one condition.
    labelled
        Labelled test images of each data set from which the decoder learns; the others are held
        out to test it.
    epochs
        Epochs of a training from scratch on data set 1, to be decoded as well; None: no such
        training.

    Raises
    ------
    InvalidInputError
        If there are fewer labelled images than digits, or none is held out; if a data set's test
        images show a single digit; if `epochs` is less than 1.
    """

    schedule: ScheduleJob
    labelled: int = 200
    epochs: int | None = None

    def __post_init__(self) -> None:
        for test in self._tests():
            digits = len(test.labels.unique())
            if digits < 2:
                raise InvalidInputError(
                    f"--eval-images {len(test)}: these images show one digit only; more are needed"
                )
            if not digits <= self.labelled < len(test):
                raise InvalidInputError(
                    f"--labelled {self.labelled}: from {digits} (the digits) to {len(test) - 1} is "
                    f"allowed with {len(test)} test images (--eval-images)"
                )
        if self.epochs is not None and self.epochs < 1:
            raise InvalidInputError(f"--epochs {self.epochs}: at least 1 is needed")

    def _tests(self) -> tuple[ImageSet, ImageSet]:
        experience = self.schedule.setup.experience
        return experience.old_test, experience.new_test

    def decoding(self) -> Decoding:
        """Prepare the measurement of decoding accuracy."""
        return Decoding(self._tests(), self.labelled, self.schedule.seeds)

    def run(self, journal: Journal) -> LatentResult:
        """Sleep and decode after every cycle; train from scratch and decode; look around."""
        decoding = self.decoding()
        slept = sleep_once(journal, self.schedule, lambda vae: {"accuracy": decoding.accuracy(vae)})
        accuracy, losses = self._from_scratch(journal, decoding)
        journal.reporter.say("t-SNE, grids and interpolations")
        return LatentResult(
            accuracy=slept.observed["accuracy"],
            from_scratch=accuracy.numpy(),
            from_scratch_loss=losses.numpy(),
            **self._shown(decoding, slept),
            slept=slept,
        )

    def _from_scratch(self, journal: Journal, decoding: Decoding) -> tuple[Tensor, Tensor]:
        """Train as `weights.pretrain` does, one network a seed and with the same random numbers."""
        seeds, setup = self.schedule.seeds, self.schedule.setup
        accuracy, losses = torch.zeros(0, len(seeds), 2), torch.zeros(0, len(seeds))
        if self.epochs is None:
            return accuracy, losses
        streams = [Streams(seed) for seed in seeds]
        vae = VAE(len(seeds), setup.model.latent_dim, setup.model.architecture)
        vae.initialise([s.torch("initialisation") for s in streams]).to(setup.device)
        trainer = Trainer(vae, Pretraining().training)
        kept = load_part(journal, "from scratch")
        if kept is not None:
            accuracy, losses = kept.pop("accuracy"), kept.pop("losses")
            trainer.load_state(kept)
        else:
            accuracy = decoding.accuracy(vae.eval())[None]
        train = setup.experience.old_train
        with journal.reporter.progress("from scratch", self.epochs, len(losses)) as advance:
            for epoch in range(len(losses), self.epochs):
                generators = [s.torch("pretraining", epoch) for s in streams]
                loss = trainer.epoch(train.images, len(train), generators)
                losses = torch.cat([losses, loss.cpu()[None]])
                accuracy = torch.cat([accuracy, decoding.accuracy(vae.eval())[None]])
                state = trainer.state() | {"accuracy": accuracy, "losses": losses}
                journal.save_checkpoint(state, part="from scratch")
                advance(1)
        return accuracy, losses

    def _shown(self, decoding: Decoding, slept: Slept) -> dict[str, np.ndarray]:
        """Collect what the figures show of the first seed's networks, as in `LatentResult`."""
        streams = Streams(self.schedule.seeds[0])
        count = min(EMBEDDED, *map(len, decoding.images))
        chosen, pairs = [], []
        for name, labels in zip(DATA_SETS, decoding.labels, strict=True):
            chosen.append(streams.numpy("embedded images", name).permutation(len(labels))[:count])
            generator = streams.numpy("interpolated images", name)
            pairs.append(pairs_of_different_digits(labels, PAIRS, generator))
        fewest = min(map(len, pairs))
        shown: dict[str, list[Any]] = {
            k: []
            for k in ("embedding", "latents", "grids", "deviations", "shares", "interpolations")
        }
        for moment in MOMENTS:
            network = slept.network(moment, 0, self.schedule)
            means = [latent_means(network, images)[0] for images in decoding.images]
            planes = [principal_plane(m) for m in means]
            latents = np.stack([m.cpu().numpy()[i] for m, i in zip(means, chosen, strict=True)])
            embedding = embed(np.concatenate([*latents]), streams.numpy("t-SNE"))
            shown["embedding"].append(embedding.reshape(2, count, 2))
            shown["latents"].append(latents)
            grids = torch.stack([decode(network, p.grid(GRID_SIDE, GRID_REACH)) for p in planes])
            shown["grids"].append(as_bytes(grids))
            shown["deviations"].append(torch.stack([p.deviations for p in planes]).cpu())
            shown["shares"].append(torch.stack([p.share for p in planes]).cpu())
            shown["interpolations"].append(
                torch.stack(
                    [
                        _interpolations(network, images, m, torch.from_numpy(p[:fewest]))
                        for images, m, p in zip(decoding.images, means, pairs, strict=True)
                    ]
                )
            )
        labels = [labels[i] for labels, i in zip(decoding.labels, chosen, strict=True)]
        return {k: np.stack(v) for k, v in shown.items()} | {"labels": np.stack(labels)}


@torch.inference_mode()
def decode(network: VAE, latents: Float[Tensor, "*shape latent"]) -> Float[Tensor, "*shape h w"]:
    """Decode latents of any shape with a single network."""
    decoded = network.decode(latents.reshape(1, -1, latents.shape[-1]))[0]
    return decoded.view(*latents.shape[:-1], *decoded.shape[1:])


def _interpolations(network: VAE, images: Tensor, means: Tensor, pairs: Tensor) -> Tensor:
    start, end = pairs.to(images.device).unbind(1)
    between = decode(network, interpolate(means[start], means[end], STEPS))
    return as_bytes(torch.cat([images[start, None], between, images[end, None]], 1))


def summary(result: LatentResult, chance: Sequence[float]) -> dict[str, Any]:
    """Sum a result up over seeds, for `metrics.json`: mean and standard deviation."""

    def by_set(values: np.ndarray) -> dict[str, Any]:
        return {
            name: {"mean": values[..., d].mean(1), "sd": values[..., d].std(1)}
            for d, name in enumerate(DATA_SETS)
        }

    metrics: dict[str, Any] = {
        "decoding_accuracy": by_set(result.accuracy),
        "chance": dict(zip(DATA_SETS, chance, strict=True)),
        "variance_of_two_components": {
            moment: dict(zip(DATA_SETS, result.shares[m].sum(1), strict=True))
            for m, moment in enumerate(MOMENTS)
        },
        "variance_carried": by_set(result.slept.carried),
    }
    if len(result.from_scratch):
        metrics["decoding_accuracy_from_scratch"] = by_set(result.from_scratch)
        metrics["loss_from_scratch"] = result.from_scratch_loss.mean(1)
    return metrics


def arrays(result: LatentResult, chance: Sequence[float]) -> dict[str, np.ndarray]:
    """Collect what `arrays.npz` holds: the result's own arrays, and the sleep's errors."""
    own = {f.name: getattr(result, f.name) for f in fields(result) if f.name != "slept"}
    sleep = {"sleep_errors": result.slept.errors, "sleep_carried": result.slept.carried}
    return own | sleep | {"chance": np.array(chance)}
