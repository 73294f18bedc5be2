"""Trained networks awake and asleep: their activity, and what is decoded from it.

Awake, a network does its task. Asleep (quiescent), it begins where the task begins and gets no
input, only noise.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rnn_reactivation.networks import Model
from rnn_reactivation.recurrence import Parameters, Size, fill_with_noise, make_network
from rnn_reactivation.tasks import Cells, make_trajectories
from sharpwave_shared.seeding import Streams

STEPS_AT_ONCE = 100
KEPT = 20
"""Trajectories of each chunk of which a recording keeps the activity."""


class Chunk(NamedTuple):
    """Some steps of a simulation.

    Attributes
    ----------
    states
        Hidden states after every step; overwritten by the next chunk.
    decoded
        The decoded outputs (m, or rad).
    """

    states: Float[Tensor, "steps trajectories units"]
    decoded: Float[Tensor, "steps trajectories dims"]


class Recording(NamedTuple):
    """What is kept of a simulation.

    Attributes
    ----------
    decoded
        Decoded outputs: positions (m) or bearings (rad).
    activity
        Hidden states, of some trajectories only.
    meanwhile
        The decoded outputs of these.
    mean, covariance
        Of all hidden states.
    """

    decoded: Float[Tensor, "steps trajectories dims"]
    activity: Float[Tensor, "steps kept units"]
    meanwhile: Float[Tensor, "steps kept dims"]
    mean: Float[Tensor, " units"]
    covariance: Float[Tensor, "units units"]


def awake(
    model: Model,
    trajectories: int,
    trials: int,
    streams: Streams,
    device: torch.device | str = "cpu",
) -> Iterator[Chunk]:
    """Let a network do its task, as in training: each chunk is a trial with new starts.

    Parameters
    ----------
    model
        The network; its noise is that of training.
    trajectories, trials
        How many at a time, and how many times.
    streams
        Draw trajectories and noise.
    device
        Where it is computed.
    """
    configuration = model.configuration
    rnn, task = configuration.rnn, configuration.task
    size = Size(1, task.length, trajectories, device)
    network, cells = make_network(rnn, size), model.cells(device)
    weights = {name: values.to(device) for name, values in model.parameters.items()}
    noise = [streams.torch("noise", device=device)]
    walks = streams.torch("trajectories", device=device)
    for _ in range(trials):
        drawn = make_trajectories(task, trajectories, walks)
        network.states[0, 0] = cells.encode(drawn.start) @ weights["encoder"][0].mT
        fill_with_noise(network.states[:, 1:], [rnn.sigma2_rec], noise, rnn.noise_distribution)
        inputs = drawn.inputs[None]
        if rnn.sigma2_in > 0:
            inputs = inputs.clone()
            disturbance = torch.empty_like(inputs)
            fill_with_noise(disturbance, [rnn.sigma2_in], noise, rnn.noise_distribution)
            inputs += disturbance
        network.forward(weights, inputs)
        states = network.states[0, 1:]
        yield Chunk(states, _decode(cells, states, weights))


def asleep(
    model: Model,
    trajectories: int,
    steps: int,
    variance: float | int,
    streams: Streams,
    device: torch.device | str = "cpu",
) -> Iterator[Chunk]:
    """Leave a network to itself, from where its task begins.

    Parameters
    ----------
    model
        The network.
    trajectories, steps
        How many, and how long.
    variance
        Of the recurrent noise.
    streams
        Draw initial states and noise.
    device
        Where it is computed.
    """
    rnn, task = model.configuration.rnn, model.configuration.task
    size = Size(1, min(STEPS_AT_ONCE, steps), trajectories, device)
    network, cells = make_network(rnn, size), model.cells(device)
    weights = {name: values.to(device) for name, values in model.parameters.items()}
    noise = [streams.torch("noise", device=device)]
    start = make_trajectories(
        task, trajectories, streams.torch("trajectories", device=device)
    ).start
    network.states[0, 0] = cells.encode(start) @ weights["encoder"][0].mT
    for first in range(0, steps, size.steps):
        if first > 0:
            network.states[:, 0] = network.states[:, -1]
        fill_with_noise(network.states[:, 1:], [float(variance)], noise, rnn.noise_distribution)
        network.forward(weights, None)
        states = network.states[0, 1 : 1 + min(size.steps, steps - first)]
        yield Chunk(states, _decode(cells, states, weights))


def _decode(
    cells: Cells, states: Float[Tensor, "steps trajectories units"], weights: Parameters
) -> Float[Tensor, "steps trajectories dims"]:
    outputs = states.flatten(0, 1) @ weights["readout"][0].mT
    return cells.decode(outputs).unflatten(0, states.shape[:2])


def record(chunks: Iterator[Chunk], *, trials: bool = False) -> Recording:
    """Run a simulation to its end and keep what the analyses need, on the CPU.

    Chunks follow each other in time, unless they are `trials`: those count as more trajectories.
    """
    decoded, activity = [], []
    count, total, products, first = 0, torch.zeros(()), torch.zeros(()), None
    for chunk in chunks:
        decoded.append(chunk.decoded.cpu())
        activity.append(chunk.states[:, :KEPT].cpu().clone())
        # From the first state on, so that activity at rest has no variance, to the last bit.
        first = chunk.states[0, 0].clone() if first is None else first
        flat = chunk.states.flatten(0, 1) - first
        count += len(flat)
        total = total + flat.sum(0).cpu().double()
        products = products + (flat.mT @ flat).cpu().double()
    if first is None:
        raise ValueError("a simulation without any steps")
    covariance = products / count - total[:, None] * total / count**2
    mean = first.cpu().double() + total / count
    along = 1 if trials else 0
    meanwhile = torch.cat([part[:, :KEPT] for part in decoded], along)
    return Recording(
        torch.cat(decoded, along), torch.cat(activity, along), meanwhile, mean, covariance
    )
