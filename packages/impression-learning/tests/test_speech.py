"""Spoken digits, real and synthetic, as mel spectrograms; their cache; sound from spectrograms."""

import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from impression_learning import speech
from impression_learning.speech import (
    FRAME_SECONDS,
    SAMPLE_RATE,
    band_frequencies,
    decibels,
    load_speech,
    mel_levels,
    sequence,
    to_sound,
    write_wav,
)
from impression_learning.synthetic_speech import synthetic_spoken_digits
from sharpwave_shared import data
from sharpwave_shared.data import FSDD_SPEAKERS, DataWarning, Recording, cache_dir
from sharpwave_shared.errors import InvalidInputError

DATA = Path(os.environ["SHARPWAVE_DATA"]) if "SHARPWAVE_DATA" in os.environ else None


SPEAKERS = {"synthetic-1": (95.0, 0.95), "synthetic-5": (190.0, 1.12)}
"""Two of six: spectrograms take long."""


@pytest.fixture(scope="module")
def recordings() -> tuple[Recording, ...]:
    return synthetic_spoken_digits(7).recordings


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> speech.Speech:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHARPWAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("impression_learning.synthetic_speech._SPEAKERS", SPEAKERS)
        return load_speech("synthetic", takes=7)


def chirp() -> np.ndarray:
    """Half a second at 8 kHz whose frequency rises from 300 to 3900 Hz."""
    seconds = np.arange(4000) / 8000
    return (12000 * np.sin(2 * np.pi * (300 * seconds + 3600 * seconds**2))).astype(np.int16)


# Mel spectrograms

SHORT = pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")


# Of librosa 0.11.0 with its default parameters, at (frame, band).
CHIRP_LEVELS = {
    (0, 14): -0.683,
    (3, 30): -0.146,
    (8, 50): -16.486,
    (11, 60): -34.114,
    (11, 100): -80.0,
    (14, 72): -4.961,
    (17, 80): -1.108,
    (19, 86): -3.531,
    (20, 90): -54.321,
    (20, 94): -63.341,
    (21, 96): -49.438,
    (21, 110): -57.435,
}


def test_levels_of_a_chirp() -> None:
    levels = mel_levels(chirp(), 8000)
    assert levels.shape == (22, 128)
    assert levels.mean() == pytest.approx(-68.2979, abs=1e-3)
    assert levels.std() == pytest.approx(23.1262, abs=1e-3)
    assert levels.dtype == np.float32
    found = {place: float(levels[place]) for place in CHIRP_LEVELS}
    assert found == pytest.approx(CHIRP_LEVELS, abs=0.01)


def test_band_frequencies() -> None:
    frequencies = band_frequencies()
    assert frequencies.shape == (128,)
    assert (np.diff(frequencies) > 0).all()
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for band in (5, 40, 100):
        tone = 9000 * np.sin(2 * np.pi * frequencies[band] * seconds)
        assert mel_levels(tone.astype(np.int16), SAMPLE_RATE)[20].argmax() == band


@SHORT
@pytest.mark.parametrize("samples", [1, 185, 186, 371, 372, 3000])
def test_a_frame_for_each_hop_begun(samples: int) -> None:
    levels = mel_levels(np.full(samples, 1000, np.int16), 8000)
    assert len(levels) == 1 + int(np.ceil(samples / 8000 * 22050)) // 512
    assert np.isfinite(levels).all()


def test_digital_silence_has_finite_levels() -> None:
    assert np.isfinite(mel_levels(np.zeros(4000, np.int16), 8000)).all()


# Loading


def test_split_and_normalisation(recordings: tuple[Recording, ...], loaded: speech.Speech) -> None:
    for parts, takes in ((loaded.test, range(5)), (loaded.train, (5, 6))):
        expected = [r for r in recordings if r.index in takes and r.speaker in SPEAKERS]
        assert len(parts) == len(expected) == 20 * len(takes)
        for part, recording in list(zip(parts, expected, strict=True))[::11]:
            levels = mel_levels(recording.waveform, recording.sample_rate)
            np.testing.assert_allclose(decibels(loaded, part), levels, atol=1e-3)
    train = np.concatenate(loaded.train).astype(float)
    assert (train.std(axis=0) > 0).all()  # a constant band would have no correlation with others
    assert loaded.train[0].dtype == loaded.test[0].dtype == np.float32
    assert train.std() == pytest.approx(1, abs=1e-5)
    assert train.min() == 0
    assert loaded.offset_db == 80
    assert loaded.record.name == "synthetic-speech"


