"""The command `sleep-replay`."""

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

import typer

from sharpwave_shared.cli import (
    Common,
    Outcome,
    add_run_commands,
    command,
    create_app,
    execute,
    parse_numbers,
)
from sharpwave_shared.runs import Run, RunSpec
from sleep_replay import latent as latent_space
from sleep_replay import mixtures as mixing
from sleep_replay import recall as partial_recall
from sleep_replay.claims import CLAIMS
from sleep_replay.experiments import (
    ScheduleJob,
    Setup,
    SweepJob,
    condition_metrics,
    result_arrays,
)
from sleep_replay.figures import draw
from sleep_replay.options import (
    LearningOptions,
    ModelOptions,
    SleepOptions,
    batch_size_option,
    parse_ranges,
    stable_option,
)
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


STABLE = {"kl_weight": 0.1, "continue_training": False}
"""What `--stable` makes of the main command: the setting nearest to the default in which the
published claims hold without collapse (see the documentation for how it was found)."""


@app.callback(invoke_without_command=True)
@command(stable=STABLE, quick={"total_eps": 20, "num_cycles": 5, "eval_images": "200"})
def schedule(
    common: Common,
    model: ModelOptions,
    sleeping: SleepOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 1,
    stable: Annotated[bool, stable_option()] = False,
) -> None:
    """Let a model that knows data set 1 sleep after it has seen data set 2.

    Sleep alternates between NREM, the replay of new images, and REM, training on the model's own
    samples. The run directory gets the errors of both data sets after every cycle, figures, and
    the verdict on the claims of the paper.
    """
    condition, training = sleeping.condition(), learning.training(batch_size)
    setup = model.prepare(common)
    job = ScheduleJob(setup, [condition], common.seed_list, sleeping.num, training)

    def work(run: Run) -> Outcome:
        result = job.run(run)
        conditions = condition_metrics(result, job.conditions, job.num, training)
        run.save_tensors("networks", result.networks)
        return Outcome({"conditions": conditions}, result_arrays(result))

    spec = _spec(common, setup, "schedule", sleeping.label(), asdict(sleeping) | asdict(training))
    execute(common, spec, work, draw, CLAIMS)


@app.command()
@command(
    stable=STABLE,
    quick={"total_eps": 10, "cycles": "5,2", "num": 10, "eval_images": "200"},
)
def sweep(
    common: Common,
    model: ModelOptions,
    learning: LearningOptions,
    total_eps: Annotated[int, typer.Option(help="Epochs over all cycles.")] = 100,
    cycles: Annotated[str, typer.Option(help="Numbers of cycles.")] = "50,20,10,5",
    fractions: Annotated[
        str, typer.Option(help="Fractions of REM, or start:end of a fraction that changes.")
    ] = "0.5,0,1",
    lrs: Annotated[
        str | None, typer.Option(help="Learning rates. Default: the one of --lr.")
    ] = None,
    num: Annotated[int, typer.Option(help="Images replayed, and dreamt, per cycle.")] = 50,
    continue_training: Annotated[
        bool,
        typer.Option(
            "--continue-training/--no-continue-training",
            help="REM dreams with the current model, or with the frozen initial one.",
        ),
    ] = True,
    batch_size: Annotated[int, batch_size_option()] = 1,
    stable: Annotated[bool, stable_option()] = False,
) -> None:
    """Try a grid of cycles, fractions of REM and learning rates; map retention and learning."""
    training = learning.training(batch_size)
    rates = [training.lr] if lrs is None else parse_numbers("--lrs", lrs)
    setup = model.prepare(common)
    job = SweepJob(
        setup,
        common.seed_list,
        num,
        total_eps,
        [int(c) for c in parse_numbers("--cycles", cycles, whole=True)],
        parse_ranges("--fractions", fractions),
        [replace(training, lr=lr) for lr in rates],
        continue_training,
    )
    job.jobs()

    def work(run: Run) -> Outcome:
        return Outcome({"conditions": job.run(run)}, {})

    config = asdict(training) | {
        "total_eps": total_eps,
        "cycles": job.cycles,
        "fractions": job.fractions,
        "lr": rates,
        "num": num,
        "continue_training": continue_training,
    }
    spec = _spec(common, setup, "sweep", f"num{num}", config)
    execute(common, spec, work, draw, CLAIMS)


