"""The course of a training: figures of every layer and epoch as heat maps and lines, below its accuracy curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from advcli.figures.chart_style import INK, PALE, QUIET, SERIES, shortened, style, svg

_WIDTH = 7.2  # inches
_MOST_NAMES = 40
_PHASES = {"under-fitting": "#e8eef4", "generalizing": "#e2efe2", "over-fitting": "#f6e0d8"}


@dataclass(frozen=True)
class Course:
    """What every chart of a course shares.

    Args:
        steps: number of each checkpoint on the horizontal axis, ascending: its epoch, else its place.
        step_name: what they are called: ``epoch`` or ``checkpoint``.
        curves: name to one value per checkpoint, NaN where it is not known; shares in [0, 1] or losses.
        phases: phase, first and last step.
    """

    steps: NDArray[np.float64]
    step_name: str
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    phases: Sequence[tuple[str, float, float]] = ()


def heat_chart(
    course: Course,
    values: NDArray[np.float64],
    layers: Sequence[str],
    title: str,
    ends: tuple[float, float] | None = None,
) -> bytes:
    """Draw a figure of every layer at every checkpoint.

    Args:
        course: its axis, curves and phases.
        values: (layers, checkpoints), NaN where it is not known.
        layers: their names, in the order of the checkpoints.
        title: of the chart.
        ends: values of the first and the last color; by default the 2nd and 98th percentile.

    Returns:
        An SVG file: the curves above, the heat map below them on the same axis.
    """
    with style():
        figure, above, below = _figure(course, title, 0.9 + 0.16 * min(max(len(layers), 3), 80))
        known = values[np.isfinite(values)]
        low, high = ends or (np.percentile(known, (2, 98)) if len(known) else (0.0, 1.0))
        edges = _edges(course.steps)
        drawn = below.pcolormesh(
            edges,
            np.arange(len(layers) + 1) - 0.5,
            np.ma.masked_invalid(values),
            cmap="viridis",
            vmin=low,
            vmax=high if high > low else low + 1,
            rasterized=values.size > _MANY,
        )
        every = -(-len(layers) // _MOST_NAMES)
        places = range(0, len(layers), every)
        below.set_yticks(list(places), [shortened(layers[place]) for place in places], fontsize=8, color=INK)
        below.set_ylim(len(layers) - 0.5, -0.5)
        bar = figure.colorbar(drawn, ax=[above, below] if above else [below], shrink=0.6, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=8)
        below.set_xlabel(course.step_name, loc="left")
        return svg(figure)


def line_chart(
    course: Course, values: NDArray[np.float64], mean: NDArray[np.float64] | None, title: str, *, bands: bool = False
) -> bytes:
    """Draw a figure of every layer as a pale line, and one of the network as a strong one.

    Args:
        course: its axis, curves and phases.
        values: (layers, checkpoints), NaN where it is not known.
        mean: (checkpoints,) of the network; none for no strong line.
        title: of the chart.
        bands: mark 2, 4 and 6, the bounds of alpha's reading, and end the axis at 10.

    Returns:
        An SVG file: the curves above, the lines below them on the same axis.
    """
    with style():
        figure, _, below = _figure(course, title, 2.2)
        for row in values:
            below.plot(course.steps, row, color=QUIET, linewidth=0.6, alpha=0.5)
        if mean is not None:
            below.plot(course.steps, mean, color=SERIES[0], linewidth=2, marker="o", markersize=2)
        if bands:
            for bound in (2, 4, 6):
                below.axhline(bound, color=INK, linewidth=0.6, linestyle=":")
            below.set_ylim(1, 10)
        if len(course.steps) > 1:
            below.set_xlim(course.steps[0], course.steps[-1])
        below.set_xlabel(course.step_name, loc="left")
        below.tick_params(labelsize=8)
        return svg(figure)


_MANY = 4000  # cells, from which a heat map is a picture inside the SVG


def _figure(course: Course, title: str, height: float) -> tuple[Figure, Axes | None, Axes]:
    """Make axes for a chart, with the curves above where there are any."""
    curves = {name: row for name, row in course.curves.items() if np.isfinite(row).any()}
    above_height, legend_height = (1.5, 0.3) if curves else (0.0, 0.0)
    figure = Figure(figsize=(_WIDTH, 0.6 + above_height + height + legend_height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    if curves:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[above_height, height])
        _curves(above, course, curves)
        figure.legend(loc="outside lower left", ncols=3, fontsize=9, borderaxespad=0.2)
    else:
        above, below = None, figure.subplots()
    for axes in (above, below):
        if axes is not None:
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(length=0)
    edges = _edges(course.steps)
    below.set_xlim(edges[0], edges[-1])
    if np.array_equal(course.steps, np.rint(course.steps)):  # epochs: there is nothing between two
        below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, above, below


def _curves(axes: Axes, course: Course, curves: Mapping[str, NDArray[np.float64]]) -> None:
    for name, first, last in course.phases:
        axes.axvspan(first - 0.5, last + 0.5, color=_PHASES.get(name, PALE), linewidth=0, zorder=0)
        axes.text((first + last) / 2, 1.0, name, transform=_blended(axes), ha="center", va="bottom", fontsize=7)
    for number, (name, row) in enumerate(curves.items()):
        axes.plot(course.steps, row, color=SERIES[number % len(SERIES)], linewidth=1.3, label=name.replace("_", " "))
    axes.tick_params(labelsize=8)


def _blended(axes: Axes) -> Any:
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.transData, axes.transAxes)


def _edges(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of cells around the steps, half-way between neighbors."""
    if len(steps) < 2:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    middle = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[2 * steps[0] - middle[0]], middle, [2 * steps[-1] - middle[-1]]])
