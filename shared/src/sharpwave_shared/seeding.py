"""Random numbers that depend on a seed and a purpose, and on nothing else."""

import hashlib
import operator
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
import torch

from sharpwave_shared.errors import ParameterError


def check_seed(seed: SupportsIndex) -> int:
    """Give a seed as Python's integer if it is a whole number from 0 to 2^32 - 1.

    Raises
    ------
    ParameterError
        If it is not.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise ParameterError("seed", seed, "a whole number from 0 to 2^32 - 1")
    return number


@dataclass(frozen=True)
class Streams:
    """Independent random streams, one per purpose, all derived from one seed.

    A purpose is a sequence of words and numbers: `streams.torch("noise", cycle)`. Each purpose is
    a child of the seed's `numpy.random.SeedSequence` whose spawn key is a hash of the purpose, so
    a draw added for one purpose never shifts another, and asking again for the same purpose starts
    the same stream again. A resumed run therefore needs no saved generator states.
    """

    seed: SupportsIndex
    prefix: tuple[str | SupportsIndex, ...] = ()

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def child(self, *purpose: str | SupportsIndex) -> "Streams":
        """Give the streams of a part of the work, a trial say, independent of all others.

        `streams.child("trial", 3).numpy("noise")` is `streams.numpy("trial", 3, "noise")`.
        """
        return Streams(self.seed, (*self.prefix, *purpose))

    def sequence(self, *purpose: str | SupportsIndex) -> np.random.SeedSequence:
        """Give the seed sequence of a purpose."""
        words = (*self.prefix, *purpose)
        # NumPy's integers count as Python's; their repr depends on NumPy's version.
        key = tuple(word if isinstance(word, str) else operator.index(word) for word in words)
        digest = hashlib.sha256(repr(key).encode()).digest()
        spawn_key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        return np.random.SeedSequence(operator.index(self.seed), spawn_key=spawn_key)

    def numpy(self, *purpose: str | SupportsIndex) -> np.random.Generator:
        """Give a NumPy generator for a purpose."""
        return np.random.default_rng(self.sequence(*purpose))

    def torch(
        self, *purpose: str | SupportsIndex, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        """Give a torch generator for a purpose, on `device`."""
        state = self.sequence(*purpose).generate_state(1, np.uint64)[0]
        # torch takes seeds below 2^63 on every device.
        return torch.Generator(device).manual_seed(int(state) >> 1)
