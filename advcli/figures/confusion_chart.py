"""Confusion matrices: which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advcli.figures.chart_style import INK, QUIET, shortened, style, svg

NAMED = 40  # classes, up to which they are named
WRITTEN = 20  # classes, up to which every cell says its value
_SIDE = 0.36  # inches of a cell that says its value
_DARK = 0.55  # share of the color scale from which letters are white


def confusion_chart(counts: NDArray[np.int64], classes: Sequence[str], title: str, *, rates: bool) -> bytes:
    """Draw a confusion matrix.

    Args:
        counts: (K, K), images by label (rows) and prediction (columns).
        classes: K names.
        title: of the chart.
        rates: write shares of each row in percent; else counts. The colors are shares of the row in both.

    Returns:
        An SVG file.
    """
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    number = len(classes)
    side = min(7.0, max(2.6, _SIDE * number)) if number <= WRITTEN else 6.0
    with style():
        figure = Figure(figsize=(side + 1.4, side + 1.5), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
        axes = figure.subplots()
        axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1)
        for row, column in np.argwhere(counts > 0) if number <= WRITTEN else ():
            text = f"{100 * shares[row, column]:.0f}" if rates else f"{counts[row, column]}"
            color = "white" if shares[row, column] > _DARK else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=8)
        names = [shortened(name) for name in classes] if number <= NAMED else []
        axes.set_xticks(range(len(names)), names, rotation=90, color=INK)
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.set_xlabel("taken for" + (", % of the row" if rates and number <= WRITTEN else ""), color=QUIET)
        axes.set_ylabel("is", color=QUIET)
        return svg(figure)
