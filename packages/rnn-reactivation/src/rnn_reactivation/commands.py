"""Commands on configurations, which are named, and changed by `key=value`, as in the release."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

import typer
from pydantic import Field

from rnn_reactivation.configuration import (
    Configuration,
    load_configuration,
    parse_changes,
    results_of,
    unknown_key,
)
from rnn_reactivation.experiments import analyze
from rnn_reactivation.experiments.analyze import HEAD_DIRECTION, KINDS, NAVIGATION, VANILLA
from rnn_reactivation.release import ALIASES, PATH, translate_analysis
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Command, Options
from sharpwave_shared.parameters import Positional, Repeated, parse
from sharpwave_shared.reporting import Reporter

DEFAULT = {task: f"{task}/{VANILLA[0]}" for task in (NAVIGATION, HEAD_DIRECTION)}
REPRODUCED = tuple(f"{task}/{name}" for task in DEFAULT for name in VANILLA)
WITH_GRUS = tuple(
    f"{NAVIGATION}/noisy_{name}" for name in ("unbiased", "biased", "unbiased_gru", "biased_gru")
)
CHANGES = (
    "Configurations, as names or YAML files, and changes of them, as in rnn.hidden_size=64; also "
    "config=..., seed=..., path=..., and keys of the original release: "
    f"{', '.join(f'{theirs} ({ours})' for theirs, ours in ALIASES.items())}."
)
SETTINGS = (
    "kl, variance, distance, dimensionality, or all of them; settings: "
    f"{', '.join(name for name in analyze.Analyze.model_fields if name != 'kinds')}; also seed=...."
)


class Given(NamedTuple):
    """What the words of a command say."""

    plain: list[str]
    options: Options
    changes: list[str]


def read_words(words: Sequence[str], options: Options) -> Given:
    """Read words: plain ones, `config=`, `seed=`, `path=`, other `key=value`."""
    plain, seeds, paths, changes = [], [], [], []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key == "config":
            plain.append(value or word)
        elif key == "seed":
            seeds.append(parse("seed", Options.model_fields["seed"], value))
        elif key == PATH:
            paths.append(parse("out", Options.model_fields["out"], value))
        else:
            changes.append(word)
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
    return Given(plain, options, changes)


def load_all(names: Sequence[str], given: Given) -> tuple[list[Configuration], Options]:
    """Load configurations; `path` in a file says where results lie unless --out does."""
    options = given.options
    networks = [load_configuration(name, given.changes, quick=options.quick) for name in names]
    paths = {path for name in names if (path := results_of(name)) is not None}
    if options.out is not None or not paths:
        return networks, options
    if len(paths) > 1:
        raise ParameterError(PATH, "several values", "one folder for all results; --out chooses it")
    return networks, options.replaced(out=paths.pop())


def analysis_of(networks: Sequence[Configuration], options: Options) -> analyze.Analyze:
    """Give the analysis of networks that have learned the same task."""
    presets = analyze.Analyze.quick if options.quick else {}
    names = tuple(network.config for network in networks)
    return analyze.Analyze(**presets, task=networks[0].task.name, configurations=names)


class Changed(Command):
    """A command on configurations, and changes of them."""

    words: Annotated[
        tuple[str, ...],
        Positional("[CONFIG]... [KEY=VALUE]..."),
        Repeated(),
        Field(description=CHANGES),
    ] = ()


class TrainAndAnalyze(Command):
    """Train the noisy network on unbiased navigation, let it sleep, and compare.

    Results lie in TASK/CONFIG_SEED/ and in analysis folders under --out (default:
    results/rnn-reactivation).
    """

    without: ClassVar = ("sweep",)

    def start(self, options: Options, reporter: Reporter) -> None:
        """Train, then analyse."""
        from sharpwave_shared.execution import start_all

        networks = [load_configuration(DEFAULT[NAVIGATION], quick=options.quick)]
        start_all(networks, options, reporter)
        start_all([analysis_of(networks, options)], options, reporter)


class Train(Changed):
    """Train networks, by default one that tracks its position.

    Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
    """

    task: ClassVar = NAVIGATION

    def start(self, options: Options, reporter: Reporter) -> None:
        """Train networks of all configurations that are named."""
        from sharpwave_shared.execution import start_all

        given = read_words(self.words, options)
        networks, options = load_all(given.plain or [DEFAULT[self.task]], given)
        start_all(networks, options, reporter)


class TrainNavigation(Train):
    """Train networks, by default one that tracks its position.

    Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
    """


class TrainHeadDirection(Train):
    """Train networks, by default one that tracks its bearing.

    Results lie in TASK/CONFIG_SEED/ under --out (default: results/rnn-reactivation).
    """

    task: ClassVar = HEAD_DIRECTION


class Analyze(Command):
    """Compare trained networks awake and asleep."""

    words: Annotated[
        tuple[str, ...],
        Positional("[KIND] [KEY=VALUE]..."),
        Repeated(),
        Field(description=SETTINGS),
    ] = ()

    def start(self, options: Options, reporter: Reporter) -> None:
        """Analyse networks that have been trained."""
        from sharpwave_shared.execution import start_all

        given = read_words(self.words, options)
        kind = given.plain[0] if given.plain else "all"
        if kind not in (*KINDS, "all"):
            raise ParameterError("KIND", repr(kind), f"one of {', '.join((*KINDS, 'all'))}")
        if len(given.plain) > 1:
            expected = "a setting; configurations=... says what is analysed"
            raise ParameterError("KEY=VALUE", repr(given.plain[1]), expected)
        fields, values = analyze.Analyze.model_fields, {}
        for key, text in translate_analysis(kind, parse_changes(given.changes)).items():
            if key not in fields:
                raise unknown_key(key, list(fields))
            values[key] = parse(key, fields[key], text)
        presets: dict[str, Any] = dict(analyze.Analyze.quick) if options.quick else {}
        kinds = {} if kind == "all" else {"kinds": (kind,)}
        start_all([analyze.Analyze(**(presets | kinds | values))], given.options, reporter)


class Reproduce(Changed):
    """Train configurations, analyse them task by task, and verify the claims.

    Without CONFIG: both tasks' four with vanilla networks, with all seeds, and the two with GRUs,
    with the first seed. What is finished is skipped, what was cut off is gone on with. Exit code 1
    if a claim is not reproduced.
    """

    without: ClassVar = ("sweep",)

    def start(self, options: Options, reporter: Reporter) -> None:
        """Train and analyse everything, then judge."""
        from sharpwave_shared.execution import report_claims, run_all

        given = read_words(self.words, options)
        options = given.options.replaced(resume=True)
        first = options.replaced(seed=options.all_seeds[0], seeds=None)
        usual = [(REPRODUCED, options), (WITH_GRUS, first)]
        runs = []
        for names, own in [(given.plain, options)] if given.plain else usual:
            networks, own = load_all(names, given._replace(options=own))
            runs += run_all(networks, own, reporter, show_claims=False)
            for task in dict.fromkeys(network.task.name for network in networks):
                analysis = analysis_of([n for n in networks if n.task.name == task], own)
                runs += run_all([analysis], own, reporter, show_claims=False)
        once = {run.directory: run for run in runs}.values()
        if False in [report_claims(run, reporter) for run in once]:
            raise typer.Exit(1)
