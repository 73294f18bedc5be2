"""Speech as mel spectrograms: spoken digits prepared for the circuit, and sound from its dreams.

The spectrograms are those of librosa's defaults (`librosa.load`, `librosa.feature.melspectrogram`,
`librosa.power_to_db(ref=np.max)`), computed with torch and with soxr, librosa's resampler. librosa
itself is not imported: at its first import it compiles for half a minute functions that nobody
needs here, and it keeps them as pickles beside itself.
"""

import functools
import hashlib
import math
import warnings
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soxr
import torch
from jaxtyping import Complex, Float, Int16
from torch import Tensor

from impression_learning.synthetic_speech import synthetic_spoken_digits
from sharpwave_shared.data import (
    FSDD_TAKES,
    DataRecord,
    DataWarning,
    Recording,
    cache_dir,
    free_spoken_digits,
)
from sharpwave_shared.errors import InvalidInputError, SharpwaveError
from sharpwave_shared.files import atomic_path, read_arrays, write_arrays
from sharpwave_shared.reporting import Reporter

SAMPLE_RATE = 22_050
"""Samples per second of the sound that is analysed and of the sound that is made."""
WINDOW = 2048
HOP = 512
BANDS = 128
FLOOR_DB = -80.0
"""Levels lower than this, relative to the maximum of the recording, are raised to it."""
FRAME_SECONDS = HOP / SAMPLE_RATE
TEST_TAKES = 5
"""The takes 0 to 4 of each speaker and digit are the test set."""
INVERSION_STEPS = 100
PEAK = 0.9
"""The largest amplitude of the sound that is made, as a fraction of full scale."""

