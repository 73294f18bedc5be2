"""The command `impression-learning`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from impression_learning.claims import CLAIMS
from impression_learning.experiments import Result
from impression_learning.experiments import run as run_experiment
from impression_learning.figures import draw
from impression_learning.plans import MODES, Plan, make_plan, option
from impression_learning.simulate import choose_device
from impression_learning.speech import Speech, decibels, load_speech, to_sound, write_wav
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
from sharpwave_shared.seeding import Streams

PACKAGE = "impression-learning"
NETWORK, LEARNING, MODE = "Network and data", "Learning", "Of single modes"
DEFAULT = "Default: the mode's."
app = create_app(
    PACKAGE, "Impression learning: online representation learning by local plasticity."
)


def main() -> None:
    """Run the command line."""
    app()


@dataclass
class NetworkOptions:
    """Sizes, noise and alternation."""

    n_latent: Annotated[
        int | None, typer.Option(help=f"Latents of the data. {DEFAULT}", rich_help_panel=NETWORK)
    ] = None
    n_in: Annotated[
        int | None, typer.Option(help=f"Observations. {DEFAULT}", rich_help_panel=NETWORK)
    ] = None
    n: Annotated[
        int | None, typer.Option("--n", help=f"Latent units. {DEFAULT}", rich_help_panel=NETWORK)
    ] = None
    dt: Annotated[float, typer.Option(help="Time step of the data.", rich_help_panel=NETWORK)] = 0.1
    sigma_in: Annotated[
        float, typer.Option(help="Noise of the input.", rich_help_panel=NETWORK)
    ] = 0.01
    sigma_inf: Annotated[
        float, typer.Option(help="Noise of inference.", rich_help_panel=NETWORK)
    ] = 0.01
    sigma_obs: Annotated[
        float, typer.Option(help="Noise of generated activity.", rich_help_panel=NETWORK)
    ] = 0.01
    sigma_gen: Annotated[
        float | None,
        typer.Option(
            help="Noise of the transition. Default: the data's, 0.5 sqrt(dt); 0.13 for speech.",
            rich_help_panel=NETWORK,
        ),
    ] = None
    switch_period: Annotated[
        int, typer.Option(help="A phase lasts this many steps and one.", rich_help_panel=NETWORK)
    ] = 1


@dataclass
class LearningOptions:
    """What learns, how fast, how long."""

    algorithm: Annotated[
        Literal["impression", "reinforce", "backprop"] | None,
        typer.Option(
            help="Only this one. Default: impression, or what the mode compares.",
            rich_help_panel=LEARNING,
        ),
    ] = None
    eta: Annotated[
        float | None,
        typer.Option(
            help=f"Learning rate of impression learning. {DEFAULT}", rich_help_panel=LEARNING
        ),
    ] = None
    eta_reinforce: Annotated[
        float | None, typer.Option(help=f"That of REINFORCE. {DEFAULT}", rich_help_panel=LEARNING)
    ] = None
    eta_backprop: Annotated[
        float | None,
        typer.Option(
            help=f"That of backpropagation, times 1 / noise variance. {DEFAULT}",
            rich_help_panel=LEARNING,
        ),
    ] = None
    third_factor: Annotated[
        Literal["gradient", "released"],
        typer.Option(
            help="REINFORCE's third factor: descends the loss, or as in the released code.",
            rich_help_panel=LEARNING,
        ),
    ] = "gradient"
    steps: Annotated[
        int | None, typer.Option(help=f"Steps of learning. {DEFAULT}", rich_help_panel=LEARNING)
    ] = None
    points: Annotated[
        int, typer.Option(help="Points of learning with a test.", rich_help_panel=LEARNING)
    ] = 20
    test_steps: Annotated[
        int, typer.Option(help="Steps of the test.", rich_help_panel=LEARNING)
    ] = 30_000


@dataclass
class ModeOptions:
    """Parameters that only one mode has."""

    episodes: Annotated[
        int, typer.Option(help="SNR: episodes at every point.", rich_help_panel=MODE)
    ] = 1_000_000
    dimensions: Annotated[
        str | None,
        typer.Option(
            help="dimensionality: k, for n = 2^k. Default: 1,2,3,4,5.", rich_help_panel=MODE
        ),
    ] = None
    steps_backprop: Annotated[
        int, typer.Option(help="dimensionality: its steps.", rich_help_panel=MODE)
    ] = 300_000
    periods: Annotated[
        str | None,
        typer.Option(help="switch_period: the periods. Default: 1,4,...,31.", rich_help_panel=MODE),
    ] = None
    dts: Annotated[
        str | None,
        typer.Option(
            help="time_constant: the time steps. Default: 10 from 1 to 0.01.", rich_help_panel=MODE
        ),
    ] = None
    rates: Annotated[
        str | None,
        typer.Option(
            help="lr_optim: the learning rates. Default: 20 from 10^-2.5 to 10^-12.",
            rich_help_panel=MODE,
        ),
    ] = None
    epochs: Annotated[
        int, typer.Option(help="Vocal_Digits: passes through the data.", rich_help_panel=MODE)
    ] = 20
    takes: Annotated[
        int,
        typer.Option(
            help="Vocal_Digits: takes of each digit and speaker, 6 to 50.", rich_help_panel=MODE
        ),
    ] = 50
    dataset: Annotated[
        Literal["fsdd", "synthetic"],
        typer.Option(
            help="Vocal_Digits: recorded, or synthesised speech-like signals.",
            rich_help_panel=MODE,
        ),
    ] = "fsdd"


def _plan(mode: str, network: NetworkOptions, learning: LearningOptions, own: ModeOptions) -> Plan:
    lists = {
        name: None if text is None else tuple(convert(v) for v in _numbers(name, text, convert))
        for name, text, convert in (
            ("dimensions", own.dimensions, int),
            ("periods", own.periods, int),
            ("dts", own.dts, float),
            ("rates", own.rates, float),
        )
    }
    return make_plan(
        mode,
        algorithm=learning.algorithm,
        etas={
            "impression": learning.eta,
            "reinforce": learning.eta_reinforce,
            "backprop": learning.eta_backprop,
        },
        third_factor=learning.third_factor,
        steps=learning.steps,
        points=learning.points,
        test_steps=learning.test_steps,
        episodes=own.episodes,
        steps_backprop=own.steps_backprop,
        epochs=own.epochs,
        takes=own.takes,
        **vars(network),
        **lists,
    )


def _numbers(name: str, text: str, convert: type) -> list[float]:
    return parse_numbers(f"--{name}", text, whole=convert is int)


def _warn_of_unused(common: Common, plan: Plan, *groups: Any) -> None:
    """Tell which of the given options the mode does not use."""
    unused = plan.unused if plan.mode == "Vocal_Digits" else plan.unused | {"dataset"}
    for group in groups:
        for name, value in vars(group).items():
            preset = common.quick and value == QUICK.get(name)
            given = value != type(group).__dataclass_fields__[name].default and not preset
            if name in unused and given:
                common.reporter.warn(f"{option(name)}: {plan.mode} does not use it")


QUICK = {
    "steps": 200_000,
    "test_steps": 5_000,
    "points": 6,
    "episodes": 20_000,
    "dimensions": "1,2,3",
    "steps_backprop": 50_000,
    "periods": "1,7,31",
    "dts": "1,0.1,0.01",
    "rates": "1e-3,1e-5,1e-7",
    "epochs": 3,
    "takes": 10,
}
"""What `--quick` makes of the modes."""


@app.callback(invoke_without_command=True)
@command(quick=QUICK)
def learn(
    common: Common,
    network: NetworkOptions,
    learning: LearningOptions,
    own: ModeOptions,
    mode: Annotated[
        str, typer.Option(help=f"One of {', '.join(MODES)}; case and dashes do not matter.")
    ] = "standard",
) -> None:
    """Let a circuit learn to infer the causes of its input, in one of the modes of the paper.

    The run directory gets the losses, what was learnt, figures, and the verdict on the claims.
    """
    plan = _plan(mode, network, learning, own)
    _warn_of_unused(common, plan, network, learning, own)
    speech = None
    if plan.mode == "Vocal_Digits":
        speech = load_speech(
            own.dataset, data_dir=common.data_dir, takes=plan.takes, reporter=common.reporter
        )
    device = choose_device(common.device, len(plan.axis[1]) * len(common.seed_list))

    def work(run: Run) -> Outcome:
        result = run_experiment(plan, common.seed_list, device=device, speech=speech, journal=run)
        if result.networks:
            run.save_tensors("networks", result.networks)
        if speech is not None:
            result.metrics["decibels"] = {"offset": speech.offset_db, "scale": speech.scale_db}
            _write_sounds(run, speech, result)
        return Outcome(result.metrics, result.arrays)

    spec = RunSpec(
        package=PACKAGE,
        experiment=plan.mode,
        config=plan.config(),
        seeds=common.seed_list,
        device=device,
        data=None if speech is None else speech.record,
        quick=common.quick,
        label="-".join(plan.algorithms),
    )
    execute(common, spec, work, draw, CLAIMS)


def _write_sounds(run: Run, speech: Speech, result: Result) -> None:
    """Make the first network's data, and its dreams before and after learning, audible."""
    run.reporter.say("inverting spectrograms to sound")
    for name in ("stimulus", "dream_before", "dream"):
        levels = decibels(speech, result.arrays[f"0.{name}"])
        sound = to_sound(levels, Streams(run.record["seeds"][0]).numpy("sound", name))
        write_wav(run.directory / f"{name}.wav", sound)


add_run_commands(app, PACKAGE, CLAIMS, draw)
