"""Figures: drawn from the stored data of a run, and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from sharpwave_shared.runs import StoredRun


def draw(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    return []


def visualize(run: StoredRun, formats: Sequence[str]) -> list[Path]:
    return []
