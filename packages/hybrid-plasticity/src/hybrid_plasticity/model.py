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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hybrid_plasticity.batched import Activation
from hybrid_plasticity.scan import plastic_layer
from hybrid_plasticity.streams import Task
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.seeding import Streams as Seeds

Parameters = dict[str, Tensor]
"""The parameters of several networks by name; the first dimension is the network."""

NETWORK_TYPES = ("Nonl_RO", "Memo", "Dyn_RO", "Stack")
PLASTIC_TYPES = ("M", "A")
RATES = (1, 0.5, 0)
FIRST_RATE, FIRST_DECAY = -0.5, 1.0


@dataclass(frozen=True)
class Layer:
    """One hidden layer.

    Attributes
    ----------
    inputs, units
        Sizes.
    activation
        The nonlinearity.
    rule
        `M`, `A`, or None if the layer is static.
    rate
        1: a learning rate for each synapse; 0.5: one for each unit; 0: one.
    decays
        Whether the memory decays at a learned rate; otherwise it is of the last frame only.
    """

    inputs: int
    units: int
    activation: Activation
    rule: str | None = None
    rate: float | int = 1
    decays: bool = True


@dataclass(frozen=True)
class Configuration:
    """A network and its task, under the names of the original's parameters.

    Attributes
    ----------
    network_type
        `Nonl_RO`: one plastic layer, a nonlinear readout of static layers. `Memo`: every layer is
        plastic. `Dyn_RO`: as Memo, but later layers remember the last frame only. `Stack`: every
        layer is plastic and sees the frame itself.
    hidden_dims
        Units of each hidden layer.
    hetero_rates
        Of each plastic layer, how its learning rates differ; see `Layer`.
    plastic_types
        Of each plastic layer, `M` or `A`.
    out_dim
        Outputs; each of them learns the same answer.
    task
        What a scene is.

    Raises
    ------
    InvalidInputError
        If the parameters do not fit each other.
    """

    network_type: str = "Memo"
    hidden_dims: tuple[int, ...] = (100, 100)
    hetero_rates: tuple[float | int, ...] = (1, 1)
    plastic_types: tuple[str, ...] = ("M", "A")
    out_dim: int = 1
    task: Task = field(default_factory=Task)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def plastic_layers(self) -> int:
        """How many layers are plastic: the first ones."""
        return 1 if self.network_type == "Nonl_RO" else len(self.hidden_dims)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The hidden layers."""
        layers = []
        last = len(self.hidden_dims) - 1
        for i, units in enumerate(self.hidden_dims):
            parallel = self.network_type == "Stack"
            inputs = self.task.vec_len if i == 0 or parallel else self.hidden_dims[i - 1]
            if i >= self.plastic_layers:
                layers.append(Layer(inputs, units, "sigmoid"))
                continue
            ends = parallel or (i == last and self.network_type != "Nonl_RO")
            layers.append(
                Layer(
                    inputs,
                    units,
                    "sigmoid" if ends else "tanh",
                    self.plastic_types[i],
                    self.hetero_rates[i],
                    decays=self.network_type != "Dyn_RO" or i == 0,
                )
            )
        return tuple(layers)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters of one network, by name."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, layer in enumerate(self.layers, 1):
            size = layer.units, layer.inputs
            shapes |= {f"W_{i}": size, f"b_{i}": size[:1]}
            if layer.rule is not None:
                shapes[f"eta_{i}"] = {1: size, 0.5: (layer.units, 1), 0: ()}[layer.rate]
                if layer.decays:
                    shapes[f"lambda_{i}"] = ()
        read = sum(self.hidden_dims) if self.network_type == "Stack" else self.hidden_dims[-1]
        return shapes | {"W_out": (self.out_dim, read), "b_out": (self.out_dim,)}

    @property
    def parameter_count(self) -> int:
        """Number of learned parameters."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def batch_key(self) -> tuple:
        """What networks that are computed as one batch have in common: all but M or A."""
        return (
            self.network_type,
            self.hidden_dims,
            self.hetero_rates,
            self.out_dim,
            self.task,
        )

    @property
    def name(self) -> str:
        """The name that the original gives to the folder of results."""
        dims, rates = self.hidden_dims, self.hetero_rates
        return "-".join(
            [
                self.network_type,
                "_".join(self.plastic_types),
                f"in{self.task.vec_len}",
                "hid" + "_".join(map(str, dims)),
                "eta",
                "_".join(f"{rate:g}" for rate in rates),
                "fr",
                str(self.task.scene_time),
                f"var{self.task.var:g}",
            ]
        ) + (f"-out{self.out_dim}" if self.out_dim > 1 else "")

    def values(self) -> dict[str, Any]:
        """Give all parameters as JSON values, by the original's names."""
        values = asdict(self)
        task = values.pop("task")
        named = {"scene_time": task["scene_time"], "vec_len": task["vec_len"], "VAR": task["var"]}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()} | named

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Configuration":
        """Make a configuration of what `values` gave."""
        return cls(
            values["network_type"],
            tuple(values["hidden_dims"]),
            tuple(values["hetero_rates"]),
            tuple(values["plastic_types"]),
            values["out_dim"],
            Task(values["scene_time"], values["vec_len"], values["VAR"]),
        )


