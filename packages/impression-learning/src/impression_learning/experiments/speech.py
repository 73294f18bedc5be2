"""The mode Vocal_Digits: spoken digits, two layers (Figure 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from impression_learning.experiments.common import MODE, RATES, Learning, Noise, Phases, Rate
from impression_learning.kinds import SPEECH_SIZES, TAKES, TEST_TAKES, Algorithm, SpeechName
from sharpwave_shared import lazy
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Job, Options
from sharpwave_shared.lazy import torch, xr
from sharpwave_shared.parameters import Between

if TYPE_CHECKING:
    from impression_learning import analysis, model, simulate, speech, stimuli
    from sharpwave_shared import reporting, seeding
else:
    analysis = lazy.module("impression_learning.analysis")
    model = lazy.module("impression_learning.model")
    simulate = lazy.module("impression_learning.simulate")
    speech = lazy.module("impression_learning.speech")
    stimuli = lazy.module("impression_learning.stimuli")
    reporting = lazy.module("sharpwave_shared.reporting")
    seeding = lazy.module("sharpwave_shared.seeding")

SOUNDS = ("stimulus", "dream_before", "dream")
"""What is made audible."""


class VocalDigits(Phases, Learning):
    """Learn spoken digits with two layers (Figure 4)."""

    name: ClassVar = "Vocal_Digits"
    panel: ClassVar = MODE
    analysed: ClassVar = True
    reads_data: ClassVar = True
    quick: ClassVar = {"points": 6, "epochs": 3, "takes": 10}

    sigma_gen: Noise | None = 0.13
    """Noise of the transition."""
    algorithm: Literal["impression", "reinforce"] | None = None
    """Only this one. Default: impression."""
    eta: Rate = 5e-4
    """Learning rate of impression learning."""
    eta_reinforce: Rate = 1e-3 * 1e-7
    """That of REINFORCE."""
    epochs: Annotated[int, Between(1, 10**9)] = 20
    """Vocal_Digits: passes through the data."""
    takes: Annotated[int, Between(TEST_TAKES + 1, TAKES)] = TAKES
    """Vocal_Digits: takes of each digit and speaker; 0 to 4 are the test set."""
    frames: Annotated[int, Between(2, 10**6)] = 400
    """Vocal_Digits: frames of 23 ms that are drawn and made audible."""
    dataset: SpeechName = "fsdd"
    """Vocal_Digits: recorded, or synthesised speech-like signals."""

    def load(self, options: Options) -> speech.Speech:
        """Read the recordings."""
        return speech.load_speech(
            self.dataset,
            data_dir=options.data_dir,
            takes=self.takes,
            reporter=reporting.Reporter(quiet=options.quiet),
        )

    def check(self) -> None:
        """Refuse what the network does not have: data whose noise it could take."""
        if self.sigma_gen is None:
            raise ParameterError("sigma_gen", None, "a number above 0 (speech tells none)")

    def setting(self, algorithm: Algorithm, value: Any = None) -> model.Setting:
        """Describe the network."""
        assert self.sigma_gen is not None  # noqa: S101 - see `check`
        return model.Setting(
            SPEECH_SIZES,
            (self.sigma_in, self.sigma_inf, self.sigma_inf),
            (self.sigma_obs, self.sigma_obs, self.sigma_gen),
            dict(self)[RATES[algorithm]],
            self.switch_period,
            algorithm,
            self.third_factor,
        )

    def stimulus(self, job: Job, seed: int, value: Any = None) -> stimuli.Stimulus:
        """Put the recordings in the order in which a seed hears them."""
        streams = seeding.Streams(seed)
        passages = {"training": job.data.train, "test": job.data.test}
        return stimuli.Sequences(
            {
                name: speech.sequence(recordings, streams.numpy("shuffle", name))
                for name, recordings in passages.items()
            }
        )

    def lengths(self, job: Job, algorithm: Algorithm) -> tuple[int, int]:
        """Give the steps of learning, and of the test passage."""
        return self.epochs * sum(map(len, job.data.train)), sum(map(len, job.data.test))

    def describe(self, trial: analysis.Trial) -> xr.Dataset:
        """Reduce the trial of a network; keep the correlations between bands."""
        return analysis.describe(trial, self.frames).merge(analysis.describe_bands(trial))

    def look(self, job: Job, learnt: simulate.Learnt, test_steps: int) -> xr.Dataset:
        """Look at what was learnt, and let the networks dream as they were before learning."""
        data = super().look(job, learnt, test_steps)
        with torch.no_grad():
            of_groups = [
                analysis.run_trials(simulate.Group(g.members, job.device), self.frames)
                for g in learnt.groups
            ]
        steps = data.sizes["time"]
        dreams = [of_groups[g][i].dream[:steps].astype("float32") for g, i in learnt.places]
        told = {"long_name": "observation generated asleep, before learning"}
        return data.assign(dream_before=(("seed", "time", "channel"), dreams, told))

    def compute(self, job: Job) -> xr.Dataset:
        """Learn, look at what was learnt, and make it audible."""
        data = super().compute(job)
        frequency = ("channel", speech.band_frequencies(), {"units": "Hz"})
        data = data.assign_coords(frequency=frequency)
        data.attrs |= {"offset_db": job.data.offset_db, "scale_db": job.data.scale_db}
        if job.directory is not None:
            job.journal.reporter.say("inverting spectrograms to sound")
            for name in SOUNDS:
                levels = speech.decibels(job.data, data[name].values[0, 0])
                rng = seeding.Streams(job.seeds[0]).numpy("sound", name)
                sound = speech.to_sound(levels, rng, reporter=job.journal.reporter)
                speech.write_wav(job.directory / f"{name}.wav", sound)
        return data
