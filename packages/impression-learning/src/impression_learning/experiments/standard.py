"""The standard mode: learn a latent process (Figure 1)."""

from typing import ClassVar

from impression_learning.experiments.common import Data, Latent, Phases, Rules, Sizes


class Standard(Sizes, Data, Phases, Rules, Latent):
    """Let a circuit learn to infer the causes of its input, in one of the modes of the paper.

    The run directory gets the losses, what was learnt, figures, and the verdict on the claims.
    """

    analysed: ClassVar = True
