"""Speech as mel spectrograms: spoken digits prepared for the circuit, and sound from its dreams.

librosa does the signal processing. It is imported only where it is used: its import takes seconds,
and the first one of librosa 0.x after its installation compiles for some 20 s.
"""

import hashlib
import inspect
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, Int16
from scipy.io import wavfile

from impression_learning.kinds import SPEECH_SIZES, TAKES, TEST_TAKES, SpeechName
from impression_learning.synthetic_speech import synthetic_spoken_digits
from sharpwave_shared.data import DataRecord, Recording, cache_dir, free_spoken_digits
from sharpwave_shared.errors import DataWarning, ParameterError, SharpwaveError
from sharpwave_shared.files import atomic_path, read_arrays, write_arrays
from sharpwave_shared.paths import PathLike
from sharpwave_shared.reporting import Reporter

SAMPLE_RATE = 22_050
"""Samples per second of the sound that is analysed and of the sound that is made."""
WINDOW = 2048
HOP = 512
BANDS = SPEECH_SIZES[0]
FLOOR_DB = -80.0
"""Levels lower than this, relative to the maximum of the recording, are raised to it."""
FRAME_SECONDS = HOP / SAMPLE_RATE
POWER = 1e3
"""Power of 0 dB when a spectrum is fitted: librosa's fit stops at an absolute error."""
PEAK = 0.9
"""The largest amplitude of the sound that is made, as a fraction of full scale."""


@dataclass(frozen=True)
class Speech:
    """Mel spectrograms of spoken digits, `(level in dB + offset_db) / scale_db`.

    Attributes
    ----------
    train, test
        One array (frames x 128 bands) for each recording, ordered by digit, speaker and take. A
        frame is `FRAME_SECONDS` long.
    offset_db
        |minimum| of the training recordings, in dB relative to each recording's maximum.
    scale_db
        Standard deviation of all values of the training recordings, in dB.
    record
        The recordings' origin.
    """

    train: tuple[Float[np.ndarray, "_ 128"], ...]
    test: tuple[Float[np.ndarray, "_ 128"], ...]
    offset_db: float
    scale_db: float
    record: DataRecord


def load_speech(
    dataset: SpeechName = "fsdd",
    *,
    data_dir: PathLike | None = None,
    takes: int = TAKES,
    reporter: Reporter | None = None,
) -> Speech:
    """Load spoken digits as normalised mel spectrograms.

    The spectrograms are kept in the cache folder; a damaged file there is made anew.

    Parameters
    ----------
    dataset
        `fsdd` is the Free Spoken Digit Dataset; `synthetic` are signals synthesised on the spot,
        see `impression_learning.synthetic_speech`.
    data_dir
        See `sharpwave_shared.data.free_spoken_digits`.
    takes
        How many takes of each speaker and digit to use, 6 to 50: 0 to 4 are the test set, the
        others the training set.
    reporter
        Shows progress, and says that librosa is being loaded.

    Raises
    ------
    ParameterError
        If `dataset` is none of the above, or `takes` is out of range.
    InvalidInputError
        If a directory that the user named is unreadable, or holds a folder `fsdd` that is
        incomplete or damaged.
    SharpwaveError
        If the recordings can be neither found nor downloaded.
    """
    if dataset not in get_args(SpeechName):
        raise ParameterError("dataset", dataset, f"one of {', '.join(get_args(SpeechName))}")
    if not TEST_TAKES < takes <= TAKES:
        raise ParameterError("takes", takes, f"a whole number from {TEST_TAKES + 1} to {TAKES}")
    if dataset == "synthetic":
        source = synthetic_spoken_digits(takes)
    else:
        source = free_spoken_digits(data_dir=data_dir)
    recordings = [recording for recording in source.recordings if recording.index < takes]
    levels = _cached_levels(recordings, source.record, takes, reporter or Reporter(quiet=True))
    of_recording = list(zip(recordings, levels, strict=True))
    train = [part for recording, part in of_recording if recording.index >= TEST_TAKES]
    test = [part for recording, part in of_recording if recording.index < TEST_TAKES]
    values = np.concatenate(train)
    offset = abs(float(values.min()))
    scale = float(values.std(dtype=np.float64))

    def normalise(part: Float[np.ndarray, "frames 128"]) -> Float[np.ndarray, "frames 128"]:
        return (part + np.float32(offset)) / np.float32(scale)

    return Speech(
        tuple(map(normalise, train)), tuple(map(normalise, test)), offset, scale, source.record
    )


def sequence(
    recordings: Sequence[Float[np.ndarray, "_ 128"]], rng: np.random.Generator
) -> Float[np.ndarray, "frames 128"]:
    """Concatenate the recordings in time, in random order."""
    return np.concatenate([recordings[index] for index in rng.permutation(len(recordings))])


def decibels(
    speech: Speech, values: Float[np.ndarray, "*shape 128"]
) -> Float[np.ndarray, "*shape 128"]:
    """Undo the normalisation: levels in dB relative to the maximum of a recording."""
    return values * speech.scale_db - speech.offset_db


def band_frequencies() -> Float[np.ndarray, "128"]:
    """Centre frequencies of the mel bands, in Hz."""
    import librosa  # without the parts that are slow to load

    return librosa.mel_frequencies(BANDS + 2, fmin=0, fmax=SAMPLE_RATE / 2)[1:-1]


