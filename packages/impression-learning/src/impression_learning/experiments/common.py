"""What the modes have in common: networks that learn, and are tested along learning.

A mode is made of groups of parameters, of which it has those that it uses, and says which network
and which data it has at each value of the parameter that it varies, if it does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from impression_learning.kinds import NOISE, TIME_STEP, Algorithm, ThirdFactor
from sharpwave_shared import lazy
from sharpwave_shared.experiment import Experiment, Job, Options
from sharpwave_shared.lazy import torch, xr
from sharpwave_shared.parameters import Above, Between, Parameters

if TYPE_CHECKING:
    from impression_learning import analysis, model, simulate, stimuli
    from sharpwave_shared import results
    from sharpwave_shared.journal import Journal
else:
    analysis = lazy.module("impression_learning.analysis")
    model = lazy.module("impression_learning.model")
    simulate = lazy.module("impression_learning.simulate")
    stimuli = lazy.module("impression_learning.stimuli")
    results = lazy.module("sharpwave_shared.results")
    Journal = Any  # that of a part of the work

NETWORK, LEARNING, MODE = "Network and data", "Learning", "Of single modes"
RATES: Mapping[Algorithm, str] = {
    "impression": "eta",
    "reinforce": "eta_reinforce",
    "backprop": "eta_backprop",
    "backprop-alternating": "eta_backprop",
}
"""The parameter that is the learning rate of an algorithm."""
AWAKE = "loss awake"
"""What a mode measures beside the loss of the alternating test passage."""
Units = Annotated[int, Between(1, 100_000)]
Noise = Annotated[float, Above(0, 1e6)]
Rate = Annotated[float, Between(0, 1e300)]
Steps = Annotated[int, Between(1, 10**12)]
TestSteps = Annotated[int, Between(200, 10**9)]
Period = Annotated[int, Between(0, 10**9)]
TimeStep = Annotated[float, Above(0, 1)]


class Sizes(Parameters):
    """Sizes of the data and of a network of one latent layer."""

    panel: ClassVar = NETWORK

    n_latent: Units = 20
    """Latents of the data."""
    n_in: Units = 100
    """Observations."""
    n: Units = 20
    """Latent units."""


class SmallSizes(Sizes):
    """Those of a small network."""

    n_latent: Units = 2
    n_in: Units = 4
    n: Units = 2


class MediumSizes(Sizes):
    """Those of a network of medium size."""

    n_latent: Units = 4
    n_in: Units = 10
    n: Units = 4


class Data(Parameters):
    """The latent process."""

    panel: ClassVar = NETWORK

    dt: TimeStep = TIME_STEP
    """Time step of the data."""


class Phases(Parameters):
    """How wake and sleep alternate."""

    panel: ClassVar = NETWORK

    switch_period: Period = 1
    """A phase lasts this many steps and one."""


class Noises(Parameters):
    """Noise: standard deviations."""

    panel: ClassVar = NETWORK

    sigma_in: Noise = NOISE
    """Noise of the input."""
    sigma_inf: Noise = NOISE
    """Noise of inference."""
    sigma_obs: Noise = NOISE
    """Noise of generated activity."""
    sigma_gen: Noise | None = None
    """Noise of the transition. If none is given, the data's, 0.5 sqrt(dt)."""


class Rules(Parameters):
    """What learns, and how fast."""

    panel: ClassVar = LEARNING

    algorithm: Algorithm | None = None
    """Only this one; backprop learns awake. Default: impression, or what the mode compares."""
    eta: Rate = 1e-3
    """Learning rate of impression learning."""
    eta_reinforce: Rate = 1e-2 / 10**7.5
    """That of REINFORCE."""
    eta_backprop: Rate = 1e-2
    """That of backpropagation, times 1 / noise variance."""


