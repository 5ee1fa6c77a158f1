"""How charts look: one canvas, one set of colors, SVG that is the same bytes for the same figures."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from advcli.core.choices import FigureFormat
from advcli.figures.formats import Chart
from advcli.figures.lettering import text_width

INK, QUIET, ACCENT, PALE = "#1f2328", "#6e7681", "#c43e1c", "#d0d7de"
SERIES = ("#c43e1c", "#1f6f8b", "#8a6d1d", "#5b4b8a", "#3d7a4a", "#8b3a62")  # equally dark, so that they print alike
WIDTH = 4.8  # inches; a third of a page, where labels of ten points stay readable
WIDEST_NAME = 190  # pixels of a name beside a bar, in letters of 13
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "advcli",  # else identifiers are random, and the same run gives other bytes
    "svg.fonttype": "none",  # text stays text: small, searchable
    "pdf.fonttype": 42,  # TrueType, which can be edited and which publishers take
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a class name is a dollar sign
    "axes.labelcolor": QUIET,
    "axes.edgecolor": PALE,
    "axes.titlesize": 11.0,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "xtick.color": QUIET,
    "xtick.major.pad": 6.0,  # the first number of one axis must not touch that of the other
    "ytick.color": INK,
    "figure.facecolor": "white",
    "legend.frameon": False,
}

# What matplotlib writes of itself and of the time.
_NAMELESS: dict[FigureFormat, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

Estimate = tuple[float, float, float]


@contextmanager
def style() -> Iterator[None]:
    """Draw in our style, and leave matplotlib's settings as they were."""
    with mpl.rc_context(_STYLE):
        yield


def canvas(height: float, title: str, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a figure that no window, no pyplot and no other figure knows of.

    Args:
        height: in inches.
        title: above it, from the left edge.
        rows: of axes below one another, which share their horizontal axis.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axes in grid:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure, list(grid)


def whisker(axes: Axes, place: float, low: float, high: float) -> None:
    """Draw an interval over a horizontal bar."""
    axes.plot((low, high), (place, place), color=INK, linewidth=1.2, solid_capstyle="butt")


def percent(axes: Axes) -> None:
    """Make a horizontal axis one of shares that ends at 100 %."""
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def estimate(figures: Mapping[str, object], name: str) -> Estimate | None:
    """Read a rate with its bounds; none where it is not known."""
    found = [figures.get(key) for key in (name, f"{name}_low", f"{name}_high")]
    numbers = [float(value) for value in found if isinstance(value, int | float)]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def shortened(name: object) -> str:
    """Shorten a name in its middle, where ids of cases differ least, to ``WIDEST_NAME``."""
    text = str(name)
    kept = len(text)
    while kept > 1 and text_width(_middle_out(text, kept), 13) > WIDEST_NAME:
        kept = min(kept - 1, kept * 9 // 10)
    return _middle_out(text, kept)


def _middle_out(text: str, kept: int) -> str:
    return text if kept >= len(text) else f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def svg(figure: Figure) -> Chart:
    """Write a figure as an SVG file without date and creator."""
    return Chart(saved(figure, "svg"), partial(saved, figure))


def saved(figure: Figure, file_format: FigureFormat, dpi: int = 100) -> bytes:
    """Write a figure in a format, the same bytes for the same figure.

    Args:
        figure: of ours.
        file_format: of the file.
        dpi: dots per inch of a PNG.
    """
    buffer = io.BytesIO()
    with style(), warnings.catch_warnings():
        # An SVG holds the text itself; matplotlib only cannot measure letters that its font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(buffer, format=file_format, dpi=dpi, metadata=_NAMELESS[file_format])
    return buffer.getvalue()
