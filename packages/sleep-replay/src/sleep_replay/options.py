"""Groups of command-line options that several commands of this package share."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer
from sharpwave_shared.cli import Common
from sharpwave_shared.errors import InvalidInputError

from sleep_replay.experiments import DEFAULT_EVAL_IMAGES, Setup, prepare
from sleep_replay.train import Training

MODEL = "Model and data"
LEARNING = "Learning"


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


def batch_size_option() -> typer.models.OptionInfo:
    """Make the option `--batch-size`."""
    return typer.Option(help="Images per step.", rich_help_panel=LEARNING)
