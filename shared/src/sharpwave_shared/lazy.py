"""Modules that are imported when something of them is first used.

    if TYPE_CHECKING:
        import xarray as xr
    else:
        xr = lazy.module("xarray")

for modules that are imported to print help: annotations may name `xr.Dataset` (with
`from __future__ import annotations`), functions use it, and importing costs nothing before.
"""

import importlib
from typing import Any


class module:  # noqa: N801 - stands for a module
    """Stands for a module until something of it is used.

    Unlike the standard library's lazy modules it is not in `sys.modules`, where `inspect` would
    wake it up.
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