class Learning(Noises, Experiment):
    """Networks that learn, and are tested along learning.

    Class attributes
    ----------------
    compared
        What learns if no algorithm is asked for.
    axis
        The parameter that the mode varies, a dimension of its results.
    listed
        The parameter that lists its values.
    analysed
        Whether what was learnt is looked at.
    may_diverge
        Whether a divergence is a result.
    """

    panel: ClassVar = LEARNING
    conditions: ClassVar = ("algorithm", "seed")
    compared: ClassVar[tuple[Algorithm, ...]] = ("impression",)
    axis: ClassVar[str] = ""
    listed: ClassVar[str] = ""
    analysed: ClassVar[bool] = False
    may_diverge: ClassVar[bool] = False

    third_factor: ThirdFactor = "gradient"
    """REINFORCE: descends the loss, or as in the released code."""
    points: Annotated[int, Between(2, 10_000)] = 20
    """Points of learning with a test."""

    # --- what a mode says of itself ---

    @property
    def axis_values(self) -> Sequence[Any]:
        """The values along the axis."""
        return dict(self)[self.listed] if self.axis else (None,)

    @abstractmethod
    def setting(self, algorithm: Algorithm, value: Any = None) -> model.Setting:
        """Describe the network, at a value of the axis."""

    @abstractmethod
    def stimulus(self, job: Job, seed: int, value: Any = None) -> stimuli.Stimulus:
        """Give the data of a seed, at a value of the axis."""

    @abstractmethod
    def lengths(self, job: Job, algorithm: Algorithm) -> tuple[int, int]:
        """Give the steps of learning, and of the test passage."""

    def measure(self, number: int, group: simulate.Group) -> list[dict[str, torch.Tensor]]:
        """Measure more than the loss at a point of learning, a row for each network."""
        return [{} for _ in group.members]

    # --- what follows ---

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """What learns."""
        only = dict(self)["algorithm"]
        return self.compared if only is None else (only,)

    @property
    def label(self) -> str:
        """What learns."""
        return "-".join(self.algorithms)

    def unused(self) -> set[str]:
        """Name the parameters of algorithms that do not learn."""
        names = set(RATES.values()) - {RATES[algorithm] for algorithm in self.algorithms}
        if "reinforce" not in self.algorithms:
            names.add("third_factor")
        return names & set(type(self).model_fields)

    def identity(self) -> dict[str, Any]:
        """Give the parameters on which the results depend, as JSON values."""
        unused = self.unused()
        return {name: v for name, v in super().identity().items() if name not in unused}

    def warnings(self) -> list[str]:
        """Tell which of the given parameters have no effect."""
        only = " and ".join(self.algorithms)
        given = sorted(self.unused() & self.model_fields_set)
        return [f"{name} has no effect: what learns is {only}" for name in given]

    def device(self, options: Options, seeds: Sequence[int]) -> torch.device:
        """Choose the device by the number of networks."""
        return simulate.choose_device(options.device, len(self.axis_values) * len(seeds))

    def compute(self, job: Job) -> xr.Dataset:
        """Let all algorithms learn; results have the dimensions algorithm, axis, seed."""
        parts = [
            job.journal.once(a, lambda part, a=a: self._learn(job, part, a))
            for a in self.algorithms
        ]
        data = xr.concat(
            parts,
            "algorithm",
            data_vars="all",
            coords=["step"],
            compat="override",
            join="outer",
            combine_attrs="override",
        )
        return data.assign_coords(algorithm=list(self.algorithms))

    def _learn(self, job: Job, journal: Journal, algorithm: Algorithm) -> xr.Dataset:
        networks = self.networks(job, algorithm)
        if len(self.algorithms) > 1:
            journal.reporter.say(f"{algorithm}: {len(networks)} networks")
        steps, test_steps = self.lengths(job, algorithm)
        learnt = simulate.learn(
            journal,
            networks,
            steps=steps,
            points=self.points,
            test_steps=test_steps,
            device=job.device,
            may_diverge=self.may_diverge,
            measure=self.measure,
        )
        return self._losses(job, learnt).merge(self.look(job, learnt, test_steps))

    def networks(self, job: Job, algorithm: Algorithm) -> list[simulate.Member]:
        """List the networks: values of the axis, and seeds within each."""
        return [
            simulate.Member(
                self.setting(algorithm, value),
                self.stimulus(job, seed, value),
                seed,
                f"{self.axis} {value:g}" if self.axis else algorithm,
            )
            for value in self.axis_values
            for seed in job.seeds
        ]

    def coordinates(self, job: Job) -> dict[str, list[Any]]:
        """Name the dimensions along which networks differ, and their values."""
        axis = {self.axis: list(self.axis_values)} if self.axis else {}
        return {**axis, "seed": list(job.seeds)}

    def _losses(self, job: Job, learnt: simulate.Learnt) -> xr.Dataset:
        coordinates = self.coordinates(job)
        shape, dims = [len(values) for values in coordinates.values()], tuple(coordinates)
        diverged = {"long_name": "step of divergence", "units": "steps", "comment": "-1: none"}
        steps = {"long_name": "steps of learning", "units": "steps"}
        data = xr.Dataset(
            {"diverged": (dims, learnt.diverged.reshape(shape), diverged)},
            {
                **coordinates,
                "point": range(len(learnt.points)),
                "step": ("point", learnt.points, steps),
            },
        )
        tests = {"": ("alternating", learnt.losses)}
        if AWAKE in learnt.measured[0]:
            awake = torch.stack([row[AWAKE] for row in learnt.measured], 1).cpu().numpy()
            tests["_awake"] = ("awake", awake)
        for suffix, (phases, of_networks) in tests.items():
            losses = of_networks.reshape(*shape, -1)
            about = {"long_name": f"mean loss over the test passage, {phases}", "units": "per step"}
            final = about | {"long_name": f"loss after learning, {phases}"}
            data[f"loss{suffix}"] = ((*dims, "point"), losses, about)
            data[f"final_loss{suffix}"] = (dims, losses[..., -1], final)
        return data

    def look(self, job: Job, learnt: simulate.Learnt, test_steps: int) -> xr.Dataset:
        """Look at what was learnt, where the mode does; keep the weights."""
        if not self.analysed:
            return xr.Dataset()
        job.journal.reporter.say("looking at what was learnt")
        coordinates = self.coordinates(job)
        shape = [len(values) for values in coordinates.values()]
        job.save_tensors(
            "networks",
            {name: t.reshape(*shape, *t.shape[1:]) for name, t in learnt.weights().items()},
        )
        found = analysis.look(learnt, test_steps, self.describe)
        count = len(job.seeds)
        rows = [
            results.unite_seeds(found[start : start + count])
            for start in range(0, len(found), count)
        ]
        data = xr.concat(rows, self.axis) if self.axis else rows[0]
        return data.assign_coords(coordinates)

    def describe(self, trial: analysis.Trial) -> xr.Dataset:
        """Reduce the trial of a network to what is kept."""
        return analysis.describe(trial)


