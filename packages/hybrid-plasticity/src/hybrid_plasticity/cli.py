"""The command `hybrid-plasticity`."""

import ast
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hybrid_plasticity.batch import CONFIGURATIONS, Job, compare, comparison_table, train_all
from hybrid_plasticity.claims import CLAIMS
from hybrid_plasticity.curriculum import Limits, Training
from hybrid_plasticity.experiments import (
    PACKAGE,
    analyze,
    evaluate,
    stored_models,
    train_runs,
    train_spec,
)
from hybrid_plasticity.figures import draw, visualize
from hybrid_plasticity.folders import run_directory
from hybrid_plasticity.model import Configuration
from hybrid_plasticity.streams import Task
from sharpwave_shared.cli import (
    Common,
    Outcome,
    RunDirectory,
    add_run_commands,
    command,
    create_app,
    execute,
    parse_numbers,
)
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Run, RunSpec, read_run

ROOT = Path("results") / PACKAGE
NETWORK, LEARNING = "Network and task", "Learning"
MAXIMUM_LIST = 1000
app = create_app(PACKAGE, "Hybrid synaptic plasticity: networks that recognise what they saw.")


def main() -> None:
    """Run the command line."""
    app()


def _option(*names: str, help: str, panel: str) -> Any:
    """Declare an option that is spelt with dashes or, as in the original, with underscores."""
    spellings = dict.fromkeys([*names, *(f"--{n[2:].replace('-', '_')}" for n in names)])
    return typer.Option(*spellings, help=help, rich_help_panel=panel)


@dataclass
class NetworkOptions:
    """The network and its task."""

    network_type: Annotated[
        str,
        _option("--network-type", help="Nonl_RO, Memo, Dyn_RO or Stack.", panel=NETWORK),
    ] = "Memo"
    hidden_dims: Annotated[
        str, _option("--hidden-dims", help="Units of the hidden layers.", panel=NETWORK)
    ] = "[100,100]"
    hetero_rates: Annotated[
        str,
        _option(
            "--hetero-rates",
            help="Learning rates of each plastic layer: 1 (of each synapse), 0.5 (of each unit), "
            "0 (a single one).",
            panel=NETWORK,
        ),
    ] = "[1,1]"
    plastic_types: Annotated[
        str,
        _option(
            "--plastic-types",
            help="Plasticity of each plastic layer: M (multiplicative) or A (additive).",
            panel=NETWORK,
        ),
    ] = "['M','A']"
    scene_time: Annotated[
        int, _option("--scene-time", help="Frames of a scene.", panel=NETWORK)
    ] = 4
    vec_len: Annotated[int, _option("--vec-len", help="Length of a frame.", panel=NETWORK)] = 25
    var: Annotated[
        float,
        _option(
            "--VAR", "--var", help="Share of entries that differ between frames.", panel=NETWORK
        ),
    ] = 0.1
    out_dim: Annotated[int, _option("--out-dim", help="Outputs.", panel=NETWORK)] = 1

    def configuration(self) -> Configuration:
        """Check the options against each other."""
        return Configuration(
            self.network_type,
            parse_list("--hidden-dims", self.hidden_dims, int),
            parse_list("--hetero-rates", self.hetero_rates, float),
            parse_list("--plastic-types", self.plastic_types, str),
            self.out_dim,
            Task(self.scene_time, self.vec_len, self.var),
        )


@dataclass
class TrainingOptions:
    """How networks learn."""

    lr_rate: Annotated[
        float, _option("--lr-rate", help="Learning rate of Adam.", panel=LEARNING)
    ] = 0.001
    acc_threshold: Annotated[
        float,
        _option("--acc-threshold", help="Accuracy that counts towards mastery.", panel=LEARNING),
    ] = 0.99
    acc_num: Annotated[
        int,
        _option("--acc-num", help="Iterations in a row that must reach it.", panel=LEARNING),
    ] = 10
    batch_size: Annotated[
        int, _option("--batch-size", help="Streams of an iteration.", panel=LEARNING)
    ] = 1

    def training(self) -> Training:
        """Check the options."""
        return Training(**vars(self))