def short_name(values: Mapping[str, Any]) -> str:
    """Name a configuration, given as its values, in few words: `Memo [50,50] MA`."""
    dims = ",".join(map(str, values["hidden_dims"]))
    return f"{values['network_type']} [{dims}] {''.join(values['plastic_types'])}"


def _check(c: Configuration) -> None:
    def require(holds: bool, option: str, value: object, allowed: str) -> None:
        if not holds:
            raise InvalidInputError(f"{option} {value}: {allowed}")

    def whole(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 1

    task = c.task
    require(
        c.network_type in NETWORK_TYPES,
        "--network-type",
        c.network_type,
        f"must be one of {', '.join(NETWORK_TYPES)}",
    )
    require(
        len(c.hidden_dims) >= 1 and all(map(whole, c.hidden_dims)),
        "--hidden-dims",
        list(c.hidden_dims),
        "must be the sizes of one or more layers, whole numbers from 1",
    )
    require(
        all(not isinstance(r, bool) and r in RATES for r in c.hetero_rates),
        "--hetero-rates",
        list(c.hetero_rates),
        "every rate must be 1 (one for each synapse), 0.5 (for each unit) or 0 (a single one)",
    )
    require(
        all(t in PLASTIC_TYPES for t in c.plastic_types),
        "--plastic-types",
        list(c.plastic_types),
        "every letter must be M (multiplicative) or A (additive)",
    )
    layers = c.plastic_layers
    wanted = (
        "Nonl_RO has one plastic layer"
        if c.network_type == "Nonl_RO"
        else f"--hidden-dims has {layers} plastic layer{'s' if layers > 1 else ''}"
    )
    for option, values in (
        ("--plastic-types", c.plastic_types),
        ("--hetero-rates", c.hetero_rates),
    ):
        require(
            len(values) == layers,
            option,
            list(values),
            f"{wanted}, so {layers} value{'s' if layers > 1 else ''} must be given",
        )
    require(whole(task.scene_time), "--scene-time", task.scene_time, "must be at least 1 frame")
    require(whole(task.vec_len), "--vec-len", task.vec_len, "must be at least 1")
    require(0 <= task.var <= 1, "--VAR", task.var, "must lie between 0 and 1")
    require(whole(c.out_dim), "--out-dim", c.out_dim, "must be at least 1")


def initialise(configuration: Configuration, seed: int) -> Parameters:
    """Draw the parameters of one network (a first dimension of size 1).

    Weights, biases and matrices of rates are normal with Xavier's variance 2 / (rows + columns), a
    vector counting as one column. A single rate starts at -0.5, a decay at the logit 1.
    """
    seeds, parameters = Seeds(seed), {}
    for name, shape in configuration.shapes.items():
        if shape == ():
            value = FIRST_DECAY if name.startswith("lambda") else FIRST_RATE
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
        One for each network, with equal `batch_key`.
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
