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
from sharpwave_shared.claims import Claim
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
from sharpwave_shared.runs import Run, StoredRun, read_run

CONDITIONS = ("noisy", "no-noise"), ("unbiased", "biased")
ROOT = Path("results") / PACKAGE
DEFAULT = "spatial_navigation/noisy_unbiased"
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG]... [KEY=VALUE]...",
        help="Configurations, as names or YAML files, and changes of them; also config=..., "
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
    configurations
        Names or paths of configurations.
    seeds
        The seed given as `seed=...`, or those of the options.
    overrides
        All other `key=value`.
    """

    configurations: list[str]
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
    if len(set(names)) < len(names):
        raise InvalidInputError(f"{', '.join(names)}: a configuration is given twice")
    if len(seeds) > 1 or (seeds and (common.seeds is not None or common.seed != 0)):
        raise InvalidInputError(f"seed={seeds[-1]}: a seed is given twice")
    if seeds and not seeds[0].isdecimal():
        raise InvalidInputError(f"seed={seeds[0]}: a seed is a whole number from 0 to 2^32 - 1")
    found = parse_seeds(None, int(seeds[0])) if seeds else common.seed_list
    return Parsed(names, found, overrides)


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
    report_claims(_train(common, configuration, common.seed_list), CLAIMS)
    settings = _settings(common, configuration.task.name, (configuration.name,))
    _analyse(common, settings, KINDS, common.seed_list)


@app.command("train")
@command
def train_command(common: Common, settings: Changes = None) -> None:
    """Train networks.

    Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
    """
    given = parse_settings(settings or [], common)
    names = given.configurations or [DEFAULT]
    configurations = [_configuration(n, given.overrides, quick=common.quick) for n in names]
    runs = [run for c in configurations for run in _train(common, c, given.seeds)]
    report_claims(runs, CLAIMS)
    for run in runs:
        common.reporter.say(f"results: {run.directory}")


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
    if given.configurations:
        raise InvalidInputError(
            f"{given.configurations[0]}: must be KEY=VALUE; configurations=[...] names what is "
            "analysed"
        )
    presets = QUICK_ANALYSIS if common.quick else {}
    _analyse(common, merge(Settings, [presets], given.overrides), kinds, given.seeds)


@app.command("reproduce")
@command
def reproduce_command(
    common: Common,
    settings: Changes = None,
) -> None:
    """Train configurations, analyse them task by task, and verify the claims.

    Without CONFIG: both tasks' four with vanilla networks, and the two with GRUs.
    What is finished is skipped, what was cut off is gone on with. Exit code 1 if a claim is not
    reproduced.
    """
    given = parse_settings(settings or [], common)
    names = given.configurations or REPRODUCED
    configurations = [_configuration(n, given.overrides, quick=common.quick) for n in names]
    common.resume = True
    runs = [run for c in configurations for run in _train(common, c, given.seeds)]
    for task in dict.fromkeys(configuration.task.name for configuration in configurations):
        chosen = tuple(c.name for c in configurations if c.task.name == task)
        runs.append(_analyse(common, _settings(common, task, chosen), KINDS, given.seeds, ()))
    if report_claims(runs, CLAIMS) is False:
        raise typer.Exit(1)


def _train(common: Common, configuration: Configuration, seeds: Sequence[int]) -> list[StoredRun]:
    """Train networks, each in its folder."""
    return train_networks(
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
    )


def _analyse(
    common: Common,
    settings: Settings,
    kinds: Sequence[str],
    seeds: Sequence[int],
    claims: Sequence[Claim] = CLAIMS,
) -> StoredRun:
    """Analyse in a run directory of its own."""
    root, device = _results(common), resolve_device(common.device)
    models = stored_models(root, settings, seeds)
    spec = analysis_spec(settings, kinds, models, device, quick=common.quick)

    def work(run: Run) -> Outcome:
        return Outcome(*analyse(models, settings, kinds, device=device, journal=run))

    directory = root / default_directory(spec).name
    execute(common, spec, work, draw, claims, directory=directory)
    return read_run(directory, PACKAGE)


def _settings(common: Common, task: str, configurations: tuple[str, ...]) -> Settings:
    presets = QUICK_ANALYSIS if common.quick else {}
    return merge(Settings, [presets, {"task": task, "configurations": list(configurations)}])


def _kinds(kind: str) -> tuple[str, ...]:
    if kind == "all":
        return KINDS
    if kind not in KINDS:
        raise InvalidInputError(f"{kind}: must be one of {', '.join((*KINDS, 'all'))}")
    return (kind,)


add_run_commands(app, PACKAGE, CLAIMS, draw)
