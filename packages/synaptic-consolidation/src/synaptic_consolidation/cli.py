"""The command `synaptic-consolidation`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
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
from sharpwave_shared.data import DataRecord, kaufman_2012
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import sha256
from sharpwave_shared.runs import Run, RunSpec
from synaptic_consolidation import networks
from synaptic_consolidation import wake_sleep as nights
from synaptic_consolidation.claims import CLAIMS
from synaptic_consolidation.figures import draw
from synaptic_consolidation.fluctuations import FACTORS, MOST_FACTORS, Fluctuations
from synaptic_consolidation.optima import LOADS, POINTS, Plan, solve
from synaptic_consolidation.optima import theory as compute_theory
from synaptic_consolidation.spines import (
    BOOTSTRAPS,
    FEWEST_PAIRS,
    KAUFMAN_COLUMNS,
    KAUFMAN_HOURS,
    read_spines,
)
from synaptic_consolidation.synapses import Spines, compare, enough
from synaptic_consolidation.theory import critical_load

PACKAGE = "synaptic-consolidation"
app = create_app(
    PACKAGE, "Two-factor synaptic consolidation: robust memory through pruning and scaling."
)


def main() -> None:
    """Run the command line."""
    app()


@contextmanager
def _naming_options() -> Iterator[None]:
    """Let errors that begin with the name of a parameter begin with that of its option."""
    try:
        yield
    except InvalidInputError as error:
        name, _, rest = str(error).partition(":")
        raise InvalidInputError(f"--{name.replace('_', '-')}:{rest}") from None


# --- networks ---

PATTERNS, LEARNING = "Patterns", "Learning and measuring"


@dataclass
class NetworkOptions:
    """Networks that memorise random patterns."""

    n: Annotated[
        int | None,
        typer.Option("--n", help="Neurons N. Default: 200; f50: 1000.", rich_help_panel=PATTERNS),
    ] = None
    f: Annotated[
        float, typer.Option(help="Activity of the patterns.", rich_help_panel=PATTERNS)
    ] = 0.5
    exact_activity: Annotated[
        bool,
        typer.Option(
            "--exact-activity",
            help="Exactly N f neurons are active in a pattern, not on average.",
            rich_help_panel=PATTERNS,
        ),
    ] = False
    loads: Annotated[
        str | None,
        typer.Option(
            help="Loads M / N. Default: 0.08,0.33,0.7; f50: the paper's eight.",
            rich_help_panel=PATTERNS,
        ),
    ] = None
    task: Annotated[
        Literal["attractors", "sequence"],
        typer.Option(
            help="Patterns recall themselves, or each the next one.", rich_help_panel=PATTERNS
        ),
    ] = "attractors"
    factors: Annotated[
        str, typer.Option(help="Numbers of factors z.", rich_help_panel=LEARNING)
    ] = "1,2,3,4"
    rows: Annotated[
        int | None,
        typer.Option(
            help="Only the first neurons learn; recall needs all. Default: all.",
            rich_help_panel=LEARNING,
        ),
    ] = None
    max_steps: Annotated[
        int | None,
        typer.Option(
            help="Limit of steps. Default: 100000; f50: 12500 to 15000 per pattern (the paper's).",
            rich_help_panel=LEARNING,
        ),
    ] = None
    beta: Annotated[
        float,
        typer.Option(
            help="How much replay favours patterns near the threshold.", rich_help_panel=LEARNING
        ),
    ] = 100.0
    u0: Annotated[
        float, typer.Option("--u0", help="Size of initial factors.", rich_help_panel=LEARNING)
    ] = 0.1
    tests: Annotated[
        int, typer.Option(help="Tests of recall at every level of noise.", rich_help_panel=LEARNING)
    ] = 20
    optima: Annotated[
        int,
        typer.Option(
            help="Neurons of each network that are compared with the exact optimum.",
            rich_help_panel=LEARNING,
        ),
    ] = 10

    def plan(self, **defaults: Any) -> networks.Plan:
        """Check and collect what is to be done."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        if self.loads is not None:
            values["loads"] = tuple(parse_numbers("--loads", self.loads))
        values["factors"] = tuple(
            int(z) for z in parse_numbers("--factors", self.factors, whole=True)
        )
        with _naming_options():
            return networks.Plan(**defaults | values)


