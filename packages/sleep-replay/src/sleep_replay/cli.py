"""The command `sleep-replay`."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from sharpwave_shared.cli import (
    Common,
    Outcome,
    add_run_commands,
    command,
    create_app,
    execute,
)
from sharpwave_shared.runs import Run, RunSpec

from sleep_replay.claims import CLAIMS
from sleep_replay.experiments import Setup
from sleep_replay.figures import draw
from sleep_replay.options import LearningOptions, ModelOptions, batch_size_option
from sleep_replay.weights import Pretraining, weights_cache

PACKAGE = "sleep-replay"
app = create_app(PACKAGE, "Sleep schedules for a generative model of memory.")


def main() -> None:
    """Run the command line."""
    app()


def _spec(
    common: Common, setup: Setup, experiment: str, label: str, config: dict[str, Any]
) -> RunSpec:
    shared = {
        "inverted": setup.model.old == "mnist",
        "latent_dim": setup.model.latent_dim,
        "architecture": setup.model.architecture,
        "use_initial_weights": setup.use_initial_weights,
        "eval_images": len(setup.experience.old_test),
        "seed": common.seed,
    }
    data_sets = "inverted" if shared["inverted"] else "digits"
    return RunSpec(
        package=PACKAGE,
        experiment=experiment,
        config=shared | config,
        seeds=common.seed_list,
        device=setup.device,
        data=setup.experience.record,
        quick=common.quick,
        label=f"{data_sets}-{label}" if label else data_sets,
    )


@app.command()
@command(quick={"epochs": 5, "dataset": "mnist-5k"})
def pretrain(
    common: Common,
    model: ModelOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 32,
    epochs: Annotated[int, typer.Option(help="At most this many.")] = 25,
    patience: Annotated[
        int, typer.Option(help="Stop after this many epochs without a better training loss.")
    ] = 3,
) -> None:
    """Train an initial model and store its weights for later runs."""
    how = Pretraining(epochs, patience, learning.training(batch_size))
    setup = model.prepare(common)

    def work(run: Run) -> Outcome:
        state, record = setup.pretrain(run, how)
        run.save_tensors("initial", state)
        run.reporter.say(f"stored {setup.model.store(state, record, weights_cache())}")
        return Outcome(record, {})

    config = {"epochs": epochs, "patience": patience, **asdict(how.training)}
    spec = _spec(common, setup, "pretrain", f"{setup.model.latent_dim}", config)
    execute(common, spec, work, draw, CLAIMS)


add_run_commands(app, PACKAGE, CLAIMS, draw)
