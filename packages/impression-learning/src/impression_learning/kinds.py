"""Names and numbers that parameters and the science share; nothing heavy is imported here."""

from typing import Literal

Algorithm = Literal["impression", "reinforce", "backprop", "backprop-alternating"]
ThirdFactor = Literal["gradient", "released"]
Phases = Literal["alternating", "awake", "asleep"]
SpeechName = Literal["fsdd", "synthetic"]

NOISE = 0.01
"""Standard deviation of all noise but that of the top layer's transition."""
TIME_STEP = 0.1
"""Time step of the latent process."""
SPEECH_SIZES = (128, 100, 40)
"""Units of the network that learns speech: mel bands, layer 1, layer 2."""
TEST_TAKES = 5
"""The takes 0 to 4 of each speaker and digit are the test set."""
TAKES = 50
"""Takes of each speaker and digit that there are."""
