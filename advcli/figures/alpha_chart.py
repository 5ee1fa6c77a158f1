"""Alpha by layer with the authors' bands; spectral norms by layer; two models side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from advcli.figures.chart_style import ACCENT, INK, PALE, QUIET, SERIES, canvas, shortened, style, svg

Row = Mapping[str, Any]
BANDS = (
    ("over-trained", 0.0, 2.0, "#f3d9cf"),
    ("well trained", 2.0, 4.0, "#d9ead9"),
    ("partly trained", 4.0, 6.0, "#eef4e6"),
    ("under-trained", 6.0, 10.0, "#f2f2f2"),
)
LARGEST = 10.0  # alphas beyond are drawn at the edge, with their number
_READ = ("over-trained", "well trained", "partly trained", "under-trained")
_MOST_NAMES = 60  # layers, from which every second, third, ... is named


def alpha_chart(rows: Sequence[Row], title: str) -> bytes:
    """Draw alpha of each layer, from top to bottom in the checkpoint's order, over the bands of the authors' reading.

    Args:
        rows: records of one checkpoint, in its order.
        title: of the chart.

    Returns:
        An SVG file. Full dots can be read, hollow ones are insufficient; a bar is sigma, a cross the shuffled weights.
    """
    with style():
        figure, (axes,) = canvas(_height(len(rows)), title)
        _bands(axes)
        for place, row in enumerate(rows):
            _alpha(axes, place, row, ACCENT)
            if row.get("alpha_null") is not None:
                axes.plot(min(row["alpha_null"], LARGEST), place, marker="x", color=QUIET, markersize=5, clip_on=False)
        axes.plot([], [], "o", color=ACCENT, markersize=5, label="alpha")
        axes.plot([], [], "o", color=ACCENT, markersize=5, fillstyle="none", label="insufficient")
        axes.plot([], [], "x", color=QUIET, markersize=5, label="weights shuffled")
        _names(axes, rows)
        axes.set_xlim(0, LARGEST)
        axes.set_xlabel("alpha: 2 to 4 well trained", loc="left")
        figure.legend(loc="outside lower left", ncols=3, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def norm_chart(rows: Sequence[Row], title: str) -> bytes:
    """Draw the spectral norms of each layer, from top to bottom in the checkpoint's order.

    Args:
        rows: records of one checkpoint, in its order.
        title: of the chart.

    Returns:
        An SVG file, on a logarithmic axis: the largest singular value of the weight as a matrix (out, rest), which
        spectral normalization holds at 1, and the root of WeightWatcher's largest eigenvalue.
    """
    known = [row for row in rows if row.get("matrix_norm")]
    with style():
        figure, (axes,) = canvas(_height(len(known)), title)
        for place, row in enumerate(known):
            axes.plot(row["matrix_norm"], place, "o", color=ACCENT, markersize=5)
            if row.get("spectral_norm"):
                axes.plot(row["spectral_norm"] ** 0.5, place, "s", color=SERIES[1], markersize=4, fillstyle="none")
        axes.axvline(1, color=PALE, linewidth=1, zorder=0)
        axes.plot([], [], "o", color=ACCENT, label="weight as a matrix")
        axes.plot([], [], "s", color=SERIES[1], fillstyle="none", label="root of WeightWatcher's")
        _names(axes, known)
        _logarithmic(axes)
        axes.set_xlabel("spectral norm", loc="left")
        figure.legend(loc="outside lower left", ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def pair_chart(rows: Sequence[Row], names: tuple[str, ...], figure_name: str = "alpha") -> bytes:
    """Draw one figure of two models side by side.

    Args:
        rows: of the table ``pairs``: ``name``, NAME_a, NAME_b and the readings.
        names: of the models.
        figure_name: NAME, such as ``alpha`` or ``matrix_norm``.

    Returns:
        An SVG file; a line leads from the first model's value to the second's.
    """
    known = [row for row in rows if row.get(f"{figure_name}_a") is not None or row.get(f"{figure_name}_b") is not None]
    alpha = figure_name == "alpha"
    with style():
        figure, (axes,) = canvas(_height(len(known)), f"{figure_name.replace('_', ' ')} of two models")
        if alpha:
            _bands(axes)
        for place, row in enumerate(known):
            values: list[Any] = [row.get(f"{figure_name}_{side}") for side in "ab"]
            values = [min(value, LARGEST) if alpha and value is not None else value for value in values]
            if None not in values:
                axes.plot(values, (place, place), color=QUIET, linewidth=1)
            for value, color, side in zip(values, (SERIES[1], ACCENT), "ab", strict=True):
                if value is not None:
                    hollow = alpha and row.get(f"reading_{side}") not in _READ
                    axes.plot(
                        value,
                        place,
                        "o",
                        color=color,
                        markersize=5,
                        fillstyle="none" if hollow else "full",
                        clip_on=False,
                    )
        for name, color in zip(names, (SERIES[1], ACCENT), strict=True):
            axes.plot([], [], "o", color=color, label=shortened(name))
        _names(axes, known)
        if alpha:
            axes.set_xlim(0, LARGEST)
        else:
            _logarithmic(axes)
        axes.set_xlabel(figure_name.replace("_", " "), loc="left")
        figure.legend(loc="outside lower left", ncols=1, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _alpha(axes: Axes, place: int, row: Row, color: str) -> None:
    alpha, sigma = row.get("alpha"), row.get("alpha_sigma") or 0.0
    if alpha is None:
        axes.text(0.1, place, str(row.get("reading") or ""), va="center", fontsize=8, color=QUIET)
        return
    style_of = "full" if row.get("reading") in _READ else "none"
    shown = min(alpha, LARGEST)
    axes.plot((max(alpha - sigma, 0), min(alpha + sigma, LARGEST)), (place, place), color=INK, linewidth=1)
    axes.plot(shown, place, "o", color=color, markersize=5, fillstyle=style_of, clip_on=False, markerfacecoloralt="w")
    if alpha > LARGEST:
        axes.text(LARGEST - 0.25, place, f"{alpha:.0f}", va="center", ha="right", fontsize=8, color=QUIET)


def _logarithmic(axes: Axes) -> None:
    """Make a logarithmic axis with plain numbers, for mathematical letters are not parsed in our style."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _bands(axes: Axes) -> None:
    for name, low, high, color in BANDS:
        axes.axvspan(low, high, color=color, linewidth=0, zorder=0)
        axes.text((low + high) / 2, -0.95, name, ha="center", va="center", fontsize=7, color=QUIET)


def _names(axes: Axes, rows: Sequence[Row]) -> None:
    every = -(-max(len(rows), 1) // _MOST_NAMES)
    places = range(0, len(rows), every)
    axes.set_yticks(list(places), [shortened(rows[place].get("name")) for place in places], color=INK, fontsize=8)
    axes.set_ylim(max(len(rows), 1) - 0.4, -1.5)


def _height(count: int) -> float:
    return 1.5 + 0.17 * min(max(count, 1), 200)
