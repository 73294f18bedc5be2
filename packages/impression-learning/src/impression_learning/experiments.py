"""The experiments: each mode turns its plan and seeds into numbers and arrays, in a journal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impression_learning.analysis import Trial, band_correlations, cosine, run_trials
from impression_learning.model import Algorithm, Setting
from impression_learning.plans import Plan
from impression_learning.simulate import Group, Learnt, Member, learn
from impression_learning.speech import Speech, sequence
from impression_learning.stimuli import LatentProcess, Sequences
from impression_learning.updates import compare_rules, measure_updates
from sharpwave_shared.compiled import workers
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.runs import Journal
from sharpwave_shared.seeding import Streams

EXCERPT = 400
"""Steps of the test passage that are kept for figures."""
ANALYSED = ("standard", "switch_period", "time_constant", "Vocal_Digits")
"""Modes in which reconstruction and alternation are looked at after learning."""
EPISODE_PHASES = 2
"""An episode of `SNR` is one phase awake and one asleep."""


@dataclass
class Result:
    """What an experiment gives: numbers, arrays for figures, and the weights learnt."""

    metrics: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    networks: dict[str, Tensor] = field(default_factory=dict)


def run(
    plan: Plan,
    seeds: Sequence[int],
    *,
    device: torch.device | None = None,
    speech: Speech | None = None,
    journal: Journal | None = None,
) -> Result:
    """Run the experiment of a mode.

    Parameters
    ----------
    plan
        Mode and parameters, see `plans.make_plan`.
    seeds
        Each stands for networks, data and noise of its own.
    device
        Where to compute. The CPU, which is the default, runs each network in a fused loop; other
        devices run all networks of equal sizes as one batch.
    speech
        The data of `Vocal_Digits`.
    journal
        Shows progress and keeps checkpoints; by default neither.

    Returns
    -------
    Result
        Its `metrics["conditions"]` has an entry for each algorithm and value of the mode's axis:
        `points` (steps), `losses` (seeds x points), `diverged` (step or -1, for each seed), and
        where the mode analyses the networks `summary`, lists over seeds.

    Raises
    ------
    InvalidInputError
        If there is no seed, or no data for `Vocal_Digits`.
    DivergenceError
        If the loss of a network is not finite (in `lr_optim` that is a result).
    """
    if not seeds:
        raise InvalidInputError("--seeds: at least one is needed")
    if plan.mode == "Vocal_Digits" and speech is None:
        raise InvalidInputError("--mode Vocal_Digits: needs speech, see `load_speech`")
    job = _Job(plan, list(seeds), device or torch.device("cpu"), speech, journal or Journal())
    return job.run_snr() if plan.mode == "SNR" else job.run()


@dataclass
class _Job:
    plan: Plan
    seeds: list[int]
    device: torch.device
    speech: Speech | None
    journal: Journal

    def members(self, algorithm: Algorithm) -> list[Member]:
        """List the networks of an algorithm: conditions, and seeds within each."""
        name = self.plan.axis[0]
        speech = self.speech
        data = None if speech is None else [_digits(speech, seed) for seed in self.seeds]
        return [
            Member(
                setting,
                process if data is None else data[place],
                seed,
                f"{name} {value:g}" if name else algorithm,
            )
            for value, (setting, process) in zip(
                self.plan.axis[1], self.plan.conditions(algorithm), strict=True
            )
            for place, seed in enumerate(self.seeds)
        ]

    @property
    def test_steps(self) -> int:
        """Length of the test passage."""
        if self.speech is None:
            return self.plan.test_steps
        return sum(map(len, self.speech.test))

    def learn(self, journal: Journal, algorithm: Algorithm, **more: Any) -> Learnt:
        """Let all networks of an algorithm learn."""
        steps = self.plan.steps_of(algorithm)
        if self.speech is not None:
            steps = self.plan.epochs * sum(map(len, self.speech.train))
        return learn(
            journal,
            self.members(algorithm),
            steps=steps,
            points=self.plan.points,
            test_steps=self.test_steps,
            device=self.device,
            may_diverge=self.plan.mode == "lr_optim",
            **more,
        )

    def run(self) -> Result:
        """Learn in all conditions; where the mode asks for it, look at what was learnt."""
        result = Result(self._head())
        for algorithm in self.plan.algorithms:
            if len(self.plan.algorithms) > 1:
                count = len(self.plan.axis[1]) * len(self.seeds)
                self.journal.reporter.say(f"{algorithm}: {count} networks")
            if self.plan.mode in ANALYSED:
                learnt = self.learn(self.journal, algorithm)
                result.metrics["conditions"] += self._conditions(
                    algorithm, learnt.points, learnt.losses, learnt.diverged
                )
                self._analyse(learnt, result)
            else:
                kept = self.journal.once(
                    f"learn-{algorithm}", lambda part, a=algorithm: self._losses(part, a)
                )
                result.metrics["conditions"] += self._conditions(
                    algorithm, *(kept[name].numpy() for name in ("points", "losses", "diverged"))
                )
        return result

    def _losses(self, journal: Journal, algorithm: Algorithm) -> dict[str, Tensor]:
        learnt = self.learn(journal, algorithm)
        named = {"points": learnt.points, "losses": learnt.losses, "diverged": learnt.diverged}
        return {name: torch.from_numpy(values) for name, values in named.items()}

    def _head(self) -> dict[str, Any]:
        name, values = self.plan.axis
        return {"axis": {"name": name, "values": list(values)}, "conditions": []}

    def _conditions(
        self, algorithm: Algorithm, points: np.ndarray, losses: np.ndarray, diverged: np.ndarray
    ) -> list[dict[str, Any]]:
        rows = []
        for c, (value, (setting, process)) in enumerate(
            zip(self.plan.axis[1], self.plan.conditions(algorithm), strict=True)
        ):
            own = slice(c * len(self.seeds), (c + 1) * len(self.seeds))
            rows.append(
                {
                    "algorithm": algorithm,
                    "value": value,
                    "eta": setting.eta,
                    "switch_period": setting.switch_period,
                    "dt": None if self.speech else process.dt,
                    "points": points.tolist(),
                    "losses": losses[own].tolist(),
                    "diverged": diverged[own].tolist(),
                }
            )
        return rows

    def _analyse(self, learnt: Learnt, result: Result) -> None:
        """Run trials, network by network; keep their numbers, and excerpts of the first seed."""
        self.journal.reporter.say("looking at what was learnt")

        def look(g: Group) -> list[tuple[dict[str, float], dict[str, np.ndarray], dict]]:
            return [self._look(trial) for trial in run_trials(g, self.test_steps)]

        with workers(len(learnt.groups)) as in_parallel, torch.no_grad():
            seen = dict(zip(map(id, learnt.groups), in_parallel(look, learnt.groups), strict=True))
        looks = [seen[id(g)][place] for g, place in learnt.places]
        for c, condition in enumerate(result.metrics["conditions"]):
            own = range(c * len(self.seeds), (c + 1) * len(self.seeds))
            transitions = [
                g.circuits.parameters.transition[place]
                for g, place in (learnt.places[i] for i in own)
            ]
            condition["summary"] = {
                name: [looks[i][0][name] for i in own] for name in looks[own[0]][0]
            } | {
                "transition_mean": [float(t.mean()) for t in transitions],
                "transition_sd": [float(t.std(correction=0)) for t in transitions],
            }
            if condition["dt"] is not None:
                process = LatentProcess(1, 1, condition["dt"])
                condition["summary"]["transition_truth"] = process.decay
            for name in looks[own[0]][1]:
                curves = np.stack([looks[i][1][name] for i in own])
                result.arrays[f"{c}.autocorrelation.{name}"] = curves.astype(np.float32)
            for name, values in looks[own[0]][2].items():
                result.arrays[f"{c}.{name}"] = values
        if self.speech is not None:
            self._keep_dreams(learnt, result)
        for i, (g, place) in enumerate(learnt.places):
            named = g.circuits.parameters.network(place).tensors()
            result.networks |= {f"{i}.{name}": tensor[0] for name, tensor in named.items()}

    def _look(self, trial: Trial) -> tuple[dict[str, float], dict[str, np.ndarray], dict]:
        """Reduce a trial to numbers, autocorrelations, and an excerpt."""
        numbers = trial.summary()
        excerpt = {
            name: getattr(trial, name)[:EXCERPT].astype(np.float32)
            for name in ("stimulus", "reconstruction", "awake", "alternating", "dream")
        } | {"phases": trial.phases[:EXCERPT]}
        if self.speech is not None:
            bands = [band_correlations(v) for v in (trial.stimulus, trial.dream)]
            numbers["band_cosine"] = cosine(*bands)
            excerpt["bands"] = np.stack(bands).astype(np.float32)
        return numbers, trial.autocorrelations(), excerpt

    def _keep_dreams(self, learnt: Learnt, result: Result) -> None:
        """Let the first network dream as it was before learning."""
        g, place = learnt.places[0]
        untrained = Group([g.members[place]], self.device)
        with torch.no_grad():
            trial = run_trials(untrained, EXCERPT)[0]
        result.arrays["0.dream_before"] = trial.dream.astype(np.float32)

    def run_snr(self) -> Result:
        """Learn, and measure the updates of both rules at every point of learning."""
        (algorithm,) = self.plan.algorithms
        measured: dict[int, dict[str, Tensor]] = {}
        in_episode = EPISODE_PHASES * (self.plan.switch_period + 1)

        def measure(g: Group, number: int) -> list[dict[str, Tensor]]:
            found = []
            for i, world in enumerate(g.worlds):
                x, _, _ = world.read("test", 0, in_episode, world.start("test"))
                network = g.circuits.parameters.network(i)
                streams = g.streams[i].child("updates", number)
                setting: Setting = g.members[i].setting
                found.append(measure_updates(network, setting, x, self.plan.episodes, streams))
            return found

        def at_point(number: int, groups: list[Group]) -> None:
            kept = self.journal.load_tensors(f"part-updates-{number}")
            if kept is None:
                with workers(len(groups)) as in_parallel:
                    found = in_parallel(lambda g: measure(g, number), groups)
                rows = [moments for g in found for moments in g]
                kept = {name: torch.stack([r[name] for r in rows]).cpu() for name in rows[0]}
                self.journal.save_tensors(f"part-updates-{number}", kept)
            measured[number] = kept

        learnt = self.learn(self.journal, algorithm, at_point=at_point)
        for number in range(len(learnt.points)):
            if number not in measured:
                at_point(number, [])
        moments = {
            name: np.stack([measured[n][name].numpy() for n in sorted(measured)], 1)
            for name in measured[0]
        }
        result = Result(self._head())
        result.metrics["conditions"] = self._conditions(
            algorithm, learnt.points, learnt.losses, learnt.diverged
        )
        compared = compare_rules(moments, self.plan.n * self.plan.n_in)
        result.metrics |= {"updates": compared, "episodes": self.plan.episodes}
        result.arrays |= moments
        return result


def _digits(speech: Speech, seed: int) -> Sequences:
    """Put the recordings in the order that a seed hears them in."""
    streams = Streams(seed)
    return Sequences(
        {
            "training": sequence(speech.train, streams.numpy("shuffle", "training")),
            "test": sequence(speech.test, streams.numpy("shuffle", "test")),
        }
    )