@pytest.mark.parametrize("takes", [-1, 0, 5, 51])
def test_bad_takes_are_refused(takes: int) -> None:
    with pytest.raises(
        InvalidInputError, match=f"takes: got {takes}, expected a whole number from 6 to 50"
    ):
        load_speech("synthetic", takes=takes)


@pytest.mark.skipif(DATA is None, reason="SHARPWAVE_DATA is not set")
def test_real_recordings() -> None:
    loaded = load_speech(takes=6, data_dir=DATA)
    assert (len(loaded.train), len(loaded.test)) == (60, 300)
    assert loaded.record.name == "fsdd"
    assert loaded.offset_db == 80
    assert loaded.scale_db == pytest.approx(22.1, abs=1)
    assert sum(map(len, loaded.test)) == 5713


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 99))
def test_a_sequence_holds_each_recording_once(lengths: list[int], seed: int) -> None:
    parts = [np.full((length, 128), index, np.float32) for index, length in enumerate(lengths)]
    whole = sequence(parts, np.random.default_rng(seed))
    assert whole.shape == (sum(lengths), 128)
    assert (whole == whole[:, :1]).all()
    order = whole[:, 0].astype(int)
    changes = np.flatnonzero(np.diff(order, prepend=-1))
    assert [lengths[k] for k in order[changes]] == np.diff(changes, append=len(order)).tolist()
    assert sorted(order[changes]) == [k for k, length in enumerate(lengths) if length]


