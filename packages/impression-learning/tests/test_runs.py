"""What runs give: results of every mode, the same numbers again, kill and resume."""

import json
import wave
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.numpy import load_file

from impression_learning import (
    Dimensionality,
    LrOptim,
    Snr,
    Standard,
    SwitchPeriod,
    VocalDigits,
)
from impression_learning.cli import app
from impression_learning.speech import SAMPLE_RATE
from sharpwave_shared import Options, Run

Finished = Callable[[str], Run]
MODES = list(app.experiments)
SEEDS = [3, 1, 2]
ALGORITHMS = {
    "dimensionality": ["impression", "reinforce", "backprop", "backprop-alternating"],
    "lr_optim": ["impression", "reinforce"],
}
AXES = {
    "dimensionality": ("dimension", [2, 4, 8]),
    "switch_period": ("switch_period", [1, 4, 31]),
    "time_constant": ("dt", [1, 0.1, 0.01]),
    "lr_optim": ("eta", [1e-7, 1e-8, 1e-9]),
}
ANALYSED = ("standard", "switch_period", "time_constant", "Vocal_Digits")
CLAIMED = {
    "standard": {"loss-falls", "reconstruction", "time-constant", "alternation"},
    "SNR": {"signal-to-noise", "same-way"},
    "dimensionality": {"near-backpropagation", "dimension"},
    "switch_period": {"alternation", "phase-length"},
    "time_constant": {"time-constant", "alternation"},
    "lr_optim": set(),
    "Vocal_Digits": {"speech-loss", "speech-reconstruction", "speech-dreams"},
}