class Latent(Learning):
    """Networks of one latent layer that learn a latent process.

    Class attributes
    ----------------
    tested_awake
        Whether the loss is measured on the test passage spent awake throughout as well. It is what
        the release measures in the modes that set this; alternating, most of the loss is the
        distance between dreams and data that have nothing to do with each other.
    """

    panel: ClassVar = LEARNING
    quick: ClassVar = {"steps": 200_000, "test_steps": 5_000, "points": 6}
    tested_awake: ClassVar[bool] = False

    steps: Steps = 2_000_000
    """Steps of learning."""
    test_steps: TestSteps = 30_000
    """Steps of the test."""

    def varied(self, algorithm: Algorithm, value: Any) -> dict[str, Any]:
        """Give the parameters that a value of the axis stands for."""
        return {self.axis: value} if self.axis else {}

    def setting(self, algorithm: Algorithm, value: Any = None) -> model.Setting:
        """Describe the network, at a value of the axis."""
        given = {**dict(self), **self.varied(algorithm, value)}
        sigma_gen = given["sigma_gen"]
        return model.one_layer(
            given["n_in"],
            given["n"],
            eta=given[RATES[algorithm]],
            sigma_gen=self.process(value).a if sigma_gen is None else sigma_gen,
            sigma_inf=self.sigma_inf,
            sigma_obs=self.sigma_obs,
            sigma_in=self.sigma_in,
            switch_period=given["switch_period"],
            algorithm=algorithm,
            third_factor=self.third_factor,
        )

    def process(self, value: Any = None) -> stimuli.LatentProcess:
        """Give the latent process, at a value of the axis."""
        given = {**dict(self), **self.varied("impression", value)}
        return stimuli.LatentProcess(given["n_latent"], given["n_in"], given["dt"])

    def stimulus(self, job: Job, seed: int, value: Any = None) -> stimuli.Stimulus:
        """Give the latent process; what differs between seeds is drawn later."""
        return self.process(value)

    def lengths(self, job: Job, algorithm: Algorithm) -> tuple[int, int]:
        """Give the steps of learning, and of the test passage."""
        return self.steps, self.test_steps

    def measure(self, number: int, group: simulate.Group) -> list[dict[str, torch.Tensor]]:
        """Measure the loss awake throughout, where the mode does."""
        if not self.tested_awake:
            return super().measure(number, group)
        return [{AWAKE: loss} for loss in torch.from_numpy(group.test(self.test_steps, "awake"))]

    def look(self, job: Job, learnt: simulate.Learnt, test_steps: int) -> xr.Dataset:
        """Look at what was learnt, and tell the D that should have been."""
        data = super().look(job, learnt, test_steps)
        if self.analysed:
            truth = [self.process(value).decay for value in self.axis_values]
            told = {"long_name": "D of the data"}
            dims, values = ((self.axis,), truth) if self.axis else ((), truth[0])
            data["transition_truth"] = (dims, values, told)
        return data
