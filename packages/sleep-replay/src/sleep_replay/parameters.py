"""Parameters that several experiments share, and that the science reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.parameters import Above, AtLeast, Between, Parameters

Architecture = Literal["small", "leaky-conv", "leaky", "large"]
Setting = Literal["working", "published", "released"]
ReconstructionLoss = Literal["mae", "bce"]
DatasetName = Literal["auto", "mnist", "mnist-5k"]
Corruption = Literal["zero", "noise"]
Fraction = Annotated[float, Between(0, 1)]

MOST_IMAGES = 60_000
"""Images of MNIST's training set."""
MOST_TEST_IMAGES = 10_000
"""Images of MNIST's test set."""
DEFAULT_EVAL_IMAGES = 500

DATA_SETS = ("old", "new")
"""What data sets 1 and 2 are called in results."""
MOMENTS = ("before", "after")
"""What is measured before and after sleep is told apart by these words."""


_RELEASES: dict[str, Any] = {"lr": 1e-3, "kl_weight": 1.0, "input_dropout": 0.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "working": {},
    "published": _RELEASES
    | {
        "architecture": "leaky-conv",
        "latent_dim": 5,
        "reconstruction_loss": "bce",
        "num": 50,
        "continue_training": False,
    },
    "released": _RELEASES | {"architecture": "small", "continue_training": True},
}
"""What a setting makes of parameters that are not given. `working`: the defaults, in which memories
last. `published`: the configuration of the published figures, of 2023. `released`: that of the code
as it is released now, in which networks collapse."""
PRETRAINING: dict[str, dict[str, Any]] = {
    "working": {},
    "published": {},
    "released": {"batch_size": 32},
}
"""What a setting makes of the parameters of `Pretraining` that are not given."""
IMAGES_SEEN = {"working": 80_000, "published": 480_000, "released": 480_000}
"""Images that initial models of a setting are trained on, each counted as often as it is seen. In
the setting that works not many: nights of a model that saw MNIST three times end in collapse."""


