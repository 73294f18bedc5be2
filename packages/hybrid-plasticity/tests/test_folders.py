"""The folders of results, models that are read back, TensorBoard's logs; and configurations."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hybrid_made import network as network_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hybrid_plasticity.configuration import Configuration, Task
from hybrid_plasticity.curriculum import Network, unflatten
from hybrid_plasticity.experiments.train import Train
from hybrid_plasticity.folders import (
    TrainingLogs,
    clear_results,
    interval_directory,
    models_of,
    network_directory,
    read_model,
    write_metadata,
    write_model,
)
from hybrid_plasticity.model import initialise
from sharpwave_shared.errors import InvalidInputError, ParameterError, SharpwaveError
from sharpwave_shared.experiment import Options
from sharpwave_shared.files import read_tensors, write_tensors

SMALL = network_of("Memo", (4, 3), (1, 0), ("M", "A"), task=Task(2, 5, 0.2))
OTHER = network_of("Memo", (4, 3), (1, 0), ("A", "M"), task=Task(2, 5, 0.2))
KEY = "hybrid-plasticity"


# --- configurations -------------------------------------------------------------------------------


@st.composite
def choices(draw: st.DrawFn) -> dict[str, Any]:
    """Valid parameters of a configuration."""
    kind = draw(st.sampled_from(["Nonl_RO", "Memo", "Dyn_RO", "Stack"]))
    dims = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    layers = 1 if kind == "Nonl_RO" else len(dims)
    rates = draw(st.tuples(*[st.sampled_from([1, 0.5, 0, 1.0])] * layers))
    return {
        "network_type": kind,
        "hidden_dims": tuple(dims),
        "hetero_rates": rates,
        "plastic_types": draw(st.tuples(*[st.sampled_from("MA")] * layers)),
        "initial_rate": draw(st.sampled_from([-0.5, 0.5, 2.0])) if 0 in rates else -0.5,
        "out_dim": draw(st.integers(1, 3)),
        "scene_time": draw(st.integers(1, 5)),
        "vec_len": draw(st.integers(1, 30)),
        "VAR": draw(st.sampled_from([0, 1, 0.1, 0.25, 1.0])),
    }


@settings(max_examples=40)
@given(choices())
def test_configurations_survive_as_json(chosen: dict[str, Any]) -> None:
    configuration = Configuration(**chosen)
    stored = json.loads(json.dumps(configuration.values()))
    wanted = {name: list(v) if isinstance(v, tuple) else v for name, v in chosen.items()}
    assert stored == wanted
    again = Configuration(**stored)
    assert again == configuration
    assert again.folder == configuration.folder
    assert again.shapes == configuration.shapes
    sizes = [values.numel() for values in initialise(configuration, 0).values()]
    assert sum(sizes) == configuration.parameter_count


@settings(max_examples=40)
@given(choices(), st.data())
def test_every_parameter_is_in_the_name(chosen: dict[str, Any], data: st.DataObject) -> None:
    other = data.draw(choices())
    name = data.draw(st.sampled_from(["out_dim", "scene_time", "vec_len", "VAR"]))
    changed = chosen | {name: other[name]}
    one, two = Configuration(**chosen), Configuration(**changed)
    assert (one.folder == two.folder) == (chosen[name] == other[name])
    assert (one == two) == (chosen[name] == other[name])
    three = Configuration(**other)
    assert (one.folder == three.folder) == (chosen == other)


def test_parameters_counted_by_hand() -> None:
    # W, b, eta and lambda of each layer, then the readout.
    example = network_of()
    assert example.parameter_count == (2500 + 100 + 2500 + 1) + (10000 + 100 + 10000 + 1) + 101
    task = Task(4, 5)
    nonlinear = network_of("Nonl_RO", (6, 3), (0.5,), ("A",), task=task)
    assert nonlinear.parameter_count == (30 + 6 + 6 + 1) + (18 + 3) + 4
    dynamic = network_of("Dyn_RO", (6, 5), (0, 1), ("A", "M"), task=task)
    assert dynamic.parameter_count == (30 + 6 + 1 + 1) + (30 + 5 + 30) + 6
    stack = network_of("Stack", (3, 5), (1, 0), ("A", "M"), 2, task)
    assert stack.parameter_count == (15 + 3 + 15 + 1) + (25 + 5 + 1 + 1) + 2 * 9


@pytest.mark.parametrize(
    ("values", "name", "got"),
    [
        ({"network_type": "memo"}, "network_type", "'memo'"),
        ({"hidden_dims": ()}, "hidden_dims", "nothing"),
        ({"hidden_dims": (100, True)}, "hidden_dims", "true"),
        ({"hetero_rates": (1,)}, "hetero_rates", "1"),
        ({"hetero_rates": (1, 1, 1)}, "hetero_rates", "1,1,1"),
        ({"hetero_rates": (1, 0.7)}, "hetero_rates", "1,0.7"),
        ({"hetero_rates": (1, float("nan"))}, "hetero_rates", "nan"),
        ({"plastic_types": ("M",)}, "plastic_types", "M"),
        ({"plastic_types": ("M", "A", "A")}, "plastic_types", "M,A,A"),
        ({"plastic_types": ("M", "a")}, "plastic_types", "'a'"),
        ({"network_type": "Nonl_RO"}, "plastic_types", "M,A"),
        ({"network_type": "Nonl_RO", "plastic_types": ("M",)}, "hetero_rates", "1,1"),
        ({"scene_time": True}, "scene_time", "true"),
        ({"VAR": float("inf")}, "VAR", "inf"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    values: dict[str, Any], name: str, got: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        Configuration(**values)
    assert str(refused.value).startswith(f"{name}: got {got}, expected ")


# --- folders --------------------------------------------------------------------------------------


def mastered(configuration: Configuration, seed: int, intervals: int = 1) -> Network:
    network = Network.new(configuration, seed)
    for k in range(intervals):
        network.models.append(network.state[0] + k)
        network.mastered.append(10 * (k + 1))
    return network


def place(root: Path, configuration: Configuration) -> Path:
    return Train(**configuration.values()).place(Options(out=root), [0], "")


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_layout_is_that_of_the_original(tmp_path: Path) -> None:
    configuration = network_of()
    run = place(tmp_path, configuration)
    network = mastered(configuration, 0, 2)
    network.rows = [[1.0, 10.0, *[0.0] * (len(network.columns) - 2)]]
    folder = network_directory(run, 0, [0])
    write_metadata(run, configuration.values() | {"lr_rate": 0.001, "device": None})
    for model in models_of(network):
        write_model(folder, model)
    TrainingLogs(folder).write(network)
    base = "Memo/Memo-M_A-in25-hid100_100-eta-1_1-fr-4-var0.1"
    log = [name for name in files(tmp_path) if "Training_Log" in name]
    assert [name.rsplit("/", 1)[0] for name in log] == [f"{base}/R_1/Training_Log"]
    assert log[0].rsplit("/", 1)[1].startswith("events.out.tfevents.")
    assert sorted(set(files(tmp_path)) - set(log)) == [
        f"{base}/R_1/Model",
        f"{base}/R_2/Model",
        f"{base}/metadata.txt",
    ]
    assert (run / "metadata.txt").read_text().splitlines() == [
        "network_type: Memo",
        "hidden_dims: [100, 100]",
        "hetero_rates: [1.0, 1.0]",
        'plastic_types: ["M", "A"]',
        "initial_rate: -0.5",
        "scene_time: 4",
        "vec_len: 25",
        "VAR: 0.1",
        "out_dim: 1",
        "lr_rate: 0.001",
        "device: null",
    ]


def test_names_of_folders(tmp_path: Path) -> None:
    dynamic = network_of("Dyn_RO", (5, 6), (0.5, 0), ("M", "M"), task=Task(1, 7, 0.25))
    assert dynamic.folder == "Dyn_RO-M_M-in7-hid5_6-eta-0.5_0-fr-1-var0.25"
    static = network_of("Nonl_RO", (50, 50), (1,), ("A",), 2, Task(4, 25, 0))
    assert static.folder == "Nonl_RO-A-in25-hid50_50-eta-1-fr-4-var0-out2"
    assert place(tmp_path, static) == tmp_path / "Nonl_RO" / static.folder
    assert network_directory(tmp_path, 7, [7]) == tmp_path
    assert network_directory(tmp_path, 7, [0, 7]) == tmp_path / "seed_7"
    (tmp_path / "cells" / "seed=7").mkdir(parents=True)  # a worker's
    assert network_directory(tmp_path, 7, [0, 7]) == tmp_path / "cells" / "seed=7"
    assert interval_directory(tmp_path, 12) == tmp_path / "R_12"


def test_only_results_are_cleared(tmp_path: Path) -> None:
    kept = ["metadata.txt", "run.json", "figures/a.png", "R_x/file", "my_R_1/file", "seed_/file"]
    gone = ["R_1/Model", "R_12/Training_Log/events", "seed_0/R_1/Model", "seed_10/R_2/Model"]
    for name in kept + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
    (tmp_path / "R_7").write_text("a file, not a folder")
    clear_results(tmp_path)
    assert files(tmp_path) == sorted([*kept, "R_7"])


# --- models ---------------------------------------------------------------------------------------


def model_file(root: Path, configuration: Configuration = SMALL) -> Path:
    write_model(root, models_of(mastered(configuration, 5, 2))[-1])
    return root / "R_2" / "Model"


def test_models_are_read_back(tmp_path: Path) -> None:
    network = mastered(SMALL, 5, 2)
    path = model_file(tmp_path)
    for expected in (None, SMALL):
        model = read_model(path, expected)
        assert (model.configuration, model.seed, model.interval) == (SMALL, 5, 2)
        wanted = unflatten(SMALL, network.models[1][None])
        assert list(model.parameters) == list(wanted)
        assert all(torch.equal(model.parameters[name], wanted[name]) for name in wanted)
    tensors, _ = read_tensors(path)
    assert tensors["W_2"].shape == (3, 4)
    assert tensors["eta_2"].shape == ()


class Touch:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "unpickled"
    torch.save({"W_1": torch.zeros(2), "other": Touch(trace)}, tmp_path / "Model")
    with pytest.raises(SharpwaveError, match="Model"):
        read_model(tmp_path / "Model")
    assert not trace.exists()
    torch.load(tmp_path / "Model", weights_only=False)
    assert trace.exists(), "the file would have shown it"


def test_truncated_and_missing_models_are_refused(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    whole = path.read_bytes()
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(SharpwaveError, match=f"{path}: is not a readable safetensors file"):
            read_model(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(SharpwaveError, match=str(path)):
        read_model(path)
    with pytest.raises(SharpwaveError, match="R_9"):
        read_model(tmp_path / "R_9" / "Model")
    path.write_bytes(whole)
    assert read_model(path).seed == 5


def what(**changes: Any) -> str:
    values = {"configuration": SMALL.values(), "seed": 5, "interval": 2}
    values["configuration"] |= changes.pop("configuration", {})
    return json.dumps(values | changes)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {KEY: ""},
        {KEY: "not json"},
        {KEY: "[1, 2]"},
        {KEY: "{}"},
        {KEY: '"text"'},
        {KEY: what(configuration={"network_type": "Other"})},
        {KEY: what(configuration={"hidden_dims": 7})},
        {KEY: what(configuration={"hidden_dims": [4, "3"]})},
        {KEY: what(configuration={"hidden_dims": [4, 4]})},
        {KEY: what(configuration={"hetero_rates": [1, 1]})},
        {KEY: what(configuration={"VAR": "x"})},
        {KEY: what(configuration={"vec_len": 10**12})},
        {KEY: what(seed="x")},
        {KEY: what(seed=None)},
        {KEY: what(interval=[])},
    ],
)
def test_other_safetensors_files_are_refused(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = model_file(tmp_path)
    tensors, _ = read_tensors(path)
    write_tensors(path, tensors, {KEY: what()})
    read_model(path)  # the tensors are not what is wrong
    write_tensors(path, tensors, metadata)
    with pytest.raises(SharpwaveError, match="is not a model of hybrid-plasticity") as refused:
        read_model(path)
    assert str(path) in str(refused.value)
    assert not isinstance(refused.value, InvalidInputError)


@pytest.mark.parametrize(
    "metadata",
    [
        what(seed=float("inf")),
        what(interval=float("inf")),
        what(interval=0),
        what(interval=-1),
        "[" * 100_000,
    ],
    ids=["infinite seed", "infinite interval", "interval 0", "negative interval", "nested"],
)
def test_hostile_metadata_are_refused(tmp_path: Path, metadata: str) -> None:
    path = model_file(tmp_path)
    tensors, _ = read_tensors(path)
    write_tensors(path, tensors, {KEY: metadata})
    with pytest.raises(SharpwaveError, match="is not a model of hybrid-plasticity"):
        read_model(path)


@pytest.mark.parametrize("change", ["shape", "missing", "more", "dtype", "transposed"])
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, change: str) -> None:
    path = model_file(tmp_path)
    tensors, metadata = read_tensors(path)
    if change == "shape":
        tensors["b_1"] = torch.zeros(5)
    elif change == "missing":
        del tensors["lambda_2"]
    elif change == "more":
        tensors["W_3"] = torch.zeros(2, 2)
    elif change == "dtype":
        tensors["W_1"] = tensors["W_1"].double()
    else:
        tensors["W_1"] = tensors["W_1"].T.contiguous()
    write_tensors(path, tensors, metadata)
    with pytest.raises(SharpwaveError, match="do not fit"):
        read_model(path)


def test_a_model_of_another_configuration_is_refused_by_both_names(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_model(model_file(tmp_path), OTHER)
    text = str(refused.value)
    assert SMALL.folder in text
    assert OTHER.folder in text
    assert str(tmp_path) in text


# --- TensorBoard ----------------------------------------------------------------------------------


def rows_of(network: Network, steps: Sequence[tuple[int, int]]) -> list[list[float]]:
    """Rows whose value is 1000 R + iteration + 0.01 x column, exact enough to be recognised."""
    columns = range(len(network.columns) - 2)
    return [[float(R), float(n), *(1000 * R + n + k / 100 for k in columns)] for R, n in steps]


def read_log(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def check_log(folder: Path, interval: int, steps: list[int], columns: list[str]) -> None:
    log = read_log(folder)
    assert sorted(log.Tags()["scalars"]) == sorted(columns)
    for k, tag in enumerate(columns):
        scalars = log.Scalars(tag)
        assert [event.step for event in scalars] == steps
        assert [event.value for event in scalars] == pytest.approx(
            [1000 * interval + n + k / 100 for n in steps], rel=1e-6
        )


def test_tensorboard_reads_the_logs(tmp_path: Path) -> None:
    network = Network.new(SMALL, 0)
    columns = [
        *("loss", "accuracy", "false_positive_rate", "false_negative_rate"),
        *("W_1/norm", "W_1/variance", "b_1/norm", "b_1/variance"),
        *("eta_1/norm", "eta_1/variance", "lambda_1"),
        *("W_2/norm", "W_2/variance", "b_2/norm", "b_2/variance", "eta_2", "lambda_2"),
        *("W_out/norm", "W_out/variance", "b_out/norm", "b_out/variance"),
    ]
    logs = TrainingLogs(tmp_path)
    logs.write(network)  # nothing yet
    assert files(tmp_path) == []
    steps = [(1, 10), (1, 20), (1, 23), (2, 10), (2, 20), (2, 30), (3, 4)]
    for upto in (1, 2, 2, 4, 7):  # one call finds nothing new, the last two intervals
        network.rows = rows_of(network, steps[:upto])
        logs.write(network)
    for interval, wanted in ((1, [10, 20, 23]), (2, [10, 20, 30]), (3, [4])):
        check_log(tmp_path / f"R_{interval}" / "Training_Log", interval, wanted, columns)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R_1", "R_2", "R_3"]


def test_logs_after_a_resume_hold_every_step_once(tmp_path: Path) -> None:
    network = Network.new(SMALL, 0)
    columns = network.columns[2:]
    steps = [(1, 10), (1, 20), (2, 10), (2, 20), (2, 30)]
    logs = TrainingLogs(tmp_path)
    for upto in (1, 3, 5):
        network.rows = rows_of(network, steps[:upto])
        logs.write(network)
    (tmp_path / "R_1" / "Model").write_text("is kept")
    # The checkpoint knew of the first three rows only.
    logs = TrainingLogs(tmp_path)
    network.rows = rows_of(network, steps[:3])
    logs.write(network)
    check_log(tmp_path / "R_2" / "Training_Log", 2, [10], columns)
    for upto in (4, 5):
        network.rows = rows_of(network, steps[:upto])
        logs.write(network)
    check_log(tmp_path / "R_1" / "Training_Log", 1, [10, 20], columns)
    check_log(tmp_path / "R_2" / "Training_Log", 2, [10, 20, 30], columns)
    assert (tmp_path / "R_1" / "Model").exists()
