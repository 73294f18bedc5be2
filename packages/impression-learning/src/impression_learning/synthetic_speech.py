"""Synthetic speech: signals that resemble spoken digits, for runs without the real recordings.

Nobody has spoken these. A source-filter model makes them: a train of glottal pulses whose pitch
falls and jitters, and noise, are shaped by resonances (formants) that move from sound to sound as
in the English digit. Speakers differ in pitch and length of the vocal tract; takes in duration,
pitch, loudness and articulation.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Int16
from scipy.signal import lfilter

from impression_learning.kinds import TAKES
from sharpwave_shared.data import FSDD_SAMPLE_RATE, DataRecord, Recording, SpokenDigits
from sharpwave_shared.seeding import Streams

BLOCK = 128
"""Samples from one position of the vocal tract to the next (16 ms)."""


@dataclass(frozen=True)
class _Sound:
    """A target of the articulation.

    Attributes
    ----------
    length
        Relative duration.
    formants
        The first three resonances of the vocal tract, in Hz.
    voice, noise
        Amplitudes of the two sources.
    noise_hz
        Centre frequency of the noise.
    """

    length: float
    formants: tuple[int, int, int]
    voice: float
    noise: float = 0.0
    noise_hz: int = 2500


# Rough values for a man's voice; sounds of one letter are named for it, vowels by their word.
_SOUNDS = {
    "s": _Sound(1.2, (320, 1700, 2600), 0.0, 0.5, 3700),
    "z": _Sound(0.9, (300, 1700, 2600), 0.3, 0.3, 3700),
    "th": _Sound(0.8, (350, 1400, 2600), 0.0, 0.2, 3000),
    "f": _Sound(0.9, (350, 1100, 2300), 0.0, 0.2, 2000),
    "v": _Sound(0.6, (300, 1100, 2300), 0.5, 0.1, 2000),
    "t": _Sound(0.4, (350, 1800, 2700), 0.0, 0.7, 3400),
    "k": _Sound(0.4, (350, 1900, 2400), 0.0, 0.6, 1800),
    "closure": _Sound(0.5, (300, 1500, 2500), 0.0),
    "n": _Sound(0.9, (250, 1300, 2300), 0.5),
    "r": _Sound(0.7, (330, 1100, 1550), 0.7),
    "w": _Sound(0.7, (300, 700, 2200), 0.7),
    "three": _Sound(1.4, (270, 2250, 2950), 0.8),
    "six": _Sound(0.8, (390, 1950, 2550), 0.9),
    "seven": _Sound(0.9, (530, 1800, 2480), 1.0),
    "eight": _Sound(0.9, (480, 1900, 2550), 1.0),
    "one": _Sound(1.1, (640, 1190, 2390), 1.0),
    "nine": _Sound(1.1, (730, 1200, 2440), 1.0),
    "four": _Sound(1.3, (550, 850, 2410), 1.0),
    "two": _Sound(1.5, (310, 950, 2240), 0.9),
    "zero": _Sound(1.2, (430, 900, 2300), 0.9),
}
_DIGITS = (
    ("z", "three", "r", "zero"),
    ("w", "one", "n"),
    ("closure", "t", "two"),
    ("th", "r", "three"),
    ("f", "four", "r"),
    ("f", "nine", "six", "v"),
    ("s", "six", "closure", "k", "s"),
    ("s", "seven", "v", "seven", "n"),
    ("eight", "six", "closure", "t"),
    ("n", "nine", "six", "n"),
)
_SPEAKERS = {  # pitch in Hz, factor of all formants
    "synthetic-1": (95.0, 0.95),
    "synthetic-2": (110.0, 1.0),
    "synthetic-3": (125.0, 1.05),
    "synthetic-4": (140.0, 0.98),
    "synthetic-5": (190.0, 1.12),
    "synthetic-6": (215.0, 1.17),
}
_BANDWIDTHS = (70.0, 100.0, 150.0)


def synthetic_spoken_digits(takes: int = TAKES) -> SpokenDigits:
    """Synthesise signals that resemble spoken digits; see the module.

    They have the form of the Free Spoken Digit Dataset: 10 digits, 6 speakers, `takes` recordings
    of each, 16 bits, 8 kHz. The same every time; fewer takes are the first of more.
    """
    recordings = tuple(
        Recording(digit, speaker, index, _speak(digit, speaker, index), FSDD_SAMPLE_RATE)
        for digit in range(len(_DIGITS))
        for speaker in _SPEAKERS
        for index in range(takes)
    )
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(recording.waveform.astype("<i2").tobytes())
    record = DataRecord("synthetic-speech", "synthesised", "memory", digest.hexdigest())
    return SpokenDigits(recordings, record)


def _speak(digit: int, speaker: str, index: int) -> Int16[np.ndarray, " samples"]:
    rng = Streams(0).numpy("synthetic speech", digit, speaker, index)
    pitch, size = _SPEAKERS[speaker]
    sounds = [_SOUNDS[name] for name in _DIGITS[digit]]
    lengths = np.array([sound.length for sound in sounds]) * rng.uniform(0.85, 1.15, len(sounds))
    seconds = 0.12 * lengths.sum() * rng.uniform(0.8, 1.25)
    blocks = round(seconds * FSDD_SAMPLE_RATE / BLOCK)

    # Half of each sound is steady; in between, everything moves in a straight line.
    ends = np.cumsum(lengths)
    steady = np.stack([ends - 0.75 * lengths, ends - 0.25 * lengths], axis=1).ravel()
    times = np.linspace(0, ends[-1], blocks + 1)

    targets = [(*sound.formants, sound.noise_hz, sound.voice, sound.noise) for sound in sounds]
    courses = [np.interp(times, steady, target) for target in np.repeat(targets, 2, axis=0).T]
    voice, noise = courses[4:]
    noise_hz = np.minimum(size * courses[3], 3800)
    tract = np.ones((blocks + 1, 1))
    for formant, bandwidth in zip(courses[:3], _BANDWIDTHS, strict=True):
        tract = tract * _resonance(size * rng.normal(1, 0.03) * formant, bandwidth)
    hiss = _resonance(noise_hz, 500.0)

    samples = BLOCK * (blocks + 1)
    fall = pitch * rng.normal(1, 0.05) * np.linspace(1.15, 0.8, blocks + 1)
    frequency = np.repeat(fall * rng.normal(1, 0.015, blocks + 1), BLOCK)
    cycles = np.floor(np.cumsum(frequency) / FSDD_SAMPLE_RATE)
    pulses = np.asarray(lfilter([1.0], [1.0, -0.9], np.diff(cycles, prepend=0.0)))
    spoken = _shape(pulses, voice[:, None] * tract) + _shape(
        0.02 * rng.standard_normal(samples), noise[:, None] * hiss
    )

    # Like many real recordings, they begin abruptly, which is heard in every band.
    spoken = spoken[rng.integers(2 * BLOCK) :]
    fade = np.minimum(1, np.arange(len(spoken))[::-1] / 200)
    loudness = rng.uniform(0.15, 0.8) / np.abs(spoken).max()
    room = 3e-4 * rng.standard_normal(len(spoken))
    return np.round(32767 * (loudness * fade * spoken + room)).astype(np.int16)


def _resonance(
    centre: Float[np.ndarray, " blocks"], bandwidth: float
) -> Complex[np.ndarray, "blocks bins"]:
    """Give the transfer function of a two-pole resonator (frequencies in Hz) with gain 1 at 0 Hz.

    Klatt, J. Acoust. Soc. Am. 67, 971 (1980), equation 2.
    """
    radius = np.exp(-np.pi * bandwidth / FSDD_SAMPLE_RATE)
    b = 2 * radius * np.cos(2 * np.pi * centre / FSDD_SAMPLE_RATE)
    c = -(radius**2)
    delay = np.exp(-1j * np.pi * np.linspace(0, 1, 2 * BLOCK + 1))
    return (1 - b - c)[:, None] / (1 - b[:, None] * delay - c * delay**2)


def _shape(
    source: Float[np.ndarray, " samples"], transfer: Complex[np.ndarray, "blocks bins"]
) -> Float[np.ndarray, " samples"]:
    """Filter a source by transfer functions that change from block to block (overlap-add)."""
    size = 2 * BLOCK
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(source, (BLOCK, 0)), size)[::BLOCK]
    window = np.hanning(size + 1)[:-1]
    blocks = np.fft.irfft(np.fft.rfft(windows * window, 2 * size) * transfer)
    parts = blocks.reshape(len(blocks), -1, BLOCK)
    result = np.zeros((len(blocks) + parts.shape[1], BLOCK))
    for part in range(parts.shape[1]):
        result[part : part + len(blocks)] += parts[:, part]
    return result.ravel()[BLOCK : BLOCK + len(source)]
