"""Training: from the changes of a variable to the activations of cells that are tuned to it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from rnn_reactivation.configuration import Configuration
from rnn_reactivation.networks import Model
from rnn_reactivation.recurrence import (
    Parameters,
    Size,
    fill_with_noise,
    initialise,
    make_network,
)
from rnn_reactivation.tasks import (
    Cells,
    HeadDirectionCells,
    Motion,
    draw_motion,
    make_cells,
    move,
    squared_error,
)
from sharpwave_shared.adam import Adam
from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.graphs import record
from sharpwave_shared.journal import Journal, together
from sharpwave_shared.seeding import Streams, check_seed

TEST = "test"
"""The batch on which networks are tested, the same all along."""
TRAINING = "training"
"""The loop of training, in journals."""


class Batch:
    """A batch of trajectories for each of several networks.

    Their configurations are the same but for bias and recurrent noise (see `common`). Its buffers
    are allocated once: drawing and computing again and again allocates next to nothing. On CUDA,
    `learn` with all that follows the drawing is one captured graph.

    Attributes
    ----------
    inputs
        Displacements or turns: (networks, steps, trajectories, dims).
    start
        Activations of the cells before the first step: (networks, trajectories, cells).
    true
        The variable after every step: (networks, steps, trajectories, dims).
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ):
        self.configurations, self.seeds = configurations, seeds
        self.device = torch.device(device)
        self.configuration = configuration = configurations[0]
        self.cells: Cells = make_cells(configuration, seeds, device)
        rnn, task, count = configuration.rnn, configuration.task, configuration.trainer.batch_size
        dtype = torch.get_default_dtype()
        size = Size(len(seeds), task.length, count, device, dtype)
        self.network = make_network(rnn, size)
        self.inputs, self.true = size.buffer(task.inputs), size.buffer(task.inputs)
        self.start = torch.empty((len(seeds), count, task.cells), device=device, dtype=dtype)
        # The activations of head direction cells are linear functions of a few harmonics, which
        # are all that learning needs of them (unless their tuning is very sharp).
        self._encode: Callable[..., Tensor] = self.cells.encode
        self._mixing: Tensor | None = None
        if (
            isinstance(self.cells, HeadDirectionCells)
            and rnn.sigma2_out == 0
            and 2 * self.cells.orders < task.cells
        ):
            self._encode, self._mixing = self.cells.harmonics, self.cells.mixing()
        width = task.cells if self._mixing is None else self._mixing.shape[-2]
        self._targets = size.buffer(width).flatten(1, 2)
        self._to_states = size.buffer(rnn.hidden_size)
        self._motion: Motion | None = None
        self._captures = self.device.type == "cuda"
        self._noise_in = size.buffer(task.inputs) if rnn.sigma2_in > 0 else None
        self._noise_out = torch.empty_like(self._targets) if rnn.sigma2_out > 0 else None
        self._replay: Callable[[], None] | None = None
        self._loss, self._gradients = torch.empty(0), {}

    def draw(self, purpose: int | str) -> None:
        """Draw all that is random about an epoch, or about a batch for another purpose."""
        count = self.configuration.trainer.batch_size
        streams = [Streams(seed).child("batch", purpose) for seed in self.seeds]
        motions = [
            draw_motion(own.task, count, stream.torch("trajectories", device=self.device))
            for own, stream in zip(self.configurations, streams, strict=True)
        ]
        # The dimension of networks follows that of steps, if there is one.
        parts = zip(zip(*motions, strict=True), (0, 0, 1, 1, 0), strict=True)
        drawn = Motion(*(torch.stack(values, axis) for values, axis in parts))
        if self._motion is None:
            self._motion = drawn
        else:  # in place, where a graph finds them
            for kept, values in zip(self._motion, drawn, strict=True):
                kept.copy_(values)
        rnns = [own.rnn for own in self.configurations]
        kind = rnns[0].noise_distribution
        generators = [stream.torch("noise", device=self.device) for stream in streams]
        states = self.network.states[:, 1:]
        fill_with_noise(states, [rnn.sigma2_rec for rnn in rnns], generators, kind)
        if self._noise_in is not None:
            fill_with_noise(self._noise_in, [rnn.sigma2_in for rnn in rnns], generators, kind)
        if self._noise_out is not None:
            variances = [rnn.sigma2_out for rnn in rnns]
            fill_with_noise(self._noise_out[:, None], variances, generators)
        if not self._captures:
            self._move()

    def _move(self) -> None:
        """Make trajectories and targets of what was drawn."""
        if self._motion is None:
            raise ValueError("nothing has been drawn yet")
        start, inputs, true = move(self.configuration.task, self._motion)
        self.inputs.copy_(inputs.transpose(0, 1))
        self.true.copy_(true.transpose(0, 1))
        self.cells.encode(start, out=self.start)
        self._encode(self.true.flatten(1, 2), out=self._targets)
        if self._noise_in is not None:
            self.inputs += self._noise_in
        if self._noise_out is not None:
            # Noise of the outputs is as good as noise of the targets, with the other sign.
            self._targets -= self._noise_out

    def forward(self, parameters: Parameters) -> Float[Tensor, "networks points units"]:
        """Compute the hidden states after every step, once after each `draw`."""
        torch.bmm(self.start, parameters["encoder"].mT, out=self.network.states[:, 0])
        self.network.forward(parameters, self.inputs)
        return self.network.states[:, 1:].flatten(1, 2)

    def learn(self, parameters: Parameters) -> tuple[Float[Tensor, " networks"], Parameters]:
        """Give the mean squared errors and their gradients, once after each `draw`.

        The weights must be the same tensors in every call; what is returned is overwritten by the
        next one.
        """
        if not self._captures:
            return self._learn(parameters)
        if self._replay is None:

            def step() -> None:
                self._move()
                self._loss, self._gradients = self._learn(parameters)

            self._replay = record(step, self.device, [self.network.states])
        self._replay()
        return self._loss, self._gradients

    def _learn(self, parameters: Parameters) -> tuple[Tensor, Parameters]:
        states, readout = self.forward(parameters), parameters["readout"]
        to_states = self._to_states.flatten(1, 2)
        if self._mixing is None:
            loss, to_readout = _error(states, readout, self._targets, to_states)
        else:
            loss, to_readout = _factored_error(
                states, readout, self._targets, self._mixing, to_states
            )
        gradients, to_start = self.network.backward(parameters, self.inputs, self._to_states)
        gradients["encoder"] = to_start.mT @ self.start
        gradients["readout"] = to_readout
        return loss, gradients

    def test(self, parameters: Parameters) -> list["Test"]:
        """Give the loss and the squared decoding error of each network, on the test batch."""
        self.draw(TEST)
        if self._captures:
            self._move()
        states = self.forward(parameters)
        results = []
        for n in range(len(self.seeds)):
            # Directly, in the target's own terms, whatever learning works with.
            outputs = states[n] @ parameters["readout"][n].mT
            targets = (
                self._targets[n] if self._mixing is None else self._targets[n] @ self._mixing[n]
            )
            loss = (outputs - targets).square().mean()
            found = self.cells.of(n).decode(outputs)
            errors = squared_error(self.configuration, found, self.true[n].flatten(0, 1))
            results.append(Test(float(loss), float(errors.mean())))
        return results