@app.command()
@command(quick={"epochs": 3, "batch_size": 4, "dataset": "mnist-5k"})
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
    """Train an initial model, and store its weights for later runs (not with --quick)."""
    training = learning.training(batch_size)
    how = Pretraining(epochs, patience, accept_collapsed=common.quick, training=training)
    setup = model.prepare(common)

    def work(run: Run) -> Outcome:
        state, record = setup.pretrain(run, how)
        run.save_tensors("initial", state)
        if not common.quick:
            run.reporter.say(f"stored {setup.model.store(state, record, weights_cache())}")
        return Outcome(record, {})

    config = {"epochs": epochs, "patience": patience, **asdict(how.training)}
    spec = _spec(common, setup, "pretrain", setup.model.name, config)
    execute(common, spec, work, draw, CLAIMS)


@app.command()
@command(quick={"epochs": 3, "num_new": 100, "num_sampled": 100, "eval_images": "200"})
def baselines(
    common: Common,
    model: ModelOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 32,
    modes: Annotated[str, typer.Option(help="Which of new, old and both.")] = "new,old,both",
    epochs: Annotated[int, typer.Option(help="Epochs of training.")] = 20,
    num_new: Annotated[
        int | None, typer.Option(help="New images. Default: 1000; 500 in both.")
    ] = None,
    num_sampled: Annotated[
        int | None, typer.Option(help="Own samples. Default: 1000; 500 in both.")
    ] = None,
) -> None:
    """Learn without sleep: from new images only, own samples only, or both shuffled together."""
    training = learning.training(batch_size)
    mixtures = mixing.baseline_mixtures(modes, num_new, num_sampled)
    setup = model.prepare(common)
    job = mixing.MixtureJob(setup, mixtures, common.seed_list, training, epochs)

    def work(run: Run) -> Outcome:
        results = job.run(run)
        return Outcome({"modes": {k: mixing.by_data_set(v) for k, v in results.items()}}, {})

    sizes = {name: asdict(mixture) for name, mixture in mixtures.items()}
    config = {**asdict(training), "epochs": epochs, "mixtures": sizes}
    spec = _spec(common, setup, "baselines", f"{epochs}ep", config)
    execute(common, spec, work, draw, CLAIMS)


@app.command()
@command(quick={"epochs": 2, "num_new": 100, "sampled": "0,20,40,60", "eval_images": "200"})
def samples(
    common: Common,
    model: ModelOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 32,
    epochs: Annotated[int, typer.Option(help="Epochs of training.")] = 20,
    num_new: Annotated[int, typer.Option(help="New images in every mixture.")] = 500,
    sampled: Annotated[
        str, typer.Option(help="Numbers of own samples.")
    ] = "0,10,20,25,30,35,40,50,60",
    trials: Annotated[int, typer.Option(help="Trained models per number and seed.")] = 3,
) -> None:
    """Measure retention against the number of own samples mixed with the new images."""
    training = learning.training(batch_size)
    counts = [int(n) for n in parse_numbers("--sampled", sampled, whole=True)]
    mixtures = {f"{n}-sampled": mixing.Mixture(num_new, n) for n in counts}
    setup = model.prepare(common)
    job = mixing.MixtureJob(
        setup, mixtures, common.seed_list, training, epochs, trials, every_epoch=False
    )

    def work(run: Run) -> Outcome:
        finals = [mixing.by_data_set(scores, last=True) for scores in job.run(run).values()]
        series = {key: [final[key] for final in finals] for key in finals[0]}
        return Outcome({"num_sampled": counts, **series}, {})

    config = asdict(training) | {
        "epochs": epochs,
        "num_new": num_new,
        "sampled": counts,
        "trials": trials,
    }
    spec = _spec(common, setup, "samples", f"{num_new}new", config)
    execute(common, spec, work, draw, CLAIMS)


