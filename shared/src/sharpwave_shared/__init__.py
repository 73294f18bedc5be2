"""What the Sharpwave packages share: seeding, devices, data, runs, figures, claims, options.

Exported here is what a notebook or the science of a package needs. The command line
(`sharpwave_shared.cli`), the figures (`sharpwave_shared.plotting`) and the files
(`sharpwave_shared.files`) are imported by their modules' names: they load typer and matplotlib.
"""

from sharpwave_shared.claims import Claim, Measurement
from sharpwave_shared.data import (
    DataRecord,
    DataWarning,
    Kaufman,
    Mnist,
    Recording,
    SpokenDigits,
    free_spoken_digits,
    kaufman_2012,
    mnist,
)
from sharpwave_shared.devices import resolve_device
from sharpwave_shared.errors import DivergenceError, InvalidInputError, SharpwaveError
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.runs import Journal, Run, RunSpec, StoredRun, open_run, read_run
from sharpwave_shared.seeding import Streams, seed_everything

__all__ = [
    "Claim",
    "DataRecord",
    "DataWarning",
    "DivergenceError",
    "InvalidInputError",
    "Journal",
    "Kaufman",
    "Measurement",
    "Mnist",
    "Recording",
    "Reporter",
    "Run",
    "RunSpec",
    "SharpwaveError",
    "SpokenDigits",
    "StoredRun",
    "Streams",
    "free_spoken_digits",
    "kaufman_2012",
    "mnist",
    "open_run",
    "read_run",
    "resolve_device",
    "seed_everything",
]
