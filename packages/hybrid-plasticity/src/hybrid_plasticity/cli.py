"""The command `hybrid-plasticity`."""

from typing import ClassVar, Literal

from hybrid_plasticity.experiments.analyze import Analyze
from hybrid_plasticity.experiments.compare import Batch, Compare
from hybrid_plasticity.experiments.evaluate import Evaluate
from hybrid_plasticity.experiments.train import Train
from sharpwave_shared.app import App
from sharpwave_shared.experiment import Options
from sharpwave_shared.parameters import Parameters
from sharpwave_shared.reporting import Reporter

app = App("hybrid-plasticity", "Hybrid synaptic plasticity: networks that recognise what they saw.")
app.know(Train, Compare)


class Mode(Parameters):
    """What the main command does."""

    panel: ClassVar = Train.panel

    mode: Literal["train", "visualize"] = "train"
    """train, or draw the pictures of a trained network again (visualize)."""


@app.command(quick=Train.quick)
def train(network: Train, chosen: Mode, options: Options, reporter: Reporter) -> None:
    """Train a network to recognise scenes seen R scenes ago, for ever larger R.

    Results lie in NETWORK_TYPE/CONFIGURATION/ under --out.
    """
    if chosen.mode == "visualize":
        from hybrid_plasticity.figures.pictures import visualize

        for path in visualize(network.place(options, options.all_seeds, ""), options.format):
            print(path)
        return
    from sharpwave_shared.execution import parse_sweep, run_all

    run_all([network], options, reporter, parse_sweep(Train, options.sweep))


QUICK = {"units": (25,), "budget": 400, "lr_rate": 0.003, "acc_threshold": 0.95, "acc_num": 5}
"""What `--quick` makes of the batch: within 400 iterations most of nine networks master R = 1."""


@app.command("batch", quick=QUICK, without=["sweep"])
def batch(plan: Batch, options: Options, reporter: Reporter) -> None:
    """Train the report's 18 configurations for equally many iterations, and compare them.

    Their results lie where the main command puts them, the comparison in comparison/ under --out;
    what is finished is skipped, what was cut off is gone on with.
    """
    from sharpwave_shared.execution import Cell, run_cells

    seeds = options.all_seeds
    # Figures of each take longer than its training would.
    cells = [Cell(training, seeds, draw=not options.quick) for training in plan.trainings()]
    run_cells(cells, options.replaced(resume=True), reporter, show_claims=False)
    root = cells[0].experiment.place(options, seeds, "").parents[1]
    compare = Compare(directory=root, units=plan.units, budget=plan.budget)
    # A comparison takes a second: an older one, of fewer iterations say, is replaced.
    inner = options.replaced(out=None, force=True, workers=1, cluster=None)
    run_cells([Cell(compare, seeds)], inner, reporter)


app.add(Evaluate, Analyze)


def main() -> None:
    """Run the command line."""
    app()