def mel_levels(
    waveform: Int16[np.ndarray, " samples"], sample_rate: int
) -> Float[np.ndarray, "frames 128"]:
    """Compute the mel spectrogram of a recording.

    Parameters
    ----------
    waveform
        The samples; they are resampled to `SAMPLE_RATE`.
    sample_rate
        Samples per second.

    Returns
    -------
    Float[np.ndarray, "frames 128"]
        Power in the mel bands, in dB relative to the maximum, at least `FLOOR_DB`.
    """
    import librosa

    samples = waveform.astype(np.float32) / 2**15
    samples = librosa.resample(samples, orig_sr=sample_rate, target_sr=SAMPLE_RATE)
    power = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS
    )
    return librosa.power_to_db(power, ref=np.max, top_db=-FLOOR_DB).T


def to_sound(
    decibels: Float[np.ndarray, "frames 128"],
    rng: np.random.Generator,
    iterations: int = 32,
    *,
    reporter: Reporter | None = None,
) -> Int16[np.ndarray, " samples"]:
    """Make sound with a given mel spectrogram.

    The power spectrum is the non-negative one that fits the power in the mel bands best (least
    squares); the phases are found by the Griffin-Lim algorithm.

    Parameters
    ----------
    decibels
        Levels of the mel bands in dB. Those above 0 are taken for 0; those at `FLOOR_DB` and below
        for silence.
    rng
        Draws the phases to start from.
    iterations
        Steps of the Griffin-Lim algorithm.
    reporter
        Says that librosa is being loaded.

    Returns
    -------
    Int16[np.ndarray, " samples"]
        512 samples for each frame, at `SAMPLE_RATE`, scaled to the amplitude `PEAK`.

    Notes
    -----
    Griffin & Lim, IEEE Trans. ASSP 32, 236 (1984), doi 10.1109/TASSP.1984.1164317; with
    momentum: Perraudin, Balazs & Søndergaard, WASPAA (2013), doi 10.1109/WASPAA.2013.6701851.
    """
    levels = np.clip(decibels, FLOOR_DB, 0)
    power = np.where(levels > FLOOR_DB, POWER * 10 ** (levels / 10), 0).astype(np.float32)
    if not power.any():
        return np.zeros(HOP * len(power), np.int16)
    _load_librosa(reporter or Reporter(quiet=True))
    import librosa

    # A transform of n hops has n + 1 frames: the one after the last is silent.
    power = np.pad(power, ((0, 1), (0, 0))).T
    magnitude = librosa.feature.inverse.mel_to_stft(power, sr=SAMPLE_RATE, n_fft=WINDOW)
    # librosa 1.0 renames the argument for the generator.
    new = "rng" in inspect.signature(librosa.griffinlim).parameters
    generator: dict[str, Any] = {"rng" if new else "random_state": rng}
    sound = librosa.griffinlim(
        magnitude, n_iter=iterations, hop_length=HOP, n_fft=WINDOW, **generator
    )
    return np.round(sound * (PEAK * 32767 / np.abs(sound).max())).astype(np.int16)


def write_wav(path: Path, waveform: Int16[np.ndarray, " samples"], rate: int = SAMPLE_RATE) -> None:
    """Write a mono WAV file, atomically; `rate` is in samples per second."""
    with atomic_path(path) as temporary:
        wavfile.write(temporary, rate, waveform)


def _load_librosa(reporter: Reporter) -> None:
    """Load the parts of librosa that are used, which it would load at their first use: slowly."""
    if "librosa.feature.spectral" not in sys.modules:
        reporter.say("loading librosa (the first time, this can take some 20 s)")
        import librosa.feature.inverse
        import librosa.feature.spectral  # noqa: F401


def _cached_levels(
    recordings: Sequence[Recording], record: DataRecord, takes: int, reporter: Reporter
) -> list[Float[np.ndarray, "_ 128"]]:
    """Give the mel spectrograms of the recordings, from the cache if they are there."""
    versions = (version("librosa"), version("soxr"))  # soxr is librosa's resampler
    parameters = (SAMPLE_RATE, WINDOW, HOP, BANDS, FLOOR_DB, *versions)
    identity = repr((record.checksum, takes, *map(str, parameters)))
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    path = cache_dir() / "impression-learning" / f"{record.name}-{name}.npz"

    def checksum(levels: np.ndarray, frames: np.ndarray) -> np.ndarray:
        digest = hashlib.sha256(identity.encode())
        digest.update(levels.tobytes())
        digest.update(frames.tobytes())
        return np.frombuffer(digest.digest(), np.uint8)

    try:
        stored = read_arrays(path)
        levels, frames = stored["levels"], stored["frames"]
        if np.array_equal(stored["checksum"], checksum(levels, frames)):
            return np.split(levels, np.cumsum(frames)[:-1])
    except (SharpwaveError, KeyError):
        pass  # not there, damaged, or another file
    _load_librosa(reporter)
    parts = []
    with reporter.progress("mel spectrograms", len(recordings)) as advance:
        for recording in recordings:
            parts.append(mel_levels(recording.waveform, recording.sample_rate))
            advance(1)
    levels, frames = np.concatenate(parts), np.array([len(part) for part in parts])
    try:
        write_arrays(path, levels=levels, frames=frames, checksum=checksum(levels, frames))
    except OSError as error:
        message = f"the mel spectrograms cannot be kept in the cache: {error}"
        warnings.warn(message, DataWarning, stacklevel=3)
    return parts
