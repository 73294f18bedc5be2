"""The command `rnn-reactivation`."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import typer

from rnn_reactivation.configuration import (
    Configuration,
    load_configuration,
    parse_changes,
    results_of,
    unknown_key,
)
from rnn_reactivation.experiments.analyze import HEAD_DIRECTION, KINDS, NAVIGATION, VANILLA, Analyze
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from rnn_reactivation.release import ALIASES, PATH, translate_analysis
from sharpwave_shared.app import App
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Options
from sharpwave_shared.parameters import parse
from sharpwave_shared.reporting import Reporter

DEFAULT = f"{NAVIGATION}/{VANILLA[0]}"
REPRODUCED = tuple(f"{task}/{name}" for task in (NAVIGATION, HEAD_DIRECTION) for name in VANILLA)
WITH_GRUS = tuple(
    f"{NAVIGATION}/noisy_{name}" for name in ("unbiased", "biased", "unbiased_gru", "biased_gru")
)
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG]... [KEY=VALUE]...",
        help="Configurations, as names or YAML files, and changes of them, as in "
        "rnn.hidden_size=64; also config=..., seed=..., path=..., and keys of the original "
        f"release: {', '.join(f'{theirs} ({ours})' for theirs, ours in ALIASES.items())}.",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KIND] [KEY=VALUE]...",
        help="kl, variance, distance, dimensionality, or all of them; settings: "
        f"{', '.join(name for name in Analyze.model_fields if name != 'kinds')}; also seed=....",
        show_default=False,
    ),
]


class _App(App):
    def __call__(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line; the original's `config=... seed=...` mean `train`."""
        words = sys.argv[1:] if arguments is None else list(arguments)
        if words and "=" in words[0] and not words[0].startswith("-"):
            words = ["train", *words]
        super().__call__(words)


app = _App(
    "rnn-reactivation", "Offline reactivation in recurrent networks trained to track a variable."
)
app.know(TrainNavigation, TrainHeadDirection, Analyze)


def main() -> None:
    """Run the command line."""
    app()


@app.command(without=["sweep"])
def _main(options: Options, reporter: Reporter) -> None:
    """Train the noisy network on unbiased navigation, let it sleep, and compare.

    Results lie in TASK/CONFIG_SEED/ and in analysis folders under --out (default:
    results/rnn-reactivation).
    """
    from sharpwave_shared.execution import run_all

    network = load_configuration(DEFAULT, quick=options.quick)
    _train([network], options, reporter)
    run_all([_analysis([network], options)], options, reporter)


def _train_command(default: str) -> Callable[..., None]:
    def train(options: Options, reporter: Reporter, settings: Changes = None) -> None:
        """Train networks.

        Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
        """
        given = _parse(settings or [], options)
        names = given.plain or [default]
        networks, options = _configurations(names, given)
        _train(networks, options, reporter)

    return train


app.command("train")(_train_command(DEFAULT))
app.command(TrainNavigation.name)(_train_command(DEFAULT))
app.command(TrainHeadDirection.name)(_train_command(f"{HEAD_DIRECTION}/{VANILLA[0]}"))


@app.command("analyze")
def _analyze(options: Options, reporter: Reporter, settings: Settings = None) -> None:
    """Compare trained networks awake and asleep."""
    from sharpwave_shared.execution import parse_sweep, run_all

    given = _parse(settings or [], options)
    kind = given.plain[0] if given.plain else "all"
    if kind not in (*KINDS, "all"):
        raise ParameterError("KIND", repr(kind), f"one of {', '.join((*KINDS, 'all'))}")
    if len(given.plain) > 1:
        raise ParameterError(
            "KEY=VALUE", repr(given.plain[1]), "a setting; configurations=... says what is analysed"
        )
    fields, values = Analyze.model_fields, {}
    for key, text in translate_analysis(kind, parse_changes(given.changes)).items():
        if key not in fields:
            raise unknown_key(key, list(fields))
        values[key] = parse(key, fields[key], text)
    presets = Analyze.quick if options.quick else {}
    kinds = {} if kind == "all" else {"kinds": (kind,)}
    experiment = Analyze(**{**presets, **kinds, **values})
    run_all([experiment], given.options, reporter, parse_sweep(Analyze, options.sweep))


