"""The command `rnn-reactivation`."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from rnn_reactivation.claims import CLAIMS
from rnn_reactivation.configuration import TASKS, Configuration, load_configuration, merge
from rnn_reactivation.experiments import PACKAGE, analysis_spec, stored_models, train_networks
from rnn_reactivation.figures import draw
from rnn_reactivation.reactivation import KINDS, Settings, analyse
from sharpwave_shared.cli import (
    Common,
    Outcome,
    add_run_commands,
    command,
    create_app,
    default_directory,
    execute,
    parse_seeds,
    report_claims,
)
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Run, read_run

CONDITIONS = ("noisy", "no-noise"), ("unbiased", "biased")
ROOT = Path("results") / PACKAGE
DEFAULT = "spatial_navigation/noisy_unbiased"
Changes = Annotated[
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
QUICK_ANALYSIS = {
    "trajectories": 50,
    "steps": 200,
    "samples": 500,
    "variance_trajectories": 50,
    "variance_steps": 400,
    "variance_dropped": 200,
}
"""What `--quick` makes of an analysis."""
REPRODUCED = (
    *(f"{task}/{noise}_{bias}" for task in TASKS for noise, bias in product(*CONDITIONS)),
    "spatial_navigation/noisy_unbiased_gru",
    "spatial_navigation/noisy_biased_gru",
)
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


@app.callback(invoke_without_command=True)
@command
def main_command(common: Common) -> None:
    """Train the noisy network on unbiased navigation, let it sleep, and compare.

    Results lie in TASK/CONFIG_SEED/ and in analysis folders under --out (default:
    results/rnn-reactivation).
    """
    configuration = _configuration(DEFAULT, [], quick=common.quick)
    _train(common, configuration, common.seed_list)
    settings = Settings(configurations=(configuration.name,), **_analysis_presets(common))
    _analyse(common, settings, KINDS, common.seed_list)


@app.command("train")
@command
def train_command(common: Common, settings: Changes = None) -> None:
    """Train networks of one configuration.

    Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
    """
    given = parse_settings(settings or [], common)
    configuration = _configuration(
        given.configuration or DEFAULT, given.overrides, quick=common.quick
    )
    _train(common, configuration, given.seeds)


@app.command("analyze")
@command
def analyze_command(
    common: Common,
    kind: Annotated[
        str, typer.Argument(help="kl, variance, distance, dimensionality, or all of them.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Settings: task, configurations, noise, trajectories, steps, ...; also seed=....",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare trained networks awake and asleep."""
    kinds = _kinds(kind)
    given = parse_settings(settings or [], common)
    if given.configuration is not None:
        raise InvalidInputError(
            f"{given.configuration}: must be KEY=VALUE; configurations=[...] names what is analysed"
        )
    presets = _analysis_presets(common)
    _analyse(common, merge(Settings, [presets], given.overrides), kinds, given.seeds)


@app.command("reproduce")
@command
def reproduce_command(
    common: Common,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG]... [KEY=VALUE]...",
            help="Configurations (default: both tasks' four with vanilla networks, and the GRUs), "
            "and changes that all of them get.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train configurations, analyse them task by task, and verify the claims.

    What is finished is skipped, what was cut off is gone on with. Exit code 1 if a claim is not
    reproduced.
    """
    arguments = settings or []
    names = [s for s in arguments if "=" not in s] or list(REPRODUCED)
    changes = [s for s in arguments if "=" in s]
    seeds = parse_settings([s for s in changes if s.startswith("seed=")], common).seeds
    overrides = [s for s in changes if not s.startswith("seed=")]
    configurations = [_configuration(name, overrides, quick=common.quick) for name in names]
    common.resume = True
    verdicts = []
    for configuration in configurations:
        verdicts += _train(common, configuration, seeds)
    for task in dict.fromkeys(configuration.task.name for configuration in configurations):
        chosen = tuple(c.name for c in configurations if c.task.name == task)
        analysis = Settings(task=task, configurations=chosen, **_analysis_presets(common))
        verdicts.append(_analyse(common, analysis, KINDS, seeds))
    if False in verdicts:
        raise typer.Exit(1)


def _train(common: Common, configuration: Configuration, seeds: Sequence[int]) -> list[bool | None]:
    """Train, and report the claims about training; tell whether they hold."""
    verdicts = []
    for run in train_networks(
        _results(common),
        configuration,
        seeds,
        resolve_device(common.device),
        common.reporter,
        draw,
        common.formats,
        quick=common.quick,
        resume=common.resume,
        force=common.force,
    ):
        verdicts.append(report_claims(run, CLAIMS))
        common.reporter.say(f"results: {run.directory}")
    return verdicts


def _analyse(
    common: Common, settings: Settings, kinds: Sequence[str], seeds: Sequence[int]
) -> bool | None:
    """Analyse in a run directory of its own; tell whether the claims hold."""
    root, device = _results(common), resolve_device(common.device)
    models = stored_models(root, settings, seeds)
    spec = analysis_spec(settings, kinds, models, device, quick=common.quick)

    def work(run: Run) -> Outcome:
        return Outcome(*analyse(models, settings, kinds, device=device, journal=run))

    directory = root / default_directory(spec).name
    execute(common, spec, work, draw, CLAIMS, directory=directory)
    return report_claims(read_run(directory, PACKAGE), CLAIMS)


def _kinds(kind: str) -> tuple[str, ...]:
    if kind == "all":
        return KINDS
    if kind not in KINDS:
        raise InvalidInputError(f"{kind}: must be one of {', '.join((*KINDS, 'all'))}")
    return (kind,)


def _analysis_presets(common: Common) -> dict[str, int]:
    """Give what `--quick` makes of an analysis."""
    return dict(QUICK_ANALYSIS) if common.quick else {}


add_run_commands(app, PACKAGE, CLAIMS, draw)
