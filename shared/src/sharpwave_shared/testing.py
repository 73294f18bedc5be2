"""What the tests of several packages share: commands that run here, or are killed elsewhere."""

import importlib.util
import math
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sharpwave_shared import journal
from sharpwave_shared.errors import ParameterError
from sharpwave_shared.experiment import Experiment, Options
from sharpwave_shared.parameters import Number, Parameters, bounds_of, parse


class KilledError(BaseException):
    """Stands for a kill signal: nothing that takes care of failures may take it for one."""


def killed_and_resumed(
    experiment: Experiment,
    out: Path,
    seeds: Sequence[int] = (0,),
    *,
    every: int = 1,
    growth: int = 1,
    **options: Any,
) -> tuple[xr.Dataset, int]:
    """Run an experiment that is killed after every few files that it keeps, and resumed each time.

    Checkpoints are written whenever they can be. Each life is `growth` times as long as the one
    before. `options` are those of `Experiment.run`.

    Returns
    -------
    tuple
        The results, and how often it was killed.
    """
    kills = 0
    for _ in range(200):
        with pytest.MonkeyPatch.context() as patch:
            _kill_after(patch, every * growth**kills)
            try:
                return experiment.run(seeds, out=out, resume=True, **options), kills
            except KilledError:
                kills += 1
    raise AssertionError("not finished after 200 kills")


def _kill_after(patch: pytest.MonkeyPatch, lives: int) -> None:
    patch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)
    save, saved = journal.Journal.save, 0

    def saving(self: journal.Journal, name: str, tree: Any) -> None:
        nonlocal saved
        save(self, name, tree)
        saved += 1
        if saved == lives:
            raise KilledError

    patch.setattr(journal.Journal, "save", saving)


@contextmanager
def strange_state() -> Iterator[None]:
    """Set all global state that a notebook may have set to what nobody expects.

    All but the choice of deterministic algorithms, with which torch imports its compiler.
    """
    import matplotlib as mpl

    settings: list[tuple[Callable[[Any], object], Any, Any]] = [
        (torch.set_default_dtype, torch.float64, torch.float32),
        (torch.set_float32_matmul_precision, "medium", "highest"),
        (torch.set_flush_denormal, True, False),
    ]
    with (
        ExitStack() as stack,
        warnings.catch_warnings(action="ignore"),
        np.errstate(all="raise"),
        mpl.rc_context({"text.usetex": True, "figure.dpi": 7, "axes.titlesize": 99}),
        torch.autocast("cpu", torch.bfloat16),
        torch.autograd.detect_anomaly(check_nan=True),
        torch.device("meta"),
        torch.inference_mode(),
        torch.no_grad(),
    ):
        warnings.simplefilter("error")
        for put, value, usual in settings:
            put(value)
            stack.callback(put, usual)
        yield


def load_module(path: Path) -> ModuleType:
    """Load a file of Python that is in no package, `packages/NAME/tests/tiny.py` say."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def edges(kind: type[Parameters]) -> Iterator[tuple[str, str, bool]]:
    """Give texts at and beyond the edges of every field's range, and whether each is allowed.

    Yields
    ------
    tuple
        Name of the field, text as on a command line, whether the field allows it.
    """
    for name, field in kind.model_fields.items():
        scalar, bounds, listed = bounds_of(field)
        if scalar not in (int, float):
            continue
        nonsense = ["x", "", "nan", "inf", "-inf", "1_000", "0x10", "1e-320", "1;2"]
        yield from ((name, text, False) for text in nonsense if not (listed and text == ""))
        step = 1 if scalar is int else 1e-6
        for kind_of_bound, bound in bounds.items():
            allowed = kind_of_bound in ("ge", "le")
            outwards = -1 if kind_of_bound in ("ge", "gt") else 1
            size = step if scalar is int else step * max(1.0, abs(bound))
            values = {bound: allowed, bound + outwards * size: False, bound - outwards * size: True}
            for value, fits in values.items():
                text = str(int(value)) if scalar is int else repr(float(value))
                if float(text) == value and math.isfinite(value):
                    yield name, text, fits and _within(value, bounds)


def _within(value: Number, bounds: Mapping[str, Number]) -> bool:
    return (
        value >= bounds.get("ge", -math.inf)
        and value > bounds.get("gt", -math.inf)
        and value <= bounds.get("le", math.inf)
        and value < bounds.get("lt", math.inf)
    )


def check_edge(kind: type[Parameters], name: str, text: str, *, allowed: bool) -> None:
    """Assert that a text is taken, or refused with an error that names the field.

    What is within the range of its field may be refused because of other fields.
    """
    try:
        kind(**{name: parse(name, kind.model_fields[name], text)})
    except ParameterError as error:
        refused = error
    else:
        refused = None
    assert allowed or refused is not None, f"{name}={text} is not refused"  # noqa: S101
    if refused is not None and not allowed:
        assert refused.name == name, f"{name}={text}: {refused}"  # noqa: S101


def check_all_edges(kinds: Sequence[type[Parameters]]) -> None:
    """Assert what `check_edge` does for all edges of all fields, and those of the options."""
    for kind in [*kinds, Options]:
        for name, text, allowed in edges(kind):
            check_edge(kind, name, text, allowed=allowed)


def invoke(app: Callable[..., Any], shown: Any, *arguments: object) -> tuple[int, str, str]:
    """Run a command line in this process; give its exit code, output and error output.

    `shown` is pytest's `capsys`.
    """
    shown.readouterr()
    try:
        app([str(argument) for argument in arguments])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    out, err = shown.readouterr()
    return code, out, err


def kill_at_work(package: str, arguments: list[object], marker: Path) -> None:
    """Run a command as a process of its own, and kill it (SIGKILL) soon after a file appears.

    It writes a checkpoint whenever it can.

    Parameters
    ----------
    package
        Import name of the package whose command it is.
    arguments
        Of the command.
    marker
        The file.
    """
    program = (
        "import sharpwave_shared.journal as journal; journal.CHECKPOINT_INTERVAL = 0.0; "
        f"from {package}.cli import main; main()"
    )
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 120
    while not marker.exists() and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
