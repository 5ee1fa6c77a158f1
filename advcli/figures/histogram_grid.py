"""Histograms of weights or biases as small multiples: a panel for each layer, a line for each checkpoint shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advcli.figures.chart_style import INK, QUIET, SERIES, shortened, style, svg

COLUMNS = 4
_COLORS = (QUIET, SERIES[1], SERIES[0])  # of the first, the middle and the last checkpoint
MOST = 60  # panels; of deeper networks every second, third, ... layer is drawn


@dataclass(frozen=True)
class Panel:
    """The histograms of one layer.

    Args:
        name: of the layer.
        edges: (B + 1,) of the bins.
        shares: (checkpoints, B) share of the values in each bin.
    """

    name: str
    edges: NDArray[np.float64]
    shares: NDArray[np.float64]


def histogram_grid(panels: Sequence[Panel], labels: Sequence[str], title: str) -> bytes:
    """Draw histograms as small multiples, on a logarithmic height, each on an axis of its own.

    Args:
        panels: one per layer.
        labels: of the checkpoints shown, three at most.
        title: of the chart.

    Returns:
        An SVG file.
    """
    kept = list(panels)[:: -(-len(panels) // MOST)] if panels else []
    columns = min(COLUMNS, max(1, len(kept)))
    rows = max(1, -(-len(kept) // columns))
    colors = _COLORS[-len(labels) :]
    with style():
        figure = Figure(figsize=(1.9 * columns, 0.7 + 1.15 * rows), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, kept, strict=False):
            for row, color in zip(panel.shares, colors, strict=False):
                axes.stairs(row, panel.edges, color=color, linewidth=1)
            axes.set_yscale("log")
            axes.set_yticks([])
            axes.minorticks_off()
            axes.set_title(shortened(panel.name), fontsize=7)
            axes.tick_params(length=2, labelsize=6, labelcolor=QUIET)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.locator_params(axis="x", nbins=3)
        for axes in grid[len(kept) :]:
            axes.set_axis_off()
        for label, color in zip(labels, colors, strict=False):
            grid[0].plot([], [], color=color, label=label)
        if len(labels) > 1:
            figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=8)
        return svg(figure)
