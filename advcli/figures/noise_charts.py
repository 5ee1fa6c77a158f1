"""The charts of a noise search: rate against threshold, confidences, classes, and the pictures themselves."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from advcli.figures.chart_style import ACCENT, INK, PALE, QUIET, SERIES, canvas, percent, shortened, style, svg

Values = NDArray[np.float64]
MOST_CASES = 12  # lines of a chart
MOST_CLASSES = 20  # bars of a chart, the most frequent
MOST_CHARTS = 6  # of classes
_BINS = 20
_DASHES = ("solid", "dashed", "dotted")


def noise_charts(
    probabilities: Mapping[str, Values], classes: Mapping[str, Mapping[str, tuple[int, int]]], threshold: float
) -> dict[str, bytes]:
    """Draw the charts of a run.

    Args:
        probabilities: case to the highest probability of each attempt.
        classes: case to class to (pictures, hits), the most frequent first.
        threshold: probability from which an answer is a hit.

    Returns:
        Name to SVG: ``hit-rate``, ``confidence``, and ``classes-CASE`` of the first cases.
    """
    if not probabilities:
        return {}
    charts = {
        "hit-rate": threshold_chart(probabilities, threshold),
        "confidence": confidence_chart(probabilities, threshold),
    }
    for name, counts in list(classes.items())[:MOST_CHARTS]:
        charts[f"classes-{name}"] = noise_class_chart(name, counts)
    return charts


def threshold_chart(probabilities: Mapping[str, Values], threshold: float) -> bytes:
    """Draw which share of the attempts is a hit, for every threshold.

    The axis is stretched toward 1, where networks that are sure of noise differ.

    Args:
        probabilities: case to the highest probability of each attempt, at least one each.
        threshold: that the run counts hits from; a line.

    Returns:
        An SVG file, the axis from 0.5 to 0.9999.
    """
    odds = np.linspace(0, np.log(0.9999 / 0.0001), 200)
    places = 1 / (1 + np.exp(-odds))
    ticks = (0.5, 0.9, 0.99, 0.999, 0.9999)
    with style():
        figure, (axes,) = canvas(2.7 + 0.17 * min(len(probabilities), MOST_CASES), "Hit rate against threshold")
        for number, (name, values) in enumerate(list(probabilities.items())[:MOST_CASES]):
            ordered = np.sort(values)
            rates = 1 - np.searchsorted(ordered, places, side="left") / len(ordered)
            dashes = _DASHES[number // len(SERIES) % len(_DASHES)]
            axes.plot(odds, rates, color=SERIES[number % len(SERIES)], linestyle=dashes, label=shortened(name))
        if threshold >= 0.5:
            axes.axvline(float(np.log(threshold / (1 - threshold))), color=QUIET, linewidth=0.8)
        axes.set_xlim(0, odds[-1])
        axes.set_ylim(0, 1)
        axes.set_xticks([float(np.log(one / (1 - one))) for one in ticks], [f"{one:g}" for one in ticks])
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set_xlabel(f"threshold of the softmax probability; the line is at {threshold:g}", loc="left")
        figure.legend(loc="outside lower left", ncols=1 if len(probabilities) < 4 else 2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def confidence_chart(probabilities: Mapping[str, Values], threshold: float) -> bytes:
    """Draw how sure the network is of the attempts: a histogram for each case, below one another.

    Args:
        probabilities: case to the highest probability of each attempt, at least one each.
        threshold: that the run counts hits from; bins above it are filled.

    Returns:
        An SVG file: shares of the attempts in twenty bins.
    """
    shown = list(probabilities.items())[:MOST_CASES]
    edges = np.linspace(0, 1, _BINS + 1)
    with style():
        figure, rows = canvas(1.0 + 1.15 * len(shown), "Confidence in noise", len(shown))
        for axes, (name, values) in zip(rows, shown, strict=True):
            shares = np.histogram(values, edges)[0] / len(values)
            colors = [ACCENT if edge >= threshold - 1e-9 else PALE for edge in edges[:-1]]
            axes.bar(edges[:-1], shares, width=0.9 / _BINS, align="edge", color=colors)
            axes.set_title(shortened(name), fontsize=9, color=QUIET, pad=3)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, max(float(shares.max()) * 1.05, 0.01))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
        rows[-1].set_xlabel("highest softmax probability", loc="left")
        return svg(figure)


def noise_class_chart(case: str, counts: Mapping[str, tuple[int, int]]) -> bytes:
    """Draw which classes the network sees in noise.

    Args:
        case: its id, for the title.
        counts: class to (pictures, hits), the most frequent first; at least one.

    Returns:
        An SVG file: a bar for each class, the share of all attempts, of which the hits are filled.
    """
    shown = list(counts.items())[:MOST_CLASSES]
    total = sum(said for said, _ in counts.values())
    with style():
        figure, (axes,) = canvas(1.3 + 0.22 * len(shown), f"Classes, {shortened(case)}")
        for place, (_, (said, hits)) in enumerate(shown):
            axes.barh(place, said / total, height=0.75, color=PALE, label=None if place else "all attempts")
            axes.barh(place, hits / total, height=0.75, color=ACCENT, label=None if place else "hits")
            axes.text(1.02, place, f"{100 * said / total:.1f} %", va="center", fontsize=9)
        axes.set_yticks(range(len(shown)), [shortened(name) for name, _ in shown], color=INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        percent(axes)
        more = len(counts) - len(shown)
        axes.set_xlabel("share of the attempts" + (f"; {more} more classes" if more else ""), loc="left")
        figure.legend(loc="outside lower left", ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(figure)