def test_the_order_depends_on_the_seed() -> None:
    parts = [np.full((2, 128), index, np.float32) for index in range(20)]
    first, again, other = (sequence(parts, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# Real recordings that are not as they should be


@pytest.fixture
def count_computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of recordings whose spectrograms were computed; made-up ones take no time."""
    computed = []

    def counting(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        computed.append(len(waveform))
        loudness = np.square(waveform.astype(np.float32)).mean()
        return np.full((1 + len(waveform) // 186, 128), 10 * np.log10(loudness) - 100, np.float32)

    monkeypatch.setattr(speech, "mel_levels", counting)
    return computed


@pytest.fixture
def folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recordings: tuple[Recording, ...],
    count_computed: list[int],
) -> Path:
    """A directory with a data set of a speaker and seven takes, in the form of the real one."""
    monkeypatch.delenv("SHARPWAVE_DATA", raising=False)
    monkeypatch.setattr(data, "FSDD_SPEAKERS", ("synthetic-1",))
    monkeypatch.setattr(data, "FSDD_TAKES", 7)
    for one in recordings:
        if one.speaker in data.FSDD_SPEAKERS:
            name = f"{one.digit}_{one.speaker}_{one.index}.wav"
            write_wav(tmp_path / "fsdd" / "recordings" / name, one.waveform, 8000)
    with pytest.raises(InvalidInputError, match="is not version") as refused:
        load_speech(data_dir=tmp_path)
    del count_computed[:]
    checksum = str(refused.value).split("sha256 ")[1].split(",")[0]
    monkeypatch.setattr(data, "FSDD_SHA256", checksum)
    return tmp_path


def test_takes_are_chosen_by_their_index(folder: Path) -> None:
    whole, fewer = load_speech(data_dir=folder), load_speech(data_dir=folder, takes=6)
    assert [len(part.train) for part in (whole, fewer)] == [20, 10]
    assert whole.record.source == "data_dir"
    np.testing.assert_allclose(
        decibels(whole, whole.train[18]), decibels(fewer, fewer.train[9]), atol=1e-3
    )
    assert len(whole.test) == len(fewer.test) == 50


def _empty(folder: Path) -> None:
    for path in (folder / "recordings").iterdir():
        path.unlink()
    (folder / "recordings").rmdir()


def _change(name: str, content: bytes | None):
    def change(folder: Path) -> None:
        path = folder / "recordings" / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content or path.read_bytes()[:-100])

    return change


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_empty, "recordings are missing: 0_synthetic-1_0.wav"),
        (_change("3_synthetic-1_1.wav", None), "1 of 70 .* missing: 3_synthetic-1_1.wav"),
        (_change("3_synthetic-1_1.wav", b""), "1 of 70 .* damaged: 3_synthetic-1_1.wav"),
        (_change("9_synthetic-1_6.wav", b"text"), "1 of 70 .* damaged: 9_synthetic-1_6.wav"),
    ],
)
def test_damaged_recordings_are_refused_though_spectrograms_are_cached(
    folder: Path, damage, named: str
) -> None:
    load_speech(data_dir=folder)
    damage(folder / "fsdd")
    with pytest.raises(InvalidInputError, match=f"data_dir: got {folder}, .*{named}"):
        load_speech(data_dir=folder)


# Cache


def assert_same(first: speech.Speech, second: speech.Speech) -> None:
    assert (first.offset_db, first.scale_db) == (second.offset_db, second.scale_db)
    for a, b in zip(first.train + first.test, second.train + second.test, strict=True):
        np.testing.assert_array_equal(a, b)


def test_spectrograms_are_computed_once_for_each_number_of_takes(
    folder: Path, count_computed: list[int]
) -> None:
    first = load_speech(data_dir=folder)
    assert len(count_computed) == 70
    assert_same(first, load_speech(data_dir=folder))
    assert len(count_computed) == 70
    load_speech(data_dir=folder, takes=6)
    assert len(count_computed) == 70 + 60


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"not an archive",
        _flip,
    ],
    ids=["truncated", "empty", "text", "bit"],
)
def test_a_damaged_cache_is_made_anew(folder: Path, count_computed: list[int], damage) -> None:
    first = load_speech(data_dir=folder)
    (cached,) = cache_dir().rglob("*.npz")
    cached.write_bytes(damage(cached.read_bytes()))
    assert_same(first, load_speech(data_dir=folder))
    assert len(count_computed) == 140
    assert_same(first, load_speech(data_dir=folder))
    assert len(count_computed) == 140
    assert [path for path in cache_dir().rglob("*") if path.is_file()] == [cached]


def test_sound_archives_with_wrong_content_are_made_anew(
    folder: Path, count_computed: list[int]
) -> None:
    first = load_speech(data_dir=folder)
    (cached,) = cache_dir().rglob("*.npz")
    good = dict(np.load(cached))
    load_speech(data_dir=folder, takes=6)
    other = next(path for path in cache_dir().rglob("*.npz") if path != cached)
    for wrong in (
        good | {"levels": good["levels"] + 1},
        good | {"frames": good["frames"][::-1]},
        {"levels": good["levels"], "frames": good["frames"]},
        good | {"levels": good["levels"].astype(object)},
        dict(np.load(other)),
    ):
        np.savez(cached, **wrong)
        del count_computed[:]
        assert_same(first, load_speech(data_dir=folder))
        assert len(count_computed) == 70


def test_an_unusable_cache_is_a_warning(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_speech(data_dir=folder)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path / "file"))
    with pytest.warns(DataWarning, match="cannot be kept in the cache"):
        assert_same(first, load_speech(data_dir=folder))


# Sound


def test_a_tone_comes_back_with_its_frequency() -> None:
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = (9000 * np.sin(2 * np.pi * 1000 * seconds)).astype(np.int16)
    sound = to_sound(mel_levels(tone, SAMPLE_RATE), np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    peak = spectrum.argmax() * SAMPLE_RATE / len(sound)
    assert peak == pytest.approx(1000, abs=20)
    assert abs(len(sound) / SAMPLE_RATE - 1) <= FRAME_SECONDS


def test_sound_has_the_spectrogram_that_it_was_made_from(
    recordings: tuple[Recording, ...],
) -> None:
    levels = mel_levels(recordings[100].waveform, 8000)
    distances = []
    for iterations in (0, 32):
        sound = to_sound(levels, np.random.default_rng(0), iterations)
        assert np.abs(sound.astype(int)).max() == pytest.approx(0.9 * 32767, abs=2)
        again = mel_levels(sound, SAMPLE_RATE)[:-1]
        distances.append(np.sqrt(np.square(again - levels).mean()))
    assert distances[1] < 3  # dB
    assert distances[1] < 0.6 * distances[0]


def test_sound_depends_on_the_seed_alone(recordings: tuple[Recording, ...]) -> None:
    levels = mel_levels(recordings[0].waveform, 8000)[:8]
    first, again, other = (to_sound(levels, np.random.default_rng(s), 4) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_levels_out_of_range_are_clipped(recordings: tuple[Recording, ...]) -> None:
    levels = mel_levels(recordings[0].waveform, 8000)[:8].astype(float)
    assert (levels == -80).any()
    assert (levels > -30).any()
    beyond = np.where(levels == -80, -1e6, np.where(levels > -30, 200.0, levels))
    within = np.where(levels > -30, 0.0, levels)
    np.testing.assert_array_equal(
        to_sound(beyond, np.random.default_rng(0), 4), to_sound(within, np.random.default_rng(0), 4)
    )


@SHORT
@pytest.mark.parametrize("level", [-300.0, -80.0, -79.9, 0.0, 300.0])
@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_sound_of_few_frames(frames: int, level: float) -> None:
    sound = to_sound(np.full((frames, 128), level), np.random.default_rng(0), 4)
    assert sound.shape == (512 * frames,)
    assert sound.any() == (frames > 0 and level > -80)


def test_wav_files(tmp_path: Path) -> None:
    sound = np.array([0, 1, -1, 32767, -32768, 258], np.int16)
    path = tmp_path / "new" / "dream.wav"
    write_wav(path, sound)
    rate, samples = wavfile.read(path)
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(samples, sound)
    write_wav(path, sound[:2], 8000)
    with wave.open(str(path)) as stream:
        assert stream.getparams()[:4] == (1, 2, 8000, 2)
    assert list(path.parent.iterdir()) == [path]


# Synthetic speech


def test_synthetic_recordings_have_the_form_of_the_real_ones(
    recordings: tuple[Recording, ...],
) -> None:
    keys = [(recording.digit, recording.speaker, recording.index) for recording in recordings]
    assert keys == sorted(set(keys))
    assert len(keys) == 10 * 6 * 7
    assert not {speaker for _, speaker, _ in keys} & set(FSDD_SPEAKERS)
    for recording in recordings:
        assert recording.sample_rate == 8000
        assert recording.waveform.dtype == np.int16
        assert 0.15 < len(recording.waveform) / 8000 < 1
        assert 2000 < np.abs(recording.waveform.astype(int)).max() < 32767


def test_synthetic_recordings_are_the_same_every_time(recordings: tuple[Recording, ...]) -> None:
    first, again, more = (synthetic_spoken_digits(takes) for takes in (1, 1, 2))
    assert first.record == again.record
    assert first.record.checksum != more.record.checksum
    assert first.record.name == "synthetic-speech"
    assert first.record.source == "synthesised"
    known = {(one.digit, one.speaker, one.index): one.waveform for one in recordings}
    for one in first.recordings:
        np.testing.assert_array_equal(one.waveform, known[one.digit, one.speaker, one.index])
    assert len({waveform.tobytes() for waveform in known.values()}) == len(known)


def test_synthetic_digits_can_be_told_apart(loaded: speech.Speech) -> None:
    train = np.stack([part.mean(axis=0) for part in loaded.train]).reshape(10, -1, 128)
    test = np.stack([part.mean(axis=0) for part in loaded.test])
    distances = np.linalg.norm(test[:, None] - train.mean(axis=1), axis=-1)
    correct = distances.argmin(axis=1) == np.repeat(np.arange(10), 10)
    assert 0.5 < correct.mean() < 1  # chance is 0.1


# Files


@pytest.mark.slow  # librosa compiles in a process of its own
def test_librosa_is_announced_and_nothing_is_written_beside_the_cache(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("HOME", "TMPDIR", "SHARPWAVE_CACHE", "WORK")}
    for place in places.values():
        place.mkdir()
    script = """
import sys
import numpy as np
from impression_learning.speech import band_frequencies, decibels, load_speech, to_sound
from sharpwave_shared.reporting import Reporter
reporter = Reporter()
assert "librosa" not in sys.modules
speech = load_speech("synthetic", takes=6, reporter=reporter)
band_frequencies()
if sys.argv[1:] == ["cached"]:
    assert not reporter.lines
    assert "librosa.feature.spectral" not in sys.modules
to_sound(decibels(speech, speech.test[0]), np.random.default_rng(0), 2, reporter=reporter)
(line,) = reporter.lines
assert "loading librosa" in line
"""
    compiled = {"NUMBA_CACHE_DIR": str(tmp_path.with_name("compiled"))}
    environment = os.environ | {name: str(place) for name, place in places.items()} | compiled
    environment.pop("XDG_CACHE_HOME", None)
    for arguments in ([], ["cached"]):
        command = [sys.executable, "-c", script, *arguments]
        subprocess.run(command, check=True, env=environment, cwd=places["WORK"])
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent for path in written] == [places["SHARPWAVE_CACHE"] / "impression-learning"]
