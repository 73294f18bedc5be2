"""Claims about the standard mode (Figure 1)."""

from impression_learning.claims.common import (
    ALTERNATION,
    RELEASE,
    TIME_CONSTANT,
    falls,
    reconstructs,
)
from sharpwave_shared.claims import Claim

CLAIMS = [
    Claim(
        "loss-falls",
        "The loss falls through learning.",
        "Figure 1",
        f"29,400 -> 5,590 ({RELEASE})",
        "every seed: final loss at most 0.3 of the first",
        falls(0.3),
    ),
    Claim(
        "reconstruction",
        "The circuit reconstructs its input.",
        "Figure 1",
        f"R^2 0.992, correlation 0.996 ({RELEASE})",
        "every seed: R^2 >= 0.97",
        reconstructs(0.97),
    ),
    TIME_CONSTANT,
    ALTERNATION,
]
