"""Where this package's build finds `sharpwave-shared`. Every package carries the same file.

The requirements are listed in pyproject.toml, under `[tool.hatch.metadata.hooks.custom]`.
"""

import os
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

SHARED = "sharpwave-shared"


class SiblingRequirement(MetadataHookInterface):
    """Let pip take the shared package from the checkout; leave it to a version otherwise.

    pip does not read uv's workspace sources, so `pip install ./packages/NAME` needs the sibling's
    file URL. That URL must not reach a release. pip marks the environment of its builds with
    `PIP_BUILD_TRACKER`; `uv build` and `python -m build` do not, and uv resolves the version
    through the workspace. A source distribution has its requirements in PKG-INFO already, so that
    hatchling does not call this hook for it.
    """

    def update(self, metadata: dict) -> None:
        """Fill in `project.dependencies`."""
        requirements = self.config["dependencies"]
        sibling = Path(self.root).parents[1] / "shared"
        if "PIP_BUILD_TRACKER" in os.environ and (sibling / "pyproject.toml").is_file():
            requirements = [
                f"{SHARED} @ {sibling.as_uri()}" if requirement.startswith(SHARED) else requirement
                for requirement in requirements
            ]
        metadata["dependencies"] = requirements
