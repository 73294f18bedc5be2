"""What holds for every experiment of every package, at tiny sizes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sharpwave_shared import open_run
from sharpwave_shared.app import installed_apps
from sharpwave_shared.experiment import Experiment
from sharpwave_shared.parameters import Positional, all_fields, bounds_of, marker
from sharpwave_shared.testing import (
    check_all_edges,
    invoke,
    killed_and_resumed,
    load_module,
    strange_state,
)

ROOT = Path(__file__).parents[1]
APPS = installed_apps()
HEAVY = {"torch", "numpy", "scipy", "xarray", "pandas", "numba", "matplotlib", "yaml", "librosa"}


def tiny_sizes(package: str) -> dict[type[Experiment], dict[str, Any]]:
    """Read the package's own list of sizes at which an experiment takes about a second."""
    return load_module(ROOT / "packages" / package / "tests" / "tiny.py").TINY


TINY = {kind: values for package in APPS for kind, values in tiny_sizes(package).items()}
KINDS = [
    pytest.param(kind, id=f"{package}-{name}")
    for package, app in APPS.items()
    for name, kind in app.experiments.items()
]
ALONE = [kind for kind in KINDS if kind.values[0] in TINY]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHARPWAVE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("package", APPS)
def test_help_loads_nothing_heavy(package: str) -> None:
    code = f"import sys, {package.replace('-', '_')}.cli; print(*sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert not HEAVY & set(printed.split())


@pytest.mark.parametrize("kind", KINDS)
def test_has_a_tiny_size_or_needs_another_run(kind: type[Experiment]) -> None:
    needs_run = any(
        marker(field, Positional) is not None and field.is_required()
        for field in kind.model_fields.values()
    )
    assert kind in TINY or needs_run


@pytest.mark.parametrize("kind", KINDS)
def test_declares_all_that_a_user_reads(kind: type[Experiment]) -> None:
    assert (kind.__doc__ or "").strip().partition("\n")[0].endswith(".")
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name} has no help"
    assert set(kind.quick) <= set(kind.model_fields)
    for preset in kind.presets.values():
        assert set(preset) <= set(kind.model_fields)
    assert callable(kind.figures())
    names = [claim.name for claim in kind.claims()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_a_range(kind: type[Experiment]) -> None:
    for name, field in all_fields(kind).items():
        scalar, bounds, _ = bounds_of(field)
        if scalar in (int, float):
            assert bounds.keys() & {"ge", "gt"}, f"{name} has no lower bound"
            assert bounds.keys() & {"le", "lt"}, f"{name} has no upper bound"


def test_parameters_refuse_what_their_ranges_exclude() -> None:
    check_all_edges([kind for kind in TINY if not _required(kind)])


def _required(kind: type[Experiment]) -> bool:
    return any(field.is_required() for field in kind.model_fields.values())


@pytest.mark.parametrize("kind", ALONE)
def test_killed_and_resumed_gives_the_same_and_can_be_read(
    kind: type[Experiment], tmp_path: Path
) -> None:
    """Also as when a notebook has changed all global state there is."""
    experiment = kind(**TINY[kind])
    with strange_state():
        expected = experiment.run(0)
    found, kills = killed_and_resumed(experiment, tmp_path / "run", growth=2)
    assert found.identical(expected), f"after {kills} kills"
    (record,) = (tmp_path / "run").rglob("run.json")
    run = open_run(record.parent)
    assert run.data.identical(expected)
    assert run.experiment == experiment
    for variable in run.data.data_vars.values():
        assert variable.attrs.get("long_name"), f"{variable.name} has no long name"
    measures = pd.read_csv(record.parent / "metrics.csv")
    assert np.isfinite(measures["value"]).all()
    assert list(measures.columns)[-3:] == ["measure", "value", "units"]
    with strange_state():
        for verdict in run.verify():
            assert verdict.measurement.shown
        assert run.draw()
    plt.close("all")


@pytest.mark.parametrize("package", APPS)
def test_a_bad_option_is_named(
    package: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = invoke(APPS[package], capsys, "--seeds", "1_0", "--out", tmp_path / "x")
    assert code == 2
    assert "--seeds: got '1_0', expected whole numbers from 0 to 4,294,967,295" in err
    assert not (tmp_path / "x").exists()


AWKWARD = {
    "PYTHONOPTIMIZE": "1",
    "PYTHONWARNINGS": "error",
    "MPLBACKEND": "module://not.installed",
    "LC_ALL": "C",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "COLUMNS": "20",
}
"""An environment in which nothing should go wrong; there is no HOME either."""
IN_A_NOTEBOOK = """
import asyncio, sys
from pathlib import Path
from test_contract import TINY

def run():
    kind, = (kind for kind in TINY if kind.__name__ == sys.argv[1])
    return kind(**TINY[kind]).run(0, out=Path(sys.argv[2]))

async def cell():
    await asyncio.to_thread(run)

asyncio.run(cell())
"""


@pytest.mark.slow
@pytest.mark.parametrize("jit", [True, False], ids=["awkward", "without numba's compiler"])
@pytest.mark.parametrize("kind", ALONE)
def test_environments_change_nothing(kind: type[Experiment], jit: bool, tmp_path: Path) -> None:
    """In a thread beside a running event loop, as in a notebook."""
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "NUMBA_CACHE_DIR")}
    environment = kept | (AWKWARD if jit else {"NUMBA_DISABLE_JIT": "1"})
    program = [sys.executable, "-c", IN_A_NOTEBOOK, kind.__name__, str(tmp_path / "run")]
    subprocess.run(program, env=environment, cwd=ROOT / "tests", check=True)
    (record,) = (tmp_path / "run").rglob("run.json")
    found, expected = open_run(record.parent).data, kind(**TINY[kind]).run(0)
    if jit:  # the networks that are analysed lie in another place for each process
        found, expected = (data.drop_attrs(deep=False) for data in (found, expected))
        assert found.identical(expected)
    else:  # the compiler reorders sums, which chaotic dynamics make visible; shapes stay
        assert found.sizes == expected.sizes
    assert list(record.parent.glob("figures/*.png"))


def _is_place(value: Any) -> bool:
    """Tell whether a parameter says where another run, or data, lie."""
    return isinstance(value, Path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALONE)
def test_quick_runs_to_the_end_and_judges_nothing(kind: type[Experiment], tmp_path: Path) -> None:
    fields, tiny = kind.model_fields, dict(TINY[kind])
    # Of what lies in a place, as much as there is.
    whole = any(map(_is_place, tiny.values()))
    needed = {n: v for n, v in tiny.items() if whole or fields[n].is_required()}
    kind(**{**needed, **kind.quick}).run(0, out=tmp_path / "run", quick=True, resume=True)
    (record,) = (tmp_path / "run").rglob("run.json")
    assert all(verdict.holds is None for verdict in open_run(record.parent).verify())
    assert list(record.parent.glob("figures/*.png"))
