"""Modules that are imported when something of them is first used.

For modules that are imported to print help: annotations may name `xr.Dataset` (with
`from __future__ import annotations`), functions use it, and importing costs nothing before. What
many need is here:

    from sharpwave_shared.lazy import torch, xr

A package's own modules are named twice, once for those who check types:

    if TYPE_CHECKING:
        from synaptic_consolidation import theory
    else:
        theory = lazy.module("synaptic_consolidation.theory")
"""

import importlib
from typing import TYPE_CHECKING, Any


class module:  # noqa: N801 - stands for a module
    """Stands for a module until something of it is used.

    Unlike the standard library's lazy modules it is not in `sys.modules`, where `inspect` would
    wake it up.
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


if TYPE_CHECKING:
    import pandas as pd
    import torch as torch
    import xarray as xr
else:
    pd, torch, xr = map(module, ("pandas", "torch", "xarray"))

__all__ = ["module", "pd", "torch", "xr"]