SpeechName = Literal["fsdd", "synthetic"]


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
    data_dir: Path | None = None,
    takes: int = FSDD_TAKES,
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
        Shows progress.

    Raises
    ------
    InvalidInputError
        If `dataset` is none of the above, or `takes` is out of range; if a directory that the user
        named is unreadable, or holds a folder `fsdd` that is incomplete or damaged.
    SharpwaveError
        If the recordings can be neither found nor downloaded.
    """
    if dataset not in get_args(SpeechName):
        allowed = ", ".join(get_args(SpeechName))
        raise InvalidInputError(f"--dataset {dataset}: must be one of {allowed}")
    if not TEST_TAKES < takes <= FSDD_TAKES:
        raise InvalidInputError(
            f"--takes {takes}: must be from {TEST_TAKES + 1} to {FSDD_TAKES}, the first "
            f"{TEST_TAKES} of which are the test set"
        )
    if dataset == "synthetic":
        source = synthetic_spoken_digits(takes)
    else:
        source = free_spoken_digits(data_dir=data_dir)
    recordings = [recording for recording in source.recordings if recording.index < takes]
    levels = _cached_levels(recordings, source.record, takes, reporter or Reporter(quiet=True))
    starts = np.cumsum([_frame_count(recording) for recording in recordings])[:-1]
    of_recording = list(zip(recordings, np.split(levels, starts), strict=True))
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
    return _band_edges()[1:-1]


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
    length = _resampled_length(len(waveform), sample_rate)
    resampled = soxr.resample(np.float32(waveform) / 2**15, sample_rate, SAMPLE_RATE, quality="HQ")
    # soxr gives a sample more or less than librosa, which cuts or pads.
    resampled = np.pad(resampled[:length], (0, max(length - len(resampled), 0)))
    spectrum = _transform(torch.from_numpy(resampled))
    power = _mel_filters() @ spectrum.abs().square()
    levels = 10 * power.clamp(min=1e-10).log10()
    return (levels - levels.max()).clamp(min=FLOOR_DB).T.numpy()


def to_sound(
    decibels: Float[np.ndarray, "frames 128"], rng: np.random.Generator, iterations: int = 32
) -> Int16[np.ndarray, " samples"]:
    """Make sound with a given mel spectrogram.

    The power spectrum is the non-negative one that is found by multiplicative updates; the phases
    are found by the Griffin-Lim algorithm.

    Parameters
    ----------
    decibels
        Levels of the mel bands in dB. Those above 0 are taken for 0; those at `FLOOR_DB` and below
        for silence.
    rng
        Draws the phases to start from.
    iterations
        Steps of the Griffin-Lim algorithm.

    Returns
    -------
    Int16[np.ndarray, " samples"]
        512 samples for each frame, at `SAMPLE_RATE`, scaled to the amplitude `PEAK`.

    Notes
    -----
    Lee & Seung, NIPS 13 (2000). Griffin & Lim, IEEE Trans. ASSP 32, 236 (1984),
    doi 10.1109/TASSP.1984.1164317.
    """
    levels = np.clip(decibels, FLOOR_DB, 0)
    power = np.where(levels > FLOOR_DB, 10 ** (levels / 10), 0).astype(np.float32)
    if not power.any():
        return np.zeros(HOP * len(power), np.int16)
    # A transform of n hops has n + 1 frames: the one after the last is silent.
    magnitude = _spectrum_of(torch.from_numpy(np.pad(power, ((0, 1), (0, 0))).T)).sqrt()
    phases = np.exp(2j * np.pi * rng.random(magnitude.shape))
    direction = torch.from_numpy(phases.astype(np.complex64))
    for _ in range(iterations):
        rebuilt = _transform(_inverse_transform(magnitude * direction))
        direction = rebuilt / rebuilt.abs().clamp(min=1e-16)
    sound = _inverse_transform(magnitude * direction).numpy()
    return np.round(sound * (PEAK * 32767 / np.abs(sound).max())).astype(np.int16)


def write_wav(path: Path, waveform: Int16[np.ndarray, " samples"], rate: int = SAMPLE_RATE) -> None:
    """Write a mono WAV file, atomically; `rate` is in samples per second."""
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(waveform.astype("<i2").tobytes())


def _cached_levels(
    recordings: Sequence[Recording], record: DataRecord, takes: int, reporter: Reporter
) -> Float[np.ndarray, "frames 128"]:
    """Give the mel spectrograms of all recordings, one after the other, from the cache if there."""
    parameters = (SAMPLE_RATE, WINDOW, HOP, BANDS, FLOOR_DB, soxr.__version__, torch.__version__)
    identity = repr((record.checksum, takes, *map(str, parameters)))
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    path = cache_dir() / "impression-learning" / f"{record.name}-{name}.npz"

    def checksum(levels: np.ndarray) -> np.ndarray:
        digest = hashlib.sha256(identity.encode())
        digest.update(levels.tobytes())
        return np.frombuffer(digest.digest(), np.uint8)

    try:
        stored = read_arrays(path)
        if np.array_equal(stored["checksum"], checksum(stored["levels"])):
            return stored["levels"]
    except (SharpwaveError, KeyError):
        pass  # not there, damaged, or another file
    parts = []
    with reporter.progress("mel spectrograms", len(recordings)) as advance:
        for recording in recordings:
            parts.append(mel_levels(recording.waveform, recording.sample_rate))
            advance(1)
    levels = np.concatenate(parts)
    try:
        write_arrays(path, levels=levels, checksum=checksum(levels))
    except OSError as error:
        message = f"the mel spectrograms cannot be kept in the cache: {error}"
        warnings.warn(message, DataWarning, stacklevel=3)
    return levels


def _resampled_length(samples: int, sample_rate: int) -> int:
    return math.ceil(samples * SAMPLE_RATE / sample_rate)


def _frame_count(recording: Recording) -> int:
    return 1 + _resampled_length(len(recording.waveform), recording.sample_rate) // HOP


def _band_edges() -> Float[np.ndarray, "130"]:
    """Frequencies in Hz, equally spaced on the mel scale of Slaney's Auditory Toolbox (1998).

    The scale is linear up to 1 kHz, at 15 mel, and logarithmic above: 27 mel for a factor of 6.4.
    """
    top = 15 + 27 * math.log(SAMPLE_RATE / 2 / 1000) / math.log(6.4)
    mel = np.linspace(0, top, BANDS + 2)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


@functools.cache
def _mel_filters() -> Float[Tensor, "128 1025"]:
    """Triangles over the frequencies of the transform, each of unit area."""
    edges = _band_edges()[:, None]
    frequencies = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies - lower) / (centre - lower)
    falling = (upper - frequencies) / (upper - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy((triangles * 2 / (upper - lower)).astype(np.float32))


def _transform(waveform: Float[Tensor, " samples"]) -> Complex[Tensor, "1025 frames"]:
    window = torch.hann_window(WINDOW)
    return torch.stft(
        waveform, WINDOW, HOP, window=window, pad_mode="constant", return_complex=True
    )


def _inverse_transform(spectrum: Complex[Tensor, "1025 frames"]) -> Float[Tensor, " samples"]:
    return torch.istft(spectrum, WINDOW, HOP, window=torch.hann_window(WINDOW))


def _spectrum_of(power: Float[Tensor, "128 frames"]) -> Float[Tensor, "1025 frames"]:
    """Find a non-negative power spectrum with the given power in the mel bands."""
    filters = _mel_filters()
    spectrum = torch.ones(filters.shape[1], power.shape[1])
    wanted = filters.T @ power
    for _ in range(INVERSION_STEPS):
        spectrum *= wanted / (filters.T @ (filters @ spectrum)).clamp(min=1e-30)
    return spectrum
