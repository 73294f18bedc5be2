"""Global state that others have set changes nothing, and stays as they have set it."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch

from sharpwave_shared.environment import own_state
from sharpwave_shared.plotting import style
from sharpwave_shared.testing import strange_state


def _state() -> dict[str, object]:
    """Look at all there is, and at what it does."""
    with warnings.catch_warnings(record=True):
        product = torch.ones(2, 2, device="cpu") @ torch.ones(2, 2, device="cpu")
        tiny = torch.tensor(1e-310, dtype=torch.float64, device="cpu") * 0.5
        return {
            "dtype": torch.get_default_dtype(),
            "device": torch.get_default_device().type,
            "product": product.dtype,
            "gradients": torch.ones((), requires_grad=True).mul(2).requires_grad,
            "inference": torch.is_inference_mode_enabled(),
            "anomalies": torch.is_anomaly_enabled(),
            "denormals": bool(tiny > 0),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "precision": torch.get_float32_matmul_precision(),
            "numpy": np.geterr()["divide"],
            "warnings": any(action == "error" for action, *_ in warnings.filters),
        }


@contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_strange_state_is_not_seen_and_comes_back() -> None:
    fresh = _state()
    with strange_state(), _deterministic():
        strange = _state()
        with own_state():
            within = _state()
            warnings.warn("not an error", stacklevel=1)
            assert within | {"precision": 0} == fresh | {"precision": 0}
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert _state() == strange
    assert _state() == fresh
    assert {name for name in fresh if strange[name] == fresh[name]} == set()


@own_state()
def _dtype() -> torch.dtype:
    return torch.get_default_dtype()


def test_functions_can_be_decorated() -> None:
    with strange_state():
        assert _dtype() == torch.float32


def test_threads_share_what_belongs_to_the_process() -> None:
    """What the first finds is kept until the last of them leaves."""
    first_left, second_in, seen = Event(), Event(), []

    def second() -> None:
        with own_state():
            second_in.set()
            first_left.wait(60)
            seen.append(torch.get_default_dtype())

    with strange_state(), ThreadPoolExecutor() as pool:
        with own_state():
            later = pool.submit(second)
            assert second_in.wait(60)
        first_left.set()
        later.result()
        assert seen == [torch.float32]
        assert torch.get_default_dtype() == torch.float64


def test_one_thread_draws_at_a_time() -> None:
    """Else one would put back settings that another draws with."""
    entered, left = Event(), []

    def second() -> None:
        entered.set()
        with style():
            left.append("first" in left)

    with ThreadPoolExecutor() as pool:
        with style(), style():
            later = pool.submit(second)
            assert entered.wait(60)
            later_waits = not wait([later], timeout=0.2).done
            left.append("first")
        later.result()
    assert later_waits
    assert left == ["first", True]


def test_figures_take_neither_settings_nor_the_backend() -> None:
    usual = mpl.rcParams["font.size"]
    plt.switch_backend("svg")
    with mpl.rc_context({"font.size": 99.0, "text.usetex": True}):
        with style():
            assert mpl.get_backend() == "agg"
            assert mpl.rcParams["font.size"] != 99
            assert not mpl.rcParams["text.usetex"]
        assert mpl.rcParams["font.size"] == 99
        assert mpl.get_backend() == "svg"
    plt.switch_backend("agg")
    assert mpl.rcParams["font.size"] == usual


def test_the_backend_is_still_to_be_chosen_afterwards() -> None:
    """In a program of its own: here, one has been chosen."""
    program = (
        "import matplotlib as mpl; from sharpwave_shared.plotting import style\n"
        "before = dict.__getitem__(mpl.rcParams, 'backend')\n"
        "with style(): assert mpl.get_backend() == 'agg'\n"
        "assert not isinstance(before, str)\n"
        "assert dict.__getitem__(mpl.rcParams, 'backend') is before\n"
        "import matplotlib.pyplot as plt; plt.switch_backend('svg'); plt.figure()\n"
    )
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    subprocess.run([sys.executable, "-c", program], env=kept, check=True)
