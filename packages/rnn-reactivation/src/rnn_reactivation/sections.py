"""The sections of a configuration: tasks, networks, and how these learn.

Values are those of Krishna et al., ICLR 2024 (arXiv 2505.17003), unless a field says otherwise.
"""

import math
from typing import Annotated, ClassVar, Literal

from sharpwave_shared.errors import ParameterError
from sharpwave_shared.parameters import Above, AtLeast, Between, Length, Parameters

Count = Annotated[int, Between(1, 1_000_000)]
Epochs = Annotated[int, Between(1, 1_000_000_000)]
Units = Annotated[int, Between(1, 100_000)]
Seconds = Annotated[float, Above(0, 1e6)]
Metres = Annotated[float, Above(0, 1e3)]
Variance = Annotated[float, Between(0, 1e6)]
Rate = Annotated[float, Between(-1e4, 1e4)]
Spread = Annotated[float, Between(0, 1e4)]


class _Turning(Parameters):
    """What both tasks have: an animal that turns, and cells that are decoded."""

    length: Count = 100
    """Steps of a trajectory."""
    random_start: bool = True
    """Whether trajectories start anywhere; otherwise at 0: the centre of the box, or bearing 0."""
    dt: Seconds = 0.02
    """Duration of a step, s."""
    biased: bool = False
    """Whether the animal drifts to the anchor; or whether all turns of the head are positive."""
    turn_mean: Rate = 0.0
    """Mean of the angular velocity, rad/s."""
    turn_sd: Spread = 11.52
    """Standard deviation of the angular velocity, rad/s."""
    nearest: Count = 3
    """Most active cells that are averaged to decode."""

    @property
    def cells(self) -> int:
        """Number of output cells."""
        raise NotImplementedError

    def check(self) -> None:
        """Check that there are enough cells to decode."""
        if self.nearest > self.cells:
            raise ParameterError("nearest", self.nearest, f"at most the {self.cells} cells")


class NavigationTask(_Turning):
    """Where an animal is in a box, from its steps; the box is centred at (0, 0).

    Motion: Raudies & Hasselmo 2012, as used by Banino et al. 2018 and Sorscher et al. 2019.
    """

    inputs: ClassVar = 2

    name: Literal["spatial_navigation"] = "spatial_navigation"
    """Of the task."""
    box_width: Metres = 2.2
    """Width of the box, m."""
    box_height: Metres = 2.2
    """Height of the box, m."""
    speed: Metres = 0.26 * math.pi
    """Scale of the Rayleigh distribution of the speed, m/s: the release's. The paper has 0.2."""
    border_region: Annotated[float, Between(0, 1e3)] = 0.03
    """Distance from a wall at which the animal avoids it, m."""
    border_slow_factor: Annotated[float, Between(0, 1)] = 0.25
    """Factor of the speed near a wall that the animal heads at."""
    drift: Annotated[float, AtLeast(0, 1)] = 0.05
    """Share of the way to the anchor that a step adds, if biased."""
    anchor: tuple[float, float] = (0.0, 0.0)
    """Where the animal drifts to, m."""
    place_cells_num: Count = 512
    """Output cells."""
    place_cells_sigma: Metres = 0.2
    """Width of a place field, m."""
    difference_of_gaussians: bool = False
    """Whether place fields have an inhibitory surround."""
    surround_scale: Annotated[float, Above(1, 1e3)] = 2.0
    """Variance of the surround, relative to that of the place field."""

    @property
    def cells(self) -> int:
        """Number of output cells."""
        return self.place_cells_num

    def check(self) -> None:
        """Check what depends on the box, too."""
        super().check()
        half = self.box_width / 2, self.box_height / 2
        if self.border_region >= min(half):
            raise ParameterError(
                "border_region", self.border_region, f"below half the box ({min(half):g} m)"
            )
        if any(abs(x) > most for x, most in zip(self.anchor, half, strict=True)):
            inside = " x ".join(f"[-{most:g}, {most:g}]" for most in half)
            raise ParameterError("anchor", self.anchor, f"two numbers (m) inside the box, {inside}")


class HeadDirectionTask(_Turning):
    """Where an animal heads, from its turns."""

    inputs: ClassVar = 1

    name: Literal["head_direction"] = "head_direction"
    """Of the task."""
    head_direction_cells_num: Count = 512
    """Output cells."""
    head_direction_cells_sigma: Annotated[float, Between(1e-3, 1e3)] = math.pi / 6
    """Width of the tuning curve, rad."""

    @property
    def cells(self) -> int:
        """Number of output cells."""
        return self.head_direction_cells_num


Task = NavigationTask | HeadDirectionTask


class Rnn(Parameters):
    """A recurrent network."""

    type: Literal["vanilla", "gru"] = "vanilla"
    """Kind of network."""
    hidden_size: Units = 512
    """Recurrent units."""
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"
    """Their nonlinearity."""
    dt: Seconds = 0.2
    """Time step; only its ratio to tau matters."""
    tau: Seconds = 1.0
    """Time constant."""
    sigma2_in: Variance = 0.0
    """Variance of the noise of inputs."""
    sigma2_rec: Variance = 1e-4
    """Variance of the noise of recurrent units."""
    sigma2_out: Variance = 0.0
    """Variance of the noise of outputs."""
    noise_distribution: Literal["gaussian", "uniform"] = "gaussian"
    """Of noise; uniform, between 0 and 1, is that of the released code."""

    @property
    def alpha(self) -> float:
        """The leak of a step, dt / tau: above 0, at most 1."""
        return self.dt / self.tau

    def check(self) -> None:
        """Check that the leak is at most 1."""
        if self.dt > self.tau:
            raise ParameterError("dt", self.dt, f"at most tau ({self.tau:g})")


class BearingRnn(Rnn):
    """A recurrent network for the head direction task."""

    hidden_size: Units = 128
    dt: Seconds = 0.5
    sigma2_rec: Variance = 0.01


class Trainer(Parameters):
    """How a network learns."""

    n_epochs: Annotated[Epochs, Length()] = 2500
    """Iterations; each has a fresh batch."""
    batch_size: Count = 200
    """Trajectories of an iteration."""
    learning_rate: Annotated[float, Above(0, 1e3)] = 1e-3
    """Of Adam."""
    weight_decay: Annotated[float, Between(0, 1e3)] = 0.0
    """Factor of the weights that Adam adds to their gradients."""
    test_every: Epochs = 100
    """Iterations from a test to the next."""
    save_every: Epochs = 100
    """Iterations from a file of weights to the next."""


class BearingTrainer(Trainer):
    """How a network learns the head direction task."""

    n_epochs: Annotated[Epochs, Length()] = 20_000