class Model(Parameters):
    """Which data sets, and which initial model."""

    panel: ClassVar = "Model and data"
    settings: ClassVar = SETTINGS

    setting: Setting = "working"
    """What holds where nothing is given: what works, or the published or released values."""
    inverted: bool = True
    """Data sets 1 and 2: MNIST and MNIST inverted, or digits 0-4 and 5-9."""
    latent_dim: Annotated[int, Between(1, 1000)] = 20
    """Size of the latent space."""
    architecture: Architecture = "leaky"
    """ReLU (small), or leaky ReLU after convolutions or the narrow layer too; 64 x 64 pixels."""
    use_initial_weights: bool = True
    """Start from saved weights if there are any, or train them anew."""
    dataset: DatasetName = "auto"
    """mnist-5k is the embedded subset, which auto falls back to."""
    eval_images: Annotated[int, Between(2, MOST_TEST_IMAGES)] | Literal["all"] | None = None
    """Test images of each data set to evaluate, or all. Default: 500, or what there is."""

    @model_validator(mode="wrap")
    @classmethod
    def _of_setting(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        """Give what is not given the values of the setting."""
        if not isinstance(values, Mapping):
            return handler(values)
        setting = cls.settings.get(values.get("setting", "working"), {})
        filled = {k: v for k, v in setting.items() if k in cls.model_fields and k not in values}
        made = handler({**values, **filled})
        made.model_fields_set.difference_update(filled)  # another setting may be put in its place
        return made

    @property
    def model_name(self) -> str:
        """Name of the initial model's files, without suffix."""
        old = "mnist" if self.inverted else "mnist-0-4"
        return f"{old}-{self.architecture}-{self.latent_dim}"

    def pretraining_epochs(self, images: int) -> int:
        """Tell for how many epochs, of so many images, an initial model is trained."""
        return max(1, round(IMAGES_SEEN[self.setting] / images))


class Learning(Parameters):
    """How networks learn."""

    panel: ClassVar = "Learning"

    lr: Annotated[float, Above(0, 1e38)] = 3e-4
    """Learning rate of Adam."""
    batch_size: Annotated[int, Between(1, MOST_IMAGES)] = 1
    """Images per step."""
    kl_weight: Annotated[float, Between(0, 1e6)] = 0.1
    """Factor of the KL divergence."""
    kl_warmup: Annotated[int, Between(0, 1_000_000_000)] = 0
    """Steps over which that factor rises from 0 to its value."""
    reconstruction_loss: ReconstructionLoss = "mae"
    """Absolute difference or binary cross-entropy."""
    input_dropout: Annotated[float, AtLeast(0, below=1)] | None = None
    """Share of the input's pixels that are lost in training. Default: 0.1; large: 0.2."""
    clip_norm: Annotated[float, Above(0, 1e12)] | None = None
    """Largest Euclidean norm of a network's gradient; longer ones are scaled down."""


class BatchLearning(Learning):
    """How networks learn that see many images."""

    batch_size: Annotated[int, Between(1, MOST_IMAGES)] = 32


class Pretraining(BatchLearning):
    """How an initial model is trained."""

    lr: Annotated[float, Above(0, 1e38)] = 1e-3
    batch_size: Annotated[int, Between(1, MOST_IMAGES)] = 64
    kl_weight: Annotated[float, Between(0, 1e6)] = 1.0
    epochs: Annotated[int, Between(1, 10_000)] | None = None
    """At most this many. Default: what suits the setting, of MNIST 1 (working) or 8."""
    patience: Annotated[int, Between(1, 10_000)] = 3
    """Stop after this many epochs without a better training loss."""


@dataclass(frozen=True)
class Cycle:
    """One sleep cycle: epochs of NREM, then epochs of REM."""

    nrem: int
    rem: int


class Nights(Parameters):
    """What nights of one experiment have in common."""

    panel: ClassVar = "Sleep"

    total_eps: Annotated[int, Between(1, 1_000_000)] = 100
    """Epochs over all cycles."""
    num: Annotated[int, Between(1, MOST_IMAGES)] = 10
    """Images replayed, and dreamt, per cycle."""
    continue_training: bool = False
    """REM dreams with the current model, or with the frozen initial one."""
    num_dreams: Annotated[int, Between(1, MOST_IMAGES)] | None = None
    """Dreams per cycle; an epoch of REM is `num` of them, in turn. Default: as many as num."""
    draws: Annotated[int, Between(1, 1000)] = 1
    """Dreams drawn for each one kept, which the dreamer reconstructs best."""
    mixed: bool = False
    """Learn a cycle's new images and dreams in one shuffled order, not one kind after the other."""

    @property
    def dreams(self) -> int:
        """Dreams per cycle."""
        return self.num if self.num_dreams is None else self.num_dreams


class Night(Nights):
    """A night of sleep: when a model replays recent experience (NREM) and when it dreams (REM).

    The fraction of REM changes linearly from the first to the last cycle, rounded down to whole
    epochs.
    """

    num_cycles: Annotated[int, Between(1, 1_000_000)] = 20
    """Cycles, each NREM and then REM."""
    start_fraction_rem: Fraction = 0.2
    """Share of REM in the first cycle."""
    end_fraction_rem: Fraction = 0.8
    """Share of REM in the last cycle."""

    def check(self) -> None:
        """Check that every cycle has an epoch."""
        super().check()
        if self.total_eps < self.num_cycles:
            raise ParameterError(
                "total_eps", self.total_eps, f"at least an epoch a cycle ({self.num_cycles})"
            )

    @property
    def epochs_per_cycle(self) -> int:
        """Epochs of each cycle; what `total_eps` leaves over is not trained."""
        return self.total_eps // self.num_cycles

    def cycles(self) -> list[Cycle]:
        """List the cycles in order."""
        epochs = self.epochs_per_cycle
        rises = self.end_fraction_rem - self.start_fraction_rem
        cycles = []
        for index in range(self.num_cycles):
            fraction = self.start_fraction_rem + rises * index / max(self.num_cycles - 1, 1)
            # The small term keeps 0.57 x 100 at 57: in binary it is 56.99999999999999.
            rem = int(fraction * epochs + 1e-9)
            cycles.append(Cycle(epochs - rem, rem))
        return cycles
