"""Sizes at which every experiment takes about a second."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from rnn_reactivation.experiments.analyze import Analyze
from rnn_reactivation.experiments.train import TrainHeadDirection, TrainNavigation
from sharpwave_shared.experiment import Experiment

SECTIONS: dict[str, dict[str, Any]] = {
    "rnn": {"hidden_size": 8},
    "trainer": {"n_epochs": 4, "batch_size": 4, "test_every": 2, "save_every": 2},
}
NAVIGATION = {**SECTIONS, "task": {"length": 3, "place_cells_num": 6}}
HEAD_DIRECTION = {**SECTIONS, "task": {"length": 3, "head_direction_cells_num": 6}}
ANALYSIS: dict[str, Any] = {
    "trajectories": 4,
    "steps": 6,
    "samples": 10,
    "variance_trajectories": 3,
    "variance_steps": 6,
    "variance_dropped": 2,
    "dimension_trajectories": 3,
    "dimension_steps": 4,
}
NAME = "no-noise_biased"  # it has all conditions


class OfNetworks(Mapping[str, Any]):
    """Parameters of an analysis of a tiny network, which is trained when one asks where it lies."""

    values_: Mapping[str, Any] = {**ANALYSIS, "configurations": (NAME,)}

    @cached_property
    def networks(self) -> Path:
        """Train the network, with seed 0 and without figures; give the folder of all results."""
        from sharpwave_shared.execution import Cell, run_cells
        from sharpwave_shared.experiment import Options
        from sharpwave_shared.reporting import Reporter

        root = Path(tempfile.mkdtemp(prefix="rnn-reactivation-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        sections = {**NAVIGATION, "rnn": {**SECTIONS["rnn"], "sigma2_rec": 0.0}}
        sections["trainer"] = {**SECTIONS["trainer"], "n_epochs": 1}
        cell = Cell(TrainNavigation(config=NAME, **sections), (0,), draw=False)
        run_cells([cell], Options(out=root), Reporter(quiet=True), show_claims=False)
        return root

    def __getitem__(self, name: str) -> Any:
        return self.networks if name == "networks" else self.values_[name]

    def __iter__(self) -> Iterator[str]:
        yield from (*self.values_, "networks")

    def __len__(self) -> int:
        return len(self.values_) + 1


TINY: dict[type[Experiment], Mapping[str, Any]] = {
    TrainNavigation: NAVIGATION,
    TrainHeadDirection: HEAD_DIRECTION,
    Analyze: OfNetworks(),
}