@app.command()
@command(quick={"images": 1000, "eval_images": "200"})
def interleave(
    common: Common,
    model: ModelOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 1,
    blocks: Annotated[str, typer.Option(help="Images of one data set in a row.")] = "1,5,10,50",
    images: Annotated[
        int | None,
        typer.Option(help="Images of each data set. Default: 20000, or what there is."),
    ] = None,
) -> None:
    """Learn both data sets from scratch, unshuffled, in alternating blocks."""
    training = learning.training(batch_size)
    lengths = [int(n) for n in parse_numbers("--blocks", blocks, whole=True)]
    setup = model.prepare(common)
    job = mixing.InterleaveJob.checked(setup, lengths, images, common.seed_list, training)

    def work(run: Run) -> Outcome:
        final = mixing.by_data_set(job.run(run), last=True, rows=len(lengths))
        return Outcome({"blocks": lengths, **final}, {})

    config = {**asdict(training), "blocks": lengths, "images": job.images}
    spec = _spec(common, setup, "interleave", f"{job.images}images", config)
    execute(common, spec, work, draw, CLAIMS)


NAP = {"total_eps": 10, "num_cycles": 5, "dataset": "mnist-5k"}
"""What `--quick` makes of a night of sleep after which something else is measured."""


@app.command()
@command(stable=STABLE, quick={**NAP, "eval_images": "200"})
def recall(
    common: Common,
    model: ModelOptions,
    sleeping: SleepOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 1,
    stable: Annotated[bool, stable_option()] = False,
    fractions: Annotated[
        str, typer.Option(help="Fractions of the pixels that are lost.")
    ] = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9",
    corruption: Annotated[
        Literal["zero", "noise"], typer.Option(help="What is seen in place of lost pixels.")
    ] = "zero",
) -> None:
    """Reconstruct images of which pixels are lost, before and after sleep."""
    lost = partial_recall.parse_fractions(fractions)
    condition, training = sleeping.condition(), learning.training(batch_size)
    setup = model.prepare(common)
    night = ScheduleJob(setup, [condition], common.seed_list, sleeping.num, training)
    job = partial_recall.RecallJob(night, lost, corruption)

    def work(run: Run) -> Outcome:
        result = job.run(run)
        return Outcome(partial_recall.summary(result, lost), partial_recall.arrays(result, lost))

    config = {
        **asdict(sleeping),
        **asdict(training),
        "fractions": lost,
        "corruption": corruption,
    }
    spec = _spec(common, setup, "recall", corruption, config)
    execute(common, spec, work, draw, CLAIMS)


@app.command()
@command(stable=STABLE, quick={**NAP, "eval_images": "500", "epochs": 2})
def latent(
    common: Common,
    model: ModelOptions,
    sleeping: SleepOptions,
    learning: LearningOptions,
    batch_size: Annotated[int, batch_size_option()] = 1,
    stable: Annotated[bool, stable_option()] = False,
    labelled: Annotated[
        int, typer.Option(help="Labelled test images that the decoder learns from.")
    ] = 200,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Decode during a training of the initial model as well."
        ),
    ] = False,
    epochs: Annotated[int, typer.Option(help="Epochs of that training.")] = 10,
) -> None:
    """Decode digits from latents over sleep, and show what lies where in the latent space."""
    condition, training = sleeping.condition(), learning.training(batch_size)
    setup = model.prepare(common)
    night = ScheduleJob(setup, [condition], common.seed_list, sleeping.num, training)
    job = latent_space.LatentJob(night, labelled, epochs if from_scratch else None)

    def work(run: Run) -> Outcome:
        result, chance = job.run(run), job.decoding().chance()
        return Outcome(latent_space.summary(result, chance), latent_space.arrays(result, chance))

    config = {
        **asdict(sleeping),
        **asdict(training),
        "labelled": labelled,
        "epochs_from_scratch": job.epochs,
    }
    label = "from-scratch" if from_scratch else f"{setup.model.latent_dim}"
    spec = _spec(common, setup, "latent", label, config)
    execute(common, spec, work, draw, CLAIMS)


add_run_commands(app, PACKAGE, CLAIMS, draw)