def _memorise(common: Common, plan: networks.Plan) -> None:
    for load in plan.unsolvable:
        common.reporter.warn(
            f"--loads {load:g}: above the critical load {critical_load(plan.f):.4g} at "
            f"f = {plan.f:g}; for many neurons no weights answer all patterns, learning ends after "
            f"{plan.steps(load, plan.factors[0]):,} steps"
        )
    device = resolve_device(common.device)
    spec = RunSpec(
        package=PACKAGE,
        experiment="networks",
        config=asdict(plan),
        seeds=common.seed_list,
        device=device,
        quick=common.quick,
        label=f"n{plan.n}-f{plan.f:g}",
    )

    def work(run: Run) -> Outcome:
        return Outcome(*networks.run(plan, common.seed_list, device=device, journal=run))

    execute(common, spec, work, draw, CLAIMS)


TINY = {"n": 100, "loads": "0.08,0.33", "max_steps": 20_000, "tests": 5}
"""What `--quick` makes of networks."""


@app.callback(invoke_without_command=True)
@command(quick=TINY)
def memorise(common: Common, network: NetworkOptions) -> None:
    """Let small networks memorise patterns with one to four factors per synapse (Figure 2).

    The run directory gets margins, densities and tolerances to noise, figures, and the verdict on
    the claims of the paper.
    """
    _memorise(common, network.plan(n=200, loads=(0.08, 0.33, 0.7), max_steps=100_000))


@app.command()
@command(quick=TINY)
def f50(common: Common, network: NetworkOptions) -> None:
    """Do the same with the paper's networks: 1,000 neurons, eight loads, more steps (hours)."""
    _memorise(common, network.plan())


@app.command()
@command(quick={"n": 300, "patterns": 60, "passes": 150, "cycles": 1000, "tests": 3})
def wake_sleep(
    common: Common,
    n: Annotated[int, typer.Option("--n", help="Neurons N.")] = nights.PAPER_N,
    f: Annotated[float, typer.Option(help="Activity of the patterns.")] = 0.05,
    patterns: Annotated[int, typer.Option(help="Patterns M of each day.")] = 500,
    passes: Annotated[int, typer.Option(help="How often a day shows them.")] = 35,
    cycles: Annotated[int, typer.Option(help="Replay cycles of each night.")] = 100_000,
    days: Annotated[int, typer.Option(help="Days, each followed by a night.")] = 1,
    keep_old: Annotated[
        bool,
        typer.Option(
            "--keep-old/--forget-old", help="Later nights replay memories of earlier days, or not."
        ),
    ] = True,
    spread: Annotated[
        float, typer.Option(help="How much initial factors vary, relative to their mean.")
    ] = 0.3,
    tests: Annotated[int, typer.Option(help="Tests of recall at every level of noise.")] = 20,
) -> None:
    """Let a network learn sparse patterns by day, and consolidate them by night (Figure 3)."""
    with _naming_options():
        plan = nights.Plan(n, f, patterns, passes, cycles, days, keep_old, spread, tests)
    device = resolve_device(common.device)
    spec = RunSpec(
        package=PACKAGE,
        experiment="wake-sleep",
        config=asdict(plan),
        seeds=common.seed_list,
        device=device,
        quick=common.quick,
        label=f"n{n}-m{patterns}",
    )

    def work(run: Run) -> Outcome:
        return Outcome(*nights.run(plan, common.seed_list, device=device, journal=run))

    execute(common, spec, work, draw, CLAIMS)


# --- single synapses ---

NOISE = "Synapses that fluctuate"
MOST_BOOTSTRAPS = 100_000


