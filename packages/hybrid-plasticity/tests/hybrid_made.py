"""Networks and results made by hand, for the tests of hybrid-plasticity."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from hybrid_plasticity.analysis import BEFORE, QUANTITIES, _empty
from hybrid_plasticity.comparison import side_by_side
from hybrid_plasticity.configuration import Configuration, Limits, Task
from hybrid_plasticity.curriculum import Network, learned
from hybrid_plasticity.figures import pictures
from hybrid_plasticity.folders import Model
from hybrid_plasticity.model import initialise
from sharpwave_shared import execution
from sharpwave_shared.results import read_results

TINY: dict[str, Any] = {
    # The first intervals are mastered within some iterations: two thirds of the scenes are new.
    "hidden_dims": (6, 5),
    "scene_time": 2,
    "vec_len": 8,
    "VAR": 0.2,
    "acc_threshold": 0.6,
    "acc_num": 2,
    "max_r": 2,
    "max_iterations": 12,
}
"""Parameters with which training takes a second."""


def network(
    network_type: str = "Memo",
    hidden_dims: Sequence[int] = (100, 100),
    hetero_rates: Sequence[float] = (1, 1),
    plastic_types: Sequence[str] = ("M", "A"),
    out_dim: int = 1,
    task: Task = Task(),  # noqa: B008 - does not change
) -> Configuration:
    """Give a configuration."""
    return Configuration(
        network_type=network_type,
        hidden_dims=hidden_dims,
        hetero_rates=hetero_rates,
        plastic_types=plastic_types,
        out_dim=out_dim,
        scene_time=task.scene_time,
        vec_len=task.vec_len,
        VAR=task.var,
    )


SMALL = network("Memo", (2,), (1,), ("A",), task=Task(1, 2, 0))


def parameters(configuration: Configuration, seed: int) -> dict[str, np.ndarray]:
    return {name: v[0].numpy() for name, v in initialise(configuration, seed).items()}


def untrained(configuration: Configuration, seed: int, interval: int = 1) -> Model:
    return Model(configuration, seed, interval, initialise(configuration, seed))


def trained(
    mastered: Mapping[int, list[int]],
    more: int = 0,
    configuration: Configuration | None = None,
    *,
    log: bool = True,
) -> xr.Dataset:
    """What training gives: a row every 10 iterations, and when an R is mastered."""
    networks = []
    for seed, took in mastered.items():
        one = Network.new(configuration or SMALL, seed)
        rng = np.random.default_rng(seed)
        ends = [*((k, n, True) for k, n in enumerate(took, 1)), (len(took) + 1, more, False)]
        one.rows = [
            [float(k), float(i), *rng.uniform(0.1, 0.9, len(one.columns) - 2)]
            for k, n, done in ends
            for i in (*range(10, n + 1, 10), *([n] if done and n % 10 else []))
            if log
        ]
        one.mastered, one.iteration = list(took), sum(took) + more
        networks.append(one)
    return learned(networks, Limits())


def pictured(configuration: Configuration, seed: int) -> dict[str, np.ndarray]:
    """What `analysis.picture` gives, which compiles a network."""
    rng = np.random.default_rng(seed)
    time, scenes = configuration.scene_time, 6
    repeated = np.arange(scenes) % 3 == 1
    found = {"repeated": repeated, "moments": np.array([2, 4, 6]) * time}
    found["answers"] = rng.uniform(0, 1, scenes).astype(np.float32)
    for i, layer in enumerate(configuration.layers, 1):
        found[f"hidden_{i}"] = rng.uniform(0, 1, (scenes * time, layer.units))
        if layer.rule is not None:
            found[f"P_{i}"] = rng.normal(size=(3, layer.units, layer.inputs))
            found[f"actual_{i}"] = rng.normal(size=(4 * time, layer.units, layer.inputs))
    return found | parameters(configuration, seed)


def _about(data: xr.Dataset, configuration: Configuration, seeds: Sequence[int]) -> xr.Dataset:
    data = data.assign(trained_to=("seed", [1 + seed % 3 for seed in seeds]))
    return data.assign_coords(seed=list(seeds)).assign_attrs(
        network=configuration.short_name,
        initial_rate=configuration.initial_rate,
        scene_time=configuration.scene_time,
        test_streams=3,
    )


def analysed(configuration: Configuration, seeds: Sequence[int]) -> xr.Dataset:
    """What an analysis gives."""
    each = []
    for seed in seeds:
        rng, data = np.random.default_rng(seed), _empty(configuration)
        own = parameters(configuration, seed)
        for i, layer in enumerate(configuration.layers):
            for name in ("suppression", "response", "course"):
                data[name].values[i] = rng.random(data[name].values[i].shape)
            data["unit_response"].values[i, :, : layer.units] = rng.normal(size=(2, layer.units))
            if layer.rule is None:
                continue
            for name in QUANTITIES:
                data[name].values[i] = rng.random()
            for when in ("", BEFORE):
                for name in ("sign_mean", "sign_negative"):
                    data[name + when].values[i] = rng.random()
                data["sign" + when].values[i, : layer.units] = rng.normal(size=layer.units)
            data["decay"].values[i] *= layer.decays
            data["decay_time"].values[i] = 5 * data["decay"].values[i]
            data["W_eta_correlation"].values[i] = np.nan if layer.rate == 0 else 0.2
            W = own[f"W_{i + 1}"]
            data["W"].values[i, : layer.units, : layer.inputs] = W
            eta = np.broadcast_to(own[f"eta_{i + 1}"], W.shape)
            data["eta"].values[i, : layer.units, : layer.inputs] = eta
        each.append(data)
    return _about(xr.concat(each, "seed"), configuration, seeds)


def evaluated(seeds: Sequence[int], **values: Any) -> xr.Dataset:
    """What an evaluation gives; `values` stand for those of all seeds."""
    rates = {
        "true_positive": [[1.0, 0.9, 0.1 * seed, 0.05] for seed in seeds],
        "false_positive": [[0.0, 0.01, 0.02, 0.03] for _ in seeds],
        "accuracy": [[1.0, 0.95, 0.8, 0.7] for _ in seeds],
    }
    data = xr.Dataset(
        {name: (("seed", "interval"), found) for name, found in rates.items()}
        | {"half_life": ("seed", [3.0 + seed for seed in seeds])},
        {"interval": [1, 2, 4, 8]},
    )
    return _about(data, network(), seeds)


def compared(mastered: Mapping[str, Sequence[list[int]]], budget: int = 10**9) -> xr.Dataset:
    """What a comparison gives, of networks named as in `Memo [3,2] MA`."""
    configurations = []
    for name in mastered:
        kind, dims, types = name.split()
        sizes = [int(size) for size in dims.strip("[]").split(",")]
        configurations.append(network(kind, sizes, [1] * len(types), list(types)))
    data = [trained(dict(enumerate(took)), log=False) for took in mastered.values()]
    return side_by_side(configurations, data, budget)


def words(figure: Figure) -> str:
    return " ".join(" ".join(t.get_text() for t in figure.findobj(plt.Text)).split())


def check(figures: Mapping[str, Figure], *, render: bool = False) -> None:
    """Check that shown axes are labelled and their limits are numbers."""
    for name, figure in figures.items():
        if render:
            figure.draw_without_rendering()
        for axes in figure.axes:
            assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all(), name
            if axes.axison and axes.get_label() != "<colorbar>" and axes.get_subplotspec():
                assert axes.get_xlabel() or hides_labels(axes, "x"), (name, axes)
                assert axes.get_ylabel() or hides_labels(axes, "y"), (name, axes)


def hides_labels(axes: plt.Axes, which: str) -> bool:
    """Tell whether other axes in the same rows or columns carry the label."""
    mine = axes.get_subplotspec()
    for other in axes.figure.axes:
        spec = other.get_subplotspec()
        if spec is None or other is axes:
            continue
        if which == "x" and other.get_xlabel() and spec.rowspan.start > mine.rowspan.start:
            return True
        if which == "y" and other.get_ylabel() and spec.rowspan == mine.rowspan:
            return True
    return False


@contextmanager
def no_figures(*, but_pictures: bool = False) -> Iterator[list[Model]]:
    """Save no figures, which takes seconds; give the models of which pictures were to be saved."""
    models: list[Model] = []

    def save_pictures(
        model: Model, directory: Path, formats: Sequence[str], *, all_frames: bool = False
    ) -> list[Path]:
        models.append(model)
        return [directory / f"R_{model.interval}" / f"Weight_Matrices.{formats[0]}"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "draw_run", lambda *_: [])
        if not but_pictures:
            patch.setattr(pictures, "save_pictures", save_pictures)
        yield models


def events(folder: Path) -> list[tuple[int, str, float]]:
    """All scalars of a TensorBoard log, by tensorboard's own reader."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    found = []
    for path in sorted(folder.iterdir()):
        for event in EventFileLoader(str(path)).Load():
            found += [
                (event.step, value.tag, float(tensor_util.make_ndarray(value.tensor)))
                for value in event.summary.value
            ]
    return found


def contents(root: Path) -> dict[str, Any]:
    """All that runs leave, but for times."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.name == "Training_Log":
            log = events(path)
            assert len({entry[:2] for entry in log}) == len(log), f"{name}: a step comes twice"
            found[name] = sorted(log)
        elif path.name == "results.nc":
            data = read_results(path)
            found[name] = {n: (v.dims, v.values.tobytes()) for n, v in data.variables.items()}
        elif path.name in ("Model", "metadata.txt", "metrics.csv", "training.safetensors"):
            found[name] = path.read_bytes()
        elif path.is_file() and not path.name.startswith("events."):
            found[name] = None  # a file that holds times
    return found
