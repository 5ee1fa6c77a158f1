"""How well pictures that were attacked can be told from clean ones: ROC curves of maps and of the control."""

from collections.abc import Mapping, Sequence
from typing import Any

from advcli.figures.chart_style import PALE, QUIET, SERIES, canvas, percent, shortened, style, svg

Row = Mapping[str, Any]
CONTROL = "change"  # measure of the control
MOST_CHARTS = 6


def roc_charts(curves: Sequence[Row]) -> dict[str, bytes]:
    """Draw a chart for each attack and probe.

    Args:
        curves: rows of the table ``roc``.

    Returns:
        ``roc-CASE-PROBE`` to SVG, with ``-adaptive`` behind it where the attacks know the detectors.
    """
    groups: dict[str, list[Row]] = {}
    for row in curves:
        knowing = "-adaptive" if row["against"] == "adaptive" else ""
        groups.setdefault(f"{row['case']}-{row['probe']}{knowing}", []).append(row)
    return {f"roc-{name}": roc_chart(name, rows) for name, rows in list(groups.items())[:MOST_CHARTS]}


def roc_chart(name: str, rows: Sequence[Row]) -> bytes:
    """Draw the curves of the detectors under one probe; of each explanation, the measure with the largest area.

    Args:
        name: of the attack and the probe, for the title.
        rows: of the table ``roc``.
    """
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        point = (row["false_positive_rate"], row["true_positive_rate"])
        lines.setdefault((row["method"], row["metric"]), []).append(point)
    best: dict[str, tuple[str, list[tuple[float, float]]]] = {}
    for (method, metric), points in lines.items():
        if method not in best or _height(points) > _height(best[method][1]):
            best[method] = (metric, points)
    with style():
        figure, (axes,) = canvas(4.4 + 0.17 * len(best), f"Attacked or clean, {shortened(name)}")
        axes.plot((0, 1), (0, 1), color=PALE, linewidth=1)
        number = 0
        for method, (metric, points) in best.items():
            control = metric == CONTROL
            label = "change of the top probability" if control else f"{shortened(method)}, {metric}"
            color = QUIET if control else SERIES[number % len(SERIES)]
            number += not control
            axes.plot(*zip(*points, strict=True), color=color, linestyle="dashed" if control else "solid", label=label)
        percent(axes)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(axes.xaxis.get_major_formatter())
        axes.tick_params(axis="x", pad=7)  # clear of the 0 % of the other axis
        axes.set_xlabel("clean pictures flagged")
        axes.set_title("adversarial pictures found", fontsize=10, color=QUIET, pad=4)
        figure.legend(loc="outside lower left", fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _height(points: Sequence[tuple[float, float]]) -> float:
    return sum(y for _, y in points)
