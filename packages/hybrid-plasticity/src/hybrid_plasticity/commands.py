"""Commands beside the experiments: trainings of many configurations, and pictures drawn again."""

from typing import ClassVar

import typer

from hybrid_plasticity.configuration import LONGEST_INTERVAL, Configuration, Learning
from hybrid_plasticity.experiments.compare import Compare, Plan
from hybrid_plasticity.experiments.train import Train
from sharpwave_shared.experiment import Command, Options
from sharpwave_shared.reporting import Reporter


class Visualize(Configuration, Command):
    """Draw the pictures of a trained network again."""

    quick: ClassVar = {"hidden_dims": Train.quick["hidden_dims"]}
    without: ClassVar = ("sweep", "workers", "cluster", "cluster_options", "resume", "force")

    def start(self, options: Options, reporter: Reporter) -> None:
        """Print the paths of the pictures."""
        from hybrid_plasticity.figures.pictures import visualize

        trained = Train(**self.values()).place(options, options.all_seeds, "")
        for path in visualize(trained, options.format):
            typer.echo(path)


class Batch(Plan, Learning, Command):
    """Train the report's 18 configurations for equally many iterations, and compare them.

    Their results lie where the main command puts them, the comparison in comparison/ under --out;
    what is finished is skipped, what was cut off is gone on with.
    """

    # Within 400 iterations most of nine networks master R = 1.
    quick: ClassVar = {
        "units": (25,),
        "budget": 400,
        "lr_rate": 0.003,
        "acc_threshold": 0.95,
        "acc_num": 5,
    }
    without: ClassVar = ("sweep",)

    def trainings(self) -> list[Train]:
        """Give the experiments: equally many iterations for each, whatever they master."""
        learning = {name: getattr(self, name) for name in Learning.model_fields}
        limits = {"max_iterations": self.budget, "budget": self.budget}
        # An interval takes an iteration at least.
        longest = min(self.budget, LONGEST_INTERVAL)
        return [
            Train(**c.values(), **learning, **limits, max_r=longest) for c in self.configurations()
        ]

    def start(self, options: Options, reporter: Reporter) -> None:
        """Train as one batch, then compare."""
        from sharpwave_shared.execution import Cell, run_cells

        seeds = options.all_seeds
        # Figures of each take longer than its training would.
        cells = [Cell(training, seeds, draw=not options.quick) for training in self.trainings()]
        run_cells(cells, options.replaced(resume=True), reporter, show_claims=False)
        root = cells[0].experiment.place(options, seeds, "").parents[1]
        compare = Compare(directory=root, units=self.units, budget=self.budget)
        # A comparison takes a second: an older one, of fewer iterations say, is replaced.
        inner = options.replaced(out=None, force=True, workers=1, cluster=None)
        run_cells([Cell(compare, seeds)], inner, reporter)