class Test(NamedTuple):
    """What a network achieves on its test batch.

    Attributes
    ----------
    loss
        Mean squared error of the activations.
    error
        Mean squared decoding error (m^2 or rad^2).
    """

    loss: float
    error: float


def _error(
    states: Float[Tensor, "networks points units"],
    readout: Float[Tensor, "networks cells units"],
    targets: Float[Tensor, "networks points cells"],
    to_states: Float[Tensor, "networks points units"],
) -> tuple[Float[Tensor, " networks"], Float[Tensor, "networks cells units"]]:
    """Give mean squared errors of linear readouts, and their gradients by the readouts.

    Those by the states are put into `to_states`; `targets` is overwritten by the errors.
    """
    errors = torch.baddbmm(targets, states, readout.mT, beta=-1, out=targets)
    count = errors[0].numel()
    loss = torch.linalg.vector_norm(errors, dim=(1, 2)).square() / count
    torch.baddbmm(to_states, errors, readout, beta=0, alpha=2 / count, out=to_states)
    return loss, errors.mT @ states * (2 / count)


def _factored_error(
    states: Float[Tensor, "networks points units"],
    readout: Float[Tensor, "networks cells units"],
    factors: Float[Tensor, "networks points factors"],
    mixing: Float[Tensor, "networks factors cells"],
    to_states: Float[Tensor, "networks points units"],
) -> tuple[Float[Tensor, " networks"], Float[Tensor, "networks cells units"]]:
    """Do what `_error` does for targets that are `factors @ mixing`, without making them.

    With states H, readout W and targets F C, the gradients (H W' - F C) W and (H W' - F C)' H need
    only products of the small matrices W' W, C W, H' H and F' H with H, F or each other; so does
    the sum of squares.
    """
    count = states.shape[1] * readout.shape[1]
    W, C = readout, mixing
    WW, CW = W.mT @ W, C @ W
    HH, FH, FF = states.mT @ states, factors.mT @ states, factors.mT @ factors
    torch.bmm(factors, CW, out=to_states)
    torch.baddbmm(to_states, states, WW, beta=-2 / count, alpha=2 / count, out=to_states)
    to_readout = (W @ HH - C.mT @ FH) * (2 / count)
    # Large terms that nearly cancel, in float64 where the device has it.
    wide = torch.float32 if W.device.type == "mps" else torch.float64
    parts = ((WW, HH, 1), (CW, FH, -2), (C @ C.mT, FF, 1))
    total = sum(sign * (a.to(wide) * b.to(wide)).sum((1, 2)) for a, b, sign in parts)
    return torch.as_tensor(total / count).to(states.dtype), to_readout


