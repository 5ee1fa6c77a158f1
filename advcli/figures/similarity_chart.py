"""How alike the maps before and after an attack are, metric by metric."""

from collections.abc import Mapping

import numpy as np

from advcli.core.similarities import MEASURES
from advcli.figures.chart_style import PALE, QUIET, SERIES, Estimate, canvas, shortened, style, svg, whisker


def similarity_chart(case: str, means: Mapping[str, Mapping[str, Estimate | None]]) -> bytes:
    """Draw a group of bars for each metric, one bar for each explanation.

    Args:
        case: of the attack, for the title.
        means: explanation to metric to (mean, low, high) over the images, the mean in [-1, 1]; none where a metric is
            undefined throughout. Distances are passed over.

    Returns:
        An SVG file with 95 % intervals.
    """
    told = dict.fromkeys(metric for values in means.values() for metric in values)
    metrics = [metric for metric in told if metric not in MEASURES or MEASURES[metric].same]
    thickness = 0.8 / max(1, len(means))
    height = 1.3 + len(metrics) * (0.16 + 0.2 * len(means)) + 0.2 * len(means)
    with style():
        figure, (axes,) = canvas(height, f"Similarity of the maps, {shortened(case)}")
        for number, (method, values) in enumerate(means.items()):
            color = SERIES[number % len(SERIES)]
            places = np.arange(len(metrics)) + thickness * (number + 0.5) - 0.4
            axes.barh(0, 0, color=color, label=shortened(method))  # the legend knows a method without a value
            for place, estimate in zip(places, map(values.get, metrics), strict=True):
                if estimate is None:
                    axes.text(0.01, place, "undefined", va="center", color=QUIET, fontsize=8)
                    continue
                axes.barh(place, estimate[0], height=thickness * 0.86, color=color)
                whisker(axes, place, *estimate[1:])
        axes.set_yticks(range(len(metrics)), [_title(metric) for metric in metrics])
        axes.invert_yaxis()
        known = [estimate for values in means.values() for estimate in values.values() if estimate]
        lowest = min((low for _, low, _ in known), default=0.0)
        axes.set_xlim(max(-1.0, min(0.0, lowest)), 1)  # of two images the interval may leave the scale
        axes.axvline(0, color=PALE, linewidth=1, zorder=0)
        bounded = (
            ", 95 % intervals" if any(low < high for _, low, high in known) else ""
        )  # of few images there are none
        axes.set_xlabel(f"before and after{bounded}", loc="left")
        if means:
            figure.legend(loc="outside lower left", fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _title(metric: str) -> str:
    return MEASURES[metric].title if metric in MEASURES else metric
