"""Groups of command-line options that several commands of this package share."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from sharpwave_shared.cli import Common, parse_numbers
from sharpwave_shared.errors import InvalidInputError
from sleep_replay.experiments import DEFAULT_EVAL_IMAGES, Setup, prepare
from sleep_replay.schedule import Schedule
from sleep_replay.sleep import Condition
from sleep_replay.train import Training

MODEL = "Model and data"
LEARNING = "Learning"
SLEEP = "Sleep"


@dataclass
class ModelOptions:
    """Which data sets, which initial model."""

    inverted: Annotated[
        bool,
        typer.Option(
            "--inverted/--no-inverted",
            help="Data sets 1 and 2: MNIST and MNIST inverted, or digits 0-4 and 5-9.",
            rich_help_panel=MODEL,
        ),
    ] = True
    latent_dim: Annotated[
        int, typer.Option(help="Size of the latent space.", rich_help_panel=MODEL)
    ] = 20
    architecture: Annotated[
        Literal["small", "large"],
        typer.Option(help="28 x 28 pixels, or 64 x 64.", rich_help_panel=MODEL),
    ] = "small"
    use_initial_weights: Annotated[
        bool,
        typer.Option(
            "--use-initial-weights/--no-use-initial-weights",
            help="Start from saved weights if there are any, or train them anew.",
            rich_help_panel=MODEL,
        ),
    ] = True
    dataset: Annotated[
        Literal["auto", "mnist", "mnist-5k"],
        typer.Option(
            help="mnist-5k is the embedded subset, which auto falls back to.",
            rich_help_panel=MODEL,
        ),
    ] = "auto"
    eval_images: Annotated[
        str,
        typer.Option(
            help="Test images of each data set to evaluate, or all.", rich_help_panel=MODEL
        ),
    ] = str(DEFAULT_EVAL_IMAGES)

    def prepare(self, common: Common) -> Setup:
        """Check the options and load the data."""
        return prepare(
            inverted=self.inverted,
            latent_dim=self.latent_dim,
            architecture=self.architecture,
            use_initial_weights=self.use_initial_weights,
            eval_images=self._eval_images(),
            seed=common.seed,
            dataset=self.dataset,
            data_dir=common.data_dir,
            device=common.device,
        )

    def _eval_images(self) -> int | None:
        if self.eval_images == "all":
            return None
        if not self.eval_images.isdecimal():
            raise InvalidInputError(
                f"--eval-images {self.eval_images}: a whole number, or all, is allowed"
            )
        return int(self.eval_images)


@dataclass
class LearningOptions:
    """How the model learns, batch size apart (its default differs between experiments)."""

    lr: Annotated[float, typer.Option(help="Learning rate.", rich_help_panel=LEARNING)] = 1e-3
    kl_weight: Annotated[
        float, typer.Option(help="Factor of the KL divergence.", rich_help_panel=LEARNING)
    ] = 1.0
    reconstruction_loss: Annotated[
        Literal["mae", "bce"],
        typer.Option(help="Absolute difference or binary cross-entropy.", rich_help_panel=LEARNING),
    ] = "mae"
    clip_norm: Annotated[
        float | None,
        typer.Option(help="Largest norm of the gradient.", rich_help_panel=LEARNING),
    ] = None

    def training(self, batch_size: int) -> Training:
        """Check the options and collect them."""
        return Training(
            self.lr, batch_size, self.kl_weight, self.reconstruction_loss, self.clip_norm
        )


@dataclass
class SleepOptions:
    """One condition of sleep."""

    total_eps: Annotated[
        int, typer.Option(help="Epochs over all cycles.", rich_help_panel=SLEEP)
    ] = 100
    num_cycles: Annotated[
        int, typer.Option(help="Cycles, each NREM and then REM.", rich_help_panel=SLEEP)
    ] = 20
    start_fraction_rem: Annotated[
        float, typer.Option(help="Share of REM in the first cycle.", rich_help_panel=SLEEP)
    ] = 0.2
    end_fraction_rem: Annotated[
        float, typer.Option(help="Share of REM in the last cycle.", rich_help_panel=SLEEP)
    ] = 0.8
    num: Annotated[
        int,
        typer.Option(help="Images replayed, and dreamt, per cycle.", rich_help_panel=SLEEP),
    ] = 10
    continue_training: Annotated[
        bool,
        typer.Option(
            "--continue-training/--no-continue-training",
            help="REM dreams with the current model, or with the frozen initial one.",
            rich_help_panel=SLEEP,
        ),
    ] = True

    def label(self) -> str:
        """Name the parameters, for file names."""
        dreamer = "own" if self.continue_training else "frozen"
        return (
            f"{self.total_eps}ep-{self.num_cycles}cycles-rem{self.start_fraction_rem:g}"
            f"to{self.end_fraction_rem:g}-num{self.num}-{dreamer}"
        )

    def condition(self) -> Condition:
        """Check the options and collect them, all but `num`."""
        schedule = Schedule(
            self.total_eps, self.num_cycles, self.start_fraction_rem, self.end_fraction_rem
        )
        return Condition(schedule, self.continue_training)


def batch_size_option() -> typer.models.OptionInfo:
    """Make the option `--batch-size`."""
    return typer.Option(help="Images per step.", rich_help_panel=LEARNING)


def stable_option() -> typer.models.OptionInfo:
    """Make the flag `--stable`."""
    return typer.Option(
        "--stable",
        help="The setting in which the model does not collapse.",
        rich_help_panel=LEARNING,
    )


def parse_ranges(option: str, text: str) -> list[tuple[float, float]]:
    """Parse fractions, `0.5,0.2:0.8` say, into pairs of start and end."""
    pairs = []
    for part in text.split(","):
        start, _, end = part.partition(":")
        (first,), (last,) = parse_numbers(option, start), parse_numbers(option, end or start)
        pairs.append((first, last))
    return pairs