@pytest.mark.parametrize("mode", MODES)
def test_results_of_every_mode(mode: str, finished: Finished) -> None:
    run = finished(mode)
    data = run.data
    axis, values = AXES.get(mode, ("", []))
    assert run.record.status == "finished"
    assert run.record.device.startswith("cpu")
    assert data["algorithm"].values.tolist() == ALGORITHMS.get(mode, ["impression"])
    assert data["seed"].values.tolist() == (SEEDS[:1] if mode == "Vocal_Digits" else SEEDS)
    if axis:
        assert data[axis].values.tolist() == values
    along = ("algorithm", *([axis] if axis else []), "seed")
    assert data["loss"].dims == (*along, "point")
    assert data["final_loss"].dims == data["diverged"].dims == along
    assert (data["loss"] > 0).all()
    assert (data["final_loss"] == data["loss"].isel(point=-1)).all()
    assert (data["diverged"] == -1).all()
    if mode != "Vocal_Digits":
        for algorithm in data["algorithm"].values:
            shorter = mode == "dimensionality" and algorithm.startswith("backprop")
            end = 100 if shorter else 400
            points = data["step"].sel(algorithm=algorithm)
            assert points.values.tolist() == [0, end // 2, end]
    for name, variable in data.variables.items():
        assert variable.dtype.kind not in "f" or np.isfinite(variable).all(), name
    assert ("r2" in data) == (mode in ANALYSED)
    awake = mode in ("dimensionality", "switch_period", "time_constant")
    assert ("loss_awake" in data) == ("final_loss_awake" in data) == awake
    if awake:
        assert (data["final_loss_awake"] == data["loss_awake"].isel(point=-1)).all()
    assert {v.claim.name for v in run.verify()} == CLAIMED[mode]


@pytest.mark.parametrize("mode", ANALYSED)
def test_what_is_kept_of_trials(mode: str, finished: Finished) -> None:
    run = finished(mode)
    data = run.data.isel(algorithm=0)
    n_in, n = (128, 40) if mode == "Vocal_Digits" else (6, 3)
    steps = 10 if mode == "Vocal_Digits" else 200
    assert data.sizes["channel"] == n_in
    assert data.sizes["unit"] == n
    assert data.sizes["time"] == steps
    periods = data["switch_period"].values if mode == "switch_period" else [1]
    for period in periods:
        one = data.sel(switch_period=period) if mode == "switch_period" else data
        awake = [bool(t // (period + 1) % 2 == 0) for t in range(steps)]
        phases = one["is_awake"]
        for shown in phases.values.reshape(-1, steps):
            assert shown.tolist() == awake
    curves = data["autocorrelation"].sel(source="inferred")
    assert curves.sizes["lag"] == 81
    assert curves.isel(lag=0).values == pytest.approx(1)
    weights = load_file(run.directory / "networks.safetensors")
    axis = AXES.get(mode, ("", []))[1]
    lead = (*([len(axis)] if axis else []), data.sizes["seed"])
    assert weights["recognition.0"].shape[: len(lead)] == lead
    transitions = weights["transition"]
    np.testing.assert_allclose(data["transition_mean"].values, transitions.mean(-1))
    np.testing.assert_allclose(data["transition_sd"].values, transitions.std(-1, ddof=1))


def test_statistics_of_updates(finished: Finished) -> None:
    data = finished("SNR").data
    assert data["u"].dims == ("algorithm", "seed", "point", "parameter")
    assert data["w"].dims == ("algorithm", "seed", "point", "traces", "parameter")
    assert data.sizes["parameter"] == 2 * 2 * 4 + 2
    assert data["matrix"].values.tolist() == ["W_in"] * 8 + ["W_out"] * 8 + ["D"] * 2
    for name in ("snr", "norm", "cosine", "cosine_all", "inner_product"):
        assert data[name].dims == ("algorithm", "third_factor", "traces", "seed", "point")
    assert (data["snr"] > 0).all()
    assert (data["impression_snr"] > 0).all()


def test_verify_of_stored_runs(finished: Finished, command: Callable[..., Any]) -> None:
    code, shown, _ = command("verify", finished("standard").directory, "--json")
    verdicts = json.loads(shown)
    assert {v["name"] for v in verdicts} == CLAIMED["standard"]
    assert code == (0 if all(v["reproduced"] for v in verdicts) else 1)
    code, _, err = command("verify", finished("lr_optim").directory)
    assert code == 1
    assert "no claim speaks about a run" in err


def test_speech_is_made_audible(finished: Finished) -> None:
    run = finished("Vocal_Digits")
    assert run.directory is not None
    assert run.record.dataset is not None
    assert run.record.dataset["name"] == "synthetic-speech"
    paths = list(run.directory.glob("*.wav"))
    assert {p.stem for p in paths} == {"stimulus", "dream", "dream_before"}
    sounds = {}
    for path in paths:
        with wave.open(str(path)) as stream:
            assert (stream.getnchannels(), stream.getsampwidth()) == (1, 2)
            assert stream.getframerate() == SAMPLE_RATE
            sounds[path.stem] = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
            assert len(sounds[path.stem]) == stream.getnframes() == 10 * 512
        assert np.abs(sounds[path.stem].astype(int)).max() > 10_000
    assert (sounds["dream"] != sounds["dream_before"]).any()
    frequencies = run.data["frequency"].values
    assert len(frequencies) == 128
    assert (np.diff(frequencies) > 0).all()
    assert run.data.attrs["offset_db"] == 80


@pytest.mark.parametrize("mode", ["standard", "SNR", "dimensionality"])
def test_seeds_give_the_same_numbers_alone_and_again(
    mode: str, tiny: dict[str, dict[str, Any]], finished: Finished
) -> None:
    alone = app.experiments[mode](**tiny[mode]).run(1)
    beside = finished(mode).data.sel(seed=[1])
    xr.testing.assert_identical(alone.drop_attrs(deep=False), beside.drop_attrs(deep=False))


@pytest.mark.parametrize(
    ("mode", "algorithm"),
    [
        ("SNR", "reinforce"),
        ("dimensionality", "backprop"),
        ("time_constant", "backprop"),
        ("lr_optim", "reinforce"),
    ],
)
def test_other_algorithms(
    mode: str, algorithm: Any, tiny: dict[str, dict[str, Any]], finished: Finished
) -> None:
    rate = {"eta_reinforce": 1e-8} if mode not in ("lr_optim", "dimensionality") else {}
    data = app.experiments[mode](**tiny[mode], **rate, algorithm=algorithm).run(1)
    assert data["algorithm"].values.tolist() == [algorithm]
    whole = finished(mode).data.sel(seed=[1])
    if algorithm in whole["algorithm"]:
        np.testing.assert_array_equal(data["loss"], whole["loss"].sel(algorithm=[algorithm]))
    else:
        assert not np.array_equal(data["final_loss"], whole["final_loss"])


def test_the_loss_awake_is_that_of_a_passage_without_sleep(
    tiny: dict[str, dict[str, Any]], finished: Finished
) -> None:
    """A phase that does not end within the passage tells the same by the other loss."""
    data = finished("switch_period").data.sel(seed=[1])
    endless = SwitchPeriod(**tiny["switch_period"] | {"periods": (10**6,)}).run(1)
    np.testing.assert_array_equal(endless["loss_awake"], endless["loss"])
    before = {"point": 0, "switch_period": 0}  # no network has learnt
    assert data["loss_awake"][:, 0, :, 0].values == endless["loss"].isel(before).values
    assert (data["loss_awake"].isel(before) != data["loss"].isel(before)).all()


def test_backpropagation_learns_awake_unless_it_alternates(tiny: dict[str, dict[str, Any]]) -> None:
    """With phases that never end there is no sleep, and no difference."""
    found = {
        (algorithm, period): Standard(
            **tiny["standard"], algorithm=algorithm, switch_period=period
        ).run(1)["final_loss"].item()
        for algorithm in ("backprop", "backprop-alternating")
        for period in (1, 10**6)
    }  # fmt: skip
    assert found["backprop", 10**6] == found["backprop-alternating", 10**6]
    assert found["backprop", 1] != found["backprop-alternating", 1]


def test_third_factors(tiny: dict[str, dict[str, Any]]) -> None:
    small = tiny["standard"] | {"algorithm": "reinforce", "eta_reinforce": 1e-7}
    first, other = (
        Standard(**small, third_factor=factor).run(0)["loss"].values.ravel()
        for factor in ("gradient", "released")
    )
    assert first[0] == other[0]
    assert first[2] != other[2]


def test_more_points_than_steps(tiny: dict[str, dict[str, Any]]) -> None:
    """Algorithms with different numbers of points stand side by side; NaN fills up."""
    small = {"test_steps": 200, "points": 5, "steps": 6, "steps_backprop": 2, "dimensions": (0,)}
    data = Dimensionality(**small).run(0)
    assert data["step"].sel(algorithm="impression").values.tolist() == [0, 2, 3, 4, 6]
    backprop = data.sel(algorithm="backprop")
    assert backprop["step"].values[:3].tolist() == [0, 1, 2]
    assert np.isnan(backprop["step"].values[3:]).all()
    assert np.isnan(backprop["loss"].values[..., 3:]).all()
    assert backprop["final_loss"] == backprop["loss"].isel(point=2)


@pytest.mark.parametrize("rates", [(1e-12, 100.0), (100.0,)])
def test_divergence_is_a_result_of_the_search(rates: tuple[float, ...]) -> None:
    """Also where every network diverges."""
    run = LrOptim(steps=400, test_steps=200, points=3, rates=rates)
    data = run.run((0, 1))
    assert np.isfinite(data["loss"].isel(point=0)).all()
    away = data.sel(eta=100)
    assert np.isnan(away["final_loss"]).all()
    assert ((away["diverged"] > 0) & (away["diverged"] < 400)).all()
    if len(rates) > 1:
        fine = data.sel(eta=1e-12)
        assert np.isfinite(fine["loss"]).all()
        assert (fine["diverged"] == -1).all()
    assert LrOptim.figures()(run, data)
    plt.close("all")


def test_devices_are_chosen_by_the_number_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "impression_learning.simulate.resolve_device",
        lambda name: torch.device("cpu" if name == "cpu" else "meta"),
    )
    assert Standard().device(Options(), range(499)).type == "cpu"
    assert Standard().device(Options(), range(500)).type == "meta"
    assert LrOptim().device(Options(), range(25)).type == "meta"  # 20 rates
    assert Snr().device(Options(device="cpu"), range(500)).type == "cpu"
    assert VocalDigits().device(Options(), [0]).type == "cpu"
