"""Charts of a whole run, as small SVG files that are the same bytes for the same figures."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

INK, QUIET, ACCENT, PALE = "#1f2328", "#6e7681", "#c43e1c", "#d0d7de"
SERIES = ("#c43e1c", "#1f6f8b", "#8a6d1d", "#5b4b8a", "#3d7a4a")  # equally dark, so that they print alike
WIDTH = 4.8  # inches; a third of a page, where labels of ten points stay readable
RATES = {
    "clean_accuracy": "clean",
    "robust_accuracy": "robust",
    "robust_accuracy_as_saved": "robust, as saved",
}
METRICS = {
    "spearman": "Spearman",
    "spearman_abs": "Spearman of |v|",
    "ssim": "SSIM",
    "ssim_abs": "SSIM of |v|",
    "hog": "HOG of |v|",
}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "advcli",  # else identifiers are random, and the same run gives other bytes
    "svg.fonttype": "none",  # text stays text: small, searchable
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": PALE,
    "xtick.color": QUIET,
    "ytick.color": INK,
    "figure.facecolor": "white",
}

Estimate = tuple[float, float, float]


def accuracy_bars(summary: Mapping[str, object]) -> bytes:
    """Draw the share of images that are classified rightly: clean, attacked, and attacked as saved.

    Args:
        summary: of an attack's report: ``clean_accuracy``, ``robust_accuracy`` and ``robust_accuracy_as_saved``, each
            in [0, 1] and with ``_low`` and ``_high`` beside it; a rate that is missing or none is left out.

    Returns:
        An SVG file: one bar for each rate, with its interval.
    """
    estimates = {label: _estimate(summary, name) for name, label in RATES.items()}
    known = {label: estimate for label, estimate in estimates.items() if estimate is not None}
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(height=0.7 + 0.42 * max(1, len(known)))
        for place, (label, (value, low, high)) in enumerate(known.items()):
            color = PALE if label == "clean" else ACCENT
            axes.barh(place, value, height=0.56, color=color)
            _whisker(axes, place, low, high)
            axes.text(1.02, place, f"{100 * value:.1f} %", va="center")
        axes.set_yticks(range(len(known)), list(known))
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set_xlabel("classified rightly, 95 % intervals", loc="left")
        return _svg(figure)


def similarity_bars(means: Mapping[str, Mapping[str, Estimate | None]]) -> bytes:
    """Draw how alike the maps before and after are, for each metric and explanation method.

    Args:
        means: explanation method to metric to (mean, low, high) over the images, the mean in [-1, 1]; none where
            a metric is undefined throughout.

    Returns:
        An SVG file: a group of bars for each metric, one bar for each method, with intervals.
    """
    metrics = list(dict.fromkeys(metric for values in means.values() for metric in values))
    thickness = 0.8 / max(1, len(means))
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(height=0.9 + len(metrics) * (0.16 + 0.2 * len(means)) + 0.25 * len(means))
        for number, (method, values) in enumerate(means.items()):
            color = SERIES[number % len(SERIES)]
            places = np.arange(len(metrics)) + thickness * (number + 0.5) - 0.4
            axes.barh(0, 0, color=color, label=method)  # so that the legend knows a method without a value
            for place, estimate in zip(places, map(values.get, metrics), strict=True):
                if estimate is None:
                    axes.text(0.01, place, "undefined", va="center", color=QUIET, fontsize=8)
                    continue
                axes.barh(place, estimate[0], height=thickness * 0.86, color=color)
                _whisker(axes, place, *estimate[1:])
        axes.set_yticks(range(len(metrics)), [METRICS.get(metric, metric) for metric in metrics])
        axes.invert_yaxis()
        lowest = min((e[1] for values in means.values() for e in values.values() if e), default=0.0)
        axes.set_xlim(max(-1.0, min(0.0, lowest)), 1)  # of two images the interval may leave the scale
        axes.axvline(0, color=PALE, linewidth=1, zorder=0)
        axes.set_xlabel("similarity before and after, 95 % intervals", loc="left")
        if means:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2, alignment="left")
        return _svg(figure)


def passes_histogram(passes: Sequence[int]) -> bytes:
    """Draw how many forward passes the images took.

    Args:
        passes: of each image, as in the records.

    Returns:
        An SVG file: images over passes; the passes are on a logarithmic axis where they span more than two decades.
    """
    values = np.asarray(passes, dtype=np.float64)
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(height=2.2)
        if low > 0 and high / low > 100:
            edges = np.geomspace(low, high, 41)
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            edges = np.linspace(low - 0.5, high + 0.5, int(min(high - low + 1, 40)) + 1)
            axes.set_xlim(low - 1, max(high, low + 9) + 1)  # one bar alone would look like a wall
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.hist(values, bins=edges.tolist(), color=ACCENT, rwidth=0.86)
        axes.set_ylim(0, None if values.size else 1)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("forward passes")
        axes.set_ylabel("images")
        return _svg(figure)


def _estimate(summary: Mapping[str, object], name: str) -> Estimate | None:
    found = [summary.get(key) for key in (name, f"{name}_low", f"{name}_high")]
    numbers = [float(value) for value in found if isinstance(value, int | float)]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _canvas(height: float) -> tuple[Figure, Axes]:
    """Make a figure that no window, no pyplot and no other figure knows of."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _whisker(axes: Axes, place: float, low: float, high: float) -> None:
    axes.plot((low, high), (place, place), color=INK, linewidth=1.2, solid_capstyle="butt")


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
