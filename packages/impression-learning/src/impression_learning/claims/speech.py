"""Claims about spoken digits (Figure 4)."""

from impression_learning.claims.common import RELEASE, at_least, falls, reconstructs
from sharpwave_shared.claims import Claim

CLAIMS = [
    Claim(
        "speech-loss",
        "Speech: the loss falls by an order of magnitude.",
        "Figure 4",
        f"3.12e6 -> 2.02e5 ({RELEASE})",
        "every seed: final loss at most 0.1 of the first",
        falls(0.1),
    ),
    Claim(
        "speech-reconstruction",
        "Speech is reconstructed.",
        "Figure 4",
        f"R^2 0.96, correlation 0.994 ({RELEASE})",
        "every seed: R^2 >= 0.93",
        reconstructs(0.93),
    ),
    Claim(
        "speech-dreams",
        "Dreams of speech share its statistics.",
        "Figure 4",
        f"cosine of the correlation matrices of bands 0.995 ({RELEASE})",
        "every seed: cosine >= 0.97",
        at_least("band_cosine", 0.97),
    ),
]
