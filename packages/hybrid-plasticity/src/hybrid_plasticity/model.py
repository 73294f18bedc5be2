"""The networks: four wirings of plastic and static layers, several networks side by side.

Symbols: layer i has a static matrix W_i, a bias b_i and, if it is plastic, a plastic matrix P_i,
a learned rate eta_i of its changes and a logit lambda_i of its decay. h_0 = x is the frame.

    additive (A)        h_i = f((W_i + P_i) h_(i-1) + b_i)
    multiplicative (M)  h_i = f((W_i * P_i) h_(i-1) + W_i h_(i-1) + b_i)
    then                P_i <- sigmoid(lambda_i) P_i + eta_i * (h_i h_(i-1)^T)

The rate does not change within a stream, so P_i = eta_i * Q_i with a trace Q_i that all rules
share, and both rules are one: h_i = f((W_i + E_i * Q_i) h_(i-1) + b_i) with E_i = eta_i (A) or
W_i * eta_i (M). A layer that remembers the last frame only is one whose trace decays at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hybrid_plasticity.configuration import Configuration
from hybrid_plasticity.scan import plastic_layer
from sharpwave_shared.seeding import Streams as Seeds

Parameters = dict[str, Tensor]
"""The parameters of several networks by name; the first dimension is the network."""
FIRST_DECAY = 1.0
"""Where the logit of a decay starts."""


def initialise(configuration: Configuration, seed: SupportsIndex) -> Parameters:
    """Draw the parameters of one network (a first dimension of size 1).

    Weights, biases and matrices of rates are normal with Xavier's variance 2 / (rows + columns), a
    vector counting as one column. A single rate starts at `initial_rate`, a decay at the logit 1.
    """
    seeds, parameters = Seeds(seed), {}
    for name, shape in configuration.shapes.items():
        if shape == ():
            single = configuration.initial_rate
            value = FIRST_DECAY if name.startswith("lambda") else single
            parameters[name] = torch.full((1,), value)
            continue
        generator = seeds.torch("initial parameters", name)
        deviation = math.sqrt(2 / (shape[0] + (shape[1] if len(shape) == 2 else 1)))
        parameters[name] = deviation * torch.randn((1, *shape), generator=generator)
    return parameters


@dataclass(frozen=True)
class Activity:
    """What networks do with streams.

    Attributes
    ----------
    logits
        Output before the sigmoid, at the last frame of every scene.
    hidden
        Activity of every hidden layer at every frame.
    """

    logits: Float[Tensor, "networks streams scenes outputs"]
    hidden: list[Float[Tensor, "networks streams frames _"]]


def run_networks(
    configurations: Sequence[Configuration],
    parameters: Parameters,
    frames: Float[Tensor, "networks streams frames entries"],
    lengths: Int[Tensor, " networks"] | None = None,
) -> Activity:
    """Run networks over streams from empty memories.

    Parameters
    ----------
    configurations
        One for each network, with equal `wiring`.
    parameters
        Of all networks.
    frames
        The streams of each network.
    lengths
        Frames after which a network's streams end; what it does afterwards has no meaning. Default:
        all.
    """
    first = configurations[0]
    if lengths is None:
        lengths = torch.full((len(configurations),), frames.shape[2])
    hidden: list[Tensor] = []
    for i, layer in enumerate(first.layers, 1):
        serial = i > 1 and first.network_type != "Stack"
        inputs = hidden[-1] if serial else frames
        drive = static_layer(inputs, parameters[f"W_{i}"], parameters[f"b_{i}"])
        if layer.rule is None:
            hidden.append(drive.sigmoid())
            continue
        multiplicative = torch.tensor(
            [c.plastic_types[i - 1] == "M" for c in configurations], device=frames.device
        )
        decay = (
            parameters[f"lambda_{i}"].sigmoid()
            if layer.decays
            else frames.new_zeros(len(configurations))
        )
        hidden.append(
            plastic_layer(
                inputs,
                drive,
                effective_rates(parameters, i, multiplicative),
                decay,
                lengths,
                layer.activation,
            )
        )
    time = first.task.scene_time
    at_last = [h[:, :, time - 1 :: time] for h in hidden]
    read = torch.cat(at_last, -1) if first.network_type == "Stack" else at_last[-1]
    return Activity(static_layer(read, parameters["W_out"], parameters["b_out"]), hidden)


def static_layer(
    inputs: Float[Tensor, "networks streams times inputs"],
    W: Float[Tensor, "networks units inputs"],
    b: Float[Tensor, "networks units"],
) -> Float[Tensor, "networks streams times units"]:
    """Compute W x + b."""
    return inputs @ W.mT[:, None] + b[:, None, None]


def effective_rates(
    parameters: Parameters, layer: int, multiplicative: Bool[Tensor, " networks"]
) -> Float[Tensor, "networks units inputs"]:
    """Give E of a plastic layer (counted from 1): eta, or W * eta for multiplicative plasticity.

    A synapse's weight changes by E times the product of the activities that it joins.
    """
    W, eta = parameters[f"W_{layer}"], parameters[f"eta_{layer}"]
    eta = eta.view(*eta.shape, *[1] * (3 - eta.ndim))
    return torch.where(multiplicative[:, None, None], W * eta, eta)
