"""What trained networks do, and how: pictures, generalisation, interpretation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hybrid_plasticity.folders import Model
from hybrid_plasticity.model import Parameters, effective_rates, run_networks
from hybrid_plasticity.scan import threads
from hybrid_plasticity.streams import Streams, make_streams, scenes_of_training
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.seeding import Streams as Seeds

SHOWN_SCENES = 24
"""Scenes of the stream that the pictures show; more where R needs them."""
MOMENTS = 3
"""Moments of the stream at which the pictures show the plastic matrices."""
AT_ONCE = 2**24
"""Numbers of activity, at most, that an evaluation holds at once."""


def stack_models(models: Sequence[Model]) -> Parameters:
    """Put the parameters of models with equal `batch_key` side by side."""
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
        are shown) and `P_i` (moments x units x inputs).
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
            P = hidden.new_zeros(layer.units, layer.inputs)
            kept = []
            for t, (before, after) in enumerate(zip(inputs, hidden, strict=True), 1):
                P = decay * P + eta * torch.outer(after, before)
                if t in moments:
                    kept.append(P)
            found[f"P_{i}"] = torch.stack(kept)
        if configuration.network_type != "Stack":
            inputs = hidden
    parameters = {name: values[0] for name, values in model.parameters.items()}
    return {name: values.numpy() for name, values in (found | parameters).items()}


@dataclass(frozen=True)
class Generalisation:
    """How models answer at intervals that they may not have been trained on.

    Attributes
    ----------
    intervals
        Test intervals.
    true_positive, false_positive, accuracy
        Share of repeated scenes that are recognised, of new scenes that are taken for repeated
        ones, and of right answers.
    """

    intervals: np.ndarray
    true_positive: Float[np.ndarray, "networks intervals"]
    false_positive: Float[np.ndarray, "networks intervals"]
    accuracy: Float[np.ndarray, "networks intervals"]

    def half_life(self) -> list[float | None]:
        """Give, for each network, the interval at which half of its memory is left.

        Memory is the true minus the false positive rate, relative to its largest value; the
        interval is interpolated. None: at least half is left at the longest interval, or there is
        no memory of which half could be left.
        """
        found = []
        for memory in self.true_positive - self.false_positive:
            best = int(memory.argmax())
            half = memory[best] / 2
            after = np.flatnonzero(memory[best:] < half)
            if half <= 0 or not len(after):
                found.append(None)
                continue
            k = best + int(after[0])
            share = (memory[k - 1] - half) / (memory[k - 1] - memory[k])
            step = self.intervals[k] - self.intervals[k - 1]
            found.append(float(self.intervals[k - 1] + share * step))
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
) -> Generalisation:
    """Test models on many streams at every interval.

    Parameters
    ----------
    models
        With equal `batch_key`; all see the same streams.
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
    return Generalisation(np.array(intervals), hits / repeated, alarms / new, right)


def _count(answers: Tensor, streams: Streams) -> Tensor:
    """Count hits, repeated scenes, false alarms and new scenes, for each network."""
    repeated = streams.repeated[..., None].expand(answers.shape)
    which = [answers & repeated, repeated, answers & ~repeated, ~repeated]
    return torch.stack([flags.sum((1, 2, 3)) for flags in which], 1)


@dataclass(frozen=True)
class Interpretation:
    """How one model remembers.

    Attributes
    ----------
    layers
        For each plastic layer: `rule`; `eta_mean`; `eta_weighted`, its mean weighted by |W|
        (negative: anti-Hebbian); `eta_negative`, the share below 0; `W_eta_correlation` (None
        where there is one rate); `E_mean` and `E_size`, mean and mean size of the effective rates;
        `decay` and `decay_time`, the factor from frame to frame and its time constant in frames
        (0 for a memory of the last frame, None for one that does not decay).
    responses
        For each hidden layer: `new` and `repeated`, the mean activity at the last frame of scenes
        when they are new and when they come again; `suppression`, the share of units that respond
        less (in size) to the repetition.
    arrays
        `W_i` and `eta_i`; `new_i` and `repeated_i` (units): mean activity at the last frames;
        `course_new_i` and `course_repeated_i` (frames of a scene): mean size of activity.
    """

    layers: list[dict[str, float | str | None]]
    responses: list[dict[str, float]]
    arrays: dict[str, np.ndarray]


@torch.no_grad()
def interpret(model: Model, streams: int, seed: int) -> Interpretation:
    """Look into a model: its parameters, and its activity at the interval that it mastered.

    Parameters
    ----------
    model
        The model.
    streams, seed
        Number and seed of the test streams.
    """
    configuration, R = model.configuration, model.interval
    generator = Seeds(seed).torch("interpretation", R)
    drawn = make_streams(configuration.task, R, scenes_of_training(R), streams, generator)
    hidden = run_networks([configuration], model.parameters, drawn.frames[None]).hidden
    layers, responses, arrays = [], [], {}
    for i, layer in enumerate(configuration.layers, 1):
        if layer.rule is not None:
            layers.append(_layer(model, i, arrays))
        activity = hidden[i - 1][0]
        activity = activity.view(streams, -1, configuration.task.scene_time, layer.units)
        # Repeated scenes, and the same scenes when they were new.
        again = activity[:, R:][drawn.repeated[:, R:]]
        first = activity[:, :-R][drawn.repeated[:, R:]]
        responses.append(
            {
                "new": float(first[:, -1].mean()),
                "repeated": float(again[:, -1].mean()),
                "suppression": float(
                    (again[:, -1].abs().mean(0) < first[:, -1].abs().mean(0)).float().mean()
                ),
            }
        )
        for name, values in (("new", first), ("repeated", again)):
            arrays[f"{name}_{i}"] = values[:, -1].mean(0).numpy()
            arrays[f"course_{name}_{i}"] = values.abs().mean((0, 2)).numpy()
    return Interpretation(layers, responses, arrays)


def _layer(model: Model, i: int, arrays: dict[str, np.ndarray]) -> dict[str, float | str | None]:
    layer = model.configuration.layers[i - 1]
    W, eta = model.parameters[f"W_{i}"][0], model.parameters[f"eta_{i}"][0]
    multiplicative = torch.tensor([layer.rule == "M"])
    E = effective_rates(model.parameters, i, multiplicative)[0]
    arrays |= {f"W_{i}": W.numpy(), f"eta_{i}": eta.numpy()}
    every = eta.expand_as(W)
    correlation = None
    if eta.numel() > 1:
        correlation = float(torch.corrcoef(torch.stack([W.flatten(), every.flatten()]))[0, 1])
    decay = float(model.parameters[f"lambda_{i}"][0].sigmoid()) if layer.decays else 0.0
    return {
        "rule": layer.rule,
        "eta_mean": float(every.mean()),
        "eta_weighted": float((every * W.abs()).sum() / W.abs().sum()),
        "eta_negative": float((every < 0).float().mean()),
        "W_eta_correlation": correlation,
        "E_mean": float(E.mean()),
        "E_size": float(E.abs().mean()),
        "decay": decay,
        "decay_time": _decay_time(decay),
    }


def _decay_time(decay: float) -> float | None:
    if decay >= 1:
        return None
    return -1 / math.log(decay) if decay > 0 else 0.0
