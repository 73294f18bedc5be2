"""Computing as in a fresh process, whatever a notebook or another library has set."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def own_state() -> Iterator[None]:
    """Within the block, or a function that it decorates, global state is as in a fresh process.

    That is all that changes numbers or breaks a computation: torch's default dtype and device,
    modes of autograd, autocast, precision of products, choice of algorithms, denormal numbers;
    what NumPy does about floating-point errors; and warnings that have been made errors, which
    warn. At the end everything is as it was; what all threads share, when the last of them leaves.
    """
    with _PROCESS, ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # entering makes every call a little slower
            stack.enter_context(torch.device("cpu"))
        if _flushes_denormals():
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        yield


class _Together:
    """A context that threads share: the first to enter sets it up, the last to leave ends it."""

    def __init__(self, context: Callable[[], AbstractContextManager[None]]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._inside = 0
        self._stack = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._stack.enter_context(self._context())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._stack.close()


@contextmanager
def _own_process_state() -> Iterator[None]:
    """Within the block, what all threads share is as in a fresh process."""
    with warnings.catch_warnings(), ExitStack() as stack:
        for number, (action, *rest) in enumerate(warnings.filters):
            if action == "error":
                warnings.filters[number] = ("default", *rest)  # pyright: ignore[reportIndexIssue]
        for get, put, value in _settings():
            before = get()
            if before != value:
                put(value)
                stack.callback(put, before)
        yield


_PROCESS = _Together(_own_process_state)


def _settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object], Any]]:
    """Give, one by one, what there is to set: how to read it, how to write it, and the value."""
    yield torch.get_default_dtype, torch.set_default_dtype, torch.float32
    yield torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False
    yield _determinism, _set_determinism, (False, False)
    for module, name, value in (
        (getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision", "ieee"),
        (torch.backends.cuda.matmul, "fp32_precision", "ieee"),
        (torch.backends.opt_einsum, "enabled", torch.backends.opt_einsum.is_available()),
        (torch.backends.mkldnn, "enabled", True),
        (torch.backends.cudnn, "enabled", True),
        (torch.backends.cudnn, "deterministic", True),
        (torch.backends.cudnn, "benchmark", False),
    ):
        if hasattr(module, name):  # older versions of torch lack some
            yield (
                lambda module=module, name=name: getattr(module, name),
                lambda to, module=module, name=name: setattr(module, name, to),
                value,
            )
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        yield torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"


def _determinism() -> tuple[bool, bool]:
    enabled = torch.are_deterministic_algorithms_enabled()
    return enabled, torch.is_deterministic_algorithms_warn_only_enabled()


def _set_determinism(to: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(to[0], warn_only=to[1])


def _flushes_denormals() -> bool:
    return bool(torch.tensor(1e-310, dtype=torch.float64, device="cpu").mul(0.5) == 0)
