"""Figures that look alike in all packages, drawn without a display."""

import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, SupportsFloat

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sharpwave_shared.files import atomic_path
from sharpwave_shared.statistics import mean_and_sd

MARGIN: Mapping[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12}
"""Nothing is cut off, nothing touches the edge, whatever stands outside of the axes."""
MANY_SEEDS = 8
"""More seeds than this are counted, not listed."""
_DRAWING = threading.RLock()
"""pyplot and its settings belong to the process: one thread draws at a time."""


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style within the block, without a display, whatever has been set."""
    with _DRAWING:
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
            else:  # none was chosen yet, which the first window does
                dict.__setitem__(mpl.rcParams, "backend", before)
                plt._backend_mod = None  # type: ignore[attr-defined]


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


def decimals(value: SupportsFloat, digits: int = 2) -> str:
    """Write a number for a label, with the minus sign that axes have."""
    return f"{float(value):.{digits}f}".replace("-", "\N{MINUS SIGN}")


def name_seeds(seeds: Sequence[int]) -> str:
    """Say which seeds a figure shows."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > MANY_SEEDS:
        return f"{len(seeds)} seeds"
    return f"seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"


def first_seed(data: xr.Dataset) -> str:
    """Name the first seed, of which pictures are shown."""
    return name_seeds(data["seed"].values[:1].tolist())


def seeds_in_words(data: xr.Dataset, of: str = "", *, band: bool = True) -> str:
    """Say what lines sum up, and bands and bars, if there are any."""
    count = data.sizes["seed"]
    drawn = "mean and s.d." if band else "mean"
    return first_seed(data) if count == 1 else f"{drawn}{of} over {count} seeds"


def dark_to_light(count: int) -> list[str]:
    """Give colours for so many values in ascending order, none too light for white paper."""
    return [to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0, 0.9, count))]


def plot_mean(
    axes: Axes,
    x: np.ndarray,
    values: np.ndarray,
    label: str | None,
    colour: str,
    *,
    log: bool = False,
    band: bool = True,
    **line: Any,
) -> None:
    """Plot the mean over the first dimension (seeds) as a line, and the s.d. as a band.

    With `log` both are those of the logarithm, for logarithmic axes.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, sd = mean_and_sd(np.log10(values) if log else values)
    shown, low, high = (10**v if log else v for v in (mean, mean - sd, mean + sd))
    axes.plot(x, shown, color=colour, label=label, **line)
    if band and len(values) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)


def plot_points(
    axes: Axes, x: np.ndarray, values: np.ndarray, label: str, colour: str, **line: Any
) -> None:
    """Plot the mean over the first dimension (seeds) as joined points, the s.d. as bars."""
    mean, sd = mean_and_sd(values)
    look = {"marker": "o", "markersize": 4, "capsize": 2} | line
    bars = np.nan_to_num(sd) if len(values) > 1 else None
    axes.errorbar(x, mean, bars, color=colour, label=label, **look)


def panel_grid(
    count: int,
    columns: int,
    size: tuple[float, float],
    room: tuple[float, float],
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """Make so many panels in rows; give them by row and column.

    Parameters
    ----------
    count, columns
        How many panels, and how many side by side.
    size, room
        Width and height of a panel, and of what is around all of them, in inches.
    options
        Those of `plt.subplots`.
    """
    rows = -(-count // columns)
    figsize = room[0] + size[0] * columns, room[1] + size[1] * rows
    figure, panels = plt.subplots(rows, columns, figsize=figsize, squeeze=False, **options)
    for axes in panels.flat[count:]:
        axes.remove()
    return figure, panels


SEVERAL_DECADES = 300.0
"""Ratio of the limits from which a logarithmic axis has labels at powers of 10 only."""
PLAIN = FuncFormatter(lambda value, _: f"{value:,.10g}")
"""Numbers in full, 10,000 say."""


def log_scale(axes: Axes, which: Literal["x", "y"] = "y", *, most: int = 9) -> None:
    """Make an axis logarithmic if it shows anything, with so many powers of 10 at most."""
    if not np.isfinite(axes.dataLim.minposy if which == "y" else axes.dataLim.minposx):
        return
    axes.set(**{f"{which}scale": "log"})
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    if high / low < SEVERAL_DECADES:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        axis.set_major_formatter(PLAIN)
    else:
        axis.set_major_locator(LogLocator(numticks=most))
    axis.set_minor_formatter(NullFormatter())


CAPTION_SIZE = 8


def caption(figure: Figure, text: str) -> None:
    """Write a caption below a figure, in lines that fit its width."""
    # A letter is about half as wide as the font is high.
    letters = int(figure.get_figwidth() * 72 / (0.5 * CAPTION_SIZE))
    figure.supxlabel(
        "\n".join(textwrap.wrap(text, max(letters, 30))), fontsize=CAPTION_SIZE, color="0.3"
    )


def named_in(*panels: Axes) -> dict[str, Any]:
    """Give what is drawn under a name in some panels, each name once."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    return found


def legend(
    figure: Figure | SubFigure,
    named: Mapping[str, Any] | None = None,
    columns: int = 3,
    *,
    beside: bool = False,
    **look: Any,
) -> None:
    """Explain what panels show, once for all of them: above them, or beside.

    `named` gives what is drawn by its name; by default all that has one in any panel.
    """
    named = named_in(*figure.axes) if named is None else named
    look |= {"loc": "outside right center"} if beside else {"loc": "outside upper center"}
    figure.legend(named.values(), named, ncols=1 if beside else columns, **look)


def title(figure: Figure, text: str) -> None:
    """Write a title above a figure, in lines that fit its width."""
    letters = int(figure.get_figwidth() * 72 / (0.55 * 10))
    figure.suptitle("\n".join(textwrap.wrap(text, max(letters, 30))), fontsize=10)