@app.command("reproduce", without=["sweep"])
def _reproduce(options: Options, reporter: Reporter, settings: Changes = None) -> None:
    """Train configurations, analyse them task by task, and verify the claims.

    Without CONFIG: both tasks' four with vanilla networks, with all seeds, and the two with GRUs,
    with the first seed. What is finished is skipped, what was cut off is gone on with. Exit code 1
    if a claim is not reproduced.
    """
    from sharpwave_shared.execution import report_claims, run_all

    given = _parse(settings or [], options)
    options = given.options.replaced(resume=True)
    first = options.replaced(seed=options.all_seeds[0], seeds=None)
    usual = [(REPRODUCED, options), (WITH_GRUS, first)]
    runs = []
    for names, own in [(given.plain, options)] if given.plain else usual:
        networks, own = _configurations(names, given._replace(options=own))
        runs += run_all(networks, own, reporter, show_claims=False)
        for task in dict.fromkeys(network.task.name for network in networks):
            analysis = _analysis([n for n in networks if n.task.name == task], own)
            runs += run_all([analysis], own, reporter, show_claims=False)
    once = {run.directory: run for run in runs}.values()
    if False in [report_claims(run, reporter) for run in once]:
        raise typer.Exit(1)


class _Given(NamedTuple):
    """What positional arguments say."""

    plain: list[str]
    options: Options
    changes: list[str]


def _parse(settings: Sequence[str], options: Options) -> _Given:
    """Read positional arguments: plain ones, `config=`, `seed=`, `path=`, other `key=value`."""
    plain, seeds, paths, changes = [], [], [], []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key == "config":
            plain.append(value or setting)
        elif key == "seed":
            seeds.append(parse("seed", Options.model_fields["seed"], value))
        elif key == PATH:
            paths.append(parse("out", Options.model_fields["out"], value))
        else:
            changes.append(setting)
    if len(set(plain)) < len(plain):
        raise ParameterError("config", "one twice", "different configurations")
    if len(seeds) > 1 or (seeds and {"seed", "seeds"} & options.model_fields_set):
        raise ParameterError("seed", "two values", "every key once")
    if len(paths) > 1 or (paths and options.out is not None):
        raise ParameterError(PATH, "two values", "every key once; --out says the same")
    if seeds:
        options = options.replaced(seed=seeds[0])
    if paths:
        options = options.replaced(out=paths[0])
    return _Given(plain, options, changes)


def _configurations(names: Sequence[str], given: _Given) -> tuple[list[Configuration], Options]:
    """Load configurations; `path` in a file says where results lie unless --out does."""
    options = given.options
    networks = [load_configuration(name, given.changes, quick=options.quick) for name in names]
    paths = {path for name in names if (path := results_of(name)) is not None}
    if options.out is not None or not paths:
        return networks, options
    if len(paths) > 1:
        raise ParameterError(PATH, "several values", "one folder for all results; --out chooses it")
    return networks, options.replaced(out=paths.pop())


def _train(networks: Sequence[Configuration], options: Options, reporter: Reporter) -> None:
    from sharpwave_shared.execution import parse_sweep, run_all

    sweep = parse_sweep(type(networks[0]), options.sweep)
    for run in run_all(networks, options, reporter, sweep):
        reporter.say(f"results: {run.directory}")


def _analysis(networks: Sequence[Configuration], options: Options) -> Analyze:
    """Give the analysis of networks that have learned the same task."""
    presets = Analyze.quick if options.quick else {}
    names = tuple(network.config for network in networks)
    return Analyze(**presets, task=networks[0].task.name, configurations=names)
