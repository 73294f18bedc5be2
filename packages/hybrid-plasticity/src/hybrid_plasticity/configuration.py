"""What is chosen: a task, a network, how it learns and how long. Imported to print help.

Names of parameters are those of the original release.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.parameters import Above, Between, Length, Parameters

NetworkType = Literal["Nonl_RO", "Memo", "Dyn_RO", "Stack"]
PlasticType = Literal["M", "A"]
Activation = Literal["tanh", "sigmoid"]
LONGEST_INTERVAL = 100_000
Interval = Annotated[int, Between(1, LONGEST_INTERVAL)]
Iterations = Annotated[int, Between(1, 10**9)]
FIRST_RATE = -0.5
"""Where a single learning rate starts in the original release."""
RATES = (1, 0.5, 0)
"""What a learning rate can be: of each synapse, of each unit, a single one."""


@dataclass(frozen=True)
class Task:
    """What a scene is.

    Attributes
    ----------
    scene_time
        Frames of a scene.
    vec_len
        Length of a frame.
    var
        Share of the entries of a scene's first frame that each of its other frames flips.
    """

    scene_time: int = 4
    vec_len: int = 25
    var: float | int = 0.1

    @property
    def flips(self) -> int:
        """Entries that a frame flips."""
        # 0.29 * 100 is 28.999999999999996, but 29 entries are meant.
        return int(self.vec_len * self.var + 1e-9)


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
    rate: float = 1
    decays: bool = True


class Configuration(Parameters):
    """A network and its task.

    Of the types of network, `Nonl_RO` has one plastic layer, which static layers read out; in
    `Memo` every layer is plastic; `Dyn_RO` is like it, but later layers remember the last frame
    only; in `Stack` every layer is plastic and sees the frame itself.
    """

    panel: ClassVar = "Network and task"

    network_type: NetworkType = "Memo"
    """Wiring: nonlinear, memory or dynamic readout, or stacked plasticity."""
    hidden_dims: tuple[Annotated[int, Between(1, 10_000)], ...] = (100, 100)
    """Units of the hidden layers, as in [100,100]."""
    hetero_rates: tuple[Annotated[float, Between(0, 1)], ...] = (1.0, 1.0)
    """Learning rates of each plastic layer: 1 (of each synapse), 0.5 (of each unit), 0 (a single
    one)."""
    plastic_types: tuple[PlasticType, ...] = ("M", "A")
    """Plasticity of each plastic layer: M (multiplicative) or A (additive)."""
    initial_rate: Annotated[float, Between(-100, 100)] = FIRST_RATE
    """Where a single learning rate starts: its sign is that of the plasticity before training."""
    scene_time: Annotated[int, Between(1, 1000)] = 4
    """Frames of a scene."""
    vec_len: Annotated[int, Between(1, 10_000)] = 25
    """Length of a frame."""
    VAR: Annotated[float, Between(0, 1)] = 0.1
    """Share of entries that differ between the frames of a scene."""
    out_dim: Annotated[int, Between(1, 1000)] = 1
    """Outputs; each of them learns the same answer."""

    def check(self) -> None:
        """Check that every plastic layer has a rule and a kind of rates."""
        if not set(self.hetero_rates) <= set(RATES):
            raise ParameterError(
                "hetero_rates",
                self.hetero_rates,
                "1 (one for each synapse), 0.5 (for each unit) or 0 (a single one) for each layer",
            )
        layers = self.plastic_layers
        several = "s" if layers > 1 else ""
        because = (
            "Nonl_RO has one plastic layer"
            if self.network_type == "Nonl_RO"
            else f"hidden_dims has {layers} plastic layer{several}"
        )
        for name in ("plastic_types", "hetero_rates"):
            values = getattr(self, name)
            if len(values) != layers:
                raise ParameterError(name, values, f"{layers} value{several}: {because}")
        if self.initial_rate != FIRST_RATE and 0 not in self.hetero_rates:
            raise ParameterError(
                "initial_rate",
                self.initial_rate,
                f"{FIRST_RATE}, the default, unless one of hetero_rates is 0 (a single rate)",
            )
        super().check()

    @property
    def task(self) -> Task:
        """What a scene is."""
        return Task(self.scene_time, self.vec_len, self.VAR)

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
            inputs = self.vec_len if i == 0 or parallel else self.hidden_dims[i - 1]
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
    def wiring(self) -> tuple:
        """What networks that are computed as one batch have in common: all but M or A."""
        kind = self.network_type, self.hidden_dims, self.hetero_rates, self.out_dim
        return (*kind, self.task)

    @property
    def folder(self) -> str:
        """The name that the original gives to the folder of results."""
        parts = [
            self.network_type,
            "_".join(self.plastic_types),
            f"in{self.vec_len}",
            "hid" + "_".join(map(str, self.hidden_dims)),
            "eta",
            "_".join(f"{rate:g}" for rate in self.hetero_rates),
            "fr",
            str(self.scene_time),
            f"var{self.VAR:g}",
        ]
        if self.out_dim > 1:
            parts.append(f"out{self.out_dim}")
        if self.initial_rate != FIRST_RATE:
            parts.append(f"from{self.initial_rate:g}")
        return "-".join(parts)

    @property
    def short_name(self) -> str:
        """The network in few words: `Memo [50,50] MA`."""
        dims = ",".join(map(str, self.hidden_dims))
        return f"{self.network_type} [{dims}] {''.join(self.plastic_types)}"


class Learning(Parameters):
    """How networks learn."""

    panel: ClassVar = "Learning"

    lr_rate: Annotated[float, Above(0, 1e38)] = 1e-3
    """Learning rate of Adam."""
    acc_threshold: Annotated[float, Above(0, 1)] = 0.99
    """Accuracy that counts towards mastery."""
    acc_num: Annotated[int, Between(1, 1_000_000)] = 10
    """Iterations in a row that must reach it."""
    batch_size: Annotated[int, Between(1, 10_000)] = 1
    """Streams of an iteration."""


class Limits(Parameters):
    """When training ends; a run can be gone on with, with other limits."""

    panel: ClassVar = "Limits"

    max_r: Annotated[Interval, Length()] = 10
    """Last interval R of the curriculum, in scenes."""
    max_iterations: Annotated[Iterations, Length()] = 20_000
    """Iterations at one interval, at most."""
    budget: Annotated[Iterations | None, Length()] = None
    """Iterations in all, at most. Default: no limit."""
    time_limit: Annotated[Annotated[float, Above(0, 1e6)] | None, Length()] = None
    """Minutes, at most. Default: no limit."""

    @property
    def most_iterations(self) -> int:
        """The most that a network can use."""
        most = self.max_r * self.max_iterations
        return most if self.budget is None else min(most, self.budget)