@dataclass
class NoiseOptions:
    """How simulated synapses fluctuate, and how they are analysed. Times are in 10 min."""

    synapses: Annotated[int, typer.Option(help="Their number.", rich_help_panel=NOISE)] = 1000
    duration: Annotated[
        int,
        typer.Option(
            help="Time T; the last 144 samples, one per unit of time (10 min), are analysed.",
            rich_help_panel=NOISE,
        ),
    ] = 999
    dt: Annotated[float, typer.Option(help="Time step.", rich_help_panel=NOISE)] = 5e-3
    sigma: Annotated[float, typer.Option(help="Strength s of noise.", rich_help_panel=NOISE)] = 0.05
    mixture: Annotated[
        float,
        typer.Option(help="Share k of noise that slow factors multiply.", rich_help_panel=NOISE),
    ] = 0.5
    drift: Annotated[
        float, typer.Option(help="Mean b of noise, relative to --sigma.", rich_help_panel=NOISE)
    ] = 0.1
    gain: Annotated[float, typer.Option(help="Rate of homeostasis.", rich_help_panel=NOISE)] = 10.0
    tau: Annotated[
        float, typer.Option(help="Time constant of slow factors.", rich_help_panel=NOISE)
    ] = 30.0
    common_noise: Annotated[
        bool,
        typer.Option(
            "--common-noise/--separate-noise",
            help="Noise that slow factors multiply: one for all synapses, or one for each.",
            rich_help_panel=NOISE,
        ),
    ] = True
    bootstraps: Annotated[
        int, typer.Option(help="Resampled populations.", rich_help_panel=NOISE)
    ] = BOOTSTRAPS

    def parameters(self) -> Fluctuations:
        """Collect the parameters of the simulation; check all."""
        if not 1 <= self.bootstraps <= MOST_BOOTSTRAPS:
            raise InvalidInputError(
                f"--bootstraps: got {self.bootstraps}, expected 1 to {MOST_BOOTSTRAPS}"
            )
        values = {k: v for k, v in vars(self).items() if k not in ("common_noise", "bootstraps")}
        with _naming_options():
            return Fluctuations(**values, common=self.common_noise)


FEW_SYNAPSES = {"synapses": 300, "duration": 300, "bootstraps": 100}
"""What `--quick` makes of simulated synapses."""


def _parse_factors(text: str) -> list[int]:
    factors = sorted(int(z) for z in parse_numbers("--factors", text, whole=True))
    if not 1 <= factors[0] <= factors[-1] <= MOST_FACTORS:
        raise InvalidInputError(
            f"--factors {text}: must be numbers from 1 to {MOST_FACTORS}, as in 1,2,3"
        )
    return factors


def _compare_synapses(
    common: Common,
    experiment: str,
    noise: NoiseOptions,
    factors: str,
    spines: Spines | None,
    record: DataRecord | None,
) -> None:
    """Simulate, analyse beside a recording if there is one, and store."""
    parameters, numbers = noise.parameters(), _parse_factors(factors)
    config = asdict(parameters) | {"factors": numbers, "bootstraps": noise.bootstraps}
    if spines is not None:
        config["hours"] = spines.hours

    def work(run: Run) -> Outcome:
        return Outcome(
            *compare(
                numbers,
                common.seed_list,
                parameters,
                spines=spines,
                bootstraps=noise.bootstraps,
                journal=run,
            )
        )

    label = f"{parameters.synapses}synapses"
    _run_on_cpu(common, experiment, config, label, work, data=record)


def _measured_spines(data_dir: Path | None) -> tuple[Spines, DataRecord]:
    data = kaufman_2012(data_dir=data_dir)
    return Spines(data.record.name, data.values[:, KAUFMAN_COLUMNS], KAUFMAN_HOURS), data.record


@app.command()
@command(quick=FEW_SYNAPSES)
def syn_noise(
    common: Common,
    noise: NoiseOptions,
    factors: Annotated[
        str, typer.Option(help="Numbers of factors z of a synapse.", rich_help_panel=NOISE)
    ] = ",".join(map(str, FACTORS)),
) -> None:
    """Let synapses of z factors fluctuate, and see how noise scales with size (Figures 5 and 6).

    They are compared with the spines of Kaufman et al. 2012 if that file is there.
    """
    spines = record = None
    try:
        spines, record = _measured_spines(common.data_dir)
    except InvalidInputError:
        raise
    except SharpwaveError:
        common.reporter.say("no measured spines to compare with: no kaufman_2012.csv found")
    _compare_synapses(common, "syn-noise", noise, factors, spines, record)