@dataclass
class LimitOptions:
    """When training ends; none of them is part of what identifies a run."""

    max_r: Annotated[
        int, _option("--max-r", help="Last interval of the curriculum.", panel=LEARNING)
    ] = 10
    max_iterations: Annotated[
        int,
        _option("--max-iterations", help="Iterations at one interval, at most.", panel=LEARNING),
    ] = 20_000
    budget: Annotated[
        int | None,
        _option("--budget", help="Iterations in all, at most. Default: no limit.", panel=LEARNING),
    ] = None
    time_limit: Annotated[
        float | None,
        _option("--time-limit", help="Minutes, at most. Default: no limit.", panel=LEARNING),
    ] = None

    def limits(self) -> Limits:
        """Check the options."""
        return Limits(**vars(self))


def parse_list(option: str, text: str, kind: type) -> tuple[Any, ...]:
    """Parse a Python or JSON list of numbers or words; nothing is evaluated.

    Raises
    ------
    InvalidInputError
        If the text is no such list.
    """
    example = {int: "[100,100]", float: "[1,0.5]", str: "['M','A']"}[kind]
    allowed = f"a list such as {example} is allowed"
    if len(text) > MAXIMUM_LIST:
        raise InvalidInputError(f"{option} {text[:20]}...: too long; {allowed}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        try:
            values = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise InvalidInputError(f"{option} {text}: does not parse; {allowed}") from None
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(values, list | tuple) or not all(
        isinstance(value, kinds) and not isinstance(value, bool) for value in values
    ):
        raise InvalidInputError(f"{option} {text}: {allowed}")
    # 1.0 and 1 are the same rate and name the same folder.
    return tuple(int(v) if isinstance(v, float) and v.is_integer() else v for v in values)


QUICK = {
    "hidden_dims": "[50,50]",
    "max_r": 1,
    "max_iterations": 1500,
}
"""What `--quick` makes of training."""


@app.callback(invoke_without_command=True)
@command(quick=QUICK)
def main_command(
    common: Common,
    network: NetworkOptions,
    learning: TrainingOptions,
    limiting: LimitOptions,
    mode: Annotated[
        Literal["train", "visualize"],
        typer.Option(help="Train, or draw the pictures of a trained network again."),
    ] = "train",
) -> None:
    """Train a network to recognise scenes seen R scenes ago, for ever larger R.

    Results lie in NETWORK_TYPE/CONFIGURATION/ under --out.
    """
    configuration = network.configuration()
    training, limits = learning.training(), limiting.limits()
    device = resolve_device(common.device)
    spec = train_spec(configuration, training, common.seed_list, device, quick=common.quick)
    directory = run_directory(common.out or ROOT, configuration)
    if mode == "visualize":
        if not (directory / "run.json").is_file():
            raise InvalidInputError(
                f"--mode visualize: no results in {directory}; train the network first, with "
                "--mode train and the same options"
            )
        for path in visualize(read_run(directory, PACKAGE), common.formats):
            typer.echo(path)
        return

    def work(run: Run) -> Outcome:
        (result,) = train_runs([configuration], [run], common.seed_list, training, limits, device)
        return Outcome(*result)

    execute(common, spec, work, draw, CLAIMS, directory=directory, extend=True)


@app.command("batch")
@command(quick={"budget": 50})
def batch_command(
    common: Common,
    learning: TrainingOptions,
    budget: Annotated[int, typer.Option(help="Iterations of every network, at most.")] = 20_000,
    workers: Annotated[
        int, typer.Option(help="Processes, or jobs on the cluster, that work side by side.")
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Submit jobs to this batch system (slurm, pbs, ...) as dask-jobqueue is "
            "configured for it."
        ),
    ] = None,
) -> None:
    """Train the report's 18 configurations for equally many iterations, and compare them.

    Their results lie where the main command puts them, the comparison in comparison/ under --out;
    what is finished is skipped, what was cut off is gone on with. --quick takes the nine smaller
    ones.
    """
    configurations = CONFIGURATIONS[9:] if common.quick else CONFIGURATIONS
    limits = Limits(max_r=budget, max_iterations=budget, budget=budget)
    device = resolve_device(common.device)
    job = Job(
        root=common.out or ROOT,
        seeds=tuple(common.seed_list),
        training=learning.training(),
        limits=limits,
        device=str(device),
        quick=common.quick,
        formats=tuple(common.formats),
        force=common.force,
    )
    train_all(job, configurations, workers, cluster, common.reporter)
    directory = job.root / "comparison"
    names = [configuration.name for configuration in configurations]
    spec = RunSpec(
        package=PACKAGE,
        experiment="compare",
        config=asdict(job.training) | {"budget": budget, "configurations": names},
        seeds=common.seed_list,
        device=device,
        quick=common.quick,
        label=f"{budget}",
    )
    execute(
        common,
        spec,
        lambda run: Outcome(*compare(job, configurations)),
        draw,
        CLAIMS,
        directory=directory,
    )
    common.reporter.out.print(comparison_table(read_run(directory, PACKAGE).metrics))


