"""What trained networks do, and how: pictures, generalisation, interpretation."""

import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from hybrid_plasticity.configuration import Configuration
from hybrid_plasticity.folders import Model
from hybrid_plasticity.model import Parameters, effective_rates, initialise, run_networks
from hybrid_plasticity.streams import Streams, make_streams, scenes_of_training
from hybrid_plasticity.threads import threads
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.seeding import Streams as Seeds

SHOWN_SCENES = 24
"""Scenes of the stream that the pictures show; more where R needs them."""
MOMENTS = 3
"""Moments of the stream at which the pictures show the plastic matrices."""
AT_ONCE = 2**24
"""Numbers of activity, at most, that an evaluation holds at once."""


def stack_models(models: Sequence[Model]) -> Parameters:
    """Put the parameters of models with equal `wiring` side by side."""
    return {
        name: torch.cat([model.parameters[name] for model in models])
        for name in models[0].configuration.shapes
    }


@torch.no_grad()
def picture(model: Model, seed: int) -> dict[str, np.ndarray]:
    """Run a model over a test stream at the interval that it mastered, and keep what is drawn.

    Returns
    -------
    dict
        Every parameter by its name; `repeated` (scenes), `answers` (scenes, output after the
        sigmoid), `hidden_i` (frames x units), `moments` (frames after which the plastic matrices
        are shown), `P_i` (moments x units x inputs) and `actual_i`, the weights that inputs meet
        in effect (frames of the last `SHOWN_SCENES` scenes x units x inputs).
    """
    configuration = model.configuration
    scenes = max(SHOWN_SCENES, 4 * model.interval)
    generator = Seeds(seed).torch("picture", model.interval)
    streams = make_streams(configuration.task, model.interval, scenes, 1, generator)
    activity = run_networks([configuration], model.parameters, streams.frames[None])
    time = configuration.task.scene_time
    moments = [math.ceil(scenes * k / MOMENTS) * time for k in range(1, MOMENTS + 1)]
    found = {
        "repeated": streams.repeated[0],
        "answers": activity.logits[0, 0, :, 0].sigmoid(),
        "moments": torch.tensor(moments),
    }
    inputs = streams.frames[0]
    for i, layer in enumerate(configuration.layers, 1):
        hidden = activity.hidden[i - 1][0, 0]
        found[f"hidden_{i}"] = hidden
        if layer.rule is not None:
            decay = model.parameters[f"lambda_{i}"][0].sigmoid() if layer.decays else 0.0
            eta = model.parameters[f"eta_{i}"][0]
            W = model.parameters[f"W_{i}"][0]
            P = hidden.new_zeros(layer.units, layer.inputs)
            kept, actual, first = [], [], len(hidden) - SHOWN_SCENES * time
            for t, (before, after) in enumerate(zip(inputs, hidden, strict=True), 1):
                P = decay * P + eta * torch.outer(after, before)
                if t in moments:
                    kept.append(P)
                if t > first:
                    actual.append(W + (W * P if layer.rule == "M" else P))
            found[f"P_{i}"], found[f"actual_{i}"] = torch.stack(kept), torch.stack(actual)
        if configuration.network_type != "Stack":
            inputs = hidden
    parameters = {name: values[0] for name, values in model.parameters.items()}
    return {name: values.numpy() for name, values in (found | parameters).items()}


def half_lives(
    intervals: Float[np.ndarray, " intervals"], memory: Float[np.ndarray, "networks intervals"]
) -> Float[np.ndarray, " networks"]:
    """Give, for each network, the interval at which half of its memory is left.

    Memory is the true minus the false positive rate, relative to its largest value; the interval
    is interpolated. NaN: at least half is left at the longest interval, or there is no memory of
    which half could be left.
    """
    found = np.full(len(memory), np.nan)
    for n, row in enumerate(memory):
        best = int(row.argmax())
        half = row[best] / 2
        after = np.flatnonzero(row[best:] < half)
        if half <= 0 or not len(after):
            continue
        k = best + int(after[0])
        share = (row[k - 1] - half) / (row[k - 1] - row[k])
        found[n] = intervals[k - 1] + share * (intervals[k] - intervals[k - 1])
    return found


def intervals_to_test(trained: int) -> list[int]:
    """Choose the test intervals for models trained up to R: 1 to 3 R, at least 6, and beyond."""
    end = max(3 * trained, 6)
    return [*range(1, end + 1), math.ceil(1.5 * end), 2 * end, 3 * end, 4 * end]