@app.command()
@command(quick=FEW_SYNAPSES)
def analyze_spines(
    common: Common,
    noise: NoiseOptions,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="CSV without header: a row for each synapse, a column for each time; NaN or "
            "nothing where a size is missing, 0 for a synapse that is gone.",
            show_default=False,
        ),
    ] = None,
    kaufman: Annotated[
        bool, typer.Option("--kaufman", help="The spines of Kaufman et al. 2012.")
    ] = False,
    hours: Annotated[
        float | None, typer.Option(help="Between the columns of FILE. Default: 0.5.")
    ] = None,
    factors: Annotated[
        str,
        typer.Option(help="Numbers of factors z to compare with.", rich_help_panel=NOISE),
    ] = "1,2,3,4,5",
) -> None:
    """Analyse measured spines like simulated synapses, and compare them (Figures 5 and 6)."""
    if (file is not None) == kaufman:
        given = "both" if kaufman else "neither"
        raise InvalidInputError(f"FILE, --kaufman: got {given}, expected one of the two")
    if file is None:
        if hours is not None:
            raise InvalidInputError(
                f"--hours {hours}: is for FILE; those of --kaufman are {KAUFMAN_HOURS} apart"
            )
        spines, record = _measured_spines(common.data_dir)
    else:
        sizes = read_spines(file)
        with _naming_options():
            spines = Spines(file.stem, sizes, KAUFMAN_HOURS if hours is None else hours)
        if not enough(spines.sizes):
            raise InvalidInputError(
                f"{file}: got too little, expected at least {FEWEST_PAIRS} growths and as many "
                "shrinkages from a column to the next, and a size above 0 in every column"
            )
        record = DataRecord("file", "FILE", str(file), sha256(file))
    _compare_synapses(common, "analyze-spines", noise, factors, spines, record)


# --- theory and exact solutions ---


@app.command()
@command(quick={"points": 50})
def theory(
    common: Common,
    f: Annotated[float, typer.Option(help="Activity of the patterns.")] = 0.5,
    points: Annotated[int, typer.Option(help="Points of every curve.")] = POINTS,
) -> None:
    """Compute the largest margins, their densities, and critical loads, for many neurons."""
    with _naming_options():
        metrics, arrays = compute_theory(f, points)
    _run_on_cpu(
        common, "theory", {"f": f, "points": points}, f"f{f:g}", lambda _: Outcome(metrics, arrays)
    )


@app.command()
@command(quick={"n": "100,200", "loads": "0.08,0.33,0.7", "rows": 10})
def exact(
    common: Common,
    n: Annotated[str, typer.Option("--n", help="Numbers of neurons N.")] = "100,200,400",
    f: Annotated[float, typer.Option(help="Activity of the patterns.")] = 0.5,
    loads: Annotated[str, typer.Option(help="Loads, patterns per neuron.")] = ",".join(
        f"{load:g}" for load in LOADS
    ),
    rows: Annotated[
        int, typer.Option(help="Neurons of each network whose weights are computed.")
    ] = 50,
    exact_activity: Annotated[
        bool,
        typer.Option(
            "--exact-activity",
            help="Exactly N f neurons are active in a pattern, not on average; the theory is for "
            "the latter.",
        ),
    ] = False,
) -> None:
    """Compute the optimal weights themselves for random patterns, and compare them with theory.

    One factor per synapse (z = 1) is a quadratic program, two (z = 2) are a linear one.
    """
    with _naming_options():
        plan = Plan(
            n=tuple(int(size) for size in parse_numbers("n", n, whole=True)),
            f=f,
            loads=tuple(parse_numbers("loads", loads)),
            rows=rows,
            exact_activity=exact_activity,
        )
    critical = critical_load(f)
    for load in plan.loads:
        if load > critical and not exact_activity:
            common.reporter.warn(
                f"--loads {load:g}: above the critical load {critical:.4g} at f = {f:g}; "
                "for many neurons no weights answer all patterns"
            )
    _run_on_cpu(
        common,
        "exact",
        asdict(plan),
        f"f{f:g}",
        lambda run: Outcome(*solve(plan, common.seed_list, run)),
    )


def _run_on_cpu(
    common: Common,
    experiment: str,
    config: dict[str, Any],
    label: str,
    work: Callable[[Run], Outcome],
    *,
    data: DataRecord | None = None,
) -> None:
    if common.device not in ("auto", "cpu"):
        common.reporter.warn(f"--device {common.device}: {experiment} computes on the CPU")
    spec = RunSpec(
        package=PACKAGE,
        experiment=experiment,
        config=config,
        seeds=common.seed_list,
        device=torch.device("cpu"),
        data=data,
        quick=common.quick,
        label=label,
    )
    execute(common, spec, work, draw, CLAIMS)


add_run_commands(app, PACKAGE, CLAIMS, draw)
