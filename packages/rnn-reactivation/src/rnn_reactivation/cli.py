"""The command `rnn-reactivation`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from rnn_reactivation.claims import CLAIMS
from rnn_reactivation.configuration import Configuration, load_configuration
from rnn_reactivation.experiments import PACKAGE, train_networks
from rnn_reactivation.figures import draw
from sharpwave_shared.cli import (
    Common,
    add_run_commands,
    command,
    create_app,
    parse_seeds,
    report_claims,
)
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import InvalidInputError

ROOT = Path("results") / PACKAGE
DEFAULT = "spatial_navigation/noisy_unbiased"
Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG] [KEY=VALUE]...",
        help="A configuration, as a name or a YAML file, and changes of it; also config=..., "
        "seed=....",
        show_default=False,
    ),
]
QUICK = (
    "rnn.hidden_size=64",
    "trainer.n_epochs=300",
    "trainer.batch_size=50",
    "task.{cells}=64",
)
"""What `--quick` makes of training, unless the user says otherwise."""
app = create_app(PACKAGE, "Offline reactivation in recurrent networks trained to track a variable.")


def main() -> None:
    """Run the command line."""
    app()


class Parsed(NamedTuple):
    """What positional arguments say.

    Attributes
    ----------
    configuration
        Name or path of the configuration; None if none is given.
    seeds
        The seed given as `seed=...`, or those of the options.
    overrides
        All other `key=value`.
    """

    configuration: str | None
    seeds: list[int]
    overrides: list[str]


def parse_settings(settings: Sequence[str], common: Common) -> Parsed:
    """Read positional arguments in the original's spelling or in ours.

    Raises
    ------
    InvalidInputError
        If a configuration or a seed is given twice, or a seed is not a whole number.
    """
    names, seeds, overrides = [], [], []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            names.append(setting)
        elif key == "config":
            names.append(value)
        elif key == "seed":
            seeds.append(value)
        else:
            overrides.append(setting)
    if len(names) > 1:
        raise InvalidInputError(f"{names[1]}: a configuration is given already, {names[0]}")
    if len(seeds) > 1 or (seeds and (common.seeds is not None or common.seed != 0)):
        raise InvalidInputError(f"seed={seeds[-1]}: a seed is given twice")
    if seeds and not seeds[0].isdecimal():
        raise InvalidInputError(f"seed={seeds[0]}: a seed is a whole number from 0 to 2^32 - 1")
    found = parse_seeds(None, int(seeds[0])) if seeds else common.seed_list
    return Parsed(names[0] if names else None, found, overrides)


def _results(common: Common) -> Path:
    """Say where all results lie; those of `--quick` have a folder of their own."""
    root = common.out or ROOT
    return root / "quick" if common.quick else root


def _configuration(name: str, overrides: Sequence[str], *, quick: bool) -> Configuration:
    if quick:
        navigation = load_configuration(name).task.name == "spatial_navigation"
        cells = "place_cells_num" if navigation else "head_direction_cells_num"
        given = {override.partition("=")[0] for override in overrides}
        presets = [preset.format(cells=cells) for preset in QUICK]
        overrides = [p for p in presets if p.partition("=")[0] not in given] + [*overrides]
    return load_configuration(name, overrides)


@app.command("train")
@command
def train_command(common: Common, settings: Settings = None) -> None:
    """Train networks of one configuration.

    Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
    """
    given = parse_settings(settings or [], common)
    configuration = _configuration(
        given.configuration or DEFAULT, given.overrides, quick=common.quick
    )
    for run in train_networks(
        _results(common),
        configuration,
        given.seeds,
        resolve_device(common.device),
        common.reporter,
        draw,
        common.formats,
        quick=common.quick,
        resume=common.resume,
        force=common.force,
    ):
        report_claims(run, CLAIMS)
        common.reporter.say(f"results: {run.directory}")


add_run_commands(app, PACKAGE, CLAIMS, draw)
