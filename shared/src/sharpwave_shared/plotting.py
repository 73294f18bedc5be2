"""Figures that look alike in all packages, drawn without a display."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from sharpwave_shared.files import atomic_path

MARGIN: Mapping[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12}
"""Nothing is cut off, nothing touches the edge, whatever stands outside of the axes."""
MANY_SEEDS = 8
"""More seeds than this are counted, not listed."""


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style within the block, without a display, whatever has been set."""
    before = dict.__getitem__(mpl.rcParams, "backend")  # asking otherwise would choose one
    plt.switch_backend("agg")
    try:
        with (
            as_file(files("sharpwave_shared") / "sharpwave.mplstyle") as path,
            plt.style.context(str(path), after_reset=True),
        ):
            yield
    finally:
        if isinstance(before, str):
            with suppress(ImportError):  # never used, and not there
                plt.switch_backend(before)


def save_figures(
    figures: Mapping[str, Figure],
    directory: Path,
    formats: Sequence[str] = ("png",),
    *,
    booklet: Path | None = None,
) -> list[Path]:
    """Write figures as `<name>.<format>`, and all of them as one PDF, then close them.

    Files appear whole or not at all and carry no creation date, so equal figures are equal files.
    """
    paths = []
    with style():
        for name, figure in figures.items():
            for suffix in formats:
                path = directory / f"{name}.{suffix}"
                metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix)
                with atomic_path(path) as temporary:
                    figure.savefig(temporary, format=suffix, metadata=metadata, **MARGIN)
                figure.set_layout_engine("none")  # it is laid out; to do so takes a second
                paths.append(path)
        if booklet is not None:
            with (
                atomic_path(booklet) as temporary,
                PdfPages(temporary, metadata={"CreationDate": None}) as pdf,
            ):
                for figure in figures.values():
                    pdf.savefig(figure, **MARGIN)
            paths.append(booklet)
    for figure in figures.values():
        plt.close(figure)
    return paths


def name_seeds(seeds: Sequence[int]) -> str:
    """Say which seeds a figure shows."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > MANY_SEEDS:
        return f"{len(seeds)} seeds"
    return f"seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"


CAPTION_SIZE = 8


def caption(figure: Figure, text: str) -> None:
    """Write a caption below a figure, in lines that fit its width."""
    # A letter is about half as wide as the font is high.
    letters = int(figure.get_figwidth() * 72 / (0.5 * CAPTION_SIZE))
    figure.supxlabel(
        "\n".join(textwrap.wrap(text, max(letters, 30))), fontsize=CAPTION_SIZE, color="0.3"
    )


def legend_above(figure: Figure, axes: Axes, columns: int = 3, **look: Any) -> None:
    """Explain above all panels what is drawn in one of them."""
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=columns, **look)


def title(figure: Figure, text: str) -> None:
    """Write a title above a figure, in lines that fit its width."""
    letters = int(figure.get_figwidth() * 72 / (0.55 * 10))
    figure.suptitle("\n".join(textwrap.wrap(text, max(letters, 30))), fontsize=10)
