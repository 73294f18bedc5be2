"""The report's configurations side by side: how far each comes in equally many iterations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hybrid_plasticity.configuration import Configuration, Iterations
from sharpwave_shared import lazy
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import xr
from sharpwave_shared.parameters import Between, Distinct, Parameters, Positional

if TYPE_CHECKING:
    from hybrid_plasticity import comparison
    from sharpwave_shared import results
else:
    comparison = lazy.module("hybrid_plasticity.comparison")
    results = lazy.module("sharpwave_shared.results")


class Plan(Parameters):
    """Which networks are compared, and after how long."""

    panel: ClassVar = "Comparison"

    units: Annotated[tuple[Annotated[int, Between(1, 1000)], ...], Distinct()] = (50, 25)
    """Sizes of networks; of each the nine configurations whose layers have so many units, or
    twice as many."""
    budget: Iterations = 20_000
    """Iterations of every network, at most."""

    def configurations(self) -> list[Configuration]:
        """Give the configurations: with the default sizes, the 18 of the report."""
        return [
            Configuration(
                network_type=kind,
                hidden_dims=dims,
                hetero_rates=(1.0,) * len(types),
                plastic_types=types,
            )
            for units in self.units
            for kind, dims, types in _wirings(units)
        ]


def _wirings(units: int) -> list[tuple[Any, tuple[int, ...], tuple[Any, ...]]]:
    one, two = (2 * units,), (units, units)
    return [
        ("Nonl_RO", (2 * units, 2 * units), ("M",)),
        ("Nonl_RO", (2 * units, 2 * units), ("A",)),
        ("Memo", one, ("M",)),
        ("Memo", one, ("A",)),
        ("Memo", two, ("M", "A")),
        ("Memo", two, ("M", "M")),
        ("Dyn_RO", two, ("M", "A")),
        ("Dyn_RO", two, ("M", "M")),
        ("Stack", two, ("M", "A")),
    ]


class Compare(Plan, Experiment):
    """Compare trained configurations: the largest R that each mastered, and its pace."""

    directory: Annotated[Path, Positional("DIR")]
    """Folder of the results of training: what --out was."""

    conditions: ClassVar = ("configuration", "seed", "interval")
    uses_device: ClassVar = False

    @property
    def label(self) -> str:
        """The budget."""
        return str(self.budget)

    def load(self, options: Options) -> comparison.Trained:
        """Read what the networks mastered."""
        return comparison.read_trained(
            [self.directory / c.network_type / c.folder for c in self.configurations()]
        )

    def place(self, options: Options, seeds: Sequence[int], default: str) -> Path:
        """Give a folder beside those of the networks."""
        return options.out or self.directory / "comparison"

    def compute(self, job: Job) -> xr.Dataset:
        """Put side by side what was mastered within the budget."""
        return comparison.side_by_side(self.configurations(), job.data.data, self.budget)

    def finish(self, run: results.Run) -> None:
        """Print the table."""
        from rich.console import Console

        table = comparison.comparison_table(run.data)
        Console(soft_wrap=True, highlight=False).print(table)
