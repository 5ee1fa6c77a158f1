"""How many forward passes the images took, case by case."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from advcli.figures.chart_style import ACCENT, QUIET, canvas, shortened, style, svg

MOST_CASES = 8
_MANY = 10  # bars that fill the axis; fewer stay as slim, for one alone would look like a wall
Counts = NDArray[np.float64]


def passes_chart(passes: Mapping[str, Counts]) -> bytes:
    """Draw a histogram for each case, on one axis.

    Args:
        passes: case to the forward passes of each attacked image.

    Returns:
        An SVG file: images over passes, the costliest eight cases; passes on a logarithmic axis where they span more
        than two decades.
    """
    known = {name: np.asarray(values, dtype=np.float64) for name, values in passes.items()}
    known = {name: values for name, values in known.items() if values.size} or {"": np.empty(0)}
    costly = sorted(known, key=lambda name: -known[name].mean() if known[name].size else 0)[:MOST_CASES]
    shown = {name: values for name, values in known.items() if name in costly}
    title = "Forward passes an image" + (f", {next(iter(shown))}" if len(shown) == 1 and "" not in shown else "")
    if len(shown) < len(known):
        title += f" (the costliest {len(shown)} of {len(known)} cases)"
    edges, logarithmic = _edges(np.concatenate(list(shown.values())))
    with style():
        figure, grid = canvas(0.9 + (1.3 if len(shown) == 1 else 0.85 * len(shown)), title, len(shown))
        for axes, (name, values) in zip(grid, shown.items(), strict=True):
            axes.hist(values, bins=edges.tolist(), color=ACCENT, rwidth=0.86 * min(1, (len(edges) - 1) / _MANY))
            if len(shown) > 1:
                axes.set_title(f"{shortened(name)}, mean {values.mean():.3g}", fontsize=9, color=QUIET, pad=2)
            _finish(axes, edges, any_values=bool(values.size), logarithmic=logarithmic)
        grid[-1].set_xlabel("forward passes")
        figure.supylabel("images", fontsize=10, color=QUIET)
        return svg(figure)


def _edges(values: Counts) -> tuple[Counts, bool]:
    """Choose at most 40 bins that begin and end with the data."""
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    if low > 0 and high / low > 100:
        return np.geomspace(low, high, 41), True
    return np.linspace(low - 0.5, high + 0.5, int(min(high - low + 1, 40)) + 1), False


def _finish(axes: Axes, edges: Counts, *, any_values: bool, logarithmic: bool) -> None:
    axes.set_xlim(edges[0], edges[-1])
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylim(0, None if any_values else 1)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