class Learner:
    """A network in training: everything that it needs to go on, whatever learns beside it.

    While `train` works, its tensors are views of those of all networks that learn beside it.

    Parameters
    ----------
    configuration, seed
        What it is.

    Attributes
    ----------
    parameters
        Its weights, without a dimension of networks.
    means, squares
        Adam's running means of the gradients and of their squares.
    epoch
        Epochs done.
    tests
        Results on the test batch, with the epochs after which they were found.
    """

    def __init__(self, configuration: Configuration, seed: SupportsIndex):
        seed = check_seed(seed)
        self.configuration, self.seed, self.epoch = configuration, seed, 0
        self.parameters = {n: v[0] for n, v in initialise(configuration, [seed]).items()}
        self.means, self.squares = (
            {n: torch.zeros_like(v) for n, v in self.parameters.items()} for _ in range(2)
        )
        self.tests: list[tuple[int, Test]] = []
        self.curve = torch.empty(0)

    @property
    def losses(self) -> list[float]:
        """The training loss of every epoch so far."""
        return self.curve[: self.epoch].tolist()

    @property
    def model(self) -> Model:
        """The network as it is now."""
        weights = {name: v[None].detach().cpu().clone() for name, v in self.parameters.items()}
        return Model(self.configuration, self.seed, self.epoch, weights)

    def refuse_divergence(self) -> None:
        """Raise a `DivergenceError` if a loss is not a finite number."""
        finite = self.curve[: self.epoch].isfinite()
        if not finite.all():
            epoch = int(finite.int().argmin())
            _refuse_divergence(self, float(self.curve[epoch]), epoch + 1, "loss")

    def state_dict(self) -> dict[str, Any]:
        """Give all that changes; what has diverged is refused."""
        self.refuse_divergence()
        return {
            "parameters": self.parameters,
            "means": self.means,
            "squares": self.squares,
            "losses": self.curve[: self.epoch],
            "tests": [[epoch, *test] for epoch, test in self.tests],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for group in ("parameters", "means", "squares"):
            for name, values in getattr(self, group).items():
                values.copy_(state[group][name])
        losses = state["losses"]
        self.curve[: len(losses)] = losses
        self.epoch = len(losses)
        self.tests = [(int(epoch), Test(*test)) for epoch, *test in state["tests"]]


def train(
    learners: Sequence[Learner],
    n_epochs: int,
    *,
    device: torch.device | str = "cpu",
    journals: Sequence[Journal] = (),
    save: Callable[[Learner], None] = lambda learner: None,
) -> None:
    """Train networks side by side.

    Parameters
    ----------
    learners
        Networks whose configurations have the same in `common`, after equally many epochs; they
        are changed.
    n_epochs
        Epochs (each one batch and one step of Adam) that they have done at the end.
    device
        Where they are computed.
    journals
        One for each network: shows progress, keeps checkpoints. New networks go on from these.
    save
        Called with every network after each `save_every` epochs and after the last.

    Raises
    ------
    DivergenceError
        If a loss is not a finite number.
    """
    first = learners[0]
    trainer, done = first.configuration.trainer, first.epoch
    if len({(x.configuration.common, x.epoch) for x in learners}) > 1:
        raise ValueError("networks that learn together must be alike, and after equal epochs")
    if done >= n_epochs:
        return
    journals = journals or [Journal() for _ in learners]
    parameters, means, squares = (
        _stack([getattr(x, group) for x in learners], device)
        for group in ("parameters", "means", "squares")
    )
    curves = torch.zeros((len(learners), n_epochs), device=device)
    for n, learner in enumerate(learners):
        curves[n, :done] = learner.curve[:done]
        learner.curve = curves[n]
    adam: Adam | None = None
    batch = Batch([x.configuration for x in learners], [x.seed for x in learners], device)

    for step in together(journals, TRAINING, n_epochs - done, learners):
        epoch = done + step + 1
        batch.draw(epoch)
        curves[:, epoch - 1], gradients = batch.learn(parameters)
        if adam is None:  # only now is it known from which epoch the networks go on
            adam = Adam(
                list(parameters.values()),
                trainer.learning_rate,
                weight_decay=trainer.weight_decay,
                means=list(means.values()),
                squares=list(squares.values()),
                steps=epoch - 1,
                fused=False,
            )
        adam.step([gradients[name] for name in parameters])
        for learner in learners:
            learner.epoch = epoch
        last = epoch == n_epochs
        if epoch % trainer.test_every == 0 or last:
            _test(batch, learners, parameters, journals[0])
        if epoch % trainer.save_every == 0 or last:
            for learner in learners:
                learner.refuse_divergence()
                save(learner)


def _stack(groups: Sequence[Parameters], device: torch.device | str) -> Parameters:
    """Put networks' tensors into one of each name, with networks first; they become its parts."""
    stacked = {n: torch.stack([group[n] for group in groups]).to(device) for n in groups[0]}
    for k, group in enumerate(groups):
        group |= {name: values[k] for name, values in stacked.items()}
    return stacked


def _test(
    batch: Batch, learners: Sequence[Learner], parameters: Parameters, journal: Journal
) -> None:
    for learner in learners:
        learner.refuse_divergence()
    for learner, test in zip(learners, batch.test(parameters), strict=True):
        _refuse_divergence(learner, test.loss, learner.epoch, "test loss")
        learner.tests.append((learner.epoch, test))
        journal.reporter.detail(
            f"{learner.configuration.config}, seed {learner.seed}, epoch {learner.epoch}: test "
            f"loss {test.loss:.3g}, squared error {test.error:.3g}"
        )


def _refuse_divergence(learner: Learner, loss: float, epoch: int, what: str) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(
            f"{learner.configuration.config}, seed {learner.seed}: the {what} is {loss} in epoch "
            f"{epoch}"
        )