@torch.no_grad()
def generalise(
    models: Sequence[Model],
    intervals: Sequence[int],
    streams: int,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    reporter: Reporter | None = None,
) -> xr.Dataset:
    """Test models on many streams at intervals that they may not have been trained on.

    Parameters
    ----------
    models
        With equal `wiring`; all see the same streams.
    intervals
        Test intervals.
    streams
        Streams at each interval, of `scenes_of_training` scenes.
    seed
        Of the streams.
    device
        Where the networks are computed.
    reporter
        Shows progress.

    Returns
    -------
    xarray.Dataset
        For each network (`seed`) and test interval the share of repeated scenes that are
        recognised, of new scenes that are taken for repeated ones, and of right answers; for each
        network its half-life (see `half_lives`).
    """
    parameters = {k: v.to(device) for k, v in stack_models(models).items()}
    configurations = [model.configuration for model in models]
    task = configurations[0].task
    counts = torch.zeros(len(models), len(intervals), 4, dtype=torch.int64)
    reporter = reporter or Reporter(quiet=True)
    with (
        threads(),
        reporter.progress("testing at intervals", len(intervals) * streams) as advance,
    ):
        for k, interval in enumerate(intervals):
            scenes = scenes_of_training(interval)
            generator = Seeds(seed).torch("test", interval)
            size = scenes * task.scene_time * sum(configurations[0].hidden_dims) * len(models)
            left = streams
            while left:
                count = min(left, max(1, AT_ONCE // size))
                drawn = make_streams(task, interval, scenes, count, generator)
                frames = drawn.frames.to(device).expand(len(models), -1, -1, -1)
                logits = run_networks(configurations, parameters, frames).logits
                counts[:, k] += _count(logits.cpu() > 0, drawn)
                left -= count
                advance(count)
    hits, repeated, alarms, new = counts.double().numpy().transpose(2, 0, 1)
    right = (hits + new - alarms) / (repeated + new)
    half_life = half_lives(np.array(intervals, float), hits / repeated - alarms / new)
    where = ("seed", "interval")
    return xr.Dataset(
        {
            "true_positive": (where, hits / repeated, {"long_name": "true positive rate"}),
            "false_positive": (where, alarms / new, {"long_name": "false positive rate"}),
            "accuracy": (where, right, {"long_name": "accuracy"}),
            "half_life": ("seed", half_life, {"long_name": "half-life", "units": "scenes"}),
            "trained_to": trained_to(models),
        },
        {
            "seed": [model.seed for model in models],
            "interval": ("interval", list(intervals), {"units": "scenes"}),
        },
    )


def trained_to(models: Sequence[Model]) -> tuple[str, list[int], dict[str, str]]:
    """Give the intervals that models mastered, as a variable of a dataset."""
    about = {"long_name": "interval R of training", "units": "scenes"}
    return "seed", [model.interval for model in models], about


def _count(answers: Tensor, streams: Streams) -> Tensor:
    """Count hits, repeated scenes, false alarms and new scenes, for each network."""
    repeated = streams.repeated[..., None].expand(answers.shape)
    which = [answers & repeated, repeated, answers & ~repeated, ~repeated]
    return torch.stack([flags.sum((1, 2, 3)) for flags in which], 1)


QUANTITIES = {
    "eta_mean": "mean rate",
    "W_eta_correlation": "correlation of weights and rates",
    "E_mean": "mean effective rate",
    "E_size": "mean size of effective rates",
    "decay": "decay, factor from frame to frame",
    "decay_time": "time constant of the decay",
}
"""What `interpret` measures on a plastic layer."""
SIGNS = {
    "sign": "sign of plasticity s",
    "sign_mean": "mean sign of plasticity s",
    "sign_negative": "share of units with s < 0",
}
"""What `interpret` measures of the sign of plasticity, of units and of a layer."""
BEFORE = "_initial"
"""Ends the names of these before training."""
SCENES = ("new", "repeated")


@torch.no_grad()
def interpret(model: Model, streams: int, seed: SupportsIndex) -> xr.Dataset:
    """Look into a model: its parameters, and its activity at the interval that it mastered.

    Parameters
    ----------
    model
        The model.
    streams, seed
        Number and seed of the test streams.

    Returns
    -------
    xarray.Dataset
        For each `layer`: its `rule` (`M`, `A`, or `-` if it is static) and the `QUANTITIES` (the
        time constant is 0 for a memory of the last frame, infinite for one that does not decay);
        `W` and `eta` (unit x source); the `SIGNS`, see `signs`, now and before training. For each
        layer and `scene`, those that come again and the same when they were new: `response`, the
        mean activity at the last frame, and `unit_response`, that of each unit; `course`, the mean
        size of activity at each frame. `suppression`: the share of units that respond less (in
        size) to the repetition. Layers are filled up with NaN.
    """
    configuration, R = model.configuration, model.interval
    generator = Seeds(seed).torch("interpretation", R)
    drawn = make_streams(configuration.task, R, scenes_of_training(R), streams, generator)
    hidden = run_networks([configuration], model.parameters, drawn.frames[None]).hidden
    untrained = Model(configuration, model.seed, 0, initialise(configuration, model.seed))
    found = _empty(configuration)
    for when, network in (("", model), (BEFORE, untrained)):
        for i, s in signs(network, drawn.frames).items():
            found[f"sign{when}"].values[i - 1, : len(s)] = s.numpy()
            found[f"sign_mean{when}"].values[i - 1] = float(s.mean())
            found[f"sign_negative{when}"].values[i - 1] = float((s < 0).double().mean())
    for i, layer in enumerate(configuration.layers, 1):
        if layer.rule is not None:
            _measure_rates(model, i, found)
        activity = hidden[i - 1][0]
        activity = activity.view(streams, -1, configuration.scene_time, layer.units)
        # Repeated scenes, and the same scenes when they were new.
        again = activity[:, R:][drawn.repeated[:, R:]]
        first = activity[:, :-R][drawn.repeated[:, R:]]
        less = again[:, -1].abs().mean(0) < first[:, -1].abs().mean(0)
        found["suppression"].values[i - 1] = float(less.float().mean())
        for k, values in enumerate((first, again)):
            found["response"].values[i - 1, k] = float(values[:, -1].mean())
            found["course"].values[i - 1, k] = values.abs().mean((0, 2)).numpy()
            found["unit_response"].values[i - 1, k, : layer.units] = values[:, -1].mean(0).numpy()
    return found


@torch.no_grad()
def signs(
    model: Model, frames: Float[Tensor, "streams frames entries"]
) -> dict[int, Float[Tensor, " _"]]:
    """Give the sign of the plasticity of every unit: negative is anti-Hebbian.

    When an input h comes again, what a unit remembers of it adds s_i = sum_j E_ij h_j^2 to its
    drive, times its own activity then, where E is the change of a weight per product of activities
    (eta, or W * eta in a multiplicative layer). Squares are means over the streams.

    Returns
    -------
    dict
        For each plastic layer, counted from 1, s of its units.
    """
    configuration, inputs, found = model.configuration, frames, {}
    hidden = run_networks([configuration], model.parameters, frames[None]).hidden
    for i, layer in enumerate(configuration.layers, 1):
        if layer.rule is not None:
            E = effective_rates(model.parameters, i, torch.tensor([layer.rule == "M"]))[0]
            power = inputs.square().mean((0, 1))
            found[i] = (E.expand(layer.units, layer.inputs) * power).sum(1)
        inputs = frames if configuration.network_type == "Stack" else hidden[i - 1][0]
    return found


def _empty(configuration: Configuration) -> xr.Dataset:
    """Give the dataset of `interpret` before anything is known."""
    layers = configuration.layers
    units = max(layer.units for layer in layers)
    sources = max(layer.inputs for layer in layers)
    size = {
        "layer": len(layers),
        "scene": len(SCENES),
        "frame": configuration.scene_time,
        "unit": units,
        "source": sources,
    }

    def nothing(dims: str, name: str, dtype: Any = np.float64, **units: str) -> tuple:
        names = tuple(dims.split())
        shape = [size[name] for name in names]
        return names, np.full(shape, np.nan, dtype), {"long_name": name, **units}

    times = {"decay_time": {"units": "frames"}}
    return xr.Dataset(
        {name: nothing("layer", text, **times.get(name, {})) for name, text in QUANTITIES.items()}
        | {
            "suppression": nothing("layer", "share of units that respond less"),
            "response": nothing("layer scene", "mean activity"),
            "course": nothing("layer scene frame", "mean size of activity", np.float32),
            "unit_response": nothing("layer scene unit", "mean activity", np.float32),
            **{
                f"{name}{when}": nothing(
                    "layer unit" if name == "sign" else "layer",
                    f"{text} before training" if when else text,
                )
                for when in ("", BEFORE)
                for name, text in SIGNS.items()
            },
            "W": nothing("layer unit source", "weight", np.float32),
            "eta": nothing("layer unit source", "learning rate", np.float32),
        },
        {
            "layer": range(1, len(layers) + 1),
            "scene": list(SCENES),
            "frame": range(1, configuration.scene_time + 1),
            "rule": ("layer", [layer.rule or "-" for layer in layers]),
            "rate": ("layer", [float(layer.rate) for layer in layers]),
        },
    )


def _measure_rates(model: Model, i: int, found: xr.Dataset) -> None:
    """Measure the `QUANTITIES` of a plastic layer."""
    layer = model.configuration.layers[i - 1]
    W, eta = model.parameters[f"W_{i}"][0], model.parameters[f"eta_{i}"][0]
    multiplicative = torch.tensor([layer.rule == "M"])
    E = effective_rates(model.parameters, i, multiplicative)[0]
    every = eta.expand_as(W)
    correlation = math.nan
    if eta.numel() > 1:
        correlation = float(torch.corrcoef(torch.stack([W.flatten(), every.flatten()]))[0, 1])
    decay = float(model.parameters[f"lambda_{i}"][0].sigmoid()) if layer.decays else 0.0
    measured = {
        "eta_mean": float(every.mean()),
        "W_eta_correlation": correlation,
        "E_mean": float(E.mean()),
        "E_size": float(E.abs().mean()),
        "decay": decay,
        "decay_time": _decay_time(decay),
    }
    for name, value in measured.items():
        found[name].values[i - 1] = value
    for name, values in (("W", W), ("eta", every)):
        found[name].values[i - 1, : layer.units, : layer.inputs] = values.numpy()


def _decay_time(decay: float) -> float:
    if decay >= 1:
        return math.inf
    return -1 / math.log(decay) if decay > 0 else 0.0
