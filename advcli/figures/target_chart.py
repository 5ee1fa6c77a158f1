"""Class against class: what attacks from each class toward each other class come to, as a heat map."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advcli.figures.chart_style import INK, PALE, QUIET, WIDTH, shortened, style, svg

Row = Mapping[str, object]
_MOST_NAMES = 40  # on an axis
_MOST_NUMBERS = 12  # classes, up to which every cell holds its number
FIGURES: dict[str, tuple[str, str, Callable[[float], str]]] = {
    "success": ("attack_success_rate", "Success", lambda value: f"{100 * value:.0f}"),
    "passes": ("forward_passes_per_image", "Forward passes per image", "{:.3g}".format),
    "l2": ("median_l2", "Median l2 of successes", "{:.3g}".format),
}


def target_charts(rows: Sequence[Row]) -> dict[str, bytes]:
    """Draw success, passes and distance of each attack whose targets were single classes.

    Args:
        rows: of the table ``targets``.

    Returns:
        ``targets-FIGURE-ATTACK`` to SVG.
    """
    found: dict[str, bytes] = {}
    for attack in dict.fromkeys(str(row["attack"]) for row in rows):
        mine = [row for row in rows if row["attack"] == attack]
        for name, (key, title, write) in FIGURES.items():
            words = f"{title}{' in %' if name == 'success' else ''}, {shortened(attack)}"
            found[f"targets-{name}-{attack}"] = target_chart(mine, key, words, write)
    return found


def target_chart(rows: Sequence[Row], figure: str, title: str, write: Callable[[float], str]) -> bytes:
    """Draw one figure for each source and target.

    Args:
        rows: with ``source``, ``target`` and the figure.
        figure: name of what is drawn; a rate is drawn on a scale from 0 to 1.
        title: of the chart.
        write: a value as the text of its cell.

    Returns:
        An SVG file: sources from the top, targets from the left; what is not known is white.
    """
    sources = sorted({str(row["source"]) for row in rows})
    targets = sorted({str(row["target"]) for row in rows})
    values = np.full((len(sources), len(targets)), np.nan)
    for row in rows:
        value = row.get(figure)
        if isinstance(value, int | float):
            values[sources.index(str(row["source"])), targets.index(str(row["target"]))] = value
    known = values[np.isfinite(values)]
    ends = (0.0, 1.0) if figure.endswith("rate") else (known.min(), known.max()) if known.size else (0.0, 1.0)
    with style():
        high = WIDTH * min(1.3, 0.35 + 0.62 * len(sources) / max(len(targets), 1))
        drawn = Figure(figsize=(WIDTH, max(1.8, high)), layout="constrained")
        drawn.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
        axes = drawn.subplots()
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        top = ends[1] if ends[1] > ends[0] else ends[0] + 1
        axes.imshow(np.ma.masked_invalid(values), cmap="viridis", vmin=ends[0], vmax=top, aspect="auto")
        axes.set_facecolor("white")
        _name(axes.set_yticks, sources, rotation=0)
        _name(axes.set_xticks, targets, rotation=90)
        axes.set_xlabel("target", loc="left")
        axes.set_ylabel("the picture's class", loc="top", color=QUIET)
        if max(values.shape) <= _MOST_NUMBERS:
            _write(axes, values, ends[0], top, write)
        return svg(drawn)


def _name(set_ticks: Callable[..., object], names: Sequence[str], rotation: int) -> None:
    every = -(-len(names) // _MOST_NAMES)
    places = range(0, len(names), every)
    set_ticks(list(places), [shortened(names[place]) for place in places], rotation=rotation, fontsize=9, color=INK)


def _write(axes: Axes, values: NDArray[np.float64], low: float, high: float, write: Callable[[float], str]) -> None:
    """Write each number into its cell, dark on bright and bright on dark."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = INK if (value - low) / (high - low) > 0.6 else PALE
            axes.text(column, row, write(value), ha="center", va="center", fontsize=8, color=color)