@app.command("evaluate")
@command(quick={"streams": 10})
def evaluate_command(
    common: Common,
    run_dir: RunDirectory,
    streams: Annotated[int, typer.Option(help="Test streams at every interval.")] = 50,
    intervals: Annotated[
        str | None, typer.Option(help="Test intervals. Default: 1 to 3 R, and four beyond.")
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(help="The R of the models. Default: the largest that each seed mastered."),
    ] = None,
) -> None:
    """Test trained networks at intervals that they were not trained on."""
    run = read_run(run_dir, PACKAGE)
    models = stored_models(run, interval)
    _check_streams(streams)
    tested = None
    if intervals is not None:
        tested = sorted(int(r) for r in parse_numbers("--intervals", intervals, whole=True))
        if min(tested) < 1:
            raise InvalidInputError(f"--intervals {intervals}: intervals start at 1")
    config = {"streams": streams, "intervals": tested, "interval": interval}
    spec = _spec_of_models(common, "evaluate", run, config)

    def work(run: Run) -> Outcome:
        result = evaluate(
            models, tested, streams, common.seed, device=spec.device, reporter=run.reporter
        )
        return Outcome(*result)

    execute(common, spec, work, draw, CLAIMS, directory=common.out or run_dir / "evaluation")


@app.command("analyze")
@command(quick={"streams": 10})
def analyze_command(
    common: Common,
    run_dir: RunDirectory,
    streams: Annotated[int, typer.Option(help="Test streams.")] = 50,
    interval: Annotated[
        int | None,
        typer.Option(help="The R of the models. Default: the largest that each seed mastered."),
    ] = None,
) -> None:
    """Look into trained networks: weights, learning rates, decay, response to repetition."""
    run = read_run(run_dir, PACKAGE)
    models = stored_models(run, interval)
    _check_streams(streams)
    spec = _spec_of_models(common, "analyze", run, {"streams": streams, "interval": interval})

    def work(run: Run) -> Outcome:
        return Outcome(*analyze(models, streams, common.seed))

    execute(common, spec, work, draw, CLAIMS, directory=common.out or run_dir / "analysis")


def _check_streams(streams: int) -> None:
    if streams < 1:
        raise InvalidInputError(f"--streams {streams}: must be at least 1")


def _spec_of_models(common: Common, experiment: str, run: Any, config: dict[str, Any]) -> RunSpec:
    trained = [len(network["mastered"]) for network in run.metrics["networks"]]
    return RunSpec(
        package=PACKAGE,
        experiment=experiment,
        config=run.config | config | {"networks": run.record["seeds"], "mastered": trained},
        seeds=[common.seed],
        device=resolve_device(common.device),
        quick=common.quick,
        label=run.record["label"],
    )


add_run_commands(app, PACKAGE, CLAIMS, draw)
